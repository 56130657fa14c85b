//! From thread to thread, both ends on this one; nobody sleeps, so that nobody is woken.

use std::hint::black_box;

use engine::EventSink;
use ring::{CommandRing, EventRing, Idle, Polled, Release};

use super::counted;
use super::flow::{commands, events};
use crate::failure::Failure;

const CAPACITY: usize = 1 << 12;

pub(super) fn command(operations: u32) -> Result<(), Failure> {
    let commands = commands(operations)?.last;
    let ring = CommandRing::new(CAPACITY, Idle::Park);
    let mut taken = Vec::with_capacity(1);
    counted(|| {
        for command in &commands {
            ring.submit(command.value).expect("there is room");
            ring.take(&mut taken, 1);
            black_box(&taken);
            taken.clear();
        }
    });
    assert_eq!(ring.waiting(), 0, "all were taken");
    Ok(())
}

pub(super) fn event(operations: u32) -> Result<(), Failure> {
    let (_, mut events) = events(operations)?;
    events.truncate(operations as usize);
    let (mut publisher, mut readers) = EventRing::open(CAPACITY, 1, Idle::Park, Release::AsPublished);
    let mut reader = readers.pop().expect("one reader");
    counted(|| {
        for (header, event) in &events {
            publisher.event(header, event);
            publisher.complete(header.id.sequence);
            let polled = black_box(reader.poll());
            assert!(matches!(polled, Polled::Event(..)), "it was published");
        }
    });
    Ok(())
}
