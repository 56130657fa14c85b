//! Asking others over TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// TLS that trusts the certificates of a PEM file, of which there has to be one, and no others.
pub(crate) fn trusting(file: &Path) -> Result<TlsConfig, pem::Error> {
    let certificates = CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(pem::Error::NoItemsFound);
    }
    let trusted = certificates.iter().map(|it| Certificate::from_der(it).to_owned()).collect::<Vec<_>>();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
        .build())
}
