//! A real folder whose syncs wait, or fail, when they are told to, and which has room for so many files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use journal::storage::Bytes;
use journal::{DirectoryStorage, Storage, StorageFile};

/// A folder of the operating system behind a [`Gate`].
#[derive(Debug)]
pub struct GatedFolder {
    folder: DirectoryStorage,
    gate: Gate,
    /// Files that can still be made.
    room: AtomicU64,
}

impl GatedFolder {
    /// The folder at `path`, with room for `file_count` new files.
    pub fn new(path: impl Into<PathBuf>, file_count: u64) -> Self {
        let folder = DirectoryStorage::new(path);
        Self { folder, gate: Gate::default(), room: AtomicU64::new(file_count) }
    }

    /// What its syncs pass.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// From now on there is room for `file_count` new files.
    pub fn set_room(&self, file_count: u64) {
        self.room.store(file_count, Ordering::SeqCst);
    }

    fn gated(&self, file: io::Result<Box<dyn StorageFile>>) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(GatedFile { file: file?, gate: self.gate.clone() }))
    }
}

impl Storage for GatedFolder {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }

    fn create(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>> {
        if self.room.try_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1)).is_err() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.gated(self.folder.create(name, length))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.gated(self.folder.open(name))
    }

    fn map(&self, name: &str) -> io::Result<Bytes> {
        self.folder.map(name)
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.folder.settle(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    /// Makes room for another one.
    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)?;
        let _ = self.room.try_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_add(1));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.folder.sync_directory()
    }

    fn alignment(&self) -> usize {
        self.folder.alignment()
    }
}

/// What syncs of files pass: open at first. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    is_shut: bool,
    fails: bool,
    waiting: u64,
}

impl Gate {
    /// From now on who syncs waits.
    pub fn shut(&self) {
        self.change(|state| state.is_shut = true);
    }

    /// Lets through who waits, and who comes.
    pub fn open(&self) {
        self.change(|state| state.is_shut = false);
    }

    /// From now on syncs fail.
    pub fn fail(&self) {
        self.change(|state| state.fails = true);
    }

    /// Waits until somebody waits.
    pub fn wait_for_waiting(&self) {
        drop(self.wait_while(|state| state.waiting == 0));
    }

    fn pass(&self) -> io::Result<()> {
        self.change(|state| state.waiting += 1);
        let mut state = self.wait_while(|state| state.is_shut);
        state.waiting -= 1;
        if state.fails { Err(io::Error::other("made to fail")) } else { Ok(()) }
    }

    fn change(&self, change: impl FnOnce(&mut GateState)) {
        let (state, changed) = &*self.0;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    fn wait_while(&self, is_so: impl Fn(&GateState) -> bool) -> MutexGuard<'_, GateState> {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        changed.wait_while(state, |state| is_so(state)).unwrap_or_else(PoisonError::into_inner)
    }
}

struct GatedFile {
    file: Box<dyn StorageFile>,
    gate: Gate,
}

impl StorageFile for GatedFile {
    fn length(&self) -> u64 {
        self.file.length()
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.gate.pass()?;
        self.file.sync()
    }
}
