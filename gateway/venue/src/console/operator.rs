//! What the operator's page asks: lists as the operator's door has them, the venue's figures, what happened; and changes, and
//! decisions on what waits for a second key, which go to the door as if their author had signed each. What is worth more than
//! a session the door does not take so.

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::{AccountId, IdempotencyKey};
use serde_json::{Map, Value, json};

use super::audit::Question;
use super::login::{Refused, arrived, outcome};
use super::samples::parsed;
use super::{Console, Shared, locked};
use crate::admin::requests::ListedChange;
use crate::admin::signature::REQUEST_HEADER;
use crate::admin::{Decision, List, Refusal, Unsigned, Waiting, needs_signature};
use crate::http::listener::Peer;
use crate::reach;

pub(super) fn router(console: Console) -> Router {
    Router::new()
        .route("/console/operator/list/{list}", get(list))
        .route("/console/operator/balances", get(balances))
        .route("/console/operator/figures", get(figures))
        .route("/console/operator/samples", get(samples))
        .route("/console/operator/audit", get(audit))
        .route("/console/operator/change/{*change}", post(change))
        .route("/console/operator/proposal/{decision}", post(decide))
        .with_state(console)
}

/// The number that a query gives, or zero.
fn number_of(uri: &Uri, name: &str) -> Result<u64, Refused> {
    let Some(query) = uri.query() else { return Ok(0) };
    let number = query.split_once('=').filter(|(found, _)| *found == name).and_then(|(_, number)| number.parse().ok());
    number.ok_or_else(|| Refused::Malformed(format!("query {query:?}: it is not {name}=NUMBER")))
}

fn narrow(number: u64) -> Result<u32, Refused> {
    number.try_into().map_err(|_| Refused::Malformed(format!("{number}: it is too large")))
}

/// What waits, as the page shows it. Times are nanoseconds, which a number of JSON does not have room for.
fn proposal(Waiting { proposal, not_approved, not_rejected }: Waiting) -> Value {
    let why = |refusal: Option<Refusal>| refusal.map(|refusal| refusal.parts().1);
    json!({
        "id": proposal.id,
        "by": proposal.by,
        "path": proposal.path,
        "summary": ListedChange::named(&proposal.path).map(|change| change.summary.trim()),
        "change": proposal.change,
        "reason": proposal.reason,
        "proposed_at": proposal.proposed_at().to_string(),
        "expires_at": proposal.expires_at.to_string(),
        "not_approved": why(not_approved),
        "not_rejected": why(not_rejected),
    })
}

async fn list(State(console): State<Console>, Path(list): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    outcome(console.list(&list, &headers, &uri))
}

async fn balances(State(console): State<Console>, headers: HeaderMap, uri: Uri) -> Response {
    outcome(console.balances(&headers, &uri))
}

async fn figures(State(console): State<Console>, headers: HeaderMap) -> Response {
    outcome(console.visitor(&headers).and_then(|visitor| visitor.reader()).map(|_| console.figures()))
}

async fn samples(State(console): State<Console>, headers: HeaderMap, uri: Uri) -> Response {
    let reader = console.visitor(&headers).and_then(|visitor| visitor.reader());
    let behind = reader.and_then(|_| number_of(&uri, "behind"));
    outcome(behind.map(|behind| locked(&console.samples).behind(behind)))
}

async fn audit(State(console): State<Console>, headers: HeaderMap, uri: Uri) -> Response {
    outcome(audited(console, &headers, &uri).await)
}

async fn audited(console: Console, headers: &HeaderMap, uri: &Uri) -> Result<Value, Refused> {
    console.visitor(headers)?.reader()?;
    let question = Question::parse(uri.query().unwrap_or_default())?;
    console.reading(move |console| console.audit(&question)).await
}

async fn change(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let unsigned = || Refused::NotFound("this needs a request that is signed by itself: rialto admin".to_owned());
    let named = || ListedChange::named(&name).filter(|change| !needs_signature(change.name)).ok_or_else(unsigned);
    match console.asked(&peer, request, named).await {
        Ok((asked, change)) => console.door.answered(console.door.change_as(asked, change).await),
        Err(refused) => refused.into_response(),
    }
}

async fn decide(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(decision): Path<String>,
    request: Request,
) -> Response {
    let decided = || match decision.as_str() {
        "approve" => Ok(Decision::Approved),
        "reject" => Ok(Decision::Rejected),
        _ => Err(Refused::NotFound(format!("there is no decision {decision}: it is approve or reject"))),
    };
    match console.asked(&peer, request, decided).await {
        Ok((asked, decision)) => console.door.answered(console.door.decide_as(asked, decision).await),
        Err(refused) => refused.into_response(),
    }
}

impl Shared {
    /// What an operator asks of the door, and what its path says: looked at before the body is waited for.
    async fn asked<T>(
        &self,
        peer: &Peer,
        request: Request,
        path: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<(Unsigned, T), Refused> {
        let (parts, body) = request.into_parts();
        // Whether the key may is the door's to say, which has on record what was tried.
        let key = self.actor(&parts.headers)?.key;
        let name = parts.headers.get(REQUEST_HEADER).and_then(|name| name.to_str().ok()?.parse().ok());
        let name = name.ok_or_else(|| Refused::Malformed(format!("{REQUEST_HEADER}: it is missing or no number")))?;
        let (path, from, idempotency_key) = (path()?, peer.address().ip(), IdempotencyKey(name));
        let (query, body) = (parts.uri.query().map(str::to_owned), arrived(body).await?);
        Ok((Unsigned { key, from, idempotency_key, query, body }, path))
    }

    fn list(&self, list: &str, headers: &HeaderMap, uri: &Uri) -> Result<Value, Refused> {
        let reader = self.visitor(headers)?.reader()?;
        let after = narrow(number_of(uri, "after")?)?;
        if list == "proposals" {
            return Ok(self.door.proposals_for(reader.key, after).into_iter().map(proposal).collect());
        }
        let list = List::named(list).ok_or_else(|| Refused::NotFound(format!("there is no list of {list}")))?;
        Ok(self.door.desk().look(|view| (list.rows)(view, after, engine::Timestamp(reach::now().0))))
    }

    fn balances(&self, headers: &HeaderMap, uri: &Uri) -> Result<Value, Refused> {
        self.visitor(headers)?.reader()?;
        let account = AccountId(narrow(number_of(uri, "account")?)?);
        Ok(self.door.desk().look(|view| json!(view.balances(account))))
    }

    /// Everything that is counted, as it is now; of histograms their sums and counts.
    fn figures(&self) -> Value {
        let text = self.status.metrics.text(&self.status.space);
        let shown = parsed(&text).filter(|series| !series.name.ends_with("_bucket")).map(|series| {
            let labels: Map<String, Value> =
                series.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            json!({ "name": series.name, "labels": labels, "value": series.value })
        });
        let is_ready = self.status.ready.load(std::sync::atomic::Ordering::Acquire);
        json!({ "at_ms": reach::now().0 / 1_000_000, "ready": is_ready, "figures": shown.collect::<Vec<_>>() })
    }
}
