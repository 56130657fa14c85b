//! QUIC with nothing above it: the least that publishing needs.
//!
//! ```text
//!   who publishes ─► what waits ─► "bare-quic": per connection, what waits in groups, a stream each ─► subscribers
//! ```
//!
//! A venue's publisher does the same with its packets: one thread with a current-thread runtime, a group of what has
//! waited, up to 16 KiB, on a unidirectional stream of its own. Messages here are bytes of one length and have a key.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::rustls::{ClientConfig, ServerConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, Endpoint, RecvStream, TransportConfig};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

use crate::failure::Failure;

/// Bytes of a group, at most: a venue's default.
const GROUP_BYTES_MAX: usize = 16 << 10;
/// How often a silent connection is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// How long subscribers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// What both sides say that they speak.
pub const ALPN: &[u8] = b"bare";

/// Publishes bytes.
pub struct BarePublisher {
    address: SocketAddr,
    outgoing: Arc<Outgoing>,
    thread: JoinHandle<()>,
}

/// What waits for the network's thread.
#[derive(Default)]
struct Outgoing {
    waiting: Mutex<Vec<Bytes>>,
    bell: Notify,
    stop: AtomicBool,
    subscribers: AtomicUsize,
}

/// A subscriber's connection, as the publisher has it.
struct Peer {
    connection: Connection,
    waiting: RefCell<VecDeque<Bytes>>,
    bell: Notify,
}

impl BarePublisher {
    /// Listens on this machine, with the certificate of `tls`.
    pub fn start(tls: &ServerConfig) -> Result<Self, Failure> {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicServerConfig::try_from(tls).map_err(|error| failed(io::Error::other(error)))?;
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let endpoint = {
            let _entered = runtime.enter();
            Endpoint::new(Default::default(), Some(config), socket, Arc::new(quinn::TokioRuntime)).map_err(failed)?
        };
        let outgoing = Arc::<Outgoing>::default();
        let serving = Arc::clone(&outgoing);
        let thread = std::thread::Builder::new()
            .name("bare-quic".to_owned())
            .spawn(move || LocalSet::new().block_on(&runtime, serve(endpoint, serving)))
            .map_err(failed)?;
        Ok(Self { address, outgoing, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until so many subscribers are there, on this side, too; whether they are.
    pub fn wait_for(&self, count: usize) -> bool {
        let begun = Instant::now();
        while self.outgoing.subscribers.load(Ordering::Acquire) < count && begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
        self.outgoing.subscribers.load(Ordering::Acquire) >= count
    }

    /// Sends a message to everybody.
    pub fn publish(&self, message: Bytes) {
        self.outgoing.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.outgoing.bell.notify_one();
    }

    /// Ends it, and all connections.
    pub fn stop(self) {
        self.outgoing.stop.store(true, Ordering::Release);
        self.outgoing.bell.notify_one();
        self.thread.join().expect("the publisher does not panic");
    }
}

async fn serve(endpoint: Endpoint, outgoing: Arc<Outgoing>) {
    let peers = Rc::<RefCell<Vec<Rc<Peer>>>>::default();
    let accepting = spawn_local(accept(endpoint.clone(), Rc::clone(&peers), Arc::clone(&outgoing)));
    while !outgoing.stop.load(Ordering::Acquire) {
        let messages = std::mem::take(&mut *outgoing.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for peer in peers.borrow().iter().filter(|_| !messages.is_empty()) {
            peer.waiting.borrow_mut().extend(messages.iter().cloned());
            peer.bell.notify_one();
        }
        outgoing.bell.notified().await;
    }
    accepting.abort();
    endpoint.close(0_u8.into(), b"");
    endpoint.wait_idle().await;
}

async fn accept(endpoint: Endpoint, peers: Rc<RefCell<Vec<Rc<Peer>>>>, outgoing: Arc<Outgoing>) {
    while let Some(incoming) = endpoint.accept().await {
        let (peers, outgoing) = (Rc::clone(&peers), Arc::clone(&outgoing));
        spawn_local(async move {
            let Ok(connection) = incoming.await else { return };
            let peer = Rc::new(Peer { connection, waiting: RefCell::default(), bell: Notify::new() });
            peers.borrow_mut().push(Rc::clone(&peer));
            outgoing.subscribers.fetch_add(1, Ordering::Release);
            write(&peer).await;
            outgoing.subscribers.fetch_sub(1, Ordering::Release);
            peers.borrow_mut().retain(|other| !Rc::ptr_eq(other, &peer));
        });
    }
}

/// Until the connection ends.
async fn write(peer: &Peer) {
    loop {
        let mut group = next_group(&mut peer.waiting.borrow_mut());
        if group.is_empty() {
            tokio::select! {
                () = peer.bell.notified() => continue,
                _ = peer.connection.closed() => return,
            }
        }
        let Ok(mut stream) = peer.connection.open_uni().await else { return };
        if stream.write_all_chunks(&mut group).await.is_err() || stream.finish().is_err() {
            return;
        }
    }
}

fn next_group(waiting: &mut VecDeque<Bytes>) -> Vec<Bytes> {
    let mut bytes = 0;
    let fits = |message: &&Bytes| {
        bytes += message.len();
        bytes <= GROUP_BYTES_MAX
    };
    let count = waiting.iter().take_while(fits).count();
    waiting.drain(..count).collect()
}

/// A subscriber that takes messages of so many bytes as they come.
pub struct BareSubscriber {
    /// Kept, because it drives the connection.
    _endpoint: Endpoint,
    connection: Connection,
}

impl BareSubscriber {
    /// Connects to a publisher whose certificate `tls` trusts.
    pub async fn connect(address: SocketAddr, tls: &ClientConfig) -> Result<Self, Failure> {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| failed(io::Error::other(error)))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        transport.keep_alive_interval(Some(KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        let endpoint = Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into()).map_err(failed)?;
        let connecting = endpoint.connect_with(config, address, "localhost");
        let connecting = connecting.map_err(|error| failed(io::Error::other(error)))?;
        let connection = connecting.await.map_err(|error| failed(error.into()))?;
        Ok(Self { _endpoint: endpoint, connection })
    }

    /// Hands every message to `tell`, until the connection ends. Each stream is read by a task of its own.
    pub async fn read<F: Fn(&[u8]) + 'static>(&self, message_bytes: usize, tell: Rc<F>) {
        while let Ok(stream) = self.connection.accept_uni().await {
            spawn_local(read_stream(stream, message_bytes, Rc::clone(&tell)));
        }
    }
}

async fn read_stream(mut stream: RecvStream, message_bytes: usize, tell: Rc<impl Fn(&[u8])>) {
    let mut part: Vec<u8> = Vec::new();
    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
        let mut bytes = &chunk.bytes[..];
        if !part.is_empty() {
            let missing = (message_bytes - part.len()).min(bytes.len());
            part.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if part.len() == message_bytes {
                tell(&part);
                part.clear();
            }
        }
        let (messages, rest) = bytes.split_at(bytes.len() / message_bytes * message_bytes);
        messages.chunks_exact(message_bytes).for_each(|message| tell(message));
        part.extend_from_slice(rest);
    }
}

/// A message of so many bytes, at least eight, that begins with a key.
pub fn message(key: u64, bytes: usize) -> Bytes {
    let mut message = vec![0; bytes.max(8)];
    message[..8].copy_from_slice(&key.to_le_bytes());
    message.into()
}

/// A message's key.
pub fn key_of(message: &[u8]) -> u64 {
    message.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

fn failed(error: io::Error) -> Failure {
    Failure::io(Path::new("the bare publisher"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_what_waits_up_to_its_bytes() {
        let mut waiting: VecDeque<Bytes> = (0..5).map(|key| message(key, 6_000)).collect();
        let mut keys = || next_group(&mut waiting).iter().map(|message| key_of(message)).collect::<Vec<_>>();
        assert_eq!((keys(), keys(), keys(), keys()), (vec![0, 1], vec![2, 3], vec![4], vec![]));
    }
}
