//! Drop copy, as its readers meet it at a venue that runs, is asked for the past, and is killed.

mod common {
    pub(crate) mod killed;
    pub(crate) mod program;
    pub(crate) mod ready;
}

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::process::{ChildStdout, Command};

use client::copies::{CopyStream, Since, Taken};
use client::session::News;
use client::wire::order_entry::{
    BusinessMessageReject, DropCopyReport, DropCopyRequest, ExecutionReport, KillSwitch, KillSwitchReport,
    NewOrderSingle, OrderCancelReject, OrderCancelRequest, OrderEntryMessage, OrderMassActionReport,
    OrderMassActionRequest,
};
use client::wire::{
    AccountId, Block, ClientOrderId, EdgeReason, ExecType, ExecutionId, Indicator, OrderCount, OrderId, RejectReason,
    RequestId, SessionVersion, Switch, TerminationCode,
};
use client::{Client, Credentials, Options, Resume, Trust};
use engine::RejectReason as Refused;
use serde_json::Value;
use tempfile::TempDir;
use venue::data_folder::KeyFile;

use self::common::killed::Killed;
use self::common::{program, ready};

const ALICE: AccountId = AccountId(2);
const BOB: AccountId = AccountId(3);
/// Keys of readers: of Alice's account, and of all.
const HERS: u32 = 8;
const EVERYBODYS: u32 = 9;

/// A venue in a process of its own; killed when it is dropped.
struct Served {
    process: Killed,
    _output: BufReader<ChildStdout>,
    ready: Value,
}

impl Served {
    fn start(data: &Path) -> Self {
        let mut command = program::serve(data);
        command.args(["--order-entry-security", "plain-loopback"]);
        let (process, _output, ready) = ready::start(command);
        Self { process, _output, ready }
    }

    fn address(&self, door: &str) -> &str {
        self.ready[door].as_str().unwrap()
    }

    /// Ends it as `kill -9` does.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn connect(&self, key: &KeyFile) -> Client {
        let credentials = Credentials {
            session: client::wire::SessionId(key.session.into()),
            key: client::wire::KeyId(key.key.into()),
            signing_key: key.signing_key(Path::new("a key file")).unwrap(),
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let anew = Resume::Anew(SessionVersion(u64::try_from(now.as_nanos()).unwrap()));
        let address = self.address("order_entry").parse().unwrap();
        let connected = Client::connect(address, &Trust::PlainLoopback, credentials, Options::DEFAULT, anew);
        connected.map_err(|error| error.to_string()).unwrap()
    }
}

/// A venue of a test's own, and its folder.
struct Venue {
    served: Served,
    folder: TempDir,
}

impl Venue {
    /// With both readers' keys.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let venue = Self { served: Served::start(folder.path()), folder };
        venue.add_reader(HERS, &["--account", "2"]);
        venue.add_reader(EVERYBODYS, &[]);
        venue
    }

    fn kill_and_start(self) -> Self {
        let Self { served, folder } = self;
        served.kill();
        Self { served: Served::start(folder.path()), folder }
    }

    /// Runs the administrator's tool, which succeeds or is refused; what it says.
    fn admin(&self, arguments: &[&str]) -> Value {
        let key = self.folder.path().join("keys/administrator.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["admin", "--connect", self.served.address("http"), "--json", "--reason", "a test", "--key"]);
        let output = command.arg(key).args(arguments).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}"))
    }

    fn add_reader(&self, key: u32, account: &[&str]) {
        let (number, file) = (key.to_string(), self.folder.path().join(format!("{key}.json")));
        let made = self.admin(&["key", "new", &number, "--out", file.to_str().unwrap()]);
        self.admin(&["key", "add", &number, "--public-key", made["public_key"].as_str().unwrap()]);
        self.admin(&[&["key", "grant", &number, "--role", "drop-copy"], account].concat());
    }

    fn trader(&self, name: &str) -> Client {
        self.served.connect(&KeyFile::read(&self.folder.path().join("keys").join(format!("{name}.json"))).unwrap())
    }

    fn reader(&self, key: u32) -> Client {
        self.served.connect(&KeyFile::read(&self.folder.path().join(format!("{key}.json"))).unwrap())
    }
}

fn order(account: AccountId, name: u64, side: client::wire::Side, price: i64, quantity: i64) -> NewOrderSingle {
    NewOrderSingle {
        account,
        security_id: client::wire::SecurityId(1),
        client_order_id: Some(ClientOrderId(name)),
        price: Some(client::wire::Price(price)),
        order_quantity: Some(client::wire::Quantity(quantity)),
        side,
        order_type: client::wire::OrderType::Limit,
        time_in_force: client::wire::TimeInForce::GoodTillCancel,
        on_disconnect: client::wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

fn cancel(account: AccountId, order: u64) -> OrderCancelRequest {
    OrderCancelRequest { account, order_id: Some(OrderId(order)), ..OrderCancelRequest::BLANK }
}

fn kill(account: AccountId, switch: Switch, name: u64) -> KillSwitch {
    KillSwitch { account, switch, idempotency_key: Some(RequestId(name)), ..KillSwitch::BLANK }
}

/// The next message that is no definition, and no word on an instrument's phase.
fn message(client: &mut Client) -> OrderEntryMessage {
    loop {
        match client.receive().unwrap() {
            News::Message(
                OrderEntryMessage::AssetDefinition(_)
                | OrderEntryMessage::SecurityDefinition(_)
                | OrderEntryMessage::TradingSessionStatus(_),
            ) => {}
            News::Message(message) => return message,
            other => panic!("{other:?}"),
        }
    }
}

/// Reports by account and number, in words.
type Reports = BTreeMap<(AccountId, ExecutionId), String>;

/// A report that has a number in an account as everybody is told it: without what depends on the session, and on whether
/// it was sent before.
fn report(message: &OrderEntryMessage) -> Option<((AccountId, ExecutionId), String)> {
    let (report_number, answered_sequence, possible_duplicate) = (None, None, Indicator::No);
    let (account, execution, told) = match *message {
        OrderEntryMessage::ExecutionReport(report) => {
            let report = ExecutionReport { report_number, answered_sequence, possible_duplicate, ..report };
            (Some(report.account), report.execution_id, format!("{report:?}"))
        }
        OrderEntryMessage::OrderCancelReject(report) => {
            let report = OrderCancelReject { report_number, answered_sequence, possible_duplicate, ..report };
            (Some(report.account), report.execution_id, format!("{report:?}"))
        }
        OrderEntryMessage::OrderMassActionReport(report) => {
            let report = OrderMassActionReport { report_number, answered_sequence, possible_duplicate, ..report };
            (report.account, report.execution_id, format!("{report:?}"))
        }
        OrderEntryMessage::KillSwitchReport(report) => {
            let possible_duplicate = None;
            let report = KillSwitchReport { report_number, answered_sequence, possible_duplicate, ..report };
            (Some(report.account), report.execution_id, format!("{report:?}"))
        }
        _ => (None, None, String::new()),
    };
    Some(((account?, execution?), told))
}

/// The next `count` reports that have a number in an account.
fn reports(client: &mut Client, count: usize) -> Reports {
    let mut found = Reports::new();
    while found.len() < count {
        let message = message(client);
        let (place, told) = report(&message).unwrap_or_else(|| panic!("{message:?}"));
        assert!(found.insert(place, told).is_none(), "{message:?} twice");
    }
    found
}

/// The places of reports: the accounts' numbers from 1 on.
fn places(counts: &[(AccountId, u64)]) -> Vec<(AccountId, ExecutionId)> {
    counts.iter().flat_map(|&(account, count)| (1..=count).map(move |number| (account, ExecutionId(number)))).collect()
}

fn standing(client: &mut Client) -> DropCopyReport {
    match message(client) {
        OrderEntryMessage::DropCopyReport(report) => report,
        other => panic!("{other:?}"),
    }
}

fn refusal(client: &mut Client) -> BusinessMessageReject {
    match message(client) {
        OrderEntryMessage::BusinessMessageReject(reject) => reject,
        other => panic!("{other:?}"),
    }
}

fn copies(account: AccountId, from: u64, count: u32) -> DropCopyRequest {
    DropCopyRequest { account, request_id: Some(RequestId(5)), from: ExecutionId(from), count: OrderCount(count) }
}

#[test]
fn a_reader_is_told_every_report_of_its_accounts_once_and_no_others() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.trader("alice"), venue.trader("bob"));
    let (mut hers, mut all) = (venue.reader(HERS), venue.reader(EVERYBODYS));
    let stands = standing(&mut hers);
    assert_eq!((stands.account, stands.next, stands.request_id), (ALICE, ExecutionId(1), None));
    assert_eq!((stands.from, stands.count, stands.reject_reason), (None, OrderCount(0), None));

    alice.send(&order(ALICE, 11, client::wire::Side::Buy, 6_500_000, 1_000)).unwrap();
    let mut told = reports(&mut alice, 1);
    bob.send(&order(BOB, 21, client::wire::Side::Sell, 6_500_000, 400)).unwrap();
    let mut told_bob = reports(&mut bob, 2);
    let mass = OrderMassActionRequest {
        account: Some(ALICE),
        action: client::wire::MassActionType::CancelOrders,
        ..OrderMassActionRequest::BLANK
    };
    alice.send(&mass).unwrap();
    alice.send(&cancel(ALICE, 99)).unwrap();
    alice.send(&kill(ALICE, Switch::Engaged, 31)).unwrap();
    told.append(&mut reports(&mut alice, 5));
    // Refused without a number in the account, and with one in the session.
    let number = alice.send(&kill(ALICE, Switch::Lifted, 32)).unwrap();
    let reject = refusal(&mut alice);
    assert_eq!((reject.reject_reason, reject.reference_id), (Refused::NotEntitled.into(), Some(RequestId(32))));
    assert_eq!((reject.answered_sequence, reject.execution_id), (Some(number), None));
    assert!(reject.report_number.is_some());
    // No session is told of what the administrator does, but for its readers.
    venue.admin(&["account", "kill", "2"]);
    venue.admin(&["account", "unblock", "2"]);
    alice.send(&order(ALICE, 12, client::wire::Side::Buy, 6_400_000, 1_000)).unwrap();
    told.append(&mut reports(&mut alice, 1));
    bob.send(&order(BOB, 22, client::wire::Side::Sell, 6_600_000, 400)).unwrap();
    told_bob.append(&mut reports(&mut bob, 1));

    let mut copied = reports(&mut hers, 9);
    assert_eq!(copied.keys().copied().collect::<Vec<_>>(), places(&[(ALICE, 9)]));
    let mut of_all = reports(&mut all, 12);
    assert_eq!(of_all.keys().copied().collect::<Vec<_>>(), places(&[(ALICE, 9), (BOB, 3)]));
    let mut of_bob = of_all.clone();
    of_bob.retain(|(account, _), _| *account == BOB);
    assert_eq!(of_bob, told_bob);
    of_all.retain(|(account, _), _| *account == ALICE);
    assert_eq!(of_all, copied);
    copied.retain(|place, _| told.contains_key(place));
    assert_eq!((copied.len(), copied), (7, told));
}

#[test]
fn a_reader_does_not_trade_and_a_trader_does_not_read() {
    let venue = Venue::start();
    let mut alice = venue.trader("alice");
    let (mut hers, mut all) = (venue.reader(HERS), venue.reader(EVERYBODYS));
    standing(&mut hers);
    hers.send(&order(ALICE, 11, client::wire::Side::Buy, 6_500_000, 1_000)).unwrap();
    let OrderEntryMessage::ExecutionReport(rejected) = message(&mut hers) else { panic!("no report") };
    assert_eq!(rejected.exec_type, ExecType::Rejected);
    assert_eq!((rejected.reject_reason, rejected.execution_id), (Some(Refused::NotEntitled.into()), None));
    for (client, request) in [(&mut alice, copies(ALICE, 1, 1)), (&mut hers, copies(BOB, 1, 1))] {
        client.ask(&request).unwrap();
        let reject = refusal(client);
        assert_eq!((reject.reject_reason, reject.answered_sequence), (Refused::NotEntitled.into(), None));
        assert_eq!(reject.reference_id, Some(RequestId(5)));
    }
    // What was refused to a stranger was told to nobody else.
    alice.send(&cancel(ALICE, 99)).unwrap();
    let told = reports(&mut alice, 1);
    assert_eq!((reports(&mut hers, 1), reports(&mut all, 1)), (told.clone(), told));
}

#[test]
fn rights_that_are_taken_away_end_at_once() {
    let venue = Venue::start();
    let mut alice = venue.trader("alice");
    let (mut hers, mut all) = (venue.reader(HERS), venue.reader(EVERYBODYS));
    standing(&mut hers);
    venue.admin(&["key", "revoke-role", "8", "--role", "drop-copy", "--account", "2"]);
    alice.send(&cancel(ALICE, 99)).unwrap();
    let told = reports(&mut alice, 1);
    hers.ask(&copies(ALICE, 1, 1)).unwrap();
    assert_eq!(refusal(&mut hers).reject_reason, Refused::NotEntitled.into());

    venue.admin(&["key", "revoke", "9"]);
    alice.send(&cancel(ALICE, 99)).unwrap();
    reports(&mut alice, 1);
    assert_eq!(reports(&mut all, 1), told);
    let ended = all.receive().unwrap();
    assert!(matches!(ended, News::Ended(TerminationCode::KeyRevoked)), "{ended:?}");
}

/// Asks for what is missing of Alice's reports until `next` is the next one; what was new.
fn catch_up(reader: &mut Client, stream: &mut CopyStream, next: u64) -> Reports {
    let mut found = Reports::new();
    while stream.next(ALICE) < Some(ExecutionId(next)) {
        if let Some(request) = stream.request() {
            reader.ask(&request).unwrap();
        }
        let message = message(reader);
        match stream.take(&message) {
            Taken::New => found.extend(report(&message)),
            Taken::Other => {}
            taken => panic!("{taken:?}: {message:?}"),
        }
    }
    found
}

#[test]
fn what_a_reader_missed_it_is_told_again_also_by_a_venue_that_was_killed() {
    let venue = Venue::start();
    let mut alice = venue.trader("alice");
    let mut hers = venue.reader(HERS);
    let mut stream = CopyStream::new(Since::Beginning);
    alice.send(&order(ALICE, 11, client::wire::Side::Buy, 6_500_000, 1_000)).unwrap();
    let mut told = reports(&mut alice, 1);
    let mut copied = catch_up(&mut hers, &mut stream, 2);
    assert_eq!(copied, told);

    // It is gone for more than one request may ask for.
    drop(hers);
    stream.ask_again();
    for name in 100..1_000 {
        alice.send(&order(ALICE, name, client::wire::Side::Buy, 6_400_000, 100)).unwrap();
    }
    told.append(&mut reports(&mut alice, 900));
    for _ in 0..900 {
        alice.send(&cancel(ALICE, 99)).unwrap();
    }
    told.append(&mut reports(&mut alice, 900));
    let mut hers = venue.reader(HERS);
    copied.append(&mut catch_up(&mut hers, &mut stream, 1_802));
    assert_eq!(copied, told);

    hers.ask(&copies(ALICE, 1_801, 1_000)).unwrap();
    let again = standing(&mut hers);
    assert_eq!((again.from, again.count, again.next), (Some(ExecutionId(1_801)), OrderCount(1), ExecutionId(1_802)));
    let OrderEntryMessage::OrderCancelReject(last) = message(&mut hers) else { panic!("no report") };
    assert_eq!((last.report_number, last.answered_sequence), (None, None));
    assert_eq!(last.possible_duplicate, Indicator::Yes);

    let venue = venue.kill_and_start();
    let mut alice = venue.trader("alice");
    let mut hers = venue.reader(HERS);
    let mut anew = CopyStream::new(Since::Beginning);
    assert_eq!(catch_up(&mut hers, &mut anew, 1_802), told);
    alice.send(&cancel(ALICE, 99)).unwrap();
    let more = reports(&mut alice, 1);
    assert_eq!(more.keys().copied().collect::<Vec<_>>(), [(ALICE, ExecutionId(1_802))]);
    assert_eq!(catch_up(&mut hers, &mut anew, 1_803), more);

    // Who reads every account is told where one stands when it asks.
    let mut all = venue.reader(EVERYBODYS);
    all.ask(&copies(ALICE, 1, 0)).unwrap();
    let stands = standing(&mut all);
    assert_eq!((stands.next, stands.count), (ExecutionId(1_803), OrderCount(0)));
    assert_eq!(stands.reject_reason, Some(RejectReason::from(EdgeReason::RetransmitRangeInvalid)));
}
