//! The shadow: an engine of its own beside the core, which lives from the journal alone.
//!
//! It follows what is durable, applies it, and knows so everything that the core knew, a moment later and on another
//! thread. From it come what would hold up the core: the event history, and snapshots. Where the journal says the digest
//! of the core's events, the shadow's are compared with it: a venue whose core and replay part is told of it while it
//! runs, and not when it needs the replay.
//!
//! ```text
//!   core ─► head ─► writer ─► segments, durable ─► Follower ─► shadow engine ─► events ─► HistoryWriter
//!                                                                 │
//!                                                                 └─► at a block's end, when due: snapshot, checkpoint
//! ```
//!
//! Snapshots are taken where blocks of 1,024 commands end, so that the event digest goes on from 32 bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use engine::{Command, Engine, Sequence, Sequenced, Stamp};

use crate::checkpoint::Checkpoint;
use crate::digest::{Block, BlockDigest, Digest};
use crate::error::ReadError;
use crate::follow::{Follower, StopFollowing};
use crate::history::{HistoryError, HistoryWriter};
use crate::journal::JournalSource;
use crate::layout::BLOCK_COMMANDS;
use crate::record::Entry;
use crate::seek::Seek;
use crate::segment::Identity;
use crate::sequencer::{Discard, Sequencer};
use crate::snapshot::{Keep, Published, SnapshotError, SnapshotStore, Unpublished};
use crate::start::StartError;
use crate::storage::Storage;
use crate::travel::{Origin, nearest_in};

/// When snapshots are taken, how many are kept, and who signs.
#[derive(Clone)]
pub struct SnapshotPolicy {
    /// Where they are.
    pub store: SnapshotStore,
    /// One is due behind so many commands; none: only when one is asked for.
    pub every: Option<u64>,
    /// How many are kept.
    pub keep: Keep,
    /// What checkpoints are signed with.
    pub key: SigningKey,
}

/// Why a shadow cannot go on. The core is not touched by it.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// It could not begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The event history cannot be written, or is not what it was.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Core and shadow have applied the same commands, and their events differ.
    #[error(
        "the events of block {block} have digest {computed} when they are replayed, the core said {recorded}: core and \
         replay do not agree; keep the journal and report it"
    )]
    Differs {
        /// The block of 1,024 commands.
        block: Block,
        /// What the core said.
        recorded: Digest,
        /// What the shadow has.
        computed: Digest,
    },
    /// A command does not follow the one before.
    #[error("command {found} does not follow command {last}: keep the journal and report it")]
    Discontinuity {
        /// The command before.
        last: Sequence,
        /// The command found.
        found: Sequence,
    },
}

/// Something to be told.
#[derive(Debug)]
pub enum ShadowEvent {
    /// All commands up to this one are applied, and the history shows their events.
    Applied(Sequence),
    /// The event history could not be written. All is kept, and it is tried again.
    HistoryWaits(HistoryError),
    /// A snapshot was taken.
    Snapshot(Box<Taken>),
    /// A snapshot was not taken; the next is tried when it is due.
    SnapshotFailed(SnapshotError),
}

/// A snapshot that was taken, and what it cost.
#[derive(Debug)]
pub struct Taken {
    /// What there is now.
    pub published: Published,
    /// How long the shadow stood still.
    pub writing: Duration,
    /// How long it took to restore an engine from it and to publish it, beside.
    pub publishing: Duration,
}

/// Asks for a snapshot at the next block's end, from any thread.
#[derive(Debug, Clone, Default)]
pub struct SnapshotRequest(Arc<AtomicBool>);

impl SnapshotRequest {
    /// One is wanted.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// An engine that follows a journal.
pub struct Shadow {
    engine: Engine,
    sequencer: Sequencer<Discard>,
    /// Of blocks whose digest the journal has not said yet.
    unsaid: VecDeque<BlockDigest>,
    history: HistoryWriter,
    identity: Identity,
    follower: Follower,
    /// Commands that were read and are not applied yet.
    commands: Vec<Sequenced<Command>>,
    policy: SnapshotPolicy,
    request: SnapshotRequest,
    last_snapshot: Sequence,
    /// A snapshot that is being restored from and published, beside.
    publishing: Option<JoinHandle<()>>,
}

/// Commands that are applied at once: enough that the archive is told seldom, few enough that it is told soon.
const RUN_COMMANDS: usize = 256;

/// How long it waits before it tries again to write the history.
const HISTORY_RETRY: Duration = Duration::from_secs(1);

/// Blocks whose digest is remembered until the journal says it. A journal that says none, as nobody computes it, is none
/// to compare with.
const UNSAID_MAX: usize = 65_536;

impl Shadow {
    /// A shadow behind the newest snapshot at or before what `history` holds, or at the beginning.
    ///
    /// # Errors
    /// If the journal or its snapshots cannot be read, or the history says something else than a snapshot.
    pub fn begin(
        journal: &JournalSource,
        policy: SnapshotPolicy,
        request: SnapshotRequest,
        mut history: HistoryWriter,
    ) -> Result<Self, ShadowError> {
        let Origin { engine, .. } = origin(journal, &policy.store, &mut history)?;
        let last = engine.last().sequence;
        let follower = journal.follow(Seek::Sequence(last.next()))?;
        let last_snapshot = policy.store.newest_of(journal.identity().journal).map_err(StartError::from)?;
        let sequencer = Sequencer::new(Discard, engine.last());
        Ok(Self {
            engine,
            sequencer,
            unsaid: VecDeque::new(),
            history,
            identity: *journal.identity(),
            follower,
            commands: Vec::with_capacity(RUN_COMMANDS),
            policy,
            request,
            last_snapshot,
            publishing: None,
        })
    }

    /// What asks it to end.
    pub fn stop_handle(&self) -> StopFollowing {
        self.follower.stop_handle()
    }

    /// Follows until it is asked to end, or the journal does. A snapshot that is being published is waited for. `tell` is
    /// told of what happens, from this thread and from the one that publishes.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub fn run(mut self, tell: impl Fn(ShadowEvent) + Send + Sync + 'static) -> Result<(), ShadowError> {
        let outcome = self.follow(&Arc::new(tell));
        self.wait_for_publishing();
        outcome
    }

    fn wait_for_publishing(&mut self) {
        if let Some(publishing) = self.publishing.take() {
            publishing.join().expect("publishing does not panic");
        }
    }

    fn follow(&mut self, tell: &Arc<impl Tell>) -> Result<(), ShadowError> {
        while let Some(entry) = self.next_entry(tell)? {
            match entry {
                Entry::Command(command) => {
                    self.commands.push(command);
                    let ends_block = command.stamp.sequence.0.is_multiple_of(BLOCK_COMMANDS);
                    if ends_block || self.commands.len() == RUN_COMMANDS {
                        self.apply(tell)?;
                    }
                }
                Entry::EventDigest(recorded) => {
                    self.apply(tell)?;
                    self.compare(recorded)?;
                }
                Entry::Seal(_) => self.apply(tell)?,
            }
        }
        self.apply(tell)
    }

    /// What there is; applies what was read before it waits for more.
    fn next_entry(&mut self, tell: &Arc<impl Tell>) -> Result<Option<Entry>, ShadowError> {
        if self.follower.is_asked_to_end() {
            return Ok(None);
        }
        if let Some(entry) = self.follower.try_next()? {
            return Ok(Some(entry));
        }
        self.apply(tell)?;
        Ok(self.follower.next().transpose()?)
    }

    fn apply(&mut self, tell: &Arc<impl Tell>) -> Result<(), ShadowError> {
        if self.commands.is_empty() {
            return Ok(());
        }
        let applied = self.sequencer.replay(&mut self.engine, &self.commands, &mut self.history);
        applied.map_err(|gap| ShadowError::Discontinuity { last: gap.last.sequence, found: gap.found.sequence })?;
        self.commands.clear();
        let last = self.sequencer.last();
        self.record(last, tell)?;
        tell(ShadowEvent::Applied(last.sequence));
        if last.sequence.0.is_multiple_of(BLOCK_COMMANDS) && self.is_due(last.sequence) {
            self.take_snapshot(tell)?;
        }
        Ok(())
    }

    /// Lets the history take in what was applied. While it cannot, nothing more is applied.
    fn record(&mut self, last: Stamp, tell: &Arc<impl Tell>) -> Result<(), ShadowError> {
        while let Err(error) = self.history.applied(last) {
            if !error.may_pass() || !self.follower.pause(HISTORY_RETRY) {
                return Err(error.into());
            }
            tell(ShadowEvent::HistoryWaits(error));
        }
        self.unsaid.extend(self.history.completed());
        let superfluous = self.unsaid.len().saturating_sub(UNSAID_MAX);
        self.unsaid.drain(..superfluous);
        Ok(())
    }

    /// A block whose digest is said ended before it is said; it is not remembered if it ended before the shadow began.
    fn compare(&mut self, recorded: BlockDigest) -> Result<(), ShadowError> {
        while let Some(&computed) = self.unsaid.front().filter(|computed| computed.block <= recorded.block) {
            self.unsaid.pop_front();
            if computed.block == recorded.block && computed.digest != recorded.digest {
                let BlockDigest { block, digest: recorded } = recorded;
                return Err(ShadowError::Differs { block, recorded, computed: computed.digest });
            }
        }
        Ok(())
    }

    fn is_due(&self, last: Sequence) -> bool {
        let scheduled = self.policy.every.is_some_and(|every| last.0 >= self.last_snapshot.0.saturating_add(every));
        last > self.last_snapshot && (scheduled || self.request.is_asked())
    }

    fn take_snapshot(&mut self, tell: &Arc<impl Tell>) -> Result<(), ShadowError> {
        self.wait_for_publishing();
        self.history.sync()?;
        let Stamp { sequence, time } = self.engine.last();
        let checkpoint = Checkpoint {
            journal: self.identity.journal,
            venue: self.identity.venue,
            shard: self.identity.shard,
            sequence,
            time,
            event_count: self.history.event_digest().event_count(),
            event_digest: self.history.event_digest().value(),
            state_digest: Digest::ZERO,
            link: self.follower.link(),
        };
        // Whether it works or not: the next is due as far behind this one.
        self.last_snapshot = sequence;
        self.request.clear();
        let begin = Instant::now();
        let written = self.policy.store.write(&self.engine, checkpoint, &self.policy.key);
        let writing = begin.elapsed();
        match written.and_then(|unpublished| self.start_publishing(unpublished, writing, tell.clone())) {
            Ok(publishing) => self.publishing = Some(publishing),
            Err(error) => tell(ShadowEvent::SnapshotFailed(error)),
        }
        Ok(())
    }

    fn start_publishing(
        &self,
        unpublished: Unpublished,
        writing: Duration,
        tell: Arc<impl Tell>,
    ) -> Result<JoinHandle<()>, SnapshotError> {
        let SnapshotPolicy { store, keep, .. } = self.policy.clone();
        let publish = move || {
            let begin = Instant::now();
            tell(match store.publish(unpublished, keep) {
                Ok(published) => {
                    let publishing = begin.elapsed();
                    ShadowEvent::Snapshot(Box::new(Taken { published, writing, publishing }))
                }
                Err(error) => ShadowEvent::SnapshotFailed(error),
            });
        };
        let thread = Builder::new().name("snapshot-publish".to_owned()).spawn(publish);
        thread.map_err(|source| SnapshotError::Io { file: self.policy.store.folder().to_owned(), source })
    }
}

/// Where the shadow begins: no snapshot counts that says something else than the history.
fn origin(journal: &JournalSource, store: &SnapshotStore, history: &mut HistoryWriter) -> Result<Origin, ShadowError> {
    let segments: Arc<dyn Storage> = journal.storage.clone();
    let mut at_most = history.last();
    loop {
        let (origin, _) = nearest_in(&segments, store, at_most)?.expect("an open journal has a segment");
        let Sequence(last) = origin.engine.last().sequence;
        match history.begin(Sequence(last), origin.event_digest.event_count(), origin.event_digest.value()) {
            Err(HistoryError::Differs { .. }) if last > 0 => at_most = Sequence(last - 1),
            begun => return Ok(begun.map(|()| origin)?),
        }
    }
}

/// Who is told, on any thread.
trait Tell: Fn(ShadowEvent) + Send + Sync + 'static {}

impl<T: Fn(ShadowEvent) + Send + Sync + 'static> Tell for T {}
