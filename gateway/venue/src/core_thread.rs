//! The core thread: takes commands from the ring, gives them their place, journals them, applies them, publishes.
//!
//! Nothing here allocates, locks, logs or touches a file once it runs: the journal's head is mapped memory, the rings
//! are memory, and time comes from the clock without a system call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Command, Engine, EventSink, Sequence, Sequenced, Timestamp};
use gateway::balances::BalanceQuestions;
use gateway::hops::{CoreMark, CoreMarks, is_sampled};
use journal::{AppendError, Appender, Apply, Sequencer};
use ring::{CommandRing, Publisher};

use crate::clock::{Clock, until};
use crate::ticks;

/// Commands that are journalled and applied before the next look at the clock.
const BATCH_MAX: usize = 256;

/// The longest sleep of an idle core: it looks at its deadlines at least so often, in case the wall clock was slewed.
const IDLE_MAX: Duration = Duration::from_millis(100);

/// The core, before and while it runs.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) sequencer: Sequencer<Appender>,
    pub(crate) clock: Clock,
    pub(crate) commands: Arc<CommandRing>,
    pub(crate) publisher: Publisher,
    /// Raised once; what is in the ring by then is still applied.
    pub(crate) stop: Arc<AtomicBool>,
    /// Where the marks of sampled commands are left.
    pub(crate) marks: Arc<CoreMarks>,
    /// What the core is asked besides.
    pub(crate) balances: Arc<BalanceQuestions>,
}

/// What is left of a core that has stopped.
pub(crate) struct Stopped {
    pub(crate) engine: Engine,
    pub(crate) appender: Appender,
    /// Why, if it was not asked to.
    pub(crate) failure: Option<AppendError>,
}

impl Core {
    /// Runs until it is asked to stop, or until nothing can be journalled any more.
    pub(crate) fn run(mut self) -> Stopped {
        let failure = self.serve().err();
        Stopped { engine: self.engine, appender: self.sequencer.into_append(), failure }
    }

    fn serve(&mut self) -> Result<(), AppendError> {
        let mut batch: Vec<Command> = Vec::with_capacity(BATCH_MAX);
        loop {
            // Read before the ring: what was submitted before the stop is then seen.
            let stopping = self.stop.load(Ordering::Acquire);
            self.commands.take(&mut batch, BATCH_MAX);
            let before = self.engine.last().sequence;
            self.step(&batch)?;
            let last = self.engine.last().sequence;
            if last != before {
                self.publisher.complete(last);
            }
            let answered = self.answer();
            if last == before && !answered {
                if stopping {
                    return Ok(());
                }
                self.idle();
            }
            batch.clear();
        }
    }

    fn step(&mut self, batch: &[Command]) -> Result<Sequence, AppendError> {
        let now = self.clock.now();
        let mut engine = Marking { engine: &mut self.engine, marks: &self.marks, taken: ticks::now() };
        let stamp = match batch {
            [] => self.sequencer.tick(&mut engine, now, &mut self.publisher)?,
            batch => self.sequencer.submit(&mut engine, now, batch, &mut self.publisher)?,
        };
        Ok(stamp.sequence)
    }

    /// Answers what is asked between two batches; whether anything was.
    fn answer(&mut self) -> bool {
        let answered = self.balances.are_waiting() && self.balances.answer(&self.engine, self.publisher.published());
        if answered {
            self.publisher.wake_readers();
        }
        answered
    }

    fn idle(&mut self) {
        let limit = until(self.clock.now(), self.engine.next_deadline()).min(IDLE_MAX);
        self.commands.wait(limit, || self.stop.load(Ordering::Acquire) || self.balances.are_waiting());
    }
}

/// The engine, which leaves marks of the sampled commands that it applies.
struct Marking<'a> {
    engine: &'a mut Engine,
    marks: &'a CoreMarks,
    taken: u64,
}

impl Apply for Marking<'_> {
    fn apply(&mut self, command: &Sequenced<Command>, sink: &mut impl EventSink) {
        self.apply_batch(core::slice::from_ref(command), sink);
    }

    /// A run is in the journal's head when it comes here.
    fn apply_batch(&mut self, commands: &[Sequenced<Command>], sink: &mut impl EventSink) {
        let Some(first) = commands.iter().position(|command| is_sampled(&command.value.header)) else {
            return self.engine.apply_batch(commands, sink);
        };
        let sequenced = ticks::now();
        self.engine.apply_batch(commands, sink);
        let applied = ticks::now();
        for command in commands[first..].iter().filter(|command| is_sampled(&command.value.header)) {
            let header = &command.value.header;
            let (session, client_sequence) = (header.session, header.client_sequence);
            let (sequence, taken) = (command.stamp.sequence, self.taken);
            self.marks.leave(CoreMark { session, client_sequence, sequence, taken, sequenced, applied });
        }
    }

    fn next_deadline(&self) -> Timestamp {
        self.engine.next_deadline()
    }
}
