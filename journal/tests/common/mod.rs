//! What the tests of the journal share. Nothing here comes from the code under test but its public types.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

pub mod trading;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::command::{AdminNote, AdvanceTime, CancelOrder, Deposit, MassCancel, NewOrder};
use engine::order::{OnDisconnect, OrderFlags, OrderType, Side, TimeInForce};
use engine::{
    AccountId, Amount, AssetId, Capacity, ClientOrderId, Command, EventSink, InstrumentId, OrderId, Price, Quantity,
    Sequence, Sequenced, SessionId, Timestamp,
};
use journal::{
    AppendError, Appender, Apply, BEFORE_FIRST, Digest, Journal, JournalId, OpenError, Opened, Options, Reader,
    Sequencer, Verified, WriteError,
};
use ring::Idle;
use simulation::{Failure, Fault, Operation, SimulatedDisk};
use tempfile::TempDir;

/// Segments of four pages: a header and three batches of a page.
pub const SMALL_SEGMENT: u64 = 16_384;
pub const PAGE: usize = 4_096;

/// Sebastiano Vigna's SplitMix64.
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to `bound`, which is excluded.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The seed of a random test: `SEED` if it is set, else `default`. Printed, so that a failure can be repeated.
pub fn seed(default: u64) -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("SEED={seed}");
    seed
}

/// A data folder and a folder for its head, both gone afterwards.
pub struct Folder {
    root: TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self { root: TempDir::new().unwrap() }
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn segment(&self, number: u64) -> PathBuf {
        self.data().join("journal").join(format!("{number:08}.seg"))
    }

    pub fn snapshots(&self) -> PathBuf {
        self.data().join("snapshots")
    }

    pub fn heads(&self) -> PathBuf {
        let heads = self.root.path().join("heads");
        std::fs::create_dir_all(&heads).unwrap();
        heads
    }

    /// The head's file, if there is one.
    pub fn head(&self) -> Option<PathBuf> {
        std::fs::read_dir(self.heads()).unwrap().map(|entry| entry.unwrap().path()).next()
    }

    pub fn options(&self) -> Options {
        Options {
            segment_bytes: SMALL_SEGMENT,
            head_bytes: 65_536,
            head_directory: Some(self.heads()),
            journal_id: Some(JournalId(*b"a journal's name")),
            ..Options::new(Capacity::SMALL)
        }
    }

    /// The same, with segments on `disk`.
    pub fn options_on(&self, disk: &SimulatedDisk) -> Options {
        Options { storage: Some(Arc::new(disk.clone())), ..self.options() }
    }

    pub fn open(&self) -> Writing {
        Writing::open(&self.data(), &self.options())
    }

    pub fn verify(&self) -> Result<Verified, journal::ReadError> {
        Reader::open(&self.data())?.verify()
    }

    pub fn commands(&self) -> Vec<Sequenced<Command>> {
        Reader::open(&self.data()).unwrap().commands().map(Result::unwrap).collect()
    }
}

/// A core that does nothing: for tests of the journal alone.
pub struct NoCore;

impl Apply for NoCore {
    fn apply(&mut self, _: &Sequenced<Command>, _: &mut impl EventSink) {}

    fn next_deadline(&self) -> Timestamp {
        Timestamp::NEVER
    }
}

/// A journal that is open, with its sequencer.
pub struct Writing {
    pub journal: Journal,
    pub sequencer: Sequencer<Appender>,
    pub recovery: journal::Recovery,
}

impl Writing {
    pub fn open(data: &Path, options: &Options) -> Self {
        Self::try_open(data, options).unwrap()
    }

    pub fn try_open(data: &Path, options: &Options) -> Result<Self, OpenError> {
        let Opened { journal, appender, recovery } = Journal::open(data, options)?;
        // The journal's tests do not replay; the time only has to be no earlier, and theirs is the sequence.
        let last = engine::Stamp { sequence: recovery.last, time: Timestamp(recovery.last.0) };
        Ok(Self { journal, sequencer: Sequencer::new(appender, last), recovery })
    }

    /// Submits commands one after the other, each at the time that its sequence says.
    pub fn submit(&mut self, commands: &[Command]) -> Result<(), AppendError> {
        for command in commands {
            let at = Timestamp(self.sequencer.last().sequence.0 + 1);
            self.sequencer.submit(&mut NoCore, at, &[*command], &mut Vec::new())?;
        }
        Ok(())
    }

    /// One batch on disk: a run of order flow, submitted while nothing else is under way.
    pub fn batch(&mut self, commands: &[Command]) {
        self.submit_together(commands).unwrap();
        self.wait();
    }

    /// Submits commands as of the time that the first one's sequence says.
    pub fn submit_together(&mut self, commands: &[Command]) -> Result<(), AppendError> {
        let at = Timestamp(self.sequencer.last().sequence.0 + 1);
        self.sequencer.submit(&mut NoCore, at, commands, &mut Vec::new()).map(drop)
    }

    /// Waits until what was submitted is acknowledged; false if it will not be, because the writer has stopped or waits for
    /// a disk that is dead.
    pub fn wait_on(&self, disk: &SimulatedDisk) -> bool {
        let (last, durable) = (self.sequencer.last().sequence, self.journal.durable());
        let look = || (durable.get() >= last.0 || durable.is_poisoned() || disk.is_dead()).then_some(());
        while durable.bell().wait_at_most(Idle::Park, Duration::from_millis(1), look).is_none() {}
        durable.get() >= last.0
    }

    pub fn wait(&self) {
        self.journal.wait_released(self.sequencer.last().sequence).unwrap();
    }

    pub fn close(self, event_digest: Digest) {
        self.journal.close(self.sequencer.into_append(), event_digest).unwrap();
    }

    pub fn try_close(self) -> Result<(), Arc<WriteError>> {
        self.journal.close(self.sequencer.into_append(), Digest::ZERO)
    }

    /// Ends without a seal and leaves the head, as a crash does once everything is on disk.
    pub fn abandon(self) {
        self.stop();
    }

    /// The same, for those who want to know why.
    pub fn stop(self) -> Journal {
        drop(self.sequencer.into_append());
        self.journal
    }
}

/// The `number`-th cancel: order flow of 92 bytes, whose every field says which it is.
pub fn cancel(number: u64) -> Command {
    Command::from_venue(CancelOrder {
        account: AccountId(2),
        order_id: OrderId(number),
        original_client_order_id: ClientOrderId(number ^ u64::MAX),
        client_order_id: ClientOrderId(number.rotate_left(32)),
    })
}

/// Cancels from `first`, as many as fit one page together.
pub fn page_of_cancels(first: u64) -> Vec<Command> {
    (first..first + 40).map(cancel).collect()
}

/// A command of some kind, with random fields.
pub fn random_command(random: &mut SplitMix64) -> Command {
    match random.below(5) {
        0 => Command::from_venue(AdvanceTime {}),
        1 => cancel(random.next()),
        2 => Command::from_venue(MassCancel {
            account: AccountId(2),
            instrument: InstrumentId(1),
            side: None,
            entered_by: SessionId::NONE,
            client_order_id: ClientOrderId(random.next()),
            note: AdminNote::NONE,
        }),
        3 => Command::from_venue(Deposit {
            account: AccountId(2),
            asset: AssetId(1),
            amount: Amount(u128::from(random.next())),
            note: engine::command::AdminNote::NONE,
        }),
        _ => Command::from_venue(limit_order(random)),
    }
}

/// A limit order of one of three accounts around a price of 100.
pub fn limit_order(random: &mut SplitMix64) -> NewOrder {
    NewOrder {
        account: AccountId(2 + u32::try_from(random.below(3)).unwrap()),
        instrument: InstrumentId(1),
        client_order_id: ClientOrderId(random.next() | 1),
        side: if random.below(2) == 0 { Side::Buy } else { Side::Sell },
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price: Price(95 + random.below(11)),
        quantity: Quantity(1 + random.below(9)),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

/// What [`Writing::submit`] has to journal for `commands`, from sequence 1.
pub fn stamped(commands: &[Command]) -> Vec<Sequenced<Command>> {
    let stamp = |sequence| engine::Stamp { sequence: Sequence(sequence), time: Timestamp(sequence) };
    (1..).zip(commands).map(|(sequence, &value)| Sequenced { stamp: stamp(sequence), value }).collect()
}

/// A sequencer at the beginning, over anything.
pub fn new_sequencer<A: journal::Append>(append: A) -> Sequencer<A> {
    Sequencer::new(append, BEFORE_FIRST)
}

/// CRC-32C by its definition, bit by bit.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 })
    })
}

/// What a writer does to its disk, allocations aside.
pub const CHANGES: [Operation; 5] =
    [Operation::Settle, Operation::Write, Operation::Sync, Operation::Rename, Operation::SyncDirectory];

/// The same, and allocations.
pub const CHANGES_AND_FILES: [Operation; 6] = [
    Operation::Create,
    Operation::Settle,
    Operation::Write,
    Operation::Sync,
    Operation::Rename,
    Operation::SyncDirectory,
];

/// The `number`-th change from now fails. A write leaves its first bytes: of a batch, the header and a part of the first
/// record.
pub fn fail_at(disk: &SimulatedDisk, number: u64) {
    disk.arm(Fault::at(number).of(&CHANGES).with(Failure::Short(100)));
}

/// So many allocations from now on find the disk full.
pub fn fail_allocations(disk: &SimulatedDisk, count: u64) {
    disk.arm(Fault::at(1).of(&[Operation::Create]).times(count));
}

/// All commands on a disk.
pub fn commands_on(disk: &SimulatedDisk) -> Vec<Sequenced<Command>> {
    let reader = Reader::with_storage(Arc::new(disk.copy())).unwrap().unwrap();
    reader.commands().map(Result::unwrap).collect()
}
