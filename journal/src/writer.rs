//! The writer: drains the head, makes it durable in groups, and moves the durable watermark.
//!
//! It takes whatever is there, writes it as one batch, syncs, and repeats: the slower the disk, the larger the groups,
//! and no timer is needed. It stops for good at the first failure. A thread takes its steps, or whoever works [in
//! turns](crate::Hands).

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_queue::SegQueue;
use engine::{Command, Sequence, Sequenced};
use ring::{Poisoned, REST, Watermark};

use crate::batch::BatchBuilder;
use crate::digest::{BlockDigest, Digest};
use crate::error::{AppendError, WriteError};
use crate::hands::{Hands, Wrote};
use crate::head::{Head, HeadAppender, HeadDrain, There};
use crate::journal::Durability;
use crate::layout::{DIGEST_VALUE_BYTES, RECORD_BYTES_MAX, record_bytes};
use crate::record::Seal;
use crate::recovery::FolderLock;
use crate::sequencer::Append;
use crate::space::Space;
use crate::tail::Tail;

/// Payload kept free of commands, for digests and the seal. The largest batch ends 19 blocks, so that digests never
/// pile up behind commands.
const DIGEST_ROOM_BYTES: usize = 32 * record_bytes(DIGEST_VALUE_BYTES);

/// What the threads around a journal share.
pub(crate) struct Shared {
    /// The last durable sequence. Poisoned: nothing more becomes durable.
    pub(crate) durable: Arc<Watermark>,
    pub(crate) head: Arc<Head>,
    pub(crate) space: Space,
    pub(crate) digests: DigestQueue,
    /// Set by an orderly shutdown before the appender goes.
    pub(crate) seal: OnceLock<Digest>,
    pub(crate) failure: OnceLock<Arc<WriteError>>,
    /// Nothing until somebody watches.
    pub(crate) watch: OnceLock<GroupWatch>,
}

/// What the writer made durable at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Commands; none in a group of digests or the seal.
    pub commands: u64,
    /// Bytes on disk, the frame and the padding with them.
    pub bytes: u64,
    /// Before it was written, by the counter of whoever watches.
    pub begun: u64,
    /// When the disk had it.
    pub synced: u64,
}

/// Who is told of every group, and by what counter its times are told: the crate itself reads no clock.
pub(crate) struct GroupWatch {
    pub(crate) ticks: fn() -> u64,
    pub(crate) told: Box<dyn Fn(&Group) + Send + Sync>,
}

/// Hands event digests to the writer, which stores them once their blocks are.
///
/// Digests are computed off the core, and a block has 1,024 commands: the queue is as long as the digester is ahead of
/// the disk, which the head bounds.
#[derive(Debug, Clone, Default)]
pub struct DigestQueue {
    queue: Arc<SegQueue<BlockDigest>>,
}

impl DigestQueue {
    /// Hands over the digest of a block, in ascending order. It is written with the next batch, or with the seal.
    pub fn push(&self, digest: BlockDigest) {
        self.queue.push(digest);
    }
}

/// The core's end of the journal: appends commands to the head.
///
/// Dropping it ends the journal: the writer makes durable what was published, then stops, and the drop waits for that.
/// Only [`Journal::close`](crate::Journal::close) writes a seal. In turns nobody is waited for: what was published is then
/// for the [`Hands`] to write.
pub struct Appender {
    shared: Arc<Shared>,
    /// Nothing once the appender is being dropped.
    head: Option<HeadAppender>,
    /// Nothing in turns.
    writer: Option<JoinHandle<()>>,
    /// In turns, until they are taken.
    hands: Option<Box<Hands>>,
}

impl Appender {
    /// Starts the writer's thread, which keeps the folder's lock until it ends.
    pub(crate) fn start(shared: Arc<Shared>, writer: Writer) -> io::Result<Self> {
        let writer = std::thread::Builder::new().name("journal-writer".to_owned()).spawn(move || writer.run())?;
        let head = HeadAppender::new(shared.head.clone());
        Ok(Self { shared, head: Some(head), writer: Some(writer), hands: None })
    }

    /// The caller works.
    pub(crate) fn in_turns(shared: Arc<Shared>, hands: Hands) -> Self {
        let head = HeadAppender::in_turns(shared.head.clone());
        Self { shared, head: Some(head), writer: None, hands: Some(Box::new(hands)) }
    }

    /// What the journal's work is done with in [turns](crate::Labour::Turns), the first time; nothing if threads do it.
    /// Hands that nobody takes go with the appender.
    pub fn take_hands(&mut self) -> Option<Hands> {
        self.hands.take().map(|hands| *hands)
    }

    /// Whether so many commands, of whichever kind, can be appended without waiting. So they can once the writer has
    /// stopped: then they are refused.
    pub fn has_room_for(&self, commands: usize) -> bool {
        let bytes = (commands as u64).saturating_mul(RECORD_BYTES_MAX as u64);
        self.head.as_ref().is_some_and(|head| head.has_room_for(bytes))
    }

    pub(crate) fn has_thread(&self) -> bool {
        self.writer.is_some()
    }

    pub(crate) fn has_hands(&self) -> bool {
        self.hands.is_some()
    }

    pub(crate) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    fn head(&mut self) -> &mut HeadAppender {
        self.head.as_mut().expect("taken only by drop")
    }

    fn explain(&self, _: Poisoned) -> AppendError {
        let failure = self.shared.failure.get().cloned();
        AppendError::Poisoned(failure.expect("the writer says why before it poisons, and outlives the appender"))
    }
}

impl Append for Appender {
    fn append(&mut self, command: &Sequenced<Command>) -> Result<(), AppendError> {
        self.head().append(command).map_err(|poisoned| self.explain(poisoned))
    }

    fn publish(&mut self) -> Result<(), AppendError> {
        self.head().publish().map_err(|poisoned| self.explain(poisoned))
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.shared.space.finish();
        drop(self.head.take());
        if let Some(writer) = self.writer.take() {
            // A panic of the writer is in `failure`.
            let _ = writer.join();
        }
    }
}

/// What drains the head.
pub(crate) struct Writer {
    /// Between two groups, so that they are few; nothing if somebody waits for what is durable.
    rest: Option<Duration>,
    drain: HeadDrain,
    tail: Tail,
    batch: BatchBuilder,
    /// Handed over, but their blocks are not all on disk.
    digests: VecDeque<BlockDigest>,
    /// Whether the seal is in the batch, or behind it.
    is_sealed: bool,
    shared: Arc<Shared>,
    /// One process writes; the lock goes with the writer.
    _lock: FolderLock,
}

impl Writer {
    /// Keeps `lock` until it is dropped.
    pub(crate) fn new(
        shared: Arc<Shared>,
        tail: Tail,
        batch: BatchBuilder,
        lock: FolderLock,
        durability: Durability,
    ) -> Self {
        Self {
            rest: (durability == Durability::Buffered).then_some(REST),
            drain: HeadDrain::new(shared.head.clone()),
            tail,
            batch,
            digests: VecDeque::new(),
            is_sealed: false,
            shared,
            _lock: lock,
        }
    }

    /// Writes one group, or a part of the end, without waiting for anything but the disk.
    pub(crate) fn step(&mut self) -> Result<Wrote, WriteError> {
        // Else it is the batch that waits for a spare.
        if self.batch.is_empty() {
            match (self.drain.look(), self.shared.seal.get()) {
                (There::Records, _) => self.gather_group(),
                (There::Nothing, _) => return Ok(Wrote::Nothing),
                (There::End, Some(&event_digest)) if !self.is_sealed => self.gather_end(event_digest),
                (There::End, _) => return Ok(Wrote::Ended),
            }
        }
        self.write_batch()
    }

    /// Says why it has ended, if it has failed. Nothing more becomes durable.
    pub(crate) fn end(&self, outcome: Result<(), WriteError>) {
        if let Err(failure) = outcome {
            // Set once: a writer ends once.
            let _ = self.shared.failure.set(Arc::new(failure));
        }
        self.shared.head.freed.poison();
        self.shared.durable.poison();
    }

    fn run(mut self) {
        // A panic here is a bug, and would leave the core waiting for room for ever.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.write_to_the_end())).unwrap_or(Err(WriteError::Panicked));
        self.end(outcome);
    }

    fn write_to_the_end(&mut self) -> Result<(), WriteError> {
        loop {
            match self.step()? {
                Wrote::Group if self.drain.is_empty() => self.rest.into_iter().for_each(std::thread::sleep),
                Wrote::Group => {}
                Wrote::Nothing => {
                    // Whether there is something or never will be: the next step looks.
                    let _ = self.drain.wait();
                }
                Wrote::WaitsForSpare => self.tail.wait_for_spare(),
                Wrote::Ended => return Ok(()),
            }
        }
    }

    /// One batch of what is there.
    fn gather_group(&mut self) {
        // Before the commands: what a digest covers was published before it was handed over, so the commands that are
        // taken now, or by a later group, complete its block.
        self.take_digests();
        let room = self.batch.room() - DIGEST_ROOM_BYTES;
        let drain = &mut self.drain;
        self.batch.extend_commands(|payload| drain.take(payload, room));
        self.add_due_digests(DIGEST_ROOM_BYTES);
    }

    /// Behind the last command: the digests that are left, and then the seal.
    fn gather_end(&mut self, event_digest: Digest) {
        self.take_digests();
        self.add_due_digests(DIGEST_ROOM_BYTES);
        if self.batch.is_empty() {
            let last = Sequence(self.batch.next_sequence().0 - 1);
            self.batch.add_seal(&Seal { last, event_digest });
            self.is_sealed = true;
        }
    }

    fn write_batch(&mut self) -> Result<Wrote, WriteError> {
        let last = Sequence(self.batch.next_sequence().0 - 1);
        let (commands, bytes) = (self.batch.next_sequence().0 - self.batch.first().0, self.tail.bytes_of(&self.batch));
        let watch = self.shared.watch.get();
        let begun = watch.map(|watch| (watch.ticks)());
        if !self.tail.append(&mut self.batch)? {
            return Ok(Wrote::WaitsForSpare);
        }
        let synced = watch.map(|watch| (watch.ticks)());
        self.drain.mark_durable(last, self.tail.hash());
        self.shared.durable.advance(last.0);
        // Behind the advance: nobody waits for this.
        if let (Some(watch), Some(begun), Some(synced)) = (watch, begun, synced) {
            (watch.told)(&Group { commands, bytes, begun, synced });
        }
        if self.is_sealed { self.remove_head().map(|()| Wrote::Ended) } else { Ok(Wrote::Group) }
    }

    /// Behind the seal it is not needed any more.
    fn remove_head(&self) -> Result<(), WriteError> {
        let head = self.drain.head();
        head.remove().map_err(|source| WriteError::Failed {
            file: head.path().to_owned(),
            offset: 0,
            operation: "removing the head",
            source,
        })
    }

    fn take_digests(&mut self) {
        while let Some(digest) = self.shared.digests.queue.pop() {
            self.digests.push_back(digest);
        }
    }

    fn add_due_digests(&mut self, room: usize) {
        let mut left = room / record_bytes(DIGEST_VALUE_BYTES);
        while let Some(digest) = self.digests.pop_front_if(|digest| left > 0 && is_due(digest, &self.batch)) {
            self.batch.add_event_digest(&digest);
            left -= 1;
        }
    }
}

/// Whether the digest's block has ended in or before the batch.
fn is_due(digest: &BlockDigest, batch: &BatchBuilder) -> bool {
    digest.block.last() < batch.next_sequence()
}
