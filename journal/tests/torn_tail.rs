//! A torn tail is cut, reported, and overwritten; nothing before it is lost.
//!
//! The journal of these tests is one segment: a header, a first batch of 40 commands and a last one of 40, a page each.

mod common;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use common::{Folder, PAGE, SplitMix64, Writing, commands_on, page_of_cancels, seed, stamped};
use engine::Sequence;
use journal::{Cut, Fault, HeadOutcome, JournalId, Options, ReadError, Reader, Storage, Verified};
use simulation::SimulatedDisk;

const LAST_BATCH: usize = 2 * PAGE;

/// The journal, and its segment's bytes. The head is gone, as after a power loss.
fn two_batches() -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    fs::remove_file(folder.head().unwrap()).unwrap();
    let bytes = fs::read(folder.segment(1)).unwrap();
    assert_eq!(bytes.len(), 4 * PAGE);
    assert_eq!(&bytes[LAST_BATCH..LAST_BATCH + 4], b"RBAT");
    assert!(bytes[3 * PAGE..].iter().all(|&byte| byte == 0));
    (folder, bytes)
}

/// Behind the last byte that is not zero.
fn last_batch_end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

/// The journal reads as the first batch alone; says what was cut.
fn first_batch_only(folder: &Folder, context: &str) -> Option<Cut> {
    let verified = folder.verify().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!((verified.first, verified.last), (Sequence(1), Sequence(40)), "{context}");
    if let Some(cut) = &verified.cut {
        assert_eq!((cut.offset, cut.after, &cut.file), (8_192, Sequence(40), &folder.segment(1)), "{context}");
    }
    verified.cut
}

fn overwrite(folder: &Folder, bytes: &[u8]) {
    fs::write(folder.segment(1), bytes).unwrap();
}

#[test]
fn truncated_at_every_byte_of_the_last_batch() {
    let (folder, bytes) = two_batches();
    let file = OpenOptions::new().write(true).open(folder.segment(1)).unwrap();
    for length in (LAST_BATCH..3 * PAGE).rev() {
        file.set_len(length as u64).unwrap();
        let cut = first_batch_only(&folder, &format!("length {length}"));
        match cut {
            None => assert_eq!(length, LAST_BATCH, "nothing of the batch is left"),
            Some(cut) => {
                assert_eq!(cut.fault, Fault::FileEnds);
                assert_eq!(cut.length, (last_batch_end(&bytes[..length]) - LAST_BATCH) as u64);
                assert_eq!(cut.command_count, (length >= LAST_BATCH + 72).then_some(40));
            }
        }
    }
}

const SEGMENT: &str = "00000001.seg";

/// One segment of a header and twenty batches of 40 commands, a page each, and room for three more.
fn twenty_batches(journal: [u8; 16]) -> (SimulatedDisk, Folder, Options) {
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    let journal_id = Some(JournalId(journal));
    let options = Options { segment_bytes: 24 * PAGE as u64, journal_id, ..folder.options_on(&disk) };
    let mut writing = Writing::open(&folder.data(), &options);
    (0..20).for_each(|batch| writing.batch(&page_of_cancels(batch * 40 + 1)));
    writing.abandon();
    fs::remove_file(folder.head().unwrap()).unwrap();
    (disk, folder, options)
}

fn verify(disk: &SimulatedDisk) -> Result<Verified, ReadError> {
    Reader::with_storage(std::sync::Arc::new(disk.clone()))?.expect("there is a segment").verify()
}

/// Opens the journal, adds a batch, and compares what is read with the first `last` commands and that batch.
fn goes_on_behind(last: usize, disk: &SimulatedDisk, folder: &Folder, options: &Options, context: &str) {
    let mut writing = Writing::open(&folder.data(), options);
    assert_eq!(writing.recovery.last, Sequence(last as u64), "{context}");
    writing.batch(&page_of_cancels(5_001));
    writing.abandon();
    fs::remove_file(folder.head().unwrap()).unwrap();
    let read: Vec<_> = commands_on(disk).into_iter().map(|command| command.value).collect();
    assert!(read[..last].iter().zip(1..).all(|(read, number)| *read == common::cancel(number)), "{context}");
    assert_eq!(read[last..], page_of_cancels(5_001), "{context}");
}

/// Truncates the twenty batches to each of these lengths; reads every one, and opens those that are chosen.
fn truncate(lengths: impl Iterator<Item = usize>, is_opened: impl Fn(usize) -> bool) {
    let (disk, folder, options) = twenty_batches(*b"a journal's name");
    let bytes = disk.read(SEGMENT);
    for length in lengths {
        disk.write(SEGMENT, bytes[..length].to_vec());
        let batches = length / PAGE - 1;
        let verified = verify(&disk).unwrap_or_else(|error| panic!("length {length}: {error}"));
        assert_eq!(verified.last, Sequence(batches as u64 * 40), "length {length}");
        let cut = verified.cut.map(|cut| (cut.offset, cut.fault, cut.after));
        let torn = !length.is_multiple_of(PAGE);
        let expected = torn.then_some(((batches + 1) as u64 * 4_096, Fault::FileEnds, verified.last));
        assert_eq!(cut, expected, "length {length}");
        if is_opened(length) {
            goes_on_behind(batches * 40, &disk, &folder, &options, &format!("length {length}"));
            disk.names().iter().filter(|name| *name != SEGMENT).for_each(|name| disk.remove(name).unwrap());
        }
    }
}

/// The last 64 KiB of the twenty batches.
const LAST: std::ops::RangeInclusive<usize> = 5 * PAGE..=21 * PAGE;

#[test]
fn truncated_anywhere_in_the_last_64_kib() {
    let near_a_border = |length: usize| [0, 1, 71, 72, 73, 4_095].contains(&(length % PAGE));
    truncate(LAST.filter(|&length| near_a_border(length) || length % 61 == 0), |length| length % 1_021 < 3);
}

#[test]
#[ignore = "a minute in an optimised build: cargo test --release -p journal --test torn_tail -- --ignored"]
fn truncated_at_every_byte_of_the_last_64_kib() {
    truncate(LAST, |length| length.is_multiple_of(16));
}

#[test]
fn what_stands_behind_a_whole_tail_is_cut_unless_it_could_be_a_later_batch() {
    let seed = seed(5);
    let (disk, folder, options) = twenty_batches(*b"a journal's name");
    let (other, ..) = twenty_batches(*b"another journal!");
    let (whole, others) = (disk.read(SEGMENT), other.read(SEGMENT));
    // As if the machine had stopped with ten batches, and the device had brought back something from before.
    let tail = 11 * PAGE;
    let mut garbage = vec![0; 3 * PAGE];
    let mut random = SplitMix64(seed);
    garbage.fill_with(|| random.next().to_le_bytes()[0]);
    let batch = |bytes: &[u8], number: usize| bytes[number * PAGE..(number + 1) * PAGE].to_vec();
    let cut = |fault| Some(Ok(fault));
    let damage = |fault| Some(Err(fault));
    let gap = Fault::SequenceGap { expected: Sequence(401), found: Sequence(441) };
    let stale = Fault::Stale { expected: Sequence(401), found: Sequence(81) };
    for (what, at, behind, expected) in [
        ("zeros", 0, vec![0; 3 * PAGE], None),
        ("garbage", 0, garbage.clone(), cut(Fault::BatchMagic)),
        ("garbage after a page", PAGE, garbage.clone(), cut(Fault::Hole)),
        ("a byte", 12_287, vec![1], cut(Fault::Hole)),
        ("an older batch", 0, batch(&whole, 3), cut(stale)),
        ("an older batch after a page", PAGE, batch(&whole, 3), cut(Fault::Hole)),
        ("an older batch after garbage", 0, [&garbage[..PAGE], &batch(&whole, 3)].concat(), cut(Fault::BatchMagic)),
        ("another journal's older batch", 0, batch(&others, 3), cut(stale)),
        ("another journal's next batch", 0, batch(&others, 11), damage(Fault::Chain)),
        ("another journal's later batch", 0, batch(&others, 12), damage(gap)),
        ("another journal's later batch after a page", PAGE, batch(&others, 12), damage(Fault::Hole)),
        ("a later batch of this journal", 0, batch(&whole, 12), damage(gap)),
        ("a later batch after garbage", 0, [&garbage[..PAGE], &batch(&whole, 12)].concat(), damage(Fault::BatchMagic)),
    ] {
        let mut bytes = whole.clone();
        bytes[tail..].fill(0);
        bytes[tail + at..tail + at + behind.len()].copy_from_slice(&behind);
        disk.write(SEGMENT, bytes.clone());
        let found = match verify(&disk) {
            Ok(verified) => {
                assert_eq!(verified.last, Sequence(400), "{what} SEED={seed}");
                verified.cut.map(|cut| {
                    assert_eq!((cut.offset, cut.after), (tail as u64, Sequence(400)), "{what} SEED={seed}");
                    Ok(cut.fault)
                })
            }
            Err(ReadError::Damaged { offset, fault, .. }) => {
                assert_eq!(offset, tail as u64, "{what} SEED={seed}");
                Some(Err(fault))
            }
            Err(error) => panic!("{what} SEED={seed}: {error}"),
        };
        assert_eq!(found, expected, "{what} SEED={seed}");
        if matches!(expected, Some(Err(_))) {
            journal::Journal::open(&folder.data(), &options).map(drop).unwrap_err();
            assert!(disk.read(SEGMENT) == bytes, "{what}: a refusal changes nothing");
        } else {
            goes_on_behind(400, &disk, &folder, &options, what);
        }
    }
}

#[test]
fn zeros_from_every_byte_of_the_last_batch() {
    let (folder, bytes) = two_batches();
    for from in LAST_BATCH..last_batch_end(&bytes) {
        let mut torn = bytes.clone();
        torn[from..].fill(0);
        overwrite(&folder, &torn);
        let cut = first_batch_only(&folder, &format!("zeros from {from}"));
        assert_eq!(cut.is_some(), from > LAST_BATCH, "zeros from {from}");
    }
}

#[test]
fn garbage_from_every_byte_of_the_last_batch() {
    let seed = seed(2);
    let (folder, bytes) = two_batches();
    for from in LAST_BATCH..last_batch_end(&bytes) {
        let mut random = SplitMix64(seed ^ from as u64);
        let mut torn = bytes.clone();
        torn[from..3 * PAGE].fill_with(|| random.next().to_le_bytes()[0] | 1);
        overwrite(&folder, &torn);
        assert!(first_batch_only(&folder, &format!("garbage from {from}, SEED={seed}")).is_some());
    }
}

#[test]
fn sectors_of_the_last_batch_missing_in_any_combination() {
    let (folder, bytes) = two_batches();
    let used = last_batch_end(&bytes).div_ceil(512) - LAST_BATCH / 512;
    assert_eq!(used, 7, "of the batch's eight sectors the last is padding");
    for missing in 1..1_u32 << used {
        let mut torn = bytes.clone();
        for sector in (0..used).filter(|sector| missing & 1 << sector != 0) {
            torn[LAST_BATCH + sector * 512..][..512].fill(0);
        }
        overwrite(&folder, &torn);
        let cut = first_batch_only(&folder, &format!("missing sectors {missing:b}"));
        assert_eq!(cut.is_some(), missing != 0x7F);
    }
}

#[test]
fn old_batches_behind_the_tail_prove_nothing() {
    let (folder, bytes) = two_batches();
    let mut torn = bytes.clone();
    torn[LAST_BATCH + 100] ^= 1;
    torn.copy_within(PAGE..2 * PAGE, 3 * PAGE);
    overwrite(&folder, &torn);
    assert_eq!(first_batch_only(&folder, "an old batch behind").unwrap().fault, Fault::RecordChecksum { index: 0 });

    let mut stale = bytes;
    stale.copy_within(PAGE..2 * PAGE, LAST_BATCH);
    overwrite(&folder, &stale);
    let fault = Fault::Stale { expected: Sequence(41), found: Sequence(1) };
    assert_eq!(first_batch_only(&folder, "an old batch instead").unwrap().fault, fault);
}

#[test]
fn opening_erases_the_tail_and_goes_on_in_its_place() {
    for torn_at in [LAST_BATCH + 1, LAST_BATCH + 50, LAST_BATCH + 72, LAST_BATCH + 1_000, LAST_BATCH + 3_900] {
        let (folder, bytes) = two_batches();
        let mut torn = bytes.clone();
        torn[torn_at..3 * PAGE].fill(0xEE);
        overwrite(&folder, &torn);

        let mut writing = folder.open();
        assert_eq!(writing.recovery.last, Sequence(40), "torn at {torn_at}");
        assert_eq!(writing.recovery.found.as_ref().unwrap().cut.as_ref().unwrap().offset, 8_192);
        assert_eq!(writing.recovery.head, HeadOutcome::Absent);
        assert!(fs::read(folder.segment(1)).unwrap()[LAST_BATCH..].iter().all(|&byte| byte == 0));

        // Shorter than the tail that was cut: nothing of it may stand behind.
        writing.batch(&page_of_cancels(41)[..2]);
        writing.abandon();
        let verified = folder.verify().unwrap();
        assert_eq!((verified.last, verified.cut), (Sequence(42), None), "torn at {torn_at}");
        let commands: Vec<_> = (1..=42).map(common::cancel).collect();
        assert_eq!(folder.commands(), stamped_in_batches(&commands));
    }
}

/// Batches carry the time of their first command.
fn stamped_in_batches(commands: &[engine::Command]) -> Vec<engine::Sequenced<engine::Command>> {
    let mut expected = stamped(commands);
    for command in &mut expected {
        command.stamp.time = engine::Timestamp((command.stamp.sequence.0 - 1) / 40 * 40 + 1);
    }
    expected
}

#[test]
fn opening_goes_on_behind_a_segment_that_was_truncated() {
    let (folder, _) = two_batches();
    File::options().write(true).open(folder.segment(1)).unwrap().set_len(3 * PAGE as u64 - 700).unwrap();
    let mut writing = folder.open();
    assert_eq!(writing.recovery.last, Sequence(40));
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    let verified = folder.verify().unwrap();
    assert_eq!((verified.last, verified.segment_count, verified.cut), (Sequence(80), 2, None));
}

#[test]
fn readers_change_nothing() {
    let (folder, bytes) = two_batches();
    let mut torn = bytes;
    torn[LAST_BATCH + 1_000..].fill(0xEE);
    overwrite(&folder, &torn);
    let _ = first_batch_only(&folder, "read twice");
    let _ = first_batch_only(&folder, "read twice");
    assert_eq!(fs::read(folder.segment(1)).unwrap(), torn);
}

#[test]
fn a_last_segment_without_a_whole_header_is_set_aside() {
    let folder = Folder::new();
    let mut writing = folder.open();
    for first in [1, 41, 81, 121] {
        writing.batch(&page_of_cancels(first));
    }
    writing.abandon();
    fs::remove_file(folder.head().unwrap()).unwrap();
    let file = OpenOptions::new().write(true).open(folder.segment(2)).unwrap();
    // The batch in it is torn as well, or the segment would be damaged.
    file.write_all_at(&[0; 8], 4_000).unwrap();
    file.write_all_at(&[0; 100], PAGE as u64).unwrap();
    file.write_all_at(&[1; 100], 0).unwrap();

    let cut = folder.verify().unwrap().cut.unwrap();
    assert_eq!((cut.file, cut.offset, cut.fault), (folder.segment(2), 0, Fault::SegmentMagic));
    let mut writing = folder.open();
    assert_eq!(writing.recovery.last, Sequence(120));
    writing.batch(&page_of_cancels(121));
    writing.abandon();
    let verified = folder.verify().unwrap();
    assert_eq!((verified.last, verified.segment_count, verified.cut), (Sequence(160), 2, None));
}
