//! What an instrument is, and the phases of its day.

use crate::canonical::{code_enum, record};
use crate::limits::FEE_RATE_MAX;
use crate::order::Side;
use crate::{Amount, Nanoseconds, Price, Quantity};

code_enum! {
    /// What an instrument allows at the moment. The table of what each allows is rule 7.
    pub enum Phase: u8 {
        /// Orders gather before the opening.
        PreOpen = 1,
        /// The opening auction's call.
        OpeningCall = 2,
        /// Continuous trading was interrupted; orders gather for an auction.
        VolatilityCall = 3,
        /// The closing auction's call.
        ClosingCall = 4,
        /// The end of a call, in which orders may only grow more binding.
        NoCancel = 5,
        /// Orders match as they come.
        Continuous = 6,
        /// Only post-only orders enter.
        PostOnly = 7,
        /// Only limit orders enter.
        LimitOnly = 8,
        /// Orders may only leave or shrink, by plan.
        CancelOnly = 9,
        /// Orders may only leave or shrink, for cause.
        Halted = 10,
        /// Orders may only leave.
        Closed = 11,
    }
}

code_enum! {
    /// Why a phase changed.
    pub enum PhaseCause: u8 {
        /// An administrator's command.
        Administrator = 1,
        /// A calendar entry fell due.
        Calendar = 2,
        /// A would-be fill lay outside the collar.
        Collar = 3,
        /// A call ended.
        CallEnded = 4,
        /// The instrument was listed or delisted.
        Listing = 5,
        /// An auction would have ended outside its band.
        AuctionBand = 6,
    }
}

code_enum! {
    /// Whether an instrument's trades move balances.
    pub enum Holds: u8 {
        /// No balance is checked, held or moved: a venue that only matches.
        Off = 0,
        /// Orders hold what they could cost; trades settle; fees are charged.
        On = 1,
    }
}

code_enum! {
    /// What a distance from a price is counted in.
    pub enum DistanceUnit: u8 {
        /// No bound.
        Unlimited = 0,
        /// Ticks.
        Ticks = 1,
        /// Hundredths of a basis point of the price.
        PartsPerMillion = 2,
    }
}

record! {
    /// How far from a price something may be. Bounds are inclusive and rounded inward.
    pub struct Distance {
        /// What `value` counts.
        pub unit: DistanceUnit,
        /// Ticks or parts per million; zero when unlimited.
        pub value: u32,
    }
}

impl Distance {
    /// No bound.
    pub const UNLIMITED: Self = Self { unit: DistanceUnit::Unlimited, value: 0 };

    /// This many ticks.
    pub const fn ticks(value: u32) -> Self {
        Self { unit: DistanceUnit::Ticks, value }
    }

    /// This many hundredths of a basis point.
    pub const fn parts_per_million(value: u32) -> Self {
        Self { unit: DistanceUnit::PartsPerMillion, value }
    }

    /// The highest price within the distance above `from`.
    pub fn above(self, from: Price) -> Price {
        Price(match self.unit {
            DistanceUnit::Unlimited => Price::MAX.0,
            DistanceUnit::Ticks | DistanceUnit::PartsPerMillion => {
                from.0.saturating_add(self.width(from)).min(Price::MAX.0)
            }
        })
    }

    /// The lowest price within the distance below `from`, at least one tick.
    pub fn below(self, from: Price) -> Price {
        Price(match self.unit {
            DistanceUnit::Unlimited => 1,
            DistanceUnit::Ticks | DistanceUnit::PartsPerMillion => from.0.saturating_sub(self.width(from)).max(1),
        })
    }

    /// The worst price within the distance of `from`, for an order on `side`.
    pub fn furthest(self, side: Side, from: Price) -> Price {
        match side {
            Side::Buy => self.above(from),
            Side::Sell => self.below(from),
        }
    }

    /// Whether a price that an order on `side` may have lies within the distance of `from`: as [`Distance::furthest`] says,
    /// without a division.
    #[inline]
    pub(crate) fn allows(self, side: Side, from: Price, price: Price) -> bool {
        let beyond = match side {
            Side::Buy => price.0.saturating_sub(from.0),
            Side::Sell => from.0.saturating_sub(price.0),
        };
        match self.unit {
            DistanceUnit::Unlimited => true,
            DistanceUnit::Ticks => beyond <= u64::from(self.value),
            DistanceUnit::PartsPerMillion => {
                u128::from(beyond) * 1_000_000 <= u128::from(from.0) * u128::from(self.value)
            }
        }
    }

    fn width(self, from: Price) -> u64 {
        if let (DistanceUnit::PartsPerMillion, Some(product)) = (self.unit, from.0.checked_mul(self.value.into())) {
            return product / 1_000_000;
        }
        let width = match self.unit {
            DistanceUnit::Unlimited => u128::from(u64::MAX),
            DistanceUnit::Ticks => u128::from(self.value),
            DistanceUnit::PartsPerMillion => u128::from(from.0) * u128::from(self.value) / 1_000_000,
        };
        u64::try_from(width).unwrap_or(u64::MAX)
    }
}

record! {
    /// Bounds of orders in one instrument.
    pub struct InstrumentLimits {
        /// The smallest order quantity.
        pub quantity_min: Quantity,
        /// The largest order quantity.
        pub quantity_max: Quantity,
        /// The highest price.
        pub price_max: Price,
        /// The smallest notional of an order, in the quote asset's smallest unit.
        pub notional_min: Amount,
        /// The largest notional of an order.
        pub notional_max: Amount,
    }
    /// Price protection of one instrument (rule 6).
    pub struct PriceProtection {
        /// How far from the reference price an order may be priced against its own interest.
        pub entry_band: Distance,
        /// How far from the reference price a fill may be.
        pub collar: Distance,
        /// How far through the best opposite price a market order may trade.
        pub market: Distance,
        /// How far from the reference price an auction may end.
        pub auction: Distance,
        /// What a fill outside the collar does.
        pub collar_action: CollarAction,
        /// What moves the reference price.
        pub reference_source: ReferenceSource,
        /// How long a volatility call lasts.
        pub call_duration: Nanoseconds,
        /// At most how much longer, at random.
        pub call_random_end: Nanoseconds,
    }
    /// Fee rates of one instrument and tier, in hundredths of a basis point of the notional.
    pub struct FeeRates {
        /// For resting orders; negative: a rebate.
        pub maker: i32,
        /// For incoming orders, never negative.
        pub taker: i32,
    }
}

code_enum! {
    /// What moves an instrument's reference price.
    pub enum ReferenceSource: u8 {
        /// Every trade.
        LastTrade = 0,
        /// Auctions only.
        LastAuction = 1,
    }
}

code_enum! {
    /// What happens when the next fill would lie outside the collar.
    pub enum CollarAction: u8 {
        /// The incoming remainder is cancelled.
        CancelRemainder = 0,
        /// The instrument moves to a volatility call.
        VolatilityCall = 1,
    }
}

impl InstrumentLimits {
    /// Nothing but the engine's own bounds.
    pub const DEFAULT: Self = Self {
        quantity_min: Quantity(1),
        quantity_max: Quantity::MAX,
        price_max: Price::MAX,
        notional_min: Amount::ZERO,
        notional_max: Amount::MAX,
    };
}

impl InstrumentLimits {
    /// Whether minimums are at most maximums, and those within the engine's own bounds.
    pub fn is_valid(&self) -> bool {
        (Quantity(1)..=self.quantity_max).contains(&self.quantity_min)
            && self.quantity_max <= Quantity::MAX
            && (Price(1)..=Price::MAX).contains(&self.price_max)
            && self.notional_min <= self.notional_max
            && self.notional_max <= Amount::MAX
    }
}

impl FeeRates {
    /// Whether both rates are within bounds.
    pub fn is_valid(&self) -> bool {
        (0..=FEE_RATE_MAX).contains(&self.taker) && (-FEE_RATE_MAX..=FEE_RATE_MAX).contains(&self.maker)
    }
}

impl PriceProtection {
    /// Market orders stop ten per cent through the best price; nothing else is bounded.
    pub const DEFAULT: Self = Self {
        entry_band: Distance::UNLIMITED,
        collar: Distance::UNLIMITED,
        market: Distance::parts_per_million(100_000),
        auction: Distance::UNLIMITED,
        collar_action: CollarAction::CancelRemainder,
        reference_source: ReferenceSource::LastTrade,
        call_duration: Nanoseconds::NONE,
        call_random_end: Nanoseconds::NONE,
    };
}

impl FeeRates {
    /// Nobody pays.
    pub const ZERO: Self = Self { maker: 0, taker: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_inclusive_and_rounded_inward() {
        // 10 % of 105 ticks is 10.5: the bounds are 115 and 95.
        let ten_percent = Distance::parts_per_million(100_000);
        assert_eq!(ten_percent.above(Price(105)), Price(115));
        assert_eq!(ten_percent.below(Price(105)), Price(95));
        assert_eq!(Distance::ticks(5).above(Price(100)), Price(105));
        assert_eq!(Distance::ticks(200).below(Price(100)), Price(1));
        for distance in [ten_percent, Distance::ticks(7), Distance::parts_per_million(2_000_000), Distance::UNLIMITED] {
            for (from, price) in (1..60).flat_map(|from| (1..150).map(move |price| (Price(from), Price(price)))) {
                assert_eq!(
                    distance.allows(Side::Buy, from, price),
                    price <= distance.above(from),
                    "{from:?} {price:?}"
                );
                assert_eq!(
                    distance.allows(Side::Sell, from, price),
                    price >= distance.below(from),
                    "{from:?} {price:?}"
                );
            }
        }
        assert_eq!(Distance::UNLIMITED.above(Price(100)), Price::MAX);
        assert_eq!(Distance::UNLIMITED.below(Price(100)), Price(1));
        assert_eq!(Distance::ticks(u32::MAX).above(Price::MAX), Price::MAX);
    }
}
