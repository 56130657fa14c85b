//! Kinds of I/O for a thread that serves sockets and hears from another thread, beside each other.
//!
//! ```text
//!   direct      client ─TCP─► server ─TCP─► client
//!   hand-off    client ─TCP─► server ─queue─► second thread ─queue, wake─► server ─TCP─► client
//! ```
//!
//! Load model: closed loop; every connection has as many requests outstanding as its window says, each as long as a new
//! order's frame, each answered by as many bytes as an execution report has. The client is one thread and the same for
//! all kinds. The server sleeps in the kernel when there is nothing to do, and so does the second thread; who wakes
//! another does so only if it sleeps.

mod client;
mod exchange;
mod readiness;
mod runtime;
#[cfg(target_os = "linux")]
mod uring;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::ValueEnum;
use hdrhistogram::Histogram;
use venue::affinity::{self, CoreNumber};
use wire::Message;
use wire::order_entry::{ExecutionReport, NewOrderSingle};

use self::exchange::{Exchange, Queues};
use crate::failure::Failure;

/// Bytes of a request.
pub const REQUEST_BYTES: usize = NewOrderSingle::FRAME_LENGTH;
/// Bytes of an answer.
pub const REPLY_BYTES: usize = ExecutionReport::FRAME_LENGTH;
/// The largest window: as much as fits any socket's buffer.
pub const WINDOW_MAX: usize = 32;

/// How the server waits for its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A task for each connection in a runtime of one thread: tokio.
    Runtime,
    /// One loop over what is ready: mio, which is epoll.
    Readiness,
    /// One loop over what is done: io_uring.
    Uring,
}

/// Whether another thread stands between request and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Route {
    /// The server answers itself.
    Direct,
    /// It hands the request to a second thread, and answers when that says so.
    HandOff,
}

/// One measurement.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the server waits.
    pub kind: Kind,
    /// What it does.
    pub route: Route,
    /// Connections.
    pub connections: usize,
    /// Requests outstanding on each, at most [`WINDOW_MAX`].
    pub window: usize,
    /// Before anything counts.
    pub warm_up: Duration,
    /// What counts.
    pub time: Duration,
    /// Processors of server, client and second thread, as far as they are given.
    pub cores: Vec<CoreNumber>,
}

/// What came of it.
#[derive(Debug)]
pub struct Measured {
    /// Answers within the time that counts.
    pub answers: u64,
    /// How long that was.
    pub seconds: f64,
    /// From each request's being written to its answer's being read, in nanoseconds.
    pub latency: Histogram<u64>,
    /// What the server's thread spent meanwhile; nothing if the system does not say.
    pub server: Option<Spent>,
}

/// What a thread has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// On a processor, in nanoseconds.
    pub processor_ns: u64,
    /// How often it slept.
    pub sleeps: u64,
}

impl Measured {
    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.seconds
    }

    /// The server's processor time for an answer, in nanoseconds.
    pub fn processor_ns_each(&self) -> Option<f64> {
        self.server.map(|spent| spent.processor_ns as f64 / self.answers as f64)
    }

    /// How often the server slept for an answer.
    pub fn sleeps_each(&self) -> Option<f64> {
        self.server.map(|spent| spent.sleeps as f64 / self.answers as f64)
    }
}

impl Kind {
    /// Why the system does not let it be used, if it does not.
    pub fn obstacle(self) -> Option<String> {
        match self {
            Self::Runtime | Self::Readiness => None,
            #[cfg(target_os = "linux")]
            Self::Uring => uring::obstacle().map(|error| format!("io_uring is not to be had here: {error}")),
            #[cfg(not(target_os = "linux"))]
            Self::Uring => Some("io_uring is Linux's".to_owned()),
        }
    }
}

/// Measures one kind.
///
/// # Errors
///
/// If sockets or threads cannot be had, or fail.
pub fn measure(options: &Options) -> Result<Measured, Failure> {
    connect(options.connections)
        .and_then(|(clients, servers)| {
            let mut running = start(options, servers)?;
            pin(options, 1)?;
            let measured = client::drive(options, clients, || spent(&running.thread))?;
            running.join()?;
            Ok(measured)
        })
        .map_err(|source| Failure::io(Path::new("loopback"), source))
}

/// Both ends of so many connections.
fn connect(count: usize) -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let ready = |stream: TcpStream| {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        io::Result::Ok(stream)
    };
    let pair = |_| Ok((ready(TcpStream::connect(address)?)?, ready(listener.accept()?.0)?));
    (0..count).map(pair).collect::<io::Result<Vec<_>>>().map(|pairs| pairs.into_iter().unzip())
}

/// Server and second thread.
struct Running {
    server: Option<JoinHandle<io::Result<()>>>,
    second: Option<(Arc<Queues>, JoinHandle<()>)>,
    /// Where the system tells of the server's thread.
    thread: PathBuf,
}

impl Running {
    /// The server ends with its last connection, and the second thread then.
    fn join(&mut self) -> io::Result<()> {
        let outcome = self.server.take().map_or(Ok(()), |server| server.join().expect("the server does not panic"));
        if let Some((queues, second)) = self.second.take() {
            queues.end();
            second.thread().unpark();
            second.join().expect("the second thread does not panic");
        }
        outcome
    }
}

fn start(options: &Options, streams: Vec<TcpStream>) -> io::Result<Running> {
    match options.kind {
        Kind::Runtime => {
            let notify = Arc::new(tokio::sync::Notify::new());
            let woken = notify.clone();
            spawn(
                options,
                streams,
                move || notify.notify_one(),
                move |streams, exchange| runtime::serve(streams, exchange, &woken),
            )
        }
        Kind::Readiness => {
            let (poll, waker) = readiness::open()?;
            let wake = move || waker.wake().expect("an event counter takes a count");
            spawn(options, streams, wake, move |streams, exchange| readiness::serve(poll, streams, exchange))
        }
        #[cfg(target_os = "linux")]
        Kind::Uring => {
            let event = Arc::new(uring::event()?);
            let woken = event.clone();
            spawn(
                options,
                streams,
                move || uring::wake(&event),
                move |streams, exchange| uring::serve(streams, exchange, &woken),
            )
        }
        #[cfg(not(target_os = "linux"))]
        Kind::Uring => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn spawn(
    options: &Options,
    streams: Vec<TcpStream>,
    wake: impl Fn() + Send + 'static,
    serve: impl FnOnce(Vec<TcpStream>, Option<Exchange>) -> io::Result<()> + Send + 'static,
) -> io::Result<Running> {
    let second = match options.route {
        Route::Direct => None,
        Route::HandOff => {
            let queues = Arc::new(Queues::new(streams.len() * options.window));
            let (options, shared) = (options.clone(), queues.clone());
            let thread = thread::Builder::new().name("second".to_owned()).spawn(move || {
                pin(&options, 2).expect("a processor that exists");
                exchange::answer(&shared, wake);
            })?;
            Some((queues, thread))
        }
    };
    let exchange = second.as_ref().map(|(queues, thread)| Exchange::new(queues.clone(), thread.thread().clone()));
    let (tell, told) = mpsc::channel();
    let options = options.clone();
    let server = thread::Builder::new().name("server".to_owned()).spawn(move || {
        pin(&options, 0)?;
        let this = fs::read_link("/proc/thread-self").unwrap_or_default();
        // Who started the thread waits for this.
        let _ = tell.send(Path::new("/proc").join(this));
        serve(streams, exchange)
    })?;
    Ok(Running { server: Some(server), second, thread: told.recv().unwrap_or_default() })
}

fn pin(options: &Options, index: usize) -> io::Result<()> {
    options.cores.get(index).map_or(Ok(()), |&core| affinity::pin(core))
}

/// A signal or a frozen machine interrupts a wait: there is nothing to be seen, and nothing is wrong.
fn unless_interrupted(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) })
}

/// What a thread has spent so far.
fn spent(thread: &Path) -> Option<Spent> {
    let schedule = fs::read_to_string(thread.join("schedstat")).ok()?;
    let status = fs::read_to_string(thread.join("status")).ok()?;
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    let processor_ns = schedule.split_whitespace().next()?.parse().ok()?;
    Some(Spent { processor_ns, sleeps: sleeps.trim().parse().ok()? })
}

/// Counts whole requests, or answers, in a stream of bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Messages {
    /// Bytes of one that is not complete.
    begun: usize,
}

impl Messages {
    /// How many are complete behind so many more bytes.
    fn complete(&mut self, bytes: usize, length: usize) -> usize {
        let all = self.begun + bytes;
        self.begun = all % length;
        all / length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let mut messages = Messages::default();
        let complete: Vec<usize> = [5, 4, 1, 25, 5].map(|bytes| messages.complete(bytes, 10)).into();
        assert_eq!(complete, [0, 0, 1, 2, 1]);
    }

    #[test]
    fn every_kind_answers_everything_on_both_routes() {
        for &kind in Kind::value_variants().iter().filter(|kind| kind.obstacle().is_none()) {
            for &route in Route::value_variants() {
                for (connections, window) in [(1, 1), (3, WINDOW_MAX)] {
                    let options = Options {
                        kind,
                        route,
                        connections,
                        window,
                        warm_up: Duration::from_millis(1),
                        time: Duration::from_millis(20),
                        cores: Vec::new(),
                    };
                    let measured = measure(&options).unwrap_or_else(|failure| panic!("{options:?}: {failure}"));
                    assert!(measured.answers > 0, "{options:?}");
                    assert_eq!(measured.latency.len(), measured.answers, "{options:?}");
                }
            }
        }
    }
}
