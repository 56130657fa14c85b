//! The publisher that is measured, fed without a venue.

use std::sync::Arc;

use client::rustls::crypto::ring::default_provider;
use client::rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use client::wire::FeedLevel;
use marketdata::quic::loopback;
use marketdata::{Config, Feed, Identity, Limits, OpenDoor, Publisher};
use ring::EventReader;
use tempfile::TempDir;
use venue::data_folder::{Certificate, DataFolder};

use super::readers::Source;
use super::{failed, other};
use crate::failure::Failure;
use crate::load::bare_quic::{self, BarePublisher};
use crate::load::link::wall_clock;

/// A certificate, and those who trust it.
pub(super) struct Place {
    certificate: Certificate,
    _folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(failed("a folder"))?;
        let opened = DataFolder::open(folder.path()).and_then(|data| data.certificate());
        let certificate = opened.map_err(|error| failed("a certificate")(other(error)))?;
        Ok(Self { certificate, _folder: folder })
    }

    fn identity(&self) -> Result<Identity, Failure> {
        let parsed = self.certificate.parse().map_err(|error| failed("a certificate")(other(error)))?;
        Ok(Identity { certificates: parsed.0, key: parsed.1 })
    }

    pub(super) fn roots(&self) -> Result<Arc<RootCertStore>, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in self.identity()?.certificates {
            roots.add(certificate).map_err(|error| failed("a certificate")(other(error)))?;
        }
        Ok(Arc::new(roots))
    }

    fn client(&self) -> Result<Arc<ClientConfig>, Failure> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| failed("TLS")(other(error)))?;
        Ok(Arc::new(builder.with_root_certificates(self.roots()?).with_no_client_auth()))
    }

    /// A publisher of `feed`, and where to read it.
    pub(super) fn publish(
        &self,
        feed: Feed,
        events: EventReader,
        level: FeedLevel,
    ) -> Result<(Publisher, Source), Failure> {
        // All of them come from one address, at once.
        let limits = Limits {
            connections_per_address: 65_536,
            subscribers_max: 65_536,
            validate_addresses_above: 65_536,
            ..Limits::default()
        };
        let config = Config {
            listen: loopback(),
            identity: self.identity()?,
            client_verifier: None,
            clock: Arc::new(wall_clock),
            door: Arc::new(OpenDoor),
            limits,
            threads: 1,
            seats: 0,
        };
        let publisher = Publisher::start(config, events, feed).map_err(failed("the publisher"))?;
        let source =
            Source { address: publisher.local_addr(), tls: self.client()?, alpn: marketdata::quic::ALPN, level };
        Ok((publisher, source))
    }

    /// One that publishes bytes, and nothing else.
    pub(super) fn publish_bare(&self, level: FeedLevel) -> Result<(BarePublisher, Source), Failure> {
        let Identity { certificates, key } = self.identity()?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(|error| failed("TLS")(other(error)))?;
        let publisher = BarePublisher::start(&config)?;
        let source = Source { address: publisher.address(), tls: self.client()?, alpn: bare_quic::ALPN, level };
        Ok((publisher, source))
    }
}
