//! Rules 1.8, 1.9, 7.3 and 7.4: what time alone does.

use engine::command::{AdminNote, AdvanceTime, CalendarAction, RemoveCalendarEntry, SetCalendarEntry};
use engine::event::{CalendarEntryRemoved, CalendarEntrySet, PhaseChanged};
use engine::instrument::{Phase, PhaseCause};
use engine::phases;
use engine::*;

use super::Model;
use super::entry::ensure;

/// A calendar entry, and when it is due next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) set: SetCalendarEntry,
    pub(super) due: Timestamp,
}

/// What falls due at one time: expiries go first, entries by instrument and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Expiry(OrderId),
    Entry(InstrumentId, u16),
}

impl Model {
    pub(super) fn advance_time(&mut self) {
        if self.turn.header.author != KeyId::VENUE || !self.turn.header.session.is_none() {
            self.reject_command(
                CommandBody::from(AdvanceTime {}).kind(),
                AdminNote::NONE,
                RejectReason::NotEntitled,
                AccountId::NONE,
            );
            return;
        }
        self.cancel_lost();
        let now = self.now();
        let to_date = self.orders.iter().filter(|order| order.time_in_force == TimeInForce::GoodTillDate);
        let expiries = to_date.map(|order| (order.expire_at, Due::Expiry(order.id)));
        let entries =
            self.calendar.iter().map(|(&(instrument, number), entry)| (entry.due, Due::Entry(instrument, number)));
        let mut due: Vec<(Timestamp, Due)> = expiries.chain(entries).filter(|(at, _)| *at <= now).collect();
        due.sort();
        for (_, due) in due {
            match due {
                // A rollover before it may have ended it.
                Due::Expiry(order) if self.orders.iter().any(|open| open.id == order) => {
                    self.cancel(order, CancelReason::Expired, ClientOrderId::NONE);
                }
                Due::Expiry(_) => {}
                Due::Entry(instrument, number) => self.fall_due(instrument, number),
            }
        }
    }

    /// 7.3: an entry acts, and is due again first time in the future, or gone.
    fn fall_due(&mut self, instrument: InstrumentId, number: u16) {
        let now = self.now();
        let entry = self.calendar[&(instrument, number)];
        match entry.set.repeat.0 {
            0 => {
                self.calendar.remove(&(instrument, number));
            }
            interval => {
                let missed = (now.0 - entry.due.0) / interval + 1;
                let due = missed.checked_mul(interval).and_then(|later| entry.due.0.checked_add(later));
                let due = due.map_or(Timestamp::NEVER, Timestamp);
                self.calendar.insert((instrument, number), Entry { due, ..entry });
            }
        }
        match (entry.set.action, entry.set.phase) {
            (CalendarAction::SetPhase, Some(phase)) => {
                self.change_phase(instrument, phase, PhaseCause::Calendar, AdminNote::NONE);
            }
            _ => self.roll_over(instrument),
        }
    }

    /// 1.8: all Day orders, oldest acceptance first.
    fn roll_over(&mut self, instrument: InstrumentId) {
        let of_day = self
            .orders
            .iter()
            .filter(|order| order.instrument == instrument && order.time_in_force == TimeInForce::Day);
        let victims: Vec<OrderId> = of_day.map(|order| order.id).collect();
        for victim in victims {
            self.cancel(victim, CancelReason::DayEnded, ClientOrderId::NONE);
        }
    }

    pub(super) fn change_phase(&mut self, instrument: InstrumentId, to: Phase, cause: PhaseCause, note: AdminNote) {
        let changed = self.instruments.get_mut(&instrument).expect("a listed instrument");
        let from = changed.phase;
        changed.phase = to;
        let author = self.turn.header.author;
        self.emit(PhaseChanged { instrument, from, to, cause, author, note });
    }

    pub(super) fn set_calendar_entry(&mut self, set: SetCalendarEntry) -> Result<(), RejectReason> {
        use RejectReason::*;
        ensure(self.instruments.contains_key(&set.instrument), UnknownInstrument)?;
        let call = set.phase.is_some_and(is_call);
        ensure(set.random_end.0 == 0 && !call, NotImplemented)?;
        let changes_phase = set.action == CalendarAction::SetPhase;
        let comes = set.at > self.now() && set.at != Timestamp::NEVER;
        ensure(comes && set.phase.is_some() == changes_phase, CalendarEntryInvalid)?;
        let key = (set.instrument, set.entry);
        let room = self.calendar.len() < engine::limits::CALENDAR_ENTRIES as usize;
        ensure(room || self.calendar.contains_key(&key), CapacityFull)?;
        self.calendar.insert(key, Entry { set, due: set.at });
        self.emit(CalendarEntrySet { author: self.turn.header.author, command: set });
        Ok(())
    }

    pub(super) fn remove_calendar_entry(&mut self, remove: RemoveCalendarEntry) -> Result<(), RejectReason> {
        use RejectReason::*;
        ensure(self.instruments.contains_key(&remove.instrument), UnknownInstrument)?;
        let removed = self.calendar.remove(&(remove.instrument, remove.entry));
        ensure(removed.is_some(), UnknownCalendarEntry)?;
        self.emit(CalendarEntryRemoved { author: self.turn.header.author, command: remove });
        Ok(())
    }
}

/// Whether orders gather in a phase for an auction: not carried out yet.
pub(super) fn is_call(phase: Phase) -> bool {
    phases::rules(phase).entry == phases::Entry::Call
}
