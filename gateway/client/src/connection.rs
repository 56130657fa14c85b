//! A blocking connection: one socket, one session.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto, version};
use wire::frame::SESSION_FRAME_MAX;
use wire::session::EstablishmentAck;
use wire::{FrameError, RejectReason, SessionSequence, TerminationCode, Timestamp};

use crate::link::{Link, NEVER, Next};
use crate::request::{CommandMessage, QuestionMessage};
use crate::session::{Credentials, News, Options, Resume, Session, Unexpected};

pub use crate::session::News as Incoming;

/// Whom a client takes for the venue.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Whoever proves by TLS 1.3 to be `name`, certified by one of `roots`.
    Tls {
        /// The name in the certificate.
        name: ServerName<'static>,
        /// Whose certificates count.
        roots: Arc<RootCertStore>,
        /// What the client itself shows; none: no certificate.
        identity: Option<Arc<Identity>>,
    },
    /// Whoever is at the address: for a venue on the same machine that serves without TLS.
    PlainLoopback,
}

/// A client certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, and what leads from it to an authority.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

impl Trust {
    /// Shows the venue a client certificate, where the connection is protected.
    #[must_use]
    pub fn with_identity(mut self, shown: Identity) -> Self {
        if let Self::Tls { identity, .. } = &mut self {
            *identity = Some(Arc::new(shown));
        }
        self
    }

    /// Trusts one certificate, such as the one in a venue's data folder.
    ///
    /// # Errors
    ///
    /// If it is no certificate.
    pub fn certificate(name: ServerName<'static>, certificate: CertificateDer<'static>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        Ok(Self::Tls { name, roots: Arc::new(roots), identity: None })
    }

    /// Whether it may be trusted at an address.
    pub(crate) fn check(&self, address: SocketAddr) -> Result<(), ConnectError> {
        match self {
            Self::PlainLoopback if !address.ip().is_loopback() => Err(ConnectError::NotLoopback(address)),
            Self::PlainLoopback | Self::Tls { .. } => Ok(()),
        }
    }
}

/// TLS 1.3 and nothing older.
pub(crate) fn tls_config(
    roots: &Arc<RootCertStore>,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_root_certificates(Arc::clone(roots));
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(shown) => config.with_client_auth_cert(shown.certificates.clone(), shown.key.clone_key())?,
    };
    Ok(Arc::new(config))
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers at the address.
    #[error(transparent)]
    Unreachable(io::Error),
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The address is not on this machine, though nothing protects the connection.
    #[error("{0} is no loopback address, and the connection is without TLS")]
    NotLoopback(SocketAddr),
    /// The venue refused the login or the opening.
    #[error("the venue refused the session: {0}")]
    Refused(RejectReason),
    /// The venue ended the connection instead of answering.
    #[error("the venue ended the connection: {0:?}")]
    Ended(TerminationCode),
}

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed, or the venue closed it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The venue sent what is no frame.
    #[error("the venue sent what is no frame: {0}")]
    Frame(#[from] FrameError),
    /// The venue sent what is no message.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

/// How long the venue may take to accept a connection, to answer in the handshake, and to take what is written.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
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
}

/// One open session on one connection.
pub struct Client {
    socket: Socket,
    pub(crate) link: Link,
    opened: EstablishmentAck,
}

impl Client {
    /// Connects, logs in if `resume` says so, and opens the session.
    ///
    /// # Errors
    ///
    /// Any [`ConnectError`].
    pub fn connect(
        address: SocketAddr,
        trust: &Trust,
        credentials: Credentials,
        options: Options,
        resume: Resume,
    ) -> Result<Self, ConnectError> {
        let mut socket = open(address, trust)?;
        let mut link = Link::new(Session::new(credentials, options, resume, now()));
        // Silence ends it: the session's own deadline.
        loop {
            if let Some(news) = receive(&mut socket, &mut link, NEVER)?
                && let Some(opened) = opening(news)?
            {
                return Ok(Self { socket, link, opened });
            }
        }
    }

    /// What the venue agreed to.
    pub fn opened(&self) -> &EstablishmentAck {
        &self.opened
    }

    /// Sends a command; the number that its reports will answer.
    ///
    /// # Errors
    ///
    /// If the connection is lost. The command may have arrived: see [`Client::send_again`].
    pub fn send<M: CommandMessage>(&mut self, message: &M) -> Result<SessionSequence, Error> {
        let number = self.link.session.send(message, now());
        self.flush()?;
        Ok(number)
    }

    /// Sends a command of an earlier connection again under its number: the venue applies it once.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub fn send_again<M: CommandMessage>(&mut self, number: SessionSequence, message: &M) -> Result<(), Error> {
        self.link.session.send_again(number, message, now());
        self.flush()
    }

    /// Asks a question.
    ///
    /// # Errors
    ///
    /// If the connection is lost. The question may be asked again.
    pub fn ask<M: QuestionMessage>(&mut self, message: &M) -> Result<(), Error> {
        self.link.session.ask(message, now());
        self.flush()
    }

    /// The next report or other news, in order; waits for it, and keeps the session alive meanwhile.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub fn receive(&mut self) -> Result<Incoming, Error> {
        loop {
            if let Some(news) = receive(&mut self.socket, &mut self.link, NEVER)? {
                return Ok(news);
            }
        }
    }

    /// As [`Client::receive`], but waits for `patience` at most; `None`: there was no news by then.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub fn receive_within(&mut self, patience: Duration) -> Result<Option<Incoming>, Error> {
        self.receive_until(after(now(), patience))
    }

    pub(crate) fn receive_until(&mut self, until: Timestamp) -> Result<Option<Incoming>, Error> {
        receive(&mut self.socket, &mut self.link, until)
    }

    /// How to go on after this connection is lost.
    pub fn resume(&self) -> Resume {
        self.link.session.resume()
    }

    /// The number of the next command.
    pub fn next_command(&self) -> SessionSequence {
        self.link.session.next_command()
    }

    /// Says goodbye, and waits until the venue has closed, or says nothing for ten seconds; how to open the session
    /// again.
    ///
    /// # Errors
    ///
    /// If the connection is lost before.
    pub fn close(mut self) -> Result<Resume, Error> {
        self.link.session.terminate(now());
        self.flush()?;
        let mut bytes = [0; SESSION_FRAME_MAX];
        self.socket.tcp().set_read_timeout(Some(PATIENCE))?;
        // Reports that come now are not taken in: they are there again at the next opening.
        loop {
            match self.socket.read(&mut bytes) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        Ok(self.link.session.resume())
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        Ok(self.socket.write(&self.link.session.take_out())?)
    }
}

/// What the venue's first news means: the session is open, or never will be. Nothing: neither yet.
pub(crate) fn opening(news: News) -> Result<Option<EstablishmentAck>, ConnectError> {
    match news {
        News::Opened(opened) => Ok(Some(opened)),
        News::Refused(reason) => Err(ConnectError::Refused(reason)),
        News::Ended(code) => Err(ConnectError::Ended(code)),
        // The venue sends nothing else before the opening.
        News::Message(_) | News::NotApplied(..) | News::Lost(_) => Ok(None),
    }
}

fn open(address: SocketAddr, trust: &Trust) -> Result<Socket, ConnectError> {
    trust.check(address)?;
    let stream = connect(address).map_err(ConnectError::Unreachable)?;
    match trust {
        Trust::PlainLoopback => Ok(Socket::Plain(stream)),
        Trust::Tls { name, roots, identity } => {
            let connection = ClientConnection::new(tls_config(roots, identity.as_deref())?, name.clone())?;
            Ok(Socket::Tls(Box::new(StreamOwned::new(connection, stream))))
        }
    }
}

/// A peer that says nothing, not even in the handshake, must not hold the caller for ever.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The next news until a time; `None`: there is none by then.
fn receive(socket: &mut Socket, link: &mut Link, until: Timestamp) -> Result<Option<News>, Error> {
    loop {
        let now = now();
        match link.next(now, until)? {
            Next::Write(bytes) => socket.write(&bytes)?,
            Next::News(news) => return Ok(Some(news)),
            Next::Nothing => return Ok(None),
            Next::Read(deadline) => {
                // A socket takes no timeout of zero, and the systems' timers are no finer than this.
                let patience = deadline.0.saturating_sub(now.0).max(1_000_000);
                socket.tcp().set_read_timeout(Some(Duration::from_nanos(patience)))?;
                read(socket, link)?;
            }
        }
    }
}

fn read(socket: &mut Socket, link: &mut Link) -> Result<(), Error> {
    match socket.read(link.vacant()) {
        Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Ok(count) => {
            link.filled(count);
            Ok(())
        }
        Err(error) if is_timeout(&error) => {
            link.silent(now());
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// The time, as the session takes it.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

pub(crate) fn after(now: Timestamp, patience: Duration) -> Timestamp {
    Timestamp(now.0.saturating_add(u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX)))
}
