//! Client certificates: as keys of their own, and as what an operator demands of everybody.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use client::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use client::{Client, Credentials, Identity, Options, Resume, SigningKey, Trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use venue::arguments::ServeArguments;
use venue::data_folder::{DataFolder, KeyHolder};
use venue::demo;
use venue::serve::Running;
use wire::SessionVersion;

const ALICE: KeyHolder = demo::TRADERS[0];
/// A key that is a certificate.
const CAROL: u32 = 9;

struct Served {
    running: Running,
    folder: DataFolder,
    logins: std::cell::Cell<u64>,
}

impl Served {
    fn start(data: &Path, client_ca: Option<PathBuf>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let arguments = ServeArguments {
            data: data.to_owned(),
            head: Some(data.to_owned()),
            order_entry: any,
            market_data: any,
            http: any,
            client_ca,
            ..ServeArguments::default()
        };
        let running = Running::start(&arguments, demo::commands).unwrap();
        Self { running, folder: DataFolder::open(data).unwrap(), logins: 0.into() }
    }

    fn tool(&self, arguments: &[&str]) -> Output {
        let address = self.running.addresses().http.to_string();
        let key = self.folder.path().join("keys/administrator.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["admin", "--connect", &address, "--json", "--reason", "a test", "--key"]).arg(key);
        command.args(arguments).output().unwrap()
    }

    fn admin(&self, arguments: &[&str]) -> Value {
        let output = self.tool(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Opens a session; why not, if it does not open.
    fn connect(&self, credentials: Credentials, identity: Option<Identity>) -> Result<(), String> {
        self.logins.update(|count| count + 1);
        let (mut certificates, _) = self.folder.certificate().unwrap().parse().unwrap();
        let trust = Trust::certificate("localhost".try_into().unwrap(), certificates.remove(0)).unwrap();
        let trust = match identity {
            Some(identity) => trust.with_identity(identity),
            None => trust,
        };
        let resume = Resume::Anew(SessionVersion(self.logins.get()));
        let address = self.running.addresses().order_entry;
        let client = Client::connect(address, &trust, credentials, Options::DEFAULT, resume);
        client.map(drop).map_err(|error| error.to_string())
    }

    fn alice(&self) -> Credentials {
        let signing_key = self.folder.key(&ALICE).unwrap();
        Credentials { session: ALICE.session.into(), key: ALICE.key.into(), signing_key }
    }
}

/// Who logs in with a certificate signs nothing that counts.
fn carol() -> Credentials {
    let signing_key = SigningKey::from_bytes(&[1; 32]);
    Credentials { session: wire::SessionId(CAROL.into()), key: wire::KeyId(CAROL.into()), signing_key }
}

/// A certificate with its key, certified by an authority or by itself.
struct Certified {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certified {
    fn by_itself() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["carol".to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { certificate, key }
    }

    fn by(authority: &Authority) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["alice".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        Self { certificate, key }
    }

    fn identity(&self) -> Identity {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        Identity { certificates: vec![CertificateDer::from(self.certificate.der().to_vec())], key }
    }
}

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }
}

fn refused(reason: &str) -> Result<(), String> {
    Err(format!("the venue refused the session: {reason}"))
}

#[test]
fn a_certificate_is_a_key() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path(), None);
    let (shown, other) = (Certified::by_itself(), Certified::by_itself());
    let file = data.path().join("carol.pem");
    std::fs::write(&file, shown.certificate.pem()).unwrap();
    venue.admin(&["key", "add", "9", "--certificate", file.to_str().unwrap()]);
    venue.admin(&["key", "grant", "9", "--role", "trader", "--account", "2"]);
    let keys = venue.admin(&["show", "keys"]);
    let key = keys.as_array().unwrap().iter().find(|key| key["key"] == CAROL).unwrap();
    assert_eq!(key["kind"], "Certificate");

    assert_eq!(venue.connect(carol(), Some(shown.identity())), Ok(()));
    assert_eq!(venue.connect(carol(), None), refused("SignatureInvalid"));
    assert_eq!(venue.connect(carol(), Some(other.identity())), refused("SignatureInvalid"));
    // A certificate is no obstacle to a key that signs, and does not stand for it.
    assert_eq!(venue.connect(venue.alice(), Some(other.identity())), Ok(()));
    let forged = Credentials { signing_key: carol().signing_key, ..venue.alice() };
    assert_eq!(venue.connect(forged, Some(shown.identity())), refused("SignatureInvalid"));
    venue.admin(&["key", "revoke", "9"]);
    assert_eq!(venue.connect(carol(), Some(shown.identity())), refused("UnknownKey"));
    venue.running.stop().unwrap();
}

#[test]
fn a_key_is_one_thing_or_the_other() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path(), None);
    let missing = venue.tool(&["key", "add", "9"]);
    assert_eq!(missing.status.code(), Some(2));
    let no_certificate = data.path().join("certificate.txt");
    std::fs::write(&no_certificate, "hello").unwrap();
    let unreadable = venue.tool(&["key", "add", "9", "--certificate", no_certificate.to_str().unwrap()]);
    assert_eq!(unreadable.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unreadable.stderr).contains("no certificate"), "{unreadable:?}");
    venue.running.stop().unwrap();
}

#[test]
fn whoever_has_no_certificate_of_the_authority_gets_no_further_than_the_handshake() {
    let data = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let file = data.path().join("clients.pem");
    std::fs::write(&file, authority.certificate.pem()).unwrap();
    let venue = Served::start(data.path(), Some(file));
    for nobody in [None, Some(Certified::by_itself().identity()), Some(Certified::by(&stranger).identity())] {
        let answer = venue.connect(venue.alice(), nobody).unwrap_err();
        assert!(!answer.starts_with("the venue refused"), "{answer}");
    }
    assert_eq!(venue.connect(venue.alice(), Some(Certified::by(&authority).identity())), Ok(()));
    // The authority lets nobody in by itself.
    let forged = Credentials { signing_key: carol().signing_key, ..venue.alice() };
    assert_eq!(venue.connect(forged, Some(Certified::by(&authority).identity())), refused("SignatureInvalid"));
    venue.running.stop().unwrap();
}

#[test]
fn the_order_tool_shows_a_certificate() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let file = |name: &str, text: String| {
        let file = data.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let clients = file("clients.pem", authority.certificate.pem());
    let alice = Certified::by(&authority);
    let certificate = file("alice.pem", alice.certificate.pem());
    let (key, nothing) = (file("alice.key", alice.key.serialize_pem()), file("nothing.pem", String::new()));
    let venue = Served::start(data.path(), Some(clients.into()));
    let balance = |shown: &[&str]| {
        let address = format!("localhost:{}", venue.running.addresses().order_entry.port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["order", "balance", "--connect", &address, "--certificate"]);
        command.arg(data.path().join("certificate.pem")).arg("--key").arg(data.path().join("keys/alice.json"));
        let output = command.args(shown).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said, _) = balance(&["--client-certificate", &certificate, "--client-key", &key]);
    assert!(code == Some(0) && said.contains("BTC: 1000"), "{said}");
    assert_eq!(balance(&[]).0, Some(5));
    for (shown, file) in [((&nothing, &key), "nothing.pem"), ((&certificate, &nothing), "nothing.pem")] {
        let (code, _, said) = balance(&["--client-certificate", shown.0, "--client-key", shown.1]);
        assert!(code == Some(2) && said.contains(file), "{said}");
    }
    venue.running.stop().unwrap();
}

#[test]
fn a_file_without_authorities_is_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("clients.pem");
    for (text, said) in [("", "it holds no certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA\n", "clients.pem: ")] {
        std::fs::write(&file, text).unwrap();
        let any = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["serve", "--order-entry", any, "--market-data", any, "--http", any, "--data"]).arg(data.path());
        let output = command.arg("--client-ca").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
}
