//! Price, in ticks of its instrument.

use crate::canonical::{Field, FieldValue, canonical_newtype};

/// A price in whole ticks of its instrument, from 1 to [`Price::MAX`].
///
/// Values outside that range are representable, because a trader may send anything: the engine rejects them in the
/// rulebook's order. Two values stand for what cannot be said in ticks: [`Price::ABSENT`] and [`Price::OFF_TICK`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Price(pub u64);

impl Price {
    /// Not a positive price: what zero and negative prices become at the edge.
    pub const ZERO: Self = Self(0);
    /// The highest price of any instrument, in ticks.
    pub const MAX: Self = Self(100_000_000_000_000);
    /// No price was given.
    pub const ABSENT: Self = Self(u64::MAX);
    /// A price was given that is not a whole number of ticks.
    pub const OFF_TICK: Self = Self(u64::MAX - 1);

    /// Whether no price was given.
    pub const fn is_absent(self) -> bool {
        self.0 == Self::ABSENT.0
    }
}

canonical_newtype!(Price(u64));

impl Field for Price {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Price(*self)
    }
}
