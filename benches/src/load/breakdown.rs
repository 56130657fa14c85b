//! Where an order's time goes: the differences between the stamps that it gets on its way.
//!
//! ```text
//!   due ─► sent ─► received ─► … stamps of the venue … ─► sent by the venue ─► read
//! ```
//!
//! All stamps are readings of one counter, so that the means of the hops add up to the mean of the whole way, of those
//! orders. That it is the mean of all orders, which is taken by another clock, has to be shown.

use hdrhistogram::Histogram;

use super::result::Hop;
use crate::throughput::clock::Clock;
use crate::times::{histogram, record};

/// The hops between some points.
#[derive(Debug, Clone)]
pub struct Breakdown {
    names: Vec<String>,
    hops: Vec<Histogram<u64>>,
    /// Of the whole ways, exactly.
    total_ns: f64,
    count: u64,
    /// Ways whose stamps are not ascending: one is missing.
    incomplete: u64,
}

impl Breakdown {
    /// Between points of these names, in their order.
    pub fn new<'a>(points: impl IntoIterator<Item = &'a str>) -> Self {
        let points: Vec<_> = points.into_iter().collect();
        let names: Vec<_> = points.windows(2).map(|pair| format!("{} to {}", pair[0], pair[1])).collect();
        let hops = vec![histogram(); names.len()];
        Self { names, hops, total_ns: 0.0, count: 0, incomplete: 0 }
    }

    /// Takes the stamps of one order's way, one for each point.
    ///
    /// # Panics
    /// If there are more or fewer stamps than points.
    pub fn add(&mut self, stamps: &[u64], clock: &Clock) {
        assert_eq!(stamps.len(), self.hops.len() + 1, "a stamp for each point");
        if stamps.contains(&0) || !stamps.is_sorted() {
            self.incomplete += 1;
            return;
        }
        for (hop, pair) in self.hops.iter_mut().zip(stamps.windows(2)) {
            record(hop, clock.nanoseconds(pair[1] - pair[0]).round() as u64);
        }
        self.total_ns += clock.nanoseconds(stamps[stamps.len() - 1] - stamps[0]);
        self.count += 1;
    }

    /// How many ways were taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many were left out, because a stamp was missing.
    pub fn incomplete(&self) -> u64 {
        self.incomplete
    }

    /// The mean of the whole way, in nanoseconds.
    pub fn mean_ns(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total_ns / self.count as f64 }
    }

    /// The hops, in their order.
    pub fn hops(&self) -> Vec<Hop> {
        self.names.iter().zip(&self.hops).map(|(name, times)| Hop::of_times(name.as_str(), times)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_add_up_and_what_lacks_a_stamp_is_left_out() {
        let clock = Clock::calibrate();
        let ticks = |nanoseconds: u64| 1 + clock.ticks(nanoseconds as f64);
        let mut breakdown = Breakdown::new(["due", "sent", "read"]);
        breakdown.add(&[1, ticks(1_000), ticks(10_000)], &clock);
        breakdown.add(&[1, ticks(3_000), ticks(20_000)], &clock);
        breakdown.add(&[1, 0, ticks(20_000)], &clock);
        breakdown.add(&[1, ticks(30_000), ticks(20_000)], &clock);
        assert_eq!((breakdown.count(), breakdown.incomplete()), (2, 2));
        let hops = breakdown.hops();
        let names: Vec<_> = hops.iter().map(|hop| hop.name.as_str()).collect();
        assert_eq!(names, ["due to sent", "sent to read"]);
        assert!((hops[0].mean_ns - 2_000.0).abs() < 20.0, "{}", hops[0].mean_ns);
        let sum: f64 = hops.iter().map(|hop| hop.mean_ns).sum();
        assert!((sum - 15_000.0).abs() < 100.0 && (breakdown.mean_ns() - 15_000.0).abs() < 100.0, "{sum}");
    }
}
