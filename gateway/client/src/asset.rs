//! Amounts of assets: on the wire in smallest units, for people in decimals. Exact in both directions.
//!
//! ```
//! use client::Decimal;
//! use client::asset::Assets;
//! use client::wire::order_entry::{AccountBalance, AssetDefinition, OrderEntryMessage};
//! use client::wire::{AssetId, Block, Exponent, Symbol16, amount};
//!
//! let mut assets = Assets::default();
//! // The venue's assets follow the opening.
//! let dollar = AssetDefinition { asset: AssetId(3), name: Symbol16::new("USD"), amount_exponent: Exponent(-10) };
//! assets.take(&OrderEntryMessage::AssetDefinition(dollar));
//!
//! let (available_high, available_low) = amount::split(Some(202_500_000));
//! let told = AccountBalance { asset: Some(AssetId(3)), available_high, available_low, ..AccountBalance::BLANK };
//! let balance = assets.balance(&told).unwrap();
//! assert_eq!(format!("{} {}", balance.available.unwrap(), balance.asset), "0.02025 USD");
//!
//! let funds = balance.asset.units("funds", Decimal::new(2_025, 5)).unwrap();
//! assert_eq!(amount::split(Some(funds)), (available_high, available_low));
//! ```

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use wire::order_entry::{AccountBalance, AssetDefinition, ExecutionReport, OrderEntryMessage};
use wire::{AmountHigh, AmountLow, AssetId, Exponent, amount};

use crate::decimal::{self, DecimalError};

/// Why a number is no amount of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// It is finer than the asset's smallest unit, or too large.
    #[error("{field}: {source}")]
    Number {
        /// Which.
        field: &'static str,
        /// Why not.
        source: DecimalError,
    },
    /// It is below zero.
    #[error("{field}: {number} is below zero")]
    Negative {
        /// Which.
        field: &'static str,
        /// What it is.
        number: Decimal,
    },
}

/// An asset as amounts of it are written. Shown as its name, or else its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    definition: AssetDefinition,
}

impl Asset {
    /// The asset of a definition. A venue sends all of them behind the opening, and each that is added later.
    pub fn new(definition: AssetDefinition) -> Self {
        Self { definition }
    }

    /// What the venue said.
    pub fn definition(&self) -> &AssetDefinition {
        &self.definition
    }

    /// Its name, if it has one that can be shown.
    pub fn name(&self) -> Option<&str> {
        self.definition.name.as_str()
    }

    /// A number in smallest units, as [`amount::split`] takes them; `field` is for the error.
    ///
    /// # Errors
    ///
    /// Any [`AmountError`].
    pub fn units(&self, field: &'static str, number: Decimal) -> Result<u128, AmountError> {
        let units = decimal::units(number, self.definition.amount_exponent);
        let units = units.map_err(|source| AmountError::Number { field, source })?;
        u128::try_from(units).map_err(|_| AmountError::Negative { field, number })
    }

    /// So many smallest units.
    pub fn amount(&self, units: u128) -> Amount {
        Amount { is_negative: false, units, exponent: self.definition.amount_exponent }
    }

    /// So many smallest units, where there may be less than none.
    pub fn signed_amount(&self, units: i128) -> Amount {
        Amount { is_negative: units < 0, ..self.amount(units.unsigned_abs()) }
    }

    fn halves(&self, high: Option<AmountHigh>, low: AmountLow) -> Option<Amount> {
        amount::join(high, low).map(|units| self.amount(units))
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.definition.asset.fmt(f),
        }
    }
}

/// An amount of an asset. Shown as a decimal with every digit that counts, however many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    is_negative: bool,
    units: u128,
    exponent: Exponent,
}

impl Amount {
    /// The number; `None`: it has more than the 28 digits of a [`Decimal`].
    pub fn decimal(&self) -> Option<Decimal> {
        Decimal::from_str_exact(&self.to_string()).ok()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        let places = usize::from(self.exponent.0.unsigned_abs());
        if self.exponent.0 > 0 {
            let zeros = if self.units == 0 { 0 } else { places };
            return f.pad(&format!("{sign}{}{}", self.units, "0".repeat(zeros)));
        }
        // At least one digit stands before the point.
        let digits = format!("{:0>1$}", self.units, places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        match fraction.trim_end_matches('0') {
            "" => f.pad(&format!("{sign}{whole}")),
            fraction => f.pad(&format!("{sign}{whole}.{fraction}")),
        }
    }
}

/// What an account has of an asset, as a message says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Of which asset.
    pub asset: Asset,
    /// What can be used now; absent: it is not said.
    pub available: Option<Amount>,
    /// What open orders hold; absent: it is not said.
    pub held: Option<Amount>,
    /// By how much it changed; absent: nothing changed.
    pub change: Option<Amount>,
}

/// What a trade cost, as its report says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fee {
    /// In which asset.
    pub asset: Asset,
    /// How much; negative: a rebate.
    pub amount: Amount,
}

/// The assets that a venue has told of.
#[derive(Debug, Clone, Default)]
pub struct Assets(BTreeMap<AssetId, Asset>);

impl Assets {
    /// Keeps the asset that a message defines; whether it defines one.
    pub fn take(&mut self, message: &OrderEntryMessage) -> bool {
        let OrderEntryMessage::AssetDefinition(definition) = message else { return false };
        self.0.insert(definition.asset, Asset::new(*definition));
        true
    }

    /// An asset.
    pub fn get(&self, asset: AssetId) -> Option<&Asset> {
        self.0.get(&asset)
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Asset> {
        self.0.values()
    }

    /// What a message says of a balance; `None`: the account has none, or the asset was not told of.
    pub fn balance(&self, balance: &AccountBalance) -> Option<Balance> {
        let asset = *self.get(balance.asset?)?;
        let change = amount::join_signed(balance.change_high, balance.change_low);
        Some(Balance {
            asset,
            available: asset.halves(balance.available_high, balance.available_low),
            held: asset.halves(balance.held_high, balance.held_low),
            change: change.map(|units| asset.signed_amount(units)),
        })
    }

    /// What a report says of a fee; `None`: there is none, or the asset was not told of.
    pub fn fee(&self, report: &ExecutionReport) -> Option<Fee> {
        let asset = *self.get(report.fee_asset?)?;
        let units = amount::join_signed(report.fee_high, report.fee_low)?;
        Some(Fee { asset, amount: asset.signed_amount(units) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Block, Symbol16};

    fn asset(exponent: i8) -> Asset {
        let name = Symbol16::new("USD");
        Asset::new(AssetDefinition { asset: AssetId(3), name, amount_exponent: Exponent(exponent) })
    }

    fn parsed(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn smallest_units_are_shown_as_decimals() {
        for (units, exponent, shown) in [
            (202_500_000, -10, "0.02025"),
            (-202_500_000, -10, "-0.02025"),
            (500_000_002_500, -10, "50.00000025"),
            (1, -18, "0.000000000000000001"),
            (0, -10, "0"),
            (100, -2, "1"),
            (-7, 0, "-7"),
            (1_200, 0, "1200"),
            (12, 2, "1200"),
            (0, 2, "0"),
            // More digits than a decimal has.
            (12_345_678_901_234_567_890_123_456_789_012, -18, "12345678901234.567890123456789012"),
        ] {
            let amount = asset(exponent).signed_amount(units);
            assert_eq!(amount.to_string(), shown);
            if shown.len() < 28 {
                assert_eq!(amount.decimal(), Some(parsed(shown)));
            } else {
                assert_eq!(amount.decimal(), None);
            }
        }
        let all = asset(-18).amount(u128::MAX);
        assert_eq!(all.to_string(), "340282366920938463463.374607431768211455");
        assert_eq!(format!("{:>5}|{:<5}|", asset(-2).amount(150), asset(-2)), "  1.5|USD  |");
    }

    #[test]
    fn decimals_become_smallest_units_exactly_or_an_error_names_field_and_reason() {
        for (number, exponent, units) in [
            ("0.02025", -10, Ok(202_500_000)),
            ("0.020250", -5, Ok(2_025)),
            ("0", -10, Ok(0)),
            ("1200", 2, Ok(12)),
            ("1000000000000", -18, Ok(10_u128.pow(30))),
            ("0.00001", -4, Err("funds: 0.00001 is finer than 0.0001")),
            ("-1", -4, Err("funds: -1 is below zero")),
            ("1000000000000000000000", -18, Err("funds: 1000000000000000000000 is more than can be said")),
        ] {
            let made = asset(exponent).units("funds", parsed(number));
            assert_eq!(made.map_err(|error| error.to_string()), units.map_err(str::to_owned), "{number}");
        }
    }

    #[test]
    fn balances_and_fees_are_read_by_what_was_told_of_their_assets() {
        let mut assets = Assets::default();
        // A withdrawal of 25 units of 10^-2: there are 4.75 now, and 2^64 of them are held.
        let told = AccountBalance {
            asset: Some(AssetId(3)),
            available_high: Some(AmountHigh(0)),
            available_low: AmountLow(475),
            held_high: Some(AmountHigh(1)),
            held_low: AmountLow(0),
            change_high: Some(wire::SignedAmountHigh(-1)),
            change_low: AmountLow(u64::MAX - 24),
            ..AccountBalance::BLANK
        };
        // A rebate of one.
        let report = ExecutionReport {
            fee_asset: Some(AssetId(3)),
            fee_high: Some(wire::SignedAmountHigh(-1)),
            fee_low: AmountLow(u64::MAX),
            ..ExecutionReport::BLANK
        };
        assert_eq!((assets.balance(&told), assets.fee(&report)), (None, None));
        assert!(assets.take(&OrderEntryMessage::AssetDefinition(*asset(-2).definition())));
        assert!(!assets.take(&OrderEntryMessage::AccountBalance(told)));
        let balance = assets.balance(&told).unwrap();
        let shown = [balance.available, balance.held, balance.change].map(|amount| amount.unwrap().to_string());
        assert_eq!(shown, ["4.75", "184467440737095516.16", "-0.25"]);
        let fee = assets.fee(&report).unwrap();
        assert_eq!(format!("{} {}", fee.amount, fee.asset), "-0.01 USD");
        let names: Vec<_> = assets.iter().map(Asset::name).collect();
        assert_eq!(names, [Some("USD")]);
        // Nothing is said of a fee, and of no asset.
        assert_eq!(assets.fee(&ExecutionReport { fee_high: None, ..report }), None);
        assert_eq!(assets.balance(&AccountBalance { asset: None, ..told }), None);
    }
}
