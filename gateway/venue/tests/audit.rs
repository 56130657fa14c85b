//! `rialto audit` and `rialto history book`: what two administrators changed, and what was refused, is told exactly; a book
//! as of a moment is the one that was known then.

mod common {
    pub(crate) mod demo;
    pub(crate) mod session;
}

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use client::Client;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use tempfile::TempDir;
use venue::data_folder::KeyFile;
use venue::serve::Running;
use wire::order_entry::NewOrderSingle;
use wire::{Block, ExecType};

use self::common::demo;
use self::common::session::{self, report};

/// Commands that a venue founds itself with.
const FOUNDING: u64 = 39;

struct Served {
    running: Running,
    folder: TempDir,
}

fn rialto(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rialto")).args(arguments).output().unwrap()
}

impl Served {
    fn start() -> Self {
        let (running, folder) = demo::start(&[]);
        Self { running, folder }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the administrators' tool with a key of the data folder.
    fn tool(&self, key: &str, reason: &str, arguments: &[&str]) -> Output {
        let address = self.running.addresses().http.to_string();
        let key = self.data().join(format!("keys/{key}.json"));
        let usual = ["admin", "--connect", &address, "--json", "--reason", reason, "--key", key.to_str().unwrap()];
        rialto(&[&usual[..], arguments].concat())
    }

    /// A change that is made; the event that says so.
    fn change(&self, key: &str, reason: &str, arguments: &[&str]) -> Value {
        let output = self.tool(key, reason, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A change that the venue refuses; its answer.
    fn refused(&self, key: &str, reason: &str, arguments: &[&str]) -> Value {
        let output = self.tool(key, reason, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Makes another administrator, whose key is in the data folder.
    fn add_administrator(&self, name: &str, number: &str) {
        let file = self.data().join(format!("keys/{name}.json"));
        let made = self.change("administrator", "-", &["key", "new", number, "--out", file.to_str().unwrap()]);
        let public_key = made["public_key"].as_str().unwrap();
        self.change("administrator", "deputy", &["key", "add", number, "--public-key", public_key]);
        self.change("administrator", "deputy", &["key", "grant", number, "--role", "administrator"]);
    }

    fn connect(&self, name: &str) -> Client {
        let key = KeyFile::read(&self.data().join(format!("keys/{name}.json"))).unwrap();
        let opened = session::open(self.data(), self.running.addresses().order_entry, &key);
        opened.map_err(|error| error.to_string()).unwrap()
    }

    fn stop(self) -> TempDir {
        self.running.stop().unwrap();
        self.folder
    }
}

/// Enters an order that rests.
fn rest(client: &mut Client, side: wire::Side, price: i64, quantity: i64) {
    let order = NewOrderSingle {
        account: wire::AccountId(2),
        security_id: wire::SecurityId(1),
        price: Some(wire::Price(price)),
        order_quantity: Some(wire::Quantity(quantity)),
        side,
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    };
    client.send(&order).unwrap();
    assert_eq!(report(client).exec_type, ExecType::New);
}

/// The changes that the tool shows, and the object at the end.
fn audit(data: &Path, arguments: &[&str]) -> (Vec<Value>, Value) {
    let output = rialto(&[&["audit", "--json", "--data", data.to_str().unwrap()], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.pop().unwrap();
    (lines, end)
}

/// What is the same in every run: who, what, and why.
fn said(changes: &[Value]) -> Vec<(&str, &str, &str)> {
    changes
        .iter()
        .map(|change| {
            let what = change["command"].as_str().or(change["event"].as_str()).unwrap();
            (change["author_name"].as_str().unwrap_or("venue"), what, change["reason"].as_str().unwrap())
        })
        .collect()
}

fn sequences(changes: &[Value]) -> Vec<u64> {
    changes.iter().map(|change| change["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn an_audit_shows_exactly_what_two_administrators_changed() {
    let venue = Served::start();
    venue.add_administrator("deputy", "9");
    let limits = ["instrument", "limits", "BTC-USD", "--quantity-max", "2.5", "--price-max", "1000000"];
    let limited = venue.change("deputy", "as agreed", &limits);
    let paid =
        venue.change("administrator", "wire 8817", &["account", "deposit", "2", "--asset", "USD", "--amount", "50.25"]);
    let refusal = venue.refused("deputy", "typo", &["account", "withdraw", "2", "--asset", "BTC", "--amount", "5000"]);
    let mut alice = venue.connect("alice");
    rest(&mut alice, wire::Side::Buy, 6_300_000, 50_000_000);
    let cancelled = venue.change("deputy", "lost contact", &["order", "mass-cancel", "--account", "2"]);
    venue.change("administrator", "random ends", &["venue", "seed", &"0f".repeat(32)]);
    let halted = venue.change("deputy", "news pending", &["instrument", "halt", "BTC-USD"]);

    let expected = [
        ("administrator", "KeyAdded", "deputy"),
        ("administrator", "RoleGranted", "deputy"),
        ("deputy", "InstrumentLimitsSet", "as agreed"),
        ("administrator", "BalanceChanged", "wire 8817"),
        ("deputy", "Withdraw", "typo"),
        ("deputy", "MassCancelled", "lost contact"),
        ("administrator", "RandomSeedSet", "random ends"),
        ("deputy", "PhaseChanged", "news pending"),
    ];
    let without_refused: Vec<_> = expected.iter().filter(|change| change.1 != "Withdraw").copied().collect();
    let first = (FOUNDING + 1).to_string();
    let check = |data: &Path, story: &str| {
        let (changes, end) = audit(data, &["--from", &first, "--refused"]);
        assert_eq!(said(&changes), expected, "{story}");
        let last = halted["sequence"].as_u64().unwrap();
        let summary = json!({ "changes": 7, "refused": 1, "first": FOUNDING + 1, "last": last, "note": null });
        assert_eq!(end, summary, "{story}");
        assert_eq!(said(&audit(data, &["--from", &first]).0), without_refused, "{story}");
        changes
    };
    let changes = check(venue.data(), "beside a running venue");
    let of = |answer: &Value| answer["sequence"].as_u64().unwrap();
    assert_eq!(
        sequences(&changes)[2..],
        [of(&limited), of(&paid), of(&refusal), of(&cancelled), sequences(&changes)[6], of(&halted)]
    );
    // In decimals, with the names.
    let set = &changes[2];
    assert_eq!((&set["author"], &set["time"]), (&json!(9), &limited["time"]));
    assert_eq!(set["details"]["instrument_name"], "BTC-USD");
    assert_eq!(set["details"]["limits"]["quantity_max"], "2.5");
    assert_eq!(set["details"]["limits"]["price_max"], "1000000");
    let deposit = &changes[3]["details"];
    assert_eq!((&deposit["asset_name"], &deposit["change"]), (&json!("USD"), &json!("50.25")));
    assert_eq!((&deposit["cause"], &deposit["available"]), (&json!("Deposit"), &json!("100000050.25")));
    // What was asked for, and why not.
    let withdrawal = &changes[4];
    assert_eq!((&withdrawal["event"], &withdrawal["refused"]), (&json!("CommandRejected"), &refusal["reason"]));
    assert_eq!((&withdrawal["details"]["amount"], &withdrawal["details"]["account"]), (&json!("5000"), &json!(2)));
    assert_eq!(changes[5]["details"]["cancelled_count"], 1);
    // A seed is as secret as what is drawn from it.
    assert_eq!(changes[6]["details"], json!({}));
    let phase = &changes[7]["details"];
    assert_eq!((&phase["from"], &phase["to"]), (&json!("Continuous"), &json!("Halted")));

    // Filters. What has to hold together is given together.
    let shown = |filters: &[&str]| sequences(&audit(venue.data(), &[&["--from", &first], filters].concat()).0);
    let all = sequences(&changes);
    assert_eq!(shown(&["--by", "deputy"]), [all[2], all[5], all[7]]);
    assert_eq!(shown(&["--by", "9", "--refused"]), [all[2], all[4], all[5], all[7]]);
    assert_eq!(shown(&["--by", "1", "--kind", "rolegranted", "--kind", "BalanceChanged"]), [all[1], all[3]]);
    assert_eq!(shown(&["--account", "alice"]), [all[3], all[5]]);
    assert_eq!(shown(&["--account", "2", "--refused", "--reason", "TYPO"]), [all[4]]);
    assert_eq!(shown(&["--instrument", "btc-usd"]), [all[2], all[7]]);
    assert_eq!(shown(&["--instrument", "BTC-USD", "--account", "2"]), [0; 0]);
    assert_eq!(shown(&["--kind", "CommandRejected"]), [all[4]]);
    assert_eq!(shown(&["--count", "2"]), [all[6], all[7]]);
    assert_eq!(shown(&["--to", &all[3].to_string()]), all[..4]);
    let time = changes[3]["time_utc"].as_str().unwrap();
    assert_eq!(shown(&["--to", time]), all[..4]);
    // The founding is the venue's own.
    let founded = audit(venue.data(), &["--by", "0", "--count", "1000"]).0;
    assert_eq!((founded.len() as u64, &founded[0]["event"]), (FOUNDING, &json!("AssetAdded")));
    assert_eq!(audit(venue.data(), &[]).0.len(), 20);

    // For people, one line each.
    let output = rialto(&["audit", "--refused", "--count", "4", "--data", venue.data().to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("deputy (9)") && lines[0].contains("Withdraw refused: "), "{text}");
    assert!(lines[0].contains("asset=BTC amount=5000") && lines[0].ends_with("\"typo\""), "{text}");
    assert!(lines[3].contains("PhaseChanged          instrument=BTC-USD from=Continuous to=Halted"), "{text}");

    let folder = venue.stop();
    check(folder.path(), "of a venue that has stopped");
    let (backup, target) = (tempfile::tempdir().unwrap(), folder.path().to_str().unwrap().to_owned());
    let copied = rialto(&["journal", "backup", &target, "--to", backup.path().to_str().unwrap()]);
    assert_eq!(copied.status.code(), Some(0), "{copied:?}");
    check(backup.path(), "of a copy without history");
    exports(folder.path(), &all);
}

#[test]
fn what_counts_small_units_is_told_as_an_operator_writes_it() {
    let venue = Served::start();
    let change = |arguments: &[&str]| drop(venue.change("administrator", "as agreed", arguments));
    let listing = ["--base", "BTC", "--quote", "USD", "--tick", "0.05", "--lot", "0.00000001"];
    change(&[&["instrument", "list", "7", "--name", "BTC-USX"], &listing[..]].concat());
    change(&["instrument", "fees", "BTC-USX", "--maker-basis-points", "-0.5", "--taker-basis-points", "2.25"]);
    change(&["instrument", "protect", "BTC-USX", "--collar", "5%", "--market", "500t"]);
    let times = ["--at", "2099-11-25T09:00:00Z", "--repeat-seconds", "86400", "--random-end-seconds", "0.5"];
    change(&[&["instrument", "calendar", "set", "BTC-USX", "1", "--phase", "continuous"], &times[..]].concat());
    change(&["key", "allow", "2", "10.20.0.0/16"]);
    change(&["instrument", "delist", "BTC-USX"]);
    let changes = audit(venue.data(), &["--count", "6"]).0;
    let details = |index: usize| &changes[index]["details"];
    assert_eq!((&details(0)["tick"], &details(0)["base_name"]), (&json!("0.05"), &json!("BTC")));
    assert_eq!(details(1)["rates"], json!({ "maker_basis_points": "-0.5", "taker_basis_points": "2.25" }));
    let protection = &details(2)["protection"];
    assert_eq!((&protection["collar"], &protection["market"]), (&json!("50000ppm"), &json!("500t")));
    assert_eq!((&protection["auction"], &protection["call_duration_seconds"]), (&json!("none"), &json!("0")));
    assert_eq!((&details(3)["at"], &details(3)["repeat_seconds"]), (&json!("2099-11-25T09:00:00Z"), &json!("86400")));
    assert_eq!(details(3)["random_end_seconds"], "0.5");
    assert_eq!(details(4), &json!({ "key": 2, "key_name": "alice", "network": "10.20.0.0/16" }));
    // It is told by its name though nobody lists it any more.
    assert_eq!(details(5)["instrument_name"], "BTC-USX");
    assert_eq!(sequences(&audit(venue.data(), &["--instrument", "7", "--from", "40"]).0), [40, 41, 42, 43, 45]);
    venue.stop();
}

/// The same in a file, however it is written.
fn exports(data: &Path, all: &[u64]) {
    let place = tempfile::tempdir().unwrap();
    let first = (FOUNDING + 1).to_string();
    let export = |name: &str| -> PathBuf {
        let file = place.path().join(name);
        let (rows, end) = audit(data, &["--from", &first, "--refused", "--export", file.to_str().unwrap()]);
        assert!(rows.is_empty());
        assert_eq!((&end["changes"], &end["refused"]), (&json!(7), &json!(1)));
        assert_eq!(end["bytes"], fs::metadata(&file).unwrap().len());
        file
    };
    let text = fs::read_to_string(export("a.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(sequences(&rows), all);
    assert_eq!((&rows[3]["author_name"], &rows[3]["account"]), (&json!("administrator"), &json!(2)));
    assert_eq!(rows[3]["details"]["change"], "50.25");
    let mut csv = csv::Reader::from_path(export("a.csv")).unwrap();
    let column = csv.headers().unwrap().iter().position(|name| name == "refused").unwrap();
    let refused: Vec<String> = csv.records().map(|row| row.unwrap()[column].to_owned()).collect();
    assert_eq!(refused.iter().filter(|reason| !reason.is_empty()).count(), 1);
    assert_eq!(refused.len(), all.len());
    let parquet = SerializedFileReader::new(File::open(export("a.parquet")).unwrap()).unwrap();
    assert_eq!(parquet.metadata().file_metadata().num_rows(), 8);
    let output = rialto(&["audit", "--data", data.to_str().unwrap(), "--export", "table.txt"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn what_cannot_be_looked_for_is_said() {
    let venue = Served::start();
    let data = venue.data().to_str().unwrap().to_owned();
    for (arguments, reason) in [
        (&["--kind", "Trade"][..], "there is no such change; there are"),
        (&["--by", "nobody"], "neither a number nor the name of a key"),
        (&["--instrument", "XRP-USD"], "no instrument is named \"XRP-USD\"; listed: BTC-USD"),
    ] {
        let output = rialto(&[&["audit", "--data", &data], arguments].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(reason), "{errors}");
    }
    let output = rialto(&["history", "book", "XRP-USD", "--data", &data]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    venue.stop();
}

#[test]
fn a_book_as_of_a_moment_is_the_one_that_was_known_then() {
    let venue = Served::start();
    let mut alice = venue.connect("alice");
    rest(&mut alice, wire::Side::Buy, 6_300_000, 50_000_000);
    rest(&mut alice, wire::Side::Buy, 6_300_000, 25_000_000);
    rest(&mut alice, wire::Side::Buy, 6_299_950, 100_000_000);
    rest(&mut alice, wire::Side::Sell, 6_400_025, 12_500_000);
    let moment = venue.change("administrator", "a moment", &["asset", "add", "4", "--name", "EUR", "--decimals", "2"]);
    rest(&mut alice, wire::Side::Sell, 6_400_000, 100_000_000);
    venue.change("administrator", "later", &["order", "mass-cancel", "--account", "2", "--side", "buy"]);
    venue.change("administrator", "later", &["instrument", "halt", "BTC-USD"]);
    let folder = venue.stop();
    let data = folder.path().to_str().unwrap();
    let book = |arguments: &[&str]| -> Value {
        let output = rialto(&[&["history", "book", "BTC-USD", "--json", "--data", data], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let level = |price: &str, quantity: &str, orders: u32| json!({ "price": price, "quantity": quantity, "shown": quantity, "orders": orders });
    let sequence = moment["sequence"].as_u64().unwrap();
    let then = book(&["--at", &sequence.to_string()]);
    assert_eq!(then["bids"], json!([level("63000", "0.75", 2), level("62999.5", "1", 1)]));
    assert_eq!(then["offers"], json!([level("64000.25", "0.125", 1)]));
    assert_eq!((&then["phase"], &then["sequence"]), (&json!("Continuous"), &json!(sequence)));
    assert_eq!(then["time"], moment["time"]);
    assert_eq!(book(&["--at", then["time_utc"].as_str().unwrap()]), then);
    assert_eq!(book(&["--at", &sequence.to_string(), "--levels", "1"])["bids"], json!([level("63000", "0.75", 2)]));
    let end = book(&[]);
    assert_eq!((&end["bids"], &end["phase"]), (&json!([]), &json!("Halted")));
    assert_eq!(end["offers"], json!([level("64000", "1", 1), level("64000.25", "0.125", 1)]));

    let output = rialto(&["history", "book", "1", "--data", data]);
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<_> = text.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        rows,
        ["price  quantity  shown  orders", "64000.25     0.125  0.125       1", "64000         1      1       1", "──",]
    );
}
