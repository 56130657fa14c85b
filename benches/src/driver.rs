//! Hands commands with recorded times to an engine, and keeps what came out.
//!
//! ```text
//!  adapter ── command, recorded time ──► Driver ──► Step (stamps, applies) ──► Engine
//!     ▲                                     │                                    │
//!     └────── events of this command ───────┴── EventDigest ◄────── events ──────┘
//! ```

use std::path::Path;

use engine::command::AdvanceTime;
use engine::{Capacity, Command, CommandBody, Engine, Event, EventHeader, EventSink, Sequenced, Stamp, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};

use crate::digest::{self, Digest, EventDigest};
use crate::failure::Failure;

/// An engine, what drives it, and the events of the last submission.
pub struct Driver {
    engine: Engine,
    step: Step,
    output: Output,
    time: Timestamp,
    progress: ProgressBar,
}

/// The three digests at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Of everything that happened.
    pub event: Digest,
    /// Of the state at the end.
    pub state: Digest,
    /// Of the books and balances at the end.
    pub book: Digest,
}

impl Driver {
    /// A new engine; its commands are journalled into `journal` if that is given.
    pub fn new(capacity: Capacity, journal: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self {
            engine: Engine::new(capacity),
            step: Step::open(journal)?,
            output: Output::default(),
            time: Timestamp::NONE,
            progress: ProgressBar::hidden(),
        })
    }

    /// Shows progress towards `steps` on standard error, if that is a terminal.
    pub fn expect_steps(&mut self, steps: usize) {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}");
        self.progress = ProgressBar::new(steps as u64);
        self.progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }

    /// One of the expected steps is done.
    pub fn step_done(&self) {
        self.steps_done(1);
    }

    /// So many of the expected steps are done.
    pub fn steps_done(&self, steps: usize) {
        self.progress.inc(steps as u64);
    }

    /// Submits the venue's own command at the recorded time, or at the last one if that is later, because a recording
    /// may disagree with itself by some nanoseconds. Returns the events, those of an inserted AdvanceTime first.
    pub fn submit(&mut self, at: Timestamp, body: impl Into<CommandBody>) -> Result<&[(EventHeader, Event)], Failure> {
        self.time = self.time.max(at);
        self.output.latest.clear();
        let command = Command::from_venue(body);
        self.step.submit(&mut self.engine, self.time, &[command], &mut self.output)?;
        Ok(&self.output.latest)
    }

    /// Lets time pass without a command; something happens only if a deadline was reached.
    pub fn advance(&mut self, to: Timestamp) -> Result<&[(EventHeader, Event)], Failure> {
        self.time = self.time.max(to);
        self.output.latest.clear();
        self.step.submit(&mut self.engine, self.time, &[], &mut self.output)?;
        Ok(&self.output.latest)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The time of the last submission.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Ends the run: the journal, if there is one, is complete when this returns.
    pub fn finish(&mut self) -> Result<Digests, Failure> {
        self.progress.finish_and_clear();
        self.step.finish()?;
        Ok(Digests {
            event: self.output.digest.digest(),
            state: digest::state_digest(&self.engine),
            book: digest::book_digest(&self.engine),
        })
    }
}

/// What stands between a command and the engine: gives it its place and time, and applies it.
///
/// This is the one place that a journal has to stand in.
struct Step;

impl Step {
    fn open(journal: Option<&Path>) -> Result<Self, Failure> {
        match journal {
            None => Ok(Self),
            Some(path) => Err(Failure::Usage(format!("{}: this build keeps no journal", path.display()))),
        }
    }

    /// Applies `commands` at time `at`, after an AdvanceTime if that is due.
    fn submit(
        &mut self,
        engine: &mut Engine,
        at: Timestamp,
        commands: &[Command],
        sink: &mut impl EventSink,
    ) -> Result<(), Failure> {
        if at >= engine.next_deadline() {
            Self::apply(engine, at, Command::from_venue(AdvanceTime {}), sink);
        }
        for &command in commands {
            Self::apply(engine, at, command, sink);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn apply(engine: &mut Engine, at: Timestamp, command: Command, sink: &mut impl EventSink) {
        let stamp = Stamp { sequence: engine.last().sequence.next(), time: at };
        engine.apply(&Sequenced { stamp, value: command }, sink);
    }
}

#[derive(Default)]
struct Output {
    digest: EventDigest,
    latest: Vec<(EventHeader, Event)>,
}

impl EventSink for Output {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.digest.event(header, event);
        self.latest.push((*header, *event));
    }
}
