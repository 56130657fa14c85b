//! Rules 5.1 to 5.13: calls, the auction price, the uncross, and what follows.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::*;
use engine::*;

/// Listed with holds off, in an opening call.
const CALLED: InstrumentId = InstrumentId(3);

/// A venue with [`CALLED`], whose reference price is given; zero: none.
fn call(reference: u64) -> Venue {
    let mut venue = Venue::open();
    let reference = if reference == 0 { Price::ABSENT } else { Price(reference) };
    venue.expect_accepted(ListInstrument { reference, phase: Phase::OpeningCall, ..listing(CALLED, Holds::Off) });
    venue
}

/// A good-till-cancelled order in [`CALLED`]: at price zero a market order.
fn order(side: Side, price: u64, quantity: u64) -> NewOrder {
    let order = match price {
        0 => market(side, quantity).lasting(TimeInForce::GoodTillCancel),
        price => limit(side, price, quantity),
    };
    NewOrder { instrument: CALLED, ..order }
}

fn go_to(venue: &mut Venue, phase: Phase) -> Vec<Event> {
    venue.expect_accepted(set_phase(CALLED, phase))
}

fn protect(venue: &mut Venue, protection: PriceProtection) -> Vec<Event> {
    venue.expect_accepted(SetPriceProtection { instrument: CALLED, protection, note: AdminNote::NONE })
}

/// What is told of auctions, protection and phases, in words, beside what happened to orders.
fn story(events: &[Event]) -> Vec<String> {
    let tell = |event: &Event| match event {
        Event::Uncrossed(event) => {
            vec![format!("uncrossed {}", outlook(event.price, event.volume, event.surplus_side, event.surplus))]
        }
        Event::IndicativeChanged(event) => {
            vec![format!("indicative {}", outlook(event.price, event.volume, event.surplus_side, event.surplus))]
        }
        Event::PriceBoundReached(event) => {
            let PriceBoundReached { bound, reference, limit, price, .. } = event;
            vec![format!("{bound:?} {} beyond {} from {}", price.0, limit.0, reference.0)]
        }
        Event::PhaseChanged(event) => vec![format!("{:?} to {:?}: {:?}", event.from, event.to, event.cause)],
        event => told(&[*event]),
    };
    events.iter().flat_map(tell).collect()
}

fn outlook(price: Price, volume: Quantity, side: Option<Side>, surplus: Quantity) -> String {
    let price = if price.is_absent() { "none".to_owned() } else { price.0.to_string() };
    match side {
        None => format!("{price}@{}", volume.0),
        Some(side) => format!("{price}@{} {side:?} {}", volume.0, surplus.0),
    }
}

/// What each named order traded in all, by name.
fn filled(events: &[Event], name: u64) -> u64 {
    let sides = events.iter().filter_map(|event| match event {
        Event::Trade(trade) => Some([(trade.maker, trade.quantity), (trade.taker, trade.quantity)]),
        _ => None,
    });
    sides.flatten().filter(|(side, _)| side.client_order_id.0 == name).map(|(_, quantity)| quantity.0).sum()
}

type Orders<'a> = &'a [(u64, u64)];
/// Bids and offers as (limit, quantity), limit zero: market; the reference price; the price and the volume.
type Row<'a> = (Orders<'a>, Orders<'a>, u64, Option<(u64, u64)>);

#[test]
fn the_auction_price_is_that_of_every_worked_row() {
    let rows: &[Row] = &[
        (&[(102, 200), (101, 200), (100, 300)], &[(99, 150), (100, 250), (101, 150)], 100, Some((101, 400))),
        (&[(102, 300), (101, 100), (99, 50)], &[(99, 100), (100, 200), (102, 100)], 100, Some((101, 300))),
        (&[(103, 500)], &[(99, 200), (101, 100)], 100, Some((103, 300))),
        (&[(103, 200), (101, 100)], &[(99, 500)], 102, Some((99, 300))),
        (&[(103, 300)], &[(99, 300)], 98, Some((99, 300))),
        (&[(103, 300)], &[(99, 300)], 101, Some((101, 300))),
        (&[(103, 300)], &[(99, 300)], 105, Some((103, 300))),
        (&[(103, 200), (101, 100)], &[(99, 200), (102, 100)], 100, Some((101, 200))),
        (&[(103, 200), (101, 100)], &[(99, 200), (102, 100)], 102, Some((102, 200))),
        (&[(103, 200), (101, 100)], &[(99, 200), (102, 100)], 99, Some((101, 200))),
        (&[(0, 100), (101, 50)], &[(100, 120), (0, 10)], 100, Some((101, 130))),
        (&[(0, 100)], &[(0, 70)], 100, Some((100, 70))),
        (&[(99, 100)], &[(101, 100)], 100, None),
        // More volume at one limit, less surplus at the other: volume decides.
        (&[(102, 5), (100, 5)], &[(100, 4), (102, 16)], 100, Some((102, 5))),
        (&[(102, 4), (100, 16)], &[(100, 5), (102, 5)], 102, Some((100, 5))),
        // Without a reference price: the lower end of what is equally good; market orders alone have no price.
        (&[(103, 300)], &[(99, 300)], 0, Some((99, 300))),
        (&[(0, 100)], &[(0, 70)], 0, None),
        // Nothing on one side.
        (&[(0, 100), (99, 5)], &[], 100, None),
    ];
    for (bids, offers, reference, expected) in rows {
        for bids_first in [true, false] {
            let mut venue = call(*reference);
            let sides = if bids_first { Side::BOTH } else { [Side::Sell, Side::Buy] };
            for side in sides {
                for &(price, quantity) in if side == Side::Buy { *bids } else { *offers } {
                    venue.expect_accepted(order(side, price, quantity));
                }
            }
            let (price, volume) = expected.map_or((Price::ABSENT, 0), |(price, volume)| (Price(price), volume));
            let indicative = venue.engine.indicative(CALLED).unwrap();
            assert_eq!((indicative.price, indicative.volume.0), (price, volume), "{bids:?} {offers:?} {reference}");
            let events = go_to(&mut venue, Phase::Continuous);
            let Event::Uncrossed(ended) = events[0] else { panic!("{events:?}") };
            assert_eq!((ended.price, ended.volume.0), (price, volume));
            assert!(trades(&events).iter().all(|trade| Price(trade.2) == price));
            assert_eq!(trades(&events).iter().map(|trade| trade.3).sum::<u64>(), volume);
            let [bid, ask] = Side::BOTH.map(|side| venue.engine.best_price(CALLED, side));
            assert!(bid.is_none() || ask.is_none() || bid < ask);
        }
    }
}

#[test]
fn between_two_equally_good_limits_the_surplus_is_that_at_the_price() {
    // At 101 three hundred buys meet two hundred sells, at 104 it is the other way round, in between both have two.
    for (reference, outlook) in [
        (100, "101@200 Buy 100"),
        (101, "101@200 Buy 100"),
        (102, "102@200"),
        (103, "103@200"),
        (104, "104@200 Sell 100"),
        (110, "104@200 Sell 100"),
        (0, "101@200 Buy 100"),
    ] {
        let mut venue = call(reference);
        for (side, price, quantity) in
            [(Side::Buy, 105, 200), (Side::Buy, 101, 100), (Side::Sell, 99, 200), (Side::Sell, 104, 100)]
        {
            venue.expect_accepted(order(side, price, quantity));
        }
        assert_eq!(story(&go_to(&mut venue, Phase::Continuous))[0], format!("uncrossed {outlook}"), "{reference}");
    }
}

#[test]
fn a_surplus_of_more_than_64_bits_is_told_as_the_most_that_can_be_told() {
    let mut venue = Venue::empty(Capacity { orders: 20_000, ..Capacity::SMALL });
    let listed = ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listing(CALLED, Holds::Off) };
    venue.expect_accepted(ListInstrument { phase: Phase::OpeningCall, ..listed });
    venue.expect_accepted(open_account(ALICE));
    // 18,447 × 10^15 is more than 2^64.
    for _ in 0..18_447 {
        venue.engine_only(order(Side::Buy, 1, Quantity::MAX.0));
    }
    let events = venue.expect_accepted(order(Side::Sell, 1, 1));
    assert_eq!(story(&events)[1], "indicative 1@1 Buy 18446744073709551613");
}

#[test]
fn better_limits_fill_first_then_earlier_orders() {
    // The first worked row, named as they come.
    let mut venue = call(100);
    for (name, (side, price, quantity)) in (1..).zip([
        (Side::Buy, 100, 300),
        (Side::Buy, 102, 200),
        (Side::Buy, 101, 200),
        (Side::Sell, 101, 150),
        (Side::Sell, 100, 250),
        (Side::Sell, 99, 150),
    ]) {
        venue.expect_accepted(order(side, price, quantity).named(name));
    }
    let events = go_to(&mut venue, Phase::Continuous);
    assert_eq!(
        story(&events),
        [
            "uncrossed 101@400 Sell 150",
            "trade 2 6 150@101",
            "trade 2 5 50@101",
            "trade 3 5 200@101",
            "OpeningCall to Continuous: Administrator",
        ]
    );
    let fills: Vec<u64> = (1..=6).map(|name| filled(&events, name)).collect();
    assert_eq!(fills, [0, 200, 200, 0, 250, 150]);
    // At one limit the earlier order; the one at the margin is filled in part and keeps its place.
    let mut venue = call(100);
    for name in 1..=3 {
        venue.expect_accepted(order(Side::Buy, 100, 10).named(name));
    }
    venue.expect_accepted(order(Side::Sell, 100, 15).named(4));
    assert_eq!(trades(&go_to(&mut venue, Phase::Continuous)), [(1, 4, 100, 10), (2, 4, 100, 5)]);
    let rest: Vec<_> = venue.engine.orders(CALLED, Side::Buy).map(|o| (o.client_order_id.0, o.leaves.0)).collect();
    assert_eq!(rest, [(2, 5), (3, 10)]);
}

#[test]
fn market_orders_rank_first_by_time_and_what_is_left_of_them_is_cancelled() {
    let mut venue = call(100);
    venue.expect_accepted(order(Side::Buy, 105, 10).named(1));
    let accepted = venue.expect_accepted(order(Side::Buy, 0, 20).named(2));
    let Event::OrderAccepted(accepted) = accepted[0] else { panic!("{accepted:?}") };
    assert_eq!(accepted.order.shown, Quantity::ZERO);
    venue.expect_accepted(order(Side::Buy, 0, 20).named(3));
    venue.expect_accepted(order(Side::Sell, 101, 30).named(4));
    assert_eq!(
        story(&go_to(&mut venue, Phase::Continuous)),
        [
            "uncrossed 105@30 Buy 20",
            "trade 2 4 20@105",
            "trade 3 4 10@105",
            "cancel 10 of 3: AuctionRemainder",
            "OpeningCall to Continuous: Administrator",
        ]
    );
    // By funds there is no quantity to count.
    let mut venue = call(100);
    assert_eq!(
        reasons(&venue.apply(NewOrder { instrument: CALLED, ..by_funds(10).lasting(TimeInForce::GoodTillCancel) })),
        [RejectReason::PhaseNotAllowed]
    );
}

#[test]
fn the_outlook_is_told_whenever_it_changes_once_for_a_command() {
    let mut venue = call(100);
    assert_eq!(venue.engine.indicative(CALLED), Some(Indicative::NONE));
    assert_eq!(story(&venue.apply(order(Side::Buy, 101, 10).named(1))), ["new 1"]);
    assert_eq!(story(&venue.apply(order(Side::Sell, 99, 4).named(2))), ["new 2", "indicative 101@4 Buy 6"]);
    // Far away: nothing changes.
    assert_eq!(story(&venue.apply(order(Side::Sell, 120, 4).named(3))), ["new 3"]);
    let amend = ReplaceOrder { quantity: Quantity(4), ..replace(1) };
    assert_eq!(story(&venue.apply(amend)), ["replaced 1 priority Kept", "indicative 100@4"]);
    let all = MassCancel {
        account: ALICE,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note: AdminNote::NONE,
    };
    let events = story(&venue.apply(all));
    assert_eq!(events.iter().filter(|line| line.starts_with("indicative")).collect::<Vec<_>>(), ["indicative none@0"]);
    assert_eq!(venue.engine.indicative(UNSETTLED), None);
    // What a call is begun with counts.
    let mut venue = call(100);
    go_to(&mut venue, Phase::Continuous);
    venue.expect_accepted(order(Side::Buy, 100, 5).named(1));
    go_to(&mut venue, Phase::ClosingCall);
    assert_eq!(story(&venue.apply(order(Side::Sell, 0, 3).named(2))), ["new 2", "indicative 100@3 Buy 2"]);
}

#[test]
fn both_sides_pay_the_taker_rate_and_nothing_prevents_a_self_match() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(0, 10_000));
    venue.expect_accepted(set_phase(BTC_USD, Phase::OpeningCall));
    venue.expect_accepted(limit(Side::Buy, 100, 10).named(1).preventing(SelfTradePrevention::CancelBoth));
    venue.expect_accepted(limit(Side::Sell, 100, 4).named(2).preventing(SelfTradePrevention::CancelBoth));
    venue.expect_accepted(limit(Side::Sell, 100, 6).by(BOB).named(3));
    let events = venue.expect_accepted(set_phase(BTC_USD, Phase::Continuous));
    let trades: Vec<Trade> =
        events.iter().filter_map(|event| if let Event::Trade(trade) = event { Some(*trade) } else { None }).collect();
    let seen: Vec<_> = trades
        .iter()
        .map(|t| (t.aggressor, t.self_match, t.maker.side, t.maker.fee.0, t.taker.fee.0, t.maker.report.exec_id.0))
        .collect();
    // One per cent of 400 and of 600; the buy is numbered first.
    assert_eq!(seen, [(None, SelfMatch::Yes, Side::Buy, 4, 4, 3), (None, SelfMatch::No, Side::Buy, 6, 6, 5)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 6, 0, ENDOWMENT - 600 - 14, 0]);
    assert_eq!(venue.balances(BOB), [ENDOWMENT - 6, 0, ENDOWMENT + 600 - 6, 0]);
}

#[test]
fn an_iceberg_takes_part_with_all_it_has_and_shows_its_next_tip_behind() {
    let mut venue = call(100);
    venue.expect_accepted(order(Side::Buy, 100, 50).named(1).showing(10));
    venue.expect_accepted(order(Side::Buy, 100, 5).named(2));
    venue.expect_accepted(order(Side::Sell, 100, 12).named(3));
    venue.expect_accepted(order(Side::Sell, 100, 13).named(4));
    assert_eq!(
        story(&go_to(&mut venue, Phase::Continuous)),
        [
            "uncrossed 100@25 Buy 30",
            "trade 1 3 12@100",
            "trade 1 4 13@100",
            "DisplayRefreshed 1: 10 of 25",
            "OpeningCall to Continuous: Administrator",
        ]
    );
    let rest: Vec<_> = venue.engine.orders(CALLED, Side::Buy).map(|o| (o.client_order_id.0, o.shown.0)).collect();
    assert_eq!(rest, [(2, 5), (1, 10)]);
    // Less than it shows was traded: it keeps its place.
    let mut venue = call(100);
    venue.expect_accepted(order(Side::Buy, 100, 50).named(1).showing(10));
    venue.expect_accepted(order(Side::Buy, 100, 5).named(2));
    venue.expect_accepted(order(Side::Sell, 100, 4).named(3));
    go_to(&mut venue, Phase::Continuous);
    let rest: Vec<_> = venue.engine.orders(CALLED, Side::Buy).map(|o| (o.client_order_id.0, o.shown.0)).collect();
    assert_eq!(rest, [(1, 6), (2, 5)]);
}

#[test]
fn what_may_not_stay_ends_behind_the_trades() {
    let mut venue = call(100);
    let (opening, day) = (TimeInForce::AtTheOpening, TimeInForce::Day);
    venue.expect_accepted(order(Side::Buy, 0, 9).named(1));
    venue.expect_accepted(order(Side::Buy, 99, 1).named(2).lasting(opening));
    venue.expect_accepted(order(Side::Buy, 98, 1).named(3).lasting(day));
    venue.expect_accepted(order(Side::Buy, 0, 5).named(4).lasting(opening));
    venue.expect_accepted(order(Side::Sell, 100, 6).named(5));
    assert_eq!(
        story(&go_to(&mut venue, Phase::Continuous)),
        [
            "uncrossed 100@6 Buy 8",
            "trade 1 5 6@100",
            "cancel 1 of 2: OpeningRemainder",
            "cancel 5 of 4: OpeningRemainder",
            "cancel 3 of 1: AuctionRemainder",
            "OpeningCall to Continuous: Administrator",
        ]
    );
    let status = |name| venue.engine.order_status(ALICE, OrderId::NONE, ClientOrderId(name)).map(|(_, status)| status);
    assert_eq!([status(2), status(1)], [Some(OrderStatus::Expired), Some(OrderStatus::Cancelled)]);
    assert_eq!(venue.engine.orders(CALLED, Side::Buy).count(), 1);
}

#[test]
fn orders_for_the_close_wait_unseen_and_join_the_closing_call() {
    let mut venue = call(100);
    go_to(&mut venue, Phase::Continuous);
    let close = TimeInForce::AtTheClose;
    venue.expect_accepted(order(Side::Buy, 101, 5).named(1).lasting(close));
    venue.expect_accepted(order(Side::Sell, 0, 3).named(2).lasting(close));
    // They wait: nothing of them is seen, and they trade with nobody.
    assert_eq!(venue.engine.orders(CALLED, Side::Buy).count(), 0);
    let waiting: Vec<_> = venue.engine.waiting_for_close(CALLED).map(|o| (o.client_order_id.0, o.shown.0)).collect();
    assert_eq!(waiting, [(1, 0), (2, 0)]);
    assert_eq!(story(&venue.apply(order(Side::Sell, 101, 4).named(3))), ["new 3"]);
    // Another call is not theirs.
    assert_eq!(story(&go_to(&mut venue, Phase::VolatilityCall)), ["Continuous to VolatilityCall: Administrator"]);
    assert_eq!(
        story(&go_to(&mut venue, Phase::Continuous)),
        ["uncrossed none@0", "VolatilityCall to Continuous: Administrator"]
    );
    assert_eq!(
        story(&go_to(&mut venue, Phase::ClosingCall)),
        [
            "Continuous to ClosingCall: Administrator",
            "JoinedCall 1: 5 of 5",
            "JoinedCall 2: 0 of 3",
            "indicative 101@5 Sell 2",
        ]
    );
    venue.expect_accepted(order(Side::Buy, 90, 7).named(4).lasting(close));
    assert_eq!(
        story(&go_to(&mut venue, Phase::Closed)),
        [
            "uncrossed 101@5 Sell 2",
            "trade 1 2 3@101",
            "trade 1 3 2@101",
            "cancel 7 of 4: ClosingRemainder",
            "ClosingCall to Closed: Administrator",
        ]
    );
}

#[test]
fn a_market_order_that_waited_for_the_close_needs_cover_when_it_joins() {
    let mut venue = Venue::open();
    let auction = Distance::ticks(50);
    let protection = PriceProtection { auction, ..PriceProtection::DEFAULT };
    venue.expect_accepted(SetPriceProtection { instrument: BTC_USD, protection, note: AdminNote::NONE });
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 100, 1).by(CAROL));
    let close = |quantity| market(Side::Buy, quantity).lasting(TimeInForce::AtTheClose);
    // A hundred and fifty each is what they may cost.
    venue.expect_accepted(close(6_000).named(1));
    assert_eq!(venue.balances(ALICE)[3], 900_000);
    assert_eq!(reasons(&venue.apply(close(700).named(2))), [RejectReason::InsufficientFunds]);
    venue.expect_accepted(close(100).by(BOB).named(3));
    // The price rises to 200: they may cost 250 each.
    venue.expect_accepted(limit(Side::Sell, 200, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 200, 1).by(CAROL));
    let events = venue.expect_accepted(set_phase(BTC_USD, Phase::ClosingCall));
    assert_eq!(
        story(&events),
        ["Continuous to ClosingCall: Administrator", "cancel 6000 of 1: InsufficientFunds", "JoinedCall 3: 0 of 100"]
    );
    assert_eq!([venue.balances(ALICE)[3], venue.balances(BOB)[3]], [0, 25_000]);
    // A wider band: they may cost more.
    let wider = |ticks| SetPriceProtection {
        instrument: BTC_USD,
        protection: PriceProtection { auction: Distance::ticks(ticks), ..protection },
        note: AdminNote::NONE,
    };
    venue.expect_accepted(wider(100));
    assert_eq!(venue.balances(BOB)[3], 30_000);
    assert_eq!(cancels(&venue.expect_accepted(wider(100_000))), [(3, 100, CancelReason::InsufficientFunds)]);
    assert_eq!(venue.balances(BOB)[3], 0);
}

#[test]
fn stops_that_the_auction_price_reaches_enter_behind_the_change_of_phase() {
    let mut venue = call(100);
    let stop = |name, stop_price| NewOrder { instrument: CALLED, ..stop(Side::Buy, stop_price, 2).named(name) };
    venue.expect_accepted(stop(1, 102));
    venue.expect_accepted(stop(2, 103));
    venue.expect_accepted(order(Side::Buy, 102, 4).named(3));
    venue.expect_accepted(order(Side::Sell, 102, 5).named(4));
    assert_eq!(
        story(&go_to(&mut venue, Phase::Continuous)),
        [
            "uncrossed 102@4 Sell 1",
            "trade 3 4 4@102",
            "OpeningCall to Continuous: Administrator",
            "triggered 1 by 102",
            "trade 4 1 1@102",
            "cancel 1 of 1: MarketRemainder",
        ]
    );
    // Where stops are not elected, they wait on.
    let mut venue = call(100);
    venue.expect_accepted(stop(1, 102));
    venue.expect_accepted(order(Side::Buy, 102, 4).named(3));
    venue.expect_accepted(order(Side::Sell, 102, 5).named(4));
    let events = go_to(&mut venue, Phase::PostOnly);
    assert!(!events.iter().any(|event| matches!(event, Event::OrderTriggered(_))), "{events:?}");
    assert_eq!(venue.engine.stops(CALLED, Side::Buy).count(), 1);
}

#[test]
fn an_auction_outside_its_band_goes_on_once_then_halts() {
    let mut venue = call(100);
    protect(
        &mut venue,
        PriceProtection { auction: Distance::ticks(5), call_duration: Nanoseconds(1_000), ..PriceProtection::DEFAULT },
    );
    venue.expect_accepted(order(Side::Buy, 106, 5).named(1));
    venue.expect_accepted(order(Side::Sell, 106, 5).named(2));
    go_to(&mut venue, Phase::NoCancel);
    let beyond = "AuctionBand 106 beyond 105 from 100".to_owned();
    assert_eq!(
        story(&go_to(&mut venue, Phase::Continuous)),
        [beyond.clone(), "NoCancel to OpeningCall: AuctionBand".to_owned()]
    );
    assert_eq!(venue.engine.next_deadline(), Timestamp(2_000));
    assert_eq!(story(&venue.advance(2_000)), [beyond.clone(), "OpeningCall to Halted: AuctionBand".to_owned()]);
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
    // It may go on once more; meanwhile an offer comes that moves it inside.
    assert_eq!(story(&go_to(&mut venue, Phase::Continuous)), [beyond, "Halted to OpeningCall: AuctionBand".to_owned()]);
    venue.expect_accepted(order(Side::Sell, 105, 5).named(3));
    assert_eq!(
        story(&venue.advance(3_000)),
        ["uncrossed 105@5", "trade 1 3 5@105", "OpeningCall to Continuous: CallEnded"]
    );
    // A phase that is set means that no end comes by itself; without a duration the call halts at once.
    let mut venue = call(100);
    protect(&mut venue, PriceProtection { auction: Distance::ticks(5), ..PriceProtection::DEFAULT });
    venue.expect_accepted(order(Side::Buy, 94, 5).named(1));
    venue.expect_accepted(order(Side::Sell, 94, 5).named(2));
    assert_eq!(
        story(&go_to(&mut venue, Phase::Continuous)),
        ["AuctionBand 94 beyond 95 from 100", "OpeningCall to Halted: AuctionBand"]
    );
}

#[test]
fn calls_end_by_their_time_whichever_was_begun_first() {
    let mut venue = Venue::open();
    for (instrument, call_duration) in [(3, 3_000), (4, 1_000), (5, 2_000)] {
        let instrument = InstrumentId(instrument);
        let listed = ListInstrument { reference: Price(100), ..listing(instrument, Holds::Off) };
        venue.expect_accepted(ListInstrument { phase: Phase::OpeningCall, ..listed });
        let call_duration = Nanoseconds(call_duration);
        let protection = PriceProtection { auction: Distance::ticks(5), call_duration, ..PriceProtection::DEFAULT };
        venue.expect_accepted(SetPriceProtection { instrument, protection, note: AdminNote::NONE });
        for side in Side::BOTH {
            venue.expect_accepted(NewOrder { instrument, ..order(side, 106, 5) });
        }
        venue.expect_accepted(set_phase(instrument, Phase::Continuous));
    }
    assert_eq!(venue.engine.next_deadline(), Timestamp(2_000));
    let halted = |event: &Event| match event {
        Event::PhaseChanged(changed) => Some((changed.instrument.0, changed.to)),
        _ => None,
    };
    let events = venue.advance(5_000);
    let halted: Vec<_> = events.iter().filter_map(halted).collect();
    assert_eq!(halted, [(4, Phase::Halted), (5, Phase::Halted), (3, Phase::Halted)]);
}

#[test]
fn a_call_stays_pending_until_its_auction_ends() {
    let mut venue = call(100);
    venue.expect_accepted(order(Side::Buy, 101, 5).named(1));
    venue.expect_accepted(order(Side::Sell, 99, 5).named(2));
    for phase in [Phase::Halted, Phase::CancelOnly, Phase::Closed, Phase::PreOpen, Phase::VolatilityCall] {
        assert_eq!(story(&go_to(&mut venue, phase)).len(), 1, "{phase:?}");
        assert_eq!(venue.engine.indicative(CALLED).map(|outlook| outlook.volume), Some(Quantity(5)));
    }
    // NoCancel of a closing call ends like one; of another it does not.
    go_to(&mut venue, Phase::NoCancel);
    assert_eq!(story(&go_to(&mut venue, Phase::Closed)), ["NoCancel to Closed: Administrator"]);
    go_to(&mut venue, Phase::ClosingCall);
    go_to(&mut venue, Phase::NoCancel);
    let events = go_to(&mut venue, Phase::Closed);
    assert_eq!(story(&events)[0], "uncrossed 100@5");
    assert_eq!(venue.engine.indicative(CALLED), None);
}

#[test]
fn a_venue_restored_in_a_call_goes_on_the_same() {
    let mut venue = call(100);
    let mut random = Random(11);
    for name in 1..60 {
        let side = Side::BOTH[random.below(2) as usize];
        let price = if random.below(4) == 0 { 0 } else { 95 + random.below(11) };
        venue.expect_accepted(order(side, price, 1 + random.below(20)).named(name));
    }
    venue.expect_accepted(order(Side::Buy, 0, 3).lasting(TimeInForce::AtTheClose).named(90));
    let mut restored = Venue { engine: Engine::read_snapshot(&venue.snapshot()).unwrap(), time: venue.time };
    for step in
        [set_phase(CALLED, Phase::Halted), set_phase(CALLED, Phase::ClosingCall), set_phase(CALLED, Phase::Closed)]
    {
        assert_eq!(venue.apply(step), restored.apply(step));
        assert_eq!(venue.snapshot(), restored.snapshot());
    }
}

#[test]
fn what_joined_a_call_stands_though_the_call_is_turned_into_another() {
    let mut venue = call(100);
    go_to(&mut venue, Phase::ClosingCall);
    let close = TimeInForce::AtTheClose;
    venue.expect_accepted(order(Side::Buy, 0, 3).named(1).lasting(close));
    venue.expect_accepted(order(Side::Buy, 99, 3).named(2).lasting(close));
    go_to(&mut venue, Phase::VolatilityCall);
    // Amends that lose priority: to more, to another type and back.
    venue.expect_accepted(ReplaceOrder { quantity: Quantity(4), ..replace(1) });
    venue.expect_accepted(ReplaceOrder { order_type: Some(OrderType::Market), ..replace(2) });
    venue.expect_accepted(ReplaceOrder { order_type: Some(OrderType::Limit), price: Price(98), ..replace(1) });
    assert_eq!(venue.engine.waiting_for_close(CALLED).count(), 0);
    let market: Vec<u64> = venue.engine.market_orders(CALLED, Side::Buy).map(|o| o.client_order_id.0).collect();
    let limits: Vec<_> = venue.engine.orders(CALLED, Side::Buy).map(|o| (o.client_order_id.0, o.shown.0)).collect();
    assert_eq!((market, limits), (vec![2], vec![(1, 4)]));
    let restored = Engine::read_snapshot(&venue.snapshot()).unwrap();
    assert_eq!(restored.indicative(CALLED), venue.engine.indicative(CALLED));
    venue.expect_accepted(order(Side::Sell, 98, 5).by(BOB).named(3));
    assert_eq!(trades(&go_to(&mut venue, Phase::Continuous)), [(2, 3, 98, 3), (1, 3, 98, 2)]);
}
