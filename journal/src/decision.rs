//! What is done with what is found: one row for each state of a journal, its head and its snapshots.
//!
//! The rule: only a tail that nobody was told of is ever cut. Everything else that is not as it was written stops the
//! venue, changes nothing, and says where, why, and what an operator can do.
//!
//! Errors take their advice from here, and which faults an interrupted write can leave is said here. `tests/decisions.rs`
//! makes each state on a real folder and compares; `docs/JOURNAL_FORMAT.md` holds the same table.

use crate::error::{Fault, HeadFault, OpenError, ReadError, ReplayError, SnapshotFault};
use crate::recovery::{HeadOutcome, Recovery};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The venue starts.
    GoOn,
    /// What nobody was told of is cut, and the venue starts.
    CutAndGoOn,
    /// What only the head holds is made durable, and the venue starts.
    AdoptAndGoOn,
    /// An older snapshot is used, or the whole journal if there is none.
    UseOlder,
    /// The venue does not start, and nothing is changed.
    Refuse,
}

impl Action {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::GoOn => "go on",
            Self::CutAndGoOn => "cut and go on",
            Self::AdoptAndGoOn => "adopt and go on",
            Self::UseOlder => "use an older snapshot, or the whole journal",
            Self::Refuse => "refuse",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What is found.
    pub found: &'static str,
    /// The type that tells it.
    pub told_by: &'static str,
    /// What is done.
    pub action: Action,
    /// What is reported: a part of the message. Empty: nothing.
    pub reported: &'static str,
    /// What an operator can do. Empty: nothing has to be done.
    pub advice: &'static str,
}

/// Declares the states with their rows, so that none lacks one.
macro_rules! states {
    ($($state:ident, $told_by:literal, $action:ident: $found:literal; $reported:literal; $advice:literal;)*) => {
        /// A state in which a journal can be found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum State {
            $(#[doc = $found] $state,)*
        }

        impl State {
            /// All states, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$state,)*];

            /// The state's row.
            pub const fn decision(self) -> Decision {
                match self {
                    $(Self::$state => Decision {
                        found: $found,
                        told_by: $told_by,
                        action: Action::$action,
                        reported: $reported,
                        advice: $advice,
                    },)*
                }
            }
        }
    };
}

states! {
    // The journal as a whole.
    New, "Recovery::found", GoOn:
        "no segment"; "a new journal was begun"; "";
    Whole, "Recovery::found", GoOn:
        "every batch is whole and linked; no seal at the end"; "the journal is whole"; "";
    Sealed, "Verified::seal", GoOn:
        "the same, and the last batch holds a seal"; "the journal is whole and sealed"; "";
    TornTail, "Cut", CutAndGoOn:
        "behind the last good batch, bytes as an interrupted write leaves them, and no batch that belongs behind them";
        "a torn tail was cut";
        "";
    TornSegment, "Cut", CutAndGoOn:
        "the last of several segments has no whole header, and no batch that belongs in it";
        "a segment without a whole header was set aside";
        "keep the .cut file until it is known why; it held nothing that was acknowledged";
    SpareLeft, "", GoOn:
        "a segment that was being made ready; it is removed"; ""; "";

    // The head.
    HeadAbsent, "HeadOutcome::Absent", GoOn:
        "no head: an orderly shutdown, or another start of the machine"; ""; "";
    HeadOtherBoot, "HeadOutcome::OtherBoot", GoOn:
        "a head from before the machine's last start";
        "the head is from before the machine's last start and was not used";
        "what was acknowledged as buffered only may be lost: compare with what clients were told";
    HeadContinues, "HeadOutcome::Adopted", AdoptAndGoOn:
        "the head continues the disk, and where both hold a command it is the same"; "the head was adopted"; "";
    HeadHalfMarked, "HeadOutcome::Adopted", AdoptAndGoOn:
        "one of the head's two marks is torn, the other continues the disk"; "the head was adopted"; "";
    HeadMark, "HeadFault::Mark", Refuse:
        "both of the head's marks are torn"; "neither of its marks is whole";
        "move it away only if what the disk lacks may be lost";
    HeadForeign, "HeadFault::Header", Refuse:
        "the head's file is no head, another version's, or another journal's"; "its header is not one";
        "move it away only if what the disk lacks may be lost";
    HeadRecords, "HeadFault::Records", Refuse:
        "the head's records do not follow one another"; "its records do not follow one another";
        "move it away only if what the disk lacks may be lost";
    HeadUnknown, "HeadFault::Unknown", Refuse:
        "the head continues a batch that the disk lacks: the disk is an older copy"; "is not on disk";
        "bring back the newest copy of the journal; move the head away only if what the disk lacks may be lost";
    HeadDiffers, "HeadFault::Differs", Refuse:
        "head and disk hold different commands for one sequence"; "disk and head differ at sequence";
        "the journal was continued elsewhere: decide which history counts, and move the other away";
    HeadBehind, "HeadFault::Behind", Refuse:
        "the disk holds commands that the head should hold and does not"; "the disk goes on behind it";
        "the journal was continued elsewhere: decide which history counts, and move the other away";

    // Segments.
    SegmentName, "Fault::SegmentName", Refuse:
        "a file ends as segments do and has no segment's name"; "not a segment's name";
        "rename the file, or move it out of the folder";
    SegmentMissing, "Fault::SegmentMissing", Refuse:
        "a segment is missing before another one"; "is missing before it";
        "bring the missing segment back from a copy or a follower";
    SegmentNumber, "Fault::SegmentNumber", Refuse:
        "a segment under another one's name: copied, renamed, doubled"; "says that it is segment";
        "give the file its own name, or move it out of the folder if it is a copy";
    SegmentForeign, "Fault::SegmentForeign", Refuse:
        "a segment of another journal"; "belongs to another journal";
        "bring the journal's own segment back from a copy or a follower";
    SegmentFirst, "Fault::SegmentFirst", Refuse:
        "the segment before ends before this one begins: it was cut, or is an older copy"; "the segment begins at sequence";
        "restore the segment before it from a copy or a follower";
    SegmentHeader, "Fault::SegmentMagic, Fault::SegmentChecksum", Refuse:
        "a segment's header is not as it was written, and the segment is not the last or holds batches";
        "segment header";
        "restore the file from a copy or a follower";

    // Batches and records.
    Bytes, "Fault::BatchMagic, Fault::BatchChecksum, Fault::Padding, Fault::RecordFrame, Fault::RecordChecksum", Refuse:
        "bytes of a batch are not as they were written, and a batch or segment follows";
        "is damaged at offset";
        "restore the file from a copy or a follower";
    Hole, "Fault::Hole", Refuse:
        "zeros where a batch should be, and a batch follows"; "zeros stand where a batch should";
        "restore the file from a copy or a follower";
    CutShort, "Fault::FileEnds", Refuse:
        "a file ends inside a batch or a header, and a segment follows"; "the file ends inside it";
        "restore the file from a copy or a follower";
    Contradiction,
        "Fault::SegmentHeader, Fault::BatchHeader, Fault::RecordCount, Fault::RecordNumber, Fault::RecordValue", Refuse:
        "checksums match what they cover, and yet it contradicts itself: it was written so, wherever it stands";
        "is damaged at offset";
        "keep the folder and report it: no fault of a disk leaves this";
    UnknownRecord, "Fault::RecordKind, Fault::Undecodable", Refuse:
        "a record whose checksum matches, of a kind or with a value that this build does not know";
        "is damaged at offset";
        "use the build that wrote the journal, or a newer one";
    Version, "Fault::Version", Refuse:
        "a segment or batch of another version of the format"; "is unknown to this build";
        "use the build that wrote the journal, or a newer one";
    Chain, "Fault::Chain", Refuse:
        "a whole batch or segment that does not carry the hash of what stands before it: another history's";
        "the chain is broken";
        "restore the file from a copy or a follower of this history";
    Gap, "Fault::SequenceGap", Refuse:
        "a whole batch with a later sequence than the next"; "sequences are missing";
        "restore the file from a copy or a follower";
    Stale, "Fault::Stale", Refuse:
        "a whole batch from before, where another one should be, and a batch or segment follows"; "an old batch";
        "restore the file from a copy or a follower";
    TermBack, "Fault::TermWentBack", Refuse:
        "a term less than one before it"; "the term goes back";
        "a former leader went on: restore the journal from the leader of the highest term";
    Lost, "Fault::Lost", Refuse:
        "who follows is told that a command is durable, and the disk lacks it"; "was made durable, but the journal ends here";
        "bring back the newest copy of the journal, or follow another folder";

    // What the journal was made for.
    Different, "OpenError::Different", Refuse:
        "another venue, shard or capacity than the venue is started with, or a later term"; "was made with another";
        "start with the same, or with a new folder";
    Behaviour, "OpenError::Behaviour, ReplayError::Behaviour", Refuse:
        "a version of the matching rules that this build does not carry, at the beginning or from a command on; one that \
         it carries is replayed under that version";
        "behaviour version";
        "use a build that carries it";
    Differs, "ReplayError::Differs", Refuse:
        "the events that a replay yields have another digest than the journal says"; "does not repeat what the venue did";
        "use the build that wrote the journal";
    OutOfOrder, "ReplayError::Discontinuity", Refuse:
        "a command's time is before the one before it, or a replay does not begin with the first command";
        "does not follow command";
        "keep the folder and report it: no fault of a disk leaves this";
    ClockBehind, "Clock::behind_at_start", GoOn:
        "the wall clock is behind the journal's last command";
        "behind the journal's last command: the venue's time goes on from there";
        "set the clock; if it is right, the one before was ahead: dated orders end by the venue's time";

    // The folder.
    NoJournal, "ReadError::NoJournal", Refuse:
        "no segment, and the journal is only to be read"; "holds no journal";
        "give the folder that was given as --data or --journal";
    Locked, "OpenError::Locked", Refuse:
        "another process has locked the folder, or the journal's head"; "is locked";
        "another process runs on this data folder; stop it first, or use another folder. A name that ends in .head: this \
         folder is a copy of one whose venue runs";
    Unreadable, "OpenError::Io, ReadError::Io", Refuse:
        "the system does not let a file or folder be read or opened for writing: rights, a read-only file system";
        "os error";
        "check that it exists, may be read and written, and that its disk works and has room";
    Unwritable, "OpenError::Write", Refuse:
        "a write or sync fails while the tail is cut, the head adopted or a segment made; that can be repeated";
        "nothing behind it is durable";
        "repair the disk and restart";

    // Snapshots.
    SnapshotNone, "Start::snapshot", GoOn:
        "no snapshot that can be used"; ""; "";
    SnapshotGood, "Start::snapshot", GoOn:
        "a whole snapshot of this journal, at or before its end"; "the state was restored from a snapshot"; "";
    SnapshotDamaged, "SnapshotFault::Damaged", UseOlder:
        "a snapshot that is not as it was written"; "is not whole"; "move it away; the disk may be failing";
    SnapshotMissing, "SnapshotFault::Missing", UseOlder:
        "a superblock names a snapshot that is not there"; "is missing";
        "nothing, if it was moved away on purpose";
    SnapshotVersion, "SnapshotFault::Version, SnapshotFault::Unreadable", UseOlder:
        "a whole snapshot of another version of the format, or that the engine does not take"; "this build";
        "none: another build took it, and the next one replaces it";
    SnapshotForeign, "SnapshotFault::Foreign", UseOlder:
        "a snapshot of another journal"; "belongs to journal"; "move it to the folder that it belongs to";
    SnapshotOtherHistory, "SnapshotFault::OtherHistory", UseOlder:
        "a snapshot of this journal's name, and the journal has another batch where it was taken";
        "of another history than the journal";
        "move it away: it was taken before the journal was brought back to an earlier point and went on from there";
    SnapshotDiffers, "SnapshotFault::Differs", UseOlder:
        "a snapshot behind which a replay yields another digest than the journal says"; "does not lead to";
        "keep it and report it";
    SnapshotNewer, "SnapshotFault::Newer", Refuse:
        "a snapshot of this journal, or a superblock, from behind its end: the journal lacks what was durable";
        "the journal ends before it";
        "bring back the newest copy of the journal; move the folder snapshots away only if what the journal lacks may be \
         lost";
    SnapshotUnwritable, "SnapshotError::Io, SnapshotError::ReadBack", GoOn:
        "a snapshot cannot be written, or does not read back; what was published before stays, and the venue runs";
        "";
        "no snapshot was taken; give its disk room, or repair it";
}

impl State {
    /// What an operator can do.
    pub const fn advice(self) -> &'static str {
        self.decision().advice
    }

    /// Whether an interrupted write can leave a batch so. What has matching checksums it cannot leave, but for an old
    /// batch, which the file system may have brought back.
    pub(crate) const fn is_a_torn_batch(self) -> bool {
        matches!(self, Self::Bytes | Self::Hole | Self::CutShort | Self::Stale)
    }

    /// Whether an interrupted write can leave a segment's header so.
    pub(crate) const fn is_a_torn_header(self) -> bool {
        matches!(self, Self::SegmentHeader | Self::CutShort)
    }

    /// What a refused opening has found; nothing if an option was out of range.
    pub fn of_open_error(error: &OpenError) -> Option<Self> {
        Some(match error {
            OpenError::Locked { .. } => Self::Locked,
            OpenError::Read(error) => error.into(),
            OpenError::Write(_) => Self::Unwritable,
            OpenError::Io { .. } => Self::Unreadable,
            OpenError::Different { .. } => Self::Different,
            OpenError::Behaviour { .. } => Self::Behaviour,
            OpenError::Option { .. } => return None,
            OpenError::Head { fault, .. } => fault.into(),
            OpenError::Snapshot { fault, .. } => fault.into(),
        })
    }

    /// What a replay has found that stopped; nothing if the system gave it no thread.
    pub fn of_replay_error(error: &ReplayError) -> Option<Self> {
        Some(match error {
            ReplayError::Read(error) => error.into(),
            ReplayError::Thread(_) => return None,
            ReplayError::Behaviour { .. } => Self::Behaviour,
            ReplayError::Discontinuity { .. } => Self::OutOfOrder,
            ReplayError::Differs { .. } => Self::Differs,
        })
    }

    /// What an opening has found, and gone on with.
    pub fn of_recovery(recovery: &Recovery) -> Vec<Self> {
        let journal = match &recovery.found {
            None => Self::New,
            Some(found) if found.cut.is_some() && recovery.set_aside.is_some() => Self::TornSegment,
            Some(found) if found.cut.is_some() => Self::TornTail,
            Some(found) if found.seal.is_some() => Self::Sealed,
            Some(_) => Self::Whole,
        };
        let head = match recovery.head {
            HeadOutcome::Absent => Self::HeadAbsent,
            HeadOutcome::OtherBoot => Self::HeadOtherBoot,
            HeadOutcome::Adopted { .. } => Self::HeadContinues,
        };
        vec![journal, head]
    }
}

impl From<&Fault> for State {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::FileEnds => Self::CutShort,
            Fault::Version { .. } => Self::Version,
            Fault::SegmentMagic | Fault::SegmentChecksum => Self::SegmentHeader,
            Fault::SegmentName => Self::SegmentName,
            Fault::SegmentNumber { .. } => Self::SegmentNumber,
            Fault::SegmentMissing { .. } => Self::SegmentMissing,
            Fault::SegmentForeign => Self::SegmentForeign,
            Fault::SegmentFirst { .. } => Self::SegmentFirst,
            Fault::BatchMagic
            | Fault::BatchChecksum
            | Fault::Padding
            | Fault::RecordFrame { .. }
            | Fault::RecordChecksum { .. } => Self::Bytes,
            Fault::Hole => Self::Hole,
            Fault::SegmentHeader
            | Fault::BatchHeader
            | Fault::RecordCount
            | Fault::RecordNumber { .. }
            | Fault::RecordValue { .. } => Self::Contradiction,
            Fault::RecordKind { .. } | Fault::Undecodable(_) => Self::UnknownRecord,
            Fault::Chain => Self::Chain,
            Fault::SequenceGap { .. } => Self::Gap,
            Fault::Stale { .. } => Self::Stale,
            Fault::TermWentBack { .. } => Self::TermBack,
            Fault::Lost { .. } => Self::Lost,
        }
    }
}

impl From<&HeadFault> for State {
    fn from(fault: &HeadFault) -> Self {
        match fault {
            HeadFault::Header => Self::HeadForeign,
            HeadFault::Mark => Self::HeadMark,
            HeadFault::Records => Self::HeadRecords,
            HeadFault::Unknown => Self::HeadUnknown,
            HeadFault::Differs { .. } => Self::HeadDiffers,
            HeadFault::Behind => Self::HeadBehind,
        }
    }
}

impl From<&ReadError> for State {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::NoJournal { .. } => Self::NoJournal,
            ReadError::Io { .. } => Self::Unreadable,
            ReadError::Damaged { fault, .. } => fault.into(),
        }
    }
}

impl From<&SnapshotFault> for State {
    fn from(fault: &SnapshotFault) -> Self {
        match fault {
            SnapshotFault::Damaged => Self::SnapshotDamaged,
            SnapshotFault::Missing => Self::SnapshotMissing,
            SnapshotFault::Version { .. } | SnapshotFault::Unreadable => Self::SnapshotVersion,
            SnapshotFault::OtherHistory { .. } => Self::SnapshotOtherHistory,
            SnapshotFault::Foreign { .. } => Self::SnapshotForeign,
            SnapshotFault::Differs => Self::SnapshotDiffers,
            SnapshotFault::Newer { .. } => Self::SnapshotNewer,
        }
    }
}
