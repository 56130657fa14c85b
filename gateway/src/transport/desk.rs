//! Which connection speaks for which session. Every entry is made by the sockets' thread and found by the router.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::{Event, KeyId, SessionId, SessionSequence};
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
}

/// The view, and who is logged in or about to be.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) view: View,
    /// Whose logins are with the core, in the order of submission.
    waiting: HashMap<SessionId, VecDeque<Login>>,
    /// Who speaks for an open session.
    open: HashMap<SessionId, Login>,
}

impl Desk {
    pub(crate) fn new(view: View) -> Self {
        Self { view, waiting: HashMap::new(), open: HashMap::new() }
    }

    /// A login is about to be submitted; its answer is for this connection.
    pub(crate) fn expect_answer(&mut self, session: SessionId, key: KeyId, mailbox: Mailbox) {
        self.waiting.entry(session).or_default().push_back(Login { mailbox, key });
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
    pub(crate) fn take_over(&mut self, session: SessionId) -> bool {
        let before = self.open.remove(&session);
        if let Some(login) = &before {
            login.mailbox.post(Mail::Ended(TerminationCode::Replaced));
        }
        before.is_some()
    }

    /// Routes an event of a session's state.
    pub(crate) fn route(&mut self, event: &Event) {
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
