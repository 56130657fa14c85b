//! A script's lines cause the events that the rulebook says, in the caller's names and units.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const SCRIPT: &str = r#"
{"op": "time", "ns": "1000"}
{"op": "asset", "asset": "BTC", "decimals": 8}
{"op": "asset", "asset": "USD", "decimals": 2}
{"op": "instrument", "instrument": "BTC-USD", "base": "BTC", "quote": "USD", "tick": "0.5", "lot": "0.1", "holds": "on"}
{"op": "account", "account": "alice"}
{"op": "account", "account": "bob"}
{"op": "deposit", "account": "alice", "asset": "USD", "amount": "1000"}
{"op": "deposit", "account": "bob", "asset": "BTC", "amount": 10}
{"op": "rest", "id": "b1", "account": "bob", "instrument": "BTC-USD", "side": "sell", "price": "100.5", "quantity": "2"}
{"op": "rest", "id": "b2", "account": "bob", "instrument": "BTC-USD", "side": "sell", "price": "101", "quantity": 1.5}
{"op": "new", "id": "a1", "account": "alice", "instrument": "BTC-USD", "side": "buy", "type": "limit", "price": "101", "quantity": "3"}
{"op": "new", "id": "a2", "account": "alice", "instrument": "BTC-USD", "side": "BUY", "price": "99.7", "quantity": "1"}
{"op": "new", "id": "a3", "account": "alice", "instrument": "BTC-USD", "side": "buy", "price": "99", "quantity": "1.05"}
{"op": "new", "id": "a4", "account": "alice", "instrument": "BTC-USD", "side": "buy", "price": "99", "quantity": "-1"}
{"op": "new", "id": "a5", "account": "alice", "instrument": "BTC-USD", "side": "buy", "price": "1e30", "quantity": "1"}
{"op": "new", "id": "a6", "account": "alice", "instrument": "BTC-USD", "side": "1", "type": "2", "tif": "1", "price": "99", "quantity": "1"}
{"op": "new", "id": "a7", "account": "alice", "instrument": "BTC-USD", "side": "buy", "price": "99", "quantity": "100"}
{"op": "new", "id": "a6", "account": "alice", "instrument": "BTC-USD", "side": "buy", "price": "98", "quantity": "1"}
{"op": "amend", "id": "a6", "quantity": "0.5"}
{"op": "amend", "id": "a6", "price": "98.5", "new_id": "a8"}
{"op": "rest", "id": "b3", "account": "bob", "instrument": "BTC-USD", "side": "sell", "price": "98.5", "quantity": "1"}
{"op": "new", "id": "b4", "account": "bob", "instrument": "BTC-USD", "side": "sell", "tif": "ioc", "price": "98", "quantity": "0.2"}
{"op": "cancel", "id": "a8"}
{"op": "cancel", "id": "a8"}
{"op": "cancel", "id": "nobody"}
{"op": "amend", "id": "b2", "account": "alice", "price": "50"}
{"op": "new", "id": "a9", "account": "alice", "instrument": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.1"}
{"op": "mass_cancel", "account": "bob", "instrument": "BTC-USD", "side": "sell"}
{"op": "time", "ns": 2000}
{"op": "phase", "instrument": "BTC-USD", "phase": "closed"}
{"op": "new", "id": "a10", "account": "alice", "instrument": "BTC-USD", "side": "buy", "price": "99", "quantity": "1"}
"#;

/// Written by hand; the numbers that the engine gives to orders and reports are left out.
///
/// Alice spends 2 × 100.5 + 1 × 101 on `a1`, so 698 are left when `a7` asks for 9,900.
const EVENTS: &str = r#"
{"sequence": 1, "index": 0, "event": "AssetAdded", "time": 1000, "asset": "BTC", "name": "BTC", "decimals": 8}
{"sequence": 2, "index": 0, "event": "AssetAdded", "time": 1000, "asset": "USD", "name": "USD", "decimals": 2}
{"sequence": 3, "index": 0, "event": "InstrumentListed", "time": 1000, "instrument": "BTC-USD", "name": "BTC-USD", "base": "BTC", "quote": "USD", "tick": 5, "tick_decimals": 1, "lot": 1, "lot_decimals": 1, "holds": "On", "stp": "Allow", "phase": "Continuous", "quote_units": 5, "base_units": 10000000}
{"sequence": 4, "index": 0, "event": "AccountOpened", "time": 1000, "account": "alice", "fee_tier": 0}
{"sequence": 5, "index": 0, "event": "AccountOpened", "time": 1000, "account": "bob", "fee_tier": 0}
{"sequence": 6, "index": 0, "event": "BalanceChanged", "time": 1000, "account": "alice", "asset": "USD", "cause": "Deposit", "change": "1000", "available": "1000", "held": "0"}
{"sequence": 7, "index": 0, "event": "BalanceChanged", "time": 1000, "account": "bob", "asset": "BTC", "cause": "Deposit", "change": "10", "available": "10", "held": "0"}
{"sequence": 8, "index": 0, "event": "OrderAccepted", "time": 1000, "account": "bob", "instrument": "BTC-USD", "id": "b1", "side": "Sell", "type": "Limit", "tif": "GoodTillCancel", "post_only": true, "price": "100.5", "quantity": "2", "leaves": "2", "cumulative": "0", "prevented": "0", "shown": "2", "stp": "Allow", "on_disconnect": "AsSession"}
{"sequence": 9, "index": 0, "event": "OrderAccepted", "time": 1000, "account": "bob", "instrument": "BTC-USD", "id": "b2", "side": "Sell", "type": "Limit", "tif": "GoodTillCancel", "post_only": true, "price": "101", "quantity": "1.5", "leaves": "1.5", "cumulative": "0", "prevented": "0", "shown": "1.5", "stp": "Allow", "on_disconnect": "AsSession"}
{"sequence": 10, "index": 0, "event": "OrderAccepted", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a1", "side": "Buy", "type": "Limit", "tif": "GoodTillCancel", "price": "101", "quantity": "3", "leaves": "3", "cumulative": "0", "prevented": "0", "shown": "3", "stp": "Allow", "on_disconnect": "AsSession"}
{"sequence": 10, "index": 1, "event": "Trade", "time": 1000, "instrument": "BTC-USD", "trade_id": 1, "price": "100.5", "quantity": "2", "aggressor": "Buy", "self_match": "No", "maker_account": "bob", "maker": "b1", "maker_side": "Sell", "maker_order_price": "100.5", "maker_order_quantity": "2", "maker_leaves": "0", "maker_cumulative": "2", "maker_prevented": "0", "maker_fee": "0", "taker_account": "alice", "taker": "a1", "taker_side": "Buy", "taker_order_price": "101", "taker_order_quantity": "3", "taker_leaves": "1", "taker_cumulative": "2", "taker_prevented": "0", "taker_fee": "0"}
{"sequence": 10, "index": 2, "event": "Trade", "time": 1000, "instrument": "BTC-USD", "trade_id": 2, "price": "101", "quantity": "1", "aggressor": "Buy", "self_match": "No", "maker_account": "bob", "maker": "b2", "maker_side": "Sell", "maker_order_price": "101", "maker_order_quantity": "1.5", "maker_leaves": "0.5", "maker_cumulative": "1", "maker_prevented": "0", "maker_fee": "0", "taker_account": "alice", "taker": "a1", "taker_side": "Buy", "taker_order_price": "101", "taker_order_quantity": "3", "taker_leaves": "0", "taker_cumulative": "3", "taker_prevented": "0", "taker_fee": "0"}
{"sequence": 11, "index": 0, "event": "OrderRejected", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a2", "side": "Buy", "price": "off_tick", "quantity": "1", "reason": "PriceOffTick"}
{"sequence": 12, "index": 0, "event": "OrderRejected", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a3", "side": "Buy", "price": "99", "quantity": "off_lot", "reason": "QuantityOffLot"}
{"sequence": 13, "index": 0, "event": "OrderRejected", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a4", "side": "Buy", "price": "99", "quantity": "0", "reason": "QuantityNotPositive"}
{"sequence": 14, "index": 0, "event": "OrderRejected", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a5", "side": "Buy", "price": "9223372036854775806.5", "quantity": "1", "reason": "PriceOutOfRange"}
{"sequence": 15, "index": 0, "event": "OrderAccepted", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a6", "side": "Buy", "type": "Limit", "tif": "GoodTillCancel", "price": "99", "quantity": "1", "leaves": "1", "cumulative": "0", "prevented": "0", "shown": "1", "stp": "Allow", "on_disconnect": "AsSession"}
{"sequence": 16, "index": 0, "event": "OrderRejected", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a7", "side": "Buy", "price": "99", "quantity": "100", "reason": "InsufficientFunds"}
{"sequence": 17, "index": 0, "event": "OrderRejected", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a6", "side": "Buy", "price": "98", "quantity": "1", "reason": "DuplicateClientOrderId", "original_status": "New"}
{"sequence": 18, "index": 0, "event": "OrderReplaced", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a6", "side": "Buy", "type": "Limit", "tif": "GoodTillCancel", "price": "99", "quantity": "0.5", "leaves": "0.5", "cumulative": "0", "prevented": "0", "shown": "0.5", "original_id": "a6", "priority": "Kept"}
{"sequence": 19, "index": 0, "event": "OrderReplaced", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a8", "side": "Buy", "type": "Limit", "tif": "GoodTillCancel", "price": "98.5", "quantity": "0.5", "leaves": "0.5", "cumulative": "0", "prevented": "0", "shown": "0.5", "original_id": "a6", "priority": "Lost"}
{"sequence": 20, "index": 0, "event": "OrderRejected", "time": 1000, "account": "bob", "instrument": "BTC-USD", "id": "b3", "side": "Sell", "price": "98.5", "quantity": "1", "reason": "PostOnlyWouldTake"}
{"sequence": 21, "index": 0, "event": "OrderAccepted", "time": 1000, "account": "bob", "instrument": "BTC-USD", "id": "b4", "side": "Sell", "type": "Limit", "tif": "ImmediateOrCancel", "price": "98", "quantity": "0.2", "leaves": "0.2", "cumulative": "0", "prevented": "0", "shown": "0.2", "stp": "Allow", "on_disconnect": "AsSession"}
{"sequence": 21, "index": 1, "event": "Trade", "time": 1000, "instrument": "BTC-USD", "trade_id": 3, "price": "98.5", "quantity": "0.2", "aggressor": "Sell", "self_match": "No", "maker_account": "alice", "maker": "a8", "maker_side": "Buy", "maker_order_price": "98.5", "maker_order_quantity": "0.5", "maker_leaves": "0.3", "maker_cumulative": "0.2", "maker_prevented": "0", "maker_fee": "0", "taker_account": "bob", "taker": "b4", "taker_side": "Sell", "taker_order_price": "98", "taker_order_quantity": "0.2", "taker_leaves": "0", "taker_cumulative": "0.2", "taker_prevented": "0", "taker_fee": "0"}
{"sequence": 22, "index": 0, "event": "OrderCancelled", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a8", "side": "Buy", "type": "Limit", "tif": "GoodTillCancel", "price": "98.5", "quantity": "0.5", "leaves": "0", "cumulative": "0.2", "prevented": "0", "shown": "0", "cancelled": "0.3", "reason": "Requested"}
{"sequence": 23, "index": 0, "event": "CancelRejected", "time": 1000, "account": "alice", "response_to": "CancelOrder", "id": "a8", "reason": "UnknownOrder", "order_status": "Cancelled"}
{"sequence": 24, "index": 0, "event": "CancelRejected", "time": 1000, "account": "alice", "response_to": "CancelOrder", "id": "nobody", "reason": "UnknownOrder"}
{"sequence": 25, "index": 0, "event": "CancelRejected", "time": 1000, "account": "alice", "response_to": "ReplaceOrder", "id": "b2", "reason": "UnknownOrder"}
{"sequence": 26, "index": 0, "event": "OrderAccepted", "time": 1000, "account": "alice", "instrument": "BTC-USD", "id": "a9", "side": "Buy", "type": "Market", "tif": "ImmediateOrCancel", "quantity": "0.1", "leaves": "0.1", "cumulative": "0", "prevented": "0", "shown": "0.1", "stp": "Allow", "on_disconnect": "AsSession"}
{"sequence": 26, "index": 1, "event": "Trade", "time": 1000, "instrument": "BTC-USD", "trade_id": 4, "price": "101", "quantity": "0.1", "aggressor": "Buy", "self_match": "No", "maker_account": "bob", "maker": "b2", "maker_side": "Sell", "maker_order_price": "101", "maker_order_quantity": "1.5", "maker_leaves": "0.4", "maker_cumulative": "1.1", "maker_prevented": "0", "maker_fee": "0", "taker_account": "alice", "taker": "a9", "taker_side": "Buy", "taker_order_quantity": "0.1", "taker_leaves": "0", "taker_cumulative": "0.1", "taker_prevented": "0", "taker_fee": "0"}
{"sequence": 27, "index": 0, "event": "OrderCancelled", "time": 1000, "account": "bob", "instrument": "BTC-USD", "id": "b2", "side": "Sell", "type": "Limit", "tif": "GoodTillCancel", "post_only": true, "price": "101", "quantity": "1.5", "leaves": "0", "cumulative": "1.1", "prevented": "0", "shown": "0", "cancelled": "0.4", "reason": "MassCancel"}
{"sequence": 27, "index": 1, "event": "MassCancelled", "time": 1000, "account": "bob", "instrument": "BTC-USD", "side": "Sell", "cancelled_count": 1}
{"sequence": 28, "index": 0, "event": "PhaseChanged", "time": 2000, "instrument": "BTC-USD", "from": "Continuous", "to": "Closed", "cause": "Administrator"}
{"sequence": 29, "index": 0, "event": "OrderRejected", "time": 2000, "account": "alice", "instrument": "BTC-USD", "id": "a10", "side": "Buy", "price": "99", "quantity": "1", "reason": "PhaseNotAllowed"}
"#;

/// What the engine numbers as it likes.
const HANDLES: [&str; 8] = [
    "order_id",
    "original_order_id",
    "maker_order_id",
    "taker_order_id",
    "exec_id",
    "maker_exec_id",
    "taker_exec_id",
    "request_id",
];

#[test]
fn a_script_causes_the_events_that_the_rulebook_says() {
    let output = run(SCRIPT);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = lines(&String::from_utf8(output.stdout).unwrap());
    let digests = found.pop().unwrap();
    for name in ["state_digest", "book_digest"] {
        let digest = digests[name].as_str().unwrap();
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digests}");
    }
    let expected = lines(EVENTS);
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(&without_handles(found), expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn the_same_script_gives_the_same_bytes() {
    assert_eq!(run(SCRIPT).stdout, run(SCRIPT).stdout);
}

#[test]
fn what_is_malformed_is_named_by_line_and_field() {
    let cases = [
        (
            r#"{"op": "new", "account": "a", "instrument": "i", "side": "buy", "prise": 1}"#,
            "\"prise\" is not known here",
        ),
        (r#"{"op": "trade"}"#, "\"trade\" is not an operation"),
        (r#"{"op": "new", "account": "a", "instrument": "i"}"#, "\"side\" is missing"),
        (r#"{"op": "new", "side": "long"}"#, "field \"side\": \"long\" is not a side"),
        (r#"{"op": "time", "ns": "soon"}"#, "field \"ns\": \"soon\" is not nanoseconds"),
        (r#"{"op": "time", "ns": 4}"#, "field \"ns\": 4 is before 5"),
        (r#"{"op": "protect", "instrument": "i", "collar": 5}"#, "field \"collar\": \"5\" is not a distance"),
        (r#"{"op": "protect", "instrument": "i", "call_duration": "soon"}"#, "\"soon\" is not nanoseconds"),
        (r#"{"op": "seed", "seed": "00"}"#, "field \"seed\": \"00\" is not 64 hexadecimal digits"),
        (r#"{"op": "seed"}"#, "field \"seed\" is missing"),
        ("new", "not a JSON object"),
    ];
    for (line, message) in cases {
        let output = run(&format!("{{\"op\": \"time\", \"ns\": 5}}\n\n{line}\n"));
        let found = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(found.contains(":3: ") && found.contains(message), "{line}: {found}");
    }
}

#[test]
fn what_falls_due_happens_when_time_comes_to_it() {
    let script = r#"
{"op": "instrument", "instrument": "X"}
{"op": "calendar", "instrument": "X", "at": "5000", "phase": "halted"}
{"op": "time", "ns": 4999}
{"op": "time", "ns": 5000}
{"op": "time", "ns": 6000}
"#;
    let found = lines(&String::from_utf8(run(script).stdout).unwrap());
    let changed: Vec<_> = found.iter().filter(|line| line["event"] == "PhaseChanged").collect();
    let [changed] = changed[..] else { panic!("{changed:?}") };
    assert_eq!((&changed["time"], &changed["to"]), (&5_000.into(), &"Halted".into()));
}

#[test]
fn an_instrument_that_only_matches_needs_neither_assets_nor_deposits() {
    let script = r#"
{"op": "instrument", "instrument": "X"}
{"op": "account", "account": "a"}
{"op": "account", "account": "b"}
{"op": "rest", "id": "1", "account": "a", "instrument": "X", "side": "sell", "price": 10, "quantity": 5}
{"op": "new", "id": "1", "account": "b", "instrument": "X", "side": "buy", "price": 12, "quantity": 7}
"#;
    let found = lines(&String::from_utf8(run(script).stdout).unwrap());
    let kinds: Vec<_> = found.iter().filter_map(|line| line["event"].as_str()).collect();
    let expected = ["InstrumentListed", "AccountOpened", "AccountOpened", "OrderAccepted", "OrderAccepted", "Trade"];
    assert_eq!(kinds, expected);
    let trade = &found[5];
    let sides = ["price", "quantity", "maker", "maker_account", "taker", "taker_account", "taker_leaves"];
    let values: Vec<_> = sides.iter().map(|name| trade[name].as_str().unwrap()).collect();
    assert_eq!(values, ["10", "5", "1", "a", "1", "b", "2"]);
}

fn run(script: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(["script", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let script = script.to_owned();
    // Written beside the reading, so that neither pipe fills up while the other waits.
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A script that is refused is not read to its end.
    let _ = writer.join().unwrap();
    output
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn without_handles(event: &Value) -> Value {
    let members = event.as_object().unwrap().iter().filter(|(name, _)| !HANDLES.contains(&name.as_str()));
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[test]
fn what_the_rulebook_has_can_be_said_in_a_script() {
    let script = r#"
{"op": "asset", "asset": "BTC", "decimals": 8}
{"op": "asset", "asset": "USD", "decimals": 10}
{"op": "instrument", "instrument": "X", "base": "BTC", "quote": "USD", "tick": "0.01", "lot": "0.00000001", "holds": "on", "stp": "co"}
{"op": "account", "account": "alice", "group": "desk"}
{"op": "account", "account": "bob"}
{"op": "deposit", "account": "alice", "asset": "USD", "amount": "1000"}
{"op": "deposit", "account": "bob", "asset": "BTC", "amount": "10"}
{"op": "adjust", "account": "alice", "asset": "USD", "amount": "5", "direction": "credit"}
{"op": "withdraw", "account": "alice", "asset": "USD", "amount": "5"}
{"op": "fees", "instrument": "X", "maker": "-100", "taker": 1000}
{"op": "calendar", "instrument": "X", "entry": 1, "at": "5000"}
{"op": "new", "id": "s1", "account": "bob", "instrument": "X", "side": "sell", "price": "100", "quantity": "3", "display": "1", "tif": "day"}
{"op": "new", "id": "t1", "account": "alice", "instrument": "X", "side": "buy", "type": "stop_limit", "stop": "100", "price": "99", "quantity": "1", "tif": "gtd", "expire": "9000"}
{"op": "new", "id": "m1", "account": "alice", "instrument": "X", "side": "buy", "type": "market", "funds": "100.1"}
{"op": "time", "ns": 5000}
{"op": "kill", "account": "alice"}
{"op": "kill", "account": "alice", "switch": "lifted"}
{"op": "bust", "instrument": "X", "trade": 1}
{"op": "delist", "instrument": "X"}
"#;
    let output = run(script);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let told: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["sequence"].as_u64().is_some_and(|sequence| sequence > 11))
        .map(|event| {
            let text = |field: &str| event[field].as_str().unwrap_or("").to_owned();
            let words = [text("event"), text("id"), text("quantity"), text("cancelled_funds"), text("reason")];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "OrderAccepted s1 3",
            "OrderAccepted t1 1",
            "OrderAccepted m1",
            // 100 and a fee of ten basis points: 100.1 to the last unit.
            "Trade 1",
            "OrderRestated s1 3 DisplayRefreshed",
            "OrderCancelled m1 0 FundsRemainder",
            "OrderTriggered t1 1",
            "OrderCancelled s1 3 DayEnded",
            "OrderCancelled t1 1 KillSwitch",
            "KillSwitchSet",
            "KillSwitchSet",
            "TradeBusted 1",
            "BalanceChanged",
            "BalanceChanged",
            "BalanceChanged",
            "BalanceChanged",
            "BalanceChanged",
            "InstrumentDelisted",
        ]
    );
}

/// The events of one kind that a script causes.
fn events_of(script: &str, kind: &str) -> Vec<Value> {
    let output = run(script);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let found = lines(&String::from_utf8(output.stdout).unwrap());
    found.into_iter().filter(|line| line["event"] == kind).collect()
}

#[test]
fn what_a_protection_does_not_say_stays_as_it_is() {
    let script = r#"
{"op": "instrument", "instrument": "X"}
{"op": "protect", "instrument": "X", "collar": "5t", "collar_action": "volatility_call", "call_duration": 7}
{"op": "protect", "instrument": "Y", "collar": "9t"}
{"op": "protect", "instrument": "X", "market": "none", "reference_source": "last_auction"}
"#;
    let set = events_of(script, "PriceProtectionSet");
    let fields = ["collar_unit", "market_unit", "collar_action", "reference_source"];
    let said: Vec<_> = set.iter().map(|event| fields.map(|field| event[field].as_str().unwrap())).collect();
    assert_eq!(
        said,
        [
            ["Ticks", "PartsPerMillion", "VolatilityCall", "LastTrade"],
            ["Ticks", "Unlimited", "VolatilityCall", "LastAuction"],
        ]
    );
    let numbers = set.iter().map(|event| ["collar_value", "market_value", "call_duration"].map(|field| &event[field]));
    assert_eq!(numbers.collect::<Vec<_>>(), [[5, 100_000, 7], [5, 0, 7]]);
}

#[test]
fn an_order_is_entered_as_the_phase_allows() {
    let script = r#"
{"op": "instrument", "instrument": "X", "phase": "opening_call"}
{"op": "account", "account": "a"}
{"op": "new", "id": "market in a call", "account": "a", "instrument": "X", "side": "buy", "type": "market", "quantity": 1}
{"op": "rest", "id": "rest in a call", "account": "a", "instrument": "X", "side": "buy", "price": 10, "quantity": 1}
{"op": "phase", "instrument": "X", "phase": "continuous"}
{"op": "new", "id": "market", "account": "a", "instrument": "X", "side": "buy", "type": "market", "quantity": 1}
{"op": "rest", "id": "rest", "account": "a", "instrument": "X", "side": "buy", "price": 10, "quantity": 1}
{"op": "rest", "id": "rest for the close", "account": "a", "instrument": "X", "side": "buy", "price": 10, "quantity": 1, "tif": "atc"}
"#;
    let accepted = events_of(script, "OrderAccepted");
    let said: Vec<_> = accepted
        .iter()
        .map(|event| (event["id"].as_str().unwrap(), event["tif"].as_str().unwrap(), event["post_only"].is_boolean()))
        .collect();
    assert_eq!(
        said,
        [
            ("market in a call", "GoodTillCancel", false),
            ("rest in a call", "GoodTillCancel", false),
            ("market", "ImmediateOrCancel", false),
            ("rest", "GoodTillCancel", true),
            ("rest for the close", "AtTheClose", false),
        ]
    );
}
