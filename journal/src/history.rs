//! The event history: what has happened, kept so that it can be looked up by order, session, account, instrument,
//! sequence and time.
//!
//! The journal is the truth; events are derived from it by replay, and so is the history. What its files hold depends on
//! the events alone, never on timing or on where a replay began: a file that is lost, cut or damaged is derived again,
//! byte for byte.
//!
//! ```text
//!   journal ──► an engine off the core ──► events ──► HistoryWriter ──► pages, block ends, indexes in DIR/history
//!                                                          │
//!                                        in this process   └──► History ◄── the folder, for tools
//! ```
//!
//! [`layout`] draws the bytes. One [`HistoryWriter`] writes a folder; [`History`] reads it, in the same process with
//! everything up to the last command, in another one up to the last whole block on the disk.
//!
//! A complete file has an index, which is mapped, and of which a search touches a few sheets. The pages of the file that
//! grows are listed in memory with their keys, which stand before each page's events on the disk, so that a start need
//! not unpack them.
//!
//! # Why plain files, and not the journal's seam to its disk
//!
//! The journal's seam exists because what is lost there is lost: it writes allocated files past the page cache, and a
//! simulated disk fails each operation. Nothing is lost with a history. It is written through the page cache, checksums and
//! event digests find whatever a power loss leaves of it, and what they find is derived again.

mod disk;
pub mod error;
mod file;
mod index;
pub mod key;
pub mod layout;
mod page;
mod read;
mod recover;
mod state;
mod writer;

use std::path::PathBuf;

use engine::Nanoseconds;

pub use error::{HistoryError, HistoryFault};
pub use key::{Key, keys};
pub use read::{Direction, Events, History, Query};
pub use writer::HistoryWriter;

/// The folder of the history, in the data folder.
pub const HISTORY_FOLDER: &str = "history";

/// How a history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryOptions {
    /// A file ends at the end of the first block at which it has so many sequences. Default: 2^20, so that a file's index
    /// is sorted in a fraction of a second, and a search over 10^8 commands looks into a hundred files.
    pub file_sequences: u64,
    /// Or so many bytes. Default: 64 MiB, a segment's size, so that what is removed or derived again is never much.
    pub file_bytes: u64,
    /// How much is kept. Default: everything.
    pub retention: Retention,
    /// What has to stay free on the disk: the journal needs room for its next segments first. Default: 256 MiB.
    pub reserve_bytes: u64,
    /// How much of it is read at a start. Default: everything.
    pub verification: Verification,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            file_sequences: 1 << 20,
            file_bytes: 64 << 20,
            retention: Retention::Everything,
            reserve_bytes: 256 << 20,
            verification: Verification::Everything,
        }
    }
}

/// How much of a history is kept. The oldest files are removed, whole, when a newer one is complete; the newest never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// All of it, from the first command on.
    Everything,
    /// At most so many bytes of events, and what the newest file has.
    Bytes(u64),
    /// Events that are no older than this, by the venue's time, than the newest ones in complete files.
    Age(Nanoseconds),
}

/// How much of a history is read when it is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Every byte of every file.
    Everything,
    /// Of complete files their indexes, headers and lengths, of the newest every byte. Damage in the others is found when
    /// they are read.
    Newest,
}

/// What an opening found that was not good, and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryReport {
    /// Files that were removed, and why.
    pub removed: Vec<RemovedFile>,
    /// Files that were cut behind their last good block. That of a block in progress is cut at every start.
    pub cut: Vec<CutHistory>,
    /// Indexes that are made again from their events.
    pub indexed: Vec<PathBuf>,
}

impl HistoryReport {
    /// Whether everything was as it should be.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// A file that was removed, to be derived again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedFile {
    /// Which.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// The end of a file that was cut off, to be derived again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutHistory {
    /// Which file.
    pub file: PathBuf,
    /// Where it ends now.
    pub offset: u64,
    /// How much was cut off.
    pub bytes: u64,
    /// Why.
    pub reason: String,
}
