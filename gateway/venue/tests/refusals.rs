//! What is refused at the door has an answer of its own, and changes nothing: a table against a venue that is served.
//!
//! Behind each case a bystander's request is answered, so that whatever the case journalled is on the disk by then. What
//! the edge refuses is no command at all; what the core refuses is one, which leaves books and balances as they were.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::request::CommandMessage;
use client::rustls::pki_types::CertificateDer;
use client::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto, version};
use client::session::{News, Session};
use client::{Client, Credentials, Incoming, Options, Resume, Trust};
use engine::command::{AdminNote, ListInstrument};
use engine::instrument::{Holds, Phase};
use engine::{AssetId, InstrumentId, Price, RejectReason as CoreReason, SelfTradePrevention, Text};
use journal::{Digest, replay};
use venue::arguments::{DurabilityArgument, IdleArgument, ServeArguments};
use venue::data_folder::{DataFolder, KeyHolder};
use venue::demo;
use venue::serve::Running;
use wire::order_entry::{NewOrderSingle, OrderCancelRequest, OrderEntryMessage};
use wire::{AccountId, Block, ClientOrderId, EdgeReason, FrameDecoder, KeyId, RejectReason, SessionVersion, Timestamp};

/// Prices are multiples of a quarter.
const QUARTERS: InstrumentId = InstrumentId(4);
const ALICE: KeyHolder = demo::TRADERS[0];
const BOB: KeyHolder = demo::TRADERS[1];
const ANEW: Resume = Resume::Anew(SessionVersion(1));

/// Does something that is refused; gives the answer.
type Act = Box<dyn Fn(&Served, &mut Client) -> String>;

struct Served {
    running: Running,
    folder: DataFolder,
}

fn serve(data: &Path) -> Served {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let arguments = ServeArguments {
        data: data.to_owned(),
        head: Some(data.to_owned()),
        durability: DurabilityArgument::Synced,
        idle: IdleArgument::Park,
        order_entry: any,
        market_data: any,
        http: any,
        ..ServeArguments::default()
    };
    let quarters = ListInstrument {
        instrument: QUARTERS,
        name: Text::new("QUARTERS").unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: 25,
        tick_decimals: 2,
        lot: 1,
        lot_decimals: 0,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    };
    let running = Running::start(&arguments, |folder| {
        let mut commands = demo::commands(folder)?;
        commands.push(quarters.into());
        Ok(commands)
    });
    Served { running: running.unwrap(), folder: DataFolder::open(data).unwrap() }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_nanos()).unwrap())
}

fn later(seconds: i64) -> Timestamp {
    Timestamp(now().0.saturating_add_signed(seconds * 1_000_000_000))
}

impl Served {
    fn credentials(&self, holder: &KeyHolder) -> Credentials {
        let signing_key = self.folder.key(holder).unwrap();
        Credentials { session: holder.session.into(), key: holder.key.into(), signing_key }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.folder.certificate().unwrap().parse().unwrap().0.remove(0)
    }

    fn connect(&self, holder: &KeyHolder, resume: Resume) -> Client {
        let trust = Trust::certificate("localhost".try_into().unwrap(), self.certificate()).unwrap();
        let address = self.running.addresses().order_entry;
        let client = Client::connect(address, &trust, self.credentials(holder), Options::DEFAULT, resume);
        client.map_err(|error| error.to_string()).unwrap()
    }

    fn dial(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let socket = TcpStream::connect(self.running.addresses().order_entry).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        StreamOwned::new(connection, socket)
    }

    /// Logs Alice in, opens her session, and loses the connection: what somebody has listened to, the login and the
    /// opening.
    fn listened_to(&self) -> [Vec<u8>; 2] {
        let mut stream = self.dial();
        let mut session = Session::new(self.credentials(&ALICE), Options::DEFAULT, ANEW, now());
        let mut decoder = FrameDecoder::<1024>::new();
        let mut sent = Vec::new();
        loop {
            let bytes = session.take_out();
            if !bytes.is_empty() {
                stream.write_all(&bytes).unwrap();
                stream.flush().unwrap();
                sent.push(bytes);
            }
            if matches!(session.next_news(), Some(News::Opened(_))) {
                return sent.try_into().unwrap();
            }
            match decoder.next_frame().unwrap() {
                Some(frame) => session.frame(frame, now()).unwrap(),
                None => match stream.read(decoder.vacant()) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    read => decoder.filled(read.unwrap()),
                },
            }
        }
    }

    /// What the venue says to bytes on a connection of their own, until it closes.
    fn answers(&self, bytes: &[u8]) -> Vec<String> {
        let mut stream = self.dial();
        stream.write_all(bytes).unwrap();
        stream.flush().unwrap();
        let mut decoder = FrameDecoder::<1024>::new();
        let mut reader = Session::new(self.credentials(&ALICE), Options::DEFAULT, ANEW, now());
        loop {
            while let Some(frame) = decoder.next_frame().unwrap() {
                reader.frame(frame, now()).unwrap();
            }
            match stream.read(decoder.vacant()) {
                Ok(0) => break,
                Ok(count) => decoder.filled(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("it neither answers nor closes: {error}"),
            }
        }
        std::iter::from_fn(|| reader.next_news()).map(|news| said(&news)).collect()
    }

    /// The bytes of a login.
    fn login(&self, credentials: Credentials, resume: Resume, at: Timestamp) -> Vec<u8> {
        Session::new(credentials, Options::DEFAULT, resume, at).take_out()
    }

    /// How many commands there are, and what the books are, once the bystander has an answer.
    fn standing(&self, bystander: &mut Client) -> (u64, Digest) {
        assert_eq!(answer(bystander, &OrderCancelRequest { account: account(&BOB), ..nothing() }), "UnknownOrder");
        let replayed = replay(self.folder.path(), &mut (), |_| {}).unwrap();
        (replayed.last.0, replayed.book_digest)
    }
}

/// An answer in one word, by what it is and why.
fn said(news: &News) -> String {
    match news {
        News::Refused(reason) => by_name(*reason),
        News::Ended(code) => format!("{code:?}"),
        other => format!("{other:?}"),
    }
}

fn by_name(reason: RejectReason) -> String {
    match (CoreReason::try_from(reason), EdgeReason::try_from(reason)) {
        (Ok(reason), _) => format!("{reason:?}"),
        (_, Ok(reason)) => format!("{reason:?}"),
        _ => format!("{reason:?}"),
    }
}

/// Sends a message on an open session; why it is refused.
fn answer<M: CommandMessage>(client: &mut Client, message: &M) -> String {
    client.send(message).unwrap();
    loop {
        match client.receive_within(Duration::from_secs(60)).unwrap().expect("an answer") {
            Incoming::Message(OrderEntryMessage::AssetDefinition(_) | OrderEntryMessage::SecurityDefinition(_))
            | Incoming::NotApplied(..) => {}
            Incoming::Message(OrderEntryMessage::ExecutionReport(report)) => {
                return report.reject_reason.map_or(format!("{:?}", report.exec_type), by_name);
            }
            Incoming::Message(OrderEntryMessage::OrderCancelReject(reject)) => return by_name(reject.reject_reason),
            Incoming::Message(OrderEntryMessage::BusinessMessageReject(reject)) => {
                return by_name(reject.reject_reason);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn account(holder: &KeyHolder) -> AccountId {
    holder.account.into()
}

/// A cancel of what is not there.
fn nothing() -> OrderCancelRequest {
    OrderCancelRequest { original_client_order_id: Some(ClientOrderId(u64::MAX - 1)), ..OrderCancelRequest::BLANK }
}

fn order(price: i64) -> NewOrderSingle {
    NewOrderSingle {
        account: account(&ALICE),
        security_id: QUARTERS.into(),
        client_order_id: Some(ClientOrderId(1)),
        price: Some(wire::Price(price)),
        order_quantity: Some(wire::Quantity(1)),
        side: wire::Side::Buy,
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

#[test]
fn what_is_refused_at_the_door_has_an_answer_of_its_own_and_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut venue = serve(data.path());
    let mut bystander = venue.connect(&BOB, ANEW);

    let [login, opening] = venue.listened_to();
    let resume = Resume::From { version: SessionVersion(1), next_report: wire::SessionSequence(1) };
    let mut alice = venue.connect(&ALICE, resume);

    let on_a_connection =
        |bytes: Vec<u8>| -> Act { Box::new(move |venue: &Served, _: &mut Client| venue.answers(&bytes).join(", ")) };
    let unknown_key = Credentials { key: KeyId(99), ..venue.credentials(&ALICE) };
    let forged = Credentials { signing_key: venue.folder.key(&BOB).unwrap(), ..venue.credentials(&ALICE) };
    let stolen = Credentials { session: ALICE.session.into(), ..venue.credentials(&BOB) };
    // case, what is done, the answer, commands in the journal
    let cases: Vec<(&str, Act, &str, u64)> = vec![
        ("an unknown key", on_a_connection(venue.login(unknown_key, ANEW, now())), "UnknownKey", 0),
        ("another's signature", on_a_connection(venue.login(forged, ANEW, now())), "SignatureInvalid", 0),
        ("another's session", on_a_connection(venue.login(stolen, resume, now())), "SessionKeyMismatch", 1),
        (
            "an old timestamp",
            on_a_connection(venue.login(venue.credentials(&ALICE), Resume::Anew(SessionVersion(2)), later(-6))),
            "TimestampOutOfWindow",
            0,
        ),
        ("no frame", on_a_connection(vec![0xFF; 64]), "ProtocolViolation", 0),
        (
            "an order before the opening",
            on_a_connection({
                let mut bytes = vec![0; 1_024];
                let length = wire::encode(&order(100), &mut bytes).unwrap();
                bytes.truncate(length);
                bytes
            }),
            "ProtocolViolation",
            0,
        ),
        (
            "a side without a meaning",
            Box::new(|_, alice| answer(alice, &NewOrderSingle { side: wire::Side::NonRepresentable, ..order(100) })),
            "Malformed",
            0,
        ),
        (
            "an order for another account",
            Box::new(|_, alice| answer(alice, &NewOrderSingle { account: account(&BOB), ..order(100) })),
            "NotEntitled",
            1,
        ),
        ("a price off tick", Box::new(|_, alice| answer(alice, &order(110))), "PriceOffTick", 1),
    ];
    let mut before = venue.standing(&mut bystander);
    // What was listened to comes first, while its timestamps are of now: a slow machine may refuse it for those alone.
    for (bytes, reason) in [(&login, "SessionVersionNotGreater"), (&opening, "SessionNonceNotGreater")] {
        let said = venue.answers(bytes).join(", ");
        let after = venue.standing(&mut bystander);
        let found = (said.as_str(), after.0 - before.0 - 1);
        assert!([(reason, 1), ("TimestampOutOfWindow", 0)].contains(&found), "{found:?}");
        assert_eq!(after.1, before.1, "{reason}");
        before = after;
    }
    for (case, act, expected, commands) in &cases {
        assert_eq!(act(&venue, &mut alice), *expected, "{case}");
        let after = venue.standing(&mut bystander);
        // The bystander's own request is one of the commands.
        assert_eq!((after.0 - before.0 - 1, after.1), (*commands, before.1), "{case}");
        before = after;
    }
    // Nothing of that cost anybody a session.
    assert_eq!(answer(&mut alice, &order(100)), "New");
    let resume = alice.resume();
    drop((alice, bystander));
    venue.running.stop().unwrap();

    // What was listened to does not count in a venue that was started again either, however fresh it still is.
    venue = serve(data.path());
    let mut bystander = venue.connect(&BOB, Resume::Anew(SessionVersion(2)));
    let (_, books) = venue.standing(&mut bystander);
    for (bytes, reason) in [(&login, "SessionVersionNotGreater"), (&opening, "SessionNonceNotGreater")] {
        let said = venue.answers(bytes);
        assert!(said == [reason] || said == ["TimestampOutOfWindow"], "{said:?}");
    }
    assert_eq!(venue.standing(&mut bystander).1, books);
    let mut alice = venue.connect(&ALICE, resume);
    assert_eq!(answer(&mut alice, &OrderCancelRequest { account: account(&ALICE), ..nothing() }), "UnknownOrder");
    drop((alice, bystander));
    venue.running.stop().unwrap();
}
