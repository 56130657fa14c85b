//! From a data folder to an engine that goes on: the newest snapshot that can be used, and what the journal has behind it.
//!
//! ```text
//!   newest whole snapshot ──► its link in the chain ──► journal opened from the link's segment on, verified, recovered
//!            │                                                        │
//!            └── engine, event digest ──────────────────────────────► replay of what is behind ──► engine
//! ```
//!
//! The journal alone is the truth. A snapshot counts if its link is in the journal's chain, and if the replay behind it
//! yields the event digests that the journal carries; else an older one is tried, and in the end the whole journal is
//! replayed.
//!
//! What stands before the segment of the snapshot's link is not read at a start. Damage there is found by reading the
//! whole journal: [`check_before`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::{Engine, Sequence};

use crate::checkpoint::{Checkpoint, Link};
use crate::decision::State;
use crate::digest::EventDigest;
use crate::error::{Fault, OpenError, ReadError, ReplayError, SnapshotFault};
use crate::journal::{Journal, Known, Opened, Options};
use crate::reader::{JOURNAL_FOLDER, Reader, from_segment, segment_numbers};
use crate::recovery::FolderLock;
use crate::replay::{Replayed, rebuild, rebuild_behind};
use crate::snapshot::{Loaded, PassedOver, Search, SnapshotError, SnapshotStore};
use crate::storage::{DirectoryStorage, Storage};

/// Why a venue does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal could not be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The folder of snapshots could not be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The replay ended elsewhere than the recovery: the journal changed in between.
    #[error("the journal was recovered up to command {recovered} but replays up to {replayed}")]
    Changed {
        /// The last command that recovery found.
        recovered: Sequence,
        /// The last command that replay found.
        replayed: Sequence,
    },
}

impl From<ReadError> for StartError {
    fn from(error: ReadError) -> Self {
        Self::Replay(error.into())
    }
}

/// A journal that is open, and the engine behind its last command.
pub struct Start {
    /// The journal.
    pub opened: Opened,
    /// The engine.
    pub engine: Engine,
    /// The digest of all its events, to go on with.
    pub event_digest: EventDigest,
    /// The snapshot that it was restored from; nothing: it was replayed from the first command.
    pub snapshot: Option<Checkpoint>,
    /// Newer snapshots that could not be used.
    pub passed_over: Vec<PassedOver>,
    /// How many commands were replayed.
    pub replayed: u64,
}

impl Start {
    /// What an operator should know, a line each.
    pub fn report(&self) -> Vec<String> {
        let mut lines = self.opened.recovery.report();
        lines.extend(self.passed_over.iter().map(PassedOver::line));
        if let Some(Checkpoint { sequence, .. }) = self.snapshot {
            let words = State::SnapshotGood.decision().reported;
            lines.push(format!("{words}: behind command {sequence}, {} commands replayed", self.replayed));
        }
        lines
    }
}

/// Opens the journal of a folder that this process has locked, and rebuilds its engine.
///
/// # Errors
/// As [`Journal::open_locked`] and [`rebuild`]; and if a snapshot shows that the journal has lost something.
pub fn start_locked(lock: FolderLock, options: &Options) -> Result<Start, StartError> {
    let directory = lock.directory().to_owned();
    let (store, segments) = (options.snapshot_store(&directory), options.segments(&directory));
    let Search { newest, mut passed_over, known } = search(&store, &segments)?;
    let known = newest.as_ref().map(|loaded| loaded.checkpoint).or(known).map(|checkpoint| Known {
        link: checkpoint.link,
        durable: known.map_or(checkpoint.link.last, |known| known.link.last.max(checkpoint.link.last)),
    });
    let opened = Journal::open_locked(lock, &Options { known, ..options.clone() })?;
    let last = opened.recovery.last;
    let (Replayed { engine, event_digest, .. }, snapshot) = replayed(&segments, &store, newest, &mut passed_over)?;
    if engine.last().sequence != last {
        return Err(StartError::Changed { recovered: last, replayed: engine.last().sequence });
    }
    let replayed = last.0 - snapshot.map_or(0, |checkpoint| checkpoint.sequence.0);
    Ok(Start { opened, engine, event_digest, snapshot, passed_over, replayed })
}

/// The newest snapshot of the journal that is there, if there is one.
fn search(store: &SnapshotStore, segments: &Arc<dyn Storage>) -> Result<Search, StartError> {
    match Reader::with_storage(segments.clone())? {
        Some(reader) => Ok(store.newest(reader.identity().journal, Sequence(u64::MAX))?),
        None => no_journal_is_missing(store).map(|()| Search::default()),
    }
}

/// Whether a folder without a journal may be given one: not if snapshots tell of a journal that was there.
///
/// # Errors
/// What tells of it; what kept it from being looked at.
pub fn no_journal_is_missing(store: &SnapshotStore) -> Result<(), StartError> {
    match store.newest_checkpoint()? {
        None => Ok(()),
        Some(checkpoint) => {
            let fault = SnapshotFault::Newer { sequence: checkpoint.link.last, last: Sequence::NONE };
            Err(OpenError::Snapshot { file: store.folder().to_owned(), fault }.into())
        }
    }
}

/// The engine behind the journal's last command, by the newest of `loaded` and what is older that leads there.
fn replayed(
    segments: &Arc<dyn Storage>,
    store: &SnapshotStore,
    mut loaded: Option<Loaded>,
    passed_over: &mut Vec<PassedOver>,
) -> Result<(Replayed, Option<Checkpoint>), StartError> {
    while let Some(Loaded { checkpoint, engine }) = loaded {
        let Checkpoint { journal, sequence, .. } = checkpoint;
        let fault = match reader_behind(segments, &checkpoint)? {
            Ok(reader) => {
                let digest = EventDigest::behind(sequence, checkpoint.event_count, checkpoint.event_digest);
                match rebuild_behind(engine, digest, reader, Sequence(u64::MAX), &mut (), |_| {}) {
                    Ok(replayed) => return Ok((replayed, Some(checkpoint))),
                    Err(ReplayError::Differs { .. }) => SnapshotFault::Differs,
                    Err(error) => return Err(error.into()),
                }
            }
            Err(fault) => fault,
        };
        passed_over.push(PassedOver { file: store.file(sequence), fault });
        let older = store.newest(journal, Sequence(sequence.0 - 1))?;
        passed_over.extend(older.passed_over);
        loaded = older.newest;
    }
    let reader = Reader::with_storage(segments.clone())?.expect("an open journal has a segment");
    Ok((rebuild(reader, &mut (), |_| {})?, None))
}

/// A reader at the first command behind a checkpoint, if the journal is the one that the checkpoint is of.
pub(crate) fn reader_behind(
    segments: &Arc<dyn Storage>,
    checkpoint: &Checkpoint,
) -> Result<Result<Reader, SnapshotFault>, ReadError> {
    let Checkpoint { sequence, link: Link { segment, last, hash }, .. } = *checkpoint;
    let other = Ok(Err(SnapshotFault::OtherHistory { sequence }));
    let numbers = segment_numbers(segments.as_ref())?;
    let Some(numbers) = from_segment(&numbers, segment) else { return other };
    let mut reader = Reader::enter(segments.clone(), numbers)?;
    reader.watch_for(hash, last);
    reader.pass_until(|command| command.stamp.sequence > sequence)?;
    if reader.has_passed(hash) { Ok(Ok(reader)) } else { other }
}

/// Reads a journal from its first byte up to a link, which a start has passed over; false if it was told to stop first.
///
/// `look` is called behind every batch with how many bytes were read, so that who waits for the disk need not wait for
/// this.
///
/// # Errors
/// Damage, as a start from the first command would have found it.
pub fn check_before(
    directory: &Path,
    options: &Options,
    link: Link,
    stop: &AtomicBool,
    mut look: impl FnMut(u64),
) -> Result<bool, ReadError> {
    let folder = || Arc::new(DirectoryStorage::unmapped(directory.join(JOURNAL_FOLDER))) as Arc<dyn Storage>;
    let Some(mut reader) = Reader::with_storage(options.storage.clone().unwrap_or_else(folder))? else {
        return Err(ReadError::NoJournal { directory: directory.to_owned() });
    };
    reader.watch_for(link.hash, link.last);
    while !reader.has_passed(link.hash) {
        if stop.load(Ordering::Acquire) {
            return Ok(false);
        }
        if !reader.next_batch()? {
            return Err(reader.damaged_here(Fault::Lost { durable: link.last }));
        }
        look(reader.batch_bytes());
        reader.check_values()?;
    }
    Ok(true)
}
