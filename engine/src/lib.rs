//! The matching engine: a pure, deterministic function from commands to events.
//!
//! [`Engine::apply`] takes one [`Command`] with its place in the total order and hands the resulting [`Event`]s to an
//! [`EventSink`]. The crate is `no_std`: it has no clock, thread, I/O or float, and iterates nothing hashed.
//!
//! Prices are ticks, quantities are lots, amounts are an asset's smallest unit; decimals live at the edge.
#![no_std]

extern crate alloc;

mod accounts;
mod administration;
mod amend;
mod auction;
mod book;
mod bust;
mod calendar;
mod call;
mod cancel;
pub mod canonical;
pub mod command;
mod directory;
mod engine;
pub mod event;
mod expiry;
mod fees;
mod foresight;
pub mod identity;
pub mod instrument;
pub mod limits;
mod login;
mod market;
mod matching;
pub mod order;
mod ordinary;
pub mod phases;
pub mod price;
mod protection;
pub mod quantity;
pub mod reject;
mod risk;
mod self_trade;
mod sessions;
pub mod settings;
mod snapshot;
mod table;
pub mod timestamp;
mod trigger;
mod turn;
mod validate;

pub use accounts::Balance;
pub use auction::Indicative;
pub use command::{Command, CommandBody, CommandHeader, CommandKind, Sequenced, Stamp};
pub use engine::{Engine, LevelSummary, OpenOrder, RestingOrder, SessionView};
pub use event::{Event, EventHeader, EventKind, EventSink};
pub use identity::*;
pub use limits::Capacity;
pub use order::*;
pub use price::Price;
pub use quantity::{Amount, Quantity, SignedAmount};
pub use reject::{CancelReason, RejectReason};
pub use sessions::SessionState;
pub use snapshot::SnapshotError;
pub use timestamp::{Nanoseconds, Timestamp};
