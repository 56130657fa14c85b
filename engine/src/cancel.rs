//! Taking orders out: one, many, all of a blocked account, all of a lost session.

use crate::book::arena::{Order, Slot};
use crate::book::level::Chain;
use crate::command::{CancelOnDisconnect, CancelOrder, CommandKind, KillSwitch, MassCancel, Switch};
use crate::directory::Right;
use crate::engine::Engine;
use crate::event::{
    CancelRejected, CommandRejected, EventSink, KillSwitchSet, MassCancelRejected, MassCancelled, OrderCancelled,
    Requester,
};
use crate::order::{OnDisconnect, OrderStatus};
use crate::phases::{Cancel, rules};
use crate::reject::{CancelReason, RejectReason};
use crate::turn::Turn;
use crate::{AccountId, ClientOrderId, OrderId, Quantity, SessionId, Timestamp};

impl Engine {
    /// Cancels one order.
    pub(crate) fn cancel_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, cancel: &CancelOrder) {
        match self.check_cancel(turn, cancel) {
            Ok(slot) => {
                let requester = self.requester(turn, self.orders.arena[slot].session);
                self.cancel(turn, slot, CancelReason::Requested, requester, cancel.client_order_id);
            }
            Err(reason) => {
                let report = self.answer(turn, cancel.account);
                turn.emit(CancelRejected {
                    report,
                    response_to: CommandKind::CancelOrder,
                    order_id: cancel.order_id,
                    original_client_order_id: cancel.original_client_order_id,
                    client_order_id: cancel.client_order_id,
                    reason,
                });
            }
        }
    }

    fn check_cancel<S: EventSink>(&self, turn: &Turn<'_, S>, cancel: &CancelOrder) -> Result<Slot, RejectReason> {
        self.check_right(turn, Right::Cancel(cancel.account))?;
        self.accounts.get(cancel.account.0).ok_or(RejectReason::UnknownAccount)?;
        let slot = self
            .find_order(cancel.account, cancel.order_id, cancel.original_client_order_id)
            .ok_or(RejectReason::UnknownOrder)?;
        match rules(self.market_of(slot).phase).cancel {
            Cancel::Yes => Ok(slot),
            Cancel::No => Err(RejectReason::PhaseNotAllowed),
        }
    }

    /// Cancels all orders that the given filters name: of one account oldest first, of a session oldest first, of the
    /// whole venue account by account.
    pub(crate) fn mass_cancel<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, cancel: &MassCancel) {
        if let Err(reason) = self.check_mass_cancel(turn, cancel) {
            let report = self.answer(turn, cancel.account);
            turn.emit(MassCancelRejected { report, client_order_id: cancel.client_order_id, reason });
            return;
        }
        let matches = |engine: &Self, slot: Slot| {
            let order = &engine.orders.arena[slot];
            (cancel.instrument.is_none() || order.instrument == cancel.instrument)
                && cancel.side.is_none_or(|side| order.side == side)
                && (cancel.entered_by.is_none() || order.session == cancel.entered_by)
                && rules(engine.market_of(slot).phase).cancel == Cancel::Yes
        };
        self.collect(cancel.account, cancel.entered_by);
        let cancelled_count = self.cancel_collected(turn, CancelReason::MassCancel, matches);
        let report = self.answer(turn, cancel.account);
        turn.emit(MassCancelled {
            report,
            client_order_id: cancel.client_order_id,
            instrument: cancel.instrument,
            side: cancel.side,
            cancelled_count,
        });
    }

    fn check_mass_cancel<S: EventSink>(&self, turn: &Turn<'_, S>, cancel: &MassCancel) -> Result<(), RejectReason> {
        let own_session = !cancel.entered_by.is_none() && cancel.entered_by == turn.header.session;
        match (cancel.account.is_none(), own_session) {
            (false, _) => self.check_right(turn, Right::Cancel(cancel.account))?,
            (true, false) => self.check_right(turn, Right::Administer)?,
            (true, true) => self.check_standing(turn)?,
        }
        if !cancel.instrument.is_none() && self.markets.get(cancel.instrument.0).is_none() {
            return Err(RejectReason::UnknownInstrument);
        }
        if !cancel.account.is_none() && self.accounts.get(cancel.account.0).is_none() {
            return Err(RejectReason::UnknownAccount);
        }
        Ok(())
    }

    /// Engages or lifts an account's kill switch. Whoever may cancel for the account may engage it.
    pub(crate) fn kill_switch<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &KillSwitch) {
        if let Err(reason) = self.check_kill_switch(turn, command) {
            turn.emit(CommandRejected {
                author: turn.header.author,
                command: CommandKind::KillSwitch,
                note: command.note,
                reason,
            });
            return;
        }
        self.directory.remember(turn.header.author, command.note.idempotency_key);
        let account = self.accounts.get_mut(command.account.0).expect("the account was checked");
        account.kill_switch = command.switch;
        let cancelled_count = match command.switch {
            Switch::Lifted => 0,
            Switch::Engaged => {
                self.collect(command.account, SessionId::NONE);
                self.cancel_collected(turn, CancelReason::KillSwitch, |_, _| true)
            }
        };
        turn.emit(KillSwitchSet { author: turn.header.author, command: *command, cancelled_count });
    }

    fn check_kill_switch<S: EventSink>(&self, turn: &Turn<'_, S>, command: &KillSwitch) -> Result<(), RejectReason> {
        self.check_right(
            turn,
            match command.switch {
                Switch::Engaged => Right::Cancel(command.account),
                Switch::Lifted => Right::Administer,
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

    /// Cancels what lost sessions do not keep, when their grace has ended.
    pub(crate) fn cancel_disconnected<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        while let Some(id) = self.sessions.due(turn.stamp.time) {
            self.sessions.set_cancel_at(id, Timestamp::NEVER);
            self.collect(AccountId::NONE, id);
            self.cancel_collected(turn, CancelReason::Disconnected, |engine, slot| {
                engine.ends_on_disconnect(&engine.orders.arena[slot])
            });
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
    fn cancel_collected<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        reason: CancelReason,
        applies: impl Fn(&Self, Slot) -> bool,
    ) -> u32 {
        let mut count = 0;
        for at in 0..self.victims.len() {
            let slot = self.victims[at];
            if applies(self, slot) {
                self.cancel(turn, slot, reason, Requester::NOBODY, ClientOrderId::NONE);
                count += 1;
            }
        }
        count
    }

    /// Ends an order with a report. It may rest or not.
    pub(crate) fn cancel<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        slot: Slot,
        reason: CancelReason,
        requester: Requester,
        request_client_order_id: ClientOrderId,
    ) {
        let mut order = self.order_state(slot);
        let cancelled = core::mem::replace(&mut order.leaves, Quantity::ZERO);
        let (account, session) = (self.orders.arena[slot].account, self.orders.arena[slot].session);
        self.end_order(slot, OrderStatus::Cancelled);
        let report = self.report(turn, account, session);
        turn.emit(OrderCancelled { report, requester, order, cancelled, request_client_order_id, reason });
    }

    /// The account's open order by the venue's name or else by the trader's.
    pub(crate) fn find_order(&self, account: AccountId, id: OrderId, name: ClientOrderId) -> Option<Slot> {
        use crate::book::index::Named;
        let id = match (id.is_none(), name.is_none()) {
            (false, _) => id,
            (true, false) => match self.names.find(account, name)? {
                Named::Open(id) => id,
                Named::Closed(..) => return None,
            },
            (true, true) => return None,
        };
        self.orders.arena.find(id).filter(|&slot| self.orders.arena[slot].account == account)
    }
}
