//! The journal's work in turns: what its threads do, a step at a time, by whoever has one thread for everything.
//!
//! ```text
//!   Labour::Threads   writer: step, step, …     helper: step, rest, step, …      hasher
//!   Labour::Turns     Hands::write: step        Hands::make_spare: step          in the writer's step
//! ```
//!
//! The steps are the same, and so are the bytes where the groups are. Nothing here waits: not for commands, not for a spare
//! segment, and not between two attempts to make one.

use std::fmt;

use crate::spare::Filler;
use crate::writer::Writer;

/// What the writer's step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// A group is durable.
    Group,
    /// Nothing was published that is not durable.
    Nothing,
    /// A group needs a new segment, and no spare is ready. It is kept, and tried again by the next step.
    WaitsForSpare,
    /// The writer has ended: because the appender has, and all of it is durable, or because of a
    /// [failure](crate::Journal::failure).
    Ended,
}

/// What came of making a spare segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// There is one more.
    Spare,
    /// None is wanted.
    Nothing,
    /// It failed: [`Space`](crate::Space) says why, and what is let in meanwhile. The next step tries again.
    Failed,
}

/// The work of a journal that is opened with [`Labour::Turns`](crate::Labour::Turns), for the thread that has the
/// appender.
///
/// An orderly end is [`Journal::begin_close`](crate::Journal::begin_close) and then [`run_to_end`](Self::run_to_end);
/// without a seal, the appender is dropped first. [`die`](Self::die) ends a journal as a kill of its process does, at any
/// moment.
pub struct Hands {
    /// Nothing once it has ended.
    writer: Option<Writer>,
    filler: Filler,
}

impl Hands {
    pub(crate) fn new(writer: Writer, filler: Filler) -> Self {
        Self { writer: Some(writer), filler }
    }

    /// One step of the writer: makes one group durable, if there is one, and moves the durable watermark. A failure is
    /// recorded, and ends the writer.
    ///
    /// # Panics
    ///
    /// Where the thread would record that it has panicked.
    pub fn write(&mut self) -> Wrote {
        let Some(writer) = &mut self.writer else { return Wrote::Ended };
        let outcome = match writer.step() {
            Ok(Wrote::Ended) => Ok(()),
            Ok(wrote) => return wrote,
            Err(failure) => Err(failure),
        };
        writer.end(outcome);
        // Before the folder's lock goes.
        self.filler.remove_spares();
        self.writer = None;
        Wrote::Ended
    }

    /// Makes one spare segment, if one is wanted. After a failure the caller decides when to try again.
    pub fn make_spare(&mut self) -> Made {
        if self.has_ended() { Made::Nothing } else { self.filler.step() }
    }

    /// Whether the writer has ended; then nothing is left to do.
    pub fn has_ended(&self) -> bool {
        self.writer.is_none()
    }

    /// Writes what is left, behind the end of the appender, and makes spares where they are needed. Where none can be made,
    /// it fails.
    ///
    /// # Panics
    ///
    /// If the appender is still there.
    pub fn run_to_end(&mut self) {
        loop {
            match self.write() {
                Wrote::Group => {}
                Wrote::WaitsForSpare => {
                    // Where it fails, so does the next write.
                    let _ = self.make_spare();
                }
                Wrote::Nothing => panic!("the appender has not ended"),
                Wrote::Ended => return,
            }
        }
    }

    /// Ends as a killed process does: nothing more is written or removed, and the folder's lock goes. The head stays with all
    /// that was published, for whoever opens the journal next; it is locked until the journal and the appender are dropped.
    /// Dropping the hands does the same.
    pub fn die(self) {}
}

impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hands").field("has_ended", &self.has_ended()).finish_non_exhaustive()
    }
}
