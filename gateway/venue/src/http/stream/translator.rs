//! The feed's packets as JSON, once for all who read them.
//!
//! ```text
//!   packet of the feed, several messages ──► translator ──► packet, one message   level2   17
//!                                                      └──► packet, one message   level2   18
//! ```
//!
//! Channels have numbers of their own, one for each message, so that a message has one number and a missing number is
//! always a loss. A channel that nobody takes stands still: nothing is translated.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::InstrumentId;
use marketdata::packet::{Frames, open};
use marketdata::{Packet, Snapshot, channel_parts};
use serde::Serialize;
use wire::market_data::{
    AuctionIndicative, BestBidOffer, BookChecksum, MarketDataMessage, MarketStatistics, OrderChange, PriceLevel,
    PriceLevelChange, RestingOrder, SecurityDefinition, SecurityStatus, Trade,
};
use wire::{
    ChannelId, FeedLevel, FeedSequence, OrderId, PacketFlags, PhaseCause, Price, Quantity, Side, Timestamp, TradeId,
    UpdateAction,
};

use super::channel::{Stream, parts};
use super::message::{
    Auction, BookSnapshot, Changed, Day, Decimal, Done, Hash, Heartbeat, LevelEntry, LevelUpdate, Match, Numbered,
    Open, Proof, Status, Text, Ticker, Time, opposite, side, text,
};

/// What every product has come to, and the numbers of its channels.
#[derive(Debug, Default)]
pub(super) struct Translator {
    products: BTreeMap<InstrumentId, Product>,
    names: BTreeMap<String, InstrumentId>,
    /// The last snapshot: who asks for the same at the same moment gets the same.
    last: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    channel_id: ChannelId,
    of: Bytes,
    snapshot: Snapshot,
}

/// Where messages go: who takes which channel, and those that were made.
pub(super) struct Sink<'a> {
    pub(super) is_taken: &'a dyn Fn(ChannelId) -> bool,
    pub(super) sent_at: Timestamp,
    pub(super) packets: &'a mut Vec<Packet>,
}

#[derive(Debug)]
struct Product {
    id: InstrumentId,
    name: String,
    definition: SecurityDefinition,
    /// Of the last event that is known here.
    time: Timestamp,
    cause: Option<PhaseCause>,
    best: Best,
    statistics: Option<MarketStatistics>,
    /// The incoming side of the last trade that is known here.
    taker: Option<(TradeId, Option<Side>)>,
    indicative: Option<AuctionIndicative>,
    /// Each channel's next number.
    next: [FeedSequence; Stream::ALL.len()],
    has_new_ticker: bool,
    batch: Batch,
}

/// The best level of each side.
#[derive(Debug, Clone, Copy, Default)]
struct Best {
    bid: Option<(Price, Quantity)>,
    ask: Option<(Price, Quantity)>,
}

/// The latest of each level that changed since it was told.
#[derive(Debug, Default)]
struct Batch {
    changes: BTreeMap<(u8, Price), PriceLevelChange>,
    checksum: Option<BookChecksum>,
    time: Timestamp,
    /// Whether it ends within a command.
    continues: bool,
}

impl Translator {
    /// Takes in what the instruments are.
    pub(super) fn list(&mut self, definitions: Vec<SecurityDefinition>) {
        for definition in definitions {
            let Ok(id) = InstrumentId::try_from(definition.security_id) else { continue };
            let name = definition.symbol.as_str().unwrap_or_default().to_owned();
            let product = self.products.entry(id).or_insert_with(|| Product::new(id, definition));
            self.names.remove(&product.name);
            self.names.insert(name.clone(), id);
            (product.name, product.definition) = (name, definition);
        }
    }

    /// The product of a name.
    pub(super) fn named(&self, name: &str) -> Option<InstrumentId> {
        self.names.get(name).copied()
    }

    /// The name of a product.
    pub(super) fn name(&self, product: InstrumentId) -> &str {
        self.products.get(&product).map_or("", |product| &product.name)
    }

    /// Translates a packet of the feed, for the channels that somebody takes.
    pub(super) fn packet(&mut self, packet: &Packet, sink: &mut Sink<'_>) {
        let Some((id, level)) = channel_parts(packet.channel_id) else { return };
        let Some(product) = self.products.get_mut(&id) else { return };
        let (_, frames) = open(&packet.bytes).expect("the feed's own packet");
        for message in frames {
            product.message(level, message.expect("the feed's own message"), sink);
        }
        if level == FeedLevel::MarketByPrice {
            product.batch.continues = packet.continues();
        }
    }

    /// Tells the tickers of products of which there is something new.
    pub(super) fn tickers(&mut self, sink: &mut Sink<'_>) {
        for product in self.products.values_mut().filter(|product| product.has_new_ticker) {
            product.has_new_ticker = false;
            product.say(Stream::Ticker, "ticker", product.time, |product| product.ticker(), sink);
        }
    }

    /// Nobody takes a channel any more: what waits of it is old when somebody does again.
    pub(super) fn unheard(&mut self, product: InstrumentId, stream: Stream) {
        if stream == Stream::Level2Batch
            && let Some(product) = self.products.get_mut(&product)
        {
            product.batch = Batch::default();
        }
    }

    /// Whether levels wait for the next batch.
    pub(super) fn has_batches(&self) -> bool {
        self.products.values().any(|product| !product.batch.changes.is_empty())
    }

    /// Tells the batches of levels; those that end within a command wait.
    pub(super) fn batches(&mut self, sink: &mut Sink<'_>) {
        for product in self.products.values_mut().filter(|product| !product.batch.continues) {
            let Batch { changes, checksum, time, .. } = core::mem::take(&mut product.batch);
            if changes.is_empty() {
                continue;
            }
            let changes: Vec<PriceLevelChange> = changes.into_values().collect();
            product.levels(Stream::Level2Batch, time, &changes, sink);
            if let Some(checksum) = checksum {
                product.proof(Stream::Level2Batch, checksum, sink);
            }
        }
    }

    /// Tells everybody's heartbeats.
    pub(super) fn heartbeats(&mut self, sink: &mut Sink<'_>) {
        let now = sink.sent_at;
        for product in self.products.values_mut() {
            product.say(Stream::Heartbeat, "heartbeat", now, |product| product.heartbeat(), sink);
        }
    }

    /// Packets of the feed were lost: every channel misses something, of which only that it is one message or more is
    /// known.
    pub(super) fn lost(&mut self) {
        for product in self.products.values_mut() {
            product.batch = Batch::default();
            product.next.iter_mut().for_each(|next| next.0 += 1);
        }
    }

    /// Takes in what a snapshot of the feed says of a product at a level.
    pub(super) fn learn(&mut self, product: InstrumentId, level: FeedLevel, snapshot: &Snapshot) {
        if let Some(product) = self.products.get_mut(&product) {
            product.learn(level, snapshot);
        }
    }

    /// What a channel begins with; `book` is the feed's snapshot, of a channel that has a book.
    pub(super) fn snapshot(&mut self, channel_id: ChannelId, book: Option<&Snapshot>) -> Option<Snapshot> {
        let (id, stream) = parts(channel_id)?;
        let product = self.products.get(&id)?;
        let Some(book) = book else { return Some(product.beginning(stream)) };
        let next = product.next[stream as usize];
        let is_same = |last: &&Shared| {
            let of = (last.of.as_ptr(), last.of.len(), last.channel_id, last.snapshot.next_sequence);
            of == (book.body.as_ptr(), book.body.len(), channel_id, next)
        };
        if let Some(last) = self.last.as_ref().filter(is_same) {
            return Some(last.snapshot.clone());
        }
        let snapshot = product.book(stream, book);
        self.last = Some(Shared { channel_id, of: book.body.clone(), snapshot: snapshot.clone() });
        Some(snapshot)
    }

    /// Nobody asks for the last snapshot at the same moment any more.
    pub(super) fn forget_snapshot(&mut self) {
        self.last = None;
    }
}

impl Product {
    fn new(id: InstrumentId, definition: SecurityDefinition) -> Self {
        Self {
            id,
            name: String::new(),
            definition,
            time: Timestamp(0),
            cause: None,
            best: Best::default(),
            statistics: None,
            taker: None,
            indicative: None,
            next: [FeedSequence(1); Stream::ALL.len()],
            has_new_ticker: false,
            batch: Batch::default(),
        }
    }

    fn message(&mut self, level: FeedLevel, message: MarketDataMessage<'_>, sink: &mut Sink<'_>) {
        match (level, message) {
            (FeedLevel::Trades, MarketDataMessage::Trade(trade)) => self.trade(Stream::Matches, &trade, sink),
            (FeedLevel::MarketByOrder, MarketDataMessage::Trade(trade)) => self.trade(Stream::Full, &trade, sink),
            (FeedLevel::Trades, MarketDataMessage::TradeCancel(cancel)) => {
                let found = self.cancelled(cancel.trade_id, cancel.price, cancel.quantity);
                self.say(Stream::Matches, "match_cancel", cancel.transact_time, |_| found, sink);
            }
            (FeedLevel::MarketByOrder, MarketDataMessage::TradeCancel(cancel)) => {
                let found = self.cancelled(cancel.trade_id, cancel.price, cancel.quantity);
                self.say(Stream::Full, "match_cancel", cancel.transact_time, |_| found, sink);
            }
            (FeedLevel::BestBidOffer, MarketDataMessage::Trade(trade)) => {
                self.taker = Some((trade.trade_id, trade.aggressor));
                self.renew(trade.transact_time);
            }
            (FeedLevel::BestBidOffer, MarketDataMessage::BestBidOffer(best)) => {
                self.best = Best::from(&best);
                self.renew(best.transact_time);
            }
            (FeedLevel::BestBidOffer, MarketDataMessage::AuctionIndicative(indicative)) => {
                self.indicative = indicative.price.map(|_| indicative);
                let found = self.indicative(&indicative);
                self.say(Stream::Auction, "auction", indicative.transact_time, |_| found, sink);
            }
            (FeedLevel::BestBidOffer, MarketDataMessage::AuctionResult(result)) => {
                self.indicative = None;
                let found = Auction {
                    auction_state: "result",
                    price: result.price.map(|price| self.price(price)),
                    size: self.size(result.quantity),
                    surplus: self.size(result.surplus),
                    surplus_side: result.surplus_side.map(side),
                };
                self.say(Stream::Auction, "auction", result.transact_time, |_| found, sink);
            }
            (FeedLevel::BestBidOffer, MarketDataMessage::SecurityStatus(status))
                if status.cause == Some(PhaseCause::Listing) =>
            {
                self.indicative = None;
            }
            (FeedLevel::MarketByPrice, MarketDataMessage::MarketByPrice(message, changes)) => {
                let changes: Vec<_> = changes.map(|change| change.expect("the feed's own entry")).collect();
                self.levels(Stream::Level2, message.transact_time, &changes, sink);
                if (sink.is_taken)(Stream::Level2Batch.of(self.id)) {
                    self.batch.take(message.transact_time, &changes);
                }
            }
            (FeedLevel::MarketByPrice, MarketDataMessage::BookChecksum(checksum)) => {
                self.proof(Stream::Level2, checksum, sink);
                self.batch.checksum = Some(checksum);
            }
            (FeedLevel::MarketByOrder, MarketDataMessage::MarketByOrder(message, changes)) => {
                self.time = message.transact_time;
                for change in changes {
                    self.order(message.transact_time, &change.expect("the feed's own entry"), sink);
                }
            }
            (FeedLevel::MarketByOrder, MarketDataMessage::BookChecksum(checksum)) => {
                self.proof(Stream::Full, checksum, sink);
            }
            (FeedLevel::Reference, MarketDataMessage::SecurityDefinition(definition)) => {
                self.definition = definition;
                self.cause = Some(PhaseCause::Listing);
                self.say(Stream::Status, "status", self.time, |product| product.status(), sink);
            }
            (
                FeedLevel::Reference,
                MarketDataMessage::SecurityStatus(SecurityStatus { transact_time, phase, cause, .. }),
            ) => {
                self.definition.phase = phase;
                self.cause = cause;
                self.renew(transact_time);
                self.say(Stream::Status, "status", transact_time, |product| product.status(), sink);
            }
            (FeedLevel::Reference, MarketDataMessage::MarketStatistics(statistics)) => {
                self.statistics = Some(statistics);
                self.renew(statistics.transact_time);
            }
            // The same is told on several channels of the feed; each kind is translated from one of them.
            _ => {}
        }
    }

    fn renew(&mut self, time: Timestamp) {
        self.time = time;
        self.has_new_ticker = true;
    }

    /// Adds a message to one of the product's channels, if somebody takes it.
    fn say<B: Serialize>(
        &mut self,
        stream: Stream,
        kind: &'static str,
        time: Timestamp,
        body: impl FnOnce(&Self) -> B,
        sink: &mut Sink<'_>,
    ) {
        let channel_id = stream.of(self.id);
        if !(sink.is_taken)(channel_id) {
            return;
        }
        let first_sequence = self.next[stream as usize];
        let bytes = self.text(stream, kind, first_sequence, time, body(self));
        let next_sequence = FeedSequence(first_sequence.0 + 1);
        self.next[stream as usize] = next_sequence;
        let (flags, sent_at) = (PacketFlags::NONE, sink.sent_at);
        sink.packets.push(Packet { channel_id, first_sequence, next_sequence, flags, sent_at, bytes });
    }

    fn text<B: Serialize>(
        &self,
        channel: Stream,
        kind: &'static str,
        sequence: FeedSequence,
        time: Timestamp,
        body: B,
    ) -> Bytes {
        text(&Numbered { kind, channel, product_id: &self.name, sequence: sequence.0, time: Time(time), body })
    }

    fn trade(&mut self, stream: Stream, trade: &Trade, sink: &mut Sink<'_>) {
        let found = Match {
            trade_id: trade.trade_id.0,
            maker_order_id: trade.maker_order_id.map(Text),
            taker_order_id: trade.taker_order_id.map(Text),
            side: trade.aggressor.map(opposite),
            size: self.size(trade.quantity),
            price: self.price(trade.price),
        };
        self.say(stream, "match", trade.transact_time, |_| found, sink);
    }

    fn cancelled(&self, trade_id: TradeId, price: Price, quantity: Quantity) -> Match {
        Match {
            trade_id: trade_id.0,
            maker_order_id: None,
            taker_order_id: None,
            side: None,
            size: self.size(quantity),
            price: self.price(price),
        }
    }

    fn levels(&mut self, stream: Stream, time: Timestamp, changes: &[PriceLevelChange], sink: &mut Sink<'_>) {
        self.time = time;
        let update = |product: &Self| LevelUpdate { changes: changes.iter().map(|it| product.level(it)).collect() };
        self.say(stream, "l2update", time, update, sink);
    }

    fn level(&self, change: &PriceLevelChange) -> LevelEntry {
        (side(change.side), self.price(change.price), self.size(change.quantity), change.order_count.0)
    }

    fn order(&mut self, time: Timestamp, change: &OrderChange, sink: &mut Sink<'_>) {
        let (order_id, side, price, size) =
            (Text(change.order_id), side(change.side), self.price(change.price), self.size(change.quantity));
        match change.action {
            UpdateAction::New => {
                let open = Open { order_id, side, price, remaining_size: size };
                self.say(Stream::Full, "open", time, |_| open, sink);
            }
            UpdateAction::Change => {
                self.say(Stream::Full, "change", time, |_| Changed { order_id, side, price, new_size: size }, sink);
            }
            UpdateAction::Delete => self.say(Stream::Full, "done", time, |_| Done { order_id, side, price }, sink),
            UpdateAction::NonRepresentable => unreachable!("the feed's own entry"),
        }
    }

    fn proof(&mut self, stream: Stream, checksum: BookChecksum, sink: &mut Sink<'_>) {
        self.say(stream, "checksum", self.time, |_| Proof { checksum: Hash(checksum.checksum) }, sink);
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat { last_trade_id: self.statistics.and_then(|it| it.trade_id).map(|it| it.0) }
    }

    fn status(&self) -> Status {
        Status {
            status: format!("{:?}", self.definition.phase),
            cause: self.cause.map(|cause| format!("{cause:?}")),
            quote_increment: self.price(self.definition.tick),
            base_increment: self.size(self.definition.lot),
        }
    }

    fn ticker(&self) -> Ticker {
        let Self { best, statistics, .. } = self;
        let trade_id = statistics.and_then(|it| it.trade_id);
        let taker = self.taker.filter(|&(trade, _)| Some(trade) == trade_id).and_then(|(_, taker)| taker);
        Ticker {
            trade_id: trade_id.map(|it| it.0),
            price: statistics.and_then(|it| it.last_price).map(|it| self.price(it)),
            last_size: statistics.and_then(|it| it.last_quantity).map(|it| self.size(it)),
            side: taker.map(side),
            best_bid: best.bid.map(|(price, _)| self.price(price)),
            best_bid_size: best.bid.map(|(_, size)| self.size(size)),
            best_ask: best.ask.map(|(price, _)| self.price(price)),
            best_ask_size: best.ask.map(|(_, size)| self.size(size)),
            status: format!("{:?}", self.definition.phase),
            day: statistics.map(|it| self.day(&it)),
        }
    }

    fn day(&self, statistics: &MarketStatistics) -> Day {
        let price = |price: Option<Price>| price.map(|price| self.price(price));
        Day {
            since: Time(statistics.since),
            open: price(statistics.first_price),
            high: price(statistics.high_price),
            low: price(statistics.low_price),
            volume: self.size(statistics.volume),
            trades: statistics.trade_count.0,
        }
    }

    fn indicative(&self, indicative: &AuctionIndicative) -> Auction {
        Auction {
            auction_state: "indicative",
            price: indicative.price.map(|price| self.price(price)),
            size: self.size(indicative.quantity),
            surplus: self.size(indicative.surplus),
            surplus_side: indicative.surplus_side.map(side),
        }
    }

    fn learn(&mut self, level: FeedLevel, snapshot: &Snapshot) {
        let (mut best, mut indicative) = (Best::default(), None);
        for message in messages(snapshot) {
            match message {
                MarketDataMessage::SecurityDefinition(definition) => self.definition = definition,
                MarketDataMessage::SnapshotBegin(begin) => self.time = begin.transact_time,
                MarketDataMessage::MarketStatistics(statistics) => self.statistics = Some(statistics),
                MarketDataMessage::AuctionIndicative(found) => indicative = Some(found),
                MarketDataMessage::SnapshotLevels(_, levels) if level == FeedLevel::BestBidOffer => {
                    for level in levels {
                        let level = level.expect("the feed's own entry");
                        *best.of(level.side) = Some((level.price, level.quantity));
                    }
                }
                // Books are translated where they are asked for.
                _ => {}
            }
        }
        if level == FeedLevel::BestBidOffer {
            (self.best, self.indicative) = (best, indicative);
        }
    }

    /// What a channel without a book begins with: where it stands, under the number of its last message.
    fn beginning(&self, stream: Stream) -> Snapshot {
        let next_sequence = self.next[stream as usize];
        let last = FeedSequence(next_sequence.0 - 1);
        let body = match stream {
            Stream::Heartbeat => Some(self.text(stream, "heartbeat", last, self.time, self.heartbeat())),
            Stream::Status => Some(self.text(stream, "status", last, self.time, self.status())),
            Stream::Ticker => Some(self.text(stream, "ticker", last, self.time, self.ticker())),
            Stream::Matches => self.last_match().map(|(time, it)| self.text(stream, "last_match", last, time, it)),
            Stream::Auction => {
                self.indicative.map(|it| self.text(stream, "auction", last, it.transact_time, self.indicative(&it)))
            }
            Stream::Level2 | Stream::Level2Batch | Stream::Full => None,
        };
        let (channel_id, head, body) = (stream.of(self.id), Bytes::new(), body.unwrap_or_default());
        Snapshot { channel_id, next_sequence, head, body }
    }

    fn last_match(&self) -> Option<(Timestamp, Match)> {
        let statistics = self.statistics?;
        let found = self.cancelled(statistics.trade_id?, statistics.last_price?, statistics.last_quantity?);
        Some((statistics.transact_time, found))
    }

    fn book(&self, stream: Stream, book: &Snapshot) -> Snapshot {
        let next_sequence = self.next[stream as usize];
        let last = FeedSequence(next_sequence.0 - 1);
        let body = if stream == Stream::Full {
            self.text(stream, "snapshot", last, self.time, self.orders(book))
        } else {
            self.text(stream, "snapshot", last, self.time, self.all_levels(book))
        };
        Snapshot { channel_id: stream.of(self.id), next_sequence, head: Bytes::new(), body }
    }

    fn orders(&self, book: &Snapshot) -> BookSnapshot<Text<OrderId>> {
        let mut whole = BookSnapshot::default();
        for message in messages(book) {
            match message {
                MarketDataMessage::SnapshotOrders(_, orders) => {
                    for order in orders {
                        let RestingOrder { order_id, price, quantity, side } = order.expect("the feed's own entry");
                        whole.add(side, (self.price(price), self.size(quantity), Text(order_id)));
                    }
                }
                MarketDataMessage::BookChecksum(found) => whole.checksum = Some(Hash(found.checksum)),
                _ => {}
            }
        }
        whole
    }

    fn all_levels(&self, book: &Snapshot) -> BookSnapshot<u32> {
        let mut whole = BookSnapshot::default();
        for message in messages(book) {
            match message {
                MarketDataMessage::SnapshotLevels(_, levels) => {
                    for level in levels {
                        let PriceLevel { price, quantity, order_count, side } = level.expect("the feed's own entry");
                        whole.add(side, (self.price(price), self.size(quantity), order_count.0));
                    }
                }
                MarketDataMessage::BookChecksum(found) => whole.checksum = Some(Hash(found.checksum)),
                _ => {}
            }
        }
        whole
    }

    fn price(&self, price: Price) -> Decimal {
        Decimal(price.0, self.definition.price_exponent)
    }

    fn size(&self, quantity: Quantity) -> Decimal {
        Decimal(quantity.0, self.definition.quantity_exponent)
    }
}

fn messages(snapshot: &Snapshot) -> impl Iterator<Item = MarketDataMessage<'_>> {
    let frames = Frames::of(&snapshot.head).chain(Frames::of(&snapshot.body));
    frames.map(|message| message.expect("the feed's own message"))
}

impl Best {
    fn of(&mut self, side: Side) -> &mut Option<(Price, Quantity)> {
        if side == Side::Buy { &mut self.bid } else { &mut self.ask }
    }
}

impl From<&BestBidOffer> for Best {
    fn from(best: &BestBidOffer) -> Self {
        Self { bid: best.bid_price.zip(best.bid_quantity), ask: best.offer_price.zip(best.offer_quantity) }
    }
}

impl Batch {
    fn take(&mut self, time: Timestamp, changes: &[PriceLevelChange]) {
        self.time = time;
        self.checksum = None;
        self.changes.extend(changes.iter().map(|&change| ((change.side as u8, change.price), change)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Block, SecurityId, Symbol16};

    #[test]
    fn who_misses_something_within_the_venue_misses_a_number() {
        let symbol = Symbol16::new("ONE");
        let definition = SecurityDefinition { security_id: SecurityId(1), symbol, ..SecurityDefinition::BLANK };
        let mut translator = Translator::default();
        translator.list(vec![definition]);
        let channel_id = Stream::Status.of(translator.named("ONE").unwrap());
        let next = |translator: &mut Translator| translator.snapshot(channel_id, None).unwrap().next_sequence;
        assert_eq!(next(&mut translator), FeedSequence(1));
        translator.lost();
        assert_eq!(next(&mut translator), FeedSequence(2));
    }

    #[test]
    fn a_product_with_another_name_has_the_former_no_more() {
        let named = |name| {
            let symbol = Symbol16::new(name);
            SecurityDefinition { security_id: SecurityId(1), symbol, ..SecurityDefinition::BLANK }
        };
        let mut translator = Translator::default();
        translator.list(vec![named("ONE")]);
        translator.list(vec![named("UNO")]);
        assert_eq!((translator.named("ONE"), translator.named("UNO")), (None, Some(InstrumentId(1))));
        assert_eq!(translator.name(InstrumentId(1)), "UNO");
    }
}
