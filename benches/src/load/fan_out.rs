//! From an event to many subscribers of market data.
//!
//! ```text
//!   venue   traders ─► venue ─► "market-data-feed" ─► "market-data-quic" ─► subscribers: each the whole book by price
//!   limit   due times ────────► "bare-feed"        ─► "bare-quic"        ─► as many: as many bytes in as many packets
//! ```
//!
//! Load model: open loop at the traders' side. Timed is each command that changed the market, at each subscriber: from
//! the venue's time of the event until the subscriber has the first update of it. In the limit, a packet goes out for each
//! order that is due, of as many bytes as the venue's have in the mean. The wall clock times both: the venue's time is
//! drawn to it, so that a microsecond or two of the venue's figure may be a difference of clocks.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use client::wire::market_data::{BestBidOffer, MarketByPrice, PacketHeader, PriceLevelChange, Trade};
use client::wire::message::GROUP_HEADER_LENGTH;
use client::wire::{Block, FeedLevel, JournalSequence, Message, Timestamp};
use marketdata::Update;
use venue::affinity;

use super::arguments::Arguments;
use super::bare_quic::{self, BarePublisher};
use super::link::wall_clock;
use super::orders::Orders;
use super::parts::{Part, TURNS, parts};
use super::processor_time::{Taken, Usage};
use super::progress::Progress;
use super::recorder::Recorder;
use super::result::{Report, Series};
use super::round_trip::{Side, fill};
use super::stage::Stage;
use super::traders::Traders;
use super::watchers::{Notebook, Seen, Source, Watchers};
use crate::failure::Failure;
use crate::throughput::workload::Operation;
use crate::trading::served::ServedError;

const LOAD_MODEL: &str = "open loop, from an event to each of many subscribers over QUIC";

/// Measures.
pub fn run(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    let stage = Stage::new(arguments)?;
    let parts = parts(arguments).ok_or_else(|| Failure::Usage("--mode fan-out: needs --rate".to_owned()))?;
    let orders = Orders::of(arguments, &parts);
    let mut side = Side::new(arguments);
    let (mut venue, mut bare) = (Delivered::new(arguments), Delivered::new(arguments));
    for (index, part) in parts.iter().enumerate() {
        let _bar = progress.timed(&format!("turn {} of {TURNS}", index + 1), part.phases.total() * 2);
        let prefill = if index == 0 { orders.prefill() } else { &[] };
        venue_turn(&stage, arguments, part, (prefill, orders.part(index)), &mut side, &mut venue)?;
        bare_turn(&stage, arguments, part, venue.bytes_per_packet(), &mut bare)?;
    }
    let mut report = Report::new(arguments, LOAD_MODEL);
    report.achieved_rate = Some(side.recorder.per_second());
    report.series.push(Series::timed("delivery", &venue.recorder));
    report.series.push(Series::timed("limit: QUIC", &bare.recorder));
    report.series.push(Series::timed("round trip", &side.recorder));
    report.series.push(Series::of_times("send lateness", side.tally.lateness.clone()));
    report.compare("delivery", "limit: QUIC");
    report.notes.push(("subscribers".to_owned(), f64::from(arguments.subscribers)));
    report.notes.extend(venue.notes("", side.usage.of(|name| name.starts_with("market-data"))));
    report.notes.extend(bare.notes("limit_", bare.usage.of(|name| name.starts_with("bare-"))));
    report.notes.extend(side.notes(""));
    Ok(vec![report])
}

/// What reached subscribers.
struct Delivered {
    recorder: Recorder,
    usage: Usage,
    counts: Counts,
    gaps: u64,
}

/// Of all subscribers together, warm-up and cool-down included.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    packets: u64,
    messages: u64,
    bytes: u64,
}

impl Delivered {
    fn new(arguments: &Arguments) -> Self {
        let recorder = Recorder::new(arguments.phases());
        Self { recorder, usage: Usage::default(), counts: Counts::default(), gaps: 0 }
    }

    fn add(&mut self, (page, gaps): (Page, u64)) {
        self.recorder.merge(&page.recorder);
        self.counts.packets += page.counts.packets;
        self.counts.messages += page.counts.messages;
        self.counts.bytes += page.counts.bytes;
        self.gaps += gaps;
    }

    fn bytes_per_packet(&self) -> usize {
        (self.counts.bytes / self.counts.packets.max(1)) as usize
    }

    fn notes(&self, of: &str, publisher: Taken) -> Vec<(String, f64)> {
        let Counts { packets, messages, bytes } = self.counts;
        let per = |sum: u64, count: u64| sum as f64 / count.max(1) as f64;
        let notes = [
            ("packets_delivered", packets as f64),
            ("messages_delivered", messages as f64),
            ("messages_per_packet", per(messages, packets)),
            ("bytes_per_packet", per(bytes, packets)),
            ("publisher_cpu_ns_per_packet", per(publisher.running_ns, packets)),
            ("publisher_cpu_ns_per_message", per(publisher.running_ns, messages)),
            ("gaps", self.gaps as f64),
        ];
        notes.map(|(name, number)| (format!("{of}{name}"), number)).into()
    }
}

/// What the subscribers of a turn note, on their one thread.
struct Page {
    part: Part,
    recorder: Recorder,
    counts: Counts,
    /// When the turn began, by the wall clock; what is seen before does not count.
    begun: Arc<OnceLock<Timestamp>>,
    /// The last command that each of them saw something of.
    last: Vec<Option<JournalSequence>>,
}

impl Page {
    fn new(arguments: &Arguments, part: &Part) -> Self {
        Self {
            part: part.clone(),
            recorder: Recorder::new(arguments.phases()),
            counts: Counts::default(),
            begun: Arc::default(),
            last: vec![None; arguments.subscribers as usize],
        }
    }

    fn packet(&mut self, happened_at: Timestamp) {
        let Some(begun) = self.begun.get() else { return };
        let since = |time: Timestamp| time.0.saturating_sub(begun.0);
        self.part.record(&mut self.recorder, since(happened_at), since(wall_clock()));
        self.counts.packets += 1;
    }

    fn message(&mut self, bytes: usize) {
        self.counts.messages += 1;
        self.counts.bytes += bytes as u64;
    }
}

impl Notebook for Page {
    fn note(&mut self, number: usize, seen: Seen<'_>) -> u64 {
        if self.begun.get().is_none() {
            return 0;
        }
        let (sequence, time, bytes) = match seen {
            Seen::Update(Update::Trade(trade)) => (trade.journal_sequence, trade.transact_time, Trade::FRAME_LENGTH),
            Seen::Update(Update::BestBidOffer(best)) => {
                (best.journal_sequence, best.transact_time, BestBidOffer::FRAME_LENGTH)
            }
            Seen::Update(Update::Levels(levels, changes)) => {
                let group = GROUP_HEADER_LENGTH + changes.len() * usize::from(PriceLevelChange::BLOCK_LENGTH);
                (levels.journal_sequence, levels.transact_time, MarketByPrice::FRAME_LENGTH + group)
            }
            Seen::Update(_) => return 0,
            Seen::Message(message) => {
                self.packet(Timestamp(bare_quic::key_of(message)));
                self.message(message.len());
                return 1;
            }
        };
        if sequence != std::mem::replace(&mut self.last[number], sequence) {
            self.packet(time);
            self.counts.bytes += PacketHeader::FRAME_LENGTH as u64;
        }
        self.message(bytes);
        1
    }
}

fn venue_turn(
    stage: &Stage,
    arguments: &Arguments,
    part: &Part,
    (prefill, operations): (&[Operation], &[Operation]),
    side: &mut Side,
    delivered: &mut Delivered,
) -> Result<(), Failure> {
    let up = stage.up()?;
    if !prefill.is_empty() {
        stage.clear(&up)?;
    }
    let trust = stage.access().market_data()?;
    let source = Source::Venue { address: up.market_data()?, trust, level: FeedLevel::MarketByPrice };
    let page = Page::new(arguments, part);
    let begun = Arc::clone(&page.begun);
    let watchers = stage.on_the_traders_thread(|| {
        let mut traders = Traders::new(stage.open(&up)?, stage.waiting())?;
        fill(&mut traders, prefill)?;
        // Behind what fills the book, so that there is no more than a snapshot to catch up with.
        let watchers = Watchers::start(source, arguments.subscribers as usize, page)?;
        begun.get_or_init(wall_clock);
        side.turn(&mut traders, part, operations, |_| {})?;
        Ok(watchers)
    })?;
    watchers.settle();
    delivered.add(watchers.stop()?);
    up.down()
}

fn bare_turn(
    stage: &Stage,
    arguments: &Arguments,
    part: &Part,
    message_bytes: usize,
    delivered: &mut Delivered,
) -> Result<(), Failure> {
    let publisher = BarePublisher::start(&*stage.server_config()?)?;
    let tls = stage.access().client_config().map_err(ServedError::from)?;
    let message_bytes = message_bytes.max(size_of::<u64>());
    let source = Source::Bare { address: publisher.address(), tls, message_bytes };
    let page = Page::new(arguments, part);
    let begun = Arc::clone(&page.begun);
    let watchers = Watchers::start(source, arguments.subscribers as usize, page)?;
    if !publisher.wait_for(arguments.subscribers as usize) {
        return Err(Failure::Missing("not all subscribers reached the bare publisher".to_owned()));
    }
    let before = Usage::now();
    begun.get_or_init(wall_clock);
    let feed = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("bare-feed".to_owned());
        let feed = thread.spawn_scoped(scope, || publish(&publisher, part, message_bytes));
        feed.and_then(|feed| feed.join().expect("the feed does not panic")).map_err(failed)
    })?;
    watchers.settle();
    delivered.usage.plus(&(Usage::now() - &before));
    delivered.usage.plus(&feed);
    delivered.add(watchers.stop()?);
    publisher.stop();
    Ok(())
}

/// A message whenever an order would be due, with the time as its key; what the thread took of the processors.
fn publish(publisher: &BarePublisher, part: &Part, message_bytes: usize) -> std::io::Result<Usage> {
    affinity::sleep_precisely()?;
    let (begun, begun_at) = (Instant::now(), wall_clock());
    for due_ns in part.due() {
        let left = Duration::from_nanos(due_ns).saturating_sub(begun.elapsed());
        if !left.is_zero() {
            std::thread::sleep(left);
        }
        // Due then: a feed that is behind does not hide it.
        publisher.publish(bare_quic::message(begun_at.0 + due_ns, message_bytes));
    }
    Ok(Usage::now().only("bare-feed"))
}

fn failed(error: std::io::Error) -> Failure {
    Failure::io(Path::new("the bare feed"), error)
}
