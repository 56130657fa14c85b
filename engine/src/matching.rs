//! Continuous matching (rule 3): price, then time, at the resting order's price.

use crate::book::arena::{NIL, Order, Slot};
use crate::book::level::{Chain, Links};
use crate::command::NewOrder;
use crate::engine::Engine;
use crate::event::{EventSink, OrderAccepted, OrderRejected, Requester, SelfMatch, Trade, TradeSide};
use crate::fees::{LiquidityRole, fee_increase};
use crate::order::{OrderStatus, OrderType, TimeInForce};
use crate::reject::{CancelReason, RejectReason};
use crate::risk::{Exposure, held_asset};
use crate::turn::Turn;
use crate::validate::{Entrant, crosses};
use crate::{AccountId, ClientOrderId, OrderId, Price, Quantity, SignedAmount};

use crate::book::index::Named;

impl Engine {
    /// Enters an order: it is judged, accepted, matched, and rests or ends.
    pub(crate) fn new_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder) {
        match self.check_new_order(turn, order) {
            Err(reason) => self.reject_order(turn, order, reason),
            Ok(entrant) => {
                let slot = self.accept(turn, order, &entrant);
                self.match_and_rest(turn, slot);
            }
        }
    }

    /// Lets an order that does not rest take what it can, then rests or ends it.
    pub(crate) fn match_and_rest<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot) {
        self.take(turn, slot);
        let order = &self.orders.arena[slot];
        if order.leaves.is_zero() {
            self.end_order(slot, OrderStatus::Filled);
            return;
        }
        let (order_type, time_in_force, instrument) = (order.order_type, order.time_in_force, order.instrument);
        let opposite = order.side.opposite();
        let reason = match (order_type, time_in_force) {
            (OrderType::Market | OrderType::Stop, _) => {
                match self.market(instrument).book.best(&self.orders, opposite) {
                    None => CancelReason::MarketRemainder,
                    Some(_) => CancelReason::MarketProtection,
                }
            }
            (_, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill) => CancelReason::ImmediateRemainder,
            _ => return self.enter_book(slot),
        };
        self.cancel(turn, slot, reason, Requester::NOBODY, ClientOrderId::NONE);
    }

    fn reject_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder, reason: RejectReason) {
        let (original_order_id, original_status) = match reason {
            RejectReason::DuplicateClientOrderId => self.original(order.account, order.client_order_id),
            _ => (OrderId::NONE, None),
        };
        let report = self.refusal(turn, order.account, reason);
        turn.emit(OrderRejected {
            report,
            instrument: order.instrument,
            client_order_id: order.client_order_id,
            side: order.side,
            price: order.price,
            quantity: order.quantity,
            reason,
            original_order_id,
            original_status,
        });
    }

    /// The order that has a name already, and what has become of it.
    pub(crate) fn original(&self, account: AccountId, name: ClientOrderId) -> (OrderId, Option<OrderStatus>) {
        match self.names.find(account, name) {
            Some(Named::Open(id)) => (id, self.orders.arena.find(id).map(|slot| self.orders.arena[slot].status())),
            Some(Named::Closed(id, status)) => (id, Some(status)),
            None => (OrderId::NONE, None),
        }
    }

    fn accept<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder, entrant: &Entrant) -> Slot {
        let slot = self.orders.arena.insert(Order {
            id: OrderId::NONE,
            limit: entrant.limit,
            leaves: order.quantity,
            block: NIL,
            instrument: order.instrument,
            account: order.account,
            session: turn.header.session,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            flags: order.flags,
            on_disconnect: order.on_disconnect,
            self_trade_prevention: order.self_trade_prevention,
            client_order_id: order.client_order_id,
            quantity: order.quantity,
            cumulative: Quantity::ZERO,
            prevented: Quantity::ZERO,
            accepted: turn.stamp.sequence,
            rates: entrant.rates,
            maker_notional: 0,
            taker_notional: 0,
            links: [Links::NONE; _],
        });
        self.link(slot);
        let market = self.market(order.instrument);
        if market.settles() {
            let asset = held_asset(market, order.side);
            self.ledger.change_hold(order.account, asset, 0, entrant.hold).expect("funds were checked");
        }
        let report = self.answer(turn, order.account);
        let account_mode = self.accounts.get(order.account.0).and_then(|account| account.self_trade_prevention);
        let mode = self.market(order.instrument).self_trade_prevention(order.self_trade_prevention.or(account_mode));
        turn.emit(OrderAccepted {
            report,
            order: self.order_state(slot),
            self_trade_prevention: mode,
            on_disconnect: order.on_disconnect,
            funds: order.funds,
            stop_price: order.stop_price,
            display_quantity: order.display_quantity,
            minimum_quantity: order.minimum_quantity,
            expire_at: order.expire_at,
        });
        slot
    }

    /// Names a new open order and puts it behind its account's and its session's others.
    pub(crate) fn link(&mut self, slot: Slot) {
        let Order { id, account, session, client_order_id, .. } = self.orders.arena[slot];
        self.names.open(account, client_order_id, id);
        let account = self.accounts.get_mut(account.0).expect("an order's account is open");
        account.open_orders += 1;
        account.orders.push(&mut self.orders.arena, Chain::Account, slot);
        if let Some(session) = self.sessions.get_mut(session) {
            session.orders.push(&mut self.orders.arena, Chain::Session, slot);
        }
    }

    /// Trades an incoming order against the book as far as its limit reaches.
    fn take<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, taker: Slot) {
        let Order { instrument, side, limit, .. } = self.orders.arena[taker];
        while let Some(maker) = self.market(instrument).book.best(&self.orders, side.opposite()) {
            let price = self.orders.arena[maker].limit;
            if !crosses(side, limit, price) {
                break;
            }
            self.trade(turn, maker, taker, price);
            if self.orders.arena[taker].leaves.is_zero() {
                break;
            }
        }
        let market = self.market_mut(instrument);
        market.reference = market.last_price;
    }

    /// Trades the smaller of two orders' open quantities, at the resting order's price.
    fn trade<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, maker: Slot, taker: Slot, price: Price) {
        let quantity = self.orders.arena[maker].leaves.min(self.orders.arena[taker].leaves);
        let maker_fee = self.fill(maker, LiquidityRole::Maker, price, quantity);
        let taker_fee = self.fill(taker, LiquidityRole::Taker, price, quantity);
        let instrument = self.orders.arena[taker].instrument;
        let market = self.market_mut(instrument);
        market.last_price = price;
        if market.settles() {
            let quote = market.quote();
            self.ledger.credit(AccountId::FEES, quote, maker_fee + taker_fee);
        }
        self.last_trade = self.last_trade.next();
        let trade = Trade {
            instrument,
            trade_id: self.last_trade,
            price,
            quantity,
            aggressor: Some(self.orders.arena[taker].side),
            self_match: self.self_match(maker, taker),
            maker: self.trade_side(turn, maker, maker_fee),
            taker: self.trade_side(turn, taker, taker_fee),
        };
        turn.emit(trade);
        if self.orders.arena[maker].leaves.is_zero() {
            self.end_order(maker, OrderStatus::Filled);
        }
    }

    /// Moves one order's quantity, hold and balances for a fill; its fee.
    fn fill(&mut self, slot: Slot, role: LiquidityRole, price: Price, quantity: Quantity) -> i128 {
        let order = &mut self.orders.arena[slot];
        let market = self.markets.get_mut(order.instrument.0).expect("an order's instrument is listed");
        let before = Exposure::of(order);
        order.leaves -= quantity;
        order.cumulative += quantity;
        if order.block != NIL {
            market.book.reduce(&mut self.orders, slot, quantity);
        }
        let order = &mut self.orders.arena[slot];
        if !market.settles() {
            return 0;
        }
        let notional = market.checked_notional(price, quantity);
        let (traded, rate) = match role {
            LiquidityRole::Maker => (&mut order.maker_notional, order.rates.maker),
            LiquidityRole::Taker => (&mut order.taker_notional, order.rates.taker),
        };
        let fee = fee_increase(*traded, notional, rate);
        *traded += notional;
        let (account, after) = (order.account, Exposure::of(order));
        let held = held_asset(market, before.side);
        self.ledger
            .change_hold(account, held, before.hold(market), after.hold(market))
            .expect("a fill shrinks the hold");
        let base = i128::from(quantity.0) * i128::from(market.units.base);
        let quote = i128::try_from(notional).expect("notionals are bounded");
        let (base, quote) = match before.side {
            crate::order::Side::Buy => (base, -quote),
            crate::order::Side::Sell => (-base, quote),
        };
        self.ledger.credit(account, market.base(), base);
        self.ledger.credit(account, market.quote(), quote - fee);
        fee
    }

    fn self_match(&self, one: Slot, other: Slot) -> SelfMatch {
        let (one, other) = (self.orders.arena[one].account, self.orders.arena[other].account);
        let group = |account: AccountId| self.accounts.get(account.0).map(|account| account.stp_group);
        if one == other || group(one) == group(other) && group(one).is_some_and(|group| !group.is_none()) {
            SelfMatch::Yes
        } else {
            SelfMatch::No
        }
    }

    fn trade_side<S: EventSink>(&mut self, turn: &Turn<'_, S>, slot: Slot, fee: i128) -> TradeSide {
        let order = self.orders.arena[slot];
        TradeSide {
            report: self.report(turn, order.account, order.session),
            order_id: order.id,
            client_order_id: order.client_order_id,
            side: order.side,
            order_price: order.price(),
            order_quantity: order.quantity,
            leaves: order.leaves,
            cumulative: order.cumulative,
            prevented: order.prevented,
            fee: SignedAmount(fee),
        }
    }

    /// Rests an order behind all others at its price.
    fn enter_book(&mut self, slot: Slot) {
        let instrument = self.orders.arena[slot].instrument;
        let market = self.markets.get_mut(instrument.0).expect("an order's instrument is listed");
        market.book.insert(&mut self.orders, slot);
    }

    /// Takes an order out of its book, if it rests.
    pub(crate) fn leave_book(&mut self, slot: Slot) {
        let order = &self.orders.arena[slot];
        if order.block != NIL {
            let market = self.markets.get_mut(order.instrument.0).expect("an order's instrument is listed");
            market.book.remove(&mut self.orders, slot);
        }
    }

    /// Ends an order: its hold is released and its slot freed. It may rest or not.
    pub(crate) fn end_order(&mut self, slot: Slot, status: OrderStatus) {
        self.leave_book(slot);
        let order = self.orders.arena[slot];
        let market = self.market(order.instrument);
        if market.settles() {
            let (asset, hold) = (held_asset(market, order.side), Exposure::of(&order).hold(market));
            self.ledger.change_hold(order.account, asset, hold, 0).expect("releasing needs nothing");
        }
        let account = self.accounts.get_mut(order.account.0).expect("an order's account is open");
        account.open_orders -= 1;
        account.orders.remove(&mut self.orders.arena, Chain::Account, slot);
        if let Some(session) = self.sessions.get_mut(order.session) {
            session.orders.remove(&mut self.orders.arena, Chain::Session, slot);
        }
        self.names.close(order.account, order.client_order_id, order.id, status);
        self.orders.arena.remove(slot);
    }
}
