//! Connections to the HTTP port, bounded in number and in time: a peer that says nothing takes a place for a minute, and
//! no place from the venue's other doors. One that subscribes to the feed is counted there, and gives its place here
//! back.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Connections at once; more wait until one ends.
const CONNECTIONS_MAX: usize = 64;

/// The longest life of a connection. Whoever asks often connects again.
const LIFE_MAX: Duration = Duration::from_secs(60);

/// A listener that accepts only so many.
pub(super) struct BoundedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

/// A connection that ends by itself.
pub(super) struct BoundedStream {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    tenure: Arc<Tenure>,
}

/// By what right a connection is there.
#[derive(Debug)]
struct Tenure {
    place: Mutex<Option<OwnedSemaphorePermit>>,
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
    pub(super) fn stays(&self) {
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
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // A connection that is gone already fails when it is read.
        let _ = stream.set_nodelay(true);
        let tenure = Tenure { place: Mutex::new(Some(place)), stays: AtomicBool::new(false) };
        (BoundedStream { stream, end: Box::pin(sleep(LIFE_MAX)), tenure: Arc::new(tenure) }, address)
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
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
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
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_end(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut listener = BoundedListener { listener, places: Arc::new(Semaphore::new(1)) };
            let _first = TcpStream::connect(address).await.unwrap();
            let _second = TcpStream::connect(address).await.unwrap();
            let (held, _) = listener.accept().await;
            assert_eq!(listener.places.available_permits(), 0);
            drop(held);
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
            let mut listener = BoundedListener { listener, places: Arc::new(Semaphore::new(1)) };
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
            let mut listener = BoundedListener::new(listener);
            let _peer = TcpStream::connect(address).await.unwrap();
            let (mut stream, _) = listener.accept().await;
            let error = stream.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
