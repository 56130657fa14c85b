//! The HTTP port: whether the venue lives, whether it takes orders, what it counts, the operator's door; and for
//! everybody the market: a page, and the feed over WebSocket.
//!
//! It is plain HTTP on a loopback address and TLS on any other, so that the operator's door and the console may be open on
//! both.

pub(crate) mod listener;
pub(crate) mod openapi;
pub(crate) mod page;
mod security;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use journal::Space;
use ring::Admission;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::listener::{BoundedListener, Peer};
use self::openapi::{Described, Operation};
pub use self::security::{HttpSecurity, Protection, server_config};
use self::stream::{Entrance, Streams};
pub use self::stream::{StreamConfig, stream_limits};
use crate::admin::{self, Door};
use crate::console::{self, ConsolePlan};
use crate::metrics::Metrics;

/// What the port tells of.
#[derive(Debug, Clone)]
pub struct Status {
    /// Whether the venue's doors are open.
    pub ready: Arc<AtomicBool>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What its journal has room for.
    pub space: Space,
}

impl Status {
    /// Not ready, nothing counted.
    pub fn new(space: Space) -> Self {
        Self { ready: Arc::default(), metrics: Arc::default(), space }
    }
}

/// Where the port is, and what it lets in.
#[derive(Debug)]
pub struct HttpConfig {
    /// Where it listens. Port 0: any.
    pub listen: SocketAddr,
    /// How it is protected.
    pub protection: Protection,
    /// The operator's door; none: closed.
    pub door: Option<Door>,
    /// The console behind that door; none: there is none.
    pub console: Option<ConsolePlan>,
}

/// The HTTP port, while it is open.
#[derive(Debug)]
pub struct Http {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    streams: Streams,
}

impl Http {
    /// Opens the port and the feed, and the operator's door and the console if they are there.
    pub fn start(config: HttpConfig, status: Status, feed: StreamConfig) -> io::Result<Self> {
        let HttpConfig { listen, protection, door, console } = config;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let (market, streams) = stream::start(feed)?;
        let (stop, stopped) = oneshot::channel();
        let is_tls = matches!(protection, Protection::Tls(_));
        let thread = Builder::new().name("http".to_owned()).spawn(move || {
            // What the console does beside its requests runs there too.
            let entered = runtime.enter();
            let pages =
                door.clone().zip(console).map(|(door, plan)| console::router(plan, door, status.clone(), is_tls));
            drop(entered);
            let router = described(status, door, market.clone()).finish();
            let router = router
                .merge(stream::router(market))
                .merge(page::router())
                .merge(pages.unwrap_or_default())
                .fallback(openapi::not_found)
                .method_not_allowed_fallback(openapi::method_not_allowed)
                .layer(middleware::from_fn(move |request, next| security::headers(is_tls, request, next)));
            if let Err(error) = runtime.block_on(serve(BoundedListener::new(listener, protection), router, stopped)) {
                tracing::error!(%error, "the HTTP port has failed: {error}");
            }
        })?;
        Ok(Self { address, stop, thread, streams })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port once subscribers are told and open requests are answered, or a few seconds later.
    ///
    /// # Panics
    /// If one of the port's threads has panicked.
    pub fn stop(self) {
        self.streams.stop();
        drop(self.stop);
        self.thread.join().expect("the HTTP thread does not panic");
    }
}

/// How long a peer that has begun a request may hold up the stop.
const STOPS_WITHIN: Duration = Duration::from_secs(2);

async fn serve(listener: BoundedListener, router: Router, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let (stop, stopping) = oneshot::channel::<()>();
    let service = router.into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        // A stop that is dropped is a stop.
        drop(stopped.await);
        drop(stop);
    });
    tokio::select! {
        served = async { serving.await } => served,
        () = async { drop(stopping.await); tokio::time::sleep(STOPS_WITHIN).await } => Ok(()),
    }
}

/// All routes that are described.
fn described(status: Status, door: Option<Door>, market: Entrance) -> Described {
    let text = "text/plain; charset=utf-8";
    let alive = Operation::get("port", "Whether the venue lives.").text(200, "It does.", text);
    let is_ready = Operation::get("port", "Whether the venue takes orders.").text(200, "It does.", text).text(
        503,
        "It does not, or cancels only; in words.",
        text,
    );
    let counted = Operation::get("port", "What the venue counts.").text(200, "OpenMetrics.", METRICS_TYPE);
    let described = Described::default()
        .route("/health/live", alive, get(|| async { "alive\n" }))
        .route("/health/ready", is_ready, get(ready).with_state(status.clone()))
        .route("/metrics", counted, get(metrics).with_state(status));
    let described = stream::describe(described, market);
    match door {
        Some(door) => admin::describe(described, &door),
        None => described,
    }
}

/// Ready is who takes orders.
async fn ready(State(status): State<Status>) -> impl IntoResponse {
    match (status.ready.load(Ordering::Acquire), status.space.admission().get()) {
        (true, Admission::Everything) => (StatusCode::OK, "ready\n"),
        (true, Admission::CancelsOnly) => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the journal's disk fills, only cancels are taken\n")
        }
        (true, Admission::Nothing) => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the journal's disk is full, nothing is taken\n")
        }
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn metrics(State(status): State<Status>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], status.metrics.text(&status.space))
}
