//! Going on after a lost connection, without I/O: which commands the venue has, which are sent again, which are lost.
//!
//! ```text
//!   a command is sent        it waits for its answer, under its number
//!   the connection is lost   so long as nobody knows, nothing is said about what waits
//!   the session is open again, and the venue expects number N next
//!        from N on           sent again under their numbers; what is too old is given back: NotApplied
//!        below N             was applied, or refused at the edge. The reports that were missed tell which; once they
//!                            are all seen, a command that none of them answers was not applied
//!   the login is gone        nobody can tell any more: Unknown. A new login is made, and both streams begin anew
//! ```
//!
//! A number stands for one command for good: those that were not sent again are left out.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use wire::order_entry::OrderEntryMessage;
use wire::session::EstablishmentAck;
use wire::{MessageCount, RejectReason, SessionId, SessionSequence, SessionVersion, TerminationCode, Timestamp};

use crate::backoff::{Backoff, Failure};
use crate::connection::{ConnectError, Error, after};
use crate::request::{Command, CommandMessage};
use crate::session::{News, Resume, Session, number_of};

/// Where a session stands: what a trader's process keeps so that another can go on. As text it is one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The session.
    pub session: SessionId,
    /// Its login.
    pub version: SessionVersion,
    /// The first report that was not taken in.
    pub next_report: SessionSequence,
    /// The number of the next command. It may be kept from before the last commands: the venue knows better.
    pub next_command: SessionSequence,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, version, next_report, next_command } = self;
        write!(f, "session={session} version={version} next_report={next_report} next_command={next_command}")
    }
}

/// A text is no [`Position`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: a number is expected, as in session=7 version=3 next_report=42 next_command=17")]
pub struct PositionError(&'static str);

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut words = text.split_ascii_whitespace();
        let mut number = |name: &'static str| {
            let value = words.next().and_then(|word| word.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse().ok()).ok_or(PositionError(name))
        };
        Ok(Self {
            session: SessionId(number("session")?),
            version: SessionVersion(number("version")?),
            next_report: SessionSequence(number("next_report")?),
            next_command: SessionSequence(number("next_command")?),
        })
    }
}

/// How a trader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With a new login: what was reported before is not asked for.
    Anew,
    /// Where an earlier process ended.
    From(Position),
}

/// What becomes of commands that were not answered when the connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many wait for their answers at most; then none is taken.
    pub unanswered_max: usize,
    /// New orders and amends that are older are not sent again, but given back: the market has moved on. Cancels and
    /// kill switches are sent again however old they are.
    pub resend_within: Duration,
}

impl Policy {
    /// 10,000 commands; new orders and amends are sent again for 30 seconds.
    pub const DEFAULT: Self = Self { unanswered_max: 10_000, resend_within: Duration::from_secs(30) };
}

/// The venue opened the session, for the first time or again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// What it agreed to, and where both streams stand.
    pub opened: EstablishmentAck,
    /// Which login it is.
    pub login: Login,
    /// Reports that were missed: they follow as messages, and then [`TraderNews::CaughtUp`].
    pub missed: MessageCount,
    /// Reports that the venue sent and knows no more, for it was restored from before them. Orders may be gone.
    pub forgotten: MessageCount,
    /// Commands that were sent again.
    pub sent_again: Vec<SessionSequence>,
}

/// Which login a session was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// The first of this trader.
    First,
    /// The one before goes on.
    Same,
    /// The venue did not know the one before: another was made, and both streams begin at 1. Ask for open orders.
    Anew,
}

/// What a trader learns.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is matched where it comes out, and boxes would allocate")]
pub enum TraderNews {
    /// The session is open, and commands are taken.
    Opened(Opening),
    /// Every report that was missed was handed out, and it is known what became of every command before the opening.
    CaughtUp,
    /// A report or another message of the venue, in order.
    Message(OrderEntryMessage),
    /// A command was not applied and will not be.
    NotApplied(SessionSequence, Command),
    /// Nobody can tell whether a command was applied. Ask for the order's status.
    Unknown(SessionSequence, Command),
    /// Reports that the venue does not keep any more; the stream goes on behind them.
    Lost(RejectReason),
    /// There is no connection; another is tried for.
    Disconnected(ConnectError),
}

/// Why a command was not taken. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no connection at the moment.
    #[error("there is no connection to the venue at the moment")]
    Disconnected,
    /// [`Policy::unanswered_max`].
    #[error("{0} commands are without an answer: no more is taken before the venue answers")]
    TooManyUnanswered(usize),
}

/// What a driver is to do while there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Wait until then.
    Wait(Timestamp),
    /// Connect.
    Connect(Resume),
}

#[derive(Debug, Clone, Copy)]
struct Unanswered {
    command: Command,
    sent_at: Timestamp,
}

/// What is not settled since the last opening.
#[derive(Debug, Clone, Copy)]
struct CatchingUp {
    /// The first report that was not missed.
    reports_until: SessionSequence,
    /// The first command that the venue had not applied.
    applied_until: SessionSequence,
    has_lost: bool,
}

/// A trader's memory over any number of connections.
pub struct Recovery {
    session: SessionId,
    policy: Policy,
    /// None: no login was ever opened.
    version: Option<SessionVersion>,
    next_report: SessionSequence,
    next_command: SessionSequence,
    unanswered: BTreeMap<SessionSequence, Unanswered>,
    catching_up: Option<CatchingUp>,
    login: Login,
    backoff: Backoff,
    news: VecDeque<TraderNews>,
}

impl Recovery {
    /// A trader who has not connected yet. `seed` spreads the attempts of many traders.
    pub fn new(session: SessionId, start: Start, policy: Policy, seed: u64) -> Self {
        let position = match start {
            Start::From(position) => Some(position),
            Start::Anew => None,
        };
        let first = SessionSequence(1);
        Self {
            session,
            policy,
            version: position.map(|position| position.version),
            next_report: position.map_or(first, |position| position.next_report),
            next_command: position.map_or(first, |position| position.next_command),
            unanswered: BTreeMap::new(),
            catching_up: None,
            login: Login::First,
            backoff: Backoff::new(Rng::with_seed(seed)),
            news: VecDeque::new(),
        }
    }

    /// Where the session stands behind the news that was handed out; none: there never was one.
    pub fn position(&self) -> Option<Position> {
        let Self { session, next_report, next_command, .. } = *self;
        self.version.map(|version| Position { session, version, next_report, next_command })
    }

    /// Commands without an answer, by number.
    pub fn unanswered(&self) -> impl ExactSizeIterator<Item = (SessionSequence, &Command)> {
        self.unanswered.iter().map(|(&number, waiting)| (number, &waiting.command))
    }

    /// What there is to learn, in order.
    pub fn next_news(&mut self) -> Option<TraderNews> {
        let news = self.news.pop_front()?;
        if let TraderNews::Message(message) = &news
            && let Some(number) = number_of(message)
        {
            self.next_report = SessionSequence(number.0 + 1);
        }
        Some(news)
    }

    // Without a connection.

    /// What to do at `now`.
    pub fn attempt(&self, now: Timestamp) -> Attempt {
        if now < self.backoff.due() {
            return Attempt::Wait(self.backoff.due());
        }
        Attempt::Connect(match self.version {
            Some(version) => Resume::From { version, next_report: self.next_report },
            None => Resume::Anew(SessionVersion(now.0)),
        })
    }

    /// The attempt failed.
    ///
    /// # Errors
    ///
    /// The failure, if it is no use to try again.
    pub fn failed(&mut self, error: ConnectError, now: Timestamp) -> Result<(), ConnectError> {
        let Some(failure) = failure(&error) else { return Err(error) };
        if failure == Failure::LoginGone {
            self.forget_login();
        }
        self.backoff.failed(failure, now);
        self.news.push_back(TraderNews::Disconnected(error));
        Ok(())
    }

    /// The connection is lost.
    ///
    /// # Errors
    ///
    /// The loss, if it is no use to connect again.
    pub fn lost(&mut self, error: ConnectError, now: Timestamp) -> Result<(), ConnectError> {
        self.catching_up = None;
        if failure(&error).is_none() {
            return Err(error);
        }
        self.backoff.failed(
            match error {
                ConnectError::Ended(TerminationCode::Throttled | TerminationCode::SlowReader) => Failure::Reached,
                _ => Failure::Unreachable,
            },
            now,
        );
        self.news.push_back(TraderNews::Disconnected(error));
        Ok(())
    }

    fn forget_login(&mut self) {
        for (number, waiting) in core::mem::take(&mut self.unanswered) {
            self.news.push_back(TraderNews::Unknown(number, waiting.command));
        }
        (self.version, self.login) = (None, Login::Anew);
        (self.next_report, self.next_command) = (SessionSequence(1), SessionSequence(1));
    }

    // With one.

    /// The session was opened: what the venue has not applied is sent again through it.
    pub fn opened(&mut self, opened: &EstablishmentAck, session: &mut Session, now: Timestamp) {
        self.backoff.opened();
        self.version = Some(opened.session_version);
        let (expected, report) = (opened.next_sequence, opened.next_report_number);
        let missed = MessageCount(report.0.saturating_sub(self.next_report.0));
        let forgotten = MessageCount(self.next_report.0.saturating_sub(report.0));
        self.next_report = self.next_report.min(report);
        let (sent_again, too_old) = self.send_again(expected, session, now);
        self.next_command = self.next_command.max(expected);
        session.skip_to(self.next_command, now);
        let login = core::mem::replace(&mut self.login, Login::Same);
        self.news.push_back(TraderNews::Opened(Opening { opened: *opened, login, missed, forgotten, sent_again }));
        self.news.extend(too_old.into_iter().map(|(number, command)| TraderNews::NotApplied(number, command)));
        self.catching_up = Some(CatchingUp { reports_until: report, applied_until: expected, has_lost: false });
        self.settle(session);
    }

    fn send_again(
        &mut self,
        expected: SessionSequence,
        session: &mut Session,
        now: Timestamp,
    ) -> (Vec<SessionSequence>, Vec<(SessionSequence, Command)>) {
        let (mut again, mut too_old) = (Vec::new(), Vec::new());
        for (&number, waiting) in self.unanswered.range(expected..) {
            if waiting.command.reduces_risk() || now <= after(waiting.sent_at, self.policy.resend_within) {
                waiting.command.send_again(session, number, now);
                again.push(number);
            } else {
                too_old.push((number, waiting.command));
            }
        }
        for (number, _) in &too_old {
            self.unanswered.remove(number);
        }
        (again, too_old)
    }

    /// Sends a command through an open session; its number.
    ///
    /// # Errors
    ///
    /// [`SendError::TooManyUnanswered`].
    pub fn send<M: CommandMessage>(
        &mut self,
        message: &M,
        session: &mut Session,
        now: Timestamp,
    ) -> Result<SessionSequence, SendError> {
        if self.unanswered.len() >= self.policy.unanswered_max {
            return Err(SendError::TooManyUnanswered(self.unanswered.len()));
        }
        let number = session.send(message, now);
        self.next_command = SessionSequence(number.0 + 1);
        self.unanswered.insert(number, Unanswered { command: (*message).into(), sent_at: now });
        Ok(number)
    }

    /// Takes in what an open session has to tell.
    ///
    /// # Errors
    ///
    /// If the session is over, and it is no use to connect again.
    pub fn hear(&mut self, news: News, session: &mut Session, now: Timestamp) -> Result<Heard, ConnectError> {
        match news {
            News::Message(message) => {
                self.answered(&message);
                self.news.push_back(TraderNews::Message(message));
            }
            News::NotApplied(from, count) => self.not_applied(from, count),
            News::Lost(reason) => {
                if let Some(catching_up) = &mut self.catching_up {
                    catching_up.has_lost = true;
                }
                self.news.push_back(TraderNews::Lost(reason));
            }
            News::Opened(opened) => self.opened(&opened, session, now),
            News::Refused(reason) => return self.lost(ConnectError::Refused(reason), now).map(|()| Heard::Over),
            News::Ended(code) => return self.lost(ConnectError::Ended(code), now).map(|()| Heard::Over),
        }
        self.settle(session);
        Ok(Heard::Open)
    }

    fn answered(&mut self, message: &OrderEntryMessage) {
        let number = match message {
            OrderEntryMessage::ExecutionReport(report) => report.answered_sequence,
            OrderEntryMessage::OrderCancelReject(reject) => reject.answered_sequence,
            OrderEntryMessage::OrderMassActionReport(report) => report.answered_sequence,
            OrderEntryMessage::BusinessMessageReject(reject) => reject.answered_sequence,
            OrderEntryMessage::KillSwitchReport(report) => report.answered_sequence,
            _ => None,
        };
        if let Some(number) = number {
            self.unanswered.remove(&number);
        }
    }

    fn not_applied(&mut self, from: SessionSequence, count: MessageCount) {
        let until = SessionSequence(from.0.saturating_add(count.0));
        let numbers: Vec<SessionSequence> = self.unanswered.range(from..until).map(|(&number, _)| number).collect();
        for number in numbers {
            if let Some(waiting) = self.unanswered.remove(&number) {
                self.news.push_back(TraderNews::NotApplied(number, waiting.command));
            }
        }
    }

    /// Once every report that was missed is seen, it is known what became of the commands that were sent before.
    fn settle(&mut self, session: &Session) {
        let Some(CatchingUp { reports_until, applied_until, has_lost }) = self.catching_up else { return };
        if session.next_report() < reports_until {
            return;
        }
        self.catching_up = None;
        self.backoff.caught_up();
        let later = self.unanswered.split_off(&applied_until);
        for (number, waiting) in core::mem::replace(&mut self.unanswered, later) {
            let command = waiting.command;
            self.news.push_back(match has_lost {
                true => TraderNews::Unknown(number, command),
                false => TraderNews::NotApplied(number, command),
            });
        }
        self.news.push_back(TraderNews::CaughtUp);
    }
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It does.
    Open,
    /// The connection is over.
    Over,
}

/// What kind of failure it is; none: it is no use to try again.
fn failure(error: &ConnectError) -> Option<Failure> {
    match error {
        ConnectError::Unreachable(_) | ConnectError::Connection(Error::Io(_)) => Some(Failure::Unreachable),
        // What cannot be understood is no clearer the next time.
        ConnectError::Connection(Error::Frame(_) | Error::Unexpected(_)) => None,
        ConnectError::Ended(code) => match code {
            TerminationCode::ConnectionLost
            | TerminationCode::KeepAliveExpired
            | TerminationCode::SlowReader
            | TerminationCode::Throttled
            | TerminationCode::VenueStopped
            | TerminationCode::Terminated => Some(Failure::Reached),
            TerminationCode::ProtocolViolation
            | TerminationCode::KeyRevoked
            | TerminationCode::Administrator
            | TerminationCode::Replaced
            | TerminationCode::NonRepresentable => None,
        },
        ConnectError::Refused(reason) => match reason.name() {
            Some("UnknownSession" | "SessionNotNegotiated") => Some(Failure::LoginGone),
            Some("SessionVersionNotGreater" | "SessionNonceNotGreater" | "SessionAlreadyEstablished" | "Busy") => {
                Some(Failure::Reached)
            }
            Some("StorageLow" | "StorageFull" | "Throttled") => Some(Failure::Reached),
            Some("TooManyLogins") => Some(Failure::LockedOut),
            _ => None,
        },
        ConnectError::Tls(_) | ConnectError::NotLoopback(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use wire::order_entry::{ExecutionReport, KillSwitch, KillSwitchReport, NewOrderSingle};
    use wire::{Block, KeyId, RequestId, Switch};

    use crate::session::{Credentials, Options};

    const SESSION: SessionId = SessionId(1);
    const VERSION: SessionVersion = SessionVersion(3);
    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn position(next_report: u64, next_command: u64) -> Position {
        let (next_report, next_command) = (SessionSequence(next_report), SessionSequence(next_command));
        Position { session: SESSION, version: VERSION, next_report, next_command }
    }

    /// A trader on a connection of its own.
    struct Seat {
        recovery: Recovery,
        session: Session,
    }

    impl Seat {
        fn new(policy: Policy) -> Self {
            let recovery = Recovery::new(SESSION, Start::From(position(1, 1)), policy, 1);
            let mut seat = Self { session: session(&recovery), recovery };
            seat.open(1, 1);
            assert_eq!(seat.news(), ["opened: 0 missed, 0 forgotten, again []", "caught up"]);
            seat
        }

        /// The connection is lost, and the venue opens another that expects `next_command` and is about to send `next_report`.
        fn reopen(&mut self, next_command: u64, next_report: u64) {
            let lost = ConnectError::Ended(TerminationCode::VenueStopped);
            self.recovery.lost(lost, NOW).unwrap();
            assert_eq!(self.news(), ["disconnected"]);
            self.session = session(&self.recovery);
            self.open(next_command, next_report);
        }

        fn open(&mut self, next_command: u64, next_report: u64) {
            let opened = EstablishmentAck {
                session_id: SESSION,
                session_version: VERSION,
                next_sequence: SessionSequence(next_command),
                next_report_number: SessionSequence(next_report),
                ..EstablishmentAck::BLANK
            };
            self.tell(&opened);
        }

        /// The venue sends a message.
        fn tell<M: wire::Flat>(&mut self, message: &M) {
            let mut bytes = vec![0; M::FRAME_LENGTH];
            wire::encode(message, &mut bytes).unwrap();
            self.session.frame(wire::Frame::split(&bytes).unwrap().0, NOW).unwrap();
            while let Some(news) = self.session.next_news() {
                self.recovery.hear(news, &mut self.session, NOW).unwrap();
            }
        }

        fn report(&mut self, number: u64, answers: u64) {
            self.tell(&ExecutionReport {
                report_number: Some(SessionSequence(number)),
                answered_sequence: Some(SessionSequence(answers)),
                ..ExecutionReport::BLANK
            });
        }

        fn send<M: CommandMessage>(&mut self, message: &M) -> u64 {
            self.recovery.send(message, &mut self.session, NOW).unwrap().0
        }

        fn news(&mut self) -> Vec<String> {
            let words = |news| match news {
                TraderNews::Opened(Opening { missed, forgotten, sent_again, .. }) => {
                    let again: Vec<u64> = sent_again.iter().map(|number| number.0).collect();
                    format!("opened: {missed} missed, {forgotten} forgotten, again {again:?}")
                }
                TraderNews::CaughtUp => "caught up".to_owned(),
                TraderNews::Message(message) => format!("report {}", number_of(&message).unwrap()),
                TraderNews::NotApplied(number, _) => format!("{number} not applied"),
                TraderNews::Unknown(number, _) => format!("{number} unknown"),
                TraderNews::Lost(_) => "lost".to_owned(),
                TraderNews::Disconnected(_) => "disconnected".to_owned(),
            };
            std::iter::from_fn(|| self.recovery.next_news()).map(words).collect()
        }
    }

    /// The session of a new connection.
    fn session(recovery: &Recovery) -> Session {
        let credentials =
            Credentials { session: SESSION, key: KeyId(1), signing_key: SigningKey::from_bytes(&[3; 32]) };
        let Position { version, next_report, .. } = recovery.position().unwrap();
        Session::new(credentials, Options::DEFAULT, Resume::From { version, next_report }, NOW)
    }

    #[test]
    fn what_was_applied_and_never_reported_was_refused_at_the_edge() {
        let mut seat = Seat::new(Policy::DEFAULT);
        // The first is refused and the refusal is lost, the second applied and its report is lost, the third lost itself.
        assert_eq!([1, 2, 3], [(); 3].map(|()| seat.send(&NewOrderSingle::BLANK)));
        seat.reopen(3, 2);
        assert_eq!(seat.news(), ["opened: 1 missed, 0 forgotten, again [3]"]);
        seat.report(1, 2);
        assert_eq!(seat.news(), ["report 1", "1 not applied", "caught up"]);
        seat.report(2, 3);
        assert_eq!((seat.news(), seat.recovery.unanswered().len()), (vec!["report 2".to_owned()], 0));
        assert_eq!(seat.recovery.position(), Some(position(3, 4)));
    }

    #[test]
    fn reports_that_are_not_kept_leave_their_commands_unknown() {
        let mut seat = Seat::new(Policy::DEFAULT);
        seat.send(&NewOrderSingle::BLANK);
        seat.reopen(2, 2);
        seat.tell(&wire::session::RetransmitReject::BLANK);
        assert_eq!(seat.news(), ["opened: 1 missed, 0 forgotten, again []", "lost", "1 unknown", "caught up"]);
    }

    /// A copy of another's kill switch passed for the answer to one's own.
    #[test]
    fn a_kill_switch_is_answered_by_the_report_that_names_it() {
        let mut seat = Seat::new(Policy::DEFAULT);
        let kill =
            |key| KillSwitch { idempotency_key: Some(RequestId(key)), switch: Switch::Engaged, ..KillSwitch::BLANK };
        (1..=2).for_each(|key| assert_eq!(seat.send(&kill(key)), key));
        let idempotency_key = Some(RequestId(2));
        let copy = KillSwitchReport { idempotency_key, switch: Switch::Engaged, ..KillSwitchReport::BLANK };
        let waiting = |seat: &Seat| -> Vec<u64> { seat.recovery.unanswered().map(|(number, _)| number.0).collect() };
        seat.recovery.answered(&OrderEntryMessage::KillSwitchReport(copy));
        assert_eq!(waiting(&seat), [1, 2]);
        let done = KillSwitchReport { answered_sequence: Some(SessionSequence(2)), ..copy };
        seat.recovery.answered(&OrderEntryMessage::KillSwitchReport(done));
        assert_eq!(waiting(&seat), [1]);
        // No report that was missed is of it.
        seat.reopen(3, 1);
        assert_eq!(seat.news(), ["opened: 0 missed, 0 forgotten, again []", "1 not applied", "caught up"]);
    }

    /// A venue that was restored counts on from before: what it said anew passed for what it had said.
    #[test]
    fn a_venue_that_was_restored_is_noticed_and_heard() {
        let mut seat = Seat::new(Policy::DEFAULT);
        (1..=3).for_each(|number| {
            seat.send(&NewOrderSingle::BLANK);
            seat.report(number, number);
        });
        seat.news();
        seat.reopen(2, 2);
        assert_eq!(seat.news(), ["opened: 0 missed, 2 forgotten, again []", "caught up"]);
        // Numbers that were used are left out.
        assert_eq!(seat.send(&NewOrderSingle::BLANK), 4);
        seat.report(2, 4);
        assert_eq!(seat.news(), ["report 2"]);
    }

    #[test]
    fn a_login_that_is_gone_leaves_everything_unknown_and_begins_anew() {
        let mut seat = Seat::new(Policy::DEFAULT);
        seat.send(&NewOrderSingle::BLANK);
        let unknown = ConnectError::Refused(RejectReason(1030));
        seat.recovery.failed(unknown, NOW).unwrap();
        assert_eq!(seat.news(), ["1 unknown", "disconnected"]);
        assert_eq!(seat.recovery.attempt(NOW), Attempt::Connect(Resume::Anew(SessionVersion(NOW.0))));
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut seat = Seat::new(Policy { unanswered_max: 2, ..Policy::DEFAULT });
        assert_eq!([1, 2], [(); 2].map(|()| seat.send(&NewOrderSingle::BLANK)));
        let refused = seat.recovery.send(&NewOrderSingle::BLANK, &mut seat.session, NOW);
        assert_eq!(refused, Err(SendError::TooManyUnanswered(2)));
        seat.report(1, 1);
        assert_eq!(seat.send(&NewOrderSingle::BLANK), 3);
    }

    #[test]
    fn a_position_is_a_line_of_text() {
        let text = "session=1 version=3 next_report=42 next_command=17";
        assert_eq!(position(42, 17).to_string(), text);
        assert_eq!(text.parse(), Ok(position(42, 17)));
        let error = "session=1 version=3 next_report=x".parse::<Position>().unwrap_err();
        assert!(error.to_string().starts_with("next_report: a number is expected"), "{error}");
    }
}
