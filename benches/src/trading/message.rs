//! Requests in the wire's words.

use client::wire::order_entry::{
    NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderMassActionRequest,
};
use client::wire::{self, Block, ClientOrderId, SessionSequence};
use client::{Client, Error, SendError, Trader};
use engine::command::{CancelOrder, NewOrder, ReplaceOrder};
use engine::{Price, Quantity};

use crate::decimal::Unit;

/// What traders of this crate send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Message {
    /// A new order.
    New(NewOrderSingle),
    /// An amend.
    Replace(OrderCancelReplaceRequest),
    /// A cancel.
    Cancel(OrderCancelRequest),
    /// A cancel of many.
    MassCancel(OrderMassActionRequest),
}

/// An instrument's steps: mantissas are counted from ticks and lots.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// The price step.
    pub tick: Unit,
    /// The quantity step.
    pub lot: Unit,
}

impl Message {
    /// Sends it; its number.
    pub fn send(&self, client: &mut Client) -> Result<SessionSequence, Error> {
        match self {
            Self::New(message) => client.send(message),
            Self::Replace(message) => client.send(message),
            Self::Cancel(message) => client.send(message),
            Self::MassCancel(message) => client.send(message),
        }
    }

    /// Sends it by a trader who comes back; its number.
    pub fn send_by(&self, trader: &mut Trader) -> Result<SessionSequence, SendError> {
        match self {
            Self::New(message) => trader.send(message),
            Self::Replace(message) => trader.send(message),
            Self::Cancel(message) => trader.send(message),
            Self::MassCancel(message) => trader.send(message),
        }
    }

    /// Sends it again under its number.
    pub fn send_again(&self, client: &mut Client, number: SessionSequence) -> Result<(), Error> {
        match self {
            Self::New(message) => client.send_again(number, message),
            Self::Replace(message) => client.send_again(number, message),
            Self::Cancel(message) => client.send_again(number, message),
            Self::MassCancel(message) => client.send_again(number, message),
        }
    }
}

impl Steps {
    /// An order without stop, funds and the like.
    pub fn new_order(self, order: &NewOrder) -> Message {
        Message::New(NewOrderSingle {
            account: order.account.into(),
            security_id: order.instrument.into(),
            client_order_id: named(order.client_order_id),
            price: self.price(order.price),
            order_quantity: self.quantity(order.quantity),
            side: order.side.into(),
            order_type: order.order_type.into(),
            time_in_force: order.time_in_force.into(),
            instructions: order.flags.into(),
            on_disconnect: order.on_disconnect.into(),
            ..NewOrderSingle::BLANK
        })
    }

    /// An amend of an order that is named by its trader.
    pub fn replace(self, amend: &ReplaceOrder) -> Message {
        Message::Replace(OrderCancelReplaceRequest {
            account: amend.account.into(),
            original_client_order_id: named(amend.original_client_order_id),
            client_order_id: named(amend.client_order_id),
            price: self.price(amend.price),
            order_quantity: self.quantity(amend.quantity),
            ..OrderCancelReplaceRequest::BLANK
        })
    }

    fn price(self, price: Price) -> Option<wire::Price> {
        (!price.is_absent()).then(|| wire::Price(mantissa(price.0, self.tick)))
    }

    fn quantity(self, quantity: Quantity) -> Option<wire::Quantity> {
        (!quantity.is_absent()).then(|| wire::Quantity(mantissa(quantity.0, self.lot)))
    }
}

/// A cancel of an order that is named by its trader.
pub fn cancel(cancel: &CancelOrder) -> Message {
    Message::Cancel(OrderCancelRequest {
        account: cancel.account.into(),
        original_client_order_id: named(cancel.original_client_order_id),
        ..OrderCancelRequest::BLANK
    })
}

fn named(name: engine::ClientOrderId) -> Option<ClientOrderId> {
    (!name.is_none()).then(|| name.into())
}

/// What is beyond the wire's integers becomes the greatest of them, which no venue takes for a price.
fn mantissa(count: u64, step: Unit) -> i64 {
    count.checked_mul(step.mantissa).and_then(|mantissa| i64::try_from(mantissa).ok()).unwrap_or(i64::MAX)
}
