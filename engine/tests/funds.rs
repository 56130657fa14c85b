//! Rule 1.13: a market buy by funds.

mod common;

use common::*;
use engine::event::*;
use engine::*;

struct Row {
    what: &'static str,
    funds: u128,
    /// In hundredths of a basis point.
    taker: i32,
    told: &'static [&'static str],
    /// What was not spent, and what was paid in fees.
    left: u128,
    fees: u128,
}

#[test]
fn a_market_buy_by_funds_buys_whole_lots_fee_included() {
    // Offers: 2 at 100, 3 at 103, 5 at 111 beyond the protection of 10 %.
    let rows = [
        Row {
            what: "ends in the first level",
            funds: 150,
            taker: 0,
            told: &["new 9", "trade 1 9 1@100", "cancel 0 of 9: FundsRemainder"],
            left: 50,
            fees: 0,
        },
        Row {
            what: "spends all of it",
            funds: 303,
            taker: 0,
            told: &["new 9", "trade 1 9 2@100", "trade 2 9 1@103", "cancel 0 of 9: FundsRemainder"],
            left: 0,
            fees: 0,
        },
        Row {
            what: "a fee of 1 % keeps it from the lot that funds alone would pay: 200 + 2, then 103 + 1.03",
            funds: 305,
            taker: 10_000,
            told: &["new 9", "trade 1 9 2@100", "cancel 0 of 9: FundsRemainder"],
            left: 103,
            fees: 2,
        },
        Row {
            what: "one unit more than that: 303 and a fee of 3.03, rounded up, is 307",
            funds: 307,
            taker: 10_000,
            told: &["new 9", "trade 1 9 2@100", "trade 2 9 1@103", "cancel 0 of 9: FundsRemainder"],
            left: 0,
            fees: 4,
        },
        Row {
            what: "spends all of it on the last order within its protection",
            funds: 509,
            taker: 0,
            told: &["new 9", "trade 1 9 2@100", "trade 2 9 3@103", "cancel 0 of 9: FundsRemainder"],
            left: 0,
            fees: 0,
        },
        Row {
            what: "the protection ends it",
            funds: 5_000,
            taker: 0,
            told: &["new 9", "trade 1 9 2@100", "trade 2 9 3@103", "cancel 0 of 9: MarketProtection"],
            left: 5_000 - 509,
            fees: 0,
        },
        Row {
            what: "buys nothing",
            funds: 99,
            taker: 0,
            told: &["new 9", "cancel 0 of 9: FundsRemainder"],
            left: 99,
            fees: 0,
        },
    ];
    for Row { what, funds, taker, told: expected, left, fees } in rows {
        let mut venue = Venue::open();
        venue.expect_accepted(set_fees(0, taker));
        for (name, price, quantity) in [(1, 100, 2), (2, 103, 3), (3, 111, 5)] {
            venue.expect_accepted(limit(Side::Sell, price, quantity).by(BOB).named(name));
        }
        let events = venue.expect_accepted(by_funds(funds).named(9));
        assert_eq!(told(&events), expected, "{what}");
        let Some(Event::OrderCancelled(end)) = events.last() else { panic!("{what}: it always ends so") };
        assert_eq!(end.cancelled_funds, Amount(left), "{what}");
        assert_eq!((end.order.quantity, end.order.leaves), (Quantity::ABSENT, Quantity::ZERO), "{what}");
        let [_, held_btc, usd, held_usd] = venue.balances(ALICE);
        assert_eq!((held_btc, usd, held_usd), (0, ENDOWMENT - (funds - left), 0), "{what}");
        assert_eq!(venue.balances(AccountId::FEES)[2], fees, "{what}");
    }
}

#[test]
fn an_empty_book_gives_everything_back() {
    let mut venue = Venue::open();
    let events = venue.expect_accepted(by_funds(500).named(1));
    assert_eq!(told(&events), ["new 1", "cancel 0 of 1: MarketRemainder"]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
}

#[test]
fn what_it_became_is_remembered() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 2).by(BOB).named(1));
    venue.expect_accepted(by_funds(120).named(2));
    venue.expect_accepted(by_funds(50).named(3));
    let status = |venue: &Venue, name: u64| {
        venue.engine.order_status(ALICE, OrderId::NONE, ClientOrderId(name)).map(|(_, status)| status)
    };
    assert_eq!(status(&venue, 2), Some(OrderStatus::Filled));
    assert_eq!(status(&venue, 3), Some(OrderStatus::Cancelled));
    assert_eq!(status(&venue, 4), None);
}

#[test]
fn funds_are_counted_without_holds_too() {
    let mut venue = Venue::open();
    let unsettled = |order: NewOrder| NewOrder { instrument: UNSETTLED, ..order };
    venue.expect_accepted(unsettled(limit(Side::Sell, 100, 1).by(BOB).named(1)));
    venue.expect_accepted(unsettled(limit(Side::Sell, 100, 5).by(BOB).named(3)));
    let events = venue.expect_accepted(unsettled(by_funds(350).named(2)));
    assert_eq!(told(&events), ["new 2", "trade 1 2 1@100", "trade 3 2 2@100", "cancel 0 of 2: FundsRemainder"]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
}

use engine::command::NewOrder;
