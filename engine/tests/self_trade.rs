//! Rule 4: what happens when an order would trade with its own group.

mod common;

use SelfTradePrevention::{CancelBoth, CancelIncoming, CancelResting, Decrement};
use common::*;
use engine::command::*;
use engine::event::*;
use engine::*;

/// The rulebook's book: asks m1 of Bob 2@100, m2 of Alice 3@100, m3 of Carol 5@101.
fn book() -> Venue {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 2).by(BOB).named(1));
    venue.expect_accepted(limit(Side::Sell, 100, 3).named(2));
    venue.expect_accepted(limit(Side::Sell, 101, 5).by(CAROL).named(3));
    venue
}

struct Row {
    what: &'static str,
    order: NewOrder,
    told: &'static [&'static str],
    asks: &'static [(u64, u64, u64)],
    bids: &'static [(u64, u64, u64)],
}

#[test]
fn each_mode_does_what_the_table_says() {
    let buy = |quantity: u64, mode| limit(Side::Buy, 101, quantity).named(9).preventing(mode);
    let rows = [
        Row {
            what: "cn",
            order: buy(8, CancelIncoming),
            told: &["new 9", "trade 1 9 2@100", "prevented CancelIncoming 3@100", "cancel 6 of 9: SelfTradePrevention"],
            asks: &[(2, 100, 3), (3, 101, 5)],
            bids: &[],
        },
        Row {
            what: "co",
            order: buy(8, CancelResting),
            told: &[
                "new 9",
                "trade 1 9 2@100",
                "prevented CancelResting 3@100",
                "cancel 3 of 2: SelfTradePrevention",
                "trade 3 9 5@101",
            ],
            asks: &[],
            bids: &[(9, 101, 1)],
        },
        Row {
            what: "cb",
            order: buy(8, CancelBoth),
            told: &[
                "new 9",
                "trade 1 9 2@100",
                "prevented CancelBoth 3@100",
                "cancel 3 of 2: SelfTradePrevention",
                "cancel 6 of 9: SelfTradePrevention",
            ],
            asks: &[(3, 101, 5)],
            bids: &[],
        },
        Row {
            what: "dc",
            order: buy(8, Decrement),
            told: &[
                "new 9",
                "trade 1 9 2@100",
                "prevented Decrement 3@100",
                "cancel 0 of 2: SelfTradePrevention",
                "Prevented 9: 3 of 3",
                "trade 3 9 3@101",
            ],
            asks: &[(3, 101, 2)],
            bids: &[],
        },
        Row {
            what: "dc, incoming 4",
            order: buy(4, Decrement),
            told: &[
                "new 9",
                "trade 1 9 2@100",
                "prevented Decrement 2@100",
                "Prevented 2: 1 of 1",
                "cancel 0 of 9: SelfTradePrevention",
            ],
            asks: &[(2, 100, 1), (3, 101, 5)],
            bids: &[],
        },
        Row {
            what: "dc, incoming 5",
            order: buy(5, Decrement),
            told: &[
                "new 9",
                "trade 1 9 2@100",
                "prevented Decrement 3@100",
                "cancel 0 of 2: SelfTradePrevention",
                "cancel 0 of 9: SelfTradePrevention",
            ],
            asks: &[(3, 101, 5)],
            bids: &[],
        },
    ];
    for Row { what, order, told: expected, asks, bids } in rows {
        let mut venue = book();
        assert_eq!(told(&venue.expect_accepted(order)), expected, "{what}");
        assert_eq!((venue.side(Side::Sell), venue.side(Side::Buy)), (asks.to_vec(), bids.to_vec()), "{what}");
    }
}

#[test]
fn fill_or_kill_walks_as_the_match_would() {
    let modes = [CancelIncoming, CancelResting, CancelBoth, Decrement];
    let fill_or_kill = |quantity: u64, mode| {
        limit(Side::Buy, 101, quantity).named(9).preventing(mode).lasting(TimeInForce::FillOrKill)
    };
    let untouched = [(1, 100, 2), (2, 100, 3), (3, 101, 5)];
    // 8: co could trade 2 + 5 = 7, dc 2 + 3 = 5, cn and cb 2. 7: co trades 7.
    for (quantity, filling) in [(8, None), (7, Some(CancelResting)), (3, Some(CancelResting))] {
        for mode in modes {
            let mut venue = book();
            let events = venue.apply(fill_or_kill(quantity, mode));
            if filling == Some(mode) {
                assert_eq!(reasons(&events), [], "{mode:?} {quantity}");
                assert!(venue.side(Side::Sell).iter().all(|&(name, ..)| name == 3), "m2 is cancelled");
            } else {
                assert_eq!(told(&events), ["refused 9: CannotFill"], "{mode:?} {quantity}");
                assert_eq!(venue.side(Side::Sell), untouched, "nothing happens to m2");
            }
        }
    }
    // 2 fills before the own order is met, whatever the mode.
    for mode in modes {
        assert_eq!(told(&book().apply(fill_or_kill(2, mode))), ["new 9", "trade 1 9 2@100"], "{mode:?}");
    }
    // A minimum of 5 of 8 can trade under co (7) and dc (2 + 3), not under cn and cb (2).
    for (mode, can) in [(CancelResting, true), (Decrement, true), (CancelIncoming, false), (CancelBoth, false)] {
        let order = NewOrder {
            minimum_quantity: Quantity(5),
            ..limit(Side::Buy, 101, 8).named(9).preventing(mode).lasting(TimeInForce::ImmediateOrCancel)
        };
        let refused = reasons(&book().apply(order));
        assert_eq!(refused, if can { vec![] } else { vec![RejectReason::CannotFill] }, "{mode:?}");
    }
    // Of 6 dc prevents 3: 2 trade at 100 and 1 at 101.
    for (minimum, can) in [(3, true), (4, false)] {
        let order = NewOrder {
            minimum_quantity: Quantity(minimum),
            ..limit(Side::Buy, 101, 6).named(9).preventing(Decrement).lasting(TimeInForce::ImmediateOrCancel)
        };
        assert_eq!(reasons(&book().apply(order)).is_empty(), can, "{minimum}");
    }
    // What a level without own orders trades is gone at the next: of 5 dc trades 2 at 99 and prevents 3 at 100.
    for (minimum, can) in [(2, true), (3, false)] {
        let mut venue = Venue::open();
        venue.expect_accepted(limit(Side::Sell, 99, 2).by(BOB).named(1));
        venue.expect_accepted(limit(Side::Sell, 100, 3).named(2));
        venue.expect_accepted(limit(Side::Sell, 100, 5).by(CAROL).named(3));
        let order = NewOrder {
            minimum_quantity: Quantity(minimum),
            ..limit(Side::Buy, 100, 5).named(9).preventing(Decrement).lasting(TimeInForce::ImmediateOrCancel)
        };
        assert_eq!(reasons(&venue.apply(order)).is_empty(), can, "{minimum}");
    }
    // What co cancels at 100 is not made up for beyond the limit.
    let within = NewOrder { price: Price(100), ..fill_or_kill(5, CancelResting) };
    assert_eq!(told(&book().apply(within)), ["refused 9: CannotFill"]);
    // Where own orders may trade they count.
    let allowed = NewOrder { self_trade_prevention: None, ..fill_or_kill(10, CancelBoth) };
    assert_eq!(told(&book().apply(allowed)), ["new 9", "trade 1 9 2@100", "trade 2 9 3@100", "trade 3 9 5@101"]);
    // Levels before that of the own order are met whole.
    let mut venue = book();
    venue.expect_accepted(ReplaceOrder { price: Price(102), ..replace(2) });
    let across = NewOrder { price: Price(102), ..fill_or_kill(7, CancelIncoming) };
    assert_eq!(told(&venue.apply(across)), ["new 9", "trade 1 9 2@100", "trade 3 9 5@101"]);
}

#[test]
fn fill_or_kill_counts_tips_as_they_come_to_the_front() {
    // At 100: Bob shows 2 of 6, then Alice's 3. Bob's second tip stands behind Alice: cn meets her after 2. Under dc 5
    // lots are 2 of Bob's and 3 of hers; 7 lots are 2, 3, and 2 of Bob's again.
    let open = || {
        let mut venue = Venue::open();
        venue.expect_accepted(limit(Side::Sell, 100, 6).by(BOB).named(1).showing(2));
        venue.expect_accepted(limit(Side::Sell, 100, 3).named(2));
        venue
    };
    let minimum = |quantity: u64, minimum: u64, mode| NewOrder {
        minimum_quantity: Quantity(minimum),
        ..limit(Side::Buy, 100, quantity).named(9).preventing(mode).lasting(TimeInForce::ImmediateOrCancel)
    };
    for (order, trades) in [
        (minimum(5, 2, CancelIncoming), true),
        (minimum(5, 3, CancelIncoming), false),
        (minimum(5, 2, Decrement), true),
        (minimum(5, 3, Decrement), false),
        (minimum(7, 4, Decrement), true),
        (minimum(7, 5, Decrement), false),
        (minimum(6, 6, CancelResting), true),
        (minimum(7, 7, CancelResting), false),
    ] {
        let mut venue = open();
        let events = venue.apply(order);
        assert_eq!(reasons(&events).is_empty(), trades, "{order:?}");
        if trades {
            let traded: u64 = common::trades(&events).iter().map(|trade| trade.3).sum();
            assert!(traded >= order.minimum_quantity.0, "{order:?} traded {traded}");
        }
    }
}

/// Refusing this order looked at every order of the level once for each of the iceberg's ten thousand tips.
#[test]
fn many_small_tips_are_counted_like_few_large_ones() {
    let mut venue = Venue::empty(Capacity { orders: 4_096, ..Capacity::SMALL });
    venue.expect_accepted(ListInstrument {
        base: AssetId::NONE,
        quote: AssetId::NONE,
        ..listing(BTC_USD, engine::instrument::Holds::Off)
    });
    for account in [ALICE, BOB] {
        venue.expect_accepted(open_account(account));
    }
    venue.expect_accepted(limit(Side::Sell, 100, 10_000).named(1).showing(1));
    for _ in 0..2_000 {
        venue.engine_only(limit(Side::Sell, 100, 2).by(BOB).showing(1));
    }
    // In turn: Alice 1, Bob 2,000 × 1, Alice 1, Bob 2,000 × 1, then Alice alone. Of 5,000 lots Bob has 4,000; of 3,002
    // he has 3,000.
    let minimum = |quantity: u64, minimum: u64| NewOrder {
        minimum_quantity: Quantity(minimum),
        ..limit(Side::Buy, 100, quantity).named(9).preventing(Decrement).lasting(TimeInForce::ImmediateOrCancel)
    };
    for (quantity, others) in [(5_000, 4_000), (3_002, 3_000), (2_001, 2_000), (1, 0)] {
        assert_eq!(told(&venue.apply(minimum(quantity, (others + 1).min(quantity)))), ["refused 9: CannotFill"]);
    }
    let events = venue.expect_accepted(minimum(3_002, 3_000));
    assert_eq!(trades(&events).iter().map(|trade| trade.3).sum::<u64>(), 3_000);
    assert_eq!(trades(&events).iter().map(|trade| trade.3).sum::<u64>(), 3_000);
    // Ten thousand tips are the most there may be, and the last one counts too.
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 10, 10_000).by(BOB).named(1).showing(1));
    venue.expect_accepted(limit(Side::Sell, 10, 1).named(2));
    let events = venue.expect_accepted(NewOrder { price: Price(10), ..minimum(10_001, 10_000) });
    assert_eq!(trades(&events).len(), 10_000);
}

#[test]
fn the_mode_is_the_orders_else_the_accounts_else_the_instruments() {
    let listed = |mode| {
        let mut venue = Venue::open();
        let instrument = InstrumentId(3);
        venue.expect_accepted(ListInstrument {
            self_trade_prevention: mode,
            ..listing(instrument, engine::instrument::Holds::On)
        });
        (venue, instrument)
    };
    let account_has = |venue: &mut Venue, mode| {
        venue.expect_accepted(ModifyAccount {
            account: ALICE,
            stp_group: StpGroup::NONE,
            self_trade_prevention: Some(mode),
            fee_tier: 0,
            note: AdminNote::NONE,
        });
    };
    for (own, accounts, expected) in [
        (None, None, CancelResting),
        (None, Some(CancelBoth), CancelBoth),
        (Some(Decrement), Some(CancelBoth), Decrement),
    ] {
        let (mut venue, instrument) = listed(CancelResting);
        if let Some(mode) = accounts {
            account_has(&mut venue, mode);
        }
        venue.expect_accepted(NewOrder { instrument, ..limit(Side::Sell, 100, 1).named(1).preventing(CancelIncoming) });
        let order = NewOrder { instrument, self_trade_prevention: own, ..limit(Side::Buy, 100, 1).named(2) };
        let events = venue.expect_accepted(order);
        let mode = events.iter().find_map(|event| match event {
            Event::MatchPrevented(event) => Some(event.mode),
            _ => None,
        });
        assert_eq!(mode, Some(expected), "own {own:?}, account's {accounts:?}");
    }
    // An account may say that its orders trade with one another; an order may not.
    let (mut venue, instrument) = listed(CancelResting);
    account_has(&mut venue, SelfTradePrevention::Allow);
    venue.expect_accepted(NewOrder { instrument, ..limit(Side::Sell, 100, 1).named(1) });
    let events = venue.expect_accepted(NewOrder { instrument, ..limit(Side::Buy, 100, 1).named(2) });
    assert_eq!(told(&events), ["new 2", "trade 1 2 1@100"]);
}

#[test]
fn a_group_is_one_owner() {
    let mut venue = Venue::open();
    for account in [ALICE, BOB] {
        venue.expect_accepted(ModifyAccount {
            account,
            stp_group: StpGroup(7),
            self_trade_prevention: None,
            fee_tier: 0,
            note: AdminNote::NONE,
        });
    }
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB).named(1));
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(CAROL).named(2));
    // Alice has no order, but the group has.
    let fill_or_kill = limit(Side::Buy, 100, 2).named(4).preventing(CancelResting).lasting(TimeInForce::FillOrKill);
    assert_eq!(told(&venue.apply(fill_or_kill)), ["refused 4: CannotFill"]);
    let events = venue.expect_accepted(limit(Side::Buy, 100, 1).named(3).preventing(CancelResting));
    assert_eq!(
        told(&events),
        ["new 3", "prevented CancelResting 1@100", "cancel 1 of 1: SelfTradePrevention", "trade 2 3 1@100"]
    );
}

#[test]
fn a_reduced_resting_order_keeps_its_priority() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 5).named(1).showing(2));
    venue.expect_accepted(limit(Side::Sell, 100, 4).named(2));
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB).named(3));
    // One lot off a tip of two: it keeps its place. Then the tip is used up and refreshed at the back.
    let take = |venue: &mut Venue, name: u64, quantity: u64| {
        let mut lines = told(&venue.expect_accepted(limit(Side::Buy, 100, quantity).named(name).preventing(Decrement)));
        lines.remove(0);
        lines
    };
    assert_eq!(
        take(&mut venue, 11, 1),
        ["prevented Decrement 1@100", "Prevented 1: 1 of 4", "cancel 0 of 11: SelfTradePrevention"]
    );
    assert_eq!(venue.shown(Side::Sell), [(1, 100, 1), (2, 100, 4), (3, 100, 1)]);
    assert_eq!(
        take(&mut venue, 12, 2),
        [
            "prevented Decrement 1@100",
            "Prevented 1: 0 of 3",
            "DisplayRefreshed 1: 2 of 3",
            "Prevented 12: 1 of 1",
            "prevented Decrement 1@100",
            "Prevented 2: 3 of 3",
            "cancel 0 of 12: SelfTradePrevention",
        ]
    );
    assert_eq!(venue.shown(Side::Sell), [(2, 100, 3), (3, 100, 1), (1, 100, 2)]);
    assert_eq!(venue.balances(ALICE)[1], 3 + 3, "the hold follows");
}

#[test]
fn prevented_quantity_is_no_trade() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(100, 10_000));
    venue.expect_accepted(stop(Side::Buy, 100, 1).by(BOB).named(5));
    venue.expect_accepted(limit(Side::Sell, 100, 3).named(1));
    let events = venue.expect_accepted(limit(Side::Buy, 100, 5).named(2).preventing(Decrement));
    let Some(Event::OrderRestated(OrderRestated { order, .. })) = events.last() else { panic!("{events:?}") };
    assert_eq!(
        (order.quantity, order.leaves, order.cumulative, order.prevented),
        (Quantity(5), Quantity(2), Quantity::ZERO, Quantity(3))
    );
    assert_eq!(venue.stops(Side::Buy), [(5, 100)], "no stop is elected");
    assert_eq!(venue.balances(AccountId::FEES)[2], 0, "no fee is paid");
    // An amend counts what was prevented like what was filled.
    // An amend counts what was prevented like what was filled.
    venue.expect_accepted(ReplaceOrder { quantity: Quantity(4), ..replace(2) });
    assert_eq!(venue.side(Side::Buy), [(2, 100, 1)]);
    let events = venue.apply(ReplaceOrder { quantity: Quantity(3), ..replace(2) });
    assert_eq!(told(&events), ["cancel 1 of 2: AmendedToFilled"]);
}

#[test]
fn an_amended_order_is_the_incoming_one() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 3).named(1));
    venue.expect_accepted(limit(Side::Buy, 99, 5).named(2).preventing(CancelResting));
    let events = venue.expect_accepted(ReplaceOrder { price: Price(100), ..replace(2) });
    assert_eq!(
        told(&events),
        ["replaced 2 priority Lost", "prevented CancelResting 3@100", "cancel 3 of 1: SelfTradePrevention"]
    );
    assert_eq!(venue.side(Side::Buy), [(2, 100, 5)]);
}

#[test]
fn funds_are_spent_on_prevented_quantity_without_fee() {
    // Fee 1 %. 305 units: two lots of Alice's own at 100 cost 200 without fee; 105 are left, and one of Bob's at 103
    // costs 103 and 1.03 rounded up: 105.
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(0, 10_000));
    venue.expect_accepted(limit(Side::Sell, 100, 2).named(1));
    venue.expect_accepted(limit(Side::Sell, 103, 2).by(BOB).named(2));
    let events = venue.expect_accepted(by_funds(305).named(3).preventing(Decrement));
    assert_eq!(
        told(&events),
        [
            "new 3",
            "prevented Decrement 2@100",
            "cancel 0 of 1: SelfTradePrevention",
            "Prevented 3: 0 of 0",
            "trade 2 3 1@103",
            "cancel 0 of 3: FundsRemainder",
        ]
    );
    let Some(Event::OrderCancelled(end)) = events.last() else { panic!("{events:?}") };
    assert_eq!((end.cancelled_funds, end.order.prevented, end.order.cumulative), (Amount(0), Quantity(2), Quantity(1)));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 1, 0, ENDOWMENT - 105, 0]);
}
