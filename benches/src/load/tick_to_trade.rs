//! From an order to its trade at a subscriber of market data.
//!
//! ```text
//!   venue   traders ─► sockets ─► ring ─► core, journal ─► ring ─► feed ─► QUIC ─► subscriber
//!   limit   traders ─► sockets ─► ring ─► nothing       ─► ring ─► bytes ─► QUIC ─► subscriber
//! ```
//!
//! Load model: open loop, timed from when an order is due that trades as it comes until a subscriber has its first trade.
//! Reports name the command of an order, and trades the command that caused them: that is how one finds the other. In the
//! limit, one request in so many leads to a message of a trade's size as traded in the venue's turn before.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use client::wire::market_data::{PacketHeader, Trade};
use client::wire::{FeedLevel, Message};
use engine::Event;
use engine::event::NotApplied;
use marketdata::Update;
use ring::{EventReader, Polled};
use venue::affinity;
use venue::config::Threads;

use super::arguments::Arguments;
use super::bare_quic::{self, BarePublisher};
use super::echo::Echo;
use super::orders::Orders;
use super::parts::{Part, TURNS, parts};
use super::progress::Progress;
use super::recorder::Recorder;
use super::result::{Report, Series};
use super::round_trip::{Side, fill};
use super::schedule::nanoseconds;
use super::stage::Stage;
use super::traders::Traders;
use super::watchers::{Notebook, Seen, Source, Watchers};
use crate::failure::Failure;
use crate::throughput::workload::Operation;
use crate::trading::served::ServedError;

const LOAD_MODEL: &str = "open loop, from when an order is due that trades to its trade at a subscriber over QUIC";
/// Bytes of a packet with a trade.
const TRADE_BYTES: usize = PacketHeader::FRAME_LENGTH + Trade::FRAME_LENGTH;
/// How long the feed sleeps at most.
const IDLE_MAX: Duration = Duration::from_millis(20);

/// Measures.
pub fn run(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    let stage = Stage::new(arguments)?;
    let parts = parts(arguments).ok_or_else(|| Failure::Usage("--mode tick-to-trade: needs --rate".to_owned()))?;
    let orders = Orders::of(arguments, &parts);
    let with_limits = stage.is_local()?;
    let (mut venue, mut bare) = (Ticks::new(arguments), Ticks::new(arguments));
    for (index, part) in parts.iter().enumerate() {
        let _bar = progress.timed(&format!("turn {} of {TURNS}", index + 1), part.phases.total() * 2);
        let operations = orders.part(index);
        let prefill = if index == 0 { orders.prefill() } else { &[] };
        venue_turn(&stage, part, prefill, operations, &mut venue)?;
        if with_limits {
            bare_turn(&stage, part, operations, venue.orders_per_trade(), &mut bare)?;
        }
    }
    let mut report = Report::new(arguments, LOAD_MODEL);
    report.achieved_rate = Some(venue.side.recorder.per_second());
    report.series.push(Series::timed("tick to trade", &venue.ticks));
    report.series.push(Series::timed("round trip", &venue.side.recorder));
    report.series.push(Series::of_times("send lateness", venue.side.tally.lateness.clone()));
    report.notes = venue.side.notes("");
    report.notes.extend(venue.notes(""));
    if with_limits {
        report.series.push(Series::timed("limit: echo and QUIC", &bare.ticks));
        report.series.push(Series::of_times("send lateness, echo", bare.side.tally.lateness.clone()));
        report.compare("tick to trade", "limit: echo and QUIC");
        report.notes.extend(bare.side.notes("echo_"));
        report.notes.extend(bare.notes("echo_"));
    }
    Ok(vec![report])
}

/// One side of the comparison.
struct Ticks {
    side: Side,
    ticks: Recorder,
    /// Orders whose first trade was seen.
    traded: u64,
    gaps: u64,
}

impl Ticks {
    fn new(arguments: &Arguments) -> Self {
        Self { side: Side::new(arguments), ticks: Recorder::new(arguments.phases()), traded: 0, gaps: 0 }
    }

    fn orders_per_trade(&self) -> u64 {
        (self.side.tally.sent as f64 / self.traded.max(1) as f64).round().max(1.0) as u64
    }

    /// Times each order of which something was seen. `due`: keys and due times since the turn began.
    fn join(&mut self, part: &Part, begun: Instant, mut due: Vec<(u64, u64)>, (tape, gaps): (Tape, u64)) {
        due.sort_unstable();
        for (key, seen_at) in tape.0 {
            let Ok(index) = due.binary_search_by_key(&key, |&(key, _)| key) else { continue };
            let seen_ns = nanoseconds(seen_at.saturating_duration_since(begun));
            part.record(&mut self.ticks, due[index].1, seen_ns);
            self.traded += 1;
        }
        self.gaps += gaps;
    }

    fn notes(&self, of: &str) -> Vec<(String, f64)> {
        [("traded", self.traded), ("gaps", self.gaps)].map(|(name, count)| (format!("{of}{name}"), count as f64)).into()
    }
}

/// What a subscriber saw, by its key, and when.
#[derive(Default)]
struct Tape(Vec<(u64, Instant)>);

impl Notebook for Tape {
    /// The first trade of each command, or every bare message.
    fn note(&mut self, _: usize, seen: Seen<'_>) -> u64 {
        let now = Instant::now();
        let key = match seen {
            Seen::Update(Update::Trade(Trade { journal_sequence: Some(sequence), .. })) => sequence.0,
            Seen::Update(_) => return 0,
            Seen::Message(message) => bare_quic::key_of(message),
        };
        if self.0.last().is_some_and(|&(last, _)| last == key) {
            return 0;
        }
        self.0.push((key, now));
        1
    }
}

fn venue_turn(
    stage: &Stage,
    part: &Part,
    prefill: &[Operation],
    operations: &[Operation],
    venue: &mut Ticks,
) -> Result<(), Failure> {
    let up = stage.up()?;
    if !prefill.is_empty() {
        stage.clear(&up)?;
    }
    let trust = stage.access().market_data()?;
    let source = Source::Venue { address: up.market_data()?, trust, level: FeedLevel::Trades };
    let watchers = Watchers::start(source, 1, Tape::default())?;
    let mut due = Vec::with_capacity(operations.len());
    let traded_before = venue.side.tally.aggressors;
    let begun = stage.on_the_traders_thread(|| {
        let mut traders = Traders::new(stage.open(&up)?, stage.waiting())?;
        fill(&mut traders, prefill)?;
        venue.side.turn(&mut traders, part, operations, |answered| {
            due.extend(answered.journal_sequence.map(|sequence| (sequence.0, answered.sent.due_ns)));
        })
    })?;
    watchers.wait_for(venue.side.tally.aggressors - traded_before);
    venue.join(part, begun, due, watchers.stop()?);
    up.down()
}

fn bare_turn(
    stage: &Stage,
    part: &Part,
    operations: &[Operation],
    orders_per_trade: u64,
    bare: &mut Ticks,
) -> Result<(), Failure> {
    let publisher = Arc::new(BarePublisher::start(&*stage.server_config()?)?);
    let (echo, readers) = Echo::start(stage.threads(), stage.server_protection()?, 1)?;
    let events = readers.into_iter().next().expect("one was asked for");
    let feed = feed(stage.threads(), events, Arc::clone(&publisher), orders_per_trade)?;
    let tls = stage.access().client_config().map_err(ServedError::from)?;
    let source = Source::Bare { address: publisher.address(), tls, message_bytes: TRADE_BYTES };
    let watchers = Watchers::start(source, 1, Tape::default())?;
    if !publisher.wait_for(1) {
        return Err(Failure::Missing("not all subscribers reached the bare publisher".to_owned()));
    }
    let mut due = Vec::with_capacity(operations.len());
    let begun = stage.on_the_traders_thread(|| {
        let mut traders = Traders::new(stage.open_bare(echo.address())?, stage.waiting())?;
        bare.side.turn(&mut traders, part, operations, |answered| {
            due.push((key(answered.session, answered.sent.number.0), answered.sent.due_ns));
        })
    })?;
    echo.stop()?;
    watchers.wait_for(feed.join().expect("the feed does not panic"));
    bare.join(part, begun, due, watchers.stop()?);
    Arc::into_inner(publisher).expect("the feed has ended").stop();
    Ok(())
}

/// What a request of the echo is called: its session, from 0, and its number there.
fn key(session: usize, number: u64) -> u64 {
    (session as u64) << 40 | number
}

/// Starts what publishes a message for one request in so many; in the end it tells how many those were.
fn feed(
    threads: &Threads,
    mut events: EventReader,
    publisher: Arc<BarePublisher>,
    orders_per_trade: u64,
) -> Result<JoinHandle<u64>, Failure> {
    let placement = threads.placement.clone();
    let follow = move || {
        let _ = placement.map(|placement| affinity::keep_to(&placement.others));
        let mut published = 0;
        loop {
            match events.poll() {
                Polled::Event(header, Event::NotApplied(NotApplied { session, from, .. }))
                    if header.id.sequence.0.is_multiple_of(orders_per_trade) =>
                {
                    publisher.publish(bare_quic::message(key(session.0 as usize, from.0), TRADE_BYTES));
                    published += 1;
                }
                Polled::Event(..) => {}
                Polled::Empty => events.wait(IDLE_MAX),
                Polled::Lapped(_) => unreachable!("the echo waits for a gating reader"),
                Polled::Closed => return published,
            }
        }
    };
    let thread = std::thread::Builder::new().name("bare-feed".to_owned());
    thread.spawn(follow).map_err(|error| Failure::io(Path::new("the bare feed"), error))
}
