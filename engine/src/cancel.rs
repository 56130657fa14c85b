//! Taking orders out: one, many, all of a blocked account, all of a lost session.

use crate::book::arena::{Order, Slot};
use crate::book::index::Named;
use crate::book::level::Chain;
use crate::command::{AdminNote, CancelOnDisconnect, CancelOrder, CommandKind, KillSwitch, MassCancel, Switch};
use crate::directory::Right;
use crate::engine::Engine;
use crate::event::{
    CancelRejected, EventSink, KillSwitchSet, MassCancelRejected, MassCancelled, OrderCancelled, OrderState, Requester,
};
use crate::order::{OnDisconnect, OrderStatus};
use crate::phases::{Cancel, rules};
use crate::reject::{CancelReason, RejectReason};
use crate::turn::Turn;
use crate::{AccountId, ClientOrderId, KeyId, OrderId, Quantity, SessionId};

impl Engine {
    /// Cancels one order.
    pub(crate) fn cancel_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, cancel: &CancelOrder) {
        if !self.cancel_ordinary(turn, cancel) {
            self.cancel_any(turn, cancel);
        }
    }

    #[cold]
    fn cancel_any<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, cancel: &CancelOrder) {
        match self.check_cancel(turn, cancel) {
            Ok((slot, reason)) => {
                let requester = self.requester(turn, self.orders.arena[slot].session);
                self.cancel(turn, slot, reason, requester, cancel.client_order_id);
            }
            Err(reason) => self.refuse_cancel(turn, cancel, reason),
        }
    }

    fn refuse_cancel<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, cancel: &CancelOrder, reason: RejectReason) {
        let order_status = self.known_status(cancel.account, cancel.order_id, cancel.original_client_order_id, reason);
        let report = self.refusal(turn, cancel.account, reason);
        turn.emit(CancelRejected {
            report,
            response_to: CommandKind::CancelOrder,
            order_id: cancel.order_id,
            original_client_order_id: cancel.original_client_order_id,
            client_order_id: cancel.client_order_id,
            reason,
            order_status,
            duplicate_of: OrderId::NONE,
        });
    }

    /// The order that a cancel names, and why it ends.
    fn check_cancel<S: EventSink>(
        &self,
        turn: &Turn<'_, S>,
        cancel: &CancelOrder,
    ) -> Result<(Slot, CancelReason), RejectReason> {
        let reason = match self.check_right(turn, Right::Trade(cancel.account)) {
            Ok(()) => CancelReason::Requested,
            Err(_) => self.check_right(turn, Right::Cancel(cancel.account)).map(|()| CancelReason::Administrator)?,
        };
        let slot = match self.find_order(cancel.account, cancel.order_id, cancel.original_client_order_id) {
            Some(slot) => slot,
            None if self.accounts.get(cancel.account.0).is_none() => return Err(RejectReason::UnknownAccount),
            None => return Err(RejectReason::UnknownOrder),
        };
        match rules(self.market_of(slot).phase).cancel {
            Cancel::Yes => Ok((slot, reason)),
            Cancel::No => Err(RejectReason::PhaseNotAllowed),
        }
    }

    /// Cancels all orders that the given filters name: of one account oldest first, of a session oldest first, of the
    /// whole venue account by account.
    pub(crate) fn mass_cancel<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, cancel: &MassCancel) {
        if let Err(reason) = self.check_mass_cancel(turn, cancel) {
            let report = self.refusal(turn, cancel.account, reason);
            let MassCancel { client_order_id, instrument, side, entered_by, .. } = *cancel;
            turn.emit(MassCancelRejected { report, client_order_id, instrument, side, entered_by, reason });
            return;
        }
        let author = turn.header.author;
        self.remember_request(author, &cancel.note);
        let matches = |engine: &Self, slot: Slot| {
            let order = &engine.orders.arena[slot];
            engine.directory.allows(author, Right::Cancel(order.account))
                && (cancel.instrument.is_none() || order.instrument == cancel.instrument)
                && cancel.side.is_none_or(|side| order.side == side)
                && (cancel.entered_by.is_none() || order.session == cancel.entered_by)
                && rules(engine.market_of(slot).phase).cancel == Cancel::Yes
        };
        self.collect(cancel.account, cancel.entered_by);
        let cancelled_count = self.cancel_collected(turn, CancelReason::MassCancel, cancel.client_order_id, matches);
        let report = self.answer(turn, cancel.account);
        turn.emit(MassCancelled {
            report,
            client_order_id: cancel.client_order_id,
            instrument: cancel.instrument,
            side: cancel.side,
            entered_by: cancel.entered_by,
            cancelled_count,
            note: cancel.note,
        });
    }

    fn check_mass_cancel<S: EventSink>(&self, turn: &Turn<'_, S>, cancel: &MassCancel) -> Result<(), RejectReason> {
        let own_session = !cancel.entered_by.is_none() && cancel.entered_by == turn.header.session;
        match (cancel.account.is_none(), own_session) {
            (false, _) => self.check_right(turn, Right::Cancel(cancel.account))?,
            (true, false) => self.check_right(turn, Right::Contain)?,
            (true, true) => {
                self.check_standing(turn)?;
                if !self.directory.is_valid(turn.header.author) {
                    return Err(RejectReason::NotEntitled);
                }
            }
        }
        if self.directory.is_repeated(turn.header.author, cancel.note.idempotency_key) {
            return Err(RejectReason::DuplicateRequest);
        }
        if !cancel.instrument.is_none() {
            self.listed(cancel.instrument)?;
        }
        if !cancel.account.is_none() && self.accounts.get(cancel.account.0).is_none() {
            return Err(RejectReason::UnknownAccount);
        }
        Ok(())
    }

    /// Engages or lifts an account's kill switch. Whoever may cancel for the account may engage it.
    pub(crate) fn kill_switch<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &KillSwitch) {
        let KillSwitch { account: id, switch, note } = *command;
        if let Err(reason) = self.check_kill_switch(turn, command) {
            return self.reject_command(turn, id, CommandKind::KillSwitch, &note, reason);
        }
        let author = turn.header.author;
        self.remember_request(author, &note);
        let account = self.accounts.get_mut(id.0).expect("the account was checked");
        account.kill_switch = switch;
        let cancelled_count = match switch {
            Switch::Lifted => 0,
            Switch::Engaged => {
                self.collect(id, SessionId::NONE);
                self.cancel_collected(turn, CancelReason::KillSwitch, ClientOrderId::NONE, |_, _| true)
            }
        };
        let report = self.answer(turn, id);
        turn.emit(KillSwitchSet { report, author, command: *command, cancelled_count });
    }

    /// Only requests of those who run the venue are remembered: a trader's must not push them out.
    fn remember_request(&mut self, author: KeyId, note: &AdminNote) {
        if self.directory.runs_the_venue(author) {
            self.directory.remember(author, note.idempotency_key);
        }
    }

    fn check_kill_switch<S: EventSink>(&self, turn: &Turn<'_, S>, command: &KillSwitch) -> Result<(), RejectReason> {
        self.check_right(
            turn,
            match command.switch {
                Switch::Engaged => Right::Cancel(command.account),
                Switch::Lifted => Right::Contain,
            },
        )?;
        if self.directory.is_repeated(turn.header.author, command.note.idempotency_key) {
            return Err(RejectReason::DuplicateRequest);
        }
        match self.accounts.get(command.account.0) {
            Some(_) if command.account != AccountId::FEES => Ok(()),
            _ => Err(RejectReason::UnknownAccount),
        }
    }

    /// Does what is due. Time is the venue's own: nobody else advances it.
    pub(crate) fn advance_time<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        if turn.header.author != KeyId::VENUE || !turn.header.session.is_none() {
            let (kind, reason) = (CommandKind::AdvanceTime, RejectReason::NotEntitled);
            return self.reject_command(turn, AccountId::NONE, kind, &AdminNote::NONE, reason);
        }
        self.cancel_disconnected(turn);
        self.act_on_time(turn);
    }

    /// Cancels what lost sessions do not keep, when their grace has ended.
    fn cancel_disconnected<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        let mut last = SessionId::NONE;
        while let Some(id) = self.sessions.take_due(last, turn.stamp.time) {
            self.collect(AccountId::NONE, id);
            self.cancel_collected(turn, CancelReason::Disconnected, ClientOrderId::NONE, |engine, slot| {
                let may_leave = rules(engine.market_of(slot).phase).cancel == Cancel::Yes;
                may_leave && engine.ends_on_disconnect(&engine.orders.arena[slot])
            });
            last = id;
        }
    }

    /// Whether losing its session ends the order.
    pub(crate) fn ends_on_disconnect(&self, order: &Order) -> bool {
        match order.on_disconnect {
            OnDisconnect::Cancel => true,
            OnDisconnect::Keep => false,
            OnDisconnect::AsSession => self
                .sessions
                .get(order.session)
                .is_some_and(|session| session.cancel_on_disconnect == CancelOnDisconnect::Cancel),
        }
    }

    /// Notes the open orders of an account, else of a session, else of the venue.
    fn collect(&mut self, account: AccountId, session: SessionId) {
        self.victims.clear();
        let arena = &self.orders.arena;
        if !account.is_none() {
            if let Some(account) = self.accounts.get(account.0) {
                self.victims.extend(account.orders.iter(arena, Chain::Account));
            }
        } else if !session.is_none() {
            if let Some(session) = self.sessions.get(session) {
                self.victims.extend(session.orders.iter(arena, Chain::Session));
            }
        } else {
            let orders = self.accounts.iter().flat_map(|(_, account)| account.orders.iter(arena, Chain::Account));
            self.victims.extend(orders);
        }
    }

    /// Cancels the noted orders that `applies` keeps; how many.
    pub(crate) fn cancel_collected<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        reason: CancelReason,
        request: ClientOrderId,
        applies: impl Fn(&Self, Slot) -> bool,
    ) -> u32 {
        let mut count = 0;
        for at in 0..self.victims.len() {
            let slot = self.victims[at];
            if applies(self, slot) {
                self.cancel(turn, slot, reason, Requester::NOBODY, request);
                count += 1;
            }
        }
        count
    }

    /// Ends an order with a report. It may rest or not.
    #[inline(never)]
    pub(crate) fn cancel<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        slot: Slot,
        reason: CancelReason,
        requester: Requester,
        request_client_order_id: ClientOrderId,
    ) {
        let arena = &self.orders.arena;
        let (order, details) = (arena[slot], *arena.details(slot));
        let state =
            OrderState { leaves: Quantity::ZERO, shown: Quantity::ZERO, ..self.state_of(slot, &order, &details) };
        let cancelled_funds = arena.extras_of(&details).funds;
        self.finish(slot, &order, &details, ended_status(reason, details.cumulative));
        let report = self.report(turn, order.account, order.session);
        turn.emit(OrderCancelled {
            report,
            requester,
            order: state,
            cancelled: order.leaves,
            cancelled_funds,
            request_client_order_id,
            reason,
        });
    }

    /// What has become of the order that a refused request names, as far as it is remembered and the author may know.
    pub(crate) fn known_status(
        &self,
        account: AccountId,
        id: OrderId,
        name: ClientOrderId,
        reason: RejectReason,
    ) -> Option<OrderStatus> {
        if reason == RejectReason::NotEntitled {
            return None;
        }
        self.order_status(account, id, name).map(|(_, status)| status)
    }

    /// The account's open order by the venue's name or else by the trader's.
    #[inline]
    pub(crate) fn find_order(&self, account: AccountId, id: OrderId, name: ClientOrderId) -> Option<Slot> {
        match (id.is_none(), name.is_none()) {
            (false, _) => self.orders.arena.find(id).filter(|&slot| self.orders.arena[slot].account == account),
            (true, false) => match self.names.find(&self.orders.arena, account, name)? {
                Named::Open(slot) => Some(slot),
                Named::Closed(..) => None,
            },
            (true, true) => None,
        }
    }
}

/// What a trader who asks later is told of an order that ended for this reason.
fn ended_status(reason: CancelReason, cumulative: Quantity) -> OrderStatus {
    match reason {
        CancelReason::DayEnded
        | CancelReason::Expired
        | CancelReason::OpeningRemainder
        | CancelReason::ClosingRemainder => OrderStatus::Expired,
        CancelReason::FundsRemainder if !cumulative.is_zero() => OrderStatus::Filled,
        _ => OrderStatus::Cancelled,
    }
}
