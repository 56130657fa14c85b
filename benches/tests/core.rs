//! The throughput bench in miniature: its operations are those of the yardstick, every candidate trades as it has to,
//! and what it says has all of its members.

use std::process::{Command, Output};

use benches::throughput::floor::{Floor, Silent};
use benches::throughput::ring::Ring;
use benches::throughput::workload::{Outcome, Part, Stream, Workload};
use serde_json::Value;

const OPERATIONS: usize = 20_000;

/// What the yardstick's generator says of 20,000 operations: prefill, highest id, and trades, volume, digest.
const YARDSTICK: [(Workload, usize, u32, Outcome); 3] = [
    (Workload::S1k, 1_000, 12_856, Outcome { trades: 3_739, volume: 94_597, digest: 0x081d_0679_ea8c_ca79 }),
    (Workload::E1k, 1_000, 3_378, Outcome { trades: 869, volume: 24_231, digest: 0x8386_af75_0a10_c5a8 }),
    (Workload::D1m, 1_000_000, 1_011_092, Outcome { trades: 3_645, volume: 92_962, digest: 0x7759_3546_a217_5b86 }),
];

fn core(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_core")).args(arguments).output().unwrap()
}

#[test]
fn generator_and_floors_trade_as_the_yardstick_does() {
    for (workload, prefill, highest_id, outcome) in YARDSTICK {
        let stream = Stream::generate(workload, workload.seed(), OPERATIONS);
        let [filling, timed] = [Part::Prefill, Part::Timed].map(|part| stream.part(part).len());
        assert_eq!((filling, timed, stream.highest_id()), (prefill, OPERATIONS, highest_id), "{workload}");
        assert_eq!(stream.outcome(), outcome, "{workload}");
        let mut floor = Floor::new(&stream, Silent);
        let mut event_floor = Floor::new(&stream, Ring::new());
        for (part, operations) in [(Part::Prefill, filling), (Part::Timed, timed)] {
            floor.run(&stream, part, 0..operations);
            event_floor.run(&stream, part, 0..operations);
        }
        assert_eq!((floor.outcome(), event_floor.outcome()), (outcome, outcome), "{workload}");
    }
}

#[test]
fn another_seed_is_another_stream() {
    let [one, other] = [1, 2].map(|seed| Stream::generate(Workload::S1k, seed, 1_000).outcome());
    assert_ne!(one, other);
}

#[test]
fn every_workload_is_measured_in_full() {
    for (workload, _, _, outcome) in YARDSTICK {
        // A million resting orders take their time without optimization.
        let modes = if workload == Workload::D1m { &["matching"][..] } else { &["matching", "venue"] };
        for mode in modes {
            let workload_name = workload.to_string();
            let said =
                core(&["--workload", &workload_name, "--mode", mode, "--operations", "20000", "--runs", "1", "--json"]);
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let line: Value = serde_json::from_slice(&said.stdout).unwrap();
            assert_eq!((&line["workload"], &line["mode"]), (&workload_name.into(), &(*mode).into()));
            assert_eq!(line["operations"], OPERATIONS);
            assert_eq!((&line["trades"], &line["volume"]), (&outcome.trades.into(), &outcome.volume.into()));
            assert_eq!(line["digest"], format!("{:016x}", outcome.digest));
            assert_eq!((&line["allocations"], &line["runs"]), (&0.into(), &1.into()));
            assert_eq!((&line["seed"], &line["accounts"]), (&workload.seed().into(), &64.into()));
            complete(&line, outcome);
        }
    }
}

#[test]
fn without_a_choice_both_modes_are_measured() {
    let output = core(&["--workload", "s1k", "--operations", "200", "--runs", "1", "--json"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let modes: Vec<Value> =
        said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["mode"].take()).collect();
    assert_eq!(modes, ["matching", "venue"]);
}

fn complete(line: &Value, outcome: Outcome) {
    // One event for each operation and trade; the rest of an ImmediateOrCancel order is told besides.
    let least = OPERATIONS as u64 + outcome.trades;
    let events = line["events"].as_u64().unwrap();
    assert!((least..least + OPERATIONS as u64).contains(&events), "{line}");
    for name in ["ops_per_second", "floor_ops_per_second", "event_floor_ops_per_second"] {
        assert!(line[name].as_u64().unwrap() > 0, "{name} in {line}");
    }
    for name in ["floor_ratio", "event_floor_ratio"] {
        assert!(line[name].as_f64().unwrap() > 0.0, "{name} in {line}");
    }
    let times = ["p50", "p99", "p999", "max"].map(|name| line[format!("nanoseconds_{name}")].as_u64().unwrap());
    assert!(times.is_sorted(), "{line}");
    for name in ["machine", "commit"] {
        assert!(line[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {line}");
    }
}

#[test]
fn a_table_tells_what_the_floor_does_too() {
    let output = core(&["--operations", "2000", "--runs", "1", "--workload", "e1k", "--mode", "venue", "--latency"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in ["e1k      venue", "engine, move", "engine, IOC", "floor, all", "p99.99", "no allocation"] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

#[test]
fn a_wrong_argument_is_named() {
    for (arguments, name) in [
        (&["--workload", "s2k"][..], "--workload"),
        (&["--mode", "half"], "--mode"),
        (&["--runs", "0"], "--runs"),
        (&["--operations", "0"], "--operations"),
        (&["--accounts", "0"], "--accounts"),
        (&["--core", "100000"], "--core"),
        (&["--only", "floor", "--json"], "--only"),
        (&["--workload", "s1k", "--only", "engine", "--peers"], "--only"),
    ] {
        let output = core(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(name), "{said}");
    }
}
