//! Subscribers over a link that loses, delays and reorders, and readers that stall: whatever happens, each ends with the
//! engine's book, and knows it.
//!
//! ```text
//!   workload ─► engine ─► event ring ─► desk ─► seat ─► room ─► outboxes ─► link ─► subscriptions
//!                  │                      └───► seat ─► witness                        │
//!                  └── what each book was at each number ◄────── compared ─────────────┘
//! ```
//!
//! One thread, one seed: desk, room, outbox and subscription are the venue's and the client's own; the link, the sockets'
//! windows and the clock are simulated.

mod audience;
mod link;
mod reader;
mod witness;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::command::{AdminNote, AdvanceTime, MassCancel, NewOrder};
use engine::{
    AccountId, Amount, Capacity, ClientOrderId, Command, Engine, Event, EventSink, InstrumentId, OnDisconnect,
    OrderFlags, OrderType, Price, Quantity, Sequenced, SessionId, Side, Stamp, TimeInForce, Timestamp,
};
use marketdata::{Clock, Feed, Limits};
use ring::{EventReader, EventRing, Idle, Publisher, Release};
use serde::Serialize;
use testkit::random::Random;
use testkit::stream::References;
use testkit::workload::{PROFILES, Workload};

pub use audience::Audience;

/// What an engine of these streams needs.
const CAPACITY: Capacity = Capacity { orders: 1 << 12, ..Capacity::SMALL };
/// Events that one command may cause before the desk takes a turn.
const EVENTS: usize = 1 << 16;
/// One step of the simulated clock.
const STEP_NS: u64 = 1_000_000;
/// Steps without faults in which everybody has to arrive.
const SETTLING_STEPS: u64 = 4_000;

/// What came to pass, so that it can be seen that something did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Seeds.
    pub seeds: u64,
    /// Commands applied.
    pub commands: u64,
    /// Books compared with the engine's at the same number.
    pub compared: u64,
    /// Books compared at the end.
    pub ended: u64,
    /// Checksums that were equal.
    pub proven: u64,
    /// Snapshots that bridged missing messages.
    pub gaps: u64,
    /// Notices of messages that were left out.
    pub notices: u64,
    /// Packets asked for again.
    pub repeated: u64,
    /// Messages that conflated packets stood for.
    pub conflated: u64,
    /// Datagrams that were lost.
    pub lost: u64,
    /// Readers closed for being slow.
    pub closed: u64,
    /// Connections.
    pub connections: u64,
    /// Trades compared.
    pub trades: u64,
    /// Orders that one command ended with others.
    pub cleared: u64,
}

impl Tally {
    /// Of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            seeds: self.seeds + other.seeds,
            commands: self.commands + other.commands,
            compared: self.compared + other.compared,
            ended: self.ended + other.ended,
            proven: self.proven + other.proven,
            gaps: self.gaps + other.gaps,
            notices: self.notices + other.notices,
            repeated: self.repeated + other.repeated,
            conflated: self.conflated + other.conflated,
            lost: self.lost + other.lost,
            closed: self.closed + other.closed,
            connections: self.connections + other.connections,
            trades: self.trades + other.trades,
            cleared: self.cleared + other.cleared,
        }
    }
}

/// What goes wrong on purpose, to see how it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// One packet in forty has other prices than the venue sent.
    OtherPrices,
}

/// Lives one seed with so many commands.
///
/// # Errors
///
/// What was not as promised.
pub fn live(seed: u64, commands: u32, fault: Fault) -> Result<Tally, String> {
    World::new(seed, fault).live(commands)
}

/// The first name of an order of a crowd: beyond those of the streams.
const CROWD: u64 = 1 << 60;

fn order(
    account: AccountId,
    instrument: InstrumentId,
    client_order_id: ClientOrderId,
    side: Side,
    price: Price,
) -> NewOrder {
    NewOrder {
        account,
        instrument,
        client_order_id,
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price,
        quantity: Quantity(1),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

struct World {
    random: Random,
    engine: Engine,
    publisher: Publisher,
    events: EventReader,
    now_ns: Arc<AtomicU64>,
    audience: Audience,
    /// Whether anything goes wrong.
    has_faults: bool,
    /// Orders of crowds so far.
    crowded: u64,
    tally: Tally,
}

impl World {
    fn new(seed: u64, fault: Fault) -> Self {
        let mut random = Random::new(seed ^ 0x5EED_FEED_0000_0001);
        let (publisher, mut readers) = EventRing::open(EVENTS, 1, Idle::Park, Release::AsPublished);
        let now_ns = Arc::new(AtomicU64::new(1_000_000_000));
        let time = Arc::clone(&now_ns);
        let clock: Clock = Arc::new(move || wire::Timestamp(time.load(Ordering::Relaxed)));
        let engine = Engine::new(CAPACITY);
        let limits = Limits {
            backlog_bytes_max: random.one_of(&[3_000, 8_000, 60_000]),
            backlog_age_max: Duration::from_millis(random.one_of(&[60, 400])),
            group_bytes_max: random.one_of(&[1_200, 4_000]),
            ..Limits::default()
        };
        let readers_count = random.between(2, 6);
        let mut audience = Audience::new(readers_count, Random::new(random.any()), fault);
        audience.open(Feed::of(&engine), limits, clock);
        Self {
            random,
            engine,
            publisher,
            events: readers.pop().expect("one was asked for"),
            now_ns,
            audience,
            has_faults: true,
            crowded: 0,
            tally: Tally { seeds: 1, ..Tally::default() },
        }
    }

    fn live(mut self, commands: u32) -> Result<Tally, String> {
        // Some are long enough for checksums between snapshots.
        let commands = if self.random.percent(10) { commands * 8 } else { commands };
        let profile = self.random.one_of(PROFILES);
        let mut workload = Workload::new(profile, self.random.any());
        let mut names = References::default();
        let mut taken = 0;
        while taken < commands {
            // Now and then many at once, which share packets.
            let burst = if self.random.percent(10) { self.random.between(2, 40) } else { 1 };
            for _ in 0..burst {
                let step = workload.next_step();
                let events = self.apply(step.at, names.resolve(&step.command));
                names.learn(step.name, &events);
                workload.observe(&step, &events);
                taken += 1;
            }
            if self.random.percent(3) {
                self.crowd_and_clear();
            }
            self.step()?;
        }
        self.settle()?;
        self.tally.commands += u64::from(taken);
        Ok(self.tally.and(self.audience.tally))
    }

    /// Many orders, and one command that ends them: more than a packet has room for.
    fn crowd_and_clear(&mut self) {
        // Of an instrument that nothing has to be held for.
        let Some(listing) = self.engine.listings().find(|listing| listing.base.is_none()).map(|it| it.instrument)
        else {
            return;
        };
        let Some(account) = self.engine.accounts().last().map(|settings| settings.account) else { return };
        let at = self.engine.last().time;
        for number in 0..self.random.between(50, 120) {
            self.crowded += 1;
            let client_order_id = ClientOrderId(CROWD + self.crowded);
            let side = Side::BOTH[(number % 2) as usize];
            let price = match side {
                Side::Buy => Price(1 + number),
                Side::Sell => Price(10_000 + number),
            };
            self.apply(at, Command::from_venue(order(account, listing, client_order_id, side, price)));
        }
        let (side, entered_by) = (None, SessionId::NONE);
        let (instrument, client_order_id, note) = (listing, ClientOrderId::NONE, AdminNote::NONE);
        let clear = MassCancel { account, instrument, side, entered_by, client_order_id, note };
        let ended = self.apply(at, Command::from_venue(clear));
        let is_cancel = |event: &&Event| matches!(event, Event::OrderCancelled(_));
        self.tally.cleared += ended.iter().filter(is_cancel).count() as u64;
    }

    /// Applies a command, behind what is due by then.
    fn apply(&mut self, at: Timestamp, command: Command) -> Vec<Event> {
        let time = self.engine.last().time.max(at);
        let due = self.engine.next_deadline();
        if due <= time && due != Timestamp::NEVER {
            self.apply_one(time, Command::from_venue(AdvanceTime {}));
        }
        self.apply_one(time, command)
    }

    fn apply_one(&mut self, time: Timestamp, value: Command) -> Vec<Event> {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time };
        let mut told = Vec::new();
        self.engine.apply(&Sequenced { stamp, value }, &mut told);
        for (header, event) in &told {
            self.publisher.event(header, event);
            self.audience.event(event);
        }
        self.publisher.complete(stamp.sequence);
        told.into_iter().map(|(_, event)| event).collect()
    }

    /// One step: the desk takes what there is, and everybody moves on.
    fn step(&mut self) -> Result<(), String> {
        self.now_ns.fetch_add(STEP_NS, Ordering::Relaxed);
        // The desk is sometimes late, so that several commands share packets.
        if !self.has_faults || self.random.percent(80) {
            self.audience.take(&mut self.events, &self.engine);
        }
        self.audience.step()
    }

    /// Nothing goes wrong any more: everybody arrives.
    fn settle(&mut self) -> Result<(), String> {
        self.has_faults = false;
        self.audience.be_good();
        for _ in 0..SETTLING_STEPS {
            self.step()?;
            if self.audience.has_arrived() {
                break;
            }
        }
        self.audience.end(&self.engine)
    }
}
