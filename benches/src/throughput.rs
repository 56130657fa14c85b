//! Operations a second of the engine alone, beside the least that any book needs, in turns of one run.
//!
//! * [`workload`] — the operations, and what has to come of them.
//! * [`floor`] — a book without rules: the limit that the engine is compared with.
//! * [`commands`] — the operations as commands, and the venue that takes them.
//! * [`mod@resolve`] — the verifying run.
//! * [`latency`] — single operations, by [`clock`].
//! * [`allocations`] — what must not happen meanwhile.

pub mod allocations;
pub mod clock;
pub mod commands;
pub mod floor;
pub mod latency;
pub mod resolve;
pub mod ring;
mod run;
pub mod workload;

use std::time::Duration;

use clap::ValueEnum;

use self::commands::{Clients, Mode, Nobody, Traders};
use self::latency::{Latencies, latencies};
use self::resolve::{Resolved, resolve};
use self::run::{time_engine, time_event_floor, time_floor};
use self::workload::{Outcome, Part, Stream};
use crate::failure::Failure;

/// What can be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Candidate {
    /// A book without rules and reports.
    Floor,
    /// The same with a report of 64 bytes per outcome.
    EventFloor,
    /// The engine.
    Engine,
}

impl Candidate {
    /// In the order in which they take turns.
    pub const ALL: [Self; 3] = [Self::Floor, Self::EventFloor, Self::Engine];
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much of a venue there is.
    pub mode: Mode,
    /// Accounts that the orders are spread over.
    pub accounts: u16,
    /// Runs of each candidate.
    pub runs: usize,
    /// The candidates.
    pub candidates: Vec<Candidate>,
    /// Whether single operations are timed, too.
    pub latency: bool,
}

impl Options {
    /// How often [`measure`] says that a step is done.
    pub fn steps(&self) -> usize {
        1 + self.runs * self.candidates.len() + usize::from(self.latency)
    }
}

/// What was measured. Candidates that were left out have no runs.
#[derive(Debug)]
pub struct Measured {
    /// Operations of a run.
    pub operations: usize,
    /// What traded.
    pub outcome: Outcome,
    /// How many events the engine told.
    pub events: u64,
    /// What the runs of each candidate took, in the order of [`Candidate::ALL`].
    pub times: [Vec<Duration>; 3],
    /// Of single operations.
    pub latencies: Option<Latencies>,
}

impl Measured {
    /// Operations a second in the candidate's median run; nothing if it was left out.
    pub fn per_second(&self, candidate: Candidate) -> Option<f64> {
        let mut times = self.times[candidate as usize].clone();
        times.sort_unstable();
        times.get(times.len() / 2).map(|time| self.operations as f64 / time.as_secs_f64())
    }

    /// The engine's operations a second, as a share of another candidate's.
    pub fn share_of(&self, candidate: Candidate) -> Option<f64> {
        Some(self.per_second(Candidate::Engine)? / self.per_second(candidate)?)
    }
}

/// Measures. Fails if any candidate trades otherwise than the stream's generator says, or if the engine allocates.
pub fn measure(stream: &Stream, options: &Options, done: impl FnMut()) -> Result<Measured, Failure> {
    match options.mode {
        Mode::Matching => measure_with(stream, options, done, || Nobody),
        Mode::Venue => measure_with(stream, options, done, || Traders::new(options.accounts)),
    }
}

fn measure_with<C: Clients>(
    stream: &Stream,
    options: &Options,
    mut done: impl FnMut(),
    clients: impl Fn() -> C,
) -> Result<Measured, Failure> {
    let Options { mode, accounts, runs, ref candidates, latency } = *options;
    let resolved = resolve(stream, mode, accounts, clients())?;
    done();
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..runs {
        for &candidate in candidates {
            let time = match candidate {
                Candidate::Floor => time_floor(stream)?,
                Candidate::EventFloor => time_event_floor(stream, &resolved)?,
                Candidate::Engine => time_engine(stream, &resolved, mode, accounts, clients())?,
            };
            times[candidate as usize].push(time);
            done();
        }
    }
    let latencies = latency.then(|| latencies(stream, &resolved, mode, accounts, clients())).transpose()?;
    Ok(Measured {
        operations: stream.part(Part::Timed).len(),
        outcome: stream.outcome(),
        events: resolved.events,
        times,
        latencies,
    })
}

/// Fails if `who` told more or less than the engine did when it was verified.
fn as_many(who: &str, events: u64, resolved: &Resolved) -> Result<(), Failure> {
    if events == resolved.events {
        return Ok(());
    }
    Err(differs(format!("{who}: events {events} instead of {}", resolved.events)))
}

/// Fails if `who` traded otherwise.
fn same(who: &str, found: Outcome, expected: Outcome) -> Result<(), Failure> {
    let differences = [
        ("trades", found.trades, expected.trades),
        ("volume", found.volume, expected.volume),
        ("digest", found.digest, expected.digest),
    ];
    match differences.into_iter().find(|(_, found, expected)| found != expected) {
        None => Ok(()),
        Some((what, found, expected)) => Err(differs(format!("{who}: {what} {found} instead of {expected}"))),
    }
}

fn differs(message: String) -> Failure {
    Failure::Missing(message)
}
