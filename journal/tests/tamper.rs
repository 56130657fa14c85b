//! Whatever is done to a record, an audit against checkpoints that were kept elsewhere names the place.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;

use common::{Folder, SplitMix64, random_command, seed};
use engine::{Sequence, Timestamp};
use journal::checkpoint::{Checkpoint, Link};
use journal::{Audit, AuditError, ChainHash, Digest, Evidence, Finding, JournalId, SegmentNumber, audit};

const PAGE: usize = 4_096;
/// Where a batch keeps the hash of the link before.
const PREVIOUS: std::ops::Range<usize> = 36..68;

/// A batch taken apart. The header's fields that follow from the records are made anew.
#[derive(Clone)]
struct Batch {
    header: [u8; 72],
    records: Vec<Vec<u8>>,
}

impl Batch {
    fn parse(bytes: &[u8]) -> (Self, usize) {
        let word = |at: usize| usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap();
        let (mut rest, mut records) = (&bytes[72..72 + word(32)], Vec::new());
        while !rest.is_empty() {
            let length = 8 + usize::from(u16::from_le_bytes([rest[0], rest[1]])).next_multiple_of(8);
            records.push(rest[..length].to_vec());
            rest = &rest[length..];
        }
        (Self { header: bytes[..72].try_into().unwrap(), records }, (72 + word(32)).next_multiple_of(PAGE))
    }

    fn commands(&self) -> usize {
        self.records.iter().filter(|record| record[2] == 1).count()
    }

    /// All checksums are right.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        for record in &self.records {
            let checksum = crc32c(&[&record[..4], &record[8..]].concat());
            bytes.extend_from_slice(&record[..4]);
            bytes.extend_from_slice(&checksum.to_le_bytes());
            bytes.extend_from_slice(&record[8..]);
        }
        let counts = [self.commands(), self.records.len(), bytes.len() - 72];
        for (at, count) in [24, 28, 32].into_iter().zip(counts) {
            bytes[at..at + 4].copy_from_slice(&u32::try_from(count).unwrap().to_le_bytes());
        }
        let checksum = crc32c(&bytes[..68]);
        bytes[68..72].copy_from_slice(&checksum.to_le_bytes());
        let padding = bytes.len().next_multiple_of(PAGE) - bytes.len();
        bytes.extend_from_slice(&[0; PAGE][..padding]);
        bytes
    }

    fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.bytes()).as_bytes()
    }
}

/// A segment taken apart.
#[derive(Clone)]
struct Segment {
    header: Vec<u8>,
    batches: Vec<Batch>,
    length: usize,
}

impl Segment {
    fn parse(bytes: &[u8]) -> Self {
        let (mut at, mut batches) = (PAGE, Vec::new());
        while bytes.get(at..at + 4) == Some(b"RBAT") {
            let (batch, length) = Batch::parse(&bytes[at..]);
            batches.push(batch);
            at += length;
        }
        Self { header: bytes[..PAGE].to_vec(), batches, length: bytes.len() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.clone();
        let checksum = crc32c(&bytes[..PAGE - 4]);
        bytes[PAGE - 4..].copy_from_slice(&checksum.to_le_bytes());
        self.batches.iter().for_each(|batch| bytes.extend_from_slice(&batch.bytes()));
        assert!(bytes.len() <= self.length);
        while bytes.len() < self.length {
            bytes.extend_from_slice(&[0; PAGE]);
        }
        bytes
    }
}

/// A journal taken apart, and what it was.
struct Original {
    folder: Folder,
    segments: Vec<Segment>,
    written: std::cell::RefCell<Vec<Vec<u8>>>,
}

/// Where a batch is: segment and place in it.
type Place = (usize, usize);

impl Original {
    /// Some three hundred commands of all kinds in batches of different sizes, sealed.
    fn make() -> Self {
        let mut random = SplitMix64(seed(7));
        let folder = Folder::new();
        let mut writing = folder.open();
        while writing.sequencer.last().sequence.0 < 300 {
            let commands: Vec<_> = (0..=random.below(20)).map(|_| random_command(&mut random)).collect();
            writing.batch(&commands);
        }
        writing.close(Digest([5; 32]));
        let bytes: Vec<_> = (1..).map_while(|number| fs::read(folder.segment(number)).ok()).collect();
        let segments: Vec<_> = bytes.iter().map(|bytes| Segment::parse(bytes)).collect();
        assert!(segments.iter().zip(&bytes).all(|(segment, bytes)| segment.bytes() == *bytes), "taken apart whole");
        Self { folder, segments, written: std::cell::RefCell::new(bytes) }
    }

    /// Those of the seal's batch, which stands last, left out.
    fn places(&self) -> Vec<Place> {
        let places = |(segment, inner): (usize, &Segment)| (0..inner.batches.len()).map(move |batch| (segment, batch));
        let mut places: Vec<_> = self.segments.iter().enumerate().flat_map(places).collect();
        places.pop();
        places
    }

    fn batch(&self, (segment, batch): Place) -> &Batch {
        &self.segments[segment].batches[batch]
    }

    fn last(&self, place: Place) -> u64 {
        sequence(self.batch(place).records.last().unwrap())
    }

    /// One at every fourth batch, and at the last.
    fn checkpoints(&self) -> Vec<Checkpoint> {
        let places = self.places();
        let chosen = places.iter().skip(3).step_by(4).chain(places.last());
        chosen.map(|&place| self.checkpoint(place)).collect()
    }

    fn checkpoint(&self, place: Place) -> Checkpoint {
        let last = Sequence(self.last(place));
        Checkpoint {
            journal: JournalId(*b"a journal's name"),
            venue: 1,
            shard: 0,
            sequence: last,
            time: Timestamp(last.0),
            event_count: 0,
            event_digest: Digest::ZERO,
            state_digest: Digest::ZERO,
            link: Link { segment: SegmentNumber(place.0 as u64 + 1), last, hash: ChainHash(self.batch(place).hash()) },
        }
    }

    /// Audits other segments in place of these.
    fn audit_as(&self, segments: &[Segment]) -> Audit {
        let mut written = self.written.borrow_mut();
        for (index, segment) in segments.iter().enumerate() {
            let bytes = segment.bytes();
            if written.get(index) != Some(&bytes) {
                // In place: a file system may begin to write back what is replaced whole.
                let file = self.folder.segment(index as u64 + 1);
                let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(file).unwrap();
                file.set_len(bytes.len() as u64).unwrap();
                file.write_all_at(&bytes, 0).unwrap();
                written[index] = bytes;
            }
        }
        audit(&self.folder.data(), &self.checkpoints(), &mut |_| {}).unwrap()
    }

    fn file_and_offset(&self, (segment, batch): Place) -> (std::path::PathBuf, u64) {
        let before: usize = self.segments[segment].batches[..batch].iter().map(|batch| batch.bytes().len()).sum();
        (self.folder.segment(segment as u64 + 1), (PAGE + before) as u64)
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes)).unwrap()
}

fn sequence(record: &[u8]) -> u64 {
    u64::from_le_bytes(record[8..16].try_into().unwrap())
}

/// Numbers all commands from 1, and says so in all headers.
fn renumber(segments: &mut [Segment]) {
    let mut next = 1_u64;
    for segment in segments {
        segment.header[56..64].copy_from_slice(&next.to_le_bytes());
        for batch in &mut segment.batches {
            batch.header[16..24].copy_from_slice(&next.to_le_bytes());
            for record in &mut batch.records {
                match record[2] {
                    1 => {
                        record[8..16].copy_from_slice(&next.to_le_bytes());
                        next += 1;
                    }
                    _ => record[8..16].copy_from_slice(&(next - 1).to_le_bytes()),
                }
            }
        }
    }
}

/// Makes each link carry the hash of the one before.
fn rewrite_chain(segments: &mut [Segment]) {
    let mut previous = [0; 32];
    for segment in segments {
        segment.header[64..96].copy_from_slice(&previous);
        let bytes = Segment { batches: Vec::new(), ..segment.clone() }.bytes();
        previous = *blake3::hash(&bytes[..PAGE]).as_bytes();
        for batch in &mut segment.batches {
            batch.header[PREVIOUS].copy_from_slice(&previous);
            previous = batch.hash();
        }
    }
}

/// What is done to one record. `target` is where it goes, if it goes anywhere.
#[derive(Debug, Clone, Copy)]
enum Forgery {
    Change,
    Delete,
    Double,
    MoveInBatch,
    MoveElsewhere,
    SwapInBatch,
    SwapElsewhere,
}

const FORGERIES: [Forgery; 7] = [
    Forgery::Change,
    Forgery::Delete,
    Forgery::Double,
    Forgery::MoveInBatch,
    Forgery::MoveElsewhere,
    Forgery::SwapInBatch,
    Forgery::SwapElsewhere,
];

impl Forgery {
    fn apply(self, segments: &mut [Segment], here: Place, record: usize, there: Place) {
        let mut records = segments[here.0].batches[here.1].records.clone();
        let other = (record + 1) % records.len();
        let elsewhere = |segments: &mut [Segment], edit: &mut dyn FnMut(&mut Vec<Vec<u8>>)| {
            edit(&mut segments[there.0].batches[there.1].records);
        };
        match self {
            // A bit of the author, so that every kind of command decodes.
            Self::Change => records[record][24] ^= 1,
            Self::Delete => drop(records.remove(record)),
            Self::Double => records.insert(record, records[record].clone()),
            Self::MoveInBatch => {
                let moved = records.remove(record);
                records.insert(other.min(records.len()), moved);
            }
            Self::SwapInBatch => records.swap(record, other),
            Self::MoveElsewhere | Self::SwapElsewhere if here == there => {}
            Self::MoveElsewhere => {
                let moved = records.remove(record);
                elsewhere(segments, &mut |records| records.insert(0, moved.clone()));
            }
            Self::SwapElsewhere => {
                elsewhere(segments, &mut |others| std::mem::swap(&mut others[0], &mut records[record]))
            }
        }
        segments[here.0].batches[here.1].records = records;
    }
}

/// Whether the numbers behind a forgery are made to follow again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Numbers {
    Left,
    Mended,
}

/// What was done, the first batch that is another for it, and the number of the command that it was done to.
struct Done {
    what: String,
    segments: Vec<Segment>,
    first: Place,
    sequence: u64,
}

/// Every record, in every way; gives how many differ from what was there.
fn every_forgery(original: &Original, numbers: Numbers, mut check: impl FnMut(Done)) -> usize {
    let mut random = SplitMix64(seed(11));
    let places = original.places();
    let bytes: Vec<_> = places.iter().map(|&place| original.batch(place).bytes()).collect();
    let mut done = 0;
    for &here in &places {
        for (record, forgery) in (0..original.batch(here).records.len()).flat_map(|at| FORGERIES.map(|way| (at, way))) {
            let there = places[usize::try_from(random.below(places.len() as u64)).unwrap()];
            let mut segments = original.segments.clone();
            forgery.apply(&mut segments, here, record, there);
            if numbers == Numbers::Mended {
                renumber(&mut segments);
            }
            let fits = |segment: &Segment| {
                PAGE + segment.batches.iter().map(|batch| batch.bytes().len()).sum::<usize>() <= segment.length
            };
            // Commands that say the same make no difference.
            let bytes_now = |(segment, batch): Place| segments[segment].batches[batch].bytes();
            let first = places.iter().zip(&bytes).find(|&(&place, bytes)| bytes_now(place) != *bytes);
            let first = first.map(|(&place, _)| place);
            if let (Some(first), true) = (first, segments.iter().all(fits)) {
                let what = format!("{forgery:?} record {record} of {here:?}, {there:?}");
                let sequence = sequence(&original.batch(here).records[record]);
                check(Done { what, segments, first, sequence });
                done += 1;
            }
        }
    }
    done
}

/// Whether one of the findings is about the batch: its place, or all of its commands that are left.
fn names(original: &Original, findings: &[Finding], place: Place) -> bool {
    let (file, offset) = original.file_and_offset(place);
    findings.iter().any(|finding| {
        let (first, last) = (sequence(&original.batch(place).records[0]), original.last(place));
        (&finding.file, finding.offset) == (&file, offset) && finding.first <= Sequence(first)
            || (finding.first.0..=finding.last.0).contains(&first) && finding.last.0 >= last
    })
}

#[test]
fn a_journal_that_is_as_it_was_agrees_with_all_checkpoints() {
    let original = Original::make();
    let found = original.audit_as(&original.segments);
    assert_eq!(found.findings, []);
    assert_eq!((found.agreed_count, found.error.is_none()), (original.checkpoints().len() as u64, true));
    assert!(found.verified.seal.is_some());
}

/// The checksums of records and batches are made right again; the chain is not.
#[test]
fn every_record_that_is_tampered_with_is_named_with_its_batch() {
    let original = Original::make();
    let check = |Done { what, segments, first, sequence }: Done| {
        let Audit { findings, .. } = original.audit_as(&segments);
        let covers = findings.iter().any(|finding| (finding.first.0..=finding.last.0).contains(&sequence));
        assert!(covers || names(&original, &findings, first), "{what}: {sequence} in {first:?}: {findings:?}");
        assert!(findings.len() <= 2, "{what}: {findings:?}");
    };
    let done = every_forgery(&original, Numbers::Left, check);
    println!("{done} forgeries");
    assert!(done > 1_900, "{done}");
}

/// The numbers and the chain are made right again, too, so that nothing contradicts itself.
#[test]
fn a_chain_that_was_written_anew_is_named_between_two_checkpoints() {
    let original = Original::make();
    let checkpoints: Vec<_> = original.checkpoints().iter().map(|checkpoint| checkpoint.sequence.0).collect();
    let done = every_forgery(&original, Numbers::Mended, |Done { what, mut segments, first, .. }| {
        rewrite_chain(&mut segments);
        let Audit { findings, agreed_count, error, .. } = original.audit_as(&segments);
        assert!(error.is_none(), "{what}: the journal alone is whole");
        let tampered = original.last(first);
        let until = *checkpoints.iter().find(|&&checkpoint| checkpoint >= tampered).unwrap();
        let agreed: Vec<_> = checkpoints.iter().filter(|&&checkpoint| checkpoint < tampered).collect();
        match findings[..] {
            [Finding { first, last, evidence: Evidence::Rewritten { checkpoint }, .. }] => {
                assert_eq!((last, checkpoint), (Sequence(until), Sequence(until)), "{what}");
                assert_eq!(first.0, agreed.last().map_or(1, |&&agreed| agreed + 1), "{what}");
                assert_eq!(agreed_count, agreed.len() as u64, "{what}");
            }
            [Finding { last, evidence: Evidence::CutShort { checkpoint, .. }, .. }] => {
                assert_eq!((last.0, checkpoint.0), (until, until), "{what}: the last command was deleted");
            }
            _ => panic!("{what}: {findings:?}"),
        }
    });
    println!("{done} forgeries");
    assert!(done > 1_900, "{done}");
}

/// The numbers are mended and the chain is not: everything behind differs, and still the first batch is named.
#[test]
fn the_first_of_many_batches_that_were_changed_is_named() {
    let original = Original::make();
    for place in original.places() {
        let mut segments = original.segments.clone();
        drop(segments[place.0].batches[place.1].records.remove(0));
        renumber(&mut segments);
        let findings = original.audit_as(&segments).findings;
        assert!(names(&original, &findings, place), "{place:?}: {findings:?}");
    }
}

/// Whole batches: deleted, doubled, swapped with the next.
#[test]
fn every_batch_that_is_deleted_doubled_or_moved_is_named() {
    let original = Original::make();
    for place in original.places() {
        let (segment, batch) = place;
        let mut deleted = original.segments.clone();
        deleted[segment].batches.remove(batch);
        let findings = original.audit_as(&deleted).findings;
        assert!(names(&original, &findings, place), "deleted {place:?}: {findings:?}");

        if batch + 1 < original.segments[segment].batches.len() {
            let mut swapped = original.segments.clone();
            swapped[segment].batches.swap(batch, batch + 1);
            let findings = original.audit_as(&swapped).findings;
            assert!(names(&original, &findings, place), "swapped {place:?}: {findings:?}");
        }
        let mut doubled = original.segments.clone();
        let again = doubled[segment].batches[batch].clone();
        doubled[segment].batches.insert(batch + 1, again);
        doubled[segment].length += PAGE;
        let findings = original.audit_as(&doubled).findings;
        let at = (original.segments[segment].batches[batch].bytes().len() as u64) + original.file_and_offset(place).1;
        let named = findings.iter().map(|finding| (finding.offset, finding.last.0)).collect::<Vec<_>>();
        assert_eq!(named, [(at, original.last(place))], "doubled {place:?}: the second one, and no other");
    }
}

/// Whole segments and the ends of some are gone, and nothing shows it but a checkpoint.
#[test]
fn a_journal_that_was_cut_short_is_named_with_what_it_lacks() {
    let original = Original::make();
    let checkpoints: Vec<_> = original.checkpoints().iter().map(|checkpoint| checkpoint.sequence.0).collect();
    for (index, &place) in original.places().iter().enumerate().rev() {
        let (segment, batch) = place;
        for gone in segment + 1..original.segments.len() {
            // It may be gone already.
            let _ = fs::remove_file(original.folder.segment(gone as u64 + 1));
        }
        let mut kept = original.segments[..=segment].to_vec();
        kept[segment].batches.truncate(batch + 1);
        let Audit { findings, agreed_count, error, verified, .. } = original.audit_as(&kept);
        assert!(error.is_none(), "the journal alone is whole");
        let end = original.last(place);
        assert_eq!(verified.last.0, end);
        let missing = checkpoints.iter().find(|&&checkpoint| checkpoint > end).map(|&checkpoint| {
            let evidence = Evidence::CutShort { end: Sequence(end), checkpoint: Sequence(checkpoint) };
            (Sequence(end + 1), Sequence(checkpoint), evidence)
        });
        let found = findings.iter().map(|finding| (finding.first, finding.last, finding.evidence)).collect::<Vec<_>>();
        assert_eq!(found, Vec::from_iter(missing), "cut behind batch {index}");
        let reached = checkpoints.iter().filter(|&&checkpoint| checkpoint <= end).count();
        assert_eq!(agreed_count, reached as u64);
    }
}

#[test]
fn checkpoints_of_another_journal_are_refused() {
    let original = Original::make();
    let mut checkpoints = original.checkpoints();
    checkpoints[2].journal = JournalId([1; 16]);
    let refused = audit(&original.folder.data(), &checkpoints, &mut |_| {}).unwrap_err();
    assert!(
        matches!(refused, AuditError::Foreign { sequence, .. } if sequence == checkpoints[2].sequence),
        "{refused}"
    );
}
