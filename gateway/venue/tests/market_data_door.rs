//! Who is let in to a venue's market data, what each is shown, and that a revoked key is cut off.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use client::SigningKey;
use client::market_data::{BlockingSubscriber, Credentials, Patience, SubscribeError, Trust, Update};
use client::rustls::RootCertStore;
use client::rustls::pki_types::PrivateKeyDer;
use ed25519_dalek::Signer;
use rcgen::{CertificateParams, KeyPair};
use venue::arguments::ServeArguments;
use venue::data_folder::{DataFolder, KeyHolder};
use venue::demo;
use venue::serve::Running;
use wire::{DeliveryMode, FeedLevel, KeyId, SecurityId, SubscribeRejectReason};

const ALICE: KeyHolder = demo::TRADERS[0];
const BOOKS: [SecurityId; 2] = [SecurityId(1), SecurityId(2)];

struct Served {
    running: Running,
    folder: DataFolder,
}

impl Served {
    fn start(data: &Path, allow: &[&str]) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let arguments = ServeArguments {
            data: data.to_owned(),
            head: Some(data.to_owned()),
            order_entry: any,
            market_data: any,
            http: any,
            market_data_allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
            ..ServeArguments::default()
        };
        let running = Running::start(&arguments, demo::commands).unwrap();
        Self { running, folder: DataFolder::open(data).unwrap() }
    }

    fn admin(&self, arguments: &[&str]) {
        let address = self.running.addresses().http.to_string();
        let key = self.folder.path().join("keys/administrator.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["admin", "--connect", &address, "--json", "--reason", "a test", "--key"]).arg(key);
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }

    fn connect(&self, credentials: &Credentials) -> Result<BlockingSubscriber, SubscribeError> {
        let (certificates, _) = self.folder.certificate().unwrap().parse().unwrap();
        let mut roots = RootCertStore::empty();
        certificates.into_iter().for_each(|certificate| roots.add(certificate).unwrap());
        let trust = Trust { server_name: "localhost".to_owned(), roots: Arc::new(roots) };
        BlockingSubscriber::open(self.running.addresses().market_data, &trust, credentials, Patience::default())
    }

    /// What a subscriber sees first of a book at a level: `true`, the book; why not, if it is refused.
    fn sees(
        &self,
        credentials: &Credentials,
        book: SecurityId,
        level: FeedLevel,
    ) -> Result<bool, SubscribeRejectReason> {
        let mut subscriber = self.connect(credentials).unwrap();
        subscriber.subscribe(&[book], level, DeliveryMode::Live).unwrap();
        loop {
            match subscriber.next().unwrap() {
                Update::Book { security_id, .. } => return Ok(security_id == book),
                Update::Rejected(reject) => return Err(reject.reason),
                _ => {}
            }
        }
    }

    fn alice(&self) -> Credentials {
        key(ALICE.key.into(), self.folder.key(&ALICE).unwrap())
    }
}

fn key(key_id: KeyId, signing: SigningKey) -> Credentials {
    Credentials::Key { key_id, signer: Arc::new(move |text| signing.sign(text).to_bytes()) }
}

/// With which reason the venue closed.
fn closed<T>(outcome: Result<T, SubscribeError>) -> String {
    match outcome {
        Ok(_) => panic!("let in"),
        Err(SubscribeError::Connection(error)) => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

const NOT_LET_IN: &str = "closed by peer: not let in (code 4)";

#[test]
fn each_sees_what_its_role_may() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path(), &["anonymous=trades+best@1", "any-key=mbp10", "trader=mbo@2"]);
    let refused = Err(SubscribeRejectReason::NotEntitled);
    let anonymous = Credentials::Anonymous;
    assert_eq!(venue.sees(&anonymous, BOOKS[0], FeedLevel::BestBidOffer), Ok(true));
    assert_eq!(venue.sees(&anonymous, BOOKS[1], FeedLevel::BestBidOffer), refused);
    assert_eq!(venue.sees(&anonymous, BOOKS[0], FeedLevel::MarketByPrice10), refused);
    let alice = venue.alice();
    assert_eq!(venue.sees(&alice, BOOKS[0], FeedLevel::BestBidOffer), Ok(true));
    assert_eq!(venue.sees(&alice, BOOKS[1], FeedLevel::MarketByPrice10), Ok(true));
    assert_eq!(venue.sees(&alice, BOOKS[1], FeedLevel::MarketByOrder), Ok(true));
    assert_eq!(venue.sees(&alice, BOOKS[0], FeedLevel::MarketByOrder), refused);
    assert_eq!(venue.sees(&alice, BOOKS[0], FeedLevel::Reference), refused);

    // Of all books, it gets those that it may see.
    let mut subscriber = venue.connect(&alice).unwrap();
    subscriber.subscribe(&[], FeedLevel::MarketByOrder, DeliveryMode::Live).unwrap();
    let seen = loop {
        if let Update::Book { security_id, .. } = subscriber.next().unwrap() {
            break security_id;
        }
    };
    assert_eq!(seen, BOOKS[1]);
    drop(subscriber);
    venue.running.stop().unwrap();
}

#[test]
fn who_proves_nothing_stays_outside_and_who_guesses_is_locked_out() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path(), &["any-key=all"]);
    let mut subscriber = venue.connect(&Credentials::Anonymous).unwrap();
    subscriber.subscribe(&BOOKS, FeedLevel::Trades, DeliveryMode::Live).unwrap();
    assert_eq!(closed(subscriber.next()), NOT_LET_IN);
    let other = SigningKey::from_bytes(&[9; 32]);
    assert_eq!(closed(venue.connect(&key(KeyId(4_000), other.clone()))), NOT_LET_IN);
    let alice = venue.alice();
    assert_eq!(venue.sees(&alice, BOOKS[0], FeedLevel::Trades), Ok(true));
    for _ in 0..8 {
        assert_eq!(closed(venue.connect(&key(ALICE.key.into(), other.clone()))), NOT_LET_IN);
    }
    // Even the right signature does not help from there for a while.
    assert_eq!(closed(venue.connect(&alice)), NOT_LET_IN);
    venue.running.stop().unwrap();
}

#[test]
fn a_certificate_is_a_key_and_a_revoked_key_is_cut_off() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path(), &["read-only=mbp"]);
    let pair = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["carol".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let chain = vec![certificate.der().clone()];
    let private = Arc::new(PrivateKeyDer::try_from(pair.serialize_der()).unwrap());
    let carol = Credentials::Certificate { chain, key: private };
    let mut subscriber = venue.connect(&carol).unwrap();
    subscriber.subscribe(&BOOKS, FeedLevel::MarketByPrice, DeliveryMode::Live).unwrap();
    assert_eq!(closed(subscriber.next()), NOT_LET_IN);

    let file = data.path().join("carol.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    venue.admin(&["key", "add", "9", "--certificate", file.to_str().unwrap()]);
    assert_eq!(closed(venue.connect(&carol).and_then(|mut it| it.next())), NOT_LET_IN);
    venue.admin(&["key", "grant", "9", "--role", "read-only", "--account", "2"]);
    let mut subscriber = venue.connect(&carol).unwrap();
    subscriber.subscribe(&BOOKS, FeedLevel::MarketByPrice, DeliveryMode::Live).unwrap();
    while !matches!(subscriber.next().unwrap(), Update::Book { .. }) {}
    venue.admin(&["key", "revoke", "9"]);
    let reason = loop {
        if let Err(SubscribeError::Connection(error)) = subscriber.next() {
            break error.to_string();
        }
    };
    assert_eq!(reason, "closed by peer: its rights were revoked (code 5)");
    assert_eq!(closed(venue.connect(&carol).and_then(|mut it| it.next())), NOT_LET_IN);
    venue.running.stop().unwrap();
}
