//! The calendar (rules 7.3 and 7.4): what happens to an instrument at which time, and the order of what is due.

use alloc::vec::Vec;

use crate::canonical::record;
use crate::command::{AdminNote, CalendarAction, RemoveCalendarEntry, SetCalendarEntry};
use crate::engine::Engine;
use crate::event::{CalendarEntryRemoved, CalendarEntrySet, EventSink, PhaseChanged};
use crate::instrument::{Phase, PhaseCause};
use crate::limits::CALENDAR_ENTRIES;
use crate::phases;
use crate::reject::RejectReason;
use crate::turn::Turn;
use crate::{InstrumentId, KeyId, Nanoseconds, Timestamp};

record! {
    /// An entry of an instrument's calendar. Ordered by what is due first.
    #[derive(PartialOrd, Ord)]
    pub(crate) struct Entry {
        pub at: Timestamp,
        pub instrument: InstrumentId,
        pub number: u16,
        pub action: CalendarAction,
        pub phase: Option<Phase>,
        pub repeat: Nanoseconds,
    }
}

impl Entry {
    /// The same entry when it is due next after `now`, if it repeats.
    fn next(&self, now: Timestamp) -> Option<Self> {
        let repeat = self.repeat.0;
        let missed = now.0.saturating_sub(self.at.0).checked_div(repeat)?;
        let at = self.at.0.saturating_add(repeat.saturating_mul(missed.saturating_add(1)));
        Some(Self { at: Timestamp(at), ..*self })
    }

    /// Whether it says something: a phase if and only if it changes it.
    pub(crate) fn is_valid(&self) -> bool {
        (self.action == CalendarAction::SetPhase) == self.phase.is_some()
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
        self.entries.first().map_or(Timestamp::NEVER, |entry| entry.at)
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

    /// The entry that is due first; one that repeats stays, at its next time.
    fn take_first(&mut self, now: Timestamp) -> Option<Entry> {
        let entry = *self.entries.first()?;
        self.entries.remove(0);
        if let Some(next) = entry.next(now) {
            self.set(next).expect("it had a place before");
        }
        Some(entry)
    }
}

impl Engine {
    /// Does what is due: expiries and calendar entries, by their time, expiries first.
    pub(crate) fn act_on_time<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        let now = turn.stamp.time;
        loop {
            let (expiry, entry) = (self.expiries.deadline(&self.orders.arena), self.calendar.deadline());
            match expiry.min(entry) {
                due if due > now => return,
                _ if expiry <= entry => self.expire_first(turn),
                _ => self.act_on_first_entry(turn),
            }
        }
    }

    fn act_on_first_entry<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        let Some(entry) = self.calendar.take_first(turn.stamp.time) else { return };
        match (entry.action, entry.phase) {
            (CalendarAction::SetPhase, Some(phase)) => {
                self.change_phase(turn, entry.instrument, phase, PhaseCause::Calendar, AdminNote::NONE);
            }
            _ => self.roll_over(turn, entry.instrument),
        }
    }

    /// Changes an instrument's phase, and says so.
    pub(crate) fn change_phase<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        instrument: InstrumentId,
        to: Phase,
        cause: PhaseCause,
        note: AdminNote,
    ) {
        let author = if cause == PhaseCause::Administrator { turn.header.author } else { KeyId::VENUE };
        let market = self.market_mut(instrument);
        let from = core::mem::replace(&mut market.phase, to);
        turn.emit(PhaseChanged { instrument, from, to, cause, author, note });
    }

    pub(crate) fn set_calendar_entry<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &SetCalendarEntry,
    ) -> Result<(), RejectReason> {
        let SetCalendarEntry { instrument, entry: number, action, phase, at, repeat, random_end, .. } = *command;
        self.listed(instrument)?;
        if !random_end.is_none() || phase.is_some_and(|phase| !phases::is_implemented(phase)) {
            return Err(RejectReason::NotImplemented);
        }
        let entry = Entry { at, instrument, number, action, phase, repeat };
        if at <= turn.stamp.time || at == Timestamp::NEVER || !entry.is_valid() {
            return Err(RejectReason::CalendarEntryInvalid);
        }
        self.calendar.set(entry).map_err(|Full| RejectReason::CapacityFull)?;
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
            at: Timestamp(100),
            instrument: InstrumentId(1),
            number: 1,
            action: CalendarAction::Rollover,
            phase: None,
            repeat: Nanoseconds(10),
        };
        let next = |now| entry.next(Timestamp(now)).map(|entry| entry.at.0);
        assert_eq!([next(100), next(109), next(110), next(135)], [Some(110), Some(110), Some(120), Some(140)]);
        assert_eq!(Entry { repeat: Nanoseconds::NONE, ..entry }.next(Timestamp(100)), None);
    }
}
