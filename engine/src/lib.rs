//! The matching engine: a pure, deterministic function from commands to events.
#![no_std]

extern crate alloc;

pub mod canonical;
pub mod command;
pub mod event;
pub mod identity;
pub mod instrument;
pub mod limits;
pub mod order;
pub mod price;
pub mod quantity;
pub mod reject;
pub mod timestamp;

pub use command::{Command, CommandBody, CommandHeader, CommandKind, Sequenced, Stamp};
pub use event::{Event, EventHeader, EventKind, EventSink};
pub use identity::*;
pub use limits::Capacity;
pub use price::Price;
pub use quantity::{Amount, Quantity, SignedAmount};
pub use reject::{CancelReason, RejectReason};
pub use timestamp::{Nanoseconds, Timestamp};
