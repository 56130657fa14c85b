//! The venue that is loaded, and the traders' way to it: in this process, on a folder of its own, or one that runs
//! already.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::rustls::{ServerConfig, crypto, version};
use client::wire::SessionVersion;
use client::{Client, Options, Resume, Trust};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use venue::affinity::{self, CoreNumber};
use venue::arguments::{OrderEntrySecurity, ServeArguments};
use venue::config::Threads;
use venue::data_folder::DataFolder;
use venue::serve::Addresses;

use super::arguments::{Arguments, Security};
use super::link::{Link, Protection, wall_clock};
use super::orders::{Names, SESSIONS_MAX, clear, set_up};
use super::traders::{PROCESSORS_TO_SPIN, Waiting};
use crate::failure::Failure;
use crate::trading::served::{self, Access, Served, ServedError};

/// Where a mode's venue is, and who may trade there.
pub struct Stage {
    arguments: Arguments,
    threads: Threads,
    data: PathBuf,
    access: Access,
    protection: Protection,
    names: Names,
    /// Removed with the stage.
    _temporary: Option<TempDir>,
}

/// A venue that is up.
pub struct Up {
    /// Nothing if it is somebody else's.
    served: Option<Served>,
    order_entry: SocketAddr,
    data: PathBuf,
}

/// What it takes to log in at the venue of a data folder.
pub fn reach(data: &Path, security: Security) -> Result<(Access, Protection), Failure> {
    let folder = DataFolder::open(data).map_err(ServedError::from)?;
    let access = Access::of(&folder)?;
    let protection = match security {
        Security::Tls => Protection::Tls(access.client_config().map_err(ServedError::from)?),
        Security::Plain => Protection::Plain,
    };
    Ok((access, protection))
}

impl Stage {
    /// Of these arguments.
    pub fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let threads = arguments.threads()?;
        if arguments.sessions > SESSIONS_MAX {
            let sessions = arguments.sessions;
            return Err(Failure::Usage(format!("--sessions {sessions}: the venue admits {SESSIONS_MAX}")));
        }
        raise_descriptors();
        let (data, temporary) = match (&arguments.data, &arguments.connect) {
            (Some(data), _) => (data.clone(), None),
            (None, Some(_)) => {
                return Err(Failure::Usage("--connect: needs --data, the venue's data folder".to_owned()));
            }
            (None, None) => {
                let directory = arguments.directory();
                let made = tempfile::tempdir_in(&directory).map_err(|error| Failure::io(&directory, error))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let (access, protection) = reach(&data, arguments.security)?;
        Ok(Self {
            arguments: arguments.clone(),
            threads,
            data,
            access,
            protection,
            names: Names::of(wall_clock()),
            _temporary: temporary,
        })
    }

    /// How the venue's threads wait and where they run.
    pub fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Its traders' keys and certificates.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Starts the venue, as it was when it was stopped, or finds it.
    pub fn up(&self) -> Result<Up, Failure> {
        if let Some(address) = &self.arguments.connect {
            return Ok(Up { served: None, order_entry: resolved(address)?, data: self.data.clone() });
        }
        let arguments = serve_arguments(&self.arguments, &self.data);
        // Starting pins the thread that starts: one of its own, and this one stays free.
        let served = std::thread::scope(|scope| {
            let starting = scope.spawn(|| Served::start(&arguments, set_up));
            starting.join().expect("a start does not panic")
        })?;
        let order_entry = served.addresses().order_entry;
        Ok(Up { served: Some(served), order_entry, data: self.data.clone() })
    }

    /// Takes away what an earlier run has left at a venue that is not in this process.
    pub fn clear(&self, up: &Up) -> Result<(), Failure> {
        if up.served.is_some() {
            return Ok(());
        }
        let trust = match self.arguments.security {
            Security::Tls => self.access.trust().map_err(ServedError::from)?,
            Security::Plain => Trust::PlainLoopback,
        };
        let anew = Resume::Anew(SessionVersion(wall_clock().0));
        let credentials = self.access.credentials(1);
        let client = Client::connect(up.order_entry, &trust, credentials, Options::DEFAULT, anew);
        let mut client = client.map_err(ServedError::from)?;
        clear(&mut client)?;
        client.close()?;
        Ok(())
    }

    /// Opens all sessions at a venue.
    pub fn open(&self, up: &Up) -> Result<Vec<Link>, Failure> {
        let open = |number| Link::open(up.order_entry, &self.protection, self.access.credentials(number), self.names);
        (1..=self.arguments.sessions).map(open).collect()
    }

    /// Opens as many connections to what only answers.
    pub fn open_bare(&self, address: SocketAddr) -> Result<Vec<Link>, Failure> {
        let open = |number| Link::open_bare(address, &self.protection, self.access.credentials(number), self.names);
        (1..=self.arguments.sessions).map(open).collect()
    }

    /// How a server with the venue's certificate protects its connections, if they are protected.
    pub fn server_protection(&self) -> Result<Option<Arc<ServerConfig>>, Failure> {
        match self.protection {
            Protection::Tls(_) => self.server_config().map(Some),
            Protection::Plain => Ok(None),
        }
    }

    /// TLS with the venue's certificate.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, Failure> {
        let folder = DataFolder::open(&self.data).map_err(ServedError::from)?;
        let certificate = folder.certificate().and_then(|certificate| certificate.parse());
        let (certificates, key) = certificate.map_err(ServedError::from)?;
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(ServedError::from)?;
        Ok(Arc::new(config))
    }

    /// Whether a limit that is measured on this machine means something.
    pub fn is_local(&self) -> Result<bool, Failure> {
        match &self.arguments.connect {
            None => Ok(true),
            Some(address) => Ok(resolved(address)?.ip().is_loopback()),
        }
    }

    /// How the traders' thread waits.
    pub fn waiting(&self) -> Waiting {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        if processors >= PROCESSORS_TO_SPIN { Waiting::Spin } else { Waiting::Sleep }
    }

    /// Does something on a thread for the traders, which is where they were asked to be, or off the core's processor.
    pub fn on_the_traders_thread<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let failed = |error| Failure::io(Path::new("the traders' thread"), error);
        let placed = || match (self.arguments.client_core, &self.threads.placement) {
            (Some(core), _) => affinity::pin(CoreNumber(core)),
            (None, Some(placement)) => affinity::keep_to(&placement.others),
            (None, None) => Ok(()),
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("traders".to_owned());
            let acting = thread.spawn_scoped(scope, move || placed().map_err(failed).and_then(|()| act()));
            acting.map_err(failed)?.join().expect("the traders do not panic")
        })
    }
}

impl Up {
    /// The venue, if it is in this process.
    pub fn served(&self) -> Option<&Served> {
        self.served.as_ref()
    }

    /// Where it publishes market data.
    pub fn market_data(&self) -> Result<SocketAddr, Failure> {
        match &self.served {
            Some(served) => Ok(served.addresses().market_data),
            None => Ok(announced(&self.data)?.market_data),
        }
    }

    /// Stops it, if it is in this process.
    pub fn down(self) -> Result<(), Failure> {
        self.served.map(Served::stop).transpose()?;
        Ok(())
    }
}

/// Founds the venue of a mix in `data`, for `rialto serve --data`.
pub fn prepare(data: &Path) -> Result<(), Failure> {
    let arguments = served::arguments(data, ServeArguments::default().durability);
    Served::start(&arguments, set_up)?.stop()?;
    Ok(())
}

/// The options of the venue in `data`.
fn serve_arguments(arguments: &Arguments, data: &Path) -> ServeArguments {
    ServeArguments {
        idle: arguments.idle,
        cores: arguments.core_arguments(),
        order_entry_security: match arguments.security {
            Security::Tls => OrderEntrySecurity::Tls,
            Security::Plain => OrderEntrySecurity::PlainLoopback,
        },
        ..served::arguments(data, arguments.durability)
    }
}

/// Where the venue that runs on `data` listens.
fn announced(data: &Path) -> Result<Addresses, Failure> {
    let file = data.join("venue.json");
    let text = fs::read_to_string(&file).map_err(|error| Failure::io(&file, error))?;
    serde_json::from_str(&text).map_err(|error| Failure::malformed(&file, 1, error.to_string()))
}

fn resolved(address: &str) -> Result<SocketAddr, Failure> {
    let mut found =
        address.to_socket_addrs().map_err(|error| Failure::Usage(format!("--connect {address}: {error}")))?;
    found.next().ok_or_else(|| Failure::Usage(format!("--connect {address}: no address")))
}

/// Lets this process have as many descriptors as it may: each session has two ends.
pub fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What it may have already stays; who lacks some is told when it connects.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
