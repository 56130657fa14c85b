//! Times on their way to a result.

use hdrhistogram::Histogram;

use super::schedule::{Phases, SLICES, nanoseconds};
use crate::times::{histogram, record};

/// Keeps the times of orders that count, by when they were due.
#[derive(Debug, Clone)]
pub struct Recorder {
    phases: Phases,
    slices: Vec<Histogram<u64>>,
    /// How long each turn went on behind its time until its last that counts was done.
    overrun_ns: Vec<u64>,
}

impl Recorder {
    /// Nothing yet.
    pub fn new(phases: Phases) -> Self {
        Self { phases, slices: vec![histogram(); SLICES], overrun_ns: Vec::new() }
    }

    /// Of an order that was due and done at these times, in nanoseconds since the first order was due. One that was due
    /// before or behind the measured time does not count.
    #[inline]
    pub fn record(&mut self, due_ns: u64, done_ns: u64) {
        let end_ns = nanoseconds(self.phases.warm_up) + nanoseconds(self.phases.measured);
        self.record_in_turn(0, end_ns, due_ns, done_ns);
    }

    /// The same of a turn that is a part of the measured time, up to `end_ns`.
    #[inline]
    pub fn record_in_turn(&mut self, turn: usize, end_ns: u64, due_ns: u64, done_ns: u64) {
        if let Some(slice) = self.phases.slice(due_ns) {
            record(&mut self.slices[slice], done_ns.saturating_sub(due_ns));
            self.overrun(turn, done_ns.saturating_sub(end_ns));
        }
    }

    fn overrun(&mut self, turn: usize, nanoseconds: u64) {
        if self.overrun_ns.len() <= turn {
            self.overrun_ns.resize(turn + 1, 0);
        }
        self.overrun_ns[turn] = self.overrun_ns[turn].max(nanoseconds);
    }

    /// Adds what another recorder of the same phases has.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.phases, other.phases, "times of the same phases");
        for (slice, other) in self.slices.iter_mut().zip(&other.slices) {
            *slice += other;
        }
        other.overrun_ns.iter().enumerate().for_each(|(turn, &nanoseconds)| self.overrun(turn, nanoseconds));
    }

    /// All that count.
    pub fn times(&self) -> Histogram<u64> {
        let mut all = histogram();
        self.slices.iter().for_each(|slice| all += slice);
        all
    }

    /// Those of each part of the measured time.
    pub fn slices(&self) -> &[Histogram<u64>] {
        &self.slices
    }

    /// Seconds of each part.
    pub fn slice_seconds(&self) -> f64 {
        self.phases.slice_seconds()
    }

    /// How many of those that count were done a second: less than what was offered if they were done late.
    pub fn per_second(&self) -> f64 {
        let took = nanoseconds(self.phases.measured) + self.overrun_ns.iter().sum::<u64>();
        let count: u64 = self.slices.iter().map(Histogram::len).sum();
        count as f64 / (took as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_done_late_lowers_the_rate() {
        let second = Duration::from_secs(1);
        let mut recorder = Recorder::new(Phases { warm_up: second, measured: second, cool_down: second });
        for due in (0..3_000_000_000).step_by(1_000_000) {
            recorder.record(due, due + 500_000);
        }
        assert_eq!(recorder.times().len(), 1_000, "of three seconds one counts");
        assert_eq!(recorder.per_second(), 1_000.0);
        assert!(recorder.slices().iter().all(|slice| slice.len() == 50));
        let mut late = Recorder::new(recorder.phases);
        late.record(1_500_000_000, 3_000_000_000);
        recorder.merge(&late);
        assert_eq!((recorder.times().len(), recorder.per_second()), (1_001, 500.5));
        assert_eq!(recorder.times().max() / 10_000_000, 150);
    }

    #[test]
    fn each_turn_that_is_done_late_lowers_the_rate() {
        let second = Duration::from_secs(1);
        let mut recorder = Recorder::new(Phases { warm_up: second, measured: second, cool_down: second });
        for (turn, end_ns) in [(0, 1_500_000_000), (1, 2_000_000_000)] {
            for due in (0..500_000_000).step_by(1_000_000) {
                recorder.record_in_turn(turn, end_ns, end_ns - 500_000_000 + due, end_ns + due);
            }
        }
        // Each half second took one.
        assert_eq!(recorder.per_second().round(), 501.0);
    }
}
