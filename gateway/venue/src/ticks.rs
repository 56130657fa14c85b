//! The processor's time-stamp counter, for measurements: ten nanoseconds a reading, where a clock takes thirty.

use std::sync::LazyLock;
use std::time::Duration;

use quanta::Clock;

/// Finds out the counter's frequency when it is used first.
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::new);

/// Finds out the frequency now, which takes some milliseconds.
pub(crate) fn calibrate() {
    LazyLock::force(&CLOCK);
}

/// A reading.
pub fn now() -> u64 {
    CLOCK.raw()
}

/// The time between two readings; none if the second is before the first.
pub fn between(first: u64, second: u64) -> Duration {
    Duration::from_nanos(CLOCK.delta_as_nanos(first, second))
}
