//! `rialto journal`: what others drive, as a process: one JSON object on the last line, and the exit code.

mod common {
    pub(crate) mod killed;
}

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output, Stdio};

use engine::command::OpenAccount;
use engine::{
    AccountId, Capacity, Command, Engine, Event, EventHeader, Sequence, Sequenced, StpGroup, Timestamp,
    command::AdminNote,
};
use journal::{
    BEFORE_FIRST, Both, Digest, EventDigest, Journal, Opened, Options, Sequencer, book_digest, state_digest,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::common::killed::Killed;

const PAGE: usize = 4_096;

/// Small enough that every account can be opened.
fn options(folder: &TempDir) -> Options {
    Options { segment_bytes: 65_536, head_directory: Some(folder.path().to_owned()), ..Options::new(Capacity::SMALL) }
}

/// A venue that opened accounts 2 to 15, one batch each, and refused 20 more.
fn venue(folder: &TempDir) -> (PathBuf, Vec<(EventHeader, Event)>, [Digest; 3]) {
    let data = folder.path().join("data");
    let Opened { journal, appender, .. } = Journal::open(&data, &options(folder)).unwrap();
    let mut engine = Engine::new(Capacity::SMALL);
    let mut sequencer = Sequencer::new(appender, BEFORE_FIRST);
    let (mut digest, mut events) = (EventDigest::new(), Vec::new());
    for account in 2..36 {
        let command = Command::from_venue(OpenAccount {
            account: AccountId(account),
            stp_group: StpGroup::NONE,
            self_trade_prevention: None,
            fee_tier: 0,
            note: AdminNote::NONE,
        });
        let mut sink = Both { first: &mut digest, second: &mut events };
        let last = sequencer.submit(&mut engine, Timestamp(account.into()), &[command], &mut sink).unwrap();
        digest.applied(last.sequence);
        journal.wait_released(last.sequence).unwrap();
    }
    let digests = [digest.value(), state_digest(&engine), book_digest(&engine)];
    journal.close(sequencer.into_append(), digests[0]).unwrap();
    (data, events, digests)
}

fn rialto(arguments: &[&str], directory: &Path) -> Output {
    Process::new(env!("CARGO_BIN_EXE_rialto")).args(arguments).arg(directory).output().unwrap()
}

/// The object on the last line, and the exit code.
fn answer(tool: &str, directory: &Path) -> (Value, i32) {
    let output = rialto(&["journal", tool, "--json"], directory);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.stderr, b"", "the progress bar is hidden when nobody sees it");
    (serde_json::from_str(text.lines().last().unwrap()).unwrap(), output.status.code().unwrap())
}

fn segment(data: &Path) -> PathBuf {
    data.join("journal/00000001.seg")
}

fn flip(data: &Path, at: usize) {
    let mut bytes = std::fs::read(segment(data)).unwrap();
    bytes[at] ^= 1;
    std::fs::write(segment(data), bytes).unwrap();
}

#[test]
fn replay_says_what_the_venue_knew() {
    let folder = TempDir::new().unwrap();
    let (data, events, digests) = venue(&folder);
    let (mut object, code) = answer("replay", &data);
    for rate in ["seconds", "commands_per_second"] {
        assert!(object.as_object_mut().unwrap().remove(rate).unwrap().as_f64().unwrap() >= 0.0);
    }
    let [event_digest, state_digest, book_digest] = digests.map(|digest| digest.to_string());
    let expected = json!({
        "first": 1, "last": 34, "commands": 34, "events": events.len(),
        "event_digest": event_digest, "state_digest": state_digest, "book_digest": book_digest,
    });
    assert_eq!((object, code), (expected, 0));
}

#[test]
fn verify_adds_that_all_is_well() {
    let folder = TempDir::new().unwrap();
    let (data, _, digests) = venue(&folder);
    let (object, code) = answer("verify", &data);
    assert_eq!((&object["ok"], &object["offset"], &object["reason"]), (&json!(true), &Value::Null, &Value::Null));
    assert_eq!((&object["last"], &object["sealed"], &object["cut"]), (&json!(34), &json!(true), &json!(false)));
    assert_eq!(object["event_digest"], json!(digests[0].to_string()));
    assert_eq!(code, 0);
}

#[test]
fn verify_reports_a_torn_tail_as_well() {
    let folder = TempDir::new().unwrap();
    let (data, ..) = venue(&folder);
    // The seal is the 15th page of the third segment; the flipped byte is in its record.
    let last = std::fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    let seal = bytes.iter().rposition(|&byte| byte != 0).unwrap() / PAGE * PAGE;
    bytes[seal + 80] ^= 1;
    std::fs::write(&last, bytes).unwrap();
    let (object, code) = answer("verify", &data);
    assert_eq!((&object["ok"], &object["cut"], &object["offset"]), (&json!(true), &json!(true), &json!(seal)));
    assert_eq!((&object["last"], &object["sealed"]), (&json!(34), &json!(false)));
    assert!(object["reason"].as_str().unwrap().contains("torn tail"), "{object}");
    assert_eq!(object["file"], json!(last.to_str().unwrap()));
    assert_eq!(code, 0);
}

#[test]
fn damage_is_exit_code_4_with_offset_and_reason() {
    let folder = TempDir::new().unwrap();
    let (data, ..) = venue(&folder);
    flip(&data, 3 * PAGE + 100);
    for tool in ["verify", "replay"] {
        let (object, code) = answer(tool, &data);
        assert_eq!((&object["ok"], &object["offset"]), (&json!(false), &json!(3 * PAGE)), "{tool}");
        assert!(object["reason"].as_str().unwrap().contains("record 0: the checksum does not match"), "{object}");
        assert_eq!(code, 4);
    }
    let (object, _) = answer("verify", &data);
    assert_eq!(object["last"], json!(2), "two batches stand before it");
}

/// Applies nothing: for what only has to be in the journal.
struct NoCore;

impl journal::Apply for NoCore {
    fn apply(&mut self, _: &Sequenced<Command>, _: &mut impl engine::EventSink) {}

    fn next_deadline(&self) -> Timestamp {
        Timestamp::NEVER
    }
}

#[test]
fn a_digest_that_differs_is_exit_code_1() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let Opened { journal, appender, .. } = Journal::open(&data, &options(&folder)).unwrap();
    let mut sequencer = Sequencer::new(appender, BEFORE_FIRST);
    let command = Command::from_venue(engine::command::AdvanceTime {});
    let last = sequencer.submit(&mut NoCore, Timestamp(1), &[command], &mut Vec::new()).unwrap();
    assert_eq!(last.sequence, Sequence(1));
    journal.close(sequencer.into_append(), Digest([7; 32])).unwrap();
    let (object, code) = answer("verify", &data);
    assert_eq!((&object["ok"], code), (&json!(false), 1));
    assert!(object["reason"].as_str().unwrap().contains("block 0"), "{object}");
}

#[test]
fn no_journal_and_no_arguments_are_exit_code_2() {
    let folder = TempDir::new().unwrap();
    let (object, code) = answer("verify", folder.path());
    assert_eq!((&object["ok"], code), (&json!(false), 2));
    assert_eq!(rialto(&["journal", "mend"], folder.path()).status.code(), Some(2));
}

#[test]
fn a_folder_in_place_of_a_segment_is_exit_code_5() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir_all(segment(folder.path())).unwrap();
    assert_eq!(answer("verify", folder.path()).1, 5);
}

#[test]
fn a_running_venue_can_be_verified() {
    let folder = TempDir::new().unwrap();
    let (data, ..) = venue(&folder);
    let running = Journal::open(&data, &options(&folder)).unwrap();
    assert_eq!(answer("verify", &data).1, 0);
    drop(running.appender);
}

#[test]
fn without_json_there_is_a_table() {
    let folder = TempDir::new().unwrap();
    let (data, ..) = venue(&folder);
    let text = String::from_utf8(rialto(&["journal", "verify"], &data).stdout).unwrap();
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().nth(1);
    assert_eq!((line("ok"), line("commands"), line("sealed")), (Some("true"), Some("34"), Some("true")));
}

/// Everything that a process prints until it ends, and its exit code.
fn end(mut process: Killed) -> (String, Option<i32>) {
    let mut said = String::new();
    process.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    (said, process.wait().unwrap().code())
}

#[test]
fn tail_shows_commands_as_they_become_durable() {
    let folder = TempDir::new().unwrap();
    let (data, ..) = venue(&folder);
    let follow = |options: &[&str]| {
        let mut process = Process::new(env!("CARGO_BIN_EXE_rialto"));
        process.args(["journal", "tail", "--head"]).arg(folder.path()).args(options).arg(&data);
        Killed(process.stdout(Stdio::piped()).spawn().unwrap())
    };
    let [json, text] = [&["--from", "33", "--count", "4", "--json"][..], &["--from", "36", "--count", "1"]].map(follow);
    let Opened { journal, appender, recovery } = Journal::open(&data, &options(&folder)).unwrap();
    let last = engine::Stamp { sequence: recovery.last, time: Timestamp(50) };
    let mut sequencer = Sequencer::new(appender, last);
    for time in [51, 52] {
        let command = Command::from_venue(engine::command::AdvanceTime {});
        sequencer.submit(&mut NoCore, Timestamp(time), &[command], &mut Vec::new()).unwrap();
    }
    let (said, code) = end(json);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<_> = lines.iter().map(|line| (line["sequence"].clone(), line["command"].clone())).collect();
    let expected = [(33, "OpenAccount"), (34, "OpenAccount"), (35, "AdvanceTime"), (36, "AdvanceTime")];
    assert_eq!((code, shown), (Some(0), expected.map(|(sequence, command)| (json!(sequence), json!(command))).into()));
    let (said, code) = end(text);
    assert_eq!((code, said.split_whitespace().take(3).collect()), (Some(0), vec!["36", "52", "AdvanceTime"]));
    journal.close(sequencer.into_append(), Digest::ZERO).unwrap();

    let nothing = rialto(&["journal", "tail"], folder.path());
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8(nothing.stderr).unwrap().contains("holds no journal"));
}
