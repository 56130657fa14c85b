//! `rialto order status|list|balance`: a question of one trader, and what the venue answers.

use client::Client;
use serde_json::{Map, Value, json};
use wire::order_entry::{
    AccountBalance, AccountBalanceRequest, BusinessMessageReject, ExecutionReport, OrderEntryMessage,
    OrderMassStatusRequest, OrderStatusRequest,
};
use wire::{AccountId, Indicator, OrderStatus, RequestId, amount};

use super::answer::{order_type, side, time_in_force};
use super::definitions::Definitions;
use super::request::{self, RequestError};
use super::{hear_out, lost};
use crate::arguments::{AskCommand, TraderArguments};
use crate::decimal;
use crate::exit::Exit;
use crate::reach::{self, ReachError};
use crate::reasons;

/// A session asks one question.
const REQUEST: Option<RequestId> = Some(RequestId(1));

/// Asks, and prints the answer.
pub(super) fn ask(command: &AskCommand) -> Result<Exit, ReachError> {
    let trader = trader(command);
    let (mut client, account) = reach::order_entry(trader)?;
    let mut answer = Answer { definitions: send(command, account, &mut client)?, ..Answer::default() };
    hear_out(&mut client, |message| {
        if let Some(line) = answer.take(message)
            && !trader.json
        {
            println!("{line}");
        }
        answer.is_complete
    })?;
    // Whatever the goodbye meets, the answer is known.
    let _ = client.close();
    match trader.json {
        true => println!("{}", answer.json(command)),
        false if answer.found.is_empty() && answer.refusal.is_none() => println!("nothing"),
        false => {}
    }
    Ok(if answer.refusal.is_some() { Exit::Differs } else { Exit::Done })
}

fn trader(command: &AskCommand) -> &TraderArguments {
    match command {
        AskCommand::Status(arguments) => &arguments.trader,
        AskCommand::List(arguments) => &arguments.trader,
        AskCommand::Balance(arguments) => &arguments.trader,
    }
}

/// Sends the question; the assets and instruments that were told of by then.
fn send(command: &AskCommand, account: AccountId, client: &mut Client) -> Result<Definitions, ReachError> {
    let mut definitions = Definitions::default();
    match command {
        AskCommand::Status(arguments) => {
            let (order_id, client_order_id) = request::named(&arguments.which);
            client.ask(&OrderStatusRequest { account, request_id: REQUEST, order_id, client_order_id })
        }
        AskCommand::List(arguments) => {
            let wanted = arguments.instrument.as_deref();
            definitions = super::definitions(client, wanted)?;
            let usage = |error: RequestError| ReachError::Usage(error.to_string());
            let found =
                wanted.map(|wanted| request::found(definitions.instruments(), wanted)).transpose().map_err(usage)?;
            let security_id = found.map(|instrument| instrument.security_id);
            client.ask(&OrderMassStatusRequest { account, request_id: REQUEST, security_id })
        }
        AskCommand::Balance(_) => client.ask(&AccountBalanceRequest { account, request_id: REQUEST }),
    }
    .map_err(lost)?;
    Ok(definitions)
}

/// What the venue answers.
#[derive(Debug, Default)]
struct Answer {
    definitions: Definitions,
    /// Orders or balances, as JSON has them.
    found: Vec<Value>,
    /// Why there is no answer: the reason's name, and in words.
    refusal: Option<(String, String)>,
    is_complete: bool,
}

impl Answer {
    /// Takes a message of the venue; what it says to a person, if it belongs to the answer.
    fn take(&mut self, message: &OrderEntryMessage) -> Option<String> {
        match message {
            OrderEntryMessage::ExecutionReport(report) if report.request_id == REQUEST => {
                self.is_complete = report.last_report_requested == Some(Indicator::Yes);
                return self.order(report);
            }
            OrderEntryMessage::AccountBalance(balance) if balance.request_id == REQUEST => {
                self.is_complete = balance.last_report_requested == Some(Indicator::Yes);
                return self.balance(balance);
            }
            OrderEntryMessage::BusinessMessageReject(reject) if reject.reference_id == REQUEST => {
                return Some(self.refused(reject));
            }
            other => self.definitions.take(other),
        }
        None
    }

    /// The answer as one object: an order, or all that was found.
    fn json(&self, command: &AskCommand) -> Value {
        match (&self.refusal, command, &self.found[..]) {
            (Some((reason, text)), _, _) => json!({ "outcome": "refused", "reason": reason, "text": text }),
            (None, AskCommand::Status(_), [order]) => order.clone(),
            (None, _, found) => json!({ "outcome": "found", "count": found.len(), "found": found }),
        }
    }

    fn order(&mut self, report: &ExecutionReport) -> Option<String> {
        if let Some(reason) = report.reject_reason {
            return Some(self.refuse(reason, String::new()));
        }
        let status = report.order_status?;
        let (prices, quantities) = self.definitions.exponents(report.security_id);
        let price = |price: Option<wire::Price>| price.map(|price| decimal::text(price.0, prices));
        let quantity = |quantity: wire::Quantity| decimal::short_text(quantity.0, quantities);
        let name = self.definitions.name(report.security_id);
        let funds = amount::join(report.funds_high, report.funds_low);
        let quote = self.definitions.quote(report.security_id);
        self.found.push(without_absent(json!({
            "outcome": "found",
            "status": format!("{status:?}"),
            "order_id": report.order_id.map(|id| id.0),
            "client_order_id": report.client_order_id.map(|id| id.0),
            "instrument": name,
            "side": report.side.map(side),
            "type": report.order_type.map(|it| format!("{it:?}")),
            "tif": report.time_in_force.map(|it| format!("{it:?}")),
            "price": price(report.price),
            "stop_price": price(report.stop_price),
            "quantity": report.order_quantity.map(quantity),
            "display": report.display_quantity.map(quantity),
            "funds": funds.map(|funds| funds.to_string()),
            "funds_decimal": funds.zip(quote).map(|(funds, quote)| quote.amount(funds).to_string()),
            "leaves": quantity(report.leaves_quantity),
            "cumulative": quantity(report.cumulative_quantity),
            "prevented": quantity(report.prevented_quantity),
            "expire_time": report.expire_time.map(|time| time.0),
            "journal_sequence": report.journal_sequence.map(|sequence| sequence.0),
        })));
        let yours = report.client_order_id.map_or_else(String::new, |name| format!(", yours {name}"));
        if status == OrderStatus::PendingNew {
            return Some(format!("order{yours}: {name}, on its way to the core"));
        }
        let id = report.order_id.map_or(0, |id| id.0);
        let terms = match (price(report.price), price(report.stop_price)) {
            (Some(price), None) => format!("at {price}"),
            (Some(price), Some(stop)) => format!("at {price}, stop {stop}"),
            (None, Some(stop)) => format!("stop {stop}"),
            (None, None) => report.order_type.map_or("", order_type).to_owned(),
        };
        let ordered = report.order_quantity.map_or_else(String::new, quantity);
        let lives = report.time_in_force.map_or("", time_in_force);
        let (leaves, traded) = (quantity(report.leaves_quantity), quantity(report.cumulative_quantity));
        let side = report.side.map_or("", side);
        Some(format!("order {id}{yours}: {side} {ordered} {name} {terms}, {lives}, {leaves} open, {traded} traded"))
    }

    fn balance(&mut self, balance: &AccountBalance) -> Option<String> {
        let asset = balance.asset?;
        let available = amount::join(balance.available_high, balance.available_low)?;
        let held = amount::join(balance.held_high, balance.held_low)?;
        let told = self.definitions.assets().get(asset);
        let shown = |units| told.map(|asset| asset.amount(units).to_string());
        self.found.push(without_absent(json!({
            "asset": asset.0, "available": available.to_string(), "held": held.to_string(),
            "asset_name": told.map(ToString::to_string),
            "available_decimal": shown(available),
            "held_decimal": shown(held),
        })));
        if let (Some(name), Some(available), Some(held)) = (told, shown(available), shown(held)) {
            return Some(format!("{name}: {available} available, {held} held"));
        }
        Some(format!("asset {asset}: {available} available, {held} held, in its smallest unit"))
    }

    fn refused(&mut self, reject: &BusinessMessageReject) -> String {
        self.refuse(reject.reject_reason, reject.text.as_str().unwrap_or_default().to_owned())
    }

    fn refuse(&mut self, reason: wire::RejectReason, text: String) -> String {
        self.is_complete = true;
        let mut words = reasons::why_refused(reason);
        if !text.is_empty() {
            words = format!("{words} ({text})");
        }
        let line = format!("refused   {reason}: {words}");
        self.refusal = Some((reason.to_string(), words));
        line
    }
}

fn without_absent(object: Value) -> Value {
    match object {
        Value::Object(members) => {
            Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}
