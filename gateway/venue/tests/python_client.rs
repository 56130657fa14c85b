//! The client in Python trades with the real venue.
//!
//! Needs the PyPI packages `sbe` and `cryptography`, for the interpreter that `PYTHON` names (`python3` if it names none).

mod common {
    pub(crate) mod killed;
    pub(crate) mod ready;
}

use std::env;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use self::common::killed::Killed;
use self::common::ready;

/// A venue of a test's own, on free ports; killed when it is dropped.
struct Venue {
    process: Killed,
    data: TempDir,
}

impl Venue {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let process = serve(data.path(), "127.0.0.1:0");
        Self { process, data }
    }

    /// As a power switch does it; it comes back where it was.
    fn kill_and_start(&mut self) {
        let said: Value =
            serde_json::from_str(&std::fs::read_to_string(self.data.path().join("venue.json")).unwrap()).unwrap();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = serve(self.data.path(), said["order_entry"].as_str().unwrap());
    }
}

fn serve(data: &Path, order_entry: &str) -> Killed {
    let any = "127.0.0.1:0";
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(["serve", "--order-entry", order_entry, "--market-data", any, "--http", any, "--data"]);
    // The head of a killed venue goes with the test's folder.
    command.arg(data).arg("--head").arg(data);
    let (process, output, _) = ready::start(command);
    std::thread::spawn(move || output.lines().for_each(drop));
    process
}

fn python() -> Option<String> {
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let installed = Command::new(&python).args(["-c", "import cryptography, sbe"]).output();
    if installed.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {python} has no packages cryptography and sbe");
    None
}

/// One call of the client, and what it printed.
#[derive(Debug)]
struct Said {
    messages: Vec<Value>,
    error: String,
    code: Option<i32>,
}

impl Said {
    /// The fields of all messages.
    fn fields<const N: usize>(&self, names: [&str; N]) -> Vec<[Value; N]> {
        self.messages.iter().map(|message| names.map(|name| message[name].clone())).collect()
    }
}

fn call(python: &str, venue: &Venue, account: &str, options: &[&str], verb: &str) -> Said {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/python/rialto.py");
    let mut command = Command::new(python);
    command.arg(script).arg("--data").arg(venue.data.path()).args(["--account", account]);
    let output = command.args(options).args(verb.split_whitespace()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Said {
        messages: text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

/// Runs the administrator's tool; what it says.
fn admin(venue: &Venue, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(["admin", "--json", "--reason", "a test", "--data"]).arg(venue.data.path()).args(arguments);
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}"))
}

/// A key that reads what is copied of an account.
fn auditor(venue: &Venue, account: &str) -> PathBuf {
    let file = venue.data.path().join("auditor.json");
    let made = admin(venue, &["key", "new", "9", "--account", account, "--out", file.to_str().unwrap()]);
    admin(venue, &["key", "add", "9", "--public-key", made["public_key"].as_str().unwrap()]);
    admin(venue, &["key", "grant", "9", "--role", "drop-copy", "--account", account]);
    file
}

fn state(venue: &Venue) -> PathBuf {
    venue.data.path().join("alice.state")
}

#[test]
fn it_places_amends_and_cancels() {
    let Some(python) = python() else { return };
    let venue = Venue::start();
    let file = state(&venue);
    let kept = ["--state", file.to_str().unwrap()];
    for (verb, kind, price, number) in [
        ("place BTC-USD buy 0.01 64000.50 --name 7", "New", 6_400_050, 1),
        ("amend BTC-USD --name 7 --price 64000.25", "Replaced", 6_400_025, 2),
        ("cancel --name 7", "Cancelled", 6_400_025, 3),
    ] {
        let said = call(&python, &venue, "alice", &kept, verb);
        assert_eq!(said.code, Some(0), "{verb}: {}", said.error);
        let expected: [Value; 6] =
            [kind.into(), price.into(), 1_000_000.into(), 7.into(), number.into(), number.into()];
        let fields = said.fields(["ExecType", "Price", "OrderQty", "ClOrdID", "RefSeqNum", "MsgSeqNum"]);
        assert_eq!(fields, [expected], "{verb}");
    }
}

#[test]
fn what_is_refused_is_said() {
    let Some(python) = python() else { return };
    let venue = Venue::start();
    let said = call(&python, &venue, "alice", &[], "cancel --name 99");
    assert_eq!((said.fields(["CxlRejReason"]), said.code), (vec![["UnknownOrder".into()]], Some(1)));
    let said = call(&python, &venue, "alice", &[], "place BTC-USD buy 0.01 64000.505");
    assert!(said.error.contains("price 64000.505 is finer than 10^-2"), "{}", said.error);
    let said = call(&python, &venue, "alice", &["--account-number", "3"], "place BTC-USD buy 0.01 64000");
    assert_eq!((said.fields(["OrdRejReason"]), said.code), (vec![["NotEntitled".into()]], Some(1)));
}

/// It leaves without a word, its order trades, the venue is killed; the reports are asked for and come in order.
#[test]
fn it_recovers_what_it_missed() {
    let Some(python) = python() else { return };
    let mut venue = Venue::start();
    let file = state(&venue);
    let kept = ["--state", file.to_str().unwrap()];
    let gone = ["--state", file.to_str().unwrap(), "--hang-up"];
    let placed = call(&python, &venue, "alice", &gone, "place BTC-USD buy 0.03 64000 --name 7");
    assert_eq!((placed.fields(["ExecType", "MsgSeqNum"]), placed.code), (vec![["New".into(), 1.into()]], Some(0)));
    for name in 1..=2 {
        let verb = format!("place BTC-USD sell 0.01 64000 --name {name}");
        assert_eq!(call(&python, &venue, "bob", &[], &verb).code, Some(0));
    }
    venue.kill_and_start();
    let recovered = call(&python, &venue, "alice", &kept, "recover");
    assert_eq!(recovered.code, Some(0), "{}", recovered.error);
    let trade =
        |number: u64, leaves: u64| -> [Value; 4] { ["Trade".into(), number.into(), leaves.into(), "Yes".into()] };
    let fields = recovered.fields(["ExecType", "MsgSeqNum", "LeavesQty", "PossDupFlag"]);
    assert_eq!(fields, [trade(2, 2_000_000), trade(3, 1_000_000)]);
    // A maker pays five basis points of 640 USD.
    assert_eq!(recovered.fields(["asset", "fee"]), [(); 2].map(|()| ["USD", "0.32"].map(Value::from)));
    // The same login goes on, and the next command has the next number.
    let cancelled = call(&python, &venue, "alice", &kept, "cancel --name 7");
    let fields = cancelled.fields(["ExecType", "RefSeqNum", "MsgSeqNum", "CumQty"]);
    let expected: [Value; 4] = ["Cancelled".into(), 2.into(), 4.into(), 2_000_000.into()];
    assert_eq!(fields, [expected]);
}

#[test]
fn it_asks_for_orders_and_balances_and_reads_drop_copy() {
    let Some(python) = python() else { return };
    let mut venue = Venue::start();
    for verb in ["place BTC-USD buy 0.01 64000.50 --name 7", "place BTC-USD buy 0.02 63000 --name 8", "cancel --name 8"]
    {
        assert_eq!(call(&python, &venue, "alice", &[], verb).code, Some(0), "{verb}");
    }
    let open = call(&python, &venue, "alice", &[], "status");
    let expected: [Value; 5] = ["OrderStatus".into(), "New".into(), 7.into(), 1_000_000.into(), "Yes".into()];
    let fields = open.fields(["ExecType", "OrdStatus", "ClOrdID", "LeavesQty", "LastRptRequested"]);
    assert_eq!(fields, [expected], "{}", open.error);
    let balances = call(&python, &venue, "alice", &[], "balance");
    let assets: Vec<Value> = balances.fields(["AssetID"]).into_iter().flatten().collect();
    assert_eq!(assets, [1, 2, 3].map(Value::from), "{}", balances.error);
    // 0.01 BTC at 64000.50 is 640.005 USD, and a fee of at most ten basis points: less than 640.65 is held.
    let [bitcoin, ether, dollar] = &balances.fields(["asset", "available", "held"])[..] else { panic!("{balances:?}") };
    assert_eq!((bitcoin, ether), (&["BTC", "1000", "0"].map(Value::from), &["ETH", "20000", "0"].map(Value::from)));
    let held: f64 = dollar[2].as_str().unwrap().parse().unwrap();
    assert!(dollar[0] == "USD" && (640.005..640.65).contains(&held), "{dollar:?}");
    // Her account's reports from the first, by a key that trades nothing; also of a venue that was killed.
    let file = auditor(&venue, "2");
    let reader = ["--key", file.to_str().unwrap()];
    for _ in 0..2 {
        let copies = call(&python, &venue, "alice", &reader, "drop-copy 1");
        assert_eq!(copies.code, Some(0), "{}", copies.error);
        let told: Vec<[Value; 4]> = copies.fields(["ExecID", "ExecType", "ClOrdID", "MsgSeqNum"]);
        let copy = |number: u64, kind: &str, name: u64| -> [Value; 4] {
            [number.into(), kind.into(), name.into(), Value::Null]
        };
        let [.., first, second, third] = &told[..] else { panic!("{told:?}") };
        assert_eq!([first, second, third], [&copy(1, "New", 7), &copy(2, "New", 8), &copy(3, "Cancelled", 8)]);
        venue.kill_and_start();
    }
    let refused = call(&python, &venue, "alice", &reader, "place BTC-USD buy 0.01 64000.50");
    assert_ne!(refused.code, Some(0), "a reader trades nothing");
}
