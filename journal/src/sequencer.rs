//! The one step that live operation and replay share: a command gets its place and time, is journalled, and is applied.
//!
//! ```text
//!   live      stamp {next sequence, max(previous, now)} ─► append, publish ─► apply
//!   replay    check {next sequence, time not earlier}   ──────────────────►  apply
//! ```

use engine::command::AdvanceTime;
use engine::{Command, CommandKind, Engine, EventSink, Sequence, Sequenced, Stamp, Timestamp};

use crate::error::AppendError;
use crate::writer::Appender;

/// Takes stamped commands before they are applied.
pub trait Append {
    /// Takes a command, which is not the journal's before [`publish`](Self::publish). Waits for room.
    fn append(&mut self, command: &Sequenced<Command>) -> Result<(), AppendError>;

    /// Hands over everything that was appended: from now on it survives the process.
    fn publish(&mut self) -> Result<(), AppendError>;
}

/// No journal: for runs that nobody wants back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Append for Discard {
    fn append(&mut self, _: &Sequenced<Command>) -> Result<(), AppendError> {
        Ok(())
    }

    fn publish(&mut self) -> Result<(), AppendError> {
        Ok(())
    }
}

/// What a sequencer drives: the engine, or a stand-in of a test.
pub trait Apply {
    /// See [`Engine::apply`].
    fn apply(&mut self, command: &Sequenced<Command>, sink: &mut impl EventSink);

    /// See [`Engine::apply_batch`].
    fn apply_batch(&mut self, commands: &[Sequenced<Command>], sink: &mut impl EventSink) {
        for command in commands {
            self.apply(command, sink);
        }
    }

    /// See [`Engine::next_deadline`].
    fn next_deadline(&self) -> Timestamp;
}

impl Apply for Engine {
    fn apply(&mut self, command: &Sequenced<Command>, sink: &mut impl EventSink) {
        Self::apply(self, command, sink);
    }

    fn apply_batch(&mut self, commands: &[Sequenced<Command>], sink: &mut impl EventSink) {
        Self::apply_batch(self, commands, sink);
    }

    fn next_deadline(&self) -> Timestamp {
        Self::next_deadline(self)
    }
}

/// Gives commands their place in the one total order.
///
/// It owns the next sequence and the last time. After an error it and its engine are void: commands may be in the
/// journal that the engine has not seen; a new process recovers them.
#[derive(Debug)]
pub struct Sequencer<A> {
    append: A,
    last: Stamp,
    /// The run being journalled; kept, so that nothing is allocated once it has grown.
    run: Vec<Sequenced<Command>>,
}

/// A recorded command that is not the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discontinuity {
    /// Which of them.
    pub index: usize,
    /// The stamp before.
    pub last: Stamp,
    /// The stamp found.
    pub found: Stamp,
}

impl<A: Append> Sequencer<A> {
    /// Continues behind `last`: all zero for a new journal, [`Engine::last`] behind a replay.
    pub fn new(append: A, last: Stamp) -> Self {
        Self { append, last, run: Vec::with_capacity(RUN_RESERVED) }
    }

    /// Journals and applies `commands`, in order, as of `at`; gives the last stamp.
    ///
    /// Time never goes back: an earlier `at` counts as the last time. Where a deadline is due, [`AdvanceTime`] goes
    /// first. A run of order flow is journalled as a whole before it is applied; any other command ends its run, because
    /// it may bring a deadline forward to now, and what follows has to come behind it, however commands are batched.
    pub fn submit(
        &mut self,
        core: &mut impl Apply,
        at: Timestamp,
        commands: &[Command],
        sink: &mut impl EventSink,
    ) -> Result<Stamp, AppendError> {
        for run in commands.split_inclusive(|command| !is_order_flow(command)) {
            self.submit_run(core, at, run, sink)?;
        }
        Ok(self.last)
    }

    /// Journals and applies [`AdvanceTime`] if a deadline is due at `at`; for when no commands come.
    pub fn tick(
        &mut self,
        core: &mut impl Apply,
        at: Timestamp,
        sink: &mut impl EventSink,
    ) -> Result<Stamp, AppendError> {
        self.submit_run(core, at, &[], sink)?;
        Ok(self.last)
    }

    /// The last stamp given or checked.
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// What the commands were appended to, for closing it.
    pub fn into_append(self) -> A {
        self.append
    }

    fn submit_run(
        &mut self,
        core: &mut impl Apply,
        at: Timestamp,
        commands: &[Command],
        sink: &mut impl EventSink,
    ) -> Result<(), AppendError> {
        let time = self.last.time.max(at);
        self.run.clear();
        let deadline = core.next_deadline();
        if deadline <= time && deadline != Timestamp::NEVER {
            self.stamp(time, Command::from_venue(AdvanceTime {}));
        }
        for command in commands {
            self.stamp(time, *command);
        }
        self.journal_run()?;
        core.apply_batch(&self.run, sink);
        Ok(())
    }

    fn stamp(&mut self, time: Timestamp, value: Command) {
        self.last = Stamp { sequence: self.last.sequence.next(), time };
        self.run.push(Sequenced { stamp: self.last, value });
    }

    fn journal_run(&mut self) -> Result<(), AppendError> {
        for command in &self.run {
            self.append.append(command)?;
        }
        self.append.publish()
    }
}

impl Sequencer<Appender> {
    /// Whether so many commands can be submitted together, or [`tick`](Self::tick) be called, without waiting for the
    /// journal: for [turns](crate::Labour::Turns), in which nobody ends a wait. Before each command there may be an
    /// [`AdvanceTime`].
    pub fn has_room_for(&self, commands: usize) -> bool {
        self.append.has_room_for(commands.saturating_mul(2).max(1))
    }
}

impl Sequencer<Discard> {
    /// Applies commands that were stamped before, if each is the next one; else none of them.
    pub fn replay(
        &mut self,
        core: &mut impl Apply,
        commands: &[Sequenced<Command>],
        sink: &mut impl EventSink,
    ) -> Result<(), Discontinuity> {
        let last = commands.iter().enumerate().try_fold(self.last, |last, (index, command)| {
            let found = command.stamp;
            let follows = found.sequence == last.sequence.next() && found.time >= last.time;
            if follows { Ok(found) } else { Err(Discontinuity { index, last, found }) }
        })?;
        self.last = last;
        core.apply_batch(commands, sink);
        Ok(())
    }
}

/// Whether a command is of the kinds that make up a venue's load, none of which sets a deadline that is already due.
fn is_order_flow(command: &Command) -> bool {
    matches!(
        command.body.kind(),
        CommandKind::NewOrder | CommandKind::ReplaceOrder | CommandKind::CancelOrder | CommandKind::MassCancel
    )
}

/// Commands of a run that room is made for ahead: more than a core takes at once.
const RUN_RESERVED: usize = 512;

/// The stamp before the first command.
pub const BEFORE_FIRST: Stamp = Stamp { sequence: Sequence::NONE, time: Timestamp::NONE };
