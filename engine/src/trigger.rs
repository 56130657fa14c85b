//! Stops (rules 3.7 to 3.10): a trade elects them, and they enter when all else of the command has happened.
//!
//! ```text
//!   trade ─► elect: stops reached by its price leave their ladders, in order, into one queue
//!   end of the command ─► each in turn: OrderTriggered, then it matches as an incoming order ─► its trades elect more
//! ```
//! A stop is elected once, so that a cascade ends.

use crate::book::arena::{Order, Slot};
use crate::engine::Engine;
use crate::event::{EventSink, OrderTriggered};
use crate::order::Side;
use crate::turn::Turn;
use crate::{InstrumentId, Price};

/// A stop that a trade has elected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elected {
    slot: Slot,
    by: Price,
}

impl Engine {
    /// Elects what a trade at this price reaches: buys by ascending, then sells by descending stop price, then by time.
    pub(crate) fn elect(&mut self, instrument: InstrumentId, by: Price) {
        for side in Side::BOTH {
            while let Some(slot) = self.market(instrument).book.next_stop(&self.orders, side) {
                if !reaches(side, by, self.orders.arena[slot].stop_price) {
                    break;
                }
                self.displace(slot);
                self.elected.push(Elected { slot, by });
            }
        }
    }

    /// Lets elected stops enter, and those that they elect behind them.
    pub(crate) fn enter_elected<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        let mut next = 0;
        while let Some(&Elected { slot, by }) = self.elected.get(next) {
            next += 1;
            let order = &mut self.orders.arena[slot];
            order.shown = order.next_tip();
            let Order { account, session, .. } = *order;
            let report = self.report(turn, account, session);
            turn.emit(OrderTriggered { report, order: self.order_state(slot), elected_by: by });
            self.match_and_rest(turn, slot);
        }
        self.elected.clear();
    }
}

/// Whether a trade at `price` elects a stop of this side.
fn reaches(side: Side, price: Price, stop_price: Price) -> bool {
    match side {
        Side::Buy => price >= stop_price,
        Side::Sell => price <= stop_price,
    }
}
