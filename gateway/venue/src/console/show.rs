//! Reports as the trader's page has them: every number a decimal in a text, exact.

use serde_json::{Value, json};
use wire::order_entry::{AccountBalance, ExecutionReport};
use wire::{ExecInst, ExecType, Indicator, Price, Quantity, Side, TimeInForce, amount};

use crate::decimal;
use crate::order::Definitions;
use crate::reasons;

/// An open order.
pub(super) fn order(definitions: &Definitions, report: &ExecutionReport) -> Value {
    let (price, quantity) = numbers(definitions, report);
    json!({
        "order_id": report.order_id.map(|id| id.0.to_string()),
        "name": report.client_order_id.map(|name| name.0.to_string()),
        "instrument": definitions.name(report.security_id),
        "side": report.side.map(side),
        "type": report.order_type.map(|it| format!("{it:?}")),
        "tif": report.time_in_force.map(time_in_force),
        "post_only": report.instructions.contains(ExecInst::POST_ONLY),
        "price": report.price.map(&price),
        "stop_price": report.stop_price.map(&price),
        "quantity": report.order_quantity.map(&quantity),
        "leaves": quantity(report.leaves_quantity),
        "cumulative": quantity(report.cumulative_quantity),
    })
}

/// What has become of an order: accepted, cancelled, refused and why.
pub(super) fn report(definitions: &Definitions, report: &ExecutionReport) -> Value {
    let (_, quantity) = numbers(definitions, report);
    let mut shown = order(definitions, report);
    let reason = report.reject_reason.filter(|_| report.exec_type == ExecType::Rejected);
    let cancelled = report.cancel_reason;
    let name = reason.map(|it| it.to_string());
    let name = name.or_else(|| cancelled.map(|it| it.name().map_or_else(|| it.0.to_string(), str::to_owned)));
    let words = reason.map(reasons::why_refused).or_else(|| cancelled.map(reasons::why_cancelled));
    shown["what"] = json!(format!("{:?}", report.exec_type));
    shown["status"] = json!(report.order_status.map(|status| format!("{status:?}")));
    shown["cancelled"] = json!(report.cancelled_quantity.map(quantity));
    shown["reason"] = json!(name);
    shown["text"] = json!(words);
    shown["time"] = json!(report.transact_time.0.to_string());
    shown
}

/// A trade of the account's.
pub(super) fn fill(definitions: &Definitions, report: &ExecutionReport) -> Value {
    let (price, quantity) = numbers(definitions, report);
    let fee = definitions.assets().fee(report);
    json!({
        "trade_id": report.trade_id.map(|id| id.0.to_string()),
        "order_id": report.order_id.map(|id| id.0.to_string()),
        "instrument": definitions.name(report.security_id),
        "side": report.side.map(side),
        "price": report.last_price.map(price),
        "quantity": report.last_quantity.map(quantity),
        "fee": fee.map(|fee| fee.amount.to_string()),
        "fee_asset": fee.map(|fee| fee.asset.to_string()),
        "took": report.aggressor.map(|it| it == Indicator::Yes),
        "time": report.transact_time.0.to_string(),
    })
}

/// What the account has of an asset; nothing of an asset that was not told of.
pub(super) fn balance(definitions: &Definitions, balance: &AccountBalance) -> Option<Value> {
    let asset = definitions.assets().get(balance.asset?)?;
    let available = amount::join(balance.available_high, balance.available_low)?;
    let held = amount::join(balance.held_high, balance.held_low)?;
    Some(json!({
        "asset": asset.to_string(),
        "available": asset.amount(available).to_string(),
        "held": asset.amount(held).to_string(),
        "total": asset.amount(available.checked_add(held)?).to_string(),
    }))
}

fn numbers(
    definitions: &Definitions,
    report: &ExecutionReport,
) -> (impl Fn(Price) -> String + use<>, impl Fn(Quantity) -> String + use<>) {
    let (prices, quantities) = definitions.exponents(report.security_id);
    (
        move |price: Price| decimal::text(price.0, prices),
        move |quantity: Quantity| decimal::text(quantity.0, quantities),
    )
}

fn side(side: Side) -> &'static str {
    if side == Side::Buy { "buy" } else { "sell" }
}

fn time_in_force(tif: TimeInForce) -> &'static str {
    match tif {
        TimeInForce::Day => "day",
        TimeInForce::GoodTillCancel => "gtc",
        TimeInForce::AtTheOpening => "ato",
        TimeInForce::ImmediateOrCancel => "ioc",
        TimeInForce::FillOrKill => "fok",
        TimeInForce::GoodTillDate => "gtd",
        TimeInForce::AtTheClose => "atc",
        TimeInForce::NonRepresentable => "?",
    }
}
