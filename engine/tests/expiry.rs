//! Rules 1.8, 1.9 and 2.13: orders that end by time.

mod common;

use common::*;
use engine::command::*;
use engine::*;

fn rollover(entry: u16, at: u64) -> SetCalendarEntry {
    SetCalendarEntry {
        instrument: BTC_USD,
        entry,
        action: CalendarAction::Rollover,
        phase: None,
        at: Timestamp(at),
        repeat: Nanoseconds::NONE,
        random_end: Nanoseconds::NONE,
        note: AdminNote::NONE,
    }
}

#[test]
fn day_orders_end_at_the_rollover_oldest_first() {
    let mut venue = Venue::open();
    let day = |order: NewOrder| order.lasting(TimeInForce::Day);
    venue.expect_accepted(day(limit(Side::Sell, 101, 1).named(1)));
    venue.expect_accepted(day(stop(Side::Buy, 150, 1).by(BOB).named(2)));
    venue.expect_accepted(limit(Side::Buy, 90, 1).named(3));
    venue.expect_accepted(day(limit(Side::Buy, 91, 5).by(CAROL).named(4)));
    venue.expect_accepted(limit(Side::Buy, 80, 1).named(5).until(9_000));
    let elsewhere = day(NewOrder { instrument: UNSETTLED, ..limit(Side::Buy, 91, 5).named(6) });
    venue.expect_accepted(elsewhere);
    venue.expect_accepted(limit(Side::Sell, 91, 2).by(BOB).named(7));
    venue.expect_accepted(rollover(1, 2_000));
    assert_eq!(venue.engine.next_deadline(), Timestamp(2_000));
    assert_eq!(told(&venue.advance(1_999)), Vec::<String>::new());
    assert_eq!(
        told(&venue.advance(2_000)),
        ["cancel 1 of 1: DayEnded", "cancel 1 of 2: DayEnded", "cancel 3 of 4: DayEnded"]
    );
    assert_eq!(venue.side(Side::Buy), [(3, 90, 1), (5, 80, 1)]);
    assert_eq!(venue.engine.open_orders(ALICE).count(), 3, "another instrument's Day orders stay");
    let (_, status) = venue.engine.order_status(CAROL, OrderId::NONE, ClientOrderId(4)).unwrap();
    assert_eq!(status, OrderStatus::Expired);
    assert_eq!(venue.balances(CAROL)[3], 0);
}

#[test]
fn good_till_date_orders_end_in_the_order_of_their_expiry() {
    let mut venue = Venue::open();
    for (name, expiry) in [(1, 3_000), (2, 2_000), (3, 2_000), (4, 5_000), (5, 2_500)] {
        venue.expect_accepted(limit(Side::Buy, 90 + name, 1).named(name).until(expiry));
    }
    venue.expect_accepted(stop(Side::Buy, 200, 1).named(6).until(2_400));
    assert_eq!(venue.engine.next_deadline(), Timestamp(2_000));
    // No other command ends them, whatever the time.
    venue.time = Timestamp(2_450);
    assert_eq!(told(&venue.apply(cancel(ALICE, 5))), ["cancel 1 of 5: Requested"]);
    assert_eq!(
        told(&venue.advance(2_450)),
        ["cancel 1 of 2: Expired", "cancel 1 of 3: Expired", "cancel 1 of 6: Expired"]
    );
    assert_eq!(venue.engine.next_deadline(), Timestamp(3_000));
    assert_eq!(told(&venue.advance(9_000)), ["cancel 1 of 1: Expired", "cancel 1 of 4: Expired"]);
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
}

#[test]
fn an_amend_may_change_time_in_force_and_expiry() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 2).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 2).by(BOB).named(2));
    let lasting = |time_in_force| ReplaceOrder { time_in_force: Some(time_in_force), ..replace(1) };
    let dated = |expiry| ReplaceOrder { expire_at: Timestamp(expiry), ..lasting(TimeInForce::GoodTillDate) };
    assert_eq!(told(&venue.apply(lasting(TimeInForce::GoodTillDate))), ["refused 1: ExpiryInvalid"]);
    assert_eq!(told(&venue.apply(dated(1_000))), ["refused 1: ExpiryInvalid"], "now is not the future");
    assert_eq!(told(&venue.apply(dated(3_000))), ["replaced 1 priority Kept"]);
    assert_eq!(venue.engine.next_deadline(), Timestamp(3_000));
    let later = ReplaceOrder { expire_at: Timestamp(4_000), ..replace(1) };
    assert_eq!(told(&venue.apply(later)), ["replaced 1 priority Kept"]);
    assert_eq!(venue.engine.next_deadline(), Timestamp(4_000));
    assert_eq!(told(&venue.apply(lasting(TimeInForce::Day))), ["replaced 1 priority Kept"]);
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
    assert_eq!(told(&venue.apply(later)), ["refused 1: ExpiryInvalid"]);
    assert_eq!(venue.side(Side::Buy), [(1, 100, 2), (2, 100, 2)]);
    for immediate in [TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill] {
        assert_eq!(told(&venue.apply(lasting(immediate))), ["refused 1: InvalidCombination"]);
    }
}

#[test]
fn many_expiries_come_and_go_in_order() {
    let seed = 7;
    let mut random = Random(seed);
    let mut venue = Venue::open();
    let mut alive: Vec<(u64, u64)> = Vec::new();
    for name in 1..=400 {
        let expiry = 2_000 + random.below(50);
        venue.expect_accepted(limit(Side::Buy, 1 + random.below(90), 1).named(name).until(expiry));
        alive.push((expiry, name));
        if random.below(3) == 0 {
            let (_, ended) = alive.swap_remove(random.below(alive.len() as u64) as usize);
            venue.expect_accepted(cancel(ALICE, ended));
        }
    }
    alive.sort_unstable();
    let expected: Vec<String> = alive.iter().map(|(_, name)| format!("cancel 1 of {name}: Expired")).collect();
    assert_eq!(told(&venue.advance(2_100)), expected, "seed {seed}");
}
