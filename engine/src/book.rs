//! The order books: who waits at which price, in which order.
//!
//! [`arena`] owns every open order, [`ladder`] finds the best price and the next, [`level`] keeps the queue at a price,
//! and [`index`] finds an order by its trader's name. Matching rules live elsewhere; a book only keeps priority.

pub(crate) mod arena;
pub(crate) mod index;
pub(crate) mod ladder;
pub(crate) mod level;

use arena::{Arena, Slot};
use ladder::{Ladder, Pool};

use crate::order::Side;
use crate::{Price, Quantity};

/// The open orders of all books, and the pieces that ladders are made of.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) arena: Arena,
    pool: Pool,
}

impl Orders {
    pub(crate) fn new(arena: Arena, price_blocks: u32) -> Self {
        Self { arena, pool: Pool::new(price_blocks) }
    }
}

/// The resting orders of one instrument.
#[derive(Debug)]
pub(crate) struct Book {
    bids: Ladder,
    asks: Ladder,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self { bids: Ladder::new(Side::Buy), asks: Ladder::new(Side::Sell) }
    }

    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// The order of a side that trades next.
    pub(crate) fn best(&self, orders: &Orders, side: Side) -> Option<Slot> {
        self.ladder(side).best(&orders.pool)
    }

    /// The best price of a side.
    pub(crate) fn best_price(&self, orders: &Orders, side: Side) -> Option<Price> {
        self.best(orders, side).map(|slot| orders.arena[slot].limit)
    }

    /// Whether an order at this price finds room.
    pub(crate) fn has_room(&self, orders: &Orders, side: Side, price: Price) -> bool {
        self.ladder(side).has_room(&orders.pool, price)
    }

    /// Rests an order behind all others at its price.
    pub(crate) fn insert(&mut self, orders: &mut Orders, slot: Slot) {
        let side = orders.arena[slot].side;
        self.ladder_mut(side).insert(&mut orders.pool, &mut orders.arena, slot);
    }

    /// A resting order has so much less open, and keeps its place.
    pub(crate) fn reduce(&mut self, orders: &mut Orders, slot: Slot, by: Quantity) {
        let side = orders.arena[slot].side;
        self.ladder(side).reduce(&mut orders.pool, &orders.arena, slot, by);
    }

    /// Takes a resting order out.
    pub(crate) fn remove(&mut self, orders: &mut Orders, slot: Slot) {
        let side = orders.arena[slot].side;
        self.ladder_mut(side).remove(&mut orders.pool, &mut orders.arena, slot);
    }

    /// A side's orders by priority.
    pub(crate) fn orders<'a>(&self, orders: &'a Orders, side: Side) -> impl Iterator<Item = Slot> + use<'a> {
        self.ladder(side).orders(&orders.pool, &orders.arena)
    }

    /// A side's levels, best first: price, open quantity, and the orders by priority.
    pub(crate) fn levels<'a>(
        &self,
        orders: &'a Orders,
        side: Side,
    ) -> impl Iterator<Item = (Price, u128, impl Iterator<Item = Slot> + use<'a>)> + use<'a> {
        let arena = &orders.arena;
        self.ladder(side).levels(&orders.pool).filter_map(move |(queue, quantity)| {
            let price = arena[queue.first()?].limit;
            Some((price, quantity, queue.iter(arena, level::Chain::Level)))
        })
    }

    /// Checks both sides, and that they do not cross; the number of orders, or what is wrong.
    pub(crate) fn check(&self, orders: &Orders) -> Result<u32, &'static str> {
        let count = self.bids.check(&orders.pool, &orders.arena)? + self.asks.check(&orders.pool, &orders.arena)?;
        match (self.best_price(orders, Side::Buy), self.best_price(orders, Side::Sell)) {
            (Some(bid), Some(ask)) if bid >= ask => Err("the book is crossed"),
            _ => Ok(count),
        }
    }
}
