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

/// What a [turn](Shadow::turn) came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Commands are applied, and the history shows their events.
    Applied,
    /// Nothing more is durable yet.
    Nothing,
    /// The history could not be written. All is kept, and the next turn tries it again before it reads more.
    HistoryWaits,
    /// It was asked to end, or the journal has ended and everything is applied.
    Ended,
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
    /// The last command that is applied, while the history has not taken it in.
    unrecorded: Option<Stamp>,
    policy: SnapshotPolicy,
    request: SnapshotRequest,
    last_snapshot: Sequence,
    /// A snapshot that is being restored from and published, beside.
    publishing: Option<JoinHandle<()>>,
}

/// What there was to do without waiting.
enum Step {
    /// Everything up to this command is applied, and recorded.
    Applied(Sequence),
    /// Nothing.
    Nothing,
    /// What was applied is not recorded.
    HistoryWaits(HistoryError),
    /// Nothing, and nothing will be.
    End,
}

/// A snapshot that is on the device, and how long that took.
struct Written {
    unpublished: Unpublished,
    writing: Duration,
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
            unrecorded: None,
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

    /// A part of the same that waits for nothing, and starts no thread: takes what there is, up to a few hundred commands,
    /// applies it, and lets the history take it in. Where a snapshot is due behind that, it is taken and published. `tell` is
    /// told of what happens.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub fn turn(&mut self, mut tell: impl FnMut(ShadowEvent)) -> Result<Followed, ShadowError> {
        match self.step()? {
            Step::Applied(last) => {
                tell(ShadowEvent::Applied(last));
                if self.is_due(last) {
                    let written = self.write_snapshot()?;
                    tell(written.map_or_else(ShadowEvent::SnapshotFailed, |written| publish(&self.policy, written)));
                }
                Ok(Followed::Applied)
            }
            Step::HistoryWaits(error) => {
                tell(ShadowEvent::HistoryWaits(error));
                Ok(Followed::HistoryWaits)
            }
            Step::Nothing => Ok(Followed::Nothing),
            Step::End => Ok(Followed::Ended),
        }
    }

    fn wait_for_publishing(&mut self) {
        if let Some(publishing) = self.publishing.take() {
            publishing.join().expect("publishing does not panic");
        }
    }

    fn follow(&mut self, tell: &Arc<impl Tell>) -> Result<(), ShadowError> {
        loop {
            match self.step()? {
                Step::Applied(last) => {
                    tell(ShadowEvent::Applied(last));
                    if self.is_due(last) {
                        self.take_snapshot(tell)?;
                    }
                }
                Step::HistoryWaits(error) if self.follower.pause(HISTORY_RETRY) => {
                    tell(ShadowEvent::HistoryWaits(error));
                }
                Step::HistoryWaits(error) => return Err(error.into()),
                Step::Nothing if self.follower.wait() => {}
                Step::Nothing | Step::End => return Ok(()),
            }
        }
    }

    /// Reads, applies and records what there is of a run. While the history cannot take it in, nothing more is read.
    fn step(&mut self) -> Result<Step, ShadowError> {
        // Before it is looked whether there is more: behind the end nothing comes.
        let is_ending = self.follower.is_ending();
        if self.unrecorded.is_none() {
            self.read_run()?;
            self.apply()?;
        }
        match self.unrecorded {
            Some(last) => self.record(last),
            None if is_ending => Ok(Step::End),
            None => Ok(Step::Nothing),
        }
    }

    fn read_run(&mut self) -> Result<(), ShadowError> {
        while !self.run_has_ended() && !self.follower.is_asked_to_end() {
            match self.follower.try_next()? {
                Some(Entry::Command(command)) => self.commands.push(command),
                Some(Entry::EventDigest(recorded)) => self.compare(recorded)?,
                Some(Entry::Seal(_)) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Runs end where blocks do, so that a block is recorded before its digest is read, and a snapshot can be taken.
    fn run_has_ended(&self) -> bool {
        let ends_block = |command: &Sequenced<Command>| ends_block(command.stamp.sequence);
        self.commands.len() == RUN_COMMANDS || self.commands.last().is_some_and(ends_block)
    }

    fn apply(&mut self) -> Result<(), ShadowError> {
        if self.commands.is_empty() {
            return Ok(());
        }
        let applied = self.sequencer.replay(&mut self.engine, &self.commands, &mut self.history);
        applied.map_err(|gap| ShadowError::Discontinuity { last: gap.last.sequence, found: gap.found.sequence })?;
        self.commands.clear();
        self.unrecorded = Some(self.sequencer.last());
        Ok(())
    }

    fn record(&mut self, last: Stamp) -> Result<Step, ShadowError> {
        let outcome = self.history.applied(last);
        // Also of what could not be written: behind the next attempt they are said no more.
        self.unsaid.extend(self.history.completed());
        match outcome {
            Err(error) if error.may_pass() => return Ok(Step::HistoryWaits(error)),
            outcome => outcome?,
        }
        self.unrecorded = None;
        let superfluous = self.unsaid.len().saturating_sub(UNSAID_MAX);
        self.unsaid.drain(..superfluous);
        Ok(Step::Applied(last.sequence))
    }

    /// A block whose digest is said is recorded before that; it is not remembered if it ended before the shadow began.
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
        ends_block(last) && last > self.last_snapshot && (scheduled || self.request.is_asked())
    }

    /// Takes a snapshot, which is published beside.
    fn take_snapshot(&mut self, tell: &Arc<impl Tell>) -> Result<(), ShadowError> {
        self.wait_for_publishing();
        match self.write_snapshot()?.and_then(|written| self.start_publishing(written, tell.clone())) {
            Ok(publishing) => self.publishing = Some(publishing),
            Err(error) => tell(ShadowEvent::SnapshotFailed(error)),
        }
        Ok(())
    }

    /// Brings a snapshot to the device.
    fn write_snapshot(&mut self) -> Result<Result<Written, SnapshotError>, ShadowError> {
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
        Ok(written.map(|unpublished| Written { unpublished, writing: begin.elapsed() }))
    }

    fn start_publishing(&self, written: Written, tell: Arc<impl Tell>) -> Result<JoinHandle<()>, SnapshotError> {
        let policy = self.policy.clone();
        let thread = Builder::new().name("snapshot-publish".to_owned()).spawn(move || tell(publish(&policy, written)));
        thread.map_err(|source| SnapshotError::Io { file: self.policy.store.folder().to_owned(), source })
    }
}

/// What came of publishing a snapshot.
fn publish(policy: &SnapshotPolicy, Written { unpublished, writing }: Written) -> ShadowEvent {
    let begin = Instant::now();
    match policy.store.publish(unpublished, policy.keep) {
        Ok(published) => ShadowEvent::Snapshot(Box::new(Taken { published, writing, publishing: begin.elapsed() })),
        Err(error) => ShadowEvent::SnapshotFailed(error),
    }
}

/// Whether a command is the last of its block.
fn ends_block(sequence: Sequence) -> bool {
    sequence.0.is_multiple_of(BLOCK_COMMANDS)
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
