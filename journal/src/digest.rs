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

    /// Of `event_count` events whose digest, at the end of a block, is `digest`.
    ///
    /// # Panics
    /// If `sequence` ends no block.
    pub fn behind(sequence: Sequence, event_count: u64, digest: Digest) -> Self {
        assert!(sequence.0.is_multiple_of(BLOCK_COMMANDS), "digests go on behind whole blocks");
        let block = HashSink::behind(digest);
        Self { applied: sequence, event_count, previous: digest, block, completed: Vec::new() }
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

    /// The block that has ended last.
    pub(crate) fn last_block(&self) -> Option<BlockDigest> {
        let ended = (self.applied.0 / BLOCK_COMMANDS).checked_sub(1)?;
        Some(BlockDigest { block: Block(ended), digest: self.previous })
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
        self.block.begin_behind(self.previous);
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
        self.begin(header);
        header.encode(&mut self.block);
        event.encode(&mut self.block);
    }
}

impl EventDigest {
    /// As [`EventSink::event`], of an event whose canonical bytes, the header's in front, are there already.
    ///
    /// # Panics
    /// If its command was said to have ended.
    pub fn event_bytes(&mut self, header: &EventHeader, bytes: &[u8]) {
        self.begin(header);
        self.block.write(bytes);
    }

    fn begin(&mut self, header: &EventHeader) {
        assert!(header.id.sequence > self.applied, "an event behind its command's end");
        self.applied(Sequence(header.id.sequence.0 - 1));
        self.event_count += 1;
    }

    /// Takes events of the block in progress that were encoded elsewhere.
    pub(crate) fn encoded(&mut self, events: &EncodedEvents) {
        self.block.write(events.as_slice());
        self.event_count += events.count;
    }
}

/// The canonical bytes of events, on their way to the thread that hashes them. Used over and over.
#[derive(Debug, Default)]
pub(crate) struct EncodedEvents {
    /// Longer than what is filled by an event at least, so that no field has to look for room.
    bytes: Vec<u8>,
    filled: usize,
    count: u64,
}

/// Bytes of the longest event behind its header.
const EVENT_BYTES_MAX: usize = EventHeader::LENGTH + Event::LENGTH;

impl EncodedEvents {
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
        self.count = 0;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl EventSink for EncodedEvents {
    #[inline]
    fn event(&mut self, header: &EventHeader, event: &Event) {
        if self.bytes.len() - self.filled < EVENT_BYTES_MAX {
            self.bytes.resize(self.bytes.len() + 256 * EVENT_BYTES_MAX, 0);
        }
        let room = self.bytes[self.filled..].first_chunk_mut().expect("there is room");
        let mut cursor = Cursor { room, filled: 0 };
        header.encode(&mut cursor);
        event.encode(&mut cursor);
        self.filled += cursor.filled;
        self.count += 1;
    }
}

/// Where one event is written.
struct Cursor<'a> {
    room: &'a mut [u8; EVENT_BYTES_MAX],
    filled: usize,
}

impl ByteSink for Cursor<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.room[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
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
/// They come a few at a time; the hasher is fed whole buffers. It is fastest with sixteen of its chunks of 1,024 bytes,
/// from a chunk's beginning.
#[derive(Debug)]
pub struct HashSink {
    hasher: blake3::Hasher,
    /// Never full behind a call.
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
        sink.buffer.extend_from_slice(&previous.0);
        sink
    }

    /// The same, with the space that there is.
    fn begin_behind(&mut self, previous: Digest) {
        self.hasher.reset();
        self.buffer.clear();
        self.buffer.extend_from_slice(&previous.0);
        self.total_bytes = 0;
    }

    fn is_empty(&self) -> bool {
        self.total_bytes == 0
    }

    /// What does not fit the buffer: fills and hashes it, and whole buffers behind it where they are.
    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let (fitting, rest) = bytes.split_at(HASH_BUFFER_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(fitting);
        self.hasher.update(&self.buffer);
        self.buffer.clear();
        let (whole, rest) = rest.split_at(rest.len() / HASH_BUFFER_BYTES * HASH_BUFFER_BYTES);
        self.hasher.update(whole);
        self.buffer.extend_from_slice(rest);
    }
}

impl Default for HashSink {
    fn default() -> Self {
        Self::new()
    }
}

impl ByteSink for HashSink {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if bytes.len() < HASH_BUFFER_BYTES - self.buffer.len() {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.spill(bytes);
        }
        self.total_bytes += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_bytes_and_not_of_how_they_come() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at * 31 % 251) as u8).collect();
        let previous = Digest([7; 32]);
        let expected = blake3::Hasher::new().update(&previous.0).update(&bytes).finalize();
        // Around a buffer's end, and several buffers at once.
        for piece in [1, 7, 16_351, 16_352, 16_353, 16_384, 40_000, 100_000] {
            let mut sink = HashSink::behind(previous);
            assert!(sink.is_empty());
            bytes.chunks(piece).for_each(|piece| sink.write(piece));
            assert_eq!(sink.digest().0, *expected.as_bytes(), "pieces of {piece}");
            sink.begin_behind(previous);
            assert!(sink.is_empty());
            sink.write(&bytes);
            assert_eq!(sink.digest().0, *expected.as_bytes(), "again, behind pieces of {piece}");
        }
    }
}
