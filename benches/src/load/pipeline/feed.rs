//! Commands at the times at which they are due, or as fast as they are taken; and what becomes of them.

use std::time::Instant;

use engine::{Command, Timestamp};
use ring::Idle;

use crate::load::recorder::Recorder;
use crate::load::result::Series;
use crate::load::schedule::{Phases, SLICES, Schedule, nanoseconds};
use crate::load::threads::Pacer;
use crate::load::traffic::Traffic;

/// Between two looks at the clock where nothing is due at a time.
pub(super) const LOOK: u64 = 32;

/// What is fed.
#[derive(Debug, Clone)]
pub(super) struct Feed<'a> {
    pub(super) traffic: &'a Traffic,
    pub(super) phases: Phases,
    /// When each command is due; nothing: as soon as it is taken.
    pub(super) schedule: Option<Schedule>,
    pub(super) idle: Idle,
}

impl Feed<'_> {
    /// Whether commands are due at given times.
    pub(super) fn is_open(&self) -> bool {
        self.schedule.is_some()
    }

    /// Hands over one command after the other, the time at which it was due in it, until all is sent, the time is over
    /// or it is not taken any more; how many were taken.
    pub(super) fn run(&self, origin: Instant, mut hand_over: impl FnMut(u64, Command) -> bool) -> u64 {
        let pacer = Pacer::new(origin, self.idle);
        let total = nanoseconds(self.phases.total());
        let mut schedule = self.schedule.clone();
        let mut due = 0;
        for (index, mut command) in (0..).zip(self.traffic.commands()) {
            match &mut schedule {
                Some(schedule) => {
                    let Some(next) = schedule.next() else { return index };
                    due = next;
                    pacer.wait_until(due);
                }
                None if index % LOOK == 0 => {
                    due = pacer.now();
                    if due >= total {
                        return index;
                    }
                }
                None => {}
            }
            command.header.received_at = received_at(due);
            if !hand_over(due, command) {
                return index;
            }
        }
        self.traffic.len() as u64
    }

    /// Where what becomes of them is noted.
    pub(super) fn tally(&self) -> Tally {
        match &self.schedule {
            Some(_) => Tally::Times(Recorder::new(self.phases)),
            None => Tally::Counts(Counts { phases: self.phases, slices: [0; SLICES], last_ns: 0, all: 0 }),
        }
    }
}

/// Never zero, which means that there is no time.
fn received_at(due_ns: u64) -> Timestamp {
    Timestamp(due_ns + 1)
}

/// When a command was due, by what a venue tells of it.
pub(super) fn due(received_at: Timestamp) -> u64 {
    received_at.0 - 1
}

/// What became of commands.
#[derive(Debug, Clone)]
pub(super) enum Tally {
    Times(Recorder),
    Counts(Counts),
}

/// How many were done in each part of the measured time.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    phases: Phases,
    slices: [u64; SLICES],
    last_ns: u64,
    all: u64,
}

impl Tally {
    /// One was due and done at these times.
    #[inline]
    pub(super) fn note(&mut self, due_ns: u64, done_ns: u64) {
        match self {
            Self::Times(recorder) => recorder.record(due_ns, done_ns),
            Self::Counts(counts) => counts.note(done_ns),
        }
    }

    pub(super) fn series(&self, name: &str) -> Series {
        match self {
            Self::Times(recorder) => Series::timed(name, recorder),
            Self::Counts(counts) => Series::counted(name, &counts.parts()),
        }
    }
}

impl Counts {
    fn note(&mut self, done_ns: u64) {
        (self.last_ns, self.all) = (done_ns, self.all + 1);
        if let Some(slice) = self.phases.slice(done_ns) {
            self.slices[slice] += 1;
        }
    }

    /// The parts that are over; all as one if none is.
    fn parts(&self) -> Vec<(u64, f64)> {
        let since = (self.last_ns as f64 / 1e9 - self.phases.warm_up.as_secs_f64()).max(0.0);
        let seconds = self.phases.slice_seconds();
        let over = ((since / seconds) as usize).min(SLICES);
        match over {
            0 => vec![(self.all, self.last_ns as f64 / 1e9)],
            _ => self.slices[..over].iter().map(|&count| (count, seconds)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn counts_are_of_the_measured_time_alone() {
        let second = Duration::from_secs(1);
        let phases = Phases { warm_up: second, measured: second, cool_down: second };
        let mut counts = Counts { phases, slices: [0; SLICES], last_ns: 0, all: 0 };
        (0..3_000).for_each(|millisecond| counts.note(millisecond * 1_000_000));
        assert_eq!(counts.parts(), vec![(50, 0.05); SLICES]);
        // What ended after the first quarter has five parts, and what ended in the warm-up is one.
        let mut early = Counts { slices: [0; SLICES], last_ns: 0, all: 0, ..counts.clone() };
        (0..1_260).for_each(|millisecond| early.note(millisecond * 1_000_000));
        assert_eq!(early.parts(), vec![(50, 0.05); 5]);
        let mut short = Counts { slices: [0; SLICES], last_ns: 0, all: 0, ..counts };
        (0..=500).for_each(|millisecond| short.note(millisecond * 1_000_000));
        assert_eq!(short.parts(), [(501, 0.5)]);
    }
}
