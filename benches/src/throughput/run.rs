//! One timed run of each candidate: the engine and both floors.
//!
//! ```text
//!   commands, 32 at a time ─► engine ─► events ─► reports of 64 bytes in a ring, and a hash of the trades
//!   operations ────────────► floor ───────────► a hash of the trades
//!   operations ────────────► floor ─► outcomes ─► reports of 64 bytes in a ring, and a hash of the trades
//! ```

use std::time::{Duration, Instant};

use engine::event::{OrderAccepted, OrderCancelled, OrderReplaced, OrderState, Report as Numbers, Trade};
use engine::{Command, Engine, Event, EventHeader, EventKind, EventSink, Sequence, Sequenced};

use super::allocations::allocations;
use super::commands::{Clients, Mode, open};
use super::floor::{Floor, Silent, Told};
use super::resolve::Resolved;
use super::ring::{Report, Ring};
use super::workload::{Outcome, Part, Stream};
use super::{as_many, differs, same};
use crate::failure::Failure;

/// Commands that wait together.
const BATCH: usize = 32;

/// Commands that are built between two readings of the clock: a ring's worth.
const SLAB: usize = 4_096;

/// Writes what the engine tells into a ring.
#[derive(Debug, Default)]
pub(super) struct Reports {
    ring: Ring,
    outcome: Outcome,
    unexpected: u64,
}

impl EventSink for Reports {
    #[inline(always)]
    fn event(&mut self, header: &EventHeader, event: &Event) {
        let sequence = header.id.sequence;
        match event {
            Event::OrderAccepted(OrderAccepted { report, order, .. }) => {
                self.ring.push(of_order(EventKind::OrderAccepted, sequence, report, order));
            }
            Event::OrderReplaced(OrderReplaced { report, order, .. }) => {
                self.ring.push(of_order(EventKind::OrderReplaced, sequence, report, order));
            }
            Event::OrderCancelled(OrderCancelled { report, order, cancelled, .. }) => {
                let report = of_order(EventKind::OrderCancelled, sequence, report, order);
                self.ring.push(Report { quantity: cancelled.0, ..report });
            }
            Event::Trade(Trade { trade_id, price, quantity, maker, taker, .. }) => {
                self.outcome.trade(maker.order_id.0 as u32, quantity.0 as u32);
                self.ring.push(Report {
                    sequence: sequence.0,
                    order_id: maker.order_id.0,
                    other: taker.order_id.0,
                    number: trade_id.0,
                    price: price.0,
                    quantity: quantity.0,
                    leaves: maker.leaves.0,
                    account: maker.report.account.0,
                    kind: EventKind::Trade,
                    side: maker.side,
                });
            }
            _ => self.unexpected += 1,
        }
    }
}

#[inline(always)]
fn of_order(kind: EventKind, sequence: Sequence, numbers: &Numbers, order: &OrderState) -> Report {
    Report {
        sequence: sequence.0,
        order_id: order.order_id.0,
        other: order.client_order_id.0,
        number: numbers.exec_id.0,
        price: order.price.0,
        quantity: order.quantity.0,
        leaves: order.leaves.0,
        account: numbers.account.0,
        kind,
        side: order.side,
    }
}

/// An engine whose book is filled.
pub(super) struct Filled<C> {
    pub(super) engine: Engine,
    pub(super) clients: C,
    pub(super) reports: Reports,
    before: u64,
}

impl<C: Clients> Filled<C> {
    pub(super) fn new(stream: &Stream, resolved: &Resolved, mode: Mode, accounts: u16, clients: C) -> Self {
        let engine = open(stream, mode, accounts, &mut ());
        let mut filled = Self { engine, clients, reports: Reports::default(), before: 0 };
        for record in &resolved.prefill {
            let command = record.command(filled.engine.last().sequence.next(), &mut filled.clients);
            filled.engine.apply(&command, &mut filled.reports);
        }
        filled.before = filled.reports.ring.written();
        filled
    }

    /// Fails if the timed part did not tell what it told when it was verified.
    pub(super) fn check(&self, resolved: &Resolved) -> Result<(), Failure> {
        let Reports { ring, outcome, unexpected } = &self.reports;
        if *unexpected != 0 {
            return Err(differs(format!("a timed run of the engine: {unexpected} events that are no outcomes")));
        }
        same("a timed run of the engine", *outcome, resolved.outcome)?;
        as_many("a timed run of the engine", ring.written() - self.before, resolved)
    }
}

/// How long the engine takes; nothing may be allocated meanwhile.
pub(super) fn time_engine<C: Clients>(
    stream: &Stream,
    resolved: &Resolved,
    mode: Mode,
    accounts: u16,
    clients: C,
) -> Result<Duration, Failure> {
    let mut filled = Filled::new(stream, resolved, mode, accounts, clients);
    let Filled { engine, clients, reports, .. } = &mut filled;
    let mut commands = Vec::with_capacity(SLAB);
    let (mut took, mut allocated) = (Duration::ZERO, 0);
    for records in resolved.timed.chunks(SLAB) {
        commands.clear();
        let sequences = (engine.last().sequence.0 + 1..).map(Sequence);
        commands.extend(records.iter().zip(sequences).map(|(record, sequence)| record.command(sequence, clients)));
        let (before, begun) = (allocations(), Instant::now());
        run_engine(engine, &commands, reports);
        took += begun.elapsed();
        allocated += allocations() - before;
    }
    filled.check(resolved)?;
    match allocated {
        0 => Ok(took),
        _ => Err(differs(format!("a timed run of the engine: {allocated} allocations instead of none"))),
    }
}

/// What is timed of the engine.
#[inline(never)]
fn run_engine(engine: &mut Engine, commands: &[Sequenced<Command>], reports: &mut Reports) {
    for batch in commands.chunks(BATCH) {
        engine.apply_batch(batch, reports);
    }
}

/// How long the floor takes.
pub(super) fn time_floor(stream: &Stream) -> Result<Duration, Failure> {
    let mut floor = filled_floor(stream, Silent);
    let begun = Instant::now();
    run_floor(&mut floor, stream);
    let took = begun.elapsed();
    same("the floor", floor.outcome(), stream.outcome())?;
    Ok(took)
}

/// What is timed of the floor.
#[inline(never)]
fn run_floor(floor: &mut Floor<Silent>, stream: &Stream) {
    floor.run(stream, Part::Timed, 0..stream.part(Part::Timed).len());
}

/// How long the floor takes that reports; it has to report as much as the engine.
pub(super) fn time_event_floor(stream: &Stream, resolved: &Resolved) -> Result<Duration, Failure> {
    let mut floor = filled_floor(stream, Ring::new());
    let (before, begun) = (floor.reports(), Instant::now());
    run_event_floor(&mut floor, stream);
    let took = begun.elapsed();
    same("the event floor", floor.outcome(), stream.outcome())?;
    as_many("the event floor", floor.reports() - before, resolved)?;
    Ok(took)
}

/// What is timed of the floor that reports.
#[inline(never)]
fn run_event_floor(floor: &mut Floor<Ring>, stream: &Stream) {
    floor.run(stream, Part::Timed, 0..stream.part(Part::Timed).len());
}

/// A floor whose book is filled.
pub(super) fn filled_floor<T: Told>(stream: &Stream, told: T) -> Floor<T> {
    let mut floor = Floor::new(stream, told);
    floor.run(stream, Part::Prefill, 0..stream.part(Part::Prefill).len());
    floor
}
