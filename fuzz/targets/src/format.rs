//! The journal's format a second time, from docs/JOURNAL_FORMAT.md alone: what a journal's files hold, how they end, and
//! how checksums, chain and numbers are made right again.

use engine::canonical::{Canonical, Reader};
use engine::{Command, Sequenced};

/// A segment's name and bytes.
pub type File = (String, Vec<u8>);

/// Bytes of a segment's header.
pub const SEGMENT_HEADER: usize = 4_096;
/// Bytes of a batch's header.
pub const BATCH_HEADER: usize = 72;
/// Bytes before a record's value.
pub const RECORD_PREFIX: usize = 8;
const ALIGNMENTS: [usize; 5] = [4_096, 8_192, 16_384, 32_768, 65_536];
const PAYLOAD_MAX: usize = 1 << 20;
const BLOCK: u64 = 1_024;

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

/// CRC-32C of all parts in a row.
pub fn crc32c(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(u32::MAX, |crc, &byte| (crc >> 8) ^ CRC_TABLE[((crc ^ u32::from(byte)) & 0xFF) as usize])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes"))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// What a journal's files are.
#[derive(Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Kind and value of every record that counts.
    pub records: Vec<(u16, Vec<u8>)>,
    /// Which file, where, and how long: every batch that counts.
    pub batches: Vec<(usize, usize, usize)>,
    /// Commands that count.
    pub last: u64,
    /// Hash of the last link.
    pub chain: [u8; 32],
    /// Whether the last batch holds a seal.
    pub is_sealed: bool,
    /// Whether all checksums are right; where the next batch carries the hash of one, they need not be.
    pub is_checked: bool,
    /// What follows.
    pub ending: Ending,
}

/// How a journal ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Whole,
    /// With a torn tail in this file, from here.
    Cut(String, u64),
    /// It does not: this file is damaged, there.
    Damaged(String, u64),
}

enum Batch {
    Whole(Fields),
    Undecodable,
    Damage,
    Other,
}

struct Fields {
    length: usize,
    next: u64,
    term: u64,
    records: Vec<(u16, Vec<u8>)>,
}

struct Judge<'a> {
    files: &'a [File],
    alignment: usize,
    next: u64,
    term: u64,
    found: Judgement,
}

/// Judges segments in the order of their numbers, whose names are right.
pub fn judge(files: &[File]) -> Judgement {
    let found = Judgement {
        records: Vec::new(),
        batches: Vec::new(),
        last: 0,
        chain: [0; 32],
        is_sealed: false,
        is_checked: true,
        ending: Ending::Whole,
    };
    let mut judge = Judge { files, alignment: 0, next: 1, term: 0, found };
    for index in 0..files.len() {
        if let Err(ending) = judge.segment(index) {
            judge.found.ending = ending;
            break;
        }
    }
    judge.found
}

impl Judge<'_> {
    fn segment(&mut self, index: usize) -> Result<(), Ending> {
        let (name, bytes) = &self.files[index];
        let damaged = |at: usize| Ending::Damaged(name.clone(), at as u64);
        let whole = bytes.len() >= SEGMENT_HEADER
            && bytes[..8] == *b"RIALTOSG"
            && u32_at(bytes, 4_092) == crc32c(&[&bytes[..4_092]]);
        let is_last = index + 1 == self.files.len();
        if !whole {
            let torn = index > 0 && is_last && !self.has_successor(bytes);
            return Err(if torn { Ending::Cut(name.clone(), 0) } else { damaged(0) });
        }
        self.enter(index).ok_or_else(|| damaged(0))?;
        let mut at = self.alignment;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.batch(rest) {
                Batch::Whole(fields) => {
                    self.take(index, at, rest, &fields);
                    at += fields.length;
                }
                Batch::Undecodable => return Err(damaged(at)),
                _ if is_zero(rest) => return Ok(()),
                Batch::Other if is_last && !self.has_successor(rest) => {
                    return Err(Ending::Cut(name.clone(), at as u64));
                }
                Batch::Damage | Batch::Other => return Err(damaged(at)),
            }
        }
    }

    /// Nothing if the header is not the one that belongs there.
    fn enter(&mut self, index: usize) -> Option<()> {
        let (name, bytes) = &self.files[index];
        let alignment = u32_at(bytes, 12) as usize;
        let first = &self.files[0].1;
        let belongs = u16_at(bytes, 8) == 1
            && u16_at(bytes, 10) == 0
            && ALIGNMENTS.contains(&alignment)
            && bytes[12..24] == first[12..24]
            && bytes[32..48] == first[32..48]
            && bytes[96..132] == first[96..132]
            && is_zero(&bytes[132..4_092])
            && is_zero(&bytes[SEGMENT_HEADER..alignment.min(bytes.len()).max(SEGMENT_HEADER)])
            && *name == format!("{:08}.seg", u64_at(bytes, 48))
            && u64_at(bytes, 56) == self.next
            && bytes[64..96] == self.found.chain
            && (index == 0 || u64_at(bytes, 24) >= self.term);
        self.alignment = alignment;
        self.term = u64_at(bytes, 24);
        self.found.chain = blake3::hash(&bytes[..SEGMENT_HEADER]).into();
        belongs.then_some(())
    }

    fn take(&mut self, index: usize, at: usize, rest: &[u8], fields: &Fields) {
        self.next = fields.next;
        self.term = fields.term;
        self.found.last = fields.next - 1;
        self.found.is_sealed = fields.records.iter().any(|(kind, _)| *kind == 3);
        self.found.is_checked &= whole_batch(rest, self.alignment, Checksums::Compared).is_ok();
        self.found.chain = blake3::hash(&rest[..fields.length]).into();
        self.found.batches.push((index, at, fields.length));
        self.found.records.extend(fields.records.iter().cloned());
    }

    fn batch(&self, rest: &[u8]) -> Batch {
        if !is_batch_header(rest) {
            return Batch::Other;
        }
        if !is_plausible(rest) {
            return Batch::Damage;
        }
        let fields = match whole_batch(rest, self.alignment, Checksums::UnlessVouched) {
            Ok(fields) => fields,
            Err(Flaw::Torn) => return Batch::Other,
            Err(Flaw::Contradiction) => return Batch::Damage,
        };
        let first = u64_at(rest, 16);
        if first < self.next {
            Batch::Other
        } else if first > self.next || rest[36..68] != self.found.chain || fields.term < self.term {
            Batch::Damage
        } else if fields.records.iter().all(decodes) {
            Batch::Whole(fields)
        } else {
            Batch::Undecodable
        }
    }

    fn has_successor(&self, rest: &[u8]) -> bool {
        (self.alignment..rest.len())
            .step_by(self.alignment)
            .any(|at| is_plausible(&rest[at..]) && u64_at(rest, at + 16) >= self.next)
    }
}

fn decodes((kind, value): &(u16, Vec<u8>)) -> bool {
    let mut reader = Reader::new(value);
    *kind != 1 || reader.read::<Sequenced<Command>>().and_then(|_| reader.finish()).is_ok()
}

fn is_batch_header(bytes: &[u8]) -> bool {
    bytes.len() >= BATCH_HEADER && bytes[..4] == *b"RBAT" && u32_at(bytes, 68) == crc32c(&[&bytes[..68]])
}

fn is_plausible(bytes: &[u8]) -> bool {
    is_batch_header(bytes)
        && u16_at(bytes, 4) == 1
        && u16_at(bytes, 6) == 0
        && u32_at(bytes, 32) as usize <= PAYLOAD_MAX
        && u32_at(bytes, 24) <= u32_at(bytes, 28)
        && u64_at(bytes, 16).checked_add(u32_at(bytes, 24).into()).is_some()
}

/// What is wrong with a batch: bytes that an interrupted write may leave, or what no write leaves.
enum Flaw {
    Torn,
    Contradiction,
}

/// Whether a record's checksum counts where the next batch carries the whole one's hash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checksums {
    Compared,
    UnlessVouched,
}

/// A batch that is all right but for its place; its header is plausible.
fn whole_batch(bytes: &[u8], alignment: usize, checksums: Checksums) -> Result<Fields, Flaw> {
    let end = BATCH_HEADER + u32_at(bytes, 32) as usize;
    let length = end.next_multiple_of(alignment);
    let is_vouched = checksums == Checksums::UnlessVouched && is_vouched_for(bytes, length);
    let mut rest = bytes.get(..length).ok_or(Flaw::Torn)?.get(BATCH_HEADER..end).ok_or(Flaw::Torn)?;
    let mut next = u64_at(bytes, 16);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (kind, value, whole) = record(rest, is_vouched)?;
        next = next_behind(kind, value, next).ok_or(Flaw::Contradiction)?;
        records.push((kind, value.to_vec()));
        rest = &rest[whole..];
    }
    if (u32_at(bytes, 28) as usize, u64_at(bytes, 16) + u64::from(u32_at(bytes, 24))) != (records.len(), next) {
        return Err(Flaw::Contradiction);
    }
    if !is_zero(&bytes[end..length]) {
        return Err(Flaw::Torn);
    }
    Ok(Fields { length, next, term: u64_at(bytes, 8), records })
}

/// Whether the next batch carries the hash of the one that is `length` long: then its checksums need not be looked at.
pub fn is_vouched_for(bytes: &[u8], length: usize) -> bool {
    let behind = bytes.get(length..).unwrap_or_default();
    is_plausible(behind) && behind[36..68] == *blake3::hash(&bytes[..length]).as_bytes()
}

/// The next command's number behind a record, if the record may stand where it is `next`.
fn next_behind(kind: u16, value: &[u8], next: u64) -> Option<u64> {
    let number = u64_at(value, 0);
    match kind {
        1 if number == next => next.checked_add(1),
        2 if number.saturating_add(1).saturating_mul(BLOCK) < next => Some(next),
        3 if number.checked_add(1) == Some(next) => Some(next),
        _ => None,
    }
}

/// Kind, value and whole length of the record at the front.
fn record(bytes: &[u8], is_vouched: bool) -> Result<(u16, &[u8], usize), Flaw> {
    let prefix = bytes.get(..RECORD_PREFIX).ok_or(Flaw::Torn)?;
    let (length, kind) = (usize::from(u16_at(prefix, 0)), u16_at(prefix, 2));
    let whole = RECORD_PREFIX + length.next_multiple_of(8);
    let behind = bytes.get(RECORD_PREFIX..whole).ok_or(Flaw::Torn)?;
    if !is_vouched && u32_at(prefix, 4) != crc32c(&[&prefix[..4], behind]) {
        return Err(Flaw::Torn);
    }
    let (value, padding) = behind.split_at(length);
    let fits = match kind {
        1 => length >= 8,
        2 | 3 => length == 40,
        _ => false,
    };
    if fits && is_zero(padding) { Ok((kind, value, whole)) } else { Err(Flaw::Contradiction) }
}

/// The batch that a header and records make.
pub fn frame(term: u64, first: u64, previous: &[u8; 32], records: &[(u16, Vec<u8>)], alignment: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    for (kind, value) in records {
        let mut record = u16::try_from(value.len()).expect("a record's length").to_le_bytes().to_vec();
        record.extend(kind.to_le_bytes());
        let mut padded = value.clone();
        padded.resize(value.len().next_multiple_of(8), 0);
        record.extend(crc32c(&[&record, &padded]).to_le_bytes());
        payload.extend([record, padded].concat());
    }
    let count = |of: usize| u32::try_from(of).expect("few records");
    let commands = records.iter().filter(|(kind, _)| *kind == 1).count();
    let mut batch = [&b"RBAT"[..], &[1, 0, 0, 0], &term.to_le_bytes(), &first.to_le_bytes()].concat();
    [commands, records.len(), payload.len()].iter().for_each(|&of| batch.extend(count(of).to_le_bytes()));
    batch.extend(previous);
    batch.extend(crc32c(&[&batch]).to_le_bytes());
    batch.extend(payload);
    batch.resize(batch.len().next_multiple_of(alignment), 0);
    batch
}

/// What is made right: a bit each.
#[derive(Debug, Clone, Copy)]
pub struct Mending(pub u8);

impl Mending {
    /// Checksums of records.
    pub const RECORDS: u8 = 1;
    /// Checksums of batch headers.
    pub const BATCHES: u8 = 2;
    /// Checksums of segment headers.
    pub const SEGMENTS: u8 = 4;
    /// Hashes of the links before.
    pub const CHAIN: u8 = 8;
    /// Numbers of segments, batches and commands, and counts.
    pub const NUMBERS: u8 = 16;
    /// What all segments agree on.
    pub const IDENTITY: u8 = 32;
    /// All of it.
    pub const ALL: u8 = 63;

    fn has(self, what: u8) -> bool {
        self.0 & what != 0
    }
}

/// Makes right what there is of segments and batches, in order.
pub fn mend(files: &mut [Vec<u8>], mending: Mending) {
    let (mut previous, mut next) = ([0; 32], 1_u64);
    let first = files.first().cloned().unwrap_or_default();
    for (number, bytes) in (1_u64..).zip(files) {
        if bytes.len() < SEGMENT_HEADER {
            return;
        }
        if mending.has(Mending::NUMBERS) {
            bytes[48..56].copy_from_slice(&number.to_le_bytes());
            bytes[56..64].copy_from_slice(&next.to_le_bytes());
        }
        if mending.has(Mending::CHAIN) {
            bytes[64..96].copy_from_slice(&previous);
        }
        if mending.has(Mending::IDENTITY) {
            [12..24, 32..48, 96..132].into_iter().for_each(|part| bytes[part.clone()].copy_from_slice(&first[part]));
        }
        if mending.has(Mending::SEGMENTS) {
            let checksum = crc32c(&[&bytes[..4_092]]);
            bytes[4_092..4_096].copy_from_slice(&checksum.to_le_bytes());
        }
        previous = blake3::hash(&bytes[..SEGMENT_HEADER]).into();
        let alignment = u32_at(bytes, 12) as usize;
        let alignment = if ALIGNMENTS.contains(&alignment) { alignment } else { ALIGNMENTS[0] };
        let mut at = alignment;
        while let Some(length) =
            mend_batch(bytes.get_mut(at..).unwrap_or_default(), alignment, &previous, &mut next, mending)
        {
            previous = blake3::hash(&bytes[at..at + length]).into();
            at += length;
        }
    }
}

/// Bytes of the batch at the front; nothing if there is none.
fn mend_batch(
    bytes: &mut [u8],
    alignment: usize,
    previous: &[u8; 32],
    next: &mut u64,
    mending: Mending,
) -> Option<usize> {
    if bytes.len() < BATCH_HEADER || bytes[..4] != *b"RBAT" {
        return None;
    }
    let end = BATCH_HEADER + (u32_at(bytes, 32) as usize).min(PAYLOAD_MAX);
    let length = end.next_multiple_of(alignment);
    if length > bytes.len() {
        return None;
    }
    let first = *next;
    let count = mend_records(&mut bytes[BATCH_HEADER..end], next, mending);
    if mending.has(Mending::NUMBERS) {
        bytes[16..24].copy_from_slice(&first.to_le_bytes());
        let commands = u32::try_from(*next - first).expect("few commands");
        bytes[24..28].copy_from_slice(&commands.to_le_bytes());
        bytes[28..32].copy_from_slice(&count.to_le_bytes());
    }
    if mending.has(Mending::CHAIN) {
        bytes[36..68].copy_from_slice(previous);
    }
    if mending.has(Mending::BATCHES) {
        let checksum = crc32c(&[&bytes[..68]]);
        bytes[68..72].copy_from_slice(&checksum.to_le_bytes());
    }
    Some(length)
}

fn mend_records(mut rest: &mut [u8], next: &mut u64, mending: Mending) -> u32 {
    let mut count = 0;
    while rest.len() >= RECORD_PREFIX {
        let length = usize::from(u16_at(rest, 0));
        let whole = RECORD_PREFIX + length.next_multiple_of(8);
        if whole > rest.len() {
            break;
        }
        let (record, behind) = rest.split_at_mut(whole);
        if u16_at(record, 2) == 1 && length >= 8 {
            if mending.has(Mending::NUMBERS) {
                record[8..16].copy_from_slice(&next.to_le_bytes());
            }
            *next += 1;
        }
        if mending.has(Mending::RECORDS) {
            let checksum = crc32c(&[&record[..4], &record[RECORD_PREFIX..]]);
            record[4..8].copy_from_slice(&checksum.to_le_bytes());
        }
        count += 1;
        rest = behind;
    }
    count
}

/// Kind and value of what a reader gave.
pub fn record_of(entry: &journal::Entry) -> (u16, Vec<u8>) {
    let mut value = Vec::new();
    match entry {
        journal::Entry::Command(command) => {
            command.encode(&mut value);
            (1, value)
        }
        journal::Entry::EventDigest(digest) => {
            digest.block.0.encode(&mut value);
            (2, [value, digest.digest.0.to_vec()].concat())
        }
        journal::Entry::Seal(seal) => {
            seal.last.encode(&mut value);
            (3, [value, seal.event_digest.0.to_vec()].concat())
        }
    }
}
