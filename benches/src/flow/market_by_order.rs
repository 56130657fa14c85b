//! One symbol's market-by-order rows, and the ten-level market-by-price rows that they imply.
//!
//! `mbo.csv`: `A` adds, `C` reduces or removes, `M` moves, `R` clears; `T` describes a trade and `F` names the resting
//! order of it, and the `C` that follows takes the quantity away. A fill of the order at the front becomes an incoming
//! order, and its `C` has then happened already.
//!
//! The rows have to come out of the engine's book, and of the book of a subscriber that is sent packets of the best ten
//! levels.
//!
//! `mbp.csv` has a row for every `T` and `R`, and for whatever else touches its levels; a trade's row shows the book
//! after the trade's `C`. Rows are paired by the columns that both files have and that name an occurrence.

use std::collections::{HashMap, VecDeque};

use engine::instrument::Phase;
use engine::order::Side;
use engine::{Engine, Event, EventHeader, InstrumentId, Price, Quantity, Text, Timestamp};
use marketdata::{Feed, Subscription, channel_of};
use wire::FeedLevel;

use crate::decimal::Unit;
use crate::failure::Failure;
use crate::flow::order_feed::{Named, OrderFeed};
use crate::flow::row_book::{Reference, RowOrder};
use crate::flow::{CAPACITY, Source, matching_only};
use crate::input::{Row, Table};
use crate::outcome::{Comparison, Outcome};

const INSTRUMENT: InstrumentId = InstrumentId(1);
/// Finer than any tick in the recordings, which mix cents and ten-thousandths.
const TICK: Unit = Unit::smallest(4);

/// Runs the recording in the folder `source.path`.
pub fn run(source: Source<'_>) -> Result<Outcome, Failure> {
    let orders = Table::with_header(&source.path.join("mbo.csv"))?;
    let levels = Table::with_header(&source.path.join("mbp.csv"))?;
    let columns = Columns::of(&orders)?;
    let mut replay = Replay {
        feed: OrderFeed::new(source, CAPACITY)?,
        expected: ExpectedRows::of(&levels)?,
        rows: Comparison::new("rows"),
        feed_rows: Comparison::new("feed_rows"),
        subscriber: Subscriber::default(),
        filled: HashMap::new(),
        pending_trades: VecDeque::new(),
    };
    replay.feed.driver().expect_steps(orders.rows().len());
    replay.feed.driver().watch();
    let mut listed = false;
    for row in orders.rows() {
        let row = columns.read(row)?;
        if !listed {
            replay.feed.list(row.at, matching_only(INSTRUMENT, row.name, TICK, Phase::Continuous))?;
            listed = true;
        }
        replay.row(&row)?;
        replay.feed.driver().step_done();
    }
    replay.settle_trades()?;
    replay.expected.finish(&mut replay.rows);
    replay.feed.finish("mbo", vec![replay.rows, replay.feed_rows])
}

/// What names an occurrence in both files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Occurrence {
    time: Timestamp,
    sequence: u64,
    action: String,
    price: Option<u64>,
    size: u64,
    /// Only where both files have it.
    order: Option<u64>,
}

struct OrderRow<'a> {
    row: Row<'a>,
    at: Timestamp,
    name: Text<16>,
    side: Option<Side>,
    occurrence: Occurrence,
    reference: Reference,
}

struct Columns {
    time: usize,
    sequence: usize,
    action: usize,
    side: usize,
    price: usize,
    size: usize,
    order: usize,
    symbol: usize,
}

impl Columns {
    fn of(table: &Table) -> Result<Self, Failure> {
        Ok(Self {
            time: table.column("ts_event")?,
            sequence: table.column("sequence")?,
            action: table.column("action")?,
            side: table.column("side")?,
            price: table.column("price")?,
            size: table.column("size")?,
            order: table.column("order_id")?,
            symbol: table.column("symbol")?,
        })
    }

    fn read<'a>(&self, row: Row<'a>) -> Result<OrderRow<'a>, Failure> {
        let order = row.number(self.order)?;
        Ok(OrderRow {
            row,
            at: row.time(self.time)?,
            name: Text::new(row.text(self.symbol)?).ok_or_else(|| row.malformed("the symbol is not a name"))?,
            side: match row.text(self.side)? {
                "B" => Some(Side::Buy),
                "A" => Some(Side::Sell),
                "N" => None,
                other => return Err(row.malformed(format!("{other:?} is not a side"))),
            },
            occurrence: Occurrence {
                time: row.time(self.time)?,
                sequence: row.number(self.sequence)?,
                action: row.text(self.action)?.to_owned(),
                price: row.count(self.price, TICK)?,
                size: row.number(self.size)?,
                order: Some(order),
            },
            reference: Reference(order),
        })
    }
}

impl OrderRow<'_> {
    fn order(&self) -> Result<RowOrder, Failure> {
        let side = self.side.ok_or_else(|| self.row.malformed("the side is missing"))?;
        let price = self.occurrence.price.ok_or_else(|| self.row.malformed("the price is missing"))?;
        let leaves = Quantity(self.occurrence.size);
        Ok(RowOrder { instrument: INSTRUMENT, side, price: Price(price), leaves })
    }
}

struct Replay<'a> {
    feed: OrderFeed,
    expected: ExpectedRows<'a>,
    rows: Comparison,
    /// The same rows, out of a subscriber's book.
    feed_rows: Comparison,
    subscriber: Subscriber,
    /// What fills took from orders, until the rows that take it away have come.
    filled: HashMap<Reference, u64>,
    /// Trades whose fills are not taken away yet.
    pending_trades: VecDeque<Occurrence>,
}

impl Replay<'_> {
    fn row(&mut self, row: &OrderRow<'_>) -> Result<(), Failure> {
        let action = row.occurrence.action.as_str();
        let belongs_to_trade = action == "F" || self.filled.contains_key(&row.reference);
        if !belongs_to_trade {
            self.settle_trades()?;
        }
        match action {
            "A" => self.feed.add(row.at, row.reference, row.order()?)?,
            "C" => self.reduce(row)?,
            "M" => self.modify(row)?,
            "R" => self.feed.clear(row.at, INSTRUMENT)?,
            "F" => self.fill(row)?,
            "T" => {
                self.pending_trades.push_back(row.occurrence.clone());
                return Ok(());
            }
            other => return Err(row.row.malformed(format!("{other:?} is not an action"))),
        }
        self.compare(&row.occurrence)
    }

    /// Compares both books with the row of this occurrence, if there is one.
    fn compare(&mut self, occurrence: &Occurrence) -> Result<(), Failure> {
        let driver = self.feed.driver();
        self.subscriber.follow(&driver.take_watched())?;
        let Some(row) = self.expected.next(occurrence) else { return Ok(()) };
        let expected = self.expected.columns.levels_of(&row)?;
        let what = || row.malformed("levels").to_string();
        self.rows.expect(what, &expected, &self.expected.columns.engine_levels(driver.engine()));
        self.feed_rows.expect(what, &expected, &self.expected.columns.subscribers_levels(&self.subscriber));
        Ok(())
    }

    /// Rows of trades show the book after the trade.
    fn settle_trades(&mut self) -> Result<(), Failure> {
        while let Some(occurrence) = self.pending_trades.pop_front() {
            self.compare(&occurrence)?;
        }
        Ok(())
    }

    fn fill(&mut self, row: &OrderRow<'_>) -> Result<(), Failure> {
        let size = row.occurrence.size;
        if self.feed.execute(row.at, row.reference, Some(Quantity(size)))? == Named::Open {
            *self.filled.entry(row.reference).or_default() += size;
        }
        Ok(())
    }

    /// Takes away what no fill has taken already.
    fn reduce(&mut self, row: &OrderRow<'_>) -> Result<(), Failure> {
        let filled = self.filled.remove(&row.reference).unwrap_or(0);
        let rest = row.occurrence.size.saturating_sub(filled);
        if filled > row.occurrence.size {
            self.filled.insert(row.reference, filled - row.occurrence.size);
        }
        if rest > 0 {
            self.feed.reduce(row.at, row.reference, Quantity(rest))?;
        }
        Ok(())
    }

    fn modify(&mut self, row: &OrderRow<'_>) -> Result<(), Failure> {
        let order = row.order()?;
        if self.feed.rows().get(row.reference).is_none() {
            return self.feed.add(row.at, row.reference, order);
        }
        self.feed.modify(row.at, row.reference, order.price, order.leaves).map(drop)
    }
}

/// A level as both sides of the comparison have it: price in ticks, quantity, orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Level {
    price: Option<u64>,
    quantity: u64,
    count: u64,
}

struct LevelColumns {
    side: Side,
    depth: usize,
    price: usize,
    quantity: usize,
    count: usize,
}

/// The market-by-price rows that have not come up yet.
struct ExpectedRows<'a> {
    rows: HashMap<Occurrence, VecDeque<Row<'a>>>,
    columns: ExpectedColumns,
}

impl<'a> ExpectedRows<'a> {
    fn of(table: &'a Table) -> Result<Self, Failure> {
        let columns = ExpectedColumns::of(table)?;
        let mut rows = HashMap::<_, VecDeque<_>>::new();
        for row in table.rows() {
            rows.entry(columns.occurrence(&row)?).or_default().push_back(row);
        }
        Ok(Self { rows, columns })
    }

    /// The row of this occurrence, if there is one.
    fn next(&mut self, occurrence: &Occurrence) -> Option<Row<'a>> {
        let occurrence = Occurrence { order: self.columns.order.and(occurrence.order), ..occurrence.clone() };
        self.rows.get_mut(&occurrence).and_then(VecDeque::pop_front)
    }

    /// Rows that are left are expected, and did not come up.
    fn finish(self, comparison: &mut Comparison) {
        let mut left: Vec<String> =
            self.rows.into_values().flatten().map(|row| row.malformed("never came up").to_string()).collect();
        left.sort_unstable();
        for row in left {
            comparison.expect(|| row, &true, &false);
        }
    }
}

struct ExpectedColumns {
    time: usize,
    sequence: usize,
    action: usize,
    price: usize,
    size: usize,
    order: Option<usize>,
    levels: Vec<LevelColumns>,
}

impl ExpectedColumns {
    fn of(table: &Table) -> Result<Self, Failure> {
        Ok(Self {
            time: table.column("ts_event")?,
            sequence: table.column("sequence")?,
            action: table.column("action")?,
            price: table.column("price")?,
            size: table.column("size")?,
            order: table.optional_column("order_id"),
            levels: level_columns(table)?,
        })
    }

    fn occurrence(&self, row: &Row<'_>) -> Result<Occurrence, Failure> {
        Ok(Occurrence {
            time: row.time(self.time)?,
            sequence: row.number(self.sequence)?,
            action: row.text(self.action)?.to_owned(),
            price: row.count(self.price, TICK)?,
            size: row.number(self.size)?,
            order: self.order.map(|column| row.number(column)).transpose()?,
        })
    }

    fn levels_of(&self, row: &Row<'_>) -> Result<Vec<Level>, Failure> {
        self.levels
            .iter()
            .map(|columns| {
                Ok(Level {
                    price: row.count(columns.price, TICK)?,
                    quantity: row.number(columns.quantity)?,
                    count: row.number(columns.count)?,
                })
            })
            .collect()
    }

    fn subscribers_levels(&self, subscriber: &Subscriber) -> Vec<Level> {
        let book = subscriber.subscription.book(INSTRUMENT.into()).cloned().unwrap_or_default();
        let sides = Side::BOTH.map(|side| book.levels(side.into()).collect::<Vec<_>>());
        self.levels
            .iter()
            .map(|columns| {
                let [buys, sells] = &sides;
                let levels = if columns.side == Side::Buy { buys } else { sells };
                levels.get(columns.depth).map_or_else(Level::default, |level| Level {
                    price: u64::try_from(level.price.0).ok(),
                    quantity: u64::try_from(level.quantity.0).unwrap_or(u64::MAX),
                    count: level.order_count.0.into(),
                })
            })
            .collect()
    }

    fn engine_levels(&self, engine: &Engine) -> Vec<Level> {
        let depth = self.levels.len() / Side::BOTH.len();
        let sides = Side::BOTH.map(|side| engine.levels(INSTRUMENT, side).take(depth).collect::<Vec<_>>());
        self.levels
            .iter()
            .map(|columns| {
                let [buys, sells] = &sides;
                let levels = if columns.side == Side::Buy { buys } else { sells };
                levels.get(columns.depth).map_or_else(Level::default, |level| Level {
                    price: Some(level.price.0),
                    quantity: u64::try_from(level.quantity).unwrap_or(u64::MAX),
                    count: level.order_count.into(),
                })
            })
            .collect()
    }
}

/// A feed, and who is sent the packets of the best ten levels.
#[derive(Default)]
struct Subscriber {
    feed: Feed,
    subscription: Subscription,
    /// Whether it has joined.
    is_there: bool,
}

impl Subscriber {
    fn follow(&mut self, events: &[(EventHeader, Event)]) -> Result<(), Failure> {
        for (header, event) in events {
            self.feed.event(header, event);
        }
        self.feed.end_of_command();
        for packet in self.feed.packets(Timestamp::NONE.into()) {
            self.subscription.packet(packet.bytes).map_err(|error| Failure::Missing(error.to_string()))?;
        }
        if !self.is_there
            && let Some(channel_id) = channel_of(INSTRUMENT, LEVEL)
            && self.feed.hear(channel_id)
            && let Some(snapshot) = self.feed.snapshot(INSTRUMENT, LEVEL, None)
        {
            let taken = self.subscription.snapshot(&snapshot.bytes());
            taken.map_err(|error| Failure::Missing(error.to_string()))?;
            self.is_there = true;
        }
        while self.subscription.next_update().is_some() {}
        Ok(())
    }
}

/// What the subscriber is sent.
const LEVEL: FeedLevel = FeedLevel::MarketByPrice10;

/// `bid_px_00`, `bid_sz_00`, `bid_ct_00`, `ask_px_00` and so on, as many levels as there are.
fn level_columns(table: &Table) -> Result<Vec<LevelColumns>, Failure> {
    let depth = (0..100).take_while(|depth| table.optional_column(&format!("bid_px_{depth:02}")).is_some()).count();
    let mut columns = Vec::new();
    for depth in 0..depth {
        for (side, name) in [(Side::Buy, "bid"), (Side::Sell, "ask")] {
            let column = |what: &str| table.column(&format!("{name}_{what}_{depth:02}"));
            let (price, quantity, count) = (column("px")?, column("sz")?, column("ct")?);
            columns.push(LevelColumns { side, depth, price, quantity, count });
        }
    }
    Ok(columns)
}
