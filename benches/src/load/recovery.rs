//! How long a start takes: a venue on a journal of `--rate` times `--duration` commands, replayed from the first and
//! from a snapshot behind the first half.
//!
//! Load model: closed loop. The journal is in the page cache. From the call that starts the venue until its core runs.

use std::path::Path;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use engine::{Command, Sequenced, Stamp, Timestamp};
use journal::layout::BLOCK_COMMANDS;
use journal::{
    FolderLock, Keep, Opened, Options, Reader, ReplayError, Retention, SNAPSHOT_FOLDER, Sequencer, Start, start_locked,
};
use venue::archive::ArchivePlan;
use venue::topology::{Topology, Venue};

use super::arguments::Arguments;
use super::engine::ENGINE;
use super::progress::Progress;
use super::result::{Report, Series};
use super::threads::beside_the_core;
use super::traffic::Traffic;
use crate::durability::replay::engine_alone;
use crate::failure::Failure;

/// Starts of each kind.
const STARTS: usize = 3;
/// Commands that are journalled together.
const TOGETHER: usize = 256;

const FROM_FIRST: &str = "start, from the first command";
const FROM_SNAPSHOT: &str = "start, from a snapshot";

/// Measures.
pub fn run(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    let threads = arguments.threads()?;
    let parent = arguments.directory();
    let folder = tempfile::tempdir_in(&parent).map_err(|error| Failure::io(&parent, error))?;
    Ok(vec![beside_the_core(&threads, || measure(arguments, folder.path(), progress))?])
}

fn measure(arguments: &Arguments, folder: &Path, progress: &Progress) -> Result<Report, Failure> {
    let rate = arguments.rate.unwrap_or_default();
    let operations = (rate as f64 * arguments.duration.as_secs_f64()) as usize;
    let traffic = Traffic::generate(arguments.mix, arguments.seed(), operations)?;
    progress.begin("journal and starts", 3 + 3 * STARTS as u64);
    let threads = arguments.threads()?;
    let topology = Topology {
        capacity: traffic.capacity,
        idle: threads.idle,
        core: threads.placement.map(|placement| placement.core),
        ..Topology::default()
    };
    let behind = prepare(&traffic, folder, &topology, || progress.done(1))?;
    let start = || {
        let took = start(folder, &topology);
        progress.done(1);
        took
    };
    let from_snapshot = (0..STARTS).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    let snapshots = folder.join(SNAPSHOT_FOLDER);
    std::fs::remove_dir_all(&snapshots).map_err(|source| Failure::io(&snapshots, source))?;
    let from_first = (0..STARTS).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    let commands = journalled(folder)?;
    let engine: Vec<Duration> = (0..STARTS)
        .map(|_| {
            progress.done(1);
            engine_alone(&commands, traffic.capacity)
        })
        .collect();

    let all = commands.len() as u64;
    let mut report = Report::new(arguments, "closed loop, from the call that starts a venue until its core runs");
    (report.arrivals, report.warm_up_s) = (None, 0.0);
    report.series = vec![
        counted(FROM_FIRST, all, &from_first),
        counted(FROM_SNAPSHOT, behind, &from_snapshot),
        counted(ENGINE, all, &engine),
    ];
    report.achieved_rate = report.series[0].per_second;
    report.compare(FROM_FIRST, ENGINE);
    report.notes = vec![
        ("commands".to_owned(), all as f64),
        ("commands behind the snapshot".to_owned(), behind as f64),
        (format!("seconds, {FROM_FIRST}"), median(from_first)),
        (format!("seconds, {FROM_SNAPSHOT}"), median(from_snapshot)),
        ("seconds, limit: engine".to_owned(), median(engine)),
    ];
    Ok(report)
}

fn counted(name: &str, commands: u64, times: &[Duration]) -> Series {
    let parts: Vec<_> = times.iter().map(|time| (commands, time.as_secs_f64())).collect();
    Series::counted(name, &parts)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

/// A journal with a snapshot behind the first half; how many commands are behind the snapshot.
fn prepare(traffic: &Traffic, folder: &Path, topology: &Topology, mut done: impl FnMut()) -> Result<u64, Failure> {
    let commands: Vec<Command> = traffic.before.iter().copied().chain(traffic.commands()).collect();
    let (first, second) = commands.split_at((commands.len() / 2).max(BLOCK_COMMANDS as usize));
    std::fs::create_dir_all(folder).map_err(|source| Failure::io(folder, source))?;
    let last = journal(first, folder, topology)?;
    done();
    let snapshot = take_snapshot(folder, topology, last / BLOCK_COMMANDS * BLOCK_COMMANDS)?;
    done();
    let last = journal(second, folder, topology)?;
    done();
    Ok(last - snapshot)
}

/// Journals commands as a venue does, digests and seal included; the sequence of the last.
fn journal(commands: &[Command], folder: &Path, topology: &Topology) -> Result<u64, Failure> {
    let lock = FolderLock::take(folder)?;
    let start = start_locked(lock, &Options { idle: topology.idle, ..Options::new(topology.capacity) });
    let Start { opened: Opened { journal, appender, .. }, mut engine, event_digest: mut digest, .. } =
        start.map_err(|error| failed(folder, &error))?;
    let (mut sequencer, queue) = (Sequencer::new(appender, engine.last()), journal.digests());
    for some in commands.chunks(TOGETHER) {
        let at = Timestamp(sequencer.last().sequence.0 + 1);
        let last = sequencer.submit(&mut engine, at, some, &mut digest)?;
        digest.applied(last.sequence);
        digest.completed().for_each(|block| queue.push(block));
    }
    let Stamp { sequence: last, .. } = sequencer.last();
    journal.close(sequencer.into_append(), digest.value())?;
    Ok(last.0)
}

/// Lets a venue take a snapshot behind a block's last command; behind which it is.
fn take_snapshot(folder: &Path, topology: &Topology, behind: u64) -> Result<u64, Failure> {
    let plan = ArchivePlan {
        snapshot_every: Some(behind),
        keep: Keep::at_most(2),
        retention: Retention::Everything,
        key: SigningKey::from_bytes(&[1; 32]),
    };
    let topology = Topology { archive: Some(plan), ..topology.clone() };
    let venue = Venue::start(folder, &topology, |_| {}).map_err(|error| failed(folder, &error))?;
    let status = venue.archive().expect("it was asked for").status();
    while status.snapshot_count() == 0 {
        if status.is_failing() {
            return Err(Failure::Missing("the venue took no snapshot".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let sequence = status.snapshot_sequence();
    venue.stop().map_err(|error| failed(folder, &error))?;
    Ok(sequence)
}

/// How long a venue takes to start.
fn start(folder: &Path, topology: &Topology) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let venue = Venue::start(folder, topology, |_| {}).map_err(|error| failed(folder, &error))?;
    let took = begun.elapsed();
    venue.stop().map_err(|error| failed(folder, &error))?;
    Ok(took)
}

fn journalled(folder: &Path) -> Result<Vec<Sequenced<Command>>, Failure> {
    let commands = Reader::open(folder).map_err(ReplayError::from)?.commands();
    Ok(commands.collect::<Result<_, _>>().map_err(ReplayError::from)?)
}

fn failed(folder: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::io(folder, std::io::Error::other(error.to_string()))
}
