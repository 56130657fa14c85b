//! A session at the order entry of a venue of a test's own.

use std::net::SocketAddr;
use std::path::Path;

use client::rustls::pki_types::pem::PemObject;
use client::rustls::pki_types::{CertificateDer, ServerName};
use client::{Client, ConnectError, Credentials, Incoming, Options, Resume, Trust};
use venue::data_folder::KeyFile;
use venue::reach;
use wire::order_entry::{ExecutionReport, OrderEntryMessage};

/// Opens a session with a key, at a venue whose certificate is in `data`.
pub(crate) fn open(data: &Path, address: SocketAddr, key: &KeyFile) -> Result<Client, ConnectError> {
    let certificate = CertificateDer::from_pem_file(data.join("certificate.pem")).unwrap();
    let trust = Trust::certificate(ServerName::try_from("localhost").unwrap(), certificate).unwrap();
    let credentials = Credentials {
        session: wire::SessionId(key.session.into()),
        key: wire::KeyId(key.key.into()),
        signing_key: key.signing_key(Path::new("a key file")).unwrap(),
    };
    let anew = Resume::Anew(wire::SessionVersion(reach::now().0));
    Client::connect(address, &trust, credentials, Options::DEFAULT, anew)
}

/// The next execution report; assets, definitions and phases of instruments, and balances, are passed over.
pub(crate) fn report(client: &mut Client) -> ExecutionReport {
    loop {
        match client.receive().unwrap() {
            Incoming::Message(OrderEntryMessage::ExecutionReport(report)) => return report,
            Incoming::Message(
                OrderEntryMessage::AssetDefinition(_)
                | OrderEntryMessage::SecurityDefinition(_)
                | OrderEntryMessage::TradingSessionStatus(_)
                | OrderEntryMessage::AccountBalance(_),
            ) => {}
            other => panic!("{other:?}"),
        }
    }
}
