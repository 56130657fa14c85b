//! Both sides of a session over links that fail, without sockets or threads: one seed, one run.
//!
//! TCP loses by cutting: a connection breaks at any byte, stalls, or ends on one side alone, so that what it still holds
//! arrives when the trader has opened another. The venue is killed at any point, and what its core has not taken by then
//! is gone. Whatever happens, every command is applied once or not at all, the trader is told which, and in the end both
//! sides know the same orders.
//!
//! `RIALTO_LINK_SEEDS=FROM..UNTIL` runs other seeds than the first 200.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use client::recovery::{Attempt, Heard, Recovery};
use client::request::Command as Request;
use client::session::Session as ClientSession;
use client::wire::order_entry::{
    ExecutionReport, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage,
    OrderMassActionRequest,
};
use client::{ConnectError, Credentials, Login, Options, Policy, Resume, SigningKey, Start, TraderNews};
use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use gateway::egress::{self, Outgoing, Recipient, Sending};
use gateway::history::{ReportCollector, ReportRange};
use gateway::session::{Action, Input, Session, SessionLimits, State};
use gateway::view::View;
use wire::{Block, Durability, ExecType, FrameDecoder, Indicator};

const BOOK: InstrumentId = InstrumentId(1);
const ACCOUNT: AccountId = AccountId(2);
const SESSION: SessionId = SessionId(1);
const COMMANDS: usize = 60;
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// The venue's side of one connection, and what is under way on it.
struct Connection {
    session: Session,
    decoder: FrameDecoder<1024>,
    to_venue: VecDeque<u8>,
    to_trader: VecDeque<u8>,
    /// The trader still holds the other end.
    has_trader: bool,
}

/// The trader's side of the present connection.
struct Trader {
    session: ClientSession,
    decoder: FrameDecoder<1024>,
    connection: usize,
}

/// What became of a command, as its trader was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    NotApplied,
}

/// What the trader knows of an order: its side, and what is open of it.
type Known = (wire::Side, i64);

struct World {
    random: Random,
    now: Timestamp,
    // The venue.
    engine: Engine,
    history: Vec<(EventHeader, Event)>,
    /// Commands that the core has not taken: a kill loses them.
    ring: VecDeque<Command>,
    view: View,
    connections: Vec<Connection>,
    /// Whose logins are in the ring.
    waiting: VecDeque<(usize, Option<Establish>)>,
    /// Who speaks for the session.
    open: Option<(usize, Option<Establish>)>,
    // The trader.
    options: Options,
    recovery: Recovery,
    trader: Option<Trader>,
    is_open: bool,
    sent: BTreeMap<u64, Request>,
    fates: BTreeMap<u64, Fate>,
    orders: BTreeMap<u64, Known>,
    accepted: BTreeSet<u64>,
    last_report: u64,
    kills: u64,
    cuts: u64,
}

fn credentials() -> Credentials {
    let signing_key = SigningKey::from_bytes(&[3; 32]);
    Credentials { session: SESSION.into(), key: wire::KeyId(1), signing_key }
}

fn set_up() -> Vec<CommandBody> {
    let (key, note) = (KeyId(1), AdminNote::NONE);
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
    let public_key = credentials().signing_key.verifying_key().to_bytes();
    vec![
        listing.into(),
        OpenAccount { account: ACCOUNT, stp_group, self_trade_prevention, fee_tier, note }.into(),
        AddKey { key, kind: engine::command::KeyKind::Ed25519, public_key, note }.into(),
        GrantRole { key, role: Role::Trader, account: ACCOUNT, note }.into(),
    ]
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let cancel_on_disconnect = [wire::CancelOnDisconnect::Keep, wire::CancelOnDisconnect::Cancel][random.below(2)];
        let options = Options { cancel_on_disconnect, ..Options::DEFAULT };
        // Now and then orders are too old to be sent again.
        let resend_within = std::time::Duration::from_millis([5, 30_000][random.below(2)]);
        let policy = Policy { resend_within, ..Policy::DEFAULT };
        let mut world = Self {
            random,
            now: Timestamp(1_790_000_000_000_000_000),
            engine: Engine::new(Capacity::SMALL),
            history: Vec::new(),
            ring: VecDeque::new(),
            view: View::default(),
            connections: Vec::new(),
            waiting: VecDeque::new(),
            open: None,
            options,
            recovery: Recovery::new(SESSION.into(), Start::Anew, policy, seed),
            trader: None,
            is_open: false,
            sent: BTreeMap::new(),
            fates: BTreeMap::new(),
            orders: BTreeMap::new(),
            accepted: BTreeSet::new(),
            last_report: 0,
            kills: 0,
            cuts: 0,
        };
        set_up().into_iter().for_each(|body| world.apply(Command::from_venue(body)));
        world
    }

    // The venue.

    /// The core applies a command, and its events find their way.
    fn apply(&mut self, command: Command) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.now };
        let mut events: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: command }, &mut events);
        for (header, event) in events {
            self.history.push((header, event));
            self.view.apply(&header, &event);
            self.route(&event);
            for outgoing in self.outgoing(&header, &event, Indicator::No) {
                let Some((speaker, _)) = self.open else { continue };
                let connection = &mut self.connections[speaker];
                if connection.session.report(outgoing.number, self.now) {
                    connection.to_trader.extend(outgoing.frame.iter());
                }
            }
        }
    }

    fn route(&mut self, event: &Event) {
        match event {
            Event::SessionNegotiated(_) | Event::SessionDisconnected(_) => {
                if let Some((speaker, _)) = self.open.take() {
                    self.hear(speaker, Input::Core(event));
                }
                if let Event::SessionNegotiated(_) = event
                    && let Some((waiting, _)) = self.waiting.pop_front()
                {
                    self.hear(waiting, Input::Core(event));
                }
            }
            Event::SessionEstablished(_) => {
                self.open = self.waiting.pop_front();
                if let Some((speaker, _)) = self.open {
                    self.hear(speaker, Input::Core(event));
                }
            }
            Event::SessionRejected(rejected) if rejected.response_to != CommandKind::Disconnect => {
                if let Some((waiting, _)) = self.waiting.pop_front() {
                    self.hear(waiting, Input::Core(event));
                }
            }
            _ => {}
        }
    }

    fn outgoing(&self, header: &EventHeader, event: &Event, possible_duplicate: Indicator) -> Vec<Outgoing> {
        let sending = Sending { durability: Durability::Synced, possible_duplicate };
        let mut found = Vec::new();
        egress::messages(header, event, &self.view, sending, &mut found);
        found.retain(|outgoing: &Outgoing| {
            matches!(outgoing.recipient, Recipient::Session(SESSION) | Recipient::Everybody)
        });
        found
    }

    fn hear(&mut self, connection: usize, input: Input<'_>) {
        let mut actions = Vec::new();
        self.connections[connection].session.handle(input, self.now, &mut self.view, &mut actions);
        for action in actions {
            match action {
                Action::Submit(command) => self.submit(connection, command),
                Action::Send(frame) => self.connections[connection].to_trader.extend(frame.iter()),
                Action::RequestReports { version, from, count } => self.recover(connection, version, from, count),
                // Only what was garbled asks.
                Action::RequestCopies(_) | Action::Answer(_) | Action::Record(_) | Action::Close(_) => {}
            }
        }
    }

    /// As the gateway does: who proves the key of an open session takes it over, and only who speaks for it ends it.
    fn submit(&mut self, connection: usize, command: Command) {
        match command.body {
            CommandBody::Disconnect(_) => {
                if self.open.is_none_or(|(speaker, _)| speaker != connection) {
                    return;
                }
                self.open = None;
            }
            CommandBody::Negotiate(_) => self.waiting.push_back((connection, None)),
            CommandBody::Establish(later) => {
                let yields = |opening: &Establish| later.version == opening.version && later.nonce > opening.nonce;
                if let Some((before, _)) = self.open.take_if(|(_, opening)| opening.as_ref().is_some_and(yields)) {
                    self.hear(before, Input::Ended(wire::TerminationCode::Replaced));
                    let body = Disconnect { version: later.version, reason: DisconnectReason::Replaced }.into();
                    self.ring.push_back(Command { header: command.header, body });
                }
                self.waiting.push_back((connection, Some(later)));
            }
            _ => {}
        }
        self.ring.push_back(command);
    }

    fn recover(&mut self, connection: usize, version: SessionVersion, from: SessionSequence, count: u64) {
        let range = ReportRange { session: SESSION, version, from, count };
        let mut collector = ReportCollector::new(range);
        self.history.iter().for_each(|(header, event)| collector.event(header, event));
        let found = collector.into_found();
        let again = found.iter().flat_map(|(header, event)| self.outgoing(header, event, Indicator::Yes));
        let mut again: Vec<Outgoing> =
            again.filter(|outgoing| outgoing.number.is_some_and(|number| range.contains(number))).collect();
        again.sort_by_key(|outgoing| outgoing.number);
        assert_eq!(again.len() as u64, count);
        let frames = again.into_iter().map(|outgoing| outgoing.frame).collect();
        self.hear(connection, Input::Recovered(Ok(frames)));
    }

    /// Some bytes reach the venue.
    fn arrive(&mut self, connection: usize, most: usize) {
        for _ in 0..most {
            let Connection { session, decoder, to_venue, .. } = &mut self.connections[connection];
            if session.state() == State::Closing {
                return to_venue.clear();
            }
            let Some(byte) = to_venue.pop_front() else { break };
            decoder.push(&[byte]);
            let mut decoder = decoder.clone();
            match decoder.next_frame() {
                Ok(Some(frame)) => self.hear(connection, Input::Frame(frame)),
                Ok(None) => {}
                Err(_) => self.hear(connection, Input::NoFrame),
            }
            self.connections[connection].decoder = decoder;
        }
        let Connection { to_venue, has_trader, .. } = &self.connections[connection];
        if to_venue.is_empty() && !has_trader && self.random.below(4) == 0 {
            self.hear(connection, Input::Closed);
        }
    }

    /// The venue's process is gone, and another begins with what was journalled.
    fn kill(&mut self) {
        self.kills += 1;
        self.lose_connection();
        (self.ring, self.waiting, self.open) = (VecDeque::new(), VecDeque::new(), None);
        self.connections.clear();
        self.view = View::of(&self.engine);
        for open in self.view.take_left_open() {
            let header = CommandHeader { session: open.session, ..CommandHeader::VENUE };
            let body = Disconnect { version: open.version, reason: DisconnectReason::VenueStopped }.into();
            self.apply(Command { header, body });
        }
    }

    // The trader.

    fn connect(&mut self) {
        match self.recovery.attempt(self.now.into()) {
            Attempt::Wait(due) => self.now = due.into(),
            Attempt::Connect(resume) => {
                let session = ClientSession::new(credentials(), self.options, resume, self.now.into());
                let connection = self.connections.len();
                self.connections.push(Connection {
                    session: Session::new(SessionLimits::UNTHROTTLED, ADDRESS, self.now),
                    decoder: FrameDecoder::new(),
                    to_venue: VecDeque::new(),
                    to_trader: VecDeque::new(),
                    has_trader: true,
                });
                self.trader = Some(Trader { session, decoder: FrameDecoder::new(), connection });
            }
        }
    }

    /// The trader's end breaks; a part of what was said is still under way.
    fn cut(&mut self) {
        self.cuts += 1;
        if let Some(connection) = self.lose_connection() {
            let bytes = &mut self.connections[connection].to_venue;
            let left = self.random.below(bytes.len() + 1);
            bytes.truncate(left);
        }
    }

    fn lose_connection(&mut self) -> Option<usize> {
        let Trader { mut session, connection, .. } = self.trader.take()?;
        let end = &mut self.connections[connection];
        end.to_venue.extend(session.take_out());
        end.has_trader = false;
        let error = || client::Error::Io(io::ErrorKind::ConnectionReset.into());
        match std::mem::take(&mut self.is_open) {
            true => self.recovery.lost(ConnectError::Connection(error()), self.now.into()).unwrap(),
            false => self.recovery.failed(ConnectError::Connection(error()), self.now.into()).unwrap(),
        }
        self.learn();
        Some(connection)
    }

    /// Some bytes reach the trader, who looks at some of what they say.
    fn deliver(&mut self, most: usize, looks: usize) {
        let Some(trader) = &mut self.trader else { return };
        let Trader { session, decoder, connection } = trader;
        let end = &mut self.connections[*connection];
        for byte in end.to_trader.drain(..most.min(end.to_trader.len())) {
            decoder.push(&[byte]);
            while let Some(frame) = decoder.next_frame().unwrap() {
                session.frame(frame, self.now.into()).unwrap();
            }
        }
        for _ in 0..looks {
            let Some(news) = session.next_news() else { break };
            if let client::session::News::Opened(_) = news {
                self.is_open = true;
            }
            match self.recovery.hear(news, session, self.now.into()).unwrap() {
                Heard::Open => {}
                Heard::Over => {
                    end.has_trader = false;
                    end.to_venue.extend(session.take_out());
                    (self.trader, self.is_open) = (None, false);
                    break;
                }
            }
        }
        self.learn();
    }

    fn learn(&mut self) {
        while let Some(news) = self.recovery.next_news() {
            match news {
                TraderNews::Message(OrderEntryMessage::ExecutionReport(report)) => {
                    self.number(report.report_number);
                    self.answered(report.answered_sequence);
                    self.execution(&report);
                }
                TraderNews::Message(OrderEntryMessage::OrderCancelReject(reject)) => {
                    self.number(reject.report_number);
                    self.answered(reject.answered_sequence);
                }
                TraderNews::Message(OrderEntryMessage::OrderMassActionReport(report)) => {
                    self.number(report.report_number);
                    self.answered(report.answered_sequence);
                }
                TraderNews::Message(OrderEntryMessage::BusinessMessageReject(reject)) => {
                    self.answered(reject.answered_sequence);
                }
                TraderNews::Message(
                    OrderEntryMessage::AssetDefinition(_) | OrderEntryMessage::SecurityDefinition(_),
                ) => {}
                TraderNews::NotApplied(number, command) => {
                    assert_eq!(self.sent.get(&number.0), Some(&command), "command {number}");
                    assert_eq!(self.fates.insert(number.0, Fate::NotApplied), None, "command {number}");
                }
                TraderNews::Opened(opening) => {
                    assert_ne!(opening.login, Login::Anew);
                    assert_eq!(opening.forgotten.0, 0);
                }
                TraderNews::CaughtUp | TraderNews::Disconnected(_) => {}
                TraderNews::Message(_) | TraderNews::Unknown(..) | TraderNews::Lost(_) => panic!("{news:?}"),
            }
        }
    }

    /// Every report comes once, in order.
    fn number(&mut self, number: Option<wire::SessionSequence>) {
        self.last_report += 1;
        assert_eq!(number.map(|number| number.0), Some(self.last_report));
    }

    fn answered(&mut self, number: Option<wire::SessionSequence>) {
        if let Some(number) = number {
            assert!(self.sent.contains_key(&number.0), "command {number} was never sent");
            assert_ne!(self.fates.insert(number.0, Fate::Answered), Some(Fate::NotApplied), "command {number}");
        }
    }

    fn execution(&mut self, report: &ExecutionReport) {
        let name = report.client_order_id.unwrap().0;
        match report.exec_type {
            ExecType::New => {
                assert!(self.accepted.insert(name), "order {name} was accepted twice");
                self.orders.insert(name, (report.side.unwrap(), report.leaves_quantity.0));
            }
            ExecType::Replaced | ExecType::Trade if report.leaves_quantity.0 > 0 => {
                self.orders.insert(name, (report.side.unwrap(), report.leaves_quantity.0));
            }
            ExecType::Trade | ExecType::Cancelled => {
                self.orders.remove(&name);
            }
            ExecType::Rejected => {}
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self) {
        let name = self.sent.len() as u64 + 1;
        let known = self.orders.keys().nth(self.random.below(self.orders.len().max(1))).copied();
        let target = Some(wire::ClientOrderId(known.unwrap_or(name)));
        let quantity = Some(wire::Quantity(1 + self.random.below(5) as i64));
        match self.random.below(20) {
            0 => {
                let action = wire::MassActionType::CancelOrders;
                self.send_one(OrderMassActionRequest {
                    account: Some(ACCOUNT.into()),
                    action,
                    ..OrderMassActionRequest::BLANK
                });
            }
            1..5 => self.send_one(OrderCancelRequest {
                account: ACCOUNT.into(),
                original_client_order_id: target,
                ..OrderCancelRequest::BLANK
            }),
            5..8 => self.send_one(OrderCancelReplaceRequest {
                account: ACCOUNT.into(),
                original_client_order_id: target,
                order_quantity: quantity.map(|quantity| wire::Quantity(quantity.0 + 10)),
                ..OrderCancelReplaceRequest::BLANK
            }),
            kind => {
                let sides = [wire::Side::Buy, wire::Side::Sell];
                // One in some is refused at the edge, where it has no report that would come again.
                let side = if kind == 8 { wire::Side::NonRepresentable } else { sides[self.random.below(2)] };
                let price = Some(wire::Price(95 + self.random.below(11) as i64));
                self.send_one(NewOrderSingle {
                    account: ACCOUNT.into(),
                    security_id: BOOK.into(),
                    client_order_id: Some(wire::ClientOrderId(name)),
                    price,
                    order_quantity: quantity,
                    side,
                    order_type: wire::OrderType::Limit,
                    time_in_force: wire::TimeInForce::GoodTillCancel,
                    on_disconnect: wire::OnDisconnect::AsSession,
                    ..NewOrderSingle::BLANK
                });
            }
        }
    }

    fn send_one<M: client::request::CommandMessage>(&mut self, message: M) {
        let Some(trader) = &mut self.trader else { return };
        let number = self.recovery.send(&message, &mut trader.session, self.now.into()).unwrap();
        assert_eq!(self.sent.insert(number.0, message.into()), None, "number {number} was used before");
    }

    // Everything.

    fn step(&mut self) {
        self.now.0 += 1_000_000;
        self.keep_time();
        match self.random.below(100) {
            0..3 => self.cut(),
            3 => self.kill(),
            4..30 if self.is_open && self.sent.len() < COMMANDS => self.send(),
            4..50 => {
                let most = self.random.below(4);
                self.work(most);
            }
            50..75 => {
                let (most, looks) = (self.random.below(900), self.random.below(5));
                self.deliver(most, looks);
            }
            _ => self.carry(),
        }
        if self.trader.is_none() && self.random.below(3) == 0 {
            self.connect();
        }
    }

    /// The core takes some commands.
    fn work(&mut self, most: usize) {
        for _ in 0..most {
            let Some(command) = self.ring.pop_front() else { break };
            self.apply(command);
        }
        if self.engine.next_deadline() <= self.now {
            self.apply(Command::from_venue(AdvanceTime {}));
        }
    }

    /// Some bytes reach the venue, on the present connection or on one that was lost.
    fn carry(&mut self) {
        if let Some(Trader { session, connection, .. }) = &mut self.trader {
            self.connections[*connection].to_venue.extend(session.take_out());
        }
        if !self.connections.is_empty() {
            let last = self.connections.len() - 1;
            let connection = last - self.random.below(2).min(last);
            let most = self.random.below(300);
            self.arrive(connection, most);
        }
    }

    fn keep_time(&mut self) {
        for connection in 0..self.connections.len() {
            if self.connections[connection].session.next_deadline() <= self.now {
                self.hear(connection, Input::Time);
            }
        }
        if let Some(trader) = &mut self.trader
            && trader.session.next_deadline().0 <= self.now.0
        {
            trader.session.time(self.now.into());
        }
    }

    /// Nothing fails any more, until nothing is under way and everything is answered.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            self.now.0 += 1_000_000;
            if self.trader.is_none() {
                self.connect();
            }
            self.carry();
            for connection in 0..self.connections.len() {
                self.arrive(connection, usize::MAX >> 1);
            }
            self.work(usize::MAX >> 1);
            self.deliver(usize::MAX, usize::MAX);
            if self.is_settled() {
                return;
            }
        }
        panic!("there is no end of it: {:?}", self.recovery.unanswered().collect::<Vec<_>>());
    }

    fn is_settled(&self) -> bool {
        let reported = self.engine.sessions().map(|session| session.last_report.0).next();
        self.is_open
            && self.ring.is_empty()
            && self.recovery.unanswered().len() == 0
            && reported == Some(self.last_report)
            && self.engine.next_deadline() > self.now
    }

    /// What the core has of a side.
    fn resting(&self) -> BTreeMap<u64, Known> {
        let sides = [Side::Buy, Side::Sell].into_iter();
        let resting = sides.flat_map(|side| self.engine.orders(BOOK, side));
        resting
            .map(|order| (order.client_order_id.0, (order.side.into(), i64::try_from(order.leaves.0).unwrap())))
            .collect()
    }

    fn compare(&self) {
        self.engine.audit().unwrap();
        assert_eq!(self.orders, self.resting(), "what the trader knows, and what the venue has");
        let applied: Vec<u64> = self
            .history
            .iter()
            .filter_map(|(_, event)| match event {
                Event::OrderAccepted(accepted) => Some(accepted.order.client_order_id.0),
                _ => None,
            })
            .collect();
        let names: BTreeSet<u64> = applied.iter().copied().collect();
        assert_eq!(applied.len(), names.len(), "an order was applied twice");
        assert_eq!(names, self.accepted, "orders that were applied, and those whose trader was told");
        for (number, command) in &self.sent {
            let fate = self.fates.get(number);
            assert!(fate.is_some(), "nobody said what became of command {number}");
            if let Request::New(order) = command
                && names.contains(&order.client_order_id.unwrap().0)
            {
                assert_eq!(fate, Some(&Fate::Answered), "command {number}");
            }
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("RIALTO_LINK_SEEDS") else { return 0..200 };
    let (from, until) = range.split_once("..").expect("RIALTO_LINK_SEEDS=FROM..UNTIL");
    from.parse().unwrap()..until.parse().unwrap()
}

#[test]
fn over_links_that_fail_every_command_is_applied_once_or_not_at_all_and_both_sides_agree() {
    let (mut commands, mut not_applied, mut kills, mut cuts) = (0, 0, 0, 0);
    for seed in seeds() {
        println!("seed {seed}");
        let mut world = World::new(seed);
        while world.sent.len() < COMMANDS {
            world.step();
        }
        // Whatever is under way when it goes wrong for the last time.
        for _ in 0..world.random.below(200) {
            world.step();
        }
        world.settle();
        world.compare();
        commands += world.sent.len();
        not_applied += world.fates.values().filter(|&&fate| fate == Fate::NotApplied).count();
        kills += world.kills;
        cuts += world.cuts;
    }
    println!("{commands} commands, {not_applied} of them not applied; {cuts} cuts, {kills} kills of the venue");
}

#[test]
fn over_a_link_that_garbles_nothing_panics_and_nothing_is_invented() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.settle();
        (0..2).for_each(|_| world.send());
        let Some(Trader { session, connection, .. }) = &mut world.trader else { panic!("no session") };
        let (mut bytes, connection) = (session.take_out(), *connection);
        for _ in 0..=world.random.below(6) {
            let at = world.random.below(bytes.len());
            bytes[at] = u8::try_from(world.random.below(256)).unwrap();
        }
        world.connections[connection].to_venue.extend(bytes);
        world.arrive(connection, usize::MAX >> 1);
        world.work(usize::MAX >> 1);
        world.engine.audit().unwrap();
        assert!(world.resting().len() <= 2, "seed {seed}");
    }
}

/// Which login goes on where: a trader who was never let in asks anew.
#[test]
fn a_trader_who_was_never_let_in_makes_a_new_login_each_time() {
    let mut recovery = Recovery::new(SESSION.into(), Start::Anew, Policy::DEFAULT, 1);
    let mut now = wire::Timestamp(1);
    for _ in 0..3 {
        let Attempt::Connect(Resume::Anew(version)) = recovery.attempt(now) else { panic!("no login") };
        assert_eq!(version.0, now.0);
        recovery.failed(ConnectError::Unreachable(io::ErrorKind::ConnectionRefused.into()), now).unwrap();
        let Attempt::Wait(due) = recovery.attempt(now) else { panic!("no pause") };
        now = due;
    }
}
