//! The core allocates nothing in steady state, whatever the durability and however threads wait.
//!
//! The allocator counts what each thread allocates; the core is found by its thread's name.
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use journal::Durability;
use ring::{EventReader, Idle, Polled};
use venue::topology::{Topology, Venue};

/// Threads share a counter if their numbers agree in the lowest bits, which then counts too much and never too little.
const COUNTERS: usize = 1 << 12;
static ALLOCATIONS: [AtomicU64; COUNTERS] = [const { AtomicU64::new(0) }; COUNTERS];

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counter(rustix::thread::gettid().as_raw_nonzero().get()).fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counter(thread: i32) -> &'static AtomicU64 {
    &ALLOCATIONS[thread.unsigned_abs() as usize % COUNTERS]
}

/// The number of this process's thread of that name, which it gives itself when it starts.
fn thread_named(name: &str) -> i32 {
    let named =
        |entry: &fs::DirEntry| fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    let begun = Instant::now();
    loop {
        let threads: Vec<_> = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok).filter(named).collect();
        match &threads[..] {
            [thread] => return thread.file_name().to_string_lossy().parse().unwrap(),
            [] => assert!(begun.elapsed() < Duration::from_secs(60), "no thread {name}"),
            several => panic!("{} threads {name}", several.len()),
        }
    }
}

const BOOK: InstrumentId = InstrumentId(1);
const ACCOUNTS: [AccountId; 3] = [AccountId(2), AccountId(3), AccountId(4)];

fn set_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let listing = ListInstrument {
        instrument: BOOK,
        name: Text::new("X").unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note,
    };
    let open = |account| {
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note }.into()
    };
    [listing.into()].into_iter().chain(ACCOUNTS.map(open)).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Orders, cancels and amends around one price, as venues see them.
fn command(random: &mut Random, name: u64) -> CommandBody {
    let account = ACCOUNTS[random.below(3) as usize];
    let earlier = ClientOrderId(name.saturating_sub(random.below(200)).max(1));
    let price = Price(900 + random.below(200));
    match random.below(10) {
        0..3 => CancelOrder {
            account,
            order_id: OrderId::NONE,
            original_client_order_id: earlier,
            client_order_id: ClientOrderId::NONE,
        }
        .into(),
        3..5 => ReplaceOrder {
            account,
            order_id: OrderId::NONE,
            original_client_order_id: earlier,
            client_order_id: ClientOrderId::NONE,
            order_type: None,
            time_in_force: None,
            price,
            quantity: Quantity(1 + random.below(20)),
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
        .into(),
        kind => NewOrder {
            account,
            instrument: BOOK,
            client_order_id: ClientOrderId(name),
            side: Side::BOTH[random.below(2) as usize],
            order_type: OrderType::Limit,
            time_in_force: if kind == 9 { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTillCancel },
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price,
            quantity: Quantity(1 + random.below(20)),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
        .into(),
    }
}

fn submit(venue: &Venue, body: CommandBody) {
    while venue.commands().submit(Command::from_venue(body)).is_err() {
        std::thread::yield_now();
    }
}

/// Reads until the events of command `last` have come.
fn read_to(reader: &mut EventReader, last: Sequence) {
    loop {
        match reader.poll() {
            Polled::Event(header, _) if header.id.sequence >= last => return,
            Polled::Event(..) => {}
            Polled::Empty => reader.wait(Duration::from_secs(60)),
            Polled::Lapped(count) => panic!("a gating reader was lapped by {count}"),
            Polled::Closed => panic!("the venue has ended"),
        }
    }
}

/// One test, because the core is found by its thread's name.
#[test]
fn the_core_allocates_nothing_in_steady_state() {
    const WARM_UP: u64 = 4_000;
    const COUNTED: u64 = 20_000;
    for (durability, idle) in
        [(Durability::Buffered, Idle::Park), (Durability::Synced, Idle::Park), (Durability::Synced, Idle::Poll)]
    {
        let seed = 7;
        println!("seed {seed}, {durability:?}, {idle:?}");
        let mut random = Random(seed);
        let folder = tempfile::tempdir().unwrap();
        let topology = Topology {
            capacity: Capacity { orders: 1 << 16, ..Capacity::SMALL },
            durability,
            idle,
            reader_count: 1,
            segment_bytes: 4 << 20,
            head_directory: Some(folder.path().to_owned()),
            ..Topology::default()
        };
        let mut venue = Venue::start(folder.path(), &topology, |_| {}).unwrap();
        let mut reader = venue.take_readers().pop().unwrap();
        let ours = set_up();
        let first = ours.len() as u64;
        ours.into_iter().for_each(|body| submit(&venue, body));
        let core = counter(thread_named("core"));
        let mut drive = |from: u64, to: u64| {
            std::thread::scope(|scope| {
                scope.spawn(|| read_to(&mut reader, Sequence(first + to)));
                (from..=to).for_each(|name| submit(&venue, command(&mut random, name)));
            });
        };
        drive(1, WARM_UP);
        let before = core.load(Ordering::Relaxed);
        assert!(before > 0, "a core that starts allocates: this one is not counted");
        drive(WARM_UP + 1, WARM_UP + COUNTED);
        let allocated = core.load(Ordering::Relaxed) - before;
        assert_eq!(allocated, 0, "{durability:?}, {idle:?}: allocations in {COUNTED} commands");
        drop(reader);
        let ended = venue.stop().unwrap();
        assert_eq!(ended.engine.last().sequence, Sequence(first + WARM_UP + COUNTED));
    }
}
