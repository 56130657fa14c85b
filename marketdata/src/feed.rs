//! Events in, packets out: encoded once, whoever reads them.
//!
//! A channel is one instrument at one level of detail, and has numbers of its own. So a subscriber gets what it asked
//! for and nothing else, the bytes are the same for all, and a missing number is always a loss.
//!
//! | level | increments |
//! |---|---|
//! | Trades | Trade, TradeCancel |
//! | BestBidOffer | Trade, TradeCancel, BestBidOffer, AuctionIndicative |
//! | MarketByPrice10, MarketByPrice50, MarketByPrice | Trade, TradeCancel, MarketByPrice, BestBidOffer, AuctionIndicative |
//! | MarketByOrder | Trade, TradeCancel, MarketByOrder, AuctionIndicative |
//! | Reference | MarketStatistics |
//!
//! Each carries SecurityDefinition, SecurityStatus and AuctionResult too. A command's trades come in their order; its
//! price levels or orders come at its end, each once, and then the best prices if they are others than before. Whenever
//! a channel that has a book has sent [`CHECKSUM_EVERY`] messages, a checksum follows at the end of the command. Numbers
//! begin with the feed: a venue that was started anew has a new feed.
//!
//! Packets are made of channels that somebody [hears](Feed::hear). Others stand still. One that is heard again leaves a
//! number out, so that nobody takes what comes for the next of what there was before: its book has changed meanwhile.

use std::collections::BTreeMap;

use engine::command::ListInstrument;
use engine::event::{IndicativeChanged, InstrumentListed, Trade, TradeBusted, Uncrossed};
use engine::instrument::{Phase, PhaseCause};
use engine::{Engine, Event, EventHeader, Indicative, InstrumentId, Quantity, Sequence, Timestamp};
use wire::market_data::{
    self as messages, AuctionIndicative, AuctionResult, BookChecksum, MarketByOrder, MarketByPrice, MarketStatistics,
    PriceLevelChange, SecurityDefinition, SecurityStatus,
};
use wire::message::Flat;
use wire::{
    AmountHigh, AmountLow, AssetId, ChannelId, EventIndex, FeedLevel, FeedSequence, JournalSequence, LevelCount,
    MessageCount, OrderCount, SecurityId, TradeId, UpdateAction,
};

use crate::books::{BestPrices, Books, Level, LevelChange, OrderAction, OrderChange};
use crate::channel::{BOOK_LEVELS, Channel, LEVELS, TAPE_LEVELS, channel_parts, position_of};
use crate::checksum;
use crate::packet::{Packet, append, append_grouped, entries_max};
use crate::scale::Scale;
use crate::statistics::Statistics;
use crate::window::Window;

/// After so many messages of a channel that has a book, its checksum follows.
pub const CHECKSUM_EVERY: u32 = 1_024;

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
    books: Books,
    pub(crate) instruments: BTreeMap<InstrumentId, Instrument>,
    /// The command whose events are coming.
    command: Option<EventHeader>,
    /// Channels with messages that are in no packet yet.
    touched: Vec<(InstrumentId, FeedLevel)>,
    listed: Vec<InstrumentId>,
    /// In which this command traded, or reversed a trade.
    traded: Vec<InstrumentId>,
    /// Whether every channel is heard, whoever listens.
    hears_all: bool,
    /// Kept, so that they need not be made for every command.
    room: Room,
}

#[derive(Debug, Default)]
struct Room {
    levels: Vec<LevelChange>,
    orders: Vec<OrderChange>,
    in_sight: Vec<LevelChange>,
    frame: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) definition: SecurityDefinition,
    pub(crate) scale: Scale,
    best: BestPrices,
    /// The last one, while there is an auction price.
    pub(crate) indicative: Option<AuctionIndicative>,
    /// Of the last event that the public saw.
    pub(crate) time: wire::Timestamp,
    statistics: Statistics,
    /// What was told of it last, or would have been.
    pub(crate) told: Option<MarketStatistics>,
    /// In the order of [`LEVELS`].
    channels: [Channel; LEVELS.len()],
    windows: [(FeedLevel, Window); 2],
}

impl Feed {
    /// A feed that goes on behind what `engine` has applied.
    pub fn of(engine: &Engine) -> Self {
        let mut feed = Self { books: Books::of(engine, engine.listings().map(|it| it.instrument)), ..Self::default() };
        for listing in engine.listings() {
            let phase = engine.phase(listing.instrument).expect("a listed instrument has a phase");
            feed.list(listing, phase, engine.last().time);
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
            // Everything else is private, or shows as price levels and orders at the command's end.
            _ => {}
        }
    }

    /// No more events of the last command come. Without effect if it has ended already.
    pub fn end_of_command(&mut self) {
        let Some(header) = self.command.take() else { return };
        let mut room = core::mem::take(&mut self.room);
        self.books.end_of_command(&mut room.levels, &mut room.orders);
        for orders in room.orders.chunk_by(|one, other| one.instrument == other.instrument) {
            self.orders(&header, orders);
        }
        for levels in room.levels.chunk_by(|one, other| one.instrument == other.instrument) {
            self.levels(&header, levels, &mut room.in_sight);
        }
        room.levels.clear();
        room.orders.clear();
        self.room = room;
        self.tell_statistics(&header);
        self.prove();
        for &(book, level) in &self.touched {
            if let Some(channel) = self.instruments.get_mut(&book).and_then(|it| it.channel_mut(level)) {
                channel.packer.end_of_command();
            }
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
        // What a command has sent so far is followed by a part that fills no packet yet.
        let has_ended = self.command.is_none();
        for &(book, level) in &self.touched {
            if let Some(channel) = self.instruments.get_mut(&book).and_then(|it| it.channel_mut(level)) {
                channel.packer.packets(now, &mut packets);
                channel.is_touched = !has_ended;
            }
        }
        if has_ended {
            self.touched.clear();
        }
        packets
    }

    /// Somebody takes a channel's packets from now on, until they [leave](Self::leave): before its snapshot is taken.
    /// `false`: there is no such channel.
    ///
    /// # Panics
    /// Within a command.
    pub fn hear(&mut self, channel_id: ChannelId) -> bool {
        assert!(self.is_between_commands(), "a channel that begins within a command");
        let Some((book, level)) = channel_parts(channel_id) else { return false };
        let Some(instrument) = self.instruments.get_mut(&book) else { return false };
        if let Some((_, window)) = instrument.windows.iter_mut().find(|(of, _)| *of == level) {
            window.look(&self.books, book);
        }
        let Some(channel) = instrument.channel_mut(level) else { return false };
        if channel.listeners == 0 {
            channel.packer.stood_still();
        }
        channel.listeners += 1;
        true
    }

    /// Whoever [heard](Self::hear) a channel does so no more.
    pub fn leave(&mut self, channel_id: ChannelId) {
        let Some((book, level)) = channel_parts(channel_id) else { return };
        if let Some(channel) = self.instruments.get_mut(&book).and_then(|it| it.channel_mut(level)) {
            channel.listeners = channel.listeners.saturating_sub(1);
        }
    }

    /// Every channel is heard, also those of instruments that will be listed.
    pub fn hear_all(&mut self) {
        self.hears_all = true;
        let books: Vec<InstrumentId> = self.instruments().collect();
        for channel_id in books.into_iter().flat_map(|book| LEVELS.map(|level| crate::channel_of(book, level))) {
            self.hear(channel_id.expect("a feed has all of its levels"));
        }
    }

    /// The instruments that were listed since the last call.
    pub fn take_listed(&mut self) -> Vec<InstrumentId> {
        core::mem::take(&mut self.listed)
    }

    /// The instruments of the feed.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> + '_ {
        self.instruments.keys().copied()
    }

    /// What they are, and which phase each is in.
    pub fn definitions(&self) -> impl Iterator<Item = SecurityDefinition> + '_ {
        self.instruments.values().map(|instrument| instrument.definition)
    }

    /// The books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    fn listing(&mut self, header: &EventHeader, listed: &InstrumentListed) {
        let book = listed.command.instrument;
        self.list(&listed.command, listed.command.phase, header.time);
        let definition = self.instruments[&book].definition;
        self.message(book, &LEVELS, &definition);
    }

    fn list(&mut self, listing: &ListInstrument, phase: Phase, time: Timestamp) {
        let book = listing.instrument;
        // Listed again: its channels go on.
        let listeners = u32::from(self.hears_all);
        let former = self.instruments.remove(&book);
        let channels = former.map_or_else(|| Channel::all_of(book, listeners), |former| former.channels);
        let instrument = Instrument {
            definition: definition(listing, phase),
            scale: Scale::of(listing),
            best: self.books.best(book),
            indicative: None,
            time: time.into(),
            statistics: Statistics::new(time),
            told: None,
            channels,
            windows: [(FeedLevel::MarketByPrice10, Window::new(10)), (FeedLevel::MarketByPrice50, Window::new(50))],
        };
        self.instruments.insert(book, instrument);
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
        self.traded.push(book);
        instrument.statistics.trade(header.time, trade.price, trade.quantity, trade.trade_id);
        let trade = messages::Trade {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            trade_id: TradeId::from(trade.trade_id),
            price: instrument.scale.price(trade.price),
            quantity: instrument.scale.quantity(trade.quantity),
            event_index: EventIndex(header.id.index),
            aggressor: trade.aggressor.map(Into::into),
            maker_order_id: wire::OrderId::present(trade.maker.order_id),
            taker_order_id: wire::OrderId::present(trade.taker.order_id),
        };
        self.message(book, &TAPE_LEVELS, &trade);
    }

    fn bust(&mut self, header: &EventHeader, busted: &TradeBusted) {
        let book = busted.instrument;
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        instrument.time = header.time.into();
        self.traded.push(book);
        instrument.statistics.bust(header.time, busted.price, busted.quantity, busted.trade_id);
        let cancel = messages::TradeCancel {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            trade_id: TradeId::from(busted.trade_id),
            price: instrument.scale.price(busted.price),
            quantity: instrument.scale.quantity(busted.quantity),
            event_index: EventIndex(header.id.index),
        };
        self.message(book, &TAPE_LEVELS, &cancel);
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

    /// One instrument's orders that a command changed.
    fn orders(&mut self, header: &EventHeader, changes: &[OrderChange]) {
        let Some(&OrderChange { instrument: book, .. }) = changes.first() else { return };
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        instrument.time = header.time.into();
        if !instrument.is_heard(FeedLevel::MarketByOrder) {
            return;
        }
        let scale = instrument.scale;
        let message = MarketByOrder {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
        };
        let entries: Vec<messages::OrderChange> = changes.iter().map(|change| order_change(scale, change)).collect();
        for part in entries.chunks(entries_max::<MarketByOrder>()) {
            self.grouped(book, FeedLevel::MarketByOrder, &message, part);
        }
    }

    /// One instrument's levels that a command changed.
    fn levels(&mut self, header: &EventHeader, changes: &[LevelChange], in_sight: &mut Vec<LevelChange>) {
        let Some(&LevelChange { instrument: book, .. }) = changes.first() else { return };
        let best = self.books.best(book);
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        let scale = instrument.scale;
        instrument.time = header.time.into();
        let best_before = core::mem::replace(&mut instrument.best, best);
        self.level_changes(header, book, FeedLevel::MarketByPrice, changes);
        for index in 0..2 {
            let Some(instrument) = self.instruments.get_mut(&book) else { return };
            let level = instrument.windows[index].0;
            if instrument.is_heard(level) {
                in_sight.clear();
                instrument.windows[index].1.changes(&self.books, book, changes, in_sight);
                self.level_changes(header, book, level, in_sight);
            }
        }
        if best != best_before {
            let message = best_bid_offer(header, book, scale, best);
            let levels = &BOOK_LEVELS[..BOOK_LEVELS.len() - 1];
            self.message(book, levels, &message);
        }
    }

    fn level_changes(&mut self, header: &EventHeader, book: InstrumentId, level: FeedLevel, changes: &[LevelChange]) {
        let Some(instrument) = self.instruments.get(&book).filter(|it| it.is_heard(level)) else { return };
        let scale = instrument.scale;
        let message = MarketByPrice {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            conflated_from: None,
        };
        let entries: Vec<PriceLevelChange> = changes.iter().map(|change| level_change(scale, change)).collect();
        for part in entries.chunks(entries_max::<MarketByPrice>()) {
            self.grouped(book, level, &message, part);
        }
    }

    /// The statistics of the instruments in which the command traded.
    fn tell_statistics(&mut self, header: &EventHeader) {
        let mut traded = core::mem::take(&mut self.traded);
        traded.dedup();
        for book in traded.drain(..) {
            let Some(instrument) = self.instruments.get_mut(&book) else { continue };
            let statistics = instrument.tell(book, header);
            self.message(book, &[FeedLevel::Reference], &statistics);
        }
        self.traded = traded;
    }

    /// Checksums of the channels that have sent enough since their last.
    fn prove(&mut self) {
        for index in 0..self.touched.len() {
            let (book, level) = self.touched[index];
            let Some(depth) = checksum::depth(level) else { continue };
            let Some(instrument) = self.instruments.get_mut(&book) else { continue };
            let scale = instrument.scale;
            let Some(channel) = instrument.channel_mut(level).filter(|it| it.unproven >= CHECKSUM_EVERY) else {
                continue;
            };
            channel.unproven = 0;
            let last_sequence = FeedSequence(channel.packer.next_of_command().0 - 1);
            let proof = self.checksum(book, scale, level, depth, last_sequence);
            self.message(book, &[level], &proof);
        }
    }

    /// The book's checksum as it is at a level.
    pub(crate) fn checksum(
        &self,
        book: InstrumentId,
        scale: Scale,
        level: FeedLevel,
        depth: usize,
        last_sequence: FeedSequence,
    ) -> BookChecksum {
        let mut text = checksum::CanonicalText::default();
        for side in engine::Side::BOTH {
            if level == FeedLevel::MarketByOrder {
                let levels = self.books.orders(book, side).take(depth);
                let orders = levels.flat_map(|(price, orders)| orders.map(move |order| (price, order)));
                for (price, order) in orders.take(checksum::ORDERS_MAX) {
                    text.order(side.into(), order.order_id.into(), scale.price(price), scale.quantity(order.shown));
                }
            } else {
                for (price, Level { quantity, order_count }) in self.books.levels(book, side).take(depth) {
                    let (price, quantity) = (scale.price(price), scale.quantity(Quantity(quantity)));
                    text.level(side.into(), price, quantity, OrderCount(order_count));
                }
            }
        }
        let (checksum, depth) = (text.checksum(), LevelCount(depth as u32));
        BookChecksum { security_id: book.into(), last_sequence, checksum, depth, level }
    }

    fn message<M: Flat>(&mut self, book: InstrumentId, levels: &[FeedLevel], message: &M) {
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        if !levels.iter().any(|&level| instrument.is_heard(level)) {
            return;
        }
        self.room.frame.clear();
        append(&mut self.room.frame, message);
        for &level in levels {
            instrument.send(book, level, &self.room.frame, &mut self.touched);
        }
    }

    fn grouped<M: wire::message::Grouped>(
        &mut self,
        book: InstrumentId,
        level: FeedLevel,
        message: &M,
        entries: &[M::Entry],
    ) {
        let Some(instrument) = self.instruments.get_mut(&book) else { return };
        self.room.frame.clear();
        append_grouped(&mut self.room.frame, message, entries);
        instrument.send(book, level, &self.room.frame, &mut self.touched);
    }
}

impl Instrument {
    fn channel_mut(&mut self, level: FeedLevel) -> Option<&mut Channel> {
        self.channels.get_mut(position_of(level)?)
    }

    pub(crate) fn channel(&self, level: FeedLevel) -> Option<&Channel> {
        self.channels.get(position_of(level)?)
    }

    fn is_heard(&self, level: FeedLevel) -> bool {
        self.channel(level).is_some_and(|channel| channel.listeners > 0)
    }

    fn send(
        &mut self,
        book: InstrumentId,
        level: FeedLevel,
        frame: &[u8],
        touched: &mut Vec<(InstrumentId, FeedLevel)>,
    ) {
        let Some(channel) = self.channel_mut(level).filter(|channel| channel.listeners > 0) else { return };
        channel.packer.message(frame);
        channel.unproven += 1;
        if !channel.is_touched {
            channel.is_touched = true;
            touched.push((book, level));
        }
    }

    /// What is to be told of the statistics.
    fn tell(&mut self, book: InstrumentId, header: &EventHeader) -> MarketStatistics {
        let Statistics { since, prices, volume, notional, trade_count } = self.statistics;
        let scale = self.scale;
        let price = |price: Option<engine::Price>| price.map(|price| scale.price(price));
        let notional = scale.notional(notional);
        let statistics = MarketStatistics {
            security_id: book.into(),
            transact_time: header.time.into(),
            journal_sequence: JournalSequence::present(header.id.sequence),
            since: since.into(),
            first_price: price(prices.map(|it| it.first)),
            high_price: price(prices.map(|it| it.high)),
            low_price: price(prices.map(|it| it.low)),
            last_price: price(prices.map(|it| it.last)),
            last_quantity: prices.map(|it| scale.quantity(it.last_quantity)),
            volume: scale.volume(volume),
            notional_high: AmountHigh((notional >> 64) as u64),
            notional_low: AmountLow(notional as u64),
            trade_count: MessageCount(trade_count),
            trade_id: prices.map(|it| TradeId::from(it.last_trade)),
        };
        self.told = Some(statistics);
        statistics
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
        ..wire::Block::BLANK
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

fn order_change(scale: Scale, change: &OrderChange) -> messages::OrderChange {
    messages::OrderChange {
        order_id: change.order_id.into(),
        price: scale.price(change.price),
        quantity: scale.quantity(change.shown),
        side: change.side.into(),
        action: match change.action {
            OrderAction::New => UpdateAction::New,
            OrderAction::Change => UpdateAction::Change,
            OrderAction::Delete => UpdateAction::Delete,
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
