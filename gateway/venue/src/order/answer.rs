//! From reports to an answer: which of them belong to the command, what they say, and when it is all said.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};
use wire::order_entry::{
    BusinessMessageReject, ExecutionReport, KillSwitchReport, OrderCancelReject, OrderEntryMessage,
    OrderMassActionReport,
};
use wire::{
    CancelReason, ExecType, MassActionResponse, OrderStatus, OrderType, RejectReason, RequestId, SessionSequence, Side,
    TimeInForce, amount,
};

use super::definitions::Definitions;
use super::request::Request;
use crate::decimal;
use crate::reasons;

/// Where an answer ends that does not say so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fence {
    /// It says so itself.
    None,
    /// Before the answer to this request.
    Behind(SessionSequence),
}

/// What the venue answers to one command.
#[derive(Debug)]
pub(crate) struct Answer {
    definitions: Definitions,
    number: SessionSequence,
    fence: Fence,
    /// What ends orders of which nobody knows how many: each is reported, and then the whole.
    is_mass: bool,
    /// A kill switch is answered by this name, and not by number.
    kill: Option<RequestId>,
    complete: bool,
    summary: Summary,
}

/// The JSON object. Absent values are left out.
#[derive(Debug, Default, Serialize)]
struct Summary {
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_order_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instrument: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cumulative: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaves: Option<String>,
    fills: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affected_orders: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Answer {
    /// Nothing is answered yet.
    pub(crate) fn new(request: &Request, definitions: Definitions) -> Self {
        let kill = match request {
            Request::Kill(message) => message.idempotency_key,
            _ => None,
        };
        let is_mass = matches!(request, Request::MassCancel(_) | Request::Kill(_));
        let number = SessionSequence::default();
        Self { definitions, number, fence: Fence::None, is_mass, kill, complete: false, summary: Summary::default() }
    }

    /// The command went out under this number.
    pub(crate) fn sent(&mut self, number: SessionSequence, fence: Fence) {
        self.number = number;
        self.fence = fence;
    }

    /// Whether nothing more comes.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the venue refused the command.
    pub(crate) fn is_refused(&self) -> bool {
        self.summary.outcome == Some(REFUSED)
    }

    /// Takes a message of the venue; what it says to a person, if it belongs to the command.
    pub(crate) fn take(&mut self, message: &OrderEntryMessage) -> Option<String> {
        match message {
            OrderEntryMessage::ExecutionReport(report) if report.answered_sequence == Some(self.number) => {
                Some(self.execution(report))
            }
            OrderEntryMessage::OrderCancelReject(reject) => self.cancel_reject(reject),
            OrderEntryMessage::OrderMassActionReport(report) if report.answered_sequence == Some(self.number) => {
                Some(self.mass_action(report))
            }
            OrderEntryMessage::BusinessMessageReject(reject) => self.business_reject(reject),
            OrderEntryMessage::KillSwitchReport(report)
                if self.kill.is_some() && report.idempotency_key == self.kill =>
            {
                Some(self.killed(report))
            }
            // Definitions come before every report.
            other => {
                self.definitions.take(other);
                None
            }
        }
    }

    /// Prints the object, if one was asked for.
    pub(crate) fn print_end(&self, json: bool) {
        if json {
            println!("{}", self.json());
        }
    }

    /// The answer as one object.
    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(&self.summary).expect("a plain record")
    }

    fn execution(&mut self, report: &ExecutionReport) -> String {
        let ended = matches!(
            report.order_status,
            Some(OrderStatus::Filled | OrderStatus::Cancelled | OrderStatus::Rejected | OrderStatus::Expired)
        );
        self.complete |= (ended && !self.is_mass)
            || (self.fence == Fence::None && report.exec_type == ExecType::New && rests(report));
        self.note(report);
        match report.exec_type {
            ExecType::New => self.accepted("accepted ", report),
            ExecType::Replaced => self.accepted("amended  ", report),
            ExecType::Trade => self.traded(report),
            ExecType::Cancelled | ExecType::Expired => self.cancelled(report),
            ExecType::Rejected => self.refused(report.reject_reason, ""),
            other => format!("{other:?}"),
        }
    }

    /// What the object says of the order: the newest of everything.
    fn note(&mut self, report: &ExecutionReport) {
        let (prices, quantities) = self.definitions.exponents(report.security_id);
        let name = self.definitions.name(report.security_id);
        let summary = &mut self.summary;
        summary.outcome = summary.outcome.or(Some(ACCEPTED));
        summary.status = report.order_status.map(|status| format!("{status:?}"));
        summary.order_id = report.order_id.map(|id| id.0).or(summary.order_id);
        summary.client_order_id = report.client_order_id.map(|id| id.0).or(summary.client_order_id);
        summary.instrument = Some(name);
        summary.side = report.side.map(side).or(summary.side);
        if report.exec_type == ExecType::Rejected {
            return;
        }
        // A trade's report does not say these again.
        if report.exec_type != ExecType::Trade {
            summary.price = report.price.map(|price| decimal::text(price.0, prices));
            summary.quantity = report.order_quantity.map(|quantity| decimal::short_text(quantity.0, quantities));
        }
        summary.cumulative = Some(decimal::short_text(report.cumulative_quantity.0, quantities));
        summary.leaves = Some(decimal::short_text(report.leaves_quantity.0, quantities));
    }

    fn accepted(&self, what: &str, report: &ExecutionReport) -> String {
        let (prices, quantities) = self.definitions.exponents(report.security_id);
        let mut line = format!("{what} order {}", report.order_id.map_or(0, |id| id.0));
        if let Some(name) = report.client_order_id {
            let _ = write!(line, ", yours {name}");
        }
        let quantity = report.order_quantity.map_or_else(String::new, |it| decimal::short_text(it.0, quantities));
        let name = self.definitions.name(report.security_id);
        let _ = write!(line, ": {} {quantity} {name}", report.side.map_or("", side));
        let _ = match report.price {
            Some(price) => write!(line, " at {}", decimal::text(price.0, prices)),
            None => write!(line, " {}", report.order_type.map_or("", order_type)),
        };
        if let Some(tif) = report.time_in_force {
            let _ = write!(line, ", {}", time_in_force(tif));
        }
        let leaves = decimal::short_text(report.leaves_quantity.0, quantities);
        if report.leaves_quantity.0 != report.order_quantity.map_or(0, |quantity| quantity.0) {
            let _ = write!(line, ", {leaves} open");
        }
        line
    }

    fn traded(&mut self, report: &ExecutionReport) -> String {
        let (prices, quantities) = self.definitions.exponents(report.security_id);
        let price = report.last_price.map_or_else(String::new, |price| decimal::text(price.0, prices));
        let quantity = report.last_quantity.map_or_else(String::new, |it| decimal::short_text(it.0, quantities));
        let leaves = decimal::short_text(report.leaves_quantity.0, quantities);
        let fee = amount::join_signed(report.fee_high, report.fee_low);
        let asset = report.fee_asset.map(|asset| asset.0);
        let told = self.definitions.assets().fee(report);
        let trade = report.trade_id.map(|trade| trade.0);
        self.summary.fills.push(json!({
            "trade_id": trade, "price": price, "quantity": quantity,
            "fee": fee.map(|fee| fee.to_string()), "fee_asset": asset,
            "fee_decimal": told.map(|fee| fee.amount.to_string()),
            "fee_asset_name": told.map(|fee| fee.asset.to_string()),
        }));
        let mut line = format!("traded    {quantity} at {price}");
        if let Some(fee) = told {
            let _ = write!(line, ", fee {} {}", fee.amount, fee.asset);
        } else if let (Some(fee), Some(asset)) = (fee, asset) {
            let _ = write!(line, ", fee {fee} of asset {asset}'s smallest unit");
        }
        let _ = match report.leaves_quantity.0 {
            0 => write!(line, ": filled"),
            _ => write!(line, ", {leaves} left"),
        };
        line
    }

    fn cancelled(&mut self, report: &ExecutionReport) -> String {
        let (_, quantities) = self.definitions.exponents(report.security_id);
        let reason = report.cancel_reason.unwrap_or(CancelReason(0));
        let words = reasons::why_cancelled(reason);
        let name = reason.name().map_or_else(|| format!("reason {}", reason.0), str::to_owned);
        let quantity = report.cancelled_quantity.map_or_else(String::new, |it| decimal::short_text(it.0, quantities));
        let line = format!("cancelled {quantity}, {name}: {words}");
        self.summary.cancel_reason = Some(name);
        self.summary.text = Some(words);
        line
    }

    /// The fence's own refusal ends the answer and is no part of it.
    fn cancel_reject(&mut self, reject: &OrderCancelReject) -> Option<String> {
        let answered = reject.answered_sequence?;
        if Fence::Behind(answered) == self.fence {
            self.complete = true;
            return None;
        }
        if answered != self.number {
            return None;
        }
        self.summary.order_id = reject.order_id.map(|id| id.0);
        self.summary.client_order_id = reject.original_client_order_id.map(|id| id.0);
        Some(self.refused(Some(reject.reject_reason), ""))
    }

    fn mass_action(&mut self, report: &OrderMassActionReport) -> String {
        if report.response != MassActionResponse::Completed {
            return self.refused(report.reject_reason, "");
        }
        self.complete = true;
        self.summary.outcome = Some(ACCEPTED);
        self.summary.affected_orders = Some(report.affected_orders.0);
        format!("cancelled {} orders", report.affected_orders)
    }

    fn killed(&mut self, report: &KillSwitchReport) -> String {
        self.complete = true;
        self.summary.outcome = Some(ACCEPTED);
        self.summary.affected_orders = Some(report.affected_orders.0);
        format!("blocked   account {}, cancelled {} orders", report.account, report.affected_orders)
    }

    fn business_reject(&mut self, reject: &BusinessMessageReject) -> Option<String> {
        if let (Some(answered), Fence::Behind(fence)) = (reject.answered_sequence, self.fence)
            && answered == fence
        {
            // The edge had no room for it; the reports that are there by now are all that can be told.
            self.complete = true;
            return None;
        }
        let by_number = reject.answered_sequence == Some(self.number);
        let by_name = self.kill.is_some() && reject.reference_id == self.kill;
        (by_number || by_name)
            .then(|| self.refused(Some(reject.reject_reason), reject.text.as_str().unwrap_or_default()))
    }

    fn refused(&mut self, reason: Option<RejectReason>, text: &str) -> String {
        let reason = reason.unwrap_or(RejectReason(0));
        let mut words = reasons::why_refused(reason);
        if !text.is_empty() {
            let _ = write!(words, " ({text})");
        }
        self.complete = true;
        self.summary.outcome = Some(REFUSED);
        self.summary.reason = Some(reason.to_string());
        let line = format!("refused   {reason}: {words}");
        self.summary.text = Some(words);
        line
    }
}

const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";

/// Whether an order that was just accepted does no more by itself: without a fence only a post-only order was sent.
fn rests(report: &ExecutionReport) -> bool {
    report.instructions.contains(wire::ExecInst::POST_ONLY)
}

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
        Side::NonRepresentable => "?",
    }
}

pub(super) fn order_type(order_type: OrderType) -> &'static str {
    match order_type {
        OrderType::Market => "at market",
        OrderType::Limit => "at its limit",
        OrderType::Stop => "at a stop",
        OrderType::StopLimit => "at a stop, with a limit",
        OrderType::NonRepresentable => "",
    }
}

pub(super) fn time_in_force(tif: TimeInForce) -> &'static str {
    match tif {
        TimeInForce::Day => "for the day",
        TimeInForce::GoodTillCancel => "good till cancel",
        TimeInForce::AtTheOpening => "at the opening",
        TimeInForce::ImmediateOrCancel => "immediate or cancel",
        TimeInForce::FillOrKill => "fill or kill",
        TimeInForce::GoodTillDate => "good till date",
        TimeInForce::AtTheClose => "at the close",
        TimeInForce::NonRepresentable => "for a time that is not known",
    }
}
