//! `/metrics` and the table that explains it say the same.

mod common {
    pub(crate) mod http;
    pub(crate) mod killed;
    pub(crate) mod program;
    pub(crate) mod ready;
}

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use self::common::killed::Killed;
use self::common::{http, program, ready};

/// A venue with the demo market; killed when it is dropped.
struct Served {
    _process: Killed,
    _output: BufReader<ChildStdout>,
    ready: Value,
    data: TempDir,
}

impl Served {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut command = program::serve(data.path());
        command.arg("--demo");
        let (_process, _output, ready) = ready::start(command);
        Self { _process, _output, ready, data }
    }

    /// The metrics, once a trade is counted.
    fn metrics(&self) -> String {
        self.wait_for_a_trade();
        // Who answers an operator has counted everything before the answer.
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["admin", "account", "open", "9", "--reason", "a test", "--data"]).arg(self.data.path());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        http::get(self.ready["http"].as_str().unwrap(), "/metrics").1
    }

    /// Watches until there is a trade. Both sides were told of what they had asked for before: they begin with a mass cancel,
    /// and trade behind its answer.
    fn wait_for_a_trade(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
        command.args(["watch", "BTC-USD", "--json", "--data"]).arg(self.data.path());
        let mut watch = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
        let updates = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut updates = updates.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        assert!(updates.any(|update| update["update"] == "trade"), "it ended before there was a trade");
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
    let text = Served::start().metrics();
    assert_eq!(families(&text), documented(&operations()));
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn rings_sequences_doors_and_groups_are_told_of_a_venue_that_trades() {
    let text = Served::start().metrics();
    let of = |sample: &str| value(&text, sample).unwrap_or_else(|| panic!("no {sample}: {text}"));
    assert_eq!(of("rialto_ready"), 1.0);
    assert!(of("rialto_trades_total") > 0.0 && of("rialto_order_entry_reports_total") > 0.0);
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
