//! One command's turn: its header, its time, and the events that it causes.

use crate::command::{CommandHeader, Stamp};
use crate::event::{Event, EventHeader, EventSink};
use crate::identity::EventId;

/// Whether a command's session may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No session, or an established one.
    Good,
    /// A session that is not established with this key.
    NotEstablished,
}

/// One command's turn.
pub(crate) struct Turn<'a, S> {
    pub(crate) stamp: &'a Stamp,
    pub(crate) header: &'a CommandHeader,
    pub(crate) standing: Standing,
    index: u32,
    sink: &'a mut S,
}

impl<'a, S: EventSink> Turn<'a, S> {
    #[inline]
    pub(crate) fn new(stamp: &'a Stamp, header: &'a CommandHeader, sink: &'a mut S) -> Self {
        Self { stamp, header, standing: Standing::Good, index: 0, sink }
    }

    /// Hands the next event to the sink.
    #[inline(always)]
    pub(crate) fn emit(&mut self, event: impl Into<Event>) {
        let id = EventId { sequence: self.stamp.sequence, index: self.index };
        let header = EventHeader { id, time: self.stamp.time, received_at: self.header.received_at };
        self.sink.event(&header, &event.into());
        self.index += 1;
    }
}
