//! Records as the tools show them: every field by its name, numbers as the journal holds them.

use engine::canonical::{FieldValue, Fields};
use engine::{Amount, Price, Quantity};
use serde_json::{Map, Value, json};

use crate::admin::value::{decimal, signed_decimal};

/// Adds all fields of a record, whose names no other record in the object has; what is absent is null.
pub(crate) fn add_fields(object: &mut Map<String, Value>, record: &dyn Fields) {
    record.fields(&mut |name, value| drop(object.insert(name.to_owned(), self::value(&value))));
}

pub(crate) fn value(value: &FieldValue<'_>) -> Value {
    match *value {
        FieldValue::Price(Price::ABSENT) | FieldValue::Quantity(Quantity::ABSENT) => Value::Null,
        FieldValue::Price(Price::OFF_TICK) => "off tick".into(),
        FieldValue::Quantity(Quantity::OFF_LOT) => "off lot".into(),
        FieldValue::Price(price) => price.0.into(),
        FieldValue::Quantity(quantity) => quantity.0.into(),
        FieldValue::Amount(amount) if amount == Amount::ABSENT.0 => Value::Null,
        // More digits than JSON's numbers are sure to keep.
        FieldValue::Amount(amount) => amount.to_string().into(),
        FieldValue::SignedAmount(amount) => amount.to_string().into(),
        FieldValue::Unsigned(number) => number.into(),
        FieldValue::Signed(number) => number.into(),
        FieldValue::Code(code) => code.into(),
        FieldValue::Text(text) => text.into(),
        FieldValue::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        FieldValue::Record(record) => {
            let mut object = Map::new();
            add_fields(&mut object, record);
            object.into()
        }
    }
}

/// Adds all fields to a line, those of inner objects behind the object's name; what is absent is left out.
pub(crate) fn add_text(line: &mut String, prefix: &str, object: &Map<String, Value>) {
    for (name, value) in object {
        match value {
            Value::Null => {}
            Value::Object(inner) => add_text(line, &format!("{prefix}{name}."), inner),
            value => *line += &format!(" {prefix}{name}={value}"),
        }
    }
}

/// Adds to a line what a record says: like [`add_text`], but identities and counts of zero, which name nothing, are left
/// out too, and words need no quotes.
pub(crate) fn add_said(line: &mut String, prefix: &str, record: &dyn Fields) {
    record.fields(&mut |name, field| match field {
        FieldValue::Unsigned(0) | FieldValue::Text("") => {}
        FieldValue::Record(inner) => add_said(line, &format!("{prefix}{name}."), inner),
        field => add_word(line, &format!("{prefix}{name}"), &value(&field)),
    });
}

/// Adds a name and a value, if there is one.
pub(crate) fn add_word(line: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(text) if !text.is_empty() && !text.contains(' ') => *line += &format!(" {name}={text}"),
        value => *line += &format!(" {name}={value}"),
    }
}

/// How a record's numbers are written in decimals; what is not known is written as it is, and its name says what it counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scales {
    /// Mantissa and decimals.
    pub(crate) tick: Option<(u64, u8)>,
    pub(crate) lot: Option<(u64, u8)>,
    pub(crate) amount: Option<u8>,
}

impl Scales {
    /// Adds all fields of a record, in decimals where the scale is known; what is absent is null.
    pub(crate) fn add(&self, object: &mut Map<String, Value>, record: &dyn Fields) {
        record.fields(&mut |name, field| {
            let (name, value) = match field {
                FieldValue::Record(inner) => {
                    let mut nested = Map::new();
                    self.add(&mut nested, inner);
                    (name.to_owned(), Value::Object(nested))
                }
                FieldValue::Price(price) if price.is_absent() => (name.to_owned(), Value::Null),
                FieldValue::Quantity(quantity) if quantity.is_absent() => (name.to_owned(), Value::Null),
                FieldValue::Amount(amount) if Amount(amount).is_absent() => (name.to_owned(), Value::Null),
                FieldValue::Price(Price(ticks)) => stepped(name, ticks, self.tick, "ticks"),
                FieldValue::Quantity(Quantity(lots)) => stepped(name, lots, self.lot, "lots"),
                FieldValue::Amount(amount) => scaled(name, &amount, self.amount.map(|scale| decimal(amount, scale))),
                FieldValue::SignedAmount(amount) => {
                    scaled(name, &amount, self.amount.map(|scale| signed_decimal(amount, scale)))
                }
                field => (name.to_owned(), value(&field)),
            };
            object.insert(name, value);
        });
    }
}

fn stepped(name: &str, count: u64, step: Option<(u64, u8)>, unit: &str) -> (String, Value) {
    match step {
        Some((step, decimals)) => (name.to_owned(), json!(decimal(u128::from(count) * u128::from(step), decimals))),
        None => (format!("{name}_{unit}"), json!(count.to_string())),
    }
}

fn scaled(name: &str, amount: &impl ToString, in_decimals: Option<String>) -> (String, Value) {
    match in_decimals {
        Some(text) => (name.to_owned(), text.into()),
        None => (format!("{name}_units"), amount.to_string().into()),
    }
}
