//! What a subscriber receives, and when.

use bytes::Bytes;
use wire::{ChannelId, Timestamp};

/// What the venue sent, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A packet.
    Packet(Bytes),
    /// A whole snapshot.
    Snapshot(Bytes),
    /// A message of the control lane, in its frame.
    Control(Bytes),
}

impl Content {
    /// The bytes, whatever they are.
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Packet(bytes) | Self::Snapshot(bytes) | Self::Control(bytes) => bytes,
        }
    }
}

/// What was received at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When its last byte was read from the connection; `None`: the subscriber has no clock.
    pub at: Option<Timestamp>,
    /// What.
    pub content: Content,
}

/// Where an update came from, and when; nanoseconds since 1970.
///
/// ```text
///   transact_time ───────► sent_at ───────────► received_at ─────────► the application's now
///     in the venue: its       QUIC, the network,    behind others in this program, and behind
///     queues, one batch       and the difference    what was lost and had to be waited for
///     of packets, conflation  of two clocks
/// ```
///
/// The first two are of the venue's clock, the others of the subscriber's. A packet that is sent again keeps the time at
/// which it was sent first, so that what a loss costs is between the second and the third. A conflated packet has the
/// newest state's `transact_time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamps {
    /// On which channel; `None`: the control lane does not say.
    pub channel_id: Option<ChannelId>,
    /// The core's time of the event; `None`: the update tells of no event.
    pub transact_time: Option<Timestamp>,
    /// When the venue made the packet and sent it; `None`: it came in no packet, but in a snapshot or a notice.
    pub sent_at: Option<Timestamp>,
    /// When its packet, snapshot or notice was received; `None`: the subscriber has no clock.
    pub received_at: Option<Timestamp>,
}
