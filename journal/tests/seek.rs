//! A journal is read from any sequence and from any time on, without what stands before the segment that holds it.
//!
//! The journal of most of these tests has segments of three batches of a page, seals and event digests among the commands,
//! and times that are equal over batches and over segments.

mod common;

use std::fs;

use common::{Folder, PAGE, Writing, cancel};
use engine::{Command, Sequence, Sequenced, Stamp, Timestamp};
use journal::{Block, BlockDigest, Digest, Entry, Fault, Options, ReadError, Reader, Seek};

/// Commands and time of each batch.
const BATCHES: [(u64, u64); 17] = [
    (40, 10),
    (1, 10),
    (40, 20),
    // Segment 2.
    (40, 20),
    (40, 20),
    (40, 30),
    // Segment 3.
    (40, 31),
    (1, 31),
    (40, 31),
    // Segment 4, behind a border that times pass as well.
    (40, 31),
    (40, 50),
    (40, 50),
    (1, 60),
    (40, 60),
    (40, 61),
    (40, 61),
    (40, 70),
];

fn write(writing: &mut Writing, expected: &mut Vec<Sequenced<Command>>, batches: &[(u64, u64)]) {
    for &(count, time) in batches {
        let first = expected.len() as u64 + 1;
        let commands: Vec<_> = (first..first + count).map(cancel).collect();
        let last = writing.sequencer.submit(&mut common::NoCore, Timestamp(time), &commands, &mut Vec::new()).unwrap();
        writing.journal.wait_released(last.sequence).unwrap();
        expected.extend((first..).zip(commands).map(|(sequence, value)| {
            let stamp = Stamp { sequence: Sequence(sequence), time: Timestamp(time) };
            Sequenced { stamp, value }
        }));
    }
}

/// Goes on with the time of the journal's last command.
fn open(folder: &Folder, options: &Options, expected: &[Sequenced<Command>]) -> Writing {
    let writing = Writing::open(&folder.data(), options);
    let last = expected.last().map_or(journal::BEFORE_FIRST, |command| command.stamp);
    Writing { sequencer: journal::Sequencer::new(writing.sequencer.into_append(), last), ..writing }
}

fn several_segments() -> (Folder, Vec<Sequenced<Command>>) {
    let (folder, mut expected) = (Folder::new(), Vec::new());
    let mut writing = open(&folder, &folder.options(), &expected);
    write(&mut writing, &mut expected, &BATCHES[..6]);
    writing.journal.digests().push(BlockDigest { block: Block(0), digest: Digest([7; 32]) });
    write(&mut writing, &mut expected, &BATCHES[6..12]);
    // The seal needs a segment of its own.
    writing.close(Digest([9; 32]));
    let mut writing = open(&folder, &folder.options(), &expected);
    write(&mut writing, &mut expected, &BATCHES[12..15]);
    writing.abandon();
    let mut writing = open(&folder, &folder.options(), &expected);
    write(&mut writing, &mut expected, &BATCHES[15..]);
    writing.close(Digest([9; 32]));
    (folder, expected)
}

fn commands_of(reader: Reader) -> Vec<Sequenced<Command>> {
    reader.commands().map(Result::unwrap).collect()
}

fn sought(folder: &Folder, seek: Seek) -> Vec<Sequenced<Command>> {
    commands_of(Reader::open_at(&folder.data(), seek).unwrap())
}

fn assert_every_place_is_found(folder: &Folder, expected: &[Sequenced<Command>]) {
    assert_places_are_found(folder, expected, 1);
}

/// Every `step`-th sequence, and every time.
fn assert_places_are_found(folder: &Folder, expected: &[Sequenced<Command>], step: usize) {
    for sequence in (0..=expected.len() as u64 + 3).step_by(step) {
        let from = usize::try_from(sequence.saturating_sub(1)).unwrap().min(expected.len());
        assert_eq!(sought(folder, Seek::Sequence(Sequence(sequence))), expected[from..], "sequence {sequence}");
    }
    let last = expected.last().map_or(0, |command| command.stamp.time.0);
    for time in 0..=last + 2 {
        let from = expected.iter().position(|command| command.stamp.time.0 >= time).unwrap_or(expected.len());
        assert_eq!(sought(folder, Seek::Time(Timestamp(time))), expected[from..], "time {time}");
    }
}

#[test]
fn every_sequence_and_every_time_is_found() {
    let (folder, expected) = several_segments();
    assert_eq!(folder.verify().unwrap().segment_count, 7);
    assert_every_place_is_found(&folder, &expected);
}

#[test]
fn an_empty_journal_has_no_place_but_its_end() {
    let folder = Folder::new();
    folder.open().abandon();
    assert_every_place_is_found(&folder, &[]);
    folder.open().close(Digest::ZERO);
    assert_every_place_is_found(&folder, &[]);
}

/// A segment that was begun when the machine stopped has no commands; and one in the middle has none if what was to come
/// into it did not fit and segments had become larger.
#[test]
fn segments_without_commands_are_passed_over() {
    let (folder, mut expected) = (Folder::new(), Vec::new());
    open(&folder, &folder.options(), &expected).abandon();
    let larger = Options { segment_bytes: 16 * PAGE as u64, ..folder.options() };
    let mut writing = open(&folder, &larger, &expected);
    write(&mut writing, &mut expected, &[(400, 5), (100, 5)]);
    writing.abandon();
    let mut writing = open(&folder, &folder.options(), &expected);
    write(&mut writing, &mut expected, &[(120, 6), (40, 6), (40, 7)]);
    writing.abandon();
    let verified = folder.verify().unwrap();
    assert!(fs::read(folder.segment(1)).unwrap()[PAGE..].iter().all(|&byte| byte == 0), "nothing in the first segment");
    assert_places_are_found(&folder, &expected, 13);

    // The last one holds its header alone, as when the machine stops before the first batch.
    fs::remove_file(folder.head().unwrap()).unwrap();
    let last = folder.segment(verified.segment_count);
    let mut bytes = fs::read(&last).unwrap();
    bytes[PAGE..].fill(0);
    fs::write(&last, bytes).unwrap();
    let left = usize::try_from(folder.verify().unwrap().last.0).unwrap();
    assert!(left < expected.len());
    assert_places_are_found(&folder, &expected[..left], 13);
}

#[test]
fn what_stands_behind_the_place_is_read_with_digests_and_seals() {
    let (folder, expected) = several_segments();
    let all: Vec<_> = Reader::open(&folder.data()).unwrap().map(Result::unwrap).collect();
    for sequence in [1, 41, 42, 200, expected.len() as u64] {
        let from = all.iter().position(|entry| matches!(entry, Entry::Command(it) if it.stamp.sequence.0 == sequence));
        let reader = Reader::open_at(&folder.data(), Seek::Sequence(Sequence(sequence))).unwrap();
        assert_eq!(reader.map(Result::unwrap).collect::<Vec<_>>(), all[from.unwrap()..]);
    }
}

#[test]
fn behind_the_end_the_reader_says_what_the_journal_is() {
    let (folder, expected) = several_segments();
    for seek in [Seek::Sequence(Sequence(1_000_000)), Seek::Time(Timestamp::NEVER)] {
        let mut reader = Reader::open_at(&folder.data(), seek).unwrap();
        assert!(reader.next().is_none());
        let verified = reader.verified();
        let whole = folder.verify().unwrap();
        assert_eq!(verified.last.0, expected.len() as u64);
        assert_eq!((verified.chain, &verified.seal, &verified.cut), (whole.chain, &whole.seal, &whole.cut));
        assert!(verified.segment_count < whole.segment_count, "it did not read from the beginning");
    }
}

#[test]
fn what_stands_before_the_segment_is_not_read() {
    let (folder, expected) = several_segments();
    for number in [1, 2, 3] {
        let mut bytes = fs::read(folder.segment(number)).unwrap();
        bytes[PAGE + 100] ^= 1;
        fs::write(folder.segment(number), bytes).unwrap();
    }
    assert!(matches!(
        folder.verify(),
        Err(ReadError::Damaged { offset: 4_096, fault: Fault::RecordChecksum { .. }, .. })
    ));
    // Segment 4 begins with the tenth batch.
    let before: u64 = BATCHES[..9].iter().map(|batch| batch.0).sum();
    let from = usize::try_from(before).unwrap();
    assert_eq!(sought(&folder, Seek::Sequence(Sequence(before + 1))), expected[from..]);
}

#[test]
fn damage_between_the_segments_beginning_and_the_place_is_named() {
    let (folder, expected) = several_segments();
    let whole = fs::read(folder.segment(4)).unwrap();
    let mut bytes = whole.clone();
    bytes[PAGE + 100] ^= 1;
    fs::write(folder.segment(4), bytes).unwrap();
    let last_of_4: u64 = BATCHES[..12].iter().map(|batch| batch.0).sum();
    match Reader::open_at(&folder.data(), Seek::Sequence(Sequence(last_of_4))).map(drop) {
        Err(ReadError::Damaged { file, offset, fault }) => {
            assert_eq!((file, offset, fault), (folder.segment(4), 4_096, Fault::RecordChecksum { index: 0 }));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        sought(&folder, Seek::Sequence(Sequence(last_of_4 + 1))),
        expected[usize::try_from(last_of_4).unwrap()..]
    );

    // A segment of another journal, which its place in the search meets.
    fs::write(folder.segment(4), whole).unwrap();
    let other = Folder::new();
    let id = Some(journal::JournalId(*b"another journal!"));
    Writing::open(&other.data(), &Options { journal_id: id, ..other.options() }).abandon();
    fs::copy(other.segment(1), folder.segment(4)).unwrap();
    let found = Reader::open_at(&folder.data(), Seek::Sequence(Sequence(last_of_4))).map(drop);
    let number = Fault::SegmentNumber { found: journal::SegmentNumber(1) };
    assert!(matches!(found, Err(ReadError::Damaged { offset: 0, fault, .. }) if fault == number), "{found:?}");
}

#[test]
fn a_torn_tail_is_the_end_wherever_reading_begins() {
    let (folder, expected) = several_segments();
    let last = folder.verify().unwrap().segment_count;
    let whole = fs::read(folder.segment(last)).unwrap();
    // The seal is torn.
    let mut bytes = whole.clone();
    let seal = bytes.iter().rposition(|&byte| byte != 0).unwrap() / PAGE * PAGE;
    bytes[seal + 80] ^= 1;
    fs::write(folder.segment(last), &bytes).unwrap();
    assert_places_are_found(&folder, &expected, 13);
    // The last segment's header is torn, and nothing stands behind it.
    bytes.fill(0);
    bytes[..100].fill(0xEE);
    fs::write(folder.segment(last), bytes).unwrap();
    let left = usize::try_from(folder.verify().unwrap().last.0).unwrap();
    assert_places_are_found(&folder, &expected[..left], 13);
}

#[test]
fn a_folder_without_a_journal_is_named() {
    let folder = Folder::new();
    let found = Reader::open_at(&folder.data(), Seek::FIRST).map(drop);
    assert!(matches!(found, Err(ReadError::NoJournal { directory }) if directory == folder.data()));
}
