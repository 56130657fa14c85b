//! What the door's thread counts: plain numbers, stored once a turn, for whoever looks from outside.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::session::State;

/// The door in numbers, as they were at the end of its last turn.
#[derive(Debug, Default)]
pub struct DoorCounts {
    by_state: [AtomicU64; State::ALL.len()],
    reports: AtomicU64,
    backlog_bytes: AtomicU64,
}

impl DoorCounts {
    /// Connections that are there, by the state of their sessions; also those that are closed and wait for an answer of the
    /// core.
    pub fn connections(&self) -> impl Iterator<Item = (State, u64)> + '_ {
        State::ALL.into_iter().zip(self.by_state.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Reports that were told to connections so far; a copy to a reader counts as one.
    pub fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    /// Bytes that are said and that no socket has taken yet, of all connections.
    pub fn backlog_bytes(&self) -> u64 {
        self.backlog_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn attend(&self, by_state: [u64; State::ALL.len()]) {
        self.by_state.iter().zip(by_state).for_each(|(count, now)| count.store(now, Ordering::Relaxed));
    }

    pub(crate) fn tell(&self, reports: u64, backlog_bytes: usize) {
        self.reports.store(reports, Ordering::Relaxed);
        self.backlog_bytes.store(backlog_bytes as u64, Ordering::Relaxed);
    }
}
