//! `kill_loop`: kills a venue at random moments, starts it again, and says whether its traders lost anything.
//!
//! Exit codes: 0 agrees, 1 differs, 2 usage, 4 damaged journal, 5 input and output.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fuzz::flow::{self, Day};
use fuzz::kills::{Kills, RunError};
use fuzz::load;
use fuzz::process::{self, Spec};
use fuzz::rejoin;
use fuzz::verdict::{Row, Verdict};
use indicatif::ProgressBar;
use venue::arguments::DurabilityArgument;
use venue::exit::Exit;

#[derive(Parser)]
#[command(version, about = "Kills a venue at random moments, and says whether its traders lost anything")]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    run: Run,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Args)]
struct Run {
    /// How often the venue is killed.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// After so many kills another venue is begun, in a new folder: each start replays the journal, which grows.
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    renew: u64,
    /// What the moments and the made orders of the first venue follow from; the next one's is one more.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What goes through the venue.
    #[arg(long, value_enum, default_value_t = Mode::Flow)]
    mode: Mode,
    /// What acknowledgements promise.
    #[arg(long, value_enum, default_value_t = DurabilityArgument::Synced)]
    durability: DurabilityArgument,
    /// In modes load and rejoin: how many sessions trade.
    #[arg(long, value_name = "COUNT", default_value_t = load::SESSIONS, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    sessions: u32,
    /// MiB of a journal segment: small ones are made quickly, at each start.
    #[arg(long, value_name = "MIB", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    segment_mib: u64,
    /// In mode flow: the folder of a recorded day of Coinbase's. Default: where the tests look for it, or else a made day.
    #[arg(long, value_name = "DIR")]
    day: Option<PathBuf>,
    /// In mode flow: a made day of so many requests, whatever is recorded.
    #[arg(long, value_name = "COUNT", conflicts_with = "day")]
    made: Option<u64>,
    /// Where the venues' folders are made; they are removed unless something differs. Default: the folder for temporary files.
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Add the result to this file, as one JSON object on one line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object on one line instead of a sentence.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// One session drives a day; it has to come out as if nothing had happened.
    Flow,
    /// Many sessions trade at random; after each restart their logs have to agree with the journal.
    Load,
    /// Many sessions of the client library trade at random and come back by themselves; in the end their logs have to
    /// agree with the journal.
    Rejoin,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Load => "load",
            Self::Rejoin => "rejoin",
        }
    }
}

#[derive(Subcommand)]
enum Role {
    /// The venue that is killed.
    #[command(hide = true)]
    Venue {
        #[arg(value_enum)]
        mode: Mode,
        #[arg(long)]
        data: PathBuf,
        #[arg(long, value_enum)]
        durability: DurabilityArgument,
        #[arg(long)]
        segment_mib: u64,
    },
}

/// A made day, where no other is asked for or recorded.
const MADE: u64 = 20_000;

fn main() -> ExitCode {
    let Arguments { run, role } = Arguments::parse();
    if let Some(Role::Venue { mode, data, durability, segment_mib }) = role {
        return match mode {
            Mode::Flow => process::serve(&data, durability, segment_mib, flow::commands),
            Mode::Load => process::serve(&data, durability, segment_mib, load::commands),
            Mode::Rejoin => process::serve(&data, durability, segment_mib, rejoin::commands),
        }
        .into();
    }
    match kill_loop(&run) {
        Ok(true) => Exit::Done.into(),
        Ok(false) => Exit::Differs.into(),
        Err(error) => {
            eprintln!("kill_loop: {error}");
            exit_of(&error).into()
        }
    }
}

fn exit_of(error: &RunError) -> Exit {
    match error {
        RunError::Failure(failure) => failure.exit(),
        RunError::Stuck(_) => Exit::Differs,
        RunError::Process(_) => Exit::InputOutput,
    }
}

/// Kills one venue after the other until there were enough kills; whether all agree.
fn kill_loop(run: &Run) -> Result<bool, RunError> {
    let (mut kills, mut verdict, mut what) = (Kills::default(), Verdict::default(), String::new());
    let mut venues = 0;
    let progress = ProgressBar::new(run.rounds);
    while kills.count() < run.rounds && verdict.agrees() {
        let rounds = run.renew.min(run.rounds - kills.count());
        let venue = kill_venue(run, run.seed + venues, rounds, &mut what)?;
        verdict.add(venue.0);
        kills.add(venue.1);
        venues += 1;
        progress.set_position(kills.count());
    }
    progress.finish_and_clear();
    report(run, what, venues, kills, &verdict)?;
    Ok(verdict.agrees())
}

/// Kills one venue so often; says what went through it.
fn kill_venue(run: &Run, seed: u64, rounds: u64, what: &mut String) -> Result<(Verdict, Kills), RunError> {
    let place = run.place.clone().unwrap_or_else(std::env::temp_dir);
    let io = |error: io::Error| RunError::Failure(benches::failure::Failure::io(&place, error));
    let folder = tempfile::Builder::new().prefix("kill_loop.").tempdir_in(&place).map_err(io)?;
    let spec = Spec {
        program: std::env::current_exe().map_err(io)?,
        data: folder.path().to_owned(),
        durability: run.durability,
        mode: run.mode.name(),
        segment_mib: run.segment_mib,
    };
    let outcome = match run.mode {
        Mode::Flow => {
            let day = day(run, seed)?;
            what.clone_from(&day.what);
            flow::run(&spec, day, seed, rounds)
        }
        Mode::Load => {
            *what = format!("{} sessions", run.sessions);
            load::run(&spec, seed, rounds, run.sessions)
        }
        Mode::Rejoin => rejoin::run(&spec, seed, rounds, run.sessions).map(|(verdict, kills, said)| {
            *what = said;
            (verdict, kills)
        }),
    };
    if !matches!(&outcome, Ok((verdict, _)) if verdict.agrees()) {
        eprintln!("seed {seed}: the venue's folder is left: {}", folder.keep().display());
    }
    outcome
}

fn day(run: &Run, seed: u64) -> Result<Day, RunError> {
    let recordings = std::env::var_os("RIALTO_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let recorded = run.day.clone().unwrap_or_else(|| recordings.join("coinbase_btcusd_20180713"));
    match run.made {
        Some(count) => Ok(Day::generated(seed, count)),
        None if run.day.is_some() || recorded.is_dir() => Day::recorded(&recorded),
        None => {
            eprintln!("{} is not here: a made day of {MADE} requests instead", recorded.display());
            Ok(Day::generated(seed, MADE))
        }
    }
}

fn report(run: &Run, what: String, venues: u64, kills: Kills, verdict: &Verdict) -> Result<(), RunError> {
    for told in verdict.told() {
        eprintln!("{told}");
    }
    let durability = match run.durability {
        DurabilityArgument::Buffered => "buffered",
        DurabilityArgument::Synced => "synced",
    };
    let row = Row::of(run.mode.name(), what, durability.to_owned(), run.seed, venues, kills, verdict);
    if let Some(file) = &run.record {
        row.keep(file).map_err(|error| benches::failure::Failure::io(file, error))?;
    }
    println!("{}", if run.json { row.json() } else { row.summary() });
    Ok(())
}
