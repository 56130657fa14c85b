//! What is asked for: every option, with its unit and its default.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use venue::arguments::{CoreArgument, DurabilityArgument, IdleArgument, ServeArguments};
use venue::config::Threads;

use super::compare::CompareArguments;
use super::schedule::{Phases, Schedule};
use super::sweep::SweepArguments;
use crate::failure::Failure;
pub use crate::throughput::workload::Workload as Mix;

/// The command line.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "load",
    version,
    about = "Loads a venue, or a part of it, and tells how long it takes beside the least that it could take",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit codes: 0 done, 1 something had to be answered and was not, or is worse than before, 2 usage, 5 \
                  input and output."
)]
pub struct CommandLine {
    /// What to do instead of measuring once.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// What to measure.
    #[command(flatten)]
    pub arguments: Option<Arguments>,
}

/// What to do instead of measuring once.
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// Say whether one measurement differs from another, or only its noise does.
    Compare(CompareArguments),
    /// Measure at rising rates, up to where a venue cannot carry them.
    Sweep(Box<SweepArguments>),
    /// Open sessions at a venue that say nothing, and keep them open until standard input ends.
    Crowd(CrowdArguments),
    /// Found a venue that a load can be put on from outside: `rialto serve --data DIR`, then `--connect ADDR --data DIR`.
    Prepare {
        /// The new data folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// Sessions that say nothing.
#[derive(Debug, Clone, Args)]
pub struct CrowdArguments {
    /// Where the venue takes orders.
    #[arg(long, value_name = "ADDR")]
    pub connect: SocketAddr,
    /// Its data folder.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// How many.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub sessions: u32,
    /// How they reach it.
    #[arg(long, value_enum, default_value_t = Security::Tls)]
    pub security: Security,
}

impl CommandLine {
    /// All measurements that are asked for, one after the other.
    pub fn measurements(&self) -> Result<Vec<Arguments>, Failure> {
        let Some(arguments) = &self.arguments else { return Ok(Vec::new()) };
        arguments.check()?;
        Ok(arguments.each_run().collect())
    }
}

/// What to measure, and how.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// What to measure.
    #[arg(long, value_enum)]
    pub mode: Mode,
    /// Orders a second of all sessions together, sent when they are due, whether others were answered or not. Without
    /// it, engine and pipeline take as many as they can.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub rate: Option<u64>,
    /// How long it counts, such as 10s, 500ms or 2m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// How long it runs before it counts.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// How long it runs on behind what counts, so that the last that count are answered under load as well.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub cool_down: Duration,
    /// Sessions that the orders are spread over; without a network there are 64.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sessions: u32,
    /// How sending times follow one another.
    #[arg(long, value_enum, default_value_t = Arrivals::Fixed)]
    pub arrivals: Arrivals,
    /// What is sent: s1k, e1k or d1m.
    #[arg(long, value_name = "MIX", default_value = "s1k")]
    pub mix: Mix,
    /// Of orders and sending times; the mix's own if it is not given.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// What acknowledgements promise; several are measured one after the other.
    #[arg(long = "durability", value_enum, value_name = "POLICIES", value_delimiter = ',', default_value = "synced")]
    pub durabilities: Vec<DurabilityArgument>,
    /// What they promise in this measurement.
    #[arg(skip = DurabilityArgument::Synced)]
    pub durability: DurabilityArgument,
    /// How sessions reach the venue.
    #[arg(long, value_enum, default_value_t = Security::Tls)]
    pub security: Security,
    /// Load a venue that runs already, instead of one in this process.
    #[arg(long, value_name = "ADDR")]
    pub connect: Option<String>,
    /// The data folder of the venue: of one that runs already, for its keys and certificate; of one in this process,
    /// instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The processor that the traders' thread is pinned to.
    #[arg(long, value_name = "N")]
    pub client_core: Option<usize>,
    /// Subscribers of market data that an event goes out to.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub subscribers: u32,
    /// How idle threads wait: as `rialto serve --idle`.
    #[arg(long, value_enum, default_value_t = IdleArgument::Auto)]
    pub idle: IdleArgument,
    /// Processors by number: as `rialto serve --cores`.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub cores: Vec<usize>,
    /// Measure a round trip without its limits, which take as much time again.
    #[arg(long)]
    pub without_limits: bool,
    /// How often it is measured; each run is told.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub runs: u32,
    /// Which of the runs this is, from 1.
    #[arg(skip = 1_u32)]
    pub run: u32,
    /// A folder on the disk that is measured; that for temporary files if it is not given.
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Print one JSON object on one line for each run instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Write the percentiles of everything timed into files in this folder, as HdrHistogram's tools plot them.
    #[arg(long, value_name = "DIR")]
    pub hgrm: Option<PathBuf>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The engine alone, in memory.
    Engine,
    /// Ring, core, journal and ring, without a network.
    Pipeline,
    /// From an order to its report, through the venue's door.
    RoundTrip,
    /// From an order to its trade at a subscriber of market data.
    TickToTrade,
    /// From a start on a journal until the venue is there.
    Recovery,
    /// From an order to its trade at many subscribers of market data.
    FanOut,
}

impl Mode {
    /// Whether orders reach the venue through its door.
    pub fn has_network(self) -> bool {
        match self {
            Self::Engine | Self::Pipeline | Self::Recovery => false,
            Self::RoundTrip | Self::TickToTrade | Self::FanOut => true,
        }
    }
}

/// How sending times follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// All as far apart.
    Fixed,
    /// Each independent of the others, as many people's are.
    Poisson,
    /// 64 at once, and as long nothing.
    Burst,
}

/// How sessions reach the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Security {
    /// TLS 1.3 over TCP.
    Tls,
    /// TCP as it is.
    Plain,
}

/// More would not fit memory.
const ORDERS_MAX: u64 = 50_000_000;

impl Arguments {
    /// Every run that is asked for, with its policy and number.
    fn each_run(&self) -> impl Iterator<Item = Self> {
        self.durabilities
            .iter()
            .flat_map(move |&durability| (1..=self.runs).map(move |run| Self { durability, run, ..self.clone() }))
    }

    /// Whether all of it can be done together.
    pub fn check(&self) -> Result<(), Failure> {
        self.threads()?;
        if self.without_limits && self.mode != Mode::RoundTrip {
            return Err(Failure::Usage(format!("--without-limits: not with --mode {}", name(self.mode))));
        }
        if self.duration.is_zero() {
            return Err(Failure::Usage("--duration: nothing would count".to_owned()));
        }
        if self.connect.is_some() && !self.mode.has_network() {
            return Err(Failure::Usage(format!("--connect: --mode {} has its venue in this process", name(self.mode))));
        }
        let Some(rate) = self.rate else { return self.check_closed() };
        let orders = rate as f64 * self.phases().total().as_secs_f64();
        if orders > ORDERS_MAX as f64 {
            return Err(Failure::Usage(format!("--rate {rate}: {orders:.0} orders are more than {ORDERS_MAX}")));
        }
        Ok(())
    }

    fn check_closed(&self) -> Result<(), Failure> {
        match self.mode {
            Mode::Engine | Mode::Pipeline => Ok(()),
            mode => Err(Failure::Usage(format!("--mode {}: needs --rate", name(mode)))),
        }
    }

    /// The processors as a venue's options have them.
    pub(crate) fn core_arguments(&self) -> Vec<CoreArgument> {
        self.cores.iter().copied().map(CoreArgument::Number).collect()
    }

    /// How the venue's threads wait and where they run, on this machine.
    pub fn threads(&self) -> Result<Threads, Failure> {
        let (idle, cores) = (self.idle, self.core_arguments());
        let threads = ServeArguments { idle, cores, ..ServeArguments::default() }.threads();
        threads.map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The seed that is given, or the mix's own.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| self.mix.seed())
    }

    /// What is run, and what of it counts.
    pub fn phases(&self) -> Phases {
        Phases { warm_up: self.warm_up, measured: self.duration, cool_down: self.cool_down }
    }

    /// When each order is due, at `--rate`; nothing without it.
    pub fn schedule(&self) -> Option<Schedule> {
        Some(Schedule::new(self.arrivals, self.rate?, self.phases().total(), self.seed()))
    }

    /// The folder in which data folders are made.
    pub fn directory(&self) -> PathBuf {
        self.directory.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// What an option's value is called on the command line.
pub fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "it is negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &[&str]) -> CommandLine {
        CommandLine::parse_from(["load"].iter().chain(options))
    }

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("1m30s", 90_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["10", "", "s", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_policy_is_measured_as_often_as_asked() {
        let all = parsed(&["--mode", "pipeline", "--durability", "buffered,synced", "--runs", "2"]);
        let said: Vec<_> = all.measurements().unwrap().iter().map(|one| (name(one.durability), one.run)).collect();
        let said: Vec<_> = said.iter().map(|(durability, run)| (durability.as_str(), *run)).collect();
        assert_eq!(said, [("buffered", 1), ("buffered", 2), ("synced", 1), ("synced", 2)]);
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (options, named) in [
            (&["--mode", "recovery"][..], "--rate"),
            (&["--mode", "pipeline", "--duration", "0s"], "--duration"),
            (&["--mode", "pipeline", "--rate", "10000000", "--duration", "1h"], "--rate 10000000"),
            (&["--mode", "engine", "--cores", "100000"], "100000"),
            (&["--mode", "engine", "--idle", "spin"], "--cores"),
            (&["--mode", "engine", "--connect", "localhost:1"], "--connect"),
        ] {
            let error = parsed(options).measurements().unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert_eq!(error.exit(), venue::exit::Exit::Usage);
        }
    }
}
