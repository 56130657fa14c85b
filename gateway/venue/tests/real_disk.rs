//! `rialto serve` on a file system of its own that fills, turns read-only, or does not answer: an ext4 image of 64 MiB,
//! mounted through a loop device.
//!
//! That takes rights which few have. Where it is refused, a test says so, and has shown nothing.

mod common {
    pub(crate) mod http;
    pub(crate) mod killed;
    pub(crate) mod ready;
}

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{Client, ConnectError, Credentials, Incoming, Options, Resume, Trust};
use engine::command::{AdminNote, MassCancel};
use engine::{AccountId, ClientOrderId, Command, InstrumentId, SessionId, Side};
use journal::{Reader, rebuild};
use ring::{Admission, Polled};
use serde_json::Value;
use tempfile::TempDir;
use venue::data_folder::{DataFolder, KeyHolder};
use venue::demo;
use venue::topology::{Topology, Venue};
use wire::order_entry::{
    NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage, OrderStatusRequest,
};
use wire::{Block, CancelOnDisconnect, EdgeReason, ExecType, RejectReason, TerminationCode};

use self::common::killed::Killed;
use self::common::{http, ready};

const ALICE: KeyHolder = demo::TRADERS[0];
const BOB: KeyHolder = demo::TRADERS[1];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output =
        process::Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", error_of(&output).trim())) }
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A file system on a loop device, and beside it a folder for heads.
struct Disk {
    place: TempDir,
    /// Where it is mounted.
    path: String,
}

impl Disk {
    /// None: nothing can be mounted here.
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("disk").to_str().unwrap().to_owned();
        fs::create_dir(&path).unwrap();
        let disk = Self { place, path };
        fs::create_dir(disk.heads()).unwrap();
        File::create(disk.image()).unwrap().set_len(64 << 20).unwrap();
        match run("mkfs.ext4", &["-q", "-F", &disk.image()]).and_then(|()| disk.mount()) {
            Ok(()) => Some(disk),
            Err(error) => {
                println!("skipped: no file system of its own can be mounted here: {error}");
                None
            }
        }
    }

    fn image(&self) -> String {
        self.place.path().join("image").to_str().unwrap().to_owned()
    }

    fn heads(&self) -> PathBuf {
        self.place.path().join("heads")
    }

    fn data(&self) -> PathBuf {
        Path::new(&self.path).join("data")
    }

    fn ballast(&self) -> PathBuf {
        Path::new(&self.path).join("ballast")
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", &self.image(), &self.path])
    }

    fn device(&self) -> String {
        let output = process::Command::new("losetup").args(["--associated", &self.image()]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_once(':').expect("it is mounted").0.to_owned()
    }

    /// Mounts it again, repaired as a machine does at its start.
    fn mount_again(&self) {
        run("umount", &[&self.path]).unwrap();
        run("e2fsck", &["-p", &self.image()]).unwrap_or_else(|said| println!("{said}"));
        self.mount().unwrap();
    }

    /// Takes all its room but so much.
    fn fill_up_to(&self, left_bytes: u64) {
        let found = rustix::fs::statvfs(&self.path).unwrap();
        let length = (found.f_bavail * found.f_frsize).checked_sub(left_bytes).expect("the disk is larger");
        let file = File::create(self.ballast()).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length).unwrap();
    }

    /// A venue on it that soon has no room for more.
    fn topology(&self) -> Topology {
        Topology {
            capacity: engine::Capacity::SMALL,
            reader_count: 1,
            command_slots: 64,
            event_slots: 64,
            segment_bytes: 64 << 10,
            head_directory: Some(self.heads()),
            ..Topology::default()
        }
    }

    /// Files of the journal that end so.
    fn files(&self, end: &str) -> usize {
        let names = fs::read_dir(self.data().join("journal")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(end)).count()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whatever a failed test has left open.
        let _ = run("fsfreeze", &["--unfreeze", &self.path]);
        let _ = run("umount", &["--lazy", &self.path]);
    }
}

/// `rialto serve`; killed when it is dropped.
struct Served {
    process: Killed,
    data: PathBuf,
    ready: Value,
    /// What it said on standard error up to now.
    said: Arc<Mutex<String>>,
    listener: Option<std::thread::JoinHandle<()>>,
}

fn rialto(arguments: &[&str]) -> process::Command {
    let mut command = process::Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(arguments);
    command
}

impl Served {
    fn start(disk: &Disk) -> Self {
        let any = "127.0.0.1:0";
        let mut command = rialto(&["serve", "--order-entry", any, "--market-data", any, "--http", any]);
        command
            .args(["--segment-mib", "1", "--throttle-trader", "off", "--data"])
            .arg(disk.data())
            .arg("--head")
            .arg(disk.heads());
        command.stderr(Stdio::piped());
        let (mut process, output, ready) = ready::start(command);
        let errors = BufReader::new(process.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let listening = Arc::clone(&said);
        let listener = Some(std::thread::spawn(move || {
            errors.lines().for_each(|line| listening.lock().unwrap().push_str(&(line.unwrap() + "\n")));
        }));
        // Whoever says more is listened to.
        std::thread::spawn(move || output.lines().for_each(drop));
        Self { process, data: disk.data(), ready, said, listener }
    }

    fn address(&self, door: &str) -> SocketAddr {
        self.ready[door].as_str().unwrap().parse().unwrap()
    }

    /// The status and the body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        let (status, body) = http::get(self.address("http"), path);
        (status.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").1;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }

    fn connect(&self, holder: &KeyHolder, options: Options) -> Result<Client, ConnectError> {
        let folder = DataFolder::open(&self.data).unwrap();
        let (mut certificates, _) = folder.certificate().unwrap().parse().unwrap();
        let trust = Trust::certificate("localhost".try_into().unwrap(), certificates.remove(0)).unwrap();
        let signing_key = folder.key(holder).unwrap();
        let credentials = Credentials { session: holder.session.into(), key: holder.key.into(), signing_key };
        let version = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let anew = Resume::Anew(wire::SessionVersion(u64::try_from(version).unwrap()));
        Client::connect(self.address("order_entry"), &trust, credentials, options, anew)
    }

    fn trader(&self, holder: &KeyHolder, cancel_on_disconnect: CancelOnDisconnect) -> Trader {
        let options = Options { cancel_on_disconnect, ..Options::DEFAULT };
        let client = self.connect(holder, options).map_err(|error| error.to_string()).unwrap();
        Trader { client, account: wire::AccountId(holder.account.0.into()), open: BTreeSet::new() }
    }

    /// What the tool says to an operator, and its exit code.
    fn admin(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let mut command = rialto(&["admin", "--json", "--data"]);
        let output = command.arg(&self.data).args(arguments).output().unwrap();
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", error_of(&output)));
        (answer, output.status.code())
    }

    /// Its exit code, and what it said on standard error.
    fn ended(mut self) -> (Option<i32>, String) {
        let code = self.process.wait().unwrap().code();
        self.listener.take().unwrap().join().unwrap();
        let said = self.said.lock().unwrap().clone();
        (code, said)
    }

    /// Asks it to stop, which it does in order.
    fn stop(self) {
        run("kill", &["-TERM", &self.process.id().to_string()]).unwrap();
        let (code, said) = self.ended();
        assert_eq!(code, Some(0), "{said}");
    }

    /// Waits until the operator was told.
    fn wait_for_said(&self, line: &str) {
        wait_until(line, || self.said.lock().unwrap().contains(line));
    }
}

/// A trader and the orders that the venue has acknowledged.
struct Trader {
    client: Client,
    account: wire::AccountId,
    open: BTreeSet<u64>,
}

/// Why the venue let a trader go.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    Refused(RejectReason),
    Ended(TerminationCode),
    Lost,
}

impl Trader {
    /// One order that rests.
    fn order(&self) -> NewOrderSingle {
        NewOrderSingle {
            account: self.account,
            security_id: wire::SecurityId(1),
            price: Some(wire::Price(1_000_000)),
            order_quantity: Some(wire::Quantity(100_000)),
            side: wire::Side::Buy,
            order_type: wire::OrderType::Limit,
            time_in_force: wire::TimeInForce::GoodTillCancel,
            on_disconnect: wire::OnDisconnect::AsSession,
            ..NewOrderSingle::BLANK
        }
    }

    /// Sends so many orders, and waits for all answers; the last that is not an acknowledgement.
    fn place(&mut self, count: usize) -> Answer {
        let order = self.order();
        self.ask(count, |client| client.send(&order).is_ok())
    }

    fn place_until_refused(&mut self) -> Answer {
        let mut answers = std::iter::repeat_with(|| self.place(8));
        answers.find(|answer| *answer != Answer::Taken).unwrap()
    }

    fn cancel(&mut self, order: u64) -> Answer {
        let (account, order_id) = (self.account, Some(wire::OrderId(order)));
        let request = OrderCancelRequest { account, order_id, ..OrderCancelRequest::BLANK };
        self.ask(1, |client| client.send(&request).is_ok())
    }

    fn amend(&mut self, order: u64) -> Answer {
        let (account, order_id) = (self.account, Some(wire::OrderId(order)));
        let quantity = Some(wire::Quantity(50_000));
        let blank = OrderCancelReplaceRequest::BLANK;
        let request = OrderCancelReplaceRequest { account, order_id, order_quantity: quantity, ..blank };
        self.ask(1, |client| client.send(&request).is_ok())
    }

    fn ask(&mut self, count: usize, send: impl Fn(&mut Client) -> bool) -> Answer {
        for _ in 0..count {
            // What is missing is told from what comes.
            send(&mut self.client);
        }
        let mut answer = Answer::Taken;
        for _ in 0..count {
            match self.hear() {
                Answer::Taken => {}
                Answer::Refused(reason) => answer = Answer::Refused(reason),
                over => return over,
            }
        }
        answer
    }

    /// The next answer to a request.
    fn hear(&mut self) -> Answer {
        loop {
            match self.client.receive() {
                Ok(Incoming::Message(OrderEntryMessage::ExecutionReport(report))) => {
                    let order = report.order_id.expect("an order that was accepted").0;
                    match report.exec_type {
                        ExecType::New => assert!(self.open.insert(order), "{order} twice"),
                        ExecType::Cancelled => assert!(self.open.remove(&order), "{order} was not open"),
                        other => panic!("{other:?}"),
                    }
                    return Answer::Taken;
                }
                // It was taken, and the order is unknown.
                Ok(Incoming::Message(OrderEntryMessage::OrderCancelReject(_))) => return Answer::Taken,
                Ok(Incoming::Message(OrderEntryMessage::BusinessMessageReject(reject))) => {
                    return Answer::Refused(reject.reject_reason);
                }
                // What was refused at the edge is named once more.
                Ok(
                    Incoming::NotApplied(..)
                    | Incoming::Message(OrderEntryMessage::AssetDefinition(_) | OrderEntryMessage::SecurityDefinition(_)),
                ) => {}
                Ok(Incoming::Ended(code)) => return Answer::Ended(code),
                Err(_) => return Answer::Lost,
                other => panic!("{other:?}"),
            }
        }
    }
}

const LOW: Answer = Answer::Refused(RejectReason(EdgeReason::StorageLow as u16));
const FULL: Answer = Answer::Refused(RejectReason(EdgeReason::StorageFull as u16));

/// The orders that rest, by the journal.
fn resting(data: &Path) -> BTreeSet<u64> {
    let engine = rebuild(Reader::open(data).unwrap(), &mut (), |_| {}).unwrap().engine;
    engine.orders(InstrumentId(1), Side::Buy).map(|order| order.order_id.0).collect()
}

#[test]
fn a_disk_that_fills_refuses_orders_then_everything_and_goes_on_when_there_is_room() {
    let Some(disk) = Disk::new() else { return };
    let venue = Served::start(&disk);
    let mut alice = venue.trader(&ALICE, CancelOnDisconnect::Keep);
    let mut bob = venue.trader(&BOB, CancelOnDisconnect::Cancel);
    wait_until("two spares", || venue.metric("rialto_journal_spares") == 2);
    disk.fill_up_to(512 << 10);
    assert!(venue.metric("rialto_journal_disk_free_bytes") <= 512 << 10);
    assert_eq!(venue.get("/health/ready").0, 200);

    // Two traders, until orders are refused.
    let filling = std::thread::scope(|scope| {
        let bobs = scope.spawn(|| bob.place_until_refused());
        [alice.place_until_refused(), bobs.join().unwrap()]
    });
    assert_eq!(filling, [LOW, LOW]);
    assert_eq!((venue.metric("rialto_journal_admission"), venue.metric("rialto_journal_spares")), (1, 1));
    assert_eq!(
        venue.get("/health/ready"),
        (503, "not ready: the journal's disk fills, only cancels are taken\n".to_owned())
    );

    venue.wait_for_said(
        "No space left on device (os error 28). One is left: only cancels, kill switches and logins are",
    );

    // Cancels go last, for traders and for the operator, and logins with them.
    let [first, second] = [0, 1].map(|index| *alice.open.iter().nth(index).unwrap());
    assert_eq!(alice.cancel(first), Answer::Taken);
    assert!(!alice.open.contains(&first));
    assert_eq!(alice.amend(second), LOW);
    assert_eq!(alice.place(1), LOW);
    for (arguments, exit, error) in [
        (["account", "kill", "5", "--reason", "a test"], 0, Value::Null),
        (["account", "unblock", "5", "--reason", "a test"], 5, "StorageLow".into()),
    ] {
        let (answer, code) = venue.admin(&arguments);
        assert_eq!((&answer["error"], code), (&error, Some(exit)), "{arguments:?}");
    }
    venue.connect(&demo::TAKER, Options::DEFAULT).map_err(|error| error.to_string()).unwrap();
    let (answer, code) = venue.admin(&["instrument", "halt", "BTC-USD", "--reason", "a test"]);
    assert_eq!((&answer["error"], code), (&"StorageLow".into(), Some(5)));
    let (answer, code) = venue.admin(&["order", "mass-cancel", "--account", "4", "--reason", "a test"]);
    assert_eq!(code, Some(0), "{answer}");

    // Until nothing is left but the room that was kept for what the venue itself has to do.
    let full = std::iter::repeat_with(|| alice.cancel(u64::MAX - 1)).find(|answer| *answer != Answer::Taken);
    assert_eq!(full, Some(FULL));
    assert_eq!((alice.place(1), alice.cancel(second)), (FULL, FULL));
    let refused = venue.connect(&demo::TAKER, Options::DEFAULT).map(drop);
    let Err(ConnectError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert_eq!(reason, EdgeReason::StorageFull.into());
    let (answer, code) = venue.admin(&["order", "mass-cancel", "--everything", "--reason", "a test"]);
    assert_eq!((&answer["error"], code), (&"StorageFull".into(), Some(5)));
    assert_eq!((venue.metric("rialto_journal_admission"), venue.metric("rialto_journal_spares")), (2, 0));
    assert_eq!(
        venue.get("/health/ready"),
        (503, "not ready: the journal's disk is full, nothing is taken\n".to_owned())
    );
    assert_eq!(venue.get("/health/live").0, 200);
    venue.wait_for_said("None is left: nothing is taken; free at least 1 MiB there, and the venue goes on by itself");
    // What is only asked for is answered, and nothing that could not be completed keeps room from others.
    assert_eq!(venue.admin(&["show", "accounts"]).1, Some(0));
    assert_eq!(disk.files(".spare"), 0);

    // A session that is lost, its orders with it, still has its place.
    let expected = format!("rialto_orders_cancelled_total{{reason=\"Disconnected\"}} {}\n", bob.open.len());
    drop(bob);
    wait_until("bob's orders are cancelled", || venue.get("/metrics").1.contains(&expected));

    // Room, and the venue goes on, and alice in the same session.
    fs::remove_file(disk.ballast()).unwrap();
    wait_until("the venue is ready again", || venue.get("/health/ready").0 == 200);
    venue.wait_for_said("the journal has room again: everything is taken");
    assert_eq!(alice.place(1), Answer::Taken);
    assert_eq!(alice.cancel(second), Answer::Taken);

    // Nothing of it is lost, neither by a kill nor by a stop.
    drop(venue);
    let venue = Served::start(&disk);
    let mut bob = venue.trader(&BOB, CancelOnDisconnect::Keep);
    assert_eq!(bob.place(1), Answer::Taken);
    venue.stop();
    assert_eq!(resting(&disk.data()), alice.open.union(&bob.open).copied().collect());
    let verified = Reader::open(&disk.data()).unwrap().verify().unwrap();
    assert!(verified.seal.is_some());
    assert_eq!(disk.files(".spare"), 0);
}

/// The folder could not be tidied up, and so sessions were cut off without a word.
#[test]
fn a_file_system_that_turns_read_only_ends_the_venue_and_loses_nothing() {
    let Some(disk) = Disk::new() else { return };
    let acknowledged = trade_until_it_fails(&disk, || {
        // As the file system does by itself when its own bookkeeping cannot be written.
        run("mount", &["-o", "remount,abort", &disk.path]).unwrap();
    });
    disk.mount_again();
    assert_holds(&disk, &acknowledged);
}

#[test]
fn a_device_that_fails_ends_the_venue_and_loses_nothing() {
    let Some(disk) = Disk::new() else { return };
    let repaired = disk.place.path().join("repaired");
    let acknowledged = trade_until_it_fails(&disk, || {
        run("fsfreeze", &["--freeze", &disk.path]).unwrap();
        fs::copy(disk.image(), &repaired).unwrap();
        // The device has only its beginning left.
        File::options().write(true).open(disk.image()).unwrap().set_len(1 << 20).unwrap();
        run("losetup", &["--set-capacity", &disk.device()]).unwrap();
        run("fsfreeze", &["--unfreeze", &disk.path]).unwrap();
    });
    run("umount", &[&disk.path]).unwrap();
    fs::rename(repaired, disk.image()).unwrap();
    disk.mount().unwrap();
    assert_holds(&disk, &acknowledged);
}

/// Alice trades until `fail` has made the disk fail, and is told of the end, as the operator is of the reason; what was
/// acknowledged.
fn trade_until_it_fails(disk: &Disk, fail: impl FnOnce()) -> BTreeSet<u64> {
    let venue = Served::start(disk);
    wait_until("two spares", || venue.metric("rialto_journal_spares") == 2);
    let mut alice = venue.trader(&ALICE, CancelOnDisconnect::Keep);
    let acknowledged = AtomicU64::new(0);
    let last = std::thread::scope(|scope| {
        let trading = scope.spawn(|| {
            loop {
                let answer = alice.place(4);
                if answer != Answer::Taken {
                    return answer;
                }
                acknowledged.store(alice.open.len() as u64, Ordering::Relaxed);
            }
        });
        wait_until("alice trades", || acknowledged.load(Ordering::Relaxed) >= 40);
        fail();
        trading.join().unwrap()
    });
    assert_eq!(last, Answer::Ended(TerminationCode::VenueStopped));
    let (code, said) = venue.ended();
    assert_eq!(code, Some(5), "{said}");
    // Which of the two depends on who meets the failure first: a write that is under way, or the file system's bookkeeping.
    let reasons = ["Input/output error", "Read-only file system"];
    assert!(reasons.iter().any(|reason| said.contains(reason)), "{said}");
    assert!(said.contains("repair the disk and restart"), "{said}");
    alice.open
}

/// Started again, the venue has all of these orders.
fn assert_holds(disk: &Disk, orders: &BTreeSet<u64>) {
    Served::start(disk).stop();
    let resting = resting(&disk.data());
    let lost: Vec<_> = orders.difference(&resting).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn a_disk_that_does_not_answer_holds_reports_back_and_nothing_else() {
    let Some(disk) = Disk::new() else { return };
    let venue = Served::start(&disk);
    let mut alice = venue.trader(&ALICE, CancelOnDisconnect::Keep);
    assert_eq!(alice.place(1), Answer::Taken);
    wait_until("two spares", || venue.metric("rialto_journal_spares") == 2);
    run("fsfreeze", &["--freeze", &disk.path]).unwrap();
    let order = alice.order();
    alice.client.send(&order).unwrap();
    // It stands in between, and its answer is there at once: no order was acknowledged.
    alice.client.ask(&OrderStatusRequest::BLANK).unwrap();
    assert_eq!(alice.hear(), Answer::Refused(engine::RejectReason::NotEntitled.into()));
    assert_eq!(venue.get("/health/ready").0, 200);
    assert_eq!(venue.metric("rialto_orders_accepted_total"), 1);
    assert_eq!(venue.admin(&["show", "accounts"]).1, Some(0));
    run("fsfreeze", &["--unfreeze", &disk.path]).unwrap();
    assert_eq!(alice.hear(), Answer::Taken);
    venue.stop();
    assert_eq!(resting(&disk.data()), alice.open);
}

#[test]
fn while_a_disk_does_not_answer_the_venue_is_busy_in_the_end_and_loses_nothing() {
    let Some(disk) = Disk::new() else { return };
    let mut venue = Venue::start(&disk.data(), &disk.topology(), |_| {}).unwrap();
    let mut reader = venue.take_readers().pop().unwrap();
    wait_until("two spares", || venue.space().spare_count() == 2);
    run("fsfreeze", &["--freeze", &disk.path]).unwrap();
    let in_between = disk.topology().command_slots + disk.topology().event_slots;
    let taken = submit_until_busy(&venue, |taken| taken >= in_between as u64);
    assert_eq!((venue.durable().get(), venue.is_running()), (0, true));
    assert!(matches!(reader.poll(), Polled::Empty));
    run("fsfreeze", &["--unfreeze", &disk.path]).unwrap();
    for _ in 0..taken {
        while !matches!(reader.poll(), Polled::Event(..)) {
            reader.wait(PATIENCE);
        }
    }
    drop(reader);
    let ended = venue.stop().unwrap();
    assert_eq!(ended.engine.last().sequence.0, taken);
    assert_eq!(Reader::open(&disk.data()).unwrap().verify().unwrap().last, ended.engine.last().sequence);
}

/// A full disk used to keep a core that waited for room from its end, and with it whoever stopped the venue.
#[test]
fn a_venue_can_be_stopped_while_its_core_waits_for_room() {
    let Some(disk) = Disk::new() else { return };
    let mut venue = Venue::start(&disk.data(), &disk.topology(), |_| {}).unwrap();
    drop(venue.take_readers());
    wait_until("two spares", || venue.space().spare_count() == 2);
    disk.fill_up_to(32 << 10);
    // Nobody looks at what is let in.
    let taken = submit_until_busy(&venue, |_| venue.space().admission().get() == Admission::Nothing);
    assert!(venue.is_running());
    let failed = venue.stop().map(drop).unwrap_err().to_string();
    assert!(failed.contains("free space and restart; the head keeps the rest"), "{failed}");

    fs::remove_file(disk.ballast()).unwrap();
    let venue = Venue::start(&disk.data(), &disk.topology(), |_| {}).unwrap();
    let last = venue.recovery().last.0;
    assert!(last > 0 && last <= taken, "{last} of {taken}");
    venue.stop().unwrap();
}

/// Submits what has one event each until nobody takes any more and `is_so`; how many were taken.
fn submit_until_busy(venue: &Venue, is_so: impl Fn(u64) -> bool) -> u64 {
    let (mut taken, mut last_taken) = (0, Instant::now());
    while last_taken.elapsed() < Duration::from_millis(200) || !is_so(taken) {
        if venue.commands().submit(Command::from_venue(mass_cancel())).is_ok() {
            (taken, last_taken) = (taken + 1, Instant::now());
        }
        assert!(last_taken.elapsed() < PATIENCE, "{taken} were taken");
    }
    taken
}

fn mass_cancel() -> MassCancel {
    MassCancel {
        account: AccountId::NONE,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note: AdminNote::NONE,
    }
}
