//! Rules 1.10, 1.11 and 2.12: an iceberg shows its tip, and each new tip goes to the back.

mod common;

use common::*;
use engine::command::*;
use engine::*;

fn take(venue: &mut Venue, quantity: u64) -> Vec<String> {
    let mut lines = told(&venue.expect_accepted(market(Side::Buy, quantity).by(CAROL).named(0)));
    assert_eq!(lines.remove(0), "new 0");
    lines
}

#[test]
fn each_tip_goes_to_the_back_of_its_level() {
    // Alice shows 3 of 8 before Bob's 4. A buy of 12 takes 3, all of Bob, 3 again, and the last 2.
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 8).named(1).showing(3));
    venue.expect_accepted(limit(Side::Sell, 100, 4).by(BOB).named(2));
    assert_eq!(venue.shown(Side::Sell), [(1, 100, 3), (2, 100, 4)]);
    assert_eq!(
        take(&mut venue, 12),
        [
            "trade 1 0 3@100",
            "DisplayRefreshed 1: 3 of 5",
            "trade 2 0 4@100",
            "trade 1 0 3@100",
            "DisplayRefreshed 1: 2 of 2",
            "trade 1 0 2@100",
        ]
    );
    assert_eq!(venue.side(Side::Sell), []);
}

#[test]
fn a_tip_that_is_partly_taken_keeps_its_place() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 8).named(1).showing(3));
    venue.expect_accepted(limit(Side::Sell, 100, 4).by(BOB).named(2));
    assert_eq!(take(&mut venue, 2), ["trade 1 0 2@100"]);
    assert_eq!(venue.shown(Side::Sell), [(1, 100, 1), (2, 100, 4)]);
    assert_eq!(take(&mut venue, 1), ["trade 1 0 1@100", "DisplayRefreshed 1: 3 of 5"]);
    assert_eq!(venue.shown(Side::Sell), [(2, 100, 4), (1, 100, 3)]);
    // What holds and levels count is all of it.
    assert_eq!(venue.balances(ALICE)[1], 5);
    let level = venue.engine.levels(BTC_USD, Side::Sell).next().unwrap();
    assert_eq!((level.quantity, level.shown, level.order_count), (9, 7, 2));
}

#[test]
fn an_incoming_iceberg_trades_with_all_it_has() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 7).by(BOB).named(1));
    let events = venue.expect_accepted(limit(Side::Sell, 100, 10).named(2).showing(2));
    assert_eq!(told(&events), ["new 2", "trade 1 2 7@100"]);
    assert_eq!((venue.side(Side::Sell), venue.shown(Side::Sell)), (vec![(2, 100, 3)], vec![(2, 100, 2)]));
}

#[test]
fn an_amend_shows_more_later_and_less_at_once() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 20).named(1).showing(5));
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB).named(2));
    let showing = |display: u64| ReplaceOrder { display_quantity: Quantity(display), ..replace(1) };
    assert_eq!(told(&venue.apply(showing(8))), ["replaced 1 priority Kept"]);
    assert_eq!(venue.shown(Side::Sell), [(1, 100, 5), (2, 100, 1)]);
    assert_eq!(told(&venue.apply(showing(2))), ["replaced 1 priority Kept"]);
    assert_eq!(venue.shown(Side::Sell), [(1, 100, 2), (2, 100, 1)]);
    assert_eq!(told(&venue.apply(showing(8))), ["replaced 1 priority Kept"]);
    assert_eq!(take(&mut venue, 2), ["trade 1 0 2@100", "DisplayRefreshed 1: 8 of 18"]);
    // A display quantity shrinks with the order; more quantity goes to the back with a fresh tip.
    let less = ReplaceOrder { quantity: Quantity(6), ..replace(1) };
    assert_eq!(told(&venue.apply(less)), ["replaced 1 priority Kept"]);
    assert_eq!(venue.shown(Side::Sell), [(2, 100, 1), (1, 100, 4)]);
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB).named(3));
    let more = ReplaceOrder { quantity: Quantity(30), ..replace(1) };
    assert_eq!(told(&venue.apply(more)), ["replaced 1 priority Lost"]);
    assert_eq!(venue.shown(Side::Sell), [(2, 100, 1), (3, 100, 1), (1, 100, 6)]);
    assert_eq!(told(&venue.apply(showing(31))), ["refused 1: DisplayQuantityInvalid"]);
}

#[test]
fn what_it_meets_stays_bounded() {
    let mut venue = Venue::open();
    let order = |quantity: u64, display: u64| NewOrder {
        instrument: UNSETTLED,
        ..limit(Side::Sell, 1, quantity).showing(display)
    };
    assert_eq!(told(&venue.apply(order(20_001, 2).named(1))), ["refused 1: DisplayQuantityInvalid"]);
    assert_eq!(told(&venue.apply(order(20_000, 2).named(2))), ["new 2"]);
}
