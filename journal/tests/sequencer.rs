//! The sequencer gives every command its place and time, and time its commands.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use common::{cancel, new_sequencer};
use engine::command::{Disconnect, DisconnectReason};
use engine::{Command, CommandKind, EventSink, Sequence, Sequenced, Stamp, Timestamp};
use journal::{Append, AppendError, Apply, Discard, Discontinuity, WriteError};

/// What happened, in order: appended, published, applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Append(u64),
    Publish,
    Apply(u64, CommandKind, Timestamp),
}

#[derive(Clone, Default)]
struct Steps(Rc<RefCell<Vec<Step>>>);

impl Steps {
    fn take(&self) -> Vec<Step> {
        self.0.take()
    }
}

impl Append for Steps {
    fn append(&mut self, command: &Sequenced<Command>) -> Result<(), AppendError> {
        self.0.borrow_mut().push(Step::Append(command.stamp.sequence.0));
        Ok(())
    }

    fn publish(&mut self) -> Result<(), AppendError> {
        self.0.borrow_mut().push(Step::Publish);
        Ok(())
    }
}

/// A core that is due at a deadline until it is told that time has passed, and at once when a session is lost.
struct Core {
    steps: Steps,
    deadline: Timestamp,
}

impl Apply for Core {
    fn apply(&mut self, command: &Sequenced<Command>, _: &mut impl EventSink) {
        let (kind, time) = (command.value.body.kind(), command.stamp.time);
        self.steps.0.borrow_mut().push(Step::Apply(command.stamp.sequence.0, kind, time));
        match kind {
            CommandKind::AdvanceTime => self.deadline = Timestamp::NEVER,
            CommandKind::Disconnect => self.deadline = time,
            _ => {}
        }
    }

    fn next_deadline(&self) -> Timestamp {
        self.deadline
    }
}

fn core_due_at(deadline: u64) -> (Core, Steps) {
    let steps = Steps::default();
    (Core { steps: steps.clone(), deadline: Timestamp(deadline) }, steps)
}

const CANCEL: CommandKind = CommandKind::CancelOrder;
const ADVANCE: CommandKind = CommandKind::AdvanceTime;

#[test]
fn a_batch_is_published_before_any_of_it_is_applied() {
    let (mut core, steps) = core_due_at(u64::MAX);
    let mut sequencer = new_sequencer(steps.clone());
    let last = sequencer.submit(&mut core, Timestamp(5), &[cancel(1), cancel(2)], &mut Vec::new()).unwrap();
    assert_eq!(last, Stamp { sequence: Sequence(2), time: Timestamp(5) });
    let apply = |sequence| Step::Apply(sequence, CANCEL, Timestamp(5));
    assert_eq!(steps.take(), [Step::Append(1), Step::Append(2), Step::Publish, apply(1), apply(2)]);
}

#[test]
fn time_never_goes_back() {
    let (mut core, steps) = core_due_at(u64::MAX);
    let mut sequencer = new_sequencer(Discard);
    for at in [7, 3, 8] {
        sequencer.submit(&mut core, Timestamp(at), &[cancel(at)], &mut Vec::new()).unwrap();
    }
    let times: Vec<_> = steps.take();
    let apply = |sequence, time| Step::Apply(sequence, CANCEL, Timestamp(time));
    assert_eq!(times, [apply(1, 7), apply(2, 7), apply(3, 8)]);
}

#[test]
fn time_is_advanced_before_a_command_at_or_behind_the_deadline() {
    for (at, advanced) in [(9, false), (10, true), (11, true)] {
        let (mut core, steps) = core_due_at(10);
        let mut sequencer = new_sequencer(Discard);
        sequencer.submit(&mut core, Timestamp(at), &[cancel(1)], &mut Vec::new()).unwrap();
        let time = Timestamp(at);
        let expected: &[Step] = match advanced {
            true => &[Step::Apply(1, ADVANCE, time), Step::Apply(2, CANCEL, time)],
            false => &[Step::Apply(1, CANCEL, time)],
        };
        assert_eq!(steps.take(), expected, "at {at}");
    }
}

#[test]
fn time_is_advanced_when_no_commands_come() {
    let (mut core, steps) = core_due_at(10);
    let mut sequencer = new_sequencer(Discard);
    for at in [9, 10, 11] {
        sequencer.tick(&mut core, Timestamp(at), &mut Vec::new()).unwrap();
    }
    assert_eq!(steps.take(), [Step::Apply(1, ADVANCE, Timestamp(10))]);
    assert_eq!(sequencer.last().sequence, Sequence(1));
}

#[test]
fn a_deadline_that_a_command_sets_comes_before_the_next_however_they_are_batched() {
    let lost = Command::from_venue(Disconnect {
        version: engine::SessionVersion(1),
        reason: DisconnectReason::ConnectionLost,
    });
    let commands = [cancel(1), lost, cancel(2)];
    let [together, apart] = [3, 1].map(|size| {
        let (mut core, steps) = core_due_at(u64::MAX);
        let mut sequencer = new_sequencer(Discard);
        for batch in commands.chunks(size) {
            sequencer.submit(&mut core, Timestamp(4), batch, &mut Vec::new()).unwrap();
        }
        steps.take()
    });
    let kinds = [CANCEL, CommandKind::Disconnect, ADVANCE, CANCEL];
    let expected: Vec<_> = (1..).zip(kinds).map(|(sequence, kind)| Step::Apply(sequence, kind, Timestamp(4))).collect();
    assert_eq!(together, expected);
    assert_eq!(apart, expected);
}

#[test]
fn what_cannot_be_journalled_is_not_applied() {
    struct Poisoned;
    impl Append for Poisoned {
        fn append(&mut self, _: &Sequenced<Command>) -> Result<(), AppendError> {
            Ok(())
        }

        fn publish(&mut self) -> Result<(), AppendError> {
            Err(AppendError::Poisoned(Arc::new(WriteError::Panicked)))
        }
    }
    let (mut core, steps) = core_due_at(u64::MAX);
    let outcome = new_sequencer(Poisoned).submit(&mut core, Timestamp(1), &[cancel(1)], &mut Vec::new());
    assert!(matches!(outcome, Err(AppendError::Poisoned(_))));
    assert_eq!(steps.take(), []);
}

#[test]
fn a_replay_accepts_the_next_stamp_alone() {
    let stamp = |sequence, time| Stamp { sequence: Sequence(sequence), time: Timestamp(time) };
    for (found, follows) in
        [(stamp(2, 5), true), (stamp(2, 6), true), (stamp(2, 4), false), (stamp(1, 5), false), (stamp(3, 5), false)]
    {
        let (mut core, steps) = core_due_at(u64::MAX);
        let mut sequencer = new_sequencer(Discard);
        let command = |stamp| Sequenced { stamp, value: cancel(1) };
        let outcome = sequencer.replay(&mut core, &[command(stamp(1, 5)), command(found)], &mut Vec::new());
        match follows {
            true => assert_eq!((outcome, steps.take().len()), (Ok(()), 2)),
            false => {
                assert_eq!(outcome, Err(Discontinuity { index: 1, last: stamp(1, 5), found }));
                assert_eq!(steps.take(), [], "where one is out of place, none is applied");
            }
        }
    }
}
