//! The engine alone, as a whole venue, in memory, beside books without rules.
//!
//! Load model: closed loop without `--rate`: turns of engine and floors, as [`crate::throughput`] times them, and single
//! operations in a run of their own. With `--rate` open loop on one thread that waits without sleeping.

use std::time::Duration;

use super::arguments::{Arguments, Mix};
use super::progress::Progress;
use super::recorder::Recorder;
use super::result::{Report, Series};
use super::schedule::SLICES;
use super::threads::on_the_core;
use crate::failure::Failure;
use crate::throughput::commands::Mode;
use crate::throughput::latency::paced;
use crate::throughput::workload::{Part, Stream};
use crate::throughput::{Candidate, Measured, Options, measure};

/// Accounts that orders are spread over where there is no network, each with a session.
pub(super) const ACCOUNTS: u16 = 64;

/// Operations of the run that finds out how many fill the time.
const PILOT_OPERATIONS: usize = 20_000;
/// The most operations of a turn.
const TURN_OPERATIONS_MAX: usize = 5_000_000;

const FLOOR: &str = "limit: floor";
const EVENT_FLOOR: &str = "limit: floor with reports";
const FLOOR_OPERATION: &str = "limit: operation of the floor";

/// Measures.
pub fn run(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    let report = on_the_core(&arguments.threads()?, || match arguments.rate {
        Some(_) => open_loop(arguments, progress),
        None => closed_loop(arguments, progress),
    })?;
    Ok(vec![report])
}

fn open_loop(arguments: &Arguments, progress: &Progress) -> Result<Report, Failure> {
    let schedule = arguments.schedule().expect("there is a rate");
    let stream = Stream::generate(arguments.mix, arguments.seed(), schedule.clone().count());
    let phases = arguments.phases();
    let [mut engine, mut floor] = [(); 2].map(|()| Recorder::new(phases));
    // A stream leaves out what would find nothing to cross.
    let due = schedule.take(stream.part(Part::Timed).len());
    let timed = progress.timed("floor, then engine", 2 * phases.total());
    paced(&stream, ACCOUNTS, due, |due, done| engine.record(due, done), |due, done| floor.record(due, done))?;
    drop(timed);
    let mut report = Report::new(
        arguments,
        "open loop, one thread, from when an operation is due until its events are written into a ring",
    );
    report.achieved_rate = Some(engine.per_second());
    report.series = vec![Series::timed("engine", &engine), Series::timed(FLOOR, &floor)];
    report.compare("engine", FLOOR);
    Ok(report)
}

fn closed_loop(arguments: &Arguments, progress: &Progress) -> Result<Report, Failure> {
    let turns = Turns::within(arguments.mix, arguments.duration, arguments.seed())?;
    let stream = Stream::generate(arguments.mix, arguments.seed(), turns.operations);
    let options = options(turns.count, true);
    progress.begin("engine and floors", options.steps() as u64);
    let measured = measure(&stream, &options, || progress.done(1))?;
    let mut report =
        Report::new(arguments, "closed loop, one thread, 32 commands at a time, events written into a ring");
    report.warm_up_s = 0.0;
    report.seconds = measured.times.iter().flatten().map(Duration::as_secs_f64).sum();
    report.series = vec![
        counted("engine", &measured, Candidate::Engine),
        counted(FLOOR, &measured, Candidate::Floor),
        counted(EVENT_FLOOR, &measured, Candidate::EventFloor),
    ];
    report.achieved_rate = report.series[0].per_second;
    if let Some(latencies) = &measured.latencies {
        report.series.push(Series::of_times("operation", latencies.engine.all.clone()));
        report.series.push(Series::of_times(FLOOR_OPERATION, latencies.floor.all.clone()));
        report.compare("operation", FLOOR_OPERATION);
    }
    report.compare("engine", FLOOR);
    report.compare("engine", EVENT_FLOOR);
    report.notes.push(("operations of a turn".to_owned(), measured.operations as f64));
    Ok(report)
}

fn counted(name: &str, measured: &Measured, candidate: Candidate) -> Series {
    let parts: Vec<_> = measured.times[candidate as usize]
        .iter()
        .map(|time| (measured.operations as u64, time.as_secs_f64()))
        .collect();
    Series::counted(name, &parts)
}

fn options(runs: usize, latency: bool) -> Options {
    Options { mode: Mode::Venue, accounts: ACCOUNTS, runs, candidates: Candidate::ALL.to_vec(), latency }
}

/// How many turns of how many operations take a given time together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turns {
    operations: usize,
    count: usize,
}

impl Turns {
    /// After a short run, which warms up as well.
    fn within(mix: Mix, time: Duration, seed: u64) -> Result<Self, Failure> {
        let pilot = Stream::generate(mix, seed, PILOT_OPERATIONS);
        let measured = measure(&pilot, &options(1, false), || {})?;
        let each: f64 = Candidate::ALL.into_iter().filter_map(|one| Some(1.0 / measured.per_second(one)?)).sum();
        Ok(Self::of(time.as_secs_f64() / each))
    }

    /// Of so many operations of each candidate.
    fn of(operations: f64) -> Self {
        let each = ((operations / SLICES as f64) as usize).clamp(PILOT_OPERATIONS, TURN_OPERATIONS_MAX);
        Self { operations: each, count: ((operations / each as f64) as usize).clamp(1, 1_000) }
    }
}

/// What bounds everything that has an engine in it.
pub(super) const ENGINE: &str = "limit: engine";

/// Operations a second of the engine alone, and times of single ones.
pub(super) fn alone(mix: Mix, seed: u64, operations: usize) -> Result<Vec<Series>, Failure> {
    let stream = Stream::generate(mix, seed, operations);
    let options = Options { candidates: vec![Candidate::Engine], ..options(3, true) };
    let measured = measure(&stream, &options, || {})?;
    let mut series = vec![counted(ENGINE, &measured, Candidate::Engine)];
    if let Some(latencies) = measured.latencies {
        series.push(Series::of_times("limit: operation of the engine", latencies.engine.all));
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_fill_the_time_and_are_neither_tiny_nor_huge() {
        for (operations, turns) in [
            (10_000_000.0, Turns { operations: 500_000, count: 20 }),
            (1_000_000_000.0, Turns { operations: 5_000_000, count: 200 }),
            (60_000.0, Turns { operations: 20_000, count: 3 }),
            (100.0, Turns { operations: 20_000, count: 1 }),
        ] {
            assert_eq!(Turns::of(operations), turns, "{operations}");
        }
    }
}
