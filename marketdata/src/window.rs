//! The best levels of a book: what of them changed, with what came into sight and what went out of it.

use core::cmp::Ordering;

use engine::{InstrumentId, Price, Side};

use crate::books::{Books, Level, LevelChange};

/// The best levels of both sides as they were told last.
#[derive(Debug, Default)]
pub(crate) struct Window {
    depth: usize,
    /// Bids and offers, best first.
    sides: [Vec<(Price, Level)>; 2],
}

impl Window {
    pub(crate) fn new(depth: usize) -> Self {
        Self { depth, ..Self::default() }
    }

    /// Begins with the book as it is.
    pub(crate) fn look(&mut self, books: &Books, instrument: InstrumentId) {
        for (side, seen) in Side::BOTH.into_iter().zip(&mut self.sides) {
            seen.clear();
            seen.extend(books.levels(instrument, side).take(self.depth));
        }
    }

    /// What is not as it was told last, given the levels that changed; told with this. Bids come first, best first.
    pub(crate) fn changes(
        &mut self,
        books: &Books,
        instrument: InstrumentId,
        touched: &[LevelChange],
        changes: &mut Vec<LevelChange>,
    ) {
        for (side, seen) in Side::BOTH.into_iter().zip(&mut self.sides) {
            let last = if seen.len() < self.depth { None } else { seen.last().map(|&(price, _)| price) };
            let is_seen = |change: &LevelChange| {
                change.side == side && last.is_none_or(|last| order(side, change.price, last) != Ordering::Greater)
            };
            if touched.iter().any(is_seen) {
                let now: Vec<(Price, Level)> = books.levels(instrument, side).take(self.depth).collect();
                differences(instrument, side, seen, &now, changes);
                *seen = now;
            }
        }
    }
}

/// Which of two prices is better: the lesser.
fn order(side: Side, one: Price, other: Price) -> Ordering {
    match side {
        Side::Buy => other.cmp(&one),
        Side::Sell => one.cmp(&other),
    }
}

/// Walks both best first, and tells of each price where they differ.
fn differences(
    instrument: InstrumentId,
    side: Side,
    mut before: &[(Price, Level)],
    mut now: &[(Price, Level)],
    changes: &mut Vec<LevelChange>,
) {
    loop {
        let (price, was, is) = match (before.first(), now.first()) {
            (None, None) => return,
            (Some(&(price, was)), None) => (price, was, Level::default()),
            (None, Some(&(price, is))) => (price, Level::default(), is),
            (Some(&(one, was)), Some(&(other, is))) => match order(side, one, other) {
                Ordering::Less => (one, was, Level::default()),
                Ordering::Greater => (other, Level::default(), is),
                Ordering::Equal => (one, was, is),
            },
        };
        if was != is {
            changes.push(LevelChange { instrument, side, price, before: was, level: is });
        }
        if was.order_count > 0 {
            before = &before[1..];
        }
        if is.order_count > 0 {
            now = &now[1..];
        }
    }
}
