//! The channels that a subscriber names, and what of the feed each is made of.

use engine::InstrumentId;
use wire::{ChannelId, FeedLevel};

/// A kind of channel. Each product has one of each kind, with numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stream {
    Heartbeat,
    Status,
    Ticker,
    Level2,
    Level2Batch,
    Matches,
    Full,
    Auction,
}

impl Stream {
    /// All, in the order of their codes.
    pub(super) const ALL: [Self; 8] = [
        Self::Heartbeat,
        Self::Status,
        Self::Ticker,
        Self::Level2,
        Self::Level2Batch,
        Self::Matches,
        Self::Full,
        Self::Auction,
    ];

    /// As subscribers write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Status => "status",
            Self::Ticker => "ticker",
            Self::Level2 => "level2",
            Self::Level2Batch => "level2_batch",
            Self::Matches => "matches",
            Self::Full => "full",
            Self::Auction => "auction",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    /// The levels of the feed that it needs.
    pub(super) const fn sources(self) -> &'static [FeedLevel] {
        match self {
            Self::Heartbeat | Self::Status => &[FeedLevel::Reference],
            Self::Ticker => &[FeedLevel::BestBidOffer, FeedLevel::Reference],
            Self::Level2 | Self::Level2Batch => &[FeedLevel::MarketByPrice],
            Self::Matches => &[FeedLevel::Trades, FeedLevel::Reference],
            Self::Full => &[FeedLevel::MarketByOrder],
            Self::Auction => &[FeedLevel::BestBidOffer],
        }
    }

    /// Whether it begins with a whole book.
    pub(super) const fn has_book(self) -> bool {
        matches!(self, Self::Level2 | Self::Level2Batch | Self::Full)
    }

    /// A product's channel of this kind.
    pub(super) fn of(self, product: InstrumentId) -> ChannelId {
        ChannelId(u64::from(product.0) << 8 | self as u64)
    }
}

/// The product and kind of a channel; none if it is none of these.
pub(super) fn parts(ChannelId(channel): ChannelId) -> Option<(InstrumentId, Stream)> {
    let stream = Stream::ALL.into_iter().find(|&stream| stream as u64 == channel & 0xFF)?;
    Some((InstrumentId(u32::try_from(channel >> 8).ok()?), stream))
}
