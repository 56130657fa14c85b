//! A door in turns, over a network in memory: one thread, no sockets, and the test's own time. What the door is given in
//! the same way, it answers in the same way.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use client::session::{News, Session};
use client::{Credentials, Options, Resume, SigningKey};
use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::{
    AccountId, AssetId, Capacity, Command, CommandBody, Engine, Event, EventHeader, EventSink, InstrumentId, KeyId,
    Nanoseconds, SelfTradePrevention, Sequence, Sequenced, SessionId, Stamp, StpGroup, Text, Timestamp,
};
use gateway::copies::CopyRange;
use gateway::history::{ReportCollector, ReportHistory, ReportRange};
use gateway::session::{FailedLogin, SessionLimits};
use gateway::transport::{Config, Door, DoorCounts, DoorParts, Found, Network, Security, TurnedAway, Watch, Workers};
use gateway::view::View;
use ring::{CommandRing, EventRing, Idle, Publisher, Release};
use wire::order_entry::{ExecutionReport, NewOrderSingle, OrderEntryMessage};
use wire::{Block, EdgeReason, ExecType, FrameDecoder, Indicator, RejectReason, TerminationCode};

const BOOK: InstrumentId = InstrumentId(1);
const ACCOUNT: AccountId = AccountId(2);
const KEY: KeyId = KeyId(1);
const START: u64 = 1_790_000_000_000_000_000;
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOTE: AdminNote = AdminNote::NONE;

// The network.

/// What is under way on a connection, and who has let go of it.
#[derive(Default)]
struct Link {
    number: usize,
    to_door: VecDeque<u8>,
    to_trader: VecDeque<u8>,
    /// Where the door has it.
    place: Option<usize>,
    trader_is_gone: bool,
    door_is_gone: bool,
}

/// What the door wrote, in order: on which link, and what.
type Written = Vec<(usize, Vec<u8>)>;

#[derive(Default)]
struct Wires {
    links: Vec<Rc<RefCell<Link>>>,
    /// Those that wait to be let in.
    arriving: VecDeque<Rc<RefCell<Link>>>,
    written: Written,
    is_closed: bool,
}

#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Wires>>);

/// The door's end of a link.
struct End {
    link: Rc<RefCell<Link>>,
    wires: Memory,
}

impl Read for End {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut link = self.link.borrow_mut();
        match link.to_door.read(bytes)? {
            0 if !link.trader_is_gone => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut link = self.link.borrow_mut();
        if link.trader_is_gone {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.wires.0.borrow_mut().written.push((link.number, bytes.to_vec()));
        link.to_trader.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut link = self.link.borrow_mut();
        (link.door_is_gone, link.place) = (true, None);
    }
}

impl Network for Memory {
    type Stream = End;

    fn accept(&mut self) -> io::Result<(End, IpAddr)> {
        let link = self.0.borrow_mut().arriving.pop_front().ok_or(ErrorKind::WouldBlock)?;
        Ok((End { link, wires: self.clone() }, LOCAL))
    }

    fn register(&mut self, stream: &mut End, place: usize) -> io::Result<()> {
        stream.link.borrow_mut().place = Some(place);
        Ok(())
    }

    fn release(&mut self, stream: End) {
        drop(stream);
    }

    fn stop_listening(&mut self) {
        self.0.borrow_mut().is_closed = true;
    }
}

impl Memory {
    fn connect(&self) -> Rc<RefCell<Link>> {
        let mut wires = self.0.borrow_mut();
        let link = Rc::new(RefCell::new(Link { number: wires.links.len(), ..Link::default() }));
        wires.links.push(Rc::clone(&link));
        wires.arriving.push_back(Rc::clone(&link));
        link
    }

    fn found(&self) -> Vec<Found> {
        let wires = self.0.borrow();
        let listener = (!wires.arriving.is_empty()).then_some(Found::Listener);
        let connections = wires.links.iter().filter_map(|link| {
            let link = link.borrow();
            let (readable, ended) = (!link.to_door.is_empty(), link.trader_is_gone);
            link.place.map(|place| Found::Connection { place, readable, writable: true, ended })
        });
        listener.into_iter().chain(connections).collect()
    }
}

// The venue.

/// Work that is done when the test says so.
#[derive(Default)]
struct Later(Mutex<VecDeque<Box<dyn FnOnce() + Send>>>);

impl Workers for Later {
    fn start(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.0.lock().unwrap().push_back(work);
        Ok(())
    }
}

impl Later {
    /// Does what waits; how much that was.
    fn work(&self) -> usize {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap());
        waiting.into_iter().map(|work| work()).count()
    }
}

/// All events since the beginning.
#[derive(Default)]
struct Past(Mutex<Vec<(EventHeader, Event)>>);

impl ReportHistory for Past {
    fn reports(&self, range: &ReportRange, _: Sequence) -> io::Result<Vec<(EventHeader, Event)>> {
        let mut collector = ReportCollector::new(*range);
        self.0.lock().unwrap().iter().for_each(|(header, event)| collector.event(header, event));
        Ok(collector.into_found())
    }

    fn copies(&self, _: &CopyRange, _: Sequence) -> io::Result<Vec<(EventHeader, Event)>> {
        panic!("nobody reads copies");
    }
}

/// What the door has told whoever watches.
#[derive(Default)]
struct Seen {
    refused: Mutex<Vec<RejectReason>>,
    ended: Mutex<Vec<TerminationCode>>,
}

impl Watch for Seen {
    fn login_failed(&self, _: &FailedLogin) {}

    fn turned_away(&self, _: IpAddr, _: TurnedAway) {}

    fn refused(&self, reason: RejectReason) {
        self.refused.lock().unwrap().push(reason);
    }

    fn ended(&self, code: TerminationCode) {
        self.ended.lock().unwrap().push(code);
    }
}

struct World {
    counts: Arc<DoorCounts>,
    seen: Arc<Seen>,
    now: Arc<AtomicU64>,
    engine: Engine,
    past: Arc<Past>,
    /// What the core has applied.
    applied: Vec<Command>,
    publisher: Publisher,
    commands: Arc<CommandRing>,
    network: Memory,
    workers: Arc<Later>,
    stop: Arc<AtomicBool>,
    door: Door<Memory>,
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn set_up() -> Vec<CommandBody> {
    let listing = ListInstrument {
        instrument: BOOK,
        name: Text::new("X").unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: engine::Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: NOTE,
    };
    let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
    let public_key = signing_key().verifying_key().to_bytes();
    vec![
        listing.into(),
        OpenAccount { account: ACCOUNT, stp_group, self_trade_prevention, fee_tier, note: NOTE }.into(),
        AddKey { key: KEY, kind: KeyKind::Ed25519, public_key, note: NOTE }.into(),
        GrantRole { key: KEY, role: Role::Trader, account: ACCOUNT, note: NOTE }.into(),
    ]
}

impl World {
    fn new() -> Self {
        let mut engine = Engine::new(Capacity::SMALL);
        for value in set_up().into_iter().map(Command::from_venue) {
            let stamp = Stamp { sequence: engine.last().sequence.next(), time: Timestamp(START) };
            engine.apply(&Sequenced { stamp, value }, &mut Vec::new());
        }
        Self::of(engine, Arc::new(AtomicU64::new(START)), Arc::default())
    }

    /// A venue that begins with this engine.
    fn of(engine: Engine, now: Arc<AtomicU64>, past: Arc<Past>) -> Self {
        let commands = Arc::new(CommandRing::new(16, Idle::Park));
        let (publisher, mut readers) = EventRing::open(256, 1, Idle::Park, Release::AsPublished);
        let (network, workers, stop) = (Memory::default(), Arc::<Later>::default(), Arc::<AtomicBool>::default());
        let clock = Arc::clone(&now);
        let listen = SocketAddr::from((LOCAL, 0));
        let (counts, seen) = (Arc::<DoorCounts>::default(), Arc::<Seen>::default());
        let config = Config {
            counts: Arc::clone(&counts),
            watch: seen.clone(),
            ..Config::new(listen, Security::PlainLoopback, move || Timestamp(clock.load(Ordering::Relaxed)))
        };
        let door = Door::new(DoorParts {
            config,
            network: network.clone(),
            commands: Arc::clone(&commands),
            events: readers.pop().unwrap(),
            view: View::of(&engine),
            reports: Arc::clone(&past) as _,
            workers: Arc::clone(&workers) as _,
            stop: Arc::clone(&stop),
            hops: None,
        });
        Self { counts, seen, now, engine, past, applied: Vec::new(), publisher, commands, network, workers, stop, door }
    }

    /// The venue is killed, with all that is under way, and begins again.
    fn restart(self) -> Self {
        let Self { now, engine, past, .. } = self;
        Self::of(engine, now, past)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn turn(&mut self) {
        self.now.fetch_add(1_000, Ordering::Relaxed);
        self.door.turn(self.network.found());
    }

    /// The core applies what is there; how much that was.
    fn core(&mut self) -> usize {
        let mut batch = Vec::new();
        self.commands.take(&mut batch, 16);
        batch.iter().for_each(|&command| self.apply(command));
        batch.len()
    }

    fn apply(&mut self, value: Command) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.now() };
        let mut events: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value }, &mut events);
        events.iter().for_each(|(header, event)| self.publisher.event(header, event));
        self.publisher.complete(stamp.sequence);
        self.past.0.lock().unwrap().extend(events);
        self.applied.push(value);
    }

    /// Until nobody has anything to say any more.
    fn settle(&mut self, traders: &mut [&mut Trader]) {
        for _ in 0..100 {
            let said: usize = traders.iter_mut().map(|trader| trader.say()).sum();
            self.turn();
            let applied = self.core();
            let heard: usize = traders.iter_mut().map(|trader| trader.hear(self.now())).sum();
            if said + applied + heard == 0 && self.door.next_deadline() > self.now() {
                return;
            }
        }
        panic!("there is no end of it");
    }

    /// A trader whose session opens.
    fn log_in(&mut self, session: u32, resume: Option<Resume>) -> Trader {
        let mut trader = Trader::connect(self, session, resume);
        self.settle(&mut [&mut trader]);
        assert!(trader.is_open, "session {session}");
        trader
    }

    /// The ends of sessions that the core was told of.
    fn disconnects(&self) -> Vec<(SessionId, DisconnectReason)> {
        let told = self.applied.iter().filter_map(|command| match command.body {
            CommandBody::Disconnect(disconnect) => Some((command.header.session, disconnect.reason)),
            _ => None,
        });
        told.collect()
    }
}

// The trader.

struct Trader {
    session: Session,
    decoder: FrameDecoder<1024>,
    link: Rc<RefCell<Link>>,
    is_open: bool,
    reports: Vec<ExecutionReport>,
    ended: Option<TerminationCode>,
}

impl Trader {
    fn connect(world: &World, session: u32, resume: Option<Resume>) -> Self {
        let now = wire::Timestamp::from(world.now());
        let credentials =
            Credentials { session: SessionId(session).into(), key: KEY.into(), signing_key: signing_key() };
        let resume = resume.unwrap_or(Resume::Anew(wire::SessionVersion(now.0)));
        Self {
            session: Session::new(credentials, Options::DEFAULT, resume, now),
            decoder: FrameDecoder::new(),
            link: world.network.connect(),
            is_open: false,
            reports: Vec::new(),
            ended: None,
        }
    }

    /// Bytes set out for the door; how many.
    fn say(&mut self) -> usize {
        let bytes = self.session.take_out();
        self.link.borrow_mut().to_door.extend(&bytes);
        bytes.len()
    }

    /// Takes in what the door wrote; how many bytes.
    fn hear(&mut self, now: Timestamp) -> usize {
        let bytes: Vec<u8> = self.link.borrow_mut().to_trader.drain(..).collect();
        for byte in &bytes {
            self.decoder.push(&[*byte]);
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                self.session.frame(frame, now.into()).unwrap();
            }
        }
        while let Some(news) = self.session.next_news() {
            match news {
                News::Opened(_) => self.is_open = true,
                News::Message(OrderEntryMessage::ExecutionReport(report)) => self.reports.push(report),
                News::Message(_) => {}
                News::Ended(code) => self.ended = Some(code),
                News::NotApplied(..) | News::Lost(_) | News::Refused(_) => panic!("{news:?}"),
            }
        }
        bytes.len()
    }

    fn send_order(&mut self, name: u64, now: Timestamp) {
        let order = NewOrderSingle {
            account: ACCOUNT.into(),
            security_id: BOOK.into(),
            client_order_id: Some(wire::ClientOrderId(name)),
            price: Some(wire::Price(100)),
            order_quantity: Some(wire::Quantity(5)),
            side: wire::Side::Buy,
            order_type: wire::OrderType::Limit,
            time_in_force: wire::TimeInForce::GoodTillCancel,
            on_disconnect: wire::OnDisconnect::AsSession,
            ..NewOrderSingle::BLANK
        };
        self.session.send(&order, now.into());
    }

    /// What the reports say, of which orders, and whether they come again.
    fn told(&self) -> Vec<(ExecType, u64, Indicator)> {
        let told = |it: &ExecutionReport| (it.exec_type, it.client_order_id.unwrap().0, it.possible_duplicate);
        self.reports.iter().map(told).collect()
    }

    fn cut(&self) {
        self.link.borrow_mut().trader_is_gone = true;
    }
}

#[test]
fn an_order_is_reported_and_a_cut_connection_ends_its_session() {
    let mut world = World::new();
    let mut trader = world.log_in(1, None);
    trader.send_order(7, world.now());
    world.settle(&mut [&mut trader]);
    assert_eq!(trader.told(), [(ExecType::New, 7, Indicator::No)]);
    assert_eq!(world.disconnects(), []);
    trader.cut();
    world.settle(&mut []);
    assert_eq!(world.disconnects(), [(SessionId(1), DisconnectReason::ConnectionLost)]);
    assert!(trader.link.borrow().door_is_gone);
}

#[test]
fn reports_are_sent_again_when_a_worker_has_found_them_and_no_sooner() {
    let mut world = World::new();
    let mut trader = world.log_in(1, None);
    let resume = trader.session.resume();
    trader.send_order(7, world.now());
    trader.say();
    world.turn();
    world.core();
    // The report does not arrive any more.
    trader.cut();
    world.settle(&mut []);
    let mut trader = world.log_in(1, Some(resume));
    assert_eq!(trader.told(), []);
    assert_eq!(world.workers.work(), 1);
    assert!(world.door.next_deadline() <= world.now());
    world.settle(&mut [&mut trader]);
    assert_eq!(trader.told(), [(ExecType::New, 7, Indicator::Yes)]);
    assert_eq!(world.workers.work(), 0);
}

#[test]
fn who_says_nothing_is_sent_away_when_the_door_said_that_it_would_look() {
    let mut world = World::new();
    assert_eq!(world.door.next_deadline(), Timestamp::NEVER);
    let link = world.network.connect();
    world.turn();
    let deadline = world.now().after(SessionLimits::DEFAULT.login_time_max);
    assert_eq!(world.door.next_deadline(), deadline);
    world.now.store(deadline.0 - 1, Ordering::Relaxed);
    world.door.turn([]);
    assert!(!link.borrow().door_is_gone);
    world.now.store(deadline.0, Ordering::Relaxed);
    world.door.turn([]);
    assert!(link.borrow().door_is_gone);
    assert_eq!(world.commands.waiting(), 0);
}

#[test]
fn a_door_that_stops_ends_every_session_and_is_done() {
    let mut world = World::new();
    let mut traders = [1, 2].map(|session| world.log_in(session, None));
    world.stop.store(true, Ordering::Relaxed);
    world.settle(&mut traders.each_mut());
    let stopped = |session| (SessionId(session), DisconnectReason::VenueStopped);
    assert_eq!(world.disconnects(), [stopped(1), stopped(2)]);
    assert!(traders.iter().all(|trader| trader.ended == Some(TerminationCode::VenueStopped)));
    assert!(world.door.is_done() && world.network.0.borrow().is_closed);
}

#[test]
fn connections_reports_and_what_never_comes_to_the_core_are_counted() {
    let mut world = World::new();
    let attendance = |world: &World| {
        let present = world.counts.connections().filter(|&(_, count)| count > 0);
        present.map(|(state, count)| (state.name(), count)).collect::<Vec<_>>()
    };
    assert_eq!(attendance(&world), []);
    let stranger = world.network.connect();
    let mut trader = Trader::connect(&world, 1, None);
    trader.say();
    // Comes in, and is heard.
    world.turn();
    world.turn();
    assert_eq!(attendance(&world), [("connected", 1), ("negotiating", 1)]);
    world.settle(&mut [&mut trader]);
    assert_eq!(attendance(&world), [("connected", 1), ("established", 1)]);
    assert_eq!((world.counts.reports(), world.counts.backlog_bytes()), (0, 0));
    trader.send_order(7, world.now());
    world.settle(&mut [&mut trader]);
    assert_eq!((world.counts.reports(), world.counts.backlog_bytes()), (1, 0));
    // The ring is full but for what reduces risk.
    while world.commands.submit(Command::from_venue(AdvanceTime {})).is_ok() {}
    trader.send_order(8, world.now());
    trader.say();
    world.turn();
    assert_eq!(*world.seen.refused.lock().unwrap(), [EdgeReason::Busy.into()]);
    assert_eq!((world.counts.reports(), world.commands.refused()), (1, 2));
    world.core();
    stranger.borrow_mut().trader_is_gone = true;
    world.turn();
    world.settle(&mut []);
    assert_eq!(attendance(&world), [("established", 1)]);
    assert_eq!(*world.seen.ended.lock().unwrap(), [TerminationCode::ConnectionLost]);
    world.stop.store(true, Ordering::Relaxed);
    world.settle(&mut [&mut trader]);
    assert_eq!(attendance(&world), []);
    let ended = [TerminationCode::ConnectionLost, TerminationCode::VenueStopped];
    assert_eq!(*world.seen.ended.lock().unwrap(), ended);
}

#[test]
fn sessions_that_an_earlier_run_left_open_are_disconnected_first() {
    let mut world = World::new();
    for session in [1, 2] {
        world.log_in(session, None);
    }
    let mut world = world.restart();
    assert_eq!(world.core(), 2);
    let stopped = |session| (SessionId(session), DisconnectReason::VenueStopped);
    assert_eq!(world.disconnects(), [stopped(1), stopped(2)]);
    world.log_in(1, None);
}

/// In the order of their coming.
const SESSIONS: [u32; 8] = [5, 3, 8, 1, 7, 2, 6, 4];

/// Sessions of one key that are told of a halt, and ended with the key.
fn story() -> (Vec<Command>, Written) {
    let mut world = World::new();
    let mut traders = SESSIONS.map(|session| world.log_in(session, None));
    let halt = SetPhase { instrument: BOOK, phase: Phase::Halted, note: NOTE };
    let revocation = RevokeKey { key: KEY, note: NOTE };
    for body in [CommandBody::from(halt), revocation.into()] {
        world.apply(Command::from_venue(body));
        world.settle(&mut traders.each_mut());
    }
    assert!(traders.iter().all(|trader| trader.ended == Some(TerminationCode::KeyRevoked)));
    world.now.fetch_add(Nanoseconds(1_000_000_000).0, Ordering::Relaxed);
    world.settle(&mut []);
    let written = std::mem::take(&mut world.network.0.borrow_mut().written);
    (world.applied, written)
}

#[test]
fn the_same_inputs_are_answered_with_the_same_commands_and_bytes_in_the_same_order() {
    let (applied, written) = story();
    assert!((0..5).all(|_| story() == (applied.clone(), written.clone())));
    // Those who are told are told in the order of their sessions.
    let told: Vec<u32> = written[written.len() - 8..].iter().map(|&(link, _)| SESSIONS[link]).collect();
    assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8]);
}
