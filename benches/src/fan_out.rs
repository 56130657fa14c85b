//! One publisher of market data and many subscribers, without a venue around them.
//!
//! ```text
//!   "feeder": commands ─► engine ─► event ring ─► "market-data-feed" ─► "market-data-quic-0" ─► "subscribers": thin
//!   limit     as many batches of as many bytes ──────────────────────► "bare-quic" ──────────► as many, as thin
//! ```
//!
//! The feeder stands for the core: its time to publish a batch is what the core would be held up. Subscribers are thin:
//! they take streams, count packets and messages, and note how old the newest event is. So what is compared is the
//! publishing, and not what a subscriber makes of it.

mod feeder;
mod join;
mod readers;
mod stalled;
mod throughput;
mod venue;

use std::path::Path;

use crate::failure::Failure;

pub use join::{JoinArguments, join};
pub use stalled::{StalledArguments, stalled};
pub use throughput::{ThroughputArguments, throughput};

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::io(Path::new(what), error)
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> std::io::Error {
    std::io::Error::other(error)
}
