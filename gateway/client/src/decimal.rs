//! Decimals at the edge: mantissas with an exponent, as the wire has them, and numbers as people write them. Exact.

use rust_decimal::Decimal;
use wire::Exponent;

/// Why a number cannot be said to a venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// It is finer than the venue's exponent.
    #[error("{number} is finer than {}", text(1, *.exponent))]
    TooFine {
        /// The number.
        number: Decimal,
        /// Of what the venue takes.
        exponent: Exponent,
    },
    /// It does not fit what the wire has for it.
    #[error("{0} is more than can be said")]
    TooLarge(Decimal),
}

/// A number as a mantissa: `number = mantissa × 10^exponent`.
///
/// # Errors
/// If the number is finer than the exponent, or too large.
pub fn mantissa(number: Decimal, exponent: Exponent) -> Result<i64, DecimalError> {
    i64::try_from(units(number, exponent)?).map_err(|_| DecimalError::TooLarge(number))
}

/// The same of an amount, which may be wider: `number = units × 10^exponent`.
///
/// # Errors
/// If the number is finer than the exponent, or too large.
pub fn units(number: Decimal, exponent: Exponent) -> Result<i128, DecimalError> {
    let too_large = DecimalError::TooLarge(number);
    let shift = i64::from(number.scale()) + i64::from(exponent.0);
    let power = u32::try_from(shift.unsigned_abs()).ok().and_then(|shift| 10_i128.checked_pow(shift));
    match (shift, power) {
        (..=0, Some(power)) => number.mantissa().checked_mul(power).ok_or(too_large),
        (1.., Some(power)) if number.mantissa() % power == 0 => Ok(number.mantissa() / power),
        (1.., _) => Err(DecimalError::TooFine { number, exponent }),
        (_, None) => Err(too_large),
    }
}

/// `count × 10^−decimals` as a mantissa; `None`: it is finer than the exponent, or too large.
pub fn scaled(count: i64, decimals: u8, exponent: Exponent) -> Option<i64> {
    let number = Decimal::try_from_i128_with_scale(count.into(), decimals.into()).ok()?;
    mantissa(number, exponent).ok()
}

/// A mantissa as text with all its decimals: prices of one instrument stand under each other.
pub fn text(mantissa: i64, exponent: Exponent) -> String {
    match number(mantissa, exponent) {
        Some(number) => number.to_string(),
        None => format!("{mantissa}e{exponent}"),
    }
}

/// A mantissa as text without needless zeros.
pub fn short_text(mantissa: i64, exponent: Exponent) -> String {
    match number(mantissa, exponent) {
        Some(number) => number.normalize().to_string(),
        None => format!("{mantissa}e{exponent}"),
    }
}

/// A mantissa as a number; `None` beyond 28 digits, which no instrument of this venue has and a foreign venue's may.
pub fn number(mantissa: i64, exponent: Exponent) -> Option<Decimal> {
    match u32::try_from(-i32::from(exponent.0)) {
        Ok(scale) => Decimal::try_from_i128_with_scale(mantissa.into(), scale).ok(),
        Err(_) => {
            let power = 10_i128.checked_pow(u32::from(exponent.0.unsigned_abs()))?;
            Decimal::try_from_i128_with_scale(i128::from(mantissa).checked_mul(power)?, 0).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn numbers_become_mantissas_exactly_or_not_at_all() {
        for (text, exponent, expected) in [
            ("101.25", -2, Some(10_125)),
            ("101.250", -2, Some(10_125)),
            ("0.5", -8, Some(50_000_000)),
            ("-3", -1, Some(-30)),
            ("0", -2, Some(0)),
            ("1200", 2, Some(12)),
            ("101.255", -2, None),
            ("1250", 2, None),
            ("92233720368547758.07", -2, Some(i64::MAX)),
            ("92233720368547758.08", -2, None),
            ("1000000000000", -18, None),
        ] {
            assert_eq!(mantissa(parsed(text), Exponent(exponent)).ok(), expected, "{text}");
        }
        let said = mantissa(parsed("101.255"), Exponent(-2)).unwrap_err().to_string();
        assert_eq!(said, "101.255 is finer than 0.01");
    }

    #[test]
    fn mantissas_become_numbers() {
        for (mantissa, exponent, long, short) in [
            (6_400_050, -2, "64000.50", "64000.5"),
            (50_000_000, -8, "0.50000000", "0.5"),
            (-25, -1, "-2.5", "-2.5"),
            (12, 2, "1200", "1200"),
            (7, -100, "7e-100", "7e-100"),
            (i64::MAX, 100, "9223372036854775807e100", "9223372036854775807e100"),
        ] {
            assert_eq!(text(mantissa, Exponent(exponent)), long);
            assert_eq!(short_text(mantissa, Exponent(exponent)), short);
        }
    }
}
