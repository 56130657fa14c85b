//! Events in, packets out: encoded once, whoever reads them.
//!
//! A channel is one instrument at one level of detail, and has numbers of its own. So a subscriber gets what it asked
//! for and nothing else, the bytes are the same for all, and a missing number is always a loss.
//!
//! | level | increments |
//! |---|---|
//! | Trades | Trade, TradeCancel |
//! | BestBidOffer | Trade, TradeCancel, BestBidOffer, AuctionIndicative |
//! | MarketByPrice | Trade, TradeCancel, MarketByPrice, BestBidOffer, AuctionIndicative |
//!
//! Each carries SecurityDefinition, SecurityStatus and AuctionResult too. A command's trades come in their order; its price levels come
//! at its end, each once, and then the best prices if they are others than before. Numbers begin with the feed: a venue
//! that was started anew has a new feed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use engine::command::ListInstrument;
use engine::event::{IndicativeChanged, InstrumentListed, Trade, TradeBusted, Uncrossed};
use engine::instrument::{Phase, PhaseCause};
use engine::{Engine, Event, EventHeader, Indicative, InstrumentId, Quantity, Sequence, Side};
use wire::market_data::{
    self as messages, AuctionIndicative, AuctionResult, MarketByPrice, PriceLevel, PriceLevelChange,
    SecurityDefinition, SecurityStatus, SnapshotBegin, SnapshotEnd, SnapshotLevels,
};
use wire::message::Flat;
use wire::{
    AssetId, Block, ChannelId, EventIndex, FeedLevel, FeedSequence, JournalSequence, LevelCount, OrderCount, RequestId,
    SecurityId, TradeId, UpdateAction,
};

use crate::by_price::{BestPrices, ByPrice, Level, LevelChange};
use crate::packet::{Packer, Packet, append, append_grouped, entries_max};
use crate::scale::Scale;

/// The levels of detail that a feed has, each on a channel of its own per instrument.
pub const LEVELS: [FeedLevel; 3] = [FeedLevel::Trades, FeedLevel::BestBidOffer, FeedLevel::MarketByPrice];

/// The levels that tell what a book would do: best prices, and in a call how its auction would end.
const BOOK_LEVELS: [FeedLevel; 2] = [FeedLevel::BestBidOffer, FeedLevel::MarketByPrice];

/// The channel of an instrument at a level; `None` if no feed has it.
pub fn channel_of(instrument: InstrumentId, level: FeedLevel) -> Option<ChannelId> {
    LEVELS.contains(&level).then_some(ChannelId(u64::from(instrument.0) << 8 | level as u64))
}

/// The instrument and level of a channel; `None` if no feed has it.
pub fn channel_parts(ChannelId(channel): ChannelId) -> Option<(InstrumentId, FeedLevel)> {
    let level = LEVELS.into_iter().find(|&level| level as u64 == channel & 0xFF)?;
    Some((InstrumentId(u32::try_from(channel >> 8).ok()?), level))
}

/// A venue's public events as packets, without I/O.
///
/// ```
/// use marketdata::Feed;
///
/// let mut feed = Feed::default();
/// feed.end_of_command();
/// assert!(feed.packets(wire::Timestamp(0)).is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Feed {
    books: ByPrice,
    instruments: BTreeMap<InstrumentId, Instrument>,
    channels: BTreeMap<ChannelId, Packer>,
    /// The command whose events are coming.
    command: Option<EventHeader>,
    /// Channels with messages that are in no packet yet.
    touched: BTreeSet<ChannelId>,
    listed: Vec<InstrumentId>,
}

/// A whole book, and where the channel goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which channel.
    pub channel_id: ChannelId,
    /// The number of the first message that it does not include.
    pub next_sequence: FeedSequence,
    /// SecurityDefinition, SnapshotBegin, AuctionIndicative if there is an auction price, SnapshotLevels as often as
    /// needed, SnapshotEnd, each in a frame.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Instrument {
    definition: SecurityDefinition,
    scale: Scale,
    best: BestPrices,
    /// The last one, while there is an auction price.
    indicative: Option<AuctionIndicative>,
    /// Of the last event that the public saw.
    time: wire::Timestamp,
}

impl Feed {
    /// A feed that goes on behind what `engine` has applied.
    pub fn of(engine: &Engine) -> Self {
        let mut feed =
            Self { books: ByPrice::of(engine, engine.listings().map(|it| it.instrument)), ..Self::default() };
        for listing in engine.listings() {
            let phase = engine.phase(listing.instrument).expect("a listed instrument has a phase");
            feed.list(listing, phase, engine.last().time.into());
            feed.recover_indicative(engine, listing.instrument);
        }
        feed.listed.clear();
        feed
    }

    /// Takes the next event; if it is another command's than the last, that one has ended.
    pub fn event(&mut self, header: &EventHeader, event: &Event) {
        if self.command.is_some_and(|last| last.id.sequence != header.id.sequence) {
            self.end_of_command();
        }
        self.command = Some(*header);
        self.books.event(event);
        match event {
            Event::InstrumentListed(listed) => self.listing(header, listed),
            Event::PhaseChanged(changed) => self.status(header, changed.instrument, changed.to, changed.cause),
            Event::Trade(trade) => self.trade(header, trade),
            Event::TradeBusted(busted) => self.bust(header, busted),
            Event::IndicativeChanged(changed) => self.indicative(header, changed),
            Event::Uncrossed(uncrossed) => self.auction(header, uncrossed),
            Event::InstrumentDelisted(delisted) => {
                self.status(header, delisted.instrument, Phase::Closed, PhaseCause::Listing);
            }
            // Everything else is private, or shows as price levels at the command's end.
            _ => {}
        }
    }

    /// No more events of the last command come. Without effect if it has ended already.
    pub fn end_of_command(&mut self) {
        let Some(header) = self.command.take() else { return };
        let changes: Vec<LevelChange> = self.books.changes().collect();
        for of_instrument in changes.chunk_by(|one, other| one.instrument == other.instrument) {
            self.levels(&header, of_instrument);
        }
        for channel_id in &self.touched {
            self.channels.get_mut(channel_id).expect("a touched channel is there").end_of_command();
        }
    }

    /// The command whose events are being taken; none between commands.
    pub fn command(&self) -> Option<Sequence> {
        self.command.map(|header| header.id.sequence)
    }

    /// Whether the books are as after a whole command, so that a snapshot can be taken.
    pub fn is_between_commands(&self) -> bool {
        self.command.is_none()
    }

    /// The packets since the last call. Full ones of a command that has not ended are among them.
    pub fn packets(&mut self, now: wire::Timestamp) -> Vec<Packet> {
        let mut packets = Vec::new();
        for channel_id in &self.touched {
            packets.extend(self.channels.get_mut(channel_id).expect("a touched channel is there").packets(now));
        }
        // What a command has sent so far is followed by a part that fills no packet yet.
        if self.command.is_none() {
            self.touched.clear();
        }
        packets
    }

    /// The instruments that were listed since the last call.
    pub fn take_listed(&mut self) -> Vec<InstrumentId> {
        core::mem::take(&mut self.listed)
    }

    /// The instruments of the feed.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> + '_ {
        self.instruments.keys().copied()
    }

    /// The books.
    pub fn books(&self) -> &ByPrice {
        &self.books
    }

    /// The whole of a book at a level, which includes every message up to now; `None` if there is no such channel.
    ///
    /// # Panics
    /// Within a command.
    pub fn snapshot(&self, book: InstrumentId, level: FeedLevel, request_id: Option<RequestId>) -> Option<Snapshot> {
        assert!(self.is_between_commands(), "a snapshot within a command");
        let channel_id = channel_of(book, level)?;
        let (instrument, channel) = (self.instruments.get(&book)?, self.channels.get(&channel_id)?);
        let next_sequence = channel.next_sequence();
        let last_sequence = FeedSequence(next_sequence.0 - 1);
        let entries: Vec<PriceLevel> = self.snapshot_entries(book, instrument, level).collect();
        let entry_count = LevelCount(u32::try_from(entries.len()).expect("the engine's capacities are below 2^32"));
        let SecurityDefinition { security_id, phase, .. } = instrument.definition;
        let transact_time = instrument.time;
        let mut bytes = Vec::new();
        append(&mut bytes, &instrument.definition);
        append(
            &mut bytes,
            &SnapshotBegin {
                security_id,
                channel_id,
                last_sequence,
                transact_time,
                request_id,
                entry_count,
                level,
                phase,
            },
        );
        if let Some(indicative) = instrument.indicative.filter(|_| BOOK_LEVELS.contains(&level)) {
            append(&mut bytes, &indicative);
        }
        for part in entries.chunks(entries_max::<SnapshotLevels>()) {
            append_grouped(&mut bytes, &SnapshotLevels { security_id }, part);
        }
        append(&mut bytes, &SnapshotEnd { security_id, last_sequence, entry_count });
        Some(Snapshot { channel_id, next_sequence, bytes: bytes.into() })
    }

    fn snapshot_entries(
        &self,
        book: InstrumentId,
        instrument: &Instrument,
        level: FeedLevel,
    ) -> impl Iterator<Item = PriceLevel> {
        let depth = match level {
            FeedLevel::MarketByPrice | FeedLevel::MarketByOrder => usize::MAX,
            FeedLevel::BestBidOffer => 1,
            FeedLevel::Trades | FeedLevel::NonRepresentable => 0,
        };
        let scale = instrument.scale;
        Side::BOTH.into_iter().flat_map(move |side| {
            self.books.levels(book, side).take(depth).map(move |(price, level)| PriceLevel {
                price: scale.price(price),
                quantity: scale.quantity(Quantity(level.quantity)),
                order_count: OrderCount(level.order_count),
                side: side.into(),
            })
        })
    }

    fn listing(&mut self, header: &EventHeader, listed: &InstrumentListed) {
        let book = listed.command.instrument;
        self.list(&listed.command, listed.command.phase, header.time.into());
        let definition = self.instruments[&book].definition;
        self.message(book, &LEVELS, &definition);
    }

    fn list(&mut self, listing: &ListInstrument, phase: Phase, time: wire::Timestamp) {
        let book = listing.instrument;
        let best = self.books.best(book);
        let definition = definition(listing, phase);
        self.instruments
            .insert(book, Instrument { definition, scale: Scale::of(listing), best, indicative: None, time });
        for channel_id in LEVELS.into_iter().filter_map(|level| channel_of(book, level)) {
            self.channels.entry(channel_id).or_insert_with(|| Packer::new(channel_id));
        }
        self.listed.push(book);
    }

    fn status(&mut self, header: &EventHeader, book: InstrumentId, phase: Phase, cause: PhaseCause) {
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        instrument.definition.phase = phase.into();
        instrument.time = header.time.into();
        if cause == PhaseCause::Listing {
            instrument.indicative = None;
        }
        let status = SecurityStatus {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            phase: phase.into(),
            cause: Some(cause.into()),
        };
        self.message(book, &LEVELS, &status);
    }

    fn trade(&mut self, header: &EventHeader, trade: &Trade) {
        let book = trade.instrument;
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        instrument.time = header.time.into();
        let trade = messages::Trade {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            trade_id: TradeId::from(trade.trade_id),
            price: instrument.scale.price(trade.price),
            quantity: instrument.scale.quantity(trade.quantity),
            event_index: EventIndex(header.id.index),
            aggressor: trade.aggressor.map(Into::into),
        };
        self.message(book, &LEVELS, &trade);
    }

    fn bust(&mut self, header: &EventHeader, busted: &TradeBusted) {
        let book = busted.instrument;
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        instrument.time = header.time.into();
        let cancel = messages::TradeCancel {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            trade_id: TradeId::from(busted.trade_id),
            price: instrument.scale.price(busted.price),
            quantity: instrument.scale.quantity(busted.quantity),
            event_index: EventIndex(header.id.index),
        };
        self.message(book, &LEVELS, &cancel);
    }

    fn indicative(&mut self, header: &EventHeader, changed: &IndicativeChanged) {
        let book = changed.instrument;
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        instrument.time = header.time.into();
        let journal_sequence = JournalSequence::present(header.id.sequence);
        let indicative = auction_indicative(instrument, journal_sequence, changed);
        instrument.indicative = indicative.price.map(|_| indicative);
        self.message(book, &BOOK_LEVELS, &indicative);
    }

    /// What was told last before the venue was started anew; of which command is not known any more.
    fn recover_indicative(&mut self, engine: &Engine, book: InstrumentId) {
        let (Some(instrument), Some(pending)) = (self.instruments.get_mut(&book), engine.indicative(book)) else {
            return;
        };
        let Indicative { price, volume, surplus_side, surplus } = pending;
        let changed = IndicativeChanged { instrument: book, price, volume, surplus_side, surplus };
        let indicative = auction_indicative(instrument, None, &changed);
        instrument.indicative = indicative.price.map(|_| indicative);
    }

    fn auction(&mut self, header: &EventHeader, uncrossed: &Uncrossed) {
        let book = uncrossed.instrument;
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        instrument.time = header.time.into();
        instrument.indicative = None;
        let scale = instrument.scale;
        let result = AuctionResult {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            price: auction_price(scale, uncrossed.price),
            quantity: auction_quantity(scale, uncrossed.volume),
            surplus: auction_quantity(scale, uncrossed.surplus),
            event_index: EventIndex(header.id.index),
            surplus_side: uncrossed.surplus_side.map(Into::into),
            phase: uncrossed.phase.into(),
        };
        self.message(book, &LEVELS, &result);
    }

    /// One instrument's levels that a command changed.
    fn levels(&mut self, header: &EventHeader, changes: &[LevelChange]) {
        let Some(&LevelChange { instrument: book, .. }) = changes.first() else { return };
        let best = self.books.best(book);
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        let scale = instrument.scale;
        instrument.time = header.time.into();
        let best_before = core::mem::replace(&mut instrument.best, best);
        let message = MarketByPrice {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            conflated_from: None,
        };
        let entries: Vec<PriceLevelChange> = changes.iter().map(|change| level_change(scale, change)).collect();
        for part in entries.chunks(entries_max::<MarketByPrice>()) {
            let mut frame = Vec::new();
            append_grouped(&mut frame, &message, part);
            self.frame(book, &[FeedLevel::MarketByPrice], &frame);
        }
        if best != best_before {
            let message = best_bid_offer(header, book, scale, best);
            self.message(book, &BOOK_LEVELS, &message);
        }
    }

    fn message<M: Flat>(&mut self, book: InstrumentId, levels: &[FeedLevel], message: &M) {
        let mut frame = Vec::with_capacity(M::FRAME_LENGTH);
        append(&mut frame, message);
        self.frame(book, levels, &frame);
    }

    fn frame(&mut self, book: InstrumentId, levels: &[FeedLevel], frame: &[u8]) {
        for channel_id in levels.iter().filter_map(|&level| channel_of(book, level)) {
            if let Some(packer) = self.channels.get_mut(&channel_id) {
                packer.message(frame);
                self.touched.insert(channel_id);
            }
        }
    }
}

fn definition(listing: &ListInstrument, phase: Phase) -> SecurityDefinition {
    let scale = Scale::of(listing);
    SecurityDefinition {
        security_id: SecurityId::from(listing.instrument),
        symbol: listing.name.into(),
        base_asset: AssetId::present(listing.base),
        quote_asset: AssetId::present(listing.quote),
        tick: scale.price(engine::Price(1)),
        lot: scale.quantity(Quantity(1)),
        price_exponent: scale.price_exponent(),
        quantity_exponent: scale.quantity_exponent(),
        phase: phase.into(),
        ..SecurityDefinition::BLANK
    }
}

fn auction_indicative(
    instrument: &Instrument,
    journal_sequence: Option<JournalSequence>,
    changed: &IndicativeChanged,
) -> AuctionIndicative {
    AuctionIndicative {
        security_id: changed.instrument.into(),
        transact_time: instrument.time,
        journal_sequence,
        price: auction_price(instrument.scale, changed.price),
        quantity: auction_quantity(instrument.scale, changed.volume),
        surplus: auction_quantity(instrument.scale, changed.surplus),
        surplus_side: changed.surplus_side.map(Into::into),
    }
}

fn auction_price(scale: Scale, price: engine::Price) -> Option<wire::Price> {
    (!price.is_absent()).then(|| scale.price(price))
}

/// None is zero on the wire.
fn auction_quantity(scale: Scale, quantity: Quantity) -> wire::Quantity {
    if quantity.is_absent() { wire::Quantity(0) } else { scale.quantity(quantity) }
}

fn level_change(scale: Scale, change: &LevelChange) -> PriceLevelChange {
    PriceLevelChange {
        price: scale.price(change.price),
        quantity: scale.quantity(Quantity(change.level.quantity)),
        order_count: OrderCount(change.level.order_count),
        side: change.side.into(),
        action: match (change.before.order_count, change.level.order_count) {
            (_, 0) => UpdateAction::Delete,
            (0, _) => UpdateAction::New,
            _ => UpdateAction::Change,
        },
    }
}

fn best_bid_offer(
    header: &EventHeader,
    book: InstrumentId,
    scale: Scale,
    BestPrices { bid, offer }: BestPrices,
) -> messages::BestBidOffer {
    let price = |best: Option<(engine::Price, Level)>| best.map(|(price, _)| scale.price(price));
    let quantity =
        |best: Option<(engine::Price, Level)>| best.map(|(_, level)| scale.quantity(Quantity(level.quantity)));
    let count = |best: Option<(engine::Price, Level)>| OrderCount(best.map_or(0, |(_, level)| level.order_count));
    messages::BestBidOffer {
        security_id: book.into(),
        transact_time: header.time.into(),
        journal_sequence: JournalSequence::present(header.id.sequence),
        conflated_from: None,
        bid_price: price(bid),
        bid_quantity: quantity(bid),
        offer_price: price(offer),
        offer_quantity: quantity(offer),
        bid_order_count: count(bid),
        offer_order_count: count(offer),
    }
}
