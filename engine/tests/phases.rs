//! Rules 7.1, 7.5 and 7.6: the table of phases, cell by cell, and what changing one does.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::*;
use engine::*;

/// A book with an order of Alice's, 90×10, and one of Bob's at 100.
fn book() -> Venue {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 90, 10).named(1));
    venue.expect_accepted(limit(Side::Sell, 100, 10).by(BOB).named(2));
    venue
}

#[test]
fn each_phase_allows_what_the_table_says() {
    let unsettled = |order| NewOrder { instrument: UNSETTLED, ..order };
    // In the instrument without holds where what an order could cost in a call is no matter.
    let orders = [
        ("limit", limit(Side::Buy, 90, 1)),
        ("post-only", NewOrder { flags: OrderFlags::POST_ONLY, ..limit(Side::Buy, 90, 1) }),
        ("market", unsettled(market(Side::Buy, 1).lasting(TimeInForce::Day))),
        ("immediate", limit(Side::Buy, 90, 1).lasting(TimeInForce::ImmediateOrCancel)),
        ("fill or kill", limit(Side::Buy, 100, 1).lasting(TimeInForce::FillOrKill)),
        ("stop", stop(Side::Buy, 120, 1)),
        ("at the opening", limit(Side::Buy, 90, 1).lasting(TimeInForce::AtTheOpening)),
        ("at the close", limit(Side::Buy, 90, 1).lasting(TimeInForce::AtTheClose)),
        ("market at the close", unsettled(market(Side::Buy, 1).lasting(TimeInForce::AtTheClose))),
    ];
    let amends = [
        ("less", ReplaceOrder { quantity: Quantity(9), ..replace(1) }),
        ("better", ReplaceOrder { price: Price(91), ..replace(1) }),
        ("more", ReplaceOrder { quantity: Quantity(11), ..replace(1) }),
        ("worse", ReplaceOrder { price: Price(89), ..replace(1) }),
    ];
    const YES: bool = true;
    const NO: bool = false;
    let opening = [YES, NO, YES, NO, NO, YES, YES, YES, YES];
    let call = [YES, NO, YES, NO, NO, YES, NO, YES, YES];
    let none = [NO; 9];
    let rows = [
        (&[Phase::PreOpen][..], opening, [YES; 4], YES),
        (&[Phase::OpeningCall], opening, [YES; 4], YES),
        (&[Phase::VolatilityCall], call, [YES; 4], YES),
        (&[Phase::ClosingCall], call, [YES; 4], YES),
        (&[Phase::OpeningCall, Phase::NoCancel], opening, [NO, YES, YES, NO], NO),
        (&[Phase::ClosingCall, Phase::NoCancel], call, [NO, YES, YES, NO], NO),
        (&[Phase::NoCancel], call, [NO, YES, YES, NO], NO),
        (&[Phase::Continuous], [YES, YES, YES, YES, YES, YES, NO, YES, YES], [YES; 4], YES),
        (&[Phase::PostOnly], [NO, YES, NO, NO, NO, NO, NO, NO, NO], [YES; 4], YES),
        (&[Phase::LimitOnly], [YES, YES, NO, YES, YES, NO, NO, YES, NO], [YES; 4], YES),
        (&[Phase::CancelOnly], none, [YES, NO, NO, NO], YES),
        (&[Phase::Halted], none, [YES, NO, NO, NO], YES),
        (&[Phase::OpeningCall, Phase::Halted], none, [YES, NO, NO, NO], YES),
        (&[Phase::Closed], none, [NO; 4], YES),
    ];
    for (phases, entry, changes, cancels) in rows {
        let allowed = |body: CommandBody| {
            let mut venue = book();
            for &phase in phases {
                venue.expect_accepted(set_phase(BTC_USD, phase));
                venue.expect_accepted(set_phase(UNSETTLED, phase));
            }
            let refused = reasons(&venue.apply(body));
            assert!(refused.iter().all(|&reason| reason == RejectReason::PhaseNotAllowed), "{phases:?}: {refused:?}");
            refused.is_empty()
        };
        for ((name, order), expected) in orders.iter().zip(entry) {
            assert_eq!(allowed((*order).into()), expected, "{name} in {phases:?}");
        }
        for ((name, amend), expected) in amends.iter().zip(changes) {
            assert_eq!(allowed((*amend).into()), expected, "amended to {name} in {phases:?}");
        }
        assert_eq!(allowed(cancel(ALICE, 1).into()), cancels, "a cancel in {phases:?}");
    }
}

#[test]
fn orders_match_only_where_the_table_says() {
    for (phase, matches) in [
        (Phase::Continuous, true),
        (Phase::LimitOnly, true),
        (Phase::PreOpen, false),
        (Phase::OpeningCall, false),
        (Phase::VolatilityCall, false),
        (Phase::ClosingCall, false),
        (Phase::NoCancel, false),
    ] {
        let mut venue = book();
        venue.expect_accepted(set_phase(BTC_USD, phase));
        let events = venue.expect_accepted(limit(Side::Buy, 100, 3).named(3));
        assert_eq!(trades(&events).len(), usize::from(matches), "{phase:?}");
        // A stop is elected where they match.
        let mut venue = book();
        venue.expect_accepted(stop(Side::Buy, 100, 1).named(4));
        venue.expect_accepted(set_phase(BTC_USD, phase));
        let events = venue.expect_accepted(limit(Side::Buy, 100, 3).named(3));
        let elected = events.iter().filter(|event| matches!(event, Event::OrderTriggered(_))).count();
        assert_eq!(elected, usize::from(matches), "{phase:?}");
    }
}

#[test]
fn in_a_call_amends_may_cross_and_send_orders_to_the_back() {
    let mut venue = book();
    venue.expect_accepted(set_phase(UNSETTLED, Phase::OpeningCall));
    let order = |side, price| NewOrder { instrument: UNSETTLED, ..limit(side, price, 5) };
    venue.expect_accepted(order(Side::Buy, 99).named(11));
    venue.expect_accepted(order(Side::Sell, 101).named(12));
    venue.expect_accepted(order(Side::Buy, 102).named(13));
    assert_eq!(told(&venue.apply(ReplaceOrder { price: Price(102), ..replace(11) })), ["replaced 11 priority Lost"]);
    let bids: Vec<u64> = venue.engine.orders(UNSETTLED, Side::Buy).map(|order| order.client_order_id.0).collect();
    assert_eq!(bids, [13, 11]);
    // To a market order and back.
    venue.expect_accepted(ReplaceOrder { order_type: Some(OrderType::Market), ..replace(13) });
    let market: Vec<u64> = venue.engine.market_orders(UNSETTLED, Side::Buy).map(|o| o.client_order_id.0).collect();
    assert_eq!(market, [13]);
    venue.expect_accepted(ReplaceOrder { order_type: Some(OrderType::Limit), price: Price(103), ..replace(13) });
    assert_eq!(venue.engine.market_orders(UNSETTLED, Side::Buy).count(), 0);
    assert_eq!(venue.engine.best_price(UNSETTLED, Side::Buy), Some(Price(103)));
    // A post-only order that rests from before does not cross.
    venue.expect_accepted(set_phase(UNSETTLED, Phase::Continuous));
    venue.expect_accepted(NewOrder { flags: OrderFlags::POST_ONLY, ..order(Side::Buy, 90).named(14) });
    venue.expect_accepted(order(Side::Sell, 105).by(BOB).named(15));
    venue.expect_accepted(set_phase(UNSETTLED, Phase::ClosingCall));
    let across = ReplaceOrder { price: Price(105), ..replace(14) };
    assert_eq!(reasons(&venue.apply(across)), [RejectReason::PostOnlyWouldTake]);
}

#[test]
fn in_no_cancel_only_the_kill_switch_expiry_and_delisting_take_orders_out() {
    let mut venue = book();
    venue.expect_accepted(limit(Side::Buy, 80, 1).until(2_000).named(3));
    venue.expect_accepted(set_phase(BTC_USD, Phase::ClosingCall));
    venue.expect_accepted(set_phase(BTC_USD, Phase::NoCancel));
    let all = MassCancel {
        account: ALICE,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note: AdminNote::NONE,
    };
    assert_eq!(cancels(&venue.apply(all)), []);
    assert_eq!(cancels(&venue.advance(2_000)), [(3, 1, CancelReason::Expired)]);
    let kill = KillSwitch { account: ALICE, switch: Switch::Engaged, note: AdminNote::NONE };
    assert_eq!(cancels(&venue.apply(kill)), [(1, 10, CancelReason::KillSwitch)]);
    let delist = DelistInstrument { instrument: BTC_USD, note: AdminNote::NONE };
    assert_eq!(cancels(&venue.apply(delist)), [(2, 10, CancelReason::Delisted)]);
}
