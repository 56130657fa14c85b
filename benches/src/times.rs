//! Times of many single things, in nanoseconds.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A minute.
const LONGEST: u64 = 60_000_000_000;

/// An empty histogram, from a nanosecond to a minute, exact to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("valid bounds")
}

/// Counts a time.
pub fn record(times: &mut Histogram<u64>, nanoseconds: u64) {
    times.saturating_record(nanoseconds.max(1));
}

/// Counts a time.
pub fn record_duration(times: &mut Histogram<u64>, time: Duration) {
    record(times, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}
