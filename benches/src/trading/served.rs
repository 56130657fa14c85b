//! A venue inside this process, its doors open on free ports.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use client::rustls::pki_types::{CertificateDer, ServerName};
use client::rustls::{ClientConfig, RootCertStore, crypto, version};
use client::{Client, ConnectError, Credentials, Options, Resume, SigningKey, Trust, wire};
use engine::command::{AddKey, AdminNote, GrantRole, KeyKind, Role};
use engine::limits::SESSIONS_PER_KEY;
use engine::{AccountId, CommandBody, KeyId, SessionId};
use venue::arguments::{DurabilityArgument, ServeArguments, ThrottleArgument};
use venue::data_folder::{DataFolder, DataFolderError, KeyHolder};
use venue::hops::HopTimes;
use venue::serve::{Addresses, Running, ServeError, SetUp};
use venue::topology::Ended;

/// Why a venue cannot be traded with.
#[derive(Debug, thiserror::Error)]
pub enum ServedError {
    /// It cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// Its certificate cannot be trusted.
    #[error(transparent)]
    Certificate(#[from] client::rustls::Error),
    /// It does not let a trader in.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// The options of a venue in `data` that listens on free ports of this machine, its head beside its journal. Its sessions
/// all come from this machine, and go as fast as they can.
pub fn arguments(data: &Path, durability: DurabilityArgument) -> ServeArguments {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ServeArguments {
        data: data.to_owned(),
        head: Some(data.to_owned()),
        durability,
        order_entry: any,
        throttle_trader: ThrottleArgument::OFF,
        throttle_market_maker: ThrottleArgument::OFF,
        connections_per_address: ServeArguments::default().connections_max,
        market_data: any,
        http: any,
        ..ServeArguments::default()
    }
}

/// The traders' key; any session may use it.
const KEY: KeyHolder = KeyHolder { name: "trader", key: KeyId(1), session: SessionId(1), account: AccountId::NONE };

/// Lets the key of the folder trade for `accounts`.
pub fn admit(folder: &DataFolder, accounts: impl IntoIterator<Item = AccountId>) -> SetUp {
    admit_sessions(folder, SESSIONS_PER_KEY, accounts)
}

/// The same, through so many sessions: as a key has only some, it has as many siblings as they need.
pub fn admit_sessions(folder: &DataFolder, sessions: u32, accounts: impl IntoIterator<Item = AccountId>) -> SetUp {
    let note = AdminNote::NONE;
    let first = folder.key(&KEY)?;
    let accounts: Vec<_> = accounts.into_iter().collect();
    let keys = (1..=sessions).step_by(SESSIONS_PER_KEY as usize).map(key_of);
    let admit = keys.flat_map(|key| {
        let public_key = sibling(&first, key).verifying_key().to_bytes();
        let add: CommandBody = AddKey { key, kind: KeyKind::Ed25519, public_key, note }.into();
        let grant = move |&account| GrantRole { key, role: Role::Trader, account, note }.into();
        [add].into_iter().chain(accounts.iter().map(grant))
    });
    Ok(admit.collect())
}

/// Which number the key has that opens a session, from 1.
fn key_of(session: u32) -> KeyId {
    KeyId(KEY.key.0 + (session - 1) / SESSIONS_PER_KEY)
}

/// The key of a number that goes with the folder's one: whoever has that has all.
fn sibling(first: &SigningKey, key: KeyId) -> SigningKey {
    let mut secret = first.to_bytes();
    for (byte, other) in secret.iter_mut().zip((key.0 - KEY.key.0).to_le_bytes()) {
        *byte ^= other;
    }
    SigningKey::from_bytes(&secret)
}

/// What a trader needs to reach the venue of a folder.
#[derive(Clone)]
pub struct Access {
    signing_key: SigningKey,
    certificate: CertificateDer<'static>,
}

impl Access {
    /// The access that the folder gives to who may read its secrets.
    pub fn of(folder: &DataFolder) -> Result<Self, ServedError> {
        let (mut certificates, _) = folder.certificate()?.parse()?;
        Ok(Self { signing_key: folder.key(&KEY)?, certificate: certificates.remove(0) })
    }

    /// Opens a session at `address`.
    pub fn connect(
        &self,
        address: SocketAddr,
        number: u32,
        options: Options,
        resume: Resume,
    ) -> Result<Client, ConnectError> {
        Client::connect(address, &self.trust()?, self.credentials(number), options, resume)
    }

    /// Who logs in to session `number`.
    pub fn credentials(&self, number: u32) -> Credentials {
        let key = key_of(number);
        Credentials {
            session: wire::SessionId(number.into()),
            key: key.into(),
            signing_key: sibling(&self.signing_key, key),
        }
    }

    /// Whom a trader takes for the venue.
    pub fn trust(&self) -> Result<Trust, client::rustls::Error> {
        let name = ServerName::try_from("localhost").expect("a name");
        Trust::certificate(name, self.certificate.clone())
    }

    /// TLS to the venue and to nobody else.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, client::rustls::Error> {
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// The venue's certificate, and no other.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, client::rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        Ok(Arc::new(roots))
    }

    /// Whom a subscriber of market data takes for the venue.
    pub fn market_data(&self) -> Result<marketdata::Trust, ServedError> {
        Ok(marketdata::Trust { server_name: "localhost".to_owned(), roots: self.roots()? })
    }
}

/// A venue that is served.
pub struct Served {
    running: Running,
    access: Access,
}

impl Served {
    /// Starts it.
    pub fn start(arguments: &ServeArguments, set_up: impl FnOnce(&DataFolder) -> SetUp) -> Result<Self, ServedError> {
        let running = Running::start(arguments, set_up)?;
        let access = Access::of(&DataFolder::open(&arguments.data)?)?;
        Ok(Self { running, access })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        self.running.addresses()
    }

    /// How to reach it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// How long the hops of its orders take.
    pub fn hops(&self) -> &HopTimes {
        self.running.hops()
    }

    /// Opens a new session.
    pub fn connect(&self, number: u32) -> Result<Client, ServedError> {
        let anew = Resume::Anew(wire::SessionVersion(1));
        Ok(self.access.connect(self.addresses().order_entry, number, Options::DEFAULT, anew)?)
    }

    /// Stops it in order; what it was then.
    pub fn stop(self) -> Result<Ended, ServedError> {
        Ok(self.running.stop()?)
    }
}
