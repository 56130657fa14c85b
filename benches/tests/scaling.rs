//! The cost of an operation as the venue grows, in miniature.

use std::process::{Command, Output};

use serde_json::Value;

fn scaling(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scaling")).args(arguments.split_whitespace()).output().unwrap()
}

fn lines(arguments: &str) -> Vec<Value> {
    let output = scaling(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers<const N: usize>(line: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| line[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}")))
}

fn names_its_machine(line: &Value) {
    assert!(line["cores"].as_u64().is_some_and(|cores| cores > 0), "{line}");
    for name in ["processor", "commit"] {
        assert!(line[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {line}");
    }
}

#[test]
fn each_point_says_what_it_is_of_and_what_it_costs() {
    let points = lines("--axis orders --operations 2000 --runs 2 --max 1000 --seed 7 --json");
    let places: Vec<_> = points.iter().map(|point| (point["value"].as_u64(), point["mode"].as_str())).collect();
    let expected = [(100, "matching"), (100, "venue"), (1_000, "matching"), (1_000, "venue")];
    assert_eq!(places, expected.map(|(value, mode)| (Some(value), Some(mode))));
    for point in &points {
        assert_eq!(point["axis"], "orders");
        let [orders, levels, instruments, accounts] = numbers(point, ["orders", "levels", "instruments", "accounts"]);
        // Thirteen a level, whole levels only.
        assert_eq!((orders, levels), (point["value"].as_u64().unwrap(), orders / 13));
        assert_eq!((instruments, accounts), (1, 64));
        assert_eq!(point["sessions"], if point["mode"] == "venue" { 64 } else { 0 });
        assert_eq!(numbers(point, ["operations", "runs", "seed"]), [2_000, 2, 7]);
        assert!(point["nanoseconds_per_operation"].as_f64().is_some_and(|cost| cost > 0.0), "{point}");
        assert!(numbers(point, ["nanoseconds_p50", "nanoseconds_p99"]).is_sorted(), "{point}");
        names_its_machine(point);
    }
}

#[test]
fn every_operation_does_what_it_should() {
    let points = lines("--axis accounts --operations 5000 --orders 500 --runs 1 --max 10 --seed 3 --json");
    for point in &points {
        let [new, cancels, crossing] = numbers(point, ["new_orders", "cancels", "crossing_orders"]);
        assert_eq!(new + cancels + crossing, 5_000, "{point}");
        assert!((400..600).contains(&crossing), "one in ten of {point}");
        let [events, trades] = numbers(point, ["events", "trades"]);
        // A report for each operation, and the trades of those that cross: at least one each.
        assert_eq!(events, 5_000 + trades, "{point}");
        assert!(trades >= crossing, "{point}");
    }
    let [matching, venue] = &points[..] else { panic!("{points:?}") };
    assert_eq!(matching["checksum"], venue["checksum"], "the same orders trade, whatever is held");
}

#[test]
fn the_other_axes_grow_what_they_name() {
    for (axis, values) in [("levels", vec![10, 100]), ("instruments", vec![1, 10]), ("accounts", vec![10])] {
        let last = values.last().unwrap();
        let of = format!("--axis {axis} --mode matching --operations 1000 --orders 1000 --runs 1 --max {last} --json");
        let points = lines(&of);
        let found: Vec<_> = points.iter().map(|point| point[axis].as_u64().unwrap()).collect();
        assert_eq!(found, values, "{axis}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_resting_order_is_weighed() {
    let points = lines("--axis memory --mode matching --max 100000 --json");
    let [point] = &points[..] else { panic!("{points:?}") };
    let [orders, bytes] = numbers(point, ["orders", "resident_bytes"]);
    let each = point["bytes_per_order"].as_f64().unwrap();
    assert!((each - bytes as f64 / orders as f64).abs() < 0.1, "{point}");
    // An order has more than a cache line to keep, and not a page.
    assert!((64.0..4_096.0).contains(&each), "{point}");
    names_its_machine(point);
}

#[test]
fn a_picture_of_the_axis_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let of = "--axis orders --operations 500 --runs 1 --max 1000 --json --plot";
    let arguments = format!("{of} {}", folder.path().display());
    lines(&arguments);
    let picture = std::fs::read_to_string(folder.path().join("scaling_orders.svg")).unwrap();
    for text in ["nanoseconds per operation", "resting orders", "full venue", "matching only", "1,000"] {
        assert!(picture.contains(text), "{text} in {picture}");
    }
}

#[test]
fn what_cannot_be_is_said() {
    for (arguments, named) in [
        ("--axis sideways", "--axis"),
        ("--mode half", "--mode"),
        ("--runs 0", "--runs"),
        ("--operations 0", "--operations"),
        ("--orders 99", "--orders"),
        ("--axis orders --max 99", "--max"),
        ("--axis instruments --orders 100", "--orders"),
        ("--seed x", "--seed"),
        ("--quick", "--quick"),
    ] {
        let output = scaling(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains(named), "{arguments}: {said}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
}
