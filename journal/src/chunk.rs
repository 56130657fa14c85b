//! What a replay takes from a reader at once: commands up to the end of a block, and what stands with them.
//!
//! So an event digest in a chunk is of a block that ended in it or before, and few threads are woken for many commands.
//! A seal ends its chunk, because it says what the events are at its place.

use std::path::{Path, PathBuf};

use engine::{Command, Sequence, Sequenced};

use crate::digest::BlockDigest;
use crate::layout::BLOCK_COMMANDS;
use crate::record::Seal;
use crate::segment::SegmentNumber;

/// Where a batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
}

impl BatchPlace {
    /// The file, in the journal's folder.
    pub(crate) fn file(&self, folder: &Path) -> PathBuf {
        folder.join(self.segment.file_name())
    }
}

/// Filled over and over, so that nothing is allocated once it has grown.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) commands: Vec<Sequenced<Command>>,
    /// Where the batches begin that the commands are from, and how many commands are before each.
    batches: Vec<(usize, BatchPlace)>,
    /// Event digests, and where they stand.
    pub(crate) digests: Vec<(BlockDigest, BatchPlace)>,
    /// Behind everything else.
    pub(crate) seal: Option<(Seal, BatchPlace)>,
}

impl Chunk {
    pub(crate) fn clear(&mut self) {
        self.commands.clear();
        self.batches.clear();
        self.digests.clear();
        self.seal = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.digests.is_empty() && self.seal.is_none()
    }

    /// What comes next is from the batch there.
    pub(crate) fn begin_batch(&mut self, place: BatchPlace) {
        self.batches.push((self.commands.len(), place));
    }

    /// Whether nothing more may come.
    pub(crate) fn is_complete(&self) -> bool {
        let ends_block = |Sequence(last)| last.is_multiple_of(BLOCK_COMMANDS);
        self.seal.is_some() || self.commands.last().is_some_and(|command| ends_block(command.stamp.sequence))
    }

    /// Leaves out what is behind a command; whether that was reached.
    pub(crate) fn end_at(&mut self, last: Sequence) -> bool {
        let wanted = self.commands.partition_point(|command| command.stamp.sequence <= last);
        if wanted < self.commands.len() {
            self.commands.truncate(wanted);
            self.digests.clear();
            self.seal = None;
        }
        self.commands.last().is_some_and(|command| command.stamp.sequence >= last)
    }

    /// Where a command is from.
    ///
    /// # Panics
    ///
    /// If there is none of that index.
    pub(crate) fn place_of(&self, index: usize) -> BatchPlace {
        let behind = self.batches.partition_point(|&(before, _)| before <= index);
        self.batches[behind - 1].1
    }
}
