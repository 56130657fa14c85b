//! `instructions`: counts the instructions of the hot paths, and compares them with what was recorded.
//!
//! Exit codes: 0 as recorded, 1 a path has grown or was not recorded, 2 usage, 5 input and output.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use benches::driver::progress_bar;
use benches::failure::Failure;
use benches::instructions::callgrind::{self, PerOperation};
use benches::instructions::comparison::{Comparison, Verdict, gone, heading, mismatch};
use benches::instructions::record::{Record, Recorded};
use benches::instructions::{PATHS, Path, path};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "Counts the instructions of the hot paths under callgrind")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Counts, and compares with the record. Fails if a path has grown beyond its tolerance.
    Check(Choice),
    /// Counts, and writes the record.
    Record(Choice),
    /// Names the paths.
    List,
    /// Carries out a path's operations: what is counted of the other tasks, in a process of its own.
    Run {
        /// The path's name.
        path: String,
        /// How many operations.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        operations: u32,
    },
}

#[derive(Args)]
struct Choice {
    /// Only paths whose name contains this; may be given more than once.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// The record; the one that is kept with the source if it is not given.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

impl Choice {
    fn file(&self) -> PathBuf {
        self.record.clone().unwrap_or_else(Record::file)
    }

    fn paths(&self) -> Result<Vec<&'static Path>, Failure> {
        let chosen =
            |path: &&Path| self.only.is_empty() || self.only.iter().any(|text| path.name.contains(text.as_str()));
        let paths: Vec<&Path> = PATHS.iter().filter(chosen).collect();
        if paths.is_empty() {
            return Err(Failure::Usage(format!("--only {}: no path has that in its name", self.only.join(", "))));
        }
        Ok(paths)
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("instructions: {failure}");
            failure.exit().into()
        }
    }
}

fn run(task: &Task) -> Result<(), Failure> {
    match task {
        Task::Check(choice) => check(choice),
        Task::Record(choice) => record(choice),
        Task::List => {
            PATHS.iter().for_each(|path| println!("{}", path.name));
            Ok(())
        }
        Task::Run { path: name, operations } => {
            let unknown = || Failure::Usage(format!("{name}: no such path"));
            path(name).ok_or_else(unknown)?.run(*operations)
        }
    }
}

fn check(choice: &Choice) -> Result<(), Failure> {
    let recorded = Record::read(&choice.file())?;
    let now = Record::begin()?;
    if let Some(mismatch) = mismatch(&recorded, &now) {
        return Err(Failure::Missing(mismatch));
    }
    let paths = choice.paths()?;
    let counts = count(&paths)?;
    let comparisons: Vec<Comparison> =
        paths.iter().zip(&counts).map(|(path, now)| Comparison::of(path, recorded.path(path.name), now)).collect();
    println!("{}", heading());
    comparisons.iter().for_each(|comparison| println!("{}", comparison.row()));
    judge(&comparisons, &gone(&recorded))
}

fn judge(comparisons: &[Comparison], gone: &[&str]) -> Result<(), Failure> {
    let of = |verdict: Verdict| comparisons.iter().filter(move |comparison| comparison.verdict == verdict);
    for name in gone {
        println!("\n{name}: recorded, and no path any more; record again");
    }
    for comparison in of(Verdict::Shrunk) {
        let Comparison { name, now, .. } = comparison;
        let (own, libraries) = (now.own, now.libraries);
        println!("\n{name}: down to {own:.1}, {libraries:.1} in libraries; record that, so that it stays");
    }
    for comparison in of(Verdict::Grown) {
        println!("\n{}", comparison.explanation());
    }
    let bad = of(Verdict::Grown).chain(of(Verdict::New)).map(|comparison| comparison.name).collect::<Vec<_>>();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::Missing(format!(
        "{} of {} paths take more instructions than recorded, or are not recorded: {}. If that is meant, record it: \
         cargo run --release -p benches --bin instructions -- record",
        bad.len(),
        comparisons.len(),
        bad.join("; ")
    )))
}

fn record(choice: &Choice) -> Result<(), Failure> {
    let file = choice.file();
    let mut record = Record::begin()?;
    if !choice.only.is_empty() && file.exists() {
        let before = Record::read(&file)?;
        if let Some(mismatch) = mismatch(&before, &record) {
            return Err(Failure::Usage(format!("{mismatch}, all paths together")));
        }
        record.paths = before.paths;
    }
    let paths = choice.paths()?;
    for (path, counted) in paths.iter().zip(count(&paths)?) {
        println!("{:46} {:>9.1} {:>9.1} in libraries", path.name, counted.own, counted.libraries);
        record.put(Recorded::new(path.name, &counted));
    }
    record.write(&file)
}

/// Counts the paths, as many at once as there are processors.
fn count(paths: &[&'static Path]) -> Result<Vec<PerOperation>, Failure> {
    if cfg!(debug_assertions) {
        return Err(Failure::Usage("only a release build is counted: cargo run --release".to_owned()));
    }
    let folder = tempfile::tempdir().map_err(|source| Failure::io(&std::env::temp_dir(), source))?;
    let progress = progress_bar(paths.len());
    let counts: Vec<Mutex<Option<Result<PerOperation, Failure>>>> = paths.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((path, place)) = take(paths, &counts, &next) {
                    *place.lock().expect("nobody panics with it") = Some(callgrind::count(path, folder.path()));
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    let counted = |place: Mutex<Option<_>>| place.into_inner().expect("nobody panics with it").expect("all were taken");
    counts.into_iter().map(counted).collect()
}

fn take<'a, P, T>(paths: &'a [P], places: &'a [T], next: &AtomicUsize) -> Option<(&'a P, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((paths.get(index)?, places.get(index)?))
}
