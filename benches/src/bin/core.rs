//! `core`: operations a second of the engine alone, beside the least that any book needs.
//!
//! Exit codes: 0 done, 1 a candidate trades otherwise than it has to, 2 usage, 5 input and output.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use benches::driver::progress_bar;
use benches::failure::Failure;
use benches::json::Object;
use benches::machine::Machine;
use benches::throughput::allocations::{Counting, is_counting};
use benches::throughput::commands::Mode;
use benches::throughput::latency::{INTERRUPTED_NANOSECONDS, Latencies, Latency};
use benches::throughput::workload::{Stream, Workload};
use benches::throughput::{Candidate, Measured, Options, measure};
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use serde_json::{Number, Value};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Parser)]
#[command(version, about = "Times the engine alone, beside the least that any book needs")]
struct Arguments {
    /// s1k, e1k or d1m; all if it is not given.
    #[arg(long)]
    workload: Option<Workload>,
    /// How much of a venue; all if it is not given.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Runs of each candidate, in turns; medians are told.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Operations of a run, after the prefill.
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    operations: u32,
    /// Of the operations; the workload's own if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Accounts that the orders are spread over.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    accounts: u16,
    /// Time single operations, too.
    #[arg(long)]
    latency: bool,
    /// The processor to run on.
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Print one JSON object a line instead of a table; times single operations, too.
    #[arg(long)]
    json: bool,
    /// Time the books of others, too; builds them first.
    #[arg(long)]
    peers: bool,
    /// Time nothing but this, for instruction counts from outside.
    #[arg(long, value_enum, conflicts_with_all = ["json", "latency", "peers"])]
    only: Option<Candidate>,
}

impl Arguments {
    fn workloads(&self) -> Vec<Workload> {
        self.workload.map_or(Workload::ALL.to_vec(), |workload| vec![workload])
    }

    fn options(&self) -> Vec<Options> {
        let modes = self.mode.map_or(Mode::value_variants().to_vec(), |mode| vec![mode]);
        let options = |mode| Options {
            mode,
            accounts: self.accounts,
            runs: self.runs.into(),
            candidates: self.only.map_or(Candidate::ALL.to_vec(), |candidate| vec![candidate]),
            latency: self.latency || self.json,
        };
        modes.into_iter().map(options).collect()
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("core: {failure}");
            failure.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    assert!(is_counting(), "what is allocated is counted");
    let machine = Machine::this();
    if let Some(core) = arguments.core {
        pin(core)?;
    }
    if !arguments.json {
        println!("{}", heading(arguments, &machine));
    }
    let (workloads, options) = (arguments.workloads(), arguments.options());
    let steps: usize = options.iter().map(Options::steps).sum();
    let progress = progress_bar(workloads.len() * steps);
    for workload in workloads {
        let seed = arguments.seed.unwrap_or(workload.seed());
        let stream = Stream::generate(workload, seed, arguments.operations as usize);
        let mut floor = None;
        for options in &options {
            let measured = measure(&stream, options, || progress.inc(1))?;
            let text = if arguments.json {
                object(workload, seed, options, &measured, &machine).to_string()
            } else {
                row(workload, options, &measured)
            };
            say(&progress, &text);
            floor = measured.per_second(Candidate::Floor);
        }
        if arguments.peers {
            for line in peers(arguments, workload, seed)? {
                let text = if arguments.json { line.to_string() } else { peer_row(&line, floor) };
                say(&progress, &text);
            }
        }
    }
    progress.finish_and_clear();
    Ok(())
}

fn say(progress: &ProgressBar, text: &str) {
    progress.suspend(|| println!("{text}"));
}

fn pin(core: usize) -> Result<(), Failure> {
    let known = core_affinity::get_core_ids().unwrap_or_default();
    let found = known.into_iter().find(|known| known.id == core);
    if found.is_some_and(core_affinity::set_for_current) {
        return Ok(());
    }
    Err(Failure::Usage(format!("--core {core}: this process cannot be pinned to that processor")))
}

fn heading(arguments: &Arguments, machine: &Machine) -> String {
    let Machine { cores, processor, commit } = machine;
    let Arguments { runs, accounts, .. } = arguments;
    format!(
        "{cores} cores, {processor}; commit {commit}\none thread, closed loop, {accounts} accounts; medians of {runs} \
         runs, millions of operations a second\n{:8} {:8} {:>10} {:>7} {:>11} {:>7} {:>8} {:>14}",
        "workload", "mode", "operations", "floor", "event floor", "engine", "of floor", "of event floor"
    )
}

fn row(workload: Workload, options: &Options, measured: &Measured) -> String {
    let millions = |candidate| cell(measured.per_second(candidate).map(|rate| rate / 1e6));
    let share = |candidate| cell(measured.share_of(candidate));
    let mut text = format!(
        "{:8} {:8} {:>10} {:>7} {:>11} {:>7} {:>8} {:>14}\n         {}, {} events, no allocation",
        workload.to_string(),
        name(options.mode),
        measured.operations,
        millions(Candidate::Floor),
        millions(Candidate::EventFloor),
        millions(Candidate::Engine),
        share(Candidate::Floor),
        share(Candidate::EventFloor),
        measured.outcome,
        measured.events,
    );
    if let Some(latencies) = &measured.latencies {
        text += &latency_table(latencies);
    }
    text
}

fn cell(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

fn latency_table(latencies: &Latencies) -> String {
    let Latencies { clock, engine, floor } = latencies;
    let [least, median] = [clock.pair_least, clock.pair_median].map(|ticks| clock.nanoseconds(ticks));
    let mut text = format!(
        "\n         ns of single operations; an empty pair of readings takes {least:.0}, median {median:.0}, which is \
         taken off\n         {:20} {:>9}",
        "", "count"
    );
    for (name, _) in QUANTILES {
        text += &format!(" {name:>8}");
    }
    for (candidate, latency) in [("engine", engine), ("floor", floor)] {
        text += &latency_rows(candidate, latency);
    }
    text
}

fn latency_rows(candidate: &str, latency: &Latency) -> String {
    let kinds = ["new", "cancel", "move", "IOC"].into_iter().zip(&latency.by_action);
    let rows = kinds.filter(|(_, times)| !times.is_empty()).chain([("all", &latency.all)]);
    let mut text: String = rows.map(|(kind, times)| latency_row(&format!("{candidate}, {kind}"), times)).collect();
    text += &format!(
        "\n         {candidate}: longest at operation {}, {} over {} µs",
        latency.longest_at,
        latency.interrupted,
        INTERRUPTED_NANOSECONDS / 1_000
    );
    text
}

fn latency_row(name: &str, times: &Histogram<u64>) -> String {
    let mut text = format!("\n         {name:20} {:>9}", times.len());
    for (_, quantile) in QUANTILES {
        text += &format!(" {:>8}", times.value_at_quantile(quantile));
    }
    text
}

fn object(workload: Workload, seed: u64, options: &Options, measured: &Measured, machine: &Machine) -> Object {
    let mut object = Object::default();
    object.text("workload", workload);
    object.text("mode", name(options.mode));
    object.number("operations", measured.operations);
    let rates = [
        ("ops_per_second", Candidate::Engine),
        ("floor_ops_per_second", Candidate::Floor),
        ("event_floor_ops_per_second", Candidate::EventFloor),
    ];
    for (name, candidate) in rates {
        object.number(name, measured.per_second(candidate).unwrap_or_default().round() as u64);
    }
    for (name, candidate) in [("floor_ratio", Candidate::Floor), ("event_floor_ratio", Candidate::EventFloor)] {
        object.number(name, ratio(measured.share_of(candidate)));
    }
    if let Some(latencies) = &measured.latencies {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            object.number(&format!("nanoseconds_{name}"), latencies.engine.all.value_at_quantile(quantile));
        }
    }
    object.number("trades", measured.outcome.trades);
    object.number("volume", measured.outcome.volume);
    object.text("digest", format!("{:016x}", measured.outcome.digest));
    object.number("events", measured.events);
    // Else there would be no object.
    object.number("allocations", 0_u64);
    object.number("runs", options.runs);
    object.number("seed", seed);
    object.number("accounts", options.accounts);
    object.text("machine", format!("{}, {} cores", machine.processor, machine.cores));
    object.text("commit", &machine.commit);
    object
}

/// What the books of others do with the same stream, one object each; they are a package of their own.
fn peers(arguments: &Arguments, workload: Workload, seed: u64) -> Result<Vec<Value>, Failure> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/Cargo.toml");
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--locked", "--manifest-path", manifest, "--", "--json"]);
    command.args(["--workload", &workload.to_string(), "--seed", &seed.to_string()]);
    command.args(["--operations", &arguments.operations.to_string(), "--runs", &arguments.runs.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| Failure::io(Path::new("cargo"), error))?;
    if !output.status.success() {
        return Err(Failure::Missing(format!("the books of others were not timed: {}", output.status)));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let read = |line| serde_json::from_str(line).map_err(|error| Failure::Missing(format!("{error} in {line}")));
    lines.lines().map(read).collect()
}

fn peer_row(line: &Value, floor: Option<f64>) -> String {
    let rate = line["ops_per_second"].as_f64();
    let agrees = match line["agrees"].as_bool() {
        Some(true) => "trades as it has to".to_owned(),
        _ => format!("{} trades instead of {}", line["trades"], line["expected_trades"]),
    };
    format!(
        "{:8} {} {}: {} operations, {} M/s, {} of the floor; {agrees}",
        line["workload"].as_str().unwrap_or_default(),
        line["peer"].as_str().unwrap_or_default(),
        line["version"].as_str().unwrap_or_default(),
        line["operations"],
        cell(rate.map(|rate| rate / 1e6)),
        cell(rate.zip(floor).map(|(rate, floor)| rate / floor)),
    )
}

/// To four digits.
fn ratio(share: Option<f64>) -> Number {
    let share = (share.unwrap_or_default() * 1e4).round() / 1e4;
    Number::from_f64(share).expect("a share is a number")
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
