//! Loads through a venue's doors in miniature: everything is sent, answered and told beside its limit.

use std::process::{Command, Output};

use benches::load::arguments::Security;
use benches::load::result::Report;
use benches::load::stage::prepare;
use benches::trading::served::{Served, arguments};
use venue::arguments::DurabilityArgument;
use venue::data_folder::DataFolder;
use venue::serve::SetUp;

/// 200 orders count of about 500 that are sent in both turns together.
const SMALL: [&str; 10] =
    ["--rate", "1000", "--duration", "200ms", "--warm-up", "50ms", "--cool-down", "50ms", "--durability", "buffered"];

fn load(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load")).args(SMALL).args(options).output().unwrap()
}

fn reports(options: &[&str]) -> Vec<Report> {
    let output = load(&[options, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| Report::from_json(line).unwrap()).collect()
}

fn report(options: &[&str]) -> Report {
    let mut reports = reports(options);
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

fn note(report: &Report, name: &str) -> f64 {
    let found = report.notes.iter().find(|(what, _)| what == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", report.notes)).1
}

fn count(report: &Report, name: &str) -> u64 {
    report.series(name).unwrap_or_else(|| panic!("no {name}")).count
}

#[test]
fn every_order_is_answered_in_the_venue_and_in_the_echo() {
    for mix in ["s1k", "e1k"] {
        let report = report(&["--mode", "round-trip", "--sessions", "3", "--mix", mix, "--arrivals", "poisson"]);
        for of in ["", "echo_"] {
            let [sent, answered] = ["sent", "answered"].map(|name| note(&report, &format!("{of}{name}")));
            assert!(sent == answered && sent > 250.0, "{mix}: {sent} sent, {answered} answered");
            assert_eq!(note(&report, &format!("{of}busy")), 0.0);
        }
        assert!(note(&report, "aggressors") > 0.0, "{mix}: nothing traded");
        assert_eq!(count(&report, "round trip"), count(&report, "limit: echo"));
        assert!((150..=250).contains(&count(&report, "round trip")), "{}", count(&report, "round trip"));
        assert!(count(&report, "limit: ring") > 0);
        let named: Vec<_> = report.ratios.iter().map(|ratio| (ratio.of.as_str(), ratio.to.as_str())).collect();
        assert!(named.contains(&("round trip", "limit: echo")), "{named:?}");
        assert!(report.ratios[0].p50.is_some());
    }
}

#[test]
fn orders_come_in_bursts_over_many_sessions() {
    let report = report(&["--mode", "round-trip", "--sessions", "70", "--arrivals", "burst", "--security", "plain"]);
    assert_eq!(note(&report, "sent"), note(&report, "answered"));
    assert_eq!(report.security, Some(Security::Plain));
    // Two turns, in each of which whole bursts of 64 are due.
    assert_eq!(note(&report, "sent") % 64.0, 0.0);
}

#[test]
fn hops_add_up_to_the_way_of_their_orders() {
    let report = report(&["--mode", "round-trip"]);
    // One in 32 of those that count.
    let orders = note(&report, "hops_orders");
    assert!((5.0..=7.0).contains(&(orders + note(&report, "hops_incomplete"))) && orders > 0.0, "{:?}", report.notes);
    let ratio = note(&report, "hops_sum_to_mean_of_these");
    assert!((0.95..=1.05).contains(&ratio), "{ratio}");
    let (first, last) = (&report.hops[0].name, &report.hops[report.hops.len() - 1].name);
    assert_eq!((first.as_str(), last.as_str()), ("due to client sent", "sent to client read"));
}

#[test]
fn a_venue_that_runs_already_is_loaded_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path()).unwrap();
    let nothing = |_: &DataFolder| -> SetUp { panic!("it was founded before") };
    let served = Served::start(&arguments(folder.path(), DurabilityArgument::Buffered), nothing).unwrap();
    let address = served.addresses().order_entry.to_string();
    let data = folder.path().to_str().unwrap();
    for _ in 0..2 {
        let report = report(&["--mode", "round-trip", "--connect", &address, "--data", data]);
        assert_eq!((note(&report, "sent"), note(&report, "answered")), (400.0, 400.0));
        assert_eq!((count(&report, "round trip"), count(&report, "limit: echo")), (200, 200));
        assert!(report.hops.is_empty(), "another process keeps its stamps");
    }
    let report = report(&["--mode", "round-trip", "--connect", &address, "--data", data, "--without-limits"]);
    assert_eq!(note(&report, "answered"), 400.0);
    assert!(report.ratios.is_empty() && report.series.iter().all(|series| !series.is_limit()));
    served.stop().unwrap();
}

#[test]
fn a_table_names_the_limit() {
    let output = load(&["--mode", "round-trip"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("limit: echo") && said.contains("send lateness"), "{said}");
}

#[test]
fn more_sessions_than_the_venue_admits_are_refused() {
    let output = load(&["--mode", "round-trip", "--sessions", "6001"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("--sessions 6001"), "{said}");
}

#[test]
fn a_spinning_core_wants_a_processor_of_its_own() {
    let output = load(&["--mode", "round-trip", "--idle", "spin"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--cores"), "{said}");
}

#[test]
fn a_subscriber_sees_every_trade() {
    let report = report(&["--mode", "tick-to-trade", "--sessions", "2"]);
    let aggressors = note(&report, "aggressors");
    assert!(aggressors > 0.0);
    assert_eq!((note(&report, "traded"), note(&report, "gaps")), (aggressors, 0.0));
    assert!(count(&report, "tick to trade") > 0 && count(&report, "limit: echo and QUIC") > 0);
    assert!(count(&report, "tick to trade") <= aggressors as u64);
    assert_eq!(count(&report, "round trip"), 200);
    assert_eq!(report.ratios[0].to, "limit: echo and QUIC");
}

#[test]
fn every_subscriber_sees_every_event() {
    let alone = report(&["--mode", "fan-out", "--subscribers", "1"]);
    let three = report(&["--mode", "fan-out", "--subscribers", "3"]);
    assert!(note(&alone, "packets_delivered") > 0.0);
    assert_eq!(3.0 * note(&alone, "packets_delivered"), note(&three, "packets_delivered"));
    assert_eq!(3.0 * note(&alone, "messages_delivered"), note(&three, "messages_delivered"));
    assert_eq!(note(&three, "gaps"), 0.0);
    // In the limit each order that is due is a packet.
    assert_eq!(note(&three, "limit_packets_delivered"), 3.0 * note(&three, "sent"));
    assert!(count(&three, "delivery") > 0 && count(&three, "limit: QUIC") == 600);
}
