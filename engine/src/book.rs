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
mod pieces;
mod prefetch;

use alloc::vec::Vec;

use arena::{Arena, Details, Order, Place, Slot};
use curve::{Curve, Nodes};
use ladder::{First, Ladder, LevelAt, Pool};
use level::{Chain, Links, Queue};

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

    /// An order that rests in continuous trading has traded a part of what it shows, which is all.
    #[inline(always)]
    pub(crate) fn reduce(&mut self, slot: Slot, order: &Order, by: Quantity) {
        self.shrink(slot, order, order.leaves - by);
        self.arena.details_mut(slot).cumulative += by;
    }

    /// An order that rests in continuous trading has no more than this open, and keeps its place.
    #[inline(always)]
    pub(crate) fn shrink(&mut self, slot: Slot, order: &Order, leaves: Quantity) {
        debug_assert!(order.place == Place::Book);
        self.arena[slot].leaves = leaves;
        self.pool.reduce(&self.arena, slot, order.leaves - leaves);
    }

    /// Asks for the memory of the order at the back of a level.
    #[inline]
    pub(crate) fn prefetch_back(&self, at: LevelAt) {
        self.arena.prefetch_order(self.pool.back(at));
    }

    /// Asks for the memory of an order's level and neighbours.
    #[inline]
    pub(crate) fn prefetch_beside(&self, order: &Order, details: &Details) {
        self.pool.prefetch(order.level);
        for slot in order.in_level.both().into_iter().chain(order.in_account.both()) {
            self.arena.prefetch_order(slot);
        }
        for slot in details.in_session.both() {
            self.arena.prefetch_details(slot);
        }
    }

    /// Whether a call has changed since the indicative prices were last looked at.
    #[inline]
    pub(crate) fn is_stirred(&self) -> bool {
        !self.stirred.is_empty()
    }
}

/// The open orders of one instrument: those that rest, the stops that wait to be elected, the market orders of a call,
/// and the orders that wait for the closing call.
///
/// Stops stand in the order in which a trade elects them: buys by ascending, sells by descending stop price.
#[derive(Debug)]
pub(crate) struct Book {
    /// By side: bids and offers.
    resting: [Ladder; 2],
    /// By side: buys and sells.
    stops: [Ladder; 2],
    /// By side: buys and sells.
    market: [Queue; 2],
    closing: Queue,
    /// What a pending call has gathered.
    call: Option<Curve>,
    /// Whether the instrument is noted as stirred.
    is_stirred: bool,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            resting: [First::Highest, First::Lowest].map(Ladder::new),
            stops: [First::Lowest, First::Highest].map(Ladder::new),
            market: [Queue::EMPTY; 2],
            closing: Queue::EMPTY,
            call: None,
            is_stirred: false,
        }
    }

    #[inline]
    fn ladder(&self, place: Place, side: Side) -> &Ladder {
        match place {
            Place::Book => &self.resting[side.index()],
            Place::Stops => &self.stops[side.index()],
            _ => unreachable!("only a priced order has a ladder"),
        }
    }

    #[inline]
    fn ladder_mut(&mut self, place: Place, side: Side) -> &mut Ladder {
        match place {
            Place::Book => &mut self.resting[side.index()],
            Place::Stops => &mut self.stops[side.index()],
            _ => unreachable!("only a priced order has a ladder"),
        }
    }

    fn queue_mut(&mut self, place: Place, side: Side) -> &mut Queue {
        match place {
            Place::Market => &mut self.market[side.index()],
            Place::Close => &mut self.closing,
            _ => unreachable!("only an unpriced order has a queue"),
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
    #[cold]
    fn gather(&mut self, orders: &mut Orders, slot: Slot, quantity: Quantity) {
        let Some(curve) = &mut self.call else { return };
        let order = &orders.arena[slot];
        let (quantity, instrument) = (u128::from(quantity.0), order.instrument);
        match order.place {
            Place::Book => curve.add(&mut orders.nodes, order.side, order.limit, quantity),
            Place::Market => curve.add_market(order.side, quantity),
            Place::Vacant | Place::Nowhere | Place::Stops | Place::Close => return,
        }
        self.stir(orders, instrument);
    }

    /// So much less of an order takes part in a pending call.
    #[cold]
    fn scatter(&mut self, orders: &mut Orders, slot: Slot, quantity: Quantity) {
        let Some(curve) = self.call.as_mut().filter(|_| !quantity.is_zero()) else { return };
        let order = &orders.arena[slot];
        let (quantity, instrument) = (u128::from(quantity.0), order.instrument);
        match order.place {
            Place::Book => curve.take(&mut orders.nodes, order.side, order.limit, quantity),
            Place::Market => curve.take_market(order.side, quantity),
            Place::Vacant | Place::Nowhere | Place::Stops | Place::Close => return,
        }
        self.stir(orders, instrument);
    }

    /// The order of a side that trades next.
    #[inline]
    pub(crate) fn best(&self, orders: &Orders, side: Side) -> Option<Slot> {
        self.resting[side.index()].best(&orders.pool)
    }

    /// The best price of a side.
    #[inline]
    pub(crate) fn best_price(&self, side: Side) -> Option<Price> {
        self.resting[side.index()].best_price()
    }

    /// What orders at a price have open together.
    pub(crate) fn quantity_at(&self, orders: &Orders, side: Side, price: Price) -> u128 {
        let at = (price <= Price::MAX).then(|| self.resting[side.index()].level_at(&orders.pool, price)).flatten();
        at.map_or(0, |at| orders.pool.quantity(at))
    }

    /// Whether an incoming order on `side` with this limit would trade at once.
    #[inline]
    pub(crate) fn would_take(&self, side: Side, limit: Price) -> bool {
        self.resting[side.opposite().index()].reaches(limit)
    }

    /// The order that an incoming order on `side` with this limit meets.
    #[inline]
    pub(crate) fn meets(&self, orders: &Orders, side: Side, limit: Price) -> Option<Slot> {
        let ladder = &self.resting[side.opposite().index()];
        if ladder.reaches(limit) { ladder.best(&orders.pool) } else { None }
    }

    /// Whether any stop waits.
    #[inline]
    pub(crate) fn has_stops(&self) -> bool {
        !self.stops.iter().all(Ladder::is_empty)
    }

    /// The stop of a side that is elected next.
    pub(crate) fn next_stop(&self, orders: &Orders, side: Side) -> Option<Slot> {
        self.ladder(Place::Stops, side).best(&orders.pool)
    }

    /// Whether an order finds room there at this price.
    #[inline]
    pub(crate) fn has_room(&self, orders: &Orders, place: Place, side: Side, price: Price) -> bool {
        self.ladder(place, side).has_room(&orders.pool, price)
    }

    /// Asks for the memory of the level at a price, and says which it is.
    #[inline]
    pub(crate) fn prefetch_level(&self, orders: &Orders, side: Side, price: Price) -> Option<LevelAt> {
        let at = self.resting[side.index()].level_at(&orders.pool, price)?;
        orders.pool.prefetch(at);
        Some(at)
    }

    /// Whether an order finds room at any price.
    #[inline]
    pub(crate) fn has_room_anywhere(orders: &Orders) -> bool {
        orders.pool.has_room()
    }

    /// The market order of a side that trades next in a call.
    pub(crate) fn next_market(&self, side: Side) -> Option<Slot> {
        self.market[side.index()].first()
    }

    /// The order that has waited longest for the closing call.
    pub(crate) fn next_waiting(&self) -> Option<Slot> {
        self.closing.first()
    }

    /// Puts an order behind all others at its place.
    #[inline]
    pub(crate) fn insert(&mut self, orders: &mut Orders, place: Place, slot: Slot) {
        let order = &mut orders.arena[slot];
        debug_assert!(order.place == Place::Nowhere);
        order.place = place;
        let Order { side, limit, leaves, .. } = *order;
        let price = match place {
            Place::Book => limit,
            Place::Stops => orders.arena.extras(slot).stop_price,
            _ => {
                self.queue_mut(place, side).push(&mut orders.arena, Chain::Level, slot);
                return self.gather(orders, slot, leaves);
            }
        };
        let ladder = self.ladder_mut(place, side);
        let (level, in_level) = ladder.join(&mut orders.pool, &mut orders.arena, slot, price, leaves);
        let order = &mut orders.arena[slot];
        (order.level, order.in_level) = (level, in_level);
        self.gather(orders, slot, leaves);
    }

    /// Makes room in the book for an order that rests in continuous trading; the place and the links that it is to have.
    #[inline(always)]
    pub(crate) fn join(
        &mut self,
        orders: &mut Orders,
        slot: Slot,
        side: Side,
        price: Price,
        leaves: Quantity,
    ) -> (LevelAt, Links) {
        debug_assert!(self.call.is_none());
        self.resting[side.index()].join(&mut orders.pool, &mut orders.arena, slot, price, leaves)
    }

    /// Closes the gap that an order leaves that rests in continuous trading.
    #[inline(always)]
    pub(crate) fn leave(&mut self, orders: &mut Orders, order: &Order) {
        debug_assert!(self.call.is_none() && order.place == Place::Book);
        self.resting[order.side.index()].leave(&mut orders.pool, &mut orders.arena, order);
    }

    /// An order has so much less open, and keeps its place.
    #[inline(always)]
    pub(crate) fn reduce(&mut self, orders: &mut Orders, slot: Slot, by: Quantity) {
        if let Place::Book | Place::Stops = orders.arena[slot].place {
            orders.pool.reduce(&orders.arena, slot, by);
        }
        if self.call.is_some() {
            self.scatter(orders, slot, by);
        }
    }

    /// Takes an order out, from wherever it stands.
    #[inline(always)]
    pub(crate) fn remove(&mut self, orders: &mut Orders, slot: Slot, order: &Order) {
        if self.call.is_some() {
            self.scatter(orders, slot, order.leaves);
        }
        match order.place {
            Place::Book => self.resting[order.side.index()].leave(&mut orders.pool, &mut orders.arena, order),
            _ => self.remove_apart(orders, order),
        }
        orders.arena[slot].place = Place::Nowhere;
    }

    /// Takes an order that does not rest in the book out.
    #[cold]
    fn remove_apart(&mut self, orders: &mut Orders, order: &Order) {
        match order.place {
            Place::Stops => self.stops[order.side.index()].leave(&mut orders.pool, &mut orders.arena, order),
            place => self.queue_mut(place, order.side).leave(&mut orders.arena, Chain::Level, order.in_level),
        }
    }

    /// A resting order goes behind all others at its price.
    pub(crate) fn send_back(orders: &mut Orders, slot: Slot) {
        orders.pool.send_back(&mut orders.arena, slot);
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
        self.market[side.index()].iter(&orders.arena, Chain::Level)
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
            let price = |slot| match place {
                Place::Stops => orders.arena.extras(slot).stop_price,
                _ => orders.arena[slot].limit,
            };
            count += ladder.check(&orders.pool, &orders.arena, price)?;
            let astray = |slot| {
                let (order, shown) = (&orders.arena[slot], orders.arena.shown(slot));
                let hidden = place == Place::Book && shown.is_zero();
                order.place != place || order.side != side || hidden || shown > orders.arena.next_tip(slot)
            };
            if ladder.orders(&orders.pool, &orders.arena).any(astray) {
                return Err("an order stands where it should not, or shows what it should not");
            }
        }
        count += self.check_queues(orders)?;
        match (&self.call, self.best_price(Side::Buy), self.best_price(Side::Sell)) {
            (None, Some(bid), Some(ask)) if bid >= ask => Err("the book is crossed"),
            _ => Ok(count),
        }
    }

    fn check_queues(&self, orders: &Orders) -> Result<u32, &'static str> {
        let queues = [
            (Place::Market, Some(Side::Buy), &self.market[Side::Buy.index()]),
            (Place::Market, Some(Side::Sell), &self.market[Side::Sell.index()]),
            (Place::Close, None, &self.closing),
        ];
        let mut count = 0;
        for (place, side, queue) in queues {
            count += queue.check(&orders.arena, Chain::Level).ok_or("a queue's links disagree")?;
            let astray = |slot| {
                let order = &orders.arena[slot];
                let seen = !orders.arena.shown(slot).is_zero();
                order.place != place || side.is_some_and(|side| order.side != side) || seen
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
