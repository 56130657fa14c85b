//! `rialto serve`: a venue from nothing but a folder.
//!
//! Starting goes from the inside out, stopping from the outside in: nobody is let in before the venue can answer, and
//! nothing that was let in is lost.
//!
//! ```text
//!   start   folder ─► founding, if new ─► journal, replay ─► core ─► order entry ─► market data ─► HTTP ─► READY
//!   stop    not ready ─► order entry ─► core, journal sealed ─► market data ─► HTTP
//! ```

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use engine::{CommandBody, Engine, Nanoseconds, Sequence, Timestamp};
use gateway::hops::{HopSample, Hops};
use gateway::rights::Rights;
use gateway::session::SessionLimits;
use gateway::throttle::{Budgets, Throttles};
use gateway::transport::tls::{self, ClientCertificates};
use gateway::transport::{Config as OrderEntryConfig, DoorCounts, Security, Server};
use gateway::view::View;
use journal::{Durability, FolderLock, Keep, Retention};
use marketdata::Feed;
use marketdata::quic::{Config as MarketDataConfig, Identity, Limits, Publisher};
use ring::{EventReader, Idle};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::admin::{self, AccessLogError, ChangeName, Desk, Door, Records, Seen};
use crate::affinity;
use crate::alarm;
use crate::archive::ArchivePlan;
use crate::arguments::ConfigCommand;
use crate::clock::{Clock, SharedClock, behind_at_start_line};
use crate::config::{self, ConfigError, DurabilityArgument, OrderEntrySecurity, ServeArguments, Threads};
use crate::console::ConsolePlan;
use crate::data_folder::{Certificate, DataFolder, DataFolderError};
use crate::demo;
use crate::demo_market::{DemoMarket, DemoMarketError};
use crate::door_watch::DoorWatch;
use crate::exit::Exit;
use crate::founding::{FoundingError, found};
use crate::hops::HopTimes;
use crate::http::{self, Http, HttpConfig, Protection, Status, StreamConfig, stream_limits};
use crate::market_data_door::MarketDataDoor;
use crate::metrics::{Rings, Sources};
use crate::report_history::{HistoryReports, JournalHistory};
use crate::self_test::{self, Finding, Verdict};
use crate::ticks;
use crate::topology::{Ended, StartError, StopError, Topology, Venue, journal_options};
use crate::traces::{Exporter, Traces};

/// Why a venue is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An option cannot be honoured.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificate cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The venue could not work here.
    #[error("{}: {}; {}", .0.check, .0.found, .0.advice.unwrap_or_default())]
    SelfTest(Finding),
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// What the operator's door has on record cannot be gone on with.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    /// There is no venue, and none could be founded.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// The demo market did not start.
    #[error(transparent)]
    DemoMarket(#[from] DemoMarketError),
    /// The venue did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The venue did not stop in order.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// A door could not be opened.
    #[error("{door} cannot listen at {address}: {source}; name another address with --{option}, or port 0 for any")]
    Door {
        /// Which.
        door: &'static str,
        /// Its option.
        option: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Something else of the system's failed.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ServeError {
    /// What the program's exit code says.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Founding(FoundingError::Refused { .. }) => Exit::Usage,
            Self::Founding(FoundingError::Open(error)) => error.into(),
            Self::Founding(FoundingError::Start(error)) => error.into(),
            Self::Start(StartError::Start(error)) => error.into(),
            Self::AccessLog(AccessLogError::Broken { .. }) => Exit::Damaged,
            Self::Founding(_)
            | Self::Start(StartError::Archive(_) | StartError::Thread(_))
            | Self::SelfTest(_)
            | Self::Folder(_)
            | Self::AccessLog(AccessLogError::Io { .. })
            | Self::DemoMarket(_)
            | Self::Stop(_)
            | Self::Door { .. }
            | Self::System { .. } => Exit::InputOutput,
        }
    }
}

/// Where a running venue listens; what `READY` says and `venue.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Order entry, TLS over TCP.
    pub order_entry: SocketAddr,
    /// Market data, QUIC over UDP.
    pub market_data: SocketAddr,
    /// Health, metrics and the operator's door, HTTP.
    pub http: SocketAddr,
    /// Whether that is over TLS.
    #[serde(default)]
    pub http_tls: bool,
    /// The data folder.
    pub data: PathBuf,
}

impl Addresses {
    /// What every address of the HTTP port begins with.
    pub fn http_origin(&self) -> String {
        format!("{}://{}", if self.http_tls { "https" } else { "http" }, self.http)
    }
}

/// Serves until it is interrupted; says what happens on standard output and what fails on standard error.
pub fn run(arguments: &ServeArguments) -> Exit {
    end_with_its_doors();
    match serve(arguments, demo::commands) {
        Ok(_) => Exit::Done,
        Err(error) => {
            let exit = error.exit();
            error!(exit_code = exit as u8, "{error}");
            exit
        }
    }
}

/// What the names of threads begin with that nobody waits for while a venue runs, and without which nobody is served.
const DOORS: [&str; 2] = ["order-entry", "market-data-"];

/// A venue whose door has panicked would look alive and let nobody in: it ends at once, as if it were killed, and whoever
/// watches it starts it again.
fn end_with_its_doors() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        if let Some(door) = std::thread::current().name().filter(|name| DOORS.iter().any(|door| name.starts_with(door)))
        {
            error!(
                thread = door,
                "ALARM: the thread {door} has panicked: the venue ends here; its journal has everything"
            );
            std::process::exit((Exit::InputOutput as u8).into());
        }
    }));
}

/// `rialto config check`.
pub fn check(ConfigCommand::Check { file }: &ConfigCommand) -> Exit {
    let checked = config::check(file).and_then(|arguments| {
        arguments.traces()?;
        Ok((arguments.threads()?, arguments))
    });
    match checked {
        Ok((threads, arguments)) => {
            say_options(&arguments, &threads);
            Exit::Done
        }
        Err(error) => {
            eprintln!("rialto: {error}");
            Exit::Usage
        }
    }
}

fn say_options(arguments: &ServeArguments, threads: &Threads) {
    let source = arguments.config.as_ref().map_or(String::new(), |file| format!(" with {}", file.display()));
    println!("options{source}");
    arguments.effective().iter().for_each(|(name, value)| println!("  {name:<23} {value}"));
    println!("threads       {}", threads.description);
}

/// Serves until it is interrupted, and says what happens on standard output; what the venue was when it stopped.
pub fn serve(arguments: &ServeArguments, set_up: impl FnOnce(&DataFolder) -> SetUp) -> Result<Ended, ServeError> {
    say_options(arguments, &arguments.threads()?);
    test_self(arguments)?;
    if ChangeName::can_be_got_round(&arguments.four_eyes) {
        warn!("--four-eyes without key/grant: an administrator makes any key the second one alone");
    }
    let mut running = Running::start(arguments, set_up)?;
    let attended = attend(&mut running, arguments);
    let ended = running.stop()?;
    say(&format!("stopped behind command {}", ended.engine.last().sequence.0));
    attended.map(|()| ended)
}

/// Says what the venue stands on; it does not start where it cannot work.
fn test_self(arguments: &ServeArguments) -> Result<(), ServeError> {
    let findings = self_test::look(arguments);
    findings.iter().for_each(|finding| say(&finding.line()));
    match findings.iter().find(|finding| finding.verdict == Verdict::Failed) {
        None => Ok(()),
        Some(failed) => Err(ServeError::SelfTest(failed.clone())),
    }
}

/// What happens between start and stop. Whatever fails here, the venue is stopped in order.
fn attend(running: &mut Running, arguments: &ServeArguments) -> Result<(), ServeError> {
    let demo_market = arguments.demo.then(|| running.start_demo_market()).transpose()?;
    // Before anybody is told that there is something to stop.
    let signals = Signals::listen()?;
    running.announce()?;
    let alarm = alarm::watch(running.venue.space().clone());
    let door_watch = Arc::clone(&running.door_watch);
    let failed_logins = door_watch.say();
    let meanwhile = async { tokio::join!(alarm, failed_logins).0 };
    match signals.wait(running.venue.take_end(), meanwhile) {
        Cause::Asked => {}
        Cause::CoreEnded => error!("the core has ended by itself: nothing can be journalled any more"),
    }
    say("stopping: letting nobody in, applying what came in, sealing the journal");
    demo_market.into_iter().for_each(DemoMarket::stop);
    Ok(())
}

/// Whoever listened may have gone long ago; that is no reason to stop otherwise than in order.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// What a new venue begins with, all of it the venue's own commands.
pub type SetUp = Result<Vec<CommandBody>, DataFolderError>;

/// A venue with its doors open.
pub struct Running {
    folder: DataFolder,
    addresses: Addresses,
    security: OrderEntrySecurity,
    venue: Venue,
    order_entry: Server,
    market_data: Publisher,
    http: Http,
    status: Status,
    door_watch: Arc<DoorWatch>,
    operator: std::thread::JoinHandle<()>,
    traces: Option<Traces>,
}

impl Running {
    /// Starts everything; a venue that is new is founded with the commands of `set_up`, which is called only then.
    ///
    /// Where the core is pinned, the calling thread is kept off the core's processor from then on.
    pub fn start(arguments: &ServeArguments, set_up: impl FnOnce(&DataFolder) -> SetUp) -> Result<Self, ServeError> {
        let threads = arguments.threads()?;
        let http_tls = arguments.http_is_tls()?;
        let exporter = arguments.traces()?.map(Exporter::new).transpose().map_err(ConfigError::from)?;
        let topology = topology(arguments, &threads);
        let folder = DataFolder::open(&arguments.data)?;
        // What two processes on one folder could both make is made under its lock; and whatever may fail for a usual
        // reason comes before the venue runs.
        let lock = FolderLock::take(folder.path()).map_err(StartError::from)?;
        // A venue that was killed has left where it listened.
        folder.withdraw()?;
        let certificate = folder.certificate()?;
        let (certificates, key) = certificate.parse()?;
        let clients = client_certificates(arguments.client_ca.as_deref()).map_err(ServeError::Usage)?;
        let client_verifier = tls::optional_verifier(clients.clone());
        let client_verifier = client_verifier.map_err(|error| ServeError::Usage(error.to_string()))?;
        let security = tls::server_config(certificates, key, clients);
        let security = security.map_err(|error| ServeError::Usage(error.to_string()))?;
        let security = match arguments.order_entry_security {
            OrderEntrySecurity::Tls => Security::Tls(security),
            OrderEntrySecurity::PlainLoopback => Security::PlainLoopback,
        };
        let (certificates, key) = certificate.parse()?;
        let identity = Identity { certificates, key };
        let protection = http_protection(&certificate, http_tls)?;
        let records = Records::open(folder.path())?;
        found(&lock, &journal_options(&topology), || set_up(&folder).map_err(ServeError::from))?;
        place(&threads);
        let topology = Topology { archive: Some(archive_plan(arguments, folder.checkpoint_key()?)), ..topology };
        let mut views = None;
        let mut venue = Venue::start_locked(lock, &topology, |engine| views = Some(Views::of(engine)))?;
        let views = views.expect("a venue that starts shows its engine");
        let clock = Arc::new(SharedClock::new(Clock::start(views.last)));
        if let (Some(core), Some(error)) = (topology.core, venue.pinning_failure()) {
            let core = core.0;
            warn!(core, %error, "the core could not be pinned to processor {core}: {error}; it runs where it is put");
        }

        let mut readers = venue.take_readers();
        let [for_order_entry, for_market_data, for_operator] = [(); 3].map(|()| taken(&mut readers));
        let status = Status::new(venue.space().clone());
        status.metrics.begin_behind(views.sequence);
        let rings = rings(&venue, [&for_order_entry, &for_market_data, &for_operator]);
        venue.watch_groups({
            let metrics = Arc::clone(&status.metrics);
            move |group| metrics.count_group(group)
        });
        status.metrics.watch_clock(Arc::clone(venue.clock_watch()));
        let archive = venue.archive().expect("it was asked for");
        status.metrics.watch_archive(Arc::clone(archive.status()));
        let admission = venue.space().admission();
        let desk = Arc::new(Desk::new(views.operator, Arc::clone(venue.commands()), Arc::clone(admission)));
        let traces = exporter.map(|exporter| exporter.start(status.metrics.hops())).transpose();
        let traces = traces.map_err(system("a thread"))?;
        let operator = admin::start(Arc::clone(&desk), Arc::clone(&status.metrics), for_operator);
        let operator = operator.map_err(system("a thread"))?;

        let door_watch = Arc::new(DoorWatch::new(Arc::clone(&status.metrics)));
        // Of its own: nobody waits for a thread of market data that holds the other.
        let door_clock = SharedClock::new(Clock::start(views.last));
        let door_counts = Arc::<DoorCounts>::default();
        let config = OrderEntryConfig {
            limits: session_limits(arguments),
            connections_max: arguments.connections_max,
            connections_per_address: arguments.connections_per_address,
            watch: door_watch.clone(),
            durability: wire_durability(topology.durability),
            admission: Arc::clone(admission),
            balances: Some(Arc::clone(venue.balances())),
            counts: Arc::clone(&door_counts),
            ..OrderEntryConfig::new(arguments.order_entry, security, door_clock)
        };
        let replay = JournalHistory::new(folder.path().to_owned(), Arc::clone(venue.durable()));
        let history = HistoryReports::new(archive.history().clone(), Arc::clone(archive.status().reached()), replay);
        let commands = Arc::clone(venue.commands());
        let hops = hops(&venue, &status);
        let opened = Server::start(config, commands, for_order_entry, views.order_entry, history, Some(hops));
        let order_entry = match opened.map_err(door("order entry", "order-entry", arguments.order_entry)) {
            Ok(order_entry) => order_entry,
            Err(error) => {
                drop(for_market_data);
                return Err(abandon(venue, error));
            }
        };
        let market_data_door = MarketDataDoor::new(
            arguments.market_data_allowances(),
            views.rights,
            Box::new({
                let clock = Arc::clone(&clock);
                move || clock.now()
            }),
            Arc::clone(&status.metrics),
        );
        let config = MarketDataConfig {
            listen: arguments.market_data,
            identity,
            client_verifier: Some(client_verifier),
            clock: feed_clock(&clock),
            door: Arc::new(market_data_door),
            limits: market_data_limits(arguments),
            threads: arguments.market_data_threads,
            seats: 1,
        };
        let opened = Publisher::start(config, for_market_data, views.feed);
        let mut market_data = match opened.map_err(door("market data", "market-data", arguments.market_data)) {
            Ok(market_data) => market_data,
            Err(error) => {
                order_entry.stop();
                return Err(abandon(venue, error));
            }
        };
        status.metrics.watch_crowd(Arc::clone(market_data.crowd()));
        status.metrics.watch(Sources {
            ready: Arc::clone(&status.ready),
            space: status.space.clone(),
            rings,
            door: door_counts,
            connections_max: arguments.connections_max,
            crowd: Arc::clone(market_data.crowd()),
        });
        let four_eyes = arguments.four_eyes.iter().map(|name| name.as_str()).collect();
        let operators_door = Door::new(desk, Arc::clone(&status.metrics), records, four_eyes);
        let console = ConsolePlan {
            data: folder.path().to_owned(),
            order_entry: order_entry.local_addr(),
            security: arguments.order_entry_security,
            history: archive.history().clone(),
        };
        let (door_of_http, console) = (Some(operators_door), Some(console));
        let config = HttpConfig { listen: arguments.http, protection, door: door_of_http, console };
        let opened = Http::start(config, status.clone(), stream_config(&mut market_data, &clock));
        let http = match opened.map_err(door("HTTP", "http", arguments.http)) {
            Ok(http) => http,
            Err(error) => {
                order_entry.stop();
                let error = abandon(venue, error);
                market_data.stop();
                return Err(error);
            }
        };
        status.ready.store(true, Ordering::Release);
        let addresses = Addresses {
            order_entry: order_entry.local_addr(),
            market_data: market_data.local_addr(),
            http: http.local_addr(),
            http_tls,
            data: folder.path().to_owned(),
        };
        let security = arguments.order_entry_security;
        Ok(Self {
            folder,
            addresses,
            security,
            venue,
            order_entry,
            market_data,
            http,
            status,
            door_watch,
            operator,
            traces,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How long commands take, hop by hop.
    pub fn hops(&self) -> &Arc<HopTimes> {
        self.status.metrics.hops()
    }

    fn start_demo_market(&self) -> Result<DemoMarket, ServeError> {
        let seed = wall_clock().0;
        let market = DemoMarket::start(&self.folder, self.addresses.order_entry, seed)?;
        println!("demo market   a simulated market-maker and taker trade in all instruments, seed {seed}");
        Ok(market)
    }

    fn announce(&self) -> Result<(), ServeError> {
        let Addresses { order_entry, market_data, data, .. } = &self.addresses;
        let http = self.addresses.http_origin();
        self.folder.announce(&self.addresses)?;
        let data = data.display();
        let trust = if self.addresses.http_tls { format!("--cacert {data}/certificate.pem ") } else { String::new() };
        say_recovery(&self.venue);
        let protection = match self.security {
            OrderEntrySecurity::Tls => "over TLS 1.3",
            OrderEntrySecurity::PlainLoopback => "unprotected",
        };
        println!("order entry   {order_entry}   FIX semantics, SBE {protection}");
        println!("market data   {market_data}   QUIC");
        println!("market page   {http}/   WebSocket at /ws");
        println!("health        {http}/health/ready");
        println!("metrics       {http}/metrics");
        println!("admin         {http}/admin/v1   signed requests: rialto admin show instruments");
        println!("console       {http}/console/   get in with: rialto console alice --data {data}");
        println!("data          {data}   journal, certificate.pem, demo keys in keys/");
        println!("try           rialto watch BTC-USD --data {data}");
        println!(
            "              rialto order new --data {data} --account alice --instrument BTC-USD --side buy --price 64000 \
                  --quantity 0.1"
        );
        println!("              rialto journal verify {data};  curl {trust}{http}/metrics");
        println!("READY {}", serde_json::to_string(&self.addresses).expect("a plain record"));
        io::stdout().flush().map_err(system("standard output"))
    }

    /// Stops everything.
    pub fn stop(self) -> Result<Ended, ServeError> {
        self.status.ready.store(false, Ordering::Release);
        // What fails is told when everything has stopped: a disk that takes nothing more is no reason to leave sessions
        // and subscribers without a word.
        let withdrawn = self.folder.withdraw();
        self.order_entry.stop();
        let ended = self.venue.stop();
        self.market_data.stop();
        self.http.stop();
        self.operator.join().expect("the operator's thread does not panic");
        self.traces.into_iter().for_each(Traces::stop);
        let ended = ended?;
        withdrawn?;
        Ok(ended)
    }
}

/// What readers begin with: the venue as it was before its first command.
struct Views {
    /// The time of the journal's last command.
    last: Timestamp,
    /// That command.
    sequence: Sequence,
    order_entry: View,
    feed: Feed,
    rights: Rights,
    operator: Seen,
}

impl Views {
    fn of(engine: &Engine) -> Self {
        Self {
            last: engine.last().time,
            sequence: engine.last().sequence,
            order_entry: View::of(engine),
            feed: Feed::of(engine),
            rights: Rights::of(engine),
            operator: Seen::of(engine),
        }
    }
}

fn topology(arguments: &ServeArguments, threads: &Threads) -> Topology {
    let durability = match arguments.durability {
        DurabilityArgument::Buffered => Durability::Buffered,
        DurabilityArgument::Synced => Durability::Synced,
    };
    let core = threads.placement.as_ref().map(|placement| placement.core);
    Topology {
        durability,
        idle: threads.idle,
        core,
        reader_count: 3,
        segment_bytes: arguments.segment_mib << 20,
        head_directory: arguments.head.clone(),
        ..Topology::default()
    }
}

/// Which certificates clients need, by the file of authorities, or why it cannot be used.
fn client_certificates(authorities: Option<&Path>) -> Result<ClientCertificates, String> {
    let Some(file) = authorities else { return Ok(ClientCertificates::Optional) };
    let unusable = |reason: String| format!("--client-ca {}: {reason}", file.display());
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(ClientCertificates::Of(Arc::new(roots)))
}

fn http_protection(certificate: &Certificate, is_tls: bool) -> Result<Protection, ServeError> {
    if !is_tls {
        return Ok(Protection::Plain);
    }
    let (certificates, key) = certificate.parse()?;
    let config = http::server_config(certificates, key).map_err(|error| ServeError::Usage(error.to_string()))?;
    Ok(Protection::Tls(config))
}

fn market_data_limits(arguments: &ServeArguments) -> Limits {
    Limits {
        subscribers_max: arguments.market_data_connections_max,
        connections_per_address: arguments.market_data_connections_per_address,
        ..Limits::default()
    }
}

fn session_limits(arguments: &ServeArguments) -> SessionLimits {
    let trader = Budgets::of(arguments.throttle_trader.0);
    let market_maker = Budgets::of(arguments.throttle_market_maker.0);
    SessionLimits { throttles: Throttles { trader, market_maker }, ..SessionLimits::DEFAULT }
}

/// What the market data that goes over HTTP is served from.
fn stream_config(market_data: &mut Publisher, clock: &Arc<SharedClock>) -> StreamConfig {
    StreamConfig {
        seat: market_data.take_seats().pop().expect("it was asked for"),
        crowd: Arc::clone(market_data.crowd()),
        clock: feed_clock(clock),
        limits: stream_limits(),
    }
}

/// What shows how full the rings are, and how far each reader and the disk are behind the core.
fn rings(venue: &Venue, readers: [&EventReader; 3]) -> Rings {
    let names = ["order-entry", "market-data", "operator"];
    let gauges = readers.map(|reader| reader.gauge().expect("it is a gating reader"));
    let readers = names.into_iter().zip(gauges).chain([("event-digest", venue.digest_gauge().clone())]).collect();
    Rings::new(Arc::clone(venue.commands()), readers, Arc::clone(venue.durable()), venue.durability())
}

/// What market data tells the time by.
fn feed_clock(clock: &Arc<SharedClock>) -> marketdata::Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now().into())
}

/// What the door stamps with, and who takes the samples.
fn hops(venue: &Venue, status: &Status) -> Hops {
    let durable = match venue.durability() {
        Durability::Buffered => None,
        Durability::Synced => Some(Arc::clone(venue.durable().note_passages(ticks::now))),
    };
    let times = Arc::clone(status.metrics.hops());
    let record = Box::new(move |sample: &HopSample| times.record(sample));
    Hops { ticks: ticks::now, core: Arc::clone(venue.marks()), durable, record }
}

fn archive_plan(arguments: &ServeArguments, key: SigningKey) -> ArchivePlan {
    let retention = match (arguments.history_days, arguments.history_gib) {
        (Some(days), _) => Retention::Age(Nanoseconds(days * 24 * 3_600 * 1_000_000_000)),
        (None, Some(gib)) => Retention::Bytes(gib << 30),
        (None, None) => Retention::Everything,
    };
    ArchivePlan {
        snapshot_every: (arguments.snapshot_every > 0).then_some(arguments.snapshot_every),
        keep: Keep::at_most(arguments.snapshots_kept),
        retention,
        key,
    }
}

/// Places the calling thread, and with it all that it starts, beside the core.
///
/// What cannot be done is said, and the venue runs where the system puts it.
fn place(threads: &Threads) {
    if let Some(placement) = &threads.placement
        && let Err(error) = affinity::keep_to(&placement.others)
    {
        let core = placement.core.0;
        warn!(core, %error, "threads could not be kept off the core's processor {core}: {error}");
    }
    if threads.idle == Idle::Spin
        && let Err(error) = affinity::sleep_precisely()
    {
        warn!(%error, "polling threads will sleep longer than 50 µs: {error}");
    }
}

/// What was found in the data folder, and what of it somebody should look at.
fn say_recovery(venue: &Venue) {
    venue.report().iter().for_each(|line| println!("journal       {line}"));
    if let Some(behind) = venue.clock_behind() {
        warn!(behind_seconds = behind.as_secs_f64(), "{}", behind_at_start_line(behind));
    }
}

/// Stops a venue that nobody could be let into; the error that kept them out is the one to tell.
fn abandon(venue: Venue, error: ServeError) -> ServeError {
    let _ = venue.stop();
    error
}

fn taken(readers: &mut Vec<EventReader>) -> EventReader {
    readers.pop().expect("as many readers as were asked for")
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What asks a venue to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Behind the signals, which need it.
    runtime: Runtime,
}

impl Signals {
    /// From now on they end the process no more.
    fn listen() -> Result<Self, ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(system("signals"))?;
        let listening = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(system("signals"))?;
        let terminate = signal(SignalKind::terminate()).map_err(system("signals"))?;
        drop(listening);
        Ok(Self { interrupt, terminate, runtime })
    }

    /// Waits for the first, which may have come already, or for the core's end; `meanwhile` runs until then.
    fn wait(self, core: Option<oneshot::Receiver<()>>, meanwhile: impl Future<Output = Infallible>) -> Cause {
        let Self { mut interrupt, mut terminate, runtime } = self;
        let core_ended = async {
            match core {
                // Nothing is ever sent: the sender goes with the core.
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => Cause::Asked,
                _ = terminate.recv() => Cause::Asked,
                () = core_ended => Cause::CoreEnded,
                never = meanwhile => match never {},
            }
        })
    }
}

/// Why a venue stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody asked.
    Asked,
    /// The core could not go on.
    CoreEnded,
}

fn wire_durability(durability: Durability) -> wire::Durability {
    match durability {
        Durability::Buffered => wire::Durability::Buffered,
        Durability::Synced => wire::Durability::Synced,
    }
}

fn door(door: &'static str, option: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::Door { door, option, address, source }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> ServeError {
    move |source| ServeError::System { what, source }
}
