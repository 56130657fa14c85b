//! The program `rialto`.

use std::process::ExitCode;

use clap::Parser;
use venue::arguments::{Arguments, Tool};
use venue::journal_tools;

fn main() -> ExitCode {
    let Tool::Journal(command) = Arguments::parse().tool;
    journal_tools::run(&command).into()
}
