//! Which crate may know which: dependencies point down, and siblings do not meet.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on within the workspace, besides what only its tests need.
const ALLOWED: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("ring", &["engine"]),
    ("wire", &["engine"]),
    ("journal", &["engine", "ring"]),
    ("simulation", &["engine", "journal", "ring"]),
    ("marketdata", &["engine", "ring", "wire"]),
    ("gateway", &["engine", "ring", "wire"]),
    ("client", &["marketdata", "wire"]),
    ("venue", &["client", "engine", "gateway", "journal", "marketdata", "ring", "wire"]),
    ("testkit", &["engine"]),
    ("abi", &["engine"]),
];

/// Crates that may depend on anything, and that none of the others depends on.
const TOP: &[&str] = &["benches", "fuzz", "simulator"];

/// What the engine may use from outside: none has threads, time or I/O as it is used here.
const ENGINE_LIBRARIES: &[&str] = &["blake3"];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Names of a package's dependencies that are not only its tests'.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn dependencies_point_down() {
    let packages = packages();
    let names: BTreeSet<String> = packages.iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let inside: BTreeSet<String> = dependencies(package).intersection(&names).cloned().collect();
        if TOP.contains(&name) {
            continue;
        }
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        for dependency in inside {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn the_engine_uses_only_what_has_no_world() {
    let packages = packages();
    let engine = packages.iter().find(|package| package["name"] == "engine").expect("the engine");
    let used = dependencies(engine);
    assert_eq!(used, ENGINE_LIBRARIES.iter().map(|name| (*name).to_owned()).collect());
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/src/lib.rs");
    assert!(std::fs::read_to_string(root).unwrap().lines().any(|line| line == "#![no_std]"));
}

#[test]
fn no_crate_below_the_venue_reads_the_time() {
    // How long a replay and a snapshot took: durations for people, which reach nothing else.
    let exempt = ["journal/src/replay.rs", "journal/src/shadow.rs"];
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["engine/src", "engine/ring/src", "gateway/wire/src", "gateway/src", "journal/src", "marketdata/src"];
    let mut looked_at = 0;
    let mut waiting: Vec<_> =
        folders.iter().map(|folder| workspace.join(folder)).filter(|path| path.is_dir()).collect();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                waiting.push(entry);
            } else if !exempt.iter().any(|exempt| entry.ends_with(exempt)) {
                let source = std::fs::read_to_string(&entry).unwrap();
                assert!(!source.contains("SystemTime") && !source.contains("Instant::now"), "{entry:?} reads the time");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 40, "{looked_at} files");
}
