//! What the public sees: events become feeds.
//!
//! [`Books`] follows the events of a venue and says after each command which orders and price levels changed. [`Feed`]
//! makes packets and snapshots of it, and a [`Subscription`] makes books of those, and proves them. None of them does
//! I/O.
//!
//! [`Room`] knows who takes what and what each is to be sent, without I/O as well. [`Publisher`] and [`Subscriber`] carry
//! all that over QUIC; [`Seat`] is the place of any other way out. A [`Recorder`] keeps in a file what a subscriber
//! received, and a [`Player`] makes the same updates and books of it again.

pub mod book;
pub mod books;
mod channel;
pub mod checksum;
mod conflation;
mod crowd;
mod desk;
pub mod door;
pub mod feed;
pub mod outbox;
pub mod packet;
pub mod quic;
pub mod received;
pub mod recording;
mod retained;
pub mod room;
mod scale;
mod snapshot;
mod statistics;
pub mod subscriber;
pub mod subscription;
mod window;

pub use book::{Book, BookLevel, BookOrder};
pub use books::{BestPrices, Books, Level, LevelChange, OrderAction, OrderChange, PublicOrder};
pub use channel::{LEVELS, channel_of, channel_parts};
pub use crowd::{Crowd, Presence};
pub use desk::{Clock, Desk, Output, Seat, SubscriberId, Turn, Want};
pub use door::{Door, Entitlement, OpenDoor, Refusal};
pub use feed::Feed;
pub use outbox::{Control, Outbox};
pub use packet::{PACKET_BYTES_MAX, Packet, PacketError};
pub use quic::{CloseReason, Config, Identity, Limits, Publisher};
pub use received::{Content, Received, Stamps};
pub use recording::{Contents, Player, Recorder, RecordingError, Records, Torn};
pub use room::{Datagrams, Effect, Newcomer, Room};
pub use scale::Scale;
pub use snapshot::Snapshot;
pub use subscriber::{BlockingSubscriber, Credentials, Signer, SubscribeError, Subscriber, Trust};
pub use subscription::{GapCounters, Patience, Request, Subscription, Update};
