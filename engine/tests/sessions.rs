//! Sessions: numbers, repetitions, gaps, rights, and what a loss does.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::*;

const KEY: KeyId = KeyId(1);
const OTHER_KEY: KeyId = KeyId(2);
const SESSION: SessionId = SessionId(5);

fn from(author: KeyId, client_sequence: u64) -> CommandHeader {
    let client_sequence = SessionSequence(client_sequence);
    CommandHeader { author, session: SESSION, client_sequence, received_at: Timestamp(77) }
}

fn negotiate(version: u64) -> Negotiate {
    Negotiate { version: SessionVersion(version) }
}

fn lost(version: u64) -> Disconnect {
    Disconnect { version: SessionVersion(version), reason: DisconnectReason::ConnectionLost }
}

fn establish(version: u64, nonce: u64) -> Establish {
    Establish {
        version: SessionVersion(version),
        nonce: LoginNonce(nonce),
        cancel_on_disconnect: CancelOnDisconnect::Cancel,
        cancel_grace: Nanoseconds(500),
        keep_alive: Nanoseconds(1_000),
    }
}

/// Alice's key may trade for her; another key may not.
fn venue() -> Venue {
    let mut venue = Venue::open();
    for key in [KEY, OTHER_KEY] {
        let public_key = [u8::try_from(key.0).unwrap(); 32];
        venue.expect_accepted(AddKey { key, kind: KeyKind::Ed25519, public_key, note: AdminNote::NONE });
    }
    venue.expect_accepted(GrantRole { key: KEY, role: Role::Trader, account: ALICE, note: AdminNote::NONE });
    venue.expect_accepted(GrantRole { key: OTHER_KEY, role: Role::ReadOnly, account: ALICE, note: AdminNote::NONE });
    venue
}

/// The same, with a session established.
fn established() -> Venue {
    let mut venue = venue();
    venue.apply_from(from(KEY, 0), negotiate(1));
    venue.apply_from(from(KEY, 0), establish(1, 1));
    venue
}

fn accepted(events: &[Event]) -> &OrderAccepted {
    match events {
        [Event::OrderAccepted(accepted)] => accepted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_begins_both_streams_at_one() {
    let mut venue = venue();
    let events = venue.apply_from(from(KEY, 0), negotiate(7));
    assert_eq!(
        events,
        [Event::SessionNegotiated(SessionNegotiated { session: SESSION, key: KEY, version: SessionVersion(7) })]
    );
    let events = venue.apply_from(from(KEY, 0), establish(7, 1));
    let [Event::SessionEstablished(event)] = events[..] else { panic!("{events:?}") };
    assert_eq!((event.next_client_sequence, event.next_report_number), (SessionSequence(1), SessionSequence(1)));
}

#[test]
fn every_report_is_numbered_and_names_the_command_that_it_answers() {
    let mut venue = established();
    let report = accepted(&venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1).named(1))).report;
    assert_eq!(
        (report.session, report.report_number, report.client_sequence),
        (SESSION, SessionSequence(1), SessionSequence(1))
    );
    // Bob trades with it: Alice's session gets its second report, which answers no command of hers.
    let events = venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB));
    let Event::Trade(trade) = events[1] else { panic!("{events:?}") };
    let report = trade.maker.report;
    assert_eq!(
        (report.session, report.report_number, report.client_sequence),
        (SESSION, SessionSequence(2), SessionSequence::NONE)
    );
    assert_eq!(trade.taker.report.session, SessionId::NONE);
}

#[test]
fn a_repeated_command_is_dropped() {
    let mut venue = established();
    venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1));
    let before = venue.book_bytes();
    assert_eq!(venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1)), []);
    assert_eq!(venue.book_bytes(), before);
}

#[test]
fn a_gap_is_reported_and_the_command_applied() {
    let mut venue = established();
    venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1));
    let events = venue.apply_from(from(KEY, 5), limit(Side::Buy, 99, 1));
    assert_eq!(events[0], Event::NotApplied(NotApplied { session: SESSION, from: SessionSequence(2), count: 3 }));
    accepted(&events[1..]);
    assert_eq!(venue.apply_from(from(KEY, 3), limit(Side::Buy, 98, 1)), []);
}

#[test]
fn streams_go_on_after_a_loss() {
    let mut venue = established();
    venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1));
    venue.apply_from(from(KEY, 0), lost(1));
    let refused = venue.apply_from(from(KEY, 2), limit(Side::Buy, 100, 1));
    assert_eq!(reasons(&refused), [RejectReason::NotEntitled]);
    let events = venue.apply_from(from(KEY, 0), establish(1, 2));
    let [Event::SessionEstablished(event)] = events[..] else { panic!("{events:?}") };
    assert_eq!((event.next_client_sequence, event.next_report_number), (SessionSequence(2), SessionSequence(2)));
}

#[test]
fn a_recorded_login_does_not_work_twice() {
    let mut venue = established();
    let refused = |events: Vec<Event>| reasons(&events);
    assert_eq!(refused(venue.apply_from(from(KEY, 0), negotiate(1))), [RejectReason::SessionVersionNotGreater]);
    assert_eq!(refused(venue.apply_from(from(KEY, 0), establish(1, 1))), [RejectReason::SessionNonceNotGreater]);
    assert_eq!(refused(venue.apply_from(from(KEY, 0), establish(1, 2))), [RejectReason::SessionAlreadyEstablished]);
    assert_eq!(refused(venue.apply_from(from(KEY, 0), establish(2, 2))), [RejectReason::SessionNotNegotiated]);
    assert_eq!(refused(venue.apply_from(from(OTHER_KEY, 0), negotiate(2))), [RejectReason::SessionKeyMismatch]);
    assert_eq!(refused(venue.apply_from(from(OTHER_KEY, 0), establish(1, 2))), [RejectReason::SessionKeyMismatch]);
    assert_eq!(refused(venue.apply_from(from(KeyId(9), 0), negotiate(2))), [RejectReason::UnknownKey]);
    // The session is untouched.
    accepted(&venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1)));
}

#[test]
fn a_key_acts_only_for_the_accounts_it_was_granted() {
    let mut venue = established();
    let events = venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1).by(BOB));
    assert_eq!(reasons(&events), [RejectReason::NotEntitled]);
    let events = venue.apply_from(from(OTHER_KEY, 2), limit(Side::Buy, 100, 1));
    assert_eq!(reasons(&events), [RejectReason::NotEntitled]);
    let events = venue.apply_from(from(KEY, 2), set_fees(0, 1));
    assert_eq!(reasons(&events), [RejectReason::NotEntitled]);
    venue.expect_accepted(GrantRole {
        key: KEY,
        role: Role::Administrator,
        account: AccountId::NONE,
        note: AdminNote::NONE,
    });
    assert_eq!(reasons(&venue.apply_from(from(KEY, 3), set_fees(0, 1))), []);
}

#[test]
fn a_revoked_key_does_nothing_more() {
    let mut venue = established();
    venue.expect_accepted(RevokeKey { key: KEY, note: AdminNote::NONE });
    let events = venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1));
    assert_eq!(reasons(&events), [RejectReason::NotEntitled]);
    assert_eq!(reasons(&venue.apply_from(from(KEY, 0), negotiate(2))), [RejectReason::KeyRevoked]);
}

#[test]
fn a_loss_cancels_after_the_grace_what_is_not_kept() {
    let mut venue = established();
    let order = |name, on_disconnect| NewOrder { on_disconnect, ..limit(Side::Buy, 100, 1).named(name) };
    venue.apply_from(from(KEY, 1), order(1, OnDisconnect::AsSession));
    venue.apply_from(from(KEY, 2), order(2, OnDisconnect::Keep));
    venue.apply_from(from(KEY, 3), order(3, OnDisconnect::Cancel));
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
    let events = venue.apply_from(from(KEY, 0), lost(1));
    let [Event::SessionDisconnected(event)] = events[..] else { panic!("{events:?}") };
    assert_eq!((event.cancel_at, venue.engine.next_deadline()), (Timestamp(1_500), Timestamp(1_500)));
    venue.time = Timestamp(1_499);
    assert_eq!(venue.apply(AdvanceTime {}), []);
    venue.time = Timestamp(1_500);
    let ended = [(1, 1, CancelReason::Disconnected), (3, 1, CancelReason::Disconnected)];
    assert_eq!(cancels(&venue.apply(AdvanceTime {})), ended);
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
    assert_eq!(venue.side(Side::Buy), [(2, 100, 1)]);
}

#[test]
fn coming_back_within_the_grace_keeps_everything() {
    let mut venue = established();
    venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1).named(1));
    venue.apply_from(from(KEY, 0), lost(1));
    venue.apply_from(from(KEY, 0), establish(1, 2));
    assert_eq!(venue.engine.next_deadline(), Timestamp::NEVER);
    venue.time = Timestamp(9_999);
    assert_eq!(venue.apply(AdvanceTime {}), []);
    assert_eq!(venue.side(Side::Buy), [(1, 100, 1)]);
}

#[test]
fn a_cancel_through_another_session_reaches_both() {
    let mut venue = established();
    venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1).named(1));
    let second = |client_sequence| CommandHeader { session: SessionId(6), ..from(KEY, client_sequence) };
    venue.apply_from(second(0), negotiate(1));
    venue.apply_from(second(0), establish(1, 1));
    let events = venue.apply_from(second(1), cancel(ALICE, 1));
    let [Event::OrderCancelled(event)] = events[..] else { panic!("{events:?}") };
    assert_eq!(
        (event.report.session, event.report.report_number, event.report.client_sequence),
        (SESSION, SessionSequence(2), SessionSequence::NONE)
    );
    assert_eq!(
        event.requester,
        Requester { session: SessionId(6), report_number: SessionSequence(1), client_sequence: SessionSequence(1) }
    );
}

#[test]
fn a_session_may_cancel_all_that_it_entered() {
    let mut venue = established();
    venue.apply_from(from(KEY, 1), limit(Side::Buy, 100, 1).named(1));
    venue.expect_accepted(limit(Side::Buy, 100, 1).named(2));
    let own = MassCancel {
        account: AccountId::NONE,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SESSION,
        client_order_id: ClientOrderId(8),
        note: AdminNote::NONE,
    };
    let events = venue.apply_from(from(KEY, 2), own);
    assert_eq!(cancels(&events), [(1, 1, CancelReason::MassCancel)]);
    let everything = MassCancel { entered_by: SessionId::NONE, ..own };
    assert_eq!(reasons(&venue.apply_from(from(KEY, 3), everything)), [RejectReason::NotEntitled]);
}

#[test]
fn an_administrators_request_acts_once() {
    let mut venue = Venue::open();
    let note = AdminNote { idempotency_key: IdempotencyKey(42), reason: text("ticket 42") };
    venue.expect_accepted(Deposit { note, ..deposit(ALICE, USD, 5) });
    let events = venue.apply(Deposit { note, ..deposit(ALICE, USD, 5) });
    assert_eq!(reasons(&events), [RejectReason::DuplicateRequest]);
    assert_eq!(venue.balances(ALICE)[2], ENDOWMENT + 5);
    // A refused request may be made again.
    let note = AdminNote { idempotency_key: IdempotencyKey(43), ..note };
    assert_eq!(reasons(&venue.apply(Deposit { note, ..deposit(ALICE, AssetId(7), 5) })), [RejectReason::UnknownAsset]);
    venue.expect_accepted(Deposit { note, ..deposit(ALICE, USD, 5) });
}
