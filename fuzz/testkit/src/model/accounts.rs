//! Rule 8: what accounts have, what orders hold, what trades move and cost.
//!
//! An account's total of an asset is kept; what is held is summed over its open orders, and the rest is available.

use std::collections::BTreeMap;

use engine::command::AccountLimits;
use engine::instrument::{FeeRates, Holds};
use engine::*;

use super::orders::{Order, Role};
use super::{Flaw, Instrument, Model};

/// An account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) stp_group: StpGroup,
    pub(super) self_trade_prevention: Option<SelfTradePrevention>,
    pub(super) fee_tier: u8,
    pub(super) is_blocked: bool,
    /// For every instrument under [`InstrumentId::NONE`], for one under its own identity.
    pub(super) limits: BTreeMap<InstrumentId, AccountLimits>,
    /// What it has of each asset, available and held together.
    pub(super) totals: BTreeMap<AssetId, i128>,
    pub(super) exec_id: ExecId,
    /// The last orders that ended with an id (1.6).
    pub(super) closed: Vec<(ClientOrderId, OrderId, OrderStatus)>,
}

impl Account {
    pub(super) fn new() -> Self {
        Self {
            stp_group: StpGroup::NONE,
            self_trade_prevention: None,
            fee_tier: 0,
            is_blocked: false,
            limits: BTreeMap::new(),
            totals: BTreeMap::new(),
            exec_id: ExecId::NONE,
            closed: Vec::new(),
        }
    }

    /// The limits that bind in an instrument: those for all, and its own (8.19).
    pub(super) fn limits_in(&self, instrument: InstrumentId) -> Vec<(InstrumentId, AccountLimits)> {
        [InstrumentId::NONE, instrument]
            .into_iter()
            .filter_map(|key| self.limits.get(&key).map(|&limits| (key, limits)))
            .collect()
    }
}

impl Instrument {
    /// 8.6: a tier without rates pays tier 0's; with holds off nothing is paid (8.10).
    pub(super) fn rates(&self, tier: u8) -> FeeRates {
        if !self.settles() {
            return FeeRates::ZERO;
        }
        self.fees.get(&tier).or_else(|| self.fees.get(&0)).copied().unwrap_or(FeeRates::ZERO)
    }

    /// Whether trades move balances (8.10).
    pub(super) fn settles(&self) -> bool {
        self.listing.holds == Holds::On
    }
}

/// `numerator / denominator` towards plus infinity.
fn divided_up(numerator: i128, denominator: i128) -> i128 {
    -(-numerator).div_euclid(denominator)
}

impl Model {
    /// Price × quantity in the quote asset's smallest unit, saturating.
    pub(super) fn notional(&self, instrument: InstrumentId, price: Price, lots: u64) -> u128 {
        let units = self.instruments[&instrument].quote_units;
        (u128::from(price.0) * u128::from(lots)).saturating_mul(units)
    }

    /// 8.5: on the order's cumulative notional in its role, rounded up, less what was charged.
    pub(super) fn fee(&self, instrument: InstrumentId, rate: i32, role: Role, notional: u128) -> i128 {
        if !self.instruments[&instrument].settles() {
            return 0;
        }
        let cumulative = role.notional.saturating_add(notional);
        let Some(parts) = i128::try_from(cumulative).ok().and_then(|notional| notional.checked_mul(rate.into())) else {
            return i128::MAX / 4;
        };
        let down = self.flaw == Flaw::FeesRoundedDown;
        let due = if down { parts.div_euclid(1_000_000) } else { divided_up(parts, 1_000_000) };
        due - role.charged
    }

    /// 8.1, 8.15: what an open order holds: of the base asset for a sell, of the quote asset for a buy.
    pub fn need(&self, order: &Order) -> u128 {
        let instrument = &self.instruments[&order.instrument];
        if !instrument.settles() {
            return 0;
        }
        if order.side == Side::Sell {
            return u128::from(order.leaves) * instrument.base_units;
        }
        if order.is_by_funds() {
            return order.funds.0;
        }
        if order.bound.is_absent() {
            return 0;
        }
        let open = self.notional(order.instrument, order.bound, order.leaves);
        if open > Amount::MAX.0 {
            // No account has so much (8.9).
            return u128::MAX;
        }
        let worst = order.rates.maker.max(order.rates.taker);
        if worst == 0 {
            return open;
        }
        // The worst fee on all that the order may have traded in the end, a unit for each role, less what was charged.
        let traded = order.maker.notional + order.taker.notional;
        let fee = (traded + open) * u128::try_from(worst).expect("no worst rate is negative") / 1_000_000 + 2;
        let charged = order.maker.charged.max(0) + order.taker.charged.max(0);
        let need = i128::try_from(open + fee).expect("a hold within bounds") - charged;
        u128::try_from(need).expect("a hold is never negative")
    }

    /// The asset that an order holds.
    fn held_asset(&self, order: &Order) -> AssetId {
        let listing = &self.instruments[&order.instrument].listing;
        if order.side == Side::Sell { listing.base } else { listing.quote }
    }

    /// Whether the account's available balance covers what the order needs, its own hold so far included (2.8).
    pub(super) fn covers(&self, account: AccountId, order: &Order, need: u128) -> bool {
        if !self.instruments[&order.instrument].settles() {
            return true;
        }
        let asset = self.held_asset(order);
        let before = self.orders.iter().find(|open| open.id == order.id).map_or(0, |open| self.need(open));
        self.available(account, asset) + before >= need
    }

    /// 8.3: what an account's open orders need.
    pub fn held(&self, account: AccountId, asset: AssetId) -> u128 {
        let holds = |order: &&Order| order.account == account && self.held_asset(order) == asset;
        self.orders.iter().filter(holds).map(|order| self.need(order)).sum()
    }

    /// What an account has and does not hold.
    pub fn available(&self, account: AccountId, asset: AssetId) -> u128 {
        let total = self.accounts[&account].totals.get(&asset).copied().unwrap_or(0);
        let total = u128::try_from(total).expect("no balance is negative");
        total.checked_sub(self.held(account, asset)).expect("an account has what its orders hold")
    }

    /// 8.7: what of the fee account stays for open orders, in every asset: two units for each.
    pub(super) fn fees_kept(&self) -> u128 {
        2 * self.orders.len() as u128
    }

    /// What is in the venue of an asset (8.4).
    pub fn supply(&self, asset: AssetId) -> u128 {
        let totals = self.accounts.values().filter_map(|account| account.totals.get(&asset));
        u128::try_from(totals.sum::<i128>()).expect("no asset is owed")
    }

    pub(super) fn add(&mut self, account: AccountId, asset: AssetId, change: i128) {
        let account = self.accounts.get_mut(&account).expect("an open account");
        *account.totals.entry(asset).or_default() += change;
    }

    /// 8.2: a fill moves base and quote at the trade's price, and fees to the fee account.
    pub(super) fn settle(
        &mut self,
        instrument: InstrumentId,
        (buyer, buyer_fee): (AccountId, i128),
        (seller, seller_fee): (AccountId, i128),
        notional: u128,
        lots: u64,
    ) {
        let instrument = &self.instruments[&instrument];
        if !instrument.settles() {
            return;
        }
        let (base, quote) = (instrument.listing.base, instrument.listing.quote);
        let moved = i128::try_from(u128::from(lots) * instrument.base_units).expect("a quantity within bounds");
        let paid = i128::try_from(notional).expect("a notional within bounds");
        self.add(buyer, base, moved);
        self.add(buyer, quote, -paid - buyer_fee);
        self.add(seller, base, -moved);
        self.add(seller, quote, paid - seller_fee);
        self.add(AccountId::FEES, quote, buyer_fee + seller_fee);
    }
}
