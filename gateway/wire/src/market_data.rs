//! Market data and its control lane. Says the same as `schema/market_data.xml`.
//!
//! A packet is a [`PacketHeader`] and the messages that it counts, each in a frame of its own: the n-th has the number
//! `first_sequence + n`, from zero. Increments have templates from 302, snapshots from 321, the control lane from 341.

use crate::code::{
    DeliveryMode, FeedLevel, GapCause, PacketFlags, Phase, PhaseCause, Side, SubscribeRejectReason,
    SubscriptionRequestType, UpdateAction,
};
use crate::message::{Schema, block, schema};
use crate::value::{
    AmountHigh, AmountLow, AssetId, Challenge, ChannelId, Checksum, EventIndex, Exponent, FeedSequence,
    JournalSequence, KeyId, LeftOutCount, LevelCount, MessageCount, OrderCount, OrderId, PacketCount, Price, Quantity,
    RequestId, Reserved, SchemaId, SchemaVersion, SecurityId, Signature64, Symbol16, Text48, Timestamp, TradeId,
};

block! {
    /// Begins a packet: messages follow, each in a frame of its own.
    pub struct PacketHeader, 32 bytes {
        /// Which channel.
        @0 "ChannelID"(20301) channel_id: ChannelId,
        /// The number of the first message that follows; the others follow without gaps.
        @8 "SeqFirst"(20302) first_sequence: FeedSequence,
        /// When the packet was made.
        @16 "SendingTime"(52) sending_time: Timestamp,
        /// How many messages follow.
        @24 "MsgCount"(20303) message_count: PacketCount,
        /// What is special about it.
        @26 "PacketFlags"(20304) flags: PacketFlags,
        /// Which level the channel has; absent: look at the channel.
        @27 since 1 "FeedLevel"(20308) level: Option<FeedLevel>,
        /// So many messages before SeqFirst are left out: the packet stands for them, too.
        @28 since 1 "MsgsLeftOut"(20317) left_out: LeftOutCount,
    }
}

block! {
    /// The best price of each side.
    pub struct BestBidOffer, 72 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// The first message that this one stands for; absent: itself alone.
        @24 "ApplBegSeqNum"(1182) conflated_from: Option<FeedSequence>,
        /// Best bid; absent: there is none.
        @32 "BidPx"(132) bid_price: Option<Price>,
        /// How much is bid there.
        @40 "BidSize"(134) bid_quantity: Option<Quantity>,
        /// Best offer; absent: there is none.
        @48 "OfferPx"(133) offer_price: Option<Price>,
        /// How much is offered there.
        @56 "OfferSize"(135) offer_quantity: Option<Quantity>,
        /// How many orders bid there.
        @64 "BidOrders"(20305) bid_order_count: OrderCount,
        /// How many orders offer there.
        @68 "OfferOrders"(20306) offer_order_count: OrderCount,
    }
}

block! {
    /// Price levels changed.
    pub struct MarketByPrice, 32 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// The first message that this one stands for; absent: itself alone.
        @24 "ApplBegSeqNum"(1182) conflated_from: Option<FeedSequence>,
    }
}

block! {
    /// One price level that changed.
    pub struct PriceLevelChange, 24 bytes {
        /// At which price.
        @0 "MDEntryPx"(270) price: Price,
        /// How much is there now, shown part only.
        @8 "MDEntrySize"(271) quantity: Quantity,
        /// How many orders are there now.
        @16 "NumberOfOrders"(346) order_count: OrderCount,
        /// Bid or offer.
        @20 "Side"(54) side: Side,
        /// What happened to it.
        @21 "MDUpdateAction"(279) action: UpdateAction,
    }
    reserved { @22 "Reserved1"(39001): Reserved<2>, }
}

block! {
    /// Orders changed. An order that loses its place is deleted and new.
    pub struct MarketByOrder, 24 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
    }
}

block! {
    /// One order that changed.
    pub struct OrderChange, 32 bytes {
        /// The venue's name for the order.
        @0 "OrderID"(37) order_id: OrderId,
        /// At which price.
        @8 "MDEntryPx"(270) price: Price,
        /// How much is there now, shown part only.
        @16 "MDEntrySize"(271) quantity: Quantity,
        /// Bid or offer.
        @24 "Side"(54) side: Side,
        /// What happened to it.
        @25 "MDUpdateAction"(279) action: UpdateAction,
    }
    reserved { @26 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// Two orders traded.
    pub struct Trade, 72 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// Its number.
        @24 "TrdMatchID"(880) trade_id: TradeId,
        /// At which price.
        @32 "LastPx"(31) price: Price,
        /// How much.
        @40 "LastQty"(32) quantity: Quantity,
        /// Its place among that command's events.
        @48 "JournalEventIndex"(20007) event_index: EventIndex,
        /// The incoming side; absent in an auction.
        @52 "AggressorSide"(2446) aggressor: Option<Side>,
        /// The order that rested; in an auction the buy.
        @56 since 1 "MakerOrderID"(20318) maker_order_id: Option<OrderId>,
        /// The order that came; in an auction the sell.
        @64 since 1 "TakerOrderID"(20319) taker_order_id: Option<OrderId>,
    }
    reserved { @53 "Reserved1"(39001): Reserved<3>, }
}

block! {
    /// A trade was reversed: it stands no more.
    pub struct TradeCancel, 56 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// The trade's number.
        @24 "TrdMatchID"(880) trade_id: TradeId,
        /// At which price it was.
        @32 "LastPx"(31) price: Price,
        /// How much it was.
        @40 "LastQty"(32) quantity: Quantity,
        /// Its place among that command's events.
        @48 "JournalEventIndex"(20007) event_index: EventIndex,
    }
    reserved { @52 "Reserved1"(39001): Reserved<4>, }
}

block! {
    /// An instrument as subscribers need to know it (FIX d).
    pub struct SecurityDefinition, 88 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// Its name.
        @8 "Symbol"(55) symbol: Symbol16,
        /// What is bought and sold; absent: the venue only matches.
        @24 "BaseAsset"(20201) base_asset: Option<AssetId>,
        /// What it is paid with; absent: the venue only matches.
        @32 "QuoteAsset"(20202) quote_asset: Option<AssetId>,
        /// The price step, as a mantissa.
        @40 "MinPriceIncrement"(969) tick: Price,
        /// The quantity step, as a mantissa.
        @48 "RoundLot"(561) lot: Quantity,
        /// The smallest order quantity; absent: one lot.
        @56 "MinTradeVol"(562) minimum_quantity: Option<Quantity>,
        /// The largest order quantity; absent: no bound of its own.
        @64 "MaxTradeVol"(1140) maximum_quantity: Option<Quantity>,
        /// The highest price; absent: no bound of its own.
        @72 "HighLimitPrice"(1149) maximum_price: Option<Price>,
        /// Prices are mantissa × 10^this.
        @80 "PriceExponent"(20203) price_exponent: Exponent,
        /// Quantities are mantissa × 10^this.
        @81 "QuantityExponent"(20204) quantity_exponent: Exponent,
        /// What it allows at the moment.
        @82 "SecurityTradingStatus"(326) phase: Phase,
    }
    reserved { @83 "Reserved1"(39001): Reserved<5>, }
}

block! {
    /// An instrument's phase (FIX f).
    pub struct SecurityStatus, 32 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// What it allows from now on.
        @24 "SecurityTradingStatus"(326) phase: Phase,
        /// Why it changed; absent: it did not.
        @25 "PhaseCause"(20205) cause: Option<PhaseCause>,
    }
    reserved { @26 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// Proves a subscriber's book: a hash over the top levels of both sides.
    pub struct BookChecksum, 32 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The last message that it includes.
        @8 "LastMsgSeqNumProcessed"(369) last_sequence: FeedSequence,
        /// Over the canonical text of the levels.
        @16 "BookChecksum"(20307) checksum: Checksum,
        /// How many levels of each side at most.
        @24 "MarketDepth"(264) depth: LevelCount,
        /// Whether levels or orders are hashed.
        @28 "FeedLevel"(20308) level: FeedLevel,
    }
    reserved { @29 "Reserved1"(39001): Reserved<3>, }
}

block! {
    /// An auction would end so, if it ended now.
    pub struct AuctionIndicative, 56 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// At which price; absent: nothing would trade.
        @24 "MDEntryPx"(270) price: Option<Price>,
        /// How much would trade.
        @32 "MDEntrySize"(271) quantity: Quantity,
        /// How much more one side has.
        @40 "SurplusQty"(20312) surplus: Quantity,
        /// The side that has more; absent: neither.
        @48 "Side"(54) surplus_side: Option<Side>,
    }
    reserved { @49 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// An auction ended; its trades follow.
    pub struct AuctionResult, 56 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// The auction price; absent: nothing traded.
        @24 "MDEntryPx"(270) price: Option<Price>,
        /// How much traded.
        @32 "MDEntrySize"(271) quantity: Quantity,
        /// How much more one side had.
        @40 "SurplusQty"(20312) surplus: Quantity,
        /// Its place among that command's events.
        @48 "JournalEventIndex"(20007) event_index: EventIndex,
        /// The side that had more; absent: neither.
        @52 "Side"(54) surplus_side: Option<Side>,
        /// The phase in which it ended.
        @53 "SecurityTradingStatus"(326) phase: Phase,
    }
    reserved { @54 "Reserved1"(39001): Reserved<2>, }
}

block! {
    /// What traded since a moment.
    pub struct MarketStatistics, 112 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the last trade, or of the trade that was reversed.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// What is counted began here: a day, or the venue's start within it.
        @24 "StatisticsSince"(20313) since: Timestamp,
        /// Of the first trade; absent: there was none.
        @32 "FirstPx"(1025) first_price: Option<Price>,
        /// The highest; absent: nothing traded.
        @40 "HighPx"(332) high_price: Option<Price>,
        /// The lowest; absent: nothing traded.
        @48 "LowPx"(333) low_price: Option<Price>,
        /// Of the last trade; absent: there was none.
        @56 "LastPx"(31) last_price: Option<Price>,
        /// Of the last trade; absent: there was none.
        @64 "LastQty"(32) last_quantity: Option<Quantity>,
        /// How much traded, without what was reversed.
        @72 "TradeVolume"(1020) volume: Quantity,
        /// The sum of price mantissa times quantity mantissa, without what was reversed; upper half.
        @80 "TradeNotionalHigh"(20314) notional_high: AmountHigh,
        /// The same, lower half.
        @88 "TradeNotionalLow"(20315) notional_low: AmountLow,
        /// How many trades, without those that were reversed.
        @96 "TradeCount"(20316) trade_count: MessageCount,
        /// The last trade's number; absent: there was none.
        @104 "TrdMatchID"(880) trade_id: Option<TradeId>,
    }
}

block! {
    /// A whole book follows.
    pub struct SnapshotBegin, 48 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// Which channel.
        @8 "ChannelID"(20301) channel_id: ChannelId,
        /// The last message that it includes.
        @16 "LastMsgSeqNumProcessed"(369) last_sequence: FeedSequence,
        /// The core's time of the event.
        @24 "TransactTime"(60) transact_time: Timestamp,
        /// The request that this answers; absent: none.
        @32 "MDReqID"(262) request_id: Option<RequestId>,
        /// How many entries follow, over all messages.
        @40 "TotNumReports"(911) entry_count: LevelCount,
        /// Whether levels or orders follow.
        @44 "FeedLevel"(20308) level: FeedLevel,
        /// What the instrument allows.
        @45 "SecurityTradingStatus"(326) phase: Phase,
    }
    reserved { @46 "Reserved1"(39001): Reserved<2>, }
}

block! {
    /// Part of a book by price: bids best first, then offers best first.
    pub struct SnapshotLevels, 8 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
    }
}

block! {
    /// One price level.
    pub struct PriceLevel, 24 bytes {
        /// At which price.
        @0 "MDEntryPx"(270) price: Price,
        /// How much is there now, shown part only.
        @8 "MDEntrySize"(271) quantity: Quantity,
        /// How many orders are there now.
        @16 "NumberOfOrders"(346) order_count: OrderCount,
        /// Bid or offer.
        @20 "Side"(54) side: Side,
    }
    reserved { @21 "Reserved1"(39001): Reserved<3>, }
}

block! {
    /// Part of a book by order: bids best first, then offers best first; at one price the earlier order first.
    pub struct SnapshotOrders, 8 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
    }
}

block! {
    /// One order.
    pub struct RestingOrder, 32 bytes {
        /// The venue's name for the order.
        @0 "OrderID"(37) order_id: OrderId,
        /// At which price.
        @8 "MDEntryPx"(270) price: Price,
        /// How much is there now, shown part only.
        @16 "MDEntrySize"(271) quantity: Quantity,
        /// Bid or offer.
        @24 "Side"(54) side: Side,
    }
    reserved { @25 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// The book is whole.
    pub struct SnapshotEnd, 24 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The last message that it includes.
        @8 "LastMsgSeqNumProcessed"(369) last_sequence: FeedSequence,
        /// How many entries there were.
        @16 "TotNumReports"(911) entry_count: LevelCount,
    }
    reserved { @20 "Reserved1"(39001): Reserved<4>, }
}

block! {
    /// Begins or ends a subscription. No instrument named: all.
    pub struct Subscribe, 16 bytes {
        /// The subscriber's name for the request.
        @0 "MDReqID"(262) request_id: RequestId,
        /// What to see.
        @8 "FeedLevel"(20308) level: FeedLevel,
        /// What to get when slow.
        @9 "DeliveryMode"(20309) mode: DeliveryMode,
        /// Begin or end.
        @10 "SubscriptionRequestType"(263) request: SubscriptionRequestType,
    }
    reserved { @11 "Reserved1"(39001): Reserved<5>, }
}

block! {
    /// One instrument.
    pub struct SubscribedInstrument, 8 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
    }
}

block! {
    /// The subscription began or ended.
    pub struct SubscribeAck, 24 bytes {
        /// The subscriber's name for the request.
        @0 "MDReqID"(262) request_id: RequestId,
        /// Which channel.
        @8 "ChannelID"(20301) channel_id: ChannelId,
        /// The number of the next message on the channel.
        @16 "ApplNextSeqNum"(20310) next_sequence: FeedSequence,
    }
}

block! {
    /// The request is refused.
    pub struct SubscribeReject, 72 bytes {
        /// The subscriber's name for the request.
        @0 "MDReqID"(262) request_id: RequestId,
        /// The instrument that is the reason.
        @8 "SecurityID"(48) security_id: Option<SecurityId>,
        /// Why, in words; empty: none.
        @16 "Text"(58) text: Text48,
        /// Why.
        @64 "MDReqRejReason"(281) reason: SubscribeRejectReason,
    }
    reserved { @65 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// Asks for a whole book.
    pub struct SnapshotRequest, 24 bytes {
        /// The subscriber's name for the request.
        @0 "MDReqID"(262) request_id: RequestId,
        /// Which instrument.
        @8 "SecurityID"(48) security_id: SecurityId,
        /// Levels or orders.
        @16 "FeedLevel"(20308) level: FeedLevel,
    }
    reserved { @17 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// Asks for messages of a channel again. Too old: refused, take a snapshot.
    pub struct PacketRetransmitRequest, 32 bytes {
        /// The subscriber's name for the request.
        @0 "MDReqID"(262) request_id: RequestId,
        /// Which channel.
        @8 "ChannelID"(20301) channel_id: ChannelId,
        /// The first.
        @16 "ApplBegSeqNum"(1182) from_sequence: FeedSequence,
        /// How many.
        @24 "Count"(20116) count: MessageCount,
    }
}

block! {
    /// Messages were left out; a snapshot follows.
    pub struct GapNotice, 40 bytes {
        /// Which channel.
        @0 "ChannelID"(20301) channel_id: ChannelId,
        /// The first.
        @8 "ApplBegSeqNum"(1182) from_sequence: FeedSequence,
        /// How many.
        @16 "Count"(20116) count: MessageCount,
        /// Of this instrument; absent: of all.
        @24 "SecurityID"(48) security_id: Option<SecurityId>,
        /// Why.
        @32 "GapCause"(20311) cause: GapCause,
    }
    reserved { @33 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// Asks to be let in as the holder of a key; the first message on the control lane, where it is needed.
    pub struct Logon, 8 bytes {
        /// Whose key.
        @0 "KeyID"(20103) key_id: KeyId,
    }
}

block! {
    /// What is to be signed to be let in.
    pub struct LogonChallenge, 16 bytes {
        /// Never the same twice.
        @0 "ChallengeHigh"(20320) challenge_high: Challenge,
        /// The same, second half.
        @8 "ChallengeLow"(20321) challenge_low: Challenge,
    }
}

block! {
    /// The proof.
    pub struct LogonSignature, 64 bytes {
        /// Ed25519, over the canonical text.
        @0 "Signature"(20120) signature: Signature64,
    }
}

block! {
    /// The subscriber is let in.
    pub struct LogonAck, 8 bytes {
        /// As the holder of which key.
        @0 "KeyID"(20103) key_id: KeyId,
    }
}

schema! {
    /// A message of the market data schema.
    pub enum MarketDataMessage<'a>, frames 'a, schema Schema { id: SchemaId(300), version: SchemaVersion(1) } => {
        /// Begins a packet: messages follow, each in a frame of its own.
        PacketHeader = 301,
        /// The best price of each side.
        BestBidOffer = 302,
        /// Two orders traded.
        Trade = 305,
        /// An instrument as subscribers need to know it (FIX d).
        SecurityDefinition = 306,
        /// An instrument's phase (FIX f).
        SecurityStatus = 307,
        /// Proves a subscriber's book: a hash over the top levels of both sides.
        BookChecksum = 308,
        /// An auction would end so, if it ended now.
        AuctionIndicative = 309,
        /// A trade was reversed: it stands no more.
        TradeCancel = 310,
        /// An auction ended; its trades follow.
        AuctionResult = 311,
        /// What traded since a moment.
        MarketStatistics = 312,
        /// A whole book follows.
        SnapshotBegin = 321,
        /// The book is whole.
        SnapshotEnd = 324,
        /// The subscription began or ended.
        SubscribeAck = 342,
        /// The request is refused.
        SubscribeReject = 343,
        /// Asks for a whole book.
        SnapshotRequest = 344,
        /// Asks for messages of a channel again. Too old: refused, take a snapshot.
        PacketRetransmitRequest = 345,
        /// Messages were left out; a snapshot follows.
        GapNotice = 346,
        /// Asks to be let in as the holder of a key; the first message on the control lane, where it is needed.
        Logon = 347,
        /// What is to be signed to be let in.
        LogonChallenge = 348,
        /// The proof.
        LogonSignature = 349,
        /// The subscriber is let in.
        LogonAck = 350,
    }
    grouped {
        /// Price levels changed.
        MarketByPrice = 303, "NoMDEntries"(268) of PriceLevelChange,
        /// Orders changed. An order that loses its place is deleted and new.
        MarketByOrder = 304, "NoMDEntries"(268) of OrderChange,
        /// Part of a book by price: bids best first, then offers best first.
        SnapshotLevels = 322, "NoMDEntries"(268) of PriceLevel,
        /// Part of a book by order: bids best first, then offers best first; at one price the earlier order first.
        SnapshotOrders = 323, "NoMDEntries"(268) of RestingOrder,
        /// Begins or ends a subscription. No instrument named: all.
        Subscribe = 341, "NoRelatedSym"(146) of SubscribedInstrument,
    }
}
