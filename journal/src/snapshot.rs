//! Snapshots: an engine on disk, so that a start, or a look at the past, need not begin with the first command.
//!
//! ```text
//! DIR/snapshots/
//! ├── 00000000000001048576.snapshot   the state behind that command, the last of a block of 1,024
//! ├── ….snapshot.new                  one that is being written, or was when the process ended; replaced by the next
//! ├── checkpoints                     every signed checkpoint, also of snapshots that are gone
//! ├── superblock.1                    two, written in turn: which snapshot is the newest
//! └── superblock.2
//! ```
//!
//! A snapshot gets its name when it is on the device and an engine was restored from it as it is there. It is not the
//! truth, the journal is: one that cannot be used is passed over, and an older one, or none, does as well.

mod format;
mod keep;
mod store;
mod superblock;

pub use keep::Keep;
pub(crate) use store::CHECKPOINTS;
pub use store::{Loaded, PassedOver, Published, Search, SnapshotError, SnapshotStore, Unpublished};

/// The folder of the snapshots inside a data folder.
pub const SNAPSHOT_FOLDER: &str = "snapshots";
