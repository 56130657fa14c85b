//! Files as memory: the one module of this crate with unsafe code.

#![allow(unsafe_code, reason = "mapped files are reached through pointers")]

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};

/// A whole file, read-only. An empty file is an empty slice.
pub(crate) struct FileBytes {
    /// Nothing for an empty file, which cannot be mapped.
    mapping: Option<Mmap>,
}

impl FileBytes {
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self { mapping: None });
        }
        // SAFETY: the slice's bytes must not change and the file must not shrink while it is mapped. Segments are never
        // truncated, by writers or readers; a spare gets its full length before it gets a segment's name. Verified
        // bytes are never written again: the writer only fills zeros behind the last batch. A reader that follows a
        // living writer may see a batch half written; then the batch's checksums fail, nothing of it is used, and it is
        // the journal's end. Whoever overwrites a venue's files from outside breaks this, as for every mapped file.
        let mapping = unsafe { Mmap::map(file)? };
        Ok(Self { mapping: Some(mapping) })
    }

    /// Asks the system to read a part of it, and does not wait for that.
    pub(crate) fn prepare(&self, offset: usize, length: usize) {
        // Without it everything takes longer, and nothing else changes.
        let _ = self.mapping.as_ref().map(|mapping| mapping.advise_range(Advice::WillNeed, offset, length));
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        self.mapping.as_deref().unwrap_or_default()
    }
}

/// A shared, writable file as 64-bit words.
///
/// Every access is atomic, so that no use of it is a data race, whatever the threads do; on the usual machines a relaxed
/// word is an ordinary move. Who may write what, and in which order it becomes visible, is the head's concern.
#[derive(Debug)]
pub(crate) struct SharedWords {
    mapping: MmapRaw,
}

impl SharedWords {
    /// Maps a file whose length is a multiple of eight, and touches its pages, so that the core meets no page fault.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        let mapping = MmapOptions::new().populate().map_raw(file)?;
        assert!(mapping.len().is_multiple_of(size_of::<u64>()), "a whole number of words");
        Ok(Self { mapping })
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, readable, writable, as long as the slice, and lives as long as `self`.
        // Atomics may be written through a shared reference, by other threads and processes too; nothing in this process
        // reaches the same memory other than through this slice. The head's file is never truncated while it is mapped.
        unsafe {
            std::slice::from_raw_parts(self.mapping.as_ptr().cast::<AtomicU64>(), self.mapping.len() / size_of::<u64>())
        }
    }
}
