//! `rialto journal export`: commands, events or trades of a journal as a table, for other programs.
//!
//! Commands are read, events and trades come from a replay. Numbers are as the journal holds them; a trade's prices,
//! quantities and fees also as decimals. The column `fields` holds everything, as JSON. The file gets its name when it is
//! whole.

pub(crate) mod table;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use engine::command::{AddAsset, ListInstrument};
use engine::event::{Trade, TradeSide};
use engine::{AssetId, Event, EventHeader, EventSink, InstrumentId, Sequence, Timestamp};
use journal::{ReadError, Reader, Seek, StartError};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::{ExportArguments, Moment, WhatToExport};
use crate::exit::Exit;
use crate::journal_inspect::{command_object, event_object};
use crate::journal_tools::{self, Failed, command_bar, rate};
use table::{Cell, Column, Kind, Table, TableError};

/// What was exported.
#[derive(Debug, Serialize)]
struct Exported {
    rows: u64,
    bytes: u64,
    seconds: f64,
    rows_per_second: u64,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal cannot be replayed.
    #[error(transparent)]
    Replay(#[from] StartError),
    /// The file's name does not say how it is to be written.
    #[error("{}: the name has to end in .csv, .jsonl or .parquet, which says how the file is written", file.display())]
    Format { file: PathBuf },
    /// There is such a file.
    #[error("{} is there already: remove it, or give another name", file.display())]
    Exists { file: PathBuf },
    /// The file cannot be written.
    #[error("{}: {source}: check that it may be written, and that its disk has room", file.display())]
    Write { file: PathBuf, source: TableError },
}

/// Exports, and says what.
pub fn run(arguments: &ExportArguments) -> Exit {
    journal_tools::print_outcome(export(arguments), arguments.journal.json)
}

fn export(arguments: &ExportArguments) -> Result<Exported, ExportError> {
    let (start, file) = (Instant::now(), &arguments.to);
    let directory = &arguments.journal.directory;
    // What is wrong with the journal's folder is said before a file is made.
    let range = Range::of(arguments)?;
    let columns = columns(arguments.what);
    let mut output = Output::create(file, &columns)?;
    match arguments.what {
        WhatToExport::Commands => export_commands(directory, range, &mut output)?,
        WhatToExport::Events => export_events(directory, range, &mut output, AllEvents)?,
        WhatToExport::Trades => export_events(directory, range, &mut output, Listings::default())?,
    }
    let (rows, bytes) = output.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Exported { rows, bytes, seconds, rows_per_second: rate(rows, seconds) })
}

/// Which commands.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: Sequence,
    last: Sequence,
}

impl Range {
    fn of(arguments: &ExportArguments) -> Result<Self, ReadError> {
        let directory = &arguments.journal.directory;
        Reader::open(directory)?;
        let first_from = |seek| -> Result<Option<Sequence>, ReadError> {
            let found = Reader::open_at(directory, seek)?.commands().next().transpose()?;
            Ok(found.map(|command| command.stamp.sequence))
        };
        let first = match arguments.from {
            None => Sequence(1),
            Some(Moment::Sequence(sequence)) => sequence,
            Some(Moment::Time(time)) => first_from(Seek::Time(time))?.unwrap_or(Sequence(u64::MAX)),
        };
        let last = match arguments.until {
            None => Sequence(u64::MAX),
            Some(Moment::Sequence(sequence)) => sequence,
            Some(Moment::Time(Timestamp(time))) => first_from(Seek::Time(Timestamp(time.saturating_add(1))))?
                .map_or(Sequence(u64::MAX), |later| Sequence(later.0 - 1)),
        };
        Ok(Self { first, last })
    }
}

fn export_commands(directory: &Path, range: Range, output: &mut Output) -> Result<(), ExportError> {
    let bar = command_bar(None);
    for command in Reader::open_at(directory, Seek::Sequence(range.first))?.commands() {
        let command = command?;
        if command.stamp.sequence > range.last {
            break;
        }
        bar.set_position(command.stamp.sequence.0);
        output.add(row_of(COMMANDS, &command_object(&command)))?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// What makes rows of events.
trait EventRows {
    /// Behind which command events begin to be of use.
    fn after(&self, range: Range) -> Sequence;

    /// Takes note of an event, whether it is wanted or not.
    fn learn(&mut self, event: &Event);

    /// The event's row, if it has one.
    fn row(&self, header: &EventHeader, event: &Event) -> Option<Vec<Cell>>;
}

fn export_events(directory: &Path, range: Range, output: &mut Output, rows: impl EventRows) -> Result<(), ExportError> {
    let bar = command_bar(None);
    let progress = |Sequence(sequence)| bar.set_position(sequence);
    let after = rows.after(range);
    let mut sink = RowSink { range, output, rows, failure: None };
    let replayed = journal::events_between(directory, after, range.last, &mut sink, progress);
    bar.finish_and_clear();
    sink.failure.map_or(Ok(()), Err)?;
    replayed?;
    Ok(())
}

/// Takes a replay's events.
struct RowSink<'a, R> {
    range: Range,
    output: &'a mut Output,
    rows: R,
    /// The first one; nothing is written behind it.
    failure: Option<ExportError>,
}

impl<R: EventRows> EventSink for RowSink<'_, R> {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.rows.learn(event);
        let is_wanted = (self.range.first..=self.range.last).contains(&header.id.sequence);
        if is_wanted
            && self.failure.is_none()
            && let Some(row) = self.rows.row(header, event)
        {
            self.failure = self.output.add(row).err();
        }
    }
}

/// The file that is written, under another name until it is whole.
pub(crate) struct Output {
    file: PathBuf,
    part: PathBuf,
    table: Option<Table>,
    rows: u64,
}

impl Output {
    pub(crate) fn create(file: &Path, columns: &[Column]) -> Result<Self, ExportError> {
        let begin = match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Table::csv,
            Some("jsonl") => Table::lines,
            Some("parquet") => Table::parquet,
            _ => return Err(ExportError::Format { file: file.to_owned() }),
        };
        if file.exists() {
            return Err(ExportError::Exists { file: file.to_owned() });
        }
        let part = file.with_added_extension("part");
        let begun = File::create(&part).map_err(TableError::from).and_then(|made| begin(made, columns));
        let table = begun.map_err(|source| ExportError::Write { file: part.clone(), source })?;
        Ok(Self { file: file.to_owned(), part, table: Some(table), rows: 0 })
    }

    pub(crate) fn add(&mut self, row: Vec<Cell>) -> Result<(), ExportError> {
        self.rows += 1;
        let added = self.table.as_mut().expect("there until it is finished").add(row);
        added.map_err(|source| self.failed(source))
    }

    /// Gives the file its name; says how many rows and bytes it has.
    pub(crate) fn finish(mut self) -> Result<(u64, u64), ExportError> {
        let table = self.table.take().expect("there until it is finished");
        let named = || -> Result<u64, TableError> {
            table.finish()?;
            fs::rename(&self.part, &self.file)?;
            Ok(self.file.metadata()?.len())
        };
        let bytes = named().map_err(|source| self.failed(source))?;
        Ok((self.rows, bytes))
    }

    fn failed(&self, source: TableError) -> ExportError {
        ExportError::Write { file: self.part.clone(), source }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // It has its name, or is of no use.
        let _ = fs::remove_file(&self.part);
    }
}

// Columns.

/// A column, and where its value is looked for in the object that says everything.
struct Source {
    column: Column,
    paths: &'static [&'static str],
    zero: Zero,
}

/// What zero means.
#[derive(Clone, Copy, PartialEq)]
enum Zero {
    Counts,
    Absent,
}

const fn source(name: &'static str, kind: Kind, zero: Zero, paths: &'static [&'static str]) -> Source {
    Source { column: Column { name, kind }, paths, zero }
}

const fn number(name: &'static str, paths: &'static [&'static str]) -> Source {
    source(name, Kind::Number, Zero::Counts, paths)
}

const fn identity(name: &'static str, paths: &'static [&'static str]) -> Source {
    source(name, Kind::Number, Zero::Absent, paths)
}

const fn text(name: &'static str, paths: &'static [&'static str]) -> Source {
    source(name, Kind::Text, Zero::Counts, paths)
}

const COMMANDS: &[Source] = &[
    number("sequence", &["sequence"]),
    source("time", Kind::Time, Zero::Counts, &["time"]),
    source("received_at", Kind::Time, Zero::Absent, &["received_at"]),
    text("command", &["command"]),
    identity("author", &["author"]),
    identity("session", &["session"]),
    identity("client_sequence", &["client_sequence"]),
    identity("account", &["account"]),
    identity("instrument", &["instrument"]),
    identity("order_id", &["order_id"]),
    identity("client_order_id", &["client_order_id"]),
    text("side", &["side"]),
    text("order_type", &["order_type"]),
    text("time_in_force", &["time_in_force"]),
    number("price", &["price"]),
    number("quantity", &["quantity"]),
    text("reason", &["reason"]),
];

const EVENTS: &[Source] = &[
    number("sequence", &["sequence"]),
    number("index", &["index"]),
    source("time", Kind::Time, Zero::Counts, &["time"]),
    source("received_at", Kind::Time, Zero::Absent, &["received_at"]),
    text("event", &["event"]),
    identity("account", &["account", "report.account"]),
    identity("session", &["session", "report.session"]),
    identity("exec_id", &["report.exec_id"]),
    identity("author", &["author"]),
    identity("instrument", &["instrument", "order.instrument"]),
    identity("order_id", &["order_id", "order.order_id"]),
    identity("client_order_id", &["client_order_id", "order.client_order_id"]),
    identity("trade_id", &["trade_id"]),
    text("side", &["side", "order.side"]),
    number("price", &["price", "order.price"]),
    number("quantity", &["quantity", "order.quantity"]),
    number("leaves", &["order.leaves"]),
    number("cumulative", &["order.cumulative"]),
    text("reason", &["reason"]),
];

/// Everything, as JSON.
const FIELDS: Column = Column { name: "fields", kind: Kind::Json };

const fn trade_column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

const TRADES: &[Column] = &[
    trade_column("sequence", Kind::Number),
    trade_column("index", Kind::Number),
    trade_column("time", Kind::Time),
    trade_column("instrument", Kind::Number),
    trade_column("instrument_name", Kind::Text),
    trade_column("trade_id", Kind::Number),
    trade_column("price", Kind::Number),
    trade_column("quantity", Kind::Number),
    trade_column("price_decimal", Kind::Text),
    trade_column("quantity_decimal", Kind::Text),
    trade_column("aggressor", Kind::Text),
    trade_column("self_match", Kind::Text),
    trade_column("maker_account", Kind::Number),
    trade_column("maker_session", Kind::Number),
    trade_column("maker_exec_id", Kind::Number),
    trade_column("maker_order_id", Kind::Number),
    trade_column("maker_client_order_id", Kind::Number),
    trade_column("maker_side", Kind::Text),
    trade_column("maker_leaves", Kind::Number),
    trade_column("maker_fee", Kind::Text),
    trade_column("maker_fee_decimal", Kind::Text),
    trade_column("taker_account", Kind::Number),
    trade_column("taker_session", Kind::Number),
    trade_column("taker_exec_id", Kind::Number),
    trade_column("taker_order_id", Kind::Number),
    trade_column("taker_client_order_id", Kind::Number),
    trade_column("taker_side", Kind::Text),
    trade_column("taker_leaves", Kind::Number),
    trade_column("taker_fee", Kind::Text),
    trade_column("taker_fee_decimal", Kind::Text),
];

fn columns(what: WhatToExport) -> Vec<Column> {
    let sources = match what {
        WhatToExport::Commands => COMMANDS,
        WhatToExport::Events => EVENTS,
        WhatToExport::Trades => return TRADES.to_vec(),
    };
    sources.iter().map(|source| source.column).chain([FIELDS]).collect()
}

/// Each event is a row.
struct AllEvents;

impl EventRows for AllEvents {
    fn after(&self, range: Range) -> Sequence {
        Sequence(range.first.0.saturating_sub(1))
    }

    fn learn(&mut self, _: &Event) {}

    fn row(&self, header: &EventHeader, event: &Event) -> Option<Vec<Cell>> {
        Some(row_of(EVENTS, &event_object(header, event)))
    }
}

fn row_of(sources: &[Source], object: &Map<String, Value>) -> Vec<Cell> {
    let fields = Cell::Text(Value::Object(object.clone()).to_string());
    sources.iter().map(|source| source.cell(object)).chain([fields]).collect()
}

impl Source {
    fn cell(&self, object: &Map<String, Value>) -> Cell {
        let found = self.paths.iter().find_map(|path| look_up(object, path));
        match (found, self.column.kind) {
            (Some(Value::Number(number)), Kind::Number | Kind::Time) => match number.as_u64() {
                Some(0) if self.zero == Zero::Absent => Cell::Absent,
                Some(number) => Cell::Number(number),
                None => Cell::Absent,
            },
            (Some(Value::String(text)), Kind::Text) => Cell::Text(text.clone()),
            // A price that is off the ticks, for one.
            _ => Cell::Absent,
        }
    }
}

/// The value at a path of names with points between them.
fn look_up<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        Some((name, rest)) => look_up(object.get(name)?.as_object()?, rest),
        None => object.get(path),
    }
}

// Trades.

/// What is known of instruments and assets, so that a trade can be told in decimals.
#[derive(Default)]
struct Listings {
    instruments: BTreeMap<InstrumentId, ListInstrument>,
    assets: BTreeMap<AssetId, AddAsset>,
}

impl EventRows for Listings {
    /// Listings come from before the first trade that is wanted.
    fn after(&self, _: Range) -> Sequence {
        Sequence::NONE
    }

    fn learn(&mut self, event: &Event) {
        match event {
            Event::InstrumentListed(listed) => drop(self.instruments.insert(listed.command.instrument, listed.command)),
            Event::AssetAdded(added) => drop(self.assets.insert(added.command.asset, added.command)),
            _ => {}
        }
    }

    fn row(&self, header: &EventHeader, event: &Event) -> Option<Vec<Cell>> {
        if let Event::Trade(trade) = event { Some(self.trade_row(header, trade)) } else { None }
    }
}

impl Listings {
    fn trade_row(&self, header: &EventHeader, trade: &Trade) -> Vec<Cell> {
        let listing = self.instruments.get(&trade.instrument);
        let price = listing.and_then(|listing| scaled(trade.price.0, listing.tick, listing.tick_decimals));
        let quantity = listing.and_then(|listing| scaled(trade.quantity.0, listing.lot, listing.lot_decimals));
        let fee_decimals = listing.and_then(|listing| self.assets.get(&listing.quote)).map(|asset| asset.decimals);
        let mut row = vec![
            Cell::Number(header.id.sequence.0),
            Cell::Number(header.id.index.into()),
            Cell::Number(header.time.0),
            Cell::Number(trade.instrument.0.into()),
            optional(listing.map(|listing| listing.name.as_str().to_owned())),
            Cell::Number(trade.trade_id.0),
            Cell::Number(trade.price.0),
            Cell::Number(trade.quantity.0),
            optional(price.map(|price| price.to_string())),
            optional(quantity.map(|quantity| quantity.to_string())),
            optional(trade.aggressor.map(|side| code_name(side).to_owned())),
            Cell::Text(code_name(trade.self_match).to_owned()),
        ];
        row.extend(side_cells(&trade.maker, fee_decimals));
        row.extend(side_cells(&trade.taker, fee_decimals));
        row
    }
}

fn side_cells(side: &TradeSide, fee_decimals: Option<u8>) -> [Cell; 9] {
    let units = side.fee.0;
    let fee = fee_decimals.and_then(|decimals| Decimal::try_from_i128_with_scale(units, decimals.into()).ok());
    [
        Cell::Number(side.report.account.0.into()),
        Cell::Number(side.report.session.0.into()),
        Cell::Number(side.report.exec_id.0),
        Cell::Number(side.order_id.0),
        Cell::Number(side.client_order_id.0),
        Cell::Text(code_name(side.side).to_owned()),
        Cell::Number(side.leaves.0),
        Cell::Text(units.to_string()),
        optional(fee.map(|fee| fee.normalize().to_string())),
    ]
}

fn code_name(code: impl engine::canonical::Code) -> &'static str {
    code.name()
}

/// `count` steps of `step × 10^−decimals`.
fn scaled(count: u64, step: u64, decimals: u8) -> Option<Decimal> {
    let steps = i128::from(count).checked_mul(step.into())?;
    Decimal::try_from_i128_with_scale(steps, decimals.into()).ok()
}

fn optional(text: Option<String>) -> Cell {
    text.map_or(Cell::Absent, Cell::Text)
}

impl Failed for ExportError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read(error) => error.into(),
            Self::Replay(error) => error.into(),
            Self::Format { .. } | Self::Exists { .. } => Exit::Usage,
            Self::Write { .. } => Exit::InputOutput,
        }
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Read(error) => error.place(),
            Self::Replay(error) => error.place(),
            Self::Format { file } | Self::Exists { file } | Self::Write { file, .. } => (Some(file), None),
        }
    }
}
