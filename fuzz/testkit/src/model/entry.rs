//! Rules 1 and 9: which orders go together, who is refused, and how an order enters.

use engine::command::NewOrder;
use engine::event::{OrderAccepted, OrderRejected, PriceBound};
use engine::*;

use super::Model;
use super::matching::{End, Plan};
use super::orders::{Order, Role, State};
use super::phases;

/// What an order would be, entered or amended: what rule 9 judges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) account: AccountId,
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) time_in_force: TimeInForce,
    pub(super) flags: OrderFlags,
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) funds: Amount,
    pub(super) stop_price: Price,
    pub(super) display: Quantity,
    pub(super) minimum: Quantity,
    pub(super) expire_at: Timestamp,
    /// Of an amend that only shrinks, how far its order may trade already: no maximum binds it (2.10).
    pub(super) shrinks_within: Option<Price>,
    /// Whether it works already, so that no trigger of it matters any more.
    pub(super) works: bool,
}

type Judged = Result<(), RejectReason>;

/// Refuses with `reason` unless `right`.
pub(super) fn ensure(right: bool, reason: RejectReason) -> Judged {
    if right { Ok(()) } else { Err(reason) }
}

impl Wish {
    fn of(order: &NewOrder) -> Self {
        Self {
            account: order.account,
            instrument: order.instrument,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            flags: order.flags,
            price: order.price,
            quantity: order.quantity,
            funds: order.funds,
            stop_price: order.stop_price,
            display: order.display_quantity,
            minimum: order.minimum_quantity,
            expire_at: order.expire_at,
            shrinks_within: None,
            works: false,
        }
    }

    pub(super) fn is_post_only(&self) -> bool {
        self.flags.contains(OrderFlags::POST_ONLY)
    }

    /// Whether funds stand for its quantity (1.13).
    pub(super) fn is_by_funds(&self) -> bool {
        let market_buy = self.order_type == OrderType::Market && self.side == Side::Buy;
        market_buy && self.quantity.is_absent() && !self.funds.is_absent()
    }

    /// Rule 1's tables.
    pub(super) fn goes_together(&self) -> bool {
        use TimeInForce::*;
        let lasting = matches!(self.time_in_force, GoodTillCancel | Day | GoodTillDate);
        let in_auction = matches!(self.time_in_force, AtTheOpening | AtTheClose);
        let immediate = matches!(self.time_in_force, ImmediateOrCancel | FillOrKill);
        let lifetime = match self.order_type {
            OrderType::Limit => lasting || immediate || in_auction,
            OrderType::Market => matches!(self.time_in_force, GoodTillCancel | Day) || immediate || in_auction,
            OrderType::Stop | OrderType::StopLimit => lasting,
        };
        let flags = self.flags.0 & !OrderFlags::KNOWN.0 == 0;
        let post_only = !self.is_post_only() || (self.order_type == OrderType::Limit && lasting);
        let display =
            self.display.is_absent() || (matches!(self.order_type, OrderType::Limit | OrderType::StopLimit) && lasting);
        let minimum = self.minimum.is_absent()
            || (matches!(self.order_type, OrderType::Limit | OrderType::Market)
                && self.time_in_force == ImmediateOrCancel
                && !self.is_by_funds());
        let funds = !self.is_by_funds() || (self.time_in_force != FillOrKill && !in_auction);
        lifetime && flags && post_only && display && minimum && funds
    }
}

impl Model {
    pub(super) fn new_order(&mut self, new: &NewOrder) {
        if let Err(reason) = self.judge_new(new) {
            if reason == RejectReason::OutsidePriceBand {
                self.tell_entry_breach(&Wish::of(new));
            }
            self.reject_order(new, reason);
            return;
        }
        let order = self.accept(new);
        self.report_accepted(new, &order);
        let id = order.id;
        if order.state == State::Incoming {
            self.enter(id);
        }
    }

    /// Rule 9, in the order of its table.
    fn judge_new(&self, new: &NewOrder) -> Judged {
        use RejectReason::*;
        ensure(self.may_trade(new.account), NotEntitled)?;
        ensure(self.instruments.contains_key(&new.instrument), UnknownInstrument)?;
        ensure(new.account != AccountId::FEES, UnknownAccount)?;
        let account = self.accounts.get(&new.account).ok_or(UnknownAccount)?;
        ensure(!account.is_blocked, AccountBlocked)?;
        ensure(self.named(new.account, new.client_order_id).is_none(), DuplicateClientOrderId)?;
        let wish = Wish::of(new);
        let allowed = new.self_trade_prevention != Some(SelfTradePrevention::Allow);
        ensure(wish.goes_together() && allowed, InvalidCombination)?;
        ensure(self.phase_takes(&wish), PhaseNotAllowed)?;
        self.judge_fields(&wish)?;
        ensure(self.entry_breach(&wish).is_none(), OutsidePriceBand)?;
        self.judge_account(&wish, true)?;
        let order = self.made_of(new);
        let need = self.need(&order);
        ensure(self.covers(order.account, &order, need), InsufficientFunds)?;
        self.judge_match(&order)
    }

    /// Reasons 110 to 260: what stands in the order itself.
    pub(super) fn judge_fields(&self, wish: &Wish) -> Judged {
        use RejectReason::*;
        let instrument = &self.instruments[&wish.instrument];
        let limits = instrument.limits;
        let bound = wish.shrinks_within.is_none();
        if matches!(wish.order_type, OrderType::Limit | OrderType::StopLimit) {
            ensure(!wish.price.is_absent(), PriceMissing)?;
            ensure(wish.price.0 != 0, PriceNotPositive)?;
            ensure(wish.price != Price::OFF_TICK, PriceOffTick)?;
            ensure(wish.price <= limits.price_max || !bound, PriceOutOfRange)?;
        } else {
            ensure(wish.price.is_absent(), PriceSuperfluous)?;
        }
        if !wish.is_by_funds() {
            ensure(!wish.quantity.is_absent() && !wish.quantity.is_zero(), QuantityNotPositive)?;
            ensure(wish.quantity != Quantity::OFF_LOT, QuantityOffLot)?;
            ensure(wish.quantity >= limits.quantity_min, QuantityBelowMinimum)?;
            ensure(wish.quantity <= limits.quantity_max || !bound, QuantityAboveMaximum)?;
        }
        let display = wish.display.is_absent() || (1..=wish.quantity.0).contains(&wish.display.0);
        let tips = wish.display.is_absent()
            || u128::from(wish.display.0) * u128::from(engine::limits::TIPS_MAX) >= u128::from(wish.quantity.0);
        ensure(display && tips, DisplayQuantityInvalid)?;
        let minimum = wish.minimum.is_absent() || (1..=wish.quantity.0).contains(&wish.minimum.0);
        ensure(minimum, MinimumQuantityInvalid)?;
        let pays = wish.is_by_funds()
            && (Amount(1)..=Amount::MAX).contains(&wish.funds)
            && !instrument.listing.quote.is_none();
        let funds = wish.funds.is_absent() || pays;
        ensure(funds, FundsInvalid)?;
        if let Some(notional) = self.wish_notional(wish) {
            ensure(notional >= limits.notional_min.0, NotionalBelowMinimum)?;
            ensure(notional <= limits.notional_max.0 || !bound, NotionalAboveMaximum)?;
        }
        let expiry = if wish.time_in_force == TimeInForce::GoodTillDate {
            wish.expire_at > self.now()
        } else {
            wish.expire_at.is_none()
        };
        ensure(expiry, ExpiryInvalid)?;
        ensure(self.has_trigger_that_it_needs(wish), StopPriceInvalid)
    }

    /// Reason 260: a stop that waits has a stop price within bounds, and nothing else has one.
    fn has_trigger_that_it_needs(&self, wish: &Wish) -> bool {
        let price_max = self.instruments[&wish.instrument].limits.price_max;
        match wish.order_type {
            OrderType::Stop | OrderType::StopLimit => {
                wish.works || wish.shrinks_within.is_some() || (1..=price_max.0).contains(&wish.stop_price.0)
            }
            OrderType::Limit | OrderType::Market => wish.stop_price.is_absent(),
        }
    }

    /// What the order comes to at the worst price that it may trade at; none if it has no such price.
    fn wish_notional(&self, wish: &Wish) -> Option<u128> {
        let instrument = &self.instruments[&wish.instrument];
        if instrument.quote_units == 0 {
            return None;
        }
        if wish.is_by_funds() {
            return Some(wish.funds.0);
        }
        if wish.order_type == OrderType::Stop && !self.has_trigger_that_it_needs(wish) {
            return None;
        }
        let mut price = wish.shrinks_within.unwrap_or_else(|| self.worst_price(wish));
        if wish.order_type == OrderType::Market && wish.side == Side::Sell && self.stands(wish) {
            // 5.2: or at the reference price, if that is higher.
            price = [price, instrument.reference].into_iter().filter(|it| !it.is_absent()).max().unwrap_or(price);
        }
        (!price.is_absent()).then(|| self.notional(wish.instrument, price, wish.quantity.0))
    }

    /// Reasons 280 to 310: the account's limits, those of the instrument beside those for all (8.11, 8.19).
    pub(super) fn judge_account(&self, wish: &Wish, opens: bool) -> Judged {
        use RejectReason::*;
        let account = &self.accounts[&wish.account];
        let reference = self.instruments[&wish.instrument].reference;
        let both = account.limits_in(wish.instrument);
        let notional = self.wish_notional(wish);
        let shrinks = wish.shrinks_within.is_some();
        for (_, limits) in &both {
            let bound = wish.quantity.is_absent() || limits.quantity_max.is_absent();
            ensure(bound || wish.quantity <= limits.quantity_max || shrinks, AccountQuantityLimit)?;
        }
        for (_, limits) in &both {
            let within =
                notional.is_none_or(|notional| limits.notional_max.is_absent() || notional <= limits.notional_max.0);
            ensure(within || shrinks, AccountNotionalLimit)?;
        }
        for (instrument, limits) in &both {
            let counted = |order: &&Order| {
                order.account == wish.account && (instrument.is_none() || order.instrument == *instrument)
            };
            let open = self.orders.iter().filter(counted).count();
            ensure(!opens || (open as u64) < u64::from(limits.open_orders_max), AccountOpenOrdersLimit)?;
        }
        let is_standing_market = wish.order_type == OrderType::Market && self.stands(wish);
        let price = if is_standing_market { self.worst_price(wish) } else { wish.price };
        for (_, limits) in &both {
            let furthest = limits.price_deviation.furthest(wish.side, reference);
            let within = price.is_absent() || reference.is_absent() || !is_worse(wish.side, price, furthest);
            ensure(within || shrinks, AccountPriceDeviation)?;
        }
        Ok(())
    }

    /// Reasons 330 and 340: what the book would make of it.
    pub(super) fn judge_match(&self, order: &Order) -> Judged {
        use RejectReason::*;
        let is_post_only = order.flags.contains(OrderFlags::POST_ONLY);
        let takes = self.would_take(order);
        match order.state {
            State::Waiting | State::ForTheClose => return Ok(()),
            // In a call orders may cross without matching.
            State::Resting => return ensure(!is_post_only || !takes, PostOnlyWouldTake),
            State::Incoming => {}
        }
        let may_take = !is_post_only && phases::matches_orders(self.instruments[&order.instrument].phase);
        ensure(may_take || !takes, PostOnlyWouldTake)?;
        let least = if order.time_in_force == TimeInForce::FillOrKill {
            order.quantity.0
        } else if order.minimum.is_absent() {
            0
        } else {
            order.minimum.0
        };
        ensure(self.plan(order).traded() >= u128::from(least), CannotFill)
    }

    /// Whether an order stands without matching (5.2), or waits for a call to do so (5.10).
    fn stands(&self, wish: &Wish) -> bool {
        wish.time_in_force == TimeInForce::AtTheClose || self.is_in_call(wish.instrument)
    }

    /// Where a new order stands at first.
    fn first_state(&self, new: &NewOrder) -> State {
        if new.order_type.is_stop() {
            State::Waiting
        } else if new.time_in_force == TimeInForce::AtTheClose && !self.is_in_closing_call(new.instrument) {
            State::ForTheClose
        } else if self.is_in_call(new.instrument) {
            State::Resting
        } else {
            State::Incoming
        }
    }

    /// 6.2: what an order was measured from, before its refusal.
    pub(super) fn tell_entry_breach(&mut self, wish: &Wish) {
        let breach = self.entry_breach(wish).expect("a breach was found");
        self.tell_breach(wish.instrument, OrderId::NONE, PriceBound::EntryBand, breach);
    }

    /// The best opposite price.
    pub(super) fn best_opposite(&self, instrument: InstrumentId, side: Side) -> Price {
        self.book(instrument, side.opposite()).first().map_or(Price::ABSENT, |best| best.price)
    }

    /// The worst price that an order may trade at: its limit, or its protection (1.2, 3.9, 5.2, 8.11).
    pub(super) fn worst_price(&self, wish: &Wish) -> Price {
        let protection = self.instruments[&wish.instrument].protection.market;
        match wish.order_type {
            OrderType::Limit | OrderType::StopLimit => wish.price,
            OrderType::Stop => protection.furthest(wish.side, wish.stop_price),
            OrderType::Market if self.stands(wish) => self.worst_in_call(wish.instrument, wish.side),
            OrderType::Market => match self.best_opposite(wish.instrument, wish.side) {
                Price::ABSENT => Price::ABSENT,
                best => {
                    let bound = protection.furthest(wish.side, best);
                    self.within_account(wish.account, wish.instrument, wish.side, bound)
                }
            },
        }
    }

    /// 8.11: a market order reaches no further than its account may.
    pub(super) fn within_account(
        &self,
        account: AccountId,
        instrument: InstrumentId,
        side: Side,
        bound: Price,
    ) -> Price {
        let reference = self.instruments[&instrument].reference;
        if reference.is_absent() {
            return bound;
        }
        let limits = self.accounts[&account].limits_in(instrument);
        limits.iter().fold(bound, |bound, (_, limits)| {
            let furthest = limits.price_deviation.furthest(side, reference);
            if is_worse(side, bound, furthest) { furthest } else { bound }
        })
    }

    /// The order that a command would make.
    fn made_of(&self, new: &NewOrder) -> Order {
        let wish = Wish::of(new);
        let account = &self.accounts[&new.account];
        let instrument = &self.instruments[&new.instrument];
        let leaves = if new.quantity.is_absent() { 0 } else { new.quantity.0 };
        let mode = new.self_trade_prevention.or(account.self_trade_prevention);
        let mut order = Order {
            id: OrderId(self.orders_accepted + 1),
            account: new.account,
            session: self.turn.header.session,
            instrument: new.instrument,
            client_order_id: new.client_order_id,
            side: new.side,
            order_type: new.order_type,
            time_in_force: new.time_in_force,
            flags: new.flags,
            price: new.price,
            stop_price: new.stop_price,
            quantity: new.quantity,
            leaves,
            cumulative: 0,
            prevented: 0,
            shown: 0,
            display: new.display_quantity,
            minimum: new.minimum_quantity,
            funds: new.funds,
            expire_at: new.expire_at,
            on_disconnect: new.on_disconnect,
            // 4.3: its own before its account's before its instrument's.
            mode: mode.unwrap_or(instrument.listing.self_trade_prevention),
            state: self.first_state(new),
            rates: instrument.rates(account.fee_tier),
            first_best: self.best_opposite(new.instrument, new.side),
            bound: self.worst_price(&wish),
            place: self.places + 1,
            maker: Role::default(),
            taker: Role::default(),
        };
        order.shown = order.tip();
        order
    }

    fn accept(&mut self, new: &NewOrder) -> Order {
        let order = self.made_of(new);
        self.next_place();
        self.orders_accepted += 1;
        self.orders.push(order.clone());
        order
    }

    /// Matches an incoming order, and rests or ends what is left.
    pub(super) fn enter(&mut self, id: OrderId) {
        let plan: Plan = self.plan(self.order(id));
        self.carry_out_plan(id, &plan);
        match plan.end {
            End::Filled => self.end(id, OrderStatus::Filled),
            End::Gone => {}
            End::Prevented => self.cancel(id, CancelReason::SelfTradePrevention, ClientOrderId::NONE),
            End::FundsSpent => self.cancel(id, CancelReason::FundsRemainder, ClientOrderId::NONE),
            End::Collared(breach) => self.stop_at_collar(id, breach),
            End::Empty if self.order(id).enters_as() == OrderType::Market => {
                self.cancel(id, CancelReason::MarketRemainder, ClientOrderId::NONE);
            }
            End::Beyond(price) if self.order(id).enters_as() == OrderType::Market => {
                self.tell_market_protection(id, price);
                self.cancel(id, CancelReason::MarketProtection, ClientOrderId::NONE);
            }
            End::Empty | End::Beyond(_) if self.order(id).time_in_force == TimeInForce::ImmediateOrCancel => {
                self.cancel(id, CancelReason::ImmediateRemainder, ClientOrderId::NONE);
            }
            End::Empty | End::Beyond(_) => self.stand(id),
        }
    }

    fn report_accepted(&mut self, new: &NewOrder, order: &Order) {
        let report = self.report(order.account, order.session);
        self.emit(OrderAccepted {
            report,
            order: order.told(),
            self_trade_prevention: order.mode,
            on_disconnect: order.on_disconnect,
            funds: new.funds,
            stop_price: new.stop_price,
            display_quantity: new.display_quantity,
            minimum_quantity: new.minimum_quantity,
            expire_at: new.expire_at,
        });
    }

    fn reject_order(&mut self, new: &NewOrder, reason: RejectReason) {
        let report = self.report_refusal(new.account, reason);
        let original = match reason {
            RejectReason::DuplicateClientOrderId => self.named(new.account, new.client_order_id),
            _ => None,
        };
        self.emit(OrderRejected {
            report,
            instrument: new.instrument,
            client_order_id: new.client_order_id,
            side: new.side,
            price: new.price,
            quantity: new.quantity,
            reason,
            original_order_id: original.map_or(OrderId::NONE, |original| original.0),
            original_status: original.map(|original| original.1),
        });
    }
}

/// Whether `price` is further against the order's own interest than `bound`.
pub(super) fn is_worse(side: Side, price: Price, bound: Price) -> bool {
    match side {
        Side::Buy => price > bound,
        Side::Sell => price < bound,
    }
}
