//! From the wire to the core: a trader's message becomes a command's body.
//!
//! Whether the command may be carried out is the core's business. Only what cannot be said to the core is refused here:
//! a code without a meaning, an identity that no account or instrument can have, a message that this build does not
//! carry out. Prices and quantities that are no whole ticks and lots become values that the core refuses, in the order
//! of its own reasons.

use engine::command::{AdminNote, CancelOrder, KillSwitch, MassCancel, NewOrder, ReplaceOrder};
use engine::{Amount, CommandBody, KeyId, Price, Quantity};
use wire::layout::{Encoding, FieldLayout};
use wire::order_entry::{
    self, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage, OrderMassActionRequest,
};
use wire::{DecodeError, EdgeReason, NotRepresentable, RejectReason, RequestId, TagNumber, Text48, amount};

use crate::view::{Instrument, View};

/// Why a message did not become a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RejectReason,
    /// The sender's name for the message, if it has one.
    pub reference: Option<RequestId>,
    /// The field that is the reason, if one is.
    pub tag: Option<TagNumber>,
    /// In words.
    pub text: Text48,
}

impl Refusal {
    /// A refusal of a message that could not be read, or has no name.
    pub fn new(reason: impl Into<RejectReason>, text: &str) -> Self {
        Self { reason: reason.into(), reference: None, tag: None, text: Text48::new(text) }
    }

    /// A refusal for what one field says, or leaves out.
    fn of_field(name: &str, text: &str) -> Self {
        let tag = layout(name).map(|field| TagNumber(field.id.into()));
        Self { tag, ..Self::new(EdgeReason::Malformed, &format!("{name}: {text}")) }
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
    body.map_err(|unusable| Refusal { reference: reference(message), ..unusable.into() })
}

/// A field of the schema.
fn layout(name: &str) -> Option<&'static FieldLayout> {
    let fields = order_entry::MESSAGES.iter().flat_map(|message| message.fields);
    fields.into_iter().find(|field| field.name == name)
}

/// A field with a value that the core has no word for. Which value is not told: there is no room for both.
struct Unusable(&'static str);

impl From<Unusable> for Refusal {
    fn from(Unusable(field): Unusable) -> Self {
        let is_code = layout(field).is_some_and(|field| field.value.encoding == Encoding::Enumeration);
        Self::of_field(field, if is_code { "no such code" } else { "no such number" })
    }
}

/// What a field says, as the core takes it.
fn field<W, T>(field: &'static str, value: W) -> Result<T, Unusable>
where
    W: TryInto<T, Error = NotRepresentable>,
{
    value.try_into().map_err(|_| Unusable(field))
}

/// The same of a field that may be absent.
fn field_if_any<W, T>(name: &'static str, value: Option<W>) -> Result<Option<T>, Unusable>
where
    W: TryInto<T, Error = NotRepresentable>,
{
    value.map(|value| field(name, value)).transpose()
}

fn unsupported(message: &OrderEntryMessage, text: &str) -> Refusal {
    Refusal { reference: reference(message), ..Refusal::new(EdgeReason::UnsupportedMessage, text) }
}

/// Why bytes are no message of an application.
pub(crate) fn unreadable(error: &DecodeError) -> Refusal {
    let malformed = |text: &str| Refusal::new(EdgeReason::Malformed, text);
    match *error {
        DecodeError::UnknownSchema { .. } => Refusal::new(EdgeReason::UnsupportedSchema, &error.to_string()),
        DecodeError::UnknownTemplate { .. } => Refusal::new(EdgeReason::UnsupportedMessage, &error.to_string()),
        DecodeError::BlockTruncated { block_length, available, .. } => {
            malformed(&format!("blockLength: {block_length}, and {available} bytes are there"))
        }
        DecodeError::FieldMissing { field, .. } => Refusal::of_field(field, "not in the block"),
        DecodeError::GroupTruncated { needed, available, .. } => {
            malformed(&format!("group: {needed} bytes, and {available} are there"))
        }
        DecodeError::TrailingBytes { count, .. } => malformed(&format!("{count} bytes are behind the message")),
    }
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

fn new_order(order: &NewOrderSingle, view: &View) -> Result<NewOrder, Unusable> {
    let id = field("SecurityID", order.security_id)?;
    let instrument = view.instrument(id);
    Ok(NewOrder {
        account: field("Account", order.account)?,
        instrument: id,
        client_order_id: order.client_order_id.map(Into::into).unwrap_or_default(),
        side: field("Side", order.side)?,
        order_type: field("OrdType", order.order_type)?,
        time_in_force: field("TimeInForce", order.time_in_force)?,
        flags: order.instructions.into(),
        self_trade_prevention: field_if_any("SelfMatchPreventionInstruction", order.self_trade_prevention)?,
        on_disconnect: field("OnDisconnect", order.on_disconnect)?,
        price: price(instrument, order.price),
        quantity: quantity(instrument, order.order_quantity),
        funds: amount::join(order.funds_high, order.funds_low).map_or(Amount::ABSENT, Amount),
        stop_price: price(instrument, order.stop_price),
        display_quantity: quantity(instrument, order.display_quantity),
        minimum_quantity: quantity(instrument, order.minimum_quantity),
        expire_at: order.expire_time.map(Into::into).unwrap_or_default(),
    })
}

fn replace_order(request: &OrderCancelReplaceRequest, key: KeyId, view: &View) -> Result<ReplaceOrder, Unusable> {
    let account = field("Account", request.account)?;
    let order_id = request.order_id.map(Into::into).unwrap_or_default();
    let original_client_order_id = request.original_client_order_id.map(Into::into).unwrap_or_default();
    let instrument = view.instrument_of(key, account, order_id, original_client_order_id);
    Ok(ReplaceOrder {
        account,
        order_id,
        original_client_order_id,
        client_order_id: request.client_order_id.map(Into::into).unwrap_or_default(),
        order_type: field_if_any("OrdType", request.order_type)?,
        time_in_force: field_if_any("TimeInForce", request.time_in_force)?,
        price: price(instrument, request.price),
        quantity: quantity(instrument, request.order_quantity),
        stop_price: price(instrument, request.stop_price),
        display_quantity: quantity(instrument, request.display_quantity),
        expire_at: request.expire_time.map(Into::into).unwrap_or_default(),
    })
}

fn cancel_order(request: &OrderCancelRequest) -> Result<CancelOrder, Unusable> {
    Ok(CancelOrder {
        account: field("Account", request.account)?,
        order_id: request.order_id.map(Into::into).unwrap_or_default(),
        original_client_order_id: request.original_client_order_id.map(Into::into).unwrap_or_default(),
        client_order_id: request.client_order_id.map(Into::into).unwrap_or_default(),
    })
}

fn mass_cancel(request: &OrderMassActionRequest) -> Result<MassCancel, Unusable> {
    match request.action {
        wire::MassActionType::CancelOrders => {}
        wire::MassActionType::NonRepresentable => {
            return Err(Unusable("MassActionType"));
        }
    }
    Ok(MassCancel {
        account: field_if_any("Account", request.account)?.unwrap_or_default(),
        instrument: field_if_any("SecurityID", request.security_id)?.unwrap_or_default(),
        side: field_if_any("Side", request.side)?,
        entered_by: field_if_any("EnteredBySessionID", request.entered_by)?.unwrap_or_default(),
        client_order_id: request.client_order_id.map(Into::into).unwrap_or_default(),
        note: AdminNote::NONE,
    })
}

fn kill_switch(request: &order_entry::KillSwitch) -> Result<KillSwitch, Unusable> {
    // A command carries half of what a message may say.
    let text: String = request.text.as_str().unwrap_or_default().chars().take(24).collect();
    Ok(KillSwitch {
        account: field("Account", request.account)?,
        switch: field("SwitchPosition", request.switch)?,
        note: AdminNote {
            idempotency_key: request.idempotency_key.map(Into::into).unwrap_or_default(),
            reason: engine::Text::new(&text).unwrap_or(engine::Text::EMPTY),
        },
    })
}

#[cfg(test)]
mod tests {
    use wire::Block;
    use wire::order_entry::KillSwitch as KillSwitchMessage;

    use super::*;

    /// Why a message is refused: the field's tag, and the words.
    fn refused(message: OrderEntryMessage) -> (Option<u32>, String) {
        let view = View::default();
        let refusal = command(&message, KeyId(1), &view).unwrap_err();
        assert_eq!(refusal.reason, EdgeReason::Malformed.into());
        (refusal.tag.map(|tag| tag.0), refusal.text.as_str().unwrap().to_owned())
    }

    fn order() -> NewOrderSingle {
        NewOrderSingle {
            account: wire::AccountId(2),
            security_id: wire::SecurityId(1),
            side: wire::Side::Buy,
            order_type: wire::OrderType::Limit,
            time_in_force: wire::TimeInForce::GoodTillCancel,
            on_disconnect: wire::OnDisconnect::Keep,
            ..NewOrderSingle::BLANK
        }
    }

    #[test]
    fn a_field_that_says_nothing_is_named() {
        let too_large = u64::from(u32::MAX) + 1;
        let (side, order_type) = (wire::Side::NonRepresentable, wire::OrderType::NonRepresentable);
        let time_in_force = wire::TimeInForce::NonRepresentable;
        let prevention = wire::SelfTradePrevention::NonRepresentable;
        let orders = [
            (NewOrderSingle { side, ..order() }, 54, "Side: no such code"),
            (NewOrderSingle { order_type, ..order() }, 40, "OrdType: no such code"),
            (NewOrderSingle { time_in_force, ..order() }, 59, "TimeInForce: no such code"),
            (
                NewOrderSingle { self_trade_prevention: Some(prevention), ..order() },
                2964,
                "SelfMatchPreventionInstruction: no such code",
            ),
            (
                NewOrderSingle { on_disconnect: wire::OnDisconnect::NonRepresentable, ..order() },
                20001,
                "OnDisconnect: no such code",
            ),
            (NewOrderSingle { account: wire::AccountId(too_large), ..order() }, 1, "Account: no such number"),
            (NewOrderSingle { security_id: wire::SecurityId(u64::MAX), ..order() }, 48, "SecurityID: no such number"),
        ];
        for (message, tag, text) in orders {
            assert_eq!(refused(OrderEntryMessage::NewOrderSingle(message)), (Some(tag), text.to_owned()));
        }
        let replace = OrderCancelReplaceRequest { order_type: Some(order_type), ..OrderCancelReplaceRequest::BLANK };
        let replace = OrderEntryMessage::OrderCancelReplaceRequest(replace);
        assert_eq!(refused(replace), (Some(40), "OrdType: no such code".to_owned()));
        let entered_by = Some(wire::SessionId(u64::MAX));
        let action = wire::MassActionType::CancelOrders;
        let mass = OrderMassActionRequest { entered_by, action, ..OrderMassActionRequest::BLANK };
        let told = refused(OrderEntryMessage::OrderMassActionRequest(mass));
        assert_eq!(told, (Some(20002), "EnteredBySessionID: no such number".to_owned()));
        let mass = OrderMassActionRequest { side: Some(side), ..OrderMassActionRequest::BLANK };
        let mass = OrderEntryMessage::OrderMassActionRequest(mass);
        assert_eq!(refused(mass), (Some(1373), "MassActionType: no such code".to_owned()));
        let switch = KillSwitchMessage { account: wire::AccountId(2), ..KillSwitchMessage::BLANK };
        let switch = OrderEntryMessage::KillSwitch(switch);
        assert_eq!(refused(switch), (Some(20009), "SwitchPosition: no such code".to_owned()));
    }

    #[test]
    fn what_cannot_be_read_is_told_in_words_that_fit() {
        let (block, field) = ("OrderCancelReplaceRequest", "SelfMatchPreventionInstruction");
        let errors = [
            DecodeError::UnknownSchema { found: u16::MAX, expected: u16::MAX },
            DecodeError::UnknownTemplate { found: u16::MAX },
            DecodeError::BlockTruncated { block, block_length: u16::MAX, available: 1_024 },
            DecodeError::FieldMissing { block, field, block_length: 1_024 },
            DecodeError::GroupTruncated { group: block, needed: 1 << 24, available: 1_024 },
            DecodeError::TrailingBytes { message: block, count: 1_024 },
        ];
        let told = errors.map(|error| {
            let refusal = unreadable(&error);
            (refusal.reason.0, refusal.tag.map(|tag| tag.0), refusal.text.as_str().unwrap().to_owned())
        });
        let (schema, template) = (EdgeReason::UnsupportedSchema as u16, EdgeReason::UnsupportedMessage as u16);
        let malformed = EdgeReason::Malformed as u16;
        let expected = [
            (schema, None, "schemaId: 65535 is not 65535"),
            (template, None, "templateId: 65535 is no message here"),
            (malformed, None, "blockLength: 65535, and 1024 bytes are there"),
            (malformed, Some(2964), "SelfMatchPreventionInstruction: not in the block"),
            (malformed, None, "group: 16777216 bytes, and 1024 are there"),
            (malformed, None, "1024 bytes are behind the message"),
        ];
        assert_eq!(told, expected.map(|(reason, tag, text)| (reason, tag, text.to_owned())));
    }
}
