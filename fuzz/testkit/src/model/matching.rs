//! Rules 3 and 4: what an incoming order meets, first as a plan that changes nothing, then carried out.
//!
//! One plan serves what an order does and what FillOrKill and a minimum quantity count (4.6).

use engine::event::{MatchPrevented, RestatementReason, SelfMatch, Trade, TradeSide};
use engine::*;

use super::Model;
use super::entry::is_worse;
use super::orders::{Order, State};
use super::protection::Breach;

/// One meeting of the incoming order with a resting one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    pub(super) resting: OrderId,
    pub(super) price: Price,
    pub(super) quantity: u64,
    pub(super) is_prevented: bool,
}

/// How the incoming order's match ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The last trade filled it.
    Filled,
    /// Prevention took the last of it.
    Gone,
    /// Self-trade prevention ends it.
    Prevented,
    /// Its funds pay for no lot more.
    FundsSpent,
    /// There is no opposite order any more.
    Empty,
    /// The next opposite order, at this price, is beyond its worst price.
    Beyond(Price),
    /// The next match lies outside the collar (6.3).
    Collared(Breach),
}

/// All that an incoming order does.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) deeds: Vec<Deed>,
    pub(super) end: End,
}

/// A trade that can still be busted (8.17).
#[derive(Debug, Clone)]
pub(super) struct PastTrade {
    pub(super) trade: Trade,
    pub(super) is_busted: bool,
}

impl Plan {
    /// What it trades, in lots.
    pub(super) fn traded(&self) -> u128 {
        self.deeds.iter().filter(|deed| !deed.is_prevented).map(|deed| u128::from(deed.quantity)).sum()
    }
}

impl Model {
    /// Whether the order would meet anything at once (1.5).
    pub(super) fn would_take(&self, order: &Order) -> bool {
        let opposite = self.book(order.instrument, order.side.opposite());
        opposite.first().is_some_and(|best| !order.bound.is_absent() && !is_worse(order.side, best.price, order.bound))
    }

    /// What the order would do as the incoming one.
    pub(super) fn plan(&self, order: &Order) -> Plan {
        let mut incoming = order.clone();
        let mut queue = self.book(order.instrument, order.side.opposite());
        let mut deeds = Vec::new();
        let mut back = u64::MAX / 2;
        let end = loop {
            if incoming.is_by_funds() && incoming.funds == Amount::ZERO {
                break End::FundsSpent;
            }
            let Some(best) = queue.first_mut() else { break End::Empty };
            if order.bound.is_absent() || is_worse(order.side, best.price, order.bound) {
                break End::Beyond(best.price);
            }
            if let Some(breach) = self.collar_breach(order.instrument, best.price) {
                break End::Collared(breach);
            }
            let is_prevented =
                self.belong_together(order.account, best.account) && order.mode != SelfTradePrevention::Allow;
            let costs_fee = !(is_prevented && order.mode == SelfTradePrevention::Decrement);
            let left = self.left_at(&incoming, best.price, costs_fee);
            if left == 0 {
                break End::FundsSpent;
            }
            let quantity = left.min(best.shown);
            deeds.push(Deed { resting: best.id, price: best.price, quantity, is_prevented });
            if is_prevented {
                match order.mode {
                    SelfTradePrevention::Allow | SelfTradePrevention::Decrement => {}
                    SelfTradePrevention::CancelIncoming | SelfTradePrevention::CancelBoth => break End::Prevented,
                    SelfTradePrevention::CancelResting => {
                        queue.remove(0);
                        continue;
                    }
                }
            }
            self.spend(&mut incoming, best.price, quantity, is_prevented);
            best.take_shown(quantity);
            if best.leaves == 0 {
                queue.remove(0);
            } else if best.shown == 0 {
                best.shown = best.tip();
                back += 1;
                best.place = back;
                queue.sort_by_key(|order| self.priority(order));
            }
            if !incoming.is_by_funds() && incoming.leaves == 0 {
                break if is_prevented { End::Gone } else { End::Filled };
            }
        };
        Plan { deeds, end }
    }

    /// What the incoming order may still take at a price: its leaves, or the lots that its funds pay for, fee included
    /// unless there is none (4.8).
    fn left_at(&self, incoming: &Order, price: Price, costs_fee: bool) -> u64 {
        if !incoming.is_by_funds() {
            return incoming.leaves;
        }
        let pays_for = |lots: u64| {
            let notional = self.notional(incoming.instrument, price, lots);
            let fee = match costs_fee {
                true => self.fee(incoming.instrument, incoming.rates.taker, incoming.taker, notional),
                false => 0,
            };
            i128::try_from(notional)
                .is_ok_and(|notional| notional + fee <= i128::try_from(incoming.funds.0).unwrap_or(i128::MAX))
        };
        let (mut most, mut too_many) = (0, Quantity::MAX.0 + 1);
        while most + 1 < too_many {
            let middle = most + (too_many - most) / 2;
            if pays_for(middle) { most = middle } else { too_many = middle }
        }
        most
    }

    /// Takes a match from the incoming order: quantity or funds (1.13, 4.8).
    fn spend(&self, incoming: &mut Order, price: Price, quantity: u64, is_prevented: bool) {
        let notional = self.notional(incoming.instrument, price, quantity);
        let mut cost = i128::try_from(notional).expect("a notional within bounds");
        if is_prevented {
            incoming.prevented += quantity;
        } else {
            let fee = self.fee(incoming.instrument, incoming.rates.taker, incoming.taker, notional);
            incoming.cumulative += quantity;
            incoming.taker.notional += notional;
            incoming.taker.charged += fee;
            cost += fee;
        }
        if incoming.is_by_funds() {
            let funds = i128::try_from(incoming.funds.0).expect("funds within bounds");
            incoming.funds = Amount(u128::try_from(funds - cost).expect("funds cover what they pay for"));
        } else {
            incoming.leaves -= quantity;
            incoming.shown = incoming.tip();
        }
    }

    /// Rule 4: the same account, or the same group that is not none.
    pub(super) fn belong_together(&self, one: AccountId, other: AccountId) -> bool {
        let group = |account| self.accounts[&account].stp_group;
        one == other || (!group(one).is_none() && group(one) == group(other))
    }

    /// Does what was planned, and tells it.
    pub(super) fn carry_out_plan(&mut self, incoming: OrderId, plan: &Plan) {
        for deed in &plan.deeds {
            if deed.is_prevented {
                self.prevent(incoming, deed);
            } else {
                self.trade(incoming, deed);
            }
        }
    }

    /// Rule 4's table.
    fn prevent(&mut self, incoming: OrderId, deed: &Deed) {
        let (taker, maker) = (self.order(incoming).clone(), self.order(deed.resting).clone());
        self.emit(MatchPrevented {
            instrument: taker.instrument,
            price: deed.price,
            quantity: Quantity(deed.quantity),
            mode: taker.mode,
            resting: maker.id,
            resting_account: maker.account,
            incoming,
            incoming_account: taker.account,
        });
        match taker.mode {
            SelfTradePrevention::Allow | SelfTradePrevention::CancelIncoming => {}
            SelfTradePrevention::CancelResting | SelfTradePrevention::CancelBoth => {
                self.cancel(maker.id, CancelReason::SelfTradePrevention, ClientOrderId::NONE);
            }
            SelfTradePrevention::Decrement => {
                let resting = self.order_mut(maker.id);
                resting.prevented += deed.quantity;
                resting.take_shown(deed.quantity);
                self.tell_prevented(maker.id);
                self.refresh_tip(maker.id);
                let mut spent = taker;
                self.spend(&mut spent, deed.price, deed.quantity, true);
                *self.order_mut(incoming) = spent;
                self.tell_prevented(incoming);
            }
        }
    }

    /// An order that `dc` reduced: restated, or, with nothing left, cancelled with nothing cancelled.
    fn tell_prevented(&mut self, id: OrderId) {
        let order = self.order(id).clone();
        if order.leaves == 0 && !order.is_by_funds() {
            self.cancel(id, CancelReason::SelfTradePrevention, ClientOrderId::NONE);
        } else {
            self.restate(id, RestatementReason::Prevented);
        }
    }

    /// 1.10: the next tip goes to the back of its level.
    pub(super) fn refresh_tip(&mut self, id: OrderId) {
        let Some(order) = self.orders.iter().find(|order| order.id == id) else { return };
        if order.state != State::Resting || order.shown > 0 || order.tip() == 0 {
            return;
        }
        let place = self.next_place();
        let order = self.order_mut(id);
        order.shown = order.tip();
        order.place = place;
        self.restate(id, RestatementReason::DisplayRefreshed);
    }

    /// 3.2, 3.4: one trade, at the resting order's price, the resting side numbered first.
    fn trade(&mut self, incoming: OrderId, deed: &Deed) {
        let (taker, maker) = (self.order(incoming).clone(), self.order(deed.resting).clone());
        let instrument = taker.instrument;
        let notional = self.notional(instrument, deed.price, deed.quantity);
        let maker_fee = self.fee(instrument, maker.rates.maker, maker.maker, notional);
        let taker_fee = self.fee(instrument, taker.rates.taker, taker.taker, notional);
        let resting = self.order_mut(maker.id);
        resting.take_shown(deed.quantity);
        resting.cumulative += deed.quantity;
        resting.maker.notional += notional;
        resting.maker.charged += maker_fee;
        let mut spent = taker.clone();
        self.spend(&mut spent, deed.price, deed.quantity, false);
        *self.order_mut(incoming) = spent;
        let (buyer, seller) = match taker.side {
            Side::Buy => ((taker.account, taker_fee), (maker.account, maker_fee)),
            Side::Sell => ((maker.account, maker_fee), (taker.account, taker_fee)),
        };
        self.settle(instrument, buyer, seller, notional, deed.quantity);
        self.trades += 1;
        let trade = Trade {
            instrument,
            trade_id: TradeId(self.trades),
            price: deed.price,
            quantity: Quantity(deed.quantity),
            aggressor: Some(taker.side),
            self_match: if self.belong_together(taker.account, maker.account) { SelfMatch::Yes } else { SelfMatch::No },
            maker: self.trade_side(maker.id, maker_fee),
            taker: self.trade_side(incoming, taker_fee),
        };
        self.emit(trade);
        self.keep_trade(PastTrade { trade, is_busted: false });
        self.elect(instrument, deed.price);
        self.instruments.get_mut(&instrument).expect("a listed instrument").traded = deed.price;
        if self.order(maker.id).leaves == 0 {
            self.end(maker.id, OrderStatus::Filled);
        } else {
            self.refresh_tip(maker.id);
        }
    }

    /// 8.17: the last 16,384 can be busted.
    pub(super) fn keep_trade(&mut self, past: PastTrade) {
        self.past_trades.push(past);
        if self.past_trades.len() > engine::limits::TRADES_REMEMBERED as usize {
            self.past_trades.remove(0);
        }
    }

    pub(super) fn trade_side(&mut self, id: OrderId, fee: i128) -> TradeSide {
        let order = self.order(id).clone();
        TradeSide {
            report: self.report(order.account, order.session),
            order_id: order.id,
            client_order_id: order.client_order_id,
            side: order.side,
            order_price: order.price,
            order_quantity: order.quantity,
            leaves: Quantity(order.leaves),
            cumulative: Quantity(order.cumulative),
            prevented: Quantity(order.prevented),
            fee: SignedAmount(fee),
        }
    }
}
