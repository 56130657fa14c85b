//! What the threads do, in every interleaving and with every value that the memory orderings allow.
//!
//! Small on purpose: two or three threads, few steps. A thread that sleeps and is never woken is a deadlock, which loom
//! reports; a limit never runs out here. `docs/TESTING.md` says how to run them, and what was weakened to see them fail.

use core::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use engine::command::AdvanceTime;
use engine::event::NotApplied;
use engine::{Command, Event, EventHeader, EventId, EventSink, Sequence, SessionId, SessionSequence, Timestamp};
use loom::sync::atomic::AtomicU64;
use loom::thread;

use crate::{Bell, CommandRing, EventReader, EventRing, Idle, Polled, Publisher, Release, Wake, Watermark};

const LONG: Duration = Duration::from_secs(60);

/// Tries every interleaving with at most so many preemptions: more multiply the time, and found nothing else.
pub(crate) fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 100_000;
    let executions = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = Arc::clone(&executions);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} executions", executions.load(Ordering::Relaxed));
}

#[test]
fn a_bell_that_rings_behind_a_change_wakes_who_waits_for_it() {
    check(5, || {
        let shared = Arc::new((Bell::new(), AtomicU64::new(0)));
        let waiting = Arc::clone(&shared);
        let waiter = thread::spawn(move || {
            let (bell, value) = &*waiting;
            bell.wait(Idle::Park, || (value.load(Ordering::Acquire) == 1).then_some(()));
        });
        let (bell, value) = &*shared;
        value.store(1, Ordering::Release);
        bell.ring();
        waiter.join().unwrap();
    });
}

#[test]
fn a_bell_wakes_everybody() {
    check(3, || {
        let shared = Arc::new((Bell::new(), AtomicU64::new(0)));
        let waiters = [1, 2].map(|wanted| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (bell, value) = &*shared;
                bell.wait_at_most(Idle::Park, LONG, || (value.load(Ordering::Acquire) >= wanted).then_some(()))
            })
        });
        let (bell, value) = &*shared;
        for change in [1, 2] {
            value.store(change, Ordering::Release);
            bell.ring();
        }
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Some(()));
        }
    });
}

/// A thread that sleeps elsewhere than at the bell.
#[derive(Default)]
struct Elsewhere {
    woken: loom::sync::Mutex<bool>,
    condvar: loom::sync::Condvar,
}

impl Elsewhere {
    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.condvar.wait(woken).unwrap();
        }
        *woken = false;
    }
}

impl Wake for Elsewhere {
    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.condvar.notify_one();
    }
}

#[test]
fn who_sleeps_elsewhere_is_woken_by_a_bell() {
    check(4, || {
        let shared = Arc::new((Bell::new(), AtomicU64::new(0)));
        let waiting = Arc::clone(&shared);
        let waiter = thread::spawn(move || {
            let (bell, value) = &*waiting;
            let elsewhere = Arc::new(Elsewhere::default());
            let waker: Arc<dyn Wake> = Arc::clone(&elsewhere) as _;
            while value.load(Ordering::Acquire) != 2 {
                let seen = value.load(Ordering::Acquire);
                bell.arm(&waker);
                if value.load(Ordering::Acquire) == seen && seen != 2 {
                    elsewhere.sleep();
                }
                bell.disarm(&waker);
            }
        });
        let (bell, value) = &*shared;
        for change in [1, 2] {
            value.store(change, Ordering::Release);
            bell.ring();
        }
        waiter.join().unwrap();
    });
}

#[test]
fn a_reader_that_sleeps_elsewhere_misses_no_event() {
    check(3, || {
        let (mut publisher, mut readers) = EventRing::open(4, 1, Idle::Park, Release::AsPublished);
        let mut reader = readers.pop().unwrap();
        let waiter = thread::spawn(move || {
            let elsewhere = Arc::new(Elsewhere::default());
            let waker: Arc<dyn Wake> = Arc::clone(&elsewhere) as _;
            let mut seen = 0;
            loop {
                match reader.poll() {
                    Polled::Event(..) => seen += 1,
                    Polled::Closed => return seen,
                    _ => {
                        if reader.arm(&waker) {
                            elsewhere.sleep();
                            reader.disarm(&waker);
                        }
                    }
                }
            }
        });
        publish(&mut publisher, 1);
        drop(publisher);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

/// A watermark, and what its owner wrote before each step.
struct Steps {
    watermark: Watermark,
    data: [AtomicU64; 2],
}

impl Steps {
    fn new(idle: Idle) -> Arc<Self> {
        Arc::new(Self { watermark: Watermark::new(0, idle), data: [AtomicU64::new(0), AtomicU64::new(0)] })
    }

    fn assert_written(&self, reached: u64) {
        for index in 0..usize::try_from(reached).unwrap() {
            assert_eq!(self.data[index].load(Ordering::Relaxed), 7, "step {reached}");
        }
    }
}

#[test]
fn what_was_written_before_an_advance_is_seen_behind_it() {
    for idle in [Idle::Park, Idle::Poll] {
        check(4, move || {
            let steps = Steps::new(idle);
            let waiting = Arc::clone(&steps);
            let waiter = thread::spawn(move || {
                waiting.assert_written(waiting.watermark.get());
                let reached = waiting.watermark.wait_for(2).unwrap();
                waiting.assert_written(reached);
            });
            for (value, cell) in (1..).zip(&steps.data) {
                cell.store(7, Ordering::Relaxed);
                steps.watermark.advance(value);
            }
            waiter.join().unwrap();
        });
    }
}

#[test]
fn poison_ends_a_wait_and_hides_nothing_that_was_reached() {
    check(5, || {
        let steps = Steps::new(Idle::Park);
        let waiting = Arc::clone(&steps);
        let waiter = thread::spawn(move || {
            let stopped = waiting.watermark.wait_for(2).unwrap_err();
            assert_eq!(stopped.reached, 1);
            waiting.assert_written(1);
        });
        steps.data[0].store(7, Ordering::Relaxed);
        steps.watermark.advance(1);
        steps.watermark.poison();
        waiter.join().unwrap();
    });
}

/// The event number `number`: everything in it follows from the number, so that a torn one shows.
pub(crate) fn event(number: u64) -> (EventHeader, Event) {
    let id = EventId { sequence: Sequence(number), index: 0 };
    let header = EventHeader { id, time: Timestamp(number * 7), received_at: Timestamp(number * 11) };
    let session = SessionId(u32::try_from(number).unwrap());
    (header, Event::NotApplied(NotApplied { session, from: SessionSequence(number * 3), count: number * 5 }))
}

fn publish(publisher: &mut Publisher, number: u64) {
    let (header, event) = event(number);
    publisher.event(&header, &event);
    publisher.complete(Sequence(number));
}

/// Waits for the next event; what may be lapped says how many it missed.
fn next(reader: &mut EventReader) -> Result<u64, u64> {
    loop {
        match reader.poll() {
            Polled::Event(header, found) => {
                assert_eq!((header, found), event(header.id.sequence.0), "a torn event");
                return Ok(header.id.sequence.0);
            }
            Polled::Lapped(count) => return Err(count),
            Polled::Empty => reader.wait(LONG),
            Polled::Closed => panic!("the publisher is here"),
        }
    }
}

#[test]
fn a_gating_reader_sees_every_event_whole_however_small_the_ring() {
    check(3, || {
        let (mut publisher, mut readers) = EventRing::open(1, 1, Idle::Park, Release::AsPublished);
        let mut reader = readers.pop().unwrap();
        let reading = thread::spawn(move || {
            for number in 1..=3 {
                assert_eq!(next(&mut reader), Ok(number));
            }
        });
        (1..=3).for_each(|number| publish(&mut publisher, number));
        reading.join().unwrap();
    });
}

/// Nobody says that a command has ended while the publisher waits for room: the readers are woken all the same.
#[test]
fn a_command_of_more_events_than_the_ring_holds_is_read_as_it_comes() {
    check(3, || {
        let (mut publisher, mut readers) = EventRing::open(1, 1, Idle::Park, Release::AsPublished);
        let mut reader = readers.pop().unwrap();
        let reading = thread::spawn(move || {
            for number in 1..=2 {
                assert_eq!(next(&mut reader), Ok(number));
            }
        });
        for number in 1..=2 {
            let (header, event) = event(number);
            publisher.event(&header, &event);
        }
        publisher.complete(Sequence(2));
        reading.join().unwrap();
    });
}

#[test]
fn the_end_is_seen_behind_the_last_event() {
    // A bell's fence orders more than the ring asks for: who polls does without.
    for (idle, preemptions) in [(Idle::Park, 4), (Idle::Poll, 3)] {
        check(preemptions, move || {
            let (mut publisher, mut readers) = EventRing::open(2, 1, idle, Release::AsPublished);
            let mut reader = readers.pop().unwrap();
            let reading = thread::spawn(move || {
                assert_eq!(next(&mut reader), Ok(1));
                reader.wait(LONG);
                assert_eq!(reader.poll(), Polled::Closed);
            });
            publish(&mut publisher, 1);
            drop(publisher);
            reading.join().unwrap();
        });
    }
}

#[test]
fn a_lapped_reader_counts_what_it_missed_and_sees_no_torn_event() {
    check(2, || {
        let (mut publisher, _) = EventRing::open(1, 0, Idle::Poll, Release::AsPublished);
        let mut reader = publisher.reader();
        let reading = thread::spawn(move || {
            let mut expected = 1;
            while expected <= 2 {
                match next(&mut reader) {
                    Ok(number) => {
                        assert_eq!(number, expected);
                        expected += 1;
                    }
                    Err(missed) => expected += missed,
                }
            }
        });
        (1..=2).for_each(|number| publish(&mut publisher, number));
        reading.join().unwrap();
        drop(publisher);
    });
}

#[test]
fn who_waits_for_the_end_of_a_command_is_woken_by_it() {
    check(5, || {
        let (mut publisher, mut readers) = EventRing::open(2, 1, Idle::Park, Release::AsPublished);
        let mut reader = readers.pop().unwrap();
        let reading = thread::spawn(move || {
            reader.wait_for_end(Sequence(1), LONG);
            assert_eq!(reader.completed(), Sequence(1));
        });
        // A command without events.
        publisher.complete(Sequence(1));
        reading.join().unwrap();
    });
}

/// The release comes before the event, behind it, or between its parts: a reader that nobody wakes would be a deadlock.
#[test]
fn a_release_at_any_moment_wakes_the_reader_and_none_sees_an_event_before_it() {
    check(4, || {
        let durable = Arc::new(Watermark::new(0, Idle::Park));
        let release = Release::After(Arc::clone(&durable));
        let (mut publisher, mut readers) = EventRing::open(1, 1, Idle::Park, release);
        let mut reader = readers.pop().unwrap();
        let seen = Arc::clone(&durable);
        let reading = thread::spawn(move || {
            assert_eq!(next(&mut reader), Ok(1));
            assert_eq!(seen.get(), 1, "seen before it was released");
        });
        let releasing = thread::spawn(move || durable.advance(1));
        publish(&mut publisher, 1);
        releasing.join().unwrap();
        reading.join().unwrap();
    });
}

#[test]
fn a_publisher_that_waits_for_room_is_woken_by_a_reader_that_goes() {
    check(5, || {
        let (mut publisher, readers) = EventRing::open(1, 1, Idle::Park, Release::AsPublished);
        let reading = thread::spawn(move || drop(readers));
        (1..=2).for_each(|number| publish(&mut publisher, number));
        assert!(!publisher.is_void());
        reading.join().unwrap();
    });
}

#[test]
fn a_publisher_that_waits_for_a_release_that_never_comes_is_void() {
    check(3, || {
        let durable = Arc::new(Watermark::new(0, Idle::Park));
        let (mut publisher, mut readers) = EventRing::open(1, 1, Idle::Park, Release::After(Arc::clone(&durable)));
        let mut reader = readers.pop().unwrap();
        let reading = thread::spawn(move || {
            while reader.poll() != Polled::Closed {
                thread::yield_now();
            }
        });
        let poisoning = thread::spawn(move || durable.poison());
        (1..=2).for_each(|number| publish(&mut publisher, number));
        assert!(publisher.is_void());
        drop(publisher);
        poisoning.join().unwrap();
        reading.join().unwrap();
    });
}

/// The queue is another crate's and one step here; ours is that the core does not sleep over a command.
#[test]
fn a_core_that_waits_for_commands_is_woken_by_each() {
    check(5, || {
        let ring = Arc::new(CommandRing::new(2, Idle::Park));
        let submitting = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            for _ in 0..2 {
                submitting.submit(Command::from_venue(AdvanceTime {})).unwrap();
            }
        });
        let mut batch = Vec::new();
        while batch.len() < 2 {
            ring.wait(LONG, || false);
            ring.take(&mut batch, 2);
        }
        producer.join().unwrap();
    });
}
