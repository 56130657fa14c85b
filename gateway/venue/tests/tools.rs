//! `rialto order`, `watch`, `journal inspect` and the demo market, as a person or a script meets them.

mod common {
    pub(crate) mod http;
    pub(crate) mod killed;
    pub(crate) mod program;
    pub(crate) mod session;
}

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use client::Client;
use client::market_data::{Content, Patience, Received, Recorder, Records};
use serde_json::{Value, json};
use tempfile::TempDir;
use venue::data_folder::KeyFile;
use wire::market_data::{BookChecksum, PacketHeader};
use wire::message::Message;
use wire::order_entry::NewOrderSingle;
use wire::{Block, ExecType};

use self::common::killed::Killed;
use self::common::session::report;
use self::common::{http, program, session};

/// No wait of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process whose lines can be waited for; killed when it is dropped.
struct Running {
    process: Killed,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut process = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The first update that `wanted` takes.
    fn update(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let update = serde_json::from_str(&self.line()).unwrap();
            if wanted(&update) {
                return update;
            }
        }
    }

    fn terminate(mut self) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

fn rialto(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(arguments);
    command
}

/// A venue of a test's own, on free ports.
struct Venue {
    running: Running,
    ready: Value,
}

impl Venue {
    fn start(data: &Path, options: &[&str]) -> Self {
        let mut command = program::serve(data);
        command.args(options);
        let running = Running::start(command);
        let ready = loop {
            if let Some(ready) = running.line().strip_prefix("READY ") {
                break serde_json::from_str(ready).unwrap();
            }
        };
        Self { running, ready }
    }

    fn door(&self, door: &str) -> &str {
        self.ready[door].as_str().unwrap()
    }

    fn trade_count(&self) -> u64 {
        let (_, text) = http::get(self.door("http"), "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix("rialto_trades_total "));
        line.unwrap().parse().unwrap()
    }
}

/// `rialto order` against the venue of a folder.
fn order(data: &TempDir, account: &str, arguments: &str) -> Output {
    let mut command = rialto(&["order"]);
    command.args(arguments.split_whitespace()).args(["--account", account, "--data"]).arg(data.path());
    command.output().unwrap()
}

/// The answer with `--json`, and the exit code.
fn answer(data: &TempDir, account: &str, arguments: &str) -> (Value, Option<i32>) {
    let output = order(data, account, &format!("{arguments} --json"));
    let said = String::from_utf8(output.stdout).unwrap();
    let last = said.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (serde_json::from_str(last).unwrap(), output.status.code())
}

fn watch(data: &TempDir, instrument: &str, options: &[&str]) -> Running {
    let mut command = rialto(&["watch", instrument, "--json", "--data"]);
    command.arg(data.path()).args(options);
    Running::start(command)
}

/// What the program says on standard error, and its exit code.
fn failure(command: &mut Command) -> (String, Option<i32>) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

#[test]
fn orders_are_answered_and_seen() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    let watching = watch(&data, "btc-usd", &["--depth", "1"]);
    watching.update(|update| update["update"] == "book");

    let rest = "new --instrument BTC-USD --side buy --price 101.25 --quantity 0.5 --client-order-id 7";
    let (said, code) = answer(&data, "alice", rest);
    let id = said["order_id"].as_u64().unwrap();
    assert_eq!(
        said,
        json!({
            "outcome": "accepted", "status": "New", "order_id": id, "client_order_id": 7, "instrument": "BTC-USD",
            "side": "buy", "price": "101.25", "quantity": "0.5", "cumulative": "0", "leaves": "0.5", "fills": [],
        })
    );
    assert_eq!(code, Some(0));
    let seen = watching.update(|update| update["bids"][0]["price"] == "101.25");
    assert_eq!(seen["bids"], json!([{ "price": "101.25", "quantity": "0.5", "orders": 1 }]));

    let take = "new --instrument BTC-USD --side sell --price 100 --quantity 0.2";
    let (said, code) = answer(&data, "bob", take);
    let [fill] = said["fills"].as_array().unwrap().as_slice() else { panic!("{said}") };
    assert_eq!((&fill["price"], &fill["quantity"]), (&json!("101.25"), &json!("0.2")));
    // A taker pays ten basis points of 20.25 USD, of which 10^10 are one.
    assert_eq!((&fill["fee"], &fill["fee_asset"]), (&json!("202500000"), &json!(3)));
    assert_eq!((&fill["fee_decimal"], &fill["fee_asset_name"]), (&json!("0.02025"), &json!("USD")));
    assert_eq!((&said["status"], &said["cumulative"], code), (&json!("Filled"), &json!("0.2"), Some(0)));
    let seen = watching.update(|update| update["update"] == "trade");
    let trade = ["price", "quantity", "aggressor"].map(|field| &seen[field]);
    assert_eq!(trade, [&json!("101.25"), &json!("0.2"), &json!("sell")]);
    assert!(seen["latency_ns"].is_u64() && seen["time"].is_u64() && seen["sent"].is_u64(), "{seen}");

    let (said, code) = answer(&data, "alice", "amend --instrument BTC-USD --original 7 --price 102 --quantity 0.6");
    let amended = ["outcome", "status", "price", "quantity", "leaves"].map(|field| said[field].as_str().unwrap());
    assert_eq!((amended, code), (["accepted", "PartiallyFilled", "102.00", "0.6", "0.4"], Some(0)));
    let (said, code) = answer(&data, "alice", &format!("cancel --order-id {id}"));
    let cancelled = ["outcome", "status", "cancel_reason", "text"].map(|field| said[field].as_str().unwrap());
    assert_eq!((cancelled, code), (["accepted", "Cancelled", "Requested", "its owner asked"], Some(0)));
    venue.running.terminate();
}

#[test]
fn open_orders_and_balances_are_shown() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    let nothing = json!({ "outcome": "found", "count": 0, "found": [] });
    assert_eq!(answer(&data, "alice", "list"), (nothing, Some(0)));
    let bid = "new --instrument BTC-USD --side buy --price 101.25 --quantity 0.5 --client-order-id 7";
    let id = answer(&data, "alice", bid).0["order_id"].as_u64().unwrap();
    answer(&data, "alice", "new --instrument ETH-BTC --side sell --price 0.05 --quantity 2 --client-order-id 8");
    let words = order(&data, "bob", "new --instrument BTC-USD --side sell --price 101.25 --quantity 0.2").stdout;
    let words = String::from_utf8(words).unwrap();
    assert!(words.contains("traded    0.2 at 101.25, fee 0.02025 USD: filled\n"), "{words}");

    let (mut said, code) = answer(&data, "alice", "status --original 7");
    assert!(said.as_object_mut().unwrap().remove("journal_sequence").unwrap().is_u64());
    assert_eq!(
        said,
        json!({
            "outcome": "found", "status": "PartiallyFilled", "order_id": id, "client_order_id": 7, "instrument": "BTC-USD",
            "side": "buy", "type": "Limit", "tif": "GoodTillCancel", "price": "101.25", "quantity": "0.5", "leaves": "0.3",
            "cumulative": "0.2", "prevented": "0",
        })
    );
    assert_eq!(code, Some(0));
    let words = String::from_utf8(order(&data, "alice", &format!("status --order-id {id}")).stdout).unwrap();
    let expected = ", yours 7: buy 0.5 BTC-USD at 101.25, good till cancel, 0.3 open, 0.2 traded\n";
    assert_eq!(words, format!("order {id}{expected}"));
    let (said, code) = answer(&data, "alice", "status --original 9");
    assert_eq!((&said["outcome"], &said["reason"], code), (&json!("refused"), &json!("UnknownOrder"), Some(1)));

    let names = |arguments: &str| {
        let said = answer(&data, "alice", arguments).0;
        said["found"]
            .as_array()
            .unwrap()
            .iter()
            .map(|order| order["client_order_id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!((names("list"), names("list --instrument ETH-BTC")), (vec![7, 8], vec![8]));

    // Of 20,000 ETH two are offered, in units of 10^-8; what was bought is 0.2 BTC of 10^13. The rest of the bid holds
    // 30.375 USD, of which 10^10 are one, and what fees may take: no more than ten basis points of the whole bid.
    let balances = answer(&data, "alice", "balance").0;
    let of = |asset: usize| ["asset", "available", "held"].map(|field| balances["found"][asset][field].clone());
    assert_eq!(of(0), [json!(1), json!("10002000000000000"), json!("0")]);
    assert_eq!(of(1), [json!(2), json!("1999800000000"), json!("200000000")]);
    let shown = |asset: usize| {
        ["asset_name", "available_decimal", "held_decimal"].map(|field| balances["found"][asset][field].clone())
    };
    assert_eq!(shown(0), ["BTC", "1000.2", "0"]);
    assert_eq!(shown(1), ["ETH", "19998", "2"]);
    let held: u64 = of(2)[2].as_str().unwrap().parse().unwrap();
    assert!((303_750_000_000..304_260_000_000).contains(&held), "{balances}");
    let words = String::from_utf8(order(&data, "alice", "balance").stdout).unwrap();
    let [bitcoin, ether, dollar] = words.lines().collect::<Vec<_>>()[..] else { panic!("{words}") };
    assert_eq!([bitcoin, ether], ["BTC: 1000.2 available, 0 held", "ETH: 19998 available, 2 held"]);
    assert!(dollar.starts_with("USD: 99999") && dollar.contains(" held"), "{dollar}");
    venue.running.terminate();
}

/// A session of a demo account, which stays open.
fn connect(data: &TempDir, venue: &Venue, name: &str) -> Client {
    let key = KeyFile::read(&data.path().join("keys").join(format!("{name}.json"))).unwrap();
    session::open(data.path(), venue.door("order_entry").parse().unwrap(), &key).unwrap()
}

fn limit(account: u64, side: wire::Side, price: i64, quantity: i64) -> NewOrderSingle {
    NewOrderSingle {
        account: wire::AccountId(account),
        security_id: wire::SecurityId(1),
        price: Some(wire::Price(price)),
        order_quantity: Some(wire::Quantity(quantity)),
        side,
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

#[test]
fn an_auction_is_reported_to_both_sides_and_seen() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    let enter = |phase: &str| {
        let mut command = rialto(&["admin", "instrument", "phase", "BTC-USD", phase, "--reason", "a test", "--data"]);
        assert_eq!(command.arg(data.path()).output().unwrap().status.code(), Some(0), "{phase}");
    };
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| connect(&data, &venue, name));
    let watching = watch(&data, "BTC-USD", &[]);
    watching.update(|update| update["update"] == "book");
    enter("opening-call");

    // At 64000 and at 64001 sixty trade and forty more are bid: the higher one.
    alice.send(&limit(2, wire::Side::Buy, 6_400_100, 100_000_000)).unwrap();
    bob.send(&limit(3, wire::Side::Sell, 6_400_000, 60_000_000)).unwrap();
    let opening = NewOrderSingle {
        time_in_force: wire::TimeInForce::AtTheOpening,
        ..limit(3, wire::Side::Sell, 6_400_200, 10_000_000)
    };
    bob.send(&opening).unwrap();
    assert_eq!([report(&mut alice).exec_type, report(&mut bob).exec_type], [ExecType::New; 2]);
    assert_eq!(report(&mut bob).exec_type, ExecType::New);
    let outcome = |update: &Value| ["price", "volume", "surplus", "surplus_side"].map(|field| update[field].clone());
    let expected = [json!("64001.00"), json!("0.6"), json!("0.4"), json!("buy")];
    assert_eq!(outcome(&watching.update(|update| update["update"] == "indicative")), expected);
    // Who comes now is told with the book.
    let late = watch(&data, "BTC-USD", &[]);
    let seen = late.update(|update| update["update"] == "indicative" || update["update"] == "levels");
    assert_eq!(outcome(&seen), expected);

    enter("continuous");
    let (bought, sold) = (report(&mut alice), report(&mut bob));
    for report in [&bought, &sold] {
        assert_eq!((report.exec_type, report.aggressor), (ExecType::Trade, None));
        let last = (report.last_price, report.last_quantity);
        assert_eq!(last, (Some(wire::Price(6_400_100)), Some(wire::Quantity(60_000_000))));
    }
    assert_eq!((bought.leaves_quantity, sold.leaves_quantity), (wire::Quantity(40_000_000), wire::Quantity(0)));
    let ended = report(&mut bob);
    assert_eq!((ended.exec_type, ended.order_status), (ExecType::Expired, Some(wire::OrderStatus::Expired)));
    assert_eq!(ended.cancel_reason.and_then(|reason| reason.name()), Some("OpeningRemainder"));
    for feed in [&watching, &late] {
        let result = feed.update(|update| update["update"] == "auction");
        assert_eq!((outcome(&result), &result["phase"]), (expected.clone(), &json!("OpeningCall")));
        let trade = feed.update(|update| update["update"] == "trade");
        assert_eq!(
            ["price", "quantity", "aggressor"].map(|field| &trade[field]),
            [&json!("64001.00"), &json!("0.6"), &Value::Null]
        );
        assert_eq!(feed.update(|update| update["update"] == "phase")["phase"], "Continuous");
    }
    venue.running.terminate();
}

#[test]
fn people_are_told_what_happened_in_words() {
    let data = tempfile::tempdir().unwrap();
    let _venue = Venue::start(data.path(), &[]);
    let told = |account: &str, arguments: &str| {
        let output = order(&data, account, arguments);
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (said, code) = told("alice", "new --instrument ETH-BTC --side sell --price 0.05 --quantity 2 --post-only");
    assert!(said.starts_with("accepted  order ") && said.contains("sell 2 ETH-BTC at 0.05000, good till cancel"));
    assert_eq!(code, Some(0));
    let (said, code) = told("bob", "new --instrument ETH-BTC --side buy --type market --quantity 3");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[1].starts_with("traded    2 at 0.05000, fee "), "{said}");
    assert_eq!(lines[2], "cancelled 1, MarketRemainder: the rest of a market order: the book was empty");
    assert_eq!((lines.len(), code), (3, Some(0)));
    for (arguments, expected) in [
        (
            "new --instrument BTC-USD --side buy --price 0 --quantity 1",
            "PriceNotPositive: the price is zero or negative",
        ),
        ("cancel --original 99", "UnknownOrder: the account has no such open order"),
        (
            "new --instrument BTC-USD --side buy --price 64000 --quantity 1000000",
            "InsufficientFunds: the account's available balance does not cover it",
        ),
        (
            "new --instrument BTC-USD --side buy --price 64000 --quantity 1 --tif fok",
            "CannotFill: the book cannot fill what the order insists on at once",
        ),
    ] {
        assert_eq!(told("alice", arguments), (format!("refused   {expected}\n"), Some(1)), "{arguments}");
    }
    for price in [10, 20, 30] {
        told("alice", &format!("new --instrument ETH-USD --side buy --price {price} --quantity 1"));
    }
    let (said, code) = answer(&data, "alice", "mass-cancel --instrument ETH-USD --side sell");
    assert_eq!((&said["affected_orders"], code), (&json!(0), Some(0)));
    let (said, code) = answer(&data, "alice", "mass-cancel");
    assert_eq!((&said["affected_orders"], code), (&json!(3), Some(0)));
    let (said, code) = told("alice", "kill --reason enough");
    assert_eq!((said.as_str(), code), ("blocked   account 2, cancelled 0 orders\n", Some(0)));
    let (said, _) = told("alice", "new --instrument ETH-USD --side buy --price 10 --quantity 1");
    assert_eq!(said, "refused   AccountBlocked: the account's kill switch is engaged\n");
}

#[test]
fn what_cannot_be_followed_is_named() {
    let nowhere = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let _venue = Venue::start(data.path(), &[]);
    let new = "new --instrument BTC-USD --side buy --quantity 1";
    for (folder, account, arguments, expected, code) in [
        (&nowhere, "alice", new, "no venue runs on", 5),
        (&data, "carol", new, "--account carol: there is no key", 2),
        (&data, "alice", "new --instrument X --side buy --quantity 1", "--instrument X: the venue has BTC-USD", 2),
        (&data, "alice", &format!("{new} --price 1.005"), "--price: 1.005 is finer than 0.01", 2),
        (&data, "alice", &format!("{new} --price 99999999999999999999"), "is more than can be said", 2),
        (&data, "alice", &format!("{new} --price cheap"), "--price", 2),
        (&data, "alice", "amend --instrument BTC-USD --original 7", "nothing to change", 2),
        (&data, "alice", "amend --instrument BTC-USD --price 7", "--order-id", 2),
        (&data, "alice", "cancel --original 7 --order-id 8", "cannot be used with", 2),
        (&data, "alice", "cancel --original 7 --connect 127.0.0.1:1", "--certificate", 2),
    ] {
        let output = order(folder, account, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{arguments}: {said}");
        assert_eq!(output.status.code(), Some(code), "{arguments}");
    }
    let folder = data.path().to_str().unwrap();
    let (said, code) = failure(&mut rialto(&["watch", "BTC-USD", "--data", folder]));
    assert!(said.contains("a screen needs a terminal") && code == Some(2), "{said}");
    let (said, code) = failure(&mut rialto(&["watch", "X", "--json", "--data", folder]));
    let known = "there is no instrument X: the venue has BTC-USD, ETH-BTC, ETH-USD";
    assert!(said.contains(known) && code == Some(2), "{said}");
    let (said, code) = failure(&mut rialto(&["watch", "9", "--json", "--data", folder]));
    assert!(said.contains("UnknownInstrument") && code == Some(2), "{said}");
    let (said, code) = failure(&mut rialto(&["watch", "1", "--json", "--data", folder, "--account", "carol"]));
    assert!(said.contains("--account carol: there is no key") && code == Some(2), "{said}");
    let (said, code) = failure(&mut rialto(&["watch", "1", "--json", "--account", "alice", "--key", "alice.json"]));
    assert!(said.contains("cannot be used with") && code == Some(2), "{said}");
    let (said, code) = failure(rialto(&["watch", "X", "--json", "--data"]).arg(nowhere.path()));
    assert!(said.contains("no venue runs on") && code == Some(5), "{said}");
}

#[test]
fn a_venue_is_reached_by_address_key_and_certificate() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    let file = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("certificate.pem"), file("keys/alice.json"));
    let (order_entry, market_data) = (venue.door("order_entry"), venue.door("market_data"));
    let new = ["order", "new", "--instrument", "1", "--side", "buy", "--price", "5", "--quantity", "1", "--json"];
    let place = |address| ["--connect", address, "--certificate", &certificate];
    let output = rialto(&new).args(place(order_entry)).args(["--key", &key]).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["outcome"], &said["leaves"]), (&json!("accepted"), &json!("1")));

    let output = rialto(&["watch", "1", "--json", "--count", "2"]).args(place(market_data)).output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["update"].as_str(), lines[1]["update"].as_str()), (Some("definition"), Some("book")));
    assert_eq!(lines[1]["bids"], json!([{ "price": "5.00", "quantity": "1", "orders": 1 }]));
    assert_eq!((lines.len(), output.status.code()), (2, Some(0)));

    // Another account than the key's is the venue's to refuse; another certificate than the venue's is ours.
    let output = rialto(&new).args(place(order_entry)).args(["--key", &key, "--account", "3"]).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["reason"], output.status.code()), (&json!("NotEntitled"), Some(1)));
    let foreign = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, foreign.cert.pem()).unwrap();
    let (said, code) = failure(rialto(&new).args(place(order_entry)).args(["--key", &key]));
    assert!(said.contains("no session with the venue at") && code == Some(5), "{said}");
}

#[test]
fn a_watcher_waits_for_a_venue_that_went_away() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    let watching = watch(&data, "BTC-USD", &[]);
    watching.update(|update| update["update"] == "book");
    venue.running.terminate();
    let lost = watching.update(|update| update["update"] == "lost");
    assert!(lost["reason"].as_str().unwrap().contains("the venue stops"), "{lost}");
    // On another port than before.
    let _venue = Venue::start(data.path(), &[]);
    watching.update(|update| update["update"] == "book");
}

#[test]
fn a_demo_venue_trades_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &["--demo"]);
    let deadline = Instant::now() + PATIENCE;
    while venue.trade_count() == 0 {
        assert!(Instant::now() < deadline, "nothing traded");
        std::thread::yield_now();
    }
    for instrument in ["BTC-USD", "ETH-USD", "ETH-BTC"] {
        let full = |update: &Value| {
            ["bids", "offers"].iter().all(|side| update[side].as_array().is_some_and(|it| it.len() > 2))
        };
        watch(&data, instrument, &[]).update(full);
    }
    // Killed in the middle, it begins anew; stopped in order, it cancels what it has.
    drop(venue);
    let venue = Venue::start(data.path(), &["--demo"]);
    watch(&data, "BTC-USD", &[]).update(|update| update["update"] == "trade");
    venue.running.terminate();
    let _venue = Venue::start(data.path(), &[]);
    for instrument in ["BTC-USD", "ETH-USD", "ETH-BTC"] {
        let book = watch(&data, instrument, &[]).update(|update| update["update"] == "book");
        assert_eq!((&book["bids"], &book["offers"]), (&json!([]), &json!([])), "{instrument}");
    }
}

#[test]
fn a_journal_is_listed_and_its_commands_are_shown() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    let rest = "new --instrument BTC-USD --side buy --price 101.25 --quantity 0.5 --client-order-id 7";
    answer(&data, "alice", rest);
    venue.running.terminate();
    let inspect = |options: &[&str]| {
        let output = rialto(&["journal", "inspect"]).arg(data.path()).args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = inspect(&["--json", "--count", "1000000"]);
    let objects: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (found, commands) = objects.split_last().unwrap();
    assert_eq!((&found["first"], &found["sealed"], &found["cut"]), (&json!(1), &json!(true), &json!(false)));
    assert_eq!(found["last"], json!(commands.len()));
    let [segment] = found["segments"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert!(segment["file"].as_str().unwrap().ends_with("journal/00000001.seg"), "{segment}");
    assert_eq!((&segment["commands"], &segment["sealed"]), (&found["last"], &json!(true)));
    let file = Path::new(segment["file"].as_str().unwrap());
    assert_eq!(segment["bytes"], json!(file.metadata().unwrap().len()));
    for (command, sequence) in commands.iter().zip(1..) {
        assert_eq!(command["sequence"], json!(sequence));
    }
    let order = commands.iter().find(|command| command["command"] == "NewOrder").unwrap();
    for (field, expected) in [
        ("author", json!(2)),
        ("session", json!(2)),
        ("client_sequence", json!(1)),
        ("account", json!(2)),
        ("client_order_id", json!(7)),
        ("side", json!("Buy")),
        ("price", json!(10_125)),
        ("quantity", json!(50_000_000)),
        ("stop_price", Value::Null),
        ("funds", Value::Null),
    ] {
        assert_eq!(order[field], expected, "{field}");
    }
    let listing = commands.iter().find(|command| command["command"] == "ListInstrument").unwrap();
    assert_eq!((&listing["name"], &listing["note"]["reason"]), (&json!("BTC-USD"), &json!("first start")));

    let sequence = order["sequence"].to_string();
    let said = inspect(&["--from", &sequence, "--count", "1"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("segment") && lines[1].starts_with("00000001.seg") && lines[1].ends_with("sealed"));
    assert!(lines[2].contains("NewOrder author=2 ") && lines[2].contains(" price=10125 "), "{said}");
    assert_eq!((lines.len(), inspect(&[]).lines().count()), (3, 2));

    let nowhere = tempfile::tempdir().unwrap();
    let (said, code) = failure(rialto(&["journal", "inspect"]).arg(nowhere.path()));
    assert!(said.contains("no journal") && code == Some(2), "{said}");
}

/// `rialto record` at the venue of a folder.
fn record(data: &TempDir, file: &Path, options: &[&str]) -> Command {
    let mut command = rialto(&["record", "--data"]);
    command.arg(data.path()).arg("--out").arg(file).args(options);
    command
}

/// The lines of `rialto play --json`, and the exit code.
fn played(file: &Path) -> (Vec<Value>, Option<i32>) {
    let output = rialto(&["play", "--json"]).arg(file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (said.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), output.status.code())
}

/// Waits until a recording that is being made has an update that `wanted` takes.
fn wait_for_recorded(file: &Path, wanted: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !(file.exists() && played(file).0.iter().any(&wanted)) {
        assert!(Instant::now() < deadline, "it is not recorded");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_recorded_is_played() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    let file = data.path().join("feed.rec");
    let options = ["--instrument", "btc-usd", "--instrument", "1", "--level", "mbo", "--level", "reference", "--json"];
    let recording = Running::start(record(&data, &file, &options));
    for level in ["mbo", "reference"] {
        wait_for_recorded(&file, |line| line["update"] == "book" && line["level"] == level);
    }
    answer(&data, "alice", "new --instrument BTC-USD --side buy --price 101.25 --quantity 0.5");
    answer(&data, "alice", "new --instrument ETH-USD --side buy --price 10 --quantity 1");
    answer(&data, "bob", "new --instrument BTC-USD --side sell --price 100 --quantity 0.2");
    answer(&data, "bob", "new --instrument BTC-USD --side sell --price 102 --quantity 1");
    wait_for_recorded(&file, |line| line["offers"][0]["price"] == "102.00");
    wait_for_recorded(&file, |line| line["update"] == "statistics" && line["trades"] == 1);
    let process = recording.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let recorded: Value = serde_json::from_str(&recording.line()).unwrap();
    assert_eq!(recorded["snapshots"], json!(2));

    let (lines, code) = played(&file);
    let (end, updates) = lines.split_last().unwrap();
    assert_eq!((&end["update"], code), (&json!("end"), Some(0)));
    for count in ["packets", "messages", "snapshots", "controls", "bytes", "proven", "gaps", "first", "last"] {
        assert_eq!(end[count], recorded[count], "{count}");
    }
    for (count, expected) in [("differing", json!(0)), ("trades", json!(1)), ("torn", Value::Null)] {
        assert_eq!(end[count], expected, "{count}");
    }
    assert_eq!(end["updates"], json!(updates.len()));
    let closing = json!([{
        "instrument": "BTC-USD", "bid": "101.25", "bid_quantity": "0.3", "offer": "102.00", "offer_quantity": "1",
        "last": "101.25", "trades": 1,
    }]);
    assert_eq!(end["instruments"], closing);
    let trade = updates.iter().find(|line| line["update"] == "trade").unwrap();
    let said = ["instrument", "level", "price", "quantity", "aggressor"].map(|field| trade[field].clone());
    assert_eq!(said, ["BTC-USD", "mbo", "101.25", "0.2", "sell"].map(Value::from));
    let [time, sent, received] = ["time", "sent", "received"].map(|field| trade[field].as_u64().unwrap());
    assert_eq!(trade["latency_ns"], json!(received - time));
    assert!(sent >= time, "{trade}");
    let new = updates.iter().find(|line| line["update"] == "orders").unwrap();
    let change = ["action", "side", "price", "quantity"].map(|field| new["changes"][0][field].clone());
    assert_eq!(change, ["new", "buy", "101.25", "0.5"].map(Value::from));
    assert_eq!(new["bids"][0]["queue"], json!(["0.5"]));

    let output = rialto(&["play", "--speed", "100"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "BTC-USD             bid 101.25 × 0.3, offer 102.00 × 1, last 101.25, trades 1\n";
    assert!(said.ends_with(expected) && said.contains("\ndiffering           0\n"), "{said}");
    assert!(said.contains("\nfirst               20") && output.status.code() == Some(0), "{said}");

    // Again, into the same file.
    let (said, code) = failure(&mut record(&data, &file, &["--count", "1"]));
    assert!(said.contains("it is there already") && code == Some(2), "{said}");
    venue.running.terminate();
}

#[test]
fn a_recording_ends_with_its_count_its_time_or_its_venue() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &["--demo"]);
    let file = |name: &str| data.path().join(name);
    for (name, mode) in [("live", "live"), ("conflated", "conflated"), ("datagrams", "datagrams")] {
        let output = record(&data, &file(name), &["--count", "5", "--mode", mode, "--json"]).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(said["messages"].as_u64().unwrap() >= 5 && output.status.code() == Some(0), "{said}");
        assert_eq!((&said["snapshots"], &said["differing"]), (&json!(3), &json!(0)));
        let end = played(&file(name)).0.pop().unwrap();
        assert_eq!((&end["messages"], &end["conflated"]), (&said["messages"], &said["conflated"]));
        assert_eq!(end["instruments"].as_array().unwrap().len(), 3);
    }
    let output = record(&data, &file("seconds"), &["--seconds", "1"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("\nsnapshots           3\n") && output.status.code() == Some(0), "{said}");

    let recording = Running::start(record(&data, &file("venue"), &["--json"]));
    wait_for_recorded(&file("venue"), |line| line["update"] == "book");
    venue.running.terminate();
    let said: Value = serde_json::from_str(&recording.line()).unwrap();
    let reason = said["reason"].as_str().unwrap();
    assert!(reason.contains("the venue stops") && reason.contains(" messages up to there"), "{said}");
    assert_eq!(played(&file("venue")).1, Some(0));
}

#[test]
fn a_recording_that_proves_nothing_or_is_none_is_named() {
    let data = tempfile::tempdir().unwrap();
    let _venue = Venue::start(data.path(), &[]);
    let file = data.path().join("feed.rec");
    let options = ["--instrument", "1", "--seconds", "1", "--json"];
    let output = record(&data, &file, &options).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    // A packet with a checksum that is not its book's.
    let differs = data.path().join("differs.rec");
    let records: Vec<_> = Records::new(std::fs::File::open(&file).unwrap()).unwrap().map(Result::unwrap).collect();
    let mut recorder = Recorder::create(&differs, Patience::default()).unwrap();
    records.iter().for_each(|received| recorder.write(received).unwrap());
    let last_sequence = wire::FeedSequence(played(&file).0.iter().find_map(|it| it["last_sequence"].as_u64()).unwrap());
    recorder.write(&Received { at: None, content: Content::Packet(wrong_checksum(last_sequence).into()) }).unwrap();
    recorder.finish().unwrap();
    let (lines, code) = played(&differs);
    assert_eq!((&lines.last().unwrap()["differing"], code), (&json!(1), Some(1)));
    assert_eq!(lines[lines.len() - 2]["update"], "differs");

    // Torn: what is whole is played, and the rest is said. Garbled: it is said where.
    let bytes = std::fs::read(&file).unwrap();
    let odd = data.path().join("odd.rec");
    std::fs::write(&odd, &bytes[..bytes.len() - 3]).unwrap();
    let output = rialto(&["play"]).arg(&odd).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("was not written to its end: ") && output.status.code() == Some(0), "{said}");
    let mut garbled = bytes.clone();
    garbled[32] ^= 1;
    std::fs::write(&odd, &garbled).unwrap();
    let (lines, code) = played(&odd);
    let [said] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&said["ok"], &said["offset"], code), (&json!(false), &json!(32), Some(4)));
    std::fs::write(&odd, "BTC-USD,64000").unwrap();
    let (said, code) = failure(rialto(&["play"]).arg(&odd));
    assert!(said.contains("no recording of market data") && code == Some(2), "{said}");
    let (said, code) = failure(rialto(&["play"]).arg(data.path().join("nothing.rec")));
    assert!(said.contains("nothing.rec: ") && code == Some(5), "{said}");

    for (options, expected) in [
        (["--instrument", "X"], "there is no instrument X: the venue has BTC-USD, ETH-BTC, ETH-USD"),
        (["--instrument", "9"], "9: the venue refuses: UnknownInstrument"),
        (["--seconds", "0"], "--seconds"),
    ] {
        let (said, code) = failure(&mut record(&data, &data.path().join("none.rec"), &options));
        assert!(said.contains(expected) && code == Some(2), "{said}");
    }
    let options = ["--mode", "conflated", "--level", "trades"];
    let (said, code) = failure(&mut record(&data, &data.path().join("none.rec"), &options));
    assert!(said.contains("--mode conflated does not go with --level trades") && code == Some(2), "{said}");
    assert!(!data.path().join("none.rec").exists());
    let (said, code) = failure(rialto(&["play", "--speed", "0"]).arg(&file));
    assert!(said.contains("a whole number from 1, or max") && code == Some(2), "{said}");
}

/// A packet of BTC-USD's price levels behind `last_sequence`.
fn wrong_checksum(last_sequence: wire::FeedSequence) -> Vec<u8> {
    let channel_id = wire::ChannelId(1 << 8 | wire::FeedLevel::MarketByPrice as u64);
    let first_sequence = wire::FeedSequence(last_sequence.0 + 1);
    let header = PacketHeader {
        channel_id,
        first_sequence,
        message_count: wire::PacketCount(1),
        level: Some(wire::FeedLevel::MarketByPrice),
        ..PacketHeader::BLANK
    };
    let checksum = BookChecksum { last_sequence, checksum: wire::Checksum(1), ..BookChecksum::BLANK };
    let mut packet = vec![0; PacketHeader::FRAME_LENGTH + BookChecksum::FRAME_LENGTH];
    let (head, body) = packet.split_at_mut(PacketHeader::FRAME_LENGTH);
    wire::encode(&header, head).unwrap();
    wire::encode(&checksum, body).unwrap();
    packet
}

#[test]
fn a_book_is_watched_at_every_level_and_in_every_mode() {
    let data = tempfile::tempdir().unwrap();
    let venue = Venue::start(data.path(), &[]);
    answer(&data, "alice", "new --instrument BTC-USD --side buy --price 101.25 --quantity 0.6");
    answer(&data, "alice", "new --instrument BTC-USD --side buy --price 101.25 --quantity 0.25");
    answer(&data, "bob", "new --instrument BTC-USD --side sell --price 101.25 --quantity 0.1");
    let one = json!([{ "price": "101.25", "quantity": "0.75", "orders": 2 }]);
    let queued = json!([{ "price": "101.25", "quantity": "0.75", "orders": 2, "queue": ["0.5", "0.25"] }]);
    let ways = [
        ("best", "live", &one),
        ("mbp10", "conflated", &one),
        ("mbp50", "datagrams", &one),
        ("mbp", "conflated", &one),
        ("mbo", "live", &queued),
        ("mbo", "datagrams", &queued),
    ];
    let watching = ways.map(|(level, mode, expected)| {
        let watching = watch(&data, "BTC-USD", &["--level", level, "--mode", mode]);
        let kinds = ["definition", "book"].map(|kind| (kind, serde_json::from_str::<Value>(&watching.line()).unwrap()));
        for (kind, line) in &kinds {
            assert_eq!((&line["update"], &line["level"]), (&json!(kind), &json!(level)), "{level}, {mode}");
        }
        assert_eq!(&kinds[1].1["bids"], expected, "{level}, {mode}");
        // The day is told too, once, and nothing that its channel repeats.
        let day = watching.update(|update| update["update"] == "statistics");
        assert_eq!((&day["volume"], &day["level"]), (&json!("0.1"), &json!("reference")));
        assert!(day.get("latency_ns").is_none(), "{day}");
        watching
    });
    answer(&data, "bob", "new --instrument BTC-USD --side sell --price 103 --quantity 2");
    answer(&data, "bob", "new --instrument BTC-USD --side sell --price 101 --quantity 0.1");
    for ((level, mode, _), watching) in ways.iter().zip(&watching) {
        let seen = watching.update(|update| update["bids"][0]["quantity"] == "0.65");
        assert_eq!(seen["offers"][0]["price"], "103.00", "{level}, {mode}");
        let change = match *level {
            "best" => "best",
            "mbo" => "orders",
            _ => "levels",
        };
        assert_eq!(seen["update"], change, "{level}, {mode}");
        assert!(seen["received"].is_u64() && seen["latency_ns"].is_u64(), "{seen}");
    }
    let (said, code) = failure(
        rialto(&["watch", "1", "--json", "--level", "mbo", "--mode", "conflated"]).arg("--data").arg(data.path()),
    );
    assert!(said.contains("--mode conflated does not go with --level mbo") && code == Some(2), "{said}");
    venue.running.terminate();
}
