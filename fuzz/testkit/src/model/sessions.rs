//! Rule 10: logins, openings, losses, and the numbers of both streams.

use engine::command::{CancelOnDisconnect, Disconnect, DisconnectReason, Establish, Negotiate};
use engine::event::{NotApplied, Report, SessionDisconnected, SessionEstablished, SessionNegotiated, SessionRejected};
use engine::*;

use super::Model;
use super::entry::ensure;
use super::orders::Order;

/// A session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) key: KeyId,
    pub(super) version: SessionVersion,
    pub(super) nonce: LoginNonce,
    pub(super) is_open: bool,
    /// The last command of the session that was applied.
    pub(super) applied: SessionSequence,
    /// The last report of the session.
    pub(super) reports: SessionSequence,
    pub(super) cancel_on_disconnect: CancelOnDisconnect,
    pub(super) cancel_grace: Nanoseconds,
    /// When its orders are cancelled after a loss.
    pub(super) cancel_at: Timestamp,
}

type Judged = Result<(), RejectReason>;

impl Model {
    /// Whether the header's session is open and the author's.
    pub(super) fn session_is_open(&self, header: CommandHeader) -> bool {
        self.sessions.get(&header.session).is_some_and(|session| session.is_open && session.key == header.author)
    }

    /// 10.1: whether the command is applied; drops repetitions and reports gaps. Logins, openings and losses have no number.
    pub(super) fn admit(&mut self, body: &CommandBody) -> bool {
        let number = self.turn.header.client_sequence;
        let is_sessions =
            matches!(body, CommandBody::Negotiate(_) | CommandBody::Establish(_) | CommandBody::Disconnect(_));
        if is_sessions || !self.turn.in_session || number.is_none() {
            return true;
        }
        let session = self.turn.header.session;
        let state = self.sessions.get_mut(&session).expect("an open session");
        if number <= state.applied {
            return false;
        }
        let from = state.applied.next();
        state.applied = number;
        if number > from {
            self.emit(NotApplied { session, from, count: number.0 - from.0 });
        }
        true
    }

    pub(super) fn negotiate(&mut self, negotiate: Negotiate) {
        let (session, key) = (self.turn.header.session, self.turn.header.author);
        if let Err(reason) = self.judge_negotiate(negotiate) {
            self.reject_session(CommandKind::Negotiate, negotiate.version, reason);
            return;
        }
        if self.sessions.get(&session).is_some_and(|session| session.is_open) {
            self.lose(session, DisconnectReason::Replaced);
        }
        let before = self.sessions.get(&session);
        // 10.4: the nonce goes on growing over logins; 10.3: what was agreed for a loss stands.
        let nonce = before.map_or(LoginNonce::NONE, |before| before.nonce);
        let cancel_on_disconnect = before.map_or(CancelOnDisconnect::Keep, |before| before.cancel_on_disconnect);
        let cancel_grace = before.map_or(Nanoseconds::NONE, |before| before.cancel_grace);
        let cancel_at = before.map_or(Timestamp::NEVER, |before| before.cancel_at);
        let login = Session {
            key,
            version: negotiate.version,
            nonce,
            is_open: false,
            applied: SessionSequence::NONE,
            reports: SessionSequence::NONE,
            cancel_on_disconnect,
            cancel_grace,
            cancel_at,
        };
        self.sessions.insert(session, login);
        self.emit(SessionNegotiated { session, key, version: negotiate.version });
    }

    fn judge_negotiate(&self, negotiate: Negotiate) -> Judged {
        use RejectReason::*;
        let (session, key) = (self.turn.header.session, self.turn.header.author);
        self.judge_key()?;
        ensure(self.keys.has_any_role(key), NotEntitled)?;
        ensure((1..=self.capacity.sessions).contains(&session.0), IdentityOutOfRange)?;
        let before = self.sessions.get(&session);
        if before.is_none_or(|before| before.key != key) {
            // 10.5: what a revoked key has left behind, if nothing of it is open.
            let is_left = before.is_none_or(|before| self.keys.revoked.contains(&before.key));
            let has_orders = self.orders.iter().any(|order| order.session == session);
            ensure(is_left && (before.is_none() || !has_orders), SessionKeyMismatch)?;
            let count = self.sessions.values().filter(|session| session.key == key).count();
            ensure((count as u64) < u64::from(engine::limits::SESSIONS_PER_KEY), CapacityFull)?;
        }
        let last = before.map_or(SessionVersion::NONE, |before| before.version);
        ensure(negotiate.version > last, SessionVersionNotGreater)
    }

    fn judge_key(&self) -> Judged {
        let key = self.turn.header.author;
        ensure(self.keys.known.contains_key(&key), RejectReason::UnknownKey)?;
        ensure(!self.keys.revoked.contains(&key), RejectReason::KeyRevoked)
    }

    pub(super) fn establish(&mut self, establish: Establish) {
        let session = self.turn.header.session;
        if let Err(reason) = self.judge_establish(establish) {
            self.reject_session(CommandKind::Establish, establish.version, reason);
            return;
        }
        let state = self.sessions.get_mut(&session).expect("a negotiated session");
        state.is_open = true;
        state.nonce = establish.nonce;
        state.cancel_on_disconnect = establish.cancel_on_disconnect;
        state.cancel_grace = establish.cancel_grace;
        // 10.3: only the opening stops a cancel that is under way.
        state.cancel_at = Timestamp::NEVER;
        let established = SessionEstablished {
            session,
            version: establish.version,
            next_client_sequence: state.applied.next(),
            next_report_number: state.reports.next(),
            cancel_on_disconnect: establish.cancel_on_disconnect,
            cancel_grace: establish.cancel_grace,
            keep_alive: establish.keep_alive,
        };
        self.emit(established);
    }

    fn judge_establish(&self, establish: Establish) -> Judged {
        use RejectReason::*;
        let session = self.judge_own_session()?;
        ensure(session.version == establish.version, SessionNotNegotiated)?;
        ensure(establish.nonce > session.nonce, SessionNonceNotGreater)?;
        ensure(!session.is_open, SessionAlreadyEstablished)
    }

    fn judge_own_session(&self) -> Result<&Session, RejectReason> {
        self.judge_key()?;
        let session = self.sessions.get(&self.turn.header.session).ok_or(RejectReason::UnknownSession)?;
        ensure(session.key == self.turn.header.author, RejectReason::SessionKeyMismatch)?;
        Ok(session)
    }

    pub(super) fn disconnect(&mut self, disconnect: Disconnect) {
        let session = self.turn.header.session;
        if let Err(reason) = self.judge_disconnect(disconnect) {
            self.reject_session(CommandKind::Disconnect, disconnect.version, reason);
            return;
        }
        self.lose(session, disconnect.reason);
    }

    fn judge_disconnect(&self, disconnect: Disconnect) -> Judged {
        use RejectReason::*;
        let session = self.sessions.get(&self.turn.header.session).ok_or(UnknownSession)?;
        let author = self.turn.header.author;
        ensure(author == KeyId::VENUE || session.key == author, SessionKeyMismatch)?;
        ensure(session.version == disconnect.version, SessionNotNegotiated)?;
        ensure(session.is_open, SessionNotEstablished)
    }

    /// 8.14: the grace begins, if the session has an order that a loss cancels.
    fn lose(&mut self, session: SessionId, reason: DisconnectReason) {
        let agreed = self.sessions[&session].cancel_on_disconnect;
        let dies = |order: &Order| order.session == session && dies_with_session(order.on_disconnect, agreed);
        let any_dies = self.orders.iter().any(dies);
        let now = self.now();
        let state = self.sessions.get_mut(&session).expect("a session");
        state.is_open = false;
        state.cancel_at = if any_dies { now.after(state.cancel_grace) } else { Timestamp::NEVER };
        let event = SessionDisconnected { session, version: state.version, reason, cancel_at: state.cancel_at };
        self.emit(event);
    }

    /// 8.14, 7.4: the orders of sessions whose grace has passed, by session, oldest first.
    pub(super) fn cancel_lost(&mut self) {
        let now = self.now();
        let lost: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.cancel_at != Timestamp::NEVER && session.cancel_at <= now)
            .map(|(&id, _)| id)
            .collect();
        for id in lost {
            let agreed = self.sessions[&id].cancel_on_disconnect;
            self.sessions.get_mut(&id).expect("a session").cancel_at = Timestamp::NEVER;
            let victims: Vec<OrderId> = self
                .orders
                .iter()
                .filter(|order| order.session == id && dies_with_session(order.on_disconnect, agreed))
                .filter(|order| self.may_leave(order))
                .map(|order| order.id)
                .collect();
            for victim in victims {
                self.cancel(victim, CancelReason::Disconnected, ClientOrderId::NONE);
            }
        }
    }

    fn reject_session(&mut self, response_to: CommandKind, version: SessionVersion, reason: RejectReason) {
        let session = self.turn.header.session;
        self.emit(SessionRejected { session, response_to, version, reason });
    }

    /// The report of a refusal: numbered in the asking session if that is open, and in the account only for who is
    /// entitled to it (9.4).
    pub(super) fn report_refusal(&mut self, account: AccountId, reason: RejectReason) -> Report {
        if reason == RejectReason::NotEntitled {
            return self.report_to_asker(account);
        }
        self.report(account, self.turn.header.session)
    }
}

/// Whether an order is cancelled when its session, which agreed so, is lost.
fn dies_with_session(order: OnDisconnect, agreed: CancelOnDisconnect) -> bool {
    match order {
        OnDisconnect::AsSession => agreed == CancelOnDisconnect::Cancel,
        OnDisconnect::Cancel => true,
        OnDisconnect::Keep => false,
    }
}
