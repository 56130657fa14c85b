//! `subscribers`: lets subscribers follow random streams over links that lose, delay and reorder, and says whether each
//! ended with the engine's book.
//!
//! Exit codes: 0 all did, 1 one did not, 2 usage, 5 input and output.

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fuzz::shares::{Row, parse_range, share};
use fuzz::subscribers::{Fault, Tally, live};
use serde::Serialize;
use venue::exit::Exit;

/// Findings that are told; the rest are only counted.
const TOLD_MAX: usize = 3;

/// Lets subscribers follow random streams over links that lose, delay and reorder, and says whether each ended with the
/// engine's book.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The seeds, the last one not included: each is one stream and a few subscribers, and repeats exactly.
    #[arg(long, value_name = "A..B", default_value = "1..1001", value_parser = parse_range)]
    seeds: Range<u64>,
    /// Commands of each stream.
    #[arg(long, value_name = "N", default_value_t = 600)]
    commands: u32,
    /// Seeds at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Add the result to this file, as one JSON object on one line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object on one line instead of a sentence.
    #[arg(long)]
    json: bool,
    /// Let one packet in forty say other prices, to see how that is found.
    #[arg(long, conflicts_with = "record")]
    lie: bool,
}

/// What all seeds came to.
#[derive(Serialize)]
struct Found {
    range: String,
    #[serde(flatten)]
    tally: Tally,
    wrong: u64,
}

#[derive(Default)]
struct Share {
    tally: Tally,
    wrong: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let fault = if arguments.lie { Fault::OtherPrices } else { Fault::None };
    let shares = share(arguments.seeds.clone(), 1, arguments.threads, Share::default, |share: &mut Share, seeds| {
        for seed in seeds {
            match live(seed, arguments.commands, fault) {
                Ok(tally) => share.tally = share.tally.and(tally),
                Err(error) => share.wrong.push(format!("seed {seed}: {error}")),
            }
        }
    });
    let wrong: Vec<_> = shares.iter().flat_map(|share| &share.wrong).collect();
    wrong.iter().take(TOLD_MAX).for_each(|error| eprintln!("{error}"));
    let tally = shares.iter().fold(Tally::default(), |sum, share| sum.and(share.tally));
    let range = format!("{}..{}", arguments.seeds.start, arguments.seeds.end);
    let row = Row::now(Found { range, tally, wrong: wrong.len() as u64 });
    if let Some(Err(error)) = arguments.record.as_ref().map(|file| row.keep(file)) {
        eprintln!("subscribers: the result cannot be recorded: {error}");
        return Exit::InputOutput.into();
    }
    println!("{}", if arguments.json { row.json() } else { summary(&row.found) });
    if wrong.is_empty() { Exit::Done.into() } else { Exit::Differs.into() }
}

fn summary(Found { range, tally, wrong }: &Found) -> String {
    let Tally { commands, compared, ended, proven, gaps, notices, repeated, conflated, lost, closed, .. } = tally;
    format!(
        "seeds {range}: {commands} commands, {} connections, {compared} books compared on the way and {ended} at the \
         end, {} trades, {proven} checksums, {} orders cleared with others; {lost} datagrams lost, {repeated} times asked again, {gaps} gaps, \
         {notices} notices, {conflated} messages conflated, {closed} closed for being slow; wrong {wrong}",
        tally.connections, tally.trades, tally.cleared
    )
}
