//! What the door's thread counts: plain numbers, stored once a turn, for whoever looks from outside.

use std::sync::atomic::{AtomicU64, Ordering};

/// The door in numbers, as they were at the end of its last turn.
#[derive(Debug, Default)]
pub struct DoorCounts {
    connections: AtomicU64,
    newcomers: AtomicU64,
    reports: AtomicU64,
    backlog_bytes: AtomicU64,
}

impl DoorCounts {
    /// Connections that are there.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Those of them whose session has not opened.
    pub fn newcomers(&self) -> u64 {
        self.newcomers.load(Ordering::Relaxed)
    }

    /// Reports that were told to connections so far; a copy to a reader counts as one.
    pub fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    /// Bytes that are said and that no socket has taken yet, of all connections.
    pub fn backlog_bytes(&self) -> u64 {
        self.backlog_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn attend(&self, connections: usize, newcomers: usize) {
        self.connections.store(connections as u64, Ordering::Relaxed);
        self.newcomers.store(newcomers as u64, Ordering::Relaxed);
    }

    pub(crate) fn tell(&self, reports: u64, backlog_bytes: usize) {
        self.reports.store(reports, Ordering::Relaxed);
        self.backlog_bytes.store(backlog_bytes as u64, Ordering::Relaxed);
    }
}
