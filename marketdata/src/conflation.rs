//! What a channel has come to, for who takes the latest state and not every message.
//!
//! A packet that is not taken before the next one comes is merged with it: of each level, and of each other kind of
//! message, the latest stays. Trades are left out; how much traded is in the statistics. What is sent has no more
//! messages than it stands for, so that numbers go on as if all had been sent:
//!
//! ```text
//!   sent so far ... 6 │ 7  8  9  10  11  12  13  14 │ 15 ...
//!                     └── left out: 5 ──┴ 12  13  14 ┘
//! ```
//!
//! A packet of this kind has all of it, however long: it is never a datagram.

use std::collections::BTreeMap;

use wire::market_data::{
    AuctionIndicative, AuctionResult, BestBidOffer, BookChecksum, MarketByPrice, MarketDataMessage, MarketStatistics,
    PriceLevelChange, SecurityDefinition, SecurityStatus,
};
use wire::message::Flat;
use wire::{ChannelId, FeedLevel, FeedSequence, LeftOutCount, PacketFlags, PhaseCause, Price, Timestamp};

use crate::packet::{Body, Packet, append, append_grouped, entries_max, open, seal_long};

/// Levels that one packet may tell of; more are a reason to begin anew.
const LEVELS_MAX: usize = 1 << 16;

/// What waits on a channel.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A packet as it came.
    One(Packet),
    /// What several came to.
    Merged(Box<Merged>),
}

/// It is too much for one packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl Pending {
    /// Takes another packet of the channel in.
    ///
    /// # Errors
    /// If it is too much for one packet: nothing of it is of use any more.
    pub(crate) fn merge(&mut self, packet: &Packet, level: FeedLevel) -> Result<(), TooMuch> {
        if let Self::One(first) = self {
            let mut merged = Box::new(Merged::of(first, level));
            merged.take(first)?;
            *self = Self::Merged(merged);
        }
        match self {
            Self::Merged(merged) => merged.take(packet),
            Self::One(_) => Ok(()),
        }
    }

    /// The first message that it stands for.
    pub(crate) const fn from(&self) -> FeedSequence {
        match self {
            Self::One(packet) => packet.first_sequence,
            Self::Merged(merged) => merged.from,
        }
    }

    /// Whether it ends within a command: then it has to wait.
    pub(crate) const fn continues(&self) -> bool {
        match self {
            Self::One(packet) => packet.continues(),
            Self::Merged(merged) => merged.continues,
        }
    }

    /// When the first of it was sent.
    pub(crate) const fn since(&self) -> Timestamp {
        match self {
            Self::One(packet) => packet.sent_at,
            Self::Merged(merged) => merged.since,
        }
    }

    /// What is to be sent.
    pub(crate) fn packet(self) -> Packet {
        match self {
            Self::One(packet) => packet,
            Self::Merged(merged) => merged.packet(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Merged {
    channel_id: ChannelId,
    level: FeedLevel,
    from: FeedSequence,
    next: FeedSequence,
    since: Timestamp,
    sent_at: Timestamp,
    continues: bool,
    definition: Option<SecurityDefinition>,
    status: Option<SecurityStatus>,
    auction: Option<AuctionResult>,
    indicative: Option<AuctionIndicative>,
    /// The last message about levels, and the levels by side and price.
    message: Option<MarketByPrice>,
    levels: BTreeMap<(u8, Price), PriceLevelChange>,
    best: Option<BestBidOffer>,
    statistics: Option<MarketStatistics>,
    /// If nothing changed the book behind it.
    checksum: Option<BookChecksum>,
}

impl Merged {
    fn of(packet: &Packet, level: FeedLevel) -> Self {
        Self {
            channel_id: packet.channel_id,
            level,
            from: packet.first_sequence,
            next: packet.first_sequence,
            since: packet.sent_at,
            sent_at: packet.sent_at,
            continues: false,
            definition: None,
            status: None,
            auction: None,
            indicative: None,
            message: None,
            levels: BTreeMap::new(),
            best: None,
            statistics: None,
            checksum: None,
        }
    }

    fn take(&mut self, packet: &Packet) -> Result<(), TooMuch> {
        let (_, frames) = open(&packet.bytes).expect("the feed's own packet");
        for message in frames {
            self.message(message.expect("the feed's own message"));
        }
        self.next = packet.next_sequence;
        self.sent_at = packet.sent_at;
        self.continues = packet.continues();
        let is_counted = self.next.0 - self.from.0 <= u64::from(u32::MAX);
        if self.levels.len() > LEVELS_MAX || !is_counted { Err(TooMuch) } else { Ok(()) }
    }

    fn message(&mut self, message: MarketDataMessage<'_>) {
        match message {
            MarketDataMessage::SecurityDefinition(definition) => self.definition = Some(definition),
            MarketDataMessage::SecurityStatus(status) => {
                self.status = Some(status);
                if status.cause == Some(PhaseCause::Listing) {
                    self.indicative = None;
                }
            }
            MarketDataMessage::AuctionResult(auction) => {
                self.auction = Some(auction);
                self.indicative = None;
            }
            MarketDataMessage::AuctionIndicative(indicative) => self.indicative = Some(indicative),
            MarketDataMessage::MarketByPrice(message, changes) => {
                self.message = Some(message);
                self.checksum = None;
                for change in changes {
                    let change = change.expect("the feed's own entry");
                    self.levels.insert((change.side as u8, change.price), change);
                }
            }
            MarketDataMessage::BestBidOffer(best) => {
                self.best = Some(best);
                self.checksum = None;
            }
            MarketDataMessage::MarketStatistics(statistics) => self.statistics = Some(statistics),
            MarketDataMessage::BookChecksum(checksum) => self.checksum = Some(checksum),
            // Trades, and nothing else, are left out.
            _ => {}
        }
    }

    fn packet(self) -> Packet {
        let from = Some(self.from);
        let mut body = Body::default();
        let mut frame = Vec::new();
        add(&mut body, &mut frame, self.definition.as_ref());
        add(&mut body, &mut frame, self.status.as_ref());
        add(&mut body, &mut frame, self.auction.as_ref());
        add(&mut body, &mut frame, self.indicative.as_ref());
        let levels: Vec<PriceLevelChange> = self.levels.into_values().collect();
        if let Some(message) = self.message {
            for part in levels.chunks(entries_max::<MarketByPrice>()) {
                frame.clear();
                append_grouped(&mut frame, &MarketByPrice { conflated_from: from, ..message }, part);
                body.append(&frame, 1);
            }
        }
        add(&mut body, &mut frame, self.best.map(|best| BestBidOffer { conflated_from: from, ..best }).as_ref());
        add(&mut body, &mut frame, self.statistics.as_ref());
        add(&mut body, &mut frame, self.checksum.as_ref());
        let first = FeedSequence(self.next.0 - u64::from(body.count()));
        let left_out = LeftOutCount((first.0 - self.from.0) as u32);
        seal_long(self.channel_id, self.level, first, left_out, PacketFlags::CONFLATED, self.sent_at, &body)
    }
}

fn add<M: Flat>(body: &mut Body, frame: &mut Vec<u8>, message: Option<&M>) {
    if let Some(message) = message {
        frame.clear();
        append(frame, message);
        body.append(frame, 1);
    }
}
