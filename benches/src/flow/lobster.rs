//! LOBSTER messages and the levels after each of them.
//!
//! The files show the best levels only, not the orders in them from before the first message. So each message is an
//! experiment of its own: the levels before it are rested, one order each; the message becomes a command; and the
//! engine's levels must be those after it. The last level is cut by the capture, because what moves up from behind it
//! was not visible, and is not compared.
//!
//! Message columns: seconds after midnight, type, order, size, price in ten-thousandths, direction. Types: 1 adds, 2
//! takes a part away, 3 the rest, 4 executes; 5 executes a hidden order, 6 is a cross, 7 a halt, none of which changes
//! the visible book.

use std::collections::BTreeMap;

use engine::command::{AdminNote, CancelOrder, MassCancel, NewOrder, ReplaceOrder};
use engine::instrument::Phase;
use engine::order::{Side, TimeInForce};
use engine::{
    AccountId, ClientOrderId, Event, InstrumentId, Nanoseconds, OrderId, Price, Quantity, SessionId, Text, Timestamp,
};

use crate::decimal::Unit;
use crate::driver::Driver;
use crate::failure::Failure;
use crate::flow::order_feed::limit_order;
use crate::flow::row_book::RowOrder;
use crate::flow::{CAPACITY, Source, matching_only, plain_account};
use crate::input::{Row, Table, find_file};
use crate::outcome::{Comparison, Outcome};

const INSTRUMENT: InstrumentId = InstrumentId(1);
const RESTING: AccountId = AccountId(2);
const INCOMING: AccountId = AccountId(3);
const TICK: Unit = Unit::smallest(4);
/// What stands, with either sign, in the price column of a level that is not there.
const NO_LEVEL: &str = "9999999999";
/// Ask price, ask size, bid price, bid size.
const COLUMNS_PER_LEVEL: usize = 4;

/// Runs the recording in the folder `source.path`.
pub fn run(source: Source<'_>) -> Result<Outcome, Failure> {
    let messages = Table::without_header(&find_file(source.path, "_message_")?)?;
    let books = Table::without_header(&find_file(source.path, "_orderbook_")?)?;
    let mut experiment = Experiment::new(source)?;
    experiment.driver.expect_steps(messages.rows().len());
    let mut before: Option<Levels> = None;
    for (message, book) in messages.rows().zip(books.rows()) {
        let after = Levels::read(&book)?;
        if let Some(before) = &before {
            experiment.run(before, &Message::read(&message)?, &after)?;
        }
        experiment.driver.step_done();
        before = Some(after);
    }
    experiment.finish()
}

/// The visible quantity at each price, by side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Levels {
    depth: usize,
    buys: BTreeMap<Price, Quantity>,
    sells: BTreeMap<Price, Quantity>,
}

impl Levels {
    fn read(row: &Row<'_>) -> Result<Self, Failure> {
        let depth = row.width() / COLUMNS_PER_LEVEL;
        let mut levels = Self { depth, buys: BTreeMap::new(), sells: BTreeMap::new() };
        for first in (0..depth).map(|level| level * COLUMNS_PER_LEVEL) {
            read_level(row, first, &mut levels.sells)?;
            read_level(row, first + 2, &mut levels.buys)?;
        }
        Ok(levels)
    }

    fn side(&self, side: Side) -> &BTreeMap<Price, Quantity> {
        match side {
            Side::Buy => &self.buys,
            Side::Sell => &self.sells,
        }
    }

    /// The levels that the capture does not cut, best first.
    fn uncut(&self, side: Side) -> Vec<(Price, u128)> {
        let levels = self.side(side).iter().map(|(&price, quantity)| (price, u128::from(quantity.0)));
        let count = self.depth.saturating_sub(1);
        match side {
            Side::Buy => levels.rev().take(count).collect(),
            Side::Sell => levels.take(count).collect(),
        }
    }
}

fn read_level(row: &Row<'_>, column: usize, levels: &mut BTreeMap<Price, Quantity>) -> Result<(), Failure> {
    if row.text(column)?.trim_start_matches('-') == NO_LEVEL {
        return Ok(());
    }
    let price = Price(row.positive(column, Unit::ONE)?);
    levels.insert(price, Quantity(row.positive(column + 1, Unit::ONE)?));
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Add,
    Reduce,
    Execute,
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    at: Timestamp,
    action: Action,
    order: RowOrder,
}

impl Message {
    fn read(row: &Row<'_>) -> Result<Self, Failure> {
        let action = match row.text(1)? {
            "1" => Action::Add,
            "2" | "3" => Action::Reduce,
            "4" => Action::Execute,
            "5" | "6" | "7" => Action::Nothing,
            other => return Err(row.malformed(format!("{other:?} is not a type of message"))),
        };
        let side = match row.text(5)? {
            "1" => Side::Buy,
            "-1" => Side::Sell,
            other => return Err(row.malformed(format!("{other:?} is not a direction"))),
        };
        let price = Price(row.count(4, Unit::ONE)?.unwrap_or_default());
        let leaves = Quantity(row.number(3)?);
        let at = Timestamp::NONE.after(Nanoseconds(row.positive(0, Unit::smallest(9))?));
        Ok(Self { at, action, order: RowOrder { instrument: INSTRUMENT, side, price, leaves } })
    }
}

struct Experiment {
    driver: Driver,
    last_client_order_id: ClientOrderId,
    /// The order that stands for each level.
    level_orders: BTreeMap<(Side, Price), ClientOrderId>,
    rows: Comparison,
    executions: Comparison,
    listed: bool,
}

impl Experiment {
    fn new(source: Source<'_>) -> Result<Self, Failure> {
        let mut driver = Driver::new(CAPACITY, source.journal)?;
        for account in [RESTING, INCOMING] {
            driver.submit(Timestamp::NONE, plain_account(account))?;
        }
        Ok(Self {
            driver,
            last_client_order_id: ClientOrderId::NONE,
            level_orders: BTreeMap::new(),
            rows: Comparison::new("rows"),
            executions: Comparison::new("executions"),
            listed: false,
        })
    }

    fn run(&mut self, before: &Levels, message: &Message, after: &Levels) -> Result<(), Failure> {
        self.rest(message.at, before)?;
        match message.action {
            Action::Add => self.add(message.at, message.order)?,
            Action::Reduce => self.reduce(message.at, before, message.order)?,
            Action::Execute => self.execute(message.at, message.order)?,
            Action::Nothing => {}
        }
        let expected = Side::BOTH.map(|side| after.uncut(side));
        let found = Side::BOTH.map(|side| self.engine_levels(side, after.depth.saturating_sub(1)));
        self.rows.expect(|| format!("after {message:?}"), &expected, &found);
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome, Failure> {
        let digests = self.driver.finish()?;
        let engine = self.driver.engine();
        Ok(Outcome {
            flow: "lobster",
            commands: engine.last().sequence.0,
            comparisons: vec![self.rows, self.executions],
            figures: Vec::new(),
            faults: engine.audit().err().map(|fault| format!("audit: {fault}")).into_iter().collect(),
            digests,
        })
    }

    /// Empties the book and rests the levels.
    fn rest(&mut self, at: Timestamp, levels: &Levels) -> Result<(), Failure> {
        if !self.listed {
            let name = Text::new("LOBSTER").unwrap_or(Text::EMPTY);
            self.driver.submit(at, matching_only(INSTRUMENT, name, TICK, Phase::Continuous))?;
            self.listed = true;
        }
        let everything = MassCancel {
            account: RESTING,
            instrument: INSTRUMENT,
            side: None,
            entered_by: SessionId::NONE,
            client_order_id: ClientOrderId::NONE,
            note: AdminNote::NONE,
        };
        self.driver.submit(at, everything)?;
        self.level_orders.clear();
        for side in Side::BOTH {
            for (&price, &leaves) in levels.side(side) {
                self.add(at, RowOrder { instrument: INSTRUMENT, side, price, leaves })?;
                self.level_orders.insert((side, price), self.last_client_order_id);
            }
        }
        Ok(())
    }

    fn add(&mut self, at: Timestamp, order: RowOrder) -> Result<(), Failure> {
        self.last_client_order_id = self.last_client_order_id.next();
        let client_order_id = self.last_client_order_id;
        let order = limit_order(order, TimeInForce::GoodTillCancel);
        self.driver.submit(at, NewOrder { account: RESTING, client_order_id, ..order })?;
        Ok(())
    }

    fn reduce(&mut self, at: Timestamp, before: &Levels, by: RowOrder) -> Result<(), Failure> {
        let place = (by.side, by.price);
        let (Some(&client_order_id), Some(&leaves)) =
            (self.level_orders.get(&place), before.side(by.side).get(&by.price))
        else {
            return Ok(());
        };
        if leaves <= by.leaves {
            self.driver.submit(at, cancel(client_order_id))?;
        } else {
            self.driver.submit(at, amend(client_order_id, leaves - by.leaves))?;
        }
        Ok(())
    }

    fn execute(&mut self, at: Timestamp, resting: RowOrder) -> Result<(), Failure> {
        let incoming = RowOrder { side: resting.side.opposite(), ..resting };
        let order = limit_order(incoming, TimeInForce::ImmediateOrCancel);
        let maker = self.level_orders.get(&(resting.side, resting.price)).copied().unwrap_or(ClientOrderId::NONE);
        let events = self.driver.submit(at, NewOrder { account: INCOMING, ..order })?;
        let trades: Vec<_> = events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Trade(trade) => Some((trade.maker.client_order_id, trade.price, trade.quantity)),
                _ => None,
            })
            .collect();
        let expected = vec![(maker, resting.price, resting.leaves)];
        self.executions.expect(|| format!("execution of {resting:?}"), &expected, &trades);
        Ok(())
    }

    fn engine_levels(&self, side: Side, count: usize) -> Vec<(Price, u128)> {
        let levels = self.driver.engine().levels(INSTRUMENT, side);
        levels.take(count).map(|level| (level.price, level.quantity)).collect()
    }
}

fn cancel(client_order_id: ClientOrderId) -> CancelOrder {
    CancelOrder {
        account: RESTING,
        order_id: OrderId::NONE,
        original_client_order_id: client_order_id,
        client_order_id: ClientOrderId::NONE,
    }
}

fn amend(client_order_id: ClientOrderId, quantity: Quantity) -> ReplaceOrder {
    ReplaceOrder {
        account: RESTING,
        order_id: OrderId::NONE,
        original_client_order_id: client_order_id,
        client_order_id: ClientOrderId::NONE,
        order_type: None,
        time_in_force: None,
        price: Price::ABSENT,
        quantity,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}
