//! Stops (rules 3.7 to 3.10): a trade elects them, and they enter when all else of the command has happened.
//!
//! ```text
//!   trade ─► elect: stops reached by its price leave their ladders, in order, into one queue
//!   end of the command ─► each in turn: OrderTriggered, then it matches as an incoming order ─► its trades elect more
//! ```
//! A stop is elected once, so that a cascade ends.

use crate::book::arena::{Order, Place, Slot};
use crate::engine::Engine;
use crate::event::{EventSink, OrderTriggered};
use crate::order::{OrderType, Side};
use crate::phases::{Matching, rules};
use crate::risk::{Exposure, held_asset};
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
        if !self.market(instrument).book.has_stops() {
            return;
        }
        for side in Side::BOTH {
            while let Some(slot) = self.market(instrument).book.next_stop(&self.orders, side) {
                if !reaches(side, by, self.orders.arena.extras(slot).stop_price) {
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
            let instrument = self.orders.arena[slot].instrument;
            if rules(self.market(instrument).phase).matching == Matching::No {
                // A volatility call has begun: it waits on.
                self.place(slot, Place::Stops);
                continue;
            }
            self.tighten(slot);
            self.orders.arena.show(slot);
            let Order { account, session, .. } = self.orders.arena[slot];
            let report = self.report(turn, account, session);
            turn.emit(OrderTriggered { report, order: self.order_state(slot), elected_by: by });
            self.match_and_rest(turn, slot);
        }
        self.elected.clear();
    }

    /// A Stop that enters reaches no further than its account may, as a market order does.
    fn tighten(&mut self, slot: Slot) {
        let order = &mut self.orders.arena[slot];
        let Order { order_type, account: id, side, limit, instrument, .. } = *order;
        let market = self.market(instrument);
        if order_type != OrderType::Stop || market.reference.is_absent() {
            return;
        }
        let account = self.accounts.get(id.0).expect("an order's account is open");
        let allowed = self.bounds(id, account, instrument).furthest(side, market.reference);
        let tightened = match side {
            Side::Buy => limit.min(allowed),
            Side::Sell => limit.max(allowed),
        };
        let before = Exposure::of(&self.orders.arena, slot);
        let after = Exposure { limit: tightened, ..before };
        self.orders.arena[slot].limit = tightened;
        let market = self.market(instrument);
        if market.settles() {
            let (asset, before, after) = (held_asset(market, side), before.hold(market), after.hold(market));
            self.ledger.change_hold(id, asset, before, after).expect("a nearer limit needs no more");
        }
    }
}

/// Whether a trade at `price` elects a stop of this side.
fn reaches(side: Side, price: Price, stop_price: Price) -> bool {
    match side {
        Side::Buy => price >= stop_price,
        Side::Sell => price <= stop_price,
    }
}
