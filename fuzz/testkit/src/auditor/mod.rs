//! What is true of commands and events, whoever made them.

use engine::{Command, Event, Sequenced};

/// A truth that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub rule: &'static str,
    /// What was found.
    pub detail: String,
}

/// Follows a stream of commands and events.
#[derive(Debug, Clone, Default)]
pub struct Auditor {}

impl Auditor {
    /// Before the first command.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a command and its events.
    pub fn observe(&mut self, _command: &Sequenced<Command>, _events: &[Event]) -> Result<(), Broken> {
        Ok(())
    }
}
