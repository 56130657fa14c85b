//! Every message that matters is, byte for byte, what was packed value by value apart from the codec.

mod common;

use std::collections::BTreeSet;
use std::fmt::Debug;

use common::{golden, golden_names};
use engine::RejectReason as Refused;
use wire::market_data::{
    BestBidOffer, Logon, LogonAck, LogonChallenge, LogonSignature, MarketByPrice, MarketDataMessage, MarketStatistics,
    PacketHeader, PriceLevelChange, SnapshotBegin, Subscribe, SubscribedInstrument, Trade,
};
use wire::order_entry::*;
use wire::session::{Establish, EstablishmentAck, Negotiate, NegotiationReject, NotApplied, SessionMessage, Terminate};
use wire::*;

const TIME: u64 = 1_790_000_000_000_000_000;

fn signature() -> Signature64 {
    Signature64(std::array::from_fn(|index| index as u8 + 1))
}

/// The golden bytes decode to `message`, and `message` encodes to the golden bytes.
fn check<M: Flat + PartialEq + Debug>(name: &str, message: M) {
    let bytes = golden(name);
    let (frame, rest) = Frame::split(&bytes).expect("a frame");
    assert!(rest.is_empty(), "{name}");
    assert_eq!(frame.decode::<M>(), Ok(message), "{name}");
    let mut buffer = [0xAA; 512];
    let length = encode(&message, &mut buffer).expect("room");
    assert_eq!(buffer[..length], bytes, "{name}");
    assert_eq!(length, M::FRAME_LENGTH, "{name}");
}

fn check_grouped<M, const N: usize>(name: &str, message: M, entries: [M::Entry; N])
where
    M: Grouped<Entry: PartialEq + Debug> + PartialEq + Debug,
{
    let bytes = golden(name);
    let (frame, _) = Frame::split(&bytes).expect("a frame");
    let (decoded, group) = frame.decode_grouped::<M>().expect("a message");
    assert_eq!(decoded, message, "{name}");
    assert_eq!(group.len(), N, "{name}");
    assert_eq!(group.collect::<Result<Vec<_>, _>>().expect("entries"), entries, "{name}");
    let mut buffer = [0xAA; 512];
    let length = encode_grouped(&message, entries, &mut buffer).expect("room");
    assert_eq!(buffer[..length], bytes, "{name}");
}

#[test]
fn session_messages() {
    check(
        "negotiate",
        Negotiate {
            session_id: SessionId(7),
            session_version: SessionVersion(3),
            key_id: KeyId(5),
            timestamp: Timestamp(TIME),
            signature: signature(),
        },
    );
    check("establish", establish());
    check(
        "establishment_ack",
        EstablishmentAck {
            session_id: SessionId(7),
            session_version: SessionVersion(3),
            request_timestamp: Timestamp(TIME + 2),
            next_sequence: SessionSequence(42),
            next_report_number: SessionSequence(99),
            keep_alive: Milliseconds(5000),
            cancel_grace: Milliseconds(10_000),
            order_entry_schema_id: SchemaId(200),
            order_entry_schema_version: SchemaVersion(0),
            session_schema_version: SchemaVersion(0),
            cancel_on_disconnect: CancelOnDisconnect::Cancel,
        },
    );
    check(
        "negotiation_reject",
        NegotiationReject {
            session_id: SessionId(7),
            session_version: SessionVersion(3),
            request_timestamp: Timestamp(TIME),
            text: Text48::new("signature does not verify"),
            reject_reason: EdgeReason::SignatureInvalid.into(),
        },
    );
    check("not_applied", NotApplied { from_sequence: SessionSequence(10), count: MessageCount(3) });
    check(
        "terminate",
        Terminate {
            session_id: SessionId(7),
            session_version: SessionVersion(3),
            code: TerminationCode::KeepAliveExpired,
        },
    );
}

fn establish() -> Establish {
    Establish {
        session_id: SessionId(7),
        session_version: SessionVersion(3),
        key_id: KeyId(5),
        nonce: Nonce(TIME + 1),
        timestamp: Timestamp(TIME + 2),
        next_sequence: SessionSequence(42),
        signature: signature(),
        keep_alive: Milliseconds(5000),
        cancel_grace: Milliseconds(10_000),
        order_entry_schema_id: SchemaId(200),
        order_entry_schema_version: SchemaVersion(1),
        session_schema_version: SchemaVersion(0),
        cancel_on_disconnect: CancelOnDisconnect::Cancel,
    }
}

#[test]
fn signatures_cover_the_published_text() {
    let bytes = golden("negotiate");
    let negotiate: Negotiate = Frame::split(&bytes).unwrap().0.decode().unwrap();
    assert_eq!(
        str::from_utf8(negotiate.signed_text().as_bytes()).unwrap(),
        "Rialto Negotiate 1\nSessionID=7\nSessionVerID=3\nKeyID=5\nTimestamp=1790000000000000000\n"
    );
    assert_eq!(
        str::from_utf8(establish().signed_text().as_bytes()).unwrap(),
        "Rialto Establish 1\nSessionID=7\nSessionVerID=3\nKeyID=5\nNonce=1790000000000000001\n\
         Timestamp=1790000000000000002\nNextSeqNo=42\nKeepAliveInterval=5000\nCODTimeoutWindow=10000\n\
         OrderEntrySchemaID=200\nOrderEntrySchemaVersion=1\nSessionSchemaVersion=0\nCancelOnDisconnectType=1\n"
    );
}

#[test]
fn signatures_cover_every_field() {
    check_covers::<Negotiate>(Negotiate::BLANK.signed_text());
    check_covers::<Establish>(Establish::BLANK.signed_text());
}

fn check_covers<M: Message>(text: SignedText) {
    let text = str::from_utf8(text.as_bytes()).unwrap();
    let names: Vec<&str> = text.lines().skip(1).map(|line| line.split_once('=').expect("a field").0).collect();
    let covered = M::FIELDS.iter().map(|field| field.name).filter(|name| *name != "Signature" && *name != "Reserved1");
    assert_eq!(names, covered.collect::<Vec<_>>());
}

#[test]
fn the_longest_signed_text_fits() {
    let longest = Establish {
        session_id: SessionId(u64::MAX),
        session_version: SessionVersion(u64::MAX),
        key_id: KeyId(u64::MAX),
        nonce: Nonce(u64::MAX),
        timestamp: Timestamp(u64::MAX),
        next_sequence: SessionSequence(u64::MAX),
        keep_alive: Milliseconds(u32::MAX),
        cancel_grace: Milliseconds(u32::MAX),
        order_entry_schema_id: SchemaId(u16::MAX),
        order_entry_schema_version: SchemaVersion(u16::MAX),
        session_schema_version: SchemaVersion(u16::MAX),
        cancel_on_disconnect: CancelOnDisconnect::NonRepresentable,
        ..establish()
    };
    assert!(longest.signed_text().as_bytes().ends_with(b"CancelOnDisconnectType=254\n"));
}

#[test]
fn requests() {
    check(
        "new_order_single.v1",
        NewOrderSingle {
            account: AccountId(1001),
            security_id: SecurityId(2),
            client_order_id: Some(ClientOrderId(770_001)),
            price: Some(Price(6_500_050)),
            order_quantity: Some(Quantity(1500)),
            funds_high: None,
            funds_low: AmountLow(0),
            stop_price: None,
            display_quantity: Some(Quantity(500)),
            minimum_quantity: None,
            expire_time: None,
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            instructions: ExecInst::POST_ONLY,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
        },
    );
    check(
        "order_cancel_replace_request.v1",
        OrderCancelReplaceRequest {
            account: AccountId(1001),
            order_id: Some(OrderId(50_331_655)),
            original_client_order_id: Some(ClientOrderId(770_001)),
            client_order_id: Some(ClientOrderId(770_002)),
            price: Some(Price(-5)),
            order_quantity: Some(Quantity(900)),
            stop_price: Some(Price(6_400_000)),
            display_quantity: Some(Quantity(100)),
            expire_time: Some(Timestamp(TIME + 1_000_000_000)),
            order_type: Some(OrderType::StopLimit),
            time_in_force: Some(TimeInForce::Day),
        },
    );
    check(
        "order_cancel_request.v1",
        OrderCancelRequest {
            account: AccountId(1001),
            order_id: OrderId::present(engine::OrderId::from_parts(7, 3)),
            original_client_order_id: None,
            client_order_id: Some(ClientOrderId(770_003)),
        },
    );
    check(
        "order_mass_action_request.v1",
        OrderMassActionRequest {
            account: Some(AccountId(1001)),
            security_id: None,
            entered_by: None,
            client_order_id: Some(ClientOrderId(770_004)),
            action: MassActionType::CancelOrders,
            side: Some(Side::Sell),
        },
    );
}

#[test]
fn an_execution_report_of_a_trade_with_a_rebate() {
    let (fee_high, fee_low) = amount::split_signed(Some(-25));
    check(
        "execution_report_trade.v1",
        ExecutionReport {
            report_number: Some(SessionSequence(99)),
            answered_sequence: Some(SessionSequence(42)),
            account: AccountId(1001),
            security_id: SecurityId(2),
            order_id: Some(OrderId(50_331_655)),
            client_order_id: Some(ClientOrderId(770_001)),
            execution_id: Some(ExecutionId(12)),
            trade_id: Some(TradeId(5)),
            price: Some(Price(6_500_050)),
            order_quantity: Some(Quantity(1500)),
            last_quantity: Some(Quantity(400)),
            last_price: Some(Price(6_500_000)),
            leaves_quantity: Quantity(1100),
            cumulative_quantity: Quantity(400),
            fee_high,
            fee_low,
            fee_asset: Some(AssetId(1)),
            transact_time: Timestamp(TIME + 100),
            gateway_in_time: Some(Timestamp(TIME + 50)),
            journal_sequence: Some(JournalSequence(123_456)),
            event_index: Some(EventIndex(1)),
            exec_type: ExecType::Trade,
            order_status: Some(OrderStatus::PartiallyFilled),
            side: Some(Side::Buy),
            aggressor: Some(Indicator::Yes),
            possible_duplicate: Indicator::No,
            durability: Durability::Synced,
            ..ExecutionReport::BLANK
        },
    );
}

#[test]
fn refusals() {
    check(
        "order_cancel_reject.v1",
        OrderCancelReject {
            report_number: Some(SessionSequence(100)),
            answered_sequence: Some(SessionSequence(43)),
            account: AccountId(1001),
            order_id: Some(OrderId(50_331_655)),
            original_client_order_id: None,
            client_order_id: Some(ClientOrderId(770_003)),
            execution_id: Some(ExecutionId(13)),
            transact_time: Timestamp(TIME + 200),
            gateway_in_time: None,
            journal_sequence: Some(JournalSequence(123_457)),
            event_index: Some(EventIndex(0)),
            reference_order_id: None,
            order_status: Some(OrderStatus::Filled),
            reject_reason: Refused::UnknownOrder.into(),
            response_to: CancelRejectResponseTo::OrderCancelRequest,
            possible_duplicate: Indicator::Yes,
            durability: Durability::Buffered,
        },
    );
    check(
        "business_message_reject.v1",
        BusinessMessageReject {
            answered_sequence: Some(SessionSequence(44)),
            reference_id: Some(RequestId(770_005)),
            transact_time: Timestamp(TIME + 300),
            text: Text48::new("more than 100 orders a second"),
            reference_tag: None,
            reference_template: NewOrderSingle::TEMPLATE_ID,
            reject_reason: EdgeReason::Throttled.into(),
            ..BusinessMessageReject::BLANK
        },
    );
}

#[test]
fn an_instrument() {
    check(
        "security_definition.v1",
        SecurityDefinition {
            security_id: SecurityId(2),
            symbol: Symbol16::new("BTC-USD"),
            base_asset: Some(AssetId(2)),
            quote_asset: Some(AssetId(1)),
            tick: Price(5),
            lot: Quantity(1),
            minimum_quantity: Some(Quantity(10)),
            maximum_quantity: None,
            maximum_price: None,
            price_exponent: Exponent(-2),
            quantity_exponent: Exponent(-8),
            phase: Phase::Continuous,
        },
    );
}

#[test]
fn an_asset() {
    check(
        "asset_definition.v1",
        AssetDefinition { asset: AssetId(1), name: Symbol16::new("USD"), amount_exponent: Exponent(-10) },
    );
}

#[test]
fn market_data() {
    check(
        "packet_header.v1",
        PacketHeader {
            channel_id: ChannelId(517),
            first_sequence: FeedSequence(1000),
            sending_time: Timestamp(TIME + 400),
            message_count: PacketCount(3),
            flags: PacketFlags::CONFLATED,
            level: Some(FeedLevel::MarketByPrice10),
            left_out: LeftOutCount(41),
        },
    );
    check(
        "trade.v1",
        Trade {
            security_id: SecurityId(2),
            transact_time: Timestamp(TIME + 100),
            journal_sequence: Some(JournalSequence(123_456)),
            trade_id: TradeId(5),
            price: Price(6_500_000),
            quantity: Quantity(400),
            event_index: EventIndex(1),
            aggressor: Some(Side::Buy),
            maker_order_id: Some(OrderId(50_331_655)),
            taker_order_id: Some(OrderId(50_331_656)),
        },
    );
    check(
        "market_statistics.v1",
        MarketStatistics {
            security_id: SecurityId(2),
            transact_time: Timestamp(TIME + 100),
            journal_sequence: Some(JournalSequence(123_456)),
            since: Timestamp(TIME - 1_000_000_000),
            first_price: Some(Price(6_490_000)),
            high_price: Some(Price(6_500_000)),
            low_price: Some(Price(6_480_000)),
            last_price: Some(Price(6_500_000)),
            last_quantity: Some(Quantity(400)),
            volume: Quantity(900),
            notional_high: AmountHigh(0),
            notional_low: AmountLow(5_845_000_000),
            trade_count: MessageCount(3),
            trade_id: Some(TradeId(5)),
        },
    );
    check(
        "best_bid_offer.v1",
        BestBidOffer {
            security_id: SecurityId(2),
            transact_time: Timestamp(TIME + 100),
            journal_sequence: Some(JournalSequence(123_456)),
            conflated_from: Some(FeedSequence(990)),
            bid_price: Some(Price(6_499_995)),
            bid_quantity: Some(Quantity(700)),
            offer_price: None,
            offer_quantity: None,
            bid_order_count: OrderCount(2),
            offer_order_count: OrderCount(0),
        },
    );
    check(
        "snapshot_begin.v1",
        SnapshotBegin {
            security_id: SecurityId(2),
            channel_id: ChannelId(4),
            last_sequence: FeedSequence(1002),
            transact_time: Timestamp(TIME + 100),
            request_id: Some(RequestId(1)),
            entry_count: LevelCount(17),
            level: FeedLevel::MarketByPrice,
            phase: Phase::Continuous,
        },
    );
}

#[test]
fn a_logon_signs_what_it_was_asked_to() {
    let challenge = LogonChallenge { challenge_high: Challenge(0x0123_4567_89AB_CDEF), challenge_low: Challenge(42) };
    check("logon.v1", Logon { key_id: KeyId(5) });
    check("logon_challenge.v1", challenge);
    check("logon_signature.v1", LogonSignature { signature: signature() });
    check("logon_ack.v1", LogonAck { key_id: KeyId(5) });
    let signed = challenge.signed_text(KeyId(5));
    assert_eq!(
        signed.as_bytes().escape_ascii().to_string(),
        "Rialto Market Data Logon 1\\nKeyID=5\\nChallengeHigh=81985529216486895\\nChallengeLow=42\\n"
    );
}

#[test]
fn groups() {
    let change = |price, quantity, order_count, side, action| PriceLevelChange {
        price: Price(price),
        quantity: Quantity(quantity),
        order_count: OrderCount(order_count),
        side,
        action,
    };
    check_grouped(
        "market_by_price.v1",
        MarketByPrice {
            security_id: SecurityId(2),
            transact_time: Timestamp(TIME + 100),
            journal_sequence: Some(JournalSequence(123_456)),
            conflated_from: None,
        },
        [
            change(6_500_000, 0, 0, Side::Sell, UpdateAction::Delete),
            change(6_500_050, 1100, 1, Side::Buy, UpdateAction::New),
        ],
    );
    check_grouped(
        "subscribe.v1",
        Subscribe {
            request_id: RequestId(1),
            level: FeedLevel::MarketByPrice,
            mode: DeliveryMode::Conflated,
            request: SubscriptionRequestType::Subscribe,
        },
        [SubscribedInstrument { security_id: SecurityId(2) }],
    );
}

#[test]
fn a_schema_knows_its_messages_by_their_templates() {
    let frame = |bytes| Frame::split(bytes).unwrap().0;
    let bytes = golden("terminate");
    assert!(matches!(frame(&bytes).try_into(), Ok(SessionMessage::Terminate(_))));
    let refused = OrderEntryMessage::try_from(frame(&bytes)).unwrap_err();
    assert_eq!(refused, DecodeError::UnknownSchema { found: 100, expected: 200 });
    let bytes = golden("order_cancel_request.v1");
    assert!(matches!(frame(&bytes).try_into(), Ok(OrderEntryMessage::OrderCancelRequest(_))));
    let refused = frame(&bytes).decode::<NewOrderSingle>().unwrap_err();
    assert_eq!(refused, DecodeError::UnknownTemplate { found: 203 });
    let bytes = golden("market_by_price");
    assert!(matches!(frame(&bytes).try_into(), Ok(MarketDataMessage::MarketByPrice(_, group)) if group.len() == 2));
}

#[test]
fn an_accounts_reports_again() {
    check(
        "drop_copy_request.v1",
        DropCopyRequest {
            account: AccountId(1001),
            request_id: Some(RequestId(34)),
            from: ExecutionId(12),
            count: OrderCount(1000),
        },
    );
    check(
        "drop_copy_report_refused.v1",
        DropCopyReport {
            account: AccountId(1001),
            request_id: Some(RequestId(35)),
            next: ExecutionId(15),
            from: None,
            transact_time: Timestamp(TIME + 700),
            count: OrderCount(0),
            reject_reason: Some(EdgeReason::RetransmitTooLong.into()),
        },
    );
}

/// Reads a frame as the message of its template, and writes that again.
macro_rules! written_again {
    ($frame:expr, [$($flat:ty),* $(,)?], [$($grouped:ty),* $(,)?]) => {{
        let (frame, mut bytes) = ($frame, vec![0xAA; 1_024]);
        let template = frame.header.template_id;
        let length = match (frame.header.schema_id, template) {
            $((schema, <$flat>::TEMPLATE_ID) if schema == <$flat>::SCHEMA.id => {
                encode(&frame.decode::<$flat>().unwrap(), &mut bytes).unwrap()
            })*
            $((schema, <$grouped>::TEMPLATE_ID) if schema == <$grouped>::SCHEMA.id => {
                let (message, group) = frame.decode_grouped::<$grouped>().unwrap();
                encode_grouped(&message, group.map(Result::unwrap), &mut bytes).unwrap()
            })*
            _ => panic!("template {} is written by nobody", template.0),
        };
        bytes.truncate(length);
        bytes
    }};
}

/// What each build of this version writes for a frame, whichever version wrote it.
fn again(frame: Frame<'_>) -> Vec<u8> {
    use wire::market_data as md;
    use wire::session as fixp;
    written_again!(
        frame,
        [
            fixp::Negotiate,
            fixp::NegotiationResponse,
            fixp::NegotiationReject,
            fixp::Establish,
            fixp::EstablishmentAck,
            fixp::EstablishmentReject,
            fixp::Sequence,
            fixp::NotApplied,
            fixp::RetransmitRequest,
            fixp::Retransmission,
            fixp::RetransmitReject,
            fixp::Terminate,
            NewOrderSingle,
            OrderCancelReplaceRequest,
            OrderCancelRequest,
            OrderMassActionRequest,
            KillSwitch,
            OrderStatusRequest,
            OrderMassStatusRequest,
            AccountBalanceRequest,
            DropCopyRequest,
            ExecutionReport,
            OrderCancelReject,
            OrderMassActionReport,
            BusinessMessageReject,
            SecurityDefinition,
            TradingSessionStatus,
            AccountBalance,
            KillSwitchReport,
            DropCopyReport,
            AssetDefinition,
            md::PacketHeader,
            md::BestBidOffer,
            md::Trade,
            md::TradeCancel,
            md::SecurityDefinition,
            md::SecurityStatus,
            md::BookChecksum,
            md::AuctionIndicative,
            md::AuctionResult,
            md::SnapshotBegin,
            md::SnapshotEnd,
            md::SubscribeAck,
            md::SubscribeReject,
            md::SnapshotRequest,
            md::PacketRetransmitRequest,
            md::GapNotice,
            md::MarketStatistics,
            md::Logon,
            md::LogonChallenge,
            md::LogonSignature,
            md::LogonAck,
        ],
        [md::MarketByPrice, md::MarketByOrder, md::SnapshotLevels, md::SnapshotOrders, md::Subscribe]
    )
}

/// Where the headers say which version of the schema wrote a frame.
const VERSION: std::ops::Range<usize> = 12..14;

#[test]
fn every_golden_frame_is_read_and_written_again() {
    let mut written = BTreeSet::new();
    for name in golden_names() {
        let bytes = golden(&name);
        let (frame, _) = Frame::split(&bytes).unwrap();
        let again = again(frame);
        written.insert((frame.header.schema_id.0, frame.header.template_id.0));
        // What an older version wrote is written in the present one, which may have appended fields: they are absent.
        assert_eq!(again, in_the_present_version(&bytes, &frame.header), "{name}");
    }
    let schemas = [
        (wire::session::SCHEMA, wire::session::MESSAGES),
        (wire::order_entry::SCHEMA, wire::order_entry::MESSAGES),
        (wire::market_data::SCHEMA, wire::market_data::MESSAGES),
    ];
    for (schema, messages) in schemas {
        for message in messages {
            let has_golden = written.contains(&(schema.id.0, message.template_id));
            assert!(has_golden, "{} has no golden frame", message.name);
        }
    }
}

/// The bytes of the same message, by hand, with what was appended since.
fn in_the_present_version(bytes: &[u8], header: &MessageHeader) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if header.schema_id == wire::order_entry::SCHEMA.id && header.version == SchemaVersion(0) {
        let absent = match header.template_id {
            OrderCancelReject::TEMPLATE_ID => 9,
            BusinessMessageReject::TEMPLATE_ID => 25,
            _ => 0,
        };
        if absent > 0 {
            bytes.extend(vec![0xFF; absent]);
            bytes.extend([0; 7]);
            bytes[..4].copy_from_slice(&126u32.to_le_bytes());
            bytes[6..8].copy_from_slice(&112u16.to_le_bytes());
        }
        bytes[VERSION].copy_from_slice(&1u16.to_le_bytes());
    }
    if header.schema_id == wire::market_data::SCHEMA.id && header.version == SchemaVersion(0) {
        match header.template_id {
            // The level is absent, and nothing is left out.
            PacketHeader::TEMPLATE_ID => bytes[14 + 27] = 0xFF,
            Trade::TEMPLATE_ID => {
                bytes.extend([0xFF; 16]);
                bytes[..4].copy_from_slice(&86u32.to_le_bytes());
                bytes[6..8].copy_from_slice(&72u16.to_le_bytes());
            }
            _ => {}
        }
        bytes[VERSION].copy_from_slice(&1u16.to_le_bytes());
    }
    bytes
}

#[test]
fn a_frame_of_a_newer_version_is_read_by_what_is_known_of_it() {
    for name in golden_names() {
        let bytes = golden(&name);
        let bytes = in_the_present_version(&bytes, &Frame::split(&bytes).unwrap().0.header);
        let (frame, _) = Frame::split(&bytes).unwrap();
        let newer = appended(&bytes, usize::from(frame.header.block_length));
        let (newer, _) = Frame::split(&newer).unwrap();
        assert_eq!(again(newer), again(frame), "{name}");
    }
}

/// The frame as a version 9 of its schema would write it, with eight more bytes in the block.
fn appended(frame: &[u8], block_length: usize) -> Vec<u8> {
    let mut newer = frame.to_vec();
    let end = 14 + block_length;
    newer.splice(end..end, [0x5A; 8]);
    let length = u32::try_from(newer.len()).unwrap();
    newer[..4].copy_from_slice(&length.to_le_bytes());
    newer[6..8].copy_from_slice(&u16::try_from(block_length + 8).unwrap().to_le_bytes());
    newer[VERSION].copy_from_slice(&9u16.to_le_bytes());
    newer
}
