//! The operator's door: what an administrator asks of a running venue over HTTP, and the tool that asks.
//!
//! ```text
//!   rialto admin ─► signed request ─► routes ─► request ─► Command ─► CommandRing ─► core
//!                                        ▲                                            │
//!                                        └─────────── desk ◄── released events ◄──────┘
//! ```
//!
//! Every change is a journalled command whose author is the administrator's key; its answer is the event that it caused.
//! There is no password and no shared secret: each request carries a signature over all of itself and the time.

mod authentication;
mod desk;
mod render;
pub mod requests;
mod routes;
mod rows;
pub mod signature;
pub mod tool;
pub mod value;
mod view;

pub use desk::Desk;
pub(crate) use desk::start;
pub(crate) use routes::{Door, describe};
pub use view::AdminView;
