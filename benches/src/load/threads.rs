//! Where what is measured runs, and how what loads it waits.

use std::time::{Duration, Instant};

use ring::Idle;
use venue::affinity;
use venue::config::Threads;

use super::schedule::nanoseconds;
use crate::failure::Failure;

/// Does something on a thread that, with all that it starts, keeps off the core's processor.
pub fn beside_the_core<T: Send>(
    threads: &Threads,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let others = threads.placement.as_ref().map(|placement| placement.others.clone());
    on_a_thread(move || others.map_or(Ok(()), |others| affinity::keep_to(&others)), work)
}

/// Does something on a thread that has the core's processor.
pub fn on_the_core<T: Send>(threads: &Threads, work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    let core = threads.placement.as_ref().map(|placement| placement.core);
    on_a_thread(move || core.map_or(Ok(()), affinity::pin), work)
}

fn on_a_thread<T: Send>(
    place: impl FnOnce() -> std::io::Result<()> + Send,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            place().map_err(|error| Failure::Usage(format!("--cores: {error}")))?;
            work()
        });
        working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// From here on a thread that waits for a time sleeps no more.
const AWAKE_NS: u64 = 50_000;

/// Waits for the times at which orders are due.
#[derive(Debug, Clone, Copy)]
pub struct Pacer {
    origin: Instant,
    idle: Idle,
}

impl Pacer {
    /// Of a thread that takes `origin` for zero. If nothing spins it sleeps while there is time, and gives its processor
    /// to whoever wants it in the last 50 µs; else it spins.
    pub fn new(origin: Instant, idle: Idle) -> Self {
        // Else it sleeps 50 µs longer, which is told as late sending.
        let _ = affinity::sleep_precisely();
        Self { origin, idle }
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub fn now(&self) -> u64 {
        nanoseconds(self.origin.elapsed())
    }

    /// Waits until so many nanoseconds behind the origin; what the time is then.
    pub fn wait_until(&self, due_ns: u64) -> u64 {
        loop {
            let now = self.now();
            let Some(left) = due_ns.checked_sub(now).filter(|&left| left > 0) else { return now };
            match self.idle {
                Idle::Spin => std::hint::spin_loop(),
                Idle::Park | Idle::Poll if left > AWAKE_NS => {
                    std::thread::sleep(Duration::from_nanos(left - AWAKE_NS));
                }
                Idle::Park | Idle::Poll => std::thread::yield_now(),
            }
        }
    }
}
