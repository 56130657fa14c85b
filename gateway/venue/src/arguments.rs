//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::admin::tool::AdminArguments;

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
    /// Ask a running venue, as an administrator.
    Admin(AdminArguments),
    /// Check or replay a journal. Takes no lock and changes nothing.
    #[command(subcommand)]
    Journal(JournalCommand),
}

/// How to run a venue.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The data folder: journal, certificate, keys.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// Where the newest commands wait in memory for the disk; it has to outlive the process. Default: shared memory.
    #[arg(long, value_name = "DIR")]
    pub head: Option<PathBuf>,
    /// What an acknowledgement promises: to survive power loss, or the process only.
    #[arg(long, value_enum, default_value_t = DurabilityArgument::Synced)]
    pub durability: DurabilityArgument,
    /// How idle threads wait: sleeping, looking again at once, or as suits the machine.
    #[arg(long, value_enum, default_value_t = IdleArgument::Auto)]
    pub idle: IdleArgument,
    /// Processors by number; the core is pinned to the first. Without it nothing is pinned.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub cores: Vec<usize>,
    /// Where traders connect, TLS over TCP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7001")]
    pub order_entry: SocketAddr,
    /// Where market data is published, QUIC over UDP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7002")]
    pub market_data: SocketAddr,
    /// Health and metrics, plain HTTP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7003")]
    pub http: SocketAddr,
}

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DurabilityArgument {
    /// It survives the process.
    Buffered,
    /// It survives power loss.
    Synced,
}

/// How idle threads wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IdleArgument {
    /// The core never sleeps; needs --cores.
    Spin,
    /// They sleep until they are woken.
    Park,
    /// As suits the machine; so far that is park.
    Auto,
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
