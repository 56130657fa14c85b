//! Two traders' connections to a gateway without sockets, and the core behind it: what peers send, how it is cut, and
//! when the core answers is the input's to say.
//!
//! ```text
//!  0       1       2 ...
//!  ├───────┼───────┼─────────┼──────────────┼─────────┼───────── ...
//!  │ cut   │ op    │ its own │ op           │ its own │
//!  └───────┴───────┴─────────┴──────────────┴─────────┴───────── ...
//!    op: what happens (4 bits) │ to which trader (1 bit)
//! ```
//!
//! Whatever comes: nothing is submitted for a connection before the core has opened its session, no login without a
//! signature that was made here; numbers count on; one input causes a bounded number of frames; nobody gets orders on an
//! account that is not theirs, or changes what its names stand for; and when the core has answered everything, no name
//! is remembered but those of open orders. All of it is the same however the bytes are cut.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use ed25519_dalek::{Signer, SigningKey};
use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::{
    AccountId, AssetId, Capacity, ClientOrderId, Command, CommandBody, CommandHeader, CommandKind, Engine, Event,
    EventHeader, InstrumentId, KeyId, Nanoseconds, OrderId, SelfTradePrevention, Sequenced, SessionId, Stamp, StpGroup,
    Text, Timestamp,
};
use gateway::egress::{self, FrameBytes, Outgoing, Recipient, Sending};
use gateway::session::{Action, Input, Session, SessionLimits, State};
use gateway::view::View;
use wire::frame::SESSION_FRAME_MAX;
use wire::order_entry::{
    NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderMassActionRequest, OrderStatusRequest,
};
use wire::session::{Establish, Negotiate, RetransmitRequest, Sequence, SessionMessage, Terminate};
use wire::{Block, Durability, EdgeReason, Flat, Frame, FrameDecoder, Indicator, Signature64, TerminationCode};

use crate::frames::Choices;

/// Commands that the core's ring has room for.
const RING: usize = 6;
/// Names that orders have here.
const NAMES: std::ops::RangeInclusive<u64> = 1..=6;
/// Templates of messages that only ask, and have no number.
const QUESTIONS: std::ops::RangeInclusive<u16> = 206..=209;
const BOOKS: [InstrumentId; 2] = [InstrumentId(1), InstrumentId(2)];
const START: Timestamp = Timestamp(1_790_000_000_000_000_000);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMITS: SessionLimits = SessionLimits { retransmit_max: 5, ..SessionLimits::DEFAULT };

/// One of the two traders: session, key and account of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trader(u32);

impl Trader {
    const BOTH: [Self; 2] = [Self(0), Self(1)];

    fn index(self) -> usize {
        self.0 as usize
    }

    fn session(self) -> SessionId {
        SessionId(7 + self.0)
    }

    fn key(self) -> KeyId {
        KeyId(5 + self.0)
    }

    fn account(self) -> AccountId {
        AccountId(2 + self.0)
    }

    fn other(self) -> Self {
        Self(1 - self.0)
    }

    fn signing_key(self) -> SigningKey {
        SigningKey::from_bytes(&[1 + u8::try_from(self.0).expect("one of two"); 32])
    }

    fn of(session: SessionId) -> Option<Self> {
        Self::BOTH.into_iter().find(|trader| trader.session() == session)
    }
}

/// Runs an input with its bytes cut as it says, and uncut.
///
/// # Panics
/// If a promise does not hold.
pub fn check(bytes: &[u8]) {
    let Some((&cut, steps)) = bytes.split_first() else { return };
    let whole = World::new(SESSION_FRAME_MAX).run(steps);
    let cut = World::new(1 + usize::from(cut) % 64).run(steps);
    assert_eq!(whole, cut, "what is done does not depend on how bytes are cut");
}

/// One connection, and what is known of it from outside.
struct Link {
    trader: Trader,
    session: Session,
    decoder: FrameDecoder<SESSION_FRAME_MAX>,
    /// The core has opened it.
    opened: Option<Streams>,
    is_closed: bool,
    /// Reports that were asked for and have not been handed in.
    recovery: Option<u64>,
}

/// Where the streams of an open connection are.
#[derive(Debug, Clone, Copy)]
struct Streams {
    next_client: u64,
    next_report: u64,
}

struct World {
    piece: usize,
    now: Timestamp,
    engine: Engine,
    view: View,
    ring: VecDeque<Command>,
    links: Vec<Link>,
    /// The connection that each trader has now.
    current: [usize; 2],
    /// Connections that wait for an answer to a login, in the order of asking.
    waiting: [VecDeque<usize>; 2],
    /// Who speaks for each session.
    open: [Option<usize>; 2],
    /// Logins that were signed here: session, key, version.
    signed: BTreeSet<(SessionId, KeyId, u64)>,
    nonce: u64,
    trace: Vec<(usize, Action)>,
}

fn set_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let mut bodies: Vec<CommandBody> = Vec::new();
    for (book, tick_decimals) in BOOKS.into_iter().zip([0, 2]) {
        bodies.push(
            ListInstrument {
                instrument: book,
                name: Text::new("X").expect("a name"),
                base: AssetId::NONE,
                quote: AssetId::NONE,
                tick: 1 + 4 * u64::from(tick_decimals),
                tick_decimals,
                lot: 1,
                lot_decimals: 0,
                reference: engine::Price::ABSENT,
                holds: Holds::Off,
                self_trade_prevention: SelfTradePrevention::Allow,
                phase: Phase::Continuous,
                note,
            }
            .into(),
        );
    }
    for trader in Trader::BOTH {
        let (key, account) = (trader.key(), trader.account());
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        let public_key = trader.signing_key().verifying_key().to_bytes();
        bodies.push(OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note }.into());
        bodies.push(AddKey { key, kind: KeyKind::Ed25519, public_key, note }.into());
        bodies.push(GrantRole { key, role: Role::Trader, account, note }.into());
    }
    bodies
}

impl World {
    fn new(piece: usize) -> Self {
        let mut world = Self {
            piece,
            now: START,
            engine: Engine::new(Capacity { orders: 64, price_blocks: 64, ..Capacity::SMALL }),
            view: View::default(),
            ring: VecDeque::new(),
            links: Vec::new(),
            current: [0, 0],
            waiting: Default::default(),
            open: [None, None],
            signed: BTreeSet::new(),
            nonce: 0,
            trace: Vec::new(),
        };
        set_up().into_iter().for_each(|body| world.apply(Command::from_venue(body)));
        Trader::BOTH.into_iter().for_each(|trader| world.connect(trader));
        world
    }

    /// Runs an input to its end; gives everything that connections were told to do.
    fn run(mut self, steps: &[u8]) -> Vec<(usize, Action)> {
        let mut choices = Choices::new(steps);
        while !choices.is_over() {
            self.step(&mut choices);
        }
        self.settle();
        self.trace
    }

    fn connect(&mut self, trader: Trader) {
        self.current[trader.index()] = self.links.len();
        let session = Session::new(LIMITS, ADDRESS, self.now);
        let decoder = FrameDecoder::new();
        self.links.push(Link { trader, session, decoder, opened: None, is_closed: false, recovery: None });
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.byte();
        let trader = Trader::BOTH[usize::from(op >> 4) % 2];
        let link = self.current[trader.index()];
        match op % 16 {
            0 => self.arrive(link, choices.bytes()),
            1 => self.negotiate(trader, choices),
            2 => self.establish(trader, choices),
            3 => {
                let next = [choices.below(8), 0, u64::MAX, u64::MAX - 1, 1 << 63];
                self.send(link, &Sequence { next_sequence: wire::SessionSequence(choices.one_of(&next)) });
            }
            4 | 5 => self.send(link, &new_order(trader, choices)),
            6 => self.send(link, &replace_order(trader, choices)),
            7 => self.send(link, &cancel_order(trader, choices)),
            8 => self.send(
                link,
                &OrderMassActionRequest {
                    account: Some(some_account(trader, choices).into()),
                    action: wire::MassActionType::CancelOrders,
                    ..OrderMassActionRequest::BLANK
                },
            ),
            9 | 10 => (0..=choices.below(4)).for_each(|_| self.core()),
            11 => self.pass(choices.one_of(&[1_000_000, 100_000_000, 1_000_000_000, 10_000_000_000])),
            12 => self.send(
                link,
                &RetransmitRequest {
                    timestamp: wire::Timestamp(1),
                    from_sequence: wire::SessionSequence(choices.below(8)),
                    count: wire::MessageCount(choices.one_of(&[0, 1, 2, 5, 6, u64::MAX])),
                },
            ),
            13 => self.recover(link, choices),
            14 => self.end(link, choices),
            _ => {
                let account = some_account(trader, choices).into();
                self.send(link, &OrderStatusRequest { account, ..OrderStatusRequest::BLANK });
            }
        }
    }

    // The client's side.

    fn negotiate(&mut self, trader: Trader, choices: &mut Choices<'_>) {
        let version = choices.below(4);
        let signer = if choices.byte() < 16 { trader.other() } else { trader };
        let mut request = Negotiate {
            session_id: trader.session().into(),
            session_version: wire::SessionVersion(version),
            key_id: trader.key().into(),
            timestamp: self.now.into(),
            signature: Signature64([0; 64]),
        };
        let signature = signer.signing_key().sign(request.signed_text().as_bytes());
        request.signature = Signature64(signature.to_bytes());
        if signer == trader {
            self.signed.insert((trader.session(), trader.key(), version));
        }
        self.send(self.current[trader.index()], &request);
    }

    fn establish(&mut self, trader: Trader, choices: &mut Choices<'_>) {
        let version = choices.below(4);
        let how = choices.byte();
        let signer = if how < 16 { trader.other() } else { trader };
        self.nonce += u64::from(!how.is_multiple_of(4));
        let mut request = Establish {
            session_id: trader.session().into(),
            session_version: wire::SessionVersion(version),
            key_id: trader.key().into(),
            nonce: wire::Nonce(self.nonce),
            timestamp: self.now.into(),
            next_sequence: wire::SessionSequence(1),
            keep_alive: wire::Milliseconds(choices.one_of(&[1_000, 100, 60_000, 99, 60_001])),
            order_entry_schema_id: wire::order_entry::SCHEMA.id,
            cancel_on_disconnect: choices.one_of(&[wire::CancelOnDisconnect::Keep, wire::CancelOnDisconnect::Cancel]),
            cancel_grace: wire::Milliseconds(choices.one_of(&[0, 1_000, 3_600_001])),
            ..Establish::BLANK
        };
        let signature = signer.signing_key().sign(request.signed_text().as_bytes());
        request.signature = Signature64(signature.to_bytes());
        if signer == trader {
            self.signed.insert((trader.session(), trader.key(), version));
        }
        self.send(self.current[trader.index()], &request);
    }

    fn send<M: Flat>(&mut self, link: usize, message: &M) {
        self.arrive(link, &egress::frame(message));
    }

    fn arrive(&mut self, link: usize, bytes: &[u8]) {
        for mut piece in bytes.chunks(self.piece) {
            while !piece.is_empty() && self.links[link].session.state() != State::Closing {
                let taken = self.links[link].decoder.push(piece);
                assert!(taken > 0, "there is room for a frame");
                piece = &piece[taken..];
                self.hear_frames(link);
            }
        }
    }

    fn hear_frames(&mut self, link: usize) {
        while self.links[link].session.state() != State::Closing {
            let mut decoder = self.links[link].decoder.clone();
            match decoder.next_frame() {
                Ok(Some(frame)) => self.hear_frame(link, frame),
                Ok(None) => break,
                Err(_) => self.hear(link, Input::NoFrame),
            }
            self.links[link].decoder = decoder;
        }
    }

    /// A frame may submit one command of an application, under the number that counting gives.
    fn hear_frame(&mut self, link: usize, frame: Frame<'_>) {
        let trader = self.links[link].trader;
        let before = self.names_of(trader.other());
        let opened = self.links[link].opened;
        let from = self.trace.len();
        self.hear(link, Input::Frame(frame));
        assert_eq!(before, self.names_of(trader.other()), "a stranger changes what names stand for");
        let submitted = self.trace[from..].iter().find_map(|(_, action)| match action {
            Action::Submit(command) if !is_of_session(command) => Some(command.header.client_sequence.0),
            _ => None,
        });
        let is_question =
            frame.header.schema_id == wire::order_entry::SCHEMA.id && QUESTIONS.contains(&frame.header.template_id.0);
        let is_application = frame.header.schema_id != wire::session::SCHEMA.id && !is_question;
        match opened {
            Some(Streams { next_client, .. }) if is_application => {
                assert!(submitted.is_none_or(|number| number == next_client), "{submitted:?} is not {next_client}");
                if let Some(streams) = &mut self.links[link].opened {
                    streams.next_client = next_client.saturating_add(1);
                }
            }
            _ => assert_eq!(submitted, None, "only an open session's messages are submitted"),
        }
        if let (Ok(SessionMessage::Sequence(sequence)), Some(streams)) =
            (SessionMessage::try_from(frame), &mut self.links[link].opened)
        {
            streams.next_client = sequence.next_sequence.0;
        }
    }

    /// What each name of a trader's account stands for, to that trader.
    fn names_of(&self, trader: Trader) -> Vec<Option<InstrumentId>> {
        let of = |name| self.view.instrument_of(trader.key(), trader.account(), OrderId::NONE, ClientOrderId(name));
        NAMES.map(|name| of(name).map(|instrument| instrument.instrument)).collect()
    }

    // The venue's side.

    fn hear(&mut self, link: usize, input: Input<'_>) {
        let frames_max = match &input {
            Input::Core(Event::SessionEstablished(_)) => 1 + BOOKS.len(),
            Input::Recovered(found) => 1 + found.as_ref().map_or(0, Vec::len),
            _ => 1,
        };
        let was_closing = self.links[link].session.state() == State::Closing;
        let mut actions = Vec::new();
        self.links[link].session.handle(input, self.now, &mut self.view, &mut actions);
        let frames = actions.iter().filter(|action| matches!(action, Action::Send(_))).count();
        // Who sends far too much is refused, and told that this is the end.
        let goodbyes = actions.iter().filter(|it| matches!(it, Action::Close(TerminationCode::Throttled))).count();
        assert!(frames <= frames_max + goodbyes, "{frames} frames for one input");
        let takes_back =
            |action: &Action| matches!(action, Action::Submit(it) if it.body.kind() == CommandKind::Disconnect);
        assert!(!was_closing || actions.iter().all(takes_back), "nothing is said on a closing connection");
        for action in actions {
            self.trace.push((link, action.clone()));
            self.carry_out(link, action);
        }
    }

    fn carry_out(&mut self, link: usize, action: Action) {
        match action {
            Action::Submit(command) => self.submit(link, command),
            Action::Send(frame) => self.sent(link, &frame),
            Action::Answer(question) => {
                let own = self.links[link].trader.account();
                assert_eq!(AccountId::try_from(question.account()), Ok(own), "nobody is told of a stranger's account");
            }
            Action::RequestReports { count, .. } => {
                assert!((1..=LIMITS.retransmit_max).contains(&count), "{count} reports");
                assert_eq!(self.links[link].recovery.replace(count), None, "one retransmission at a time");
            }
            Action::RequestCopies(range) => panic!("copies for a trader who reads none: {range:?}"),
            Action::Record(failed) => assert_eq!(failed.address, ADDRESS),
            Action::Close(_) => {
                self.links[link].is_closed = true;
                self.links[link].opened = None;
                assert_eq!(self.links[link].session.state(), State::Closing);
            }
        }
    }

    /// A heartbeat names the next report.
    fn sent(&self, link: usize, frame: &[u8]) {
        let (frame, rest) = Frame::split(frame).expect("a frame");
        assert!(rest.is_empty());
        if let Ok(SessionMessage::Sequence(sequence)) = SessionMessage::try_from(frame) {
            let streams = self.links[link].opened.expect("only an open session has a heartbeat");
            assert_eq!(sequence.next_sequence.0, streams.next_report);
        }
    }

    fn submit(&mut self, link: usize, command: Command) {
        let trader = self.links[link].trader;
        let (session, key) = (command.header.session, command.header.author);
        assert_eq!((session, key), (trader.session(), trader.key()), "a session speaks for itself");
        match &command.body {
            CommandBody::Negotiate(it) => self.log_in(link, command, it.version.0),
            CommandBody::Establish(it) => {
                self.take_over(link, it.version);
                self.log_in(link, command, it.version.0);
            }
            CommandBody::Disconnect(_) => {
                if self.open[trader.index()] == Some(link) {
                    self.open[trader.index()] = None;
                    self.ring.push_back(command);
                }
            }
            _ => {
                assert!(self.links[link].opened.is_some(), "nothing is submitted before the core opened the session");
                if self.ring.len() < RING {
                    self.ring.push_back(command);
                } else {
                    self.hear(link, Input::NotTaken(&command, EdgeReason::Busy));
                }
            }
        }
    }

    fn log_in(&mut self, link: usize, command: Command, version: u64) {
        let CommandHeader { session, author, .. } = command.header;
        assert!(self.signed.contains(&(session, author, version)), "a login that nobody signed");
        if self.ring.len() < RING {
            self.waiting[self.links[link].trader.index()].push_back(link);
            self.ring.push_back(command);
        } else {
            self.hear(link, Input::NotTaken(&command, EdgeReason::Busy));
        }
    }

    fn take_over(&mut self, link: usize, version: engine::SessionVersion) {
        let trader = self.links[link].trader;
        if let Some(before) = self.open[trader.index()].take() {
            self.hear(before, Input::Ended(TerminationCode::Replaced));
            let header = CommandHeader { author: trader.key(), session: trader.session(), ..CommandHeader::VENUE };
            let body = Disconnect { version, reason: DisconnectReason::Replaced }.into();
            self.ring.push_back(Command { header, body });
        }
    }

    /// The core applies the next command.
    fn core(&mut self) {
        if let Some(command) = self.ring.pop_front() {
            self.apply(command);
        }
    }

    fn apply(&mut self, command: Command) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.now };
        let mut events: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: command }, &mut events);
        for (header, event) in events {
            self.view.apply(&header, &event);
            self.route(&event);
            self.report(&header, &event);
        }
    }

    fn route(&mut self, event: &Event) {
        match event {
            Event::SessionNegotiated(it) => {
                let before = Trader::of(it.session).and_then(|trader| self.open[trader.index()].take());
                before.into_iter().for_each(|link| self.hear(link, Input::Core(event)));
                self.answer(it.session, event);
            }
            Event::SessionEstablished(it) => {
                let Some(link) = self.answer(it.session, event) else { return };
                // One that is closing takes it back, and speaks for nobody then.
                if self.links[link].is_closed {
                    return;
                }
                let (next_client, next_report) = (it.next_client_sequence.0, it.next_report_number.0);
                self.links[link].opened = Some(Streams { next_client, next_report });
            }
            Event::SessionRejected(it) if it.response_to != CommandKind::Disconnect => {
                self.answer(it.session, event);
            }
            Event::SessionDisconnected(it) => {
                let open = Trader::of(it.session).and_then(|trader| self.open[trader.index()].take());
                open.into_iter().for_each(|link| self.hear(link, Input::Core(event)));
            }
            Event::OrderAccepted(it) => {
                let trader = Trader::of(it.report.session).expect("a trader's order");
                assert_eq!(it.report.account, trader.account(), "an order on a stranger's account");
            }
            _ => {}
        }
    }

    /// Hands the answer to a login to who asked first.
    fn answer(&mut self, session: SessionId, event: &Event) -> Option<usize> {
        let trader = Trader::of(session)?;
        let link = self.waiting[trader.index()].pop_front()?;
        if matches!(event, Event::SessionEstablished(_)) {
            self.open[trader.index()] = Some(link);
        }
        self.hear(link, Input::Core(event));
        Some(link)
    }

    fn report(&mut self, header: &EventHeader, event: &Event) {
        let sending = Sending { durability: Durability::Synced, possible_duplicate: Indicator::No };
        let mut outgoing: Vec<Outgoing> = Vec::new();
        egress::messages(header, event, &self.view, sending, &mut outgoing);
        for message in outgoing {
            for trader in Trader::BOTH {
                let is_for = match message.recipient {
                    Recipient::Session(session) => session == trader.session(),
                    Recipient::Key(key) => key == trader.key(),
                    Recipient::Everybody => true,
                    Recipient::Readers(account) => account == trader.account(),
                    Recipient::Copies(..) => false,
                };
                if let (true, Some(link)) = (is_for, self.open[trader.index()]) {
                    self.deliver(link, message.number, message.frame.clone());
                }
            }
        }
    }

    /// Reports of an open session have numbers without gaps, and go out as they are.
    fn deliver(&mut self, link: usize, number: Option<engine::SessionSequence>, frame: FrameBytes) {
        if let (Some(number), Some(streams)) = (number, &mut self.links[link].opened) {
            assert_eq!(number.0, streams.next_report, "reports count on");
            streams.next_report += 1;
        }
        let is_open = self.links[link].opened.is_some();
        assert_eq!(self.links[link].session.report(number, self.now), is_open, "an open session takes its reports");
        if is_open {
            self.trace.push((link, Action::Send(frame.clone())));
            self.sent(link, &frame);
        }
    }

    fn pass(&mut self, nanoseconds: u64) {
        self.now = self.now.after(Nanoseconds(nanoseconds));
        for link in self.current {
            if self.links[link].session.next_deadline() <= self.now {
                self.hear(link, Input::Time);
                assert!(self.links[link].session.next_deadline() > self.now, "a deadline that was met is over");
            }
        }
        if self.engine.next_deadline() <= self.now {
            self.apply(Command::from_venue(AdvanceTime {}));
        }
    }

    /// Reports that were asked for are found, or not.
    fn recover(&mut self, link: usize, choices: &mut Choices<'_>) {
        let Some(count) = self.links[link].recovery.take() else { return };
        let found = match choices.byte() {
            0..64 => Err(EdgeReason::RetransmitTooOld),
            _ => Ok((0..count).map(|_| egress::frame(&Terminate::BLANK)).collect()),
        };
        self.hear(link, Input::Recovered(found));
    }

    /// A connection ends, and its trader makes another.
    fn end(&mut self, link: usize, choices: &mut Choices<'_>) {
        match choices.byte() % 4 {
            0 => self.send(link, &Terminate::BLANK),
            1 => self.hear(link, Input::Ended(TerminationCode::SlowReader)),
            _ => self.hear(link, Input::Closed),
        }
        if self.links[link].is_closed {
            self.connect(self.links[link].trader);
        }
    }

    /// The core answers everything.
    fn settle(&mut self) {
        while !self.ring.is_empty() {
            self.core();
        }
        let open: BTreeSet<(AccountId, ClientOrderId)> = Trader::BOTH
            .into_iter()
            .flat_map(|it| {
                self.engine.open_orders(it.account()).map(move |order| (it.account(), order.client_order_id))
            })
            .filter(|(_, name)| !name.is_none())
            .collect();
        assert_eq!(self.view.name_count(), open.len(), "names are remembered that no open order has");
        self.engine.audit().expect("the core is consistent");
        assert!(self.links.iter().all(|link| !link.session.owes_answer()), "every login is answered");
    }
}

/// Whether it is about the session and not of an application.
fn is_of_session(command: &Command) -> bool {
    matches!(command.body, CommandBody::Negotiate(_) | CommandBody::Establish(_) | CommandBody::Disconnect(_))
}

fn some_account(trader: Trader, choices: &mut Choices<'_>) -> AccountId {
    choices.one_of(&[trader.account(), trader.account(), trader.account(), trader.other().account(), AccountId(1)])
}

fn some_name(choices: &mut Choices<'_>) -> Option<wire::ClientOrderId> {
    let name = choices.below(NAMES.end() + 1);
    (name > 0).then_some(wire::ClientOrderId(name))
}

fn new_order(trader: Trader, choices: &mut Choices<'_>) -> NewOrderSingle {
    NewOrderSingle {
        account: some_account(trader, choices).into(),
        client_order_id: some_name(choices),
        security_id: choices.one_of(&[BOOKS[0], BOOKS[1], InstrumentId(3)]).into(),
        price: Some(wire::Price(choices.one_of(&[90, 99, 108, 0, i64::MAX, 1]))),
        order_quantity: Some(wire::Quantity(choices.one_of(&[1, 2, 5, 0]))),
        side: choices.one_of(&[wire::Side::Buy, wire::Side::Sell]),
        order_type: wire::OrderType::Limit,
        time_in_force: choices.one_of(&[wire::TimeInForce::GoodTillCancel, wire::TimeInForce::ImmediateOrCancel]),
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

fn replace_order(trader: Trader, choices: &mut Choices<'_>) -> OrderCancelReplaceRequest {
    OrderCancelReplaceRequest {
        account: some_account(trader, choices).into(),
        original_client_order_id: some_name(choices),
        client_order_id: some_name(choices),
        price: Some(wire::Price(choices.one_of(&[90, 99, 108, 0]))),
        order_quantity: Some(wire::Quantity(choices.one_of(&[1, 2, 5]))),
        ..OrderCancelReplaceRequest::BLANK
    }
}

fn cancel_order(trader: Trader, choices: &mut Choices<'_>) -> OrderCancelRequest {
    OrderCancelRequest {
        account: some_account(trader, choices).into(),
        original_client_order_id: some_name(choices),
        client_order_id: some_name(choices),
        ..OrderCancelRequest::BLANK
    }
}

/// Inputs to begin with: both traders logged in, and then each golden frame, or orders of either.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    // Negotiate and Establish with version 1, each applied by the core.
    let log_in = |bit: u8| [bit | 1, 1, 255, bit | 9, 0, bit | 2, 1, 255, 0, 0, 0, bit | 9, 0];
    let opened = [&[7][..], &log_in(0), &log_in(16)].concat();
    let order = |name: u8| [4, 0, name, 0, 0, 0, 0, 0];
    let orders = [4, 0, 1, 0, 0, 1, 0, 0, 20, 0, 1, 0, 0, 1, 1, 0, 9, 3, 6, 0, 1, 2, 1, 1, 9, 3, 7, 0, 2, 3, 9, 3];
    let stranger = [4, 0, 1, 0, 0, 1, 0, 0, 20, 3, 1, 1, 0, 1, 1, 0, 9, 3, 6, 0, 1, 2, 1, 1, 12, 1, 1, 13, 255, 14, 2];
    let mut seeds = vec![
        ("opened".to_owned(), opened.clone()),
        ("orders".to_owned(), [&opened[..], &orders].concat()),
        ("stranger".to_owned(), [&opened[..], &stranger].concat()),
        ("used-up".to_owned(), [&opened[..], &[3, 0, 2], &order(1), &order(2), &[9, 3, 9, 3]].concat()),
    ];
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway/wire/tests/golden");
    for file in fs::read_dir(&golden).expect("the golden frames") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let frame = crate::frames::bytes_of(&fs::read_to_string(&path).expect("a golden frame"));
            let Ok(length) = u8::try_from(frame.len()) else { continue };
            seeds.push((name, [&opened[..], &[0, length], &frame, &[9, 3]].concat()));
        }
    }
    seeds.sort();
    seeds
}
