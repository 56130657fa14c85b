//! When each order is meant to be sent, and which of them count.
//!
//! ```text
//!   0                 warm-up          warm-up + measured       total
//!   ├─ sent, answered ──┼─ sent, answered, counted ─┼─ sent, answered ─┤
//! ```
//!
//! Load model: open loop. The times are fixed before anything is sent, and a latency counts from such a time: an order
//! that a late answer kept from being sent has waited, too.

use std::time::Duration;

use fastrand::Rng;

use super::arguments::Arrivals;

/// Orders of a burst.
pub const BURST: u64 = 64;

/// Parts that the measured time is divided into, to see whether it stays the same.
pub const SLICES: usize = 20;

/// What is run, and what of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Before what counts.
    pub warm_up: Duration,
    /// What counts.
    pub measured: Duration,
    /// Behind what counts.
    pub cool_down: Duration,
}

impl Phases {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.warm_up + self.measured + self.cool_down
    }

    /// Which of [`SLICES`] equal parts of the measured time a time falls into, in nanoseconds since the first order was
    /// due; nothing if it does not count.
    pub fn slice(&self, at_ns: u64) -> Option<usize> {
        let (begin, length) = (nanoseconds(self.warm_up), nanoseconds(self.measured));
        let since = at_ns.checked_sub(begin).filter(|&since| since < length)?;
        Some((u128::from(since) * SLICES as u128 / u128::from(length)) as usize)
    }

    /// Seconds of each slice.
    pub fn slice_seconds(&self) -> f64 {
        self.measured.as_secs_f64() / SLICES as f64
    }
}

/// Times at which orders are due, in nanoseconds since the beginning, ascending.
#[derive(Debug, Clone)]
pub struct Schedule {
    arrivals: Arrivals,
    interval_ns: f64,
    total_ns: u64,
    index: u64,
    /// Of the next order.
    poisson_ns: f64,
    random: Rng,
}

impl Schedule {
    /// Of `rate` orders a second, for so long. Everything follows from the seed.
    pub fn new(arrivals: Arrivals, rate: u64, total: Duration, seed: u64) -> Self {
        let interval_ns = 1e9 / rate as f64;
        let random = Rng::with_seed(seed);
        Self { arrivals, interval_ns, total_ns: nanoseconds(total), index: 0, poisson_ns: 0.0, random }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let due = match self.arrivals {
            Arrivals::Fixed => self.index as f64 * self.interval_ns,
            Arrivals::Burst => (self.index / BURST * BURST) as f64 * self.interval_ns,
            Arrivals::Poisson => self.poisson_ns,
        } as u64;
        self.index += 1;
        self.poisson_ns -= (1.0 - self.random.f64()).ln() * self.interval_ns;
        (due < self.total_ns).then_some(due)
    }
}

/// A time in whole nanoseconds.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn times(arrivals: Arrivals, rate: u64, seed: u64) -> Vec<u64> {
        Schedule::new(arrivals, rate, SECOND, seed).collect()
    }

    #[test]
    fn fixed_times_are_as_far_apart() {
        assert_eq!(times(Arrivals::Fixed, 4, 1), [0, 250_000_000, 500_000_000, 750_000_000]);
        assert_eq!(times(Arrivals::Fixed, 3, 1), [0, 333_333_333, 666_666_666]);
    }

    #[test]
    fn bursts_come_together_at_the_same_average_rate() {
        let times = times(Arrivals::Burst, 256, 1);
        assert_eq!(times.len(), 256);
        for (index, burst) in times.chunks(64).enumerate() {
            assert!(burst.iter().all(|&time| time == index as u64 * 250_000_000), "{burst:?}");
        }
    }

    #[test]
    fn poisson_times_are_independent() {
        let times = times(Arrivals::Poisson, 100_000, 7);
        assert!(times.is_sorted());
        // Five standard deviations of the number, and of the share of gaps above the mean, which is 1/e.
        assert!((times.len() as f64 - 100_000.0).abs() < 5.0 * 316.0, "{} with seed 7", times.len());
        let gaps = || times.windows(2).map(|pair| pair[1] - pair[0]);
        let above = gaps().filter(|&gap| gap > 10_000).count() as f64 / gaps().count() as f64;
        assert!((above - 0.3679).abs() < 0.008, "{above} with seed 7");
    }

    #[test]
    fn a_seed_gives_the_same_times_and_another_gives_others() {
        assert_eq!(times(Arrivals::Poisson, 1_000, 1), times(Arrivals::Poisson, 1_000, 1));
        assert_ne!(times(Arrivals::Poisson, 1_000, 1), times(Arrivals::Poisson, 1_000, 2));
    }

    #[test]
    fn only_the_measured_time_counts() {
        let phases = Phases { warm_up: SECOND, measured: 2 * SECOND, cool_down: SECOND };
        assert_eq!(phases.total(), 4 * SECOND);
        for (at, slice) in [
            (0, None),
            (999_999_999, None),
            (1_000_000_000, Some(0)),
            (1_099_999_999, Some(0)),
            (1_100_000_000, Some(1)),
            (2_999_999_999, Some(19)),
            (3_000_000_000, None),
        ] {
            assert_eq!(phases.slice(at), slice, "{at}");
        }
    }
}
