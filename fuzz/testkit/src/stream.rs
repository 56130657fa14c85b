//! A stream of commands that stays meaningful when some of it is taken away.
//!
//! A command names an order or trade by the step that made it, not by the number that it happened to get: the order
//! accepted in step 7, the second trade of step 12. What was never made resolves to a number that nothing has.

use std::collections::BTreeMap;

use engine::{Command, CommandBody, Event, OrderId, Timestamp, TradeId};

/// A command, and when the core meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The step's name, unique in its stream and above zero.
    pub name: u32,
    /// When.
    pub at: Timestamp,
    /// What. Order ids are the names of steps, trade ids come from [`trade_of`].
    pub command: Command,
}

/// The name of a step's `nth` trade, from 1.
pub fn trade_of(step: u32, nth: u16) -> TradeId {
    TradeId(u64::from(step) << 16 | u64::from(nth))
}

/// What nothing is called: beyond every number that an engine gives within a test.
const UNKNOWN: u64 = 3 << 60;

/// Which orders and trades each step made, in one implementation's numbers.
#[derive(Debug, Clone, Default)]
pub struct References {
    orders: BTreeMap<u32, OrderId>,
    trades: BTreeMap<TradeId, TradeId>,
}

impl References {
    /// The command in this implementation's numbers.
    pub fn resolve(&self, command: &Command) -> Command {
        let order = |name: OrderId| match name {
            OrderId::NONE => OrderId::NONE,
            name => {
                let made = u32::try_from(name.0).ok().and_then(|step| self.orders.get(&step));
                made.copied().unwrap_or(OrderId(UNKNOWN | name.0))
            }
        };
        let mut command = *command;
        match &mut command.body {
            CommandBody::ReplaceOrder(replace) => replace.order_id = order(replace.order_id),
            CommandBody::CancelOrder(cancel) => cancel.order_id = order(cancel.order_id),
            CommandBody::BustTrade(bust) => {
                let made = self.trades.get(&bust.trade_id);
                bust.trade_id = made.copied().unwrap_or(TradeId(UNKNOWN | bust.trade_id.0));
            }
            _ => {}
        }
        command
    }

    /// Learns what a step made.
    pub fn learn(&mut self, step: u32, events: &[Event]) {
        let mut trades = 0;
        for event in events {
            match event {
                Event::OrderAccepted(accepted) => {
                    self.orders.insert(step, accepted.order.order_id);
                }
                Event::Trade(trade) => {
                    trades += 1;
                    self.trades.insert(trade_of(step, trades), trade.trade_id);
                }
                _ => {}
            }
        }
    }
}
