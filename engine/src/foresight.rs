//! Looking ahead: the memory that waiting commands will touch is asked for before the first of them is applied.
//!
//! ```text
//!   commands of a batch ─► look 1: the order that each names or meets, the level that it goes to, the cell of its name
//!                       ─► look 2: what those say lies beside them: neighbours in level, account and session
//!                       ─► apply, one after the other
//! ```
//! Nothing of this changes anything: an earlier command of the batch may make a later look vain.

use crate::book::arena::Slot;
use crate::command::{Command, CommandBody, NewOrder, Sequenced};
use crate::engine::Engine;
use crate::market::Market;
use crate::{OrderId, Price};

/// Commands whose memory is asked for together: a look at all of them takes about as long as memory does.
pub(crate) const LOOK_AHEAD: usize = 32;

/// From so many slots on, orders do not lie in a processor's nearer caches as a matter of course, and looking ahead pays.
const PAYS_FROM: u32 = 1 << 13;

impl Engine {
    /// Looks ahead, if that pays.
    #[inline(always)]
    pub(crate) fn foresee(&self, commands: &[Sequenced<Command>]) {
        if self.orders.arena.used() >= PAYS_FROM && commands.len() > 1 {
            self.look_ahead(commands);
        }
    }

    #[inline(never)]
    fn look_ahead(&self, commands: &[Sequenced<Command>]) {
        for command in commands {
            match &command.value.body {
                CommandBody::NewOrder(order) => self.look_at_new(order),
                CommandBody::CancelOrder(cancel) => self.orders.arena.prefetch(cancel.order_id.slot()),
                CommandBody::ReplaceOrder(replace) => self.orders.arena.prefetch(replace.order_id.slot()),
                _ => {}
            }
        }
        for command in commands {
            match &command.value.body {
                CommandBody::NewOrder(order) => self.look_behind_new(order),
                CommandBody::CancelOrder(cancel) => self.look_beside_named(cancel.order_id),
                CommandBody::ReplaceOrder(replace) => self.look_beside_named(replace.order_id),
                _ => {}
            }
        }
    }
}

impl Engine {
    /// The instrument of a new order that has a price. Nobody has judged the order yet.
    fn market_ahead(&self, order: &NewOrder) -> Option<&Market> {
        self.markets.get(order.instrument.0).filter(|_| order.price <= Price::MAX)
    }

    fn look_at_new(&self, order: &NewOrder) {
        self.names.prefetch(order.account, order.client_order_id);
        let Some(market) = self.market_ahead(order) else { return };
        match market.book.meets(&self.orders, order.side, order.price) {
            Some(maker) => self.orders.arena.prefetch(maker),
            None => market.book.prefetch_level(&self.orders, order.side, order.price),
        }
    }

    fn look_behind_new(&self, order: &NewOrder) {
        let Some(market) = self.market_ahead(order) else { return };
        match market.book.meets(&self.orders, order.side, order.price) {
            Some(maker) => self.look_beside(maker),
            None => market.book.prefetch_back(&self.orders, order.side, order.price),
        }
    }

    fn look_beside_named(&self, id: OrderId) {
        if let Some(slot) = self.orders.arena.find(id) {
            self.look_beside(slot);
        }
    }

    /// What stands beside an order in its level, and among its account's and its session's.
    fn look_beside(&self, slot: Slot) {
        let arena = &self.orders.arena;
        let (order, details) = (&arena[slot], arena.details(slot));
        self.orders.prefetch_beside(order, details);
        self.names.prefetch(order.account, details.client_order_id);
    }
}
