//! Bitstamp's order events of one day: created, changed, deleted.
//!
//! The events do not say which order took from which, so this is load and lifecycle only: bids and asks are kept in
//! instruments of their own, where nothing can match; every event becomes a command, and the closing books must be what
//! the events leave.
//!
//! Columns: `id,timestamp,exchange.timestamp,price,volume,action,direction`; milliseconds since the epoch, volumes in
//! 10^-8.

use engine::instrument::Phase;
use engine::order::Side;
use engine::{InstrumentId, Nanoseconds, Price, Quantity, Text, Timestamp};

use crate::decimal::Unit;
use crate::failure::Failure;
use crate::flow::order_feed::OrderFeed;
use crate::flow::row_book::{Reference, RowOrder};
use crate::flow::{CAPACITY, Source, matching_only};
use crate::input::{Row, Table, find_file};
use crate::outcome::Outcome;

const BIDS: InstrumentId = InstrumentId(1);
const ASKS: InstrumentId = InstrumentId(2);
const TICK: Unit = Unit::smallest(2);
const MILLISECOND: u64 = 1_000_000;

/// Runs the recording in the folder `source.path`.
pub fn run(source: Source<'_>) -> Result<Outcome, Failure> {
    let table = Table::with_header(&find_file(source.path, "orders.csv")?)?;
    let columns = Columns::of(&table)?;
    let mut feed = OrderFeed::new(source, CAPACITY)?;
    feed.driver().expect_steps(table.rows().len());
    let mut listed = false;
    for row in table.rows() {
        let event = columns.read(&row)?;
        if !listed {
            for (instrument, name) in [(BIDS, "BTC-USD bids"), (ASKS, "BTC-USD asks")] {
                let name = Text::new(name).unwrap_or(Text::EMPTY);
                feed.list(event.at, matching_only(instrument, name, TICK, Phase::Continuous))?;
            }
            listed = true;
        }
        match event.action {
            Action::Created => feed.add(event.at, event.reference, event.order)?,
            Action::Changed => {
                feed.modify(event.at, event.reference, event.order.price, event.order.leaves)?;
            }
            Action::Deleted => {
                feed.remove(event.at, event.reference)?;
            }
        }
        feed.driver().step_done();
    }
    feed.finish("bitstamp", Vec::new())
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Created,
    Changed,
    Deleted,
}

#[derive(Debug, Clone, Copy)]
struct OrderEvent {
    at: Timestamp,
    reference: Reference,
    action: Action,
    order: RowOrder,
}

struct Columns {
    order: usize,
    time: usize,
    price: usize,
    volume: usize,
    action: usize,
    direction: usize,
}

impl Columns {
    fn of(table: &Table) -> Result<Self, Failure> {
        Ok(Self {
            order: table.column("id")?,
            time: table.column("timestamp")?,
            price: table.column("price")?,
            volume: table.column("volume")?,
            action: table.column("action")?,
            direction: table.column("direction")?,
        })
    }

    fn read(&self, row: &Row<'_>) -> Result<OrderEvent, Failure> {
        let action = match row.text(self.action)? {
            "created" => Action::Created,
            "changed" => Action::Changed,
            "deleted" => Action::Deleted,
            other => return Err(row.malformed(format!("{other:?} is not an action"))),
        };
        let (instrument, side) = match row.text(self.direction)? {
            "bid" => (BIDS, Side::Buy),
            "ask" => (ASKS, Side::Sell),
            other => return Err(row.malformed(format!("{other:?} is not a direction"))),
        };
        let price = Price(row.positive(self.price, TICK)?);
        let leaves = Quantity(row.number(self.volume)?);
        Ok(OrderEvent {
            at: Timestamp::NONE.after(Nanoseconds(row.number(self.time)?.saturating_mul(MILLISECOND))),
            reference: Reference(row.number(self.order)?),
            action,
            order: RowOrder { instrument, side, price, leaves },
        })
    }
}
