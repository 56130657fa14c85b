//! The web console's door, as a browser meets it: getting in, what keeps others out, trading and running the venue.

mod common {
    pub(crate) mod demo;
}

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use engine::{IdempotencyKey, KeyId, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::{Message, WebSocket};
use venue::admin::signature::{KEY_HEADER, REQUEST_HEADER, SIGNATURE_HEADER, SignedRequest, TIME_HEADER};
use venue::data_folder::KeyFile;
use venue::reach;
use venue::serve::Running;

use self::common::demo;

/// How long something may take that happens beside a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// A venue of a test's own.
struct Served {
    running: Running,
    folder: TempDir,
}

/// What came back: status, cookie that was set, body.
struct Answer {
    status: u16,
    cookie: Option<String>,
    body: Value,
}

/// A browser, as far as the console knows one.
#[derive(Clone)]
struct Browser {
    agent: ureq::Agent,
    host: String,
    /// As it sends it.
    cookie: String,
    origin: Option<String>,
    console_header: Option<&'static str>,
}

impl Served {
    /// What was asked at the operator's door, or would have been.
    fn access_log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("access.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        let (running, folder) = demo::start(options);
        Self { running, folder }
    }

    fn host(&self) -> String {
        self.running.addresses().http.to_string()
    }

    fn key_file(&self, name: &str) -> KeyFile {
        KeyFile::read(&self.folder.path().join("keys").join(format!("{name}.json"))).unwrap()
    }

    /// Runs the tool; the ticket in the link that it prints.
    fn ticket(&self, name: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        let key = self.folder.path().join("keys").join(format!("{name}.json"));
        let output = command.args(["console", "--connect", &self.host(), "--key"]).arg(key).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let link = String::from_utf8(output.stdout).unwrap();
        let prefix = format!("http://{}/console/#ticket=", self.host());
        link.trim().strip_prefix(&prefix).unwrap_or_else(|| panic!("{link}")).to_owned()
    }

    fn browser(&self) -> Browser {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_idle_connections(0).proxy(None);
        Browser {
            agent: ureq::Agent::new_with_config(config.build()),
            host: self.host(),
            cookie: String::new(),
            origin: Some(format!("http://{}", self.host())),
            console_header: Some("1"),
        }
    }

    /// A browser whose user is in.
    fn browser_of(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.post("session", &json!({ "ticket": self.ticket(name) }));
        assert_eq!(answer.status, 200, "{}", answer.body);
        browser.cookie = answer.cookie.unwrap().split(';').next().unwrap().to_owned();
        browser
    }

    /// A browser of somebody new, who has a role for the whole venue.
    fn browser_of_new(&self, name: &str, number: &str, role: &str) -> Browser {
        let file = self.folder.path().join("keys").join(format!("{name}.json"));
        self.admin(&["key", "new", number, "--out", file.to_str().unwrap()]);
        let key = self.key_file(name).signing_key(&file).unwrap();
        let public_key: String = key.verifying_key().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.admin(&["key", "add", number, "--public-key", &public_key]);
        self.admin(&["key", "grant", number, "--role", role]);
        self.browser_of(name)
    }

    fn admin(&self, arguments: &[&str]) {
        let key = self.folder.path().join("keys/administrator.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["admin", "--connect", &self.host(), "--reason", "a test", "--key"]).arg(key).args(arguments);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }

    /// Asks for a ticket as the tool does, by hand.
    fn ask_for_ticket(&self, name: &str, time: u64, number: u64) -> Answer {
        let file = self.key_file(name);
        let (key, time, idempotency_key) = (KeyId(file.key), Timestamp(time), IdempotencyKey(number));
        let signed = SignedRequest { method: "POST", path: "/console/ticket", key, time, idempotency_key, body: b"{}" };
        let signature = signed.sign(&file.signing_key(Path::new("a key file")).unwrap());
        let request = self.browser().agent.post(format!("http://{}/console/ticket", self.host()));
        let request = request.header(KEY_HEADER, key.to_string()).header(TIME_HEADER, time.0.to_string());
        let request = request.header(REQUEST_HEADER, number.to_string()).header(SIGNATURE_HEADER, signature);
        answer(request.send("{}").unwrap())
    }

    fn stop(self) {
        self.running.stop().unwrap();
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let status = response.status().as_u16();
    let cookie = response.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
    let text = response.body_mut().read_to_string().unwrap();
    Answer { status, cookie, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

impl Browser {
    fn headers<B>(&self, mut request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        if let Some(value) = self.console_header {
            request = request.header("rialto-console", value);
        }
        request
    }

    fn get(&self, path: &str) -> Answer {
        answer(self.headers(self.agent.get(format!("http://{}/console/{path}", self.host))).call().unwrap())
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(path, body, "1")
    }

    fn post_as(&self, path: &str, body: &Value, number: &str) -> Answer {
        let request = self.headers(self.agent.post(format!("http://{}/console/{path}", self.host)));
        answer(request.header("rialto-request", number).send(body.to_string()).unwrap())
    }

    fn delete(&self, path: &str) -> Answer {
        answer(self.headers(self.agent.delete(format!("http://{}/console/{path}", self.host))).call().unwrap())
    }

    /// Asks until the seat at order entry is open.
    fn trade(&self, path: &str, body: &Value) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.post(path, body);
            let is_early = answer.body["error"] == "NotSent" || is_unknown_instrument(&answer);
            if !is_early || Instant::now() > deadline {
                return answer;
            }
            std::thread::yield_now();
        }
    }
}

/// The venue tells of its instruments a moment after the opening.
fn is_unknown_instrument(answer: &Answer) -> bool {
    answer.body["text"].as_str().is_some_and(|text| text.contains("the venue has no"))
}

fn order(name: u64, side: &str, price: &str, quantity: &str) -> Value {
    json!({
        "name": name.to_string(), "instrument": "BTC-USD", "side": side, "price": price, "quantity": quantity,
        "tif": "gtc",
    })
}

fn halt(reason: &str) -> Value {
    json!({ "reason": reason, "change": { "instrument": "BTC-USD" } })
}

/// What is asked, again and again until it is as it should be or patience is at its end.
fn eventually(ask: impl Fn() -> Answer, is_it: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        if is_it(&answer) || Instant::now() > deadline {
            return answer;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_ticket_gets_a_session_once() {
    let venue = Served::start();
    let browser = venue.browser();
    let ticket = json!({ "ticket": venue.ticket("alice") });
    let first = browser.post("session", &ticket);
    assert_eq!((first.status, &first.body["account"]), (200, &json!(2)));
    assert_eq!((&first.body["operates"], &first.body["reads"]), (&json!(false), &json!(false)));
    let second = browser.post("session", &ticket);
    assert_eq!((second.status, &second.body["error"], second.cookie), (401, &json!("NoTicket"), None));
    let invented = browser.post("session", &json!({ "ticket": "00".repeat(32) }));
    assert_eq!((invented.status, &invented.body["error"]), (401, &json!("NoTicket")));
    venue.stop();
}

#[test]
fn the_cookie_is_for_the_console_alone_and_for_no_script() {
    let venue = Served::start();
    let entered = venue.browser().post("session", &json!({ "ticket": venue.ticket("alice") }));
    let port = venue.running.addresses().http.port();
    let cookie = entered.cookie.unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let id = pair.strip_prefix(&format!("rialto-console-{port}=")).unwrap();
    assert!(id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    assert_eq!(attributes, "Max-Age=43200; Path=/console; HttpOnly; SameSite=Strict");
    venue.stop();
}

#[test]
fn what_changes_something_needs_session_header_and_origin() {
    let venue = Served::start();
    let alice = venue.browser_of("alice");
    let broken: [(&str, u16, Browser); 4] = [
        ("NotLoggedIn", 401, Browser { cookie: String::new(), ..alice.clone() }),
        ("ForeignOrigin", 403, Browser { console_header: None, ..alice.clone() }),
        ("ForeignOrigin", 403, Browser { origin: Some("http://evil.example".to_owned()), ..alice.clone() }),
        ("ForeignOrigin", 403, Browser { origin: None, ..alice.clone() }),
    ];
    for (error, status, browser) in broken {
        for (path, body) in [
            ("trader/order", order(1, "buy", "64000", "1")),
            ("trader/cancel-all", json!({})),
            ("operator/change/instrument/halt", halt("a test")),
            ("session/used", json!({})),
        ] {
            let answer = browser.post(path, &body);
            assert_eq!((answer.status, &answer.body["error"]), (status, &json!(error)), "{path}");
        }
        assert_eq!(browser.delete("session").status, status);
    }
    assert_eq!(alice.get("session").status, 200, "whoever was refused has not logged anybody out");
    venue.stop();
}

#[test]
fn a_request_for_a_ticket_is_signed_fresh_and_made_once() {
    let venue = Served::start();
    let now = || reach::now().0;
    let at = now();
    assert_eq!(venue.ask_for_ticket("alice", at, 7).status, 200);
    assert_eq!(venue.ask_for_ticket("alice", at, 7).status, 409);
    assert_eq!(venue.ask_for_ticket("alice", now() - 10_000_000_000, 8).status, 401);
    assert_eq!(venue.ask_for_ticket("alice", now(), 0).status, 400);
    venue.admin(&["key", "revoke", "2"]);
    assert_eq!(venue.ask_for_ticket("alice", now(), 9).status, 401);
    venue.stop();
}

#[test]
fn whoever_has_no_ticket_keeps_nobody_out() {
    let venue = Served::start();
    let wrong = json!({ "ticket": "11".repeat(32) });
    let foreign = Browser { origin: Some("http://evil.example".to_owned()), ..venue.browser() };
    for _ in 0..40 {
        assert_eq!(venue.browser().post("session", &wrong).status, 401);
        assert_eq!(foreign.post("session", &wrong).status, 403);
    }
    let administrator = venue.browser_of("administrator");
    assert_eq!(administrator.get("session").status, 200);
    venue.stop();
}

#[test]
fn a_key_that_asks_for_many_tickets_keeps_no_other_out() {
    let venue = Served::start();
    let asked: Vec<u16> = (1..=9).map(|number| venue.ask_for_ticket("alice", reach::now().0, number).status).collect();
    assert_eq!(asked, [200, 200, 200, 200, 200, 200, 200, 200, 503]);
    venue.browser_of("administrator");
    venue.stop();
}

#[test]
fn a_browser_is_in_once_and_another_key_comes_instead_only_if_that_is_said() {
    let venue = Served::start();
    let first = venue.browser_of("alice");
    let again = first.post("session", &json!({ "ticket": venue.ticket("alice") }));
    assert_eq!(again.status, 200, "{}", again.body);
    assert_eq!(first.get("session").status, 401, "its session has ended with the new one");

    let cookie = again.cookie.unwrap().split(';').next().unwrap().to_owned();
    let alice = Browser { cookie, ..first };
    let ticket = venue.ticket("bob");
    let unasked = alice.post("session", &json!({ "ticket": ticket }));
    assert_eq!((unasked.status, &unasked.body["error"], unasked.cookie), (409, &json!("OtherKey"), None));
    assert_eq!(alice.get("session").body["key"], 2);
    let asked = alice.post("session", &json!({ "ticket": ticket, "replaces": true }));
    assert_eq!((asked.status, &asked.body["key"]), (200, &json!(3)), "the ticket was not spent: {}", asked.body);
    assert_eq!(alice.get("session").status, 401);
    venue.stop();
}

#[test]
fn a_key_that_is_revoked_is_out_at_once_and_who_leaves_is_out() {
    let venue = Served::start();
    let (alice, bob) = (venue.browser_of("alice"), venue.browser_of("bob"));
    venue.admin(&["key", "revoke", "2"]);
    assert_eq!(alice.get("session").body["error"], "NotLoggedIn");
    assert_eq!(alice.post("trader/cancel-all", &json!({})).status, 401);
    assert_eq!(bob.get("session").status, 200);
    let left = bob.delete("session");
    assert_eq!(left.status, 200);
    assert!(left.cookie.unwrap().contains("=; Max-Age=0; Path=/console"));
    assert_eq!(bob.get("session").status, 401);
    venue.stop();
}

#[test]
fn traders_trade_through_the_console_with_exact_numbers() {
    let venue = Served::start();
    let (alice, bob) = (venue.browser_of("alice"), venue.browser_of("bob"));
    let rested = alice.trade("trader/order", &order(1, "buy", "64000.00", "0.50000001"));
    assert_eq!((rested.status, &rested.body["what"]), (200, &json!("New")), "{}", rested.body);
    assert_eq!((&rested.body["price"], &rested.body["quantity"]), (&json!("64000.00"), &json!("0.50000001")));
    let again = alice.trade("trader/order", &order(1, "buy", "64000.00", "0.50000001"));
    assert_eq!((again.status, &again.body["reason"]), (422, &json!("DuplicateClientOrderId")), "{}", again.body);

    let taken = bob.trade("trader/order", &order(1, "sell", "64000", "0.2"));
    assert_eq!(taken.status, 200, "{}", taken.body);
    let off_tick = bob.trade("trader/order", &order(2, "sell", "64000.001", "0.2"));
    assert_eq!((off_tick.status, &off_tick.body["text"]), (400, &json!("price: 64000.001 is finer than 0.01")));
    let no_number = bob.trade(
        "trader/order",
        &json!({
            "name": "3", "instrument": "BTC-USD", "side": "sell", "price": 64000.5, "quantity": "1", "tif": "gtc",
        }),
    );
    assert_eq!(no_number.status, 400, "a number of JSON is not exact: {}", no_number.body);

    let order_id = rested.body["order_id"].as_str().unwrap();
    let cancelled = alice.trade("trader/cancel", &json!({ "order_id": order_id }));
    assert_eq!((cancelled.status, &cancelled.body["cancelled"]), (200, &json!("0.30000001")), "{}", cancelled.body);
    let gone = alice.trade("trader/cancel", &json!({ "order_id": order_id }));
    assert_eq!((gone.status, &gone.body["reason"]), (422, &json!("UnknownOrder")));

    let deadline = Instant::now() + PATIENCE;
    let fills = loop {
        let fills = alice.get("trader/fills").body;
        if fills.as_array().is_some_and(|fills| !fills.is_empty()) || Instant::now() > deadline {
            break fills;
        }
        std::thread::yield_now();
    };
    let fill = &fills[0];
    let expected =
        json!({ "instrument": "BTC-USD", "side": "buy", "price": "64000", "quantity": "0.2", "took": false });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&fill[name], value, "{name}: {fills}");
    }
    // Five basis points of 12,800.
    assert_eq!((&fill["fee"], &fill["fee_asset"]), (&json!("6.4"), &json!("USD")));
    venue.stop();
}

#[test]
fn an_operator_halts_with_a_reason_and_under_the_keys_own_name() {
    let venue = Served::start();
    let administrator = venue.browser_of("administrator");
    let (path, body) = ("operator/change/instrument/halt", halt("news pending"));
    assert_eq!(administrator.post(path, &halt("")).status, 400);
    let halted = administrator.post_as(path, &body, "41");
    assert_eq!(halted.status, 200, "{}", halted.body);
    assert_eq!((&halted.body["event"], &halted.body["author"]), (&json!("PhaseChanged"), &json!(1)));
    let again = administrator.post_as(path, &body, "41");
    assert_eq!((again.status, &again.body["error"]), (409, &json!("DuplicateRequest")));
    let unsigned =
        administrator.post_as("operator/change/key/revoke", &json!({ "reason": "a", "change": { "number": 2 } }), "42");
    assert_eq!(unsigned.status, 404, "keys are for requests that are signed by themselves: {}", unsigned.body);

    let instruments = administrator.get("operator/list/instruments?after=0").body;
    assert_eq!((&instruments[0]["name"], &instruments[0]["phase"]), (&json!("BTC-USD"), &json!("Halted")));
    let alice = venue.browser_of("alice");
    let refused = alice.trade("trader/order", &order(1, "buy", "64000", "1"));
    assert_eq!((refused.status, &refused.body["error"]), (422, &json!("Refused")), "{}", refused.body);

    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let events = administrator.get("operator/audit").body["events"].clone();
        let rows = events.as_array().unwrap().clone();
        if let Some(row) =
            rows.into_iter().find(|row| row["reason"] == "news pending" && row["event"] == "PhaseChanged")
        {
            break row;
        }
        assert!(Instant::now() < deadline, "{events}");
        std::thread::yield_now();
    };
    assert_eq!(found["author"], 1);
    let of_account = administrator.get("operator/audit?of=account&which=2&everything=1").body;
    assert!(of_account["events"].as_array().unwrap().iter().any(|row| row["event"] == "AccountOpened"), "{of_account}");
    venue.stop();
}

#[test]
fn each_key_does_what_its_roles_allow() {
    let venue = Served::start();
    let (alice, administrator) = (venue.browser_of("alice"), venue.browser_of("administrator"));
    for path in ["list/accounts", "list/keys", "figures", "samples", "audit", "balances?account=3"] {
        assert_eq!(alice.get(&format!("operator/{path}")).status, 403, "{path}");
        // The history is opened beside the doors.
        let read = eventually(|| administrator.get(&format!("operator/{path}")), |read| read.status != 503);
        assert_eq!(read.status, 200, "{path}: {}", read.body);
    }
    assert_eq!(alice.post("operator/change/instrument/halt", &halt("a test")).status, 403);
    assert_eq!(administrator.post("trader/order", &order(1, "buy", "64000", "1")).status, 403);
    assert_eq!(administrator.get("operator/list/secrets").status, 404);
    venue.stop();
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let venue = Served::start();
    let (alice, administrator) = (venue.browser_of("alice"), venue.browser_of("administrator"));
    assert_eq!(alice.trade("trader/order", &order(1, "buy", "64000.00", "1")).status, 200);
    let path = "operator/change/order/mass-cancel?dry-run=true";
    let asked = json!({ "reason": "dry run", "change": { "account": 2 } });
    // The trader may be told before the operator's door is.
    let is_there = |would: &Answer| would.body["effect"]["orders_cancelled"] != 0;
    let would = eventually(|| administrator.post_as(path, &asked, "0"), is_there);
    assert_eq!((would.status, &would.body["effect"]["orders_cancelled"]), (200, &json!(1)), "{}", would.body);
    let cancelled = alice.trade("trader/cancel-all", &json!({}));
    assert_eq!(cancelled.body["cancelled"], 1, "it was still there");
    venue.stop();
}

#[test]
fn a_key_with_networks_is_used_from_them_alone() {
    let venue = Served::start();
    let (alice, bob) = (venue.browser_of("alice"), venue.browser_of("bob"));
    venue.admin(&["key", "allow", "2", "192.0.2.0/24"]);
    for path in ["session", "trader/fills"] {
        let refused = alice.get(path);
        assert_eq!((refused.status, &refused.body["error"]), (403, &json!("NotEntitled")), "{path}");
        assert_eq!(bob.get(path).status, 200, "{path}");
    }
    assert_eq!(alice.post("trader/cancel-all", &json!({})).status, 403);
    assert_eq!(stream(&alice).err(), Some(403));
    venue.stop();
}

fn decide(browser: &Browser, decision: &str, proposal: &Value, number: &str) -> Answer {
    browser.post_as(&format!("operator/proposal/{decision}"), &json!({ "proposal": proposal }), number)
}

fn error(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["error"].as_str().unwrap_or_default())
}

#[test]
fn what_needs_a_second_key_waits_for_it() {
    let venue = Served::start_with(&["--four-eyes", "instrument/halt"]);
    let administrator = venue.browser_of("administrator");
    let proposed = administrator.post_as("operator/change/instrument/halt", &halt("news pending"), "41");
    assert_eq!((proposed.status, &proposed.body["by"]), (202, &json!(1)), "{}", proposed.body);
    let id = &proposed.body["id"];
    let phase = || administrator.get("operator/list/instruments?after=0").body[0]["phase"].clone();
    let waiting = |browser: &Browser| browser.get("operator/list/proposals?after=0").body;
    let own = waiting(&administrator);
    assert_eq!((&own[0]["id"], &own[0]["by"], &own[0]["path"]), (id, &json!(1), &json!("instrument/halt")));
    assert_eq!((&own[0]["reason"], &own[0]["change"]), (&json!("news pending"), &json!({ "instrument": "BTC-USD" })));
    assert_eq!((&own[0]["not_approved"]["error"], &own[0]["not_rejected"]), (&json!("OwnProposal"), &Value::Null));
    let [since, until] = ["proposed_at", "expires_at"].map(|at| own[0][at].as_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(until - since, 24 * 3_600 * 1_000_000_000);
    assert_eq!(json!(until), proposed.body["expires_at"]);

    // Nobody else than whom the signed door would let.
    assert_eq!(error(&decide(&administrator, "approve", id, "42")), (403, "OwnProposal"));
    assert_eq!(error(&decide(&venue.browser_of("alice"), "approve", id, "43")), (403, "NotEntitled"));
    for (name, number, role) in [("auditor", "7", "read-only"), ("keeper", "8", "key-operator")] {
        let browser = venue.browser_of_new(name, number, role);
        assert_eq!(error(&decide(&browser, "approve", id, "44")), (403, "NotEntitled"), "{name}");
        assert_eq!(error(&decide(&browser, "reject", id, "45")), (403, "NotEntitled"), "{name}");
        let seen = waiting(&browser);
        for not in ["not_approved", "not_rejected"] {
            assert_eq!(seen[0][not]["error"], "NotEntitled", "{name}");
        }
    }
    let deputy = venue.browser_of_new("deputy", "9", "market-operator");
    let foreign = Browser { console_header: None, ..deputy.clone() };
    assert_eq!(error(&decide(&foreign, "approve", id, "46")), (403, "ForeignOrigin"));
    assert_eq!(decide(&deputy, "approve", id, "0").status, 400, "a change has a name");
    assert_eq!(decide(&deputy, "postpone", id, "47").status, 404);
    assert_eq!(phase(), "Continuous");

    assert_eq!(waiting(&deputy)[0]["not_approved"], Value::Null);
    let halted = decide(&deputy, "approve", id, "48");
    assert_eq!((halted.status, &halted.body["event"]), (200, &json!("PhaseChanged")), "{}", halted.body);
    assert_eq!((&halted.body["author"], phase()), (&json!(9), json!("Halted")));
    assert_eq!(waiting(&deputy), json!([]));
    assert_eq!(error(&decide(&deputy, "reject", id, "49")), (409, "ProposalDecided"));

    // Who may not is on record all the same.
    let log = venue.access_log();
    let turned_away = log.iter().filter(|line| line["path"] == "proposal/approve" && line["outcome"] == "NotEntitled");
    assert_eq!(turned_away.map(|line| line["key"].clone()).collect::<Vec<_>>(), [2, 7, 8]);
    venue.stop();
}

#[test]
fn an_amount_is_approved_by_a_request_that_is_signed_by_itself_and_rejected_without() {
    let venue = Served::start_with(&["--four-eyes", "account/withdraw"]);
    let cashier = venue.browser_of_new("cashier", "9", "account-operator");
    let waiting = || cashier.get("operator/list/proposals?after=0").body;
    venue.admin(&["account", "withdraw", "2", "--asset", "USD", "--amount", "5000"]);
    let proposal = waiting()[0].clone();
    assert_eq!(
        (&proposal["not_approved"]["error"], &proposal["not_rejected"]),
        (&json!("NeedsSignature"), &Value::Null)
    );
    assert_eq!(error(&decide(&cashier, "approve", &proposal["id"], "41")), (403, "NeedsSignature"));
    let rejected = decide(&cashier, "reject", &proposal["id"], "42");
    assert_eq!((rejected.status, &rejected.body["decision"]), (200, &json!("rejected")), "{}", rejected.body);
    assert_eq!(waiting(), json!([]));

    // Both are on record, as what is asked at the signed door is.
    let lines = venue.access_log();
    let [refused, decided] = &lines[lines.len() - 2..] else { unreachable!("there are more") };
    for (line, what, path) in [(refused, "refused", "proposal/approve"), (decided, "rejected", "proposal/reject")] {
        let said = (&line["what"], &line["path"], &line["key"], &line["proposal"]);
        assert_eq!(said, (&json!(what), &json!(path), &json!(9), &proposal["id"]), "{line}");
    }
    assert_eq!((&refused["outcome"], &decided["proposer"]), (&json!("NeedsSignature"), &json!(1)));

    // The same key approves with a signature.
    venue.admin(&["account", "withdraw", "2", "--asset", "USD", "--amount", "6000"]);
    let id = waiting()[0]["id"].to_string();
    let key = venue.folder.path().join("keys/cashier.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(["admin", "--connect", &venue.host(), "--key"]).arg(key).args(["proposal", "approve", &id]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(waiting(), json!([]));
    venue.stop();
}

#[test]
fn who_proposed_something_takes_it_back() {
    let venue = Served::start_with(&["--four-eyes", "instrument/halt"]);
    let administrator = venue.browser_of("administrator");
    let proposed = administrator.post_as("operator/change/instrument/halt", &halt("news pending"), "41");
    let back = decide(&administrator, "reject", &proposed.body["id"], "42");
    assert_eq!((back.status, &back.body["decision"]), (200, &json!("rejected")), "{}", back.body);
    assert_eq!(administrator.get("operator/list/proposals?after=0").body, json!([]));
    venue.stop();
}

#[test]
fn over_tls_the_cookie_is_for_tls_alone() {
    let venue = Served::start_with(&["--http-security", "tls"]);
    let folder = venue.folder.path().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    let output = command.args(["console", "alice", "--connect", &venue.host(), "--certificate"]);
    let output = output.args([&format!("{folder}/certificate.pem"), "--data", folder]).output().unwrap();
    let link = String::from_utf8(output.stdout).unwrap();
    let prefix = format!("https://{}/console/#ticket=", venue.host());
    let ticket = link.trim().strip_prefix(&prefix).unwrap_or_else(|| panic!("{link} {:?}", output.stderr));

    let pem = std::fs::read(venue.folder.path().join("certificate.pem")).unwrap();
    let certificate = ureq::tls::Certificate::from_pem(&pem).unwrap();
    let roots = ureq::tls::RootCerts::Specific(std::sync::Arc::new(vec![certificate]));
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = ureq::tls::TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    let config = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls).proxy(None).build();
    let origin = format!("https://{}", venue.host());
    let agent = ureq::Agent::new_with_config(config);
    let request = agent.post(format!("{origin}/console/session"));
    let request = request.header("origin", &origin).header("rialto-console", "1");
    let entered = answer(request.send(json!({ "ticket": ticket }).to_string()).unwrap());
    assert_eq!(entered.status, 200, "{}", entered.body);
    let cookie = entered.cookie.unwrap();
    assert!(cookie.starts_with("__Secure-rialto-console-") && cookie.ends_with("; Secure"), "{cookie}");

    let pair = cookie.split(';').next().unwrap();
    let used = |cookie: &str| {
        let request = agent.post(format!("{origin}/console/session/used")).header("origin", &origin);
        answer(request.header("rialto-console", "1").header("cookie", cookie).send("{}").unwrap()).status
    };
    assert_eq!(used(pair), 200);
    assert_eq!(used(pair.strip_prefix("__Secure-").unwrap()), 401, "anybody on the way could have set it");
    venue.stop();
}

#[test]
fn whoever_comes_by_a_proxy_has_come_over_tls_or_does_not_get_in() {
    let venue = Served::start();
    let agent = venue.browser().agent;
    let ask = |path: &str, origin: &str, cookie: &str, body: &Value| {
        let request = agent.post(format!("http://{}/console/{path}", venue.host())).header("host", "venue.example");
        let request = request.header("origin", origin).header("rialto-console", "1").header("cookie", cookie);
        answer(request.send(body.to_string()).unwrap())
    };
    let ticket = json!({ "ticket": venue.ticket("alice") });
    let (hidden, clear) = ("https://venue.example", "http://venue.example");
    let refused = ask("session", clear, "a=b", &ticket);
    assert_eq!((refused.status, &refused.body["error"], refused.cookie), (403, &json!("InTheClear"), None));

    let entered = ask("session", hidden, "a=b", &ticket);
    assert_eq!(entered.status, 200, "the ticket was not spent: {}", entered.body);
    let cookie = entered.cookie.unwrap();
    assert!(cookie.starts_with("__Secure-rialto-console-=") && cookie.ends_with("; Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let used = |cookie: &str| ask("session/used", hidden, cookie, &json!({})).status;
    assert_eq!(used(pair), 200);
    assert_eq!(used(pair.strip_prefix("__Secure-").unwrap()), 401, "anybody on the way could have set it");

    // What was begun in the clear on the venue's own machine is nothing by the proxy.
    let local = venue.browser_of("bob").cookie;
    let named = local.split_once('=').map(|(_, id)| format!("rialto-console-={id}")).unwrap();
    for cookie in [&local, &named, &format!("__Secure-{named}")] {
        assert_eq!(used(cookie), 401, "{cookie}");
    }
    venue.stop();
}

/// A page's stream, as a browser of that page opens it.
fn stream(browser: &Browser) -> Result<WebSocket<TcpStream>, u16> {
    let mut request = format!("ws://{}/console/stream", browser.host).into_client_request().unwrap();
    request.headers_mut().insert("cookie", browser.cookie.parse().unwrap());
    if let Some(origin) = &browser.origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let socket = TcpStream::connect(&browser.host).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    match tungstenite::client(request, socket) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// The next message of a kind.
fn next(socket: &mut WebSocket<TcpStream>, kind: &str) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            let said: Value = serde_json::from_str(&text).unwrap();
            if said["type"] == kind {
                return said;
            }
        }
    }
}

#[test]
fn a_page_is_told_what_happens_until_its_key_is_revoked() {
    let venue = Served::start();
    let alice = venue.browser_of("alice");
    let foreign = Browser { origin: Some("http://evil.example".to_owned()), ..alice.clone() };
    assert_eq!(stream(&foreign).err(), Some(403));
    assert_eq!(stream(&Browser { cookie: String::new(), ..alice.clone() }).err(), Some(401));
    assert_eq!(stream(&venue.browser_of("administrator")).err(), Some(403));

    let mut socket = stream(&alice).unwrap();
    while next(&mut socket, "connection")["state"] != "open" {}
    assert_eq!(next(&mut socket, "orders")["count"], 0);
    assert_eq!(alice.trade("trader/order", &order(1, "buy", "64000.00", "1")).status, 200);
    let open = next(&mut socket, "orders");
    assert_eq!((&open["orders"][0]["price"], &open["orders"][0]["leaves"]), (&json!("64000.00"), &json!("1.00000000")));

    venue.admin(&["key", "revoke", "2"]);
    assert_eq!(end(&mut socket), 4001);
    venue.stop();
}

/// How a stream ends.
fn end(socket: &mut WebSocket<TcpStream>) -> u16 {
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.unwrap().code.into(),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_page_ends_when_its_key_trades_for_another_account_or_may_not_come_from_there() {
    let venue = Served::start();
    let alice = venue.browser_of("alice");
    let mut socket = stream(&alice).unwrap();
    while next(&mut socket, "connection")["state"] != "open" {}
    venue.admin(&["key", "revoke-role", "2", "--role", "trader", "--account", "2"]);
    venue.admin(&["key", "grant", "2", "--role", "trader", "--account", "3"]);
    assert_eq!(end(&mut socket), 4002);

    let mut socket = stream(&alice).unwrap();
    while next(&mut socket, "connection")["state"] != "open" {}
    let rested = alice.trade("trader/order", &order(1, "buy", "64000.00", "1"));
    assert_eq!(rested.status, 200, "{}", rested.body);
    assert_eq!(
        venue.browser_of("bob").trade("trader/cancel-all", &json!({})).body["cancelled"],
        1,
        "it is of account 3"
    );

    venue.admin(&["key", "allow", "2", "192.0.2.0/24"]);
    assert_eq!(end(&mut socket), 4001);
    venue.stop();
}
