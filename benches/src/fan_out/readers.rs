//! Subscribers that are as thin as can be, on one thread.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use client::wire::market_data::{MarketDataMessage, PacketHeader, SecurityDefinition, Subscribe};
use client::wire::message::Message;
use client::wire::{DeliveryMode, FeedLevel, RequestId, SubscriptionRequestType, encode_grouped};
use hdrhistogram::Histogram;
use marketdata::packet;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Endpoint, RecvStream, TransportConfig};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

use super::{failed, other};
use crate::failure::Failure;
use crate::load::link::wall_clock;

/// How long they may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// What a reader does with what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Reads a feed's packets.
    Packets,
    /// Reads bytes, in pieces of so many that begin with a time; so many messages are counted for each.
    Bytes { piece: usize, messages: u64 },
    /// Reads nothing at all.
    Stalled,
}

/// Whom they read.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) address: SocketAddr,
    pub(super) tls: Arc<client::rustls::ClientConfig>,
    pub(super) alpn: &'static [u8],
    pub(super) level: FeedLevel,
}

/// What they have counted together.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) messages: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Connections that the publisher closed.
    pub(super) closed: AtomicU64,
    /// How far each of them is: the last command of a feed, or so many pieces.
    pub(super) progress: Vec<AtomicU64>,
}

impl Counts {
    /// How far the slowest is.
    pub(super) fn slowest(&self) -> u64 {
        self.progress.iter().map(|progress| progress.load(Ordering::Relaxed)).min().unwrap_or(0)
    }
}

pub(super) struct Readers {
    pub(super) counts: Arc<Counts>,
    stop: watch::Sender<bool>,
    recording: Arc<AtomicBool>,
    thread: JoinHandle<Result<Histogram<u64>, Failure>>,
}

impl Readers {
    /// Starts so many, and returns when all are there.
    pub(super) fn start(source: &Source, count: usize, manner: Manner) -> Result<Self, Failure> {
        let progress = std::iter::repeat_with(AtomicU64::default).take(count).collect();
        let counts = Arc::new(Counts { progress, ..Counts::default() });
        let recording = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = mpsc::channel();
        let (source, counting, records) = (source.clone(), Arc::clone(&counts), Arc::clone(&recording));
        let name = if manner == Manner::Stalled { "stalled" } else { "subscribers" };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(failed("the subscribers' thread"))?;
                let page = Rc::new(Page { counts: counting, recording: records, ages: RefCell::new(histogram()) });
                let all = read_all(source, count, manner, Rc::clone(&page), ready, stopped);
                LocalSet::new().block_on(&runtime, all)?;
                Ok(page.ages.borrow().clone())
            })
            .map_err(failed("the subscribers' thread"))?;
        let readers = Self { counts, stop, recording, thread };
        for _ in 0..count {
            if is_ready.recv_timeout(PATIENCE).is_err() {
                readers.stop()?;
                return Err(Failure::Missing(format!("not all of {count} subscribers are there after {PATIENCE:?}")));
            }
        }
        Ok(readers)
    }

    /// From now on ages count.
    pub(super) fn record(&self) {
        self.recording.store(true, Ordering::Release);
    }

    pub(super) fn messages(&self) -> u64 {
        self.counts.messages.load(Ordering::Acquire)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Acquire)
    }

    /// Ends them; how old events were when they came.
    pub(super) fn stop(self) -> Result<Histogram<u64>, Failure> {
        // Whoever has failed no longer listens.
        let _ = self.stop.send(true);
        self.thread.join().expect("subscribers do not panic")
    }
}

struct Page {
    counts: Arc<Counts>,
    recording: Arc<AtomicBool>,
    ages: RefCell<Histogram<u64>>,
}

impl Page {
    fn note(&self, messages: u64, bytes: usize, happened_at: Option<u64>) {
        self.counts.messages.fetch_add(messages, Ordering::Release);
        self.counts.bytes.fetch_add(bytes as u64, Ordering::Release);
        if let Some(time) = happened_at.filter(|_| self.recording.load(Ordering::Acquire)) {
            self.ages.borrow_mut().saturating_record(wall_clock().0.saturating_sub(time).max(1));
        }
    }
}

/// From a nanosecond to a minute.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

async fn read_all(
    source: Source,
    count: usize,
    manner: Manner,
    page: Rc<Page>,
    ready: mpsc::Sender<()>,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let endpoint = Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into()).map_err(failed("the subscribers' socket"))?;
    let mut tls = (*source.tls).clone();
    tls.alpn_protocols = vec![source.alpn.to_vec()];
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| failed("TLS")(other(error)))?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(KEEP_ALIVE)).receive_window((1_u32 << 20).into());
    config.transport_config(Arc::new(transport));
    let reading: Vec<_> = (0..count)
        .map(|number| {
            let one = read_one(
                number,
                endpoint.clone(),
                config.clone(),
                source.clone(),
                manner,
                Rc::clone(&page),
                ready.clone(),
                stopped.clone(),
            );
            spawn_local(one)
        })
        .collect();
    drop(ready);
    for one in reading {
        one.await.expect("subscribers do not panic")?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "each is what one subscriber has of its own or shares")]
async fn read_one(
    number: usize,
    endpoint: Endpoint,
    config: quinn::ClientConfig,
    source: Source,
    manner: Manner,
    page: Rc<Page>,
    ready: mpsc::Sender<()>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let lost = |error: quinn::ConnectionError| failed("a subscriber")(error.into());
    let connecting = endpoint.connect_with(config, source.address, "localhost");
    let connection = connecting.map_err(|error| failed("a subscriber")(other(error)))?.await.map_err(lost)?;
    let (mut requests, _answers) = connection.open_bi().await.map_err(lost)?;
    requests.write_all(&subscribe(source.level)).await.map_err(|error| failed("a subscriber")(other(error)))?;
    if matches!(manner, Manner::Bytes { .. }) {
        // There is no snapshot to wait for.
        let _ = ready.send(());
    }
    let ready = Rc::new(ready);
    loop {
        let stream = tokio::select! {
            stream = connection.accept_uni() => stream,
            _ = stopped.changed() => return Ok(()),
        };
        let Ok(stream) = stream else {
            page.counts.closed.fetch_add(1, Ordering::Relaxed);
            let _ = stopped.changed().await;
            return Ok(());
        };
        match manner {
            Manner::Packets => drop(spawn_local(read_packets(stream, number, Rc::clone(&page), Rc::clone(&ready)))),
            Manner::Bytes { piece, messages } => {
                drop(spawn_local(read_bytes(stream, number, piece, messages, Rc::clone(&page))));
            }
            Manner::Stalled => {
                let _ = ready.send(());
                // The stream stays open and unread, and so do all that follow.
                tokio::select! {
                    _ = connection.closed() => {
                        page.counts.closed.fetch_add(1, Ordering::Relaxed);
                        let _ = stopped.changed().await;
                    }
                    _ = stopped.changed() => {}
                }
                drop(stream);
                return Ok(());
            }
        }
    }
}

fn subscribe(level: FeedLevel) -> Vec<u8> {
    let (request_id, mode) = (RequestId(0), DeliveryMode::Live);
    let message = Subscribe { request_id, level, mode, request: SubscriptionRequestType::Subscribe };
    let mut frame = vec![0; 64];
    let length = encode_grouped(&message, [], &mut frame).expect("there is room");
    frame.truncate(length);
    frame
}

async fn read_packets(mut stream: RecvStream, number: usize, page: Rc<Page>, ready: Rc<mpsc::Sender<()>>) {
    let mut buffer = BytesMut::new();
    let mut is_snapshot = false;
    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
        if is_snapshot {
            continue;
        }
        buffer.extend_from_slice(&chunk.bytes);
        if template(&buffer) == Some(SecurityDefinition::TEMPLATE_ID.0) {
            is_snapshot = true;
            continue;
        }
        while let Ok(Some(length)) = packet::length(&buffer) {
            let packet = buffer.split_to(length);
            let Ok((PacketHeader { message_count, .. }, mut frames)) = packet::open(&packet) else { return };
            let first = frames.next().and_then(|message| event_of(message.ok()?));
            let (sequence, time) = first.unzip();
            page.counts.progress[number].fetch_max(sequence.unwrap_or(0), Ordering::Relaxed);
            page.note(message_count.0.into(), length, time);
        }
    }
    if is_snapshot {
        // Whoever waits may have given up.
        let _ = ready.send(());
    }
}

fn template(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?))
}

/// Which command's event a message tells, and when it happened.
fn event_of(message: MarketDataMessage<'_>) -> Option<(u64, u64)> {
    let (sequence, time) = match message {
        MarketDataMessage::Trade(trade) => (trade.journal_sequence, trade.transact_time),
        MarketDataMessage::MarketByPrice(message, _) => (message.journal_sequence, message.transact_time),
        MarketDataMessage::MarketByOrder(message, _) => (message.journal_sequence, message.transact_time),
        MarketDataMessage::BestBidOffer(best) => (best.journal_sequence, best.transact_time),
        _ => return None,
    };
    Some((sequence?.0, time.0))
}

async fn read_bytes(mut stream: RecvStream, number: usize, piece: usize, messages: u64, page: Rc<Page>) {
    let mut buffer = BytesMut::new();
    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
        buffer.extend_from_slice(&chunk.bytes);
        while buffer.len() >= piece {
            let bytes = buffer.split_to(piece);
            let time = bytes.first_chunk().copied().map(u64::from_le_bytes);
            page.counts.progress[number].fetch_add(1, Ordering::Relaxed);
            page.note(messages, piece, time);
        }
    }
}
