//! The ring that carries reports: batches, its end and its beginning, and what happens when it is full.

mod common;

use std::thread;

use abi::{BATCH, Report, report_ring};
use common::*;

fn numbered(number: u64) -> Report {
    Report { sequence_number: number, ..NO_REPORT }
}

#[test]
fn a_batch_is_published_when_it_is_full() {
    let transport = OwnTransport::create(100);
    for number in 1..BATCH as u64 {
        assert!(transport.push(&numbered(number)));
        assert_eq!(transport.drain(100), []);
    }
    assert!(transport.push(&numbered(BATCH as u64)));
    assert_eq!(transport.drain(100), Vec::from_iter(1..=BATCH as u64));
}

#[test]
fn a_flush_publishes_what_there_is() {
    let transport = OwnTransport::create(100);
    transport.flush();
    assert_eq!(transport.drain(100), []);
    transport.push(&numbered(1));
    transport.push(&numbered(2));
    transport.flush();
    assert_eq!(transport.drain(100), [1, 2]);
    transport.push(&numbered(3));
    transport.flush();
    assert_eq!(transport.drain(100), [3]);
}

#[test]
fn no_more_is_drained_than_asked_for() {
    let transport = OwnTransport::create(100);
    for number in 1..=7 {
        transport.push(&numbered(number));
    }
    transport.flush();
    assert_eq!(transport.drain(0), []);
    assert_eq!(transport.drain(3), [1, 2, 3]);
    assert_eq!(transport.drain(100), [4, 5, 6, 7]);
}

#[test]
fn a_ring_goes_on_at_its_beginning() {
    let transport = OwnTransport::create(50);
    let mut drained = Vec::new();
    for number in 1..=1_000 {
        assert!(transport.push(&numbered(number)));
        if number % 7 == 0 {
            transport.flush();
            drained.extend(transport.drain(50));
        }
    }
    transport.flush();
    drained.extend(transport.drain(50));
    assert_eq!(drained, Vec::from_iter(1..=1_000));
}

/// A ring of 40 takes its 40 and the batch of 32 that is gathered beside it.
#[test]
fn a_full_ring_refuses_and_takes_again_when_there_is_room() {
    let transport = OwnTransport::create(40);
    let taken = (1..).take_while(|&number| transport.push(&numbered(number))).count();
    assert_eq!(taken, 40 + BATCH);
    assert!(!transport.push(&numbered(73)));
    assert_eq!(transport.drain(1), [1]);
    assert!(transport.push(&numbered(73)));
    assert!(!transport.push(&numbered(74)));
    assert_eq!(transport.drain(100), Vec::from_iter(2..=41));
    transport.flush();
    assert_eq!(transport.drain(100), Vec::from_iter(42..=73));
}

#[test]
fn a_reader_on_another_thread_sees_every_report_in_order() {
    const COUNT: u64 = 200_000;
    let (mut writer, mut reader) = report_ring(100);
    let drainer = thread::spawn(move || {
        let mut expected = 1;
        while expected <= COUNT {
            for number in drain(&mut reader, 64) {
                assert_eq!(number, expected);
                expected += 1;
            }
            thread::yield_now();
        }
        drain(&mut reader, 64)
    });
    for number in 1..=COUNT {
        while writer.push(&numbered(number)).is_err() {
            thread::yield_now();
        }
        if number % 1_000 == 0 {
            writer.publish();
        }
    }
    writer.publish();
    assert_eq!(drainer.join().expect("the drainer saw what it should"), []);
}
