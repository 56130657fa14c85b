//! Which orders rest where.

use engine::OrderId;

use super::shape::Place;

/// Nobody's place.
const NOWHERE: u32 = u32::MAX;

/// Places, and the orders that rest there, each found by the other.
#[derive(Debug)]
pub struct Places {
    places: Vec<Place>,
    /// By place.
    orders: Vec<OrderId>,
    /// By the slot of an order's id.
    at: Vec<u32>,
}

impl Places {
    /// All empty.
    pub fn new(places: Vec<Place>) -> Self {
        let orders = vec![OrderId::NONE; places.len()];
        Self { places, orders, at: Vec::new() }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.places.len() as u32
    }

    /// One by its number.
    pub fn place(&self, number: u32) -> Place {
        self.places[number as usize]
    }

    /// The order that rests there; none in an empty place.
    pub fn order(&self, number: u32) -> OrderId {
        self.orders[number as usize]
    }

    /// An order rests there from now on.
    pub fn enter(&mut self, number: u32, order: OrderId) {
        let slot = order.slot() as usize;
        if self.at.len() <= slot {
            self.at.resize(slot + 1, NOWHERE);
        }
        self.at[slot] = number;
        self.orders[number as usize] = order;
    }

    /// An order rests no more; where it did.
    ///
    /// # Panics
    /// If it did not.
    pub fn leave(&mut self, order: OrderId) -> u32 {
        let number = self.at[order.slot() as usize];
        assert_eq!(self.orders[number as usize], order, "an order rests where it entered");
        self.orders[number as usize] = OrderId::NONE;
        number
    }
}
