//! An engine that is given streams as a sequencer gives them, and events as lists of named values.

use engine::canonical::{Code, FieldValue, Fields};
use engine::command::AdvanceTime;
use engine::event::EventHeader;
use engine::{Capacity, Command, Engine, Event, Sequence, Sequenced, Stamp, Timestamp};
use testkit::stream::{References, Step};

/// Room for every identity that a workload speaks of, renamed or not.
pub(crate) const CAPACITY: Capacity = Capacity { accounts: 64, orders: 1 << 12, ..Capacity::SMALL };

/// A venue that is only an engine.
pub(crate) struct Venue {
    pub(crate) engine: Engine,
    names: References,
    last: Stamp,
}

/// What a step did, behind what had fallen due before it.
pub(crate) struct Done {
    pub(crate) due: Vec<Event>,
    pub(crate) events: Vec<Event>,
}

impl Done {
    /// All of it.
    pub(crate) fn all(&self) -> Vec<Event> {
        [&self.due[..], &self.events[..]].concat()
    }
}

impl Venue {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let last = Stamp { sequence: Sequence::NONE, time: Timestamp::NONE };
        Self { engine: Engine::new(CAPACITY), names: References::default(), last }
    }

    /// Applies a step, behind an AdvanceTime if something is due by then.
    pub(crate) fn step(&mut self, step: &Step) -> Done {
        let time = self.last.time.max(step.at);
        let is_due = self.engine.next_deadline() <= time;
        let due = if is_due { self.apply(time, Command::from_venue(AdvanceTime {}), 0) } else { Vec::new() };
        Done { due, events: self.apply(time, step.command, step.name) }
    }

    fn apply(&mut self, time: Timestamp, command: Command, name: u32) -> Vec<Event> {
        let stamp = Stamp { sequence: self.last.sequence.next(), time };
        self.last = stamp;
        let mut told: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: self.names.resolve(&command) }, &mut told);
        let events: Vec<Event> = told.into_iter().map(|(_, event)| event).collect();
        self.names.learn(name, &events);
        events
    }

    /// The whole state.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.engine.write_snapshot(&mut bytes);
        bytes
    }
}

/// A named value of an event.
pub(crate) type Named = (String, String);

/// An event's kind and its values by name, each as `said` says it; a value that it does not say is left out.
pub(crate) fn flat(event: &Event, said: &dyn Fn(&str, &FieldValue<'_>) -> Option<String>) -> Vec<Named> {
    let mut named = vec![("kind".to_owned(), event.kind().name().to_owned())];
    add(event.record(), "", said, &mut named);
    named
}

fn add(
    record: &dyn Fields,
    within: &str,
    said: &dyn Fn(&str, &FieldValue<'_>) -> Option<String>,
    named: &mut Vec<Named>,
) {
    record.fields(&mut |name, value| {
        let path = format!("{within}{name}");
        if let FieldValue::Record(inner) = value {
            add(inner, &format!("{path}."), said, named);
        } else if let Some(text) = said(name, &value) {
            named.push((path, text));
        }
    });
}

/// A value as it is.
pub(crate) fn as_it_is(value: &FieldValue<'_>) -> String {
    match value {
        FieldValue::Price(price) => price.0.to_string(),
        FieldValue::Quantity(quantity) => quantity.0.to_string(),
        FieldValue::Amount(amount) => amount.to_string(),
        FieldValue::SignedAmount(amount) => amount.to_string(),
        FieldValue::Unsigned(number) => number.to_string(),
        FieldValue::Signed(number) => number.to_string(),
        FieldValue::Code(name) => name.unwrap_or("none").to_owned(),
        FieldValue::Text(text) => (*text).to_owned(),
        FieldValue::Bytes(bytes) => format!("{bytes:?}"),
        FieldValue::Record(_) => String::new(),
    }
}
