//! Ticks and lots as the mantissas that the wire carries.

use engine::command::ListInstrument;
use engine::{Price, Quantity};
use wire::Exponent;

/// How an instrument's ticks and lots become mantissas: times its step, with the step's decimals as exponent.
///
/// What does not fit 63 bits is sent as the highest mantissa. With prices of at most 10^14 ticks that takes a tick whose
/// digits are more than 92,233.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    tick: u64,
    tick_decimals: u8,
    lot: u64,
    lot_decimals: u8,
}

impl Scale {
    /// An instrument's.
    pub const fn of(listing: &ListInstrument) -> Self {
        let ListInstrument { tick, tick_decimals, lot, lot_decimals, .. } = *listing;
        Self { tick, tick_decimals, lot, lot_decimals }
    }

    /// So many ticks.
    pub fn price(&self, price: Price) -> wire::Price {
        wire::Price(mantissa(price.0, self.tick))
    }

    /// So many lots.
    pub fn quantity(&self, quantity: Quantity) -> wire::Quantity {
        wire::Quantity(mantissa(quantity.0, self.lot))
    }

    /// A sum of ticks times lots, as one of price mantissas times quantity mantissas.
    pub fn notional(&self, sum: u128) -> u128 {
        sum.saturating_mul(u128::from(self.tick)).saturating_mul(u128::from(self.lot))
    }

    /// A sum of lots that may be more than one order has.
    pub fn volume(&self, sum: u128) -> wire::Quantity {
        wire::Quantity(i64::try_from(sum.saturating_mul(u128::from(self.lot))).unwrap_or(i64::MAX))
    }

    /// Of prices.
    pub fn price_exponent(&self) -> Exponent {
        exponent(self.tick_decimals)
    }

    /// Of quantities.
    pub fn quantity_exponent(&self) -> Exponent {
        exponent(self.lot_decimals)
    }
}

fn mantissa(count: u64, step: u64) -> i64 {
    i64::try_from(u128::from(count) * u128::from(step)).unwrap_or(i64::MAX)
}

fn exponent(decimals: u8) -> Exponent {
    Exponent(-i8::try_from(decimals).expect("the engine lists no instrument with more than 127 decimals"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_counted_in_the_steps_last_digit() {
        let scale = Scale { tick: 25, tick_decimals: 2, lot: 1, lot_decimals: 8 };
        assert_eq!(scale.price(Price(3)), wire::Price(75));
        assert_eq!(scale.price_exponent(), Exponent(-2));
        assert_eq!(scale.quantity(Quantity(7)), wire::Quantity(7));
        assert_eq!(scale.quantity_exponent(), Exponent(-8));
        assert_eq!(Scale { tick: u64::MAX, ..scale }.price(Price(3)), wire::Price(i64::MAX));
    }
}
