//! A blocking trader: one session over any number of connections.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use wire::{SessionSequence, Timestamp};

use crate::connection::{Client, ConnectError, Trust, after, now};
use crate::link::NEVER;
use crate::recovery::{Attempt, Heard, Policy, Position, Recovery, SendError, Start, TraderNews};
use crate::request::{Command, CommandMessage, QuestionMessage};
use crate::session::{Credentials, Options};

/// How a venue is reached.
#[derive(Clone)]
pub struct Access {
    /// Where it may be: each is tried in its turn. At least one.
    pub addresses: Vec<SocketAddr>,
    /// Whom to take for it.
    pub trust: Trust,
    /// Who logs in.
    pub credentials: Credentials,
    /// What is agreed at each opening.
    pub options: Options,
}

impl Access {
    /// The address of an attempt, by its number.
    pub(crate) fn address(&self, attempt: usize) -> SocketAddr {
        self.addresses[attempt % self.addresses.len()]
    }

    /// Spreads the attempts of many traders.
    pub(crate) fn seed(&self) -> u64 {
        now().0 ^ self.credentials.session.0.rotate_left(32)
    }
}

/// A session that is opened again whenever its connection is lost.
///
/// Whatever was sent is answered by a report, or given back as [`TraderNews::NotApplied`] or [`TraderNews::Unknown`]:
/// nothing is applied twice, and nothing is lost without a word. Connections are made and lost within
/// [`Trader::receive`]; who sends and never receives learns nothing.
pub struct Trader {
    access: Access,
    recovery: Recovery,
    client: Option<Client>,
    attempts: usize,
}

impl Trader {
    /// A trader who connects when asked to receive.
    ///
    /// # Panics
    ///
    /// If there is no address, or the position is another session's.
    pub fn new(access: Access, start: Start, policy: Policy) -> Self {
        let recovery = recovery(&access, start, policy);
        Self { access, recovery, client: None, attempts: 0 }
    }

    /// Sends a command; the number that its reports will answer. If the connection breaks meanwhile, it is sent again.
    ///
    /// # Errors
    ///
    /// Any [`SendError`]; nothing was sent then.
    pub fn send<M: CommandMessage>(&mut self, message: &M) -> Result<SessionSequence, SendError> {
        let client = self.client.as_mut().ok_or(SendError::Disconnected)?;
        let number = self.recovery.send(message, &mut client.link.session, now())?;
        // A broken connection is found out by who receives next.
        let _ = client.flush();
        Ok(number)
    }

    /// Asks a question. It is not asked again if the connection breaks.
    ///
    /// # Errors
    ///
    /// [`SendError::Disconnected`].
    pub fn ask<M: QuestionMessage>(&mut self, message: &M) -> Result<(), SendError> {
        let client = self.client.as_mut().ok_or(SendError::Disconnected)?;
        client.ask(message).map_err(|_| SendError::Disconnected)
    }

    /// The next news; waits for it, connecting as often as it takes.
    ///
    /// # Errors
    ///
    /// What makes it no use to connect again, such as a key that is revoked. Whoever receives again tries again.
    pub fn receive(&mut self) -> Result<TraderNews, ConnectError> {
        loop {
            if let Some(news) = self.receive_until(NEVER)? {
                return Ok(news);
            }
        }
    }

    /// As [`Trader::receive`], but waits for about `patience` at most, or as long as it takes to connect; `None`: there was
    /// no news by then.
    ///
    /// # Errors
    ///
    /// As [`Trader::receive`].
    pub fn receive_within(&mut self, patience: Duration) -> Result<Option<TraderNews>, ConnectError> {
        self.receive_until(after(now(), patience))
    }

    /// Where the session stands behind the news that was received: what to keep for another process.
    pub fn position(&self) -> Option<Position> {
        self.recovery.position()
    }

    /// Commands without an answer, by number.
    pub fn unanswered(&self) -> impl ExactSizeIterator<Item = (SessionSequence, &Command)> {
        self.recovery.unanswered()
    }

    /// Whether commands are taken.
    pub fn is_open(&self) -> bool {
        self.client.is_some()
    }

    /// How the venue is reached from the next connection on.
    pub fn access_mut(&mut self) -> &mut Access {
        &mut self.access
    }

    /// Says goodbye, if there is a connection; where the session stands.
    pub fn close(self) -> Option<Position> {
        if let Some(client) = self.client {
            // Whatever the goodbye meets, the position is known.
            let _ = client.close();
        }
        self.recovery.position()
    }

    fn receive_until(&mut self, until: Timestamp) -> Result<Option<TraderNews>, ConnectError> {
        loop {
            if let Some(news) = self.recovery.next_news() {
                return Ok(Some(news));
            }
            let is_over = match self.client {
                Some(_) => self.hear(until)?,
                None => self.connect(until)?,
            };
            if is_over {
                return Ok(None);
            }
        }
    }

    /// Whether the time is up.
    fn hear(&mut self, until: Timestamp) -> Result<bool, ConnectError> {
        let Some(client) = &mut self.client else { return Ok(false) };
        let heard = match client.receive_until(until) {
            Ok(None) => return Ok(true),
            Ok(Some(news)) => self.recovery.hear(news, &mut client.link.session, now()),
            Err(error) => self.recovery.lost(error.into(), now()).map(|()| Heard::Over),
        };
        if !matches!(heard, Ok(Heard::Open)) {
            self.client = None;
        }
        heard.map(|_| false)
    }

    /// Whether the time is up.
    fn connect(&mut self, until: Timestamp) -> Result<bool, ConnectError> {
        match self.recovery.attempt(now()) {
            Attempt::Wait(due) => {
                sleep(Duration::from_nanos(due.min(until).0.saturating_sub(now().0)));
                return Ok(due >= until);
            }
            Attempt::Connect(resume) => {
                let Access { trust, credentials, options, .. } = &self.access;
                let address = self.access.address(self.attempts);
                match Client::connect(address, trust, credentials.clone(), *options, resume) {
                    Ok(mut client) => {
                        let opened = *client.opened();
                        self.recovery.opened(&opened, &mut client.link.session, now());
                        // What was written for the opening goes out with the first wait for news.
                        self.client = Some(client);
                    }
                    Err(error) => {
                        self.attempts = self.attempts.wrapping_add(1);
                        self.recovery.failed(error, now())?;
                    }
                }
            }
        }
        Ok(false)
    }
}

pub(crate) fn recovery(access: &Access, start: Start, policy: Policy) -> Recovery {
    assert!(!access.addresses.is_empty(), "a venue has an address");
    let session = access.credentials.session;
    if let Start::From(position) = start {
        assert_eq!(position.session, session, "a position is one session's");
    }
    Recovery::new(session, start, policy, access.seed())
}
