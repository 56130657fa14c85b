//! Whether one measurement differs from another, or only its noise does.

use std::path::{Path, PathBuf};

use clap::Args;
use fastrand::Rng;
use serde_json::Value;

use super::arguments::name;
use super::bootstrap::{Interval, ratio};
use super::environment::Environment;
use super::result::{Report, Series, Slice};
use crate::failure::Failure;

/// Which measurements to compare.
#[derive(Debug, Clone, Args)]
pub struct CompareArguments {
    /// What `load --json` printed before: a line for each run.
    #[arg(value_name = "A.json")]
    pub before: PathBuf,
    /// What it printed behind.
    #[arg(value_name = "B.json")]
    pub behind: PathBuf,
    /// Compare even if other things were measured.
    #[arg(long)]
    pub force: bool,
    /// Of the resampling.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Runs from which on they are resampled themselves.
const RUNS_MIN: usize = 5;
/// Consecutive parts of a run that stay together.
const BLOCK: usize = 4;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// In lines.
    pub text: String,
    /// Whether anything but a limit is worse, and not by noise.
    pub is_worse: bool,
}

/// Compares two files.
pub fn run(arguments: &CompareArguments) -> Result<Compared, Failure> {
    let [before, behind] = [&arguments.before, &arguments.behind].map(|path| read(path));
    of(&before?, &behind?, arguments)
}

/// All runs of a file.
fn read(path: &Path) -> Result<Vec<Report>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io(path, error))?;
    let reports: Result<Vec<_>, _> = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            Report::from_json(line).map_err(|error| Failure::malformed(path, number, error.to_string()))
        })
        .collect();
    reports.and_then(|reports| match reports.is_empty() {
        true => Err(Failure::malformed(path, 1, "there is no run")),
        false => Ok(reports),
    })
}

fn of(before: &[Report], behind: &[Report], arguments: &CompareArguments) -> Result<Compared, Failure> {
    let mut lines = vec![format!("intervals of 95 % confidence, seed {}", arguments.seed)];
    let mut random = Rng::with_seed(arguments.seed);
    let mut is_worse = false;
    for (setting, before, behind) in paired(before, behind, arguments.force)? {
        lines.push(format!("\n{setting}; {} and {} runs", before.len(), behind.len()));
        lines.extend(differences(&before[0].environment, &behind[0].environment));
        if before.len().min(behind.len()) < RUNS_MIN {
            lines.push(format!(
                "fewer than {RUNS_MIN} runs each: compared by their parts, which does not show how runs differ; use --runs"
            ));
        }
        lines.push(format!("{:34} {:>10} {:>12} {:>12} {:>6}  {}", "", "", "A", "B", "B/A", "difference"));
        for Metric { series, what, better, before, behind } in metrics(&before, &behind) {
            let compared = Line::of(&before, &behind, better, &mut random);
            // Neither a limit nor the traders are what was measured.
            is_worse |= compared.is_worse && !series.starts_with("limit: ") && !series.starts_with("send lateness");
            lines.push(format!("{series:34} {what:>10} {}", compared.text));
        }
    }
    Ok(Compared { text: lines.join("\n"), is_worse })
}

/// What was measured, in words, and its runs before and behind.
type Pair<'a> = (String, Vec<&'a Report>, Vec<&'a Report>);
/// The same of one file, in the file's order.
type Group<'a> = (String, Vec<&'a Report>);

/// Runs of the same thing, before and behind.
fn paired<'a>(before: &'a [Report], behind: &'a [Report], force: bool) -> Result<Vec<Pair<'a>>, Failure> {
    let [mut before, mut behind] = [before, behind].map(grouped);
    let [only_before, only_behind] = [missing(&before, &behind), missing(&behind, &before)];
    if only_before.is_empty() && only_behind.is_empty() {
        let others = |key: &String| behind.iter().find(|group| &group.0 == key).map(|group| group.1.clone());
        return Ok(before.into_iter().filter_map(|(key, runs)| others(&key).map(|other| (key, runs, other))).collect());
    }
    if !force {
        let said = |only: Vec<&str>| if only.is_empty() { "nothing".to_owned() } else { only.join("; ") };
        return Err(Failure::Usage(format!(
            "different things were measured: only A has {}; only B has {}; compare with --force",
            said(only_before),
            said(only_behind)
        )));
    }
    match (before.pop(), behind.pop()) {
        (Some((one, runs)), Some((other, others))) if before.is_empty() && behind.is_empty() => {
            Ok(vec![(format!("{one}, and {other}"), runs, others)])
        }
        _ => Err(Failure::Usage("--force: each file has to have one thing that was measured".to_owned())),
    }
}

fn grouped(reports: &[Report]) -> Vec<Group<'_>> {
    let mut groups = Vec::<Group<'_>>::new();
    for report in reports {
        let key = setting(report);
        match groups.iter_mut().find(|group| group.0 == key) {
            Some(group) => group.1.push(report),
            None => groups.push((key, vec![report])),
        }
    }
    groups
}

/// What is in one and not in the other.
fn missing<'a>(one: &'a [Group<'_>], other: &[Group<'_>]) -> Vec<&'a str> {
    let is_missing = |key: &str| other.iter().all(|group| group.0 != key);
    one.iter().map(|group| group.0.as_str()).filter(|key| is_missing(key)).collect()
}

/// What was measured, in words.
fn setting(report: &Report) -> String {
    let Report { mode, security, arrivals, mix, rate, sessions, durability, idle, cores, .. } = report;
    let mut words = vec![name(*mode), mix.to_string()];
    words.extend(security.map(name));
    words.extend(durability.map(name));
    words.extend(rate.map(|rate| format!("{rate}/s")));
    words.extend(arrivals.map(|arrivals| format!("{} arrivals", name(arrivals))));
    words.push(format!("{sessions} session{}", if *sessions == 1 { "" } else { "s" }));
    words.push(format!("idle {}", name(*idle)));
    if !cores.is_empty() {
        words.push(format!("cores {cores:?}"));
    }
    words.join(", ")
}

/// What changes from run to run and is no difference.
const PASSING: [&str; 4] = ["load_average", "stolen", "switches", "warnings"];

/// Where they were taken on something else.
fn differences(before: &Environment, behind: &Environment) -> Vec<String> {
    let [before, behind] = [before, behind].map(|environment| serde_json::to_value(environment).unwrap_or_default());
    let Value::Object(before) = before else { return Vec::new() };
    let differs = |(field, value): (&String, &Value)| {
        let other = &behind[field];
        let is_other = value != other && !PASSING.contains(&field.as_str());
        is_other.then(|| format!("different {}: {value} and {other}", field.replace('_', " ")))
    };
    before.iter().filter_map(differs).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    More,
}

/// One number of a series.
struct Metric {
    series: String,
    what: &'static str,
    better: Better,
    before: Values,
    behind: Values,
}

/// Of each run, and of consecutive parts of each.
struct Values {
    runs: Vec<f64>,
    slices: Vec<Vec<f64>>,
}

impl Values {
    fn of(
        reports: &[&Report],
        series: &str,
        run: impl Fn(&Series) -> Option<f64>,
        slice: impl Fn(&Slice) -> Option<f64>,
    ) -> Self {
        let all = || reports.iter().filter_map(|report| report.series(series));
        Self {
            runs: all().filter_map(run).collect(),
            slices: all().map(|series| series.slices.iter().filter_map(&slice).collect()).collect(),
        }
    }
}

type OfSeries = fn(&Series) -> Option<f64>;
type OfSlice = fn(&Slice) -> Option<f64>;

fn whole(nanoseconds: Option<u64>) -> Option<f64> {
    nanoseconds.map(|nanoseconds| nanoseconds as f64)
}

/// What a series of times is compared by.
const TIMES: [(&str, OfSeries, OfSlice); 4] = [
    ("p50 ns", |series| whole(series.p50_ns), |slice| whole(slice.p50_ns)),
    ("p90 ns", |series| whole(series.p90_ns), |_| None),
    ("p99 ns", |series| whole(series.p99_ns), |slice| whole(slice.p99_ns)),
    ("p99.9 ns", |series| whole(series.p999_ns), |_| None),
];

/// What is in both.
fn metrics(before: &[&Report], behind: &[&Report]) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for series in before[0].series.iter().filter(|series| behind[0].series(&series.name).is_some()) {
        let mut add = |what, better, run: OfSeries, slice: OfSlice| {
            let [before, behind] = [before, behind].map(|reports| Values::of(reports, &series.name, run, slice));
            if !before.runs.is_empty() && !behind.runs.is_empty() {
                metrics.push(Metric { series: series.name.clone(), what, better, before, behind });
            }
        };
        match series.mean_ns {
            Some(_) => TIMES.iter().for_each(|&(what, run, slice)| add(what, Better::Less, run, slice)),
            None => add("per second", Better::More, |series| series.per_second, |slice| Some(slice.per_second)),
        }
    }
    metrics
}

/// What is said of a number.
struct Line {
    text: String,
    is_worse: bool,
}

impl Line {
    fn of(before: &Values, behind: &Values, better: Better, random: &mut Rng) -> Self {
        let interval = if before.runs.len().min(behind.runs.len()) >= RUNS_MIN {
            ratio(std::slice::from_ref(&before.runs), std::slice::from_ref(&behind.runs), 1, random)
        } else {
            ratio(&before.slices, &behind.slices, BLOCK, random)
        };
        let [one, other] = [before, behind].map(|values| mean(&values.runs));
        let told = interval.map_or(other / one, |interval| interval.ratio);
        let verdict = interval.map_or_else(|| "unsure: too few samples".to_owned(), |interval| said(interval, better));
        let is_worse = interval.is_some_and(|interval| !interval.is_noise() && is_slower(interval, better));
        Self { text: format!("{one:>12.0} {other:>12.0} {told:>6.3}  {verdict}"), is_worse }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn is_slower(interval: Interval, better: Better) -> bool {
    (interval.ratio > 1.0) == (better == Better::Less)
}

fn said(interval: Interval, better: Better) -> String {
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let (low, high) = (percent(interval.low), percent(interval.high));
    if interval.is_noise() {
        return format!("noise ({low:+.1} to {high:+.1} %)");
    }
    let word = if is_slower(interval, better) { "slower" } else { "faster" };
    let (least, most) = (low.abs().min(high.abs()), low.abs().max(high.abs()));
    format!("{word} by {least:.1} to {most:.1} %")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::arguments::CommandLine;
    use clap::Parser;

    const FORCE: [bool; 2] = [false, true];

    fn arguments(force: bool) -> CompareArguments {
        CompareArguments { before: PathBuf::new(), behind: PathBuf::new(), force, seed: 1 }
    }

    /// A run whose series takes about so long, as do its parts.
    fn report(options: &[&str], median_ns: f64, parts: impl Fn(usize) -> f64) -> Report {
        let line = ["load", "--mode", "pipeline", "--durability", "buffered"].iter().chain(options);
        let arguments = CommandLine::parse_from(line).measurements().unwrap().remove(0);
        let mut report = Report::new(&arguments, "made up");
        let slice = |index| Slice {
            count: 100,
            p50_ns: Some((median_ns * parts(index)) as u64),
            p99_ns: None,
            per_second: 100.0,
        };
        report.series.push(Series {
            name: "pipeline".to_owned(),
            count: 2_000,
            mean_ns: Some(median_ns),
            p50_ns: Some(median_ns as u64),
            p90_ns: None,
            p99_ns: None,
            p999_ns: None,
            p9999_ns: None,
            max_ns: None,
            per_second: None,
            slices: (0..20).map(slice).collect(),
            times: None,
        });
        report
    }

    fn runs(median_ns: f64, noise: f64, seed: u64) -> Vec<Report> {
        let mut random = Rng::with_seed(seed);
        let mut around = || median_ns * (1.0 + noise * (2.0 * random.f64() - 1.0));
        (0..8).map(|_| report(&["--rate", "1000"], around(), |_| 1.0)).collect()
    }

    #[test]
    fn runs_of_the_same_are_noise_and_a_tenth_more_is_not() {
        let before = runs(50_000.0, 0.02, 1);
        let same = of(&before, &runs(50_000.0, 0.02, 2), &arguments(false)).unwrap();
        assert!(!same.is_worse && same.text.contains("noise (") && !same.text.contains("slower"), "{}", same.text);
        let slower = runs(55_000.0, 0.02, 3);
        let worse = of(&before, &slower, &arguments(false)).unwrap();
        assert!(worse.is_worse && worse.text.contains("slower by "), "{}", worse.text);
        let better = of(&slower, &before, &arguments(false)).unwrap();
        assert!(!better.is_worse && better.text.contains("faster by "), "{}", better.text);
        assert_eq!(of(&before, &slower, &arguments(false)).unwrap(), worse, "the seed decides");
    }

    #[test]
    fn one_run_that_drifts_is_noise_and_said_to_say_little() {
        let steady = [report(&["--rate", "1000"], 50_000.0, |index| 1.0 + 0.004 * (index % 3) as f64)];
        let drifting = [report(&["--rate", "1000"], 50_500.0, |index| 0.93 + 0.008 * index as f64)];
        let said = of(&steady, &drifting, &arguments(false)).unwrap();
        assert!(!said.is_worse && said.text.contains("noise ("), "{}", said.text);
        assert!(said.text.contains("use --runs"), "{}", said.text);
    }

    #[test]
    fn a_limit_that_is_slower_is_no_fault() {
        let limit = |median_ns| {
            let mut all = runs(median_ns, 0.01, 4);
            all.iter_mut().for_each(|report| report.series[0].name = "limit: ring".to_owned());
            all
        };
        let said = of(&limit(100.0), &limit(200.0), &arguments(false)).unwrap();
        assert!(!said.is_worse && said.text.contains("slower by "), "{}", said.text);
    }

    #[test]
    fn different_things_are_not_compared_unless_forced() {
        for options in
            [&["--rate", "2000"][..], &["--rate", "1000", "--mix", "e1k"], &["--rate", "1000", "--arrivals", "poisson"]]
        {
            let [one, other] = [&["--rate", "1000"][..], options].map(|options| [report(options, 1e4, |_| 1.0)]);
            let [refused, forced] = FORCE.map(|force| of(&one, &other, &arguments(force)));
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("only B has pipeline"), "{error}");
            assert!(forced.unwrap().text.contains("noise"));
        }
    }

    #[test]
    fn other_machines_are_pointed_out() {
        let before = runs(50_000.0, 0.02, 1);
        let mut behind = before.clone();
        for report in &mut behind {
            report.environment.commit = "abc".to_owned();
            report.environment.governors = vec!["0 powersave".to_owned()];
            report.environment.load_average = Some(9.0);
        }
        let said = of(&before, &behind, &arguments(false)).unwrap();
        for words in ["different commit: \"\" and \"abc\"", "different governors: [] and [\"0 powersave\"]"] {
            assert!(said.text.contains(words), "{}", said.text);
        }
        assert!(!said.text.contains("load average"), "{}", said.text);
    }

    #[test]
    fn a_file_that_is_no_result_is_named_with_its_line() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.json");
        std::fs::write(&path, format!("{}\n{{}}\n", runs(1e4, 0.0, 1)[0].to_json())).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("a.json:2: "), "{error}");
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("no run"));
    }
}
