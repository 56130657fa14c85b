//! What appending a command costs the core, while the writer rests and while it syncs as fast as it can.
//!
//! Load model: a command every two microseconds, each appended and published alone and timed by the processor's counter.
//! While the writer rests, its first sync is held; the head takes all that comes, and the writer is let go behind it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use engine::{Sequence, Sequenced, Stamp, Timestamp};
use hdrhistogram::Histogram;
use journal::storage::Bytes;
use journal::{Append, DirectoryStorage, JOURNAL_FOLDER, Journal, Opened, Options, Storage, StorageFile};
use ring::Idle;
use venue::affinity::{self, CoreNumber};

use super::flow::Flow;
use crate::failure::Failure;
use crate::throughput::clock::{Clock, begin, end};
use crate::times::{histogram, record};

/// Between two commands.
const INTERVAL_NANOSECONDS: f64 = 2_000.0;
/// Commands of a turn: they fit the head.
const TURN: usize = 50_000;
/// Turns of each kind.
const TURNS: usize = 10;

/// Times of single appends, in nanoseconds, what reading the counter takes taken off.
#[derive(Debug)]
pub struct Appends {
    /// While the writer rests.
    pub resting: Histogram<u64>,
    /// While it writes and syncs without a pause.
    pub syncing: Histogram<u64>,
    /// The counter's own cost that was taken off.
    pub clock: Clock,
}

/// Times both, on the processor `core` if one is named.
pub fn appends(flow: &Flow, directory: &Path, idle: Idle, core: Option<CoreNumber>) -> Result<Appends, Failure> {
    let folder = directory.join("appends");
    let gate = Arc::new(Gate::default());
    std::fs::create_dir_all(folder.join(JOURNAL_FOLDER)).map_err(|source| Failure::io(&folder, source))?;
    let storage = HeldStorage { disk: DirectoryStorage::new(folder.join(JOURNAL_FOLDER)), gate: Arc::clone(&gate) };
    let options = Options { storage: Some(Arc::new(storage)), idle, ..Options::new(flow.capacity) };
    let Opened { journal, mut appender, .. } = Journal::open(&folder, &options)?;
    // Behind the writer's start, which would be pinned with it.
    core.map_or(Ok(()), affinity::pin).map_err(|error| Failure::Usage(format!("--core: {error}")))?;
    let clock = Clock::calibrate();
    let mut appends = Appends { resting: histogram(), syncing: histogram(), clock };
    let mut last = Sequence::NONE;
    let mut turn = |times: &mut Histogram<u64>, count: usize| -> Result<(), Failure> {
        let mut due = begin();
        let interval = clock.ticks(INTERVAL_NANOSECONDS);
        for &value in flow.commands.iter().cycle().skip(last.0 as usize % flow.commands.len()).take(count) {
            last = last.next();
            let command = Sequenced { stamp: Stamp { sequence: last, time: Timestamp(last.0) }, value };
            due += interval;
            while end() < due {
                std::hint::spin_loop();
            }
            let begun = begin();
            appender.append(&command)?;
            appender.publish()?;
            record(times, clock.between(end() - begun));
        }
        Ok(())
    };
    for _ in 0..TURNS {
        gate.hold();
        // The writer takes the first, and is held.
        turn(&mut histogram(), 1)?;
        gate.wait_until_held();
        turn(&mut appends.resting, TURN)?;
        gate.release();
        turn(&mut appends.syncing, TURN)?;
    }
    journal.wait_released(last)?;
    drop(appender);
    std::fs::remove_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    Ok(appends)
}

/// Holds syncs.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    holds: bool,
    /// Who waits.
    held: usize,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self) {
        self.lock().holds = true;
    }

    fn release(&self) {
        self.lock().holds = false;
        self.changed.notify_all();
    }

    fn wait_until_held(&self) {
        let state = self.changed.wait_while(self.lock(), |state| state.held == 0);
        drop(state.unwrap_or_else(PoisonError::into_inner));
    }

    fn pass(&self) {
        let mut state = self.lock();
        state.held += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.holds).unwrap_or_else(PoisonError::into_inner);
        state.held -= 1;
    }
}

/// A folder whose syncs can be held.
struct HeldStorage {
    disk: DirectoryStorage,
    gate: Arc<Gate>,
}

impl Storage for HeldStorage {
    fn path(&self) -> &Path {
        self.disk.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>> {
        self.held(self.disk.create(name, length)?)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.held(self.disk.open(name)?)
    }

    fn map(&self, name: &str) -> io::Result<Bytes> {
        self.disk.map(name)
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.disk.settle(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn alignment(&self) -> usize {
        self.disk.alignment()
    }
}

impl HeldStorage {
    fn held(&self, file: Box<dyn StorageFile>) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(HeldFile { file, gate: Arc::clone(&self.gate) }))
    }
}

struct HeldFile {
    file: Box<dyn StorageFile>,
    gate: Arc<Gate>,
}

impl StorageFile for HeldFile {
    fn length(&self) -> u64 {
        self.file.length()
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
}
