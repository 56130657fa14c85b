//! Snapshots: the whole state to bytes and back; anything else is refused.

mod common;

use common::*;
use engine::command::*;
use engine::*;

/// A venue with something of everything.
fn full() -> Venue {
    let mut venue = Venue::open();
    let key = KeyId(1);
    let note = AdminNote { idempotency_key: IdempotencyKey(5), reason: text("first key") };
    venue.expect_accepted(AddKey { key, kind: KeyKind::Ed25519, public_key: [9; 32], note });
    venue.expect_accepted(GrantRole { key, role: Role::Trader, account: ALICE, note: AdminNote::NONE });
    venue.expect_accepted(AllowAddress { key, address: [1; 16], prefix_bits: 64, note: AdminNote::NONE });
    venue.expect_accepted(set_fees(100, 200));
    let session = CommandHeader { author: key, session: SessionId(3), ..CommandHeader::VENUE };
    venue.apply_from(session, Negotiate { version: SessionVersion(1) });
    venue.apply_from(
        session,
        Establish {
            version: SessionVersion(1),
            nonce: LoginNonce(1),
            cancel_on_disconnect: CancelOnDisconnect::Cancel,
            cancel_grace: Nanoseconds(500),
            keep_alive: Nanoseconds(1_000),
        },
    );
    let numbered = |number| CommandHeader { client_sequence: SessionSequence(number), ..session };
    venue.apply_from(numbered(1), limit(Side::Buy, 100, 10).named(1));
    venue.apply_from(numbered(2), limit(Side::Buy, 90, 10).named(2));
    venue.expect_accepted(limit(Side::Sell, 100, 3).by(BOB).named(3));
    venue.expect_accepted(limit(Side::Sell, 120, 3).by(BOB).named(4));
    venue.expect_accepted(limit(Side::Sell, 120, 3).by(CAROL).named(5));
    venue.expect_accepted(cancel(CAROL, 5));
    venue.apply_from(session, Disconnect { version: SessionVersion(1), reason: DisconnectReason::ConnectionLost });
    venue
}

#[test]
fn a_snapshot_restores_everything() {
    let venue = full();
    let bytes = venue.snapshot();
    let mut restored =
        Venue { engine: Engine::read_snapshot(&bytes).expect("an engine's own snapshot"), time: venue.time };
    assert_eq!(restored.snapshot(), bytes);
    assert_eq!(restored.book_bytes(), venue.book_bytes());
    assert_eq!(restored.engine.next_deadline(), Timestamp(1_500));
    // Names stay spent, requests stay made, slots are reused in the same order, the grace runs on.
    assert_eq!(
        reasons(&restored.apply(limit(Side::Sell, 130, 1).by(CAROL).named(5))),
        [RejectReason::DuplicateClientOrderId]
    );
    let mut original = venue;
    original.apply(limit(Side::Sell, 130, 1).by(CAROL).named(5));
    for venue in [&mut original, &mut restored] {
        venue.time = Timestamp(1_500);
        assert_eq!(cancels(&venue.apply(AdvanceTime {})).len(), 2);
        venue.apply(limit(Side::Sell, 130, 1).by(CAROL).named(6));
    }
    assert_eq!(original.snapshot(), restored.snapshot());
}

#[test]
fn every_truncation_is_refused() {
    let bytes = full().snapshot();
    for length in 0..bytes.len() {
        assert!(Engine::read_snapshot(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(
        Engine::read_snapshot(&longer).unwrap_err(),
        SnapshotError::Decode(engine::canonical::DecodeError::TrailingBytes)
    );
}

/// A changed snapshot is refused, or is the snapshot of another venue that is consistent in itself: never a panic, never
/// a venue whose books, holds and supplies disagree. (Which of the two it was, a checksum says, in the layer above.)
#[test]
fn every_changed_byte_gives_a_consistent_venue_or_an_error() {
    let bytes = full().snapshot();
    let mut refused = 0;
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            match Engine::read_snapshot(&changed) {
                Err(_) => refused += 1,
                Ok(engine) => {
                    let mut again = Vec::new();
                    engine.write_snapshot(&mut again);
                    assert_eq!(again, changed, "byte {at} flipped by {flip:#x}");
                }
            }
        }
    }
    println!("{refused} of {} changes refused", 3 * bytes.len());
    assert!(refused > 0);
}

/// Counting what a capacity reserves overflowed before its members were looked at.
#[test]
fn a_capacity_beyond_all_bounds_is_refused() {
    let mut bytes = b"RLTSNAP1".to_vec();
    bytes.extend([0xFF; 600]);
    assert!(Engine::read_snapshot(&bytes).is_err());
}
