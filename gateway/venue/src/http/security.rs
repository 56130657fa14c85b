//! How the port is protected: TLS 1.3 wherever somebody else's machine can reach it, and what is said to whoever comes.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use clap::ValueEnum;
use gateway::lockout::Origin;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, ServerConfig, version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// How the port is to be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HttpSecurity {
    /// Not at all on a loopback address, TLS on any other.
    Auto,
    /// TLS.
    Tls,
    /// Not at all, on a loopback address.
    PlainLoopback,
}

/// How the port is protected.
#[derive(Debug, Clone)]
pub enum Protection {
    /// Not at all: nobody but this machine reaches it.
    Plain,
    /// TLS 1.3.
    Tls(Arc<ServerConfig>),
}

impl HttpSecurity {
    /// Whether an address speaks TLS; nothing if it must not be without and was asked to.
    pub fn is_tls_at(self, address: SocketAddr) -> Option<bool> {
        match (self, address.ip().is_loopback()) {
            (Self::Tls, _) | (Self::Auto, false) => Some(true),
            (Self::Auto | Self::PlainLoopback, true) => Some(false),
            (Self::PlainLoopback, false) => None,
        }
    }
}

/// TLS 1.3 alone, no early data, no certificate asked for: who asks for something here signs it.
pub fn server_config(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A year, in seconds.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Every answer says what it is, answers of the operator's door are kept nowhere, and over TLS the next one is too.
pub(super) async fn headers(is_tls: bool, request: Request, next: Next) -> Response {
    let is_door = request.uri().path().starts_with("/admin/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    if is_door {
        headers.insert(header::CACHE_CONTROL, NO_STORE);
    }
    if is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT);
    }
    response
}

/// Handshakes that one address may have under way; further connections are closed as they come.
const HANDSHAKES_PER_ADDRESS: usize = 8;

/// How many there are from where, no more than so many from one address.
#[derive(Debug, Clone)]
pub(super) struct Bounded {
    max: usize,
    counts: Arc<Mutex<HashMap<Origin, usize>>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    all: Bounded,
    from: Origin,
}

impl Bounded {
    /// At most `max` from one address.
    pub(super) fn by_address(max: usize) -> Self {
        Self { max, counts: Arc::default() }
    }

    /// Handshakes.
    pub(super) fn handshakes() -> Self {
        Self::by_address(HANDSHAKES_PER_ADDRESS)
    }

    /// One more; nothing if there are too many from there.
    pub(super) fn begin(&self, from: IpAddr) -> Option<Counted> {
        let from = Origin::from(from);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Counted { all: self.clone(), from })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

/// What carries a connection's bytes.
pub(super) enum Wire {
    Plain(TcpStream),
    /// Whoever reads or writes takes the handshake further.
    Shaking {
        accept: Box<Accept<TcpStream>>,
        _handshake: Counted,
    },
    Shaken(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Broken,
}

impl Wire {
    /// A connection from `from`, as the port is protected; nothing if there are too many handshakes from there.
    pub(super) fn new(stream: TcpStream, protection: &Protection, from: IpAddr, all: &Bounded) -> Option<Self> {
        match protection {
            Protection::Plain => Some(Self::Plain(stream)),
            Protection::Tls(config) => {
                let handshake = all.begin(from)?;
                let accept = TlsAcceptor::from(Arc::clone(config)).accept(stream);
                Some(Self::Shaking { accept: Box::new(accept), _handshake: handshake })
            }
        }
    }

    /// Whether bytes may be carried yet.
    pub(super) fn is_shaking(&self) -> bool {
        matches!(self, Self::Shaking { .. })
    }

    /// Takes the handshake further, if it is not over.
    fn shake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Shaking { accept, .. } = self else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(accept.as_mut()).poll(context)) {
            Ok(stream) => {
                *self = Self::Shaken(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                *self = Self::Broken;
                Poll::Ready(Err(error))
            }
        }
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.shake(context))?;
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Shaken(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Shaking { .. } | Self::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.shake(context))?;
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Shaken(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Shaking { .. } | Self::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Shaken(stream) => Pin::new(stream).poll_flush(context),
            // Nothing has been written yet.
            Self::Shaking { .. } | Self::Broken => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Shaken(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Shaking { .. } | Self::Broken => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_loopback_is_without_tls() {
        let [loopback, any] = ["127.0.0.1:7003", "0.0.0.0:7003"].map(|address| address.parse().unwrap());
        for (security, at_loopback, at_any) in [
            (HttpSecurity::Auto, Some(false), Some(true)),
            (HttpSecurity::Tls, Some(true), Some(true)),
            (HttpSecurity::PlainLoopback, Some(false), None),
        ] {
            assert_eq!((security.is_tls_at(loopback), security.is_tls_at(any)), (at_loopback, at_any), "{security:?}");
        }
    }

    #[test]
    fn an_address_has_so_many_handshakes_and_each_ends() {
        let all = Bounded::handshakes();
        let [one, other]: [IpAddr; 2] = ["192.0.2.7", "192.0.2.8"].map(|address| address.parse().unwrap());
        let mut held: Vec<_> = (0..HANDSHAKES_PER_ADDRESS).map(|_| all.begin(one).unwrap()).collect();
        assert!(all.begin(one).is_none() && all.begin(other).is_some());
        held.pop();
        assert!(all.begin(one).is_some());
        drop(held);
        assert!(all.counts.lock().unwrap().is_empty());
    }
}
