//! A measurement in turns: what is measured and its limit share the time, so that whatever disturbs one disturbs both.
//!
//! ```text
//!   the whole    warm-up │  first half          second half         │ cool-down
//!   turn 1       warm-up │▒▒▒▒▒▒▒▒▒▒▒▒▒│ cool-down
//!   turn 2                        warm-up │▒▒▒▒▒▒▒▒▒▒▒▒▒│ cool-down
//! ```
//!
//! Each turn has a warm-up and a cool-down of its own, and what counts of it is a part of the whole.

use std::time::Duration;

use super::arguments::Arguments;
use super::recorder::Recorder;
use super::schedule::{Phases, Schedule, nanoseconds};

/// Turns of each.
pub const TURNS: u32 = 2;
/// The longest warm-up of a turn that is not the first.
const LATER_WARM_UP_MAX: Duration = Duration::from_secs(1);

/// One turn.
#[derive(Debug, Clone)]
pub struct Part {
    whole: Phases,
    /// What is run, and what of it counts.
    pub phases: Phases,
    /// Which, from 0.
    index: u32,
    schedule: Schedule,
}

/// The turns of a measurement at `--rate`; nothing without it.
pub fn parts(arguments: &Arguments) -> Option<Vec<Part>> {
    let (whole, rate) = (arguments.phases(), arguments.rate?);
    let part = |index: u32| {
        let warm_up = if index == 0 { whole.warm_up } else { whole.warm_up.min(LATER_WARM_UP_MAX) };
        let phases = Phases { warm_up, measured: whole.measured / TURNS, cool_down: whole.cool_down };
        let seed = arguments.seed().wrapping_add(index.into());
        let schedule = Schedule::new(arguments.arrivals, rate, phases.total(), seed);
        Part { whole, phases, index, schedule }
    };
    Some((0..TURNS).map(part).collect())
}

impl Part {
    /// When its orders are due, in nanoseconds since it began.
    pub fn due(&self) -> Schedule {
        self.schedule.clone()
    }

    /// Counts an order that was due and done at these times, in nanoseconds since this part began, if it counts.
    pub fn record(&self, recorder: &mut Recorder, due_ns: u64, done_ns: u64) {
        if let Some(whole_ns) = self.in_the_whole(due_ns) {
            let end_ns = self.begin_ns() + nanoseconds(self.phases.measured);
            let done_ns = whole_ns + done_ns.saturating_sub(due_ns);
            recorder.record_in_turn(self.index as usize, end_ns, whole_ns, done_ns);
        }
    }

    /// When that is in the whole; nothing if it does not count.
    fn in_the_whole(&self, at_ns: u64) -> Option<u64> {
        self.phases.slice(at_ns)?;
        Some(self.begin_ns() + at_ns - nanoseconds(self.phases.warm_up))
    }

    /// When what counts of it begins in the whole.
    fn begin_ns(&self) -> u64 {
        nanoseconds(self.whole.warm_up) + u64::from(self.index) * nanoseconds(self.phases.measured)
    }
}
