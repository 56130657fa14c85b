//! Rule 8.18: an instrument goes for good.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::*;

#[test]
fn delisting_cancels_everything_oldest_first_for_good() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 101, 1).named(1));
    venue.expect_accepted(stop(Side::Buy, 150, 2).by(BOB).named(2));
    venue.expect_accepted(limit(Side::Buy, 90, 3).named(3));
    venue.expect_accepted(SetCalendarEntry {
        instrument: BTC_USD,
        entry: 1,
        action: CalendarAction::Rollover,
        phase: None,
        at: Timestamp(5_000),
        repeat: Nanoseconds::NONE,
        random_end: Nanoseconds::NONE,
        note: AdminNote::NONE,
    });
    let delist = DelistInstrument { instrument: BTC_USD, note: AdminNote::NONE };
    let events = venue.expect_accepted(delist);
    assert_eq!(told(&events), ["cancel 1 of 1: Delisted", "cancel 2 of 2: Delisted", "cancel 3 of 3: Delisted"]);
    let Some(Event::InstrumentDelisted(delisted)) = events.last() else { panic!("{events:?}") };
    assert_eq!((delisted.instrument, delisted.cancelled_count), (BTC_USD, 3));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER, "its calendar goes with it");
    assert!(venue.engine.listing(BTC_USD).is_none() && venue.engine.listings().all(|it| it.instrument != BTC_USD));

    let unknown =
        |venue: &mut Venue, body: CommandBody| reasons(&venue.apply(body)) == [RejectReason::UnknownInstrument];
    assert!(unknown(&mut venue, limit(Side::Buy, 1, 1).into()));
    assert!(unknown(&mut venue, delist.into()));
    assert!(unknown(&mut venue, set_phase(BTC_USD, engine::instrument::Phase::Halted).into()));
    assert!(unknown(&mut venue, set_fees(0, 0).into()));
    let again = listing(BTC_USD, engine::instrument::Holds::On);
    assert_eq!(reasons(&venue.apply(again)), [RejectReason::AlreadyExists]);
    let restored = Engine::read_snapshot(&venue.snapshot()).unwrap();
    assert!(restored.listing(BTC_USD).is_none());
}
