//! Commands of a whole venue's order flow, and the events that they cause.

use engine::{Command, Engine, Event, EventHeader, EventSink, Sequence, Sequenced, Stamp, Timestamp};

use crate::durability::flow::Flow;
use crate::failure::Failure;

/// Operations beyond those asked for: a book is filled before them.
const FILLED_BY: usize = 2_000;

/// The last `count` commands of a flow, stamped; before them what opens the venue and fills its book.
pub(super) struct Commands {
    pub(super) flow: Flow,
    pub(super) before: Vec<Sequenced<Command>>,
    pub(super) last: Vec<Sequenced<Command>>,
}

/// Events in their order.
#[derive(Default)]
pub(super) struct Kept(pub(super) Vec<(EventHeader, Event)>);

impl EventSink for Kept {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.0.push((*header, *event));
    }
}

/// So many commands behind a filled book.
pub(super) fn commands(count: u32) -> Result<Commands, Failure> {
    let flow = Flow::generate(FILLED_BY + count as usize)?;
    let stamped = |(index, &value): (usize, &Command)| {
        let sequence = Sequence(index as u64 + 1);
        Sequenced { stamp: Stamp { sequence, time: Timestamp(sequence.0) }, value }
    };
    let mut before: Vec<Sequenced<Command>> = flow.commands.iter().enumerate().map(stamped).collect();
    let last = before.split_off(before.len() - count as usize);
    Ok(Commands { flow, before, last })
}

/// An engine behind the commands before the last, and the events of the last.
pub(super) fn events(count: u32) -> Result<(Engine, Vec<(EventHeader, Event)>), Failure> {
    let Commands { flow, before, last } = commands(count)?;
    let mut engine = Engine::new(flow.capacity);
    engine.apply_batch(&before, &mut ());
    let mut kept = Kept::default();
    let mut later = Engine::new(flow.capacity);
    later.apply_batch(&before, &mut ());
    later.apply_batch(&last, &mut kept);
    Ok((engine, kept.0))
}
