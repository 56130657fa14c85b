//! Short times by the processor's time-stamp counter, where there is one: read behind a fence that lets nothing of what
//! is timed begin before, and with an instruction that waits for what was timed to end.

use std::time::{Duration, Instant};

/// How the counter's frequency is found.
const CALIBRATION: Duration = Duration::from_millis(50);
const PAIRS: usize = 100_000;

/// What the counter's readings mean.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    ticks_per_nanosecond: f64,
    /// The least that two readings with nothing between them differ by, in ticks.
    pub pair_least: u64,
    /// What they differ by in the median.
    pub pair_median: u64,
}

impl Clock {
    /// Finds out.
    pub fn calibrate() -> Self {
        let (instant, first) = (Instant::now(), begin());
        while instant.elapsed() < CALIBRATION {}
        let (last, elapsed) = (end(), instant.elapsed());
        let mut pairs: Vec<u64> = (0..PAIRS).map(|_| pair()).collect();
        pairs.sort_unstable();
        Self {
            ticks_per_nanosecond: (last - first) as f64 / elapsed.as_nanos() as f64,
            pair_least: pairs[0],
            pair_median: pairs[PAIRS / 2],
        }
    }

    /// Nanoseconds of so many ticks.
    pub fn nanoseconds(&self, ticks: u64) -> f64 {
        ticks as f64 / self.ticks_per_nanosecond
    }

    /// Ticks of so many nanoseconds.
    pub fn ticks(&self, nanoseconds: f64) -> u64 {
        (nanoseconds * self.ticks_per_nanosecond) as u64
    }

    /// Nanoseconds of what was between two readings that differ by so many ticks: the median of an empty pair is taken
    /// off.
    pub fn between(&self, ticks: u64) -> u64 {
        self.nanoseconds(ticks.saturating_sub(self.pair_median)).round() as u64
    }
}

#[inline(always)]
fn pair() -> u64 {
    let begun = begin();
    end() - begun
}

pub use counter::{begin, end};

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the counter is read by intrinsics")]
mod counter {
    use std::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};

    /// Reads the counter before what is timed.
    #[inline(always)]
    pub fn begin() -> u64 {
        // SAFETY: every x86-64 processor has both instructions.
        unsafe {
            _mm_lfence();
            _rdtsc()
        }
    }

    /// Reads the counter behind what is timed.
    #[inline(always)]
    pub fn end() -> u64 {
        let mut processor = 0;
        // SAFETY: every x86-64 processor of the last fifteen years has it, and it only writes the processor's number.
        unsafe { __rdtscp(&mut processor) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod counter {
    use std::sync::LazyLock;
    use std::time::Instant;

    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    /// Reads the clock before what is timed.
    #[inline(always)]
    pub fn begin() -> u64 {
        ORIGIN.elapsed().as_nanos() as u64
    }

    /// Reads the clock behind what is timed.
    #[inline(always)]
    pub fn end() -> u64 {
        begin()
    }
}
