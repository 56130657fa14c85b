//! The subscriber: a [`Subscription`] over QUIC.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream, TransportConfig};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::mpsc;
use wire::market_data::{
    Logon, LogonChallenge, LogonSignature, MarketDataMessage, SecurityDefinition, Subscribe, SubscribedInstrument,
};
use wire::message::Message;
use wire::{
    DeliveryMode, FeedLevel, Frame, KeyId, RequestId, SecurityId, Signature64, SubscriptionRequestType, Timestamp,
};

use crate::book::Book;
use crate::packet::{self, PacketError};
use crate::quic::{ALPN, Clock};
use crate::received::{Content, Received, Stamps};
use crate::recording::{Contents, Recorder};
use crate::subscription::{GapCounters, Patience, Request, Subscription, Update};

/// Packets, snapshots and control messages that may wait for the application; then QUIC holds the venue back.
const INPUTS_MAX: usize = 64;
/// Bytes of the longest snapshot that is taken.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 64 << 20;
/// Bytes of the control lane that are taken at a time.
const CONTROL_BYTES_MAX: usize = 1_024;
/// Bytes that may be under way to a subscriber on all streams together.
const RECEIVE_WINDOW_BYTES: u32 = 1 << 20;
/// How often a silent connection is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// A venue of which nothing is heard for so long is gone: three keep-alives in a row went unanswered.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is taken for the venue.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The name that its certificate has to have.
    pub server_name: String,
    /// Who may have signed it.
    pub roots: Arc<RootCertStore>,
}

/// Signs a text with an Ed25519 key.
pub type Signer = Arc<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// Who a subscriber says that it is.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody: it sees what everybody may.
    #[default]
    Anonymous,
    /// The holder of a key.
    Key {
        /// Which.
        key_id: KeyId,
        /// Proves it.
        signer: Signer,
    },
    /// The holder of a certificate.
    Certificate {
        /// It, and those up to one that the venue trusts.
        chain: Vec<CertificateDer<'static>>,
        /// Its private key.
        key: Arc<PrivateKeyDer<'static>>,
    },
}

/// Why there is no market data any more.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// There is no socket, or the system refuses it.
    #[error("no endpoint: {0}")]
    Endpoint(#[from] io::Error),
    /// The cryptography cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The connection cannot be attempted.
    #[error(transparent)]
    Connect(#[from] quinn::ConnectError),
    /// The connection is closed; the venue's reason is in it.
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
    /// A request cannot be sent.
    #[error("a request cannot be sent: {0}")]
    Write(#[from] quinn::WriteError),
    /// The venue did not answer a logon as it should.
    #[error("the venue did not answer the logon")]
    Logon,
    /// More instruments than a request can name.
    #[error("too many instruments for one request")]
    TooManyInstruments,
    /// The venue sent what is no market data.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// What was received cannot be written down.
    #[error("the recording cannot be written: {0}")]
    Recording(#[source] io::Error),
}

/// A subscription that is served. It has to be used on one tokio runtime, whose timers are enabled.
#[derive(Debug)]
pub struct Subscriber {
    /// Kept, because it drives the connection.
    _endpoint: Endpoint,
    connection: Connection,
    requests: SendStream,
    /// Requests, or the rest of one, that the connection has not taken yet.
    unsent: BytesMut,
    inputs: mpsc::Receiver<Input>,
    clock: SharedClock,
    recorder: Option<Recorder>,
    subscription: Subscription,
}

/// What was received, or why it cannot be taken apart.
type Input = Result<Received, PacketError>;

/// The application's clock, once there is one.
#[derive(Clone, Default)]
struct SharedClock(Arc<OnceLock<Clock>>);

impl SharedClock {
    fn now(&self) -> Option<Timestamp> {
        self.0.get().map(|clock| clock())
    }
}

impl core::fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("SharedClock").field(&self.now()).finish()
    }
}

/// Where what was received goes, with its time.
#[derive(Debug, Clone)]
struct Inlet {
    inputs: mpsc::Sender<Input>,
    clock: SharedClock,
}

impl Inlet {
    /// `false`: nobody takes any more.
    async fn send(&self, content: Result<Content, PacketError>) -> bool {
        let input = content.map(|content| Received { at: self.clock.now(), content });
        let goes_on = input.is_ok();
        self.inputs.send(input).await.is_ok() && goes_on
    }
}

impl Subscriber {
    /// Connects to a venue as nobody in particular, and subscribes to some instruments, or all if none is named: every
    /// message, over streams.
    ///
    /// # Errors
    /// If the venue does not answer, or is not who is trusted.
    pub async fn connect(
        address: SocketAddr,
        trust: &Trust,
        instruments: &[SecurityId],
        level: FeedLevel,
    ) -> Result<Self, SubscribeError> {
        let mut subscriber = Self::open(address, trust, &Credentials::Anonymous, Patience::default()).await?;
        subscriber.subscribe(instruments, level, DeliveryMode::Live).await?;
        Ok(subscriber)
    }

    /// Connects to a venue, and logs on where there is something to log on with.
    ///
    /// # Errors
    /// If the venue does not answer, is not who is trusted, or does not let this subscriber in.
    pub async fn open(
        address: SocketAddr,
        trust: &Trust,
        credentials: &Credentials,
        patience: Patience,
    ) -> Result<Self, SubscribeError> {
        let local: SocketAddr =
            if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let endpoint = Endpoint::client(local)?;
        let config = client_config(trust, credentials)?;
        let connection = endpoint.connect_with(config, address, &trust.server_name)?.await?;
        let (mut requests, mut answers) = connection.open_bi().await?;
        if let Credentials::Key { key_id, signer } = credentials {
            let logged_on = log_on(*key_id, signer, &mut requests, &mut answers).await;
            // The venue says why by closing.
            if let Err(error) = logged_on {
                return Err(connection.close_reason().map_or(error, SubscribeError::Connection));
            }
        }
        let (sender, inputs) = mpsc::channel(INPUTS_MAX);
        let clock = SharedClock::default();
        let inlet = Inlet { inputs: sender, clock: clock.clone() };
        tokio::spawn(read_control(answers, inlet.clone()));
        tokio::spawn(read_datagrams(connection.clone(), inlet.clone()));
        tokio::spawn(accept_streams(connection.clone(), inlet));
        Ok(Self {
            _endpoint: endpoint,
            connection,
            requests,
            unsent: BytesMut::new(),
            inputs,
            clock,
            recorder: None,
            subscription: Subscription::new(patience),
        })
    }

    /// Says with this clock when something is received, from now on: see [`stamps`](Self::stamps). The first clock that
    /// it is given stays.
    pub fn stamp_with(&mut self, clock: Clock) {
        let _ = self.clock.0.set(clock);
    }

    /// Writes down in a new file whatever is taken from now on. A recording that is to have the books from their
    /// beginning is begun before the first [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    /// If the file is there already, or cannot be made.
    pub fn record(&mut self, file: &Path) -> io::Result<()> {
        self.recorder = Some(Recorder::create(file, self.subscription.patience())?);
        Ok(())
    }

    /// What was written down so far; `None`: nothing is recorded.
    pub fn recorded(&self) -> Option<Contents> {
        self.recorder.as_ref().map(Recorder::contents)
    }

    /// The recording, to be flushed meanwhile.
    pub fn recorder(&mut self) -> Option<&mut Recorder> {
        self.recorder.as_mut()
    }

    /// Ends the recording; `None`: nothing is recorded.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub fn end_recording(&mut self) -> io::Result<Option<Contents>> {
        self.recorder.take().map(Recorder::finish).transpose()
    }

    /// Subscribes to some instruments, or all if none is named.
    ///
    /// # Errors
    /// If the request is too long, or the connection is closed.
    pub async fn subscribe(
        &mut self,
        instruments: &[SecurityId],
        level: FeedLevel,
        mode: DeliveryMode,
    ) -> Result<(), SubscribeError> {
        self.request(instruments, level, mode, SubscriptionRequestType::Subscribe).await
    }

    /// Ends what [`subscribe`](Self::subscribe) began. The books stay as they are.
    ///
    /// # Errors
    /// The same.
    pub async fn unsubscribe(&mut self, instruments: &[SecurityId], level: FeedLevel) -> Result<(), SubscribeError> {
        self.request(instruments, level, DeliveryMode::Live, SubscriptionRequestType::Unsubscribe).await
    }

    async fn request(
        &mut self,
        instruments: &[SecurityId],
        level: FeedLevel,
        mode: DeliveryMode,
        request: SubscriptionRequestType,
    ) -> Result<(), SubscribeError> {
        self.unsent.extend_from_slice(&subscribe(instruments, level, mode, request)?);
        Ok(self.send().await?)
    }

    /// Sends the requests. One that is dropped in the middle goes on with the next.
    async fn send(&mut self) -> Result<(), quinn::WriteError> {
        while !self.unsent.is_empty() {
            let taken = self.requests.write(&self.unsent).await?;
            self.unsent.advance(taken);
        }
        Ok(())
    }

    /// The next update. The books are as they are after it and those that have come with it. It may be dropped before
    /// it is done, and nothing is lost.
    ///
    /// # Errors
    /// If the connection is closed, the venue sends what is no market data, or a recording cannot be written.
    pub async fn next(&mut self) -> Result<Update, SubscribeError> {
        loop {
            while let Some(request) = self.subscription.next_request() {
                let mut frame = Vec::new();
                match request {
                    Request::Snapshot(request) => packet::append(&mut frame, &request),
                    Request::Again(request) => packet::append(&mut frame, &request),
                }
                self.unsent.extend_from_slice(&frame);
            }
            self.send().await?;
            if let Some(update) = self.subscription.next_update() {
                return Ok(update);
            }
            match self.inputs.recv().await {
                Some(input) => self.take(input?)?,
                None => return Err(self.connection.closed().await.into()),
            }
        }
    }

    /// An instrument's book, once its snapshot has come.
    pub fn book(&self, instrument: SecurityId) -> Option<&Book> {
        self.subscription.book(instrument)
    }

    /// An instrument's book at a level of detail, once its snapshot has come.
    pub fn book_at(&self, instrument: SecurityId, level: FeedLevel) -> Option<&Book> {
        self.subscription.book_at(instrument, level)
    }

    /// What was missed so far, and what was proven.
    pub fn gaps(&self) -> GapCounters {
        self.subscription.gaps()
    }

    /// When the venue sent the newest packet that was applied; `None` before the first.
    pub fn sent_at(&self) -> Option<Timestamp> {
        self.subscription.sent_at()
    }

    /// Of the update that [`next`](Self::next) gave last: where it came from, when its event happened, when the venue
    /// sent it, and when it was received.
    pub fn stamps(&self) -> Stamps {
        self.subscription.stamps()
    }

    /// Waits until the connection is closed, and says why. Nothing is read meanwhile.
    pub async fn closed(&self) -> quinn::ConnectionError {
        self.connection.closed().await
    }

    fn take(&mut self, received: Received) -> Result<(), SubscribeError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&received).map_err(SubscribeError::Recording)?;
        }
        Ok(self.subscription.take(received)?)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.connection.close(0_u8.into(), b"");
    }
}

/// A [`Subscriber`] for a thread of its own. Nothing is read between two calls of [`next`](Self::next).
#[derive(Debug)]
pub struct BlockingSubscriber {
    /// Before the runtime, which it needs when it is dropped.
    subscriber: Subscriber,
    runtime: tokio::runtime::Runtime,
}

impl BlockingSubscriber {
    /// See [`Subscriber::connect`].
    ///
    /// # Errors
    /// The same.
    pub fn connect(
        address: SocketAddr,
        trust: &Trust,
        instruments: &[SecurityId],
        level: FeedLevel,
    ) -> Result<Self, SubscribeError> {
        let mut subscriber = Self::open(address, trust, &Credentials::Anonymous, Patience::default())?;
        subscriber.subscribe(instruments, level, DeliveryMode::Live)?;
        Ok(subscriber)
    }

    /// See [`Subscriber::open`].
    ///
    /// # Errors
    /// The same.
    pub fn open(
        address: SocketAddr,
        trust: &Trust,
        credentials: &Credentials,
        patience: Patience,
    ) -> Result<Self, SubscribeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let subscriber = runtime.block_on(Subscriber::open(address, trust, credentials, patience))?;
        Ok(Self { subscriber, runtime })
    }

    /// See [`Subscriber::subscribe`].
    ///
    /// # Errors
    /// The same.
    pub fn subscribe(
        &mut self,
        instruments: &[SecurityId],
        level: FeedLevel,
        mode: DeliveryMode,
    ) -> Result<(), SubscribeError> {
        self.runtime.block_on(self.subscriber.subscribe(instruments, level, mode))
    }

    /// Waits for the next update. See [`Subscriber::next`].
    ///
    /// # Errors
    /// The same.
    #[expect(clippy::should_implement_trait, reason = "it does not end, it fails")]
    pub fn next(&mut self) -> Result<Update, SubscribeError> {
        self.runtime.block_on(self.subscriber.next())
    }

    /// An instrument's book, once its snapshot has come.
    pub fn book(&self, instrument: SecurityId) -> Option<&Book> {
        self.subscriber.book(instrument)
    }

    /// An instrument's book at a level of detail, once its snapshot has come.
    pub fn book_at(&self, instrument: SecurityId, level: FeedLevel) -> Option<&Book> {
        self.subscriber.book_at(instrument, level)
    }

    /// What was missed so far, and what was proven.
    pub fn gaps(&self) -> GapCounters {
        self.subscriber.gaps()
    }

    /// When the venue sent the newest packet that was applied; `None` before the first.
    pub fn sent_at(&self) -> Option<Timestamp> {
        self.subscriber.sent_at()
    }

    /// Of the update that [`next`](Self::next) gave last: where it came from, when its event happened, when the venue
    /// sent it, and when it was received.
    pub fn stamps(&self) -> Stamps {
        self.subscriber.stamps()
    }

    /// See [`Subscriber::stamp_with`].
    pub fn stamp_with(&mut self, clock: Clock) {
        self.subscriber.stamp_with(clock);
    }

    /// See [`Subscriber::record`].
    ///
    /// # Errors
    /// The same.
    pub fn record(&mut self, file: &Path) -> io::Result<()> {
        self.subscriber.record(file)
    }

    /// See [`Subscriber::end_recording`].
    ///
    /// # Errors
    /// The same.
    pub fn end_recording(&mut self) -> io::Result<Option<Contents>> {
        self.subscriber.end_recording()
    }
}

fn client_config(trust: &Trust, credentials: &Credentials) -> Result<quinn::ClientConfig, SubscribeError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(Arc::clone(&trust.roots));
    let mut tls = match credentials {
        Credentials::Certificate { chain, key } => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
        Credentials::Anonymous | Credentials::Key { .. } => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(io::Error::other)?));
    let mut transport = TransportConfig::default();
    transport
        .receive_window(RECEIVE_WINDOW_BYTES.into())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().map_err(io::Error::other)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Proves to hold a key.
async fn log_on(
    key_id: KeyId,
    signer: &Signer,
    requests: &mut SendStream,
    answers: &mut RecvStream,
) -> Result<(), SubscribeError> {
    let mut frame = Vec::new();
    packet::append(&mut frame, &Logon { key_id });
    requests.write_all(&frame).await?;
    let mut challenge = [0; LogonChallenge::FRAME_LENGTH];
    answers.read_exact(&mut challenge).await.map_err(|_| SubscribeError::Logon)?;
    let challenge: LogonChallenge =
        Frame::split(&challenge).map_err(PacketError::from)?.0.decode().map_err(PacketError::from)?;
    let signature = Signature64(signer(challenge.signed_text(key_id).as_bytes()));
    frame.clear();
    packet::append(&mut frame, &LogonSignature { signature });
    requests.write_all(&frame).await?;
    let mut answer = [0; wire::market_data::LogonAck::FRAME_LENGTH];
    answers.read_exact(&mut answer).await.map_err(|_| SubscribeError::Logon)?;
    match MarketDataMessage::try_from(Frame::split(&answer).map_err(PacketError::from)?.0) {
        Ok(MarketDataMessage::LogonAck(ack)) if ack.key_id == key_id => Ok(()),
        _ => Err(SubscribeError::Logon),
    }
}

fn subscribe(
    instruments: &[SecurityId],
    level: FeedLevel,
    mode: DeliveryMode,
    request: SubscriptionRequestType,
) -> Result<Vec<u8>, SubscribeError> {
    // Requests for snapshots count from one.
    let message = Subscribe { request_id: RequestId(0), level, mode, request };
    if instruments.len() > SUBSCRIBED_MAX {
        return Err(SubscribeError::TooManyInstruments);
    }
    let entries: Vec<_> = instruments.iter().map(|&security_id| SubscribedInstrument { security_id }).collect();
    let mut frame = Vec::new();
    packet::append_grouped(&mut frame, &message, &entries);
    Ok(frame)
}

/// Instruments that one request can name.
const SUBSCRIBED_MAX: usize = 2_000;

async fn read_control(mut answers: RecvStream, inlet: Inlet) {
    let mut buffer = BytesMut::new();
    // An end of the stream is the connection's end, which `next` tells.
    while let Ok(Some(chunk)) = answers.read_chunk(CONTROL_BYTES_MAX, true).await {
        buffer.extend_from_slice(&chunk.bytes);
        while let Some(length) = packet::frame_length(&buffer).transpose() {
            let content = length.map(|length| Content::Control(buffer.split_to(length).freeze()));
            if !inlet.send(content).await {
                return;
            }
        }
    }
}

/// Each datagram has whole packets.
async fn read_datagrams(connection: Connection, inlet: Inlet) {
    while let Ok(mut bytes) = connection.read_datagram().await {
        while !bytes.is_empty() {
            let length = packet::length(&bytes).and_then(|length| length.ok_or(PacketError::OutOfPlace));
            if !inlet.send(length.map(|length| Content::Packet(bytes.split_to(length)))).await {
                return;
            }
        }
    }
}

/// Every stream is read by a task of its own, so that a loss on one does not hold up the others.
async fn accept_streams(connection: Connection, inlet: Inlet) {
    while let Ok(stream) = connection.accept_uni().await {
        let inlet = inlet.clone();
        tokio::spawn(async move {
            if let Err(error) = read_stream(stream, &inlet).await {
                // Whoever is told has gone, or will end the connection.
                inlet.send(Err(error)).await;
            }
        });
    }
}

/// A stream with a snapshot begins with the instrument's definition, one with packets with the first packet's header.
async fn read_stream(mut stream: RecvStream, inlet: &Inlet) -> Result<(), PacketError> {
    let mut buffer = BytesMut::new();
    loop {
        let chunk = match stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // What was under way is lost, and the connection perhaps with it.
            Err(_) => return Ok(()),
        };
        buffer.extend_from_slice(&chunk.bytes);
        if packet::template(&buffer) == Some(SecurityDefinition::TEMPLATE_ID) {
            if buffer.len() > SNAPSHOT_BYTES_MAX {
                return Err(PacketError::OutOfPlace);
            }
            continue;
        }
        while let Some(length) = packet::length(&buffer)? {
            if !inlet.send(Ok(Content::Packet(buffer.split_to(length).freeze()))).await {
                return Ok(());
            }
        }
    }
    if !buffer.is_empty() {
        inlet.send(Ok(Content::Snapshot(buffer.freeze()))).await;
    }
    Ok(())
}
