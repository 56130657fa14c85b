//! Rules 3.7 to 3.9: what elects a stop, and in which order stops enter.

use engine::event::OrderTriggered;
use engine::{InstrumentId, OrderId, OrderType, Price, Side};

use super::orders::Stand;
use super::{Auditor, Checked, ensure};

impl Auditor {
    /// 3.7, 3.8: a trade elects what its price reaches: buys by ascending, then sells by descending stop price.
    pub(super) fn elect(&mut self, instrument: InstrumentId, price: Price) {
        let mut elected: Vec<((u8, u64, u64), OrderId)> = Vec::new();
        for (&id, order) in &self.orders {
            if order.stand != Stand::Waiting || order.state.instrument != instrument {
                continue;
            }
            match order.state.side {
                Side::Buy if price >= order.stop_price => elected.push(((0, order.stop_price.0, order.place), id)),
                Side::Sell if price <= order.stop_price => {
                    elected.push(((1, u64::MAX - order.stop_price.0, order.place), id));
                }
                Side::Buy | Side::Sell => {}
            }
        }
        elected.sort_unstable();
        for (_, id) in elected {
            if let Some(order) = self.orders.get_mut(&id) {
                order.stand = Stand::Elected;
            }
            self.elected.push_back((id, price));
        }
    }

    pub(super) fn order_triggered(&mut self, event: &OrderTriggered) -> Checked {
        ensure(self.owed.is_empty(), "3.8", || format!("still to be told: {:?}", self.owed))?;
        let id = event.order.order_id;
        self.open(id, event.report.account)?;
        self.settle_incoming()?;
        let cause = self.elected.iter().find(|(elected, _)| *elected == id).copied();
        let Some((_, elected_by)) = cause else {
            return ensure(false, "3.7", || "no trade of this command elected it".to_owned());
        };
        ensure(elected_by == event.elected_by, "3.7", || format!("elected by a trade at {elected_by:?}"))?;
        let first = self.elected.pop_front();
        ensure(first == Some((id, elected_by)), "3.8", || format!("first elected: {first:?}"))?;
        let order = self.orders.get_mut(&id).expect("looked at above");
        order.stand = Stand::Incoming;
        order.state.shown = order.tip();
        if order.state.order_type == OrderType::StopLimit {
            order.bound = order.state.price;
        }
        self.same_state(id, &event.order)?;
        self.incoming = Some(id);
        Ok(())
    }
}
