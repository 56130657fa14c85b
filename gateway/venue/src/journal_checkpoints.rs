//! Signed checkpoints outside of a data folder: JSON lines, to be kept where whoever can write the journal cannot.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use engine::{Sequence, Timestamp};
use journal::checkpoint::Link;
use journal::layout::BLOCK_COMMANDS;
use journal::{ChainHash, Checkpoint, Digest, JournalId, SegmentNumber, SignedCheckpoint, SnapshotStore};
use serde::{Deserialize, Serialize};

use crate::admin::signature::bytes;
use crate::admin::value::TimeText;
use crate::arguments::{JournalArguments, VerifyArguments};
use crate::data_folder::hexadecimal;
use crate::exit::Exit;
use crate::journal_tools::{self, Failed};

/// No line is longer.
const LINE_BYTES_MAX: u64 = 4_096;

/// A checkpoint on a line. Hexadecimal: journal, digests, hash, key, signature.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointLine {
    journal: String,
    venue: u32,
    shard: u32,
    sequence: u64,
    time: u64,
    events: u64,
    event_digest: String,
    state_digest: String,
    segment: u64,
    segment_last: u64,
    hash: String,
    key: String,
    signature: String,
}

/// Why checkpoints cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFileError {
    /// The operating system failed.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A line is no checkpoint.
    #[error("{}, line {line}: {reason}; `rialto journal checkpoints DIR --json` writes such a file", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint is not what was signed.
    #[error(
        "{}, line {line}: the signature of the checkpoint of command {sequence} does not hold: it was changed, or signed \
         with another key than it names",
        file.display()
    )]
    Signature {
        /// The file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Which checkpoint.
        sequence: Sequence,
    },
    /// A checkpoint was signed with another key.
    #[error("{}, line {line}: the checkpoint of command {sequence} was signed with key {found}, not with {expected}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Which checkpoint.
        sequence: Sequence,
        /// Its key.
        found: String,
        /// The key that was asked for, or that of the lines before.
        expected: String,
    },
    /// The key that was asked for is none.
    #[error("--key: {0:?} is no public key: 64 hexadecimal digits")]
    NoKey(String),
    /// Nothing to compare with.
    #[error("{}: there is no checkpoint in it", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// Lists the checkpoints of a data folder; with `--json` as lines that a journal can be verified against.
pub fn run(arguments: &JournalArguments) -> Exit {
    let checkpoints = match SnapshotStore::open(&arguments.directory).checkpoints() {
        Ok(checkpoints) => checkpoints,
        Err(error) => return journal_tools::print_outcome::<(), _>(Err(error), arguments.json),
    };
    journal_tools::write_out(Exit::Done, |out| {
        if arguments.json {
            let mut lines = checkpoints.iter().map(CheckpointLine::from);
            lines.try_for_each(|line| writeln!(out, "{}", serde_json::to_string(&line)?))
        } else {
            write_table(out, &checkpoints)
        }
    })
}

fn write_table(out: &mut impl Write, checkpoints: &[SignedCheckpoint]) -> io::Result<()> {
    writeln!(out, "{:>12} {:>12} {:<30} {:>8} {:<18} {:<18}", "command", "events", "time", "segment", "link", "key")?;
    for SignedCheckpoint { checkpoint, key, .. } in checkpoints {
        let (hash, key) = (checkpoint.link.hash.to_string(), hexadecimal(key));
        let (sequence, events, segment) = (checkpoint.sequence.0, checkpoint.event_count, checkpoint.link.segment.0);
        let time = TimeText(checkpoint.time).to_string();
        writeln!(out, "{sequence:>12} {events:>12} {time:<30} {segment:>8} {:.16}…  {:.16}…", hash, key)?;
    }
    Ok(())
}

/// The checkpoints that a journal is to be verified against, all of them signed, with one key; none if none were given.
pub fn given(arguments: &VerifyArguments) -> Result<Vec<SignedCheckpoint>, CheckpointFileError> {
    let Some(file) = &arguments.against else { return Ok(Vec::new()) };
    let key = match &arguments.key {
        Some(text) => Some(bytes(text).ok_or_else(|| CheckpointFileError::NoKey(text.clone()))?),
        None => None,
    };
    read(file, key)
}

/// The checkpoints of a file, all of them signed with one key: `key`, if it is said.
pub fn read(file: &Path, key: Option<[u8; 32]>) -> Result<Vec<SignedCheckpoint>, CheckpointFileError> {
    let io_error = |source| CheckpointFileError::Io { file: file.to_owned(), source };
    let mut input = BufReader::new(File::open(file).map_err(io_error)?);
    let (mut checkpoints, mut key) = (Vec::new(), key);
    for line in 1.. {
        let mut text = Vec::new();
        let length = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text).map_err(io_error)?;
        if length == 0 {
            break;
        }
        let checkpoint =
            parse(&text).map_err(|reason| CheckpointFileError::Malformed { file: file.to_owned(), line, reason })?;
        let sequence = checkpoint.checkpoint.sequence;
        if !checkpoint.is_signed() {
            return Err(CheckpointFileError::Signature { file: file.to_owned(), line, sequence });
        }
        let expected = *key.get_or_insert(checkpoint.key);
        if checkpoint.key != expected {
            let (found, expected) = (hexadecimal(&checkpoint.key), hexadecimal(&expected));
            return Err(CheckpointFileError::Key { file: file.to_owned(), line, sequence, found, expected });
        }
        checkpoints.push(checkpoint);
    }
    if checkpoints.is_empty() { Err(CheckpointFileError::Empty { file: file.to_owned() }) } else { Ok(checkpoints) }
}

fn parse(text: &[u8]) -> Result<SignedCheckpoint, String> {
    let line: CheckpointLine = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if line.sequence == 0 || !line.sequence.is_multiple_of(BLOCK_COMMANDS) || line.segment_last < line.sequence {
        return Err("sequence and segment_last are no place of a checkpoint".to_owned());
    }
    line.checkpoint().ok_or_else(|| "a value is not the hexadecimal digits that it should be".to_owned())
}

impl CheckpointLine {
    fn checkpoint(&self) -> Option<SignedCheckpoint> {
        let link = Link {
            segment: SegmentNumber(self.segment),
            last: Sequence(self.segment_last),
            hash: ChainHash(bytes(&self.hash)?),
        };
        let checkpoint = Checkpoint {
            journal: JournalId(bytes(&self.journal)?),
            venue: self.venue,
            shard: self.shard,
            sequence: Sequence(self.sequence),
            time: Timestamp(self.time),
            event_count: self.events,
            event_digest: Digest(bytes(&self.event_digest)?),
            state_digest: Digest(bytes(&self.state_digest)?),
            link,
        };
        Some(SignedCheckpoint { checkpoint, key: bytes(&self.key)?, signature: bytes(&self.signature)? })
    }
}

impl From<&SignedCheckpoint> for CheckpointLine {
    fn from(signed: &SignedCheckpoint) -> Self {
        let SignedCheckpoint { checkpoint, key, signature } = signed;
        Self {
            journal: checkpoint.journal.to_string(),
            venue: checkpoint.venue,
            shard: checkpoint.shard,
            sequence: checkpoint.sequence.0,
            time: checkpoint.time.0,
            events: checkpoint.event_count,
            event_digest: checkpoint.event_digest.to_string(),
            state_digest: checkpoint.state_digest.to_string(),
            segment: checkpoint.link.segment.0,
            segment_last: checkpoint.link.last.0,
            hash: checkpoint.link.hash.to_string(),
            key: hexadecimal(key),
            signature: hexadecimal(signature),
        }
    }
}

impl Failed for CheckpointFileError {
    fn exit(&self) -> Exit {
        match self {
            Self::Io { .. } => Exit::InputOutput,
            Self::Malformed { .. } | Self::NoKey(_) | Self::Empty { .. } => Exit::Usage,
            Self::Signature { .. } | Self::Key { .. } => Exit::Differs,
        }
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Io { file, .. }
            | Self::Malformed { file, .. }
            | Self::Signature { file, .. }
            | Self::Key { file, .. }
            | Self::Empty { file } => (Some(file), None),
            Self::NoKey(_) => (None, None),
        }
    }
}
