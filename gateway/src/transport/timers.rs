//! When connections have to be looked at next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use engine::Timestamp;

use crate::transport::desk::ConnectionId;

/// Deadlines. A connection is set anew only for an earlier one: a deadline that has moved away is found out when it is due.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Timestamp, ConnectionId)>>);

impl Timers {
    /// A connection is to be looked at.
    pub(crate) fn set(&mut self, at: Timestamp, connection: ConnectionId) {
        if at != Timestamp::NEVER {
            self.0.push(Reverse((at, connection)));
        }
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Timestamp {
        self.0.peek().map_or(Timestamp::NEVER, |Reverse((at, _))| *at)
    }

    /// A connection whose deadline is over at `now`.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<(Timestamp, ConnectionId)> {
        self.0.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.0.pop().map(|Reverse(due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_due_first_and_none_before_its_time() {
        let connection = |serial| ConnectionId { place: 0, serial };
        let mut timers = Timers::default();
        assert_eq!((timers.next(), timers.due(Timestamp(100))), (Timestamp::NEVER, None));
        timers.set(Timestamp(30), connection(3));
        timers.set(Timestamp(10), connection(1));
        timers.set(Timestamp::NEVER, connection(4));
        timers.set(Timestamp(20), connection(2));
        assert_eq!((timers.next(), timers.due(Timestamp(9))), (Timestamp(10), None));
        assert_eq!(timers.due(Timestamp(20)), Some((Timestamp(10), connection(1))));
        assert_eq!(timers.due(Timestamp(20)), Some((Timestamp(20), connection(2))));
        assert_eq!((timers.due(Timestamp(20)), timers.next()), (None, Timestamp(30)));
    }
}
