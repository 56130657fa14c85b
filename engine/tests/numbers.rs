//! Rule 10.8: execution numbers per account and report numbers per session, without gaps.

mod common;

use std::collections::BTreeMap;

use common::*;
use engine::canonical::{FieldValue, Fields};
use engine::command::*;
use engine::*;

/// Every (account, execution number) and (session, report number) in an event, wherever it stands.
fn numbers(record: &dyn Fields, found: &mut Vec<(&'static str, u64, u64)>) {
    let mut values = BTreeMap::new();
    record.fields(&mut |name, value| match value {
        FieldValue::Unsigned(number) => drop(values.insert(name, number)),
        FieldValue::Record(inner) => numbers(inner, found),
        _ => {}
    });
    for (owner, number) in [("account", "exec_id"), ("session", "report_number")] {
        if let (Some(&owner_id), Some(&number)) = (values.get(owner), values.get(number)) {
            found.push((owner, owner_id, number));
        }
    }
}

#[test]
fn executions_and_reports_are_numbered_without_gaps() {
    let mut venue = Venue::open();
    let note = AdminNote::NONE;
    for (key, account) in [(1, ALICE), (2, BOB), (3, CAROL)] {
        let header = CommandHeader { author: KeyId(key), session: SessionId(key), ..CommandHeader::VENUE };
        venue.expect_accepted(AddKey { key: KeyId(key), kind: KeyKind::Ed25519, public_key: [key as u8; 32], note });
        venue.expect_accepted(GrantRole { key: KeyId(key), role: Role::Trader, account, note });
        venue.apply_from(header, Negotiate { version: SessionVersion(1) });
        venue.apply_from(
            header,
            Establish {
                version: SessionVersion(1),
                nonce: LoginNonce(1),
                cancel_on_disconnect: CancelOnDisconnect::Keep,
                cancel_grace: Nanoseconds(0),
                keep_alive: Nanoseconds(0),
            },
        );
    }
    let mut random = Random(3);
    let mut last: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    for name in 1..=2_000 {
        let key = 1 + u32::try_from(random.below(3)).unwrap();
        let account = [ALICE, BOB, CAROL][key as usize - 1];
        let side = [Side::Buy, Side::Sell][random.below(2) as usize];
        let order = limit(side, 95 + random.below(10), 1 + random.below(9)).by(account).named(name);
        let body: CommandBody = match random.below(4) {
            0 => cancel(account, 1 + random.below(name)).into(),
            1 => ReplaceOrder { account, quantity: Quantity(1 + random.below(9)), ..replace(1 + random.below(name)) }
                .into(),
            _ => order.into(),
        };
        let header = CommandHeader { author: KeyId(key), session: SessionId(key), ..CommandHeader::VENUE };
        for event in venue.apply_from(header, body) {
            let mut found = Vec::new();
            numbers(event.record(), &mut found);
            // The requester repeats no account; its absent session has no number.
            for (owner, id, number) in found.into_iter().filter(|&(_, id, _)| id != 0) {
                let last = last.entry((owner, id)).or_default();
                assert_eq!(number, *last + 1, "{owner} {id} in {event:?}");
                *last = number;
            }
        }
    }
    assert_eq!(last.len(), 6);
    assert!(last.values().all(|&count| count > 500), "{last:?}");
}
