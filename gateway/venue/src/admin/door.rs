//! What happens to a request at the operator's door: it is authenticated, held against roles, and given to the core, looked
//! at only, or put before a second key; and every step of a change is on record before it counts.
//!
//! ```text
//!   change ─► who? ─► role? ─┬─ dry run ──────────► what it would do
//!                            ├─ needs four eyes ──► 202, waits ─► approved by another key ─┐
//!                            └─ asked, on record ─────────────────────────────────────────┴─► core ─► event
//! ```
//!
//! From its first line on record on, a change or a decision goes on to its end, whether or not its client waits for that.
//! Which role may give which command is the engine's to say, by the same function that decides in the end; what is refused
//! here is refused early, and nothing of it is in the journal.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::canonical::Code;
use engine::command::AdminNote;
use engine::{
    AccountId, Command, CommandBody, CommandHeader, Event, IdempotencyKey, KeyId, RejectReason, Text, Timestamp,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access_log::{AccessLog, AccessLogError, Entry, LogFailed, Step};
use super::authentication::{Claim, Guard, wall_clock};
use super::desk::{Answer, Desk};
use super::proposals::{Decision, Proposal, Proposals, WAITS_NS};
use super::refusal::Refusal;
use super::requests::{Becomes, ListedChange, text};
use super::routes::List;
use super::signature::REQUEST_HEADER;
use super::view::AdminView;
use super::{four_eyes, preview, render};
use crate::http::listener::Peer;
use crate::metrics::Metrics;

/// Bytes of the largest request: far more than any change has.
const BODY_BYTES_MAX: usize = 16 << 10;

/// How long a request may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer is waited for: a disk that stalls longer is a case for the operator.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What the routes share.
#[derive(Debug, Clone)]
pub struct Door {
    desk: Arc<Desk>,
    metrics: Arc<Metrics>,
    guard: Arc<Guard>,
    log: Arc<AccessLog>,
    proposals: Arc<Mutex<Proposals>>,
    /// Held while something is put among the proposals: the same is proposed once.
    proposing: Arc<tokio::sync::Mutex<()>>,
    /// Changes that need a second key, by noun and verb, with those that have the same effect.
    four_eyes: Arc<BTreeSet<&'static str>>,
}

/// What is on record in a data folder, and goes on.
#[derive(Debug)]
pub(crate) struct Records {
    log: AccessLog,
    proposals: Proposals,
}

impl Records {
    /// Of a data folder whose lock is held.
    pub(crate) fn open(folder: &Path) -> Result<Self, AccessLogError> {
        let mut proposals = Proposals::default();
        let log = AccessLog::open(folder, |line| proposals.apply(&line))?;
        Ok(Self { log, proposals })
    }
}

/// What a request is answered with.
#[derive(Debug)]
pub(crate) enum Done {
    /// A list, an event, or what a change would do.
    Answer(Value),
    /// It waits for a second key.
    Proposed(Proposal),
}

/// Changes that can be asked for without a signature of the request's own, and approved of: what stops and what goes on.
const UNSIGNED: [&str; 6] = [
    "instrument/halt",
    "instrument/resume",
    "instrument/phase",
    "account/kill",
    "account/unblock",
    "order/mass-cancel",
];

/// Whether a change, by noun and verb, needs a request that is signed by itself.
pub(crate) fn needs_signature(name: &str) -> bool {
    !UNSIGNED.contains(&name)
}

/// How a key's holder has shown to have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// By a signature over the request.
    OfRequest,
    /// Before, for a session that the request belongs to.
    OfSession,
}

/// A request whose signer may look at the venue.
#[derive(Debug)]
pub(crate) struct Authenticated {
    /// Who asks.
    pub(crate) key: KeyId,
    proof: Proof,
    from: IpAddr,
    /// The change's name; none for what only reads.
    pub(crate) idempotency_key: IdempotencyKey,
    received_at: Timestamp,
    query: Option<String>,
    /// Its body is JSON, or is not said to be anything.
    is_json: bool,
    body: Vec<u8>,
}

impl Authenticated {
    fn entry(&self, what: Step, path: &str) -> Entry {
        let request = (!self.idempotency_key.is_none()).then_some(self.idempotency_key.0);
        let path = Some(path.to_owned());
        Entry { key: Some(self.key.0), from: Some(self.from), path, request, ..Entry::new(what) }
    }

    fn command(&self, body: CommandBody) -> Command {
        let header = CommandHeader { author: self.key, received_at: self.received_at, ..CommandHeader::VENUE };
        Command { header, body }
    }

    fn named(&self) -> Result<IdempotencyKey, Refusal> {
        match self.idempotency_key.is_none() {
            true => Err(Refusal::Malformed(format!("{REQUEST_HEADER}: a change needs an idempotency key from 1"))),
            false => Ok(self.idempotency_key),
        }
    }

    /// Whether the change is only looked at.
    fn is_dry_run(&self) -> Result<bool, Refusal> {
        match self.query.as_deref() {
            None | Some("dry-run=false") => Ok(false),
            Some("dry-run=true") => Ok(true),
            Some(_) => Err(Refusal::Malformed("a change takes no query but dry-run=true".to_owned())),
        }
    }
}

/// A request of who has shown in another way than by a signature over it to hold a key.
#[derive(Debug)]
pub(crate) struct Unsigned {
    /// Whose.
    pub(crate) key: KeyId,
    /// From where.
    pub(crate) from: IpAddr,
    /// Its name.
    pub(crate) idempotency_key: IdempotencyKey,
    /// What follows the `?`.
    pub(crate) query: Option<String>,
    /// JSON.
    pub(crate) body: Vec<u8>,
}

/// What waits, before a key.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// What waits.
    pub(crate) proposal: Proposal,
    /// Why the key may not approve of it; nothing if it may.
    pub(crate) not_approved: Option<Refusal>,
    /// Why it may not reject it; nothing if it may.
    pub(crate) not_rejected: Option<Refusal>,
}

/// A change that may be made, as far as the door can tell.
struct Prepared {
    reason: String,
    note: AdminNote,
    body: CommandBody,
    is_dry_run: bool,
}

/// Which proposal is decided on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    proposal: u64,
}

impl Door {
    /// A door to `desk`: what is on record goes on, and changes of `four_eyes` need a second key.
    pub(crate) fn new(
        desk: Arc<Desk>,
        metrics: Arc<Metrics>,
        Records { log, proposals }: Records,
        four_eyes: BTreeSet<&'static str>,
    ) -> Self {
        Self {
            desk,
            metrics,
            guard: Arc::default(),
            log: Arc::new(log),
            proposals: Arc::new(Mutex::new(proposals)),
            proposing: Arc::default(),
            four_eyes: Arc::new(four_eyes::guarded(four_eyes)),
        }
    }

    /// What is known of the venue.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The answer, counted by its status.
    pub(crate) fn answered(&self, outcome: Result<Done, Refusal>) -> Response {
        let (status, body) = match &outcome {
            Ok(Done::Answer(body)) => (StatusCode::OK, body.clone()),
            Ok(Done::Proposed(proposal)) => (StatusCode::ACCEPTED, json!(proposal)),
            Err(refusal) => refusal.parts(),
        };
        self.metrics.count_admin_request(status.as_u16());
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Rialto-Signature");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }

    /// Who asks: a key that may at least look at the venue.
    pub(crate) async fn authenticate(&self, request: Request) -> Result<Authenticated, Refusal> {
        self.proven(request, AdminView::may_read).await
    }

    /// Who asks: any key that has a role.
    pub(crate) async fn prove(&self, request: Request) -> Result<Authenticated, Refusal> {
        self.proven(request, AdminView::has_role).await
    }

    /// Who asks: a key that `may`, and has signed the request.
    async fn proven(
        &self,
        request: Request,
        may: impl Fn(&AdminView, KeyId) -> bool,
    ) -> Result<Authenticated, Refusal> {
        let (parts, body) = request.into_parts();
        let received_at = wall_clock();
        // Every connection of the port says where it is from.
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        let from = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.address().ip());
        let claim = Claim::of(&parts.headers);
        let proven = async {
            let claim = claim.ok_or(Refusal::NotAuthenticated)?;
            self.guard.admits(claim.key, from, received_at)?;
            let body = arrived(body).await?;
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let signed = claim.signed(parts.method.as_str(), path, &body);
            self.guard.proves(&self.desk, &claim, &signed, from, received_at)?;
            match self.desk.look(|view| may(view, claim.key)) {
                true => Ok((claim, body)),
                false => Err(Refusal::NotEntitled(None)),
            }
        };
        let (claim, body) = match proven.await {
            Ok(proven) => proven,
            Err(refusal) => {
                let (key, path) = (claim.map(|claim| claim.key.0), Some(parts.uri.path().chars().take(256).collect()));
                let entry = Entry { key, from: Some(from), path, ..Entry::new(Step::TurnedAway) };
                return Err(self.turned_away(entry, refusal).await);
            }
        };
        Ok(Authenticated {
            key: claim.key,
            proof: Proof::OfRequest,
            from,
            idempotency_key: claim.idempotency_key,
            received_at,
            query: parts.uri.query().map(str::to_owned),
            is_json: parts.headers.get(header::CONTENT_TYPE).is_none_or(is_json),
            body,
        })
    }

    /// A list, by number.
    pub(crate) async fn read(&self, request: Request, list: &List) -> Result<Done, Refusal> {
        let query = self.authenticate(request).await?.query;
        let after = query.map_or(Ok(0), |query| number_of(&query, "after"))?;
        Ok(Done::Answer(self.desk.look(|view| (list.rows)(view, after, wall_clock()))))
    }

    /// What an account has.
    pub(crate) async fn balances(&self, request: Request) -> Result<Done, Refusal> {
        let query = self.authenticate(request).await?.query.unwrap_or_default();
        let account = AccountId(number_of(&query, "account")?);
        self.desk.look(|view| match view.knows_account(account) {
            true => Ok(Done::Answer(json!(view.balances(account)))),
            false => Err(Refusal::Refused(None, RejectReason::UnknownAccount)),
        })
    }

    /// What waits for a second key.
    pub(crate) async fn proposals(&self, request: Request) -> Result<Done, Refusal> {
        let query = self.authenticate(request).await?.query;
        let after = query.map_or(Ok(0), |query| number_of(&query, "after"))?;
        Ok(Done::Answer(self.proposals_behind(after)))
    }

    fn proposals_behind(&self, after: u32) -> Value {
        json!(self.waiting().list(after.into(), wall_clock()))
    }

    /// What waits, with what a key may do about it: for who may look and has shown that in another way.
    pub(crate) fn proposals_for(&self, key: KeyId, after: u32) -> Vec<Waiting> {
        let waiting = self.waiting().list(after.into(), wall_clock());
        let who = (key, Proof::OfSession);
        let not = |proposal: &Proposal, decision| self.decidable(who, IdempotencyKey::NONE, proposal, decision).err();
        let seen = |proposal: Proposal| Waiting {
            not_approved: not(&proposal, Decision::Approved),
            not_rejected: not(&proposal, Decision::Rejected),
            proposal,
        };
        waiting.into_iter().map(seen).collect()
    }

    /// A change: made, looked at, or put before a second key.
    pub(crate) async fn change(&self, request: Request, change: &'static ListedChange) -> Result<Done, Refusal> {
        self.make(self.authenticate(request).await?, change).await
    }

    /// The same for who has shown in another way than by a signature over it to hold a key.
    pub(crate) async fn change_as(&self, asked: Unsigned, change: &'static ListedChange) -> Result<Done, Refusal> {
        self.make(self.admit(asked, change.name).await?, change).await
    }

    /// Lets in who has shown in another way to hold a key that may at least look at the venue, and may be used from there.
    async fn admit(&self, asked: Unsigned, path: &str) -> Result<Authenticated, Refusal> {
        let Unsigned { key, from, idempotency_key, query, body } = asked;
        let received_at = wall_clock();
        let (proof, is_json) = (Proof::OfSession, true);
        let asked = Authenticated { key, proof, from, idempotency_key, received_at, query, is_json, body };
        match self.desk.look(|view| view.may_read(key) && view.may_come_from(key, from)) {
            true => Ok(asked),
            false => Err(self.turned_away(asked.entry(Step::TurnedAway, path), Refusal::NotEntitled(None)).await),
        }
    }

    async fn make(&self, asked: Authenticated, change: &'static ListedChange) -> Result<Done, Refusal> {
        let door = self.clone();
        to_its_end(async move { door.made(asked, change).await }).await
    }

    async fn made(&self, asked: Authenticated, change: &ListedChange) -> Result<Done, Refusal> {
        let prepared = match self.prepare(&asked, change) {
            Ok(prepared) => prepared,
            Err(refusal) => return Err(self.refused(&asked, change.name, None, refusal).await),
        };
        if prepared.is_dry_run {
            return self.dry_run(&asked, change, &prepared).await;
        }
        if self.four_eyes.contains(change.name) {
            return match self.propose(&asked, change, &prepared).await {
                Err(refusal) => Err(self.refused(&asked, change.name, None, refusal).await),
                proposed => proposed,
            };
        }
        let reason = Some(prepared.reason);
        let number = self.log(Entry { reason, ..asked.entry(Step::Asked, change.name) }).await?;
        self.carry_out(&asked, number, prepared.body).await.map(Done::Answer).map_err(|(refusal, _)| refusal)
    }

    fn prepare(&self, asked: &Authenticated, change: &ListedChange) -> Result<Prepared, Refusal> {
        let is_dry_run = asked.is_dry_run()?;
        if !asked.is_json {
            return Err(Refusal::UnsupportedMediaType);
        }
        if !is_dry_run {
            asked.named()?;
        }
        let (reason, becomes) = read(change, &asked.body)?;
        let note = note(asked.idempotency_key, &reason)?;
        let body = self.desk.look(|view| becomes(view, note))?;
        match self.desk.look(|view| view.may_give(asked.key, &body)) {
            true => Ok(Prepared { reason, note, body, is_dry_run }),
            false => Err(Refusal::NotEntitled(None)),
        }
    }

    async fn dry_run(&self, asked: &Authenticated, change: &ListedChange, looked: &Prepared) -> Result<Done, Refusal> {
        let Prepared { reason, body, .. } = looked;
        let entry = Entry { reason: Some(reason.clone()), ..asked.entry(Step::DryRun, change.name) };
        if let Some(reason) = self.desk.look(|view| preview::refusal(view, body)) {
            let refusal = Refusal::Refused(None, reason);
            self.log(refusal.noted(entry)).await?;
            return Err(refusal);
        }
        self.log(Entry { status: Some(StatusCode::OK.as_u16()), ..entry }).await?;
        let (fields, effect) = self.desk.look_at_orders(|view, open| {
            (render::command(view, body), preview::effect(view, open, body, asked.received_at))
        });
        Ok(Done::Answer(json!({
            "dry_run": true,
            "command": body.kind().name(),
            "needs_approval": self.four_eyes.contains(change.name),
            "effect": effect,
            "fields": fields,
        })))
    }

    async fn propose(&self, asked: &Authenticated, change: &ListedChange, made: &Prepared) -> Result<Done, Refusal> {
        let whole: Value =
            serde_json::from_slice(&asked.body).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let (name, path, now) = (made.note.idempotency_key, change.name, asked.received_at);
        let _proposing = self.proposing.lock().await;
        let known = self.waiting().repeated(asked.key, name, path, &whole["change"], now)?;
        if let Some(known) = known {
            return Ok(Done::Proposed(known));
        }
        let proposal = Proposal {
            id: 0,
            expires_at: now.0.saturating_add(WAITS_NS),
            by: asked.key.0,
            path: path.to_owned(),
            change: whole["change"].clone(),
            reason: made.reason.clone(),
            request: name.0,
        };
        let id = self.log(proposal.entry(asked)).await?;
        let proposal = Proposal { id, ..proposal };
        self.waiting().insert(proposal.clone());
        Ok(Done::Proposed(proposal))
    }

    /// A second key's word on a proposal.
    pub(crate) async fn decide(&self, request: Request, decision: Decision) -> Result<Done, Refusal> {
        self.take(self.authenticate(request).await?, decision).await
    }

    /// The same for who has shown in another way than by a signature over it to hold a key.
    pub(crate) async fn decide_as(&self, asked: Unsigned, decision: Decision) -> Result<Done, Refusal> {
        self.take(self.admit(asked, name_of(decision)).await?, decision).await
    }

    async fn take(&self, asked: Authenticated, decision: Decision) -> Result<Done, Refusal> {
        let door = self.clone();
        to_its_end(async move { door.decided(asked, decision).await }).await
    }

    async fn decided(&self, asked: Authenticated, decision: Decision) -> Result<Done, Refusal> {
        let path = name_of(decision);
        let named = serde_json::from_slice(&asked.body).map_err(|error| Refusal::Malformed(error.to_string()));
        let id = named.as_ref().ok().map(|Decided { proposal }| *proposal);
        let ready = named.and_then(|Decided { proposal }| self.prepare_decision(&asked, proposal, decision));
        match ready {
            Err(refusal) => Err(self.refused(&asked, path, id, refusal).await),
            Ok((proposal, _)) if decision == Decision::Rejected => {
                self.log_decision(&proposal, proposal.decided(&asked, Step::Rejected, path)).await?;
                Ok(Done::Answer(json!({ "proposal": proposal.id, "decision": "rejected" })))
            }
            Ok((proposal, body)) => self.approve(&asked, &proposal, body, path).await,
        }
    }

    /// The proposal, which waits no more, and the command that it becomes.
    fn prepare_decision(
        &self,
        asked: &Authenticated,
        id: u64,
        decision: Decision,
    ) -> Result<(Proposal, CommandBody), Refusal> {
        if asked.query.is_some() {
            return Err(Refusal::Malformed("a decision takes no query".to_owned()));
        }
        if !asked.is_json {
            return Err(Refusal::UnsupportedMediaType);
        }
        let name = if decision == Decision::Approved { asked.named()? } else { asked.idempotency_key };
        let mut waiting = self.waiting();
        let proposal = waiting.get(id, asked.received_at)?;
        let body = self.decidable((asked.key, asked.proof), name, &proposal, decision)?;
        if self.log.has_failed() {
            return Err(Refusal::LogFailed);
        }
        // Nobody else decides on it from here on.
        waiting.decide(id, decision);
        Ok((proposal, body))
    }

    /// The command that a proposal becomes, if a key may decide so on it.
    fn decidable(
        &self,
        (key, proof): (KeyId, Proof),
        name: IdempotencyKey,
        proposal: &Proposal,
        decision: Decision,
    ) -> Result<CommandBody, Refusal> {
        let is_own = proposal.by == key.0;
        if is_own && decision == Decision::Approved {
            return Err(Refusal::OwnProposal);
        }
        let change = ListedChange::named(&proposal.path).ok_or(Refusal::UnknownProposal)?;
        let envelope = json!({ "reason": proposal.reason, "change": proposal.change }).to_string();
        let (reason, becomes) = read(change, envelope.as_bytes())?;
        let note = note(name, &reason)?;
        let body = self.desk.look(|view| becomes(view, note))?;
        let may = |key| self.desk.look(|view| view.may_give(key, &body));
        // Whoever proposed it may take it back.
        if !(is_own || may(key)) {
            return Err(Refusal::NotEntitled(None));
        }
        if decision == Decision::Approved && !may(KeyId(proposal.by)) {
            return Err(Refusal::ProposerNotEntitled);
        }
        if decision == Decision::Approved && proof == Proof::OfSession && needs_signature(&proposal.path) {
            return Err(Refusal::NeedsSignature);
        }
        Ok(body)
    }

    async fn approve(
        &self,
        asked: &Authenticated,
        proposal: &Proposal,
        body: CommandBody,
        path: &str,
    ) -> Result<Done, Refusal> {
        let number = self.log_decision(proposal, proposal.decided(asked, Step::Approved, path)).await?;
        match self.carry_out(asked, number, body).await {
            Ok(event) => Ok(Done::Answer(event)),
            Err((refusal, Reached::Core)) => Err(refusal),
            Err((refusal, Reached::Nothing)) => {
                let logged = self.log(proposal.decided(asked, Step::Returned, path)).await;
                self.waiting().return_to_waiting(proposal.id);
                Err(logged.map_or_else(Refusal::from, |_| refusal))
            }
        }
    }

    /// Puts a decision on record; one that is not is none, and the proposal waits on.
    async fn log_decision(&self, proposal: &Proposal, entry: Entry) -> Result<u64, LogFailed> {
        let logged = self.log(entry).await;
        if logged.is_err() {
            self.waiting().return_to_waiting(proposal.id);
        }
        logged
    }

    /// Gives a command to the core, and puts on record what came of line `of`.
    async fn carry_out(&self, asked: &Authenticated, of: u64, body: CommandBody) -> Result<Value, (Refusal, Reached)> {
        let outcome = self.submit(&asked.command(body), asked.idempotency_key).await;
        let entry = Entry { of: Some(of), ..Entry::new(Step::Answered) };
        let entry = match &outcome {
            Ok(event) => Entry {
                status: Some(StatusCode::OK.as_u16()),
                outcome: event["event"].as_str().map(str::to_owned),
                sequence: event["sequence"].as_u64(),
                ..entry
            },
            Err((refusal, _)) => refusal.noted(entry),
        };
        // What happened has happened: a log that fails here has said so, and refuses the next change.
        let _ = self.log(entry).await;
        outcome
    }

    async fn submit(&self, command: &Command, name: IdempotencyKey) -> Result<Value, (Refusal, Reached)> {
        let answer = self.desk.submit(*command, name).map_err(|reason| (reason.into(), Reached::Nothing))?;
        match tokio::time::timeout(ANSWERED_WITHIN, answer).await {
            Ok(Ok(answer)) => self.outcome(&answer).map_err(|refusal| (refusal, Reached::Core)),
            Ok(Err(_)) => Err((Refusal::Unknown, Reached::Core)),
            Err(_) => {
                self.desk.give_up(command, name);
                Err((Refusal::Unknown, Reached::Core))
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
            RejectReason::NotEntitled => Refusal::NotEntitled(Some(*header)),
            reason => Refusal::Refused(Some(*header), reason),
        })
    }

    /// Puts on record that a change did not get as far as the core; why. Of a key that may change nothing at all not every
    /// try has a line.
    async fn refused(&self, asked: &Authenticated, path: &str, proposal: Option<u64>, refusal: Refusal) -> Refusal {
        if !self.desk.look(|view| view.runs_the_venue(asked.key)) {
            let entry = Entry { proposal, ..asked.entry(Step::TurnedAway, path) };
            return self.turned_away(entry, refusal).await;
        }
        let entry = Entry { proposal, ..asked.entry(Step::Refused, path) };
        match self.log(refusal.noted(entry)).await {
            Ok(_) => refusal,
            Err(failed) => failed.into(),
        }
    }

    /// Notes a request that was turned away; why. Its line is written on a thread that may wait for the disk, and only who
    /// brings the first that waits waits for it.
    async fn turned_away(&self, entry: Entry, refusal: Refusal) -> Refusal {
        if self.log.note_turned_away(refusal.noted(entry)) {
            let log = Arc::clone(&self.log);
            // Where no thread takes it, the next writer does.
            let _ = tokio::task::spawn_blocking(move || log.write_turned_away()).await;
        }
        refusal
    }

    /// Writes a line, on a thread that may wait for the disk.
    async fn log(&self, entry: Entry) -> Result<u64, LogFailed> {
        let log = Arc::clone(&self.log);
        let written = tokio::task::spawn_blocking(move || log.write(entry)).await;
        written.unwrap_or(Err(LogFailed))
    }

    fn waiting(&self) -> MutexGuard<'_, Proposals> {
        self.proposals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes through with something also if who asked for it has gone: what is on record as decided on has to happen.
async fn to_its_end(step: impl Future<Output = Result<Done, Refusal>> + Send + 'static) -> Result<Done, Refusal> {
    // Whatever ends it early, nobody knows how far it got.
    tokio::spawn(step).await.unwrap_or(Err(Refusal::Unknown))
}

/// What a decision is called.
fn name_of(decision: Decision) -> &'static str {
    if decision == Decision::Approved { "proposal/approve" } else { "proposal/reject" }
}

/// How far a change got that was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// It was not given to the core.
    Nothing,
    /// It is in the journal, or may be.
    Core,
}

impl Proposal {
    fn entry(&self, asked: &Authenticated) -> Entry {
        Entry {
            reason: Some(self.reason.clone()),
            change: Some(self.change.clone()),
            expires_at: Some(self.expires_at),
            status: Some(StatusCode::ACCEPTED.as_u16()),
            ..asked.entry(Step::Proposed, &self.path)
        }
    }

    fn decided(&self, asked: &Authenticated, step: Step, path: &str) -> Entry {
        Entry { proposal: Some(self.id), proposer: Some(self.by), ..asked.entry(step, path) }
    }
}

fn read(change: &ListedChange, body: &[u8]) -> Result<(String, Becomes), Refusal> {
    (change.read)(body).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn note(idempotency_key: IdempotencyKey, reason: &str) -> Result<AdminNote, Refusal> {
    let reason: Text<24> = text("reason", reason)?;
    match reason.is_empty() {
        true => Err(Refusal::Malformed("reason: a change needs one".to_owned())),
        false => Ok(AdminNote { idempotency_key, reason }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Seen;
    use crate::admin::access_log::{FILE, read as read_log};
    use crate::admin::signature::{KEY_HEADER, SIGNATURE_HEADER, SignedRequest, TIME_HEADER};
    use axum::body::Body;
    use ed25519_dalek::SigningKey;
    use engine::command::{AddKey, GrantRole, KeyKind, Role};
    use engine::{Capacity, Engine, EventHeader, Sequence, Sequenced, Stamp};
    use ring::{CommandRing, Idle};

    const KEY: KeyId = KeyId(1);
    const SECOND: KeyId = KeyId(2);

    fn second_key() -> SigningKey {
        SigningKey::from_bytes(&[8; 32])
    }

    /// The engine of a venue with two administrators.
    fn engine(key: &SigningKey) -> Engine {
        let mut engine = Engine::new(Capacity::DEFAULT);
        let second = second_key();
        let bodies = [(KEY, key), (SECOND, &second)].into_iter().flat_map(|(key, secret)| {
            let public_key = secret.verifying_key().to_bytes();
            let (role, account, note) = (Role::Administrator, AccountId::NONE, AdminNote::NONE);
            let added = AddKey { key, kind: KeyKind::Ed25519, public_key, note };
            [CommandBody::from(added), GrantRole { key, role, account, note }.into()]
        });
        for (sequence, body) in (1..).zip(bodies) {
            let stamp = Stamp { sequence: Sequence(sequence), time: Timestamp(1) };
            let mut events: Vec<(EventHeader, Event)> = Vec::new();
            engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        }
        engine
    }

    /// A door in front of no core, with what would go to it.
    fn door(place: &Path, key: &SigningKey, four_eyes: BTreeSet<&'static str>) -> (Door, Arc<CommandRing>) {
        let ring = Arc::new(CommandRing::new(16, Idle::Park));
        let desk = Arc::new(Desk::new(Seen::of(&engine(key)), Arc::clone(&ring), Arc::default()));
        (Door::new(desk, Arc::default(), Records::open(place).unwrap(), four_eyes), ring)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    /// What is on record.
    fn steps(place: &Path) -> Vec<Step> {
        let mut steps = Vec::new();
        read_log(&place.join(FILE), |line| steps.push(line.entry.what)).unwrap();
        steps
    }

    /// A client that goes away as soon as its request has been looked at once.
    async fn gone(asked: impl Future<Output = Result<Done, Refusal>>) {
        tokio::select! {
            biased;
            done = asked => panic!("it waits for the disk: {done:?}"),
            () = std::future::ready(()) => {}
        }
    }

    /// Goes on until these steps are on record.
    async fn recorded(place: &Path, expected: &[Step]) {
        let recorded = async {
            while steps(place) != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(3_600), recorded).await;
        assert!(in_time.is_ok(), "{:?}", steps(place));
    }

    fn request(key: &SigningKey, name: u64) -> Request {
        signed(KEY, key, name, "/admin/v1/account/open", r#"{"reason":"a test","change":{"account":9}}"#)
    }

    /// The second administrator's.
    fn decision(name: u64, verb: &str, proposal: u64) -> Request {
        let (path, body) = (format!("/admin/v1/proposal/{verb}"), format!(r#"{{"proposal":{proposal}}}"#));
        signed(SECOND, &second_key(), name, &path, &body)
    }

    fn signed(by: KeyId, key: &SigningKey, name: u64, path: &str, body: &str) -> Request {
        let (time, idempotency_key) = (wall_clock(), IdempotencyKey(name));
        let (method, signed_body) = ("POST", body.as_bytes());
        let signed = SignedRequest { method, path, key: by, time, idempotency_key, body: signed_body };
        Request::post(path)
            .header(KEY_HEADER, by.to_string())
            .header(TIME_HEADER, time.0.to_string())
            .header(REQUEST_HEADER, name.to_string())
            .header(SIGNATURE_HEADER, signed.sign(key))
            .body(Body::from(body.to_owned()))
            .unwrap()
    }

    #[test]
    fn without_its_record_no_change_gets_as_far_as_the_core() {
        let (runtime, place, key) = (runtime(), tempfile::tempdir().unwrap(), SigningKey::from_bytes(&[7; 32]));
        let (door, ring) = door(place.path(), &key, BTreeSet::new());
        let change = ListedChange::named("account/open").unwrap();
        // There is no core, so that this one is not answered.
        let asked = runtime.block_on(door.change(request(&key, 1), change));
        assert!(matches!(asked, Err(Refusal::Unknown)), "{asked:?}");
        assert_eq!(ring.waiting(), 1);
        door.log.break_off();
        for name in 2..4 {
            let asked = runtime.block_on(door.change(request(&key, name), change));
            assert!(matches!(asked, Err(Refusal::LogFailed)), "{asked:?}");
            assert_eq!(door.answered(asked).status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(ring.waiting(), 1);
    }

    #[test]
    fn a_client_that_goes_away_changes_nothing() {
        let (runtime, place, key) = (runtime(), tempfile::tempdir().unwrap(), SigningKey::from_bytes(&[7; 32]));
        let change = ListedChange::named("account/open").unwrap();
        let (alone, ring) = door(place.path(), &key, BTreeSet::new());
        runtime.block_on(async {
            gone(alone.change(request(&key, 1), change)).await;
            recorded(place.path(), &[Step::Asked, Step::Answered]).await;
        });
        assert_eq!(ring.waiting(), 1);

        let place = tempfile::tempdir().unwrap();
        let (guarded, ring) = door(place.path(), &key, BTreeSet::from([change.name]));
        runtime.block_on(async {
            gone(guarded.change(request(&key, 1), change)).await;
            recorded(place.path(), &[Step::Proposed]).await;
            // It is the same proposal.
            let again = guarded.change(request(&key, 1), change).await;
            assert!(matches!(again, Ok(Done::Proposed(Proposal { id: 1, .. }))), "{again:?}");
            assert_eq!(steps(place.path()), [Step::Proposed]);
            gone(guarded.decide(decision(2, "approve", 1), Decision::Approved)).await;
            recorded(place.path(), &[Step::Proposed, Step::Approved, Step::Answered]).await;
        });
        assert_eq!(ring.waiting(), 1);
    }

    #[test]
    fn a_decision_that_is_not_on_record_is_none() {
        for (verb, decided) in [("approve", Decision::Approved), ("reject", Decision::Rejected)] {
            let (runtime, place, key) = (runtime(), tempfile::tempdir().unwrap(), SigningKey::from_bytes(&[7; 32]));
            let change = ListedChange::named("account/open").unwrap();
            let (door, ring) = door(place.path(), &key, BTreeSet::from([change.name]));
            runtime.block_on(async {
                door.change(request(&key, 1), change).await.unwrap();
                door.log.break_off();
                let asked = door.decide(decision(2, verb, 1), decided).await;
                assert!(matches!(asked, Err(Refusal::LogFailed)), "{asked:?}");
            });
            assert_eq!(door.proposals_behind(0)[0]["id"], 1, "{verb}: it waits");
            assert_eq!(ring.waiting(), 0);
        }
    }
}
