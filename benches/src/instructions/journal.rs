//! A command's way into the journal and back.

use std::sync::Arc;

use engine::{Command, EventSink, Sequence, Sequenced, Stamp, Timestamp};
use journal::{Append, Appender, EventDigest, JOURNAL_FOLDER, Journal, Opened, Options, Reader, ReplayError};
use simulation::GatedFolder;
use tempfile::TempDir;

use super::counted;
use super::flow::{Commands, commands, events};
use crate::failure::Failure;

/// Of a segment: more than all that is written here.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Of the head: everything fits while the writer rests.
const HEAD_BYTES: u64 = 32 << 20;

/// A journal whose writer takes nothing before it is told to, but for the first command.
struct Held {
    journal: Journal,
    appender: Appender,
    storage: Arc<GatedFolder>,
    last: Sequence,
    /// Removed with this.
    folder: TempDir,
}

impl Held {
    fn open(commands: &Commands) -> Result<Self, Failure> {
        let folder = folder()?;
        let storage = Arc::new(GatedFolder::new(folder.path().join(JOURNAL_FOLDER), u64::MAX));
        std::fs::create_dir_all(folder.path().join(JOURNAL_FOLDER))
            .map_err(|source| Failure::io(folder.path(), source))?;
        let options = Options {
            storage: Some(storage.clone()),
            segment_bytes: SEGMENT_BYTES,
            head_bytes: HEAD_BYTES,
            head_directory: Some(folder.path().to_owned()),
            ..Options::new(commands.flow.capacity)
        };
        let Opened { journal, mut appender, .. } = Journal::open(folder.path(), &options)?;
        storage.gate().shut();
        let first = numbered(&commands.before[0], Sequence(1));
        appender.append(&first)?;
        appender.publish()?;
        storage.gate().wait_for_waiting();
        Ok(Self { journal, appender, storage, last: Sequence(1), folder })
    }

    /// The commands as those behind the last.
    fn following(&self, commands: &[Sequenced<Command>]) -> Vec<Sequenced<Command>> {
        let sequences = (self.last.0 + 1..).map(Sequence);
        commands.iter().zip(sequences).map(|(command, sequence)| numbered(command, sequence)).collect()
    }

    fn append(&mut self, commands: &[Sequenced<Command>]) -> Result<(), Failure> {
        for command in commands {
            self.appender.append(command)?;
            self.appender.publish()?;
        }
        self.last = Sequence(self.last.0 + commands.len() as u64);
        Ok(())
    }

    /// Lets the writer go on, and waits until it is done; where it has written.
    fn finish(self) -> Result<TempDir, Failure> {
        self.storage.gate().open();
        self.journal.wait_released(self.last)?;
        drop(self.appender);
        self.journal.failure().map_or(Ok(self.folder), |failure| Err(failure.into()))
    }
}

fn numbered(command: &Sequenced<Command>, sequence: Sequence) -> Sequenced<Command> {
    Sequenced { stamp: Stamp { sequence, time: Timestamp(sequence.0) }, value: command.value }
}

fn folder() -> Result<TempDir, Failure> {
    tempfile::tempdir().map_err(|source| Failure::io(&std::env::temp_dir(), source))
}

pub(super) fn append(operations: u32) -> Result<(), Failure> {
    let commands = commands(operations)?;
    let mut held = Held::open(&commands)?;
    let following = held.following(&commands.last);
    counted(|| held.append(&following))?;
    held.finish().map(drop)
}

pub(super) fn write(operations: u32) -> Result<(), Failure> {
    let commands = commands(operations)?;
    let mut held = Held::open(&commands)?;
    let following = held.following(&commands.last);
    held.append(&following)?;
    held.finish().map(drop)
}

pub(super) fn read(operations: u32) -> Result<(), Failure> {
    let commands = commands(operations)?;
    let mut held = Held::open(&commands)?;
    // All behind the first in full batches, however the writer is woken.
    let following = held.following(&commands.before[1..]);
    held.append(&following)?;
    let following = held.following(&commands.last);
    held.append(&following)?;
    let folder = held.finish()?;
    let mut reader = Reader::open(folder.path()).map_err(ReplayError::from)?.commands();
    reader.by_ref().take(commands.before.len()).try_for_each(|command| command.map(drop)).map_err(ReplayError::from)?;
    let operations = operations as usize;
    let whole = counted(|| reader.take(operations).filter(Result::is_ok).count());
    assert_eq!(whole, operations, "all commands were read");
    Ok(())
}

pub(super) fn digest(operations: u32) -> Result<(), Failure> {
    let (_, mut events) = events(operations)?;
    events.truncate(operations as usize);
    let mut digest = EventDigest::new();
    counted(|| {
        for (header, event) in &events {
            digest.event(header, event);
        }
    });
    assert_eq!(digest.event_count(), u64::from(operations));
    Ok(())
}
