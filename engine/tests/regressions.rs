//! What once was wrong, each with its story.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::*;
use engine::*;

const ALICES_KEY: KeyId = KeyId(1);
const EVES_KEY: KeyId = KeyId(2);
const ALICES_SESSION: SessionId = SessionId(5);
const EVES_SESSION: SessionId = SessionId(6);

fn through(author: KeyId, session: SessionId, number: u64) -> CommandHeader {
    CommandHeader { author, session, client_sequence: SessionSequence(number), received_at: Timestamp(1) }
}

fn alice(number: u64) -> CommandHeader {
    through(ALICES_KEY, ALICES_SESSION, number)
}

fn eve(number: u64) -> CommandHeader {
    through(EVES_KEY, EVES_SESSION, number)
}

fn negotiate(version: u64) -> Negotiate {
    Negotiate { version: SessionVersion(version) }
}

/// Orders are cancelled 500 ns after a loss.
fn establish(version: u64, nonce: u64) -> Establish {
    Establish {
        version: SessionVersion(version),
        nonce: LoginNonce(nonce),
        cancel_on_disconnect: CancelOnDisconnect::Cancel,
        cancel_grace: Nanoseconds(500),
        keep_alive: Nanoseconds(9),
    }
}

fn lost(version: u64) -> Disconnect {
    Disconnect { version: SessionVersion(version), reason: DisconnectReason::ConnectionLost }
}

fn add_key(key: KeyId, byte: u8) -> AddKey {
    AddKey { key, kind: KeyKind::Ed25519, public_key: [byte; 32], note: AdminNote::NONE }
}

/// Alice's key trades for Alice, Eve's for Carol; both have a session open.
fn venue() -> Venue {
    let mut venue = Venue::open();
    let note = AdminNote::NONE;
    for (key, byte, account, header) in [(ALICES_KEY, 1, ALICE, alice(0)), (EVES_KEY, 2, CAROL, eve(0))] {
        venue.expect_accepted(add_key(key, byte));
        venue.expect_accepted(GrantRole { key, role: Role::Trader, account, note });
        venue.apply_from(header, negotiate(1));
        assert_eq!(reasons(&venue.apply_from(header, establish(1, 1))), []);
    }
    venue
}

fn everything_of(entered_by: SessionId) -> MassCancel {
    MassCancel {
        account: AccountId::NONE,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by,
        client_order_id: ClientOrderId(77),
        note: AdminNote::NONE,
    }
}

/// A trader who was lost, logged in and was lost again before the opening kept orders for ever: the login had cleared
/// the deadline, and the second loss was refused because nothing was open.
#[test]
fn a_login_alone_does_not_disarm_cancel_on_disconnect() {
    for lose_first in [true, false] {
        let mut venue = venue();
        venue.apply_from(alice(1), limit(Side::Buy, 10, 1).named(1));
        if lose_first {
            venue.apply_from(alice(0), lost(1));
        }
        let events = venue.apply_from(alice(0), negotiate(2));
        let replaced = |event: &Event| matches!(event, Event::SessionDisconnected(event) if event.reason == DisconnectReason::Replaced);
        assert_eq!(events.iter().any(replaced), !lose_first, "{events:?}");
        assert_eq!(venue.engine.next_deadline(), Timestamp(1_500));
        venue.apply_from(alice(0), lost(2));
        venue.time = Timestamp(1_500);
        assert_eq!(cancels(&venue.apply(AdvanceTime {})), [(1, 1, CancelReason::Disconnected)]);
    }
}

/// The loss of connection A could be sequenced behind the login on connection B, and ended it.
#[test]
fn a_late_disconnect_does_not_end_the_new_login() {
    let mut venue = venue();
    venue.apply_from(alice(0), negotiate(2));
    venue.apply_from(alice(0), establish(2, 2));
    assert_eq!(reasons(&venue.apply_from(alice(0), lost(1))), [RejectReason::SessionNotNegotiated]);
    assert_eq!(reasons(&venue.apply_from(alice(1), limit(Side::Buy, 10, 1))), []);
}

/// A mass cancel of one's own session asked for no right.
#[test]
fn a_key_that_lost_its_right_cancels_nothing() {
    let note = AdminNote::NONE;
    let mut venue = venue();
    venue.apply_from(alice(1), limit(Side::Buy, 10, 1).named(1));
    venue.expect_accepted(RevokeRole { key: ALICES_KEY, role: Role::Trader, account: ALICE, note });
    assert_eq!(cancels(&venue.apply_from(alice(2), everything_of(ALICES_SESSION))), []);
    venue.expect_accepted(RevokeKey { key: ALICES_KEY, note });
    let events = venue.apply_from(alice(3), everything_of(ALICES_SESSION));
    assert_eq!(reasons(&events), [RejectReason::NotEntitled]);
    assert_eq!(venue.side(Side::Buy).len(), 1);
}

/// A stranger's refused order carried the account's next execution number, and left a gap in the account's own.
#[test]
fn a_stranger_learns_nothing_and_leaves_no_gap() {
    let mut venue = venue();
    venue.apply_from(alice(1), limit(Side::Buy, 10, 1).named(1));
    let numbers = |events: &[Event]| match events {
        [Event::OrderRejected(event)] => (event.report.exec_id, event.report.report_number),
        [Event::CancelRejected(event)] => (event.report.exec_id, event.report.report_number),
        [Event::MassCancelRejected(event)] => (event.report.exec_id, event.report.report_number),
        [Event::CommandRejected(event)] => (event.report.exec_id, event.report.report_number),
        other => panic!("{other:?}"),
    };
    let kill = KillSwitch { account: ALICE, switch: Switch::Engaged, note: AdminNote::NONE };
    let attempts: [CommandBody; 5] = [
        limit(Side::Buy, 10, 1).by(ALICE).named(9).into(),
        limit(Side::Buy, 10, 1).by(AccountId(15)).named(9).into(),
        cancel(ALICE, 1).into(),
        MassCancel { account: ALICE, ..everything_of(SessionId::NONE) }.into(),
        kill.into(),
    ];
    for (number, attempt) in (1..).zip(attempts) {
        let events = venue.apply_from(eve(number), attempt);
        assert_eq!(reasons(&events), [RejectReason::NotEntitled]);
        assert_eq!(numbers(&events), (ExecId::NONE, SessionSequence(number)), "{attempt:?}");
    }
    let events = venue.apply_from(alice(2), limit(Side::Buy, 10, 1).named(2));
    let [Event::OrderAccepted(accepted)] = events[..] else { panic!("{events:?}") };
    assert_eq!(accepted.report.exec_id, ExecId(2));
}

/// A trader's kill switches filled the ring of idempotency keys, and a retried deposit was paid twice.
#[test]
fn a_trader_cannot_push_out_administrators_requests() {
    let mut venue = venue();
    let note = |key| AdminNote { idempotency_key: IdempotencyKey(key), reason: Text::EMPTY };
    let deposit = Deposit { note: note(77), ..deposit(ALICE, USD, 100) };
    venue.expect_accepted(deposit);
    for number in 1..=4_096 {
        let kill = KillSwitch { account: CAROL, switch: Switch::Engaged, note: note(number) };
        assert_eq!(reasons(&venue.apply_from(eve(number), kill)), []);
    }
    assert_eq!(reasons(&venue.apply(deposit)), [RejectReason::DuplicateRequest]);
}

/// A key that was granted nothing could negotiate every session there is, and be revoked with them.
#[test]
fn a_key_without_a_role_takes_no_session() {
    let mut venue = venue();
    let (key, note) = (KeyId(3), AdminNote::NONE);
    venue.expect_accepted(add_key(key, 3));
    let header = through(key, SessionId(1), 0);
    assert_eq!(reasons(&venue.apply_from(header, negotiate(5))), [RejectReason::NotEntitled]);
    venue.expect_accepted(GrantRole { key, role: Role::Trader, account: BOB, note });
    assert_eq!(reasons(&venue.apply_from(header, negotiate(5))), []);
    let claim = through(ALICES_KEY, SessionId(1), 0);
    assert_eq!(reasons(&venue.apply_from(claim, negotiate(6))), [RejectReason::SessionKeyMismatch]);
    venue.expect_accepted(RevokeKey { key, note });
    assert_eq!(reasons(&venue.apply_from(claim, negotiate(6))), []);
}

/// Whoever claimed a revoked key's session was told what happened to its orders, and its own loss cancelled them.
#[test]
fn a_revoked_keys_session_is_not_claimed_while_its_orders_are_open() {
    let mut venue = venue();
    let (key, session, note) = (KeyId(3), SessionId(1), AdminNote::NONE);
    venue.expect_accepted(add_key(key, 3));
    venue.expect_accepted(GrantRole { key, role: Role::Trader, account: BOB, note });
    let at = |number| through(key, session, number);
    assert_eq!(reasons(&venue.apply_from(at(0), negotiate(5))), []);
    assert_eq!(reasons(&venue.apply_from(at(0), establish(5, 9))), []);
    assert_eq!(reasons(&venue.apply_from(at(1), limit(Side::Buy, 10, 1).by(BOB).named(1))), []);
    venue.expect_accepted(RevokeKey { key, note });
    let claim = through(ALICES_KEY, session, 0);
    assert_eq!(reasons(&venue.apply_from(claim, negotiate(6))), [RejectReason::SessionKeyMismatch]);
    venue.expect_accepted(MassCancel { account: BOB, ..everything_of(session) });
    // It goes on behind the last login and opening.
    assert_eq!(reasons(&venue.apply_from(claim, negotiate(5))), [RejectReason::SessionVersionNotGreater]);
    assert_eq!(reasons(&venue.apply_from(claim, negotiate(6))), []);
    assert_eq!(reasons(&venue.apply_from(claim, establish(6, 9))), [RejectReason::SessionNonceNotGreater]);
    assert_eq!(reasons(&venue.apply_from(claim, establish(6, 10))), []);
}

/// An amend was refused for its expiry although its notional came first.
#[test]
fn an_amend_is_judged_by_notional_before_expiry() {
    let mut venue = Venue::open();
    let limits = InstrumentLimits { notional_max: Amount(1_000), ..InstrumentLimits::DEFAULT };
    venue.expect_accepted(SetInstrumentLimits { instrument: BTC_USD, limits, note: AdminNote::NONE });
    venue.expect_accepted(limit(Side::Buy, 10, 10).named(1));
    let amend = ReplaceOrder { quantity: Quantity(200), expire_at: Timestamp(5_000), ..replace(1) };
    assert_eq!(reasons(&venue.apply(amend)), [RejectReason::NotionalAboveMaximum]);
}

/// An amend of an order that had just been filled, under the same name, was called a duplicate.
#[test]
fn an_amend_of_a_filled_order_names_an_unknown_order() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(1));
    venue.expect_accepted(limit(Side::Sell, 10, 1).by(BOB).named(1));
    let events = venue.apply(ReplaceOrder { client_order_id: ClientOrderId(1), ..replace(1) });
    let [Event::CancelRejected(rejected)] = events[..] else { panic!("{events:?}") };
    assert_eq!((rejected.reason, rejected.order_status), (RejectReason::UnknownOrder, Some(OrderStatus::Filled)));
}

/// Limits that were lowered after an order was accepted kept its owner from shrinking it.
#[test]
fn a_shrinking_amend_is_bound_by_no_later_limit() {
    let none = AccountLimits::DEFAULT;
    let account_limits = [
        AccountLimits { quantity_max: Quantity(5), ..none },
        AccountLimits { notional_max: Amount(5), ..none },
        AccountLimits { open_orders_max: 0, ..none },
        AccountLimits { price_deviation: Distance::ticks(1), ..none },
    ];
    let note = AdminNote::NONE;
    let of_account = |limits| SetAccountLimits { account: ALICE, instrument: InstrumentId::NONE, limits, note }.into();
    let bounds = InstrumentLimits { price_max: Price(99), quantity_max: Quantity(5), ..InstrumentLimits::DEFAULT };
    let of_instrument = SetInstrumentLimits { instrument: BTC_USD, limits: bounds, note };
    let lowered: Vec<CommandBody> = account_limits.map(of_account).into_iter().chain([of_instrument.into()]).collect();
    for limits in lowered {
        let mut venue = Venue::open();
        venue.expect_accepted(limit(Side::Buy, 100, 10).named(1));
        venue.expect_accepted(limit(Side::Buy, 110, 1).by(BOB));
        venue.expect_accepted(limit(Side::Sell, 110, 1).by(CAROL));
        venue.expect_accepted(limits);
        let events = venue.apply(ReplaceOrder { quantity: Quantity(9), ..replace(1) });
        assert_eq!(reasons(&events), [], "{limits:?}");
    }
}

/// With a narrow deviation limit every market order was refused, because its protection reached further.
#[test]
fn a_market_order_reaches_no_further_than_its_account_may() {
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Sell, 100, 10).by(BOB).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 8).by(CAROL).named(2));
    venue.expect_accepted(limit(Side::Sell, 106, 1).by(BOB).named(3));
    let limits = AccountLimits { price_deviation: Distance::parts_per_million(50_000), ..AccountLimits::DEFAULT };
    let set = SetAccountLimits { account: ALICE, instrument: InstrumentId::NONE, limits, note: AdminNote::NONE };
    venue.expect_accepted(set);
    // Two at 100; 106 is within the market's 10 % but not within the account's 5 %.
    let events = venue.expect_accepted(market(Side::Buy, 3).named(4));
    assert_eq!(trades(&events), [(1, 4, 100, 2)]);
    assert_eq!(cancels(&events), [(4, 1, CancelReason::MarketProtection)]);
}

/// A victim of a named mass cancel did not name it.
#[test]
fn a_mass_cancel_names_itself_on_every_order_that_it_ends() {
    let mut venue = venue();
    venue.apply_from(alice(1), limit(Side::Buy, 10, 1).named(1));
    let events = venue.apply_from(alice(2), everything_of(ALICES_SESSION));
    let Event::OrderCancelled(cancelled) = events[0] else { panic!("{events:?}") };
    assert_eq!(cancelled.request_client_order_id, ClientOrderId(77));
}

/// Anybody could send the venue's own tick, under another's session.
#[test]
fn only_the_venue_advances_time() {
    let mut venue = venue();
    venue.apply_from(alice(1), limit(Side::Buy, 10, 1).named(1));
    venue.apply_from(alice(0), lost(1));
    venue.time = Timestamp(2_000);
    let events = venue.apply_from(through(EVES_KEY, ALICES_SESSION, 0), AdvanceTime {});
    assert_eq!(reasons(&events), [RejectReason::NotEntitled]);
    assert_eq!(cancels(&venue.apply(AdvanceTime {})).len(), 1);
}

/// A seller who was amended up and down in price traded more than an order may, and the engine refused its own snapshot.
#[test]
fn an_order_may_trade_more_than_its_limit_says() {
    let mut venue = Venue::empty(Capacity::SMALL);
    venue.expect_accepted(asset(BTC, "BTC"));
    venue.expect_accepted(AddAsset { decimals: 17, ..asset(USD, "USD") });
    venue.expect_accepted(listing(BTC_USD, Holds::On));
    for account in [ALICE, BOB] {
        venue.expect_accepted(open_account(account));
    }
    let price = Price::MAX.0;
    venue.expect_accepted(deposit(ALICE, USD, Amount::MAX.0));
    venue.expect_accepted(deposit(BOB, BTC, 10));
    venue.expect_accepted(limit(Side::Buy, price, 1).named(1));
    // One sold at the highest price, one left.
    venue.expect_accepted(limit(Side::Sell, 1, 2).by(BOB).named(1));
    venue.expect_accepted(Withdraw { account: BOB, asset: USD, amount: Amount::MAX, note: AdminNote::NONE });
    venue.expect_accepted(deposit(ALICE, USD, Amount::MAX.0));
    venue.expect_accepted(ReplaceOrder { account: BOB, price: Price(price / 4), ..replace(1) });
    venue.expect_accepted(limit(Side::Buy, price / 4 - 1, 1).named(2));
    venue.expect_accepted(ReplaceOrder { account: BOB, price: Price(1), quantity: Quantity(3), ..replace(1) });
    assert!(Engine::read_snapshot(&venue.snapshot()).is_ok());
}

/// The bytes of the venue's snapshot with `from` changed to `to`, once.
fn altered(venue: &Venue, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = venue.snapshot();
    let at = bytes.windows(from.len()).position(|window| window == from).expect("something to change");
    bytes.splice(at..at + from.len(), to.iter().copied());
    bytes
}

/// Settings were taken from a snapshot as they stood: a price limit beyond every price, a rate beyond every notional.
#[test]
fn a_snapshot_with_settings_that_no_command_makes_is_refused() {
    let mut venue = venue();
    venue.expect_accepted(set_fees(-1_234, 5_678));
    venue.expect_accepted(limit(Side::Buy, 10, 1).named(1));
    venue.expect_accepted(cancel(ALICE, 1));
    let bounds = |price: u64| [Quantity::MAX.0.to_le_bytes(), price.to_le_bytes()].concat();
    let rates = |maker: i32| [maker.to_le_bytes(), 5_678_i32.to_le_bytes()].concat();
    let grants = |first: [u32; 2], then: [u32; 2]| {
        [first, then].map(|[key, account]| [&key.to_le_bytes()[..], &account.to_le_bytes(), &[1]].concat()).concat()
    };
    let slots = |free: &[u32]| {
        let count = free.len() as u32;
        let free = free.iter().flat_map(|slot| slot.to_le_bytes());
        let head = [&1_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &count.to_le_bytes()].concat();
        head.into_iter().chain(free).collect::<Vec<_>>()
    };
    let changes = [
        ("a price limit", bounds(Price::MAX.0), bounds(u64::MAX - 5)),
        ("a rate", rates(-1_234), rates(i32::MIN)),
        ("grants out of order", grants([1, 2], [2, 4]), grants([2, 4], [1, 2])),
        ("a slot that is lost", slots(&[0]), slots(&[])),
    ];
    for (what, from, to) in changes {
        assert!(Engine::read_snapshot(&altered(&venue, &from, &to)).is_err(), "{what}");
    }
}

/// A header of 120 bytes asked for 137 GB, and the process was gone.
#[test]
fn a_snapshot_does_not_ask_for_more_memory_than_a_venue_has() {
    let venue = Venue::empty(Capacity::SMALL);
    let small: Vec<u8> = [Capacity::SMALL.orders, Capacity::SMALL.accounts, Capacity::SMALL.assets]
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .collect();
    let large: Vec<u8> = [Capacity::MAX.orders, Capacity::MAX.accounts, Capacity::MAX.assets]
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .collect();
    let refused = Engine::read_snapshot(&altered(&venue, &small, &large)).unwrap_err();
    assert_eq!(refused, SnapshotError::Inconsistent("its capacities are beyond what a venue can have"));
}
