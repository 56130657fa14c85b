//! A disk in memory that loses power, fails at any operation, and repeats it all from a seed.
//!
//! [`SimulatedDisk`] is a [`journal::Storage`]. What it may do to what was written, and what it may not, is this:
//!
//! ```text
//!   write_at ──► cache ──sync──► device          names ──sync_directory──► durable names
//!                  │                                │
//!   map  ◄─────────┘        list, open, map ◄───────┘
//! ```
//!
//! * Each 512-byte sector remembers every version that was written since its last successful sync. A [power
//!   loss](SimulatedDisk::lose_power) leaves of each such sector, whatever became of its neighbours, what the device had,
//!   one of those versions, what was written to another such sector of the file, zeros, or garbage; and now and then
//!   garbage in all of the physical sector around it. What was synced, and not written since, stays.
//! * Creations, renames and removals take effect at once and are durable behind `sync_directory`. Until then a power loss
//!   may take them back, but in order: the metadata that survives is a prefix of what was done, as with every journalling
//!   file system. Syncing a file makes no name durable.
//! * The [end of a process](SimulatedDisk::end_process) leaves the cache, but for clean sectors, which may be dropped.
//! * A failed sync may [call clean](Failure::CalledClean) what the device never got: no later sync writes it, and it can
//!   be read until `settle` drops the cache. Names are not called clean: a file system that cannot write its own journal
//!   stops.
//! * What is mapped is the file as it was at that moment.
//!
//! The model does not rot: bits that were synced are not flipped, and no write goes to where something was synced. Tests
//! that want that overwrite the files themselves.
//!
//! [`GatedFolder`] is a real folder beside it, for what has to be held and not simulated.

pub mod commands;
mod content;
pub mod damage;
mod disk;
mod fault;
pub mod gated;
pub mod lives;
mod names;

pub use disk::SimulatedDisk;
pub use fault::{Failure, Fault, Lie, Operation};
pub use gated::{Gate, GatedFolder};
