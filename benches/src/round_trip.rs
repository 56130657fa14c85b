//! The time from an order to its report over TLS on the loopback, beside a bare echo of the same sizes.
//!
//! ```text
//!   venue   client ─TLS─► sockets ─► ring ─► core ─► ring ─► router ─► sockets ─TLS─► client
//!   echo    client ─TLS─► echo ─TLS─► client
//! ```
//!
//! Load model: one order at a time, the next when the last was answered, so that nothing queues. That is a closed loop:
//! it says how long an idle venue takes, and nothing about a loaded one. Both are measured in turns of one run, so that
//! whatever disturbs the machine disturbs both.
//!
//! The order is an ImmediateOrCancel far from the market: it is accepted, and its rest is cancelled. The time ends when
//! the first of the two reports is there.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned, crypto, version};
use client::wire::order_entry::{ExecutionReport, NewOrderSingle, OrderEntryMessage};
use client::wire::{ExecType, Message};
use client::{Client, Incoming};
use engine::command::NewOrder;
use engine::order::TimeInForce;
use engine::{ClientOrderId, Price, Quantity, Side};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use venue::arguments::{DurabilityArgument, IdleArgument};
use venue::data_folder::DataFolder;

use crate::failure::Failure;
use crate::flow::coinbase::requests::{accounts, place, set_up};
use crate::flow::coinbase::via_gateway::STEPS;
use crate::flow::order_feed::limit_order;
use crate::times::histogram;
use crate::trading::served::{Access, Served, admit, arguments};

/// Rounds of one side before the other has its turn.
const TURN: u64 = 500;
/// Rounds that are not counted.
const WARM_UP: u64 = 2_000;
/// How long a report may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many orders.
    pub rounds: u64,
    /// What the venue's reports promise.
    pub durability: DurabilityArgument,
    /// How its threads wait.
    pub idle: IdleArgument,
    /// The processors that it may pin its threads to.
    pub cores: Vec<usize>,
}

/// What was measured, in nanoseconds.
#[derive(Debug)]
pub struct Times {
    /// From an order to its report.
    pub venue: Histogram<u64>,
    /// From a message of an order's size to one of a report's.
    pub echo: Histogram<u64>,
}

/// Measures.
pub fn run(options: &Options) -> Result<Times, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::io(Path::new("temporary folder"), error))?;
    let mut arguments = arguments(folder.path(), options.durability);
    (arguments.idle, arguments.cores) = (options.idle, options.cores.clone());
    // Before the venue pins anything: threads that a pinned one starts are pinned with it.
    let (mut echo, access) = Echo::start(folder.path())?;
    let served =
        Served::start(&arguments, |folder| Ok(set_up().into_iter().chain(admit(folder, accounts())?).collect()))?;
    drop(access);
    let mut trader = Trader { client: served.connect(1)?, orders: 0 };
    let mut times = Times { venue: histogram(), echo: histogram() };
    for _ in 0..WARM_UP {
        trader.round()?;
        echo.round()?;
    }
    let mut left = options.rounds;
    while left > 0 {
        let turn = left.min(TURN);
        left -= turn;
        for _ in 0..turn {
            times.venue.saturating_record(trader.round()?);
        }
        for _ in 0..turn {
            times.echo.saturating_record(echo.round()?);
        }
    }
    drop(trader);
    served.stop()?;
    Ok(times)
}

struct Trader {
    client: Client,
    orders: u64,
}

impl Trader {
    /// One order; how long its report took, in nanoseconds.
    fn round(&mut self) -> Result<u64, Failure> {
        self.orders += 1;
        let order = limit_order(place(Side::Buy, Price(1), Quantity(1)), TimeInForce::ImmediateOrCancel);
        let account = accounts().next().expect("there are accounts");
        let order = STEPS.new_order(&NewOrder { account, client_order_id: ClientOrderId(self.orders), ..order });
        let begun = Instant::now();
        order.send(&mut self.client)?;
        self.expect(ExecType::New)?;
        let took = nanoseconds(begun);
        self.expect(ExecType::Cancelled)?;
        Ok(took)
    }

    fn expect(&mut self, exec_type: ExecType) -> Result<(), Failure> {
        loop {
            match self.client.receive_within(PATIENCE)? {
                Some(Incoming::Message(OrderEntryMessage::SecurityDefinition(_))) => {}
                Some(Incoming::Message(OrderEntryMessage::ExecutionReport(report)))
                    if report.exec_type == exec_type =>
                {
                    return Ok(());
                }
                other => return Err(Failure::Missing(format!("instead of a report {exec_type:?}: {other:?}"))),
            }
        }
    }
}

/// The echo's client; the echo runs on a thread of its own, and ends with the connection.
struct Echo {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Echo {
    fn start(data: &Path) -> Result<(Self, Access), Failure> {
        let failed = |error: io::Error| Failure::io(Path::new("the echo"), error);
        let folder = DataFolder::open(data).map_err(|error| Failure::Served(error.into()))?;
        let access = Access::of(&folder)?;
        let certificate = folder.certificate().and_then(|certificate| certificate.parse());
        let (certificates, key) = certificate.map_err(|error| Failure::Served(error.into()))?;
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key));
        let config = Arc::new(config.map_err(|error| Failure::Served(error.into()))?);
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let serving = std::thread::Builder::new().name("echo".to_owned());
        serving.spawn(move || serve_echo(&listener, config)).map_err(failed)?;
        let stream = dial(address, &access).map_err(failed)?;
        Ok((Self { stream }, access))
    }

    fn round(&mut self) -> Result<u64, Failure> {
        let failed = |error: io::Error| Failure::io(Path::new("the echo"), error);
        let request = [1; NewOrderSingle::FRAME_LENGTH];
        let mut report = [0; ExecutionReport::FRAME_LENGTH];
        let begun = Instant::now();
        self.stream.write_all(&request).and_then(|()| self.stream.flush()).map_err(failed)?;
        self.stream.read_exact(&mut report).map_err(failed)?;
        let took = nanoseconds(begun);
        self.stream.read_exact(&mut report).map_err(failed)?;
        Ok(took)
    }
}

fn dial(address: SocketAddr, access: &Access) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(access.roots().map_err(io::Error::other)?)
        .with_no_client_auth();
    let name = "localhost".try_into().map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Answers every request with as many bytes as the venue's two reports have, until the peer goes.
fn serve_echo(listener: &TcpListener, config: Arc<ServerConfig>) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let mut stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await?;
        let mut request = [0; NewOrderSingle::FRAME_LENGTH];
        let reports = [2; 2 * ExecutionReport::FRAME_LENGTH];
        loop {
            stream.read_exact(&mut request).await?;
            stream.write_all(&reports).await?;
            stream.flush().await?;
        }
    })
}

fn nanoseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
