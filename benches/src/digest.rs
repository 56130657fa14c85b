//! Digests of what an engine did and of what it has become.
//!
//! The boundary is [`state_digest`], [`book_digest`] and [`EventDigest`]; nothing else hashes.

use engine::canonical::{ByteSink, Canonical};
use engine::{Engine, Event, EventHeader, EventSink, Sequence};

/// Sequences in one block of the event digest.
const BLOCK_SEQUENCES: u64 = 1_024;

/// A BLAKE3 hash; prints as lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest of the canonical snapshot: equal states, equal digests.
pub fn state_digest(engine: &Engine) -> Digest {
    let mut hasher = Hasher(blake3::Hasher::new());
    engine.write_snapshot(&mut hasher);
    hasher.finish()
}

/// The digest of client ids, prices, leaves, queue order and balances, by which two runs can be compared.
pub fn book_digest(engine: &Engine) -> Digest {
    let mut hasher = Hasher(blake3::Hasher::new());
    engine.write_book(&mut hasher);
    hasher.finish()
}

/// Digest of all events: d(k) = BLAKE3(d(k−1) ‖ canonical events of 1,024 sequences), the last block as it stands.
pub struct EventDigest {
    block: u64,
    hasher: Hasher,
}

impl EventDigest {
    /// Of no events yet.
    pub fn new() -> Self {
        Self { block: 0, hasher: Hasher::following(Digest([0; 32])) }
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> Digest {
        self.hasher.finish()
    }

    fn enter_block_of(&mut self, sequence: Sequence) {
        let block = sequence.0.saturating_sub(1) / BLOCK_SEQUENCES;
        while self.block < block {
            self.hasher = Hasher::following(self.hasher.finish());
            self.block += 1;
        }
    }
}

impl Default for EventDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl EventSink for EventDigest {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.enter_block_of(header.id.sequence);
        header.encode(&mut self.hasher);
        event.encode(&mut self.hasher);
    }
}

struct Hasher(blake3::Hasher);

impl Hasher {
    fn following(previous: Digest) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&previous.0);
        Self(hasher)
    }

    fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl ByteSink for Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
