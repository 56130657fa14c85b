//! Three digests, which say whether two runs agree: of the events, of the state, and of the book.
//!
//! The event digest is a chain over blocks of 1,024 sequences, `d(-1)` being 32 zero bytes:
//!
//! ```text
//! d(k) = BLAKE3( d(k-1) ‖ for each event of the sequences 1,024 k + 1 ..= 1,024 k + 1,024: header ‖ event )
//! ```
//!
//! A block without events still is a link. The last block counts as far as it has come. Hashing lives here and not in
//! the engine, which only streams canonical bytes.

use core::fmt;

use engine::canonical::{ByteSink, Canonical};
use engine::{Engine, Event, EventHeader, EventSink, Sequence};

use crate::checksum::write_hex;
use crate::layout::BLOCK_COMMANDS;

/// A BLAKE3 digest of what a venue did or is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of nothing at all: the event digest before the first command.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// Number of a block of 1,024 sequences, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block(pub u64);

impl Block {
    /// The block that `sequence`, from 1, belongs to.
    pub const fn of(sequence: Sequence) -> Self {
        Self((sequence.0 - 1) / BLOCK_COMMANDS)
    }

    /// The block's last sequence; the largest number there is if it lies beyond.
    pub const fn last(self) -> Sequence {
        Sequence(self.0.saturating_add(1).saturating_mul(BLOCK_COMMANDS))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The event digest at the end of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockDigest {
    /// Which block.
    pub block: Block,
    /// The digest of all events up to its end.
    pub digest: Digest,
}

/// Takes events and keeps their digest.
///
/// It is told of every command by [`applied`](Self::applied), before the events of the next or once behind a batch:
/// an event says itself that every command before its own is done.
///
/// # Examples
///
/// ```
/// use engine::Sequence;
/// use journal::EventDigest;
///
/// let mut digest = EventDigest::new();
/// digest.applied(Sequence(1_500));
/// let blocks: Vec<_> = digest.completed().collect();
/// assert_eq!(blocks.len(), 1);
/// assert_eq!(blocks[0].digest.0, *blake3::hash(&[0; 32]).as_bytes());
/// ```
#[derive(Debug)]
pub struct EventDigest {
    applied: Sequence,
    event_count: u64,
    previous: Digest,
    block: HashSink,
    completed: Vec<BlockDigest>,
}

impl EventDigest {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self {
            applied: Sequence::NONE,
            event_count: 0,
            previous: Digest::ZERO,
            block: HashSink::behind(Digest::ZERO),
            completed: Vec::new(),
        }
    }

    /// All commands up to `sequence` were applied and all of their events taken.
    pub fn applied(&mut self, sequence: Sequence) {
        while self.block_in_progress().last() <= sequence {
            self.complete_block();
        }
        self.applied = self.applied.max(sequence);
    }

    /// The blocks completed since the last call.
    pub fn completed(&mut self) -> impl Iterator<Item = BlockDigest> + '_ {
        self.completed.drain(..)
    }

    /// The digest of all events so far.
    pub fn value(&self) -> Digest {
        if self.applied.0.is_multiple_of(BLOCK_COMMANDS) && self.block.is_empty() {
            self.previous
        } else {
            self.block.digest()
        }
    }

    /// How many events were taken.
    pub fn event_count(&self) -> u64 {
        self.event_count
    }

    fn block_in_progress(&self) -> Block {
        Block::of(self.applied.next())
    }

    fn complete_block(&mut self) {
        let block = self.block_in_progress();
        self.previous = self.block.digest();
        self.block = HashSink::behind(self.previous);
        self.applied = block.last();
        self.completed.push(BlockDigest { block, digest: self.previous });
    }
}

impl Default for EventDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl EventSink for EventDigest {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        assert!(header.id.sequence > self.applied, "an event behind its command's end");
        self.applied(Sequence(header.id.sequence.0 - 1));
        header.encode(&mut self.block);
        event.encode(&mut self.block);
        self.event_count += 1;
    }
}

/// BLAKE3 over the engine's canonical snapshot. Reads the whole state: never on the core thread.
pub fn state_digest(engine: &Engine) -> Digest {
    let mut sink = HashSink::new();
    engine.write_snapshot(&mut sink);
    sink.digest()
}

/// BLAKE3 over client ids, prices, leaves, queue order and balances: equal for runs that differ only in times,
/// sequences and order ids.
pub fn book_digest(engine: &Engine) -> Digest {
    let mut sink = HashSink::new();
    engine.write_book(&mut sink);
    sink.digest()
}

/// Hashes canonical bytes.
///
/// They come a few at a time; the hasher is fed whole buffers, because each call costs it more than eight bytes do.
#[derive(Debug)]
pub struct HashSink {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    total_bytes: u64,
}

const HASH_BUFFER_BYTES: usize = 16_384;

impl HashSink {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self { hasher: blake3::Hasher::new(), buffer: Vec::with_capacity(HASH_BUFFER_BYTES), total_bytes: 0 }
    }

    /// The digest of what was written so far.
    pub fn digest(&self) -> Digest {
        Digest(self.hasher.clone().update(&self.buffer).finalize().into())
    }

    /// Of `previous` and what will be written; `previous` does not count as written.
    fn behind(previous: Digest) -> Self {
        let mut sink = Self::new();
        sink.hasher.update(&previous.0);
        sink
    }

    fn is_empty(&self) -> bool {
        self.total_bytes == 0
    }
}

impl Default for HashSink {
    fn default() -> Self {
        Self::new()
    }
}

impl ByteSink for HashSink {
    fn write(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > HASH_BUFFER_BYTES {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(bytes);
        self.total_bytes += bytes.len() as u64;
    }
}
