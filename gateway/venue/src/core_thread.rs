//! The core thread: takes commands from the ring, gives them their place, journals them, applies them, publishes.
//!
//! Nothing here allocates, locks, logs or touches a file once it runs: the journal's head is mapped memory, the rings
//! are memory, and time comes from the clock without a system call.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Command, Engine, EventSink, Sequence, Sequenced, Timestamp};
use gateway::balances::BalanceQuestions;
use gateway::hops::{CoreMark, CoreMarks, is_sampled};
use journal::{AppendError, Appender, Apply, Sequencer};
use ring::{CommandRing, Publisher};

use crate::clock::{Clock, MachineTime, TimeSource, until};
use crate::ticks;

/// Commands that are journalled and applied before the next look at the clock.
const BATCH_MAX: usize = 256;

/// The longest sleep of an idle core: it looks at its deadlines at least so often, in case the wall clock was slewed.
const IDLE_MAX: Duration = Duration::from_millis(100);

/// The core, before and while it runs: on a thread of its own, or a turn at a time.
pub struct Core<S = MachineTime, E = Engine> {
    /// What commands are applied to, as the sequencer left it.
    pub engine: E,
    /// What gives them their places.
    pub sequencer: Sequencer<Appender>,
    /// What gives them their times.
    pub clock: Clock<S>,
    /// Where they come from.
    pub commands: Arc<CommandRing>,
    /// Where events go.
    pub publisher: Publisher,
    /// Raised once; what is in the ring by then is still applied.
    pub stop: Arc<AtomicBool>,
    /// Where the marks of sampled commands are left.
    pub marks: Arc<CoreMarks>,
    /// What the core is asked besides.
    pub balances: Arc<BalanceQuestions>,
}

/// What is left of a core that has stopped.
pub(crate) struct Stopped {
    pub(crate) engine: Engine,
    pub(crate) appender: Appender,
    /// Why, if it was not asked to.
    pub(crate) failure: Option<AppendError>,
}

impl<S: TimeSource> Core<S> {
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
            if !self.turn(&mut batch, BATCH_MAX)? {
                if stopping {
                    return Ok(());
                }
                self.idle();
            }
        }
    }

    fn idle(&mut self) {
        let limit = until(self.clock.now(), self.engine.next_deadline()).min(IDLE_MAX);
        self.commands.wait(limit, || self.stop.load(Ordering::Acquire) || self.balances.are_waiting());
    }
}

impl<S: TimeSource, E: Apply + Borrow<Engine>> Core<S, E> {
    /// Takes at most `count_max` commands from the ring, and what is due, and answers what it is asked; whether there was
    /// anything to do. `batch` is room for them, empty before and after.
    ///
    /// It waits where the journal's head or the event ring has no room.
    ///
    /// # Errors
    /// If nothing can be journalled any more: the core is void then.
    pub fn turn(&mut self, batch: &mut Vec<Command>, count_max: usize) -> Result<bool, AppendError> {
        self.commands.take(batch, count_max);
        let before = self.last();
        let stepped = self.step(batch);
        batch.clear();
        stepped?;
        let last = self.last();
        if last != before {
            self.publisher.complete(last);
        }
        Ok(self.answer() || last != before)
    }

    fn last(&self) -> Sequence {
        self.engine.borrow().last().sequence
    }

    fn step(&mut self, batch: &[Command]) -> Result<(), AppendError> {
        let now = self.clock.now();
        let mut engine = Marking { engine: &mut self.engine, marks: &self.marks, taken: ticks::now() };
        match batch {
            [] => self.sequencer.tick(&mut engine, now, &mut self.publisher)?,
            batch => self.sequencer.submit(&mut engine, now, batch, &mut self.publisher)?,
        };
        Ok(())
    }

    /// Answers what is asked between two batches; whether anything was.
    fn answer(&mut self) -> bool {
        let answered =
            self.balances.are_waiting() && self.balances.answer(self.engine.borrow(), self.publisher.published());
        if answered {
            self.publisher.wake_readers();
        }
        answered
    }
}

/// The engine, which leaves marks of the sampled commands that it applies.
struct Marking<'a, E> {
    engine: &'a mut E,
    marks: &'a CoreMarks,
    taken: u64,
}

impl<E: Apply> Apply for Marking<'_, E> {
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
