//! Records as the tools show them: every field by its name, numbers as the journal holds them.

use engine::canonical::{FieldValue, Fields};
use engine::{Amount, Price, Quantity};
use serde_json::{Map, Value};

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
