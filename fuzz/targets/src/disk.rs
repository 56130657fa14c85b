//! A folder of segments in memory, whose bytes are put there and looked at.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::storage::Bytes;
use journal::{Storage, StorageFile};

/// What the folder is called in messages.
pub const FOLDER: &str = "memory";

/// Files by name; clones are the same folder.
#[derive(Clone)]
pub struct Disk {
    files: Arc<Mutex<BTreeMap<String, Content>>>,
}

/// Kept by whoever has the file open, whatever it is called by then.
type Content = Arc<Mutex<Vec<u8>>>;

struct OpenFile {
    content: Content,
    length: u64,
}

impl Disk {
    /// A folder of these files.
    pub fn new(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let content = |bytes: &Vec<u8>| Arc::new(Mutex::new(bytes.clone()));
        let files = files.iter().map(|(name, bytes)| (name.clone(), content(bytes))).collect();
        Self { files: Arc::new(Mutex::new(files)) }
    }

    /// All files as they are.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        locked(&self.files).iter().map(|(name, content)| (name.clone(), locked(content).clone())).collect()
    }

    fn content(&self, name: &str) -> io::Result<Content> {
        locked(&self.files).get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for Disk {
    fn path(&self) -> &Path {
        Path::new(FOLDER)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(locked(&self.files).keys().cloned().collect())
    }

    fn create(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>> {
        let zeros = vec![0; usize::try_from(length).expect("a small file")];
        locked(&self.files).insert(name.to_owned(), Arc::new(Mutex::new(zeros)));
        self.open(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let content = self.content(name)?;
        let length = locked(&content).len() as u64;
        Ok(Box::new(OpenFile { content, length }))
    }

    fn map(&self, name: &str) -> io::Result<Bytes> {
        Ok(Box::new(locked(&*self.content(name)?).clone()))
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.content(name).map(drop)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = locked(&self.files);
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        locked(&self.files).remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn alignment(&self) -> usize {
        4_096
    }
}

impl StorageFile for OpenFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).expect("a small file");
        locked(&self.content)[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
