//! Looking ahead: the memory that waiting commands will touch is asked for before the first of them is applied.
//!
//! ```text
//!   commands of a batch ─► look 1: the order that each names or meets, the level that it goes to, the cell of its name
//!                       ─► look 2: what those say lies beside them: neighbours in level, account and session
//!                       ─► apply, one after the other
//! ```
//! Nothing of this changes anything: an earlier command of the batch may make a later look vain.

use crate::Price;
use crate::book::arena::Slot;
use crate::book::ladder::LevelAt;
use crate::command::{CancelOrder, Command, CommandBody, NewOrder, ReplaceOrder, Sequenced};
use crate::engine::Engine;

/// Commands whose memory is asked for together: a look at all of them takes about as long as memory does.
pub(crate) const LOOK_AHEAD: usize = 32;

/// From so many slots on, orders do not lie in a processor's nearer caches as a matter of course, and looking ahead pays.
const PAYS_FROM: u32 = 1 << 13;

/// What the first look has found.
#[derive(Debug, Clone, Copy)]
enum Ahead {
    Nothing,
    /// The order that a command names, or will meet.
    Order(Slot),
    /// The level that a new order goes to.
    Level(LevelAt),
}

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
        let mut ahead = [Ahead::Nothing; LOOK_AHEAD];
        for (ahead, command) in ahead.iter_mut().zip(commands) {
            *ahead = match &command.value.body {
                CommandBody::NewOrder(order) => self.look_at_new(order),
                CommandBody::CancelOrder(CancelOrder { order_id, .. })
                | CommandBody::ReplaceOrder(ReplaceOrder { order_id, .. }) => self.look_at_order(order_id.slot()),
                _ => Ahead::Nothing,
            };
        }
        for ahead in &ahead[..commands.len()] {
            match *ahead {
                Ahead::Nothing => {}
                Ahead::Order(slot) => self.look_beside(slot),
                Ahead::Level(at) => self.orders.prefetch_back(at),
            }
        }
    }

    /// The order that it meets, or the level that it goes to. Nobody has judged it yet: its price may be none.
    fn look_at_new(&self, order: &NewOrder) -> Ahead {
        self.names.prefetch(order.account, order.client_order_id);
        let market = self.markets.get(order.instrument.0).filter(|_| order.price <= Price::MAX);
        let Some(book) = market.map(|market| &market.book) else { return Ahead::Nothing };
        match book.meets(&self.orders, order.side, order.price) {
            Some(maker) => self.look_at_order(maker),
            None => book.prefetch_level(&self.orders, order.side, order.price).map_or(Ahead::Nothing, Ahead::Level),
        }
    }

    fn look_at_order(&self, slot: Slot) -> Ahead {
        self.orders.arena.prefetch(slot);
        Ahead::Order(slot)
    }

    /// What stands beside an order in its level, and among its account's and its session's.
    fn look_beside(&self, slot: Slot) {
        let arena = &self.orders.arena;
        if arena.is_open(slot) {
            let (order, details) = (&arena[slot], arena.details(slot));
            self.orders.prefetch_beside(order, details);
            self.names.prefetch(order.account, details.client_order_id);
        }
    }
}
