//! Records: a command, an event digest, or a seal, each behind its length, kind and checksum.

use engine::canonical::{ByteSink, Canonical, DecodeError, Reader};
use engine::{Command, Sequence, Sequenced};

use crate::checksum::crc32c;
use crate::digest::{Block, BlockDigest, Digest};
use crate::error::Fault;
use crate::layout::{DIGEST_VALUE_BYTES, RECORD_BYTES_MAX, RECORD_PREFIX_BYTES, record_bytes};

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum RecordKind {
    Command = 1,
    EventDigest = 2,
    Seal = 3,
}

impl RecordKind {
    fn from_code(code: u16) -> Option<Self> {
        [Self::Command, Self::EventDigest, Self::Seal].into_iter().find(|kind| *kind as u16 == code)
    }
}

/// The end of an orderly shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The last command before it.
    pub last: Sequence,
    /// The digest of all events up to there; zero if the venue did not say.
    pub event_digest: Digest,
}

/// What the journal holds, one record at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A command in its place.
    Command(Sequenced<Command>),
    /// The event digest of a block that ended before.
    EventDigest(BlockDigest),
    /// The venue was shut down here.
    Seal(Seal),
}

/// The bytes of one record, on the stack of whoever encodes it.
pub(crate) struct RecordBytes {
    bytes: [u8; RECORD_BYTES_MAX],
    filled: usize,
}

impl RecordBytes {
    /// A command's record, its checksum still zero: the writer thread computes it, not the core.
    pub(crate) fn of_command(command: &Sequenced<Command>) -> Self {
        let mut record = Self::empty();
        command.encode(&mut record);
        record.finish(RecordKind::Command)
    }

    /// An event digest's record, its checksum still zero.
    pub(crate) fn of_event_digest(digest: &BlockDigest) -> Self {
        Self::of_number_and_digest(RecordKind::EventDigest, digest.block.0, digest.digest)
    }

    /// A seal's record, its checksum still zero.
    pub(crate) fn of_seal(seal: &Seal) -> Self {
        Self::of_number_and_digest(RecordKind::Seal, seal.last.0, seal.event_digest)
    }

    /// Prefix, value and padding.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    fn of_number_and_digest(kind: RecordKind, number: u64, digest: Digest) -> Self {
        let mut record = Self::empty();
        record.write(&number.to_le_bytes());
        record.write(&digest.0);
        record.finish(kind)
    }

    fn empty() -> Self {
        Self { bytes: [0; RECORD_BYTES_MAX], filled: RECORD_PREFIX_BYTES }
    }

    fn finish(mut self, kind: RecordKind) -> Self {
        let value_bytes = self.filled - RECORD_PREFIX_BYTES;
        let length = u16::try_from(value_bytes).expect("asserted where the layout is drawn");
        self.bytes[0..2].copy_from_slice(&length.to_le_bytes());
        self.bytes[2..4].copy_from_slice(&(kind as u16).to_le_bytes());
        self.filled = record_bytes(value_bytes);
        self
    }
}

impl ByteSink for RecordBytes {
    fn write(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.bytes[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }
}

/// Bytes of the record whose first word this is.
pub(crate) fn record_bytes_from_prefix(prefix: &[u8; RECORD_PREFIX_BYTES]) -> usize {
    record_bytes(usize::from(u16::from_le_bytes([prefix[0], prefix[1]])))
}

/// Fills in a record's checksum.
pub(crate) fn seal_checksum(record: &mut [u8]) {
    let checksum = crc32c(&[&record[..4], &record[RECORD_PREFIX_BYTES..]]);
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// A record whose frame was found whole: length, kind and checksum agree with its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordView<'a> {
    kind: RecordKind,
    /// Prefix, value and padding.
    bytes: &'a [u8],
    value: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The record at the front of `payload`, its checksum verified; `index` is its place in the batch.
    ///
    /// The checksum comes before the kind: a kind that is not known is told apart from bytes that were never written.
    pub(crate) fn parse(payload: &'a [u8], index: u32) -> Result<Self, Fault> {
        let bytes = framed(payload, index)?;
        let stored = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        if stored != crc32c(&[&bytes[..4], &bytes[RECORD_PREFIX_BYTES..]]) {
            return Err(Fault::RecordChecksum { index });
        }
        Self::of_bytes(bytes, index)
    }

    /// The same without its checksum: for the head, whose records have none yet.
    pub(crate) fn frame(payload: &'a [u8], index: u32) -> Result<Self, Fault> {
        Self::of_bytes(framed(payload, index)?, index)
    }

    fn of_bytes(bytes: &'a [u8], index: u32) -> Result<Self, Fault> {
        let [value_bytes, code] = [[bytes[0], bytes[1]], [bytes[2], bytes[3]]].map(u16::from_le_bytes);
        let kind = RecordKind::from_code(code).ok_or(Fault::RecordKind { index, kind: code })?;
        let value_bytes = usize::from(value_bytes);
        let (value, padding) = bytes[RECORD_PREFIX_BYTES..].split_at(value_bytes);
        if kind != RecordKind::Command && value_bytes != DIGEST_VALUE_BYTES
            || value_bytes < size_of::<u64>()
            || padding.iter().any(|&byte| byte != 0)
        {
            return Err(Fault::RecordValue { index });
        }
        Ok(Self { kind, bytes, value })
    }

    /// What it holds.
    pub(crate) fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Prefix, value and padding.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The canonical bytes.
    pub(crate) fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The number that every value begins with: a command's or seal's sequence, or a block.
    pub(crate) fn number(&self) -> u64 {
        u64::from_le_bytes(*self.value.first_chunk().expect("the frame was checked"))
    }

    /// The value, decoded.
    pub(crate) fn entry(&self) -> Result<Entry, DecodeError> {
        Ok(match self.kind {
            RecordKind::Command => Entry::Command(self.command()?),
            RecordKind::EventDigest => Entry::EventDigest(self.block_digest()),
            RecordKind::Seal => Entry::Seal(self.seal()),
        })
    }

    /// The value, decoded as a command.
    pub(crate) fn command(&self) -> Result<Sequenced<Command>, DecodeError> {
        let mut reader = Reader::new(self.value);
        let command = reader.read()?;
        reader.finish()?;
        Ok(command)
    }

    /// The value as an event digest, whose length the frame has.
    pub(crate) fn block_digest(&self) -> BlockDigest {
        BlockDigest { block: Block(self.number()), digest: self.digest() }
    }

    /// The value as a seal, whose length the frame has.
    pub(crate) fn seal(&self) -> Seal {
        Seal { last: Sequence(self.number()), event_digest: self.digest() }
    }

    fn digest(&self) -> Digest {
        Digest(*self.value.last_chunk().expect("the frame was checked"))
    }
}

/// The bytes of the record at the front of `payload`, as long as its prefix says.
fn framed(payload: &[u8], index: u32) -> Result<&[u8], Fault> {
    let prefix = payload.first_chunk::<RECORD_PREFIX_BYTES>().ok_or(Fault::RecordFrame { index })?;
    payload.get(..record_bytes_from_prefix(prefix)).ok_or(Fault::RecordFrame { index })
}
