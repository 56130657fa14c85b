//! The feed over WebSocket, as JSON: `/ws`, and `/products`.
//!
//! The HTTP thread takes the handshake; the socket then moves to a thread that has a seat at the feed, so that nobody
//! who reads prices holds up who asks for the venue's health.

mod channel;
mod hall;
mod message;
mod request;
mod session;
mod translator;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use marketdata::quic::{Clock, Limits};
use marketdata::{Crowd, Seat};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use wire::FeedLevel;

use self::hall::{Entries, Visitor};
use self::message::{Decimal, Product, text};
use self::request::REQUEST_BYTES_MAX;
use super::listener::Peer;
use super::openapi::{Described, Operation};

/// Channels of one connection, counted once for each product.
const CHANNELS_MAX: usize = 1_024;
/// Newcomers that may wait to be let in.
const VISITORS_MAX: usize = 64;

/// What the feed is served from.
pub struct StreamConfig {
    /// The place at the feed.
    pub seat: Seat,
    /// With whom its connections are counted.
    pub crowd: Arc<Crowd>,
    /// The clock that packets of the feed are stamped with.
    pub clock: Clock,
    /// How much is done for whom.
    pub limits: Limits,
}

/// The bounds of a publisher, with fewer channels for one connection.
pub fn stream_limits() -> Limits {
    Limits { channels_max: CHANNELS_MAX, ..Limits::default() }
}

/// What the routes share.
#[derive(Clone)]
pub(super) struct Entrance {
    seat: Arc<Seat>,
    crowd: Arc<Crowd>,
    visitors: mpsc::Sender<Visitor>,
}

/// The thread that serves subscribers.
#[derive(Debug)]
pub(super) struct Streams {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Streams {
    /// Tells all subscribers, and ends. Their sockets are the HTTP thread's, which has to run until then.
    ///
    /// # Panics
    /// If the thread has panicked.
    pub(super) fn stop(self) {
        drop(self.stop);
        self.thread.join().expect("the thread of the feed's subscribers does not panic");
    }
}

/// Starts the thread, and gives the way to it.
pub(super) fn start(config: StreamConfig) -> io::Result<(Entrance, Streams)> {
    let StreamConfig { seat, crowd, clock, limits } = config;
    let seat = Arc::new(seat);
    let (visitors, waiting) = mpsc::channel(VISITORS_MAX);
    let entrance = Entrance { seat: Arc::clone(&seat), crowd: Arc::clone(&crowd), visitors };
    let (stop, stopped) = oneshot::channel();
    let entries = Entries { visitors: waiting, stopped };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = Builder::new()
        .name("market-data-web".to_owned())
        .spawn(move || hall::run(&runtime, seat, crowd, clock, limits, entries))?;
    Ok((entrance, Streams { stop, thread }))
}

/// The feed.
pub(super) fn router(entrance: Entrance) -> Router {
    Router::new().route("/ws", get(enter)).with_state(entrance)
}

/// What there is to subscribe to.
pub(super) fn describe(mut described: Described, entrance: Entrance) -> Described {
    let product = described.schema::<Product<'_>>();
    let operation = Operation::get("market", "The instruments that may be seen.").answer(
        200,
        "Every one of them.",
        json!({ "type": "array", "items": product }),
    );
    described.route("/products", operation, get(products).with_state(entrance))
}

async fn enter(
    State(entrance): State<Entrance>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let address = peer.address().ip();
    let Some(presence) = entrance.crowd.enter(address) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many subscribers\n").into_response();
    };
    upgrade.max_message_size(REQUEST_BYTES_MAX).max_frame_size(REQUEST_BYTES_MAX).on_upgrade(move |socket| async move {
        peer.stays();
        // Where nobody is let in any more, the socket ends here.
        let _ = entrance.visitors.send(Visitor { socket, address, presence }).await;
    })
}

async fn products(State(entrance): State<Entrance>, ConnectInfo(peer): ConnectInfo<Peer>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], entrance.products(peer.address().ip()))
}

impl Entrance {
    /// The instruments that may be seen from an address.
    fn products(&self, address: IpAddr) -> bytes::Bytes {
        let entitlement = self.seat.door().anonymous(address).unwrap_or_default();
        let definitions = self.seat.definitions();
        let products = definitions.iter().filter_map(|definition| {
            let product = definition.security_id.try_into().ok()?;
            let is_seen = entitlement.sees(product, FeedLevel::Reference);
            Some(Product {
                id: definition.symbol.as_str()?,
                quote_increment: Decimal(definition.tick.0, definition.price_exponent),
                base_increment: Decimal(definition.lot.0, definition.quantity_exponent),
                status: format!("{:?}", definition.phase),
            })
            .filter(|_| is_seen)
        });
        text(&products.collect::<Vec<_>>())
    }
}
