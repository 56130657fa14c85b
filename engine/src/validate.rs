//! Whether an order may enter or change (rule 9), in the rulebook's order of precedence.
//!
//! A new order and what an amend makes of one are judged by the same checks, over [`Terms`].

use crate::accounts::Account;
use crate::book::arena::{Arena, Order, Place, Slot};
use crate::call::CallKind;
use crate::command::{NewOrder, ReplaceOrder, Switch};
use crate::directory::Right;
use crate::engine::Engine;
use crate::event::EventSink;
use crate::instrument::FeeRates;
use crate::limits::TIPS_MAX;
use crate::market::Market;
use crate::order::{OrderFlags, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::phases::{Amend, Entry, Matching, rules};
use crate::reject::RejectReason;
use crate::risk::{Bounds, Exposure, held_asset};
use crate::self_trade::Walk;
use crate::turn::Turn;
use crate::{AccountId, Amount, ClientOrderId, Price, Quantity, Timestamp};

/// What an accepted order starts with, beyond what its command says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entrant {
    /// How far it may trade.
    pub(crate) limit: Price,
    /// What may trade; zero for a funds order.
    pub(crate) leaves: Quantity,
    /// Its mode as the incoming order.
    pub(crate) mode: SelfTradePrevention,
    /// The rates that it keeps.
    pub(crate) rates: FeeRates,
    /// What it holds.
    pub(crate) hold: u128,
}

/// What an amend makes of an order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amendment {
    pub(crate) slot: Slot,
    pub(crate) terms: Terms,
    /// How far it may trade.
    pub(crate) limit: Price,
}

/// What an order asks for, or what an amend makes of it: the filled part included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) side: Side,
    pub(crate) order_type: OrderType,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) flags: OrderFlags,
    pub(crate) price: Price,
    pub(crate) quantity: Quantity,
    pub(crate) funds: Amount,
    pub(crate) stop_price: Price,
    pub(crate) display: Quantity,
    pub(crate) minimum: Quantity,
    pub(crate) expire_at: Timestamp,
}

impl Terms {
    pub(crate) fn of_new(order: &NewOrder) -> Self {
        Self {
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
        }
    }

    /// An open order's, as they are.
    pub(crate) fn of(arena: &Arena, slot: Slot) -> Self {
        let (order, extras) = (&arena[slot], arena.extras(slot));
        Self {
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            flags: order.flags,
            price: order.price(),
            quantity: arena.quantity(slot),
            funds: extras.funds,
            stop_price: extras.stop_price,
            display: extras.display,
            minimum: Quantity::ABSENT,
            expire_at: extras.expire_at,
        }
    }

    /// An open order's with what an amend says. What the new type or time in force does not have is dropped, unless the
    /// amend itself says it.
    pub(crate) fn amended(arena: &Arena, slot: Slot, replace: &ReplaceOrder) -> Self {
        let before = Self::of(arena, slot);
        let order_type = replace.order_type.unwrap_or(before.order_type);
        let time_in_force = replace.time_in_force.unwrap_or(before.time_in_force);
        let quantity = if replace.quantity.is_absent() { before.quantity } else { replace.quantity };
        let price = kept(order_type.has_price(), before.price, Price::ABSENT);
        // An order that works has no trigger any more that could be changed.
        let stop_price = kept(order_type.is_stop(), before.stop_price, Price::ABSENT);
        let display = kept(order_type.has_price(), before.display, Quantity::ABSENT);
        let is_dated = time_in_force == TimeInForce::GoodTillDate;
        let expire_at = kept(is_dated, before.expire_at, Timestamp::NONE);
        Self {
            order_type,
            time_in_force,
            price: if replace.price.is_absent() { price } else { replace.price },
            quantity,
            stop_price: if replace.stop_price.is_absent() { stop_price } else { replace.stop_price },
            display: match replace.display_quantity {
                Quantity::ABSENT if display.is_absent() => display,
                Quantity::ABSENT => display.min(quantity),
                display => display,
            },
            expire_at: if replace.expire_at.is_none() { expire_at } else { replace.expire_at },
            ..before
        }
    }

    /// Whether funds stand for its quantity.
    fn is_by_funds(&self) -> bool {
        self.order_type == OrderType::Market
            && self.side == Side::Buy
            && self.quantity.is_absent()
            && !self.funds.is_absent()
    }

    fn is_post_only(&self) -> bool {
        self.flags.contains(OrderFlags::POST_ONLY)
    }

    /// Where what is left of it will stand.
    fn place(&self) -> (Place, Price) {
        if self.order_type.is_stop() { (Place::Stops, self.stop_price) } else { (Place::Book, self.price) }
    }

    /// Whether an order that had the terms `before` keeps its place with these.
    pub(crate) fn keeps_priority(&self, before: &Self) -> bool {
        (self.order_type, self.price, self.stop_price) == (before.order_type, before.price, before.stop_price)
            && self.quantity <= before.quantity
    }
}

fn kept<T>(has_it: bool, value: T, none: T) -> T {
    if has_it { value } else { none }
}

impl Engine {
    /// Judges a new order rule by rule, in the rulebook's order of precedence.
    #[inline(never)]
    pub(crate) fn check_new_order<S: EventSink>(
        &self,
        turn: &Turn<'_, S>,
        order: &NewOrder,
    ) -> Result<Entrant, RejectReason> {
        self.check_right(turn, Right::Trade(order.account))?;
        let market = self.listed(order.instrument)?;
        let account = self.trading_account(order.account)?;
        self.check_name_is_free(order.account, order.client_order_id)?;
        let terms = &Terms::of_new(order);
        check_combination(terms)?;
        if order.self_trade_prevention == Some(SelfTradePrevention::Allow) {
            return Err(RejectReason::InvalidCombination);
        }
        check_entry(market, terms)?;
        check_order_price(market, terms)?;
        check_quantities(market, terms)?;
        check_funds_given(market, terms)?;
        let bounds = self.bounds(order.account, account, order.instrument);
        let limit = self.reach(market, &bounds, terms);
        let notional = notional(market, terms, limit);
        check_notional(market, terms, limit, notional)?;
        check_expiry(terms, turn.stamp.time)?;
        check_stop_price(market, terms)?;
        check_entry_band(market, terms, true)?;
        bounds.check_size(terms.quantity, notional)?;
        bounds.check_open_orders()?;
        check_deviation(market, &bounds, terms, limit)?;
        let own_mode = order.self_trade_prevention.or(account.self_trade_prevention);
        let mode = market.self_trade_prevention(own_mode);
        let entrant = self.check_available(market, account, order.account, terms, limit, mode)?;
        if terms.is_post_only() && market.book.would_take(terms.side, limit) {
            return Err(RejectReason::PostOnlyWouldTake);
        }
        if let Some(enough) = insists_on(terms) {
            let (account, instrument) = (order.account, order.instrument);
            let walk = Walk { account, mode, instrument, side: terms.side, limit, quantity: terms.quantity };
            if !self.would_trade(&walk, enough) {
                return Err(RejectReason::CannotFill);
            }
        }
        let may_stay = terms.order_type != OrderType::Market
            && terms.time_in_force.rests()
            && !market.waits_for_close(terms.time_in_force);
        let (place, at) = terms.place();
        if !self.orders.arena.has_room() || may_stay && !market.book.has_room(&self.orders, place, terms.side, at) {
            return Err(RejectReason::CapacityFull);
        }
        Ok(entrant)
    }

    /// Judges an amend.
    pub(crate) fn check_replace<S: EventSink>(
        &self,
        turn: &Turn<'_, S>,
        replace: &ReplaceOrder,
    ) -> Result<Amendment, RejectReason> {
        self.check_right(turn, Right::Trade(replace.account))?;
        let account = self.trading_account(replace.account)?;
        let slot = self.find_order(replace.account, replace.order_id, replace.original_client_order_id);
        let arena = &self.orders.arena;
        let own_name = slot.map_or(replace.original_client_order_id, |slot| arena.details(slot).client_order_id);
        if replace.client_order_id != own_name {
            self.check_name_is_free(replace.account, replace.client_order_id)?;
        }
        let slot = slot.ok_or(RejectReason::UnknownOrder)?;
        let (order, market) = (&arena[slot], self.market_of(slot));
        let (before, terms) = (Terms::of(arena, slot), &Terms::amended(arena, slot, replace));
        check_change(order, terms)?;
        check_combination(terms)?;
        check_amend(market, &before, terms)?;
        // What only shrinks an order is bounded by no maximum that was set since.
        let shrinks = terms.keeps_priority(&before);
        if !shrinks {
            check_order_price(market, terms)?;
        }
        check_amended_quantities(market, terms, replace, shrinks)?;
        let bounds = self.bounds(replace.account, account, order.instrument);
        let limit = if shrinks { order.limit } else { self.reach(market, &bounds, terms) };
        let notional = notional(market, terms, limit);
        match check_notional(market, terms, limit, notional) {
            Err(RejectReason::NotionalAboveMaximum) if shrinks => {}
            checked => checked?,
        }
        check_expiry(terms, turn.stamp.time)?;
        if !order.waits() && !replace.stop_price.is_absent() {
            return Err(RejectReason::StopPriceInvalid);
        }
        if !shrinks {
            // An elected StopLimit still names its stop price, which bounds nothing any more.
            if order.waits() || !terms.order_type.is_stop() {
                check_stop_price(market, terms)?;
            }
            check_entry_band(market, terms, order.waits())?;
            bounds.check_size(terms.quantity, notional)?;
            check_deviation(market, &bounds, terms, limit)?;
            self.check_amended_available(market, slot, terms, limit)?;
        }
        let leaves = Quantity(terms.quantity.0.saturating_sub(arena.gone(slot).0));
        if !shrinks && !leaves.is_zero() {
            self.check_new_place(market, order, terms)?;
        }
        Ok(Amendment { slot, terms: *terms, limit })
    }

    /// Whether an amended order may go where it goes: it takes nothing that it may not, and finds room.
    fn check_new_place(&self, market: &Market, order: &Order, terms: &Terms) -> Result<(), RejectReason> {
        let may_not_take = terms.is_post_only() || rules(market.phase).matching == Matching::No && !market.gathers();
        let works = !terms.order_type.is_stop() || !order.waits() && terms.order_type == order.order_type;
        let stood = matches!(order.place, Place::Book | Place::Market);
        if works && !stood && market.waits_for_close(terms.time_in_force) {
            return Ok(());
        }
        if works && terms.order_type.has_price() {
            if may_not_take && market.book.would_take(terms.side, terms.price) {
                return Err(RejectReason::PostOnlyWouldTake);
            }
            if !market.book.has_room(&self.orders, Place::Book, terms.side, terms.price) {
                return Err(RejectReason::CapacityFull);
            }
        }
        if !works && !market.book.has_room(&self.orders, Place::Stops, terms.side, terms.stop_price) {
            return Err(RejectReason::CapacityFull);
        }
        Ok(())
    }

    /// The account, if it may trade.
    #[inline(always)]
    fn trading_account(&self, id: AccountId) -> Result<&Account, RejectReason> {
        let account = self.accounts.get(id.0).filter(|_| id != AccountId::FEES);
        let account = account.ok_or(RejectReason::UnknownAccount)?;
        match account.kill_switch {
            Switch::Engaged => Err(RejectReason::AccountBlocked),
            Switch::Lifted => Ok(account),
        }
    }

    #[inline(always)]
    pub(crate) fn check_name_is_free(&self, account: AccountId, id: ClientOrderId) -> Result<(), RejectReason> {
        if !id.is_none() && !self.names.is_free(&self.orders.arena, account, id) {
            return Err(RejectReason::DuplicateClientOrderId);
        }
        Ok(())
    }

    /// How far an order may trade: its limit; a Stop to its stop price and the protection; a market order to the best
    /// opposite price and the protection, within what its account allows, or nowhere, at price zero, if nothing is
    /// there; for an auction, to the worst price of its band.
    fn reach(&self, market: &Market, bounds: &Bounds, terms: &Terms) -> Price {
        let (side, protection) = (terms.side, market.protection.market);
        match terms.order_type {
            OrderType::Limit | OrderType::StopLimit => terms.price,
            OrderType::Stop if check_price(market, terms.stop_price).is_err() => Price::ZERO,
            OrderType::Stop => protection.furthest(side, terms.stop_price),
            OrderType::Market if market.gathers() || terms.time_in_force == TimeInForce::AtTheClose => {
                market.worst_in_auction(side)
            }
            OrderType::Market => {
                let Some(best) = market.book.best_price(side.opposite()) else { return Price::ZERO };
                let protected = protection.furthest(side, best);
                match side {
                    _ if market.reference.is_absent() => protected,
                    Side::Buy => protected.min(bounds.furthest(side, market.reference)),
                    Side::Sell => protected.max(bounds.furthest(side, market.reference)),
                }
            }
        }
    }

    fn check_available(
        &self,
        market: &Market,
        account: &Account,
        id: AccountId,
        terms: &Terms,
        limit: Price,
        mode: SelfTradePrevention,
    ) -> Result<Entrant, RejectReason> {
        let leaves = if terms.is_by_funds() { Quantity::ZERO } else { terms.quantity };
        if !market.settles() {
            return Ok(Entrant { limit, leaves, mode, rates: FeeRates::ZERO, hold: 0 });
        }
        let (side, funds, rates) = (terms.side, terms.funds, market.rates(account.fee_tier));
        let exposure = Exposure { side, limit, leaves, funds, rates, maker_notional: 0, taker_notional: 0 };
        let hold = exposure.hold(market);
        if self.ledger.balance(id, held_asset(market, side)).available.0 < hold {
            return Err(RejectReason::InsufficientFunds);
        }
        Ok(Entrant { limit, leaves, mode, rates, hold })
    }

    fn check_amended_available(
        &self,
        market: &Market,
        slot: Slot,
        terms: &Terms,
        limit: Price,
    ) -> Result<(), RejectReason> {
        if !market.settles() {
            return Ok(());
        }
        let leaves = Quantity(terms.quantity.0.saturating_sub(self.orders.arena.gone(slot).0));
        let before = Exposure::of(&self.orders.arena, slot);
        let after = Exposure { limit, leaves, ..before };
        let account = self.orders.arena[slot].account;
        let available = self.ledger.balance(account, held_asset(market, before.side)).available.0;
        if available + before.hold(market) < after.hold(market) {
            return Err(RejectReason::InsufficientFunds);
        }
        Ok(())
    }
}

/// Whether an incoming order on `side` with this limit trades at `price`.
pub(crate) fn crosses(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

/// What has to trade at once for an order to be accepted, if anything has to.
fn insists_on(terms: &Terms) -> Option<Quantity> {
    match terms.time_in_force {
        TimeInForce::FillOrKill => Some(terms.quantity),
        _ if !terms.minimum.is_absent() => Some(terms.minimum),
        _ => None,
    }
}

/// What goes together: the two tables of rule 1.
fn check_combination(terms: &Terms) -> Result<(), RejectReason> {
    let (order_type, for_auction) = (terms.order_type, terms.time_in_force.is_for_auction());
    let stays = terms.time_in_force.rests() && !for_auction;
    let lasts = match order_type {
        OrderType::Limit => true,
        OrderType::Market => terms.time_in_force != TimeInForce::GoodTillDate,
        OrderType::Stop | OrderType::StopLimit => stays,
    };
    let post_only = !terms.is_post_only() || order_type == OrderType::Limit && stays;
    let display = terms.display.is_absent() || order_type.has_price() && stays;
    let minimum = terms.minimum.is_absent()
        || terms.time_in_force == TimeInForce::ImmediateOrCancel && !order_type.is_stop() && !terms.is_by_funds();
    let funds = !terms.is_by_funds() || terms.time_in_force != TimeInForce::FillOrKill && !for_auction;
    if OrderFlags::KNOWN.contains(terms.flags) && lasts && post_only && display && minimum && funds {
        Ok(())
    } else {
        Err(RejectReason::InvalidCombination)
    }
}

/// A resting order cannot become an immediate one or one for an auction, or stop being that; one that works cannot wait
/// again.
fn check_change(order: &Order, terms: &Terms) -> Result<(), RejectReason> {
    let waits_again = !order.waits() && terms.order_type.is_stop() && terms.order_type != order.order_type;
    let (before, after) = (order.time_in_force, terms.time_in_force);
    let changes_auction = before != after && (before.is_for_auction() || after.is_for_auction());
    if !after.rests() || changes_auction || waits_again { Err(RejectReason::InvalidCombination) } else { Ok(()) }
}

fn check_entry(market: &Market, terms: &Terms) -> Result<(), RejectReason> {
    let allowed = match rules(market.phase).entry {
        Entry::Call => !terms.is_post_only() && terms.time_in_force.rests() && !terms.is_by_funds(),
        Entry::All => true,
        Entry::PostOnly => terms.is_post_only(),
        Entry::LimitOnly => terms.order_type == OrderType::Limit,
        Entry::None => false,
    };
    let opens =
        rules(market.phase).entry == Entry::Call && market.call.is_some_and(|call| call.kind == CallKind::Opening);
    let allowed = allowed && (opens || terms.time_in_force != TimeInForce::AtTheOpening);
    if allowed { Ok(()) } else { Err(RejectReason::PhaseNotAllowed) }
}

fn check_amend(market: &Market, before: &Terms, after: &Terms) -> Result<(), RejectReason> {
    let rules = rules(market.phase);
    let better_price = before.price != after.price && crosses(after.side, after.price, before.price);
    let same_trigger = (before.order_type, before.stop_price) == (after.order_type, after.stop_price);
    let same_price = before.price == after.price && same_trigger;
    let takes_at_once = after.order_type == OrderType::Market;
    let allowed = match rules.amend {
        Amend::All => !takes_at_once || rules.matching == Matching::Yes || market.gathers(),
        Amend::Improve => same_trigger && (same_price || better_price) && after.quantity >= before.quantity,
        Amend::Reduce => same_price && after.quantity <= before.quantity,
        Amend::None => false,
    };
    if allowed { Ok(()) } else { Err(RejectReason::PhaseNotAllowed) }
}

fn check_order_price(market: &Market, terms: &Terms) -> Result<(), RejectReason> {
    match (terms.order_type.has_price(), terms.price.is_absent()) {
        (true, true) => Err(RejectReason::PriceMissing),
        (false, false) => Err(RejectReason::PriceSuperfluous),
        (false, true) => Ok(()),
        (true, false) => check_price(market, terms.price),
    }
}

fn check_price(market: &Market, price: Price) -> Result<(), RejectReason> {
    if price == Price::ZERO {
        return Err(RejectReason::PriceNotPositive);
    }
    if price == Price::OFF_TICK {
        return Err(RejectReason::PriceOffTick);
    }
    if price > market.limits.price_max {
        return Err(RejectReason::PriceOutOfRange);
    }
    Ok(())
}

fn check_quantities(market: &Market, terms: &Terms) -> Result<(), RejectReason> {
    if !terms.is_by_funds() {
        check_quantity(market, terms.quantity)?;
    }
    check_display(terms.display, terms.quantity)?;
    let minimum = terms.minimum;
    if !minimum.is_absent() && !(Quantity(1)..=terms.quantity).contains(&minimum) {
        return Err(RejectReason::MinimumQuantityInvalid);
    }
    Ok(())
}

/// A shrinking amend is not refused for being above a maximum; a display quantity that it does not name shrinks with it.
fn check_amended_quantities(
    market: &Market,
    terms: &Terms,
    replace: &ReplaceOrder,
    shrinks: bool,
) -> Result<(), RejectReason> {
    let quantity = terms.quantity;
    check_quantity(market, if shrinks { quantity.min(market.limits.quantity_max) } else { quantity })?;
    let is_new = !replace.display_quantity.is_absent() || !shrinks;
    if is_new { check_display(terms.display, quantity) } else { Ok(()) }
}

fn check_display(display: Quantity, quantity: Quantity) -> Result<(), RejectReason> {
    if display.is_absent() {
        return Ok(());
    }
    let enough = display.0.saturating_mul(TIPS_MAX) >= quantity.0;
    if (Quantity(1)..=quantity).contains(&display) && enough {
        Ok(())
    } else {
        Err(RejectReason::DisplayQuantityInvalid)
    }
}

fn check_quantity(market: &Market, quantity: Quantity) -> Result<(), RejectReason> {
    if quantity.is_zero() || quantity.is_absent() {
        return Err(RejectReason::QuantityNotPositive);
    }
    if quantity == Quantity::OFF_LOT {
        return Err(RejectReason::QuantityOffLot);
    }
    if quantity < market.limits.quantity_min {
        return Err(RejectReason::QuantityBelowMinimum);
    }
    if quantity > market.limits.quantity_max {
        return Err(RejectReason::QuantityAboveMaximum);
    }
    Ok(())
}

fn check_funds_given(market: &Market, terms: &Terms) -> Result<(), RejectReason> {
    let valid = terms.is_by_funds() && (Amount(1)..=Amount::MAX).contains(&terms.funds) && market.units.quote > 0;
    if terms.funds.is_absent() || valid { Ok(()) } else { Err(RejectReason::FundsInvalid) }
}

/// What an order may be worth: its funds, else as far as it may trade. `None` beyond 128 bits.
///
/// A market sell for an auction is not worth less than by the reference price.
fn notional(market: &Market, terms: &Terms, limit: Price) -> Option<u128> {
    let for_auction = market.call.is_some() || terms.time_in_force == TimeInForce::AtTheClose;
    let sells_at_market = terms.order_type == OrderType::Market && terms.side == Side::Sell;
    match sells_at_market && for_auction && !market.reference.is_absent() {
        _ if terms.is_by_funds() => Some(terms.funds.0),
        true => market.notional(limit.max(market.reference), terms.quantity),
        false => market.notional(limit, terms.quantity),
    }
}

/// Whether a limit lies within the entry band.
fn check_entry_band(market: &Market, terms: &Terms, waits: bool) -> Result<(), RejectReason> {
    match market.outside_entry_band(terms, waits) {
        Some(_) => Err(RejectReason::OutsidePriceBand),
        None => Ok(()),
    }
}

fn check_notional(market: &Market, terms: &Terms, limit: Price, notional: Option<u128>) -> Result<(), RejectReason> {
    let nothing_to_reach = limit == Price::ZERO && !terms.is_by_funds();
    if market.units.quote == 0 || nothing_to_reach {
        return Ok(());
    }
    match notional {
        Some(notional) if notional < market.limits.notional_min.0 => Err(RejectReason::NotionalBelowMinimum),
        Some(notional) if notional <= market.limits.notional_max.0 => Ok(()),
        _ => Err(RejectReason::NotionalAboveMaximum),
    }
}

/// A Stop has no price of its own: how far it may go is looked at when it is elected.
fn check_deviation(market: &Market, bounds: &Bounds, terms: &Terms, limit: Price) -> Result<(), RejectReason> {
    if terms.order_type == OrderType::Stop { Ok(()) } else { bounds.check_deviation(market, terms.side, limit) }
}

fn check_expiry(terms: &Terms, now: Timestamp) -> Result<(), RejectReason> {
    let valid = match terms.time_in_force {
        TimeInForce::GoodTillDate => terms.expire_at > now,
        _ => terms.expire_at.is_none(),
    };
    if valid { Ok(()) } else { Err(RejectReason::ExpiryInvalid) }
}

fn check_stop_price(market: &Market, terms: &Terms) -> Result<(), RejectReason> {
    let valid = match terms.order_type.is_stop() {
        true => check_price(market, terms.stop_price).is_ok(),
        false => terms.stop_price.is_absent(),
    };
    if valid { Ok(()) } else { Err(RejectReason::StopPriceInvalid) }
}
