//! Books of others under the workloads of the bench `core`: the same operations, timed in the same way, each operation
//! handed over as the book wants it. They have no accounts and write no reports; what they return is hashed.
//!
//! Exit codes: 0 done, 2 usage. A book that trades otherwise is no failure here: its row says so.

mod books;
#[path = "../../src/throughput/workload.rs"]
#[allow(dead_code, reason = "the bench uses all of it")]
mod workload;

use std::time::{Duration, Instant};

use books::{Book, Lobster, Matchcore, OrderbookRs, Told};
use clap::Parser;
use serde_json::json;
use workload::{Action, Operation, Part, Stream, Workload};

#[derive(Parser)]
#[command(version, about = "Times the books of others under the workloads of the bench core")]
struct Arguments {
    /// s1k, e1k or d1m.
    #[arg(long)]
    workload: Workload,
    /// Operations of a run, after the prefill; slow books carry out fewer, and say so.
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    operations: u32,
    /// Of the operations; the workload's own if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs of each book; medians are told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if !arguments.json {
        println!("{:12} {:>8} {:>10} {:>8} {:>6}", "book", "workload", "operations", "M/s", "agrees");
    }
    measure::<Matchcore>(&arguments);
    measure::<Lobster>(&arguments);
    measure::<OrderbookRs>(&arguments);
}

fn measure<B: Book>(arguments: &Arguments) {
    let seed = arguments.seed.unwrap_or(arguments.workload.seed());
    let operations = arguments.operations.min(B::OPERATIONS_MAX);
    let stream = Stream::generate(arguments.workload, seed, operations as usize);
    let numbered = Numbered::new::<B>(&stream);
    let mut runs: Vec<(Duration, Told)> = (0..arguments.runs).map(|_| run::<B>(&stream, &numbered)).collect();
    runs.sort_unstable_by_key(|(took, _)| *took);
    let (took, told) = &runs[runs.len() / 2];
    let operations = stream.part(Part::Timed).len();
    let per_second = operations as f64 / took.as_secs_f64();
    let agrees = runs.iter().all(|(_, told)| told.outcome == stream.outcome());
    if arguments.json {
        let line = json!({
            "peer": B::NAME,
            "version": B::VERSION,
            "workload": arguments.workload.to_string(),
            "operations": operations,
            "ops_per_second": per_second.round() as u64,
            "trades": told.outcome.trades,
            "expected_trades": stream.outcome().trades,
            "volume": told.outcome.volume,
            "expected_volume": stream.outcome().volume,
            "digest": format!("{:016x}", told.outcome.digest),
            "refused": told.refused,
            "agrees": agrees,
            "runs": arguments.runs,
            "seed": seed,
        });
        println!("{line}");
    } else {
        let workload = arguments.workload.to_string();
        let millions = per_second / 1e6;
        println!("{:12} {workload:>8} {operations:>10} {millions:>8.2} {agrees:>6}", B::NAME);
    }
}

/// One run; only what comes after the prefill is timed.
fn run<B: Book>(stream: &Stream, numbered: &Numbered) -> (Duration, Told) {
    let mut book = B::new();
    let mut told = Told::new(&numbered.originals);
    carry_out(&mut book, stream.part(Part::Prefill), &numbered.prefill, &mut told);
    let begun = Instant::now();
    carry_out(&mut book, stream.part(Part::Timed), &numbered.timed, &mut told);
    (begun.elapsed(), told)
}

#[inline(never)]
fn carry_out<B: Book>(book: &mut B, operations: &[Operation], numbers: &[u64], told: &mut Told) {
    for (operation, &number) in operations.iter().zip(numbers) {
        book.carry_out(operation, number, told);
    }
}

/// Who numbers orders.
pub enum Numbering {
    /// Who enters them.
    Trader,
    /// The book, by the place of the entering command among all commands, from 0.
    Command,
}

/// The number of the order that each operation names, as the book gives them, found before anything is timed.
struct Numbered {
    prefill: Vec<u64>,
    timed: Vec<u64>,
    /// The stream's number of each order by the book's.
    originals: Vec<u32>,
}

impl Numbered {
    fn new<B: Book>(stream: &Stream) -> Self {
        let mut numbered = Self { prefill: Vec::new(), timed: Vec::new(), originals: Vec::new() };
        let mut current = vec![0; stream.highest_id() as usize + 1];
        let mut place = 0;
        for part in [Part::Prefill, Part::Timed] {
            let numbers = stream.part(part).iter().map(|operation| {
                let id = operation.id as usize;
                let enters = matches!(operation.action, Action::New | Action::ImmediateOrCancel);
                let number = match B::NUMBERING {
                    Numbering::Trader => operation.id.into(),
                    Numbering::Command if enters => place,
                    Numbering::Command => current[id],
                };
                numbered.originals.resize(numbered.originals.len().max(number as usize + 1), 0);
                numbered.originals[number as usize] = operation.id;
                current[id] = number;
                place += 1;
                number
            });
            let numbers: Vec<u64> = numbers.collect();
            match part {
                Part::Prefill => numbered.prefill = numbers,
                Part::Timed => numbered.timed = numbers,
            }
        }
        numbered
    }
}
