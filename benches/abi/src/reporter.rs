//! What the engine tells, as reports of the interface.

use engine::command::CommandKind;
use engine::event::{OrderState, Trade};
use engine::{Event, EventHeader, EventSink, OrderId, Price, Side};

use crate::adapter::client_price;
use crate::interface::{Report, ReportKind};
use crate::names::Names;

/// Takes reports, in order.
pub trait Outbox {
    /// Takes the next, and waits for room if there is none.
    fn push(&mut self, report: &Report);

    /// Makes everything that was pushed visible to its reader.
    fn publish(&mut self);
}

/// The message that is being answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// The order as the client named it.
    pub(crate) order_id: u64,
    /// The message's number.
    pub(crate) sequence_number: u64,
    /// Which of its amends are told.
    pub(crate) amends: Amends,
}

/// Whether an amend is what the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amends {
    /// It is.
    Told,
    /// It is a step on the way.
    Silent,
}

/// Turns events into reports, and notes the names of new orders.
#[derive(Debug)]
pub(crate) struct Reporter<O> {
    pub(crate) names: Names,
    pub(crate) outbox: O,
    pub(crate) asked: Asked,
}

impl<O: Outbox> EventSink for Reporter<O> {
    // In place, so that of each event no more is built than is read here.
    #[inline(always)]
    fn event(&mut self, _: &EventHeader, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => {
                self.names.note(self.asked.order_id, accepted.order.order_id);
                self.tell(ReportKind::OrderAck, &accepted.order, accepted.order.quantity.0);
            }
            Event::Trade(trade) => self.tell_trade(trade),
            Event::OrderReplaced(replaced) if self.asked.amends == Amends::Told => {
                self.tell(ReportKind::ModifyAck, &replaced.order, replaced.order.leaves.0);
            }
            Event::OrderCancelled(cancelled) => {
                self.names.forget(cancelled.order.order_id);
                self.tell(ReportKind::CancelAck, &cancelled.order, cancelled.cancelled.0);
            }
            Event::CancelRejected(rejected) => {
                let kind = match rejected.response_to {
                    CommandKind::ReplaceOrder => ReportKind::ModifyReject,
                    _ => ReportKind::CancelReject,
                };
                self.outbox.push(&Report::reject(kind, self.asked.sequence_number, self.asked.order_id));
            }
            // A refused order has no report in the interface, and nobody set up anything that could cause another event.
            _ => {}
        }
    }
}

impl<O: Outbox> Reporter<O> {
    /// The order that the client names.
    pub(crate) fn asked_order(&self) -> OrderId {
        self.names.venue_id(self.asked.order_id)
    }

    #[inline(always)]
    fn tell(&mut self, kind: ReportKind, order: &OrderState, quantity: u64) {
        let report = self.report(kind, order.side, order.price, quantity);
        self.outbox.push(&report);
    }

    #[inline(always)]
    fn tell_trade(&mut self, trade: &Trade) {
        let maker_order_id = self.names.client_id(trade.maker.order_id);
        let report = self.report(ReportKind::Trade, trade.taker.side, trade.price, trade.quantity.0);
        self.outbox.push(&Report { maker_order_id, taker_order_id: self.asked.order_id, ..report });
        for side in [&trade.maker, &trade.taker] {
            if side.leaves.is_zero() {
                self.names.forget(side.order_id);
            }
        }
    }

    #[inline(always)]
    fn report(&self, kind: ReportKind, side: Side, price: Price, quantity: u64) -> Report {
        Report {
            side: match side {
                Side::Buy => 0,
                Side::Sell => 1,
            },
            price_ticks: client_price(price),
            // Nobody can enter more than the interface's 32 bits, and what is left of that is less.
            quantity: quantity as u32,
            ..Report::reject(kind, self.asked.sequence_number, self.asked.order_id)
        }
    }
}
