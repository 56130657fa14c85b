//! Rules 3.7 to 3.9: stops wait, are elected by trades, and enter behind the command that traded.

use engine::event::OrderTriggered;
use engine::*;

use super::Model;
use super::orders::{Order, State};

/// Whether a trade at `price` elects a stop: a buy at or above its stop price, a sell at or below.
fn is_elected_by(order: &Order, price: Price) -> bool {
    match order.side {
        Side::Buy => price >= order.stop_price,
        Side::Sell => price <= order.stop_price,
    }
}

impl Model {
    /// 3.8: what one trade elects: buys by ascending, then sells by descending stop price, then by time.
    pub(super) fn elect(&mut self, instrument: InstrumentId, price: Price) {
        let mut elected: Vec<Order> = self
            .orders
            .iter()
            .filter(|order| order.state == State::Waiting && order.instrument == instrument)
            .filter(|order| is_elected_by(order, price))
            .filter(|order| !self.elected.iter().any(|(id, _)| *id == order.id))
            .cloned()
            .collect();
        elected.sort_by_key(|order| match order.side {
            Side::Buy => (0, order.stop_price.0, order.place),
            Side::Sell => (1, u64::MAX - order.stop_price.0, order.place),
        });
        self.elected.extend(elected.iter().map(|order| (order.id, price)));
    }

    /// 3.8: first elected, first in; what their trades elect goes behind.
    pub(super) fn enter_elected(&mut self) {
        while !self.elected.is_empty() {
            let (id, elected_by) = self.elected.remove(0);
            let place = self.next_place();
            let order = self.order(id).clone();
            let bound = match order.order_type {
                OrderType::Stop => self.within_account(order.account, order.instrument, order.side, order.bound),
                OrderType::Market | OrderType::Limit | OrderType::StopLimit => order.bound,
            };
            let order = self.order_mut(id);
            order.state = State::Incoming;
            // 2.12: no tip was shown while it waited.
            order.shown = order.tip();
            let told = order.told();
            order.bound = bound;
            order.place = place;
            let (account, session) = (order.account, order.session);
            let report = self.report(account, session);
            self.emit(OrderTriggered { report, order: told, elected_by });
            self.enter(id);
        }
    }
}
