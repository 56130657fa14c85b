//! The system's sockets as a door's network.

use std::io;
use std::net::{IpAddr, Shutdown};
use std::time::Duration;

use mio::event::{Event, Source};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use ring::Wake;

use crate::transport::network::{Found, Network};

const LISTENER: Token = Token(usize::MAX - 1);
const DOORBELL: Token = Token(usize::MAX - 2);

/// Wakes the thread out of the network's poll.
pub(crate) struct Doorbell(Waker);

impl Wake for Doorbell {
    fn wake(&self) {
        // It fails where the system has lost the descriptor, and then so have the sockets.
        let _ = self.0.wake();
    }
}

/// A listener and the sockets that it lets in.
pub(crate) struct Sockets {
    poll: Poll,
    /// None: nobody is let in any more.
    listener: Option<TcpListener>,
}

impl Sockets {
    /// Those of a listener that never waits.
    pub(crate) fn of(listener: std::net::TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener: Some(listener) })
    }

    /// What wakes whoever polls. There is one at most.
    pub(crate) fn doorbell(&self) -> io::Result<Doorbell> {
        Waker::new(self.poll.registry(), DOORBELL).map(Doorbell)
    }

    /// Waits until there is something to do, at most so long.
    pub(crate) fn poll(&mut self, found: &mut Events, limit: Duration) -> io::Result<()> {
        self.poll.poll(found, Some(limit))
    }
}

/// What an event of the poll is to the door; none: it only had to wake up.
pub(crate) fn found(event: &Event) -> Option<Found> {
    match event.token() {
        DOORBELL => None,
        LISTENER => Some(Found::Listener),
        Token(place) => Some(Found::Connection {
            place,
            readable: event.is_readable(),
            writable: event.is_writable(),
            ended: event.is_read_closed() || event.is_error(),
        }),
    }
}

impl Network for Sockets {
    type Stream = TcpStream;

    fn accept(&mut self) -> io::Result<(TcpStream, IpAddr)> {
        let Some(listener) = &self.listener else { return Err(io::ErrorKind::WouldBlock.into()) };
        listener.accept().map(|(stream, address)| (stream, address.ip()))
    }

    fn register(&mut self, stream: &mut TcpStream, place: usize) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.poll.registry().register(stream, Token(place), Interest::READABLE | Interest::WRITABLE)
    }

    fn release(&mut self, mut stream: TcpStream) {
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.deregister(self.poll.registry());
    }

    fn stop_listening(&mut self) {
        self.listener = None;
    }
}
