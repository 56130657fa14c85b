//! A book as a subscriber rebuilds it.

use std::collections::{BTreeMap, HashMap};

use wire::market_data::{BestBidOffer, OrderChange, PriceLevel, PriceLevelChange, RestingOrder};
use wire::{Checksum, FeedLevel, FeedSequence, OrderCount, OrderId, Price, Quantity, Side, UpdateAction};

use crate::channel::depth_of;
use crate::checksum::{self, CanonicalText};

/// What rests at one price, as mantissas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookLevel {
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// How many orders.
    pub order_count: OrderCount,
}

/// One order, as mantissas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookOrder {
    /// The venue's name for it.
    pub order_id: OrderId,
    /// At which price.
    pub price: Price,
    /// What of it is shown.
    pub quantity: Quantity,
}

/// What trades before an order does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePosition {
    /// Orders of its level that are ahead of it.
    pub orders_ahead: usize,
    /// What of those is shown.
    pub quantity_ahead: Quantity,
}

/// One instrument's book at the level of detail that was subscribed: every order, some or all price levels, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    level: FeedLevel,
    sides: [BTreeMap<Price, Entry>; 2],
    last_sequence: FeedSequence,
    /// Of every order, where it is; empty unless every order is known.
    orders: HashMap<OrderId, (Side, Price, u64)>,
    /// Counts the orders that went to the back of a level.
    places: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    quantity: Quantity,
    order_count: OrderCount,
    /// By place; empty unless every order is known.
    queue: BTreeMap<u64, (OrderId, Quantity)>,
}

impl Default for Book {
    fn default() -> Self {
        Self::new(FeedLevel::NonRepresentable, FeedSequence(0))
    }
}

impl Book {
    /// At which level of detail it is.
    pub fn level(&self) -> FeedLevel {
        self.level
    }

    /// One side's levels, best first. The code that is known to nobody has none.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = BookLevel> + '_ {
        self.entries(side).map(|(price, entry)| BookLevel {
            price,
            quantity: entry.quantity,
            order_count: entry.order_count,
        })
    }

    /// One side's orders, best price first, the next to trade first; none unless every order is known.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = BookOrder> + '_ {
        self.entries(side).flat_map(|(price, entry)| {
            entry.queue.values().map(move |&(order_id, quantity)| BookOrder { order_id, price, quantity })
        })
    }

    /// The orders at one price, the next to trade first; none unless every order is known.
    pub fn queue(&self, side: Side, price: Price) -> impl Iterator<Item = BookOrder> + '_ {
        let entry = index(side).and_then(|index| self.sides[index].get(&price));
        let orders = entry.into_iter().flat_map(|entry| entry.queue.values());
        orders.map(move |&(order_id, quantity)| BookOrder { order_id, price, quantity })
    }

    /// What trades before an order; `None` if it is not in the book.
    pub fn queue_position(&self, order_id: OrderId) -> Option<QueuePosition> {
        let &(side, price, place) = self.orders.get(&order_id)?;
        let queue = &self.sides[index(side)?].get(&price)?.queue;
        let ahead = || queue.range(..place).map(|(_, &(_, Quantity(quantity)))| quantity);
        Some(QueuePosition { orders_ahead: ahead().count(), quantity_ahead: Quantity(ahead().sum()) })
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<BookLevel> {
        self.levels(side).next()
    }

    /// The last message of the channel that it includes.
    pub fn last_sequence(&self) -> FeedSequence {
        self.last_sequence
    }

    /// Its checksum; `None` if its level of detail has none.
    pub fn checksum(&self) -> Option<Checksum> {
        let depth = checksum::depth(self.level)?;
        let mut text = CanonicalText::default();
        for side in [Side::Buy, Side::Sell] {
            if self.level == FeedLevel::MarketByOrder {
                let orders = self.entries(side).take(depth).flat_map(|(price, entry)| {
                    entry.queue.values().map(move |&(order_id, quantity)| (order_id, price, quantity))
                });
                for (order_id, price, quantity) in orders.take(checksum::ORDERS_MAX) {
                    text.order(side, order_id, price, quantity);
                }
            } else {
                for level in self.levels(side).take(depth) {
                    text.level(side, level.price, level.quantity, level.order_count);
                }
            }
        }
        Some(text.checksum())
    }

    pub(crate) fn new(level: FeedLevel, last_sequence: FeedSequence) -> Self {
        Self { level, sides: Default::default(), last_sequence, orders: HashMap::new(), places: 0 }
    }

    pub(crate) fn add_level(&mut self, level: &PriceLevel) {
        let &PriceLevel { price, quantity, order_count, side } = level;
        self.set(side, BookLevel { price, quantity, order_count });
    }

    pub(crate) fn add_order(&mut self, order: &RestingOrder) {
        let &RestingOrder { order_id, price, quantity, side } = order;
        self.enqueue(side, BookOrder { order_id, price, quantity });
    }

    pub(crate) fn includes(&mut self, sequence: FeedSequence) {
        self.last_sequence = sequence;
    }

    pub(crate) fn change_level(&mut self, change: &PriceLevelChange) {
        let &PriceLevelChange { price, quantity, order_count, side, action } = change;
        // What is seen in orders has its levels from them.
        if depth_of(self.level).is_none() {
            return;
        }
        match action {
            UpdateAction::Delete => {
                if let Some(index) = index(side) {
                    self.sides[index].remove(&price);
                }
            }
            UpdateAction::New | UpdateAction::Change | UpdateAction::NonRepresentable => {
                self.set(side, BookLevel { price, quantity, order_count });
            }
        }
    }

    pub(crate) fn change_order(&mut self, change: &OrderChange) {
        let &OrderChange { order_id, price, quantity, side, action } = change;
        match action {
            UpdateAction::Delete => self.dequeue(order_id),
            UpdateAction::New | UpdateAction::NonRepresentable => {
                self.dequeue(order_id);
                self.enqueue(side, BookOrder { order_id, price, quantity });
            }
            UpdateAction::Change => self.show(order_id, quantity),
        }
    }

    /// For a subscriber that sees nothing but the best prices.
    pub(crate) fn replace_best(&mut self, best: &BestBidOffer) {
        self.sides.iter_mut().for_each(BTreeMap::clear);
        let bid = (Side::Buy, best.bid_price, best.bid_quantity, best.bid_order_count);
        let offer = (Side::Sell, best.offer_price, best.offer_quantity, best.offer_order_count);
        for (side, price, quantity, order_count) in [bid, offer] {
            if let (Some(price), Some(quantity)) = (price, quantity) {
                self.set(side, BookLevel { price, quantity, order_count });
            }
        }
    }

    fn entries(&self, side: Side) -> impl Iterator<Item = (Price, &Entry)> + '_ {
        let (ascending, descending) = match side {
            Side::Buy => (None, Some(self.sides[0].iter().rev())),
            Side::Sell => (Some(self.sides[1].iter()), None),
            Side::NonRepresentable => (None, None),
        };
        let both = ascending.into_iter().flatten().chain(descending.into_iter().flatten());
        both.map(|(&price, entry)| (price, entry))
    }

    fn set(&mut self, side: Side, BookLevel { price, quantity, order_count }: BookLevel) {
        if let Some(index) = index(side) {
            self.sides[index].insert(price, Entry { quantity, order_count, queue: BTreeMap::new() });
        }
    }

    fn enqueue(&mut self, side: Side, BookOrder { order_id, price, quantity }: BookOrder) {
        let Some(index) = index(side) else { return };
        self.places += 1;
        let empty = Entry { quantity: Quantity(0), order_count: OrderCount(0), queue: BTreeMap::new() };
        let entry = self.sides[index].entry(price).or_insert(empty);
        // What a peer says may be anything: sums that are none are of no use, and do no harm.
        entry.quantity.0 = entry.quantity.0.wrapping_add(quantity.0);
        entry.order_count.0 = entry.order_count.0.wrapping_add(1);
        entry.queue.insert(self.places, (order_id, quantity));
        self.orders.insert(order_id, (side, price, self.places));
    }

    fn dequeue(&mut self, order_id: OrderId) {
        let Some((side, price, place)) = self.orders.remove(&order_id) else { return };
        let Some(index) = index(side) else { return };
        let Some(entry) = self.sides[index].get_mut(&price) else { return };
        if let Some((_, quantity)) = entry.queue.remove(&place) {
            entry.quantity.0 = entry.quantity.0.wrapping_sub(quantity.0);
            entry.order_count.0 = entry.order_count.0.wrapping_sub(1);
        }
        if entry.queue.is_empty() {
            self.sides[index].remove(&price);
        }
    }

    fn show(&mut self, order_id: OrderId, quantity: Quantity) {
        let Some(&(side, price, place)) = self.orders.get(&order_id) else { return };
        let Some(entry) = index(side).and_then(|index| self.sides[index].get_mut(&price)) else { return };
        if let Some((_, shown)) = entry.queue.get_mut(&place) {
            let before = core::mem::replace(shown, quantity);
            entry.quantity.0 = entry.quantity.0.wrapping_sub(before.0).wrapping_add(quantity.0);
        }
    }
}

fn index(side: Side) -> Option<usize> {
    match side {
        Side::Buy => Some(0),
        Side::Sell => Some(1),
        Side::NonRepresentable => None,
    }
}
