//! A recorded feed of a venue's visible orders: added, reduced, removed, executed.
//!
//! An addition becomes a NewOrder, a reduction a ReplaceOrder to less, a removal a CancelOrder. An execution of the
//! order at the front becomes what caused it: an ImmediateOrCancel order from the other side at that price, and the
//! engine has to choose the same resting order. An execution of any other order cannot come from price and time; it is
//! carried out as a reduction.

use std::collections::HashMap;

use engine::command::{AdminNote, CancelOrder, ListInstrument, MassCancel, NewOrder, ReplaceOrder};
use engine::order::{OnDisconnect, OrderFlags, OrderType, TimeInForce};
use engine::{
    AccountId, Amount, Capacity, ClientOrderId, CommandBody, Event, InstrumentId, OrderId, Price, Quantity,
    RejectReason, SessionId, Timestamp,
};

use crate::driver::Driver;
use crate::failure::Failure;
use crate::flow::book_comparison::{BookComparison, ExpectedOrder};
use crate::flow::row_book::{Reference, RowBook, RowOrder, Standing};
use crate::flow::{Source, plain_account};
use crate::outcome::{Comparison, Outcome};

/// Owns what the feed shows resting.
const RESTING: AccountId = AccountId(2);
/// Owns what trades with it.
const INCOMING: AccountId = AccountId(3);

/// Whether the row named an order that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// It did.
    Open,
    /// It did not: the order is older than the recording, or gone.
    Unknown,
}

/// Drives an engine with a feed, and compares as it goes.
pub struct OrderFeed {
    driver: Driver,
    rows: RowBook,
    traded: HashMap<Reference, Quantity>,
    replies: Comparison,
    executions: Comparison,
    executions_at_best: u64,
    executions_at_front: u64,
    unknown: u64,
}

/// What the engine answered to the one command of a row, as far as a feed can say it.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Added,
    Reduced(Quantity),
    Removed,
    Traded(ClientOrderId, Price, Quantity),
    UnknownOrder,
    Other(String),
}

impl OrderFeed {
    /// A feed into a new engine.
    pub fn new(source: Source<'_>, capacity: Capacity) -> Result<Self, Failure> {
        let mut driver = Driver::new(capacity, source.journal)?;
        for account in [RESTING, INCOMING] {
            driver.submit(Timestamp::NONE, plain_account(account))?;
        }
        Ok(Self {
            driver,
            rows: RowBook::default(),
            traded: HashMap::new(),
            replies: Comparison::new("replies"),
            executions: Comparison::new("executions"),
            executions_at_best: 0,
            executions_at_front: 0,
            unknown: 0,
        })
    }

    /// An instrument of the feed.
    pub fn list(&mut self, at: Timestamp, listing: ListInstrument) -> Result<(), Failure> {
        let listed = matches!(self.driver.submit(at, listing)?, [(_, Event::InstrumentListed(_))]);
        self.replies.expect(|| format!("listing of {:?}", listing.name), &true, &listed);
        Ok(())
    }

    /// An order was added.
    pub fn add(&mut self, at: Timestamp, reference: Reference, order: RowOrder) -> Result<(), Failure> {
        self.rows.add(reference, order);
        let command = NewOrder {
            account: RESTING,
            client_order_id: client(reference),
            ..limit_order(order, TimeInForce::GoodTillCancel)
        };
        self.expect_reply(at, command, reference, Reply::Added)
    }

    /// An order has this much less.
    pub fn reduce(&mut self, at: Timestamp, reference: Reference, by: Quantity) -> Result<Named, Failure> {
        match self.rows.get(reference) {
            None => self.cancel_unknown(at, reference),
            Some(order) if order.leaves <= by => self.remove(at, reference),
            Some(order) => self.reduce_to(at, reference, order.leaves - by),
        }
    }

    /// An order is gone.
    pub fn remove(&mut self, at: Timestamp, reference: Reference) -> Result<Named, Failure> {
        if self.rows.remove(reference).is_none() {
            return self.cancel_unknown(at, reference);
        }
        self.traded.remove(&reference);
        self.expect_reply(at, cancel(reference), reference, Reply::Removed)?;
        Ok(Named::Open)
    }

    /// An order moved to another price or quantity, to the back unless only its quantity shrank.
    pub fn modify(
        &mut self,
        at: Timestamp,
        reference: Reference,
        price: Price,
        leaves: Quantity,
    ) -> Result<Named, Failure> {
        let Some(order) = self.rows.get(reference) else { return self.cancel_unknown(at, reference) };
        if order.price == price && leaves <= order.leaves {
            return self.reduce_to(at, reference, leaves);
        }
        self.rows.add(reference, RowOrder { price, leaves, ..order });
        self.replace(at, reference, price, leaves)?;
        Ok(Named::Open)
    }

    /// An order traded this much; everything that is left of it if no quantity is given.
    pub fn execute(
        &mut self,
        at: Timestamp,
        reference: Reference,
        quantity: Option<Quantity>,
    ) -> Result<Named, Failure> {
        let Some((order, standing)) = self.rows.get(reference).zip(self.rows.standing(reference)) else {
            return self.cancel_unknown(at, reference);
        };
        let quantity = quantity.unwrap_or(order.leaves).min(order.leaves);
        let found = self.engine_standing(reference, order);
        self.executions.expect(|| format!("standing of {}", reference.0), &standing, &found);
        self.executions_at_best += u64::from(found != Standing::Behind);
        self.executions_at_front += u64::from(found == Standing::Front);
        if standing != Standing::Front {
            return self.reduce(at, reference, quantity);
        }
        let incoming = RowOrder { side: order.side.opposite(), leaves: quantity, ..order };
        let command = NewOrder { account: INCOMING, ..limit_order(incoming, TimeInForce::ImmediateOrCancel) };
        self.expect_reply(at, command, reference, Reply::Traded(client(reference), order.price, quantity))?;
        self.row_traded(reference, quantity, order.leaves - quantity);
        Ok(Named::Open)
    }

    /// Every order of one instrument is gone.
    pub fn clear(&mut self, at: Timestamp, instrument: InstrumentId) -> Result<(), Failure> {
        self.rows.clear(instrument);
        let everything = MassCancel {
            account: RESTING,
            instrument,
            side: None,
            entered_by: SessionId::NONE,
            client_order_id: ClientOrderId::NONE,
            note: AdminNote::NONE,
        };
        self.driver.submit(at, everything)?;
        Ok(())
    }

    /// The driver beneath, to look at the engine and to show progress.
    pub fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    /// What the rows say is open.
    pub fn rows(&self) -> &RowBook {
        &self.rows
    }

    /// Rows that named an order which is not open.
    pub fn unknown_count(&self) -> u64 {
        self.unknown
    }

    /// Ends the feed: compares the closing book, and puts `comparisons` before what was compared on the way.
    pub fn finish(mut self, flow: &'static str, mut comparisons: Vec<Comparison>) -> Result<Outcome, Failure> {
        let digests = self.driver.finish()?;
        let engine = self.driver.engine();
        let mut books = BookComparison::new();
        for (instrument, side) in self.rows.sides() {
            let expected: Vec<ExpectedOrder> = self
                .rows
                .queue(instrument, side)
                .into_iter()
                .map(|(reference, order)| ExpectedOrder {
                    client_order_id: client(reference),
                    price: order.price,
                    leaves: order.leaves,
                })
                .collect();
            books.side(engine, instrument, side, &expected);
        }
        comparisons.extend([self.executions, self.replies, books.resting, books.fifo_levels]);
        Ok(Outcome {
            flow,
            commands: engine.last().sequence.0,
            comparisons,
            figures: vec![
                ("executions_at_best", self.executions_at_best),
                ("executions_at_front", self.executions_at_front),
                ("unknown_reductions", self.unknown),
            ],
            faults: engine.audit().err().map(|fault| format!("audit: {fault}")).into_iter().collect(),
            digests,
        })
    }

    fn reduce_to(&mut self, at: Timestamp, reference: Reference, leaves: Quantity) -> Result<Named, Failure> {
        self.rows.reduce_to(reference, leaves);
        self.replace(at, reference, Price::ABSENT, leaves)?;
        Ok(Named::Open)
    }

    /// The new quantity counts what is filled.
    fn replace(&mut self, at: Timestamp, reference: Reference, price: Price, leaves: Quantity) -> Result<(), Failure> {
        let traded = self.traded.get(&reference).copied().unwrap_or(Quantity::ZERO);
        let amend = ReplaceOrder {
            account: RESTING,
            order_id: OrderId::NONE,
            original_client_order_id: client(reference),
            client_order_id: ClientOrderId::NONE,
            order_type: None,
            time_in_force: None,
            price,
            quantity: traded + leaves,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        };
        self.expect_reply(at, amend, reference, Reply::Reduced(leaves))
    }

    fn row_traded(&mut self, reference: Reference, quantity: Quantity, leaves: Quantity) {
        if leaves.is_zero() {
            self.rows.remove(reference);
            self.traded.remove(&reference);
        } else {
            self.rows.reduce_to(reference, leaves);
            *self.traded.entry(reference).or_insert(Quantity::ZERO) += quantity;
        }
    }

    fn cancel_unknown(&mut self, at: Timestamp, reference: Reference) -> Result<Named, Failure> {
        self.unknown += 1;
        self.expect_reply(at, cancel(reference), reference, Reply::UnknownOrder)?;
        Ok(Named::Unknown)
    }

    fn expect_reply(
        &mut self,
        at: Timestamp,
        body: impl Into<CommandBody>,
        reference: Reference,
        expected: Reply,
    ) -> Result<(), Failure> {
        let found = reply(self.driver.submit(at, body)?);
        self.replies.expect(|| format!("order {}", reference.0), &expected, &found);
        Ok(())
    }

    fn engine_standing(&self, reference: Reference, order: RowOrder) -> Standing {
        let engine = self.driver.engine();
        if engine.best_price(order.instrument, order.side) != Some(order.price) {
            return Standing::Behind;
        }
        match engine.orders(order.instrument, order.side).next() {
            Some(first) if first.client_order_id == client(reference) => Standing::Front,
            _ => Standing::Best,
        }
    }
}

fn reply(events: &[(engine::EventHeader, Event)]) -> Reply {
    let mut told = events.iter().map(|(_, event)| event).filter(|event| !is_accompaniment(event));
    let reply = match told.next() {
        Some(Event::OrderAccepted(_)) => Reply::Added,
        Some(Event::OrderReplaced(replaced)) => Reply::Reduced(replaced.order.leaves),
        Some(Event::OrderCancelled(_)) => Reply::Removed,
        Some(Event::CancelRejected(rejected)) if rejected.reason == RejectReason::UnknownOrder => Reply::UnknownOrder,
        other => return Reply::Other(format!("{other:?}")),
    };
    match (reply, told.next(), told.next()) {
        (reply, None, _) => reply,
        (Reply::Added, Some(Event::Trade(trade)), None) => {
            Reply::Traded(trade.maker.client_order_id, trade.price, trade.quantity)
        }
        (_, second, _) => Reply::Other(format!("{second:?}")),
    }
}

/// Events that are not about the order of a row.
fn is_accompaniment(event: &Event) -> bool {
    matches!(event, Event::IndicativeChanged(_))
}

fn client(reference: Reference) -> ClientOrderId {
    ClientOrderId(reference.0)
}

/// A limit order without account and name.
pub fn limit_order(order: RowOrder, time_in_force: TimeInForce) -> NewOrder {
    NewOrder {
        account: AccountId::NONE,
        instrument: order.instrument,
        client_order_id: ClientOrderId::NONE,
        side: order.side,
        order_type: OrderType::Limit,
        time_in_force,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price: order.price,
        quantity: order.leaves,
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

fn cancel(reference: Reference) -> CancelOrder {
    CancelOrder {
        account: RESTING,
        order_id: OrderId::NONE,
        original_client_order_id: client(reference),
        client_order_id: ClientOrderId::NONE,
    }
}
