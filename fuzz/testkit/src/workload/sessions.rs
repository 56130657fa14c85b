//! Who sends: the venue itself, keys with and without rights, and sessions with gaps and repetitions.

use std::collections::BTreeMap;

use engine::command::*;
use engine::*;

use super::venue::ACCOUNTS;
use super::{Workload, by_key};

/// Trades for the first two accounts.
const FIRST: KeyId = KeyId(1);
/// Makes markets for the other accounts.
const SECOND: KeyId = KeyId(2);
/// Runs the venue.
pub(super) const ADMINISTRATOR: KeyId = KeyId(3);
/// Only reads.
const READER: KeyId = KeyId(4);
/// Run a part of the venue each.
pub(super) const OPERATORS: [(KeyId, Role); 4] = [
    (KeyId(10), Role::MarketOperator),
    (KeyId(11), Role::AccountOperator),
    (KeyId(12), Role::RiskOperator),
    (KeyId(13), Role::KeyOperator),
];

/// One session as its trader sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversation {
    key: KeyId,
    version: u64,
    nonce: u64,
    next: u64,
    is_open: bool,
}

/// Two sessions of the first key, one of each other.
pub(super) fn conversations() -> BTreeMap<SessionId, Conversation> {
    [(1, FIRST), (2, FIRST), (3, SECOND), (4, ADMINISTRATOR), (5, READER)]
        .into_iter()
        .map(|(session, key)| (SessionId(session), Conversation { key, version: 0, nonce: 0, next: 1, is_open: false }))
        .collect()
}

/// Keys and their roles.
pub(super) fn opening() -> Vec<(CommandHeader, CommandBody)> {
    let note = AdminNote::NONE;
    let mut bodies: Vec<CommandBody> = Vec::new();
    let operators = OPERATORS.map(|(key, _)| key);
    for key in [FIRST, SECOND, ADMINISTRATOR, READER].into_iter().chain(operators) {
        let public_key = [u8::try_from(key.0).expect("a small key"); 32];
        bodies.push(AddKey { key, kind: KeyKind::Ed25519, public_key, note }.into());
    }
    let grants = [
        (FIRST, Role::Trader, ACCOUNTS[0]),
        (FIRST, Role::Trader, ACCOUNTS[1]),
        (SECOND, Role::MarketMaker, ACCOUNTS[2]),
        (SECOND, Role::Trader, ACCOUNTS[3]),
        (SECOND, Role::MarketMaker, ACCOUNTS[4]),
        (ADMINISTRATOR, Role::Administrator, AccountId::NONE),
        (READER, Role::ReadOnly, AccountId::NONE),
    ];
    let operators = OPERATORS.map(|(key, role)| (key, role, AccountId::NONE));
    for (key, role, account) in grants.into_iter().chain(operators) {
        bodies.push(GrantRole { key, role, account, note }.into());
    }
    bodies.into_iter().map(|body| (CommandHeader::VENUE, body)).collect()
}

/// Follows what became of logins.
pub(super) fn observe(conversations: &mut BTreeMap<SessionId, Conversation>, events: &[Event]) {
    for event in events {
        match event {
            Event::SessionNegotiated(event) => {
                if let Some(conversation) = conversations.get_mut(&event.session) {
                    conversation.key = event.key;
                    conversation.version = event.version.0;
                    conversation.next = 1;
                    conversation.is_open = false;
                }
            }
            Event::SessionEstablished(event) => {
                if let Some(conversation) = conversations.get_mut(&event.session) {
                    conversation.next = event.next_client_sequence.0;
                    conversation.is_open = true;
                }
            }
            Event::SessionDisconnected(event) => {
                if let Some(conversation) = conversations.get_mut(&event.session) {
                    conversation.is_open = false;
                }
            }
            _ => {}
        }
    }
}

impl Workload {
    /// Who sends a command for an account: mostly somebody who may.
    pub(super) fn header_for(&mut self, account: AccountId) -> CommandHeader {
        if !self.random.percent(self.profile.through_session) {
            if self.profile.through_session == 0 || self.random.percent(80) {
                return CommandHeader::VENUE;
            }
            let key = self.random.one_of(&[FIRST, SECOND, ADMINISTRATOR, READER, KeyId(9)]);
            return by_key(key);
        }
        let key = if ACCOUNTS[..2].contains(&account) { FIRST } else { SECOND };
        let key =
            if self.random.percent(90) { key } else { self.random.one_of(&[FIRST, SECOND, ADMINISTRATOR, READER]) };
        self.through_session_of(key)
    }

    pub(super) fn administrators_header(&mut self) -> CommandHeader {
        if self.random.percent(self.profile.through_session / 2) {
            let key = if self.random.percent(90) { ADMINISTRATOR } else { FIRST };
            return self.through_session_of(key);
        }
        if self.profile.through_session > 0 && self.random.percent(self.profile.through_session / 4) {
            return by_key(self.random.one_of(&OPERATORS).0);
        }
        if self.random.percent(self.profile.wrong_administration / 5) {
            return by_key(self.random.one_of(&[FIRST, ADMINISTRATOR, READER, KeyId(9)]));
        }
        CommandHeader::VENUE
    }

    /// A numbered command: the next one, sometimes a repetition, sometimes behind a gap.
    fn through_session_of(&mut self, key: KeyId) -> CommandHeader {
        let sessions: Vec<SessionId> =
            self.conversations.iter().filter(|(_, it)| it.key == key).map(|(&id, _)| id).collect();
        if sessions.is_empty() {
            return by_key(key);
        }
        let session = self.random.one_of(&sessions);
        let (repeats, skips, unnumbered) = (self.random.percent(4), self.random.percent(4), self.random.percent(3));
        let gap = self.random.below(3);
        let conversation = self.conversations.get_mut(&session).expect("a conversation");
        let mut number = conversation.next;
        if unnumbered {
            number = 0;
        } else if repeats {
            number = number.saturating_sub(1 + gap).max(1);
        } else {
            number += if skips { 1 + gap } else { 0 };
            if conversation.is_open {
                conversation.next = number + 1;
            }
        }
        let received_at = Timestamp(self.now.0 - self.random.below(30));
        CommandHeader { author: key, session, client_sequence: SessionSequence(number), received_at }
    }

    /// A login, an opening or a loss; mostly the one that fits.
    pub(super) fn session_command(&mut self) -> (CommandHeader, CommandBody) {
        let sessions: Vec<SessionId> = self.conversations.keys().copied().collect();
        let mut session = self.random.one_of(&sessions);
        let conversation = self.conversations[&session];
        let fits = if conversation.version == 0 {
            0
        } else if conversation.is_open {
            2
        } else {
            1
        };
        let kind = if self.random.percent(80) { fits } else { self.random.below(3) };
        let wrong = self.random.percent(10);
        let mut author = conversation.key;
        if wrong && self.random.percent(40) {
            author = self.random.one_of(&[FIRST, SECOND, READER, KeyId(9), KeyId::VENUE]);
        }
        if wrong && self.random.percent(20) {
            session = self.random.one_of(&[SessionId(6), SessionId(16), SessionId(17), SessionId::NONE]);
        }
        let slip = if wrong { self.random.below(3) } else { 1 };
        let body = match kind {
            0 => Negotiate { version: SessionVersion((conversation.version + slip).saturating_sub(u64::from(wrong))) }
                .into(),
            1 => {
                let nonce = (conversation.nonce + slip).saturating_sub(u64::from(wrong));
                if let Some(conversation) = self.conversations.get_mut(&session) {
                    conversation.nonce = conversation.nonce.max(nonce);
                }
                let off = if wrong { self.random.below(2) } else { 0 };
                Establish {
                    version: SessionVersion(conversation.version + off),
                    nonce: LoginNonce(nonce),
                    cancel_on_disconnect: self.random.one_of(&[CancelOnDisconnect::Keep, CancelOnDisconnect::Cancel]),
                    cancel_grace: Nanoseconds(self.random.below(60)),
                    keep_alive: Nanoseconds(1_000),
                }
                .into()
            }
            _ => {
                let off = if wrong { self.random.below(2) } else { 0 };
                let reason = self.random.one_of(&[DisconnectReason::Terminated, DisconnectReason::ConnectionLost]);
                Disconnect { version: SessionVersion(conversation.version.saturating_sub(off)), reason }.into()
            }
        };
        (CommandHeader { author, session, client_sequence: SessionSequence::NONE, received_at: self.now }, body)
    }
}
