//! Auctions (rule 5): the price at which most of what a call has gathered trades, and the trades.
//!
//! ```text
//!   every change of a pending call ─► end of the command: IndicativeChanged, if price, volume or surplus are others
//!   the call ends ─► Uncrossed ─► trades, pair by pair ─► what may not stay ends ─► PhaseChanged ─► stops
//! ```

use core::cmp::Reverse;

use crate::book::Orders;
use crate::book::arena::{Order, Place, Slot};
use crate::book::curve::{Curve, Nodes, Point, Sums, told};
use crate::engine::Engine;
use crate::event::{EventSink, IndicativeChanged, Requester, RestatementReason, Uncrossed};
use crate::fees::LiquidityRole;
use crate::market::{ListingStatus, Market};
use crate::order::{OrderStatus, OrderType, Side, TimeInForce};
use crate::phases::{Entry, rules};
use crate::reject::CancelReason;
use crate::risk::{Exposure, held_asset};
use crate::turn::Turn;
use crate::{Amount, ClientOrderId, InstrumentId, Price, Quantity};

/// How an auction would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indicative {
    /// The auction price; absent if nothing crosses.
    pub price: Price,
    /// What would trade.
    pub volume: Quantity,
    /// The side with more; absent if none has.
    pub surplus_side: Option<Side>,
    /// How much more.
    pub surplus: Quantity,
}

impl Indicative {
    /// Nothing crosses.
    pub const NONE: Self =
        Self { price: Price::ABSENT, volume: Quantity::ZERO, surplus_side: None, surplus: Quantity::ZERO };
}

/// The price of an auction, and what both sides have there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) price: Price,
    reached: Sums,
}

impl Outcome {
    fn volume(&self) -> u128 {
        self.reached.buys.min(self.reached.sells)
    }

    fn told(&self) -> Indicative {
        let Sums { buys, sells } = self.reached;
        let surplus_side = match buys.cmp(&sells) {
            core::cmp::Ordering::Greater => Some(Side::Buy),
            core::cmp::Ordering::Equal => None,
            core::cmp::Ordering::Less => Some(Side::Sell),
        };
        let (volume, surplus) = (told(self.volume()), told(buys.abs_diff(sells)));
        Indicative { price: self.price, volume, surplus_side, surplus }
    }
}

/// The auction price (rule 5.4) and what both sides have there; nothing where nothing trades.
fn outcome(curve: &Curve, nodes: &Nodes, reference: Price) -> Option<Outcome> {
    let at = |point: Point| Outcome { price: point.limit, reached: point.reached };
    let outcome = match curve.crossing(nodes) {
        (None, None) => Outcome { price: reference, reached: curve.market() },
        (None, Some(sold)) => at(sold),
        (Some(bought), None) => balanced(curve, nodes, &bought, reference),
        (Some(bought), Some(sold)) => {
            let rank = |point: &Point| (point.volume(), Reverse(point.surplus()));
            match rank(&bought).cmp(&rank(&sold)) {
                core::cmp::Ordering::Greater => balanced(curve, nodes, &bought, reference),
                core::cmp::Ordering::Less => at(sold),
                core::cmp::Ordering::Equal => between(&bought, &sold, reference),
            }
        }
    };
    (outcome.volume() > 0 && !outcome.price.is_absent()).then_some(outcome)
}

/// The price at the highest limit with D ≥ S, or, with both equal there and at the limit below, in between.
fn balanced(curve: &Curve, nodes: &Nodes, bought: &Point, reference: Price) -> Outcome {
    let below = (bought.surplus() == 0).then(|| curve.below(nodes, bought)).flatten();
    let lowest = below.filter(|point| point.reached == bought.reached).map_or(bought.limit, |point| point.limit);
    Outcome { price: into(lowest, bought.limit, reference), reached: bought.reached }
}

/// The price between two neighbouring limits that are equally good, with more buys at the lower and more sells at the
/// higher.
fn between(bought: &Point, sold: &Point, reference: Price) -> Outcome {
    let price = into(bought.limit, sold.limit, reference);
    let reached = match price {
        price if price == bought.limit => bought.reached,
        price if price == sold.limit => sold.reached,
        _ => Sums { buys: sold.reached.buys, sells: bought.reached.sells },
    };
    Outcome { price, reached }
}

/// The reference price moved into a range; without one, the range's lower end.
fn into(lowest: Price, highest: Price, reference: Price) -> Price {
    if reference.is_absent() { lowest } else { reference.clamp(lowest, highest) }
}

impl Market {
    /// How a pending call would end now.
    fn outcome(&self, orders: &Orders) -> Option<Outcome> {
        let (curve, nodes) = self.book.call(orders)?;
        outcome(curve, nodes, self.reference)
    }

    /// Whether what was told of a pending call is true, and a call is pending where orders gather, and none where they
    /// match.
    pub(crate) fn is_told(&self, orders: &Orders) -> bool {
        let told = self.call.is_none_or(|call| call.told == self.indicative(orders));
        let gathered = self.call.is_some() == self.book.call(orders).is_some();
        let fits = match rules(self.phase).entry {
            Entry::Call => self.call.is_some() || self.status == ListingStatus::Delisted,
            Entry::All | Entry::PostOnly | Entry::LimitOnly => self.call.is_none(),
            Entry::None => true,
        };
        told && gathered && fits
    }

    /// As [`Market::outcome`], as it is told.
    pub(crate) fn indicative(&self, orders: &Orders) -> Indicative {
        self.outcome(orders).map_or(Indicative::NONE, |outcome| outcome.told())
    }
}

impl Engine {
    /// How an instrument's pending call would end now.
    pub(crate) fn outcome(&self, instrument: InstrumentId) -> Option<Outcome> {
        self.market(instrument).outcome(&self.orders)
    }

    /// Tells the indicative prices that the command has changed, by instrument.
    pub(crate) fn tell_indicatives<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        self.note_indicatives(|instrument, now| {
            let Indicative { price, volume, surplus_side, surplus } = now;
            turn.emit(IndicativeChanged { instrument, price, volume, surplus_side, surplus });
        });
    }

    /// Looks at the calls that have changed; `tell` is given what is to be told.
    pub(crate) fn note_indicatives(&mut self, mut tell: impl FnMut(InstrumentId, Indicative)) {
        self.orders.stirred.sort_unstable();
        for at in 0..self.orders.stirred.len() {
            let instrument = self.orders.stirred[at];
            let market = self.markets.get_mut(instrument.0).expect("a call's instrument is listed");
            market.book.settle();
            let now = market.indicative(&self.orders);
            let Some(call) = market.call.as_mut().filter(|call| call.told != now) else { continue };
            call.told = now;
            tell(instrument, now);
        }
        self.orders.stirred.clear();
    }

    /// Ends a pending call: what crosses trades at one price, and what may not stay ends.
    pub(crate) fn uncross<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        instrument: InstrumentId,
        outcome: Option<Outcome>,
    ) {
        let market = self.markets.get_mut(instrument.0).expect("a call's instrument is listed");
        market.book.end_call(&mut self.orders);
        market.call = None;
        let Indicative { price, volume, surplus_side, surplus } =
            outcome.map_or(Indicative::NONE, |outcome| outcome.told());
        turn.emit(Uncrossed { instrument, phase: market.phase, price, volume, surplus_side, surplus });
        if let Some(outcome) = outcome {
            self.trade_at(turn, instrument, &outcome);
        }
        self.end_remainders(turn, instrument);
    }

    /// Trades an auction's volume, pair by pair, each side in its priority.
    fn trade_at<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId, outcome: &Outcome) {
        let price = outcome.price;
        let (mut left, mut pair) = (outcome.volume(), None);
        while left > 0 {
            let [buy, sell] = Side::BOTH.map(|side| self.next_in_auction(instrument, side));
            let [open_buy, open_sell] = [buy, sell].map(|slot| self.orders.arena[slot].leaves);
            let quantity = told(left).min(open_buy).min(open_sell);
            left -= u128::from(quantity.0);
            pair = Some([buy, sell].map(|slot| self.orders.arena[slot].id));
            self.cross(turn, [buy, sell], price, quantity);
        }
        let market = self.market_mut(instrument);
        market.next_reference = price;
        for id in pair.into_iter().flatten() {
            if let Some(slot) = self.orders.arena.find(id) {
                self.refresh(turn, slot);
            }
        }
    }

    /// The order of a side that trades next in an auction.
    fn next_in_auction(&self, instrument: InstrumentId, side: Side) -> Slot {
        let book = &self.market(instrument).book;
        book.next_market(side).or_else(|| book.best(&self.orders, side)).expect("both sides have the volume")
    }

    /// Trades a quantity between a buy and a sell at the auction price.
    fn cross<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, pair: [Slot; 2], price: Price, quantity: Quantity) {
        let fees = pair.map(|slot| self.fill(slot, LiquidityRole::Taker, price, quantity));
        self.print(turn, pair, fees, price, quantity, None);
        for slot in pair {
            if self.orders.arena[slot].leaves.is_zero() {
                self.end_order(slot, OrderStatus::Filled);
            }
        }
    }

    /// Ends what does not stay behind an auction: orders for the opening, for the close, and market orders.
    fn end_remainders<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId) {
        self.victims.clear();
        let market = self.markets.get(instrument.0).expect("the instrument was checked");
        let arena = &self.orders.arena;
        self.victims.extend(market.book.gathered(&self.orders).filter(|&slot| remainder(&arena[slot]).is_some()));
        self.victims.sort_unstable_by_key(|&slot| (remainder(&arena[slot]), arena.details(slot).accepted));
        for at in 0..self.victims.len() {
            let slot = self.victims[at];
            if let Some(reason) = remainder(&self.orders.arena[slot]) {
                self.cancel(turn, slot, reason, Requester::NOBODY, ClientOrderId::NONE);
            }
        }
    }

    /// Lets what waited for the close join its call, longest first.
    pub(crate) fn join_close<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId) {
        while let Some(slot) = self.market(instrument).book.next_waiting() {
            self.displace(slot);
            match self.joins(slot) {
                Err(reason) => self.cancel(turn, slot, reason, Requester::NOBODY, ClientOrderId::NONE),
                Ok(place) => {
                    if place == Place::Book {
                        self.orders.arena.show(slot);
                    }
                    self.place(slot, place);
                    self.restate(turn, slot, RestatementReason::JoinedCall);
                }
            }
        }
    }

    /// Where an order joins a call, or why it does not.
    fn joins(&mut self, slot: Slot) -> Result<Place, CancelReason> {
        let Order { order_type, instrument, side, limit, .. } = self.orders.arena[slot];
        if order_type == OrderType::Market {
            return self.hold_anew(slot).map(|()| Place::Market);
        }
        let has_room = self.market(instrument).book.has_room(&self.orders, Place::Book, side, limit);
        if has_room { Ok(Place::Book) } else { Err(CancelReason::CapacityFull) }
    }

    /// Lets the market orders of a pending call hold at the worst price of now; those whose account does not cover it end.
    pub(crate) fn hold_market_orders_anew<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId) {
        self.victims.clear();
        let market = self.markets.get(instrument.0).expect("the instrument was checked");
        let [buys, sells] = Side::BOTH.map(|side| market.book.market_orders(&self.orders, side));
        self.victims.extend(buys.chain(sells));
        for at in 0..self.victims.len() {
            let slot = self.victims[at];
            if let Err(reason) = self.hold_anew(slot) {
                self.cancel(turn, slot, reason, Requester::NOBODY, ClientOrderId::NONE);
            }
        }
    }

    /// Gives a market order in a call the worst price of now, and what that needs to be held.
    fn hold_anew(&mut self, slot: Slot) -> Result<(), CancelReason> {
        let Order { account, instrument, side, leaves, .. } = self.orders.arena[slot];
        let market = self.market(instrument);
        let limit = market.worst_in_auction(side);
        if market.settles() && side == Side::Buy {
            let worth = market.notional(limit, leaves).filter(|&worth| worth <= Amount::MAX.0);
            worth.ok_or(CancelReason::InsufficientFunds)?;
            let before = Exposure::of(&self.orders.arena, slot);
            let after = Exposure { limit, ..before };
            let (asset, before, after) = (held_asset(market, side), before.hold(market), after.hold(market));
            let changed = self.ledger.change_hold(account, asset, before, after);
            changed.map_err(|_| CancelReason::InsufficientFunds)?;
        }
        self.orders.arena[slot].limit = limit;
        Ok(())
    }
}

/// Why what an auction left of an order ends, in the order in which these end; `None` if it stays.
fn remainder(order: &Order) -> Option<CancelReason> {
    match (order.time_in_force, order.order_type) {
        (TimeInForce::AtTheOpening, _) => Some(CancelReason::OpeningRemainder),
        (TimeInForce::AtTheClose, _) => Some(CancelReason::ClosingRemainder),
        (_, OrderType::Market) => Some(CancelReason::AuctionRemainder),
        _ => None,
    }
}
