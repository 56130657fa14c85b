//! What the public sees: events become feeds.
//!
//! [`ByPrice`] follows the events of a venue and says after each command which price levels changed, and what the best
//! prices are. [`Feed`] makes packets and snapshots of it, and a
//! [`Subscription`] makes books of those. None of them does I/O.
//!
//! [`Publisher`] and [`Subscriber`] carry both over QUIC.

pub mod book;
mod by_price;
mod desk;
pub mod feed;
mod outbox;
pub mod packet;
pub mod quic;
mod scale;
pub mod subscriber;
pub mod subscription;

pub use book::{Book, BookLevel};
pub use by_price::{BestPrices, ByPrice, Level, LevelChange};
pub use feed::{Feed, Snapshot, channel_of};
pub use packet::{PACKET_BYTES_MAX, Packet, PacketError};
pub use quic::{CloseReason, Config, Identity, Limits, Publisher};
pub use scale::Scale;
pub use subscriber::{BlockingSubscriber, SubscribeError, Subscriber, Trust};
pub use subscription::{GapCounters, Patience, Subscription, Update};
