//! The least that two threads need to hand something to one another and back: the rings, and how they wait.

use std::time::{Duration, Instant};

use engine::command::AdvanceTime;
use engine::event::NotApplied;
use engine::{Command, Event, EventHeader, EventId, EventSink, Sequence, SessionId, SessionSequence, Timestamp};
use hdrhistogram::Histogram;
use ring::{CommandRing, EventRing, Polled, Release};
use venue::affinity;
use venue::config::Threads;
use venue::topology::Topology;

use crate::times::{histogram, record_duration};

/// How long a hand-off is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Times a command's way to a second thread and an event's way back, one at a time, for so long.
pub fn ring_round_trips(threads: &Threads, length: Duration) -> Histogram<u64> {
    let Topology { command_slots, event_slots, .. } = Topology::default();
    let commands = CommandRing::new(command_slots, threads.idle);
    let (mut publisher, mut readers) = EventRing::open(event_slots, 1, threads.idle, Release::AsPublished);
    let mut reader = readers.pop().expect("one was asked for");
    let mut times = histogram();
    std::thread::scope(|scope| {
        let commands = &commands;
        scope.spawn(move || {
            let _ = threads.placement.as_ref().map(|placement| affinity::pin(placement.core));
            let (mut batch, mut sequence) = (Vec::with_capacity(1), Sequence::NONE);
            while !commands.is_closed() {
                commands.take(&mut batch, 1);
                if batch.drain(..).next().is_none() {
                    commands.wait(PATIENCE, || commands.is_closed());
                    continue;
                }
                sequence = sequence.next();
                let id = EventId { sequence, index: 0 };
                let header = EventHeader { id, time: Timestamp(1), received_at: Timestamp(1) };
                let (session, from) = (SessionId(1), SessionSequence(1));
                publisher.event(&header, &Event::NotApplied(NotApplied { session, from, count: 1 }));
                publisher.complete(sequence);
            }
        });
        let asking = scope.spawn(|| {
            let _ = threads.placement.as_ref().map(|placement| affinity::keep_to(&placement.others));
            let begun = Instant::now();
            while begun.elapsed() < length {
                let asked = Instant::now();
                commands.submit(Command::from_venue(AdvanceTime {})).expect("it is empty");
                while !matches!(reader.poll(), Polled::Event(..)) {
                    reader.wait(PATIENCE);
                }
                record_duration(&mut times, asked.elapsed());
            }
        });
        asking.join().expect("nothing panics");
        commands.close();
        commands.wake();
    });
    times
}
