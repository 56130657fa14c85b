//! MarketByPrice: quantity and number of orders at each price.
//!
//! What counts is what is shown: of an iceberg its tip, of a stop nothing until it is elected and rests, of an order for
//! the close nothing until it joins its call, of a market order in a call nothing.
//!
//! The feed follows events alone. Within one command a book may look crossed for a moment: an order is accepted before
//! it trades. In a call it may be crossed for longer. Changes are therefore taken between commands, one per level that is not what it was before the command.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use engine::event::{OrderState, TradeSide};
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

/// The best price of each side with what rests there; absent where a side is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BestPrices {
    /// The highest bid.
    pub bid: Option<(Price, Level)>,
    /// The lowest offer.
    pub offer: Option<(Price, Level)>,
}

/// All books of a venue by price.
#[derive(Debug, Default)]
pub struct ByPrice {
    orders: HashMap<OrderId, Open>,
    books: BTreeMap<InstrumentId, [BTreeMap<Price, Level>; 2]>,
    /// Levels that this command touched, and what they were before it.
    touched: BTreeMap<(InstrumentId, Side, Price), Level>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    instrument: InstrumentId,
    side: Side,
    price: Price,
    shown: Quantity,
}

impl ByPrice {
    /// The books of a venue as they are, for following its events from here.
    pub fn of(engine: &Engine, instruments: impl IntoIterator<Item = InstrumentId>) -> Self {
        let mut feed = Self::default();
        for instrument in instruments {
            for RestingOrder { order_id, side, price, shown, .. } in
                Side::BOTH.into_iter().flat_map(|side| engine.orders(instrument, side))
            {
                feed.open(order_id, Open { instrument, side, price, shown });
            }
        }
        feed.touched.clear();
        feed
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => self.accept(&accepted.order),
            Event::OrderReplaced(replaced) => self.set(&replaced.order),
            Event::OrderRestated(restated) => self.set(&restated.order),
            Event::OrderTriggered(triggered) => self.set(&triggered.order),
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

    /// The levels that changed since the last call, by instrument, bids first, by ascending price. For the end of a
    /// command.
    pub fn changes(&mut self) -> impl Iterator<Item = LevelChange> {
        let touched = core::mem::take(&mut self.touched);
        touched.into_iter().filter_map(|((instrument, side, price), before)| {
            let level = self.level(instrument, side, price);
            (level != before).then_some(LevelChange { instrument, side, price, before, level })
        })
    }

    /// What rests at a price.
    pub fn level(&self, instrument: InstrumentId, side: Side, price: Price) -> Level {
        self.books.get(&instrument).and_then(|book| book[side_index(side)].get(&price)).copied().unwrap_or_default()
    }

    /// One side's levels, best first.
    pub fn levels(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = (Price, Level)> + '_ {
        let levels = self.books.get(&instrument).map(|book| &book[side_index(side)]);
        let (ascending, descending) = match side {
            Side::Sell => (levels, None),
            Side::Buy => (None, levels),
        };
        let ascending = ascending.into_iter().flat_map(|levels| levels.iter());
        let descending = descending.into_iter().flat_map(|levels| levels.iter().rev());
        ascending.chain(descending).map(|(&price, &level)| (price, level))
    }

    /// The best prices.
    pub fn best(&self, instrument: InstrumentId) -> BestPrices {
        let best = |side| self.levels(instrument, side).next();
        BestPrices { bid: best(Side::Buy), offer: best(Side::Sell) }
    }

    fn accept(&mut self, order: &OrderState) {
        let rests = order.order_type.has_price() && order.time_in_force.rests();
        // What waits, for its stop price or the close, shows nothing.
        if rests && !order.shown.is_zero() {
            self.open(order.order_id, Open::of(order));
        }
    }

    fn set(&mut self, order: &OrderState) {
        self.close(order.order_id);
        self.accept(order);
    }

    fn open(&mut self, id: OrderId, order: Open) {
        self.orders.insert(id, order);
        self.change(order, |level| {
            level.quantity += order.shown.0;
            level.order_count += 1;
        });
    }

    fn close(&mut self, id: OrderId) {
        if let Some(order) = self.orders.remove(&id) {
            self.change(order, |level| {
                level.quantity -= order.shown.0;
                level.order_count -= 1;
            });
        }
    }

    fn fill(&mut self, side: &TradeSide, shows: impl FnOnce(Quantity) -> Quantity) {
        let Entry::Occupied(mut entry) = self.orders.entry(side.order_id) else { return };
        let order = *entry.get();
        let shown = shows(order.shown);
        entry.get_mut().shown = shown;
        if side.leaves.is_zero() {
            entry.remove();
        }
        self.change(order, |level| {
            level.quantity -= (order.shown - shown).0;
            level.order_count -= u32::from(side.leaves.is_zero());
        });
    }

    fn change(&mut self, order: Open, change: impl FnOnce(&mut Level)) {
        let Open { instrument, side, price, .. } = order;
        let levels = &mut self.books.entry(instrument).or_default()[side_index(side)];
        let level = levels.entry(price).or_default();
        self.touched.entry((instrument, side, price)).or_insert(*level);
        change(level);
        if level.order_count == 0 {
            levels.remove(&price);
        }
    }
}

impl Open {
    fn of(order: &OrderState) -> Self {
        Self { instrument: order.instrument, side: order.side, price: order.price, shown: order.shown }
    }
}

fn side_index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}
