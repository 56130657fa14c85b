//! One trader's connection, with an open session.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::rustls::pki_types::ServerName;
use client::rustls::{ClientConfig, ClientConnection, StreamOwned};
use client::session::{News, Session};
use client::wire::frame::SESSION_FRAME_MAX;
use client::wire::session::EstablishmentAck;
use client::wire::{self, Block, Frame, FrameDecoder, Message, Milliseconds, SessionSequence, Timestamp};
use client::{Credentials, Options, Resume};
use gateway::hops::SAMPLED_EVERY;
use mio::{Registry, Token};
use venue::ticks;

use super::duplex::{Duplex, More};
use super::orders::{self, Names};
use crate::failure::Failure;
use crate::throughput::workload::Operation;

/// How long a venue may take to answer in the handshake and the login.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is agreed at the opening: as few heartbeats as the venue allows.
const OPTIONS: Options = Options { keep_alive: Milliseconds(60_000), ..Options::DEFAULT };

/// How connections are protected.
#[derive(Clone)]
pub enum Protection {
    /// By TLS.
    Tls(Arc<ClientConfig>),
    /// Not at all.
    Plain,
}

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Its number in the session.
    pub number: SessionSequence,
    /// What it was.
    pub operation: Operation,
    /// When it was due, in nanoseconds since the turn's begin.
    pub due_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// The time-stamp counter then, if it is [sampled](Self::is_sampled).
    pub sent_ticks: u64,
    answered: bool,
}

impl Sent {
    /// Whether it is looked at hop by hop.
    pub fn is_sampled(&self) -> bool {
        is_sampled(self.number)
    }
}

/// One in so many is: the same as the venue looks at.
fn is_sampled(number: SessionSequence) -> bool {
    number.0.is_multiple_of(SAMPLED_EVERY)
}

/// A connection with an open session.
pub struct Link {
    duplex: Duplex,
    session: Session,
    names: Names,
    /// Requests from the first that is not answered on.
    sent: VecDeque<Sent>,
    /// Whether something was sent that was not handed to the socket.
    is_dirty: bool,
}

impl Link {
    /// Connects, logs in and opens the session.
    pub fn open(
        address: SocketAddr,
        protection: &Protection,
        credentials: Credentials,
        names: Names,
    ) -> Result<Self, Failure> {
        // Later than every login before.
        let anew = Resume::Anew(wire::SessionVersion(wall_clock().0));
        let mut session = Session::new(credentials, OPTIONS, anew, wall_clock());
        let mut dialled = Dialled::dial(address, protection).map_err(lost)?;
        log_in(&mut dialled, &mut session)?;
        Ok(Self::new(dialled.unblock().map_err(lost)?, session, names))
    }

    /// Connects to what answers every request, but knows no sessions: one is opened on this side alone.
    pub fn open_bare(
        address: SocketAddr,
        protection: &Protection,
        credentials: Credentials,
        names: Names,
    ) -> Result<Self, Failure> {
        let mut session = Session::new(credentials, OPTIONS, Resume::Anew(wire::SessionVersion(1)), wall_clock());
        let first = SessionSequence(1);
        let ack = EstablishmentAck { next_sequence: first, next_report_number: first, ..EstablishmentAck::BLANK };
        let mut frame = [0; EstablishmentAck::FRAME_LENGTH];
        wire::encode(&ack, &mut frame).expect("the buffer is as long as the frame");
        let (frame, _) = Frame::split(&frame).expect("a whole frame");
        session.frame(frame, wall_clock()).expect("a message of the venue");
        session.take_out();
        while session.next_news().is_some() {}
        let duplex = Dialled::dial(address, protection).and_then(Dialled::unblock).map_err(lost)?;
        Ok(Self::new(duplex, session, names))
    }

    fn new(duplex: Duplex, session: Session, names: Names) -> Self {
        Self { duplex, session, names, sent: VecDeque::with_capacity(1_024), is_dirty: false }
    }

    /// Tells when there is something to be read or room to write.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.duplex.register(registry, token)
    }

    /// Sends a request; whether it is the first since the last [`flush`](Self::flush).
    pub fn send(&mut self, operation: &Operation, due_ns: u64, sent_ns: u64) -> bool {
        let sent_ticks = if is_sampled(self.session.next_command()) { ticks::now() } else { 0 };
        let number = orders::send(operation, self.names, &mut self.session, wall_clock());
        self.sent.push_back(Sent { number, operation: *operation, due_ns, sent_ns, sent_ticks, answered: false });
        !std::mem::replace(&mut self.is_dirty, true)
    }

    /// Keeps the session alive.
    pub fn time(&mut self) -> Result<(), Failure> {
        self.session.time(wall_clock());
        self.flush()
    }

    /// Hands what was sent to the socket, as far as it takes it.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.is_dirty = false;
        self.duplex.write(&self.session.take_out()).map_err(lost)
    }

    /// Reads all there is, and hands every piece of news to `tell`.
    pub fn read(&mut self, mut tell: impl FnMut(&mut Self, News)) -> Result<(), Failure> {
        self.duplex.is_ready();
        loop {
            self.take_frames(&mut tell)?;
            if self.duplex.read().map_err(lost)? == More::No {
                return Ok(());
            }
        }
    }

    fn take_frames(&mut self, tell: &mut impl FnMut(&mut Self, News)) -> Result<(), Failure> {
        // One reading for all that came at once: the session only looks whether the venue is silent.
        let now = wall_clock();
        loop {
            while let Some(news) = self.session.next_news() {
                tell(self, news);
            }
            match self.duplex.next_frame().map_err(client::Error::from)? {
                Some(frame) => self.session.frame(frame, now).map_err(client::Error::from)?,
                None => return Ok(()),
            }
        }
    }

    /// Takes an answer to the request of this number; the request, if it is its first.
    pub fn answered(&mut self, number: SessionSequence) -> Option<Sent> {
        let first = self.sent.front()?.number.0;
        let index = usize::try_from(number.0.checked_sub(first)?).ok()?;
        let sent = self.sent.get_mut(index).filter(|sent| !sent.answered)?;
        sent.answered = true;
        let sent = *sent;
        while self.sent.front().is_some_and(|front| front.answered) {
            self.sent.pop_front();
        }
        Some(sent)
    }
}

/// A connection that blocks, its handshake done.
enum Dialled {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Dialled {
    fn dial(address: SocketAddr, protection: &Protection) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Protection::Tls(config) = protection else { return Ok(Self::Plain(stream)) };
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(tls, stream))))
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn unblock(self) -> io::Result<Duplex> {
        let (stream, tls) = match self {
            Self::Plain(stream) => (stream, None),
            Self::Tls(both) => {
                let StreamOwned { conn, sock, .. } = *both;
                (sock, Some(Box::new(conn.into())))
            }
        };
        stream.set_nonblocking(true)?;
        Ok(Duplex::new(mio::net::TcpStream::from_std(stream), tls))
    }
}

/// Until the session is open. Nothing may be left behind the opening that the session does not have.
fn log_in(connection: &mut Dialled, session: &mut Session) -> Result<(), Failure> {
    let mut decoder = Box::new(FrameDecoder::<SESSION_FRAME_MAX>::new());
    let mut is_open = false;
    loop {
        while let Some(frame) = decoder.next_frame().map_err(client::Error::from)? {
            session.frame(frame, wall_clock()).map_err(client::Error::from)?;
        }
        connection.write(&session.take_out()).map_err(lost)?;
        while let Some(news) = session.next_news() {
            match news {
                News::Opened(_) => is_open = true,
                News::Message(_) => {}
                other => return Err(Failure::Missing(format!("instead of an open session: {other:?}"))),
            }
        }
        if is_open && decoder.pending() == 0 {
            return Ok(());
        }
        match connection.read(decoder.vacant()) {
            Ok(0) => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => decoder.filled(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(lost(error)),
        }
    }
}

fn lost(error: io::Error) -> Failure {
    Failure::Session(error.into())
}

/// The time, as sessions are told it.
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
