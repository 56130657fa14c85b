//! Rule 2: amending an order.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::*;

/// Alice bids 10@100 (1), Bob bids 5@100 behind her (2) and 5@99 (3); Carol asks 4@105 (4).
fn book() -> Venue {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 10).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 5).by(BOB).named(2));
    venue.expect_accepted(limit(Side::Buy, 99, 5).by(BOB).named(3));
    venue.expect_accepted(limit(Side::Sell, 105, 4).by(CAROL).named(4));
    venue
}

fn replaced(events: &[Event]) -> &OrderReplaced {
    match &events[0] {
        Event::OrderReplaced(replaced) => replaced,
        other => panic!("{other:?}"),
    }
}

#[test]
fn less_quantity_keeps_priority() {
    let mut venue = book();
    let events = venue.expect_accepted(ReplaceOrder { quantity: Quantity(4), ..replace(1) });
    assert_eq!(replaced(&events).priority, Priority::Kept);
    assert_eq!(venue.side(Side::Buy), [(1, 100, 4), (2, 100, 5), (3, 99, 5)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT - 400, 400]);
}

#[test]
fn a_new_name_keeps_priority_and_the_order_id() {
    let mut venue = book();
    let id = venue.engine.orders(BTC_USD, Side::Buy).next().unwrap().order_id;
    let events = venue.expect_accepted(ReplaceOrder { client_order_id: ClientOrderId(11), ..replace(1) });
    let event = replaced(&events);
    assert_eq!((event.priority, event.order.order_id), (Priority::Kept, id));
    assert_eq!((event.original_client_order_id, event.order.client_order_id), (ClientOrderId(1), ClientOrderId(11)));
    assert_eq!(venue.side(Side::Buy)[0], (11, 100, 10));
    // The old name is spent, and no longer finds the order.
    assert_eq!(reasons(&venue.apply(cancel(ALICE, 1))), [RejectReason::UnknownOrder]);
    let events = venue.apply(limit(Side::Buy, 1, 1).named(1));
    let Event::OrderRejected(rejected) = events[0] else { panic!("{events:?}") };
    assert_eq!(rejected.reason, RejectReason::DuplicateClientOrderId);
    assert_eq!((rejected.original_order_id, rejected.original_status), (id, Some(OrderStatus::Replaced)));
    assert_eq!((rejected.original_order_id, rejected.original_status), (id, Some(OrderStatus::Replaced)));
    // Nor may another order take it, and the refusal says whose it was.
    venue.expect_accepted(limit(Side::Buy, 1, 1).named(5));
    let events = venue.apply(ReplaceOrder { client_order_id: ClientOrderId(1), ..replace(5) });
    let Event::CancelRejected(rejected) = events[0] else { panic!("{events:?}") };
    assert_eq!((rejected.reason, rejected.duplicate_of), (RejectReason::DuplicateClientOrderId, id));
}

#[test]
fn more_quantity_loses_priority() {
    let mut venue = book();
    let events = venue.expect_accepted(ReplaceOrder { quantity: Quantity(11), ..replace(1) });
    assert_eq!(replaced(&events).priority, Priority::Lost);
    assert_eq!(venue.side(Side::Buy), [(2, 100, 5), (1, 100, 11), (3, 99, 5)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT - 1_100, 1_100]);
}

#[test]
fn another_price_loses_priority_even_if_it_comes_back() {
    let mut venue = book();
    venue.expect_accepted(ReplaceOrder { price: Price(101), ..replace(1) });
    assert_eq!(venue.side(Side::Buy), [(1, 101, 10), (2, 100, 5), (3, 99, 5)]);
    venue.expect_accepted(ReplaceOrder { price: Price(100), ..replace(1) });
    assert_eq!(venue.side(Side::Buy), [(2, 100, 5), (1, 100, 10), (3, 99, 5)]);
}

#[test]
fn the_new_quantity_counts_what_is_filled() {
    let mut venue = book();
    venue.expect_accepted(limit(Side::Sell, 100, 2).by(CAROL).named(5));
    venue.expect_accepted(ReplaceOrder { quantity: Quantity(5), ..replace(1) });
    assert_eq!(venue.side(Side::Buy)[0], (1, 100, 3));
    let order = venue.engine.orders(BTC_USD, Side::Buy).next().unwrap();
    assert_eq!(order.cumulative, Quantity(2));
}

#[test]
fn an_amend_to_what_is_filled_cancels_the_rest() {
    let mut venue = book();
    venue.expect_accepted(limit(Side::Sell, 100, 2).by(CAROL).named(5));
    let events = venue.expect_accepted(ReplaceOrder { quantity: Quantity(2), ..replace(1) });
    assert_eq!(cancels(&events), [(1, 8, CancelReason::AmendedToFilled)]);
    assert_eq!(venue.side(Side::Buy), [(2, 100, 5), (3, 99, 5)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 2, 0, ENDOWMENT - 200, 0]);
}

#[test]
fn an_amend_that_crosses_matches_at_once() {
    let mut venue = book();
    let events = venue.expect_accepted(ReplaceOrder { price: Price(106), ..replace(1) });
    assert_eq!(replaced(&events).order.leaves, Quantity(10));
    assert_eq!(trades(&events), [(4, 1, 105, 4)]);
    assert_eq!(venue.side(Side::Buy), [(1, 106, 6), (2, 100, 5), (3, 99, 5)]);
    assert_eq!(venue.side(Side::Sell), []);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 4, 0, ENDOWMENT - 4 * 105 - 6 * 106, 6 * 106]);
}

#[test]
fn an_amend_may_fill_the_order() {
    let mut venue = book();
    let events = venue.expect_accepted(ReplaceOrder { price: Price(105), quantity: Quantity(4), ..replace(1) });
    assert_eq!(trades(&events), [(4, 1, 105, 4)]);
    assert_eq!(venue.side(Side::Buy), [(2, 100, 5), (3, 99, 5)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 4, 0, ENDOWMENT - 420, 0]);
}

#[test]
fn a_post_only_order_cannot_be_amended_across() {
    let mut venue = book();
    venue.expect_accepted(NewOrder { flags: OrderFlags::POST_ONLY, ..limit(Side::Buy, 98, 1).named(7) });
    let before = venue.side(Side::Buy);
    let events = venue.apply(ReplaceOrder { price: Price(105), ..replace(7) });
    assert_eq!(reasons(&events), [RejectReason::PostOnlyWouldTake]);
    assert_eq!(venue.side(Side::Buy), before);
}

#[test]
fn an_amend_needs_funds_only_for_what_it_adds() {
    let mut venue = book();
    // Alice holds 1,000 of a million: the largest order at 100 is 10,000 lots in all.
    venue.expect_accepted(ReplaceOrder { quantity: Quantity(10_000), ..replace(1) });
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, 0, ENDOWMENT]);
    let events = venue.apply(ReplaceOrder { quantity: Quantity(10_001), ..replace(1) });
    assert_eq!(reasons(&events), [RejectReason::InsufficientFunds]);
    assert_eq!(venue.side(Side::Buy)[1], (1, 100, 10_000));
}

#[test]
fn another_time_in_force_or_display_quantity_keeps_priority() {
    let mut venue = book();
    let front = venue.side(Side::Buy);
    for amend in [
        ReplaceOrder { time_in_force: Some(TimeInForce::Day), ..replace(1) },
        ReplaceOrder { time_in_force: Some(TimeInForce::GoodTillDate), expire_at: Timestamp(9_000), ..replace(1) },
        ReplaceOrder { display_quantity: Quantity(4), ..replace(1) },
    ] {
        assert_eq!(told(&venue.apply(amend)), ["replaced 1 priority Kept"]);
    }
    assert_eq!(venue.side(Side::Buy), front);
    let report = venue.engine.open_orders(ALICE).find(|order| order.client_order_id == ClientOrderId(1)).unwrap();
    assert_eq!((report.time_in_force, report.shown), (TimeInForce::GoodTillDate, Quantity(4)));
}

#[test]
fn a_limit_order_may_become_a_market_order() {
    // Bob offers 4 at 105 and Alice's bid stands at 100: as a market order it takes what is there, and ends.
    let mut venue = book();
    let to_market = ReplaceOrder { order_type: Some(OrderType::Market), ..replace(1) };
    assert_eq!(told(&venue.apply(ReplaceOrder { price: Price(100), ..to_market })), ["refused 1: PriceSuperfluous"]);
    assert_eq!(
        told(&venue.apply(to_market)),
        ["replaced 1 priority Lost", "trade 4 1 4@105", "cancel 6 of 1: MarketRemainder"]
    );
    assert_eq!(venue.side(Side::Buy), [(2, 100, 5), (3, 99, 5)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 4, 0, ENDOWMENT - 420, 0]);
    // Not where nothing takes, and not with what does not go with a market order.
    venue.expect_accepted(limit(Side::Buy, 98, 1).named(7).until(9_000));
    assert_eq!(
        told(&venue.apply(ReplaceOrder { order_type: Some(OrderType::Market), ..replace(7) })),
        ["refused 7: InvalidCombination"]
    );
    venue.expect_accepted(limit(Side::Buy, 98, 1).named(8));
    venue.expect_accepted(set_phase(BTC_USD, engine::instrument::Phase::PostOnly));
    assert_eq!(
        told(&venue.apply(ReplaceOrder { order_type: Some(OrderType::Market), ..replace(8) })),
        ["refused 8: PhaseNotAllowed"]
    );
}
