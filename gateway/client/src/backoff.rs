//! When to connect again: soon at first, then ever later, and never so often that a venue takes it for guessing.

use core::time::Duration;

use fastrand::Rng;
use wire::Timestamp;

use crate::connection::after;

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody listens, or it broke while it was made: no venue counts it.
    Unreachable,
    /// It was refused for now, or ended for asking too much.
    Reached,
    /// The venue does not know the login: it is asked for another at once, and one may fail in a minute.
    LoginGone,
    /// The venue counts the failures already.
    LockedOut,
}

/// The first wait, and the longest, while nobody answers.
const UNREACHABLE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];
/// Behind one failure that the venue may count, and behind another: no more than four in a minute.
const REACHED: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(20)];
/// Until a venue that counts failures has forgotten them.
const LOCKED_OUT: Duration = Duration::from_secs(61);

/// When the next attempt is due.
#[derive(Debug)]
pub(crate) struct Backoff {
    rng: Rng,
    due: Timestamp,
    /// The next wait while nobody answers.
    unreachable: Duration,
    /// Failures in a row that the venue may count.
    reached: u32,
}

impl Backoff {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, due: Timestamp(0), unreachable: UNREACHABLE[0], reached: 0 }
    }

    pub(crate) fn due(&self) -> Timestamp {
        self.due
    }

    pub(crate) fn failed(&mut self, failure: Failure, now: Timestamp) {
        let wait = match failure {
            Failure::Unreachable => {
                let wait = self.unreachable;
                self.unreachable = (wait * 2).min(UNREACHABLE[1]);
                wait
            }
            Failure::LoginGone if self.reached == 0 => {
                self.reached = 1;
                Duration::ZERO
            }
            Failure::Reached | Failure::LoginGone => {
                self.reached += 1;
                if self.reached == 1 { REACHED[0] } else { REACHED[1] }
            }
            Failure::LockedOut => LOCKED_OUT,
        };
        self.wait(wait, now);
    }

    /// A session is open: the venue forgets failures.
    pub(crate) fn opened(&mut self) {
        self.reached = 0;
    }

    /// A session was of use: when it is lost, another is tried for at once.
    pub(crate) fn caught_up(&mut self) {
        self.unreachable = UNREACHABLE[0];
    }

    /// Up to half as long again, so that those who lost a venue together do not come back together.
    fn wait(&mut self, wait: Duration, now: Timestamp) {
        self.due = after(now, wait + wait.mul_f64(self.rng.f64() / 2.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// When attempts were made that all failed alike.
    fn attempts(failure: Failure, count: usize) -> Vec<Timestamp> {
        let mut backoff = Backoff::new(Rng::with_seed(7));
        let mut attempt = || {
            let now = backoff.due();
            backoff.failed(failure, now);
            now
        };
        (0..count).map(|_| attempt()).collect()
    }

    #[test]
    fn a_venue_that_counts_failures_never_counts_five_in_a_minute() {
        for failure in [Failure::Reached, Failure::LoginGone, Failure::LockedOut] {
            let times = attempts(failure, 50);
            for window in times.windows(5) {
                assert!(window[4] > after(window[0], MINUTE), "{failure:?}: {window:?}");
            }
        }
    }

    #[test]
    fn a_venue_that_is_not_there_is_looked_for_often_at_first() {
        let times = attempts(Failure::Unreachable, 50);
        assert!(times[3] < Timestamp(1_000_000_000), "{times:?}");
        let longest = times.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
        assert!(longest <= Some(7_500_000_000), "{longest:?}");
    }

    #[test]
    fn a_session_that_was_of_use_is_opened_again_at_once_and_one_that_was_not_is_waited_for() {
        let mut backoff = Backoff::new(Rng::with_seed(7));
        let mut lose = |is_of_use: bool| {
            let now = backoff.due();
            backoff.opened();
            if is_of_use {
                backoff.caught_up();
            }
            backoff.failed(Failure::Unreachable, now);
            backoff.due().0 - now.0
        };
        let useless: Vec<u64> = (0..10).map(|_| lose(false)).collect();
        assert!(useless[0] <= 75_000_000 && useless[9] >= 5_000_000_000, "{useless:?}");
        assert!(lose(true) <= 75_000_000);
    }
}
