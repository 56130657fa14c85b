//! Makes an engine durable: every command is journalled before it is applied, and the journal alone rebuilds the rest.
//!
//! ```text
//!   core    Sequencer ──► Appender ──► head (shared memory)
//!   writer                             head ──► batch ──► segment, synced ──► durable watermark
//!   others  wait for the watermark;  Reader ──► replay
//! ```
//!
//! [`layout`] draws the bytes, [`Journal::open`] recovers and starts the writer, [`Sequencer`] is the core's step,
//! [`Reader`] reads and verifies without a lock, from the beginning or from a [`Seek`] on, [`Follower`] goes on reading as
//! the journal grows, [`replay()`] rebuilds and compares. [`Hands`] do in turns what threads do else.

pub mod audit;
mod batch;
mod belt;
pub mod checkpoint;
pub mod checksum;
mod chunk;
pub mod copy;
pub mod decision;
pub mod digest;
pub mod error;
pub mod follow;
pub mod hands;
mod hasher;
mod head;
pub mod history;
pub mod journal;
pub mod layout;
mod mapping;
mod page_buffer;
pub mod reader;
mod record;
pub mod recovery;
pub mod replay;
pub mod seek;
pub mod segment;
pub mod sequencer;
pub mod shadow;
pub mod snapshot;
pub mod space;
mod spare;
pub mod start;
pub mod storage;
mod tail;
pub mod travel;
mod writer;

pub use audit::{Audit, AuditError, Evidence, Finding, audit};
pub use checkpoint::{CHECKPOINT_BYTES, Checkpoint, CheckpointFault, Link, SignedCheckpoint};
pub use checksum::ChainHash;
pub use copy::{Copied, CopyError, JournalCopy, Progress};
pub use decision::{Action, Decision, State};
pub use digest::{Block, BlockDigest, Digest, EventDigest, HashSink, book_digest, state_digest};
pub use error::{AppendError, Fault, HeadFault, OpenError, ReadError, ReplayError, SnapshotFault, WriteError};
pub use follow::{Follower, Polling, StopFollowing};
pub use hands::{Hands, Made, Wrote};
pub use history::{
    Direction, Events, HISTORY_FOLDER, History, HistoryError, HistoryOptions, HistoryWriter, Key, Query, Retention,
};
pub use journal::{Durability, Journal, JournalSource, Known, Labour, Opened, Options};
pub use reader::{Cut, JOURNAL_FOLDER, Position, Reader, Verified};
pub use record::{Entry, Seal};
pub use recovery::{FolderLock, HeadOutcome, Recovery};
pub use replay::{Blocks, Both, ReplaySummary, Replayed, rebuild, replay};
pub use seek::Seek;
pub use segment::{Identity, JournalId, SegmentHeader, SegmentNumber};
pub use sequencer::{Append, Apply, BEFORE_FIRST, Discard, Discontinuity, Sequencer};
pub use shadow::{Followed, Shadow, ShadowError, ShadowEvent, SnapshotPolicy, SnapshotRequest, Taken};
pub use snapshot::{Keep, Loaded, PassedOver, Published, SNAPSHOT_FOLDER, SnapshotError, SnapshotStore};
pub use space::Space;
pub use start::{Start, StartError, start_locked};
pub use storage::{DirectoryStorage, Storage, StorageFile};
pub use travel::{AsOf, Past, PastSource, events_between, sequence_at, state_at};
pub use writer::{Appender, DigestQueue, Group};
