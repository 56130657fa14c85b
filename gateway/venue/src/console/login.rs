//! Getting in, staying in, and leaving; and who is at a request's other end.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::{AccountId, IdempotencyKey, KeyId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::gate::{Denied, Entry, Hash, Holder, IDLE_MAX, LIFE_MAX, Secret};
use super::{Console, Shared};
use crate::admin::AdminView;
use crate::admin::signature::{REQUEST_HEADER, bytes};
use crate::data_folder::{hexadecimal, random};
use crate::http::listener::Peer;

/// Where a signed request gets a ticket.
pub(crate) const TICKET_PATH: &str = "/console/ticket";
/// What every request has that changes something: no form and no link can send it.
const CONSOLE_HEADER: &str = "rialto-console";
/// What a browser says of where a request comes from.
const FETCH_SITE: &str = "sec-fetch-site";
/// Bytes of the largest request.
const BODY_BYTES_MAX: usize = 16 << 10;
/// How long a request may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn router(console: Console) -> Router {
    Router::new()
        .route(TICKET_PATH, post(ticket))
        .route("/console/session", get(who).post(enter).delete(leave))
        .route("/console/session/used", post(used))
        .with_state(console)
}

/// Why a request is not carried out; nothing has happened.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is no session, or none any more.
    NotLoggedIn,
    /// The ticket does not hold.
    NoTicket,
    /// It does not come from the console's own page.
    ForeignOrigin,
    /// The page came over a network without TLS.
    InTheClear,
    /// The key may not.
    NotEntitled(&'static str),
    /// What was sent cannot be followed.
    Malformed(String),
    /// What is asked for is not there.
    NotFound(String),
    /// The request for a ticket was made before.
    Repeated,
    /// The browser is in with this other key.
    OtherKey(KeyId),
    /// Too many are there.
    Full,
    /// Something of the venue's own does not work.
    Failed(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, error, text) = match self {
            Self::NotLoggedIn => (
                StatusCode::UNAUTHORIZED,
                "NotLoggedIn",
                "there is no session, or it is over: get in with rialto console NAME".to_owned(),
            ),
            Self::NoTicket => (
                StatusCode::UNAUTHORIZED,
                "NoTicket",
                "the link was used before, or is older than a minute: get another with rialto console NAME".to_owned(),
            ),
            Self::ForeignOrigin => (
                StatusCode::FORBIDDEN,
                "ForeignOrigin",
                format!("the request does not come from the console's own page, or without {CONSOLE_HEADER}: 1"),
            ),
            Self::InTheClear => (
                StatusCode::FORBIDDEN,
                "InTheClear",
                "the page came without TLS: whatever is between this browser and the venue has to speak it".to_owned(),
            ),
            Self::NotEntitled(text) => (StatusCode::FORBIDDEN, "NotEntitled", text.to_owned()),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, "Malformed", text),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, "NotFound", text),
            Self::Repeated => (StatusCode::CONFLICT, "Repeated", "the request was made before".to_owned()),
            Self::OtherKey(key) => (
                StatusCode::CONFLICT,
                "OtherKey",
                format!("this browser is in with key {}: it is not replaced unasked", key.0),
            ),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "Full", "too many are there: ask again later".to_owned()),
            Self::Failed(text) => (StatusCode::SERVICE_UNAVAILABLE, "Failed", text),
        };
        answer(status, &json!({ "error": error, "text": text }))
    }
}

/// An answer as JSON, which nobody keeps.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}

/// As [`answer`], of what may have failed.
pub(super) fn outcome(outcome: Result<Value, Refused>) -> Response {
    outcome.map_or_else(IntoResponse::into_response, |body| answer(StatusCode::OK, &body))
}

/// What a key may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    /// The account that it trades for; none: it does not.
    pub(super) trades: Option<AccountId>,
    /// It runs the venue, or a part of it: which, the engine looks at.
    pub(super) operates: bool,
    /// It sees what there is to run.
    pub(super) reads: bool,
}

impl Rights {
    /// What the key's roles allow; nothing if the key is no good.
    fn of(view: &AdminView, key: KeyId) -> Option<Self> {
        view.public_key(key)?;
        let (operates, reads) = (view.runs_the_venue(key), view.may_read(key));
        Some(Self { trades: view.trades_for(key), operates, reads })
    }
}

/// Who has sent a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visitor {
    pub(super) key: KeyId,
    pub(super) session: Hash,
    pub(super) rights: Rights,
}

impl Visitor {
    /// The account that is traded for.
    pub(super) fn trader(self) -> Result<(KeyId, AccountId), Refused> {
        let account = self.rights.trades.ok_or(Refused::NotEntitled("this key trades for no account"))?;
        Ok((self.key, account))
    }

    /// It may see what there is to run.
    pub(super) fn reader(self) -> Result<Self, Refused> {
        if self.rights.reads { Ok(self) } else { Err(Refused::NotEntitled("this key does not run the venue")) }
    }

    fn object(self) -> Value {
        let Rights { trades, operates, reads } = self.rights;
        json!({
            "key": self.key.0,
            "account": trades.map(|account| account.0),
            "operates": operates,
            "reads": reads,
            "idle_seconds": IDLE_MAX.as_secs(),
        })
    }
}

impl Shared {
    /// Who has sent a request that only reads.
    pub(super) fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Refused> {
        let (session, _) = self.session_of(headers).ok_or(Refused::NotLoggedIn)?;
        self.stays(session).ok_or(Refused::NotLoggedIn)
    }

    /// The session that a browser has, and whose it is.
    fn session_of(&self, headers: &HeaderMap) -> Option<(Hash, KeyId)> {
        let (gate, now) = (self.gate(), self.now());
        sessions_of(headers, self.is_secure(headers)).into_iter().find_map(|id| Some((id, gate.session(id, now)?)))
    }

    /// Whether a request's cookies are for TLS alone.
    fn is_secure(&self, headers: &HeaderMap) -> bool {
        self.is_tls || is_by_proxy(headers)
    }

    /// Nobody gets in over a network without TLS: the cookie would be for everybody on the way.
    fn is_hidden(&self, headers: &HeaderMap) -> Result<(), Refused> {
        match self.is_secure(headers) && is_origin(headers, "http://") {
            true => Err(Refused::InTheClear),
            false => Ok(()),
        }
    }

    /// Who is in with a session, if anybody still is.
    pub(super) fn stays(&self, session: Hash) -> Option<Visitor> {
        let key = self.gate().session(session, self.now())?;
        match self.door.desk().look(|view| Rights::of(view, key)) {
            Some(rights) => Some(Visitor { key, session, rights }),
            None => {
                self.gate().expel(key);
                None
            }
        }
    }

    /// Who has sent a request that changes something.
    pub(super) fn actor(&self, headers: &HeaderMap) -> Result<Visitor, Refused> {
        own_page(headers)?;
        let visitor = self.visitor(headers)?;
        self.gate().used(visitor.session, self.now());
        Ok(visitor)
    }

    /// A ticket for who has signed for it: as much as the operator's door asks for, and what fails is counted there.
    async fn issue(&self, request: Request) -> Response {
        let asked = match self.door.prove(request).await {
            Ok(asked) => asked,
            Err(refusal) => return self.door.answered(Err(refusal)),
        };
        outcome(self.issue_to(asked.key, asked.idempotency_key))
    }

    fn issue_to(&self, key: KeyId, request: IdempotencyKey) -> Result<Value, Refused> {
        if request.is_none() {
            return Err(Refused::Malformed(format!("{REQUEST_HEADER}: a request for a ticket needs a number from 1")));
        }
        let ticket: Secret = random().map_err(|error| Refused::Failed(error.to_string()))?;
        let operates = self.door.desk().look(|view| view.runs_the_venue(key));
        self.gate().issue(Holder { key, operates }, request, &ticket, self.now()).map_err(denied)?;
        Ok(json!({ "ticket": hexadecimal(&ticket) }))
    }

    async fn redeem(&self, request: Request) -> Result<Response, Refused> {
        let (parts, body) = request.into_parts();
        own_page(&parts.headers)?;
        self.is_hidden(&parts.headers)?;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Login {
            ticket: String,
            /// The session of another key may end.
            #[serde(default)]
            replaces: bool,
        }
        let Login { ticket, replaces } = read(body).await?;
        let ticket: Secret = bytes(&ticket).ok_or(Refused::NoTicket)?;
        let secret: Secret = random().map_err(|error| Refused::Failed(error.to_string()))?;
        let is_secure = self.is_secure(&parts.headers);
        let id = Hash::of_session(&secret, is_secure);
        let before = self.session_of(&parts.headers).map(|(before, _)| before);
        self.gate().redeem(&ticket, Entry { id, before, replaces }, self.now()).map_err(denied)?;
        let visitor = self.stays(id).ok_or(Refused::NotLoggedIn)?;
        let mut response = answer(StatusCode::OK, &visitor.object());
        let cookie = cookie(&parts.headers, &hexadecimal(&secret), LIFE_MAX, is_secure);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(response)
    }
}

/// A key with networks is used from them alone: its sessions, too.
pub(super) async fn networks(State(console): State<Console>, request: Request, next: Next) -> Response {
    let from = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer.address().ip());
    let may_come = match (console.session_of(request.headers()), from) {
        (Some((_, key)), Some(from)) => console.door.desk().look(|view| view.may_come_from(key, from)),
        (Some(_), None) => false,
        // Nobody in particular.
        (None, _) => true,
    };
    match may_come {
        true => next.run(request).await,
        false => Refused::NotEntitled("this key may not be used from here").into_response(),
    }
}

fn denied(denied: Denied) -> Refused {
    match denied {
        Denied::NoTicket => Refused::NoTicket,
        Denied::Repeated => Refused::Repeated,
        Denied::Full => Refused::Full,
        Denied::OtherKey(key) => Refused::OtherKey(key),
    }
}

async fn ticket(State(console): State<Console>, request: Request) -> Response {
    console.issue(request).await
}

async fn enter(State(console): State<Console>, request: Request) -> Response {
    console.redeem(request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn who(State(console): State<Console>, headers: HeaderMap) -> Response {
    outcome(console.visitor(&headers).map(Visitor::object))
}

/// Somebody is still there.
async fn used(State(console): State<Console>, headers: HeaderMap) -> Response {
    outcome(console.actor(&headers).map(Visitor::object))
}

async fn leave(State(console): State<Console>, headers: HeaderMap) -> Response {
    let visitor = match console.actor(&headers) {
        Ok(visitor) => visitor,
        Err(refused) => return refused.into_response(),
    };
    console.gate().leave(visitor.session);
    let mut response = answer(StatusCode::OK, &json!({}));
    let cookie = cookie(&headers, "", Duration::ZERO, console.is_secure(&headers));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// A browser says where a request comes from: that has to be said, and has to be here.
pub(super) fn own_origin(headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST.as_str());
    let origin = text(header::ORIGIN.as_str()).map(|origin| origin.split_once("://").map(|(_, host)| host) == host);
    let site = text(FETCH_SITE).map(|site| site == "same-origin");
    match (origin, site) {
        (Some(true), None | Some(true)) | (None, Some(true)) => Ok(()),
        _ => Err(Refused::ForeignOrigin),
    }
}

/// Only a script of the page's own sends the header.
fn own_page(headers: &HeaderMap) -> Result<(), Refused> {
    match headers.get(CONSOLE_HEADER) {
        Some(value) if value == "1" => own_origin(headers),
        _ => Err(Refused::ForeignOrigin),
    }
}

/// Whether a request to a port without TLS has come by a proxy that speaks it, or has to. Such a port is on a loopback
/// address, so that who comes to it directly names the venue's own machine.
fn is_by_proxy(headers: &HeaderMap) -> bool {
    !is_own_machine(host_and_port(headers).0) || is_origin(headers, "https://")
}

/// Whether the page that asks was fetched so, as far as the browser says it.
fn is_origin(headers: &HeaderMap, scheme: &str) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(scheme.as_bytes()))
}

fn is_own_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// The port is empty if it is not named.
fn host_and_port(headers: &HeaderMap) -> (&str, &str) {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let split = named.rsplit_once(':').filter(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
    split.unwrap_or((named, ""))
}

/// A host's ports share its cookies: the port is in the name, so that two venues do not log one another out.
fn cookie_name(headers: &HeaderMap) -> String {
    format!("rialto-console-{}", host_and_port(headers).1)
}

/// What a browser takes over TLS only.
const SECURE_PREFIX: &str = "__Secure-";

fn cookie(headers: &HeaderMap, id: &str, life: Duration, is_secure: bool) -> HeaderValue {
    let (prefix, secure) = if is_secure { (SECURE_PREFIX, "; Secure") } else { ("", "") };
    let (name, seconds) = (cookie_name(headers), life.as_secs());
    let text = format!("{prefix}{name}={id}; Max-Age={seconds}; Path=/console; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).expect("letters, digits and signs of ASCII")
}

/// The sessions that a browser's cookies name. Over TLS only the cookie counts that nobody sets without: others can.
fn sessions_of(headers: &HeaderMap, is_secure: bool) -> Vec<Hash> {
    let plain = cookie_name(headers);
    let secure = format!("{SECURE_PREFIX}{plain}");
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let pairs: Vec<(&str, &str)> = pairs.collect();
    let named = |name: &str| pairs.iter().find(|(found, _)| *found == name).and_then(|(_, id)| bytes(id));
    let over_tls = named(&secure).map(|id| Hash::of_session(&id, true));
    let without = named(&plain).filter(|_| !is_secure).map(|id| Hash::of_session(&id, false));
    over_tls.into_iter().chain(without).collect()
}

/// The whole body, if it is short and comes in time.
pub(super) async fn arrived(body: Body) -> Result<Vec<u8>, Refused> {
    match tokio::time::timeout(ARRIVES_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Ok(body.into()),
        Ok(Err(_)) => Err(Refused::Malformed(format!("the body is longer than {BODY_BYTES_MAX} bytes"))),
        Err(_) => Err(Refused::Malformed("the request did not arrive in time".to_owned())),
    }
}

/// What a body says.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    serde_json::from_slice(&arrived(body).await?).map_err(|error| Refused::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_request_comes_from_the_consoles_own_page_or_is_refused() {
        let (host, own) = (("host", "127.0.0.1:7003"), ("origin", "http://127.0.0.1:7003"));
        let (here, header) = (("sec-fetch-site", "same-origin"), ("rialto-console", "1"));
        for (is_taken, pairs) in [
            (true, vec![host, header, own]),
            (true, vec![host, header, here]),
            (true, vec![host, header, own, here]),
            (false, vec![host, own, here]),
            (false, vec![host, header]),
            (false, vec![header, own]),
            (false, vec![host, ("rialto-console", "0"), own]),
            (false, vec![host, header, ("origin", "http://127.0.0.1:7004")]),
            (false, vec![host, header, ("origin", "null")]),
            (false, vec![host, header, own, ("sec-fetch-site", "same-site")]),
            (false, vec![host, header, ("origin", "http://evil.example"), here]),
            (false, vec![host, header, ("sec-fetch-site", "cross-site")]),
            (false, vec![host, header, ("sec-fetch-site", "none")]),
        ] {
            assert_eq!(own_page(&headers(&pairs)).is_ok(), is_taken, "{pairs:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_port_this_site_and_no_script() {
        let headers = headers(&[("host", "127.0.0.1:7003")]);
        assert_eq!(
            cookie(&headers, "aa", LIFE_MAX, false),
            "rialto-console-7003=aa; Max-Age=43200; Path=/console; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            cookie(&headers, "aa", LIFE_MAX, true),
            "__Secure-rialto-console-7003=aa; Max-Age=43200; Path=/console; HttpOnly; SameSite=Strict; Secure"
        );
    }

    #[test]
    fn a_session_is_found_among_other_cookies_and_over_tls_only_if_nobody_could_set_its_cookie_without() {
        let [plain, secure] = [false, true].map(|is_secure| Hash::of_session(&[0x0a; 32], is_secure));
        let hex = "0a".repeat(32);
        for (text, in_the_clear, over_tls) in [
            (format!("rialto-console-7003={hex}"), vec![plain], vec![]),
            (format!("a=b; __Secure-rialto-console-7003={hex}; c=d"), vec![secure], vec![secure]),
            (
                format!("rialto-console-7003={hex}; __Secure-rialto-console-7003={hex}"),
                vec![secure, plain],
                vec![secure],
            ),
            (format!("rialto-console-7004={hex}"), vec![], vec![]),
            ("rialto-console-7003=0a".to_owned(), vec![], vec![]),
            (String::new(), vec![], vec![]),
        ] {
            let mut headers = headers(&[("host", "127.0.0.1:7003")]);
            headers.insert(header::COOKIE, HeaderValue::from_str(&text).unwrap());
            assert_eq!((sessions_of(&headers, false), sessions_of(&headers, true)), (in_the_clear, over_tls), "{text}");
        }
    }

    #[test]
    fn whoever_does_not_come_from_the_venues_own_machine_has_come_by_a_proxy() {
        let here = ("sec-fetch-site", "same-origin");
        for (is_by, pairs) in [
            (false, vec![("host", "127.0.0.1:7003"), here]),
            (false, vec![("host", "127.0.0.1:7003"), ("origin", "http://127.0.0.1:7003")]),
            (false, vec![("host", "localhost:7003"), here]),
            (false, vec![("host", "venue.localhost:7003"), here]),
            (false, vec![("host", "[::1]:7003"), here]),
            (true, vec![("host", "127.0.0.1:8443"), ("origin", "https://127.0.0.1:8443")]),
            (true, vec![("host", "venue.example"), here]),
            (true, vec![("host", "venue.example:7003")]),
            (true, vec![("host", "venue.example:7003"), ("origin", "http://venue.example:7003")]),
            (true, vec![("host", "venue.example"), ("origin", "https://venue.example")]),
            (true, vec![("host", "localhost.example")]),
            (true, vec![]),
        ] {
            assert_eq!(is_by_proxy(&headers(&pairs)), is_by, "{pairs:?}");
        }
    }
}
