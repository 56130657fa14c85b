//! The calendar (rules 7.3 and 7.4): what happens to an instrument at which time, and the order of what is due.

use alloc::vec::Vec;

use crate::call::{Change, Delayed};
use crate::canonical::record;
use crate::command::{CalendarAction, RemoveCalendarEntry, SetCalendarEntry};
use crate::engine::Engine;
use crate::event::{CalendarEntryRemoved, CalendarEntrySet, EventSink};
use crate::instrument::{Phase, PhaseCause};
use crate::limits::CALENDAR_ENTRIES;
use crate::reject::RejectReason;
use crate::turn::Turn;
use crate::{InstrumentId, Nanoseconds, Timestamp};

record! {
    /// An entry of an instrument's calendar. Ordered by what is due first.
    #[derive(PartialOrd, Ord)]
    pub(crate) struct Entry {
        /// Its time and its delay.
        pub due: Timestamp,
        pub instrument: InstrumentId,
        pub number: u16,
        pub at: Timestamp,
        pub action: CalendarAction,
        pub phase: Option<Phase>,
        pub repeat: Nanoseconds,
        /// The longest delay.
        pub random_end: Nanoseconds,
    }
}

impl Entry {
    /// The same entry for its next time after `now`, if it repeats; its delay is not drawn yet.
    fn next(&self, now: Timestamp) -> Option<Self> {
        let repeat = self.repeat.0;
        let missed = now.0.saturating_sub(self.at.0).checked_div(repeat)?;
        let at = self.at.0.saturating_add(repeat.saturating_mul(missed.saturating_add(1)));
        Some(Self { due: Timestamp(at), at: Timestamp(at), ..*self })
    }

    /// Whether it says something: a phase if and only if it changes it; and each delay ends before the next time.
    pub(crate) fn is_valid(&self) -> bool {
        (self.action == CalendarAction::SetPhase) == self.phase.is_some()
            && (self.repeat.is_none() || self.random_end < self.repeat)
            && self.at.after(self.random_end) < Timestamp::NEVER
    }
}

/// All entries of the venue, the next that is due first.
#[derive(Debug)]
pub(crate) struct Calendar {
    entries: Vec<Entry>,
}

/// There is no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Calendar {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::with_capacity(CALENDAR_ENTRIES as usize) }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// When the next entry is due.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.entries.first().map_or(Timestamp::NEVER, |entry| entry.due)
    }

    /// Adds an entry, in the place of the one with its number.
    pub(crate) fn set(&mut self, entry: Entry) -> Result<(), Full> {
        let replaced = self.position(entry.instrument, entry.number);
        if replaced.is_none() && self.entries.len() >= CALENDAR_ENTRIES as usize {
            return Err(Full);
        }
        if let Some(index) = replaced {
            self.entries.remove(index);
        }
        let index = self.entries.partition_point(|before| *before < entry);
        self.entries.insert(index, entry);
        Ok(())
    }

    /// Takes an entry out; whether there was one.
    pub(crate) fn remove(&mut self, instrument: InstrumentId, number: u16) -> bool {
        let position = self.position(instrument, number);
        if let Some(index) = position {
            self.entries.remove(index);
        }
        position.is_some()
    }

    /// Takes an instrument's entries out.
    pub(crate) fn remove_all(&mut self, instrument: InstrumentId) {
        self.entries.retain(|entry| entry.instrument != instrument);
    }

    fn position(&self, instrument: InstrumentId, number: u16) -> Option<usize> {
        self.entries.iter().position(|entry| entry.instrument == instrument && entry.number == number)
    }

    /// Takes out the entry that is due first.
    fn take_first(&mut self) -> Option<Entry> {
        let entry = *self.entries.first()?;
        self.entries.remove(0);
        Some(entry)
    }
}

impl Engine {
    /// Does what is due: expiries, ends of calls and calendar entries, by their time; of one time in this order.
    pub(crate) fn act_on_time<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        let now = turn.stamp.time;
        loop {
            let expiry = self.expiries.deadline(&self.orders.arena);
            let (call, entry) = (self.call_ends.deadline(), self.calendar.deadline());
            match expiry.min(call).min(entry) {
                due if due > now => return,
                due if due == expiry => self.expire_first(turn),
                due if due == call => self.end_first_call(turn),
                _ => self.act_on_first_entry(turn),
            }
        }
    }

    fn act_on_first_entry<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(entry) = self.calendar.take_first() else { return };
        if let Some(next) = entry.next(turn.stamp.time) {
            self.calendar.set(self.delayed(next)).expect("it had a place before");
        }
        match (entry.action, entry.phase) {
            (CalendarAction::SetPhase, Some(phase)) => {
                self.change_phase(turn, entry.instrument, Change::by_itself(phase, PhaseCause::Calendar));
            }
            _ => self.roll_over(turn, entry.instrument),
        }
    }

    /// An entry with its delay, which is drawn anew.
    fn delayed(&self, entry: Entry) -> Entry {
        let Entry { at, instrument, number, random_end, .. } = entry;
        Entry { due: at.after(self.delay(Delayed::Entry(number), instrument, at, random_end)), ..entry }
    }

    pub(crate) fn set_calendar_entry<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &SetCalendarEntry,
    ) -> Result<(), RejectReason> {
        let SetCalendarEntry { instrument, entry: number, action, phase, at, repeat, random_end, .. } = *command;
        self.listed(instrument)?;
        let entry = Entry { due: at, at, instrument, number, action, phase, repeat, random_end };
        if at <= turn.stamp.time || at == Timestamp::NEVER || !entry.is_valid() {
            return Err(RejectReason::CalendarEntryInvalid);
        }
        self.calendar.set(self.delayed(entry)).map_err(|Full| RejectReason::CapacityFull)?;
        turn.emit(CalendarEntrySet { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn remove_calendar_entry<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &RemoveCalendarEntry,
    ) -> Result<(), RejectReason> {
        self.listed(command.instrument)?;
        if !self.calendar.remove(command.instrument, command.entry) {
            return Err(RejectReason::UnknownCalendarEntry);
        }
        turn.emit(CalendarEntryRemoved { author: turn.header.author, command: *command });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_due_again_first_time_in_the_future() {
        let entry = Entry {
            due: Timestamp(103),
            at: Timestamp(100),
            instrument: InstrumentId(1),
            number: 1,
            action: CalendarAction::Rollover,
            phase: None,
            repeat: Nanoseconds(10),
            random_end: Nanoseconds(3),
        };
        let next = |now| entry.next(Timestamp(now)).map(|entry| entry.at.0);
        assert_eq!([next(100), next(109), next(110), next(135)], [Some(110), Some(110), Some(120), Some(140)]);
        assert_eq!(Entry { repeat: Nanoseconds::NONE, ..entry }.next(Timestamp(100)), None);
    }
}
