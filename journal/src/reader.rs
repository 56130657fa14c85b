//! Reading a journal: mapped, verified batch by batch before anything of it is used, without a lock, changing nothing.
//!
//! How the end is told from damage. At each step the batch that should come next is whole and linked, or it is not. If
//! it is not:
//!
//! ```text
//!   only zeros to the end of the file                             the segment ends here
//!   not the last segment                                          damage
//!   whole, but it is not the one that belongs here                damage, unless it is an old one (see below)
//!   a later batch header that belongs behind this place           damage: what was synced before it is gone
//!   otherwise                                                     a torn tail: the write that was in flight
//! ```
//!
//! One batch is in flight at a time, and the next is written only when it is durable; so a torn tail has no successor.
//! The successor's header alone counts, whole or torn behind it, and only if its sequence is not from before: old bytes
//! behind the tail prove nothing.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Command, Sequence, Sequenced};

use crate::batch::{BatchHeader, BatchView, Records};
use crate::checkpoint::Link;
use crate::checksum::ChainHash;
use crate::chunk::{BatchPlace, Chunk};
use crate::decision::State;
use crate::error::{Fault, ReadError};
use crate::layout::{ALIGNMENT_MIN, BATCH_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use crate::record::{Entry, RecordKind, RecordView, Seal};
use crate::segment::{Identity, SEGMENT_SUFFIX, SegmentHeader, SegmentNumber};
use crate::storage::{Bytes, DirectoryStorage, Storage};

/// The folder of the segments inside a data folder.
pub const JOURNAL_FOLDER: &str = "journal";

/// Reads all entries of a journal, in order.
///
/// It iterates over [`Entry`]s until the end or the first error; behind the end, [`verified`](Self::verified) says what
/// was found.
pub struct Reader {
    storage: Arc<dyn Storage>,
    /// Numbers of the segments not opened yet, descending, so that the next is popped.
    ahead: Vec<SegmentNumber>,
    identity: Identity,
    segment: OpenSegment,
    place: Place,
    batch: Option<CurrentBatch>,
    verified: Verified,
    watched: Vec<Watched>,
    finished: bool,
}

/// What a reader has found so far; at its end, what the journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many segments were opened.
    pub segment_count: u64,
    /// How many batches are good.
    pub batch_count: u64,
    /// The first command; none if there is none.
    pub first: Sequence,
    /// The last command; none if there is none.
    pub last: Sequence,
    /// The hash of the last link.
    pub chain: ChainHash,
    /// The seal, if nothing was written behind it.
    pub seal: Option<Seal>,
    /// What was left out at the end, if anything was.
    pub cut: Option<Cut>,
}

impl Verified {
    /// How many commands are good.
    pub fn command_count(&self) -> u64 {
        if self.first.is_none() { 0 } else { self.last.0 - self.first.0 + 1 }
    }
}

/// A torn tail: bytes behind the last good batch that were being written when the machine or the process stopped.
///
/// Nothing that was acknowledged as synced is in it, unless the last batch of an unsealed journal was damaged later:
/// the two look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Which file.
    pub file: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How long it is, up to the last byte that is not zero.
    pub length: u64,
    /// What is wrong with it.
    pub fault: Fault,
    /// The last command before it.
    pub after: Sequence,
    /// How many commands it was to hold, if its header is whole.
    pub command_count: Option<u32>,
}

/// Where something is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which file.
    pub file: PathBuf,
    /// Of the batch.
    pub offset: u64,
}

struct OpenSegment {
    number: SegmentNumber,
    bytes: Bytes,
}

/// What has to come next.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: usize,
    sequence: Sequence,
    hash: ChainHash,
    term: u64,
}

/// A verified batch.
struct CurrentBatch {
    place: Found,
    /// The records that were not given out yet.
    rest: Range<usize>,
}

/// A batch that was verified.
pub(crate) struct Found {
    pub(crate) whole: Range<usize>,
    pub(crate) header: BatchHeader,
    pub(crate) hash: ChainHash,
}

/// A link of which only the header was looked at.
pub(crate) struct LooseLink {
    /// What it carries.
    pub(crate) previous: ChainHash,
    pub(crate) hash: ChainHash,
    /// First and last command, of a batch.
    pub(crate) commands: Option<(Sequence, Sequence)>,
    /// Whether the link behind it carries its hash; nothing if none stands there.
    pub(crate) is_carried: Option<bool>,
}

/// A link whose passing is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watched {
    hash: ChainHash,
    /// The last command up to it.
    last: Sequence,
    passed: bool,
}

enum Next {
    Batch(Found),
    SegmentEnds,
    Torn(Fault),
}

impl Reader {
    /// The journal of a data folder, at its beginning.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let storage = Arc::new(DirectoryStorage::new(directory.join(JOURNAL_FOLDER)));
        Self::with_storage(storage)?.ok_or_else(|| ReadError::NoJournal { directory: directory.to_owned() })
    }

    /// The journal in `storage`, at its beginning; nothing if there are no segments.
    pub fn with_storage(storage: Arc<dyn Storage>) -> Result<Option<Self>, ReadError> {
        let segments = segment_numbers(storage.as_ref())?;
        if segments.is_empty() {
            return Ok(None);
        }
        Self::enter(storage, &segments).map(Some)
    }

    /// A journal at the beginning of the first of these segments, which follow one another up to the last. Its header
    /// says what has come before.
    pub(crate) fn enter(storage: Arc<dyn Storage>, segments: &[SegmentNumber]) -> Result<Self, ReadError> {
        let (&number, behind) = segments.split_first().expect("a segment to enter");
        let bytes = map(storage.as_ref(), number)?;
        let header =
            SegmentHeader::decode((*bytes).as_ref()).map_err(|fault| damaged(storage.as_ref(), number, 0, fault))?;
        let place = match number {
            SegmentNumber::FIRST => {
                Place { offset: 0, sequence: Sequence(1), hash: ChainHash::GENESIS, term: header.term }
            }
            _ => Place { offset: 0, sequence: header.first, hash: header.previous, term: header.term },
        };
        let mut reader = Self {
            storage,
            ahead: behind.iter().rev().copied().collect(),
            identity: header.identity,
            segment: OpenSegment { number, bytes },
            place,
            batch: None,
            verified: Verified {
                segment_count: 0,
                batch_count: 0,
                first: Sequence::NONE,
                last: Sequence(place.sequence.0.saturating_sub(1)),
                chain: place.hash,
                seal: None,
                cut: None,
            },
            watched: Vec::new(),
            finished: false,
        };
        reader.enter_segment(&header).map_err(|fault| reader.damaged(0, fault))?;
        Ok(reader)
    }

    /// What all segments agree on.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where the segments are.
    pub(crate) fn folder(&self) -> &Path {
        self.storage.path()
    }

    /// What was found so far.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// Where the entry given out last was.
    pub fn position(&self) -> Position {
        let offset = self.batch.as_ref().map_or(self.place.offset, |batch| batch.place.whole.start);
        Position { file: self.file(), offset: offset as u64 }
    }

    /// The commands alone.
    pub fn commands(self) -> impl Iterator<Item = Result<Sequenced<Command>, ReadError>> {
        self.filter_map(|entry| match entry {
            Ok(Entry::Command(command)) => Some(Ok(command)),
            Ok(Entry::EventDigest(_) | Entry::Seal(_)) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Reads to the end and says what was found.
    pub fn verify(mut self) -> Result<Verified, ReadError> {
        self.read_to_end()?;
        Ok(self.verified)
    }

    /// Reads to the end or the first error; [`verified`](Self::verified) says what was found up to there.
    pub fn read_to_end(&mut self) -> Result<(), ReadError> {
        self.try_for_each(|entry| entry.map(drop))
    }

    /// Moves to the next good batch; false at the end.
    pub(crate) fn next_batch(&mut self) -> Result<bool, ReadError> {
        while !self.finished {
            match self.look()? {
                Next::Batch(found) => {
                    self.enter_batch(found);
                    return Ok(true);
                }
                Next::SegmentEnds => self.leave_segment()?,
                Next::Torn(fault) => self.cut(fault),
            }
        }
        Ok(false)
    }

    /// How long the current batch is.
    pub(crate) fn batch_bytes(&self) -> u64 {
        self.batch.as_ref().map_or(0, |batch| batch.place.whole.len() as u64)
    }

    /// Decodes every value of the current batch.
    pub(crate) fn check_values(&mut self) -> Result<(), ReadError> {
        while self.next_record()?.is_some() {}
        Ok(())
    }

    /// Notes a seal in the current batch, without decoding its commands if there is none.
    pub(crate) fn note_seal(&mut self) -> Result<(), ReadError> {
        let (Found { header, .. }, _) = self.batch();
        if header.record_count > header.command_count { self.check_values() } else { Ok(()) }
    }

    /// What stands at a place of the current segment, whether or not it belongs there; nothing if it has no whole header.
    pub(crate) fn link_at(&self, offset: usize) -> Option<LooseLink> {
        let rest = self.bytes().get(offset..)?;
        let (end, previous, hash, commands) = if offset == 0 {
            (self.alignment(), SegmentHeader::decode(rest).ok()?.previous, SegmentHeader::hash(rest), None)
        } else {
            let batch = BatchView::frame(rest, self.alignment()).ok()?;
            let header = batch.header();
            let last = Sequence(header.next_sequence().0.saturating_sub(1));
            (offset + batch.len(), header.previous, batch.hash(), Some((header.first, last)))
        };
        let in_next_segment = || Some(self.next_segment_header().ok()??.ok()?.previous);
        let next = self.header_at(end).map(|next| next.previous).or_else(in_next_segment);
        Some(LooseLink { previous, hash, commands, is_carried: next.map(|previous| previous == hash) })
    }

    /// The batch that [`next_batch`](Self::next_batch) moved to.
    pub(crate) fn batch_records(&self) -> impl Iterator<Item = RecordView<'_>> {
        let Found { whole, header, .. } = &self.batch.as_ref().expect("moved to a batch").place;
        BatchView::again(&self.bytes()[whole.clone()], *header).records()
    }

    /// The batch that [`next_batch`](Self::next_batch) moved to, and its bytes.
    pub(crate) fn batch(&self) -> (&Found, &[u8]) {
        let found = &self.batch.as_ref().expect("moved to a batch").place;
        (found, &self.bytes()[found.whole.clone()])
    }

    /// Notes whether the link with this hash and this last command is passed, from the current one on.
    pub(crate) fn watch_for(&mut self, hash: ChainHash, last: Sequence) {
        self.watched.push(Watched { hash, last, passed: false });
        self.pass(self.place.hash);
    }

    /// Whether a link watched for was passed.
    pub(crate) fn has_passed(&self, hash: ChainHash) -> bool {
        self.watched.iter().any(|watched| watched.passed && watched.hash == hash)
    }

    /// The link passed last.
    pub(crate) fn link(&self) -> Link {
        Link {
            segment: self.segment.number,
            last: Sequence(self.place.sequence.0.saturating_sub(1)),
            hash: self.place.hash,
        }
    }

    /// Where the next batch would be written: segment and offset.
    pub(crate) fn end(&self) -> (SegmentNumber, u64) {
        (self.segment.number, self.place.offset as u64)
    }

    /// The highest term read.
    pub(crate) fn term(&self) -> u64 {
        self.place.term
    }

    /// What stands at the next place.
    fn look(&self) -> Result<Next, ReadError> {
        loop {
            // A living writer may complete the batch between the first look and the search behind it.
            if let Some(next) = self.look_once()? {
                return Ok(next);
            }
        }
    }

    /// Nothing if the batch became good meanwhile.
    fn look_once(&self) -> Result<Option<Next>, ReadError> {
        let offset = self.place.offset;
        let rest = &self.bytes()[offset.min(self.bytes().len())..];
        let fault = match self.verify_batch(rest) {
            Ok(found) => return Ok(Some(Next::Batch(found))),
            Err(fault) => fault,
        };
        if is_zero(rest) {
            return Ok(Some(Next::SegmentEnds));
        }
        let last_segment = self.ahead.is_empty();
        if !last_segment || !State::from(&fault).is_a_torn_batch() || self.has_successor(rest) {
            let still_bad = self.verify_batch(rest).is_err();
            return if still_bad { Err(self.damaged(offset, describe(fault, rest))) } else { Ok(None) };
        }
        Ok(Some(Next::Torn(describe(fault, rest))))
    }

    /// The batch at the front of `rest`, if it is whole and belongs here.
    fn verify_batch(&self, rest: &[u8]) -> Result<Found, Fault> {
        let batch = BatchView::frame(rest, self.alignment())?;
        let hash = batch.hash();
        // What the next link carries is of the very bytes that the writer wrote; checksums would only say it again.
        let vouched = BatchHeader::decode(&rest[batch.len()..]).is_ok_and(|next| next.previous == hash);
        let batch = batch.verified(if vouched { Records::Vouched } else { Records::Checked })?;
        self.place.accept(batch.header())?;
        let offset = self.place.offset;
        Ok(Found { whole: offset..offset + batch.len(), header: *batch.header(), hash })
    }

    /// Whether a batch header that belongs behind this place stands anywhere behind it.
    fn has_successor(&self, rest: &[u8]) -> bool {
        (self.alignment()..rest.len()).step_by(self.alignment()).any(|at| {
            let end = rest.len().min(at + BATCH_HEADER_BYTES);
            BatchHeader::decode(&rest[at..end]).is_ok_and(|header| header.first >= self.place.sequence)
        })
    }

    fn enter_batch(&mut self, found: Found) {
        let Found { ref whole, header, hash } = found;
        let payload = whole.start + BATCH_HEADER_BYTES;
        if header.command_count > 0 {
            if self.verified.first.is_none() {
                self.verified.first = header.first;
            }
            self.verified.last = Sequence(header.next_sequence().0 - 1);
        }
        self.verified.batch_count += 1;
        self.verified.chain = hash;
        self.verified.seal = None;
        self.place = Place { offset: whole.end, sequence: header.next_sequence(), hash, term: header.term };
        let rest = payload..payload + header.payload_bytes as usize;
        self.batch = Some(CurrentBatch { place: found, rest });
        self.pass(hash);
    }

    fn pass(&mut self, hash: ChainHash) {
        let last = Sequence(self.place.sequence.0.saturating_sub(1));
        for watched in &mut self.watched {
            watched.passed |= watched.hash == hash && watched.last == last;
        }
    }

    /// Goes to the next segment, or finishes.
    fn leave_segment(&mut self) -> Result<(), ReadError> {
        let Some(number) = self.ahead.pop() else {
            self.finished = true;
            return Ok(());
        };
        let bytes = map(self.storage.as_ref(), number)?;
        let before = std::mem::replace(&mut self.segment, OpenSegment { number, bytes });
        self.batch = None;
        let place = self.place;
        self.place.offset = 0;
        match self.read_segment_header() {
            Ok(()) => Ok(()),
            // Segments get their name when their header is durable: a torn one is not our writer's doing, but as long as
            // nothing stands in it nothing is lost with it.
            Err(fault)
                if self.ahead.is_empty()
                    && State::from(&fault).is_a_torn_header()
                    && !self.has_successor(self.bytes()) =>
            {
                self.cut(fault);
                self.segment = before;
                self.place = place;
                Ok(())
            }
            Err(fault) => Err(self.damaged(0, fault)),
        }
    }

    fn read_segment_header(&mut self) -> Result<(), Fault> {
        let header = SegmentHeader::decode(self.bytes())?;
        self.enter_segment(&header)
    }

    fn enter_segment(&mut self, header: &SegmentHeader) -> Result<(), Fault> {
        self.place.accept_segment(header, self.segment.number, &self.identity)?;
        let offset = self.alignment();
        let gap = SEGMENT_HEADER_BYTES..offset.min(self.bytes().len());
        if !is_zero(&self.bytes()[gap]) {
            return Err(Fault::Padding);
        }
        let hash = SegmentHeader::hash(self.bytes());
        self.place = Place { offset, hash, term: header.term, ..self.place };
        self.verified.segment_count += 1;
        self.verified.chain = hash;
        self.pass(hash);
        Ok(())
    }

    fn cut(&mut self, fault: Fault) {
        let rest = &self.bytes()[self.place.offset.min(self.bytes().len())..];
        let length = rest.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        let command_count = BatchHeader::decode(rest).ok().map(|header| header.command_count);
        self.verified.cut = Some(Cut {
            file: self.file(),
            offset: self.place.offset as u64,
            length: length as u64,
            fault,
            after: self.verified.last,
            command_count,
        });
        self.finished = true;
    }

    /// Fills a chunk; it stays empty at the end. Behind an error it holds what came before.
    pub(crate) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), ReadError> {
        chunk.clear();
        while self.batch.is_some() || self.next_batch()? {
            self.fill_from_batch(chunk)?;
            if chunk.is_complete() {
                break;
            }
            self.batch = None;
        }
        Ok(())
    }

    /// Moves records of the current batch to the chunk until that is complete or there are no more.
    fn fill_from_batch(&mut self, chunk: &mut Chunk) -> Result<(), ReadError> {
        let CurrentBatch { place, rest } = self.batch.as_ref().expect("there is a batch");
        let place = BatchPlace { segment: self.segment.number, offset: place.whole.start as u64 };
        let (payload, mut at) = (&self.bytes()[rest.clone()], 0);
        let (end, mut outcome, mut seal) = (rest.end, Ok(()), None);
        chunk.begin_batch(place);
        while at < payload.len() && !chunk.is_complete() {
            let record = RecordView::frame(&payload[at..], 0).expect("verified");
            at += record.len();
            match record.kind() {
                RecordKind::Command => match record.command() {
                    Ok(command) => chunk.commands.push(command),
                    Err(error) => {
                        outcome = Err(self.damaged(place.offset as usize, Fault::Undecodable(error)));
                        break;
                    }
                },
                RecordKind::EventDigest => chunk.digests.push((record.block_digest(), place)),
                RecordKind::Seal => {
                    seal = Some(record.seal());
                    chunk.seal = seal.map(|seal| (seal, place));
                }
            }
        }
        let left = payload.len() - at;
        self.verified.seal = seal.or(self.verified.seal);
        if let Some(batch) = &mut self.batch {
            batch.rest = end - left..end;
        }
        if outcome.is_err() {
            self.finished = true;
            self.batch = None;
        }
        outcome
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            if let Some(entry) = self.next_record()? {
                return Ok(Some(entry));
            }
            if !self.next_batch()? {
                return Ok(None);
            }
        }
    }

    /// The next entry of the current batch.
    fn next_record(&mut self) -> Result<Option<Entry>, ReadError> {
        let Some(batch) = &self.batch else { return Ok(None) };
        let rest = &self.bytes()[batch.rest.clone()];
        if rest.is_empty() {
            return Ok(None);
        }
        let record = RecordView::frame(rest, 0).expect("verified");
        let length = record.len();
        let entry = record.entry().map_err(|error| self.damaged(batch.place.whole.start, Fault::Undecodable(error)))?;
        if let Entry::Seal(seal) = entry {
            self.verified.seal = Some(seal);
        }
        if let Some(batch) = &mut self.batch {
            batch.rest.start += length;
        }
        Ok(Some(entry))
    }

    fn bytes(&self) -> &[u8] {
        (*self.segment.bytes).as_ref()
    }

    fn alignment(&self) -> usize {
        self.identity.alignment as usize
    }

    fn file(&self) -> PathBuf {
        self.storage.path().join(self.segment.number.file_name())
    }

    fn damaged(&self, offset: usize, fault: Fault) -> ReadError {
        damaged(self.storage.as_ref(), self.segment.number, offset, fault)
    }
}

/// What seeking and following stand on.
impl Reader {
    /// The command that has to come next.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.place.sequence
    }

    /// The next batch, if it is whole and belongs there.
    pub(crate) fn look_ahead(&self) -> Result<Found, Fault> {
        self.verify_batch(&self.bytes()[self.place.offset.min(self.bytes().len())..])
    }

    /// Whether the last record of a batch is a seal.
    pub(crate) fn ends_with_seal(&self, found: &Found) -> bool {
        let records = BatchView::again(&self.bytes()[found.whole.clone()], found.header).records();
        records.last().is_some_and(|record| record.kind() == RecordKind::Seal)
    }

    /// The header of a batch at `offset`, if there is one.
    pub(crate) fn header_at(&self, offset: usize) -> Option<BatchHeader> {
        BatchHeader::decode(self.bytes().get(offset..)?).ok()
    }

    /// Moves to the batch that [`look_ahead`](Self::look_ahead) found.
    pub(crate) fn enter_ahead(&mut self, found: Found) {
        self.enter_batch(found);
    }

    /// The header of the segment behind this one, if there is one.
    pub(crate) fn next_segment_header(&self) -> Result<Option<Result<SegmentHeader, Fault>>, ReadError> {
        let name = self.segment.number.next().file_name();
        match self.storage.map(&name) {
            Ok(bytes) => Ok(Some(SegmentHeader::decode((*bytes).as_ref()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadError::Io { file: self.storage.path().join(name), source }),
        }
    }

    /// Goes to the segment behind this one, which is there, unless a batch has come here meanwhile.
    pub(crate) fn leave_if_ended(&mut self) -> Result<(), ReadError> {
        self.refresh()?;
        self.ahead = vec![self.segment.number.next()];
        match self.look()? {
            Next::SegmentEnds => self.leave_segment()?,
            Next::Batch(_) | Next::Torn(_) => {}
        }
        self.finished = false;
        match self.verified.cut.take() {
            Some(Cut { file, offset, fault, .. }) => Err(ReadError::Damaged { file, offset, fault }),
            None => Ok(()),
        }
    }

    /// Reads the segment anew, where the storage does not map it.
    pub(crate) fn refresh(&mut self) -> Result<(), ReadError> {
        self.segment.bytes = map(self.storage.as_ref(), self.segment.number)?;
        Ok(())
    }

    /// What is wrong with the next place, where a batch should be.
    pub(crate) fn damaged_here(&self, fault: Fault) -> ReadError {
        self.damaged(self.place.offset, fault)
    }

    /// Fails if what stands at the next place is damage, and no end.
    pub(crate) fn check_end(&self) -> Result<(), ReadError> {
        self.look().map(drop)
    }

    /// Gives the next entry of the current batch.
    pub(crate) fn next_in_batch(&mut self) -> Result<Option<Entry>, ReadError> {
        self.next_record()
    }

    /// Passes over everything before the first command that is `wanted`, which comes next then; false if there is none.
    pub(crate) fn pass_until(&mut self, wanted: impl Fn(&Sequenced<Command>) -> bool) -> Result<bool, ReadError> {
        loop {
            let before = self.batch.as_ref().map(|batch| batch.rest.start);
            match self.next_record()? {
                Some(Entry::Command(command)) if wanted(&command) => {
                    if let (Some(batch), Some(start)) = (&mut self.batch, before) {
                        batch.rest.start = start;
                    }
                    return Ok(true);
                }
                Some(_) => {}
                None if !self.next_batch()? => return Ok(false),
                None => {}
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next_entry();
        if entry.is_err() {
            self.finished = true;
            self.batch = None;
        }
        entry.transpose()
    }
}

impl Place {
    /// Whether a whole batch is the one that belongs here.
    fn accept(&self, header: &BatchHeader) -> Result<(), Fault> {
        let (expected, found) = (self.sequence, header.first);
        if found < expected {
            Err(Fault::Stale { expected, found })
        } else if found > expected {
            Err(Fault::SequenceGap { expected, found })
        } else if header.previous != self.hash {
            Err(Fault::Chain)
        } else if header.term < self.term {
            Err(Fault::TermWentBack { before: self.term, found: header.term })
        } else {
            Ok(())
        }
    }

    /// Whether a segment is the one that belongs here.
    fn accept_segment(&self, header: &SegmentHeader, number: SegmentNumber, identity: &Identity) -> Result<(), Fault> {
        if header.number != number {
            Err(Fault::SegmentNumber { found: header.number })
        } else if header.identity != *identity {
            Err(Fault::SegmentForeign)
        } else if header.first != self.sequence {
            Err(Fault::SegmentFirst { expected: self.sequence, found: header.first })
        } else if header.previous != self.hash {
            Err(Fault::Chain)
        } else if header.term < self.term {
            Err(Fault::TermWentBack { before: self.term, found: header.term })
        } else {
            Ok(())
        }
    }
}

/// Says "a hole" where zeros stand before something else.
fn describe(fault: Fault, rest: &[u8]) -> Fault {
    let front = &rest[..rest.len().min(BATCH_HEADER_BYTES)];
    if fault == Fault::BatchMagic && is_zero(front) { Fault::Hole } else { fault }
}

/// Compared by pages, because whole segments are.
fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; ALIGNMENT_MIN] = [0; ALIGNMENT_MIN];
    bytes.chunks(ALIGNMENT_MIN).all(|page| *page == ZEROS[..page.len()])
}

/// All segments by ascending number, from 1 without gaps.
pub(crate) fn segment_numbers(storage: &dyn Storage) -> Result<Vec<SegmentNumber>, ReadError> {
    let names = match storage.list() {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ReadError::Io { file: storage.path().to_owned(), source }),
    };
    let mut numbers = names
        .iter()
        .filter(|name| name.ends_with(SEGMENT_SUFFIX))
        .map(|name| {
            SegmentNumber::from_file_name(name).ok_or_else(|| ReadError::Damaged {
                file: storage.path().join(name),
                offset: 0,
                fault: Fault::SegmentName,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    numbers.sort_unstable();
    for (index, number) in (SegmentNumber::FIRST.0..).zip(&numbers) {
        if number.0 != index {
            let fault = Fault::SegmentMissing { missing: SegmentNumber(index) };
            return Err(damaged(storage, *number, 0, fault));
        }
    }
    Ok(numbers)
}

/// The segments from one on; nothing if it is not there.
pub(crate) fn from_segment(numbers: &[SegmentNumber], first: SegmentNumber) -> Option<&[SegmentNumber]> {
    let before = usize::try_from(first.0.checked_sub(SegmentNumber::FIRST.0)?).ok()?;
    numbers.get(before..).filter(|rest| !rest.is_empty())
}

pub(crate) fn map(storage: &dyn Storage, number: SegmentNumber) -> Result<Bytes, ReadError> {
    let name = number.file_name();
    storage.map(&name).map_err(|source| ReadError::Io { file: storage.path().join(name), source })
}

pub(crate) fn damaged(storage: &dyn Storage, number: SegmentNumber, offset: usize, fault: Fault) -> ReadError {
    ReadError::Damaged { file: storage.path().join(number.file_name()), offset: offset as u64, fault }
}
