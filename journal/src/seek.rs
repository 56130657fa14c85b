//! Beginning in the middle of a journal: at a sequence, or at a time.
//!
//! ```text
//!   segment headers       binary search: the last segment that begins no later than what is looked for
//!   batches in it         verified one after the other, from the segment's header on
//!   records               passed over until the first command that is wanted
//! ```
//!
//! A header says which sequence its segment begins with. It does not say a time: there the search reads the first command
//! of each segment that it looks at.
//!
//! What is read is verified from the header of the segment that is entered: that header carries the hash of the link
//! before it, and so anchors the chain. Segments before it are not read, and damage in them is not found; reading from the
//! beginning finds it.

use std::path::Path;
use std::sync::Arc;

use engine::{Command, Sequence, Sequenced, Timestamp};

use crate::decision::State;
use crate::error::{Fault, ReadError};
use crate::reader::{JOURNAL_FOLDER, Reader, damaged, map, segment_numbers};
use crate::record::Entry;
use crate::segment::{Identity, SegmentHeader, SegmentNumber};
use crate::storage::{DirectoryStorage, Storage};

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// At the command with this sequence; at the first one for sequence 0.
    Sequence(Sequence),
    /// At the first command that is not earlier.
    Time(Timestamp),
}

impl Seek {
    /// The whole journal.
    pub const FIRST: Self = Self::Sequence(Sequence(1));

    /// Whether a command stands at or behind this place.
    pub(crate) fn is_reached(self, command: &Sequenced<Command>) -> bool {
        match self {
            Self::Sequence(sequence) => command.stamp.sequence >= sequence,
            Self::Time(time) => command.stamp.time >= time,
        }
    }
}

impl Reader {
    /// The journal of a data folder, read from a place on; at its end if the place is behind it.
    ///
    /// Entries before the command that is looked for are left out. [`verified`](Self::verified) says what was found from
    /// the beginning of the segment that was entered.
    ///
    /// # Errors
    /// What is damaged among the headers that were looked at, or in the segment that was entered, up to the place.
    pub fn open_at(directory: &Path, seek: Seek) -> Result<Self, ReadError> {
        let storage = Arc::new(DirectoryStorage::new(directory.join(JOURNAL_FOLDER)));
        Self::with_storage_at(storage, seek)?.ok_or_else(|| ReadError::NoJournal { directory: directory.to_owned() })
    }

    /// The same for the journal in `storage`; nothing if there are no segments.
    pub fn with_storage_at(storage: Arc<dyn Storage>, seek: Seek) -> Result<Option<Self>, ReadError> {
        let Some(mut reader) = enter_before(storage, seek)? else { return Ok(None) };
        reader.pass_until(|command| seek.is_reached(command))?;
        Ok(Some(reader))
    }
}

/// A reader at the beginning of the segment in which, or behind which, the place is; nothing if there are no segments.
pub(crate) fn enter_before(storage: Arc<dyn Storage>, seek: Seek) -> Result<Option<Reader>, ReadError> {
    let numbers = segment_numbers(storage.as_ref())?;
    let Some(&first) = numbers.first() else { return Ok(None) };
    let first = header(storage.as_ref(), first)?;
    let segments = Segments { storage, numbers: &numbers, identity: first.identity };
    let beginning_before = segments.count_while(|index| segments.begins_before(index, seek))?;
    Reader::enter(segments.storage.clone(), &numbers[beginning_before.saturating_sub(1)..]).map(Some)
}

struct Segments<'a> {
    storage: Arc<dyn Storage>,
    numbers: &'a [SegmentNumber],
    identity: Identity,
}

impl Segments<'_> {
    /// How many segments from the front are so, if all that are stand before all that are not.
    fn count_while(&self, is_so: impl Fn(usize) -> Result<bool, ReadError>) -> Result<usize, ReadError> {
        let (mut so, mut not_so) = (0, self.numbers.len());
        while so < not_so {
            let middle = so + (not_so - so) / 2;
            if is_so(middle)? {
                so = middle + 1;
            } else {
                not_so = middle;
            }
        }
        Ok(so)
    }

    /// Whether the place is not before the segment. The beginning of a last segment without a whole header is no place.
    fn begins_before(&self, index: usize, seek: Seek) -> Result<bool, ReadError> {
        let header = match self.header(index) {
            Ok(header) => header,
            Err(ReadError::Damaged { fault, .. }) if self.is_last(index) && State::from(&fault).is_a_torn_header() => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        match seek {
            Seek::Sequence(sequence) => Ok(header.first <= sequence),
            Seek::Time(time) => Ok(self.first_time(index)?.is_some_and(|first| first < time)),
        }
    }

    fn header(&self, index: usize) -> Result<SegmentHeader, ReadError> {
        let number = self.numbers[index];
        let header = header(self.storage.as_ref(), number)?;
        let fault = if header.number != number {
            Fault::SegmentNumber { found: header.number }
        } else if header.identity != self.identity {
            Fault::SegmentForeign
        } else {
            return Ok(header);
        };
        Err(damaged(self.storage.as_ref(), number, 0, fault))
    }

    /// Of the first command that stands in or behind the segment; nothing if there is none.
    fn first_time(&self, index: usize) -> Result<Option<Timestamp>, ReadError> {
        let reader = Reader::enter(self.storage.clone(), &self.numbers[index..])?;
        for entry in reader {
            if let Entry::Command(command) = entry? {
                return Ok(Some(command.stamp.time));
            }
        }
        Ok(None)
    }

    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.numbers.len()
    }
}

fn header(storage: &dyn Storage, number: SegmentNumber) -> Result<SegmentHeader, ReadError> {
    let bytes = map(storage, number)?;
    SegmentHeader::decode((*bytes).as_ref()).map_err(|fault| damaged(storage, number, 0, fault))
}
