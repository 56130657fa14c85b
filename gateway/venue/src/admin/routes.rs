//! The door's routes, each with its description: one table makes both.
//!
//! ```text
//!   GET  /admin/v1/{assets,instruments,accounts,keys,sessions}[?after=N]    200 a list, at most 1,000 rows behind N
//!   GET  /admin/v1/balances?account=N                                       200 a list
//!   GET  /admin/v1/proposals[?after=N]                                      200 what waits for a second key
//!   POST /admin/v1/instrument/halt[?dry-run=true] …                         200 the event that it caused, or what it would do
//!                                                                           202 it waits for a second key
//!   POST /admin/v1/proposal/{approve,reject}                                200 the event that it caused, or so
//! ```
//!
//! The errors are those of [`refusals`] and [`changes`].

use axum::extract::Request;
use axum::routing::{get, post};
use engine::Timestamp;
use serde_json::{Value, json};

use super::door::Door;
use super::proposals::{Decision, Proposal};
use super::requests::{CHANGES, ListedChange};
use super::rows::{AccountRow, AssetRow, BalanceRow, InstrumentRow, KeyRow, SessionRow};
use super::signature::{KEY_HEADER, REQUEST_HEADER, SIGNATURE_HEADER, TIME_HEADER};
use super::view::AdminView;
use crate::http::openapi::{Described, Operation, reference};

/// A list that is read by number.
pub(crate) struct List {
    /// What is listed.
    name: &'static str,
    /// Its rows behind a number, as of a time.
    pub(crate) rows: fn(&AdminView, u32, Timestamp) -> Value,
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

impl List {
    /// The list of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        LISTS.iter().find(|list| list.name == name)
    }
}

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
    let waiting = described.schema::<Proposal>();
    let operation = reads("Lists what waits for a second key.", waiting.clone()).parameter(query(
        "after",
        "Behind this number; left out: from the first.",
        false,
    ));
    let proposals = {
        let door = door.clone();
        get(move |request: Request| async move { door.answered(door.proposals(request).await) })
    };
    described = described.route("/admin/v1/proposals", operation, proposals);
    let event = described.add_schema("Event", event_schema());
    let dry_run = described.add_schema("DryRun", dry_run_schema());
    let answers = Answers { event, dry_run, proposal: waiting };
    for change in CHANGES {
        let (name, schemas) = (change.schemas)();
        described.add_schemas(schemas);
        let door = door.clone();
        let handler = post(move |request: Request| async move { door.answered(door.change(request, change).await) });
        described = described.route(change.path, changes(change, &name, &answers), handler);
    }
    for (path, decision, operation) in [
        ("/admin/v1/proposal/approve", Decision::Approved, approves(&answers)),
        ("/admin/v1/proposal/reject", Decision::Rejected, rejects()),
    ] {
        let door = door.clone();
        let handler = post(move |request: Request| async move { door.answered(door.decide(request, decision).await) });
        described = described.route(path, operation, handler);
    }
    described
}

/// What changes are answered with.
struct Answers {
    event: Value,
    dry_run: Value,
    proposal: Value,
}

/// What every request at the door may be answered with.
fn refusals(operation: Operation) -> Operation {
    operation
        .error(400, "Malformed: something is missing, unknown or out of range.")
        .error(401, "NotAuthenticated: key, time or signature are missing or do not hold.")
        .error(403, "NotEntitled: the key has no role for this; AddressNotAllowed: it may not come from there.")
        .error(408, "Slow: the request did not arrive in time.")
        .error(413, "TooLarge: the body is longer than 16384 bytes.")
        .error(429, "TooManyGuesses: from this address too many requests proved nothing.")
}

fn reads(summary: &str, row: Value) -> Operation {
    let operation = Operation::get(TAG, summary).answer(200, "The rows.", json!({ "type": "array", "items": row }));
    refusals(operation).signed(signature_headers())
}

fn changes(change: &ListedChange, schema: &str, answers: &Answers) -> Operation {
    let body = json!({
        "type": "object",
        "required": ["reason", "change"],
        "additionalProperties": false,
        "properties": {
            "reason": { "type": "string", "pattern": "^[ -~]{1,24}$", "description": "Why, for the journal." },
            "change": reference(schema),
        },
    });
    let either = json!({ "anyOf": [answers.event, answers.dry_run] });
    let dry_run = json!({ "type": "boolean" });
    let looks = "Only look at what it would do: nothing is submitted, and the name is not used.";
    let operation = Operation::post(TAG, change.summary.trim(), body)
        .answer(200, "The event that it caused; or, of a dry run, what it would do.", either)
        .answer(202, "It waits for a second key.", answers.proposal.clone())
        .parameter(
            json!({ "name": "dry-run", "in": "query", "required": false, "description": looks, "schema": dry_run }),
        );
    submits(refusals(operation)).signed(signature_headers().into_iter().chain([request_name(true)]))
}

fn approves(answers: &Answers) -> Operation {
    let operation = Operation::post(
        TAG,
        "Approve of what another key has proposed, which makes the change.",
        decision(),
    )
    .answer(200, "The event that it caused.", answers.event.clone());
    submits(refusals(operation))
        .error(404, "UnknownProposal: none has that number.")
        .signed(signature_headers().into_iter().chain([request_name(true)]))
}

fn rejects() -> Operation {
    let done = json!({
        "type": "object",
        "required": ["proposal", "decision"],
        "properties": { "proposal": { "type": "integer" }, "decision": { "type": "string" } },
    });
    let operation = Operation::post(TAG, "Reject what was proposed, by another key or by oneself.", decision()).answer(
        200,
        "It waits no more.",
        done,
    );
    submits(refusals(operation))
        .error(404, "UnknownProposal: none has that number.")
        .signed(signature_headers().into_iter().chain([request_name(false)]))
}

fn decision() -> Value {
    json!({
        "type": "object",
        "required": ["proposal"],
        "additionalProperties": false,
        "properties": { "proposal": { "type": "integer", "minimum": 1, "maximum": u32::MAX } },
    })
}

/// What whatever ends in a command may be answered with besides.
fn submits(operation: Operation) -> Operation {
    operation
        .error(
            409,
            "DuplicateRequest: the name was used before; of proposals also ProposalDecided, ProposerNotEntitled.",
        )
        .error(415, "UnsupportedMediaType: the body is no JSON.")
        .error(422, "Refused, with the venue's reason.")
        .error(503, "Busy, Stopped, StorageLow, StorageFull, TooManyProposals, LogFailed: nothing has happened.")
        .error(504, "Unknown: no answer in time; ask again with the same name.")
}

fn request_name(required: bool) -> Value {
    let parameter =
        header_parameter(REQUEST_HEADER, "The change's name, from 1: it is made once.", "^[1-9][0-9]{0,17}$");
    let flag = [("required".to_owned(), json!(required))];
    Value::Object(parameter.as_object().cloned().unwrap_or_default().into_iter().chain(flag).collect())
}

const WHOLE_NUMBER: &str = "^(0|[1-9][0-9]{0,18})$";

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

fn dry_run_schema() -> Value {
    json!({
        "type": "object",
        "description": "What a change would do, as far as the door knows.",
        "required": ["dry_run", "command", "needs_approval", "effect", "fields"],
        "properties": {
            "dry_run": { "type": "boolean", "const": true },
            "command": { "type": "string", "description": "The command that it would be." },
            "needs_approval": { "type": "boolean", "description": "It would wait for a second key." },
            "effect": { "type": "object", "description": "What would be another way than it is." },
            "fields": { "type": "object", "description": "The command's fields." },
        },
    })
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
