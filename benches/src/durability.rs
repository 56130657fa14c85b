//! What durability costs, each beside what it would cost without: the bare disk, a writer that rests, the engine alone.
//!
//! * [`append`] — the core's part, while the writer rests and while it syncs.
//! * [`groups`] — groups of commands, beside the bare [`disk`].
//! * [`paced`] — an order's way to its synced report at a given rate.
//! * [`replay`] — a journal, from disk to state.
//! * [`flow`] — what is journalled.

pub mod append;
pub mod disk;
pub mod flow;
pub mod groups;
pub mod paced;
pub mod replay;
pub mod snapshots;
