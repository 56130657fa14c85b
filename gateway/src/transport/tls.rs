//! TLS 1.3 and nothing older, without early data.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme, crypto, version,
};
use sha2::{Digest, Sha256};

/// A certificate's SHA-256: what stands for it among the keys that the venue knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

/// Which certificates clients need.
#[derive(Debug, Clone)]
pub enum ClientCertificates {
    /// None. Who has one proves to have its key, whoever certified it, and may log in with it if the venue knows it.
    Optional,
    /// One of these authorities': who has none gets no further than the handshake.
    Of(Arc<RootCertStore>),
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The key is not the certificate's, or of a kind that is not known.
    Server(Error),
    /// The clients' authorities cannot be used.
    Authorities(VerifierBuilderError),
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Server(error) => error.fmt(f),
            Self::Authorities(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConfigError {}

impl From<Error> for ConfigError {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// A server's configuration: TLS 1.3 alone, no early data.
///
/// # Errors
///
/// If the key is not the certificate's, or of a kind that is not known, or there is no authority in a list of them.
pub fn server_config(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: ClientCertificates,
) -> Result<Arc<ServerConfig>, ConfigError> {
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = verifier(clients, &provider)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)?;
    Ok(Arc::new(config))
}

/// What looks at the certificates of clients that may come without one, too.
///
/// # Errors
///
/// If there is no authority in a list of them.
pub fn optional_verifier(clients: ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let provider = Arc::new(crypto::ring::default_provider());
    match clients {
        ClientCertificates::Optional => verifier(clients, &provider),
        ClientCertificates::Of(authorities) => WebPkiClientVerifier::builder_with_provider(authorities, provider)
            .allow_unauthenticated()
            .build()
            .map_err(ConfigError::Authorities),
    }
}

fn verifier(
    clients: ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    match clients {
        ClientCertificates::Optional => Ok(Arc::new(PossessionOnly(provider.signature_verification_algorithms))),
        ClientCertificates::Of(authorities) => {
            WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(provider))
                .build()
                .map_err(ConfigError::Authorities)
        }
    }
}

/// Takes any certificate from whoever has its key. Whether it counts for anything is seen at the login.
#[derive(Debug)]
struct PossessionOnly(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for PossessionOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
