//! How long something took lately: percentiles over a window of the newest samples.

use std::collections::VecDeque;
use std::time::Duration;

/// The newest so many count.
const WINDOW: usize = 1_000;

/// A window of durations in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    samples: VecDeque<u64>,
}

/// What a window says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl Latency {
    /// Adds a sample; the oldest leaves a full window.
    pub(crate) fn add(&mut self, nanoseconds: u64) {
        if self.samples.len() == WINDOW {
            self.samples.pop_front();
        }
        self.samples.push_back(nanoseconds);
    }

    /// `None`: there are no samples.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let mut sorted: Vec<u64> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        // The smallest sample that so many percent of all do not exceed.
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).map(|&nanoseconds| Duration::from_nanos(nanoseconds))
        };
        Some(Percentiles { median: at(50)?, p99: at(99)?, max: at(100)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_old_samples_leave() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentiles(), None);
        latency.add(7);
        let one = Duration::from_nanos(7);
        assert_eq!(latency.percentiles(), Some(Percentiles { median: one, p99: one, max: one }));
        // One to a thousand, shuffled by a stride that is prime to it, push the seven out.
        (0..1_000).for_each(|index| latency.add(index * 7 % 1_000 + 1));
        let said = latency.percentiles().unwrap();
        assert_eq!((said.median.as_nanos(), said.p99.as_nanos(), said.max.as_nanos()), (500, 990, 1_000));
    }
}
