//! Rules 1, 2 and 4.7: what an order is after each event, and that nothing happens to one that is unknown or has ended.

use engine::command::ReplaceOrder;
use engine::event::{
    OrderAccepted, OrderCancelled, OrderReplaced, OrderRestated, OrderState, Priority, RestatementReason,
};
use engine::instrument::FeeRates;
use engine::{
    AccountId, CancelReason, ClientOrderId, Command, CommandBody, InstrumentId, OrderFlags, OrderId, OrderType, Price,
    Quantity, RejectReason, SelfTradePrevention, Sequenced, SessionId, Side, TimeInForce, Timestamp,
};

use super::balances::Role;
use super::book::{Owed, is_within};
use super::calls::{CallKind, takes_new};
use super::{Auditor, Checked, Fault, ensure, found, is_by_matching};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// It trades, or just may.
    Incoming,
    /// In the book.
    Resting,
    /// A stop that no trade elected yet.
    Waiting,
    /// An AtTheClose order that waits for a closing call.
    ForTheClose,
    /// A stop that a trade elected, and that has not entered yet.
    Elected,
}

/// An open order.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) account: AccountId,
    pub(super) session: SessionId,
    /// Which acceptance it was.
    pub(super) age: u64,
    /// Its place in queues: lower is earlier.
    pub(super) place: u64,
    pub(super) stand: Stand,
    /// As events tell it, but for a waiting stop's shown quantity, which is what it will show.
    pub(super) state: OrderState,
    pub(super) mode: SelfTradePrevention,
    pub(super) stop_price: Price,
    pub(super) display: Quantity,
    pub(super) minimum: Quantity,
    /// What is left of the funds of an order that has some.
    pub(super) funds: Option<i128>,
    pub(super) expire_at: Timestamp,
    /// The best opposite price when it entered; absent if there was none.
    pub(super) first_best: Price,
    /// The worst price at which it may trade; absent: none at all.
    pub(super) bound: Price,
    /// Those of its acceptance.
    pub(super) rates: FeeRates,
    pub(super) as_maker: Role,
    pub(super) as_taker: Role,
}

impl Order {
    /// 1.10: what a fresh tip shows; market orders of a call show nothing (5.2).
    pub(super) fn tip(&self) -> Quantity {
        if self.stand == Stand::Resting && self.is_market() {
            return Quantity::ZERO;
        }
        if self.display.is_absent() { self.state.leaves } else { self.display.min(self.state.leaves) }
    }

    /// Whether it becomes a market order when it enters, or is one.
    pub(super) fn is_market(&self) -> bool {
        matches!(self.state.order_type, OrderType::Market | OrderType::Stop)
    }

    fn told(&self) -> OrderState {
        let is_hidden = matches!(self.stand, Stand::Waiting | Stand::Elected | Stand::ForTheClose);
        OrderState { shown: if is_hidden { Quantity::ZERO } else { self.state.shown }, ..self.state }
    }

    /// 5.8: takes what an auction used, from what is shown first.
    pub(super) fn take_in_auction(&mut self, quantity: Quantity) {
        self.state.leaves -= quantity;
        self.state.cumulative += quantity;
        self.state.shown = Quantity(self.state.shown.0.saturating_sub(quantity.0));
    }

    /// Takes what a match used, and refreshes nothing.
    pub(super) fn take(&mut self, quantity: Quantity) {
        if self.funds.is_some() {
            return;
        }
        self.state.leaves -= quantity;
        self.state.shown =
            if self.stand == Stand::Incoming { self.tip() } else { Quantity(self.state.shown.0 - quantity.0) };
    }
}

impl Auditor {
    /// An open order of the account.
    pub(super) fn open(&self, id: OrderId, account: AccountId) -> Result<&Order, Fault> {
        ensure(!self.ended.contains(&id), "1.7", || format!("order {id} has ended"))?;
        let order = found(self.orders.get(&id), "1.7", "the order is unknown")?;
        ensure(order.account == account, "1.7", || format!("order {id} is account {}'s", order.account))?;
        Ok(order)
    }

    /// 2.1, 4.7: whether the order is told as it is.
    pub(super) fn same_state(&self, id: OrderId, told: &OrderState) -> Checked {
        let order = &self.orders[&id];
        let parts = [order.state.leaves, order.state.cumulative, order.state.prevented];
        let sum: u128 = parts.iter().map(|part| u128::from(part.0)).sum();
        let adds_up = order.funds.is_some() || sum == u128::from(order.state.quantity.0);
        ensure(adds_up, "4.7", || format!("leaves, cumulative and prevented are {sum}"))?;
        let expected = order.told();
        ensure(*told == expected, "4.7", || format!("the order is {expected:?}"))
    }

    /// The order is open no more.
    pub(super) fn end(&mut self, id: OrderId) {
        self.queues.remove(id, &self.orders[&id]);
        self.orders.remove(&id);
        self.ended.insert(id);
    }

    pub(super) fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    pub(super) fn order_accepted(&mut self, command: &Sequenced<Command>, event: &OrderAccepted) -> Checked {
        let (told, report) = (event.order, event.report);
        let CommandBody::NewOrder(wish) = command.value.body else {
            return ensure(false, "9.2", || "no order was entered".to_owned());
        };
        let expected = OrderState {
            instrument: wish.instrument,
            order_id: told.order_id,
            client_order_id: wish.client_order_id,
            side: wish.side,
            order_type: wish.order_type,
            time_in_force: wish.time_in_force,
            flags: wish.flags,
            price: wish.price,
            quantity: wish.quantity,
            leaves: if wish.funds.is_absent() { wish.quantity } else { Quantity::ZERO },
            cumulative: Quantity::ZERO,
            prevented: Quantity::ZERO,
            shown: told.shown,
        };
        ensure(told == expected, "1.1", || format!("entered was {expected:?}"))?;
        let beside = (event.funds, event.stop_price, event.display_quantity, event.minimum_quantity, event.expire_at);
        let asked = (wish.funds, wish.stop_price, wish.display_quantity, wish.minimum_quantity, wish.expire_at);
        ensure(beside == asked, "1.1", || format!("entered was {asked:?}"))?;
        let own_mode = wish.self_trade_prevention.is_none_or(|mode| mode == event.self_trade_prevention);
        ensure(own_mode, "4.3", || format!("the order's own mode is {:?}", wish.self_trade_prevention))?;
        let whose = (report.account, report.session);
        let author = (wish.account, command.value.header.session);
        ensure(whose.0 == author.0 && (whose.1 == author.1 || whose.1.is_none()), "10.2", || {
            format!("entered by {author:?}")
        })?;
        self.may_enter(&told, report.account)?;
        let instrument = self.instrument(told.instrument)?;
        let rates = instrument.rates_of(self.accounts[&report.account].fee_tier);
        self.accepted += 1;
        let place = self.next_place();
        let funds = (!wish.funds.is_absent()).then(|| i128::try_from(wish.funds.0).unwrap_or(i128::MAX));
        let mut order = Order {
            account: report.account,
            session: report.session,
            age: self.accepted,
            place,
            stand: self.first_stand(&told),
            state: told,
            mode: event.self_trade_prevention,
            stop_price: wish.stop_price,
            display: wish.display_quantity,
            minimum: wish.minimum_quantity,
            funds,
            expire_at: wish.expire_at,
            first_best: self.best_opposite(told.instrument, told.side),
            bound: Price::ABSENT,
            rates,
            as_maker: Role::default(),
            as_taker: Role::default(),
        };
        order.bound = self.bound(&order)?;
        order.state.shown = order.tip();
        self.take_place(told.order_id, order);
        self.same_state(told.order_id, &told)
    }

    /// Puts an order where it stands from now on.
    fn take_place(&mut self, id: OrderId, order: Order) {
        match order.stand {
            Stand::Incoming => self.incoming = Some(id),
            Stand::Resting => self.queues.insert(id, &order),
            Stand::Waiting | Stand::ForTheClose | Stand::Elected => {}
        }
        self.orders.insert(id, order);
    }

    /// 5.2, 5.10: where an order stands that enters.
    fn first_stand(&self, order: &OrderState) -> Stand {
        let for_the_close = order.time_in_force == TimeInForce::AtTheClose;
        match self.call(order.instrument) {
            _ if order.order_type.is_stop() => Stand::Waiting,
            call if for_the_close && call != Some(CallKind::Closing) => Stand::ForTheClose,
            Some(_) => Stand::Resting,
            None => Stand::Incoming,
        }
    }

    fn best_opposite(&self, instrument: InstrumentId, side: Side) -> Price {
        self.queues.first(instrument, side.opposite()).map_or(Price::ABSENT, |(price, _)| price)
    }

    /// 6.2: what is refused for the entry band was said to be beyond it.
    pub(super) fn refused(&self, reason: RejectReason) -> Checked {
        let told = self.done == Some(Owed::Refused) || reason != RejectReason::OutsidePriceBand;
        ensure(told, "6.2", || "beyond what was not told".to_owned())
    }

    /// 1.6, 1.7, 7.1, 8.12: whether an order of this kind may enter at all.
    fn may_enter(&self, order: &OrderState, account: AccountId) -> Checked {
        let id = order.order_id;
        let fresh = !id.is_none() && !self.orders.contains_key(&id) && !self.ended.contains(&id);
        ensure(fresh, "1.7", || format!("{id} names another order"))?;
        self.name_is_free(account, order.client_order_id)?;
        let phase = self.instrument(order.instrument)?.phase;
        let call = self.call(order.instrument);
        let takes = takes_new(phase, call, order.order_type, order.time_in_force, order.flags);
        ensure(takes, "7.1", || format!("the phase is {phase:?}, the call {call:?}"))?;
        let Some(account) = self.accounts.get(&account) else {
            return ensure(false, "9.1", || format!("account {account} is unknown"));
        };
        ensure(!account.is_blocked, "8.12", || "the account's kill switch is engaged".to_owned())
    }

    fn name_is_free(&self, account: AccountId, name: ClientOrderId) -> Checked {
        let taken = self.orders.values().any(|order| order.account == account && order.state.client_order_id == name);
        ensure(name.is_none() || !taken, "1.6", || format!("client order id {name} is taken"))
    }

    /// 1.1, 1.2, 3.9: the worst price at which an order may trade, its account's own bounds aside.
    fn bound(&self, order: &Order) -> Result<Price, Fault> {
        let state = &order.state;
        let protection = self.instrument(state.instrument)?.protection.market;
        Ok(match state.order_type {
            OrderType::Limit | OrderType::StopLimit => state.price,
            OrderType::Stop => protection.furthest(state.side, order.stop_price),
            OrderType::Market => self
                .queues
                .first(state.instrument, state.side.opposite())
                .map_or(Price::ABSENT, |(price, _)| protection.furthest(state.side, price)),
        })
    }

    pub(super) fn order_replaced(&mut self, command: &Command, event: &OrderReplaced) -> Checked {
        ensure(self.owed.is_empty() && self.incoming.is_none(), "2.1", || "another order is incoming".to_owned())?;
        let CommandBody::ReplaceOrder(wish) = command.body else {
            return ensure(false, "2.1", || "no amend was asked for".to_owned());
        };
        let id = event.order.order_id;
        let before = self.open(id, wish.account)?.clone();
        ensure(is_named(&before, id, wish.order_id, wish.original_client_order_id), "2.1", || {
            "another order was named".to_owned()
        })?;
        let told_before = event.original_client_order_id == before.state.client_order_id;
        ensure(told_before, "2.1", || format!("its name was {}", before.state.client_order_id))?;
        if event.order.client_order_id != before.state.client_order_id {
            self.name_is_free(before.account, event.order.client_order_id)?;
        }
        let mut after = amended(&before, &wish, event)?;
        let is_lost = loses_priority(&before, &after);
        let expected = if is_lost { Priority::Lost } else { Priority::Kept };
        ensure(event.priority == expected, if is_lost { "2.3" } else { "2.2" }, || {
            format!("the order was {:?}, stop price {:?}", before.state, before.stop_price)
        })?;
        let phase = self.instrument(before.state.instrument)?.phase;
        let takes = match phase {
            engine::instrument::Phase::CancelOnly | engine::instrument::Phase::Halted => !is_lost,
            engine::instrument::Phase::NoCancel => is_no_less_binding(&before, &after),
            engine::instrument::Phase::Closed => false,
            _ => true,
        };
        ensure(takes, "7.1", || format!("the phase is {phase:?}"))?;
        let is_for_auction = |it| matches!(it, TimeInForce::AtTheOpening | TimeInForce::AtTheClose);
        let (tif_before, tif_after) = (before.state.time_in_force, after.state.time_in_force);
        let keeps_auction = tif_before == tif_after || !(is_for_auction(tif_before) || is_for_auction(tif_after));
        ensure(keeps_auction, "2.14", || format!("its time in force was {tif_before:?}"))?;
        self.queues.remove(id, &before);
        if is_lost {
            after.place = self.next_place();
            after.first_best = self.best_opposite(after.state.instrument, after.state.side);
            after.bound = self.bound(&after)?;
            after.stand = match before.stand {
                Stand::Waiting if after.state.order_type.is_stop() => Stand::Waiting,
                Stand::ForTheClose => Stand::ForTheClose,
                _ if self.call(after.state.instrument).is_some() => Stand::Resting,
                _ => Stand::Incoming,
            };
            after.state.shown = after.tip();
        } else {
            // 2.12: a larger display quantity shows from the next tip on, a smaller one at once.
            after.state.shown = before.state.shown.min(after.tip());
            if matches!(before.stand, Stand::Waiting | Stand::ForTheClose) {
                after.state.shown = after.tip();
            }
        }
        self.take_place(id, after);
        self.same_state(id, &event.order)
    }

    pub(super) fn order_cancelled(&mut self, command: &Sequenced<Command>, event: &OrderCancelled) -> Checked {
        let id = event.order.order_id;
        if matches!(event.reason, CancelReason::DayEnded | CancelReason::Expired) {
            self.settle_incoming()?;
        }
        let order = self.open(id, event.report.account)?.clone();
        if self.done.is_some() {
            // It was told what had to be.
        } else if let Some(owed) = self.owed.pop_front() {
            let rest = order.state.leaves;
            let expected = match owed {
                Owed::Cancelled(owed) => owed == id,
                Owed::Reduced(owed) => owed == id && order.funds.is_none() && rest.is_zero(),
                _ => false,
            };
            let is_prevention = event.reason == CancelReason::SelfTradePrevention;
            ensure(expected && is_prevention, "4.2", || format!("told first has to be {owed:?}"))?;
        } else {
            ensure(event.reason != CancelReason::SelfTradePrevention, "4.2", || "nothing was prevented".to_owned())?;
        }
        let parts = [event.cancelled, order.state.cumulative, order.state.prevented];
        let sum: u128 = parts.iter().map(|part| u128::from(part.0)).sum();
        let adds_up = order.funds.is_some() || sum == u128::from(event.order.quantity.0);
        ensure(adds_up && event.cancelled == order.state.leaves, "4.7", || format!("the order is {:?}", order.state))?;
        let left = order.funds.map_or(u128::MAX, |funds| u128::try_from(funds).unwrap_or(0));
        ensure(event.cancelled_funds.0 == left, "1.13", || format!("{left} was not spent"))?;
        self.reason_holds(command, event, &order)?;
        let state = &mut self.orders.get_mut(&id).expect("looked at above").state;
        state.leaves = Quantity::ZERO;
        state.shown = Quantity::ZERO;
        let expected = self.orders[&id].told();
        ensure(event.order == expected, "4.7", || format!("the order is {expected:?}"))?;
        self.orders.insert(id, order);
        self.end(id);
        if self.incoming == Some(id) {
            self.incoming = None;
        }
        Ok(())
    }

    /// 1.2, 1.3, 1.4, 1.8, 1.9, 1.12: whether the reason is one that such an order can have, here and now.
    fn reason_holds(&self, command: &Sequenced<Command>, event: &OrderCancelled, order: &Order) -> Checked {
        let (reason, state) = (event.reason, &order.state);
        let is_incoming = self.incoming == Some(state.order_id);
        let next = self.queues.first(state.instrument, state.side.opposite());
        ensure(state.time_in_force != TimeInForce::FillOrKill, "1.4", || "it fills in full or not at all".to_owned())?;
        let insists = !order.minimum.is_absent() && is_by_matching(reason);
        ensure(!insists || state.cumulative >= order.minimum, "1.12", || {
            format!("the minimum quantity is {:?}", order.minimum)
        })?;
        match reason {
            CancelReason::ImmediateRemainder => {
                let limit = state.time_in_force == TimeInForce::ImmediateOrCancel && !order.is_market();
                let goes_on = next.is_some_and(|(price, _)| is_within(state.side, price, order.bound));
                ensure(is_incoming && limit && !goes_on, "1.3", || format!("the next order is at {next:?}"))
            }
            CancelReason::MarketRemainder => ensure(is_incoming && order.is_market() && next.is_none(), "1.2", || {
                format!("the next order is at {next:?}")
            }),
            CancelReason::MarketProtection => {
                let told = self.done == Some(Owed::Protected(state.order_id));
                ensure(told, "6.5", || "where its protection ended was not told".to_owned())?;
                ensure(is_incoming && order.is_market() && next.is_some(), "1.2", || "no order remains".to_owned())
            }
            CancelReason::FundsRemainder => {
                ensure(is_incoming && order.funds.is_some(), "1.13", || "it has no funds".to_owned())
            }
            CancelReason::Collar => {
                let told = self.done == Some(Owed::Collared(state.order_id));
                let is_in_call = self.instrument(state.instrument)?.call.is_some();
                let rests = order.state.time_in_force.rests() && !order.is_market();
                ensure(is_incoming && (told || (is_in_call && !rests)), "6.4", || "no collar stopped it".to_owned())
            }
            CancelReason::OpeningRemainder | CancelReason::ClosingRemainder | CancelReason::AuctionRemainder => {
                let told = self.done == Some(Owed::Ended(state.order_id, reason));
                ensure(told, "5.9", || "it is no remainder of an auction".to_owned())
            }
            CancelReason::InsufficientFunds => {
                let joins = self.done == Some(Owed::Joined(state.order_id));
                let stands = order.stand == Stand::Resting
                    && matches!(command.value.body, CommandBody::SetPriceProtection(it) if it.instrument == state.instrument);
                let buys = order.is_market() && state.side == Side::Buy;
                ensure(buys && (joins || stands), "5.13", || "it is no market buy in a call".to_owned())
            }
            CancelReason::CapacityFull if self.done == Some(Owed::Joined(state.order_id)) => Ok(()),
            CancelReason::CapacityFull => {
                ensure(is_incoming && state.order_type == OrderType::StopLimit, "3.10", || {
                    "it is no elected StopLimit".to_owned()
                })
            }
            CancelReason::AmendedToFilled => {
                let CommandBody::ReplaceOrder(wish) = command.value.body else {
                    return ensure(false, "2.5", || "no amend was asked for".to_owned());
                };
                let used = state.cumulative.0 + state.prevented.0;
                ensure(wish.quantity.0 <= used, "2.5", || format!("filled and prevented are {used}"))
            }
            CancelReason::DayEnded => {
                use TimeInForce::{AtTheClose, AtTheOpening, Day};
                let of_day = matches!(state.time_in_force, Day | AtTheOpening | AtTheClose);
                ensure(of_day, "1.8", || "it is no order of the day".to_owned())
            }
            CancelReason::Expired => {
                let due = state.time_in_force == TimeInForce::GoodTillDate && order.expire_at <= command.stamp.time;
                ensure(due, "1.9", || format!("it expires at {}", order.expire_at))
            }
            _ => Ok(()),
        }
    }

    /// 1.9: an AdvanceTime ends every order whose expiry has come.
    pub(super) fn nothing_is_overdue(&self, command: &Sequenced<Command>) -> Checked {
        let is_due = |order: &&Order| !order.expire_at.is_none() && order.expire_at <= command.stamp.time;
        let advances = matches!(command.value.body, CommandBody::AdvanceTime(_));
        let overdue = self.orders.values().filter(|_| advances).find(is_due);
        ensure(overdue.is_none(), "1.9", || format!("still open: {overdue:?}"))
    }

    /// 5.10: an order that waited for the close stands behind all others at its place.
    fn joined_call(&mut self, event: &OrderRestated) -> Checked {
        let id = event.order.order_id;
        ensure(self.done == Some(Owed::Joined(id)), "5.10", || "it does not join now".to_owned())?;
        let place = self.next_place();
        let order = self.orders.get_mut(&id).expect("looked at before");
        order.stand = Stand::Resting;
        order.place = place;
        order.state.shown = order.tip();
        self.queues.insert(id, &self.orders[&id]);
        self.same_state(id, &event.order)
    }

    pub(super) fn order_restated(&mut self, event: &OrderRestated) -> Checked {
        let id = event.order.order_id;
        let display = self.open(id, event.report.account)?.display;
        ensure(event.display_quantity == display, "1.10", || format!("the display quantity is {display:?}"))?;
        if event.reason == RestatementReason::JoinedCall {
            return self.joined_call(event);
        }
        let owed = self.owed.pop_front();
        match event.reason {
            RestatementReason::DisplayRefreshed => {
                ensure(owed == Some(Owed::Refreshed(id)), "1.10", || "no tip of it was used up".to_owned())?;
                let place = self.next_place();
                let before = self.orders[&id].clone();
                self.queues.remove(id, &before);
                let order = self.orders.get_mut(&id).expect("looked at above");
                order.place = place;
                order.state.shown = order.tip();
                self.queues.insert(id, &self.orders[&id]);
            }
            RestatementReason::Prevented => {
                let order = &self.orders[&id];
                let is_left = order.funds.is_some() || !order.state.leaves.is_zero();
                ensure(owed == Some(Owed::Reduced(id)) && is_left, "4.7", || format!("told first: {owed:?}"))?;
            }
            RestatementReason::JoinedCall => {}
            RestatementReason::TradeBusted => {
                ensure(false, "8.17", || "a bust leaves orders as they are".to_owned())?;
            }
        }
        self.same_state(id, &event.order)
    }
}

/// 7: the same type and stop price, the same or a better price, and no less quantity.
fn is_no_less_binding(before: &Order, after: &Order) -> bool {
    let (was, is) = (&before.state, &after.state);
    let no_worse = was.price == is.price || is_within(was.side, was.price, is.price);
    (was.order_type, before.stop_price) == (is.order_type, after.stop_price) && is.quantity >= was.quantity && no_worse
}

/// Whether a request names this order: by the venue's name if that is given, else by the trader's.
pub(super) fn is_named(order: &Order, id: OrderId, by_id: OrderId, by_name: ClientOrderId) -> bool {
    if by_id.is_none() { !by_name.is_none() && by_name == order.state.client_order_id } else { by_id == id }
}

/// 2.1, 2.4, 2.11: the order with what the amend names, and without what its new type does not have.
fn amended(before: &Order, wish: &ReplaceOrder, event: &OrderReplaced) -> Result<Order, Fault> {
    let state = before.state;
    let order_type = wish.order_type.unwrap_or(state.order_type);
    let time_in_force = wish.time_in_force.unwrap_or(state.time_in_force);
    let given = |wish: Price, before: Price| if wish.is_absent() { before } else { wish };
    let is_stop = order_type.is_stop();
    let quantity = if wish.quantity.is_absent() { state.quantity } else { wish.quantity };
    let used = state.cumulative.0 + state.prevented.0;
    ensure(quantity.0 > used, "2.5", || format!("filled and prevented are {used}"))?;
    let price = if order_type.has_price() { given(wish.price, state.price) } else { Price::ABSENT };
    let client_order_id = if wish.client_order_id.is_none() { state.client_order_id } else { wish.client_order_id };
    let told = (event.stop_price, event.expire_at);
    let stop_price = if is_stop { given(wish.stop_price, before.stop_price) } else { Price::ABSENT };
    let expire_at = match time_in_force {
        TimeInForce::GoodTillDate if !wish.expire_at.is_none() => wish.expire_at,
        TimeInForce::GoodTillDate => before.expire_at,
        _ => Timestamp::NONE,
    };
    ensure(told == (stop_price, expire_at), "2.1", || format!("stop price {stop_price:?}, expiry {expire_at}"))?;
    let display = event.display_quantity;
    let wished = if wish.display_quantity.is_absent() { before.display } else { wish.display_quantity };
    let fits = display == wished || (display < wished && display <= quantity) || display.is_absent();
    ensure(fits, "2.12", || format!("the display quantity would be {wished:?}"))?;
    let leaves = Quantity(quantity.0 - used);
    let state = OrderState { order_type, time_in_force, price, quantity, client_order_id, leaves, ..state };
    Ok(Order { state, stop_price, expire_at, display, ..before.clone() })
}

/// 2.3: another price, more quantity, another type and another stop price.
fn loses_priority(before: &Order, after: &Order) -> bool {
    before.state.price != after.state.price
        || before.state.quantity < after.state.quantity
        || before.state.order_type != after.state.order_type
        || before.stop_price != after.stop_price
}

/// 1.5: whether an order may not take.
pub(super) fn is_post_only(order: &Order) -> bool {
    order.state.flags.contains(OrderFlags::POST_ONLY)
}

/// The book's key of an order: its instrument and side.
pub(super) fn book_of(order: &Order) -> (InstrumentId, Side) {
    (order.state.instrument, order.state.side)
}
