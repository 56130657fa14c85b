//! Reaching a running venue: where it listens, whom to trust, and who logs in.
//!
//! A venue on this machine is found by its data folder, which holds all three. Any other is named by its address, its
//! certificate and a key.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use client::market_data;
use client::rustls::RootCertStore;
use client::rustls::pki_types::pem::{self, PemObject};
use client::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use client::{Client, ConnectError, Credentials, Identity, Options, Resume, Trust};
use ed25519_dalek::Signer as _;
use wire::{AccountId, KeyId, SessionId, SessionVersion, Timestamp};

use crate::arguments::{SubscriberArguments, TraderArguments, VenueArguments};
use crate::data_folder::{DataFolderError, KeyFile, key_file};
use crate::exit::Exit;
use crate::serve::Addresses;

/// The name in the certificate that a venue makes for itself.
const OWN_NAME: &str = "localhost";

/// Why a venue is not reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The command line cannot be followed.
    #[error("{0}")]
    Usage(String),
    /// No venue runs on the data folder.
    #[error(
        "no venue runs on {folder}: it has no venue.json; start one with `rialto serve --data {folder}`, or name \
         another folder with --data", folder = .0.display()
    )]
    NotRunning(PathBuf),
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not say what it should.
    #[error("{}: {reason}", file.display())]
    Unusable {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is nobody there, or not who is expected, or they refuse the session.
    #[error("no session with the venue at {address}: {source}")]
    OrderEntry {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: ConnectError,
    },
    /// There is nobody there, or not who is expected.
    #[error("no market data of the venue at {address}: {source}")]
    MarketData {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: market_data::SubscribeError,
    },
    /// It was there, and is not any more, or says nothing.
    #[error("{0}")]
    Lost(String),
}

impl ReachError {
    /// What the program's exit code says.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Unusable { .. } => Exit::Usage,
            Self::OrderEntry { source: ConnectError::Refused(_), .. } => Exit::Differs,
            Self::NotRunning(_)
            | Self::File { .. }
            | Self::OrderEntry { .. }
            | Self::MarketData { .. }
            | Self::Lost(_) => Exit::InputOutput,
        }
    }
}

/// Which of a venue's doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    OrderEntry,
    MarketData,
}

/// A venue that may be reached.
#[derive(Debug, Clone)]
struct Place {
    address: SocketAddr,
    name: String,
    certificate: CertificateDer<'static>,
}

/// Who trades.
struct Trader {
    account: AccountId,
    credentials: Credentials,
}

/// Logs a trader in and opens the session.
///
/// # Errors
/// Any [`ReachError`].
pub fn order_entry(arguments: &TraderArguments) -> Result<(Client, AccountId), ReachError> {
    let Place { address, name, certificate } = place(&arguments.venue, Door::OrderEntry)?;
    let Trader { account, credentials } = trader(arguments)?;
    let name = ServerName::try_from(name).map_err(|error| ReachError::Usage(format!("--connect: {error}")))?;
    let refused = |source: ConnectError| ReachError::OrderEntry { address, source };
    let mut trust = Trust::certificate(name, certificate).map_err(|error| refused(error.into()))?;
    if let (Some(certificate), Some(key)) = (&arguments.client_certificate, &arguments.client_key) {
        trust = trust.with_identity(identity(certificate, key)?);
    }
    let login = Resume::Anew(SessionVersion(now().0));
    let client = Client::connect(address, &trust, credentials, Options::DEFAULT, login).map_err(refused)?;
    Ok((client, account))
}

/// Where market data is, whom to trust there, and who asks for it.
///
/// # Errors
/// Any [`ReachError`].
pub fn market_data(
    arguments: &SubscriberArguments,
) -> Result<(SocketAddr, market_data::Trust, market_data::Credentials), ReachError> {
    let Place { address, name: server_name, certificate } = place(&arguments.venue, Door::MarketData)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(|error| ReachError::MarketData { address, source: error.into() })?;
    let trust = market_data::Trust { server_name, roots: Arc::new(roots) };
    Ok((address, trust, subscriber(arguments)?))
}

fn subscriber(arguments: &SubscriberArguments) -> Result<market_data::Credentials, ReachError> {
    let SubscriberArguments { venue, account, key } = arguments;
    let file = match (key, account) {
        (Some(file), _) => file.clone(),
        (None, Some(name)) => key_file(&venue.data, name),
        (None, None) => return Ok(market_data::Credentials::Anonymous),
    };
    let key = read_named_key(&file, account.as_deref())?;
    let signing_key = key.signing_key(&file).map_err(unusable)?;
    let signer: market_data::Signer = Arc::new(move |text: &[u8]| signing_key.sign(text).to_bytes());
    Ok(market_data::Credentials::Key { key_id: KeyId(key.key.into()), signer })
}

/// The time, as logins, openings and latencies have it.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

fn place(arguments: &VenueArguments, door: Door) -> Result<Place, ReachError> {
    match (&arguments.connect, &arguments.certificate) {
        (Some(connect), Some(file)) => {
            let (address, name) = resolved(connect)?;
            Ok(Place { address, name, certificate: certificate(file)? })
        }
        _ => place_of_folder(&arguments.data, door),
    }
}

/// Where the venue listens that runs on a data folder.
pub fn announced(folder: &Path) -> Result<Addresses, ReachError> {
    let file = folder.join("venue.json");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReachError::NotRunning(folder.to_owned())),
        Err(source) => return Err(ReachError::File { file, source }),
    };
    serde_json::from_str(&text).map_err(|error| ReachError::Unusable { file, reason: error.to_string() })
}

fn place_of_folder(folder: &Path, door: Door) -> Result<Place, ReachError> {
    let addresses = announced(folder)?;
    let listening = match door {
        Door::OrderEntry => addresses.order_entry,
        Door::MarketData => addresses.market_data,
    };
    let certificate = certificate(&folder.join("certificate.pem"))?;
    Ok(Place { address: reachable(listening), name: OWN_NAME.to_owned(), certificate })
}

/// Who listens everywhere is reached on this machine.
pub fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// The address of `HOST:PORT`, and the host as its certificate names it.
fn resolved(connect: &str) -> Result<(SocketAddr, String), ReachError> {
    let usage = |reason: String| ReachError::Usage(format!("--connect {connect}: {reason}"));
    let (host, _) = connect.rsplit_once(':').ok_or_else(|| usage("a host and a port are needed, HOST:PORT".into()))?;
    let mut addresses = connect.to_socket_addrs().map_err(|error| usage(error.to_string()))?;
    let address = addresses.next().ok_or_else(|| usage("the host has no address".into()))?;
    Ok((address, host.trim_matches(['[', ']']).to_owned()))
}

fn certificate(file: &Path) -> Result<CertificateDer<'static>, ReachError> {
    let bytes = std::fs::read(file).map_err(|source| ReachError::File { file: file.to_owned(), source })?;
    CertificateDer::from_pem_slice(&bytes)
        .map_err(|error| ReachError::Unusable { file: file.to_owned(), reason: format!("no certificate: {error}") })
}

/// What a venue is shown that demands client certificates.
fn identity(certificate: &Path, key: &Path) -> Result<Identity, ReachError> {
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(certificate))?;
    if certificates.is_empty() {
        let reason = "no certificate is in it".to_owned();
        return Err(ReachError::Unusable { file: certificate.to_owned(), reason });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            ReachError::Unusable { file: key.to_owned(), reason: "no private key is in it".to_owned() }
        }
        other => unreadable(key)(other),
    })?;
    Ok(Identity { certificates, key })
}

fn unreadable(file: &Path) -> impl Fn(pem::Error) -> ReachError + use<> {
    let file = file.to_owned();
    move |error| match error {
        pem::Error::Io(source) => ReachError::File { file: file.clone(), source },
        other => ReachError::Unusable { file: file.clone(), reason: other.to_string() },
    }
}

fn trader(arguments: &TraderArguments) -> Result<Trader, ReachError> {
    let file = match (&arguments.key, &arguments.account) {
        (Some(file), _) => file.clone(),
        (None, _) if arguments.venue.connect.is_some() => {
            return Err(ReachError::Usage("--connect needs --key: the key to log in with".into()));
        }
        (None, Some(name)) => key_file(&arguments.venue.data, name),
        (None, None) => return Err(ReachError::Usage("--account is missing: who trades, such as alice".into())),
    };
    let name = arguments.account.as_deref().filter(|_| arguments.key.is_none());
    let key = read_named_key(&file, name)?;
    let signing_key = key.signing_key(&file).map_err(unusable)?;
    let account = match (&arguments.key, &arguments.account) {
        (Some(_), Some(number)) => number
            .parse()
            .map_err(|_| ReachError::Usage(format!("--account {number}: beside --key it is the account's number")))?,
        _ => key.account,
    };
    let credentials = Credentials { session: SessionId(key.session.into()), key: KeyId(key.key.into()), signing_key };
    Ok(Trader { account: AccountId(account.into()), credentials })
}

/// Reads a key, which has a name in the data folder or none.
fn read_named_key(file: &Path, name: Option<&str>) -> Result<KeyFile, ReachError> {
    KeyFile::read(file).map_err(unusable).map_err(|error| match (error, name) {
        (ReachError::File { source, .. }, Some(name)) if source.kind() == io::ErrorKind::NotFound => {
            ReachError::Usage(format!("--account {name}: there is no key {}", file.display()))
        }
        (other, _) => other,
    })
}

fn unusable(error: DataFolderError) -> ReachError {
    match error {
        DataFolderError::Io { file, source } => ReachError::File { file, source },
        DataFolderError::Unusable { file, reason } => ReachError::Unusable { file, reason },
    }
}
