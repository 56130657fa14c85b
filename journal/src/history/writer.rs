//! Writing a history: events in, pages out, a block at a time.
//!
//! ```text
//!   event ──► page in progress ──► full, or its block ends ──► packed, at the end of the file
//!                                                 block end ──► its digest behind it;  file large enough ──► its index
//! ```
//!
//! Where pages, blocks and files end depends on the events alone, and so do all bytes. Pages of a block in progress may
//! be on the disk before its end is; a start cuts them off and takes their events again.

use std::path::Path;
use std::sync::Arc;

use engine::{Event, EventHeader, EventSink, Nanoseconds, Sequence, Stamp};

use super::error::HistoryError;
use super::file::{ListedFile, ListedPage};
use super::layout::{BlockEnd, FileHeader};
use super::page::{Filled, Filling};
use super::read::History;
use super::recover::{self, Recorded, Recovered};
use super::state::{CompleteFile, Shared, State};
use super::{HistoryOptions, HistoryReport, Retention};
use crate::digest::{Block, BlockDigest, Digest, EventDigest};
use crate::layout::BLOCK_COMMANDS;
use crate::segment::JournalId;

use super::disk::{Disk, Task};

/// Writes the history of one data folder: the only one who does.
///
/// It is an [`EventSink`]; what fails on the way is told by the next [`applied`](Self::applied). It keeps what could not
/// be written, and tries again then: who is told of a failure waits before it hands over more.
pub struct HistoryWriter {
    journal: JournalId,
    options: HistoryOptions,
    report: HistoryReport,
    shared: Arc<Shared>,
    disk: Disk,
    /// What stands in the files: the last block end at the start. Events up to there are passed over.
    kept: Sequence,
    /// The event digests of the blocks in one of the files.
    recorded: Recorded,
    digest: EventDigest,
    completed: Vec<BlockDigest>,
    /// How many of them were there when what was applied was told last.
    told: usize,
    block: Block,
    filling: Filling,
    /// Bytes of it that readers see.
    shown: usize,
    /// Events in the pages of the block in progress.
    block_events: u64,
    last_event: EventHeader,
    failure: Option<HistoryError>,
}

impl HistoryWriter {
    /// Opens or makes the history in the data folder `directory`, whose journal is `journal`.
    ///
    /// Everything from the first thing on that is not good is removed, and [`report`](Self::report) says what it was.
    /// Events are taken from the first command on, unless [`begin`](Self::begin) says otherwise.
    ///
    /// # Errors
    ///
    /// A history of another journal or version of the format, which is not touched; what the system does not allow.
    pub fn open(directory: &Path, journal: JournalId, options: &HistoryOptions) -> Result<Self, HistoryError> {
        let Recovered { disk, state, report } = recover::recover(directory, journal, options)?;
        let mut writer = Self {
            journal,
            options: options.clone(),
            report,
            kept: state.last,
            shared: Arc::new(Shared::new(state)),
            disk,
            recorded: Recorded::default(),
            digest: EventDigest::new(),
            completed: Vec::new(),
            told: 0,
            block: Block(0),
            filling: Filling::default(),
            shown: 0,
            block_events: 0,
            last_event: NO_EVENT,
            failure: None,
        };
        writer.remove_old()?;
        // Indexes that have to be made again. Whether that can be done now is told by the first events.
        writer.write();
        Ok(writer)
    }

    /// What was found at the start that was not good, and what was done with it.
    pub fn report(&self) -> &HistoryReport {
        &self.report
    }

    /// The last command whose block was whole on the disk at the start; none if there was none. A replay may begin
    /// behind any block end up to there.
    pub fn last(&self) -> Sequence {
        self.kept
    }

    /// Events will come from behind `behind` on: a block end, where the digest of `event_count` events is `digest`, and not behind
    /// [`last`](Self::last). Those up to there are passed over; at the ends of their blocks digests are compared.
    ///
    /// # Errors
    ///
    /// The history holds another digest there; what kept it from being read.
    ///
    /// # Panics
    ///
    /// If no block ends there, it is behind what is kept, or events were taken before.
    pub fn begin(&mut self, behind: Sequence, event_count: u64, digest: Digest) -> Result<(), HistoryError> {
        assert!(behind <= self.kept && behind.0.is_multiple_of(BLOCK_COMMANDS), "a block end that is kept");
        assert!(self.last_event == NO_EVENT, "a beginning");
        self.digest = EventDigest::behind(behind, event_count, digest);
        self.block = Block::of(behind.next());
        if behind.is_none() { Ok(()) } else { self.compare(BlockDigest { block: Block::of(behind), digest }) }
    }

    /// All commands up to `last` were applied, and all of their events taken: readers see them now.
    ///
    /// # Errors
    ///
    /// What could not be written, or differs from what was written before. All is kept, and tried again by the next call.
    pub fn applied(&mut self, last: Stamp) -> Result<(), HistoryError> {
        self.completed.drain(..std::mem::take(&mut self.told));
        self.end_blocks_before(last.sequence.next());
        self.told = self.completed.len();
        self.write();
        self.show(last.sequence);
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Makes everything durable that was written: what a snapshot stands on.
    ///
    /// # Errors
    ///
    /// What could not be written or synced. After a failed sync nothing is written any more.
    pub fn sync(&mut self) -> Result<(), HistoryError> {
        self.write();
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let growing = self.shared.read().growing.as_ref().map(|file| file.header.number);
        self.disk.sync(growing)
    }

    /// The event digests of the blocks that ended by the last [`applied`](Self::applied), and not by the one before; those
    /// that were passed over too.
    pub fn completed(&self) -> impl Iterator<Item = BlockDigest> + '_ {
        self.completed.iter().copied()
    }

    /// The digest of all events, as of the last block end.
    pub fn event_digest(&self) -> &EventDigest {
        &self.digest
    }

    /// Shows the history as it grows, to any thread.
    pub fn reader(&self) -> History {
        History::new(self.shared.clone())
    }

    fn passes_over(&self) -> bool {
        self.block.last() <= self.kept
    }

    fn end_blocks_before(&mut self, sequence: Sequence) {
        while self.block.last() < sequence {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if !self.filling.is_empty() {
            self.end_page();
        }
        self.digest.applied(self.block.last());
        let digest = self.digest.completed().next().expect("a block has ended");
        self.completed.push(digest);
        if self.passes_over() {
            let compared = self.compare(digest);
            self.fail_if(compared);
        } else {
            self.append_block_end(BlockEnd { digest, event_count: self.block_events });
        }
        self.block_events = 0;
        self.block = Block(self.block.0 + 1);
    }

    /// Compares a block's digest with the one that stands in the files, if it does.
    fn compare(&mut self, BlockDigest { block, digest: computed }: BlockDigest) -> Result<(), HistoryError> {
        if !self.recorded.covers(block) {
            self.recorded = Recorded::read(&self.shared.read(), block)?;
        }
        match self.recorded.of(block) {
            Some(recorded) if recorded != computed => {
                Err(HistoryError::Differs { directory: self.disk.directory().to_owned(), block, recorded, computed })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn end_page(&mut self) {
        self.digest.encoded(&self.filling.events);
        self.block_events += u64::from(self.filling.count());
        if !self.passes_over() {
            self.append_page();
        }
        self.filling.clear();
        self.shown = 0;
    }

    fn append_page(&mut self) {
        self.begin_file();
        let number = self.growing(|file| file.page_number());
        let Filled { header, bytes, keys } = self.filling.fill(number);
        let bytes: Arc<[u8]> = bytes.into();
        let offset = self.append(bytes.clone());
        let unwritten = (!self.disk.is_done()).then_some(bytes);
        let mut state = self.shared.write();
        state.filling.clear();
        let file = state.growing.as_mut().expect("a file was begun");
        file.pages.push(Arc::new(ListedPage { header, offset, keys, unwritten }));
    }

    fn append_block_end(&mut self, end: BlockEnd) {
        self.begin_file();
        let mut bytes = Vec::new();
        end.encode(&mut bytes);
        self.append(bytes.into());
        let is_complete = self.growing(|file| {
            file.last = end.digest.block.last();
            file.digest = end.digest.digest;
            is_complete(file, &self.options)
        });
        if is_complete {
            self.complete_file();
        }
    }

    fn growing<T>(&self, change: impl FnOnce(&mut ListedFile) -> T) -> T {
        change(self.shared.write().growing.as_mut().expect("a file was begun"))
    }

    /// Begins the next file if there is none to go on with.
    fn begin_file(&mut self) {
        let header = {
            let state = self.shared.read();
            if state.growing.is_some() {
                return;
            }
            self.next_file(&state)
        };
        let file = ListedFile::new(self.disk.events_path(header.number), header);
        self.disk.put(Task::Append { number: header.number, offset: 0, bytes: header.encode().into() });
        self.shared.write().growing = Some(file);
    }

    fn next_file(&self, state: &State) -> FileHeader {
        state.complete.last().map_or_else(|| FileHeader::first(self.journal), CompleteFile::next)
    }

    /// Puts bytes at the end of the file that grows; where that was.
    fn append(&mut self, bytes: Arc<[u8]>) -> u64 {
        let length = bytes.len() as u64;
        let (number, offset) = self.growing(|file| {
            let offset = file.end;
            file.end += length;
            (file.header.number, offset)
        });
        self.disk.put(Task::Append { number, offset, bytes });
        if self.failure.is_none() {
            self.write();
        }
        offset
    }

    fn complete_file(&mut self) {
        let file = {
            let mut state = self.shared.write();
            let file = Arc::new(state.growing.take().expect("a file that ends"));
            state.complete.push(CompleteFile::Listed(file.clone()));
            file
        };
        self.disk.put(Task::Index(file));
        if self.failure.is_none() {
            self.write();
        }
    }

    /// Writes what waits, up to the first failure.
    fn write(&mut self) {
        let waited = !self.disk.is_done();
        let outcome = self.try_write();
        if outcome.is_ok() && waited {
            self.forget_unwritten();
        }
        self.fail_if(outcome);
    }

    fn try_write(&mut self) -> Result<(), HistoryError> {
        while let Some((file, index)) = self.disk.next()? {
            let indexed = CompleteFile::Indexed { path: file.path.clone(), index: Arc::new(index) };
            for complete in &mut self.shared.write().complete {
                if matches!(complete, CompleteFile::Listed(listed) if Arc::ptr_eq(listed, &file)) {
                    *complete = indexed.clone();
                }
            }
            self.remove_old()?;
        }
        Ok(())
    }

    /// Pages that were kept in memory are on the disk now.
    fn forget_unwritten(&self) {
        let mut state = self.shared.write();
        let pages = state.growing.iter_mut().flat_map(|file| &mut file.pages);
        for page in pages.rev().take_while(|page| page.unwritten.is_some()) {
            let ListedPage { header, offset, ref keys, .. } = **page;
            *page = Arc::new(ListedPage { header, offset, keys: keys.clone(), unwritten: None });
        }
    }

    /// Removes whole files from the front, as far as the options say.
    fn remove_old(&mut self) -> Result<(), HistoryError> {
        loop {
            let number = {
                let mut state = self.shared.write();
                if !has_too_much(&state, self.options.retention) {
                    return Ok(());
                }
                match state.complete.remove(0) {
                    CompleteFile::Indexed { index, .. } => index.header.events.number,
                    CompleteFile::Listed(file) => file.header.number,
                }
            };
            let (events, index) = (self.disk.events_path(number), self.disk.index_path(number));
            self.disk.remove(&index)?;
            self.disk.remove(&events)?;
        }
    }

    /// Lets readers see everything up to `last`.
    fn show(&mut self, last: Sequence) {
        let mut state = self.shared.write();
        if !self.passes_over() {
            state.filling.extend_from_slice(&self.filling.events.as_slice()[self.shown..]);
            self.shown = self.filling.events.as_slice().len();
        }
        state.last = state.last.max(last);
    }

    fn fail_if(&mut self, outcome: Result<(), HistoryError>) {
        if let Err(error) = outcome {
            self.failure.get_or_insert(error);
        }
    }
}

impl EventSink for HistoryWriter {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        assert!(header.id > self.last_event.id || self.last_event == NO_EVENT, "events come in order");
        self.end_blocks_before(header.id.sequence);
        self.filling.event(header, event);
        self.last_event = *header;
        if self.filling.is_full() {
            self.end_page();
        }
    }
}

impl std::fmt::Debug for HistoryWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryWriter").field("last", &self.shared.read().last).finish_non_exhaustive()
    }
}

/// Before any event.
const NO_EVENT: EventHeader = EventHeader {
    id: engine::EventId { sequence: Sequence::NONE, index: 0 },
    time: engine::Timestamp::NONE,
    received_at: engine::Timestamp::NONE,
};

/// Whether a file ends at the block end that it has reached.
pub(super) fn is_complete(file: &ListedFile, options: &HistoryOptions) -> bool {
    file.sequence_count() >= options.file_sequences || file.end >= options.file_bytes
}

/// Whether the first file is to be removed. The one that is written last never is.
fn has_too_much(state: &State, retention: Retention) -> bool {
    // One without an index is still being written.
    let Some(oldest @ CompleteFile::Indexed { .. }) = state.complete.first() else { return false };
    if state.complete.len() + usize::from(state.growing.is_some()) < 2 {
        return false;
    }
    match retention {
        Retention::Everything => false,
        Retention::Bytes(bytes) => {
            let growing = state.growing.as_ref().map_or(0, |file| file.end);
            state.complete.iter().map(CompleteFile::length).sum::<u64>() + growing > bytes
        }
        Retention::Age(Nanoseconds(age)) => {
            let newest = state.complete.iter().rev().find_map(CompleteFile::times);
            let (newest, oldest) = (newest.map_or(0, |(_, last)| last.0), oldest.times().map_or(0, |(_, last)| last.0));
            oldest < newest.saturating_sub(age)
        }
    }
}
