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

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::canonical::Code;
use engine::command::AdminNote;
use engine::{AccountId, Command, CommandHeader, Event, EventHeader, IdempotencyKey, KeyId, RejectReason, Timestamp};
use serde_json::{Value, json};

use super::authentication::{Claim, Guard, Unproven, wall_clock};
use super::desk::{Answer, Desk, NotSubmitted};
use super::render;
use super::requests::{CHANGES, Invalid, ListedChange, text};
use super::rows::{AccountRow, AssetRow, BalanceRow, InstrumentRow, KeyRow, SessionRow};
use super::signature::{KEY_HEADER, REQUEST_HEADER, SIGNATURE_HEADER, TIME_HEADER};
use super::view::AdminView;
use crate::http::listener::Peer;
use crate::http::openapi::{Described, Operation};
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
    pub(crate) guard: Arc<Guard>,
}

/// A list that is read by number.
struct List {
    /// What is listed.
    name: &'static str,
    /// Its rows behind a number, as of a time.
    rows: fn(&AdminView, u32, Timestamp) -> Value,
    /// What a row is.
    row: fn(&mut Described) -> Value,
}

/// Every list but that of balances, which is of one account.
const LISTS: &[List] = &[
    List { name: "assets", rows: |view, after, _| json!(view.assets(after)), row: Described::schema::<AssetRow> },
    List {
        name: "instruments",
        rows: |view, after, now| json!(view.instruments(after, now)),
        row: Described::schema::<InstrumentRow>,
    },
    List { name: "accounts", rows: |view, after, _| json!(view.accounts(after)), row: Described::schema::<AccountRow> },
    List { name: "keys", rows: |view, after, _| json!(view.keys(after)), row: Described::schema::<KeyRow> },
    List { name: "sessions", rows: |view, after, _| json!(view.sessions(after)), row: Described::schema::<SessionRow> },
];

const TAG: &str = "operator";

/// Everything below `/admin/v1`, with its description.
pub(crate) fn describe(mut described: Described, door: &Door) -> Described {
    for list in LISTS {
        let row = (list.row)(&mut described);
        let operation = reads(&format!("Lists {} by their numbers, 1,000 at a time.", list.name), row)
            .parameter(query("after", "Behind this number; left out: from the first.", false));
        let door = door.clone();
        let handler = get(move |request: Request| async move { door.answered(door.read(request, list).await) });
        described = described.route(&format!("/admin/v1/{}", list.name), operation, handler);
    }
    let row = described.schema::<BalanceRow>();
    let operation = reads("Lists what an account has, held or not.", row)
        .parameter(query("account", "Whose.", true))
        .error(422, "The account is not known.");
    let balances = {
        let door = door.clone();
        get(move |request: Request| async move { door.answered(door.balances(request).await) })
    };
    described = described.route("/admin/v1/balances", operation, balances);
    let event = described.add_schema("Event", event_schema());
    for change in CHANGES {
        let (name, schemas) = (change.schemas)();
        described.add_schemas(schemas);
        let door = door.clone();
        let handler = post(move |request: Request| async move { door.answered(door.change(request, change).await) });
        described = described.route(change.path, changes(change, &name, &event), handler);
    }
    described
}

/// What every request at the door may be answered with.
fn refusals(operation: Operation) -> Operation {
    operation
        .error(400, "Malformed: something is missing, unknown or out of range.")
        .error(401, "NotAuthenticated: key, time or signature are missing or do not hold.")
        .error(403, "NotEntitled: the key has no role for this.")
        .error(408, "Slow: the request did not arrive in time.")
        .error(413, "TooLarge: the body is longer than 16384 bytes.")
        .error(429, "TooManyGuesses: from this address too many requests proved nothing.")
}

fn reads(summary: &str, row: Value) -> Operation {
    let operation = Operation::get(TAG, summary).answer(200, "The rows.", json!({ "type": "array", "items": row }));
    refusals(operation).signed(signature_headers())
}

fn changes(change: &ListedChange, schema: &str, event: &Value) -> Operation {
    let body = json!({
        "type": "object",
        "required": ["reason", "change"],
        "additionalProperties": false,
        "properties": {
            "reason": { "type": "string", "pattern": "^[ -~]{1,24}$", "description": "Why, for the journal." },
            "change": crate::http::openapi::reference(schema),
        },
    });
    let name = header_parameter(REQUEST_HEADER, "The change's name, from 1: it is made once.", WHOLE_NUMBER_FROM_1);
    let operation =
        Operation::post(TAG, change.summary.trim(), body).answer(200, "The event that it caused.", event.clone());
    refusals(operation)
        .error(409, "DuplicateRequest: the change's name was used before.")
        .error(415, "UnsupportedMediaType: the body is no JSON.")
        .error(422, "Refused, with the venue's reason.")
        .error(503, "Busy, Stopped, StorageLow, StorageFull: nothing has happened.")
        .error(504, "Unknown: no answer in time; ask again with the same name.")
        .signed(signature_headers().into_iter().chain([name]))
}

const WHOLE_NUMBER: &str = "^(0|[1-9][0-9]{0,18})$";
const WHOLE_NUMBER_FROM_1: &str = "^[1-9][0-9]{0,18}$";

fn signature_headers() -> Vec<Value> {
    vec![
        header_parameter(KEY_HEADER, "The key's number.", "^(0|[1-9][0-9]{0,8})$"),
        header_parameter(TIME_HEADER, "Nanoseconds since 1970, within 5 s of the venue's time.", WHOLE_NUMBER),
        header_parameter(SIGNATURE_HEADER, "The signature of the request.", "^[0-9a-f]{128}$"),
    ]
}

fn header_parameter(name: &str, description: &str, pattern: &str) -> Value {
    let schema = json!({ "type": "string", "pattern": pattern });
    json!({ "name": name, "in": "header", "required": true, "description": description, "schema": schema })
}

fn query(name: &str, description: &str, required: bool) -> Value {
    let schema = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    json!({ "name": name, "in": "query", "required": required, "description": description, "schema": schema })
}

fn event_schema() -> Value {
    json!({
        "type": "object",
        "description": "What happened: the event's own fields come behind these.",
        "required": ["sequence", "time", "event"],
        "properties": {
            "sequence": { "type": "integer", "description": "The command." },
            "time": { "type": "integer", "description": "The venue's time, in nanoseconds since 1970." },
            "event": { "type": "string", "description": "The event's name." },
        },
    })
}

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
enum Refusal {
    NotAuthenticated,
    TooManyGuesses,
    NotEntitled,
    UnsupportedMediaType,
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
            Self::TooManyGuesses => (
                StatusCode::TOO_MANY_REQUESTS,
                said("TooManyGuesses", "too many requests from there proved nothing; wait"),
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                said("UnsupportedMediaType", "the body has to be application/json"),
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

impl From<Unproven> for Refusal {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::NotAuthenticated => Self::NotAuthenticated,
            Unproven::TooManyGuesses => Self::TooManyGuesses,
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
    /// Its body is JSON, or is not said to be anything.
    is_json: bool,
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
        let received_at = wall_clock();
        // Every connection of the port says where it is from.
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        let from = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.address().ip());
        let claim = Claim::of(&parts.headers).ok_or(Refusal::NotAuthenticated)?;
        self.guard.admits(claim.key, from, received_at)?;
        let body = arrived(body).await?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let signed = claim.signed(parts.method.as_str(), path, &body);
        self.guard.proves(&self.desk, &claim, &signed, from, received_at)?;
        if !self.desk.look(|view| view.is_administrator(claim.key)) {
            return Err(Refusal::NotEntitled);
        }
        let query = parts.uri.query().map(str::to_owned);
        let (key, idempotency_key) = (claim.key, claim.idempotency_key);
        let is_json = parts.headers.get(header::CONTENT_TYPE).is_none_or(is_json);
        Ok(Authenticated { key, idempotency_key, received_at, query, is_json, body })
    }

    async fn read(&self, request: Request, list: &List) -> Result<Value, Refusal> {
        let query = self.authenticate(request).await?.query;
        let after = query.map_or(Ok(0), |query| number_of(&query, "after"))?;
        Ok(self.desk.look(|view| (list.rows)(view, after, wall_clock())))
    }

    async fn balances(&self, request: Request) -> Result<Value, Refusal> {
        let query = self.authenticate(request).await?.query.unwrap_or_default();
        let account = AccountId(number_of(&query, "account")?);
        self.desk.look(|view| match view.knows_account(account) {
            true => Ok(json!(view.balances(account))),
            false => Err(Refusal::Refused(None, RejectReason::UnknownAccount)),
        })
    }

    async fn change(&self, request: Request, change: &ListedChange) -> Result<Value, Refusal> {
        let request = self.authenticate(request).await?;
        if request.query.is_some() {
            return Err(Refusal::Malformed("a change takes no query".to_owned()));
        }
        if !request.is_json {
            return Err(Refusal::UnsupportedMediaType);
        }
        if request.idempotency_key.is_none() {
            return Err(Refusal::Malformed(format!("{REQUEST_HEADER}: a change needs an idempotency key from 1")));
        }
        let (reason, becomes) = (change.read)(&request.body).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let note = AdminNote { idempotency_key: request.idempotency_key, reason: text("reason", &reason)? };
        if note.reason.is_empty() {
            return Err(Refusal::Malformed("reason: a change needs one".to_owned()));
        }
        let body = self.desk.look(|view| becomes(view, note))?;
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

fn is_json(media_type: &HeaderValue) -> bool {
    let essence = media_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
