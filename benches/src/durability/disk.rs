//! The bare disk: one file of zeros, written and synced in groups, and nothing else.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::fs::{FallocateFlags, OFlags, fallocate, major, minor};

/// What every write is a multiple of.
pub const PAGE: usize = 4_096;

/// How a group is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// `pwrite` into a file of zeros, and `fdatasync`.
    WriteSync,
    /// The same into a file that is allocated and was never written.
    Unwritten,
    /// `pwrite` to a file opened with `O_DIRECT` and `O_DSYNC`.
    Direct,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WriteSync, Self::Unwritten, Self::Direct];
}

/// A file of zeros that is written again and again, from the beginning to the end.
#[derive(Debug)]
pub struct BareFile {
    file: File,
    path: PathBuf,
    method: Method,
    length: usize,
    offset: usize,
    /// Longer than the longest group by a page, so that a page's boundary is in it.
    bytes: Vec<u8>,
}

impl BareFile {
    /// A file of `length` bytes in `directory`, for groups of at most `group_bytes_max`.
    pub fn create(directory: &Path, method: Method, length: usize, group_bytes_max: usize) -> io::Result<Self> {
        let path = directory.join(format!("bare-{method:?}"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        if method == Method::Unwritten {
            fallocate(&file, FallocateFlags::empty(), 0, length as u64)?;
        } else {
            let zeros = vec![0; 1 << 20];
            (0..length).step_by(zeros.len()).try_for_each(|at| file.write_all_at(&zeros, at as u64))?;
        }
        file.sync_all()?;
        let file = match method {
            Method::WriteSync | Method::Unwritten => file,
            Method::Direct => OpenOptions::new()
                .write(true)
                .custom_flags((OFlags::DIRECT | OFlags::DSYNC).bits() as i32)
                .open(&path)?,
        };
        Ok(Self { file, path, method, length, offset: 0, bytes: vec![0xA5; group_bytes_max + PAGE] })
    }

    /// Writes a group of `count` bytes, a multiple of [`PAGE`], and makes it durable; how long that took.
    pub fn write(&mut self, count: usize) -> io::Result<Duration> {
        if self.offset + count > self.length {
            self.offset = 0;
        }
        let aligned = self.bytes.as_ptr().align_offset(PAGE);
        let group = &self.bytes[aligned..aligned + count];
        let begun = Instant::now();
        self.file.write_all_at(group, self.offset as u64)?;
        if self.method != Method::Direct {
            self.file.sync_data()?;
        }
        let took = begun.elapsed();
        self.offset += count;
        Ok(took)
    }
}

impl Drop for BareFile {
    fn drop(&mut self) {
        // It is in a folder for temporary files.
        let _ = fs::remove_file(&self.path);
    }
}

/// Bytes that the device of `path` was told to write since it was started; nothing if the system does not say.
pub fn device_bytes_written(path: &Path) -> Option<u64> {
    let device = fs::metadata(path).ok()?.dev();
    let text = fs::read_to_string(format!("/sys/dev/block/{}:{}/stat", major(device), minor(device))).ok()?;
    Some(text.split_whitespace().nth(6)?.parse::<u64>().ok()? * 512)
}
