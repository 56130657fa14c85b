//! The program `rialto`.

use std::process::ExitCode;

use clap::Parser;
use venue::arguments::{Arguments, Tool};
use venue::{admin, journal_tools, serve};

fn main() -> ExitCode {
    match Arguments::parse().tool {
        Tool::Serve(arguments) => serve::run(&arguments),
        Tool::Admin(arguments) => admin::tool::run(&arguments),
        Tool::Journal(command) => journal_tools::run(&command),
    }
    .into()
}
