//! Compares the engine with the model over generated streams, and says what a run reached.
//!
//! Exit code 0: they agree; 1: they do not, and the shortest stream on which they do not is printed; 2: wrong usage, or
//! a result that could not be recorded.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use engine::canonical::Code;
use engine::{CancelReason, CommandKind, RejectReason};
use serde_json::json;
use testkit::compare::{Difference, Options, Tally, event_kinds};
use testkit::model::Flaw;
use testkit::runs::run;
use testkit::shrink::shrink;
use testkit::stream::Step;
use testkit::workload::{PROFILES, Profile, profile};
use testkit::{script, show};

/// Steps between snapshots, on average, where they are asked for.
const STEPS_PER_SNAPSHOT: usize = 50;
/// How many differing streams are shrunk and printed; all are counted.
const SHRUNK_MAX: usize = 3;
/// The file that results are recorded in.
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/results/model.md");
/// What that file begins with.
const RESULTS_HEAD: &str = "\
# Engine and model

What `compare` counted, a line for each profile of each run: see [TESTING](../TESTING.md).

| time | commit | profile | seeds | commands | events | snapshots | disagreements |
|---|---|---|---|---|---|---|---|
";

/// Compares the engine with a second implementation of the rulebook, over generated streams.
#[derive(Debug, Parser)]
#[command(name = "compare", version)]
struct Arguments {
    /// Seeds, the last one not included: 1..101.
    #[arg(long, value_name = "A..B", default_value = "1..11", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Commands of each stream, those that open the venue included.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    commands: u32,
    /// What the streams are made of: the name of a profile, or all.
    #[arg(long, value_name = "P", default_value = "all", value_parser = parse_profiles)]
    profile: Profiles,
    /// Streams compared at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Write the engine to a snapshot and read it back, now and then.
    #[arg(long)]
    snapshots: bool,
    /// Make the model wrong on purpose, to see how that is found: later_order_first, fees_rounded_down,
    /// reducing_loses_priority, reference_passed_over or market_orders_last.
    #[arg(long, value_name = "FLAW", value_parser = parse_flaw, conflicts_with = "record")]
    flaw: Option<Flaw>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Add the result to docs/results/model.md.
    #[arg(long)]
    record: bool,
}

#[derive(Debug, Clone)]
struct Profiles(Vec<Profile>);

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("seeds are said as A..B, for example 1..101")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let seeds = number(first)?..number(end)?;
    if seeds.is_empty() { Err(format!("there is no seed from {first} to below {end}")) } else { Ok(seeds) }
}

fn parse_profiles(text: &str) -> Result<Profiles, String> {
    if text == "all" {
        return Ok(Profiles(PROFILES.to_vec()));
    }
    let names = || PROFILES.iter().map(|profile| profile.name).collect::<Vec<_>>().join(", ");
    let profile = profile(text).ok_or_else(|| format!("there is no such profile; there are all, {}", names()))?;
    Ok(Profiles(vec![profile]))
}

fn parse_flaw(text: &str) -> Result<Flaw, String> {
    let flaw = Flaw::NAMED.iter().find(|(name, _)| *name == text);
    flaw.map(|&(_, flaw)| flaw).ok_or_else(|| "there is no such flaw".to_owned())
}

/// A stream on which engine and model differ.
struct Found {
    profile: &'static str,
    seed: u64,
    steps: Vec<Step>,
    difference: Difference,
}

/// What all streams of one profile came to.
#[derive(Default)]
struct Sum {
    tally: Tally,
    differences: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        restore_every: if arguments.snapshots { STEPS_PER_SNAPSHOT } else { 0 },
        state_every: 64,
        flaw: arguments.flaw.unwrap_or(Flaw::None),
        ..Options::default()
    };
    // A panic is reported as a difference.
    std::panic::set_hook(Box::new(|_| {}));
    let (sums, found) = compare(&arguments, options);
    let recorded = if arguments.record { record(&arguments, &sums) } else { Ok(()) };
    let printed = if arguments.json { print_json(&arguments, &sums) } else { print_text(&sums) };
    for found in found.iter().take(SHRUNK_MAX) {
        print_found(found, options, arguments.commands);
    }
    if let Err(error) = recorded.and(printed) {
        eprintln!("compare: {error}");
        return ExitCode::from(2);
    }
    if sums.values().any(|sum| sum.differences > 0) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Compares every profile with every seed.
fn compare(arguments: &Arguments, options: Options) -> (BTreeMap<&'static str, Sum>, Vec<Found>) {
    let profiles = &arguments.profile.0;
    let seeds: Vec<u64> = arguments.seeds.clone().collect();
    let jobs: Vec<(Profile, u64)> =
        profiles.iter().flat_map(|&profile| seeds.iter().map(move |&seed| (profile, seed))).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new((BTreeMap::<&'static str, Sum>::new(), Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while let Some(&(profile, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = run(profile, seed, arguments.commands as usize, options);
                    let mut results = results.lock().expect("no thread panics with the results");
                    let sum = results.0.entry(profile.name).or_default();
                    sum.tally.add(&run.tally);
                    if let Some(difference) = run.difference {
                        sum.differences += 1;
                        results.1.push(Found { profile: profile.name, seed, steps: run.steps, difference });
                    }
                }
            });
        }
    });
    let (sums, mut found) = results.into_inner().expect("no thread panics with the results");
    found.sort_by_key(|found| (found.profile, found.seed));
    (sums, found)
}

fn total(sums: &BTreeMap<&'static str, Sum>) -> Tally {
    let mut total = Tally::default();
    sums.values().for_each(|sum| total.add(&sum.tally));
    total
}

fn event_count(tally: &Tally) -> u64 {
    tally.events.values().sum()
}

/// What is counted, and everything that could be: what was never reached shows.
fn counts(tally: &Tally) -> [(&'static str, &BTreeMap<&'static str, u64>, Vec<&'static str>); 4] {
    let kinds = CommandKind::ALL.iter().map(|kind| kind.name()).collect();
    let reasons = RejectReason::ALL.iter().map(|reason| reason.name()).collect();
    let ends = CancelReason::ALL.iter().map(|reason| reason.name()).collect();
    [
        ("commands", &tally.kinds, kinds),
        ("events", &tally.events, event_kinds().collect()),
        ("refusals", &tally.refusals, reasons),
        ("cancels", &tally.cancels, ends),
    ]
}

fn print_text(sums: &BTreeMap<&'static str, Sum>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, sum) in sums {
        let (commands, events) = (sum.tally.commands, event_count(&sum.tally));
        writeln!(out, "{name:<15} {commands:>10} commands {events:>10} events  {} disagreements", sum.differences)?;
    }
    let total = total(sums);
    writeln!(out, "{:<15} {:>10} commands {:>10} events", "all", total.commands, event_count(&total))?;
    for (what, counted, all) in counts(&total) {
        writeln!(out, "\n{what}")?;
        for (name, count) in counted {
            writeln!(out, "  {name:<26} {count:>10}")?;
        }
        let missing: Vec<_> = all.into_iter().filter(|name| !counted.contains_key(name)).collect();
        if !missing.is_empty() {
            writeln!(out, "  never: {}", missing.join(", "))?;
        }
    }
    Ok(())
}

fn print_json(arguments: &Arguments, sums: &BTreeMap<&'static str, Sum>) -> io::Result<()> {
    let profiles: serde_json::Map<_, _> = sums
        .iter()
        .map(|(name, sum)| {
            let (commands, events) = (sum.tally.commands, event_count(&sum.tally));
            let value = json!({"commands": commands, "events": events, "disagreements": sum.differences});
            ((*name).to_owned(), value)
        })
        .collect();
    let total = total(sums);
    let mut object = json!({
        "seeds": format!("{}..{}", arguments.seeds.start, arguments.seeds.end),
        "commands": total.commands,
        "disagreements": sums.values().map(|sum| sum.differences).sum::<u64>(),
        "profiles": profiles,
    });
    for (what, counted, all) in counts(&total) {
        let with_zeros: BTreeMap<_, _> =
            all.into_iter().map(|name| (name, counted.get(name).copied().unwrap_or(0))).collect();
        object[format!("by_{what}")] = json!(with_zeros);
    }
    writeln!(io::stdout().lock(), "{object}")
}

/// The shortest stream, to standard error, as people read it and as a script.
fn print_found(found: &Found, options: Options, commands: u32) {
    let Found { profile, seed, steps, difference } = found;
    eprintln!("\ndisagreement: --profile {profile} --seeds {seed}..{} --commands {commands}, {difference}", seed + 1);
    let Some(shrunk) = shrink(steps, options) else {
        eprintln!("the stream agrees when it is run again");
        return;
    };
    eprintln!("shortest stream of {} tried: {} commands\n", shrunk.runs, shrunk.steps.len());
    eprintln!("{}\n{}", show::stream(&shrunk.steps), shrunk.difference);
    match script::script(&shrunk.steps, options.capacity) {
        Ok(lines) => eprintln!("as a script:\n{lines}"),
        Err(why) => eprintln!("no script says it: {why}"),
    }
}

/// Adds a line for each profile to the results.
fn record(arguments: &Arguments, sums: &BTreeMap<&'static str, Sum>) -> io::Result<()> {
    let path = PathBuf::from(RESULTS);
    let in_file = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if !path.exists() {
        File::create(&path).and_then(|mut file| file.write_all(RESULTS_HEAD.as_bytes())).map_err(in_file)?;
    }
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (commit, seeds) = (commit(), &arguments.seeds);
    let snapshots = if arguments.snapshots { "yes" } else { "no" };
    let mut lines = String::new();
    for (name, sum) in sums {
        let (commands, events) = (sum.tally.commands, event_count(&sum.tally));
        let (first, end) = (seeds.start, seeds.end);
        lines += &format!(
            "| {time} | {commit} | {name} | {first}..{end} | {commands} | {events} | {snapshots} | {} |\n",
            sum.differences
        );
    }
    let file = OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(in_file)
}

/// The commit in the project's folder, marked if the code there differs from it.
fn commit() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(["-C", folder]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", "engine", "fuzz"]);
    if changed.is_some_and(|changed| !changed.is_empty()) { commit + "-dirty" } else { commit }
}
