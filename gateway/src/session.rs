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

mod visited;

use std::net::IpAddr;

use ed25519_dalek::{Signature, VerifyingKey};
use engine::command::{self, DisconnectReason, KeyKind, Role};
use engine::event::{SessionEstablished, SessionRejected};
use engine::{
    AccountId, Command, CommandBody, CommandHeader, CommandKind, Event, ExecId, KeyId, LoginNonce, Nanoseconds,
    SessionId, SessionSequence, SessionVersion, Timestamp,
};
use wire::order_entry::{
    AssetDefinition, BusinessMessageReject, DropCopyReport, DropCopyRequest, OrderEntryMessage, SecurityDefinition,
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
use crate::question::{Asking, Question};
use crate::rights::Key;
use crate::throttle::{Budget, Budgets, Throttle, Throttles, Verdict};
use crate::transport::tls::Fingerprint;
use crate::view::View;
pub use visited::Visited;

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

impl State {
    /// All states, in the order of the table's columns.
    pub const ALL: [Self; 6] =
        [Self::Connected, Self::Negotiating, Self::Negotiated, Self::Establishing, Self::Established, Self::Closing];

    /// Its name, in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Negotiating => "negotiating",
            Self::Negotiated => "negotiated",
            Self::Establishing => "establishing",
            Self::Established => "established",
            Self::Closing => "closing",
        }
    }
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

/// Declares the rows once, so that none lacks a name or a place among all of them.
macro_rules! rows {
    ($($row:ident,)*) => {
        /// An input's kind: the rows of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Row {
            $($row,)*
        }

        impl Row {
            /// All rows, in the table's order.
            const ALL: &'static [Self] = &[$(Self::$row,)*];

            /// The row's name, as the table is drawn.
            const fn name(self) -> &'static str {
                match self {
                    $(Self::$row => stringify!($row),)*
                }
            }
        }
    };
}

rows! {
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
    /// The cells of the table that inputs have met.
    visited: Visited,
    /// The connection is closing, but the core has still to answer an opening.
    owes_answer: bool,
    connected_at: Timestamp,
    heard_at: Timestamp,
    sent_at: Timestamp,
    /// What the clock on the wall shows, if it is another time than the venue's.
    wall: Option<Timestamp>,
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
            visited: Visited::default(),
            owes_answer: false,
            connected_at: now,
            heard_at: now,
            sent_at: now,
            wall: None,
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

    /// From now on timestamps of logins are judged by this time, and not by that of the inputs.
    pub fn note_wall(&mut self, wall: Timestamp) {
        self.wall = Some(wall);
    }

    /// The peer has proved to have a certificate's key.
    pub fn identify(&mut self, certificate: Fingerprint) {
        self.certificate = Some(certificate);
    }

    /// Whether an answer of the core has still to be waited for after the connection is closed.
    pub fn owes_answer(&self) -> bool {
        self.owes_answer
    }

    /// The cells of the table that inputs and reports have met.
    pub fn visited(&self) -> Visited {
        self.visited
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
        if self.look_up(Row::Report) != Step::Send {
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

    /// The cell that an input meets; from now on it counts as visited.
    fn look_up(&mut self, row: Row) -> Step {
        self.visited.visit(row, self.state);
        step(self.state, row)
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
        match self.session.look_up(row) {
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
        if Asking::is_in(&frame) {
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
        // A code that is lost in reading cannot be signed: that is no guess at a key.
        let cancel_on_disconnect = request.cancel_on_disconnect.try_into().map_err(|_| EdgeReason::Malformed)?;
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
            cancel_on_disconnect,
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
        let shown = self.session.wall.unwrap_or(now);
        if timestamp.0.abs_diff(shown.0) > self.session.limits.signature_window.0 {
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
        // Instruments name their assets: those come first.
        let assets: Vec<AssetDefinition> = self.view.assets().map(egress::asset_definition).collect();
        assets.iter().for_each(|definition| self.send(definition));
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
        match Asking::read(frame).and_then(|asking| asking.permitted(self.key())) {
            Ok(Asking::Now(question)) => self.actions.push(Action::Answer(question)),
            Ok(Asking::Copies(request)) => self.find_copies(&request),
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
            reference_tag: refusal.tag,
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
mod tests;
