//! What the threads of a venue hand to one another: the one home of lock-free code.
//!
//! * [`CommandRing`] — commands on their way to the core: many producers, bounded, busy rather than waiting.
//! * [`EventRing`] — events on their way out: one publisher, readers that hold it back and readers that may be lapped.
//! * [`Admission`] — which commands are let in while the room for them runs out.
//! * [`Watermark`] — how far one thread has come, seen and awaited by others.
//! * [`Bell`] — wakes those who wait for something to change.

mod admission;
mod bell;
mod command_ring;
mod event_ring;
#[cfg(all(test, loom))]
mod loom_models;
mod sync;
mod watermark;

pub use admission::{Admission, SharedAdmission};
pub use bell::{Bell, Idle, REST, Wake};
pub use command_ring::{Busy, CommandRing};
pub use event_ring::{EventCount, EventReader, EventRing, Polled, Publisher, ReaderGauge, Release};
pub use watermark::{Passages, Poisoned, Watermark};
