//! TLS 1.3 and nothing older, without early data.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto, version};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A server's configuration: TLS 1.3 alone, no client certificates, no early data.
///
/// # Errors
///
/// If the key is not the certificate's, or of a kind that is not known.
pub fn server_config(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    Ok(Arc::new(config))
}

/// The handshake. Whatever the configuration allows, a connection of an older version is refused.
pub(crate) async fn accept(config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => Ok(stream),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not TLS 1.3")),
    }
}
