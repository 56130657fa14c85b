//! Hands commands with recorded times to an engine, and keeps what came out.
//!
//! ```text
//!  adapter ── command, recorded time ──► Driver ──► Sequencer (stamps, journals, applies) ──► Engine
//!     ▲                                     │                                                   │
//!     └────── events of this command ───────┴── EventDigest ◄──────────── events ───────────────┘
//! ```

use std::path::Path;

use engine::{Capacity, Command, CommandBody, Engine, Event, EventHeader, EventSink, Stamp, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use journal::{
    Append, AppendError, Appender, BEFORE_FIRST, Digest, Discard, EventDigest, Journal, OpenError, Opened, Options,
    ReadError, Reader, Sequencer, book_digest, state_digest,
};

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
            step: Step::open(journal, capacity)?,
            output: Output::default(),
            time: Timestamp::NONE,
            progress: ProgressBar::hidden(),
        })
    }

    /// Shows progress towards `steps` on standard error, if that is a terminal.
    pub fn expect_steps(&mut self, steps: usize) {
        self.progress = progress_bar(steps);
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
        self.step.submit(&mut self.engine, self.time, Some(command), &mut self.output)?;
        Ok(&self.output.latest)
    }

    /// Lets time pass without a command; something happens only if a deadline was reached.
    pub fn advance(&mut self, to: Timestamp) -> Result<&[(EventHeader, Event)], Failure> {
        self.time = self.time.max(to);
        self.output.latest.clear();
        self.step.submit(&mut self.engine, self.time, None, &mut self.output)?;
        Ok(&self.output.latest)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Keeps every event from now on, until it is [taken](Self::take_watched).
    pub fn watch(&mut self) {
        self.output.watched = Some(Vec::new());
    }

    /// The events since the last call, of all submissions; none unless somebody [watches](Self::watch).
    pub fn take_watched(&mut self) -> Vec<(EventHeader, Event)> {
        self.output.watched.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The time of the last submission.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Ends the run: the journal, if there is one, is complete when this returns.
    pub fn finish(&mut self) -> Result<Digests, Failure> {
        self.progress.finish_and_clear();
        let event = self.output.digest.value();
        self.step.finish(event)?;
        Ok(Digests { event, state: state_digest(&self.engine), book: book_digest(&self.engine) })
    }
}

/// Progress towards `steps` on standard error, if that is a terminal.
pub fn progress_bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}");
    let progress = ProgressBar::new(steps as u64);
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    progress
}

/// What stands between a command and the engine: gives it its place and time, journals it if wanted, and applies it.
enum Step {
    Unjournalled(Sequencer<Discard>),
    Journalled { sequencer: Sequencer<Appender>, journal: Journal },
    Finished,
}

impl Step {
    fn open(directory: Option<&Path>, capacity: Capacity) -> Result<Self, Failure> {
        let Some(directory) = directory else { return Ok(Self::Unjournalled(Sequencer::new(Discard, BEFORE_FIRST))) };
        refuse_existing(directory)?;
        let Opened { journal, appender, .. } = Journal::open(directory, &Options::new(capacity))?;
        Ok(Self::Journalled { sequencer: Sequencer::new(appender, BEFORE_FIRST), journal })
    }

    /// Applies `command`, if there is one, at time `at`, after an AdvanceTime if that is due.
    fn submit(
        &mut self,
        engine: &mut Engine,
        at: Timestamp,
        command: Option<Command>,
        output: &mut Output,
    ) -> Result<(), Failure> {
        match self {
            Self::Unjournalled(sequencer) => submit(sequencer, engine, at, command, output)?,
            Self::Journalled { sequencer, .. } => submit(sequencer, engine, at, command, output)?,
            Self::Finished => return Err(Failure::Usage("the run has ended".to_owned())),
        };
        output.digest.applied(engine.last().sequence);
        let completed = output.digest.completed();
        if let Self::Journalled { journal, .. } = self {
            let digests = journal.digests();
            completed.for_each(|block| digests.push(block));
        }
        Ok(())
    }

    /// Seals the journal, if there is one.
    fn finish(&mut self, event_digest: Digest) -> Result<(), Failure> {
        match std::mem::replace(self, Self::Finished) {
            Self::Unjournalled(_) | Self::Finished => Ok(()),
            Self::Journalled { sequencer, journal } => Ok(journal.close(sequencer.into_append(), event_digest)?),
        }
    }
}

fn submit(
    sequencer: &mut Sequencer<impl Append>,
    engine: &mut Engine,
    at: Timestamp,
    command: Option<Command>,
    output: &mut Output,
) -> Result<Stamp, AppendError> {
    match command {
        Some(command) => sequencer.submit(engine, at, &[command], output),
        None => sequencer.tick(engine, at, output),
    }
}

/// A run begins its journal: one that is there already is left alone.
fn refuse_existing(directory: &Path) -> Result<(), Failure> {
    let mut reader = match Reader::open(directory) {
        Err(ReadError::NoJournal { .. }) => return Ok(()),
        opened => opened.map_err(OpenError::from)?,
    };
    reader.read_to_end().map_err(OpenError::from)?;
    let (directory, last) = (directory.display(), reader.verified().last);
    Err(Failure::Usage(format!("{directory}: has a journal of {last} commands already; name another folder")))
}

#[derive(Default)]
struct Output {
    digest: EventDigest,
    latest: Vec<(EventHeader, Event)>,
    /// Everything since it was taken last, if somebody watches.
    watched: Option<Vec<(EventHeader, Event)>>,
}

impl EventSink for Output {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.digest.event(header, event);
        self.latest.push((*header, *event));
        if let Some(watched) = &mut self.watched {
            watched.push((*header, *event));
        }
    }
}
