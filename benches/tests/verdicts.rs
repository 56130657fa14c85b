//! A flow says that it agrees only if it does: small recordings, each in a version that differs and one that is damaged.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const OPENING: &str = r#"{"sequence": 1, "bids": [], "asks": [["100.00", "1", "m"], ["100.00", "2", "n"]]}"#;

/// `t` takes 0.4 of `m` and rests nothing; `x` would rest post-only and is refused; `n` is cancelled.
const DAY: &str = r#"[
{"type": "received", "time": "2018-07-13T20:47:11Z", "order_id": "t", "order_type": "limit", "side": "buy", "price": "100.00", "size": "0.4"},
{"type": "match", "time": "2018-07-13T20:47:11Z", "maker_order_id": "m", "taker_order_id": "t", "side": "sell", "price": "100.00", "size": "0.4"},
{"type": "done", "time": "2018-07-13T20:47:11Z", "order_id": "t", "side": "buy", "reason": "filled", "price": "100.00", "remaining_size": "0"},
{"type": "received", "time": "2018-07-13T20:47:12Z", "order_id": "x", "order_type": "limit", "side": "buy", "price": "99.00", "size": "1"},
{"type": "done", "time": "2018-07-13T20:47:12Z", "order_id": "x", "side": "buy", "reason": "canceled", "price": "99.00", "remaining_size": "1"},
{"type": "done", "time": "2018-07-13T20:47:13Z", "order_id": "n", "side": "sell", "reason": "canceled", "price": "100.00", "remaining_size": "2"}
]"#;

const CLOSING: &str = r#"{"sequence": 9, "bids": [], "asks": [["100.00", "0.6", "m"]]}"#;

fn coinbase(day: &str, closing: &str) -> Output {
    coinbase_through(&[], day, closing)
}

fn coinbase_through(door: &[&str], day: &str, closing: &str) -> Output {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("beginning_level_3.json"), OPENING).unwrap();
    fs::write(folder.path().join("messages.json"), day).unwrap();
    fs::write(folder.path().join("ending_level_3.json"), closing).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
    command.arg("coinbase").arg(folder.path()).arg("--json").args(door).output().unwrap()
}

/// The same day as real sessions, alone and in turns: what agrees agrees, and what differs is found by whoever sees it.
#[test]
fn a_small_day_through_the_gateway_agrees_and_differs_as_it_should() {
    let names =
        ["matches_equal", "resting_equal", "fifo_levels_equal", "tape_equal", "feed_levels_equal", "feed_orders_equal"];
    let digests = ["replay_digests_equal", "direct_book_digest_equal"];
    let one = ["--via", "gateway"];
    let three = ["--via", "gateway", "--sessions", "3", "--durability", "buffered"];
    for door in [&one[..], &three[..]] {
        let output = coinbase_through(door, DAY, CLOSING);
        assert_eq!((output.status.code(), counts(&output, &names)), (Some(0), vec![1, 1, 1, 1, 1, 1]));
        assert_eq!(counts(&output, &digests), [3, 1]);
    }
    let other_maker = DAY.replace(r#""maker_order_id": "m""#, r#""maker_order_id": "n""#);
    let output = coinbase_through(&one, &other_maker, CLOSING);
    assert_eq!((output.status.code(), counts(&output, &names)), (Some(1), vec![0, 1, 1, 1, 1, 1]));
    let output = coinbase_through(&one, DAY, &CLOSING.replace("0.6", "0.5"));
    assert_eq!((output.status.code(), counts(&output, &names)), (Some(1), vec![1, 0, 1, 1, 0, 0]));
}

/// A trader says how large an order is to be, the recording what is to be left of it.
#[test]
fn what_is_to_be_left_of_a_part_filled_order_is_left() {
    let change = r#"{"type": "change", "time": "2018-07-13T20:47:12Z", "order_id": "m", "new_size": "0.3"},"#;
    let second = r#"{"type": "received", "time": "2018-07-13T20:47:12Z""#;
    let day = DAY.replacen(second, &format!("{change}\n{second}"), 1);
    for door in [&[][..], &["--via", "gateway"]] {
        let output = coinbase_through(door, &day, &CLOSING.replace("0.6", "0.3"));
        assert_eq!((output.status.code(), counts(&output, &["resting_equal"])), (Some(0), vec![1]));
    }
}

#[test]
fn doors_are_asked_for_before_what_goes_through_them() {
    let output = coinbase_through(&["--sessions", "2"], DAY, CLOSING);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("--via"), "{said}");
}

#[test]
fn a_small_day_agrees() {
    let output = coinbase(DAY, CLOSING);
    let counts = counts(&output, &["matches_expected", "matches_equal", "resting_equal", "fifo_levels_equal"]);
    assert_eq!((output.status.code(), counts), (Some(0), vec![1, 1, 1, 1]));
}

#[test]
fn a_match_of_another_maker_differs() {
    let output = coinbase(&DAY.replace(r#""maker_order_id": "m""#, r#""maker_order_id": "n""#), CLOSING);
    assert_eq!((output.status.code(), counts(&output, &["matches_expected", "matches_equal"])), (Some(1), vec![1, 0]));
}

#[test]
fn a_match_that_the_data_does_not_have_differs() {
    let without: String = DAY.lines().filter(|line| !line.contains("\"match\"")).collect();
    let output =
        coinbase(&without.replace(r#""order_id": "t", "order_type""#, r#""order_id": "u", "order_type""#), CLOSING);
    assert_eq!((output.status.code(), counts(&output, &["matches_expected", "matches_equal"])), (Some(1), vec![0, 0]));
}

#[test]
fn another_closing_quantity_and_an_order_too_many_differ() {
    let output = coinbase(DAY, &CLOSING.replace("0.6", "0.5"));
    let found = counts(&output, &["resting_expected", "resting_equal", "fifo_levels_equal"]);
    assert_eq!((output.status.code(), found), (Some(1), vec![1, 0, 1]));
    let output = coinbase(DAY, &CLOSING.replace(r#"["100.00", "0.6", "m"]"#, ""));
    assert_eq!((output.status.code(), counts(&output, &["resting_expected", "resting_equal"])), (Some(1), vec![0, 0]));
}

#[test]
fn a_damaged_line_is_named_and_an_absent_file_is_an_input_error() {
    let output = coinbase(&DAY.replace(r#""size": "1""#, r#""size": "one""#), CLOSING);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("messages.json:5: \"one\" is not a whole number of 0.00000001"), "{message}");
    assert_eq!(flow("coinbase", Path::new("/nowhere")).status.code(), Some(5));
}

/// Order 1 is before order 2 at 10.00, and 2 is executed first all the same.
const OUT_OF_TURN: &str = "\
Time,Ticker,Order,T,Shares,Price,MPID,X
1000,IBM,1,B,100,100000,,Q
1001,IBM,2,B,50,100000,,Q
1002,IBM,2,E,20,0,,Q
1003,IBM,1,F,0,0,,Q
1004,IBM,2,F,0,0,,Q
1005,IBM,3,S,10,100100,,Q
1006,IBM,3,C,4,0,,Q
";

#[test]
fn an_execution_out_of_turn_is_told_from_those_at_the_front() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rows.csv"), OUT_OF_TURN).unwrap();
    let output = flow("ibm", folder.path());
    let names =
        ["executions_expected", "executions_equal", "executions_at_best", "executions_at_front", "resting_equal"];
    assert_eq!((output.status.code(), counts(&output, &names)), (Some(0), vec![3, 3, 3, 2, 1]));
}

#[test]
fn a_row_of_an_unknown_kind_is_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rows.csv"), OUT_OF_TURN.replace("1,F", "1,Z")).unwrap();
    let output = flow("ibm", folder.path());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("rows.csv:5: \"Z\" is not a kind of row"), "{message}");
}

/// One level a side, to keep the rows short.
const ORDERS: &str = "\
ts_event,action,side,price,size,order_id,sequence,symbol
1000,R,N,,0,0,0,ARL
1001,A,B,5.51,100,7,1,ARL
1002,A,B,5.51,30,8,2,ARL
1003,T,A,5.51,40,0,3,ARL
1003,F,B,5.51,40,7,3,ARL
1003,C,B,5.51,40,7,3,ARL
1004,C,B,5.51,30,8,4,ARL
";
const LEVELS: &str = "\
ts_event,action,price,size,sequence,bid_px_00,bid_sz_00,bid_ct_00,ask_px_00,ask_sz_00,ask_ct_00
1000,R,,0,0,,0,0,,0,0
1001,A,5.51,100,1,5.51,100,1,,0,0
1002,A,5.51,30,2,5.51,130,2,,0,0
1003,T,5.51,40,3,5.51,90,2,,0,0
1004,C,5.51,30,4,5.51,60,1,,0,0
";

fn market_by_order(orders: &str, levels: &str) -> Output {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("mbo.csv"), orders).unwrap();
    fs::write(folder.path().join("mbp.csv"), levels).unwrap();
    flow("mbo", folder.path())
}

#[test]
fn a_fill_is_a_trade_and_its_reduction_is_not_made_twice() {
    let output = market_by_order(ORDERS, LEVELS);
    let names = ["rows_expected", "rows_equal", "executions_at_front", "resting_equal"];
    assert_eq!((output.status.code(), counts(&output, &names)), (Some(0), vec![5, 5, 1, 1]));
}

#[test]
fn another_level_and_a_row_that_never_comes_up_differ() {
    let output = market_by_order(ORDERS, &LEVELS.replace("5.51,90,2", "5.51,90,1"));
    assert_eq!((output.status.code(), counts(&output, &["rows_expected", "rows_equal"])), (Some(1), vec![5, 4]));
    let output = market_by_order(ORDERS, &format!("{LEVELS}1005,A,5.51,30,5,5.51,90,2,,0,0\n"));
    assert_eq!((output.status.code(), counts(&output, &["rows_expected", "rows_equal"])), (Some(1), vec![6, 5]));
}

fn flow(name: &str, path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow")).arg(name).arg(path).arg("--json").output().unwrap()
}

fn counts(output: &Output, names: &[&str]) -> Vec<u64> {
    let object: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    names.iter().map(|name| object[name].as_u64().unwrap()).collect()
}
