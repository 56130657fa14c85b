//! Boxes between two threads: the one fills, the other empties and gives back, so that few are ever made.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Filled boxes that may wait.
const FILLED_MAX: usize = 2;

/// The filling end.
pub(crate) struct Filler<T> {
    filled: SyncSender<T>,
    used: Receiver<T>,
}

/// The emptying end.
pub(crate) struct Emptier<T> {
    filled: Receiver<T>,
    used: Sender<T>,
}

/// Both ends of a belt.
pub(crate) fn belt<T>() -> (Filler<T>, Emptier<T>) {
    let ((filled, to_empty), (used, to_fill)) = (sync_channel(FILLED_MAX), channel());
    (Filler { filled, used: to_fill }, Emptier { filled: to_empty, used })
}

impl<T: Default> Filler<T> {
    /// A box to fill, with what was in it if it was used before.
    pub(crate) fn next(&self) -> T {
        self.used.try_recv().unwrap_or_default()
    }

    /// Hands over a box; waits while enough of them wait. False if nobody empties them any more.
    pub(crate) fn put(&self, filled: T) -> bool {
        self.filled.send(filled).is_ok()
    }
}

impl<T> Emptier<T> {
    /// Waits for the next box; nothing if no more will come.
    pub(crate) fn take(&self) -> Option<T> {
        self.filled.recv().ok()
    }

    /// Gives a box back.
    pub(crate) fn give_back(&self, used: T) {
        // Who fills them may have ended.
        let _ = self.used.send(used);
    }
}
