//! `load` in miniature: everything that is sent is answered and counted, and what it says reads back.

use std::path::Path;
use std::process::{Command, Output};

use benches::load::result::{Report, Series};
use venue::arguments::DurabilityArgument;

fn load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load")).args(arguments).output().unwrap()
}

/// The runs that `load --json` tells of.
fn measured(arguments: &[&str]) -> Vec<Report> {
    let output = load(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| Report::from_json(line).unwrap()).collect()
}

const SHORT: [&str; 6] = ["--warm-up", "50ms", "--duration", "200ms", "--cool-down", "20ms"];

fn of<'a>(report: &'a Report, name: &str) -> &'a Series {
    report.series(name).unwrap_or_else(|| panic!("{name} in {report:?}"))
}

/// Whether it is as a series of so many times has to be.
fn assert_timed(series: &Series, count: u64) {
    assert_eq!(series.count, count, "{series:?}");
    let times = [series.p50_ns, series.p90_ns, series.max_ns].map(|time| time.unwrap());
    assert!(times[0] > 0 && times.is_sorted(), "{series:?}");
    assert_eq!((series.p99_ns.is_some(), series.p999_ns.is_some()), (count >= 1_000, count >= 10_000), "{series:?}");
    assert_eq!(series.slices.iter().map(|slice| slice.count).sum::<u64>(), count);
}

fn assert_counted(series: &Series) {
    assert!(series.count > 0 && series.per_second.unwrap() > 0.0 && series.p50_ns.is_none(), "{series:?}");
    assert!(!series.slices.is_empty());
}

/// Whether everything that it takes to believe a result is there.
fn assert_told(report: &Report) {
    let environment = &report.environment;
    for text in [&report.load_model, &environment.processor, &environment.kernel, &environment.commit] {
        assert!(!text.is_empty(), "{report:?}");
    }
    assert!(environment.processors > 0 && !environment.threads.is_empty() && environment.switches.is_some());
    let says_debug = environment.warnings.iter().any(|warning| warning.contains("built without optimization"));
    assert_eq!(says_debug, cfg!(debug_assertions), "{:?}", environment.warnings);
    assert_eq!(&Report::from_json(&report.to_json()).unwrap(), report);
}

#[test]
fn at_a_rate_every_command_is_answered_and_the_measured_time_counts() {
    for (policy, durability) in [("buffered", DurabilityArgument::Buffered), ("synced", DurabilityArgument::Synced)] {
        let options = ["--mode", "pipeline", "--rate", "5000", "--durability", policy];
        let report = measured(&[&options[..], &SHORT].concat()).remove(0);
        assert_told(&report);
        // 5,000 a second, of which those of 200 ms count.
        for name in ["pipeline", "sending", "limit: ring", "limit: writer"] {
            assert_timed(of(&report, name), 1_000);
        }
        assert_eq!(report.series("limit: bare sync").map(|series| series.count), (policy == "synced").then_some(1_000));
        assert_counted(of(&report, "limit: engine"));
        assert_eq!((report.rate, report.durability), (Some(5_000), Some(durability)));
        let limits: Vec<&str> = report.ratios.iter().map(|ratio| ratio.to.as_str()).collect();
        assert_eq!(limits[0], if policy == "synced" { "limit: bare sync" } else { "limit: ring" });
        assert!(report.ratios.iter().all(|ratio| ratio.p50.unwrap() > 0.0));
    }
}

#[test]
fn without_a_rate_the_pipeline_takes_what_it_can() {
    let report = measured(&[&["--mode", "pipeline", "--durability", "buffered"][..], &SHORT].concat()).remove(0);
    assert_told(&report);
    for name in ["pipeline", "limit: ring", "limit: writer", "limit: engine"] {
        assert_counted(of(&report, name));
    }
    assert_eq!((report.rate, report.arrivals), (None, None));
    // Beside the slowest part first.
    let ratios: Vec<f64> = report.ratios.iter().map(|ratio| ratio.per_second.unwrap()).collect();
    assert!(ratios.len() == 3 && ratios.iter().rev().is_sorted_by(|one, other| one <= other), "{:?}", report.ratios);
}

#[test]
fn the_engine_alone_is_measured_both_ways() {
    let closed = measured(&[&["--mode", "engine"][..], &SHORT].concat()).remove(0);
    assert_told(&closed);
    for name in ["engine", "limit: floor", "limit: floor with reports"] {
        assert_counted(of(&closed, name));
    }
    assert!(of(&closed, "operation").p999_ns.is_some());
    assert_eq!(closed.ratios.len(), 3);
    assert_eq!((closed.durability, closed.rate), (None, None));

    let options = ["--mode", "engine", "--rate", "20000", "--arrivals", "burst", "--mix", "e1k"];
    let open = measured(&[&options[..], &SHORT].concat()).remove(0);
    assert_told(&open);
    // Bursts of 64 every 3.2 ms: those from 51.2 ms to 249.6 ms are due in the measured time.
    assert_timed(of(&open, "engine"), 63 * 64);
    assert_timed(of(&open, "limit: floor"), 63 * 64);
}

#[test]
fn a_start_is_measured_with_and_without_a_snapshot() {
    let report = measured(&["--mode", "recovery", "--rate", "5000", "--duration", "500ms"]).remove(0);
    assert_told(&report);
    for name in ["start, from the first command", "start, from a snapshot", "limit: engine"] {
        assert_counted(of(&report, name));
        assert_eq!(of(&report, name).slices.len(), 3);
    }
    let note = |what: &str| report.notes.iter().find(|note| note.0 == what).unwrap().1;
    let (all, behind) = (note("commands"), note("commands behind the snapshot"));
    // 2,500 operations behind what opens 64 accounts and fills the book; the snapshot is behind a block of 1,024.
    assert!(all > 3_500.0, "{all}");
    assert!(behind < all && (all - behind) % 1_024.0 == 0.0, "{behind} of {all}");
}

#[test]
fn each_policy_and_run_is_told_and_its_percentiles_written() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("hgrm");
    let path = folder.to_str().unwrap();
    let options = ["--mode", "pipeline", "--rate", "1000", "--durability", "buffered,synced", "--runs", "2"];
    let reports = measured(&[&options[..], &SHORT, &["--hgrm", path]].concat());
    let runs: Vec<_> = reports.iter().map(|report| (report.durability, report.run)).collect();
    let policies = [DurabilityArgument::Buffered, DurabilityArgument::Synced].map(Some);
    assert_eq!(runs, [(policies[0], 1), (policies[0], 2), (policies[1], 1), (policies[1], 2)]);
    let written = std::fs::read_to_string(folder.join("pipeline_synced_1000_2_pipeline.hgrm")).unwrap();
    assert!(written.contains("Total count    =          200]"), "{written}");
}

#[test]
fn a_table_names_the_limits_and_what_spoils_the_run() {
    let output = load(&[&["--mode", "engine"][..], &SHORT].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in
        ["engine, s1k", "closed loop", "p99.9", "limit: floor", "engine to limit: floor: per second", "warning: "]
    {
        assert!(said.contains(words), "{words} in {said}");
    }
}

#[test]
fn a_sweep_draws_and_its_lines_compare_with_themselves_as_noise() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    let rates = ["--from", "4000", "--to", "8000", "--steps", "2", "--plot", path];
    let options = ["sweep", "--mode", "pipeline", "--durability", "buffered"];
    let output = load(&[&options[..], &rates, &SHORT].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("| offered/s |") && said.contains("\n| 4,000 |"), "{said}");
    assert!(place.path().join("sweep_pipeline_s1k_buffered.svg").is_file());
    let lines = place.path().join("sweep.jsonl");
    let compared = compare(&lines, &lines);
    let said = String::from_utf8_lossy(&compared.stdout);
    assert_eq!(compared.status.code(), Some(0), "{said}");
    assert!(said.contains("pipeline, s1k, buffered, 4000/s") && said.contains("noise"), "{said}");
}

#[test]
fn what_got_slower_ends_with_a_code_that_says_so() {
    let place = tempfile::tempdir().unwrap();
    let [before, behind, other] = ["a.json", "b.json", "c.json"].map(|name| place.path().join(name));
    let report = measured(&["--mode", "recovery", "--rate", "1000", "--duration", "100ms"]).remove(0);
    let lines = |name: &str, factor: f64| -> String {
        let run = |index: u64| {
            let mut report = report.clone();
            report.series.truncate(1);
            report.series[0].name = name.to_owned();
            report.series[0].per_second = Some(factor * (1_000.0 + index as f64));
            report.to_json() + "\n"
        };
        (0..6).map(run).collect()
    };
    std::fs::write(&before, lines("start", 1.0)).unwrap();
    std::fs::write(&behind, lines("start", 0.5)).unwrap();
    let worse = compare(&before, &behind);
    assert_eq!(worse.status.code(), Some(1), "{}", String::from_utf8_lossy(&worse.stdout));
    assert!(String::from_utf8_lossy(&worse.stdout).contains("slower by 4"));
    assert_eq!(compare(&behind, &before).status.code(), Some(0));

    let engine = measured(&[&["--mode", "engine"][..], &SHORT].concat()).remove(0);
    std::fs::write(&other, engine.to_json()).unwrap();
    let refused = compare(&before, &other);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    assert_eq!(compare(&before, &place.path().join("none")).status.code(), Some(5));
}

fn compare(before: &Path, behind: &Path) -> Output {
    load(&["compare", before.to_str().unwrap(), behind.to_str().unwrap()])
}

#[test]
fn a_wrong_argument_is_named() {
    for (arguments, name) in [
        (&["--mode", "everything"][..], "--mode"),
        (&["--rate", "10"], "--mode"),
        (&["--mode", "pipeline", "--duration", "10"], "--duration"),
        (&["--mode", "pipeline", "--mix", "s2k"], "--mix"),
        (&["--mode", "recovery"], "--rate"),
        (&["--mode", "pipeline", "--idle", "spin"], "--cores"),
        (&["sweep", "--mode", "pipeline", "--from", "2", "--to", "1"], "--to"),
        (&["sweep", "--mode", "pipeline", "--from", "2", "--to", "4", "--rate", "3"], "--rate"),
    ] {
        let output = load(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(name), "{arguments:?}: {said}");
    }
}
