//! A venue in the process, the server and clients together, over sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use client::session::{News, Session};
use client::{Client, ConnectError, Credentials, Options, Resume, SigningKey, Trust};
use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::{
    AccountId, AssetId, CommandBody, CommandHeader, Engine, Event, EventHeader, InstrumentId, KeyId,
    SelfTradePrevention, StpGroup, Text, Timestamp,
};
use gateway::copies::{CopyCollector, CopyRange};
use gateway::history::{ReportCollector, ReportHistory, ReportRange};
use gateway::session::SessionLimits;
use gateway::transport::tls::{self, ClientCertificates};
use gateway::transport::{Config, Security, Server};
use gateway::view::View;
use journal::replay;
use ring::{Admission, SharedAdmission};
use venue::topology::{Topology, Venue};
use wire::order_entry::{
    BusinessMessageReject, ExecutionReport, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest,
    OrderEntryMessage, OrderMassActionRequest,
};
use wire::{
    Block, EdgeReason, ExecType, FrameDecoder, Indicator, OrderStatus, Price, Quantity, RejectReason, SessionSequence,
    SessionVersion, TerminationCode,
};

const BOOK: InstrumentId = InstrumentId(1);
const ACCOUNTS: [AccountId; 2] = [AccountId(2), AccountId(3)];

/// A started venue with its server; traders 0 and 1 have session, key and account of their own.
struct Running {
    venue: Venue,
    server: Server,
    trust: Trust,
    admission: Arc<SharedAdmission>,
}

/// What the journal says, replayed while the venue goes on.
struct JournalHistory(PathBuf);

impl ReportHistory for JournalHistory {
    fn reports(&self, range: &ReportRange, _: engine::Sequence) -> std::io::Result<Vec<(EventHeader, Event)>> {
        let mut collector = ReportCollector::new(*range);
        replay(&self.0, &mut collector, |_| {}).map_err(std::io::Error::other)?;
        Ok(collector.into_found())
    }

    fn copies(&self, range: &CopyRange, _: engine::Sequence) -> std::io::Result<Vec<(EventHeader, Event)>> {
        let mut collector = CopyCollector::new(*range);
        replay(&self.0, &mut collector, |_| {}).map_err(std::io::Error::other)?;
        Ok(collector.into_found())
    }
}

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn topology() -> Topology {
    Topology { capacity: engine::Capacity::SMALL, reader_count: 1, segment_bytes: 1 << 20, ..Topology::default() }
}

fn signing_key(trader: u8) -> SigningKey {
    SigningKey::from_bytes(&[trader + 1; 32])
}

fn set_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let mut bodies: Vec<CommandBody> = vec![
        ListInstrument {
            instrument: BOOK,
            name: Text::new("X").unwrap(),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 25,
            tick_decimals: 2,
            lot: 10,
            lot_decimals: 1,
            reference: engine::Price::ABSENT,
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::Allow,
            phase: Phase::Continuous,
            note,
        }
        .into(),
    ];
    for (trader, account) in (0..).zip(ACCOUNTS) {
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        let key = KeyId(u32::from(trader) + 1);
        let public_key = signing_key(trader).verifying_key().to_bytes();
        bodies.extend::<[CommandBody; 3]>([
            OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note }.into(),
            AddKey { key, kind: engine::command::KeyKind::Ed25519, public_key, note }.into(),
            GrantRole { key, role: Role::Trader, account, note }.into(),
        ]);
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

fn start(folder: &Path, protection: Protection) -> Running {
    start_with(folder, protection, |_| {})
}

fn start_with(folder: &Path, protection: Protection, configure: impl FnOnce(&mut Config)) -> Running {
    let mut view = None;
    let mut venue = Venue::start(folder, &topology(), |engine| view = Some(View::of(engine))).unwrap();
    let (security, trust) = match protection {
        Protection::Tls => with_certificate(),
        Protection::None => (Security::PlainLoopback, Trust::PlainLoopback),
    };
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), security, || Timestamp(now_ns()));
    config.limits = SessionLimits::UNTHROTTLED;
    configure(&mut config);
    let admission = config.admission.clone();
    let events = venue.take_readers().pop().unwrap();
    let history = JournalHistory(folder.to_owned());
    let server = Server::start(config, venue.commands().clone(), events, view.unwrap(), history, None).unwrap();
    Running { venue, server, trust, admission }
}

#[derive(Clone, Copy)]
enum Protection {
    Tls,
    None,
}

fn with_certificate() -> (Security, Trust) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = tls::server_config(vec![certificate.clone()], key.into(), ClientCertificates::Optional).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    (Security::Tls(config), Trust::certificate(name, certificate).unwrap())
}

fn credentials(trader: u8) -> Credentials {
    let number = u64::from(trader) + 1;
    Credentials { session: wire::SessionId(number), key: wire::KeyId(number), signing_key: signing_key(trader) }
}

impl Running {
    fn connect(&self, trader: u8, resume: Resume) -> Client {
        self.try_connect(credentials(trader), resume).map_err(|error| error.to_string()).unwrap()
    }

    fn try_connect(&self, credentials: Credentials, resume: Resume) -> Result<Client, ConnectError> {
        Client::connect(self.server.local_addr(), &self.trust, credentials, Options::DEFAULT, resume)
    }

    fn stop(self) -> Engine {
        self.server.stop();
        self.venue.stop().unwrap().engine
    }
}

fn order(trader: usize, name: u64, side: wire::Side, price: i64, quantity: i64) -> NewOrderSingle {
    NewOrderSingle {
        account: ACCOUNTS[trader].into(),
        security_id: BOOK.into(),
        client_order_id: Some(wire::ClientOrderId(name)),
        price: Some(Price(price)),
        order_quantity: Some(Quantity(quantity)),
        side,
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

/// The next execution report; definitions of instruments are passed over.
fn execution(client: &mut Client) -> ExecutionReport {
    loop {
        match client.receive().unwrap() {
            News::Message(OrderEntryMessage::ExecutionReport(report)) => return report,
            News::Message(OrderEntryMessage::SecurityDefinition(definition)) => {
                assert_eq!((definition.price_exponent.0, definition.tick), (-2, Price(25)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn traders_trade_over_tls_and_a_lost_connection_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path(), Protection::Tls);
    let mut buyer = venue.connect(0, Resume::Anew(SessionVersion(1)));
    let mut seller = venue.connect(1, Resume::Anew(SessionVersion(1)));

    let bid = order(0, 11, wire::Side::Buy, 10_025, 100);
    let number = buyer.send(&bid).unwrap();
    let accepted = execution(&mut buyer);
    assert_eq!((accepted.exec_type, accepted.order_status), (ExecType::New, Some(OrderStatus::New)));
    assert_eq!((accepted.answered_sequence, accepted.report_number), (Some(number), Some(SessionSequence(1))));
    assert_eq!((accepted.price, accepted.leaves_quantity), (Some(Price(10_025)), Quantity(100)));

    seller.send(&order(1, 21, wire::Side::Sell, 10_000, 40)).unwrap();
    assert_eq!(execution(&mut seller).exec_type, ExecType::New);
    let (bought, sold) = (execution(&mut buyer), execution(&mut seller));
    assert_eq!(bought.trade_id, sold.trade_id);
    for (fill, aggressor, status) in
        [(bought, Indicator::No, OrderStatus::PartiallyFilled), (sold, Indicator::Yes, OrderStatus::Filled)]
    {
        assert_eq!((fill.exec_type, fill.order_status), (ExecType::Trade, Some(status)));
        assert_eq!((fill.last_price, fill.last_quantity), (Some(Price(10_025)), Some(Quantity(40))));
        assert_eq!(fill.aggressor, Some(aggressor));
        assert_eq!(fill.possible_duplicate, Indicator::No);
    }

    // The buyer's connection is lost without a goodbye, and it trades meanwhile.
    let resume = buyer.resume();
    drop(buyer);
    seller.send(&order(1, 22, wire::Side::Sell, 10_025, 30)).unwrap();
    assert_eq!(execution(&mut seller).exec_type, ExecType::New);
    assert_eq!(execution(&mut seller).exec_type, ExecType::Trade);

    let mut buyer = venue.connect(0, resume);
    assert_eq!(buyer.opened().next_sequence, SessionSequence(2));
    assert_eq!(buyer.opened().next_report_number, SessionSequence(4));
    let missed = execution(&mut buyer);
    assert_eq!((missed.exec_type, missed.report_number), (ExecType::Trade, Some(SessionSequence(3))));
    assert_eq!((missed.last_quantity, missed.possible_duplicate), (Some(Quantity(30)), Indicator::Yes));

    // Whether the first order arrived could have been in doubt: sent again, it is applied once.
    buyer.send_again(number, &bid).unwrap();
    let cancel = OrderCancelRequest {
        account: ACCOUNTS[0].into(),
        original_client_order_id: bid.client_order_id,
        ..OrderCancelRequest::BLANK
    };
    let number = buyer.send(&cancel).unwrap();
    let cancelled = execution(&mut buyer);
    assert_eq!((cancelled.exec_type, cancelled.answered_sequence), (ExecType::Cancelled, Some(number)));
    assert_eq!(cancelled.cancelled_quantity, Some(Quantity(30)));
    assert_eq!(cancelled.report_number, Some(SessionSequence(4)));

    let resume = buyer.close().unwrap();
    assert_eq!(resume, Resume::From { version: SessionVersion(1), next_report: SessionSequence(5) });
    let engine = venue.stop();
    assert_eq!(engine.orders(BOOK, engine::Side::Buy).count(), 0);
}

#[test]
fn reports_of_a_stopped_venue_are_recovered_from_the_next() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path(), Protection::None);
    let mut trader = venue.connect(0, Resume::Anew(SessionVersion(1)));
    trader.send(&order(0, 11, wire::Side::Buy, 10_025, 100)).unwrap();
    assert_eq!(execution(&mut trader).exec_type, ExecType::New);
    venue.stop();
    let ended = std::iter::from_fn(|| trader.receive().ok()).last();
    assert!(matches!(ended, Some(News::Ended(TerminationCode::VenueStopped))), "{ended:?}");

    let venue = start(folder.path(), Protection::None);
    let everything = Resume::From { version: SessionVersion(1), next_report: SessionSequence(1) };
    let mut trader = venue.connect(0, everything);
    let again = execution(&mut trader);
    assert_eq!((again.exec_type, again.price), (ExecType::New, Some(Price(10_025))));
    assert_eq!(again.possible_duplicate, Indicator::Yes);
    // The order is known by name to a gateway that never saw it come.
    let amend = wire::order_entry::OrderCancelReplaceRequest {
        account: ACCOUNTS[0].into(),
        original_client_order_id: Some(wire::ClientOrderId(11)),
        price: Some(Price(10_050)),
        ..wire::order_entry::OrderCancelReplaceRequest::BLANK
    };
    trader.send(&amend).unwrap();
    let replaced = execution(&mut trader);
    assert_eq!((replaced.exec_type, replaced.price), (ExecType::Replaced, Some(Price(10_050))));
    venue.stop();
}

#[test]
fn an_amend_may_follow_its_order_at_once() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path(), Protection::None);
    let mut trader = venue.connect(0, Resume::Anew(SessionVersion(1)));
    trader.send(&order(0, 11, wire::Side::Buy, 10_025, 100)).unwrap();
    let amend = wire::order_entry::OrderCancelReplaceRequest {
        account: ACCOUNTS[0].into(),
        original_client_order_id: Some(wire::ClientOrderId(11)),
        order_quantity: Some(Quantity(50)),
        ..wire::order_entry::OrderCancelReplaceRequest::BLANK
    };
    trader.send(&amend).unwrap();
    assert_eq!(execution(&mut trader).exec_type, ExecType::New);
    let replaced = execution(&mut trader);
    assert_eq!((replaced.exec_type, replaced.leaves_quantity), (ExecType::Replaced, Quantity(50)));
    venue.stop();
}

#[test]
fn a_trader_waits_no_longer_than_it_wants_and_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    for protection in [Protection::None, Protection::Tls] {
        let venue = start(folder.path(), protection);
        let mut trader = venue.connect(0, Resume::Anew(SessionVersion(now_ns())));
        let definition = trader.receive().unwrap();
        assert!(matches!(definition, News::Message(OrderEntryMessage::SecurityDefinition(_))), "{definition:?}");
        // Nothing else comes by itself.
        for patience in [0, 20] {
            assert!(trader.receive_within(Duration::from_millis(patience)).unwrap().is_none());
        }
        let number = trader.send(&order(0, now_ns(), wire::Side::Buy, 10_025, 100)).unwrap();
        let report = loop {
            match trader.receive_within(Duration::from_millis(1)).unwrap() {
                Some(News::Message(OrderEntryMessage::ExecutionReport(report))) => break report,
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        };
        assert_eq!((report.exec_type, report.answered_sequence), (ExecType::New, Some(number)));
        venue.stop();
    }
}

/// What the venue says to bytes on a connection of their own, until it closes.
fn answers(address: SocketAddr, bytes: &[u8], session: &mut Session) -> Vec<News> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    let mut decoder = FrameDecoder::<1024>::new();
    let mut news = Vec::new();
    loop {
        while let Some(frame) = decoder.next_frame().unwrap() {
            session.frame(frame, wire::Timestamp(now_ns())).unwrap();
        }
        news.extend(std::iter::from_fn(|| session.next_news()));
        match stream.read(decoder.vacant()) {
            Ok(0) | Err(_) => return news,
            Ok(count) => decoder.filled(count),
        }
    }
}

fn refused_because(news: &[News]) -> RejectReason {
    match news {
        [News::Refused(reason)] => *reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_stranger_says_is_refused_by_name_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path(), Protection::None);
    let anew = Resume::Anew(SessionVersion(1));
    let refused = |credentials| match venue.try_connect(credentials, anew) {
        Err(ConnectError::Refused(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    };
    let stranger = Credentials { key: wire::KeyId(9), ..credentials(0) };
    assert_eq!(refused(stranger), engine::RejectReason::UnknownKey.into());
    let forged = Credentials { signing_key: signing_key(1), ..credentials(0) };
    assert_eq!(refused(forged), EdgeReason::SignatureInvalid.into());

    let address = venue.server.local_addr();
    let old = wire::Timestamp(now_ns() - 6_000_000_000);
    let mut late = Session::new(credentials(0), Options::DEFAULT, anew, old);
    let login = late.take_out();
    assert_eq!(refused_because(&answers(address, &login, &mut late)), EdgeReason::TimestampOutOfWindow.into());

    // A login that was overheard and is sent once more.
    let mut session = Session::new(credentials(0), Options::DEFAULT, anew, wire::Timestamp(now_ns()));
    let login = session.take_out();
    let mut trader = TcpStream::connect(address).unwrap();
    trader.write_all(&login).unwrap();
    assert!(trader.read(&mut [0; 1024]).unwrap() > 0);
    let replayed = answers(address, &login, &mut session);
    assert_eq!(refused_because(&replayed), engine::RejectReason::SessionVersionNotGreater.into());
    drop(trader);

    let other_key = Credentials { session: wire::SessionId(1), ..credentials(1) };
    assert_eq!(refused(other_key), engine::RejectReason::SessionKeyMismatch.into());

    let mut garbage = Session::new(credentials(0), Options::DEFAULT, anew, wire::Timestamp(now_ns()));
    let ended = answers(address, &[0xFF; 32], &mut garbage);
    assert!(matches!(ended[..], [News::Ended(TerminationCode::ProtocolViolation)]), "{ended:?}");

    let engine = venue.stop();
    assert_eq!(engine.sessions().count(), 1);
    assert!(engine.sessions().all(|session| session.last_applied.is_none()));
}

#[test]
fn what_a_trader_may_not_do_is_refused_by_name_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path(), Protection::None);
    let mut trader = venue.connect(0, Resume::Anew(SessionVersion(1)));
    let bid = order(0, 11, wire::Side::Buy, 10_025, 100);
    let unknown = wire::SecurityId(99);
    for (refused, reason) in [
        (NewOrderSingle { account: ACCOUNTS[1].into(), ..bid }, engine::RejectReason::NotEntitled),
        (NewOrderSingle { security_id: unknown, ..bid }, engine::RejectReason::UnknownInstrument),
        (NewOrderSingle { price: Some(Price(10_026)), ..bid }, engine::RejectReason::PriceOffTick),
        (NewOrderSingle { price: Some(Price(-25)), ..bid }, engine::RejectReason::PriceNotPositive),
        (NewOrderSingle { order_quantity: Some(Quantity(15)), ..bid }, engine::RejectReason::QuantityOffLot),
        (NewOrderSingle { order_quantity: Some(Quantity(0)), ..bid }, engine::RejectReason::QuantityNotPositive),
    ] {
        let number = trader.send(&refused).unwrap();
        let report = execution(&mut trader);
        assert_eq!((report.exec_type, report.answered_sequence), (ExecType::Rejected, Some(number)));
        assert_eq!(report.reject_reason, Some(reason.into()));
    }

    // What the edge refuses has no command: its number is used up, and named again as not applied.
    let number = trader.send(&NewOrderSingle { side: wire::Side::NonRepresentable, ..bid }).unwrap();
    let News::Message(OrderEntryMessage::BusinessMessageReject(reject)) = trader.receive().unwrap() else {
        panic!("no reject")
    };
    assert_eq!((reject.answered_sequence, reject.reject_reason), (Some(number), EdgeReason::Malformed.into()));
    trader.send(&OrderCancelRequest { account: ACCOUNTS[0].into(), ..OrderCancelRequest::BLANK }).unwrap();
    let News::NotApplied(from, count) = trader.receive().unwrap() else { panic!("no gap") };
    assert_eq!((from, count.0), (number, 1));
    let News::Message(OrderEntryMessage::OrderCancelReject(reject)) = trader.receive().unwrap() else {
        panic!("no reject")
    };
    assert_eq!(reject.reject_reason, engine::RejectReason::UnknownOrder.into());
    let engine = venue.stop();
    assert_eq!(engine.orders(BOOK, engine::Side::Buy).count(), 0);
}

#[test]
fn a_new_connection_of_a_session_takes_over_from_one_that_still_stands() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path(), Protection::None);
    let mut first = venue.connect(0, Resume::Anew(SessionVersion(1)));
    let mut second = venue.connect(0, first.resume());
    let ended = std::iter::from_fn(|| first.receive().ok()).last();
    assert!(matches!(ended, Some(News::Ended(TerminationCode::Replaced))), "{ended:?}");
    second.send(&order(0, 11, wire::Side::Buy, 10_025, 100)).unwrap();
    assert_eq!(execution(&mut second).exec_type, ExecType::New);
    venue.stop();
}

/// Finds out why sessions were disconnected.
#[derive(Default)]
struct Disconnects(Vec<(engine::SessionId, DisconnectReason)>);

impl engine::EventSink for Disconnects {
    fn event(&mut self, _: &EventHeader, event: &Event) {
        if let Event::SessionDisconnected(gone) = event {
            self.0.push((gone.session, gone.reason));
        }
    }
}

/// Fills of its resting order come in, and it reads none.
#[test]
fn a_slow_reader_is_ended_and_nobody_else_notices() {
    // More than what both ends of a socket keep by themselves.
    const FILLS: i64 = 30_000;
    const IN_ROW: i64 = 100;
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start_with(folder.path(), Protection::None, |config| config.backlog_bytes = 10_000);
    let mut slow = venue.connect(0, Resume::Anew(SessionVersion(1)));
    let mut other = venue.connect(1, Resume::Anew(SessionVersion(1)));
    slow.send(&order(0, 1, wire::Side::Sell, 10_025, 10 * FILLS)).unwrap();
    assert_eq!(execution(&mut slow).exec_type, ExecType::New);
    let mut fills = 0;
    for first in (1..=FILLS).step_by(100) {
        for name in first..first + IN_ROW {
            other.send(&order(1, name.unsigned_abs(), wire::Side::Buy, 10_025, 10)).unwrap();
        }
        for _ in 0..2 * IN_ROW {
            fills += i64::from(execution(&mut other).exec_type == ExecType::Trade);
        }
    }
    assert_eq!(fills, FILLS);
    let heard = std::iter::from_fn(|| slow.receive().ok()).count();
    assert!(heard < usize::try_from(FILLS).unwrap(), "{heard}");
    other.close().unwrap();
    venue.stop();
    let mut disconnects = Disconnects::default();
    replay(folder.path(), &mut disconnects, |_| {}).unwrap();
    let session = |trader: u8| engine::SessionId(u32::from(trader) + 1);
    assert_eq!(disconnects.0, [(session(0), DisconnectReason::SlowReader), (session(1), DisconnectReason::Terminated)]);
}

/// A reader of copies takes none of them.
#[test]
fn a_reader_of_copies_that_is_slow_is_ended_and_those_that_it_reads_of_do_not_notice() {
    // More than what both ends of a socket keep by themselves.
    const REPORTS: usize = 30_000;
    const IN_ROW: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start_with(folder.path(), Protection::None, |config| config.backlog_bytes = 10_000);
    let (key, note) = (KeyId(3), AdminNote::NONE);
    let public_key = signing_key(2).verifying_key().to_bytes();
    let role = GrantRole { key, role: Role::DropCopy, account: AccountId::NONE, note };
    for body in [AddKey { key, kind: engine::command::KeyKind::Ed25519, public_key, note }.into(), role.into()] {
        venue.venue.commands().submit(engine::Command { header: CommandHeader::VENUE, body }).unwrap();
    }
    let mut trader = venue.connect(0, Resume::Anew(SessionVersion(1)));
    let mut slow = venue.connect(2, Resume::Anew(SessionVersion(1)));
    let off_tick = order(0, 1, wire::Side::Buy, 10_026, 100);
    for _ in 0..REPORTS / IN_ROW {
        for _ in 0..IN_ROW {
            trader.send(&off_tick).unwrap();
        }
        assert!((0..IN_ROW).all(|_| execution(&mut trader).exec_type == ExecType::Rejected));
    }
    let copied = std::iter::from_fn(|| slow.receive().ok()).count();
    assert!(copied < REPORTS, "{copied}");
    trader.close().unwrap();
    venue.stop();
    let mut disconnects = Disconnects::default();
    replay(folder.path(), &mut disconnects, |_| {}).unwrap();
    let session = |trader: u8| engine::SessionId(u32::from(trader) + 1);
    assert_eq!(disconnects.0, [(session(2), DisconnectReason::SlowReader), (session(0), DisconnectReason::Terminated)]);
}

#[test]
fn what_there_is_no_room_for_is_refused_and_costs_nobody_the_session() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let venue = start(folder.path(), Protection::None);
    let mut trader = venue.connect(0, Resume::Anew(SessionVersion(1)));
    let (bid, another) = (order(0, 11, wire::Side::Buy, 10_025, 100), order(0, 12, wire::Side::Buy, 10_025, 100));
    let cancel = OrderCancelRequest {
        account: ACCOUNTS[0].into(),
        original_client_order_id: bid.client_order_id,
        ..OrderCancelRequest::BLANK
    };
    trader.send(&bid).unwrap();
    assert_eq!(execution(&mut trader).exec_type, ExecType::New);

    // What reduces risk goes last, and whoever wants to can log in for it.
    venue.admission.set(Admission::CancelsOnly);
    let number = trader.send(&another).unwrap();
    let reject = refusal(&mut trader);
    assert_eq!((reject.answered_sequence, reject.reference_id), (Some(number), Some(wire::RequestId(12))));
    assert_eq!(reject.reject_reason, EdgeReason::StorageLow.into());
    assert_eq!(reject.text.as_str(), Some("the venue's storage fills: only cancels now"));
    let amend = OrderCancelReplaceRequest {
        account: ACCOUNTS[0].into(),
        original_client_order_id: bid.client_order_id,
        order_quantity: Some(Quantity(50)),
        ..OrderCancelReplaceRequest::BLANK
    };
    trader.send(&amend).unwrap();
    assert_eq!(refusal(&mut trader).reject_reason, EdgeReason::StorageLow.into());
    let mut second = venue.connect(1, Resume::Anew(SessionVersion(1)));
    trader.send(&cancel).unwrap();
    assert_eq!(execution_behind_gap(&mut trader).exec_type, ExecType::Cancelled);

    // An opening that is refused takes nobody's session over.
    venue.admission.set(Admission::Nothing);
    let refused = venue.try_connect(credentials(0), trader.resume()).map(drop);
    assert!(matches!(refused, Err(ConnectError::Refused(reason)) if reason == EdgeReason::StorageFull.into()));
    trader.send(&cancel).unwrap();
    assert_eq!(refusal(&mut trader).reject_reason, EdgeReason::StorageFull.into());
    second.send(&OrderMassActionRequest { account: Some(ACCOUNTS[1].into()), ..mass_cancel() }).unwrap();
    assert_eq!(refusal(&mut second).reject_reason, EdgeReason::StorageFull.into());
    second.close().unwrap();

    // The name of an order that was refused is free.
    venue.admission.set(Admission::Everything);
    trader.send(&another).unwrap();
    assert_eq!(execution_behind_gap(&mut trader).exec_type, ExecType::New);
    let engine = venue.stop();
    assert_eq!(engine.orders(BOOK, engine::Side::Buy).count(), 1);
    assert!(engine.sessions().all(|session| session.state != engine::SessionState::Established));
}

fn mass_cancel() -> OrderMassActionRequest {
    OrderMassActionRequest { action: wire::MassActionType::CancelOrders, ..OrderMassActionRequest::BLANK }
}

/// The next refusal of the edge; definitions of instruments are passed over.
fn refusal(client: &mut Client) -> BusinessMessageReject {
    loop {
        match client.receive().unwrap() {
            News::Message(OrderEntryMessage::BusinessMessageReject(reject)) => return reject,
            News::Message(OrderEntryMessage::SecurityDefinition(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The next execution report, behind the numbers that the edge has refused.
fn execution_behind_gap(client: &mut Client) -> ExecutionReport {
    let gap = client.receive().unwrap();
    assert!(matches!(gap, News::NotApplied(..)), "{gap:?}");
    execution(client)
}

#[test]
fn a_session_that_a_killed_venue_left_open_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let mut venue = Venue::start(folder.path(), &Topology { reader_count: 0, ..topology() }, |_| {}).unwrap();
    drop(venue.take_readers());
    let header = CommandHeader { author: KeyId(1), session: engine::SessionId(1), ..CommandHeader::VENUE };
    let version = engine::SessionVersion(1);
    let open = Establish {
        version,
        nonce: engine::LoginNonce(1),
        cancel_on_disconnect: CancelOnDisconnect::Keep,
        cancel_grace: engine::Nanoseconds(0),
        keep_alive: engine::Nanoseconds(0),
    };
    for body in [Negotiate { version }.into(), open.into()] {
        venue.commands().submit(engine::Command { header, body }).unwrap();
    }
    let left = venue.stop().unwrap().engine;
    assert!(left.sessions().all(|session| session.state == engine::SessionState::Established));

    let venue = start(folder.path(), Protection::None);
    let resume = Resume::From { version: SessionVersion(1), next_report: SessionSequence(1) };
    let trader = venue.connect(0, resume);
    assert_eq!(trader.opened().next_report_number, SessionSequence(1));
    venue.stop();
}
