//! Damage, all of it: every bit of a journal flipped, and its batches rearranged. Nothing may be accepted silently.
//!
//! A [`Specimen`] is a journal that the writer wrote. Where its links are is read here from the bytes that the format's
//! description names, so that what is expected does not come from the reader that is tested:
//!
//! ```text
//!   a flipped bit is in                             and then the journal
//!   a segment's header or the zeros behind it       is damaged at offset 0 of that file
//!   a batch, its padding included                   is damaged at the batch's offset
//!   the last batch, or the zeros behind it          is cut there, and says so
//! ```

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use engine::{Capacity, Command, Sequence, Stamp, Timestamp};
use journal::{
    Block, BlockDigest, Digest, Journal, JournalId, Opened, Options, ReadError, Reader, Sequencer, Verified,
};
use tempfile::TempDir;

use crate::commands::cancel;
use crate::lives::NoCore;
use crate::{SimulatedDisk, lives};

const PAGE: usize = 4_096;

/// How a specimen's journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a batch of commands: the machine stopped.
    Open,
    /// With a seal, which then is the last batch.
    Sealed,
}

/// How large a specimen is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Commands.
    pub commands: u64,
    /// Commands of a batch.
    pub batch: u64,
    /// Batches of a segment, two pages each.
    pub segment_batches: u64,
}

impl Size {
    /// The journal of the proof: 4,096 commands in batches of 100, and what is left in the last.
    pub const WHOLE: Self = Self { commands: 4_096, batch: 100, segment_batches: 14 };
}

/// A journal that the writer wrote, and where its links are.
#[derive(Clone)]
pub struct Specimen {
    disk: SimulatedDisk,
    segments: Vec<Segment>,
}

/// One file.
#[derive(Clone)]
struct Segment {
    name: String,
    bytes: Vec<u8>,
    batches: Vec<Batch>,
}

/// One batch.
#[derive(Debug, Clone)]
struct Batch {
    range: Range<usize>,
    /// Its first command, or the next one.
    first: u64,
    /// The last command in it or before it.
    last: u64,
}

/// What has to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The journal is damaged in this segment, counted from 1, at this offset.
    Damage {
        /// The segment's number.
        segment: usize,
        /// The offset that is named.
        offset: usize,
    },
    /// A cut is reported there, and the commands before it are accepted.
    Cut {
        /// The segment's number.
        segment: usize,
        /// The offset that is named.
        offset: usize,
        /// The last command before it.
        after: u64,
    },
    /// The journal ends with this command: what was behind it could as well never have been written.
    Shorter {
        /// The last command.
        last: u64,
    },
}

/// What was found instead.
#[derive(Debug)]
pub struct Surprise {
    /// What was done to the journal.
    pub what: String,
    /// What should have been found.
    pub expected: Expected,
    /// What was.
    pub found: String,
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {:?}, found {}", self.what, self.expected, self.found)
    }
}

impl Specimen {
    /// Writes a journal of this size, with an event digest behind every block.
    ///
    /// # Panics
    ///
    /// If that fails: no disk is made to.
    pub fn write(size: Size, end: End) -> Self {
        let disk = SimulatedDisk::new(1);
        let folder = lives::temporary_folder();
        write_journal(&disk, &folder, size, end);
        let mut names = disk.names();
        names.retain(|name| name.ends_with(".seg"));
        let mut last = 0;
        let segments = names.into_iter().map(|name| {
            let bytes = disk.read(&name);
            let batches = batches(&bytes, &mut last);
            // As much room as is written: more would only be more zeros.
            let bytes = bytes[..batches.last().map_or(PAGE, |batch| batch.range.end)].to_vec();
            disk.write(&name, bytes.clone());
            Segment { name, bytes, batches }
        });
        let segments: Vec<_> = segments.collect();
        Self { disk, segments }
    }

    /// Bits of all files.
    pub fn bit_count(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes.len() as u64 * 8).sum()
    }

    /// Batches of all files.
    pub fn batch_count(&self) -> usize {
        self.segments.iter().map(|segment| segment.batches.len()).sum()
    }

    /// Segments.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Another one, on a disk of its own.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { disk: self.disk.copy(), segments: self.segments.clone() }
    }

    /// The disk that holds it.
    pub fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// Flips a bit, looks what is found, and flips it back.
    ///
    /// # Errors
    ///
    /// What is not found as it should be.
    ///
    /// # Panics
    ///
    /// If there is no such bit.
    pub fn check_bit(&self, bit: u64) -> Result<Expected, Box<Surprise>> {
        let mut at = usize::try_from(bit / 8).expect("in memory");
        let index = self.segments.iter().position(|segment| {
            let inside = at < segment.bytes.len();
            at -= if inside { 0 } else { segment.bytes.len() };
            inside
        });
        let index = index.expect("the journal has that bit");
        let name = &self.segments[index].name;
        self.disk.flip(name, at, 1 << (bit % 8));
        let outcome = self.check(|| format!("bit {bit}, byte {at} of {name}"), self.expected_of_byte(index, at));
        self.disk.flip(name, at, 1 << (bit % 8));
        outcome
    }

    /// Nothing was done, and everything is there.
    pub fn is_whole(&self) -> bool {
        self.verify().is_ok_and(|verified| verified.cut.is_none() && verified.last.0 == self.last())
    }

    /// Exchanges two batches.
    ///
    /// # Errors
    ///
    /// What is not found as it should be.
    pub fn check_swapped(&self, a: usize, b: usize) -> Result<Expected, Box<Surprise>> {
        let mut order = self.order();
        let [place_a, place_b] = [self.place(a), self.place(b)];
        order[place_a.0][place_a.1] = b;
        order[place_b.0][place_b.1] = a;
        self.check_order(&order, || format!("batches {a} and {b} swapped"))
    }

    /// Takes out a batch; those behind it in its segment move up.
    ///
    /// # Errors
    ///
    /// What is not found as it should be.
    pub fn check_dropped(&self, batch: usize) -> Result<Expected, Box<Surprise>> {
        let mut order = self.order();
        let (segment, at) = self.place(batch);
        order[segment].remove(at);
        self.check_order(&order, || format!("batch {batch} dropped"))
    }

    /// Puts a copy of one batch behind another; those behind it in its segment move down.
    ///
    /// # Errors
    ///
    /// What is not found as it should be.
    pub fn check_doubled(&self, batch: usize, behind: usize) -> Result<Expected, Box<Surprise>> {
        let mut order = self.order();
        let (segment, at) = self.place(behind);
        order[segment].insert(at + 1, batch);
        self.check_order(&order, || format!("batch {batch} once more behind batch {behind}"))
    }

    /// Puts a copy of one batch in the place of another.
    ///
    /// # Errors
    ///
    /// What is not found as it should be.
    pub fn check_replaced(&self, batch: usize, by: usize) -> Result<Expected, Box<Surprise>> {
        let mut order = self.order();
        let (segment, at) = self.place(batch);
        order[segment][at] = by;
        self.check_order(&order, || format!("batch {by} instead of batch {batch}"))
    }

    fn expected_of_byte(&self, index: usize, at: usize) -> Expected {
        let Segment { batches, .. } = &self.segments[index];
        let segment = index + 1;
        let Some(found) = batches.iter().position(|batch| batch.range.contains(&at)) else {
            return Expected::Damage { segment, offset: 0 };
        };
        let offset = batches[found].range.start;
        if segment == self.segments.len() && found + 1 == batches.len() {
            return Expected::Cut { segment, offset, after: batches[found].first - 1 };
        }
        Expected::Damage { segment, offset }
    }

    /// All batches as they are, by segment.
    fn order(&self) -> Vec<Vec<usize>> {
        let mut next = 0..;
        self.segments.iter().map(|segment| next.by_ref().take(segment.batches.len()).collect()).collect()
    }

    /// In which segment a batch is, and where in it.
    fn place(&self, batch: usize) -> (usize, usize) {
        let mut before = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            if batch < before + segment.batches.len() {
                return (index, batch - before);
            }
            before += segment.batches.len();
        }
        panic!("the journal has no batch {batch}")
    }

    fn batch(&self, batch: usize) -> (&Batch, &[u8]) {
        let (segment, at) = self.place(batch);
        let segment = &self.segments[segment];
        let batch = &segment.batches[at];
        (batch, &segment.bytes[batch.range.clone()])
    }

    fn check_order(&self, order: &[Vec<usize>], what: impl Fn() -> String) -> Result<Expected, Box<Surprise>> {
        let expected = self.expected_of_order(order);
        for (segment, batches) in self.segments.iter().zip(order) {
            let mut bytes = segment.bytes[..PAGE].to_vec();
            batches.iter().for_each(|&batch| bytes.extend_from_slice(self.batch(batch).1));
            self.disk.write(&segment.name, bytes);
        }
        let outcome = self.check(what, expected);
        for segment in &self.segments {
            self.disk.write(&segment.name, segment.bytes.clone());
        }
        outcome
    }

    /// Reads an order of batches as the format's description says.
    fn expected_of_order(&self, order: &[Vec<usize>]) -> Expected {
        let mut next = 0;
        let mut last = 0;
        for (index, (batches, whole)) in order.iter().zip(&self.segments).enumerate() {
            let segment = index + 1;
            if whole.batches.first().is_some_and(|batch| batch.first != last + 1) {
                return Expected::Damage { segment, offset: 0 };
            }
            let mut offset = PAGE;
            for (at, &batch) in batches.iter().enumerate() {
                if batch == next && self.place(batch).0 == index {
                    let (batch, bytes) = self.batch(batch);
                    offset += bytes.len();
                    last = batch.last;
                    next += 1;
                    continue;
                }
                // An old batch at the end may be what a device brought back; anything else was put there.
                let all_old = batches[at..].iter().all(|&batch| self.batch(batch).0.first <= last);
                return if segment == self.segments.len() && all_old {
                    Expected::Cut { segment, offset, after: last }
                } else {
                    Expected::Damage { segment, offset }
                };
            }
        }
        Expected::Shorter { last }
    }

    fn last(&self) -> u64 {
        self.segments.iter().filter_map(|segment| segment.batches.last()).map(|batch| batch.last).max().unwrap_or(0)
    }

    fn verify(&self) -> Result<Verified, ReadError> {
        Reader::with_storage(Arc::new(self.disk.clone()))?.expect("there are segments").verify()
    }

    fn check(&self, what: impl Fn() -> String, expected: Expected) -> Result<Expected, Box<Surprise>> {
        let verified = self.verify();
        if self.is_found(&verified, expected) {
            return Ok(expected);
        }
        let found = match verified {
            Ok(verified) => format!("{verified:?}"),
            Err(error) => error.to_string(),
        };
        Err(Box::new(Surprise { what: what(), expected, found }))
    }

    fn is_found(&self, verified: &Result<Verified, ReadError>, expected: Expected) -> bool {
        let is_in = |file: &std::path::Path, segment: usize| file.ends_with(&self.segments[segment - 1].name);
        match (verified, expected) {
            (Err(ReadError::Damaged { file, offset, .. }), Expected::Damage { segment, offset: at }) => {
                is_in(file, segment) && *offset == at as u64
            }
            (Ok(verified), Expected::Cut { segment, offset, after }) => verified.cut.as_ref().is_some_and(|cut| {
                is_in(&cut.file, segment)
                    && (cut.offset, cut.after, verified.last) == (offset as u64, Sequence(after), Sequence(after))
            }),
            (Ok(verified), Expected::Shorter { last }) => verified.cut.is_none() && verified.last.0 == last,
            _ => false,
        }
    }
}

/// Batches of cancels, each waited for, and the digests of the blocks that they end.
fn write_journal(disk: &SimulatedDisk, folder: &TempDir, size: Size, end: End) {
    let options = Options {
        segment_bytes: (1 + 2 * size.segment_batches) * PAGE as u64,
        head_directory: Some(folder.path().to_owned()),
        head_bytes: 64 << 10,
        journal_id: Some(JournalId(*b"under the knife!")),
        storage: Some(Arc::new(disk.clone())),
        ..Options::new(Capacity::SMALL)
    };
    let Opened { journal, appender, .. } = Journal::open(&folder.path().join("data"), &options).expect("a good disk");
    let mut sequencer = Sequencer::new(appender, Stamp { sequence: Sequence::NONE, time: Timestamp(0) });
    for first in (1..=size.commands).step_by(usize::try_from(size.batch).expect("small")) {
        let last = size.commands.min(first + size.batch - 1);
        for block in (first - 1) / 1_024..last / 1_024 {
            journal.digests().push(BlockDigest { block: Block(block), digest: Digest([7; 32]) });
        }
        let run: Vec<Command> = (first..=last).map(cancel).collect();
        let last = sequencer.submit(&mut NoCore, Timestamp(first), &run, &mut Vec::new()).expect("a good disk");
        journal.wait_released(last.sequence).expect("a good disk");
    }
    match end {
        End::Open => drop(sequencer.into_append()),
        End::Sealed => journal.close(sequencer.into_append(), Digest([9; 32])).expect("a good disk"),
    }
}

/// The batches of a segment by their headers: first sequence at byte 16, commands at 24, payload bytes at 32.
fn batches(bytes: &[u8], last: &mut u64) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut at = PAGE;
    while bytes.get(at..at + 4) == Some(b"RBAT") {
        let word = |offset: usize| u32::from_le_bytes(bytes[at + offset..at + offset + 4].try_into().expect("four"));
        let first = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().expect("eight"));
        let end = at + (72 + word(32) as usize).next_multiple_of(PAGE);
        *last = first + u64::from(word(24)) - 1;
        batches.push(Batch { range: at..end, first, last: *last });
        at = end;
    }
    batches
}
