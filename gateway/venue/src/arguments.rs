//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::admin::tool::AdminArguments;
pub use crate::config::{DurabilityArgument, IdleArgument, ServeArguments};

/// A trading venue: matching engine, journal, and the tools around them.
#[derive(Debug, Parser)]
#[command(name = "rialto", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub tool: Tool,
}

const EXIT_CODES: &str = "Exit codes: 0 agrees or done, 1 differs, 2 usage or configuration, 3 data folder locked by \
                          another process, 4 damaged journal, 5 I/O.";

/// The tools.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Run a venue. Without options: on loopback, in ./rialto-data, which is made if it is not there.
    Serve(ServeArguments),
    /// Look at a configuration file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running venue, as an administrator.
    Admin(AdminArguments),
    /// Check or replay a journal. Takes no lock and changes nothing.
    #[command(subcommand)]
    Journal(JournalCommand),
}

/// What to do with a configuration file.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say how `serve --config FILE` would run here, or what in the file cannot be followed. Starts nothing.
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What to do with a journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Check every byte, then replay and compare with every digest that the journal carries.
    Verify(JournalArguments),
    /// Rebuild the state from the commands and say its digests.
    Replay(JournalArguments),
}

/// Which journal, and how to answer.
#[derive(Debug, Args)]
pub struct JournalArguments {
    /// The folder that was given as --data or --journal.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Answer with one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}
