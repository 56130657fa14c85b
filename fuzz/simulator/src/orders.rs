//! From the core's words to the wire's: what a trader sends so that the core is asked for this.

use client::request::Command as Request;
use engine::{Amount, CommandBody, Engine, InstrumentId, Price, Quantity};
use wire::order_entry::{
    KillSwitch, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderMassActionRequest,
};
use wire::{Block, MassActionType, amount};

/// An instrument's steps in the wire's mantissas.
#[derive(Debug, Clone, Copy)]
struct Steps {
    tick: u64,
    lot: u64,
}

impl Steps {
    fn of(engine: &Engine, instrument: InstrumentId) -> Self {
        let listing = engine.listings().find(|listing| listing.instrument == instrument);
        listing.map_or(Self { tick: 1, lot: 1 }, |listing| Self { tick: listing.tick, lot: listing.lot })
    }

    fn price(self, price: Price) -> Option<wire::Price> {
        match price {
            Price::ABSENT => None,
            Price::OFF_TICK => Some(wire::Price(mantissa(1, self.tick) + 1)),
            Price(ticks) => Some(wire::Price(mantissa(ticks, self.tick))),
        }
    }

    fn quantity(self, quantity: Quantity) -> Option<wire::Quantity> {
        match quantity {
            Quantity::ABSENT => None,
            Quantity::OFF_LOT => Some(wire::Quantity(mantissa(1, self.lot) + 1)),
            Quantity(lots) => Some(wire::Quantity(mantissa(lots, self.lot))),
        }
    }
}

fn mantissa(count: u64, step: u64) -> i64 {
    count.checked_mul(step).and_then(|it| i64::try_from(it).ok()).unwrap_or(i64::MAX)
}

/// The message that asks for this, where an amended order is in `instrument`; none: no trader's message does.
pub fn request(body: &CommandBody, engine: &Engine, instrument: InstrumentId) -> Option<Request> {
    Some(match body {
        CommandBody::NewOrder(order) => {
            let steps = Steps::of(engine, order.instrument);
            let (funds_high, funds_low) = match order.funds {
                Amount::ABSENT => amount::split(None),
                Amount(funds) => amount::split(Some(funds)),
            };
            NewOrderSingle {
                account: order.account.into(),
                security_id: order.instrument.into(),
                client_order_id: wire::ClientOrderId::present(order.client_order_id),
                price: steps.price(order.price),
                order_quantity: steps.quantity(order.quantity),
                funds_high,
                funds_low,
                stop_price: steps.price(order.stop_price),
                display_quantity: steps.quantity(order.display_quantity),
                minimum_quantity: steps.quantity(order.minimum_quantity),
                expire_time: wire::Timestamp::present(order.expire_at),
                side: order.side.into(),
                order_type: order.order_type.into(),
                time_in_force: order.time_in_force.into(),
                instructions: order.flags.into(),
                self_trade_prevention: order.self_trade_prevention.map(Into::into),
                on_disconnect: order.on_disconnect.into(),
            }
            .into()
        }
        CommandBody::ReplaceOrder(replace) => {
            let steps = Steps::of(engine, instrument);
            OrderCancelReplaceRequest {
                account: replace.account.into(),
                order_id: wire::OrderId::present(replace.order_id),
                original_client_order_id: wire::ClientOrderId::present(replace.original_client_order_id),
                client_order_id: wire::ClientOrderId::present(replace.client_order_id),
                price: steps.price(replace.price),
                order_quantity: steps.quantity(replace.quantity),
                stop_price: steps.price(replace.stop_price),
                display_quantity: steps.quantity(replace.display_quantity),
                expire_time: wire::Timestamp::present(replace.expire_at),
                order_type: replace.order_type.map(Into::into),
                time_in_force: replace.time_in_force.map(Into::into),
            }
            .into()
        }
        CommandBody::CancelOrder(cancel) => OrderCancelRequest {
            account: cancel.account.into(),
            order_id: wire::OrderId::present(cancel.order_id),
            original_client_order_id: wire::ClientOrderId::present(cancel.original_client_order_id),
            client_order_id: wire::ClientOrderId::present(cancel.client_order_id),
        }
        .into(),
        CommandBody::MassCancel(cancel) => OrderMassActionRequest {
            account: wire::AccountId::present(cancel.account),
            security_id: wire::SecurityId::present(cancel.instrument),
            entered_by: wire::SessionId::present(cancel.entered_by),
            client_order_id: wire::ClientOrderId::present(cancel.client_order_id),
            action: MassActionType::CancelOrders,
            side: cancel.side.map(Into::into),
        }
        .into(),
        CommandBody::KillSwitch(kill) => KillSwitch {
            account: kill.account.into(),
            idempotency_key: wire::RequestId::present(kill.note.idempotency_key),
            switch: kill.switch.into(),
            ..KillSwitch::BLANK
        }
        .into(),
        _ => return None,
    })
}

/// Whether a command is what a message asked for.
pub fn is_of(request: &Request, body: &CommandBody) -> bool {
    let named = |sent: Option<wire::ClientOrderId>, taken| sent == wire::ClientOrderId::present(taken);
    match (request, body) {
        (Request::New(sent), CommandBody::NewOrder(taken)) => {
            sent.account == taken.account.into() && named(sent.client_order_id, taken.client_order_id)
        }
        (Request::Amend(sent), CommandBody::ReplaceOrder(taken)) => {
            sent.account == taken.account.into() && named(sent.client_order_id, taken.client_order_id)
        }
        (Request::Cancel(sent), CommandBody::CancelOrder(taken)) => {
            sent.account == taken.account.into() && sent.order_id == wire::OrderId::present(taken.order_id)
        }
        (Request::MassCancel(sent), CommandBody::MassCancel(taken)) => {
            sent.account == wire::AccountId::present(taken.account)
        }
        (Request::Kill(sent), CommandBody::KillSwitch(taken)) => sent.account == taken.account.into(),
        _ => false,
    }
}
