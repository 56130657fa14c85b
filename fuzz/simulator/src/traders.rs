//! Traders: the client library's own sessions and recovery over simulated connections, by processes that die.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use client::recovery::{Attempt, Heard, Recovery};
use client::request::Command as Request;
use client::session::{News, Session};
use client::{ConnectError, Credentials, Options, Policy, Position, SendError, SigningKey, Start, TraderNews};
use engine::{AccountId, KeyId, SessionId};
use testkit::random::Random;
use wire::frame::SESSION_FRAME_MAX;
use wire::order_entry::{AccountBalanceRequest, DropCopyRequest, OrderEntryMessage, OrderMassStatusRequest};
use wire::{
    CancelOnDisconnect, EdgeReason, ExecutionId, FrameDecoder, Indicator, Milliseconds, OrderCount, RequestId,
    Timestamp,
};

use crate::finding::{Checked, Finding, Promise};
use crate::marks::Marks;
use crate::network::{Cut, WireId, Wires};
use crate::truth::{Numbered, Truth};

/// How long a login is waited for.
const PATIENCE_NS: u64 = 10_000_000_000;
/// How soon somebody starts a trader again who gave up.
const RESTART_NS: u64 = 5_000_000_000;
/// Bytes that are kept of what traders sent, for who sends it again.
const HEARD_BYTES: usize = 64 << 10;

/// The name of a question about everything.
const ALL: RequestId = RequestId(77_777);

/// What a question about everything is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Open orders.
    Orders,
    /// Balances.
    Balances,
}

/// Whose orders a trader enters, and by which key.
pub struct Trader {
    session: SessionId,
    key: SigningKey,
    key_id: KeyId,
    address: IpAddr,
    options: Options,
    random: Random,
    recovery: Recovery,
    connection: Option<Connection>,
    /// What it is still to send, by the names that whoever wants it knows.
    wanted: VecDeque<(u32, Request)>,
    /// What a next process would go on from.
    kept: Option<Position>,
    /// Why it gave up, and when somebody starts it again.
    over: Option<(String, u64)>,
    /// It reads nothing until then.
    stalled_until: u64,
    last_version: u64,
    has_caught_up: bool,
    deaths: u64,
    /// What came of the last question about everything.
    answers: Vec<OrderEntryMessage>,
}

struct Connection {
    wire: WireId,
    session: Session,
    decoder: FrameDecoder<SESSION_FRAME_MAX>,
    out: VecDeque<u8>,
    is_open: bool,
    since: u64,
    /// All that it sent.
    sent: Vec<u8>,
}

/// What traders sent, for everybody to look up.
#[derive(Default)]
pub struct Sent {
    /// Every numbered command, and the name of what was wanted.
    pub commands: BTreeMap<Numbered, (u32, Request)>,
    /// Connections as somebody heard them.
    pub overheard: Vec<Vec<u8>>,
}

impl Trader {
    /// A trader of a session, who has not connected yet.
    pub fn new(session: SessionId, key_id: KeyId, mut random: Random) -> Self {
        let grace = Milliseconds(random.one_of(&[0, 0, 50, 3_000]));
        let options = Options {
            keep_alive: Milliseconds(random.one_of(&[200, 1_000, 5_000])),
            cancel_on_disconnect: random.one_of(&[CancelOnDisconnect::Cancel, CancelOnDisconnect::Keep]),
            cancel_grace: grace,
        };
        let last = u8::try_from(session.0).expect("a small number");
        let recovery = recovery_of(session, Start::Anew, random.any());
        Self {
            session,
            key: key_of(key_id),
            key_id,
            address: Ipv4Addr::new(10, 0, 0, last).into(),
            options,
            random,
            recovery,
            connection: None,
            wanted: VecDeque::new(),
            kept: None,
            over: None,
            stalled_until: 0,
            last_version: 0,
            has_caught_up: false,
            deaths: 0,
            answers: Vec::new(),
        }
    }

    /// Which session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// By which key.
    pub fn key(&self) -> KeyId {
        self.key_id
    }

    /// Where it comes from.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// It is to send this when it can.
    pub fn want(&mut self, name: u32, request: Request) {
        // Who cannot send for long forgets what it wanted first.
        if self.wanted.len() < 200 {
            self.wanted.push_back((name, request));
        }
    }

    /// Its connection, to be cut.
    pub fn wire(&self) -> Option<WireId> {
        self.connection.as_ref().map(|connection| connection.wire)
    }

    /// It reads nothing for a while.
    pub fn stall(&mut self, until: u64) {
        self.stalled_until = until;
    }

    /// Whether it has an open session, and knows what became of everything that it sent.
    pub fn has_arrived(&self) -> bool {
        let is_open = self.connection.as_ref().is_some_and(|connection| connection.is_open);
        is_open && self.has_caught_up && self.wanted.is_empty() && self.recovery.unanswered().len() == 0
    }

    /// Why it does not even try, if so.
    pub fn gave_up(&self) -> Option<&str> {
        self.over.as_ref().map(|(why, _)| why.as_str())
    }

    /// Where it stands, for who wonders why it does not get on.
    pub fn describe(&self) -> String {
        let unanswered: Vec<u64> = self.recovery.unanswered().map(|(number, _)| number.0).collect();
        let connection = match &self.connection {
            None => "no connection".to_owned(),
            Some(connection) if connection.is_open => format!("open, next report {}", connection.session.next_report()),
            Some(_) => "logging in".to_owned(),
        };
        let over = self.over.as_ref().map_or_else(String::new, |(why, _)| format!(", gave up: {why}"));
        let (session, wanted, caught_up) = (self.session, self.wanted.len(), self.has_caught_up);
        format!("{session}: {connection}, caught up {caught_up}, {wanted} wanted, unanswered {unanswered:?}{over}")
    }

    /// When it wants to be looked at next.
    pub fn next_deadline(&self, now: u64) -> u64 {
        match (&self.connection, &self.over) {
            (Some(connection), _) => connection.session.next_deadline().0,
            (None, Some((_, again))) => *again,
            (None, None) => match self.recovery.attempt(Timestamp(now)) {
                Attempt::Wait(until) => until.0,
                Attempt::Connect(_) => now,
            },
        }
    }

    /// Its process ends, and another goes on from what was kept, or from nothing.
    pub fn die(&mut self, now: u64, wires: &Wires, sent: &mut Sent, how: Option<Cut>) {
        if how.is_none() && self.random.percent(30) {
            // In order: it says goodbye.
            if let Some(connection) = &mut self.connection {
                connection.session.terminate(Timestamp(now));
            }
            self.write(wires);
        }
        self.disconnect(wires, sent, how);
        self.deaths += 1;
        let start = match self.kept {
            Some(position) if !self.random.percent(10) => Start::From(position),
            _ => Start::Anew,
        };
        self.recovery = recovery_of(self.session, start, self.random.any());
        self.over = None;
    }

    fn disconnect(&mut self, wires: &Wires, sent: &mut Sent, how: Option<Cut>) {
        let Some(connection) = self.connection.take() else { return };
        self.has_caught_up = false;
        if let Some(how) = how {
            wires.cut(connection.wire, how);
        }
        wires.close(connection.wire);
        if !connection.sent.is_empty() && sent.overheard.len() < 40 {
            sent.overheard.push(connection.sent);
        }
    }

    /// Does what there is to do at `now`.
    ///
    /// # Errors
    /// What it was told that is not so.
    pub fn turn(&mut self, now: u64, wires: &Wires, truth: &mut Truth, sent: &mut Sent, marks: &mut Marks) -> Checked {
        if self.over.as_ref().is_some_and(|(_, again)| now >= *again) {
            self.die(now, wires, sent, None);
        }
        if self.connection.is_none() && self.over.is_none() {
            self.connect(now, wires);
        }
        if self.connection.is_some() && now >= self.stalled_until {
            self.converse(now, wires, truth, sent, marks)?;
        }
        self.learn(truth, marks)?;
        if self.random.percent(20) {
            self.kept = self.recovery.position().or(self.kept);
        }
        Ok(())
    }

    fn connect(&mut self, now: u64, wires: &Wires) {
        let time = Timestamp(now);
        let Attempt::Connect(resume) = self.recovery.attempt(time) else { return };
        let Some(wire) = wires.connect(self.address) else {
            return self.failed(ConnectError::Unreachable(io::ErrorKind::ConnectionRefused.into()), now);
        };
        let credentials =
            Credentials { session: self.session.into(), key: self.key_id.into(), signing_key: self.key.clone() };
        self.connection = Some(Connection {
            wire,
            session: Session::new(credentials, self.options, resume, time),
            decoder: FrameDecoder::new(),
            out: VecDeque::new(),
            is_open: false,
            since: now,
            sent: Vec::new(),
        });
        self.last_version = match resume {
            client::Resume::Anew(version) | client::Resume::From { version, .. } => version.0,
        };
    }

    fn failed(&mut self, error: ConnectError, now: u64) {
        if let Err(error) = self.recovery.failed(error, Timestamp(now)) {
            self.over = Some((error.to_string(), now + RESTART_NS));
        }
    }

    fn lost(&mut self, error: ConnectError, now: u64) {
        if let Err(error) = self.recovery.lost(error, Timestamp(now)) {
            self.over = Some((error.to_string(), now + RESTART_NS));
        }
    }

    /// Reads, hears, sends and writes.
    fn converse(&mut self, now: u64, wires: &Wires, truth: &mut Truth, sent: &mut Sent, marks: &mut Marks) -> Checked {
        let outcome = self.read(now, wires, truth, marks)?;
        if outcome.is_ok() {
            self.send_wanted(now, sent);
        }
        if outcome.is_err() || !self.write(wires) {
            self.break_off(outcome.err(), now, wires, sent);
        }
        Ok(())
    }

    /// What there is to read; what ends the connection, if something does.
    fn read(
        &mut self,
        now: u64,
        wires: &Wires,
        truth: &mut Truth,
        marks: &mut Marks,
    ) -> Checked<Result<(), Option<ConnectError>>> {
        let time = Timestamp(now);
        for _ in 0..16 {
            let Some(connection) = &mut self.connection else { return Ok(Ok(())) };
            let room = connection.decoder.vacant();
            match wires.read(connection.wire, room) {
                Ok(0) => return Ok(Err(Some(closed()))),
                Ok(count) => connection.decoder.filled(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Ok(Err(Some(ConnectError::Connection(client::Error::Io(error))))),
            }
            if let Err(over) = self.hear(now, truth, marks)? {
                return Ok(Err(over));
            }
        }
        let Some(connection) = &mut self.connection else { return Ok(Ok(())) };
        if !connection.is_open && now > connection.since + PATIENCE_NS {
            return Ok(Err(Some(ConnectError::Unreachable(io::ErrorKind::TimedOut.into()))));
        }
        if now >= connection.session.next_deadline().0 {
            connection.session.time(time);
        } else {
            connection.session.heartbeat(time);
        }
        self.hear(now, truth, marks)
    }

    /// Frames that are whole, and news.
    fn hear(&mut self, now: u64, truth: &mut Truth, marks: &mut Marks) -> Checked<Result<(), Option<ConnectError>>> {
        let time = Timestamp(now);
        loop {
            let Some(connection) = &mut self.connection else { return Ok(Ok(())) };
            if let Some(news) = connection.session.next_news() {
                if let Err(over) = self.take(news, now, marks) {
                    return Ok(Err(over));
                }
                self.learn(truth, marks)?;
                continue;
            }
            match connection.decoder.next_frame() {
                Ok(Some(frame)) => {
                    if let Err(unexpected) = connection.session.frame(frame, time) {
                        return Err(Finding::new(Promise::EventsAreTrue, format!("a trader: {unexpected}")));
                    }
                }
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Err(Finding::new(Promise::EventsAreTrue, format!("a trader: {error}"))),
            }
        }
    }

    /// What the session tells; what ends the connection, if that does.
    fn take(&mut self, news: News, now: u64, marks: &mut Marks) -> Result<(), Option<ConnectError>> {
        let time = Timestamp(now);
        let Some(connection) = &mut self.connection else { return Ok(()) };
        marks.news(&news);
        if connection.is_open {
            return match self.recovery.hear(news, &mut connection.session, time) {
                Ok(Heard::Open) => Ok(()),
                Ok(Heard::Over) => Err(None),
                Err(error) => {
                    self.over = Some((error.to_string(), now + RESTART_NS));
                    Err(None)
                }
            };
        }
        match news {
            News::Opened(opened) => {
                connection.is_open = true;
                self.recovery.opened(&opened, &mut connection.session, time);
                Ok(())
            }
            News::Refused(reason) => Err(Some(ConnectError::Refused(reason))),
            News::Ended(code) => Err(Some(ConnectError::Ended(code))),
            News::Message(_) | News::NotApplied(..) | News::Lost(_) => Ok(()),
        }
    }

    fn break_off(&mut self, error: Option<Option<ConnectError>>, now: u64, wires: &Wires, sent: &mut Sent) {
        let was_open = self.connection.as_ref().is_some_and(|connection| connection.is_open);
        self.disconnect(wires, sent, None);
        match error.unwrap_or_else(|| Some(closed())) {
            None => {}
            Some(error) if was_open => self.lost(error, now),
            Some(error) => self.failed(error, now),
        }
    }

    fn send_wanted(&mut self, now: u64, sent: &mut Sent) {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_open) else { return };
        let session = &mut connection.session;
        while let Some((name, request)) = self.wanted.pop_front() {
            let time = Timestamp(now);
            let number = match request {
                Request::New(message) => self.recovery.send(&message, session, time),
                Request::Amend(message) => self.recovery.send(&message, session, time),
                Request::Cancel(message) => self.recovery.send(&message, session, time),
                Request::MassCancel(message) => self.recovery.send(&message, session, time),
                Request::Kill(message) => self.recovery.send(&message, session, time),
            };
            match number {
                Ok(number) => {
                    let at = Numbered { session: self.session, version: self.last_version, number: number.0 };
                    sent.commands.insert(at, (name, request));
                }
                Err(SendError::Disconnected | SendError::TooManyUnanswered(_)) => {
                    self.wanted.push_front((name, request));
                    return;
                }
            }
        }
    }

    /// Asks something.
    pub fn ask(&mut self, account: AccountId, now: u64) {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_open) else { return };
        let (session, time) = (&mut connection.session, Timestamp(now));
        let (account, request_id) = (wire::AccountId::from(account), Some(RequestId(self.random.below(1_000))));
        match self.random.below(3) {
            0 => session.ask(&OrderMassStatusRequest { account, request_id, security_id: None }, time),
            1 => session.ask(&AccountBalanceRequest { account, request_id }, time),
            _ => {
                let from = ExecutionId(self.random.between(1, 50));
                session.ask(&DropCopyRequest { account, request_id, from, count: OrderCount(20) }, time);
            }
        }
    }

    /// Asks for all open orders of an account, or for its balances.
    pub fn ask_all(&mut self, account: AccountId, about: About, now: u64) {
        self.answers.clear();
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_open) else { return };
        let (session, time) = (&mut connection.session, Timestamp(now));
        let (account, request_id) = (wire::AccountId::from(account), Some(ALL));
        match about {
            About::Orders => session.ask(&OrderMassStatusRequest { account, request_id, security_id: None }, time),
            About::Balances => session.ask(&AccountBalanceRequest { account, request_id }, time),
        }
    }

    /// All answers to that, once the last of them is there.
    pub fn answers(&self) -> Option<&[OrderEntryMessage]> {
        let is_last = |message: &OrderEntryMessage| match message {
            OrderEntryMessage::ExecutionReport(report) => report.last_report_requested == Some(Indicator::Yes),
            OrderEntryMessage::AccountBalance(balance) => balance.last_report_requested == Some(Indicator::Yes),
            _ => true,
        };
        self.answers.last().is_some_and(is_last).then_some(self.answers.as_slice())
    }

    fn note_answer(&mut self, message: &OrderEntryMessage) {
        let request = match message {
            OrderEntryMessage::ExecutionReport(report) => report.request_id,
            OrderEntryMessage::AccountBalance(balance) => balance.request_id,
            OrderEntryMessage::BusinessMessageReject(reject)
                if reject.reject_reason == EdgeReason::Throttled.into() =>
            {
                Some(ALL)
            }
            OrderEntryMessage::BusinessMessageReject(reject) => reject.reference_id,
            _ => None,
        };
        if request == Some(ALL) {
            self.answers.push(message.clone());
        }
    }

    /// Writes what the connection takes; false if it is gone.
    fn write(&mut self, wires: &Wires) -> bool {
        let Some(connection) = &mut self.connection else { return true };
        let said = connection.session.take_out();
        if connection.sent.len() < HEARD_BYTES {
            connection.sent.extend(&said);
        }
        connection.out.extend(said);
        while !connection.out.is_empty() {
            let (front, _) = connection.out.as_slices();
            match wires.write(connection.wire, front) {
                Ok(count) => drop(connection.out.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// What its recovery tells.
    fn learn(&mut self, truth: &mut Truth, marks: &mut Marks) -> Checked {
        while let Some(news) = self.recovery.next_news() {
            if let Some(position) = self.recovery.position() {
                self.last_version = position.version.0;
            }
            marks.trader(&news);
            let (session, version) = (self.session, self.last_version);
            let at = |number| Numbered { session, version, number };
            match news {
                TraderNews::Message(message) => {
                    self.note_answer(&message);
                    if let Some(number) = report_number(&message) {
                        truth.received(at(number), &message)?;
                    }
                }
                TraderNews::NotApplied(number, _) => truth.told_not_applied(at(number.0))?,
                TraderNews::Lost(reason) => {
                    let what = format!("{}: reports are not kept: {reason}", self.session);
                    return Err(Finding::new(Promise::NothingIsLost, what));
                }
                TraderNews::Opened(opening) if opening.forgotten.0 > 0 => {
                    let what = format!("{}: {} reports are forgotten", self.session, opening.forgotten);
                    return Err(Finding::new(Promise::NothingIsLost, what));
                }
                TraderNews::CaughtUp => self.has_caught_up = true,
                TraderNews::Opened(_) | TraderNews::Unknown(..) | TraderNews::Disconnected(_) => {}
            }
        }
        Ok(())
    }
}

fn closed() -> ConnectError {
    ConnectError::Connection(client::Error::Io(io::ErrorKind::UnexpectedEof.into()))
}

fn recovery_of(session: SessionId, start: Start, seed: u64) -> Recovery {
    Recovery::new(session.into(), start, Policy::DEFAULT, seed)
}

/// The private half of a key of the world.
pub fn key_of(key: KeyId) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(key.0).expect("a small number"); 32])
}

/// A report's number in its session's stream.
pub fn report_number(message: &OrderEntryMessage) -> Option<u64> {
    let number = match message {
        OrderEntryMessage::ExecutionReport(report) => report.report_number,
        OrderEntryMessage::OrderCancelReject(report) => report.report_number,
        OrderEntryMessage::OrderMassActionReport(report) => report.report_number,
        OrderEntryMessage::AccountBalance(report) => report.report_number,
        OrderEntryMessage::BusinessMessageReject(report) => report.report_number,
        OrderEntryMessage::KillSwitchReport(report) => report.report_number,
        _ => None,
    };
    number.map(|number| number.0)
}
