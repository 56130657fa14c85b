//! The web console: the trader's page and the operator's, in a browser, behind a login without passwords.
//!
//! ```text
//!   rialto console alice ── signed request ──► POST /console/ticket     a ticket: random, for a minute, used once
//!           │ prints a link with the ticket behind its #
//!           ▼
//!   browser ── ticket ──► POST /console/session                         a cookie: HttpOnly, SameSite=Strict
//!           ── cookie ──► /console/trader/…      a seat: a session at order entry, as any trader has
//!                         /console/operator/…    the desk: as the operator's door has it
//! ```
//!
//! No secret of a key ever enters the browser. What changes something needs the cookie, a header that no form can send,
//! and an origin that is the page's own. Whether the key is still good is looked up at every request.

mod audit;
mod files;
mod fills;
mod gate;
mod login;
mod operator;
mod samples;
mod seat;
mod seats;
mod show;
mod stream;
pub mod tool;
mod trader;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::{Router, middleware};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use self::gate::Gate;
use self::login::Refused;
pub(crate) use self::login::TICKET_PATH;
use self::samples::Samples;
use self::seats::Seats;
use crate::admin::Door;
use crate::archive::SharedHistory;
use crate::arguments::OrderEntrySecurity;
use crate::http::Status;

/// What the console needs of the venue beside the operator's desk.
#[derive(Debug)]
pub struct ConsolePlan {
    /// The data folder: it has the keys that the console may trade with.
    pub data: PathBuf,
    /// Where order entry listens.
    pub order_entry: SocketAddr,
    /// How that is protected.
    pub security: OrderEntrySecurity,
    /// What has happened.
    pub history: SharedHistory,
}

/// How often sessions are looked through and figures are sampled.
const EVERY: Duration = Duration::from_secs(5);

/// Readers of the event history at once: each has a thread, and goes on when who asked has gone.
const READERS_MAX: usize = 2;

/// What the routes share.
struct Shared {
    door: Door,
    status: Status,
    history: SharedHistory,
    began: Instant,
    gate: Mutex<Gate>,
    seats: Seats,
    samples: Mutex<Samples>,
    streams: AtomicUsize,
    readers: Arc<Semaphore>,
    /// The port speaks TLS.
    is_tls: bool,
}

type Console = Arc<Shared>;

/// Everything below `/console`, on a port that speaks TLS or does not. Has to be called within a runtime, on which it looks
/// after sessions from then on.
pub(crate) fn router(plan: ConsolePlan, door: Door, status: Status, is_tls: bool) -> Router {
    let ConsolePlan { data, order_entry, security, history } = plan;
    let console = Arc::new(Shared {
        door,
        status,
        history,
        began: Instant::now(),
        gate: Mutex::default(),
        seats: Seats::new(data, order_entry, security),
        samples: Mutex::default(),
        streams: AtomicUsize::new(0),
        readers: Arc::new(Semaphore::new(READERS_MAX)),
        is_tls,
    });
    tokio::spawn(look_after(Arc::clone(&console)));
    files::router()
        .merge(login::router(Arc::clone(&console)))
        .merge(trader::router(Arc::clone(&console)))
        .merge(stream::router(Arc::clone(&console)))
        .merge(operator::router(Arc::clone(&console)))
        .layer(middleware::from_fn_with_state(console, login::networks))
}

async fn look_after(console: Console) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let text = console.status.metrics.text(&console.status.space);
        locked(&console.samples).take(&text);
        console.gate().forget_what_is_over(console.now());
        console.seats.keep(|key| console.gate().has_session(key, console.now()));
    }
}

impl Shared {
    /// What sessions go by: it does not jump.
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Reads the event history where that may wait, or not at all if enough others do.
    async fn reading<T: Send + 'static>(
        self: Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let place = Arc::clone(&self.readers).try_acquire_owned().map_err(|_| Refused::Full)?;
        let found = tokio::task::spawn_blocking(move || {
            let read = read(&self);
            drop(place);
            read
        });
        found.await.map_err(|error| Refused::Failed(error.to_string()))?
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        locked(&self.gate)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
