//! Rules 3.7 to 3.10: stops wait unseen, are elected by trades, and enter in order.

mod common;

use common::*;
use engine::command::*;
use engine::instrument::*;
use engine::*;

/// Bob's and Carol's orders trade one lot at this price, in a book with nothing between them.
fn print(venue: &mut Venue, price: u64) -> Vec<String> {
    venue.expect_accepted(limit(Side::Sell, price, 1).by(BOB).named(901));
    let events = venue.expect_accepted(limit(Side::Buy, price, 1).by(CAROL).named(902));
    let mut lines = told(&events);
    assert_eq!(lines.remove(0), "new 902");
    assert_eq!(lines.remove(0), format!("trade 901 902 1@{price}"));
    for account in [BOB, CAROL] {
        // Names are used again: 32 later orders make them free.
        for name in 1_000..1_032 {
            venue.apply(limit(Side::Buy, 1, 1).by(account).named(name).lasting(TimeInForce::ImmediateOrCancel));
        }
    }
    lines
}

#[test]
fn a_trade_at_or_through_the_stop_price_elects() {
    struct Row {
        order: NewOrder,
        waits_at: u64,
        elected_at: u64,
    }
    let rows = [
        Row { order: stop(Side::Buy, 100, 1), waits_at: 99, elected_at: 100 },
        Row { order: stop(Side::Buy, 100, 1), waits_at: 1, elected_at: 150 },
        Row { order: stop(Side::Sell, 100, 1), waits_at: 101, elected_at: 100 },
        Row { order: stop_limit(Side::Sell, 100, 95, 1), waits_at: 150, elected_at: 50 },
    ];
    for Row { order, waits_at, elected_at } in rows {
        let mut venue = Venue::open();
        let side = order.side;
        venue.expect_accepted(order.named(1));
        assert_eq!((venue.side(side), venue.stops(side)), (vec![], vec![(1, 100)]), "unseen");
        assert_eq!(print(&mut venue, waits_at), Vec::<String>::new());
        assert_eq!(print(&mut venue, elected_at)[0], format!("triggered 1 by {elected_at}"));
        assert_eq!(venue.stops(side), []);
    }
}

#[test]
fn a_stop_that_was_passed_before_it_came_waits_for_the_next_trade() {
    let mut venue = Venue::open();
    print(&mut venue, 100);
    assert_eq!(told(&venue.apply(stop(Side::Buy, 90, 1).named(1))), ["new 1"]);
    assert_eq!(print(&mut venue, 95), ["triggered 1 by 95", "cancel 1 of 1: MarketRemainder"]);
}

#[test]
fn a_stops_protection_counts_from_its_stop_price() {
    // 10 % of 100 is 10: the stop trades up to 110, wherever the best offer is.
    let mut venue = Venue::open();
    venue.expect_accepted(stop(Side::Buy, 100, 9).named(1));
    for (name, price) in [(2, 105), (3, 110), (4, 111)] {
        venue.expect_accepted(limit(Side::Sell, price, 2).by(BOB).named(name));
    }
    assert_eq!(
        print(&mut venue, 104),
        ["triggered 1 by 104", "trade 2 1 2@105", "trade 3 1 2@110", "cancel 5 of 1: MarketProtection"]
    );
}

#[test]
fn a_stop_reaches_no_further_than_its_account_may() {
    // Alice may go two ticks from the reference, 100 when the stop enters: to 102, not to its protection at 111.
    let mut venue = Venue::open();
    let limits = AccountLimits { price_deviation: Distance::ticks(2), ..AccountLimits::DEFAULT };
    let instrument = InstrumentId::NONE;
    venue.expect_accepted(SetAccountLimits { account: ALICE, instrument, limits, note: AdminNote::NONE });
    print(&mut venue, 100);
    venue.expect_accepted(stop(Side::Buy, 101, 5).named(1));
    assert_eq!(venue.balances(ALICE)[3], 5 * 111);
    for (name, price) in [(2, 102), (3, 103)] {
        venue.expect_accepted(limit(Side::Sell, price, 1).by(BOB).named(name));
    }
    assert_eq!(print(&mut venue, 101), ["triggered 1 by 101", "trade 2 1 1@102", "cancel 4 of 1: MarketProtection"]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 1, 0, ENDOWMENT - 102, 0]);
}

#[test]
fn a_stop_holds_by_its_protection() {
    let mut venue = Venue::open();
    venue.expect_accepted(stop(Side::Buy, 100, 5).named(1));
    assert_eq!(venue.balances(ALICE), [1_000_000, 0, 1_000_000 - 550, 550]);
    venue.expect_accepted(stop_limit(Side::Buy, 100, 103, 5).named(2));
    assert_eq!(venue.balances(ALICE), [1_000_000, 0, 1_000_000 - 550 - 515, 550 + 515]);
    venue.expect_accepted(stop(Side::Sell, 90, 7).named(3));
    assert_eq!(venue.balances(ALICE), [1_000_000 - 7, 7, 1_000_000 - 1_065, 1_065]);
    for name in [1, 2, 3] {
        venue.expect_accepted(cancel(ALICE, name));
    }
    assert_eq!(venue.balances(ALICE), [1_000_000, 0, 1_000_000, 0]);
}

#[test]
fn a_stop_limit_rests_behind_all_at_its_price() {
    let mut venue = Venue::open();
    venue.expect_accepted(stop_limit(Side::Buy, 100, 95, 5).named(1));
    venue.expect_accepted(limit(Side::Buy, 95, 3).by(CAROL).named(2));
    assert_eq!(print(&mut venue, 100), ["triggered 1 by 100"]);
    assert_eq!(venue.side(Side::Buy), [(2, 95, 3), (1, 95, 5)]);
    // It is a working order now: a later trade does nothing to it, and it has no trigger to change.
    assert_eq!(print(&mut venue, 101), Vec::<String>::new());
    let again = ReplaceOrder { stop_price: Price(50), ..replace(1) };
    assert_eq!(told(&venue.apply(again)), ["refused 1: StopPriceInvalid"]);
    let dearer = ReplaceOrder { price: Price(96), ..replace(1) };
    assert_eq!(told(&venue.apply(dearer)), ["replaced 1 priority Lost"]);
    assert_eq!(venue.side(Side::Buy), [(1, 96, 5), (2, 95, 3)]);
}

/// A StopLimit that worked could not be amended any more once the instrument's highest price was set below its stop price.
#[test]
fn the_stop_price_of_an_elected_stop_limit_bounds_nothing() {
    let mut venue = Venue::open();
    venue.expect_accepted(stop_limit(Side::Buy, 100, 95, 5).named(1));
    assert_eq!(print(&mut venue, 100), ["triggered 1 by 100"]);
    let limits = InstrumentLimits { price_max: Price(99), ..InstrumentLimits::DEFAULT };
    venue.expect_accepted(SetInstrumentLimits { instrument: BTC_USD, limits, note: AdminNote::NONE });
    let dearer = ReplaceOrder { price: Price(96), ..replace(1) };
    assert_eq!(told(&venue.apply(dearer)), ["replaced 1 priority Lost"]);
    let too_dear = ReplaceOrder { price: Price(100), ..replace(1) };
    assert_eq!(told(&venue.apply(too_dear)), ["refused 1: PriceOutOfRange"]);
}

#[test]
fn within_one_trade_buys_ascend_and_sells_descend() {
    // One trade at 100 reaches all of these; nothing is there for them to trade with.
    let mut venue = Venue::open();
    let orders = [
        (1, Side::Sell, 105),
        (2, Side::Buy, 98),
        (3, Side::Sell, 110),
        (4, Side::Buy, 95),
        (5, Side::Buy, 98),
        (6, Side::Sell, 105),
    ];
    for (name, side, price) in orders {
        let order = if side == Side::Buy { stop_limit(side, price, 1, 1) } else { stop_limit(side, price, 900, 1) };
        venue.expect_accepted(order.named(name));
    }
    let expected = [4, 2, 5, 3, 1, 6].map(|name| format!("triggered {name} by 100"));
    assert_eq!(print(&mut venue, 100), expected);
}

#[test]
fn a_cascade_enters_first_elected_first() {
    // Offers 100, 101, 102 and 103. The buy takes 100 and 101 and elects 1 (at 100), then 2 and 3 (at 101). Stop 1 takes
    // 102, which elects 4: it enters behind 2 and 3, for which nothing is left below their protection but 103.
    let mut venue = Venue::open();
    for (name, price) in [(11, 100), (12, 101), (13, 102), (14, 103)] {
        venue.expect_accepted(limit(Side::Sell, price, 1).by(BOB).named(name));
    }
    for (name, price) in [(4, 102), (3, 101), (1, 100), (2, 101)] {
        venue.expect_accepted(stop(Side::Buy, price, 1).named(name));
    }
    let events = venue.expect_accepted(limit(Side::Buy, 101, 2).by(CAROL).named(5));
    assert_eq!(
        told(&events),
        [
            "new 5",
            "trade 11 5 1@100",
            "trade 12 5 1@101",
            "triggered 1 by 100",
            "trade 13 1 1@102",
            "triggered 3 by 101",
            "trade 14 3 1@103",
            "triggered 2 by 101",
            "cancel 1 of 2: MarketRemainder",
            "triggered 4 by 102",
            "cancel 1 of 4: MarketRemainder",
        ]
    );
    assert_eq!((venue.stops(Side::Buy), venue.side(Side::Sell)), (vec![], vec![]));
}

#[test]
fn a_cascade_of_a_thousand_stops_ends() {
    let mut venue = Venue::empty(Capacity { orders: 4_096, ..Capacity::SMALL });
    venue.expect_accepted(ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listing(BTC_USD, Holds::Off) });
    for account in [ALICE, BOB, CAROL] {
        venue.expect_accepted(open_account(account));
    }
    for step in 0..1_000 {
        venue.expect_accepted(limit(Side::Sell, 1_000 + step, 1).by(BOB));
        venue.expect_accepted(stop(Side::Buy, 1_000 + step, 1));
    }
    let events = venue.expect_accepted(limit(Side::Buy, 1_000, 1).by(CAROL).named(7));
    // The first trade elects one stop, whose trade elects the next; the last finds nothing.
    assert_eq!(trades(&events).len(), 1_000);
    assert_eq!(cancels(&events), [(0, 1, CancelReason::MarketRemainder)]);
}

#[test]
fn an_elected_stop_limit_keeps_its_limit() {
    // Alice may go five ticks from the reference, which is 100 when her order comes and 90 when it is elected.
    let mut venue = Venue::open();
    let trade_at = |venue: &mut Venue, price| {
        venue.expect_accepted(limit(Side::Sell, price, 1).by(BOB));
        venue.expect_accepted(limit(Side::Buy, price, 1).by(CAROL))
    };
    trade_at(&mut venue, 100);
    let limits = AccountLimits { price_deviation: Distance::ticks(5), ..AccountLimits::DEFAULT };
    venue.expect_accepted(SetAccountLimits {
        account: ALICE,
        instrument: InstrumentId::NONE,
        limits,
        note: AdminNote::NONE,
    });
    venue.expect_accepted(stop_limit(Side::Buy, 104, 105, 1).named(1));
    trade_at(&mut venue, 90);
    trade_at(&mut venue, 104);
    assert_eq!(venue.side(Side::Buy), [(1, 105, 1)]);
}

#[test]
fn a_cascade_does_not_move_the_reference_price() {
    // Alice may go two ticks from the reference. The command trades at 100 and its cascade at 103; within it the
    // reference is still none, after it 103.
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB).named(11));
    venue.expect_accepted(limit(Side::Sell, 103, 1).by(BOB).named(12));
    venue.expect_accepted(stop(Side::Buy, 100, 1).by(CAROL).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 1).by(CAROL).named(2));
    let limits = AccountLimits { price_deviation: Distance::ticks(2), ..AccountLimits::DEFAULT };
    venue.expect_accepted(SetAccountLimits {
        account: ALICE,
        instrument: InstrumentId::NONE,
        limits,
        note: AdminNote::NONE,
    });
    assert_eq!(told(&venue.apply(limit(Side::Buy, 106, 1).named(3))), ["refused 3: AccountPriceDeviation"]);
    assert_eq!(told(&venue.apply(limit(Side::Buy, 105, 1).named(4))), ["new 4"]);
}

#[test]
fn an_elected_stop_limit_without_room_ends() {
    let mut venue = Venue::empty(Capacity { price_blocks: 2, ..Capacity::SMALL });
    venue.expect_accepted(ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listing(BTC_USD, Holds::Off) });
    for account in [ALICE, BOB, CAROL] {
        venue.expect_accepted(open_account(account));
    }
    // Three stops share one block of stop prices, the offer takes the other. The trade elects two of the stops and
    // empties the offer's block: the first takes that for its limit, and none is left for the second.
    for (name, stop_price, price) in [(1, 1_000_000, 500_000), (2, 1_000_000, 600_000), (3, 1_000_001, 700_000)] {
        venue.expect_accepted(stop_limit(Side::Buy, stop_price, price, 1).named(name));
    }
    venue.expect_accepted(limit(Side::Sell, 1_000_000, 1).by(BOB).named(4));
    let buy = limit(Side::Buy, 1_000_000, 1).by(CAROL).named(5).lasting(TimeInForce::ImmediateOrCancel);
    assert_eq!(
        told(&venue.expect_accepted(buy)),
        [
            "new 5",
            "trade 4 5 1@1000000",
            "triggered 1 by 1000000",
            "triggered 2 by 1000000",
            "cancel 1 of 2: CapacityFull",
        ]
    );
    assert_eq!((venue.side(Side::Buy), venue.stops(Side::Buy)), (vec![(1, 500_000, 1)], vec![(3, 1_000_001)]));
}

#[test]
fn an_amend_of_type_or_stop_price_loses_priority() {
    let mut venue = Venue::open();
    for (name, price) in [(1, 100), (2, 100), (3, 101)] {
        venue.expect_accepted(stop(Side::Buy, price, 2).named(name));
    }
    let told_of = |venue: &mut Venue, amend: ReplaceOrder| told(&venue.apply(amend));
    let less = ReplaceOrder { quantity: Quantity(1), ..replace(1) };
    assert_eq!(told_of(&mut venue, less), ["replaced 1 priority Kept"]);
    assert_eq!(venue.stops(Side::Buy), [(1, 100), (2, 100), (3, 101)]);
    let more = ReplaceOrder { quantity: Quantity(2), ..replace(1) };
    assert_eq!(told_of(&mut venue, more), ["replaced 1 priority Lost"]);
    assert_eq!(venue.stops(Side::Buy), [(2, 100), (1, 100), (3, 101)]);
    let elsewhere = ReplaceOrder { stop_price: Price(101), ..replace(2) };
    assert_eq!(told_of(&mut venue, elsewhere), ["replaced 2 priority Lost"]);
    assert_eq!(venue.stops(Side::Buy), [(1, 100), (3, 101), (2, 101)]);
    let with_limit = ReplaceOrder { order_type: Some(OrderType::StopLimit), price: Price(99), ..replace(3) };
    assert_eq!(told_of(&mut venue, with_limit), ["replaced 3 priority Lost"]);
    assert_eq!(venue.stops(Side::Buy), [(1, 100), (2, 101), (3, 101)]);
}

#[test]
fn a_waiting_stop_may_become_any_type() {
    struct Row {
        amend: ReplaceOrder,
        told: &'static [&'static str],
    }
    let to = |order_type| ReplaceOrder { order_type: Some(order_type), ..replace(1) };
    let rows = [
        Row {
            amend: ReplaceOrder { price: Price(104), ..to(OrderType::Limit) },
            told: &["replaced 1 priority Lost", "trade 2 1 1@104"],
        },
        Row { amend: ReplaceOrder { price: Price(103), ..to(OrderType::Limit) }, told: &["replaced 1 priority Lost"] },
        Row { amend: to(OrderType::Limit), told: &["refused 1: PriceMissing"] },
        Row {
            amend: to(OrderType::Market),
            told: &["replaced 1 priority Lost", "trade 2 1 1@104", "cancel 1 of 1: MarketRemainder"],
        },
        Row {
            amend: ReplaceOrder { price: Price(1), ..to(OrderType::Market) },
            told: &["refused 1: PriceSuperfluous"],
        },
        Row {
            amend: ReplaceOrder { stop_price: Price(9), ..to(OrderType::Market) },
            told: &["refused 1: StopPriceInvalid"],
        },
        Row {
            amend: ReplaceOrder { price: Price(90), ..to(OrderType::StopLimit) },
            told: &["replaced 1 priority Lost"],
        },
    ];
    for Row { amend, told: expected } in rows {
        let mut venue = Venue::open();
        venue.expect_accepted(stop(Side::Buy, 100, 2).named(1));
        venue.expect_accepted(limit(Side::Sell, 104, 1).by(BOB).named(2));
        assert_eq!(told(&venue.apply(amend)), expected, "{amend:?}");
    }
    // A working order does not wait again.
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 1).named(1));
    for order_type in [OrderType::Stop, OrderType::StopLimit] {
        let amend = ReplaceOrder { stop_price: Price(120), ..to(order_type) };
        assert_eq!(told(&venue.apply(amend)), ["refused 1: InvalidCombination"]);
    }
}

#[test]
fn cancels_of_every_kind_reach_waiting_stops() {
    let mut venue = Venue::open();
    venue.expect_accepted(stop(Side::Buy, 100, 1).named(1));
    venue.expect_accepted(stop(Side::Sell, 90, 1).named(2));
    venue.expect_accepted(stop(Side::Sell, 91, 1).named(3));
    assert_eq!(told(&venue.apply(cancel(ALICE, 1))), ["cancel 1 of 1: Requested"]);
    let mass = MassCancel {
        account: ALICE,
        instrument: BTC_USD,
        side: Some(Side::Sell),
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId(9),
        note: AdminNote::NONE,
    };
    assert_eq!(told(&venue.apply(mass)), ["cancel 1 of 2: MassCancel", "cancel 1 of 3: MassCancel"]);
    assert_eq!(venue.balances(ALICE), [1_000_000, 0, 1_000_000, 0]);
}
