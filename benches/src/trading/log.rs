//! A trader's own log of every report, and what must hold in it whatever happened to the venue.
//!
//! * Reports come by their numbers, each once.
//! * Every request is answered once, and what follows from it comes behind the answer.
//! * What was filled of an order adds up, and so does what is left of it.
//!
//! A rule that does not hold is a [`Fault`]: something was lost, or something was doubled.

use std::collections::BTreeMap;

use client::wire::order_entry::{ExecutionReport, OrderCancelReject, OrderEntryMessage, OrderMassActionReport};
use client::wire::{
    self, ClientOrderId, EventIndex, ExecType, ExecutionId, Indicator, JournalSequence, MassActionResponse, Price,
    Quantity, SecurityId, SessionSequence, Side, TradeId, amount,
};

use crate::trading::message::Message;

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Something is missing.
    Lost(String),
    /// Something is there more than once, or is not what it should be.
    Doubled(String),
}

/// An order by its account and its trader's name for it.
pub type OrderName = (wire::AccountId, ClientOrderId);

/// An order that is open as far as its trader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOrder {
    /// Of what.
    pub security_id: SecurityId,
    /// Which side.
    pub side: Side,
    /// What is open, as a mantissa.
    pub leaves: i64,
    /// What was filled, as a mantissa.
    pub cumulative: i64,
}

/// One side of a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Which trade.
    pub trade_id: TradeId,
    /// Whose order.
    pub order: OrderName,
    /// Of what.
    pub security_id: SecurityId,
    /// Which side.
    pub side: Side,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// What it cost, in the quote asset's smallest unit; less than zero: a rebate.
    pub fee: i128,
    /// Whether the order came, or rested.
    pub aggressor: Indicator,
}

/// Where a report comes from: the command, and the event of it.
pub type Origin = (JournalSequence, EventIndex);

/// What one session was told.
#[derive(Debug, Default)]
pub struct Log {
    /// The number of the last report.
    last_report: u64,
    /// Every request by its number, from 1.
    requests: Vec<Asked>,
    unanswered: BTreeMap<u64, Message>,
    orders: BTreeMap<OrderName, OpenOrder>,
    fills: Vec<Fill>,
    executions: Vec<(wire::AccountId, ExecutionId, Origin)>,
    last_sequence: u64,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    New,
    Replace,
    Cancel,
    MassCancel,
}

impl Log {
    /// A request was sent under this number; sent again, it is the same.
    pub fn sent(&mut self, SessionSequence(number): SessionSequence, message: Message) {
        if number <= self.requests.len() as u64 {
            return;
        }
        if number != self.requests.len() as u64 + 1 {
            self.faults.push(Fault::Lost(format!("requests before {number}")));
        }
        self.requests.push(match message {
            Message::New(_) => Asked::New,
            Message::Replace(_) => Asked::Replace,
            Message::Cancel(_) => Asked::Cancel,
            Message::MassCancel(_) => Asked::MassCancel,
        });
        self.unanswered.insert(number, message);
    }

    /// Takes in a message of the venue.
    pub fn message(&mut self, message: &OrderEntryMessage) {
        match message {
            OrderEntryMessage::ExecutionReport(report) => self.execution(report),
            OrderEntryMessage::OrderCancelReject(reject) => self.cancel_reject(reject),
            OrderEntryMessage::OrderMassActionReport(report) => self.mass_action(report),
            OrderEntryMessage::BusinessMessageReject(reject) => {
                self.faults.push(Fault::Lost(format!("a request was refused at the edge: {reject:?}")));
                if let Some(number) = reject.answered_sequence {
                    self.unanswered.remove(&number.0);
                }
            }
            _ => {}
        }
    }

    /// Requests without an answer, by number.
    pub fn unanswered(&self) -> &BTreeMap<u64, Message> {
        &self.unanswered
    }

    /// Orders that are open.
    pub fn orders(&self) -> &BTreeMap<OrderName, OpenOrder> {
        &self.orders
    }

    /// One order, if it is open.
    pub fn order(&self, name: OrderName) -> Option<&OpenOrder> {
        self.orders.get(&name)
    }

    /// Every fill, in order.
    pub fn fills(&self) -> &[Fill] {
        &self.fills
    }

    /// Every report that has a number of its account.
    pub fn executions(&self) -> &[(wire::AccountId, ExecutionId, Origin)] {
        &self.executions
    }

    /// The number of the last report.
    pub fn last_report(&self) -> u64 {
        self.last_report
    }

    /// The number of the last request.
    pub fn last_request(&self) -> u64 {
        self.requests.len() as u64
    }

    /// The command that the last report is of.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Something else does not hold.
    pub fn found(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// What does not hold; later calls give what came since.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    fn execution(&mut self, report: &ExecutionReport) {
        self.number(report.report_number);
        self.origin(report.account, report.execution_id, (report.journal_sequence, report.event_index));
        let name = report.client_order_id.map(|name| (report.account, name));
        let Some(name) = name else {
            return self.faults.push(Fault::Lost(format!("a report names no order: {report:?}")));
        };
        match report.exec_type {
            ExecType::New => self.accepted(name, report),
            ExecType::Rejected => self.answer(report.answered_sequence, &[Asked::New]),
            ExecType::Replaced => self.replaced(name, report),
            ExecType::Trade => self.traded(name, report),
            ExecType::Cancelled | ExecType::Expired => self.cancelled(name, report),
            _ => {}
        }
    }

    fn accepted(&mut self, name: OrderName, report: &ExecutionReport) {
        self.answer(report.answered_sequence, &[Asked::New]);
        let side = report.side.unwrap_or(Side::NonRepresentable);
        let leaves = report.leaves_quantity.0;
        let order = OpenOrder { security_id: report.security_id, side, leaves, cumulative: 0 };
        if self.orders.insert(name, order).is_some() {
            self.faults.push(Fault::Doubled(format!("order {name:?} was accepted while it was open")));
        }
    }

    /// An amend of another session's order is reported to both, and is the other's to keep.
    fn replaced(&mut self, name: OrderName, report: &ExecutionReport) {
        self.answer_own(report.answered_sequence, Asked::Replace);
        let before = report.original_client_order_id.map_or(name, |original| (report.account, original));
        if let Some(order) = self.orders.remove(&before) {
            let leaves = report.leaves_quantity.0;
            self.expect(name, "filled quantity", order.cumulative, report.cumulative_quantity.0);
            self.orders.insert(name, OpenOrder { leaves, ..order });
        }
    }

    fn traded(&mut self, name: OrderName, report: &ExecutionReport) {
        let (Some(trade_id), Some(price), Some(quantity)) = (report.trade_id, report.last_price, report.last_quantity)
        else {
            return self.faults.push(Fault::Lost(format!("a trade says too little: {report:?}")));
        };
        let Some(order) = self.orders.get_mut(&name) else {
            return self.faults.push(Fault::Doubled(format!("order {name:?} traded, but is not open")));
        };
        order.leaves -= quantity.0;
        order.cumulative += quantity.0;
        let order = *order;
        if order.leaves == 0 {
            self.orders.remove(&name);
        }
        self.expect(name, "open quantity", order.leaves, report.leaves_quantity.0);
        self.expect(name, "filled quantity", order.cumulative, report.cumulative_quantity.0);
        self.fills.push(Fill {
            trade_id,
            order: name,
            security_id: report.security_id,
            side: order.side,
            price,
            quantity,
            fee: amount::join_signed(report.fee_high, report.fee_low).unwrap_or(0),
            aggressor: report.aggressor.unwrap_or(Indicator::NonRepresentable),
        });
    }

    /// A cancel of another session's order is reported to both. One that was not asked for, or that follows from
    /// something else, answers nothing.
    fn cancelled(&mut self, name: OrderName, report: &ExecutionReport) {
        self.answer_own(report.answered_sequence, Asked::Cancel);
        // An amend to no more than is filled ends the order; what an amend leads to besides comes behind its answer.
        if report.answered_sequence.is_some_and(|number| self.unanswered.contains_key(&number.0)) {
            self.answer_own(report.answered_sequence, Asked::Replace);
        }
        if let Some(order) = self.orders.remove(&name) {
            let cancelled = report.cancelled_quantity.map_or(0, |quantity| quantity.0);
            self.expect(name, "cancelled quantity", order.leaves, cancelled);
            self.expect(name, "filled quantity", order.cumulative, report.cumulative_quantity.0);
        } else if ![Asked::Cancel, Asked::MassCancel, Asked::Replace]
            .iter()
            .any(|&kind| self.is(report.answered_sequence, kind))
        {
            self.faults.push(Fault::Doubled(format!("order {name:?} was cancelled, but is not open")));
        }
    }

    fn cancel_reject(&mut self, reject: &OrderCancelReject) {
        self.number(reject.report_number);
        self.origin(reject.account, reject.execution_id, (reject.journal_sequence, reject.event_index));
        self.answer(reject.answered_sequence, &[Asked::Cancel, Asked::Replace]);
    }

    fn mass_action(&mut self, report: &OrderMassActionReport) {
        self.number(report.report_number);
        if let Some(account) = report.account {
            self.origin(account, report.execution_id, (report.journal_sequence, report.event_index));
        }
        self.answer(report.answered_sequence, &[Asked::MassCancel]);
        if report.response != MassActionResponse::Completed {
            self.faults.push(Fault::Lost(format!("a mass cancel was refused: {report:?}")));
        }
    }

    fn number(&mut self, number: Option<SessionSequence>) {
        let number = number.map_or(0, |number| number.0);
        let expected = self.last_report + 1;
        if number < expected {
            self.faults.push(Fault::Doubled(format!("report {number}, behind {}", self.last_report)));
        } else if number > expected {
            self.faults.push(Fault::Lost(format!("reports {expected} to {}", number - 1)));
        }
        self.last_report = number;
    }

    fn origin(
        &mut self,
        account: wire::AccountId,
        execution: Option<ExecutionId>,
        origin: (Option<JournalSequence>, Option<EventIndex>),
    ) {
        let (Some(sequence), Some(index)) = origin else {
            return self.faults.push(Fault::Lost("a report does not say which command it is of".to_owned()));
        };
        if sequence.0 < self.last_sequence {
            self.faults.push(Fault::Doubled(format!("a report of {sequence:?}, behind {}", self.last_sequence)));
        }
        self.last_sequence = sequence.0;
        self.executions.extend(execution.map(|execution| (account, execution, (sequence, index))));
    }

    /// The one answer to a request.
    fn answer(&mut self, number: Option<SessionSequence>, kinds: &[Asked]) {
        let number = number.map_or(0, |number| number.0);
        if !kinds.iter().any(|&kind| self.is(Some(SessionSequence(number)), kind)) {
            self.faults.push(Fault::Doubled(format!("an answer to {number}, which was never asked")));
        } else if self.unanswered.remove(&number).is_none() {
            self.faults.push(Fault::Doubled(format!("request {number} was answered again")));
        }
    }

    /// The same, if it answers a request of this kind at all.
    fn answer_own(&mut self, number: Option<SessionSequence>, kind: Asked) {
        if self.is(number, kind) {
            self.answer(number, &[kind]);
        }
    }

    fn is(&self, number: Option<SessionSequence>, kind: Asked) -> bool {
        let index = number.and_then(|number| usize::try_from(number.0).ok()?.checked_sub(1));
        index.and_then(|index| self.requests.get(index)) == Some(&kind)
    }

    fn expect(&mut self, name: OrderName, what: &str, expected: i64, found: i64) {
        if expected != found {
            self.faults.push(Fault::Doubled(format!("order {name:?}: {what} {found}, by its reports {expected}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::wire::Block;
    use client::wire::order_entry::{NewOrderSingle, OrderCancelRequest};

    const ACCOUNT: wire::AccountId = wire::AccountId(2);
    const NAME: ClientOrderId = ClientOrderId(7);

    fn report(number: u64, answers: u64, exec_type: ExecType, leaves: i64, cumulative: i64) -> ExecutionReport {
        ExecutionReport {
            report_number: Some(SessionSequence(number)),
            answered_sequence: (answers > 0).then_some(SessionSequence(answers)),
            account: ACCOUNT,
            client_order_id: Some(NAME),
            execution_id: Some(ExecutionId(number)),
            journal_sequence: Some(JournalSequence(number)),
            event_index: Some(EventIndex(0)),
            exec_type,
            leaves_quantity: Quantity(leaves),
            cumulative_quantity: Quantity(cumulative),
            trade_id: Some(TradeId(number)),
            last_price: Some(Price(100)),
            last_quantity: Some(Quantity(4)),
            cancelled_quantity: Some(Quantity(6)),
            ..ExecutionReport::BLANK
        }
    }

    /// An order of ten is sent, accepted, fills four, and its cancel is sent.
    fn log() -> Log {
        let mut log = Log::default();
        log.sent(SessionSequence(1), Message::New(NewOrderSingle::BLANK));
        take_in(&mut log, report(1, 1, ExecType::New, 10, 0));
        take_in(&mut log, report(2, 0, ExecType::Trade, 6, 4));
        log.sent(SessionSequence(2), Message::Cancel(OrderCancelRequest::BLANK));
        log
    }

    fn take_in(log: &mut Log, report: ExecutionReport) {
        log.message(&OrderEntryMessage::ExecutionReport(report));
    }

    fn kinds(log: &mut Log) -> Vec<&'static str> {
        let kind = |fault| match fault {
            Fault::Lost(_) => "lost",
            Fault::Doubled(_) => "doubled",
        };
        log.take_faults().into_iter().map(kind).collect()
    }

    #[test]
    fn a_whole_life_of_an_order_has_no_fault() {
        let mut log = log();
        assert_eq!(log.order((ACCOUNT, NAME)).map(|order| (order.leaves, order.cumulative)), Some((6, 4)));
        take_in(&mut log, report(3, 2, ExecType::Cancelled, 0, 4));
        assert_eq!((log.take_faults(), log.orders().len(), log.unanswered().len()), (vec![], 0, 0));
    }

    #[test]
    fn a_report_that_is_missing_or_comes_again_is_a_fault() {
        let mut missing = log();
        take_in(&mut missing, report(4, 2, ExecType::Cancelled, 0, 4));
        assert_eq!(kinds(&mut missing), ["lost"]);
        let mut again = log();
        take_in(&mut again, report(2, 0, ExecType::Trade, 6, 4));
        // The number, what is filled and what is open: all of them tell.
        assert_eq!(kinds(&mut again), ["doubled"; 3]);
    }

    #[test]
    fn a_request_that_is_answered_again_or_was_never_sent_is_a_fault() {
        for answers in [1, 3] {
            let mut log = log();
            take_in(&mut log, report(3, answers, ExecType::Rejected, 0, 0));
            assert_eq!(kinds(&mut log), ["doubled"], "an answer to {answers}");
            assert_eq!(log.unanswered().len(), 1);
        }
    }

    #[test]
    fn quantities_that_do_not_add_up_are_a_fault() {
        let mut log = log();
        take_in(&mut log, report(3, 0, ExecType::Trade, 3, 8));
        assert_eq!(kinds(&mut log), ["doubled"]);
        take_in(&mut log, report(4, 2, ExecType::Cancelled, 0, 8));
        assert_eq!(kinds(&mut log), ["doubled"]);
    }
}
