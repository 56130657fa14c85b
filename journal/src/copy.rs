//! Copying a journal: to a point of its past, or beside the venue that writes it.
//!
//! ```text
//!   source   verified batch by batch ──► TO/copying/journal/00000001.seg …   synced, read back from the device, verified
//!   place    TO/copying/journal ──► TO/journal                               by rename, when all of it is whole
//! ```
//!
//! Segments keep their numbers, bytes and chain, and the journal its id: the copy is the same history, as far as it goes.
//! Only a batch in which the point lies is framed anew, with the records before the point. A copy that was made before is
//! continued: the segments behind its last one come as they are, and the last one is replaced by what it has become.
//!
//! Until it is placed, a copy is in a folder that no venue looks into; an interrupted one is removed by the next.

mod snapshots;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Sequence;

use crate::batch::BatchView;
use crate::checksum::ChainHash;
use crate::error::{OpenError, ReadError};
use crate::follow::{Follower, Polling};
use crate::layout::SEGMENT_HEADER_BYTES;
use crate::reader::{Found, JOURNAL_FOLDER, Reader, map, segment_numbers};
use crate::recovery::{FolderLock, LOCK_FILE};
use crate::seek::Seek;
use crate::segment::{SegmentHeader, SegmentNumber};
use crate::snapshot::{SNAPSHOT_FOLDER, SnapshotError};
use crate::storage::{DirectoryStorage, Storage, allocate};
use crate::travel::{AsOf, sequence_at};

/// Where a copy is made, in the folder that it is for.
pub const COPYING_FOLDER: &str = "copying";

/// What a new file system brings along.
const LOST_AND_FOUND: &str = "lost+found";

/// Bytes that are written at once.
const PIECE_BYTES: usize = 1 << 20;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The first command of the copy; none if there is none.
    pub first: Sequence,
    /// Its last command; none if there is none.
    pub last: Sequence,
    /// Commands that the copy did not hold before.
    pub new_count: u64,
    /// Segments that were written.
    pub segment_count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The hash of the copy's last link.
    pub chain: ChainHash,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of segments that are done.
    pub bytes: u64,
    /// Bytes that there are to do.
    pub total_bytes: u64,
}

/// Why a journal is not copied. What stood in the folder stands there unchanged.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The journal, or the copy that was made before, cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another process has the folder of the copy.
    #[error("{} is locked: a venue or another copy has it; use another folder", lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// The folder of the copy is not empty.
    #[error("{} is not empty: it holds {found}; give a new or an empty folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// The first thing in it.
        found: String,
    },
    /// The journal has no command of that sequence, or none until that time.
    #[error("the journal has no such command: {what}; `rialto journal inspect` lists what there is")]
    Unreached {
        /// What was asked for, or what there is.
        what: String,
    },
    /// The snapshots, or the checkpoints, cannot be read.
    #[error("{0}; a copy can be made without snapshots, certificate and keys")]
    Snapshot(#[from] SnapshotError),
    /// What was copied before is not the beginning of this journal.
    #[error(
        "{} ends with command {last} and is no beginning of the journal in {}: a copy up to a point, or one that a venue \
         went on with, is not continued; use another folder",
        folder.display(),
        source_folder.display()
    )]
    Diverged {
        /// The folder of the copy.
        folder: PathBuf,
        /// The last command in it.
        last: Sequence,
        /// What was to be copied.
        source_folder: PathBuf,
    },
    /// The disk has no room for the copy.
    #[error("{} has {free_bytes} bytes free, and the copy takes {bytes}: free space, or use another disk", folder.display())]
    NoRoom {
        /// The folder of the copy.
        folder: PathBuf,
        /// What the copy takes.
        bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// What was read back is not what was written.
    #[error("{} was read back otherwise than it was written: the disk is failing; use another", folder.display())]
    Misread {
        /// The folder of the copy.
        folder: PathBuf,
    },
    /// The operating system failed.
    #[error("{}: {source}: check that it may be written, and that its disk works and has room", file.display())]
    Io {
        /// Which file or folder.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A whole, verified copy that has not got its place yet. Dropping it removes it.
#[derive(Debug)]
#[must_use = "a copy that is not placed is removed"]
pub struct JournalCopy {
    from: PathBuf,
    to: PathBuf,
    copied: Copied,
    /// The segments in the side folder.
    numbers: Vec<SegmentNumber>,
    continues: bool,
    side: SideFolder,
    _lock: FolderLock,
}

impl JournalCopy {
    /// Copies the journal of the data folder `from` to the new or empty folder `to`, as far as it is whole, or to a point.
    ///
    /// Nothing behind the point is looked at: a damaged journal can be copied up to where it is good.
    pub fn restore(from: &Path, to: &Path, until: AsOf, progress: &mut dyn FnMut(Progress)) -> Result<Self, CopyError> {
        Reader::open(from)?;
        let last = last_wanted(from, until)?;
        let target = Target::new(from, to)?;
        let copy = target.copy(None, last, progress)?;
        // Its segment's end may be torn, or damaged as a torn tail is.
        if matches!(until, AsOf::Sequence(_)) && copy.copied.last < last {
            return Err(unreached(last));
        }
        Ok(copy)
    }

    /// Copies what is durable of the journal of the data folder `from`, which a venue may be writing, to the folder `to`: a
    /// new one, or one that an earlier backup of the same journal was placed in, which is continued.
    pub fn backup(
        from: &Path,
        to: &Path,
        polling: &Polling,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, CopyError> {
        Reader::open(from)?;
        let target = match Reader::open(to) {
            Err(ReadError::NoJournal { .. }) => Target::new(from, to)?,
            Ok(_) => Target::continued(from, to)?,
            Err(error) => return Err(error.into()),
        };
        target.copy(Some(polling), Sequence(u64::MAX), progress)
    }

    /// What it holds.
    pub fn copied(&self) -> &Copied {
        &self.copied
    }

    /// Behind [`place`](Self::place): copies the newest snapshots that lead to the copy's end, so that a venue need not
    /// replay it whole, and the checkpoints up to there; gives the commands behind which the snapshots are, newest first.
    ///
    /// # Errors
    /// If they cannot be read or written. Snapshots that cannot be used are left behind.
    pub fn copy_snapshots(&self) -> Result<Vec<Sequence>, CopyError> {
        if !self.continues {
            // An interrupted copy may have come further than this one.
            remove_folder(&self.to.join(SNAPSHOT_FOLDER))?;
        }
        snapshots::copy(&self.from, &self.to, self.copied.last)
    }

    /// Gives the copy its place in the folder that it is for. An interruption leaves a journal that was there before, or a
    /// longer one, and never a part of a segment.
    pub fn place(&self) -> Result<Copied, CopyError> {
        let (made, journal) = (self.side.path.join(JOURNAL_FOLDER), self.to.join(JOURNAL_FOLDER));
        if self.continues {
            for number in &self.numbers {
                let name = number.file_name();
                fs::rename(made.join(&name), journal.join(&name)).map_err(io_error(&journal))?;
                sync_folder(&journal)?;
            }
        } else {
            match fs::remove_dir(&journal) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&journal)(error)),
                Ok(()) | Err(_) => {}
            }
            fs::rename(&made, &journal).map_err(io_error(&journal))?;
        }
        sync_folder(&self.to)?;
        sync_folder(parent(&self.to))?;
        Ok(self.copied)
    }
}

/// The last command that is wanted; the largest sequence there is for all of them.
fn last_wanted(from: &Path, until: AsOf) -> Result<Sequence, CopyError> {
    let last = sequence_at(from, until)?;
    // Damage behind it does not matter, and damage before it is met on the way.
    let is_missing = || {
        let there = Reader::open_at(from, Seek::Sequence(last)).map(|reader| reader.commands().next());
        matches!(there, Ok(None))
    };
    match until {
        AsOf::Sequence(_) if last.is_none() || is_missing() => Err(unreached(last)),
        AsOf::Time(_) if last.is_none() => {
            Err(CopyError::Unreached { what: "the first one is later than the time that was asked for".to_owned() })
        }
        AsOf::End | AsOf::Sequence(_) | AsOf::Time(_) => Ok(last),
    }
}

fn unreached(wanted: Sequence) -> CopyError {
    CopyError::Unreached { what: format!("{wanted} was asked for") }
}

/// Batches of a journal, in order.
enum Source {
    /// Every one that is whole.
    Whole(Reader),
    /// Every one that is durable.
    Durable(Follower),
}

impl Source {
    /// Moves to the next batch; false at the end.
    fn next_batch(&mut self) -> Result<bool, ReadError> {
        match self {
            Self::Whole(reader) => reader.next_batch(),
            Self::Durable(follower) => {
                let found = follower.next_batch()?;
                if !found {
                    follower.reader().check_end()?;
                }
                Ok(found)
            }
        }
    }

    fn reader(&self) -> &Reader {
        match self {
            Self::Whole(reader) => reader,
            Self::Durable(follower) => follower.reader(),
        }
    }
}

/// The end of a copy that was made before: where it has to be met again.
#[derive(Debug, Clone, Copy)]
struct End {
    segment: SegmentNumber,
    offset: u64,
    chain: ChainHash,
    last: Sequence,
}

/// The folder that a copy is for.
struct Target {
    from: PathBuf,
    to: PathBuf,
    storage: Arc<dyn Storage>,
    side: SideFolder,
    lock: FolderLock,
    before: Option<End>,
}

impl Target {
    /// A folder that holds nothing yet.
    fn new(from: &Path, to: &Path) -> Result<Self, CopyError> {
        fs::create_dir_all(to).map_err(io_error(to))?;
        check_empty(to)?;
        Self::locked(from, to)
    }

    /// A folder that holds a copy which was placed.
    fn continued(from: &Path, to: &Path) -> Result<Self, CopyError> {
        let mut target = Self::locked(from, to)?;
        let storage = Arc::new(DirectoryStorage::new(to.join(JOURNAL_FOLDER)));
        let numbers = segment_numbers(storage.as_ref())?;
        let last = &numbers[numbers.len() - 1..];
        // A last segment without a whole header holds nothing, and is replaced.
        let mut reader = match Reader::enter(storage.clone(), last) {
            Err(ReadError::Damaged { offset: 0, .. }) if numbers.len() > 1 => {
                Reader::enter(storage, &numbers[numbers.len() - 2..])?
            }
            other => other?,
        };
        reader.read_to_end()?;
        let (segment, offset) = reader.end();
        target.before = Some(End { segment, offset, chain: reader.verified().chain, last: reader.verified().last });
        Ok(target)
    }

    fn locked(from: &Path, to: &Path) -> Result<Self, CopyError> {
        let lock = FolderLock::take(to).map_err(|error| match error {
            OpenError::Locked { lock } => CopyError::Locked { lock },
            error => CopyError::Io { file: to.join(LOCK_FILE), source: io::Error::other(error.to_string()) },
        })?;
        let storage = Arc::new(DirectoryStorage::new(from.join(JOURNAL_FOLDER)));
        Ok(Self {
            from: from.to_owned(),
            to: to.to_owned(),
            storage,
            side: SideFolder::make(to.join(COPYING_FOLDER))?,
            lock,
            before: None,
        })
    }

    /// The journal that is copied, from the segment on in which the copy ends.
    fn source_reader(&self) -> Result<Reader, CopyError> {
        let numbers = segment_numbers(self.storage.as_ref())?;
        if numbers.is_empty() {
            return Err(ReadError::NoJournal { directory: self.from.clone() }.into());
        }
        let begin = self.before.map_or(SegmentNumber::FIRST, |end| end.segment);
        let at = numbers.iter().position(|&number| number == begin).ok_or_else(|| self.diverged())?;
        Ok(Reader::enter(self.storage.clone(), &numbers[at..])?)
    }

    /// Copies what is whole, or what is durable if it is said how to learn that.
    fn copy(
        self,
        polling: Option<&Polling>,
        last: Sequence,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<JournalCopy, CopyError> {
        let reader = self.source_reader()?;
        let total_bytes = self.total_bytes(reader.end().0, last)?;
        self.check_room(total_bytes)?;
        let mut copying = Copying {
            target: &self,
            last_wanted: last,
            report: progress,
            progress: Progress { bytes: 0, total_bytes },
            segment: self.begin(reader.end().0)?,
            done: Vec::new(),
            end: (reader.verified().chain, reader.verified().last),
        };
        copying.run(reader, polling)?;
        let Copying { done: numbers, end: (chain, last), progress: Progress { bytes, .. }, .. } = copying;
        if self.read_back(&numbers)? != (chain, last) {
            return Err(CopyError::Misread { folder: self.to });
        }
        let known = self.before.map_or(Sequence::NONE, |end| end.last);
        let copied = Copied {
            first: Sequence(last.0.min(1)),
            last,
            new_count: last.0 - known.0,
            segment_count: numbers.len() as u64,
            bytes,
            chain,
        };
        let continues = self.before.is_some();
        Ok(JournalCopy { from: self.from, to: self.to, copied, numbers, continues, side: self.side, _lock: self.lock })
    }

    /// Bytes of the segments that there are to copy.
    fn total_bytes(&self, begin: SegmentNumber, last: Sequence) -> Result<u64, CopyError> {
        let numbers = segment_numbers(self.storage.as_ref())?;
        let mut bytes = 0;
        for number in numbers.into_iter().filter(|&number| number >= begin) {
            let mapped = map(self.storage.as_ref(), number)?;
            let mapped = (*mapped).as_ref();
            // One whose header is not whole is not reached, or found to be damaged on the way.
            match SegmentHeader::decode(mapped) {
                Ok(header) if header.first <= last || number == begin => bytes += mapped.len() as u64,
                Ok(_) | Err(_) => {}
            }
        }
        Ok(bytes)
    }

    /// Before the first byte is written: nobody waits for a copy that cannot be completed.
    fn check_room(&self, bytes: u64) -> Result<(), CopyError> {
        match DirectoryStorage::new(&self.side.path).free_bytes() {
            Some(free_bytes) if free_bytes < bytes => {
                Err(CopyError::NoRoom { folder: self.to.clone(), bytes, free_bytes })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn begin(&self, number: SegmentNumber) -> Result<SegmentCopy, CopyError> {
        let bytes = map(self.storage.as_ref(), number)?;
        let bytes = (*bytes).as_ref();
        let file = self.side.path.join(JOURNAL_FOLDER).join(number.file_name());
        let alignment =
            SegmentHeader::decode(bytes).map_or(SEGMENT_HEADER_BYTES, |header| header.identity.alignment as usize);
        SegmentCopy::begin(number, file, bytes.len() as u64, &bytes[..alignment.min(bytes.len())])
    }

    /// Reads the copy from the device and verifies it; gives its last link and its last command.
    fn read_back(&self, numbers: &[SegmentNumber]) -> Result<(ChainHash, Sequence), CopyError> {
        let storage = Arc::new(DirectoryStorage::new(self.side.path.join(JOURNAL_FOLDER)));
        for number in numbers {
            let name = number.file_name();
            storage.settle(&name).map_err(io_error(&storage.path().join(name)))?;
        }
        storage.sync_directory().map_err(io_error(storage.path()))?;
        sync_folder(&self.side.path)?;
        let mut reader = Reader::enter(storage, numbers)?;
        reader.read_to_end()?;
        let verified = reader.verified();
        Ok((verified.chain, verified.last))
    }

    fn diverged(&self) -> CopyError {
        let last = self.before.map_or(Sequence::NONE, |end| end.last);
        CopyError::Diverged { folder: self.to.clone(), last, source_folder: self.from.clone() }
    }
}

/// A copy in the making.
struct Copying<'a> {
    target: &'a Target,
    last_wanted: Sequence,
    report: &'a mut dyn FnMut(Progress),
    progress: Progress,
    segment: SegmentCopy,
    done: Vec<SegmentNumber>,
    /// The last link that was written, and the last command up to it.
    end: (ChainHash, Sequence),
}

impl Copying<'_> {
    /// What an earlier copy holds has to be met as it is; what is behind it has to be durable, if that is asked for.
    fn run(&mut self, mut reader: Reader, polling: Option<&Polling>) -> Result<(), CopyError> {
        if let Some(before) = self.target.before {
            while !self.meets(&reader, &before)? {
                if !reader.next_batch()? {
                    return Err(self.target.diverged());
                }
                self.take(&reader)?;
            }
        }
        let mut source = match polling {
            Some(polling) => Source::Durable(Follower::beside_head(reader, Seek::FIRST, polling)),
            None => Source::Whole(reader),
        };
        while source.next_batch()? {
            if !self.take(source.reader())? {
                break;
            }
        }
        self.finish_segment()
    }

    /// Whether the reader stands where the earlier copy ends; fails if it has come further, or stands on another link.
    fn meets(&self, reader: &Reader, before: &End) -> Result<bool, CopyError> {
        if reader.end() < (before.segment, before.offset) {
            return Ok(false);
        }
        let same = reader.end() == (before.segment, before.offset) && reader.verified().chain == before.chain;
        if same { Ok(true) } else { Err(self.target.diverged()) }
    }

    /// Copies the current batch, or what is wanted of it; false if nothing is wanted behind it.
    fn take(&mut self, reader: &Reader) -> Result<bool, CopyError> {
        self.begin_segments_up_to(reader.end().0)?;
        let (Found { header, hash, .. }, bytes) = reader.batch();
        let last = Sequence(header.next_sequence().0 - 1);
        if last > self.last_wanted {
            let alignment = reader.identity().alignment as usize;
            let part = BatchView::again(bytes, *header).up_to(self.last_wanted, alignment);
            self.write(&part)?;
            self.end = (ChainHash::of_link(&part), self.last_wanted);
        } else {
            self.write(bytes)?;
            self.end = (*hash, last);
        }
        Ok(last < self.last_wanted)
    }

    /// One by one: each is a link, also where it holds no batch.
    fn begin_segments_up_to(&mut self, number: SegmentNumber) -> Result<(), CopyError> {
        while self.segment.number < number {
            let next = self.target.begin(self.segment.number.next())?;
            self.finish_segment()?;
            self.segment = next;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.segment.write(bytes)?;
        self.tell(self.progress.bytes + self.segment.written);
        Ok(())
    }

    /// A living journal may have grown since the bytes were counted.
    fn tell(&mut self, bytes: u64) {
        (self.report)(Progress { bytes, total_bytes: self.progress.total_bytes.max(bytes) });
    }

    fn finish_segment(&mut self) -> Result<(), CopyError> {
        self.segment.finish()?;
        self.done.push(self.segment.number);
        self.progress.bytes += self.segment.length;
        self.tell(self.progress.bytes);
        Ok(())
    }
}

/// A segment's file in the making, written from its beginning to its end.
struct SegmentCopy {
    number: SegmentNumber,
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    written: u64,
}

impl SegmentCopy {
    /// Takes the space of the whole segment, and writes its header.
    fn begin(number: SegmentNumber, path: PathBuf, length: u64, header: &[u8]) -> Result<Self, CopyError> {
        let file = File::create_new(&path).map_err(io_error(&path))?;
        allocate(&file, length).map_err(io_error(&path))?;
        let mut segment = Self { number, path, file: BufWriter::with_capacity(PIECE_BYTES, file), length, written: 0 };
        segment.write(header)?;
        Ok(segment)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.file.write_all(bytes).map_err(io_error(&self.path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to the end, so that a venue's later writes convert no extent, and everything synced.
    fn finish(&mut self) -> Result<(), CopyError> {
        let zeros = self.length - self.written;
        io::copy(&mut io::Read::take(io::repeat(0), zeros), &mut self.file)
            .and_then(|_| self.file.flush())
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(io_error(&self.path))
    }
}

/// Where a copy is made; it goes with this.
#[derive(Debug)]
struct SideFolder {
    path: PathBuf,
}

impl SideFolder {
    /// Makes it anew, with a folder for segments; what an interrupted copy left is removed.
    fn make(path: PathBuf) -> Result<Self, CopyError> {
        remove_folder(&path)?;
        let side = Self { path };
        let segments = side.path.join(JOURNAL_FOLDER);
        fs::create_dir_all(&segments).map_err(io_error(&segments))?;
        Ok(side)
    }
}

impl Drop for SideFolder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next copy.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Nothing may be in the folder but what a new file system brings along, and what an interrupted copy left.
fn check_empty(folder: &Path) -> Result<(), CopyError> {
    let names = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
        .map_err(io_error(folder))?;
    if names.iter().any(|name| name == COPYING_FOLDER) && !names.iter().any(|name| name == JOURNAL_FOLDER) {
        return Ok(());
    }
    match names.into_iter().find(|name| name != LOCK_FILE && name != LOST_AND_FOUND) {
        Some(found) => {
            Err(CopyError::Occupied { folder: folder.to_owned(), found: found.to_string_lossy().into_owned() })
        }
        None => Ok(()),
    }
}

fn remove_folder(folder: &Path) -> Result<(), CopyError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> Result<(), CopyError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(io_error(folder))
}

fn parent(folder: &Path) -> &Path {
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> CopyError + use<> {
    let file = file.to_owned();
    move |source| CopyError::Io { file: file.clone(), source }
}
