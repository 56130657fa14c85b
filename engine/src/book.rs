//! The order books: who waits at which price, in which order.
//!
//! [`arena`] owns every open order, [`ladder`] finds the best price and the next, [`level`] keeps the queue at a price,
//! and [`index`] finds an order by its trader's name. Matching rules live elsewhere; a book only keeps priority.

pub(crate) mod arena;
pub(crate) mod index;
pub(crate) mod ladder;
pub(crate) mod level;

use arena::{Arena, Place, Slot};
use ladder::{By, First, Ladder, Pool};

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

/// The open orders of one instrument: those that rest, and the stops that wait to be elected.
///
/// Stops stand in the order in which a trade elects them: buys by ascending, sells by descending stop price.
#[derive(Debug)]
pub(crate) struct Book {
    bids: Ladder,
    asks: Ladder,
    stop_buys: Ladder,
    stop_sells: Ladder,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            bids: Ladder::new(First::Highest, By::Limit),
            asks: Ladder::new(First::Lowest, By::Limit),
            stop_buys: Ladder::new(First::Lowest, By::StopPrice),
            stop_sells: Ladder::new(First::Highest, By::StopPrice),
        }
    }

    fn ladder(&self, place: Place, side: Side) -> &Ladder {
        match (place, side) {
            (Place::Book, Side::Buy) => &self.bids,
            (Place::Book, Side::Sell) => &self.asks,
            (Place::Stops, Side::Buy) => &self.stop_buys,
            (Place::Stops, Side::Sell) => &self.stop_sells,
            (Place::Nowhere, _) => unreachable!("only a placed order has a ladder"),
        }
    }

    fn ladder_mut(&mut self, place: Place, side: Side) -> &mut Ladder {
        match (place, side) {
            (Place::Book, Side::Buy) => &mut self.bids,
            (Place::Book, Side::Sell) => &mut self.asks,
            (Place::Stops, Side::Buy) => &mut self.stop_buys,
            (Place::Stops, Side::Sell) => &mut self.stop_sells,
            (Place::Nowhere, _) => unreachable!("only a placed order has a ladder"),
        }
    }

    /// The order of a side that trades next.
    pub(crate) fn best(&self, orders: &Orders, side: Side) -> Option<Slot> {
        self.ladder(Place::Book, side).best(&orders.pool)
    }

    /// The best price of a side.
    pub(crate) fn best_price(&self, orders: &Orders, side: Side) -> Option<Price> {
        self.best(orders, side).map(|slot| orders.arena[slot].limit)
    }

    /// The stop of a side that is elected next.
    pub(crate) fn next_stop(&self, orders: &Orders, side: Side) -> Option<Slot> {
        self.ladder(Place::Stops, side).best(&orders.pool)
    }

    /// Whether an order finds room there at this price.
    pub(crate) fn has_room(&self, orders: &Orders, place: Place, side: Side, price: Price) -> bool {
        self.ladder(place, side).has_room(&orders.pool, price)
    }

    /// Puts an order behind all others at its price.
    pub(crate) fn insert(&mut self, orders: &mut Orders, place: Place, slot: Slot) {
        let order = &mut orders.arena[slot];
        debug_assert!(order.place == Place::Nowhere);
        order.place = place;
        let side = order.side;
        self.ladder_mut(place, side).insert(&mut orders.pool, &mut orders.arena, slot);
    }

    /// An order has so much less open, and keeps its place.
    pub(crate) fn reduce(&mut self, orders: &mut Orders, slot: Slot, by: Quantity) {
        let (place, side) = (orders.arena[slot].place, orders.arena[slot].side);
        self.ladder(place, side).reduce(&mut orders.pool, &orders.arena, slot, by);
    }

    /// A resting order goes behind all others at its price.
    pub(crate) fn send_back(&mut self, orders: &mut Orders, slot: Slot) {
        let (place, side) = (orders.arena[slot].place, orders.arena[slot].side);
        self.ladder(place, side).send_back(&mut orders.pool, &mut orders.arena, slot);
    }

    /// Takes an order out, from wherever it stands.
    pub(crate) fn remove(&mut self, orders: &mut Orders, slot: Slot) {
        let (place, side) = (orders.arena[slot].place, orders.arena[slot].side);
        self.ladder_mut(place, side).remove(&mut orders.pool, &mut orders.arena, slot);
        orders.arena[slot].place = Place::Nowhere;
    }

    /// A side's resting orders by priority.
    pub(crate) fn orders<'a>(&self, orders: &'a Orders, side: Side) -> impl Iterator<Item = Slot> + use<'a> {
        self.ladder(Place::Book, side).orders(&orders.pool, &orders.arena)
    }

    /// A side's waiting stops, the first to be elected first.
    pub(crate) fn stops<'a>(&self, orders: &'a Orders, side: Side) -> impl Iterator<Item = Slot> + use<'a> {
        self.ladder(Place::Stops, side).orders(&orders.pool, &orders.arena)
    }

    /// All open orders, in no order that means anything.
    pub(crate) fn all<'a>(&self, orders: &'a Orders) -> impl Iterator<Item = Slot> + use<'a> {
        let [bids, asks] = Side::BOTH.map(|side| self.orders(orders, side));
        let [buys, sells] = Side::BOTH.map(|side| self.stops(orders, side));
        bids.chain(asks).chain(buys).chain(sells)
    }

    /// A side's levels, best first: price, open quantity, and the orders by priority.
    pub(crate) fn levels<'a>(
        &self,
        orders: &'a Orders,
        side: Side,
    ) -> impl Iterator<Item = (Price, u128, impl Iterator<Item = Slot> + Clone + use<'a>)> + use<'a> {
        let arena = &orders.arena;
        self.ladder(Place::Book, side).levels(&orders.pool).filter_map(move |(queue, quantity)| {
            let price = arena[queue.first()?].limit;
            Some((price, quantity, queue.iter(arena, level::Chain::Level)))
        })
    }

    /// Checks all ladders, and that the book is not crossed; the number of orders, or what is wrong.
    pub(crate) fn check(&self, orders: &Orders) -> Result<u32, &'static str> {
        let mut count = 0;
        for (place, side) in Side::BOTH.into_iter().flat_map(|side| [(Place::Book, side), (Place::Stops, side)]) {
            let ladder = self.ladder(place, side);
            count += ladder.check(&orders.pool, &orders.arena)?;
            let astray = |slot| {
                let order = &orders.arena[slot];
                let shown = if place == Place::Book { order.shown } else { Quantity(1) };
                order.place != place || order.side != side || shown.is_zero() || order.shown > order.next_tip()
            };
            if ladder.orders(&orders.pool, &orders.arena).any(astray) {
                return Err("an order stands where it should not, or shows what it should not");
            }
        }
        match (self.best_price(orders, Side::Buy), self.best_price(orders, Side::Sell)) {
            (Some(bid), Some(ask)) if bid >= ask => Err("the book is crossed"),
            _ => Ok(count),
        }
    }
}
