//! What traded in an instrument since a day began.

use engine::{Price, Quantity, Timestamp, TradeId};

const DAY_NS: u64 = 86_400_000_000_000;

/// Counted since the beginning of the day (UTC, by the core's time) of the last trade, or since the feed began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) since: Timestamp,
    pub(crate) prices: Option<Prices>,
    /// In lots.
    pub(crate) volume: u128,
    /// In ticks times lots.
    pub(crate) notional: u128,
    pub(crate) trade_count: u64,
}

/// What a day has once something traded. A trade that is reversed does not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prices {
    pub(crate) first: Price,
    pub(crate) high: Price,
    pub(crate) low: Price,
    pub(crate) last: Price,
    pub(crate) last_quantity: Quantity,
    pub(crate) first_trade: TradeId,
    pub(crate) last_trade: TradeId,
}

impl Statistics {
    /// Nothing yet.
    pub(crate) const fn new(since: Timestamp) -> Self {
        Self { since, prices: None, volume: 0, notional: 0, trade_count: 0 }
    }

    pub(crate) fn trade(&mut self, at: Timestamp, price: Price, quantity: Quantity, trade: TradeId) {
        self.turn_to(at);
        let alone = Prices {
            first: price,
            high: price,
            low: price,
            last: price,
            last_quantity: quantity,
            first_trade: trade,
            last_trade: trade,
        };
        self.prices = Some(self.prices.map_or(alone, |Prices { first, high, low, first_trade, .. }| Prices {
            first,
            high: high.max(price),
            low: low.min(price),
            first_trade,
            ..alone
        }));
        self.volume += u128::from(quantity.0);
        self.notional += u128::from(price.0) * u128::from(quantity.0);
        self.trade_count += 1;
    }

    /// A trade was reversed. One of before the statistics began is not in them.
    pub(crate) fn bust(&mut self, at: Timestamp, price: Price, quantity: Quantity, trade: TradeId) {
        self.turn_to(at);
        if self.prices.is_none_or(|prices| trade.0 < prices.first_trade.0) {
            return;
        }
        self.volume = self.volume.saturating_sub(u128::from(quantity.0));
        self.notional = self.notional.saturating_sub(u128::from(price.0) * u128::from(quantity.0));
        self.trade_count = self.trade_count.saturating_sub(1);
    }

    /// A new day begins with nothing.
    fn turn_to(&mut self, at: Timestamp) {
        let day = at.0 - at.0 % DAY_NS;
        if self.since.0 < day {
            *self = Self::new(Timestamp(day));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_from_its_beginning_or_from_when_the_venue_came() {
        let noon = 20_000 * DAY_NS + DAY_NS / 2;
        let mut statistics = Statistics::new(Timestamp(noon));
        for (trade, (price, quantity)) in (1..).zip([(100, 5), (90, 2), (110, 1)]) {
            statistics.trade(Timestamp(noon + trade), Price(price), Quantity(quantity), TradeId(trade));
        }
        let prices = Prices {
            first: Price(100),
            high: Price(110),
            low: Price(90),
            last: Price(110),
            last_quantity: Quantity(1),
            first_trade: TradeId(1),
            last_trade: TradeId(3),
        };
        assert_eq!((statistics.since, statistics.prices), (Timestamp(noon), Some(prices)));
        assert_eq!((statistics.volume, statistics.notional, statistics.trade_count), (8, 790, 3));

        statistics.bust(Timestamp(noon + 4), Price(90), Quantity(2), TradeId(2));
        assert_eq!((statistics.volume, statistics.notional, statistics.trade_count), (6, 610, 2));
        assert_eq!(statistics.prices, Some(prices));

        statistics.trade(Timestamp(noon + DAY_NS), Price(95), Quantity(4), TradeId(4));
        assert_eq!(statistics.since, Timestamp(20_001 * DAY_NS));
        assert_eq!((statistics.volume, statistics.notional, statistics.trade_count), (4, 380, 1));
        assert_eq!(statistics.prices.map(|it| (it.first, it.high)), Some((Price(95), Price(95))));
        statistics.bust(Timestamp(noon + DAY_NS), Price(100), Quantity(5), TradeId(1));
        assert_eq!((statistics.volume, statistics.trade_count), (4, 1));
    }
}
