//! `rialto top`, once, beside a venue that runs and one that does not.

mod common {
    pub(crate) mod demo;
}

use std::process::{Command, Output};

use serde_json::{Value, json};

use self::common::demo;

fn top(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rialto")).arg("top").args(arguments).output().unwrap()
}

#[test]
fn a_page_of_a_running_venue_says_what_it_has() {
    let (running, folder) = demo::start(&[]);
    let data = folder.path().to_str().unwrap();
    let http = running.addresses().http.to_string();

    // The folder of a venue that is embedded does not say where it listens.
    let key = folder.path().join("keys/administrator.json");
    let reach = ["--connect", &http, "--key", key.to_str().unwrap()];
    let output = top(&[&reach[..], &["--once"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<_> = text.lines().collect();
    assert_eq!(rows.len(), 40);
    assert!(rows[0].starts_with(&format!(" rialto  http://{http}  ready  takes everything  ")), "{text}");
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in ["│ sequence 39 ", "spare segments 2 ", "│ 1 BTC-USD Continuous ", "│ none "] {
        assert!(squeezed.contains(said), "{said}\n{text}");
    }

    let output = top(&[&reach[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["ready"], &object["sequence"]), (&json!(true), &json!(39.0)));
    assert_eq!(object["per_second"]["commands"], 0.0);
    assert_eq!(object["instruments"].as_array().unwrap().len(), 3);
    assert_eq!(object["sessions"], json!([]));

    // Without a key the rest is there all the same.
    let output = top(&["--connect", &http, "--data", "/nowhere", "--json"]);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["ready"], &object["instruments"]), (&json!(true), &Value::Null));

    running.stop().unwrap();
    let output = top(&["--data", data, "--once"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("no venue, looking for it") && text.contains(" ! no venue runs on "), "{text}");
    let output = top(&["--connect", &http, "--json"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["reached"], &object["ready"]), (&json!(false), &Value::Null));
}

#[test]
fn a_screen_needs_a_terminal() {
    let output = top(&["--data", "/nowhere"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("--once prints a page"));
}
