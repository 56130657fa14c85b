//! One timed run of each candidate: the engine and both floors.
//!
//! ```text
//!   records ─► 32 commands ─► engine ─► events ─► reports of 64 bytes in a ring, and a hash of the trades
//!   operations ────────────► floor ───────────► a hash of the trades
//!   operations ────────────► floor ─► outcomes ─► reports of 64 bytes in a ring, and a hash of the trades
//! ```

use std::array;
use std::time::{Duration, Instant};

use engine::event::{OrderAccepted, OrderCancelled, OrderReplaced, OrderState, Report as Numbers, Trade};
use engine::{Command, Engine, Event, EventHeader, EventKind, EventSink, Sequence, Sequenced};

use super::allocations::allocations;
use super::commands::{Clients, Mode, Record, open};
use super::floor::{Floor, Silent, Told};
use super::resolve::Resolved;
use super::ring::{Report, Ring};
use super::workload::{Outcome, Part, Stream};
use super::{as_many, differs, same};
use crate::failure::Failure;

/// Commands that wait together.
const BATCH: usize = 32;

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
    let (allocated, begun) = (allocations(), Instant::now());
    run_engine(&mut filled.engine, &resolved.timed, &mut filled.clients, &mut filled.reports);
    let (took, allocated) = (begun.elapsed(), allocations() - allocated);
    filled.check(resolved)?;
    match allocated {
        0 => Ok(took),
        _ => Err(differs(format!("a timed run of the engine: {allocated} allocations instead of none"))),
    }
}

/// What is timed of the engine.
#[inline(never)]
fn run_engine<C: Clients>(engine: &mut Engine, records: &[Record], clients: &mut C, reports: &mut Reports) {
    let mut sequence = engine.last().sequence.next();
    let Some(first) = records.first() else { return };
    let mut batch: [Sequenced<Command>; BATCH] =
        array::from_fn(|_| first.command(sequence, &mut super::commands::Nobody));
    for records in records.chunks(BATCH) {
        for (command, record) in batch.iter_mut().zip(records) {
            *command = record.command(sequence, clients);
            sequence = sequence.next();
        }
        engine.apply_batch(&batch[..records.len()], reports);
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
