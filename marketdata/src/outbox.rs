//! What one subscriber is to be sent: bounded, without I/O.
//!
//! ```text
//!   packets ──► backlog, bounded in bytes and age ──► live streams
//!            │     │ full: thrown away; a gap notice and new snapshots instead
//!            │     │ full again before those are written: the subscriber is closed
//!            ├─► conflated: one pending state a channel ──► live streams
//!            └─► datagrams: out at once
//!   wants ──► desk ──► snapshots, one a channel
//! ```
//!
//! A snapshot costs the venue a walk through a book, and asking for it costs a peer a few bytes. So one that was asked
//! for is written even if its channel was left meanwhile, and until then that channel gets no other: a peer makes the
//! venue take no more snapshots than it reads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use wire::market_data::{GapNotice, SubscribeAck};
use wire::message::Flat;
use wire::{ChannelId, DeliveryMode, FeedLevel, FeedSequence, GapCause, MessageCount, RequestId, Timestamp};

use crate::channel::channel_parts;
use crate::conflation::{Pending, TooMuch};
use crate::packet::{Packet, append};
use crate::snapshot::Snapshot;

/// Control messages that may wait: a peer that asks and does not read the answers is closed.
const CONTROL_MAX: usize = 32_768;
/// How often a channel's next number is told behind its last datagram.
const HEARTBEATS: u8 = 3;
/// Snapshots of one subscriber that may be under way: asked for and not written yet.
const SNAPSHOTS_MAX: usize = 16;

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
    /// It did not prove who it is, or may see nothing. Which, is not said.
    NotLetIn = 4,
    /// Its key was revoked, or may see less than it has subscribed to.
    Revoked = 5,
    /// Its key or its address has as many connections as it may.
    TooManyConnections = 6,
}

impl CloseReason {
    /// All, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Stopped,
        Self::TooSlow,
        Self::Malformed,
        Self::FeedLost,
        Self::NotLetIn,
        Self::Revoked,
        Self::TooManyConnections,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TooSlow => "TooSlow",
            Self::Malformed => "Malformed",
            Self::FeedLost => "FeedLost",
            Self::NotLetIn => "NotLetIn",
            Self::Revoked => "Revoked",
            Self::TooManyConnections => "TooManyConnections",
        }
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Stopped => "the venue stops",
            Self::TooSlow => "read too slowly: the backlog was full again before the snapshots were taken",
            Self::Malformed => "not a request",
            Self::FeedLost => "the feed lost its place",
            Self::NotLetIn => "not let in",
            Self::Revoked => "its rights were revoked",
            Self::TooManyConnections => "its key or address has as many connections as it may",
        }
    }
}

/// What is said to a subscriber beside packets and snapshots.
#[derive(Debug, Clone)]
pub enum Control {
    /// An answer, as it is to be written.
    Answer(Bytes),
    /// A channel has begun: its snapshot has come.
    Began(SubscribeAck),
    /// Messages were left out; a snapshot has come that includes them.
    Gap(GapNotice),
}

impl Control {
    /// As a message in its frame.
    pub fn bytes(self) -> Bytes {
        match self {
            Self::Answer(bytes) => bytes,
            Self::Began(ack) => framed(&ack),
            Self::Gap(notice) => framed(&notice),
        }
    }
}

fn framed<M: Flat>(message: &M) -> Bytes {
    let mut bytes = Vec::with_capacity(M::FRAME_LENGTH);
    append(&mut bytes, message);
    bytes.into()
}

/// What became of a packet or a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the backlog, or was not for this subscriber.
    Kept,
    /// Those from this one on are to be sent at once, as datagrams.
    Datagrams(usize),
    /// Channels need new snapshots.
    Missed,
    /// No more: this subscriber is to be closed.
    Close(CloseReason),
}

/// What one subscriber is to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    backlog_bytes_max: usize,
    backlog_bytes: usize,
    live: VecDeque<Packet>,
    /// Conflated channels with something pending, the longest waiting first.
    dirty: VecDeque<ChannelId>,
    snapshots: VecDeque<Snapshot>,
    /// Of snapshots that have come and are not written yet.
    snapshot_bytes: usize,
    control: VecDeque<Control>,
    channels: BTreeMap<ChannelId, Channel>,
    /// Channels whose snapshot is awaited or not written yet.
    awaited: BTreeSet<ChannelId>,
    /// Those of them whose snapshot has still to be asked for.
    unasked: BTreeSet<ChannelId>,
    /// Channels with a snapshot that was asked for and is not written yet, also if they were left since.
    under_way: BTreeSet<ChannelId>,
    /// The channel whose snapshot was asked for and has not come.
    asked: Option<ChannelId>,
    /// Since when no snapshot was written, though there are some.
    stuck_since: Option<Timestamp>,
    recovery: Recovery,
    counts: OutboxCounts,
}

/// What an outbox did since it was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OutboxCounts {
    /// Gap notices.
    pub(crate) gaps: u64,
    /// Packets that went into a newer state instead of being sent.
    pub(crate) conflated: u64,
}

#[derive(Debug)]
struct Channel {
    position: Position,
    mode: DeliveryMode,
    pending: Option<Pending>,
    /// Heartbeats that are still to be sent behind the last datagram.
    heartbeats: u8,
    /// Who asked for the snapshot that is awaited.
    request_id: Option<RequestId>,
    /// The first message behind the snapshot that the channel began with.
    since: FeedSequence,
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
    /// Nothing yet; of packets, at most so many bytes wait.
    pub fn new(backlog_bytes_max: usize) -> Self {
        Self { backlog_bytes_max, ..Self::default() }
    }

    /// Begins a channel.
    ///
    /// # Errors
    /// If it had begun.
    pub fn join(
        &mut self,
        channel_id: ChannelId,
        mode: DeliveryMode,
        request_id: RequestId,
    ) -> Result<(), AlreadyJoined> {
        if self.channels.contains_key(&channel_id) {
            return Err(AlreadyJoined);
        }
        let (position, request_id, since) = (Position::Joining, Some(request_id), FeedSequence(0));
        let (pending, heartbeats) = (None, 0);
        self.channels.insert(channel_id, Channel { position, mode, pending, heartbeats, request_id, since });
        self.await_snapshot(channel_id);
        Ok(())
    }

    /// Ends a channel; says which message would have been next, if it had one.
    pub fn leave(&mut self, channel_id: ChannelId) -> Option<FeedSequence> {
        self.awaited.remove(&channel_id);
        self.unasked.remove(&channel_id);
        self.dirty.retain(|&dirty| dirty != channel_id);
        match self.channels.remove(&channel_id)?.position {
            Position::Joining => None,
            Position::At(next) | Position::Missing(next, _) => Some(next),
        }
    }

    /// Packets of a channel that still wait are not sent any more: for who reads packets and snapshots in one order, and
    /// would take those of before for some of behind the next snapshot.
    pub fn forget(&mut self, channel_id: ChannelId) {
        let backlog_bytes = &mut self.backlog_bytes;
        self.live.retain(|packet| {
            let stays = packet.channel_id != channel_id;
            *backlog_bytes -= if stays { 0 } else { packet.bytes.len() };
            stays
        });
    }

    /// Whether a channel has begun.
    pub fn has(&self, channel_id: ChannelId) -> bool {
        self.channels.contains_key(&channel_id)
    }

    /// Whether a channel goes on behind a snapshot that has come: not before its first, and not after a loss.
    pub fn goes_on(&self, channel_id: ChannelId) -> bool {
        self.channels.get(&channel_id).is_some_and(|channel| matches!(channel.position, Position::At(_)))
    }

    /// The channels that have begun.
    pub fn channels(&self) -> impl Iterator<Item = ChannelId> + '_ {
        self.channels.keys().copied()
    }

    /// How many channels have begun.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Whether a new snapshot of a channel may be asked for.
    pub fn ask(&mut self, channel_id: ChannelId, request_id: RequestId) -> Asked {
        let Some(channel) = self.channels.get_mut(&channel_id) else { return Asked::Unknown };
        if self.awaited.contains(&channel_id) {
            return Asked::Busy;
        }
        channel.request_id = Some(request_id);
        self.await_snapshot(channel_id);
        Asked::Granted
    }

    fn await_snapshot(&mut self, channel_id: ChannelId) {
        self.awaited.insert(channel_id);
        self.unasked.insert(channel_id);
    }

    /// The next snapshot that is to be asked for; none while enough of them are under way.
    pub fn next_want(&mut self) -> Option<(ChannelId, Option<RequestId>)> {
        let is_enough = self.under_way.len() >= SNAPSHOTS_MAX || self.snapshot_bytes > self.backlog_bytes_max;
        // How long the next will be is not known before the last has come.
        if is_enough || self.asked.is_some() {
            return None;
        }
        let channel_id = *self.unasked.iter().find(|channel_id| !self.under_way.contains(channel_id))?;
        self.unasked.remove(&channel_id);
        self.under_way.insert(channel_id);
        self.asked = Some(channel_id);
        Some((channel_id, self.channels.get(&channel_id)?.request_id))
    }

    /// Takes packets of one channel, in their order.
    pub fn packets(&mut self, packets: &[Packet]) -> Outcome {
        let Some((first, last)) = packets.first().zip(packets.last()) else { return Outcome::Kept };
        let Some(channel) = self.channels.get_mut(&first.channel_id) else { return Outcome::Kept };
        let Position::At(next) = &mut channel.position else { return Outcome::Kept };
        // What its snapshot includes.
        let known = packets.iter().take_while(|packet| packet.next_sequence <= *next).count();
        let news = &packets[known..];
        if news.is_empty() {
            return Outcome::Kept;
        }
        match channel.mode {
            DeliveryMode::Datagrams => {
                *next = last.next_sequence;
                channel.heartbeats = HEARTBEATS;
                return Outcome::Datagrams(known);
            }
            DeliveryMode::Conflated => {
                *next = last.next_sequence;
                let missed = news.iter().any(|packet| self.conflate(packet) == Outcome::Missed);
                return if missed { Outcome::Missed } else { Outcome::Kept };
            }
            DeliveryMode::Live | DeliveryMode::NonRepresentable => {}
        }
        for packet in news {
            if self.backlog_bytes + packet.bytes.len() > self.backlog_bytes_max {
                return self.missed(GapCause::SlowReader);
            }
            *next = packet.next_sequence;
            self.backlog_bytes += packet.bytes.len();
            self.live.push_back(packet.clone());
        }
        Outcome::Kept
    }

    fn conflate(&mut self, packet: &Packet) -> Outcome {
        let channel = self.channels.get_mut(&packet.channel_id).expect("the caller has found it");
        let level = channel_parts(packet.channel_id).map_or(FeedLevel::NonRepresentable, |(_, level)| level);
        match &mut channel.pending {
            Some(pending) => {
                self.counts.conflated += 1;
                if pending.merge(packet, level) == Err(TooMuch) {
                    self.lose(packet.channel_id, packet.next_sequence, GapCause::SlowReader);
                    return Outcome::Missed;
                }
            }
            None => {
                channel.pending = Some(Pending::One(packet.clone()));
                self.dirty.push_back(packet.channel_id);
            }
        }
        Outcome::Kept
    }

    /// What becomes of a subscriber at `now`, if its oldest packet waits since before `since`, or no snapshot was written
    /// for three times as long.
    pub fn overdue(&mut self, now: Timestamp, since: Timestamp) -> Outcome {
        self.stuck_since = if self.snapshot_bytes == 0 { None } else { self.stuck_since.or(Some(now)) };
        let age_max = now.0.saturating_sub(since.0);
        if self.stuck_since.is_some_and(|stuck| now.0.saturating_sub(stuck.0) > age_max.saturating_mul(3)) {
            return Outcome::Close(CloseReason::TooSlow);
        }
        let is_stuck = |channel_id: &ChannelId| {
            let pending = self.channels.get(channel_id).and_then(|channel| channel.pending.as_ref());
            pending.is_some_and(|pending| pending.since() < since)
        };
        if self.dirty.front().is_some_and(is_stuck) {
            return Outcome::Close(CloseReason::TooSlow);
        }
        match self.live.front() {
            Some(packet) if packet.sent_at < since => self.missed(GapCause::SlowReader),
            _ => Outcome::Kept,
        }
    }

    /// The next numbers of channels whose last datagrams may have been lost: with some, their loss is noticed. With
    /// `all`, of every channel that is sent in datagrams.
    pub fn heartbeats(&mut self, all: bool) -> Vec<(ChannelId, FeedSequence)> {
        let due = self.channels.iter_mut().filter_map(|(&channel_id, channel)| match channel.position {
            Position::At(next) if channel.mode == DeliveryMode::Datagrams && (all || channel.heartbeats > 0) => {
                channel.heartbeats = channel.heartbeats.saturating_sub(1);
                Some((channel_id, next))
            }
            _ => None,
        });
        due.collect()
    }

    /// Throws the backlog away.
    pub fn missed(&mut self, cause: GapCause) -> Outcome {
        if self.recovery == Recovery::UnderWay && cause == GapCause::SlowReader {
            return Outcome::Close(CloseReason::TooSlow);
        }
        self.recovery = Recovery::UnderWay;
        self.backlog_bytes = 0;
        for packet in self.live.drain(..).rev() {
            // Packets of a channel that was left and begun again say nothing of where it is now.
            if let Some(channel) = self.channels.get_mut(&packet.channel_id)
                && matches!(channel.position, Position::At(_))
                && packet.next_sequence > channel.since
            {
                channel.position = Position::At(packet.first_sequence.max(channel.since));
            }
        }
        let channels: Vec<ChannelId> = self.channels.keys().copied().collect();
        let missed = channels.into_iter().filter(|&channel_id| self.miss(channel_id, cause)).count() > 0;
        self.drop_superseded();
        if missed { Outcome::Missed } else { Outcome::Kept }
    }

    /// A channel's messages from where it is are missed, up to a new snapshot; whether that is so. Who takes the latest
    /// state misses nothing of it by being slow, and datagrams do not wait.
    fn miss(&mut self, channel_id: ChannelId, cause: GapCause) -> bool {
        let Some(channel) = self.channels.get_mut(&channel_id) else { return false };
        let is_spared = channel.mode != DeliveryMode::Live && cause == GapCause::SlowReader;
        let Position::At(next) = channel.position else { return false };
        if !is_spared {
            self.lose(channel_id, next, cause);
        }
        !is_spared
    }

    fn lose(&mut self, channel_id: ChannelId, next: FeedSequence, cause: GapCause) {
        let Some(channel) = self.channels.get_mut(&channel_id) else { return };
        let from = channel.pending.take().map_or(next, |pending| pending.from());
        channel.position = Position::Missing(from, cause);
        self.dirty.retain(|&dirty| dirty != channel_id);
        self.await_snapshot(channel_id);
    }

    /// Snapshots that a new one is going to replace are not written. A peer cannot bring this about at will: a second
    /// loss before all are written closes it.
    fn drop_superseded(&mut self) {
        let channels = &self.channels;
        let is_missing = |snapshot: &Snapshot| {
            let channel = channels.get(&snapshot.channel_id);
            channel.is_some_and(|channel| matches!(channel.position, Position::Missing(..)))
        };
        let (dropped, kept): (Vec<Snapshot>, Vec<Snapshot>) = self.snapshots.drain(..).partition(is_missing);
        self.snapshots = kept.into();
        for snapshot in dropped {
            self.snapshot_bytes -= snapshot.length();
            self.under_way.remove(&snapshot.channel_id);
        }
    }

    /// A snapshot has come; the packets behind it follow.
    pub fn snapshot(&mut self, snapshot: Snapshot) {
        self.asked.take_if(|asked| *asked == snapshot.channel_id);
        self.take_place(&snapshot);
        self.snapshot_bytes += snapshot.length();
        self.snapshots.push_back(snapshot);
    }

    /// The channel goes on behind its snapshot, unless that was asked for before the channel was begun again.
    fn take_place(&mut self, &Snapshot { channel_id, next_sequence, .. }: &Snapshot) {
        if self.unasked.contains(&channel_id) {
            return;
        }
        let Some(channel) = self.channels.get_mut(&channel_id) else { return };
        let request_id = channel.request_id.take();
        match core::mem::replace(&mut channel.position, Position::At(next_sequence)) {
            Position::Joining => {
                channel.since = next_sequence;
                if let Some(request_id) = request_id {
                    self.control.push_back(Control::Began(SubscribeAck { request_id, channel_id, next_sequence }));
                }
            }
            Position::Missing(from_sequence, cause) => {
                let count = MessageCount(next_sequence.0 - from_sequence.0);
                let notice = GapNotice { channel_id, from_sequence, count, security_id: None, cause };
                self.control.push_back(Control::Gap(notice));
                self.counts.gaps += 1;
            }
            Position::At(_) => {}
        }
    }

    /// There is no such book: the channel ends, unless it was begun again since that was asked. Whether it has ended.
    pub fn no_book(&mut self, channel_id: ChannelId) -> bool {
        self.asked.take_if(|asked| *asked == channel_id);
        self.under_way.remove(&channel_id);
        let ends = !self.unasked.contains(&channel_id);
        if ends {
            self.leave(channel_id);
        }
        ends
    }

    /// An answer.
    pub fn control<M: Flat>(&mut self, message: &M) {
        self.answer(framed(message));
    }

    /// An answer, as it is to be written.
    pub fn answer(&mut self, bytes: Bytes) {
        self.control.push_back(Control::Answer(bytes));
    }

    /// Bytes of packets that wait.
    pub(crate) const fn backlog_bytes(&self) -> usize {
        self.backlog_bytes
    }

    /// What it did since this was asked last.
    pub(crate) fn take_counts(&mut self) -> OutboxCounts {
        core::mem::take(&mut self.counts)
    }

    /// Whether too many answers wait.
    pub fn is_flooded(&self) -> bool {
        self.control.len() > CONTROL_MAX
    }

    /// The next answer or notice.
    pub fn next_control(&mut self) -> Option<Control> {
        self.control.pop_front()
    }

    /// The next snapshot to be written; [`written`](Self::written) has to follow.
    pub fn next_snapshot(&mut self) -> Option<Snapshot> {
        self.snapshots.pop_front()
    }

    /// A snapshot was written.
    pub fn written(&mut self, channel_id: ChannelId, bytes: usize) {
        self.stuck_since = None;
        self.snapshot_bytes -= bytes;
        self.under_way.remove(&channel_id);
        if !self.unasked.contains(&channel_id) {
            self.awaited.remove(&channel_id);
        }
        if self.awaited.is_empty() {
            self.recovery = Recovery::NotNeeded;
        }
    }

    /// The oldest packets, at most so many bytes of them, but one at least; none if there are none.
    pub fn next_group(&mut self, bytes_max: usize) -> Vec<Bytes> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(packet) = self.live.pop_front_if(|packet| bytes == 0 || bytes + packet.bytes.len() <= bytes_max)
        {
            bytes += packet.bytes.len();
            group.push(packet.bytes);
        }
        self.backlog_bytes -= bytes;
        while bytes < bytes_max
            && let Some(packet) = self.next_pending()
        {
            bytes += packet.bytes.len();
            group.push(packet.bytes);
        }
        group
    }

    /// What a conflated channel has come to; not within a command.
    fn next_pending(&mut self) -> Option<Packet> {
        let is_whole = |channel_id: &ChannelId| {
            let pending = self.channels.get(channel_id).and_then(|channel| channel.pending.as_ref());
            pending.is_some_and(|pending| !pending.continues())
        };
        let channel_id = self.dirty.remove(self.dirty.iter().position(is_whole)?)?;
        Some(self.channels.get_mut(&channel_id)?.pending.take()?.packet())
    }
}

/// The channel had begun.
#[derive(Debug, PartialEq, Eq)]
pub struct AlreadyJoined;

/// What becomes of a request for a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// One is going to come.
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
            flags: wire::PacketFlags::NONE,
            sent_at: Timestamp(number),
            bytes,
        }
    }

    fn snapshot(next: u64) -> Snapshot {
        Snapshot {
            channel_id: CHANNEL,
            next_sequence: FeedSequence(next),
            head: vec![0; 20].into(),
            body: vec![0; 40].into(),
        }
    }

    /// The desk answers the next want.
    fn answer(outbox: &mut Outbox, next: u64) {
        assert_eq!(outbox.next_want().map(|(channel_id, _)| channel_id), Some(CHANNEL));
        outbox.snapshot(snapshot(next));
    }

    fn write_snapshot(outbox: &mut Outbox) {
        let snapshot = outbox.next_snapshot().unwrap();
        outbox.written(snapshot.channel_id, snapshot.length());
    }

    fn acknowledged(outbox: &mut Outbox) -> Option<(RequestId, FeedSequence)> {
        let control = outbox.next_control()?.bytes();
        match wire::Frame::split(&control).unwrap().0.try_into() {
            Ok(MarketDataMessage::SubscribeAck(ack)) => Some((ack.request_id, ack.next_sequence)),
            other => panic!("{other:?}"),
        }
    }

    fn joined() -> Outbox {
        let mut outbox = Outbox::new(250);
        outbox.join(CHANNEL, DeliveryMode::Live, RequestId(1)).unwrap();
        assert_eq!(outbox.join(CHANNEL, DeliveryMode::Live, RequestId(1)), Err(AlreadyJoined));
        assert_eq!(outbox.packets(&[packet(4)]), Outcome::Kept);
        assert_eq!(outbox.next_group(1_000), [] as [Bytes; 0]);
        assert_eq!(outbox.next_want(), Some((CHANNEL, Some(RequestId(1)))));
        outbox.snapshot(snapshot(5));
        write_snapshot(&mut outbox);
        outbox.next_control().unwrap();
        outbox
    }

    #[test]
    fn a_full_backlog_is_replaced_by_a_notice_of_what_is_missed_and_a_snapshot() {
        let mut outbox = joined();
        assert_eq!(outbox.packets(&[packet(5)]), Outcome::Kept);
        assert_eq!(outbox.next_group(1_000).len(), 1);
        assert_eq!(outbox.packets(&[packet(6)]), Outcome::Kept);
        assert_eq!(outbox.packets(&[packet(7)]), Outcome::Kept);
        assert_eq!(outbox.packets(&[packet(8)]), Outcome::Missed);
        assert_eq!(outbox.packets(&[packet(9)]), Outcome::Kept);
        answer(&mut outbox, 10);
        let control = outbox.next_control().unwrap().bytes();
        let Ok(MarketDataMessage::GapNotice(notice)) = wire::Frame::split(&control).unwrap().0.try_into() else {
            panic!("another message")
        };
        assert_eq!((notice.from_sequence, notice.count), (FeedSequence(6), MessageCount(4)));
        assert_eq!(outbox.take_counts(), OutboxCounts { gaps: 1, conflated: 0 });
        assert_eq!(outbox.take_counts(), OutboxCounts::default());
        assert_eq!((outbox.packets(&[packet(10)]), outbox.backlog_bytes()), (Outcome::Kept, 100));
        assert_eq!(outbox.next_group(1_000).len(), 1);
    }

    #[test]
    fn a_backlog_that_is_full_again_before_the_snapshot_is_written_closes() {
        let mut outbox = joined();
        (5..7).for_each(|number| assert_eq!(outbox.packets(&[packet(number)]), Outcome::Kept));
        assert_eq!(outbox.packets(&[packet(7)]), Outcome::Missed);
        answer(&mut outbox, 8);
        (8..10).for_each(|number| assert_eq!(outbox.packets(&[packet(number)]), Outcome::Kept));
        assert_eq!(outbox.packets(&[packet(10)]), Outcome::Close(CloseReason::TooSlow));

        let mut outbox = joined();
        (5..7).for_each(|number| assert_eq!(outbox.packets(&[packet(number)]), Outcome::Kept));
        assert_eq!(outbox.packets(&[packet(7)]), Outcome::Missed);
        answer(&mut outbox, 8);
        write_snapshot(&mut outbox);
        (8..10).for_each(|number| assert_eq!(outbox.packets(&[packet(number)]), Outcome::Kept));
        assert_eq!(outbox.packets(&[packet(10)]), Outcome::Missed);
    }

    #[test]
    fn a_group_is_bounded_and_takes_one_packet_at_least() {
        let mut outbox = joined();
        (5..7).for_each(|number| assert_eq!(outbox.packets(&[packet(number)]), Outcome::Kept));
        assert_eq!(outbox.next_group(10).len(), 1);
        assert_eq!(outbox.next_group(100).len(), 1);
        assert_eq!(outbox.next_group(100).len(), 0);
    }

    /// A peer that joined and left in turns had a whole book walked through each time, and was sent none of them.
    #[test]
    fn who_joins_and_leaves_in_turns_gets_no_snapshot_before_the_last_is_written() {
        let mut outbox = Outbox::new(250);
        let turns = |outbox: &mut Outbox| {
            (0..100)
                .filter(|&turn| {
                    outbox.join(CHANNEL, DeliveryMode::Live, RequestId(turn)).unwrap();
                    let is_asked = outbox.next_want().is_some();
                    assert_eq!(outbox.leave(CHANNEL), None);
                    is_asked
                })
                .count()
        };
        assert_eq!(turns(&mut outbox), 1);
        outbox.snapshot(snapshot(5));
        assert_eq!(turns(&mut outbox), 0);
        write_snapshot(&mut outbox);
        assert_eq!(turns(&mut outbox), 1);
        assert_eq!(acknowledged(&mut outbox), None);

        // Who stays after all gets a snapshot of its own, once the one that was asked for before is written.
        outbox.join(CHANNEL, DeliveryMode::Live, RequestId(7)).unwrap();
        outbox.snapshot(snapshot(6));
        assert_eq!((outbox.next_want(), acknowledged(&mut outbox)), (None, None));
        assert!(!outbox.goes_on(CHANNEL));
        write_snapshot(&mut outbox);
        assert_eq!(outbox.next_want(), Some((CHANNEL, Some(RequestId(7)))));
        outbox.snapshot(snapshot(8));
        assert_eq!(acknowledged(&mut outbox), Some((RequestId(7), FeedSequence(8))));
        assert!(outbox.goes_on(CHANNEL));
    }

    #[test]
    fn snapshots_that_are_not_read_keep_others_from_being_taken() {
        let mut outbox = Outbox::new(250);
        for channel in 0..100 {
            outbox.join(ChannelId(channel), DeliveryMode::Live, RequestId(1)).unwrap();
        }
        // Five of sixty bytes are more than the backlog may have; four are not. None is asked for before the last has come.
        for _ in 0..5 {
            let (channel_id, _) = outbox.next_want().unwrap();
            assert_eq!(outbox.next_want(), None);
            outbox.snapshot(Snapshot { channel_id, ..snapshot(5) });
        }
        assert_eq!(outbox.next_want(), None);
        write_snapshot(&mut outbox);
        assert!(outbox.next_want().is_some());
    }

    #[test]
    fn who_takes_no_snapshot_for_long_is_closed() {
        let mut outbox = Outbox::new(250);
        outbox.join(CHANNEL, DeliveryMode::Datagrams, RequestId(1)).unwrap();
        answer(&mut outbox, 5);
        let mut overdue = |now| outbox.overdue(Timestamp(now), Timestamp(now - 10));
        assert_eq!([overdue(100), overdue(110), overdue(130)], [Outcome::Kept; 3]);
        assert_eq!(overdue(131), Outcome::Close(CloseReason::TooSlow));
    }

    /// The acknowledgement of a channel that was begun again was lost where packets from before its end still waited.
    #[test]
    fn a_channel_that_is_begun_again_is_acknowledged_whatever_waits_from_before() {
        let mut outbox = joined();
        assert_eq!(outbox.packets(&[packet(5)]), Outcome::Kept);
        assert_eq!(outbox.leave(CHANNEL), Some(FeedSequence(6)));
        outbox.join(CHANNEL, DeliveryMode::Live, RequestId(2)).unwrap();
        assert_eq!(outbox.missed(GapCause::Upstream), Outcome::Kept);
        answer(&mut outbox, 8);
        assert_eq!(acknowledged(&mut outbox), Some((RequestId(2), FeedSequence(8))));
    }

    #[test]
    fn a_channel_that_is_forgotten_leaves_nothing_and_its_room_is_free() {
        const OTHER: ChannelId = ChannelId(514);
        let mut outbox = joined();
        outbox.join(OTHER, DeliveryMode::Live, RequestId(2)).unwrap();
        outbox.next_want().unwrap();
        outbox.snapshot(Snapshot { channel_id: OTHER, ..snapshot(5) });
        assert_eq!(outbox.packets(&[packet(5)]), Outcome::Kept);
        assert_eq!(outbox.packets(&[Packet { channel_id: OTHER, ..packet(5) }]), Outcome::Kept);
        outbox.leave(CHANNEL);
        outbox.forget(CHANNEL);
        assert!(outbox.has(OTHER) && !outbox.has(CHANNEL));
        assert_eq!(outbox.packets(&[Packet { channel_id: OTHER, ..packet(6) }]), Outcome::Kept);
        assert_eq!(outbox.next_group(1_000).len(), 2);
    }

    #[test]
    fn what_a_channel_missed_begins_where_it_was_begun_again() {
        let mut outbox = joined();
        assert_eq!(outbox.packets(&[packet(5)]), Outcome::Kept);
        outbox.leave(CHANNEL);
        outbox.join(CHANNEL, DeliveryMode::Live, RequestId(2)).unwrap();
        answer(&mut outbox, 8);
        assert_eq!(acknowledged(&mut outbox), Some((RequestId(2), FeedSequence(8))));
        assert_eq!(outbox.missed(GapCause::Upstream), Outcome::Missed);
        answer(&mut outbox, 10);
        let control = outbox.next_control().unwrap().bytes();
        let Ok(MarketDataMessage::GapNotice(notice)) = wire::Frame::split(&control).unwrap().0.try_into() else {
            panic!("another message")
        };
        assert_eq!((notice.from_sequence, notice.count), (FeedSequence(8), MessageCount(2)));
    }
}
