//! Rule 2: one atomic step from one order to another.

use engine::command::ReplaceOrder;
use engine::event::{OrderReplaced, Priority};
use engine::*;

use super::cancel::Refused;
use super::entry::{Wish, ensure, is_worse};
use super::orders::{Order, State};
use super::phases::{self, Amends};
use super::{Flaw, Model};

/// What a judged amend does.
enum Outcome {
    /// 2.5: it leaves nothing.
    CancelsRest,
    /// The order as it is from now on, and whether it keeps its place.
    Becomes(Box<Order>, Priority),
}

impl Model {
    pub(super) fn replace_order(&mut self, amend: &ReplaceOrder) {
        let outcome = match self.judge_replace(amend) {
            Ok(outcome) => outcome,
            Err(reason) => {
                if reason == RejectReason::OutsidePriceBand {
                    let order = self.amended(amend).expect("a judged order");
                    self.tell_entry_breach(&self.wish_of_amend(order, amend));
                }
                let refused = Refused {
                    response_to: CommandKind::ReplaceOrder,
                    account: amend.account,
                    order_id: amend.order_id,
                    original: amend.original_client_order_id,
                    request: amend.client_order_id,
                };
                self.reject_cancel(&refused, reason);
                return;
            }
        };
        let before = self.amended(amend).expect("a judged amend").clone();
        match outcome {
            Outcome::CancelsRest => self.cancel(before.id, CancelReason::AmendedToFilled, amend.client_order_id),
            Outcome::Becomes(order, priority) => self.become_amended(&before, *order, priority),
        }
    }

    fn become_amended(&mut self, before: &Order, mut after: Order, priority: Priority) {
        if priority == Priority::Lost {
            after.place = self.next_place();
        }
        if after.client_order_id != before.client_order_id {
            // 2.9: the former name stays taken.
            self.remember(before.account, before.client_order_id, before.id, OrderStatus::Replaced);
        }
        let id = after.id;
        *self.order_mut(id) = after.clone();
        let report = self.report(after.account, after.session);
        let requester = self.requester(after.session);
        self.emit(OrderReplaced {
            report,
            requester,
            order: after.told(),
            original_client_order_id: before.client_order_id,
            stop_price: after.stop_price,
            display_quantity: after.display,
            expire_at: after.expire_at,
            priority,
        });
        match after.state {
            State::Incoming => self.enter(id),
            State::Waiting | State::ForTheClose | State::Resting => {}
        }
    }

    fn amended(&self, amend: &ReplaceOrder) -> Option<&Order> {
        self.find(amend.account, amend.order_id, amend.original_client_order_id)
    }

    fn judge_replace(&self, amend: &ReplaceOrder) -> Result<Outcome, RejectReason> {
        use RejectReason::*;
        ensure(self.may_trade(amend.account), NotEntitled)?;
        ensure(amend.account != AccountId::FEES, UnknownAccount)?;
        let account = self.accounts.get(&amend.account).ok_or(UnknownAccount)?;
        ensure(!account.is_blocked, AccountBlocked)?;
        let order = self.amended(amend);
        let own = order.map_or(amend.original_client_order_id, |order| order.client_order_id);
        let renamed = !amend.client_order_id.is_none() && amend.client_order_id != own;
        let taken = renamed && self.named(amend.account, amend.client_order_id).is_some();
        ensure(!taken, DuplicateClientOrderId)?;
        let order = order.ok_or(UnknownOrder)?;
        let wish = self.wish_of_amend(order, amend);
        ensure(wish.goes_together() && may_become(order, &wish), InvalidCombination)?;
        let phase = self.instruments[&order.instrument].phase;
        let allowed = match phases::amends(phase) {
            Amends::All => true,
            Amends::NoneMayTake => wish.order_type != OrderType::Market,
            Amends::MoreBinding => is_no_less_binding(order, &wish),
            Amends::Fewer => is_same_but_for_quantity(order, &wish) && wish.quantity <= order.quantity,
            Amends::None => false,
        };
        ensure(allowed, PhaseNotAllowed)?;
        self.judge_fields(&wish)?;
        // What works has no trigger any more that could be changed.
        ensure(order.state == State::Waiting || amend.stop_price.is_absent(), StopPriceInvalid)?;
        ensure(self.entry_breach(&wish).is_none(), OutsidePriceBand)?;
        self.judge_account(&wish, false)?;
        if wish.quantity.0 <= order.used() {
            return Ok(Outcome::CancelsRest);
        }
        let (after, priority) = self.made_of_amend(order, amend, &wish);
        let need = self.need(&after);
        ensure(self.covers(order.account, &after, need), InsufficientFunds)?;
        if priority == Priority::Lost {
            self.judge_match(&after)?;
        }
        Ok(Outcome::Becomes(Box::new(after), priority))
    }

    /// The order that the amend asks for: what is absent stays, what the new type does not have is dropped (2.11).
    fn wish_of_amend(&self, order: &Order, amend: &ReplaceOrder) -> Wish {
        let order_type = amend.order_type.unwrap_or(order.order_type);
        let time_in_force = amend.time_in_force.unwrap_or(order.time_in_force);
        let quantity = if amend.quantity.is_absent() { order.quantity } else { amend.quantity };
        let has_limit = matches!(order_type, OrderType::Limit | OrderType::StopLimit);
        let has_stop = matches!(order_type, OrderType::Stop | OrderType::StopLimit);
        let price = if amend.price.is_absent() && has_limit { order.price } else { amend.price };
        let stop_price = if amend.stop_price.is_absent() && has_stop { order.stop_price } else { amend.stop_price };
        let display = match (amend.display_quantity.is_absent(), has_limit) {
            // 2.12: it shrinks with the order quantity.
            (true, true) if !order.display.is_absent() => order.display.min(quantity),
            _ => amend.display_quantity,
        };
        let lasts_to_date = time_in_force == TimeInForce::GoodTillDate;
        let expire_at = if amend.expire_at.is_none() && lasts_to_date { order.expire_at } else { amend.expire_at };
        let mut wish = Wish {
            account: order.account,
            instrument: order.instrument,
            side: order.side,
            order_type,
            time_in_force,
            flags: order.flags,
            price,
            quantity,
            funds: Amount::ABSENT,
            stop_price,
            display,
            minimum: Quantity::ABSENT,
            expire_at,
            shrinks_within: None,
            works: !order.waits(),
        };
        // 2.10: what only shrinks is bound by no maximum.
        let shrinks = is_same_but_for_quantity(order, &wish) && wish.quantity <= order.quantity;
        wish.shrinks_within = shrinks.then_some(order.bound);
        wish
    }

    fn made_of_amend(&self, order: &Order, amend: &ReplaceOrder, wish: &Wish) -> (Order, Priority) {
        let keeps = is_same_but_for_quantity(order, wish)
            && wish.quantity <= order.quantity
            && !(self.flaw == Flaw::ReducingLosesPriority && wish.quantity < order.quantity);
        let mut after = order.clone();
        if !amend.client_order_id.is_none() {
            after.client_order_id = amend.client_order_id;
        }
        after.order_type = wish.order_type;
        after.time_in_force = wish.time_in_force;
        after.flags = wish.flags;
        after.price = wish.price;
        after.stop_price = wish.stop_price;
        after.quantity = wish.quantity;
        after.leaves = wish.quantity.0 - order.used();
        after.display = wish.display;
        after.expire_at = wish.expire_at;
        if keeps {
            // 2.12: a larger display quantity shows from the next tip on, a smaller one at once.
            after.shown = order.shown.min(after.tip());
            return (after, Priority::Kept);
        }
        after.first_best = self.best_opposite(order.instrument, order.side);
        after.bound = self.worst_price(wish);
        after.state = match order.state {
            State::Waiting if wish.order_type.is_stop() => State::Waiting,
            State::ForTheClose => State::ForTheClose,
            _ if self.is_in_call(order.instrument) => State::Resting,
            _ => State::Incoming,
        };
        after.shown = after.tip();
        (after, Priority::Lost)
    }
}

/// Same type, price and stop price: what keeps priority with no more quantity (2.2, 2.3).
fn is_same_but_for_quantity(order: &Order, wish: &Wish) -> bool {
    (order.order_type, order.price, order.stop_price) == (wish.order_type, wish.price, wish.stop_price)
}

/// 7: the same type and stop price, the same or a better price, and no less quantity.
fn is_no_less_binding(order: &Order, wish: &Wish) -> bool {
    (order.order_type, order.stop_price) == (wish.order_type, wish.stop_price)
        && wish.quantity >= order.quantity
        && !is_worse(order.side, order.price, wish.price)
}

/// 2.14: what goes into an auction only does so from the beginning to the end.
fn keeps_to_its_auction(order: &Order, wish: &Wish) -> bool {
    let is_for_auction = |it| matches!(it, TimeInForce::AtTheOpening | TimeInForce::AtTheClose);
    let (before, after) = (order.time_in_force, wish.time_in_force);
    before == after || !(is_for_auction(before) || is_for_auction(after))
}

/// 2.11: never ImmediateOrCancel or FillOrKill, and what works becomes no stop.
fn may_become(order: &Order, wish: &Wish) -> bool {
    let lasts = !matches!(wish.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
    let becomes_stop = wish.order_type.is_stop() && wish.order_type != order.order_type;
    lasts && keeps_to_its_auction(order, wish) && (!becomes_stop || order.state == State::Waiting)
}
