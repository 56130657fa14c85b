//! The seam between the journal and the disk: a handful of operations, so that a simulated disk can fail each of them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags};

use crate::layout::{ALIGNMENT_MAX, ALIGNMENT_MIN};
use crate::mapping::FileBytes;
use crate::page_buffer::PageBuffer;

/// A file's bytes, mapped or simulated.
pub type Bytes = Box<dyn AsRef<[u8]> + Send + Sync>;

/// The folder that holds the segments.
///
/// Names are file names in that folder. No operation is ever repeated after it failed.
pub trait Storage: Send + Sync + 'static {
    /// Where this is, for messages.
    fn path(&self) -> &Path;

    /// Names of all files, in any order. An error of kind `NotFound` if there is no such folder.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A new file of `length` zeros, allocated, written and synced, so that a later write neither grows the file nor
    /// converts an extent. Replaces a file of that name; one that cannot be completed is removed again at once, so that it
    /// takes no space from anybody.
    fn create(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>>;

    /// A new file of `length` bytes whose space is taken, to be written once, from front to back; what is not written yet
    /// is not defined. Writes are durable behind [`StorageFile::sync`] alone. Replaces a file of that name.
    fn reserve(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>> {
        self.create(name, length)
    }

    /// An existing file, for writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// An existing file's bytes, for reading.
    fn map(&self, name: &str) -> io::Result<Bytes>;

    /// Makes what is read from a file what its device holds: syncs what an earlier process may have left unsynced, and
    /// forgets what is cached, which after that process's failed sync may be what the device never got.
    fn settle(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable.
    fn sync_directory(&self) -> io::Result<()>;

    /// Bytes that are free where the files are; nothing if that is not known.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// What batches should be aligned to: the device's physical sector, at least [`ALIGNMENT_MIN`].
    fn alignment(&self) -> usize;
}

/// A file that is being written.
pub trait StorageFile: Send {
    /// Its length, which never changes.
    fn length(&self) -> u64;

    /// Writes all of `bytes` at `offset`. Durable only behind [`sync`](Self::sync).
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all writes durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of the operating system.
#[derive(Debug, Clone)]
pub struct DirectoryStorage {
    path: PathBuf,
    /// Whether files are read into memory instead of mapped.
    unmapped: bool,
}

impl DirectoryStorage {
    /// The folder at `path`, which may not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), unmapped: false }
    }

    /// The same, whose files are read into memory instead of mapped: a sector that cannot be read is an error then, and not
    /// the end of the process.
    pub fn unmapped(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), unmapped: true }
    }
}

/// Zeros are written in pieces of this size: a batch waits for one of them at most.
const ZEROS_BYTES: usize = 256 << 10;

impl Storage for DirectoryStorage {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?
            .map(|entry| {
                let name = entry?.file_name();
                name.into_string().map_err(|name| io::Error::other(format!("a file name is not UTF-8: {name:?}")))
            })
            .collect()
    }

    fn create(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>> {
        // A full disk is not filled to the last byte again and again: others write to it as well.
        if self.free_bytes().is_some_and(|free| free < length) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        let path = self.path.join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        or_remove(&path, fill(&file, &path, length).and_then(|()| OpenFile::new(file, &path)))
    }

    fn reserve(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        or_remove(&path, allocate(&file, length).and_then(|()| OpenFile::reserved(file, &path, length)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Box::new(OpenFile::new(file, &path)?))
    }

    fn map(&self, name: &str) -> io::Result<Bytes> {
        let path = self.path.join(name);
        if self.unmapped { Ok(Box::new(fs::read(path)?)) } else { Ok(Box::new(FileBytes::map(&File::open(path)?)?)) }
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        file.sync_data()?;
        match rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed) {
            // Memory file systems have no device behind their cache.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        // Some file systems count no blocks.
        (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn alignment(&self) -> usize {
        physical_sector(&self.path).unwrap_or(ALIGNMENT_MIN).clamp(ALIGNMENT_MIN, ALIGNMENT_MAX)
    }
}

/// A file that cannot be completed takes no space. The error that made it fail is the one to tell.
fn or_remove(path: &Path, made: io::Result<OpenFile>) -> io::Result<Box<dyn StorageFile>> {
    match made {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

/// Whole pages go past the page cache; the rest through it.
struct OpenFile {
    file: File,
    /// Opened for writing past the page cache; nothing where the file system does not offer that.
    direct: Option<File>,
    /// Whether what goes past the page cache is durable when it is written.
    direct_is_durable: bool,
    /// What was written and is not known to be durable.
    unsynced: bool,
    length: u64,
}

impl OpenFile {
    fn new(file: File, path: &Path) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let direct = open_direct(path, OFlags::DSYNC)?;
        Ok(Self { file, direct, direct_is_durable: true, unsynced: false, length })
    }

    /// Its writes do not wait for the device one by one.
    fn reserved(file: File, path: &Path, length: u64) -> io::Result<Self> {
        let direct = open_direct(path, OFlags::empty())?;
        Ok(Self { file, direct, direct_is_durable: false, unsynced: true, length })
    }
}

/// A file for writing past the page cache; nothing where the file system does not offer that.
fn open_direct(path: &Path, flags: OFlags) -> io::Result<Option<File>> {
    let flags = (OFlags::DIRECT | flags).bits().cast_signed();
    match OpenOptions::new().write(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(error),
    }
}

impl StorageFile for OpenFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match &self.direct {
            Some(direct) if is_whole_pages(bytes, offset) => {
                self.unsynced |= !self.direct_is_durable;
                direct.write_all_at(bytes, offset)
            }
            _ => {
                self.unsynced = true;
                self.file.write_all_at(bytes, offset)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }
}

/// Whether every device takes this without the page cache between.
fn is_whole_pages(bytes: &[u8], offset: u64) -> bool {
    let place = bytes.as_ptr().addr() | bytes.len();
    place.is_multiple_of(ALIGNMENT_MIN) && offset.is_multiple_of(ALIGNMENT_MIN as u64)
}

/// Makes an empty file one of `length` zeros that are on the device.
///
/// The zeros go there piece by piece and not through the page cache: written back at once, a segment of them would hold up
/// a batch for a long time.
fn fill(file: &File, path: &Path, length: u64) -> io::Result<()> {
    allocate(file, length)?;
    match open_direct(path, OFlags::empty())? {
        Some(direct) => write_zeros(&direct, length)?,
        None => write_zeros(file, length)?,
    }
    file.sync_all()
}

/// Takes the space, or fails cleanly: a full disk must not be met later, in the middle of a write.
///
/// A file system that cannot allocate takes the space when the zeros are written.
pub(crate) fn allocate(file: &File, length: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) => Ok(()),
        Err(error) if error == rustix::io::Errno::OPNOTSUPP => write_zeros(file, length),
        Err(error) => Err(error.into()),
    }
}

fn write_zeros(file: &File, length: u64) -> io::Result<()> {
    let mut zeros = PageBuffer::new(ZEROS_BYTES);
    zeros.resize(ZEROS_BYTES);
    let mut at = 0;
    while at < length {
        let piece = usize::try_from(length - at).unwrap_or(usize::MAX).min(ZEROS_BYTES);
        file.write_all_at(&zeros.as_slice()[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

/// The physical sector of the device that holds `path`; nothing if the system does not say, or says something odd.
fn physical_sector(path: &Path) -> Option<usize> {
    let device = fs::metadata(path).ok()?.dev();
    let folder = format!("/sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    // A partition has no queue of its own: its disk, one folder up, has it.
    ["queue/physical_block_size", "../queue/physical_block_size"].iter().find_map(|file| {
        let text = fs::read_to_string(Path::new(&folder).join(file)).ok()?;
        text.trim().parse().ok().filter(|bytes: &usize| bytes.is_power_of_two())
    })
}
