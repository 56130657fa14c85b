//! What the engine answers to the interface's messages: expected reports by hand.

mod common;

use common::*;

#[test]
fn a_new_order_is_acknowledged_and_rests() {
    let mut engine = Harness::start();
    assert_eq!(engine.send(&[new_order(7, SELL, 30, 101)]), ["1 ack 7 sell 30@101"]);
    assert_eq!(engine.best_ask(), 101);
    assert_eq!(engine.depth(SELL, 101), 30);
}

#[test]
fn trades_are_at_the_resting_price_best_first_and_oldest_first() {
    let mut engine = Harness::start();
    engine.send(&[
        new_order(1, SELL, 10, 102),
        new_order(2, SELL, 10, 101),
        new_order(3, SELL, 10, 101),
        new_order(4, SELL, 10, 104),
    ]);
    assert_eq!(
        engine.send(&[new_order(5, BUY, 35, 103)]),
        ["5 ack 5 buy 35@103", "5 trade 10@101 of 2 by 5", "5 trade 10@101 of 3 by 5", "5 trade 10@102 of 1 by 5"]
    );
    assert_eq!((engine.best_bid(), engine.best_ask()), (103, 104));
    assert_eq!((engine.depth(BUY, 103), engine.depth(SELL, 101)), (5, 0));
}

#[test]
fn what_an_ioc_does_not_trade_is_cancelled() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, BUY, 10, 100)]);
    let expected = ["2 ack 2 sell 15@99", "2 trade 10@100 of 1 by 2", "2 cancelled 2 sell 5@99"];
    assert_eq!(engine.send(&[ioc(2, SELL, 15, 99)]), expected);
    assert_eq!(engine.send(&[ioc(3, SELL, 5, 99)]), ["3 ack 3 sell 5@99", "3 cancelled 3 sell 5@99"]);
    assert_eq!((engine.best_bid(), engine.best_ask()), (i64::MIN, i64::MAX));
}

#[test]
fn an_ioc_that_trades_in_full_has_no_remainder() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, BUY, 10, 100)]);
    assert_eq!(engine.send(&[ioc(2, SELL, 10, 100)]), ["2 ack 2 sell 10@100", "2 trade 10@100 of 1 by 2"]);
}

#[test]
fn a_cancel_says_what_was_left() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, SELL, 10, 100), new_order(2, BUY, 6, 100)]);
    assert_eq!(engine.send(&[cancel(1)]), ["3 cancelled 1 sell 4@100"]);
}

#[test]
fn what_does_not_rest_is_neither_cancelled_nor_modified() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, SELL, 10, 100), ioc(2, BUY, 10, 100), new_order(3, BUY, 10, 90), cancel(3)]);
    let ids = [1, 2, 3, 999, (1 << 24) - 1, 1 << 24, 0, u64::MAX];
    let cancels: Vec<_> = ids.into_iter().map(cancel).collect();
    let expected: Vec<_> = (5..).zip(ids).map(|(number, id)| format!("{number} no cancel {id}")).collect();
    assert_eq!(engine.send(&cancels), expected);
    let modifies: Vec<_> = ids.into_iter().map(|id| modify(id, BUY, 5, 95)).collect();
    let expected: Vec<_> = (13..).zip(ids).map(|(number, id)| format!("{number} no modify {id}")).collect();
    assert_eq!(engine.send(&modifies), expected);
    assert_eq!((engine.best_bid(), engine.best_ask()), (i64::MIN, i64::MAX));
}

#[test]
fn a_modify_that_crosses_trades_at_the_resting_price() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, SELL, 10, 100), new_order(2, BUY, 10, 90)]);
    let expected = ["3 modified 2 buy 25@105", "3 trade 10@100 of 1 by 2"];
    assert_eq!(engine.send(&[modify(2, BUY, 25, 105)]), expected);
    assert_eq!((engine.best_bid(), engine.best_ask(), engine.depth(BUY, 105)), (105, i64::MAX, 15));
    assert_eq!(engine.send(&[cancel(2)]), ["4 cancelled 2 buy 15@105"]);
}

#[test]
fn a_modify_may_trade_the_whole_order() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, BUY, 10, 100), new_order(2, SELL, 3, 110)]);
    let expected = ["3 modified 2 sell 4@95", "3 trade 4@100 of 1 by 2"];
    assert_eq!(engine.send(&[modify(2, SELL, 4, 95)]), expected);
    assert_eq!(engine.send(&[cancel(2)]), ["4 no cancel 2"]);
}

#[test]
fn a_modify_counts_from_now_on() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, SELL, 10, 100), new_order(2, BUY, 4, 100)]);
    assert_eq!(engine.send(&[modify(1, SELL, 6, 101)]), ["3 modified 1 sell 6@101"]);
    assert_eq!((engine.depth(SELL, 100), engine.depth(SELL, 101)), (0, 6));
    assert_eq!(engine.send(&[modify(1, SELL, 11, 101)]), ["4 modified 1 sell 11@101"]);
    assert_eq!(engine.depth(SELL, 101), 11);
}

/// Price and quantity stay or the quantity shrinks: the engine would keep the order's place, the interface does not.
#[test]
fn every_modify_goes_to_the_back_of_its_queue() {
    //   traded before, quantity from now on
    let cases = [(0, 10), (0, 9), (0, 11), (4, 6), (4, 5), (4, 7), (4, 10)];
    for (traded, quantity) in cases {
        let mut engine = Harness::start();
        engine.send(&[new_order(1, BUY, 10, 100), new_order(2, BUY, 10, 100), ioc(3, SELL, traded, 100)]);
        assert_eq!(engine.depth(BUY, 100), u64::from(20 - traded));
        assert_eq!(engine.send(&[modify(1, BUY, quantity, 100)]), [format!("4 modified 1 buy {quantity}@100")]);
        assert_eq!(engine.depth(BUY, 100), u64::from(10 + quantity));
        let trades = ["5 trade 10@100 of 2 by 5".to_owned(), format!("5 trade {quantity}@100 of 1 by 5")];
        let reports = engine.send(&[new_order(5, SELL, 10 + quantity, 100)]);
        assert_eq!(reports[1..], trades, "{traded} traded, then modified to {quantity}");
    }
}

#[test]
fn a_refused_modify_leaves_the_order_as_it_is() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, BUY, 10, 100), new_order(2, SELL, 4, 100)]);
    let refused = [modify(1, BUY, 0, 100), modify(1, BUY, 0, 101), modify(1, BUY, 5, i64::MAX)];
    assert_eq!(engine.send(&refused), ["3 no modify 1", "4 no modify 1", "5 no modify 1"]);
    assert_eq!((engine.best_bid(), engine.depth(BUY, 100)), (100, 6));
}

#[test]
fn prices_may_be_zero_and_negative() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, BUY, 10, -5), new_order(2, SELL, 10, 0)]);
    assert_eq!((engine.best_bid(), engine.best_ask()), (-5, 0));
    assert_eq!((engine.depth(BUY, -5), engine.depth(BUY, 0), engine.depth(SELL, 0)), (10, 0, 10));
    assert_eq!(engine.send(&[ioc(3, SELL, 4, -6)]), ["3 ack 3 sell 4@-6", "3 trade 4@-5 of 1 by 3"]);
}

#[test]
fn prices_beyond_the_range_are_refused_without_a_report() {
    const HIGHEST: i64 = 50_000_000_000_000;
    let mut engine = Harness::start();
    let lowest = 1 - HIGHEST;
    let expected = [format!("1 ack 1 buy 1@{lowest}"), format!("2 ack 2 sell 1@{HIGHEST}")];
    assert_eq!(engine.send(&[new_order(1, BUY, 1, lowest), new_order(2, SELL, 1, HIGHEST)]), expected);
    let beyond = [i64::MIN, lowest - 1, HIGHEST + 1, i64::MAX];
    assert_eq!(engine.send(&beyond.map(|price| new_order(3, BUY, 1, price))), [""; 0]);
    assert_eq!((engine.best_bid(), engine.best_ask()), (lowest, HIGHEST));
    assert_eq!(beyond.map(|price| engine.depth(BUY, price)), [0; 4]);
}

#[test]
fn a_new_order_without_quantity_or_with_an_open_id_has_no_report() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, BUY, 10, 100)]);
    assert_eq!(engine.send(&[new_order(1, SELL, 10, 100), new_order(2, BUY, 0, 100)]), [""; 0]);
    assert_eq!((engine.depth(BUY, 100), engine.depth(SELL, 100)), (10, 0));
    assert_eq!(engine.send(&[cancel(1)]), ["4 cancelled 1 buy 10@100"]);
}

#[test]
fn an_id_is_free_again_when_its_order_has_ended() {
    let mut engine = Harness::start();
    engine.send(&[new_order(1, BUY, 10, 100), cancel(1), new_order(2, BUY, 5, 100), ioc(3, SELL, 5, 100)]);
    let expected = ["5 ack 1 sell 10@200", "6 ack 2 sell 10@201", "7 ack 3 buy 15@201", "7 trade 10@200 of 1 by 3"];
    let reports = engine.send(&[new_order(1, SELL, 10, 200), new_order(2, SELL, 10, 201), ioc(3, BUY, 15, 201)]);
    assert_eq!(reports[..4], expected);
    assert_eq!(reports[4..], ["7 trade 5@201 of 2 by 3"]);
}

#[test]
fn any_id_names_an_order() {
    let mut engine = Harness::start();
    let ids = [0, (1 << 21) + 5, (1 << 24) - 1, 1 << 24, 1 << 40, u64::MAX];
    for id in ids {
        engine.send(&[new_order(id, SELL, 1, 100)]);
    }
    let reports = engine.send(&[ioc(1, BUY, 6, 100)]);
    let expected: Vec<_> = ids.iter().map(|id| format!("7 trade 1@100 of {id} by 1")).collect();
    assert_eq!(reports[1..], expected);
}

#[test]
fn an_empty_side_has_no_best_price() {
    let mut engine = Harness::start();
    assert_eq!((engine.best_bid(), engine.best_ask()), (i64::MIN, i64::MAX));
    engine.send(&[new_order(1, BUY, 10, 100), new_order(2, BUY, 7, 99), cancel(1)]);
    assert_eq!((engine.best_bid(), engine.best_ask()), (99, i64::MAX));
    assert_eq!((engine.depth(BUY, 100), engine.depth(BUY, 99), engine.depth(SELL, 99)), (0, 7, 0));
}

#[test]
fn depth_is_that_of_one_price_and_side() {
    let mut engine = Harness::start();
    engine.send(&[
        new_order(1, BUY, 10, 100),
        new_order(2, BUY, 5, 98),
        new_order(3, BUY, 6, 98),
        new_order(4, SELL, 7, 103),
        new_order(5, SELL, 8, 101),
    ]);
    let bids = [101, 100, 99, 98, 97].map(|price| engine.depth(BUY, price));
    let offers = [100, 101, 102, 103, 104].map(|price| engine.depth(SELL, price));
    assert_eq!((bids, offers), ([0, 10, 0, 11, 0], [0, 8, 0, 7, 0]));
}

/// However the messages are cut into runs, the reports are the same.
#[test]
fn a_run_of_messages_is_answered_as_its_messages_are() {
    let messages = [
        new_order(1, SELL, 10, 100),
        new_order(2, BUY, 4, 99),
        modify(2, BUY, 5, 100),
        cancel(2),
        ioc(3, BUY, 9, 101),
        cancel(1),
        modify(1, SELL, 1, 100),
    ];
    let expected = [
        "1 ack 1 sell 10@100",
        "2 ack 2 buy 4@99",
        "3 modified 2 buy 5@100",
        "3 trade 5@100 of 1 by 2",
        "4 no cancel 2",
        "5 ack 3 buy 9@101",
        "5 trade 5@100 of 1 by 3",
        "5 cancelled 3 buy 4@101",
        "6 no cancel 1",
        "7 no modify 1",
    ];
    assert_eq!(Harness::start().send(&messages), expected);
    for boundary in 0..=messages.len() {
        let mut engine = Harness::start();
        let (first, second) = messages.split_at(boundary);
        let mut reports = engine.send_together(first);
        reports.extend(engine.send_together(second));
        assert_eq!(reports, expected, "boundary at {boundary}");
    }
}
