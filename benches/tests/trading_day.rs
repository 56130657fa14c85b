//! The trading day in `docs/examples`: what its auctions, its stop, its collar and its end do to five accounts.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/trading_day.jsonl");

/// What is said of each kind of event here; other kinds are the day's preparations.
const SAID: [(&str, &[&str]); 12] = [
    ("PhaseChanged", &["from", "to", "cause"]),
    ("IndicativeChanged", &["price", "volume", "surplus_side", "surplus"]),
    ("Uncrossed", &["phase", "price", "volume", "surplus_side", "surplus"]),
    ("Trade", &["maker", "taker", "price", "quantity", "aggressor"]),
    ("OrderAccepted", &["id", "shown"]),
    ("OrderRejected", &["id", "reason"]),
    ("OrderRestated", &["id", "shown", "reason"]),
    ("OrderTriggered", &["id", "elected_by"]),
    ("OrderCancelled", &["id", "cancelled", "reason"]),
    ("CancelRejected", &["id", "reason"]),
    ("PriceBoundReached", &["id", "bound", "reference", "limit", "price"]),
    ("BalanceChanged", &["account", "asset", "cause", "available", "held"]),
];

/// Computed by hand from the rulebook. The times of the opening and of the volatility call's end are
/// `blake3.blake3(bytes([kind]) + struct.pack("<IHQ", 1, entry, time), key=seed)` of Python's `blake3` 1.0, by rule 5.12.
const DAY: &str = "
07:05:00 PhaseChanged Closed PreOpen Calendar
07:05:00 OrderAccepted c1 100
07:05:00 OrderAccepted c2 100
07:05:00 OrderAccepted a1 0
07:05:00 IndicativeChanged 101 100 Buy 50
07:05:00 OrderAccepted d1 80
07:05:00 OrderAccepted e1 60
07:05:00 IndicativeChanged 101 150 Sell 10
08:50:00 PhaseChanged PreOpen OpeningCall Calendar
08:50:00 OrderAccepted b1 50
08:50:00 IndicativeChanged 100 230 Sell 30
08:50:00 OrderAccepted a2 20
08:50:00 IndicativeChanged 100 250 Sell 10
08:50:00 OrderAccepted e2 30
08:50:00 OrderAccepted d2 0
09:00:15.512248876 Uncrossed OpeningCall 100 250 Sell 10
09:00:15.512248876 Trade a1 e1 100 60
09:00:15.512248876 Trade a1 b1 100 90
09:00:15.512248876 Trade d1 b1 100 80
09:00:15.512248876 Trade a2 b1 100 20
09:00:15.512248876 OrderRestated b1 10 DisplayRefreshed
09:00:15.512248876 OrderCancelled e2 30 OpeningRemainder
09:00:15.512248876 PhaseChanged OpeningCall Continuous Calendar
09:00:15.512248876 OrderTriggered d2 100
09:00:15.512248876 Trade b1 d2 100 10 Buy
09:00:15.512248876 Trade c2 d2 101 30 Buy
09:05:00 OrderAccepted a3 50
09:05:00 Trade c2 a3 101 50 Buy
09:05:00 OrderAccepted c3 100
09:05:00 OrderAccepted c4 100
10:30:00 PriceBoundReached EntryBand 100 120 1000
10:30:00 OrderRejected typo OutsidePriceBand
11:00:00 OrderAccepted d3 150
11:00:00 Trade c2 d3 101 20 Buy
11:00:00 Trade c3 d3 104 100 Buy
11:00:00 PriceBoundReached d3 Collar 100 105 106
11:00:00 PhaseChanged Continuous VolatilityCall Collar
11:00:00 IndicativeChanged 106 30 Sell 70
11:01:00 OrderAccepted e3 50
11:01:00 IndicativeChanged 104.5 30 Sell 20
11:01:00 OrderAccepted a4 40
11:01:00 IndicativeChanged 105 50 Buy 20
11:02:14.508111980 Uncrossed VolatilityCall 105 50 Buy 20
11:02:14.508111980 Trade d3 e3 105 30
11:02:14.508111980 Trade a4 e3 105 20
11:02:14.508111980 PhaseChanged VolatilityCall Continuous CallEnded
16:00:00 OrderAccepted b2 0
16:00:00 OrderAccepted e4 0
16:00:00 OrderAccepted d4 0
16:00:00 OrderAccepted c5 0
17:30:00 PhaseChanged Continuous ClosingCall Calendar
17:30:00 OrderRestated b2 80 JoinedCall
17:30:00 OrderRestated e4 0 JoinedCall
17:30:00 OrderRestated d4 60 JoinedCall
17:30:00 OrderRestated c5 25 JoinedCall
17:30:00 IndicativeChanged 104 80 Sell 40
17:30:00 OrderAccepted a5 0
17:30:00 IndicativeChanged 105 120 Buy 10
17:34:00 PhaseChanged ClosingCall NoCancel Calendar
17:34:00 CancelRejected d4 PhaseNotAllowed
17:34:00 OrderAccepted b3 5
17:34:00 IndicativeChanged 105 125 Buy 5
17:35:00 Uncrossed NoCancel 105 125 Buy 5
17:35:00 Trade a5 e4 105 40
17:35:00 Trade a5 b2 105 10
17:35:00 Trade d4 b2 105 60
17:35:00 Trade a4 b2 105 10
17:35:00 Trade a4 b3 105 5
17:35:00 OrderCancelled c5 25 ClosingRemainder
17:35:00 PhaseChanged NoCancel Closed Calendar
18:00:00 OrderCancelled c1 100 DayEnded
18:00:00 OrderCancelled c4 100 DayEnded
18:00:00 BalanceChanged anna USD Withdrawal 0 525.5252
18:00:00 BalanceChanged bert USD Withdrawal 0 0
18:00:00 BalanceChanged cleo USD Withdrawal 0 0
18:00:00 BalanceChanged dora USD Withdrawal 0 0
18:00:00 BalanceChanged emil USD Withdrawal 0 0
18:00:00 BalanceChanged anna ACME Withdrawal 0 0
18:00:00 BalanceChanged bert ACME Withdrawal 0 0
18:00:00 BalanceChanged cleo ACME Withdrawal 0 0
18:00:00 BalanceChanged dora ACME Withdrawal 0 0
18:00:00 BalanceChanged emil ACME Withdrawal 0 0
";

#[test]
fn a_day_goes_as_the_rulebook_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_flow")).args(["script", SCRIPT]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let events = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found: Vec<String> =
        events.filter(|event| event["cause"] != "Deposit").filter_map(|event| said(&event)).collect();
    let expected: Vec<&str> = DAY.lines().filter(|line| !line.is_empty()).collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len(), "{:?} {:?}", found.last(), expected.last());
}

/// The page beside the script quotes what the script prints.
#[test]
fn the_page_quotes_the_day() {
    let page = Path::new(SCRIPT).with_file_name("README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let quoted: Vec<&str> = page.lines().filter(|line| line.contains(':') && line.starts_with(['0', '1'])).collect();
    assert!(quoted.len() > 40, "{quoted:?}");
    for line in quoted {
        assert!(DAY.lines().any(|expected| expected == line), "{line}");
    }
}

fn said(event: &Value) -> Option<String> {
    let kind = event["event"].as_str()?;
    let (_, fields) = SAID.iter().find(|(said, _)| *said == kind)?;
    let time = clock(event["time"].as_u64()?);
    let words = fields.iter().filter_map(|&field| event[field].as_str());
    Some([time.as_str(), kind].into_iter().chain(words).collect::<Vec<_>>().join(" "))
}

/// Nanoseconds since midnight as a clock shows them.
fn clock(nanoseconds: u64) -> String {
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { text } else { format!("{text}.{fraction:09}") }
}
