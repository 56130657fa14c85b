//! `flow`: drives the engine with a recorded day or a script, and says whether it did what the recording says.
//!
//! Exit codes: 0 agrees or done, 1 differs, 2 usage or malformed input, 3 journal locked by another process, 4 damaged
//! journal, 5 input and output.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::failure::Failure;
use benches::flow::coinbase::via_gateway;
use benches::flow::{self, Source};
use benches::outcome::Outcome;
use benches::script;
use clap::{Args, Parser, Subcommand, ValueEnum};
use venue::arguments::DurabilityArgument;

#[derive(Parser)]
#[command(version, about = "Drives the engine with recorded order flow or a script")]
struct Arguments {
    #[command(subcommand)]
    flow: Flow,
}

#[derive(Subcommand)]
enum Flow {
    /// Coinbase's full channel between two level-3 snapshots: every match, and the closing book with its queues.
    Coinbase(Coinbase),
    /// Market-by-order rows (`mbo.csv`), and the market-by-price rows (`mbp.csv`) that they imply.
    Mbo(Recording),
    /// LOBSTER messages, and the levels after each of them.
    Lobster(Recording),
    /// One symbol's visible orders in TradingPhysics' layout.
    Ibm(Recording),
    /// Nasdaq TotalView-ITCH 5.0, every symbol; compared with `expected_summary.txt` if that lies beside the file.
    Itch(Recording),
    /// Bitstamp's order events of one day: load and lifecycle.
    Bitstamp(Recording),
    /// JSON lines in, JSON lines out: one line for each event, and the digests last.
    Script(Script),
}

#[derive(Args)]
struct Recording {
    /// The folder of the recording; for ITCH the file.
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,
    /// Print one JSON object on one line instead of a sentence.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Coinbase {
    #[command(flatten)]
    recording: Recording,
    /// Through the doors of a venue that is served for the run: sessions over TLS, market data over QUIC. Its folder is
    /// what --journal names, or a temporary one.
    #[arg(long, value_enum)]
    via: Option<Door>,
    /// With --via: sessions that take turns, at most 64.
    #[arg(long, default_value_t = 1, requires = "via", value_parser = clap::value_parser!(u32).range(1..=64))]
    sessions: u32,
    /// With --via: what the venue's acknowledgements promise.
    #[arg(long, value_enum, default_value_t = DurabilityArgument::Synced, requires = "via")]
    durability: DurabilityArgument,
}

#[derive(Clone, Copy, ValueEnum)]
enum Door {
    /// Order entry.
    Gateway,
}

#[derive(Args)]
struct Script {
    /// The script, or `-` for standard input.
    #[arg(value_name = "FILE|-")]
    path: PathBuf,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    /// Journal every command into this folder, so that the run can be replayed. Default: none is kept.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
}

fn main() -> ExitCode {
    run(&Arguments::parse().flow).unwrap_or_else(|failure| {
        eprintln!("flow: {failure}");
        failure.exit().into()
    })
}

type Adapter = fn(Source<'_>) -> Result<Outcome, Failure>;

fn run(flow: &Flow) -> Result<ExitCode, Failure> {
    let (adapter, recording): (Adapter, _) = match flow {
        Flow::Coinbase(coinbase) => return run_coinbase(coinbase),
        Flow::Mbo(recording) => (flow::market_by_order::run, recording),
        Flow::Lobster(recording) => (flow::lobster::run, recording),
        Flow::Ibm(recording) => (flow::ibm::run, recording),
        Flow::Itch(recording) => (flow::itch::run, recording),
        Flow::Bitstamp(recording) => (flow::bitstamp::run, recording),
        Flow::Script(script) => return run_script(script),
    };
    Ok(report(&adapter(source(recording))?, recording))
}

fn run_coinbase(Coinbase { recording, via, sessions, durability }: &Coinbase) -> Result<ExitCode, Failure> {
    let outcome = match via {
        None => flow::coinbase::run(source(recording))?,
        Some(Door::Gateway) => {
            let options = via_gateway::Options { sessions: *sessions, durability: *durability };
            via_gateway::run(source(recording), options)?
        }
    };
    Ok(report(&outcome, recording))
}

fn source(recording: &Recording) -> Source<'_> {
    Source { path: &recording.path, journal: recording.options.journal.as_deref() }
}

fn run_script(arguments: &Script) -> Result<ExitCode, Failure> {
    let source = Source { path: &arguments.path, journal: arguments.options.journal.as_deref() };
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    script::run(source, &mut output)?;
    Ok(ExitCode::SUCCESS)
}

fn report(outcome: &Outcome, recording: &Recording) -> ExitCode {
    for difference in outcome.differences() {
        eprintln!("{difference}");
    }
    if recording.json {
        println!("{}", outcome.json());
    } else {
        println!("{}", outcome.summary());
    }
    if outcome.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
