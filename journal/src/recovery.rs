//! Opening a journal for writing: lock, verify, cut the torn tail, adopt the head, go on.
//!
//! ```text
//!   lock ─► sync the last segment ─► read and verify all segments ─► compare what the head and the disk both hold
//!        ─► only then write: erase the torn tail ─► append the head's rest ─► a new, empty head ─► start the writer
//! ```
//!
//! Every step can be interrupted and repeated: until the new head has its name, the old one holds what it held.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use engine::Sequence;
use engine::limits::{BEHAVIOUR, carries_behaviour};
use ring::Watermark;

use crate::batch::BatchBuilder;
use crate::checkpoint::Link;
use crate::decision::State;
use crate::error::{HeadFault, OpenError, ReadError, SnapshotFault, WriteError};
use crate::hands::Hands;
use crate::head::{self, Found, Head, HeadImage, HeadLock};
use crate::journal::{Journal, Known, Labour, Opened, Options};
use crate::layout::{RECORD_BYTES_MAX, RECORD_PREFIX_BYTES};
use crate::reader::{Cut, JOURNAL_FOLDER, Reader, Verified, from_segment, segment_numbers};
use crate::record::{RecordKind, RecordView};
use crate::segment::{CUT_SUFFIX, Identity, JournalId, SPARE_SUFFIX, SegmentNumber};
use crate::storage::Storage;
use crate::tail::{Plan, Tail};
use crate::writer::{Appender, DigestQueue, Shared, Writer};

/// The file that the one writing process holds locked.
pub const LOCK_FILE: &str = "lock";

/// What was found and done when a journal was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// What all segments agree on; the engine to replay into has this capacity.
    pub identity: Identity,
    /// What the disk held; nothing for a new journal.
    pub found: Option<Verified>,
    /// From which link on the disk was read; nothing: from the beginning.
    pub since: Option<Link>,
    /// Where the last segment was moved, if its header was not whole.
    pub set_aside: Option<PathBuf>,
    /// What became of the head.
    pub head: HeadOutcome,
    /// The last command, the head's included; none if there is none. All of it is durable.
    pub last: Sequence,
}

impl Recovery {
    /// What an operator should know, a line each.
    pub fn report(&self) -> Vec<String> {
        let lines = State::of_recovery(self).into_iter().map(|state| (state.decision().reported, state));
        lines.filter(|(words, _)| !words.is_empty()).map(|(words, state)| self.line(words, state)).collect()
    }

    fn line(&self, words: &str, state: State) -> String {
        let mut line = words.to_owned();
        if let Some(details) = self.details(state) {
            line = format!("{line}: {details}");
        }
        match state.advice() {
            "" => line,
            advice => format!("{line}; {advice}"),
        }
    }

    fn details(&self, state: State) -> Option<String> {
        let found = self.found.as_ref();
        match (state, self.head) {
            (State::Whole | State::Sealed, _) => found.map(|found| {
                let from = self.since.map(|link| format!(", read from segment {} on", link.segment.0));
                format!(
                    "{} segments, {} batches, commands up to {}{}",
                    found.segment_count,
                    found.batch_count,
                    found.last,
                    from.unwrap_or_default()
                )
            }),
            (State::TornTail | State::TornSegment, _) => found.and_then(|found| found.cut.as_ref()).map(|cut| {
                let Cut { file, offset, length, fault, after, .. } = cut;
                let aside = self.set_aside.as_ref().map(|aside| format!(", now {}", aside.display()));
                let (file, aside) = (file.display(), aside.unwrap_or_default());
                format!("{file}{aside}, offset {offset}, {length} bytes behind command {after}: {fault}")
            }),
            (State::HeadContinues, HeadOutcome::Adopted { command_count }) => {
                Some(format!("{command_count} commands that it alone held are durable now"))
            }
            _ => None,
        }
    }
}

/// What became of the head that an earlier process left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadOutcome {
    /// There was none: the last process was shut down in order, or the machine was.
    Absent,
    /// It is from before the machine's last start, and was not used.
    OtherBoot,
    /// It continues the disk; so many commands were only in it, and are on disk now.
    Adopted {
        /// How many.
        command_count: u64,
    },
}

/// See [`Journal::open`].
pub(crate) fn open(directory: &Path, options: &Options) -> Result<Opened, OpenError> {
    make_folder(&directory.join(JOURNAL_FOLDER), directory)?;
    open_locked(FolderLock::take(directory)?, options)
}

/// See [`Journal::open_locked`].
pub(crate) fn open_locked(lock: FolderLock, options: &Options) -> Result<Opened, OpenError> {
    let directory = lock.directory();
    let folder = directory.join(JOURNAL_FOLDER);
    make_folder(&folder, directory)?;
    let storage = options.segments(directory);
    settle(storage.as_ref())?;
    let opening = match segment_numbers(storage.as_ref())?.as_slice() {
        [] => create(options, storage)?,
        numbers => resume(directory, options, storage, numbers)?,
    };
    start(options, opening, lock)
}

/// A journal on disk that lacks only its new head and its writer.
struct Opening {
    recovery: Recovery,
    tail: Tail,
    batch: BatchBuilder,
    /// The head that an earlier process left.
    claimed: Option<HeadLock>,
}

fn create(options: &Options, storage: Arc<dyn Storage>) -> Result<Opening, OpenError> {
    let identity = Identity {
        alignment: u32::try_from(storage.alignment()).expect("bounded"),
        venue: options.venue,
        shard: options.shard,
        journal: options.journal_id.map_or_else(random_id, Ok)?,
        behaviour: BEHAVIOUR,
        capacity: options.capacity,
    };
    remove_spares(storage.as_ref())?;
    let plan = plan(options, storage, identity);
    let batch = BatchBuilder::new(Sequence(1), plan.payload_bytes_max());
    let recovery = Recovery {
        identity,
        found: None,
        since: None,
        set_aside: None,
        head: HeadOutcome::Absent,
        last: Sequence::NONE,
    };
    Ok(Opening { recovery, tail: Tail::create(plan)?, batch, claimed: None })
}

fn resume(
    directory: &Path,
    options: &Options,
    storage: Arc<dyn Storage>,
    numbers: &[SegmentNumber],
) -> Result<Opening, OpenError> {
    let begin = || Reader::enter(storage.clone(), numbers);
    let entered = options.known.and_then(|known| Some((known.link, from_segment(numbers, known.link.segment)?)));
    let reader = match entered {
        Some((link, numbers)) => {
            let mut reader = Reader::enter(storage.clone(), numbers)?;
            reader.watch_for(link.hash, link.last);
            reader
        }
        None => begin()?,
    };
    let identity = *reader.identity();
    if !carries_behaviour(identity.behaviour) {
        let (directory, version) = (directory.to_owned(), identity.behaviour);
        return Err(OpenError::Behaviour { directory, version, newest: BEHAVIOUR });
    }
    let path = options.head_path(identity.journal);
    let refused = |fault| OpenError::Head { file: path.clone(), fault };
    // Held until the new head has replaced it.
    let claimed = head::claim(&path).map_err(head_error(&path))?;
    let found = head::find(&path, identity.journal).map_err(io_error(&path))?.map_err(refused)?;
    let read = |mut reader: Reader| -> Result<Reader, OpenError> {
        match &found {
            Found::Head(image) => read_beside(&mut reader, image)?.map_err(refused)?,
            Found::Nothing | Found::OtherBoot => reader.read_to_end()?,
        }
        Ok(reader)
    };
    let mut reader = read(reader)?;
    let since = options.known.map(|known| known.link).filter(|link| reader.has_passed(link.hash));
    if entered.is_some() && since.is_none() {
        // Another history's link vouches for nothing that stands before it.
        reader = read(begin()?)?;
    }
    lacks_nothing(directory, options, &reader)?;
    same_venue(directory, options, &reader)?;

    let mut opening = cut(options, storage, &reader)?;
    opening.claimed = claimed;
    opening.recovery.since = since;
    opening.recovery.head = match found {
        Found::Nothing => HeadOutcome::Absent,
        Found::OtherBoot => HeadOutcome::OtherBoot,
        Found::Head(image) => HeadOutcome::Adopted { command_count: opening.adopt(&image)? },
    };
    Ok(opening)
}

/// Whether the disk holds what is known to have been durable.
fn lacks_nothing(directory: &Path, options: &Options, reader: &Reader) -> Result<(), OpenError> {
    let last = reader.verified().last;
    match options.known {
        Some(Known { durable, .. }) if durable > last => {
            let file = options.snapshot_store(directory).folder().to_owned();
            Err(OpenError::Snapshot { file, fault: SnapshotFault::Newer { sequence: durable, last } })
        }
        Some(_) | None => Ok(()),
    }
}

/// Erases the torn tail; gives the end to go on from.
fn cut(options: &Options, storage: Arc<dyn Storage>, reader: &Reader) -> Result<Opening, OpenError> {
    remove_spares(storage.as_ref())?;
    let verified = reader.verified().clone();
    let (number, offset) = reader.end();
    let plan = plan(options, storage.clone(), *reader.identity());
    let batch = BatchBuilder::new(verified.last.next(), plan.payload_bytes_max());
    let mut tail = Tail::resume(plan, number, offset, verified.chain)?;
    let set_aside = match &verified.cut {
        Some(cut) => erase(storage.as_ref(), &mut tail, number, cut)?,
        None => None,
    };
    let recovery = Recovery {
        identity: *reader.identity(),
        last: verified.last,
        found: Some(verified),
        since: None,
        set_aside,
        head: HeadOutcome::Absent,
    };
    Ok(Opening { recovery, tail, batch, claimed: None })
}

fn start(options: &Options, mut opening: Opening, lock: FolderLock) -> Result<Opened, OpenError> {
    let last = opening.recovery.last;
    let path = options.head_path(opening.recovery.identity.journal);
    let durable = (last, opening.tail.hash());
    let head = Head::create(path.clone(), opening.recovery.identity.journal, options.head_bytes, durable, options.idle)
        .map_err(head_error(&path))?;
    drop(opening.claimed);
    let (space, filler) = match options.labour {
        Labour::Threads => (opening.tail.start_helpers().map_err(io_error(&path))?, None),
        Labour::Turns => {
            let (space, filler) = opening.tail.work_in_turns();
            (space, Some(filler))
        }
    };
    let shared = Arc::new(Shared {
        durable: Arc::new(Watermark::new(last.0, options.idle.beside_the_core())),
        head,
        space,
        digests: DigestQueue::default(),
        seal: OnceLock::new(),
        failure: OnceLock::new(),
        watch: OnceLock::new(),
    });
    let storage = opening.tail.storage().clone();
    let writer = Writer::new(shared.clone(), opening.tail, opening.batch, lock, options.durability);
    let appender = match filler {
        None => Appender::start(shared.clone(), writer).map_err(io_error(&path))?,
        Some(filler) => Appender::in_turns(shared.clone(), Hands::new(writer, filler)),
    };
    let identity = opening.recovery.identity;
    let journal = Journal { shared, durability: options.durability, storage, identity };
    Ok(Opened { journal, appender, recovery: opening.recovery })
}

/// A head that another process uses is as good as the folder's lock.
fn head_error(path: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { lock: path.clone() },
        _ => io_error(&path)(error),
    }
}

impl Opening {
    /// Makes durable what only the head holds; says how many commands that were.
    fn adopt(&mut self, image: &HeadImage) -> Result<u64, WriteError> {
        let durable = self.recovery.last;
        while let Some(record) = image.record(self.batch.next_sequence()) {
            if record.len() > self.batch.room() {
                self.append()?;
            }
            self.batch.extend_commands(|payload| payload.extend_from_slice(record));
        }
        if !self.batch.is_empty() {
            self.append()?;
        }
        self.recovery.last = image.last();
        Ok(image.last().0 - durable.0)
    }

    fn append(&mut self) -> Result<(), WriteError> {
        let appended = self.tail.append(&mut self.batch)?;
        assert!(appended, "no spare is waited for while a journal is being opened");
        Ok(())
    }
}

/// Reads to the end; says whether the head continues what was read.
fn read_beside(reader: &mut Reader, image: &HeadImage) -> Result<Result<(), HeadFault>, ReadError> {
    reader.watch_for(image.mark.hash, image.mark.sequence);
    let mut agreement = Ok(());
    while reader.next_batch()? {
        reader.check_values()?;
        agreement = agreement.and_then(|()| reader.batch_records().try_for_each(|record| compare(&record, image)));
    }
    if !reader.has_passed(image.mark.hash) {
        return Ok(Err(HeadFault::Unknown));
    }
    Ok(agreement)
}

/// Whether the head holds the same bytes for a record on disk, or nothing because it was freed.
fn compare(record: &RecordView<'_>, image: &HeadImage) -> Result<(), HeadFault> {
    let sequence = Sequence(record.number());
    if record.kind() != RecordKind::Command || sequence <= image.mark.sequence {
        return Ok(());
    }
    let held = image.record(sequence).ok_or(HeadFault::Behind)?;
    let value = &held[RECORD_PREFIX_BYTES..];
    let same = value.starts_with(record.value()) && held.len() == record.len();
    if same { Ok(()) } else { Err(HeadFault::Differs { at: sequence }) }
}

fn same_venue(directory: &Path, options: &Options, reader: &Reader) -> Result<(), OpenError> {
    let identity = reader.identity();
    let what = if identity.venue != options.venue {
        "venue number"
    } else if identity.shard != options.shard {
        "shard number"
    } else if identity.capacity != options.capacity {
        "engine capacity"
    } else if reader.term() > options.term {
        "term, a later one"
    } else {
        return Ok(());
    };
    Err(OpenError::Different { directory: directory.to_owned(), what })
}

/// Zeros over a torn batch; a segment whose header never became whole is set aside, and its new place given.
fn erase(
    storage: &dyn Storage,
    tail: &mut Tail,
    number: SegmentNumber,
    cut: &Cut,
) -> Result<Option<PathBuf>, OpenError> {
    if cut.file == storage.path().join(number.file_name()) {
        tail.erase(cut.length)?;
        return Ok(None);
    }
    let name = number.next().file_name();
    let names = storage.list().map_err(io_error(storage.path()))?;
    let aside = name_aside(&name, &names);
    storage.rename(&name, &aside).and_then(|()| storage.sync_directory()).map_err(io_error(&cut.file))?;
    Ok(Some(storage.path().join(aside)))
}

/// One that no file has: what was set aside before stays.
fn name_aside(name: &str, names: &[String]) -> String {
    let free = |aside: &String| !names.contains(aside);
    let first = format!("{name}{CUT_SUFFIX}");
    if free(&first) {
        return first;
    }
    (2..).map(|count| format!("{first}.{count}")).find(free).expect("there are fewer files than numbers")
}

/// Nothing counts as durable because an earlier process wrote it: it may have been killed before it synced, or its sync
/// may have failed. Only the last segment can hold such a write, and only its name can be unsynced.
fn settle(storage: &dyn Storage) -> Result<(), OpenError> {
    let Some(last) = segment_numbers(storage)?.pop() else { return Ok(()) };
    let name = last.file_name();
    storage.settle(&name).and_then(|()| storage.sync_directory()).map_err(io_error(&storage.path().join(name)))
}

/// A spare's zeros may be half written, and its number taken.
fn remove_spares(storage: &dyn Storage) -> Result<(), OpenError> {
    let names = storage.list().map_err(io_error(storage.path()))?;
    names
        .iter()
        .filter(|name| name.ends_with(SPARE_SUFFIX))
        .try_for_each(|name| storage.remove(name).map_err(io_error(&storage.path().join(name))))
}

/// Makes the folders, and their names durable.
fn make_folder(folder: &Path, directory: &Path) -> Result<(), OpenError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    [directory, parent]
        .iter()
        .try_for_each(|path| File::open(path).and_then(|opened| opened.sync_all()).map_err(io_error(path)))
}

/// A data folder that this process alone may write, until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    directory: PathBuf,
    file: File,
}

impl FolderLock {
    /// Locks the folder, which exists: for what has to be done before its journal is opened.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        Ok(Self { directory: directory.to_owned(), file: lock(directory)? })
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for FolderLock {
    /// Said and not left to the closing: a process that is being started from this one has the file open for a moment.
    fn drop(&mut self) {
        // Where it fails, the lock goes with the last who has the file open.
        let _ = self.file.unlock();
    }
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let file = File::create(&path).map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { lock: path }),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

fn plan(options: &Options, storage: Arc<dyn Storage>, identity: Identity) -> Plan {
    // A device with a larger sector than expected must not leave a segment without room for a batch.
    let segment_bytes = options.segment_bytes.max(4 * u64::from(identity.alignment));
    Plan { storage, identity, term: options.term, segment_bytes }
}

fn random_id() -> Result<JournalId, OpenError> {
    let mut id = [0; 16];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| io_error(Path::new("getrandom"))(error.into()))?;
    Ok(JournalId(id))
}

pub(crate) fn io_error(file: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let file: PathBuf = file.to_owned();
    move |source| OpenError::Io { file: file.clone(), source }
}

const _: () = assert!(head::RING_BYTES_MIN >= 4 * RECORD_BYTES_MAX as u64, "the smallest head holds several records");
