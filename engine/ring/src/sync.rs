//! Atomics, locks and waiting: the standard library's, or loom's where threads are checked in every interleaving.

#[cfg(not(loom))]
mod real {
    pub(crate) use core::hint::spin_loop;
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::thread::sleep;

    pub(crate) use crossbeam_utils::Backoff;
}

#[cfg(loom)]
mod checked {
    use std::time::Duration;

    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};

    /// Others run meanwhile; in a model no time passes.
    pub(crate) fn sleep(_: Duration) {
        loom::thread::yield_now();
    }

    /// Never spins: the first microseconds of a wait are like any later look, and would multiply the interleavings.
    pub(crate) struct Backoff;

    impl Backoff {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn is_completed(&self) -> bool {
            true
        }

        pub(crate) fn snooze(&self) {}
    }
}

#[cfg(loom)]
pub(crate) use checked::*;
#[cfg(not(loom))]
pub(crate) use real::*;
