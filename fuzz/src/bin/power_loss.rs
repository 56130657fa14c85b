//! `power_loss`: lets journals live on a simulated disk that loses power, and says whether they kept their promises.
//!
//! Exit codes: 0 all kept, 1 a promise was broken, 2 usage, 5 input and output.

use std::any::Any;
use std::ops::Range;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fuzz::shares::{Row, parse_range, share};
use serde::Serialize;
use simulation::Lie;
use simulation::lives::{Broken, Tally, live};
use venue::exit::Exit;

/// Findings that are told; the rest are only counted.
const TOLD_MAX: usize = 3;

/// Lets journals live on a simulated disk that loses power, fails and lies, and says whether they kept their promises.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The seeds, the last one not included: each is a few lives of one journal, and repeats exactly.
    #[arg(long, value_name = "A..B", default_value = "1..1001", value_parser = parse_range)]
    seeds: Range<u64>,
    /// Seeds at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Add the result to this file, as one JSON object on one line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object on one line instead of a sentence.
    #[arg(long)]
    json: bool,
    /// Print what happened in each seed's lives.
    #[arg(long)]
    script: bool,
    /// Let the disk break a promise, to see how that is found: sync, sync_directory or settle.
    #[arg(long, value_name = "LIE", value_parser = parse_lie, conflicts_with = "record")]
    lie: Option<Lie>,
}

fn parse_lie(text: &str) -> Result<Lie, String> {
    match text {
        "sync" => Ok(Lie::Sync),
        "sync_directory" => Ok(Lie::SyncDirectory),
        "settle" => Ok(Lie::Settle),
        _ => Err("there is no such lie; there are sync, sync_directory and settle".to_owned()),
    }
}

/// What all seeds came to.
#[derive(Default, Serialize)]
struct Found {
    seeds: String,
    lives: u64,
    power_losses: u64,
    process_ends: u64,
    halts: u64,
    failures: u64,
    refused_openings: u64,
    closes: u64,
    commands: u64,
    acknowledged: u64,
    acknowledgements: u64,
    adopted: u64,
    cuts: u64,
    lost: u64,
    invented: u64,
    early: u64,
    refused: u64,
    other: u64,
}

/// What one thread has found.
#[derive(Default)]
struct Share {
    tally: Tally,
    broken: Vec<(Broken, u64, String)>,
}

impl Share {
    fn live(&mut self, seed: u64, arguments: &Arguments) {
        match catch_unwind(|| live(seed, arguments.lie)) {
            Ok(Ok(lived)) => {
                self.tally.add(&lived.tally);
                if arguments.script {
                    println!("seed {seed}:\n  {}", lived.script.join("\n  "));
                }
            }
            Ok(Err(finding)) => self.broken.push((finding.broken, seed, finding.to_string())),
            Err(panic) => self.broken.push((Broken::Other, seed, format!("seed {seed}: {}", message(panic.as_ref())))),
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let live = |share: &mut Share, seeds: Range<u64>| seeds.for_each(|seed| share.live(seed, &arguments));
    let shares = share(arguments.seeds.clone(), 1, arguments.threads, Share::default, live);
    let mut broken: Vec<_> = shares.iter().flat_map(|share| &share.broken).collect();
    broken.sort_by_key(|(_, seed, _)| *seed);
    broken.iter().take(TOLD_MAX).for_each(|(_, _, what)| eprintln!("{what}"));
    let row = Row::now(found(&arguments, &shares));
    if let Some(Err(error)) = arguments.record.as_ref().map(|file| row.keep(file)) {
        eprintln!("power_loss: the result cannot be recorded: {error}");
        return Exit::InputOutput.into();
    }
    println!("{}", if arguments.json { row.json() } else { summary(&row.found) });
    if broken.is_empty() { Exit::Done.into() } else { Exit::Differs.into() }
}

fn found(arguments: &Arguments, shares: &[Share]) -> Found {
    let mut tally = Tally::default();
    shares.iter().for_each(|share| tally.add(&share.tally));
    let broken =
        |kind| shares.iter().flat_map(|share| &share.broken).filter(|(broken, ..)| *broken == kind).count() as u64;
    Found {
        seeds: format!("{}..{}", arguments.seeds.start, arguments.seeds.end),
        lives: tally.lives,
        power_losses: tally.power_losses,
        process_ends: tally.process_ends,
        halts: tally.halts,
        failures: tally.failures,
        refused_openings: tally.refused_openings,
        closes: tally.closes,
        commands: tally.submitted,
        acknowledged: tally.acknowledged,
        acknowledgements: tally.acknowledgements,
        adopted: tally.adopted,
        cuts: tally.cuts,
        lost: broken(Broken::Lost),
        invented: broken(Broken::Invented),
        early: broken(Broken::Early),
        refused: broken(Broken::Refused),
        other: broken(Broken::Other),
    }
}

fn summary(found: &Found) -> String {
    let Found { seeds, lives, power_losses, process_ends, commands, acknowledged, acknowledgements, .. } = found;
    let Found { halts, failures, refused_openings, closes, adopted, cuts, .. } = found;
    let Found { lost, invented, early, refused, other, .. } = found;
    format!(
        "power loss, seeds {seeds}: {lives} lives, {power_losses} power losses, {process_ends} ends of the process; \
         {halts} halts in an operation, {failures} failures, {refused_openings} openings refused by the disk, {closes} \
         orderly ends; {commands} commands, {acknowledged} acknowledged in {acknowledgements} waits, {adopted} adopted, \
         {cuts} tails cut; lost {lost}, invented {invented}, early {early}, refused {refused}, other {other}"
    )
}
