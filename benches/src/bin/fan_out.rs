//! `fan_out`: one publisher of market data to many subscribers, beside bare QUIC; subscribers that stall; joining a deep
//! book.
//!
//! Exit codes: 0 done, 2 usage, 5 input and output.

use std::process::ExitCode;

use benches::failure::Failure;
use benches::fan_out::{JoinArguments, StalledArguments, ThroughputArguments, join, stalled, throughput};
use benches::machine::Machine;
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

#[derive(Parser)]
#[command(version, about = "Times one publisher of market data with many subscribers; one JSON object a line")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// As much as gets out, beside as many bytes in as many batches over bare QUIC.
    Throughput(ThroughputArguments),
    /// What those who read, and the core, notice of those who do not.
    Stalled(StalledArguments),
    /// How long until a subscriber that joins a deep book has it, proven.
    Join(JoinArguments),
}

fn main() -> ExitCode {
    raise_limits();
    let machine = Machine::this();
    eprintln!("fan_out: {} cores, {}, commit {}", machine.cores, machine.processor, machine.commit);
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fan_out: {error}");
            error.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Throughput(arguments) => throughput(arguments, tell),
        What::Stalled(arguments) => stalled(arguments, tell),
        What::Join(arguments) => join(arguments, tell),
    }
}

fn tell(row: &impl Serialize) {
    println!("{}", serde_json::to_string(row).expect("numbers and words"));
}

/// Many connections need many descriptors.
fn raise_limits() {
    let limit = getrlimit(Resource::Nofile);
    // Whoever may not, goes on with what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
