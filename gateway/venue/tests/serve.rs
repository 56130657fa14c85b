//! `rialto serve`, as a person or a script meets it.

mod common {
    pub(crate) mod http;
    pub(crate) mod killed;
    pub(crate) mod program;
    pub(crate) mod ready;
}

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ChildStdout, Command, Output, Stdio};

use serde_json::Value;

use self::common::killed::Killed;
use self::common::{http, program, ready};

/// A venue of a test's own; killed when it is dropped.
struct Served {
    process: Killed,
    output: BufReader<ChildStdout>,
    ready: Value,
}

fn rialto(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(arguments);
    command
}

impl Served {
    fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    fn start_with(data: &Path, options: &[&str]) -> Self {
        let mut command = program::serve(data);
        command.args(options);
        let (process, output, ready) = ready::start(command);
        Self { process, output, ready }
    }

    fn address(&self, door: &str) -> SocketAddr {
        self.ready[door].as_str().unwrap().parse().unwrap()
    }

    /// A session of the demo's first trader.
    fn connect(&self, data: &Path, trust: &client::Trust) -> client::Client {
        let alice = venue::demo::TRADERS[0];
        let folder = venue::data_folder::DataFolder::open(data).unwrap();
        let signing_key = folder.key(&alice).unwrap();
        let credentials = client::Credentials { session: alice.session.into(), key: alice.key.into(), signing_key };
        let anew = client::Resume::Anew(client::wire::SessionVersion(1));
        let address = self.address("order_entry");
        let client = client::Client::connect(address, trust, credentials, client::Options::DEFAULT, anew);
        client.map_err(|error| error.to_string()).unwrap()
    }

    /// The status line and the body of an answer.
    fn get(&self, path: &str) -> (String, String) {
        http::get(self.address("http"), path)
    }

    /// Asks the venue to stop; what it still says, and its exit code.
    fn stop(mut self) -> (String, Option<i32>) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        (said, self.process.wait().unwrap().code())
    }
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn replayed(data: &Path) -> Value {
    let output = rialto(&["journal", "verify", "--json"]).arg(data).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the venue says of a login with the key of another, and its address.
fn said_of_a_failed_login(options: &[&str]) -> String {
    let data = tempfile::tempdir().unwrap();
    let mut command = program::serve(data.path());
    command.args(options).stderr(Stdio::piped());
    let (mut process, output, ready) = ready::start(command);
    let said = BufReader::new(process.stderr.take().unwrap());
    let venue = Served { process, output, ready };
    let key = |name: &str| -> Value {
        let file = data.path().join("keys").join(format!("{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    let mut forged = key("alice");
    forged["secret"] = key("bob")["secret"].clone();
    let file = data.path().join("forged.json");
    std::fs::write(&file, forged.to_string()).unwrap();
    let asked =
        rialto(&["order", "balance", "--account", "2", "--data"]).arg(data.path()).arg("--key").arg(file).output();
    assert_ne!(asked.unwrap().status.code(), Some(0));
    let line = said.lines().map(Result::unwrap).find(|line| line.contains("a login failed")).unwrap();
    drop(venue);
    line
}

#[test]
fn what_happens_is_said_in_sentences_or_as_an_object_a_line() {
    let sentence = "order entry: a login failed: from 127.0.0.1 with key 2: SignatureInvalid";
    assert_eq!(said_of_a_failed_login(&[]), format!("rialto: {sentence}"));
    let event: Value = serde_json::from_str(&said_of_a_failed_login(&["--log", "json"])).unwrap();
    for (field, value) in [
        ("level", Value::from("WARN")),
        ("message", sentence.into()),
        ("address", "127.0.0.1".into()),
        ("key", 2.into()),
        ("reason", "SignatureInvalid".into()),
        ("target", "venue::door_watch".into()),
    ] {
        assert_eq!(event[field], value, "{event}");
    }
}

#[test]
fn its_health_is_told_by_exit_codes() {
    let data = tempfile::tempdir().unwrap();
    let health = |options: &[&str]| {
        let output = rialto(&["health", "--data"]).arg(data.path()).args(options).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(health(&[]).0, Some(5), "no venue has run there");
    let venue = Served::start(data.path());
    assert_eq!(health(&[]), (Some(0), "ready\n".to_owned()));
    assert_eq!(health(&["--live"]), (Some(0), "alive\n".to_owned()));
    let http = venue.address("http").to_string();
    assert_eq!(health(&["--connect", &http]).0, Some(0));
    venue.stop();
    assert_eq!(health(&["--connect", &http]), (Some(5), String::new()));
    let venue = Served::start_with(data.path(), &["--http-security", "tls"]);
    assert_eq!(health(&[]), (Some(0), "ready\n".to_owned()));
    let (http, certificate) = (venue.address("http").to_string(), data.path().join("certificate.pem"));
    let certificate = certificate.to_str().unwrap();
    assert_eq!(health(&["--connect", &http, "--certificate", certificate]).0, Some(0));
    assert_ne!(health(&["--connect", &http]).0, Some(0), "it does not speak plain HTTP");
}

#[test]
fn it_starts_from_an_empty_folder_answers_and_stops_in_order() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path());
    assert_eq!(venue.get("/health/live").0, "HTTP/1.1 200 OK");
    assert_eq!(venue.get("/health/ready"), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    let metrics = venue.get("/metrics").1;
    assert!(metrics.lines().any(|line| line == "rialto_trades_total 0"), "{metrics}");
    assert!(TcpStream::connect(venue.address("order_entry")).is_ok());
    for made in ["certificate.pem", "keys/alice.json", "keys/administrator.json", "venue.json"] {
        assert!(data.path().join(made).exists(), "{made}");
    }
    let (said, code) = venue.stop();
    assert!(said.contains("stopped behind command 39"), "{said}");
    assert_eq!(code, Some(0));
    assert!(!data.path().join("venue.json").exists());
    let journal = replayed(data.path());
    assert_eq!((&journal["ok"], &journal["last"], &journal["sealed"]), (&true.into(), &39.into(), &true.into()));
}

#[test]
fn a_killed_venue_comes_back_with_what_it_had() {
    let data = tempfile::tempdir().unwrap();
    let mut venue = Served::start(data.path());
    venue.process.kill().unwrap();
    venue.process.wait().unwrap();
    let venue = Served::start(data.path());
    let (said, _) = venue.stop();
    // The first instruments and accounts were made once.
    assert!(said.contains("stopped behind command 39"), "{said}");
    assert_eq!(replayed(data.path())["ok"], true);
}

#[test]
fn a_new_venue_knows_its_first_keys_assets_and_instruments_as_soon_as_it_is_ready() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path());
    let mut client = venue.connect(data.path(), &trust(data.path()));
    for name in ["BTC", "ETH", "USD"] {
        let client::Incoming::Message(client::wire::order_entry::OrderEntryMessage::AssetDefinition(definition)) =
            client.receive().unwrap()
        else {
            panic!("no definition of {name}")
        };
        assert_eq!(definition.name.as_str(), Some(name));
    }
    for name in ["BTC-USD", "ETH-USD", "ETH-BTC"] {
        let client::Incoming::Message(client::wire::order_entry::OrderEntryMessage::SecurityDefinition(definition)) =
            client.receive().unwrap()
        else {
            panic!("no definition of {name}")
        };
        assert_eq!(definition.symbol.as_str(), Some(name));
    }
}

fn trust(data: &Path) -> client::Trust {
    let folder = venue::data_folder::DataFolder::open(data).unwrap();
    let (mut certificates, _) = folder.certificate().unwrap().parse().unwrap();
    client::Trust::certificate("localhost".try_into().unwrap(), certificates.remove(0)).unwrap()
}

#[test]
fn one_command_in_thirty_two_is_timed_hop_by_hop() {
    for durability in ["synced", "buffered"] {
        let data = tempfile::tempdir().unwrap();
        let options = ["--durability", durability, "--order-entry-security", "plain-loopback"];
        let venue = Served::start_with(data.path(), &options);
        let mut client = venue.connect(data.path(), &client::Trust::PlainLoopback);
        let mut cancel = || {
            let cancel = client::wire::order_entry::OrderCancelRequest {
                account: venue::demo::TRADERS[0].account.into(),
                order_id: Some(client::wire::OrderId(99)),
                ..client::wire::Block::BLANK
            };
            client.send(&cancel).unwrap();
            let is_answer = |news: &_| {
                matches!(
                    news,
                    client::Incoming::Message(client::wire::order_entry::OrderEntryMessage::OrderCancelReject(_))
                )
            };
            while !is_answer(&client.receive().unwrap()) {}
        };
        (0..64).for_each(|_| cancel());
        // The last sample is complete when its report is written, which the client may see before.
        let counted = |hop| {
            let line = format!("rialto_hop_seconds_count{{hop=\"{hop}\"}} 2");
            venue.get("/metrics").1.lines().any(|said| said == line)
        };
        assert!(
            (0..31).any(|_| counted("sent") || {
                cancel();
                false
            }),
            "{durability}"
        );
        assert!(
            ["decoded", "taken", "sequenced", "applied", "durable", "seen", "encoded", "all"].into_iter().all(counted)
        );
        drop(client);
        assert_eq!(venue.stop().1, Some(0));
    }
}

#[test]
fn without_tls_nobody_else_is_served() {
    let data = tempfile::tempdir().unwrap();
    let options = ["serve", "--order-entry", "0.0.0.0:0", "--order-entry-security", "plain-loopback", "--data"];
    let output = rialto(&options).arg(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(error_of(&output).contains("0.0.0.0:0 is no loopback address"), "{}", error_of(&output));
}

#[test]
fn one_folder_serves_one_venue() {
    let data = tempfile::tempdir().unwrap();
    let _venue = Served::start(data.path());
    let second = program::serve(data.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(3));
    assert!(error_of(&second).contains("is locked"), "{}", error_of(&second));
}

#[test]
fn a_port_in_use_is_named_with_its_option() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = rialto(&["serve", "--order-entry", &address, "--data"]).arg(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = error_of(&output);
    assert!(said.contains("order entry cannot listen at") && said.contains("--order-entry"), "{said}");
}

#[test]
fn an_unusable_option_is_refused() {
    for (arguments, said) in [
        (vec!["serve", "--http", "nowhere"], "--http"),
        (vec!["serve", "--durability", "hopeful"], "hopeful"),
        (vec!["serve", "--idle", "spin"], "needs --cores"),
    ] {
        let output = rialto(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(error_of(&output).contains(said), "{}", error_of(&output));
    }
}
