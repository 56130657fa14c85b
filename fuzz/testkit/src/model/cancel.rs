//! Orders that leave: one cancel, many, a kill switch, and what every end tells.

use engine::command::{AdminNote, CancelOrder, KillSwitch, MassCancel, Switch};
use engine::event::{
    CancelRejected, KillSwitchSet, MassCancelRejected, MassCancelled, OrderCancelled, OrderState, Requester,
};
use engine::*;

use super::Model;
use super::entry::ensure;
use super::orders::Order;
use super::phases;

/// A refused cancel or amend, as it was asked.
pub(super) struct Refused {
    pub(super) response_to: CommandKind,
    pub(super) account: AccountId,
    pub(super) order_id: OrderId,
    pub(super) original: ClientOrderId,
    pub(super) request: ClientOrderId,
}

impl Model {
    /// Ends an open order before it is filled; `request` is the name of the request that did it.
    pub(super) fn cancel(&mut self, id: OrderId, reason: CancelReason, request: ClientOrderId) {
        let order = self.order(id).clone();
        let report = self.report(order.account, order.session);
        let requester = if is_requested(reason) { self.requester(order.session) } else { Requester::NOBODY };
        let told = OrderState { leaves: Quantity::ZERO, shown: Quantity::ZERO, ..order.told() };
        self.emit(OrderCancelled {
            report,
            requester,
            order: told,
            cancelled: Quantity(order.leaves),
            cancelled_funds: order.funds,
            request_client_order_id: request,
            reason,
        });
        let status = match reason {
            CancelReason::DayEnded
            | CancelReason::Expired
            | CancelReason::OpeningRemainder
            | CancelReason::ClosingRemainder => OrderStatus::Expired,
            // 1.13: its funds bought what they could.
            CancelReason::FundsRemainder if order.cumulative > 0 => OrderStatus::Filled,
            _ => OrderStatus::Cancelled,
        };
        self.end(id, status);
    }

    pub(super) fn cancel_order(&mut self, cancel: &CancelOrder) {
        match self.judge_cancel(cancel) {
            Ok(id) => {
                // 9.6: an administrator who may not trade for the account says so.
                let own = self.may_trade(cancel.account);
                let reason = if own { CancelReason::Requested } else { CancelReason::Administrator };
                self.cancel(id, reason, cancel.client_order_id);
            }
            Err(reason) => self.reject_cancel(
                &Refused {
                    response_to: CommandKind::CancelOrder,
                    account: cancel.account,
                    order_id: cancel.order_id,
                    original: cancel.original_client_order_id,
                    request: cancel.client_order_id,
                },
                reason,
            ),
        }
    }

    fn judge_cancel(&self, cancel: &CancelOrder) -> Result<OrderId, RejectReason> {
        use RejectReason::*;
        ensure(self.may_cancel(cancel.account), NotEntitled)?;
        ensure(self.accounts.contains_key(&cancel.account), UnknownAccount)?;
        let found = self.find(cancel.account, cancel.order_id, cancel.original_client_order_id);
        let order = found.ok_or(UnknownOrder)?;
        let phase = self.instruments[&order.instrument].phase;
        ensure(phases::cancels(phase), PhaseNotAllowed)?;
        Ok(order.id)
    }

    /// Tells of a refused cancel or amend what has become of the order, as far as it is remembered.
    pub(super) fn reject_cancel(&mut self, refused: &Refused, reason: RejectReason) {
        let report = self.report_refusal(refused.account, reason);
        let entitled = reason != RejectReason::NotEntitled;
        let status = self.status_of(refused.account, refused.order_id, refused.original).filter(|_| entitled);
        let duplicate = match reason {
            RejectReason::DuplicateClientOrderId => self.named(refused.account, refused.request),
            _ => None,
        };
        self.emit(CancelRejected {
            report,
            response_to: refused.response_to,
            order_id: refused.order_id,
            original_client_order_id: refused.original,
            client_order_id: refused.request,
            reason,
            order_status: status,
            duplicate_of: duplicate.map_or(OrderId::NONE, |duplicate| duplicate.0),
        });
    }

    /// 9.5: by the venue's name if that is given, else by the trader's.
    fn status_of(&self, account: AccountId, id: OrderId, name: ClientOrderId) -> Option<OrderStatus> {
        if id.is_none() {
            return self.named(account, name).map(|named| named.1);
        }
        if let Some(order) = self.find(account, id, name) {
            return Some(order.status());
        }
        let closed = &self.accounts.get(&account)?.closed;
        closed.iter().rev().find(|closed| closed.1 == id).map(|closed| closed.2)
    }

    pub(super) fn mass_cancel(&mut self, cancel: &MassCancel) {
        if let Err(reason) = self.judge_mass_cancel(cancel) {
            let report = self.report_refusal(cancel.account, reason);
            self.emit(MassCancelRejected {
                report,
                client_order_id: cancel.client_order_id,
                instrument: cancel.instrument,
                side: cancel.side,
                entered_by: cancel.entered_by,
                reason,
            });
            return;
        }
        let victims = self.mass_victims(cancel);
        for &victim in &victims {
            self.cancel(victim, CancelReason::MassCancel, cancel.client_order_id);
        }
        self.remember_request(cancel.note);
        let report = self.report(cancel.account, self.turn.header.session);
        self.emit(MassCancelled {
            report,
            client_order_id: cancel.client_order_id,
            instrument: cancel.instrument,
            side: cancel.side,
            entered_by: cancel.entered_by,
            cancelled_count: u32::try_from(victims.len()).expect("orders are counted in 32 bits"),
            note: cancel.note,
        });
    }

    fn judge_mass_cancel(&self, cancel: &MassCancel) -> Result<(), RejectReason> {
        use RejectReason::*;
        let header = self.turn.header;
        let own_session = self.turn.in_session && cancel.entered_by == header.session && self.keys.acts(header.author);
        let allowed =
            if cancel.account.is_none() { own_session || self.may_contain() } else { self.may_cancel(cancel.account) };
        ensure(allowed, NotEntitled)?;
        ensure(!self.is_repeated(cancel.note), DuplicateRequest)?;
        let instrument = cancel.instrument.is_none() || self.instruments.contains_key(&cancel.instrument);
        ensure(instrument, UnknownInstrument)?;
        let known = self.accounts.contains_key(&cancel.account);
        ensure(cancel.account.is_none() || known, UnknownAccount)
    }

    /// 7.6: whether the order's phase lets it be cancelled.
    pub(super) fn may_leave(&self, order: &Order) -> bool {
        phases::cancels(self.instruments[&order.instrument].phase)
    }

    /// 8.13: what every given filter names; of the whole venue account by account, else oldest first.
    fn mass_victims(&self, cancel: &MassCancel) -> Vec<OrderId> {
        let named = |order: &&Order| {
            (cancel.account.is_none() || order.account == cancel.account)
                && (cancel.instrument.is_none() || order.instrument == cancel.instrument)
                && cancel.side.is_none_or(|side| order.side == side)
                && (cancel.entered_by.is_none() || order.session == cancel.entered_by)
                && self.may_cancel(order.account)
                && self.may_leave(order)
        };
        let mut victims: Vec<&Order> = self.orders.iter().filter(named).collect();
        if cancel.account.is_none() && cancel.entered_by.is_none() {
            victims.sort_by_key(|order| (order.account, order.id));
        }
        victims.into_iter().map(|order| order.id).collect()
    }

    /// 8.12: whoever may cancel may engage it; only who contains risk for the whole venue lifts it.
    pub(super) fn kill_switch(&mut self, kill: &KillSwitch) {
        if let Err(reason) = self.judge_kill_switch(kill) {
            self.reject_command(CommandKind::KillSwitch, kill.note, reason, kill.account);
            return;
        }
        let engaged = kill.switch == Switch::Engaged;
        self.accounts.get_mut(&kill.account).expect("an open account").is_blocked = engaged;
        let of_account = |order: &&Order| engaged && order.account == kill.account;
        let victims: Vec<OrderId> = self.orders.iter().filter(of_account).map(|order| order.id).collect();
        for &victim in &victims {
            self.cancel(victim, CancelReason::KillSwitch, ClientOrderId::NONE);
        }
        self.remember_request(kill.note);
        let report = self.report(kill.account, self.turn.header.session);
        self.emit(KillSwitchSet {
            report,
            author: self.turn.header.author,
            command: *kill,
            cancelled_count: u32::try_from(victims.len()).expect("orders are counted in 32 bits"),
        });
    }

    fn judge_kill_switch(&self, kill: &KillSwitch) -> Result<(), RejectReason> {
        use RejectReason::*;
        let allowed = match kill.switch {
            Switch::Engaged => self.may_cancel(kill.account),
            Switch::Lifted => self.may_contain(),
        };
        ensure(allowed, NotEntitled)?;
        ensure(!self.is_repeated(kill.note), DuplicateRequest)?;
        ensure(self.accounts.contains_key(&kill.account), UnknownAccount)
    }

    /// 10.7: whether an operator asked so before.
    pub(super) fn is_repeated(&self, note: AdminNote) -> bool {
        let request = (self.turn.header.author, note.idempotency_key);
        !note.idempotency_key.is_none() && self.requests.contains(&request)
    }

    /// 10.7: the venue's last 4,096, of operators only.
    pub(super) fn remember_request(&mut self, note: AdminNote) {
        if note.idempotency_key.is_none() || !self.author_is_operator() {
            return;
        }
        self.requests.push((self.turn.header.author, note.idempotency_key));
        if self.requests.len() > engine::limits::IDEMPOTENCY_KEYS as usize {
            self.requests.remove(0);
        }
    }
}

/// Whether somebody asked for that order's end, and is told of it in another session too (10.6).
fn is_requested(reason: CancelReason) -> bool {
    matches!(reason, CancelReason::Requested | CancelReason::AmendedToFilled | CancelReason::Administrator)
}
