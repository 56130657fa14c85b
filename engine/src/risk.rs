//! What an order holds, and what an account may do (rule 8).

use crate::accounts::{Account, Ledger};
use crate::book::arena::{Arena, Slot};
use crate::command::AccountLimits;
use crate::engine::Engine;
use crate::fees::fee_bound;
use crate::identity::{AccountId, AssetId, InstrumentId};
use crate::instrument::FeeRates;
use crate::market::Market;
use crate::order::Side;
use crate::reject::RejectReason;
use crate::{Amount, Price, Quantity};

/// The parts of an order that its hold depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposure {
    pub(crate) side: Side,
    pub(crate) limit: Price,
    pub(crate) leaves: Quantity,
    pub(crate) funds: Amount,
    pub(crate) rates: FeeRates,
    pub(crate) maker_notional: u128,
    pub(crate) taker_notional: u128,
}

impl Exposure {
    #[inline]
    pub(crate) fn of(arena: &Arena, slot: Slot) -> Self {
        let (order, details, extras) = (&arena[slot], arena.details(slot), arena.extras(slot));
        Self {
            side: order.side,
            limit: order.limit,
            leaves: order.leaves,
            funds: extras.funds,
            rates: details.rates,
            maker_notional: extras.maker_notional,
            taker_notional: extras.taker_notional,
        }
    }

    /// What the order could still cost: a sell its quantity; a buy its limit × quantity and the worst fee, or its funds.
    #[inline]
    pub(crate) fn hold(&self, market: &Market) -> u128 {
        match self.side {
            Side::Sell => u128::from(self.leaves.0) * u128::from(market.units.base),
            Side::Buy if !self.funds.is_absent() => self.funds.0,
            Side::Buy => {
                let open = market.checked_notional(self.limit, self.leaves);
                open + fee_bound(self.rates, self.maker_notional, self.taker_notional, open)
            }
        }
    }
}

/// A fill of one order, as far as it moves balances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settlement {
    pub(crate) account: AccountId,
    /// What the order's hold depended on before the fill.
    pub(crate) before: Exposure,
    /// What it depends on now.
    pub(crate) after: Exposure,
    pub(crate) quantity: Quantity,
    /// Price × quantity, in the quote asset's smallest unit.
    pub(crate) notional: u128,
    pub(crate) fee: i128,
}

impl Settlement {
    /// Moves hold and balances.
    #[inline]
    pub(crate) fn settle(&self, ledger: &mut Ledger, market: &Market) {
        let &Self { account, ref before, ref after, quantity, notional, fee } = self;
        let (held, holds) = (before.hold(market), after.hold(market));
        let base = i128::from(quantity.0) * i128::from(market.units.base);
        let quote = i128::try_from(notional).expect("notionals are bounded");
        match before.side {
            Side::Buy => {
                ledger.settle(account, market.quote(), held, holds, -quote - fee);
                ledger.credit(account, market.base(), base);
            }
            Side::Sell => {
                ledger.settle(account, market.base(), held, holds, -base);
                ledger.credit(account, market.quote(), quote - fee);
            }
        }
    }
}

/// The asset that an order on this side holds.
#[inline]
pub(crate) fn held_asset(market: &Market, side: Side) -> AssetId {
    match side {
        Side::Buy => market.quote(),
        Side::Sell => market.base(),
    }
}

/// One set of limits that binds an order, and how many open orders count against it.
#[derive(Debug, Clone, Copy)]
struct Bound {
    limits: AccountLimits,
    open_orders: u32,
}

/// All limits that bind an account's orders in an instrument: the account's, and those for the instrument alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    account: Bound,
    instrument: Option<Bound>,
}

impl Engine {
    /// The limits that bind an account's orders in an instrument.
    pub(crate) fn bounds(&self, id: AccountId, account: &Account, instrument: InstrumentId) -> Bounds {
        let limited = (account.limited_instruments > 0).then(|| self.instrument_limits.get(id, instrument)).flatten();
        Bounds {
            account: Bound { limits: account.limits, open_orders: account.open_orders },
            instrument: limited.map(|limited| Bound { limits: limited.limits, open_orders: limited.open_orders }),
        }
    }

    /// An order of an account with limits in single instruments was opened in the instrument, or ended.
    #[cold]
    pub(crate) fn count_limited(&mut self, id: AccountId, instrument: InstrumentId, change: i32) {
        if let Some(limited) = self.instrument_limits.get_mut(id, instrument) {
            limited.open_orders = limited.open_orders.strict_add_signed(change);
        }
    }
}

impl Bounds {
    fn each(&self) -> impl Iterator<Item = &Bound> {
        [&self.account].into_iter().chain(&self.instrument)
    }

    /// Checks an order's size; a funds order has no quantity, and its funds for a notional.
    pub(crate) fn check_size(&self, quantity: Quantity, notional: Option<u128>) -> Result<(), RejectReason> {
        let too_large = |bound: &Bound| {
            let most = bound.limits.quantity_max;
            !most.is_absent() && !quantity.is_absent() && quantity > most
        };
        if self.each().any(too_large) {
            return Err(RejectReason::AccountQuantityLimit);
        }
        let too_dear = |bound: &Bound| {
            let most = bound.limits.notional_max;
            !most.is_absent() && notional.is_none_or(|notional| notional > most.0)
        };
        if self.each().any(too_dear) { Err(RejectReason::AccountNotionalLimit) } else { Ok(()) }
    }

    /// Checks whether the account may open another order.
    pub(crate) fn check_open_orders(&self) -> Result<(), RejectReason> {
        let as_many = |bound: &Bound| bound.open_orders >= bound.limits.open_orders_max;
        if self.each().any(as_many) { Err(RejectReason::AccountOpenOrdersLimit) } else { Ok(()) }
    }

    /// Checks how far an order may trade against what the account may deviate from the reference price.
    pub(crate) fn check_deviation(&self, market: &Market, side: Side, limit: Price) -> Result<(), RejectReason> {
        let nothing_to_reach = limit == Price::ZERO;
        if market.reference.is_absent() || nothing_to_reach {
            return Ok(());
        }
        let furthest = self.furthest(side, market.reference);
        let too_far = match side {
            Side::Buy => limit > furthest,
            Side::Sell => limit < furthest,
        };
        if too_far { Err(RejectReason::AccountPriceDeviation) } else { Ok(()) }
    }

    /// The furthest price that the account may trade at.
    pub(crate) fn furthest(&self, side: Side, reference: Price) -> Price {
        let prices = self.each().map(|bound| bound.limits.price_deviation.furthest(side, reference));
        let nearest = match side {
            Side::Buy => prices.min(),
            Side::Sell => prices.max(),
        };
        nearest.expect("an account has limits")
    }
}
