//! How many orders are open, by account and instrument: what a look at a change's effect says before it is made.
//!
//! An order is counted when it is accepted, and no more when it is cancelled or nothing of it may trade any more.

use std::collections::HashMap;

use engine::event::TradeSide;
use engine::{AccountId, Engine, Event, InstrumentId};

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct OpenOrders {
    counts: HashMap<(AccountId, InstrumentId), u64>,
}

impl OpenOrders {
    /// Those of an engine that takes no commands yet.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut open = Self::default();
        for account in engine.accounts().map(|settings| settings.account) {
            engine.open_orders_in_full(account).for_each(|order| open.opened(account, order.state.instrument));
        }
        open
    }

    /// Takes in what an event says.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => self.opened(accepted.report.account, accepted.order.instrument),
            Event::OrderCancelled(cancelled) => self.ended(cancelled.report.account, cancelled.order.instrument),
            Event::Trade(trade) => {
                self.traded(&trade.maker, trade.instrument);
                self.traded(&trade.taker, trade.instrument);
            }
            _ => {}
        }
    }

    /// How many there are of an account, in an instrument; of all where it does not say.
    pub(crate) fn count(&self, account: Option<AccountId>, instrument: Option<InstrumentId>) -> u64 {
        self.of_which(account, instrument).map(|(_, count)| count).sum()
    }

    /// How many accounts have any in an instrument.
    pub(crate) fn account_count(&self, instrument: InstrumentId) -> usize {
        self.of_which(None, Some(instrument)).count()
    }

    fn of_which(
        &self,
        account: Option<AccountId>,
        instrument: Option<InstrumentId>,
    ) -> impl Iterator<Item = ((AccountId, InstrumentId), u64)> {
        let counts = self.counts.iter().map(|(of, count)| (*of, *count));
        counts.filter(move |((of, within), _)| {
            account.is_none_or(|account| account == *of) && instrument.is_none_or(|instrument| instrument == *within)
        })
    }

    fn opened(&mut self, account: AccountId, instrument: InstrumentId) {
        *self.counts.entry((account, instrument)).or_default() += 1;
    }

    fn traded(&mut self, side: &TradeSide, instrument: InstrumentId) {
        // An order by funds has nothing left of a quantity, and ends otherwise.
        if side.leaves.is_zero() && !side.order_quantity.is_absent() {
            self.ended(side.report.account, instrument);
        }
    }

    fn ended(&mut self, account: AccountId, instrument: InstrumentId) {
        if let Some(count) = self.counts.get_mut(&(account, instrument)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&(account, instrument));
            }
        }
    }
}
