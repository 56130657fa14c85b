//! Which changes need a second key: named as in the paths of the operator's door.

use std::fmt;
use std::str::FromStr;

use super::requests::{CHANGES, ListedChange};

/// The noun and verb of a change: `account/withdraw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeName(&'static str);

impl ChangeName {
    /// As in the path.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether whoever may do these alone could make a second key by themselves.
    pub(crate) fn can_be_got_round(names: &[Self]) -> bool {
        let has = |name| names.iter().any(|known| known.0 == name);
        !(names.is_empty() || has("key/add") || has("key/grant"))
    }
}

impl FromStr for ChangeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ListedChange::named(text).map(|change| Self(change.name)).ok_or_else(|| {
            let names: Vec<_> = CHANGES.iter().map(|change| change.name).collect();
            format!("{text:?} is no change; there are {}", names.join(", "))
        })
    }
}

impl fmt::Display for ChangeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
