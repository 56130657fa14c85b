//! Rules 1 and 3: orders enter, match by price and then time, and rest or end.

mod common;

use common::*;
use engine::command::NewOrder;
use engine::event::*;
use engine::*;

/// Carol asks 2@100, Bob asks 3@100 behind her and 5@101.
fn asks() -> Venue {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 2).by(CAROL).named(1));
    venue.expect_accepted(limit(Side::Sell, 100, 3).by(BOB).named(2));
    venue.expect_accepted(limit(Side::Sell, 101, 5).by(BOB).named(3));
    venue
}

#[test]
fn better_prices_trade_first_then_earlier_orders() {
    let mut venue = asks();
    let events = venue.expect_accepted(limit(Side::Buy, 101, 8).named(9));
    assert_eq!(trades(&events), [(1, 9, 100, 2), (2, 9, 100, 3), (3, 9, 101, 3)]);
    assert_eq!(venue.side(Side::Sell), [(3, 101, 2)]);
    assert_eq!(venue.side(Side::Buy), []);
}

#[test]
fn a_trade_prints_at_the_resting_price_and_the_rest_rests() {
    let mut venue = asks();
    let events = venue.expect_accepted(limit(Side::Buy, 100, 7).named(9));
    assert_eq!(trades(&events), [(1, 9, 100, 2), (2, 9, 100, 3)]);
    assert_eq!(venue.side(Side::Buy), [(9, 100, 2)]);
    let events = venue.expect_accepted(limit(Side::Sell, 90, 3).by(BOB).named(4));
    assert_eq!(trades(&events), [(9, 4, 100, 2)]);
    assert_eq!(venue.side(Side::Sell), [(4, 90, 1), (3, 101, 5)]);
}

#[test]
fn a_trade_reports_both_sides() {
    let mut venue = asks();
    let events = venue.expect_accepted(limit(Side::Buy, 101, 6).named(9));
    let Event::OrderAccepted(accepted) = events[0] else { panic!("{:?}", events[0]) };
    assert_eq!((accepted.order.leaves, accepted.order.cumulative), (Quantity(6), Quantity(0)));
    let Event::Trade(last) = events[3] else { panic!("{:?}", events[3]) };
    assert_eq!(last.aggressor, Some(Side::Buy));
    assert_eq!(last.trade_id, TradeId(3));
    assert_eq!((last.maker.report.account, last.maker.leaves, last.maker.cumulative), (BOB, Quantity(4), Quantity(1)));
    assert_eq!(
        (last.taker.report.account, last.taker.leaves, last.taker.cumulative),
        (ALICE, Quantity(0), Quantity(6))
    );
    // Bob's reports: two acceptances, then a fill each. Alice's: one acceptance, then three fills.
    assert_eq!((last.maker.report.exec_id, last.taker.report.exec_id), (ExecId(4), ExecId(4)));
    assert_eq!(events.len(), 4);
}

#[test]
fn an_immediate_or_cancel_order_cancels_its_rest() {
    let mut venue = asks();
    let events = venue.expect_accepted(limit(Side::Buy, 100, 9).named(9).lasting(TimeInForce::ImmediateOrCancel));
    assert_eq!(trades(&events), [(1, 9, 100, 2), (2, 9, 100, 3)]);
    assert_eq!(cancels(&events), [(9, 4, CancelReason::ImmediateRemainder)]);
    assert_eq!(venue.side(Side::Buy), []);
}

#[test]
fn a_fill_or_kill_order_fills_in_full_or_changes_nothing() {
    let mut venue = asks();
    let before = venue.side(Side::Sell);
    let events = venue.apply(limit(Side::Buy, 100, 6).named(9).lasting(TimeInForce::FillOrKill));
    assert_eq!(reasons(&events), [RejectReason::CannotFill]);
    assert_eq!(venue.side(Side::Sell), before);
    let events = venue.expect_accepted(limit(Side::Buy, 101, 10).named(8).lasting(TimeInForce::FillOrKill));
    assert_eq!(trades(&events), [(1, 8, 100, 2), (2, 8, 100, 3), (3, 8, 101, 5)]);
}

#[test]
fn a_post_only_order_never_takes() {
    let mut venue = asks();
    let post_only = |price| NewOrder { flags: OrderFlags::POST_ONLY, ..limit(Side::Buy, price, 1).named(9) };
    assert_eq!(reasons(&venue.apply(post_only(100))), [RejectReason::PostOnlyWouldTake]);
    venue.expect_accepted(post_only(99));
    assert_eq!(venue.side(Side::Buy), [(9, 99, 1)]);
}

#[test]
fn a_market_order_stops_at_its_protection() {
    let mut venue = asks();
    let five_points = engine::instrument::Distance::ticks(5);
    let protection =
        engine::instrument::PriceProtection { market: five_points, ..engine::instrument::PriceProtection::DEFAULT };
    venue.expect_accepted(engine::command::SetPriceProtection {
        instrument: BTC_USD,
        protection,
        note: engine::command::AdminNote::NONE,
    });
    venue.expect_accepted(limit(Side::Sell, 105, 1).by(BOB).named(4));
    venue.expect_accepted(limit(Side::Sell, 106, 1).by(BOB).named(5));
    // Best offer 100 and five points: it trades up to 105.
    let events = venue.expect_accepted(market(Side::Buy, 20).named(9));
    assert_eq!(trades(&events), [(1, 9, 100, 2), (2, 9, 100, 3), (3, 9, 101, 5), (4, 9, 105, 1)]);
    assert_eq!(cancels(&events), [(9, 9, CancelReason::MarketProtection)]);
    assert_eq!(venue.side(Side::Sell), [(5, 106, 1)]);
}

#[test]
fn a_market_order_without_opposite_orders_is_cancelled() {
    let mut venue = asks();
    let events = venue.expect_accepted(market(Side::Buy, 12).named(9));
    assert_eq!(trades(&events).len(), 3);
    assert_eq!(cancels(&events), [(9, 2, CancelReason::MarketRemainder)]);
    let events = venue.expect_accepted(market(Side::Buy, 1).named(8));
    assert_eq!(cancels(&events), [(8, 1, CancelReason::MarketRemainder)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 10, 0, ENDOWMENT - 2 * 100 - 3 * 100 - 5 * 101, 0]);
}

#[test]
fn instruments_do_not_touch_one_another() {
    let mut venue = asks();
    let events = venue.expect_accepted(NewOrder { instrument: UNSETTLED, ..limit(Side::Buy, 200, 8).named(9) });
    assert_eq!(trades(&events), []);
    assert_eq!(venue.side(Side::Sell).len(), 3);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
}

#[test]
fn an_account_may_trade_with_itself_where_nothing_prevents_it() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 2).named(1));
    let events = venue.expect_accepted(limit(Side::Buy, 100, 2).named(2));
    let Event::Trade(trade) = events[1] else { panic!("{:?}", events[1]) };
    assert_eq!(trade.self_match, SelfMatch::Yes);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
}

#[test]
fn one_book_holds_one_tick_and_a_trillion() {
    let mut venue = Venue::open();
    let far = 1_000_000_000_000;
    let order = |side, price, name| NewOrder { instrument: UNSETTLED, ..limit(side, price, 1).named(name) };
    venue.expect_accepted(order(Side::Sell, far, 1));
    venue.expect_accepted(order(Side::Sell, Price::MAX.0, 2));
    venue.expect_accepted(order(Side::Buy, 1, 3));
    venue.expect_accepted(order(Side::Sell, 65, 4));
    venue.expect_accepted(order(Side::Sell, 64, 5));
    venue.expect_accepted(order(Side::Sell, 63, 6));
    let prices =
        |venue: &Venue| venue.engine.orders(UNSETTLED, Side::Sell).map(|order| order.price.0).collect::<Vec<_>>();
    assert_eq!(prices(&venue), [63, 64, 65, far, Price::MAX.0]);
    let events = venue.expect_accepted(NewOrder { instrument: UNSETTLED, ..limit(Side::Buy, far, 4).named(7) });
    assert_eq!(trades(&events), [(6, 7, 63, 1), (5, 7, 64, 1), (4, 7, 65, 1), (1, 7, far, 1)]);
    venue.expect_accepted(cancel(ALICE, 2));
    assert_eq!(prices(&venue), []);
    assert_eq!(venue.engine.best_price(UNSETTLED, Side::Buy), Some(Price(1)));
}

#[test]
fn a_minimum_quantity_trades_at_once_or_nothing_does() {
    // 2 at 100 and 3 at 101; the limit reaches both, or only the first.
    for (price, quantity, minimum, expected) in [
        (101, 8, 5, vec!["new 9", "trade 1 9 2@100", "trade 2 9 3@101", "cancel 3 of 9: ImmediateRemainder"]),
        (101, 8, 6, vec!["refused 9: CannotFill"]),
        (100, 8, 3, vec!["refused 9: CannotFill"]),
        (100, 8, 2, vec!["new 9", "trade 1 9 2@100", "cancel 6 of 9: ImmediateRemainder"]),
        (101, 5, 5, vec!["new 9", "trade 1 9 2@100", "trade 2 9 3@101"]),
    ] {
        let mut venue = Venue::open();
        venue.expect_accepted(limit(Side::Sell, 100, 2).by(BOB).named(1));
        venue.expect_accepted(limit(Side::Sell, 101, 3).by(BOB).named(2));
        let order = limit(Side::Buy, price, quantity).named(9).lasting(TimeInForce::ImmediateOrCancel);
        let events = venue.apply(NewOrder { minimum_quantity: Quantity(minimum), ..order });
        assert_eq!(told(&events), expected, "{quantity} at {price}, at least {minimum}");
    }
    // A market order's reach is its protection: 110.
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 2).by(BOB).named(1));
    venue.expect_accepted(limit(Side::Sell, 111, 3).by(BOB).named(2));
    let order = |minimum| NewOrder { minimum_quantity: Quantity(minimum), ..market(Side::Buy, 4).named(9) };
    assert_eq!(told(&venue.apply(order(3))), ["refused 9: CannotFill"]);
    assert_eq!(told(&venue.apply(order(2))), ["new 9", "trade 1 9 2@100", "cancel 2 of 9: MarketProtection"]);
}
