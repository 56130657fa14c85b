//! Changes in a file: a row each.

use std::path::Path;

use serde_json::{Map, Value};

use super::AuditError;
use super::change::Change;
use super::names::Names;
use crate::journal_export::Output;
use crate::journal_export::table::{Cell, Column, Kind};

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

const COLUMNS: &[Column] = &[
    column("sequence", Kind::Number),
    column("index", Kind::Number),
    column("time", Kind::Time),
    column("author", Kind::Number),
    column("author_name", Kind::Text),
    column("event", Kind::Text),
    column("command", Kind::Text),
    column("refused", Kind::Text),
    column("reason", Kind::Text),
    column("idempotency_key", Kind::Number),
    column("account", Kind::Number),
    column("instrument", Kind::Number),
    column("instrument_name", Kind::Text),
    column("details", Kind::Json),
];

/// Writes them; how many bytes the file has.
pub(super) fn write(file: &Path, changes: &[Change], names: &mut Names) -> Result<u64, AuditError> {
    let mut output = Output::create(file, COLUMNS)?;
    for change in changes {
        output.add(row(change, names)?)?;
    }
    let (_, bytes) = output.finish()?;
    Ok(bytes)
}

fn row(change: &Change, names: &mut Names) -> Result<Vec<Cell>, AuditError> {
    let details = change.details(names)?;
    let text = |text: Option<&str>| text.map_or(Cell::Absent, |text| Cell::Text(text.to_owned()));
    Ok(vec![
        Cell::Number(change.header.id.sequence.0),
        Cell::Number(change.header.id.index.into()),
        Cell::Number(change.header.time.0),
        Cell::Number(change.author.0.into()),
        text(names.key(change.author)),
        text(Some(change.kind())),
        text(change.command()),
        text(change.refusal()),
        text(Some(&change.reason)),
        Some(change.idempotency_key()).filter(|&key| key > 0).map_or(Cell::Absent, Cell::Number),
        number(&details, "account"),
        number(&details, "instrument"),
        text(details.get("instrument_name").and_then(Value::as_str)),
        Cell::Text(Value::Object(details).to_string()),
    ])
}

fn number(details: &Map<String, Value>, name: &str) -> Cell {
    let number = details.get(name).and_then(Value::as_u64).filter(|&number| number > 0);
    number.map_or(Cell::Absent, Cell::Number)
}
