//! What a history does to its folder: bytes go to the ends of files in order, and indexes follow complete files.
//!
//! What cannot be written waits, and is written again when there is room: a file is opened anew and goes on where it was
//! known to end. A failed sync is another matter: the system may have dropped what it could not write, so nothing is done
//! any more until the folder is read again.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::HistoryError;
use super::file::{ListedFile, io_error};
use super::index::{self, Index};
use super::layout::{FileNumber, NEW_SUFFIX};

/// Events are synced in steps of so many bytes: the journal may be on the same disk, and waits behind each.
const SYNC_STEP_BYTES: u64 = 2 << 20;

/// The folder, as it is written.
pub(super) struct Disk {
    directory: PathBuf,
    reserve_bytes: u64,
    /// The file that was written last.
    open: Option<(FileNumber, File)>,
    waiting: VecDeque<Task>,
    /// Names were made or removed since the last sync.
    names_changed: bool,
    poisoned: bool,
}

/// Something to write.
pub(super) enum Task {
    /// At the end of a file of events, which is at `offset`.
    Append { number: FileNumber, offset: u64, bytes: Arc<[u8]> },
    /// The index of a complete file.
    Index(Arc<ListedFile>),
}

impl Disk {
    pub(super) fn new(directory: PathBuf, reserve_bytes: u64) -> Self {
        Self { directory, reserve_bytes, open: None, waiting: VecDeque::new(), names_changed: true, poisoned: false }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn events_path(&self, number: FileNumber) -> PathBuf {
        self.directory.join(number.events_name())
    }

    pub(super) fn index_path(&self, number: FileNumber) -> PathBuf {
        self.directory.join(number.index_name())
    }

    /// Whether everything was written.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn put(&mut self, task: Task) {
        self.waiting.push_back(task);
    }

    /// Does what waits, in order, up to the first failure. The new index, if one was made.
    pub(super) fn next(&mut self) -> Result<Option<(Arc<ListedFile>, Index)>, HistoryError> {
        if self.poisoned {
            return Err(self.is_poisoned());
        }
        while let Some(task) = self.waiting.pop_front() {
            let made = match &task {
                Task::Append { number, offset, bytes } => self.append(*number, *offset, bytes).map(|()| None),
                Task::Index(file) => self.make_index(file).map(|index| Some((file.clone(), index))),
            };
            match made {
                Ok(None) => {}
                Ok(made) => return Ok(made),
                Err(error) => {
                    self.waiting.push_front(task);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Makes everything durable that was written; complete files are so already.
    pub(super) fn sync(&mut self, growing: Option<FileNumber>) -> Result<(), HistoryError> {
        if self.poisoned {
            return Err(self.is_poisoned());
        }
        if let Some(number) = growing {
            self.sync_events(number)?;
        }
        if self.names_changed {
            let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
            self.unless_lost(synced, &self.directory.clone())?;
            self.names_changed = false;
        }
        Ok(())
    }

    /// Removes a file; it may be gone already.
    pub(super) fn remove(&mut self, path: &Path) -> Result<(), HistoryError> {
        self.names_changed = true;
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error(path, source)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Cuts a file of events behind its last good byte.
    pub(super) fn cut(&mut self, path: &Path, length: u64) -> Result<(), HistoryError> {
        let file = OpenOptions::new().write(true).open(path).map_err(|source| io_error(path, source))?;
        file.set_len(length).map_err(|source| io_error(path, source))
    }

    fn append(&mut self, number: FileNumber, offset: u64, bytes: &[u8]) -> Result<(), HistoryError> {
        self.check_room(bytes.len() as u64)?;
        let path = self.events_path(number);
        let file = match self.open.take() {
            Some((open, file)) if open == number => file,
            _ => {
                self.names_changed |= offset == 0;
                let begin = offset == 0;
                let opened = OpenOptions::new().write(true).create(begin).truncate(begin).open(&path);
                opened.map_err(|source| io_error(&path, source))?
            }
        };
        file.write_all_at(bytes, offset).map_err(|source| io_error(&path, source))?;
        self.open = Some((number, file));
        let steps = |bytes: u64| bytes / SYNC_STEP_BYTES;
        if steps(offset) < steps(offset + bytes.len() as u64) { self.sync_events(number) } else { Ok(()) }
    }

    fn make_index(&mut self, file: &ListedFile) -> Result<Index, HistoryError> {
        let number = file.header.number;
        // The index says that its events are whole.
        self.sync_events(number)?;
        let path = self.index_path(number);
        let new = self.directory.join(format!("{}{NEW_SUFFIX}", number.index_name()));
        let bytes = index::build(file);
        self.check_room(bytes.len() as u64)?;
        let written = File::create(&new).and_then(|mut made| io::Write::write_all(&mut made, &bytes).map(|()| made));
        let made = written.map_err(|source| io_error(&new, source))?;
        let synced = made.sync_all();
        self.unless_lost(synced, &new)?;
        self.names_changed = true;
        fs::rename(&new, &path).map_err(|source| io_error(&path, source))?;
        let opened = Index::open(&path).map_err(|source| io_error(&path, source))?;
        opened.map_err(|fault| HistoryError::Damaged { file: path, offset: 0, fault })
    }

    fn sync_events(&mut self, number: FileNumber) -> Result<(), HistoryError> {
        let path = self.events_path(number);
        let file = match &self.open {
            Some((open, file)) if *open == number => file.sync_data(),
            _ => OpenOptions::new().write(true).open(&path).and_then(|file| file.sync_data()),
        };
        self.unless_lost(file, &path)
    }

    /// Journal and history share a disk, and the journal comes first.
    fn check_room(&self, bytes: u64) -> Result<(), HistoryError> {
        let found = match rustix::fs::statvfs(&self.directory) {
            // Some file systems count no blocks.
            Ok(found) if found.f_blocks > 0 => found,
            Ok(_) | Err(_) => return Ok(()),
        };
        let free_bytes = found.f_bavail.saturating_mul(found.f_frsize);
        if free_bytes.saturating_sub(bytes) >= self.reserve_bytes {
            return Ok(());
        }
        let (directory, reserve_bytes) = (self.directory.clone(), self.reserve_bytes);
        Err(HistoryError::NoRoom { directory, free_bytes, reserve_bytes })
    }

    fn unless_lost(&mut self, synced: io::Result<()>, path: &Path) -> Result<(), HistoryError> {
        synced.map_err(|source| {
            self.poisoned = true;
            io_error(path, source)
        })
    }

    fn is_poisoned(&self) -> HistoryError {
        HistoryError::Poisoned { directory: self.directory.clone() }
    }
}
