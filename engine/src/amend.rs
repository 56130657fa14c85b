//! Amending an order (rule 2), as one atomic step.
//!
//! Priority is lost on a change of price or more quantity and kept otherwise. The new quantity counts what is already
//! filled; no more than that cancels the rest. An amend that crosses matches at once.

use crate::book::arena::NIL;
use crate::command::{CommandKind, ReplaceOrder};
use crate::engine::Engine;
use crate::event::{CancelRejected, EventSink, OrderReplaced, Priority};
use crate::order::OrderStatus;
use crate::reject::{CancelReason, RejectReason};
use crate::risk::{Exposure, held_asset};
use crate::turn::Turn;
use crate::validate::Amendment;
use crate::{ClientOrderId, OrderId, Price, Quantity, Timestamp};

impl Engine {
    /// Amends an order.
    pub(crate) fn replace_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, replace: &ReplaceOrder) {
        let amendment = match self.check_replace(turn, replace) {
            Err(reason) => return self.reject_replace(turn, replace, reason),
            Ok(amendment) => amendment,
        };
        let slot = amendment.slot;
        let order = &self.orders.arena[slot];
        if amendment.quantity <= order.cumulative + order.prevented {
            let requester = self.requester(turn, order.session);
            self.cancel(turn, slot, CancelReason::AmendedToFilled, requester, replace.client_order_id);
            return;
        }
        let keeps_priority = amendment.limit == order.limit && amendment.quantity <= order.quantity;
        let priority = if keeps_priority { Priority::Kept } else { Priority::Lost };
        self.change(&amendment, priority);
        let original_client_order_id = self.rename(&amendment, replace.client_order_id);
        self.report_replaced(turn, &amendment, priority, original_client_order_id);
        if priority == Priority::Lost {
            self.match_and_rest(turn, slot);
        }
    }

    fn change(&mut self, amendment: &Amendment, priority: Priority) {
        let slot = amendment.slot;
        if priority == Priority::Lost {
            self.leave_book(slot);
        }
        let instrument = self.orders.arena[slot].instrument;
        let market = self.markets.get_mut(instrument.0).expect("an order's instrument is listed");
        let order = &mut self.orders.arena[slot];
        let before = Exposure::of(order);
        order.limit = amendment.limit;
        order.quantity = amendment.quantity;
        order.leaves = amendment.quantity - order.cumulative - order.prevented;
        let (after, order) = (Exposure::of(order), *order);
        if order.block != NIL {
            market.book.reduce(&mut self.orders, slot, before.leaves - after.leaves);
        }
        if market.settles() {
            let asset = held_asset(market, order.side);
            self.ledger
                .change_hold(order.account, asset, before.hold(market), after.hold(market))
                .expect("funds were checked");
        }
    }

    /// Gives the order its new name; the old one stays taken for a while.
    fn rename(&mut self, amendment: &Amendment, name: ClientOrderId) -> ClientOrderId {
        let order = &mut self.orders.arena[amendment.slot];
        let old = order.client_order_id;
        if !name.is_none() && name != old {
            order.client_order_id = name;
            self.names.close(order.account, old, order.id, OrderStatus::Replaced);
            self.names.open(order.account, name, order.id);
        }
        old
    }

    fn report_replaced<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        amendment: &Amendment,
        priority: Priority,
        original_client_order_id: ClientOrderId,
    ) {
        let (account, session) = {
            let order = &self.orders.arena[amendment.slot];
            (order.account, order.session)
        };
        let report = self.report(turn, account, session);
        let requester = self.requester(turn, session);
        turn.emit(OrderReplaced {
            report,
            requester,
            order: self.order_state(amendment.slot),
            original_client_order_id,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
            priority,
        });
    }

    fn reject_replace<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, replace: &ReplaceOrder, reason: RejectReason) {
        let order_status = self.known_status(replace.account, replace.original_client_order_id, reason);
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
