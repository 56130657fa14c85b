//! What an order holds, and what an account may do (rule 8).

use crate::accounts::Account;
use crate::book::arena::Order;
use crate::fees::fee_bound;
use crate::identity::AssetId;
use crate::instrument::FeeRates;
use crate::market::Market;
use crate::order::Side;
use crate::reject::RejectReason;
use crate::{Price, Quantity};

/// The parts of an order that its hold depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposure {
    pub(crate) side: Side,
    pub(crate) limit: Price,
    pub(crate) leaves: Quantity,
    pub(crate) rates: FeeRates,
    pub(crate) maker_notional: u128,
    pub(crate) taker_notional: u128,
}

impl Exposure {
    pub(crate) fn of(order: &Order) -> Self {
        Self {
            side: order.side,
            limit: order.limit,
            leaves: order.leaves,
            rates: order.rates,
            maker_notional: order.maker_notional,
            taker_notional: order.taker_notional,
        }
    }

    /// What the order could still cost: a sell its quantity; a buy its limit × quantity and the worst fee.
    pub(crate) fn hold(&self, market: &Market) -> u128 {
        match self.side {
            Side::Sell => u128::from(self.leaves.0) * u128::from(market.units.base),
            Side::Buy => {
                let open = market.checked_notional(self.limit, self.leaves);
                open + fee_bound(self.rates, self.maker_notional, self.taker_notional, open)
            }
        }
    }
}

/// The asset that an order on this side holds.
pub(crate) fn held_asset(market: &Market, side: Side) -> AssetId {
    match side {
        Side::Buy => market.quote(),
        Side::Sell => market.base(),
    }
}

/// Checks an order's size against its account's limits.
pub(crate) fn check_size(
    account: &Account,
    market: &Market,
    limit: Price,
    quantity: Quantity,
) -> Result<(), RejectReason> {
    let limits = &account.limits;
    if !limits.quantity_max.is_absent() && quantity > limits.quantity_max {
        return Err(RejectReason::AccountQuantityLimit);
    }
    let within = |notional: u128| notional <= limits.notional_max.0;
    if !limits.notional_max.is_absent() && !market.notional(limit, quantity).is_some_and(within) {
        return Err(RejectReason::AccountNotionalLimit);
    }
    Ok(())
}

/// Checks whether the account may open another order.
pub(crate) fn check_open_orders(account: &Account) -> Result<(), RejectReason> {
    if account.open_orders >= account.limits.open_orders_max {
        return Err(RejectReason::AccountOpenOrdersLimit);
    }
    Ok(())
}

/// Checks an order's limit against what its account may deviate from the reference price.
pub(crate) fn check_deviation(
    account: &Account,
    market: &Market,
    side: Side,
    limit: Price,
) -> Result<(), RejectReason> {
    let nothing_to_reach = limit == Price::ZERO;
    if market.reference.is_absent() || nothing_to_reach {
        return Ok(());
    }
    let furthest = account.limits.price_deviation.furthest(side, market.reference);
    let too_far = match side {
        Side::Buy => limit > furthest,
        Side::Sell => limit < furthest,
    };
    if too_far { Err(RejectReason::AccountPriceDeviation) } else { Ok(()) }
}
