//! From an order to its report: through a venue's sockets, rings, core and journal, and back.
//!
//! ```text
//!   venue   traders ─► sockets ─► ring ─► core, journal ─► ring ─► sockets ─► traders
//!   echo    traders ─► sockets ─► ring ─► nothing       ─► ring ─► sockets ─► traders
//!   ring                          ring ─► nothing       ─► ring
//! ```
//!
//! Load model: open loop, timed from when each order is due until its first report is read and understood. Venue and echo
//! take turns of one run, with the same orders at the same times through the same traders' thread. Only one of them is
//! there at a time, because a core that spins leaves its processor to nobody: the venue is stopped for the echo's turns,
//! and started again on its journal.

use std::time::{Duration, Instant};

use super::arguments::Arguments;
use super::breakdown::{Breakdown, Sampled};
use super::echo::Echo;
use super::link::Link;
use super::orders::Orders;
use super::parts::{Part, TURNS, parts};
use super::processor_time::Usage;
use super::progress::Progress;
use super::recorder::Recorder;
use super::result::{Report, Series};
use super::ring_limit::ring_round_trips;
use super::stage::Stage;
use super::traders::{Answered, Tally, Traders, Turn};
use crate::failure::Failure;
use crate::throughput::workload::Operation;
use crate::times::histogram;

const LOAD_MODEL: &str = "open loop, from when an order is due to its first report";

/// How long the ring alone is measured in each turn.
const RING_LENGTH: Duration = Duration::from_millis(250);
/// Requests that fill the book without an answer.
const PREFILL_WINDOW: usize = 512;

/// Measures.
pub fn run(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    let stage = Stage::new(arguments)?;
    let parts = parts(arguments).ok_or_else(|| Failure::Usage("--mode round-trip: needs --rate".to_owned()))?;
    let orders = Orders::of(arguments, &parts);
    let with_limits = stage.is_local()? && !arguments.without_limits;
    let (mut venue, mut echo) = (Side::new(arguments), Side::new(arguments));
    let (mut breakdown, mut ring) = (Breakdown::of_a_round_trip(), histogram());
    for (index, part) in parts.iter().enumerate() {
        let _bar = progress.timed(&format!("turn {} of {TURNS}", index + 1), part.phases.total() * 2);
        let operations = orders.part(index);
        let prefill = if index == 0 { orders.prefill() } else { &[] };
        venue_turn(&stage, part, prefill, operations, &mut venue, &mut breakdown)?;
        if with_limits {
            echo_turn(&stage, part, operations, &mut echo)?;
            ring += ring_round_trips(stage.threads(), RING_LENGTH);
        }
    }
    let mut report = Report::new(arguments, LOAD_MODEL);
    report.achieved_rate = Some(venue.recorder.per_second());
    report.series.push(Series::timed("round trip", &venue.recorder));
    report.series.push(Series::of_times("send lateness", venue.tally.lateness.clone()));
    report.hops = breakdown.hops();
    report.notes = venue.notes("");
    if !report.hops.is_empty() {
        report.notes.extend(breakdown.notes(venue.recorder.times().mean()));
    }
    if with_limits {
        report.series.push(Series::timed("limit: echo", &echo.recorder));
        report.series.push(Series::of_times("send lateness, echo", echo.tally.lateness.clone()));
        report.series.push(Series::of_times("limit: ring", ring));
        report.compare("round trip", "limit: echo");
        report.compare("limit: echo", "limit: ring");
        report.notes.extend(echo.notes("echo_"));
    }
    Ok(vec![report])
}

/// What is told of the venue, or of its limit, over all turns.
pub(super) struct Side {
    pub(super) recorder: Recorder,
    pub(super) tally: Tally,
    pub(super) usage: Usage,
}

impl Side {
    pub(super) fn new(arguments: &Arguments) -> Self {
        let recorder = Recorder::new(arguments.phases());
        Self { recorder, tally: Tally::default(), usage: Usage::default() }
    }

    /// One turn over open sessions, on the traders' thread; when it began.
    pub(super) fn turn(
        &mut self,
        traders: &mut Traders,
        part: &Part,
        operations: &[Operation],
        mut tell: impl FnMut(&Answered),
    ) -> Result<Instant, Failure> {
        let Self { recorder, tally, usage } = self;
        let before = Usage::now();
        let begun = Instant::now();
        let turn = Turn { begun, due: part.due(), operations, window: usize::MAX };
        traders.drive(turn, tally, |answered| {
            part.record(recorder, answered.sent.due_ns, answered.read_ns);
            tell(answered);
        })?;
        usage.plus(&(Usage::now() - &before));
        Ok(begun)
    }

    /// Counts, and what an order took of the processors.
    pub(super) fn notes(&self, of: &str) -> Vec<(String, f64)> {
        let Tally { sent, answered, busy, refused, aggressors, .. } = self.tally;
        let counts =
            [("sent", sent), ("answered", answered), ("busy", busy), ("refused", refused), ("aggressors", aggressors)];
        let counts = counts.map(|(name, count)| (format!("{of}{name}"), count as f64));
        let groups: [(&str, IsOf); 6] = [
            ("total", |_| true),
            ("core", is_core),
            ("order_entry", is_order_entry),
            ("writer", is_writer),
            ("client", is_client),
            ("others", |name| ![is_core, is_order_entry, is_writer, is_client].iter().any(|is| is(name))),
        ];
        let per_order = |taken: u64| taken as f64 / sent.max(1) as f64;
        let taken = groups.iter().flat_map(|(group, matches)| {
            let taken = self.usage.of(matches);
            [
                (format!("{of}cpu_ns_per_order_{group}"), per_order(taken.running_ns).round()),
                (format!("{of}sleeps_per_order_{group}"), per_order(taken.sleeps)),
            ]
        });
        counts.into_iter().chain(taken).collect()
    }
}

/// Whether a thread of this name is one of a group.
type IsOf = fn(&str) -> bool;

fn is_core(name: &str) -> bool {
    matches!(name, "core" | "echo-core")
}

fn is_order_entry(name: &str) -> bool {
    name.starts_with("order-entry") || name == "echo-sockets"
}

fn is_writer(name: &str) -> bool {
    name == "journal-writer"
}

fn is_client(name: &str) -> bool {
    name == "traders"
}

fn venue_turn(
    stage: &Stage,
    part: &Part,
    prefill: &[Operation],
    operations: &[Operation],
    side: &mut Side,
    breakdown: &mut Breakdown,
) -> Result<(), Failure> {
    let up = stage.up()?;
    if !prefill.is_empty() {
        stage.clear(&up)?;
    }
    stage.on_the_traders_thread(|| {
        let mut traders = Traders::new(stage.open(&up)?, stage.waiting())?;
        fill(&mut traders, prefill)?;
        let tap = up.served().map(|served| served.hops().tap(operations.len()));
        let mut sampled = Sampled::default();
        side.turn(&mut traders, part, operations, |answered| {
            if part.phases.slice(answered.sent.due_ns).is_some() {
                sampled.keep(answered);
            }
        })?;
        if let Some(tap) = tap {
            breakdown.join(&sampled, &tap);
        }
        Ok(())
    })?;
    up.down()
}

/// Fills the book, as fast as it is answered.
pub(super) fn fill(traders: &mut Traders, prefill: &[Operation]) -> Result<(), Failure> {
    let due = std::iter::repeat_n(0, prefill.len());
    let turn = Turn { begun: Instant::now(), due, operations: prefill, window: PREFILL_WINDOW };
    let mut tally = Tally::default();
    traders.drive(turn, &mut tally, |_| {})?;
    match tally.busy + tally.refused {
        0 => Ok(()),
        refused => Err(Failure::Missing(format!("{refused} of {} orders that fill the book were refused", tally.sent))),
    }
}

fn echo_turn(stage: &Stage, part: &Part, operations: &[Operation], side: &mut Side) -> Result<(), Failure> {
    let (echo, _) = Echo::start(stage.threads(), stage.server_protection()?, 0)?;
    stage.on_the_traders_thread(|| {
        let links: Vec<Link> = stage.open_bare(echo.address())?;
        side.turn(&mut Traders::new(links, stage.waiting())?, part, operations, |_| {})
    })?;
    echo.stop()
}
