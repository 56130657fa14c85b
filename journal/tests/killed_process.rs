//! A process that is killed at any moment loses nothing that it acknowledged, synced or only buffered.
//!
//! Killing a process says nothing about power loss: what it wrote is in the page cache. It says that head, segments and
//! recovery fit together at whatever instruction the writer and the core were.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use common::{Folder, SplitMix64, Writing, random_command, seed};
use engine::{Command, Timestamp};
use journal::{Durability, HeadOutcome, JournalId, Options};

const DATA: &str = "JOURNAL_TEST_DATA";
const HEADS: &str = "JOURNAL_TEST_HEADS";
const DURABILITY: &str = "JOURNAL_TEST_DURABILITY";
const COMMAND_SEED: u64 = 99;

fn options(heads: PathBuf, durability: Durability) -> Options {
    Options {
        durability,
        segment_bytes: 65_536,
        head_bytes: 65_536,
        head_directory: Some(heads),
        journal_id: Some(JournalId([1; 16])),
        ..Options::new(engine::Capacity::SMALL)
    }
}

/// The command that every process gives a sequence.
fn command(sequence: u64) -> Command {
    random_command(&mut SplitMix64(COMMAND_SEED ^ sequence))
}

/// The child: submits batches of random size and says which were acknowledged, until it is killed.
#[test]
#[ignore = "the process that the other tests here start and kill"]
fn child_that_writes_until_it_is_killed() {
    let durability = match std::env::var(DURABILITY).unwrap().as_str() {
        "synced" => Durability::Synced,
        _ => Durability::Buffered,
    };
    let [data, heads] = [DATA, HEADS].map(|name| PathBuf::from(std::env::var(name).unwrap()));
    let mut writing = Writing::open(&data, &options(heads, durability));
    let mut random = SplitMix64(writing.recovery.last.0);
    let mut out = std::io::stdout();
    writeln!(out).unwrap();
    loop {
        let last = writing.sequencer.last().sequence.0;
        let batch: Vec<_> = (last + 1..=last + 1 + random.below(30)).map(command).collect();
        let at = Timestamp(last + 1);
        let last = writing.sequencer.submit(&mut common::NoCore, at, &batch, &mut Vec::new()).unwrap();
        writing.journal.wait_released(last.sequence).unwrap();
        writeln!(out, "acknowledged {}", last.sequence).unwrap();
    }
}

/// Starts the child, kills it after so many acknowledgements, and gives the last one that it made.
fn run_and_kill(folder: &Folder, durability: &str, lines: u64) -> u64 {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["child_that_writes_until_it_is_killed", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DATA, folder.data())
        .env(HEADS, folder.heads())
        .env(DURABILITY, durability)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = 0;
    let mut seen = 0;
    for line in out.lines() {
        let line = line.unwrap();
        let Some(number) = line.strip_prefix("acknowledged ").and_then(|text| text.parse().ok()) else { continue };
        acknowledged = number;
        seen += 1;
        if seen == lines {
            // SIGKILL; what is still in the pipe was acknowledged as well, and is read.
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "the child was killed");
    assert!(seen >= lines, "the child did not come as far as it should");
    acknowledged
}

fn nothing_acknowledged_is_lost(durability: &str) {
    let seed = seed(4);
    let mut random = SplitMix64(seed);
    let folder = Folder::new();
    let mut adopted = 0;
    for round in 0..12 {
        let acknowledged = run_and_kill(&folder, durability, 1 + random.below(60));
        let writing = Writing::open(&folder.data(), &options(folder.heads(), Durability::Synced));
        let last = writing.recovery.last.0;
        assert!(last >= acknowledged, "round {round} SEED={seed}: {acknowledged} acknowledged, {last} recovered");
        match writing.recovery.head {
            HeadOutcome::Adopted { command_count } => adopted += command_count,
            other => panic!("round {round} SEED={seed}: {other:?}"),
        }
        writing.abandon();
        let read = folder.commands();
        assert_eq!(read.len() as u64, last);
        for (sequence, read) in (1..).zip(read) {
            assert_eq!((read.stamp.sequence.0, read.value), (sequence, command(sequence)), "SEED={seed}");
        }
    }
    println!("{adopted} commands were only in the head");
}

#[test]
fn nothing_acknowledged_as_synced_is_lost() {
    nothing_acknowledged_is_lost("synced");
}

#[test]
fn nothing_acknowledged_as_buffered_is_lost() {
    nothing_acknowledged_is_lost("buffered");
}
