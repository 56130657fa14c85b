//! The venue's time: the wall clock at start and a monotonic clock since, drawn slowly toward the wall clock.
//!
//! The wall clock may step and may be wrong. The venue's time never goes back, follows the wall clock by at most 500
//! parts per million, and does not follow a step of more than a second at all: it counts it, for somebody to look at.
//!
//! ```text
//!   venue time = wall at start + monotonic since + correction
//!   once a second:  correction += clamp(wall − venue time, ± 500 ppm of the time since), unless that is a step
//! ```
//!
//! At a start there is no monotonic clock to compare with, only the journal's last command. A wall clock that is behind it
//! is not waited for, which might be for ever: the venue's time goes on from the command's, and that is said. A wall clock
//! that is ahead looks like a venue that stood still, and is believed.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::Timestamp;
use journal::State;

/// How much the venue's time may gain or lose on the monotonic clock.
const SLEW_PARTS_PER_MILLION: i128 = 500;
/// A larger difference is a step.
const STEP_NS: i128 = 1_000_000_000;
/// How often the wall clock is looked at.
const SYNC_INTERVAL_NS: u64 = 1_000_000_000;

/// What a clock reads; those of the machine, or others that lie.
pub trait TimeSource {
    /// Nanoseconds since some moment; never less than before.
    fn monotonic_ns(&mut self) -> u64;

    /// Nanoseconds since 1970, as somebody has set them.
    fn wall_ns(&mut self) -> u64;
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct MachineTime {
    start: Instant,
}

impl Default for MachineTime {
    /// The monotonic clock begins now.
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl TimeSource for MachineTime {
    fn monotonic_ns(&mut self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall_ns(&mut self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The venue's time.
#[derive(Debug)]
pub struct Clock<S = MachineTime> {
    source: S,
    slew: Slew,
    behind_at_start: Option<Duration>,
    watch: Arc<ClockWatch>,
}

/// What the core's clock has seen of the wall clock, for others to read.
#[derive(Debug, Default)]
pub struct ClockWatch {
    step_count: AtomicU64,
    wall_ahead_ns: AtomicI64,
}

impl ClockWatch {
    /// How often the wall clock was found to have stepped.
    pub fn step_count(&self) -> u64 {
        self.step_count.load(Ordering::Relaxed)
    }

    /// How far the wall clock was ahead of the venue's time when it was looked at last; negative: behind.
    pub fn wall_ahead_ns(&self) -> i64 {
        self.wall_ahead_ns.load(Ordering::Relaxed)
    }
}

impl Clock {
    /// A clock that starts at the wall clock's time, or behind `last`, the time of the journal's last command.
    pub fn start(last: Timestamp) -> Self {
        Self::with_source(MachineTime::default(), last)
    }
}

impl<S: TimeSource> Clock<S> {
    /// The same over other clocks than the machine's.
    pub fn with_source(mut source: S, last: Timestamp) -> Self {
        let (monotonic, wall) = (source.monotonic_ns(), source.wall_ns());
        let slew = Slew::new(monotonic, wall, wall.max(last.0));
        let behind = last.0.saturating_sub(wall);
        let behind_at_start = (i128::from(behind) > STEP_NS).then(|| Duration::from_nanos(behind));
        let clock = Self { source, slew, behind_at_start, watch: Arc::default() };
        clock.show();
        clock
    }

    /// The time now; never less than before.
    pub fn now(&mut self) -> Timestamp {
        let monotonic = self.source.monotonic_ns();
        let synced_at = self.slew.synced_at_ns;
        let time = self.slew.time(monotonic, || self.source.wall_ns());
        if self.slew.synced_at_ns != synced_at {
            self.show();
        }
        Timestamp(time)
    }

    /// How far the wall clock was behind the journal's last command at the start, if that was more than a second.
    pub fn behind_at_start(&self) -> Option<Duration> {
        self.behind_at_start
    }

    /// What others read of the wall clock.
    pub fn watch(&self) -> &Arc<ClockWatch> {
        &self.watch
    }

    fn show(&self) {
        self.watch.step_count.store(self.slew.step_count, Ordering::Relaxed);
        let ahead = i64::try_from(self.slew.wall_ahead_ns);
        let farthest = if self.slew.wall_ahead_ns < 0 { i64::MIN } else { i64::MAX };
        self.watch.wall_ahead_ns.store(ahead.unwrap_or(farthest), Ordering::Relaxed);
    }
}

/// The venue's time for threads beside the core: the same rule, by a clock of their own.
///
/// Who is silent, who reads too slowly and who is locked out is judged by it: the wall clock may be set, and then nobody was
/// silent for an hour, or is not missed for one.
#[derive(Debug)]
pub struct SharedClock<S = MachineTime>(Mutex<Clock<S>>);

impl<S: TimeSource> SharedClock<S> {
    /// From now on.
    pub fn new(clock: Clock<S>) -> Self {
        Self(Mutex::new(clock))
    }

    /// The venue's time now.
    pub fn now(&self) -> Timestamp {
        self.lock().now()
    }

    /// What the clock on the wall shows.
    pub fn wall(&self) -> Timestamp {
        Timestamp(self.lock().source.wall_ns())
    }

    fn lock(&self) -> MutexGuard<'_, Clock<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: TimeSource + Send + 'static> gateway::transport::Clock for SharedClock<S> {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn wall(&self) -> Timestamp {
        self.wall()
    }
}

/// What an operator is told of a clock that was behind at the start.
pub fn behind_at_start_line(behind: Duration) -> String {
    let decision = State::ClockBehind.decision();
    format!("the wall clock is {:.3} s {}; {}", behind.as_secs_f64(), decision.reported, decision.advice)
}

/// How long from `now` until `then`.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::from_nanos(then.0.saturating_sub(now.0))
}

/// The rule, without clocks: times in, time out.
#[derive(Debug)]
struct Slew {
    /// Venue time at monotonic zero, corrections included.
    base_ns: i128,
    synced_at_ns: u64,
    last_ns: u64,
    /// Of the wall clock, when it was looked at last.
    wall_ahead_ns: i128,
    /// The difference that is not followed: a wall clock that stays there has not stepped again.
    stepped_ns: i128,
    step_count: u64,
}

impl Slew {
    /// Venue time is `time_ns` when the clocks show these.
    fn new(monotonic_ns: u64, wall_ns: u64, time_ns: u64) -> Self {
        let wall_ahead_ns = i128::from(wall_ns) - i128::from(time_ns);
        Self {
            base_ns: i128::from(time_ns) - i128::from(monotonic_ns),
            synced_at_ns: monotonic_ns,
            last_ns: time_ns,
            wall_ahead_ns,
            stepped_ns: wall_ahead_ns,
            step_count: 0,
        }
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
        let ahead = i128::from(wall_ns) - (self.base_ns + i128::from(monotonic_ns));
        self.wall_ahead_ns = ahead;
        if ahead.abs() <= STEP_NS {
            let most = i128::from(since) * SLEW_PARTS_PER_MILLION / 1_000_000;
            self.base_ns += ahead.clamp(-most, most);
            self.stepped_ns = 0;
        } else if (ahead - self.stepped_ns).abs() > STEP_NS {
            self.step_count += 1;
            self.stepped_ns = ahead;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 10_000 * SECOND;

    /// Somebody sets the clock on the wall.
    struct Set {
        monotonic_ns: Arc<AtomicU64>,
        wall_ns: Arc<AtomicU64>,
    }

    impl TimeSource for Set {
        fn monotonic_ns(&mut self) -> u64 {
            self.monotonic_ns.load(Ordering::Relaxed)
        }

        fn wall_ns(&mut self) -> u64 {
            self.wall_ns.load(Ordering::Relaxed)
        }
    }

    /// Doors went by the wall clock: who was last heard while it was an hour ahead was not missed for an hour.
    #[test]
    fn doors_see_no_step_of_the_wall_clock_and_know_what_it_shows() {
        let (monotonic_ns, wall_ns) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(START)));
        let source = Set { monotonic_ns: monotonic_ns.clone(), wall_ns: wall_ns.clone() };
        let clock = SharedClock::new(Clock::with_source(source, Timestamp(0)));
        for (second, wall) in [(1, START + 3_600 * SECOND), (2, START + 3_601 * SECOND), (3, START + 3 * SECOND)] {
            monotonic_ns.store(second * SECOND, Ordering::Relaxed);
            wall_ns.store(wall, Ordering::Relaxed);
            assert_eq!((clock.now(), clock.wall()), (Timestamp(START + second * SECOND), Timestamp(wall)));
        }
    }

    #[test]
    fn it_follows_a_drifting_wall_clock_by_at_most_500_parts_per_million() {
        let mut slew = Slew::new(0, START, START);
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
        let mut slew = Slew::new(0, START, START);
        for (second, wall) in [(1, START + 3_600 * SECOND), (2, START - 3_600 * SECOND), (3, 0)] {
            assert_eq!(slew.time(second * SECOND, || wall), START + second * SECOND);
            assert_eq!(slew.step_count, second);
        }
    }

    #[test]
    fn a_wall_clock_that_stays_where_it_stepped_to_has_stepped_once() {
        let mut slew = Slew::new(0, START, START);
        for second in 1..10 {
            slew.time(second * SECOND, || START + (second + 3_600) * SECOND);
            assert_eq!(slew.step_count, 1);
        }
        slew.time(10 * SECOND, || START + 10 * SECOND);
        slew.time(11 * SECOND, || START + (11 + 3_600) * SECOND);
        assert_eq!(slew.step_count, 2, "back, and again");
        // One that was wrong from the start has not stepped.
        let mut slew = Slew::new(0, START - 3_600 * SECOND, START);
        slew.time(SECOND, || START - 3_599 * SECOND);
        assert_eq!((slew.step_count, slew.wall_ahead_ns), (0, -3_600 * i128::from(SECOND)));
    }

    #[test]
    fn it_never_goes_back() {
        let mut slew = Slew::new(0, START, START);
        let before = slew.time(SECOND - 1, || unreachable!("not a second yet"));
        let after = slew.time(SECOND, || START);
        assert_eq!((before, after), (START + SECOND - 1, START + SECOND - 1));
        assert_eq!(slew.time(SECOND + 600_000, || unreachable!("just looked at")), START + SECOND + 100_000);
    }
}
