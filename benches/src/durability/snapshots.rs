//! Snapshots of a large venue under load: what the core's latency has of them, how long they take, and how long a start
//! takes behind one.
//!
//! Load model: open loop, as in [`paced`](super::paced): each command's latency counts from when it is due, through ring
//! and core to a reader of its first event, as the core publishes it. Windows without and with snapshots take turns in one
//! run, and behind each pair is a pause in which the last snapshot comes to its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use engine::command::{AdminNote, CancelOrder, ListInstrument, NewOrder, OpenAccount};
use engine::instrument::{Holds, Phase};
use engine::{
    AccountId, Amount, AssetId, Capacity, ClientOrderId, Command, InstrumentId, OnDisconnect, OrderFlags, OrderId,
    OrderType, Price, Quantity, SelfTradePrevention, Side, StpGroup, Text, TimeInForce, Timestamp,
};
use hdrhistogram::Histogram;
use journal::{Durability, Keep, Retention};
use ring::{CommandRing, EventReader, Polled};
use venue::affinity::CoreNumber;
use venue::archive::{Archive, ArchivePlan, ArchiveStatus};
use venue::topology::{Topology, Venue};

use super::paced::{Pace, nanoseconds, produce, submit};
use crate::failure::Failure;
use crate::times::{histogram, record};

/// What the venue holds, and what happens to it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Accounts.
    pub accounts: u32,
    /// Resting orders.
    pub orders: u32,
    /// Commands behind the last snapshot when the venue is stopped, at least.
    pub behind: u64,
    /// Pairs of windows.
    pub pairs: u64,
}

/// What was measured.
#[derive(Debug)]
pub struct Snapshots {
    /// Latencies while no snapshot is taken.
    pub without: Histogram<u64>,
    /// Latencies while one is taken after the other.
    pub with: Histogram<u64>,
    /// Of each snapshot taken meanwhile: to write it, to restore an engine from it, and to publish it.
    pub times: Vec<Duration>,
    /// Bytes of the last.
    pub bytes: u64,
    /// From the call that starts the venue until its core runs.
    pub restart: Duration,
    /// What the start says of itself.
    pub report: Vec<String>,
}

/// A window's length, and how many there are.
#[derive(Debug, Clone, Copy)]
struct Windows {
    length: u64,
    pairs: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Without,
    With,
    Pause,
}

/// Around a window's ends nothing is counted.
const MARGIN: u64 = 100_000_000;

impl Windows {
    /// Which it is so many nanoseconds behind the beginning; nothing at its ends.
    fn at(self, since: u64) -> Option<Window> {
        let inside = since % self.length;
        let kind = [Window::Without, Window::With, Window::Pause][(since / self.length % 3) as usize];
        (inside >= MARGIN && inside < self.length - MARGIN).then_some(kind)
    }

    fn total(self) -> u64 {
        3 * self.pairs * self.length
    }
}

/// Measures pairs of windows of `pace.seconds`, and a restart.
pub fn snapshots(size: Size, directory: &Path, pace: &Pace) -> Result<Snapshots, Failure> {
    let folder = directory.join("snapshots");
    let topology = topology(size, pace);
    let failed = |error: &dyn std::fmt::Display| Failure::Missing(error.to_string());
    let mut venue = Venue::start(&folder, &topology, |_| {}).map_err(|error| failed(&error))?;
    let mut reader = venue.take_readers().pop().expect("one was asked for");
    let commands = Arc::clone(venue.commands());
    let windows = Windows { length: pace.seconds * 1_000_000_000, pairs: size.pairs };
    let (origin, ended) = (Instant::now(), AtomicBool::new(false));
    let archive = venue.archive().expect("it was asked for");
    let (mut submitted, mut times) = (0, Vec::new());
    let (without, with) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(&mut reader, origin, windows, &ended));
        for command in filling(size) {
            submit(&commands, command);
            submitted += 1;
        }
        wait_for(archive.status(), submitted);
        let load: Vec<_> =
            (0..windows.total() / 1_000 * pace.rate / 1_000_000).map(|number| turnover(size, number)).collect();
        let taking = scope.spawn(|| take(archive, origin, windows));
        produce(&commands, &load, origin, pace.rate);
        submitted += load.len() as u64;
        times = taking.join().expect("who asks for snapshots does not panic");
        age(archive, &commands, size, submitted);
        ended.store(true, Ordering::Release);
        reading.join().expect("the reader does not panic")
    });
    let bytes = archive.status().snapshot_bytes();
    drop(reader);
    venue.stop().map_err(|error| failed(&error))?;
    let begin = Instant::now();
    let venue = Venue::start(&folder, &Topology { reader_count: 0, ..topology }, |_| {});
    let venue = venue.map_err(|error| failed(&error))?;
    let (restart, report) = (begin.elapsed(), venue.report().to_vec());
    venue.stop().map_err(|error| failed(&error))?;
    Ok(Snapshots { without, with, times, bytes, restart, report })
}

fn topology(size: Size, pace: &Pace) -> Topology {
    let capacity = Capacity { orders: size.orders + size.orders / 8, accounts: size.accounts + 2, ..Capacity::DEFAULT };
    let archive = ArchivePlan {
        snapshot_every: None,
        keep: Keep::at_most(2),
        retention: Retention::Everything,
        key: SigningKey::from_bytes(&[1; 32]),
    };
    Topology {
        capacity,
        // So that an event is released when the core publishes it.
        durability: Durability::Buffered,
        idle: pace.idle,
        core: pace.core.map(CoreNumber),
        reader_count: 1,
        archive: Some(archive),
        ..Topology::default()
    }
}

/// An instrument, the accounts, and their orders: ten thousand prices a side, none of which meet.
fn filling(size: Size) -> impl Iterator<Item = Command> {
    let listing = ListInstrument {
        instrument: InstrumentId(1),
        name: Text::new("BTC-USD").expect("short"),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: 1,
        tick_decimals: 2,
        lot: 1,
        lot_decimals: 4,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    };
    let account = |number: u32| OpenAccount {
        account: AccountId(2 + number),
        stp_group: StpGroup::NONE,
        self_trade_prevention: None,
        fee_tier: 0,
        note: AdminNote::NONE,
    };
    let accounts = (0..size.accounts).map(move |number| Command::from_venue(account(number)));
    let orders =
        (0..u64::from(size.orders)).map(move |number| Command::from_venue(order(size, number, number / 2 % 10_000)));
    std::iter::once(Command::from_venue(listing)).chain(accounts).chain(orders)
}

fn order(size: Size, number: u64, distance: u64) -> NewOrder {
    let side = if number.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let price = match side {
        Side::Buy => 100_000 - distance,
        Side::Sell => 100_001 + distance,
    };
    NewOrder {
        account: AccountId(2 + (number % u64::from(size.accounts)) as u32),
        instrument: InstrumentId(1),
        client_order_id: ClientOrderId(number + 1),
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::Keep,
        price: Price(price),
        quantity: Quantity(10),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

/// An order near the touch, then its cancel, and so on.
fn turnover(size: Size, number: u64) -> Command {
    let order = order(size, u64::from(size.orders) + number / 2, number / 4 % 16);
    if number.is_multiple_of(2) {
        return Command::from_venue(order);
    }
    Command::from_venue(CancelOrder {
        account: order.account,
        order_id: OrderId::NONE,
        original_client_order_id: order.client_order_id,
        client_order_id: ClientOrderId::NONE,
    })
}

fn wait_for(status: &ArchiveStatus, submitted: u64) {
    while status.reached().get() < submitted {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks for one snapshot after the other while that is their window; what each took.
fn take(archive: &Archive, origin: Instant, windows: Windows) -> Vec<Duration> {
    let (begun, status) = (nanoseconds(origin), archive.status());
    let (mut times, mut seen) = (Vec::new(), status.snapshot_count());
    let mut asked = false;
    loop {
        let since = nanoseconds(origin) - begun;
        if status.snapshot_count() > seen {
            (seen, asked) = (status.snapshot_count(), false);
            times.push(status.snapshot_time());
        }
        if since >= windows.total() {
            return times;
        }
        if !asked && windows.at(since) == Some(Window::With) {
            archive.request_snapshot();
            asked = true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One more snapshot, then as many commands as are to be behind it.
fn age(archive: &Archive, commands: &CommandRing, size: Size, submitted: u64) {
    wait_for(archive.status(), submitted);
    let before = archive.status().snapshot_count();
    archive.request_snapshot();
    let first = submitted.next_multiple_of(2);
    for number in first..first + size.behind + 2_048 {
        submit(commands, turnover(size, number));
    }
    wait_for(archive.status(), submitted + size.behind);
    while archive.status().snapshot_count() == before {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads until it is told to end; latencies by window.
fn read(
    reader: &mut EventReader,
    origin: Instant,
    windows: Windows,
    ended: &AtomicBool,
) -> (Histogram<u64>, Histogram<u64>) {
    let (mut without, mut with, mut begun) = (histogram(), histogram(), None);
    loop {
        match reader.poll() {
            Polled::Event(header, _) if header.id.index == 0 && !header.received_at.is_none() => {
                let due = header.received_at.0;
                let latency = nanoseconds(origin).saturating_sub(due);
                match windows.at(due - *begun.get_or_insert(due)) {
                    Some(Window::Without) => record(&mut without, latency),
                    Some(Window::With) => record(&mut with, latency),
                    Some(Window::Pause) | None => {}
                }
            }
            Polled::Event(..) => {}
            Polled::Empty if ended.load(Ordering::Acquire) => return (without, with),
            Polled::Empty => reader.wait(Duration::from_millis(100)),
            Polled::Lapped(_) | Polled::Closed => panic!("the venue has ended"),
        }
    }
}
