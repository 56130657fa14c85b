//! What traders and consumers link: the trader's side of an order entry session, and the subscriber's side of market
//! data.
//!
//! ```text
//!   Trader, AsyncTrader    goes on after lost connections: sends again, recovers, says what is lost   recovery
//!   Client, AsyncClient    one connection: TLS or TCP                                                  link
//!   Session                the protocol: frames and the time in, frames and news out                   session
//! ```
//!
//! Each is driven by the one below it, and what does no I/O is the same for the blocking and the asynchronous drivers.
//! The protocol is in `docs/PROTOCOL.md`. Reports come in the order of their numbers and once each: what was missed
//! while the connection was lost is asked for again, and what comes meanwhile is held back behind it.
//!
//! ```no_run
//! use client::wire::order_entry::OrderEntryMessage;
//! use client::wire::{AccountId, ClientOrderId, KeyId, SessionId, Side};
//! use client::{Access, Credentials, Decimal, Instrument, Options, Policy, SigningKey, Start, Trader, TraderNews, Trust};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let signing_key = SigningKey::from_bytes(&[7; 32]);
//! let access = Access {
//!     addresses: vec!["127.0.0.1:4400".parse()?],
//!     trust: Trust::PlainLoopback,
//!     credentials: Credentials { session: SessionId(2), key: KeyId(2), signing_key },
//!     options: Options::DEFAULT,
//! };
//! let mut trader = Trader::new(access, Start::Anew, Policy::DEFAULT);
//! loop {
//!     match trader.receive()? {
//!         // The venue's instruments follow the opening.
//!         TraderNews::Message(OrderEntryMessage::SecurityDefinition(definition)) => {
//!             let (quantity, price) = (Decimal::new(1, 2), Decimal::new(64_000_50, 2));
//!             let name = ClientOrderId(1);
//!             let order = Instrument::new(definition).limit(AccountId(2), name, Side::Buy, quantity, price)?;
//!             println!("sent as {}", trader.send(&order)?);
//!         }
//!         news => println!("{news:?}"),
//!     }
//! }
//! # }
//! ```
//!
//! Balances and fees are in smallest units on the wire; [`Assets`] keeps what the venue tells of its assets, and makes
//! decimals of them.
//!
//! [`market_data`] is described in `docs/MARKET_DATA.md`.

pub mod asset;
#[cfg(feature = "async")]
mod asynchronous;
mod backoff;
mod connection;
pub mod copies;
pub mod decimal;
pub mod instrument;
mod link;
pub mod recovery;
pub mod request;
pub mod session;
mod trader;

/// The subscriber's side of market data.
pub mod market_data {
    pub use marketdata::{
        BlockingSubscriber, Book, BookLevel, BookOrder, Content, Contents, Credentials, GapCounters, PacketError,
        Patience, Player, Received, Recorder, RecordingError, Records, Signer, Stamps, SubscribeError, Subscriber,
        Subscription, Torn, Trust, Update, channel_parts,
    };
}

pub use asset::{AmountError, Asset, Assets};
#[cfg(feature = "async")]
pub use asynchronous::{AsyncClient, AsyncTrader};
pub use connection::{Client, ConnectError, Error, Identity, Incoming, Trust};
pub use ed25519_dalek::SigningKey;
pub use instrument::{Instrument, OrderError};
pub use recovery::{Login, Opening, Policy, Position, SendError, Start, TraderNews};
pub use rust_decimal::Decimal;
pub use rustls;
pub use session::{Credentials, Options, Resume};
pub use trader::{Access, Trader};
pub use wire;
