//! Rules 6.1 to 6.5: the reference price, the entry band, the collar and the market protection.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::*;
use engine::*;

const TEN: PriceProtection = PriceProtection { entry_band: Distance::ticks(10), ..PriceProtection::DEFAULT };

/// A venue whose instrument traded at 100 before, protected so.
fn protected(protection: PriceProtection) -> Venue {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 100, 1).by(CAROL));
    venue.expect_accepted(SetPriceProtection { instrument: BTC_USD, protection, note: AdminNote::NONE });
    venue
}

fn bounds(events: &[Event]) -> Vec<(PriceBound, u64, u64, u64)> {
    let bound = |event: &Event| match event {
        Event::PriceBoundReached(event) => Some((event.bound, event.reference.0, event.limit.0, event.price.0)),
        _ => None,
    };
    events.iter().filter_map(bound).collect()
}

fn phase_changes(events: &[Event]) -> Vec<(Phase, Phase, PhaseCause)> {
    let change = |event: &Event| match event {
        Event::PhaseChanged(event) => Some((event.from, event.to, event.cause)),
        _ => None,
    };
    events.iter().filter_map(change).collect()
}

#[test]
fn the_entry_band_refuses_what_is_priced_against_its_own_interest() {
    let mut venue = protected(TEN);
    let band = PriceBound::EntryBand;
    for (order, expected) in [
        (limit(Side::Buy, 110, 1), None),
        (limit(Side::Buy, 111, 1), Some((band, 100, 110, 111))),
        (limit(Side::Sell, 90, 1), None),
        (limit(Side::Sell, 89, 1), Some((band, 100, 90, 89))),
        // Far away in its own interest.
        (limit(Side::Buy, 1, 1), None),
        (limit(Side::Sell, 500, 1), None),
        // A StopLimit's counts from its stop price.
        (stop_limit(Side::Buy, 150, 160, 1), None),
        (stop_limit(Side::Buy, 150, 161, 1), Some((band, 150, 160, 161))),
    ] {
        let mut venue = protected(TEN);
        let events = venue.apply(order.named(1));
        assert_eq!(bounds(&events), Vec::from_iter(expected), "{order:?}");
        let refused = expected.map(|_| RejectReason::OutsidePriceBand);
        assert_eq!(reasons(&events), Vec::from_iter(refused), "{order:?}");
    }
    venue.expect_accepted(limit(Side::Buy, 105, 5).named(1));
    let amend = |price| ReplaceOrder { price: Price(price), ..replace(1) };
    let events = venue.apply(amend(111));
    assert_eq!(
        (bounds(&events), reasons(&events)),
        (vec![(band, 100, 110, 111)], vec![RejectReason::OutsidePriceBand])
    );
    venue.expect_accepted(amend(110));
    // An elected StopLimit's counts from the reference price: the stop at 105 is elected by 110.
    let mut venue = protected(TEN);
    venue.expect_accepted(stop_limit(Side::Buy, 105, 106, 5).named(1));
    venue.expect_accepted(limit(Side::Sell, 110, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 110, 1).by(CAROL));
    venue.expect_accepted(amend(120));
    assert_eq!(bounds(&venue.apply(amend(121))), [(band, 110, 120, 121)]);
    // Without a reference price there is nothing to measure from.
    let mut venue = Venue::open();
    venue.expect_accepted(SetPriceProtection { instrument: BTC_USD, protection: TEN, note: AdminNote::NONE });
    venue.expect_accepted(limit(Side::Buy, 1_000, 1));
}

/// Reference 100, offers 104×4, 105×2, 106×9.
fn collared(action: CollarAction, call_duration: u64) -> Venue {
    let mut venue = protected(PriceProtection {
        collar: Distance::parts_per_million(50_000),
        collar_action: action,
        call_duration: Nanoseconds(call_duration),
        ..PriceProtection::DEFAULT
    });
    for (name, price, quantity) in [(1, 104, 4), (2, 105, 2), (3, 106, 9)] {
        venue.expect_accepted(limit(Side::Sell, price, quantity).by(BOB).named(name));
    }
    venue
}

#[test]
fn the_collar_stops_an_order_before_the_first_match_outside() {
    let mut venue = collared(CollarAction::CancelRemainder, 0);
    let events = venue.apply(limit(Side::Buy, 110, 10).named(9));
    assert_eq!(told(&events), ["new 9", "trade 1 9 4@104", "trade 2 9 2@105", "cancel 4 of 9: Collar"]);
    assert_eq!(bounds(&events), [(PriceBound::Collar, 100, 105, 106)]);
    // It now counts from 105: 106 is inside.
    assert_eq!(told(&venue.apply(limit(Side::Buy, 110, 1).named(10))), ["new 10", "trade 3 10 1@106"]);
    // On the other side, and below.
    let mut venue = protected(PriceProtection { collar: Distance::ticks(5), ..PriceProtection::DEFAULT });
    venue.expect_accepted(limit(Side::Sell, 94, 1).by(BOB).named(1));
    let events = venue.apply(limit(Side::Buy, 99, 1).named(9));
    assert_eq!(told(&events), ["new 9", "cancel 1 of 9: Collar"]);
    assert_eq!(bounds(&events), [(PriceBound::Collar, 100, 95, 94)]);
}

#[test]
fn what_an_order_insists_on_counts_only_inside_the_collar() {
    let mut venue = collared(CollarAction::CancelRemainder, 0);
    let fill_or_kill = |quantity| limit(Side::Buy, 110, quantity).lasting(TimeInForce::FillOrKill);
    assert_eq!(reasons(&venue.apply(fill_or_kill(7))), [RejectReason::CannotFill]);
    assert_eq!(trades(&venue.apply(fill_or_kill(6).named(9))), [(1, 9, 104, 4), (2, 9, 105, 2)]);
}

#[test]
fn the_collar_may_interrupt_trading_for_a_call_that_ends_by_itself() {
    let mut venue = collared(CollarAction::VolatilityCall, 500);
    venue.expect_accepted(stop(Side::Buy, 104, 3).by(CAROL).named(7));
    let events = venue.apply(limit(Side::Buy, 110, 10).named(9));
    assert_eq!(told(&events), ["new 9", "trade 1 9 4@104", "trade 2 9 2@105"]);
    assert_eq!(bounds(&events), [(PriceBound::Collar, 100, 105, 106)]);
    let interrupted = (Phase::Continuous, Phase::VolatilityCall, PhaseCause::Collar);
    assert_eq!(phase_changes(&events), [interrupted]);
    // The rest takes part; the stop that was elected waits on.
    assert_eq!(venue.side(Side::Buy), [(9, 110, 4)]);
    assert_eq!(venue.stops(Side::Buy), [(7, 104)]);
    assert_eq!(
        venue.engine.indicative(BTC_USD).map(|outlook| (outlook.price, outlook.volume)),
        Some((Price(106), Quantity(4)))
    );
    assert_eq!(venue.engine.next_deadline(), Timestamp(1_500));
    let events = venue.advance(1_500);
    let ended = (Phase::VolatilityCall, Phase::Continuous, PhaseCause::CallEnded);
    assert_eq!(phase_changes(&events), [ended]);
    assert_eq!(told(&events), ["trade 9 3 4@106", "triggered 7 by 106", "trade 3 7 3@106"]);
    // What would not rest is cancelled; without a duration the call does not end by itself.
    for order in [market(Side::Buy, 10), limit(Side::Buy, 110, 10).lasting(TimeInForce::ImmediateOrCancel)] {
        let mut venue = collared(CollarAction::VolatilityCall, 0);
        let events = venue.apply(order.named(9));
        assert_eq!(told(&events), ["new 9", "trade 1 9 4@104", "trade 2 9 2@105", "cancel 4 of 9: Collar"]);
        assert_eq!(phase_changes(&events), [interrupted]);
        assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
    }
}

#[test]
fn a_stop_that_is_elected_and_stopped_at_the_collar_without_room_ends() {
    let mut venue = Venue::empty(Capacity { price_blocks: 2, ..Capacity::SMALL });
    let listed = ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listing(BTC_USD, Holds::Off) };
    venue.expect_accepted(ListInstrument { reference: Price(1_000_000), ..listed });
    let protection = PriceProtection {
        collar: Distance::ticks(5),
        collar_action: CollarAction::VolatilityCall,
        ..PriceProtection::DEFAULT
    };
    venue.expect_accepted(SetPriceProtection { instrument: BTC_USD, protection, note: AdminNote::NONE });
    for account in [ALICE, BOB, CAROL] {
        venue.expect_accepted(open_account(account));
    }
    // Two stops share one block of stop prices, the offers share the other: the stop that is elected would rest far from
    // both, and the other one keeps its block.
    venue.expect_accepted(stop_limit(Side::Buy, 1_000_000, 2_000_000, 1).named(1));
    venue.expect_accepted(stop_limit(Side::Buy, 1_000_001, 2_000_000, 1).named(2));
    venue.expect_accepted(limit(Side::Sell, 1_000_000, 1).by(BOB).named(3));
    venue.expect_accepted(limit(Side::Sell, 1_000_006, 1).by(BOB).named(4));
    let buy = limit(Side::Buy, 1_000_000, 1).by(CAROL).named(5).lasting(TimeInForce::ImmediateOrCancel);
    let events = venue.apply(buy);
    assert_eq!(
        told(&events),
        ["new 5", "trade 3 5 1@1000000", "triggered 1 by 1000000", "cancel 1 of 1: CapacityFull"]
    );
    assert_eq!(bounds(&events), [(PriceBound::Collar, 1_000_000, 1_000_005, 1_000_006)]);
    assert_eq!(venue.stops(Side::Buy), [(2, 1_000_001)]);
}

#[test]
fn the_market_protection_says_where_it_stopped_an_order() {
    let mut venue = protected(PriceProtection { market: Distance::ticks(5), ..PriceProtection::DEFAULT });
    for (name, price) in [(1, 100), (2, 105), (3, 106)] {
        venue.expect_accepted(limit(Side::Sell, price, 1).by(BOB).named(name));
    }
    venue.expect_accepted(stop(Side::Sell, 105, 1).by(CAROL).named(8));
    let events = venue.apply(market(Side::Buy, 10).named(9));
    assert_eq!(bounds(&events), [(PriceBound::Market, 100, 105, 106)]);
    assert_eq!(cancels(&events)[0], (9, 8, CancelReason::MarketProtection));
    // A Stop's counts from its stop price.
    let mut venue = protected(PriceProtection { market: Distance::ticks(5), ..PriceProtection::DEFAULT });
    venue.expect_accepted(stop(Side::Sell, 99, 1).named(8));
    venue.expect_accepted(limit(Side::Buy, 98, 1).by(BOB).named(1));
    venue.expect_accepted(limit(Side::Buy, 90, 1).by(BOB).named(2));
    let events = venue.apply(limit(Side::Sell, 98, 1).by(CAROL).named(3));
    assert_eq!(bounds(&events), [(PriceBound::Market, 99, 94, 90)]);
}

#[test]
fn the_reference_price_follows_its_source_between_commands() {
    let mut venue = protected(PriceProtection { reference_source: ReferenceSource::LastAuction, ..TEN });
    let reference = |venue: &Venue| venue.engine.reference(BTC_USD).unwrap().0;
    venue.expect_accepted(limit(Side::Sell, 105, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 105, 1));
    assert_eq!(reference(&venue), 100);
    venue.expect_accepted(set_phase(BTC_USD, Phase::VolatilityCall));
    venue.expect_accepted(limit(Side::Sell, 107, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 107, 1));
    venue.expect_accepted(set_phase(BTC_USD, Phase::Continuous));
    assert_eq!(reference(&venue), 107);
    // Another source moves nothing by itself.
    venue.expect_accepted(SetPriceProtection { instrument: BTC_USD, protection: TEN, note: AdminNote::NONE });
    assert_eq!(reference(&venue), 107);
    venue.expect_accepted(limit(Side::Sell, 103, 1).by(BOB));
    assert_eq!(reference(&venue), 107);
    venue.expect_accepted(limit(Side::Buy, 103, 1));
    assert_eq!(reference(&venue), 103);
}
