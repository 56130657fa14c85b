//! The verifying run: the engine carries out a stream once, untimed; its trades are compared with the generator's, and
//! the venue's names of orders go into the records of the timed runs.

use engine::event::{OrderAccepted, OrderCancelled, OrderReplaced, Trade};
use engine::{Event, EventHeader, EventSink, OrderId};

use super::commands::{Clients, Mode, Record, open};
use super::workload::{Operation, Outcome, Part, Stream};
use super::{differs, same};
use crate::failure::Failure;

/// A stream as clients of the venue send it, and what a run of it has to tell.
#[derive(Debug)]
pub struct Resolved {
    /// What fills the book.
    pub prefill: Vec<Record>,
    /// What is timed.
    pub timed: Vec<Record>,
    /// What trades, the digest taken over the low halves of the venue's names of makers.
    pub outcome: Outcome,
    /// How many events the timed part tells.
    pub events: u64,
}

/// Carries out the stream; fails if anything is refused or trades differently.
pub fn resolve(stream: &Stream, mode: Mode, accounts: u16, mut clients: impl Clients) -> Result<Resolved, Failure> {
    let mut names = Names {
        current: 0,
        by_number: vec![OrderId::NONE; stream.highest_id() as usize + 1],
        by_slot: Vec::new(),
        outcome: Outcome::default(),
        venue_outcome: Outcome::default(),
        events: 0,
        unexpected: None,
    };
    let mut engine = open(stream, mode, accounts, &mut ());
    let mut carry_out = |operations: &[Operation]| -> Result<Vec<Record>, Failure> {
        names.events = 0;
        let mut records = Vec::with_capacity(operations.len());
        for operation in operations {
            names.current = operation.id;
            let record = Record::new(operation, names.by_number[operation.id as usize], accounts);
            engine.apply(&record.command(engine.last().sequence.next(), &mut clients), &mut names);
            if let Some(event) = &names.unexpected {
                return Err(differs(format!("{operation:?} led to {event:?}")));
            }
            records.push(record);
        }
        Ok(records)
    };
    let prefill = carry_out(stream.part(Part::Prefill))?;
    let timed = carry_out(stream.part(Part::Timed))?;
    same("the engine", names.outcome, stream.outcome())?;
    Ok(Resolved { prefill, timed, outcome: names.venue_outcome, events: names.events })
}

/// Which order is which.
struct Names {
    /// The order that the operation is about.
    current: u32,
    /// The venue's names.
    by_number: Vec<OrderId>,
    /// The order in each of the engine's slots.
    by_slot: Vec<u32>,
    outcome: Outcome,
    venue_outcome: Outcome,
    events: u64,
    unexpected: Option<Event>,
}

impl EventSink for Names {
    fn event(&mut self, _: &EventHeader, event: &Event) {
        self.events += 1;
        match event {
            Event::OrderAccepted(OrderAccepted { order, .. }) => {
                let slot = order.order_id.slot() as usize;
                self.by_slot.resize(self.by_slot.len().max(slot + 1), 0);
                self.by_slot[slot] = self.current;
                self.by_number[self.current as usize] = order.order_id;
            }
            Event::Trade(Trade { maker, quantity, .. }) => {
                let quantity = quantity.0 as u32;
                self.outcome.trade(self.by_slot[maker.order_id.slot() as usize], quantity);
                self.venue_outcome.trade(maker.order_id.0 as u32, quantity);
            }
            Event::OrderReplaced(OrderReplaced { order, .. }) | Event::OrderCancelled(OrderCancelled { order, .. })
                if order.order_id == self.by_number[self.current as usize] => {}
            _ => self.unexpected = Some(*event),
        }
    }
}
