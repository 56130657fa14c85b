//! What becomes of the hops' samples: histograms for everybody, and the samples themselves for whoever taps them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crossbeam_queue::ArrayQueue;
use gateway::hops::{HOP_COUNT, HOP_NAMES, HopSample, SAMPLED_EVERY};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::ticks;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hop {
    hop: &'static str,
}

/// What the histograms are labelled with: the whole, and each hop.
pub(crate) fn labels() -> impl Iterator<Item = &'static str> {
    [WHOLE].into_iter().chain(HOP_NAMES[1..].iter().copied())
}

const WHOLE: &str = "all";

/// From a tenth of a microsecond to more than three seconds, doubling.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-7, 2.0, 26))
}

/// How long each hop takes.
#[derive(Debug)]
pub struct HopTimes {
    family: Family<Hop, Histogram, fn() -> Histogram>,
    /// From one stamp to the next.
    hops: [Histogram; HOP_COUNT - 1],
    whole: Histogram,
    taps: Mutex<Vec<Weak<Tapped>>>,
}

impl Default for HopTimes {
    fn default() -> Self {
        let family = Family::new_with_constructor(histogram as fn() -> Histogram);
        let of = |hop| family.get_or_create_owned(&Hop { hop });
        let hops = std::array::from_fn(|index| of(HOP_NAMES[index + 1]));
        Self { hops, whole: of(WHOLE), family, taps: Mutex::default() }
    }
}

impl HopTimes {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Time from the stamp before to this one, of one command in 32; all: from received to sent";
        registry.register("hop_seconds", help, self.family.clone());
    }

    /// Takes a sample.
    pub(crate) fn record(&self, sample: &HopSample) {
        let stamps = &sample.stamps;
        for (pair, hop) in stamps.windows(2).zip(&self.hops) {
            hop.observe(ticks::between(pair[0], pair[1]).as_secs_f64());
        }
        self.whole.observe(ticks::between(stamps[0], stamps[HOP_COUNT - 1]).as_secs_f64());
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|tap| {
            tap.upgrade().is_some_and(|tapped| {
                tapped.take(*sample);
                true
            })
        });
    }

    /// From now on keeps samples, at most so many; the oldest make room.
    pub fn tap(&self, capacity: usize) -> Tap {
        self.tap_every(1, capacity)
    }

    /// The same of one sample in so many of each session.
    pub fn tap_every(&self, every: u32, capacity: usize) -> Tap {
        let (samples, lost) = (ArrayQueue::new(capacity.max(1)), AtomicUsize::new(0));
        let tapped = Arc::new(Tapped { every: SAMPLED_EVERY * u64::from(every), samples, lost });
        self.taps.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&tapped));
        Tap(tapped)
    }
}

#[derive(Debug)]
struct Tapped {
    /// It takes the command whose number in its session's stream this divides.
    every: u64,
    samples: ArrayQueue<HopSample>,
    /// Those that have made room.
    lost: AtomicUsize,
}

impl Tapped {
    fn take(&self, sample: HopSample) {
        if sample.client_sequence.0.is_multiple_of(self.every) && self.samples.force_push(sample).is_some() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Samples as they come.
#[derive(Debug)]
pub struct Tap(Arc<Tapped>);

impl Tap {
    /// Appends those that have come.
    pub fn drain(&self, samples: &mut Vec<HopSample>) {
        samples.extend(std::iter::from_fn(|| self.0.samples.pop()));
    }

    /// How many have made room since this was asked last.
    pub fn lost(&self) -> usize {
        self.0.lost.swap(0, Ordering::Relaxed)
    }
}
