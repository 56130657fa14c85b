//! What traders and consumers link: the trader's side of an order entry session with a blocking connection for it, and
//! the subscriber's side of market data.
//!
//! [`session`] is the protocol without I/O; [`Client`] is one TLS or TCP connection driven by it. The protocol is in
//! `docs/PROTOCOL.md`. Reports come in the order of their numbers and once each: what was missed while the connection
//! was lost is asked for again, and what comes meanwhile is held back behind it.
//!
//! [`market_data`] is described in `docs/MARKET_DATA.md`.

mod connection;
pub mod session;

/// The subscriber's side of market data.
pub mod market_data {
    pub use marketdata::{
        BlockingSubscriber, Book, BookLevel, GapCounters, PacketError, Patience, SubscribeError, Subscriber,
        Subscription, Trust, Update,
    };
}

pub use connection::{Client, ConnectError, Error, Identity, Incoming, Trust};
pub use ed25519_dalek::SigningKey;
pub use rustls;
pub use session::{Credentials, Options, Resume};
pub use wire;
