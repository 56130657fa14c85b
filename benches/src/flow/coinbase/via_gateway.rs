//! The same day through the doors of a venue that is served: sessions over TLS, market data over QUIC, the journal.
//!
//! ```text
//!   requests ─► session(s) ─TLS─► venue ─TLS─► reports ──┐
//!                                  │ │                   ├─ matches, tape, books, digests agree
//!                                  │ └─QUIC─► subscriber ┤
//!                                  └─► journal ─► replay ┘
//! ```
//!
//! One session has a window of requests without an answer. Several take turns: each hands over when all of its requests
//! are answered, so that the venue's total order is the day's. Orders are then filled and cancelled across sessions.
//!
//! Each session ends with a mark, an order far from every other and its cancel: once that is answered, every report
//! before it has come, and once the subscriber sees it, every change before it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use client::wire::{self, Side, TradeId};
use client::{Client, Incoming};
use engine::command::{CancelOrder, NewOrder};
use engine::event::EventSink;
use engine::order::{OrderFlags, TimeInForce};
use engine::{ClientOrderId, Engine, Event, EventHeader, OrderId, Price, Quantity};
use journal::{book_digest, replay, state_digest};
use venue::arguments::DurabilityArgument;

use super::requests::{Recorded, Request, Step, accounts, amend, faults, lonely_bid, place, set_up};
use super::{LOT, TICK, uninterrupted};
use crate::driver::{Digests, progress_bar};
use crate::failure::Failure;
use crate::flow::Source;
use crate::flow::order_feed::limit_order;
use crate::outcome::{Comparison, Outcome};
use crate::trading::log::{Fault, Log};
use crate::trading::message::{Message, Steps, cancel};
use crate::trading::served::{Served, admit, arguments};
use crate::trading::trades::{Both, trades};
use watcher::{Seen, Watcher};

mod watcher;

/// The instrument's steps on the wire.
pub const STEPS: Steps = Steps { tick: TICK, lot: LOT };
/// The names of marks: no day has so many orders.
const FIRST_MARK: u64 = 1 << 40;
/// Requests of one session without an answer.
const WINDOW: usize = 256;
/// Requests of a session's turn, where several take turns.
const TURN: usize = 64;
/// Commands that the subscriber may be behind: less than the venue keeps for a slow one.
const LAG_MAX: u64 = 2_048;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the day goes through the gateway.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many sessions take turns.
    pub sessions: u32,
    /// What the venue's acknowledgements promise.
    pub durability: DurabilityArgument,
}

/// Runs the recording in the folder `source.path`; the venue's folder is `source.journal`, or a temporary one.
pub fn run(source: Source<'_>, options: Options) -> Result<Outcome, Failure> {
    let mut recorded = Recorded::read(source.path)?;
    let temporary = tempfile::tempdir().map_err(|error| Failure::io(Path::new("temporary folder"), error))?;
    let folder = source.journal.unwrap_or(temporary.path());
    refuse_existing(folder)?;
    let served = Served::start(&arguments(folder, options.durability), |folder| {
        Ok(set_up().into_iter().chain(admit(folder, accounts())?).collect())
    })?;
    let mark_price = lonely_bid(recorded.steps());
    let mut floor = Floor::open(&served, options.sessions, mark_price)?;
    floor.day(recorded.steps())?;
    let (logs, seen) = floor.end()?;
    let ended = served.stop()?;
    let venue =
        Digests { event: ended.event_digest, state: state_digest(&ended.engine), book: book_digest(&ended.engine) };
    let (_, direct) = uninterrupted(recorded.start(), recorded.steps())?;
    compare(&mut recorded, logs, &seen, &ended.engine, folder, venue, direct)
}

fn refuse_existing(folder: &Path) -> Result<(), Failure> {
    if folder.join(journal::reader::JOURNAL_FOLDER).exists() {
        return Err(Failure::Usage(format!("{}: has a journal already; name another folder", folder.display())));
    }
    Ok(())
}

/// The sessions and the subscriber.
struct Floor {
    traders: Vec<Trader>,
    watcher: Watcher,
    mark_price: Price,
}

struct Trader {
    client: Client,
    log: Log,
    marks: u64,
}

impl Floor {
    fn open(served: &Served, sessions: u32, mark_price: Price) -> Result<Self, Failure> {
        let addresses = served.addresses();
        let trust = served.access().market_data()?;
        let watcher = Watcher::start(addresses.market_data, trust, wire_price(mark_price), u64::from(sessions))?;
        let open = |number| Ok(Trader { client: served.connect(number)?, log: Log::default(), marks: 0 });
        let traders = (1..=sessions).map(open).collect::<Result<_, Failure>>()?;
        Ok(Self { traders, watcher, mark_price })
    }

    fn day(&mut self, steps: &[Step]) -> Result<(), Failure> {
        let progress = progress_bar(steps.len());
        let turn = if self.traders.len() == 1 { steps.len() } else { TURN };
        let count = self.traders.len();
        for (index, steps) in steps.chunks(turn.max(1)).enumerate() {
            let trader = &mut self.traders[index % count];
            for step in steps {
                trader.step(step)?;
                if trader.log.unanswered().len() >= WINDOW {
                    trader.settle(WINDOW / 2)?;
                    self.watcher.keep_up(trader.log.last_sequence().saturating_sub(LAG_MAX))?;
                }
                progress.inc(1);
            }
            trader.settle(0)?;
            self.watcher.keep_up(trader.log.last_sequence().saturating_sub(LAG_MAX))?;
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// What everybody was told.
    fn end(mut self) -> Result<(Vec<Log>, Seen), Failure> {
        for (number, trader) in (FIRST_MARK..).zip(&mut self.traders) {
            trader.mark(ClientOrderId(number), self.mark_price)?;
        }
        let seen = self.watcher.join()?;
        Ok((self.traders.into_iter().map(|trader| trader.log).collect(), seen))
    }
}

impl Trader {
    fn step(&mut self, step: &Step) -> Result<(), Failure> {
        let message = match step.request {
            Request::New(order) => STEPS.new_order(&order),
            Request::Cancel(request) => cancel(&request),
            Request::LeaveOpen { account, client_order_id, leaves } => {
                // What was filled is known once everything before is.
                self.settle(0)?;
                self.catch_up()?;
                let order = self.log.order((account.into(), client_order_id.into()));
                let filled = order.map_or(0, |order| u64::try_from(order.cumulative).unwrap_or(0));
                STEPS.replace(&amend(account, client_order_id, Quantity(filled) + leaves))
            }
        };
        self.send(message)
    }

    fn send(&mut self, message: Message) -> Result<(), Failure> {
        let number = message.send(&mut self.client)?;
        self.log.sent(number, message);
        Ok(())
    }

    /// Takes reports in until no more than so many requests are without an answer.
    fn settle(&mut self, most: usize) -> Result<(), Failure> {
        while self.log.unanswered().len() > most {
            match self.client.receive_within(PATIENCE)? {
                Some(Incoming::Message(message)) => self.log.message(&message),
                Some(other) => return Err(Failure::Missing(format!("instead of a report: {other:?}"))),
                None => return Err(Failure::Missing(format!("no report within {PATIENCE:?}"))),
            }
        }
        Ok(())
    }

    /// Asks for something that has one answer, and waits for it: what came before it has then come.
    fn catch_up(&mut self) -> Result<(), Failure> {
        self.marks += 1;
        self.send(cancel(&of_mark(ClientOrderId(u64::MAX - 1 - self.marks))))?;
        self.settle(0)
    }

    fn mark(&mut self, name: ClientOrderId, price: Price) -> Result<(), Failure> {
        let account = accounts().next().expect("there are accounts");
        let resting = place(engine::Side::Buy, price, Quantity(1));
        let flags = OrderFlags::POST_ONLY;
        let order = limit_order(resting, TimeInForce::GoodTillCancel);
        self.send(STEPS.new_order(&NewOrder { account, client_order_id: name, flags, ..order }))?;
        self.send(cancel(&of_mark(name)))?;
        self.settle(0)
    }
}

fn of_mark(name: ClientOrderId) -> CancelOrder {
    CancelOrder {
        account: accounts().next().expect("there are accounts"),
        order_id: OrderId::NONE,
        original_client_order_id: name,
        client_order_id: ClientOrderId::NONE,
    }
}

fn wire_price(price: Price) -> wire::Price {
    wire::Price(i64::try_from(price.0).unwrap_or(i64::MAX))
}

fn compare(
    recorded: &mut Recorded,
    mut logs: Vec<Log>,
    seen: &Seen,
    engine: &Engine,
    folder: &Path,
    venue: Digests,
    direct: Digests,
) -> Result<Outcome, Failure> {
    let trades = trades(logs.iter().flat_map(Log::fills));
    let matches = recorded.compare_matches(trades.values().filter_map(Both::traded));
    let books = recorded.compare_closing(engine);
    let mut refused = Refused::default();
    let replayed = replay(folder, &mut refused, |_| {})?;
    let mut digests = Comparison::new("replay_digests");
    digests.expect(|| "event digest".to_owned(), &venue.event, &replayed.event_digest);
    digests.expect(|| "state digest".to_owned(), &venue.state, &replayed.state_digest);
    digests.expect(|| "book digest".to_owned(), &venue.book, &replayed.book_digest);
    let mut uninterrupted = Comparison::new("direct_book_digest");
    uninterrupted.expect(|| "book digest".to_owned(), &direct.book, &venue.book);
    let sessions = logs.len() as u64;
    let told = logs.iter_mut().flat_map(Log::take_faults).map(|fault| match fault {
        Fault::Lost(what) => format!("lost: {what}"),
        Fault::Doubled(what) => format!("doubled: {what}"),
    });
    let one_sided = trades.values().filter(|both| both.traded().is_none()).count();
    let one_sided = (one_sided > 0).then(|| format!("{one_sided} trades were reported to one side only"));
    let gaps = (seen.gaps > 0).then(|| format!("the subscriber missed messages {} times", seen.gaps));
    let refusals = (refused.0 > 0).then(|| format!("{} set-up commands were refused", refused.0));
    Ok(Outcome {
        flow: "coinbase via gateway",
        commands: engine.last().sequence.0,
        comparisons: vec![
            matches,
            books.resting,
            books.fifo_levels,
            compare_tape(&trades, seen),
            compare_levels(recorded, seen),
            compare_orders(recorded, seen),
            digests,
            uninterrupted,
        ],
        figures: vec![("sessions", sessions)],
        faults: faults(engine).into_iter().chain(told).chain(one_sided).chain(gaps).chain(refusals).collect(),
        digests: venue,
    })
}

/// What was published of a trade, or would have to be.
#[derive(Debug, PartialEq, Eq)]
struct Printed {
    trade_id: TradeId,
    price: wire::Price,
    quantity: wire::Quantity,
    aggressor: Option<Side>,
}

/// The published trades against the reports, one by one.
fn compare_tape(trades: &BTreeMap<TradeId, Both>, seen: &Seen) -> Comparison {
    let mut comparison = Comparison::new("tape");
    let mut tape = seen.tape.iter().map(|trade| Printed {
        trade_id: trade.trade_id,
        price: trade.price,
        quantity: trade.quantity,
        aggressor: trade.aggressor,
    });
    let taken = trades.values().filter_map(|both| both.taker);
    for taker in taken {
        let expected = Printed {
            trade_id: taker.trade_id,
            price: taker.price,
            quantity: taker.quantity,
            aggressor: Some(taker.side),
        };
        comparison.expect(|| format!("trade {:?}", taker.trade_id), &Some(expected), &tape.next());
    }
    for surplus in tape {
        comparison.surplus(|| format!("{surplus:?}"));
    }
    comparison
}

/// The subscriber's final book against the closing snapshot.
fn compare_levels(recorded: &mut Recorded, seen: &Seen) -> Comparison {
    let mut comparison = Comparison::new("feed_levels");
    for side in engine::Side::BOTH {
        let mut levels = BTreeMap::<i64, (i64, u32)>::new();
        for order in recorded.closing_side(side) {
            let level = levels.entry(wire_price(order.price).0).or_default();
            level.0 += i64::try_from(order.leaves.0).unwrap_or(i64::MAX);
            level.1 += 1;
        }
        let levels_of = |level: marketdata::BookLevel| (level.price.0, (level.quantity.0, level.order_count.0));
        let mut found: BTreeMap<i64, (i64, u32)> = seen.book.levels(side.into()).map(levels_of).collect();
        for (price, expected) in levels {
            comparison.expect(|| format!("{side} at {price}"), &Some(expected), &found.remove(&price));
        }
        for (price, level) in found {
            comparison.surplus(|| format!("{side} at {price}: {level:?}"));
        }
    }
    comparison
}

/// Every order of the subscriber's final book, at its place, against the closing snapshot.
fn compare_orders(recorded: &mut Recorded, seen: &Seen) -> Comparison {
    let mut comparison = Comparison::new("feed_orders");
    for side in engine::Side::BOTH {
        let mut found = seen.book.orders(side.into()).map(|order| (order.price, order.quantity.0));
        for (place, order) in recorded.closing_side(side).iter().enumerate() {
            let expected = (wire_price(order.price), i64::try_from(order.leaves.0).unwrap_or(i64::MAX));
            comparison.expect(|| format!("{side} order {place}"), &Some(expected), &found.next());
        }
        for (price, quantity) in found {
            comparison.surplus(|| format!("{side} of {quantity} at {price}"));
        }
    }
    comparison
}

/// Counts commands of the set-up that were refused.
#[derive(Default)]
struct Refused(u64);

impl EventSink for Refused {
    fn event(&mut self, _: &EventHeader, event: &Event) {
        self.0 += u64::from(matches!(event, Event::CommandRejected(_)));
    }
}

/// Waits until `done`, yielding meanwhile; whether it was done in time.
fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        std::thread::yield_now();
    }
    true
}
