//! The order books: who waits at which price, in which order.
//!
//! [`arena`] owns every open order, [`ladder`] finds the best price and the next, [`level`] keeps the queue at a price,
//! [`index`] finds an order by its trader's name, and [`curve`] adds up what a call has gathered. Matching rules live
//! elsewhere; a book only keeps priority.

pub(crate) mod arena;
pub(crate) mod curve;
pub(crate) mod index;
pub(crate) mod ladder;
pub(crate) mod level;

use alloc::vec::Vec;

use arena::{Arena, Place, Slot};
use curve::{Curve, Nodes};
use ladder::{By, First, Ladder, Pool};
use level::{Chain, Queue};

use crate::order::Side;
use crate::{Capacity, InstrumentId, Price, Quantity};

/// The open orders of all books, and the pieces that ladders and curves are made of.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) arena: Arena,
    pool: Pool,
    nodes: Nodes,
    /// The instruments whose calls have changed since the indicative prices were last looked at.
    pub(crate) stirred: Vec<InstrumentId>,
}

impl Orders {
    pub(crate) fn new(arena: Arena, capacity: &Capacity) -> Self {
        Self {
            arena,
            pool: Pool::new(capacity.price_blocks),
            nodes: Nodes::new(capacity.orders),
            stirred: Vec::with_capacity(capacity.instruments as usize),
        }
    }
}

/// The open orders of one instrument: those that rest, the stops that wait to be elected, the market orders of a call,
/// and the orders that wait for the closing call.
///
/// Stops stand in the order in which a trade elects them: buys by ascending, sells by descending stop price.
#[derive(Debug)]
pub(crate) struct Book {
    bids: Ladder,
    asks: Ladder,
    stop_buys: Ladder,
    stop_sells: Ladder,
    market_buys: Queue,
    market_sells: Queue,
    closing: Queue,
    /// What a pending call has gathered.
    call: Option<Curve>,
    /// Whether the instrument is noted as stirred.
    is_stirred: bool,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            bids: Ladder::new(First::Highest, By::Limit),
            asks: Ladder::new(First::Lowest, By::Limit),
            stop_buys: Ladder::new(First::Lowest, By::StopPrice),
            stop_sells: Ladder::new(First::Highest, By::StopPrice),
            market_buys: Queue::EMPTY,
            market_sells: Queue::EMPTY,
            closing: Queue::EMPTY,
            call: None,
            is_stirred: false,
        }
    }

    fn ladder(&self, place: Place, side: Side) -> &Ladder {
        match (place, side) {
            (Place::Book, Side::Buy) => &self.bids,
            (Place::Book, Side::Sell) => &self.asks,
            (Place::Stops, Side::Buy) => &self.stop_buys,
            (Place::Stops, Side::Sell) => &self.stop_sells,
            (Place::Nowhere | Place::Market | Place::Close, _) => unreachable!("only a priced order has a ladder"),
        }
    }

    fn ladder_mut(&mut self, place: Place, side: Side) -> &mut Ladder {
        match (place, side) {
            (Place::Book, Side::Buy) => &mut self.bids,
            (Place::Book, Side::Sell) => &mut self.asks,
            (Place::Stops, Side::Buy) => &mut self.stop_buys,
            (Place::Stops, Side::Sell) => &mut self.stop_sells,
            (Place::Nowhere | Place::Market | Place::Close, _) => unreachable!("only a priced order has a ladder"),
        }
    }

    fn queue_mut(&mut self, place: Place, side: Side) -> &mut Queue {
        match (place, side) {
            (Place::Market, Side::Buy) => &mut self.market_buys,
            (Place::Market, Side::Sell) => &mut self.market_sells,
            (Place::Close, _) => &mut self.closing,
            (Place::Nowhere | Place::Book | Place::Stops, _) => unreachable!("only an unpriced order has a queue"),
        }
    }

    /// Begins to add up what the book gathers.
    pub(crate) fn begin_call(&mut self, orders: &mut Orders, instrument: InstrumentId) {
        let mut curve = Curve::EMPTY;
        for side in Side::BOTH {
            for (queue, quantity) in self.ladder(Place::Book, side).levels(&orders.pool) {
                let limit = queue.first().map_or(Price::ZERO, |slot| orders.arena[slot].limit);
                curve.add(&mut orders.nodes, side, limit, quantity);
            }
        }
        self.call = Some(curve);
        self.stir(orders, instrument);
    }

    /// Adds up no more.
    pub(crate) fn end_call(&mut self, orders: &mut Orders) {
        if let Some(mut curve) = self.call.take() {
            curve.clear(&mut orders.nodes);
        }
    }

    /// What a pending call has gathered.
    pub(crate) fn call<'a>(&'a self, orders: &'a Orders) -> Option<(&'a Curve, &'a Nodes)> {
        self.call.as_ref().map(|curve| (curve, &orders.nodes))
    }

    fn stir(&mut self, orders: &mut Orders, instrument: InstrumentId) {
        if !self.is_stirred {
            self.is_stirred = true;
            orders.stirred.push(instrument);
        }
    }

    /// The indicative price is looked at.
    pub(crate) fn settle(&mut self) {
        self.is_stirred = false;
    }

    /// So much more of an order takes part in a pending call.
    fn gather(&mut self, orders: &mut Orders, slot: Slot, quantity: Quantity) {
        let Some(curve) = &mut self.call else { return };
        let order = &orders.arena[slot];
        let (quantity, instrument) = (u128::from(quantity.0), order.instrument);
        match order.place {
            Place::Book => curve.add(&mut orders.nodes, order.side, order.limit, quantity),
            Place::Market => curve.add_market(order.side, quantity),
            Place::Nowhere | Place::Stops | Place::Close => return,
        }
        self.stir(orders, instrument);
    }

    /// So much less of an order takes part in a pending call.
    fn scatter(&mut self, orders: &mut Orders, slot: Slot, quantity: Quantity) {
        let Some(curve) = self.call.as_mut().filter(|_| !quantity.is_zero()) else { return };
        let order = &orders.arena[slot];
        let (quantity, instrument) = (u128::from(quantity.0), order.instrument);
        match order.place {
            Place::Book => curve.take(&mut orders.nodes, order.side, order.limit, quantity),
            Place::Market => curve.take_market(order.side, quantity),
            Place::Nowhere | Place::Stops | Place::Close => return,
        }
        self.stir(orders, instrument);
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

    /// The market order of a side that trades next in a call.
    pub(crate) fn next_market(&self, side: Side) -> Option<Slot> {
        match side {
            Side::Buy => self.market_buys.first(),
            Side::Sell => self.market_sells.first(),
        }
    }

    /// The order that has waited longest for the closing call.
    pub(crate) fn next_waiting(&self) -> Option<Slot> {
        self.closing.first()
    }

    /// Puts an order behind all others at its place.
    pub(crate) fn insert(&mut self, orders: &mut Orders, place: Place, slot: Slot) {
        let order = &mut orders.arena[slot];
        debug_assert!(order.place == Place::Nowhere);
        order.place = place;
        let (side, leaves) = (order.side, order.leaves);
        match place {
            Place::Book | Place::Stops => {
                self.ladder_mut(place, side).insert(&mut orders.pool, &mut orders.arena, slot);
            }
            Place::Market | Place::Close => self.queue_mut(place, side).push(&mut orders.arena, Chain::Level, slot),
            Place::Nowhere => {}
        }
        self.gather(orders, slot, leaves);
    }

    /// An order has so much less open, and keeps its place.
    pub(crate) fn reduce(&mut self, orders: &mut Orders, slot: Slot, by: Quantity) {
        let (place, side) = (orders.arena[slot].place, orders.arena[slot].side);
        if let Place::Book | Place::Stops = place {
            self.ladder(place, side).reduce(&mut orders.pool, &orders.arena, slot, by);
        }
        self.scatter(orders, slot, by);
    }

    /// A resting order goes behind all others at its price.
    pub(crate) fn send_back(&mut self, orders: &mut Orders, slot: Slot) {
        let (place, side) = (orders.arena[slot].place, orders.arena[slot].side);
        self.ladder(place, side).send_back(&mut orders.pool, &mut orders.arena, slot);
    }

    /// Takes an order out, from wherever it stands.
    pub(crate) fn remove(&mut self, orders: &mut Orders, slot: Slot) {
        let order = &orders.arena[slot];
        let (place, side, leaves) = (order.place, order.side, order.leaves);
        self.scatter(orders, slot, leaves);
        match place {
            Place::Book | Place::Stops => {
                self.ladder_mut(place, side).remove(&mut orders.pool, &mut orders.arena, slot);
            }
            Place::Market | Place::Close => self.queue_mut(place, side).remove(&mut orders.arena, Chain::Level, slot),
            Place::Nowhere => {}
        }
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

    /// A side's market orders in a call, by priority.
    pub(crate) fn market_orders<'a>(&self, orders: &'a Orders, side: Side) -> impl Iterator<Item = Slot> + use<'a> {
        let queue = if side == Side::Buy { self.market_buys } else { self.market_sells };
        queue.iter(&orders.arena, Chain::Level)
    }

    /// The orders that wait for the closing call, longest first.
    pub(crate) fn waiting<'a>(&self, orders: &'a Orders) -> impl Iterator<Item = Slot> + use<'a> {
        self.closing.iter(&orders.arena, Chain::Level)
    }

    /// The orders that take part in a call, in no order that means anything.
    pub(crate) fn gathered<'a>(&self, orders: &'a Orders) -> impl Iterator<Item = Slot> + use<'a> {
        let [bids, asks] = Side::BOTH.map(|side| self.orders(orders, side));
        let [buys, sells] = Side::BOTH.map(|side| self.market_orders(orders, side));
        bids.chain(asks).chain(buys).chain(sells)
    }

    /// All open orders, in no order that means anything.
    pub(crate) fn all<'a>(&self, orders: &'a Orders) -> impl Iterator<Item = Slot> + use<'a> {
        let [buys, sells] = Side::BOTH.map(|side| self.stops(orders, side));
        self.gathered(orders).chain(buys).chain(sells).chain(self.waiting(orders))
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

    /// Checks all ladders and queues, and that the book is not crossed outside of a call; the number of orders, or what
    /// is wrong.
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
        count += self.check_queues(orders)?;
        match (&self.call, self.best_price(orders, Side::Buy), self.best_price(orders, Side::Sell)) {
            (None, Some(bid), Some(ask)) if bid >= ask => Err("the book is crossed"),
            _ => Ok(count),
        }
    }

    fn check_queues(&self, orders: &Orders) -> Result<u32, &'static str> {
        let queues = [
            (Place::Market, Some(Side::Buy), &self.market_buys),
            (Place::Market, Some(Side::Sell), &self.market_sells),
            (Place::Close, None, &self.closing),
        ];
        let mut count = 0;
        for (place, side, queue) in queues {
            count += queue.check(&orders.arena, Chain::Level).ok_or("a queue's links disagree")?;
            let astray = |slot| {
                let order = &orders.arena[slot];
                order.place != place || side.is_some_and(|side| order.side != side) || !order.shown.is_zero()
            };
            if queue.iter(&orders.arena, Chain::Level).any(astray) {
                return Err("an order waits where it should not, or is seen");
            }
        }
        let Some(curve) = &self.call else {
            let has_market_orders = Side::BOTH.iter().any(|&side| self.next_market(side).is_some());
            return if has_market_orders { Err("market orders rest outside of a call") } else { Ok(count) };
        };
        let levels = Side::BOTH
            .into_iter()
            .flat_map(|side| self.levels(orders, side).map(move |(price, quantity, _)| (side, price, quantity)));
        let open = |side| self.market_orders(orders, side).map(|slot| u128::from(orders.arena[slot].leaves.0)).sum();
        let (buys, sells): (u128, u128) = (open(Side::Buy), open(Side::Sell));
        let market = curve.market();
        match curve.agrees(&orders.nodes, levels) && (market.buys, market.sells) == (buys, sells) {
            true => Ok(count),
            false => Err("a call's sums are not those of its orders"),
        }
    }
}
