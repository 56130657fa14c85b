//! `durability`: what it costs that nothing acknowledged is lost, each figure beside its limit in the same run.
//!
//! Exit codes: 0 done, 2 usage, 5 input and output.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use benches::durability::append::appends;
use benches::durability::disk::Method;
use benches::durability::flow::Flow;
use benches::durability::groups::groups;
use benches::durability::replay::replays;
use benches::durability::snapshots::{Pace, Size, snapshots};
use benches::failure::Failure;
use benches::json::Object;
use benches::machine::Machine;
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use ring::Idle;
use venue::affinity::{self, CoreNumber};

#[derive(Parser)]
#[command(version, about = "Times appending, groups on the disk, replay, and what snapshots cost")]
struct Arguments {
    /// What to measure; all if it is not given.
    #[arg(long, value_enum)]
    measure: Option<Measure>,
    /// A folder on the disk that is measured; temporary files if it is not given.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The processor for what stands for the core; everything else keeps off it, and the core spins.
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Rounds of the smallest groups, in turns with the bare disk; larger ones get less.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: u32,
    /// Commands a second while snapshots are measured.
    #[arg(long, default_value_t = 61_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: u32,
    /// Seconds of each window with and without snapshots.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Commands of the replayed journal.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    commands: u32,
    /// Accounts of the venue whose snapshots are measured.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    accounts: u32,
    /// Its resting orders.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=8_000_000))]
    orders: u32,
    /// Commands behind its last snapshot at the restart.
    #[arg(long, default_value_t = 5_000_000)]
    behind: u64,
    /// Runs of replay and engine, in turns, of which medians are told; and pairs of windows with and without snapshots.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// What appending costs the core.
    Append,
    /// Groups of commands beside the bare disk.
    Groups,
    /// A journal replayed, beside the engine alone.
    Replay,
    /// Snapshots of a large venue under load, and a restart behind one.
    Snapshots,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("durability: {failure}");
            failure.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let parent = arguments.directory.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&parent).map_err(|error| Failure::io(&parent, error))?;
    let all = affinity::available();
    let run =
        Run { arguments, machine: Machine::this(), directory: folder.path(), others: keep_off(arguments.core)?, all };
    if !arguments.json {
        let Machine { cores, processor, commit } = &run.machine;
        println!("{cores} cores, {processor}; commit {commit}");
    }
    let measures = arguments.measure.map_or(Measure::value_variants().to_vec(), |measure| vec![measure]);
    for measure in measures {
        for line in run.measure(measure)? {
            println!("{}", if arguments.json { line.object.to_string() } else { line.text });
        }
    }
    Ok(())
}

/// What all measurements share.
struct Run<'a> {
    arguments: &'a Arguments,
    machine: Machine,
    directory: &'a Path,
    /// Where everything but the core runs.
    others: Vec<CoreNumber>,
    all: Vec<CoreNumber>,
}

/// Commands that are enough for groups and appends.
const SHORT_FLOW: usize = 100_000;

impl Run<'_> {
    fn measure(&self, measure: Measure) -> Result<Vec<Line>, Failure> {
        // A replay has threads of its own, and nobody to keep off.
        let processors = if measure == Measure::Replay { &self.all } else { &self.others };
        affinity::keep_to(processors).map_err(|error| Failure::Usage(format!("--core: {error}")))?;
        let line = |what: &str| Line::of(measure, &self.machine, what);
        match measure {
            Measure::Append => self.append(line),
            Measure::Groups => self.groups(line),
            Measure::Replay => self.replay(line),
            Measure::Snapshots => self.snapshots(line),
        }
    }

    fn idle(&self) -> Idle {
        if self.arguments.core.is_some() { Idle::Spin } else { Idle::Park }
    }

    fn snapshots(&self, line: impl Fn(&str) -> Line) -> Result<Vec<Line>, Failure> {
        let Arguments { rate, seconds, core, accounts, orders, behind, runs, .. } = *self.arguments;
        let pace = Pace { rate: rate.into(), seconds: seconds.into(), idle: self.idle(), core };
        let size = Size { accounts, orders, behind, pairs: runs.into() };
        let taken = snapshots(size, self.directory, &pace)?;
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
        };
        let (writing, whole) = taken.times.iter().copied().unzip();
        let ratio =
            |quantile| taken.with.value_at_quantile(quantile) as f64 / taken.without.value_at_quantile(quantile) as f64;
        taken.report.iter().for_each(|said| eprintln!("{said}"));
        Ok(vec![
            line("core, no snapshot").times(&taken.without),
            line("core, snapshots")
                .times(&taken.with)
                .number("p50_ratio", ratio(0.5))
                .number("p99_ratio", ratio(0.99))
                .number("p999_ratio", ratio(0.999)),
            line("a snapshot")
                .number("taken", taken.times.len() as f64)
                .number("seconds_writing", median(writing))
                .number("seconds_in_all", median(whole))
                .number("bytes", taken.bytes as f64),
            line("restart").number("seconds", taken.restart.as_secs_f64()),
        ])
    }

    fn append(&self, line: impl Fn(&str) -> Line) -> Result<Vec<Line>, Failure> {
        let core = self.arguments.core.map(CoreNumber);
        let appends = appends(&Flow::generate(SHORT_FLOW)?, self.directory, self.idle(), core)?;
        let at = |times: &Histogram<u64>| times.value_at_quantile(0.999) as f64;
        let ratio = at(&appends.syncing) / at(&appends.resting);
        Ok(vec![
            line("append, writer rests").times(&appends.resting),
            line("append, writer syncs").times(&appends.syncing).number("p999_ratio", ratio),
        ])
    }

    fn groups(&self, line: impl Fn(&str) -> Line) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::new();
        for group in groups(&Flow::generate(SHORT_FLOW)?, self.directory, self.arguments.rounds as usize)? {
            let rate = |times: &Histogram<u64>| group.size as f64 / times.value_at_quantile(0.5) as f64 * 1e9;
            for (method, times) in Method::ALL.into_iter().zip(&group.bare) {
                let line = line(&format!("{:>6} a group, bare {}", group.size, name(method))).times(times);
                lines.push(line.number("commands_per_second", rate(times)));
            }
            lines.push(line(&format!("{:>6} a group, journal, alone", group.size)).times(&group.latency));
            let line = line(&format!("{:>6} a group, journal, in a row", group.size)).times(&group.journal);
            let line = line.number("commands_per_second", rate(&group.journal));
            let line = line.number("of_best_bare", rate(&group.journal) / rate(group.best()));
            lines.push(match group.device_bytes_per_command {
                Some(bytes) => line.number("device_bytes_per_command", bytes),
                None => line,
            });
        }
        Ok(lines)
    }

    fn replay(&self, line: impl Fn(&str) -> Line) -> Result<Vec<Line>, Failure> {
        let &Arguments { commands, runs, .. } = self.arguments;
        let replays = replays(&Flow::generate(commands as usize)?, self.directory, runs.into())?;
        let rate = |times: &[Duration]| replays.commands as f64 / median(times).as_secs_f64();
        let (engine, replay) = (rate(&replays.engine), rate(&replays.replay));
        Ok(vec![
            line("engine alone").number("commands_per_second", engine),
            line("replay").number("commands_per_second", replay).number("of_engine", replay / engine),
        ])
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Keeps this thread, and what it starts, off the core's processor; gives where they run.
fn keep_off(core: Option<usize>) -> Result<Vec<CoreNumber>, Failure> {
    let available = affinity::available();
    let others: Vec<_> = available.iter().copied().filter(|&other| Some(other.0) != core).collect();
    match core {
        Some(core) if others.len() == available.len() || others.is_empty() => {
            Err(Failure::Usage(format!("--core {core}: not one of several processors that this process may use")))
        }
        _ => Ok(others),
    }
}

/// One result.
struct Line {
    text: String,
    object: Object,
}

impl Line {
    fn of(measure: Measure, machine: &Machine, what: &str) -> Self {
        let mut object = Object::default();
        object.text("measure", measure.to_possible_value().expect("none is skipped").get_name());
        object.text("what", what);
        object.text("processor", &machine.processor);
        object.text("commit", &machine.commit);
        Self { text: format!("{what:<34}"), object }
    }

    fn times(mut self, times: &Histogram<u64>) -> Self {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            let nanoseconds = times.value_at_quantile(quantile);
            self.object.number(&format!("nanoseconds_{name}"), nanoseconds);
            let (value, unit) = match nanoseconds {
                0..10_000 => (nanoseconds as f64, "ns"),
                _ => (nanoseconds as f64 / 1e3, "µs"),
            };
            self.text.push_str(&format!(" {name} {value:>8.1} {unit}"));
        }
        self
    }

    fn number(mut self, name: &str, value: f64) -> Self {
        let text = name.replace('_', " ");
        self.text.push_str(&format!("  {text} {value:.2}"));
        self.object.number(name, serde_json::Number::from_f64(value).unwrap_or(0.into()));
        self
    }
}
