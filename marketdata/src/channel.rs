//! Channels: one instrument at one level of detail, with numbers of its own.

use engine::InstrumentId;
use wire::{ChannelId, FeedLevel};

use crate::packet::Packer;

/// The levels of detail that a feed has, each on a channel of its own per instrument.
pub const LEVELS: [FeedLevel; 7] = [
    FeedLevel::Trades,
    FeedLevel::BestBidOffer,
    FeedLevel::MarketByPrice10,
    FeedLevel::MarketByPrice50,
    FeedLevel::MarketByPrice,
    FeedLevel::MarketByOrder,
    FeedLevel::Reference,
];

/// The levels that tell what traded.
pub(crate) const TAPE_LEVELS: [FeedLevel; 6] = [
    FeedLevel::Trades,
    FeedLevel::BestBidOffer,
    FeedLevel::MarketByPrice10,
    FeedLevel::MarketByPrice50,
    FeedLevel::MarketByPrice,
    FeedLevel::MarketByOrder,
];

/// The levels that tell what a book would do: best prices, and in a call how its auction would end.
pub(crate) const BOOK_LEVELS: [FeedLevel; 5] = [
    FeedLevel::BestBidOffer,
    FeedLevel::MarketByPrice10,
    FeedLevel::MarketByPrice50,
    FeedLevel::MarketByPrice,
    FeedLevel::MarketByOrder,
];

/// The channel of an instrument at a level; `None` if no feed has it.
pub fn channel_of(instrument: InstrumentId, level: FeedLevel) -> Option<ChannelId> {
    LEVELS.contains(&level).then_some(ChannelId(u64::from(instrument.0) << 8 | level as u64))
}

/// The instrument and level of a channel; `None` if no feed has it.
pub fn channel_parts(ChannelId(channel): ChannelId) -> Option<(InstrumentId, FeedLevel)> {
    let level = LEVELS.into_iter().find(|&level| level as u64 == channel & 0xFF)?;
    Some((InstrumentId(u32::try_from(channel >> 8).ok()?), level))
}

/// How many price levels of each side a level of detail has; none: it has no price levels.
pub(crate) const fn depth_of(level: FeedLevel) -> Option<usize> {
    match level {
        FeedLevel::BestBidOffer => Some(1),
        FeedLevel::MarketByPrice10 => Some(10),
        FeedLevel::MarketByPrice50 => Some(50),
        FeedLevel::MarketByPrice => Some(usize::MAX),
        FeedLevel::MarketByOrder | FeedLevel::Trades | FeedLevel::Reference | FeedLevel::NonRepresentable => None,
    }
}

/// Where a level's channel stands among an instrument's.
pub(crate) fn position_of(level: FeedLevel) -> Option<usize> {
    LEVELS.iter().position(|&it| it == level)
}

/// One channel of a feed.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) packer: Packer,
    /// Who takes its packets. Without anybody, none are made.
    pub(crate) listeners: u32,
    /// Messages since the last checksum.
    pub(crate) unproven: u32,
    /// Whether it has messages that are in no packet yet.
    pub(crate) is_touched: bool,
}

impl Channel {
    /// An instrument's, in the order of [`LEVELS`].
    pub(crate) fn all_of(instrument: InstrumentId, listeners: u32) -> [Self; LEVELS.len()] {
        LEVELS.map(|level| {
            let channel_id = channel_of(instrument, level).expect("a feed has all of its levels");
            Self { packer: Packer::new(channel_id, level), listeners, unproven: 0, is_touched: false }
        })
    }
}
