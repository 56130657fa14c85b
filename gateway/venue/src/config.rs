//! How a venue is run: every option, declared once, with unit, default and consequence.
//!
//! An option is given on the command line, in the file that `--config` names, or not at all; the first of these counts.
//! A key in the file is an option's long name. Values of the file go through the command line's own parser, so that there
//! is one truth about what an option may be.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};
use gateway::throttle::Rate;
use ring::Idle;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::admin::ChangeName;
use crate::affinity::{self, CoreNumber, Placement, PlacementError};
use crate::arguments::{Arguments, Tool};
use crate::http::HttpSecurity;
use crate::log::LogFormat;
use crate::market_data_door::Allowance;
use crate::traces::{CollectorUrl, TracePlan, TracesError};

/// How to run a venue.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ServeArguments {
    /// A TOML file with any of these options, by their long names; what the command line says goes before it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder: journal, certificate, keys. Made if it is not there; one process per folder.
    #[arg(long, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// Where the newest commands wait in memory for the disk; it has to outlive the process. Default: shared memory.
    #[arg(long, value_name = "DIR")]
    pub head: Option<PathBuf>,
    /// MiB of a new journal segment. The disk should have room for many: the venue keeps two ready, takes only cancels when
    /// one is left, and nothing when none is.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    pub segment_mib: u64,
    /// A snapshot is taken behind so many commands, at the end of a block of 1,024; 0: none. The fewer, the faster a start
    /// and a look at the past, and the more is written.
    #[arg(long, value_name = "COMMANDS", default_value_t = 1 << 20)]
    pub snapshot_every: u64,
    /// How many snapshots are kept, at least two: the newest two, and of older ones ever fewer.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=1_000))]
    pub snapshots_kept: usize,
    /// Days of the event history that are kept. Default: all. The journal keeps everything.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    pub history_days: Option<u64>,
    /// GiB of the event history that are kept, instead of days. Default: all.
    #[arg(long, value_name = "N", conflicts_with = "history_days", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub history_gib: Option<u64>,
    /// What an acknowledgement promises: to survive power loss, or, sooner, the process only.
    #[arg(long, value_enum, default_value_t = DurabilityArgument::Synced)]
    pub durability: DurabilityArgument,
    /// How idle threads wait: sleeping, looking again at once, or as suits the machine.
    #[arg(long, value_enum, default_value_t = IdleArgument::Auto)]
    pub idle: IdleArgument,
    /// Processors by number: the first for the core alone, the others for all other threads; only one named: those for
    /// all others are the rest there are. `available`: those that this process may run on and that are not named, the
    /// highest first, if there are two. Without it nothing is pinned.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub cores: Vec<CoreArgument>,
    /// Where traders connect, TLS over TCP. Port 0: any.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7001")]
    pub order_entry: SocketAddr,
    /// How order entry is protected. Without TLS its address has to be a loopback address: for measurements on one machine.
    #[arg(long, value_enum, default_value_t = OrderEntrySecurity::Tls)]
    pub order_entry_security: OrderEntrySecurity,
    /// A PEM file of authorities: whoever connects to order entry needs a client certificate of one of them, besides a key.
    /// Without it a client certificate is optional, and counts for keys that are certificates alone.
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    pub client_ca: Option<PathBuf>,
    /// Orders and amends a second of a session, and how many at once; cancels have as many of their own. What is beyond is
    /// refused, and twice as much ends the session. `off`: no bounds.
    #[arg(long, value_name = "RATE[/BURST]", default_value = "1000")]
    pub throttle_trader: ThrottleArgument,
    /// The same of a session whose key is a market maker's.
    #[arg(long, value_name = "RATE[/BURST]", default_value = "20000")]
    pub throttle_market_maker: ThrottleArgument,
    /// Connections to order entry at once; further ones are closed as they come. A quarter may be without an open session;
    /// then the oldest of these makes room.
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    pub connections_max: usize,
    /// Connections to order entry at once from one address, or from 64 bits of IPv6; further ones are closed as they come.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    pub connections_per_address: usize,
    /// Where market data is published, QUIC over UDP. Port 0: any.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7002")]
    pub market_data: SocketAddr,
    /// Who may see what of market data: a role (anonymous, any-key, trader, market-maker, drop-copy, administrator, read-only),
    /// levels (all, none, or some of trades, best, mbp10, mbp50, mbp, mbo, reference, with + between), and instruments by
    /// number, with + between; none: all. Several add up, and what anonymous sees everybody sees. Default: anonymous=all if
    /// market data and HTTP are on loopback addresses, else any-key=all.
    #[arg(long, value_name = "ROLE=LEVELS[@INSTRUMENTS]", value_delimiter = ',')]
    pub market_data_allow: Vec<Allowance>,
    /// Threads that serve subscribers, all at the one address. More serve more subscribers where there are processors for
    /// them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub market_data_threads: usize,
    /// Subscribers at once, over QUIC and WebSocket together; further ones are refused as they come.
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    pub market_data_connections_max: usize,
    /// Subscribers at once from one address; further ones are refused as they come.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    pub market_data_connections_per_address: usize,
    /// Health, metrics and the operator's door, HTTP. Port 0: any.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7003")]
    pub http: SocketAddr,
    /// How standard error is written: sentences for people, or JSON, an object a line, for programs.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
    /// How HTTP is protected: TLS with the venue's certificate wherever the address is not loopback, everywhere, or nowhere.
    #[arg(long, value_enum, default_value_t = HttpSecurity::Auto)]
    pub http_security: HttpSecurity,
    /// Changes at the operator's door that wait until a second key has approved of them, by noun and verb, such as
    /// account/withdraw,trade/bust,key/grant. Default: none.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub four_eyes: Vec<ChangeName>,
    /// Where traces of sampled orders are sent by OTLP over HTTP, `/v1/traces` being added: http://127.0.0.1:4318, say. Needs
    /// a program that was built with the feature `otlp`. Default: nowhere.
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<CollectorUrl>,
    /// A PEM file of certificates that an https endpoint is trusted by.
    #[arg(long, value_name = "FILE")]
    pub otlp_ca: Option<PathBuf>,
    /// One in so many of the commands that are timed, which are one in 32 of each session, becomes a trace.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub otlp_every: u32,
    /// Let a simulated market maker and taker trade through the gateway, with the demo keys of those names.
    #[arg(long)]
    pub demo: bool,
}

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DurabilityArgument {
    /// It survives the process.
    Buffered,
    /// It survives power loss.
    Synced,
}

/// How order entry is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrderEntrySecurity {
    /// TLS 1.3.
    Tls,
    /// Not at all, on a loopback address.
    PlainLoopback,
}

/// A rate and a burst, or no bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleArgument(pub Option<Rate>);

impl ThrottleArgument {
    /// No bounds.
    pub const OFF: Self = Self(None);
}

impl FromStr for ThrottleArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let (rate, burst) = text.split_once('/').unwrap_or((text, text));
        let number = |what: &str, text: &str| {
            let number: Option<NonZeroU32> = text.parse().ok();
            number.ok_or_else(|| format!("{what} {text:?} is no whole number from 1; or say off"))
        };
        Ok(Self(Some(Rate::new(number("the rate", rate)?, number("the burst", burst)?))))
    }
}

impl Display for ThrottleArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("off"),
            Some(rate) => write!(f, "{}/{}", rate.count(), rate.burst()),
        }
    }
}

/// A processor, or those that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoreArgument {
    /// By its number.
    Number(usize),
    /// All that this process may run on and that are not named, the highest first: the lowest has the machine's
    /// interrupts.
    Available,
}

impl CoreArgument {
    /// The processors that are meant, in their order. Where there is only one, none is left for the core alone.
    fn expand(arguments: &[Self], available: &[CoreNumber]) -> Vec<CoreNumber> {
        let is_named = |core: &CoreNumber| arguments.contains(&Self::Number(core.0));
        let mut left: Vec<_> =
            available.iter().copied().filter(|core| available.len() > 1 && !is_named(core)).collect();
        left.sort_unstable_by(|one, other| other.cmp(one));
        let meant = |argument: &Self| match argument {
            Self::Number(number) => vec![CoreNumber(*number)],
            Self::Available => core::mem::take(&mut left),
        };
        arguments.iter().flat_map(meant).collect()
    }
}

impl FromStr for CoreArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("available", _) => Ok(Self::Available),
            (_, Ok(number)) => Ok(Self::Number(number)),
            (_, Err(_)) => Err("it is a processor's number, or `available`".to_owned()),
        }
    }
}

impl Display for CoreArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Available => f.write_str("available"),
        }
    }
}

/// How idle threads wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IdleArgument {
    /// The core never sleeps, and the others look again every 50 µs; needs --cores.
    Spin,
    /// They sleep until they are woken.
    Park,
    /// Spin if --cores is given and there are at least four processors; else park, and nothing is pinned.
    Auto,
}

impl Default for ServeArguments {
    /// What an empty command line says.
    fn default() -> Self {
        match Arguments::parse_from(["rialto", "serve"]).tool {
            Tool::Serve(arguments) => arguments,
            _ => unreachable!("serve was asked for"),
        }
    }
}

/// Why options cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file says what cannot be followed.
    #[error("{}, line {line}: {reason}", file.display())]
    Line {
        /// Which.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The key and what is wrong with it.
        reason: String,
    },
    /// The command line cannot be followed, or asks for help.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// Threads cannot be placed so.
    #[error("--cores: {0}")]
    Cores(#[from] PlacementError),
    /// Others could listen.
    #[error("--http-security plain-loopback: {0} is no loopback address; say auto or tls")]
    PlainHttp(SocketAddr),
    /// Traces cannot be sent so.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The core would spin where others need to run.
    #[error("--idle spin needs --cores: a spinning core wants a processor of its own")]
    SpinWithoutCores,
}

/// What the command line says, with the options of the file that it may name.
pub fn parse(command_line: impl IntoIterator<Item = OsString>) -> Result<Arguments, ConfigError> {
    let command_line: Vec<OsString> = command_line.into_iter().collect();
    let matches = Arguments::command().try_get_matches_from(&command_line)?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    let serve = match &arguments.tool {
        Tool::Serve(serve) => serve,
        Tool::SelfTest(self_test) => &self_test.serve,
        _ => return Ok(arguments),
    };
    let (Some(file), Some((_, given))) = (&serve.config, matches.subcommand()) else { return Ok(arguments) };
    let options = from_file(file)?.into_iter();
    let options = options.filter(|option| given.value_source(&option.id) != Some(ValueSource::CommandLine));
    let whole = command_line.iter().cloned().chain(options.map(|option| option.text.into()));
    Ok(Arguments::try_parse_from(whole)?)
}

/// What a file says, over the defaults.
pub fn check(file: &Path) -> Result<ServeArguments, ConfigError> {
    let command_line = ["rialto".into(), "serve".into(), "--config".into(), file.as_os_str().to_owned()];
    match parse(command_line)?.tool {
        Tool::Serve(arguments) => Ok(arguments),
        _ => unreachable!("serve was asked for"),
    }
}

/// An option of a file.
struct FileOption {
    id: String,
    /// As the command line would have it.
    text: String,
}

/// The options of a file; no switch that is off.
fn from_file(file: &Path) -> Result<Vec<FileOption>, ConfigError> {
    let text = fs::read_to_string(file).map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
    let at = |span: Range<usize>, reason: String| {
        let line = 1 + text.bytes().take(span.start).filter(|&byte| byte == b'\n').count();
        ConfigError::Line { file: file.to_owned(), line, reason }
    };
    let table = DeTable::parse(&text).map_err(|error| at(error.span().unwrap_or(0..0), error.message().to_owned()))?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let option = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        option(key.get_ref(), value.get_ref()).map_err(|reason| at(key.span(), reason))
    };
    entries.into_iter().map(option).filter_map(Result::transpose).collect()
}

/// One option; none for a switch that is off.
fn option(key: &str, value: &DeValue<'_>) -> Result<Option<FileOption>, String> {
    let command = Arguments::command();
    let serve = command.find_subcommand("serve").expect("the tool has a name");
    let known = || serve.get_arguments().filter(|known| known.get_id() != "config" && known.get_id() != "help");
    let found = known().find(|known| known.get_long() == Some(key)).ok_or_else(|| {
        let names: Vec<_> = known().filter_map(clap::Arg::get_long).collect();
        format!("unknown key `{key}`; there are {}", names.join(", "))
    })?;
    let id = found.get_id().to_string();
    let text = match (value, found.get_action()) {
        (DeValue::Boolean(on), ArgAction::SetTrue) => {
            return Ok(on.then(|| FileOption { id, text: format!("--{key}") }));
        }
        (_, ArgAction::SetTrue) => return Err(format!("{key}: it is true or false")),
        (value, _) => format!("--{key}={}", text(value).map_err(|reason| format!("{key}: {reason}"))?),
    };
    match Arguments::try_parse_from(["rialto", "serve", &text]) {
        Ok(_) => Ok(Some(FileOption { id, text })),
        Err(error) => Err(format!("{key}: {}", first_paragraph(&error))),
    }
}

/// A value as the command line would have it.
fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Array(values) => {
            let values: Result<Vec<_>, _> = values.iter().map(|value| text(value.get_ref())).collect();
            values.map(|values| values.join(","))
        }
        other => Err(format!("a {} is no value here", other.type_str())),
    }
}

/// The parser's own words, without how to get help.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

impl ServeArguments {
    /// Every option but the file's, with its value, whoever gave it.
    pub fn effective(&self) -> Vec<(&'static str, String)> {
        let Self {
            config: _,
            data,
            head,
            segment_mib,
            durability,
            idle,
            cores,
            order_entry,
            market_data,
            http,
            demo,
            ..
        } = self;
        let kept = |kept: Option<u64>| kept.map_or("all".to_owned(), |kept| kept.to_string());
        let cores: Vec<_> = cores.iter().map(ToString::to_string).collect();
        let four_eyes: Vec<_> = self.four_eyes.iter().map(ToString::to_string).collect();
        let allowances: Vec<_> = self.market_data_allowances().iter().map(ToString::to_string).collect();
        vec![
            ("data", data.display().to_string()),
            ("head", head.as_ref().map_or("shared memory".to_owned(), |head| head.display().to_string())),
            ("segment-mib", segment_mib.to_string()),
            ("snapshot-every", self.snapshot_every.to_string()),
            ("snapshots-kept", self.snapshots_kept.to_string()),
            ("history-days", kept(self.history_days)),
            ("history-gib", kept(self.history_gib)),
            ("durability", name(durability)),
            ("idle", name(idle)),
            ("cores", if cores.is_empty() { "none".to_owned() } else { cores.join(",") }),
            ("order-entry", order_entry.to_string()),
            ("order-entry-security", name(&self.order_entry_security)),
            ("client-ca", self.client_ca.as_ref().map_or("none".to_owned(), |file| file.display().to_string())),
            ("throttle-trader", self.throttle_trader.to_string()),
            ("throttle-market-maker", self.throttle_market_maker.to_string()),
            ("connections-max", self.connections_max.to_string()),
            ("connections-per-address", self.connections_per_address.to_string()),
            ("market-data", market_data.to_string()),
            ("market-data-allow", allowances.join(",")),
            ("market-data-threads", self.market_data_threads.to_string()),
            ("market-data-connections-max", self.market_data_connections_max.to_string()),
            ("market-data-connections-per-address", self.market_data_connections_per_address.to_string()),
            ("http", http.to_string()),
            ("log", name(&self.log)),
            ("http-security", name(&self.http_security)),
            ("four-eyes", if four_eyes.is_empty() { "none".to_owned() } else { four_eyes.join(",") }),
            ("otlp-endpoint", self.otlp_endpoint.as_ref().map_or("none".to_owned(), ToString::to_string)),
            ("otlp-ca", self.otlp_ca.as_ref().map_or("none".to_owned(), |file| file.display().to_string())),
            ("otlp-every", self.otlp_every.to_string()),
            ("demo", demo.to_string()),
        ]
    }

    /// Who may see what of market data.
    pub fn market_data_allowances(&self) -> Vec<Allowance> {
        match &self.market_data_allow[..] {
            [] => Allowance::defaults([self.market_data, self.http]),
            configured => configured.to_vec(),
        }
    }

    /// Whether HTTP speaks TLS.
    pub fn http_is_tls(&self) -> Result<bool, ConfigError> {
        self.http_security.is_tls_at(self.http).ok_or(ConfigError::PlainHttp(self.http))
    }

    /// What becomes of traces.
    pub(crate) fn traces(&self) -> Result<Option<TracePlan>, ConfigError> {
        let authority = self.otlp_ca.as_deref();
        Ok(TracePlan::new(self.otlp_endpoint.as_ref(), authority, self.otlp_every)?)
    }

    /// How the venue's threads wait and where they run, on this machine.
    pub fn threads(&self) -> Result<Threads, ConfigError> {
        let available = affinity::available();
        // Less than the processors where a quota says so.
        let parallelism = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = CoreArgument::expand(&self.cores, &available);
        Threads::of(self.idle, &cores, &available, parallelism)
    }
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Processors from which on a core may have one for itself without being asked to.
const PROCESSORS_TO_SPIN: usize = 4;

/// How a venue's threads wait and where they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threads {
    /// How they wait.
    pub idle: Idle,
    /// Where they run; none: wherever the system puts them.
    pub placement: Option<Placement>,
    /// Both in words.
    pub description: String,
}

impl Threads {
    fn of(
        asked: IdleArgument,
        cores: &[CoreNumber],
        available: &[CoreNumber],
        parallelism: usize,
    ) -> Result<Self, ConfigError> {
        let placement = Placement::of(cores, available)?;
        let spins = match (asked, &placement) {
            (IdleArgument::Spin, None) => return Err(ConfigError::SpinWithoutCores),
            (IdleArgument::Spin, Some(_)) => true,
            (IdleArgument::Park, _) | (IdleArgument::Auto, None) => false,
            (IdleArgument::Auto, Some(_)) => parallelism >= PROCESSORS_TO_SPIN,
        };
        let (idle, ways) = match spins {
            true => (Idle::Spin, "spin: the core never sleeps, all others look again every 50 µs"),
            false => (Idle::Park, "park: all sleep until they are woken"),
        };
        let unused = asked == IdleArgument::Auto && !spins && placement.is_some();
        let placement = placement.filter(|_| !unused);
        let place = match &placement {
            _ if unused => format!(
                "none is pinned: with fewer than {PROCESSORS_TO_SPIN} processors auto leaves --cores alone, --idle spin or park uses it"
            ),
            None => "none is pinned".to_owned(),
            Some(placement) => placement.to_string(),
        };
        Ok(Self { idle, placement, description: format!("{ways}; {place}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(file: &str, command_line: &[&str]) -> Result<ServeArguments, String> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("rialto.toml");
        fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let whole =
            ["rialto", "serve", "--config", path].into_iter().chain(command_line.iter().copied()).map(OsString::from);
        match parse(whole).map(|arguments| arguments.tool) {
            Ok(Tool::Serve(arguments)) => Ok(ServeArguments { config: None, ..arguments }),
            Ok(_) => unreachable!("serve was asked for"),
            Err(error) => Err(error.to_string().replace(path, "FILE")),
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_that_before_the_defaults() {
        let file = r#"
            # A venue of its own.
            data = "elsewhere"
            durability = "buffered"
            cores = [1, 0]
            order-entry = "127.0.0.1:8001"
        "#;
        let found = parsed(file, &["--data", "here", "--cores", "0", "--idle", "park"]).unwrap();
        let expected = ServeArguments {
            data: "here".into(),
            durability: DurabilityArgument::Buffered,
            idle: IdleArgument::Park,
            cores: vec![CoreArgument::Number(0)],
            order_entry: "127.0.0.1:8001".parse().unwrap(),
            ..ServeArguments::default()
        };
        assert_eq!(found, expected);
        assert_eq!(parsed(file, &[]).unwrap().cores, [1, 0].map(CoreArgument::Number));
        assert_eq!(parsed("", &[]).unwrap(), ServeArguments::default());
    }

    #[test]
    fn what_cannot_be_followed_is_named_with_its_line() {
        for (file, said) in [
            (
                "data = \"x\"\nspeed = 9\n",
                "FILE, line 2: unknown key `speed`; there are data, head, segment-mib, snapshot-every",
            ),
            ("config = \"y\"", "FILE, line 1: unknown key `config`"),
            ("help = true", "FILE, line 1: unknown key `help`"),
            ("order_entry = \"127.0.0.1:1\"", "FILE, line 1: unknown key `order_entry`"),
            ("\n\nhttp = \"nowhere\"", "FILE, line 3: http: invalid value 'nowhere' for '--http <ADDR>'"),
            ("http = 7003", "FILE, line 1: http: invalid value '7003'"),
            ("durability = \"hopeful\"", "FILE, line 1: durability: invalid value 'hopeful'"),
            ("durability = \"hopeful\"", "[possible values: buffered, synced]"),
            ("segment-mib = 0", "FILE, line 1: segment-mib: invalid value '0'"),
            ("segment-mib = 1025", "1025 is not in 1..=1024"),
            ("throttle-trader = 0", "throttle-trader: invalid value '0'"),
            ("throttle-trader = \"10/many\"", "the burst \"many\" is no whole number from 1; or say off"),
            ("connections-max = 0", "connections-max: invalid value '0'"),
            ("four-eyes = [\"account/steal\"]", "\"account/steal\" is no change; there are asset/add, instrument/list"),
            ("http-security = \"plain\"", "[possible values: auto, tls, plain-loopback]"),
            ("cores = [-1]", "FILE, line 1: cores: invalid value '-1'"),
            ("cores = [\"most\"]", "it is a processor's number, or `available`"),
            ("cores = true", "FILE, line 1: cores: a boolean is no value here"),
            ("[cores]\nfirst = 1", "FILE, line 1: cores: a table is no value here"),
            ("data = \"x\"\ndata = \"y\"", "FILE, line 2: duplicate key"),
            ("data = ", "FILE, line 1: "),
        ] {
            let found = parsed(file, &[]).unwrap_err();
            assert!(found.contains(said), "{found}");
        }
        let missing = check(Path::new("no/such/file.toml")).unwrap_err();
        assert!(missing.to_string().starts_with("no/such/file.toml: No such file"), "{missing}");
    }

    #[test]
    fn a_throttle_is_a_rate_with_or_without_a_burst_or_off() {
        for (text, said) in [("100", "100/100"), ("100/5", "100/5"), ("off", "off")] {
            assert_eq!(text.parse::<ThrottleArgument>().unwrap().to_string(), said);
        }
        let file = "throttle-trader = 7\nthrottle-market-maker = \"9/3\"";
        let found = parsed(file, &["--throttle-trader", "off"]).unwrap();
        assert_eq!(
            (found.throttle_trader, found.throttle_market_maker.to_string()),
            (ThrottleArgument::OFF, "9/3".to_owned())
        );
    }

    #[test]
    fn a_collector_and_whom_it_is_trusted_by_may_come_from_a_file_or_not() {
        let [endpoint, authority] = ["otlp-endpoint = \"https://c:4318\"", "otlp-ca = \"ca.pem\""];
        for (file, command_line) in [
            (format!("{endpoint}\n{authority}"), &[][..]),
            (format!("{authority}\n{endpoint}"), &[]),
            (endpoint.to_owned(), &["--otlp-ca", "ca.pem"]),
            (authority.to_owned(), &["--otlp-endpoint", "https://c:4318"]),
        ] {
            let found = parsed(&file, command_line).unwrap();
            let found = (found.otlp_endpoint.map(|url| url.to_string()), found.otlp_ca);
            assert_eq!(found, (Some("https://c:4318".to_owned()), Some("ca.pem".into())), "{file}");
        }
        let without = parsed(authority, &[]).unwrap().traces().unwrap_err();
        assert_eq!(without.to_string(), "--otlp-ca needs --otlp-endpoint: where traces are sent");
    }

    #[test]
    fn available_processors_are_those_that_are_not_named_and_the_highest_goes_first() {
        use CoreArgument::{Available, Number};
        for (asked, available, expected) in [
            (&[][..], &[0, 1][..], &[][..]),
            (&[Available], &[0, 1], &[1, 0]),
            (&[Available], &[4, 5, 8, 9], &[9, 8, 5, 4]),
            (&[Number(4), Available], &[4, 5, 8], &[4, 8, 5]),
            (&[Available, Available], &[0, 1], &[1, 0]),
            (&[Available], &[7], &[]),
            (&[Number(9), Available], &[0, 1], &[9, 1, 0]),
        ] {
            let available: Vec<_> = available.iter().copied().map(CoreNumber).collect();
            let found: Vec<_> = CoreArgument::expand(asked, &available).iter().map(|core| core.0).collect();
            assert_eq!(found, expected, "{asked:?} of {available:?}");
        }
        let file = "cores = [3, \"available\"]";
        assert_eq!(parsed(file, &[]).unwrap().cores, [Number(3), Available]);
    }

    #[test]
    fn the_effective_set_has_every_option() {
        let command = Arguments::command();
        let serve = command.find_subcommand("serve").unwrap();
        let declared: Vec<_> = serve.get_arguments().filter_map(clap::Arg::get_long).collect();
        let said: Vec<_> = ServeArguments::default().effective().into_iter().map(|(name, _)| name).collect();
        assert_eq!(said, declared.into_iter().filter(|&name| name != "config" && name != "help").collect::<Vec<_>>());
    }

    #[test]
    fn threads_spin_where_that_was_asked_for_or_suits_the_machine() {
        let threads = |asked, cores: &[usize], processors: usize| {
            let cores: Vec<_> = cores.iter().copied().map(CoreNumber).collect();
            let available: Vec<_> = (0..processors).map(CoreNumber).collect();
            Threads::of(asked, &cores, &available, processors)
                .map(|threads| (threads.idle, threads.placement.map(|placement| placement.core.0)))
                .map_err(|error| error.to_string())
        };
        use IdleArgument::{Auto, Park, Spin};
        for (asked, cores, processors, expected) in [
            (Auto, &[][..], 2, (Idle::Park, None)),
            (Auto, &[], 16, (Idle::Park, None)),
            (Auto, &[1], 2, (Idle::Park, None)),
            (Auto, &[1], 3, (Idle::Park, None)),
            (Auto, &[1], 4, (Idle::Spin, Some(1))),
            (Park, &[], 2, (Idle::Park, None)),
            (Park, &[1], 2, (Idle::Park, Some(1))),
            (Spin, &[1], 2, (Idle::Spin, Some(1))),
        ] {
            assert_eq!(threads(asked, cores, processors), Ok(expected), "{asked:?} {cores:?} {processors}");
        }
        assert!(threads(Spin, &[], 8).unwrap_err().contains("needs --cores"));
        assert!(threads(Auto, &[8], 8).unwrap_err().starts_with("--cores: processor 8 is not available"));
        let unused = Threads::of(Auto, &[CoreNumber(1)], &[CoreNumber(0), CoreNumber(1)], 2).unwrap();
        assert!(unused.description.contains("leaves --cores alone"), "{}", unused.description);
    }
}
