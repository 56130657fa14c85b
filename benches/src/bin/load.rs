//! `load`: loads a venue, or a part of it, and tells how long it takes beside the least that it could take.
//!
//! Exit codes: 0 done, 1 something had to be answered and was not, or is worse than before, 2 usage, 5 input and output.

use std::process::ExitCode;

use benches::load::arguments::CommandLine;
use clap::Parser;

fn main() -> ExitCode {
    match benches::load::run(&CommandLine::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("load: {failure}");
            failure.exit().into()
        }
    }
}
