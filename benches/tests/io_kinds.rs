//! The comparison of kinds of I/O in miniature: a line for each measurement, every request answered.

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn io_kinds(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_io_kinds")).args(arguments).output().unwrap()
}

#[test]
fn every_line_says_what_was_measured() {
    let output =
        io_kinds(&["--kind", "readiness", "--connections", "1,3", "--windows", "1,4", "--seconds", "0.02", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |line: &Value| {
        let number = |name: &str| line[name].as_u64().unwrap();
        (line["route"].as_str().unwrap().to_owned(), number("connections"), number("window"))
    };
    let mut expected = Vec::new();
    for route in ["direct", "hand-off"] {
        expected.extend(
            [(1, 1), (1, 4), (3, 1), (3, 4)].map(|(connections, window)| (route.to_owned(), connections, window)),
        );
    }
    assert_eq!(lines.iter().map(said).collect::<Vec<_>>(), expected);
    for line in &lines {
        assert!(line["answers"].as_u64().unwrap() > 0, "{line}");
        let times = ["p50_ns", "p99_ns", "max_ns"].map(|name| line[name].as_u64().unwrap());
        assert!(times.is_sorted(), "{line}");
    }
}

/// A process that is stopped and goes on finds its waits interrupted, all kinds on both routes alike.
#[cfg(target_os = "linux")]
#[test]
fn a_stopped_process_goes_on() {
    let arguments = ["--connections", "1,3", "--windows", "4", "--seconds", "0.05", "--json"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_io_kinds"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = Pid::from_child(&child);
    while child.try_wait().unwrap().is_none() {
        // The child is waited for behind this, so its number is nobody else's.
        for signal in [Signal::STOP, Signal::CONT] {
            kill_process(process, signal).unwrap();
            // So long it stands still, and so long it runs.
            thread::sleep(Duration::from_millis(2));
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().lines().count() >= 8);
}

#[test]
fn a_wrong_argument_is_named() {
    let cases = [
        (&["--seconds", "0"][..], "--seconds"),
        (&["--windows", "33"], "--windows"),
        (&["--connections", "0"], "--connections"),
        (&["--cores", "100000"], "--cores"),
    ];
    for (arguments, name) in cases {
        let output = io_kinds(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(name), "{said}");
    }
}
