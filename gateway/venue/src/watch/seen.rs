//! What is shown of an update: it, where it came from, and the book as it is after it.

use client::market_data::{Book, BookLevel, GapCounters, Stamps, Update, channel_parts};
use wire::{FeedLevel, Quantity, SecurityId, Side};

/// Best levels of each side of which the first orders are shown.
const QUEUES: usize = 10;
/// Orders of a level that are shown.
const QUEUE_ORDERS: usize = 12;

/// An update, and the book as it is after it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) update: Update,
    pub(crate) stamps: Stamps,
    /// Bids and offers, best first; none: they are as they were.
    pub(crate) book: Option<[Vec<Rung>; 2]>,
    pub(crate) gaps: GapCounters,
}

/// A price level, and who waits there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) level: BookLevel,
    /// What is shown of its first orders, the next to trade first; empty unless every order is known.
    pub(crate) queue: Vec<Quantity>,
}

/// The instrument and the level of detail that an update is about; `None`: it does not say.
pub(crate) fn place(stamps: Stamps) -> Option<(SecurityId, FeedLevel)> {
    channel_parts(stamps.channel_id?).map(|(instrument, level)| (instrument.into(), level))
}

/// Whether the book is another after an update, or for the first time there.
pub(crate) fn changes_book(update: &Update, level: FeedLevel) -> bool {
    match update {
        Update::Book { .. } => !matches!(level, FeedLevel::Trades | FeedLevel::Reference),
        Update::Levels(..) | Update::Orders(..) => true,
        Update::BestBidOffer(_) => level == FeedLevel::BestBidOffer,
        _ => false,
    }
}

/// A book's best levels, of each side so many at most.
pub(crate) fn ladder(book: &Book, depth: u16) -> [Vec<Rung>; 2] {
    [Side::Buy, Side::Sell].map(|side| {
        let levels = book.levels(side).take(depth.into()).enumerate();
        levels.map(|(index, level)| Rung { level, queue: queue(book, side, level, index) }).collect()
    })
}

fn queue(book: &Book, side: Side, level: BookLevel, index: usize) -> Vec<Quantity> {
    let shown = if index < QUEUES { QUEUE_ORDERS } else { 0 };
    book.queue(side, level.price).take(shown).map(|order| order.quantity).collect()
}
