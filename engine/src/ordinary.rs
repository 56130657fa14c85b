//! Ordinary orders: limit orders of which everything is shown, without any condition, in continuous trading.
//!
//! Most orders are that, and break no rule. They pass here in one look at their instrument and their account, and those
//! that meet nothing rest at once. What this does to the venue and tells of it is what the general way does and tells:
//! debug builds compare the judgement, and the tests compare everything with the model.

use crate::accounts::{Account, Ledger};
use crate::book::arena::{Details, Order, Place, Traits};
use crate::book::level::{Chain, Links};
use crate::book::{Book, Orders};
use crate::command::{CancelOrder, NewOrder, ReplaceOrder, Switch};
use crate::directory::Right;
use crate::engine::Engine;
use crate::event::{
    EventSink, OrderAccepted, OrderCancelled, OrderReplaced, OrderState, Priority, Report, Requester, SelfMatch, Trade,
    TradeSide,
};
use crate::fees::{LiquidityRole, fee_bound, fee_increase};
use crate::instrument::{FeeRates, Phase, ReferenceSource};
use crate::market::{ListingStatus, Market};
use crate::order::{OrderFlags, OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::reject::CancelReason;
use crate::risk::{Exposure, Settlement, held_asset};
use crate::turn::Turn;
use crate::validate::Entrant;
use crate::{AccountId, Amount, ClientOrderId, OrderId, Price, Quantity, SessionSequence, SignedAmount, Timestamp};

/// What became of a new order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entered {
    /// It was accepted, and rests.
    Rests,
    /// It is ordinary and breaks no rule; it has still to be accepted, and may match.
    Passes(Entrant),
    /// Rule by rule it is to be found out what it is.
    Unknown,
}

impl Engine {
    /// Lets an ordinary order that breaks no rule pass, and rests it if it meets nothing.
    #[inline(always)]
    pub(crate) fn enter_ordinary<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder) -> Entered {
        if self.check_right(turn, Right::Trade(order.account)).is_err()
            || self.check_name_is_free(order.account, order.client_order_id).is_err()
        {
            return Entered::Unknown;
        }
        #[cfg(debug_assertions)]
        let judged = self.check_new_order(turn, order);
        let Self { markets, accounts, orders, sessions, names, ledger, .. } = self;
        let (Some(market), Some(owner)) = (markets.get_mut(order.instrument.0), accounts.get_mut(order.account.0))
        else {
            return Entered::Unknown;
        };
        if order.account == AccountId::FEES {
            return Entered::Unknown;
        }
        let Some(entrant) = pass(market, owner, orders, ledger, order) else { return Entered::Unknown };
        #[cfg(debug_assertions)]
        assert_eq!(judged, Ok(entrant), "what passes at a look passes rule by rule");
        if !order.time_in_force.rests() || market.book.would_take(order.side, order.price) {
            return Entered::Passes(entrant);
        }
        if entrant.hold > 0 {
            let asset = held_asset(market, order.side);
            ledger.change_hold(order.account, asset, 0, entrant.hold).expect("funds were checked");
        }
        let (slot, id) = orders.arena.open();
        let (level, in_level) = market.book.join(orders, slot, order.side, order.price, order.quantity);
        let in_account = owner.orders.join(&mut orders.arena, Chain::Account, slot);
        owner.open_orders += 1;
        owner.last_exec = owner.last_exec.next();
        let exec_id = owner.last_exec;
        let client_sequence = turn.header.client_sequence;
        let (session, in_session, report_number) = match sessions.get_mut(turn.header.session) {
            Some(session) => {
                session.last_report = session.last_report.next();
                let in_session = session.orders.join(&mut orders.arena, Chain::Session, slot);
                (turn.header.session, in_session, session.last_report)
            }
            None => (turn.header.session, Links::NONE, SessionSequence::NONE),
        };
        names.open(order.account, order.client_order_id, slot);
        orders.arena.write(
            slot,
            Order {
                id,
                limit: order.price,
                leaves: order.quantity,
                in_level,
                in_account,
                account: order.account,
                session,
                instrument: order.instrument,
                level,
                place: Place::Book,
                order_type: OrderType::Limit,
                flags: OrderFlags::NONE,
                traits: Traits::NONE,
                side: order.side,
                time_in_force: order.time_in_force,
                self_trade_prevention: entrant.mode,
                on_disconnect: order.on_disconnect,
            },
            Details {
                client_order_id: order.client_order_id,
                accepted: turn.stamp.sequence,
                rates: entrant.rates,
                in_session,
                ..Details::BLANK
            },
        );
        let report = Report { account: order.account, session, exec_id, report_number, client_sequence };
        turn.emit(entrant.accepted(order, report, id, order.quantity));
        Entered::Rests
    }
}

impl Engine {
    /// Cancels an ordinary order that rests, at the wish of the session that entered it; whether it was one.
    #[inline(always)]
    pub(crate) fn cancel_ordinary<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, cancel: &CancelOrder) -> bool {
        if self.check_right(turn, Right::Trade(cancel.account)).is_err() {
            return false;
        }
        let Self { markets, accounts, orders, sessions, names, ledger, .. } = self;
        let Some(slot) = orders.arena.find(cancel.order_id) else { return false };
        let order = orders.arena[slot];
        let details = *orders.arena.details(slot);
        let (Some(market), Some(owner)) = (markets.get_mut(order.instrument.0), accounts.get_mut(order.account.0))
        else {
            return false;
        };
        let is_routine = order.account == cancel.account
            && order.session == turn.header.session
            && order.is_ordinary(&details)
            && owner.limited_instruments == 0
            && market.phase == Phase::Continuous;
        if !is_routine {
            return false;
        }
        market.book.leave(orders, &order);
        owner.orders.leave(&mut orders.arena, Chain::Account, order.in_account);
        owner.open_orders -= 1;
        owner.last_exec = owner.last_exec.next();
        let exec_id = owner.last_exec;
        let report_number = match sessions.get_mut(order.session) {
            Some(session) => {
                session.orders.leave(&mut orders.arena, Chain::Session, details.in_session);
                session.last_report = session.last_report.next();
                session.last_report
            }
            None => SessionSequence::NONE,
        };
        if market.settles() {
            let notional = market.checked_notional(order.limit, order.leaves);
            let (asset, hold) =
                (held_asset(market, order.side), hold(market, order.side, order.leaves, notional, details.rates));
            ledger.change_hold(order.account, asset, hold, 0).expect("releasing needs nothing");
        }
        names.close(order.account, details.client_order_id, order.id, OrderStatus::Cancelled);
        orders.arena.close(slot);
        let client_sequence = turn.header.client_sequence;
        turn.emit(OrderCancelled {
            report: Report { account: order.account, session: order.session, exec_id, report_number, client_sequence },
            requester: Requester::NOBODY,
            order: OrderState {
                instrument: order.instrument,
                order_id: order.id,
                client_order_id: details.client_order_id,
                side: order.side,
                order_type: OrderType::Limit,
                time_in_force: order.time_in_force,
                flags: OrderFlags::NONE,
                price: order.limit,
                quantity: order.leaves + details.cumulative,
                leaves: Quantity::ZERO,
                cumulative: details.cumulative,
                prevented: Quantity::ZERO,
                shown: Quantity::ZERO,
            },
            cancelled: order.leaves,
            cancelled_funds: Amount::ABSENT,
            request_client_order_id: cancel.client_order_id,
            reason: CancelReason::Requested,
        });
        true
    }
}

impl Engine {
    /// Gives an ordinary order that rests another price or quantity, at the wish of the session that entered it, if it
    /// breaks no rule and meets nothing; whether that was so.
    #[inline(always)]
    pub(crate) fn replace_ordinary<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, replace: &ReplaceOrder) -> bool {
        if self.check_right(turn, Right::Trade(replace.account)).is_err() {
            return false;
        }
        let Some(slot) = self.orders.arena.find(replace.order_id) else { return false };
        let (order, details) = (self.orders.arena[slot], *self.orders.arena.details(slot));
        let own_name = details.client_order_id;
        let name = if replace.client_order_id.is_none() { own_name } else { replace.client_order_id };
        if name != own_name && self.check_name_is_free(order.account, name).is_err() {
            return false;
        }
        #[cfg(debug_assertions)]
        let judged = self.check_replace(turn, replace);
        let Self { markets, accounts, orders, sessions, names, ledger, .. } = self;
        let (Some(market), Some(owner)) = (markets.get_mut(order.instrument.0), accounts.get_mut(order.account.0))
        else {
            return false;
        };
        let had = order.leaves + details.cumulative;
        let price = if replace.price.is_absent() { order.limit } else { replace.price };
        let quantity = if replace.quantity.is_absent() { had } else { replace.quantity };
        let is_routine = order.account == replace.account
            && order.session == turn.header.session
            && order.is_ordinary(&details)
            && changes_nothing_else(replace)
            && quantity > details.cumulative;
        if !is_routine {
            return false;
        }
        let priority = if price == order.limit && quantity <= had { Priority::Kept } else { Priority::Lost };
        let Some(notional) = worth(market, owner, orders, order.side, price, quantity) else { return false };
        if priority == Priority::Lost && market.book.would_take(order.side, price) {
            return false;
        }
        let leaves = quantity - details.cumulative;
        if market.settles() {
            let open = if leaves == quantity { notional } else { market.checked_notional(price, leaves) };
            let before = market.checked_notional(order.limit, order.leaves);
            let before = hold(market, order.side, order.leaves, before, details.rates);
            let after = hold(market, order.side, leaves, open, details.rates);
            if ledger.change_hold(order.account, held_asset(market, order.side), before, after).is_err() {
                return false;
            }
        }
        #[cfg(debug_assertions)]
        assert!(judged.is_ok_and(|amendment| amendment.slot == slot && amendment.limit == price));
        if priority == Priority::Kept {
            orders.shrink(slot, &order, leaves);
        } else {
            market.book.leave(orders, &order);
            let (level, in_level) = market.book.join(orders, slot, order.side, price, leaves);
            let entered = &mut orders.arena[slot];
            (entered.limit, entered.leaves) = (price, leaves);
            (entered.level, entered.in_level) = (level, in_level);
        }
        if name != own_name {
            orders.arena.details_mut(slot).client_order_id = name;
            names.close(order.account, own_name, order.id, OrderStatus::Replaced);
            names.open(order.account, name, slot);
        }
        owner.last_exec = owner.last_exec.next();
        let exec_id = owner.last_exec;
        let report_number = sessions.get_mut(order.session).map_or(SessionSequence::NONE, |session| {
            session.last_report = session.last_report.next();
            session.last_report
        });
        let client_sequence = turn.header.client_sequence;
        turn.emit(OrderReplaced {
            report: Report { account: order.account, session: order.session, exec_id, report_number, client_sequence },
            requester: Requester::NOBODY,
            order: OrderState {
                instrument: order.instrument,
                order_id: order.id,
                client_order_id: name,
                side: order.side,
                order_type: OrderType::Limit,
                time_in_force: order.time_in_force,
                flags: OrderFlags::NONE,
                price,
                quantity,
                leaves,
                cumulative: details.cumulative,
                prevented: Quantity::ZERO,
                shown: leaves,
            },
            original_client_order_id: own_name,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
            priority,
        });
        true
    }
}

/// Whether an amend is of nothing but price, quantity and name.
#[inline(always)]
fn changes_nothing_else(replace: &ReplaceOrder) -> bool {
    replace.order_type.is_none()
        && replace.time_in_force.is_none()
        && replace.stop_price.0 & replace.display_quantity.0 == u64::MAX
        && replace.expire_at.is_none()
}

impl Order {
    /// Whether it is an ordinary order that rests, without extras.
    #[inline(always)]
    fn is_ordinary(&self, details: &Details) -> bool {
        self.place == Place::Book
            && self.order_type == OrderType::Limit
            && self.flags == OrderFlags::NONE
            && self.traits == Traits::NONE
            && self.time_in_force != TimeInForce::GoodTillDate
            && !details.has_extras()
    }
}

/// What has become of an ordinary order that matches.
#[derive(Debug, Clone, Copy)]
struct Taken {
    leaves: Quantity,
    cumulative: Quantity,
    /// In the quote asset's smallest unit; zero with holds off.
    notional: u128,
}

impl Engine {
    /// Accepts an ordinary order and matches it.
    ///
    /// While it meets ordinary orders of others, it need not be in its slot. What else it meets, and its end, is left to
    /// [`Engine::match_and_rest`].
    #[inline(never)]
    pub(crate) fn match_ordinary<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder, entrant: &Entrant) {
        let (slot, id) = self.orders.arena.open();
        if entrant.hold > 0 {
            let asset = held_asset(self.market(order.instrument), order.side);
            self.ledger.change_hold(order.account, asset, 0, entrant.hold).expect("funds were checked");
        }
        let report = self.answer(turn, order.account);
        turn.emit(entrant.accepted(order, report, id, order.quantity));
        let Taken { leaves, cumulative, notional } = self.take_ordinary(turn, order, entrant, id);
        let market = self.market(order.instrument);
        let has_met_all = !market.book.would_take(order.side, order.price);
        if leaves.is_zero() || has_met_all && order.time_in_force == TimeInForce::ImmediateOrCancel {
            if market.settles() {
                let (hold, asset) =
                    (exposure(order, entrant, leaves, notional).hold(market), held_asset(market, order.side));
                self.ledger.change_hold(order.account, asset, hold, 0).expect("releasing needs nothing");
            }
            let status = if leaves.is_zero() { OrderStatus::Filled } else { OrderStatus::Cancelled };
            self.names.remember(order.account, order.client_order_id, id, status);
            self.orders.arena.close(slot);
            if !leaves.is_zero() {
                let report = self.answer(turn, order.account);
                let OrderAccepted { order, .. } = entrant.accepted(order, report, id, Quantity::ZERO);
                turn.emit(OrderCancelled {
                    report,
                    requester: Requester::NOBODY,
                    order: OrderState { leaves: Quantity::ZERO, cumulative, ..order },
                    cancelled: leaves,
                    cancelled_funds: Amount::ABSENT,
                    request_client_order_id: ClientOrderId::NONE,
                    reason: CancelReason::ImmediateRemainder,
                });
            }
        } else {
            self.orders.arena.write(
                slot,
                Order {
                    id,
                    limit: order.price,
                    leaves,
                    account: order.account,
                    session: turn.header.session,
                    instrument: order.instrument,
                    side: order.side,
                    time_in_force: order.time_in_force,
                    self_trade_prevention: entrant.mode,
                    on_disconnect: order.on_disconnect,
                    traits: Traits::ENTERING,
                    ..Order::BLANK
                },
                Details {
                    client_order_id: order.client_order_id,
                    cumulative,
                    accepted: turn.stamp.sequence,
                    rates: entrant.rates,
                    ..Details::BLANK
                },
            );
            if notional > 0 {
                self.orders.arena.extras_mut(slot).taker_notional = notional;
            }
            self.match_and_rest(turn, slot);
        }
        self.finish_trading(turn, order.instrument);
    }

    /// Trades an ordinary incoming order with ordinary orders of others, as far as there are such at the front.
    #[inline(always)]
    fn take_ordinary<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        order: &NewOrder,
        entrant: &Entrant,
        id: OrderId,
    ) -> Taken {
        let mut taken = Taken { leaves: order.quantity, cumulative: Quantity::ZERO, notional: 0 };
        let market = self.market(order.instrument);
        let (collar, settles) = (market.collar(), market.settles());
        if market.book.has_stops() {
            return taken;
        }
        let group = self.accounts.group(order.account);
        while !taken.leaves.is_zero() {
            let market = self.markets.get_mut(order.instrument.0).expect("the instrument was checked");
            let Some(slot) = market.book.meets(&self.orders, order.side, order.price) else { break };
            let maker = self.orders.arena[slot];
            let price = maker.limit;
            if maker.traits != Traits::NONE || collar.passed(price).is_some() {
                break;
            }
            let own = maker.account == order.account || !group.is_none() && self.accounts.group(maker.account) == group;
            if own && entrant.mode != SelfTradePrevention::Allow {
                break;
            }
            let quantity = maker.leaves.min(taken.leaves);
            if market.protection.reference_source == ReferenceSource::LastTrade {
                market.next_reference = price;
            }
            let maker_fee = match settles {
                true => self.fill(slot, LiquidityRole::Maker, price, quantity),
                false => {
                    self.orders.reduce(slot, &maker, quantity);
                    0
                }
            };
            let before = exposure(order, entrant, taken.leaves, taken.notional);
            taken.leaves -= quantity;
            taken.cumulative += quantity;
            let mut taker_fee = 0;
            if settles {
                let market = self.markets.get(order.instrument.0).expect("the instrument was checked");
                let notional = market.checked_notional(price, quantity);
                taker_fee = fee_increase(taken.notional, notional, entrant.rates.taker);
                taken.notional += notional;
                let after = exposure(order, entrant, taken.leaves, taken.notional);
                let settlement =
                    Settlement { account: order.account, before, after, quantity, notional, fee: taker_fee };
                settlement.settle(&mut self.ledger, market);
                self.ledger.credit(AccountId::FEES, market.quote(), maker_fee + taker_fee);
            }
            self.last_trade = self.last_trade.next();
            let details = *self.orders.arena.details(slot);
            let leaves = maker.leaves - quantity;
            let trade = Trade {
                instrument: order.instrument,
                trade_id: self.last_trade,
                price,
                quantity,
                aggressor: Some(order.side),
                self_match: if own { SelfMatch::Yes } else { SelfMatch::No },
                maker: TradeSide {
                    report: self.report(turn, maker.account, maker.session),
                    order_id: maker.id,
                    client_order_id: details.client_order_id,
                    side: maker.side,
                    order_price: maker.price(),
                    order_quantity: leaves + self.orders.arena.gone(slot),
                    leaves,
                    cumulative: details.cumulative,
                    prevented: self.orders.arena.extras_of(&details).prevented,
                    fee: SignedAmount(maker_fee),
                },
                taker: TradeSide {
                    report: self.answer(turn, order.account),
                    order_id: id,
                    client_order_id: order.client_order_id,
                    side: order.side,
                    order_price: order.price,
                    order_quantity: order.quantity,
                    leaves: taken.leaves,
                    cumulative: taken.cumulative,
                    prevented: Quantity::ZERO,
                    fee: SignedAmount(taker_fee),
                },
            };
            self.tape.print(&trade);
            turn.emit(trade);
            if leaves.is_zero() {
                self.end_order(slot, OrderStatus::Filled);
            }
        }
        taken
    }
}

/// What an ordinary order's hold depends on.
#[inline(always)]
fn exposure(order: &NewOrder, entrant: &Entrant, leaves: Quantity, taker_notional: u128) -> Exposure {
    Exposure {
        side: order.side,
        limit: order.price,
        leaves,
        funds: Amount::ABSENT,
        rates: entrant.rates,
        maker_notional: 0,
        taker_notional,
    }
}

/// What an ordinary order starts with; `None` if it is another, or may break a rule.
#[inline(always)]
fn pass(market: &Market, account: &Account, orders: &Orders, ledger: &Ledger, order: &NewOrder) -> Option<Entrant> {
    let &NewOrder { side, price, quantity, .. } = order;
    if !is_ordinary(order) || account.open_orders >= account.limits.open_orders_max || !orders.arena.has_room() {
        return None;
    }
    let notional = worth(market, account, orders, side, price, quantity)?;
    let mode = market.self_trade_prevention(account.self_trade_prevention);
    let entrant = Entrant { limit: price, leaves: quantity, mode, rates: FeeRates::ZERO, hold: 0 };
    if !market.settles() {
        return Some(entrant);
    }
    let rates = market.rates(account.fee_tier);
    let hold = hold(market, side, quantity, notional, rates);
    let available = ledger.balance(order.account, held_asset(market, side)).available.0;
    (available >= hold).then_some(Entrant { rates, hold, ..entrant })
}

/// What an ordinary order at this price is worth, if an account may have it and there is room for it; `None` if that is to
/// be found out rule by rule.
#[inline(always)]
fn worth(
    market: &Market,
    account: &Account,
    orders: &Orders,
    side: Side,
    price: Price,
    quantity: Quantity,
) -> Option<u128> {
    let limits = &market.limits;
    if market.phase != Phase::Continuous
        || market.status != ListingStatus::Listed
        || account.kill_switch != Switch::Lifted
        || account.limited_instruments > 0
        || price.0.wrapping_sub(1) >= limits.price_max.0
        || !market.within(market.protection.entry_band, side, price)
        || !market.within(account.limits.price_deviation, side, price)
        || quantity < limits.quantity_min
        || quantity > limits.quantity_max
        || quantity > account.limits.quantity_max
        || !Book::has_room_anywhere(orders)
    {
        return None;
    }
    if market.units.quote == 0 {
        return Some(0);
    }
    let fits = |notional: &u128| {
        *notional >= limits.notional_min.0
            && *notional <= limits.notional_max.0
            && *notional <= account.limits.notional_max.0
    };
    market.notional(price, quantity).filter(fits)
}

/// What an ordinary order holds that has not traded.
#[inline(always)]
fn hold(market: &Market, side: Side, leaves: Quantity, notional: u128, rates: FeeRates) -> u128 {
    match side {
        Side::Sell => u128::from(leaves.0) * u128::from(market.units.base),
        Side::Buy => notional + fee_bound(rates, 0, 0, notional),
    }
}

/// Whether a new order asks for nothing but price and quantity.
#[inline(always)]
fn is_ordinary(order: &NewOrder) -> bool {
    let NewOrder { funds: Amount(funds), stop_price, display_quantity, minimum_quantity, .. } = *order;
    let absent = funds as u64 & (funds >> 64) as u64 & stop_price.0 & display_quantity.0 & minimum_quantity.0;
    absent == u64::MAX
        && order.expire_at.is_none()
        && order.order_type == OrderType::Limit
        && order.flags == OrderFlags::NONE
        && order.self_trade_prevention.is_none()
        && matches!(
            order.time_in_force,
            TimeInForce::Day | TimeInForce::GoodTillCancel | TimeInForce::ImmediateOrCancel
        )
}
