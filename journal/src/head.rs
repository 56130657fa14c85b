//! The head of the journal: what the core has appended and the writer has not yet made durable.
//!
//! A ring of records in shared memory, which outlives the process: after a kill the next process finds in it what the
//! disk lacks. It is never under write-back, so that the core's stores meet no page fault. Power loss takes it away, and
//! with it only what was never promised beyond the process.
//!
//! ```text
//! rialto-<journal id>.head, as 64-bit words
//!
//!   byte
//!      0   header   magic "RIALTOHD" · version, zeros · journal id (2) · ring bytes · boot id (2) · CRC-32C of the above
//!   4096   published: ring position behind the last published record                  written by the core alone
//!   8192   two marks, 128 bytes apart, the older replaced in turn                      written by the writer alone
//!            generation · durable sequence · ring position behind it · chain hash (4) · CRC-32C of the above
//!  12288   ring     records, 8-byte aligned, as in a batch but with a zero checksum
//!
//!              freed          drained                published     appended
//!                │ being synced  │  waits for the writer  │  batch in   │
//!   ─────────────┴───────────────┴────────────────────────┴──making─────┴──────────►  positions: bytes since creation
//! ```
//!
//! # Memory ordering
//!
//! One core appends, one writer drains. The core stores records, then the published position, then advances the
//! watermark `published` (release); the writer, having read that (acquire), reads the records. The writer makes them
//! durable, stores its mark, then advances the watermark `freed` (release); the core, having read that (acquire),
//! overwrites them. So the writer never reads a word that is being written, and a mark always stands before what it
//! covers is overwritten. Words are atomics, so that even a mistake here would not be undefined behaviour.
//!
//! A killed process leaves a prefix of each thread's stores in program order. `published` is stored behind the records
//! that it covers, with release; a mark torn by the kill fails its checksum, and then the other one, which covers less,
//! still holds: what it leaves uncovered was not overwritten.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{Command, Sequence, Sequenced};
use ring::{Idle, Poisoned, Watermark};

use crate::checksum::{ChainHash, crc32c};
use crate::error::HeadFault;
use crate::journal::Labour;
use crate::layout::{FORMAT_VERSION, RECORD_PREFIX_BYTES};
use crate::mapping::SharedWords;
use crate::record::{RecordBytes, RecordKind, RecordView, record_bytes_from_prefix};
use crate::segment::JournalId;
use crate::storage::allocate;

const MAGIC: [u8; 8] = *b"RIALTOHD";
const WORD_BYTES: usize = size_of::<u64>();
const HEADER_WORDS: usize = 8;
const PUBLISHED_WORD: usize = 4_096 / WORD_BYTES;
const MARK_WORDS: usize = 8;
const MARK_AT_WORD: [usize; 2] = [8_192 / WORD_BYTES, (8_192 + 128) / WORD_BYTES];
const RING_WORD: usize = 12_288 / WORD_BYTES;

/// The smallest ring: it holds several of the longest record.
pub(crate) const RING_BYTES_MIN: u64 = 4_096;

/// Where the head of a journal is.
pub(crate) fn head_path(directory: &Path, journal: JournalId) -> PathBuf {
    directory.join(format!("rialto-{journal}.head"))
}

/// Shared memory, where there is; else the folder for temporary files, where the head outlives the process as well.
pub(crate) fn default_directory() -> PathBuf {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() }
}

/// How far the journal is durable, as the head remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    generation: u64,
    /// The last durable command; none before the first.
    pub(crate) sequence: Sequence,
    /// Ring position behind its record.
    position: u64,
    /// The hash of the link that holds it.
    pub(crate) hash: ChainHash,
}

impl Mark {
    fn encode(&self) -> [u64; MARK_WORDS] {
        let mut words = [0; MARK_WORDS];
        words[..3].copy_from_slice(&[self.generation, self.sequence.0, self.position]);
        for (word, bytes) in words[3..7].iter_mut().zip(self.hash.0.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words[7] = checksum(&words[..7]);
        words
    }

    /// Nothing if the mark is torn.
    fn decode(words: &[u64]) -> Option<Self> {
        let (covered, rest) = words.split_at_checked(MARK_WORDS - 1)?;
        if rest.first() != Some(&checksum(covered)) {
            return None;
        }
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(&covered[3..]) {
            *bytes = word.to_le_bytes();
        }
        Some(Self {
            generation: covered[0],
            sequence: Sequence(covered[1]),
            position: covered[2],
            hash: ChainHash(hash),
        })
    }
}

/// Keeps other processes from a head. A copy of a data folder names the same head, and the folder's own lock does not
/// cover it.
#[derive(Debug)]
pub(crate) struct HeadLock(File);

impl HeadLock {
    fn of(file: File) -> io::Result<Self> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for HeadLock {
    /// A child process that is just being started may share the file for a moment; the lock does not wait for it.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the head at `path` away from other processes, if there is one.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if another process uses it.
pub(crate) fn claim(path: &Path) -> io::Result<Option<HeadLock>> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => HeadLock::of(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A word of the head. All that outlives the process goes through it.
pub(crate) trait Word {
    fn load(&self) -> u64;

    fn store(&self, word: u64, order: Ordering);
}

impl Word for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    fn store(&self, word: u64, order: Ordering) {
        self.store(word, order);
    }
}

/// Where a head's words are: in a mapped file, or in a test's own memory.
pub(crate) trait Memory {
    type Word: Word;

    fn published(&self) -> &Self::Word;

    /// One of the two, as long as a mark.
    fn mark(&self, index: usize) -> &[Self::Word];

    fn ring(&self) -> &[Self::Word];
}

/// The mapped file.
#[derive(Debug)]
pub(crate) struct HeadFile {
    path: PathBuf,
    /// For as long as the head is used.
    _lock: HeadLock,
    words: SharedWords,
}

impl Memory for HeadFile {
    type Word = AtomicU64;

    fn published(&self) -> &AtomicU64 {
        &self.words.words()[PUBLISHED_WORD]
    }

    fn mark(&self, index: usize) -> &[AtomicU64] {
        &self.words.words()[MARK_AT_WORD[index]..][..MARK_WORDS]
    }

    fn ring(&self) -> &[AtomicU64] {
        &self.words.words()[RING_WORD..]
    }
}

/// The memory and the cursors over it, shared by appender and drain.
#[derive(Debug)]
pub(crate) struct Head<M = HeadFile> {
    memory: M,
    ring_bytes: u64,
    /// Ring position behind the last published record. Poisoned: the appender is gone.
    pub(crate) published: Watermark,
    /// Ring position behind the last durable record. Poisoned: the writer has stopped.
    pub(crate) freed: Watermark,
}

impl Head {
    /// Makes an empty head that continues the journal behind `sequence` and `hash`, replacing the one before.
    ///
    /// The file gets its name when it is complete, so that no half-made head is ever met.
    pub(crate) fn create(
        path: PathBuf,
        journal: JournalId,
        ring_bytes: u64,
        durable: (Sequence, ChainHash),
        idle: Idle,
    ) -> io::Result<Arc<Self>> {
        let unfinished = path.with_extension("new");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&unfinished)?;
        let lock = HeadLock::of(file)?;
        let length = (RING_WORD * WORD_BYTES) as u64 + ring_bytes;
        lock.0.set_len(0)?;
        lock.0.set_len(length)?;
        allocate(&lock.0, length)?;
        let file = HeadFile { path, words: SharedWords::map(&lock.0)?, _lock: lock };
        store(file.words.words(), &header_words(journal, ring_bytes));
        let head = Self::over(file, durable, idle);
        fs::rename(unfinished, &head.memory.path)?;
        Ok(Arc::new(head))
    }

    /// Removes the file: everything that it held is durable.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.memory.path)
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.memory.path
    }
}

fn store<W: Word>(cells: &[W], words: &[u64]) {
    for (cell, word) in cells.iter().zip(words) {
        cell.store(*word, Ordering::Relaxed);
    }
}

impl<M: Memory> Head<M> {
    /// An empty head in `memory`, which continues the journal behind `durable`.
    fn over(memory: M, durable: (Sequence, ChainHash), idle: Idle) -> Self {
        let (sequence, hash) = durable;
        store(memory.mark(0), &Mark { generation: 0, sequence, position: 0, hash }.encode());
        Self {
            ring_bytes: (memory.ring().len() * WORD_BYTES) as u64,
            memory,
            published: Watermark::new(0, idle.beside_the_core()),
            freed: Watermark::new(0, idle),
        }
    }

    /// The words of the ring from `position` on, around its end.
    fn ring(&self, position: u64) -> impl Iterator<Item = &M::Word> {
        let ring = self.memory.ring();
        let at = usize::try_from(position % self.ring_bytes).expect("the ring is in memory") / WORD_BYTES;
        let (before, behind) = ring.split_at(at);
        behind.iter().chain(before)
    }
}

/// The core's end: stores records.
#[derive(Debug)]
pub(crate) struct HeadAppender<M: Memory = HeadFile> {
    head: Arc<Head<M>>,
    appended: u64,
    published: u64,
    /// As last read; the truth may be further on.
    freed: u64,
    labour: Labour,
}

impl<M: Memory> HeadAppender<M> {
    /// For one thread; a second one on the same head would be a bug.
    pub(crate) fn new(head: Arc<Head<M>>) -> Self {
        Self::with_labour(head, Labour::Threads)
    }

    /// For the thread that also drains it, and that nobody else wakes.
    pub(crate) fn in_turns(head: Arc<Head<M>>) -> Self {
        Self::with_labour(head, Labour::Turns)
    }

    fn with_labour(head: Arc<Head<M>>, labour: Labour) -> Self {
        Self { head, appended: 0, published: 0, freed: 0, labour }
    }

    /// Whether so many bytes of records are appended without waiting. They are refused without waiting once the writer
    /// has stopped.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        let freed = &self.head.freed;
        freed.is_poisoned() || (self.appended - freed.get()).saturating_add(bytes) <= self.head.ring_bytes
    }

    /// Appends a record; waits for the writer while the ring is full.
    pub(crate) fn append(&mut self, command: &Sequenced<Command>) -> Result<(), Poisoned> {
        let record = RecordBytes::of_command(command);
        let (words, _) = record.as_slice().as_chunks();
        let end = self.appended + record.as_slice().len() as u64;
        if end - self.freed > self.head.ring_bytes {
            self.wait_for_room(end)?;
        }
        for (cell, bytes) in self.head.ring(self.appended).zip(words) {
            cell.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        self.appended = end;
        Ok(())
    }

    /// Lets the writer, and whoever comes after a kill, have what was appended.
    pub(crate) fn publish(&mut self) -> Result<(), Poisoned> {
        if self.head.freed.is_poisoned() {
            return Err(Poisoned { reached: self.freed });
        }
        if self.appended > self.published {
            self.head.memory.published().store(self.appended, Ordering::Release);
            self.head.published.advance(self.appended);
            self.published = self.appended;
        }
        Ok(())
    }

    /// Publishes first, or the writer could free nothing: a batch may be larger than the ring.
    fn wait_for_room(&mut self, end: u64) -> Result<(), Poisoned> {
        self.freed = self.head.freed.get();
        if end - self.freed > self.head.ring_bytes {
            self.publish()?;
            assert!(self.labour == Labour::Threads, "in turns the head is asked for room before anything is appended");
            self.freed = self.head.freed.wait_for(end - self.head.ring_bytes)?;
        }
        Ok(())
    }
}

impl<M: Memory> Drop for HeadAppender<M> {
    /// Tells the writer that nothing more will come.
    fn drop(&mut self) {
        self.head.published.poison();
    }
}

/// What the writer finds in the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum There {
    Records,
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

/// The writer's end: takes records, and frees them once they are durable.
#[derive(Debug)]
pub(crate) struct HeadDrain<M = HeadFile> {
    head: Arc<Head<M>>,
    drained: u64,
    generation: u64,
}

impl<M: Memory> HeadDrain<M> {
    /// For one thread; a second one on the same head would be a bug.
    pub(crate) fn new(head: Arc<Head<M>>) -> Self {
        Self { head, drained: 0, generation: 0 }
    }

    /// Waits until there is something to take; an error once there never will be.
    pub(crate) fn wait(&self) -> Result<(), Poisoned> {
        self.head.published.wait_for(self.drained + 1).map(drop)
    }

    /// Whether there is something to take, now or ever.
    pub(crate) fn look(&self) -> There {
        // Before the records are looked at: behind the end none come.
        let has_ended = self.head.published.is_poisoned();
        match (self.is_empty(), has_ended) {
            (false, _) => There::Records,
            (true, false) => There::Nothing,
            (true, true) => There::End,
        }
    }

    /// Whether everything that is there was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.published.get() == self.drained
    }

    /// Appends to `out` whole records of at most `bytes_max` together.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>, bytes_max: usize) {
        let published = self.head.published.get();
        let available = usize::try_from(published - self.drained).expect("the ring is in memory");
        let take = self.whole_records(available.min(bytes_max));
        let at = out.len();
        out.resize(at + take, 0);
        let (taken, _) = out[at..].as_chunks_mut();
        for (bytes, cell) in taken.iter_mut().zip(self.head.ring(self.drained)) {
            *bytes = cell.load().to_le_bytes();
        }
        self.drained += take as u64;
    }

    /// Everything taken so far is durable: `sequence` in the link `hash`.
    pub(crate) fn mark_durable(&mut self, sequence: Sequence, hash: ChainHash) {
        self.generation += 1;
        let mark = Mark { generation: self.generation, sequence, position: self.drained, hash };
        store(self.head.memory.mark(usize::from(!self.generation.is_multiple_of(2))), &mark.encode());
        self.head.freed.advance(self.drained);
    }

    /// The head.
    pub(crate) fn head(&self) -> &Head<M> {
        &self.head
    }

    /// Bytes of the whole records in the next `bytes_max`.
    fn whole_records(&self, bytes_max: usize) -> usize {
        let mut taken = 0;
        while taken < bytes_max {
            let prefix = self.head.ring(self.drained + taken as u64).next().expect("the ring is not empty");
            let record = record_bytes_from_prefix(&prefix.load().to_le_bytes());
            if taken + record > bytes_max {
                break;
            }
            taken += record;
        }
        taken
    }
}

/// What a stopped process left in its head.
pub(crate) struct HeadImage {
    pub(crate) mark: Mark,
    /// The records behind the mark.
    records: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
}

/// What there is to adopt.
pub(crate) enum Found {
    Nothing,
    /// A head from before the machine's last start: its memory is not to be trusted, and was never promised.
    OtherBoot,
    Head(HeadImage),
}

/// Reads the head at `path`, if there is one.
pub(crate) fn find(path: &Path, journal: JournalId) -> io::Result<Result<Found, HeadFault>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(Found::Nothing)),
        Err(error) => return Err(error),
    };
    let words: Vec<u64> = bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
    Ok(HeadImage::from_words(&words, journal))
}

impl HeadImage {
    fn from_words(words: &[u64], journal: JournalId) -> Result<Found, HeadFault> {
        let (header, ring) = (words.get(..HEADER_WORDS), words.get(RING_WORD..));
        let (Some(header), Some(ring @ [_, ..])) = (header, ring) else { return Err(HeadFault::Header) };
        let ring_bytes = (ring.len() * WORD_BYTES) as u64;
        let expected = header_words(journal, ring_bytes);
        if header[..5] != expected[..5] || header[7] != checksum(&header[..7]) {
            return Err(HeadFault::Header);
        }
        if header[5..7] != expected[5..7] {
            return Ok(Found::OtherBoot);
        }
        let marks = MARK_AT_WORD.map(|at| &words[at..at + MARK_WORDS]);
        Self::from_parts(marks, words[PUBLISHED_WORD], ring).map(Found::Head)
    }

    fn from_parts(marks: [&[u64]; 2], published: u64, ring: &[u64]) -> Result<Self, HeadFault> {
        let whole = marks.into_iter().filter_map(Mark::decode);
        let mark = whole.max_by_key(|mark| mark.generation).ok_or(HeadFault::Mark)?;
        Self::behind_mark(mark, published, ring)
    }

    fn behind_mark(mark: Mark, published: u64, ring: &[u64]) -> Result<Self, HeadFault> {
        let ring_bytes = (ring.len() * WORD_BYTES) as u64;
        let pending = published.checked_sub(mark.position).filter(|&bytes| bytes <= ring_bytes);
        let pending = usize::try_from(pending.ok_or(HeadFault::Records)?).map_err(|_| HeadFault::Records)?;
        let at = usize::try_from(mark.position % ring_bytes).map_err(|_| HeadFault::Records)? / WORD_BYTES;
        let (before, behind) = ring.split_at(at);
        let words = behind.iter().chain(before).take(pending / WORD_BYTES);
        let records: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        let starts = record_starts(&records, mark.sequence)?;
        Ok(Self { mark, records, starts })
    }

    /// The last command that it holds or follows.
    pub(crate) fn last(&self) -> Sequence {
        Sequence(self.mark.sequence.0 + self.starts.len() as u64)
    }

    /// The record of a command behind the mark, its checksum zero; nothing behind the last.
    pub(crate) fn record(&self, sequence: Sequence) -> Option<&[u8]> {
        let index = usize::try_from(sequence.0 - self.mark.sequence.0 - 1).ok()?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(self.records.len());
        Some(&self.records[start..end])
    }
}

/// How far a head says that its journal is durable, read beside the process that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// There is no head.
    NoHead,
    /// It cannot be said at this moment: a mark is being stored, or the file is no head of this journal.
    Nothing,
    /// Up to this command. That stays true, whatever becomes of the process.
    Durable(Sequence),
}

/// Reads the marks of the head at `path`.
pub(crate) fn durable_told(path: &Path, journal: JournalId) -> io::Result<Told> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Told::NoHead),
        Err(error) => return Err(error),
    };
    let mut front = [0; RING_WORD * WORD_BYTES];
    let ring_bytes = file.metadata()?.len().saturating_sub(front.len() as u64);
    if ring_bytes == 0 {
        return Ok(Told::Nothing);
    }
    file.read_exact_at(&mut front, 0)?;
    let words: Vec<u64> = front.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
    if words[..5] != header_words(journal, ring_bytes)[..5] || words[7] != checksum(&words[..7]) {
        return Ok(Told::Nothing);
    }
    let marks = MARK_AT_WORD.iter().filter_map(|&at| Mark::decode(&words[at..at + MARK_WORDS]));
    Ok(marks.map(|mark| mark.sequence).max().map_or(Told::Nothing, Told::Durable))
}

/// Where each record begins, if they are commands that follow one another behind `last`.
fn record_starts(records: &[u8], last: Sequence) -> Result<Vec<usize>, HeadFault> {
    let mut starts = Vec::new();
    let mut at = 0;
    let mut expected = last;
    while at < records.len() {
        expected = expected.next();
        let record = RecordView::frame(&records[at..], 0).map_err(|_| HeadFault::Records)?;
        let decodes = record.entry().is_ok();
        if record.kind() != RecordKind::Command || record.number() != expected.0 || !decodes {
            return Err(HeadFault::Records);
        }
        starts.push(at);
        at += record.len();
    }
    Ok(starts)
}

fn header_words(journal: JournalId, ring_bytes: u64) -> [u64; HEADER_WORDS] {
    let [id_low, id_high] = halves(journal.0);
    let [boot_low, boot_high] = halves(boot_id());
    let magic = u64::from_le_bytes(MAGIC);
    let mut words = [magic, FORMAT_VERSION.into(), id_low, id_high, ring_bytes, boot_low, boot_high, 0];
    words[7] = checksum(&words[..7]);
    words
}

fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
    [number as u64, (number >> 64) as u64]
}

fn checksum(words: &[u64]) -> u64 {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    crc32c(&[&bytes]).into()
}

/// Names this run of the machine; zero where the system does not say.
fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or_default().to_le_bytes()
}

const _: () = assert!(RECORD_PREFIX_BYTES == WORD_BYTES, "a record's length is in its first word");

#[cfg(test)]
mod tests;
