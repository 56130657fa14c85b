//! What an earlier process left of a history: everything up to the first thing that is not good is kept.
//!
//! A file is good if it is whole and follows the one before, in number, sequence and event digest. It is complete if the
//! next one follows it, if a whole index says so, or if it is large enough; the last one may be neither, and grows on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use engine::Sequence;

use super::disk::{Disk, Task};
use super::error::HistoryError;
use super::file::{Depth, EventsFile, ListedFile, Walked, io_error, walk};
use super::index::Index;
use super::layout::{FileHeader, FileNumber, NEW_SUFFIX};
use super::state::{CompleteFile, State};
use super::writer::is_complete;
use super::{CutHistory, HISTORY_FOLDER, HistoryOptions, HistoryReport, RemovedFile, Retention, Verification};
use crate::digest::{Block, Digest};
use crate::segment::JournalId;

pub(super) struct Recovered {
    pub(super) disk: Disk,
    pub(super) state: State,
    pub(super) report: HistoryReport,
}

/// Reads the folder, removes what is not good, and lists the rest.
pub(super) fn recover(
    directory: &Path,
    journal: JournalId,
    options: &HistoryOptions,
) -> Result<Recovered, HistoryError> {
    let folder = directory.join(HISTORY_FOLDER);
    fs::create_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
    let names = Names::read(&folder)?;
    let disk = Disk::new(folder, options.reserve_bytes);
    let mut recovery = Recovery { journal, options, disk, state: State::default(), report: HistoryReport::default() };
    recovery.run(&names)?;
    let Recovery { disk, mut state, report, .. } = recovery;
    state.last = state.growing.as_ref().map_or_else(|| last_of(&state.complete), |file| file.last);
    Ok(Recovered { disk, state, report })
}

fn last_of(complete: &[CompleteFile]) -> Sequence {
    complete.last().map_or(Sequence::NONE, |file| file.sequences().1)
}

/// The files of a history's folder; others are none of its business.
#[derive(Default)]
pub(super) struct Names {
    pub(super) events: BTreeSet<FileNumber>,
    indexes: BTreeSet<FileNumber>,
    unfinished: Vec<String>,
}

impl Names {
    pub(super) fn read(folder: &Path) -> Result<Self, HistoryError> {
        let mut names = Self::default();
        for entry in fs::read_dir(folder).map_err(|source| io_error(folder, source))? {
            let entry = entry.map_err(|source| io_error(folder, source))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if let Some(number) = FileNumber::of_events(&name) {
                names.events.insert(number);
            } else if let Some(number) = FileNumber::of_index(&name) {
                names.indexes.insert(number);
            } else if name.strip_suffix(NEW_SUFFIX).and_then(FileNumber::of_index).is_some() {
                names.unfinished.push(name.into_owned());
            }
        }
        Ok(names)
    }
}

struct Recovery<'a> {
    journal: JournalId,
    options: &'a HistoryOptions,
    disk: Disk,
    state: State,
    report: HistoryReport,
}

impl Recovery<'_> {
    fn run(&mut self, names: &Names) -> Result<(), HistoryError> {
        for name in &names.unfinished {
            let path = self.disk.directory().join(name);
            self.disk.remove(&path)?;
        }
        for &number in names.indexes.difference(&names.events) {
            self.remove_index(number, "there are no events of it")?;
        }
        let mut numbers: Vec<FileNumber> = names.events.iter().copied().collect();
        let mut expected = self.begin(&numbers);
        numbers.reverse();
        while let Some(number) = numbers.pop() {
            match self.take(number, expected)? {
                Taken::Complete(next) => expected = Some(next),
                Taken::Growing => {
                    let reason = "the file before it is not complete";
                    return numbers.into_iter().rev().try_for_each(|number| self.remove(number, reason));
                }
                Taken::Removed(reason) => {
                    self.remove(number, &reason)?;
                    let reason = "a file before it is missing or was removed";
                    return numbers.into_iter().rev().try_for_each(|number| self.remove(number, reason));
                }
            }
        }
        Ok(())
    }

    /// What the first file has to begin with; nothing if the ones before it may have been removed on purpose.
    fn begin(&self, numbers: &[FileNumber]) -> Option<FileHeader> {
        let is_kept_in_part = self.options.retention != Retention::Everything;
        let begins = !is_kept_in_part || numbers.first() == Some(&FileNumber::FIRST);
        begins.then_some(FileHeader::first(self.journal))
    }

    fn take(&mut self, number: FileNumber, expected: Option<FileHeader>) -> Result<Taken, HistoryError> {
        let path = self.disk.events_path(number);
        let file = EventsFile::open(&path)?;
        let header = match file.header() {
            Ok(header) => header,
            Err(error @ HistoryError::Damaged { .. }) => return Ok(Taken::Removed(error.to_string())),
            Err(error) => return Err(error),
        };
        if header.journal != self.journal {
            return Err(HistoryError::Foreign { file: path, found: header.journal, expected: self.journal });
        }
        if header.number != number || expected.is_some_and(|expected| expected != header) {
            return Ok(Taken::Removed("it does not follow the file before it".to_owned()));
        }
        let index = self.index(number, &header);
        if let Some(index) =
            index.as_ref().filter(|index| file.length().is_ok_and(|length| length == index.header.length))
            && self.options.verification == Verification::Newest
        {
            return Ok(self.complete_indexed(number, index.clone()));
        }
        let Walked { file: listed, fault, .. } = walk(&path, Depth::Everything)?;
        let is_indexed = index.as_ref().is_some_and(|index| is_of(index, &listed));
        let next = listed.next();
        let is_complete = is_indexed || is_complete(&listed, self.options) || self.is_followed(&next)?;
        self.cut(&listed, file.length()?, fault, is_complete)?;
        if !is_complete {
            self.remove_index_of_growing(number)?;
            self.state.growing = Some(listed);
            return Ok(Taken::Growing);
        }
        match index {
            Some(index) if is_indexed => return Ok(self.complete_indexed(number, index)),
            _ => self.complete_listed(listed),
        }
        Ok(Taken::Complete(next))
    }

    /// A file's index, if it is whole and begins like its events.
    fn index(&self, number: FileNumber, header: &FileHeader) -> Option<Arc<Index>> {
        let index = Index::open(&self.disk.index_path(number)).ok()?.ok()?;
        let is_good = index.header.events == *header && index.check().is_ok();
        is_good.then(|| Arc::new(index))
    }

    /// Whether the next file begins where another ends.
    fn is_followed(&self, next: &FileHeader) -> Result<bool, HistoryError> {
        let path = self.disk.events_path(next.number);
        match EventsFile::open(&path).and_then(|file| file.header()) {
            Ok(header) => Ok(header == *next),
            Err(HistoryError::Io { source, .. }) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(io_error(&path, source))
            }
            Err(_) => Ok(false),
        }
    }

    fn complete_indexed(&mut self, number: FileNumber, index: Arc<Index>) -> Taken {
        let file = CompleteFile::Indexed { path: self.disk.events_path(number), index };
        let next = file.next();
        self.state.complete.push(file);
        Taken::Complete(next)
    }

    fn complete_listed(&mut self, file: ListedFile) {
        let file = Arc::new(file);
        self.report.indexed.push(self.disk.index_path(file.header.number));
        self.disk.put(Task::Index(file.clone()));
        self.state.complete.push(CompleteFile::Listed(file));
    }

    fn cut(
        &mut self,
        listed: &ListedFile,
        length: u64,
        fault: Option<HistoryError>,
        is_complete: bool,
    ) -> Result<(), HistoryError> {
        if length <= listed.end {
            return Ok(());
        }
        self.disk.cut(&listed.path, listed.end)?;
        let reason = match fault {
            Some(fault) => fault.to_string(),
            None if is_complete => "nothing follows in this file".to_owned(),
            None => "its block was not complete".to_owned(),
        };
        let (file, offset, bytes) = (listed.path.clone(), listed.end, length - listed.end);
        self.report.cut.push(CutHistory { file, offset, bytes, reason });
        Ok(())
    }

    fn remove_index_of_growing(&mut self, number: FileNumber) -> Result<(), HistoryError> {
        if self.disk.index_path(number).exists() {
            self.remove_index(number, "its events are not complete")?;
        }
        Ok(())
    }

    fn remove_index(&mut self, number: FileNumber, reason: &str) -> Result<(), HistoryError> {
        let file = self.disk.index_path(number);
        self.disk.remove(&file)?;
        self.report.removed.push(RemovedFile { file, reason: reason.to_owned() });
        Ok(())
    }

    fn remove(&mut self, number: FileNumber, reason: &str) -> Result<(), HistoryError> {
        let (index, file) = (self.disk.index_path(number), self.disk.events_path(number));
        self.disk.remove(&index)?;
        self.disk.remove(&file)?;
        self.report.removed.push(RemovedFile { file, reason: reason.to_owned() });
        Ok(())
    }
}

enum Taken {
    Complete(FileHeader),
    Growing,
    Removed(String),
}

/// Whether an index is of these events.
fn is_of(index: &Index, file: &ListedFile) -> bool {
    let said = &index.header;
    said.events == file.header
        && (said.last, said.digest, said.length) == (file.last, file.digest, file.end)
        && said.page_count == file.page_number()
}

/// The event digests that stand in one file.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    first: Option<Block>,
    digests: Vec<Digest>,
}

impl Recorded {
    /// Those of the file that holds a block; none if no file does.
    pub(super) fn read(state: &State, block: Block) -> Result<Self, HistoryError> {
        let holds = |(first, last): (Sequence, Sequence)| first <= block.last() && block.last() <= last;
        let complete = state.complete.iter().find(|file| holds(file.sequences())).map(|file| match file {
            CompleteFile::Indexed { path, .. } => path,
            CompleteFile::Listed(file) => &file.path,
        });
        let growing =
            state.growing.as_ref().filter(|file| holds((file.header.first, file.last))).map(|file| &file.path);
        let Some(path) = complete.or(growing) else { return Ok(Self::default()) };
        let Walked { file, digests, .. } = walk(path, Depth::Headers)?;
        Ok(Self { first: Some(Block::of(file.header.first)), digests })
    }

    pub(super) fn covers(&self, block: Block) -> bool {
        self.of(block).is_some()
    }

    pub(super) fn of(&self, block: Block) -> Option<Digest> {
        let index = block.0.checked_sub(self.first?.0)?;
        self.digests.get(usize::try_from(index).ok()?).copied()
    }
}
