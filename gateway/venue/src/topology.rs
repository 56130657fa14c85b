//! Threads, rings and who reads what: the venue on one page.
//!
//! ```text
//!   producers ──► CommandRing ──► core ──► EventRing ──► digest      gating: hashes blocks of events for the journal
//!                                  │                └──► readers     gating: as many as asked for
//!                                  ▼                └──► observers   may be lapped: as many as asked for
//!                                 head ──► journal writer ──► durable watermark ──► releases events
//!                                                   └──► segments ──► shadow ──► event history, snapshots
//! ```
//!
//! Starting recovers the journal, and the engine from the newest snapshot and a replay of what is behind it; stopping lets the core finish what is in the ring, the readers what is
//! in theirs, and seals the journal with the digest of all events.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use engine::{Capacity, Engine};
use gateway::balances::BalanceQuestions;
use gateway::hops::CoreMarks;
use journal::{
    AppendError, Appender, Digest, DigestQueue, Durability, EventDigest, FolderLock, Group, Journal, OpenError, Opened,
    Options, Recovery, Sequencer, Space, Start, WriteError,
};
use ring::{CommandRing, EventReader, EventRing, Idle, Polled, ReaderGauge, Release, Watermark};
use tokio::sync::oneshot;

use crate::affinity::{self, CoreNumber};
use crate::archive::{Archive, ArchiveError, ArchivePlan};
use crate::clock::{Clock, ClockWatch};
use crate::core_thread::{Core, Stopped};
use crate::ticks;

/// How a venue is put together.
#[derive(Debug, Clone)]
pub struct Topology {
    /// What the engine carries at most; an existing journal's has to be the same.
    pub capacity: Capacity,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// How threads wait.
    pub idle: Idle,
    /// The processor that the core is pinned to; none: it is not pinned. All other threads run where the thread may that
    /// starts the venue.
    pub core: Option<CoreNumber>,
    /// Commands that may wait for the core; then producers get Busy.
    pub command_slots: usize,
    /// Events that may wait for the slowest gating reader; then the core waits.
    pub event_slots: usize,
    /// Gating readers that [`Venue::start`] gives, besides its own.
    pub reader_count: usize,
    /// Readers that may be lapped.
    pub observer_count: usize,
    /// Bytes of a new journal segment.
    pub segment_bytes: u64,
    /// Where the journal's head is kept; none: shared memory.
    pub head_directory: Option<PathBuf>,
    /// What is kept of the past beside the journal; none: nothing.
    pub archive: Option<ArchivePlan>,
}

impl Default for Topology {
    /// For one machine: synced, parked, not pinned; four thousand commands and sixteen thousand events in flight.
    fn default() -> Self {
        Self {
            capacity: Capacity::DEFAULT,
            durability: Durability::Synced,
            idle: Idle::Park,
            core: None,
            command_slots: 4_096,
            event_slots: 16_384,
            reader_count: 0,
            observer_count: 0,
            segment_bytes: 64 << 20,
            head_directory: None,
            archive: None,
        }
    }
}

/// Why a venue did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state could not be rebuilt.
    #[error(transparent)]
    Start(#[from] journal::StartError),
    /// What is kept of the past could not be opened.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] io::Error),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Start(error.into())
    }
}

/// Why a venue did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The core could not journal any more.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The journal could not be completed.
    #[error(transparent)]
    Write(#[from] Arc<WriteError>),
}

/// A venue that runs.
pub struct Venue {
    commands: Arc<CommandRing>,
    readers: Vec<EventReader>,
    observers: Vec<EventReader>,
    recovery: Recovery,
    report: Vec<String>,
    durability: Durability,
    clock_behind: Option<Duration>,
    clock_watch: Arc<ClockWatch>,
    pinning_failure: Option<io::Error>,
    end: Option<oneshot::Receiver<()>>,
    stop: Arc<AtomicBool>,
    journal: Journal,
    core: JoinHandle<Stopped>,
    digest: JoinHandle<EventDigest>,
    digest_gauge: ReaderGauge,
    archive: Option<Archive>,
    marks: Arc<CoreMarks>,
    balances: Arc<BalanceQuestions>,
}

/// What a venue was when it stopped.
pub struct Ended {
    /// Its state.
    pub engine: Engine,
    /// Of all its events, from the journal's first command.
    pub event_digest: Digest,
}

impl Venue {
    /// Recovers the venue of a data folder, or makes a new one, and starts its threads.
    ///
    /// `ready` sees the recovered engine before any command is applied: the place to derive views from it.
    pub fn start(directory: &Path, topology: &Topology, ready: impl FnOnce(&Engine)) -> Result<Self, StartError> {
        make_folder(directory)?;
        Self::start_locked(FolderLock::take(directory)?, topology, ready)
    }

    /// The same in a folder that this process has locked.
    pub fn start_locked(
        lock: FolderLock,
        topology: &Topology,
        ready: impl FnOnce(&Engine),
    ) -> Result<Self, StartError> {
        let directory = lock.directory().to_owned();
        let options = journal_options(topology);
        let start = journal::start_locked(lock, &options)?;
        let report = start.report();
        let Start { opened: Opened { journal, appender, recovery }, engine, event_digest, .. } = start;
        ready(&engine);
        let archive = topology.archive.as_ref();
        let archive = archive.map(|plan| Archive::start(&directory, journal.source(), plan, recovery.since, &options));
        let archive = archive.transpose()?;

        let release = match topology.durability {
            Durability::Buffered => Release::AsPublished,
            Durability::Synced => Release::After(Arc::clone(journal.durable())),
        };
        let reader_count = topology.reader_count + 1;
        let (publisher, mut readers) = EventRing::open(topology.event_slots, reader_count, topology.idle, release);
        let observers = (0..topology.observer_count).map(|_| publisher.reader()).collect();
        let own = readers.pop().expect("one reader more than asked for");
        let digest_gauge = own.gauge().expect("it is a gating reader");
        let digest = start_digest(own, event_digest, journal.digests())?;

        let commands = Arc::new(CommandRing::new(topology.command_slots, topology.idle));
        let stop = Arc::new(AtomicBool::new(false));
        let marks = Arc::<CoreMarks>::default();
        let balances = Arc::<BalanceQuestions>::default();
        // The core is to find this done.
        ticks::calibrate();
        let clock = Clock::start(engine.last().time);
        let (clock_behind, clock_watch) = (clock.behind_at_start(), Arc::clone(clock.watch()));
        let core = Core {
            clock,
            sequencer: Sequencer::new(appender, engine.last()),
            engine,
            commands: Arc::clone(&commands),
            publisher,
            stop: Arc::clone(&stop),
            marks: Arc::clone(&marks),
            balances: Arc::clone(&balances),
        };
        // The core is started last: helpers that a pinned thread starts would be pinned with it.
        let (ending, end) = oneshot::channel();
        let (core, pinning_failure) = start_core(core, topology.core, ending)?;
        let end = Some(end);
        let durability = topology.durability;
        Ok(Self {
            commands,
            readers,
            observers,
            recovery,
            report,
            durability,
            clock_behind,
            clock_watch,
            pinning_failure,
            end,
            stop,
            journal,
            core,
            digest,
            digest_gauge,
            archive,
            marks,
            balances,
        })
    }

    /// Where commands go.
    pub fn commands(&self) -> &Arc<CommandRing> {
        &self.commands
    }

    /// The gating readers that were asked for; later calls give none.
    ///
    /// They have to be read until they are closed, or dropped: the core waits for them.
    pub fn take_readers(&mut self) -> Vec<EventReader> {
        core::mem::take(&mut self.readers)
    }

    /// The readers that may be lapped, as many as were asked for; later calls give none.
    pub fn take_observers(&mut self) -> Vec<EventReader> {
        core::mem::take(&mut self.observers)
    }

    /// The last command that is on stable storage. Poisoned: nothing more will be.
    pub fn durable(&self) -> &Arc<Watermark> {
        self.journal.durable()
    }

    /// What shows how far the thread is behind that hashes all events.
    pub fn digest_gauge(&self) -> &ReaderGauge {
        &self.digest_gauge
    }

    /// Tells of every group that the journal's writer makes durable; see [`Journal::watch_groups`].
    pub fn watch_groups(&self, told: impl Fn(&Group) + Send + Sync + 'static) {
        self.journal.watch_groups(ticks::now, told);
    }

    /// Where the core leaves its marks of sampled commands.
    pub fn marks(&self) -> &Arc<CoreMarks> {
        &self.marks
    }

    /// Where the core is asked what accounts have.
    pub fn balances(&self) -> &Arc<BalanceQuestions> {
        &self.balances
    }

    /// What the journal has room for, and what is to be let in.
    pub fn space(&self) -> &Space {
        self.journal.space()
    }

    /// What was found in the data folder.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What an operator should know of the start, a line each.
    pub fn report(&self) -> &[String] {
        &self.report
    }

    /// What is kept of the past; nothing if the topology says so.
    pub fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// What an acknowledgement promises.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// How far the wall clock was behind the journal's last command at the start, if that was more than a second.
    pub fn clock_behind(&self) -> Option<Duration> {
        self.clock_behind
    }

    /// What the core's clock sees of the wall clock.
    pub fn clock_watch(&self) -> &Arc<ClockWatch> {
        &self.clock_watch
    }

    /// Why the core is not on the processor that the topology names; none if it is, or none is named.
    pub fn pinning_failure(&self) -> Option<&io::Error> {
        self.pinning_failure.as_ref()
    }

    /// What completes when the core has ended, asked or not; later calls give none.
    pub fn take_end(&mut self) -> Option<oneshot::Receiver<()>> {
        self.end.take()
    }

    /// Whether the core runs: false once the journal has failed or the venue was stopped.
    pub fn is_running(&self) -> bool {
        !self.core.is_finished()
    }

    /// Applies what is in the command ring, lets every event out, and seals the journal.
    ///
    /// Producers that submit while this runs may get their commands in or not; what is submitted later is never
    /// applied.
    ///
    /// # Panics
    /// If a thread of the venue has panicked.
    pub fn stop(self) -> Result<Ended, StopError> {
        self.stop.store(true, Ordering::Release);
        self.journal.finish();
        self.commands.wake();
        drop(self.readers);
        let Stopped { engine, appender, failure } = self.core.join().expect("the core does not panic");
        // The folder's lock goes with the journal: nobody else may write what the archive still writes.
        if let Some(archive) = self.archive {
            archive.stop();
        }
        match failure {
            Some(failure) => Err(failure.into()),
            None => Self::close(self.journal, appender, engine, self.digest),
        }
    }

    fn close(
        journal: Journal,
        appender: Appender,
        engine: Engine,
        digest: JoinHandle<EventDigest>,
    ) -> Result<Ended, StopError> {
        let mut digest = digest.join().expect("the digest does not panic");
        digest.applied(engine.last().sequence);
        let event_digest = digest.value();
        journal.close(appender, event_digest)?;
        Ok(Ended { engine, event_digest })
    }
}

pub(crate) fn journal_options(topology: &Topology) -> Options {
    Options {
        durability: topology.durability,
        idle: topology.idle,
        segment_bytes: topology.segment_bytes,
        head_directory: topology.head_directory.clone(),
        ..Options::new(topology.capacity)
    }
}

fn make_folder(directory: &Path) -> Result<(), OpenError> {
    let error = |source| OpenError::Io { file: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(error)
}

/// Starts the core; why it is not where it should be, if it is not. `ending` is dropped when it has ended, asked or not.
fn start_core(
    core: Core,
    number: Option<CoreNumber>,
    ending: oneshot::Sender<()>,
) -> io::Result<(JoinHandle<Stopped>, Option<io::Error>)> {
    let (pinned, outcome) = mpsc::channel();
    let thread = Builder::new().name("core".to_owned()).spawn(move || {
        // Who starts the core waits for this.
        let _ = pinned.send(number.map_or(Ok(()), affinity::pin));
        drop(pinned);
        let commands = Arc::clone(&core.commands);
        let stopped = core.run();
        commands.close();
        drop(ending);
        stopped
    })?;
    let failure = outcome.recv().unwrap_or(Ok(())).err();
    Ok((thread, failure))
}

/// Starts what hashes the events that `reader` gets, and hands the digest of each block to the journal's writer.
pub fn start_digest(
    reader: EventReader,
    digest: EventDigest,
    queue: DigestQueue,
) -> io::Result<JoinHandle<EventDigest>> {
    let mut hashing = Hashing { reader, digest, queue };
    Builder::new().name("event-digest".to_owned()).spawn(move || {
        affinity::go_last();
        while hashing.turn() {
            hashing.reader.wait_at_leisure(Duration::from_secs(1));
        }
        hashing.digest
    })
}

/// Hashes the events that its reader gets, and hands the digest of each block to the journal's writer.
pub struct Hashing {
    /// Where events come from.
    pub reader: EventReader,
    /// Of all that came.
    pub digest: EventDigest,
    /// Where digests go.
    pub queue: DigestQueue,
}

impl Hashing {
    /// Takes what there is, without waiting; false: nothing more will come.
    pub fn turn(&mut self) -> bool {
        loop {
            match self.reader.poll_bytes() {
                Polled::Event(header, bytes) => {
                    self.digest.event_bytes(&header, bytes);
                    self.digest.completed().for_each(|block| self.queue.push(block));
                }
                Polled::Empty => return true,
                Polled::Lapped(_) => unreachable!("the core waits for a gating reader"),
                Polled::Closed => return false,
            }
        }
    }
}
