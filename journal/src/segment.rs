//! Segment headers: whose journal this is, what came before, and what an engine needs to replay it.

use core::fmt;

use engine::canonical::{Canonical, Reader};
use engine::{Capacity, Sequence};

use crate::checksum::{ChainHash, crc32c, write_hex};
use crate::error::Fault;
use crate::layout::{
    ALIGNMENT_MAX, ALIGNMENT_MIN, FORMAT_VERSION, SEGMENT_CHECKSUM_AT, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC,
};

/// A journal's random name: which head belongs to which journal, and which segments belong together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JournalId(pub [u8; 16]);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// What every segment of one journal agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Batches start at multiples of this many bytes.
    pub alignment: u32,
    /// The venue's number.
    pub venue: u32,
    /// Which of the venue's cores.
    pub shard: u32,
    /// The journal's random name.
    pub journal: JournalId,
    /// The version of the matching rules that a new engine starts with.
    pub behaviour: u32,
    /// What the engine carries at most.
    pub capacity: Capacity,
}

/// Number of a segment, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentNumber(pub u64);

impl SegmentNumber {
    /// Where every journal begins.
    pub const FIRST: Self = Self(1);

    /// The one behind.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The segment's file.
    pub fn file_name(self) -> String {
        format!("{:08}{SEGMENT_SUFFIX}", self.0)
    }

    /// The file in which it is made ready.
    pub(crate) fn spare_name(self) -> String {
        format!("{:08}{SPARE_SUFFIX}", self.0)
    }

    /// The segment whose file has this name; nothing unless it is spelled as [`file_name`](Self::file_name) spells it.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let number = Self(name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok()?);
        (number >= Self::FIRST && number.file_name() == name).then_some(number)
    }
}

/// How segment files end.
pub(crate) const SEGMENT_SUFFIX: &str = ".seg";
/// How files end that are being made ready.
pub(crate) const SPARE_SUFFIX: &str = ".spare";
/// How segments end that were set aside because their header never became whole.
pub(crate) const CUT_SUFFIX: &str = ".cut";

/// The first 4,096 bytes of a segment, in terms of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The same in all segments.
    pub identity: Identity,
    /// The term in which it was begun.
    pub term: u64,
    /// Its number.
    pub number: SegmentNumber,
    /// The first command that it may hold.
    pub first: Sequence,
    /// The hash of the link before.
    pub previous: ChainHash,
}

impl SegmentHeader {
    /// The header's bytes, which are a link of the chain.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        FORMAT_VERSION.encode(&mut bytes);
        0_u16.encode(&mut bytes);
        self.identity.alignment.encode(&mut bytes);
        self.identity.venue.encode(&mut bytes);
        self.identity.shard.encode(&mut bytes);
        self.term.encode(&mut bytes);
        self.identity.journal.0.encode(&mut bytes);
        self.number.0.encode(&mut bytes);
        self.first.encode(&mut bytes);
        self.previous.0.encode(&mut bytes);
        self.identity.behaviour.encode(&mut bytes);
        self.identity.capacity.encode(&mut bytes);
        bytes.resize(SEGMENT_CHECKSUM_AT, 0);
        crc32c(&[&bytes]).encode(&mut bytes);
        bytes
    }

    /// The header at the front of a segment's bytes, its checksum verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let header = bytes.first_chunk::<SEGMENT_HEADER_BYTES>().ok_or(Fault::FileEnds)?;
        if header[..8] != SEGMENT_MAGIC {
            return Err(Fault::SegmentMagic);
        }
        let (covered, checksum) = header.split_at(SEGMENT_CHECKSUM_AT);
        if checksum != crc32c(&[covered]).to_le_bytes() {
            return Err(Fault::SegmentChecksum);
        }
        Self::decode_fields(&covered[8..]).ok_or(Fault::SegmentHeader)?
    }

    /// The header's hash, which the segment's first batch carries.
    pub(crate) fn hash(bytes: &[u8]) -> ChainHash {
        ChainHash::of_link(&bytes[..SEGMENT_HEADER_BYTES])
    }

    /// Nothing when a field is out of range.
    fn decode_fields(bytes: &[u8]) -> Option<Result<Self, Fault>> {
        let mut reader = Reader::new(bytes);
        let version: u16 = reader.read().ok()?;
        if version != FORMAT_VERSION {
            return Some(Err(Fault::Version { version }));
        }
        let reserved: u16 = reader.read().ok()?;
        let [alignment, venue, shard]: [u32; 3] = [reader.read().ok()?, reader.read().ok()?, reader.read().ok()?];
        let term = reader.read().ok()?;
        let journal = JournalId(reader.read().ok()?);
        let number = SegmentNumber(reader.read().ok()?);
        let first = reader.read().ok()?;
        let previous = ChainHash(reader.read().ok()?);
        let identity = Identity {
            alignment,
            venue,
            shard,
            journal,
            behaviour: reader.read().ok()?,
            capacity: reader.read().ok()?,
        };
        let in_range = alignment.is_power_of_two() && (ALIGNMENT_MIN..=ALIGNMENT_MAX).contains(&(alignment as usize));
        let zeros = bytes[bytes.len() - reader.remaining()..].iter().all(|&byte| byte == 0);
        (reserved == 0 && in_range && zeros).then_some(Ok(Self { identity, term, number, first, previous }))
    }
}
