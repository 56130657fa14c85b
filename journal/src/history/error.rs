//! What can go wrong with a history. It is derived from the journal, so nothing is lost with it.

use std::io;
use std::path::PathBuf;

use engine::Sequence;

use crate::digest::{Block, Digest};
use crate::segment::JournalId;

/// What is wrong with bytes that should be a part of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// The file ends inside something.
    #[error("the file ends inside it")]
    FileEnds,
    /// Something else stands there.
    #[error("no header, page or block end begins here")]
    Magic,
    /// Bytes disagree with their checksum.
    #[error("the checksum does not match")]
    Checksum,
    /// It is whole, but belongs elsewhere.
    #[error("it does not follow what stands before it")]
    Order,
    /// Its fields contradict one another.
    #[error("its fields are out of range")]
    Fields,
    /// Events that cannot be unpacked or decoded.
    #[error("its events do not decode")]
    Events,
}

/// Why a history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The operating system failed.
    #[error("{}: {source}: check that it exists, may be read and written, and that its disk works and has room", file.display())]
    Io {
        /// Which file or folder.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Less space is free than has to stay so for the journal.
    #[error(
        "{}: {free_bytes} bytes are free and {reserve_bytes} are kept for the journal: the event history does not grow \
         until there is more; free space, or keep less of the history",
        directory.display()
    )]
    NoRoom {
        /// The history's folder.
        directory: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What has to stay free.
        reserve_bytes: u64,
    },
    /// A sync failed before: what the disk has is known only when it is read again.
    #[error("{}: a sync has failed: what is on the disk is not known until the venue is restarted", directory.display())]
    Poisoned {
        /// The history's folder.
        directory: PathBuf,
    },
    /// Bytes are not what was written.
    #[error(
        "{} is damaged at offset {offset}: {fault}: restart the venue, which derives it again from the journal",
        file.display()
    )]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        fault: HistoryFault,
    },
    /// The folder holds another journal's history.
    #[error(
        "{} is of journal {found}, and this is journal {expected}: move the folder away, and the history is derived \
         again",
        file.display()
    )]
    Foreign {
        /// Which file.
        file: PathBuf,
        /// Whose it is.
        found: JournalId,
        /// Whose it should be.
        expected: JournalId,
    },
    /// Written by another version of the format.
    #[error(
        "{}: format version {version} is unknown to this build: use the build that wrote it, or move the folder away, \
         and the history is derived again",
        file.display()
    )]
    Version {
        /// Which file.
        file: PathBuf,
        /// The version found.
        version: u16,
    },
    /// What was asked for is no longer kept.
    #[error(
        "the history begins with command {first}: what happened before is no longer kept, and the journal tells it"
    )]
    Gone {
        /// The first command whose events are kept.
        first: Sequence,
    },
    /// A replay yields other events than the history holds.
    #[error(
        "the events of block {block} have digest {computed}, the history says {recorded}: move the folder {} away, and \
         the history is derived again",
        directory.display()
    )]
    Differs {
        /// The history's folder.
        directory: PathBuf,
        /// The block of 1,024 sequences.
        block: Block,
        /// What was recorded.
        recorded: Digest,
        /// What the replay yields.
        computed: Digest,
    },
}

impl HistoryError {
    /// Whether the same may work later, without anybody restarting anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::NoRoom { .. })
    }
}
