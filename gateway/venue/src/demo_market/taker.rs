//! The taker: market orders of random size, now and then, in every instrument of the demo.
//!
//! The more it has bought, the likelier it sells, so that what it holds stays bounded.

use std::time::Duration;

use fastrand::Rng;
use wire::order_entry::{ExecutionReport, NewOrderSingle, OrderEntryMessage, SecurityDefinition};
use wire::{
    AccountId, Block, ClientOrderId, ExecType, OnDisconnect, OrderType, Quantity, SecurityId, Side, TimeInForce,
};

use super::{Action, Strategy};
use crate::decimal::scaled;

/// Between two orders, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 150..850;
/// One order of so many is large, and takes several levels.
const LARGE_ONE_IN: u32 = 12;
/// How much larger.
const LARGE: i64 = 12;

struct Plan {
    symbol: &'static str,
    /// Decimals of quantities.
    decimals: u8,
    /// The largest usual quantity, in units of the last decimal.
    largest: i64,
    /// What may be bought or sold on balance from a session's beginning, in whole units.
    limit: i64,
}

const PLANS: [Plan; 3] = [
    Plan { symbol: "BTC-USD", decimals: 3, largest: 60, limit: 10 },
    Plan { symbol: "ETH-USD", decimals: 2, largest: 120, limit: 200 },
    Plan { symbol: "ETH-BTC", decimals: 2, largest: 120, limit: 200 },
];

/// The taker.
#[derive(Debug)]
pub(super) struct Taker {
    rng: Rng,
    account: AccountId,
    next_name: u64,
    positions: Vec<Position>,
}

#[derive(Debug)]
struct Position {
    instrument: SecurityId,
    /// Mantissas, as all that follow.
    step: i64,
    /// In steps.
    largest: i64,
    limit: i64,
    /// Bought less sold.
    inventory: i64,
}

impl Position {
    fn new(plan: &Plan, definition: &SecurityDefinition) -> Option<Self> {
        let mantissa = |count, decimals| scaled(count, decimals, definition.quantity_exponent);
        let (instrument, largest) = (definition.security_id, plan.largest);
        Some(Self {
            instrument,
            step: mantissa(1, plan.decimals)?,
            largest,
            limit: mantissa(plan.limit, 0)?,
            inventory: 0,
        })
    }

    /// At the limit it is certain.
    fn side(&self, rng: &mut Rng) -> Side {
        let sell_percent = 50 + i128::from(self.inventory) * 50 / i128::from(self.limit.max(1));
        if i128::from(rng.u8(0..100)) < sell_percent { Side::Sell } else { Side::Buy }
    }

    fn quantity(&self, rng: &mut Rng) -> i64 {
        let times = if rng.u32(0..LARGE_ONE_IN) == 0 { LARGE } else { 1 };
        rng.i64(1..=self.largest) * times * self.step
    }

    fn hear(&mut self, report: &ExecutionReport) {
        if let (ExecType::Trade, Some(traded), Some(side)) = (report.exec_type, report.last_quantity, report.side) {
            self.inventory += if side == Side::Buy { traded.0 } else { -traded.0 };
        }
    }
}

impl Taker {
    /// Before its first session.
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, account: AccountId(0), next_name: 1, positions: Vec::new() }
    }

    fn order(&mut self) -> Option<NewOrderSingle> {
        let position = self.positions.get(self.rng.usize(0..self.positions.len().max(1)))?;
        let name = ClientOrderId(self.next_name);
        self.next_name += 1;
        Some(NewOrderSingle {
            account: self.account,
            security_id: position.instrument,
            client_order_id: Some(name),
            side: position.side(&mut self.rng),
            order_quantity: Some(Quantity(position.quantity(&mut self.rng))),
            order_type: OrderType::Market,
            time_in_force: TimeInForce::ImmediateOrCancel,
            on_disconnect: OnDisconnect::AsSession,
            ..NewOrderSingle::BLANK
        })
    }
}

impl Strategy for Taker {
    fn begin(&mut self, account: AccountId, definitions: &[SecurityDefinition], name: u64) {
        self.account = account;
        self.next_name = name;
        let position = |plan: &Plan| {
            let definition = definitions.iter().find(|definition| definition.symbol.as_str() == Some(plan.symbol))?;
            Position::new(plan, definition)
        };
        self.positions = PLANS.iter().filter_map(position).collect();
    }

    fn turn(&mut self) -> Vec<Action> {
        self.order().map(Action::Enter).into_iter().collect()
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(PAUSE_MS))
    }

    fn hear(&mut self, message: &OrderEntryMessage) {
        if let OrderEntryMessage::ExecutionReport(report) = message {
            let position = self.positions.iter_mut().find(|position| position.instrument == report.security_id);
            position.into_iter().for_each(|position| position.hear(report));
        }
    }
}
