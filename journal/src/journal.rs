//! A journal that is open for writing: options, and the handle that is not the core's.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Capacity, Sequence};
use ring::{Idle, Watermark};

use crate::checkpoint::Link;
use crate::digest::Digest;
use crate::error::{AppendError, OpenError, ReadError, WriteError};
use crate::follow::Follower;
use crate::head;
use crate::layout::ALIGNMENT_MIN;
use crate::reader::JOURNAL_FOLDER;
use crate::recovery::{self, FolderLock, Recovery};
use crate::seek::Seek;
use crate::segment::{Identity, JournalId};
use crate::snapshot::SnapshotStore;
use crate::space::Space;
use crate::storage::{DirectoryStorage, Storage};
use crate::writer::{Appender, DigestQueue, Group, GroupWatch, Shared};

/// What an acknowledgement promises. The writer writes and syncs either way; only who waits differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The command survives the process: it is in the head.
    Buffered,
    /// The command survives power loss: it is on stable storage.
    #[default]
    Synced,
}

/// Who writes, makes spare segments and hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Labour {
    /// A thread for each.
    #[default]
    Threads,
    /// Nobody until the caller says so, a step at a time: the journal starts no thread, and its appender has
    /// [`Hands`](crate::Hands). For simulations that have to repeat.
    Turns,
}

/// How a journal is opened.
#[derive(Clone)]
pub struct Options {
    /// The venue's number; an existing journal's has to be the same. Default 1.
    pub venue: u32,
    /// Which of the venue's cores; an existing journal's has to be the same. Default 0.
    pub shard: u32,
    /// The term of what is written, not less than any before. Default 1; replication counts it up.
    pub term: u64,
    /// What the engine carries at most; an existing journal's has to be the same, or replay would differ.
    pub capacity: Capacity,
    /// What an acknowledgement promises. Default synced.
    pub durability: Durability,
    /// How threads around the journal wait. Default: they park.
    pub idle: Idle,
    /// Who does the work. Default: threads.
    pub labour: Labour,
    /// Bytes of a new segment, a multiple of 4,096 and at least four times that. Default 64 MiB: large enough that
    /// changing segments is rare, small enough to be zeroed ahead within a second.
    pub segment_bytes: u64,
    /// Bytes of the head's ring, a multiple of 4,096. Default 16 MiB: a hundred thousand commands, or a tenth of a second
    /// of full load while the disk stalls; then the core waits.
    pub head_bytes: u64,
    /// Where the head is kept; nothing: shared memory, where there is.
    pub head_directory: Option<PathBuf>,
    /// The name of a new journal; nothing: a random one. For files that have to be the same each time.
    pub journal_id: Option<JournalId>,
    /// Where segments are kept; nothing: in the data folder. For disks that fail on purpose.
    pub storage: Option<Arc<dyn Storage>>,
    /// Where snapshots are kept; nothing: in the data folder. For disks that fail on purpose.
    pub snapshots: Option<Arc<dyn Storage>>,
    /// What a snapshot says of the journal; nothing: there is none.
    pub known: Option<Known>,
}

/// What is known of a journal before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// A link that it holds. What stands before the segment of this link need not be read.
    pub link: Link,
    /// Commands up to this one were durable.
    pub durable: Sequence,
}

impl Options {
    /// The defaults, for an engine of this capacity.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            venue: 1,
            shard: 0,
            term: 1,
            capacity,
            durability: Durability::default(),
            idle: Idle::default(),
            labour: Labour::default(),
            segment_bytes: 64 << 20,
            head_bytes: 16 << 20,
            head_directory: None,
            journal_id: None,
            storage: None,
            snapshots: None,
            known: None,
        }
    }

    /// The snapshots of the data folder `directory`.
    pub fn snapshot_store(&self, directory: &Path) -> SnapshotStore {
        self.snapshots.clone().map_or_else(|| SnapshotStore::open(directory), SnapshotStore::with_storage)
    }

    pub(crate) fn segments(&self, directory: &Path) -> Arc<dyn Storage> {
        let folder = || Arc::new(DirectoryStorage::new(directory.join(JOURNAL_FOLDER))) as Arc<dyn Storage>;
        self.storage.clone().unwrap_or_else(folder)
    }

    pub(crate) fn head_path(&self, journal: JournalId) -> PathBuf {
        let directory = self.head_directory.clone().unwrap_or_else(head::default_directory);
        head::head_path(&directory, journal)
    }

    fn check(&self) -> Result<(), OpenError> {
        let page = ALIGNMENT_MIN as u64;
        if !self.segment_bytes.is_multiple_of(page) || self.segment_bytes < 4 * page {
            let range = "a multiple of 4096, at least 16384";
            return Err(OpenError::Option { option: "segment_bytes", range });
        }
        if !self.head_bytes.is_multiple_of(page) || self.head_bytes < head::RING_BYTES_MIN {
            return Err(OpenError::Option { option: "head_bytes", range: "a multiple of 4096, at least 4096" });
        }
        Ok(())
    }
}

/// What opening a journal gives.
pub struct Opened {
    /// For everybody but the core.
    pub journal: Journal,
    /// For the core: goes into its [`Sequencer`](crate::Sequencer).
    pub appender: Appender,
    /// What was found and done.
    pub recovery: Recovery,
}

/// A journal that is open for writing. The process holds its lock until the [`Appender`] is dropped, or in turns until the
/// [`Hands`](crate::Hands) have ended or are dropped.
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    pub(crate) durability: Durability,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) identity: Identity,
}

impl Journal {
    /// Opens or makes the journal of the data folder `directory`, and recovers what an earlier process left.
    ///
    /// When this returns, everything that was recovered is durable and can be read, and the writer runs, or can be driven
    /// [in turns](Labour::Turns).
    pub fn open(directory: &Path, options: &Options) -> Result<Opened, OpenError> {
        options.check()?;
        recovery::open(directory, options)
    }

    /// The same for a folder that this process has locked. The journal takes the lock over.
    pub fn open_locked(lock: FolderLock, options: &Options) -> Result<Opened, OpenError> {
        options.check()?;
        recovery::open_locked(lock, options)
    }

    /// The last durable sequence, to read and to wait for. Poisoned: nothing more becomes durable.
    pub fn durable(&self) -> &Arc<Watermark> {
        &self.shared.durable
    }

    /// Waits until `sequence`, which was submitted, may be acknowledged. In turns nobody would end the wait: there the
    /// [watermark](Self::durable) is looked at.
    pub fn wait_released(&self, sequence: Sequence) -> Result<(), AppendError> {
        let reached = match self.durability {
            Durability::Buffered => self.shared.durable.get() >= sequence.0 || self.failure().is_none(),
            Durability::Synced => self.shared.durable.wait_for(sequence.0).is_ok(),
        };
        match self.failure() {
            Some(failure) if !reached => Err(AppendError::Poisoned(failure)),
            Some(_) | None => Ok(()),
        }
    }

    /// Follows this journal from a place on, up to what is durable. It ends when the journal does.
    pub fn follow(&self, seek: Seek) -> Result<Follower, ReadError> {
        self.source().follow(seek)
    }

    /// What those stand on who follow it, on any thread and again and again.
    pub fn source(&self) -> JournalSource {
        let (storage, durable) = (self.storage.clone(), self.shared.durable.clone());
        JournalSource { storage, durable, identity: self.identity }
    }

    /// Where event digests are handed to the writer.
    pub fn digests(&self) -> DigestQueue {
        self.shared.digests.clone()
    }

    /// From now on tells of every group that becomes durable, the first that is given; on the writer's thread, behind the
    /// group, with times by `ticks`. It must not wait.
    pub fn watch_groups(&self, ticks: fn() -> u64, told: impl Fn(&Group) + Send + Sync + 'static) {
        let _ = self.shared.watch.set(GroupWatch { ticks, told: Box::new(told) });
    }

    /// Why the writer has stopped, if it has failed.
    pub fn failure(&self) -> Option<Arc<WriteError>> {
        self.shared.failure.get().cloned()
    }

    /// What it has room for, for whoever submits commands and whoever watches the disk.
    pub fn space(&self) -> &Space {
        &self.shared.space
    }

    /// The venue stops: nobody waits for room any more that does not come. The writer gives up where it needs a segment and
    /// none can be made, and who waits for the writer is told; the head keeps the rest.
    pub fn finish(&self) {
        self.shared.space.finish();
    }

    /// Shuts down in order: makes everything durable, writes the seal, removes the head.
    ///
    /// `event_digest` is of all events up to the last command; [`Digest::ZERO`] if nobody computed it.
    ///
    /// # Panics
    ///
    /// If the appender is another journal's, or the work is done in turns: then it is [`begin_close`](Self::begin_close).
    pub fn close(self, appender: Appender, event_digest: Digest) -> Result<(), Arc<WriteError>> {
        assert!(appender.has_thread(), "in turns a journal is closed by its hands");
        self.begin_close(appender, event_digest);
        self.failure().map_or(Ok(()), Err)
    }

    /// Begins to shut down in order. In turns the [`Hands`](crate::Hands) do the rest: they make everything durable, write
    /// the seal and remove the head. Threads are waited for.
    ///
    /// # Panics
    ///
    /// If the appender is another journal's, or still has its hands.
    pub fn begin_close(&self, appender: Appender, event_digest: Digest) {
        assert!(appender.belongs_to(&self.shared), "the appender is another journal's");
        assert!(!appender.has_hands(), "somebody has to write what is left");
        // Set once: there is one appender.
        let _ = self.shared.seal.set(event_digest);
        drop(appender);
    }
}

/// A journal that this process writes, to be followed.
#[derive(Clone)]
pub struct JournalSource {
    pub(crate) storage: Arc<dyn Storage>,
    durable: Arc<Watermark>,
    identity: Identity,
}

impl JournalSource {
    /// What all its segments agree on.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The last durable command.
    pub fn durable(&self) -> Sequence {
        Sequence(self.durable.get())
    }

    /// See [`Journal::follow`].
    pub fn follow(&self, seek: Seek) -> Result<Follower, ReadError> {
        Follower::of_writer(self.storage.clone(), seek, self.durable.clone())
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("durable", &self.shared.durable.get()).finish_non_exhaustive()
    }
}
