//! What a journal has room for: whether the disk fills, how far, and what is let in meanwhile.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ring::{Admission, SharedAdmission};

use crate::segment::SegmentNumber;
use crate::spare::Shelf;
use crate::storage::Storage;

/// New segments that are kept ready.
pub const SPARES_MAX: usize = 2;

/// A journal's room, as it is now. Clones show the same journal, also after it was closed.
#[derive(Clone)]
pub struct Space {
    shelf: Arc<Shelf>,
    storage: Arc<dyn Storage>,
    segment_bytes: u64,
}

impl Space {
    pub(crate) fn new(shelf: Arc<Shelf>, storage: Arc<dyn Storage>, segment_bytes: u64) -> Self {
        Self { shelf, storage, segment_bytes }
    }

    /// Which commands are to be let in, for those who submit them. Never waited for, and not a failure: it is everything
    /// again as soon as a new segment could be made.
    pub fn admission(&self) -> &Arc<SharedAdmission> {
        self.shelf.admission()
    }

    /// Why no new segment can be made, while that is so.
    pub fn failure(&self) -> Option<String> {
        self.shelf.failure()
    }

    /// New segments that are ready.
    pub fn spare_count(&self) -> usize {
        self.shelf.spare_count()
    }

    /// Bytes of a new segment: what has to be free for another one.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// The segment that is being written. They are numbered from 1 and none is ever removed: so many there are.
    pub fn segment(&self) -> SegmentNumber {
        self.shelf.segment()
    }

    /// Bytes that can still be written though no new segment were made: the rest of the last one, and those that are ready.
    pub fn room_bytes(&self) -> u64 {
        self.shelf.segment_room() + self.spare_count() as u64 * self.segment_bytes
    }

    /// Bytes that the file system has free; nothing if it does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        self.storage.free_bytes()
    }

    /// Where the segments are.
    pub fn path(&self) -> &Path {
        self.storage.path()
    }

    /// The venue stops: nobody shall wait for space that does not come.
    pub(crate) fn finish(&self) {
        self.shelf.finish();
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let admission: Admission = self.admission().get();
        f.debug_struct("Space").field("admission", &admission).field("path", &self.path()).finish_non_exhaustive()
    }
}
