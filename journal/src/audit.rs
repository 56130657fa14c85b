//! Auditing a journal against signed checkpoints that were kept elsewhere: what was deleted, changed or moved is named.
//!
//! ```text
//!   what was done to the journal                        what is named
//!   bytes changed, checksums right or not, chain not    the batch: file, offset, its commands
//!   and the whole chain behind it written anew          what lies between the last checkpoint that agrees and the first
//!                                                       that does not
//!   cut short                                           the commands up to the first checkpoint that is not reached
//! ```
//!
//! One pass, at the speed of the disk. What lies behind the last checkpoint is only held together by its own chain.

use std::path::{Path, PathBuf};

use engine::Sequence;

use crate::checkpoint::Checkpoint;
use crate::chunk::BatchPlace;
use crate::copy::Progress;
use crate::error::{Fault, ReadError};
use crate::reader::{JOURNAL_FOLDER, Reader, Verified, segment_numbers};
use crate::segment::{JournalId, SegmentNumber};
use crate::storage::{DirectoryStorage, Storage};

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    /// What is whole, from the beginning on.
    pub verified: Verified,
    /// Why it went no further, if it did not reach the end.
    pub error: Option<ReadError>,
    /// Checkpoints whose link stands in its place.
    pub agreed_count: u64,
    /// What is not as it was written. Empty: everything that was compared agrees.
    pub findings: Vec<Finding>,
}

/// Where something is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which file.
    pub file: PathBuf,
    /// Of the batch or header, or of the first of several.
    pub offset: u64,
    /// The first command that may be concerned.
    pub first: Sequence,
    /// The last one; the one before the first if no command is.
    pub last: Sequence,
    /// How it is known.
    pub evidence: Evidence,
}

/// How it is known that something is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Evidence {
    /// It contradicts itself, or what stands before it.
    #[error("{0}")]
    Fault(Fault),
    /// What stands behind it carries another hash.
    #[error("this was changed, or what stood behind it deleted: the next link carries another hash")]
    Unlinked,
    /// A checkpoint names another link here.
    #[error(
        "this was written anew: the chain is whole, but it is not the one that was signed at the checkpoint of command \
         {checkpoint}"
    )]
    Rewritten {
        /// The first checkpoint that does not agree.
        checkpoint: Sequence,
    },
    /// A checkpoint names a command that is not there.
    #[error("the journal ends with command {end}, and was signed at the checkpoint of command {checkpoint}")]
    CutShort {
        /// The journal's last command.
        end: Sequence,
        /// The first checkpoint that is not reached.
        checkpoint: Sequence,
    },
}

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The journal cannot be read at all.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A checkpoint is not of this journal.
    #[error(
        "the checkpoint of command {sequence} is of journal {found} (venue {venue}, shard {shard}), and this is journal \
         {expected}: give the checkpoints of this journal"
    )]
    Foreign {
        /// Which checkpoint.
        sequence: Sequence,
        /// Whose it is.
        found: JournalId,
        /// Its venue.
        venue: u32,
        /// Its shard.
        shard: u32,
        /// The journal's id.
        expected: JournalId,
    },
}

/// Reads the journal of a data folder to its end, or to the first place that is not whole, and compares the links that
/// `checkpoints` name. Their signatures are the caller's concern.
pub fn audit(
    directory: &Path,
    checkpoints: &[Checkpoint],
    progress: &mut dyn FnMut(Progress),
) -> Result<Audit, AuditError> {
    let reader = Reader::open(directory)?;
    let identity = *reader.identity();
    let is_foreign = |checkpoint: &&Checkpoint| {
        (checkpoint.journal, checkpoint.venue, checkpoint.shard) != (identity.journal, identity.venue, identity.shard)
    };
    if let Some(&Checkpoint { sequence, journal: found, venue, shard, .. }) = checkpoints.iter().find(is_foreign) {
        return Err(AuditError::Foreign { sequence, found, venue, shard, expected: identity.journal });
    }
    let mut ahead = checkpoints.to_vec();
    ahead.sort_by_key(|checkpoint| core::cmp::Reverse(checkpoint.link.last));
    let journal = JournalFolder::of(directory)?;
    let beginning = BatchPlace { segment: SegmentNumber::FIRST, offset: 0 };
    let auditor = Auditor {
        reader,
        ahead,
        agreed_count: 0,
        behind_agreed: Named { place: beginning, first: Sequence(1), last: Sequence::NONE },
        disagreed: None,
        batch: None,
        findings: Vec::new(),
        journal,
    };
    Ok(auditor.run(progress))
}

/// A batch, or a segment's header, and the commands that it is about.
#[derive(Debug, Clone, Copy)]
struct Named {
    place: BatchPlace,
    first: Sequence,
    last: Sequence,
}

struct Auditor {
    reader: Reader,
    /// By descending place, so that the next is popped.
    ahead: Vec<Checkpoint>,
    agreed_count: u64,
    /// What stands behind the batch that the last checkpoint which agrees names.
    behind_agreed: Named,
    /// Where the first checkpoint that does not agree found another batch.
    disagreed: Option<BatchPlace>,
    /// The last batch that was read.
    batch: Option<Named>,
    findings: Vec<Finding>,
    journal: JournalFolder,
}

impl Auditor {
    fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Audit {
        let error = self.read(progress).err();
        match &error {
            Some(ReadError::Damaged { file, offset, fault }) => self.name_fault(file, *offset, *fault),
            Some(ReadError::Io { .. } | ReadError::NoJournal { .. }) => {}
            None if self.findings.is_empty() => self.name_missing_end(),
            None => {}
        }
        let Self { reader, agreed_count, findings, .. } = self;
        Audit { verified: reader.verified().clone(), error, agreed_count, findings }
    }

    fn read(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), ReadError> {
        while self.reader.next_batch()? {
            self.reader.note_seal()?;
            let batch = self.current();
            self.compare(batch);
            self.batch = Some(batch);
            progress(self.journal.progress(self.reader.end()));
        }
        Ok(())
    }

    fn current(&self) -> Named {
        let (found, _) = self.reader.batch();
        let place = BatchPlace { segment: self.reader.end().0, offset: found.whole.start as u64 };
        Named { place, first: found.header.first, last: Sequence(found.header.next_sequence().0 - 1) }
    }

    /// Compares the checkpoints whose last command is in the batch.
    fn compare(&mut self, batch: Named) {
        let chain = self.reader.verified().chain;
        while let Some(checkpoint) = self.ahead.pop_if(|next| next.link.last <= batch.last) {
            let link = checkpoint.link;
            if (link.segment, link.last, link.hash) == (batch.place.segment, batch.last, chain) {
                self.agreed_count += 1;
                let (segment, offset) = self.reader.end();
                let (place, first) = (BatchPlace { segment, offset }, batch.last.next());
                self.behind_agreed = Named { place, first, last: batch.last };
            } else if self.findings.is_empty() {
                let named = Named { last: link.last, ..self.behind_agreed };
                self.name(named, Evidence::Rewritten { checkpoint: checkpoint.sequence });
                self.disagreed = Some(batch.place);
            }
        }
    }

    /// The journal has ended; checkpoints that are left name what it lacks.
    fn name_missing_end(&mut self) {
        if let Some(checkpoint) = self.ahead.pop() {
            let evidence = Evidence::CutShort { end: self.reader.verified().last, checkpoint: checkpoint.sequence };
            let (segment, offset) = self.reader.end();
            let first = self.reader.verified().last.next();
            self.name(Named { place: BatchPlace { segment, offset }, first, last: checkpoint.link.last }, evidence);
        }
    }

    /// What stands where reading ended, or what stands before it, or both.
    ///
    /// Of two links that do not fit, the second is as it was written if the one behind it carries its hash.
    fn name_fault(&mut self, file: &Path, offset: u64, fault: Fault) {
        let lacking = match fault {
            Fault::SequenceGap { found, .. } | Fault::SegmentFirst { found, .. } => Some(Sequence(found.0.max(1) - 1)),
            _ => None,
        };
        let is_misplaced = lacking.is_some() || matches!(fault, Fault::Chain | Fault::Stale { .. });
        let before = self.reader.verified().chain;
        let here = self.reader.link_at(usize::try_from(offset).unwrap_or(usize::MAX));
        let is_doubled = here.as_ref().is_some_and(|here| here.hash == before);
        if !is_doubled && here.as_ref().is_some_and(|here| here.previous != before) {
            if self.batch.is_some_and(|batch| Some(batch.place) == self.disagreed) {
                self.findings.clear();
            }
            self.name(self.before(offset), Evidence::Unlinked);
        }
        let is_as_written = !is_doubled && here.as_ref().is_some_and(|here| here.is_carried == Some(true));
        if !is_misplaced || lacking.is_some() || !is_as_written {
            let read = self.reader.verified().last;
            let (first, last) = here.and_then(|here| here.commands).unwrap_or((read.next(), read));
            let (first, last) = (first.min(read.next()), last.max(lacking.unwrap_or(last)));
            self.findings.push(Finding {
                file: file.to_owned(),
                offset,
                first,
                last,
                evidence: Evidence::Fault(fault),
            });
        }
    }

    /// The link before the one at which reading ended: a batch, or the header of the segment.
    fn before(&self, offset: u64) -> Named {
        let segment = self.reader.end().0;
        let read = self.reader.verified().last;
        let header = Named { place: BatchPlace { segment, offset: 0 }, first: read.next(), last: read };
        self.batch.filter(|batch| offset == 0 || batch.place.segment == segment).unwrap_or(header)
    }

    fn name(&mut self, named: Named, evidence: Evidence) {
        let Named { place, first, last } = named;
        let file = place.file(self.reader.folder());
        self.findings.push(Finding { file, offset: place.offset, first, last, evidence });
    }
}

/// Where the segments begin, if they stood one behind the other.
struct JournalFolder {
    beginnings: Vec<u64>,
    total_bytes: u64,
}

impl JournalFolder {
    fn of(directory: &Path) -> Result<Self, ReadError> {
        let storage = DirectoryStorage::new(directory.join(JOURNAL_FOLDER));
        let (mut beginnings, mut total_bytes) = (Vec::new(), 0);
        for number in segment_numbers(&storage)? {
            let file = storage.path().join(number.file_name());
            let length = file.metadata().map_err(|source| ReadError::Io { file, source })?.len();
            beginnings.push(total_bytes);
            total_bytes += length;
        }
        Ok(Self { beginnings, total_bytes })
    }

    /// How far that is. A segment that has come since then begins at the end.
    fn progress(&self, (segment, offset): (SegmentNumber, u64)) -> Progress {
        let index = usize::try_from(segment.0 - 1).unwrap_or(usize::MAX);
        let bytes = self.beginnings.get(index).unwrap_or(&self.total_bytes) + offset;
        Progress { bytes, total_bytes: self.total_bytes.max(bytes) }
    }
}
