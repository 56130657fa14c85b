//! Rule 5: calls, what they would end in, and how they end.
//!
//! The price is found by trying every distinct limit, by the steps of 5.4 as they are written.

use engine::command::AdminNote;
use engine::event::{
    IndicativeChanged, OrderRestated, PhaseChanged, PriceBound, RestatementReason, SelfMatch, Trade, Uncrossed,
};
use engine::instrument::{Phase, PhaseCause};
use engine::*;

use super::entry::is_worse;
use super::matching::PastTrade;
use super::orders::{Order, State};
use super::phases::{CallKind, gathers, matches_orders};
use super::protection::outside;
use super::{Flaw, Model};

/// A pending call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    /// What was told last.
    told: Told,
    /// Whether it went on because it would have ended outside its band (5.11).
    has_gone_on: bool,
}

/// Price, volume and surplus as they are told.
pub type Told = (Price, Quantity, Option<Side>, Quantity);

impl Call {
    pub(super) fn new(kind: CallKind) -> Self {
        Self { kind, told: Outcome::NONE.told(), has_gone_on: false }
    }
}

/// How an auction would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Absent if nothing trades.
    pub price: Price,
    /// What trades, in lots.
    pub volume: u128,
    /// What is left of buys, less what is left of sells, that could trade at the price.
    pub surplus: i128,
}

impl Outcome {
    const NONE: Self = Self { price: Price::ABSENT, volume: 0, surplus: 0 };

    /// 5.5: what is beyond 64 bits is told as the largest number of lots.
    fn told(&self) -> Told {
        let side = match self.surplus {
            0 => None,
            surplus if surplus > 0 => Some(Side::Buy),
            _ => Some(Side::Sell),
        };
        (self.price, told_lots(self.volume), side, told_lots(self.surplus.unsigned_abs()))
    }
}

fn told_lots(lots: u128) -> Quantity {
    const MOST: u64 = u64::MAX - 2;
    Quantity(u64::try_from(lots).unwrap_or(MOST).min(MOST))
}

/// Whom rule 5.3 counts: a price, absent for a market order, and all that is open.
type Interest = (Side, Price, u64);

/// 5.3: V and X at a price.
fn at_price(book: &[Interest], price: Price) -> (u128, i128) {
    let counts = |limit: Price, side: Side| limit.is_absent() || !is_worse(side, price, limit);
    let of_side = |side: Side| book.iter().filter(move |it| it.0 == side && counts(it.1, side));
    let [demand, supply] = Side::BOTH.map(|side| of_side(side).map(|it| u128::from(it.2)).sum::<u128>());
    let signed = |lots: u128| i128::try_from(lots).expect("lots within 127 bits");
    (demand.min(supply), signed(demand) - signed(supply))
}

/// 5.4, step by step.
pub fn auction(book: &[(Side, Price, u64)], reference: Price) -> Outcome {
    let mut limits: Vec<Price> = book.iter().map(|it| it.1).filter(|price| !price.is_absent()).collect();
    limits.sort_unstable();
    limits.dedup();
    let price = if limits.is_empty() { reference } else { price_of(book, &limits, reference) };
    if price.is_absent() {
        return Outcome::NONE;
    }
    let (volume, surplus) = at_price(book, price);
    if volume == 0 { Outcome::NONE } else { Outcome { price, volume, surplus } }
}

/// Steps 1 to 4; `limits` are sorted, and at least one.
fn price_of(book: &[Interest], limits: &[Price], reference: Price) -> Price {
    let volume = |price: &Price| at_price(book, *price).0;
    let surplus = |price: &Price| at_price(book, *price).1;
    // 1. The largest V.
    let largest = limits.iter().map(volume).max().expect("a limit");
    let mut left: Vec<Price> = limits.iter().copied().filter(|price| volume(price) == largest).collect();
    // 2. Of these the smallest |X|.
    let smallest = left.iter().map(|price| surplus(price).abs()).min().expect("a limit");
    left.retain(|price| surplus(price).abs() == smallest);
    let (lowest, highest) = (left[0], left[left.len() - 1]);
    // 3. At all of these X > 0: the highest; X < 0: the lowest.
    if left.iter().all(|price| surplus(price) > 0) {
        return highest;
    }
    if left.iter().all(|price| surplus(price) < 0) {
        return lowest;
    }
    // 4. The reference price, moved into the range.
    let bought = left.iter().copied().filter(|price| surplus(price) > 0).max();
    let sold = left.iter().copied().filter(|price| surplus(price) < 0).min();
    let (from, to) = (bought.unwrap_or(lowest), sold.unwrap_or(highest));
    if reference.is_absent() { from } else { reference.clamp(from, to) }
}

impl Model {
    /// Whether a call is pending, in whatever phase.
    pub(super) fn is_in_call(&self, instrument: InstrumentId) -> bool {
        self.instruments[&instrument].call.is_some()
    }

    /// Whether AtTheClose orders take part.
    pub(super) fn is_in_closing_call(&self, instrument: InstrumentId) -> bool {
        self.instruments[&instrument].call.as_ref().is_some_and(|call| call.kind == CallKind::Closing)
    }

    /// Lets an order stand where it is (5.2).
    pub(super) fn stand(&mut self, id: OrderId) {
        let order = self.order_mut(id);
        order.state = State::Resting;
        order.shown = order.tip();
    }

    /// What a pending call would end in now.
    pub fn indicative(&self, instrument: InstrumentId) -> Outcome {
        let standing = self.orders.iter().filter(|it| it.state == State::Resting && it.instrument == instrument);
        let book: Vec<Interest> = standing.map(|order| (order.side, order.price, order.leaves)).collect();
        let reference = self.instruments[&instrument].reference;
        let only_market = book.iter().all(|it| it.1.is_absent());
        let passed_over = self.flaw == Flaw::ReferencePassedOver && !only_market;
        auction(&book, if passed_over { Price::ABSENT } else { reference })
    }

    /// What is told of a pending call now: price, volume, side and quantity of the surplus.
    pub fn told_of_call(&self, instrument: InstrumentId) -> Option<Told> {
        self.is_in_call(instrument).then(|| self.indicative(instrument).told())
    }

    /// 5.5: once for a command, behind all its other events, by instrument.
    pub(super) fn tell_indicatives(&mut self) {
        let ids: Vec<InstrumentId> = self.instruments.keys().copied().collect();
        for id in ids {
            let now = self.indicative(id).told();
            let Some(call) = &mut self.instruments.get_mut(&id).expect("a listed instrument").call else { continue };
            if call.told == now {
                continue;
            }
            call.told = now;
            let (price, volume, surplus_side, surplus) = now;
            self.emit(IndicativeChanged { instrument: id, price, volume, surplus_side, surplus });
        }
    }

    /// 7.5: a change of phase, an auction before it and what it elects behind it.
    pub(super) fn change_phase(&mut self, id: InstrumentId, to: Phase, cause: PhaseCause, note: AdminNote) {
        let instrument = self.instruments.get_mut(&id).expect("a listed instrument");
        instrument.call_end = None;
        let mut auction_price = Price::ABSENT;
        if self.ends_auction(id, to) {
            let outcome = self.indicative(id);
            if self.stays_in_call(id, to, outcome, note) {
                return;
            }
            self.uncross(id, outcome);
            auction_price = outcome.price;
        }
        let instrument = self.instruments.get_mut(&id).expect("a listed instrument");
        let from = instrument.phase;
        instrument.phase = to;
        instrument.enter_call(to, CallKind::Volatility);
        let author = self.turn.header.author;
        self.emit(PhaseChanged { instrument: id, from, to, cause, author, note });
        if self.is_in_closing_call(id) {
            self.join_close(id);
        }
        if matches_orders(to) && !auction_price.is_absent() {
            self.elect(id, auction_price);
        }
    }

    /// 5.6: whether entering a phase ends the pending call's auction.
    fn ends_auction(&self, id: InstrumentId, to: Phase) -> bool {
        let instrument = &self.instruments[&id];
        let Some(call) = &instrument.call else { return false };
        match to {
            Phase::Continuous | Phase::PostOnly | Phase::LimitOnly => true,
            Phase::Closed => {
                let closes = call.kind == CallKind::Closing;
                instrument.phase == Phase::ClosingCall || (instrument.phase == Phase::NoCancel && closes)
            }
            _ => false,
        }
    }

    /// 5.11: whether the auction may not end at its price; then the call goes on, or is halted.
    fn stays_in_call(&mut self, id: InstrumentId, wanted: Phase, outcome: Outcome, note: AdminNote) -> bool {
        let instrument = &self.instruments[&id];
        let breach = match outcome.price {
            Price::ABSENT => None,
            price => outside(instrument.protection.auction, instrument.reference, price),
        };
        let Some(breach) = breach else { return false };
        self.tell_breach(id, OrderId::NONE, PriceBound::AuctionBand, breach);
        let end = self.call_end(id);
        let instrument = self.instruments.get_mut(&id).expect("a listed instrument");
        let call = instrument.call.as_mut().expect("a pending call");
        let goes_on = !call.has_gone_on && instrument.protection.call_duration != Nanoseconds::NONE;
        let from = instrument.phase;
        let to = if goes_on { call.kind.phase() } else { Phase::Halted };
        call.has_gone_on = goes_on;
        instrument.phase = to;
        instrument.call_end = end.filter(|_| goes_on).map(|at| (at, wanted));
        let author = self.turn.header.author;
        self.emit(PhaseChanged { instrument: id, from, to, cause: PhaseCause::AuctionBand, author, note });
        true
    }

    /// 5.6: the trades, then what is left of whom (5.9).
    fn uncross(&mut self, id: InstrumentId, outcome: Outcome) {
        let (price, volume, surplus_side, surplus) = outcome.told();
        let phase = self.instruments[&id].phase;
        self.emit(Uncrossed { instrument: id, phase, price, volume, surplus_side, surplus });
        self.trade_at(id, outcome);
        self.instruments.get_mut(&id).expect("a listed instrument").call = None;
        let ended = [
            (TimeInForce::AtTheOpening, CancelReason::OpeningRemainder),
            (TimeInForce::AtTheClose, CancelReason::ClosingRemainder),
        ];
        for (time_in_force, reason) in ended {
            self.end_remainders(id, reason, |order| order.time_in_force == time_in_force);
        }
        self.end_remainders(id, CancelReason::AuctionRemainder, |order| order.order_type == OrderType::Market);
    }

    /// 5.9: of those that took part, oldest acceptance first.
    fn end_remainders(&mut self, id: InstrumentId, reason: CancelReason, ends: impl Fn(&Order) -> bool) {
        let took_part = self.orders.iter().filter(|order| order.instrument == id && order.state == State::Resting);
        let victims: Vec<OrderId> = took_part.filter(|order| ends(order)).map(|order| order.id).collect();
        for victim in victims {
            self.cancel(victim, reason, ClientOrderId::NONE);
        }
    }

    /// 5.6: market orders by time, then better limits, then time.
    fn auction_queue(&self, id: InstrumentId, side: Side) -> Vec<OrderId> {
        let standing = self.orders.iter().filter(|it| it.state == State::Resting && it.instrument == id);
        let mut queue: Vec<&Order> = standing.filter(|order| order.side == side).collect();
        queue.sort_by_key(|order| match order.order_type {
            OrderType::Market if self.flaw == Flaw::MarketOrdersLast => (2, (0, order.place)),
            OrderType::Market => (0, (0, order.place)),
            _ => (1, self.priority(order)),
        });
        queue.into_iter().map(|order| order.id).collect()
    }

    fn trade_at(&mut self, id: InstrumentId, outcome: Outcome) {
        if outcome.volume == 0 {
            return;
        }
        let mut buys = self.auction_queue(id, Side::Buy);
        let mut sells = self.auction_queue(id, Side::Sell);
        let (mut last_buy, mut last_sell) = (buys[0], sells[0]);
        let mut left = outcome.volume;
        while left > 0 {
            (last_buy, last_sell) = (buys[0], sells[0]);
            let most = self.order(last_buy).leaves.min(self.order(last_sell).leaves);
            let quantity = u64::try_from(left).unwrap_or(u64::MAX).min(most);
            self.auction_trade(last_buy, last_sell, outcome.price, quantity);
            left -= u128::from(quantity);
            for queue in [&mut buys, &mut sells] {
                if !self.orders.iter().any(|order| order.id == queue[0]) {
                    queue.remove(0);
                }
            }
        }
        let instrument = self.instruments.get_mut(&id).expect("a listed instrument");
        instrument.auctioned = outcome.price;
        // 5.8: the next tips, behind the last trade.
        self.refresh_tip(last_buy);
        self.refresh_tip(last_sell);
    }

    /// 5.6, 5.7: no aggressor; the buy is the maker; both pay the taker rate; nobody is kept from himself.
    fn auction_trade(&mut self, buy: OrderId, sell: OrderId, price: Price, quantity: u64) {
        let (buyer, seller) = (self.order(buy).clone(), self.order(sell).clone());
        let instrument = buyer.instrument;
        let notional = self.notional(instrument, price, quantity);
        let mut fees = [0, 0];
        for (order, fee) in [&buyer, &seller].into_iter().zip(&mut fees) {
            *fee = self.fee(instrument, order.rates.taker, order.taker, notional);
            let order = self.order_mut(order.id);
            order.leaves -= quantity;
            order.cumulative += quantity;
            order.shown = order.shown.saturating_sub(quantity);
            order.taker.notional += notional;
            order.taker.charged += *fee;
        }
        let [buy_fee, sell_fee] = fees;
        self.settle(instrument, (buyer.account, buy_fee), (seller.account, sell_fee), notional, quantity);
        self.trades += 1;
        let together = self.belong_together(buyer.account, seller.account);
        let trade = Trade {
            instrument,
            trade_id: TradeId(self.trades),
            price,
            quantity: Quantity(quantity),
            aggressor: None,
            self_match: if together { SelfMatch::Yes } else { SelfMatch::No },
            maker: self.trade_side(buy, buy_fee),
            taker: self.trade_side(sell, sell_fee),
        };
        self.emit(trade);
        self.keep_trade(PastTrade { trade, is_busted: false });
        self.instruments.get_mut(&instrument).expect("a listed instrument").traded = price;
        for id in [buy, sell] {
            if self.order(id).leaves == 0 {
                self.end(id, OrderStatus::Filled);
            }
        }
    }

    /// 5.10: waiting AtTheClose orders join, in the order in which they came to wait.
    fn join_close(&mut self, instrument: InstrumentId) {
        for order in self.waiting_for_close(instrument) {
            let is_market = order.order_type == OrderType::Market;
            if is_market && self.hold_at_worst(order.id).is_err() {
                self.cancel(order.id, CancelReason::InsufficientFunds, ClientOrderId::NONE);
                continue;
            }
            let place = self.next_place();
            self.order_mut(order.id).place = place;
            self.stand(order.id);
            self.restate(order.id, RestatementReason::JoinedCall);
        }
    }

    pub(super) fn restate(&mut self, id: OrderId, reason: RestatementReason) {
        let order = self.order(id).clone();
        let report = self.report(order.account, order.session);
        self.emit(OrderRestated { report, order: order.told(), display_quantity: order.display, reason });
    }

    /// 5.12, 6.4: when a call that begins or goes on now ends by itself; none if it does not.
    pub(super) fn call_end(&self, instrument: InstrumentId) -> Option<Timestamp> {
        let protection = self.instruments[&instrument].protection;
        if protection.call_duration == Nanoseconds::NONE {
            return None;
        }
        let now = self.now();
        let delay = self.random_delay(1, instrument, 0, now, protection.call_random_end);
        let end = now.after(protection.call_duration).after(delay);
        (end != Timestamp::NEVER).then_some(end)
    }

    /// 5.12: a part of the longest delay that follows from the seed.
    pub(super) fn random_delay(
        &self,
        kind: u8,
        instrument: InstrumentId,
        entry: u16,
        time: Timestamp,
        longest: Nanoseconds,
    ) -> Nanoseconds {
        let mut bytes = vec![kind];
        bytes.extend(instrument.0.to_le_bytes());
        bytes.extend(entry.to_le_bytes());
        bytes.extend(time.0.to_le_bytes());
        let hash = blake3::keyed_hash(&self.seed, &bytes);
        let first = hash.as_bytes()[..8].try_into().expect("eight bytes");
        let delay = (u128::from(u64::from_le_bytes(first)) * (u128::from(longest.0) + 1)) >> 64;
        Nanoseconds(u64::try_from(delay).expect("at most the longest"))
    }
}

impl super::Instrument {
    /// 5.1: what entering a phase makes of its call; `otherwise` is what NoCancel begins.
    pub(super) fn enter_call(&mut self, to: Phase, otherwise: CallKind) {
        match (&mut self.call, CallKind::of(to)) {
            (Some(call), Some(kind)) => {
                call.kind = kind;
                // 5.11: whether it went on is counted anew.
                call.has_gone_on = false;
            }
            (None, Some(kind)) => self.call = Some(Call::new(kind)),
            (None, None) if gathers(to) => self.call = Some(Call::new(otherwise)),
            (_, None) => {}
        }
    }
}
