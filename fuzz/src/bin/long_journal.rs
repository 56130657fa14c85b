//! `long_journal`: makes a journal of many commands at full speed, verifies it, replays it, and says whether all agree.
//!
//! Exit codes: 0 agrees, 1 differs, 2 usage, 4 damaged journal, 5 input and output.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::failure::Failure;
use clap::{Parser, ValueEnum};
use fuzz::long_journal::{self, Expected, Plan, SnapshotsTaken, Took};
use fuzz::shares::Row;
use serde::Serialize;
use venue::exit::Exit;

/// Makes a journal of many commands at full speed, verifies it, replays it, and says whether all agree.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many commands the journal gets. 10 million take a bit more than a GB.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    commands: u64,
    /// What the commands follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The journal's folder. It stays.
    #[arg(long, value_name = "DIR")]
    place: PathBuf,
    /// Only this part, on what the parts before have left there, whichever build did them. Default: all.
    #[arg(long, value_enum)]
    phase: Option<Phase>,
    /// MiB of a journal segment.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    segment_mib: u64,
    /// How many snapshots a shadow takes while the journal is made; 0: there is no shadow and no event history, and the
    /// journal is made faster.
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    snapshots: u16,
    /// Add the result to this file, as one JSON object on one line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object on one line instead of sentences.
    #[arg(long)]
    json: bool,
}

/// A part.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// Makes the journal and keeps what its engine came to.
    Generate,
    /// Checks every byte.
    Verify,
    /// Replays all commands and compares events, state and books.
    Replay,
    /// Replays from every snapshot, looks at the past as of moments that are known, and looks up orders that are known.
    LookBack,
}

/// What was done and found.
#[derive(Serialize)]
struct Found {
    made_by: Expected,
    #[serde(skip_serializing_if = "Option::is_none")]
    generate: Option<Took>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<Took>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Took>,
    #[serde(skip_serializing_if = "Option::is_none")]
    look_back: Option<Took>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshots: Option<SnapshotsTaken>,
    differences: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).and_then(|found| report(&arguments, found)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("long_journal: {failure}");
            failure.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<Found, Failure> {
    let wants = |phase| arguments.phase.is_none_or(|only| only == phase);
    let &Arguments { commands, seed, ref place, segment_mib, snapshots, .. } = arguments;
    let snapshots = snapshots.into();
    let plan = Plan { commands, seed, place: place.clone(), segment_bytes: segment_mib << 20, snapshots };
    let generated = wants(Phase::Generate).then(|| long_journal::generate(&plan)).transpose()?;
    let (made_by, generate, snapshots) = match generated {
        Some((made_by, took, snapshots)) => (made_by, Some(took), snapshots),
        None => (long_journal::expected(place)?, None, None),
    };
    let (verify, replay, look_back) = (None, None, None);
    let mut found = Found { made_by, generate, verify, replay, look_back, snapshots, differences: Vec::new() };
    if wants(Phase::Verify) {
        let (differences, took) = long_journal::verify(place, &found.made_by)?;
        found.verify = Some(took);
        found.differences.extend(differences);
    }
    if wants(Phase::Replay) {
        let (differences, took) = long_journal::replay(place, &found.made_by)?;
        found.replay = Some(took);
        found.differences.extend(differences);
    }
    // Without snapshots, each look at the past begins with the first command.
    if arguments.phase == Some(Phase::LookBack) || arguments.phase.is_none() && arguments.snapshots > 0 {
        let (differences, took) = long_journal::look_back(place, &found.made_by)?;
        found.look_back = Some(took);
        found.differences.extend(differences);
    }
    Ok(found)
}

fn report(arguments: &Arguments, mut found: Found) -> Result<Exit, Failure> {
    // The journal's folder keeps them; a line of results need not.
    (found.made_by.moments, found.made_by.lives) = (Vec::new(), Vec::new());
    found.differences.iter().for_each(|difference| eprintln!("{difference}"));
    let exit = if found.differences.is_empty() { Exit::Done } else { Exit::Differs };
    let row = Row::now(found);
    if let Some(file) = &arguments.record {
        row.keep(file).map_err(|error| Failure::io(file, error))?;
    }
    println!("{}", if arguments.json { row.json() } else { summary(&row.found) });
    Ok(exit)
}

fn summary(found: &Found) -> String {
    let Found { made_by, generate, verify, replay, look_back, snapshots, differences } = found;
    let Expected { seed, open_orders, outcome, .. } = made_by;
    let took = |what, took: &Option<Took>| {
        took.as_ref().map(|Took { seconds, commands_per_second, bytes_per_second, peak_memory_mib }| {
            let mib = bytes_per_second >> 20;
            let memory = peak_memory_mib.map(|mib| format!(", {mib} MiB of memory at most")).unwrap_or_default();
            format!("{what} in {seconds:.1} s: {commands_per_second} commands/s, {mib} MiB/s{memory}\n")
        })
    };
    let parts = [
        took("generated", generate),
        snapshots.as_ref().map(|SnapshotsTaken { count, bytes, writing_ms, publishing_ms }| {
            let kib = bytes >> 10;
            format!("{count} snapshots of up to {kib} KiB, written in {writing_ms:.1} ms, published in {publishing_ms:.1} ms\n")
        }),
        took("verified", verify),
        took("replayed", replay),
        took("looked back", look_back),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    let verdict = if differences.is_empty() { "agrees" } else { "DIFFERS" };
    format!(
        "{parts}seed {seed}: {} commands, {} events, {open_orders} open orders; event digest {}, state digest {}, book \
         digest {}; {verdict}",
        outcome.commands, outcome.events, outcome.event_digest, outcome.state_digest, outcome.book_digest
    )
}
