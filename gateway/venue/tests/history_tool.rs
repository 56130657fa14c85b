//! `rialto history`, as a process: what it says is what happened, whatever the files of the event history hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use engine::canonical::{FieldValue, Fields};
use engine::command::{AddAsset, AdminNote, CancelOrder, Deposit, ListInstrument, NewOrder, OpenAccount};
use engine::instrument::{Holds, Phase};
use engine::{
    AccountId, Amount, AssetId, Capacity, ClientOrderId, Command, Engine, Event, EventHeader, InstrumentId,
    OnDisconnect, OrderFlags, OrderId, OrderType, Price, Quantity, SelfTradePrevention, Sequence, Side, StpGroup, Text,
    TimeInForce, Timestamp,
};
use journal::history::Retention;
use journal::{
    BEFORE_FIRST, Digest, HistoryOptions, HistoryWriter, Journal, Opened, Options, Reader, Sequencer, rebuild,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// 2026-11-28T18:00:00Z.
const OPENING: u64 = 1_795_888_800_000_000_000;
const SECOND: u64 = 1_000_000_000;
const COMMANDS: u64 = 4_500;

/// A venue that has stopped: one command a second, of two accounts that trade with one another.
struct Venue {
    folder: TempDir,
    events: Vec<(EventHeader, Event)>,
    commands: Vec<Command>,
}

impl Venue {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let options = Options {
            segment_bytes: 1 << 20,
            head_directory: Some(folder.path().to_owned()),
            ..Options::new(Capacity::SMALL)
        };
        let Opened { journal, appender, .. } = Journal::open(folder.path(), &options).unwrap();
        let (mut engine, mut events) = (Engine::new(Capacity::SMALL), Vec::new());
        let mut sequencer = Sequencer::new(appender, BEFORE_FIRST);
        let commands: Vec<_> = (1..=COMMANDS).map(command).collect();
        for (command, at) in commands.iter().zip(1..) {
            sequencer.submit(&mut engine, Timestamp(OPENING + at * SECOND), &[*command], &mut events).unwrap();
        }
        journal.close(sequencer.into_append(), Digest::ZERO).unwrap();
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let alice = json!({"key": 2, "session": 2, "account": 2, "secret": "00"});
        fs::write(keys.join("alice.json"), alice.to_string()).unwrap();
        Self { folder, events, commands }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    /// The engine behind a command.
    fn at(&self, sequence: u64) -> Engine {
        let mut engine = Engine::new(Capacity::SMALL);
        let mut sequencer = Sequencer::new(journal::Discard, BEFORE_FIRST);
        for (command, at) in self.commands.iter().zip(1..=sequence) {
            sequencer.submit(&mut engine, Timestamp(OPENING + at * SECOND), &[*command], &mut ()).unwrap();
        }
        engine
    }

    /// Writes the event history as far as its files go, which is the first four blocks.
    fn write_history(&self, retention: Retention) {
        let reader = Reader::open(self.data()).unwrap();
        let options =
            HistoryOptions { file_sequences: 1_024, retention, reserve_bytes: 0, ..HistoryOptions::default() };
        let mut writer = HistoryWriter::open(self.data(), reader.identity().journal, &options).unwrap();
        let last = rebuild(reader, &mut writer, |_| {}).unwrap().engine.last();
        writer.applied(last).unwrap();
    }

    fn remove_history(&self) {
        fs::remove_dir_all(self.data().join("history")).unwrap();
    }

    /// What the tool prints, its errors, and its exit code.
    fn run(&self, arguments: &[&str]) -> (String, String, i32) {
        let mut process = Process::new(env!("CARGO_BIN_EXE_rialto"));
        let output = process.arg("history").args(arguments).arg("--data").arg(self.data()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code().unwrap())
    }

    /// The events that the tool shows, by name, and the object at the end.
    fn ask(&self, arguments: &[&str]) -> (Vec<(u64, u64)>, Value) {
        let (out, errors, exit) = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(exit, 0, "{arguments:?}: {errors}");
        let mut lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let end = lines.pop().unwrap();
        let name = |event: &Value| (event["sequence"].as_u64().unwrap(), event["index"].as_u64().unwrap());
        (lines.iter().map(name).collect(), end)
    }

    /// The events that have a field of one of these names with this number.
    fn naming(&self, names: &[&str], id: u64) -> Vec<(u64, u64)> {
        let named = self.events.iter().filter(|(_, event)| has_field(event.record(), names, id));
        named.map(|(header, _)| (header.id.sequence.0, header.id.index.into())).collect()
    }

    /// An order that traded and was cancelled.
    fn an_order(&self) -> OrderId {
        let mut ended = self.events.iter().rev().filter_map(|(_, event)| match event {
            Event::OrderCancelled(cancelled) if cancelled.order.cumulative > Quantity(0) => {
                Some(cancelled.order.order_id)
            }
            _ => None,
        });
        ended.next().unwrap()
    }
}

fn has_field(record: &dyn Fields, names: &[&str], id: u64) -> bool {
    let mut found = false;
    record.fields(&mut |name, value| match value {
        FieldValue::Unsigned(value) => found |= value == id && names.contains(&name),
        FieldValue::Record(inner) => found |= has_field(inner, names, id),
        _ => {}
    });
    found
}

fn command(number: u64) -> Command {
    let note = AdminNote::NONE;
    let account = AccountId(2 + (number % 2) as u32);
    match number {
        1 => Command::from_venue(AddAsset { asset: AssetId(1), name: Text::new("BTC").unwrap(), decimals: 8, note }),
        2 => Command::from_venue(ListInstrument {
            instrument: InstrumentId(1),
            name: Text::new("BTC-USD").unwrap(),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 1,
            tick_decimals: 2,
            lot: 1,
            lot_decimals: 4,
            reference: Price::ABSENT,
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            phase: Phase::Continuous,
            note,
        }),
        3 | 4 => Command::from_venue(OpenAccount {
            account,
            stp_group: StpGroup::NONE,
            self_trade_prevention: None,
            fee_tier: 0,
            note,
        }),
        _ if number.is_multiple_of(50) => {
            Command::from_venue(Deposit { account: AccountId(2), asset: AssetId(1), amount: Amount(7), note })
        }
        _ if number.is_multiple_of(3) => Command::from_venue(CancelOrder {
            account,
            order_id: OrderId::NONE,
            original_client_order_id: ClientOrderId(number - 4),
            client_order_id: ClientOrderId(number),
        }),
        _ => Command::from_venue(NewOrder {
            account,
            instrument: InstrumentId(1),
            client_order_id: ClientOrderId(number),
            side: if number % 5 < 2 { Side::Buy } else { Side::Sell },
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price: Price(95 + number * 7 % 11),
            quantity: Quantity(1 + number % 13),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }),
    }
}

#[test]
fn the_answer_is_the_same_whatever_the_files_hold() {
    let venue = Venue::new();
    let order = venue.an_order();
    let of_order = venue.naming(&["order_id", "original_order_id", "resting", "incoming"], order.0);
    let of_account = venue.naming(&["account", "resting_account", "incoming_account"], 2);
    let assert_answers = |from_first: &[&str], story: &str| {
        let ask = |arguments: &[&str]| venue.ask(&[arguments, from_first].concat());
        assert_eq!(ask(&["order", &order.to_string()]).0, of_order, "{story}");
        let (events, end) = ask(&["account", "2", "--count", "1000000"]);
        assert_eq!(events, of_account, "{story}");
        let (first, last) = (of_account[0].0, of_account.last().unwrap().0);
        let expected = json!({
            "account": 2, "events": of_account.len(), "first": first, "last": last, "note": null, "state": null,
        });
        assert_eq!(end, expected, "{story}");
        // The newest; the first from somewhere on; up to somewhere, as a sequence and as its time.
        assert_eq!(venue.ask(&["account", "alice"]).0, of_account[of_account.len() - 20..], "{story}");
        let behind: Vec<_> = of_account.iter().copied().filter(|&(sequence, _)| sequence >= 2_000).take(30).collect();
        assert_eq!(venue.ask(&["account", "2", "--from", "2000", "--count", "30"]).0, behind, "{story}");
        let until: Vec<_> =
            of_account.iter().copied().filter(|&(sequence, _)| (9..=3_000).contains(&sequence)).collect();
        let time = "2026-11-28T18:50:00.5Z";
        for as_of in ["3000", time] {
            let asked = ["account", "2", "--count", "999999", "--from", "9", "--as-of", as_of];
            assert_eq!(venue.ask(&asked).0, until, "{story}");
        }
    };
    assert_answers(&[], "no history");
    venue.write_history(Retention::Everything);
    assert_answers(&[], "a history of whole blocks");
    let file = venue.data().join("history/00000002.events");
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&file, damaged).unwrap();
    assert_answers(&[], "a damaged history");
    let (_, errors, exit) = venue.run(&["account", "2", "--count", "100000"]);
    assert!(errors.contains("00000002.events is damaged") && exit == 0, "{errors}");
    venue.remove_history();
    venue.write_history(Retention::Bytes(0));
    assert_answers(&["--from", "1"], "a history that begins later");
    let (_, end) = venue.ask(&["account", "2"]);
    assert!(end["note"].as_str().unwrap().contains("from command 3073 on"), "{end}");
}

#[test]
fn what_was_then_is_said_with_the_events_up_to_then() {
    let venue = Venue::new();
    venue.write_history(Retention::Everything);
    for sequence in [700, 3_333] {
        let then = venue.at(sequence);
        let as_of = sequence.to_string();
        let (_, end) = venue.ask(&["instrument", "btc-usd", "--as-of", &as_of, "--orders"]);
        let state = &end["state"];
        assert_eq!((&state["behind"], &state["phase"]), (&json!(sequence), &json!("Continuous")));
        for (name, side) in [("bids", Side::Buy), ("asks", Side::Sell)] {
            let levels = then.levels(InstrumentId(1), side).map(|level| {
                json!({
                    "price": level.price.0,
                    "quantity": level.quantity.to_string(),
                    "shown": level.shown.to_string(),
                    "orders": level.order_count,
                })
            });
            assert_eq!(state[name], Value::from_iter(levels), "{name} behind {sequence}");
        }
        let orders = state["orders"].as_array().unwrap();
        let ids: Vec<_> = orders.iter().map(|order| order["order_id"].as_u64().unwrap()).collect();
        let both = [Side::Buy, Side::Sell].into_iter().flat_map(|side| then.orders(InstrumentId(1), side));
        assert_eq!(ids, both.map(|order| order.order_id.0).collect::<Vec<_>>());

        let (_, end) = venue.ask(&["account", "2", "--as-of", &as_of]);
        let deposits = 7 * (sequence / 50);
        let balances = json!([{"asset": "BTC", "available": deposits.to_string(), "held": "0"}]);
        assert_eq!(end["state"]["balances"], balances);
        let mut ids: Vec<_> = then.open_orders(AccountId(2)).map(|order| order.order_id.0).collect();
        let orders = end["state"]["orders"].as_array().unwrap();
        let mut told: Vec<_> = orders.iter().map(|order| order["order_id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, ids);
    }
}

#[test]
fn people_read_lines() {
    let venue = Venue::new();
    let (out, _, exit) = venue.run(&["instrument", "1", "--from", "1", "--count", "1", "--as-of", "2"]);
    assert_eq!(exit, 0);
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("         2.0  2026-11-28T18:00:02Z  InstrumentListed "), "{out}");
    assert!(lines[0].contains(" command.name=BTC-USD ") && !lines[0].contains("base"), "{out}");
    assert!(lines.contains(&"phase         Continuous") && lines.contains(&"bids: none"), "{out}");
    let (out, _, exit) = venue.run(&["order", "999999999999"]);
    assert_eq!((out.as_str(), exit), ("no events\n", 0));
}

#[test]
fn what_cannot_be_followed_is_said() {
    let venue = Venue::new();
    for (arguments, said) in [
        (["account", "bob", "--count", "1"].as_slice(), "\"bob\" is neither a number nor the name of a key"),
        (&["instrument", "ETH-USD"], "no instrument is named \"ETH-USD\"; listed: BTC-USD"),
        (&["order", "7", "--from", "yesterday"], "no sequence, and \"yesterday\" is no time"),
        (&["order", "seven"], "invalid digit"),
    ] {
        let (_, errors, exit) = venue.run(arguments);
        assert!(errors.contains(said) && exit == 2, "{arguments:?}: {errors}");
    }
    let nowhere: PathBuf = venue.data().join("nowhere");
    let mut process = Process::new(env!("CARGO_BIN_EXE_rialto"));
    let output = process.args(["history", "order", "1", "--data"]).arg(&nowhere).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!nowhere.exists());
}

#[test]
fn the_sequences_of_these_tests_are_their_numbers() {
    let venue = Venue::new();
    assert_eq!(Reader::open(venue.data()).unwrap().verify().unwrap().last, Sequence(COMMANDS));
}
