//! Time as the sequencer stamped it; the engine reads no clock.

use crate::canonical::identifier;

identifier! {
    /// Nanoseconds since 1970-01-01 00:00 UTC. Zero: no time was given.
    Timestamp(u64);
    /// A length of time in nanoseconds.
    Nanoseconds(u64);
}

impl Timestamp {
    /// Later than every command.
    pub const NEVER: Self = Self(u64::MAX);

    /// This time and a while, saturating.
    #[must_use]
    pub const fn after(self, while_: Nanoseconds) -> Self {
        Self(self.0.saturating_add(while_.0))
    }
}
