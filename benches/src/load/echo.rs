//! The least that a round trip through a venue needs: the same threads, hops and ways to wait, and nothing done.
//!
//! ```text
//!   client ─► "echo-sockets" ─► CommandRing ─► "echo-core" ─► EventRing ─► "echo-sockets" ─► client
//!                                                                  └─────► whoever publishes
//! ```
//!
//! Each request becomes one report, with frames of a venue's sizes. The thread at the sockets waits as a venue's does: it
//! sleeps in the kernel when it has nothing to do, and the other one wakes it through a descriptor, but only if it
//! sleeps; where the core spins, which makes no system call, it looks again as long as anything is under way.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::JoinHandle;
use std::time::Duration;

use client::rustls::{ServerConfig, ServerConnection};
use client::wire::order_entry::ExecutionReport;
use client::wire::{self, Block, ExecType, Message};
use engine::command::AdvanceTime;
use engine::event::NotApplied;
use engine::{
    Command, CommandHeader, Event, EventHeader, EventId, EventSink, Sequence, SessionId, SessionSequence, Timestamp,
};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use ring::{CommandRing, EventReader, EventRing, Idle, Polled, Publisher, Release};
use venue::affinity;
use venue::config::Threads;
use venue::topology::Topology;

use super::duplex::{Duplex, More};
use crate::failure::Failure;

/// The longest sleep at the sockets where nobody wakes.
const REST: Duration = Duration::from_millis(1);
/// The longest sleep of the second thread: a stop is noticed at least so soon.
const IDLE_MAX: Duration = Duration::from_millis(20);
/// Requests that the second thread takes at once.
const BATCH_MAX: usize = 256;

const WOKEN: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

/// An echo that is being served.
pub struct Echo {
    address: SocketAddr,
    shared: Arc<Shared>,
    sockets: JoinHandle<io::Result<()>>,
    core: JoinHandle<()>,
}

/// What both threads have.
struct Shared {
    commands: CommandRing,
    idle: Idle,
    /// Whether the thread at the sockets sleeps, or is about to.
    asleep: AtomicBool,
    waker: Waker,
    stop: AtomicBool,
}

impl Echo {
    /// Starts it, with `readers` further readers of what would be events; `tls`: how connections are protected.
    pub fn start(
        threads: &Threads,
        tls: Option<Arc<ServerConfig>>,
        readers: usize,
    ) -> Result<(Self, Vec<EventReader>), Failure> {
        let Topology { command_slots, event_slots, .. } = Topology::default();
        let idle = threads.idle;
        let (publisher, mut readers) = EventRing::open(event_slots, 1 + readers, idle, Release::AsPublished);
        let events = readers.pop().expect("as many as were asked for");
        let poll = Poll::new().map_err(failed)?;
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed)?;
        let shared = Arc::new(Shared {
            commands: CommandRing::new(command_slots, idle),
            idle,
            asleep: AtomicBool::new(false),
            waker: Waker::new(poll.registry(), WOKEN).map_err(failed)?,
            stop: AtomicBool::new(false),
        });
        let placement = threads.placement.clone();
        let core = {
            let (shared, place) = (Arc::clone(&shared), placement.as_ref().map(|placement| placement.core));
            let serve = move || {
                // Where it is not allowed, the venue's core is not pinned either, and that one says so.
                let _ = place.map(affinity::pin);
                shared.answer(publisher);
            };
            std::thread::Builder::new().name("echo-core".to_owned()).spawn(serve).map_err(failed)?
        };
        let sockets = {
            let sockets = Sockets {
                poll,
                listener,
                tls,
                shared: Arc::clone(&shared),
                events,
                connections: Vec::new(),
                dirty: Vec::new(),
                under_way: 0,
                report: report(),
            };
            let serve = move || {
                let _ = placement.map(|placement| affinity::keep_to(&placement.others));
                sockets.serve()
            };
            std::thread::Builder::new().name("echo-sockets".to_owned()).spawn(serve).map_err(failed)?
        };
        Ok((Self { address, shared, sockets, core }, readers))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it. Its other readers are told that nothing more will come.
    pub fn stop(self) -> Result<(), Failure> {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.commands.wake();
        self.core.join().expect("the echo does not panic");
        self.shared.waker.wake().map_err(failed)?;
        self.sockets.join().expect("the echo does not panic").map_err(failed)
    }
}

impl Shared {
    fn answer(&self, mut publisher: Publisher) {
        let mut batch: Vec<Command> = Vec::with_capacity(BATCH_MAX);
        let mut sequence = Sequence::NONE;
        while !self.stop.load(Ordering::Acquire) {
            self.commands.take(&mut batch, BATCH_MAX);
            if batch.is_empty() {
                self.commands.wait(IDLE_MAX, || self.stop.load(Ordering::Acquire));
                continue;
            }
            for command in batch.drain(..) {
                sequence = sequence.next();
                let id = EventId { sequence, index: 0 };
                let CommandHeader { session, client_sequence, received_at, .. } = command.header;
                let header = EventHeader { id, time: received_at, received_at };
                publisher.event(&header, &Event::NotApplied(NotApplied { session, from: client_sequence, count: 1 }));
            }
            publisher.complete(sequence);
            self.wake_sockets();
        }
    }

    /// The fence stands between what was published and the look at who sleeps, as the other one between going to sleep
    /// and the last look at what is published: one of both sees the other.
    fn wake_sockets(&self) {
        if self.idle != Idle::Park {
            return;
        }
        fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::Relaxed) {
            // It fails only if the descriptor is gone, and the thread with it.
            let _ = self.waker.wake();
        }
    }
}

struct Sockets {
    poll: Poll,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
    events: EventReader,
    connections: Vec<Option<Connection>>,
    /// Connections with reports to be written.
    dirty: Vec<usize>,
    /// Requests that are with the other thread.
    under_way: u64,
    /// A report's frame, without its numbers.
    report: [u8; ExecutionReport::FRAME_LENGTH],
}

struct Connection {
    duplex: Duplex,
    out: Vec<u8>,
    requests: u64,
    reports: u64,
}

impl Sockets {
    fn serve(mut self) -> io::Result<()> {
        let mut ready = Events::with_capacity(1_024);
        while !self.shared.stop.load(Ordering::Acquire) {
            self.wait(&mut ready)?;
            for event in &ready {
                match event.token() {
                    WOKEN => {}
                    LISTENER => self.accept()?,
                    Token(number) => self.hear(number)?,
                }
            }
        }
        Ok(())
    }

    /// Sleeps until there is something to do, unless there was just now.
    fn wait(&mut self, ready: &mut Events) -> io::Result<()> {
        let reported = self.report_all()?;
        let timeout = match self.shared.idle {
            _ if reported => Some(Duration::ZERO),
            Idle::Park => self.fall_asleep().then_some(Duration::ZERO),
            Idle::Poll | Idle::Spin if self.under_way > 0 => {
                std::thread::yield_now();
                Some(Duration::ZERO)
            }
            Idle::Poll | Idle::Spin => Some(REST),
        };
        let woken = self.poll.poll(ready, timeout);
        self.shared.asleep.store(false, Ordering::Relaxed);
        match woken {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Looks for some microseconds if something is under way, and once more behind saying that it sleeps; whether there is
    /// something to report.
    fn fall_asleep(&mut self) -> bool {
        if self.under_way > 0 && self.events.look_a_little() {
            return true;
        }
        self.shared.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.events.has_news()
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let (socket, _) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nodelay(true)?;
            let tls = self.tls.as_ref().map(|config| ServerConnection::new(Arc::clone(config))).transpose();
            let tls = tls.map_err(io::Error::other)?.map(|tls| Box::new(tls.into()));
            let mut duplex = Duplex::new(socket, tls);
            duplex.register(self.poll.registry(), Token(self.connections.len()))?;
            self.connections.push(Some(Connection { duplex, out: Vec::new(), requests: 0, reports: 0 }));
        }
    }

    /// A connection that ends is let go.
    fn hear(&mut self, number: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[number] else { return Ok(()) };
        connection.duplex.is_ready();
        // There may be room again for what waits.
        if connection.duplex.write(&[]).is_err() {
            self.connections[number] = None;
            return Ok(());
        }
        while let Some(connection) = &mut self.connections[number] {
            match connection.duplex.read() {
                Ok(More::Perhaps) => self.submit_all(number)?,
                Ok(More::No) => break,
                Err(_) => self.connections[number] = None,
            }
        }
        Ok(())
    }

    fn submit_all(&mut self, number: usize) -> io::Result<()> {
        loop {
            let Some(connection) = &mut self.connections[number] else { return Ok(()) };
            if !matches!(connection.duplex.next_frame(), Ok(Some(_))) {
                return Ok(());
            }
            connection.requests += 1;
            self.under_way += 1;
            let client_sequence = SessionSequence(connection.requests);
            let session = SessionId(number as u32);
            let header = CommandHeader { session, client_sequence, received_at: Timestamp(1), ..CommandHeader::VENUE };
            let command = Command { header, body: AdvanceTime {}.into() };
            while self.shared.commands.submit(command).is_err() {
                // The other thread may wait for room, too.
                self.report_all()?;
            }
        }
    }

    /// Writes a report for everything that was answered; whether there was any.
    fn report_all(&mut self) -> io::Result<bool> {
        let mut any = false;
        while let Polled::Event(_, event) = self.events.poll() {
            any = true;
            self.under_way -= 1;
            let Event::NotApplied(NotApplied { session, from, .. }) = event else { continue };
            let number = session.0 as usize;
            let Some(connection) = &mut self.connections[number] else { continue };
            if connection.out.is_empty() {
                self.dirty.push(number);
            }
            connection.reports += 1;
            self.report[REPORT_NUMBER].copy_from_slice(&connection.reports.to_le_bytes());
            self.report[ANSWERED].copy_from_slice(&from.0.to_le_bytes());
            connection.out.extend_from_slice(&self.report);
        }
        for number in self.dirty.drain(..) {
            let Some(connection) = &mut self.connections[number] else { continue };
            let written = connection.duplex.write(&connection.out);
            connection.out.clear();
            if written.is_err() {
                self.connections[number] = None;
            }
        }
        Ok(any)
    }
}

/// Where a report's two numbers are.
const REPORT_NUMBER: std::ops::Range<usize> = at(0);
const ANSWERED: std::ops::Range<usize> = at(8);

const fn at(offset: usize) -> std::ops::Range<usize> {
    let begin = wire::frame::FRAME_HEADER_LENGTH + offset;
    begin..begin + 8
}

fn report() -> [u8; ExecutionReport::FRAME_LENGTH] {
    let mut frame = [0; ExecutionReport::FRAME_LENGTH];
    let report = ExecutionReport { exec_type: ExecType::New, ..ExecutionReport::BLANK };
    wire::encode(&report, &mut frame).expect("the buffer is as long as the frame");
    frame
}

fn failed(error: io::Error) -> Failure {
    Failure::io(Path::new("the echo"), error)
}
