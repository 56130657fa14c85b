//! Connections to the HTTP port, bounded in number and in time: a peer that says nothing takes a place for seconds, its
//! address has some places and never all, and none of the venue's other doors. One that subscribes to the feed is counted
//! there, and gives its place here back.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::security::{Bounded, Counted, Protection, Wire};

/// Connections at once; more wait until one ends.
const CONNECTIONS_MAX: usize = 256;

/// Connections at once from one address, or from 64 bits of IPv6; further ones are closed as they come.
const CONNECTIONS_PER_ADDRESS: usize = 64;

/// The longest life of a connection. Whoever asks often connects again.
const LIFE_MAX: Duration = Duration::from_secs(60);

/// How long a connection may be without a byte either way: longer than any answer is waited for.
const QUIET_MAX: Duration = Duration::from_secs(15);

/// How long a TLS handshake may take.
const SHAKEN_WITHIN: Duration = Duration::from_secs(5);

/// A listener that accepts only so many.
pub(super) struct BoundedListener {
    listener: TcpListener,
    protection: Protection,
    handshakes: Bounded,
    by_address: Bounded,
    places: Arc<Semaphore>,
}

/// A connection that ends by itself.
pub(super) struct BoundedStream {
    stream: Wire,
    end: Pin<Box<Sleep>>,
    quiet: Pin<Box<Sleep>>,
    tenure: Arc<Tenure>,
}

/// By what right a connection is there.
#[derive(Debug)]
struct Tenure {
    place: Mutex<Option<(OwnedSemaphorePermit, Counted)>>,
    stays: AtomicBool,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    address: SocketAddr,
    tenure: Arc<Tenure>,
}

impl Peer {
    /// From where it comes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// It is counted elsewhere from now on: its place is free, and its connection does not end by itself.
    pub(crate) fn stays(&self) {
        self.tenure.stays.store(true, Ordering::Relaxed);
        self.tenure.leave();
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self { address: *stream.remote_addr(), tenure: Arc::clone(&stream.io().tenure) }
    }
}

impl Tenure {
    fn leave(&self) {
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener, protection: Protection) -> Self {
        Self::of(listener, protection, CONNECTIONS_MAX)
    }

    fn of(listener: TcpListener, protection: Protection, places: usize) -> Self {
        let (handshakes, by_address) = (Bounded::handshakes(), Bounded::by_address(CONNECTIONS_PER_ADDRESS));
        Self { listener, protection, handshakes, by_address, places: Arc::new(Semaphore::new(places)) }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address, counted) = loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let Some(counted) = self.by_address.begin(address.ip()) else { continue };
            // A connection that is gone already fails when it is read.
            let _ = stream.set_nodelay(true);
            if let Some(stream) = Wire::new(stream, &self.protection, address.ip(), &self.handshakes) {
                break (stream, address, counted);
            }
        };
        let tenure = Tenure { place: Mutex::new(Some((place, counted))), stays: AtomicBool::new(false) };
        let life = if stream.is_shaking() { SHAKEN_WITHIN } else { LIFE_MAX };
        let (end, quiet) = (Box::pin(sleep(life)), Box::pin(sleep(QUIET_MAX)));
        (BoundedStream { stream, end, quiet, tenure: Arc::new(tenure) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl BoundedStream {
    fn check_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.tenure.stays.load(Ordering::Relaxed) {
            return Ok(());
        }
        match (self.end.as_mut().poll(context), self.quiet.as_mut().poll(context)) {
            (Poll::Pending, Poll::Pending) => Ok(()),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn is_heard(&mut self) {
        self.quiet.as_mut().reset(Instant::now() + QUIET_MAX);
    }

    /// Does something that may end the handshake: whoever it was with has the rest of a connection's life.
    fn shaken<T>(&mut self, act: impl FnOnce(&mut Wire) -> T) -> T {
        let was_shaking = self.stream.is_shaking();
        let done = act(&mut self.stream);
        if was_shaking && !self.stream.is_shaking() {
            self.end.as_mut().reset(Instant::now() + LIFE_MAX);
        }
        done
    }
}

impl Drop for BoundedStream {
    fn drop(&mut self) {
        self.tenure.leave();
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_end(context)?;
        let read = self.shaken(|stream| stream.poll_read(context, buffer));
        if read.is_ready() {
            self.is_heard();
        }
        read
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_end(context)?;
        let written = self.shaken(|stream| stream.poll_write(context, bytes));
        if written.is_ready() {
            self.is_heard();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut listener = BoundedListener::of(listener, Protection::Plain, 1);
            let _first = TcpStream::connect(address).await.unwrap();
            let _second = TcpStream::connect(address).await.unwrap();
            let (held, _) = listener.accept().await;
            assert_eq!(listener.places.available_permits(), 0);
            drop(held);
            listener.accept().await;
        });
    }

    #[test]
    fn an_address_has_some_places_and_never_all() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut listener = BoundedListener::new(listener, Protection::Plain);
            let mut held = Vec::new();
            for _ in 0..CONNECTIONS_PER_ADDRESS {
                let peer = TcpStream::connect(address).await.unwrap();
                held.push((peer, listener.accept().await));
            }
            let (mut beyond, mut byte) = (TcpStream::connect(address).await.unwrap(), [0]);
            tokio::select! {
                _ = listener.accept() => panic!("it has no place"),
                read = beyond.read(&mut byte) => assert_eq!(read.unwrap(), 0, "it is closed as it comes"),
            }
            held.pop();
            let _again = TcpStream::connect(address).await.unwrap();
            listener.accept().await;
        });
    }

    #[test]
    fn one_that_stays_gives_its_place_back_and_does_not_end() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut listener = BoundedListener::of(listener, Protection::Plain, 1);
            let _peer = TcpStream::connect(address).await.unwrap();
            let (mut stream, address) = listener.accept().await;
            Peer { address, tenure: Arc::clone(&stream.tenure) }.stays();
            assert_eq!(listener.places.available_permits(), 1);
            assert!(tokio::time::timeout(LIFE_MAX * 2, stream.read_u8()).await.is_err());
            drop(stream);
            assert_eq!(listener.places.available_permits(), 1);
        });
    }

    #[test]
    fn a_connection_that_says_nothing_ends() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut listener = BoundedListener::new(listener, Protection::Plain);
            let _peer = TcpStream::connect(address).await.unwrap();
            let (mut stream, _) = listener.accept().await;
            let begun = Instant::now();
            let error = stream.read_u8().await.unwrap_err();
            assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, QUIET_MAX.as_secs()));
        });
    }

    #[test]
    fn a_handshake_that_is_not_taken_up_ends_sooner() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
            let config = super::super::security::server_config(vec![made.cert.der().clone()], key).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut listener = BoundedListener::new(listener, Protection::Tls(config));
            let _peer = TcpStream::connect(address).await.unwrap();
            let (mut stream, _) = listener.accept().await;
            let begun = Instant::now();
            let error = stream.read_u8().await.unwrap_err();
            assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, SHAKEN_WITHIN.as_secs()));
        });
    }
}
