//! Instructions of the hot paths: what an operation costs, without a clock and without a quiet machine.
//!
//! Each [`Path`] is a fixed amount of single-threaded work, carried out by this program under callgrind in a process of
//! its own. Only what happens within `counted` is counted, so that what is set up before drops out. The processor that
//! valgrind pretends to have is the same wherever the real one has AVX2, so that code which is chosen by the processor,
//! such as checksums, hashes and the C library's copies, is the same everywhere.
//!
//! * [`callgrind`] — counts a path, by function.
//! * [`record`] — what was counted before, in a file that is kept with the source.
//! * [`comparison`] — what has changed, and whether that is too much.

pub mod callgrind;
pub mod comparison;
mod engine;
mod feed;
mod flow;
mod gateway;
mod journal;
pub mod record;
mod ring;
mod wire;

use crate::failure::Failure;

/// A hot path.
#[derive(Debug)]
pub struct Path {
    /// What a reader calls it.
    pub name: &'static str,
    /// How many operations are counted.
    pub operations: u32,
    /// How much of the recorded count it may differ by, in percent.
    pub tolerance_percent: f64,
    /// What is counted.
    pub collect: Collect,
    /// Carries out so many operations.
    run: fn(u32) -> Result<(), Failure>,
}

/// What of a path's process is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collect {
    /// What happens within `counted`.
    Marked,
    /// What happens on the journal's writer thread, less the same for half of the operations.
    Writer,
}

/// Of most paths: less than a branch in thirty, and more than what another version of a library next to it moves.
const USUAL_PERCENT: f64 = 3.0;

impl Path {
    const fn new(name: &'static str, run: fn(u32) -> Result<(), Failure>) -> Self {
        Self { name, operations: 10_000, tolerance_percent: USUAL_PERCENT, collect: Collect::Marked, run }
    }

    /// Carries out so many operations.
    ///
    /// # Errors
    ///
    /// If they cannot be set up.
    ///
    /// # Panics
    ///
    /// If they do not do what they should.
    pub fn run(&self, operations: u32) -> Result<(), Failure> {
        (self.run)(operations)
    }
}

/// All, in the order of an order's way.
pub const PATHS: &[Path] = &[
    Path::new("wire: encode a new order", wire::encode_order),
    Path::new("wire: decode a new order", wire::decode_order),
    Path::new("wire: encode an execution report", wire::encode_report),
    Path::new("wire: decode an execution report", wire::decode_report),
    Path::new("gateway: a new order's frame to its command", gateway::frame_to_command),
    Path::new("gateway: an acceptance to its report's frame", gateway::acceptance_to_frame),
    Path::new("gateway: a trade to both reports' frames", gateway::trade_to_frames),
    Path::new("ring: submit and take a command", ring::command),
    Path::new("ring: publish and poll an event", ring::event),
    Path::new("matching: an order rests", engine::matching_rest),
    Path::new("matching: an order is cancelled", engine::matching_cancel),
    Path::new("matching: an order gets a new price", engine::matching_amend),
    Path::new("matching: an order crosses", engine::matching_cross),
    Path::new("venue: an order rests", engine::venue_rest),
    Path::new("venue: an order is cancelled", engine::venue_cancel),
    Path::new("venue: an order gets a new price", engine::venue_amend),
    Path::new("venue: an order crosses", engine::venue_cross),
    Path::new("journal: append and publish a command", journal::append),
    // Where the writer is woken, a batch more or less is begun.
    Path {
        operations: 40_000,
        tolerance_percent: 5.0,
        collect: Collect::Writer,
        ..Path::new("journal: write a command in full batches", journal::write)
    },
    Path::new("journal: read and verify a command", journal::read),
    Path::new("journal: digest an event", journal::digest),
    Path::new("market data: a command's events to packets", feed::packets),
    Path::new("market data: the same, at every level", feed::packets_at_every_level),
];

/// The path of this name.
pub fn path(name: &str) -> Option<&'static Path> {
    PATHS.iter().find(|path| path.name == name)
}

/// What is counted happens in here. Callgrind finds it by its name.
#[inline(never)]
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_path_does_what_it_should_in_miniature() {
        for path in PATHS {
            path.run(50).unwrap_or_else(|failure| panic!("{}: {failure}", path.name));
        }
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = PATHS.iter().map(|path| path.name).collect();
        assert_eq!(names.len(), PATHS.len());
        assert!(path("matching: an order rests").is_some());
        assert!(path("no such path").is_none());
    }
}
