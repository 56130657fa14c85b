//! Amounts of money travel as two 64-bit halves, because SBE has no wider integer.
//!
//! Where the high half is absent there is no amount, and the low half means nothing (it is sent as zero).

use crate::value::{AmountHigh, AmountLow, SignedAmountHigh};

/// The halves of an amount in its asset's smallest unit; `None`: there is none.
pub const fn split(amount: Option<u128>) -> (Option<AmountHigh>, AmountLow) {
    match amount {
        Some(amount) => (Some(AmountHigh((amount >> 64) as u64)), AmountLow(amount as u64)),
        None => (None, AmountLow(0)),
    }
}

/// The amount that two halves stand for; the inverse of [`split`].
pub const fn join(high: Option<AmountHigh>, low: AmountLow) -> Option<u128> {
    match high {
        Some(high) => Some((high.0 as u128) << 64 | low.0 as u128),
        None => None,
    }
}

/// The halves of an amount that may be negative; `None`: there is none.
pub const fn split_signed(amount: Option<i128>) -> (Option<SignedAmountHigh>, AmountLow) {
    match amount {
        Some(amount) => (Some(SignedAmountHigh((amount >> 64) as i64)), AmountLow(amount as u64)),
        None => (None, AmountLow(0)),
    }
}

/// The amount that two halves stand for; the inverse of [`split_signed`].
pub const fn join_signed(high: Option<SignedAmountHigh>, low: AmountLow) -> Option<i128> {
    match high {
        Some(high) => Some((high.0 as i128) << 64 | low.0 as i128),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_twos_complement() {
        assert_eq!(split_signed(Some(-1)), (Some(SignedAmountHigh(-1)), AmountLow(u64::MAX)));
        assert_eq!(split(Some(1 << 64)), (Some(AmountHigh(1)), AmountLow(0)));
        assert_eq!(split(None), (None, AmountLow(0)));
    }

    #[test]
    fn what_is_split_joins_again() {
        for amount in [0, 1, -1, i128::from(u64::MAX), 10_i128.pow(31), -(10_i128.pow(31))] {
            let (high, low) = split_signed(Some(amount));
            assert_eq!(join_signed(high, low), Some(amount));
            let (high, low) = split(Some(amount.unsigned_abs()));
            assert_eq!(join(high, low), Some(amount.unsigned_abs()));
        }
        assert_eq!(join(None, AmountLow(5)), None);
        assert_eq!(join_signed(None, AmountLow(5)), None);
    }
}
