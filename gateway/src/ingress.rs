//! From the wire to the core: a trader's message becomes a command's body.
//!
//! Whether the command may be carried out is the core's business. Only what cannot be said to the core is refused here:
//! a code without a meaning, an identity that no account or instrument can have, a message that this build does not
//! carry out. Prices and quantities that are no whole ticks and lots become values that the core refuses, in the order
//! of its own reasons.

use engine::command::{AdminNote, CancelOrder, KillSwitch, MassCancel, NewOrder, ReplaceOrder};
use engine::{Amount, CommandBody, KeyId, Price, Quantity};
use wire::order_entry::{
    self, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage, OrderMassActionRequest,
};
use wire::{DecodeError, EdgeReason, NotRepresentable, RejectReason, RequestId, Text48, amount};

use crate::view::{Instrument, View};

/// Why a message did not become a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RejectReason,
    /// The sender's name for the message, if it has one.
    pub reference: Option<RequestId>,
    /// In words.
    pub text: Text48,
}

impl Refusal {
    /// A refusal of a message that could not be read, or has no name.
    pub fn new(reason: impl Into<RejectReason>, text: &str) -> Self {
        Self { reason: reason.into(), reference: None, text: Text48::new(text) }
    }
}

/// The command that a message of `key` asks for.
///
/// # Errors
///
/// [`EdgeReason::Malformed`] for a field without a meaning, [`EdgeReason::UnsupportedMessage`] for a message that is
/// not a command of this build.
pub fn command(message: &OrderEntryMessage, key: KeyId, view: &View) -> Result<CommandBody, Refusal> {
    let body = match message {
        OrderEntryMessage::NewOrderSingle(order) => new_order(order, view).map(CommandBody::from),
        OrderEntryMessage::OrderCancelReplaceRequest(request) => {
            replace_order(request, key, view).map(CommandBody::from)
        }
        OrderEntryMessage::OrderCancelRequest(request) => cancel_order(request).map(CommandBody::from),
        OrderEntryMessage::OrderMassActionRequest(request) => mass_cancel(request).map(CommandBody::from),
        OrderEntryMessage::KillSwitch(request) => kill_switch(request).map(CommandBody::from),
        OrderEntryMessage::OrderStatusRequest(_)
        | OrderEntryMessage::OrderMassStatusRequest(_)
        | OrderEntryMessage::AccountBalanceRequest(_)
        | OrderEntryMessage::DropCopyRequest(_) => {
            return Err(unsupported(message, "this is a question, and no command"));
        }
        OrderEntryMessage::ExecutionReport(_)
        | OrderEntryMessage::OrderCancelReject(_)
        | OrderEntryMessage::OrderMassActionReport(_)
        | OrderEntryMessage::BusinessMessageReject(_)
        | OrderEntryMessage::SecurityDefinition(_)
        | OrderEntryMessage::TradingSessionStatus(_)
        | OrderEntryMessage::AccountBalance(_)
        | OrderEntryMessage::KillSwitchReport(_)
        | OrderEntryMessage::DropCopyReport(_)
        | OrderEntryMessage::AssetDefinition(_) => return Err(unsupported(message, "only the venue sends this")),
    };
    body.map_err(|error| Refusal { reference: reference(message), ..malformed(&error) })
}

fn unsupported(message: &OrderEntryMessage, text: &str) -> Refusal {
    Refusal { reference: reference(message), ..Refusal::new(EdgeReason::UnsupportedMessage, text) }
}

/// Why bytes are no message of an application.
pub(crate) fn unreadable(error: &DecodeError) -> Refusal {
    let reason = match error {
        DecodeError::UnknownSchema { .. } => EdgeReason::UnsupportedSchema,
        DecodeError::UnknownTemplate { .. } => EdgeReason::UnsupportedMessage,
        DecodeError::BlockTruncated { .. }
        | DecodeError::FieldMissing { .. }
        | DecodeError::GroupTruncated { .. }
        | DecodeError::TrailingBytes { .. } => EdgeReason::Malformed,
    };
    Refusal::new(reason, &error.to_string())
}

fn malformed(error: &NotRepresentable) -> Refusal {
    Refusal::new(EdgeReason::Malformed, &error.to_string())
}

/// The sender's name for a request.
pub(crate) fn reference(message: &OrderEntryMessage) -> Option<RequestId> {
    let named = |name: Option<wire::ClientOrderId>| name.map(|name| RequestId(name.0));
    match message {
        OrderEntryMessage::NewOrderSingle(order) => named(order.client_order_id),
        OrderEntryMessage::OrderCancelReplaceRequest(request) => named(request.client_order_id),
        OrderEntryMessage::OrderCancelRequest(request) => named(request.client_order_id),
        OrderEntryMessage::OrderMassActionRequest(request) => named(request.client_order_id),
        OrderEntryMessage::KillSwitch(request) => request.idempotency_key,
        OrderEntryMessage::OrderStatusRequest(request) => request.request_id,
        OrderEntryMessage::OrderMassStatusRequest(request) => request.request_id,
        OrderEntryMessage::AccountBalanceRequest(request) => request.request_id,
        OrderEntryMessage::DropCopyRequest(request) => request.request_id,
        _ => None,
    }
}

/// A price that was given for an instrument that the edge may not know.
///
/// An instrument can be listed and not be known here yet. Its price is then off tick: the core answers that there is no
/// such instrument if there is none, and never trades at a price that was not meant.
fn price(instrument: Option<&Instrument>, price: Option<wire::Price>) -> Price {
    price.map_or(Price::ABSENT, |price| instrument.map_or(Price::OFF_TICK, |instrument| instrument.price(price.0)))
}

/// A quantity that was given for an instrument that the edge may not know.
fn quantity(instrument: Option<&Instrument>, quantity: Option<wire::Quantity>) -> Quantity {
    quantity.map_or(Quantity::ABSENT, |quantity| {
        instrument.map_or(Quantity::OFF_LOT, |instrument| instrument.quantity(quantity.0))
    })
}

fn new_order(order: &NewOrderSingle, view: &View) -> Result<NewOrder, NotRepresentable> {
    let id = order.security_id.try_into()?;
    let instrument = view.instrument(id);
    Ok(NewOrder {
        account: order.account.try_into()?,
        instrument: id,
        client_order_id: order.client_order_id.map(Into::into).unwrap_or_default(),
        side: order.side.try_into()?,
        order_type: order.order_type.try_into()?,
        time_in_force: order.time_in_force.try_into()?,
        flags: order.instructions.into(),
        self_trade_prevention: order.self_trade_prevention.map(TryInto::try_into).transpose()?,
        on_disconnect: order.on_disconnect.try_into()?,
        price: price(instrument, order.price),
        quantity: quantity(instrument, order.order_quantity),
        funds: amount::join(order.funds_high, order.funds_low).map_or(Amount::ABSENT, Amount),
        stop_price: price(instrument, order.stop_price),
        display_quantity: quantity(instrument, order.display_quantity),
        minimum_quantity: quantity(instrument, order.minimum_quantity),
        expire_at: order.expire_time.map(Into::into).unwrap_or_default(),
    })
}

fn replace_order(
    request: &OrderCancelReplaceRequest,
    key: KeyId,
    view: &View,
) -> Result<ReplaceOrder, NotRepresentable> {
    let account = request.account.try_into()?;
    let order_id = request.order_id.map(Into::into).unwrap_or_default();
    let original_client_order_id = request.original_client_order_id.map(Into::into).unwrap_or_default();
    let instrument = view.instrument_of(key, account, order_id, original_client_order_id);
    Ok(ReplaceOrder {
        account,
        order_id,
        original_client_order_id,
        client_order_id: request.client_order_id.map(Into::into).unwrap_or_default(),
        order_type: request.order_type.map(TryInto::try_into).transpose()?,
        time_in_force: request.time_in_force.map(TryInto::try_into).transpose()?,
        price: price(instrument, request.price),
        quantity: quantity(instrument, request.order_quantity),
        stop_price: price(instrument, request.stop_price),
        display_quantity: quantity(instrument, request.display_quantity),
        expire_at: request.expire_time.map(Into::into).unwrap_or_default(),
    })
}

fn cancel_order(request: &OrderCancelRequest) -> Result<CancelOrder, NotRepresentable> {
    Ok(CancelOrder {
        account: request.account.try_into()?,
        order_id: request.order_id.map(Into::into).unwrap_or_default(),
        original_client_order_id: request.original_client_order_id.map(Into::into).unwrap_or_default(),
        client_order_id: request.client_order_id.map(Into::into).unwrap_or_default(),
    })
}

fn mass_cancel(request: &OrderMassActionRequest) -> Result<MassCancel, NotRepresentable> {
    match request.action {
        wire::MassActionType::CancelOrders => {}
        wire::MassActionType::NonRepresentable => {
            return Err(NotRepresentable { type_name: "MassActionType", value: request.action as u64 });
        }
    }
    Ok(MassCancel {
        account: request.account.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        instrument: request.security_id.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        side: request.side.map(TryInto::try_into).transpose()?,
        entered_by: request.entered_by.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        client_order_id: request.client_order_id.map(Into::into).unwrap_or_default(),
        note: AdminNote::NONE,
    })
}

fn kill_switch(request: &order_entry::KillSwitch) -> Result<KillSwitch, NotRepresentable> {
    // A command carries half of what a message may say.
    let text: String = request.text.as_str().unwrap_or_default().chars().take(24).collect();
    Ok(KillSwitch {
        account: request.account.try_into()?,
        switch: request.switch.try_into()?,
        note: AdminNote {
            idempotency_key: request.idempotency_key.map(Into::into).unwrap_or_default(),
            reason: engine::Text::new(&text).unwrap_or(engine::Text::EMPTY),
        },
    })
}
