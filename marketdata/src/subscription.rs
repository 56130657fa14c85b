//! The subscriber without I/O: packets and snapshots in, in any order and with losses; updates and requests out.
//!
//! ```text
//!                   ┌──────────┐  snapshot: drop what it includes, go on     ┌──────┐
//!   first packet ──►│  Joining │ ───────────────────────────────────────────►│ Live │──► updates, each number once
//!                   │ (buffer) │                                             │      │
//!                   └──────────┘   lost: asked for again, once ◄─────────────│      │
//!                   ┌──────────┐   not to be had: a snapshot is asked for    │      │
//!                   │ Bridging │ ◄───────────────────────────────────────────│      │
//!                   │ (buffer) │ ───────────────────────────────────────────►│      │
//!                   └──────────┘  snapshot                                   └──────┘
//! ```
//!
//! Packets may overtake each other, so a missing number is not yet a loss: it is one when [`Patience::packets`] later
//! packets wait behind it, or when the venue says that it has sent more. A command that goes over several packets is
//! applied when all of them are there. Checksums are compared as they come; one that differs is a reason to begin anew.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use wire::market_data::{
    self as messages, AuctionIndicative, AuctionResult, BestBidOffer, BookChecksum, GapNotice, MarketByOrder,
    MarketByPrice, MarketDataMessage, MarketStatistics, OrderChange, PacketRetransmitRequest, PriceLevelChange,
    SecurityDefinition, SecurityStatus, SnapshotBegin, SnapshotRequest, SubscribeReject, Trade, TradeCancel,
};
use wire::{
    ChannelId, FeedLevel, FeedSequence, LevelCount, MessageCount, PacketFlags, RequestId, SecurityId,
    SubscribeRejectReason, Timestamp,
};

use crate::book::Book;
use crate::channel::{channel_of, channel_parts};
use crate::packet::{self, Frames, PacketError};
use crate::received::{Content, Received, Stamps};

/// Lost messages that are asked for again; of more, a snapshot is had sooner.
const ASKED_AGAIN_MAX: u64 = 4_096;
/// Of the books of an instrument, the one that says most.
const DEEPEST_FIRST: [FeedLevel; 7] = [
    FeedLevel::MarketByOrder,
    FeedLevel::MarketByPrice,
    FeedLevel::MarketByPrice50,
    FeedLevel::MarketByPrice10,
    FeedLevel::BestBidOffer,
    FeedLevel::Trades,
    FeedLevel::Reference,
];

/// What became of the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// An instrument as it is; the exponents of its prices and quantities are here.
    Definition(SecurityDefinition),
    /// An instrument's phase.
    Status(SecurityStatus),
    /// A book was replaced by a snapshot. If an auction has a price there, its indicative follows; else there is none.
    Book {
        /// Of which instrument.
        security_id: SecurityId,
        /// The last message of the channel that it includes.
        last_sequence: FeedSequence,
    },
    /// Price levels changed, and the book with them.
    Levels(MarketByPrice, Vec<PriceLevelChange>),
    /// Orders changed, and the book with them.
    Orders(MarketByOrder, Vec<OrderChange>),
    /// The best prices changed.
    BestBidOffer(BestBidOffer),
    /// Two orders traded.
    Trade(Trade),
    /// A trade was reversed.
    TradeCancel(TradeCancel),
    /// How an auction would end.
    Indicative(AuctionIndicative),
    /// An auction ended, and its indicative with it; its trades follow.
    Auction(AuctionResult),
    /// What traded so far.
    Statistics(MarketStatistics),
    /// The book is the venue's: their checksums are equal.
    Proven {
        /// On which channel.
        channel_id: ChannelId,
        /// The last message that the checksum covers.
        last_sequence: FeedSequence,
    },
    /// The book is not the venue's. A snapshot is asked for.
    Differs {
        /// On which channel.
        channel_id: ChannelId,
        /// The last message that the checksum covers.
        last_sequence: FeedSequence,
    },
    /// Messages were missed; the snapshot that follows includes what they did to the book, but not their trades.
    Gap {
        /// On which channel.
        channel_id: ChannelId,
        /// The first.
        from: FeedSequence,
        /// How many.
        count: MessageCount,
    },
    /// The venue says that it left messages out.
    GapNotice(GapNotice),
    /// The venue refused a request.
    Rejected(SubscribeReject),
}

impl Update {
    /// The core's time of the event that it tells; `None`: it tells of none.
    pub fn transact_time(&self) -> Option<Timestamp> {
        match self {
            Self::Levels(message, _) => Some(message.transact_time),
            Self::Orders(message, _) => Some(message.transact_time),
            Self::Statistics(statistics) => Some(statistics.transact_time),
            Self::BestBidOffer(best) => Some(best.transact_time),
            Self::Trade(trade) => Some(trade.transact_time),
            Self::TradeCancel(cancel) => Some(cancel.transact_time),
            Self::Status(status) => Some(status.transact_time),
            Self::Indicative(indicative) => Some(indicative.transact_time),
            Self::Auction(result) => Some(result.transact_time),
            Self::Definition(_)
            | Self::Book { .. }
            | Self::Proven { .. }
            | Self::Differs { .. }
            | Self::Gap { .. }
            | Self::GapNotice(_)
            | Self::Rejected(_) => None,
        }
    }
}

/// What is to be sent to the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// For a whole book.
    Snapshot(SnapshotRequest),
    /// For packets that were lost.
    Again(PacketRetransmitRequest),
}

/// What was missed so far, and what was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GapCounters {
    /// How often a snapshot had to bridge missing messages.
    pub gaps: u64,
    /// How many messages were missed.
    pub messages: u64,
    /// How often the venue said that it left messages out.
    pub notices: u64,
    /// How often lost packets were asked for again.
    pub repeated: u64,
    /// How many messages conflated packets stood for without having them.
    pub conflated: u64,
    /// Checksums that were equal.
    pub proven: u64,
    /// Checksums that were not.
    pub differing: u64,
}

impl core::ops::Add for GapCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            gaps: self.gaps + other.gaps,
            messages: self.messages.saturating_add(other.messages),
            notices: self.notices + other.notices,
            repeated: self.repeated + other.repeated,
            conflated: self.conflated + other.conflated,
            proven: self.proven + other.proven,
            differing: self.differing + other.differing,
        }
    }
}

/// How long a missing packet is waited for, and how much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So many later packets of the channel mean that it is lost.
    pub packets: usize,
    /// Of packets that wait for a snapshot, the newest so many are kept; the others are missed.
    pub waiting_max: usize,
}

impl Patience {
    /// For datagrams: they overtake each other by little, and are lost for good.
    pub const DATAGRAMS: Self = Self { packets: 8, waiting_max: 16_384 };
}

impl Default for Patience {
    /// A thousand packets wait for one that is late, and sixteen thousand for a snapshot.
    fn default() -> Self {
        Self { packets: 1_024, waiting_max: 16_384 }
    }
}

/// The books of a subscriber.
#[derive(Debug, Default)]
pub struct Subscription {
    patience: Patience,
    channels: BTreeMap<ChannelId, Channel>,
    updates: Updates,
    /// Of the update that was taken last.
    stamps: Stamps,
    requests: VecDeque<Request>,
    request_count: u64,
    gaps: GapCounters,
    sent_at: Option<Timestamp>,
}

/// Updates that were not taken yet, each with its stamps.
#[derive(Debug, Default)]
struct Updates(VecDeque<(Update, Stamps)>);

impl Updates {
    fn push(&mut self, update: Update, origin: Stamps) {
        let stamps = Stamps { transact_time: update.transact_time(), ..origin };
        self.0.push_back((update, stamps));
    }
}

#[derive(Debug, Default)]
struct Channel {
    state: State,
    book: Book,
    /// Packets that came before their turn.
    waiting: BTreeMap<FeedSequence, Waiting>,
    /// The venue has sent everything before this.
    sent: FeedSequence,
    /// What is lost was asked for again, up to here, under this name.
    asked: Option<(FeedSequence, RequestId)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Waits for the first snapshot, or for one that replaces a book that differs.
    #[default]
    Joining,
    /// Waits for a snapshot, and knows the book up to this message.
    Bridging(FeedSequence),
    /// This message is next.
    Live(FeedSequence),
}

#[derive(Debug)]
struct Waiting {
    next: FeedSequence,
    flags: PacketFlags,
    received_at: Option<Timestamp>,
    bytes: Bytes,
}

/// Messages that are not there, and how many packets wait behind them. Without any, `end` is no more than `from`.
#[derive(Debug)]
struct Hole {
    from: FeedSequence,
    end: FeedSequence,
    behind: usize,
}

/// What a packet's messages have done, besides updates.
#[derive(Debug, Default)]
struct Applied {
    sent_at: Timestamp,
    proven: u64,
    differing: u64,
}

impl Subscription {
    /// Without books yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// How long it waits.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Takes whatever was received: a [`packet`](Self::packet), a [`snapshot`](Self::snapshot) or a message of the
    /// [`control`](Self::control) lane. Its updates have the time at which it was.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn take(&mut self, Received { at, content }: Received) -> Result<(), PacketError> {
        match content {
            Content::Packet(bytes) => self.take_packet(bytes, at),
            Content::Snapshot(bytes) => self.take_snapshot(&bytes, at),
            Content::Control(bytes) => {
                self.take_control(&wire::Frame::split(&bytes)?.0.try_into()?, at);
                Ok(())
            }
        }
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// If it is none. Nothing has changed then, except that its messages before the fault were applied.
    pub fn packet(&mut self, bytes: Bytes) -> Result<(), PacketError> {
        self.take_packet(bytes, None)
    }

    fn take_packet(&mut self, bytes: Bytes, received_at: Option<Timestamp>) -> Result<(), PacketError> {
        let (header, frames) = packet::open(&bytes)?;
        let found = frames.count();
        if found != usize::from(header.message_count.0) {
            return Err(PacketError::Count { said: header.message_count.0, found });
        }
        let first = header.first_sequence;
        let next = FeedSequence(first.0.checked_add(found as u64).ok_or(PacketError::OutOfPlace)?);
        let left_out = u64::from(header.left_out.0);
        let from = FeedSequence(first.0.checked_sub(left_out).ok_or(PacketError::OutOfPlace)?);
        // One that only leaves messages out stands for them all the same.
        let is_heartbeat = found == 0 && left_out == 0;
        let channel = self.channels.entry(header.channel_id).or_default();
        channel.sent = channel.sent.max(next);
        if channel.expects().is_none_or(|expected| next > expected) && !is_heartbeat {
            self.gaps.conflated += left_out;
            let waiting = Waiting { next, flags: header.flags, received_at, bytes };
            let known = channel.waiting.get(&from).map(|known| known.next);
            if known.is_none_or(|known| known < next) {
                channel.waiting.insert(from, waiting);
            }
            self.go_on(header.channel_id)?;
        }
        self.look_for_gap(header.channel_id, is_heartbeat);
        Ok(())
    }

    /// Takes a snapshot: SecurityDefinition, SnapshotBegin, AuctionIndicative if an auction has a price, MarketStatistics
    /// on the reference channel, SnapshotLevels or SnapshotOrders as often as needed, BookChecksum, SnapshotEnd.
    ///
    /// # Errors
    /// If it is none, or its checksum differs. Nothing has changed then.
    pub fn snapshot(&mut self, bytes: &[u8]) -> Result<(), PacketError> {
        self.take_snapshot(bytes, None)
    }

    fn take_snapshot(&mut self, bytes: &[u8], received_at: Option<Timestamp>) -> Result<(), PacketError> {
        let Snapshot { definition, begin, indicative, statistics, book, is_proven } = Snapshot::parse(bytes)?;
        let (channel_id, security_id, last_sequence) = (begin.channel_id, begin.security_id, begin.last_sequence);
        let next = FeedSequence(last_sequence.0.checked_add(1).ok_or(PacketError::OutOfPlace)?);
        let channel = self.channels.entry(channel_id).or_default();
        let expected = channel.expects();
        if let Some(expected) = expected.filter(|&expected| next < expected) {
            // What is missing lies behind what it has: it is looked for anew.
            channel.state = State::Live(expected);
            self.look_for_gap(channel_id, false);
            return Ok(());
        }
        let origin = Stamps { channel_id: Some(channel_id), received_at, ..Stamps::default() };
        if let Some(from) = expected.filter(|&from| from < next) {
            let count = MessageCount(next.0 - from.0);
            self.gaps.gaps += 1;
            self.gaps.messages = self.gaps.messages.saturating_add(count.0);
            self.updates.push(Update::Gap { channel_id, from, count }, origin);
        }
        channel.state = State::Live(next);
        channel.book = book;
        channel.asked = None;
        self.updates.push(Update::Definition(definition), origin);
        self.updates.push(Update::Book { security_id, last_sequence }, origin);
        for update in indicative.map(Update::Indicative).into_iter().chain(statistics.map(Update::Statistics)) {
            self.updates.push(update, origin);
        }
        if is_proven {
            self.gaps.proven += 1;
            self.updates.push(Update::Proven { channel_id, last_sequence }, origin);
        }
        self.go_on(channel_id)?;
        self.look_for_gap(channel_id, false);
        Ok(())
    }

    /// Takes a message of the control lane.
    pub fn control(&mut self, message: &MarketDataMessage<'_>) {
        self.take_control(message, None);
    }

    fn take_control(&mut self, message: &MarketDataMessage<'_>, received_at: Option<Timestamp>) {
        let origin = Stamps { received_at, ..Stamps::default() };
        match message {
            MarketDataMessage::GapNotice(notice) => {
                self.gaps.notices += 1;
                let origin = Stamps { channel_id: Some(notice.channel_id), ..origin };
                self.updates.push(Update::GapNotice(*notice), origin);
                // A snapshot follows, or has overtaken the notice.
                let end = FeedSequence(notice.from_sequence.0.saturating_add(notice.count.0));
                if let Some(channel) = self.channels.get_mut(&notice.channel_id)
                    && let State::Live(expected) = channel.state
                    && expected < end
                {
                    channel.state = State::Bridging(expected);
                }
            }
            MarketDataMessage::SubscribeReject(reject) => {
                // What was to be sent again is not to be had.
                let asked = |channel: &Channel| channel.asked.is_some_and(|(_, id)| id == reject.request_id);
                let of = self.channels.iter().find(|(_, channel)| asked(channel)).map(|(&channel_id, _)| channel_id);
                match of {
                    // Another answer is on its way: what is still missing then is asked for again.
                    Some(channel_id) if reject.reason == SubscribeRejectReason::Busy => {
                        self.channels.entry(channel_id).and_modify(|channel| channel.asked = None);
                    }
                    Some(channel_id) => self.bridge(channel_id),
                    None => self.updates.push(Update::Rejected(*reject), origin),
                }
            }
            // An acknowledgement says nothing that the snapshot does not say, and nothing else is sent here.
            _ => {}
        }
    }

    /// The next update.
    pub fn next_update(&mut self) -> Option<Update> {
        let (update, stamps) = self.updates.0.pop_front()?;
        self.stamps = stamps;
        Some(update)
    }

    /// Of the update that was taken last: where it came from, and when.
    pub fn stamps(&self) -> Stamps {
        self.stamps
    }

    /// The next request that is to be sent.
    pub fn next_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// An instrument's book, the one that says most of those that are subscribed, once its snapshot has come. One that
    /// differs from the venue's is not shown.
    pub fn book(&self, instrument: SecurityId) -> Option<&Book> {
        DEEPEST_FIRST.into_iter().find_map(|level| self.book_at(instrument, level))
    }

    /// An instrument's book at a level of detail, once its snapshot has come. One that differs from the venue's is not shown.
    pub fn book_at(&self, instrument: SecurityId, level: FeedLevel) -> Option<&Book> {
        let channel_id = channel_of(instrument.try_into().ok()?, level)?;
        let channel = self.channels.get(&channel_id)?;
        (channel.state != State::Joining).then_some(&channel.book)
    }

    /// What was missed so far, and what was proven.
    pub fn gaps(&self) -> GapCounters {
        self.gaps
    }

    /// When the venue sent the newest packet that was applied; `None` before the first.
    pub fn sent_at(&self) -> Option<Timestamp> {
        self.sent_at
    }

    /// Applies the packets whose turn it is.
    fn go_on(&mut self, channel_id: ChannelId) -> Result<(), PacketError> {
        let channel = self.channels.get_mut(&channel_id).expect("the caller has made the channel");
        while let Some(command) = channel.next_command() {
            for packet in command {
                let applied = channel.apply(channel_id, &packet, &mut self.updates)?;
                self.sent_at = self.sent_at.max(Some(applied.sent_at));
                self.gaps.proven += applied.proven;
                self.gaps.differing += applied.differing;
                if applied.differing > 0 {
                    self.begin_anew(channel_id);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Asks for what is lost. `is_told`: the venue says up to where it has sent.
    fn look_for_gap(&mut self, channel_id: ChannelId, is_told: bool) {
        let channel = self.channels.get_mut(&channel_id).expect("the caller has made the channel");
        let waiting = channel.waiting.len();
        match channel.state {
            State::Live(expected) => {
                let Hole { from, end, behind } = channel.hole(expected);
                let is_lost = behind > self.patience.packets || is_told;
                let is_asked = channel.asked.is_some_and(|(end, _)| from < end);
                if end <= from || !is_lost {
                    return;
                }
                let count = end.0 - from.0;
                if !is_asked && count <= ASKED_AGAIN_MAX {
                    self.ask_again(channel_id, from, MessageCount(count));
                } else if !is_asked || waiting > self.patience.waiting_max {
                    self.bridge(channel_id);
                }
            }
            State::Joining | State::Bridging(_) => {
                while channel.waiting.len() > self.patience.waiting_max {
                    channel.waiting.pop_first();
                }
            }
        }
    }

    fn ask_again(&mut self, channel_id: ChannelId, from_sequence: FeedSequence, count: MessageCount) {
        let request_id = self.new_request();
        self.gaps.repeated += 1;
        if let Some(channel) = self.channels.get_mut(&channel_id) {
            channel.asked = Some((FeedSequence(from_sequence.0 + count.0), request_id));
        }
        let request = PacketRetransmitRequest { request_id, channel_id, from_sequence, count };
        self.requests.push_back(Request::Again(request));
    }

    /// Asks for a snapshot.
    fn bridge(&mut self, channel_id: ChannelId) {
        let request_id = self.new_request();
        let Some((book, level)) = channel_parts(channel_id) else { return };
        let Some(channel) = self.channels.get_mut(&channel_id) else { return };
        channel.asked = None;
        if let State::Live(expected) = channel.state {
            channel.state = State::Bridging(expected);
            let request = SnapshotRequest { request_id, security_id: book.into(), level };
            self.requests.push_back(Request::Snapshot(request));
        }
    }

    /// Of a book that is not the venue's nothing is known: the next snapshot holds, also if newer packets overtake it.
    fn begin_anew(&mut self, channel_id: ChannelId) {
        self.bridge(channel_id);
        if let Some(channel) = self.channels.get_mut(&channel_id) {
            channel.state = State::Joining;
        }
    }

    fn new_request(&mut self) -> RequestId {
        self.request_count += 1;
        RequestId(self.request_count)
    }
}

impl Channel {
    /// The first message that is not known yet; `None`: there is no book yet.
    fn expects(&self) -> Option<FeedSequence> {
        match self.state {
            State::Joining => None,
            State::Bridging(expected) | State::Live(expected) => Some(expected),
        }
    }

    /// What is missing first: before the packets that wait, or within the command that they begin.
    fn hole(&self, expected: FeedSequence) -> Hole {
        let mut from = expected;
        for (index, (&first, packet)) in self.waiting.iter().enumerate() {
            if first > from {
                return Hole { from, end: first, behind: self.waiting.len() - index };
            }
            from = packet.next.max(from);
        }
        Hole { from, end: self.sent, behind: 0 }
    }

    /// The packets of the next whole commands, if they are there and it is their turn. A packet that was late only is
    /// taken while the channel waits for a snapshot, too.
    fn next_command(&mut self) -> Option<Vec<Waiting>> {
        let expected = self.expects()?;
        while self.waiting.first_key_value().is_some_and(|(_, packet)| packet.next <= expected) {
            self.waiting.pop_first();
        }
        let mut next = expected;
        let mut whole = 0;
        for (index, (&first, packet)) in self.waiting.iter().enumerate() {
            if first > next {
                break;
            }
            next = packet.next.max(next);
            if packet.flags.0 & PacketFlags::EVENT_CONTINUES.0 == 0 {
                whole = index + 1;
                break;
            }
        }
        (whole > 0).then(|| core::iter::from_fn(|| self.waiting.pop_first()).take(whole).map(|(_, it)| it).collect())
    }

    fn apply(
        &mut self,
        channel_id: ChannelId,
        packet: &Waiting,
        updates: &mut Updates,
    ) -> Result<Applied, PacketError> {
        let (header, frames) = packet::open(&packet.bytes)?;
        let is_conflated = header.flags.0 & PacketFlags::CONFLATED.0 != 0;
        let (sent_at, received_at) = (header.sending_time, packet.received_at);
        let mut applied = Applied { sent_at, ..Applied::default() };
        let origin = Stamps { channel_id: Some(channel_id), sent_at: Some(sent_at), received_at, ..Stamps::default() };
        let mut sequence = header.first_sequence;
        for message in frames {
            let message = message?;
            // A conflated packet is one state: it is taken as a whole.
            let is_next = is_conflated || self.expects().is_none_or(|expected| sequence >= expected);
            if is_next && let Some(update) = self.message(channel_id, message, &mut applied)? {
                updates.push(update, origin);
            }
            sequence.0 += 1;
        }
        self.book.includes(FeedSequence(sequence.0 - 1));
        // A snapshot that is under way will be older than this, or newer and then welcome all the same.
        self.state = State::Live(sequence);
        Ok(applied)
    }

    fn message(
        &mut self,
        channel_id: ChannelId,
        message: MarketDataMessage<'_>,
        applied: &mut Applied,
    ) -> Result<Option<Update>, PacketError> {
        Ok(Some(match message {
            MarketDataMessage::MarketByPrice(message, changes) => {
                let changes = changes.collect::<Result<Vec<_>, _>>()?;
                changes.iter().for_each(|change| self.book.change_level(change));
                Update::Levels(message, changes)
            }
            MarketDataMessage::MarketByOrder(message, changes) => {
                let changes = changes.collect::<Result<Vec<_>, _>>()?;
                changes.iter().for_each(|change| self.book.change_order(change));
                Update::Orders(message, changes)
            }
            MarketDataMessage::BestBidOffer(best) => {
                if self.book.level() == FeedLevel::BestBidOffer {
                    self.book.replace_best(&best);
                }
                Update::BestBidOffer(best)
            }
            MarketDataMessage::BookChecksum(BookChecksum { checksum, last_sequence, .. }) => {
                if self.book.checksum() == Some(checksum) {
                    applied.proven += 1;
                    Update::Proven { channel_id, last_sequence }
                } else {
                    applied.differing += 1;
                    Update::Differs { channel_id, last_sequence }
                }
            }
            MarketDataMessage::Trade(trade) => Update::Trade(trade),
            MarketDataMessage::TradeCancel(cancel) => Update::TradeCancel(cancel),
            MarketDataMessage::AuctionIndicative(indicative) => Update::Indicative(indicative),
            MarketDataMessage::AuctionResult(result) => Update::Auction(result),
            MarketDataMessage::SecurityDefinition(definition) => Update::Definition(definition),
            MarketDataMessage::SecurityStatus(status) => Update::Status(status),
            MarketDataMessage::MarketStatistics(statistics) => Update::Statistics(statistics),
            // A newer venue's message keeps its number; what it means, this build cannot know.
            _ => return Ok(None),
        }))
    }
}

struct Snapshot {
    definition: SecurityDefinition,
    begin: SnapshotBegin,
    indicative: Option<AuctionIndicative>,
    statistics: Option<MarketStatistics>,
    book: Book,
    is_proven: bool,
}

impl Snapshot {
    fn parse(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut frames = Frames::of(bytes);
        let mut next = || frames.next().unwrap_or(Err(PacketError::OutOfPlace));
        let MarketDataMessage::SecurityDefinition(definition) = next()? else { return Err(PacketError::OutOfPlace) };
        let MarketDataMessage::SnapshotBegin(begin) = next()? else { return Err(PacketError::OutOfPlace) };
        let (mut indicative, mut statistics, mut checksum) = (None, None, None);
        let mut book = Book::new(begin.level, begin.last_sequence);
        let mut entry_count: u32 = 0;
        let end = loop {
            match next()? {
                MarketDataMessage::AuctionIndicative(found) if indicative.is_none() && entry_count == 0 => {
                    indicative = Some(found);
                }
                MarketDataMessage::MarketStatistics(found) if statistics.is_none() => statistics = Some(found),
                MarketDataMessage::SnapshotLevels(_, levels) => {
                    for level in levels {
                        book.add_level(&level?);
                        entry_count += 1;
                    }
                }
                MarketDataMessage::SnapshotOrders(_, orders) => {
                    for order in orders {
                        book.add_order(&order?);
                        entry_count += 1;
                    }
                }
                MarketDataMessage::BookChecksum(found) if checksum.is_none() => checksum = Some(found.checksum),
                MarketDataMessage::SnapshotEnd(end) => break end,
                _ => return Err(PacketError::OutOfPlace),
            }
        };
        let messages::SnapshotEnd { security_id, last_sequence, entry_count: said } = end;
        let same = (security_id, last_sequence) == (begin.security_id, begin.last_sequence);
        if !same || said != LevelCount(entry_count) || said != begin.entry_count {
            return Err(PacketError::OutOfPlace);
        }
        if checksum.is_some() && checksum != book.checksum() {
            return Err(PacketError::Checksum);
        }
        Ok(Self { definition, begin, indicative, statistics, book, is_proven: checksum.is_some() })
    }
}
