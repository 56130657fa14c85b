//! Rules 7.3 and 7.4: what the calendar does, and the order of what is due.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::*;
use engine::*;

fn entry(number: u16, at: u64, phase: Option<Phase>) -> SetCalendarEntry {
    SetCalendarEntry {
        instrument: BTC_USD,
        entry: number,
        action: if phase.is_some() { CalendarAction::SetPhase } else { CalendarAction::Rollover },
        phase,
        at: Timestamp(at),
        repeat: Nanoseconds::NONE,
        random_end: Nanoseconds::NONE,
        note: AdminNote::NONE,
    }
}

fn phases(events: &[Event]) -> Vec<(Phase, PhaseCause)> {
    let phase = |event: &Event| match event {
        Event::PhaseChanged(changed) => Some((changed.to, changed.cause)),
        _ => None,
    };
    events.iter().filter_map(phase).collect()
}

#[test]
fn entries_act_when_their_time_has_come() {
    let mut venue = Venue::open();
    venue.expect_accepted(entry(1, 2_000, Some(Phase::Halted)));
    venue.expect_accepted(entry(2, 3_000, Some(Phase::Continuous)));
    assert_eq!(phases(&venue.advance(1_999)), []);
    assert_eq!(phases(&venue.advance(2_500)), [(Phase::Halted, PhaseCause::Calendar)]);
    assert_eq!(told(&venue.apply(limit(Side::Buy, 1, 1).named(1))), ["refused 1: PhaseNotAllowed"]);
    assert_eq!(phases(&venue.advance(3_000)), [(Phase::Continuous, PhaseCause::Calendar)]);
    // They are gone: setting them again takes a future time, removing them finds nothing.
    let remove = RemoveCalendarEntry { instrument: BTC_USD, entry: 1, note: AdminNote::NONE };
    assert_eq!(reasons(&venue.apply(remove)), [RejectReason::UnknownCalendarEntry]);
    assert_eq!(reasons(&venue.apply(entry(1, 3_000, None))), [RejectReason::CalendarEntryInvalid]);
    // The same number is the same entry.
    venue.expect_accepted(entry(1, 4_000, Some(Phase::Halted)));
    venue.expect_accepted(entry(1, 5_000, Some(Phase::Closed)));
    assert_eq!(phases(&venue.advance(4_500)), []);
    assert_eq!(phases(&venue.advance(5_000)), [(Phase::Closed, PhaseCause::Calendar)]);
    venue.expect_accepted(entry(3, 6_000, Some(Phase::Continuous)));
    venue.expect_accepted(RemoveCalendarEntry { entry: 3, ..remove });
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
}

#[test]
fn an_entry_that_repeats_skips_what_was_missed() {
    let mut venue = Venue::open();
    venue.expect_accepted(SetCalendarEntry { repeat: Nanoseconds(1_000), ..entry(1, 2_000, Some(Phase::Halted)) });
    assert_eq!(phases(&venue.advance(2_000)).len(), 1);
    assert_eq!(venue.engine.next_deadline(), Timestamp(3_000));
    assert_eq!(phases(&venue.advance(7_500)).len(), 1);
    assert_eq!(venue.engine.next_deadline(), Timestamp(8_000));
}

#[test]
fn what_is_due_happens_in_order() {
    let mut venue = Venue::open();
    venue.expect_accepted(entry(2, 2_000, Some(Phase::Continuous)));
    venue.expect_accepted(entry(1, 2_000, Some(Phase::Halted)));
    venue.expect_accepted(entry(3, 1_500, None));
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(1).until(2_000));
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(2).lasting(TimeInForce::Day));
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(3).until(1_400));
    let events = venue.advance(2_500);
    let order = |event: &Event| match event {
        Event::OrderCancelled(event) => format!("{:?}", event.reason),
        Event::PhaseChanged(event) => format!("{:?}", event.to),
        other => panic!("{other:?}"),
    };
    let happened: Vec<String> = events.iter().map(order).collect();
    assert_eq!(happened, ["Expired", "DayEnded", "Expired", "Halted", "Continuous"]);
}

#[test]
fn a_full_calendar_refuses() {
    let mut venue = Venue::open();
    for number in 0..4_096 {
        venue.expect_accepted(entry(number, 10_000 + u64::from(number), None));
    }
    assert_eq!(reasons(&venue.apply(entry(5_000, 9_000, None))), [RejectReason::CapacityFull]);
    venue.expect_accepted(entry(7, 9_000, None));
    assert_eq!(venue.engine.next_deadline(), Timestamp(9_000));
}

#[test]
fn a_random_end_is_drawn_from_the_seed_within_its_bound() {
    let due = |seed: u8, most: u64| {
        let mut venue = Venue::open();
        venue.expect_accepted(SetRandomSeed { seed: [seed; 32], note: AdminNote::NONE });
        let repeat = Nanoseconds(1_000);
        let entry = SetCalendarEntry { repeat, random_end: Nanoseconds(most), ..entry(1, 2_000, Some(Phase::Halted)) };
        venue.expect_accepted(entry);
        let mut times = Vec::new();
        for _ in 0..20 {
            let due = venue.engine.next_deadline();
            assert_eq!(phases(&venue.advance(due.0 - 1)), []);
            assert_eq!(phases(&venue.advance(due.0)), [(Phase::Halted, PhaseCause::Calendar)]);
            times.push(due.0);
        }
        times
    };
    let times = due(1, 300);
    for (nominal, &time) in (2_000..).step_by(1_000).zip(&times) {
        assert!((nominal..=nominal + 300).contains(&time), "{time} for {nominal}");
    }
    assert!(times.windows(2).any(|pair| pair[1] - pair[0] != 1_000), "{times:?}");
    assert_eq!(due(1, 300), times);
    assert_ne!(due(2, 300), times);
    assert_eq!(due(1, 0)[..2], [2_000, 3_000]);
}
#[test]
fn delayed_entries_of_one_time_act_by_instrument() {
    let mut venue = Venue::open();
    venue.expect_accepted(SetRandomSeed { seed: [0x71; 32], note: AdminNote::NONE });
    // With this seed both are due at 1,007,566.
    let delayed = SetCalendarEntry { random_end: Nanoseconds(49), ..entry(2, 1_007_562, Some(Phase::Halted)) };
    venue.expect_accepted(SetCalendarEntry { instrument: UNSETTLED, ..delayed });
    assert_eq!(venue.engine.next_deadline(), Timestamp(1_007_566));
    venue.expect_accepted(entry(4, 1_007_566, Some(Phase::Closed)));
    assert_eq!(
        phases(&venue.advance(1_007_566)),
        [(Phase::Closed, PhaseCause::Calendar), (Phase::Halted, PhaseCause::Calendar)]
    );
}

#[test]
fn a_restored_venue_keeps_its_calendar() {
    let mut venue = Venue::open();
    venue.expect_accepted(entry(1, 2_000, Some(Phase::Halted)));
    let mut restored = Venue { engine: Engine::read_snapshot(&venue.snapshot()).unwrap(), time: venue.time };
    assert_eq!(phases(&restored.advance(2_000)), [(Phase::Halted, PhaseCause::Calendar)]);
}
