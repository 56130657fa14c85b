//! Sockets and threads around the sans-I/O session.
//!
//! ```text
//!   thread "order-entry"           tokio, one task a connection: bytes ─► session ─► CommandRing
//!        ▲ bounded mailboxes, one a connection; a full one ends its session as a slow reader
//!   thread "order-entry-router"    EventReader ─► view, egress ─► mailboxes; waits for nobody but the core
//! ```
//!
//! A login is answered to the connection that asked: every Negotiate and Establish has exactly one event, the core
//! applies commands in the order of submission, and all are submitted by one thread. So the first connection that waits
//! for a session's answer is the one that it is for.

mod connection;
mod desk;
mod router;
pub mod tcp;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use engine::command::{Disconnect, DisconnectReason};
use engine::{Command, CommandHeader, SessionView, Timestamp};
use ring::{CommandRing, EventReader, SharedAdmission};
use tokio::sync::watch;
use tokio_rustls::rustls;
use wire::Durability;

use crate::history::ReportHistory;
use crate::session::SessionLimits;
use crate::view::View;
use desk::Desk;

/// Tells the venue's time. The crate itself reads no clock.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
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
    /// Reports that may wait for a connection to be written; one more ends it as a slow reader.
    pub backlog: usize,
    /// Connections at once; further ones are closed as they come.
    pub connections_max: usize,
    /// The venue's time.
    pub clock: Arc<dyn Clock>,
    /// What is let in; what is not is refused before it is submitted.
    pub admission: Arc<SharedAdmission>,
}

impl Config {
    /// Synced durability, 4,096 reports of backlog, 1,024 connections, the default limits, and everything is let in.
    pub fn new(listen: SocketAddr, security: Security, clock: impl Clock) -> Self {
        Self {
            listen,
            security,
            limits: SessionLimits::DEFAULT,
            durability: Durability::Synced,
            backlog: 4_096,
            connections_max: 1_024,
            clock: Arc::new(clock),
            admission: Arc::default(),
        }
    }
}

/// What all connections and the router share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) commands: Arc<CommandRing>,
    pub(crate) reports: Box<dyn ReportHistory>,
    desk: Mutex<Desk>,
}

impl Shared {
    /// The desk guards nothing that a panic could leave half done: every entry stands for itself.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Order entry that is being served.
pub struct Server {
    local_addr: SocketAddr,
    stop: watch::Sender<Stop>,
    router_stop: Arc<AtomicBool>,
    sockets: JoinHandle<()>,
    router: JoinHandle<()>,
}

/// Whether connections are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// They go on.
    No,
    /// The venue stops.
    Yes,
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
        mut view: View,
        reports: impl ReportHistory,
    ) -> io::Result<Self> {
        let listener = tcp::listen(config.listen, &config.security)?;
        let local_addr = listener.local_addr()?;
        disconnect_left_open(&commands, &mut view, config.clock.now());
        let desk = Mutex::new(Desk::new(view));
        let shared = Arc::new(Shared { config, commands, reports: Box::new(reports), desk });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = watch::channel(Stop::No);
        let router_stop = Arc::new(AtomicBool::new(false));

        let router = {
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&router_stop));
            let name = "order-entry-router".to_owned();
            Builder::new().name(name).spawn(move || router::run(&shared, events, &stop))?
        };
        let sockets = Builder::new().name("order-entry".to_owned()).spawn(move || {
            runtime.block_on(tcp::serve(listener, shared, stopped));
            // A search for old reports is waited for no longer than those who asked for it.
            runtime.shutdown_background();
        })?;
        Ok(Self { local_addr, stop, router_stop, sockets, router })
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
        self.stop.send_replace(Stop::Yes);
        self.sockets.join().expect("the sockets' thread does not panic");
        self.router_stop.store(true, Ordering::Release);
        self.router.join().expect("the router does not panic");
    }
}

/// An earlier run was killed: the core still takes these sessions for open. There are few, and nobody else submits yet.
fn disconnect_left_open(commands: &CommandRing, view: &mut View, now: Timestamp) {
    for SessionView { session, version, .. } in view.take_left_open() {
        let header = CommandHeader { session, received_at: now, ..CommandHeader::VENUE };
        let body = Disconnect { version, reason: DisconnectReason::VenueStopped }.into();
        while commands.submit(Command { header, body }).is_err() {
            std::thread::yield_now();
        }
    }
}
