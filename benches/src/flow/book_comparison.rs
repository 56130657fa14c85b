//! Compares an engine's book with the one that the data describes: every order, and the queue of every level.

use std::collections::{BTreeMap, HashMap};

use engine::order::Side;
use engine::{ClientOrderId, Engine, InstrumentId, Price, Quantity};

use crate::outcome::Comparison;

/// An order as the data has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedOrder {
    /// Its name.
    pub client_order_id: ClientOrderId,
    /// Its limit.
    pub price: Price,
    /// What is open.
    pub leaves: Quantity,
}

/// Compares closing books, side by side.
pub struct BookComparison {
    /// Every resting order: its price and what is open.
    pub resting: Comparison,
    /// Every level: its orders in their order.
    pub fifo_levels: Comparison,
}

impl BookComparison {
    /// Nothing compared yet.
    pub fn new() -> Self {
        Self { resting: Comparison::new("resting"), fifo_levels: Comparison::new("fifo_levels") }
    }

    /// Compares one side of one instrument; `expected` is in priority.
    pub fn side(&mut self, engine: &Engine, instrument: InstrumentId, side: Side, expected: &[ExpectedOrder]) {
        let found: Vec<ExpectedOrder> = engine
            .orders(instrument, side)
            .map(|order| ExpectedOrder {
                client_order_id: order.client_order_id,
                price: order.price,
                leaves: order.leaves,
            })
            .collect();
        self.orders(side, expected, &found);
        self.levels(side, expected, &found);
    }

    fn orders(&mut self, side: Side, expected: &[ExpectedOrder], found: &[ExpectedOrder]) {
        let mut found: HashMap<ClientOrderId, ExpectedOrder> =
            found.iter().map(|order| (order.client_order_id, *order)).collect();
        for order in expected {
            let counterpart = found.remove(&order.client_order_id);
            self.resting.expect(|| format!("{side} {}", order.client_order_id), &Some(*order), &counterpart);
        }
        let mut rest: Vec<_> = found.into_values().collect();
        rest.sort_unstable_by_key(|order| order.client_order_id);
        for order in rest {
            self.resting.surplus(|| format!("{side} {order:?}"));
        }
    }

    fn levels(&mut self, side: Side, expected: &[ExpectedOrder], found: &[ExpectedOrder]) {
        let mut found = by_level(found);
        for (price, queue) in by_level(expected) {
            let counterpart = found.remove(&price).unwrap_or_default();
            self.fifo_levels.expect(|| format!("{side} at {price:?}"), &queue, &counterpart);
        }
        for price in found.into_keys() {
            self.fifo_levels.surplus(|| format!("{side} at {price:?}"));
        }
    }
}

impl Default for BookComparison {
    fn default() -> Self {
        Self::new()
    }
}

fn by_level(orders: &[ExpectedOrder]) -> BTreeMap<Price, Vec<ClientOrderId>> {
    let mut levels = BTreeMap::<_, Vec<_>>::new();
    for order in orders {
        levels.entry(order.price).or_default().push(order.client_order_id);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: u64, price: u64, leaves: u64) -> ExpectedOrder {
        ExpectedOrder { client_order_id: ClientOrderId(id), price: Price(price), leaves: Quantity(leaves) }
    }

    fn compare(expected: &[ExpectedOrder], found: &[ExpectedOrder]) -> ((u64, u64, bool), (u64, u64, bool)) {
        let mut comparison = BookComparison::new();
        comparison.orders(Side::Buy, expected, found);
        comparison.levels(Side::Buy, expected, found);
        let counts = |comparison: &Comparison| (comparison.expected(), comparison.equal(), comparison.agrees());
        (counts(&comparison.resting), counts(&comparison.fifo_levels))
    }

    #[test]
    fn orders_and_queues_are_compared_apart() {
        let data = [order(1, 100, 5), order(2, 100, 5), order(3, 99, 5)];
        assert_eq!(compare(&data, &data), ((3, 3, true), (2, 2, true)));
        let swapped = [order(2, 100, 5), order(1, 100, 5), order(3, 99, 5)];
        assert_eq!(compare(&data, &swapped), ((3, 3, true), (2, 1, false)));
        let reduced = [order(1, 100, 4), order(2, 100, 5), order(3, 99, 5)];
        assert_eq!(compare(&data, &reduced), ((3, 2, false), (2, 2, true)));
        let more = [order(1, 100, 5), order(2, 100, 5), order(3, 99, 5), order(4, 98, 5)];
        assert_eq!(compare(&data, &more), ((3, 3, false), (2, 2, false)));
    }
}
