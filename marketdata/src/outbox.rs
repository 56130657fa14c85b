//! What one subscriber is to be sent: bounded, without I/O.
//!
//! ```text
//!   packets ──► backlog, bounded in bytes ──► live streams
//!                  │ full: thrown away; a gap notice and new snapshots instead
//!                  │ full again before those are written: the subscriber is closed
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use wire::market_data::{GapNotice, SubscribeAck};
use wire::message::Flat;
use wire::{ChannelId, FeedSequence, GapCause, MessageCount, RequestId};

use crate::feed::Snapshot;
use crate::packet::{Packet, append};

/// Control messages that may wait: a peer that asks and does not read the answers is closed.
const CONTROL_MAX: usize = 8_192;

/// Why a subscriber is closed. The discriminant is QUIC's application error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseReason {
    /// The venue stops.
    Stopped = 0,
    /// It read too slowly, twice.
    TooSlow = 1,
    /// It sent what is no request.
    Malformed = 2,
    /// The venue's own feed lost its place.
    FeedLost = 3,
}

impl CloseReason {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Stopped => "the venue stops",
            Self::TooSlow => "read too slowly: the backlog was full again before the snapshots were taken",
            Self::Malformed => "not a request",
            Self::FeedLost => "the feed lost its place",
        }
    }
}

/// What became of a packet or a loss.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the backlog, or was not for this subscriber.
    Kept,
    /// These channels need new snapshots.
    Missed(Vec<ChannelId>),
    /// No more: this subscriber is to be closed.
    Close(CloseReason),
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    backlog_bytes_max: usize,
    backlog_bytes: usize,
    live: VecDeque<Packet>,
    snapshots: VecDeque<Snapshot>,
    control: VecDeque<Bytes>,
    channels: BTreeMap<ChannelId, Position>,
    /// Channels whose snapshot is awaited or not written yet.
    awaited: BTreeSet<ChannelId>,
    recovery: Recovery,
}

/// Where a subscriber is on a channel.
#[derive(Debug, Clone, Copy)]
enum Position {
    /// Before its first snapshot.
    Joining,
    /// This message is next.
    At(FeedSequence),
    /// Everything from here is missed, until the next snapshot.
    Missing(FeedSequence, GapCause),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Recovery {
    #[default]
    NotNeeded,
    UnderWay,
}

impl Outbox {
    pub(crate) fn new(backlog_bytes_max: usize) -> Self {
        Self { backlog_bytes_max, ..Self::default() }
    }

    /// Begins a channel.
    pub(crate) fn join(&mut self, channel_id: ChannelId) -> Result<(), AlreadyJoined> {
        if self.channels.contains_key(&channel_id) {
            return Err(AlreadyJoined);
        }
        self.channels.insert(channel_id, Position::Joining);
        self.awaited.insert(channel_id);
        Ok(())
    }

    /// Ends a channel; says which message would have been next, if it had one.
    pub(crate) fn leave(&mut self, channel_id: ChannelId) -> Option<FeedSequence> {
        self.awaited.remove(&channel_id);
        self.snapshots.retain(|snapshot| snapshot.channel_id != channel_id);
        match self.channels.remove(&channel_id)? {
            Position::Joining => None,
            Position::At(next) | Position::Missing(next, _) => Some(next),
        }
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = ChannelId> + '_ {
        self.channels.keys().copied()
    }

    /// Whether a new snapshot of a channel may be asked for.
    pub(crate) fn ask(&mut self, channel_id: ChannelId) -> Asked {
        if !self.channels.contains_key(&channel_id) {
            Asked::Unknown
        } else if self.awaited.insert(channel_id) {
            Asked::Granted
        } else {
            Asked::Busy
        }
    }

    pub(crate) fn packet(&mut self, packet: &Packet) -> Outcome {
        let Some(Position::At(next)) = self.channels.get_mut(&packet.channel_id) else { return Outcome::Kept };
        if packet.next_sequence <= *next {
            return Outcome::Kept;
        }
        if self.backlog_bytes + packet.bytes.len() > self.backlog_bytes_max {
            return self.missed(GapCause::SlowReader);
        }
        *next = packet.next_sequence;
        self.backlog_bytes += packet.bytes.len();
        self.live.push_back(packet.clone());
        Outcome::Kept
    }

    /// Throws the backlog away.
    pub(crate) fn missed(&mut self, cause: GapCause) -> Outcome {
        if self.recovery == Recovery::UnderWay && cause == GapCause::SlowReader {
            return Outcome::Close(CloseReason::TooSlow);
        }
        self.recovery = Recovery::UnderWay;
        self.backlog_bytes = 0;
        for packet in self.live.drain(..).rev() {
            if let Some(position) = self.channels.get_mut(&packet.channel_id) {
                *position = Position::At(packet.first_sequence);
            }
        }
        let mut channels = Vec::new();
        for (&channel_id, position) in &mut self.channels {
            if let Position::At(next) = *position {
                *position = Position::Missing(next, cause);
                channels.push(channel_id);
            }
        }
        self.awaited.extend(&channels);
        self.snapshots.retain(|snapshot| !channels.contains(&snapshot.channel_id));
        Outcome::Missed(channels)
    }

    /// A snapshot has come; the packets behind it follow.
    pub(crate) fn snapshot(&mut self, snapshot: Snapshot, request_id: Option<RequestId>) {
        let Snapshot { channel_id, next_sequence, .. } = snapshot;
        let Some(position) = self.channels.get_mut(&channel_id) else { return };
        let before = core::mem::replace(position, Position::At(next_sequence));
        match before {
            Position::Joining => {
                if let Some(request_id) = request_id {
                    self.control(&SubscribeAck { request_id, channel_id, next_sequence });
                }
            }
            Position::Missing(from_sequence, cause) => {
                let count = MessageCount(next_sequence.0 - from_sequence.0);
                self.control(&GapNotice { channel_id, from_sequence, count, security_id: None, cause });
            }
            Position::At(_) => {}
        }
        self.snapshots.retain(|earlier| earlier.channel_id != channel_id);
        self.snapshots.push_back(snapshot);
    }

    pub(crate) fn control<M: Flat>(&mut self, message: &M) {
        let mut bytes = Vec::with_capacity(M::FRAME_LENGTH);
        append(&mut bytes, message);
        self.control.push_back(bytes.into());
    }

    pub(crate) fn is_flooded(&self) -> bool {
        self.control.len() > CONTROL_MAX
    }

    pub(crate) fn next_control(&mut self) -> Option<Bytes> {
        self.control.pop_front()
    }

    pub(crate) fn next_snapshot(&mut self) -> Option<Snapshot> {
        self.snapshots.pop_front()
    }

    /// A snapshot was written.
    pub(crate) fn written(&mut self, channel_id: ChannelId) {
        if !self.snapshots.iter().any(|snapshot| snapshot.channel_id == channel_id) {
            self.awaited.remove(&channel_id);
        }
        if self.awaited.is_empty() {
            self.recovery = Recovery::NotNeeded;
        }
    }

    /// The oldest packets, at most so many bytes of them, but one at least; none if there are none.
    pub(crate) fn next_group(&mut self, bytes_max: usize) -> Vec<Bytes> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(packet) = self.live.pop_front_if(|packet| bytes == 0 || bytes + packet.bytes.len() <= bytes_max)
        {
            bytes += packet.bytes.len();
            group.push(packet.bytes);
        }
        self.backlog_bytes -= bytes;
        group
    }
}

/// The channel had begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AlreadyJoined;

/// What becomes of a request for a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Granted,
    /// One is on its way.
    Busy,
    /// The channel is not subscribed.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::market_data::MarketDataMessage;

    const CHANNEL: ChannelId = ChannelId(258);

    fn packet(number: u64) -> Packet {
        let bytes = Bytes::from(vec![0; 100]);
        Packet {
            channel_id: CHANNEL,
            first_sequence: FeedSequence(number),
            next_sequence: FeedSequence(number + 1),
            bytes,
        }
    }

    fn snapshot(next: u64) -> Snapshot {
        Snapshot { channel_id: CHANNEL, next_sequence: FeedSequence(next), bytes: Bytes::new() }
    }

    fn joined() -> Outbox {
        let mut outbox = Outbox::new(250);
        outbox.join(CHANNEL).unwrap();
        assert_eq!(outbox.join(CHANNEL), Err(AlreadyJoined));
        assert_eq!(outbox.packet(&packet(4)), Outcome::Kept);
        assert_eq!(outbox.next_group(1_000), [] as [Bytes; 0]);
        outbox.snapshot(snapshot(5), Some(RequestId(1)));
        outbox.next_snapshot().unwrap();
        outbox.written(CHANNEL);
        outbox.next_control().unwrap();
        outbox
    }

    #[test]
    fn a_full_backlog_is_replaced_by_a_notice_of_what_is_missed_and_a_snapshot() {
        let mut outbox = joined();
        assert_eq!(outbox.packet(&packet(5)), Outcome::Kept);
        assert_eq!(outbox.next_group(1_000).len(), 1);
        assert_eq!(outbox.packet(&packet(6)), Outcome::Kept);
        assert_eq!(outbox.packet(&packet(7)), Outcome::Kept);
        assert_eq!(outbox.packet(&packet(8)), Outcome::Missed(vec![CHANNEL]));
        assert_eq!(outbox.packet(&packet(9)), Outcome::Kept);
        outbox.snapshot(snapshot(10), None);
        let control = outbox.next_control().unwrap();
        let Ok(MarketDataMessage::GapNotice(notice)) = wire::Frame::split(&control).unwrap().0.try_into() else {
            panic!("another message")
        };
        assert_eq!((notice.from_sequence, notice.count), (FeedSequence(6), MessageCount(4)));
        assert_eq!(outbox.packet(&packet(10)), Outcome::Kept);
        assert_eq!(outbox.next_group(1_000).len(), 1);
    }

    #[test]
    fn a_backlog_that_is_full_again_before_the_snapshot_is_written_closes() {
        let mut outbox = joined();
        (5..7).for_each(|number| assert_eq!(outbox.packet(&packet(number)), Outcome::Kept));
        assert_eq!(outbox.packet(&packet(7)), Outcome::Missed(vec![CHANNEL]));
        outbox.snapshot(snapshot(8), None);
        (8..10).for_each(|number| assert_eq!(outbox.packet(&packet(number)), Outcome::Kept));
        assert_eq!(outbox.packet(&packet(10)), Outcome::Close(CloseReason::TooSlow));

        let mut outbox = joined();
        (5..7).for_each(|number| assert_eq!(outbox.packet(&packet(number)), Outcome::Kept));
        assert_eq!(outbox.packet(&packet(7)), Outcome::Missed(vec![CHANNEL]));
        outbox.snapshot(snapshot(8), None);
        outbox.next_snapshot().unwrap();
        outbox.written(CHANNEL);
        (8..10).for_each(|number| assert_eq!(outbox.packet(&packet(number)), Outcome::Kept));
        assert_eq!(outbox.packet(&packet(10)), Outcome::Missed(vec![CHANNEL]));
    }

    #[test]
    fn a_group_is_bounded_and_takes_one_packet_at_least() {
        let mut outbox = joined();
        (5..7).for_each(|number| assert_eq!(outbox.packet(&packet(number)), Outcome::Kept));
        assert_eq!(outbox.next_group(10).len(), 1);
        assert_eq!(outbox.next_group(100).len(), 1);
        assert_eq!(outbox.next_group(100).len(), 0);
    }
}
