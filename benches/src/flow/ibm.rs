//! One symbol's visible orders from an empty book, in TradingPhysics' layout.
//!
//! Columns `Time,Ticker,Order,T,Shares,Price,MPID,X`: milliseconds since midnight; prices in ten-thousandths. `B` and
//! `S` add, `E` executes a part, `F` the rest, `C` takes a part away, `D` the rest; `T` is a trade with a hidden order
//! and `X` a cross, neither of which changes the visible book.

use engine::order::Side;
use engine::{InstrumentId, Nanoseconds, Price, Quantity, Text, Timestamp};

use crate::decimal::Unit;
use crate::failure::Failure;
use crate::flow::order_feed::OrderFeed;
use crate::flow::row_book::{Reference, RowOrder};
use crate::flow::{CAPACITY, Source, matching_only};
use crate::input::{Row, Table, find_file};
use crate::outcome::Outcome;

const INSTRUMENT: InstrumentId = InstrumentId(1);
const TICK: Unit = Unit::smallest(4);
const MILLISECOND: u64 = 1_000_000;

/// Runs the recording in the folder `source.path`.
pub fn run(source: Source<'_>) -> Result<Outcome, Failure> {
    let table = Table::with_header(&find_file(source.path, ".csv")?)?;
    let columns = Columns::of(&table)?;
    let mut feed = OrderFeed::new(source, CAPACITY)?;
    let listing = matching_only(INSTRUMENT, Text::EMPTY, TICK, engine::instrument::Phase::Continuous);
    let mut listed = false;
    feed.driver().expect_steps(table.rows().len());
    for row in table.rows() {
        if !listed {
            let name = Text::new(row.text(columns.ticker)?).ok_or_else(|| row.malformed("the ticker is not a name"))?;
            feed.list(columns.time(&row)?, engine::command::ListInstrument { name, ..listing })?;
            listed = true;
        }
        apply(&mut feed, &columns, &row)?;
        feed.driver().step_done();
    }
    feed.finish("ibm", Vec::new())
}

struct Columns {
    time: usize,
    ticker: usize,
    order: usize,
    kind: usize,
    shares: usize,
    price: usize,
}

impl Columns {
    fn of(table: &Table) -> Result<Self, Failure> {
        Ok(Self {
            time: table.column("Time")?,
            ticker: table.column("Ticker")?,
            order: table.column("Order")?,
            kind: table.column("T")?,
            shares: table.column("Shares")?,
            price: table.column("Price")?,
        })
    }

    fn time(&self, row: &Row<'_>) -> Result<Timestamp, Failure> {
        Ok(Timestamp::NONE.after(Nanoseconds(row.number(self.time)?.saturating_mul(MILLISECOND))))
    }
}

fn apply(feed: &mut OrderFeed, columns: &Columns, row: &Row<'_>) -> Result<(), Failure> {
    let at = columns.time(row)?;
    let reference = Reference(row.number(columns.order)?);
    let shares = Quantity(row.number(columns.shares)?);
    match row.text(columns.kind)? {
        "B" => add(feed, columns, row, Side::Buy)?,
        "S" => add(feed, columns, row, Side::Sell)?,
        "E" => {
            feed.execute(at, reference, Some(shares))?;
        }
        "F" => {
            feed.execute(at, reference, None)?;
        }
        "C" => {
            feed.reduce(at, reference, shares)?;
        }
        "D" => {
            feed.remove(at, reference)?;
        }
        "T" | "X" => {}
        other => return Err(row.malformed(format!("{other:?} is not a kind of row"))),
    }
    Ok(())
}

fn add(feed: &mut OrderFeed, columns: &Columns, row: &Row<'_>, side: Side) -> Result<(), Failure> {
    let order = RowOrder {
        instrument: INSTRUMENT,
        side,
        price: Price(row.positive(columns.price, Unit::ONE)?),
        leaves: Quantity(row.positive(columns.shares, Unit::ONE)?),
    };
    feed.add(columns.time(row)?, Reference(row.number(columns.order)?), order)
}
