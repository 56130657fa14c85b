//! Rules 3 and 4: queues rebuilt from events, and that whoever trades is the first of its queue.

use std::collections::{BTreeMap, BTreeSet};

use engine::canonical::Code;
use engine::event::{MatchPrevented, SelfMatch, Trade, TradeSide};
use engine::{CancelReason, InstrumentId, OrderId, Price, Quantity, SelfTradePrevention, Side};

use super::orders::{Order, Stand, book_of, is_post_only};
use super::settings::matches_orders;
use super::{Auditor, Checked, Fault, ensure};

/// What has to be told next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    /// The order is cancelled by self-trade prevention.
    Cancelled(OrderId),
    /// The order is restated with what was prevented, or cancelled with nothing left.
    Reduced(OrderId),
    /// The order's next tip is shown.
    Refreshed(OrderId),
    /// The order is refused for the entry band.
    Refused,
    /// The order's remainder is cancelled, or trading is interrupted, for the collar.
    Collared(OrderId),
    /// The order's remainder is cancelled for the market protection.
    Protected(OrderId),
    /// The instrument's call goes on, or is halted.
    Banded(InstrumentId),
    /// The order joins a closing call, or ends instead.
    Joined(OrderId),
    /// The order ends behind an auction.
    Ended(OrderId, CancelReason),
}

impl Owed {
    /// The rule that says so.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Cancelled(_) | Self::Reduced(_) => "4.2",
            Self::Refreshed(_) => "1.10",
            Self::Refused => "6.2",
            Self::Collared(_) => "6.3",
            Self::Protected(_) => "6.5",
            Self::Banded(_) => "5.11",
            Self::Joined(_) => "5.10",
            Self::Ended(..) => "5.9",
        }
    }
}

/// One side of a book: by price, the best first, then by place.
type Queue = BTreeSet<(u64, u64, OrderId)>;

/// Who rests where, the first first.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues(BTreeMap<(InstrumentId, u16), Queue>);

fn key(side: Side, price: Price) -> u64 {
    match side {
        Side::Buy => u64::MAX - price.0,
        Side::Sell => price.0,
    }
}

impl Queues {
    /// Market orders of a call are in no book.
    pub(super) fn insert(&mut self, id: OrderId, order: &Order) {
        if order.state.price.is_absent() {
            return;
        }
        let (instrument, side) = book_of(order);
        let queue = self.0.entry((instrument, side.code())).or_default();
        queue.insert((key(side, order.state.price), order.place, id));
    }

    pub(super) fn remove(&mut self, id: OrderId, order: &Order) {
        if order.state.price.is_absent() {
            return;
        }
        let (instrument, side) = book_of(order);
        if let Some(queue) = self.0.get_mut(&(instrument, side.code())) {
            queue.remove(&(key(side, order.state.price), order.place, id));
        }
    }

    /// The price and the order that trade next.
    pub(super) fn first(&self, instrument: InstrumentId, side: Side) -> Option<(Price, OrderId)> {
        let &(price, _, id) = self.0.get(&(instrument, side.code()))?.first()?;
        Some((Price(key(side, Price(price))), id))
    }
}

/// Whether an order on this side may trade at a price, if `bound` is its worst.
pub(super) fn is_within(side: Side, price: Price, bound: Price) -> bool {
    !bound.is_absent()
        && match side {
            Side::Buy => price <= bound,
            Side::Sell => price >= bound,
        }
}

impl Auditor {
    /// 1.2, 1.3, 2.6: the incoming order is done: it has ended, or it rests and crosses nothing.
    pub(super) fn settle_incoming(&mut self) -> Checked {
        let Some(id) = self.incoming.take() else { return Ok(()) };
        let Some(order) = self.orders.get(&id) else { return Ok(()) };
        let state = order.state;
        let is_in_call = self.instrument(state.instrument)?.call.is_some();
        ensure(!order.is_market(), "1.2", || format!("a market order does not rest: {state:?}"))?;
        ensure(state.time_in_force.rests(), "1.3", || format!("it does not rest: {state:?}"))?;
        let best = self.queues.first(state.instrument, state.side.opposite());
        let crosses = best.is_some_and(|(price, _)| is_within(state.side, price, state.price));
        ensure(!crosses || is_in_call, "2.6", || format!("{state:?} rests against {best:?}"))?;
        let place = self.next_place();
        let order = self.orders.get_mut(&id).expect("looked at above");
        order.stand = Stand::Resting;
        order.place = place;
        order.state.shown = order.tip();
        self.queues.insert(id, &self.orders[&id]);
        Ok(())
    }

    /// 2.6, 5.2: between commands no book is crossed but in a call.
    pub(super) fn no_book_is_crossed(&self) -> Checked {
        for (&id, instrument) in &self.instruments {
            let (bid, ask) = (self.queues.first(id, Side::Buy), self.queues.first(id, Side::Sell));
            if let (Some(bid), Some(ask)) = (bid, ask) {
                let crossed = bid.0 >= ask.0 && instrument.call.is_none();
                ensure(!crossed, "2.6", || format!("in {id} {bid:?} meets {ask:?}"))?;
            }
        }
        Ok(())
    }

    /// 3.1, 4.2: the incoming order meets the first of the opposite queue, and takes from what that shows.
    fn meeting(&self, incoming: OrderId, resting: OrderId, price: Price, quantity: Quantity) -> Checked {
        ensure(self.owed.is_empty(), "1.10", || format!("told first has to be {:?}", self.owed))?;
        ensure(self.incoming == Some(incoming), "3.1", || format!("incoming is {:?}", self.incoming))?;
        let taker = &self.orders[&incoming];
        let (instrument, side) = book_of(taker);
        let phase = self.instrument(instrument)?.phase;
        ensure(matches_orders(phase), "7.1", || format!("the phase is {phase:?}"))?;
        ensure(!is_post_only(taker), "1.5", || "a post-only order takes".to_owned())?;
        let first = self.queues.first(instrument, side.opposite());
        let is_first = first.is_some_and(|(_, first)| first == resting);
        ensure(is_first, "3.1", || format!("the first of the queue is {first:?}"))?;
        let maker = &self.orders[&resting];
        ensure(price == maker.state.price, "3.2", || format!("the resting order's price is {:?}", maker.state.price))?;
        let rule = if taker.is_market() { "1.2" } else { "1.1" };
        let is_inside = self.instrument(instrument)?.is_inside_collar(price);
        ensure(is_inside, "6.3", || "it lies outside the collar".to_owned())?;
        ensure(is_within(side, price, taker.bound), rule, || format!("its worst price is {:?}", taker.bound))?;
        let shown = maker.state.shown;
        let most = if taker.funds.is_some() { shown } else { shown.min(taker.state.leaves) };
        let exact = quantity == most || (taker.funds.is_some() && quantity < most && !quantity.is_zero());
        ensure(exact, "1.10", || format!("the match would be of {most:?}"))
    }

    /// 1.10: a tip that is used up is followed by the next one, directly behind.
    fn owe_refresh(&mut self, id: OrderId) {
        let order = &self.orders[&id];
        if order.stand == Stand::Resting && order.state.shown.is_zero() && !order.state.leaves.is_zero() {
            self.owed.push_back(Owed::Refreshed(id));
        }
    }

    pub(super) fn trade(&mut self, event: &Trade) -> Checked {
        let (maker, taker) = (&event.maker, &event.taker);
        ensure(event.trade_id > self.last_trade, "3.4", || format!("the last trade was {}", self.last_trade))?;
        self.last_trade = event.trade_id;
        if event.aggressor.is_none() {
            return self.auction_trade(event);
        }
        self.open(maker.order_id, maker.report.account)?;
        self.open(taker.order_id, taker.report.account)?;
        self.meeting(taker.order_id, maker.order_id, event.price, event.quantity)?;
        let side = self.orders[&taker.order_id].state.side;
        ensure(event.aggressor == Some(side), "3.4", || format!("the incoming side is {side:?}"))?;
        self.ownership(event)?;
        for id in [maker.order_id, taker.order_id] {
            let order = self.orders.get_mut(&id).expect("looked at above");
            order.take(event.quantity);
            order.state.cumulative += event.quantity;
        }
        ensure(self.orders[&maker.order_id].state.instrument == event.instrument, "3.5", || {
            "the orders are another instrument's".to_owned()
        })?;
        self.settle(event)?;
        for side in [maker, taker] {
            self.side_holds(side)?;
        }
        if let Some(instrument) = self.instruments.get_mut(&event.instrument) {
            instrument.moves(event.price, false);
        }
        self.elect(event.instrument, event.price);
        self.owe_refresh(maker.order_id);
        for id in [maker.order_id, taker.order_id] {
            let order = &self.orders[&id];
            if order.funds.is_none() && order.state.leaves.is_zero() {
                self.end(id);
            }
        }
        Ok(())
    }

    /// 4.1, 4.2: who belongs together trades only where nothing prevents it, and the trade says so.
    fn ownership(&self, event: &Trade) -> Checked {
        let together = self.same_ownership(event)?;
        let mode = self.orders[&event.taker.order_id].mode;
        ensure(!together || mode == SelfTradePrevention::Allow, "4.2", || format!("the mode is {mode:?}"))
    }

    /// 4.1, 5.7: a trade says whether both sides belong together; whether they do.
    pub(super) fn same_ownership(&self, event: &Trade) -> Result<bool, Fault> {
        let together = self.belong_together(event.maker.report.account, event.taker.report.account);
        let expected = if together { SelfMatch::Yes } else { SelfMatch::No };
        ensure(event.self_match == expected, "4.1", || format!("both sides belong together: {together}"))?;
        Ok(together)
    }

    /// 3.4, 4.7: whether a side of a trade is told as its order is.
    pub(super) fn side_holds(&self, side: &TradeSide) -> Checked {
        let order = &self.orders[&side.order_id];
        let state = &order.state;
        let expected = TradeSide {
            report: side.report,
            order_id: state.order_id,
            client_order_id: state.client_order_id,
            side: state.side,
            order_price: state.price,
            order_quantity: state.quantity,
            leaves: state.leaves,
            cumulative: state.cumulative,
            prevented: state.prevented,
            fee: side.fee,
        };
        ensure(*side == expected, "3.4", || format!("the side is {expected:?}"))?;
        ensure(side.report.session == order.session, "10.2", || format!("the order's session is {}", order.session))
    }

    pub(super) fn match_prevented(&mut self, event: &MatchPrevented) -> Checked {
        let (resting, incoming) = (event.resting, event.incoming);
        self.open(resting, event.resting_account)?;
        self.open(incoming, event.incoming_account)?;
        self.meeting(incoming, resting, event.price, event.quantity)?;
        let together = self.belong_together(event.resting_account, event.incoming_account);
        ensure(together, "4.4", || "the accounts do not belong together".to_owned())?;
        let mode = self.orders[&incoming].mode;
        ensure(event.mode == mode, "4.3", || format!("the mode is {mode:?}"))?;
        match mode {
            SelfTradePrevention::Allow => ensure(false, "4.1", || "nothing prevents it".to_owned()),
            SelfTradePrevention::CancelIncoming => {
                self.owed.push_back(Owed::Cancelled(incoming));
                Ok(())
            }
            SelfTradePrevention::CancelResting => {
                self.owed.push_back(Owed::Cancelled(resting));
                Ok(())
            }
            SelfTradePrevention::CancelBoth => {
                self.owed.extend([Owed::Cancelled(resting), Owed::Cancelled(incoming)]);
                Ok(())
            }
            SelfTradePrevention::Decrement => self.decrement(event),
        }
    }

    /// 4.5, 4.7: both are reduced, the resting one first; no cumulative quantity, no fee.
    fn decrement(&mut self, event: &MatchPrevented) -> Checked {
        for id in [event.resting, event.incoming] {
            let order = self.orders.get_mut(&id).expect("looked at before");
            order.take(event.quantity);
            order.state.prevented += event.quantity;
        }
        self.owed.push_back(Owed::Reduced(event.resting));
        self.owe_refresh(event.resting);
        self.owed.push_back(Owed::Reduced(event.incoming));
        self.spend_prevented(event)
    }
}
