//! From the command line to a message: names become numbers, decimals become mantissas.

use client::{Client, Error};
use rust_decimal::Decimal;
use wire::order_entry::{
    KillSwitch, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderMassActionRequest,
    SecurityDefinition,
};
use wire::{
    AccountId, Block, ClientOrderId, ExecInst, Exponent, MassActionType, OnDisconnect, OrderId, OrderType, RequestId,
    SecurityId, SelfTradePrevention, SessionSequence, Side, Switch, Symbol16, Text48, TimeInForce, Timestamp,
};

use crate::arguments::{
    AmendArguments, CancelArguments, KillArguments, MassCancelArguments, NewOrderArguments, PreventionArgument,
    SideArgument, TimeInForceArgument, TradeCommand, TypeArgument, WhichOrder,
};
use crate::decimal::{self, DecimalError};

/// Why the command line does not become a message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// There is no such instrument.
    #[error("--instrument {name}: the venue has {}", list(.known))]
    UnknownInstrument {
        /// As it was given.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A number cannot be said.
    #[error("--{option}: {source}")]
    Number {
        /// Where it was given.
        option: &'static str,
        /// What is wrong.
        source: DecimalError,
    },
    /// An amend that changes nothing.
    #[error("nothing to change: give --price, --quantity, --stop, --display or --client-order-id")]
    NothingToChange,
}

/// A message for the venue.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    New(NewOrderSingle),
    Amend(OrderCancelReplaceRequest),
    Cancel(OrderCancelRequest),
    MassCancel(OrderMassActionRequest),
    Kill(KillSwitch),
}

impl Request {
    pub(crate) fn send(&self, client: &mut Client) -> Result<SessionSequence, Error> {
        match self {
            Self::New(message) => client.send(message),
            Self::Amend(message) => client.send(message),
            Self::Cancel(message) => client.send(message),
            Self::MassCancel(message) => client.send(message),
            Self::Kill(message) => client.send(message),
        }
    }

    /// Whether an order may be open after it, so that no report is known to be the last.
    pub(crate) fn may_rest(&self) -> bool {
        match self {
            // A post-only order does not trade on its way in: its acceptance is all.
            Self::New(order) if order.instructions.contains(ExecInst::POST_ONLY) => false,
            Self::New(order) => {
                let at_once = [TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill].contains(&order.time_in_force);
                !at_once
            }
            Self::Amend(_) => true,
            Self::Cancel(_) | Self::MassCancel(_) | Self::Kill(_) => false,
        }
    }

    /// The trader's name for the request.
    pub(crate) fn name(&self) -> Option<ClientOrderId> {
        match self {
            Self::New(message) => message.client_order_id,
            Self::Amend(message) => message.client_order_id,
            Self::Cancel(message) => message.client_order_id,
            Self::MassCancel(message) => message.client_order_id,
            Self::Kill(_) => None,
        }
    }
}

/// The instrument that a command names.
pub(crate) fn instrument(command: &TradeCommand) -> Option<&str> {
    match command {
        TradeCommand::New(arguments) => Some(&arguments.instrument),
        TradeCommand::Amend(arguments) => Some(&arguments.instrument),
        TradeCommand::MassCancel(arguments) => arguments.instrument.as_deref(),
        TradeCommand::Cancel(_) | TradeCommand::Kill(_) => None,
    }
}

/// Whether `name` means the instrument with this symbol and number: its name in any case, or its number.
pub(crate) fn is_named(symbol: Symbol16, security_id: SecurityId, name: &str) -> bool {
    symbol.as_str().is_some_and(|symbol| symbol.eq_ignore_ascii_case(name)) || name.parse() == Ok(security_id.0)
}

/// The message that a command asks for; `now` makes names that were not given.
pub(crate) fn request(
    command: &TradeCommand,
    account: AccountId,
    definitions: &[SecurityDefinition],
    now: Timestamp,
) -> Result<Request, RequestError> {
    // Microseconds: few enough digits for JSON's numbers, and nobody types two orders in one.
    let name = now.0 / 1_000;
    match command {
        TradeCommand::New(arguments) => new_order(arguments, account, definitions, name).map(Request::New),
        TradeCommand::Amend(arguments) => amend(arguments, account, definitions).map(Request::Amend),
        TradeCommand::Cancel(arguments) => Ok(Request::Cancel(cancel(arguments, account, name))),
        TradeCommand::MassCancel(arguments) => {
            mass_cancel(arguments, account, definitions, name).map(Request::MassCancel)
        }
        TradeCommand::Kill(arguments) => Ok(Request::Kill(kill(arguments, account, name))),
    }
}

fn new_order(
    arguments: &NewOrderArguments,
    account: AccountId,
    definitions: &[SecurityDefinition],
    name: u64,
) -> Result<NewOrderSingle, RequestError> {
    let instrument = found(definitions, &arguments.instrument)?;
    let order_type = match arguments.order_type {
        TypeArgument::Limit => OrderType::Limit,
        TypeArgument::Market => OrderType::Market,
        TypeArgument::Stop => OrderType::Stop,
        TypeArgument::StopLimit => OrderType::StopLimit,
    };
    let usual = match arguments.order_type {
        TypeArgument::Market => TimeInForceArgument::Ioc,
        TypeArgument::Limit | TypeArgument::Stop | TypeArgument::StopLimit => TimeInForceArgument::Gtc,
    };
    Ok(NewOrderSingle {
        account,
        security_id: instrument.security_id,
        client_order_id: Some(ClientOrderId(arguments.client_order_id.unwrap_or(name))),
        price: price("price", instrument, arguments.price)?,
        order_quantity: quantity("quantity", instrument, Some(arguments.quantity))?,
        stop_price: price("stop", instrument, arguments.stop)?,
        display_quantity: quantity("display", instrument, arguments.display)?,
        minimum_quantity: quantity("minimum", instrument, arguments.minimum)?,
        self_trade_prevention: arguments.stp.map(prevention),
        side: side(arguments.side),
        order_type,
        time_in_force: time_in_force(arguments.tif.unwrap_or(usual)),
        instructions: if arguments.post_only { ExecInst::POST_ONLY } else { ExecInst::NONE },
        on_disconnect: OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    })
}

fn amend(
    arguments: &AmendArguments,
    account: AccountId,
    definitions: &[SecurityDefinition],
) -> Result<OrderCancelReplaceRequest, RequestError> {
    let AmendArguments { price: limit, quantity: amount, stop, display, client_order_id, .. } = arguments;
    if [limit, amount, stop, display].iter().all(|given| given.is_none()) && client_order_id.is_none() {
        return Err(RequestError::NothingToChange);
    }
    let instrument = found(definitions, &arguments.instrument)?;
    let (order_id, original_client_order_id) = named(&arguments.which);
    Ok(OrderCancelReplaceRequest {
        account,
        order_id,
        original_client_order_id,
        client_order_id: arguments.client_order_id.map(ClientOrderId),
        price: price("price", instrument, arguments.price)?,
        order_quantity: quantity("quantity", instrument, arguments.quantity)?,
        stop_price: price("stop", instrument, arguments.stop)?,
        display_quantity: quantity("display", instrument, arguments.display)?,
        ..OrderCancelReplaceRequest::BLANK
    })
}

fn cancel(arguments: &CancelArguments, account: AccountId, name: u64) -> OrderCancelRequest {
    let (order_id, original_client_order_id) = named(&arguments.which);
    OrderCancelRequest { account, order_id, original_client_order_id, client_order_id: Some(ClientOrderId(name)) }
}

fn mass_cancel(
    arguments: &MassCancelArguments,
    account: AccountId,
    definitions: &[SecurityDefinition],
    name: u64,
) -> Result<OrderMassActionRequest, RequestError> {
    let wanted = arguments.instrument.as_deref();
    let security_id: Option<SecurityId> =
        wanted.map(|wanted| found(definitions, wanted)).transpose()?.map(|instrument| instrument.security_id);
    Ok(OrderMassActionRequest {
        account: Some(account),
        security_id,
        client_order_id: Some(ClientOrderId(name)),
        action: MassActionType::CancelOrders,
        side: arguments.side.map(side),
        ..OrderMassActionRequest::BLANK
    })
}

fn kill(arguments: &KillArguments, account: AccountId, name: u64) -> KillSwitch {
    KillSwitch {
        account,
        idempotency_key: Some(RequestId(name)),
        text: Text48::new(&arguments.reason),
        switch: Switch::Engaged,
    }
}

pub(crate) fn named(which: &WhichOrder) -> (Option<OrderId>, Option<ClientOrderId>) {
    (which.order_id.map(OrderId), which.original.map(ClientOrderId))
}

pub(crate) fn found<'a>(
    definitions: &'a [SecurityDefinition],
    name: &str,
) -> Result<&'a SecurityDefinition, RequestError> {
    let named = |definition: &&SecurityDefinition| is_named(definition.symbol, definition.security_id, name);
    definitions.iter().find(named).ok_or_else(|| RequestError::UnknownInstrument {
        name: name.to_owned(),
        known: definitions.iter().filter_map(|known| known.symbol.as_str().map(str::to_owned)).collect(),
    })
}

fn list(known: &[String]) -> String {
    if known.is_empty() { "no instruments".to_owned() } else { known.join(", ") }
}

fn price(
    option: &'static str,
    instrument: &SecurityDefinition,
    price: Option<Decimal>,
) -> Result<Option<wire::Price>, RequestError> {
    Ok(number(option, price, instrument.price_exponent)?.map(wire::Price))
}

fn quantity(
    option: &'static str,
    instrument: &SecurityDefinition,
    quantity: Option<Decimal>,
) -> Result<Option<wire::Quantity>, RequestError> {
    Ok(number(option, quantity, instrument.quantity_exponent)?.map(wire::Quantity))
}

fn number(option: &'static str, number: Option<Decimal>, exponent: Exponent) -> Result<Option<i64>, RequestError> {
    let mantissa = number.map(|number| decimal::mantissa(number, exponent)).transpose();
    mantissa.map_err(|source| RequestError::Number { option, source })
}

fn side(side: SideArgument) -> Side {
    match side {
        SideArgument::Buy => Side::Buy,
        SideArgument::Sell => Side::Sell,
    }
}

fn prevention(stp: PreventionArgument) -> SelfTradePrevention {
    match stp {
        PreventionArgument::Cn => SelfTradePrevention::CancelIncoming,
        PreventionArgument::Co => SelfTradePrevention::CancelResting,
        PreventionArgument::Cb => SelfTradePrevention::CancelBoth,
        PreventionArgument::Dc => SelfTradePrevention::Decrement,
    }
}

fn time_in_force(tif: TimeInForceArgument) -> TimeInForce {
    match tif {
        TimeInForceArgument::Gtc => TimeInForce::GoodTillCancel,
        TimeInForceArgument::Ioc => TimeInForce::ImmediateOrCancel,
        TimeInForceArgument::Fok => TimeInForce::FillOrKill,
        TimeInForceArgument::Day => TimeInForce::Day,
        TimeInForceArgument::Ato => TimeInForce::AtTheOpening,
        TimeInForceArgument::Atc => TimeInForce::AtTheClose,
    }
}
