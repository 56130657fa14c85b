//! Sessions: who is logged in, which of their commands were applied, and what happens when they are lost.
//!
//! After FIXP: Negotiate begins a session's streams, Establish opens them, and opens them again after a loss. The
//! client's stream is idempotent: a command whose number was applied before is dropped, a gap is reported and not
//! waited for. The venue's stream is recoverable: every report of a session has a number that replay gives again.

use crate::book::level::Queue;
use crate::canonical::code_enum;
use crate::command::CancelOnDisconnect;
use crate::identity::{KeyId, LoginNonce, SessionId, SessionSequence, SessionVersion};
use crate::table::Table;
use crate::{CommandHeader, Nanoseconds, Timestamp};

code_enum! {
    /// How far a session has come.
    pub enum SessionState: u8 {
        /// Logged in.
        Negotiated = 1,
        /// Open for messages.
        Established = 2,
        /// Lost; it may be established again.
        Disconnected = 3,
    }
}

/// One recoverable conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) key: KeyId,
    pub(crate) version: SessionVersion,
    pub(crate) nonce: LoginNonce,
    pub(crate) state: SessionState,
    /// The last command applied.
    pub(crate) last_applied: SessionSequence,
    /// The last report's number.
    pub(crate) last_report: SessionSequence,
    pub(crate) cancel_on_disconnect: CancelOnDisconnect,
    pub(crate) cancel_grace: Nanoseconds,
    pub(crate) keep_alive: Nanoseconds,
    /// When its orders are cancelled; never while it is established or if they stay.
    pub(crate) cancel_at: Timestamp,
    /// Its open orders, oldest first.
    pub(crate) orders: Queue,
}

impl Session {
    pub(crate) fn new(key: KeyId, version: SessionVersion) -> Self {
        Self {
            key,
            version,
            nonce: LoginNonce::NONE,
            state: SessionState::Negotiated,
            last_applied: SessionSequence::NONE,
            last_report: SessionSequence::NONE,
            cancel_on_disconnect: CancelOnDisconnect::Keep,
            cancel_grace: Nanoseconds::NONE,
            keep_alive: Nanoseconds::NONE,
            cancel_at: Timestamp::NEVER,
            orders: Queue::EMPTY,
        }
    }
}

/// What a numbered command is to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The next, or not numbered.
    Next,
    /// Applied before.
    Repeated,
    /// Commands from this number on, so many, never arrived.
    Gap { from: SessionSequence, count: u64 },
    /// Its session is not established with this author's key.
    NotEstablished,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) table: Table<Session>,
    /// The earliest `cancel_at`.
    deadline: Timestamp,
}

impl Sessions {
    pub(crate) fn new(capacity: u32) -> Self {
        Self { table: Table::new(capacity), deadline: Timestamp::NEVER }
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<&Session> {
        self.table.get(session.0)
    }

    pub(crate) fn get_mut(&mut self, session: SessionId) -> Option<&mut Session> {
        self.table.get_mut(session.0)
    }

    /// Judges a command of an application by its number, and counts it.
    pub(crate) fn admit(&mut self, header: &CommandHeader) -> Admission {
        if header.session.is_none() {
            return Admission::Next;
        }
        let session = match self.get_mut(header.session) {
            Some(session) if session.state == SessionState::Established && session.key == header.author => session,
            _ => return Admission::NotEstablished,
        };
        let (number, last) = (header.client_sequence, session.last_applied);
        if number.is_none() {
            return Admission::Next;
        }
        if number <= last {
            return Admission::Repeated;
        }
        session.last_applied = number;
        match number.0 - last.0 - 1 {
            0 => Admission::Next,
            count => Admission::Gap { from: last.next(), count },
        }
    }

    /// The earliest time at which a lost session's orders are cancelled.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Sets when a session's orders are cancelled.
    pub(crate) fn set_cancel_at(&mut self, id: SessionId, cancel_at: Timestamp) {
        let Some(session) = self.get_mut(id) else { return };
        let before = core::mem::replace(&mut session.cancel_at, cancel_at);
        if cancel_at <= self.deadline {
            self.deadline = cancel_at;
        } else if before == self.deadline {
            self.deadline = self.earliest();
        }
    }

    /// Disarms and gives the first session behind `after` whose orders are due to be cancelled.
    ///
    /// Taking them one behind the other costs one look at each session, however many are due.
    pub(crate) fn take_due(&mut self, after: SessionId, now: Timestamp) -> Option<SessionId> {
        if self.deadline > now || self.deadline == Timestamp::NEVER {
            return None;
        }
        let due = self.table.iter_behind(after.0).find(|(_, session)| session.cancel_at <= now);
        let Some(id) = due.map(|(id, _)| id) else {
            self.deadline = self.earliest();
            return None;
        };
        if let Some(session) = self.table.get_mut(id) {
            session.cancel_at = Timestamp::NEVER;
        }
        Some(SessionId(id))
    }

    /// How many sessions a key has.
    pub(crate) fn count_of(&self, key: KeyId) -> usize {
        self.table.iter().filter(|(_, session)| session.key == key).count()
    }

    fn earliest(&self) -> Timestamp {
        self.table.iter().map(|(_, session)| session.cancel_at).min().unwrap_or(Timestamp::NEVER)
    }
}
