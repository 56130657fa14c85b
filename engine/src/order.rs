//! What an order may ask for. Codes are FIX's where FIX has them.

use crate::canonical::{Field, FieldValue, canonical_newtype, code_enum};

code_enum! {
    /// FIX 54.
    pub enum Side: u8 {
        /// Pays the quote asset for the base asset.
        Buy = 1,
        /// Gives the base asset for the quote asset.
        Sell = 2,
    }
}

impl Side {
    /// Bids first.
    pub const BOTH: [Self; 2] = [Self::Buy, Self::Sell];

    /// Its place in a pair by side. Counted, not branched to: nobody predicts the next order's side.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self as usize - Self::Buy as usize
    }

    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

code_enum! {
    /// FIX 40.
    pub enum OrderType: u8 {
        /// Trades at the best prices up to the market protection; the rest is cancelled.
        Market = 1,
        /// Trades at its limit or better.
        Limit = 2,
        /// Becomes a market order when a trade reaches its stop price.
        Stop = 3,
        /// Becomes a limit order when a trade reaches its stop price.
        StopLimit = 4,
    }
}

impl OrderType {
    /// Whether a trade has to elect it first.
    pub const fn is_stop(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit)
    }

    /// Whether it has a limit of its own.
    pub const fn has_price(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }
}

impl TimeInForce {
    /// Whether what does not trade at once may rest.
    pub const fn rests(self) -> bool {
        !matches!(self, Self::ImmediateOrCancel | Self::FillOrKill)
    }

    /// Whether the order takes part in one auction only.
    pub const fn is_for_auction(self) -> bool {
        matches!(self, Self::AtTheOpening | Self::AtTheClose)
    }
}

code_enum! {
    /// FIX 59.
    pub enum TimeInForce: u8 {
        /// Until the instrument's rollover.
        Day = 0,
        /// Until filled or cancelled.
        GoodTillCancel = 1,
        /// In the opening auction only.
        AtTheOpening = 2,
        /// At once; the rest is cancelled.
        ImmediateOrCancel = 3,
        /// At once and in full, or not at all.
        FillOrKill = 4,
        /// Until its expiry time.
        GoodTillDate = 6,
        /// In the closing auction only.
        AtTheClose = 7,
    }
}

code_enum! {
    /// FIX 39: what has become of an order.
    pub enum OrderStatus: u8 {
        /// Open, nothing filled.
        New = 0,
        /// Open, partly filled.
        PartiallyFilled = 1,
        /// Filled in full.
        Filled = 2,
        /// Ended before it was filled.
        Cancelled = 4,
        /// Open under another client order id.
        Replaced = 5,
        /// Never accepted.
        Rejected = 8,
        /// Ended by time.
        Expired = 12,
    }
}

code_enum! {
    /// What happens when an order would trade with its own group.
    pub enum SelfTradePrevention: u8 {
        /// They trade. For replaying other venues' days; an order cannot say it.
        Allow = 0,
        /// `cn`: the incoming remainder is cancelled.
        CancelIncoming = 1,
        /// `co`: the resting order is cancelled.
        CancelResting = 2,
        /// `cb`: both are cancelled.
        CancelBoth = 3,
        /// `dc`: both are reduced by the smaller.
        Decrement = 4,
    }
}

code_enum! {
    /// What a lost session means for an order.
    pub enum OnDisconnect: u8 {
        /// As its session agreed at Establish.
        AsSession = 0,
        /// Cancelled.
        Cancel = 1,
        /// Kept.
        Keep = 2,
    }
}

/// Flags of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct OrderFlags(pub u8);

impl OrderFlags {
    /// None set.
    pub const NONE: Self = Self(0);
    /// Rejected if it would take (FIX 18, `6`).
    pub const POST_ONLY: Self = Self(1);
    /// Every flag that has a meaning.
    pub const KNOWN: Self = Self(1);

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

canonical_newtype!(OrderFlags(u8));

impl Field for OrderFlags {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Unsigned(self.0.into())
    }
}
