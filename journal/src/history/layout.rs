//! The bytes of a history, format version 1, drawn once. Everything is little-endian.
//!
//! ```text
//! DIR/history/
//! ├── 00000001.events     file header, then for each block of 1,024 sequences its pages and its end
//! ├── 00000001.index      written when the file of events is complete
//! ├── 00000002.events     the one that is being written has no index yet
//! └── 00000001.index.new  being written; removed at start
//!
//! events                   page                      block end, 60 bytes      file header, 88 bytes
//! ┌──────────────┐ 0       ┌────────────────┐ 0        0  4  magic "RBLK"       0  8  magic "RIALTOEV"
//! │ file header  │         │ header, 72     │          4  4  zero               8  2  format version
//! ├──────────────┤ 88      ├────────────────┤ 72       8  8  block             10  6  zero
//! │ page         │         │ keys           │         16  8  events in it      16 16  journal id
//! │ page         │         ├────────────────┤         24 32  event digest      32  8  file number
//! │ block end    │         │ events, LZ4    │         56  4  CRC-32C of        40  8  first sequence
//! │ block end    │         └────────────────┘                0..56             48 32  event digest before it
//! │ page …       │                                                             80  4  zero
//! └──────────────┘                                                             84  4  CRC-32C of 0..84
//!
//! page header              keys: of all events of the page, ascending. For each kind in order (order, session, account,
//!   0  4  magic "RPAG"     instrument): how many, then each one's identity less the one before (the first one's as it
//!   4  4  page, from 0     is). Numbers have seven bits a byte, the lowest first, and the highest bit set in all bytes
//!   8  8  first sequence   but the last.
//!  16  8  last sequence
//!  24  4  index of the     events: header ‖ event, canonical, one after the other: exactly what the event digest hashes,
//!         first event      packed as one LZ4 block. A page ends behind the event with which it has 256 KiB or more, and
//!  28  4  events           at the end of its block.
//!  32  8  first time
//!  40  8  last time        An index is made of sheets of 4,096 bytes. Each ends with the CRC-32C of its number (8 bytes)
//!  48  4  bytes of keys    and of its first 4,092 bytes.
//!  52  4  bytes of events
//!  56  4  the same packed  sheet 0: header              pages: 32 bytes each, 127 a     directory: 9 bytes each,
//!  60  4  CRC-32C, keys      0  8  magic "RIALTOIX"     sheet, one for each page          454 a sheet, one for each leaf
//!  64  4  CRC-32C, packed    8  2  format version         0  8  offset in the events      0  1  kind of its keys
//!  68  4  CRC-32C of 0..68  10  6  zero                   8  8  first sequence            1  8  identity of its first
//!                           16 16  journal id            16  8  last sequence
//!                           32  8  file number           24  8  first time              leaf: one sheet
//!                           40  8  first sequence                                         0  2  bytes used behind
//!                           48  8  last sequence                                          2  …  for each key, ascending:
//!                           56  8  first time                                                   identity less the one
//!                           64  8  last time                                                    before, how many pages,
//!                           72  8  bytes of events                                              each page less the one
//!                           80 32  event digest before                                          before
//!                          112 32  event digest at end
//!                          144  4  pages                A key with more pages than fit goes on in the next leaf.
//!                          148  4  leaves
//! ```
//!
//! Times are those of the events; a file without events has zeros. Sheets stand in the order header, pages, directory,
//! leaves, so that what every search begins with is read at once.

use engine::canonical::{Canonical, Reader};
use engine::{Sequence, Timestamp};

use super::error::HistoryFault;
use crate::checksum::crc32c;
use crate::digest::{Block, BlockDigest, Digest};
use crate::layout::BLOCK_COMMANDS;
use crate::segment::JournalId;

/// The version of the format that this build writes, and the only one that it reads.
pub const HISTORY_VERSION: u16 = 1;

pub(super) const EVENTS_MAGIC: [u8; 8] = *b"RIALTOEV";
pub(super) const INDEX_MAGIC: [u8; 8] = *b"RIALTOIX";
pub(super) const PAGE_MAGIC: [u8; 4] = *b"RPAG";
pub(super) const BLOCK_MAGIC: [u8; 4] = *b"RBLK";

pub(super) const FILE_HEADER_BYTES: usize = 88;
pub(super) const PAGE_HEADER_BYTES: usize = 72;
pub(super) const BLOCK_END_BYTES: usize = 60;

/// A page ends behind the event with which it has so many bytes: few enough that looking for one order unpacks little,
/// enough that packing pays.
pub(super) const PAGE_BYTES: usize = 256 << 10;
/// No page unpacks to more: an event is never longer than the rest.
pub(super) const PAGE_BYTES_MAX: usize = PAGE_BYTES + 4_096;
/// No page's keys take more: an event is at least 40 bytes long and has at most eight keys of ten bytes.
const KEYS_BYTES_MAX: usize = 4 * PAGE_BYTES;
/// What LZ4 makes of bytes that do not pack.
const PACKED_BYTES_MAX: usize = PAGE_BYTES_MAX + PAGE_BYTES_MAX / 255 + 64;

/// Number of a file of events and of its index, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileNumber(pub(super) u64);

const EVENTS_SUFFIX: &str = ".events";
const INDEX_SUFFIX: &str = ".index";
/// How files end that are being made.
pub(super) const NEW_SUFFIX: &str = ".new";

impl FileNumber {
    pub(super) const FIRST: Self = Self(1);

    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub(super) fn events_name(self) -> String {
        format!("{:08}{EVENTS_SUFFIX}", self.0)
    }

    pub(super) fn index_name(self) -> String {
        format!("{:08}{INDEX_SUFFIX}", self.0)
    }

    /// The file of events that has this name.
    pub(super) fn of_events(name: &str) -> Option<Self> {
        let number = Self(name.strip_suffix(EVENTS_SUFFIX)?.parse().ok()?);
        (number >= Self::FIRST && number.events_name() == name).then_some(number)
    }

    /// The index that has this name.
    pub(super) fn of_index(name: &str) -> Option<Self> {
        let number = Self(name.strip_suffix(INDEX_SUFFIX)?.parse().ok()?);
        (number >= Self::FIRST && number.index_name() == name).then_some(number)
    }
}

/// How a file of events begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) journal: JournalId,
    pub(super) number: FileNumber,
    pub(super) first: Sequence,
    /// The event digest before `first`.
    pub(super) previous: Digest,
}

/// Why a file's header is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Fault(HistoryFault),
    Version(u16),
}

impl From<HistoryFault> for HeaderFault {
    fn from(fault: HistoryFault) -> Self {
        Self::Fault(fault)
    }
}

impl FileHeader {
    /// How every history begins.
    pub(super) const fn first(journal: JournalId) -> Self {
        Self { journal, number: FileNumber::FIRST, first: Sequence(1), previous: Digest::ZERO }
    }

    /// How the file behind this one begins, which ends with `last` and this event digest.
    pub(super) const fn next(&self, last: Sequence, digest: Digest) -> Self {
        Self { journal: self.journal, number: self.number.next(), first: last.next(), previous: digest }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
        bytes.extend_from_slice(&EVENTS_MAGIC);
        HISTORY_VERSION.encode(&mut bytes);
        [0_u8; 6].encode(&mut bytes);
        self.journal.0.encode(&mut bytes);
        self.number.0.encode(&mut bytes);
        self.first.encode(&mut bytes);
        self.previous.0.encode(&mut bytes);
        0_u32.encode(&mut bytes);
        seal(&mut bytes);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes: &[u8; FILE_HEADER_BYTES] = bytes.first_chunk().ok_or(HistoryFault::FileEnds)?;
        let mut fields = begun(bytes, &EVENTS_MAGIC)?;
        let version = take(&mut fields);
        let zero: [u8; 6] = take(&mut fields);
        let header = Self {
            journal: JournalId(take(&mut fields)),
            number: FileNumber(take(&mut fields)),
            first: take(&mut fields),
            previous: Digest(take(&mut fields)),
        };
        if version != HISTORY_VERSION {
            return Err(HeaderFault::Version(version));
        }
        let begins_block = header.first.0 % BLOCK_COMMANDS == 1;
        if zero != [0; 6] || take::<u32>(&mut fields) != 0 || !begins_block {
            return Err(HistoryFault::Fields.into());
        }
        Ok(header)
    }
}

/// How a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Which page of its file, from 0.
    pub(super) number: u32,
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// Of the first event, among those of its command.
    pub(super) first_index: u32,
    pub(super) event_count: u32,
    pub(super) first_time: Timestamp,
    pub(super) last_time: Timestamp,
    pub(super) key_bytes: u32,
    pub(super) event_bytes: u32,
    pub(super) packed_bytes: u32,
    pub(super) key_checksum: u32,
    pub(super) packed_checksum: u32,
}

impl PageHeader {
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let begin = bytes.len();
        bytes.extend_from_slice(&PAGE_MAGIC);
        self.number.encode(bytes);
        self.first.encode(bytes);
        self.last.encode(bytes);
        self.first_index.encode(bytes);
        self.event_count.encode(bytes);
        self.first_time.encode(bytes);
        self.last_time.encode(bytes);
        self.key_bytes.encode(bytes);
        self.event_bytes.encode(bytes);
        self.packed_bytes.encode(bytes);
        self.key_checksum.encode(bytes);
        self.packed_checksum.encode(bytes);
        crc32c(&[&bytes[begin..]]).encode(bytes);
    }

    pub(super) fn decode(bytes: &[u8; PAGE_HEADER_BYTES]) -> Result<Self, HistoryFault> {
        let mut fields = begun(bytes, &PAGE_MAGIC)?;
        let header = Self {
            number: take(&mut fields),
            first: take(&mut fields),
            last: take(&mut fields),
            first_index: take(&mut fields),
            event_count: take(&mut fields),
            first_time: take(&mut fields),
            last_time: take(&mut fields),
            key_bytes: take(&mut fields),
            event_bytes: take(&mut fields),
            packed_bytes: take(&mut fields),
            key_checksum: take(&mut fields),
            packed_checksum: take(&mut fields),
        };
        if header.is_possible() { Ok(header) } else { Err(HistoryFault::Fields) }
    }

    /// Bytes of the page behind its header.
    pub(super) fn body_bytes(&self) -> usize {
        self.key_bytes as usize + self.packed_bytes as usize
    }

    /// Bytes of the whole page.
    pub(super) fn page_bytes(&self) -> u64 {
        (PAGE_HEADER_BYTES + self.body_bytes()) as u64
    }

    fn is_possible(&self) -> bool {
        self.first.0 > 0
            && self.first <= self.last
            && Block::of(self.first) == Block::of(self.last)
            && self.first_time <= self.last_time
            && self.event_count > 0
            && self.key_bytes as usize <= KEYS_BYTES_MAX
            && self.event_bytes as usize <= PAGE_BYTES_MAX
            && self.packed_bytes as usize <= PACKED_BYTES_MAX
    }
}

/// How a block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockEnd {
    pub(super) digest: BlockDigest,
    pub(super) event_count: u64,
}

impl BlockEnd {
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let begin = bytes.len();
        bytes.extend_from_slice(&BLOCK_MAGIC);
        0_u32.encode(bytes);
        self.digest.block.0.encode(bytes);
        self.event_count.encode(bytes);
        self.digest.digest.0.encode(bytes);
        crc32c(&[&bytes[begin..]]).encode(bytes);
    }

    pub(super) fn decode(bytes: &[u8; BLOCK_END_BYTES]) -> Result<Self, HistoryFault> {
        let mut fields = begun(bytes, &BLOCK_MAGIC)?;
        let zero: u32 = take(&mut fields);
        let block = Block(take(&mut fields));
        let event_count = take(&mut fields);
        let digest = BlockDigest { block, digest: Digest(take(&mut fields)) };
        if zero == 0 { Ok(Self { digest, event_count }) } else { Err(HistoryFault::Fields) }
    }
}

/// Appends the checksum of everything before it.
fn seal(bytes: &mut Vec<u8>) {
    crc32c(&[bytes]).encode(bytes);
}

/// The fields behind a magic, if that is what stands there and the checksum at the end matches.
fn begun<'a>(bytes: &'a [u8], magic: &[u8]) -> Result<Reader<'a>, HistoryFault> {
    let fields = bytes.strip_prefix(magic).ok_or(HistoryFault::Magic)?;
    let (covered, checksum) = bytes.split_last_chunk().ok_or(HistoryFault::FileEnds)?;
    if crc32c(&[covered]) == u32::from_le_bytes(*checksum) {
        Ok(Reader::new(fields))
    } else {
        Err(HistoryFault::Checksum)
    }
}

/// The next field of something whose length is fixed.
pub(super) fn take<T: Canonical>(fields: &mut Reader<'_>) -> T {
    fields.read().expect("an integer within the length")
}

const _: () = {
    assert!(engine::EventHeader::LENGTH + engine::Event::LENGTH <= PAGE_BYTES_MAX - PAGE_BYTES);
};
