//! The subscriber in Python, which shares no code with the venue, has the engine's own book in the end.
//!
//! Needs the PyPI packages `aioquic`, `cryptography` and `sbe`, for the interpreter that `PYTHON` names (`python3` if it
//! names none).

mod common {
    pub(crate) mod killed;
}

use std::env;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use client::request::CommandMessage;
use client::{Client, Credentials, Incoming, Options, Resume, Trust};
use engine::{Capacity, Engine, InstrumentId, KeyId};
use gateway::transport::tls::{self, ClientCertificates};
use marketdata::checksum::CanonicalText;
use marketdata::quic::loopback;
use marketdata::{Config, Door, Entitlement, Feed, Identity, Limits, Publisher, Refusal};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use venue::arguments::{DurabilityArgument, ServeArguments, ThrottleArgument};
use venue::data_folder::{DataFolder, KeyHolder};
use venue::demo;
use venue::serve::Running;
use venue::topology::{self, Topology};
use wire::order_entry::{NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage};
use wire::{
    AccountId, Block, ClientOrderId, OnDisconnect, OrderCount, OrderType, Price, Quantity, SecurityId, SessionSequence,
    SessionVersion, Side, TimeInForce,
};

use self::common::killed::Killed;

/// No wait of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Its ticks and lots are the mantissas.
const BOOK: InstrumentId = InstrumentId(1);
/// Orders before the subscribers come, and while they are there: enough for a checksum among the packets.
const BEFORE: u32 = 200;
const BESIDE: u32 = 1_800;
/// Levels of each side that a checksum covers.
const PROVEN: usize = 10;

struct Venue {
    running: Running,
    data: TempDir,
}

impl Venue {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let arguments = ServeArguments {
            data: data.path().to_owned(),
            head: Some(data.path().to_owned()),
            durability: DurabilityArgument::Buffered,
            order_entry: any,
            market_data: any,
            http: any,
            throttle_trader: ThrottleArgument::OFF,
            ..ServeArguments::default()
        };
        Self { running: Running::start(&arguments, demo::commands).unwrap(), data }
    }

    fn connect(&self, holder: &KeyHolder) -> Client {
        let folder = DataFolder::open(self.data.path()).unwrap();
        let certificate = folder.certificate().unwrap().parse().unwrap().0.remove(0);
        let trust = Trust::certificate("localhost".try_into().unwrap(), certificate).unwrap();
        let signing_key = folder.key(holder).unwrap();
        let credentials = Credentials { session: holder.session.into(), key: holder.key.into(), signing_key };
        let address = self.running.addresses().order_entry;
        let resume = Resume::Anew(SessionVersion(1));
        let client = Client::connect(address, &trust, credentials, Options::DEFAULT, resume);
        client.map_err(|error| error.to_string()).unwrap()
    }

    fn stop(self) -> Engine {
        self.running.stop().unwrap().engine
    }
}

/// Two traders who do this and that, answer by answer.
struct Flow {
    random: fastrand::Rng,
    traders: [Trader; 2],
    names: u64,
}

struct Trader {
    client: Client,
    account: AccountId,
    /// What may be open.
    names: Vec<ClientOrderId>,
}

impl Flow {
    fn of(venue: &Venue) -> Self {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let traders = [0, 1].map(|index| {
            let holder = &demo::TRADERS[index];
            let account = AccountId(holder.account.0.into());
            Trader { client: venue.connect(holder), account, names: Vec::new() }
        });
        Self { random: fastrand::Rng::with_seed(seed), traders, names: 0 }
    }

    fn go_on(&mut self, count: u32) {
        (0..count).for_each(|_| self.step());
    }

    fn step(&mut self) {
        let random = &mut self.random;
        let trader = random.choice(&mut self.traders).unwrap();
        let what = random.u32(0..10);
        let quantity = Quantity(random.i64(1..50) * 10_000);
        let price = Price(6_400_000 + random.i64(-300..300));
        let index = random.usize(..trader.names.len().max(1));
        match trader.names.get(index).copied() {
            Some(name) if what < 2 => {
                trader.names.swap_remove(index);
                trader.cancel(name);
            }
            Some(name) if what < 5 => trader.amend(name, random.bool().then_some(price), quantity),
            _ => {
                self.names += 1;
                let name = ClientOrderId(self.names);
                trader.names.push(name);
                let display = (what == 9).then(|| Quantity((quantity.0 / 3).max(1)));
                let side = if random.bool() { Side::Buy } else { Side::Sell };
                trader.place(name, side, price, quantity, display);
            }
        }
    }
}

impl Trader {
    fn place(&mut self, name: ClientOrderId, side: Side, price: Price, quantity: Quantity, display: Option<Quantity>) {
        self.send(&NewOrderSingle {
            account: self.account,
            security_id: SecurityId::from(BOOK),
            client_order_id: Some(name),
            price: Some(price),
            order_quantity: Some(quantity),
            display_quantity: display,
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            on_disconnect: OnDisconnect::AsSession,
            ..NewOrderSingle::BLANK
        });
    }

    fn amend(&mut self, name: ClientOrderId, price: Option<Price>, quantity: Quantity) {
        self.send(&OrderCancelReplaceRequest {
            account: self.account,
            original_client_order_id: Some(name),
            price,
            order_quantity: Some(quantity),
            ..OrderCancelReplaceRequest::BLANK
        });
    }

    fn cancel(&mut self, name: ClientOrderId) {
        let account = self.account;
        self.send(&OrderCancelRequest { account, original_client_order_id: Some(name), ..OrderCancelRequest::BLANK });
    }

    /// Sends a command and waits for its answer, whichever that is.
    fn send<M: CommandMessage>(&mut self, command: &M) {
        let number = self.client.send(command).unwrap();
        while answered(&self.client.receive().unwrap()) != Some(number) {}
    }
}

fn answered(incoming: &Incoming) -> Option<SessionSequence> {
    match incoming {
        Incoming::Message(OrderEntryMessage::ExecutionReport(report)) => report.answered_sequence,
        Incoming::Message(OrderEntryMessage::OrderCancelReject(reject)) => reject.answered_sequence,
        Incoming::Message(OrderEntryMessage::BusinessMessageReject(reject)) => panic!("{reject:?}"),
        _ => None,
    }
}

fn python() -> Option<String> {
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let installed = Command::new(&python).args(["-c", "import aioquic, cryptography, sbe"]).output();
    if installed.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {python} has no packages aioquic, cryptography and sbe");
    None
}

/// A subscriber in Python; killed when it is dropped.
struct Subscriber {
    process: Killed,
    lines: Receiver<String>,
}

impl Subscriber {
    fn start(python: &str, venue: &Venue, options: &[&str]) -> Self {
        let options = [options, &["1"]].concat();
        Self::start_at(python, venue.running.addresses().market_data, venue.data.path(), &options)
    }

    /// `folder` has the certificate.
    fn start_at(python: &str, address: SocketAddr, folder: &Path, options: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/python/rialto_market_data.py");
        let mut command = Command::new(python);
        command.arg(script).args(["--quiet", "--until-eof", "--address", &address.to_string(), "--certificate"]);
        command.arg(folder.join("certificate.pem")).args(options);
        let mut process = Killed(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    fn wait_for(&self, event: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {event}: {error}"));
            let said: Value = serde_json::from_str(&line).unwrap();
            if said["event"] == event {
                return said;
            }
        }
    }

    /// Ends it, if it has not ended; what it still said, and its exit code.
    fn end(mut self) -> (Vec<Value>, Option<i32>) {
        drop(self.process.stdin.take());
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            said.push(serde_json::from_str(&line).unwrap());
        }
        (said, self.process.wait().unwrap().code())
    }
}

/// Both sides of the engine's book as the subscriber writes them, and their checksum.
fn book_of(engine: &Engine, level: &str) -> [Value; 3] {
    let mut text = CanonicalText::default();
    let [bids, offers] = engine::Side::BOTH.map(|side| match level {
        "MarketByOrder" => orders_of(engine, side, &mut text),
        "MarketByPrice10" => levels_of(engine, side, 10, &mut text),
        _ => levels_of(engine, side, usize::MAX, &mut text),
    });
    [bids, offers, json!(text.checksum().0)]
}

fn levels_of(engine: &Engine, side: engine::Side, depth: usize, text: &mut CanonicalText) -> Value {
    let mut lines = Vec::new();
    for level in engine.levels(BOOK, side).take(depth) {
        let (price, shown, count) = (mantissa(level.price.0), i64::try_from(level.shown).unwrap(), level.order_count);
        if lines.len() < PROVEN {
            text.level(side.into(), Price(price), Quantity(shown), OrderCount(count));
        }
        lines.push(json!([price, shown, count]));
    }
    lines.into()
}

fn orders_of(engine: &Engine, side: engine::Side, text: &mut CanonicalText) -> Value {
    let proven: Vec<_> = engine.levels(BOOK, side).take(PROVEN).map(|level| level.price).collect();
    let mut lines = Vec::new();
    for order in engine.orders(BOOK, side) {
        let (id, price, shown) = (order.order_id.into(), mantissa(order.price.0), mantissa(order.shown.0));
        if proven.contains(&order.price) {
            text.order(side.into(), id, Price(price), Quantity(shown));
        }
        lines.push(json!([id.0, price, shown]));
    }
    lines.into()
}

fn mantissa(count: u64) -> i64 {
    i64::try_from(count).unwrap()
}

/// How a subscriber gets on after a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    NoLoss,
    Again,
    Snapshot,
}

/// Whatever is lost on the way, and however it is delivered, each that comes late has the engine's book.
#[test]
fn who_comes_late_and_loses_packets_ends_with_the_engines_book_and_proves_it() {
    let Some(python) = python() else { return };
    let venue = Venue::start();
    let mut flow = Flow::of(&venue);
    flow.go_on(BEFORE);
    let cases: [(&str, After, &[&str]); 8] = [
        ("MarketByOrder", After::Again, &["--mode", "streams", "--drop", "5", "--patience", "0.2"]),
        ("MarketByOrder", After::Again, &["--mode", "datagrams", "--drop", "5"]),
        ("MarketByOrder", After::Snapshot, &["--mode", "datagrams", "--drop", "9", "--no-again"]),
        ("MarketByPrice", After::Again, &["--mode", "streams", "--drop", "5", "--patience", "0.2"]),
        ("MarketByPrice", After::Again, &["--mode", "datagrams", "--drop", "5"]),
        ("MarketByPrice", After::NoLoss, &["--mode", "streams"]),
        ("MarketByPrice", After::Again, &["--mode", "conflated", "--drop", "5", "--patience", "0.2"]),
        ("MarketByPrice10", After::NoLoss, &["--mode", "conflated"]),
    ];
    let subscribers = cases.map(|(level, _, options)| {
        let subscriber = Subscriber::start(&python, &venue, &[&["--level", level], options].concat());
        let joined = subscriber.wait_for("snapshot");
        assert_eq!(joined["equal"], true, "{level} {options:?}: {joined}");
        assert_ne!(joined["entries"], 0, "{level} {options:?}: it came late");
        subscriber
    });
    flow.go_on(BESIDE);
    let ended = subscribers.map(Subscriber::end);
    let engine = venue.stop();
    for ((level, after, options), (said, code)) in cases.into_iter().zip(ended) {
        let case = format!("{level} {options:?}");
        let [.., book, done] = &said[..] else { panic!("{case}: {code:?} {said:?}") };
        assert_eq!((code, &done["event"], &done["different"]), (Some(0), &json!("done"), &json!(0)), "{case}: {done}");
        assert_eq!(["bids", "offers", "checksum"].map(|field| book[field].clone()), book_of(&engine, level), "{case}");
        println!("{case}: {done}");
        let count = |name: &str| done[name].as_u64().unwrap();
        let said_so = |event: &str| said.iter().any(|it| it["event"] == event && it["equal"] == true);
        assert!(said_so("whole book"), "{case}: {done}");
        let may_miss_checksums = options.contains(&"conflated") || count("gaps") > 0;
        assert!(said_so("checksum") || may_miss_checksums, "{case}: {done}");
        let losses = [count("dropped"), count("again"), count("gaps")].map(|count| count > 0);
        match after {
            After::NoLoss => assert_eq!(losses, [false; 3], "{case}: {done}"),
            After::Again => assert_eq!(losses[..2], [true; 2], "{case}: {done}"),
            After::Snapshot => assert_eq!(losses, [true, false, true], "{case}: {done}"),
        }
    }
}

#[test]
fn what_is_refused_and_why_it_ends_is_said() {
    let Some(python) = python() else { return };
    let venue = Venue::start();
    let refused = Subscriber::start(&python, &venue, &["--level", "Trades", "--mode", "conflated"]);
    assert_eq!(refused.wait_for("refused")["reason"], "UnsupportedMode");
    assert_eq!(refused.end().1, Some(2));
    let unknown = Subscriber::start(&python, &venue, &["--level", "Trades", "99"]);
    assert_eq!(unknown.wait_for("refused")["security"], 99);
    assert_eq!(unknown.end().1, Some(2));

    let staying = Subscriber::start(&python, &venue, &[]);
    staying.wait_for("snapshot");
    venue.stop();
    let closed = staying.wait_for("closed");
    assert_eq!((&closed["code"], &closed["reason"]), (&json!(0), &json!("the venue stops")));
    assert_eq!(staying.end().1, Some(2));
}

/// Shows everything to key 5, which proves itself with the signature in docs/MARKET_DATA.md or with a certificate.
struct Guarded {
    certificate: Vec<u8>,
}

/// Of the key whose seed is the bytes 0 to 31, made with the PyPI package `cryptography`.
const SIGNATURE: &str = "f6500712b7555acdf86e66d90ff8a7bd2f6a463a333d3306f978d6bb67a415ba\
                         2f93f8c8ffecf97a2a509b9d07e5f2a315d11c5933679731332a9fd1e550c402";
const SIGNED: &str = "Rialto Market Data Logon 1\nKeyID=5\nChallengeHigh=81985529216486895\nChallengeLow=42\n";

impl Door for Guarded {
    fn event(&self, _: &engine::Event) -> bool {
        false
    }

    fn anonymous(&self, _: IpAddr) -> Option<Entitlement> {
        None
    }

    fn certificate(&self, certificate: &[u8], _: IpAddr) -> Result<(KeyId, Entitlement), Refusal> {
        let is_proven = certificate == self.certificate;
        is_proven.then(|| (KeyId(5), Entitlement::everything())).ok_or(Refusal::NotProven)
    }

    fn challenge(&self) -> [u64; 2] {
        [81_985_529_216_486_895, 42]
    }

    fn knock(&self, _: KeyId, _: IpAddr) -> Result<(), Refusal> {
        Ok(())
    }

    fn logon(&self, key: KeyId, text: &[u8], signature: &[u8; 64], _: IpAddr) -> Result<Entitlement, Refusal> {
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_proven = key == KeyId(5) && text == SIGNED.as_bytes() && signature == SIGNATURE;
        is_proven.then(Entitlement::everything).ok_or(Refusal::NotProven)
    }

    fn entitlement(&self, _: KeyId) -> Option<Entitlement> {
        Some(Entitlement::everything())
    }
}

/// A publisher that lets in who proves to be key 5, and what it goes by.
struct GuardedVenue {
    venue: topology::Venue,
    publisher: Publisher,
    authority: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl GuardedVenue {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("certificate.pem"), signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let (authority, client_roots) = authority();
        let topology = Topology { capacity: Capacity::SMALL, reader_count: 1, ..Topology::default() };
        let mut feed = None;
        let mut venue =
            topology::Venue::start(folder.path(), &topology, |engine| feed = Some(Feed::of(engine))).unwrap();
        let config = Config {
            listen: loopback(),
            identity: Identity { certificates: vec![signed.cert.der().clone()], key },
            client_verifier: Some(tls::optional_verifier(ClientCertificates::Of(client_roots)).unwrap()),
            clock: Arc::new(|| wire::Timestamp(7)),
            door: Arc::new(Guarded { certificate: write_certificate(&authority, folder.path(), "holder") }),
            limits: Limits::default(),
            threads: 1,
            seats: 0,
        };
        let publisher = Publisher::start(config, venue.take_readers().pop().unwrap(), feed.unwrap()).unwrap();
        Self { venue, publisher, authority, folder }
    }

    fn subscribe(&self, python: &str, options: &[&str]) -> Subscriber {
        Subscriber::start_at(python, self.publisher.local_addr(), self.folder.path(), options)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A key file with such a secret.
    fn key_file(&self, name: &str, secret: &str) -> String {
        let file = self.path(name);
        let key = json!({ "key": 5, "session": 5, "account": 2, "secret": secret });
        std::fs::write(&file, key.to_string()).unwrap();
        file
    }

    fn stop(self) {
        self.publisher.stop();
        self.venue.stop().unwrap();
    }
}

fn authority() -> (Issuer<'static, KeyPair>, Arc<RootCertStore>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut roots = RootCertStore::empty();
    roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
    (Issuer::new(params, key), Arc::new(roots))
}

/// Writes a client certificate and its key to files of that name; the certificate.
fn write_certificate(authority: &Issuer<'_, KeyPair>, folder: &Path, name: &str) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    certificate.der().to_vec()
}

#[test]
fn it_proves_a_key_by_signature_or_certificate_where_one_is_needed() {
    let Some(python) = python() else { return };
    let venue = GuardedVenue::start();
    let secret: String = (0..32).map(|byte: u8| format!("{byte:02x}")).collect();
    let holder = venue.subscribe(&python, &["--key", &venue.key_file("holder.json", &secret)]);
    assert_eq!(holder.wait_for("logged on")["key"], 5);
    assert_eq!(holder.end().1, Some(0));

    write_certificate(&venue.authority, venue.folder.path(), "stranger");
    let certified = |name: &str| {
        let [certificate, key] = ["pem", "key"].map(|extension| venue.path(&format!("{name}.{extension}")));
        venue.subscribe(&python, &["--client-certificate", &certificate, "--client-key", &key, "7"])
    };
    // No such book, but it may ask.
    let holder = certified("holder");
    assert_eq!(holder.wait_for("refused")["reason"], "UnknownInstrument");
    assert_eq!(holder.end().1, Some(2));

    let guessed = venue.key_file("stranger.json", &"ab".repeat(32));
    for stranger in
        [certified("stranger"), venue.subscribe(&python, &["--key", &guessed]), venue.subscribe(&python, &[])]
    {
        assert_eq!(stranger.wait_for("closed")["code"], 4);
        assert_eq!(stranger.end().1, Some(2));
    }
    venue.stop();
}
