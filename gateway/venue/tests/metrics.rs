//! `/metrics` and the table that explains it say the same.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A venue with the demo market, on free ports; killed when it is dropped.
struct Served {
    process: Child,
    http: String,
}

impl Served {
    fn start(data: &Path) -> Self {
        let any = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["serve", "--demo", "--order-entry", any, "--market-data", any, "--http", any]);
        // The head of a killed venue goes with the test's folder.
        command.arg("--data").arg(data).arg("--head").arg(data);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("READY ").map(str::to_owned));
        let ready: Value = serde_json::from_str(&ready.expect("the venue ended before it was ready")).unwrap();
        Self { process, http: ready["http"].as_str().unwrap().to_owned() }
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: venue\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The metrics, once a sample is more than nothing.
    fn metrics_once(&self, sample: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let text = self.metrics();
            if value(&text, sample).is_some_and(|value| value > 0.0) {
                return text;
            }
            assert!(Instant::now() < deadline, "{sample} stays nothing: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

/// The families of a text, by the names that their samples have in queries.
fn families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let name = |(name, kind): (&str, &str)| match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    };
    types.map(name).collect()
}

fn operations() -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATIONS.md");
    std::fs::read_to_string(file).unwrap()
}

/// What the first column of the table names.
fn documented(text: &str) -> BTreeSet<String> {
    let section = text.split_once("### Metrics\n").expect("the table has a heading").1;
    let section = section.split_once("\n### ").expect("another heading follows").0;
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn every_family_is_in_the_table_and_the_other_way_round() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path());
    let text = venue.metrics_once("rialto_trades_total");
    assert_eq!(families(&text), documented(&operations()));
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn rings_sequences_doors_and_groups_are_told_of_a_venue_that_trades() {
    let data = tempfile::tempdir().unwrap();
    let venue = Served::start(data.path());
    venue.metrics_once("rialto_trades_total");
    let text = venue.metrics_once("rialto_order_entry_reports_total");
    let of = |sample: &str| value(&text, sample).unwrap_or_else(|| panic!("no {sample}: {text}"));
    assert_eq!(of("rialto_ready"), 1.0);
    assert_eq!(of("rialto_order_entry_connections{session=\"established\"}"), 2.0);
    assert_eq!((of("rialto_command_ring_capacity"), of("rialto_event_ring_capacity")), (4_096.0, 16_384.0));
    for reader in ["order-entry", "market-data", "operator", "event-digest"] {
        assert!(of(&format!("rialto_event_ring_kept{{reader=\"{reader}\"}}")) <= 16_384.0);
    }
    let [applied, released, durable] =
        ["applied", "released", "durable"].map(|it| of(&format!("rialto_{it}_sequence")));
    assert!(applied >= released && released >= durable && durable > 0.0, "{applied} {released} {durable}");
    assert_eq!(of("rialto_durability_lag_commands"), applied - durable);
    assert!(of("rialto_event_ring_published_total") >= of("rialto_events_total"));
    assert!(of("rialto_journal_sync_seconds_count") > 0.0 && of("rialto_journal_written_bytes_total") > 0.0);
    assert_eq!((of("rialto_journal_segments"), of("rialto_journal_failed")), (1.0, 0.0));
    // What may be counted begins at nothing.
    assert_eq!(of("rialto_rejects_total{reason=\"UnknownOrder\"}"), 0.0);
    assert_eq!(of("rialto_admin_requests_total{status=\"401\"}"), 0.0);
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/alerts.yml");
    let rules = std::fs::read_to_string(rules).unwrap();
    let after = |prefix: &str| rules.lines().filter_map(|line| line.trim().strip_prefix(prefix)).collect::<Vec<_>>();
    let (alerts, runbooks) = (after("- alert: "), after("runbook: docs/OPERATIONS.md#"));
    assert_eq!(alerts.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>(), runbooks);
    let text = operations();
    let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("#### Rialto")).collect();
    assert_eq!(alerts, headings.iter().map(|rest| format!("Rialto{rest}")).collect::<Vec<_>>());
}
