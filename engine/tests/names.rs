//! Rule 1.6: how long a client order id stays taken.

mod common;

use common::*;
use engine::event::*;
use engine::*;

#[test]
fn an_id_is_free_again_after_thirty_two_later_orders_ended() {
    let mut venue = Venue::open();
    let enter_and_end = |venue: &mut Venue, name| {
        venue.expect_accepted(limit(Side::Buy, 1, 1).named(name));
        venue.expect_accepted(cancel(ALICE, name));
    };
    enter_and_end(&mut venue, 1);
    for name in 2..=32 {
        enter_and_end(&mut venue, name);
        let refused = reasons(&venue.apply(limit(Side::Buy, 1, 1).named(1)));
        assert_eq!(refused, [RejectReason::DuplicateClientOrderId], "after {name} ended");
    }
    // Neither orders without an id nor another account's count.
    venue.expect_accepted(market(Side::Buy, 1));
    venue.expect_accepted(market(Side::Buy, 1).by(BOB).named(1));
    assert_eq!(reasons(&venue.apply(limit(Side::Buy, 1, 1).named(1))), [RejectReason::DuplicateClientOrderId]);
    enter_and_end(&mut venue, 33);
    venue.expect_accepted(limit(Side::Buy, 1, 1).named(1));
}

#[test]
fn a_duplicate_names_the_original_and_what_became_of_it() {
    let mut venue = Venue::open();
    let original = |venue: &mut Venue, name| {
        let events = venue.apply(limit(Side::Buy, 1, 1).named(name));
        let [Event::OrderRejected(rejected)] = events[..] else { panic!("{events:?}") };
        (rejected.original_order_id, rejected.original_status)
    };
    venue.expect_accepted(limit(Side::Buy, 100, 5).named(1));
    let id = venue.engine.orders(BTC_USD, Side::Buy).next().unwrap().order_id;
    assert_eq!(original(&mut venue, 1), (id, Some(OrderStatus::New)));
    venue.expect_accepted(limit(Side::Sell, 100, 2).by(BOB));
    assert_eq!(original(&mut venue, 1), (id, Some(OrderStatus::PartiallyFilled)));
    venue.expect_accepted(limit(Side::Sell, 100, 3).by(BOB));
    assert_eq!(original(&mut venue, 1), (id, Some(OrderStatus::Filled)));
    venue.expect_accepted(market(Side::Buy, 1).named(2));
    assert_eq!(original(&mut venue, 2).1, Some(OrderStatus::Cancelled));
}
