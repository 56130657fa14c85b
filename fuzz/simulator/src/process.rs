//! The venue's process: its own parts, wired as `venue::topology` and `venue::serve` wire them, and turned by one thread.
//!
//! ```text
//!   Wires ─► Door ─► CommandRing ─► Core ─► head ─► Hands ─► disk ─► Follower ─► Shadow ─► history, snapshots
//!              ▲                     └─► EventRing ─┬─► Hashing          └─────► the truth
//!              └────────────────────────────────────┼─► Door, Desk of market data
//!                                                   └─► the truth
//! ```

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use engine::{Command, Engine, Event, EventHeader, Sequence};
use gateway::balances::BalanceQuestions;
use gateway::copies::CopyRange;
use gateway::history::{ReportHistory, ReportRange};
use gateway::hops::CoreMarks;
use gateway::transport::{Config, Door, DoorParts, Security, Workers};
use gateway::view::View;
use journal::{
    Durability, EventDigest, FolderLock, Followed, Follower, Hands, HistoryError, HistoryOptions, Journal, JournalId,
    Keep, Labour, Made, Opened, Options, PastSource, Recovery, Seek, Sequencer, Shadow, ShadowEvent, SnapshotPolicy,
    SnapshotRequest, Start, StartError, State, Wrote,
};
use marketdata::Feed;
use ring::{CommandRing, EventReader, EventRing, Idle, Release, Watermark};
use simulation::SimulatedDisk;
use venue::archive::{SharedHistory, open_history};
use venue::clock::{Clock, SharedClock};
use venue::core_thread::Core;
use venue::report_history::{HistoryReports, JournalHistory};
use venue::topology::Hashing;

use crate::finding::{Checked, Finding, Promise};
use crate::marks::{Group, Marks};
use crate::network::Wires;
use crate::plants::{Plant, Planted, Relay};
use crate::time::Clocks;
use crate::world::CAPACITY;

/// Commands that may wait for the core.
const COMMAND_SLOTS: usize = 256;
/// Events that may wait for the slowest reader.
const EVENT_SLOTS: usize = 1 << 15;
/// Events of one command at most: every order ends, and icebergs are shown again and again.
pub(crate) const EVENTS_OF_A_COMMAND: u64 = 1 << 12;
/// Commands that the core takes in a turn.
const BATCH_MAX: usize = 4;
/// Bytes of the head's ring.
const HEAD_BYTES: u64 = 64 << 10;

/// What outlasts a process: the machine that it runs on.
pub struct Machine {
    /// A folder for locks, heads and the event history.
    pub folder: tempfile::TempDir,
    /// Segments.
    pub segments: SimulatedDisk,
    /// Snapshots.
    pub snapshots: SimulatedDisk,
    /// The journal's name.
    pub journal: JournalId,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// When snapshots are due.
    pub snapshot_every: Option<u64>,
    /// What is wrong with the venue on purpose.
    pub plant: Option<Plant>,
    /// The state of the start before, for a plant.
    pub older: RefCell<Option<Vec<u8>>>,
}

impl Machine {
    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn heads(&self) -> PathBuf {
        self.folder.path().join("heads")
    }

    /// The head that a process left, if one did.
    pub fn head(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.heads()).ok()?;
        let mut heads = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        heads.find(|path| path.extension().is_some_and(|end| end == "head"))
    }

    /// How its journal is opened.
    pub fn options(&self) -> Options {
        Options {
            durability: Durability::Synced,
            idle: Idle::Park,
            labour: Labour::Turns,
            segment_bytes: self.segment_bytes,
            head_bytes: HEAD_BYTES,
            head_directory: Some(self.heads()),
            journal_id: Some(self.journal),
            storage: Some(Arc::new(self.segments.clone())),
            snapshots: Some(Arc::new(self.snapshots.clone())),
            ..Options::new(CAPACITY)
        }
    }

    /// The engine, or an older one where that is planted.
    fn as_planted(&self, engine: Engine) -> Engine {
        if self.plant != Some(Plant::StaleState) {
            return engine;
        }
        let mut now = Vec::new();
        engine.write_snapshot(&mut now);
        let older = self.older.replace(Some(now));
        older.and_then(|bytes| Engine::read_snapshot(&bytes).ok()).unwrap_or(engine)
    }

    /// How often the disks were made to fail.
    pub fn failure_count(&self) -> u64 {
        self.segments.failure_count() + self.snapshots.failure_count()
    }
}

/// Old reports without the last one: a plant.
struct Forgetful(HistoryReports);

impl ReportHistory for Forgetful {
    fn reports(&self, range: &ReportRange, released: Sequence) -> std::io::Result<Vec<(EventHeader, Event)>> {
        let mut found = self.0.reports(range, released)?;
        found.pop();
        Ok(found)
    }

    fn copies(&self, range: &CopyRange, released: Sequence) -> std::io::Result<Vec<(EventHeader, Event)>> {
        self.0.copies(range, released)
    }
}

/// Work that is to be done beside the door, in the simulation's own time.
#[derive(Default)]
struct Later(Mutex<VecDeque<Box<dyn FnOnce() + Send>>>);

impl Later {
    fn next(&self) -> Option<Box<dyn FnOnce() + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Workers for Later {
    fn start(&self, work: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(work);
        Ok(())
    }
}

/// The venue while it runs.
pub struct Process {
    /// What everybody's commands go into.
    pub commands: Arc<CommandRing>,
    /// What the truth reads.
    pub events: EventReader,
    /// What the truth follows.
    pub follower: Follower,
    /// What market data reads.
    pub for_market_data: EventReader,
    /// Asks for snapshots.
    pub snapshot: SnapshotRequest,
    /// The order entry.
    pub door: Door<Wires>,
    core: Core<Clocks, Planted>,
    relay: Relay,
    batch: Vec<Command>,
    hands: Hands,
    journal: Journal,
    hashing: Hashing,
    shadow: Option<Shadow>,
    later: Arc<Later>,
    stop: Arc<AtomicBool>,
    history: SharedHistory,
    reached: Arc<Watermark>,
    /// Why the core has ended, if it has.
    pub failure: Option<String>,
}

/// A process that has started, and what market data begins with.
pub struct Started {
    /// The process.
    pub process: Process,
    /// The books as they were.
    pub feed: Feed,
    /// What market data tells the time by.
    pub clock: SharedClock<Clocks>,
}

impl Process {
    /// Starts it; nothing if the disk did not let it.
    ///
    /// # Errors
    /// It did not start, and the disk is not why; or what it came to is not what happened.
    pub fn start(
        machine: &Machine,
        clocks: &Clocks,
        wires: &Wires,
        truth: &mut crate::truth::Truth,
        marks: &mut Marks,
    ) -> Checked<Option<Started>> {
        let failures = machine.failure_count();
        let (data, options) = (machine.data(), machine.options());
        fs::create_dir_all(&data).and_then(|()| fs::create_dir_all(machine.heads())).expect("a place in memory");
        let lock = FolderLock::take(&data).map_err(|error| Finding::new(Promise::StartsAgain, error.to_string()))?;
        let start = match journal::start_locked(lock, &options) {
            Ok(start) => start,
            Err(error) => {
                state_of(&error).into_iter().for_each(|state| marks.state(state));
                let is_named = error.to_string().contains("was made to");
                if machine.failure_count() > failures && is_named {
                    return Ok(None);
                }
                return Err(Finding::new(Promise::StartsAgain, error.to_string()));
            }
        };
        mark_recovery(&start, marks);
        let clock = Clock::with_source(clocks.clone(), start.engine.last().time);
        if clock.behind_at_start().is_some() {
            marks.state(State::ClockBehind);
        }
        let Start { opened: Opened { journal, mut appender, .. }, engine, event_digest, .. } = start;
        let engine = machine.as_planted(engine);
        let event_digest = match machine.plant {
            Some(Plant::DigestBegunAnew) => begun_anew(engine.last().sequence),
            _ => event_digest,
        };
        let hands = appender.take_hands().expect("the work is done in turns");
        let next = Seek::Sequence(truth.last().next());
        let follow = |seek| journal.follow(seek).map_err(|it| Finding::new(Promise::NothingIsLost, it.to_string()));
        let followed = follow(next).and_then(|mut follower| {
            truth.recovered(&mut follower, &engine, marks)?;
            Ok(follower)
        });
        let follower = match followed {
            Ok(follower) => follower,
            Err(finding) if finding.is_of_a_disk() => return Ok(None),
            Err(finding) => return Err(finding),
        };

        let release = match machine.plant {
            Some(Plant::AcknowledgedBeforeSync) => Release::AsPublished,
            _ => Release::After(Arc::clone(journal.durable())),
        };
        let (publisher, mut readers) = EventRing::open(EVENT_SLOTS, 4, Idle::Park, release);
        let mut reader = || readers.pop().expect("four were asked for");
        let hashing = Hashing { reader: reader(), digest: event_digest, queue: journal.digests() };
        let commands = Arc::new(CommandRing::new(COMMAND_SLOTS, Idle::Park));
        let (relay, inner) = Relay::new(machine.plant, &commands);
        let (stop, balances) = (Arc::new(AtomicBool::new(false)), Arc::<BalanceQuestions>::default());
        let (view, feed) = (View::of(&engine), Feed::of(&engine));
        let (history, reached) = (SharedHistory::default(), Arc::new(Watermark::new(0, Idle::Park)));
        let past = PastSource::with_storage(Arc::new(machine.segments.clone()), options.snapshot_store(&data));
        let replay = JournalHistory::in_turns(past, Arc::clone(journal.durable()));
        let reports = HistoryReports::new(history.clone(), Arc::clone(&reached), replay).with_patience(Duration::ZERO);
        let reports: Arc<dyn ReportHistory> = match machine.plant {
            Some(Plant::ReportForgotten) => Arc::new(Forgetful(reports)),
            _ => Arc::new(reports),
        };
        let later = Arc::<Later>::default();
        let shared_clock = || SharedClock::new(Clock::with_source(clocks.clone(), engine.last().time));
        let config = Config {
            admission: Arc::clone(journal.space().admission()),
            balances: Some(Arc::clone(&balances)),
            backlog_bytes: 64 << 10,
            connections_max: 48,
            connections_per_address: 24,
            ..Config::new(([127, 0, 0, 1], 0).into(), Security::PlainLoopback, shared_clock())
        };
        wires.listen();
        let door = Door::new(DoorParts {
            config,
            network: wires.clone(),
            commands: Arc::clone(&commands),
            events: reader(),
            view,
            reports,
            workers: later.clone(),
            stop: Arc::clone(&stop),
            hops: None,
        });
        let clock_of_market_data = shared_clock();
        let core = Core {
            sequencer: Sequencer::new(appender, engine.last()),
            clock,
            engine: Planted::new(engine, machine.plant),
            commands: inner,
            publisher,
            stop: Arc::clone(&stop),
            marks: Arc::<CoreMarks>::default(),
            balances,
        };
        let process = Self {
            commands,
            events: reader(),
            follower,
            for_market_data: reader(),
            snapshot: SnapshotRequest::default(),
            door,
            core,
            relay,
            batch: Vec::with_capacity(BATCH_MAX),
            hands,
            journal,
            hashing,
            shadow: None,
            later,
            stop,
            history,
            reached,
            failure: None,
        };
        Ok(Some(Started { process, feed, clock: clock_of_market_data }))
    }

    /// The truth follows from here on, if the disk lets it.
    pub fn follow_again(&mut self, next: Sequence) {
        if let Ok(follower) = self.journal.follow(Seek::Sequence(next)) {
            self.follower = follower;
        }
    }

    /// What is let in.
    pub fn admits(&self, command: &Command) -> bool {
        self.journal.space().admission().get().admits(&command.body)
    }

    /// The core takes what there is, if there is room for what comes of it; whether it did anything.
    pub fn turn_core(&mut self) -> bool {
        let has_room = self.core.publisher.room() >= EVENTS_OF_A_COMMAND * BATCH_MAX as u64
            && self.core.sequencer.has_room_for(BATCH_MAX);
        if self.failure.is_some() || !has_room {
            return false;
        }
        self.relay.turn(&self.commands, BATCH_MAX);
        match self.core.turn(&mut self.batch, BATCH_MAX) {
            Ok(worked) => worked,
            Err(error) => {
                self.failure = Some(error.to_string());
                self.commands.close();
                true
            }
        }
    }

    /// The writer makes a group durable.
    pub fn turn_writer(&mut self) -> Wrote {
        self.hands.write()
    }

    /// The helper makes a spare segment.
    pub fn turn_spares(&mut self) -> Made {
        self.hands.make_spare()
    }

    /// Events are hashed.
    pub fn turn_hashing(&mut self) {
        self.hashing.turn();
    }

    /// A search for old reports is done.
    pub fn turn_later(&mut self) -> bool {
        self.later.next().map(|work| work()).is_some()
    }

    /// The shadow follows.
    ///
    /// # Errors
    /// What it found that is not so.
    pub fn turn_shadow(&mut self, machine: &Machine, marks: &mut Marks) -> Checked<bool> {
        if self.shadow.is_none() && !self.begin_shadow(machine)? {
            return Ok(false);
        }
        let Some(shadow) = &mut self.shadow else { return Ok(false) };
        let reached = &self.reached;
        let mut snapshots = Vec::new();
        let followed = shadow.turn(|event| match event {
            ShadowEvent::Applied(sequence) if sequence.0 > reached.get() => reached.advance(sequence.0),
            ShadowEvent::Applied(_) | ShadowEvent::HistoryWaits(_) => {}
            ShadowEvent::Snapshot(_) => snapshots.push("snapshot taken"),
            ShadowEvent::SnapshotFailed(_) => snapshots.push("snapshot failed"),
        });
        snapshots.into_iter().for_each(|name| marks.hit(Group::Trouble, name));
        match followed {
            Ok(followed) => Ok(followed == Followed::Applied),
            Err(error) => {
                // What the disk does to it is its own business: it is begun again.
                self.history.set(None);
                self.shadow = None;
                let text = error.to_string();
                if text.contains("was made to") || text.contains("No space") {
                    return Ok(false);
                }
                Err(Finding::new(Promise::HistoryIsTrue, text))
            }
        }
    }

    fn begin_shadow(&mut self, machine: &Machine) -> Checked<bool> {
        let options = HistoryOptions { reserve_bytes: 0, file_bytes: 64 << 10, ..HistoryOptions::default() };
        let source = self.journal.source();
        let not_true = |error: HistoryError| Finding::new(Promise::HistoryIsTrue, error.to_string());
        let writer = open_history(&machine.data(), &source, &options).map_err(not_true)?;
        let reader = writer.reader();
        let policy = SnapshotPolicy {
            store: machine.options().snapshot_store(&machine.data()),
            every: machine.snapshot_every,
            keep: Keep::at_most(2),
            key: SigningKey::from_bytes(&[9; 32]),
        };
        match Shadow::begin(&source, policy, self.snapshot.clone(), writer) {
            Ok(shadow) => {
                self.history.set(Some(reader));
                self.shadow = Some(shadow);
                Ok(true)
            }
            Err(error) if error.to_string().contains("was made to") => Ok(false),
            Err(error) => Err(Finding::new(Promise::HistoryIsTrue, error.to_string())),
        }
    }

    /// The event history as far as it is.
    pub fn history(&self) -> Option<journal::History> {
        self.history.get()
    }

    /// The last command whose events the history shows.
    pub fn reached(&self) -> Sequence {
        Sequence(self.reached.get())
    }

    /// The last command that is durable.
    pub fn durable(&self) -> Sequence {
        Sequence(self.journal.durable().get())
    }

    /// The last command that was applied.
    pub fn applied(&self) -> Sequence {
        self.core.engine.engine().last().sequence
    }

    /// The venue's time.
    pub fn time(&mut self) -> u64 {
        self.core.clock.now().0
    }

    /// Why the writer has stopped, if it has.
    pub fn writer_failure(&self) -> Option<String> {
        self.journal.failure().map(|failure| failure.to_string())
    }

    /// It is asked to stop.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.journal.finish();
    }

    /// Dies where it is.
    pub fn die(self) {
        self.hands.die();
    }

    /// The last steps of an orderly end, behind the door's: what is in the ring is applied, everything is made durable, and
    /// the journal is sealed. What `between` does is done again and again meanwhile. False: the disk did not let it.
    ///
    /// # Errors
    /// What `between` finds.
    pub fn end(mut self, mut between: impl FnMut(&mut Follower, &mut EventReader) -> Checked) -> Checked<bool> {
        loop {
            let worked = self.turn_core();
            let _ = self.hands.make_spare();
            let wrote = self.hands.write();
            self.hashing.turn();
            between(&mut self.follower, &mut self.events)?;
            // Market data is not waited for.
            while let ring::Polled::Event(..) = self.for_market_data.poll() {}
            self.door.turn([]);
            if self.failure.is_some() || wrote == Wrote::Ended {
                self.hands.die();
                return Ok(false);
            }
            if !worked && self.durable() == self.applied() && self.commands.waiting() == 0 {
                break;
            }
        }
        let Self { core, mut hands, journal, mut hashing, door, for_market_data, .. } = self;
        let Core { engine, sequencer, publisher, .. } = core;
        drop((publisher, door, for_market_data));
        hashing.turn();
        hashing.digest.applied(engine.engine().last().sequence);
        journal.begin_close(sequencer.into_append(), hashing.digest.value());
        hands.run_to_end();
        between(&mut self.follower, &mut self.events)?;
        Ok(journal.failure().is_none())
    }
}

/// As if nothing had happened so far.
fn begun_anew(last: Sequence) -> EventDigest {
    let mut digest = EventDigest::new();
    digest.applied(last);
    digest.completed().for_each(drop);
    digest
}

fn mark_recovery(start: &Start, marks: &mut Marks) {
    let recovery: &Recovery = &start.opened.recovery;
    State::of_recovery(recovery).into_iter().for_each(|state| marks.state(state));
    start.passed_over.iter().for_each(|passed| marks.state(State::from(&passed.fault)));
    marks.state(if start.snapshot.is_some() { State::SnapshotGood } else { State::SnapshotNone });
}

/// The row of the table that a refused start is.
pub fn state_of(error: &StartError) -> Option<State> {
    match error {
        StartError::Open(error) => State::of_open_error(error),
        StartError::Replay(error) => State::of_replay_error(error),
        StartError::Snapshot(_) => Some(State::Unreadable),
        StartError::Changed { .. } => None,
    }
}

/// Makes a head that of an earlier run of the machine.
///
/// # Panics
/// If it cannot be read or written.
pub fn age(head: &Path) {
    simulation::lives::age(head).expect("a file in memory");
}
