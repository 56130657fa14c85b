//! A long journal, made at full speed as a venue makes one, and the proof that it says everything: verified byte by byte,
//! and replayed to the same events, state and books.
//!
//! ```text
//!   traffic ─► sequencer ─► journal              generate: what the engine came to is kept in expected.json
//!                 │
//!                 └───────► engine ─► event ring ─► digest ─► journal ─► shadow ─► history, snapshots
//!
//!   journal ─► reader                            verify: every byte
//!   journal ─► reader ─► engine ─► digests       replay: what expected.json says?
//!   snapshot, journal ─► engine ─► digests       look back: the same from every snapshot, and as of some moments;
//!   history ─► events                            and the lives of some orders
//! ```
//!
//! A seed's journal holds the same commands on every machine and of every build.

mod lives;
mod setting;
mod shadowing;
mod traffic;

use std::fs;
use std::io;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use benches::failure::Failure;
use benches::machine::commit;
use engine::{Capacity, Command, Engine, Sequence, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use journal::{
    Appender, AsOf, BEFORE_FIRST, Both, EventDigest, Journal, Opened, Options, Past, Reader, ReplayError, Sequencer,
    SnapshotStore, StartError, book_digest, events_between, state_at, state_digest,
};
use ring::{EventRing, Publisher, Release};
use serde::{Deserialize, Serialize};
use venue::topology::{Topology, start_digest};

pub use self::lives::Life;
use self::lives::{Lives, look_up};
use self::setting::{capacity, set_up};
use self::shadowing::Shadowing;
use self::traffic::{OPEN_MAX, OpenOrders, Traffic};
use crate::random::Random;
use crate::shares::build;

/// What the generating engine came to, beside its journal.
const EXPECTED_FILE: &str = "expected.json";
/// Commands that the core takes together, as a venue's does at most.
const BATCH_MAX: u64 = 256;
/// The venue's time begins here, and a command takes a microsecond of it.
const START_NS: u64 = 1_790_000_000_000_000_000;
const COMMAND_NS: u64 = 1_000;
/// How often it is kept what the generating engine is.
const MOMENTS: u64 = 8;
/// How often progress is shown: after so many commands.
const PROGRESS_COMMANDS: u64 = 1 << 16;
/// What a command takes on disk, at most: for the question whether there is room.
const BYTES_PER_COMMAND: u64 = 150;
/// What its events take in the history.
const HISTORY_BYTES_PER_COMMAND: u64 = 100;

/// Which journal.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many commands; the venue's first ones included.
    pub commands: u64,
    /// What they follow from.
    pub seed: u64,
    /// Its folder.
    pub place: PathBuf,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// How many snapshots a shadow takes meanwhile; none: there is no shadow.
    pub snapshots: usize,
}

/// What a run of all commands leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many commands there are.
    pub commands: u64,
    /// How many events they caused.
    pub events: u64,
    /// Of all events.
    pub event_digest: String,
    /// Of the state behind the last command.
    pub state_digest: String,
    /// Of books and balances behind it.
    pub book_digest: String,
}

/// What the journal has to lead to, and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What the commands follow from.
    pub seed: u64,
    /// Orders that are open behind the last command.
    pub open_orders: u64,
    /// The build that made it: optimised or not.
    pub build: String,
    /// The commit of that build.
    pub commit: String,
    /// What the generating engine came to.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What it was on the way there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<Moment>,
    /// What became of an order behind each of these moments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<Life>,
}

/// What an engine was behind a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The command.
    pub sequence: u64,
    /// Its time, which no later command shares.
    pub time_ns: u64,
    /// Of the state.
    pub state_digest: String,
    /// Of books and balances.
    pub book_digest: String,
}

/// What the snapshots cost that were taken beside the core.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SnapshotsTaken {
    /// How many.
    pub count: usize,
    /// Of the longest.
    pub bytes: u64,
    /// The longest time for which the shadow stood still, in milliseconds.
    pub writing_ms: f64,
    /// The longest time in which one was restored from and published, beside, in milliseconds.
    pub publishing_ms: f64,
}

/// What a part took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Took {
    /// Seconds of the clock.
    pub seconds: f64,
    /// Commands a second.
    pub commands_per_second: u64,
    /// Bytes a second, segments whole.
    pub bytes_per_second: u64,
    /// The most memory that the process had meanwhile, in MiB, what it had mapped of files included.
    pub peak_memory_mib: Option<u64>,
}

/// Makes the journal, sealed, in a folder that holds none.
pub fn generate(plan: &Plan) -> Result<(Expected, Took, Option<SnapshotsTaken>), Failure> {
    make_folder(plan)?;
    let begun = begin();
    let Generated { engine, open_orders, moments, lives, digest, snapshots } = journalled(plan)?;
    let commands = engine.last().sequence.0;
    let took = Took::since(begun, commands, &plan.place)?;
    engine.audit().map_err(|fault| Failure::Missing(format!("audit of the generating engine: {fault}")))?;
    let expected = Expected {
        seed: plan.seed,
        open_orders,
        build: build().to_owned(),
        commit: commit(),
        outcome: Outcome {
            commands,
            events: digest.event_count(),
            event_digest: digest.value().to_string(),
            state_digest: state_digest(&engine).to_string(),
            book_digest: book_digest(&engine).to_string(),
        },
        moments,
        lives,
    };
    keep(&plan.place, &expected)?;
    Ok((expected, took, snapshots))
}

/// What is left of a core that has made a journal.
struct Generated {
    engine: Engine,
    open_orders: u64,
    moments: Vec<Moment>,
    lives: Vec<Life>,
    digest: EventDigest,
    snapshots: Option<SnapshotsTaken>,
}

/// Runs a venue's core, digest and journal until there are as many commands as planned.
fn journalled(plan: &Plan) -> Result<Generated, Failure> {
    let options = Options { segment_bytes: plan.segment_bytes, ..Options::new(capacity(OPEN_MAX)) };
    let Opened { journal, appender, recovery } = Journal::open(&plan.place, &options)?;
    let Topology { event_slots, idle, .. } = Topology::default();
    let release = Release::After(journal.durable().clone());
    let (publisher, mut readers) = EventRing::open(event_slots, 1, idle, release);
    let reader = readers.pop().expect("one gating reader");
    let digest =
        start_digest(reader, EventDigest::new(), journal.digests()).map_err(|error| Failure::io(&plan.place, error))?;

    let shadow =
        (plan.snapshots > 0).then(|| Shadowing::start(plan, &journal, recovery.identity.journal)).transpose()?;

    let mut core = Core::new(options.capacity, appender, publisher);
    let ran = core.run(plan, &journal);
    let Core { engine, sequencer, publisher, open, moments, lives } = core;
    drop(publisher);
    journal.finish();
    let mut digest = digest.join().expect("the digest does not panic");
    ran?;
    digest.applied(engine.last().sequence);
    journal.close(sequencer.into_append(), digest.value())?;
    let snapshots = shadow.map(Shadowing::end).transpose()?;
    let (open_orders, lives) = (open.count() as u64, lives.all());
    Ok(Generated { engine, open_orders, moments, lives, digest, snapshots })
}

fn keep(place: &Path, expected: &Expected) -> Result<(), Failure> {
    let file = place.join(EXPECTED_FILE);
    let text = serde_json::to_string_pretty(expected).expect("a plain record");
    fs::write(&file, text).map_err(|error| Failure::io(&file, error))
}

/// What a journal that was made before has to lead to.
pub fn expected(place: &Path) -> Result<Expected, Failure> {
    let file = place.join(EXPECTED_FILE);
    let text = fs::read_to_string(&file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::Usage(format!("{}: no long journal was made here; begin with --phase generate", place.display()))
        }
        _ => Failure::io(&file, error),
    })?;
    serde_json::from_str(&text).map_err(|error| Failure::malformed(&file, error.line() as u64, error.to_string()))
}

/// Reads and checks every byte; says what is not as it should be.
pub fn verify(place: &Path, expected: &Expected) -> Result<(Vec<String>, Took), Failure> {
    let begun = begin();
    let bar = ProgressBar::new_spinner().with_message("verifying");
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut reader = Reader::open(place).map_err(ReplayError::from)?;
    reader.read_to_end().map_err(ReplayError::from)?;
    bar.finish_and_clear();
    let verified = reader.verified();
    let took = Took::since(begun, verified.command_count(), place)?;
    let mut differences = Vec::new();
    let sealed = verified.seal.map(|seal| seal.event_digest.to_string());
    differ(&mut differences, "commands", &expected.outcome.commands, &verified.command_count());
    differ(&mut differences, "the seal", &Some(expected.outcome.event_digest.clone()), &sealed);
    differ(&mut differences, "what was cut", &None, &verified.cut);
    Ok((differences, took))
}

/// Replays it whole; says what is not as it should be.
pub fn replay(place: &Path, expected: &Expected) -> Result<(Vec<String>, Took), Failure> {
    let begun = begin();
    let bar = progress("replaying", expected.outcome.commands);
    let replayed = journal::replay(place, &mut (), |Sequence(reached)| bar.set_position(reached))?;
    bar.finish_and_clear();
    let took = Took::since(begun, replayed.commands, place)?;
    let found = Outcome {
        commands: replayed.commands,
        events: replayed.events,
        event_digest: replayed.event_digest.to_string(),
        state_digest: replayed.state_digest.to_string(),
        book_digest: replayed.book_digest.to_string(),
    };
    Ok((expected.outcome.differences(&found), took))
}

/// Replays what is behind every snapshot, looks at the past as of every moment that is known, and looks up the lives of
/// orders in the event history; says what is not as it should be.
pub fn look_back(place: &Path, expected: &Expected) -> Result<(Vec<String>, Took), Failure> {
    let begun = begin();
    let (mut differences, mut replayed) = (Vec::new(), 0);
    let snapshots = SnapshotStore::open(place).sequences().map_err(|error| Failure::Missing(error.to_string()))?;
    let bar = ProgressBar::new((snapshots.len() + 2 * expected.moments.len()) as u64).with_message("looking back");
    for from in snapshots {
        let past = events_between(place, from, Sequence(u64::MAX), &mut (), |_| {}).map_err(unseen)?;
        let begins = past.snapshot.map(|snapshot| snapshot.sequence);
        differ(&mut differences, "the snapshot that is begun with", &Some(from), &begins);
        let found = expected.outcome.differences(&Outcome::of(&past));
        differences.extend(found.into_iter().map(|difference| format!("from snapshot {from}: {difference}")));
        replayed += past.replayed;
        bar.inc(1);
    }
    for moment in &expected.moments {
        for at in [AsOf::Sequence(Sequence(moment.sequence)), AsOf::Time(Timestamp(moment.time_ns))] {
            let past = state_at(place, at, |_| {}).map_err(unseen)?;
            differ(&mut differences, &format!("as of {at:?}"), moment, &Moment::of(&past.engine));
            replayed += past.replayed;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    differences.extend(look_up(place, &expected.lives)?);
    Ok((differences, Took::since(begun, replayed, place)?))
}

fn unseen(error: StartError) -> Failure {
    match error {
        StartError::Open(error) => error.into(),
        StartError::Replay(error) => error.into(),
        error => Failure::Missing(error.to_string()),
    }
}

impl Moment {
    fn of(engine: &Engine) -> Self {
        Self {
            sequence: engine.last().sequence.0,
            time_ns: engine.last().time.0,
            state_digest: state_digest(engine).to_string(),
            book_digest: book_digest(engine).to_string(),
        }
    }
}

impl Outcome {
    fn of(past: &Past) -> Self {
        Self {
            commands: past.engine.last().sequence.0,
            events: past.event_digest.event_count(),
            event_digest: past.event_digest.value().to_string(),
            state_digest: state_digest(&past.engine).to_string(),
            book_digest: book_digest(&past.engine).to_string(),
        }
    }

    fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        differ(&mut differences, "commands", &self.commands, &found.commands);
        differ(&mut differences, "events", &self.events, &found.events);
        differ(&mut differences, "event digest", &self.event_digest, &found.event_digest);
        differ(&mut differences, "state digest", &self.state_digest, &found.state_digest);
        differ(&mut differences, "book digest", &self.book_digest, &found.book_digest);
        differences
    }
}

fn differ<T: PartialEq + std::fmt::Debug>(differences: &mut Vec<String>, what: &str, expected: &T, found: &T) {
    if expected != found {
        differences.push(format!("{what}: expected {expected:?}, found {found:?}"));
    }
}

/// What a venue's core thread has.
struct Core {
    engine: Engine,
    sequencer: Sequencer<Appender>,
    publisher: Publisher,
    open: OpenOrders,
    moments: Vec<Moment>,
    lives: Lives,
}

impl Core {
    fn new(capacity: Capacity, appender: Appender, publisher: Publisher) -> Self {
        let (engine, sequencer) = (Engine::new(capacity), Sequencer::new(appender, BEFORE_FIRST));
        let (open, moments, lives) = (OpenOrders::default(), Vec::new(), Lives::default());
        Self { engine, sequencer, publisher, open, moments, lives }
    }

    fn run(&mut self, plan: &Plan, journal: &Journal) -> Result<(), Failure> {
        let bar = progress("generating", plan.commands);
        for command in set_up().into_iter().take(usize::try_from(plan.commands).unwrap_or(usize::MAX)) {
            self.submit(self.now(), &[command])?;
        }
        let mut traffic = Traffic::new(plan.seed);
        let mut batch = Vec::with_capacity(BATCH_MAX as usize);
        let mut moments = moments(plan);
        while self.last().0 < plan.commands {
            let at = self.now();
            self.submit(at, &[])?;
            let count = BATCH_MAX.min(plan.commands - self.last().0);
            batch.clear();
            batch.extend((0..count).map(|_| traffic.next(&self.open, at)));
            self.submit(at, &batch)?;
            if moments.next_if(|&moment| moment <= self.last().0).is_some() {
                self.moments.push(Moment::of(&self.engine));
                self.lives.follow_one();
            }
            if self.last().0 % PROGRESS_COMMANDS < BATCH_MAX {
                bar.set_position(self.last().0);
                has_room(journal)?;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// As a venue's core does it; without commands, only what is due.
    fn submit(&mut self, at: Timestamp, commands: &[Command]) -> Result<(), Failure> {
        let mut known = Both { first: &mut self.open, second: &mut self.lives };
        let mut sink = Both { first: &mut known, second: &mut self.publisher };
        match commands {
            [] => self.sequencer.tick(&mut self.engine, at, &mut sink)?,
            commands => self.sequencer.submit(&mut self.engine, at, commands, &mut sink)?,
        };
        self.publisher.complete(self.last());
        Ok(())
    }

    fn last(&self) -> Sequence {
        self.sequencer.last().sequence
    }

    fn now(&self) -> Timestamp {
        Timestamp(START_NS + self.last().0 * COMMAND_NS)
    }
}

/// A place in each of as many parts of the journal, ascending.
fn moments(plan: &Plan) -> Peekable<impl Iterator<Item = u64>> {
    let (mut random, length) = (Random::part(plan.seed, 1), plan.commands / MOMENTS);
    (0..MOMENTS).map(move |part| part * length + random.below(length)).peekable()
}

/// A core waits for a disk that is full; this one has nobody who would make room.
fn has_room(journal: &Journal) -> Result<(), Failure> {
    let space = journal.space();
    match space.failure() {
        Some(reason) => Err(Failure::io(space.path(), io::Error::other(format!("no new segment: {reason}")))),
        None => Ok(()),
    }
}

fn make_folder(plan: &Plan) -> Result<(), Failure> {
    let Plan { place, commands, .. } = plan;
    fs::create_dir_all(place).map_err(|error| Failure::io(place, error))?;
    if place.join(EXPECTED_FILE).exists() || Reader::open(place).is_ok() {
        let holds = format!("{} holds a journal already; name another folder, or remove it", place.display());
        return Err(Failure::Usage(holds));
    }
    let found = rustix::fs::statvfs(place).map_err(|error| Failure::io(place, error.into()))?;
    let (free, needed) = (found.f_bavail.saturating_mul(found.f_frsize), room(plan));
    if free < needed {
        let (free, needed) = (free >> 20, needed >> 20);
        let lacks = format!("{}: {commands} commands take up to {needed} MiB, and {free} are free", place.display());
        return Err(Failure::Usage(lacks));
    }
    Ok(())
}

/// The last segment and two spares are there whole.
fn room(plan: &Plan) -> u64 {
    let history = if plan.snapshots > 0 { HISTORY_BYTES_PER_COMMAND } else { 0 };
    plan.commands.saturating_mul(BYTES_PER_COMMAND + history).saturating_add(3 * plan.segment_bytes)
}

impl Took {
    fn since(begun: Instant, commands: u64, place: &Path) -> Result<Self, Failure> {
        let seconds = begun.elapsed().as_secs_f64();
        let folder = place.join(journal::JOURNAL_FOLDER);
        let bytes = segment_bytes(&folder).map_err(|error| Failure::io(&folder, error))?;
        let per_second = |count: u64| (count as f64 / seconds) as u64;
        Ok(Self {
            seconds,
            commands_per_second: per_second(commands),
            bytes_per_second: per_second(bytes),
            peak_memory_mib: peak_memory_mib(),
        })
    }
}

/// Of all segments.
fn segment_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "seg") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Begins to measure a part.
fn begin() -> Instant {
    // Where the system cannot forget its peak of memory, it is that of the parts before, too.
    let _ = fs::write("/proc/self/clear_refs", "5");
    Instant::now()
}

/// As the system counts it.
fn peak_memory_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib / 1_024)
}

fn progress(what: &'static str, count: u64) -> ProgressBar {
    let template = "{msg} {bar:40} {human_pos} of {human_len} commands, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).expect("a constant template");
    ProgressBar::new(count).with_style(style).with_message(what)
}
