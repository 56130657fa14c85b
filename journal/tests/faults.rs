//! A disk that fails: the journal stops at the first failure, says so, and loses nothing that it acknowledged.

mod common;

use common::{Folder, Writing, cancel, commands_on, fail_allocations, fail_at, page_of_cancels, stamped};
use engine::{Command, Sequence};
use journal::{AppendError, HeadOutcome, Journal, OpenError, Options, WriteError};
use simulation::SimulatedDisk;

fn setting() -> (SimulatedDisk, Folder, Options) {
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    let options = folder.options_on(&disk);
    (disk, folder, options)
}

/// Submits one command at a time, waiting for each, until one is refused; gives how many were acknowledged.
fn submit_until_refused(writing: &mut Writing, commands: &[Command]) -> (u64, Option<AppendError>) {
    for (acknowledged, command) in (0..).zip(commands) {
        let outcome = writing.submit(&[*command]);
        let released = outcome.and_then(|()| writing.journal.wait_released(writing.sequencer.last().sequence));
        if let Err(error) = released {
            return (acknowledged, Some(error));
        }
    }
    (commands.len() as u64, None)
}

#[test]
fn whichever_operation_fails_nothing_acknowledged_is_lost() {
    let commands: Vec<_> = (1..=12).map(cancel).collect();
    let mut failures = 0;
    for operation in 1.. {
        let (disk, folder, options) = setting();
        let mut writing = Writing::open(&folder.data(), &options);
        fail_at(&disk, operation);
        let (acknowledged, error) = submit_until_refused(&mut writing, &commands);
        if let Some(AppendError::Poisoned(why)) = error {
            assert!(why.to_string().contains("made to fail"), "operation {operation}: {why}");
            assert!(writing.journal.durable().is_poisoned());
            // It stays so: nothing is tried again.
            assert!(matches!(writing.submit(&commands[..1]), Err(AppendError::Poisoned(_))));
        }
        writing.abandon();
        let all = acknowledged == commands.len() as u64;
        failures += u64::from(!all);

        disk.disarm();
        let writing = Writing::open(&folder.data(), &options);
        let last = writing.recovery.last.0;
        assert!(last >= acknowledged, "operation {operation}: {acknowledged} acknowledged, {last} recovered");
        writing.abandon();
        let last = usize::try_from(last).unwrap();
        assert_eq!(commands_on(&disk), stamped(&commands[..last]), "operation {operation}");
        if all {
            break;
        }
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
