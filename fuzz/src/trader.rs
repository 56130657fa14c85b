//! A trader who loses the venue again and again, and goes on each time.
//!
//! ```text
//!   open ─► recover: everything that was missed is asked for, and the log is whole ─► send again what was not applied
//!     ▲                                                                                  │
//!     └───────────────────────── the venue is gone ◄──────────────────────── trade ◄─────┘
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use benches::trading::log::{Fault, Log};
use benches::trading::message::Message;
use benches::trading::served::Access;
use client::wire::{CancelOnDisconnect, Milliseconds, SessionSequence, SessionVersion, TerminationCode};
use client::{Client, ConnectError, Incoming, Options, Resume};

use crate::door::{Door, Found, Life};

/// The venue is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// How sessions are opened: nobody is silent for long, and orders stay or go with the connection.
pub fn options(cancel_on_disconnect: CancelOnDisconnect) -> Options {
    Options { keep_alive: Milliseconds(30_000), cancel_on_disconnect, cancel_grace: Milliseconds(0) }
}

/// One trader.
pub struct Trader<'a> {
    /// The session's number.
    pub session: u32,
    /// How it is opened.
    pub options: Options,
    /// How the venue is reached.
    pub access: Access,
    /// Where.
    pub door: &'a Door,
    /// What it was told.
    pub log: &'a Mutex<Log>,
    /// Reports that all traders received.
    pub reports: &'a AtomicU64,
    /// The life of the venue in which it is connected, or was.
    pub life: Life,
}

impl Trader<'_> {
    /// Opens the session as soon as the venue is there; nothing once it will not come back.
    pub fn open(&mut self) -> Option<Client> {
        loop {
            let Found::Open(life, address) = self.door.next(self.life) else { return None };
            let anew = Resume::Anew(SessionVersion(1));
            let connect = |resume| self.access.connect(address, self.session, self.options, resume);
            let mut connected = connect(self.resume());
            if refused_as_unknown(&connected) {
                connected = connect(anew);
            }
            self.life = life;
            match connected {
                Ok(client) => return Some(client),
                Err(
                    ConnectError::Unreachable(_)
                    | ConnectError::Connection(_)
                    | ConnectError::Ended(TerminationCode::VenueStopped),
                ) => {}
                Err(other) => self.log().found(Fault::Lost(format!("the session: {other}"))),
            }
        }
    }

    /// Takes in every report that was missed, and compares what the venue has applied with what it acknowledged.
    pub fn recover(&mut self, client: &mut Client) -> Result<(), Gone> {
        let (next_report, next_request) = (client.opened().next_report_number.0, client.opened().next_sequence.0);
        while self.log().last_report() + 1 < next_report {
            self.receive(client)?;
        }
        let mut log = self.log();
        if log.last_report() + 1 > next_report {
            let last = log.last_report();
            log.found(Fault::Lost(format!("reports from {next_report} up to {last}, which were received")));
        }
        let (last, applied) = (log.last_request(), next_request - 1);
        if applied > last {
            log.found(Fault::Doubled(format!("requests behind {last} were applied, and never sent")));
        }
        let unanswered: Vec<u64> = log.unanswered().range(..next_request).map(|(&number, _)| number).collect();
        let gone: Vec<u64> = (next_request..=last).filter(|number| !log.unanswered().contains_key(number)).collect();
        if !unanswered.is_empty() {
            log.found(Fault::Lost(format!("answers to {unanswered:?}, which were applied")));
        }
        if !gone.is_empty() {
            log.found(Fault::Lost(format!("requests {gone:?}, which were answered")));
        }
        Ok(())
    }

    /// Sends what the venue has not applied, under the numbers that it had.
    pub fn send_again(&mut self, client: &mut Client) -> Result<(), Gone> {
        let waiting: Vec<(u64, Message)> = self.log().unanswered().iter().map(|(&n, &message)| (n, message)).collect();
        for (number, message) in waiting {
            message.send_again(client, SessionSequence(number)).map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Sends a request. It is noted before it is sent: whether it arrived is not known if the venue goes meanwhile.
    pub fn send(&mut self, client: &mut Client, message: Message) -> Result<(), Gone> {
        self.log().sent(client.next_command(), message);
        message.send(client).map(drop).map_err(|_| Gone)
    }

    /// Waits for news and takes it in.
    pub fn receive(&mut self, client: &mut Client) -> Result<(), Gone> {
        let news = client.receive().map_err(|_| Gone)?;
        self.take_in(news)
    }

    /// The same for a limited time.
    pub fn receive_within(&mut self, client: &mut Client, limit: Duration) -> Result<(), Gone> {
        match client.receive_within(limit).map_err(|_| Gone)? {
            Some(news) => self.take_in(news),
            None => Ok(()),
        }
    }

    /// Takes reports in until no more than so many requests are without an answer.
    pub fn settle(&mut self, client: &mut Client, most: usize) -> Result<(), Gone> {
        while self.log().unanswered().len() > most {
            self.receive(client)?;
        }
        Ok(())
    }

    /// The log. Whoever panicked while holding it has failed the run already.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resume(&self) -> Resume {
        let next_report = SessionSequence(self.log().last_report() + 1);
        Resume::From { version: SessionVersion(1), next_report }
    }

    fn take_in(&mut self, news: Incoming) -> Result<(), Gone> {
        match news {
            Incoming::Message(message) => {
                let mut log = self.log();
                let before = log.last_report();
                log.message(&message);
                // Definitions have no number.
                self.reports.fetch_add(u64::from(log.last_report() != before), Ordering::Relaxed);
                Ok(())
            }
            Incoming::Opened(_) => Ok(()),
            Incoming::Ended(TerminationCode::VenueStopped) => Err(Gone),
            Incoming::NotApplied(from, count) => {
                self.log().found(Fault::Lost(format!("requests {from} and {count} in all, which were sent")));
                Ok(())
            }
            Incoming::Lost(reason) => {
                self.log().found(Fault::Lost(format!("reports that the venue does not keep: {reason:?}")));
                Ok(())
            }
            Incoming::Refused(reason) => {
                self.log().found(Fault::Lost(format!("the session, refused: {reason:?}")));
                Err(Gone)
            }
            Incoming::Ended(code) => {
                self.log().found(Fault::Lost(format!("the session, ended by the venue: {code:?}")));
                Err(Gone)
            }
        }
    }
}

fn refused_as_unknown(connected: &Result<Client, ConnectError>) -> bool {
    let unknown = engine::RejectReason::UnknownSession.into();
    matches!(connected, Err(ConnectError::Refused(reason)) if *reason == unknown)
}
