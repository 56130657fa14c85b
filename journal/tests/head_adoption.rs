//! A head that an earlier process left is adopted if it continues the journal, and only then.

mod common;

use std::fs;

use common::{Folder, Writing, cancel, commands_on, crc32c, fail_at, page_of_cancels, stamped};
use engine::{Command, Sequence};
use journal::{Digest, HeadFault, HeadOutcome, Journal, OpenError, Options};
use simulation::{Failure, Fault, SimulatedDisk};

/// A journal whose process stopped with 40 commands on disk and `commands` in all, the rest in the head alone.
fn crashed(commands: &[Command]) -> (SimulatedDisk, Folder, Options) {
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    let options = folder.options_on(&disk);
    let mut writing = Writing::open(&folder.data(), &options);
    writing.batch(&commands[..40]);
    // No further byte reaches the disk; what was published meanwhile is in the head.
    fail_at(&disk, 1);
    let at = writing.sequencer.last().time;
    writing.sequencer.submit(&mut common::NoCore, at, &commands[40..], &mut Vec::new()).unwrap();
    writing.journal.durable().wait_for(41).unwrap_err();
    writing.abandon();
    disk.disarm();
    // Of the write that failed the first bytes are there: a torn tail.
    (disk, folder, options)
}

fn values_on(disk: &SimulatedDisk) -> Vec<Command> {
    commands_on(disk).into_iter().map(|command| command.value).collect()
}

fn refusal(folder: &Folder, options: &Options) -> HeadFault {
    match Journal::open(&folder.data(), options).map(|_| ()) {
        Err(OpenError::Head { file, fault }) => {
            assert_eq!(Some(file), folder.head(), "the head stays where it is");
            fault
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_that_only_the_head_holds_are_adopted() {
    for count in [41, 60, 200, 500] {
        let commands: Vec<_> = (1..=count).map(cancel).collect();
        let (disk, folder, options) = crashed(&commands);
        let writing = Writing::open(&folder.data(), &options);
        assert_eq!(writing.recovery.head, HeadOutcome::Adopted { command_count: count - 40 });
        assert_eq!(writing.recovery.last, Sequence(count));
        assert_eq!(writing.journal.durable().get(), count);
        writing.close(Digest::ZERO);
        assert_eq!(values_on(&disk), commands);
        assert_eq!(folder.head(), None, "an orderly shutdown removes the head");
    }
}

#[test]
fn an_opening_that_fails_at_any_operation_can_be_repeated() {
    // First the last segment is settled and the folder synced.
    // 60 commands in the head: erase and sync the torn tail, write and sync one batch.
    // 160: the batch that failed had needed a new segment, which was not begun. Now 152 and 8 go to one each, of four
    // operations to begin it and two for the batch.
    for (count, operations) in [(100, 2 + 2 + 2), (200, 2 + 2 * (4 + 2))] {
        let commands: Vec<_> = (1..=count).map(cancel).collect();
        for operation in 1..=operations + 1 {
            let (disk, folder, options) = crashed(&commands);
            fail_at(&disk, operation);
            match Journal::open(&folder.data(), &options) {
                Ok(opened) => {
                    assert_eq!(operation, operations + 1);
                    drop(opened.appender);
                }
                Err(error) => assert!(error.to_string().contains("made to fail"), "operation {operation}: {error}"),
            }
            disk.disarm();
            Writing::open(&folder.data(), &options).abandon();
            assert_eq!(values_on(&disk), commands, "operation {operation}");
        }
    }
}

#[test]
fn an_opening_that_adopts_can_fail_in_any_way_and_be_repeated() {
    let commands: Vec<_> = (1..=200).map(cancel).collect();
    for failure in [Failure::Refused, Failure::Halfway, Failure::CalledClean, Failure::Halt] {
        for number in 1.. {
            let (disk, folder, options) = crashed(&commands);
            disk.take_turns();
            let failures = disk.failure_count();
            disk.arm(Fault::at(number).with(failure));
            match Journal::open(&folder.data(), &options) {
                Ok(opened) => drop(opened.appender),
                Err(error) => assert!(error.to_string().contains("was made to"), "{failure:?} at {number}: {error}"),
            }
            let failed = disk.failure_count() > failures;
            disk.end_process();
            Writing::open(&folder.data(), &options).abandon();
            disk.lose_power();
            assert_eq!(values_on(&disk), commands, "{failure:?} at {number}");
            if !failed {
                assert!(number > 20, "{number}");
                break;
            }
        }
    }
}

#[test]
fn a_head_is_adopted_once() {
    let commands: Vec<_> = (1..=60).map(cancel).collect();
    let (disk, folder, options) = crashed(&commands);
    let old_head = fs::read(folder.head().unwrap()).unwrap();
    Writing::open(&folder.data(), &options).abandon();
    let writing = Writing::open(&folder.data(), &options);
    assert_eq!(writing.recovery.head, HeadOutcome::Adopted { command_count: 0 });
    writing.abandon();

    // As if the process had stopped between appending the head's rest and making a new head.
    fs::write(folder.head().unwrap(), old_head).unwrap();
    let writing = Writing::open(&folder.data(), &options);
    assert_eq!(writing.recovery.head, HeadOutcome::Adopted { command_count: 0 });
    writing.abandon();
    assert_eq!(values_on(&disk), commands);
}

#[test]
fn a_head_over_the_rings_end_is_adopted() {
    let folder = Folder::new();
    let mut options = folder.options();
    options.head_bytes = 4_096;
    let commands: Vec<_> = (1..=1_000).map(cancel).collect();
    for (run, part) in (0..).zip(commands.chunks(250)) {
        let disk = SimulatedDisk::new(1);
        let folder = Folder::new();
        let options = Options {
            storage: Some(std::sync::Arc::new(disk.clone())),
            head_directory: Some(folder.heads()),
            ..options.clone()
        };
        let mut writing = Writing::open(&folder.data(), &options);
        // 80 bytes each: the ring's end is passed at different places.
        writing.submit(&part[..200 + run]).unwrap();
        writing.wait();
        fail_at(&disk, 1);
        let at = writing.sequencer.last().time;
        let rest = &part[200 + run..200 + run + 40];
        writing.sequencer.submit(&mut common::NoCore, at, rest, &mut Vec::new()).unwrap();
        writing.journal.durable().wait_for(240 + run as u64).unwrap_err();
        writing.abandon();
        disk.disarm();
        Writing::open(&folder.data(), &options).abandon();
        assert_eq!(values_on(&disk), part[..240 + run]);
    }
}

#[test]
fn an_older_disk_than_the_head_is_refused() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    let older = fs::read(folder.segment(1)).unwrap();
    writing.close(Digest::ZERO);
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    fs::write(folder.segment(1), older).unwrap();
    assert_eq!(refusal(&folder, &folder.options()), HeadFault::Unknown);

    // The operator's way out, which the message names.
    fs::remove_file(folder.head().unwrap()).unwrap();
    let writing = folder.open();
    assert_eq!(writing.recovery.last, Sequence(40));
    writing.abandon();
}

/// The hash of the last batch stood beside a later command's number: the head was taken for the journal's continuation, and
/// commands that are nowhere for durable.
#[test]
fn a_mark_whose_hash_and_sequence_do_not_belong_together_is_refused() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    writing.abandon();
    let path = folder.head().unwrap();
    let mut head = fs::read(&path).unwrap();
    for at in [8_192, 8_320] {
        let mark = &mut head[at..at + 64];
        mark[8..16].copy_from_slice(&100_u64.to_le_bytes());
        let checksum = u64::from(crc32c(&mark[..56]));
        mark[56..].copy_from_slice(&checksum.to_le_bytes());
    }
    fs::write(path, head).unwrap();
    assert_eq!(refusal(&folder, &folder.options()), HeadFault::Unknown);
}

#[test]
fn a_disk_that_went_on_elsewhere_is_refused() {
    let commands: Vec<_> = (1..=60).map(cancel).collect();
    let (disk, folder, options) = crashed(&commands);
    let kept = fs::read(folder.head().unwrap()).unwrap();
    let path = folder.head().unwrap();

    // Another machine, without this head, gave sequence 41 to another command.
    fs::remove_file(&path).unwrap();
    let mut writing = Writing::open(&folder.data(), &options);
    assert_eq!(writing.recovery.last, Sequence(40));
    writing.submit(&[cancel(41), cancel(999)]).unwrap();
    writing.close(Digest::ZERO);
    fs::write(&path, &kept).unwrap();
    // Times differ as well: the first differing sequence is 41, whose stamp is another.
    assert_eq!(refusal(&folder, &options), HeadFault::Differs { at: Sequence(41) });
    assert_eq!(values_on(&disk).len(), 42);
}

#[test]
fn a_disk_that_holds_more_than_the_head_is_refused() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    writing.abandon();
    let path = folder.head().unwrap();
    let kept = fs::read(&path).unwrap();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    fs::write(&path, kept).unwrap();
    assert_eq!(refusal(&folder, &folder.options()), HeadFault::Behind);
}

#[test]
fn a_head_from_before_the_machines_start_is_not_used() {
    let commands: Vec<_> = (1..=60).map(cancel).collect();
    let (disk, folder, options) = crashed(&commands);
    let path = folder.head().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The boot id is in words 5 and 6, the checksum of words 0 to 6 in word 7.
    bytes[40] ^= 1;
    let checksum = crc32c(&bytes[..56]);
    bytes[56..60].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let writing = Writing::open(&folder.data(), &options);
    assert_eq!((writing.recovery.head, writing.recovery.last), (HeadOutcome::OtherBoot, Sequence(40)));
    writing.abandon();
    assert_eq!(values_on(&disk), commands[..40]);
}

#[test]
fn a_damaged_head_is_refused_and_a_torn_mark_is_not() {
    let commands: Vec<_> = (1..=60).map(cancel).collect();
    let (_disk, folder, options) = crashed(&commands);
    let path = folder.head().unwrap();
    let whole = fs::read(&path).unwrap();
    let damage = |at: &[usize]| {
        let mut bytes = whole.clone();
        at.iter().for_each(|&at| bytes[at] ^= 0x10);
        fs::write(&path, bytes).unwrap();
    };
    damage(&[0]);
    assert_eq!(refusal(&folder, &options), HeadFault::Header);
    damage(&[8_192, 8_192 + 128]);
    assert_eq!(refusal(&folder, &options), HeadFault::Mark);
    // The 41st record's sequence, behind 40 records of 80 bytes and its prefix.
    damage(&[12_288 + 40 * 80 + 8]);
    assert_eq!(refusal(&folder, &options), HeadFault::Records);

    // Either mark alone will do: the older covers less of what is still there.
    for mark in [8_192, 8_192 + 128] {
        damage(&[mark]);
        let (fresh_disk, fresh, fresh_options) = crashed(&commands);
        fs::write(fresh.head().unwrap(), fs::read(&path).unwrap()).unwrap();
        Writing::open(&fresh.data(), &fresh_options).abandon();
        assert_eq!(values_on(&fresh_disk), commands, "mark at {mark}");
    }
}

#[test]
fn an_appender_that_is_dropped_leaves_everything_on_disk() {
    let folder = Folder::new();
    let commands: Vec<_> = (1..=700).map(cancel).collect();
    let mut writing = folder.open();
    writing.submit(&commands).unwrap();
    writing.abandon();
    assert_eq!(folder.commands(), stamped(&commands));
    assert!(folder.head().is_some(), "only an orderly shutdown removes the head");
}
