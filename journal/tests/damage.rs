//! Damage is found and named: where, and what. Only a torn tail is cut, and then it is reported.

mod common;

use std::sync::Arc;

use common::{Folder, NoCore, PAGE, SplitMix64, Writing, page_of_cancels, seed};
use engine::{Sequence, Timestamp};
use journal::{Digest, Fault, OpenError, Options, ReadError, Reader, SegmentNumber, Storage, Verified};
use simulation::SimulatedDisk;

/// Two segments: the first holds three batches of 40 commands, the second `batches` more.
fn journal_with(batches: u64) -> (SimulatedDisk, Folder, Options) {
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    let options = folder.options_on(&disk);
    let mut writing = Writing::open(&folder.data(), &options);
    for batch in 0..3 + batches {
        writing.batch(&page_of_cancels(batch * 40 + 1));
    }
    writing.abandon();
    std::fs::remove_file(folder.head().unwrap()).unwrap();
    (disk, folder, options)
}

fn verify(disk: &SimulatedDisk) -> Result<Verified, ReadError> {
    Reader::with_storage(Arc::new(disk.clone()))?.expect("there are segments").verify()
}

const FIRST: &str = "00000001.seg";
const SECOND: &str = "00000002.seg";

/// The journal is damaged, at this place and for this reason, and does not open.
fn assert_damaged(disk: &SimulatedDisk, name: &str, at: u64, why: Fault) {
    match verify(disk) {
        Err(ReadError::Damaged { file, offset, fault }) => {
            assert_eq!((file.file_name().unwrap().to_str().unwrap(), offset, fault), (name, at, why));
        }
        other => panic!("{name} at {at}: {why}: {other:?}"),
    }
    let before: Vec<_> = disk.names().iter().map(|name| (name.clone(), disk.read(name))).collect();
    let folder = Folder::new();
    let options = folder.options_on(disk);
    let opened = journal::Journal::open(&folder.data(), &options);
    assert!(matches!(opened.map(|_| ()), Err(OpenError::Read(ReadError::Damaged { .. }))));
    let after: Vec<_> = disk.names().iter().map(|name| (name.clone(), disk.read(name))).collect();
    assert!(before == after, "a refusal changes nothing");
}

#[test]
fn a_flipped_byte_is_damage_or_a_reported_cut_of_the_last_batch() {
    // All bits of a larger journal are flipped by `simulation::damage`; here are the headers of this one, and a sample.
    let seed = seed(3);
    let mut random = SplitMix64(seed);
    let (disk, ..) = journal_with(1);
    let last_batch = PAGE;
    for (name, length) in [(FIRST, 4 * PAGE), (SECOND, 4 * PAGE)] {
        assert_eq!(disk.read(name).len(), length);
        for at in (0..length).filter(|at| at % PAGE < 200 || at % 17 == 0) {
            let mask = 1 << random.below(8);
            disk.flip(name, at, mask);
            let in_tail = name == SECOND && at >= last_batch;
            match verify(&disk) {
                Err(ReadError::Damaged { offset, .. }) => {
                    assert!(!in_tail, "{name} {at} SEED={seed}: refused what looks torn");
                    assert_eq!(offset, (at / PAGE * PAGE) as u64, "{name} {at} SEED={seed}");
                }
                Ok(verified) => {
                    let cut = verified.cut.unwrap_or_else(|| panic!("{name} {at} SEED={seed}: accepted silently"));
                    assert!(in_tail, "{name} {at} SEED={seed}: cut what is not the tail");
                    assert_eq!(verified.last.0, if at < 2 * PAGE { 120 } else { 160 });
                    assert_eq!(cut.after, verified.last);
                }
                Err(error) => panic!("{name} {at} SEED={seed}: {error}"),
            }
            disk.flip(name, at, mask);
        }
    }
    assert_eq!(verify(&disk).unwrap().last, Sequence(160));
}

#[test]
fn a_damaged_batch_before_a_good_one_names_its_offset() {
    let (disk, ..) = journal_with(2);
    disk.flip(SECOND, PAGE + 72 + 8 + 3, 1);
    assert_damaged(&disk, SECOND, 4_096, Fault::RecordChecksum { index: 0 });
}

#[test]
fn a_damaged_batch_before_a_torn_one_is_damage_too() {
    let (disk, ..) = journal_with(2);
    disk.flip(SECOND, PAGE + 72 + 8 + 3, 1);
    disk.flip(SECOND, 2 * PAGE + 72 + 8 + 3, 1);
    assert_damaged(&disk, SECOND, 4_096, Fault::RecordChecksum { index: 0 });
}

#[test]
fn zeros_where_a_batch_was_are_damage() {
    let (disk, ..) = journal_with(2);
    let mut bytes = disk.read(SECOND);
    bytes[PAGE..2 * PAGE].fill(0);
    disk.write(SECOND, bytes);
    assert_damaged(&disk, SECOND, 4_096, Fault::Hole);
}

#[test]
fn the_last_batch_of_a_segment_that_has_a_successor_is_not_a_tail() {
    let (disk, ..) = journal_with(1);
    let whole = disk.read(FIRST);
    disk.flip(FIRST, 3 * PAGE + 72 + 8 + 3, 1);
    assert_damaged(&disk, FIRST, 12_288, Fault::RecordChecksum { index: 0 });

    let mut bytes = whole.clone();
    bytes[3 * PAGE..].fill(0);
    disk.write(FIRST, bytes);
    let fault = Fault::SegmentFirst { expected: Sequence(81), found: Sequence(121) };
    assert_damaged(&disk, SECOND, 0, fault);

    disk.write(FIRST, whole[..3 * PAGE].to_vec());
    assert_damaged(&disk, SECOND, 0, fault);
}

#[test]
fn a_missing_segment_is_named() {
    let (disk, ..) = journal_with(4);
    assert_eq!(disk.names(), [FIRST, SECOND, "00000003.seg"]);
    let second = disk.read(SECOND);
    disk.remove(SECOND).unwrap();
    assert_damaged(&disk, "00000003.seg", 0, Fault::SegmentMissing { missing: SegmentNumber(2) });
    disk.write(SECOND, second);
    disk.remove(FIRST).unwrap();
    assert_damaged(&disk, SECOND, 0, Fault::SegmentMissing { missing: SegmentNumber(1) });
}

#[test]
fn a_segment_under_another_name_is_named() {
    let (disk, ..) = journal_with(1);
    disk.write("00000003.seg", disk.read(SECOND));
    assert_damaged(&disk, "00000003.seg", 0, Fault::SegmentNumber { found: SegmentNumber(2) });

    let (disk, ..) = journal_with(1);
    disk.write("2.seg", disk.read(SECOND));
    assert_damaged(&disk, "2.seg", 0, Fault::SegmentName);

    let (disk, ..) = journal_with(1);
    let [first, second] = [disk.read(FIRST), disk.read(SECOND)];
    disk.write(FIRST, second);
    disk.write(SECOND, first);
    assert_damaged(&disk, FIRST, 0, Fault::SegmentNumber { found: SegmentNumber(2) });
}

#[test]
fn a_segment_of_another_journal_is_named() {
    let (disk, ..) = journal_with(1);
    let (other, folder) = (SimulatedDisk::new(1), Folder::new());
    let id = Some(journal::JournalId(*b"another journal!"));
    let options = Options { journal_id: id, ..folder.options_on(&other) };
    let mut writing = Writing::open(&folder.data(), &options);
    (0..4).for_each(|batch| writing.batch(&page_of_cancels(batch * 40 + 1)));
    writing.abandon();
    disk.write(SECOND, other.read(SECOND));
    assert_damaged(&disk, SECOND, 0, Fault::SegmentForeign);
}

#[test]
fn a_segment_of_the_same_journals_other_history_breaks_the_chain() {
    let (disk, ..) = journal_with(1);
    let (other, folder) = (SimulatedDisk::new(1), Folder::new());
    let options = folder.options_on(&other);
    let mut writing = Writing::open(&folder.data(), &options);
    (0..4).for_each(|batch| writing.batch(&page_of_cancels(batch * 40 + 2)));
    writing.abandon();
    disk.write(SECOND, other.read(SECOND));
    assert_damaged(&disk, SECOND, 0, Fault::Chain);
}

#[test]
fn batches_swapped_dropped_and_doubled_are_found() {
    let (disk, ..) = journal_with(1);
    let whole = disk.read(FIRST);
    let arrange = |order: [usize; 3]| {
        let mut bytes = whole[..PAGE].to_vec();
        order.iter().for_each(|&batch| bytes.extend_from_slice(&whole[batch * PAGE..(batch + 1) * PAGE]));
        disk.write(FIRST, bytes);
    };
    arrange([2, 1, 3]);
    assert_damaged(&disk, FIRST, 4_096, Fault::SequenceGap { expected: Sequence(1), found: Sequence(41) });
    arrange([1, 3, 2]);
    assert_damaged(&disk, FIRST, 8_192, Fault::SequenceGap { expected: Sequence(41), found: Sequence(81) });
    arrange([1, 1, 2]);
    assert_damaged(&disk, FIRST, 8_192, Fault::Stale { expected: Sequence(41), found: Sequence(1) });
    arrange([1, 2, 2]);
    assert_damaged(&disk, FIRST, 12_288, Fault::Stale { expected: Sequence(81), found: Sequence(41) });
    arrange([1, 2, 3]);
    assert_eq!(verify(&disk).unwrap().last, Sequence(160));
}

#[test]
fn a_whole_batch_of_another_history_at_the_end_is_damage_and_no_tail() {
    let (disk, ..) = journal_with(1);
    let (other, folder) = (SimulatedDisk::new(1), Folder::new());
    let options = folder.options_on(&other);
    let mut writing = Writing::open(&folder.data(), &options);
    (0..4).for_each(|batch| writing.batch(&page_of_cancels(batch * 40 + 2)));
    writing.abandon();
    let mut bytes = disk.read(SECOND);
    bytes[PAGE..2 * PAGE].copy_from_slice(&other.read(SECOND)[PAGE..2 * PAGE]);
    disk.write(SECOND, bytes);
    assert_damaged(&disk, SECOND, 4_096, Fault::Chain);
}

#[test]
fn a_damaged_seal_is_a_reported_cut() {
    let (disk, folder, options) = journal_with(1);
    let writing = Writing::open(&folder.data(), &options);
    writing.close(Digest([9; 32]));
    assert!(verify(&disk).unwrap().seal.is_some());
    disk.flip(SECOND, 2 * PAGE + 72 + 8, 1);
    let verified = verify(&disk).unwrap();
    assert_eq!((verified.last, verified.seal), (Sequence(160), None));
    assert_eq!(verified.cut.unwrap().offset, 8_192);
}

#[test]
fn a_journal_of_another_venue_or_engine_is_refused() {
    let (_disk, folder, options) = journal_with(1);
    let capacity = engine::Capacity { accounts: 17, ..options.capacity };
    for (what, options) in [
        ("venue number", Options { venue: 2, ..options.clone() }),
        ("shard number", Options { shard: 1, ..options.clone() }),
        ("engine capacity", Options { capacity, ..options.clone() }),
        ("term, a later one", Options { term: 0, ..options.clone() }),
    ] {
        match journal::Journal::open(&folder.data(), &options).map(|_| ()) {
            Err(OpenError::Different { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_later_term_goes_on() {
    let (disk, folder, options) = journal_with(1);
    let mut writing = Writing::open(&folder.data(), &Options { term: 7, ..options });
    let at = Timestamp(500);
    writing.sequencer.submit(&mut NoCore, at, &page_of_cancels(161), &mut Vec::new()).unwrap();
    writing.abandon();
    assert_eq!(verify(&disk).unwrap().last, Sequence(200));
    // The term stands at byte 8 of the batch's header.
    assert_eq!(disk.read(SECOND)[2 * PAGE + 8..][..8], 7_u64.to_le_bytes());
}
