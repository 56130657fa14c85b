//! `round_trip`: how long an order takes to its report over TLS, beside a bare echo of the same sizes in the same run.
//!
//! Exit codes: 0 done, 2 usage, 5 input and output.

use std::process::ExitCode;

use benches::failure::Failure;
use benches::json::Object;
use benches::machine::Machine;
use benches::round_trip::{Options, Times, run};
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use venue::arguments::{DurabilityArgument, IdleArgument};

#[derive(Parser)]
#[command(version, about = "Times an order to its report over loopback TLS, beside a bare echo")]
struct Arguments {
    /// How many orders, one at a time.
    #[arg(long, default_value_t = 20_000)]
    rounds: u64,
    /// What the venue's reports promise.
    #[arg(long, value_enum, default_value_t = DurabilityArgument::Synced)]
    durability: DurabilityArgument,
    /// How the venue's idle threads wait.
    #[arg(long, value_enum, default_value_t = IdleArgument::Auto)]
    idle: IdleArgument,
    /// Processors by number, for the venue's threads.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Print one JSON object on one line instead of a table.
    #[arg(long)]
    json: bool,
}

const LOAD_MODEL: &str = "one order at a time, closed loop";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("round_trip: {failure}");
            failure.exit().into()
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { rounds, durability, idle, ref cores, json } = *arguments;
    let times = run(&Options { rounds, durability, idle, cores: cores.clone() })?;
    let machine = Machine::this();
    println!("{}", if json { object(arguments, &times, &machine) } else { table(arguments, &times, &machine) });
    Ok(())
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

fn microseconds(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1_000.0
}

fn object(arguments: &Arguments, times: &Times, machine: &Machine) -> String {
    let mut object = Object::default();
    object.text("load_model", LOAD_MODEL);
    object.number("rounds", arguments.rounds);
    object.text("durability", name(arguments.durability));
    object.text("idle", name(arguments.idle));
    for (name, quantile) in QUANTILES {
        object.number(&format!("venue_{name}_ns"), times.venue.value_at_quantile(quantile));
        object.number(&format!("echo_{name}_ns"), times.echo.value_at_quantile(quantile));
    }
    object.number("cores", machine.cores);
    object.text("processor", &machine.processor);
    object.text("commit", &machine.commit);
    object.to_string()
}

fn table(arguments: &Arguments, times: &Times, machine: &Machine) -> String {
    let mut lines = vec![
        format!(
            "{} rounds, {LOAD_MODEL}; {}, idle {}",
            arguments.rounds,
            name(arguments.durability),
            name(arguments.idle)
        ),
        format!("{} cores, {}; commit {}", machine.cores, machine.processor, machine.commit),
        format!("{:>6} {:>12} {:>12} {:>7}", "", "venue µs", "echo µs", "ratio"),
    ];
    for (name, quantile) in QUANTILES {
        let (venue, echo) = (microseconds(&times.venue, quantile), microseconds(&times.echo, quantile));
        lines.push(format!("{name:>6} {venue:>12.1} {echo:>12.1} {:>7.2}", venue / echo));
    }
    lines.join("\n")
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
