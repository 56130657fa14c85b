use core::sync::atomic::Ordering;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU32, Backoff, Condvar, Mutex, MutexGuard, fence, sleep, spin_loop};

/// What a waiter does once it has spun in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Idle {
    /// It sleeps until it is woken: one fence per change, a system call only if somebody sleeps.
    #[default]
    Park,
    /// It looks again every 50 µs: whoever makes the change makes no system call, ever, and every waiter keeps its core a
    /// little busy.
    Poll,
    /// The core looks again at once and makes no system call: it has a processor of its own. Threads beside it poll.
    Spin,
}

impl Idle {
    /// How a thread beside the core waits.
    #[must_use]
    pub fn beside_the_core(self) -> Self {
        match self {
            Self::Park => Self::Park,
            Self::Poll | Self::Spin => Self::Poll,
        }
    }
}

/// How long a thread rests between two looks that nobody waits for: so nobody has to wake it.
pub const REST: Duration = Duration::from_millis(1);

const POLL_INTERVAL: Duration = Duration::from_micros(50);

/// How often a spinning waiter looks before it lets its caller look at other things.
const SPIN_LOOKS: u32 = 128;

/// Wakes a thread that sleeps elsewhere than at a bell, such as in the network's poll.
pub trait Wake: Send + Sync {
    /// Makes it look again.
    fn wake(&self);
}

/// Wakes those who wait for something to change: a cursor to move, a watermark to rise, a queue to fill.
///
/// A bell says *look again*; what there is to see is in the atomics that the waiter looks at. One bell may serve several
/// of them, so that a thread can wait for any.
///
/// # Memory ordering
///
/// A waiter that sleeps must not miss the change. Both sides write, fence, and read what the other wrote:
///
/// ```text
///   changer                                    waiter
///   ───────                                    ──────
///   W  value.store(…, Release)                 S  waiters += 1
///   F1 fence(SeqCst)                           F2 fence(SeqCst)
///   R  waiters.load()                          L  gate.lock(); look at value
///      if not zero: gate.lock(), unlock,          if not there: condvar.wait(gate)
///                   condvar.notify_all()
/// ```
///
/// The two fences have one order. F1 before F2: L sees W and nobody sleeps. F2 before F1: R sees S, and the changer takes
/// the gate either before L, and then L sees W, or after the wait released it, and then the condvar wakes the waiter.
///
/// Who sleeps elsewhere arms a waker under the gate, and looks behind that. The changer takes the gate either before, and
/// then the look sees W, or after, and then it finds the waker.
#[derive(Debug, Default)]
pub struct Bell {
    waiters: CachePadded<AtomicU32>,
    gate: Mutex<Sleepers>,
    condvar: Condvar,
}

/// Who is to be woken.
#[derive(Default)]
struct Sleepers {
    /// At the condvar.
    threads: u32,
    /// Elsewhere. Each counts as a waiter until it is woken or disarmed.
    armed: Vec<Arc<dyn Wake>>,
}

impl fmt::Debug for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at the bell, {} elsewhere", self.threads, self.armed.len())
    }
}

impl Bell {
    /// A bell that nobody waits for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes everybody who waits. To be called behind the change.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.waiters.load(Ordering::Relaxed) != 0 {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        let mut gate = self.lock_gate();
        let threads = gate.threads;
        for waker in gate.armed.drain(..) {
            self.waiters.fetch_sub(1, Ordering::Relaxed);
            waker.wake();
        }
        drop(gate);
        if threads != 0 {
            self.condvar.notify_all();
        }
    }

    /// Has `waker` woken by the next ring, once. The caller looks behind this, and disarms if there is something.
    pub fn arm(&self, waker: &Arc<dyn Wake>) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        self.lock_gate().armed.push(Arc::clone(waker));
        fence(Ordering::SeqCst);
    }

    /// Lets `waker` sleep, if no ring has woken it.
    pub fn disarm(&self, waker: &Arc<dyn Wake>) {
        let mut gate = self.lock_gate();
        if let Some(index) = gate.armed.iter().position(|armed| Arc::ptr_eq(armed, waker)) {
            gate.armed.swap_remove(index);
            self.waiters.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Waits until `look` finds something; gives it.
    pub fn wait<T>(&self, idle: Idle, mut look: impl FnMut() -> Option<T>) -> T {
        if let Some(found) = look_a_little(idle, &mut look) {
            return found;
        }
        match idle {
            Idle::Park => self.sleep(look, None).expect("a sleep without a limit ends by finding"),
            Idle::Poll => look_again(look, || sleep(POLL_INTERVAL)),
            Idle::Spin => look_again(look, spin_loop),
        }
    }

    /// Waits until `look` finds something; `None` if it did not, and nobody has rung for about so long.
    pub fn wait_at_most<T>(&self, idle: Idle, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        if let Some(found) = look_a_little(idle, &mut look) {
            return Some(found);
        }
        match idle {
            Idle::Park => self.sleep(look, Some(limit)),
            Idle::Poll => poll(look, limit),
            Idle::Spin => look(),
        }
    }

    fn sleep<T>(&self, mut look: impl FnMut() -> Option<T>, limit: Option<Duration>) -> Option<T> {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut gate = self.lock_gate();
        gate.threads += 1;
        let found = loop {
            if let Some(found) = look() {
                break Some(found);
            }
            match limit {
                None => gate = self.condvar.wait(gate).unwrap_or_else(PoisonError::into_inner),
                Some(limit) => {
                    let woken = self.condvar.wait_timeout(gate, limit).unwrap_or_else(PoisonError::into_inner);
                    gate = woken.0;
                    if woken.1.timed_out() {
                        break look();
                    }
                }
            }
        };
        gate.threads -= 1;
        drop(gate);
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        found
    }

    /// The gate guards nothing that a panic could leave half done.
    fn lock_gate(&self) -> MutexGuard<'_, Sleepers> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first microseconds: who spins never yields, which would be a system call.
pub(crate) fn look_a_little<T>(idle: Idle, look: &mut impl FnMut() -> Option<T>) -> Option<T> {
    if idle == Idle::Spin {
        return (0..SPIN_LOOKS).find_map(|_| {
            let found = look();
            spin_loop();
            found
        });
    }
    let backoff = Backoff::new();
    while !backoff.is_completed() {
        if let Some(found) = look() {
            return Some(found);
        }
        backoff.snooze();
    }
    None
}

/// A sleep is never shorter than it was asked to be, so that counting sleeps needs no clock.
fn poll<T>(mut look: impl FnMut() -> Option<T>, limit: Duration) -> Option<T> {
    let sleeps = limit.as_nanos().div_ceil(POLL_INTERVAL.as_nanos());
    (0..sleeps).find_map(|_| {
        sleep(POLL_INTERVAL.min(limit));
        look()
    })
}

fn look_again<T>(mut look: impl FnMut() -> Option<T>, pause: impl Fn()) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        pause();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::cell::Cell;

    #[test]
    fn who_spins_looks_often_and_gives_up_without_sleeping() {
        let (bell, looks) = (Bell::new(), Cell::new(0));
        let look = || {
            looks.set(looks.get() + 1);
            None::<()>
        };
        // An hour would be noticed.
        assert_eq!(bell.wait_at_most(Idle::Spin, Duration::from_secs(3_600), look), None);
        assert_eq!(looks.get(), SPIN_LOOKS + 1);
        let found = bell.wait(Idle::Spin, || {
            looks.set(looks.get() + 1);
            (looks.get() > 10_000).then(|| looks.get())
        });
        assert_eq!(found, 10_001);
    }

    #[test]
    fn who_polls_spins_once_and_then_looks_after_every_sleep() {
        let (bell, looks) = (Bell::new(), Cell::new(0));
        let found = bell.wait_at_most(Idle::Poll, 20 * POLL_INTERVAL, || {
            looks.set(looks.get() + 1);
            None::<()>
        });
        assert_eq!(found, None);
        // Eleven looks before the first sleep, as many as a backoff has steps.
        assert_eq!(looks.get(), 11 + 20);
    }

    struct Count(core::sync::atomic::AtomicU32);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_waker_is_woken_once_for_each_time_that_it_is_armed() {
        let bell = Bell::new();
        let count = Arc::new(Count(core::sync::atomic::AtomicU32::new(0)));
        let waker: Arc<dyn Wake> = Arc::clone(&count) as _;
        let woken = || count.0.load(Ordering::Relaxed);
        bell.ring();
        assert_eq!(woken(), 0);
        bell.arm(&waker);
        bell.ring();
        bell.ring();
        assert_eq!(woken(), 1);
        bell.arm(&waker);
        bell.disarm(&waker);
        bell.disarm(&waker);
        bell.ring();
        assert_eq!(woken(), 1);
        bell.arm(&waker);
        bell.ring();
        assert_eq!((woken(), bell.waiters.load(Ordering::Relaxed)), (2, 0));
    }

    #[test]
    fn beside_a_spinning_core_threads_poll() {
        let beside = [Idle::Park, Idle::Poll, Idle::Spin].map(Idle::beside_the_core);
        assert_eq!(beside, [Idle::Park, Idle::Poll, Idle::Poll]);
    }
}
