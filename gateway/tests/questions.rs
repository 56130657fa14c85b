//! Questions over sockets: what is told of orders and balances, at which place among the reports, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use client::request::{CommandMessage, QuestionMessage};
use client::session::{News, Session};
use client::{Credentials, Options, Resume, SigningKey};
use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::{
    AccountId, Amount, AssetId, Capacity, CommandBody, CommandHeader, InstrumentId, KeyId, SelfTradePrevention,
    StpGroup, Text, Timestamp,
};
use gateway::copies::CopyRange;
use gateway::history::{ReportHistory, ReportRange};
use gateway::session::SessionLimits;
use gateway::transport::{Config, Security, Server};
use gateway::view::View;
use venue::topology::{Topology, Venue};
use wire::order_entry::{
    AccountBalance, AccountBalanceRequest, AssetDefinition, BusinessMessageReject, ExecutionReport, NewOrderSingle,
    OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage, OrderMassStatusRequest, OrderStatusRequest,
};
use wire::{
    Block, ClientOrderId, EdgeReason, ExecType, Exponent, FrameDecoder, Indicator, OrderCount, OrderStatus, OrderType,
    Price, Quantity, RequestId, SessionVersion, Side, Symbol16, TimeInForce, amount,
};

/// Trades base for quote and holds both, in whole units.
const HOLDING: InstrumentId = InstrumentId(1);
/// Only matches: steps of 0.25 and 1.0, told in hundredths and tenths.
const MATCHING: InstrumentId = InstrumentId(2);
const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const ACCOUNTS: [AccountId; 2] = [AccountId(2), AccountId(3)];
const DEPOSIT: u128 = 1_000_000_000;

/// Whose key: two traders with an account each, and one who may only read the first's.
const ALICE: u8 = 0;
const BOB: u8 = 1;
const READER: u8 = 2;

struct Running {
    venue: Venue,
    server: Server,
}

/// Nobody asks for reports again.
struct NoHistory;

impl ReportHistory for NoHistory {
    fn reports(
        &self,
        _: &ReportRange,
        _: engine::Sequence,
    ) -> std::io::Result<Vec<(engine::EventHeader, engine::Event)>> {
        Ok(Vec::new())
    }

    fn copies(&self, _: &CopyRange, _: engine::Sequence) -> std::io::Result<Vec<(engine::EventHeader, engine::Event)>> {
        Ok(Vec::new())
    }
}

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn now() -> wire::Timestamp {
    wire::Timestamp(now_ns())
}

fn topology() -> Topology {
    let capacity = Capacity { orders: 1 << 14, ..Capacity::SMALL };
    Topology { capacity, reader_count: 1, segment_bytes: 8 << 20, ..Topology::default() }
}

fn signing_key(trader: u8) -> SigningKey {
    SigningKey::from_bytes(&[trader + 1; 32])
}

fn key_id(trader: u8) -> KeyId {
    KeyId(u32::from(trader) + 1)
}

fn listing(instrument: InstrumentId, holds: Holds, (tick, lot): ((u64, u8), (u64, u8))) -> ListInstrument {
    let of = |asset| if holds == Holds::On { asset } else { AssetId::NONE };
    ListInstrument {
        instrument,
        name: Text::new(if instrument == HOLDING { "HOLDING" } else { "MATCHING" }).unwrap(),
        base: of(BASE),
        quote: of(QUOTE),
        tick: tick.0,
        tick_decimals: tick.1,
        lot: lot.0,
        lot_decimals: lot.1,
        reference: engine::Price::ABSENT,
        holds,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

fn set_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let asset = |asset, name| AddAsset { asset, name: Text::new(name).unwrap(), decimals: 0, note };
    let key = |trader| {
        let public_key = signing_key(trader).verifying_key().to_bytes();
        AddKey { key: key_id(trader), kind: KeyKind::Ed25519, public_key, note }
    };
    let mut bodies: Vec<CommandBody> = vec![
        asset(BASE, "BASE").into(),
        asset(QUOTE, "QUOTE").into(),
        listing(HOLDING, Holds::On, ((1, 0), (1, 0))).into(),
        listing(MATCHING, Holds::Off, ((25, 2), (10, 1))).into(),
    ];
    for account in ACCOUNTS {
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        bodies.push(OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note }.into());
        for asset in [BASE, QUOTE] {
            bodies.push(Deposit { account, asset, amount: Amount(DEPOSIT), note }.into());
        }
    }
    for (trader, role, account) in
        [(ALICE, Role::Trader, ACCOUNTS[0]), (BOB, Role::Trader, ACCOUNTS[1]), (READER, Role::ReadOnly, ACCOUNTS[0])]
    {
        bodies.push(key(trader).into());
        bodies.push(GrantRole { key: key_id(trader), role, account, note }.into());
    }
    bodies
}

fn prepare(folder: &Path) {
    let mut venue = Venue::start(folder, &Topology { reader_count: 0, ..topology() }, |_| {}).unwrap();
    drop(venue.take_readers());
    for body in set_up() {
        venue.commands().submit(engine::Command { header: CommandHeader::VENUE, body }).unwrap();
    }
    venue.stop().unwrap();
}

fn start(folder: &Path) -> Running {
    let mut view = None;
    let mut venue = Venue::start(folder, &topology(), |engine| view = Some(View::of(engine))).unwrap();
    let config = Config {
        balances: Some(venue.balances().clone()),
        limits: SessionLimits::UNTHROTTLED,
        ..Config::new("127.0.0.1:0".parse().unwrap(), Security::PlainLoopback, || Timestamp(now_ns()))
    };
    let events = venue.take_readers().pop().unwrap();
    let commands = venue.commands().clone();
    let server = Server::start(config, commands, events, view.unwrap(), NoHistory, None).unwrap();
    Running { venue, server }
}

impl Running {
    fn connect(&self, trader: u8) -> Trader {
        Trader::connect(self.server.local_addr(), trader)
    }

    fn stop(self) {
        self.server.stop();
        self.venue.stop().unwrap();
    }
}

/// A session whose messages leave when it is told to write, together.
struct Trader {
    stream: TcpStream,
    session: Session,
    decoder: FrameDecoder<1024>,
}

impl Trader {
    fn connect(address: SocketAddr, trader: u8) -> Self {
        let number = u64::from(key_id(trader).0);
        let credentials = Credentials {
            session: wire::SessionId(number),
            key: wire::KeyId(number),
            signing_key: signing_key(trader),
        };
        let login = Resume::Anew(SessionVersion(now_ns()));
        let session = Session::new(credentials, Options::DEFAULT, login, now());
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut trader = Self { stream, session, decoder: FrameDecoder::new() };
        trader.write();
        let opened = trader.news();
        assert!(matches!(opened, News::Opened(_)), "{opened:?}");
        trader
    }

    fn write(&mut self) {
        let bytes = self.session.take_out();
        self.stream.write_all(&bytes).unwrap();
    }

    fn send(&mut self, message: &impl CommandMessage) {
        self.session.send(message, now());
    }

    fn ask(&mut self, question: &impl QuestionMessage) {
        self.session.ask(question, now());
    }

    fn news(&mut self) -> News {
        loop {
            self.write();
            if let Some(news) = self.session.next_news() {
                return news;
            }
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                self.session.frame(frame, now()).unwrap();
                continue;
            }
            let count = self.stream.read(self.decoder.vacant()).unwrap();
            assert!(count > 0, "the venue has closed");
            self.decoder.filled(count);
        }
    }

    /// The next message that is no definition.
    fn message(&mut self) -> OrderEntryMessage {
        loop {
            match self.news() {
                News::Message(OrderEntryMessage::AssetDefinition(_) | OrderEntryMessage::SecurityDefinition(_)) => {}
                News::Message(message) => return message,
                other => panic!("{other:?}"),
            }
        }
    }

    fn execution(&mut self) -> ExecutionReport {
        match self.message() {
            OrderEntryMessage::ExecutionReport(report) => report,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&mut self) -> BusinessMessageReject {
        match self.message() {
            OrderEntryMessage::BusinessMessageReject(reject) => reject,
            other => panic!("{other:?}"),
        }
    }

    /// Enters an order; its acceptance.
    fn enter(&mut self, order: &NewOrderSingle) -> ExecutionReport {
        self.send(order);
        let accepted = self.execution();
        assert_eq!(accepted.exec_type, ExecType::New);
        accepted
    }

    fn status(&mut self, request: OrderStatusRequest) -> ExecutionReport {
        self.ask(&request);
        let report = self.execution();
        assert_answers(&report, REQUEST);
        report
    }

    fn balances(&mut self) -> Vec<AccountBalance> {
        self.ask(&AccountBalanceRequest { account: ACCOUNTS[0].into(), request_id: REQUEST });
        let mut balances = Vec::new();
        loop {
            match self.message() {
                OrderEntryMessage::AccountBalance(balance) => balances.push(balance),
                other => panic!("{other:?}"),
            }
            if balances.last().unwrap().last_report_requested == Some(Indicator::Yes) {
                return balances;
            }
        }
    }
}

/// What the venue tells of assets and instruments at the opening, in its order: identities, names, and what an asset's
/// amounts or an instrument's prices are in. Ends with the answer to a question.
fn definitions(trader: &mut Trader) -> Vec<(u64, String, i8)> {
    trader.ask(&AccountBalanceRequest { account: ACCOUNTS[0].into(), request_id: REQUEST });
    let mut told = Vec::new();
    loop {
        let (id, name, exponent) = match trader.news() {
            News::Message(OrderEntryMessage::AssetDefinition(asset)) => {
                (asset.asset.0, asset.name, asset.amount_exponent)
            }
            News::Message(OrderEntryMessage::SecurityDefinition(instrument)) => {
                (instrument.security_id.0, instrument.symbol, instrument.price_exponent)
            }
            News::Message(OrderEntryMessage::AccountBalance(balance)) => match balance.last_report_requested {
                Some(Indicator::Yes) => return told,
                _ => continue,
            },
            other => panic!("{other:?}"),
        };
        told.push((id, name.as_str().unwrap().to_owned(), exponent.0));
    }
}

const REQUEST: Option<RequestId> = Some(RequestId(77));

/// It is an answer, and no execution.
fn assert_answers(report: &ExecutionReport, request: Option<RequestId>) {
    assert_eq!((report.exec_type, report.request_id), (ExecType::OrderStatus, request));
    assert_eq!((report.report_number, report.answered_sequence, report.execution_id), (None, None, None));
    assert_eq!(report.possible_duplicate, Indicator::No);
}

fn by_name(name: u64) -> OrderStatusRequest {
    OrderStatusRequest {
        account: ACCOUNTS[0].into(),
        request_id: REQUEST,
        order_id: None,
        client_order_id: Some(ClientOrderId(name)),
    }
}

fn by_id(id: wire::OrderId) -> OrderStatusRequest {
    OrderStatusRequest { order_id: Some(id), client_order_id: None, ..by_name(0) }
}

fn order(trader: u8, instrument: InstrumentId, name: u64, side: Side, price: i64, quantity: i64) -> NewOrderSingle {
    NewOrderSingle {
        account: ACCOUNTS[usize::from(trader)].into(),
        security_id: instrument.into(),
        client_order_id: Some(ClientOrderId(name)),
        price: Some(Price(price)),
        order_quantity: Some(Quantity(quantity)),
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

/// What a report of an order's own tells of it, and its place in the journal.
fn told(report: &ExecutionReport) -> ExecutionReport {
    ExecutionReport {
        report_number: None,
        answered_sequence: None,
        execution_id: None,
        gateway_in_time: None,
        request_id: None,
        total_reports: None,
        last_report_requested: None,
        exec_type: ExecType::OrderStatus,
        ..*report
    }
}

#[test]
fn an_open_order_is_told_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path());
    let (mut alice, mut bob) = (venue.connect(ALICE), venue.connect(BOB));

    // What was accepted and has not changed is told as its acceptance told it.
    let resting = order(ALICE, MATCHING, 1, Side::Buy, 10_025, 100);
    let iceberg = NewOrderSingle {
        display_quantity: Some(Quantity(20)),
        time_in_force: TimeInForce::GoodTillDate,
        expire_time: Some(wire::Timestamp(4_000_000_000_000_000_000)),
        ..order(ALICE, MATCHING, 2, Side::Sell, 10_100, 100)
    };
    let stop = NewOrderSingle {
        stop_price: Some(Price(10_200)),
        order_type: OrderType::StopLimit,
        ..order(ALICE, MATCHING, 3, Side::Buy, 10_225, 30)
    };
    for entered in [resting, iceberg, stop] {
        let accepted = alice.enter(&entered);
        for request in [by_name(entered.client_order_id.unwrap().0), by_id(accepted.order_id.unwrap())] {
            let report = alice.status(request);
            assert_eq!(told(&report), told(&accepted));
            assert_eq!((report.order_status, report.total_reports), (Some(OrderStatus::New), Some(OrderCount(1))));
            assert_eq!(report.last_report_requested, Some(Indicator::Yes));
            assert_eq!((report.price, report.stop_price), (entered.price, entered.stop_price));
            assert_eq!(
                (report.order_quantity, report.display_quantity),
                (entered.order_quantity, entered.display_quantity)
            );
            assert_eq!((report.order_type, report.expire_time), (Some(entered.order_type), entered.expire_time));
        }
    }

    // Both trade in part.
    bob.send(&order(BOB, MATCHING, 1, Side::Sell, 10_025, 40));
    bob.send(&order(BOB, MATCHING, 2, Side::Buy, 10_100, 30));
    bob.write();
    let trades: Vec<_> = std::iter::from_fn(|| Some(alice.execution()))
        .filter(|report| report.exec_type == ExecType::Trade)
        .take(3)
        .collect();
    let report = alice.status(by_name(1));
    assert_eq!(report.order_status, Some(OrderStatus::PartiallyFilled));
    assert_eq!((report.leaves_quantity, report.cumulative_quantity), (Quantity(60), Quantity(40)));
    assert_eq!((report.price, report.order_quantity), (Some(Price(10_025)), Some(Quantity(100))));
    let place = |report: &ExecutionReport| (report.transact_time, report.journal_sequence, report.event_index);
    assert_eq!(place(&report), place(&trades[0]));
    let report = alice.status(by_name(2));
    assert_eq!((report.leaves_quantity, report.cumulative_quantity), (Quantity(70), Quantity(30)));
    assert_eq!(report.display_quantity, Some(Quantity(20)));

    // An amend gives it another name, and the old one to nobody.
    alice.send(&OrderCancelReplaceRequest {
        account: ACCOUNTS[0].into(),
        original_client_order_id: Some(ClientOrderId(1)),
        client_order_id: Some(ClientOrderId(9)),
        price: Some(Price(10_000)),
        ..OrderCancelReplaceRequest::BLANK
    });
    let replaced = alice.execution();
    assert_eq!(replaced.exec_type, ExecType::Replaced);
    let report = alice.status(by_name(9));
    assert_eq!((report.order_id, report.price), (replaced.order_id, Some(Price(10_000))));
    assert_eq!((report.leaves_quantity, report.cumulative_quantity), (Quantity(60), Quantity(40)));
    assert_unknown(&alice.status(by_name(1)));
    alice.send(&OrderCancelRequest {
        account: ACCOUNTS[0].into(),
        order_id: replaced.order_id,
        ..OrderCancelRequest::BLANK
    });
    assert_eq!(alice.execution().exec_type, ExecType::Cancelled);
    assert_unknown(&alice.status(by_id(replaced.order_id.unwrap())));
    venue.stop();
}

fn assert_unknown(report: &ExecutionReport) {
    assert_answers(report, REQUEST);
    assert_eq!(report.order_status, Some(OrderStatus::Rejected));
    assert_eq!(report.reject_reason, Some(engine::RejectReason::UnknownOrder.into()));
    assert_eq!((report.total_reports, report.last_report_requested), (Some(OrderCount(0)), Some(Indicator::Yes)));
}

#[test]
fn an_order_on_its_way_is_pending_to_its_own_key() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path());
    let mut alice = venue.connect(ALICE);
    // One write: the question is heard before the core can have answered.
    alice.send(&order(ALICE, MATCHING, 5, Side::Buy, 10_025, 100));
    alice.ask(&by_name(5));
    alice.write();
    let pending = alice.execution();
    assert_answers(&pending, REQUEST);
    assert_eq!((pending.order_status, pending.order_id), (Some(OrderStatus::PendingNew), None));
    assert_eq!((pending.client_order_id, pending.security_id), (Some(ClientOrderId(5)), MATCHING.into()));
    let accepted = alice.execution();
    assert_eq!(accepted.exec_type, ExecType::New);
    assert_eq!(alice.status(by_name(5)).order_id, accepted.order_id);
    venue.stop();
}

#[test]
fn who_may_only_read_is_told_and_a_stranger_is_not() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path());
    let (mut alice, mut bob, mut reader) = (venue.connect(ALICE), venue.connect(BOB), venue.connect(READER));
    let accepted = alice.enter(&order(ALICE, MATCHING, 1, Side::Buy, 10_025, 100));
    assert_eq!(reader.status(by_name(1)).order_id, accepted.order_id);
    assert_eq!(reader.balances().len(), 2);

    // Another's account is no business of Bob's, and his own does not have the order.
    let (not_entitled, account) = (engine::RejectReason::NotEntitled.into(), ACCOUNTS[0].into());
    bob.ask(&by_name(1));
    bob.ask(&OrderMassStatusRequest { account, request_id: REQUEST, security_id: None });
    bob.ask(&AccountBalanceRequest { account, request_id: REQUEST });
    for _ in 0..3 {
        let refusal = bob.refusal();
        assert_eq!((refusal.reject_reason, refusal.reference_id), (not_entitled, REQUEST));
        assert_eq!(refusal.answered_sequence, None);
    }
    assert_unknown(
        &bob.status(OrderStatusRequest { account: ACCOUNTS[1].into(), ..by_id(accepted.order_id.unwrap()) }),
    );

    reader.send(&order(ALICE, MATCHING, 2, Side::Buy, 10_025, 100));
    let rejected = reader.execution();
    assert_eq!((rejected.exec_type, rejected.reject_reason), (ExecType::Rejected, Some(not_entitled)));
    venue.stop();
}

/// What a trader knows from reports alone: what is open of each of its orders.
#[derive(Default)]
struct Book(BTreeMap<wire::OrderId, Quantity>);

impl Book {
    fn take(&mut self, report: &ExecutionReport) {
        let order = report.order_id.unwrap();
        match report.exec_type {
            ExecType::New | ExecType::Trade if report.leaves_quantity > Quantity(0) => {
                self.0.insert(order, report.leaves_quantity);
            }
            _ => _ = self.0.remove(&order),
        }
    }
}

/// The list is longer than what both ends of a socket keep by themselves, and nobody reads while orders trade and end: so
/// it is told in parts, with reports in between.
#[test]
fn a_list_contains_every_report_before_it_and_none_behind() {
    const ORDERS: u64 = 12_000;
    const IN_ROW: u64 = 200;
    const TRADES: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path());
    let (mut alice, mut bob) = (venue.connect(ALICE), venue.connect(BOB));
    let mut book = Book::default();
    let mut ids = Vec::new();
    for first in (1..=ORDERS).step_by(IN_ROW.try_into().unwrap()) {
        // The youngest are the best, and trade first.
        for name in first..first + IN_ROW {
            alice.send(&order(ALICE, MATCHING, name, Side::Buy, 25 * name.cast_signed(), 20));
        }
        alice.write();
        for _ in 0..IN_ROW {
            let accepted = alice.execution();
            ids.push(accepted.order_id.unwrap());
            book.take(&accepted);
        }
    }
    let begun_with: BTreeSet<_> = book.0.keys().copied().collect();

    alice.ask(&OrderMassStatusRequest { account: ACCOUNTS[0].into(), request_id: REQUEST, security_id: None });
    // A second list has to wait for the first.
    alice.ask(&OrderMassStatusRequest {
        account: ACCOUNTS[0].into(),
        request_id: Some(RequestId(78)),
        security_id: None,
    });
    for &order in ids.iter().rev().skip(1_000).step_by(40).take(100) {
        let account = ACCOUNTS[0].into();
        alice.send(&OrderCancelRequest { account, order_id: Some(order), ..OrderCancelRequest::BLANK });
    }
    alice.write();
    for name in 1..=TRADES {
        // A part of one order, and then the rest of it.
        bob.enter(&order(BOB, MATCHING, name, Side::Sell, 25, 10));
        assert_eq!(bob.execution().exec_type, ExecType::Trade);
    }

    let mut listed = Vec::new();
    let (mut before_last, mut busy) = (0, 0);
    loop {
        let report = match alice.message() {
            OrderEntryMessage::ExecutionReport(report) => report,
            OrderEntryMessage::BusinessMessageReject(reject) => {
                assert_eq!((reject.reject_reason, reject.reference_id), (EdgeReason::Busy.into(), Some(RequestId(78))));
                busy += 1;
                continue;
            }
            other => panic!("{other:?}"),
        };
        if report.exec_type != ExecType::OrderStatus {
            before_last += 1;
            book.take(&report);
            continue;
        }
        assert_answers(&report, REQUEST);
        if let Some(order) = report.order_id {
            assert_eq!(book.0.get(&order), Some(&report.leaves_quantity), "{order:?}");
            assert_eq!(report.total_reports, Some(OrderCount(u32::try_from(ORDERS).unwrap())));
            listed.push(order);
        }
        if report.last_report_requested == Some(Indicator::Yes) {
            break;
        }
    }
    assert_eq!(busy, 1);
    assert!(before_last > 0, "nothing happened while the list was told");
    // Oldest first, and of those that were open at the beginning none is left out that still is.
    let place: BTreeMap<_, _> = ids.iter().zip(0..).collect();
    assert!(listed.windows(2).all(|pair| place[&pair[0]] < place[&pair[1]]));
    let listed: BTreeSet<_> = listed.into_iter().collect();
    let left_out: Vec<_> =
        book.0.keys().filter(|order| begun_with.contains(order) && !listed.contains(order)).collect();
    assert!(left_out.is_empty(), "{left_out:?}");

    // Now another list may be asked for.
    alice.ask(&OrderMassStatusRequest {
        account: ACCOUNTS[0].into(),
        request_id: Some(RequestId(79)),
        security_id: Some(HOLDING.into()),
    });
    let empty = std::iter::from_fn(|| Some(alice.execution())).find(|report| report.exec_type == ExecType::OrderStatus);
    let empty = empty.unwrap();
    assert_answers(&empty, Some(RequestId(79)));
    assert_eq!((empty.order_id, empty.order_status, empty.side), (None, None, None));
    assert_eq!((empty.total_reports, empty.last_report_requested), (Some(OrderCount(0)), Some(Indicator::Yes)));
    venue.stop();
}

#[test]
fn balances_are_as_of_their_place_among_the_reports() {
    const PRICE: i64 = 100;
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path());
    let mut alice = venue.connect(ALICE);
    // Questions and orders in one stream: each answer is behind some of the reports, and holds what those have told.
    let (mut asked, mut told) = (0, 0);
    let mut held: BTreeMap<wire::OrderId, i64> = BTreeMap::new();
    for name in 1..=200 {
        alice.send(&order(ALICE, HOLDING, name, Side::Buy, PRICE, name.cast_signed()));
        alice.ask(&AccountBalanceRequest { account: ACCOUNTS[0].into(), request_id: REQUEST });
        asked += 1;
        alice.write();
        if name % 10 != 0 {
            continue;
        }
        while held.len() < usize::try_from(name).unwrap() || told < asked {
            match alice.message() {
                OrderEntryMessage::ExecutionReport(report) => {
                    held.insert(report.order_id.unwrap(), PRICE * report.leaves_quantity.0);
                }
                OrderEntryMessage::AccountBalance(balance) => {
                    let expected = if balance.asset == Some(QUOTE.into()) { held.values().sum() } else { 0 };
                    let expected = u128::try_from(expected).unwrap();
                    assert_eq!(amounts(&balance), (DEPOSIT - expected, expected), "{balance:?}");
                    told += i32::from(balance.last_report_requested == Some(Indicator::Yes));
                }
                OrderEntryMessage::BusinessMessageReject(reject) => {
                    assert_eq!(reject.reject_reason, EdgeReason::Busy.into());
                    told += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    // Nothing of it is an execution, and it is as of the last command.
    let balances = alice.balances();
    assert_eq!(
        balances.iter().map(|balance| balance.asset).collect::<Vec<_>>(),
        [BASE, QUOTE].map(|it| Some(it.into()))
    );
    for balance in &balances {
        assert_eq!((balance.report_number, balance.answered_sequence, balance.cause), (None, None, None));
        assert!(balance.journal_sequence.is_some());
        assert_eq!(balance.request_id, REQUEST);
    }
    venue.stop();
}

fn amounts(balance: &AccountBalance) -> (u128, u128) {
    let joined = |high, low| amount::join(high, low).unwrap();
    (joined(balance.available_high, balance.available_low), joined(balance.held_high, balance.held_low))
}

#[test]
fn an_idle_venue_tells_balances_too_and_one_question_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path());
    let mut alice = venue.connect(ALICE);
    let request = AccountBalanceRequest { account: ACCOUNTS[0].into(), request_id: REQUEST };
    alice.ask(&request);
    alice.ask(&request);
    let refusal = alice.refusal();
    assert_eq!((refusal.reject_reason, refusal.reference_id), (EdgeReason::Busy.into(), REQUEST));
    let told: Vec<_> = (0..2).map(|_| alice.message()).collect();
    assert!(told.iter().all(|message| matches!(message, OrderEntryMessage::AccountBalance(_))), "{told:?}");
    let balances = alice.balances();
    assert_eq!(balances.iter().map(amounts).collect::<Vec<_>>(), [(DEPOSIT, 0); 2]);
    venue.stop();
}

#[test]
fn assets_are_told_before_the_instruments_that_name_them_and_as_soon_as_they_are_added() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let row = |id: u64, name: &str, exponent: i8| (id, name.to_owned(), exponent);
    let assets = [row(1, "BASE", 0), row(2, "QUOTE", 0)];
    let instruments = [row(1, "HOLDING", 0), row(2, "MATCHING", -2)];
    let running = start(folder.path());
    let mut open = [ALICE, READER].map(|trader| running.connect(trader));
    for trader in &mut open {
        assert_eq!(definitions(trader), [&assets[..], &instruments].concat());
    }
    let added = AddAsset { asset: AssetId(3), name: Text::new("EUR").unwrap(), decimals: 10, note: AdminNote::NONE };
    running.venue.commands().submit(engine::Command { header: CommandHeader::VENUE, body: added.into() }).unwrap();
    let euro = AssetDefinition { asset: wire::AssetId(3), name: Symbol16::new("EUR"), amount_exponent: Exponent(-10) };
    for trader in &mut open {
        match trader.news() {
            News::Message(OrderEntryMessage::AssetDefinition(told)) => assert_eq!(told, euro),
            other => panic!("{other:?}"),
        }
    }
    running.stop();
    // Who comes after a restart is told the same.
    let running = start(folder.path());
    let told = definitions(&mut running.connect(ALICE));
    assert_eq!(told, [&assets[..], &[row(3, "EUR", -10)], &instruments].concat());
    running.stop();
}
