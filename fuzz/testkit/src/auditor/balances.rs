//! Rules 4.8 and 8: money derived from events: what came in, what trades moved, what they cost.

use std::collections::BTreeMap;

use engine::command::Direction;
use engine::event::{BalanceCause, BalanceChanged, MatchPrevented, Trade, TradeBusted};
use engine::instrument::Holds;
use engine::{AccountId, Amount, AssetId, Balance, Command, CommandBody, InstrumentId, Price, Quantity, Side};

use super::orders::Order;
use super::{Auditor, Checked, Fault, ensure, found};

/// What an order traded and paid in one fee role.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Role {
    notional: i128,
    charged: i128,
}

impl Role {
    /// 8.5: on the cumulative notional, rounded up, less what was charged.
    fn charge(&mut self, rate: i32, notional: i128) -> i128 {
        self.notional += notional;
        let parts = self.notional * i128::from(rate);
        let due = parts.div_euclid(1_000_000) + i128::from(parts.rem_euclid(1_000_000) != 0);
        let fee = due - self.charged;
        self.charged = due;
        fee
    }
}

/// A trade that may be reversed.
#[derive(Debug, Clone)]
pub(super) struct PastTrade {
    trade: Trade,
    /// What it moved; what goes back.
    moved: BTreeMap<(AccountId, AssetId), i128>,
    is_busted: bool,
}

impl Auditor {
    fn notional(&self, instrument: InstrumentId, price: Price, quantity: Quantity) -> Result<i128, Fault> {
        let units = self.instrument(instrument)?.quote_units;
        let notional = (u128::from(price.0) * u128::from(quantity.0)).checked_mul(units.into());
        let notional = notional.filter(|&notional| notional <= Amount::MAX.0).and_then(|it| i128::try_from(it).ok());
        found(notional, "8.9", "the notional is beyond every bound")
    }

    /// 8.2, 8.5, 8.6, 8.10: a trade moves base and quote at its price, and fees to the fee account.
    pub(super) fn settle(&mut self, event: &Trade) -> Checked {
        let instrument = self.instrument(event.instrument)?.clone();
        let notional = self.notional(event.instrument, event.price, event.quantity)?;
        let mut moved: BTreeMap<(AccountId, AssetId), i128> = BTreeMap::new();
        for (side, is_maker) in [(&event.maker, true), (&event.taker, false)] {
            let order = self.orders.get_mut(&side.order_id).expect("an open order");
            let mut fee = 0;
            if instrument.holds == Holds::On {
                // 5.6: in an auction both pay the taker rate.
                fee = if is_maker && event.aggressor.is_some() {
                    order.as_maker.charge(order.rates.maker, notional)
                } else {
                    order.as_taker.charge(order.rates.taker, notional)
                };
                let base = i128::from(event.quantity.0) * i128::from(instrument.base_units);
                let sign = if order.state.side == Side::Buy { 1 } else { -1 };
                *moved.entry((order.account, instrument.base)).or_default() += sign * base;
                *moved.entry((order.account, instrument.quote)).or_default() -= sign * notional + fee;
                *moved.entry((AccountId::FEES, instrument.quote)).or_default() += fee;
            }
            if let Some(funds) = &mut order.funds {
                *funds -= notional + fee;
                ensure(*funds >= 0, "1.13", || "more was spent than its funds".to_owned())?;
            }
            let told = side.fee.0;
            let rule = if instrument.holds == Holds::On { "8.5" } else { "8.10" };
            ensure(told == fee, rule, || format!("a fee of {told} instead of {fee}"))?;
        }
        for (&place, &change) in &moved {
            *self.totals.entry(place).or_default() += change;
        }
        let past = PastTrade { trade: *event, moved, is_busted: false };
        self.trades.insert(event.trade_id, past);
        Ok(())
    }

    /// 4.8: prevented quantity costs an order by funds its price, and no fee.
    pub(super) fn spend_prevented(&mut self, event: &MatchPrevented) -> Checked {
        let notional = self.notional(event.instrument, event.price, event.quantity)?;
        if let Some(funds) = self.orders.get_mut(&event.incoming).and_then(|order| order.funds.as_mut()) {
            *funds -= notional;
            ensure(*funds >= 0, "4.8", || "more was spent than its funds".to_owned())?;
        }
        Ok(())
    }

    /// 8.17: a bust tells the trade that it reverses, once.
    pub(super) fn trade_busted(&mut self, event: &TradeBusted) -> Checked {
        let past = self.trades.get_mut(&event.trade_id);
        let past = found(past, "8.17", "there was no such trade")?;
        ensure(!past.is_busted, "8.17", || "the trade was busted before".to_owned())?;
        past.is_busted = true;
        let trade = past.trade;
        let same = (event.instrument, event.price, event.quantity) == (trade.instrument, trade.price, trade.quantity);
        ensure(same, "8.17", || format!("the trade was {trade:?}"))?;
        let (buyer, seller) = match trade.maker.side {
            Side::Buy => (trade.maker, trade.taker),
            Side::Sell => (trade.taker, trade.maker),
        };
        for (told, side) in [(event.buyer, buyer), (event.seller, seller)] {
            let same = told.order_id == side.order_id && told.report.account == side.report.account;
            ensure(same && told.fee.0 == -side.fee.0, "8.17", || format!("the trade was {trade:?}"))?;
        }
        self.giving_back = past.moved.iter().map(|(&place, &change)| (place, -change)).collect();
        for (&place, change) in &self.giving_back {
            *self.totals.entry(place).or_default() += change;
        }
        Ok(())
    }

    /// 8.4, 8.16, 8.17: every other change is one that a command asked for, and leaves what it says.
    pub(super) fn balance_changed(&mut self, command: &Command, event: &BalanceChanged) -> Checked {
        let (place, change) = ((event.account, event.asset), event.change.0);
        let asked = match command.body {
            CommandBody::Deposit(it) => Some((it.account, it.asset, BalanceCause::Deposit, it.amount.0, 1)),
            CommandBody::Withdraw(it) => Some((it.account, it.asset, BalanceCause::Withdrawal, it.amount.0, -1)),
            CommandBody::AdjustBalance(it) => {
                let sign = if it.direction == Direction::Credit { 1 } else { -1 };
                Some((it.account, it.asset, BalanceCause::Adjustment, it.amount.0, sign))
            }
            _ => None,
        };
        if event.cause == BalanceCause::TradeBust {
            // All that goes back does so at once; buyer and seller are told apart even where they are one account.
            let left = self.giving_back.get_mut(&place);
            *found(left, "8.17", "nothing of this balance goes back")? -= change;
        } else {
            let holds = asked.is_some_and(|(account, asset, cause, amount, sign)| {
                (account, asset) == place
                    && cause == event.cause
                    && Ok(change) == i128::try_from(amount).map(|it| it * sign)
            });
            ensure(holds, "8.4", || format!("asked for was {asked:?}"))?;
            *self.brought_in.entry(event.asset).or_default() += change;
            *self.totals.entry(place).or_default() += change;
        }
        let total = self.totals.get(&place).copied().unwrap_or(0);
        let told = i128::try_from(event.available.0.saturating_add(event.held.0)).unwrap_or(i128::MAX);
        ensure(told == total, "8.4", || format!("available and held are {told} instead of {total}"))?;
        let needed = self.needed().remove(&place).unwrap_or(0);
        ensure(event.held.0 >= needed, "8.1", || format!("open orders need {needed}"))
    }

    pub(super) fn nothing_left_to_give_back(&mut self) -> Checked {
        self.giving_back.retain(|_, change| *change != 0);
        ensure(self.giving_back.is_empty(), "8.17", || format!("not given back: {:?}", self.giving_back))
    }

    /// 8.1, 8.15: the least that open orders hold: a sell its quantity, a buy its limit or stop price × quantity.
    fn needed(&self) -> BTreeMap<(AccountId, AssetId), u128> {
        let mut needed = BTreeMap::new();
        for order in self.orders.values() {
            if let Some((asset, amount)) = self.need(order) {
                *needed.entry((order.account, asset)).or_default() += amount;
            }
        }
        needed
    }

    fn need(&self, order: &Order) -> Option<(AssetId, u128)> {
        let instrument = self.instruments.get(&order.state.instrument).filter(|it| it.holds == Holds::On)?;
        let leaves = u128::from(order.state.leaves.0);
        if order.state.side == Side::Sell {
            return Some((instrument.base, leaves * u128::from(instrument.base_units)));
        }
        let price = if order.state.price.is_absent() { order.stop_price } else { order.state.price };
        let price = if price.is_absent() { 0 } else { u128::from(price.0) };
        Some((instrument.quote, (price * leaves).saturating_mul(instrument.quote_units.into())))
    }

    /// 8.1, 8.4: every total covers what its account's open orders need, and no total is negative.
    pub(super) fn totals_cover_open_orders(&self) -> Checked {
        for (place, &total) in &self.totals {
            ensure(total >= 0, "8.4", || format!("account {} has {total} of asset {}", place.0, place.1))?;
        }
        for (place, needed) in self.needed() {
            let total = self.totals.get(&place).copied().unwrap_or(0);
            ensure(u128::try_from(total).is_ok_and(|total| total >= needed), "8.1", || {
                format!("account {} has {total} of asset {}, and its open orders need {needed}", place.0, place.1)
            })?;
        }
        let mut sums: BTreeMap<AssetId, i128> = BTreeMap::new();
        self.totals.iter().for_each(|(place, total)| *sums.entry(place.1).or_default() += total);
        for (asset, sum) in sums {
            let brought_in = self.brought_in.get(&asset).copied().unwrap_or(0);
            ensure(sum == brought_in, "8.4", || format!("{sum} of asset {asset}, and {brought_in} were brought in"))?;
        }
        Ok(())
    }

    pub(super) fn public_balances(&self, balances: impl IntoIterator<Item = (AccountId, AssetId, Balance)>) -> Checked {
        let mut totals = self.totals.clone();
        let mut needed = self.needed();
        for (account, asset, balance) in balances {
            let place = (account, asset);
            let (available, held) = (balance.available.0, balance.held.0);
            let total = totals.remove(&place).unwrap_or(0);
            ensure(i128::try_from(available.saturating_add(held)) == Ok(total), "8.4", || {
                format!("account {account} has {available} and {held} of asset {asset}, and events say {total}")
            })?;
            let needed = needed.remove(&place).unwrap_or(0);
            ensure(held >= needed, "8.1", || {
                format!("account {account} holds {held} of asset {asset}, and its open orders need {needed}")
            })?;
        }
        totals.retain(|_, total| *total != 0);
        ensure(totals.is_empty(), "8.4", || format!("balances that are not there: {totals:?}"))
    }
}
