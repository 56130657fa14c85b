//! The long proofs of the journal in short, and what they say when a promise is broken.

use std::process::Command;

use serde_json::Value;

fn run(program: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    println!("{program} {}", arguments.join(" "));
    let output = Command::new(program).arg("--json").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let row = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code(), row, said)
}

const BROKEN: [&str; 5] = ["lost", "invented", "early", "refused", "other"];

#[test]
fn journals_live_through_power_losses() {
    let (code, row, said) = run(env!("CARGO_BIN_EXE_power_loss"), &["--seeds", "500..520", "--threads", "2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(BROKEN.iter().all(|name| row[name] == 0), "{row}");
    assert_eq!(row["seeds"], "500..520");
    assert!(row["power_losses"].as_u64().unwrap() > 10 && row["acknowledged"].as_u64().unwrap() > 100, "{row}");
}

#[test]
fn a_disk_whose_syncs_do_nothing_is_noticed_and_told() {
    let (code, row, said) = run(env!("CARGO_BIN_EXE_power_loss"), &["--seeds", "1..6", "--lie", "sync"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(row["early"].as_u64().unwrap() > 0, "{row}");
    assert!(said.contains("on the device") && said.contains("operations of the last life"), "{said}");
}

#[test]
fn flipped_bits_are_found() {
    // The last bits are those of the last batch.
    for (from, to) in [("0", "300"), ("2785000", "2785280")] {
        let (code, row, said) = run(env!("CARGO_BIN_EXE_bit_flips"), &["--from", from, "--to", to]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!((&row["silent_or_wrong"], &row["of"]), (&Value::from(0), &Value::from(2_785_280)), "{row}");
        let kind = if from == "0" { "damaged" } else { "cut" };
        assert_eq!(row[kind], row["verifications"], "{row}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_bit_flips")).args(["--from", "9", "--to", "9"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "bit_flips: the journal has the bits 0..2785280, and 9..9 is no part of it\n");
}

#[test]
fn subscribers_end_with_the_engines_book_and_one_that_is_told_otherwise_is_noticed() {
    let (code, row, said) = run(env!("CARGO_BIN_EXE_subscribers"), &["--seeds", "900..960", "--threads", "2"]);
    assert_eq!((code, &row["wrong"]), (Some(0), &Value::from(0)), "{said}");
    let happened =
        ["compared", "ended", "proven", "gaps", "notices", "repeated", "conflated", "lost", "closed", "trades"];
    assert!(happened.iter().all(|name| row[name].as_u64().unwrap() > 0), "{row}");
    let (code, row, said) = run(env!("CARGO_BIN_EXE_subscribers"), &["--seeds", "1..11", "--lie"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(row["wrong"].as_u64().unwrap() > 0 && said.contains("has another book of"), "{said}");
}
