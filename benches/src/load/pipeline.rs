//! A command's way through a venue without its network, beside each part of that way alone.
//!
//! ```text
//!   producer ─► command ring ─► core: journal's head, engine ─► event ring ─► reader
//!                                      └─► journal writer ─► durable: releases the events, if synced
//! ```
//!
//! Load model: with `--rate` open loop, from when a command is due until the first of its events is at a reader. Without,
//! closed loop: as many as the ring takes. The venue hashes its events for the journal, and keeps no history and takes no
//! snapshots meanwhile.

mod feed;
mod limits;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Command, Timestamp};
use journal::Durability;
use ring::{CommandRing, EventReader, Polled};
use venue::arguments::DurabilityArgument;
use venue::config::Threads;
use venue::topology::{Topology, Venue};

use self::feed::{Feed, LOOK, Tally, due};
use self::limits::submit;
use super::arguments::Arguments;
use super::engine::{ENGINE, alone};
use super::progress::Progress;
use super::result::{Report, Series};
use super::schedule::{Phases, nanoseconds};
use super::threads::{beside_the_core, on_the_core};
use super::traffic::Traffic;
use crate::failure::Failure;

const VENUE: &str = "pipeline";
const SENT: &str = "sending";
const RING: &str = "limit: ring";
const WRITER: &str = "limit: writer";
const BARE_SYNC: &str = "limit: bare sync";

/// Commands of the first run that finds out how many fill the time.
const PILOT_COMMANDS: usize = 20_000;
/// What such a run has to take to say something.
const PILOT_TIME: Duration = Duration::from_millis(200);
/// The most commands of a closed loop: they have to fit memory.
const COMMANDS_MAX: usize = 20_000_000;
/// Operations of the engine alone, at most.
const ENGINE_OPERATIONS: usize = 500_000;

/// Measures.
pub fn run(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    let threads = arguments.threads()?;
    let parent = arguments.directory();
    let folder = tempfile::tempdir_in(&parent).map_err(|error| Failure::io(&parent, error))?;
    let bench = Bench { arguments, threads: &threads, directory: folder.path(), progress };
    Ok(vec![beside_the_core(&threads, || bench.run())?])
}

struct Bench<'a> {
    arguments: &'a Arguments,
    threads: &'a Threads,
    directory: &'a Path,
    progress: &'a Progress,
}

impl Bench<'_> {
    fn run(&self) -> Result<Report, Failure> {
        let (mix, seed) = (self.arguments.mix, self.arguments.seed());
        let (phases, schedule) = (self.arguments.phases(), self.arguments.schedule());
        let operations = match &schedule {
            Some(schedule) => schedule.clone().count(),
            None => self.commands_that_fill(phases.total())?,
        };
        let traffic = Traffic::generate(mix, seed, operations)?;
        let feed = Feed { traffic: &traffic, phases, schedule, idle: self.threads.idle };
        let mut series = vec![
            self.timed(RING, &feed, || limits::ring(&feed, self.threads))?,
            self.timed(WRITER, &feed, || limits::writer(&feed, self.directory, self.threads))?,
        ];
        if self.arguments.durability == DurabilityArgument::Synced {
            series.push(self.timed(BARE_SYNC, &feed, || limits::bare_sync(&feed, self.directory))?);
        }
        let passed = {
            let _timed = self.progress.timed(VENUE, phases.total());
            self.venue(&feed)?
        };
        self.progress.begin(ENGINE, 0);
        let engine = on_the_core(self.threads, || alone(mix, seed, operations.min(ENGINE_OPERATIONS)))?;
        series.extend(engine);
        Ok(self.report(&feed, &passed, series))
    }

    fn timed(
        &self,
        name: &str,
        feed: &Feed<'_>,
        limit: impl FnOnce() -> Result<Tally, Failure>,
    ) -> Result<Series, Failure> {
        let _timed = self.progress.timed(name, feed.phases.total());
        Ok(limit()?.series(name))
    }

    fn report(&self, feed: &Feed<'_>, passed: &Passed, limits: Vec<Series>) -> Report {
        let load_model = match feed.is_open() {
            true => "open loop, from when a command is due until the first of its events is at a reader",
            false => "closed loop, as many commands as the ring takes, until the first of their events is at a reader",
        };
        let mut report = Report::new(self.arguments, load_model);
        report.series.push(passed.done.series(VENUE));
        report.achieved_rate = report.series[0].per_second;
        if feed.is_open() {
            report.series.push(passed.sent.series(SENT));
        }
        report.series.extend(limits);
        let is_synced = self.arguments.durability == DurabilityArgument::Synced;
        // Nobody waits for the writer of a buffered journal, unless it falls behind.
        let mut parts = match (feed.is_open(), is_synced) {
            (true, true) => vec![BARE_SYNC, WRITER, RING],
            (true, false) => vec![RING],
            (false, _) => vec![RING, WRITER, ENGINE, BARE_SYNC],
        };
        parts.retain(|part| report.series(part).is_some());
        if !feed.is_open() {
            let rate = |part: &str| report.series(part).and_then(|series| series.per_second).unwrap_or(f64::MAX);
            parts.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
        }
        parts.iter().for_each(|part| report.compare(VENUE, part));
        report
    }

    /// How many commands it takes to keep the venue busy so long, and half as many more.
    fn commands_that_fill(&self, time: Duration) -> Result<usize, Failure> {
        self.progress.begin("how fast it is", 0);
        let mut count = PILOT_COMMANDS;
        loop {
            let traffic = Traffic::generate(self.arguments.mix, self.arguments.seed(), count)?;
            let phases = Phases { warm_up: Duration::ZERO, measured: time, cool_down: Duration::ZERO };
            let feed = Feed { traffic: &traffic, phases, schedule: None, idle: self.threads.idle };
            let took = self.venue(&feed)?.took;
            if took >= PILOT_TIME.min(time / 4) || count >= COMMANDS_MAX {
                let enough = traffic.len() as f64 * time.as_secs_f64() / took.as_secs_f64() * 1.5;
                return Ok((enough as usize).clamp(PILOT_COMMANDS, COMMANDS_MAX));
            }
            count = (count * 8).min(COMMANDS_MAX);
        }
    }

    fn venue(&self, feed: &Feed<'_>) -> Result<Passed, Failure> {
        let folder = self.directory.join("venue");
        let failed = |error: String| Failure::io(&folder, std::io::Error::other(error));
        let topology = Topology {
            capacity: feed.traffic.capacity,
            durability: match self.arguments.durability {
                DurabilityArgument::Buffered => Durability::Buffered,
                DurabilityArgument::Synced => Durability::Synced,
            },
            idle: self.threads.idle,
            core: self.threads.placement.as_ref().map(|placement| placement.core),
            reader_count: 1,
            ..Topology::default()
        };
        let mut venue = Venue::start(&folder, &topology, |_| {}).map_err(|error| failed(error.to_string()))?;
        if let Some(error) = venue.pinning_failure() {
            return Err(Failure::Usage(format!("--cores: {error}")));
        }
        let mut reader = venue.take_readers().pop().expect("one was asked for");
        fill(venue.commands(), &mut reader, &feed.traffic.before)?;
        let passed = pass(feed, venue.commands(), reader);
        venue.stop().map_err(|error| failed(error.to_string()))?;
        std::fs::remove_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
        passed
    }
}

/// What went through a venue.
struct Passed {
    done: Tally,
    /// When each was in the command ring.
    sent: Tally,
    took: Duration,
}

/// Commands that wait while the book is filled.
const FILLING: usize = 512;
const WAIT: Duration = Duration::from_millis(10);

fn fill(commands: &CommandRing, reader: &mut EventReader, before: &[Command]) -> Result<(), Failure> {
    for some in before.chunks(FILLING) {
        if !some.iter().all(|command| submit(commands, *command)) {
            return Err(ended());
        }
        let mut left = some.len();
        while left > 0 {
            match reader.poll() {
                Polled::Event(header, _) => left -= usize::from(header.id.index == 0),
                Polled::Empty => reader.wait(WAIT),
                Polled::Lapped(_) | Polled::Closed => return Err(ended()),
            }
        }
    }
    Ok(())
}

fn pass(feed: &Feed<'_>, commands: &CommandRing, reader: EventReader) -> Result<Passed, Failure> {
    let (origin, count) = (Instant::now(), AtomicU64::new(u64::MAX));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(feed, reader, origin, &count));
        let mut sent = feed.tally();
        let taken = feed.run(origin, |due, command| {
            let taken = submit(commands, command);
            if feed.is_open() {
                sent.note(due, nanoseconds(origin.elapsed()));
            }
            taken
        });
        count.store(taken, Ordering::Release);
        let done = reading.join().expect("the reader does not panic")?;
        Ok(Passed { done, sent, took: origin.elapsed() })
    })
}

/// Reads until all that were sent have had their first event.
fn read(feed: &Feed<'_>, mut reader: EventReader, origin: Instant, count: &AtomicU64) -> Result<Tally, Failure> {
    let (mut tally, mut commands, mut now) = (feed.tally(), 0, 0);
    while commands < count.load(Ordering::Acquire) {
        match reader.poll_bytes() {
            // What the venue itself does has no such time.
            Polled::Event(header, _) if header.id.index == 0 && header.received_at != Timestamp::NONE => {
                if feed.is_open() || commands % LOOK == 0 {
                    now = nanoseconds(origin.elapsed());
                }
                tally.note(due(header.received_at), now);
                commands += 1;
            }
            Polled::Event(..) => {}
            Polled::Empty if feed.is_open() => reader.wait(WAIT),
            Polled::Empty => reader.wait_at_leisure(WAIT),
            Polled::Lapped(_) | Polled::Closed => return Err(ended()),
        }
    }
    Ok(tally)
}

fn ended() -> Failure {
    Failure::Missing("the venue ended before all commands were answered".to_owned())
}
