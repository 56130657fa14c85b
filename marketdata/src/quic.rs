//! The publisher: a feed over QUIC.
//!
//! ```text
//!   EventReader ──► market-data-feed ──► desk ──► market-data-quic-0 ──► subscriber: control    one bidirectional stream
//!     gating         Feed: encodes        │        one endpoint, one               snapshots  a stream each, behind live
//!                    once for all         │        current-thread runtime          live       a stream per group
//!                                         │                                        again      a stream an answer
//!                                         └─────► market-data-quic-1 ...           datagrams  if asked for
//! ```
//!
//! The feed has a gating reader of its own. A lappable one would need a book from elsewhere after each lap, and nobody
//! but the core's thread has one. A gating reader may not wait for outsiders, so threads share the work: the one that
//! reads never waits for those that serve. A ring's bell parks a thread and so does the network's poll; one thread could
//! sleep in but one of them. Should a reader be lapped all the same, all subscribers are closed and told.
//!
//! Several threads share one port; the system gives each connection to one of them, by its addresses. A connection cannot
//! then move to another address, as its packets would come to another thread.
//!
//! A subscriber that reads too slowly loses its backlog, is told what it missed, and gets new snapshots; if the backlog
//! is full again before those are written, it is closed. Nobody else notices: each has a backlog and tasks of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, TransportConfig, VarInt, WriteError,
};
use ring::EventReader;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{MissedTickBehavior, interval, timeout};
use wire::FrameDecoder;
use wire::market_data::MarketDataMessage;

use crate::crowd::{Crowd, Presence};
pub use crate::desk::Clock;
use crate::desk::{Desk, Seat, SubscriberId, Want};
use crate::door::{Door, Refusal};
use crate::feed::Feed;
pub use crate::outbox::CloseReason;
use crate::outbox::Outbox;
use crate::packet::PACKET_BYTES_MAX;
use crate::room::{Datagrams, Effect, Newcomer, Room};

/// What both sides say that they speak.
pub const ALPN: &[u8] = b"rialto-md/1";
/// Bytes of the longest request: a Subscribe with two thousand instruments.
const REQUEST_BYTES_MAX: usize = 16_384;
/// QUIC's default.
const LIVE_PRIORITY: i32 = 0;
/// Snapshots go behind live packets.
const SNAPSHOT_PRIORITY: i32 = -1;
/// How long a newcomer may take to open its control lane, and to be let in.
const OPENS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked who waits for too long, and the last datagrams' numbers are told.
const TICK: Duration = Duration::from_millis(250);
/// After so many ticks, the numbers of all channels that are sent in datagrams are told.
const TICKS_TO_ALL: u64 = 20;

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
    /// Looks at certificates that a subscriber shows; none: they are not asked for.
    pub client_verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// The venue's clock, for the sending time of packets.
    pub clock: Clock,
    /// Who may see what.
    pub door: Arc<dyn Door>,
    /// How much it does for whom.
    pub limits: Limits,
    /// Threads that serve subscribers.
    pub threads: usize,
    /// Seats for others that serve the same feed.
    pub seats: usize,
}

/// Bounds of a publisher.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time; more are refused.
    pub subscribers_max: usize,
    /// Connections from one address, or from 64 bits of IPv6; more are refused.
    pub connections_per_address: usize,
    /// Connections of one key; more are closed.
    pub connections_per_key: usize,
    /// Channels of one connection; more are refused.
    pub channels_max: usize,
    /// From so many connections on, a newcomer has to prove its address first.
    pub validate_addresses_above: usize,
    /// Bytes of packets that may wait for one subscriber.
    pub backlog_bytes_max: usize,
    /// How long a packet may wait for one subscriber.
    pub backlog_age_max: Duration,
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
            connections_per_address: 128,
            connections_per_key: 64,
            channels_max: 16_384,
            validate_addresses_above: 64,
            backlog_bytes_max: 1 << 20,
            backlog_age_max: Duration::from_secs(10),
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
    seats: Vec<Seat>,
    crowd: Arc<Crowd>,
    threads: Vec<JoinHandle<()>>,
}

impl Publisher {
    /// Publishes `feed`, which goes on with `events`, until [`stop`](Self::stop).
    ///
    /// `events` has to be a gating reader, and the first event in it the first that the feed does not include.
    ///
    /// # Errors
    /// If the address is taken, the certificate does not fit its key, or a thread cannot be started.
    ///
    /// # Panics
    /// Without a thread.
    pub fn start(config: Config, events: EventReader, feed: Feed) -> io::Result<Self> {
        let Config { listen, identity, client_verifier, clock, door, limits, threads, seats } = config;
        assert!(threads > 0, "a publisher needs a thread");
        let server = server_config(identity, client_verifier, &limits, threads)?;
        let sockets = bind(listen, threads)?;
        let local_addr = sockets[0].local_addr()?;
        let crowd = Arc::new(Crowd::new(&limits));
        let desk = Desk::new(feed, threads + seats, door);
        let mut places = desk.seats();
        let others = places.split_off(threads);
        let mut running = Vec::new();
        for (number, (socket, seat)) in sockets.into_iter().zip(places).enumerate() {
            let (server, clock, crowd) = (server.clone(), Arc::clone(&clock), Arc::clone(&crowd));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let endpoint = {
                let _entered = runtime.enter();
                Endpoint::new(EndpointConfig::default(), Some(server), socket, Arc::new(quinn::TokioRuntime))?
            };
            let thread = Builder::new()
                .name(format!("market-data-quic-{number}"))
                .spawn(move || LocalSet::new().block_on(&runtime, serve(endpoint, seat, clock, limits, crowd)))
                .inspect_err(|_| desk.stop())?;
            running.push(thread);
        }
        let following = Arc::clone(&desk);
        let feed = Builder::new()
            .name("market-data-feed".to_owned())
            .spawn(move || following.follow(events, &clock))
            .inspect_err(|_| desk.stop())?;
        running.push(feed);
        Ok(Self { local_addr, desk, seats: others, crowd, threads: running })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The seats for others that were asked for; later calls give none.
    pub fn take_seats(&mut self) -> Vec<Seat> {
        core::mem::take(&mut self.seats)
    }

    /// Who is there, and who was.
    pub fn crowd(&self) -> &Arc<Crowd> {
        &self.crowd
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

/// As many sockets as there are threads, on one port.
fn bind(listen: SocketAddr, threads: usize) -> io::Result<Vec<UdpSocket>> {
    if threads == 1 {
        return Ok(vec![UdpSocket::bind(listen)?]);
    }
    let mut sockets: Vec<UdpSocket> = Vec::new();
    for _ in 0..threads {
        // The first one's port, if the system chose it.
        let address = sockets.first().map_or(Ok(listen), UdpSocket::local_addr)?;
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

fn server_config(
    identity: Identity,
    client_verifier: Option<Arc<dyn ClientCertVerifier>>,
    limits: &Limits,
    threads: usize,
) -> io::Result<quinn::ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Early data can be replayed; the default, none, is kept.
    let builder = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?;
    let builder = match client_verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut tls = builder.with_single_cert(identity.certificates, identity.key).map_err(io::Error::other)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config =
        quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(io::Error::other)?));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(1_u8.into())
        .max_concurrent_uni_streams(0_u8.into())
        .send_window(limits.send_window_bytes)
        .send_fairness(false)
        // None are taken, of no length; without a buffer at all, quinn would send none either.
        .datagram_receive_buffer_size(Some(0))
        .datagram_send_buffer_size(limits.backlog_bytes_max)
        .max_idle_timeout(Some(limits.idle_timeout.try_into().map_err(io::Error::other)?));
    config.transport_config(Arc::new(transport)).migration(threads == 1);
    Ok(config)
}

/// What the tasks of one thread share.
struct Network {
    seat: Seat,
    clock: Clock,
    limits: Limits,
    crowd: Arc<Crowd>,
    room: RefCell<Room>,
    links: RefCell<BTreeMap<SubscriberId, Rc<Link>>>,
}

/// The way to one subscriber.
struct Link {
    connection: Connection,
    live: Notify,
    snapshots: Notify,
    control: Notify,
}

async fn serve(endpoint: Endpoint, seat: Seat, clock: Clock, limits: Limits, crowd: Arc<Crowd>) {
    let (room, links) = (RefCell::new(Room::new(limits)), RefCell::default());
    let network = Rc::new(Network { seat, clock, limits, crowd, room, links });
    let tasks =
        [spawn_local(accept(endpoint.clone(), Rc::clone(&network))), spawn_local(look_after(Rc::clone(&network)))];
    while let Some(outputs) = network.seat.outputs().await {
        network.in_room(|room| room.route_all(outputs, &**network.seat.door()));
    }
    tasks.iter().for_each(|task| task.abort());
    endpoint.close(code(CloseReason::Stopped), CloseReason::Stopped.text().as_bytes());
    endpoint.wait_idle().await;
}

fn code(reason: CloseReason) -> VarInt {
    VarInt::from_u32(reason as u32)
}

async fn accept(endpoint: Endpoint, network: Rc<Network>) {
    let mut number = 0;
    while let Some(incoming) = endpoint.accept().await {
        if endpoint.open_connections() > network.limits.validate_addresses_above
            && incoming.may_retry()
            && !incoming.remote_address_validated()
        {
            // It may retry, so that this cannot fail.
            drop(incoming.retry());
            continue;
        }
        match network.crowd.enter(incoming.remote_address().ip()) {
            Some(presence) => {
                number += 1;
                spawn_local(attend(Rc::clone(&network), SubscriberId(number), incoming, presence));
            }
            None => incoming.refuse(),
        }
    }
}

/// Looks who waits for too long, and tells the numbers of datagrams that may have been lost.
async fn look_after(network: Rc<Network>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        ticks.tick().await;
        let now = (network.clock)();
        network.in_room(|room| room.look_after(now, tick % TICKS_TO_ALL == 0));
    }
}

/// One subscriber, from its handshake to its end.
async fn attend(network: Rc<Network>, id: SubscriberId, incoming: Incoming, presence: Presence) {
    // A peer that goes away is not an error of ours, here and below: its connection ends.
    let Ok(connection) = incoming.await else { return };
    let Ok(Ok((answers, requests))) = timeout(OPENS_WITHIN, connection.accept_bi()).await else {
        return network.close(&connection, CloseReason::NotLetIn);
    };
    // At once, so that no change of rights comes between.
    let entered =
        network.admit(&connection, presence).and_then(|newcomer| network.room.borrow_mut().enter(id, newcomer));
    if let Err(reason) = entered {
        return network.close(&connection, reason);
    }
    let link = Link { connection, live: Notify::new(), snapshots: Notify::new(), control: Notify::new() };
    let link = Rc::new(link);
    network.links.borrow_mut().insert(id, Rc::clone(&link));
    let tasks = [
        spawn_local(read_requests(Rc::clone(&network), id, Rc::clone(&link), requests)),
        spawn_local(write_control(Rc::clone(&network), id, Rc::clone(&link), answers)),
        spawn_local(write_snapshots(Rc::clone(&network), id, Rc::clone(&link))),
        spawn_local(write_live(Rc::clone(&network), id, Rc::clone(&link))),
    ];
    let is_closed = timeout(OPENS_WITHIN, link.connection.closed()).await.is_ok();
    if !is_closed && !network.room.borrow().is_let_in(id) {
        network.close(&link.connection, CloseReason::NotLetIn);
    }
    link.connection.closed().await;
    network.links.borrow_mut().remove(&id);
    network.in_room(|room| room.leave(id));
    tasks.iter().for_each(|task| task.abort());
}

/// The certificate that the subscriber showed, in DER.
fn certificate_of(connection: &Connection) -> Option<Vec<u8>> {
    let identity = connection.peer_identity()?;
    let certificates = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    Some(certificates.first()?.to_vec())
}

async fn read_requests(network: Rc<Network>, id: SubscriberId, link: Rc<Link>, mut requests: RecvStream) {
    let mut decoder = Box::new(FrameDecoder::<REQUEST_BYTES_MAX>::new());
    loop {
        let Ok(Some(count)) = requests.read(decoder.vacant()).await else { return };
        decoder.filled(count);
        loop {
            let message = match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => MarketDataMessage::try_from(frame).map_err(|_| CloseReason::Malformed),
                Err(_) => Err(CloseReason::Malformed),
            };
            if let Err(reason) = message.and_then(|message| network.request(id, message)) {
                return network.close(&link.connection, reason);
            }
        }
    }
}

async fn write_control(network: Rc<Network>, id: SubscriberId, link: Rc<Link>, mut stream: SendStream) {
    loop {
        let Some(message) = network.take_from(id, Outbox::next_control) else {
            link.control.notified().await;
            continue;
        };
        if stream.write_chunk(message.bytes()).await.is_err() {
            return;
        }
    }
}

async fn write_snapshots(network: Rc<Network>, id: SubscriberId, link: Rc<Link>) {
    loop {
        let Some(snapshot) = network.take_from(id, Outbox::next_snapshot) else {
            link.snapshots.notified().await;
            continue;
        };
        let bytes = snapshot.length();
        if write_stream(&link.connection, SNAPSHOT_PRIORITY, &mut [snapshot.head, snapshot.body]).await.is_err() {
            return;
        }
        network.in_room(|room| room.written(id, snapshot.channel_id, bytes));
    }
}

async fn write_live(network: Rc<Network>, id: SubscriberId, link: Rc<Link>) {
    let bytes_max = network.limits.group_bytes_max;
    let next_group = |outbox: &mut Outbox| Some(outbox.next_group(bytes_max)).filter(|group| !group.is_empty());
    loop {
        let Some(mut group) = network.take_from(id, next_group) else {
            link.live.notified().await;
            continue;
        };
        if write_stream(&link.connection, LIVE_PRIORITY, &mut group).await.is_err() {
            return;
        }
    }
}

/// Sends packets again.
async fn repeat(network: Rc<Network>, id: SubscriberId, link: Rc<Link>, mut packets: Vec<Bytes>) {
    // A connection that has ended needs nothing again.
    let _ = write_stream(&link.connection, LIVE_PRIORITY, &mut packets).await;
    network.room.borrow_mut().repeated(id);
}

async fn write_stream(connection: &Connection, priority: i32, chunks: &mut [Bytes]) -> Result<(), WriteError> {
    let mut stream = connection.open_uni().await?;
    if priority != LIVE_PRIORITY {
        stream.set_priority(priority)?;
    }
    stream.write_all_chunks(chunks).await?;
    stream.finish()?;
    Ok(())
}

impl Network {
    /// Who comes, if it may.
    fn admit(&self, connection: &Connection, mut presence: Presence) -> Result<Newcomer, CloseReason> {
        let address = connection.remote_address().ip();
        let takes_datagrams = connection.max_datagram_size().is_some_and(|bytes| bytes >= PACKET_BYTES_MAX);
        let datagrams = if takes_datagrams { Datagrams::Taken } else { Datagrams::NotTaken };
        let known = certificate_of(connection).map(|certificate| self.seat.door().certificate(&certificate, address));
        let (key, entitlement) = match known {
            Some(Ok((key, entitlement))) if presence.identify(key) => (Some(key), Some(entitlement)),
            Some(Ok(_)) => return Err(CloseReason::TooManyConnections),
            // A certificate that stands for nobody is no obstacle, and is of no use.
            None | Some(Err(Refusal::NotProven)) => (None, self.seat.door().anonymous(address)),
            Some(Err(Refusal::LockedOut | Refusal::NotEntitled)) => return Err(CloseReason::NotLetIn),
        };
        Ok(Newcomer { address, entitlement, key, datagrams, presence })
    }

    fn request(self: &Rc<Self>, id: SubscriberId, message: MarketDataMessage<'_>) -> Result<(), CloseReason> {
        self.in_room(|room| room.request(id, message, &**self.seat.door(), || self.seat.instruments()))
    }

    fn take_from<T>(&self, id: SubscriberId, take: impl FnOnce(&mut Outbox) -> Option<T>) -> Option<T> {
        self.room.borrow_mut().outbox(id).and_then(take)
    }

    /// Does something in the room, and what follows from it.
    fn in_room<T>(self: &Rc<Self>, act: impl FnOnce(&mut Room) -> T) -> T {
        let (outcome, effects) = {
            let mut room = self.room.borrow_mut();
            (act(&mut room), room.take_effects())
        };
        let mut wants = Vec::new();
        for effect in effects {
            match effect {
                Effect::WakeLive(id) => self.with_link(id, |link| link.live.notify_one()),
                Effect::Wake(id) => self.with_link(id, |link| {
                    link.control.notify_one();
                    link.snapshots.notify_one();
                    link.live.notify_one();
                }),
                // One that cannot be sent is lost like any other, and asked for again.
                Effect::Datagram(id, bytes) => self.with_link(id, |link| drop(link.connection.send_datagram(bytes))),
                Effect::Again(id, packets) => self.with_link(id, |link| {
                    spawn_local(repeat(Rc::clone(self), id, Rc::clone(link), packets));
                }),
                Effect::Close(id, reason) => self.with_link(id, |link| self.close(&link.connection, reason)),
                Effect::Want(id, channel_id, request_id) => wants.extend(Want::of(id, channel_id, request_id)),
                Effect::Unheard(channel_id) => self.seat.leave(channel_id),
            }
        }
        if !wants.is_empty() {
            self.seat.want(wants);
        }
        outcome
    }

    fn with_link(&self, id: SubscriberId, act: impl FnOnce(&Rc<Link>)) {
        if let Some(link) = self.links.borrow().get(&id) {
            act(link);
        }
    }

    fn close(&self, connection: &Connection, reason: CloseReason) {
        // Closing what is closed has no effect, and is not counted.
        if connection.close_reason().is_none() {
            self.crowd.close(reason);
            connection.close(code(reason), reason.text().as_bytes());
        }
    }
}
