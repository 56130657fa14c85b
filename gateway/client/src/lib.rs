//! What traders link: the trader's side of an order entry session, and a blocking connection for it.
//!
//! [`session`] is the protocol without I/O; [`Client`] is one TLS or TCP connection driven by it. The protocol is in
//! `docs/PROTOCOL.md`. Reports come in the order of their numbers and once each: what was missed while the connection
//! was lost is asked for again, and what comes meanwhile is held back behind it.

mod connection;
pub mod session;

pub use connection::{Client, ConnectError, Error, Incoming, Trust};
pub use ed25519_dalek::SigningKey;
pub use rustls;
pub use session::{Credentials, Options, Resume};
pub use wire;
