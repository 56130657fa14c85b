//! Fees (rule 8): in the quote asset, on an order's cumulative notional per role, rounded up, less what was charged.
//!
//! A hundred one-lot fills therefore cost what one fill costs. "Up" is toward plus infinity: a rebate is rounded down.

use crate::instrument::FeeRates;

/// Whether the order rested or came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiquidityRole {
    Maker,
    Taker,
}

const MILLION: u128 = 1_000_000;

/// The fee on a notional, at a rate in hundredths of a basis point.
///
/// Rates are below a million, so that a fee is at most its notional and nothing overflows.
pub(crate) fn fee(notional: u128, rate: i32) -> i128 {
    let (whole, rest) = parts(notional, rate.unsigned_abs());
    let (amount, sign) = if rate < 0 { (whole, -1) } else { (whole + u128::from(rest > 0), 1) };
    sign * i128::try_from(amount).expect("a fee is at most its notional")
}

/// `notional × rate` in whole millions and the rest, without the product.
#[inline]
fn parts(notional: u128, rate: u32) -> (u128, u128) {
    // Most notionals fit, and are divided much faster.
    if let Some(product) = u64::try_from(notional).ok().and_then(|notional| notional.checked_mul(u64::from(rate))) {
        return (u128::from(product / MILLION as u64), u128::from(product % MILLION as u64));
    }
    long_parts(notional, rate)
}

#[cold]
fn long_parts(notional: u128, rate: u32) -> (u128, u128) {
    let rate = u128::from(rate);
    let rest = notional % MILLION * rate;
    (notional / MILLION * rate + rest / MILLION, rest % MILLION)
}

/// What trading `more` adds to the fee on `before`.
pub(crate) fn fee_increase(before: u128, more: u128, rate: i32) -> i128 {
    fee(before + more, rate) - fee(before, rate)
}

/// The most lots that `funds` pay for, fee included, for an order that traded `before`: `lot` is one lot's notional.
///
/// The estimate never costs more than the funds: a fee on more is rounded up by less than one unit, and funds are whole.
/// It is short by the rounding of two fees at most, which a lot of one unit or more covers in a step or two.
pub(crate) fn lots_for(funds: u128, lot: u128, before: u128, rate: i32) -> u64 {
    if lot > funds {
        return 0;
    }
    let cost = |lots: u128| lots * lot + fee_increase(before, lots * lot, rate).unsigned_abs();
    let mut lots = funds * MILLION / (lot * (MILLION + u128::from(rate.unsigned_abs())));
    while cost(lots + 1) <= funds {
        lots += 1;
    }
    u64::try_from(lots).unwrap_or(u64::MAX)
}

/// The most that an order can still be charged: it traded these notionals, and may trade `open` more in either role.
///
/// Each role's fee is rounded up by less than one unit, so that both together stay within the worst rate on everything,
/// rounded down, plus two units. The bound falls by at least each charge, so that a hold that includes it always pays.
#[inline]
pub(crate) fn fee_bound(rates: FeeRates, maker_notional: u128, taker_notional: u128, open: u128) -> u128 {
    let worst = rates.maker.max(rates.taker);
    if maker_notional | taker_notional == 0 {
        return if worst <= 0 || open == 0 { 0 } else { parts(open, worst.unsigned_abs()).0 + 2 };
    }
    fee_bound_after(rates, worst, maker_notional, taker_notional, open)
}

/// As [`fee_bound`], for an order that has traded.
fn fee_bound_after(rates: FeeRates, worst: i32, maker_notional: u128, taker_notional: u128, open: u128) -> u128 {
    let everything = maker_notional + taker_notional + open;
    if worst <= 0 || everything == 0 {
        return 0;
    }
    let bound = parts(everything, worst.unsigned_abs()).0 + 2;
    let charged = [(rates.maker, maker_notional), (rates.taker, taker_notional)]
        .into_iter()
        .filter(|&(rate, _)| rate > 0)
        .map(|(rate, notional)| fee(notional, rate).unsigned_abs())
        .sum::<u128>();
    bound - charged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_round_up_and_rebates_round_down() {
        // 25 hundredths of a basis point of 1,000,000 is 25; of 1,000,001 it is 25.000025.
        assert_eq!(fee(1_000_000, 25), 25);
        assert_eq!(fee(1_000_001, 25), 26);
        assert_eq!(fee(1_000_001, -25), -25);
        assert_eq!(fee(999_999, -1), 0);
        assert_eq!(fee(0, 25), 0);
    }

    #[test]
    fn a_hundred_small_fills_cost_what_one_costs() {
        let (mut notional, mut charged) = (0, 0);
        for _ in 0..100 {
            charged += fee_increase(notional, 333, 2_500);
            notional += 333;
        }
        // 33,300 × 0.25 % = 83.25, rounded up.
        assert_eq!(charged, 84);
    }

    #[test]
    fn funds_pay_for_whole_lots_and_their_fee() {
        // 1,000 units at 100 a lot and 0.25 %: nine lots are 900 + 2.25, rounded up; ten would be 1,000 + 2.5.
        assert_eq!(lots_for(1_000, 100, 0, 2_500), 9);
        assert_eq!(lots_for(1_003, 100, 0, 2_500), 10);
        assert_eq!(lots_for(1_002, 100, 0, 2_500), 9);
        assert_eq!(lots_for(1_000, 100, 0, 0), 10);
        assert_eq!(lots_for(99, 100, 0, 0), 0);
        // 399 units were charged 1 already, rounded up: one more is covered by that, and the whole fee is still 1.
        assert_eq!(lots_for(1, 1, 399, 2_500), 1);
        assert_eq!(lots_for(10_u128.pow(31), 1, 0, 100_000), u64::MAX);
    }

    #[test]
    fn the_bound_is_the_worst_rate_plus_a_unit_per_role() {
        let rates = FeeRates { maker: 1_000, taker: 2_500 };
        // Nothing traded: 0.25 % of 10,000 is 25, plus 2.
        assert_eq!(fee_bound(rates, 0, 0, 10_000), 27);
        // Half traded as taker, which was charged 12.5 rounded up: 27 less 13.
        assert_eq!(fee_bound(rates, 0, 5_000, 5_000), 14);
        assert_eq!(fee_bound(FeeRates { maker: -100, taker: 0 }, 0, 0, 10_000), 0);
    }
}
