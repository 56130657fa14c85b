//! The simulated clocks: one that only goes on, and one on the wall that somebody sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use venue::clock::TimeSource;

/// When the simulated world begins: 2026-01-05 09:00 UTC.
pub const BEGIN_NS: u64 = 1_767_603_600_000_000_000;

/// All clocks of one world. Clones are the same clocks.
#[derive(Debug, Clone, Default)]
pub struct Clocks(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Since the world began.
    true_ns: AtomicU64,
    /// How far the venue's wall clock is off.
    wall_off_ns: AtomicI64,
}

impl Clocks {
    /// Time passes.
    pub fn pass(&self, by_ns: u64) {
        self.0.true_ns.fetch_add(by_ns, Ordering::Relaxed);
    }

    /// Since the world began.
    pub fn elapsed_ns(&self) -> u64 {
        self.0.true_ns.load(Ordering::Relaxed)
    }

    /// What a clock that is right shows: the traders'.
    pub fn right_ns(&self) -> u64 {
        BEGIN_NS + self.elapsed_ns()
    }

    /// What the clock on the venue's wall shows.
    pub fn wall_ns(&self) -> u64 {
        self.right_ns().saturating_add_signed(self.0.wall_off_ns.load(Ordering::Relaxed))
    }

    /// Somebody sets the clock on the venue's wall: so far off.
    pub fn set_wall(&self, off_ns: i64) {
        self.0.wall_off_ns.store(off_ns, Ordering::Relaxed);
    }
}

impl TimeSource for Clocks {
    fn monotonic_ns(&mut self) -> u64 {
        self.elapsed_ns()
    }

    fn wall_ns(&mut self) -> u64 {
        Self::wall_ns(self)
    }
}
