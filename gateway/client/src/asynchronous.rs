//! The same two drivers for tokio: [`AsyncClient`] is [`Client`](crate::Client), and [`AsyncTrader`] is
//! [`Trader`](crate::Trader), with the same session and the same recovery.
//!
//! A future that is dropped loses nothing: what was to be written is kept, and what was read is taken in.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use wire::session::EstablishmentAck;
use wire::{SessionSequence, Timestamp};

use crate::connection::{ConnectError, Error, PATIENCE, Trust, after, now, opening, tls_config};
use crate::link::{Link, NEVER, Next};
use crate::recovery::{Attempt, Heard, Policy, Position, Recovery, SendError, Start, TraderNews};
use crate::request::{Command, CommandMessage, QuestionMessage};
use crate::session::{Credentials, News, Options, Resume, Session};
use crate::trader::{Access, recovery};

/// TLS or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One open session on one connection.
pub struct AsyncClient {
    stream: Box<dyn Stream>,
    link: Link,
    /// What is still to be written, from `written` on.
    out: Vec<u8>,
    written: usize,
    opened: EstablishmentAck,
}

impl AsyncClient {
    /// Connects, logs in if `resume` says so, and opens the session.
    ///
    /// # Errors
    ///
    /// Any [`ConnectError`].
    pub async fn connect(
        address: SocketAddr,
        trust: &Trust,
        credentials: Credentials,
        options: Options,
        resume: Resume,
    ) -> Result<Self, ConnectError> {
        let stream = open(address, trust).await?;
        let link = Link::new(Session::new(credentials, options, resume, now()));
        let mut client = Self { stream, link, out: Vec::new(), written: 0, opened: wire::Block::BLANK };
        loop {
            if let Some(news) = client.receive_until(NEVER).await?
                && let Some(opened) = opening(news)?
            {
                client.opened = opened;
                return Ok(client);
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
    /// If the connection is lost. The command may have arrived: see [`AsyncClient::send_again`].
    pub async fn send<M: CommandMessage>(&mut self, message: &M) -> Result<SessionSequence, Error> {
        let number = self.link.session.send(message, now());
        self.flush().await?;
        Ok(number)
    }

    /// Sends a command of an earlier connection again under its number: the venue applies it once.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub async fn send_again<M: CommandMessage>(&mut self, number: SessionSequence, message: &M) -> Result<(), Error> {
        self.link.session.send_again(number, message, now());
        self.flush().await
    }

    /// Asks a question.
    ///
    /// # Errors
    ///
    /// If the connection is lost. The question may be asked again.
    pub async fn ask<M: QuestionMessage>(&mut self, message: &M) -> Result<(), Error> {
        self.link.session.ask(message, now());
        self.flush().await
    }

    /// The next report or other news, in order; waits for it, and keeps the session alive meanwhile.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub async fn receive(&mut self) -> Result<News, Error> {
        loop {
            if let Some(news) = self.receive_until(NEVER).await? {
                return Ok(news);
            }
        }
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
    pub async fn close(mut self) -> Result<Resume, Error> {
        self.link.session.terminate(now());
        self.flush().await?;
        let mut bytes = [0; 1_024];
        // Reports that come now are not taken in: they are there again at the next opening.
        while matches!(timeout(PATIENCE, self.stream.read(&mut bytes)).await, Ok(Ok(count)) if count > 0) {}
        Ok(self.link.session.resume())
    }

    async fn receive_until(&mut self, until: Timestamp) -> Result<Option<News>, Error> {
        loop {
            self.write().await?;
            let now = now();
            match self.link.next(now, until)? {
                Next::Write(bytes) => self.out.extend_from_slice(&bytes),
                Next::News(news) => return Ok(Some(news)),
                Next::Nothing => return Ok(None),
                Next::Read(deadline) => {
                    let patience = Duration::from_nanos(deadline.0.saturating_sub(now.0));
                    self.read(patience).await?;
                }
            }
        }
    }

    async fn read(&mut self, patience: Duration) -> Result<(), Error> {
        match timeout(patience, self.stream.read(self.link.vacant())).await {
            Ok(Ok(0)) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(Ok(count)) => {
                self.link.filled(count);
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                self.link.silent(crate::connection::now());
                Ok(())
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let bytes = self.link.session.take_out();
        self.out.extend_from_slice(&bytes);
        self.write().await
    }

    /// Writes what there is. Bytes that the socket took are noted one write at a time, so that none goes twice.
    async fn write(&mut self) -> Result<(), Error> {
        if self.out.is_empty() {
            return Ok(());
        }
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        while self.written < self.out.len() {
            let count = timeout(PATIENCE, self.stream.write(&self.out[self.written..])).await.map_err(late)??;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            self.written += count;
        }
        timeout(PATIENCE, self.stream.flush()).await.map_err(late)??;
        self.out.clear();
        self.written = 0;
        Ok(())
    }
}

async fn open(address: SocketAddr, trust: &Trust) -> Result<Box<dyn Stream>, ConnectError> {
    trust.check(address)?;
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let connected = timeout(PATIENCE, TcpStream::connect(address)).await.map_err(late).and_then(|connected| connected);
    let stream = connected.map_err(ConnectError::Unreachable)?;
    stream.set_nodelay(true).map_err(Error::from)?;
    match trust {
        Trust::PlainLoopback => Ok(Box::new(stream)),
        Trust::Tls { name, roots, identity } => {
            let handshake = TlsConnector::from(tls_config(roots, identity.as_deref())?).connect(name.clone(), stream);
            let secured = timeout(PATIENCE, handshake).await.map_err(late).and_then(|secured| secured);
            Ok(Box::new(secured.map_err(Error::from)?))
        }
    }
}

/// A session that is opened again whenever its connection is lost: see [`Trader`](crate::Trader).
pub struct AsyncTrader {
    access: Access,
    recovery: Recovery,
    client: Option<AsyncClient>,
    connecting: Option<Connecting>,
    attempts: usize,
}

/// An attempt that is under way. It goes on though the future that began it is dropped.
type Connecting = Pin<Box<dyn Future<Output = Result<AsyncClient, ConnectError>> + Send>>;

impl AsyncTrader {
    /// A trader who connects when asked to receive.
    ///
    /// # Panics
    ///
    /// If there is no address, or the position is another session's.
    pub fn new(access: Access, start: Start, policy: Policy) -> Self {
        let recovery = recovery(&access, start, policy);
        Self { access, recovery, client: None, connecting: None, attempts: 0 }
    }

    /// Sends a command; the number that its reports will answer. If the connection breaks meanwhile, it is sent again.
    ///
    /// # Errors
    ///
    /// Any [`SendError`]; nothing was sent then.
    pub async fn send<M: CommandMessage>(&mut self, message: &M) -> Result<SessionSequence, SendError> {
        let client = self.client.as_mut().ok_or(SendError::Disconnected)?;
        let number = self.recovery.send(message, &mut client.link.session, now())?;
        // A broken connection is found out by who receives next.
        let _ = client.flush().await;
        Ok(number)
    }

    /// Asks a question. It is not asked again if the connection breaks.
    ///
    /// # Errors
    ///
    /// [`SendError::Disconnected`].
    pub async fn ask<M: QuestionMessage>(&mut self, message: &M) -> Result<(), SendError> {
        let client = self.client.as_mut().ok_or(SendError::Disconnected)?;
        client.ask(message).await.map_err(|_| SendError::Disconnected)
    }

    /// The next news; waits for it, connecting as often as it takes. The future may be dropped at any time.
    ///
    /// # Errors
    ///
    /// What makes it no use to connect again, such as a key that is revoked. Whoever receives again tries again.
    pub async fn receive(&mut self) -> Result<TraderNews, ConnectError> {
        loop {
            if let Some(news) = self.receive_until(NEVER).await? {
                return Ok(news);
            }
        }
    }

    /// As [`AsyncTrader::receive`], but waits for `patience` at most; `None`: there was no news by then.
    ///
    /// # Errors
    ///
    /// As [`AsyncTrader::receive`].
    pub async fn receive_within(&mut self, patience: Duration) -> Result<Option<TraderNews>, ConnectError> {
        self.receive_until(after(now(), patience)).await
    }

    /// Where the session stands behind the news that was received: what to keep for another process.
    pub fn position(&self) -> Option<Position> {
        self.recovery.position()
    }

    /// Commands without an answer, by number.
    pub fn unanswered(&self) -> impl ExactSizeIterator<Item = (SessionSequence, &Command)> {
        self.recovery.unanswered()
    }

    /// Whether commands are taken.
    pub fn is_open(&self) -> bool {
        self.client.is_some()
    }

    /// Says goodbye, if there is a connection; where the session stands.
    pub async fn close(self) -> Option<Position> {
        if let Some(client) = self.client {
            // Whatever the goodbye meets, the position is known.
            let _ = client.close().await;
        }
        self.recovery.position()
    }

    async fn receive_until(&mut self, until: Timestamp) -> Result<Option<TraderNews>, ConnectError> {
        loop {
            if let Some(news) = self.recovery.next_news() {
                return Ok(Some(news));
            }
            let is_over = match self.client {
                Some(_) => self.hear(until).await?,
                None => self.connect(until).await?,
            };
            if is_over {
                return Ok(None);
            }
        }
    }

    /// Whether the time is up.
    async fn hear(&mut self, until: Timestamp) -> Result<bool, ConnectError> {
        let Some(client) = &mut self.client else { return Ok(false) };
        let heard = match client.receive_until(until).await {
            Ok(None) => return Ok(true),
            Ok(Some(news)) => self.recovery.hear(news, &mut client.link.session, now()),
            Err(error) => self.recovery.lost(error.into(), now()).map(|()| Heard::Over),
        };
        if !matches!(heard, Ok(Heard::Open)) {
            self.client = None;
        }
        heard.map(|_| false)
    }

    /// Whether the time is up.
    async fn connect(&mut self, until: Timestamp) -> Result<bool, ConnectError> {
        match self.recovery.attempt(now()) {
            Attempt::Wait(due) => {
                sleep(Duration::from_nanos(due.min(until).0.saturating_sub(now().0))).await;
                return Ok(due >= until);
            }
            Attempt::Connect(resume) => {
                let connecting = match &mut self.connecting {
                    Some(connecting) => connecting,
                    None => self.connecting.insert(connect(self.access.clone(), self.attempts, resume)),
                };
                let limit = Duration::from_nanos(until.0.saturating_sub(now().0));
                let Ok(connected) = timeout(limit, connecting).await else { return Ok(true) };
                self.connecting = None;
                match connected {
                    Ok(mut client) => {
                        let opened = *client.opened();
                        self.recovery.opened(&opened, &mut client.link.session, now());
                        self.client = Some(client);
                    }
                    Err(error) => {
                        self.attempts = self.attempts.wrapping_add(1);
                        self.recovery.failed(error, now())?;
                    }
                }
            }
        }
        Ok(false)
    }
}

fn connect(access: Access, attempt: usize, resume: Resume) -> Connecting {
    Box::pin(async move {
        let address = access.address(attempt);
        AsyncClient::connect(address, &access.trust, access.credentials, access.options, resume).await
    })
}
