//! The venue's time: the wall clock at start and a monotonic clock since, drawn slowly toward the wall clock.
//!
//! The wall clock may step and may be wrong. The venue's time never goes back, follows the wall clock by at most 500
//! parts per million, and does not follow a step of more than a second at all: it counts it, for somebody to look at.
//!
//! ```text
//!   venue time = wall at start + monotonic since + correction
//!   once a second:  correction += clamp(wall − venue time, ± 500 ppm of the time since), unless that is a step
//! ```

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::Timestamp;

/// How much the venue's time may gain or lose on the monotonic clock.
const SLEW_PARTS_PER_MILLION: i128 = 500;
/// A larger difference is a step.
const STEP_NS: i128 = 1_000_000_000;
/// How often the wall clock is looked at.
const SYNC_INTERVAL_NS: u64 = 1_000_000_000;

/// The venue's time.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    slew: Slew,
}

impl Clock {
    /// A clock that starts at the wall clock's time, or behind `last`, the time of the journal's last command.
    pub fn start(last: Timestamp) -> Self {
        Self { start: Instant::now(), slew: Slew::new(wall_ns().max(last.0)) }
    }

    /// The time now; never less than before.
    pub fn now(&mut self) -> Timestamp {
        let monotonic = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Timestamp(self.slew.time(monotonic, wall_ns))
    }

    /// How often the wall clock was found to have stepped.
    pub fn step_count(&self) -> u64 {
        self.slew.step_count
    }
}

/// How long from `now` until `then`.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::from_nanos(then.0.saturating_sub(now.0))
}

fn wall_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// The rule, without clocks: times in, time out.
#[derive(Debug)]
struct Slew {
    /// Venue time at monotonic zero, corrections included.
    base_ns: i128,
    synced_at_ns: u64,
    last_ns: u64,
    step_count: u64,
}

impl Slew {
    fn new(wall_ns: u64) -> Self {
        Self { base_ns: wall_ns.into(), synced_at_ns: 0, last_ns: wall_ns, step_count: 0 }
    }

    fn time(&mut self, monotonic_ns: u64, wall_ns: impl FnOnce() -> u64) -> u64 {
        let since = monotonic_ns.saturating_sub(self.synced_at_ns);
        if since >= SYNC_INTERVAL_NS {
            self.sync(monotonic_ns, since, wall_ns());
        }
        let time = u64::try_from(self.base_ns + i128::from(monotonic_ns)).unwrap_or_default();
        self.last_ns = self.last_ns.max(time);
        self.last_ns
    }

    fn sync(&mut self, monotonic_ns: u64, since: u64, wall_ns: u64) {
        self.synced_at_ns = monotonic_ns;
        let difference = i128::from(wall_ns) - (self.base_ns + i128::from(monotonic_ns));
        if difference.abs() > STEP_NS {
            self.step_count += 1;
            return;
        }
        let most = i128::from(since) * SLEW_PARTS_PER_MILLION / 1_000_000;
        self.base_ns += difference.clamp(-most, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 10_000 * SECOND;

    #[test]
    fn it_follows_a_drifting_wall_clock_by_at_most_500_parts_per_million() {
        let mut slew = Slew::new(START);
        // The wall clock is 2 ms ahead after a second: half a millisecond is made up each second.
        assert_eq!(slew.time(SECOND, || START + SECOND + 2_000_000), START + SECOND + 500_000);
        assert_eq!(slew.time(2 * SECOND, || START + 2 * SECOND + 2_000_000), START + 2 * SECOND + 1_000_000);
        assert_eq!(
            slew.time(2 * SECOND + 5, || unreachable!("looked at once a second")),
            START + 2 * SECOND + 1_000_005
        );
        // Behind by less than it may be drawn: it is drawn all the way.
        assert_eq!(slew.time(3 * SECOND, || START + 3 * SECOND + 900_000), START + 3 * SECOND + 900_000);
    }

    #[test]
    fn it_does_not_follow_a_step() {
        let mut slew = Slew::new(START);
        for (second, wall) in [(1, START + 3_600 * SECOND), (2, START - 3_600 * SECOND), (3, 0)] {
            assert_eq!(slew.time(second * SECOND, || wall), START + second * SECOND);
            assert_eq!(slew.step_count, second);
        }
    }

    #[test]
    fn it_never_goes_back() {
        let mut slew = Slew::new(START);
        let before = slew.time(SECOND - 1, || unreachable!("not a second yet"));
        let after = slew.time(SECOND, || START);
        assert_eq!((before, after), (START + SECOND - 1, START + SECOND - 1));
        assert_eq!(slew.time(SECOND + 600_000, || unreachable!("just looked at")), START + SECOND + 100_000);
    }
}
