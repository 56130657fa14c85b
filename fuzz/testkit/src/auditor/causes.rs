//! Which command may cause which event, how often, and in which order many orders end.

use engine::event::OrderCancelled;
use engine::{AccountId, CancelReason, Command, CommandBody, CommandKind, Event, EventHeader, InstrumentId, Timestamp};

use super::orders::{Order, is_named};
use super::{Auditor, Checked, ensure, is_by_matching};

/// What a command answered and ended so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    count: u32,
    cancelled: u32,
    last_end: Option<End>,
}

/// An order's end, as far as its place among others' matters.
#[derive(Debug, Clone, Copy)]
struct End {
    reason: CancelReason,
    account: AccountId,
    instrument: InstrumentId,
    expire_at: Timestamp,
    age: u64,
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
                lets_match(kind)
            }
            Event::Uncrossed(_) => matches!(kind, CommandKind::SetPhase | CommandKind::AdvanceTime),
            Event::PhaseChanged(_) | Event::PriceBoundReached(_) => lets_match(kind),
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
            CancelReason::OpeningRemainder | CancelReason::ClosingRemainder | CancelReason::AuctionRemainder => {
                matches!(kind, CommandKind::SetPhase | CommandKind::AdvanceTime)
            }
            CancelReason::InsufficientFunds => {
                matches!(kind, CommandKind::SetPhase | CommandKind::AdvanceTime | CommandKind::SetPriceProtection)
            }
            reason if is_by_matching(reason) => lets_match(kind),
            _ => false,
        };
        ensure(caused, "9.2", || format!("a {} does not end orders so", command.body.name()))?;
        let order = self.open(id, event.report.account)?;
        ensure(names(command, reason, order), "8.13", || "the command does not name this order".to_owned())?;
        let (account, instrument) = (order.account, order.state.instrument);
        let by_request = matches!(
            reason,
            CancelReason::Requested
                | CancelReason::Administrator
                | CancelReason::MassCancel
                | CancelReason::Disconnected
        );
        ensure(!by_request || !self.keeps_orders(instrument), "7.6", || "nobody cancels in this phase".to_owned())?;
        let end = End { reason, account, instrument, expire_at: order.expire_at, age: order.age };
        self.in_order(command, end)?;
        self.answers.cancelled += 1;
        let answers = matches!(reason, CancelReason::Requested | CancelReason::AmendedToFilled)
            || (reason == CancelReason::Administrator && kind == CommandKind::CancelOrder);
        self.answers.count += u32::from(answers);
        ensure(!answers || self.answers.count == 1, "9.2", || "the command was answered before".to_owned())
    }

    /// 1.8, 1.9, 8.13, 8.18: of many orders that one command ends, the oldest ends first.
    fn in_order(&mut self, command: &Command, end: End) -> Checked {
        let Some(last) = self.answers.last_end.replace(end) else { return Ok(()) };
        // Of the whole venue they end account by account, of a session as they came.
        let by_account = !matches!(command.body, CommandBody::MassCancel(it) if !it.entered_by.is_none());
        let is_older = last.age < end.age;
        let (rule, follows) = match end.reason {
            CancelReason::MassCancel | CancelReason::KillSwitch | CancelReason::Administrator => {
                ("8.13", is_older || (by_account && last.account != end.account))
            }
            CancelReason::Delisted => ("8.18", is_older),
            CancelReason::DayEnded => {
                ("1.8", is_older || last.reason != end.reason || last.instrument != end.instrument)
            }
            CancelReason::Expired => {
                ("1.9", last.reason != end.reason || (last.expire_at, last.age) < (end.expire_at, end.age))
            }
            _ => return Ok(()),
        };
        ensure(follows, rule, || "an older order had to end before".to_owned())
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

/// Whether a command that ends orders for this reason names this one.
fn names(command: &Command, reason: CancelReason, order: &Order) -> bool {
    let (id, instrument) = (order.state.order_id, order.state.instrument);
    match command.body {
        CommandBody::CancelOrder(it) => {
            it.account == order.account && is_named(order, id, it.order_id, it.original_client_order_id)
        }
        CommandBody::ReplaceOrder(it) if reason == CancelReason::AmendedToFilled => {
            it.account == order.account && is_named(order, id, it.order_id, it.original_client_order_id)
        }
        CommandBody::MassCancel(it) => {
            (it.account.is_none() || it.account == order.account)
                && (it.instrument.is_none() || it.instrument == instrument)
                && it.side.is_none_or(|side| side == order.state.side)
                && (it.entered_by.is_none() || it.entered_by == order.session)
        }
        CommandBody::KillSwitch(it) => it.account == order.account,
        CommandBody::DelistInstrument(it) => it.instrument == instrument,
        _ => true,
    }
}

/// Commands in which orders may meet: those that enter them, and those that change phases.
fn lets_match(kind: CommandKind) -> bool {
    matches!(kind, CommandKind::NewOrder | CommandKind::ReplaceOrder | CommandKind::SetPhase | CommandKind::AdvanceTime)
}

fn is_answer(event: &Event) -> bool {
    matches!(
        event,
        Event::OrderAccepted(_) | Event::OrderRejected(_) | Event::OrderReplaced(_) | Event::CancelRejected(_)
    )
}
