//! Rule 8.17: a trade goes back.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::*;

fn bust(trade: u64) -> BustTrade {
    BustTrade { instrument: BTC_USD, trade_id: TradeId(trade), note: AdminNote::NONE }
}

fn all_balances(venue: &Venue) -> Vec<[u128; 4]> {
    [AccountId::FEES, ALICE, BOB, CAROL].map(|account| venue.balances(account)).to_vec()
}

#[test]
fn a_busted_trade_goes_back_with_its_fees() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(-5_000, 10_000));
    let before = all_balances(&venue);
    venue.expect_accepted(limit(Side::Sell, 100, 10).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 10).by(BOB).named(2));
    // 1,000 traded: the taker pays 10, the maker gets 5.
    assert_eq!(venue.balances(AccountId::FEES)[2], 5);
    let events = venue.expect_accepted(bust(1));
    assert_eq!(all_balances(&venue), before);
    let Event::TradeBusted(busted) = events[0] else { panic!("{events:?}") };
    assert_eq!((busted.price, busted.quantity), (Price(100), Quantity(10)));
    assert_eq!((busted.buyer.fee, busted.seller.fee), (SignedAmount(-10), SignedAmount(5)));
    assert_eq!((busted.buyer.client_order_id, busted.seller.client_order_id), (ClientOrderId(2), ClientOrderId(1)));
    let changes: Vec<_> = events[1..]
        .iter()
        .map(|event| match event {
            Event::BalanceChanged(BalanceChanged {
                account, asset, cause: BalanceCause::TradeBust, change, ..
            }) => (*account, *asset, change.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        changes,
        [(BOB, BTC, -10), (BOB, USD, 1_010), (ALICE, BTC, 10), (ALICE, USD, -1_005), (AccountId::FEES, USD, -5)]
    );
}

#[test]
fn the_orders_stay_as_they_are() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 10).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 4).by(BOB).named(2));
    let events = venue.expect_accepted(bust(1));
    let Event::TradeBusted(busted) = events[0] else { panic!("{events:?}") };
    assert_eq!((busted.seller.leaves, busted.seller.cumulative), (Quantity(6), Quantity(4)));
    assert_eq!((busted.buyer.leaves, busted.buyer.cumulative), (Quantity::ZERO, Quantity::ZERO));
    assert_eq!(venue.side(Side::Sell), [(1, 100, 6)]);
    // And what fills later is settled as if nothing had been.
    venue.expect_accepted(limit(Side::Buy, 100, 6).by(BOB).named(3));
    assert_eq!(venue.balances(ALICE), [ENDOWMENT - 6, 0, ENDOWMENT + 600, 0]);
}

#[test]
fn a_bust_that_a_balance_does_not_cover_changes_nothing() {
    let trade = || {
        let mut venue = Venue::open();
        venue.expect_accepted(limit(Side::Sell, 100, 10).named(1));
        venue.expect_accepted(limit(Side::Buy, 100, 10).by(BOB).named(2));
        venue
    };
    let withdraw = |account, asset, amount| Withdraw { account, asset, amount: Amount(amount), note: AdminNote::NONE };
    for gone in [withdraw(BOB, BTC, ENDOWMENT + 1), withdraw(ALICE, USD, ENDOWMENT + 1)] {
        let mut venue = trade();
        venue.expect_accepted(gone);
        let before = venue.snapshot();
        assert_eq!(reasons(&venue.apply(bust(1))), [RejectReason::InsufficientFunds]);
        // The sequence is part of a snapshot: all else is the same.
        assert_eq!(venue.snapshot().len(), before.len());
        assert_eq!(venue.book_bytes(), {
            let mut other = trade();
            other.expect_accepted(gone);
            other.book_bytes()
        });
        venue.expect_accepted(deposit(gone.account, gone.asset, 1));
        venue.expect_accepted(bust(1));
    }
    // What an order holds is not available.
    let mut venue = trade();
    venue.expect_accepted(limit(Side::Sell, 200, ENDOWMENT as u64 + 1).by(BOB).named(3));
    assert_eq!(reasons(&venue.apply(bust(1))), [RejectReason::InsufficientFunds]);
}

#[test]
fn the_fee_account_keeps_what_open_orders_may_need() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(0, 10_000));
    venue.expect_accepted(limit(Side::Sell, 100, 1).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 1).by(BOB).named(2));
    assert_eq!(venue.balances(AccountId::FEES)[2], 1);
    venue.expect_accepted(limit(Side::Buy, 10, 1).by(BOB).named(3));
    assert_eq!(reasons(&venue.apply(bust(1))), [RejectReason::InsufficientFunds]);
    venue.expect_accepted(cancel(BOB, 3));
    venue.expect_accepted(bust(1));
}

#[test]
fn only_a_recent_trade_is_busted_and_once() {
    let mut venue = Venue::open();
    let trade = |venue: &mut Venue, name: u64| {
        let unsettled = |order: NewOrder| NewOrder { instrument: UNSETTLED, ..order.named(name) };
        venue.engine_only(unsettled(limit(Side::Sell, 100, 1)));
        venue.engine_only(unsettled(limit(Side::Buy, 100, 1).by(BOB)));
    };
    let unsettled = |trade| BustTrade { instrument: UNSETTLED, ..bust(trade) };
    for name in 1..=16_384 {
        trade(&mut venue, name);
    }
    assert_eq!(reasons(&venue.apply(unsettled(0))), [RejectReason::UnknownTrade]);
    assert_eq!(reasons(&venue.apply(unsettled(16_385))), [RejectReason::UnknownTrade]);
    assert_eq!(reasons(&venue.apply(bust(1))), [RejectReason::UnknownTrade], "of another instrument");
    let events = venue.expect_accepted(unsettled(1));
    assert_eq!(events.len(), 1, "without holds no balance moves");
    assert_eq!(reasons(&venue.apply(unsettled(1))), [RejectReason::UnknownTrade], "it was busted");
    for name in 16_385..=16_390 {
        trade(&mut venue, name);
    }
    assert_eq!(reasons(&venue.apply(unsettled(6))), [RejectReason::UnknownTrade], "it is too old");
    venue.expect_accepted(unsettled(7));
    venue.expect_accepted(unsettled(16_390));
    // A restored venue remembers the same.
    let mut restored = Engine::read_snapshot(&venue.snapshot()).unwrap();
    std::mem::swap(&mut venue.engine, &mut restored);
    assert_eq!(reasons(&venue.apply(unsettled(7))), [RejectReason::UnknownTrade]);
    venue.expect_accepted(unsettled(8));
}

#[test]
fn a_trade_of_an_account_with_itself_goes_back() {
    let mut venue = Venue::open();
    venue.expect_accepted(set_fees(0, 10_000));
    venue.expect_accepted(limit(Side::Sell, 100, 10).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 10).named(2));
    // All of Alice's BTC is sold on meanwhile: what goes back and forth needs none of it.
    venue.expect_accepted(Withdraw { account: ALICE, asset: BTC, amount: Amount(ENDOWMENT), note: AdminNote::NONE });
    venue.expect_accepted(bust(1));
    assert_eq!(venue.balances(ALICE), [0, 0, ENDOWMENT, 0]);
}
