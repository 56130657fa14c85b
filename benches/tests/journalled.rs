//! A journalled run replays to the same events, state and books.

use std::path::Path;
use std::process::Command;

use journal::replay;
use serde_json::Value;

/// The last line that `flow` printed, as JSON.
fn flow(arguments: &[&Path]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_flow")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_journalled_script_replays_to_the_digests_that_it_printed() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/first_day.jsonl");
    let printed = flow(&["script".as_ref(), &script, "--journal".as_ref(), folder.path()]);
    let replayed = replay(folder.path(), &mut (), |_| {}).unwrap();
    assert_eq!(replayed.commands, 29);
    assert_eq!(printed["state_digest"], replayed.state_digest.to_string());
    assert_eq!(printed["book_digest"], replayed.book_digest.to_string());
    assert_eq!(printed, flow(&["script".as_ref(), &script]), "journalling changes nothing");
}

#[test]
fn a_folder_with_a_journal_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/first_day.jsonl");
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
        command.arg("script").arg(&script).arg("--journal").arg(folder.path()).output().unwrap()
    };
    assert!(run().status.success());
    let second = run();
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("has a journal of 29 commands already"), "{said}");
}

#[test]
fn the_recorded_day_replays_from_its_journal() {
    let day = "coinbase_btcusd_20180713";
    let recordings = std::env::var_os("RIALTO_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), std::path::PathBuf::from);
    let recording = recordings.join(day);
    if !recording.is_dir() {
        println!("skipped: {day} is not here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["coinbase".as_ref(), &*recording, "--json".as_ref(), "--journal".as_ref(), folder.path()];
    let printed = flow(&arguments);
    let replayed = replay(folder.path(), &mut (), |_| {}).unwrap();
    assert_eq!(printed["commands"], replayed.commands);
    assert_eq!(printed["event_digest"], replayed.event_digest.to_string());
    assert_eq!(printed["state_digest"], replayed.state_digest.to_string());
    assert_eq!(printed["book_digest"], replayed.book_digest.to_string());
}
