//! Where the time of a command goes, hop by hop, for one in [`SAMPLED_EVERY`] of each session's stream.
//!
//! ```text
//!   received ─► decoded ─► taken ─► sequenced ─► applied ─► durable ─► seen ─► encoded ─► sent
//!   └── door ──────────┘   └────────── core ──────────┘    writer     └────── door ──────────┘
//! ```
//!
//! Whether a command is sampled follows from its number, so that nothing has to be carried along. The core and the
//! journal's writer leave their marks in queues; the door, which sees both ends, puts them together. A mark that finds
//! its queue full is lost, and its sample with it: nobody ever waits for a measurement.
//!
//! Times are readings of a counter that whoever starts the venue brings; the crate knows no unit.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use engine::{Command, CommandHeader, CommandKind, Sequence, SessionId, SessionSequence};
use ring::Passages;

/// One command in so many of a session's stream is sampled.
pub const SAMPLED_EVERY: u64 = 32;

/// What a stamp stands behind, in order.
pub const HOP_NAMES: [&str; HOP_COUNT] =
    ["received", "decoded", "taken", "sequenced", "applied", "durable", "seen", "encoded", "sent"];

/// Stamps of a sample.
pub const HOP_COUNT: usize = 9;

/// Whether a command's hops are stamped.
pub fn is_sampled(header: &CommandHeader) -> bool {
    !header.client_sequence.is_none() && header.client_sequence.0.is_multiple_of(SAMPLED_EVERY)
}

/// A command with all of its stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HopSample {
    /// Whose command.
    pub session: SessionId,
    /// Its number in the session's stream.
    pub client_sequence: SessionSequence,
    /// What it asked for.
    pub kind: CommandKind,
    /// Its place in the journal.
    pub sequence: Sequence,
    /// When each of [`HOP_NAMES`] was reached, in ticks. Without waiting for the disk, `durable` is `applied`.
    pub stamps: [u64; HOP_COUNT],
}

/// What the core stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreMark {
    /// Whose command.
    pub session: SessionId,
    /// Its number in the session's stream.
    pub client_sequence: SessionSequence,
    /// Its place in the journal.
    pub sequence: Sequence,
    /// Taken from the command ring.
    pub taken: u64,
    /// Stamped, and in the journal's head.
    pub sequenced: u64,
    /// Its events are published.
    pub applied: u64,
}

/// The core's marks on their way to the door.
#[derive(Debug)]
pub struct CoreMarks(ArrayQueue<CoreMark>);

impl Default for CoreMarks {
    fn default() -> Self {
        Self(ArrayQueue::new(MARKS_MAX))
    }
}

impl CoreMarks {
    /// Leaves a mark; it is lost if too many are there.
    pub fn leave(&self, mark: CoreMark) {
        let _ = self.0.push(mark);
    }
}

/// What a door needs to stamp.
pub struct Hops {
    /// Reads the counter.
    pub ticks: fn() -> u64,
    /// What the core leaves.
    pub core: Arc<CoreMarks>,
    /// When the journal became durable; nothing where reports do not wait for it.
    pub durable: Option<Arc<Passages>>,
    /// Takes each sample, on the door's thread.
    pub record: Box<dyn FnMut(&HopSample) + Send>,
}

/// The core's marks that wait at most.
const MARKS_MAX: usize = 1_024;
/// Sampled commands that wait for their marks at most. More than a command ring holds: those in front have lost theirs.
const SENT_MAX: usize = 256;
/// Turns of the door that are remembered.
const TURNS_MAX: usize = 64;

/// Puts stamps together, on the door's thread.
pub(crate) struct HopWatch {
    hops: Option<Hops>,
    /// Sampled commands that were submitted.
    sent: VecDeque<Submitted>,
    /// Turns in which events were read.
    turns: VecDeque<Turn>,
    /// The core's mark that waits for its turn, or for the disk.
    mark: Option<CoreMark>,
    /// The last passage of the durable watermark that was taken.
    passage: (u64, u64),
}

struct Submitted {
    session: SessionId,
    client_sequence: SessionSequence,
    kind: CommandKind,
    received: u64,
    decoded: u64,
}

/// One turn of the door: events up to `last` were read, turned into reports, and written.
struct Turn {
    last: Sequence,
    seen: u64,
    encoded: u64,
    sent: u64,
}

impl HopWatch {
    pub(crate) fn new(hops: Option<Hops>) -> Self {
        let (sent, turns) = (VecDeque::new(), VecDeque::new());
        Self { hops, sent, turns, mark: None, passage: (0, 0) }
    }

    /// The counter; zero if nobody looks.
    pub(crate) fn ticks(&self) -> u64 {
        self.hops.as_ref().map_or(0, |hops| (hops.ticks)())
    }

    /// The counter, if a command is sampled that is about to be submitted.
    pub(crate) fn decoded(&self, header: &CommandHeader) -> Option<u64> {
        (self.hops.is_some() && is_sampled(header)).then(|| self.ticks())
    }

    /// A sampled command was submitted, which was read and decoded at these times.
    pub(crate) fn submitted(&mut self, command: &Command, received: u64, decoded: u64) {
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        let CommandHeader { session, client_sequence, .. } = command.header;
        self.sent.push_back(Submitted { session, client_sequence, kind: command.body.kind(), received, decoded });
    }

    /// Events up to `last` were read since `seen`, and are reports now.
    pub(crate) fn turned(&mut self, last: Sequence, seen: u64) {
        if self.hops.is_none() {
            return;
        }
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back(Turn { last, seen, encoded: self.ticks(), sent: 0 });
    }

    /// What the last turns had to say is written; samples that are complete are recorded.
    pub(crate) fn written(&mut self) {
        if self.turns.back().is_some_and(|turn| turn.sent == 0) {
            let now = self.ticks();
            self.turns.iter_mut().rev().take_while(|turn| turn.sent == 0).for_each(|turn| turn.sent = now);
        }
        while let Some(mark) = self.next_mark() {
            let Some(durable) = self.durable(&mark) else { return };
            let Some(turn) = self.turns.iter().find(|turn| turn.last >= mark.sequence) else { return };
            self.mark = None;
            let is_its =
                |sent: &Submitted| (sent.session, sent.client_sequence) == (mark.session, mark.client_sequence);
            // A command that is sent again stands behind what was left of it before.
            let Some(index) = self.sent.iter().rposition(is_its) else { continue };
            let Some(Submitted { kind, received, decoded, .. }) = self.sent.remove(index) else { continue };
            let CoreMark { session, client_sequence, sequence, taken, sequenced, applied } = mark;
            let stamps = [received, decoded, taken, sequenced, applied, durable, turn.seen, turn.encoded, turn.sent];
            let stamps = in_order(stamps);
            if let Some(hops) = &mut self.hops {
                (hops.record)(&HopSample { session, client_sequence, kind, sequence, stamps });
            }
        }
    }

    fn next_mark(&mut self) -> Option<CoreMark> {
        if self.mark.is_none() {
            self.mark = self.hops.as_ref().and_then(|hops| hops.core.0.pop());
        }
        self.mark
    }

    /// When the mark's command was durable; none: its passage was not told yet.
    fn durable(&mut self, mark: &CoreMark) -> Option<u64> {
        let Some(passages) = self.hops.as_ref().and_then(|hops| hops.durable.as_ref()) else {
            return Some(mark.applied);
        };
        while self.passage.0 < mark.sequence.0 {
            self.passage = passages.take()?;
        }
        Some(self.passage.1)
    }
}

/// No stamp is behind the one that follows it: events are seen before all that was taken with their command is applied,
/// and then the command was applied by that time.
fn in_order(mut stamps: [u64; HOP_COUNT]) -> [u64; HOP_COUNT] {
    let mut next = u64::MAX;
    for stamp in stamps.iter_mut().rev() {
        next = next.min(*stamp);
        *stamp = next;
    }
    stamps
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use engine::CommandBody;
    use engine::command::AdvanceTime;

    use super::*;

    const SESSION: SessionId = SessionId(7);
    const SAMPLED: SessionSequence = SessionSequence(2 * SAMPLED_EVERY);

    fn header(client_sequence: SessionSequence) -> CommandHeader {
        CommandHeader { session: SESSION, client_sequence, ..CommandHeader::VENUE }
    }

    /// A command of that number.
    fn sampled() -> Command {
        Command { header: header(SAMPLED), body: CommandBody::AdvanceTime(AdvanceTime {}) }
    }

    fn mark(sequence: u64, applied: u64) -> CoreMark {
        let (session, client_sequence, sequence) = (SESSION, SAMPLED, Sequence(sequence));
        CoreMark { session, client_sequence, sequence, taken: 30, sequenced: 40, applied }
    }

    /// A watch whose counter stands at 90, its core, and what it recorded.
    fn watch() -> (HopWatch, Arc<CoreMarks>, Arc<Mutex<Vec<HopSample>>>) {
        let (core, samples) = (Arc::<CoreMarks>::default(), Arc::<Mutex<Vec<HopSample>>>::default());
        let recorded = Arc::clone(&samples);
        let record = Box::new(move |sample: &HopSample| recorded.lock().unwrap().push(*sample));
        let hops = Hops { ticks: || 90, core: Arc::clone(&core), durable: None, record };
        (HopWatch::new(Some(hops)), core, samples)
    }

    #[test]
    fn one_command_in_thirty_two_is_sampled_and_none_without_a_number() {
        let sampled: Vec<_> = (0..=64).filter(|&number| is_sampled(&header(SessionSequence(number)))).collect();
        assert_eq!(sampled, [32, 64]);
    }

    #[test]
    fn a_sample_has_the_times_of_the_last_of_its_number() {
        let (mut watch, core, samples) = watch();
        // The first was lost on its way to the core.
        watch.submitted(&sampled(), 1, 2);
        watch.submitted(&sampled(), 10, 20);
        watch.turned(Sequence(4), 55);
        watch.written();
        assert_eq!(samples.lock().unwrap().len(), 0);
        core.leave(mark(5, 50));
        watch.turned(Sequence(5), 60);
        watch.written();
        let stamps = [10, 20, 30, 40, 50, 50, 60, 90, 90];
        let (session, client_sequence, sequence) = (SESSION, SAMPLED, Sequence(5));
        let sample = HopSample { session, client_sequence, kind: CommandKind::AdvanceTime, sequence, stamps };
        assert_eq!(*samples.lock().unwrap(), [sample]);
    }

    #[test]
    fn what_was_seen_was_applied_by_then() {
        let (mut watch, core, samples) = watch();
        watch.submitted(&sampled(), 10, 20);
        core.leave(mark(5, 80));
        watch.turned(Sequence(5), 60);
        watch.written();
        assert_eq!(samples.lock().unwrap()[0].stamps, [10, 20, 30, 40, 60, 60, 60, 90, 90]);
    }
}
