//! Peers that mean harm, against the program as it is served.
//!
//! Each test runs in miniature here; how often it does what it does is an environment's to say, and what came of it is a
//! line of JSON on standard output:
//!
//! ```text
//! HOSTILE_CYCLES      links that are cut
//! HOSTILE_FLOOD       connections that never go on
//! HOSTILE_GUESSES     logins by guessing
//! HOSTILE_REPLAYS     sessions that are sent again byte for byte
//! HOSTILE_ROUNDS      rounds of ten times what may be sent
//! ```

mod common {
    pub(crate) mod http;
    pub(crate) mod killed;
    pub(crate) mod program;
    pub(crate) mod ready;
}

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::session::{News, Session};
use client::{Client, Credentials, Options, Resume, SigningKey, Trust};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use venue::data_folder::{DataFolder, KeyHolder};
use venue::demo;
use wire::order_entry::{NewOrderSingle, OrderCancelRequest, OrderEntryMessage};
use wire::{
    Block, CancelOnDisconnect, ClientOrderId, EdgeReason, FrameDecoder, KeyId, Milliseconds, RejectReason, SessionId,
    SessionVersion, TerminationCode, Timestamp,
};

use self::common::killed::Killed;
use self::common::{http, program, ready};

const ALICE: KeyHolder = demo::TRADERS[0];
const BOB: KeyHolder = demo::TRADERS[1];
const FIRST: Resume = Resume::Anew(SessionVersion(1));
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a new venue has journalled.
const FOUNDING: u64 = 39;

fn count(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_nanos()).unwrap())
}

/// A venue of a test's own; killed when it is dropped.
struct Served {
    process: Killed,
    output: BufReader<ChildStdout>,
    ready: Value,
    folder: DataFolder,
}

impl Served {
    fn start(data: &Path, options: &[&str]) -> Self {
        let mut command = program::serve(data);
        command.args(options).stderr(Stdio::null());
        let (process, output, ready) = ready::start(command);
        Self { process, output, ready, folder: DataFolder::open(data).unwrap() }
    }

    fn plain(data: &Path, options: &[&str]) -> Self {
        Self::start(data, &[&["--order-entry-security", "plain-loopback"], options].concat())
    }

    fn address(&self, door: &str) -> SocketAddr {
        self.ready[door].as_str().unwrap().parse().unwrap()
    }

    fn order_entry(&self) -> SocketAddr {
        self.address("order_entry")
    }

    fn credentials(&self, holder: &KeyHolder) -> Credentials {
        let signing_key = self.folder.key(holder).unwrap();
        Credentials { session: holder.session.into(), key: holder.key.into(), signing_key }
    }

    fn trust(&self) -> Trust {
        let (mut certificates, _) = self.folder.certificate().unwrap().parse().unwrap();
        Trust::certificate("localhost".try_into().unwrap(), certificates.remove(0)).unwrap()
    }

    /// What is counted under a name, over all labels.
    fn counted(&self, name: &str) -> u64 {
        let (_, text) = http::get(self.address("http"), "/metrics");
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Why a session ended, once the venue's operator sees that it has.
    fn ended(&self, session: SessionId) -> String {
        loop {
            let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
            command.args(["admin", "show", "sessions", "--json", "--data"]).arg(self.folder.path());
            let sessions: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
            let row = sessions.as_array().unwrap().iter().find(|row| row["session"] == session.0);
            if let Some(ended) = row.and_then(|row| row["ended"].as_str()) {
                return ended.to_owned();
            }
        }
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// The venue's own memory, in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Asks the venue to stop; its last command.
    fn stop(mut self) -> u64 {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        let last = said.lines().find_map(|line| line.strip_prefix("stopped behind command "));
        last.unwrap().parse().unwrap()
    }
}

/// A connection from one of this machine's many addresses.
fn dial(address: SocketAddr, from: Ipv4Addr) -> TcpStream {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap());
    let _entered = RUNTIME.enter();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let stream = RUNTIME.block_on(socket.connect(address)).unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The n-th address of a test, of which each has as many neighbours as it needs.
fn address(test: u8, number: usize) -> Ipv4Addr {
    let [.., high, low] = u32::try_from(number).unwrap().to_be_bytes();
    Ipv4Addr::new(127, test, high, low)
}

/// A trader's side without protection, whose every byte is kept.
struct Peer {
    stream: TcpStream,
    session: Session,
    decoder: FrameDecoder<1024>,
    /// What was sent, a write each.
    sent: Vec<Vec<u8>>,
}

impl Peer {
    /// Begins a session; whether it opens is to be heard.
    fn new(stream: TcpStream, credentials: Credentials, options: Options, resume: Resume) -> Self {
        let session = Session::new(credentials, options, resume, now());
        Self { stream, session, decoder: FrameDecoder::new(), sent: Vec::new() }
    }

    fn open(stream: TcpStream, credentials: Credentials, options: Options, resume: Resume) -> Self {
        let mut peer = Self::new(stream, credentials, options, resume);
        let opened = peer.next();
        assert!(matches!(opened, Some(News::Opened(_))), "{opened:?}");
        peer
    }

    fn flush(&mut self) {
        let bytes = self.session.take_out();
        if !bytes.is_empty() {
            // A venue that has closed is heard of by reading.
            let _ = self.stream.write_all(&bytes);
            self.sent.push(bytes);
        }
    }

    /// The next news; none: the venue has closed.
    fn next(&mut self) -> Option<News> {
        loop {
            self.flush();
            if let Some(news) = self.session.next_news() {
                return Some(news);
            }
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                self.session.frame(frame, now()).unwrap();
                continue;
            }
            match self.stream.read(self.decoder.vacant()) {
                Ok(0) => return None,
                Ok(count) => self.decoder.filled(count),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("the venue neither answers nor closes: {error}"),
            }
        }
    }

    /// All news until the venue closes.
    fn rest(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Hears until `wanted` gives something.
    fn hear<T>(&mut self, mut wanted: impl FnMut(&News) -> Option<T>) -> T {
        loop {
            let news = self.next().expect("the venue says more");
            if let Some(found) = wanted(&news) {
                return found;
            }
        }
    }
}

/// What became of a request: the client's name for it, and in one word how it ended.
fn answered(news: &News) -> Option<(u64, String)> {
    let News::Message(message) = news else { return None };
    match message {
        OrderEntryMessage::ExecutionReport(report) => {
            let name = report.client_order_id.map_or(0, |name| name.0);
            Some((name, report.reject_reason.map_or(format!("{:?}", report.exec_type), by_name)))
        }
        OrderEntryMessage::OrderCancelReject(reject) => {
            Some((reject.client_order_id.map_or(0, |name| name.0), by_name(reject.reject_reason)))
        }
        OrderEntryMessage::BusinessMessageReject(reject) => {
            Some((reject.reference_id.map_or(0, |name| name.0), by_name(reject.reject_reason)))
        }
        _ => None,
    }
}

fn by_name(reason: RejectReason) -> String {
    reason.name().unwrap().to_owned()
}

/// A bid that nobody takes.
fn bid(holder: &KeyHolder, name: u64) -> NewOrderSingle {
    NewOrderSingle {
        account: holder.account.into(),
        security_id: wire::SecurityId(1),
        client_order_id: Some(ClientOrderId(name)),
        price: Some(wire::Price(100)),
        order_quantity: Some(wire::Quantity(1_000_000)),
        side: wire::Side::Buy,
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

fn cancel(holder: &KeyHolder, original: u64, name: u64) -> OrderCancelRequest {
    OrderCancelRequest {
        account: holder.account.into(),
        original_client_order_id: Some(ClientOrderId(original)),
        client_order_id: Some(ClientOrderId(name)),
        ..OrderCancelRequest::BLANK
    }
}

// Links that are cut.

/// A link between a trader and the venue that can be cut: nothing is carried any more, and nobody is told.
struct Link {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    /// Says when the venue has closed its end.
    closed: mpsc::Receiver<Instant>,
}

impl Link {
    fn to(venue: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = Arc::new(AtomicBool::new(false));
        let (closes, closed) = mpsc::channel();
        let cut = Arc::clone(&is_cut);
        thread::spawn(move || {
            let (near, _) = listener.accept().unwrap();
            let far = TcpStream::connect(venue).unwrap();
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            let (from_near, to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let there = Arc::clone(&cut);
            thread::spawn(move || carry(from_near, to_far, &there));
            carry(far, near.try_clone().unwrap(), &cut);
            let _ = closes.send(Instant::now());
            let _ = near.shutdown(Shutdown::Both);
        });
        Self { address, is_cut, closed }
    }
}

/// Carries bytes until their end; once the link is cut they are lost.
fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut bytes = [0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !is_cut.load(Ordering::Acquire) && to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

/// P8. The trader's socket and the venue's stay open, and neither hears of the other again.
#[test]
fn a_cut_link_is_found_and_what_was_entered_is_cancelled_once() {
    const KEEP_ALIVE: Milliseconds = Milliseconds(1_000);
    const AT_ONCE: usize = 16;
    let cycles = count("HOSTILE_CYCLES", 4);
    let data = tempfile::tempdir().unwrap();
    let venue = Arc::new(Served::plain(data.path(), &[]));
    let workers: Vec<_> = (0..AT_ONCE.min(cycles))
        .map(|worker| {
            let venue = Arc::clone(&venue);
            let share = (worker..cycles).step_by(AT_ONCE).count();
            thread::spawn(move || cut_links(&venue, worker, share, KEEP_ALIVE))
        })
        .collect();
    let found_ms: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    assert_eq!(found_ms.len(), cycles);
    let longest = found_ms.iter().max().unwrap();
    println!("{}", json!({ "test": "P8", "cycles": cycles, "keep_alive_ms": KEEP_ALIVE.0, "found_ms_max": longest }));
    let venue = Arc::into_inner(venue).expect("all workers are done");
    venue.stop();
}

/// Opens a session, enters an order, cuts the link, and looks at what became of it: how long each cut took to be found.
fn cut_links(venue: &Served, worker: usize, cycles: usize, keep_alive: Milliseconds) -> Vec<u64> {
    let session = SessionId(100 + worker as u64);
    let credentials = Credentials { session, ..venue.credentials(&ALICE) };
    let options = Options { keep_alive, cancel_on_disconnect: CancelOnDisconnect::Cancel, ..Options::DEFAULT };
    let connect = |address, resume| {
        let client = Client::connect(address, &Trust::PlainLoopback, credentials.clone(), options, resume);
        client.map_err(|error| error.to_string()).unwrap()
    };
    let mut resume = FIRST;
    let cycle = |cycle: usize| {
        let name = (worker * 100_000 + cycle * 2 + 1) as u64;
        let link = Link::to(venue.order_entry());
        let mut client = connect(link.address, resume);
        client.send(&bid(&ALICE, name)).unwrap();
        while answered(&client.receive().unwrap()) != Some((name, "New".to_owned())) {}
        link.is_cut.store(true, Ordering::Release);
        let cut_at = Instant::now();
        let closed_at = link.closed.recv_timeout(PATIENCE).expect("the venue finds it");
        assert_eq!(venue.ended(session), "KeepAliveExpired");
        // What it missed, and an answer behind all that.
        let mut again = connect(venue.order_entry(), client.resume());
        again.send(&cancel(&ALICE, name, name + 1)).unwrap();
        let mut cancelled = 0;
        loop {
            let Some(answer) = answered(&again.receive().unwrap()) else { continue };
            match answer {
                (of, what) if of == name && what == "Cancelled" => cancelled += 1,
                (of, what) if of == name + 1 => break assert_eq!(what, "UnknownOrder"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(cancelled, 1, "cycle {cycle} of worker {worker}");
        resume = again.close().unwrap();
        u64::try_from((closed_at - cut_at).as_millis()).unwrap()
    };
    (0..cycles).map(cycle).collect()
}

// Floods.

/// The beginning of a handshake.
const HALF_A_HELLO: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3];

/// P9. Connections from many addresses, each of which begins a handshake and does not go on.
#[test]
fn half_handshakes_keep_no_healthy_client_out() {
    /// Connections that are held at a time; the venue itself keeps fewer.
    const HELD: usize = 2_000;
    let flood = count("HOSTILE_FLOOD", 1_000);
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path(), &[]);
    let trust = venue.trust();
    let connect = |holder, version| {
        let resume = Resume::Anew(SessionVersion(version));
        let client = Client::connect(venue.order_entry(), &trust, venue.credentials(holder), Options::DEFAULT, resume);
        client.map_err(|error| error.to_string()).unwrap()
    };
    let mut alice = connect(&ALICE, 1);
    let ask = |alice: &mut Client| {
        let asked = Instant::now();
        alice.send(&cancel(&ALICE, 1, 2)).unwrap();
        while answered(&alice.receive().unwrap()) != Some((2, "UnknownOrder".to_owned())) {}
        asked.elapsed()
    };
    let quiet: Vec<_> = (0..100).map(|_| ask(&mut alice)).collect();
    let (descriptors, memory) = (venue.descriptors(), venue.memory());

    let (mut held, mut busy, mut version, mut descriptors_max) = (VecDeque::new(), Vec::new(), 0, 0);
    for number in 0..flood {
        let mut stream = dial(venue.order_entry(), address(9, number / 64));
        // It may be closed already.
        let _ = stream.write_all(&HALF_A_HELLO);
        held.push_back(stream);
        if held.len() > HELD {
            held.pop_front();
        }
        if number % 10 == 0 {
            busy.push(ask(&mut alice));
        }
        if number % 100 == 99 {
            version += 1;
            connect(&BOB, version).close().unwrap();
            descriptors_max = descriptors_max.max(venue.descriptors());
        }
    }
    let grown = venue.memory().saturating_sub(memory);
    let displaced = venue.counted("rialto_connections_turned_away_total{reason=\"Displaced\"}");
    println!(
        "{}",
        json!({
            "test": "P9", "connections": flood, "displaced": displaced, "healthy_logins": version,
            "descriptors": descriptors_max - descriptors, "memory_grown_kib": grown,
            "quiet_p99_us": p99(quiet), "flood_p99_us": p99(busy),
        })
    );
    // A quarter of 1,024 places, and a few connections that are on their way out.
    assert!(descriptors_max <= descriptors + 256 + 32, "{descriptors_max} descriptors, {descriptors} before");
    assert!(grown < 64 << 10, "{grown} KiB more");
    assert!(displaced > 0 || flood <= 256, "nobody was displaced");
    alice.close().unwrap();
    drop(held);
    venue.stop();
}

fn p99(mut times: Vec<Duration>) -> u64 {
    times.sort_unstable();
    u64::try_from(times[times.len() * 99 / 100].as_micros()).unwrap()
}

/// P9. A byte a second, in a handshake and in a frame of an open session.
#[test]
fn who_dribbles_is_closed() {
    let data = tempfile::tempdir().unwrap();
    let protected = tempfile::tempdir().unwrap();
    let (plain, tls) = (Served::plain(data.path(), &[]), Served::start(protected.path(), &[]));
    let dribble = |mut stream: TcpStream, bytes: Vec<u8>| {
        thread::spawn(move || {
            for byte in bytes {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_secs(1));
            }
            panic!("all of it was taken");
        })
    };
    let shaking_hands = dial(tls.order_entry(), address(9, 1));
    let hello = [HALF_A_HELLO.as_slice(), &[0; 512]].concat();
    let dribbles = dribble(shaking_hands.try_clone().unwrap(), hello);

    let options = Options { keep_alive: Milliseconds(60_000), ..Options::DEFAULT };
    let stream = dial(plain.order_entry(), address(9, 1));
    let mut peer = Peer::open(stream, plain.credentials(&ALICE), options, FIRST);
    let mut frame = vec![0; 1_024];
    let length = wire::encode(&bid(&ALICE, 1), &mut frame).unwrap();
    frame.truncate(length);
    let in_a_frame = dribble(peer.stream.try_clone().unwrap(), frame);
    let ended = peer.hear(|news| match news {
        News::Ended(code) => Some(*code),
        _ => None,
    });
    assert_eq!(ended, TerminationCode::ProtocolViolation);
    assert_eq!(peer.rest().len(), 0);
    in_a_frame.join().unwrap();

    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = (&shaking_hands).read_to_end(&mut said);
    dribbles.join().unwrap();
    plain.stop();
    tls.stop();
}

/// P9. Lengths that nobody may have.
#[test]
fn what_announces_too_much_is_closed_before_it_is_there() {
    let data = tempfile::tempdir().unwrap();
    let protected = tempfile::tempdir().unwrap();
    let (plain, tls) = (Served::plain(data.path(), &[]), Served::start(protected.path(), &[]));
    let header = |length: u32| [length.to_le_bytes().as_slice(), &0xEB50_u16.to_le_bytes()].concat();
    for (venue, bytes) in [
        (&plain, header(u32::MAX)),
        (&plain, header(1_025)),
        (&plain, header(13)),
        (&plain, vec![0xFF; 6]),
        (&tls, vec![0x16, 3, 1, 0xFF, 0xFF]),
        (&tls, vec![0x17, 3, 3, 0x7F, 0xFF]),
        (&tls, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        let mut stream = dial(venue.order_entry(), address(9, 2));
        stream.write_all(&bytes).unwrap();
        let mut said = Vec::new();
        match stream.read_to_end(&mut said) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{bytes:?}"),
        }
    }
    plain.stop();
    tls.stop();
}

// Guesses.

/// P11. Every kind of login that proves nothing, from many addresses, each of which guesses until it is locked out and
/// then twice more.
#[test]
fn no_guess_gets_in_and_each_is_on_record() {
    /// Five are put up with, the sixth locks out.
    const AT_AN_ADDRESS: usize = 8;
    let guesses = count("HOSTILE_GUESSES", 200);
    let data = tempfile::tempdir().unwrap();
    let venue = Served::plain(data.path(), &[]);
    let mut refusals = BTreeMap::<String, usize>::new();
    for number in 0..guesses {
        let stream = dial(venue.order_entry(), address(11, number / AT_AN_ADDRESS));
        let refused = guess(&venue, stream, number);
        *refusals.entry(by_name(refused)).or_default() += 1;
    }
    let on_record = venue.counted("rialto_login_failures_total");
    println!("{}", json!({ "test": "P11", "guesses": guesses, "in": 0, "on_record": on_record, "refused": refusals }));
    assert_eq!(on_record, guesses as u64);
    let expected = (0..guesses).filter(|number| number % AT_AN_ADDRESS >= 6).count();
    assert_eq!(refusals.get("TooManyLogins").copied().unwrap_or(0), expected);

    // Whoever has the key is let in, but not from where somebody guesses.
    let from = |from| Peer::new(dial(venue.order_entry(), from), venue.credentials(&ALICE), Options::DEFAULT, FIRST);
    let locked_out = from(address(11, guesses / AT_AN_ADDRESS - 1)).next();
    assert!(matches!(locked_out, Some(News::Refused(reason)) if reason == EdgeReason::TooManyLogins.into()));
    let mut alice = from(Ipv4Addr::LOCALHOST);
    assert!(matches!(alice.next(), Some(News::Opened(_))));
    alice.session.terminate(now());
    alice.rest();
    // A login, an opening, an end.
    assert_eq!(venue.stop(), FOUNDING + 3);
}

/// One guess, of the kind that its number says; why it was refused.
fn guess(venue: &Served, mut stream: TcpStream, number: usize) -> RejectReason {
    let true_ones = venue.credentials(&ALICE);
    let seed = u8::try_from(number % 251).unwrap();
    let credentials = match number % 4 {
        0 => Credentials { signing_key: SigningKey::from_bytes(&[seed; 32]), ..true_ones },
        1 => Credentials { signing_key: venue.folder.key(&BOB).unwrap(), ..true_ones },
        2 => Credentials { key: KeyId(1_000 + number as u64), ..true_ones },
        _ => true_ones,
    };
    let mut peer = Peer::new(stream.try_clone().unwrap(), credentials, Options::DEFAULT, FIRST);
    let mut bytes = peer.session.take_out();
    if number % 4 == 3 {
        // The right signature, of another text: both ids, the version and the time are behind the headers.
        bytes[14 + (number / 4) % 32] ^= 1 << (number % 7);
    }
    stream.write_all(&bytes).unwrap();
    peer.hear(|news| match news {
        News::Refused(reason) => Some(*reason),
        other => panic!("{other:?}"),
    })
}

// Replays.

/// P12. What somebody has listened to is sent again: all of it, the opening and what follows, the orders alone.
#[test]
fn a_recorded_session_is_carried_out_once() {
    const ORDERS: u64 = 3;
    let replays = count("HOSTILE_REPLAYS", 2);
    let data = tempfile::tempdir().unwrap();
    let mut venue = Served::plain(data.path(), &[]);
    let mut replayed = 0;
    let mut replay = |venue: &Served, recorded: &[Vec<u8>], mut meanwhile: Option<&mut Peer>| {
        for number in 0..replays {
            if let Some(peer) = &mut meanwhile {
                peer.session.heartbeat(now());
                peer.flush();
            }
            for from in 0..3 {
                let mut stream = dial(venue.order_entry(), address(12, number % 60_000));
                // It is closed while it is still being written.
                let _ = stream.write_all(&recorded[from..].concat());
                let mut said = Vec::new();
                let _ = stream.read_to_end(&mut said);
                replayed += 1;
            }
        }
    };

    let stream = dial(venue.order_entry(), Ipv4Addr::LOCALHOST);
    let mut alice = Peer::open(stream, venue.credentials(&ALICE), Options::DEFAULT, FIRST);
    for name in 1..=ORDERS {
        alice.session.send(&bid(&ALICE, name), now());
        assert_eq!(alice.hear(answered), (name, "New".to_owned()));
    }
    let recorded = alice.sent.clone();
    assert_eq!(recorded.len(), 2 + ORDERS as usize);
    replay(&venue, &recorded, Some(&mut alice));
    // Nothing of that cost her the session.
    alice.session.send(&cancel(&ALICE, 1, 9), now());
    assert_eq!(alice.hear(answered).1, "Cancelled");
    let resume = alice.session.resume();
    alice.session.terminate(now());
    alice.rest();
    replay(&venue, &recorded, None);
    let counted = |venue: &Served, cancelled| {
        // Who counts is behind who acknowledges.
        while venue.counted("rialto_orders_cancelled_total") < cancelled {
            thread::yield_now();
        }
        assert_eq!(venue.counted("rialto_orders_cancelled_total"), cancelled);
        venue.counted("rialto_orders_accepted_total")
    };
    assert_eq!(counted(&venue, 1), ORDERS);
    venue.stop();

    venue = Served::plain(data.path(), &[]);
    replay(&venue, &recorded, None);
    let stream = dial(venue.order_entry(), Ipv4Addr::LOCALHOST);
    let mut alice = Peer::open(stream, venue.credentials(&ALICE), Options::DEFAULT, resume);
    // What rested rests once.
    let resting = [(2, "Cancelled"), (3, "Cancelled"), (2, "UnknownOrder"), (1, "UnknownOrder")];
    for ((name, expected), request) in resting.into_iter().zip(10..) {
        alice.session.send(&cancel(&ALICE, name, request), now());
        assert_eq!(alice.hear(answered).1, expected, "{name}");
    }
    assert_eq!(counted(&venue, 2), 0);
    println!("{}", json!({ "test": "P12", "replays": replayed, "executions": 0 }));
    venue.stop();
}

// Overload.

/// P14. Ten times as many orders as a session may send, with cancels among them.
#[test]
fn what_is_too_much_is_refused_and_cancels_get_through() {
    const BURST: u64 = 100;
    let rounds = count("HOSTILE_ROUNDS", 2) as u64;
    let data = tempfile::tempdir().unwrap();
    // Behind the burst hardly anything passes, however long it takes.
    let venue = Served::plain(data.path(), &["--throttle-trader", "1/100"]);
    let (mut sent, mut accepted, mut refused, mut cancelled) = (0, 0, 0, 0);
    let mut memory = None;
    for round in 0..rounds {
        let credentials = Credentials { session: SessionId(100 + round % 50), ..venue.credentials(&ALICE) };
        let resume = Resume::Anew(SessionVersion(1 + round));
        let options = Options { cancel_on_disconnect: CancelOnDisconnect::Cancel, ..Options::DEFAULT };
        let stream = dial(venue.order_entry(), Ipv4Addr::LOCALHOST);
        let mut peer = Peer::open(stream, credentials, options, resume);
        let name = |number: u64| round * 100_000 + number;
        // As many are refused as are put up with, and all that passed is cancelled.
        for number in 1..=2 * BURST {
            peer.session.send(&bid(&ALICE, name(number)), now());
        }
        for number in 1..=BURST {
            peer.session.send(&cancel(&ALICE, name(number), name(10_000 + number)), now());
        }
        let mut ends = BTreeMap::<String, u64>::new();
        while ends.values().sum::<u64>() < 3 * BURST {
            let (_, how) = peer.hear(answered);
            *ends.entry(how).or_default() += 1;
        }
        let of = |how: &str| ends.get(how).copied().unwrap_or(0);
        assert_eq!(of("New") + of("Throttled"), 2 * BURST, "{ends:?}");
        assert_eq!(of("Cancelled"), BURST, "{ends:?}");
        assert!(of("Throttled") > BURST / 2, "{ends:?}");
        // Ten times as many end the session, by name; whatever it had is cancelled.
        for number in 1..=10 * BURST {
            peer.session.send(&bid(&ALICE, name(20_000 + number)), now());
        }
        let rest = peer.rest();
        assert!(matches!(rest.last(), Some(News::Ended(TerminationCode::Throttled))), "{:?}", rest.last());
        sent += 13 * BURST;
        accepted += of("New");
        refused += of("Throttled");
        cancelled += of("Cancelled");
        memory.get_or_insert(venue.memory());
    }
    let grown = venue.memory().saturating_sub(memory.unwrap());
    println!(
        "{}",
        json!({
            "test": "P14", "rounds": rounds, "messages": sent, "accepted": accepted, "throttled": refused,
            "cancelled": cancelled, "memory_grown_kib": grown,
        })
    );
    assert!(grown < 64 << 10, "{grown} KiB more");
    venue.stop();
}
