//! A demo venue for tests, which may be stopped and started again, and a wire to it that may be cut.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use client::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use client::wire::{KeyId, SessionId};
use client::{Access, Credentials, Options, Trust};
use tempfile::TempDir;
use venue::arguments::{DurabilityArgument, OrderEntrySecurity, ServeArguments};
use venue::data_folder::{KeyFile, key_file};
use venue::demo;
use venue::serve::Running;

/// A venue of the demo's instruments, accounts and keys.
pub struct Venue {
    pub data: TempDir,
    arguments: ServeArguments,
    running: Option<Running>,
}

impl Venue {
    pub fn start() -> Self {
        Self::start_with(OrderEntrySecurity::Tls)
    }

    pub fn start_with(security: OrderEntrySecurity) -> Self {
        let data = tempfile::tempdir().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let arguments = ServeArguments {
            data: data.path().to_owned(),
            head: Some(data.path().to_owned()),
            durability: DurabilityArgument::Buffered,
            order_entry: any,
            order_entry_security: security,
            market_data: any,
            http: any,
            ..ServeArguments::default()
        };
        let mut venue = Self { data, arguments, running: None };
        venue.run();
        // Whoever comes back finds it where it was.
        venue.arguments.order_entry = venue.address();
        venue
    }

    /// Starts it again, where it was.
    pub fn run(&mut self) {
        let running = Running::start(&self.arguments, demo::commands).unwrap();
        // What the program leaves in the folder of a venue that runs.
        let addresses = serde_json::to_string(running.addresses()).unwrap();
        std::fs::write(self.data.path().join("venue.json"), addresses).unwrap();
        self.running = Some(running);
    }

    pub fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().addresses().order_entry
    }

    /// How a demo account reaches it.
    pub fn access(&self, name: &str) -> Access {
        access(self.data.path(), name, self.address(), self.arguments.order_entry_security)
    }
}

fn access(data: &Path, name: &str, address: SocketAddr, security: OrderEntrySecurity) -> Access {
    let file = key_file(data, name);
    let key = KeyFile::read(&file).unwrap();
    let trust = match security {
        OrderEntrySecurity::PlainLoopback => Trust::PlainLoopback,
        OrderEntrySecurity::Tls => {
            let certificate = CertificateDer::from_pem_file(data.join("certificate.pem")).unwrap();
            Trust::certificate(ServerName::try_from("localhost").unwrap(), certificate).unwrap()
        }
    };
    let credentials = Credentials {
        session: SessionId(key.session.into()),
        key: KeyId(key.key.into()),
        signing_key: key.signing_key(&file).unwrap(),
    };
    Access { addresses: vec![address], trust, credentials, options: Options::DEFAULT }
}

/// A wire to a venue: what the client says may be swallowed, and all connections may be cut.
pub struct Wire {
    pub address: SocketAddr,
    swallows: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    pub fn to(venue: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let swallows = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (swallowing, made) = (Arc::clone(&swallows), Arc::clone(&connections));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(venue).unwrap());
                for stream in [&near, &far] {
                    stream.set_nodelay(true).unwrap();
                    made.lock().unwrap().push(stream.try_clone().unwrap());
                }
                let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let swallowing = Arc::clone(&swallowing);
                std::thread::spawn(move || carry(from, to, &swallowing));
                std::thread::spawn(move || carry(far, near, &AtomicBool::new(false)));
            }
        });
        Self { address, swallows, connections }
    }

    /// From now on nothing that the client says arrives, or again everything.
    pub fn swallow(&self, swallows: bool) {
        self.swallows.store(swallows, Ordering::SeqCst);
    }

    pub fn cut(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            // It may be over already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, swallows: &AtomicBool) {
    let mut bytes = [0; 4_096];
    while let Ok(count) = from.read(&mut bytes)
        && count > 0
    {
        if !swallows.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
