//! An order's way to its synced report at a given rate, without a network, beside the bare least that such a way needs.
//!
//! ```text
//!   venue   producer ─► command ring ─► core ─► head ─► writer, synced ─► released event ─► reader
//!   bare    producer ─► command ring ─► writer, synced
//! ```
//!
//! Load model: open loop. Each command has its time, whether the one before was answered or not, and its latency counts
//! from that time. A producer sleeps between commands that are due, at most 20 µs long, and what that adds is in the
//! figures of both.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Command, Timestamp};
use hdrhistogram::Histogram;
use ring::{CommandRing, EventReader, Idle, Polled};
use venue::affinity::CoreNumber;
use venue::topology::{Topology, Venue};

use super::disk::{BareFile, Method, PAGE};
use super::flow::Flow;
use crate::failure::Failure;
use crate::times::{histogram, record};

/// The longest that a producer sleeps.
const SLEEP: Duration = Duration::from_micros(20);
/// Bytes that the bare writer writes for a command: about what its record has.
const BARE_COMMAND_BYTES: usize = 136;
/// Commands that the bare writer takes at once.
const BARE_GROUP_MAX: usize = 4_096;

/// How commands are paced.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Commands a second.
    pub rate: u64,
    /// How long.
    pub seconds: u64,
    /// How threads wait.
    pub idle: Idle,
    /// Where the core is pinned.
    pub core: Option<usize>,
}

/// Times from a command's due time to its first event, or its sync, in nanoseconds.
#[derive(Debug)]
pub struct Paced {
    /// Through ring, core and writer to a reader of events.
    pub venue: Histogram<u64>,
    /// Through ring and writer.
    pub bare: Histogram<u64>,
}

/// Times both.
pub fn paced(flow: &Flow, directory: &Path, pace: &Pace) -> Result<Paced, Failure> {
    let count = (pace.rate * pace.seconds) as usize;
    let (before, timed) = flow.commands.split_at(flow.commands.len().saturating_sub(count));
    Ok(Paced { bare: bare(timed, directory, pace)?, venue: venue(flow, before, timed, directory, pace)? })
}

fn venue(
    flow: &Flow,
    before: &[Command],
    timed: &[Command],
    directory: &Path,
    pace: &Pace,
) -> Result<Histogram<u64>, Failure> {
    let folder = directory.join("paced");
    let topology = Topology {
        capacity: flow.capacity,
        idle: pace.idle,
        core: pace.core.map(CoreNumber),
        reader_count: 1,
        ..Topology::default()
    };
    let mut venue = Venue::start(&folder, &topology, |_| {}).map_err(|error| Failure::Missing(error.to_string()))?;
    let mut reader = venue.take_readers().pop().expect("one was asked for");
    let commands = Arc::clone(venue.commands());
    let (origin, reached) = (Instant::now(), AtomicU64::new(0));
    let times = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(&mut reader, origin, before.len() as u64, timed.len(), &reached));
        for (index, command) in (1..).zip(before) {
            submit(&commands, *command);
            // No faster than they are answered: what fills the book is not measured.
            while index > reached.load(Ordering::Acquire) + 1_024 {
                std::thread::sleep(SLEEP);
            }
        }
        while reached.load(Ordering::Acquire) < before.len() as u64 {
            std::thread::sleep(SLEEP);
        }
        produce(&commands, timed, origin, pace.rate);
        reading.join().expect("the reader does not panic")
    });
    drop(reader);
    venue.stop().map_err(|error| Failure::Missing(error.to_string()))?;
    Ok(times)
}

/// Reads until so many commands behind the first `before` have had their first event.
fn read(reader: &mut EventReader, origin: Instant, before: u64, count: usize, reached: &AtomicU64) -> Histogram<u64> {
    let (mut times, mut commands) = (histogram(), 0);
    while commands < before + count as u64 {
        match reader.poll() {
            Polled::Event(header, _) if header.id.index == 0 => {
                commands += 1;
                reached.store(commands, Ordering::Release);
                if commands > before {
                    record(&mut times, nanoseconds(origin).saturating_sub(header.received_at.0));
                }
            }
            Polled::Event(..) => {}
            Polled::Empty => reader.wait(Duration::from_secs(1)),
            Polled::Lapped(_) | Polled::Closed => panic!("the venue has ended"),
        }
    }
    times
}

fn bare(timed: &[Command], directory: &Path, pace: &Pace) -> Result<Histogram<u64>, Failure> {
    let io = |source| Failure::io(directory, source);
    let group_bytes_max = (BARE_GROUP_MAX * BARE_COMMAND_BYTES).next_multiple_of(PAGE);
    let mut file = BareFile::create(directory, Method::WriteSync, 64 << 20, group_bytes_max).map_err(io)?;
    let commands = CommandRing::new(Topology::default().command_slots, pace.idle);
    let (origin, ended) = (Instant::now(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let (mut times, mut group) = (histogram(), Vec::with_capacity(BARE_GROUP_MAX));
            while !ended.load(Ordering::Acquire) || commands.waiting() > 0 {
                commands.take(&mut group, BARE_GROUP_MAX);
                if group.is_empty() {
                    commands.wait(Duration::from_millis(10), || ended.load(Ordering::Acquire));
                    continue;
                }
                file.write((group.len() * BARE_COMMAND_BYTES).next_multiple_of(PAGE))?;
                let now = nanoseconds(origin);
                group.iter().for_each(|command| record(&mut times, now.saturating_sub(command.header.received_at.0)));
                group.clear();
            }
            Ok(times)
        });
        produce(&commands, timed, origin, pace.rate);
        ended.store(true, Ordering::Release);
        commands.wake();
        writing.join().expect("the writer does not panic")
    })
    .map_err(io)
}

/// Submits each command when it is due, and never before.
fn produce(commands: &CommandRing, timed: &[Command], origin: Instant, rate: u64) {
    let begun = nanoseconds(origin);
    for (index, command) in (0_u64..).zip(timed) {
        let due = begun + index * 1_000_000_000 / rate;
        while nanoseconds(origin) < due {
            std::thread::sleep(SLEEP);
        }
        let mut command = *command;
        command.header.received_at = Timestamp(due);
        submit(commands, command);
    }
}

fn submit(commands: &CommandRing, command: Command) {
    while commands.submit(command).is_err() {
        std::thread::yield_now();
    }
}

fn nanoseconds(origin: Instant) -> u64 {
    // Never zero, which means that there is no time.
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}
