//! A venue, its publisher and subscribers over real QUIC on the loopback.

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use common::lossy::LossyLink;
use common::*;
use engine::command::*;
use engine::instrument::Phase;
use engine::*;
use marketdata::book::Book;
use marketdata::quic::{Clock, loopback};
use marketdata::{
    BlockingSubscriber, CloseReason, Config, Credentials, Feed, GapCounters, Identity, Limits, OpenDoor, Patience,
    Publisher, SubscribeError, Subscriber, Trust, Update,
};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use venue::topology::{Topology, Venue};
use wire::{DeliveryMode, FeedLevel};

/// No wait of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Trades that may be on their way to a subscriber that reads.
const IN_FLIGHT: u64 = 32;

struct Running {
    venue: Venue,
    publisher: Publisher,
    trust: Trust,
    _folder: TempDir,
}

fn identity() -> (Identity, Trust) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let identity = Identity { certificates: vec![signed.cert.der().clone()], key };
    (identity, Trust { server_name: "localhost".to_owned(), roots: Arc::new(roots) })
}

fn start(limits: Limits) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let topology =
        Topology { capacity: Capacity::SMALL, reader_count: 1, segment_bytes: 1 << 20, ..Topology::default() };
    let mut feed = None;
    let mut venue = Venue::start(folder.path(), &topology, |engine| feed = Some(Feed::of(engine))).unwrap();
    let events = venue.take_readers().pop().unwrap();
    let (identity, trust) = identity();
    let clock: Clock = Arc::new(|| wire::Timestamp(7));
    let config = Config {
        listen: loopback(),
        identity,
        client_verifier: None,
        clock,
        door: Arc::new(OpenDoor),
        limits,
        threads: 1,
        seats: 0,
    };
    let publisher = Publisher::start(config, events, feed.unwrap()).unwrap();
    let running = Running { venue, publisher, trust, _folder: folder };
    for book in BOOKS {
        running.submit(listing(book));
    }
    running.submit(account());
    running
}

impl Running {
    fn submit(&self, body: impl Into<CommandBody>) {
        let command = Command::from_venue(body);
        while self.venue.commands().submit(command).is_err() {
            std::thread::yield_now();
        }
    }

    /// The last thing that a subscriber of a book sees.
    fn halt(&self) {
        for instrument in BOOKS {
            self.submit(SetPhase { instrument, phase: Phase::Halted, note: AdminNote::NONE });
        }
    }

    fn stop(self) -> Engine {
        let engine = self.venue.stop().unwrap().engine;
        self.publisher.stop();
        engine
    }
}

/// What a subscriber knows when both books are halted.
struct Seen {
    books: Vec<Book>,
    tape: Vec<(u64, wire::TradeId)>,
    gaps: GapCounters,
}

fn watch<'scope>(
    scope: &'scope Scope<'scope, '_>,
    address: SocketAddr,
    trust: &'scope Trust,
    progress: &'scope AtomicU64,
) -> ScopedJoinHandle<'scope, Seen> {
    scope.spawn(move || {
        let _over = OnPanic(progress);
        let mut subscriber = BlockingSubscriber::connect(address, trust, &[], FeedLevel::MarketByPrice).unwrap();
        let mut tape = Vec::new();
        let mut phases = std::collections::BTreeMap::new();
        while phases.values().filter(|&&phase| phase == wire::Phase::Halted).count() < BOOKS.len() {
            match subscriber.next().unwrap() {
                Update::Definition(definition) => drop(phases.insert(definition.security_id, definition.phase)),
                Update::Status(status) => drop(phases.insert(status.security_id, status.phase)),
                Update::Trade(trade) => tape.push((trade.security_id.0, trade.trade_id)),
                Update::Rejected(reject) => panic!("{reject:?}"),
                _ => {}
            }
            if BOOKS.iter().all(|&book| subscriber.book(book.into()).is_some()) {
                progress.store(1 + tape.len() as u64, Ordering::Release);
            }
        }
        tape.sort();
        let books = BOOKS.map(|book| subscriber.book(book.into()).unwrap().clone()).to_vec();
        Seen { books, tape, gaps: missed(subscriber.gaps()) }
    })
}

/// Who waits for a subscriber that panicked waits no longer, and finds it so.
struct OnPanic<'a>(&'a AtomicU64);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(u64::MAX, Ordering::Release);
        }
    }
}

/// Until a subscriber has both books and so many trades.
fn wait_for(progress: &AtomicU64, trades: u64) {
    while progress.load(Ordering::Acquire) <= trades {
        std::thread::yield_now();
    }
}

#[test]
fn an_early_and_a_late_subscriber_end_with_the_engines_book_and_the_same_tape() {
    let seed = 5;
    println!("seed {seed}");
    let mut random = Random(seed);
    let running = start(Limits::default());
    let (address, trust) = (running.publisher.local_addr(), running.trust.clone());
    let progress = [AtomicU64::new(0), AtomicU64::new(0)];
    let [early, late] = std::thread::scope(|scope| {
        let early = watch(scope, address, &trust, &progress[0]);
        wait_for(&progress[0], 0);
        (1..=500).for_each(|name| running.submit(command(&mut random, name)));
        wait_for(&progress[0], 20);
        let late = watch(scope, address, &trust, &progress[1]);
        (501..=600).for_each(|name| running.submit(command(&mut random, name)));
        wait_for(&progress[1], 0);
        (601..=1_200).for_each(|name| running.submit(command(&mut random, name)));
        running.halt();
        [early.join().unwrap(), late.join().unwrap()]
    });
    let engine = running.stop();
    for seen in [&early, &late] {
        for (book, instrument) in seen.books.iter().zip(BOOKS) {
            assert!(is_engines(book, &engine, instrument), "seed {seed}");
        }
        assert_eq!(seen.gaps, GapCounters::default());
    }
    assert!(!late.tape.is_empty() && late.tape.len() < early.tape.len(), "{} {}", late.tape.len(), early.tape.len());
    // From where it joined each book, the late one has seen every trade.
    for instrument in BOOKS {
        let of_book = |seen: &Seen| -> Vec<wire::TradeId> {
            seen.tape.iter().filter(|(book, _)| *book == u64::from(instrument.0)).map(|&(_, trade)| trade).collect()
        };
        assert!(of_book(&early).ends_with(&of_book(&late)), "seed {seed}, {instrument:?}");
    }
}

#[test]
fn who_reads_nothing_is_bounded_and_told_and_nobody_else_notices() {
    let limits = Limits { backlog_bytes_max: 128 << 10, send_window_bytes: 64 << 10, ..Limits::default() };
    let running = start(limits);
    let (address, trust) = (running.publisher.local_addr(), running.trust.clone());
    let (progress, closed) = (AtomicU64::new(0), AtomicBool::new(false));
    let seen = std::thread::scope(|scope| {
        let reader = watch(scope, address, &trust, &progress);
        wait_for(&progress, 0);
        let idle = scope.spawn(|| read_nothing(address, &trust, &closed));
        let mut trades = 0;
        while !closed.load(Ordering::Acquire) {
            trades += 1;
            running.submit(order(BOOKS[0], Side::Buy, 100, 1, 2 * trades));
            running.submit(order(BOOKS[0], Side::Sell, 100, 1, 2 * trades + 1));
            // No faster than who reads: what is too slow here is one subscriber alone.
            wait_for(&progress, trades.saturating_sub(IN_FLIGHT));
        }
        running.halt();
        let quinn::ConnectionError::ApplicationClosed(close) = idle.join().unwrap() else { panic!("not by the venue") };
        assert_eq!(close.error_code, (CloseReason::TooSlow as u32).into());
        assert_eq!(close.reason, CloseReason::TooSlow.text().as_bytes());
        let seen = reader.join().unwrap();
        assert_eq!((seen.tape.len() as u64, seen.gaps), (trades, GapCounters::default()));
        seen
    });
    let engine = running.stop();
    for (book, instrument) in seen.books.iter().zip(BOOKS) {
        assert!(is_engines(book, &engine, instrument));
    }
}

#[test]
fn a_book_that_is_listed_while_everything_is_subscribed_begins_once_and_is_not_refused() {
    for _ in 0..50 {
        // The listings are submitted, and on their way while the subscriber comes.
        let running = start(Limits::default());
        let (address, trust) = (running.publisher.local_addr(), running.trust.clone());
        let progress = AtomicU64::new(0);
        let seen = std::thread::scope(|scope| {
            let reader = watch(scope, address, &trust, &progress);
            wait_for(&progress, 0);
            running.halt();
            reader.join().unwrap()
        });
        assert_eq!((seen.books.len(), seen.gaps), (BOOKS.len(), GapCounters::default()));
        running.stop();
    }
}

/// The venue took none, and so its transport sent none.
#[test]
fn who_takes_datagrams_ends_with_the_engines_book() {
    let seed = 6;
    println!("seed {seed}");
    let mut random = Random(seed);
    let running = start(Limits::default());
    let (address, trust) = (running.publisher.local_addr(), running.trust.clone());
    let (sender, seen) = channel();
    std::thread::spawn(move || take(address, &trust, ORDERS_IN_DATAGRAMS, &sender));
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(None), "both books have begun");
    (1..=600).for_each(|name| running.submit(command(&mut random, name)));
    running.halt();
    let (books, _) = seen.recv_timeout(PATIENCE).expect("both books are halted").expect("their books");
    let engine = running.stop();
    for (book, instrument) in books.iter().zip(BOOKS) {
        assert!(is_engines(book, &engine, instrument), "seed {seed}");
        assert!(has_engines_orders(book, &engine, instrument), "seed {seed}");
    }
}

const ORDERS_IN_DATAGRAMS: (FeedLevel, DeliveryMode) = (FeedLevel::MarketByOrder, DeliveryMode::Datagrams);

#[test]
fn through_a_network_that_loses_every_book_is_the_engines() {
    let takers = [
        ORDERS_IN_DATAGRAMS,
        (FeedLevel::MarketByPrice, DeliveryMode::Datagrams),
        (FeedLevel::MarketByOrder, DeliveryMode::Live),
        (FeedLevel::MarketByPrice, DeliveryMode::Conflated),
    ];
    let mut lost_in_all = 0;
    for (seed, loss_percent) in [(11, 1), (12, 5), (13, 20)] {
        println!("seed {seed}, {loss_percent} percent lost each way");
        let mut random = Random(seed);
        let running = start(Limits::default());
        let links: Vec<_> = takers
            .iter()
            .zip(1..)
            .map(|(_, number)| LossyLink::to(running.publisher.local_addr(), loss_percent, seed << 8 | number))
            .collect();
        let seen: Vec<_> = links
            .iter()
            .zip(takers)
            .map(|(link, taker)| {
                let (sender, seen) = channel();
                let (address, trust) = (link.address(), running.trust.clone());
                std::thread::spawn(move || take(address, &trust, taker, &sender));
                seen
            })
            .collect();
        for seen in &seen {
            assert_eq!(seen.recv_timeout(PATIENCE), Ok(None), "both books have begun");
        }
        for name in 1..=1_500 {
            running.submit(command(&mut random, name));
            if name % 50 == 0 {
                // So that there are many packets, and not a few long ones.
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        running.halt();
        let ended: Vec<_> =
            seen.iter().map(|seen| seen.recv_timeout(PATIENCE).expect("both books are halted").unwrap()).collect();
        let lost: u64 = links.into_iter().map(LossyLink::stop).sum();
        let engine = running.stop();
        let mut repeated = 0;
        for ((books, gaps), (level, mode)) in ended.iter().zip(takers) {
            println!("  {level:?} {mode:?}: {gaps:?}");
            for (book, instrument) in books.iter().zip(BOOKS) {
                assert!(is_engines(book, &engine, instrument), "seed {seed}, {level:?} {mode:?}");
                let by_order = level == FeedLevel::MarketByOrder;
                assert!(!by_order || has_engines_orders(book, &engine, instrument), "seed {seed}, {level:?} {mode:?}");
            }
            assert_eq!(gaps.differing, 0);
            repeated += gaps.repeated;
        }
        println!("  {lost} datagrams lost, {repeated} times asked again");
        lost_in_all += lost;
    }
    assert!(lost_in_all > 0, "the links lose");
}

/// Books, and what was missed and proven on the way.
type Ended = Option<(Vec<Book>, GapCounters)>;

/// Tells when both books have begun, and gives them when both are halted.
fn take(address: SocketAddr, trust: &Trust, (level, mode): (FeedLevel, DeliveryMode), seen: &Sender<Ended>) {
    let nobody = Credentials::Anonymous;
    let patience = if mode == DeliveryMode::Datagrams { Patience::DATAGRAMS } else { Patience::default() };
    let mut subscriber = BlockingSubscriber::open(address, trust, &nobody, patience).unwrap();
    subscriber.subscribe(&[], level, mode).unwrap();
    let (mut begun, mut halted) = (BTreeSet::new(), BTreeSet::new());
    while halted.len() < BOOKS.len() {
        match subscriber.next().unwrap() {
            Update::Book { security_id, .. } if begun.insert(security_id) && begun.len() == BOOKS.len() => {
                seen.send(None).unwrap();
            }
            Update::Status(status) if status.phase == wire::Phase::Halted => drop(halted.insert(status.security_id)),
            Update::Definition(definition) if definition.phase == wire::Phase::Halted => {
                halted.insert(definition.security_id);
            }
            _ => {}
        }
    }
    let books = BOOKS.map(|book| subscriber.book(book.into()).unwrap().clone()).to_vec();
    seen.send(Some((books, subscriber.gaps()))).unwrap();
}

/// Subscribes, and looks at nothing until the connection is closed.
fn read_nothing(address: SocketAddr, trust: &Trust, closed: &AtomicBool) -> quinn::ConnectionError {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reason = runtime.block_on(async {
        let subscriber = Subscriber::connect(address, trust, &[], FeedLevel::MarketByPrice).await.unwrap();
        subscriber.closed().await
    });
    closed.store(true, Ordering::Release);
    reason
}

/// Without what was proven.
fn missed(gaps: GapCounters) -> GapCounters {
    assert_eq!(gaps.differing, 0);
    GapCounters { proven: 0, ..gaps }
}

#[test]
fn an_unknown_book_and_an_unsupported_level_are_refused_and_a_stranger_is_not_trusted() {
    let running = start(Limits::default());
    let (address, trust) = (running.publisher.local_addr(), running.trust.clone());
    for (level, reason) in [
        (FeedLevel::MarketByPrice, wire::SubscribeRejectReason::UnknownInstrument),
        (FeedLevel::NonRepresentable, wire::SubscribeRejectReason::UnsupportedLevel),
    ] {
        let mut subscriber = BlockingSubscriber::connect(address, &trust, &[wire::SecurityId(9)], level).unwrap();
        let Update::Rejected(reject) = subscriber.next().unwrap() else { panic!("not refused") };
        assert_eq!(reject.reason, reason);
    }
    let (_, other) = identity();
    let error = BlockingSubscriber::connect(address, &other, &[], FeedLevel::Trades).unwrap_err();
    assert!(matches!(error, SubscribeError::Connection(_)), "{error}");
    running.stop();
}
