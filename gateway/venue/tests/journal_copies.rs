//! `rialto journal restore`, `backup` and `export`: as a script drives them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output, Stdio};

use engine::command::NewOrder;
use engine::order::{OnDisconnect, OrderFlags, OrderType, Side, TimeInForce};
use engine::{
    AccountId, Amount, Capacity, ClientOrderId, Command, CommandBody, Engine, InstrumentId, Price, Quantity, Timestamp,
};
use journal::{Appender, BEFORE_FIRST, EventDigest, Journal, Opened, Options, Sequencer, replay};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use tempfile::TempDir;
use venue::data_folder::DataFolder;
use venue::demo;

/// A demo venue, without its doors. Its clock begins on 2026-11-25 at nine, and goes on by a second a command.
struct Venue {
    journal: Journal,
    engine: Engine,
    sequencer: Sequencer<Appender>,
    digest: EventDigest,
}

const NINE: u64 = 1_795_597_200_000_000_000;
const SECOND: u64 = 1_000_000_000;

fn options(folder: &TempDir) -> Options {
    Options { segment_bytes: 65_536, head_directory: Some(folder.path().to_owned()), ..Options::new(Capacity::SMALL) }
}

impl Venue {
    fn found(folder: &TempDir, data: &Path) -> Self {
        let commands = demo::commands(&DataFolder::open(data).unwrap()).unwrap();
        DataFolder::open(data).unwrap().certificate().unwrap();
        let Opened { journal, appender, .. } = Journal::open(data, &options(folder)).unwrap();
        let (engine, sequencer) = (Engine::new(Capacity::SMALL), Sequencer::new(appender, BEFORE_FIRST));
        let mut venue = Self { journal, engine, sequencer, digest: EventDigest::new() };
        commands.into_iter().for_each(|command| venue.submit(command));
        venue
    }

    fn submit(&mut self, body: impl Into<CommandBody>) {
        let at = Timestamp(NINE + self.sequencer.last().sequence.0 * SECOND);
        let command = Command::from_venue(body.into());
        let last = self.sequencer.submit(&mut self.engine, at, &[command], &mut self.digest).unwrap();
        self.digest.applied(last.sequence);
        self.journal.wait_released(last.sequence).unwrap();
    }

    /// Of half a bitcoin at 64,000 dollars.
    fn order(&mut self, account: u32, side: Side) {
        self.submit(NewOrder {
            account: AccountId(account),
            instrument: InstrumentId(1),
            client_order_id: ClientOrderId(u64::from(account) << 40 | self.sequencer.last().sequence.0),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price: Price(6_400_000),
            quantity: Quantity(50_000_000),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        });
    }

    fn last(&self) -> u64 {
        self.sequencer.last().sequence.0
    }

    fn close(self) {
        self.journal.close(self.sequencer.into_append(), self.digest.value()).unwrap();
    }
}

/// A venue in which alice sold and bob bought, twice; gives its last command.
fn traded(folder: &TempDir, data: &Path) -> u64 {
    let mut venue = Venue::found(folder, data);
    for _ in 0..2 {
        venue.order(2, Side::Sell);
        venue.order(3, Side::Buy);
    }
    let last = venue.last();
    venue.close();
    last
}

fn rialto(arguments: &[&str]) -> Output {
    Process::new(env!("CARGO_BIN_EXE_rialto")).arg("journal").args(arguments).output().unwrap()
}

fn answer(arguments: &[&str]) -> (Value, Option<i32>) {
    let output = rialto(&[arguments, &["--json"]].concat());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_restored_folder_has_what_a_venue_needs_and_its_state_as_of_then() {
    let folder = TempDir::new().unwrap();
    let (data, new) = (folder.path().join("data"), folder.path().join("new"));
    let last = traded(&folder, &data);
    let until = (last - 2).to_string();
    let (object, code) = answer(&["restore", text(&data), "--to", text(&new), "--until", &until]);
    assert_eq!(code, Some(0), "{object}");
    assert_eq!(
        (&object["commands"], &object["first"], &object["last"]),
        (&json!(last - 2), &json!(1), &json!(last - 2))
    );
    assert_eq!(
        (&object["segments"], &object["bytes"]),
        (&json!(names(&new.join("journal")).len()), &json!(3 * 65_536))
    );
    assert_eq!(names(&new), ["certificate.key", "certificate.pem", "journal", "keys", "lock"]);
    for (file, mode) in [("certificate.key", 0o600), ("keys/alice.json", 0o600), ("certificate.pem", 0o644)] {
        assert_eq!(fs::read(new.join(file)).unwrap(), fs::read(data.join(file)).unwrap());
        assert_eq!(fs::metadata(new.join(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
    }
    let replayed = replay(&new, &mut (), |_| {}).unwrap();
    assert_eq!((replayed.last.0, object["chain"].clone()), (last - 2, json!(replayed.verified.chain.to_string())));

    let bare = folder.path().join("bare");
    let (object, _) = answer(&["restore", text(&data), "--to", text(&bare), "--journal-only"]);
    assert_eq!((names(&bare), &object["files"]), (vec!["journal".to_owned(), "lock".to_owned()], &json!([])));
    assert_eq!(object["last"], json!(last));
}

#[test]
fn a_point_can_be_a_time() {
    let folder = TempDir::new().unwrap();
    let (data, new) = (folder.path().join("data"), folder.path().join("new"));
    traded(&folder, &data);
    let (object, code) = answer(&["restore", text(&data), "--to", text(&new), "--until", "2026-11-25T10:00:10+01:00"]);
    assert_eq!((&object["last"], code), (&json!(11), Some(0)), "the first command is at nine");
}

#[test]
fn what_cannot_be_copied_is_said_with_an_exit_code() {
    let folder = TempDir::new().unwrap();
    let (data, new) = (folder.path().join("data"), folder.path().join("new"));
    traded(&folder, &data);
    let cases = [
        (vec!["restore", text(&data), "--to", text(&data)], 2, "is not empty"),
        (vec!["restore", text(&data), "--to", text(&new), "--until", "5000"], 2, "no such command"),
        (vec!["restore", text(&data), "--to", text(&new), "--until", "2020-01-01T00:00:00Z"], 2, "no such command"),
        (vec!["restore", folder.path().to_str().unwrap(), "--to", text(&new)], 2, "holds no journal"),
        (vec!["backup", folder.path().to_str().unwrap(), "--to", text(&new)], 2, "holds no journal"),
    ];
    for (arguments, exit, reason) in cases {
        let (object, code) = answer(&arguments);
        assert_eq!((code, &object["ok"]), (Some(exit), &json!(false)), "{arguments:?}: {object}");
        assert!(object["reason"].as_str().unwrap().contains(reason), "{arguments:?}: {object}");
        let said = rialto(&arguments);
        assert_eq!(said.stdout, b"");
        assert!(String::from_utf8(said.stderr).unwrap().contains(reason), "{arguments:?}");
    }
    let said = rialto(&["restore", text(&data), "--to", text(&new), "--until", "yesterday"]);
    assert_eq!(said.status.code(), Some(2));
    assert!(!new.join("journal").exists());
}

#[test]
fn a_backup_beside_a_venue_is_continued() {
    let folder = TempDir::new().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let mut venue = Venue::found(&folder, &data);
    let head = folder.path().to_str().unwrap();
    let arguments = ["backup", text(&data), "--to", text(&copy), "--head", head];
    let founded = venue.last();
    let (object, code) = answer(&arguments);
    assert_eq!((code, &object["last"], &object["new_commands"]), (Some(0), &json!(founded), &json!(founded)));
    venue.order(2, Side::Sell);
    let (object, _) = answer(&arguments);
    assert_eq!(
        (&object["last"], &object["new_commands"], &object["segments"]),
        (&json!(founded + 1), &json!(1), &json!(1))
    );
    venue.close();
    fs::write(data.join("keys/carol.json"), "{}").unwrap();
    let (object, _) = answer(&arguments);
    assert_eq!(object["new_commands"], json!(0));
    assert!(copy.join("keys/carol.json").exists(), "a key that came since then goes along");
    let segments = |folder: &Path| {
        names(&folder.join("journal"))
            .into_iter()
            .map(|name| fs::read(folder.join("journal").join(name)).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(segments(&copy), segments(&data));
    assert_eq!(answer(&["verify", text(&copy)]).0["sealed"], json!(true));
}

// Exports.

fn export(data: &Path, what: &str, more: &[&str]) -> (Vec<Vec<String>>, PathBuf) {
    let [csv, parquet] =
        ["csv", "parquet"].map(|kind| data.with_file_name(format!("{what}-{}.{kind}", more.join("-"))));
    for file in [&csv, &parquet] {
        let (object, code) = answer(&[&["export", text(data), "--to", text(file), "--what", what], more].concat());
        assert_eq!((code, &object["bytes"]), (Some(0), &json!(fs::metadata(file).unwrap().len())), "{object}");
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&csv).unwrap();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    (rows, parquet)
}

/// The rows of a Parquet file as text, with the line of names.
fn parquet_rows(file: &Path) -> Vec<Vec<String>> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema().clone();
    let names = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    let value = |field: &Field| match field {
        Field::Null => String::new(),
        Field::ULong(number) => number.to_string(),
        Field::Long(time) => time.to_string(),
        Field::Str(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let rows = reader.get_row_iter(None).unwrap();
    let rows = rows.map(|row| row.unwrap().get_column_iter().map(|(_, field)| value(field)).collect());
    std::iter::once(names).chain(rows).collect()
}

fn without_words_for_times(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let doubled: Vec<_> = rows[0].iter().map(|name| name.ends_with("_utc")).collect();
    for row in &mut rows {
        let mut doubled = doubled.iter();
        row.retain(|_| !doubled.next().unwrap());
    }
    rows
}

#[test]
fn both_formats_hold_the_same_rows() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let last = traded(&folder, &data);
    let events = replay(&data, &mut (), |_| {}).unwrap().events;
    for (what, rows) in [("commands", last), ("events", events), ("trades", 2)] {
        let (csv, parquet) = export(&data, what, &[]);
        assert_eq!(csv.len() as u64, rows + 1, "{what}, and the names");
        assert_eq!(without_words_for_times(csv), parquet_rows(&parquet), "{what}");
    }
}

#[test]
fn a_trade_is_a_row_with_both_sides() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let last = traded(&folder, &data);
    let (rows, _) = export(&data, "trades", &[]);
    let column = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    let value = |name: &str| rows[1][column(name)].as_str();
    assert_eq!(value("sequence"), (last - 2).to_string());
    assert_eq!(value("time"), (NINE + (last - 3) * SECOND).to_string());
    assert!(value("time_utc").starts_with("2026-11-25T09:00:"), "{}", value("time_utc"));
    let expected = [
        ("instrument", "1"),
        ("instrument_name", "BTC-USD"),
        ("trade_id", "1"),
        ("price", "6400000"),
        ("quantity", "50000000"),
        ("price_decimal", "64000.00"),
        ("quantity_decimal", "0.50000000"),
        ("aggressor", "Buy"),
        ("maker_account", "2"),
        ("maker_side", "Sell"),
        ("taker_account", "3"),
        ("taker_side", "Buy"),
        ("taker_leaves", "0"),
        // Of 32,000 dollars, 5 and 10 basis points.
        ("maker_fee_decimal", "16"),
        ("taker_fee_decimal", "32"),
    ];
    for (name, text) in expected {
        assert_eq!(value(name), text, "{name}");
    }
}

#[test]
fn commands_and_events_have_columns_and_everything_else_in_fields() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let last = traded(&folder, &data);
    let from = (last - 3).to_string();
    let (rows, _) = export(&data, "commands", &["--from", &from, "--until", &from]);
    let value = |rows: &[Vec<String>], row: usize, name: &str| {
        rows[row][rows[0].iter().position(|column| column == name).unwrap()].clone()
    };
    assert_eq!(rows.len(), 2);
    let names = ["sequence", "command", "account", "side", "price", "quantity", "order_id"];
    let expected = [from.as_str(), "NewOrder", "2", "Sell", "6400000", "50000000", ""];
    assert_eq!(names.map(|name| value(&rows, 1, name)), expected.map(str::to_owned));
    let fields: Value = serde_json::from_str(&value(&rows, 1, "fields")).unwrap();
    assert_eq!((&fields["time_in_force"], &fields["stop_price"]), (&json!("GoodTillCancel"), &Value::Null));

    let (rows, _) = export(&data, "events", &["--from", &from, "--until", &(last - 2).to_string()]);
    let events: Vec<_> = (1..rows.len()).map(|row| value(&rows, row, "event")).collect();
    assert_eq!(events, ["OrderAccepted", "OrderAccepted", "Trade"]);
    assert_eq!([value(&rows, 1, "account"), value(&rows, 1, "leaves")], ["2", "50000000"]);
    let fields: Value = serde_json::from_str(&value(&rows, 3, "fields")).unwrap();
    assert_eq!((&fields["maker"]["report"]["account"], &fields["maker"]["leaves"]), (&json!(2), &json!(0)));
}

#[test]
fn an_export_is_whole_or_not_there() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    traded(&folder, &data);
    let file = folder.path().join("table.csv");
    let arguments = ["export", text(&data), "--to", text(&file), "--what", "events"];
    fs::write(&file, "mine").unwrap();
    let (object, code) = answer(&arguments);
    assert_eq!((code, fs::read_to_string(&file).unwrap().as_str()), (Some(2), "mine"), "{object}");
    fs::remove_file(&file).unwrap();
    let (object, code) = answer(&["export", text(&data), "--to", "table.txt", "--what", "events"]);
    assert_eq!(code, Some(2));
    assert!(object["reason"].as_str().unwrap().contains(".csv, .jsonl or .parquet"), "{object}");

    // A batch in the middle is damaged.
    let segment = data.join("journal/00000002.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4 * 4_096 + 100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (object, code) = answer(&arguments);
    assert_eq!((code, &object["offset"]), (Some(4), &json!(4 * 4_096)), "{object}");
    assert!(names(folder.path()).iter().all(|name| !name.starts_with("table")));
}

/// `rialto journal verify DIR | head -0`, and the like: it panicked.
#[test]
fn whoever_reads_no_more_ends_a_tool_quietly() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    traded(&folder, &data);
    let copy = folder.path().join("copy");
    let file = folder.path().join("table.csv");
    let tools = [
        vec!["verify", text(&data)],
        vec!["replay", text(&data), "--json"],
        vec!["inspect", text(&data), "--from", "1"],
        vec!["restore", text(&data), "--to", text(&copy)],
        vec!["export", text(&data), "--to", text(&file), "--what", "commands"],
    ];
    for arguments in tools {
        let mut process = Process::new(env!("CARGO_BIN_EXE_rialto"));
        process.arg("journal").args(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = process.spawn().unwrap();
        drop(running.stdout.take());
        let said: Vec<_> = BufReader::new(running.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
        assert_eq!((running.wait().unwrap().code(), said), (Some(0), Vec::new()), "{arguments:?}");
    }
}
