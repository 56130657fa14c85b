//! Rule 8: holds, settlement and fees; what is brought in stays in.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::{Distance, Holds};
use engine::*;

fn fees(events: &[Event]) -> Vec<(i128, i128)> {
    let fee = |event: &Event| match event {
        Event::Trade(trade) => Some((trade.maker.fee.0, trade.taker.fee.0)),
        _ => None,
    };
    events.iter().filter_map(fee).collect()
}

fn collected(venue: &Venue) -> u128 {
    venue.engine.balance(AccountId::FEES, USD).unwrap().available.0
}

#[test]
fn orders_hold_what_they_could_cost() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 7).named(1));
    venue.expect_accepted(limit(Side::Sell, 200, 5).named(2));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT - 5, 5, ENDOWMENT - 700, 700]);
}

#[test]
fn a_fill_moves_base_and_quote_and_gives_back_the_better_price() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 90, 4).by(BOB).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 7).named(2));
    assert_eq!(venue.balances(BOB), [ENDOWMENT - 4, 0, ENDOWMENT + 360, 0]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 4, 0, ENDOWMENT - 360 - 300, 300]);
}

#[test]
fn a_fill_counts_in_units_of_the_assets() {
    let mut venue = Venue::open();
    let instrument = InstrumentId(3);
    // A lot is 5 units of BTC, so that one tick times one lot is 5 units of USD.
    venue.expect_accepted(ListInstrument { lot: 5, ..listing(instrument, Holds::On) });
    venue.expect_accepted(NewOrder { instrument, ..limit(Side::Sell, 100, 4).by(BOB) });
    venue.expect_accepted(NewOrder { instrument, ..limit(Side::Buy, 100, 3) });
    assert_eq!(venue.balances(BOB), [ENDOWMENT - 20, 5, ENDOWMENT + 1_500, 0]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 15, 0, ENDOWMENT - 1_500, 0]);
}

#[test]
fn a_buy_also_holds_the_worst_fee_and_a_unit_per_role() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(1_000, 2_500));
    // 100 × 100 = 10,000; 0.25 % of it is 25, and two units.
    venue.expect_accepted(limit(Side::Buy, 100, 100).named(1));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT - 10_027, 10_027]);
    venue.expect_accepted(cancel(ALICE, 1));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
}

#[test]
fn fees_are_charged_on_the_cumulative_notional_rounded_up() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(0, 2_500));
    for name in 1..=3 {
        venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB).named(name));
    }
    // 0.25 % of 100, 200 and 300 is 0.25, 0.5 and 0.75: one unit, charged with the first fill.
    let events = venue.expect_accepted(limit(Side::Buy, 100, 3).named(9));
    assert_eq!(fees(&events), [(0, 1), (0, 0), (0, 0)]);
    assert_eq!(collected(&venue), 1);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 3, 0, ENDOWMENT - 301, 0]);
}

#[test]
fn a_maker_can_earn_a_rebate() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(-1_000, 2_500));
    venue.expect_accepted(limit(Side::Sell, 100, 15).by(BOB).named(1));
    // Notional 1,500: the taker pays 3.75 rounded up, the maker earns 1.5 rounded down.
    let events = venue.expect_accepted(limit(Side::Buy, 100, 15).named(2));
    assert_eq!(fees(&events), [(-1, 4)]);
    assert_eq!(collected(&venue), 3);
    assert_eq!(venue.balances(BOB), [ENDOWMENT - 15, 0, ENDOWMENT + 1_501, 0]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT + 15, 0, ENDOWMENT - 1_504, 0]);
}

#[test]
fn an_order_keeps_the_rates_of_its_acceptance() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(1_000, 2_000));
    venue.expect_accepted(limit(Side::Sell, 100, 10).by(BOB).named(1));
    venue.expect_accepted(set_fees(0, 5_000));
    // Notional 1,000: Bob pays 1 by the old rate, Alice 5 by the new.
    let events = venue.expect_accepted(limit(Side::Buy, 100, 10).named(2));
    assert_eq!(fees(&events), [(1, 5)]);
}

#[test]
fn a_tier_without_rates_pays_those_of_tier_zero() {
    let mut venue = Venue::open();
    let tier = |fee_tier| ModifyAccount {
        account: ALICE,
        stp_group: StpGroup::NONE,
        self_trade_prevention: None,
        fee_tier,
        note: AdminNote::NONE,
    };
    venue.expect_accepted(set_fees(0, 2_000));
    venue.expect_accepted(SetFees { tier: 2, ..set_fees(0, 1_000) });
    for (fee_tier, expected) in [(0, 2), (1, 2), (2, 1)] {
        venue.expect_accepted(tier(fee_tier));
        venue.expect_accepted(limit(Side::Sell, 100, 10).by(BOB));
        let events = venue.expect_accepted(limit(Side::Buy, 100, 10));
        assert_eq!(fees(&events), [(0, expected)], "tier {fee_tier}");
    }
}

#[test]
fn rebates_stay_below_every_taker_rate_in_force() {
    let mut venue = Venue::open();
    assert_eq!(reasons(&venue.apply(set_fees(-1, 0))), [RejectReason::FeeRatesInvalid]);
    venue.expect_accepted(set_fees(-1_000, 2_000));
    venue.expect_accepted(limit(Side::Sell, 100, 10).by(BOB).named(1));
    // Bob's open order carries a rebate of 1,000: no tier may take less.
    venue.expect_accepted(set_fees(0, 2_000));
    let lower = SetFees { tier: 1, ..set_fees(0, 999) };
    assert_eq!(reasons(&venue.apply(lower)), [RejectReason::FeeRatesInvalid]);
    venue.expect_accepted(cancel(BOB, 1));
    venue.expect_accepted(lower);
}

#[test]
fn an_order_beyond_the_available_balance_is_refused() {
    let mut venue = Venue::open();
    let refused = |venue: &mut Venue, order| reasons(&venue.apply(order)) == [RejectReason::InsufficientFunds];
    assert!(refused(&mut venue, limit(Side::Buy, 1_000, 1_001)));
    assert!(refused(&mut venue, limit(Side::Sell, 1, 1_000_001)));
    venue.expect_accepted(limit(Side::Buy, 1_000, 1_000));
    assert!(refused(&mut venue, limit(Side::Buy, 1, 1)));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, 0, ENDOWMENT]);
}

#[test]
fn withdrawals_take_only_what_is_available() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 100).named(1));
    let withdraw = |amount| Withdraw { account: ALICE, asset: USD, amount: Amount(amount), note: AdminNote::NONE };
    assert_eq!(reasons(&venue.apply(withdraw(990_001))), [RejectReason::InsufficientFunds]);
    venue.expect_accepted(withdraw(990_000));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, 0, 10_000]);
    assert_eq!(venue.engine.supply(USD), Some(Amount(3 * ENDOWMENT - 990_000)));
}

#[test]
fn collected_fees_stay_as_far_as_open_orders_may_round() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(0, 2_500));
    venue.expect_accepted(limit(Side::Sell, 100, 40).by(BOB).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 20).named(2));
    assert_eq!(collected(&venue), 5);
    // One order is open: two units stay.
    let withdraw =
        |amount| Withdraw { account: AccountId::FEES, asset: USD, amount: Amount(amount), note: AdminNote::NONE };
    assert_eq!(reasons(&venue.apply(withdraw(4))), [RejectReason::InsufficientFunds]);
    venue.expect_accepted(withdraw(3));
    venue.expect_accepted(cancel(BOB, 1));
    venue.expect_accepted(withdraw(2));
}

#[test]
fn an_asset_has_a_bound_in_the_venue() {
    let mut venue = Venue::open();
    let room = Amount::MAX.0 - 3 * ENDOWMENT;
    assert_eq!(reasons(&venue.apply(deposit(ALICE, USD, room + 1))), [RejectReason::AmountInvalid]);
    venue.expect_accepted(deposit(ALICE, USD, room));
    assert_eq!(reasons(&venue.apply(deposit(BOB, USD, 1))), [RejectReason::AmountInvalid]);
}

#[test]
fn the_largest_prices_and_quantities_do_not_overflow() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(100_000, 100_000));
    venue.expect_accepted(deposit(ALICE, USD, 5 * 10_u128.pow(30)));
    venue.expect_accepted(deposit(BOB, BTC, 10_u128.pow(15)));
    let (price, quantity) = (Price::MAX.0, Quantity::MAX.0);
    venue.expect_accepted(limit(Side::Sell, price, quantity).by(BOB).named(1));
    let events = venue.expect_accepted(limit(Side::Buy, price, quantity).named(2));
    // 10^14 × 10^15 × 10 % each.
    assert_eq!(fees(&events), [(10_i128.pow(28), 10_i128.pow(28))]);
}

#[test]
fn a_venue_that_only_matches_moves_no_balance() {
    let mut venue = Venue::open();
    let order = |side, account| NewOrder { instrument: UNSETTLED, ..limit(side, 1_000, 5_000).by(account) };
    venue.expect_accepted(order(Side::Sell, ALICE));
    let events = venue.expect_accepted(order(Side::Buy, BOB));
    assert_eq!(trades(&events), [(0, 0, 1_000, 5_000)]);
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
    assert_eq!(venue.balances(BOB), [ENDOWMENT, 0, ENDOWMENT, 0]);
}

#[test]
fn tick_and_lot_must_be_whole_units() {
    let mut venue = Venue::empty(Capacity::SMALL);
    venue.expect_accepted(AddAsset { decimals: 8, ..asset(BTC, "BTC") });
    venue.expect_accepted(AddAsset { decimals: 8, ..asset(USD, "USD") });
    let fine = ListInstrument { tick_decimals: 2, lot_decimals: 8, ..listing(BTC_USD, Holds::On) };
    assert_eq!(reasons(&venue.apply(fine)), [RejectReason::UnitNotWhole]);
    let coarse = ListInstrument { lot_decimals: 6, ..fine };
    let events = venue.expect_accepted(coarse);
    let Event::InstrumentListed(listed) = events[0] else { panic!("{events:?}") };
    assert_eq!((listed.quote_units, listed.base_units), (1, 100));
}

#[test]
fn account_limits_bound_orders() {
    let mut venue = Venue::open();
    let limits = AccountLimits {
        quantity_max: Quantity(10),
        notional_max: Amount(1_000),
        open_orders_max: 2,
        ..AccountLimits::DEFAULT
    };
    venue.expect_accepted(SetAccountLimits {
        account: ALICE,
        instrument: InstrumentId::NONE,
        limits,
        note: AdminNote::NONE,
    });
    assert_eq!(reasons(&venue.apply(limit(Side::Buy, 1, 11))), [RejectReason::AccountQuantityLimit]);
    assert_eq!(reasons(&venue.apply(limit(Side::Buy, 101, 10))), [RejectReason::AccountNotionalLimit]);
    venue.expect_accepted(limit(Side::Buy, 100, 10).named(1));
    venue.expect_accepted(limit(Side::Buy, 99, 10).named(2));
    assert_eq!(reasons(&venue.apply(limit(Side::Buy, 1, 1))), [RejectReason::AccountOpenOrdersLimit]);
    // An amend opens no order.
    venue.expect_accepted(ReplaceOrder { price: Price(98), ..replace(2) });
}

#[test]
fn the_price_deviation_is_counted_from_the_last_trade() {
    let mut venue = Venue::open();
    let limits = AccountLimits { price_deviation: Distance::parts_per_million(50_000), ..AccountLimits::DEFAULT };
    venue.expect_accepted(SetAccountLimits {
        account: ALICE,
        instrument: InstrumentId::NONE,
        limits,
        note: AdminNote::NONE,
    });
    // Nothing has traded: nothing to deviate from.
    venue.expect_accepted(limit(Side::Buy, 1, 1).named(1));
    venue.expect_accepted(limit(Side::Sell, 1_000, 1).named(4));
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 100, 1).by(CAROL));
    assert_eq!(reasons(&venue.apply(limit(Side::Buy, 106, 1))), [RejectReason::AccountPriceDeviation]);
    assert_eq!(reasons(&venue.apply(limit(Side::Sell, 94, 1))), [RejectReason::AccountPriceDeviation]);
    venue.expect_accepted(limit(Side::Buy, 105, 1).named(2));
    venue.expect_accepted(limit(Side::Buy, 1, 1).named(3));
    // Where nobody bids a market order reaches nothing, however far it may go.
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB));
    venue.expect_accepted(limit(Side::Buy, 100, 1).by(CAROL));
    venue.expect_accepted(SetAccountLimits {
        account: ALICE,
        instrument: InstrumentId::NONE,
        limits,
        note: AdminNote::NONE,
    });
    assert_eq!(told(&venue.apply(market(Side::Sell, 1).named(5))), ["new 5", "cancel 1 of 5: MarketRemainder"]);
}

#[test]
fn a_correction_counts_as_a_deposit_or_withdrawal() {
    let mut venue = Venue::open();
    let correct = |direction, amount| AdjustBalance {
        account: ALICE,
        asset: USD,
        direction,
        amount: Amount(amount),
        note: AdminNote { idempotency_key: IdempotencyKey::NONE, reason: text("a typing error") },
    };
    let supply = venue.engine.supply(USD).unwrap().0;
    let events = venue.expect_accepted(correct(Direction::Credit, 25));
    let Event::BalanceChanged(changed) = events[0] else { panic!("{events:?}") };
    assert_eq!((changed.cause, changed.change), (BalanceCause::Adjustment, SignedAmount(25)));
    assert_eq!(changed.note.reason.as_str(), "a typing error");
    assert_eq!((venue.balances(ALICE)[2], venue.engine.supply(USD).unwrap().0), (ENDOWMENT + 25, supply + 25));
    venue.expect_accepted(limit(Side::Buy, 1_000, 1_000).named(1));
    assert_eq!(reasons(&venue.apply(correct(Direction::Debit, 26))), [RejectReason::InsufficientFunds]);
    venue.expect_accepted(correct(Direction::Debit, 25));
    assert_eq!((venue.balances(ALICE)[2], venue.engine.supply(USD).unwrap().0), (0, supply));
    assert_eq!(reasons(&venue.apply(correct(Direction::Credit, 0))), [RejectReason::AmountInvalid]);
}

#[test]
fn limits_for_one_instrument_bind_beside_the_accounts() {
    let mut venue = Venue::open();
    let set = |instrument, limits| SetAccountLimits { account: ALICE, instrument, limits, note: AdminNote::NONE };
    let wide = AccountLimits { quantity_max: Quantity(10), open_orders_max: 3, ..AccountLimits::DEFAULT };
    let narrow = AccountLimits { quantity_max: Quantity(20), open_orders_max: 1, ..AccountLimits::DEFAULT };
    venue.expect_accepted(set(InstrumentId::NONE, wide));
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(1));
    // The order that is open already counts.
    venue.expect_accepted(set(BTC_USD, narrow));
    let elsewhere = |name| NewOrder { instrument: UNSETTLED, ..limit(Side::Buy, 10, 1).named(name) };
    assert_eq!(told(&venue.apply(limit(Side::Buy, 10, 11).named(2))), ["refused 2: AccountQuantityLimit"]);
    assert_eq!(told(&venue.apply(limit(Side::Buy, 10, 1).named(2))), ["refused 2: AccountOpenOrdersLimit"]);
    venue.expect_accepted(elsewhere(3));
    venue.expect_accepted(cancel(ALICE, 1));
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(4));
    venue.expect_accepted(elsewhere(5));
    assert_eq!(told(&venue.apply(elsewhere(6))), ["refused 6: AccountOpenOrdersLimit"]);
    // Limits that bound nothing are none; a restored venue counts the same.
    let restored = Engine::read_snapshot(&venue.snapshot()).unwrap();
    venue.engine = restored;
    venue.expect_accepted(cancel(ALICE, 5));
    assert_eq!(told(&venue.apply(limit(Side::Buy, 10, 1).named(7))), ["refused 7: AccountOpenOrdersLimit"]);
    venue.expect_accepted(set(BTC_USD, AccountLimits::DEFAULT));
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(7));
}

#[test]
fn an_account_has_limits_of_its_own_in_sixteen_instruments_at_most() {
    let mut venue = Venue::empty(Capacity { instruments: 17, ..Capacity::SMALL });
    for account in [ALICE, BOB] {
        venue.expect_accepted(open_account(account));
    }
    for instrument in 1..=17 {
        let listed = listing(InstrumentId(instrument), Holds::Off);
        venue.expect_accepted(ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listed });
    }
    let set = |account, instrument, most| SetAccountLimits {
        account,
        instrument: InstrumentId(instrument),
        limits: AccountLimits { quantity_max: Quantity(most), ..AccountLimits::DEFAULT },
        note: AdminNote::NONE,
    };
    for instrument in 1..=16 {
        venue.expect_accepted(set(ALICE, instrument, 10));
        venue.expect_accepted(set(BOB, instrument, 20));
    }
    assert_eq!(reasons(&venue.apply(set(ALICE, 17, 10))), [RejectReason::CapacityFull]);
    // What is set may change, and binds whom it was set for.
    venue.expect_accepted(set(ALICE, 16, 5));
    for (account, most) in [(ALICE, 5), (BOB, 20)] {
        let order = |quantity| NewOrder { instrument: InstrumentId(16), ..limit(Side::Buy, 1, quantity).by(account) };
        venue.expect_accepted(order(most));
        assert_eq!(reasons(&venue.apply(order(most + 1))), [RejectReason::AccountQuantityLimit]);
    }
}
