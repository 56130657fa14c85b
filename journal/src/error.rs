//! What can go wrong, one enum a phase, each saying where, why, and what an operator can do.
//!
//! A failing environment is an error; a bug of ours is a panic; damage is an error that names file, offset and
//! [`Fault`]. What an operator can do comes from the [table of decisions](State).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use engine::Sequence;
use engine::canonical::DecodeError;

use crate::decision::State;
use crate::digest::{Block, Digest};
use crate::segment::{JournalId, SegmentNumber};

/// What is wrong with bytes that should be a segment or a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is shorter than what it should hold.
    #[error("the file ends inside it")]
    FileEnds,
    /// Written by another version of the format.
    #[error("format version {version} is unknown to this build")]
    Version {
        /// The version found.
        version: u16,
    },

    /// A segment does not begin as one.
    #[error("no segment header begins here")]
    SegmentMagic,
    /// A segment header's bytes disagree with its checksum.
    #[error("the segment header's checksum does not match")]
    SegmentChecksum,
    /// A segment header's fields contradict one another.
    #[error("the segment header's fields are out of range")]
    SegmentHeader,
    /// A file that ends as segments do, but has no segment's name.
    #[error("this is not a segment's name: eight digits and .seg")]
    SegmentName,
    /// A segment says that it is another one: it was copied or renamed.
    #[error("the segment's header says that it is segment {}", found.0)]
    SegmentNumber {
        /// The number found.
        found: SegmentNumber,
    },
    /// A segment is missing before this one.
    #[error("segment {} is missing before it", missing.0)]
    SegmentMissing {
        /// The first one missing.
        missing: SegmentNumber,
    },
    /// A segment of another journal, venue, shard or engine.
    #[error("the segment belongs to another journal than the first segment")]
    SegmentForeign,
    /// A segment does not begin where the one before ends.
    #[error("the segment begins at sequence {found}, the one before ends before sequence {expected}")]
    SegmentFirst {
        /// The first sequence expected.
        expected: Sequence,
        /// The first sequence found.
        found: Sequence,
    },

    /// No batch begins where one should.
    #[error("neither a batch nor zeros begin here")]
    BatchMagic,
    /// A batch header's bytes disagree with its checksum.
    #[error("the batch header's checksum does not match")]
    BatchChecksum,
    /// A batch header's fields contradict one another.
    #[error("the batch header's fields are out of range")]
    BatchHeader,
    /// Zeros where a batch should be, and something behind them.
    #[error("zeros stand where a batch should, and something else behind them")]
    Hole,
    /// Padding is not zero.
    #[error("the padding is not zero")]
    Padding,

    /// A record does not fit its batch, or its length is impossible.
    #[error("record {index} does not fit its frame")]
    RecordFrame {
        /// Place in the batch, from 0.
        index: u32,
    },
    /// A record whose checksum matches has no value of its kind.
    #[error("record {index} has a matching checksum and no value of its kind")]
    RecordValue {
        /// Place in the batch, from 0.
        index: u32,
    },
    /// A record whose checksum matches is of a kind that this build does not know.
    #[error("record {index} is of unknown kind {kind}")]
    RecordKind {
        /// Place in the batch, from 0.
        index: u32,
        /// The kind found.
        kind: u16,
    },
    /// A record's bytes disagree with its checksum.
    #[error("record {index}: the checksum does not match")]
    RecordChecksum {
        /// Place in the batch, from 0.
        index: u32,
    },
    /// A record's number is not the one that belongs there.
    #[error("record {index} carries number {found} where the next sequence is {next}")]
    RecordNumber {
        /// Place in the batch, from 0.
        index: u32,
        /// The sequence or block found.
        found: u64,
        /// The next command's sequence.
        next: Sequence,
    },
    /// Header and records disagree on how many there are.
    #[error("the header counts other records than there are")]
    RecordCount,
    /// A record whose checksum matches is not a value that this build knows.
    #[error("a record does not decode: {0}")]
    Undecodable(DecodeError),

    /// A link does not carry the hash of the one before.
    #[error("the chain is broken: this does not carry the hash of what stands before it")]
    Chain,
    /// Batches are missing before this one.
    #[error("sequences are missing: {found} stands where {expected} should")]
    SequenceGap {
        /// The first sequence expected.
        expected: Sequence,
        /// The first sequence found.
        found: Sequence,
    },
    /// A batch from before, again.
    #[error("an old batch, from sequence {found}, stands where sequence {expected} should")]
    Stale {
        /// The first sequence expected.
        expected: Sequence,
        /// The first sequence found.
        found: Sequence,
    },
    /// What was durable is not there.
    #[error("command {durable} was made durable, but the journal ends here: it is an older copy, or the file was cut")]
    Lost {
        /// The last command that is known to have been durable.
        durable: Sequence,
    },
    /// A term is less than one before it.
    #[error("the term goes back from {before} to {found}")]
    TermWentBack {
        /// The term before.
        before: u64,
        /// The term found.
        found: u64,
    },
}

/// Why a journal cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder holds no journal.
    #[error("{} holds no journal: {}", directory.display(), State::NoJournal.advice())]
    NoJournal {
        /// The folder that was given.
        directory: PathBuf,
    },
    /// The operating system failed.
    #[error("{}: {source}: {}", file.display(), State::Unreadable.advice())]
    Io {
        /// Which file or folder.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Bytes that were acknowledged are not what was written.
    #[error(
        "{} is damaged at offset {offset}: {fault}: the file is left as it is; {}",
        file.display(),
        State::from(fault).advice()
    )]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        fault: Fault,
    },
}

/// Why a journal cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is locked: {}", lock.display(), State::Locked.advice())]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// What is there cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was recovered, or a new segment, cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The operating system failed.
    #[error("{}: {source}: {}", file.display(), State::Unreadable.advice())]
    Io {
        /// Which file or folder.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The journal was made for another venue or engine.
    #[error("{} was made with another {what}: {}", directory.display(), State::Different.advice())]
    Different {
        /// The data folder.
        directory: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The journal begins with a version of the matching rules that this build does not carry.
    #[error(
        "{} begins with behaviour version {version}, and this build carries versions up to {newest}: nothing was \
         changed; {}",
        directory.display(),
        State::Behaviour.advice()
    )]
    Behaviour {
        /// The data folder.
        directory: PathBuf,
        /// The version in the journal.
        version: u32,
        /// The newest that this build carries.
        newest: u32,
    },
    /// An option is out of range.
    #[error("option {option} is out of range: {range}")]
    Option {
        /// Which.
        option: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// A snapshot shows that the journal has lost something.
    #[error("{}: {fault}", file.display())]
    Snapshot {
        /// The snapshot's file.
        file: PathBuf,
        /// What it shows.
        fault: SnapshotFault,
    },
    /// The head holds commands, but is not this journal's continuation.
    #[error(
        "the head {} does not continue the journal: {fault}: it may hold commands that the disk lacks, and nothing was \
         changed; {}",
        file.display(),
        State::from(fault).advice()
    )]
    Head {
        /// The head's file.
        file: PathBuf,
        /// Why it was not adopted.
        fault: HeadFault,
    },
}

/// Why a head is not the continuation of its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// It is not a head, or not this version's.
    #[error("its header is not one")]
    Header,
    /// Neither of its marks is whole.
    #[error("neither of its marks is whole")]
    Mark,
    /// Its records do not frame, decode or follow one another.
    #[error("its records do not follow one another")]
    Records,
    /// The batch that it continues is not in the journal: the disk holds less, or another history.
    #[error("the batch that it continues is not on disk")]
    Unknown,
    /// Disk and head hold different bytes for one sequence.
    #[error("disk and head differ at sequence {at}")]
    Differs {
        /// The first one that differs.
        at: Sequence,
    },
    /// The disk goes on behind what the head holds.
    #[error("the disk goes on behind it")]
    Behind,
}

/// Why the writer stopped. It stops at the first failure and never tries again: after a failed sync the kernel may
/// call lost pages clean.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A write or a sync failed.
    #[error(
        "{} at offset {offset}: {operation} failed: {source}: nothing behind it is durable; {}",
        file.display(),
        State::Unwritable.advice()
    )]
    Failed {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// Which operation.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The venue stopped, or is being started, while no segment could be allocated.
    #[error("no new segment could be allocated in {}: {reason}: free space and restart; the head keeps the rest", directory.display())]
    NoSpare {
        /// The journal's folder.
        directory: PathBuf,
        /// What the last attempt said.
        reason: String,
    },
    /// The writer thread panicked: a bug.
    #[error("the journal's writer panicked: this is a bug; restart, and report it")]
    Panicked,
}

/// Why a command was not taken. It was not applied either, and never will be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The writer has failed: nothing more becomes durable in this process.
    #[error("the journal is poisoned and takes no commands: {0}")]
    Poisoned(Arc<WriteError>),
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal cannot be read any further.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A thread could not be started.
    #[error("a thread for the replay could not be started: {0}: check the limits on processes and memory")]
    Thread(#[from] io::Error),
    /// The journal needs another version of the matching rules.
    #[error(
        "the journal has behaviour version {version} from command {from} on, and this build carries versions up to \
         {newest}: {}",
        State::Behaviour.advice()
    )]
    Behaviour {
        /// The version in the journal.
        version: u32,
        /// The first command that needs it.
        from: Sequence,
        /// The newest that this build carries.
        newest: u32,
    },
    /// A command does not follow the one before: its sequence or its time is not the next.
    #[error(
        "{} at offset {offset}: command {found} does not follow command {last} in sequence and time: {}",
        file.display(),
        State::OutOfOrder.advice()
    )]
    Discontinuity {
        /// Which file.
        file: PathBuf,
        /// Of the batch.
        offset: u64,
        /// The command before.
        last: Sequence,
        /// The command found.
        found: Sequence,
    },
    /// Replaying yields other events than the venue published.
    #[error(
        "{} at offset {offset}: the events of block {block} have digest {computed}, the journal says {recorded}: this \
         build does not repeat what the venue did; {}",
        file.display(),
        State::Differs.advice()
    )]
    Differs {
        /// Which file.
        file: PathBuf,
        /// Of the batch that holds the digest.
        offset: u64,
        /// The block of 1,024 sequences.
        block: Block,
        /// What was recorded.
        recorded: Digest,
        /// What this build computes.
        computed: Digest,
    },
}

/// Why a snapshot is not what a venue begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFault {
    /// Its bytes are not what was written.
    #[error("the snapshot is not whole: {}", State::SnapshotDamaged.advice())]
    Damaged,
    /// It is known to have been taken, and is not there.
    #[error("the newest snapshot that was taken is missing: {}", State::SnapshotMissing.advice())]
    Missing,
    /// Its file is of another version of the format.
    #[error("snapshot version {version} is unknown to this build: {}", State::SnapshotVersion.advice())]
    Version {
        /// The version found.
        version: u16,
    },
    /// It is whole, and this build's engine does not take it.
    #[error("the snapshot is not one that this build's engine takes: {}", State::SnapshotVersion.advice())]
    Unreadable,
    /// It is another journal's.
    #[error("the snapshot belongs to journal {journal}: {}", State::SnapshotForeign.advice())]
    Foreign {
        /// Whose.
        journal: JournalId,
    },
    /// The journal has another batch where it was taken.
    #[error(
        "the snapshot of command {sequence} is of another history than the journal: {}",
        State::SnapshotOtherHistory.advice()
    )]
    OtherHistory {
        /// The last command that the snapshot holds.
        sequence: Sequence,
    },
    /// A replay behind it yields other events than the venue published.
    #[error("the snapshot does not lead to the digest that the journal says: {}", State::SnapshotDiffers.advice())]
    Differs,
    /// It holds what the journal lacks.
    #[error(
        "the snapshot holds commands up to {sequence}, and the journal ends before it, behind {last}: nothing was \
         changed; {}",
        State::SnapshotNewer.advice()
    )]
    Newer {
        /// The last command that the snapshot holds.
        sequence: Sequence,
        /// The last command of the journal.
        last: Sequence,
    },
}
