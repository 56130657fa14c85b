//! Accounts and their balances (rule 8).
//!
//! Per asset, deposits less withdrawals equal the sum of what is available and held over all accounts, the fee account
//! included. Available and held are unsigned: a change that would make one negative is a fault of the caller, because
//! every order held enough when it was accepted.

use alloc::vec::Vec;

use crate::book::level::Queue;
use crate::command::{AccountLimits, Switch};
use crate::identity::{AccountId, AssetId, ExecId, InstrumentId, StpGroup, Text};
use crate::limits::INSTRUMENT_LIMITS_PER_ACCOUNT;
use crate::order::SelfTradePrevention;
use crate::table::Table;
use crate::{Amount, Capacity};

/// A thing of value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    pub(crate) name: Text<16>,
    pub(crate) decimals: u8,
    /// Deposits less withdrawals; at most [`Amount::MAX`], which bounds every balance.
    pub(crate) supply: u128,
}

/// Who owns balances and orders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) stp_group: StpGroup,
    pub(crate) self_trade_prevention: Option<SelfTradePrevention>,
    pub(crate) fee_tier: u8,
    pub(crate) limits: AccountLimits,
    /// In how many instruments it has limits of their own.
    pub(crate) limited_instruments: u32,
    pub(crate) kill_switch: Switch,
    /// Of the account's last report.
    pub(crate) last_exec: ExecId,
    pub(crate) open_orders: u32,
    pub(crate) orders: Queue,
}

impl Account {
    pub(crate) fn new(stp_group: StpGroup, self_trade_prevention: Option<SelfTradePrevention>, fee_tier: u8) -> Self {
        Self {
            stp_group,
            self_trade_prevention,
            fee_tier,
            limits: AccountLimits::DEFAULT,
            limited_instruments: 0,
            kill_switch: Switch::Lifted,
            last_exec: ExecId::NONE,
            open_orders: 0,
            orders: Queue::EMPTY,
        }
    }
}

/// One account's limits in one instrument, besides those in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitsInInstrument {
    pub(crate) account: AccountId,
    pub(crate) instrument: InstrumentId,
    pub(crate) limits: AccountLimits,
    /// The account's open orders in the instrument.
    pub(crate) open_orders: u32,
}

/// There is no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Limits in single instruments, by account, then by instrument.
#[derive(Debug)]
pub(crate) struct InstrumentLimitsTable {
    entries: Vec<LimitsInInstrument>,
}

impl InstrumentLimitsTable {
    pub(crate) fn new(accounts: u32) -> Self {
        Self { entries: Vec::with_capacity(accounts as usize * INSTRUMENT_LIMITS_PER_ACCOUNT as usize) }
    }

    /// An account's.
    pub(crate) fn of(&self, account: AccountId) -> &[LimitsInInstrument] {
        let start = self.entries.partition_point(|entry| entry.account < account);
        let count = self.entries[start..].partition_point(|entry| entry.account == account);
        &self.entries[start..start + count]
    }

    pub(crate) fn get(&self, account: AccountId, instrument: InstrumentId) -> Option<&LimitsInInstrument> {
        self.position(account, instrument).ok().map(|index| &self.entries[index])
    }

    pub(crate) fn get_mut(&mut self, account: AccountId, instrument: InstrumentId) -> Option<&mut LimitsInInstrument> {
        self.position(account, instrument).ok().map(|index| &mut self.entries[index])
    }

    /// Sets an entry, unless the account has as many as it may.
    pub(crate) fn set(&mut self, entry: LimitsInInstrument) -> Result<(), Full> {
        match self.position(entry.account, entry.instrument) {
            Ok(index) => self.entries[index] = entry,
            Err(_) if self.of(entry.account).len() >= INSTRUMENT_LIMITS_PER_ACCOUNT as usize => return Err(Full),
            Err(index) => self.entries.insert(index, entry),
        }
        Ok(())
    }

    /// Takes an entry out, if there is one.
    pub(crate) fn remove(&mut self, account: AccountId, instrument: InstrumentId) {
        if let Ok(index) = self.position(account, instrument) {
            self.entries.remove(index);
        }
    }

    fn position(&self, account: AccountId, instrument: InstrumentId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&(account, instrument), |entry| (entry.account, entry.instrument))
    }
}

/// What an account has of an asset, in the asset's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// What can be used.
    pub available: Amount,
    /// What open orders hold.
    pub held: Amount,
}

/// An amount that a balance does not cover, or that an asset's bound does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Insufficient;

/// All balances.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) assets: Table<Asset>,
    /// A row of all assets per account, both from identity 1.
    balances: Vec<Balance>,
    row: usize,
}

impl Ledger {
    pub(crate) fn new(capacity: &Capacity) -> Self {
        let row = capacity.assets as usize;
        Self {
            assets: Table::new(capacity.assets),
            balances: Vec::with_capacity(capacity.accounts as usize * row),
            row,
        }
    }

    /// Makes the account's balances, all zero.
    pub(crate) fn open_account(&mut self, account: AccountId) {
        let length = self.balances.len().max(account.0 as usize * self.row);
        self.balances.resize(length, Balance::default());
    }

    #[inline]
    fn index(&self, account: AccountId, asset: AssetId) -> usize {
        (account.0 as usize - 1) * self.row + asset.0 as usize - 1
    }

    /// The balance of an open account in a known asset.
    #[inline]
    pub(crate) fn balance(&self, account: AccountId, asset: AssetId) -> Balance {
        self.balances[self.index(account, asset)]
    }

    #[inline]
    fn balance_mut(&mut self, account: AccountId, asset: AssetId) -> &mut Balance {
        let index = self.index(account, asset);
        &mut self.balances[index]
    }

    /// Sets a balance as a snapshot says.
    pub(crate) fn restore(&mut self, account: AccountId, asset: AssetId, balance: Balance) {
        *self.balance_mut(account, asset) = balance;
    }

    /// Brings an amount into the venue, unless the asset's total would pass its bound.
    pub(crate) fn deposit(&mut self, account: AccountId, asset: AssetId, amount: Amount) -> Result<(), Insufficient> {
        let supply = &mut self.assets.get_mut(asset.0).ok_or(Insufficient)?.supply;
        let total = supply.checked_add(amount.0).filter(|&total| total <= Amount::MAX.0).ok_or(Insufficient)?;
        *supply = total;
        self.balance_mut(account, asset).available.0 += amount.0;
        Ok(())
    }

    /// Takes an amount out of the venue, if it is available beyond `reserve`.
    pub(crate) fn withdraw(
        &mut self,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        reserve: u128,
    ) -> Result<(), Insufficient> {
        let available = self.balance(account, asset).available.0;
        let left = available.checked_sub(amount.0).filter(|&left| left >= reserve).ok_or(Insufficient)?;
        self.balance_mut(account, asset).available.0 = left;
        let supply = &mut self.assets.get_mut(asset.0).ok_or(Insufficient)?.supply;
        *supply -= amount.0;
        Ok(())
    }

    /// Makes a hold of `before` one of `after`, if the available balance covers the difference.
    #[inline]
    pub(crate) fn change_hold(
        &mut self,
        account: AccountId,
        asset: AssetId,
        before: u128,
        after: u128,
    ) -> Result<(), Insufficient> {
        let balance = self.balance_mut(account, asset);
        let free = balance.available.0 + before;
        balance.available.0 = free.checked_sub(after).ok_or(Insufficient)?;
        balance.held.0 = balance.held.0 - before + after;
        Ok(())
    }

    /// Makes a hold of `before` one of `after` and adds to what is available, which may be negative.
    ///
    /// # Panics
    /// If the balance would become negative, which holds and fee rules exclude.
    #[inline]
    pub(crate) fn settle(&mut self, account: AccountId, asset: AssetId, before: u128, after: u128, amount: i128) {
        let balance = self.balance_mut(account, asset);
        let free = (balance.available.0 + before).checked_add_signed(amount);
        let available = free.and_then(|free| free.checked_sub(after));
        balance.available.0 = available.expect("holds cover what trades cost");
        balance.held.0 = balance.held.0 - before + after;
    }

    /// Adds to what is available; `amount` may be negative.
    ///
    /// # Panics
    /// If the balance would become negative, which holds and fee rules exclude.
    #[inline]
    pub(crate) fn credit(&mut self, account: AccountId, asset: AssetId, amount: i128) {
        let balance = self.balance_mut(account, asset);
        let available = balance.available.0.checked_add_signed(amount);
        balance.available.0 = available.expect("holds cover what trades cost");
    }

    /// The sum of all balances of an asset.
    pub(crate) fn total(&self, asset: AssetId) -> u128 {
        self.balances
            .iter()
            .skip(asset.0 as usize - 1)
            .step_by(self.row)
            .map(|balance| balance.available.0 + balance.held.0)
            .sum()
    }
}
