//! `bit_flips`: flips every bit of a journal and rearranges its batches, and says whether anything was accepted silently.
//!
//! Exit codes: 0 everything was found, 1 something was not, 2 usage, 5 input and output.

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use fuzz::shares::{Row, share};
use serde::Serialize;
use simulation::damage::{End, Expected, Size, Specimen, Surprise};
use venue::exit::Exit;

/// Bits that a thread takes at a time.
const CHUNK: u64 = 4_096;
/// Findings that are told; the rest are only counted.
const TOLD_MAX: usize = 10;

/// Flips every bit of a journal of 4,096 commands and rearranges its batches, and says whether anything was accepted
/// silently.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The first bit.
    #[arg(long, value_name = "BIT", default_value_t = 0)]
    from: u64,
    /// The bit behind the last. Default: behind the journal's last.
    #[arg(long, value_name = "BIT")]
    to: Option<u64>,
    /// How the journal ends.
    #[arg(long, value_enum, default_value_t = EndArgument::Open)]
    end: EndArgument,
    /// Swap, replace, double and drop batches, all pairs of them, instead of flipping bits.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    batches: bool,
    /// Verifications at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Add the result to this file, as one JSON object on one line.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object on one line instead of a sentence.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum EndArgument {
    /// The machine stopped: the last batch holds commands.
    Open,
    /// The venue was shut down: the last batch is the seal.
    Sealed,
}

/// What was done and found.
#[derive(Serialize)]
struct Found {
    what: &'static str,
    end: &'static str,
    /// Of how many.
    of: u64,
    range: String,
    verifications: u64,
    damaged: u64,
    cut: u64,
    /// Ends before a last batch that was taken out: nothing else speaks of it.
    shorter: u64,
    silent_or_wrong: u64,
}

/// What one thread has found.
struct Share {
    specimen: Specimen,
    counts: [u64; 3],
    surprises: Vec<Surprise>,
}

impl Share {
    fn count(&mut self, outcome: Result<Expected, Box<Surprise>>) {
        match outcome {
            Ok(Expected::Damage { .. }) => self.counts[0] += 1,
            Ok(Expected::Cut { .. }) => self.counts[1] += 1,
            Ok(Expected::Shorter { .. }) => self.counts[2] += 1,
            Err(surprise) => self.surprises.push(*surprise),
        }
    }

    fn flip(&mut self, bits: Range<u64>) {
        bits.for_each(|bit| self.count(self.specimen.check_bit(bit)));
    }

    fn rearrange(&mut self, batches: Range<u64>) {
        let count = self.specimen.batch_count();
        for a in batches.map(|batch| usize::try_from(batch).expect("in memory")) {
            self.count(self.specimen.check_dropped(a));
            for b in 0..count {
                self.count(self.specimen.check_doubled(a, b));
                if a < b {
                    self.count(self.specimen.check_swapped(a, b));
                }
                if a != b {
                    self.count(self.specimen.check_replaced(a, b));
                }
            }
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (end, end_name) = match arguments.end {
        EndArgument::Open => (End::Open, "open"),
        EndArgument::Sealed => (End::Sealed, "sealed"),
    };
    let specimen = Specimen::write(Size::WHOLE, end);
    let (what, of, chunk) = match arguments.batches {
        true => ("batches", specimen.batch_count() as u64, 1),
        false => ("bits", specimen.bit_count(), CHUNK),
    };
    let range = arguments.from..arguments.to.unwrap_or(of);
    if range.is_empty() || range.end > of {
        eprintln!("bit_flips: the journal has the bits 0..{of}, and {}..{} is no part of it", range.start, range.end);
        return Exit::Usage.into();
    }
    let state = || Share { specimen: specimen.copy(), counts: [0; 3], surprises: Vec::new() };
    let shares = share(range.clone(), chunk, arguments.threads, state, |share: &mut Share, part| {
        if arguments.batches { share.rearrange(part) } else { share.flip(part) }
    });
    let surprises: Vec<_> = shares.iter().flat_map(|share| &share.surprises).collect();
    surprises.iter().take(TOLD_MAX).for_each(|surprise| eprintln!("{surprise}"));
    let [damaged, cut, shorter] = [0, 1, 2].map(|kind| shares.iter().map(|share| share.counts[kind]).sum());
    let silent_or_wrong = surprises.len() as u64;
    let verifications = damaged + cut + shorter + silent_or_wrong;
    let range = format!("{}..{}", range.start, range.end);
    let row = Row::now(Found { what, end: end_name, of, range, verifications, damaged, cut, shorter, silent_or_wrong });
    if let Some(Err(error)) = arguments.record.as_ref().map(|file| row.keep(file)) {
        eprintln!("bit_flips: the result cannot be recorded: {error}");
        return Exit::InputOutput.into();
    }
    println!("{}", if arguments.json { row.json() } else { summary(&row.found) });
    if surprises.is_empty() { Exit::Done.into() } else { Exit::Differs.into() }
}

fn summary(found: &Found) -> String {
    let Found { what, end, of, range, verifications, damaged, cut, shorter, silent_or_wrong } = found;
    format!(
        "{what} {range} of {of} of an {end} journal: {verifications} verifications, {damaged} damaged, {cut} cut, \
         {shorter} shorter; silent or wrong {silent_or_wrong}"
    )
}
