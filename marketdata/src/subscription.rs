//! The subscriber without I/O: packets and snapshots in, in any order and with losses; updates and requests out.
//!
//! ```text
//!                   ┌──────────┐  snapshot: drop what it includes, go on   ┌──────┐
//!   first packet ──►│  Joining │ ─────────────────────────────────────────►│ Live │──► updates, each number once
//!                   │ (buffer) │ ◄─────────────────────────────────────────│      │
//!                   └──────────┘  later packets wait too long: a gap;      └──────┘
//!                                 a snapshot is asked for
//! ```
//!
//! Packets may overtake each other, so a missing number is not yet a loss: it is one when [`Patience::packets`] later
//! packets wait behind it. A command that goes over several packets is applied when all of them are there.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use wire::market_data::{
    self as messages, AuctionIndicative, AuctionResult, BestBidOffer, GapNotice, MarketByPrice, MarketDataMessage,
    PriceLevel, PriceLevelChange, SecurityDefinition, SecurityStatus, SnapshotBegin, SnapshotRequest, SubscribeReject,
    Trade, TradeCancel,
};
use wire::{
    ChannelId, FeedLevel, FeedSequence, LevelCount, MessageCount, PacketFlags, RequestId, SecurityId, Timestamp,
};

use crate::book::Book;
use crate::feed::channel_parts;
use crate::packet::{self, Frames, PacketError};

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

/// What was missed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GapCounters {
    /// How often a snapshot had to bridge missing messages.
    pub gaps: u64,
    /// How many messages were missed.
    pub messages: u64,
    /// How often the venue said that it left messages out.
    pub notices: u64,
}

/// How long a missing packet is waited for, and how much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So many later packets of the channel mean that it is lost.
    pub packets: usize,
    /// Of packets that wait for a snapshot, the newest so many are kept; the others are missed.
    pub waiting_max: usize,
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
    books: BTreeMap<SecurityId, ChannelId>,
    updates: VecDeque<Update>,
    requests: VecDeque<SnapshotRequest>,
    request_count: u64,
    gaps: GapCounters,
    sent_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Channel {
    state: State,
    book: Book,
    depth: Depth,
    /// Packets that came before their turn.
    waiting: BTreeMap<FeedSequence, Waiting>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Waits for the first snapshot.
    #[default]
    Joining,
    /// Waits for a snapshot, and knows the book up to this message.
    Bridging(FeedSequence),
    /// This message is next.
    Live(FeedSequence),
}

/// What the book is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Depth {
    /// Level changes.
    #[default]
    Levels,
    /// The best prices alone.
    Best,
}

#[derive(Debug)]
struct Waiting {
    next: FeedSequence,
    flags: PacketFlags,
    bytes: Bytes,
}

impl Subscription {
    /// Without books yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// If it is none. Nothing has changed then, except that its messages before the fault were applied.
    pub fn packet(&mut self, bytes: Bytes) -> Result<(), PacketError> {
        let (header, frames) = packet::open(&bytes)?;
        let found = frames.count();
        if found != usize::from(header.message_count.0) {
            return Err(PacketError::Count { said: header.message_count.0, found });
        }
        let first = header.first_sequence;
        let next = FeedSequence(first.0.checked_add(found as u64).ok_or(PacketError::OutOfPlace)?);
        let channel = self.channels.entry(header.channel_id).or_default();
        if channel.expects().is_some_and(|expected| next <= expected) {
            return Ok(());
        }
        channel.waiting.insert(first, Waiting { next, flags: header.flags, bytes });
        self.go_on(header.channel_id)?;
        self.look_for_gap(header.channel_id);
        Ok(())
    }

    /// Takes a snapshot: SecurityDefinition, SnapshotBegin, AuctionIndicative if an auction has a price, SnapshotLevels
    /// as often as needed, SnapshotEnd.
    ///
    /// # Errors
    /// If it is none. Nothing has changed then.
    pub fn snapshot(&mut self, bytes: &[u8]) -> Result<(), PacketError> {
        let Snapshot { definition, begin, indicative, entries } = Snapshot::parse(bytes)?;
        let (channel_id, security_id, last_sequence) = (begin.channel_id, begin.security_id, begin.last_sequence);
        let next = FeedSequence(last_sequence.0.checked_add(1).ok_or(PacketError::OutOfPlace)?);
        let channel = self.channels.entry(channel_id).or_default();
        let expected = channel.expects();
        if expected.is_some_and(|expected| next < expected) {
            return Ok(());
        }
        if let Some(from) = expected.filter(|&from| from < next) {
            let count = MessageCount(next.0 - from.0);
            self.gaps.gaps += 1;
            self.gaps.messages += count.0;
            self.updates.push_back(Update::Gap { channel_id, from, count });
        }
        channel.state = State::Live(next);
        channel.book = Book::of(entries, last_sequence);
        channel.depth = if begin.level == FeedLevel::BestBidOffer { Depth::Best } else { Depth::Levels };
        self.books.insert(security_id, channel_id);
        self.updates.push_back(Update::Definition(definition));
        self.updates.push_back(Update::Book { security_id, last_sequence });
        self.updates.extend(indicative.map(Update::Indicative));
        self.go_on(channel_id)?;
        self.look_for_gap(channel_id);
        Ok(())
    }

    /// Takes a message of the control lane.
    pub fn control(&mut self, message: &MarketDataMessage<'_>) {
        match message {
            MarketDataMessage::GapNotice(notice) => {
                self.gaps.notices += 1;
                self.updates.push_back(Update::GapNotice(*notice));
            }
            MarketDataMessage::SubscribeReject(reject) => self.updates.push_back(Update::Rejected(*reject)),
            // An acknowledgement says nothing that the snapshot does not say, and nothing else is sent here.
            _ => {}
        }
    }

    /// The next update.
    pub fn next_update(&mut self) -> Option<Update> {
        self.updates.pop_front()
    }

    /// The next request that is to be sent.
    pub fn next_request(&mut self) -> Option<SnapshotRequest> {
        self.requests.pop_front()
    }

    /// An instrument's book, once its snapshot has come.
    pub fn book(&self, instrument: SecurityId) -> Option<&Book> {
        Some(&self.channels[self.books.get(&instrument)?].book)
    }

    /// What was missed so far.
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
            for Waiting { bytes, .. } in command {
                let sent_at = channel.apply(&bytes, &mut self.updates)?;
                self.sent_at = self.sent_at.max(Some(sent_at));
            }
        }
        Ok(())
    }

    fn look_for_gap(&mut self, channel_id: ChannelId) {
        let channel = self.channels.get_mut(&channel_id).expect("the caller has made the channel");
        match channel.state {
            State::Live(expected) if channel.waiting.len() > self.patience.packets => {
                let Some((book, level)) = channel_parts(channel_id) else { return };
                channel.state = State::Bridging(expected);
                self.request_count += 1;
                let request_id = RequestId(self.request_count);
                self.requests.push_back(SnapshotRequest { request_id, security_id: book.into(), level });
            }
            State::Live(_) => {}
            State::Joining | State::Bridging(_) => {
                while channel.waiting.len() > self.patience.waiting_max {
                    channel.waiting.pop_first();
                }
            }
        }
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

    /// Applies a packet; when it was sent.
    fn apply(&mut self, packet: &[u8], updates: &mut VecDeque<Update>) -> Result<Timestamp, PacketError> {
        let (header, frames) = packet::open(packet)?;
        let mut sequence = header.first_sequence;
        for message in frames {
            let message = message?;
            if self.expects().is_none_or(|expected| sequence >= expected) {
                self.message(message, updates)?;
            }
            sequence.0 += 1;
        }
        self.book.includes(FeedSequence(sequence.0 - 1));
        // A snapshot that is under way will be older than this, or newer and then welcome all the same.
        self.state = State::Live(sequence);
        Ok(header.sending_time)
    }

    fn message(&mut self, message: MarketDataMessage<'_>, updates: &mut VecDeque<Update>) -> Result<(), PacketError> {
        let update = match message {
            MarketDataMessage::MarketByPrice(message, changes) => {
                let changes = changes.collect::<Result<Vec<_>, _>>()?;
                changes.iter().for_each(|change| self.book.change(change));
                Update::Levels(message, changes)
            }
            MarketDataMessage::BestBidOffer(best) => {
                if self.depth == Depth::Best {
                    self.book.replace_best(&best);
                }
                Update::BestBidOffer(best)
            }
            MarketDataMessage::Trade(trade) => Update::Trade(trade),
            MarketDataMessage::TradeCancel(cancel) => Update::TradeCancel(cancel),
            MarketDataMessage::AuctionIndicative(indicative) => Update::Indicative(indicative),
            MarketDataMessage::AuctionResult(result) => Update::Auction(result),
            MarketDataMessage::SecurityDefinition(definition) => Update::Definition(definition),
            MarketDataMessage::SecurityStatus(status) => Update::Status(status),
            // A newer venue's message keeps its number; what it means, this build cannot know.
            _ => return Ok(()),
        };
        updates.push_back(update);
        Ok(())
    }
}

struct Snapshot {
    definition: SecurityDefinition,
    begin: SnapshotBegin,
    indicative: Option<AuctionIndicative>,
    entries: Vec<PriceLevel>,
}

impl Snapshot {
    fn parse(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut frames = Frames::of(bytes);
        let mut next = || frames.next().unwrap_or(Err(PacketError::OutOfPlace));
        let MarketDataMessage::SecurityDefinition(definition) = next()? else { return Err(PacketError::OutOfPlace) };
        let MarketDataMessage::SnapshotBegin(begin) = next()? else { return Err(PacketError::OutOfPlace) };
        let (mut indicative, mut entries) = (None, Vec::new());
        let end = loop {
            match next()? {
                MarketDataMessage::AuctionIndicative(found) if indicative.is_none() && entries.is_empty() => {
                    indicative = Some(found);
                }
                MarketDataMessage::SnapshotLevels(_, levels) => {
                    for level in levels {
                        entries.push(level?);
                    }
                }
                MarketDataMessage::SnapshotEnd(end) => break end,
                _ => return Err(PacketError::OutOfPlace),
            }
        };
        let messages::SnapshotEnd { security_id, last_sequence, entry_count } = end;
        let LevelCount(said) = entry_count;
        let same = (security_id, last_sequence) == (begin.security_id, begin.last_sequence);
        if same && said as usize == entries.len() && entry_count == begin.entry_count {
            Ok(Self { definition, begin, indicative, entries })
        } else {
            Err(PacketError::OutOfPlace)
        }
    }
}
