use core::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;

use crate::bell::{Bell, Idle};
use crate::sync::AtomicU64;

/// How far one thread has come: a number that only grows, and that others read and wait for.
///
/// One thread owns the watermark: it alone calls [`advance`](Self::advance) and [`poison`](Self::poison). Any number
/// read and wait. A poisoned watermark never advances again; what was reached before stays readable, so that a waiter
/// is told of the poison only when what it waits for was never reached.
///
/// # Memory ordering
///
/// The value and the poison share one word, so that no reader sees one without the other.
///
/// ```text
///   owner                                      reader
///   ─────                                      ──────
///   writes data
///   word.store(value, Release)  ─────────────► word.load(Acquire) sees value
///                                              reads data: it is all there
/// ```
///
/// How a waiter sleeps without missing the store is the [`Bell`]'s part.
///
/// # Examples
///
/// ```
/// use ring::{Idle, Watermark};
///
/// let durable = Watermark::new(0, Idle::Park);
/// std::thread::scope(|scope| {
///     scope.spawn(|| assert_eq!(durable.wait_for(3), Ok(3)));
///     durable.advance(3);
/// });
/// durable.poison();
/// assert_eq!(durable.wait_for(3), Ok(3));
/// assert!(durable.wait_for(4).is_err());
/// ```
#[derive(Debug)]
pub struct Watermark {
    /// The value in the upper 63 bits, the poison in the lowest.
    word: CachePadded<AtomicU64>,
    bell: Arc<Bell>,
    idle: Idle,
    passages: OnceLock<Arc<Passages>>,
}

/// When a watermark passed its last values, for measurements.
#[derive(Debug)]
pub struct Passages {
    ticks: fn() -> u64,
    /// The value and the ticks behind it; the oldest make room.
    last: ArrayQueue<(u64, u64)>,
}

/// Passages that are kept until somebody takes them.
const PASSAGES_KEPT: usize = 256;

impl Passages {
    /// The oldest that was not taken: a value, and when it was reached.
    pub fn take(&self) -> Option<(u64, u64)> {
        self.last.pop()
    }
}

/// The watermark's owner has failed or is gone; the value is the last that it reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the owner of the watermark has stopped for good at {reached}")]
pub struct Poisoned {
    /// The last value.
    pub reached: u64,
}

const POISON: u64 = 1;

impl Watermark {
    /// The highest value: one bit of the word is the poison.
    pub const VALUE_MAX: u64 = u64::MAX >> 1;

    /// A watermark that has reached `value`, and whose waiters wait as `idle` says.
    pub fn new(value: u64, idle: Idle) -> Self {
        Self::with_bell(value, idle, Arc::default())
    }

    /// The same, with a bell that serves others too: whoever waits for any of them is woken by each.
    pub fn with_bell(value: u64, idle: Idle, bell: Arc<Bell>) -> Self {
        Self { word: CachePadded::new(AtomicU64::new(value << 1)), bell, idle, passages: OnceLock::new() }
    }

    /// From now on notes when it passes values, by what `ticks` tells, the first time that this is called.
    pub fn note_passages(&self, ticks: fn() -> u64) -> &Arc<Passages> {
        let noted = || Arc::new(Passages { ticks, last: ArrayQueue::new(PASSAGES_KEPT) });
        self.passages.get_or_init(noted)
    }

    /// What wakes the waiters.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// How far the owner has come. Everything that it wrote before is visible.
    pub fn get(&self) -> u64 {
        self.word.load(Ordering::Acquire) >> 1
    }

    /// Whether the owner has stopped for good.
    pub fn is_poisoned(&self) -> bool {
        self.word.load(Ordering::Acquire) & POISON != 0
    }

    /// Moves to `value` and wakes who waits. For the owner alone.
    ///
    /// # Panics
    ///
    /// If that were a step back, or the watermark is poisoned.
    pub fn advance(&self, value: u64) {
        let word = self.word.load(Ordering::Relaxed);
        assert!(word & POISON == 0, "a poisoned watermark never advances");
        assert!(value >= word >> 1 && value <= Self::VALUE_MAX, "a watermark only grows");
        self.word.store(value << 1, Ordering::Release);
        if let Some(passages) = self.passages.get() {
            passages.last.force_push((value, (passages.ticks)()));
        }
        self.wake();
    }

    /// Stops for good and wakes who waits. For the owner alone.
    pub fn poison(&self) {
        self.word.fetch_or(POISON, Ordering::Release);
        self.wake();
    }

    /// Waits until the value is at least `target`; gives the value then.
    pub fn wait_for(&self, target: u64) -> Result<u64, Poisoned> {
        self.bell.wait(self.idle, || self.outcome(target))
    }

    /// The same, but `None` as soon as `given_up`; whoever makes it so rings the [`bell`](Self::bell) then.
    pub fn wait_unless(&self, target: u64, given_up: impl Fn() -> bool) -> Option<Result<u64, Poisoned>> {
        self.bell.wait(self.idle, || if given_up() { Some(None) } else { self.outcome(target).map(Some) })
    }

    fn outcome(&self, target: u64) -> Option<Result<u64, Poisoned>> {
        let word = self.word.load(Ordering::Acquire);
        let reached = word >> 1;
        if reached >= target { Some(Ok(reached)) } else { (word & POISON != 0).then_some(Err(Poisoned { reached })) }
    }

    /// Who polls or spins looks again anyway.
    fn wake(&self) {
        if self.idle == Idle::Park {
            self.bell.ring();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::sync::atomic::AtomicBool;

    use super::*;

    const STEPS: u64 = if cfg!(miri) { 50 } else { 20_000 };

    /// Two threads hand a turn back and forth, each waiting for the other: a missed wake-up would hang here.
    fn hand_back_and_forth(idle: Idle) {
        let [there, back] = [Watermark::new(0, idle), Watermark::new(0, idle)];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for step in 1..=STEPS {
                    assert_eq!(there.wait_for(step), Ok(step));
                    back.advance(step);
                }
            });
            for step in 1..=STEPS {
                there.advance(step);
                assert_eq!(back.wait_for(step), Ok(step));
            }
        });
    }

    #[test]
    fn no_wake_up_is_missed_by_a_sleeper() {
        hand_back_and_forth(Idle::Park);
    }

    #[test]
    fn no_step_is_missed_by_a_poller() {
        hand_back_and_forth(Idle::Poll);
    }

    #[test]
    fn what_was_written_before_an_advance_is_seen_behind_it() {
        let data: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
        let watermark = Watermark::new(0, Idle::Park);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for step in 1..=64_u64 {
                    assert!(watermark.wait_for(step).unwrap() >= step);
                    assert_eq!(data[usize::try_from(step - 1).unwrap()].load(Ordering::Relaxed), step);
                }
            });
            for (value, cell) in (1..).zip(&data) {
                cell.store(value, Ordering::Relaxed);
                watermark.advance(value);
            }
        });
    }

    #[test]
    fn poison_reaches_a_waiter_only_beyond_what_was_reached() {
        for idle in [Idle::Park, Idle::Poll] {
            let watermark = Watermark::new(7, idle);
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!(watermark.wait_for(9), Err(Poisoned { reached: 8 })));
                watermark.advance(8);
                watermark.poison();
            });
            assert_eq!(watermark.wait_for(8), Ok(8));
            assert!(watermark.is_poisoned());
            assert_eq!(watermark.get(), 8);
        }
    }

    #[test]
    fn a_waiter_may_be_asked_to_give_up() {
        for idle in [Idle::Park, Idle::Poll] {
            let watermark = Watermark::new(7, idle);
            let given_up = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| watermark.wait_unless(8, || given_up.load(Ordering::Acquire)));
                given_up.store(true, Ordering::Release);
                watermark.bell().ring();
                assert_eq!(waiting.join().unwrap(), None);
            });
            given_up.store(false, Ordering::Release);
            assert_eq!(watermark.wait_unless(7, || given_up.load(Ordering::Acquire)), Some(Ok(7)));
        }
    }

    #[test]
    fn passages_are_noted_from_then_on_and_the_oldest_make_room() {
        let watermark = Watermark::new(0, Idle::Park);
        watermark.advance(1);
        let passages = watermark.note_passages(|| 17);
        watermark.advance(3);
        watermark.advance(9);
        assert_eq!([(); 3].map(|()| passages.take()), [Some((3, 17)), Some((9, 17)), None]);
        (10..=10 + PASSAGES_KEPT as u64).for_each(|value| watermark.advance(value));
        assert_eq!(passages.take(), Some((11, 17)));
    }

    #[test]
    #[should_panic(expected = "a watermark only grows")]
    fn a_step_back_is_a_bug() {
        Watermark::new(7, Idle::Park).advance(6);
    }

    #[test]
    #[should_panic(expected = "never advances")]
    fn an_advance_behind_the_poison_is_a_bug() {
        let watermark = Watermark::new(7, Idle::Park);
        watermark.poison();
        watermark.advance(8);
    }
}
