//! Events and states as lines for people, or as JSON.

use std::io::{self, Write};

use engine::Sequence;
use journal::Key;
use serde_json::{Map, Value};

use super::search::Happened;
use crate::admin::value::TimeText;
use crate::journal_inspect::event_object;
use crate::records::{add_said, add_word};

/// What was shown so far, and how.
pub(super) struct Shown<'a, W> {
    out: &'a mut W,
    json: bool,
    count: u64,
    ends: Option<(Sequence, Sequence)>,
}

impl<'a, W: Write> Shown<'a, W> {
    pub(super) fn new(out: &'a mut W, json: bool) -> Self {
        Self { out, json, count: 0, ends: None }
    }

    /// Shows an event on a line.
    pub(super) fn event(&mut self, event: &Happened) -> io::Result<()> {
        let sequence = event.0.id.sequence;
        self.count += 1;
        self.ends = Some((self.ends.map_or(sequence, |(first, _)| first), sequence));
        let text = if self.json { Value::from(event_object(&event.0, &event.1)).to_string() } else { line(event) };
        writeln!(self.out, "{text}")
    }

    /// Shows what there is to say behind the events.
    pub(super) fn end(&mut self, key: Key, note: Option<String>, state: Option<Map<String, Value>>) -> io::Result<()> {
        if self.json {
            return writeln!(self.out, "{}", self.summary(key, note, state));
        }
        if self.count == 0 {
            writeln!(self.out, "no events")?;
        }
        if let Some(note) = note {
            writeln!(self.out, "{note}")?;
        }
        state.map_or(Ok(()), |state| table(self.out, &state))
    }

    fn summary(&self, key: Key, note: Option<String>, state: Option<Map<String, Value>>) -> Value {
        let (name, number) = match key {
            Key::Order(order) => ("order", order.0),
            Key::Account(account) => ("account", account.0.into()),
            Key::Session(session) => ("session", session.0.into()),
            Key::Instrument(instrument) => ("instrument", instrument.0.into()),
        };
        let mut object = Map::new();
        object.insert(name.into(), number.into());
        object.insert("events".into(), self.count.into());
        object.insert("first".into(), self.ends.map(|(first, _)| first.0).into());
        object.insert("last".into(), self.ends.map(|(_, last)| last.0).into());
        object.insert("note".into(), note.into());
        object.insert("state".into(), state.map(Value::from).into());
        object.into()
    }
}

/// An event on one line; what is absent or names nothing is left out.
fn line((header, event): &Happened) -> String {
    let name = format!("{}.{}", header.id.sequence, header.id.index);
    let mut line = format!("{name:>12}  {}  {}", TimeText(header.time), event.kind());
    add_said(&mut line, "", event.record());
    line
}

/// An object whose values are lists of objects, as tables below its other values.
fn table(out: &mut impl Write, object: &Map<String, Value>) -> io::Result<()> {
    writeln!(out)?;
    for (name, value) in object {
        match value {
            Value::Null => {}
            Value::Array(rows) => {
                writeln!(out, "{name}{}", if rows.is_empty() { ": none" } else { "" })?;
                for row in rows.iter().filter_map(Value::as_object) {
                    let mut line = " ".to_owned();
                    row.iter().for_each(|(name, value)| add_word(&mut line, name, value));
                    writeln!(out, "{line}")?;
                }
            }
            Value::String(text) => writeln!(out, "{name:<14}{text}")?,
            value => writeln!(out, "{name:<14}{value}")?,
        }
    }
    Ok(())
}
