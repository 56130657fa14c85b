//! What the trader's page asks: orders go to the venue through the key's seat, as any trader's do.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use client::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use wire::{ClientOrderId, ExecInst, OrderId, Side, TimeInForce};

use super::login::{Refused, Visitor, answer, outcome, read};
use super::seat::{NewOrder, Seat, Verdict, Wish};
use super::{Console, Shared};

/// How long the venue may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn router(console: Console) -> Router {
    Router::new()
        .route("/console/trader/order", post(new_order))
        .route("/console/trader/cancel", post(cancel))
        .route("/console/trader/cancel-all", post(cancel_all))
        .route("/console/trader/fills", get(fills))
        .route("/console/trader/seat", get(seat))
        .with_state(console)
}

/// A limit or market order. Numbers are decimals in texts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The page's name for it: an order that is sent again under its name is refused.
    #[serde(deserialize_with = "number")]
    name: u64,
    instrument: String,
    side: SideText,
    #[serde(deserialize_with = "exact")]
    quantity: Decimal,
    /// Left out: at market.
    #[serde(default)]
    price: Option<PriceText>,
    tif: TimeInForceText,
    #[serde(default)]
    post_only: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SideText {
    Buy,
    Sell,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TimeInForceText {
    Gtc,
    Day,
    Ioc,
    Fok,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct PriceText(#[serde(deserialize_with = "exact")] Decimal);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelOrder {
    #[serde(deserialize_with = "number")]
    order_id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelAll {
    #[serde(default)]
    instrument: Option<String>,
}

/// A decimal with all its digits.
fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let text = String::deserialize(deserializer)?;
    Decimal::from_str_exact(text.trim()).map_err(|_| serde::de::Error::custom(format!("{text:?} is no decimal")))
}

/// A number of 64 bits, which JSON's numbers do not keep.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is no number of 64 bits")))
}

impl From<Order> for Wish {
    fn from(order: Order) -> Self {
        Self::New(NewOrder {
            name: ClientOrderId(order.name),
            instrument: order.instrument,
            side: match order.side {
                SideText::Buy => Side::Buy,
                SideText::Sell => Side::Sell,
            },
            quantity: order.quantity,
            price: order.price.map(|price| price.0),
            time_in_force: match order.tif {
                TimeInForceText::Gtc => TimeInForce::GoodTillCancel,
                TimeInForceText::Day => TimeInForce::Day,
                TimeInForceText::Ioc => TimeInForce::ImmediateOrCancel,
                TimeInForceText::Fok => TimeInForce::FillOrKill,
            },
            instructions: if order.post_only { ExecInst::POST_ONLY } else { ExecInst::NONE },
        })
    }
}

impl Shared {
    /// The seat of who has sent a request.
    pub(super) fn seat(&self, visitor: Visitor) -> Result<Arc<Seat>, Refused> {
        let (key, account) = visitor.trader()?;
        let public_key = self.door.desk().look(|view| view.public_key(key)).ok_or(Refused::NotLoggedIn)?;
        self.seats.of(key, account, public_key).map_err(Refused::Failed)
    }
}

/// Hands a wish to the venue; what comes of it.
async fn venture(seat: &Seat, wish: Wish) -> Response {
    let said = |error: &str, text: String| json!({ "error": error, "text": text });
    let (status, body) = match seat.ask(wish, ANSWERED_WITHIN).await {
        Verdict::Done(body) => (StatusCode::OK, body),
        Verdict::Refused(reason, text) => {
            (StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": "Refused", "reason": reason, "text": text }))
        }
        Verdict::Invalid(text) => (StatusCode::BAD_REQUEST, said("Malformed", text)),
        Verdict::NotSent(text) => (StatusCode::SERVICE_UNAVAILABLE, said("NotSent", text)),
        Verdict::Unknown(text) => (StatusCode::GATEWAY_TIMEOUT, said("Unknown", text)),
    };
    answer(status, &body)
}

async fn new_order(State(console): State<Console>, request: Request) -> Response {
    act::<Order>(&console, request, Wish::from).await
}

async fn cancel(State(console): State<Console>, request: Request) -> Response {
    act(&console, request, |CancelOrder { order_id }| Wish::Cancel(OrderId(order_id))).await
}

async fn cancel_all(State(console): State<Console>, request: Request) -> Response {
    act(&console, request, |CancelAll { instrument }| Wish::CancelAll(instrument)).await
}

async fn act<T: DeserializeOwned>(console: &Console, request: Request, wish: impl FnOnce(T) -> Wish) -> Response {
    let (parts, body) = request.into_parts();
    let seat = match console.actor(&parts.headers).and_then(|visitor| console.seat(visitor)) {
        Ok(seat) => seat,
        Err(refused) => return refused.into_response(),
    };
    match read::<T>(body).await {
        Ok(asked) => venture(&seat, wish(asked)).await,
        Err(refused) => refused.into_response(),
    }
}

/// Whether the key can trade from here, and if not, why.
async fn seat(State(console): State<Console>, headers: HeaderMap) -> Response {
    outcome(console.visitor(&headers).and_then(|visitor| console.seat(visitor)).map(|_| json!({})))
}

async fn fills(State(console): State<Console>, headers: HeaderMap) -> Response {
    outcome(fills_of(console, &headers).await)
}

async fn fills_of(console: Console, headers: &HeaderMap) -> Result<Value, Refused> {
    let (_, account) = console.visitor(headers)?.trader()?;
    console.reading(move |console| console.fills(account)).await
}
