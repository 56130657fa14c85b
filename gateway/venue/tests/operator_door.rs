//! The operator's door beyond single changes: what its description says, who may do what, dry runs, four eyes, what is on
//! record, TLS, and guessing.

mod common {
    pub(crate) mod demo;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use client::SigningKey;
use engine::{IdempotencyKey, KeyId, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use venue::admin::signature::SignedRequest;
use venue::data_folder::{DataFolder, KeyFile};
use venue::serve::Running;

use self::common::demo;

/// Every request of every test has its own name.
static NAMES: AtomicU64 = AtomicU64::new(1_000);

fn fresh_name() -> u64 {
    NAMES.fetch_add(1, Ordering::Relaxed)
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// A venue of a test's own.
struct Served {
    running: Running,
    folder: TempDir,
    options: Vec<&'static str>,
}

/// Somebody with a key.
struct Holder {
    number: u32,
    key: SigningKey,
}

/// What the port answered.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Value,
}

impl Reply {
    fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }
}

impl Served {
    fn start(options: &[&'static str]) -> Self {
        let (running, folder) = demo::start(options);
        Self { running, folder, options: options.to_vec() }
    }

    fn restart(self) -> Self {
        let Self { running, folder, options } = self;
        running.stop().unwrap();
        let set_up = |_: &DataFolder| unreachable!("there is a venue");
        let running = Running::start(&demo::arguments(folder.path(), &options), set_up).unwrap();
        Self { running, folder, options }
    }

    fn stop(self) -> (TempDir, u64) {
        let last = self.running.stop().unwrap().engine.last().sequence.0;
        (self.folder, last)
    }

    fn address(&self) -> SocketAddr {
        self.running.addresses().http
    }

    fn administrator(&self) -> Holder {
        let file = self.folder.path().join("keys/administrator.json");
        let key = KeyFile::read(&file).unwrap();
        Holder { number: key.key, key: key.signing_key(&file).unwrap() }
    }

    /// Makes a key known that has some roles: of an account, or of the whole venue.
    fn holder(&self, number: u32, roles: &[(&str, Option<u32>)]) -> Holder {
        let administrator = self.administrator();
        let key = SigningKey::from_bytes(&[u8::try_from(number).unwrap(); 32]);
        let public_key: String = key.verifying_key().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.changed(&administrator, "key/add", json!({ "number": number, "public_key": public_key }));
        for (role, account) in roles {
            let grant = json!({ "number": number, "role": role, "account": account });
            self.changed(&administrator, "key/grant", grant);
        }
        Holder { number, key }
    }

    /// A change that is made.
    fn changed(&self, who: &Holder, name: &str, change: Value) -> Value {
        let reply = self.change(who, name, change);
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        reply.body
    }

    fn change(&self, who: &Holder, name: &str, change: Value) -> Reply {
        let body = json!({ "reason": "a test", "change": change });
        self.ask(who, "POST", &format!("/admin/v1/{name}"), Some(&body))
    }

    fn get(&self, who: &Holder, path: &str) -> Reply {
        self.ask(who, "GET", path, None)
    }

    fn ask(&self, who: &Holder, method: &str, path: &str, body: Option<&Value>) -> Reply {
        exchange(self.address(), &signed(who, method, path, body, fresh_name()))
    }

    fn plain(&self, method: &str, path: &str) -> Reply {
        exchange(self.address(), format!("{method} {path} HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n").as_bytes())
    }

    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("access.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn tool(&self, arguments: &[&str]) -> Output {
        DataFolder::open(self.folder.path()).unwrap().announce(self.running.addresses()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["admin", "--data"]).arg(self.folder.path()).args(["--json", "--reason", "a test"]);
        command.args(arguments).output().unwrap()
    }
}

fn signed(who: &Holder, method: &str, path: &str, body: Option<&Value>, name: u64) -> Vec<u8> {
    let body = body.map_or(String::new(), Value::to_string);
    let request = SignedRequest {
        method,
        path,
        key: KeyId(who.number),
        time: Timestamp(now()),
        idempotency_key: IdempotencyKey(name),
        body: body.as_bytes(),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: v\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nrialto-key: {}\r\nrialto-time: {}\r\nrialto-request: {name}\r\n\
         rialto-signature: {}\r\n\r\n{body}",
        body.len(),
        who.number,
        request.time.0,
        request.sign(&who.key),
    )
    .into_bytes()
}

fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    // A server that has answered may close before it has read everything.
    let _ = stream.write_all(bytes);
    reply(&mut stream)
}

fn reply(stream: &mut impl Read) -> Reply {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let body = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
    Reply { status: head[9..12].parse().unwrap(), head: head.to_ascii_lowercase(), body }
}

fn document(venue: &Served) -> Value {
    let reply = venue.plain("GET", "/openapi.json");
    assert_eq!(reply.status, 200);
    reply.body
}

/// Every path with its methods.
fn operations(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.map(|(path, item)| (path.clone(), item.as_object().unwrap().keys().cloned().collect())).collect()
}

#[test]
fn the_port_describes_what_it_answers() {
    let venue = Served::start(&[]);
    let document = document(&venue);
    assert_eq!(document["openapi"], "3.1.0");
    serde_json::from_value::<utoipa::openapi::OpenApi>(document.clone()).unwrap();
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 40, "{found:?}");
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let operations = operations(&document);
    let outside = ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/products"];
    let described: Vec<_> = operations.keys().filter(|path| !path.starts_with("/admin/v1/")).collect();
    assert_eq!(described, outside);
    for (path, methods) in &operations {
        let method = methods.first().unwrap();
        let reply = venue.plain(&method.to_uppercase(), path);
        let expected = if path.starts_with("/admin/") { 401 } else { 200 };
        assert_eq!(reply.status, expected, "{path}: {reply:?}");
        let other = venue.plain("DELETE", path);
        assert_eq!(other.error(), (405, "MethodNotAllowed"), "{path}");
        assert!(other.head.contains(&format!("allow: {method}")), "{path}: {}", other.head);
        assert!(other.head.contains("content-type: application/json"), "{path}: {}", other.head);
    }
    let statuses = document["paths"]["/admin/v1/account/withdraw"]["post"]["responses"].as_object().unwrap();
    let described: BTreeSet<_> = statuses.keys().map(String::as_str).collect();
    let all = "200 202 400 401 403 405 408 409 413 415 422 429 503 504";
    assert_eq!(described, all.split(' ').collect());
    for path in ["/admin/v1/nothing", "/admin", "/nothing", "/health"] {
        assert_eq!(venue.plain("GET", path).error(), (404, "NotFound"), "{path}");
    }
    venue.stop();
}

/// The table of the handbook: of each call, the roles that may make it.
fn documented_roles() -> (Vec<String>, BTreeMap<String, BTreeSet<String>>) {
    let handbook = include_str!("../../../docs/OPERATIONS.md");
    let section = handbook.split("### Who may do what\n").nth(1).expect("the handbook has the section");
    let mut lines = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let roles = cells(lines.next().unwrap())[1..].to_vec();
    let rows = lines.skip(1).map(|line| {
        let cells = cells(line);
        let may = roles.iter().zip(&cells[1..]).filter(|(_, cell)| match cell.as_str() {
            "yes" => true,
            "" => false,
            other => panic!("{other:?} in the table"),
        });
        (cells[0].clone(), may.map(|(role, _)| role.clone()).collect())
    });
    let rows = rows.collect();
    (roles, rows)
}

/// How each row of the table is tried: with values that the venue refuses, if it looks at them at all.
fn calls(victim: u32) -> Vec<(&'static str, Value)> {
    let at = "2100-01-01T09:00:00Z";
    vec![
        ("asset/add", json!({ "asset": 1, "name": "USD", "decimals": 2 })),
        ("instrument/list", json!({ "instrument": 1, "name": "BTC-USD", "tick": "1", "lot": "1" })),
        ("instrument/limits", json!({ "instrument": "BTC-USD", "quantity_min": "0" })),
        ("instrument/fees", json!({ "instrument": "77", "maker_basis_points": "0", "taker_basis_points": "0" })),
        ("instrument/protect", json!({ "instrument": "77" })),
        ("instrument/calendar/set", json!({ "instrument": "77", "entry": 1, "at": at })),
        ("instrument/calendar/remove", json!({ "instrument": "77", "entry": 1 })),
        ("instrument/delist", json!({ "instrument": "77" })),
        ("trade/bust", json!({ "instrument": "1", "trade": 9_999 })),
        ("venue/seed", json!({ "seed": "0f".repeat(32) })),
        ("instrument/phase", json!({ "instrument": "77", "phase": "PostOnly" })),
        ("instrument/phase to Halted", json!({ "instrument": "77", "phase": "Halted" })),
        ("instrument/halt", json!({ "instrument": "77" })),
        ("instrument/resume", json!({ "instrument": "77" })),
        ("account/open", json!({ "account": 2 })),
        ("account/modify", json!({ "account": 99 })),
        ("account/limits", json!({ "account": 99 })),
        ("account/deposit", json!({ "account": 99, "asset": "USD", "amount": "1" })),
        ("account/withdraw", json!({ "account": 99, "asset": "USD", "amount": "1" })),
        ("account/adjust", json!({ "account": 99, "asset": "USD", "direction": "Credit", "amount": "1" })),
        ("account/kill", json!({ "account": 99 })),
        ("account/unblock", json!({ "account": 99 })),
        ("order/mass-cancel", json!({ "account": 99 })),
        ("key/add", json!({ "number": 1, "certificate": "0f".repeat(32) })),
        ("key/revoke", json!({ "number": 999 })),
        ("key/revoke of an operator's key", json!({ "number": victim })),
        ("key/allow", json!({ "number": 999, "network": "127.0.0.1" })),
        ("key/allow of an operator's key", json!({ "number": victim, "network": "127.0.0.1" })),
        ("key/grant", json!({ "number": 999, "role": "Trader", "account": 2 })),
        ("key/grant of an operator's role", json!({ "number": 999, "role": "MarketOperator" })),
        ("key/revoke-role", json!({ "number": 999, "role": "ReadOnly" })),
        ("key/revoke-role of an operator's role", json!({ "number": 999, "role": "Administrator" })),
    ]
}

const LISTS: [&str; 7] = ["assets", "instruments", "accounts", "keys", "sessions", "balances", "proposals"];

#[test]
fn every_role_may_do_what_the_handbook_says_and_nothing_else() {
    let venue = Served::start(&[]);
    let (roles, documented) = documented_roles();
    let victim = venue.holder(40, &[("MarketOperator", None)]).number;
    let calls = calls(victim);
    let tried: BTreeSet<_> = calls.iter().map(|(call, _)| (*call).to_owned()).collect();
    let reads = LISTS.map(|list| format!("GET {list}"));
    let rows: BTreeSet<_> = tried.iter().chain(&reads).cloned().collect();
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), rows, "the table has every call");
    let described: BTreeSet<_> = operations(&document(&venue)).into_keys().collect();
    let path = |call: &str| format!("/admin/v1/{}", call.trim_start_matches("GET ").split(' ').next().unwrap());
    // Decisions need a role for what is decided on, and are tried with proposals.
    let decisions = ["proposal/approve", "proposal/reject"].map(str::to_owned);
    let in_table: BTreeSet<_> = rows.iter().chain(&decisions).map(|call| path(call)).collect();
    assert_eq!(described.into_iter().filter(|path| path.starts_with("/admin/")).collect::<BTreeSet<_>>(), in_table);

    // Who may do nothing here, and then the roles of the table; the administrator last, who does revoke the victim.
    let trader = venue.holder(41, &[("Trader", Some(2))]);
    let account_reader = venue.holder(42, &[("ReadOnly", Some(2))]);
    let nobody = venue.holder(43, &[]);
    let revoked = venue.holder(44, &[("Administrator", None), ("ReadOnly", None)]);
    venue.changed(&venue.administrator(), "key/revoke", json!({ "number": revoked.number }));
    let mut holders = vec![("", trader), ("", account_reader), ("", nobody), ("", revoked)];
    for (number, role) in (50..).zip(&roles) {
        holders.push((role.as_str(), venue.holder(number, &[(role.as_str(), None)])));
    }
    holders.sort_by_key(|(role, _)| *role == "Administrator");
    assert_eq!(holders.last().unwrap().0, "Administrator");
    let mut count = 0;
    for (role, holder) in &holders {
        let may = |call: &str| documented[call].contains(*role);
        let refused = if holder.number == 44 { 401 } else { 403 };
        let held = |reply: &Reply, call: &str| {
            assert_eq!(reply.status != refused, may(call), "{role:?}, {call}: {reply:?}");
            assert!(may(call) || reply.status == refused);
        };
        for list in LISTS {
            let query = if list == "balances" { "?account=2" } else { "" };
            held(&venue.get(holder, &format!("/admin/v1/{list}{query}")), &format!("GET {list}"));
            count += 1;
        }
        for (call, change) in &calls {
            let name = call.split(' ').next().unwrap();
            // What the engine alone knows, it refuses alone.
            if !call.ends_with("of an operator's key") {
                held(&venue.change(holder, &format!("{name}?dry-run=true"), change.clone()), call);
            }
            held(&venue.change(holder, name, change.clone()), call);
            count += 1;
        }
    }
    println!("{count} calls by {} holders", holders.len());
    venue.stop();
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let venue = Served::start(&["--four-eyes", "account/withdraw"]);
    let administrator = venue.administrator();
    let before = venue.log().len();
    let deposit = |amount: &str| json!({ "account": 2, "asset": "USD", "amount": amount });
    let reply = venue.change(&administrator, "account/deposit?dry-run=true", deposit("2.5"));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body["dry_run"], true);
    assert_eq!(reply.body["command"], "Deposit");
    assert_eq!(reply.body["fields"]["amount"], "2.5");
    assert_eq!(reply.body["effect"], json!({ "total": "100000000", "total_after": "100000002.5" }));
    assert_eq!(reply.body["needs_approval"], false);
    let reply = venue.change(&administrator, "account/withdraw?dry-run=true", deposit("100000001"));
    assert_eq!((reply.error(), &reply.body["reason"]), ((422, "Refused"), &json!("InsufficientFunds")));
    let reply = venue.change(&administrator, "account/withdraw?dry-run=true", deposit("1"));
    assert_eq!((reply.status, &reply.body["needs_approval"]), (200, &json!(true)));
    // Checks that a change has, a dry run has.
    for (name, change, status) in [
        ("account/deposit?dry-run=true", deposit("-1"), 400),
        ("account/deposit?dry-run=maybe", deposit("1"), 400),
        ("account/deposit?dry-run=true", json!({ "account": 77, "asset": "USD", "amount": "1" }), 422),
        ("instrument/halt?dry-run=true", json!({ "instrument": "NONE" }), 422),
        ("key/revoke?dry-run=true", json!({ "number": 999 }), 422),
    ] {
        assert_eq!(venue.change(&administrator, name, change).status, status, "{name}");
    }
    let killed = venue.change(&administrator, "account/kill?dry-run=true", json!({ "account": 2 }));
    let expected = json!({ "kill_switch": { "from": "Lifted", "to": "Engaged" }, "orders_cancelled": 0 });
    assert_eq!(killed.body["effect"], expected);
    let delisted = venue.change(&administrator, "instrument/delist?dry-run=true", json!({ "instrument": "1" }));
    let expected = json!({ "instrument": "BTC-USD", "orders_cancelled": 0, "accounts_with_orders": 0 });
    assert_eq!(delisted.body["effect"], expected);
    // A name is not used, and may be left out.
    let body = json!({ "reason": "a test", "change": deposit("1") });
    let looked = signed(&administrator, "POST", "/admin/v1/account/deposit?dry-run=true", Some(&body), 0);
    assert_eq!(exchange(venue.address(), &looked).status, 200);
    let name = fresh_name();
    for (path, status) in [("account/deposit?dry-run=true", 200), ("account/deposit", 200), ("account/deposit", 409)] {
        let bytes = signed(&administrator, "POST", &format!("/admin/v1/{path}"), Some(&body), name);
        assert_eq!(exchange(venue.address(), &bytes).status, status, "{path}");
    }
    let output = venue.tool(&["account", "deposit", "2", "--asset", "USD", "--amount", "5", "--dry-run"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["dry_run"], true);
    let looks = venue.log()[before..].iter().filter(|line| line["what"] == "dry-run").count();
    assert_eq!(looks, 10, "what got as far as a look is on record");
    let balances = venue.get(&administrator, "/admin/v1/balances?account=2");
    assert_eq!(balances.body[2]["total"], "100000001");
    assert_eq!(
        venue.stop().1,
        41,
        "the one deposit, and the one that was refused for its name, are all that is journalled"
    );
}

fn decide(venue: &Served, who: &Holder, verb: &str, proposal: &Value) -> Reply {
    venue.ask(who, "POST", &format!("/admin/v1/proposal/{verb}"), Some(&json!({ "proposal": proposal })))
}

#[test]
fn what_needs_four_eyes_waits_for_a_second_key_also_across_a_restart() {
    let mut venue = Served::start(&["--four-eyes", "account/withdraw,key/grant"]);
    // Before anybody needs a second key for it: the first administrator alone has one, so the others come by approval.
    let administrator = venue.administrator();
    let add = |venue: &Served, number: u8| {
        let key = SigningKey::from_bytes(&[number; 32]);
        let public_key: String = key.verifying_key().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        venue.changed(&administrator, "key/add", json!({ "number": number, "public_key": public_key }));
        Holder { number: number.into(), key }
    };
    let [second, accounts, risk] = [20, 21, 22].map(|number| add(&venue, number));
    venue = venue.without_four_eyes(|venue| {
        for (number, role) in [(20, "Administrator"), (21, "AccountOperator"), (22, "RiskOperator")] {
            venue.changed(&administrator, "key/grant", json!({ "number": number, "role": role }));
        }
    });
    let withdraw = json!({ "account": 2, "asset": "USD", "amount": "5" });
    let name = fresh_name();
    let body = json!({ "reason": "a test", "change": withdraw });
    let bytes = || signed(&administrator, "POST", "/admin/v1/account/withdraw", Some(&body), name);
    let proposed = exchange(venue.address(), &bytes());
    assert_eq!(proposed.status, 202, "{proposed:?}");
    let id = proposed.body["id"].clone();
    assert_eq!((&proposed.body["by"], &proposed.body["path"]), (&json!(1), &json!("account/withdraw")));
    assert_eq!((&proposed.body["change"], &proposed.body["reason"]), (&withdraw, &json!("a test")));
    assert!(proposed.body["expires_at"].as_u64().unwrap() > now());
    // Asked again under the same name it is the same proposal.
    assert_eq!(exchange(venue.address(), &bytes()).body, proposed.body);
    let total = |venue: &Served| venue.get(&administrator, "/admin/v1/balances?account=2").body[2]["total"].clone();
    assert_eq!(total(&venue), "100000000");

    // Neither the proposer nor who has not the role.
    assert_eq!(decide(&venue, &administrator, "approve", &id).error(), (403, "OwnProposal"));
    assert_eq!(decide(&venue, &risk, "approve", &id).error(), (403, "NotEntitled"));
    assert_eq!(decide(&venue, &second, "approve", &json!(9_999)).error(), (404, "UnknownProposal"));
    venue = venue.restart();
    assert_eq!(venue.get(&risk, "/admin/v1/proposals").body, json!([proposed.body]));
    let done = decide(&venue, &accounts, "approve", &id);
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!((&done.body["event"], &done.body["author"]), (&json!("BalanceChanged"), &json!(21)));
    assert_eq!(total(&venue), "99999995");
    assert_eq!(decide(&venue, &second, "approve", &id).error(), (409, "ProposalDecided"));

    let rejected = venue.change(&accounts, "account/withdraw", withdraw.clone());
    assert_eq!(decide(&venue, &second, "reject", &rejected.body["id"]).status, 200);
    venue = venue.restart();
    assert_eq!(decide(&venue, &second, "approve", &rejected.body["id"]).error(), (409, "ProposalDecided"));
    assert_eq!(venue.get(&second, "/admin/v1/proposals").body, json!([]));
    assert_eq!(total(&venue), "99999995");
    // Whoever proposed it takes it back alone, and nobody approves of it then.
    let withdrawn = venue.change(&accounts, "account/withdraw", withdraw.clone());
    assert_eq!(decide(&venue, &risk, "reject", &withdrawn.body["id"]).error(), (403, "NotEntitled"));
    let taken_back = decide(&venue, &accounts, "reject", &withdrawn.body["id"]);
    assert_eq!((taken_back.status, &taken_back.body["decision"]), (200, &json!("rejected")));
    assert_eq!(decide(&venue, &second, "approve", &withdrawn.body["id"]).error(), (409, "ProposalDecided"));

    // Who proposed it and may not any more, proposes nothing.
    let stale = venue.change(&accounts, "account/withdraw", withdraw.clone());
    venue.changed(&administrator, "key/revoke", json!({ "number": 21 }));
    assert_eq!(decide(&venue, &second, "approve", &stale.body["id"]).error(), (409, "ProposerNotEntitled"));
    // What the venue refuses is refused when it is approved of.
    let too_much = venue.change(&second, "account/withdraw", json!({ "account": 2, "asset": "USD", "amount": "1e9" }));
    assert_eq!(too_much.status, 400);
    let too_much = json!({ "account": 2, "asset": "USD", "amount": "1000000000" });
    let too_much = venue.change(&second, "account/withdraw", too_much);
    let refused = decide(&venue, &administrator, "approve", &too_much.body["id"]);
    assert_eq!((refused.error(), &refused.body["reason"]), ((422, "Refused"), &json!("InsufficientFunds")));

    let steps: Vec<_> = venue.log().iter().map(|line| line["what"].as_str().unwrap().to_owned()).collect();
    for (step, count) in [("proposed", 5), ("approved", 2), ("rejected", 2)] {
        assert_eq!(steps.iter().filter(|found| *found == step).count(), count, "{step}: {steps:?}");
    }
    let log = venue.log();
    let approved = log.iter().find(|line| line["what"] == "approved").unwrap();
    assert_eq!((&approved["proposer"], &approved["key"], &approved["proposal"]), (&json!(1), &json!(21), &id));
    let answered = log.iter().find(|line| line["of"] == approved["number"]).unwrap();
    assert_eq!((&answered["status"], &answered["outcome"]), (&json!(200), &json!("BalanceChanged")));
    assert_eq!(answered["sequence"], done.body["sequence"]);
    venue.stop();
}

#[test]
fn whoever_names_one_way_to_open_an_instrument_guards_every_way() {
    let venue = Served::start(&["--four-eyes", "instrument/resume"]);
    let administrator = venue.administrator();
    let second = venue.holder(20, &[("MarketOperator", None)]);
    // A halt waits for nobody.
    venue.changed(&administrator, "instrument/halt", json!({ "instrument": "BTC-USD" }));
    let continuous = json!({ "instrument": "BTC-USD", "phase": "Continuous" });
    let entry = json!({ "instrument": "BTC-USD", "entry": 1, "at": "2100-01-01T09:00:00Z", "phase": "Continuous" });
    let looked = venue.change(&administrator, "instrument/phase?dry-run=true", continuous.clone());
    assert_eq!((looked.status, &looked.body["needs_approval"]), (200, &json!(true)), "{looked:?}");
    for (name, change) in [
        ("instrument/calendar/set", entry),
        ("instrument/resume", json!({ "instrument": "BTC-USD" })),
        ("instrument/phase", continuous),
    ] {
        let proposed = venue.change(&administrator, name, change);
        assert_eq!((proposed.status, &proposed.body["path"]), (202, &json!(name)), "{proposed:?}");
    }
    let phase = || venue.get(&administrator, "/admin/v1/instruments").body[0]["phase"].clone();
    assert_eq!(phase(), "Halted");
    let waiting = venue.get(&second, "/admin/v1/proposals").body;
    let approved = decide(&venue, &second, "approve", &waiting[2]["id"]);
    assert_eq!((approved.status, &approved.body["author"]), (200, &json!(20)), "{approved:?}");
    assert_eq!(phase(), "Continuous");
    venue.stop();
}

#[test]
fn what_the_auditor_tries_to_change_has_ten_lines_a_minute() {
    const TRIES: u64 = 50;
    let venue = Served::start(&[]);
    let auditor = venue.holder(20, &[("ReadOnly", None)]);
    let begun = Instant::now();
    for _ in 0..TRIES {
        let refused = venue.change(&auditor, "account/open", json!({ "account": 9 }));
        assert_eq!(refused.error(), (403, "NotEntitled"));
    }
    let took = begun.elapsed();
    assert_eq!(venue.log().iter().filter(|line| line["what"] == "refused").count(), 0);
    let folder = venue.stop().0;
    let text = fs::read_to_string(folder.path().join("access.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let turned_away: Vec<_> = lines.iter().filter(|line| line["what"] == "turned-away").collect();
    assert!(turned_away.len() as u64 <= 10 * (2 + took.as_secs() / 60), "{turned_away:?} in {took:?}");
    assert_eq!((&turned_away[0]["key"], &turned_away[0]["path"]), (&json!(20), &json!("account/open")));
    let counted: u64 = lines
        .iter()
        .filter(|line| line["what"] == "turned-away-more")
        .map(|line| line["count"].as_u64().unwrap())
        .sum();
    assert_eq!(turned_away.len() as u64 + counted, TRIES);
}

impl Served {
    /// Runs the venue without four eyes for a while.
    fn without_four_eyes(mut self, act: impl FnOnce(&Self)) -> Self {
        let options = std::mem::take(&mut self.options);
        let venue = self.restart();
        act(&venue);
        Self { options, ..venue }.restart()
    }
}

#[test]
fn every_step_is_on_record_and_no_line_can_be_changed_unseen() {
    let venue = Served::start(&[]);
    let administrator = venue.administrator();
    let changed = venue.changed(&administrator, "account/open", json!({ "account": 9 }));
    assert_eq!(venue.change(&administrator, "account/open", json!({ "account": 9 })).status, 422);
    assert_eq!(venue.change(&administrator, "account/open", json!({ "account": "x" })).status, 400);
    let stranger = Holder { number: 1, key: SigningKey::from_bytes(&[9; 32]) };
    assert_eq!(venue.get(&stranger, "/admin/v1/keys").status, 401);
    let log = venue.log();
    let said: Vec<_> = log
        .iter()
        .map(|line| (line["what"].as_str().unwrap(), line["status"].as_u64(), line["outcome"].as_str()))
        .collect();
    let expected = [
        ("asked", None, None),
        ("answered", Some(200), Some("AccountOpened")),
        ("asked", None, None),
        ("answered", Some(422), Some("AlreadyExists")),
        ("refused", Some(400), Some("Malformed")),
        ("turned-away", Some(401), Some("NotAuthenticated")),
    ];
    assert_eq!(said, expected);
    assert_eq!((&log[0]["key"], &log[0]["path"]), (&json!(1), &json!("account/open")));
    assert_eq!((&log[0]["reason"], &log[0]["from"]), (&json!("a test"), &json!("127.0.0.1")));
    assert_eq!((&log[1]["of"], &log[1]["sequence"]), (&json!(1), &changed["sequence"]));
    let verify = |data: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["admin", "--json", "--data"]).arg(data).args(["access-log", "verify"]).output().unwrap()
    };
    let output = verify(venue.folder.path());
    assert!(output.status.success(), "{output:?}");
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&verified["lines"], &verified["torn_bytes"]), (&json!(6), &json!(0)));
    let options = venue.options.clone();
    let (folder, _) = venue.stop();
    let file = folder.path().join("access.jsonl");
    let text = fs::read_to_string(&file).unwrap().replacen("account/open", "account/kill", 1);
    fs::write(&file, text).unwrap();
    let output = verify(folder.path());
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("access.jsonl, line 2: it does not follow"), "{output:?}");
    let set_up = |_: &DataFolder| unreachable!("there is a venue");
    let refused = Running::start(&demo::arguments(folder.path(), &options), set_up).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("access.jsonl, line 2"), "{refused}");
}

#[test]
fn elsewhere_than_on_loopback_the_port_speaks_tls_and_the_door_is_open() {
    let venue = Served::start(&["--http", "0.0.0.0:0"]);
    assert!(venue.running.addresses().http_tls);
    let port = venue.address().port();
    // Who speaks no TLS is not answered in HTTP.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    // The tool reads from the folder that it has to, and trusts its certificate alone.
    let output = venue.tool(&["account", "open", "9"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["event"], "AccountOpened");
    let connect = format!("localhost:{port}");
    let certificate = venue.folder.path().join("certificate.pem");
    let shown =
        venue.tool(&["--connect", &connect, "--venue-certificate", certificate.to_str().unwrap(), "show", "accounts"]);
    assert!(shown.status.success(), "{shown:?}");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let wrong = venue.folder.path().join("another.pem");
    fs::write(&wrong, other.cert.pem()).unwrap();
    let refused =
        venue.tool(&["--connect", &connect, "--venue-certificate", wrong.to_str().unwrap(), "show", "accounts"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    venue.stop();
    let folder = tempfile::tempdir().unwrap();
    let options = ["--http", "0.0.0.0:0", "--http-security", "plain-loopback"];
    let refused =
        Running::start(&demo::arguments(folder.path(), &options), venue::demo::commands).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("0.0.0.0:0 is no loopback address; say auto or tls"), "{refused}");
}

#[test]
fn handshakes_that_nobody_goes_on_with_hold_up_nobody_from_elsewhere() {
    let venue = Served::start(&["--http-security", "tls"]);
    let silent: Vec<_> = (0..8).map(|_| connect_from(source(1), venue.address())).collect();
    // One more from there is closed as it comes; those before wait for their time.
    let mut refused = connect_from(source(1), venue.address());
    assert_eq!(refused.read(&mut [0; 8]).unwrap_or(0), 0);
    let certificate = CertificateDer::from_pem_file(venue.folder.path().join("certificate.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, connect_from(source(2), venue.address()));
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n").unwrap();
    let health = reply(&mut stream);
    assert_eq!((health.status, &health.body), (200, &json!("ready\n")));
    assert!(health.head.contains("strict-transport-security: max-age=31536000"), "{}", health.head);
    drop(silent);
    venue.stop();
}

#[test]
fn a_key_with_networks_is_used_from_them_alone() {
    let venue = Served::start(&[]);
    let operator = venue.holder(30, &[("RiskOperator", None)]);
    venue.changed(&venue.administrator(), "key/allow", json!({ "number": 30, "network": "127.1.0.0/16" }));
    assert_eq!(venue.get(&operator, "/admin/v1/keys").error(), (403, "AddressNotAllowed"));
    let mut allowed = connect_from(source(1), venue.address());
    allowed.write_all(&signed(&operator, "GET", "/admin/v1/keys", None, 0)).unwrap();
    assert_eq!(reply(&mut allowed).status, 200);
    let log = venue.log();
    let turned_away: Vec<_> = log.iter().filter(|line| line["what"] == "turned-away").collect();
    assert_eq!(turned_away.len(), 1, "{turned_away:?}");
    assert_eq!((&turned_away[0]["key"], &turned_away[0]["outcome"]), (&json!(30), &json!("AddressNotAllowed")));
    venue.stop();
}

#[test]
fn answers_say_how_they_are_to_be_kept() {
    let venue = Served::start(&[]);
    let health = venue.plain("GET", "/health/live");
    assert!(health.head.contains("x-content-type-options: nosniff"), "{}", health.head);
    assert!(!health.head.contains("strict-transport-security"), "{}", health.head);
    let keys = venue.get(&venue.administrator(), "/admin/v1/keys");
    assert!(keys.head.contains("cache-control: no-store"), "{}", keys.head);
    let unproven = venue.plain("GET", "/admin/v1/keys");
    assert!(unproven.status == 401 && unproven.head.contains("www-authenticate: rialto-signature"), "{unproven:?}");
    let text = signed(&venue.administrator(), "POST", "/admin/v1/account/open", Some(&json!({})), fresh_name());
    let text = String::from_utf8(text).unwrap().replace("application/json", "text/plain");
    assert_eq!(exchange(venue.address(), text.as_bytes()).error(), (415, "UnsupportedMediaType"));
    venue.stop();
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// An address of this machine for each number.
fn source(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x7F01_0000 + number).into()
}

fn connect_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Guesses of one run; `GUESSES=100000` for a long one.
fn guesses() -> u32 {
    std::env::var("GUESSES").map_or(2_000, |count| count.parse().unwrap())
}

#[test]
fn nobody_guesses_a_key_and_who_has_one_is_let_in() {
    const PER_ADDRESS: u32 = 50;
    let venue = Served::start(&[]);
    let wrong = SigningKey::from_bytes(&[9; 32]);
    let before = resident_kib();
    let begun = Instant::now();
    let mut statuses = BTreeMap::<u16, u32>::new();
    for number in 0..guesses() / PER_ADDRESS {
        let mut stream = connect_from(source(number), venue.address());
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        for guess in 0..PER_ADDRESS {
            // Keys that there are, and keys that there are not.
            let holder = Holder { number: 1 + guess % 7, key: wrong.clone() };
            let bytes = signed(&holder, "GET", "/admin/v1/keys", None, 0);
            let kept = String::from_utf8(bytes).unwrap().replace("connection: close\r\n", "");
            stream.write_all(kept.as_bytes()).unwrap();
            *statuses.entry(read_status(&mut answers)).or_default() += 1;
        }
    }
    let (took, after) = (begun.elapsed(), resident_kib());
    println!("{} guesses in {took:?}: {statuses:?}; resident {before} KiB before, {after} KiB after", guesses());
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [401, 429]);
    // Of an address, six are looked at.
    assert_eq!(statuses[&401], guesses() / PER_ADDRESS * 6);
    assert!(after < before + 64 * 1_024, "{before} KiB before, {after} KiB after");
    // From an address that has guessed not even the right key is looked at; from another it is.
    let right = signed(&venue.administrator(), "GET", "/admin/v1/keys", None, 0);
    let mut barred = connect_from(source(guesses() / PER_ADDRESS - 1), venue.address());
    barred.write_all(&right).unwrap();
    let refused = reply(&mut barred);
    assert_eq!(refused.error(), (429, "TooManyGuesses"));
    assert!(refused.head.contains("retry-after: 60"), "{}", refused.head);
    assert_eq!(exchange(venue.address(), &right).status, 200);
    let log = venue.log();
    let lines = log.iter().filter(|line| line["what"] == "turned-away").count() as u64;
    assert!(lines <= 10 * (2 + took.as_secs() / 60), "{lines} lines in {took:?}");
    venue.stop();
}

/// Reads one answer whose length is said; its status.
fn read_status(answers: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    let status = line[9..12].parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        answers.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    answers.read_exact(&mut vec![0; length]).unwrap();
    status
}
