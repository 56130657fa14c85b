//! A book as its rows describe it: the obvious reading, with which the engine's book is compared.
//!
//! It matches nothing. Rows say what was added, reduced and removed, and each level is a queue by arrival.

use std::collections::{BTreeMap, HashMap};

use engine::order::Side;
use engine::{InstrumentId, Price, Quantity};

/// The name that a recording gives to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(pub u64);

/// An order that the rows say is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowOrder {
    /// In what.
    pub instrument: InstrumentId,
    /// Side.
    pub side: Side,
    /// Limit.
    pub price: Price,
    /// What is open.
    pub leaves: Quantity,
}

/// Where an order stands on its side of the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// First at the best price.
    Front,
    /// At the best price, behind another.
    Best,
    /// Behind a better price.
    Behind,
}

type Levels = BTreeMap<Price, BTreeMap<u64, Reference>>;

/// The open orders of every instrument.
#[derive(Debug, Default)]
pub struct RowBook {
    /// Each with its number of arrival.
    orders: HashMap<Reference, (RowOrder, u64)>,
    sides: BTreeMap<(InstrumentId, Side), Levels>,
    arrivals: u64,
}

impl RowBook {
    /// An order is added at the back of its level. A reference that is open already is replaced.
    pub fn add(&mut self, reference: Reference, order: RowOrder) {
        self.remove(reference);
        self.arrivals += 1;
        self.orders.insert(reference, (order, self.arrivals));
        let levels = self.sides.entry((order.instrument, order.side)).or_default();
        levels.entry(order.price).or_default().insert(self.arrivals, reference);
    }

    /// An order, if it is open.
    pub fn get(&self, reference: Reference) -> Option<RowOrder> {
        self.orders.get(&reference).map(|&(order, _)| order)
    }

    /// An open order has less left; its place stays.
    pub fn reduce_to(&mut self, reference: Reference, leaves: Quantity) {
        if let Some((order, _)) = self.orders.get_mut(&reference) {
            order.leaves = leaves;
        }
    }

    /// An order is no longer open.
    pub fn remove(&mut self, reference: Reference) -> Option<RowOrder> {
        let (order, arrival) = self.orders.remove(&reference)?;
        let levels = self.sides.get_mut(&(order.instrument, order.side))?;
        let queue = levels.get_mut(&order.price)?;
        queue.remove(&arrival);
        if queue.is_empty() {
            levels.remove(&order.price);
        }
        Some(order)
    }

    /// Every order of one instrument is gone.
    pub fn clear(&mut self, instrument: InstrumentId) {
        self.orders.retain(|_, (order, _)| order.instrument != instrument);
        self.sides.retain(|&(of, _), _| of != instrument);
    }

    /// Where an open order stands.
    pub fn standing(&self, reference: Reference) -> Option<Standing> {
        let (order, _) = self.orders.get(&reference)?;
        let levels = self.sides.get(&(order.instrument, order.side))?;
        let (best, queue) = match order.side {
            Side::Buy => levels.last_key_value()?,
            Side::Sell => levels.first_key_value()?,
        };
        Some(match queue.first_key_value() {
            _ if *best != order.price => Standing::Behind,
            Some((_, first)) if *first == reference => Standing::Front,
            _ => Standing::Best,
        })
    }

    /// How many orders are open.
    pub fn open_count(&self) -> usize {
        self.orders.len()
    }

    /// Every side that ever had an order.
    pub fn sides(&self) -> impl Iterator<Item = (InstrumentId, Side)> + '_ {
        self.sides.keys().copied()
    }

    /// Open orders of one side, best price first, by arrival within.
    pub fn queue(&self, instrument: InstrumentId, side: Side) -> Vec<(Reference, RowOrder)> {
        let Some(levels) = self.sides.get(&(instrument, side)) else { return Vec::new() };
        let queues: Vec<_> = match side {
            Side::Buy => levels.values().rev().collect(),
            Side::Sell => levels.values().collect(),
        };
        queues.into_iter().flat_map(BTreeMap::values).map(|reference| (*reference, self.orders[reference].0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTRUMENT: InstrumentId = InstrumentId(1);

    fn book(orders: &[(u64, Side, u64)]) -> RowBook {
        let mut book = RowBook::default();
        for &(reference, side, price) in orders {
            let order = RowOrder { instrument: INSTRUMENT, side, price: Price(price), leaves: Quantity(10) };
            book.add(Reference(reference), order);
        }
        book
    }

    #[test]
    fn standing_is_by_price_then_arrival_on_both_sides() {
        let book = book(&[
            (1, Side::Buy, 99),
            (2, Side::Buy, 100),
            (3, Side::Buy, 100),
            (4, Side::Sell, 102),
            (5, Side::Sell, 101),
            (6, Side::Sell, 101),
        ]);
        let standings = [1, 2, 3, 4, 5, 6].map(|reference| book.standing(Reference(reference)).unwrap());
        use Standing::{Behind, Best, Front};
        assert_eq!(standings, [Behind, Front, Best, Behind, Front, Best]);
        let queue: Vec<u64> = book.queue(INSTRUMENT, Side::Sell).iter().map(|(reference, _)| reference.0).collect();
        assert_eq!(queue, [5, 6, 4]);
    }

    #[test]
    fn a_reduced_order_keeps_its_place_and_a_removed_one_loses_its_level() {
        let mut book = book(&[(1, Side::Buy, 100), (2, Side::Buy, 100), (3, Side::Buy, 99)]);
        book.reduce_to(Reference(1), Quantity(4));
        assert_eq!(book.standing(Reference(1)), Some(Standing::Front));
        assert_eq!(book.get(Reference(1)).unwrap().leaves, Quantity(4));
        book.remove(Reference(1));
        book.remove(Reference(2));
        assert_eq!(book.standing(Reference(3)), Some(Standing::Front));
        assert_eq!(book.open_count(), 1);
    }
}
