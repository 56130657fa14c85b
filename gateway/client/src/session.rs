//! The trader's side of a session, after [FIXP], without I/O: frames and the time in, frames and news out.
//!
//! ```text
//!   Resume::Anew     Negotiate ─► NegotiationResponse ─► Establish ─► EstablishmentAck
//!   Resume::From     Establish ─► EstablishmentAck
//!   open             reports in order; a gap: RetransmitRequest, and what comes meanwhile waits behind it
//!   any time         Terminate from either side; a reject; two silent intervals of the venue
//! ```
//!
//! [FIXP]: https://www.fixtrading.org/standards/fixp/

use std::collections::{BTreeMap, VecDeque};

use ed25519_dalek::{Signer, SigningKey};
use wire::order_entry::OrderEntryMessage;
use wire::session::{Establish, EstablishmentAck, Negotiate, RetransmitRequest, Sequence, SessionMessage, Terminate};
use wire::{
    Block, CancelOnDisconnect, DecodeError, EdgeReason, Flat, Frame, KeyId, MessageCount, Milliseconds, Nonce,
    RejectReason, SessionId, SessionSequence, SessionVersion, Signature64, TerminationCode, Timestamp,
};

use crate::request::{CommandMessage, QuestionMessage};

/// The most reports that are asked for at once; the venue's own bound.
pub const RETRANSMIT_MAX: u64 = 1_000;

/// Who logs in.
#[derive(Clone)]
pub struct Credentials {
    /// The session.
    pub session: SessionId,
    /// The key, as the venue knows it.
    pub key: KeyId,
    /// Its private half.
    pub signing_key: SigningKey,
}

/// What is agreed at the opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The longest silence of either side.
    pub keep_alive: Milliseconds,
    /// What becomes of orders when the session is lost.
    pub cancel_on_disconnect: CancelOnDisconnect,
    /// How long after a loss.
    pub cancel_grace: Milliseconds,
}

impl Options {
    /// A heartbeat after five seconds; orders stay.
    pub const DEFAULT: Self = Self {
        keep_alive: Milliseconds(5_000),
        cancel_on_disconnect: CancelOnDisconnect::Keep,
        cancel_grace: Milliseconds(0),
    };
}

/// Where a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// A new login: both streams begin at 1.
    Anew(SessionVersion),
    /// The same login goes on.
    From {
        /// Its number.
        version: SessionVersion,
        /// The next report that was not seen.
        next_report: SessionSequence,
    },
}

impl Resume {
    fn version(self) -> SessionVersion {
        match self {
            Self::Anew(version) | Self::From { version, .. } => version,
        }
    }
}

/// What a trader learns.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "it is matched where it comes out, and boxes would allocate")]
pub enum News {
    /// The session is open.
    Opened(EstablishmentAck),
    /// A report or another message of the venue.
    Message(OrderEntryMessage),
    /// Commands that never arrived and will not be applied: the first, and how many.
    NotApplied(SessionSequence, MessageCount),
    /// Reports that will not be sent again; the stream goes on behind them.
    Lost(RejectReason),
    /// The login or the opening was refused.
    Refused(RejectReason),
    /// The venue ended the session.
    Ended(TerminationCode),
}

/// The venue broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the venue sent what cannot be understood: {0}")]
pub struct Unexpected(#[from] pub DecodeError);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LoggingIn,
    Open,
    Over,
}

/// The trader's side of one connection.
pub struct Session {
    credentials: Credentials,
    options: Options,
    version: SessionVersion,
    state: State,
    next_command: SessionSequence,
    next_report: SessionSequence,
    /// The next number of the venue's stream, as far as it is known.
    venue_next: u64,
    /// Reports behind a gap.
    held: BTreeMap<u64, OrderEntryMessage>,
    /// The end of the range that was asked for; none: nothing was.
    asked_until: Option<u64>,
    heard_at: Timestamp,
    sent_at: Timestamp,
    out: Vec<u8>,
    news: VecDeque<News>,
}

impl Session {
    /// Begins a session on a new connection at `now`.
    pub fn new(credentials: Credentials, options: Options, resume: Resume, now: Timestamp) -> Self {
        let next_report = match resume {
            Resume::Anew(_) => SessionSequence(1),
            Resume::From { next_report, .. } => next_report,
        };
        let mut session = Self {
            credentials,
            options,
            version: resume.version(),
            state: State::LoggingIn,
            next_command: SessionSequence(1),
            next_report,
            venue_next: 0,
            held: BTreeMap::new(),
            asked_until: None,
            heard_at: now,
            sent_at: now,
            out: Vec::new(),
            news: VecDeque::new(),
        };
        match resume {
            Resume::Anew(_) => session.negotiate(now),
            Resume::From { .. } => session.establish(now),
        }
        session
    }

    /// Bytes for the venue.
    pub fn take_out(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.out)
    }

    /// What there is to learn, in order.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// How to go on after this connection. What was not taken as news comes again.
    pub fn resume(&self) -> Resume {
        Resume::From { version: self.version, next_report: self.next_report() }
    }

    /// The next report that was not taken as news.
    pub fn next_report(&self) -> SessionSequence {
        let waiting = self.news.iter().find_map(|news| match news {
            News::Message(message) => number_of(message),
            _ => None,
        });
        waiting.unwrap_or(self.next_report)
    }

    /// The number of the next command.
    pub fn next_command(&self) -> SessionSequence {
        self.next_command
    }

    /// When [`Session::time`] is due next.
    pub fn next_deadline(&self) -> Timestamp {
        let interval = u64::from(self.options.keep_alive.0) * 1_000_000;
        Timestamp((self.sent_at.0 + interval).min(self.heard_at.0 + 2 * interval))
    }

    /// Sends a command; its number.
    pub fn send<M: CommandMessage>(&mut self, message: &M, now: Timestamp) -> SessionSequence {
        let number = self.next_command;
        self.write(message, now);
        self.next_command.0 += 1;
        number
    }

    /// Asks a question. It has no number: whoever gets no answer may ask again.
    pub fn ask<M: QuestionMessage>(&mut self, message: &M, now: Timestamp) {
        self.write(message, now);
    }

    /// Gives no command a number below this: those that were used and not sent again are not applied.
    pub fn skip_to(&mut self, number: SessionSequence, now: Timestamp) {
        if number > self.next_command {
            self.next_command = number;
            self.write(&Sequence { next_sequence: number }, now);
        }
    }

    /// Sends a command again under its number, in case it did not arrive: it is applied once.
    pub fn send_again<M: CommandMessage>(&mut self, number: SessionSequence, message: &M, now: Timestamp) {
        let next = self.next_command.0.max(number.0 + 1);
        self.write(&Sequence { next_sequence: number }, now);
        self.write(message, now);
        if number.0 + 1 != next {
            self.write(&Sequence { next_sequence: SessionSequence(next) }, now);
        }
        self.next_command = SessionSequence(next);
    }

    /// Says goodbye.
    pub fn terminate(&mut self, now: Timestamp) {
        if self.state != State::Over {
            self.goodbye(TerminationCode::Terminated, now);
        }
    }

    /// Takes a frame of the venue. A message that a later version of a schema has added is left out.
    ///
    /// # Errors
    ///
    /// If it is no message of the venue. The connection is of no use then.
    pub fn frame(&mut self, frame: Frame<'_>, now: Timestamp) -> Result<(), Unexpected> {
        self.heard_at = now;
        let taken = if frame.header.schema_id == wire::session::SCHEMA.id {
            SessionMessage::try_from(frame).map(|message| self.session_message(message, now))
        } else {
            OrderEntryMessage::try_from(frame).map(|message| self.report(message, now))
        };
        match taken {
            Err(DecodeError::UnknownTemplate { .. }) => Ok(()),
            taken => Ok(taken?),
        }
    }

    /// Time has passed.
    pub fn time(&mut self, now: Timestamp) {
        let interval = u64::from(self.options.keep_alive.0) * 1_000_000;
        if self.state == State::Over {
            return;
        }
        if now.0 >= self.heard_at.0 + 2 * interval {
            self.goodbye(TerminationCode::KeepAliveExpired, now);
            self.news.push_back(News::Ended(TerminationCode::KeepAliveExpired));
        } else {
            self.heartbeat(now);
        }
    }

    /// Sends a heartbeat if one is due: also who hears the venue all the time has to be heard.
    pub fn heartbeat(&mut self, now: Timestamp) {
        let interval = u64::from(self.options.keep_alive.0) * 1_000_000;
        if self.state == State::Open && now.0 >= self.sent_at.0 + interval {
            self.write(&Sequence { next_sequence: self.next_command }, now);
        }
    }

    fn negotiate(&mut self, now: Timestamp) {
        let mut request = Negotiate {
            session_id: self.credentials.session,
            session_version: self.version,
            key_id: self.credentials.key,
            timestamp: now,
            signature: Signature64([0; 64]),
        };
        request.signature = self.sign(request.signed_text().as_bytes());
        self.write(&request, now);
    }

    fn establish(&mut self, now: Timestamp) {
        let mut request = Establish {
            session_id: self.credentials.session,
            session_version: self.version,
            key_id: self.credentials.key,
            nonce: Nonce(now.0),
            timestamp: now,
            next_sequence: self.next_command,
            keep_alive: self.options.keep_alive,
            cancel_grace: self.options.cancel_grace,
            order_entry_schema_id: wire::order_entry::SCHEMA.id,
            order_entry_schema_version: wire::order_entry::SCHEMA.version,
            session_schema_version: wire::session::SCHEMA.version,
            cancel_on_disconnect: self.options.cancel_on_disconnect,
            ..Establish::BLANK
        };
        request.signature = self.sign(request.signed_text().as_bytes());
        self.write(&request, now);
    }

    fn sign(&self, text: &[u8]) -> Signature64 {
        Signature64(self.credentials.signing_key.sign(text).to_bytes())
    }

    fn session_message(&mut self, message: SessionMessage, now: Timestamp) {
        match message {
            SessionMessage::NegotiationResponse(_) => self.establish(now),
            SessionMessage::EstablishmentAck(ack) => self.opened(ack, now),
            SessionMessage::NegotiationReject(reject) => self.refused(reject.reject_reason),
            SessionMessage::EstablishmentReject(reject) => self.refused(reject.reject_reason),
            SessionMessage::Sequence(sequence) => self.ask_for_gap(sequence.next_sequence.0, now),
            SessionMessage::NotApplied(gap) => {
                self.news.push_back(News::NotApplied(gap.from_sequence, gap.count));
            }
            // The reports themselves say which they are.
            SessionMessage::Retransmission(_) => {}
            SessionMessage::RetransmitReject(reject) => self.give_up_gap(reject.reject_reason),
            SessionMessage::Terminate(terminate) => self.ended(terminate.code, now),
            SessionMessage::Negotiate(_) | SessionMessage::Establish(_) | SessionMessage::RetransmitRequest(_) => {
                self.goodbye(TerminationCode::ProtocolViolation, now);
                self.news.push_back(News::Ended(TerminationCode::ProtocolViolation));
            }
        }
    }

    fn opened(&mut self, ack: EstablishmentAck, now: Timestamp) {
        self.state = State::Open;
        self.next_command = ack.next_sequence;
        // A venue that was restored from before counts on from there: what it says anew must not pass for said before.
        self.next_report = self.next_report.min(ack.next_report_number);
        self.news.push_back(News::Opened(ack));
        self.ask_for_gap(ack.next_report_number.0, now);
    }

    fn refused(&mut self, reason: RejectReason) {
        self.state = State::Over;
        self.news.push_back(News::Refused(reason));
    }

    fn ended(&mut self, code: TerminationCode, now: Timestamp) {
        if self.state != State::Over {
            self.goodbye(code, now);
            self.news.push_back(News::Ended(code));
        }
    }

    fn report(&mut self, message: OrderEntryMessage, now: Timestamp) {
        let Some(SessionSequence(number)) = number_of(&message) else {
            return self.news.push_back(News::Message(message));
        };
        if number < self.next_report.0 {
            return;
        }
        self.held.insert(number, message);
        self.let_out();
        self.ask_for_gap(number + 1, now);
    }

    fn let_out(&mut self) {
        while let Some(message) = self.held.remove(&self.next_report.0) {
            self.news.push_back(News::Message(message));
            self.next_report.0 += 1;
        }
        if self.asked_until.is_some_and(|until| until <= self.next_report.0) {
            self.asked_until = None;
        }
    }

    /// Asks for the reports that are missing before `until`, the next of the venue's stream, one range at a time.
    fn ask_for_gap(&mut self, until: u64, now: Timestamp) {
        self.venue_next = self.venue_next.max(until);
        let until = self.held.keys().next().map_or(self.venue_next, |&first| first.min(self.venue_next));
        let missing = until.saturating_sub(self.next_report.0).min(RETRANSMIT_MAX);
        if missing == 0 || self.asked_until.is_some() || self.state != State::Open {
            return;
        }
        self.asked_until = Some(self.next_report.0 + missing);
        let from_sequence = self.next_report;
        self.write(&RetransmitRequest { timestamp: now, from_sequence, count: MessageCount(missing) }, now);
    }

    fn give_up_gap(&mut self, reason: RejectReason) {
        if let Some(until) = self.asked_until.take() {
            // What cannot be found for now is asked for again when the venue is heard next, at its heartbeat at the latest.
            if reason == EdgeReason::Busy.into() {
                return;
            }
            self.next_report.0 = self.next_report.0.max(until);
            self.news.push_back(News::Lost(reason));
            self.let_out();
        }
    }

    fn goodbye(&mut self, code: TerminationCode, now: Timestamp) {
        let (session_id, session_version) = (self.credentials.session, self.version);
        self.write(&Terminate { session_id, session_version, code }, now);
        self.state = State::Over;
    }

    fn write<M: Flat>(&mut self, message: &M, now: Timestamp) {
        self.sent_at = now;
        let start = self.out.len();
        self.out.resize(start + M::FRAME_LENGTH, 0);
        wire::encode(message, &mut self.out[start..]).expect("the buffer is as long as the frame");
    }
}

/// A report's number in the session's stream.
pub(crate) fn number_of(message: &OrderEntryMessage) -> Option<SessionSequence> {
    match message {
        OrderEntryMessage::ExecutionReport(report) => report.report_number,
        OrderEntryMessage::OrderCancelReject(report) => report.report_number,
        OrderEntryMessage::OrderMassActionReport(report) => report.report_number,
        OrderEntryMessage::AccountBalance(report) => report.report_number,
        OrderEntryMessage::BusinessMessageReject(reject) => reject.report_number,
        OrderEntryMessage::KillSwitchReport(report) => report.report_number,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::order_entry::{ExecutionReport, OrderCancelRequest};
    use wire::session::RetransmitReject;

    fn framed(message: &impl Flat) -> Vec<u8> {
        let mut bytes = vec![0; 1_024];
        let length = wire::encode(message, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    fn hear(session: &mut Session, message: &impl Flat) {
        session.frame(Frame::split(&framed(message)).unwrap().0, Timestamp(1)).unwrap();
    }

    /// A trader whose connection broke while it was sending went on behind reports that it had not looked at yet.
    #[test]
    fn what_was_not_taken_as_news_comes_again() {
        let signing_key = SigningKey::from_bytes(&[3; 32]);
        let credentials = Credentials { session: SessionId(1), key: KeyId(1), signing_key };
        let from = Resume::From { version: SessionVersion(1), next_report: SessionSequence(1) };
        let mut session = Session::new(credentials, Options::DEFAULT, from, Timestamp(1));
        let next_report_number = SessionSequence(1);
        hear(&mut session, &EstablishmentAck { next_report_number, ..EstablishmentAck::BLANK });
        for number in 1..=3 {
            let report_number = Some(SessionSequence(number));
            hear(&mut session, &ExecutionReport { report_number, ..ExecutionReport::BLANK });
        }
        let is_report = |news| matches!(news, Some(News::Message(OrderEntryMessage::ExecutionReport(_))));
        assert!(matches!(session.next_news(), Some(News::Opened(_))));
        assert!(is_report(session.next_news()));
        session.send(&OrderCancelRequest::BLANK, Timestamp(2));
        let behind = |number| Resume::From { version: SessionVersion(1), next_report: SessionSequence(number) };
        assert_eq!(session.resume(), behind(2));
        assert!(is_report(session.next_news()) && is_report(session.next_news()));
        assert_eq!(session.resume(), behind(4));
    }

    /// A disk that failed for a moment cost a trader what had been missed.
    #[test]
    fn what_is_not_found_for_now_is_asked_for_again() {
        let signing_key = SigningKey::from_bytes(&[3; 32]);
        let credentials = Credentials { session: SessionId(1), key: KeyId(1), signing_key };
        let from = Resume::From { version: SessionVersion(1), next_report: SessionSequence(1) };
        let mut session = Session::new(credentials, Options::DEFAULT, from, Timestamp(1));
        session.take_out();
        let asked = |session: &mut Session| match session.take_out() {
            bytes if bytes.is_empty() => None,
            bytes => Some(Frame::split(&bytes).unwrap().0.decode::<RetransmitRequest>().unwrap().from_sequence),
        };
        let next_report_number = SessionSequence(4);
        hear(&mut session, &EstablishmentAck { next_report_number, ..EstablishmentAck::BLANK });
        assert_eq!(asked(&mut session), Some(SessionSequence(1)));
        let reject_reason = EdgeReason::Busy.into();
        hear(&mut session, &RetransmitReject { reject_reason, ..RetransmitReject::BLANK });
        assert_eq!(asked(&mut session), None);
        hear(&mut session, &Sequence { next_sequence: SessionSequence(4) });
        assert_eq!(asked(&mut session), Some(SessionSequence(1)));
        assert!(matches!((session.next_news(), session.next_news()), (Some(News::Opened(_)), None)));
        // What is no longer kept is given up.
        let reject_reason = EdgeReason::RetransmitTooOld.into();
        hear(&mut session, &RetransmitReject { reject_reason, ..RetransmitReject::BLANK });
        assert!(matches!(session.next_news(), Some(News::Lost(_))));
    }

    /// A venue of a later version had clients of an earlier one drop the connection.
    #[test]
    fn a_message_that_was_added_later_is_left_out() {
        let signing_key = SigningKey::from_bytes(&[3; 32]);
        let credentials = Credentials { session: SessionId(1), key: KeyId(1), signing_key };
        let mut session = Session::new(credentials, Options::DEFAULT, Resume::Anew(SessionVersion(1)), Timestamp(1));
        let mut later = framed(&ExecutionReport { report_number: Some(SessionSequence(1)), ..ExecutionReport::BLANK });
        // Its template, behind its length, encoding and block length.
        later[8..10].copy_from_slice(&60_000_u16.to_le_bytes());
        assert_eq!(session.frame(Frame::split(&later).unwrap().0, Timestamp(1)), Ok(()));
        assert!(session.next_news().is_none());
        let unknown_schema = [&later[..10], &[0xFF, 0xFF], &later[12..]].concat();
        assert!(session.frame(Frame::split(&unknown_schema).unwrap().0, Timestamp(1)).is_err());
    }
}
