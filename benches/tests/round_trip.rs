//! The round trip in miniature: it measures both sides, and says on what.

use std::process::Command;

use serde_json::Value;

#[test]
fn both_sides_are_measured_and_the_machine_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_round_trip"));
    let output = command.args(["--rounds", "50", "--durability", "buffered", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    for side in ["venue", "echo"] {
        let times = ["p50", "p99", "p999", "max"].map(|name| said[format!("{side}_{name}_ns")].as_u64().unwrap());
        assert!(times[0] > 0 && times.is_sorted(), "{said}");
    }
    for name in ["load_model", "processor", "commit"] {
        assert!(said[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {said}");
    }
    assert_eq!((&said["rounds"], &said["durability"]), (&50.into(), &"buffered".into()));
}

#[test]
fn a_spinning_core_wants_a_processor_of_its_own() {
    let output = Command::new(env!("CARGO_BIN_EXE_round_trip")).args(["--idle", "spin"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--cores"), "{said}");
}
