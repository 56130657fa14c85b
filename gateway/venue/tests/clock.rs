//! Clocks may lie: whatever the wall clock does, commands keep their order, time never goes back, a replay yields the same,
//! and nothing that ends at a time ends early by more than the clock was drawn.
//!
//! Each run goes through the venue's clock, sequencer, journal and engine, a step of the core every quarter of a second of
//! true time, with orders that end at a time and orders that end with the trading day. What is expected comes from true
//! time, which the clocks do not know.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use journal::{
    Appender, Both, Digest, EventDigest, Journal, Opened, Options, Reader, Sequencer, book_digest, rebuild, replay,
    state_digest,
};
use venue::clock::{Clock, TimeSource};

const SECOND: u64 = 1_000_000_000;
const STEP: u64 = SECOND / 4;
const HOUR: i64 = 3_600 * 1_000_000_000;
/// True time at the beginning.
const START: u64 = 1_700_000_000 * SECOND;
/// The most that a clock may gain or lose in a run.
const SLEW: u64 = 60 * SECOND / 1_000_000 * 500;

const BOOK: InstrumentId = InstrumentId(1);
const ACCOUNT: AccountId = AccountId(2);
const DATED: ClientOrderId = ClientOrderId(1);
const OF_THE_DAY: ClientOrderId = ClientOrderId(2);

/// True time, and what the wall clock shows at it.
#[derive(Clone)]
struct Lying {
    now: Rc<Cell<u64>>,
    wall: Lie,
}

impl TimeSource for Lying {
    fn monotonic_ns(&mut self) -> u64 {
        self.now.get() - START
    }

    fn wall_ns(&mut self) -> u64 {
        self.now.get().saturating_add_signed((self.wall)(self.now.get() - START))
    }
}

/// How far the wall clock is ahead of true time, so long after the beginning.
type Lie = fn(u64) -> i64;

const LIES: [(&str, Lie); 11] = [
    ("honest", |_| 0),
    ("an hour forward", |at| if at > 5 * SECOND { HOUR } else { 0 }),
    ("an hour back", |at| if at > 5 * SECOND { -HOUR } else { 0 }),
    ("an hour forward from the start", |_| HOUR),
    ("back and forth by an hour", |at| to_and_fro(at, HOUR)),
    ("back and forth by nine tenths of a second", |at| to_and_fro(at, 900_000_000)),
    ("frozen", |at| if at > 5 * SECOND { -i64::try_from(at - 5 * SECOND).unwrap() } else { 0 }),
    ("frozen from the start", |at| -i64::try_from(at).unwrap()),
    ("drifting ahead", |at| i64::try_from(at / 5_000).unwrap()),
    ("racing ahead", |at| i64::try_from(at / 100).unwrap()),
    ("at the epoch", |at| if at > 5 * SECOND { i64::MIN } else { 0 }),
];

/// Ahead in one second, behind in the next.
fn to_and_fro(at: u64, by: i64) -> i64 {
    if (at / SECOND).is_multiple_of(2) { by } else { -by }
}

/// A core that runs: what a venue's core thread does, with clocks that lie.
struct Core {
    journal: Journal,
    sequencer: Sequencer<Appender>,
    engine: Engine,
    digest: EventDigest,
    clock: Clock<Lying>,
    events: Vec<(EventHeader, Event)>,
    times: Vec<Timestamp>,
}

fn options(data: &Path) -> Options {
    Options { segment_bytes: 32_768, head_directory: Some(data.to_owned()), ..Options::new(Capacity::SMALL) }
}

impl Core {
    /// Recovers what is there, as a venue's start does.
    fn start(data: &Path, lying: Lying) -> Self {
        let Opened { journal, appender, .. } = Journal::open(data, &options(data)).unwrap();
        let replayed = rebuild(Reader::open(data).unwrap(), &mut (), |_| {}).unwrap();
        let last = replayed.engine.last();
        Self {
            journal,
            sequencer: Sequencer::new(appender, last),
            engine: replayed.engine,
            digest: replayed.event_digest,
            clock: Clock::with_source(lying, last.time),
            events: Vec::new(),
            times: Vec::new(),
        }
    }

    /// What the core does between two looks at its ring; gives the events.
    fn step(&mut self, bodies: Vec<CommandBody>) -> Vec<Event> {
        let now = self.clock.now();
        self.times.push(now);
        let commands: Vec<_> = bodies.into_iter().map(Command::from_venue).collect();
        let before = self.events.len();
        let mut sink = Both { first: &mut self.digest, second: &mut self.events };
        let last = match &commands[..] {
            [] => self.sequencer.tick(&mut self.engine, now, &mut sink).unwrap(),
            commands => self.sequencer.submit(&mut self.engine, now, commands, &mut sink).unwrap(),
        };
        self.digest.applied(last.sequence);
        self.digest.completed().for_each(drop);
        self.events[before..].iter().map(|(_, event)| *event).collect()
    }

    fn time(&self) -> u64 {
        self.engine.last().time.0
    }

    /// Stops in order; the digests of state and books.
    fn stop(self) -> [Digest; 2] {
        let digests = [state_digest(&self.engine), book_digest(&self.engine)];
        self.journal.close(self.sequencer.into_append(), self.digest.value()).unwrap();
        digests
    }
}

fn set_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let listing = ListInstrument {
        instrument: BOOK,
        name: Text::new("X").unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note,
    };
    let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
    vec![listing.into(), OpenAccount { account: ACCOUNT, stp_group, self_trade_prevention, fee_tier, note }.into()]
}

fn order(name: ClientOrderId, side: Side, price: u64, time_in_force: TimeInForce, expire_at: u64) -> CommandBody {
    NewOrder {
        account: ACCOUNT,
        instrument: BOOK,
        client_order_id: name,
        side,
        order_type: OrderType::Limit,
        time_in_force,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price: Price(price),
        quantity: Quantity(5),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp(expire_at),
    }
    .into()
}

/// An order that ends at `dated`, one that ends with the trading day, and the day's end at `day`.
fn what_ends(dated: u64, day: u64) -> Vec<CommandBody> {
    let end = SetCalendarEntry {
        instrument: BOOK,
        entry: 1,
        action: CalendarAction::Rollover,
        phase: None,
        at: Timestamp(day),
        repeat: Nanoseconds::NONE,
        random_end: Nanoseconds::NONE,
        note: AdminNote::NONE,
    };
    vec![
        end.into(),
        order(DATED, Side::Buy, 10, TimeInForce::GoodTillDate, dated),
        order(OF_THE_DAY, Side::Buy, 11, TimeInForce::Day, 0),
    ]
}

/// Orders that cross: at each step a buyer and a seller, who trade.
fn trading(step: u64) -> Vec<CommandBody> {
    let name = |number| ClientOrderId(100 + 2 * step + number);
    let side = |number| if number == 0 { Side::Buy } else { Side::Sell };
    let good = TimeInForce::GoodTillCancel;
    (0..2).map(|number| order(name(number), side(number), 100 + step % 3, good, 0)).collect()
}

fn ended(events: &[Event], name: ClientOrderId) -> bool {
    events.iter().any(|event| matches!(event, Event::OrderCancelled(it) if it.order.client_order_id == name))
}

/// What a run of a minute showed.
struct Ran {
    commands: Vec<Command>,
    digests: [Digest; 2],
    /// When the orders ended, in true time since the beginning.
    dated: u64,
    day: u64,
}

fn run(name: &str, wall: Lie) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let lying = Lying { now: Rc::new(Cell::new(START)), wall };
    let mut core = Core::start(folder.path(), lying.clone());
    core.step(set_up());
    let begun = core.time();
    // Off the steps by more than the clock may be drawn.
    core.step(what_ends(begun + 30 * SECOND + STEP / 2, begun + 40 * SECOND + STEP / 2));
    let (mut dated, mut day) = (None, None);
    for step in 1..=240 {
        lying.now.set(START + step * STEP);
        let bodies = if step.is_multiple_of(4) { Vec::new() } else { trading(step) };
        let events = core.step(bodies);
        let at = step * STEP;
        dated = dated.or_else(|| ended(&events, DATED).then_some(at));
        day = day.or_else(|| ended(&events, OF_THE_DAY).then_some(at));
    }
    assert!(core.times.is_sorted(), "{name}: time went back");
    let gained = (core.times.last().unwrap().0 - begun).abs_diff(60 * SECOND);
    assert!(gained <= SLEW, "{name}: the clock was drawn by {gained} ns in a minute");
    let event_digest = core.digest.value();
    let digests = core.stop();

    let read: Vec<_> = Reader::open(folder.path()).unwrap().commands().map(Result::unwrap).collect();
    assert!(read.is_sorted_by_key(|command| command.stamp.time), "{name}");
    let summary = replay(folder.path(), &mut (), |_| {}).unwrap();
    assert_eq!((summary.event_digest, [summary.state_digest, summary.book_digest]), (event_digest, digests), "{name}");
    let commands = read.iter().map(|command| command.value).map(without_times).collect();
    Ran { commands, digests, dated: dated.unwrap(), day: day.unwrap() }
}

/// The same command for venues that began at different times.
fn without_times(mut command: Command) -> Command {
    match &mut command.body {
        CommandBody::NewOrder(order) => order.expire_at = Timestamp::NONE,
        CommandBody::SetCalendarEntry(entry) => entry.at = Timestamp::NONE,
        _ => {}
    }
    command
}

#[test]
fn a_wall_clock_that_lies_changes_no_order_no_digest_and_no_end() {
    let honest = run("honest", LIES[0].1);
    for (name, wall) in LIES {
        let ran = run(name, wall);
        // The first steps behind 30 and 40 seconds and half a step; the slew is less than the other half.
        assert_eq!([ran.dated, ran.day], [30 * SECOND + STEP, 40 * SECOND + STEP], "{name}");
        assert!(ran.commands == honest.commands, "{name}: commands in another order");
        assert_eq!(ran.digests[1], honest.digests[1], "{name}: other books");
    }
}

/// A venue whose wall clock is found behind the journal's last command goes on from that command: its time does not wait,
/// does not go back, and what ends at a time has all of the time that was left.
#[test]
fn a_clock_behind_the_last_command_at_a_start_is_told_and_gone_on_from() {
    let behind: [(Lie, Option<u64>); 4] = [
        (|_| -HOUR, Some(3_600)),
        (|_| -i64::try_from(START).unwrap(), None),
        // By less than a step: drawn, and not worth a line.
        (|_| -900_000_000, Some(0)),
        (|_| 0, Some(0)),
    ];
    for (way, (wall, told)) in behind.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let lying = Lying { now: Rc::new(Cell::new(START)), wall: |_| 0 };
        let mut core = Core::start(folder.path(), lying.clone());
        core.step(set_up());
        core.step(what_ends(START + 30 * SECOND + STEP / 2, START + 40 * SECOND + STEP / 2));
        lying.now.set(START + 10 * SECOND);
        core.step(trading(1));
        let stopped_at = core.time();
        assert_eq!(stopped_at, START + 10 * SECOND);
        core.stop();

        // No time passes between stop and start, but for the wall clock's lie.
        let lying = Lying { wall, ..lying };
        let mut core = Core::start(folder.path(), lying.clone());
        let seconds = core
            .clock
            .behind_at_start()
            .map_or(Some(0), |behind| (behind < Duration::from_secs(100_000)).then_some(behind.as_secs()));
        assert_eq!(seconds, told, "way {way}");
        let mut ends = Vec::new();
        for step in 0..=160 {
            lying.now.set(START + 10 * SECOND + step * STEP);
            let events = core.step(trading(10 + step));
            assert!(core.time() >= stopped_at);
            for name in [DATED, OF_THE_DAY] {
                if ended(&events, name) {
                    ends.push(10 * SECOND + step * STEP);
                }
            }
        }
        assert_eq!(ends, [30 * SECOND + STEP, 40 * SECOND + STEP], "way {way}");
        assert_eq!(core.clock.watch().step_count(), 0, "way {way}: it was told at the start");
        let event_digest = core.digest.value();
        let digests = core.stop();
        let summary = replay(folder.path(), &mut (), |_| {}).unwrap();
        assert_eq!((summary.event_digest, [summary.state_digest, summary.book_digest]), (event_digest, digests));
    }
}

#[test]
fn what_is_told_of_a_clock_that_is_behind_is_what_the_table_of_decisions_says() {
    let decision = journal::State::ClockBehind.decision();
    assert_eq!(
        venue::clock::behind_at_start_line(Duration::from_millis(3_600_250)),
        format!("the wall clock is 3600.250 s {}; {}", decision.reported, decision.advice)
    );
}
