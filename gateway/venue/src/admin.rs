//! The operator's door: what an administrator asks of a running venue over HTTP, and the tool that asks.
//!
//! ```text
//!   rialto admin ─► signed request ─► routes ─► request ─► Command ─► CommandRing ─► core
//!                                        ▲                                            │
//!                                        └─────────── desk ◄── released events ◄──────┘
//! ```
//!
//! What a key may ask is the engine's table of roles ([`engine::command::Role::may_give`]): the door asks the same function early.
//! Every change is a journalled command whose author is the administrator's key; its answer is the event that it caused.
//! There is no password and no shared secret: each request carries a signature over all of itself and the time.

pub(crate) mod access_log;
mod authentication;
mod desk;
mod door;
mod four_eyes;
mod open_orders;
mod preview;
mod proposals;
mod refusal;
mod render;
pub mod requests;
mod routes;
mod rows;
pub mod signature;
pub mod tool;
pub mod value;
mod view;

pub use access_log::AccessLogError;
pub(crate) use desk::start;
pub use desk::{Desk, Seen};
pub use door::Door;
pub(crate) use door::{Records, Unsigned, Waiting, needs_signature};
pub use four_eyes::ChangeName;
pub(crate) use proposals::Decision;
pub(crate) use refusal::Refusal;
pub(crate) use render::event as event_object;
pub(crate) use routes::{List, describe};
pub use view::AdminView;
pub(crate) use view::{ROWS_MAX, note_of};
