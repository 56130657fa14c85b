//! A venue is founded in one step: its journal is there with everything that the venue begins with, or not at all.
//!
//! ```text
//! DIR/founding/…        a data folder in the making: its journal takes the first commands, and is sealed
//! DIR/journal           gets its name by one rename when that is whole
//! ```
//!
//! Whatever an interrupted founding left is removed by the next one. The folder's lock is held meanwhile, so that of two
//! processes that found a venue at the same time one is refused.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Command, CommandBody, Engine, Event, EventHeader, EventSink, RejectReason, Timestamp};
use journal::start::no_journal_is_missing;
use journal::{
    AppendError, Appender, BEFORE_FIRST, Both, EventDigest, FolderLock, JOURNAL_FOLDER, Journal, OpenError, Opened,
    Options, ReadError, Reader, Sequencer, StartError, WriteError,
};

use crate::clock::Clock;
use crate::data_folder::folder_of;

/// Where a venue is in the making.
pub const FOUNDING_FOLDER: &str = "founding";

/// The head of a journal in the making: its few commands wait for the disk a little more often.
const HEAD_BYTES: u64 = 64 << 10;

/// Why a venue was not founded. There is no venue then, and the next start begins anew.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The journal cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There was a journal, and it is not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The journal stopped.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The journal could not be completed.
    #[error(transparent)]
    Write(#[from] Arc<WriteError>),
    /// The venue refuses what it should begin with.
    #[error("a new venue refuses its command {number}, {command}: {reason}")]
    Refused {
        /// Its place among the first commands, from 1.
        number: u64,
        /// What it asks.
        command: &'static str,
        /// Why it is refused.
        reason: RejectReason,
    },
    /// The operating system failed.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Founds a venue in the locked data folder with the commands of `set_up`, unless there is one; whether it did.
///
/// `set_up` is only called if there is none.
pub fn found<E: From<FoundingError>>(
    folder: &FolderLock,
    options: &Options,
    set_up: impl FnOnce() -> Result<Vec<CommandBody>, E>,
) -> Result<bool, E> {
    let directory = folder.directory();
    let place = directory.join(FOUNDING_FOLDER);
    remove_folder(&place)?;
    if !matches!(Reader::open(directory), Err(ReadError::NoJournal { .. })) {
        return Ok(false);
    }
    no_journal_is_missing(&options.snapshot_store(directory)).map_err(FoundingError::from)?;
    let made = make(&place, options, &set_up()?).and_then(|()| settle(directory, &place));
    if made.is_err() {
        // The error that made it fail is the one to tell; the next founding removes what is left.
        let _ = remove_folder(&place);
    }
    made?;
    Ok(true)
}

/// A whole, sealed journal in `place`.
fn make(place: &Path, options: &Options, set_up: &[CommandBody]) -> Result<(), FoundingError> {
    fs::create_dir(place).map_err(io_error(place))?;
    // What is left of the head, too, goes with the folder.
    let options = Options { head_directory: Some(place.to_owned()), head_bytes: HEAD_BYTES, ..options.clone() };
    let Opened { journal, appender, .. } = Journal::open(place, &options)?;
    let (appender, event_digest) = apply(appender, options.capacity, set_up)?;
    Ok(journal.close(appender, event_digest.value())?)
}

fn apply(
    appender: Appender,
    capacity: engine::Capacity,
    set_up: &[CommandBody],
) -> Result<(Appender, EventDigest), FoundingError> {
    let mut engine = Engine::new(capacity);
    let mut sequencer = Sequencer::new(appender, BEFORE_FIRST);
    let mut clock = Clock::start(Timestamp::NONE);
    let (mut event_digest, mut refusal) = (EventDigest::new(), Refusal::default());
    for (number, body) in (1..).zip(set_up) {
        let mut sink = Both { first: &mut event_digest, second: &mut refusal };
        let stamp = sequencer.submit(&mut engine, clock.now(), &[Command::from_venue(*body)], &mut sink)?;
        event_digest.applied(stamp.sequence);
        if let Some(reason) = refusal.0 {
            return Err(FoundingError::Refused { number, command: body.name(), reason });
        }
    }
    Ok((sequencer.into_append(), event_digest))
}

/// Gives the journal its place, for good.
fn settle(directory: &Path, place: &Path) -> Result<(), FoundingError> {
    let (made, journal) = (place.join(JOURNAL_FOLDER), directory.join(JOURNAL_FOLDER));
    remove_empty(&journal)?;
    fs::rename(&made, &journal).map_err(io_error(&journal))?;
    for changed in [directory, folder_of(directory)] {
        File::open(changed).and_then(|opened| opened.sync_all()).map_err(io_error(changed))?;
    }
    remove_folder(place)
}

fn remove_folder(folder: &Path) -> Result<(), FoundingError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Takes away a journal's folder that holds no segment, as an earlier build left it; what it does not know stays.
fn remove_empty(journal: &Path) -> Result<(), FoundingError> {
    let Ok(entries) = fs::read_dir(journal) else { return Ok(()) };
    for entry in entries {
        let file = entry.map_err(io_error(journal))?.path();
        if file.extension().is_some_and(|extension| extension == "spare") {
            fs::remove_file(&file).map_err(io_error(&file))?;
        }
    }
    fs::remove_dir(journal).map_err(io_error(journal))
}

/// Keeps the first refusal.
#[derive(Default)]
struct Refusal(Option<RejectReason>);

impl EventSink for Refusal {
    fn event(&mut self, _: &EventHeader, event: &Event) {
        let reason = match event {
            Event::CommandRejected(rejected) => rejected.reason,
            Event::OrderRejected(rejected) => rejected.reason,
            Event::CancelRejected(rejected) => rejected.reason,
            Event::MassCancelRejected(rejected) => rejected.reason,
            Event::SessionRejected(rejected) => rejected.reason,
            _ => return,
        };
        self.0.get_or_insert(reason);
    }
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> FoundingError + use<> {
    let file = file.to_owned();
    move |source| FoundingError::Io { file: file.clone(), source }
}
