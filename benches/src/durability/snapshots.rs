//! Snapshots of a large venue under load: what the core's latency has of them, how long they take, and how long a start
//! takes behind one.
//!
//! Load model: open loop. A command is due at each interval; what stands for the core waits for that without sleeping,
//! stamps, appends and applies it, and its latency counts from when it was due until its events are there. Windows without
//! and with snapshots take turns in one run, and behind each pair is a pause in which the last snapshot comes to its end.

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use engine::command::{AdminNote, CancelOrder, ListInstrument, NewOrder, OpenAccount};
use engine::instrument::{Holds, Phase};
use engine::{
    AccountId, Amount, AssetId, Capacity, ClientOrderId, Command, Engine, InstrumentId, OnDisconnect, OrderFlags,
    OrderId, OrderType, Price, Quantity, SelfTradePrevention, Side, StpGroup, Text, TimeInForce, Timestamp,
};
use hdrhistogram::Histogram;
use journal::{Appender, BEFORE_FIRST, FolderLock, Keep, Opened, Options, Retention, Sequencer, start_locked};
use ring::Idle;
use venue::affinity::{self, CoreNumber};
use venue::archive::{Archive, ArchivePlan, ArchiveStatus};
use venue::topology::{Topology, Venue};

use crate::failure::Failure;
use crate::throughput::clock::{Clock, begin, end};
use crate::times::{histogram, record};

/// How commands are paced.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Commands a second.
    pub rate: u64,
    /// Seconds of a window.
    pub seconds: u64,
    /// How threads wait.
    pub idle: Idle,
    /// Where what stands for the core is pinned.
    pub core: Option<usize>,
}

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
    /// Of each snapshot taken meanwhile: to write it; and that, to restore an engine from it and to publish it.
    pub times: Vec<(Duration, Duration)>,
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
    std::fs::create_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    let options = Options { idle: pace.idle, ..Options::new(capacity(size)) };
    let failed = |error: &dyn std::fmt::Display| Failure::Missing(error.to_string());
    let start = start_locked(FolderLock::take(&folder)?, &options).map_err(|error| failed(&error))?;
    let Opened { journal, appender, .. } = start.opened;
    let plan = plan();
    let archive = Archive::start(&folder, journal.source(), &plan, None, &options).map_err(|error| failed(&error))?;
    let windows = Windows { length: pace.seconds * 1_000_000_000, pairs: size.pairs };
    let mut core = Core { engine: start.engine, sequencer: Sequencer::new(appender, BEFORE_FIRST) };
    let begun = Barrier::new(2);
    let measured = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            begun.wait();
            take(&archive, Instant::now(), windows)
        });
        let running = scope.spawn(|| {
            pace.core.map_or(Ok(()), |core| affinity::pin(CoreNumber(core)))?;
            core.fill(size)?;
            wait_for(archive.status(), core.last());
            begun.wait();
            let measured = core.measure(size, windows, pace.rate)?;
            core.age(&archive, size)?;
            Ok::<_, std::io::Error>(measured)
        });
        let measured = running.join().expect("what stands for the core does not panic");
        let times = taking.join().expect("who asks for snapshots does not panic");
        measured.map(|(without, with)| (without, with, times))
    });
    let (without, with, times) = measured.map_err(|source| Failure::io(&folder, source))?;
    let (bytes, last) = (archive.status().snapshot_bytes(), core.last());
    drop((core.sequencer.into_append(), journal));
    archive.stop();
    let topology = Topology { capacity: options.capacity, archive: Some(plan), ..Topology::default() };
    let begin = Instant::now();
    let venue = Venue::start(&folder, &topology, |_| {}).map_err(|error| failed(&error))?;
    let (restart, report) = (begin.elapsed(), venue.report().to_vec());
    assert!(venue.recovery().last.0 == last, "nothing is lost");
    venue.stop().map_err(|error| failed(&error))?;
    Ok(Snapshots { without, with, times, bytes, restart, report })
}

/// Room for what is measured, and an eighth.
fn capacity(size: Size) -> Capacity {
    Capacity { orders: size.orders + size.orders / 8, accounts: size.accounts + 2, ..Capacity::DEFAULT }
}

fn plan() -> ArchivePlan {
    ArchivePlan {
        snapshot_every: None,
        keep: Keep::at_most(2),
        retention: Retention::Everything,
        key: SigningKey::from_bytes(&[1; 32]),
    }
}

/// What stands for the core.
struct Core {
    engine: Engine,
    sequencer: Sequencer<Appender>,
}

impl Core {
    fn last(&self) -> u64 {
        self.sequencer.last().sequence.0
    }

    fn submit(&mut self, commands: &[Command]) -> std::io::Result<()> {
        let at = Timestamp(self.last() + 1);
        let stamp = self.sequencer.submit(&mut self.engine, at, commands, &mut ());
        stamp.map(drop).map_err(std::io::Error::other)
    }

    fn fill(&mut self, size: Size) -> std::io::Result<()> {
        filling(size).try_for_each(|command| self.submit(&[command]))
    }

    /// Latencies without and with snapshots.
    fn measure(
        &mut self,
        size: Size,
        windows: Windows,
        rate: u64,
    ) -> std::io::Result<(Histogram<u64>, Histogram<u64>)> {
        let (mut without, mut with) = (histogram(), histogram());
        let clock = Clock::calibrate();
        let (interval, begun) = (clock.ticks(1e9 / rate as f64), begin());
        let count = windows.total() / 1_000 * rate / 1_000_000;
        for number in 0..count {
            let due = begun + number * interval;
            while end() < due {
                std::hint::spin_loop();
            }
            self.submit(&[turnover(size, number)])?;
            let latency = clock.between(end() - due);
            match windows.at(number * 1_000_000_000 / rate) {
                Some(Window::Without) => record(&mut without, latency),
                Some(Window::With) => record(&mut with, latency),
                Some(Window::Pause) | None => {}
            }
        }
        Ok((without, with))
    }

    /// One more snapshot, then as many commands as are to be behind it.
    fn age(&mut self, archive: &Archive, size: Size) -> std::io::Result<()> {
        wait_for(archive.status(), self.last());
        let before = archive.status().snapshot_count();
        archive.request_snapshot();
        let first = self.last().next_multiple_of(2);
        for number in first..first + size.behind + 2_048 {
            self.submit(&[turnover(size, number)])?;
        }
        wait_for(archive.status(), self.last());
        while archive.status().snapshot_count() == before {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
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
fn take(archive: &Archive, begun: Instant, windows: Windows) -> Vec<(Duration, Duration)> {
    let status = archive.status();
    let (mut times, mut seen) = (Vec::new(), status.snapshot_count());
    let mut asked = false;
    loop {
        let since = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if status.snapshot_count() > seen {
            (seen, asked) = (status.snapshot_count(), false);
            times.push((status.snapshot_writing(), status.snapshot_time()));
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
