//! The publisher: a feed over QUIC.
//!
//! ```text
//!   EventReader ──► market-data-feed ──► desk ──► market-data-quic ──► subscriber: control    one bidirectional stream
//!     gating         Feed: encodes        bounded   one endpoint, one             snapshots  a stream each, behind live
//!                    once for all                   current-thread runtime        live       a stream per group
//! ```
//!
//! The feed has a gating reader of its own. A lappable one would need a book from elsewhere after each lap, and nobody
//! but the core's thread has one. A gating reader may not wait for outsiders, so two threads share the work: the one
//! that reads never waits for the one that serves. A ring's bell parks a thread and so does the network's poll; one
//! thread could sleep in but one of them. Should a reader be lapped all the same, all subscribers are closed and told.
//!
//! A subscriber that reads too slowly loses its backlog, is told what it missed, and gets new snapshots; if the backlog
//! is full again before those are written, it is closed. Nobody else notices: each has a backlog and tasks of its own.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use engine::InstrumentId;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, TransportConfig, VarInt, WriteError};
use ring::EventReader;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use wire::market_data::{
    MarketDataMessage, PacketRetransmitRequest, SnapshotRequest, Subscribe, SubscribeAck, SubscribeReject,
};
use wire::{
    Block, ChannelId, DeliveryMode, FeedLevel, FeedSequence, FrameDecoder, GapCause, RequestId, SecurityId,
    SubscribeRejectReason, SubscriptionRequestType,
};

pub use crate::desk::Clock;
use crate::desk::{Desk, Output, SubscriberId, Want};
use crate::feed::{Feed, channel_of};
pub use crate::outbox::CloseReason;
use crate::outbox::{Asked, Outbox, Outcome};
use crate::packet::Packet;

/// What both sides say that they speak.
pub const ALPN: &[u8] = b"rialto-md/1";
/// Bytes of the longest request: a Subscribe with two thousand instruments.
const REQUEST_BYTES_MAX: usize = 16_384;
/// Snapshots go behind live packets.
const SNAPSHOT_PRIORITY: i32 = -1;

/// Who the venue is.
#[derive(Debug)]
pub struct Identity {
    /// Its certificate, and those up to one that subscribers trust.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The certificate's private key.
    pub key: PrivateKeyDer<'static>,
}

/// What a publisher needs.
pub struct Config {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Who it is.
    pub identity: Identity,
    /// The venue's clock, for the sending time of packets.
    pub clock: Clock,
    /// How much it does for whom.
    pub limits: Limits,
}

/// Bounds of a publisher.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time; more are refused.
    pub subscribers_max: usize,
    /// From so many connections on, a newcomer has to prove its address first.
    pub validate_addresses_above: usize,
    /// Bytes of packets that may wait for one subscriber.
    pub backlog_bytes_max: usize,
    /// Bytes of one subscriber that the transport keeps: sent and not acknowledged, or not sent yet.
    pub send_window_bytes: u64,
    /// Bytes of packets on one stream, so that a loss holds up no more than those.
    pub group_bytes_max: usize,
    /// A connection on which nothing is heard for so long is gone.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    /// A thousand subscribers with a mebibyte of backlog each.
    fn default() -> Self {
        Self {
            subscribers_max: 1_024,
            validate_addresses_above: 64,
            backlog_bytes_max: 1 << 20,
            send_window_bytes: 1 << 20,
            group_bytes_max: 16 << 10,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// A feed that is being published.
pub struct Publisher {
    local_addr: SocketAddr,
    desk: Arc<Desk>,
    threads: [JoinHandle<()>; 2],
}

impl Publisher {
    /// Publishes `feed`, which goes on with `events`, until [`stop`](Self::stop).
    ///
    /// `events` has to be a gating reader, and the first event in it the first that the feed does not include.
    ///
    /// # Errors
    /// If the address is taken, the certificate does not fit its key, or a thread cannot be started.
    pub fn start(config: Config, events: EventReader, feed: Feed) -> io::Result<Self> {
        let Config { listen, identity, clock, limits } = config;
        let server = server_config(identity, &limits)?;
        let socket = std::net::UdpSocket::bind(listen)?;
        let local_addr = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let endpoint = {
            let _entered = runtime.enter();
            Endpoint::new(Default::default(), Some(server), socket, Arc::new(quinn::TokioRuntime))?
        };
        let desk = Arc::new(Desk::new(feed));
        let (following, serving) = (Arc::clone(&desk), Arc::clone(&desk));
        let network = Builder::new()
            .name("market-data-quic".to_owned())
            .spawn(move || LocalSet::new().block_on(&runtime, serve(endpoint, serving, limits)))?;
        let feed = Builder::new()
            .name("market-data-feed".to_owned())
            .spawn(move || following.follow(events, &clock))
            .inspect_err(|_| desk.stop())?;
        Ok(Self { local_addr, desk, threads: [feed, network] })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Closes every connection and ends. After the venue has ended, a publisher serves its last books until this.
    ///
    /// # Panics
    /// If one of its threads has panicked.
    pub fn stop(self) {
        self.desk.stop();
        for thread in self.threads {
            thread.join().expect("no thread of the publisher panics");
        }
    }
}

/// An address of this machine alone, with a port of the system's choice.
pub fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn server_config(identity: Identity, limits: &Limits) -> io::Result<quinn::ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Early data can be replayed; the default, none, is kept.
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(identity.certificates, identity.key)
        .map_err(io::Error::other)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config =
        quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(io::Error::other)?));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(1_u8.into())
        .max_concurrent_uni_streams(0_u8.into())
        .send_window(limits.send_window_bytes)
        .send_fairness(false)
        .max_idle_timeout(Some(limits.idle_timeout.try_into().map_err(io::Error::other)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// What the tasks of the network's thread share.
struct Network {
    desk: Arc<Desk>,
    limits: Limits,
    peers: RefCell<BTreeMap<SubscriberId, Rc<Peer>>>,
    books: Cell<Books>,
}

/// Whether the feed's books can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Books {
    #[default]
    Valid,
    /// The reader was lapped.
    Void,
}

struct Peer {
    id: SubscriberId,
    connection: Connection,
    outbox: RefCell<Outbox>,
    /// Sees every instrument that is listed, on this level.
    everything: RefCell<BTreeMap<u8, (FeedLevel, RequestId)>>,
    live: Notify,
    snapshots: Notify,
    control: Notify,
}

async fn serve(endpoint: Endpoint, desk: Arc<Desk>, limits: Limits) {
    let network = Rc::new(Network { desk, limits, peers: RefCell::default(), books: Cell::default() });
    let accepting = spawn_local(accept(endpoint.clone(), Rc::clone(&network)));
    while !network.desk.is_stopped() {
        network.desk.take().into_iter().for_each(|output| network.route(output));
        network.desk.bell.notified().await;
    }
    accepting.abort();
    endpoint.close(code(CloseReason::Stopped), CloseReason::Stopped.text().as_bytes());
    endpoint.wait_idle().await;
}

fn close(connection: &Connection, reason: CloseReason) {
    connection.close(code(reason), reason.text().as_bytes());
}

fn code(reason: CloseReason) -> VarInt {
    VarInt::from_u32(reason as u32)
}

async fn accept(endpoint: Endpoint, network: Rc<Network>) {
    let mut number = 0;
    while let Some(incoming) = endpoint.accept().await {
        let open = endpoint.open_connections();
        if open > network.limits.validate_addresses_above
            && incoming.may_retry()
            && !incoming.remote_address_validated()
        {
            // It may retry, so that this cannot fail.
            drop(incoming.retry());
        } else if open > network.limits.subscribers_max {
            incoming.refuse();
        } else {
            number += 1;
            spawn_local(attend(Rc::clone(&network), SubscriberId(number), incoming));
        }
    }
}

/// One subscriber, from its handshake to its end.
async fn attend(network: Rc<Network>, id: SubscriberId, incoming: Incoming) {
    // A peer that goes away is not an error of ours, here and below: its connection ends.
    let Ok(connection) = incoming.await else { return };
    if network.books.get() == Books::Void {
        return close(&connection, CloseReason::FeedLost);
    }
    let Ok((answers, requests)) = connection.accept_bi().await else { return };
    let peer = Rc::new(Peer {
        id,
        connection,
        outbox: RefCell::new(Outbox::new(network.limits.backlog_bytes_max)),
        everything: RefCell::default(),
        live: Notify::new(),
        snapshots: Notify::new(),
        control: Notify::new(),
    });
    network.desk.join();
    network.peers.borrow_mut().insert(id, Rc::clone(&peer));
    let tasks = [
        spawn_local(read_requests(Rc::clone(&network), Rc::clone(&peer), requests)),
        spawn_local(write_control(Rc::clone(&peer), answers)),
        spawn_local(write_snapshots(Rc::clone(&network), Rc::clone(&peer))),
        spawn_local(write_live(Rc::clone(&peer), network.limits.group_bytes_max)),
    ];
    peer.connection.closed().await;
    network.peers.borrow_mut().remove(&id);
    network.desk.leave();
    tasks.iter().for_each(|task| task.abort());
}

async fn read_requests(network: Rc<Network>, peer: Rc<Peer>, mut requests: RecvStream) {
    let mut decoder = Box::new(FrameDecoder::<REQUEST_BYTES_MAX>::new());
    loop {
        let Ok(Some(count)) = requests.read(decoder.vacant()).await else { return };
        decoder.filled(count);
        loop {
            let message = match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => MarketDataMessage::try_from(frame).ok(),
                Err(_) => None,
            };
            if message.and_then(|message| network.request(&peer, message)).is_none() {
                return peer.close(CloseReason::Malformed);
            }
        }
    }
}

async fn write_control(peer: Rc<Peer>, mut stream: SendStream) {
    loop {
        let next = peer.outbox.borrow_mut().next_control();
        let Some(message) = next else {
            peer.control.notified().await;
            continue;
        };
        if stream.write_chunk(message).await.is_err() {
            return;
        }
    }
}

async fn write_snapshots(network: Rc<Network>, peer: Rc<Peer>) {
    loop {
        let next = peer.outbox.borrow_mut().next_snapshot();
        let Some(snapshot) = next else {
            peer.snapshots.notified().await;
            continue;
        };
        let bytes = snapshot.bytes.len();
        if write_snapshot(&peer.connection, snapshot.bytes).await.is_err() {
            return;
        }
        peer.outbox.borrow_mut().written(snapshot.channel_id, bytes);
        network.ask(&peer);
    }
}

async fn write_snapshot(connection: &Connection, bytes: Bytes) -> Result<(), WriteError> {
    let mut stream = connection.open_uni().await?;
    stream.set_priority(SNAPSHOT_PRIORITY)?;
    stream.write_chunk(bytes).await?;
    stream.finish()?;
    Ok(())
}

async fn write_live(peer: Rc<Peer>, group_bytes_max: usize) {
    loop {
        let mut group: Vec<Bytes> = peer.outbox.borrow_mut().next_group(group_bytes_max);
        if group.is_empty() {
            peer.live.notified().await;
            continue;
        }
        let Ok(mut stream) = peer.connection.open_uni().await else { return };
        if stream.write_all_chunks(&mut group).await.is_err() || stream.finish().is_err() {
            return;
        }
    }
}

impl Network {
    fn route(&self, output: Output) {
        match output {
            Output::Packet(packet) => self.each(|peer| self.packet(peer, &packet)),
            Output::Listed(book) => self.each(|peer| self.listed(peer, book)),
            Output::Lost => self.each(|peer| {
                let outcome = peer.outbox.borrow_mut().missed(GapCause::Upstream);
                self.act(peer, outcome);
            }),
            Output::Void => {
                self.books.set(Books::Void);
                self.each(|peer| peer.close(CloseReason::FeedLost));
            }
            Output::Answer(want, snapshot) => {
                let Some(peer) = self.peers.borrow().get(&want.subscriber).cloned() else { return };
                match snapshot {
                    Some(snapshot) => peer.outbox.borrow_mut().snapshot(snapshot),
                    None => peer.refuse_book(want),
                }
                self.ask(&peer);
                peer.wake();
            }
        }
    }

    fn each(&self, act: impl FnMut(&Rc<Peer>)) {
        self.peers.borrow().values().for_each(act);
    }

    fn packet(&self, peer: &Rc<Peer>, packet: &Packet) {
        let outcome = peer.outbox.borrow_mut().packet(packet);
        self.act(peer, outcome);
        peer.live.notify_one();
    }

    fn act(&self, peer: &Rc<Peer>, outcome: Outcome) {
        match outcome {
            Outcome::Kept => {}
            Outcome::Missed => self.ask(peer),
            Outcome::Close(reason) => peer.close(reason),
        }
    }

    /// Asks the desk for the snapshots whose turn it is.
    fn ask(&self, peer: &Peer) {
        let mut outbox = peer.outbox.borrow_mut();
        let wants: Vec<Want> = core::iter::from_fn(|| outbox.next_want())
            .filter_map(|(channel_id, request_id)| peer.want(channel_id, request_id))
            .collect();
        if !wants.is_empty() {
            self.desk.want(wants);
        }
    }

    fn listed(&self, peer: &Rc<Peer>, book: InstrumentId) {
        for &(level, request_id) in peer.everything.borrow().values() {
            if let Some(channel_id) = channel_of(book, level) {
                // A book that was listed while everything was being subscribed may have begun with the others.
                let _ = peer.outbox.borrow_mut().join(channel_id, request_id);
            }
        }
        self.ask(peer);
    }

    /// Does what a subscriber asks for; `None` if that is no request.
    fn request(&self, peer: &Rc<Peer>, message: MarketDataMessage<'_>) -> Option<()> {
        match message {
            MarketDataMessage::Subscribe(request, instruments) => {
                let books = instruments.map(|entry| Some(entry.ok()?.security_id)).collect::<Option<Vec<_>>>()?;
                self.subscribe(peer, &request, &books);
            }
            MarketDataMessage::SnapshotRequest(request) => peer.snapshot(&request),
            MarketDataMessage::PacketRetransmitRequest(PacketRetransmitRequest { request_id, .. }) => {
                peer.refuse(request_id, None, SubscribeRejectReason::TooOld);
            }
            _ => return None,
        }
        self.ask(peer);
        peer.wake();
        Some(())
    }

    fn subscribe(&self, peer: &Rc<Peer>, request: &Subscribe, books: &[SecurityId]) {
        let &Subscribe { request_id, level, mode, request, .. } = request;
        if channel_of(InstrumentId(0), level).is_none() {
            return peer.refuse(request_id, None, SubscribeRejectReason::UnsupportedLevel);
        }
        match (request, mode) {
            (SubscriptionRequestType::Subscribe, DeliveryMode::Live) => self.begin(peer, request_id, level, books),
            (SubscriptionRequestType::Unsubscribe, _) => peer.end(request_id, level, books),
            _ => peer.refuse(request_id, None, SubscribeRejectReason::UnsupportedMode),
        }
    }

    fn begin(&self, peer: &Rc<Peer>, request_id: RequestId, level: FeedLevel, books: &[SecurityId]) {
        if books.is_empty() {
            peer.everything.borrow_mut().insert(level as u8, (level, request_id));
            let listed = self.desk.instruments();
            listed.into_iter().for_each(|book| peer.join(book, level, request_id));
        }
        for &security_id in books {
            match InstrumentId::try_from(security_id) {
                Ok(book) => peer.join(book, level, request_id),
                Err(_) => peer.refuse(request_id, Some(security_id), SubscribeRejectReason::UnknownInstrument),
            }
        }
    }
}

impl Peer {
    fn join(&self, book: InstrumentId, level: FeedLevel, request_id: RequestId) {
        let Some(channel_id) = channel_of(book, level) else { return };
        let joined = self.outbox.borrow_mut().join(channel_id, request_id);
        if joined.is_err() {
            self.refuse(request_id, Some(book.into()), SubscribeRejectReason::DuplicateRequest);
        }
    }

    fn snapshot(&self, request: &SnapshotRequest) {
        let &SnapshotRequest { request_id, security_id, level } = request;
        let channel_id = InstrumentId::try_from(security_id).ok().and_then(|book| channel_of(book, level));
        let asked =
            channel_id.map_or(Asked::Unknown, |channel_id| self.outbox.borrow_mut().ask(channel_id, request_id));
        match asked {
            Asked::Granted => {}
            Asked::Busy => self.refuse(request_id, Some(security_id), SubscribeRejectReason::Busy),
            Asked::Unknown => self.refuse(request_id, Some(security_id), SubscribeRejectReason::UnknownChannel),
        }
    }

    fn want(&self, channel_id: ChannelId, request_id: Option<RequestId>) -> Option<Want> {
        let (book, level) = crate::feed::channel_parts(channel_id)?;
        Some(Want { subscriber: self.id, book, level, request_id })
    }

    fn end(&self, request_id: RequestId, level: FeedLevel, books: &[SecurityId]) {
        let ours = |channel_id: &ChannelId| {
            crate::feed::channel_parts(*channel_id)
                .is_some_and(|(book, of)| of == level && (books.is_empty() || books.contains(&book.into())))
        };
        if books.is_empty() {
            self.everything.borrow_mut().remove(&(level as u8));
        }
        let mut outbox = self.outbox.borrow_mut();
        let channels: Vec<ChannelId> = outbox.channels().filter(ours).collect();
        for channel_id in channels {
            let next_sequence = outbox.leave(channel_id).unwrap_or(FeedSequence(0));
            outbox.control(&SubscribeAck { request_id, channel_id, next_sequence });
        }
    }

    fn refuse_book(&self, Want { book, level, request_id, .. }: Want) {
        if let Some(channel_id) = channel_of(book, level) {
            self.outbox.borrow_mut().no_book(channel_id);
        }
        if let Some(request_id) = request_id {
            self.refuse(request_id, Some(book.into()), SubscribeRejectReason::UnknownInstrument);
        }
    }

    fn refuse(&self, request_id: RequestId, security_id: Option<SecurityId>, reason: SubscribeRejectReason) {
        let reject = SubscribeReject { request_id, security_id, reason, ..SubscribeReject::BLANK };
        self.outbox.borrow_mut().control(&reject);
    }

    fn wake(&self) {
        if self.outbox.borrow().is_flooded() {
            self.close(CloseReason::TooSlow);
        }
        self.control.notify_one();
        self.snapshots.notify_one();
        self.live.notify_one();
    }

    fn close(&self, reason: CloseReason) {
        close(&self.connection, reason);
    }
}
