//! The venue's side of one connection, after [FIXP], without I/O: inputs and the time in, actions out.
//!
//! ```text
//!              │ Connected   Negotiating Negotiated  EstablishingEstablished Closing
//! ─────────────┼────────────────────────────────────────────────────────────────────────
//! Negotiate    │ log in      violation   violation   violation   violation   ─
//! Establish    │ open        violation   open        violation   violation   ─
//! Sequence     │ violation   violation   violation   violation   number      ─
//! Application  │ violation   violation   violation   violation   command     ─
//! Question     │ violation   violation   violation   violation   ask         ─
//! Retransmit   │ violation   violation   violation   violation   recover     ─
//! Terminate    │ goodbye     goodbye     goodbye     goodbye     goodbye     ─
//! Malformed    │ violation   violation   violation   violation   violation   ─
//! Negotiated   │ ─           logged in   replaced    replaced    replaced    ─
//! Established  │ ─           ─           ─           opened      ─           take back
//! Rejected     │ ─           refused     ─           refused     ─           ─
//! Disconnected │ ─           ─           ─           ─           replaced    ─
//! NotTaken     │ ─           refused     ─           refused     reject      ─
//! Report       │ ─           ─           ─           ─           send        ─
//! Recovered    │ ─           ─           ─           ─           send again  ─
//! Copied       │ ─           ─           ─           ─           copy again  ─
//! Time         │ too late?   too late?   too late?   too late?   heartbeat   ─
//! Ended        │ end         end         end         end         end         ─
//! Closed       │ close       close       close       close       close       ─
//! ```
//!
//! Negotiated to Disconnected are the core's events: they alone answer a login. *Violation*, *goodbye*, *end* and *close*
//! submit a Disconnect where the session is open. An opening that the core grants to a connection that is already
//! closing is taken back at once, in the one cell of the last column.
//!
//! A login is looked at only if its address and key are not locked out; then its signature has to be the key's, or the
//! connection's client certificate be the key's, which needs no other signature; its address
//! one of the key's, its timestamp of now, in this order: who has not proved to have a key learns nothing else about it.
//! *Command* and *ask* have budgets; beyond one the message is refused, and too many refusals end the session. *Recover* has
//! none: there is one at a time.
//!
//! [FIXP]: https://www.fixtrading.org/standards/fixp/

use std::net::IpAddr;

use ed25519_dalek::{Signature, VerifyingKey};
use engine::command::{self, DisconnectReason, KeyKind, Role};
use engine::event::{SessionEstablished, SessionRejected};
use engine::{
    AccountId, Command, CommandBody, CommandHeader, CommandKind, Event, ExecId, KeyId, LoginNonce, Nanoseconds,
    SessionId, SessionSequence, SessionVersion, Timestamp,
};
use wire::order_entry::{
    BusinessMessageReject, DropCopyReport, DropCopyRequest, OrderEntryMessage, SecurityDefinition,
};
use wire::session::{
    Establish, EstablishmentAck, EstablishmentReject, Negotiate, NegotiationReject, NegotiationResponse,
    Retransmission, RetransmitReject, RetransmitRequest, Sequence, SessionMessage, Terminate,
};
use wire::{
    Block, EdgeReason, Frame, MessageCount, Milliseconds, OrderCount, RejectReason, RequestId, TemplateId,
    TerminationCode, Text48,
};

use crate::copies::CopyRange;
use crate::egress::{self, FrameBytes};
use crate::ingress::{self, Refusal};
use crate::lockout::Origin;
use crate::question::Question;
use crate::rights::Key;
use crate::throttle::{Budget, Budgets, Throttle, Throttles, Verdict};
use crate::transport::tls::Fingerprint;
use crate::view::View;

/// What a session may do, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// How far a signature's timestamp may be from the venue's time.
    pub signature_window: Nanoseconds,
    /// How long a connection may take until it is established; then it is closed.
    pub login_time_max: Nanoseconds,
    /// How long a frame may take from its first byte to its last; then the connection is closed.
    pub frame_time_max: Nanoseconds,
    /// The shortest keep-alive interval.
    pub keep_alive_min: Nanoseconds,
    /// The longest keep-alive interval.
    pub keep_alive_max: Nanoseconds,
    /// The longest grace after a loss.
    pub cancel_grace_max: Nanoseconds,
    /// The most reports of one retransmission.
    pub retransmit_max: u64,
    /// How fast it may go.
    pub throttles: Throttles,
}

impl SessionLimits {
    /// Five seconds of difference, ten to log in, five for a frame, intervals from 100 ms to a minute, an hour of grace,
    /// 1,000 reports, and [`Throttles::DEFAULT`].
    pub const DEFAULT: Self = Self {
        signature_window: Nanoseconds(5_000_000_000),
        login_time_max: Nanoseconds(10_000_000_000),
        frame_time_max: Nanoseconds(5_000_000_000),
        keep_alive_min: Nanoseconds(100_000_000),
        keep_alive_max: Nanoseconds(60_000_000_000),
        cancel_grace_max: Nanoseconds(3_600_000_000_000),
        retransmit_max: 1_000,
        throttles: Throttles::DEFAULT,
    };

    /// The default, but as fast as it can.
    pub const UNTHROTTLED: Self = Self { throttles: Throttles::OFF, ..Self::DEFAULT };
}

/// A login that the edge refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedLogin {
    /// Where it came from.
    pub address: IpAddr,
    /// The key that it named.
    pub key: wire::KeyId,
    /// Why it was refused.
    pub reason: RejectReason,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing was said.
    Connected,
    /// A login is with the core.
    Negotiating,
    /// Logged in.
    Negotiated,
    /// An opening is with the core.
    Establishing,
    /// Open for messages.
    Established,
    /// Nothing more is said.
    Closing,
}

/// What may happen to a connection.
#[derive(Debug)]
pub enum Input<'a> {
    /// The client sent a frame.
    Frame(Frame<'a>),
    /// The client sent what is no frame.
    NoFrame,
    /// An event of the core about this session.
    Core(&'a Event),
    /// A command of this session did not get into the core's ring, and why.
    NotTaken(&'a Command, EdgeReason),
    /// What a retransmission found, or why it found nothing.
    Recovered(Result<Vec<FrameBytes>, EdgeReason>),
    /// What a search for an account's reports found, or why it found nothing.
    Copied(Result<Vec<FrameBytes>, EdgeReason>),
    /// Time has passed.
    Time,
    /// The venue ends the session.
    Ended(TerminationCode),
    /// The connection is gone.
    Closed,
}

/// What a connection is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Hand a command to the core.
    Submit(Command),
    /// Send a frame.
    Send(FrameBytes),
    /// Answer a question.
    Answer(Question),
    /// Find reports and hand them in as [`Input::Recovered`].
    RequestReports {
        /// The login whose stream they are of.
        version: SessionVersion,
        /// The first.
        from: SessionSequence,
        /// How many.
        count: u64,
    },
    /// Find an account's reports and hand copies of them in as [`Input::Copied`].
    RequestCopies(CopyRange),
    /// Put a failed login on record.
    Record(FailedLogin),
    /// Send what is left and close.
    Close(TerminationCode),
}

/// An input's kind: the rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Negotiate,
    Establish,
    Sequence,
    Application,
    Question,
    Retransmit,
    Terminate,
    Malformed,
    Negotiated,
    Established,
    Rejected,
    Disconnected,
    NotTaken,
    Report,
    Recovered,
    Copied,
    Time,
    Ended,
    Closed,
}

/// The cells of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    Violation,
    LogIn,
    Open,
    LoggedIn,
    Opened,
    Refused,
    Replaced,
    TakeBack,
    Number,
    Command,
    Ask,
    Recover,
    Reject,
    Send,
    SendAgain,
    CopyAgain,
    CheckLate,
    Heartbeat,
    Goodbye,
    End,
    Close,
}

/// The table.
fn step(state: State, row: Row) -> Step {
    use State::{Closing, Connected, Established, Establishing, Negotiated, Negotiating};
    match (row, state) {
        (Row::Established, Closing) => Step::TakeBack,
        (_, Closing) => Step::Nothing,
        (Row::Negotiate, Connected) => Step::LogIn,
        (Row::Establish, Connected | Negotiated) => Step::Open,
        (Row::Sequence, Established) => Step::Number,
        (Row::Application, Established) => Step::Command,
        (Row::Question, Established) => Step::Ask,
        (Row::Retransmit, Established) => Step::Recover,
        (
            Row::Negotiate
            | Row::Establish
            | Row::Sequence
            | Row::Application
            | Row::Question
            | Row::Retransmit
            | Row::Malformed,
            Connected | Negotiating | Negotiated | Establishing | Established,
        ) => Step::Violation,
        (Row::Terminate, _) => Step::Goodbye,
        (Row::Negotiated, Negotiating) => Step::LoggedIn,
        (Row::Negotiated, Negotiated | Establishing | Established) => Step::Replaced,
        (Row::Established, Establishing) => Step::Opened,
        (Row::Rejected, Negotiating | Establishing) => Step::Refused,
        (Row::Disconnected, Established) => Step::Replaced,
        (Row::NotTaken, Negotiating | Establishing) => Step::Refused,
        (Row::NotTaken, Established) => Step::Reject,
        (Row::Report, Established) => Step::Send,
        (Row::Recovered, Established) => Step::SendAgain,
        (Row::Copied, Established) => Step::CopyAgain,
        (Row::Time, Connected | Negotiating | Negotiated | Establishing) => Step::CheckLate,
        (Row::Time, Established) => Step::Heartbeat,
        (Row::Ended, _) => Step::End,
        (Row::Closed, _) => Step::Close,
        (
            Row::Negotiated | Row::Established | Row::Rejected | Row::Disconnected | Row::NotTaken,
            Connected | Negotiating | Negotiated | Establishing | Established,
        ) => Step::Nothing,
        (Row::Report | Row::Recovered | Row::Copied, Connected | Negotiating | Negotiated | Establishing) => {
            Step::Nothing
        }
    }
}

/// Who the connection said it is, and what it asked last.
#[derive(Debug, Clone, Copy)]
struct Login {
    session: SessionId,
    key: KeyId,
    version: SessionVersion,
    /// The timestamp of the request that is being answered.
    request: wire::Timestamp,
}

/// Where both streams of an open session stand.
#[derive(Debug, Clone, Copy)]
struct Streams {
    /// The number of the client's next message.
    next_client: SessionSequence,
    /// The highest number that was handed to the core, and one: what is below is sent again.
    fresh: SessionSequence,
    /// The number of the next report.
    next_report: SessionSequence,
    keep_alive: Nanoseconds,
    throttle: Throttle,
    /// The retransmission under way.
    recovering: Option<Recovering>,
    /// The search for an account's reports under way.
    copying: Option<Copying>,
}

#[derive(Debug, Clone, Copy)]
struct Copying {
    request: Option<RequestId>,
    range: CopyRange,
}

#[derive(Debug, Clone, Copy)]
struct Recovering {
    request: wire::Timestamp,
    from: SessionSequence,
}

/// The venue's side of one connection.
#[derive(Debug)]
pub struct Session {
    limits: SessionLimits,
    /// Where the peer is.
    address: IpAddr,
    /// The certificate whose key the peer has proved to have.
    certificate: Option<Fingerprint>,
    state: State,
    login: Option<Login>,
    streams: Option<Streams>,
    /// The connection is closing, but the core has still to answer an opening.
    owes_answer: bool,
    connected_at: Timestamp,
    heard_at: Timestamp,
    sent_at: Timestamp,
}

impl Session {
    /// A connection that was made from an address at `now`.
    pub fn new(limits: SessionLimits, address: IpAddr, now: Timestamp) -> Self {
        Self {
            limits,
            address,
            certificate: None,
            state: State::Connected,
            login: None,
            streams: None,
            owes_answer: false,
            connected_at: now,
            heard_at: now,
            sent_at: now,
        }
    }

    /// How far the connection has come.
    pub fn state(&self) -> State {
        self.state
    }

    /// The session that the connection is for, once it said so.
    pub fn session(&self) -> Option<SessionId> {
        self.login.map(|login| login.session)
    }

    /// The key that the connection speaks by, once it said so.
    pub fn key(&self) -> Option<KeyId> {
        self.login.map(|login| login.key)
    }

    /// Where the peer is.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The peer has proved to have a certificate's key.
    pub fn identify(&mut self, certificate: Fingerprint) {
        self.certificate = Some(certificate);
    }

    /// Whether an answer of the core has still to be waited for after the connection is closed.
    pub fn owes_answer(&self) -> bool {
        self.owes_answer
    }

    /// When [`Input::Time`] is due next.
    pub fn next_deadline(&self) -> Timestamp {
        match (self.state, &self.streams) {
            (State::Closing, _) => Timestamp::NEVER,
            (State::Established, Some(streams)) => {
                self.sent_at.after(streams.keep_alive).min(self.heard_at.after(twice(streams.keep_alive)))
            }
            _ => self.connected_at.after(self.limits.login_time_max),
        }
    }

    /// Whether a report, numbered or not, is to be sent at `now`; then it counts as sent.
    #[must_use]
    pub fn report(&mut self, number: Option<SessionSequence>, now: Timestamp) -> bool {
        if step(self.state, Row::Report) != Step::Send {
            return false;
        }
        if let (Some(number), Some(streams)) = (number, &mut self.streams) {
            streams.next_report = number.next();
        }
        self.sent_at = now;
        true
    }

    /// Takes any other input at `now`, and appends what is to be done to `actions`.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp, view: &mut View, actions: &mut Vec<Action>) {
        let mut turn = Turn { session: self, now, view, actions };
        match input {
            Input::Frame(frame) => turn.frame(frame),
            Input::NoFrame => turn.run(Row::Malformed, |_, _| {}),
            Input::Core(event) => turn.core(event),
            Input::NotTaken(command, reason) => {
                turn.run(Row::NotTaken, |turn, step| turn.not_taken(step, command, reason));
            }
            Input::Recovered(found) => turn.run(Row::Recovered, |turn, _| turn.send_again(found)),
            Input::Copied(found) => turn.run(Row::Copied, |turn, _| turn.copy_again(found)),
            Input::Time => turn.run(Row::Time, |turn, step| turn.time(step)),
            Input::Ended(code) => turn.run(Row::Ended, |turn, _| turn.end(code)),
            Input::Closed => turn.run(Row::Closed, |turn, _| turn.end_silently(TerminationCode::ConnectionLost)),
        }
    }
}

/// One input's turn.
struct Turn<'a> {
    session: &'a mut Session,
    now: Timestamp,
    view: &'a mut View,
    actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    /// Looks the cell up. Cells that are the same in every row are carried out here, the others by `act`.
    fn run(&mut self, row: Row, act: impl FnOnce(&mut Self, Step)) {
        match step(self.session.state, row) {
            Step::Nothing => {}
            Step::Violation => self.end(TerminationCode::ProtocolViolation),
            Step::Replaced => {
                // The core has ended the session itself: there is nothing to disconnect.
                self.session.state = State::Closing;
                self.send_terminate(TerminationCode::Replaced);
                self.actions.push(Action::Close(TerminationCode::Replaced));
            }
            Step::Goodbye => self.end(TerminationCode::Terminated),
            Step::TakeBack => {
                self.session.owes_answer = false;
                self.submit_disconnect(DisconnectReason::ConnectionLost);
            }
            cell => act(self, cell),
        }
    }

    fn frame(&mut self, frame: Frame<'_>) {
        self.session.heard_at = self.now;
        if Question::is_in(&frame) {
            return self.run(Row::Question, |turn, _| turn.question(frame));
        }
        if frame.header.schema_id != wire::session::SCHEMA.id {
            return self.run(Row::Application, |turn, _| turn.application(frame));
        }
        match SessionMessage::try_from(frame) {
            Ok(SessionMessage::Negotiate(request)) => self.run(Row::Negotiate, |turn, _| turn.negotiate(&request)),
            Ok(SessionMessage::Establish(request)) => self.run(Row::Establish, |turn, _| turn.establish(&request)),
            Ok(SessionMessage::Sequence(sequence)) => self.run(Row::Sequence, |turn, _| turn.number(sequence)),
            Ok(SessionMessage::RetransmitRequest(request)) => {
                self.run(Row::Retransmit, |turn, _| turn.recover(&request));
            }
            Ok(SessionMessage::Terminate(_)) => self.run(Row::Terminate, |_, _| {}),
            Ok(
                SessionMessage::NegotiationResponse(_)
                | SessionMessage::NegotiationReject(_)
                | SessionMessage::EstablishmentAck(_)
                | SessionMessage::EstablishmentReject(_)
                | SessionMessage::NotApplied(_)
                | SessionMessage::Retransmission(_)
                | SessionMessage::RetransmitReject(_),
            )
            | Err(_) => self.run(Row::Malformed, |_, _| {}),
        }
    }

    fn core(&mut self, event: &Event) {
        match event {
            Event::SessionNegotiated(negotiated) => {
                self.run(Row::Negotiated, |turn, _| turn.negotiated(negotiated.version));
            }
            Event::SessionEstablished(opened) => self.run(Row::Established, |turn, _| turn.established(opened)),
            Event::SessionRejected(rejected) => {
                self.session.owes_answer = false;
                self.run(Row::Rejected, |turn, _| turn.rejected(rejected));
            }
            Event::SessionDisconnected(_) => self.run(Row::Disconnected, |_, _| {}),
            other => unreachable!("{:?} is no event of a session's state", other.kind()),
        }
    }

    // Login.

    fn negotiate(&mut self, request: &Negotiate) {
        let refuse = |turn: &mut Self, reason: RejectReason| {
            turn.send(&NegotiationReject {
                session_id: request.session_id,
                session_version: request.session_version,
                request_timestamp: request.timestamp,
                text: reason_text(reason),
                reject_reason: reason,
            });
            turn.record(request.key_id, reason);
            turn.close(TerminationCode::Terminated);
        };
        let signed = request.signed_text();
        let ids = (request.session_id, request.key_id);
        match self.prove(ids, request.timestamp, signed.as_bytes(), &request.signature.0) {
            Err(reason) => refuse(self, reason),
            Ok((session, key)) => {
                let version = request.session_version.into();
                self.session.login = Some(Login { session, key, version, request: request.timestamp });
                self.session.state = State::Negotiating;
                self.submit(SessionSequence::NONE, command::Negotiate { version });
            }
        }
    }

    fn establish(&mut self, request: &Establish) {
        match self.check_establish(request) {
            Err(reason) => {
                self.send(&EstablishmentReject {
                    session_id: request.session_id,
                    session_version: request.session_version,
                    request_timestamp: request.timestamp,
                    next_sequence: None,
                    text: reason_text(reason),
                    reject_reason: reason,
                });
                self.record(request.key_id, reason);
                self.close(TerminationCode::Terminated);
            }
            Ok((login, command)) => {
                self.session.login = Some(login);
                self.session.state = State::Establishing;
                self.session.owes_answer = true;
                self.submit(SessionSequence::NONE, command);
            }
        }
    }

    fn check_establish(&mut self, request: &Establish) -> Result<(Login, command::Establish), RejectReason> {
        let limits = self.session.limits;
        let signed = request.signed_text();
        let ids = (request.session_id, request.key_id);
        let (session, key) = self.prove(ids, request.timestamp, signed.as_bytes(), &request.signature.0)?;
        if self.session.login.is_some_and(|login| (login.session, login.key) != (session, key)) {
            return Err(engine::RejectReason::SessionKeyMismatch.into());
        }
        if request.order_entry_schema_id != wire::order_entry::SCHEMA.id {
            return Err(EdgeReason::UnsupportedSchema.into());
        }
        let keep_alive = request.keep_alive.into();
        if !(limits.keep_alive_min..=limits.keep_alive_max).contains(&keep_alive) {
            return Err(EdgeReason::KeepAliveOutOfRange.into());
        }
        let cancel_grace = request.cancel_grace.into();
        if cancel_grace > limits.cancel_grace_max {
            return Err(EdgeReason::GraceOutOfRange.into());
        }
        let version = request.session_version.into();
        let command = command::Establish {
            version,
            nonce: LoginNonce::from(request.nonce),
            cancel_on_disconnect: request.cancel_on_disconnect.try_into().map_err(|_| EdgeReason::Malformed)?,
            cancel_grace,
            keep_alive,
        };
        Ok((Login { session, key, version, request: request.timestamp }, command))
    }

    /// Whose signature it is, if it is anybody's, from where its holder may come, and of now.
    fn prove(
        &mut self,
        (session, claimed): (wire::SessionId, wire::KeyId),
        timestamp: wire::Timestamp,
        text: &[u8],
        signature: &[u8; 64],
    ) -> Result<(SessionId, KeyId), RejectReason> {
        let key = KeyId::try_from(claimed).ok();
        let (origin, now) = (Origin::from(self.session.address), self.now);
        if self.view.lockouts().bars(key, origin, now) {
            return Err(EdgeReason::TooManyLogins.into());
        }
        let key = match self.holder(key, text, signature) {
            Ok(key) => key,
            Err(reason) => {
                self.view.lockouts().guessed(key, origin, now);
                return Err(reason);
            }
        };
        let session = SessionId::try_from(session).map_err(|_| engine::RejectReason::IdentityOutOfRange)?;
        let may_come_from = |known: &Key| known.may_come_from(self.session.address);
        if !self.view.rights().key(key).is_some_and(may_come_from) {
            return Err(EdgeReason::AddressNotAllowed.into());
        }
        if timestamp.0.abs_diff(now.0) > self.session.limits.signature_window.0 {
            return Err(EdgeReason::TimestampOutOfWindow.into());
        }
        Ok((session, key))
    }

    /// The key, if it is known and this is its signature.
    fn holder(&self, key: Option<KeyId>, text: &[u8], signature: &[u8; 64]) -> Result<KeyId, RejectReason> {
        let known = key.and_then(|id| self.view.rights().key(id).map(|key| (id, key)));
        let (id, key) = known.ok_or(engine::RejectReason::UnknownKey)?;
        let is_proved = match key.kind {
            KeyKind::Ed25519 => VerifyingKey::from_bytes(&key.public_key)
                .and_then(|public_key| public_key.verify_strict(text, &Signature::from_bytes(signature)))
                .is_ok(),
            KeyKind::Certificate => self.session.certificate == Some(Fingerprint(key.public_key)),
        };
        if is_proved { Ok(id) } else { Err(EdgeReason::SignatureInvalid.into()) }
    }

    fn record(&mut self, key: wire::KeyId, reason: RejectReason) {
        let address = self.session.address;
        self.actions.push(Action::Record(FailedLogin { address, key, reason }));
    }

    fn negotiated(&mut self, version: SessionVersion) {
        let Some(login) = self.session.login else { return };
        self.session.state = State::Negotiated;
        self.send(&NegotiationResponse {
            session_id: login.session.into(),
            session_version: version.into(),
            request_timestamp: login.request,
        });
    }

    fn established(&mut self, opened: &SessionEstablished) {
        let Some(login) = self.session.login else { return };
        self.session.state = State::Established;
        self.session.owes_answer = false;
        self.session.heard_at = self.now;
        self.view.lockouts().opened(login.key, self.session.address.into());
        let throttle = Throttle::new(self.budgets(login.key));
        self.session.streams = Some(Streams {
            next_client: opened.next_client_sequence,
            fresh: opened.next_client_sequence,
            next_report: opened.next_report_number,
            keep_alive: opened.keep_alive,
            throttle,
            recovering: None,
            copying: None,
        });
        // Both came as milliseconds.
        let milliseconds = |duration: Nanoseconds| Milliseconds::try_from(duration).unwrap_or(Milliseconds(0));
        self.send(&EstablishmentAck {
            session_id: opened.session.into(),
            session_version: opened.version.into(),
            request_timestamp: login.request,
            next_sequence: opened.next_client_sequence.into(),
            next_report_number: opened.next_report_number.into(),
            keep_alive: milliseconds(opened.keep_alive),
            cancel_grace: milliseconds(opened.cancel_grace),
            order_entry_schema_id: wire::order_entry::SCHEMA.id,
            order_entry_schema_version: wire::order_entry::SCHEMA.version,
            session_schema_version: wire::session::SCHEMA.version,
            cancel_on_disconnect: opened.cancel_on_disconnect.into(),
        });
        let definitions: Vec<SecurityDefinition> = self.view.instruments().map(egress::security_definition).collect();
        definitions.iter().for_each(|definition| self.send(definition));
        self.tell_where_copies_stand();
    }

    /// Of the accounts that the key was granted by name: the venue has too many, and whoever reads all of them asks.
    fn tell_where_copies_stand(&mut self) {
        let accounts = self.key().into_iter().flat_map(Key::copied_accounts).filter(|account| !account.is_none());
        for account in accounts.collect::<Vec<_>>() {
            self.send(&self.standing(account, None));
        }
    }

    fn budgets(&self, key: KeyId) -> Budgets {
        let Throttles { trader, market_maker } = self.session.limits.throttles;
        let makes_markets = self.view.rights().key(key).is_some_and(|key| key.acts_as(Role::MarketMaker));
        if makes_markets { market_maker } else { trader }
    }

    fn rejected(&mut self, rejected: &SessionRejected) {
        self.refuse_login(rejected.response_to, rejected.reason.into());
    }

    fn refuse_login(&mut self, response_to: CommandKind, reason: RejectReason) {
        let Some(login) = self.session.login else { return };
        let (session_id, session_version) = (login.session.into(), login.version.into());
        let (request_timestamp, text, reject_reason) = (login.request, reason_text(reason), reason);
        if response_to == CommandKind::Negotiate {
            self.send(&NegotiationReject { session_id, session_version, request_timestamp, text, reject_reason });
        } else {
            let next_sequence = None;
            self.send(&EstablishmentReject {
                session_id,
                session_version,
                request_timestamp,
                next_sequence,
                text,
                reject_reason,
            });
        }
        self.session.owes_answer = false;
        self.close(TerminationCode::Terminated);
    }

    // The client's stream.

    fn number(&mut self, sequence: Sequence) {
        match &mut self.session.streams {
            Some(streams) if (1..u64::MAX).contains(&sequence.next_sequence.0) => {
                streams.next_client = sequence.next_sequence.into();
            }
            _ => self.end(TerminationCode::ProtocolViolation),
        }
    }

    /// Every message of an application has a number, also one that cannot be read.
    fn application(&mut self, frame: Frame<'_>) {
        let Some(login) = self.session.login else { return };
        let Some(number) = self.use_number() else { return self.end(TerminationCode::ProtocolViolation) };
        let verdict = self.take(Budget::of_command(&frame));
        if verdict != Verdict::Pass {
            return self.throttled(verdict, Some(number), frame);
        }
        let body = OrderEntryMessage::try_from(frame)
            .map_err(|error| ingress::unreadable(&error))
            .and_then(|message| ingress::command(&message, login.key, self.view));
        match body {
            Err(refusal) => self.reject_message(Some(number), frame.header.template_id, &refusal),
            Ok(body) => {
                let command = Command { header: self.header(&login, number), body };
                self.note_order(&command);
                self.actions.push(Action::Submit(command));
            }
        }
    }

    fn question(&mut self, frame: Frame<'_>) {
        let verdict = self.take(Budget::Questions);
        if verdict != Verdict::Pass {
            return self.throttled(verdict, None, frame);
        }
        match Question::read(frame).and_then(|question| question.permitted(self.key())) {
            Ok(Question::DropCopy(request)) => self.find_copies(&request),
            Ok(question) => self.actions.push(Action::Answer(question)),
            Err(refusal) => self.reject_message(None, frame.header.template_id, &refusal),
        }
    }

    fn take(&mut self, budget: Budget) -> Verdict {
        let streams = self.session.streams.as_mut().expect("an open session has streams");
        streams.throttle.take(budget, self.now)
    }

    /// Refuses a message that is beyond its budget. Its number is used: it is not to be waited for.
    fn throttled(&mut self, verdict: Verdict, number: Option<SessionSequence>, frame: Frame<'_>) {
        let refusal = Refusal::new(EdgeReason::Throttled, "the session sends more than it may");
        let reference = OrderEntryMessage::try_from(frame).ok().and_then(|message| ingress::reference(&message));
        self.reject_message(number, frame.header.template_id, &Refusal { reference, ..refusal });
        if verdict == Verdict::End {
            self.end(TerminationCode::Throttled);
        }
    }

    /// None: the stream has come to its end. Nothing could be told from the last number there is when it comes again.
    fn use_number(&mut self) -> Option<SessionSequence> {
        let streams = self.session.streams.as_mut().expect("an open session has streams");
        let number = streams.next_client;
        streams.next_client = number.next();
        (streams.next_client > number).then_some(number)
    }

    /// Makes an order's name known before the core has accepted it. One that is sent again is known.
    fn note_order(&mut self, Command { header, body }: &Command) {
        let streams = self.session.streams.as_mut().expect("an open session has streams");
        if header.client_sequence < streams.fresh {
            return;
        }
        streams.fresh = header.client_sequence.next();
        if let CommandBody::NewOrder(order) = body {
            self.view.sending(header, order);
        }
    }

    /// Refuses a message by its number; what only asks has none.
    fn reject_message(&mut self, number: Option<SessionSequence>, template: TemplateId, refusal: &Refusal) {
        self.send(&BusinessMessageReject {
            answered_sequence: number.map(Into::into),
            reference_id: refusal.reference,
            transact_time: self.now.into(),
            text: refusal.text,
            reference_tag: None,
            reference_template: template,
            reject_reason: refusal.reason,
            ..BusinessMessageReject::BLANK
        });
    }

    fn not_taken(&mut self, step: Step, command: &Command, reason: EdgeReason) {
        if step == Step::Refused {
            return self.refuse_login(command.body.kind(), reason.into());
        }
        if let CommandBody::NewOrder(order) = &command.body {
            self.view.not_sent(&command.header, order);
        }
        if let Some((template, reference)) = egress::request_of(&command.body) {
            let refusal = Refusal { reference, ..Refusal::new(reason, not_taken_text(reason)) };
            self.reject_message(Some(command.header.client_sequence), template, &refusal);
        }
    }

    // The venue's stream.

    fn recover(&mut self, request: &RetransmitRequest) {
        let limits = self.session.limits;
        let streams = self.session.streams.as_mut().expect("an open session has streams");
        let (from, count) = (request.from_sequence.0, request.count.0);
        let refused = match (streams.recovering, from.checked_add(count)) {
            (Some(_), _) => Some(EdgeReason::RetransmitInProgress),
            (None, Some(end)) if from > 0 && count > 0 && end <= streams.next_report.0 => {
                (count > limits.retransmit_max).then_some(EdgeReason::RetransmitTooLong)
            }
            (None, _) => Some(EdgeReason::RetransmitRangeInvalid),
        };
        if let Some(reason) = refused {
            return self.refuse_reports(request.timestamp, reason);
        }
        let from = request.from_sequence.into();
        streams.recovering = Some(Recovering { request: request.timestamp, from });
        let version = self.session.login.map(|login| login.version).unwrap_or_default();
        self.actions.push(Action::RequestReports { version, from, count });
    }

    fn refuse_reports(&mut self, request_timestamp: wire::Timestamp, reason: EdgeReason) {
        let reject_reason = reason.into();
        self.send(&RetransmitReject { request_timestamp, text: reason_text(reject_reason), reject_reason });
    }

    fn send_again(&mut self, found: Result<Vec<FrameBytes>, EdgeReason>) {
        let Some(recovering) = self.session.streams.as_mut().and_then(|streams| streams.recovering.take()) else {
            return;
        };
        match found {
            Err(reason) => self.refuse_reports(recovering.request, reason),
            Ok(frames) => {
                self.send(&Retransmission {
                    request_timestamp: recovering.request,
                    next_sequence: recovering.from.into(),
                    count: MessageCount(frames.len() as u64),
                });
                frames.into_iter().for_each(|frame| self.send_frame(frame));
            }
        }
    }

    // Copies.

    fn find_copies(&mut self, request: &DropCopyRequest) {
        let Ok(account) = AccountId::try_from(request.account) else { return };
        let (from, next) = (ExecId::from(request.from), self.view.next_execution(account));
        let limits = self.session.limits;
        let streams = self.session.streams.as_mut().expect("an open session has streams");
        let count = u64::from(request.count.0);
        let refused = match streams.copying {
            Some(_) => Some(EdgeReason::RetransmitInProgress),
            None if from.is_none() || count == 0 || from >= next => Some(EdgeReason::RetransmitRangeInvalid),
            None => (count > limits.retransmit_max).then_some(EdgeReason::RetransmitTooLong),
        };
        if let Some(reason) = refused {
            return self.refuse_copies(account, request.request_id, reason.into());
        }
        // As many as there are.
        let range = CopyRange { account, from, count: count.min(next.0 - from.0) };
        streams.copying = Some(Copying { request: request.request_id, range });
        self.actions.push(Action::RequestCopies(range));
    }

    fn copy_again(&mut self, found: Result<Vec<FrameBytes>, EdgeReason>) {
        let Some(Copying { request, range }) = self.session.streams.as_mut().and_then(|streams| streams.copying.take())
        else {
            return;
        };
        // The right may have been taken away meanwhile.
        if !self.key().is_some_and(|key| key.copies(range.account)) {
            return self.refuse_copies(range.account, request, engine::RejectReason::NotEntitled.into());
        }
        match found {
            Err(reason) => self.refuse_copies(range.account, request, reason.into()),
            Ok(frames) => {
                let count = u32::try_from(frames.len()).expect("a range has few reports");
                self.send(&DropCopyReport {
                    from: Some(range.from.into()),
                    count: OrderCount(count),
                    ..self.standing(range.account, request)
                });
                frames.into_iter().for_each(|frame| self.send_frame(frame));
            }
        }
    }

    fn refuse_copies(&mut self, account: AccountId, request: Option<RequestId>, reason: RejectReason) {
        self.send(&DropCopyReport { reject_reason: Some(reason), ..self.standing(account, request) });
    }

    /// Where an account's reports stand.
    fn standing(&self, account: AccountId, request: Option<RequestId>) -> DropCopyReport {
        DropCopyReport {
            account: account.into(),
            request_id: request,
            next: self.view.next_execution(account).into(),
            from: None,
            transact_time: self.now.into(),
            count: OrderCount(0),
            reject_reason: None,
        }
    }

    /// The key that opened the session, while it counts.
    fn key(&self) -> Option<&Key> {
        self.session.login.and_then(|login| self.view.rights().key(login.key))
    }

    // Time and the end.

    fn time(&mut self, step: Step) {
        let now = self.now;
        let Some(streams) = self.session.streams.filter(|_| step == Step::Heartbeat) else {
            if now >= self.session.connected_at.after(self.session.limits.login_time_max) {
                self.end(TerminationCode::KeepAliveExpired);
            }
            return;
        };
        if now >= self.session.heard_at.after(twice(streams.keep_alive)) {
            return self.end(TerminationCode::KeepAliveExpired);
        }
        if now >= self.session.sent_at.after(streams.keep_alive) {
            self.send(&Sequence { next_sequence: streams.next_report.into() });
        }
    }

    fn end(&mut self, code: TerminationCode) {
        self.disconnect_if_open(code);
        self.send_terminate(code);
        self.close(code);
    }

    fn end_silently(&mut self, code: TerminationCode) {
        self.disconnect_if_open(code);
        self.close(code);
    }

    fn disconnect_if_open(&mut self, code: TerminationCode) {
        if self.session.state == State::Established {
            self.submit_disconnect(DisconnectReason::try_from(code).unwrap_or(DisconnectReason::ConnectionLost));
        }
    }

    fn close(&mut self, code: TerminationCode) {
        self.session.state = State::Closing;
        self.actions.push(Action::Close(code));
    }

    fn send_terminate(&mut self, code: TerminationCode) {
        let login = self.session.login;
        self.send(&Terminate {
            session_id: login.map(|login| login.session).unwrap_or_default().into(),
            session_version: login.map(|login| login.version).unwrap_or_default().into(),
            code,
        });
    }

    fn submit_disconnect(&mut self, reason: DisconnectReason) {
        let version = self.session.login.map(|login| login.version).unwrap_or_default();
        self.submit(SessionSequence::NONE, command::Disconnect { version, reason });
    }

    fn submit(&mut self, client_sequence: SessionSequence, body: impl Into<CommandBody>) {
        let Some(login) = self.session.login else { return };
        self.actions.push(Action::Submit(Command { header: self.header(&login, client_sequence), body: body.into() }));
    }

    fn header(&self, login: &Login, client_sequence: SessionSequence) -> CommandHeader {
        CommandHeader { author: login.key, session: login.session, client_sequence, received_at: self.now }
    }

    fn send<M: wire::Flat>(&mut self, message: &M) {
        self.send_frame(egress::frame(message));
    }

    fn send_frame(&mut self, frame: FrameBytes) {
        self.session.sent_at = self.now;
        self.actions.push(Action::Send(frame));
    }
}

fn twice(interval: Nanoseconds) -> Nanoseconds {
    Nanoseconds(interval.0.saturating_mul(2))
}

/// Shorter than the reason's own words, which the message has no room for.
fn not_taken_text(reason: EdgeReason) -> &'static str {
    match reason {
        EdgeReason::StorageLow => "the venue's storage fills: only cancels now",
        EdgeReason::StorageFull => "the venue's storage is full",
        _ => "the venue is busy",
    }
}

fn reason_text(reason: RejectReason) -> Text48 {
    Text48::new(reason.name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use ed25519_dalek::{Signer, SigningKey};
    use engine::command::{AddKey, AdminNote, AllowAddress, GrantRole, KeyKind, Role};
    use engine::event::{
        AddressAllowed, KeyAdded, MassCancelRejected, RoleGranted, RoleRevoked, SessionDisconnected, SessionNegotiated,
    };
    use engine::{ClientOrderId, EventHeader, EventId, OrderId};
    use wire::Signature64;

    use crate::throttle::Rate;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);
    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const SESSION: SessionId = SessionId(7);
    const KEY: KeyId = KeyId(5);
    const ACCOUNT: AccountId = AccountId(2);

    fn signing_key() -> SigningKey {
        SigningKey::from_bytes(&[9; 32])
    }

    const HEADER: EventHeader =
        EventHeader { id: EventId { sequence: engine::Sequence(1), index: 0 }, time: NOW, received_at: NOW };

    fn view() -> View {
        let mut view = View::default();
        let public_key = signing_key().verifying_key().to_bytes();
        let command = AddKey { key: KEY, kind: KeyKind::Ed25519, public_key, note: AdminNote::NONE };
        view.apply(&HEADER, &Event::KeyAdded(KeyAdded { author: KeyId::VENUE, command }));
        view
    }

    fn negotiate() -> Negotiate {
        let mut request = Negotiate {
            session_id: SESSION.into(),
            session_version: wire::SessionVersion(3),
            key_id: KEY.into(),
            timestamp: NOW.into(),
            signature: Signature64([0; 64]),
        };
        request.signature = Signature64(signing_key().sign(request.signed_text().as_bytes()).to_bytes());
        request
    }

    fn sign(mut request: Establish) -> Establish {
        request.signature = Signature64(signing_key().sign(request.signed_text().as_bytes()).to_bytes());
        request
    }

    fn establish() -> Establish {
        sign(Establish {
            session_id: SESSION.into(),
            session_version: wire::SessionVersion(3),
            key_id: KEY.into(),
            nonce: wire::Nonce(1),
            timestamp: NOW.into(),
            next_sequence: wire::SessionSequence(1),
            keep_alive: Milliseconds(1_000),
            order_entry_schema_id: wire::order_entry::SCHEMA.id,
            cancel_on_disconnect: wire::CancelOnDisconnect::Keep,
            cancel_grace: Milliseconds(0),
            ..Establish::BLANK
        })
    }

    fn negotiated() -> Event {
        SessionNegotiated { session: SESSION, key: KEY, version: SessionVersion(3) }.into()
    }

    fn opened() -> Event {
        SessionEstablished {
            session: SESSION,
            version: SessionVersion(3),
            next_client_sequence: SessionSequence(6),
            next_report_number: SessionSequence(9),
            cancel_on_disconnect: command::CancelOnDisconnect::Keep,
            cancel_grace: Nanoseconds(0),
            keep_alive: Nanoseconds(1_000_000_000),
        }
        .into()
    }

    fn rejected(response_to: CommandKind) -> Event {
        let (version, reason) = (SessionVersion(3), engine::RejectReason::SessionVersionNotGreater);
        SessionRejected { session: SESSION, response_to, version, reason }.into()
    }

    fn disconnected() -> Event {
        let (version, reason) = (SessionVersion(3), DisconnectReason::Replaced);
        SessionDisconnected { session: SESSION, version, reason, cancel_at: Timestamp::NEVER }.into()
    }

    fn cancel_order() -> command::CancelOrder {
        command::CancelOrder {
            account: AccountId(2),
            order_id: OrderId(1),
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: ClientOrderId::NONE,
        }
    }

    /// One connection, its view, and what it was told to do in words.
    struct Link {
        session: Session,
        view: View,
    }

    impl Link {
        fn new() -> Self {
            Self::with(SessionLimits::DEFAULT)
        }

        fn with(limits: SessionLimits) -> Self {
            Self { session: Session::new(limits, ADDRESS, NOW), view: view() }
        }

        fn open(&mut self) {
            self.send(&establish());
            self.hear(Input::Core(&opened()), NOW);
        }

        fn at(state: State) -> Self {
            let mut link = Self::new();
            if state == State::Connected {
                return link;
            }
            link.send(&negotiate());
            if state == State::Negotiating {
                return link;
            }
            link.hear(Input::Core(&negotiated()), NOW);
            if state == State::Negotiated {
                return link;
            }
            link.send(&establish());
            if state == State::Establishing {
                return link;
            }
            link.hear(Input::Core(&opened()), NOW);
            if state == State::Closing {
                link.hear(Input::Ended(TerminationCode::VenueStopped), NOW);
            }
            assert_eq!(link.session.state(), state);
            link
        }

        fn hear(&mut self, input: Input<'_>, now: Timestamp) -> String {
            let mut actions = Vec::new();
            self.session.handle(input, now, &mut self.view, &mut actions);
            actions.iter().map(in_words).collect::<Vec<_>>().join(", ")
        }

        fn send<M: wire::Flat>(&mut self, message: &M) -> String {
            let bytes = egress::frame(message);
            self.hear(Input::Frame(Frame::split(&bytes).unwrap().0), NOW)
        }
    }

    fn in_words(action: &Action) -> String {
        match action {
            Action::Submit(command) => format!("{} {}", command.body.name(), command.header.client_sequence),
            Action::RequestReports { from, count, .. } => format!("reports {from}+{count}"),
            Action::RequestCopies(CopyRange { account, from, count }) => format!("copies of {account} {from}+{count}"),
            Action::Answer(question) => format!("answer {}", question.template().0),
            Action::Record(failed) => format!("record {}", failed.reason.name().unwrap_or("no reason")),
            Action::Close(code) => format!("close {code:?}"),
            Action::Send(frame) => {
                let (frame, _) = Frame::split(frame).unwrap();
                if let Ok(message) = SessionMessage::try_from(frame) {
                    let text = format!("{message:?}");
                    return text.split('(').next().unwrap().to_owned();
                }
                format!("{:?}", OrderEntryMessage::try_from(frame).unwrap()).split('(').next().unwrap().to_owned()
            }
        }
    }

    const STATES: [State; 6] = [
        State::Connected,
        State::Negotiating,
        State::Negotiated,
        State::Establishing,
        State::Established,
        State::Closing,
    ];

    /// A row of the table: what each state does with the same input.
    fn assert_row(what: &str, expected: [&str; 6], act: impl Fn(&mut Link) -> String) {
        for (state, expected) in STATES.into_iter().zip(expected) {
            assert_eq!(act(&mut Link::at(state)), expected, "{what} in {state:?}");
        }
    }

    const ROWS: [Row; 19] = [
        Row::Negotiate,
        Row::Establish,
        Row::Sequence,
        Row::Application,
        Row::Question,
        Row::Retransmit,
        Row::Terminate,
        Row::Malformed,
        Row::Negotiated,
        Row::Established,
        Row::Rejected,
        Row::Disconnected,
        Row::NotTaken,
        Row::Report,
        Row::Recovered,
        Row::Copied,
        Row::Time,
        Row::Ended,
        Row::Closed,
    ];

    fn in_the_table(step: Step) -> &'static str {
        match step {
            Step::Nothing => "─",
            Step::Violation => "violation",
            Step::LogIn => "log in",
            Step::Open => "open",
            Step::LoggedIn => "logged in",
            Step::Opened => "opened",
            Step::Refused => "refused",
            Step::Replaced => "replaced",
            Step::TakeBack => "take back",
            Step::Number => "number",
            Step::Command => "command",
            Step::Ask => "ask",
            Step::Recover => "recover",
            Step::Reject => "reject",
            Step::Send => "send",
            Step::SendAgain => "send again",
            Step::CopyAgain => "copy again",
            Step::CheckLate => "too late?",
            Step::Heartbeat => "heartbeat",
            Step::Goodbye => "goodbye",
            Step::End => "end",
            Step::Close => "close",
        }
    }

    /// The table as it is drawn.
    fn drawn() -> String {
        let line = |name: String, cells: [String; 6]| {
            let cells = cells.map(|cell| format!("{cell:<12}")).concat();
            format!("{name:<13}│ {}\n", cells.trim_end())
        };
        let mut table = line(String::new(), STATES.map(|state| format!("{state:?}")));
        table += &format!("{}┼{}\n", "─".repeat(13), "─".repeat(72));
        for row in ROWS {
            table += &line(format!("{row:?}"), STATES.map(|state| in_the_table(step(state, row)).to_owned()));
        }
        table
    }

    #[test]
    fn the_table_is_drawn_as_it_is() {
        let drawn = drawn();
        let in_code: String = drawn.lines().map(|line| format!("//! {line}\n")).collect();
        assert!(include_str!("session.rs").contains(&in_code), "above: should be\n{in_code}");
        assert!(include_str!("../../docs/PROTOCOL.md").contains(&drawn), "docs/PROTOCOL.md: should be\n{drawn}");
    }

    #[test]
    fn every_cell_of_the_table_does_what_is_drawn() {
        const BROKEN: &str = "Terminate, close ProtocolViolation";
        const BROKEN_OPEN: &str = "Disconnect 0, Terminate, close ProtocolViolation";
        const REPLACED: &str = "Terminate, close Replaced";
        let violation = [BROKEN, BROKEN, BROKEN, BROKEN, BROKEN_OPEN, ""];
        let with = |state: State, text| {
            let mut row = violation;
            row[STATES.iter().position(|&at| at == state).unwrap()] = text;
            row
        };
        assert_row("Negotiate", with(State::Connected, "Negotiate 0"), |link| link.send(&negotiate()));
        let mut opens = with(State::Connected, "Establish 0");
        opens[2] = "Establish 0";
        assert_row("Establish", opens, |link| link.send(&establish()));
        let sequence = Sequence { next_sequence: wire::SessionSequence(8) };
        assert_row("Sequence", with(State::Established, ""), |link| link.send(&sequence));
        let cancel = wire::order_entry::OrderCancelRequest::BLANK;
        assert_row("Application", with(State::Established, "CancelOrder 6"), |link| link.send(&cancel));
        let question = wire::order_entry::AccountBalanceRequest::BLANK;
        assert_row("Question", with(State::Established, "BusinessMessageReject"), |link| link.send(&question));
        let request = RetransmitRequest {
            timestamp: wire::Timestamp(1),
            from_sequence: wire::SessionSequence(4),
            count: MessageCount(5),
        };
        assert_row("Retransmit", with(State::Established, "reports 4+5"), |link| link.send(&request));
        let bye = "Terminate, close Terminated";
        assert_row("Terminate", [bye, bye, bye, bye, "Disconnect 0, Terminate, close Terminated", ""], |link| {
            link.send(&Terminate::BLANK)
        });
        assert_row("Malformed", violation, |link| link.send(&NegotiationReject::BLANK));
        assert_row("NoFrame", violation, |link| link.hear(Input::NoFrame, NOW));
        assert_row("Negotiated", ["", "NegotiationResponse", REPLACED, REPLACED, REPLACED, ""], |link| {
            link.hear(Input::Core(&negotiated()), NOW)
        });
        assert_row("Established", ["", "", "", "EstablishmentAck", "", "Disconnect 0"], |link| {
            link.hear(Input::Core(&opened()), NOW)
        });
        let refusal = "NegotiationReject, close Terminated";
        assert_row("Rejected", ["", refusal, "", refusal, "", ""], |link| {
            link.hear(Input::Core(&rejected(CommandKind::Negotiate)), NOW)
        });
        assert_row("NotTaken", ["", refusal, "", refusal, "BusinessMessageReject", ""], |link| {
            let body = match link.session.state() {
                State::Established => cancel_order().into(),
                _ => command::Negotiate { version: SessionVersion(3) }.into(),
            };
            let command = Command { header: CommandHeader::VENUE, body };
            link.hear(Input::NotTaken(&command, EdgeReason::StorageFull), NOW)
        });
        assert_row("Disconnected", ["", "", "", "", REPLACED, ""], |link| link.hear(Input::Core(&disconnected()), NOW));
        assert_row("Report", ["", "", "", "", "send", ""], |link| {
            let sent = link.session.report(Some(SessionSequence(9)), NOW);
            if sent { "send" } else { "" }.to_owned()
        });
        assert_row("Copied", ["", "", "", "", "DropCopyReport", ""], |link| {
            let range = CopyRange { account: ACCOUNT, from: ExecId(1), count: 1 };
            if let Some(streams) = &mut link.session.streams {
                streams.copying = Some(Copying { request: None, range });
            }
            link.hear(Input::Copied(Err(EdgeReason::RetransmitTooOld)), NOW)
        });
        let late = "Terminate, close KeepAliveExpired";
        assert_row("Time", [late, late, late, late, "Disconnect 0, Terminate, close KeepAliveExpired", ""], |link| {
            link.hear(Input::Time, NOW.after(Nanoseconds(10_000_000_000)))
        });
        let stopped = "Terminate, close VenueStopped";
        assert_row(
            "Ended",
            [stopped, stopped, stopped, stopped, "Disconnect 0, Terminate, close VenueStopped", ""],
            |link| link.hear(Input::Ended(TerminationCode::VenueStopped), NOW),
        );
        let lost = "close ConnectionLost";
        assert_row("Closed", [lost, lost, lost, lost, "Disconnect 0, close ConnectionLost", ""], |link| {
            link.hear(Input::Closed, NOW)
        });
    }

    #[test]
    fn a_login_that_is_not_proved_is_refused_and_never_reaches_the_core() {
        let reason = |request: &Negotiate, now| {
            let mut link = Link::new();
            let mut actions = Vec::new();
            let bytes = egress::frame(request);
            let input = Input::Frame(Frame::split(&bytes).unwrap().0);
            link.session.handle(input, now, &mut link.view, &mut actions);
            let [Action::Send(frame), Action::Record(failed), Action::Close(_)] = &actions[..] else {
                panic!("{actions:?}")
            };
            let reason = Frame::split(frame).unwrap().0.decode::<NegotiationReject>().unwrap().reject_reason;
            assert_eq!(*failed, FailedLogin { address: ADDRESS, key: request.key_id, reason });
            reason
        };
        let unknown = Negotiate { key_id: wire::KeyId(6), ..negotiate() };
        assert_eq!(reason(&unknown, NOW), engine::RejectReason::UnknownKey.into());
        let altered = Negotiate { session_version: wire::SessionVersion(4), ..negotiate() };
        assert_eq!(reason(&altered, NOW), EdgeReason::SignatureInvalid.into());
        let window = SessionLimits::DEFAULT.signature_window.0;
        for now in [NOW.0 + window + 1, NOW.0 - window - 1] {
            assert_eq!(reason(&negotiate(), Timestamp(now)), EdgeReason::TimestampOutOfWindow.into());
        }
    }

    fn forged() -> Negotiate {
        Negotiate { session_version: wire::SessionVersion(4), ..negotiate() }
    }

    #[test]
    fn who_guesses_too_often_is_refused_whatever_the_signature() {
        let refused = |reason: &str| format!("NegotiationReject, record {reason}, close Terminated");
        let mut view = view();
        let mut log_in = |address: IpAddr, request: &Negotiate| {
            let mut link = Link { session: Session::new(SessionLimits::DEFAULT, address, NOW), view: View::default() };
            core::mem::swap(&mut link.view, &mut view);
            let done = link.send(request);
            core::mem::swap(&mut link.view, &mut view);
            done
        };
        for _ in 0..6 {
            assert_eq!(log_in(ADDRESS, &forged()), refused("SignatureInvalid"));
        }
        assert_eq!(log_in(ADDRESS, &negotiate()), refused("TooManyLogins"));
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8));
        assert_eq!(log_in(elsewhere, &negotiate()), "Negotiate 0");
    }

    #[test]
    fn a_session_that_opens_ends_the_counting_of_guesses() {
        let mut link = Link::new();
        for _ in 0..3 {
            for _ in 0..5 {
                link.session = Session::new(SessionLimits::DEFAULT, ADDRESS, NOW);
                assert_eq!(link.send(&forged()), "NegotiationReject, record SignatureInvalid, close Terminated");
            }
            link.session = Session::new(SessionLimits::DEFAULT, ADDRESS, NOW);
            assert_eq!(link.send(&establish()), "Establish 0");
            assert_eq!(link.hear(Input::Core(&opened()), NOW), "EstablishmentAck");
        }
    }

    #[test]
    fn a_certificate_s_key_logs_in_by_the_certificate_and_needs_no_signature() {
        const CERTIFICATE: Fingerprint = Fingerprint([3; 32]);
        let refused = "NegotiationReject, record SignatureInvalid, close Terminated";
        for (proved, expected) in
            [(None, refused), (Some(Fingerprint([4; 32])), refused), (Some(CERTIFICATE), "Negotiate 0")]
        {
            let mut link = Link::new();
            let (key, public_key) = (KeyId(6), CERTIFICATE.0);
            let command = AddKey { key, kind: KeyKind::Certificate, public_key, note: AdminNote::NONE };
            link.view.apply(&HEADER, &KeyAdded { author: KeyId::VENUE, command }.into());
            proved.into_iter().for_each(|certificate| link.session.identify(certificate));
            let unsigned = Negotiate { key_id: key.into(), signature: Signature64([0; 64]), ..negotiate() };
            assert_eq!(link.send(&unsigned), expected);
        }
        // A certificate proves nothing of other keys.
        let mut link = Link::new();
        link.session.identify(CERTIFICATE);
        assert_eq!(link.send(&forged()), refused);
    }

    #[test]
    fn a_key_logs_in_from_its_own_addresses_alone() {
        for (network, prefix_bits, expected) in [
            ([192, 0, 2, 0], 120, "Negotiate 0"),
            ([198, 51, 100, 0], 120, "NegotiationReject, record AddressNotAllowed, close Terminated"),
        ] {
            let mut link = Link::new();
            let address = Ipv4Addr::from(network).to_ipv6_mapped().octets();
            let command = AllowAddress { key: KEY, address, prefix_bits, note: AdminNote::NONE };
            link.view.apply(&HEADER, &AddressAllowed { author: KeyId::VENUE, command }.into());
            assert_eq!(link.send(&negotiate()), expected);
            // Who does not have the key is not told where it may come from.
            link.session = Session::new(SessionLimits::DEFAULT, ADDRESS, NOW);
            assert_eq!(link.send(&forged()), "NegotiationReject, record SignatureInvalid, close Terminated");
        }
    }

    fn throttled(trader: Budgets) -> SessionLimits {
        SessionLimits { throttles: Throttles { trader, ..Throttles::OFF }, ..SessionLimits::DEFAULT }
    }

    #[test]
    fn what_is_beyond_its_budget_is_refused_by_number_and_cancels_still_pass() {
        let mut link = Link::with(throttled(Budgets::of(Some(Rate::per_second(2)))));
        link.open();
        let order = wire::order_entry::NewOrderSingle {
            client_order_id: Some(wire::ClientOrderId(77)),
            ..wire::order_entry::NewOrderSingle::BLANK
        };
        let cancel = wire::order_entry::OrderCancelRequest::BLANK;
        assert_eq!([link.send(&order), link.send(&order)], ["BusinessMessageReject"; 2], "a blank order is malformed");
        let mut actions = Vec::new();
        let bytes = egress::frame(&order);
        link.session.handle(Input::Frame(Frame::split(&bytes).unwrap().0), NOW, &mut link.view, &mut actions);
        let [Action::Send(frame)] = &actions[..] else { panic!("{actions:?}") };
        let reject = Frame::split(frame).unwrap().0.decode::<BusinessMessageReject>().unwrap();
        assert_eq!(reject.reject_reason, EdgeReason::Throttled.into());
        assert_eq!(reject.answered_sequence, Some(wire::SessionSequence(8)));
        assert_eq!(reject.reference_id, Some(wire::RequestId(77)));
        assert_eq!(link.send(&cancel), "CancelOrder 9");
    }

    #[test]
    fn a_session_that_goes_on_beyond_its_budget_ends() {
        let mut link = Link::with(throttled(Budgets::of(Some(Rate::per_second(2)))));
        link.open();
        let cancel = wire::order_entry::OrderCancelRequest::BLANK;
        let done: Vec<_> = (0..5).map(|_| link.send(&cancel)).collect();
        let gone = "BusinessMessageReject, Disconnect 0, Terminate, close Throttled";
        assert_eq!(done, ["CancelOrder 6", "CancelOrder 7", "BusinessMessageReject", "BusinessMessageReject", gone]);
    }

    #[test]
    fn questions_have_a_budget_of_their_own_and_reports_are_asked_for_again_without_one() {
        let questions = Some(Rate::per_second(1));
        let mut link = Link::with(throttled(Budgets { questions, ..Budgets::OFF }));
        link.open();
        let question = wire::order_entry::AccountBalanceRequest::BLANK;
        assert_eq!([link.send(&question), link.send(&question)], ["BusinessMessageReject"; 2]);
        let (from_sequence, count) = (wire::SessionSequence(1), MessageCount(1));
        let request = RetransmitRequest { timestamp: wire::Timestamp(1), from_sequence, count };
        assert_eq!(link.send(&request), "reports 1+1");
        assert_eq!(link.send(&question), "BusinessMessageReject, Disconnect 0, Terminate, close Throttled");
    }

    #[test]
    fn a_market_maker_s_budget_is_another() {
        let market_maker = Budgets::of(Some(Rate::per_second(3)));
        let throttles = Throttles { trader: Budgets::of(Some(Rate::per_second(1))), market_maker };
        for (role, passed) in [(Role::Trader, 1), (Role::MarketMaker, 3)] {
            let mut link = Link::with(SessionLimits { throttles, ..SessionLimits::DEFAULT });
            let command = GrantRole { key: KEY, role, account: AccountId(2), note: AdminNote::NONE };
            link.view.apply(&HEADER, &RoleGranted { author: KeyId::VENUE, command }.into());
            link.open();
            let cancel = wire::order_entry::OrderCancelRequest::BLANK;
            let count = (0..4).filter(|_| link.send(&cancel).starts_with("CancelOrder")).count();
            assert_eq!(count, passed, "{role:?}");
        }
    }

    #[test]
    fn an_opening_out_of_bounds_is_refused() {
        for (request, expected) in [
            (Establish { keep_alive: Milliseconds(99), ..establish() }, EdgeReason::KeepAliveOutOfRange),
            (Establish { keep_alive: Milliseconds(60_001), ..establish() }, EdgeReason::KeepAliveOutOfRange),
            (Establish { cancel_grace: Milliseconds(3_600_001), ..establish() }, EdgeReason::GraceOutOfRange),
            (Establish { order_entry_schema_id: wire::SchemaId(9), ..establish() }, EdgeReason::UnsupportedSchema),
        ] {
            let mut link = Link::new();
            let mut actions = Vec::new();
            let bytes = egress::frame(&sign(request));
            link.session.handle(Input::Frame(Frame::split(&bytes).unwrap().0), NOW, &mut link.view, &mut actions);
            let [Action::Send(frame), Action::Record(_), Action::Close(_)] = &actions[..] else {
                panic!("{actions:?}")
            };
            let reject = Frame::split(frame).unwrap().0.decode::<EstablishmentReject>().unwrap();
            assert_eq!(reject.reject_reason, expected.into());
        }
    }

    #[test]
    fn what_the_edge_refuses_uses_up_its_number_and_a_question_has_none() {
        let mut link = Link::at(State::Established);
        let without_meaning = wire::order_entry::NewOrderSingle::BLANK;
        assert_eq!(link.send(&without_meaning), "BusinessMessageReject");
        let question = wire::order_entry::OrderStatusRequest::BLANK;
        assert_eq!(link.send(&question), "BusinessMessageReject");
        let cancel = wire::order_entry::OrderCancelRequest::BLANK;
        assert_eq!(link.send(&cancel), "CancelOrder 7");
        assert_eq!(link.send(&Sequence { next_sequence: wire::SessionSequence(3) }), "");
        assert_eq!(link.send(&cancel), "CancelOrder 3");
    }

    /// The last number there is was used again and again: the core dropped the orders, and their names were kept.
    #[test]
    fn a_stream_that_is_used_up_ends_the_session() {
        let broken = "Disconnect 0, Terminate, close ProtocolViolation";
        let mut link = Link::at(State::Established);
        assert_eq!(link.send(&Sequence { next_sequence: wire::SessionSequence(u64::MAX) }), broken);

        let mut link = Link::at(State::Established);
        let cancel = wire::order_entry::OrderCancelRequest::BLANK;
        assert_eq!(link.send(&Sequence { next_sequence: wire::SessionSequence(u64::MAX - 1) }), "");
        assert_eq!(link.send(&cancel), format!("CancelOrder {}", u64::MAX - 1));
        assert_eq!(link.send(&cancel), broken);
    }

    #[test]
    fn a_range_that_was_never_sent_is_too_long_or_comes_twice_is_refused() {
        for (from, count, expected) in
            [(0, 1, "RetransmitReject"), (1, 0, "RetransmitReject"), (9, 1, "RetransmitReject"), (1, 8, "reports 1+8")]
        {
            let mut link = Link::at(State::Established);
            let request = RetransmitRequest {
                timestamp: wire::Timestamp(1),
                from_sequence: wire::SessionSequence(from),
                count: MessageCount(count),
            };
            assert_eq!(link.send(&request), expected, "{from}+{count}");
            if expected.starts_with("reports") {
                assert_eq!(link.send(&request), "RetransmitReject");
                let found = Ok(vec![egress::frame(&Sequence { next_sequence: wire::SessionSequence(1) })]);
                assert_eq!(link.hear(Input::Recovered(found), NOW), "Retransmission, Sequence");
                assert_eq!(link.send(&request), expected);
            }
        }
    }

    /// A key that an account's reports are copied to, of which there were four when its session opened.
    fn reader() -> (Link, String) {
        let mut link = Link::at(State::Establishing);
        let grant = command::GrantRole { key: KEY, role: Role::DropCopy, account: ACCOUNT, note: AdminNote::NONE };
        link.view.apply(&HEADER, &RoleGranted { author: KeyId::VENUE, command: grant }.into());
        for exec_id in (1..=4).map(ExecId) {
            let (report_number, client_sequence) = Default::default();
            let session = SessionId(8);
            let report = engine::event::Report { account: ACCOUNT, session, exec_id, report_number, client_sequence };
            let (client_order_id, instrument) = (ClientOrderId::NONE, engine::InstrumentId::NONE);
            let (side, entered_by, reason) = (None, SessionId::NONE, engine::RejectReason::UnknownSession);
            let event = MassCancelRejected { report, client_order_id, instrument, side, entered_by, reason };
            link.view.apply(&HEADER, &event.into());
        }
        let told = link.hear(Input::Core(&opened()), NOW);
        (link, told)
    }

    fn copies(from: u64, count: u32) -> DropCopyRequest {
        let (from, count) = (wire::ExecutionId(from), OrderCount(count));
        DropCopyRequest { account: ACCOUNT.into(), request_id: Some(RequestId(9)), from, count }
    }

    /// The one report that comes back.
    fn answered(link: &mut Link, input: Input<'_>) -> DropCopyReport {
        let mut actions = Vec::new();
        link.session.handle(input, NOW, &mut link.view, &mut actions);
        let [Action::Send(frame), ..] = &actions[..] else { panic!("{actions:?}") };
        Frame::split(frame).unwrap().0.decode().unwrap()
    }

    #[test]
    fn a_reader_of_copies_is_told_where_they_stand_and_gets_them_again() {
        let (mut link, told) = reader();
        assert_eq!(told, "EstablishmentAck, DropCopyReport");
        for (from, count, reason) in [
            (0, 1, EdgeReason::RetransmitRangeInvalid),
            (1, 0, EdgeReason::RetransmitRangeInvalid),
            (5, 1, EdgeReason::RetransmitRangeInvalid),
            (1, 1_001, EdgeReason::RetransmitTooLong),
        ] {
            let bytes = egress::frame(&copies(from, count));
            let report = answered(&mut link, Input::Frame(Frame::split(&bytes).unwrap().0));
            assert_eq!((report.reject_reason, report.request_id), (Some(reason.into()), Some(RequestId(9))));
            assert_eq!((report.next, report.from, report.count), (wire::ExecutionId(5), None, OrderCount(0)));
        }
        // No more than there are, and one at a time.
        assert_eq!(link.send(&copies(3, 1_000)), "copies of 2 3+2");
        let bytes = egress::frame(&copies(1, 1));
        let report = answered(&mut link, Input::Frame(Frame::split(&bytes).unwrap().0));
        assert_eq!(report.reject_reason, Some(EdgeReason::RetransmitInProgress.into()));
        let found = vec![egress::frame(&wire::order_entry::ExecutionReport::BLANK); 2];
        let report = answered(&mut link, Input::Copied(Ok(found)));
        assert_eq!((report.from, report.count), (Some(wire::ExecutionId(3)), OrderCount(2)));
        assert_eq!((report.reject_reason, report.request_id), (None, Some(RequestId(9))));
        assert_eq!(link.send(&copies(1, 1)), "copies of 2 1+1");
        let report = answered(&mut link, Input::Copied(Err(EdgeReason::RetransmitTooOld)));
        assert_eq!(report.reject_reason, Some(EdgeReason::RetransmitTooOld.into()));
    }

    #[test]
    fn copies_that_were_asked_for_are_not_sent_once_the_right_is_gone() {
        let (mut link, _) = reader();
        assert_eq!(link.send(&copies(1, 1)), "copies of 2 1+1");
        let command = command::RevokeRole { key: KEY, role: Role::DropCopy, account: ACCOUNT, note: AdminNote::NONE };
        link.view.apply(&HEADER, &RoleRevoked { author: KeyId::VENUE, command }.into());
        let report = answered(&mut link, Input::Copied(Ok(vec![])));
        assert_eq!(report.reject_reason, Some(engine::RejectReason::NotEntitled.into()));
        assert_eq!(link.send(&copies(1, 1)), "BusinessMessageReject");
    }

    #[test]
    fn a_silent_venue_sends_its_heartbeat_and_a_silent_client_is_ended() {
        let mut link = Link::at(State::Established);
        let second = 1_000_000_000;
        assert_eq!(link.session.next_deadline(), NOW.after(Nanoseconds(second)));
        assert_eq!(link.hear(Input::Time, NOW.after(Nanoseconds(second - 1))), "");
        assert_eq!(link.hear(Input::Time, NOW.after(Nanoseconds(second))), "Sequence");
        let expired = "Disconnect 0, Terminate, close KeepAliveExpired";
        assert_eq!(link.hear(Input::Time, NOW.after(Nanoseconds(2 * second))), expired);
    }

    #[test]
    fn an_opening_that_is_granted_to_a_lost_connection_is_taken_back() {
        let mut link = Link::at(State::Establishing);
        assert_eq!(link.hear(Input::Closed, NOW), "close ConnectionLost");
        assert!(link.session.owes_answer());
        assert_eq!(link.hear(Input::Core(&opened()), NOW), "Disconnect 0");
        assert!(!link.session.owes_answer());
    }
}
