//! Which connection speaks for which session. Every entry is made by the sockets' thread and found by the router.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::command::Establish;
use engine::{Command, CommandBody, Event, EventHeader, KeyId, Sequence, SessionId, SessionSequence};
use tokio::sync::{Notify, mpsc};
use wire::TerminationCode;

use crate::egress::{FrameBytes, Outgoing, Recipient};
use crate::view::View;

/// What a connection is told.
#[derive(Debug)]
pub(crate) enum Mail {
    /// An event of its session's state.
    Core(Box<Event>),
    /// A report to be sent.
    Report(Option<SessionSequence>, FrameBytes),
    /// Its session ends.
    Ended(TerminationCode),
}

/// A connection's number, in the order of their coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// The sending end of a connection's mail.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    pub(crate) connection: ConnectionId,
    pub(crate) sender: mpsc::Sender<Mail>,
    pub(crate) overflow: Arc<Overflow>,
}

/// Said once a mailbox was full: from then on mail is missing, and the connection has to end.
#[derive(Debug, Default)]
pub(crate) struct Overflow {
    happened: AtomicBool,
    pub(crate) notify: Notify,
}

impl Overflow {
    pub(crate) fn happened(&self) -> bool {
        self.happened.load(Ordering::Acquire)
    }
}

impl Mailbox {
    /// Never waits. What does not fit is lost, and the connection with it; one that is gone needs nothing.
    fn post(&self, mail: Mail) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(mail) {
            self.overflow.happened.store(true, Ordering::Release);
            self.overflow.notify.notify_one();
        }
    }
}

#[derive(Debug)]
struct Login {
    mailbox: Mailbox,
    key: KeyId,
    /// What the opening said; none while it is only a login.
    opening: Option<Establish>,
}

impl Login {
    fn new(command: &Command, mailbox: Mailbox) -> Self {
        let opening = match command.body {
            CommandBody::Establish(opening) => Some(opening),
            _ => None,
        };
        Self { mailbox, key: command.header.author, opening }
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
    /// Whose logins are with the core, in the order of submission.
    waiting: HashMap<SessionId, VecDeque<Login>>,
    /// Who speaks for an open session.
    open: HashMap<SessionId, Login>,
    /// The command of the last event that was taken in; none: nothing has happened since the start.
    released: Sequence,
}

impl Desk {
    pub(crate) fn new(view: View) -> Self {
        Self { view, waiting: HashMap::new(), open: HashMap::new(), released: Sequence::NONE }
    }

    /// A login is about to be submitted; its answer is for this connection.
    pub(crate) fn expect_answer(&mut self, command: &Command, mailbox: Mailbox) {
        self.waiting.entry(command.header.session).or_default().push_back(Login::new(command, mailbox));
    }

    /// The last login was not submitted after all.
    pub(crate) fn expect_no_answer(&mut self, session: SessionId) {
        if let Some(waiting) = self.waiting.get_mut(&session) {
            waiting.pop_back();
        }
    }

    /// The connection no longer speaks for its session; whether it did.
    pub(crate) fn leave(&mut self, session: SessionId, connection: ConnectionId) -> bool {
        let speaks = self.open.get(&session).is_some_and(|login| login.mailbox.connection == connection);
        if speaks {
            self.open.remove(&session);
        }
        speaks
    }

    /// Another connection opens the session: whoever speaks for it is told to go; whether anybody was.
    pub(crate) fn take_over(&mut self, establish: &Command) -> bool {
        let session = establish.header.session;
        if !self.open.get(&session).is_some_and(|login| login.yields_to(establish)) {
            return false;
        }
        let before = self.open.remove(&session);
        if let Some(login) = &before {
            login.mailbox.post(Mail::Ended(TerminationCode::Replaced));
        }
        before.is_some()
    }

    /// Takes in a released event: the view follows it, and an event of a session's state goes to whom it concerns.
    pub(crate) fn take_in(&mut self, header: &EventHeader, event: &Event) {
        self.released = header.id.sequence;
        self.view.apply(event);
        self.route(event);
    }

    /// The command of the last event that was taken in.
    pub(crate) fn released(&self) -> Sequence {
        self.released
    }

    /// Routes an event of a session's state.
    fn route(&mut self, event: &Event) {
        match event {
            Event::SessionNegotiated(negotiated) => {
                if let Some(login) = self.open.remove(&negotiated.session) {
                    login.mailbox.post(Mail::Core(Box::new(*event)));
                }
                self.answer(negotiated.session, event);
            }
            Event::SessionEstablished(established) => {
                if let Some(login) = self.answer(established.session, event) {
                    self.open.insert(established.session, login);
                }
            }
            Event::SessionRejected(rejected) if rejected.response_to != engine::CommandKind::Disconnect => {
                self.answer(rejected.session, event);
            }
            Event::SessionDisconnected(gone) => {
                if let Some(login) = self.open.remove(&gone.session) {
                    login.mailbox.post(Mail::Core(Box::new(*event)));
                }
            }
            Event::KeyRevoked(revoked) => {
                let key = revoked.command.key;
                for login in self.open.values().filter(|login| login.key == key) {
                    login.mailbox.post(Mail::Ended(TerminationCode::KeyRevoked));
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, session: SessionId, event: &Event) -> Option<Login> {
        let waiting = self.waiting.get_mut(&session)?;
        let login = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&session);
        }
        login.mailbox.post(Mail::Core(Box::new(*event)));
        Some(login)
    }

    /// Hands a message to those it is for, if they are there.
    pub(crate) fn deliver(&self, outgoing: Outgoing) {
        let Outgoing { recipient, number, frame } = outgoing;
        match recipient {
            Recipient::Session(session) => {
                if let Some(login) = self.open.get(&session) {
                    login.mailbox.post(Mail::Report(number, frame));
                }
            }
            Recipient::Key(key) => {
                for login in self.open.values().filter(|login| login.key == key) {
                    login.mailbox.post(Mail::Report(number, frame.clone()));
                }
            }
            Recipient::Everybody => {
                self.open.values().for_each(|login| login.mailbox.post(Mail::Report(number, frame.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::command::{AdminNote, CancelOnDisconnect, RevokeKey};
    use engine::event::{KeyRevoked, SessionEstablished};
    use engine::{CommandHeader, LoginNonce, Nanoseconds, SessionVersion};

    const SESSION: SessionId = SessionId(7);
    const KEY: KeyId = KeyId(5);

    fn mailbox(connection: u64) -> (Mailbox, mpsc::Receiver<Mail>) {
        let (sender, mail) = mpsc::channel(2);
        (Mailbox { connection: ConnectionId(connection), sender, overflow: Arc::default() }, mail)
    }

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

    fn opened(mailbox: &Mailbox) -> Desk {
        let mut desk = Desk::new(View::default());
        desk.expect_answer(&opening(KEY, 1, 10), mailbox.clone());
        desk.route(&established());
        desk
    }

    fn report() -> Outgoing {
        Outgoing { recipient: Recipient::Session(SESSION), number: Some(SessionSequence(1)), frame: Box::new([]) }
    }

    #[test]
    fn answers_go_to_those_who_asked_in_the_order_of_asking() {
        let ((first, mut first_mail), (second, mut second_mail)) = (mailbox(1), mailbox(2));
        let mut desk = Desk::new(View::default());
        desk.expect_answer(&opening(KEY, 1, 10), first);
        desk.expect_answer(&opening(KEY, 1, 11), second);
        desk.route(&established());
        assert!(matches!(first_mail.try_recv(), Ok(Mail::Core(_))));
        assert!(second_mail.try_recv().is_err());
        desk.route(&established());
        assert!(matches!(second_mail.try_recv(), Ok(Mail::Core(_))));
    }

    #[test]
    fn a_full_mailbox_says_so_and_nobody_waits() {
        let (mailbox, _mail) = mailbox(1);
        let desk = opened(&mailbox);
        desk.deliver(report());
        assert!(!mailbox.overflow.happened());
        desk.deliver(report());
        assert!(mailbox.overflow.happened());
    }

    #[test]
    fn who_was_replaced_can_no_longer_end_the_session() {
        let (mailbox, mut mail) = mailbox(1);
        let mut desk = opened(&mailbox);
        assert!(!desk.leave(SESSION, ConnectionId(2)));
        assert!(desk.take_over(&opening(KEY, 1, 11)));
        assert!(!desk.leave(SESSION, ConnectionId(1)));
        assert!(matches!(mail.try_recv(), Ok(Mail::Core(_))));
        assert!(matches!(mail.try_recv(), Ok(Mail::Ended(TerminationCode::Replaced))));
    }

    #[test]
    fn an_opening_that_the_core_would_refuse_takes_over_from_nobody() {
        let (mailbox, _mail) = mailbox(1);
        let mut desk = opened(&mailbox);
        for refused in [opening(KEY, 1, 10), opening(KEY, 2, 11), opening(KeyId(6), 1, 11)] {
            assert!(!desk.take_over(&refused));
        }
        assert!(desk.leave(SESSION, ConnectionId(1)));
    }

    #[test]
    fn a_revoked_key_ends_its_sessions() {
        let (mailbox, mut mail) = mailbox(1);
        let mut desk = opened(&mailbox);
        let command = RevokeKey { key: KEY, note: AdminNote::NONE };
        desk.route(&KeyRevoked { author: KeyId::VENUE, command }.into());
        assert!(matches!(mail.try_recv(), Ok(Mail::Core(_))));
        assert!(matches!(mail.try_recv(), Ok(Mail::Ended(TerminationCode::KeyRevoked))));
        assert!(desk.leave(SESSION, ConnectionId(1)));
    }
}
