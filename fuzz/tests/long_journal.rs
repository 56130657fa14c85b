//! A short long journal: it is verified, replayed, and looked back at, to what its engine came to; its traffic is of every
//! kind; and what does not agree is told.

use std::path::Path;
use std::process::Command;

use engine::{Event, EventHeader, EventKind, EventSink, Sequence};
use journal::SnapshotStore;
use serde_json::Value;

fn run(place: &Path, arguments: &[&str]) -> (Option<i32>, Value, String) {
    println!("long_journal {}", arguments.join(" "));
    let mut command = Command::new(env!("CARGO_BIN_EXE_long_journal"));
    let output = command.args(["--json", "--segment-mib", "1", "--place"]).arg(place).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

fn expected(place: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(place.join("expected.json")).unwrap()).unwrap()
}

/// Events by kind.
#[derive(Default)]
struct Kinds(std::collections::BTreeMap<EventKind, u64>);

impl EventSink for Kinds {
    fn event(&mut self, _: &EventHeader, event: &Event) {
        *self.0.entry(event.kind()).or_default() += 1;
    }
}

impl Kinds {
    fn count(&self, kind: EventKind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }
}

#[test]
fn a_journal_leads_to_what_its_engine_came_to() {
    let folder = tempfile::tempdir().unwrap();
    let (code, row, said) = run(folder.path(), &["--commands", "12300", "--snapshots", "4"]);
    assert_eq!(code, Some(0), "{said}");
    // At the first end of a block behind each fifth.
    assert_eq!(row["snapshots"]["count"], 4);
    let snapshots = SnapshotStore::open(folder.path()).sequences().unwrap();
    assert_eq!(snapshots, [3_072, 6_144, 9_216, 12_288].map(Sequence));
    let made = expected(folder.path());
    assert_eq!((made["moments"].as_array().unwrap().len(), made["lives"].as_array().unwrap().len()), (8, 8));
    assert!(folder.path().join("history").is_dir());
    assert_eq!(row["differences"], Value::Array(vec![]), "{row}");
    assert_eq!(row["made_by"]["commands"], 12_300);
    assert!(
        ["generate", "verify", "replay", "look_back"].iter().all(|part| row[part]["seconds"].as_f64() > Some(0.0)),
        "{row}"
    );

    // The same seed is the same journal, whatever else the machine does, and whether a shadow follows or not.
    let other = tempfile::tempdir().unwrap();
    let (_, again, _) = run(other.path(), &["--commands", "12300", "--phase", "generate", "--snapshots", "0"]);
    assert_eq!(expected(other.path()), made);
    assert_eq!(again["snapshots"], Value::Null);

    let mut kinds = Kinds::default();
    let replayed = journal::replay(folder.path(), &mut kinds, |_| {}).unwrap();
    assert_eq!(replayed.events, row["made_by"]["events"].as_u64().unwrap());
    println!("{:?}", kinds.0);
    for kind in [EventKind::OrderAccepted, EventKind::OrderReplaced, EventKind::OrderCancelled, EventKind::Trade] {
        assert!(kinds.count(kind) > 1_000, "{kind:?}");
    }
    assert!(kinds.count(EventKind::OrderTriggered) > 0 && kinds.count(EventKind::MassCancelled) > 0);
    let refused = [EventKind::OrderRejected, EventKind::CancelRejected, EventKind::MassCancelRejected];
    let refused: u64 = refused.into_iter().map(|kind| kinds.count(kind)).sum();
    assert!(refused < 1_000, "{refused} requests are refused");
    assert_eq!(kinds.count(EventKind::CommandRejected) + kinds.count(EventKind::SessionRejected), 0);
}

#[test]
fn what_the_journal_does_not_lead_to_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, said) = run(folder.path(), &["--commands", "3000", "--phase", "generate"]);
    assert_eq!(code, Some(0), "{said}");
    let file = folder.path().join("expected.json");
    let mut expected = expected(folder.path());
    let book_digest = expected["book_digest"].clone();
    expected["book_digest"] = "0".repeat(64).into();
    std::fs::write(&file, expected.to_string()).unwrap();
    let (code, row, said) = run(folder.path(), &["--phase", "replay"]);
    assert_eq!(code, Some(1), "{said}");
    let told = format!("book digest: expected \"{}\", found {book_digest}", "0".repeat(64));
    assert_eq!(row["differences"], Value::from(vec![told]), "{row}");

    expected["book_digest"] = book_digest;
    expected["moments"][3]["state_digest"] = "1".repeat(64).into();
    expected["lives"][0]["events"].as_array_mut().unwrap().push(vec![1, 0].into());
    std::fs::write(&file, expected.to_string()).unwrap();
    let (code, row, said) = run(folder.path(), &["--phase", "look-back"]);
    assert_eq!(code, Some(1), "{said}");
    let told = row["differences"].as_array().unwrap();
    assert_eq!(told.len(), 3, "by sequence, by time, and in the history: {row}");
    assert!(told[0].as_str().unwrap().starts_with("as of Sequence("), "{row}");
    assert!(told[1].as_str().unwrap().starts_with("as of Time("), "{row}");
    assert!(told[2].as_str().unwrap().starts_with("the life of order "), "{row}");
}

#[test]
fn what_cannot_be_done_says_why_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, said) = run(folder.path(), &["--phase", "verify"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("begin with --phase generate"), "{said}");
    let (code, _, said) = run(folder.path(), &["--commands", &u64::MAX.to_string()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("MiB, and") && said.contains("are free"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let (code, _, said) = run(folder.path(), &["--commands", "1000", "--phase", "generate"]);
    assert_eq!(code, Some(0), "{said}");
    let before = std::fs::read(folder.path().join("journal/00000001.seg")).unwrap();
    let (code, _, said) = run(folder.path(), &["--commands", "1000"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("holds a journal already"), "{said}");
    assert_eq!(std::fs::read(folder.path().join("journal/00000001.seg")).unwrap(), before);
}
