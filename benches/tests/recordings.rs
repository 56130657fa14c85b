//! Recorded days come out as they did on their venues.
//!
//! The recordings are not part of the project. They are looked for in `RIALTO_DATA`, or else in `shared/data` beside
//! the workspace; a test whose recording is absent says so in one line. The counts are those that the recordings'
//! own description states.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

#[test]
fn coinbase_every_match_and_the_closing_book_with_its_queues() {
    expect(
        "coinbase",
        "coinbase_btcusd_20180713",
        &[
            ("matches_expected", 501),
            ("matches_equal", 501),
            ("resting_expected", 66_833),
            ("resting_equal", 66_833),
            ("fifo_levels_expected", 27_695),
            ("fifo_levels_equal", 27_695),
        ],
    );
}

#[test]
fn coinbase_through_the_gateway_comes_out_the_same_and_is_published_so() {
    let expected = [
        ("matches_expected", 501),
        ("matches_equal", 501),
        ("tape_expected", 501),
        ("tape_equal", 501),
        ("resting_equal", 66_833),
        ("fifo_levels_equal", 27_695),
        ("feed_levels_equal", 27_695),
        ("feed_orders_equal", 66_833),
        ("replay_digests_equal", 3),
        ("direct_book_digest_equal", 1),
    ];
    expect_with("coinbase", &["--via", "gateway", "--sessions", "4"], "coinbase_btcusd_20180713", &expected);
}

#[test]
fn market_by_order_implies_every_market_by_price_row() {
    expect(
        "mbo",
        "xnas_arl_20250717",
        &[
            ("rows_expected", 3_928),
            ("rows_equal", 3_928),
            ("feed_rows_equal", 3_928),
            ("executions_expected", 11),
            ("executions_equal", 11),
            ("executions_at_front", 11),
        ],
    );
}

#[test]
fn lobster_every_message_leads_from_the_levels_before_it_to_those_after_it() {
    expect("lobster", "lobster_amzn_20120621_1000rows", &[("rows_expected", 999), ("rows_equal", 999)]);
}

#[test]
fn ibm_executions_are_at_the_best_price_and_all_but_one_at_the_front() {
    expect(
        "ibm",
        "nasdaq_ibm_tradingphysics",
        &[
            ("executions_expected", 705),
            ("executions_equal", 705),
            ("executions_at_best", 705),
            ("executions_at_front", 704),
        ],
    );
}

#[test]
fn itch_every_symbol_and_what_another_reader_counted() {
    expect(
        "itch",
        "nasdaq_itch50_20190730_open100ms/smoke.itch.gz",
        &[("unknown_reductions", 13_138), ("resting_expected", 31_729), ("resting_equal", 31_729)],
    );
}

#[test]
fn bitstamp_every_order_lives_as_its_events_say() {
    expect("bitstamp", "bitstamp_btcusd_20150501", &[("resting_expected", 184), ("resting_equal", 184)]);
}

fn expect(flow: &str, recording: &str, expected: &[(&str, u64)]) {
    expect_with(flow, &[], recording, expected);
}

fn expect_with(flow: &str, options: &[&str], recording: &str, expected: &[(&str, u64)]) {
    let path = data_folder().join(recording);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
    let output = command.arg(flow).arg(&path).arg("--json").args(options).output().unwrap();
    let differences = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 1, "one object on one line: {printed}{differences}");
    let object: Value = serde_json::from_str(&printed).unwrap();
    for (name, count) in expected {
        assert_eq!(object[name], Value::from(*count), "{name} in {printed}{differences}");
    }
    assert_eq!(output.status.code(), Some(0), "{differences}");
}

fn data_folder() -> PathBuf {
    std::env::var_os("RIALTO_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from)
}
