//! `rialto journal verify --against`: a journal that was forged well enough to agree with itself does not agree with
//! checkpoints that were kept elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use ed25519_dalek::SigningKey;
use engine::command::{AddAsset, AdminNote, AdvanceTime};
use engine::{AssetId, Capacity, Command, Sequence, Text, Timestamp};
use journal::{
    AsOf, BlockDigest, ChainHash, Checkpoint, Digest, Journal, JournalCopy, JournalId, Link, Opened, Options, Reader,
    Replayed, SegmentNumber, Sequencer, SignedCheckpoint, rebuild,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const PAGE: usize = 4_096;
const ID: JournalId = JournalId([7; 16]);

struct Original {
    folder: TempDir,
    checkpoints: Vec<Checkpoint>,
}

/// Goes on up to command 3,500, fifty together, and seals; an asset is added by one command. Gives the blocks' digests.
fn write_journal(data: &Path, heads: &Path, asset: AssetId, added_by: u64) -> Vec<BlockDigest> {
    let options = Options {
        segment_bytes: 65_536,
        head_directory: Some(heads.to_owned()),
        journal_id: Some(ID),
        ..Options::new(Capacity::SMALL)
    };
    let Opened { journal, appender, .. } = Journal::open(data, &options).unwrap();
    let Replayed { mut engine, event_digest: mut digest, .. } =
        rebuild(Reader::open(data).unwrap(), &mut (), |_| {}).unwrap();
    let (mut sequencer, mut blocks) = (Sequencer::new(appender, engine.last()), Vec::new());
    for first in (engine.last().sequence.0 + 1..=3_500).step_by(50) {
        let command = |sequence| match sequence {
            _ if sequence == added_by => Command::from_venue(AddAsset {
                asset,
                name: Text::new("USD").unwrap(),
                decimals: 2,
                note: AdminNote::NONE,
            }),
            _ => Command::from_venue(AdvanceTime {}),
        };
        let commands: Vec<_> = (first..first + 50).map(command).collect();
        let last = sequencer.submit(&mut engine, Timestamp(first), &commands, &mut digest).unwrap();
        digest.applied(last.sequence);
        for block in digest.completed() {
            journal.digests().push(block);
            blocks.push(block);
        }
        journal.wait_released(last.sequence).unwrap();
    }
    journal.close(sequencer.into_append(), digest.value()).unwrap();
    blocks
}

fn segments(data: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The batch that holds a command, as the format draws it.
fn link(data: &Path, sequence: u64) -> Link {
    for (number, file) in (1..).zip(segments(data)) {
        let bytes = fs::read(file).unwrap();
        let mut at = PAGE;
        while bytes.get(at..at + 4) == Some(b"RBAT") {
            let first = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().unwrap());
            let [count, payload] =
                [24, 32].map(|field| u32::from_le_bytes(bytes[at + field..at + field + 4].try_into().unwrap()));
            let end = (at + 72 + payload as usize).next_multiple_of(PAGE);
            let last = first + u64::from(count) - 1;
            if (first..=last).contains(&sequence) {
                let hash = ChainHash(blake3::hash(&bytes[at..end]).into());
                return Link { segment: SegmentNumber(number), last: Sequence(last), hash };
            }
            at = end;
        }
    }
    panic!("no batch holds {sequence}");
}

impl Original {
    fn make() -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        let blocks = write_journal(&data, folder.path(), AssetId(1), 1_500);
        assert_eq!(blocks.len(), 3);
        let checkpoint = |BlockDigest { block, digest }: BlockDigest| Checkpoint {
            journal: ID,
            venue: 1,
            shard: 0,
            sequence: block.last(),
            time: Timestamp(block.last().0),
            event_count: 0,
            event_digest: digest,
            state_digest: Digest::ZERO,
            link: link(&data, block.last().0),
        };
        Self { checkpoints: blocks.into_iter().map(checkpoint).collect(), folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn lines(&self) -> Vec<Value> {
        self.checkpoints.iter().map(|checkpoint| line(&SignedCheckpoint::sign(*checkpoint, &key(1)))).collect()
    }

    /// What `verify` says against these lines, and its exit code.
    fn verify(&self, data: &Path, lines: &[Value], more: &[&str]) -> (Value, Option<i32>) {
        let file = self.folder.path().join("checkpoints.jsonl");
        fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        verify(data, &file, more)
    }
}

fn verify(data: &Path, file: &Path, more: &[&str]) -> (Value, Option<i32>) {
    let mut process = Process::new(env!("CARGO_BIN_EXE_rialto"));
    process.args(["journal", "verify", "--json", "--against"]).arg(file).args(more).arg(data);
    let output = process.output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> String {
    hexadecimal(key(seed).verifying_key().as_bytes())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(signed: &SignedCheckpoint) -> Value {
    let checkpoint = &signed.checkpoint;
    json!({
        "journal": hexadecimal(&checkpoint.journal.0), "venue": checkpoint.venue, "shard": checkpoint.shard,
        "sequence": checkpoint.sequence.0, "time": checkpoint.time.0, "events": checkpoint.event_count,
        "event_digest": hexadecimal(&checkpoint.event_digest.0),
        "state_digest": hexadecimal(&checkpoint.state_digest.0), "segment": checkpoint.link.segment.0,
        "segment_last": checkpoint.link.last.0, "hash": hexadecimal(&checkpoint.link.hash.0),
        "key": hexadecimal(&signed.key), "signature": hexadecimal(&signed.signature),
    })
}

#[test]
fn a_journal_that_is_as_it_was_agrees() {
    let original = Original::make();
    for more in [&[][..], &["--key", &public(1)], &["--chain-only"]] {
        let (object, code) = original.verify(&original.data(), &original.lines(), more);
        assert_eq!((&object["ok"], code), (&json!(true), Some(0)), "{object}");
        assert_eq!((&object["checkpoints"], &object["checkpoints_agreed"]), (&json!(3), &json!(3)));
        assert_eq!((&object["key"], &object["findings"]), (&json!(public(1)), &json!([])));
        assert_eq!(object["events"].is_null(), more == ["--chain-only"]);
    }
}

/// Other commands from 1,551 on, as if the venue had written them: records, batches, chain, event digests, seal.
#[test]
fn a_journal_that_was_written_anew_from_a_command_on_is_named_between_two_checkpoints() {
    let original = Original::make();
    let forged = original.folder.path().join("forged");
    let until = AsOf::Sequence(Sequence(1_550));
    JournalCopy::restore(&original.data(), &forged, until, &mut |_| {}).unwrap().place().unwrap();
    write_journal(&forged, original.folder.path(), AssetId(2), 1_600);
    let output = Process::new(env!("CARGO_BIN_EXE_rialto")).args(["journal", "verify"]).arg(&forged).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "it agrees with itself");
    let (object, code) = original.verify(&forged, &original.lines(), &[]);
    assert_eq!((&object["ok"], code), (&json!(false), Some(1)), "{object}");
    let finding = &object["findings"][0];
    let [first, last] = [0, 1].map(|index| original.checkpoints[index].link.last.0);
    assert_eq!((&finding["first"], &finding["last"]), (&json!(first + 1), &json!(last)), "{object}");
    let segment = original.checkpoints[0].link.segment.file_name();
    assert_eq!(finding["file"], json!(forged.join("journal").join(segment)));
    assert!(finding["evidence"].as_str().unwrap().contains("checkpoint of command 2048"), "{object}");
    assert_eq!(object["checkpoints_agreed"], json!(1));
}

#[test]
fn a_journal_that_was_cut_short_is_named_with_what_it_lacks() {
    let original = Original::make();
    let files = segments(&original.data());
    for file in &files[3..] {
        fs::remove_file(file).unwrap();
    }
    let (object, code) = original.verify(&original.data(), &original.lines(), &["--chain-only"]);
    assert_eq!((&object["ok"], code), (&json!(false), Some(1)), "{object}");
    let end = object["last"].as_u64().unwrap();
    let missing =
        original.checkpoints.iter().map(|checkpoint| checkpoint.link.last.0).find(|&last| last > end).unwrap();
    let finding = &object["findings"][0];
    assert_eq!((&finding["first"], &finding["last"]), (&json!(end + 1), &json!(missing)), "{object}");
    assert_eq!(finding["file"].as_str().unwrap(), files[2].to_str().unwrap());
}

#[test]
fn damage_is_named_with_its_batch_and_its_commands() {
    let original = Original::make();
    let file = &segments(&original.data())[1];
    let mut bytes = fs::read(file).unwrap();
    bytes[PAGE + 200] ^= 1;
    let first = u64::from_le_bytes(bytes[PAGE + 16..PAGE + 24].try_into().unwrap());
    let count = u64::from(u32::from_le_bytes(bytes[PAGE + 24..PAGE + 28].try_into().unwrap()));
    fs::write(file, bytes).unwrap();
    let (object, code) = original.verify(&original.data(), &original.lines(), &[]);
    assert_eq!((&object["offset"], code), (&json!(PAGE), Some(4)), "{object}");
    let finding = &object["findings"][0];
    assert_eq!((&finding["first"], &finding["last"]), (&json!(first), &json!(first + count - 1)), "{object}");
}

#[test]
fn checkpoints_that_were_forged_are_refused() {
    let original = Original::make();
    let lines = original.lines();
    let mut changed = lines.clone();
    changed[1]["hash"] = lines[0]["hash"].clone();
    let of_another_key = |index: usize| {
        let mut forged = lines.clone();
        forged[index] = line(&SignedCheckpoint::sign(original.checkpoints[index], &key(2)));
        forged
    };
    let foreign = Checkpoint { journal: JournalId([8; 16]), ..original.checkpoints[0] };
    let foreign = line(&SignedCheckpoint::sign(foreign, &key(1)));
    let mut unknown = lines.clone();
    unknown[2]["more"] = json!(1);
    let mut nowhere = lines.clone();
    nowhere[0]["sequence"] = json!(0);
    let cases = [
        (changed, vec![], 1, "line 2: the signature of the checkpoint of command 2048 does not hold"),
        (of_another_key(2), vec![], 1, "line 3: the checkpoint of command 3072 was signed with key"),
        (of_another_key(0), vec![], 1, "line 2"),
        (lines.clone(), vec!["--key", "ab"], 2, "64 hexadecimal digits"),
        (vec![foreign], vec![], 1, "is of journal 08080808080808080808080808080808"),
        (unknown, vec![], 2, "line 3: unknown field `more`"),
        (nowhere, vec![], 2, "line 1"),
        (vec![], vec![], 2, "no checkpoint in it"),
        (vec![json!("x".repeat(10_000))], vec![], 2, "line 1"),
    ];
    for (lines, more, exit, reason) in cases {
        let (object, code) = original.verify(&original.data(), &lines, &more);
        assert_eq!((&object["ok"], code), (&json!(false), Some(exit)), "{reason}: {object}");
        assert!(object["reason"].as_str().unwrap().contains(reason), "{reason}: {object}");
    }
    let (object, code) = original.verify(&original.data(), &lines, &["--key", &public(2)]);
    assert_eq!((&object["ok"], code), (&json!(false), Some(1)), "signed by nobody who was asked for: {object}");
    let (_, code) = verify(&original.data(), &original.folder.path().join("nothing"), &[]);
    assert_eq!(code, Some(5));
}

/// The commands are the same, so that the chain agrees.
#[test]
fn events_that_this_build_does_not_repeat_are_named() {
    let original = Original::make();
    let mut lines = original.lines();
    let other = Checkpoint { event_digest: Digest([9; 32]), ..original.checkpoints[1] };
    lines[1] = line(&SignedCheckpoint::sign(other, &key(1)));
    let (object, code) = original.verify(&original.data(), &lines, &[]);
    assert_eq!((&object["ok"], code), (&json!(false), Some(1)));
    assert!(object["reason"].as_str().unwrap().contains("command 2048, and their events are others"), "{object}");
    let (object, code) = original.verify(&original.data(), &lines, &["--chain-only"]);
    assert_eq!((&object["ok"], code), (&json!(true), Some(0)));
}

fn rialto(arguments: &[&str], data: &Path) -> (String, Option<i32>) {
    let output = Process::new(env!("CARGO_BIN_EXE_rialto")).arg("journal").args(arguments).arg(data).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn what_a_venue_signed_is_listed_and_can_be_kept_elsewhere() {
    let original = Original::make();
    let data = original.data();
    let signed: Vec<_> =
        original.checkpoints.iter().map(|checkpoint| SignedCheckpoint::sign(*checkpoint, &key(1))).collect();
    assert_eq!(rialto(&["checkpoints", "--json"], &data), (String::new(), Some(0)), "none yet");
    fs::create_dir(data.join("snapshots")).unwrap();
    let kept: Vec<u8> = signed.iter().flat_map(SignedCheckpoint::to_bytes).collect();
    fs::write(data.join("snapshots/checkpoints"), &kept).unwrap();

    let (listed, code) = rialto(&["checkpoints", "--json"], &data);
    let lines: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines, code), (original.lines(), Some(0)));
    let (table, _) = rialto(&["checkpoints"], &data);
    let commands: Vec<_> = table.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(commands, ["1024", "2048", "3072"]);

    let elsewhere = original.folder.path().join("elsewhere.jsonl");
    fs::write(&elsewhere, listed).unwrap();
    let (object, code) = verify(&data, &elsewhere, &["--key", &public(1)]);
    assert_eq!((&object["ok"], &object["checkpoints_agreed"], code), (&json!(true), &json!(3), Some(0)), "{object}");

    let mut damaged = kept;
    damaged[300] ^= 1;
    fs::write(data.join("snapshots/checkpoints"), damaged).unwrap();
    let (said, code) = rialto(&["checkpoints", "--json"], &data);
    let object: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&object["ok"], &object["offset"], code), (&json!(false), &json!(272), Some(4)), "{object}");
}

#[test]
fn the_state_as_of_a_point_is_that_of_a_journal_which_ends_there() {
    let original = Original::make();
    // Fifty commands have the time of their first.
    for (until, last) in [("2000", 2_000), ("1970-01-01T00:00:00.000002Z", 2_000), ("1501", 1_501)] {
        let (said, code) = rialto(&["replay", "--json", "--until", until], &original.data());
        let object: Value = serde_json::from_str(&said).unwrap();
        let copy = original.folder.path().join(format!("until {until}"));
        let until = AsOf::Sequence(Sequence(last));
        JournalCopy::restore(&original.data(), &copy, until, &mut |_| {}).unwrap().place().unwrap();
        let ends_there = journal::replay(&copy, &mut (), |_| {}).unwrap();
        assert_eq!((&object["last"], code), (&json!(last), Some(0)), "{object}");
        assert_eq!(object["events"], json!(ends_there.events));
        assert_eq!(object["event_digest"], json!(ends_there.event_digest.to_string()));
        assert_eq!(object["state_digest"], json!(ends_there.state_digest.to_string()));
    }
}
