//! How long each single operation takes, the command being built before.

use engine::EventSink;
use hdrhistogram::Histogram;

use super::clock::{Clock, begin, end};
use super::commands::{Clients, Mode, Traders};
use super::floor::Silent;
use super::resolve::{Resolved, resolve};
use super::run::{Filled, filled_floor};
use super::workload::{Action, Operation, Part, Stream};
use crate::failure::Failure;
use crate::times::histogram;

/// What takes longer was interrupted, most probably.
pub const INTERRUPTED_NANOSECONDS: u64 = 10_000;

/// Times of single operations in nanoseconds.
#[derive(Debug)]
pub struct Latency {
    /// Of all.
    pub all: Histogram<u64>,
    /// By [`Action`], in its order.
    pub by_action: [Histogram<u64>; 4],
    /// At which operation the longest was, from 0.
    pub longest_at: usize,
    /// How many took longer than [`INTERRUPTED_NANOSECONDS`].
    pub interrupted: u64,
}

/// What was measured beside each other.
#[derive(Debug)]
pub struct Latencies {
    /// The counter.
    pub clock: Clock,
    /// The engine's.
    pub engine: Latency,
    /// The floor's, which says what the machine adds.
    pub floor: Latency,
}

/// Measures one run of the engine and one of the floor.
pub fn latencies<C: Clients>(
    stream: &Stream,
    resolved: &Resolved,
    mode: Mode,
    accounts: u16,
    clients: C,
) -> Result<Latencies, Failure> {
    let clock = Clock::calibrate();
    let operations = stream.part(Part::Timed);
    let mut floor = filled_floor(stream, Silent);
    let floor = Latency::take(&clock, operations, |index| {
        let begun = begin();
        floor.run(stream, Part::Timed, index..index + 1);
        end() - begun
    });
    let mut filled = Filled::new(stream, resolved, mode, accounts, clients);
    let Filled { engine, clients, reports, .. } = &mut filled;
    let engine = Latency::take(&clock, operations, |index| {
        let command = resolved.timed[index].command(engine.last().sequence.next(), clients);
        apply_timed(engine, &command, reports)
    });
    filled.check(resolved)?;
    Ok(Latencies { clock, engine, floor })
}

/// Carries out one run of the engine as a whole venue and one of the floor, each operation when it is due and not before:
/// in nanoseconds since the first is. `engine` and `floor` are told when each was due and when it was done. Nothing sleeps.
pub fn paced(
    stream: &Stream,
    accounts: u16,
    due: impl Iterator<Item = u64> + Clone,
    engine: impl FnMut(u64, u64),
    floor: impl FnMut(u64, u64),
) -> Result<(), Failure> {
    let clock = Clock::calibrate();
    let mut book = filled_floor(stream, Silent);
    pace(&clock, due.clone(), |index| index, |index| book.run(stream, Part::Timed, index..index + 1), floor);
    let resolved = resolve(stream, Mode::Venue, accounts, Traders::new(accounts))?;
    let mut filled = Filled::new(stream, &resolved, Mode::Venue, accounts, Traders::new(accounts));
    let Filled { engine: venue, clients, reports, .. } = &mut filled;
    let mut last = venue.last().sequence;
    let build = |index: usize| {
        last = last.next();
        resolved.timed[index].command(last, clients)
    };
    pace(&clock, due, build, |command| venue.apply(&command, reports), engine);
    filled.check(&resolved)
}

fn pace<T>(
    clock: &Clock,
    due: impl Iterator<Item = u64>,
    mut prepare: impl FnMut(usize) -> T,
    mut carry_out: impl FnMut(T),
    mut told: impl FnMut(u64, u64),
) {
    let origin = begin();
    for (index, due_ns) in due.enumerate() {
        let prepared = prepare(index);
        let due = origin + clock.ticks(due_ns as f64);
        while end() < due {
            std::hint::spin_loop();
        }
        carry_out(prepared);
        told(due_ns, clock.nanoseconds(end() - origin) as u64);
    }
}

#[inline(always)]
fn apply_timed(
    engine: &mut engine::Engine,
    command: &engine::Sequenced<engine::Command>,
    sink: &mut impl EventSink,
) -> u64 {
    let begun = begin();
    engine.apply(command, sink);
    end() - begun
}

impl Latency {
    /// Keeps the ticks of each operation, and sorts them when all is done.
    fn take(clock: &Clock, operations: &[Operation], mut ticks_of: impl FnMut(usize) -> u64) -> Self {
        // Not zeros, so that the memory is there already.
        let mut ticks = vec![u32::MAX; operations.len()];
        for (index, ticks) in ticks.iter_mut().enumerate() {
            *ticks = u32::try_from(ticks_of(index)).unwrap_or(u32::MAX);
        }
        let mut latency =
            Self { all: histogram(), by_action: std::array::from_fn(|_| histogram()), longest_at: 0, interrupted: 0 };
        let longest = ticks.iter().copied().max().unwrap_or_default();
        latency.longest_at = ticks.iter().position(|&ticks| ticks == longest).unwrap_or_default();
        for (operation, ticks) in operations.iter().zip(ticks) {
            latency.record(operation.action, clock.between(ticks.into()));
        }
        latency
    }

    fn record(&mut self, action: Action, nanoseconds: u64) {
        self.all.saturating_record(nanoseconds);
        self.by_action[action as usize].saturating_record(nanoseconds);
        self.interrupted += u64::from(nanoseconds > INTERRUPTED_NANOSECONDS);
    }
}
