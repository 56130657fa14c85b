//! The writer thread: drains the head, makes it durable in groups, and moves the durable watermark.
//!
//! It takes whatever is there, writes it as one batch, syncs, and repeats: the slower the disk, the larger the groups,
//! and no timer is needed. It stops for good at the first failure.

use std::collections::VecDeque;
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
use crate::head::{Head, HeadAppender, HeadDrain};
use crate::journal::Durability;
use crate::layout::{DIGEST_VALUE_BYTES, record_bytes};
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
/// Only [`Journal::close`](crate::Journal::close) writes a seal.
pub struct Appender {
    shared: Arc<Shared>,
    /// Nothing once the appender is being dropped.
    head: Option<HeadAppender>,
    writer: Option<JoinHandle<()>>,
}

impl Appender {
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

/// Starts the writer thread, which keeps `lock` until it ends; gives the core's end.
pub(crate) fn start(
    shared: Arc<Shared>,
    tail: Tail,
    batch: BatchBuilder,
    lock: FolderLock,
    durability: Durability,
) -> std::io::Result<Appender> {
    let writer = Writer {
        rest: (durability == Durability::Buffered).then_some(REST),
        drain: HeadDrain::new(shared.head.clone()),
        tail,
        batch,
        digests: VecDeque::new(),
        shared: shared.clone(),
        _lock: lock,
    };
    let writer = std::thread::Builder::new().name("journal-writer".to_owned()).spawn(move || writer.run())?;
    Ok(Appender { head: Some(HeadAppender::new(shared.head.clone())), shared, writer: Some(writer) })
}

struct Writer {
    /// Between two groups, so that they are few; nothing if somebody waits for what is durable.
    rest: Option<Duration>,
    drain: HeadDrain,
    tail: Tail,
    batch: BatchBuilder,
    /// Handed over, but their blocks are not all on disk.
    digests: VecDeque<BlockDigest>,
    shared: Arc<Shared>,
    /// One process writes; the lock goes with the thread that does.
    _lock: FolderLock,
}

impl Writer {
    fn run(mut self) {
        // A panic here is a bug, and would leave the core waiting for room for ever.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.write_to_the_end())).unwrap_or(Err(WriteError::Panicked));
        if let Err(failure) = outcome {
            // Set once: this is the only place.
            let _ = self.shared.failure.set(Arc::new(failure));
        }
        self.shared.head.freed.poison();
        self.shared.durable.poison();
    }

    fn write_to_the_end(&mut self) -> Result<(), WriteError> {
        while self.drain.wait().is_ok() {
            self.write_group()?;
            if self.drain.is_empty() {
                self.rest.into_iter().for_each(std::thread::sleep);
            }
        }
        match self.shared.seal.get() {
            Some(&event_digest) => self.write_seal(event_digest),
            None => Ok(()),
        }
    }

    /// One batch of what is there.
    fn write_group(&mut self) -> Result<(), WriteError> {
        // Before the commands: what a digest covers was published before it was handed over, so the commands that are
        // taken now, or by a later group, complete its block.
        self.take_digests();
        let room = self.batch.room() - DIGEST_ROOM_BYTES;
        let drain = &mut self.drain;
        self.batch.extend_commands(|payload| drain.take(payload, room));
        self.add_due_digests(DIGEST_ROOM_BYTES);
        self.write_batch()
    }

    fn write_batch(&mut self) -> Result<(), WriteError> {
        let last = Sequence(self.batch.next_sequence().0 - 1);
        self.tail.append(&mut self.batch)?;
        self.drain.mark_durable(last, self.tail.hash());
        self.shared.durable.advance(last.0);
        Ok(())
    }

    /// The digests that are left, the seal, and then the head is not needed any more.
    fn write_seal(&mut self, event_digest: Digest) -> Result<(), WriteError> {
        self.take_digests();
        while self.digests.front().is_some_and(|digest| self.is_due(digest)) {
            self.add_due_digests(DIGEST_ROOM_BYTES);
            self.write_batch()?;
        }
        let last = Sequence(self.batch.next_sequence().0 - 1);
        self.batch.add_seal(&Seal { last, event_digest });
        self.write_batch()?;
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

    fn is_due(&self, digest: &BlockDigest) -> bool {
        is_due(digest, &self.batch)
    }
}

/// Whether the digest's block has ended in or before the batch.
fn is_due(digest: &BlockDigest, batch: &BatchBuilder) -> bool {
    digest.block.last() < batch.next_sequence()
}
