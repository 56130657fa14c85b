//! Following a journal while it grows: the seam on which followers and downstream readers stand.
//!
//! A follower shows what will not be taken back, and nothing else: a batch that is not durable may be gone after a power
//! loss, and another one stand in its place. Who vouches for a batch:
//!
//! ```text
//!   the process that writes        its durable watermark
//!   another process                the durable mark in the head, if there is a head
//!     no head                      what stands behind the batch: the next one is only written when this one is durable
//!     no head, sealed              the seal: the head is removed only when the seal is durable
//! ```
//!
//! Without a head, the last batch of a journal that was not sealed is therefore held back, whole or not, until a venue
//! opens the journal, which makes it durable. So is a batch without commands, which moves no watermark, until a command
//! behind it is durable.
//!
//! A place in the chain is all that a follower keeps of the past, and one mapped segment. So it goes on over new segments,
//! seals, restarts of the venue, and torn tails that are erased: what is erased it never entered.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::Sequence;
use ring::{Bell, Idle, REST, Watermark};

use crate::checkpoint::Link;
use crate::error::{Fault, ReadError};
use crate::head::{self, Told};
use crate::reader::{Found, JOURNAL_FOLDER, Position, Reader};
use crate::record::Entry;
use crate::seek::{Seek, enter_before};
use crate::storage::{DirectoryStorage, Storage};

/// How another process's journal is followed.
#[derive(Debug, Clone)]
pub struct Polling {
    /// Where the head is kept, as its venue was told; nothing: shared memory, where there is.
    pub head_directory: Option<PathBuf>,
    /// How often it is looked at. Default: every 10 ms.
    pub interval: Duration,
}

impl Default for Polling {
    fn default() -> Self {
        Self { head_directory: None, interval: Duration::from_millis(10) }
    }
}

/// Reads a journal and, at its end, waits for more.
///
/// It iterates over [`Entry`]s: each once, in order, and only once it is durable. It ends when it is asked to, behind an
/// error, and, in the process that writes, when the journal is closed or its writer has failed.
pub struct Follower {
    reader: Reader,
    /// What is still looked for; nothing once it was found.
    seek: Option<Seek>,
    durability: Durable,
    /// The last command that is known to be durable.
    durable: Sequence,
    stop: StopFollowing,
    failed: bool,
    /// The next command when it rested last.
    rested: Sequence,
}

/// Asks a follower to end, from any thread.
#[derive(Debug, Clone)]
pub struct StopFollowing {
    asked: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

impl StopFollowing {
    fn new(bell: Arc<Bell>) -> Self {
        Self { asked: Arc::default(), bell }
    }

    /// The follower ends where it is, at once if it waits.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::Release);
        self.bell.ring();
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

/// Who says what is durable.
enum Durable {
    Watermark(Arc<Watermark>),
    Head { path: PathBuf, interval: Duration },
}

/// What there is at the next place.
enum Step {
    Entered,
    /// Nothing that may be shown.
    Wait,
    /// Something has changed on the way; look again.
    Again,
}

impl Follower {
    /// Follows the journal of a data folder that another process may be writing.
    pub fn open(directory: &Path, seek: Seek, polling: &Polling) -> Result<Self, ReadError> {
        let storage = Arc::new(DirectoryStorage::new(directory.join(JOURNAL_FOLDER)));
        let reader =
            enter_before(storage, seek)?.ok_or_else(|| ReadError::NoJournal { directory: directory.to_owned() })?;
        Ok(Self::beside_head(reader, seek, polling))
    }

    /// The same for a reader that stands at the beginning of a segment.
    pub(crate) fn beside_head(reader: Reader, seek: Seek, polling: &Polling) -> Self {
        let heads = polling.head_directory.clone().unwrap_or_else(head::default_directory);
        let path = head::head_path(&heads, reader.identity().journal);
        let durability = Durable::Head { path, interval: polling.interval };
        Self::new(reader, seek, durability, Arc::default())
    }

    /// Follows a journal of this process, whose writer moves `durable`.
    pub(crate) fn of_writer(storage: Arc<dyn Storage>, seek: Seek, durable: Arc<Watermark>) -> Result<Self, ReadError> {
        let reader = enter_before(storage, seek)?.expect("an open journal has a segment");
        let bell = durable.bell().clone();
        Ok(Self::new(reader, seek, Durable::Watermark(durable), bell))
    }

    fn new(reader: Reader, seek: Seek, durability: Durable, bell: Arc<Bell>) -> Self {
        let stop = StopFollowing::new(bell);
        Self {
            reader,
            seek: Some(seek),
            durability,
            durable: Sequence::NONE,
            stop,
            failed: false,
            rested: Sequence::NONE,
        }
    }

    /// What asks this follower to end.
    pub fn stop_handle(&self) -> StopFollowing {
        self.stop.clone()
    }

    /// Where the entry given out last was.
    pub fn position(&self) -> Position {
        self.reader.position()
    }

    /// The batch in which the entry given out last was.
    pub fn link(&self) -> Link {
        self.reader.link()
    }

    /// Moves to the next durable batch, without waiting; false if there is none.
    pub(crate) fn next_batch(&mut self) -> Result<bool, ReadError> {
        loop {
            match self.step()? {
                Step::Entered => return Ok(true),
                Step::Again => {}
                Step::Wait => return Ok(false),
            }
        }
    }

    /// What it reads with.
    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whether it was asked to end.
    pub(crate) fn is_asked_to_end(&self) -> bool {
        self.stop.is_asked()
    }

    /// Whether it was asked to end, or nothing more becomes durable.
    pub(crate) fn is_ending(&self) -> bool {
        self.stop.is_asked()
            || match &self.durability {
                Durable::Watermark(durable) => durable.is_poisoned(),
                Durable::Head { .. } => false,
            }
    }

    /// The next entry if there is one now, without waiting.
    pub fn try_next(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            while let Some(entry) = self.reader.next_in_batch()? {
                if self.is_wanted(&entry) {
                    return Ok(Some(entry));
                }
            }
            match self.step()? {
                Step::Entered | Step::Again => {}
                Step::Wait => return Ok(None),
            }
        }
    }

    fn is_wanted(&mut self, entry: &Entry) -> bool {
        match (self.seek, entry) {
            (Some(seek), Entry::Command(command)) if seek.is_reached(command) => self.seek = None,
            (Some(_), _) | (None, _) => {}
        }
        self.seek.is_none()
    }

    /// Moves to the next batch, if it may be shown.
    fn step(&mut self) -> Result<Step, ReadError> {
        // Before the journal is looked at: what is known to be durable has to be there then.
        let has_head = self.learn()?;
        if has_head && self.durable < self.reader.next_sequence() {
            return Ok(Step::Wait);
        }
        match self.reader.look_ahead() {
            Ok(found) if self.is_durable(&found) || !has_head && self.is_vouched_for(&found)? => {
                self.reader.enter_ahead(found);
                Ok(Step::Entered)
            }
            Ok(_) => Ok(Step::Wait),
            Err(fault) => self.beyond(fault),
        }
    }

    /// Learns how far the journal is durable; whether there is anybody to say.
    fn learn(&mut self) -> Result<bool, ReadError> {
        let told = match &self.durability {
            Durable::Watermark(durable) => Told::Durable(Sequence(durable.get())),
            Durable::Head { path, .. } => head::durable_told(path, self.reader.identity().journal)
                .map_err(|source| ReadError::Io { file: path.clone(), source })?,
        };
        if let Told::Durable(sequence) = told {
            self.durable = self.durable.max(sequence);
        }
        Ok(told != Told::NoHead)
    }

    /// Whether a command in the batch, or behind one that has none, is durable.
    fn is_durable(&self, Found { header, .. }: &Found) -> bool {
        self.durable.next() >= header.next_sequence() && self.durable >= header.first
    }

    /// Whether something stands behind the batch that is only written when the batch is durable.
    fn is_vouched_for(&self, found: &Found) -> Result<bool, ReadError> {
        let is_linked = self.reader.header_at(found.whole.end).is_some_and(|next| next.previous == found.hash);
        if is_linked || self.reader.ends_with_seal(found) {
            return Ok(true);
        }
        Ok(matches!(self.reader.next_segment_header()?, Some(Ok(next)) if next.previous == found.hash))
    }

    /// No batch stands here. It is in the next segment, or is still to be written, or is lost.
    fn beyond(&mut self, fault: Fault) -> Result<Step, ReadError> {
        let lacks_something = self.durable >= self.reader.next_sequence();
        match self.reader.next_segment_header()? {
            // A segment without a whole header holds nothing durable; it is set aside when the journal is opened.
            None | Some(Err(_)) if !lacks_something => return Ok(Step::Wait),
            Some(_) => {
                self.reader.leave_if_ended()?;
                return Ok(Step::Again);
            }
            None => {}
        }
        // Storage that does not map its files shows what was written behind the last look only now.
        self.reader.refresh()?;
        match self.reader.look_ahead() {
            Ok(_) => Ok(Step::Again),
            Err(Fault::BatchMagic) => Err(self.reader.damaged_here(Fault::Lost { durable: self.durable })),
            Err(_) => Err(self.reader.damaged_here(fault)),
        }
    }

    /// Waits until there may be more; false if the follower has to end.
    pub(crate) fn wait(&mut self) -> bool {
        let next = self.reader.next_sequence();
        match &self.durability {
            Durable::Watermark(_) if self.rested != next => {
                // The writer has to wake nobody who rests.
                self.rested = next;
                std::thread::sleep(REST);
                !self.stop.is_asked()
            }
            Durable::Watermark(durable) => {
                durable.wait_unless(next.0, || self.stop.is_asked()).is_some_and(|outcome| outcome.is_ok())
            }
            Durable::Head { interval, .. } => {
                let asked = || self.stop.is_asked().then_some(());
                self.stop.bell.wait_at_most(Idle::Park, *interval, asked).is_none()
            }
        }
    }

    /// Waits for a time; false if the follower has to end.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        self.stop.bell.wait_at_most(Idle::Park, time, || self.is_ending().then_some(())).is_none()
    }

    fn next_or_wait(&mut self) -> Result<Option<Entry>, ReadError> {
        while !self.stop.is_asked() {
            if let Some(entry) = self.try_next()? {
                return Ok(Some(entry));
            }
            if !self.wait() {
                break;
            }
        }
        Ok(None)
    }
}

impl Iterator for Follower {
    type Item = Result<Entry, ReadError>;

    /// The next entry; waits for it.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let entry = self.next_or_wait();
        self.failed = entry.is_err();
        entry.transpose()
    }
}
