//! Everybody at one seat: who takes what, what each is to be sent, what each may ask for. Without I/O.
//!
//! ```text
//!   outputs of the desk ──► room ──► outbox of each listener ──► whoever writes to the peer
//!   requests of peers ────►   │
//!                             └──► effects: wake, datagram, again, close; wants for the desk
//! ```
//!
//! Whoever drives a room takes its [effects](Room::take_effects) after each call.
//!
//! What [routes](Room::route) the desk's outputs and takes [requests](Room::request) in the wire's messages has the
//! feed's channels. Whoever makes channels of its own of them [publishes](Room::publish) their packets and gives their
//! [snapshots](Room::snapshot) itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use engine::{InstrumentId, KeyId};
use wire::market_data::{
    Logon, LogonAck, LogonChallenge, LogonSignature, MarketDataMessage, PacketHeader, PacketRetransmitRequest,
    SnapshotRequest, Subscribe, SubscribeAck, SubscribeReject,
};
use wire::{
    Block, Challenge, ChannelId, DeliveryMode, FeedLevel, FeedSequence, GapCause, PacketCount, PacketFlags, RequestId,
    SecurityId, SubscribeRejectReason, SubscriptionRequestType, Timestamp,
};

use crate::channel::{LEVELS, channel_of, channel_parts};
use crate::crowd::{Crowd, Presence, Tally};
use crate::desk::{Output, SubscriberId, Want};
use crate::door::{Door, Entitlement};
use crate::outbox::{Asked, CloseReason, Outbox, OutboxCounts, Outcome};
use crate::packet::{PACKET_BYTES_MAX, Packet, append};
use crate::quic::Limits;
use crate::retained::Retained;
use crate::snapshot::Snapshot;

/// Whether a subscriber can be sent datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagrams {
    /// As long as packets are.
    Taken,
    /// Not at all, or too short.
    NotTaken,
}

/// One who has come.
#[derive(Debug)]
pub struct Newcomer {
    /// From where.
    pub address: IpAddr,
    /// What it may see; none: it has to log on first.
    pub entitlement: Option<Entitlement>,
    /// Whose key it has proven to hold.
    pub key: Option<KeyId>,
    /// Whether it can be sent datagrams.
    pub datagrams: Datagrams,
    /// Its place in the crowd.
    pub presence: Presence,
}

/// What is to be done for a call.
#[derive(Debug)]
pub enum Effect {
    /// There are packets in a subscriber's outbox.
    WakeLive(SubscriberId),
    /// There may be anything in a subscriber's outbox.
    Wake(SubscriberId),
    /// A subscriber is to be sent a datagram.
    Datagram(SubscriberId, Bytes),
    /// A subscriber is to be sent packets again, on a stream of their own; then [`Room::repeated`] is to be called.
    Again(SubscriberId, Vec<Bytes>),
    /// A subscriber's connection is to be closed; [`Room::leave`] follows.
    Close(SubscriberId, CloseReason),
    /// A subscriber is to be given a channel's snapshot, by who asked for it.
    Want(SubscriberId, ChannelId, Option<RequestId>),
    /// Nobody here takes a channel any more.
    Unheard(ChannelId),
}

/// Everybody at one seat.
#[derive(Debug)]
pub struct Room {
    limits: Limits,
    peers: BTreeMap<SubscriberId, Peer>,
    /// Who takes which channel.
    listeners: BTreeMap<ChannelId, BTreeSet<SubscriberId>>,
    /// None: nothing is sent again.
    retained: Option<Retained>,
    books: Books,
    effects: Vec<Effect>,
    /// To be woken.
    touched: Vec<SubscriberId>,
    /// With whom its subscribers are counted; nothing until one has come.
    crowd: Option<Arc<Crowd>>,
    /// What it has added there.
    told: Tally,
    /// What it has done so far.
    done: Tally,
}

/// Whether the feed's books can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Books {
    #[default]
    Valid,
    /// The reader was lapped.
    Void,
}

#[derive(Debug)]
struct Peer {
    newcomer: Newcomer,
    outbox: Outbox,
    /// What it was asked to sign.
    challenge: Option<(wire::KeyId, LogonChallenge)>,
    /// Sees every instrument that is listed, on this level.
    everything: BTreeMap<u8, (FeedLevel, DeliveryMode, RequestId)>,
    is_repeating: bool,
    wake: WakeFor,
}

/// What a subscriber is to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum WakeFor {
    #[default]
    Nothing,
    Packets,
    Anything,
}

impl Room {
    /// Nobody yet.
    pub fn new(limits: Limits) -> Self {
        Self { retained: Some(Retained::default()), ..Self::without_repeats(limits) }
    }

    /// Nobody yet; packets are not kept, and nobody may ask for them again.
    pub fn without_repeats(limits: Limits) -> Self {
        Self {
            limits,
            peers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            retained: None,
            books: Books::default(),
            effects: Vec::new(),
            touched: Vec::new(),
            crowd: None,
            told: Tally::default(),
            done: Tally::default(),
        }
    }

    /// One has come.
    ///
    /// # Errors
    /// If nobody can be served any more.
    pub fn enter(&mut self, id: SubscriberId, newcomer: Newcomer) -> Result<(), CloseReason> {
        if self.books == Books::Void {
            return Err(CloseReason::FeedLost);
        }
        self.crowd.get_or_insert_with(|| Arc::clone(newcomer.presence.crowd()));
        let outbox = Outbox::new(self.limits.backlog_bytes_max);
        let (challenge, everything, is_repeating, wake) = (None, BTreeMap::new(), false, WakeFor::Nothing);
        self.peers.insert(id, Peer { newcomer, outbox, challenge, everything, is_repeating, wake });
        Ok(())
    }

    /// One has gone.
    pub fn leave(&mut self, id: SubscriberId) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        self.done.add(peer.outbox.take_counts());
        peer.outbox.channels().for_each(|channel_id| self.unlisten(channel_id, id));
    }

    /// Whether it is known what one may see.
    pub fn is_let_in(&self, id: SubscriberId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.newcomer.entitlement.is_some())
    }

    /// What one is to be sent; `None`: it has gone.
    pub fn outbox(&mut self, id: SubscriberId) -> Option<&mut Outbox> {
        Some(&mut self.peers.get_mut(&id)?.outbox)
    }

    /// Who is there.
    pub fn subscribers(&self) -> impl Iterator<Item = SubscriberId> + '_ {
        self.peers.keys().copied()
    }

    /// What is to be done, in this order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        for id in self.touched.drain(..) {
            let wake = self.peers.get_mut(&id).map_or(WakeFor::Nothing, |peer| core::mem::take(&mut peer.wake));
            match wake {
                WakeFor::Nothing => {}
                WakeFor::Packets => self.effects.push(Effect::WakeLive(id)),
                WakeFor::Anything => self.effects.push(Effect::Wake(id)),
            }
        }
        core::mem::take(&mut self.effects)
    }

    /// Takes what lay at the desk: packets of one channel in a row together.
    pub fn route_all(&mut self, outputs: impl IntoIterator<Item = Output>, door: &dyn Door) {
        let mut run: Vec<Packet> = Vec::new();
        for output in outputs {
            match output {
                Output::Packet(packet) => {
                    if run.last().is_some_and(|last| last.channel_id != packet.channel_id) {
                        self.publish(&run);
                        run.clear();
                    }
                    run.push(packet);
                }
                output => {
                    self.publish(&run);
                    run.clear();
                    self.route(output, door);
                }
            }
        }
        self.publish(&run);
    }

    /// Takes one thing that lay at the desk.
    pub fn route(&mut self, output: Output, door: &dyn Door) {
        match output {
            Output::Packet(packet) => self.publish(&[packet]),
            Output::Listed(book) => self.each(|room, id| room.listed(id, book)),
            Output::Rights => self.each(|room, id| room.judge_again(id, door)),
            Output::Lost => self.lost(),
            Output::Void => self.void(),
            Output::Answer(want, Some(snapshot)) => self.snapshot(want.subscriber, snapshot),
            Output::Answer(want, None) => self.refuse_book(want),
        }
    }

    /// Packets of one channel, in their order, go to all who take it.
    pub fn publish(&mut self, packets: &[Packet]) {
        let Some(channel_id) = packets.first().map(|packet| packet.channel_id) else { return };
        let Some(listeners) = self.listeners.get(&channel_id) else { return };
        if let Some(retained) = &mut self.retained {
            packets.iter().for_each(|packet| retained.keep(packet));
        }
        let mut in_need = Vec::new();
        for &id in listeners {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            match peer.outbox.packets(packets) {
                Outcome::Datagrams(from) => {
                    let datagrams = packets[from..].iter().map(|packet| Effect::Datagram(id, packet.bytes.clone()));
                    self.effects.extend(datagrams);
                }
                Outcome::Kept => peer.is_to_wake(id, WakeFor::Packets, &mut self.touched),
                outcome => in_need.push((id, outcome)),
            }
        }
        in_need.into_iter().for_each(|(id, outcome)| self.act(id, outcome));
    }

    /// A subscriber's snapshot has come.
    pub fn snapshot(&mut self, id: SubscriberId, snapshot: Snapshot) {
        let channel_id = snapshot.channel_id;
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.outbox.snapshot(snapshot);
        }
        // Whoever asked has left meanwhile, and may have been the only one.
        if !self.is_taken(channel_id) {
            self.unlisten(channel_id, id);
        }
        self.ask(id);
        self.touch(id);
    }

    /// There is no book for a subscriber's channel; whether the channel has ended by that.
    pub fn no_book(&mut self, id: SubscriberId, channel_id: ChannelId) -> bool {
        let has_ended = self.outbox(id).is_none_or(|outbox| outbox.no_book(channel_id));
        if has_ended {
            self.unlisten(channel_id, id);
        }
        self.ask(id);
        self.touch(id);
        has_ended
    }

    /// Packets were lost on the way to here.
    pub fn lost(&mut self) {
        if let Some(retained) = &mut self.retained {
            retained.clear();
        }
        self.each(|room, id| {
            let outcome = room.outbox(id).map_or(Outcome::Kept, |outbox| outbox.missed(GapCause::Upstream));
            room.act(id, outcome);
        });
    }

    /// The books are void: nobody can be served any more.
    pub fn void(&mut self) {
        self.books = Books::Void;
        self.each(|room, id| room.effects.push(Effect::Close(id, CloseReason::FeedLost)));
    }

    /// Whether somebody takes a channel.
    pub fn is_taken(&self, channel_id: ChannelId) -> bool {
        self.listeners.contains_key(&channel_id)
    }

    /// Somebody takes a channel from its next snapshot on, which is going to be asked for. Whether it may is not looked
    /// at.
    ///
    /// # Errors
    /// If it has too many channels, or this one.
    pub fn join_channel(
        &mut self,
        id: SubscriberId,
        channel_id: ChannelId,
        mode: DeliveryMode,
        request_id: RequestId,
    ) -> Result<(), SubscribeRejectReason> {
        self.take_channel(id, channel_id, mode, request_id)?;
        self.ask(id);
        Ok(())
    }

    /// Somebody takes a channel no more, and nothing that waits of it.
    pub fn leave_channel(&mut self, id: SubscriberId, channel_id: ChannelId) {
        if let Some(outbox) = self.outbox(id).filter(|outbox| outbox.has(channel_id)) {
            outbox.leave(channel_id);
            outbox.forget(channel_id);
            self.unlisten(channel_id, id);
            self.ask(id);
        }
    }

    /// A subscriber is answered.
    pub fn answer(&mut self, id: SubscriberId, bytes: Bytes) {
        if let Some(outbox) = self.outbox(id) {
            outbox.answer(bytes);
            self.touch(id);
        }
    }

    /// Does what a subscriber asks for; `listed` are the feed's instruments.
    ///
    /// # Errors
    /// Why it is to be closed: it is no request, or it may not ask.
    pub fn request(
        &mut self,
        id: SubscriberId,
        message: MarketDataMessage<'_>,
        door: &dyn Door,
        listed: impl FnOnce() -> Vec<InstrumentId>,
    ) -> Result<(), CloseReason> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        match message {
            MarketDataMessage::Logon(logon) => peer.challenge(logon, door)?,
            MarketDataMessage::LogonSignature(signature) => peer.logon(signature, door)?,
            _ if peer.newcomer.entitlement.is_none() => return Err(CloseReason::NotLetIn),
            MarketDataMessage::Subscribe(request, instruments) => {
                let books = instruments.map(|entry| Some(entry.ok()?.security_id)).collect::<Option<Vec<_>>>();
                self.subscribe(id, &request, &books.ok_or(CloseReason::Malformed)?, listed);
            }
            MarketDataMessage::SnapshotRequest(request) => peer.snapshot(&request),
            MarketDataMessage::PacketRetransmitRequest(request) => self.repeat(id, &request),
            _ => return Err(CloseReason::Malformed),
        }
        self.ask(id);
        self.touch(id);
        let is_flooded = self.peers.get(&id).is_some_and(|peer| peer.outbox.is_flooded());
        if is_flooded { Err(CloseReason::TooSlow) } else { Ok(()) }
    }

    /// A snapshot was written: the next may be asked for.
    pub fn written(&mut self, id: SubscriberId, channel_id: ChannelId, bytes: usize) {
        if let Some(outbox) = self.outbox(id) {
            outbox.written(channel_id, bytes);
            self.ask(id);
        }
    }

    /// Packets were sent again.
    pub fn repeated(&mut self, id: SubscriberId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.is_repeating = false;
        }
    }

    /// Looks who waits for too long, and tells the next numbers of datagrams that may have been lost; with `all`,
    /// of every channel that is sent in datagrams.
    pub fn look_after(&mut self, now: Timestamp, all: bool) {
        let age_max = u64::try_from(self.limits.backlog_age_max.as_nanos()).unwrap_or(u64::MAX);
        let since = Timestamp(now.0.saturating_sub(age_max));
        self.each(|room, id| {
            let Some(peer) = room.peers.get_mut(&id) else { return };
            let outcome = peer.outbox.overdue(now, since);
            let heartbeats = peer.outbox.heartbeats(all);
            room.act(id, outcome);
            room.effects.extend(datagrams_of(&heartbeats, now).map(|bytes| Effect::Datagram(id, bytes)));
        });
        self.count();
    }

    /// Brings the numbers of all up to date.
    fn count(&mut self) {
        let Self { peers, listeners, retained, crowd: Some(crowd), told, done, .. } = self else { return };
        peers.values_mut().for_each(|peer| done.add(peer.outbox.take_counts()));
        done.backlog_bytes = peers.values().map(|peer| peer.outbox.backlog_bytes() as u64).sum();
        done.subscriptions = Default::default();
        // Who makes channels of its own repeats nothing, and its channels are no levels of the feed.
        for (&channel_id, listeners) in listeners.iter().filter(|_| retained.is_some()) {
            let level = channel_parts(channel_id).map(|(_, level)| level);
            if let Some(place) = LEVELS.iter().position(|&known| Some(known) == level) {
                done.subscriptions[place] += listeners.len() as u64;
            }
        }
        crowd.tally(told, done);
        *told = *done;
    }

    fn each(&mut self, mut act: impl FnMut(&mut Self, SubscriberId)) {
        let ids: Vec<SubscriberId> = self.subscribers().collect();
        ids.into_iter().for_each(|id| act(self, id));
    }

    fn touch(&mut self, id: SubscriberId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.is_to_wake(id, WakeFor::Anything, &mut self.touched);
        }
    }

    fn act(&mut self, id: SubscriberId, outcome: Outcome) {
        match outcome {
            Outcome::Kept | Outcome::Datagrams(_) => {}
            Outcome::Missed => self.ask(id),
            Outcome::Close(reason) => self.effects.push(Effect::Close(id, reason)),
        }
    }

    /// Asks for the snapshots whose turn it is.
    fn ask(&mut self, id: SubscriberId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        while let Some((channel_id, request_id)) = peer.outbox.next_want() {
            self.effects.push(Effect::Want(id, channel_id, request_id));
        }
    }

    fn listed(&mut self, id: SubscriberId, book: InstrumentId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let everything: Vec<_> =
            peer.everything.values().copied().filter(|&(level, ..)| peer.sees(book, level)).collect();
        for (level, mode, request_id) in everything {
            match self.join(id, book, level, mode, request_id) {
                // A book that was listed while everything was being subscribed may have begun with the others.
                Ok(()) | Err(SubscribeRejectReason::DuplicateRequest) => {}
                Err(reason) => self.refuse(id, request_id, Some(book.into()), reason),
            }
        }
        self.ask(id);
    }

    /// Rights have changed, perhaps this peer's.
    fn judge_again(&mut self, id: SubscriberId, door: &dyn Door) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(key) = peer.newcomer.key else { return };
        peer.newcomer.entitlement = door.entitlement(key);
        let sees = |channel_id| channel_parts(channel_id).is_some_and(|(book, level)| peer.sees(book, level));
        if peer.newcomer.entitlement.is_none() || !peer.outbox.channels().all(sees) {
            self.effects.push(Effect::Close(id, CloseReason::Revoked));
        }
    }

    fn subscribe(
        &mut self,
        id: SubscriberId,
        request: &Subscribe,
        books: &[SecurityId],
        listed: impl FnOnce() -> Vec<InstrumentId>,
    ) {
        let &Subscribe { request_id, level, mode, request, .. } = request;
        if channel_of(InstrumentId(0), level).is_none() {
            return self.refuse(id, request_id, None, SubscribeRejectReason::UnsupportedLevel);
        }
        if request == SubscriptionRequestType::Unsubscribe {
            return self.end(id, request_id, level, books);
        }
        let Some(peer) = self.peers.get(&id) else { return };
        let is_offered = match mode {
            DeliveryMode::Live => true,
            DeliveryMode::Conflated => !matches!(level, FeedLevel::Trades | FeedLevel::MarketByOrder),
            DeliveryMode::Datagrams => peer.newcomer.datagrams == Datagrams::Taken,
            DeliveryMode::NonRepresentable => false,
        };
        let is_entitled = peer.newcomer.entitlement.as_ref().is_some_and(|it| it.sees_level(level));
        if !is_offered || request != SubscriptionRequestType::Subscribe {
            self.refuse(id, request_id, None, SubscribeRejectReason::UnsupportedMode);
        } else if !is_entitled {
            self.refuse(id, request_id, None, SubscribeRejectReason::NotEntitled);
        } else if books.is_empty() {
            self.begin_everything(id, request_id, level, mode, &listed());
        } else {
            self.begin(id, request_id, level, mode, books);
        }
    }

    fn begin_everything(
        &mut self,
        id: SubscriberId,
        request_id: RequestId,
        level: FeedLevel,
        mode: DeliveryMode,
        listed: &[InstrumentId],
    ) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        // Who sees everything already goes on as it does.
        peer.everything.entry(level as u8).or_insert((level, mode, request_id));
        let seen: Vec<InstrumentId> = listed.iter().copied().filter(|&book| peer.sees(book, level)).collect();
        for book in seen {
            self.join_or_refuse(id, book, level, mode, request_id);
        }
    }

    fn begin(
        &mut self,
        id: SubscriberId,
        request_id: RequestId,
        level: FeedLevel,
        mode: DeliveryMode,
        books: &[SecurityId],
    ) {
        for &security_id in books {
            let sees = |book| self.peers.get(&id).is_some_and(|peer| peer.sees(book, level));
            match InstrumentId::try_from(security_id) {
                Ok(book) if sees(book) => self.join_or_refuse(id, book, level, mode, request_id),
                Ok(_) => self.refuse(id, request_id, Some(security_id), SubscribeRejectReason::NotEntitled),
                Err(_) => self.refuse(id, request_id, Some(security_id), SubscribeRejectReason::UnknownInstrument),
            }
        }
    }

    fn join_or_refuse(
        &mut self,
        id: SubscriberId,
        book: InstrumentId,
        level: FeedLevel,
        mode: DeliveryMode,
        request_id: RequestId,
    ) {
        if let Err(reason) = self.join(id, book, level, mode, request_id) {
            self.refuse(id, request_id, Some(book.into()), reason);
        }
    }

    fn join(
        &mut self,
        id: SubscriberId,
        book: InstrumentId,
        level: FeedLevel,
        mode: DeliveryMode,
        request_id: RequestId,
    ) -> Result<(), SubscribeRejectReason> {
        let channel_id = channel_of(book, level).ok_or(SubscribeRejectReason::UnsupportedLevel)?;
        self.take_channel(id, channel_id, mode, request_id)
    }

    fn take_channel(
        &mut self,
        id: SubscriberId,
        channel_id: ChannelId,
        mode: DeliveryMode,
        request_id: RequestId,
    ) -> Result<(), SubscribeRejectReason> {
        let channels_max = self.limits.channels_max;
        let Some(outbox) = self.outbox(id) else { return Ok(()) };
        if outbox.channel_count() >= channels_max {
            return Err(SubscribeRejectReason::TooManySubscriptions);
        }
        outbox.join(channel_id, mode, request_id).map_err(|_| SubscribeRejectReason::DuplicateRequest)?;
        self.listeners.entry(channel_id).or_default().insert(id);
        Ok(())
    }

    fn end(&mut self, id: SubscriberId, request_id: RequestId, level: FeedLevel, books: &[SecurityId]) {
        let ours = |channel_id: &ChannelId| {
            channel_parts(*channel_id)
                .is_some_and(|(book, of)| of == level && (books.is_empty() || books.contains(&book.into())))
        };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if books.is_empty() {
            peer.everything.remove(&(level as u8));
        }
        let channels: Vec<ChannelId> = peer.outbox.channels().filter(ours).collect();
        for &channel_id in &channels {
            let next_sequence = peer.outbox.leave(channel_id).unwrap_or(FeedSequence(0));
            peer.outbox.control(&SubscribeAck { request_id, channel_id, next_sequence });
        }
        channels.into_iter().for_each(|channel_id| self.unlisten(channel_id, id));
    }

    /// A peer takes a channel no more. The last one's leaving ends it here.
    fn unlisten(&mut self, channel_id: ChannelId, id: SubscriberId) {
        if let Some(listeners) = self.listeners.get_mut(&channel_id) {
            listeners.remove(&id);
            if !listeners.is_empty() {
                return;
            }
            self.listeners.remove(&channel_id);
        }
        if let Some(retained) = &mut self.retained {
            retained.forget(channel_id);
        }
        self.effects.push(Effect::Unheard(channel_id));
    }

    fn refuse_book(&mut self, Want { subscriber, book, level, request_id }: Want) {
        if let Some(channel_id) = channel_of(book, level) {
            self.no_book(subscriber, channel_id);
        }
        if let Some(request_id) = request_id {
            self.refuse(subscriber, request_id, Some(book.into()), SubscribeRejectReason::UnknownInstrument);
        }
    }

    /// Sends packets again, from those that are kept.
    fn repeat(&mut self, id: SubscriberId, request: &PacketRetransmitRequest) {
        let &PacketRetransmitRequest { request_id, channel_id, from_sequence, count } = request;
        let takes = self.listeners.get(&channel_id).is_some_and(|listeners| listeners.contains(&id));
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let reason = if !takes {
            SubscribeRejectReason::UnknownChannel
        } else if peer.is_repeating {
            SubscribeRejectReason::Busy
        } else if let Some(packets) = self.retained.as_ref().and_then(|it| it.packets(channel_id, from_sequence, count))
        {
            peer.is_repeating = true;
            self.done.repeated += packets.len() as u64;
            return self.effects.push(Effect::Again(id, packets.iter().map(Packet::again).collect()));
        } else {
            SubscribeRejectReason::TooOld
        };
        self.refuse(id, request_id, None, reason);
    }

    fn refuse(
        &mut self,
        id: SubscriberId,
        request_id: RequestId,
        security_id: Option<SecurityId>,
        reason: SubscribeRejectReason,
    ) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.refuse(request_id, security_id, reason);
        }
    }
}

impl Tally {
    fn add(&mut self, OutboxCounts { gaps, conflated }: OutboxCounts) {
        self.gaps += gaps;
        self.conflated += conflated;
    }
}

impl Peer {
    fn is_to_wake(&mut self, id: SubscriberId, wake: WakeFor, touched: &mut Vec<SubscriberId>) {
        if self.wake == WakeFor::Nothing {
            touched.push(id);
        }
        self.wake = self.wake.max(wake);
    }

    fn sees(&self, book: InstrumentId, level: FeedLevel) -> bool {
        self.newcomer.entitlement.as_ref().is_some_and(|entitlement| entitlement.sees(book, level))
    }

    fn challenge(&mut self, Logon { key_id }: Logon, door: &dyn Door) -> Result<(), CloseReason> {
        let key = KeyId::try_from(key_id).map_err(|_| CloseReason::NotLetIn)?;
        door.knock(key, self.newcomer.address).map_err(|_| CloseReason::NotLetIn)?;
        let [high, low] = door.challenge();
        let challenge = LogonChallenge { challenge_high: Challenge(high), challenge_low: Challenge(low) };
        self.challenge = Some((key_id, challenge));
        self.outbox.control(&challenge);
        Ok(())
    }

    fn logon(&mut self, LogonSignature { signature }: LogonSignature, door: &dyn Door) -> Result<(), CloseReason> {
        // A challenge is answered once.
        let (key_id, challenge) = self.challenge.take().ok_or(CloseReason::NotLetIn)?;
        let key = KeyId::try_from(key_id).map_err(|_| CloseReason::NotLetIn)?;
        let text = challenge.signed_text(key_id);
        let entitlement = door.logon(key, text.as_bytes(), &signature.0, self.newcomer.address);
        let entitlement = entitlement.map_err(|_| CloseReason::NotLetIn)?;
        if !self.newcomer.presence.identify(key) {
            return Err(CloseReason::TooManyConnections);
        }
        self.newcomer.entitlement = Some(entitlement);
        self.newcomer.key = Some(key);
        self.outbox.control(&LogonAck { key_id });
        Ok(())
    }

    fn snapshot(&mut self, request: &SnapshotRequest) {
        let &SnapshotRequest { request_id, security_id, level } = request;
        let channel_id = InstrumentId::try_from(security_id).ok().and_then(|book| channel_of(book, level));
        let asked = channel_id.map_or(Asked::Unknown, |channel_id| self.outbox.ask(channel_id, request_id));
        match asked {
            Asked::Granted => {}
            Asked::Busy => self.refuse(request_id, Some(security_id), SubscribeRejectReason::Busy),
            Asked::Unknown => self.refuse(request_id, Some(security_id), SubscribeRejectReason::UnknownChannel),
        }
    }

    fn refuse(&mut self, request_id: RequestId, security_id: Option<SecurityId>, reason: SubscribeRejectReason) {
        let reject = SubscribeReject { request_id, security_id, reason, ..SubscribeReject::BLANK };
        self.outbox.control(&reject);
    }
}

/// Packets without messages, as many in a datagram as fit.
fn datagrams_of(heartbeats: &[(ChannelId, FeedSequence)], sending_time: Timestamp) -> impl Iterator<Item = Bytes> + '_ {
    heartbeats.chunks(PACKET_BYTES_MAX / <PacketHeader as wire::message::Message>::FRAME_LENGTH).map(move |part| {
        let mut bytes = Vec::with_capacity(PACKET_BYTES_MAX);
        for &(channel_id, first_sequence) in part {
            let (message_count, flags) = (PacketCount(0), PacketFlags::NONE);
            let header =
                PacketHeader { channel_id, first_sequence, sending_time, message_count, flags, ..PacketHeader::BLANK };
            append(&mut bytes, &header);
        }
        bytes.into()
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::packet::Packet;

    const BOOK: InstrumentId = InstrumentId(7);

    fn entered(room: &mut Room, crowd: &Arc<Crowd>, id: SubscriberId) {
        let address = Ipv4Addr::LOCALHOST.into();
        let presence = crowd.enter(address).unwrap();
        let entitlement = Some(Entitlement::everything());
        room.enter(id, Newcomer { address, entitlement, key: None, datagrams: Datagrams::Taken, presence }).unwrap();
    }

    fn taken(crowd: &Crowd) -> Vec<(FeedLevel, u64)> {
        crowd.subscriptions().filter(|&(_, count)| count > 0).collect()
    }

    #[test]
    fn rooms_add_up_and_take_back_what_ends() {
        let limits = Limits::default();
        let crowd = Arc::new(Crowd::new(&limits));
        let mut rooms = [Room::new(limits), Room::new(limits)];
        let (level, one, two) = (FeedLevel::Trades, SubscriberId(1), SubscriberId(2));
        let channel_id = channel_of(BOOK, level).unwrap();
        for room in &mut rooms {
            for id in [one, two] {
                entered(room, &crowd, id);
                room.join_channel(id, channel_id, DeliveryMode::Live, RequestId(1)).unwrap();
            }
            room.look_after(Timestamp(1), false);
        }
        assert_eq!(taken(&crowd), [(level, 4)]);
        let [first, _] = &mut rooms;
        let (head, body) = (vec![0; 20].into(), vec![0; 40].into());
        first.snapshot(one, Snapshot { channel_id, next_sequence: FeedSequence(5), head, body });
        let (first_sequence, next_sequence) = (FeedSequence(5), FeedSequence(6));
        let (flags, sent_at, bytes) = (PacketFlags::NONE, Timestamp(1), Bytes::from(vec![0; 100]));
        first.publish(&[Packet { channel_id, first_sequence, next_sequence, flags, sent_at, bytes }]);
        first.look_after(Timestamp(2), false);
        assert_eq!(crowd.backlog_bytes(), 100);
        first.leave(one);
        first.leave(two);
        first.look_after(Timestamp(3), false);
        assert_eq!((taken(&crowd), crowd.backlog_bytes()), (vec![(level, 2)], 0));
        assert_eq!((crowd.gaps(), crowd.conflated(), crowd.repeated()), (0, 0, 0));
    }

    #[test]
    fn channels_of_somebody_s_own_are_no_levels_of_the_feed() {
        let limits = Limits::default();
        let crowd = Arc::new(Crowd::new(&limits));
        let mut room = Room::without_repeats(limits);
        entered(&mut room, &crowd, SubscriberId(1));
        let channel_id = channel_of(BOOK, FeedLevel::Trades).unwrap();
        room.join_channel(SubscriberId(1), channel_id, DeliveryMode::Live, RequestId(1)).unwrap();
        room.look_after(Timestamp(1), false);
        assert_eq!(taken(&crowd), []);
    }
}
