//! The operator's door, as an administrator, a trader and a stranger meet it.

mod common {
    pub(crate) mod demo;
    pub(crate) mod session;
}

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use client::{Client, ConnectError, Incoming, SigningKey};
use engine::{IdempotencyKey, KeyId, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use venue::admin::signature::SignedRequest;
use venue::data_folder::{DataFolder, KeyFile};
use venue::reach::now;
use venue::serve::Running;
use wire::order_entry::{ExecutionReport, NewOrderSingle};
use wire::{Block, ExecType, TerminationCode};

use self::common::demo;
use self::common::session::{self, report};

/// A venue of a test's own.
struct Served {
    running: Running,
    folder: TempDir,
}

impl Served {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        let (running, folder) = demo::start(options);
        Self { running, folder }
    }

    /// Stops it in order and starts it again, on other ports.
    fn restart(self) -> Self {
        let Self { running, folder } = self;
        running.stop().unwrap();
        let set_up = |_: &DataFolder| unreachable!("there is a venue");
        let running = Running::start(&demo::arguments(folder.path(), &[]), set_up).unwrap();
        Self { running, folder }
    }

    fn key_file(&self, name: &str) -> KeyFile {
        KeyFile::read(&self.folder.path().join("keys").join(format!("{name}.json"))).unwrap()
    }

    /// Runs the tool.
    fn tool(&self, arguments: &[&str]) -> Output {
        let address = self.running.addresses().http.to_string();
        let key = self.folder.path().join("keys/administrator.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.current_dir(self.folder.path());
        command.args(["admin", "--connect", &address, "--json", "--reason", "a test", "--key"]).arg(key);
        command.args(arguments).output().unwrap()
    }

    /// Runs the tool, which succeeds; what it says.
    fn admin(&self, arguments: &[&str]) -> Value {
        let output = self.tool(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs the tool, which the venue refuses; the reason.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.tool(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["reason"].as_str().unwrap().to_owned()
    }

    fn connect(&self, key: &KeyFile) -> Client {
        self.try_connect(key).map_err(|error| error.to_string()).unwrap()
    }

    fn try_connect(&self, key: &KeyFile) -> Result<Client, ConnectError> {
        session::open(self.folder.path(), self.running.addresses().order_entry, key)
    }

    /// Stops the venue; its last command.
    fn stop(self) -> u64 {
        self.running.stop().unwrap().engine.last().sequence.0
    }
}

fn signing_key(file: &KeyFile) -> SigningKey {
    file.signing_key(Path::new("a key file")).unwrap()
}

fn order(account: u64, instrument: u64, side: wire::Side, price: i64, quantity: i64) -> NewOrderSingle {
    NewOrderSingle {
        account: wire::AccountId(account),
        security_id: wire::SecurityId(instrument),
        price: Some(wire::Price(price)),
        order_quantity: Some(wire::Quantity(quantity)),
        side,
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

fn sent(client: &mut Client, order: &NewOrderSingle) -> ExecutionReport {
    client.send(order).unwrap();
    report(client)
}

#[test]
fn what_an_administrator_changes_holds_for_traders() {
    let venue = Served::start();
    let added = venue.admin(&["asset", "add", "4", "--name", "EUR", "--decimals", "10"]);
    assert_eq!(
        (&added["event"], &added["author"], &added["command"]["name"]),
        (&json!("AssetAdded"), &json!(1), &json!("EUR"))
    );
    assert_eq!(added["command"]["note"]["reason"], "a test");
    assert_eq!(added["sequence"], 40);
    let listing = ["--name", "BTC-EUR", "--base", "BTC", "--quote", "EUR", "--tick", "0.05", "--lot", "0.00000001"];
    venue.admin(&[&["instrument", "list", "4"], &listing[..]].concat());
    let fees = ["--maker-basis-points", "-0.5", "--taker-basis-points", "2.25"];
    let set = venue.admin(&[&["instrument", "fees", "BTC-EUR"], &fees[..]].concat());
    assert_eq!(set["command"]["rates"], json!({ "maker": -50, "taker": 225 }));
    venue.admin(&["instrument", "limits", "BTC-EUR", "--quantity-max", "2.5", "--price-max", "1000000"]);

    // An account with money, and a key that trades for it.
    venue.admin(&["account", "open", "9"]);
    venue.admin(&["account", "limits", "9", "--open-orders-max", "2", "--price-deviation-basis-points", "1000"]);
    let deposited = venue.admin(&["account", "deposit", "9", "--asset", "EUR", "--amount", "50000.25"]);
    assert_eq!((&deposited["change"], &deposited["available"]), (&json!("50000.25"), &json!("50000.25")));
    let withdrawn = venue.admin(&["account", "withdraw", "9", "--asset", "4", "--amount", "0.25"]);
    assert_eq!((&withdrawn["change"], &withdrawn["available"]), (&json!("-0.25"), &json!("50000")));
    // Into the folder that the operator is in.
    let made = venue.admin(&["key", "new", "9", "--account", "9", "--out", "carol.json"]);
    let file = venue.folder.path().join("carol.json");
    let public_key = made["public_key"].as_str().unwrap();
    venue.admin(&["key", "add", "9", "--public-key", public_key]);
    venue.admin(&["key", "grant", "9", "--role", "trader", "--account", "9"]);

    let mut carol = venue.connect(&KeyFile::read(&file).unwrap());
    let bid = order(9, 4, wire::Side::Buy, 1_000_000, 10_000_000);
    assert_eq!(sent(&mut carol, &bid).exec_type, ExecType::New);
    let too_large = order(9, 4, wire::Side::Buy, 1_000_000, 250_000_001);
    assert_eq!(sent(&mut carol, &too_large).reject_reason.unwrap().name(), Some("QuantityAboveMaximum"));

    let halted = venue.admin(&["instrument", "halt", "BTC-EUR"]);
    assert_eq!((&halted["from"], &halted["to"]), (&json!("Continuous"), &json!("Halted")));
    assert_eq!(sent(&mut carol, &bid).reject_reason.unwrap().name(), Some("PhaseNotAllowed"));
    venue.admin(&["instrument", "resume", "4"]);
    assert_eq!(sent(&mut carol, &bid).exec_type, ExecType::New);
    assert_eq!(sent(&mut carol, &bid).reject_reason.unwrap().name(), Some("AccountOpenOrdersLimit"));
    let phase = venue.admin(&["instrument", "phase", "BTC-EUR", "post-only"]);
    assert_eq!(phase["to"], "PostOnly");

    let killed = venue.admin(&["account", "kill", "9"]);
    assert_eq!(killed["cancelled_count"], 2);
    assert_eq!([report(&mut carol).exec_type, report(&mut carol).exec_type], [ExecType::Cancelled; 2]);
    venue.admin(&["account", "unblock", "9"]);

    let instruments = venue.admin(&["show", "instruments"]);
    let listed = &instruments.as_array().unwrap()[3];
    assert_eq!(
        (&listed["name"], &listed["tick"], &listed["phase"]),
        (&json!("BTC-EUR"), &json!("0.05"), &json!("PostOnly"))
    );
    assert_eq!(listed["limits"]["quantity_max"], "2.5");
    assert_eq!(listed["fees"], json!([{ "tier": 0, "maker_basis_points": "-0.5", "taker_basis_points": "2.25" }]));
    let accounts = venue.admin(&["show", "accounts"]);
    let account = accounts.as_array().unwrap().iter().find(|account| account["account"] == 9).unwrap();
    assert_eq!((&account["open_orders_max"], &account["kill_switch"]), (&json!(2), &json!("Lifted")));
    assert_eq!(account["price_deviation"], "100000 PartsPerMillion");
    let balances = venue.admin(&["show", "balances", "--account", "9"]);
    assert_eq!(balances, json!([{ "account": 9, "asset": "EUR", "total": "50000" }]));
    let keys = venue.admin(&["show", "keys"]);
    let key = keys.as_array().unwrap().iter().find(|key| key["key"] == 9).unwrap();
    assert_eq!((&key["public_key"], &key["roles"]), (&json!(public_key), &json!([{ "role": "Trader", "account": 9 }])));
    let sessions = venue.admin(&["show", "sessions"]);
    assert_eq!((&sessions[0]["session"], &sessions[0]["state"]), (&json!(9), &json!("Established")));
    assert_eq!(venue.admin(&["show", "assets"]).as_array().unwrap().len(), 4);
    venue.stop();
}

#[test]
fn an_administrator_sets_up_a_day_with_auctions() {
    let venue = Served::start();
    let seed = "0f".repeat(32);
    assert_eq!(venue.admin(&["venue", "seed", &seed])["command"]["seed"], seed);
    let bounds = ["--entry-band", "20%", "--collar", "50000ppm", "--market", "500t", "--auction", "none"];
    let calls = ["--collar-action", "volatility-call", "--reference-source", "last-auction"];
    let times = ["--call-duration-seconds", "120", "--call-random-end-seconds", "0.5"];
    let set = venue.admin(&[&["instrument", "protect", "BTC-USD"], &bounds[..], &calls[..], &times[..]].concat());
    assert_eq!(set["command"]["protection"]["market"], json!({ "unit": "Ticks", "value": 500 }));
    assert_eq!(set["command"]["protection"]["call_random_end"], 500_000_000);
    let expected = json!({
        "entry_band": "200000ppm", "collar": "50000ppm", "market": "500t", "auction": "none",
        "collar_action": "VolatilityCall", "reference_source": "LastAuction",
        "call_duration_seconds": "120", "call_random_end_seconds": "0.5",
    });
    assert_eq!(venue.admin(&["show", "instruments"])[0]["protection"], expected);
    // What is left out goes back to its default.
    venue.admin(&["instrument", "protect", "BTC-USD", "--collar", "5t"]);
    let shown = &venue.admin(&["show", "instruments"])[0]["protection"];
    assert_eq!(
        (&shown["collar"], &shown["market"], &shown["entry_band"]),
        (&json!("5t"), &json!("100000ppm"), &json!("none"))
    );

    fn calendar<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
        [&["instrument", "calendar"], arguments].concat()
    }
    let opening = ["set", "BTC-USD", "3", "--at", "2100-01-01T09:00:00Z", "--phase", "continuous"];
    let set = venue.admin(&calendar(&[&opening[..], &["--random-end-seconds", "30"]].concat()));
    assert_eq!(
        (&set["event"], &set["command"]["at"]),
        (&json!("CalendarEntrySet"), &json!(4_102_477_200_000_000_000_u64))
    );
    assert_eq!(
        (&set["command"]["phase"], &set["command"]["random_end"]),
        (&json!("Continuous"), &json!(30_000_000_000_u64))
    );
    let end = ["set", "BTC-USD", "4", "--at", "2100-01-01T19:00:00+01:00", "--repeat-seconds", "86400"];
    let set = venue.admin(&calendar(&end));
    assert_eq!((&set["command"]["action"], &set["command"]["phase"]), (&json!("Rollover"), &json!(null)));
    assert_eq!(set["command"]["at"], 4_102_509_600_000_000_000_u64);
    let shown = json!([
        {
            "entry": 3, "at": "2100-01-01T09:00:00Z", "phase": "Continuous",
            "repeat_seconds": null, "random_end_seconds": "30",
        },
        {
            "entry": 4, "at": "2100-01-01T18:00:00Z", "phase": null,
            "repeat_seconds": "86400", "random_end_seconds": null,
        },
    ]);
    assert_eq!(venue.admin(&["show", "instruments"])[0]["calendar"], shown);
    let past = ["set", "BTC-USD", "5", "--at", "2000-01-01T09:00:00Z"];
    assert_eq!(venue.refused(&calendar(&past)), "CalendarEntryInvalid");
    assert_eq!(venue.admin(&calendar(&["remove", "BTC-USD", "3"]))["event"], "CalendarEntryRemoved");
    assert_eq!(venue.refused(&calendar(&["remove", "BTC-USD", "3"])), "UnknownCalendarEntry");
    assert_eq!(venue.admin(&["show", "instruments"])[0]["calendar"].as_array().unwrap().len(), 1);
    for phase in ["pre-open", "opening-call", "no-cancel", "closing-call", "volatility-call", "continuous"] {
        assert_eq!(venue.admin(&["instrument", "phase", "BTC-USD", phase])["event"], "PhaseChanged");
    }
    venue.stop();
}

#[test]
fn an_administrator_puts_right_what_went_wrong() {
    let venue = Served::start();
    let mut alice = venue.connect(&venue.key_file("alice"));
    let mut bob = venue.connect(&venue.key_file("bob"));
    let (bid, offer) = (order(2, 1, wire::Side::Buy, 6_400_000, 100), order(3, 1, wire::Side::Sell, 6_400_000, 100));
    assert_eq!(sent(&mut alice, &bid).exec_type, ExecType::New);
    assert_eq!(sent(&mut bob, &offer).exec_type, ExecType::New);
    let trade = report(&mut alice);
    let number = trade.trade_id.unwrap().0.to_string();
    let busted = venue.admin(&["trade", "bust", "BTC-USD", &number]);
    assert_eq!((&busted["event"], &busted["price"]), (&json!("TradeBusted"), &json!("64000")));
    assert_eq!(report(&mut alice).exec_type, ExecType::TradeCancel);
    // It stands no more.
    assert_eq!(venue.refused(&["trade", "bust", "BTC-USD", &number]), "UnknownTrade");

    let adjust = |direction, amount| {
        let named = ["account", "adjust", "2", "--asset", "USD", "--direction", direction, "--amount", amount];
        venue.admin(&named)["available"].as_str().unwrap().to_owned()
    };
    assert_eq!([adjust("credit", "2.5"), adjust("debit", "0.5")], ["100000002.5", "100000002"]);

    assert_eq!(sent(&mut alice, &order(2, 3, wire::Side::Buy, 100, 1_000_000)).exec_type, ExecType::New);
    let delisted = venue.admin(&["instrument", "delist", "ETH-BTC"]);
    assert_eq!((&delisted["event"], &delisted["cancelled_count"]), (&json!("InstrumentDelisted"), &json!(1)));
    assert_eq!(report(&mut alice).exec_type, ExecType::Cancelled);
    assert_eq!(venue.admin(&["show", "instruments"]).as_array().unwrap().len(), 2);
    venue.stop();
}

#[test]
fn a_revoked_keys_session_ends_at_once_and_it_opens_no_other() {
    let venue = Served::start();
    let alice = venue.key_file("alice");
    let mut session = venue.connect(&alice);
    assert_eq!(sent(&mut session, &order(2, 1, wire::Side::Buy, 100, 100)).exec_type, ExecType::New);
    venue.admin(&["key", "revoke", &alice.key.to_string()]);
    loop {
        match session.receive().unwrap() {
            Incoming::Ended(code) => {
                assert_eq!(code, TerminationCode::KeyRevoked);
                break;
            }
            Incoming::Message(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(venue.try_connect(&alice), Err(ConnectError::Refused(_))));
    assert_eq!(venue.refused(&["key", "revoke", "2"]), "KeyRevoked");
    assert_eq!(venue.refused(&["key", "grant", "2", "--role", "Trader", "--account", "2"]), "KeyRevoked");
    venue.stop();
}

#[test]
fn a_mass_cancel_takes_what_it_names() {
    let venue = Served::start();
    let mut alice = venue.connect(&venue.key_file("alice"));
    let mut bob = venue.connect(&venue.key_file("bob"));
    for instrument in [1, 2] {
        assert_eq!(sent(&mut alice, &order(2, instrument, wire::Side::Buy, 100, 100)).exec_type, ExecType::New);
        assert_eq!(sent(&mut bob, &order(3, instrument, wire::Side::Buy, 100, 100)).exec_type, ExecType::New);
    }
    let cancel = |filter: &[&str]| {
        let done = venue.admin(&[&["order", "mass-cancel"], filter].concat());
        assert_eq!(done["event"], "MassCancelled");
        done["cancelled_count"].as_u64().unwrap()
    };
    assert_eq!(cancel(&["--side", "sell"]), 0);
    assert_eq!(cancel(&["--account", "2", "--instrument", "BTC-USD"]), 1);
    assert_eq!(cancel(&["--session", "3"]), 2);
    assert_eq!(cancel(&["--everything"]), 1);
    assert_eq!(venue.refused(&["order", "mass-cancel", "--account", "77"]), "UnknownAccount");
    let unbounded = venue.tool(&["order", "mass-cancel"]);
    assert_eq!(unbounded.status.code(), Some(2), "{unbounded:?}");
    venue.stop();
}

#[test]
fn a_dry_run_counts_what_a_change_would_take_and_takes_nothing() {
    let venue = Served::start();
    let mut alice = venue.connect(&venue.key_file("alice"));
    let mut bob = venue.connect(&venue.key_file("bob"));
    for instrument in [1, 1, 2] {
        assert_eq!(sent(&mut alice, &order(2, instrument, wire::Side::Buy, 100, 100)).exec_type, ExecType::New);
    }
    assert_eq!(sent(&mut bob, &order(3, 1, wire::Side::Buy, 99, 100)).exec_type, ExecType::New);
    assert_eq!(sent(&mut bob, &order(3, 1, wire::Side::Sell, 100, 100)).exec_type, ExecType::New);
    let trade = report(&mut alice).trade_id.unwrap().0.to_string();
    let effect = |arguments: &[&str]| venue.admin(&[arguments, &["--dry-run"]].concat())["effect"].clone();
    let look = || {
        // Of alice one in each instrument is left, of bob the one that did not trade.
        assert_eq!(effect(&["account", "kill", "2"])["orders_cancelled"], 2);
        let delisted = json!({ "instrument": "BTC-USD", "orders_cancelled": 2, "accounts_with_orders": 2 });
        assert_eq!(effect(&["instrument", "delist", "BTC-USD"]), delisted);
        assert_eq!(effect(&["order", "mass-cancel", "--everything"]), json!({ "orders_cancelled": 3 }));
        let sided = effect(&["order", "mass-cancel", "--account", "3", "--side", "buy"]);
        assert_eq!(sided, json!({ "orders_cancelled_max": 1 }));
        assert_eq!(effect(&["key", "revoke", "2"])["sessions_ended"], 1);
        let busted = effect(&["trade", "bust", "BTC-USD", &trade]);
        let known = json!({ "price": "1", "quantity": "0.000001", "accounts": [2, 3] });
        assert_eq!(busted, json!({ "trade": known }));
    };
    look();
    // Nothing of that has happened.
    look();
    assert_eq!(venue.admin(&["account", "kill", "2"])["cancelled_count"], 2);
    assert_eq!(venue.admin(&["order", "mass-cancel", "--everything"])["cancelled_count"], 1);
    assert_eq!(effect(&["order", "mass-cancel", "--everything"]), json!({ "orders_cancelled": 0 }));
    venue.stop();
}

/// A request as a stranger may send it.
#[derive(Clone)]
struct Raw {
    method: &'static str,
    path: String,
    signed_path: Option<String>,
    key: String,
    /// How far its time is from that of the sending, in seconds.
    ahead: i64,
    idempotency_key: Option<String>,
    signature: Option<String>,
    body: String,
    signed_body: Option<String>,
}

impl Raw {
    fn post(path: &str, body: &Value) -> Self {
        Self {
            method: "POST",
            path: path.to_owned(),
            signed_path: None,
            key: "1".to_owned(),
            ahead: 0,
            idempotency_key: Some("77".to_owned()),
            signature: None,
            body: body.to_string(),
            signed_body: None,
        }
    }

    fn get(path: &str) -> Self {
        Self { method: "GET", body: String::new(), idempotency_key: None, ..Self::post(path, &json!(null)) }
    }

    fn bytes(&self, signing_key: &SigningKey) -> Vec<u8> {
        let time = now().0.saturating_add_signed(self.ahead.saturating_mul(1_000_000_000));
        let signed = SignedRequest {
            method: self.method,
            path: self.signed_path.as_ref().unwrap_or(&self.path),
            key: KeyId(self.key.parse().unwrap_or(0)),
            time: Timestamp(time),
            idempotency_key: IdempotencyKey(self.idempotency_key.as_ref().map_or(0, |key| key.parse().unwrap_or(0))),
            body: self.signed_body.as_ref().unwrap_or(&self.body).as_bytes(),
        };
        let signature = self.signature.clone().unwrap_or_else(|| signed.sign(signing_key));
        let request = self.idempotency_key.as_ref().map_or(String::new(), |key| format!("rialto-request: {key}\r\n"));
        format!(
            "{} {} HTTP/1.1\r\nhost: venue\r\nconnection: close\r\ncontent-length: {}\r\nrialto-key: {}\r\n\
             rialto-time: {}\r\n{request}rialto-signature: {signature}\r\n\r\n{}",
            self.method,
            self.path,
            self.body.len(),
            self.key,
            time,
            self.body
        )
        .into_bytes()
    }
}

/// Sends bytes; the status and the body of the answer.
fn exchange(venue: &Served, bytes: &[u8]) -> (u16, String) {
    exchange_from([127, 0, 0, 1], venue, bytes)
}

fn exchange_from(from: [u8; 4], venue: &Served, bytes: &[u8]) -> (u16, String) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&venue.running.addresses().http.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    // A server that has answered may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

const DEPOSIT: &str = "/admin/v1/account/deposit";

fn deposit() -> Value {
    json!({ "reason": "a test", "change": { "account": 2, "asset": "USD", "amount": "5" } })
}

fn changed(name: &str, value: Value) -> Value {
    let mut body = deposit();
    body["change"][name] = value;
    body
}

#[test]
fn what_is_not_in_order_gets_a_clear_answer_and_changes_nothing() {
    let venue = Served::start();
    let administrator = signing_key(&venue.key_file("administrator"));
    let alice = signing_key(&venue.key_file("alice"));
    let good = Raw::post(DEPOSIT, &deposit());
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let malformed = |body: &Value| Raw::post(DEPOSIT, body);
    let unsaid = |text: &str| Raw { body: text.to_owned(), ..good.clone() };
    let other = |path: &str, change: Value| Raw::post(path, &json!({ "reason": "a test", "change": change }));
    let cases: Vec<(Raw, &SigningKey, u16, &str)> = vec![
        // Who it is.
        (good.clone(), &stranger, 401, "NotAuthenticated"),
        (Raw { key: "2".into(), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { key: "99".into(), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { key: "0".into(), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { key: "01".into(), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { key: "x".into(), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { signature: Some(String::new()), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { signature: Some("0".repeat(128)), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { ahead: -6, ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { ahead: 60, ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { ahead: i64::MIN, ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (
            Raw { signed_path: Some("/admin/v1/account/withdraw".into()), ..good.clone() },
            &administrator,
            401,
            "NotAuth",
        ),
        (Raw { signed_body: Some("{}".into()), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { idempotency_key: Some("-1".into()), ..good.clone() }, &administrator, 401, "NotAuthenticated"),
        (Raw { key: "2".into(), ..good.clone() }, &alice, 403, "NotEntitled"),
        (Raw { key: "2".into(), ..Raw::get("/admin/v1/keys") }, &alice, 403, "NotEntitled"),
        (Raw::get("/admin/v1/keys"), &stranger, 401, "NotAuthenticated"),
        // What it says.
        (Raw { idempotency_key: None, ..good.clone() }, &administrator, 400, "idempotency key"),
        (Raw { idempotency_key: Some("0".into()), ..good.clone() }, &administrator, 400, "idempotency key"),
        (unsaid(""), &administrator, 400, "EOF"),
        (unsaid("{"), &administrator, 400, "EOF"),
        (unsaid(&format!("{} x", deposit())), &administrator, 400, "trailing"),
        (malformed(&json!({ "change": deposit()["change"] })), &administrator, 400, "missing field `reason`"),
        (malformed(&json!({ "reason": "a test" })), &administrator, 400, "missing field `change`"),
        (malformed(&changed("haste", json!(true))), &administrator, 400, "unknown field `haste`"),
        (malformed(&changed("amount", json!(5))), &administrator, 400, "expected a string"),
        (malformed(&changed("amount", json!("1e9"))), &administrator, 400, "no decimal"),
        (malformed(&changed("amount", json!("-5"))), &administrator, 400, "amount: -5 is negative"),
        (
            malformed(&changed("amount", json!("0.00000000001"))),
            &administrator,
            400,
            "amount: 0.00000000001 has more than 10",
        ),
        (malformed(&changed("account", json!(-2))), &administrator, 400, "invalid value"),
        (malformed(&changed("account", json!(4_294_967_296_u64))), &administrator, 400, "invalid value"),
        (Raw::post(DEPOSIT, &json!({ "reason": "", "change": deposit()["change"] })), &administrator, 400, "reason"),
        (
            Raw::post(
                DEPOSIT,
                &json!({ "reason": "longer than twenty-four characters", "change": deposit()["change"] }),
            ),
            &administrator,
            400,
            "reason: it is not at most 24 characters",
        ),
        (Raw::post(DEPOSIT, &json!({ "reason": "für", "change": deposit()["change"] })), &administrator, 400, "ASCII"),
        (unsaid(&" ".repeat(16_385)), &administrator, 413, "TooLarge"),
        (Raw { path: format!("{DEPOSIT}?now"), ..good.clone() }, &administrator, 400, "no query"),
        (
            other("/admin/v1/instrument/phase", json!({ "instrument": "BTC-USD", "phase": "Open" })),
            &administrator,
            400,
            "none of",
        ),
        (
            other("/admin/v1/instrument/limits", json!({ "instrument": "BTC-USD", "price_max": "0.005" })),
            &administrator,
            400,
            "price_max: 0.005 has more than 2 digits",
        ),
        (other("/admin/v1/key/add", json!({ "number": 9, "public_key": "00" })), &administrator, 400, "public_key"),
        (other("/admin/v1/venue/seed", json!({ "seed": "00" })), &administrator, 400, "seed: it is not 64"),
        (
            other("/admin/v1/instrument/protect", json!({ "instrument": "BTC-USD", "collar": "5" })),
            &administrator,
            400,
            "no distance",
        ),
        (
            other("/admin/v1/instrument/calendar/set", json!({ "instrument": "BTC-USD", "entry": 1, "at": "nine" })),
            &administrator,
            400,
            "no time",
        ),
        (other("/admin/v1/order/mass-cancel", json!({})), &administrator, 400, "everything"),
        (Raw::get("/admin/v1/balances?who=2"), &administrator, 400, "account=NUMBER"),
        (Raw::get("/admin/v1/balances"), &administrator, 400, "account=NUMBER"),
        (Raw::get("/admin/v1/keys?x"), &administrator, 400, "after=NUMBER"),
        (Raw::get("/admin/v1/keys?after=-1"), &administrator, 400, "after=NUMBER"),
        (Raw::get("/admin/v1/balances?account=77"), &administrator, 422, "UnknownAccount"),
        (malformed(&changed("asset", json!("DOGE"))), &administrator, 422, "UnknownAsset"),
        (
            other("/admin/v1/instrument/halt", json!({ "instrument": "DOGE-USD" })),
            &administrator,
            422,
            "UnknownInstrument",
        ),
        (Raw::get("/admin/v1/nothing"), &administrator, 404, ""),
        (Raw { method: "DELETE", ..good.clone() }, &administrator, 405, ""),
    ];
    let count = cases.len();
    // Each from an address of its own: who guesses is locked out where they are.
    for (number, (request, key, status, said)) in (2..).zip(cases) {
        let (found, body) = exchange_from([127, 0, 0, number], &venue, &request.bytes(key));
        assert_eq!(found, status, "{}: {body}", String::from_utf8_lossy(&request.bytes(key)));
        assert!(body.contains(said), "{said}: {body}");
        if status == 401 {
            // Nothing says which part was wrong.
            let text = "key, time or signature are missing or do not hold";
            assert_eq!(body, format!("{{\"error\":\"NotAuthenticated\",\"text\":\"{text}\"}}\n"));
        }
    }
    let (_, metrics) = exchange(&venue, b"GET /metrics HTTP/1.1\r\nhost: venue\r\nconnection: close\r\n\r\n");
    assert!(metrics.contains("rialto_admin_requests_total{status=\"401\"} 15"), "{metrics}");
    // What the engine itself refuses is journalled, and changes nothing either.
    let (status, body) = exchange(&venue, &malformed(&changed("account", json!(77))).bytes(&administrator));
    let refused: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &refused["error"], &refused["reason"]), (422, &json!("Refused"), &json!("UnknownAccount")));
    assert_eq!((&refused["code"], &refused["sequence"]), (&json!(40), &json!(40)));
    assert_eq!(
        venue.refused(&["account", "withdraw", "2", "--asset", "USD", "--amount", "100000001"]),
        "InsufficientFunds"
    );
    let balances = venue.admin(&["show", "balances", "--account", "2"]);
    assert_eq!(balances[2], json!({ "account": 2, "asset": "USD", "total": "100000000" }));
    assert_eq!(venue.stop(), 41, "of {count} requests none but the engine's two are journalled");
}

#[test]
fn a_repeated_request_acts_once() {
    let venue = Served::start();
    let administrator = signing_key(&venue.key_file("administrator"));
    let bytes = Raw::post(DEPOSIT, &deposit()).bytes(&administrator);
    let (status, body) = exchange(&venue, &bytes);
    let done: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &done["available"]), (200, &json!("100000005")));
    let (status, body) = exchange(&venue, &bytes);
    let refused: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &refused["error"], &refused["code"]), (409, &json!("DuplicateRequest"), &json!(1000)));
    // The name is the author's own for any change, and the tool's user may give it.
    let named = ["account", "open", "9", "--idempotency-key", "77"];
    assert_eq!(venue.refused(&named), "DuplicateRequest");
    // The engine does not remember mass cancels; the door does, as long as their time holds.
    let mut alice = venue.connect(&venue.key_file("alice"));
    let everything = json!({ "reason": "a test", "change": { "everything": true } });
    let bytes = Raw { idempotency_key: Some("78".into()), ..Raw::post("/admin/v1/order/mass-cancel", &everything) };
    let bytes = bytes.bytes(&administrator);
    assert_eq!(exchange(&venue, &bytes).0, 200);
    assert_eq!(sent(&mut alice, &order(2, 1, wire::Side::Buy, 100, 100)).exec_type, ExecType::New);
    assert_eq!(exchange(&venue, &bytes).0, 409);
    assert_eq!(venue.admin(&["order", "mass-cancel", "--everything"])["cancelled_count"], 1);
    let balances = venue.admin(&["show", "balances", "--account", "2"]);
    assert_eq!(balances[2]["total"], "100000005");
    venue.stop();
}

#[test]
fn an_administrator_says_where_a_key_may_log_in_from() {
    let mut venue = Served::start();
    let alice = venue.key_file("alice");
    let networks = |venue: &Served| {
        let keys = venue.admin(&["show", "keys"]);
        let key = keys.as_array().unwrap().iter().find(|key| key["key"] == 2).unwrap();
        assert_eq!(key["kind"], "Ed25519");
        key["networks"].clone()
    };
    assert_eq!(networks(&venue), json!([]));
    venue.admin(&["key", "allow", "2", "203.0.113.0/24"]);
    let refused = venue.try_connect(&alice).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(refused, Err("the venue refused the session: AddressNotAllowed".to_owned()));
    venue = venue.restart();
    assert!(venue.try_connect(&alice).is_err());
    venue.admin(&["key", "allow", "2", "127.0.0.1"]);
    venue.connect(&alice);
    assert_eq!(networks(&venue), json!(["127.0.0.1", "203.0.113.0/24"]));
    assert_eq!(venue.refused(&["key", "allow", "99", "10.0.0.0/8"]), "UnknownKey");
    let output = venue.tool(&["key", "allow", "2", "10.0.0.1/8"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("10.0.0.1 has bits behind the first 8"), "{output:?}");
    venue.stop();
}

#[test]
fn an_administrator_without_the_role_is_none() {
    let venue = Served::start();
    venue.admin(&["key", "revoke-role", "1", "--role", "administrator"]);
    assert_eq!(venue.refused(&["show", "keys"]), "NotEntitled");
    assert_eq!(venue.refused(&["account", "open", "9"]), "NotEntitled");
    assert_eq!(venue.stop(), 40);
}

#[test]
fn what_was_changed_is_seen_after_a_restart() {
    let mut venue = Served::start();
    venue.admin(&["account", "deposit", "2", "--asset", "USD", "--amount", "1.5"]);
    venue.admin(&["instrument", "halt", "ETH-BTC"]);
    let lists = ["assets", "instruments", "accounts", "keys", "sessions"];
    let show = |venue: &Served| {
        let balances = venue.admin(&["show", "balances", "--account", "2"]);
        (balances, lists.map(|list| venue.admin(&["show", list])))
    };
    let before = show(&venue);
    venue = venue.restart();
    assert_eq!(show(&venue), before);
    venue.stop();
}

#[test]
fn a_request_from_before_a_restart_is_refused() {
    let venue = Served::start();
    let administrator = signing_key(&venue.key_file("administrator"));
    let bytes = Raw::post(DEPOSIT, &deposit()).bytes(&administrator);
    assert_eq!(exchange(&venue, &bytes).0, 200);
    let venue = venue.restart();
    let (status, body) = exchange(&venue, &bytes);
    // By its name; on a slow machine its time has run out meanwhile.
    assert!([409, 401].contains(&status), "{status}: {body}");
    let balances = venue.admin(&["show", "balances", "--account", "2"]);
    assert_eq!(balances[2]["total"], "100000005");
    venue.stop();
}

#[test]
fn a_peer_that_never_ends_its_request_does_not_hold_up_the_stop() {
    let venue = Served::start();
    let mut peer = TcpStream::connect(venue.running.addresses().http).unwrap();
    peer.write_all(b"POST /admin/v1/account/deposit HTTP/1.1\r\nhost: venue\r\ncontent-length: 100\r\n\r\n{").unwrap();
    venue.stop();
}

#[test]
fn long_lists_come_whole() {
    let venue = Served::start();
    let administrator = signing_key(&venue.key_file("administrator"));
    for number in 0..1_100 {
        let change = json!({ "reason": "a test", "change": { "account": 10 + number } });
        let key = Some((1_000 + number).to_string());
        let request = Raw { idempotency_key: key, ..Raw::post("/admin/v1/account/open", &change) };
        assert_eq!(exchange(&venue, &request.bytes(&administrator)).0, 200);
    }
    let accounts = venue.admin(&["show", "accounts"]);
    let numbers: Vec<_> = accounts.as_array().unwrap().iter().map(|row| row["account"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=5).chain(10..1_110).collect::<Vec<_>>());
    venue.stop();
}

#[test]
fn the_tool_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for (arguments, code, said) in [
        (vec!["admin", "--data", data, "show", "keys"], 5, "no venue runs on"),
        (vec!["admin", "--data", data, "instrument", "halt", "BTC-USD"], 2, "--reason is missing"),
        (vec!["admin", "--data", data, "--connect", "127.0.0.1:9", "show", "keys"], 2, "keys/administrator.json"),
        (vec!["admin", "show", "keys", "--account", "2"], 2, "--account is for balances only"),
        (vec!["admin", "show", "balances"], 2, "--account is missing"),
        (vec!["admin", "instrument", "phase", "BTC-USD", "Open"], 2, "is none of"),
        (vec!["admin", "account", "deposit", "2", "--asset", "USD", "--amount", "much"], 2, "is no decimal"),
        (vec!["admin", "instrument", "protect", "BTC-USD", "--collar", "5"], 2, "is no distance, such as 5t"),
        (vec!["admin", "instrument", "calendar", "set", "BTC-USD", "1", "--at", "nine"], 2, "is no time"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_rialto")).args(&arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(said), "{error}");
    }
}
