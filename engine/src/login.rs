//! Logging sessions in and out (FIXP Negotiate, Establish, Terminate). The gateway proves the key; the engine keeps
//! what must survive a restart.

use crate::book::level::Chain;
use crate::command::{CommandKind, Disconnect, DisconnectReason, Establish, Negotiate};
use crate::directory::KeyState;
use crate::engine::Engine;
use crate::event::{EventSink, SessionDisconnected, SessionEstablished, SessionNegotiated, SessionRejected};
use crate::limits::SESSIONS_PER_KEY;
use crate::reject::RejectReason;
use crate::sessions::{Session, SessionState};
use crate::turn::Turn;
use crate::{KeyId, SessionId, SessionVersion, Timestamp};

impl Engine {
    /// Begins a session's streams anew. Its open orders stay, and so does what was agreed for its loss: a login alone
    /// does not stop a cancel that is under way.
    pub(crate) fn negotiate<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &Negotiate) {
        let (id, key) = (turn.header.session, turn.header.author);
        if let Err(reason) = self.check_negotiate(turn, command) {
            return reject(turn, CommandKind::Negotiate, command.version, reason);
        }
        if self.sessions.get(id).is_some_and(|session| session.state == SessionState::Established) {
            self.lose(turn, id, DisconnectReason::Replaced);
        }
        let mut session = Session::new(key, command.version);
        if let Some(before) = self.sessions.get(id) {
            session.nonce = before.nonce;
            session.orders = before.orders;
            session.cancel_on_disconnect = before.cancel_on_disconnect;
            session.cancel_grace = before.cancel_grace;
            session.cancel_at = before.cancel_at;
        }
        self.sessions.table.insert(id.0, session);
        turn.emit(SessionNegotiated { session: id, key, version: command.version });
    }

    fn check_negotiate<S: EventSink>(&self, turn: &Turn<'_, S>, command: &Negotiate) -> Result<(), RejectReason> {
        let key = turn.header.author;
        self.check_key(key)?;
        if !self.directory.has_role(key) {
            return Err(RejectReason::NotEntitled);
        }
        if !self.sessions.table.covers(turn.header.session.0) {
            return Err(RejectReason::IdentityOutOfRange);
        }
        // A revoked key's session may be claimed by another when nothing is open in it: who claims it must neither be told
        // of another's orders nor rule over them.
        let session = self.sessions.get(turn.header.session);
        let is_held = |session: &Session| self.directory.is_valid(session.key) || !session.orders.is_empty();
        if session.is_some_and(|session| session.key != key && is_held(session)) {
            return Err(RejectReason::SessionKeyMismatch);
        }
        let is_new = session.is_none_or(|session| session.key != key);
        if is_new && self.sessions.count_of(key) >= SESSIONS_PER_KEY as usize {
            return Err(RejectReason::CapacityFull);
        }
        // Whoever has it next goes on behind: a login's version says which login it is, also to who looks back.
        if session.map_or(SessionVersion::NONE, |session| session.version) >= command.version {
            return Err(RejectReason::SessionVersionNotGreater);
        }
        Ok(())
    }

    /// Opens a negotiated session, or one that was lost.
    pub(crate) fn establish<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &Establish) {
        let id = turn.header.session;
        if let Err(reason) = self.check_establish(turn, command) {
            return reject(turn, CommandKind::Establish, command.version, reason);
        }
        self.sessions.set_cancel_at(id, Timestamp::NEVER);
        let session = self.sessions.get_mut(id).expect("the session was checked");
        session.state = SessionState::Established;
        session.nonce = command.nonce;
        session.cancel_on_disconnect = command.cancel_on_disconnect;
        session.cancel_grace = command.cancel_grace;
        session.keep_alive = command.keep_alive;
        turn.emit(SessionEstablished {
            session: id,
            version: command.version,
            next_client_sequence: session.last_applied.next(),
            next_report_number: session.last_report.next(),
            cancel_on_disconnect: command.cancel_on_disconnect,
            cancel_grace: command.cancel_grace,
            keep_alive: command.keep_alive,
        });
    }

    fn check_establish<S: EventSink>(&self, turn: &Turn<'_, S>, command: &Establish) -> Result<(), RejectReason> {
        self.check_key(turn.header.author)?;
        let session = self.sessions.get(turn.header.session).ok_or(RejectReason::UnknownSession)?;
        if session.key != turn.header.author {
            return Err(RejectReason::SessionKeyMismatch);
        }
        if session.version != command.version {
            return Err(RejectReason::SessionNotNegotiated);
        }
        if session.nonce >= command.nonce {
            return Err(RejectReason::SessionNonceNotGreater);
        }
        if session.state == SessionState::Established {
            return Err(RejectReason::SessionAlreadyEstablished);
        }
        Ok(())
    }

    /// Closes a session; its cancel grace starts.
    pub(crate) fn disconnect<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &Disconnect) {
        let id = turn.header.session;
        let author = turn.header.author;
        let refused = match self.sessions.get(id) {
            None => Some(RejectReason::UnknownSession),
            Some(session) if author != KeyId::VENUE && author != session.key => Some(RejectReason::SessionKeyMismatch),
            Some(session) if session.version != command.version => Some(RejectReason::SessionNotNegotiated),
            Some(session) if session.state != SessionState::Established => Some(RejectReason::SessionNotEstablished),
            Some(_) => None,
        };
        match refused {
            Some(reason) => reject(turn, CommandKind::Disconnect, command.version, reason),
            None => self.lose(turn, id, command.reason),
        }
    }

    /// Ends an established session's opening: what it agreed to have cancelled is due when its grace has passed.
    fn lose<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, id: SessionId, reason: DisconnectReason) {
        let session = self.sessions.get_mut(id).expect("the session was checked");
        session.state = SessionState::Disconnected;
        let Session { version, orders, cancel_grace, .. } = *session;
        let arena = &self.orders.arena;
        let any_ends = orders.iter(arena, Chain::Session).any(|slot| self.ends_on_disconnect(&arena[slot]));
        let cancel_at = if any_ends { turn.stamp.time.after(cancel_grace) } else { Timestamp::NEVER };
        self.sessions.set_cancel_at(id, cancel_at);
        turn.emit(SessionDisconnected { session: id, version, reason, cancel_at });
    }

    fn check_key(&self, key: KeyId) -> Result<(), RejectReason> {
        match self.directory.keys.get(key.0).map(|key| key.state) {
            Some(KeyState::Valid) => Ok(()),
            Some(KeyState::Revoked) => Err(RejectReason::KeyRevoked),
            None => Err(RejectReason::UnknownKey),
        }
    }
}

fn reject<S: EventSink>(
    turn: &mut Turn<'_, S>,
    response_to: CommandKind,
    version: SessionVersion,
    reason: RejectReason,
) {
    turn.emit(SessionRejected { session: turn.header.session, response_to, version, reason });
}
