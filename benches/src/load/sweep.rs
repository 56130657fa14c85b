//! Latency against offered load, up to the cliff: what a venue carries, and what that costs.

mod plot;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use venue::arguments::DurabilityArgument;

use super::arguments::{Arguments, name};
use super::progress::Progress;
use super::result::{Report, Series};
use crate::failure::Failure;
use crate::scaling::plot::grouped;

/// Which rates to offer.
#[derive(Debug, Clone, Args)]
pub struct SweepArguments {
    /// The lowest rate, in orders a second.
    #[arg(long, value_name = "N", conflicts_with = "rate", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub from: u64,
    /// The highest rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub to: u64,
    /// How many rates, each as many times the one before.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub steps: u32,
    /// Write the results (sweep.jsonl) and a picture for each policy into this folder.
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
    /// What to measure at each rate.
    #[command(flatten)]
    pub arguments: Arguments,
}

/// Less of what is offered is done: the venue is beyond what it can carry.
const DONE: f64 = 0.95;
/// More of the lowest rate's median: as well.
const LATE: f64 = 100.0;

/// What came of the rates of one policy.
#[derive(Debug)]
struct Sweep {
    durability: DurabilityArgument,
    reports: Vec<Report>,
    /// Whether the last rate was beyond what is carried.
    has_cliff: bool,
}

/// Measures each rate once by `measure`, and prints a table, or with `--json` the results.
pub fn run(
    sweep: &SweepArguments,
    progress: &Progress,
    mut measure: impl FnMut(&Arguments, &Progress) -> Result<Vec<Report>, Failure>,
) -> Result<(), Failure> {
    if sweep.to <= sweep.from {
        return Err(Failure::Usage(format!("--to {}: not above --from {}", sweep.to, sweep.from)));
    }
    let arguments = &sweep.arguments;
    let say = |text: &str| progress.say(text).map_err(|error| Failure::io(Path::new("standard output"), error));
    let mut lines = String::new();
    for &durability in &sweep.arguments.durabilities {
        let at = |rate| Arguments { rate: Some(rate), durability, ..arguments.clone() };
        let swept =
            Sweep::of(durability, &rates(sweep.from, sweep.to, sweep.steps), |rate| measure(&at(rate), progress))?;
        for report in &swept.reports {
            writeln!(lines, "{}", report.to_json()).expect("a string takes all");
            if arguments.json {
                say(&report.to_json())?;
            }
        }
        if !arguments.json {
            say(&swept.table())?;
        }
        if let Some(directory) = &sweep.plot {
            let path = plot::write(directory, &swept)?;
            write_lines(directory, &lines)?;
            eprintln!("drawn: {}", path.display());
        }
    }
    Ok(())
}

fn write_lines(directory: &Path, lines: &str) -> Result<(), Failure> {
    let path = directory.join("sweep.jsonl");
    std::fs::write(&path, lines).map_err(|error| Failure::io(&path, error))
}

/// So many rates from one to the other, each as many times the one before.
fn rates(from: u64, to: u64, steps: u32) -> Vec<u64> {
    let factor = (to as f64 / from as f64).powf(1.0 / f64::from(steps - 1));
    let mut rates: Vec<u64> = (0..steps).map(|step| (from as f64 * factor.powi(step as i32)).round() as u64).collect();
    rates.dedup();
    rates
}

impl Sweep {
    /// Goes up to the first rate that is not carried.
    fn of(
        durability: DurabilityArgument,
        rates: &[u64],
        mut measure: impl FnMut(u64) -> Result<Vec<Report>, Failure>,
    ) -> Result<Self, Failure> {
        let mut sweep = Self { durability, reports: Vec::new(), has_cliff: false };
        for &rate in rates {
            let report = measure(rate)?.into_iter().next();
            sweep.reports.push(report.ok_or_else(|| Failure::Missing(format!("nothing was measured at {rate}/s")))?);
            sweep.has_cliff = sweep.is_beyond();
            if sweep.has_cliff {
                break;
            }
        }
        Ok(sweep)
    }

    fn is_beyond(&self) -> bool {
        let (Some(first), Some(last)) = (self.reports.first(), self.reports.last()) else { return false };
        let median = |report: &Report| measured(report).and_then(|series| series.p50_ns).map(|ns| ns as f64);
        let is_late = median(first).zip(median(last)).is_some_and(|(first, last)| last > LATE * first);
        let is_short = last.achieved_rate.zip(last.rate).is_some_and(|(done, rate)| done < DONE * rate as f64);
        is_late || is_short
    }

    /// As Markdown.
    fn table(&self) -> String {
        let Some(first) = self.reports.first() else { return String::new() };
        let limit = limit(first).map_or("no limit", |series| series.name.as_str());
        let mut text = format!(
            "{}, {}, {}: {}; times in µs\n\n\
             | offered/s | done/s | p50 | p99 | p99.9 | {limit}: p50 | p99 | ratio p50 | p99 |\n\
             |---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            name(first.mode),
            first.mix,
            name(self.durability),
            first.load_model
        );
        self.reports.iter().for_each(|report| writeln!(text, "{}", row(report)).expect("a string takes all"));
        let [.., carried, beyond] = self.reports.as_slice() else { return text };
        match (self.has_cliff, carried.rate.zip(beyond.rate)) {
            (true, Some((carried, beyond))) => {
                let [carried, beyond] = [carried, beyond].map(|rate| grouped(rate as f64));
                write!(text, "\ncarries {carried}/s, and not {beyond}/s").expect("a string takes all");
            }
            _ => text.push_str("\ncarries all of these"),
        }
        text
    }
}

/// What is swept.
fn measured(report: &Report) -> Option<&Series> {
    report.series.first()
}

/// What it is compared with first.
fn limit(report: &Report) -> Option<&Series> {
    let of = &measured(report)?.name;
    let ratio = report.ratios.iter().find(|ratio| &ratio.of == of)?;
    report.series(&ratio.to)
}

fn row(report: &Report) -> String {
    let series = measured(report);
    let limit = limit(report);
    let time = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| microseconds(ns as f64 / 1e3));
    let ratio = |of: Option<u64>, to: Option<u64>| match (of, to) {
        (Some(of), Some(to)) if to > 0 => format!("{:.2}", of as f64 / to as f64),
        _ => "-".to_owned(),
    };
    let [p50, p99] = [series.and_then(|series| series.p50_ns), series.and_then(|series| series.p99_ns)];
    let [limit_p50, limit_p99] = [limit.and_then(|limit| limit.p50_ns), limit.and_then(|limit| limit.p99_ns)];
    let cells = [
        grouped(report.rate.unwrap_or_default() as f64),
        grouped(report.achieved_rate.unwrap_or_default()),
        time(p50),
        time(p99),
        time(series.and_then(|series| series.p999_ns)),
        time(limit_p50),
        time(limit_p99),
        ratio(p50, limit_p50),
        ratio(p99, limit_p99),
    ];
    format!("| {} |", cells.join(" | "))
}

/// To three digits or so.
fn microseconds(value: f64) -> String {
    match value {
        0.0..100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::arguments::{CommandLine, Task};
    use clap::Parser;
    use std::time::Duration;

    fn parsed(options: &[&str]) -> SweepArguments {
        let line = ["load", "sweep", "--mode", "pipeline"].iter().chain(options);
        match CommandLine::parse_from(line).task {
            Some(Task::Sweep(sweep)) => *sweep,
            other => panic!("a sweep was asked for: {other:?}"),
        }
    }

    /// What carries so much, and is late beyond.
    fn carrying(capacity: u64) -> impl FnMut(&Arguments, &Progress) -> Result<Vec<Report>, Failure> {
        move |arguments, _| {
            let rate = arguments.rate.unwrap();
            let done = rate.min(capacity);
            let mut report = Report::new(arguments, "made up");
            report.achieved_rate = Some(done as f64);
            let [mut times, mut limit] = [(); 2].map(|()| crate::times::histogram());
            let late = if rate > capacity { 50 } else { 1 };
            for index in 0..20_000 {
                times.record((50_000 + index * 10) * late).unwrap();
                limit.record(20_000 + index).unwrap();
            }
            report.series = vec![Series::of_times("pipeline", times), Series::of_times("limit: ring", limit)];
            report.compare("pipeline", "limit: ring");
            Ok(vec![report])
        }
    }

    #[test]
    fn rates_are_as_many_times_apart() {
        assert_eq!(rates(1_000, 8_000, 4), [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(rates(10, 1_000, 3), [10, 100, 1_000]);
        assert_eq!(rates(1, 3, 5), [1, 2, 3]);
    }

    #[test]
    fn it_ends_behind_the_cliff() {
        let sweep = parsed(&["--from", "1000", "--to", "16000", "--steps", "5"]);
        let mut carrying = carrying(5_000);
        let progress = Progress::new();
        let arguments = |rate| Arguments { rate: Some(rate), ..sweep.arguments.clone() };
        let swept = Sweep::of(DurabilityArgument::Buffered, &rates(1_000, 16_000, 5), |rate| {
            carrying(&arguments(rate), &progress)
        });
        let swept = swept.unwrap();
        let rates: Vec<_> = swept.reports.iter().filter_map(|report| report.rate).collect();
        assert_eq!((rates.as_slice(), swept.has_cliff), (&[1_000, 2_000, 4_000, 8_000][..], true));
        let table = swept.table();
        assert!(table.contains("\n| 1,000 | 1,000 | 150 | 248 | 250 | 30.0 | 39.8 | 5.00 | 6.23 |"), "{table}");
        assert!(table.contains("\n| 8,000 | 5,000 | 7,500 | 12,4"), "{table}");
        assert!(table.ends_with("carries 4,000/s, and not 8,000/s"), "{table}");
    }

    #[test]
    fn every_policy_is_drawn_and_every_line_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("new");
        let path = directory.to_str().unwrap();
        let sweep = parsed(&[
            "--from",
            "10",
            "--to",
            "1000",
            "--steps",
            "3",
            "--plot",
            path,
            "--durability",
            "buffered,synced",
        ]);
        run(&sweep, &Progress::new(), carrying(10_000)).unwrap();
        for durability in ["buffered", "synced"] {
            let picture =
                std::fs::read_to_string(directory.join(format!("sweep_pipeline_s1k_{durability}.svg"))).unwrap();
            for words in ["offered", "µs", "p99.9", "limit: ring", durability] {
                assert!(picture.contains(words), "{words} in {picture}");
            }
        }
        let lines = std::fs::read_to_string(directory.join("sweep.jsonl")).unwrap();
        let reports: Vec<Report> = lines.lines().map(|line| Report::from_json(line).unwrap()).collect();
        assert_eq!(reports.len(), 6);
        assert_eq!(reports[5].rate, Some(1_000));
        assert_eq!(reports[5].seconds, Duration::from_secs(10).as_secs_f64());
    }

    #[test]
    fn a_sweep_goes_up() {
        let error = run(&parsed(&["--from", "10", "--to", "10"]), &Progress::new(), carrying(1)).unwrap_err();
        assert!(error.to_string().contains("--to 10"), "{error}");
    }
}
