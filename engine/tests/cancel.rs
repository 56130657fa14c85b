//! Taking orders out: one, many, a blocked account's.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::Phase;
use engine::*;

/// Alice: bid 1, ask 2 in BTC-USD, bid 3 in the other instrument. Bob: bid 4.
fn book() -> Venue {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 10).named(1));
    venue.expect_accepted(limit(Side::Sell, 110, 10).named(2));
    venue.expect_accepted(NewOrder { instrument: UNSETTLED, ..limit(Side::Buy, 100, 10).named(3) });
    venue.expect_accepted(limit(Side::Buy, 100, 10).by(BOB).named(4));
    venue
}

fn mass_cancel(account: AccountId) -> MassCancel {
    MassCancel {
        account,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note: AdminNote::NONE,
    }
}

#[test]
fn a_cancel_releases_the_hold_and_ends_the_order() {
    let mut venue = book();
    assert_eq!(venue.balances(ALICE), [ENDOWMENT - 10, 10, ENDOWMENT - 1_000, 1_000]);
    let events = venue.expect_accepted(cancel(ALICE, 1));
    let Event::OrderCancelled(event) = events[0] else { panic!("{events:?}") };
    assert_eq!(
        (event.order.leaves, event.cancelled, event.reason),
        (Quantity(0), Quantity(10), CancelReason::Requested)
    );
    assert_eq!(venue.balances(ALICE), [ENDOWMENT - 10, 10, ENDOWMENT, 0]);
    assert_eq!(reasons(&venue.apply(cancel(ALICE, 1))), [RejectReason::UnknownOrder]);
}

#[test]
fn an_order_is_found_by_the_venues_name_but_only_by_its_owner() {
    let mut venue = book();
    let order_id = venue.engine.orders(BTC_USD, Side::Buy).next().unwrap().order_id;
    let by_id = |account| CancelOrder { order_id, ..cancel(account, 0) };
    assert_eq!(reasons(&venue.apply(by_id(BOB))), [RejectReason::UnknownOrder]);
    assert_eq!(cancels(&venue.expect_accepted(by_id(ALICE))), [(1, 10, CancelReason::Requested)]);
    // The slot serves another order now; the old id does not name it.
    venue.expect_accepted(limit(Side::Buy, 100, 1).named(5));
    assert_eq!(reasons(&venue.apply(by_id(ALICE))), [RejectReason::UnknownOrder]);
}

#[test]
fn a_mass_cancel_takes_what_every_filter_names_oldest_first() {
    let ended = |filter: MassCancel| {
        let events = book().expect_accepted(filter);
        let Some(Event::MassCancelled(done)) = events.last() else { panic!("{events:?}") };
        let names: Vec<u64> = cancels(&events).iter().map(|cancel| cancel.0).collect();
        assert_eq!(done.cancelled_count as usize, names.len());
        names
    };
    assert_eq!(ended(mass_cancel(ALICE)), [1, 2, 3]);
    assert_eq!(ended(MassCancel { instrument: BTC_USD, ..mass_cancel(ALICE) }), [1, 2]);
    assert_eq!(ended(MassCancel { side: Some(Side::Buy), ..mass_cancel(ALICE) }), [1, 3]);
    assert_eq!(ended(MassCancel { instrument: UNSETTLED, side: Some(Side::Sell), ..mass_cancel(ALICE) }), [0; 0]);
    assert_eq!(ended(mass_cancel(AccountId::NONE)), [1, 2, 3, 4]);
    assert_eq!(ended(MassCancel { entered_by: SessionId(9), ..mass_cancel(ALICE) }), [0; 0]);
}

#[test]
fn a_kill_switch_cancels_everything_and_blocks_entry_until_lifted() {
    let mut venue = book();
    let switch = |switch| KillSwitch { account: ALICE, switch, note: AdminNote::NONE };
    let events = venue.expect_accepted(switch(Switch::Engaged));
    assert_eq!(
        cancels(&events),
        [(1, 10, CancelReason::KillSwitch), (2, 10, CancelReason::KillSwitch), (3, 10, CancelReason::KillSwitch)]
    );
    assert_eq!(venue.balances(ALICE), [ENDOWMENT, 0, ENDOWMENT, 0]);
    assert_eq!(reasons(&venue.apply(limit(Side::Buy, 1, 1))), [RejectReason::AccountBlocked]);
    venue.expect_accepted(switch(Switch::Lifted));
    venue.expect_accepted(limit(Side::Buy, 1, 1));
}

#[test]
fn nothing_takes_in_the_post_only_phase_not_even_an_amend() {
    let mut venue = book();
    venue.expect_accepted(set_phase(BTC_USD, Phase::PostOnly));
    let events = venue.apply(ReplaceOrder { price: Price(110), ..replace(1) });
    assert_eq!(reasons(&events), [RejectReason::PostOnlyWouldTake]);
}

#[test]
fn a_refused_request_says_what_became_of_its_order() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 100, 5).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 5).named(2));
    venue.expect_accepted(limit(Side::Sell, 100, 7).by(BOB).named(3));
    let id_of = |venue: &Venue, name| {
        venue.engine.order_status(ALICE, OrderId::NONE, ClientOrderId(name)).expect("it is remembered").0
    };
    let (filled, partly) = (id_of(&venue, 1), id_of(&venue, 2));
    let refused = |venue: &mut Venue, body: CommandBody| match venue.apply(body)[..] {
        [Event::CancelRejected(rejected)] => rejected.order_status,
        ref events => panic!("{events:?}"),
    };
    let by_id = |order_id| CancelOrder { order_id, ..cancel(ALICE, 0) };
    let amend_by_id = |order_id| ReplaceOrder { order_id, quantity: Quantity(0), ..replace(0) };
    assert_eq!(refused(&mut venue, cancel(ALICE, 1).into()), Some(OrderStatus::Filled));
    assert_eq!(refused(&mut venue, by_id(filled).into()), Some(OrderStatus::Filled));
    assert_eq!(refused(&mut venue, amend_by_id(partly).into()), Some(OrderStatus::PartiallyFilled));
    // The venue's name decides, if there is one: here it names nothing.
    let nothing = OrderId::from_parts(77, 1);
    let wrong_id = CancelOrder { original_client_order_id: ClientOrderId(2), ..by_id(nothing) };
    assert_eq!(refused(&mut venue, wrong_id.into()), None);
    // Another account's order is nobody's business.
    let foreign = CancelOrder { account: BOB, ..by_id(partly) };
    assert_eq!(refused(&mut venue, foreign.into()), None);
}

#[test]
fn an_administrators_cancel_says_so() {
    let mut venue = Venue::open();
    let administrator = CommandHeader { author: KeyId(1), ..CommandHeader::VENUE };
    let note = AdminNote::NONE;
    venue.expect_accepted(AddKey { key: KeyId(1), kind: KeyKind::Ed25519, public_key: [1; 32], note });
    let role = Role::Administrator;
    venue.expect_accepted(GrantRole { key: KeyId(1), role, account: AccountId::NONE, note });
    venue.expect_accepted(limit(Side::Buy, 100, 5).named(1));
    assert_eq!(told(&venue.apply_from(administrator, cancel(ALICE, 1))), ["cancel 5 of 1: Administrator"]);
    // A mass cancel with a key acts once.
    venue.expect_accepted(limit(Side::Buy, 100, 5).named(2));
    let note = AdminNote { idempotency_key: IdempotencyKey(8), reason: text("end of test") };
    let mass = MassCancel {
        account: ALICE,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note,
    };
    assert_eq!(told(&venue.apply_from(administrator, mass)), ["cancel 5 of 2: MassCancel"]);
    venue.expect_accepted(limit(Side::Buy, 100, 5).named(3));
    assert_eq!(reasons(&venue.apply_from(administrator, mass)), [RejectReason::DuplicateRequest]);
    assert_eq!(venue.side(Side::Buy), [(3, 100, 5)]);
}
