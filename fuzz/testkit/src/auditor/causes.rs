//! Which command may cause which event, how often, and in which order many orders end.

use engine::event::OrderCancelled;
use engine::{AccountId, CancelReason, Command, CommandBody, CommandKind, Event, EventHeader, InstrumentId};

use super::orders::is_named;
use super::{Auditor, Checked, ensure, is_by_matching};

/// What a command answered and ended so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    count: u32,
    cancelled: u32,
    last_cancelled: Option<(CancelReason, AccountId, InstrumentId, u64, u64)>,
}

impl Auditor {
    /// 9.2: whether the command is one that causes such an event.
    pub(super) fn cause(&mut self, command: &Command, event: &Event) -> Checked {
        let kind = command.body.kind();
        let caused = match event {
            Event::OrderAccepted(_) | Event::OrderRejected(_) => kind == CommandKind::NewOrder,
            Event::OrderReplaced(_) => kind == CommandKind::ReplaceOrder,
            Event::CancelRejected(event) => {
                event.response_to == kind && matches!(kind, CommandKind::ReplaceOrder | CommandKind::CancelOrder)
            }
            Event::Trade(_) | Event::MatchPrevented(_) | Event::OrderTriggered(_) | Event::OrderRestated(_) => {
                matches!(kind, CommandKind::NewOrder | CommandKind::ReplaceOrder)
            }
            Event::MassCancelled(_) | Event::MassCancelRejected(_) => kind == CommandKind::MassCancel,
            Event::TradeBusted(_) => kind == CommandKind::BustTrade,
            Event::KillSwitchSet(_) => kind == CommandKind::KillSwitch,
            Event::InstrumentDelisted(_) => kind == CommandKind::DelistInstrument,
            Event::CommandRejected(event) => event.command == kind,
            Event::OrderCancelled(event) => return self.cancel_caused(command, event),
            _ => true,
        };
        ensure(caused, "9.2", || format!("a {} causes no such event", command.body.name()))?;
        if is_answer(event) {
            self.answers.count += 1;
            ensure(self.answers.count == 1, "9.2", || "the command was answered before".to_owned())?;
        }
        Ok(())
    }

    /// 8.13, 8.14, 9.6: whether the command is one that ends orders for this reason, and this order.
    fn cancel_caused(&mut self, command: &Command, event: &OrderCancelled) -> Checked {
        let (kind, reason, id) = (command.body.kind(), event.reason, event.order.order_id);
        let caused = match reason {
            CancelReason::Requested => matches!(kind, CommandKind::CancelOrder),
            CancelReason::Administrator => matches!(kind, CommandKind::CancelOrder | CommandKind::MassCancel),
            CancelReason::AmendedToFilled => kind == CommandKind::ReplaceOrder,
            CancelReason::MassCancel => kind == CommandKind::MassCancel,
            CancelReason::KillSwitch => kind == CommandKind::KillSwitch,
            CancelReason::Delisted => kind == CommandKind::DelistInstrument,
            CancelReason::KeyRevoked => kind == CommandKind::RevokeKey,
            CancelReason::Disconnected | CancelReason::DayEnded | CancelReason::Expired => {
                kind == CommandKind::AdvanceTime
            }
            reason if is_by_matching(reason) => matches!(kind, CommandKind::NewOrder | CommandKind::ReplaceOrder),
            _ => false,
        };
        ensure(caused, "9.2", || format!("a {} does not end orders so", command.body.name()))?;
        let order = self.open(id, event.report.account)?;
        let age = order.age;
        let named = match command.body {
            CommandBody::CancelOrder(it) => {
                it.account == order.account && is_named(order, id, it.order_id, it.original_client_order_id)
            }
            CommandBody::ReplaceOrder(it) if reason == CancelReason::AmendedToFilled => {
                it.account == order.account && is_named(order, id, it.order_id, it.original_client_order_id)
            }
            CommandBody::MassCancel(it) => {
                (it.account.is_none() || it.account == order.account)
                    && (it.instrument.is_none() || it.instrument == order.state.instrument)
                    && it.side.is_none_or(|side| side == order.state.side)
                    && (it.entered_by.is_none() || it.entered_by == order.session)
            }
            CommandBody::KillSwitch(it) => it.account == order.account,
            CommandBody::DelistInstrument(it) => it.instrument == order.state.instrument,
            _ => true,
        };
        ensure(named, "8.13", || "the command does not name this order".to_owned())?;
        let expiry = if reason == CancelReason::Expired { order.expire_at.0 } else { 0 };
        let this = (reason, order.account, order.state.instrument, expiry, age);
        let last = self.answers.last_cancelled.replace(this);
        let by_session =
            matches!(command.body, CommandBody::MassCancel(it) if it.account.is_none() && !it.entered_by.is_none());
        let follows = last.is_none_or(|last| match reason {
            CancelReason::MassCancel | CancelReason::KillSwitch | CancelReason::Administrator => {
                (last.1 != this.1 && !by_session) || last.4 < age
            }
            CancelReason::Delisted => last.4 < age,
            CancelReason::DayEnded => (last.0, last.2) != (this.0, this.2) || last.4 < age,
            CancelReason::Expired => last.0 != this.0 || (last.3, last.4) < (expiry, age),
            _ => true,
        });
        let rule = match reason {
            CancelReason::DayEnded => "1.8",
            CancelReason::Expired => "1.9",
            CancelReason::Delisted => "8.18",
            _ => "8.13",
        };
        ensure(follows, rule, || "an older order had to end before".to_owned())?;
        self.answers.cancelled += 1;
        let answers = matches!(reason, CancelReason::Requested | CancelReason::AmendedToFilled)
            || (reason == CancelReason::Administrator && kind == CommandKind::CancelOrder);
        self.answers.count += u32::from(answers);
        ensure(!answers || self.answers.count == 1, "9.2", || "the command was answered before".to_owned())
    }

    /// A summary counts what was told.
    pub(super) fn ensure_count(&self, told: u32, rule: &'static str) -> Checked {
        let cancelled = self.answers.cancelled;
        ensure(told == cancelled, rule, || format!("{cancelled} orders ended"))
    }

    /// 9.2, 10.1: a request is answered once; a repetition not at all.
    pub(super) fn answered(&mut self, command: &Command, events: &[(EventHeader, Event)]) -> Checked {
        if self.is_repetition(command) {
            return ensure(events.is_empty(), "10.1", || "a repetition was applied".to_owned());
        }
        let wants = matches!(
            command.body,
            CommandBody::NewOrder(_) | CommandBody::ReplaceOrder(_) | CommandBody::CancelOrder(_)
        );
        ensure(!wants || self.answers.count == 1, "9.2", || "the command was not answered".to_owned())
    }
}

fn is_answer(event: &Event) -> bool {
    matches!(
        event,
        Event::OrderAccepted(_) | Event::OrderRejected(_) | Event::OrderReplaced(_) | Event::CancelRejected(_)
    )
}
