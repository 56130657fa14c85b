//! `rialto self-test`, and what `serve` says and refuses by it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn rialto(tool: &str, data: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rialto")).args([tool, "--data"]).arg(data).args(options).output().unwrap()
}

fn findings(output: &Output) -> (Value, Vec<Value>) {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = answer["findings"].as_array().unwrap().clone();
    (answer["verdict"].clone(), findings)
}

#[test]
fn everything_is_looked_at_and_nothing_is_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let output = rialto("self-test", &place.path().join("data"), &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (verdict, findings) = findings(&output);
    let checks: Vec<_> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(
        checks,
        ["clock", "clock source", "sync", "processors", "open files", "locked memory", "head", "disk space"]
    );
    let worst = findings.iter().any(|finding| finding["verdict"] == "warning");
    assert_eq!(verdict, if worst { "warning" } else { "ok" });
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn what_cannot_work_is_refused_and_nothing_is_made() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let output = rialto("self-test", &data, &["--json", "--cores", "4095"]);
    assert_eq!(output.status.code(), Some(1));
    let (verdict, found) = findings(&output);
    assert_eq!(verdict, "failed");
    let failed = found.iter().find(|finding| finding["verdict"] == "failed").unwrap();
    assert_eq!(failed["check"], "processors");
    assert!(failed["found"].as_str().unwrap().contains("processor 4095 is not available"), "{failed}");
    // A place that nobody can write to.
    let output = rialto("serve", Path::new("/proc/no/such/place"), &["--http", "127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{error}");
    assert!(error.starts_with("rialto: sync: /proc"), "{error}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.lines().any(|line| line.starts_with("self-test     failed   sync: ")), "{said}");
    assert!(!data.exists());
}

#[test]
fn options_come_from_a_file_as_well() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rialto.toml");
    std::fs::write(&file, "connections-max = 65536\nmarket-data-connections-max = 65536\n").unwrap();
    let output = rialto("self-test", place.path(), &["--json", "--config", file.to_str().unwrap()]);
    let (_, findings) = findings(&output);
    let files = findings.iter().find(|finding| finding["check"] == "open files").unwrap();
    assert!(files["found"].as_str().unwrap().ends_with("131328 may be wanted"), "{files}");
}

#[test]
fn what_fails_is_an_object_a_line_where_that_was_asked_for() {
    for (options, exit) in [(&["--log", "json"][..], 5), (&[], 5)] {
        let output = rialto("serve", Path::new("/proc/no/such/place"), options);
        assert_eq!(output.status.code(), Some(exit));
        let error = String::from_utf8(output.stderr).unwrap();
        let [line] = error.lines().collect::<Vec<_>>()[..] else { panic!("{error}") };
        match options {
            [] => assert!(line.starts_with("rialto: sync: "), "{line}"),
            _ => {
                let event: Value = serde_json::from_str(line).unwrap();
                assert_eq!((&event["level"], &event["exit_code"]), (&"ERROR".into(), &5.into()), "{line}");
                assert!(event["message"].as_str().unwrap().starts_with("sync: "), "{line}");
                assert!(event["timestamp"].is_string(), "{line}");
            }
        }
    }
}
