//! The state as it was: nearest snapshot, and a replay of what is between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Engine, EventSink, Sequence, Timestamp};

use crate::checkpoint::Checkpoint;
use crate::digest::EventDigest;
use crate::error::{ReadError, ReplayError};
use crate::reader::{JOURNAL_FOLDER, Reader};
use crate::replay::{Replayed, new_engine, rebuild_behind};
use crate::seek::Seek;
use crate::snapshot::{Loaded, SnapshotStore};
use crate::start::{StartError, reader_behind};
use crate::storage::{DirectoryStorage, Storage};

/// As of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AsOf {
    /// Behind the journal's last command.
    #[default]
    End,
    /// Behind this command, or the last one if the journal ends before.
    Sequence(Sequence),
    /// Behind the last command that is not later.
    Time(Timestamp),
}

/// A venue as it was.
pub struct Past {
    /// The engine behind the last command as of then.
    pub engine: Engine,
    /// Of all its events.
    pub event_digest: EventDigest,
    /// The snapshot that it was restored from; nothing: it was replayed from the first command.
    pub snapshot: Option<Checkpoint>,
    /// How many commands were replayed.
    pub replayed: u64,
}

/// The last command as of then; none before the first.
///
/// # Errors
/// Damage on the way there.
pub fn sequence_at(directory: &Path, at: AsOf) -> Result<Sequence, ReadError> {
    let time = match at {
        AsOf::End => return Ok(Sequence(u64::MAX)),
        AsOf::Sequence(sequence) => return Ok(sequence),
        AsOf::Time(Timestamp(u64::MAX)) => return Ok(Sequence(u64::MAX)),
        AsOf::Time(time) => time,
    };
    let later = Reader::open_at(directory, Seek::Time(Timestamp(time.0 + 1)))?.commands().next();
    let behind = |sequence: Sequence| Sequence(sequence.0 - 1);
    later.map_or(Ok(Sequence(u64::MAX)), |command| command.map(|command| behind(command.stamp.sequence)))
}

/// The state of a data folder's venue as of then, by the nearest snapshot before that can be used. Takes no lock.
/// `progress` is told the sequences that are reached.
///
/// # Errors
/// As a replay; snapshots that cannot be used are passed over.
pub fn state_at(directory: &Path, at: AsOf, mut progress: impl FnMut(Sequence)) -> Result<Past, StartError> {
    let until = sequence_at(directory, at)?;
    let source = PastSource::open(directory);
    let mut at_most = until;
    loop {
        let (from, reader) = source.nearest(at_most)?;
        let snapshot = from.snapshot;
        match (from.replay(reader, until, &mut (), &mut progress), snapshot) {
            // It leads elsewhere than the journal says: an older one may not.
            (Err(StartError::Replay(ReplayError::Differs { .. })), Some(Checkpoint { sequence, .. })) => {
                at_most = Sequence(sequence.0 - 1);
            }
            (past, _) => return past,
        }
    }
}

/// The events of the commands behind `after` up to `until`, into `sink`, by a replay from the nearest snapshot.
///
/// # Errors
/// As [`state_at`].
pub fn events_between(
    directory: &Path,
    after: Sequence,
    until: Sequence,
    sink: &mut impl EventSink,
    progress: impl FnMut(Sequence),
) -> Result<Past, StartError> {
    PastSource::open(directory).events_between(after, until, sink, progress)
}

/// Where a venue's past is: the segments of its journal, and its snapshots.
#[derive(Clone)]
pub struct PastSource {
    /// What is said to hold no journal, if there is none.
    directory: PathBuf,
    segments: Arc<dyn Storage>,
    snapshots: SnapshotStore,
}

impl PastSource {
    /// In a data folder.
    pub fn open(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            segments: Arc::new(DirectoryStorage::new(directory.join(JOURNAL_FOLDER))),
            snapshots: SnapshotStore::open(directory),
        }
    }

    /// On other disks, such as those of a simulation.
    pub fn with_storage(segments: Arc<dyn Storage>, snapshots: SnapshotStore) -> Self {
        Self { directory: segments.path().to_owned(), segments, snapshots }
    }

    /// See [`events_between`].
    ///
    /// # Errors
    /// As [`state_at`].
    pub fn events_between(
        &self,
        after: Sequence,
        until: Sequence,
        sink: &mut impl EventSink,
        progress: impl FnMut(Sequence),
    ) -> Result<Past, StartError> {
        let (from, reader) = self.nearest(after)?;
        from.replay(reader, until, &mut Behind { after, sink }, progress)
    }

    /// The newest snapshot at or before a command that can be used, or the beginning; and a reader of what is behind.
    fn nearest(&self, at_most: Sequence) -> Result<(Origin, Reader), StartError> {
        nearest_in(&self.segments, &self.snapshots, at_most)?
            .ok_or_else(|| ReadError::NoJournal { directory: self.directory.clone() }.into())
    }
}

/// Where a replay begins.
pub(crate) struct Origin {
    pub(crate) engine: Engine,
    pub(crate) event_digest: EventDigest,
    pub(crate) snapshot: Option<Checkpoint>,
}

impl Origin {
    fn replay(
        self,
        reader: Reader,
        until: Sequence,
        sink: &mut impl EventSink,
        progress: impl FnMut(Sequence),
    ) -> Result<Past, StartError> {
        let Self { engine, event_digest, snapshot } = self;
        let before = engine.last().sequence;
        let Replayed { engine, event_digest, .. } =
            rebuild_behind(engine, event_digest, reader, until, sink, progress)?;
        let replayed = engine.last().sequence.0 - before.0;
        Ok(Past { engine, event_digest, snapshot, replayed })
    }
}

/// The newest snapshot at or before a command that can be used, or the beginning; and a reader of what is behind. Nothing if
/// there are no segments.
pub(crate) fn nearest_in(
    segments: &Arc<dyn Storage>,
    store: &SnapshotStore,
    at_most: Sequence,
) -> Result<Option<(Origin, Reader)>, StartError> {
    let Some(reader) = Reader::with_storage(segments.clone())? else { return Ok(None) };
    let mut before = at_most;
    while let Some(Loaded { checkpoint, engine }) = store.newest(reader.identity().journal, before)?.newest {
        let Checkpoint { sequence, event_count, event_digest, .. } = checkpoint;
        if let Ok(behind) = reader_behind(segments, &checkpoint)? {
            let event_digest = EventDigest::behind(sequence, event_count, event_digest);
            return Ok(Some((Origin { engine, event_digest, snapshot: Some(checkpoint) }, behind)));
        }
        before = Sequence(sequence.0 - 1);
    }
    let engine = new_engine(&reader)?;
    Ok(Some((Origin { engine, event_digest: EventDigest::new(), snapshot: None }, reader)))
}

/// Leaves out the events of commands up to one.
struct Behind<'a, S> {
    after: Sequence,
    sink: &'a mut S,
}

impl<S: EventSink> EventSink for Behind<'_, S> {
    fn event(&mut self, header: &engine::EventHeader, event: &engine::Event) {
        if header.id.sequence > self.after {
            self.sink.event(header, event);
        }
    }
}
