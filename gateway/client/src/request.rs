//! What a trader sends: commands, which are numbered and applied once, and questions, which are neither.
//!
//! The two are types, because a question that was sent as a command would put every number behind it off by one.

use wire::order_entry::{
    AccountBalanceRequest, DropCopyRequest, KillSwitch, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest,
    OrderMassActionRequest, OrderMassStatusRequest, OrderStatusRequest,
};
use wire::{Flat, SessionSequence, Switch, Timestamp};

use crate::session::Session;

/// A message that changes something. It has a number in its session, under which it may be sent again.
pub trait CommandMessage: Flat + Copy + Into<Command> + sealed::Sealed {}

/// A message that asks. It has no number and changes nothing.
pub trait QuestionMessage: Flat + Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

/// Any command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// A new order.
    New(NewOrderSingle),
    /// A change of an order.
    Amend(OrderCancelReplaceRequest),
    /// The end of an order.
    Cancel(OrderCancelRequest),
    /// The end of many.
    MassCancel(OrderMassActionRequest),
    /// The end of all, and a stop.
    Kill(KillSwitch),
}

impl Command {
    /// Whether it only takes risk away. Such a command does no harm when it comes late.
    pub fn reduces_risk(&self) -> bool {
        match self {
            Self::New(_) | Self::Amend(_) => false,
            Self::Cancel(_) | Self::MassCancel(_) => true,
            Self::Kill(kill) => kill.switch == Switch::Engaged,
        }
    }

    /// Sends it again under its number, in case it did not arrive: it is applied once.
    pub fn send_again(&self, session: &mut Session, number: SessionSequence, now: Timestamp) {
        match self {
            Self::New(message) => session.send_again(number, message, now),
            Self::Amend(message) => session.send_again(number, message, now),
            Self::Cancel(message) => session.send_again(number, message, now),
            Self::MassCancel(message) => session.send_again(number, message, now),
            Self::Kill(message) => session.send_again(number, message, now),
        }
    }
}

macro_rules! commands {
    ($($kind:ident: $message:ty,)*) => {$(
        impl sealed::Sealed for $message {}
        impl CommandMessage for $message {}

        impl From<$message> for Command {
            fn from(message: $message) -> Self {
                Self::$kind(message)
            }
        }
    )*};
}

macro_rules! questions {
    ($($message:ty,)*) => {$(
        impl sealed::Sealed for $message {}
        impl QuestionMessage for $message {}
    )*};
}

commands! {
    New: NewOrderSingle,
    Amend: OrderCancelReplaceRequest,
    Cancel: OrderCancelRequest,
    MassCancel: OrderMassActionRequest,
    Kill: KillSwitch,
}

questions! {
    OrderStatusRequest,
    OrderMassStatusRequest,
    AccountBalanceRequest,
    DropCopyRequest,
}
