//! The journal's open end on disk: where the next batch goes, and the hash that it carries.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use engine::Sequence;

use crate::batch::BatchBuilder;
use crate::checksum::ChainHash;
use crate::error::WriteError;
use crate::hasher::Hasher;
use crate::layout::{BATCH_HEADER_BYTES, PAYLOAD_BYTES_MAX, RECORD_ALIGNMENT};
use crate::segment::{Identity, SegmentHeader, SegmentNumber};
use crate::space::Space;
use crate::spare::{Filler, Spare, Spares};
use crate::storage::{Storage, StorageFile};

/// What new segments are made of.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) identity: Identity,
    pub(crate) term: u64,
    pub(crate) segment_bytes: u64,
}

impl Plan {
    pub(crate) fn alignment(&self) -> usize {
        self.identity.alignment as usize
    }

    /// The largest payload whose batch fits a new segment.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        let room = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX) - self.alignment() - BATCH_HEADER_BYTES;
        PAYLOAD_BYTES_MAX.min(room / RECORD_ALIGNMENT * RECORD_ALIGNMENT)
    }
}

/// The last segment, open for writing.
pub(crate) struct Tail {
    plan: Plan,
    /// Nothing while the journal is being opened: then a segment is made on the spot, and failing ends the opening.
    spares: Option<Spares>,
    /// Nothing while the journal is being opened, and in turns.
    hasher: Option<Hasher>,
    number: SegmentNumber,
    file: Box<dyn StorageFile>,
    offset: u64,
    hash: ChainHash,
}

impl Tail {
    /// A new journal's first segment.
    pub(crate) fn create(plan: Plan) -> Result<Self, WriteError> {
        let spare = allocate(&plan, SegmentNumber::FIRST)?;
        let (file, hash) = begin(&plan, spare, Sequence(1), ChainHash::GENESIS)?;
        let offset = plan.identity.alignment.into();
        Ok(Self { plan, spares: None, hasher: None, number: SegmentNumber::FIRST, file, offset, hash })
    }

    /// The end of an existing journal.
    pub(crate) fn resume(plan: Plan, number: SegmentNumber, offset: u64, hash: ChainHash) -> Result<Self, WriteError> {
        let name = number.file_name();
        let file = plan.storage.open(&name).map_err(|source| failed(&plan, &name, 0, "opening", source))?;
        Ok(Self { plan, spares: None, hasher: None, number, file, offset, hash })
    }

    /// From now on helpers keep spares ready and hash what is being written; how much room there is.
    pub(crate) fn start_helpers(&mut self) -> io::Result<Space> {
        self.hasher = Some(Hasher::start()?);
        let spares = Spares::start(self.filler())?;
        Ok(self.take_from(spares))
    }

    /// From now on somebody keeps spares ready by the filler that is given; how much room there is.
    pub(crate) fn work_in_turns(&mut self) -> (Space, Filler) {
        let filler = self.filler();
        (self.take_from(Spares::in_turns(&filler)), filler)
    }

    /// Where the segments are.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.plan.storage
    }

    /// What the next link carries.
    pub(crate) fn hash(&self) -> ChainHash {
        self.hash
    }

    /// Makes a batch durable and empties it; false if it needs a spare and none is ready. Behind a failure nothing may be
    /// appended again.
    pub(crate) fn append(&mut self, batch: &mut BatchBuilder) -> Result<bool, WriteError> {
        let whole_bytes = self.bytes_of(batch);
        if self.offset + whole_bytes > self.file.length() && !self.roll(batch.first())? {
            return Ok(false);
        }
        let link = batch.frame(self.plan.term, self.hash, self.plan.alignment());
        let mut write = || write_and_sync(self.file.as_mut(), link.as_slice(), self.offset);
        let hash = match &self.hasher {
            Some(hasher) => hasher.beside(&link, write),
            None => write().map(|()| ChainHash::of_link(link.as_slice())),
        };
        self.hash = hash.map_err(|(operation, source)| self.failed(operation, source))?;
        self.offset += whole_bytes;
        drop(link);
        batch.clear();
        if let Some(spares) = &self.spares {
            spares.shelf().set_segment(self.number, self.room());
        }
        Ok(true)
    }

    /// Bytes that a batch takes on disk.
    pub(crate) fn bytes_of(&self, batch: &BatchBuilder) -> u64 {
        batch.whole_bytes(self.plan.alignment()) as u64
    }

    /// Waits until a batch that needs a spare may be tried again.
    pub(crate) fn wait_for_spare(&self) {
        if let Some(spares) = &self.spares {
            spares.wait();
        }
    }

    /// Bytes that the segment still takes.
    fn room(&self) -> u64 {
        self.file.length().saturating_sub(self.offset)
    }

    /// Fills `length` bytes behind the end with zeros: the torn tail that was cut.
    pub(crate) fn erase(&mut self, length: u64) -> Result<(), WriteError> {
        let zeros = vec![0; usize::try_from(length).expect("the tail was mapped")];
        self.file.write_at(&zeros, self.offset).map_err(|source| self.failed("erasing the torn tail", source))?;
        self.file.sync().map_err(|source| self.failed("syncing", source))
    }

    fn filler(&self) -> Filler {
        let Plan { storage, segment_bytes, .. } = &self.plan;
        Filler::new(storage.clone(), self.number.next(), *segment_bytes)
    }

    fn take_from(&mut self, spares: Spares) -> Space {
        let Plan { storage, segment_bytes, .. } = &self.plan;
        let shelf = spares.shelf().clone();
        shelf.set_segment(self.number, self.room());
        self.spares = Some(spares);
        Space::new(shelf, storage.clone(), *segment_bytes)
    }

    /// Begins the next segment; false if no spare is ready for it.
    fn roll(&mut self, first: Sequence) -> Result<bool, WriteError> {
        let spare = match &self.spares {
            Some(spares) => spares.take(self.plan.storage.as_ref())?,
            None => Some(self.make_spare()?),
        };
        let Some(spare) = spare else { return Ok(false) };
        assert!(spare.number == self.number.next(), "spares come in order");
        self.number = spare.number;
        (self.file, self.hash) = begin(&self.plan, spare, first, self.hash)?;
        self.offset = self.plan.identity.alignment.into();
        Ok(true)
    }

    /// What the head holds and the disk has no room for stays in the head.
    fn make_spare(&self) -> Result<Spare, WriteError> {
        let Plan { storage, segment_bytes, .. } = &self.plan;
        Spare::create(storage.as_ref(), self.number.next(), *segment_bytes)
            .map_err(|error| WriteError::NoSpare { directory: storage.path().to_owned(), reason: error.to_string() })
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> WriteError {
        failed(&self.plan, &self.number.file_name(), self.offset, operation, source)
    }
}

/// Makes bytes durable; else what failed.
fn write_and_sync(file: &mut dyn StorageFile, bytes: &[u8], offset: u64) -> Result<(), (&'static str, io::Error)> {
    file.write_at(bytes, offset).map_err(|source| ("writing", source))?;
    file.sync().map_err(|source| ("syncing", source))
}

fn allocate(plan: &Plan, number: SegmentNumber) -> Result<Spare, WriteError> {
    Spare::create(plan.storage.as_ref(), number, plan.segment_bytes)
        .map_err(|source| failed(plan, &number.spare_name(), 0, "allocating", source))
}

/// Makes a spare the segment that begins with `first`. It gets its name when its header is durable.
fn begin(
    plan: &Plan,
    mut spare: Spare,
    first: Sequence,
    previous: ChainHash,
) -> Result<(Box<dyn StorageFile>, ChainHash), WriteError> {
    let header =
        SegmentHeader { identity: plan.identity, term: plan.term, number: spare.number, first, previous }.encode();
    let [spare_name, name] = [spare.number.spare_name(), spare.number.file_name()];
    let failed = |operation| {
        let name = &spare_name;
        move |source| failed(plan, name, 0, operation, source)
    };
    spare.file.write_at(&header, 0).map_err(failed("writing"))?;
    spare.file.sync().map_err(failed("syncing"))?;
    plan.storage.rename(&spare_name, &name).map_err(failed("renaming"))?;
    plan.storage.sync_directory().map_err(failed("syncing the folder of"))?;
    Ok((spare.file, SegmentHeader::hash(&header)))
}

fn failed(plan: &Plan, name: &str, offset: u64, operation: &'static str, source: io::Error) -> WriteError {
    let file: PathBuf = plan.storage.path().join(name);
    WriteError::Failed { file, offset, operation, source }
}
