//! Rules 1.8, 1.9, 7.3 and 7.4: what time alone does.

use engine::command::{AdminNote, AdvanceTime, CalendarAction, RemoveCalendarEntry, SetCalendarEntry};
use engine::event::{CalendarEntryRemoved, CalendarEntrySet};
use engine::instrument::PhaseCause;
use engine::*;

use super::Model;
use super::entry::ensure;

/// A calendar entry, and when it is due next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    set: SetCalendarEntry,
    /// Its own time, from which it repeats.
    at: Timestamp,
    /// Its own time and its random end.
    pub(super) due: Timestamp,
}

/// What falls due at one time: expiries go first, then ends of calls by instrument, then entries by instrument and
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Expiry(OrderId),
    CallEnd(InstrumentId),
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
        for (at, due) in self.all_due() {
            match due {
                // A rollover before it may have ended it.
                Due::Expiry(order) if self.orders.iter().any(|open| open.id == order) => {
                    self.cancel(order, CancelReason::Expired, ClientOrderId::NONE);
                }
                Due::Expiry(_) => {}
                Due::CallEnd(instrument) => self.end_call(instrument, at),
                Due::Entry(instrument, number) => self.fall_due(instrument, number),
            }
            self.enter_elected();
            self.follow_references();
        }
    }

    /// 7.4: what is due by now, in its order.
    fn all_due(&self) -> Vec<(Timestamp, Due)> {
        let now = self.now();
        let to_date = self.orders.iter().filter(|order| order.time_in_force == TimeInForce::GoodTillDate);
        let expiries = to_date.map(|order| (order.expire_at, Due::Expiry(order.id)));
        let calls = self.instruments.iter().filter_map(|(&id, it)| it.call_end.map(|(at, _)| (at, Due::CallEnd(id))));
        let entries =
            self.calendar.iter().map(|(&(instrument, number), entry)| (entry.due, Due::Entry(instrument, number)));
        let mut due: Vec<(Timestamp, Due)> = expiries.chain(calls).chain(entries).filter(|it| it.0 <= now).collect();
        due.sort();
        due
    }

    /// 6.4, 5.11: a call ends by itself, unless a phase was set before.
    fn end_call(&mut self, instrument: InstrumentId, at: Timestamp) {
        if let Some((end, phase)) = self.instruments[&instrument].call_end
            && end == at
        {
            self.change_phase(instrument, phase, PhaseCause::CallEnded, AdminNote::NONE);
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
                let missed = (now.0 - entry.at.0) / interval + 1;
                let at = missed.checked_mul(interval).and_then(|later| entry.at.0.checked_add(later));
                self.enter_calendar(entry.set, at.map_or(Timestamp::NEVER, Timestamp));
            }
        }
        match (entry.set.action, entry.set.phase) {
            (CalendarAction::SetPhase, Some(phase)) => {
                self.change_phase(instrument, phase, PhaseCause::Calendar, AdminNote::NONE);
            }
            _ => self.roll_over(instrument),
        }
    }

    /// 5.12, 7.3: an entry with its random end drawn.
    fn enter_calendar(&mut self, set: SetCalendarEntry, at: Timestamp) {
        let delay = self.random_delay(0, set.instrument, set.entry, at, set.random_end);
        self.calendar.insert((set.instrument, set.entry), Entry { set, at, due: at.after(delay) });
    }

    /// 1.8: all orders for the day and for its auctions, oldest acceptance first.
    fn roll_over(&mut self, instrument: InstrumentId) {
        let ends = |it| matches!(it, TimeInForce::Day | TimeInForce::AtTheOpening | TimeInForce::AtTheClose);
        let of_day = self.orders.iter().filter(|order| order.instrument == instrument && ends(order.time_in_force));
        let victims: Vec<OrderId> = of_day.map(|order| order.id).collect();
        for victim in victims {
            self.cancel(victim, CancelReason::DayEnded, ClientOrderId::NONE);
        }
    }

    pub(super) fn set_calendar_entry(&mut self, set: SetCalendarEntry) -> Result<(), RejectReason> {
        use RejectReason::*;
        ensure(self.instruments.contains_key(&set.instrument), UnknownInstrument)?;
        let changes_phase = set.action == CalendarAction::SetPhase;
        let comes = set.at > self.now() && set.at != Timestamp::NEVER;
        let valid = comes && set.phase.is_some() == changes_phase && has_valid_random_end(&set);
        ensure(valid, CalendarEntryInvalid)?;
        let key = (set.instrument, set.entry);
        let room = self.calendar.len() < engine::limits::CALENDAR_ENTRIES as usize;
        ensure(room || self.calendar.contains_key(&key), CapacityFull)?;
        self.enter_calendar(set, set.at);
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

/// 7.3: shorter than the interval, and within time.
fn has_valid_random_end(set: &SetCalendarEntry) -> bool {
    let repeats = set.repeat != Nanoseconds::NONE;
    set.at.0.checked_add(set.random_end.0).is_some_and(|due| due < u64::MAX)
        && (!repeats || set.random_end < set.repeat)
}
