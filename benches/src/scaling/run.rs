//! Timed runs of a stream.

use std::time::Instant;

use engine::*;
use hdrhistogram::Histogram;

use super::request::{NOTHING, Request};
use super::stream::Stream;
use crate::failure::Failure;

/// Commands that are built, and then handed to the engine together.
const TOGETHER: usize = 32;

/// Counts events, and folds which orders they are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All events.
    pub events: u64,
    /// Trades among them.
    pub trades: u64,
    /// Of orders that were accepted and cancelled, and of what traded with which resting order.
    pub checksum: u64,
}

impl Tally {
    #[inline(always)]
    fn fold(&mut self, word: u64) {
        self.checksum = (self.checksum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl EventSink for Tally {
    #[inline]
    fn event(&mut self, _: &EventHeader, event: &Event) {
        self.events += 1;
        match event {
            Event::OrderAccepted(event) => self.fold(event.order.order_id.0),
            Event::OrderCancelled(event) => self.fold(event.order.order_id.0 ^ event.cancelled.0.rotate_right(8)),
            Event::Trade(event) => {
                self.trades += 1;
                self.fold(event.maker.order_id.0 ^ event.quantity.0.rotate_right(8));
            }
            _ => {}
        }
    }
}

/// What a stream's operations cost, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Of one operation: the median of the runs.
    pub nanoseconds: f64,
    /// Of single operations, each with a reading of the clock.
    pub each: Histogram<u64>,
}

/// Runs a stream so often, and once more for single operations; `done` is called after each run.
///
/// # Errors
/// If a run comes to something else than the stream.
pub fn measure(stream: &Stream, runs: u32, mut done: impl FnMut()) -> Result<Cost, Failure> {
    let mut means = Vec::new();
    for _ in 0..runs {
        let mut venue = Venue::full(stream);
        let begun = Instant::now();
        venue.apply_all(&stream.operations);
        means.push(begun.elapsed().as_nanos() as f64 / stream.operations.len() as f64);
        venue.check(stream)?;
        done();
    }
    let mut venue = Venue::full(stream);
    let each = venue.time_each(&stream.operations);
    venue.check(stream)?;
    done();
    means.sort_by(f64::total_cmp);
    Ok(Cost { nanoseconds: means[means.len() / 2], each })
}

/// An engine, and what it told.
#[derive(Debug)]
pub struct Venue {
    engine: Engine,
    tally: Tally,
}

impl Venue {
    /// A venue whose books are full.
    pub fn full(stream: &Stream) -> Self {
        let mut venue = Self { engine: stream.shape.open(), tally: Tally::default() };
        venue.apply_all(&stream.fill);
        venue
    }

    /// Carries out requests. Not inlined, so that a profiler finds it by its name.
    #[inline(never)]
    pub fn apply_all(&mut self, requests: &[Request]) {
        let mut sequence = self.engine.last().sequence;
        let mut commands = [NOTHING; TOGETHER];
        for together in requests.chunks(TOGETHER) {
            for (request, command) in together.iter().zip(&mut commands) {
                sequence = sequence.next();
                request.write(sequence, command);
            }
            self.engine.apply_batch(&commands[..together.len()], &mut self.tally);
        }
    }

    /// As [`Venue::apply_all`], one at a time.
    fn time_each(&mut self, requests: &[Request]) -> Histogram<u64> {
        let mut each = Histogram::new_with_bounds(1, 1_000_000_000, 2).expect("two digits");
        let mut command = NOTHING;
        for request in requests {
            request.write(self.engine.last().sequence.next(), &mut command);
            let begun = Instant::now();
            self.engine.apply(&command, &mut self.tally);
            each.saturating_record(begun.elapsed().as_nanos() as u64);
        }
        each
    }

    fn check(&self, stream: &Stream) -> Result<(), Failure> {
        if self.tally == stream.tally {
            return Ok(());
        }
        let (found, expected) = (self.tally, stream.tally);
        Err(Failure::Missing(format!("{:?}: {found:?} instead of {expected:?}", stream.shape)))
    }
}
