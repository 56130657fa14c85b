//! Quantity in lots, and amounts of money in an asset's smallest unit.

use crate::canonical::{Field, FieldValue, canonical_newtype};

/// A quantity in whole lots of its instrument, at most [`Quantity::MAX`].
///
/// Two values stand for what cannot be said in lots: [`Quantity::ABSENT`] and [`Quantity::OFF_LOT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Quantity(pub u64);

impl Quantity {
    /// None: what zero and negative quantities become at the edge.
    pub const ZERO: Self = Self(0);
    /// The largest quantity of any order, in lots.
    pub const MAX: Self = Self(1_000_000_000_000_000);
    /// No quantity was given.
    pub const ABSENT: Self = Self(u64::MAX);
    /// A quantity was given that is not a whole number of lots.
    pub const OFF_LOT: Self = Self(u64::MAX - 1);

    /// Whether no quantity was given.
    pub const fn is_absent(self) -> bool {
        self.0 == Self::ABSENT.0
    }

    /// Whether there is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl core::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl core::ops::Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl core::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl core::ops::SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

canonical_newtype!(Quantity(u64));

impl Field for Quantity {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Quantity(*self)
    }
}

/// An amount of an asset in its smallest unit: a balance, a notional, funds.
///
/// Packed to eight bytes, so that it does not push its neighbours apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(Rust, packed(8))]
pub struct Amount(pub u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most of one asset that a venue may hold, and the largest notional of an order.
    ///
    /// A hundredth of a basis point of it, times a million, still fits 128 bits.
    pub const MAX: Self = Self(10_u128.pow(31));
    /// No amount was given.
    pub const ABSENT: Self = Self(u128::MAX);

    /// Whether no amount was given.
    pub const fn is_absent(self) -> bool {
        self.0 == u128::MAX
    }
}

canonical_newtype!(Amount(u128));

impl Field for Amount {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Amount(self.0)
    }
}

/// An amount that may be negative: a fee (negative: a rebate), a change of balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(Rust, packed(8))]
pub struct SignedAmount(pub i128);

canonical_newtype!(SignedAmount(i128));

impl Field for SignedAmount {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::SignedAmount(self.0)
    }
}
