//! The command line.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::{Sequence, Timestamp};
use journal::AsOf;
use rust_decimal::Decimal;
use wire::{DeliveryMode, FeedLevel};

use crate::admin::tool::AdminArguments;
use crate::admin::value::TimeText;
pub use crate::config::{
    CoreArgument, DurabilityArgument, IdleArgument, OrderEntrySecurity, ServeArguments, ThrottleArgument,
};

/// A trading venue: matching engine, journal, and the tools around them.
#[derive(Debug, Parser)]
#[command(name = "rialto", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub tool: Tool,
}

const EXIT_CODES: &str = "Exit codes: 0 agrees or done, 1 differs, 2 usage or configuration, 3 data folder locked by \
                          another process, 4 damaged journal or recording, 5 I/O.";

/// The tools.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Run a venue. Without options: on loopback, in ./rialto-data, which is made if it is not there.
    Serve(ServeArguments),
    /// Look at a configuration file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the clock, the disk, processors and limits that a venue with these options would stand on. Exit code 1: it
    /// could not run.
    SelfTest(SelfTestArguments),
    /// Ask a running venue whether it takes orders. Exit code 0: it does, 1: not now, 5: there is no answer.
    Health(HealthArguments),
    /// Ask a running venue, as an administrator.
    Admin(AdminArguments),
    /// Get into the web console of a running venue: prints a link that lets its reader in, once, within a minute.
    Console(ConsoleArguments),
    /// Check, replay, copy or export a journal. Takes no lock of it and changes nothing in it.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Say what happened to an order, account, session or instrument, and what it was. Takes no lock and changes nothing.
    #[command(subcommand)]
    History(HistoryCommand),
    /// Say who changed what and when, from the journal. Takes no lock and changes nothing.
    Audit(AuditArguments),
    /// Enter, amend and cancel orders at a running venue.
    #[command(subcommand)]
    Order(OrderCommand),
    /// Watch how a running venue does: traffic, latency, journal, sessions, refusals, and what is wrong.
    Top(TopArguments),
    /// Watch an instrument's book and trades at a running venue.
    Watch(WatchArguments),
    /// Write down the market data of a running venue, as it comes, in a file.
    Record(RecordArguments),
    /// Play what was recorded: rebuild every book, prove it, and say how it ended.
    Play(PlayArguments),
}

/// Who gets into the console, and of which venue.
#[derive(Debug, Args)]
pub struct ConsoleArguments {
    /// Who: the name of a key in the data folder, such as alice or administrator.
    #[arg(value_name = "NAME", required_unless_present = "key")]
    pub name: Option<String>,
    /// The key to get in with, instead of one in the data folder.
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub key: Option<PathBuf>,
    /// The data folder of a venue on this machine: says where it listens, and has the keys.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// The venue's HTTP address, instead of what the data folder says.
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// The venue's certificate, PEM, where its HTTP speaks TLS and the data folder is not here.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
}

/// What would be run, and how to answer.
#[derive(Debug, Args)]
pub struct SelfTestArguments {
    /// The options of `serve`.
    #[command(flatten)]
    pub serve: ServeArguments,
    /// Answer with one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// Which venue is asked how it is.
#[derive(Debug, Args)]
pub struct HealthArguments {
    /// The data folder of a venue on this machine, which says where it listens.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// The venue's HTTP address, instead of what the data folder says.
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// PEM: the certificate of the venue, or of who vouches for it; then it is asked over TLS. Left out: the data folder's,
    /// where the venue speaks TLS.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Ask only whether the process answers, and not whether orders are taken.
    #[arg(long)]
    pub live: bool,
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
    Verify(VerifyArguments),
    /// Rebuild the state from the commands and say its digests.
    Replay(ReplayArguments),
    /// List the segments, and show commands if asked for.
    Inspect(InspectArguments),
    /// Show commands as they become durable, until interrupted.
    Tail(TailArguments),
    /// List the signed checkpoints; with --json as lines to keep elsewhere, for `verify --against`.
    Checkpoints(JournalArguments),
    /// Write commands, events or trades to a file that other programs read.
    Export(ExportArguments),
    /// Copy a journal to a new folder, all of it or up to a point: a venue can be started there.
    Restore(RestoreArguments),
    /// Copy what is durable of a journal, beside the venue that writes it; again into the same folder: what is new.
    Backup(BackupArguments),
}

/// Which journal to check, and against what.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// Which, and how to answer.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// Compare with signed checkpoints that were exported and kept elsewhere: what was deleted, changed or moved since is
    /// named.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// The public key that has to have signed them, hexadecimal. Without it, whoever could write the file could sign it.
    #[arg(long, value_name = "HEX", requires = "against")]
    pub key: Option<String>,
    /// Check the bytes and the chain alone, without a replay.
    #[arg(long)]
    pub chain_only: bool,
}

/// Which journal to replay, and up to where.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// Which, and how to answer.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// Say the state behind this command, or as of this time, such as 2026-11-25T09:00:00Z; from the nearest snapshot.
    /// Default: all of it, from the first command on.
    #[arg(long, value_name = "SEQUENCE|TIME")]
    pub until: Option<Moment>,
}

/// What of a journal to export, and where to.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Which, and how to answer.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// The new file. Its name says how it is written: .csv, .jsonl or .parquet.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// What a row is.
    #[arg(long, value_enum)]
    pub what: WhatToExport,
    /// The first command, by its sequence or by a time, such as 2026-11-25T09:00:00Z. Default: the first one.
    #[arg(long, value_name = "SEQUENCE|TIME")]
    pub from: Option<Moment>,
    /// The last command. Default: the last one.
    #[arg(long, value_name = "SEQUENCE|TIME")]
    pub until: Option<Moment>,
}

/// What a row of an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhatToExport {
    /// A command.
    Commands,
    /// An event.
    Events,
    /// A trade, with both of its sides.
    Trades,
}

/// Which journal to copy, where to, and up to where.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// Which, and how to answer.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// The copy's data folder, which is new or empty.
    #[arg(long, value_name = "NEW")]
    pub to: PathBuf,
    /// The last command of the copy, by its sequence or by a time, such as 2026-11-25T09:00:00Z. Default: the last one.
    #[arg(long, value_name = "SEQUENCE|TIME")]
    pub until: Option<Moment>,
    /// Leave certificate, keys and snapshots behind.
    #[arg(long)]
    pub journal_only: bool,
}

/// Which journal to copy, and where to.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// Which, and how to answer.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// The copy's data folder: a new one, or that of an earlier backup.
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// Where the venue keeps the journal's head, if it was told. Default: shared memory.
    #[arg(long, value_name = "DIR")]
    pub head: Option<PathBuf>,
    /// Leave certificate, keys and snapshots behind.
    #[arg(long)]
    pub journal_only: bool,
}

/// A point of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A command.
    Sequence(Sequence),
    /// A time: `2026-11-25T09:00:00Z`, or with another offset from UTC.
    Time(Timestamp),
}

impl From<Moment> for AsOf {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::Sequence(sequence) => Self::Sequence(sequence),
            Moment::Time(time) => Self::Time(time),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(sequence) = text.parse() {
            return Ok(Self::Sequence(Sequence(sequence)));
        }
        text.parse().map(|TimeText(time)| Self::Time(time)).map_err(|error| format!("no sequence, and {error}"))
    }
}

/// What of the past to show.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// What happened.
    #[command(flatten)]
    Events(EventsCommand),
    /// An instrument's book as it was at some time, in decimals.
    Book(BookArguments),
}

/// Whose events to show.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// An order: from its entry to its end.
    Order {
        /// The venue's number of it, as its reports say.
        #[arg(value_name = "ID")]
        order: u64,
        /// From when to when, and how.
        #[command(flatten)]
        arguments: HistoryArguments,
    },
    /// An account; with --as-of also its balances and open orders.
    Account {
        /// Its number, or a name in the data folder's keys, such as alice.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// From when to when, and how.
        #[command(flatten)]
        arguments: HistoryArguments,
    },
    /// A session: what it was told, and its own comings and goings.
    Session {
        /// Its number, or a name in the data folder's keys, such as alice.
        #[arg(value_name = "SESSION")]
        session: String,
        /// From when to when, and how.
        #[command(flatten)]
        arguments: HistoryArguments,
    },
    /// An instrument; with --as-of also its book.
    Instrument {
        /// Its name, such as BTC-USD, or its number.
        #[arg(value_name = "INSTRUMENT")]
        instrument: String,
        /// Show every order of the book, and not only its levels.
        #[arg(long, requires = "as_of")]
        orders: bool,
        /// From when to when, and how.
        #[command(flatten)]
        arguments: HistoryArguments,
    },
}

/// Which changes to show, and how. Of those that are given, a change has to be like all.
#[derive(Debug, Args)]
pub struct AuditArguments {
    /// The venue's data folder, or a copy of it.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// Changes by this key: its number, or its name in the data folder's keys, such as administrator; 0: the venue's own.
    #[arg(long, value_name = "KEY")]
    pub by: Option<String>,
    /// Changes of this account: its number, or a name in the data folder's keys, such as alice.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Changes of this instrument: its name, such as BTC-USD, or its number.
    #[arg(long, value_name = "INSTRUMENT")]
    pub instrument: Option<String>,
    /// Changes that were done to this order.
    #[arg(long, value_name = "ID")]
    pub order: Option<u64>,
    /// Changes that were done to this session's orders: its number, or a name in the data folder's keys.
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    /// Changes of this kind, such as RoleGranted; several times for several.
    #[arg(long, value_name = "EVENT")]
    pub kind: Vec<String>,
    /// Changes with this text in their reason, in any case.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Also what was asked for and refused.
    #[arg(long)]
    pub refused: bool,
    /// From this command or time on: a sequence, or a time such as 2026-11-25T09:00:00Z. Default: as far back as the event
    /// history is kept.
    #[arg(long, value_name = "WHEN")]
    pub from: Option<Moment>,
    /// Up to this command or time. Default: up to the end.
    #[arg(long, value_name = "WHEN")]
    pub to: Option<Moment>,
    /// Show so many at most, the newest. Default: 20; all with --from or --export.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Write them to this new file instead. Its name says how it is written: .csv, .jsonl or .parquet.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// Print one JSON object a line for each change, and at the end one for the answer.
    #[arg(long)]
    pub json: bool,
}

/// Which venue to watch over, and how.
#[derive(Debug, Clone, Args)]
pub struct TopArguments {
    /// The data folder of a venue on this machine: says where it listens, and has the administrator's key.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// The venue's HTTP address, instead of what the data folder says; without last prices.
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// The venue's certificate, PEM, where its HTTP speaks TLS and the data folder is not here.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The key file to read sessions and instruments with; left out: keys/administrator.json in the data folder.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// How often to ask, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub every: u32,
    /// Print one page as text, and end. Exit code 5: there is no venue.
    #[arg(long)]
    pub once: bool,
    /// Print one JSON object, and end. Exit code 5: there is no venue.
    #[arg(long)]
    pub json: bool,
}

/// Which book, as of when, and how to answer.
#[derive(Debug, Args)]
pub struct BookArguments {
    /// The instrument's name, such as BTC-USD, or its number.
    #[arg(value_name = "INSTRUMENT")]
    pub instrument: String,
    /// Behind this command, or as of this time: a sequence, or a time such as 2026-11-25T09:00:00Z. Default: at the end.
    #[arg(long, value_name = "WHEN")]
    pub at: Option<Moment>,
    /// Levels of each side at most.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub levels: u32,
    /// The venue's data folder, or a copy of it.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// From when to when, and how to answer.
#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// The venue's data folder.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// Show events from this command or time on: a sequence, or a time such as 2026-11-25T09:00:00Z. Default: as far back
    /// as the history is kept.
    #[arg(long, value_name = "WHEN")]
    pub from: Option<Moment>,
    /// Show events up to this command or time, and what was then. Default: up to the end, and events alone.
    #[arg(long, value_name = "WHEN")]
    pub as_of: Option<Moment>,
    /// Show so many events at most: with --from the first, otherwise the newest. Default: all of an order, 20 of anything
    /// else.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Print one JSON object a line for each event, and at the end one for the answer.
    #[arg(long)]
    pub json: bool,
}

/// Which journal to follow, and from where.
#[derive(Debug, Args)]
pub struct TailArguments {
    /// Which, and how to answer.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// Show commands from this sequence on. Default: what comes behind the journal's end.
    #[arg(long, value_name = "SEQUENCE")]
    pub from: Option<u64>,
    /// End behind so many commands.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Where the venue keeps the journal's head, if it was told. Default: shared memory.
    #[arg(long, value_name = "DIR")]
    pub head: Option<PathBuf>,
}

/// What of a journal to show.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// Which, and how to answer.
    #[command(flatten)]
    pub journal: JournalArguments,
    /// Show commands from this sequence on. Default: the first, if --count is given.
    #[arg(long, value_name = "SEQUENCE")]
    pub from: Option<u64>,
    /// Show so many commands at most. Default: 20, if --from is given.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}

/// Which journal, and how to answer.
#[derive(Debug, Args)]
pub struct JournalArguments {
    /// The folder that was given as --data or --journal.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Answer with one JSON object on the last line; of what is listed, with one on each.
    #[arg(long)]
    pub json: bool,
}

/// Which running venue. One on this machine is found by its data folder.
#[derive(Debug, Clone, Args)]
pub struct VenueArguments {
    /// The data folder of a venue on this machine.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// Where a venue listens, instead of what its data folder says; needs --certificate.
    #[arg(long, value_name = "HOST:PORT", requires = "certificate")]
    pub connect: Option<String>,
    /// The certificate to trust, PEM; goes with --connect.
    #[arg(long, value_name = "FILE", requires = "connect")]
    pub certificate: Option<PathBuf>,
}

/// Whose market data, and who asks for it.
#[derive(Debug, Clone, Args)]
pub struct SubscriberArguments {
    /// Where.
    #[command(flatten)]
    pub venue: VenueArguments,
    /// Who asks: the name of a key in the data folder, such as alice. Default: nobody in particular.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "connect"])]
    pub account: Option<String>,
    /// The key to log in with, instead of one in the data folder.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// What to do with orders.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// What changes something.
    #[command(flatten)]
    Trade(TradeCommand),
    /// What only asks.
    #[command(flatten)]
    Ask(AskCommand),
}

/// What to do with orders.
#[derive(Debug, Subcommand)]
pub enum TradeCommand {
    /// Enter an order.
    New(NewOrderArguments),
    /// Change an open order's price or quantity.
    Amend(AmendArguments),
    /// Cancel an open order.
    Cancel(CancelArguments),
    /// Cancel every open order of the account, or those in one instrument or on one side.
    MassCancel(MassCancelArguments),
    /// Block the account and cancel everything that it has; an administrator or a risk operator lifts it.
    Kill(KillArguments),
}

/// What to ask of orders and balances.
#[derive(Debug, Subcommand)]
pub enum AskCommand {
    /// Show an open order as it is.
    Status(StatusArguments),
    /// Show every open order of the account, or those in one instrument, oldest first.
    List(ListArguments),
    /// Show what the account has.
    Balance(BalanceArguments),
}

/// Who trades where, and how to answer.
#[derive(Debug, Args)]
pub struct TraderArguments {
    /// Where.
    #[command(flatten)]
    pub venue: VenueArguments,
    /// Who: the name of a key in the data folder, such as alice; beside --key the account's number.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// The key to log in with, instead of one in the data folder.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A client certificate to show, PEM, and what leads from it to an authority: for a venue that demands one.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
    /// Answer with one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// A new order.
#[derive(Debug, Args)]
pub struct NewOrderArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
    /// Its name, such as BTC-USD, or its number.
    #[arg(long, value_name = "NAME")]
    pub instrument: String,
    /// Buy or sell.
    #[arg(long, value_enum)]
    pub side: SideArgument,
    /// How it is priced.
    #[arg(long = "type", value_enum, default_value_t = TypeArgument::Limit)]
    pub order_type: TypeArgument,
    /// The limit, such as 101.25.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub price: Option<Decimal>,
    /// How much, such as 0.5.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub quantity: Decimal,
    /// The trade price that elects a stop or stop-limit.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub stop: Option<Decimal>,
    /// What of it is shown at a time; absent: all.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub display: Option<Decimal>,
    /// What has to trade at once, or it is refused; goes with ioc.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub minimum: Option<Decimal>,
    /// How long it lives. Default: gtc, of a market order ioc.
    #[arg(long, value_enum)]
    pub tif: Option<TimeInForceArgument>,
    /// What happens when it would trade with an order of its own account or group; absent: as the account has it.
    #[arg(long, value_enum)]
    pub stp: Option<PreventionArgument>,
    /// Refuse it rather than let it take.
    #[arg(long)]
    pub post_only: bool,
    /// Your name for it, a number; one is made if it is absent.
    #[arg(long, value_name = "N")]
    pub client_order_id: Option<u64>,
}

/// Which order.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhichOrder {
    /// The order by the venue's name.
    #[arg(long, value_name = "N")]
    pub order_id: Option<u64>,
    /// The order by your name: its client order id.
    #[arg(long, value_name = "N")]
    pub original: Option<u64>,
}

/// A change of an order.
#[derive(Debug, Args)]
pub struct AmendArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
    /// Which order.
    #[command(flatten)]
    pub which: WhichOrder,
    /// The order's instrument: its name, such as BTC-USD, or its number.
    #[arg(long, value_name = "NAME")]
    pub instrument: String,
    /// The new limit; absent: as it is.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub price: Option<Decimal>,
    /// The new quantity, what has traded included; absent: as it is.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub quantity: Option<Decimal>,
    /// The new stop price of one that waits; absent: as it is.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub stop: Option<Decimal>,
    /// What of it is shown at a time from now on; absent: as it is.
    #[arg(long, value_name = "DECIMAL", value_parser = decimal, allow_negative_numbers = true)]
    pub display: Option<Decimal>,
    /// Your new name for it; absent: the old one stays.
    #[arg(long, value_name = "N")]
    pub client_order_id: Option<u64>,
}

/// A cancel.
#[derive(Debug, Args)]
pub struct CancelArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
    /// Which order.
    #[command(flatten)]
    pub which: WhichOrder,
}

/// A question about an order.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
    /// Which order.
    #[command(flatten)]
    pub which: WhichOrder,
}

/// A question about all orders.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
    /// Only in this instrument: its name or its number.
    #[arg(long, value_name = "NAME")]
    pub instrument: Option<String>,
}

/// A question about balances.
#[derive(Debug, Args)]
pub struct BalanceArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
}

/// A mass cancel.
#[derive(Debug, Args)]
pub struct MassCancelArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
    /// Only in this instrument: its name or its number.
    #[arg(long, value_name = "NAME")]
    pub instrument: Option<String>,
    /// Only on this side.
    #[arg(long, value_enum)]
    pub side: Option<SideArgument>,
}

/// A kill switch.
#[derive(Debug, Args)]
pub struct KillArguments {
    /// Who, where.
    #[command(flatten)]
    pub trader: TraderArguments,
    /// Why, in words; the journal keeps 24 characters.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// What to watch, and how to show it.
#[derive(Debug, Clone, Args)]
pub struct WatchArguments {
    /// The instrument's name, such as BTC-USD, or its number.
    #[arg(value_name = "INSTRUMENT")]
    pub instrument: String,
    /// Where, and who.
    #[command(flatten)]
    pub subscriber: SubscriberArguments,
    /// What is seen of the book.
    #[arg(long, value_enum, default_value_t = BookLevelArgument::Mbp)]
    pub level: BookLevelArgument,
    /// How it is delivered.
    #[arg(long, value_enum, default_value_t = ModeArgument::Live)]
    pub mode: ModeArgument,
    /// Price levels of each side at most. Default: as many as fit on the screen; 10 with --json.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub depth: Option<u16>,
    /// Print one JSON object a line for every update, instead of a screen.
    #[arg(long)]
    pub json: bool,
    /// End after so many updates.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}

/// What to record, for how long, and where to.
#[derive(Debug, Args)]
pub struct RecordArguments {
    /// The new file.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where, and who.
    #[command(flatten)]
    pub subscriber: SubscriberArguments,
    /// The instrument's name, such as BTC-USD, or its number; several times for several. Default: all, also those that are
    /// listed later.
    #[arg(long = "instrument", value_name = "NAME")]
    pub instruments: Vec<String>,
    /// What is recorded of each; several times for several. Default: mbp.
    #[arg(long = "level", value_name = "LEVEL", value_enum)]
    pub levels: Vec<LevelArgument>,
    /// How it is delivered.
    #[arg(long, value_enum, default_value_t = ModeArgument::Live)]
    pub mode: ModeArgument,
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// End after so many seconds. Without both: when interrupted, or when the venue is gone.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// Answer with one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// What to play, and how to show it.
#[derive(Debug, Args)]
pub struct PlayArguments {
    /// The recording.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How fast: 1 as it was received, 10 ten times as fast, max without waiting.
    #[arg(long, value_name = "N|max", default_value = "max")]
    pub speed: Speed,
    /// Print one JSON object a line for every update, as `watch` does, and at the end one for the answer.
    #[arg(long)]
    pub json: bool,
    /// Price levels of each side of a line at most.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "json",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub depth: u16,
}

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// So many times as fast as it was received.
    Times(NonZeroU32),
    /// As fast as it goes.
    Most,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => Ok(Self::Most),
            times => times.parse().map(Self::Times).map_err(|_| "it is a whole number from 1, or max".to_owned()),
        }
    }
}

/// What is seen of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BookLevelArgument {
    /// The best prices.
    Best,
    /// The ten best price levels of each side.
    Mbp10,
    /// The fifty best.
    Mbp50,
    /// Every price level.
    Mbp,
    /// Every order.
    Mbo,
}

impl From<BookLevelArgument> for FeedLevel {
    fn from(level: BookLevelArgument) -> Self {
        match level {
            BookLevelArgument::Best => Self::BestBidOffer,
            BookLevelArgument::Mbp10 => Self::MarketByPrice10,
            BookLevelArgument::Mbp50 => Self::MarketByPrice50,
            BookLevelArgument::Mbp => Self::MarketByPrice,
            BookLevelArgument::Mbo => Self::MarketByOrder,
        }
    }
}

/// What is taken of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelArgument {
    /// Trades alone.
    Trades,
    /// Trades and the best prices.
    Best,
    /// Trades and the ten best price levels of each side.
    Mbp10,
    /// Trades and the fifty best.
    Mbp50,
    /// Trades and every price level.
    Mbp,
    /// Trades and every order.
    Mbo,
    /// The definition, the phase, and what traded since the day began.
    Reference,
}

impl From<LevelArgument> for FeedLevel {
    fn from(level: LevelArgument) -> Self {
        match level {
            LevelArgument::Trades => Self::Trades,
            LevelArgument::Best => Self::BestBidOffer,
            LevelArgument::Mbp10 => Self::MarketByPrice10,
            LevelArgument::Mbp50 => Self::MarketByPrice50,
            LevelArgument::Mbp => Self::MarketByPrice,
            LevelArgument::Mbo => Self::MarketByOrder,
            LevelArgument::Reference => Self::Reference,
        }
    }
}

/// How market data is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArgument {
    /// Every message, over streams.
    Live,
    /// The latest state, as often as it can be taken.
    Conflated,
    /// Every message, in datagrams; what is lost is asked for again.
    Datagrams,
}

impl From<ModeArgument> for DeliveryMode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Live => Self::Live,
            ModeArgument::Conflated => Self::Conflated,
            ModeArgument::Datagrams => Self::Datagrams,
        }
    }
}

/// Buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SideArgument {
    /// Pay the quote asset for the base asset.
    Buy,
    /// Give the base asset for the quote asset.
    Sell,
}

/// How an order is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TypeArgument {
    /// At its limit or better.
    Limit,
    /// At the best prices there are, up to the market protection.
    Market,
    /// A market order once a trade reaches its stop price.
    Stop,
    /// A limit order once a trade reaches its stop price.
    StopLimit,
}

/// What happens when an order would trade with its own account or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PreventionArgument {
    /// What is left of it is cancelled.
    Cn,
    /// The resting order is cancelled.
    Co,
    /// Both are cancelled.
    Cb,
    /// Both are reduced by the smaller.
    Dc,
}

/// How long an order lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimeInForceArgument {
    /// Good till cancel.
    Gtc,
    /// Immediate or cancel.
    Ioc,
    /// Fill or kill.
    Fok,
    /// Until the instrument's rollover.
    Day,
    /// In the opening auction only.
    Ato,
    /// In the closing auction only.
    Atc,
}

/// Exact, or an error: nothing is rounded on the way to the venue.
fn decimal(text: &str) -> Result<Decimal, String> {
    Decimal::from_str_exact(text).map_err(|error| error.to_string())
}
