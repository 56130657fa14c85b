//! Power loss, again and again: a journal lives on a simulated disk, crashes, and must have kept what it acknowledged.
//!
//! Each seed is a few lives of one journal, one behind the other. A life opens the journal, submits commands, waits for
//! them, and ends: in order, by dropping everything, or because an operation of the disk fails or the machine halts,
//! wherever it is: in recovery, while a batch is written, while a segment is begun, while the seal is written. Then the
//! process alone is gone and the head stays, or the power is gone and the head with it. At each opening:
//!
//! * what was acknowledged is there; without a power loss, everything that was published;
//! * what is there is a prefix of what was submitted, stamps included, and all of it is durable;
//! * nothing but the disk refuses, and its failure is named.
//!
//! And at each acknowledgement the device alone, with garbage for everything unsynced, holds what is acknowledged.
//!
//! A life is in lock-step: a run of order flow is submitted whole and waited for, or submitted while the sync before it is
//! held. So a seed repeats exactly.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{Capacity, Command, EventSink, Sequence, Sequenced, Stamp, Timestamp};
use journal::{
    Appender, Apply, Block, BlockDigest, Digest, Entry, HeadOutcome, Journal, JournalId, Opened, Options, ReadError,
    Reader, Recovery, Seal, Sequencer, Verified,
};
use ring::Idle;
use tempfile::TempDir;

use crate::commands;
use crate::{Failure, Fault, Lie, Operation, SimulatedDisk};

/// Commands that an event digest covers.
const BLOCK_COMMANDS: u64 = 1_024;

/// The head takes all that is submitted while a sync is held.
const HEAD_BYTES: u64 = 256 << 10;

/// What a seed's lives came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Lives that began: openings of the journal, refused ones included.
    pub lives: u64,
    /// Power losses between them.
    pub power_losses: u64,
    /// Ends of the process alone between them.
    pub process_ends: u64,
    /// Lives that ended in the middle of an operation.
    pub halts: u64,
    /// Lives that ended because an operation failed.
    pub failures: u64,
    /// Openings that the disk refused.
    pub refused_openings: u64,
    /// Orderly ends.
    pub closes: u64,
    /// Commands submitted.
    pub submitted: u64,
    /// Commands acknowledged.
    pub acknowledged: u64,
    /// Acknowledgements.
    pub acknowledgements: u64,
    /// Commands that only the head still had.
    pub adopted: u64,
    /// Torn tails that were cut.
    pub cuts: u64,
}

impl Tally {
    /// Adds another seed's.
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.power_losses += other.power_losses;
        self.process_ends += other.process_ends;
        self.halts += other.halts;
        self.failures += other.failures;
        self.refused_openings += other.refused_openings;
        self.closes += other.closes;
        self.submitted += other.submitted;
        self.acknowledged += other.acknowledged;
        self.acknowledgements += other.acknowledgements;
        self.adopted += other.adopted;
        self.cuts += other.cuts;
    }
}

/// What kind of promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Something acknowledged, or published without a power loss, is not there.
    Lost,
    /// Something is there that was not submitted so.
    Invented,
    /// Something was acknowledged before the device held it.
    Early,
    /// The journal does not open, and the disk did not refuse.
    Refused,
    /// A failure is not named, or whatever else is not as it should be.
    Other,
}

/// A seed on which a promise was broken.
#[derive(Debug)]
pub struct Finding {
    /// Which seed.
    pub seed: u64,
    /// Which kind of promise.
    pub broken: Broken,
    /// What was found.
    pub what: String,
    /// What happened up to there.
    pub script: Vec<String>,
    /// The disk's operations of the last life and what came behind it.
    pub operations: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}: {}", self.seed, self.broken, self.what)?;
        self.script.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "  operations of the last life:")?;
        self.operations.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// What a seed's lives were, for whoever wants to see that they repeat.
#[derive(Debug, PartialEq, Eq)]
pub struct Lived {
    /// The sums.
    pub tally: Tally,
    /// What happened, a line each.
    pub script: Vec<String>,
    /// The hash of the journal's last link.
    pub chain: String,
}

/// Lives the lives of a seed, on a disk that may break a promise of its own.
///
/// # Errors
///
/// The first broken promise of the journal.
pub fn live(seed: u64, lie: Option<Lie>) -> Result<Lived, Box<Finding>> {
    let mut world = World::new(seed, lie);
    match world.live() {
        Ok(chain) => Ok(Lived { tally: world.tally, script: world.script, chain }),
        Err((broken, what)) => {
            let operations = world.disk.take_trace();
            Err(Box::new(Finding { seed, broken, what, script: world.script, operations }))
        }
    }
}

type Checked<T = ()> = Result<T, (Broken, String)>;

/// What outlasts a life.
struct World {
    random: fastrand::Rng,
    folder: TempDir,
    disk: SimulatedDisk,
    options: Options,
    /// What the journal may hold, in order.
    submitted: Vec<Sequenced<Command>>,
    /// So many of them were acknowledged.
    acknowledged: usize,
    /// So many of them have to be there at the next opening.
    safe: usize,
    /// The head that there is to find.
    head: Expected,
    /// The seal that was written, while nothing was written behind it.
    seal: Option<Seal>,
    /// Blocks whose digests were handed over.
    digested: Vec<Block>,
    tally: Tally,
    script: Vec<String>,
}

/// What the next opening has to make of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Absent,
    OtherBoot,
    Adopted,
}

/// How a life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Alive,
    /// An operation failed: nothing more is acknowledged.
    Failed,
}

impl World {
    fn new(seed: u64, lie: Option<Lie>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let physical_bytes = 4_096 << [0, 0, 0, 1, 2][random.usize(..5)];
        let disk = SimulatedDisk::with_physical_sector(random.u64(..), physical_bytes);
        disk.take_turns();
        lie.into_iter().for_each(|lie| disk.lie(lie));
        let folder = temporary_folder();
        let heads = folder.path().join("heads");
        fs::create_dir(&heads).expect("a new folder");
        let mut id = [0; 16];
        random.fill(&mut id);
        let options = Options {
            segment_bytes: physical_bytes as u64 * [4, 5, 8, 16][random.usize(..4)],
            head_bytes: HEAD_BYTES,
            head_directory: Some(heads),
            journal_id: Some(JournalId(id)),
            storage: Some(Arc::new(disk.clone())),
            ..Options::new(Capacity::SMALL)
        };
        let script = vec![format!("segments of {} bytes, physical sectors of {physical_bytes}", options.segment_bytes)];
        Self {
            random,
            folder,
            disk,
            options,
            submitted: Vec::new(),
            acknowledged: 0,
            safe: 0,
            head: Expected::Absent,
            seal: None,
            digested: Vec::new(),
            tally: Tally::default(),
            script,
        }
    }

    /// All lives, and a last one on a good disk; gives the chain's end.
    fn live(&mut self) -> Checked<String> {
        for _ in 0..self.random.u8(2..7) {
            for _ in 0..self.random.u8(1..3) {
                self.arm();
            }
            self.life()?;
            self.interlude();
        }
        let life = self.open()?.ok_or((Broken::Refused, "a good disk refused".to_owned()))?;
        self.close(life)?;
        let (read, verified) = self.read(&self.disk.copy()).map_err(|error| (Broken::Lost, error.to_string()))?;
        self.check_prefix(&read)?;
        expect(Broken::Lost, "commands at the end", self.acknowledged, read.len())?;
        Ok(verified.map_or_else(String::new, |verified| verified.chain.to_string()))
    }

    fn note(&mut self, line: String) {
        self.script.push(line);
    }

    /// What will go wrong in the life to come, if anything.
    fn arm(&mut self) {
        let random = &mut self.random;
        let magnitude = random.u8(..9);
        let number = 1 + random.u64(..1 << magnitude);
        let fault = match random.u8(..9) {
            0 => return self.note("nothing is made to fail".to_owned()),
            1..4 => Fault::at(number).with(Failure::Halt),
            4 => Fault::at(number).for_ever(),
            5 | 6 => Fault::at(number).with(any_failure(random)),
            _ => Fault::at(number.div_ceil(4)).of(&[Operation::Sync]).with(Failure::CalledClean),
        };
        let few = [
            vec![Operation::Sync],
            vec![Operation::Write],
            vec![Operation::Sync, Operation::Settle],
            vec![Operation::Create, Operation::Rename, Operation::Remove, Operation::SyncDirectory],
        ];
        let fault = match random.usize(..8) {
            kinds if kinds < few.len() && fault.is_about_all() && !fault.is_for_ever() => fault.of(&few[kinds]),
            _ => fault,
        };
        self.note(format!("armed: {fault}"));
        self.disk.arm(fault);
    }

    fn life(&mut self) -> Checked {
        let Some(mut life) = self.open()? else { return Ok(()) };
        self.disk.wait_for_spares();
        for _ in 0..self.random.u8(..10) {
            let course = match self.random.u8(..8) {
                0 => self.pipeline(&mut life)?,
                1 => life.pass_time(self.random.u64(1..1_000)),
                _ => self.run(&mut life)?,
            };
            if course == Course::Failed {
                return self.fail(life);
            }
        }
        match self.random.u8(..4) {
            0 => self.abandon(life),
            _ => self.close(life),
        }
    }

    /// Nothing if the disk refused.
    fn open(&mut self) -> Checked<Option<Life>> {
        self.tally.lives += 1;
        self.options.term += u64::from(self.random.u8(..4) == 0);
        drop(self.disk.take_trace());
        let failures = self.disk.failure_count();
        match Journal::open(&self.folder.path().join("data"), &self.options) {
            Ok(opened) => self.recovered(opened).map(Some),
            Err(error) if self.disk.failure_count() > failures && names_failure(&error.to_string()) => {
                self.note(format!("opening fails: {error}"));
                self.tally.refused_openings += 1;
                self.end_badly();
                Ok(None)
            }
            Err(error) => Err((Broken::Refused, error.to_string())),
        }
    }

    /// Everything that has to hold when a journal was opened.
    fn recovered(&mut self, opened: Opened) -> Checked<Life> {
        let Opened { journal, appender, recovery } = opened;
        let last = count(recovery.last);
        self.note(format!("open: {last} commands, head {:?}, cut {:?}", recovery.head, cut_of(&recovery)));
        let (read, _) = self.read(&self.disk.copy()).map_err(|error| (Broken::Refused, error.to_string()))?;
        expect(Broken::Other, "what the recovery says and what is read", last, read.len())?;
        self.check_prefix(&read)?;
        if last < self.safe {
            let what = format!("{} of {} commands are there: {} acknowledged", last, self.safe, self.acknowledged);
            return Err((Broken::Lost, what));
        }
        self.check_head_and_seal(&recovery)?;
        self.submitted.truncate(last);
        self.acknowledged = last;
        self.safe = last;
        self.check_device()?;
        self.head = Expected::Adopted;
        // The journal's time only has to be no earlier.
        let time = self.submitted.last().map_or(Timestamp(0), |command| command.stamp.time);
        let stamp = Stamp { sequence: recovery.last, time };
        Ok(Life { journal, sequencer: Sequencer::new(appender, stamp), now: time })
    }

    fn check_head_and_seal(&mut self, recovery: &Recovery) -> Checked {
        let found = match recovery.head {
            HeadOutcome::Absent => Expected::Absent,
            HeadOutcome::OtherBoot => Expected::OtherBoot,
            HeadOutcome::Adopted { command_count } => {
                self.tally.adopted += command_count;
                Expected::Adopted
            }
        };
        expect(Broken::Other, "the head", self.head, found)?;
        self.tally.cuts += u64::from(cut_of(recovery).is_some());
        match (self.seal, &recovery.found) {
            (Some(seal), Some(found)) => expect(Broken::Lost, "the seal", Some(seal), found.seal),
            (Some(_), None) => Err((Broken::Lost, "the sealed journal is gone".to_owned())),
            (None, _) => Ok(()),
        }
    }

    /// A run of order flow, perhaps with something else at its end.
    fn commands(&mut self, bound: usize) -> Vec<Command> {
        let random = &mut self.random;
        let bound = if random.u8(..6) == 0 { bound } else { bound.min(40) };
        let mut run: Vec<_> = (0..random.usize(..bound)).map(|_| commands::order_flow(random)).collect();
        if run.is_empty() || random.u8(..4) == 0 {
            run.push(commands::other(random));
        }
        run
    }

    /// Submits a run and waits for it.
    fn run(&mut self, life: &mut Life) -> Checked<Course> {
        let run = self.commands(500);
        match self.submit(life, &run) {
            Course::Alive => self.wait(life),
            Course::Failed => Ok(Course::Failed),
        }
    }

    /// Submits a run, and more while it is being synced.
    fn pipeline(&mut self, life: &mut Life) -> Checked<Course> {
        self.disk.hold(Operation::Sync);
        let run = self.commands(150);
        let mut course = self.submit(life, &run);
        let held = course == Course::Alive && self.disk.wait_until_held();
        self.note(format!("the sync is {}", if held { "held" } else { "not reached" }));
        for _ in 0..self.random.u8(1..4) {
            let run = self.commands(150);
            // Without a sync that is held the writer has stopped, and is about to say so.
            if held && course == Course::Alive {
                course = self.submit(life, &run);
            }
        }
        self.disk.release();
        if course == Course::Alive { self.wait(life) } else { Ok(course) }
    }

    fn submit(&mut self, life: &mut Life, run: &[Command]) -> Course {
        let first = self.submitted.len();
        let stamps = (first as u64 + 1..).map(|sequence| Stamp { sequence: Sequence(sequence), time: life.now });
        self.submitted.extend(stamps.zip(run).map(|(stamp, &value)| Sequenced { stamp, value }));
        self.tally.submitted += run.len() as u64;
        self.seal = None;
        self.hand_over_digests(life, first);
        let outcome = life.sequencer.submit(&mut NoCore, life.now, run, &mut Vec::new());
        let course = if outcome.is_ok() { Course::Alive } else { Course::Failed };
        if course == Course::Alive {
            self.safe = self.submitted.len();
        }
        self.note(format!("submit {} to {}: {course:?}", first + 1, self.submitted.len()));
        course
    }

    /// Digests of the blocks that end with what is being submitted, now and then.
    fn hand_over_digests(&mut self, life: &Life, before: usize) {
        let ended = before as u64 / BLOCK_COMMANDS..self.submitted.len() as u64 / BLOCK_COMMANDS;
        for block in ended.map(Block) {
            if self.random.bool() {
                self.note(format!("hand over the digest of block {block}"));
                self.digested.push(block);
                life.journal.digests().push(digest_of(block));
            }
        }
    }

    /// Waits until everything is acknowledged, or nothing more will be.
    fn wait(&mut self, life: &Life) -> Checked<Course> {
        let last = Sequence(self.submitted.len() as u64);
        let durable = life.journal.durable();
        let look = || (durable.get() >= last.0 || durable.is_poisoned() || self.disk.is_dead()).then_some(());
        while durable.bell().wait_at_most(Idle::Park, Duration::from_millis(1), look).is_none() {}
        if durable.get() < last.0 {
            return Ok(Course::Failed);
        }
        life.journal.wait_released(last).map_err(|error| (Broken::Other, format!("durable, and refused: {error}")))?;
        self.tally.acknowledgements += 1;
        self.tally.acknowledged += (self.submitted.len() - self.acknowledged) as u64;
        self.acknowledged = self.submitted.len();
        self.note(format!("acknowledged {last}"));
        self.check_device()?;
        Ok(Course::Alive)
    }

    /// The device alone holds what was acknowledged.
    fn check_device(&self) -> Checked {
        let durable = self.disk.durable_copy();
        let (read, _) = self.read(&durable).map_err(|error| (Broken::Early, format!("on the device: {error}")))?;
        self.check_prefix(&read)?;
        if read.len() < self.acknowledged {
            let what = format!("{} acknowledged, {} on the device", self.acknowledged, read.len());
            return Err((Broken::Early, what));
        }
        Ok(())
    }

    /// An orderly end, if the disk lets it.
    fn close(&mut self, life: Life) -> Checked {
        let head = head_in(&self.heads()).and_then(|path| Some((fs::read(&path).ok()?, path)));
        let event_digest = Digest([self.random.u8(..); 32]);
        self.seal = None;
        let last = life.sequencer.last().sequence;
        match life.journal.close(life.sequencer.into_append(), event_digest) {
            Ok(()) => {
                self.tally.closes += 1;
                self.acknowledged = self.submitted.len();
                self.seal = Some(Seal { last, event_digest });
                self.head = Expected::Absent;
                self.note("closed".to_owned());
                if let Some((bytes, path)) = head.filter(|_| self.random.u8(..4) == 0) {
                    self.note("but the process ends before it removes the head".to_owned());
                    fs::write(path, bytes).expect("memory");
                    self.head = Expected::Adopted;
                }
                self.check_device()
            }
            Err(why) => {
                self.note(format!("closing fails: {why}"));
                expect(Broken::Other, "the failure is named", true, names_failure(&why.to_string()))?;
                self.end_badly();
                Ok(())
            }
        }
    }

    /// Everything is dropped: what was published becomes durable, if the disk lets it.
    fn abandon(&mut self, life: Life) -> Checked {
        let Life { journal, sequencer, .. } = life;
        drop(sequencer.into_append());
        self.note(format!("abandoned: {}", failure_of(&journal)));
        match journal.failure() {
            None => self.acknowledged = self.submitted.len(),
            Some(_) => self.end_badly(),
        }
        self.check_device()
    }

    /// The life ends because of a failure, which has to be named.
    fn fail(&mut self, life: Life) -> Checked {
        let Life { journal, sequencer, .. } = life;
        drop(sequencer.into_append());
        let why = failure_of(&journal);
        self.note(format!("the journal stops: {why}"));
        self.end_badly();
        expect(Broken::Other, "the failure is named", true, names_failure(&why))
    }

    fn end_badly(&mut self) {
        let halted = self.disk.is_dead();
        self.tally.halts += u64::from(halted);
        self.tally.failures += u64::from(!halted);
    }

    /// The power is lost, or only the process.
    fn interlude(&mut self) {
        if self.random.bool() {
            self.note("the process ends".to_owned());
            self.tally.process_ends += 1;
            self.disk.end_process();
            return;
        }
        self.tally.power_losses += 1;
        self.disk.lose_power();
        self.safe = self.acknowledged;
        let head = head_in(&self.heads());
        self.head = match head {
            None => Expected::Absent,
            Some(path) if self.random.bool() => {
                fs::remove_file(path).expect("it is there");
                Expected::Absent
            }
            Some(path) => {
                age(&path).expect("it is there");
                Expected::OtherBoot
            }
        };
        self.note(format!("the power is lost; head: {:?}; left: {}", self.head, self.disk.names().join(" ")));
    }

    fn heads(&self) -> PathBuf {
        self.folder.path().join("heads")
    }

    /// All commands on a disk, if nothing is wrong with it; and what was found, if there is a journal.
    fn read(&self, disk: &SimulatedDisk) -> Result<(Vec<Sequenced<Command>>, Option<Verified>), ReadError> {
        let Some(mut reader) = Reader::with_storage(Arc::new(disk.clone()))? else { return Ok((Vec::new(), None)) };
        let mut commands = Vec::new();
        let mut digests = Vec::new();
        for entry in &mut reader {
            match entry? {
                Entry::Command(command) => commands.push(command),
                Entry::EventDigest(digest) => digests.push(digest),
                Entry::Seal(_) => {}
            }
        }
        let known =
            digests.iter().all(|digest| self.digested.contains(&digest.block) && *digest == digest_of(digest.block));
        assert!(known && digests.is_sorted_by(|a, b| a.block < b.block), "digests that were handed over, in order");
        Ok((commands, Some(reader.verified().clone())))
    }

    fn check_prefix(&self, read: &[Sequenced<Command>]) -> Checked {
        if self.submitted.starts_with(read) {
            return Ok(());
        }
        let at = self.submitted.iter().zip(read).take_while(|(submitted, read)| submitted == read).count();
        let (submitted, read) = (self.submitted.get(at), read.get(at));
        Err((Broken::Invented, format!("at {}: submitted {submitted:?}, read {read:?}", at + 1)))
    }
}

/// A journal that is open.
struct Life {
    journal: Journal,
    sequencer: Sequencer<Appender>,
    now: Timestamp,
}

impl Life {
    fn pass_time(&mut self, by: u64) -> Course {
        self.now.0 += by;
        Course::Alive
    }
}

/// The journal does not look into what it keeps.
pub(crate) struct NoCore;

impl Apply for NoCore {
    fn apply(&mut self, _: &Sequenced<Command>, _: &mut impl EventSink) {}

    fn next_deadline(&self) -> Timestamp {
        Timestamp::NEVER
    }
}

fn any_failure(random: &mut fastrand::Rng) -> Failure {
    match random.u8(..4) {
        0 => Failure::Refused,
        1 => Failure::Halfway,
        2 => Failure::Short(random.usize(..600)),
        _ => Failure::CalledClean,
    }
}

fn expect<T: PartialEq + fmt::Debug>(broken: Broken, what: &str, expected: T, found: T) -> Checked {
    if expected == found { Ok(()) } else { Err((broken, format!("{what}: expected {expected:?}, found {found:?}"))) }
}

fn count(last: Sequence) -> usize {
    usize::try_from(last.0).expect("in memory")
}

fn cut_of(recovery: &Recovery) -> Option<u64> {
    recovery.found.as_ref()?.cut.as_ref().map(|cut| cut.offset)
}

/// The simulated disk says so of every failure.
fn names_failure(text: &str) -> bool {
    text.contains("was made to")
}

fn failure_of(journal: &Journal) -> String {
    journal.failure().map_or_else(|| "no failure".to_owned(), |why| why.to_string())
}

fn digest_of(block: Block) -> BlockDigest {
    BlockDigest { block, digest: Digest([u8::try_from(block.0 % 251).expect("small"); 32]) }
}

/// In memory, where there is such a place: a life makes folders, locks and heads, and syncs none of them.
pub fn temporary_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("rialto-lives.");
        builder
    };
    let made = if memory.is_dir() { builder().tempdir_in(memory) } else { builder().tempdir() };
    made.expect("a place for temporary files")
}

fn head_in(heads: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(heads).expect("made by the world");
    entries.map(|entry| entry.expect("readable").path()).find(|path| path.extension().is_some_and(|end| end == "head"))
}

/// Makes a head that of an earlier run of the machine: its boot id is in bytes 40 to 55, the checksum of bytes 0 to 55
/// behind it.
pub fn age(head: &Path) -> io::Result<()> {
    let mut bytes = fs::read(head)?;
    bytes[40..56].fill(0xFF);
    let checksum = crc32c(&bytes[..56]);
    bytes[56..60].copy_from_slice(&checksum.to_le_bytes());
    fs::write(head, bytes)
}

/// CRC-32C by its definition.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 })
    })
}
