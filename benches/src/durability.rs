//! What durability costs, each beside what it would cost without: the bare disk, a writer that rests, the engine alone.
//!
//! * [`append`] — the core's part, while the writer rests and while it syncs.
//! * [`groups`] — groups of commands, beside the bare [`disk`].
//! * [`replay`] — a journal, from disk to state.
//! * [`snapshots`] — what the core's latency has of them.
//! * [`flow`] — what is journalled.
//!
//! An order's way to its synced report is `load --mode pipeline`: [`crate::load::pipeline`].

pub mod append;
pub mod disk;
pub mod flow;
pub mod groups;
pub mod replay;
pub mod snapshots;
