//! A book as a subscriber rebuilds it.

use std::collections::BTreeMap;

use wire::market_data::{BestBidOffer, PriceLevel, PriceLevelChange};
use wire::{FeedSequence, OrderCount, Price, Quantity, Side, UpdateAction};

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

/// One instrument's price levels at the level of detail that was subscribed: all, the best of each side, or none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    bids: BTreeMap<Price, BookLevel>,
    offers: BTreeMap<Price, BookLevel>,
    last_sequence: FeedSequence,
}

impl Book {
    /// One side's levels, best first. The code that is known to nobody has none.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = BookLevel> + '_ {
        let (ascending, descending) = match side {
            Side::Buy => (None, Some(self.bids.values().rev())),
            Side::Sell => (Some(self.offers.values()), None),
            Side::NonRepresentable => (None, None),
        };
        ascending.into_iter().flatten().chain(descending.into_iter().flatten()).copied()
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<BookLevel> {
        self.levels(side).next()
    }

    /// The last message of the channel that it includes.
    pub fn last_sequence(&self) -> FeedSequence {
        self.last_sequence
    }

    pub(crate) fn of(entries: impl IntoIterator<Item = PriceLevel>, last_sequence: FeedSequence) -> Self {
        let mut book = Self { last_sequence, ..Self::default() };
        for PriceLevel { price, quantity, order_count, side } in entries {
            book.set(side, BookLevel { price, quantity, order_count });
        }
        book
    }

    pub(crate) fn includes(&mut self, sequence: FeedSequence) {
        self.last_sequence = sequence;
    }

    pub(crate) fn change(&mut self, change: &PriceLevelChange) {
        let &PriceLevelChange { price, quantity, order_count, side, action } = change;
        match action {
            UpdateAction::Delete => drop(self.side(side).map(|levels| levels.remove(&price))),
            UpdateAction::New | UpdateAction::Change | UpdateAction::NonRepresentable => {
                self.set(side, BookLevel { price, quantity, order_count });
            }
        }
    }

    /// For a subscriber that sees nothing but the best prices.
    pub(crate) fn replace_best(&mut self, best: &BestBidOffer) {
        self.bids.clear();
        self.offers.clear();
        let bid = (Side::Buy, best.bid_price, best.bid_quantity, best.bid_order_count);
        let offer = (Side::Sell, best.offer_price, best.offer_quantity, best.offer_order_count);
        for (side, price, quantity, order_count) in [bid, offer] {
            if let (Some(price), Some(quantity)) = (price, quantity) {
                self.set(side, BookLevel { price, quantity, order_count });
            }
        }
    }

    fn set(&mut self, side: Side, level: BookLevel) {
        if let Some(levels) = self.side(side) {
            levels.insert(level.price, level);
        }
    }

    fn side(&mut self, side: Side) -> Option<&mut BTreeMap<Price, BookLevel>> {
        match side {
            Side::Buy => Some(&mut self.bids),
            Side::Sell => Some(&mut self.offers),
            Side::NonRepresentable => None,
        }
    }
}
