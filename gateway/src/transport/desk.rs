//! Which connection speaks for which session.

use std::collections::{HashMap, VecDeque};

use engine::command::{Establish, Role};
use engine::{AccountId, Command, CommandBody, Event, EventHeader, KeyId, Sequence, SessionId};
use wire::TerminationCode;

use crate::egress::Recipient;
use crate::rights::{Key, Rights};
use crate::view::View;

/// What a connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "mail is rare, and few at a time")]
pub(crate) enum Mail {
    /// An event of its session's state.
    Core(Event),
    /// Its session ends.
    Ended(TerminationCode),
}

/// A connection: its place, and its number in the order of their coming, as places are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId {
    pub(crate) place: usize,
    pub(crate) serial: u64,
}

/// Mail on its way.
pub(crate) type Post = Vec<(ConnectionId, Mail)>;

#[derive(Debug)]
struct Login {
    connection: ConnectionId,
    key: KeyId,
    /// What the opening said; none while it is only a login.
    opening: Option<Establish>,
    /// The accounts whose reports are copied to it.
    copied: Vec<AccountId>,
}

impl Login {
    fn new(command: &Command, connection: ConnectionId) -> Self {
        let opening = match command.body {
            CommandBody::Establish(opening) => Some(opening),
            _ => None,
        };
        Self { connection, key: command.header.author, opening, copied: Vec::new() }
    }

    /// Whether the core would grant `command` if this connection were lost. A replayed opening, or another key's, must
    /// not cost anybody the session.
    fn yields_to(&self, command: &Command) -> bool {
        let CommandBody::Establish(later) = &command.body else { return false };
        let newer = |opening: &Establish| later.version == opening.version && later.nonce > opening.nonce;
        self.key == command.header.author && self.opening.as_ref().is_some_and(newer)
    }
}

/// The view, and who is logged in or about to be.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) view: View,
    pub(crate) logins: Logins,
    /// The command of the last event that was taken in; none: nothing has happened since the start.
    released: Sequence,
}

/// Who is logged in, or about to be.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    /// Whose logins are with the core, in the order of submission.
    waiting: HashMap<SessionId, VecDeque<Login>>,
    /// Who speaks for an open session.
    open: HashMap<SessionId, Login>,
    copies: Copies,
}

/// Which connections each account's reports are copied to; those of no account: every account's.
#[derive(Debug, Default)]
struct Copies(HashMap<AccountId, Vec<ConnectionId>>);

impl Copies {
    /// Most venues have no readers: this is all that a report costs there.
    fn are_wanted(&self, account: AccountId) -> bool {
        !self.0.is_empty() && self.readers(account).next().is_some()
    }

    fn readers(&self, account: AccountId) -> impl Iterator<Item = ConnectionId> + '_ {
        let of = |account| self.0.get(&account).into_iter().flatten().copied();
        of(AccountId::NONE).chain(of(account))
    }

    /// From now on a login reads what its key may; none: nothing more.
    fn give(&mut self, login: &mut Login, key: Option<&Key>) {
        let copied = key.map(readable).unwrap_or_default();
        for account in core::mem::replace(&mut login.copied, copied) {
            if let Some(readers) = self.0.get_mut(&account) {
                readers.retain(|&connection| connection != login.connection);
                if readers.is_empty() {
                    self.0.remove(&account);
                }
            }
        }
        for &account in &login.copied {
            self.0.entry(account).or_default().push(login.connection);
        }
    }
}

/// The accounts whose reports are copied to a key; only none where that is every account, so that each comes once.
fn readable(key: &Key) -> Vec<AccountId> {
    let accounts: Vec<AccountId> = key.copied_accounts().collect();
    if accounts.contains(&AccountId::NONE) { vec![AccountId::NONE] } else { accounts }
}

impl Desk {
    pub(crate) fn new(view: View) -> Self {
        Self { view, logins: Logins::default(), released: Sequence::NONE }
    }

    /// Takes in a released event: the view follows it, and an event of a session's state goes to whom it concerns.
    pub(crate) fn take_in(&mut self, header: &EventHeader, event: &Event, post: &mut Post) {
        self.released = header.id.sequence;
        self.view.apply(header, event);
        self.logins.route(event, self.view.rights(), post);
    }

    /// The command of the last event that was taken in.
    pub(crate) fn released(&self) -> Sequence {
        self.released
    }
}

impl Logins {
    /// A login is about to be submitted; its answer is for this connection.
    pub(crate) fn expect_answer(&mut self, command: &Command, connection: ConnectionId) {
        self.waiting.entry(command.header.session).or_default().push_back(Login::new(command, connection));
    }

    /// The last login was not submitted after all.
    pub(crate) fn expect_no_answer(&mut self, session: SessionId) {
        if let Some(waiting) = self.waiting.get_mut(&session) {
            waiting.pop_back();
        }
    }

    /// The connection no longer speaks for its session; whether it did.
    pub(crate) fn leave(&mut self, session: SessionId, connection: ConnectionId) -> bool {
        let speaks = self.open.get(&session).is_some_and(|login| login.connection == connection);
        if speaks {
            self.close(session);
        }
        speaks
    }

    /// Another connection opens the session: whoever spoke for it is to be told to go.
    pub(crate) fn take_over(&mut self, establish: &Command) -> Option<ConnectionId> {
        let session = establish.header.session;
        self.open.get(&session).filter(|login| login.yields_to(establish))?;
        self.close(session)
    }

    /// Nobody speaks for a session any more; who did.
    fn close(&mut self, session: SessionId) -> Option<ConnectionId> {
        let mut login = self.open.remove(&session)?;
        self.copies.give(&mut login, None);
        Some(login.connection)
    }

    /// Those that a message is for, if they are there.
    pub(crate) fn recipients(&self, recipient: Recipient, rights: &Rights, mut each: impl FnMut(ConnectionId)) {
        match recipient {
            Recipient::Session(session) => self.open.get(&session).into_iter().for_each(|login| each(login.connection)),
            Recipient::Key(key) => self.in_order(|login| login.key == key).for_each(each),
            Recipient::Everybody => self.in_order(|_| true).for_each(each),
            Recipient::Readers(account) => {
                let may_read = |login: &Login| rights.key(login.key).is_some_and(|key| key.may_read(account));
                self.in_order(may_read).for_each(each);
            }
            Recipient::Copies(account, _) => self.copies.readers(account).for_each(each),
        }
    }

    /// Those of the open sessions that are meant, in the order of sessions: the same whenever the same has happened.
    fn in_order(&self, is_meant: impl Fn(&Login) -> bool) -> impl Iterator<Item = ConnectionId> {
        let meant = self.open.iter().filter(|(_, login)| is_meant(login));
        let mut meant: Vec<_> = meant.map(|(&session, login)| (session, login.connection)).collect();
        meant.sort_unstable();
        meant.into_iter().map(|(_, connection)| connection)
    }

    /// Whether anybody reads copies of an account's reports.
    pub(crate) fn copies_are_wanted(&self, account: AccountId) -> bool {
        self.copies.are_wanted(account)
    }

    /// Routes an event of a session's state.
    fn route(&mut self, event: &Event, rights: &Rights, post: &mut Post) {
        match event {
            Event::SessionNegotiated(negotiated) => {
                self.gone(negotiated.session, event, post);
                self.answer(negotiated.session, event, post);
            }
            Event::SessionEstablished(established) => {
                if let Some(mut login) = self.answer(established.session, event, post) {
                    let key = rights.key(login.key);
                    self.copies.give(&mut login, key);
                    self.open.insert(established.session, login);
                }
            }
            Event::SessionRejected(rejected) if rejected.response_to != engine::CommandKind::Disconnect => {
                self.answer(rejected.session, event, post);
            }
            Event::SessionDisconnected(gone) => self.gone(gone.session, event, post),
            Event::KeyRevoked(revoked) => {
                let ended = Mail::Ended(TerminationCode::KeyRevoked);
                self.recipients(Recipient::Key(revoked.command.key), rights, |connection| {
                    post.push((connection, ended))
                });
                self.give_again(revoked.command.key, rights);
            }
            Event::RoleGranted(granted) if granted.command.role == Role::DropCopy => {
                self.give_again(granted.command.key, rights);
            }
            Event::RoleRevoked(revoked) if revoked.command.role == Role::DropCopy => {
                self.give_again(revoked.command.key, rights);
            }
            _ => {}
        }
    }

    /// A key's rights have changed.
    fn give_again(&mut self, key: KeyId, rights: &Rights) {
        let mut of_key: Vec<_> = self.open.iter_mut().filter(|(_, login)| login.key == key).collect();
        of_key.sort_unstable_by_key(|&(session, _)| session);
        for (_, login) in of_key {
            self.copies.give(login, rights.key(key));
        }
    }

    /// Whoever spoke for the session does so no longer.
    fn gone(&mut self, session: SessionId, event: &Event, post: &mut Post) {
        post.extend(self.close(session).map(|connection| (connection, Mail::Core(*event))));
    }

    fn answer(&mut self, session: SessionId, event: &Event, post: &mut Post) -> Option<Login> {
        let waiting = self.waiting.get_mut(&session)?;
        let login = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&session);
        }
        post.push((login.connection, Mail::Core(*event)));
        Some(login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::command::{AddKey, AdminNote, CancelOnDisconnect, GrantRole, KeyKind, RevokeKey, RevokeRole};
    use engine::event::{KeyAdded, KeyRevoked, RoleGranted, RoleRevoked, SessionEstablished};
    use engine::{CommandHeader, ExecId, LoginNonce, Nanoseconds, SessionSequence, SessionVersion};

    const SESSION: SessionId = SessionId(7);
    const KEY: KeyId = KeyId(5);
    const FIRST: ConnectionId = ConnectionId { place: 0, serial: 1 };
    const SECOND: ConnectionId = ConnectionId { place: 1, serial: 2 };

    fn established() -> Event {
        SessionEstablished {
            session: SESSION,
            version: SessionVersion(1),
            next_client_sequence: SessionSequence(1),
            next_report_number: SessionSequence(1),
            cancel_on_disconnect: CancelOnDisconnect::Keep,
            cancel_grace: Nanoseconds(0),
            keep_alive: Nanoseconds(1),
        }
        .into()
    }

    fn opening(author: KeyId, version: u64, nonce: u64) -> Command {
        let header = CommandHeader { author, session: SESSION, ..CommandHeader::VENUE };
        let body = Establish {
            version: SessionVersion(version),
            nonce: LoginNonce(nonce),
            cancel_on_disconnect: CancelOnDisconnect::Keep,
            cancel_grace: Nanoseconds(0),
            keep_alive: Nanoseconds(1),
        };
        Command { header, body: body.into() }
    }

    fn route(logins: &mut Logins, event: &Event) -> Post {
        route_with(logins, event, &Rights::default())
    }

    fn route_with(logins: &mut Logins, event: &Event, rights: &Rights) -> Post {
        let mut post = Post::new();
        logins.route(event, rights, &mut post);
        post
    }

    /// The first connection speaks for the session.
    fn opened() -> Logins {
        let mut logins = Logins::default();
        logins.expect_answer(&opening(KEY, 1, 10), FIRST);
        assert_eq!(route(&mut logins, &established()), [(FIRST, Mail::Core(established()))]);
        logins
    }

    #[test]
    fn answers_go_to_those_who_asked_in_the_order_of_asking() {
        let mut logins = Logins::default();
        logins.expect_answer(&opening(KEY, 1, 10), FIRST);
        logins.expect_answer(&opening(KEY, 1, 11), SECOND);
        assert_eq!(route(&mut logins, &established()), [(FIRST, Mail::Core(established()))]);
        assert_eq!(route(&mut logins, &established()), [(SECOND, Mail::Core(established()))]);
        assert_eq!(route(&mut logins, &established()), []);
    }

    #[test]
    fn who_was_replaced_can_no_longer_end_the_session() {
        let mut logins = opened();
        assert!(!logins.leave(SESSION, SECOND));
        assert_eq!(logins.take_over(&opening(KEY, 1, 11)), Some(FIRST));
        assert!(!logins.leave(SESSION, FIRST));
    }

    #[test]
    fn an_opening_that_the_core_would_refuse_takes_over_from_nobody() {
        let mut logins = opened();
        for refused in [opening(KEY, 1, 10), opening(KEY, 2, 11), opening(KeyId(6), 1, 11)] {
            assert_eq!(logins.take_over(&refused), None);
        }
        assert!(logins.leave(SESSION, FIRST));
    }

    #[test]
    fn a_revoked_key_ends_its_sessions() {
        let mut logins = opened();
        let command = RevokeKey { key: KEY, note: AdminNote::NONE };
        let told = route(&mut logins, &KeyRevoked { author: KeyId::VENUE, command }.into());
        assert_eq!(told, [(FIRST, Mail::Ended(TerminationCode::KeyRevoked))]);
        assert!(logins.leave(SESSION, FIRST));
    }

    const ACCOUNTS: [AccountId; 2] = [AccountId(2), AccountId(3)];

    /// Applies an event of rights, and routes it.
    fn change(logins: &mut Logins, rights: &mut Rights, event: impl Into<Event>) {
        let event = event.into();
        rights.apply(&event);
        route_with(logins, &event, rights);
    }

    fn granted(account: AccountId) -> RoleGranted {
        let command = GrantRole { key: KEY, role: Role::DropCopy, account, note: AdminNote::NONE };
        RoleGranted { author: KeyId::VENUE, command }
    }

    fn revoked(account: AccountId) -> RoleRevoked {
        let command = RevokeRole { key: KEY, role: Role::DropCopy, account, note: AdminNote::NONE };
        RoleRevoked { author: KeyId::VENUE, command }
    }

    /// Whom copies of both accounts' reports are for.
    fn readers(logins: &Logins) -> [Vec<ConnectionId>; 2] {
        ACCOUNTS.map(|account| {
            let mut found = Vec::new();
            logins.recipients(Recipient::Copies(account, ExecId(1)), &Rights::default(), |connection| {
                found.push(connection)
            });
            assert_eq!(logins.copies_are_wanted(account), !found.is_empty());
            found
        })
    }

    #[test]
    fn who_may_be_told_of_an_account_follows_the_rights_of_keys() {
        let (mut logins, mut rights) = (opened(), Rights::default());
        let told = |logins: &Logins, rights: &Rights| {
            ACCOUNTS.map(|account| {
                let mut found = Vec::new();
                logins.recipients(Recipient::Readers(account), rights, |connection| found.push(connection));
                found
            })
        };
        let command = AddKey { key: KEY, kind: KeyKind::Ed25519, public_key: [7; 32], note: AdminNote::NONE };
        change(&mut logins, &mut rights, KeyAdded { author: KeyId::VENUE, command });
        assert_eq!(told(&logins, &rights), [vec![], vec![]]);
        change(&mut logins, &mut rights, granted(ACCOUNTS[0]));
        assert_eq!(told(&logins, &rights), [vec![FIRST], vec![]]);
    }

    #[test]
    fn copies_follow_the_rights_of_keys_and_end_with_the_session() {
        let (mut logins, mut rights) = (Logins::default(), Rights::default());
        let command = AddKey { key: KEY, kind: KeyKind::Ed25519, public_key: [7; 32], note: AdminNote::NONE };
        change(&mut logins, &mut rights, KeyAdded { author: KeyId::VENUE, command });
        change(&mut logins, &mut rights, granted(ACCOUNTS[0]));
        assert_eq!(readers(&logins), [vec![], vec![]]);
        logins.expect_answer(&opening(KEY, 1, 10), FIRST);
        route_with(&mut logins, &established(), &rights);
        assert_eq!(readers(&logins), [vec![FIRST], vec![]]);
        // Once, although it has two rights to the first account's.
        change(&mut logins, &mut rights, granted(AccountId::NONE));
        assert_eq!(readers(&logins), [vec![FIRST], vec![FIRST]]);
        change(&mut logins, &mut rights, revoked(AccountId::NONE));
        assert_eq!(readers(&logins), [vec![FIRST], vec![]]);
        // The session goes on in another connection.
        logins.expect_answer(&opening(KEY, 1, 11), SECOND);
        assert_eq!(logins.take_over(&opening(KEY, 1, 11)), Some(FIRST));
        assert_eq!(readers(&logins), [vec![], vec![]]);
        route_with(&mut logins, &established(), &rights);
        assert_eq!(readers(&logins), [vec![SECOND], vec![]]);
        let command = RevokeKey { key: KEY, note: AdminNote::NONE };
        change(&mut logins, &mut rights, KeyRevoked { author: KeyId::VENUE, command });
        assert_eq!(readers(&logins), [vec![], vec![]]);
        assert!(logins.leave(SESSION, SECOND));
        assert!(logins.copies.0.is_empty());
    }
}
