//! A disk that fails: the journal stops at the first failure, says so, and loses nothing that it acknowledged.

mod common;

use std::collections::BTreeSet;

use common::{Folder, Writing, cancel, commands_on, fail_allocations, fail_at, page_of_cancels, stamped};
use engine::{Command, Sequence};
use journal::{AppendError, HeadOutcome, Journal, OpenError, Options, WriteError};
use simulation::{Failure, Fault, Operation, SimulatedDisk};

fn setting() -> (SimulatedDisk, Folder, Options) {
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    let options = folder.options_on(&disk);
    (disk, folder, options)
}

/// Commands that were submitted, and how many of them were acknowledged.
#[derive(Default)]
struct Progress {
    submitted: Vec<Command>,
    acknowledged: usize,
}

/// Three lives that end in order: a new journal and its second segment, a segment gone on with, and nothing but a seal.
///
/// # Errors
///
/// What the journal says when it stops.
fn live(disk: &SimulatedDisk, folder: &Folder, options: &Options, progress: &mut Progress) -> Result<(), String> {
    for batches in [4, 1, 0] {
        let mut writing = Writing::try_open(&folder.data(), options).map_err(|error| error.to_string())?;
        for _ in 0..batches {
            let commands = page_of_cancels(progress.submitted.len() as u64 + 1);
            progress.submitted.extend(&commands);
            let submitted = writing.submit_together(&commands);
            if submitted.is_err() || !writing.wait_on(disk) {
                let why = writing.stop().failure().expect("it stopped");
                return Err(why.to_string());
            }
            progress.acknowledged = progress.submitted.len();
        }
        writing.try_close().map_err(|why| why.to_string())?;
    }
    Ok(())
}

/// The ways in which an operation can fail: once, or with all that come behind it.
fn faults(number: u64) -> Vec<Fault> {
    let failures = [Failure::Refused, Failure::Halfway, Failure::CalledClean, Failure::Halt];
    let once = failures.map(|failure| Fault::at(number).with(failure));
    once.into_iter().chain([Fault::at(number).for_ever()]).collect()
}

#[derive(Debug, Clone, Copy)]
enum Restart {
    /// The head and what is cached stay.
    OfTheProcess,
    /// Only what is durable stays.
    OfTheMachine,
}

/// What the journal went through when the `number`-th operation failed: nothing when there are not so many.
fn fail_and_go_on(fault: &Fault, restart: Restart, context: &str) -> Option<String> {
    let (disk, folder, options) = setting();
    disk.take_turns();
    disk.take_trace();
    disk.arm(fault.clone());
    let mut progress = Progress::default();
    let outcome = live(&disk, &folder, &options, &mut progress);
    let failed = disk.take_trace().into_iter().find(|line| line.contains("fails"))?;
    match outcome {
        Err(why) => assert!(why.contains("was made to"), "{context}: {why}"),
        // A spare that could not be made is made later; one that could not be removed is removed at the next start.
        Ok(()) => assert!(failed.contains(".spare"), "{context}: {failed}"),
    }
    match restart {
        Restart::OfTheProcess => disk.end_process(),
        Restart::OfTheMachine => {
            disk.lose_power();
            folder.head().into_iter().for_each(|head| std::fs::remove_file(head).unwrap());
        }
    }

    let mut writing = Writing::open(&folder.data(), &options);
    let last = usize::try_from(writing.recovery.last.0).unwrap();
    let Progress { submitted, acknowledged } = progress;
    assert!(last >= acknowledged, "{context}: {acknowledged} acknowledged, {last} recovered");
    let mut expected = submitted[..last].to_vec();
    expected.extend(page_of_cancels(1_001));
    writing.batch(&page_of_cancels(1_001));
    writing.close(journal::Digest::ZERO);
    disk.lose_power();
    let read: Vec<_> = commands_on(&disk).into_iter().map(|command| command.value).collect();
    assert!(read == expected, "{context}: {} read, {} expected", read.len(), expected.len());
    Some(failed)
}

fn nothing_acknowledged_is_lost(restart: Restart) {
    let mut failed = BTreeSet::new();
    let mut number = 1;
    'operations: loop {
        for fault in faults(number) {
            let context = format!("{fault}, restart {restart:?}");
            let Some(line) = fail_and_go_on(&fault, restart, &context) else { break 'operations };
            failed.insert(line.split(' ').next().unwrap().to_owned());
        }
        number += 1;
    }
    assert_eq!(failed, Operation::ALL.map(|operation| operation.to_string()).into(), "every kind was met");
    assert!(number > 50, "{number}");
}

#[test]
fn whichever_operation_fails_nothing_acknowledged_is_lost_with_the_process() {
    nothing_acknowledged_is_lost(Restart::OfTheProcess);
}

#[test]
fn whichever_operation_fails_nothing_acknowledged_is_lost_with_the_power() {
    nothing_acknowledged_is_lost(Restart::OfTheMachine);
}

#[test]
fn whichever_change_fails_the_writer_stops_at_once() {
    let commands: Vec<_> = (1..=12).map(cancel).collect();
    let mut failures = 0;
    for operation in 1.. {
        let (disk, folder, options) = setting();
        let mut writing = Writing::open(&folder.data(), &options);
        fail_at(&disk, operation);
        let stopped = commands.iter().find_map(|command| {
            let submitted = writing.submit(&[*command]);
            submitted.and_then(|()| writing.journal.wait_released(writing.sequencer.last().sequence)).err()
        });
        let Some(AppendError::Poisoned(why)) = stopped else { break };
        assert!(why.to_string().contains("made to fail"), "operation {operation}: {why}");
        assert!(writing.journal.durable().is_poisoned());
        // It stays so: nothing is tried again.
        assert!(matches!(writing.submit(&commands[..1]), Err(AppendError::Poisoned(_))));
        failures += 1;
    }
    // Twelve batches in four segments, two operations each, and four for each new segment.
    assert_eq!(failures, 12 * 2 + 3 * 4);
}

#[test]
fn what_the_disk_refused_is_in_the_head_and_is_adopted() {
    let (disk, folder, options) = setting();
    let mut writing = Writing::open(&folder.data(), &options);
    writing.batch(&page_of_cancels(1));
    // The next batch is written, and its sync fails.
    fail_at(&disk, 2);
    writing.submit(&page_of_cancels(41)).unwrap_or_default();
    let refused = writing.journal.durable().wait_for(80).unwrap_err();
    assert_eq!(refused.reached, 40);
    let taken = writing.sequencer.last().sequence;
    assert!(taken > Sequence(40), "the first command was appended before the sync failed");
    writing.abandon();

    disk.disarm();
    let writing = Writing::open(&folder.data(), &options);
    assert!(matches!(writing.recovery.head, HeadOutcome::Adopted { .. }));
    let last = writing.recovery.last;
    assert!(last == taken || last.next() == taken, "{last}: all but, at most, the command that was refused");
    writing.abandon();
    let read = commands_on(&disk);
    assert!(read.iter().zip(1..).all(|(read, number)| read.value == cancel(number)));
    assert_eq!(read.len() as u64, last.0);
}

#[test]
fn a_full_disk_makes_the_writer_wait_and_loses_nothing() {
    let (disk, folder, options) = setting();
    let mut writing = Writing::open(&folder.data(), &options);
    for first in [1, 41, 81] {
        writing.batch(&page_of_cancels(first));
    }
    // The spare is on the shelf; the ones behind it fail at first.
    fail_allocations(&disk, 2);
    for batch in 3..12 {
        writing.batch(&page_of_cancels(batch * 40 + 1));
    }
    writing.close(journal::Digest::ZERO);
    assert_eq!(commands_on(&disk).len(), 480);
    let leftover: Vec<_> = disk.names().into_iter().filter(|name| !name.ends_with(".seg")).collect();
    assert_eq!(leftover, Vec::<String>::new(), "the spare is removed");
}

#[test]
fn a_venue_that_stops_on_a_full_disk_does_not_wait_for_space() {
    let (disk, folder, options) = setting();
    let mut writing = Writing::open(&folder.data(), &options);
    fail_allocations(&disk, u64::MAX);
    let commands: Vec<_> = (1..=400).map(cancel).collect();
    writing.submit(&commands).unwrap();
    let outcome = writing.journal.close(writing.sequencer.into_append(), journal::Digest::ZERO);
    assert!(matches!(*outcome.unwrap_err(), WriteError::NoSpare { .. }));

    disk.disarm();
    let writing = Writing::open(&folder.data(), &options);
    assert_eq!(writing.recovery.last, Sequence(400), "the head kept the rest");
    writing.abandon();
    assert_eq!(commands_on(&disk), stamped(&commands));
}

#[test]
fn a_new_journal_on_a_full_disk_is_an_error_at_once() {
    let (disk, folder, options) = setting();
    fail_allocations(&disk, 1);
    let opened = Journal::open(&folder.data(), &options).map(|_| ());
    assert!(matches!(opened, Err(OpenError::Write(WriteError::Failed { operation: "allocating", .. }))));
}
