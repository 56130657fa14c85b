//! What an open order is, and how events tell of it.

use engine::event::OrderState;
use engine::instrument::FeeRates;
use engine::*;

use super::{Flaw, Model};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being entered.
    Incoming,
    /// In the book.
    Resting,
    /// A stop that no trade elected yet.
    Waiting,
    /// An AtTheClose order that waits for a closing call (5.10).
    ForTheClose,
}

/// What an order paid in one fee role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Role {
    /// What it traded, in the quote asset's smallest unit.
    pub(super) notional: u128,
    /// What it was charged; negative: rebates.
    pub(super) charged: i128,
}

/// An open order.
#[derive(Debug, Clone)]
pub struct Order {
    /// 1, 2, 3 … by acceptance.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// Through which it was entered.
    pub session: SessionId,
    /// In what.
    pub instrument: InstrumentId,
    /// The trader's name for it.
    pub client_order_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// What it was entered or amended as; an elected stop keeps it (3.9).
    pub order_type: OrderType,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Post-only.
    pub flags: OrderFlags,
    /// Limit; absent for Market and Stop.
    pub price: Price,
    /// Trigger; absent unless Stop or StopLimit.
    pub stop_price: Price,
    /// Ordered; absent if funds are given.
    pub quantity: Quantity,
    /// What may still trade.
    pub leaves: u64,
    /// What has traded.
    pub cumulative: u64,
    /// What self-trade prevention took away.
    pub prevented: u64,
    /// What of the leaves is shown.
    pub shown: u64,
    /// Display quantity; absent: all is shown.
    pub display: Quantity,
    /// What must trade at once.
    pub minimum: Quantity,
    /// Funds that are left; absent unless given instead of a quantity.
    pub funds: Amount,
    /// When a GoodTillDate order ends.
    pub expire_at: Timestamp,
    /// What losing the session means.
    pub on_disconnect: OnDisconnect,
    /// Self-trade prevention when it is the incoming order.
    pub mode: SelfTradePrevention,
    /// Incoming, resting or waiting.
    pub state: State,
    /// The rates of its acceptance (8.6).
    pub(super) rates: FeeRates,
    /// What its market protection is counted from, if it was entered as a Market order where orders match (6.5).
    pub(super) first_best: Price,
    /// The worst price at which it may trade; absent for a Market order that met no opposite one.
    pub(super) bound: Price,
    /// Its place in queues: lower is earlier.
    pub(super) place: u64,
    pub(super) maker: Role,
    pub(super) taker: Role,
}

impl Order {
    /// Whether it has funds instead of a quantity (1.13).
    pub(super) fn is_by_funds(&self) -> bool {
        !self.funds.is_absent()
    }

    /// What the order has traded and been kept from: what an amended quantity counts (2.4).
    pub(super) fn used(&self) -> u64 {
        self.cumulative + self.prevented
    }

    /// 3.9: a Stop enters as a Market order, a StopLimit as a Limit order.
    pub(super) fn enters_as(&self) -> OrderType {
        match self.order_type {
            OrderType::Market | OrderType::Stop => OrderType::Market,
            OrderType::Limit | OrderType::StopLimit => OrderType::Limit,
        }
    }

    /// Whether it waits unseen for something to make it take part.
    pub(super) fn waits(&self) -> bool {
        matches!(self.state, State::Waiting | State::ForTheClose)
    }

    /// Takes quantity out of a resting order's tip.
    pub(super) fn take_shown(&mut self, quantity: u64) {
        self.leaves -= quantity;
        self.shown -= quantity;
    }

    /// What a fresh tip shows (1.10). In a call market orders stand unseen (5.2).
    pub(super) fn tip(&self) -> u64 {
        if self.state == State::Resting && self.order_type == OrderType::Market {
            return 0;
        }
        if self.display.is_absent() { self.leaves } else { self.display.0.min(self.leaves) }
    }

    /// FIX 39 of an open order.
    pub(super) fn status(&self) -> OrderStatus {
        if self.cumulative == 0 { OrderStatus::New } else { OrderStatus::PartiallyFilled }
    }

    /// The order as events tell it.
    pub(super) fn told(&self) -> OrderState {
        OrderState {
            instrument: self.instrument,
            order_id: self.id,
            client_order_id: self.client_order_id,
            side: self.side,
            order_type: self.order_type,
            time_in_force: self.time_in_force,
            flags: self.flags,
            price: self.price,
            quantity: self.quantity,
            leaves: Quantity(self.leaves),
            cumulative: Quantity(self.cumulative),
            prevented: Quantity(self.prevented),
            shown: Quantity(if self.waits() { 0 } else { self.shown }),
        }
    }
}

impl Model {
    /// 3.1: better price, then earlier place. The lowest is first.
    pub(super) fn priority(&self, order: &Order) -> (u64, u64) {
        let price = match order.side {
            Side::Buy => u64::MAX - order.price.0,
            Side::Sell => order.price.0,
        };
        let place = if self.flaw == Flaw::LaterOrderFirst { u64::MAX - order.place } else { order.place };
        (price, place)
    }

    pub(super) fn order(&self, id: OrderId) -> &Order {
        self.orders.iter().find(|order| order.id == id).expect("an open order")
    }

    pub(super) fn order_mut(&mut self, id: OrderId) -> &mut Order {
        self.orders.iter_mut().find(|order| order.id == id).expect("an open order")
    }

    /// The account's open order by the venue's name, else by the trader's.
    pub(super) fn find(&self, account: AccountId, id: OrderId, name: ClientOrderId) -> Option<&Order> {
        let of_account = |order: &&Order| order.account == account;
        if !id.is_none() {
            return self.orders.iter().filter(of_account).find(|order| order.id == id);
        }
        if name.is_none() {
            return None;
        }
        self.orders.iter().filter(of_account).find(|order| order.client_order_id == name)
    }

    /// Forgets an open order, and remembers its name (1.6).
    pub(super) fn end(&mut self, id: OrderId, status: OrderStatus) {
        let at = self.orders.iter().position(|order| order.id == id).expect("an open order");
        let order = self.orders.remove(at);
        self.remember(order.account, order.client_order_id, order.id, status);
    }

    /// 1.6: an account remembers the last 32 orders that ended with an id.
    pub(super) fn remember(&mut self, account: AccountId, name: ClientOrderId, id: OrderId, status: OrderStatus) {
        if name.is_none() {
            return;
        }
        let closed = &mut self.accounts.get_mut(&account).expect("an open account").closed;
        closed.push((name, id, status));
        if closed.len() > engine::limits::CLOSED_ORDERS_PER_ACCOUNT as usize {
            closed.remove(0);
        }
    }

    /// 1.6: which order has this name, open or remembered.
    pub(super) fn named(&self, account: AccountId, name: ClientOrderId) -> Option<(OrderId, OrderStatus)> {
        if let Some(order) = self.find(account, OrderId::NONE, name) {
            return Some((order.id, order.status()));
        }
        let closed = &self.accounts.get(&account)?.closed;
        closed.iter().rev().find(|closed| closed.0 == name).map(|&(_, id, status)| (id, status))
    }
}
