//! Coinbase's full channel between two level-3 snapshots.
//!
//! What goes in: the opening book in its order, every `received` (a new order), every `done` that was canceled (a
//! cancel), every `change` (an amend). What must come out: every `match`, and the closing book with its queues. Three
//! things the channel does not say outright:
//!
//! * an `open` without a `received` was received before the recording: it rests directly;
//! * a market order that gives only its funds is sized by its own matches, since the venue's fees are not known;
//! * a limit order that neither opens nor matches was refused a place in the book (post-only and the like): it is sent
//!   as ImmediateOrCancel, and its `done` is not.
//!
//! The day goes straight into an engine ([`run`]), or through the doors of a venue that is served
//! ([`via_gateway`]).

mod recording;
pub mod requests;
pub mod via_gateway;

use std::collections::HashMap;
use std::path::Path;

use engine::{ClientOrderId, CommandBody, Event, OrderId, Quantity, Timestamp};

use self::requests::{Recorded, Request, Step, Traded, amend, faults, set_up};
use crate::decimal::Unit;
use crate::driver::{Digests, Driver};
use crate::failure::Failure;
use crate::flow::{CAPACITY, Source};
use crate::outcome::Outcome;

/// The price step.
pub const TICK: Unit = Unit::smallest(2);
/// The quantity step.
pub const LOT: Unit = Unit::smallest(8);

/// Runs the recording in the folder `source.path`.
pub fn run(source: Source<'_>) -> Result<Outcome, Failure> {
    let mut recorded = Recorded::read(source.path)?;
    let mut direct = Direct::run(recorded.start(), recorded.steps(), source.journal)?;
    let digests = direct.driver.finish()?;
    let engine = direct.driver.engine();
    let matches = recorded.compare_matches(direct.trades);
    let books = recorded.compare_closing(engine);
    let refused =
        (direct.set_up_refused > 0).then(|| format!("{} set-up commands were refused", direct.set_up_refused));
    Ok(Outcome {
        flow: "coinbase",
        commands: engine.last().sequence.0,
        comparisons: vec![matches, books.resting, books.fifo_levels],
        figures: Vec::new(),
        faults: refused.into_iter().chain(faults(engine)).collect(),
        digests,
    })
}

/// What a day comes to that nothing interrupts: its trades and its digests.
pub fn uninterrupted(start: Timestamp, steps: &[Step]) -> Result<(Vec<Traded>, Digests), Failure> {
    let mut direct = Direct::run(start, steps, None)?;
    let digests = direct.driver.finish()?;
    Ok((direct.trades, digests))
}

/// A day straight into an engine.
struct Direct {
    driver: Driver,
    order_ids: HashMap<ClientOrderId, OrderId>,
    trades: Vec<Traded>,
    set_up_refused: u64,
}

impl Direct {
    fn run(start: Timestamp, steps: &[Step], journal: Option<&Path>) -> Result<Self, Failure> {
        let mut direct = Self {
            driver: Driver::new(CAPACITY, journal)?,
            order_ids: HashMap::new(),
            trades: Vec::new(),
            set_up_refused: 0,
        };
        direct.driver.expect_steps(steps.len());
        for body in set_up() {
            direct.administer(start, body)?;
        }
        for step in steps {
            direct.step(step)?;
            direct.driver.step_done();
        }
        Ok(direct)
    }

    fn administer(&mut self, at: Timestamp, body: CommandBody) -> Result<(), Failure> {
        let events = self.driver.submit(at, body)?;
        self.set_up_refused +=
            events.iter().filter(|(_, event)| matches!(event, Event::CommandRejected(_))).count() as u64;
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step.request {
            Request::New(order) => self.submit(step.at, order),
            Request::Cancel(cancel) => self.submit(step.at, cancel),
            Request::LeaveOpen { account, client_order_id, leaves } => {
                let quantity = self.filled(client_order_id) + leaves;
                self.submit(step.at, amend(account, client_order_id, quantity))
            }
        }
    }

    fn filled(&self, client_order_id: ClientOrderId) -> Quantity {
        let order_id = self.order_ids.get(&client_order_id).copied().unwrap_or(OrderId::NONE);
        self.driver.engine().order(order_id).map_or(Quantity::ZERO, |order| order.cumulative)
    }

    fn submit(&mut self, at: Timestamp, body: impl Into<CommandBody>) -> Result<(), Failure> {
        for (_, event) in self.driver.submit(at, body)? {
            match event {
                Event::OrderAccepted(accepted) => {
                    self.order_ids.insert(accepted.order.client_order_id, accepted.order.order_id);
                }
                Event::Trade(trade) => self.trades.push(Traded {
                    maker: trade.maker.client_order_id,
                    taker: trade.taker.client_order_id,
                    price: trade.price,
                    quantity: trade.quantity,
                }),
                _ => {}
            }
        }
        Ok(())
    }
}
