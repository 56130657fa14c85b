//! Which changes need a second key: named as in the paths of the operator's door.
//!
//! Some have the same effect as others, and are guarded together, or the name that was not thought of would be the way round.
//! A halt is none of these: it takes risk out of the venue, and waits only where it is named itself.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::requests::{CHANGES, ListedChange};

/// Changes with which the same can be brought about: naming one guards all of its group.
const GROUPS: &[&[&str]] =
    &[&["instrument/phase", "instrument/resume", "instrument/calendar/set"], &["account/withdraw", "account/adjust"]];

/// What needs a second key where `named` does.
pub(crate) fn guarded(mut named: BTreeSet<&'static str>) -> BTreeSet<&'static str> {
    for group in GROUPS {
        if group.iter().any(|name| named.contains(name)) {
            named.extend(*group);
        }
    }
    named
}

/// The noun and verb of a change: `account/withdraw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeName(&'static str);

impl ChangeName {
    /// As in the path.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether an administrator could make a second key alone. A grant to any key whose secret they have is enough, so
    /// that it takes a guard on grants; one on new keys alone guards nothing.
    pub(crate) fn can_be_got_round(names: &[Self]) -> bool {
        !(names.is_empty() || names.iter().any(|name| name.0 == "key/grant"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_guard_on_grants_keeps_anybody_from_a_second_key_of_their_own() {
        let names = |names: &str| names.split_terminator(',').map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        for (guarded, can_be_got_round) in [
            ("", false),
            ("account/withdraw", true),
            ("account/withdraw,key/add", true),
            ("account/withdraw,key/grant", false),
            ("key/grant", false),
        ] {
            assert_eq!(ChangeName::can_be_got_round(&names(guarded)), can_be_got_round, "{guarded:?}");
        }
    }

    #[test]
    fn whoever_names_one_way_to_an_effect_guards_every_way() {
        for group in GROUPS {
            for name in *group {
                assert!(ListedChange::named(name).is_some(), "{name}");
                assert_eq!(guarded(BTreeSet::from([*name])), BTreeSet::from_iter(group.iter().copied()));
            }
        }
        for alone in ["instrument/halt", "key/grant"] {
            assert_eq!(guarded(BTreeSet::from([alone])), BTreeSet::from([alone]));
        }
    }
}
