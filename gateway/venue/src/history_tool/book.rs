//! `rialto history book`: an instrument's book as it was at some time, for a screen or as JSON, in decimals.

use std::io::Write;

use engine::command::ListInstrument;
use engine::{Engine, InstrumentId, LevelSummary, Price, Side};
use journal::AsOf;
use serde_json::{Value, json};

use super::{ToolError, engine_at};
use crate::admin::value::{TimeText, decimal};
use crate::arguments::BookArguments;

/// Finds the book and prints it.
pub(super) fn answer(arguments: &BookArguments, out: &mut impl Write) -> Result<(), ToolError> {
    let engine = engine_at(&arguments.data, arguments.at.map_or(AsOf::End, AsOf::from))?;
    let engine = &engine;
    let listed = || engine.listings().map(|listing| listing.name.as_str()).collect::<Vec<_>>().join(", ");
    let name = &arguments.instrument;
    let is_meant = |listing: &&ListInstrument| match name.parse() {
        Ok(number) => listing.instrument == InstrumentId(number),
        Err(_) => listing.name.as_str().eq_ignore_ascii_case(name),
    };
    let listing = engine.listings().find(is_meant).ok_or_else(|| {
        let last = engine.last().sequence;
        ToolError::Usage(format!("no instrument {name:?} was listed behind command {last}; listed: {}", listed()))
    })?;
    let book = Book { engine, listing, levels: arguments.levels as usize };
    if arguments.json {
        writeln!(out, "{}", book.json())?;
    } else {
        book.print(out)?;
    }
    Ok(())
}

struct Book<'a> {
    engine: &'a Engine,
    listing: &'a ListInstrument,
    levels: usize,
}

impl Book<'_> {
    fn levels(&self, side: Side) -> Vec<LevelSummary> {
        self.engine.levels(self.listing.instrument, side).take(self.levels).collect()
    }

    fn price(&self, price: Price) -> String {
        decimal(u128::from(price.0) * u128::from(self.listing.tick), self.listing.tick_decimals)
    }

    fn quantity(&self, lots: u128) -> String {
        decimal(lots * u128::from(self.listing.lot), self.listing.lot_decimals)
    }

    fn json(&self) -> Value {
        let last = self.engine.last();
        let level = |level: LevelSummary| {
            json!({
                "price": self.price(level.price),
                "quantity": self.quantity(level.quantity),
                "shown": self.quantity(level.shown),
                "orders": level.order_count,
            })
        };
        let side = |side| self.levels(side).into_iter().map(level).collect::<Vec<_>>();
        json!({
            "instrument": self.listing.instrument.0,
            "name": self.listing.name.as_str(),
            "sequence": last.sequence.0,
            "time": last.time.0,
            "time_utc": TimeText(last.time).to_string(),
            "phase": self.phase(),
            "reference": self.engine.reference(self.listing.instrument).map(|price| self.price(price)),
            "bids": side(Side::Buy),
            "offers": side(Side::Sell),
        })
    }

    fn phase(&self) -> Option<&'static str> {
        use engine::canonical::Code;
        self.engine.phase(self.listing.instrument).map(Code::name)
    }

    fn print(&self, out: &mut impl Write) -> Result<(), ToolError> {
        let last = self.engine.last();
        let (name, phase) = (self.listing.name.as_str(), self.phase().unwrap_or("-"));
        writeln!(out, "{name}  {phase}  behind command {}, {}", last.sequence, TimeText(last.time))?;
        let (bids, offers) = (self.levels(Side::Buy), self.levels(Side::Sell));
        let rows: Vec<[String; 4]> = std::iter::once(["price", "quantity", "shown", "orders"].map(str::to_owned))
            .chain(offers.iter().rev().map(|level| self.row(level)))
            .chain([["──", "", "", ""].map(str::to_owned)])
            .chain(bids.iter().map(|level| self.row(level)))
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3)];
        for row in &rows {
            let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }

    fn row(&self, level: &LevelSummary) -> [String; 4] {
        [
            self.price(level.price),
            self.quantity(level.quantity),
            self.quantity(level.shown),
            level.order_count.to_string(),
        ]
    }
}
