//! Amending an order (rule 2), as one atomic step.
//!
//! Priority is lost on another price, type or stop price and on more quantity, and kept otherwise. The new quantity
//! counts what is already filled; no more than that cancels the rest. An amend that crosses matches at once.

use crate::book::arena::{Extras, NIL, Order, Place, Slot};
use crate::command::{CommandKind, ReplaceOrder};
use crate::engine::Engine;
use crate::event::{CancelRejected, EventSink, OrderReplaced, Priority};
use crate::order::{OrderStatus, OrderType, TimeInForce};
use crate::reject::{CancelReason, RejectReason};
use crate::risk::{Exposure, held_asset};
use crate::turn::Turn;
use crate::validate::{Amendment, Terms};
use crate::{ClientOrderId, OrderId};

impl Engine {
    /// Amends an order.
    pub(crate) fn replace_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, replace: &ReplaceOrder) {
        if !self.replace_ordinary(turn, replace) {
            self.replace_any(turn, replace);
        }
    }

    #[cold]
    fn replace_any<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, replace: &ReplaceOrder) {
        let amendment = match self.check_replace(turn, replace) {
            Err(reason) => {
                let (account, id, name) = (replace.account, replace.order_id, replace.original_client_order_id);
                if reason == RejectReason::OutsidePriceBand
                    && let Some(slot) = self.find_order(account, id, name)
                {
                    let terms = Terms::amended(&self.orders.arena, slot, replace);
                    let Order { instrument, place, .. } = self.orders.arena[slot];
                    self.tell_refused_price(turn, instrument, &terms, place == Place::Stops);
                }
                return self.reject_replace(turn, replace, reason);
            }
            Ok(amendment) => amendment,
        };
        let slot = amendment.slot;
        let Order { session, instrument, place, .. } = self.orders.arena[slot];
        if amendment.terms.quantity <= self.orders.arena.gone(slot) {
            let requester = self.requester(turn, session);
            self.cancel(turn, slot, CancelReason::AmendedToFilled, requester, replace.client_order_id);
            return;
        }
        let keeps_priority = amendment.terms.keeps_priority(&Terms::of(&self.orders.arena, slot));
        let priority = if keeps_priority { Priority::Kept } else { Priority::Lost };
        self.change(&amendment, priority);
        let original_client_order_id = self.rename(slot, replace.client_order_id);
        self.report_replaced(turn, slot, priority, original_client_order_id);
        if priority == Priority::Lost {
            // What stood goes on to stand: an elected StopLimit stays elected, what joined a call stays in it.
            match place {
                Place::Book | Place::Market => self.work(turn, slot),
                _ => self.enter(turn, slot),
            }
            self.finish_trading(turn, instrument);
        }
    }

    fn change(&mut self, amendment: &Amendment, priority: Priority) {
        let Amendment { slot, terms, limit } = *amendment;
        let Order { place, instrument, .. } = self.orders.arena[slot];
        let market = self.market(instrument);
        let unseen = match place {
            Place::Book | Place::Market => terms.order_type == OrderType::Market && market.gathers(),
            _ => market.hides(terms.order_type, terms.time_in_force),
        };
        if priority == Priority::Lost {
            self.displace(slot);
        }
        self.change_expiry(slot, &terms);
        let arena = &mut self.orders.arena;
        let market = self.markets.get_mut(instrument.0).expect("an order's instrument is listed");
        let before = Exposure::of(arena, slot);
        let (shown, gone) = (arena.shown(slot), arena.gone(slot));
        let order = &mut arena[slot];
        order.order_type = terms.order_type;
        order.limit = limit;
        order.leaves = terms.quantity - gone;
        if terms.stop_price != arena.extras(slot).stop_price {
            arena.extras_mut(slot).stop_price = terms.stop_price;
        }
        arena.set_display(slot, terms.display);
        match priority {
            Priority::Kept => arena.show_at_most(slot, shown),
            Priority::Lost if unseen => arena.hide(slot),
            Priority::Lost => arena.show(slot),
        }
        let (after, place) = (Exposure::of(arena, slot), arena[slot].place);
        if place != Place::Nowhere {
            market.book.reduce(&mut self.orders, slot, before.leaves - after.leaves);
        }
        if market.settles() {
            let asset = held_asset(market, before.side);
            let Order { account, .. } = self.orders.arena[slot];
            self.ledger
                .change_hold(account, asset, before.hold(market), after.hold(market))
                .expect("funds were checked");
        }
    }

    /// Gives the order its new time in force and expiry.
    fn change_expiry(&mut self, slot: Slot, terms: &Terms) {
        let (Order { time_in_force, .. }, extras) = (self.orders.arena[slot], self.orders.arena.extras(slot));
        if (time_in_force, extras.expire_at) == (terms.time_in_force, terms.expire_at) {
            return;
        }
        if extras.expiry_index != NIL {
            self.expiries.remove(&mut self.orders.arena, slot);
        }
        self.orders.arena[slot].time_in_force = terms.time_in_force;
        self.orders.arena.extras_mut(slot).expire_at = terms.expire_at;
        if terms.time_in_force == TimeInForce::GoodTillDate {
            self.expiries.insert(&mut self.orders.arena, slot);
        }
    }

    /// Gives the order its new name; the old one stays taken for a while.
    fn rename(&mut self, slot: Slot, name: ClientOrderId) -> ClientOrderId {
        let details = self.orders.arena.details_mut(slot);
        let old = details.client_order_id;
        if !name.is_none() && name != old {
            details.client_order_id = name;
            let Order { account, id, .. } = self.orders.arena[slot];
            self.names.close(account, old, id, OrderStatus::Replaced);
            self.names.open(account, name, slot);
        }
        old
    }

    fn report_replaced<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        slot: Slot,
        priority: Priority,
        original_client_order_id: ClientOrderId,
    ) {
        let Order { account, session, .. } = self.orders.arena[slot];
        let Extras { stop_price, display, expire_at, .. } = *self.orders.arena.extras(slot);
        let report = self.report(turn, account, session);
        let requester = self.requester(turn, session);
        turn.emit(OrderReplaced {
            report,
            requester,
            order: self.order_state(slot),
            original_client_order_id,
            stop_price,
            display_quantity: display,
            expire_at,
            priority,
        });
    }

    fn reject_replace<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, replace: &ReplaceOrder, reason: RejectReason) {
        let (id, name) = (replace.order_id, replace.original_client_order_id);
        let order_status = self.known_status(replace.account, id, name, reason);
        let duplicate_of = match reason {
            RejectReason::DuplicateClientOrderId => self.original(replace.account, replace.client_order_id).0,
            _ => OrderId::NONE,
        };
        let report = self.refusal(turn, replace.account, reason);
        turn.emit(CancelRejected {
            report,
            response_to: CommandKind::ReplaceOrder,
            order_id: replace.order_id,
            original_client_order_id: replace.original_client_order_id,
            client_order_id: replace.client_order_id,
            reason,
            order_status,
            duplicate_of,
        });
    }
}
