//! Fair prices: two walk at random around their anchors, the third follows from them. Integers.

use fastrand::Rng;
use wire::Exponent;

/// Prices are counted in billionths.
const BILLION: i128 = 1_000_000_000;
/// The largest step either way, in parts per million.
const STEP_PPM: i64 = 20;
/// How strongly a price is drawn back: this part of its distance from the anchor at each step.
const PULL: i64 = 100_000;

/// A price in billionths of the quote asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FairPrice(pub(super) i64);

impl FairPrice {
    const fn whole(units: i64) -> Self {
        Self(units * 1_000_000_000)
    }

    /// Changed by some parts per million.
    pub(super) fn shifted(self, ppm: i64) -> Self {
        let shifted = i128::from(self.0) * (1_000_000 + i128::from(ppm)) / 1_000_000;
        Self(i64::try_from(shifted).unwrap_or(i64::MAX))
    }

    /// As a mantissa, rounded down to a whole number of `tick` mantissas.
    pub(super) fn mantissa_below(self, exponent: Exponent, tick: i64) -> i64 {
        let tick = i128::from(tick.max(1));
        let mantissa = self.mantissa(exponent) / tick * tick;
        i64::try_from(mantissa).unwrap_or(i64::MAX)
    }

    /// The next whole number of `tick` mantissas above [`mantissa_below`](Self::mantissa_below).
    pub(super) fn mantissa_above(self, exponent: Exponent, tick: i64) -> i64 {
        self.mantissa_below(exponent, tick).saturating_add(tick.max(1))
    }

    fn mantissa(self, exponent: Exponent) -> i128 {
        let power = 10_i128.pow(u32::from(exponent.0.unsigned_abs()).min(18));
        match exponent.0 {
            ..=0 => i128::from(self.0) * power / BILLION,
            1.. => i128::from(self.0) / BILLION / power,
        }
    }
}

const BTC_USD: FairPrice = FairPrice::whole(64_000);
const ETH_USD: FairPrice = FairPrice::whole(3_200);

/// The fair prices of the demo's instruments.
#[derive(Debug, Clone)]
pub(super) struct FairPrices {
    btc_usd: FairPrice,
    eth_usd: FairPrice,
}

impl FairPrices {
    /// At their anchors.
    pub(super) const START: Self = Self { btc_usd: BTC_USD, eth_usd: ETH_USD };

    /// Time has passed.
    pub(super) fn step(&mut self, rng: &mut Rng) {
        self.btc_usd = step(self.btc_usd, BTC_USD, rng);
        self.eth_usd = step(self.eth_usd, ETH_USD, rng);
    }

    /// By the instrument's name; `None`: it is not the demo's.
    pub(super) fn of(&self, symbol: &str) -> Option<FairPrice> {
        match symbol {
            "BTC-USD" => Some(self.btc_usd),
            "ETH-USD" => Some(self.eth_usd),
            "ETH-BTC" => {
                let ratio = i128::from(self.eth_usd.0) * BILLION / i128::from(self.btc_usd.0);
                i64::try_from(ratio).ok().map(FairPrice)
            }
            _ => None,
        }
    }
}

fn step(price: FairPrice, anchor: FairPrice, rng: &mut Rng) -> FairPrice {
    let pulled = FairPrice(price.0 + (anchor.0 - price.0) / PULL);
    pulled.shifted(rng.i64(-STEP_PPM..=STEP_PPM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_walk_and_stay_near_their_anchors() {
        let mut prices = FairPrices::START;
        let mut rng = Rng::with_seed(7);
        let (mut lowest, mut highest) = (i64::MAX, 0);
        // A week of eight steps a second.
        for _ in 0..7 * 24 * 3_600 * 8 {
            prices.step(&mut rng);
            lowest = lowest.min(prices.btc_usd.0);
            highest = highest.max(prices.btc_usd.0);
        }
        assert!(lowest > FairPrice::whole(61_000).0 && lowest < FairPrice::whole(63_800).0, "{lowest}, seed 7");
        assert!(highest < FairPrice::whole(67_000).0 && highest > FairPrice::whole(64_200).0, "{highest}, seed 7");
    }

    #[test]
    fn the_third_price_follows_from_the_two() {
        let mut prices = FairPrices::START;
        assert_eq!(prices.of("ETH-BTC"), Some(FairPrice(50_000_000)));
        prices.eth_usd = FairPrice::whole(3_840);
        assert_eq!(prices.of("ETH-BTC"), Some(FairPrice(60_000_000)));
        assert_eq!(prices.of("X"), None);
    }

    #[test]
    fn fair_prices_lie_between_two_ticks() {
        let price = FairPrice(64_000_127_000_000);
        for (exponent, tick, below, above) in
            [(-2, 1, 6_400_012, 6_400_013), (-2, 25, 6_400_000, 6_400_025), (0, 1, 64_000, 64_001), (3, 1, 64, 65)]
        {
            assert_eq!(price.mantissa_below(Exponent(exponent), tick), below);
            assert_eq!(price.mantissa_above(Exponent(exponent), tick), above);
        }
    }
}
