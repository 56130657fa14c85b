//! One line of a script: a flat object, each of whose fields has to be asked for.

use std::fmt;

use engine::{Nanoseconds, Timestamp};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decimal::Decimal;

/// The fields of a line that have not been asked for.
#[derive(Debug)]
pub(super) struct Line {
    fields: Vec<(String, String)>,
}

impl Line {
    /// Reads a line. Values are text from here on, numbers as they were written; `null` is as good as absent.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let pairs: Pairs<'_> = serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
        let mut line = Self { fields: Vec::new() };
        for (name, value) in pairs.0 {
            if line.fields.iter().any(|(known, _)| *known == name) {
                return Err(format!("field {name:?} is there twice"));
            }
            if let Some(value) = scalar(value).map_err(|problem| format!("field {name:?} {problem}"))? {
                line.fields.push((name, value));
            }
        }
        Ok(line)
    }

    /// A field's text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let place = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.remove(place).1)
    }

    /// A field's text, which has to be there.
    pub(super) fn required(&mut self, name: &str) -> Result<String, String> {
        self.text(name).ok_or_else(|| format!("field {name:?} is missing"))
    }

    /// A field as an exact number.
    pub(super) fn decimal(&mut self, name: &str) -> Result<Option<Decimal>, String> {
        self.parsed(name, "a number", Decimal::parse)
    }

    /// A field as nanoseconds since the epoch.
    pub(super) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, String> {
        self.parsed(name, "nanoseconds", |text| text.parse().ok().map(Timestamp))
    }

    /// A field as a number of nanoseconds.
    pub(super) fn duration(&mut self, name: &str) -> Result<Option<Nanoseconds>, String> {
        self.parsed(name, "nanoseconds", |text| text.parse().ok().map(Nanoseconds))
    }

    /// A field as `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<Flag>, String> {
        self.parsed(name, "true or false", |text| match text {
            "true" | "1" => Some(Flag::Set),
            "false" | "0" => Some(Flag::Clear),
            _ => None,
        })
    }

    /// A field as whatever `parse` makes of it.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| format!("field {name:?}: {text:?} is not {what}"))
    }

    /// Succeeds if every field was asked for.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("field {name:?} is not known here")),
        }
    }
}

/// Said or unsaid by a `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Set,
    Clear,
}

/// A string without its quotes, a number or truth value as it is written, nothing for `null`.
fn scalar(value: &RawValue) -> Result<Option<String>, String> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map(Some).map_err(|error| error.to_string()),
        Some(b'{' | b'[') => Err("is neither a string nor a number".to_owned()),
        _ if text == "null" => Ok(None),
        _ => Ok(Some(text.to_owned())),
    }
}

/// The members of an object as they come, numbers unread.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_strings_and_are_never_rounded() {
        let mut line = Line::parse(r#"{"a": 0.10000000000000000001, "b": "0.1", "c": null, "d": 1e2}"#).unwrap();
        assert_eq!(line.decimal("a").unwrap(), Decimal::parse("0.10000000000000000001"));
        assert_eq!(line.decimal("b").unwrap(), Decimal::parse("0.1"));
        assert_eq!(line.decimal("c").unwrap(), None);
        assert_eq!(line.decimal("d").unwrap(), Decimal::parse("100"));
        assert_eq!(line.finish(), Ok(()));
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        let mut line = Line::parse(r#"{"price": "ten", "post_only": 2, "prise": "10"}"#).unwrap();
        assert_eq!(line.decimal("price").unwrap_err(), r#"field "price": "ten" is not a number"#);
        assert_eq!(line.flag("post_only").unwrap_err(), r#"field "post_only": "2" is not true or false"#);
        assert_eq!(line.required("op").unwrap_err(), r#"field "op" is missing"#);
        assert_eq!(line.finish().unwrap_err(), r#"field "prise" is not known here"#);
        assert_eq!(Line::parse(r#"{"a": 1, "a": 2}"#).unwrap_err(), r#"field "a" is there twice"#);
        assert_eq!(Line::parse(r#"{"a": [1]}"#).unwrap_err(), r#"field "a" is neither a string nor a number"#);
        assert!(Line::parse("[]").unwrap_err().starts_with("not a JSON object"));
    }
}
