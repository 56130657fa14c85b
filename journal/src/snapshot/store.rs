//! The folder of snapshots: taking one, finding the newest that can be used, and letting go of old ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use engine::{Engine, Sequence};

use super::SNAPSHOT_FOLDER;
use super::format::{self, View};
use super::keep::Keep;
use super::superblock::{self, Superblock};
use crate::checkpoint::{CHECKPOINT_BYTES, Checkpoint, CheckpointFault, SignedCheckpoint};
use crate::decision::State;
use crate::error::SnapshotFault;
use crate::segment::JournalId;
use crate::storage::{Bytes, DirectoryStorage, Storage};

const SUFFIX: &str = ".snapshot";
const UNPUBLISHED_SUFFIX: &str = ".snapshot.new";
/// Every checkpoint that was signed.
pub(crate) const CHECKPOINTS: &str = "checkpoints";

/// Why a snapshot was not taken, or what is known of snapshots cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system failed.
    #[error("{}: {source}: {}", file.display(), State::SnapshotUnwritable.advice())]
    Io {
        /// Which file or folder.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// What was written does not read back.
    #[error("{}, as it was just written: {fault}", file.display())]
    ReadBack {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        fault: SnapshotFault,
    },
    /// A checkpoint that was kept is not what was written.
    #[error("{}, checkpoint {index}: {fault}", file.display())]
    Checkpoint {
        /// Which file.
        file: PathBuf,
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        fault: CheckpointFault,
    },
}

/// The snapshots of a data folder.
#[derive(Clone)]
pub struct SnapshotStore {
    storage: Arc<dyn Storage>,
}

/// A snapshot that is on the device, and has no name yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpublished {
    /// What stands in it.
    pub checkpoint: SignedCheckpoint,
    /// How long its file is.
    pub bytes: u64,
}

/// A snapshot that a venue may begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What stands in it.
    pub checkpoint: SignedCheckpoint,
    /// How long its file is.
    pub bytes: u64,
    /// Older ones that were removed for it.
    pub removed: Vec<Sequence>,
}

/// A snapshot that was read.
pub struct Loaded {
    /// What stands in it.
    pub checkpoint: Checkpoint,
    /// The engine that it is of.
    pub engine: Engine,
}

/// A snapshot that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its file.
    pub file: PathBuf,
    /// What is wrong.
    pub fault: SnapshotFault,
}

impl PassedOver {
    /// For an operator, on a line.
    pub fn line(&self) -> String {
        format!("{}: {}", self.file.display(), self.fault)
    }
}

/// What a look for the newest snapshot has found.
#[derive(Default)]
pub struct Search {
    /// The newest that can be used.
    pub newest: Option<Loaded>,
    /// Newer ones that cannot.
    pub passed_over: Vec<PassedOver>,
    /// The newest checkpoint that is known of: what it covers was durable, whether its snapshot can be used or not.
    pub known: Option<Checkpoint>,
}

impl SnapshotStore {
    /// The snapshots of a data folder, which may have none.
    pub fn open(directory: &Path) -> Self {
        Self::with_storage(Arc::new(DirectoryStorage::unmapped(directory.join(SNAPSHOT_FOLDER))))
    }

    /// The same, and makes the folder that they will be in.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(directory: &Path) -> Result<Self, SnapshotError> {
        let folder = directory.join(SNAPSHOT_FOLDER);
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let store = Self::open(directory);
        // What a process that ended left of a snapshot is of no use.
        let names = store.storage.list().map_err(io_error(&folder))?;
        for name in names.iter().filter(|name| name.ends_with(UNPUBLISHED_SUFFIX)) {
            store.storage.remove(name).map_err(io_error(&store.path(name)))?;
        }
        Ok(store)
    }

    /// Snapshots kept in `storage`.
    pub fn with_storage(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        self.storage.path()
    }

    /// The commands behind which there are snapshots, ascending; whether they can be used is not looked at.
    ///
    /// # Errors
    /// If the folder cannot be read; one that is not there has none.
    pub fn sequences(&self) -> Result<Vec<Sequence>, SnapshotError> {
        let names = match self.storage.list() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(io_error(self.storage.path())(source)),
        };
        let mut sequences: Vec<_> = names.iter().filter_map(|name| sequence_of(name)).collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// The file of the snapshot behind a command.
    pub fn file(&self, sequence: Sequence) -> PathBuf {
        self.path(&file_name(sequence))
    }

    /// What stands in the snapshot behind a command, all of its bytes verified.
    ///
    /// # Errors
    /// Why it cannot be used; damaged if it cannot be read.
    pub fn checkpoint_of(&self, sequence: Sequence) -> Result<SignedCheckpoint, SnapshotFault> {
        let bytes = self.map(&file_name(sequence))?;
        Ok(View::of((*bytes).as_ref())?.checkpoint)
    }

    /// Writes a snapshot of `engine`, which is behind the command that `checkpoint` names, and brings it to the device.
    /// `checkpoint` lacks only the state's digest.
    ///
    /// # Errors
    /// If it cannot be written. What there is of it is replaced by the next.
    pub fn write(
        &self,
        engine: &Engine,
        checkpoint: Checkpoint,
        key: &SigningKey,
    ) -> Result<Unpublished, SnapshotError> {
        let name = unpublished_name(checkpoint.sequence);
        let written = format::write(self.storage.as_ref(), &name, engine, checkpoint, key);
        match written {
            Ok((checkpoint, bytes)) => Ok(Unpublished { checkpoint, bytes }),
            Err(source) => {
                // It takes space from the journal; why it failed is the error to tell.
                let _ = self.storage.remove(&name);
                Err(io_error(&self.path(&name))(source))
            }
        }
    }

    /// Restores an engine from what is on the device; if that works gives the snapshot its name, says so in the checkpoints
    /// and a superblock, and lets go of old ones.
    ///
    /// # Errors
    /// If the snapshot is not as it was written, or something cannot be written. What was published before stays.
    pub fn publish(&self, unpublished: Unpublished, keep: Keep) -> Result<Published, SnapshotError> {
        let Unpublished { checkpoint, bytes } = unpublished;
        let sequence = checkpoint.checkpoint.sequence;
        let (new, name) = (unpublished_name(sequence), file_name(sequence));
        let named = self
            .read_back(&new, &checkpoint)
            .map_err(|fault| SnapshotError::ReadBack { file: self.path(&new), fault })
            .and_then(|()| self.storage.rename(&new, &name).map_err(io_error(&self.path(&name))));
        if named.is_err() {
            // It takes space from the journal; why it failed is the error to tell.
            let _ = self.storage.remove(&new);
        }
        named?;
        self.storage.sync_directory().map_err(io_error(self.storage.path()))?;
        self.note(&checkpoint)?;
        self.point_to(&checkpoint)?;
        let removed = self.prune(keep)?;
        Ok(Published { checkpoint, bytes, removed })
    }

    /// The newest snapshot of `journal` at or before `at_most` that can be used, restored.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn newest(&self, journal: JournalId, at_most: Sequence) -> Result<Search, SnapshotError> {
        let mut search = Search { known: self.newest_known(journal), ..Search::default() };
        for sequence in self.sequences()?.into_iter().rev().filter(|&sequence| sequence <= at_most) {
            match self.load(journal, sequence) {
                Ok(loaded) => {
                    let is_newer = |known: &Checkpoint| loaded.checkpoint.sequence > known.sequence;
                    if search.known.as_ref().is_none_or(is_newer) {
                        search.known = Some(loaded.checkpoint);
                    }
                    search.newest = Some(loaded);
                    break;
                }
                Err(fault) => search.passed_over.push(PassedOver { file: self.file(sequence), fault }),
            }
        }
        self.miss_newest(&mut search, at_most)?;
        Ok(search)
    }

    /// The newest checkpoint that is known of, of whichever journal: of a whole snapshot or superblock.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, SnapshotError> {
        let known = self.superblocks().into_iter().map(|(_, superblock)| superblock.newest.checkpoint);
        let taken = self.sequences()?.into_iter().rev().find_map(|sequence| self.checkpoint_of(sequence).ok());
        Ok(known.chain(taken.map(|signed| signed.checkpoint)).max_by_key(|checkpoint| checkpoint.sequence))
    }

    /// The command behind which the newest whole snapshot of `journal` is; none: there is none.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub(crate) fn newest_of(&self, journal: JournalId) -> Result<Sequence, SnapshotError> {
        let is_ours = |sequence: &Sequence| {
            self.checkpoint_of(*sequence).is_ok_and(|signed| signed.checkpoint.journal == journal)
        };
        Ok(self.sequences()?.into_iter().rev().find(is_ours).unwrap_or_default())
    }

    /// Every checkpoint that was signed, in their order.
    ///
    /// # Errors
    /// If they cannot be read, or one is not as it was written.
    pub fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, SnapshotError> {
        let file = self.path(CHECKPOINTS);
        let bytes = self.checkpoint_bytes()?;
        let whole = bytes.chunks(CHECKPOINT_BYTES).enumerate().map(|(index, bytes)| {
            let checkpoint = bytes.first_chunk().ok_or(CheckpointFault::Checksum);
            let fault = |fault| SnapshotError::Checkpoint { file: file.clone(), index, fault };
            checkpoint.and_then(SignedCheckpoint::from_bytes).map_err(fault)
        });
        whole.collect()
    }

    fn load(&self, journal: JournalId, sequence: Sequence) -> Result<Loaded, SnapshotFault> {
        let bytes = self.map(&file_name(sequence))?;
        let view = View::of((*bytes).as_ref())?;
        let checkpoint = view.checkpoint.checkpoint;
        if checkpoint.journal != journal {
            return Err(SnapshotFault::Foreign { journal: checkpoint.journal });
        }
        if checkpoint.sequence != sequence {
            return Err(SnapshotFault::Damaged);
        }
        Ok(Loaded { checkpoint, engine: view.restore()? })
    }

    fn read_back(&self, name: &str, expected: &SignedCheckpoint) -> Result<(), SnapshotFault> {
        let bytes = self.map(name)?;
        let view = View::of((*bytes).as_ref())?;
        if view.checkpoint != *expected {
            return Err(SnapshotFault::Damaged);
        }
        view.restore().map(drop)
    }

    fn map(&self, name: &str) -> Result<Bytes, SnapshotFault> {
        self.storage.map(name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SnapshotFault::Missing,
            _ => SnapshotFault::Damaged,
        })
    }

    /// Adds a checkpoint to those that were signed before, none of which is touched.
    fn note(&self, checkpoint: &SignedCheckpoint) -> Result<(), SnapshotError> {
        let mut bytes = self.checkpoint_bytes()?;
        bytes.extend_from_slice(&checkpoint.to_bytes());
        let new = format!("{CHECKPOINTS}.new");
        let write = || {
            let mut file = self.storage.reserve(&new, bytes.len() as u64)?;
            file.write_at(&bytes, 0)?;
            file.sync()?;
            self.storage.rename(&new, CHECKPOINTS)?;
            self.storage.sync_directory()
        };
        write().map_err(io_error(&self.path(CHECKPOINTS)))
    }

    fn checkpoint_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        match self.storage.map(CHECKPOINTS) {
            Ok(bytes) => Ok((*bytes).as_ref().to_vec()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(io_error(&self.path(CHECKPOINTS))(source)),
        }
    }

    /// Overwrites the superblock that does not count.
    fn point_to(&self, checkpoint: &SignedCheckpoint) -> Result<(), SnapshotError> {
        let counting = self.superblocks().into_iter().max_by_key(|(_, superblock)| superblock.generation);
        let (place, generation) = counting.map_or((0, 1), |(place, superblock)| (1 - place, superblock.generation + 1));
        let name = superblock::NAMES[place];
        let page = Superblock { generation, newest: *checkpoint }.page();
        let write = || {
            let mut file = match self.storage.open(name) {
                // Files do not grow: one that was cut short, as it was made or later, is made anew.
                Ok(file) if file.length() == superblock::BYTES => file,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => self.storage.create(name, superblock::BYTES)?,
            };
            file.write_at(page.as_slice(), 0)?;
            file.sync()?;
            self.storage.sync_directory()
        };
        write().map_err(io_error(&self.path(name)))
    }

    /// Those that are whole, with their places.
    fn superblocks(&self) -> Vec<(usize, Superblock)> {
        let read = |name| self.storage.map(name).ok().and_then(|bytes| Superblock::decode((*bytes).as_ref()));
        superblock::NAMES.iter().enumerate().filter_map(|(place, name)| Some((place, read(name)?))).collect()
    }

    fn newest_known(&self, journal: JournalId) -> Option<Checkpoint> {
        let known = self.superblocks().into_iter().map(|(_, superblock)| superblock.newest.checkpoint);
        known.filter(|checkpoint| checkpoint.journal == journal).max_by_key(|checkpoint| checkpoint.sequence)
    }

    /// Says so if the newest snapshot that is known of is not there at all.
    fn miss_newest(&self, search: &mut Search, at_most: Sequence) -> Result<(), SnapshotError> {
        if let Some(known) = search.known.filter(|known| known.sequence <= at_most)
            && !self.sequences()?.contains(&known.sequence)
        {
            search.passed_over.insert(0, PassedOver { file: self.file(known.sequence), fault: SnapshotFault::Missing });
        }
        Ok(())
    }

    fn prune(&self, keep: Keep) -> Result<Vec<Sequence>, SnapshotError> {
        let gone = keep.superfluous(self.sequences()?);
        for &sequence in &gone {
            let name = file_name(sequence);
            self.storage.remove(&name).map_err(io_error(&self.path(&name)))?;
        }
        Ok(gone)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.storage.path().join(name)
    }
}

/// As many digits as a sequence may have, so that names sort as sequences do.
fn file_name(sequence: Sequence) -> String {
    format!("{:020}{SUFFIX}", sequence.0)
}

fn unpublished_name(sequence: Sequence) -> String {
    format!("{:020}{UNPUBLISHED_SUFFIX}", sequence.0)
}

fn sequence_of(name: &str) -> Option<Sequence> {
    let sequence = Sequence(name.strip_suffix(SUFFIX)?.parse().ok()?);
    (file_name(sequence) == name).then_some(sequence)
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> SnapshotError + use<> {
    let file = file.to_owned();
    move |source| SnapshotError::Io { file: file.clone(), source }
}
