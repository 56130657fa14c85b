//! Canonical bytes, packed by hand.

mod common;

use common::*;
use engine::canonical::{Canonical, Code, DecodeError, FieldValue, Fields, Reader};
use engine::command::*;
use engine::event::*;
use engine::*;

fn encoded(value: &impl Canonical) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn decoded<T: Canonical>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = reader.read()?;
    reader.finish()?;
    Ok(value)
}

/// The bytes of a list of little-endian integers, each with its width.
fn packed(integers: &[(u128, usize)]) -> Vec<u8> {
    integers.iter().flat_map(|&(value, width)| value.to_le_bytes()[..width].to_vec()).collect()
}

const ABSENT: u128 = u64::MAX as u128;

#[test]
fn a_sequenced_new_order_has_these_bytes() {
    let order = NewOrder {
        account: AccountId(0x0A0B),
        client_order_id: ClientOrderId(0x1122_3344_5566_7788),
        flags: OrderFlags::POST_ONLY,
        ..limit(Side::Sell, 619_085, 463_734)
    };
    let header = CommandHeader {
        author: KeyId(3),
        session: SessionId(4),
        client_sequence: SessionSequence(5),
        received_at: Timestamp(6),
    };
    let command = Sequenced {
        stamp: Stamp { sequence: Sequence(1), time: Timestamp(1_531_514_831_025_000_000) },
        value: Command { header, body: order.into() },
    };
    let bytes = packed(&[
        // Sequence, time; author, session, client sequence, received at; kind.
        (1, 8),
        (1_531_514_831_025_000_000, 8),
        (3, 4),
        (4, 4),
        (5, 8),
        (6, 8),
        (1, 2),
        // Account, instrument, client order id.
        (0x0A0B, 4),
        (1, 4),
        (0x1122_3344_5566_7788, 8),
        // Sell, limit, good till cancel, post-only, no mode, as session.
        (2, 1),
        (2, 1),
        (1, 1),
        (1, 1),
        (0xFF, 1),
        (0, 1),
        // Price, quantity, funds, stop price, display, minimum, expiry.
        (619_085, 8),
        (463_734, 8),
        (u128::MAX, 16),
        (ABSENT, 8),
        (ABSENT, 8),
        (ABSENT, 8),
        (0, 8),
    ]);
    assert_eq!(encoded(&command), bytes);
    assert_eq!(decoded::<Sequenced<Command>>(&bytes), Ok(command));
}

#[test]
fn a_trade_has_these_bytes() {
    let side = |number: u64, side, fee| TradeSide {
        report: Report {
            account: AccountId(2),
            session: SessionId(3),
            exec_id: ExecId(number),
            report_number: SessionSequence(5),
            client_sequence: SessionSequence(6),
        },
        order_id: OrderId(7),
        client_order_id: ClientOrderId(8),
        side,
        order_price: Price(14),
        order_quantity: Quantity(19),
        leaves: Quantity(9),
        cumulative: Quantity(10),
        prevented: Quantity(0),
        fee: SignedAmount(fee),
    };
    let event = Event::Trade(Trade {
        instrument: InstrumentId(1),
        trade_id: TradeId(11),
        price: Price(12),
        quantity: Quantity(13),
        aggressor: Some(Side::Buy),
        self_match: SelfMatch::No,
        maker: side(40, Side::Sell, -2),
        taker: side(41, Side::Buy, 3),
    });
    let side = |number, side, fee: i128| {
        let fee = u128::from_le_bytes(fee.to_le_bytes());
        let order = [(7, 8), (8, 8), (side, 1), (14, 8), (19, 8), (9, 8), (10, 8), (0, 8), (fee, 16)];
        [[(2, 4), (3, 4), (number, 8), (5, 8), (6, 8)].as_slice(), &order].concat()
    };
    let head = [(6, 2), (1, 4), (11, 8), (12, 8), (13, 8), (1, 1), (0, 1)];
    let bytes = packed(&[&head[..], &side(40, 2, -2), &side(41, 1, 3)].concat());
    assert_eq!(encoded(&event), bytes);
    assert_eq!(decoded::<Event>(&bytes), Ok(event));
}

#[test]
fn text_is_padded_with_zeros() {
    let asset = AddAsset { decimals: 10, ..asset(AssetId(2), "USD") };
    let command = CommandBody::from(asset);
    let mut bytes = packed(&[(60, 2), (2, 4)]);
    bytes.extend(b"USD\0\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes.extend([10]);
    bytes.extend([0; 32]);
    assert_eq!(encoded(&command), bytes);
    assert_eq!(decoded::<CommandBody>(&bytes), Ok(command));
    bytes[10] = b'X';
    assert_eq!(decoded::<CommandBody>(&bytes), Err(DecodeError::InvalidText));
}

#[test]
fn what_is_not_canonical_does_not_decode() {
    let bytes = encoded(&CommandBody::from(limit(Side::Buy, 1, 1)));
    for length in 0..bytes.len() {
        assert_eq!(decoded::<CommandBody>(&bytes[..length]), Err(DecodeError::Truncated));
    }
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        decoded::<CommandBody>(&bytes)
    };
    assert_eq!(with(0, 99), Err(DecodeError::UnknownCode { name: "CommandKind", code: 99 }));
    assert_eq!(with(18, 0), Err(DecodeError::UnknownCode { name: "Side", code: 0 }));
    assert_eq!(with(22, 9), Err(DecodeError::UnknownCode { name: "SelfTradePrevention", code: 9 }));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(decoded::<CommandBody>(&longer), Err(DecodeError::TrailingBytes));
}

#[test]
fn a_record_lists_its_fields_by_name() {
    let order = limit(Side::Buy, 100, 3);
    let mut names = Vec::new();
    order.fields(&mut |name, value| {
        names.push(name);
        match (name, value) {
            ("side", FieldValue::Code(code)) => assert_eq!(code, Some("Buy")),
            ("self_trade_prevention", FieldValue::Code(code)) => assert_eq!(code, None),
            ("price", FieldValue::Price(price)) => assert_eq!(price, Price(100)),
            ("side" | "self_trade_prevention" | "price", _) => panic!("{name} is of another kind"),
            _ => {}
        }
    });
    assert_eq!(names.len(), 16);
    assert_eq!(names[..3], ["account", "instrument", "client_order_id"]);
}

#[test]
fn codes_name_and_number_each_other() {
    for kind in CommandKind::ALL {
        assert_eq!(CommandKind::from_code(kind.code()), Some(*kind));
    }
    assert_eq!(TimeInForce::FillOrKill.code(), 4);
    assert_eq!(TimeInForce::from_code(5), None);
    assert_eq!(RejectReason::PostOnlyWouldTake.name(), "PostOnlyWouldTake");
}
