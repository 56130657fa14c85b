//! `long_journal`: makes a journal of many commands at full speed, verifies it, replays it, and says whether all agree.
//!
//! Exit codes: 0 agrees, 1 differs, 2 usage, 4 damaged journal, 5 input and output.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::failure::Failure;
use clap::{Parser, ValueEnum};
use fuzz::long_journal::{Expected, Plan, Took, expected, generate, replay, verify};
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
    let &Arguments { commands, seed, ref place, segment_mib, .. } = arguments;
    let plan = Plan { commands, seed, place: place.clone(), segment_bytes: segment_mib << 20 };
    let generated = wants(Phase::Generate).then(|| generate(&plan)).transpose()?;
    let (made_by, generate) = match generated {
        Some((made_by, took)) => (made_by, Some(took)),
        None => (expected(place)?, None),
    };
    let mut found = Found { made_by, generate, verify: None, replay: None, differences: Vec::new() };
    if wants(Phase::Verify) {
        let (differences, took) = verify(place, &found.made_by)?;
        found.verify = Some(took);
        found.differences.extend(differences);
    }
    if wants(Phase::Replay) {
        let (differences, took) = replay(place, &found.made_by)?;
        found.replay = Some(took);
        found.differences.extend(differences);
    }
    Ok(found)
}

fn report(arguments: &Arguments, found: Found) -> Result<Exit, Failure> {
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
    let Found { made_by: Expected { seed, open_orders, outcome, .. }, generate, verify, replay, differences } = found;
    let took = |what, took: &Option<Took>| {
        took.as_ref().map(|Took { seconds, commands_per_second, bytes_per_second, peak_memory_mib }| {
            let mib = bytes_per_second >> 20;
            let memory = peak_memory_mib.map(|mib| format!(", {mib} MiB of memory at most")).unwrap_or_default();
            format!("{what} in {seconds:.1} s: {commands_per_second} commands/s, {mib} MiB/s{memory}\n")
        })
    };
    let parts = [took("generated", generate), took("verified", verify), took("replayed", replay)];
    let parts: String = parts.into_iter().flatten().collect();
    let verdict = if differences.is_empty() { "agrees" } else { "DIFFERS" };
    format!(
        "{parts}seed {seed}: {} commands, {} events, {open_orders} open orders; event digest {}, state digest {}, book \
         digest {}; {verdict}",
        outcome.commands, outcome.events, outcome.event_digest, outcome.state_digest, outcome.book_digest
    )
}
