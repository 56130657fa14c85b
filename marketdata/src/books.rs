//! Books as the public sees them: every order at its place, and what rests at each price.
//!
//! What counts is what is shown: of an iceberg its tip, of a stop nothing until it is elected and rests, of an order for
//! the close nothing until it joins its call, of a market order in a call nothing.
//!
//! The books follow events alone. Within one command a book may look crossed for a moment: an order is accepted before
//! it trades. In a call it may be crossed for longer. Changes are therefore taken between commands: one per level, and
//! one per order, that is not what it was before the command.
//!
//! ```text
//!   orders, by the slot of their handles:   │ 0 │ 1 │ 2 │ 3 │ 4 │      each knows its neighbours in its queue
//!   level  {quantity, count, first, last} ────────► 1 ◄──► 4 ◄──► 2     the front trades first
//! ```

use std::collections::BTreeMap;

use engine::event::{OrderState, Priority, RestatementReason, TradeSide};
use engine::{Engine, Event, InstrumentId, OrderId, Price, Quantity, RestingOrder, Side};

/// What rests at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// The sum of what is shown, in lots. Capacities keep it below 2^64.
    pub quantity: u64,
    /// How many orders.
    pub order_count: u32,
}

/// A level that is not what it was before the command; empty if its last order left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelChange {
    /// Of which book.
    pub instrument: InstrumentId,
    /// Of which side.
    pub side: Side,
    /// In ticks.
    pub price: Price,
    /// What rested there before; empty if the level is new.
    pub before: Level,
    /// What rests there now.
    pub level: Level,
}

/// What a command did to an order that the public sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderAction {
    /// It went to the back of its level.
    New,
    /// It shows another quantity, and keeps its place.
    Change,
    /// It left its level.
    Delete,
}

/// An order that is not what it was before the command. One that lost its place is deleted and new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderChange {
    /// Of which book.
    pub instrument: InstrumentId,
    /// Which order.
    pub order_id: OrderId,
    /// Of which side.
    pub side: Side,
    /// In ticks; of a deleted order, where it was.
    pub price: Price,
    /// What of it is shown, in lots; zero if it is deleted.
    pub shown: Quantity,
    /// What happened to it.
    pub action: OrderAction,
}

/// One order of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicOrder {
    /// Which.
    pub order_id: OrderId,
    /// What of it is shown, in lots.
    pub shown: Quantity,
}

/// The best price of each side with what rests there; absent where a side is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BestPrices {
    /// The highest bid.
    pub bid: Option<(Price, Level)>,
    /// The lowest offer.
    pub offer: Option<(Price, Level)>,
}

/// All books of a venue.
#[derive(Debug, Default)]
pub struct Books {
    /// By the slot of their handles.
    orders: Vec<Order>,
    sides: BTreeMap<InstrumentId, [BTreeMap<Price, Queue>; 2]>,
    /// Levels that this command touched.
    touched_levels: Vec<(InstrumentId, Side, Price)>,
    /// Slots that this command touched.
    touched_orders: Vec<u32>,
    /// Orders of slots that were taken again within the command.
    gone: Vec<OrderChange>,
    /// Counts the orders that went to the back of a level.
    places: u64,
}

/// No slot.
const NOBODY: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Order {
    order_id: OrderId,
    instrument: InstrumentId,
    side: Side,
    price: Price,
    shown: Quantity,
    /// The neighbours in its queue.
    ahead: u32,
    behind: u32,
    /// When it went to the back of its level.
    place: u64,
    is_open: bool,
    before: Before,
}

/// What an order was before the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// What it is.
    Same,
    /// Not there.
    Absent,
    There {
        price: Price,
        shown: Quantity,
        place: u64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Queue {
    level: Level,
    first: u32,
    last: u32,
    /// What it was before the command, if the command touched it.
    before: Option<Level>,
}

impl Books {
    /// The books of a venue as they are, for following its events from here.
    pub fn of(engine: &Engine, instruments: impl IntoIterator<Item = InstrumentId>) -> Self {
        let mut books = Self::default();
        for instrument in instruments {
            for RestingOrder { order_id, side, price, shown, .. } in
                Side::BOTH.into_iter().flat_map(|side| engine.orders(instrument, side))
            {
                books.open(order_id, instrument, side, price, shown);
            }
        }
        books.end_of_command(&mut Vec::new(), &mut Vec::new());
        books
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => self.set(&accepted.order, Priority::Lost),
            Event::OrderReplaced(replaced) => self.set(&replaced.order, replaced.priority),
            Event::OrderRestated(restated) => {
                let priority = match restated.reason {
                    RestatementReason::DisplayRefreshed | RestatementReason::JoinedCall => Priority::Lost,
                    RestatementReason::Prevented | RestatementReason::TradeBusted => Priority::Kept,
                };
                self.set(&restated.order, priority);
            }
            Event::OrderTriggered(triggered) => self.set(&triggered.order, Priority::Lost),
            Event::OrderCancelled(cancelled) => self.close(cancelled.order.order_id),
            Event::Trade(trade) if trade.aggressor.is_none() => {
                // In an auction both rest. An iceberg may trade more than it shows; its next tip is told behind that.
                for side in [&trade.maker, &trade.taker] {
                    self.fill(side, |shown| shown - shown.min(trade.quantity));
                }
            }
            Event::Trade(trade) => {
                self.fill(&trade.maker, |shown| shown - trade.quantity);
                self.fill(&trade.taker, |shown| shown.min(trade.taker.leaves));
            }
            _ => {}
        }
    }

    /// The command has ended: appends the levels that it changed, by instrument, bids first, by ascending price; and the
    /// orders, by instrument, so that who takes them in this order has every queue right.
    pub fn end_of_command(&mut self, levels: &mut Vec<LevelChange>, orders: &mut Vec<OrderChange>) {
        self.level_changes(levels);
        self.order_changes(orders);
    }

    /// What rests at a price.
    pub fn level(&self, instrument: InstrumentId, side: Side, price: Price) -> Level {
        self.side(instrument, side).and_then(|queues| queues.get(&price)).map(|queue| queue.level).unwrap_or_default()
    }

    /// One side's levels, best first.
    pub fn levels(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = (Price, Level)> + '_ {
        self.queues(instrument, side).map(|(price, queue)| (price, queue.level))
    }

    /// One side's levels, best first, each with its orders, the next to trade first.
    pub fn orders(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> impl Iterator<Item = (Price, impl Iterator<Item = PublicOrder> + '_)> + '_ {
        self.queues(instrument, side).map(|(price, queue)| (price, self.queue(queue.first)))
    }

    /// The best prices.
    pub fn best(&self, instrument: InstrumentId) -> BestPrices {
        let best = |side| self.levels(instrument, side).next();
        BestPrices { bid: best(Side::Buy), offer: best(Side::Sell) }
    }

    fn side(&self, instrument: InstrumentId, side: Side) -> Option<&BTreeMap<Price, Queue>> {
        Some(&self.sides.get(&instrument)?[side_index(side)])
    }

    fn queues(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = (Price, &Queue)> + '_ {
        let queues = self.side(instrument, side);
        let (ascending, descending) = match side {
            Side::Sell => (queues, None),
            Side::Buy => (None, queues),
        };
        let ascending = ascending.into_iter().flat_map(|queues| queues.iter());
        let descending = descending.into_iter().flat_map(|queues| queues.iter().rev());
        ascending.chain(descending).map(|(&price, queue)| (price, queue))
    }

    fn queue(&self, first: u32) -> impl Iterator<Item = PublicOrder> + '_ {
        let mut next = first;
        core::iter::from_fn(move || {
            let order = self.orders.get(next as usize)?;
            next = order.behind;
            Some(PublicOrder { order_id: order.order_id, shown: order.shown })
        })
    }

    fn set(&mut self, order: &OrderState, priority: Priority) {
        // What waits, for its stop price or the close, shows nothing.
        let shows = order.order_type.has_price() && order.time_in_force.rests() && !order.shown.is_zero();
        let OrderState { instrument, order_id, side, price, shown, .. } = *order;
        let stays = self.find(order_id).is_some_and(|it| it.price == price) && priority == Priority::Kept;
        match (stays, shows) {
            (true, true) => self.show(order_id.slot(), shown),
            (_, true) => {
                self.close(order_id);
                self.open(order_id, instrument, side, price, shown);
            }
            (_, false) => self.close(order_id),
        }
    }

    fn fill(&mut self, side: &TradeSide, shows: impl FnOnce(Quantity) -> Quantity) {
        let Some(shown) = self.find(side.order_id).map(|order| order.shown) else { return };
        self.show(side.order_id.slot(), shows(shown));
        if side.leaves.is_zero() {
            self.close(side.order_id);
        }
    }

    fn find(&self, order_id: OrderId) -> Option<&Order> {
        self.orders.get(order_id.slot() as usize).filter(|order| order.is_open && order.order_id == order_id)
    }

    /// At the back of its level.
    fn open(&mut self, order_id: OrderId, instrument: InstrumentId, side: Side, price: Price, shown: Quantity) {
        let slot = order_id.slot();
        let before = self.vacate(order_id);
        self.places += 1;
        let place = self.places;
        let queue = queue_of(&mut self.sides, &mut self.touched_levels, instrument, side, price);
        let ahead = core::mem::replace(&mut queue.last, slot);
        if ahead == NOBODY {
            queue.first = slot;
        }
        queue.level.quantity += shown.0;
        queue.level.order_count += 1;
        let behind = NOBODY;
        let order = Order { order_id, instrument, side, price, shown, ahead, behind, place, is_open: true, before };
        self.orders[slot as usize] = order;
        if let Some(ahead) = self.orders.get_mut(ahead as usize) {
            ahead.behind = slot;
        }
    }

    /// What the order was before the command; its slot may be written behind this.
    fn vacate(&mut self, order_id: OrderId) -> Before {
        let slot = order_id.slot();
        if self.orders.len() <= slot as usize {
            self.orders.resize(slot as usize + 1, Order::NONE);
        }
        let before = self.orders[slot as usize].before;
        let former = self.orders[slot as usize];
        if before != Before::Same && former.order_id == order_id {
            return before;
        }
        if before == Before::Same {
            self.touched_orders.push(slot);
        }
        // Another order had the slot until this command.
        self.gone.extend(former.deleted());
        Before::Absent
    }

    fn close(&mut self, order_id: OrderId) {
        if self.find(order_id).is_none() {
            return;
        }
        let slot = order_id.slot();
        self.touch(slot);
        let order = &mut self.orders[slot as usize];
        order.is_open = false;
        let Order { instrument, side, price, shown, ahead, behind, .. } = *order;
        let queue = queue_of(&mut self.sides, &mut self.touched_levels, instrument, side, price);
        queue.level.quantity -= shown.0;
        queue.level.order_count -= 1;
        match self.orders.get_mut(ahead as usize) {
            Some(order) => order.behind = behind,
            None => queue.first = behind,
        }
        match self.orders.get_mut(behind as usize) {
            Some(order) => order.ahead = ahead,
            None => queue.last = ahead,
        }
    }

    fn show(&mut self, slot: u32, shown: Quantity) {
        self.touch(slot);
        let order = &mut self.orders[slot as usize];
        let before = core::mem::replace(&mut order.shown, shown);
        let Order { instrument, side, price, .. } = *order;
        let level = &mut queue_of(&mut self.sides, &mut self.touched_levels, instrument, side, price).level;
        level.quantity = level.quantity - before.0 + shown.0;
    }

    fn touch(&mut self, slot: u32) {
        let order = &mut self.orders[slot as usize];
        if order.before == Before::Same {
            let Order { price, shown, place, .. } = *order;
            order.before = Before::There { price, shown, place };
            self.touched_orders.push(slot);
        }
    }

    fn level_changes(&mut self, changes: &mut Vec<LevelChange>) {
        self.touched_levels.sort_unstable();
        for (instrument, side, price) in self.touched_levels.drain(..) {
            let queues = &mut self.sides.get_mut(&instrument).expect("a touched level has a book")[side_index(side)];
            let queue = queues.get_mut(&price).expect("a touched level stays until the command's end");
            let (before, level) = (queue.before.take().expect("a touched level knows what it was"), queue.level);
            if level.order_count == 0 {
                queues.remove(&price);
            }
            if level != before {
                changes.push(LevelChange { instrument, side, price, before, level });
            }
        }
    }

    fn order_changes(&mut self, changes: &mut Vec<OrderChange>) {
        let from = changes.len();
        changes.append(&mut self.gone);
        let mut placed: Vec<(u64, OrderChange)> = Vec::new();
        for slot in self.touched_orders.drain(..) {
            let order = &mut self.orders[slot as usize];
            let deleted = order.deleted();
            let before = core::mem::replace(&mut order.before, Before::Same);
            match before {
                Before::There { place, shown, .. } if order.is_open && place == order.place => {
                    changes.extend((shown != order.shown).then(|| order.change(OrderAction::Change)));
                }
                Before::Same | Before::Absent | Before::There { .. } => {
                    changes.extend(deleted);
                    placed.extend(order.is_open.then(|| (order.place, order.change(OrderAction::New))));
                }
            }
        }
        placed.sort_unstable_by_key(|&(place, _)| place);
        changes.extend(placed.into_iter().map(|(_, change)| change));
        // Stable: within a book the sequence stays.
        changes[from..].sort_by_key(|change| change.instrument);
    }
}

impl Order {
    const NONE: Self = Self {
        order_id: OrderId(0),
        instrument: InstrumentId(0),
        side: Side::Buy,
        price: Price(0),
        shown: Quantity(0),
        ahead: NOBODY,
        behind: NOBODY,
        place: 0,
        is_open: false,
        before: Before::Same,
    };

    fn change(&self, action: OrderAction) -> OrderChange {
        let Self { instrument, order_id, side, price, shown, .. } = *self;
        OrderChange { instrument, order_id, side, price, shown, action }
    }

    /// That it left where it was before the command; nothing if it was not there.
    fn deleted(&self) -> Option<OrderChange> {
        let Before::There { price, .. } = self.before else { return None };
        Some(OrderChange { price, shown: Quantity(0), ..self.change(OrderAction::Delete) })
    }
}

/// The queue at a price, which knows what it was before the command.
fn queue_of<'a>(
    sides: &'a mut BTreeMap<InstrumentId, [BTreeMap<Price, Queue>; 2]>,
    touched: &mut Vec<(InstrumentId, Side, Price)>,
    instrument: InstrumentId,
    side: Side,
    price: Price,
) -> &'a mut Queue {
    let queues = &mut sides.entry(instrument).or_default()[side_index(side)];
    let queue =
        queues.entry(price).or_insert(Queue { level: Level::default(), first: NOBODY, last: NOBODY, before: None });
    if queue.before.is_none() {
        queue.before = Some(queue.level);
        touched.push((instrument, side, price));
    }
    queue
}

fn side_index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}
