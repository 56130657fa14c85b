//! `rialto order` and `journal inspect`, as a person or a script meets them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// No wait of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process whose lines can be waited for; killed when it is dropped.
struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    fn terminate(mut self) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
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
}

impl Venue {
    fn start(data: &Path, options: &[&str]) -> Self {
        let any = "127.0.0.1:0";
        let mut command = rialto(&["serve", "--order-entry", any, "--market-data", any, "--http", any, "--data"]);
        // The head of a killed venue goes with the test's folder.
        command.arg(data).arg("--head").arg(data).args(options);
        let running = Running::start(command);
        while !running.line().starts_with("READY ") {}
        Self { running }
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

/// What the program says on standard error, and its exit code.
fn failure(command: &mut Command) -> (String, Option<i32>) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
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
