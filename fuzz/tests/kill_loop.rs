//! A few kills in each mode: nothing is lost, nothing is doubled, and what comes out is what would have without them.
//!
//! Many more are in `docs/results/kill_loop.jsonl`.

use std::process::Command;

use serde_json::Value;

fn kill_loop(arguments: &[&str]) -> Value {
    println!("kill_loop {}", arguments.join(" "));
    let output = Command::new(env!("CARGO_BIN_EXE_kill_loop")).arg("--json").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn nothing_is_lost(row: &Value) {
    for name in ["lost", "doubled", "differences"] {
        assert_eq!(row[name], 0, "{name} in {row}");
    }
}

#[test]
fn a_day_comes_out_the_same_though_the_venue_is_killed() {
    for (durability, seed) in [("synced", "11"), ("buffered", "12")] {
        let arguments =
            ["--mode", "flow", "--made", "1500", "--rounds", "4", "--durability", durability, "--seed", seed];
        let row = kill_loop(&arguments);
        nothing_is_lost(&row);
        assert_eq!(row["kills"], 4);
        assert!(row["commands"].as_u64().unwrap() > 1_500, "{row}");
    }
}

#[test]
fn each_venue_has_its_day_and_its_kills() {
    let arguments = ["--mode", "flow", "--made", "300", "--rounds", "5", "--renew", "2", "--seed", "14"];
    let row = kill_loop(&arguments);
    nothing_is_lost(&row);
    assert_eq!((&row["venues"], &row["kills"]), (&Value::from(3), &Value::from(5)), "{row}");
    assert!(row["commands"].as_u64().unwrap() > 3 * 300, "{row}");
}

#[test]
fn fifty_traders_agree_with_the_journal_though_the_venue_is_killed() {
    let row = kill_loop(&["--mode", "load", "--rounds", "4", "--durability", "buffered", "--seed", "13"]);
    nothing_is_lost(&row);
    assert_eq!(row["kills"], 4);
    assert!(row["reports"].as_u64().unwrap() > 0, "{row}");
}

#[test]
fn a_hundred_traders_of_the_client_library_come_back_by_themselves() {
    let arguments =
        ["--mode", "rejoin", "--sessions", "100", "--rounds", "3", "--durability", "buffered", "--seed", "15"];
    let row = kill_loop(&arguments);
    nothing_is_lost(&row);
    assert_eq!(row["kills"], 3);
    assert!(row["reports"].as_u64().unwrap() > 0, "{row}");
    println!("{row}");
}
