//! Where an order's time goes: the differences between the stamps that it gets on its way.
//!
//! ```text
//!   due ─► client sent ─► received ─► … stamps of the venue … ─► sent ─► client read
//! ```
//!
//! All stamps are readings of the processor's counter, so that the means of the hops add up to the mean of the whole way,
//! of those orders. That it is the mean of all orders, which another clock tells, has to be shown: see
//! [`Breakdown::notes`].

use std::collections::HashMap;
use std::time::Duration;

use gateway::hops::{HOP_NAMES, HopSample};
use hdrhistogram::Histogram;
use venue::hops::Tap;
use venue::ticks;

use super::result::Hop;
use super::traders::Answered;
use crate::times::{histogram, record_duration};

/// The hops of many orders.
#[derive(Debug, Clone)]
pub struct Breakdown {
    names: Vec<String>,
    hops: Vec<Histogram<u64>>,
    /// Of the whole ways, by their hops.
    hops_ns: f64,
    /// Of the same orders, by the traders' clock.
    clock_ns: f64,
    count: u64,
    /// Orders whose stamps are not all there.
    incomplete: u64,
}

/// Orders that were sampled in a turn.
#[derive(Debug, Default)]
pub struct Sampled(Vec<Answered>);

impl Sampled {
    /// Keeps an order, if it is sampled.
    pub fn keep(&mut self, answered: &Answered) {
        if answered.sent.is_sampled() {
            self.0.push(*answered);
        }
    }
}

impl Breakdown {
    /// Between a trader and the venue, and back.
    pub fn of_a_round_trip() -> Self {
        Self::new(["due", "client sent"].into_iter().chain(HOP_NAMES).chain(["client read"]))
    }

    fn new<'a>(points: impl IntoIterator<Item = &'a str>) -> Self {
        let points: Vec<_> = points.into_iter().collect();
        let names: Vec<_> = points.windows(2).map(|pair| format!("{} to {}", pair[0], pair[1])).collect();
        let hops = vec![histogram(); names.len()];
        Self { names, hops, hops_ns: 0.0, clock_ns: 0.0, count: 0, incomplete: 0 }
    }

    /// Puts the traders' stamps and the venue's together.
    pub fn join(&mut self, sampled: &Sampled, tap: &Tap) {
        let mut samples = Vec::new();
        tap.drain(&mut samples);
        let stamps: HashMap<_, _> = samples.iter().map(|sample| (key(sample), sample.stamps)).collect();
        for Answered { sent, session, read_ns, read_ticks, .. } in &sampled.0 {
            let Some(venue) = stamps.get(&(*session, sent.number.0)) else {
                self.incomplete += 1;
                continue;
            };
            // What is read was sent: a thread that loses its processor behind the write stamps late.
            let venue = venue.map(|stamp| stamp.min(*read_ticks));
            let stamps: Vec<_> = [sent.sent_ticks].into_iter().chain(venue).chain([*read_ticks]).collect();
            let by_clock = Duration::from_nanos(read_ns - sent.due_ns);
            self.add(Duration::from_nanos(sent.sent_ns - sent.due_ns), &stamps, by_clock, ticks::between);
        }
    }

    /// Takes one order's way: how late it was sent, a stamp for each further point, and the whole of it by the clock.
    fn add(&mut self, late: Duration, stamps: &[u64], by_clock: Duration, between: impl Fn(u64, u64) -> Duration) {
        assert_eq!(stamps.len(), self.hops.len(), "a stamp for each point but the first");
        if stamps.contains(&0) || !stamps.is_sorted() {
            self.incomplete += 1;
            return;
        }
        let hops = stamps.windows(2).map(|pair| between(pair[0], pair[1]));
        for (times, hop) in self.hops.iter_mut().zip([late].into_iter().chain(hops)) {
            record_duration(times, hop);
            self.hops_ns += hop.as_nanos() as f64;
        }
        self.clock_ns += by_clock.as_nanos() as f64;
        self.count += 1;
    }

    /// How many orders there are, and what the sum of their hops is of their mean by the clock, and of that of all orders.
    pub fn notes(&self, mean_of_all_ns: f64) -> Vec<(String, f64)> {
        let of = |sum: f64, mean: f64| if mean > 0.0 { sum / mean } else { 0.0 };
        let mean_ns = of(self.hops_ns, self.count as f64);
        let notes = [
            ("hops_orders", self.count as f64),
            ("hops_incomplete", self.incomplete as f64),
            ("hops_sum_mean_ns", mean_ns),
            ("hops_sum_to_mean_of_these", of(self.hops_ns, self.clock_ns)),
            ("hops_sum_to_mean_of_all", of(mean_ns, mean_of_all_ns)),
        ];
        notes.map(|(name, number)| (name.to_owned(), number)).into()
    }

    /// The hops, in their order; none without orders.
    pub fn hops(&self) -> Vec<Hop> {
        if self.count == 0 {
            return Vec::new();
        }
        self.names.iter().zip(&self.hops).map(|(name, times)| Hop::of_times(name.as_str(), times)).collect()
    }
}

/// Which request: its session, from 0, and its number there.
fn key(sample: &HopSample) -> (usize, u64) {
    (sample.session.0 as usize - 1, sample.client_sequence.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_add_up_and_what_lacks_a_stamp_is_left_out() {
        let mut breakdown = Breakdown::new(["due", "sent", "received", "read"]);
        let mut add = |late, stamps: &[u64], whole| {
            let [late, whole] = [late, whole].map(Duration::from_nanos);
            breakdown.add(late, stamps, whole, |first, second| Duration::from_nanos(10 * (second - first)));
        };
        add(500, &[1, 101, 1_001], 11_000);
        add(1_500, &[1, 301, 2_001], 21_500);
        add(0, &[1, 0, 2_001], 20_000);
        add(0, &[1, 3_001, 2_001], 20_000);
        let hops = breakdown.hops();
        let names: Vec<_> = hops.iter().map(|hop| hop.name.as_str()).collect();
        assert_eq!(names, ["due to sent", "sent to received", "received to read"]);
        let near = |found: f64, expected: f64| (found - expected).abs() <= expected / 500.0;
        for (hop, mean_ns) in hops.iter().zip([1_000.0, 2_000.0, 13_000.0]) {
            assert!(hop.count == 2 && near(hop.mean_ns, mean_ns), "{hop:?}");
        }
        let notes: HashMap<_, _> = breakdown.notes(20_000.0).into_iter().collect();
        assert_eq!((notes["hops_orders"], notes["hops_incomplete"], notes["hops_sum_mean_ns"]), (2.0, 2.0, 16_000.0));
        assert!(near(notes["hops_sum_to_mean_of_these"], 32.0 / 32.5), "{notes:?}");
        assert_eq!(notes["hops_sum_to_mean_of_all"], 0.8);
    }
}
