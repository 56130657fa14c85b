//! Sockets and threads around the sans-I/O session.
//!
//! ```text
//!   thread "order-entry"      all sockets and the events: bytes ─► session ─► CommandRing,
//!                             EventReader ─► view, egress ─► bytes; see `door`
//!   threads "report-search"   old reports, as they are asked for
//! ```
//!
//! A [`Server`] has these threads. The work of the first is a [`Door`]'s, turn by turn, over any [`Network`] and with any
//! [`Workers`]: who brings their own has no sockets and no threads.
//!
//! A login is answered to the connection that asked: every Negotiate and Establish has exactly one event, the core
//! applies commands in the order of submission, and all are submitted by one thread. So the first connection that waits
//! for a session's answer is the one that it is for.

mod attendance;
mod balances;
mod connection;
mod counts;
mod desk;
mod door;
mod network;
mod searches;
mod sockets;
mod timers;
pub mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use engine::Timestamp;
use ring::{CommandRing, EventReader, SharedAdmission, Wake};
use wire::{Durability, RejectReason, TerminationCode};

use crate::balances::BalanceQuestions;
use crate::history::ReportHistory;
use crate::hops::Hops;
use crate::session::{FailedLogin, SessionLimits};
use crate::view::View;
pub use counts::DoorCounts;
pub(crate) use desk::ConnectionId;
use door::DoorThread;
pub use door::{Door, DoorParts};
pub use network::{Found, Network};
use searches::SearchThreads;
pub use searches::Workers;
use sockets::Sockets;

/// Tells the venue's time. The crate itself reads no clock.
pub trait Clock: Send + Sync + 'static {
    /// The time now; it should never go back, nor jump: whoever is silent for long is missed by it.
    fn now(&self) -> Timestamp;

    /// What a clock on the wall shows, by which traders' timestamps are judged: somebody may set it.
    fn wall(&self) -> Timestamp {
        self.now()
    }
}

impl<F: Fn() -> Timestamp + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Why a connection was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// All places are taken.
    Full,
    /// All places of its address are taken.
    FullForAddress,
    /// It had not opened a session when a newer one needed its place.
    Displaced,
}

/// Is told what happens at the door, by the thread that holds all sockets: it must not wait.
pub trait Watch: Send + Sync + 'static {
    /// A login failed.
    fn login_failed(&self, failed: &FailedLogin);

    /// A connection was not kept.
    fn turned_away(&self, address: IpAddr, why: TurnedAway);

    /// A message was refused before it came to the core.
    fn refused(&self, reason: RejectReason);

    /// A connection has ended, and why.
    fn ended(&self, code: TerminationCode);
}

/// Nobody watches.
impl Watch for () {
    fn login_failed(&self, _: &FailedLogin) {}

    fn turned_away(&self, _: IpAddr, _: TurnedAway) {}

    fn refused(&self, _: RejectReason) {}

    fn ended(&self, _: TerminationCode) {}
}

/// How connections are protected.
#[derive(Debug, Clone)]
pub enum Security {
    /// TLS 1.3; see [`tls::server_config`].
    Tls(Arc<rustls::ServerConfig>),
    /// Not at all: for measurements on one machine. The address has to be a loopback address.
    PlainLoopback,
}

/// How order entry is served.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0: the system chooses.
    pub listen: SocketAddr,
    /// How connections are protected.
    pub security: Security,
    /// What sessions may do.
    pub limits: SessionLimits,
    /// What reports say of the causing command's safety: the policy under which events are released.
    pub durability: Durability,
    /// Bytes of reports that may wait for a connection to take them; more end it as a slow reader.
    pub backlog_bytes: usize,
    /// Connections at once; further ones are closed as they come. A quarter of them may be without an open session; then
    /// the oldest of these makes room.
    pub connections_max: usize,
    /// Connections at once from one address, or from 64 bits of IPv6; further ones are closed as they come.
    pub connections_per_address: usize,
    /// The venue's time.
    pub clock: Arc<dyn Clock>,
    /// What is let in; what is not is refused before it is submitted.
    pub admission: Arc<SharedAdmission>,
    /// Where the core is asked for balances; none: nobody is told what an account has.
    pub balances: Option<Arc<BalanceQuestions>>,
    /// Who is told of failed logins and of connections that are turned away.
    pub watch: Arc<dyn Watch>,
    /// What the door's thread counts, for anybody to read.
    pub counts: Arc<DoorCounts>,
}

impl Config {
    /// Synced durability, a mebibyte of backlog, 1,024 connections, 128 of one address, the default limits, everything is
    /// let in, balances are not told, and nobody watches.
    pub fn new(listen: SocketAddr, security: Security, clock: impl Clock) -> Self {
        Self {
            listen,
            security,
            limits: SessionLimits::DEFAULT,
            durability: Durability::Synced,
            backlog_bytes: 1 << 20,
            connections_max: 1_024,
            connections_per_address: 128,
            clock: Arc::new(clock),
            admission: Arc::default(),
            balances: None,
            watch: Arc::new(()),
            counts: Arc::default(),
        }
    }
}

/// Order entry that is being served.
pub struct Server {
    local_addr: SocketAddr,
    stop: Arc<AtomicBool>,
    doorbell: Arc<dyn Wake>,
    door: JoinHandle<()>,
}

impl Server {
    /// Listens, and serves until it is stopped.
    ///
    /// `view` was made before the core took commands; `events` sees every event since. Sessions that an earlier run left
    /// open are disconnected first.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened at, is not a loopback address though nothing protects it, or a thread cannot be
    /// started.
    pub fn start(
        config: Config,
        commands: Arc<CommandRing>,
        events: EventReader,
        view: View,
        reports: impl ReportHistory,
        hops: Option<Hops>,
    ) -> io::Result<Self> {
        let listener = listen(config.listen, &config.security)?;
        let local_addr = listener.local_addr()?;
        let network = Sockets::of(listener)?;
        let doorbell: Arc<dyn Wake> = Arc::new(network.doorbell()?);
        let stop = Arc::new(AtomicBool::new(false));
        let door = Door::new(DoorParts {
            config,
            network,
            commands,
            events,
            view,
            reports: Arc::new(reports),
            workers: Arc::new(SearchThreads::new(Arc::clone(&doorbell))),
            stop: Arc::clone(&stop),
            hops,
        });
        let door = DoorThread::new(door, Arc::clone(&doorbell));
        let door = Builder::new().name("order-entry".to_owned()).spawn(move || door.run())?;
        Ok(Self { local_addr, stop, doorbell, door })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Ends every session with `VenueStopped`, and lets go of the events. To be called before the venue stops, so that
    /// the disconnects are journalled.
    ///
    /// # Panics
    ///
    /// If a thread of the server has panicked.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.doorbell.wake();
        self.door.join().expect("the door does not panic");
    }
}

/// A listener; without protection it has to be at a loopback address.
fn listen(address: SocketAddr, security: &Security) -> io::Result<TcpListener> {
    if matches!(security, Security::PlainLoopback) && !address.ip().is_loopback() {
        let message = format!("{address} is no loopback address, and without TLS nothing else is served");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
