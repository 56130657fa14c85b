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
pub(crate) fn check_account_limits(
    account: &Account,
    market: &Market,
    side: Side,
    limit: Price,
    quantity: Quantity,
) -> Result<(), RejectReason> {
    let limits = &account.limits;
    if !limits.quantity_max.is_absent() && quantity > limits.quantity_max {
        return Err(RejectReason::AccountQuantityLimit);
    }
    if !limits.notional_max.is_absent()
        && market.notional(limit, quantity).is_none_or(|notional| notional > limits.notional_max.0)
    {
        return Err(RejectReason::AccountNotionalLimit);
    }
    if account.open_orders >= limits.open_orders_max {
        return Err(RejectReason::AccountOpenOrdersLimit);
    }
    let reference = market.reference;
    let too_far = match side {
        Side::Buy => limit > limits.price_deviation.above(reference),
        Side::Sell => limit < limits.price_deviation.below(reference),
    };
    let nothing_to_reach = limit == Price::ZERO;
    if !reference.is_absent() && !nothing_to_reach && too_far {
        return Err(RejectReason::AccountPriceDeviation);
    }
    Ok(())
}
