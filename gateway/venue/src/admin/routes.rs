//! The door itself: requests over HTTP, each authenticated, each answered by what came of it.
//!
//! ```text
//!   GET  /admin/v1/{assets,instruments,accounts,keys,sessions}[?after=N]    200 a list, at most 1,000 rows behind N
//!   GET  /admin/v1/balances?account=N                                       200 a list
//!   POST /admin/v1/instrument/halt …                                        200 the event that it caused
//!
//!   400 Malformed          a field that is missing, unknown or out of range; nothing happened
//!   401 NotAuthenticated   any part of the signature; nothing is said of which
//!   403 NotEntitled        the key does not run the venue
//!   409 DuplicateRequest   the idempotency key was used before
//!   413 TooLarge           the body is beyond 16 KiB
//!   422 Refused            the engine's reason, by name and code
//!   503 Busy, Stopped, StorageLow, StorageFull     nothing happened
//!   504 Unknown            no answer in time; asking again with the same key tells
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::canonical::Code;
use engine::command::AdminNote;
use engine::{AccountId, Command, CommandHeader, Event, EventHeader, IdempotencyKey, KeyId, RejectReason, Timestamp};
use serde_json::{Value, json};

use super::desk::{Answer, Desk, NotSubmitted};
use super::render;
use super::requests::{
    AddAsset, AddKey, AdjustBalance, AllowAddress, BustTrade, Change, DelistInstrument, Deposit, Envelope, GrantRole,
    Halt, Invalid, Kill, ListInstrument, MassCancel, ModifyAccount, OpenAccount, RemoveCalendarEntry, Resume,
    RevokeKey, RevokeRole, SetAccountLimits, SetCalendarEntry, SetFees, SetInstrumentLimits, SetPhase,
    SetPriceProtection, SetRandomSeed, Unblock, Withdraw, text,
};
use super::signature::{KEY_HEADER, REQUEST_HEADER, SIGNATURE_HEADER, SignedRequest, TIME_HEADER, TIME_TOLERANCE_NS};
use super::view::AdminView;
use crate::metrics::Metrics;

/// Bytes of the largest request: far more than any change has.
const BODY_BYTES_MAX: usize = 16 << 10;

/// How long a request may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer is waited for: a disk that stalls longer is a case for the operator.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) desk: Arc<Desk>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Everything below `/admin/v1`.
pub(crate) fn router(door: Door) -> Router {
    Router::new()
        .route("/admin/v1/assets", get(assets))
        .route("/admin/v1/instruments", get(instruments))
        .route("/admin/v1/accounts", get(accounts))
        .route("/admin/v1/balances", get(balances))
        .route("/admin/v1/keys", get(keys))
        .route("/admin/v1/sessions", get(sessions))
        .route(AddAsset::PATH, post(change::<AddAsset>))
        .route(ListInstrument::PATH, post(change::<ListInstrument>))
        .route(SetInstrumentLimits::PATH, post(change::<SetInstrumentLimits>))
        .route(SetFees::PATH, post(change::<SetFees>))
        .route(SetPriceProtection::PATH, post(change::<SetPriceProtection>))
        .route(SetCalendarEntry::PATH, post(change::<SetCalendarEntry>))
        .route(RemoveCalendarEntry::PATH, post(change::<RemoveCalendarEntry>))
        .route(SetPhase::PATH, post(change::<SetPhase>))
        .route(Halt::PATH, post(change::<Halt>))
        .route(Resume::PATH, post(change::<Resume>))
        .route(DelistInstrument::PATH, post(change::<DelistInstrument>))
        .route(BustTrade::PATH, post(change::<BustTrade>))
        .route(OpenAccount::PATH, post(change::<OpenAccount>))
        .route(ModifyAccount::PATH, post(change::<ModifyAccount>))
        .route(SetAccountLimits::PATH, post(change::<SetAccountLimits>))
        .route(Deposit::PATH, post(change::<Deposit>))
        .route(Withdraw::PATH, post(change::<Withdraw>))
        .route(AdjustBalance::PATH, post(change::<AdjustBalance>))
        .route(Kill::PATH, post(change::<Kill>))
        .route(Unblock::PATH, post(change::<Unblock>))
        .route(MassCancel::PATH, post(change::<MassCancel>))
        .route(AddKey::PATH, post(change::<AddKey>))
        .route(RevokeKey::PATH, post(change::<RevokeKey>))
        .route(AllowAddress::PATH, post(change::<AllowAddress>))
        .route(GrantRole::PATH, post(change::<GrantRole>))
        .route(RevokeRole::PATH, post(change::<RevokeRole>))
        .route(SetRandomSeed::PATH, post(change::<SetRandomSeed>))
        .with_state(door)
}

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
enum Refusal {
    NotAuthenticated,
    NotEntitled,
    /// Not in time.
    Slow,
    TooLarge,
    Malformed(String),
    DuplicateRequest(Option<EventHeader>),
    Refused(Option<EventHeader>, RejectReason),
    Busy,
    StorageLow,
    StorageFull,
    Stopped,
    /// It may have been carried out or not.
    Unknown,
}

impl Refusal {
    fn parts(&self) -> (StatusCode, Value) {
        let refused = |header: &Option<EventHeader>, error: &str, reason: RejectReason| {
            let sequence = header.map(|header| header.id.sequence.0);
            json!({ "error": error, "reason": reason.name(), "code": reason.code(), "sequence": sequence })
        };
        let said = |error: &str, text: &str| json!({ "error": error, "text": text });
        match self {
            Self::NotAuthenticated => (
                StatusCode::UNAUTHORIZED,
                said("NotAuthenticated", "key, time or signature are missing or do not hold"),
            ),
            Self::NotEntitled => (StatusCode::FORBIDDEN, refused(&None, "NotEntitled", RejectReason::NotEntitled)),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, said("Slow", "the request did not arrive in time")),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, said("TooLarge", "the body is longer than 16384 bytes")),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, said("Malformed", text)),
            Self::DuplicateRequest(header) => {
                (StatusCode::CONFLICT, refused(header, "DuplicateRequest", RejectReason::DuplicateRequest))
            }
            Self::Refused(header, reason) => (StatusCode::UNPROCESSABLE_ENTITY, refused(header, "Refused", *reason)),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, said("Busy", "nothing has happened; ask again")),
            Self::StorageLow => (
                StatusCode::SERVICE_UNAVAILABLE,
                said("StorageLow", "the journal's disk fills: only kill and mass-cancel are taken; free space on it"),
            ),
            Self::StorageFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                said("StorageFull", "the journal's disk is full: nothing is taken; free space on it"),
            ),
            Self::Stopped => (StatusCode::SERVICE_UNAVAILABLE, said("Stopped", "the venue takes no commands any more")),
            Self::Unknown => (
                StatusCode::GATEWAY_TIMEOUT,
                said(
                    "Unknown",
                    "no answer in time; it may be carried out yet: ask again with the same idempotency key",
                ),
            ),
        }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Field { field, text } => Self::Malformed(format!("{field}: {text}")),
            Invalid::Unknown(reason) => Self::Refused(None, reason),
        }
    }
}

impl From<NotSubmitted> for Refusal {
    fn from(reason: NotSubmitted) -> Self {
        match reason {
            NotSubmitted::Repeated => Self::DuplicateRequest(None),
            NotSubmitted::Busy => Self::Busy,
            NotSubmitted::StorageLow => Self::StorageLow,
            NotSubmitted::StorageFull => Self::StorageFull,
            NotSubmitted::Stopped => Self::Stopped,
        }
    }
}

/// A request whose signer runs the venue.
struct Authenticated {
    key: KeyId,
    idempotency_key: IdempotencyKey,
    received_at: Timestamp,
    query: Option<String>,
    body: Vec<u8>,
}

impl Door {
    /// The answer, counted by its status.
    fn answered(&self, outcome: Result<Value, Refusal>) -> Response {
        let (status, body) = match &outcome {
            Ok(body) => (StatusCode::OK, body.clone()),
            Err(refusal) => refusal.parts(),
        };
        self.metrics.count_admin_request(status.as_u16());
        (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
    }

    async fn authenticate(&self, request: Request) -> Result<Authenticated, Refusal> {
        let (parts, body) = request.into_parts();
        let body = arrived(body).await?;
        let received_at = wall_clock();
        let number = |name| number(&parts.headers, name);
        let (key, time) = number(KEY_HEADER).zip(number(TIME_HEADER)).ok_or(Refusal::NotAuthenticated)?;
        let key = KeyId(u32::try_from(key).map_err(|_| Refusal::NotAuthenticated)?);
        let idempotency_key = match parts.headers.contains_key(REQUEST_HEADER) {
            true => IdempotencyKey(number(REQUEST_HEADER).ok_or(Refusal::NotAuthenticated)?),
            false => IdempotencyKey::NONE,
        };
        let signature = parts.headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = SignedRequest {
            method: parts.method.as_str(),
            path: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            key,
            time: Timestamp(time),
            idempotency_key,
            body: &body,
        };
        let public_key = self.desk.look(|view| view.public_key(key).copied()).ok_or(Refusal::NotAuthenticated)?;
        if time.abs_diff(received_at.0) > TIME_TOLERANCE_NS || !signed.is_signed_by(&public_key, signature) {
            return Err(Refusal::NotAuthenticated);
        }
        if !self.desk.look(|view| view.is_administrator(key)) {
            return Err(Refusal::NotEntitled);
        }
        let query = parts.uri.query().map(str::to_owned);
        Ok(Authenticated { key, idempotency_key, received_at, query, body })
    }

    async fn read(&self, request: Request, read: impl FnOnce(&AdminView, u32) -> Value) -> Result<Value, Refusal> {
        let query = self.authenticate(request).await?.query;
        let after = query.map_or(Ok(0), |query| number_of(&query, "after"))?;
        Ok(self.desk.look(|view| read(view, after)))
    }

    async fn balances(&self, request: Request) -> Result<Value, Refusal> {
        let query = self.authenticate(request).await?.query.unwrap_or_default();
        let account = AccountId(number_of(&query, "account")?);
        self.desk.look(|view| match view.knows_account(account) {
            true => Ok(view.balances(account)),
            false => Err(Refusal::Refused(None, RejectReason::UnknownAccount)),
        })
    }

    async fn change<T: Change>(&self, request: Request) -> Result<Value, Refusal> {
        self.carry_out::<T>(self.authenticate(request).await?).await
    }

    /// What the door would answer, had the key's holder signed the request: for who has shown that in another way.
    pub(crate) async fn change_as(
        &self,
        key: KeyId,
        path: &str,
        idempotency_key: IdempotencyKey,
        body: Vec<u8>,
    ) -> (StatusCode, Value) {
        let request = Authenticated { key, idempotency_key, received_at: wall_clock(), query: None, body };
        // Which part of the venue it runs is the engine's to look at.
        let outcome = match self.desk.look(|view| view.runs_the_venue(key)) {
            true => self.change_at(path, request).await,
            false => Err(Refusal::NotEntitled),
        };
        let (status, body) = outcome.map_or_else(|refusal| refusal.parts(), |body| (StatusCode::OK, body));
        self.metrics.count_admin_request(status.as_u16());
        (status, body)
    }

    /// What can be asked without a signature of the request's own: what stops and what goes on.
    async fn change_at(&self, path: &str, request: Authenticated) -> Result<Value, Refusal> {
        match path {
            Halt::PATH => self.carry_out::<Halt>(request).await,
            Resume::PATH => self.carry_out::<Resume>(request).await,
            SetPhase::PATH => self.carry_out::<SetPhase>(request).await,
            Kill::PATH => self.carry_out::<Kill>(request).await,
            Unblock::PATH => self.carry_out::<Unblock>(request).await,
            MassCancel::PATH => self.carry_out::<MassCancel>(request).await,
            _ => Err(Refusal::Malformed(format!("{path}: this needs a request that is signed by itself"))),
        }
    }

    async fn carry_out<T: Change>(&self, request: Authenticated) -> Result<Value, Refusal> {
        if request.query.is_some() {
            return Err(Refusal::Malformed("a change takes no query".to_owned()));
        }
        if request.idempotency_key.is_none() {
            return Err(Refusal::Malformed(format!("{REQUEST_HEADER}: a change needs an idempotency key from 1")));
        }
        let Envelope { reason, change }: Envelope<T> =
            serde_json::from_slice(&request.body).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let note = AdminNote { idempotency_key: request.idempotency_key, reason: text("reason", &reason)? };
        if note.reason.is_empty() {
            return Err(Refusal::Malformed("reason: a change needs one".to_owned()));
        }
        let body = self.desk.look(|view| change.command(view, note))?;
        let header = CommandHeader { author: request.key, received_at: request.received_at, ..CommandHeader::VENUE };
        let command = Command { header, body };
        let answer = self.desk.submit(command, note.idempotency_key)?;
        match tokio::time::timeout(ANSWERED_WITHIN, answer).await {
            Ok(Ok(answer)) => self.outcome(&answer),
            Ok(Err(_)) => Err(Refusal::Unknown),
            Err(_) => {
                self.desk.give_up(&command, note.idempotency_key);
                Err(Refusal::Unknown)
            }
        }
    }

    fn outcome(&self, (header, event): &Answer) -> Result<Value, Refusal> {
        let reason = match event {
            Event::CommandRejected(rejected) => rejected.reason,
            Event::MassCancelRejected(rejected) => rejected.reason,
            event => return Ok(self.desk.look(|view| render::event(view, header, event))),
        };
        Err(match reason {
            RejectReason::DuplicateRequest => Refusal::DuplicateRequest(Some(*header)),
            reason => Refusal::Refused(Some(*header), reason),
        })
    }
}

/// The whole body, if it is short and comes in time.
async fn arrived(body: Body) -> Result<Vec<u8>, Refusal> {
    match tokio::time::timeout(ARRIVES_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Ok(body.into()),
        Ok(Err(_)) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Slow),
    }
}

/// The one number that a query gives.
fn number_of(query: &str, name: &str) -> Result<u32, Refusal> {
    let number = query.split_once('=').filter(|(found, _)| *found == name).and_then(|(_, number)| number.parse().ok());
    number.ok_or_else(|| Refusal::Malformed(format!("query {query:?}: it is not {name}=NUMBER")))
}

/// A header's number as it was signed: one way to write each.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

async fn change<T: Change>(State(door): State<Door>, request: Request) -> Response {
    let outcome = door.change::<T>(request).await;
    door.answered(outcome)
}

async fn balances(State(door): State<Door>, request: Request) -> Response {
    let outcome = door.balances(request).await;
    door.answered(outcome)
}

async fn instruments(State(door): State<Door>, request: Request) -> Response {
    let outcome = door.read(request, |view, after| view.instruments(after, wall_clock())).await;
    door.answered(outcome)
}

/// Declares a handler that reads one list.
macro_rules! reads {
    ($($name:ident)*) => {$(
        async fn $name(State(door): State<Door>, request: Request) -> Response {
            let outcome = door.read(request, AdminView::$name).await;
            door.answered(outcome)
        }
    )*};
}
reads! { assets accounts keys sessions }
