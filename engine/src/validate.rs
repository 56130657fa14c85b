//! Whether an order may enter or change (rule 9), in the rulebook's order of precedence.

use crate::accounts::Account;
use crate::book::Book;
use crate::book::arena::{Order, Slot};
use crate::command::{NewOrder, ReplaceOrder, Switch};
use crate::directory::Right;
use crate::engine::Engine;
use crate::event::EventSink;
use crate::instrument::FeeRates;
use crate::market::Market;
use crate::order::{OrderFlags, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::phases::{Amend, Entry, Matching, rules};
use crate::reject::RejectReason;
use crate::risk::{self, Exposure, held_asset};
use crate::turn::Turn;
use crate::{AccountId, ClientOrderId, Price, Quantity, Timestamp};

/// What an accepted order starts with, beyond what its command says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entrant {
    /// How far it may trade.
    pub(crate) limit: Price,
    /// The rates that it keeps.
    pub(crate) rates: FeeRates,
    /// What it holds.
    pub(crate) hold: u128,
}

/// What an amend makes of an order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amendment {
    pub(crate) slot: Slot,
    pub(crate) limit: Price,
    /// Order quantity, filled part included.
    pub(crate) quantity: Quantity,
}

impl Engine {
    /// Judges a new order.
    pub(crate) fn check_new_order<S: EventSink>(
        &self,
        turn: &Turn<'_, S>,
        order: &NewOrder,
    ) -> Result<Entrant, RejectReason> {
        self.check_right(turn, Right::Trade(order.account))?;
        let market = self.markets.get(order.instrument.0).ok_or(RejectReason::UnknownInstrument)?;
        let account = self.trading_account(order.account)?;
        self.check_name_is_free(order.account, order.client_order_id)?;
        check_implemented(order)?;
        check_combination(order)?;
        check_entry(market, order)?;
        check_order_price(market, order.order_type, order.price)?;
        check_quantity(market, order.quantity)?;
        check_superfluous_quantities(order)?;
        let limit = self.reach(market, account, order);
        check_notional(market, limit, order.quantity)?;
        check_no_times(order.expire_at, order.stop_price)?;
        risk::check_size(account, market, limit, order.quantity)?;
        risk::check_open_orders(account)?;
        risk::check_deviation(account, market, order.side, limit)?;
        let entrant = self.check_funds(market, account, order, limit)?;
        if order.flags.contains(OrderFlags::POST_ONLY) && self.would_take(&market.book, order.side, limit) {
            return Err(RejectReason::PostOnlyWouldTake);
        }
        if order.time_in_force == TimeInForce::FillOrKill
            && !self.can_fill(&market.book, order.side, limit, order.quantity)
        {
            return Err(RejectReason::CannotFill);
        }
        let may_rest = order.order_type == OrderType::Limit && order.time_in_force == TimeInForce::GoodTillCancel;
        if !self.orders.arena.has_room() || may_rest && !market.book.has_room(&self.orders, order.side, limit) {
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
        self.trading_account(replace.account)?;
        let slot = self.find_order(replace.account, replace.order_id, replace.original_client_order_id);
        let order = slot.map(|slot| &self.orders.arena[slot]);
        let own_name = order.map_or(replace.original_client_order_id, |order| order.client_order_id);
        if replace.client_order_id != own_name {
            self.check_name_is_free(replace.account, replace.client_order_id)?;
        }
        let (Some(slot), Some(order)) = (slot, order) else { return Err(RejectReason::UnknownOrder) };
        let market = self.market_of(slot);
        check_replace_implemented(order, replace)?;
        check_replace_combination(order, replace)?;
        let price = if replace.price.is_absent() { order.limit } else { replace.price };
        let quantity = if replace.quantity.is_absent() { order.quantity } else { replace.quantity };
        check_amend(market, order.side, (order.limit, price), (order.quantity, quantity))?;
        // What only shrinks an order is bounded by nothing that was set since.
        let shrinks = price == order.limit && quantity <= order.quantity;
        if !shrinks {
            check_price(market, price)?;
        }
        check_quantity(market, if shrinks { quantity.min(market.limits.quantity_max) } else { quantity })?;
        let leaves = Quantity(quantity.0.saturating_sub(order.cumulative.0 + order.prevented.0));
        if !shrinks {
            check_notional(market, price, quantity)?;
        }
        check_no_times(replace.expire_at, replace.stop_price)?;
        if !shrinks {
            self.check_amended_risk(slot, price, quantity, leaves)?;
        }
        let may_not_take = order.flags.contains(OrderFlags::POST_ONLY) || rules(market.phase).matching == Matching::No;
        let rests_elsewhere = price != order.limit && !leaves.is_zero();
        if rests_elsewhere && may_not_take && self.would_take(&market.book, order.side, price) {
            return Err(RejectReason::PostOnlyWouldTake);
        }
        if rests_elsewhere && !market.book.has_room(&self.orders, order.side, price) {
            return Err(RejectReason::CapacityFull);
        }
        Ok(Amendment { slot, limit: price, quantity })
    }

    /// The account, if it may trade.
    fn trading_account(&self, id: AccountId) -> Result<&Account, RejectReason> {
        let account = self.accounts.get(id.0).filter(|_| id != AccountId::FEES);
        let account = account.ok_or(RejectReason::UnknownAccount)?;
        match account.kill_switch {
            Switch::Engaged => Err(RejectReason::AccountBlocked),
            Switch::Lifted => Ok(account),
        }
    }

    fn check_name_is_free(&self, account: AccountId, id: ClientOrderId) -> Result<(), RejectReason> {
        if !id.is_none() && self.names.find(account, id).is_some() {
            return Err(RejectReason::DuplicateClientOrderId);
        }
        Ok(())
    }

    /// How far a new order may trade: its limit; a market order to the best opposite price and its protection, within
    /// what its account allows, or nowhere, at price zero, if nothing is there.
    fn reach(&self, market: &Market, account: &Account, order: &NewOrder) -> Price {
        if order.order_type == OrderType::Limit {
            return order.price;
        }
        let Some(best) = market.book.best_price(&self.orders, order.side.opposite()) else {
            return Price::ZERO;
        };
        let protection = market.protection.market.furthest(order.side, best);
        let allowed = account.limits.price_deviation.furthest(order.side, market.reference);
        match order.side {
            _ if market.reference.is_absent() => protection,
            Side::Buy => protection.min(allowed),
            Side::Sell => protection.max(allowed),
        }
    }

    fn check_funds(
        &self,
        market: &Market,
        account: &Account,
        order: &NewOrder,
        limit: Price,
    ) -> Result<Entrant, RejectReason> {
        if !market.settles() {
            return Ok(Entrant { limit, rates: FeeRates::ZERO, hold: 0 });
        }
        let rates = market.rates(account.fee_tier);
        let exposure =
            Exposure { side: order.side, limit, leaves: order.quantity, rates, maker_notional: 0, taker_notional: 0 };
        let hold = exposure.hold(market);
        let available = self.ledger.balance(order.account, held_asset(market, order.side)).available.0;
        if available < hold {
            return Err(RejectReason::InsufficientFunds);
        }
        Ok(Entrant { limit, rates, hold })
    }

    fn check_amended_risk(
        &self,
        slot: Slot,
        limit: Price,
        quantity: Quantity,
        leaves: Quantity,
    ) -> Result<(), RejectReason> {
        let order = &self.orders.arena[slot];
        let market = self.market_of(slot);
        let account = self.accounts.get(order.account.0).ok_or(RejectReason::UnknownAccount)?;
        risk::check_size(account, market, limit, quantity)?;
        risk::check_deviation(account, market, order.side, limit)?;
        if !market.settles() {
            return Ok(());
        }
        let before = Exposure::of(order);
        let after = Exposure { limit, leaves, ..before };
        let available = self.ledger.balance(order.account, held_asset(market, order.side)).available.0;
        if available + before.hold(market) < after.hold(market) {
            return Err(RejectReason::InsufficientFunds);
        }
        Ok(())
    }

    /// Whether an order with this limit would trade at once.
    pub(crate) fn would_take(&self, book: &Book, side: Side, limit: Price) -> bool {
        book.best_price(&self.orders, side.opposite()).is_some_and(|best| crosses(side, limit, best))
    }

    /// Whether the book fills the whole quantity within the limit at once.
    fn can_fill(&self, book: &Book, side: Side, limit: Price, quantity: Quantity) -> bool {
        let mut missing = u128::from(quantity.0);
        for (price, open, _) in book.levels(&self.orders, side.opposite()) {
            if !crosses(side, limit, price) {
                return false;
            }
            missing = missing.saturating_sub(open);
            if missing == 0 {
                return true;
            }
        }
        false
    }
}

/// Whether an incoming order on `side` with this limit trades at `price`.
pub(crate) fn crosses(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

fn check_implemented(order: &NewOrder) -> Result<(), RejectReason> {
    let type_is_missing = matches!(order.order_type, OrderType::Stop | OrderType::StopLimit);
    let time_is_missing = matches!(
        order.time_in_force,
        TimeInForce::Day | TimeInForce::GoodTillDate | TimeInForce::AtTheOpening | TimeInForce::AtTheClose
    );
    let funds_are_missing = order.order_type == OrderType::Market
        && order.side == Side::Buy
        && order.quantity.is_absent()
        && !order.funds.is_absent();
    let prevention_is_missing = order.self_trade_prevention.is_some_and(|mode| mode != SelfTradePrevention::Allow);
    if type_is_missing
        || time_is_missing
        || funds_are_missing
        || prevention_is_missing
        || !order.display_quantity.is_absent()
        || !order.minimum_quantity.is_absent()
    {
        return Err(RejectReason::NotImplemented);
    }
    Ok(())
}

fn check_replace_implemented(order: &Order, replace: &ReplaceOrder) -> Result<(), RejectReason> {
    let other_type = replace.order_type.is_some_and(|order_type| order_type != order.order_type);
    let time = replace.time_in_force.filter(|&time_in_force| time_in_force != order.time_in_force);
    let immediate = matches!(time, Some(TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill));
    if other_type || time.is_some() && !immediate || !replace.display_quantity.is_absent() {
        return Err(RejectReason::NotImplemented);
    }
    Ok(())
}

/// A resting order cannot become an immediate one.
fn check_replace_combination(order: &Order, replace: &ReplaceOrder) -> Result<(), RejectReason> {
    match replace.time_in_force {
        Some(time_in_force) if time_in_force != order.time_in_force => Err(RejectReason::InvalidCombination),
        _ => Ok(()),
    }
}

/// No order expires or is stopped yet.
fn check_no_times(expire_at: Timestamp, stop_price: Price) -> Result<(), RejectReason> {
    if !expire_at.is_none() {
        return Err(RejectReason::ExpiryInvalid);
    }
    if !stop_price.is_absent() {
        return Err(RejectReason::StopPriceInvalid);
    }
    Ok(())
}

fn check_combination(order: &NewOrder) -> Result<(), RejectReason> {
    let immediate = matches!(order.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
    let post_only = order.flags.contains(OrderFlags::POST_ONLY);
    let unknown_flags = !OrderFlags::KNOWN.contains(order.flags);
    if unknown_flags
        || post_only && (immediate || order.order_type == OrderType::Market)
        || order.self_trade_prevention == Some(SelfTradePrevention::Allow)
    {
        return Err(RejectReason::InvalidCombination);
    }
    Ok(())
}

fn check_entry(market: &Market, order: &NewOrder) -> Result<(), RejectReason> {
    let allowed = match rules(market.phase).entry {
        Entry::Call => {
            !order.flags.contains(OrderFlags::POST_ONLY)
                && !matches!(order.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill)
        }
        Entry::All => order.time_in_force != TimeInForce::AtTheOpening,
        Entry::PostOnly => order.flags.contains(OrderFlags::POST_ONLY),
        Entry::LimitOnly => order.order_type == OrderType::Limit,
        Entry::None => false,
    };
    if allowed { Ok(()) } else { Err(RejectReason::PhaseNotAllowed) }
}

/// `prices` and `quantities` are before and after.
fn check_amend(
    market: &Market,
    side: Side,
    prices: (Price, Price),
    quantities: (Quantity, Quantity),
) -> Result<(), RejectReason> {
    let (same_price, better_price) = (prices.0 == prices.1, prices.0 != prices.1 && crosses(side, prices.1, prices.0));
    let allowed = match rules(market.phase).amend {
        Amend::All => true,
        Amend::Improve => (same_price || better_price) && quantities.1 >= quantities.0,
        Amend::Reduce => same_price && quantities.1 <= quantities.0,
        Amend::None => false,
    };
    if allowed { Ok(()) } else { Err(RejectReason::PhaseNotAllowed) }
}

fn check_order_price(market: &Market, order_type: OrderType, price: Price) -> Result<(), RejectReason> {
    let priced = matches!(order_type, OrderType::Limit | OrderType::StopLimit);
    match (priced, price.is_absent()) {
        (true, true) => Err(RejectReason::PriceMissing),
        (false, false) => Err(RejectReason::PriceSuperfluous),
        (false, true) => Ok(()),
        (true, false) => check_price(market, price),
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

fn check_superfluous_quantities(order: &NewOrder) -> Result<(), RejectReason> {
    if order.funds.is_absent() { Ok(()) } else { Err(RejectReason::FundsInvalid) }
}

fn check_notional(market: &Market, limit: Price, quantity: Quantity) -> Result<(), RejectReason> {
    let nothing_to_reach = limit == Price::ZERO;
    if market.units.quote == 0 || nothing_to_reach {
        return Ok(());
    }
    match market.notional(limit, quantity) {
        Some(notional) if notional < market.limits.notional_min.0 => Err(RejectReason::NotionalBelowMinimum),
        Some(notional) if notional <= market.limits.notional_max.0 => Ok(()),
        _ => Err(RejectReason::NotionalAboveMaximum),
    }
}
