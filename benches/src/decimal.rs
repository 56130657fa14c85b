//! Exact decimal numbers at the edge: text to whole ticks, lots and smallest units, and back. No float is involved.

use engine::{Amount, Price, Quantity};

/// A step that values are counted in: `mantissa` × 10^−`decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Digits of the step.
    pub mantissa: u64,
    /// How many of them stand behind the point.
    pub decimals: u8,
}

impl Unit {
    /// Whole numbers.
    pub const ONE: Self = Self::smallest(0);

    /// The smallest unit of an asset with this many decimals.
    pub const fn smallest(decimals: u8) -> Self {
        Self { mantissa: 1, decimals }
    }

    /// `count` of this unit as a decimal number without needless zeros.
    pub fn text(self, count: u128) -> String {
        match count.checked_mul(u128::from(self.mantissa)) {
            Some(digits) => place_point(digits, usize::from(self.decimals)),
            None => format!("{count}*{}", place_point(u128::from(self.mantissa), usize::from(self.decimals))),
        }
    }

    /// As [`Unit::text`], with a sign if it is negative.
    pub fn signed_text(self, count: i128) -> String {
        let sign = if count < 0 { "-" } else { "" };
        format!("{sign}{}", self.text(count.unsigned_abs()))
    }
}

/// A decimal number, exactly as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Not divisible by ten, unless it is zero.
    mantissa: u128,
    exponent: i32,
}

/// What a number is, counted in some unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// This many.
    Whole(u128),
    /// Positive, but not a whole number of the unit.
    Fraction,
    /// Zero or less.
    NotPositive,
    /// More than 128 bits can say.
    TooLarge,
}

impl Decimal {
    /// Reads `-12.50`, `12`, `.5` or `1.25e-3`; up to 38 significant digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mantissa = digits(whole, fraction)?;
        let scale = i32::try_from(fraction.len()).ok()?;
        Some(Self { negative, mantissa, exponent: exponent.checked_sub(scale)? }.normalized())
    }

    /// The number counted in `unit`.
    pub fn count(self, unit: Unit) -> Count {
        if self.negative || self.mantissa == 0 {
            return Count::NotPositive;
        }
        // A negative shift divides by ten, which the mantissa is not divisible by.
        let Ok(shift) = u32::try_from(self.exponent.saturating_add(i32::from(unit.decimals))) else {
            return Count::Fraction;
        };
        let step = u128::from(unit.mantissa.max(1));
        match 10_u128.checked_pow(shift).and_then(|power| self.mantissa.checked_mul(power)) {
            None => Count::TooLarge,
            Some(product) if product % step == 0 => Count::Whole(product / step),
            Some(_) => Count::Fraction,
        }
    }

    /// The number as a step to count in: an instrument's tick or lot. Zero if it is not positive; `None` if it has more
    /// digits than a step may have.
    pub fn unit(self) -> Option<Unit> {
        if self.negative || self.mantissa == 0 {
            return Some(Unit { mantissa: 0, decimals: 0 });
        }
        let decimals = u8::try_from(self.exponent.min(0).unsigned_abs()).ok()?;
        match self.count(Unit::smallest(decimals)) {
            Count::Whole(digits) => Some(Unit { mantissa: u64::try_from(digits).ok()?, decimals }),
            Count::Fraction | Count::NotPositive | Count::TooLarge => None,
        }
    }

    /// The number in ticks, or the value by which the engine knows what is wrong with it.
    pub fn price(self, tick: Unit) -> Price {
        Price(self.saturated(tick, Price::OFF_TICK.0))
    }

    /// The number in lots, or the value by which the engine knows what is wrong with it.
    pub fn quantity(self, lot: Unit) -> Quantity {
        Quantity(self.saturated(lot, Quantity::OFF_LOT.0))
    }

    /// The number in an asset's smallest unit. No value stands for a fraction of that, so it becomes zero, which the
    /// engine rejects wherever an amount is asked for.
    pub fn amount(self, unit: Unit) -> Amount {
        Amount(match self.count(unit) {
            Count::Whole(count) => count.min(Amount::ABSENT.0 - 1),
            Count::Fraction | Count::NotPositive => 0,
            Count::TooLarge => Amount::ABSENT.0 - 1,
        })
    }

    fn saturated(self, unit: Unit, off_step: u64) -> u64 {
        match self.count(unit) {
            Count::Whole(count) => u64::try_from(count).unwrap_or(u64::MAX).min(off_step - 1),
            Count::Fraction => off_step,
            Count::NotPositive => 0,
            Count::TooLarge => off_step - 1,
        }
    }

    fn normalized(mut self) -> Self {
        while self.mantissa != 0 && self.mantissa.is_multiple_of(10) {
            self.mantissa /= 10;
            self.exponent = self.exponent.saturating_add(1);
        }
        self
    }
}

fn digits(whole: &str, fraction: &str) -> Option<u128> {
    whole.bytes().chain(fraction.bytes()).try_fold(0_u128, |mantissa, byte| {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte - b'0'))?;
        mantissa.checked_mul(10)?.checked_add(digit)
    })
}

fn place_point(digits: u128, decimals: usize) -> String {
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: Unit = Unit { mantissa: 1, decimals: 2 };
    const QUARTER: Unit = Unit { mantissa: 25, decimals: 2 };

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_counted_in_whole_steps() {
        assert_eq!(decimal("6190.85").count(CENT), Count::Whole(619_085));
        assert_eq!(decimal("6190.85000000").count(CENT), Count::Whole(619_085));
        assert_eq!(decimal("6190.855").count(CENT), Count::Fraction);
        assert_eq!(decimal("101.75").count(QUARTER), Count::Whole(407));
        assert_eq!(decimal("101.80").count(QUARTER), Count::Fraction);
        assert_eq!(decimal("1.25e-3").count(Unit::smallest(5)), Count::Whole(125));
        assert_eq!(decimal("5E2").count(Unit::ONE), Count::Whole(500));
        assert_eq!(decimal(".5").count(CENT), Count::Whole(50));
        assert_eq!(decimal("0.00").count(CENT), Count::NotPositive);
        assert_eq!(decimal("-1").count(CENT), Count::NotPositive);
        assert_eq!(decimal("1e40").count(CENT), Count::TooLarge);
        assert_eq!(decimal("1e-40").count(CENT), Count::Fraction);
        assert_eq!(decimal("1e2147483647").count(CENT), Count::TooLarge);
    }

    #[test]
    fn what_is_not_a_number_is_not_read() {
        for text in ["", "-", ".", "1.2.3", "1e", "e1", "0x10", "1,5", " 1", "1e99999999999", "NaN"] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_in_ticks_becomes_a_value_that_the_engine_rejects() {
        assert_eq!(decimal("0.015").price(CENT), Price::OFF_TICK);
        assert_eq!(decimal("-3").price(CENT), Price::ZERO);
        assert_eq!(decimal("1e30").price(CENT), Price(u64::MAX - 2));
        assert_eq!(decimal("184467440737095516.16").price(CENT), Price(u64::MAX - 2));
        assert_eq!(decimal("0.5").quantity(Unit::ONE), Quantity::OFF_LOT);
        assert_eq!(decimal("0").quantity(Unit::ONE), Quantity::ZERO);
        assert_eq!(decimal("0.001").amount(CENT), Amount::ZERO);
        assert_eq!(decimal("1e60").amount(CENT), Amount(u128::MAX - 1));
    }

    #[test]
    fn a_step_keeps_its_digits() {
        assert_eq!(decimal("0.25").unit(), Some(QUARTER));
        assert_eq!(decimal("50").unit(), Some(Unit { mantissa: 50, decimals: 0 }));
        assert_eq!(decimal("0.00000001").unit(), Some(Unit::smallest(8)));
        assert_eq!(decimal("0").unit(), Some(Unit { mantissa: 0, decimals: 0 }));
        assert_eq!(decimal("1e-300").unit(), None);
    }

    #[test]
    fn counts_are_printed_without_needless_zeros() {
        assert_eq!(CENT.text(619_085), "6190.85");
        assert_eq!(CENT.text(619_080), "6190.8");
        assert_eq!(CENT.text(5), "0.05");
        assert_eq!(CENT.text(0), "0");
        assert_eq!(QUARTER.text(407), "101.75");
        assert_eq!(Unit::smallest(8).signed_text(-150_000_000), "-1.5");
        assert_eq!(Unit { mantissa: 50, decimals: 0 }.text(3), "150");
    }
}
