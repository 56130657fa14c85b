//! The HTTP port: whether the venue lives, whether it takes orders, and what it counts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::metrics::Metrics;

/// What the port tells of.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Whether the venue takes orders.
    pub ready: Arc<AtomicBool>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// The HTTP port, while it is open.
#[derive(Debug)]
pub struct Http {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Http {
    /// Opens the port.
    pub fn start(listen: SocketAddr, status: Status) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = Builder::new().name("http".to_owned()).spawn(move || {
            let server = axum::serve(listener, router(status));
            // A stop that is dropped is a stop.
            let serving = server.with_graceful_shutdown(async { drop(stopped.await) });
            if let Err(error) = runtime.block_on(async { serving.await }) {
                eprintln!("rialto: the HTTP port has failed: {error}");
            }
        })?;
        Ok(Self { address, stop, thread })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port once open requests are answered.
    ///
    /// # Panics
    /// If the port's thread has panicked.
    pub fn stop(self) {
        drop(self.stop);
        self.thread.join().expect("the HTTP thread does not panic");
    }
}

fn router(status: Status) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(status)
}

async fn ready(State(status): State<Status>) -> impl IntoResponse {
    match status.ready.load(Ordering::Acquire) {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

async fn metrics(State(status): State<Status>) -> impl IntoResponse {
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], status.metrics.text())
}
