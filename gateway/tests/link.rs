//! Both sides of a session over a link that cuts, delays and garbles, without sockets or threads: one seed, one run.
//!
//! Whatever the link does, every order is applied once and every report is seen once, in order.

use std::net::{IpAddr, Ipv4Addr};

use client::session::{News, Session as ClientSession};
use client::{Credentials, Options, Resume, SigningKey};
use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use gateway::egress::{self, Sending};
use gateway::history::{ReportCollector, ReportRange};
use gateway::session::{Action, Input, Session, SessionLimits, State};
use gateway::view::View;
use wire::order_entry::{NewOrderSingle, OrderEntryMessage};
use wire::{Block, Durability, FrameDecoder, Indicator};

const BOOK: InstrumentId = InstrumentId(1);
const ACCOUNT: AccountId = AccountId(2);
const ORDERS: u64 = 40;
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

/// The core, the venue's side of the one connection, and the client's.
struct World {
    random: Random,
    now: Timestamp,
    engine: Engine,
    history: Vec<(EventHeader, Event)>,
    view: View,
    server: Session,
    server_bytes: FrameDecoder<1024>,
    client: ClientSession,
    client_bytes: FrameDecoder<1024>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// Every order with its number, in the order of sending.
    sent: Vec<(wire::SessionSequence, NewOrderSingle)>,
    opened: bool,
    reports: Vec<u64>,
}

fn credentials() -> Credentials {
    let signing_key = SigningKey::from_bytes(&[3; 32]);
    Credentials { session: wire::SessionId(1), key: wire::KeyId(1), signing_key }
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

fn order(name: u64) -> NewOrderSingle {
    NewOrderSingle {
        account: ACCOUNT.into(),
        security_id: BOOK.into(),
        client_order_id: Some(wire::ClientOrderId(name)),
        price: Some(wire::Price(100)),
        order_quantity: Some(wire::Quantity(1)),
        side: wire::Side::Buy,
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Timestamp(1_790_000_000_000_000_000);
        let client =
            ClientSession::new(credentials(), Options::DEFAULT, Resume::Anew(wire::SessionVersion(1)), now.into());
        let mut world = Self {
            random: Random(seed),
            now,
            engine: Engine::new(Capacity::SMALL),
            history: Vec::new(),
            view: View::default(),
            server: Session::new(SessionLimits::UNTHROTTLED, ADDRESS, now),
            server_bytes: FrameDecoder::new(),
            client,
            client_bytes: FrameDecoder::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            sent: Vec::new(),
            opened: false,
            reports: Vec::new(),
        };
        set_up().into_iter().for_each(|body| world.apply(Command::from_venue(body)));
        world
    }

    /// The core applies a command, and its events find their way.
    fn apply(&mut self, command: Command) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.now };
        let mut events: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: command }, &mut events);
        for (header, event) in events {
            self.history.push((header, event));
            self.view.apply(&event);
            match event {
                Event::SessionNegotiated(_) | Event::SessionEstablished(_) => self.hear(Input::Core(&event)),
                Event::SessionRejected(rejected) if rejected.response_to != CommandKind::Disconnect => {
                    self.hear(Input::Core(&event));
                }
                _ => {}
            }
            for outgoing in self.outgoing(&header, &event, Indicator::No) {
                if self.server.report(outgoing.number, self.now) {
                    self.to_client.extend_from_slice(&outgoing.frame);
                }
            }
        }
    }

    fn outgoing(&self, header: &EventHeader, event: &Event, possible_duplicate: Indicator) -> Vec<egress::Outgoing> {
        let sending = Sending { durability: Durability::Synced, possible_duplicate };
        let mut found = Vec::new();
        egress::messages(header, event, &self.view, sending, &mut found);
        found
    }

    fn hear(&mut self, input: Input<'_>) {
        let mut actions = Vec::new();
        self.server.handle(input, self.now, &mut self.view, &mut actions);
        for action in actions {
            match action {
                Action::Submit(command) => self.apply(command),
                Action::Send(frame) => self.to_client.extend_from_slice(&frame),
                Action::RequestReports { version, from, count } => self.recover(version, from, count),
                Action::Answer(question) => panic!("nobody asks here: {question:?}"),
                Action::Record(_) | Action::Close(_) => {}
            }
        }
    }

    fn recover(&mut self, version: SessionVersion, from: SessionSequence, count: u64) {
        let mut collector = ReportCollector::new(ReportRange { session: SessionId(1), version, from, count });
        self.history.iter().for_each(|(header, event)| collector.event(header, event));
        let found = collector.into_found();
        let frames = found.iter().flat_map(|(header, event)| self.outgoing(header, event, Indicator::Yes));
        let frames = frames.map(|outgoing| outgoing.frame).collect();
        self.hear(Input::Recovered(Ok(frames)));
    }

    /// Some of the bytes that are under way arrive, on either side.
    fn deliver(&mut self, most: usize) {
        self.to_server.extend(self.client.take_out());
        let count = most.min(self.to_server.len());
        let bytes: Vec<u8> = self.to_server.drain(..count).collect();
        self.arrive(&bytes);
        let count = most.min(self.to_client.len());
        for byte in self.to_client.drain(..count).collect::<Vec<_>>() {
            self.client_bytes.push(&[byte]);
            while let Ok(Some(frame)) = self.client_bytes.next_frame() {
                self.client.frame(frame, self.now.into()).unwrap();
            }
        }
        while let Some(news) = self.client.next_news() {
            self.learn(news);
        }
    }

    /// Bytes reach the venue, one at a time.
    fn arrive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.server_bytes.push(&[*byte]);
            let mut decoder = self.server_bytes.clone();
            while self.server.state() != State::Closing {
                match decoder.next_frame() {
                    Ok(Some(frame)) => self.hear(Input::Frame(frame)),
                    Ok(None) => break,
                    Err(_) => self.hear(Input::NoFrame),
                }
            }
            self.server_bytes = decoder;
        }
    }

    fn learn(&mut self, news: News) {
        match news {
            News::Opened(ack) => {
                self.opened = true;
                // What the venue has not applied is sent again, and one order that it has.
                let first = self.sent.partition_point(|(number, _)| *number < ack.next_sequence);
                for (number, order) in &self.sent[first.saturating_sub(1)..] {
                    self.client.send_again(*number, order, self.now.into());
                }
            }
            News::Message(OrderEntryMessage::ExecutionReport(report)) => {
                self.reports.push(report.report_number.unwrap().0);
            }
            News::Message(OrderEntryMessage::SecurityDefinition(_)) => {}
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self) {
        let order = order(self.sent.len() as u64 + 1);
        let number = self.client.send(&order, self.now.into());
        self.sent.push((number, order));
    }

    /// The connection is lost with all that was under way, and another is made.
    fn cut(&mut self) {
        // Until the core knows the session, there is nothing to go on with.
        let known = self.engine.sessions().next().is_some();
        let resume = if known { self.client.resume() } else { Resume::Anew(wire::SessionVersion(1)) };
        self.hear(Input::Closed);
        (self.to_server, self.to_client) = (Vec::new(), Vec::new());
        (self.server_bytes, self.client_bytes) = (FrameDecoder::new(), FrameDecoder::new());
        self.opened = false;
        self.server = Session::new(SessionLimits::UNTHROTTLED, ADDRESS, self.now);
        self.client = ClientSession::new(credentials(), Options::DEFAULT, resume, self.now.into());
    }

    fn step(&mut self) {
        self.now.0 += 1_000_000;
        match self.random.below(20) {
            0 => self.cut(),
            1..8 if self.opened && (self.sent.len() as u64) < ORDERS => self.send(),
            _ => {
                let most = self.random.below(600);
                self.deliver(most);
            }
        }
    }

    fn settle(&mut self) {
        while !self.to_server.is_empty() || !self.to_client.is_empty() || self.progresses() {
            self.now.0 += 1_000_000;
            self.deliver(usize::MAX);
        }
    }

    fn progresses(&mut self) -> bool {
        self.to_server.extend(self.client.take_out());
        !self.to_server.is_empty()
    }
}

#[test]
fn over_a_link_that_cuts_every_order_is_applied_once_and_every_report_seen_once() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        while (world.sent.len() as u64) < ORDERS {
            world.step();
        }
        world.cut();
        world.settle();
        world.engine.audit().unwrap();
        assert_eq!(world.engine.orders(BOOK, Side::Buy).count() as u64, ORDERS, "seed {seed}");
        assert_eq!(world.reports, (1..=ORDERS).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn over_a_link_that_garbles_nothing_panics_and_nothing_is_invented() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.settle();
        world.send();
        world.send();
        world.to_server.extend(world.client.take_out());
        for _ in 0..=world.random.below(6) {
            let at = world.random.below(world.to_server.len());
            world.to_server[at] = u8::try_from(world.random.below(256)).unwrap();
        }
        let bytes = std::mem::take(&mut world.to_server);
        world.arrive(&bytes);
        world.engine.audit().unwrap();
        assert!(world.engine.orders(BOOK, Side::Buy).count() <= 2, "seed {seed}");
    }
}
