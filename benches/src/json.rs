//! One flat JSON object on one line, its members in the order in which they were added.

use std::fmt::{self, Display};

use serde_json::Value;

/// An object under construction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// Adds a string.
    pub fn text(&mut self, name: &str, text: impl Display) {
        self.add(name, Value::from(text.to_string()));
    }

    /// Adds a whole number.
    pub fn number(&mut self, name: &str, number: impl Into<serde_json::Number>) {
        self.add(name, Value::Number(number.into()));
    }

    /// Adds `true`.
    pub fn yes(&mut self, name: &str) {
        self.add(name, Value::Bool(true));
    }

    /// Whether there is a member of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(member, _)| member == name)
    }

    fn add(&mut self, name: &str, value: Value) {
        debug_assert!(!self.contains(name), "{name} is in {self} already");
        self.0.push((name.to_owned(), value));
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{value}", Value::from(name.as_str()))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_strings_are_escaped() {
        let mut object = Object::default();
        object.number("b", 1_u64);
        object.text("a", "x\"y");
        object.yes("c");
        assert_eq!(object.to_string(), r#"{"b":1,"a":"x\"y","c":true}"#);
    }
}
