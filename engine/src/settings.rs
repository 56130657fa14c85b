//! What administrators have set up, for those who show it: assets, instruments, accounts, keys.

use crate::calendar;
use crate::command::{AccountLimits, AddAsset, AdminNote, KeyKind, ListInstrument, Role, SetCalendarEntry, Switch};
use crate::directory::{Grant, KeyState, Network};
use crate::engine::Engine;
use crate::identity::{AccountId, AssetId, ExecId, InstrumentId, KeyId, StpGroup};
use crate::instrument::{FeeRates, InstrumentLimits, Phase, PriceProtection};
use crate::limits::FEE_TIERS;
use crate::market::ListingStatus;
use crate::order::SelfTradePrevention;

/// An instrument, as it is set up now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstrumentSettings<'a> {
    /// As it was listed.
    pub listing: &'a ListInstrument,
    /// Its phase.
    pub phase: Phase,
    /// Its bounds.
    pub limits: InstrumentLimits,
    /// Its price protection.
    pub protection: PriceProtection,
    /// Its fees by tier; a tier without rates pays tier 0's.
    pub fees: &'a [Option<FeeRates>; FEE_TIERS as usize],
    /// Smallest units of the quote asset in one tick times one lot.
    pub quote_units: u64,
    /// Smallest units of the base asset in one lot.
    pub base_units: u64,
}

/// An account, as it is set up now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSettings {
    /// Which.
    pub account: AccountId,
    /// Its self-trade prevention group.
    pub stp_group: StpGroup,
    /// Its own mode of self-trade prevention; absent: the instrument's.
    pub self_trade_prevention: Option<SelfTradePrevention>,
    /// Its fee tier.
    pub fee_tier: u8,
    /// Its bounds in all instruments.
    pub limits: AccountLimits,
    /// Whether it is blocked.
    pub kill_switch: Switch,
}

/// A key that the venue knows, revoked ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySettings {
    /// Which.
    pub key: KeyId,
    /// How its holder proves to have it.
    pub kind: KeyKind,
    /// Its public half, or what stands for it.
    pub public_key: [u8; 32],
    /// Whether it counts no more.
    pub is_revoked: bool,
}

impl Engine {
    /// All assets, by identity; without the note that they were added with.
    pub fn assets(&self) -> impl Iterator<Item = AddAsset> + '_ {
        self.ledger.assets.iter().map(|(id, asset)| AddAsset {
            asset: AssetId(id),
            name: asset.name,
            decimals: asset.decimals,
            note: AdminNote::NONE,
        })
    }

    /// All listed instruments, by identity.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentSettings<'_>> {
        let listed = self.markets.iter().filter(|(_, market)| market.status == ListingStatus::Listed);
        listed.map(|(_, market)| InstrumentSettings {
            listing: &market.listing,
            phase: market.phase,
            limits: market.limits,
            protection: market.protection,
            fees: &market.fees,
            quote_units: market.units.quote,
            base_units: market.units.base,
        })
    }

    /// The listings of all delisted instruments, by identity.
    pub fn delistings(&self) -> impl Iterator<Item = &ListInstrument> {
        let delisted = self.markets.iter().filter(|(_, market)| market.status == ListingStatus::Delisted);
        delisted.map(|(_, market)| &market.listing)
    }

    /// What is still due of an instrument's calendar, each at its next time; without the notes.
    pub fn calendar(&self, instrument: InstrumentId) -> impl Iterator<Item = SetCalendarEntry> + '_ {
        let entries = self.calendar.entries().iter().filter(move |entry| entry.instrument == instrument);
        entries.map(|&calendar::Entry { instrument, number, at, action, phase, repeat, random_end, .. }| {
            SetCalendarEntry { instrument, entry: number, action, phase, at, repeat, random_end, note: AdminNote::NONE }
        })
    }

    /// All accounts, by identity.
    pub fn accounts(&self) -> impl Iterator<Item = AccountSettings> + '_ {
        self.accounts.iter().map(|(id, account)| AccountSettings {
            account: AccountId(id),
            stp_group: account.stp_group,
            self_trade_prevention: account.self_trade_prevention,
            fee_tier: account.fee_tier,
            limits: account.limits,
            kill_switch: account.kill_switch,
        })
    }

    /// The number of each account's last report, by account; none: there was none.
    pub fn executions(&self) -> impl Iterator<Item = (AccountId, ExecId)> + '_ {
        self.accounts.iter().map(|(id, account)| (AccountId(id), account.last_exec))
    }

    /// All keys, by identity.
    pub fn known_keys(&self) -> impl Iterator<Item = KeySettings> + '_ {
        self.directory.keys.iter().map(|(id, key)| KeySettings {
            key: KeyId(id),
            kind: key.kind,
            public_key: key.public_key,
            is_revoked: key.state == KeyState::Revoked,
        })
    }

    /// Who may act in which role, for which account, by key; none: for the whole venue.
    pub fn grants(&self) -> impl Iterator<Item = (KeyId, Role, AccountId)> + '_ {
        self.directory.grants().iter().map(|&Grant { key, account, role }| (key, role, account))
    }

    /// The networks that keys may log in from, by key, as address and leading bits; a key without any may log in from
    /// anywhere.
    pub fn networks(&self) -> impl Iterator<Item = (KeyId, [u8; 16], u8)> + '_ {
        self.directory.networks().iter().map(|&Network { key, address, prefix_bits }| (key, address, prefix_bits))
    }
}
