//! The journal's open end on disk: where the next batch goes, and the hash that it carries.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use engine::Sequence;

use crate::batch::BatchBuilder;
use crate::checksum::ChainHash;
use crate::error::WriteError;
use crate::layout::{BATCH_HEADER_BYTES, PAYLOAD_BYTES_MAX, RECORD_ALIGNMENT};
use crate::segment::{Identity, SegmentHeader, SegmentNumber};
use crate::spare::{Spare, Spares};
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
    /// Nothing while the journal is being opened: then a segment is allocated on the spot, and failing is final.
    spares: Option<Spares>,
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
        Ok(Self { plan, spares: None, number: SegmentNumber::FIRST, file, offset, hash })
    }

    /// The end of an existing journal.
    pub(crate) fn resume(plan: Plan, number: SegmentNumber, offset: u64, hash: ChainHash) -> Result<Self, WriteError> {
        let name = number.file_name();
        let file = plan.storage.open(&name).map_err(|source| failed(&plan, &name, 0, "opening", source))?;
        Ok(Self { plan, spares: None, number, file, offset, hash })
    }

    /// From now on a helper keeps a spare ready.
    pub(crate) fn start_spares(&mut self) -> io::Result<&Spares> {
        let spares = Spares::start(self.plan.storage.clone(), self.number.next(), self.plan.segment_bytes)?;
        Ok(self.spares.insert(spares))
    }

    /// Where the segments are.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.plan.storage
    }

    /// What the next link carries.
    pub(crate) fn hash(&self) -> ChainHash {
        self.hash
    }

    /// Makes a batch durable and empties it. Behind a failure nothing may be appended again.
    pub(crate) fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), WriteError> {
        let whole_bytes = batch.whole_bytes(self.plan.alignment()) as u64;
        if self.offset + whole_bytes > self.file.length() {
            self.roll(batch.first())?;
        }
        let (bytes, hash) = batch.frame(self.plan.term, self.hash, self.plan.alignment());
        self.file.write_at(bytes, self.offset).map_err(|source| self.failed("writing", source))?;
        self.file.sync().map_err(|source| self.failed("syncing", source))?;
        self.offset += whole_bytes;
        self.hash = hash;
        batch.clear();
        Ok(())
    }

    /// Fills `length` bytes behind the end with zeros: the torn tail that was cut.
    pub(crate) fn erase(&mut self, length: u64) -> Result<(), WriteError> {
        let zeros = vec![0; usize::try_from(length).expect("the tail was mapped")];
        self.file.write_at(&zeros, self.offset).map_err(|source| self.failed("erasing the torn tail", source))?;
        self.file.sync().map_err(|source| self.failed("syncing", source))
    }

    fn roll(&mut self, first: Sequence) -> Result<(), WriteError> {
        let spare = match &self.spares {
            Some(spares) => spares.take(self.plan.storage.as_ref())?,
            None => allocate(&self.plan, self.number.next())?,
        };
        assert!(spare.number == self.number.next(), "spares come in order");
        self.number = spare.number;
        (self.file, self.hash) = begin(&self.plan, spare, first, self.hash)?;
        self.offset = self.plan.identity.alignment.into();
        Ok(())
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> WriteError {
        failed(&self.plan, &self.number.file_name(), self.offset, operation, source)
    }
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
