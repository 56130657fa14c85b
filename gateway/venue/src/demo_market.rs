//! The demo market: a simulated market maker and a taker who trade through the gateway like anybody else.
//!
//! ```text
//!   market-maker: thread ─► session over TLS ─► quotes around a fair price that walks at random
//!   taker:        thread ─► session over TLS ─► market orders, now and then
//! ```
//!
//! What they do is decided without I/O, in `maker` and `taker`; here are their threads and sessions. Each begins by
//! cancelling whatever its account has open, so that it does not matter how it ended before; a session that is lost is
//! opened anew. Orders and inventories are bounded, so that they may go on for days.

mod fair;
mod maker;
mod quotes;
mod taker;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use client::rustls::pki_types::ServerName;
use client::session::News;
use client::{Client, ConnectError, Credentials, Error, Options, Resume, Trust};
use fastrand::Rng;
use wire::order_entry::{
    NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage, OrderMassActionRequest,
    SecurityDefinition,
};
use wire::{AccountId, Block, MassActionType, RejectReason, SessionVersion, TerminationCode};

use crate::data_folder::{DataFolder, DataFolderError, KeyHolder};
use crate::demo;
use crate::reach;
use maker::Maker;
use taker::Taker;

/// How long a lost session waits before it is opened anew, at first and at most.
const RETRY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];
/// How often a waiting trader looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);
/// How long the venue may take to answer a mass cancel.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The demo market, while it runs.
#[derive(Debug)]
pub struct DemoMarket {
    stop: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Why there is no demo market.
#[derive(Debug, thiserror::Error)]
pub enum DemoMarketError {
    /// The keys or the certificate cannot be used.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The certificate cannot be trusted.
    #[error("the demo market cannot trust the venue's certificate: {0}")]
    Trust(#[from] client::rustls::Error),
    /// A thread could not be started.
    #[error("a thread of the demo market: {0}")]
    Thread(#[from] io::Error),
}

impl DemoMarket {
    /// Starts trading with the demo keys of `folder` at the venue's order entry address.
    ///
    /// # Errors
    /// Any [`DemoMarketError`].
    pub fn start(folder: &DataFolder, order_entry: SocketAddr, seed: u64) -> Result<Self, DemoMarketError> {
        let certificate = folder.certificate()?.parse()?.0.swap_remove(0);
        let name = ServerName::try_from("localhost").expect("a name");
        let trust = Trust::certificate(name, certificate)?;
        let mut market = Self { stop: Vec::new(), threads: Vec::new() };
        let seat = |holder: KeyHolder| -> Result<Seat, DataFolderError> {
            let (session, key) = (holder.session.into(), holder.key.into());
            let credentials = Credentials { session, key, signing_key: folder.key(&holder)? };
            let (name, account) = (holder.name, holder.account.into());
            let address = reach::reachable(order_entry);
            Ok(Seat { name, account, credentials, address, trust: trust.clone() })
        };
        market.seat(seat(demo::MARKET_MAKER)?, Maker::new(Rng::with_seed(seed)))?;
        market.seat(seat(demo::TAKER)?, Taker::new(Rng::with_seed(seed.wrapping_add(1))))?;
        Ok(market)
    }

    /// Cancels what is open, and ends.
    ///
    /// # Panics
    /// If a thread of it has panicked.
    pub fn stop(self) {
        drop(self.stop);
        for thread in self.threads {
            thread.join().expect("the demo market does not panic");
        }
    }

    fn seat(&mut self, seat: Seat, strategy: impl Strategy + Send + 'static) -> io::Result<()> {
        let (stop, stopped) = channel();
        let thread = Builder::new().name(format!("demo-{}", seat.name));
        self.threads.push(thread.spawn(move || seat.trade(strategy, &stopped))?);
        self.stop.push(stop);
        Ok(())
    }
}

/// What somebody wants of the venue.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::large_enum_variant, reason = "it is sent where it comes out")]
enum Action {
    Enter(NewOrderSingle),
    Amend(OrderCancelReplaceRequest),
    Cancel(OrderCancelRequest),
}

/// Somebody who trades, without I/O.
trait Strategy {
    /// A session was opened and the account has no open orders; names of orders count on from `name`.
    fn begin(&mut self, account: AccountId, definitions: &[SecurityDefinition], name: u64);
    /// What to do now.
    fn turn(&mut self) -> Vec<Action>;
    /// How long until the next turn.
    fn pause(&mut self) -> Duration;
    /// What the venue said.
    fn hear(&mut self, message: &OrderEntryMessage);
}

/// Who trades where.
struct Seat {
    name: &'static str,
    account: AccountId,
    credentials: Credentials,
    address: SocketAddr,
    trust: Trust,
}

/// Why a session ended that should not have.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Connection(#[from] Error),
    #[error("the venue ended it: {0:?}")]
    Ended(TerminationCode),
    #[error("the mass cancel was refused: {0}")]
    MassCancel(RejectReason),
    #[error("the mass cancel was not answered within {} s", ANSWER_MAX.as_secs())]
    Silence,
}

impl Seat {
    /// Trades until it is stopped, in as many sessions as it takes.
    fn trade(&self, mut strategy: impl Strategy, stopped: &Receiver<()>) {
        let [mut retry, retry_max] = RETRY;
        loop {
            let begun = Instant::now();
            let Err(lost) = self.session(&mut strategy, stopped) else { return };
            if begun.elapsed() > retry_max {
                retry = RETRY[0];
            }
            // A new venue may not know the keys yet when its doors open: the first failure is nothing to tell.
            if retry > RETRY[0] {
                let name = self.name;
                tracing::warn!(name, %lost, "the demo's {name} has no session and opens another: {lost}");
            }
            match stopped.recv_timeout(retry) {
                Err(RecvTimeoutError::Timeout) => retry = (retry * 2).min(retry_max),
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn session(&self, strategy: &mut impl Strategy, stopped: &Receiver<()>) -> Result<(), Lost> {
        let now = reach::now();
        let login = Resume::Anew(SessionVersion(now.0));
        let credentials = self.credentials.clone();
        let mut client = Client::connect(self.address, &self.trust, credentials, Options::DEFAULT, login)?;
        let definitions = self.cancel_all(&mut client)?;
        strategy.begin(self.account, &definitions, now.0 / 1_000);
        while !is_stopped(stopped) {
            for action in strategy.turn() {
                match action {
                    Action::Enter(message) => client.send(&message)?,
                    Action::Amend(message) => client.send(&message)?,
                    Action::Cancel(message) => client.send(&message)?,
                };
            }
            let next = Instant::now() + strategy.pause();
            listen(&mut client, strategy, next, stopped)?;
        }
        self.cancel_all(&mut client)?;
        client.close()?;
        Ok(())
    }

    /// Cancels what the account has open; the venue's instruments, if it says them before it answers.
    fn cancel_all(&self, client: &mut Client) -> Result<Vec<SecurityDefinition>, Lost> {
        let request = OrderMassActionRequest {
            account: Some(self.account),
            action: MassActionType::CancelOrders,
            ..OrderMassActionRequest::BLANK
        };
        let number = client.send(&request)?;
        let deadline = Instant::now() + ANSWER_MAX;
        let mut definitions = Vec::new();
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            match client.receive_within(patience)? {
                Some(News::Message(OrderEntryMessage::SecurityDefinition(definition))) => definitions.push(definition),
                Some(News::Message(OrderEntryMessage::OrderMassActionReport(report)))
                    if report.answered_sequence == Some(number) =>
                {
                    return report.reject_reason.map_or(Ok(definitions), |reason| Err(Lost::MassCancel(reason)));
                }
                Some(News::Message(OrderEntryMessage::BusinessMessageReject(reject)))
                    if reject.answered_sequence == Some(number) =>
                {
                    return Err(Lost::MassCancel(reject.reject_reason));
                }
                Some(News::Ended(code)) => return Err(Lost::Ended(code)),
                Some(_) => {}
                None if patience.is_zero() => return Err(Lost::Silence),
                None => {}
            }
        }
    }
}

/// Takes in what the venue says until it is time for the next turn.
fn listen(
    client: &mut Client,
    strategy: &mut impl Strategy,
    until: Instant,
    stopped: &Receiver<()>,
) -> Result<(), Lost> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || is_stopped(stopped) {
            return Ok(());
        }
        match client.receive_within(left.min(LOOK))? {
            Some(News::Message(message)) => strategy.hear(&message),
            Some(News::Ended(code)) => return Err(Lost::Ended(code)),
            Some(News::Opened(_) | News::NotApplied(..) | News::Lost(_) | News::Refused(_)) | None => {}
        }
    }
}

fn is_stopped(stopped: &Receiver<()>) -> bool {
    stopped.try_recv() != Err(TryRecvError::Empty)
}

#[cfg(test)]
mod tests;
