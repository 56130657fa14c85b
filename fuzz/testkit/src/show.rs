//! Commands and events as a person reads them: what is absent is left out.

use engine::canonical::{Code, FieldValue, Fields};
use engine::{Amount, CommandHeader, Event, Price, Quantity};

use crate::stream::Step;

/// A step on one line.
pub fn step(step: &Step) -> String {
    let mut line = format!("{:>4}  {}  {}", step.name, step.at, step.command.body.kind().name());
    add_fields(step.command.body.record(), &mut line);
    let CommandHeader { author, session, client_sequence, .. } = step.command.header;
    if step.command.header != CommandHeader::VENUE {
        line += &format!("  by key {author} in session {session} as {client_sequence}");
    }
    line
}

/// A stream, a step on each line. An `order_id` is the step that made the order.
pub fn stream(steps: &[Step]) -> String {
    steps.iter().map(|it| step(it) + "\n").collect()
}

/// An event on one line.
pub fn event(event: &Event) -> String {
    let mut line = event.kind().name().to_owned();
    add_fields(event.record(), &mut line);
    line
}

fn add_fields(record: &dyn Fields, line: &mut String) {
    record.fields(&mut |name, value| {
        if let FieldValue::Record(record) = value {
            let mut inner = String::new();
            add_fields(record, &mut inner);
            if !inner.is_empty() {
                *line += &format!(" {name}({})", inner.trim_start());
            }
        } else if let Some(value) = shown(value) {
            *line += &format!(" {name}={value}");
        }
    });
}

/// The value, unless it says that there is none.
fn shown(value: FieldValue<'_>) -> Option<String> {
    match value {
        FieldValue::Price(Price::ABSENT) | FieldValue::Quantity(Quantity::ABSENT) => None,
        FieldValue::Price(Price::OFF_TICK) => Some("off_tick".to_owned()),
        FieldValue::Quantity(Quantity::OFF_LOT) => Some("off_lot".to_owned()),
        FieldValue::Price(price) => Some(price.0.to_string()),
        FieldValue::Quantity(quantity) => Some(quantity.0.to_string()),
        FieldValue::Amount(amount) => (Amount(amount) != Amount::ABSENT).then(|| amount.to_string()),
        FieldValue::SignedAmount(amount) => Some(amount.to_string()),
        FieldValue::Unsigned(number) => (number != 0).then(|| number.to_string()),
        FieldValue::Signed(number) => (number != 0).then(|| number.to_string()),
        FieldValue::Code(name) => name.map(str::to_owned),
        FieldValue::Text(text) => (!text.is_empty()).then(|| format!("{text:?}")),
        FieldValue::Bytes(bytes) => bytes.first().map(|first| format!("{first:02x}…")),
        FieldValue::Record(_) => None,
    }
}
