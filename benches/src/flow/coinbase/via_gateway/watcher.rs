//! The subscriber that watches the day from outside, order by order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use client::wire::market_data::{OrderChange, Trade};
use client::wire::{FeedLevel, Price, Side, UpdateAction};
use marketdata::{BlockingSubscriber, Book, Trust, Update};

use super::super::requests::INSTRUMENT;
use super::{PATIENCE, wait_until};
use crate::failure::Failure;

/// What a subscriber knows when the day is over.
#[derive(Debug)]
pub(super) struct Seen {
    /// Every trade, in the order of publication.
    pub(super) tape: Vec<Trade>,
    /// The book.
    pub(super) book: Book,
    /// How often messages were missed.
    pub(super) gaps: u64,
}

/// A subscriber on a thread of its own.
pub(super) struct Watcher {
    /// The last command that it saw something of, and one: zero before its first book.
    reached: Arc<AtomicU64>,
    thread: JoinHandle<Result<Seen, Failure>>,
}

impl Watcher {
    /// Subscribes, and returns when the book is there. It watches until a bid at `mark` has gone `marks` times.
    pub(super) fn start(address: SocketAddr, trust: Trust, mark: Price, marks: u64) -> Result<Self, Failure> {
        let reached = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&reached);
        let watching = std::thread::Builder::new().name("subscriber".to_owned());
        let thread = watching
            .spawn(move || watch(address, &trust, mark, marks, &progress))
            .map_err(|error| Failure::io(std::path::Path::new("a thread"), error))?;
        let watcher = Self { reached, thread };
        watcher.wait(|| watcher.reached.load(Ordering::Acquire) > 0)?;
        Ok(watcher)
    }

    /// Waits until something of command `sequence` or a later one was seen.
    pub(super) fn keep_up(&self, sequence: u64) -> Result<(), Failure> {
        self.wait(|| self.reached.load(Ordering::Acquire) > sequence)
    }

    /// What was seen, once everything is.
    pub(super) fn join(self) -> Result<Seen, Failure> {
        if !wait_until(|| self.thread.is_finished()) {
            return Err(Failure::Missing(format!("the subscriber has not seen the end within {PATIENCE:?}")));
        }
        self.thread.join().expect("the subscriber does not panic")
    }

    /// A subscriber that has ended says why when it is joined.
    fn wait(&self, mut done: impl FnMut() -> bool) -> Result<(), Failure> {
        if wait_until(|| done() || self.thread.is_finished()) {
            return Ok(());
        }
        Err(Failure::Missing(format!("the subscriber has seen nothing new for {PATIENCE:?}")))
    }
}

fn watch(address: SocketAddr, trust: &Trust, mark: Price, marks: u64, reached: &AtomicU64) -> Result<Seen, Failure> {
    let instrument = INSTRUMENT.into();
    let mut subscriber = BlockingSubscriber::connect(address, trust, &[instrument], FeedLevel::MarketByOrder)?;
    let mut tape = Vec::new();
    let mut gone = 0;
    while gone < marks {
        match subscriber.next()? {
            Update::Book { .. } => drop(reached.fetch_max(1, Ordering::AcqRel)),
            Update::Trade(trade) => tape.push(trade),
            Update::Orders(message, changes) => {
                gone += changes.iter().filter(|change| is_gone(change, mark)).count() as u64;
                let sequence = message.journal_sequence.map_or(0, |sequence| sequence.0);
                reached.fetch_max(sequence + 1, Ordering::AcqRel);
            }
            Update::Rejected(reject) => return Err(Failure::Missing(format!("no market data: {reject:?}"))),
            _ => {}
        }
    }
    let gaps = subscriber.gaps();
    let book = subscriber.book(instrument).cloned().unwrap_or_default();
    Ok(Seen { tape, book, gaps: gaps.gaps + gaps.notices })
}

fn is_gone(change: &OrderChange, mark: Price) -> bool {
    (change.side, change.price, change.action) == (Side::Buy, mark, UpdateAction::Delete)
}
