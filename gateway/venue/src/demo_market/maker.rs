//! The market maker: several post-only quotes on each side of a fair price, in every instrument of the demo.
//!
//! A turn enters what is missing, or else moves the quotes that are furthest from where they should be; now and then it
//! cancels one. The more of the base asset it has bought, the lower it quotes, so that trading brings it back; at its
//! limit it does not bid at all. Every quote has at most one request under way, so that there are never more open orders
//! than quotes.

use std::time::Duration;

use fastrand::Rng;
use wire::order_entry::{OrderEntryMessage, SecurityDefinition};
use wire::{AccountId, ClientOrderId};

use super::fair::FairPrices;
use super::quotes::{Plan, Quotes};
use super::{Action, Strategy};

/// Between two turns.
const PAUSE: Duration = Duration::from_millis(125);
/// Requests in a turn: of changes, and of new quotes.
const CHANGES_MAX: usize = 3;
const ENTRIES_MAX: usize = 12;
/// One turn of so many cancels a quote, to make room for another.
const CANCEL_ONE_IN: u32 = 8;

const PLANS: [Plan; 3] = [
    Plan { symbol: "BTC-USD", decimals: 3, smallest: 20, largest: 900, limit: 200 },
    Plan { symbol: "ETH-USD", decimals: 2, smallest: 40, largest: 1_800, limit: 4_000 },
    Plan { symbol: "ETH-BTC", decimals: 2, smallest: 40, largest: 1_500, limit: 4_000 },
];

/// The market maker.
#[derive(Debug)]
pub(super) struct Maker {
    rng: Rng,
    fair: FairPrices,
    account: AccountId,
    next_name: u64,
    books: Vec<Quotes>,
}

impl Maker {
    /// Before its first session.
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, fair: FairPrices::START, account: AccountId(0), next_name: 1, books: Vec::new() }
    }

    /// The quotes that are missing, those nearest to the market first.
    fn entries(&mut self) -> Vec<Action> {
        let missing = |(book, quotes): (usize, &Quotes)| -> Vec<_> {
            quotes.missing().map(|(level, at)| (level, book, at)).collect()
        };
        let mut missing: Vec<_> = self.books.iter().enumerate().flat_map(missing).collect();
        missing.sort_unstable();
        missing.truncate(ENTRIES_MAX);
        missing.into_iter().filter_map(|(_, book, at)| self.enter(book, at)).collect()
    }

    /// The quotes that are furthest off.
    fn changes(&mut self) -> Vec<Action> {
        let fair = &self.fair;
        let off = |(book, quotes): (usize, &Quotes)| -> Vec<_> {
            let fair = fair.of(quotes.symbol);
            fair.into_iter().flat_map(|fair| quotes.off(fair)).map(|(urgency, at)| (urgency, book, at)).collect()
        };
        let mut off: Vec<_> = self.books.iter().enumerate().flat_map(off).collect();
        off.sort_unstable_by(|one, other| other.cmp(one));
        off.truncate(CHANGES_MAX);
        off.into_iter().filter_map(|(_, book, at)| self.change(book, at)).collect()
    }

    fn enter(&mut self, book: usize, at: usize) -> Option<Action> {
        let name = ClientOrderId(self.next_name);
        self.next_name += 1;
        let book = &mut self.books[book];
        Some(book.enter(at, self.fair.of(book.symbol)?, &mut self.rng, self.account, name))
    }

    fn change(&mut self, book: usize, at: usize) -> Option<Action> {
        let book = &mut self.books[book];
        Some(book.change(at, self.fair.of(book.symbol)?, &mut self.rng, self.account))
    }

    fn cancel(&mut self) -> Option<Action> {
        let book = self.rng.usize(0..self.books.len().max(1));
        self.books.get_mut(book)?.cancel_one(&mut self.rng, self.account)
    }
}

impl Strategy for Maker {
    fn begin(&mut self, account: AccountId, definitions: &[SecurityDefinition], name: u64) {
        self.account = account;
        self.next_name = name;
        let quotes = |plan: &Plan| {
            let definition = definitions.iter().find(|definition| definition.symbol.as_str() == Some(plan.symbol))?;
            Quotes::new(plan, definition)
        };
        self.books = PLANS.iter().filter_map(quotes).collect();
    }

    fn turn(&mut self) -> Vec<Action> {
        self.fair.step(&mut self.rng);
        let mut actions = self.entries();
        if actions.is_empty() {
            actions = self.changes();
            if self.rng.u32(0..CANCEL_ONE_IN) == 0 {
                actions.extend(self.cancel());
            }
        }
        actions
    }

    fn pause(&mut self) -> Duration {
        PAUSE
    }

    fn hear(&mut self, message: &OrderEntryMessage) {
        match message {
            OrderEntryMessage::ExecutionReport(report) => self.books.iter_mut().for_each(|book| book.hear(report)),
            OrderEntryMessage::OrderCancelReject(reject) => {
                if let Some(name) = reject.original_client_order_id {
                    self.books.iter_mut().for_each(|book| book.change_refused(name));
                }
            }
            OrderEntryMessage::BusinessMessageReject(reject) => {
                let name = reject.reference_id.map(|name| ClientOrderId(name.0));
                self.books.iter_mut().for_each(|book| book.refused_at_edge(name));
            }
            _ => {}
        }
    }
}
