//! Sees everything, and knows what each book was at each number.

use std::collections::BTreeMap;

use engine::{Engine, Event, InstrumentId, LevelSummary, RestingOrder, Side};
use marketdata::{LEVELS, Output, Seat, SubscriberId, Want, channel_parts, packet};
use wire::market_data::MarketDataMessage;
use wire::{ChannelId, FeedLevel, FeedSequence, TradeId};

/// A line of a book: side, order or count of orders, price, quantity.
pub(super) type Line = (Side, u64, i64, i64);

#[derive(Debug, Default)]
pub(super) struct Witness {
    /// The last message of each channel.
    last: BTreeMap<ChannelId, FeedSequence>,
    states: BTreeMap<(ChannelId, FeedSequence), Vec<Line>>,
    trades: BTreeMap<InstrumentId, Vec<TradeId>>,
    /// Trades that stand, and their lots.
    traded: BTreeMap<InstrumentId, BTreeMap<engine::TradeId, u64>>,
}

impl Witness {
    /// From now on it sees the instruments that are there already.
    pub(super) fn begin(&mut self, seat: &Seat) {
        for book in seat.instruments() {
            Self::want_all(book, seat);
        }
    }

    fn want_all(book: InstrumentId, seat: &Seat) {
        let want = |level| Want { subscriber: SubscriberId(0), book, level, request_id: None };
        seat.want(LEVELS.map(want));
    }

    /// Counts what traded.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Trade(trade) => {
                self.traded.entry(trade.instrument).or_default().insert(trade.trade_id, trade.quantity.0);
            }
            // One of before it began was never counted.
            Event::TradeBusted(busted) => {
                self.traded.entry(busted.instrument).or_default().remove(&busted.trade_id);
            }
            _ => {}
        }
    }

    /// Trades that stand, and their lots.
    pub(super) fn traded(&self, book: InstrumentId) -> (u64, u64) {
        self.traded.get(&book).map_or((0, 0), |trades| (trades.len() as u64, trades.values().sum()))
    }

    /// Takes what lies at its seat. All events of `engine` have been put out.
    pub(super) fn take(&mut self, seat: &Seat, engine: &Engine) {
        let mut changed = Vec::new();
        loop {
            let outputs = seat.take();
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                changed.extend(self.output(output, seat));
            }
        }
        for channel_id in changed {
            let last = self.last[&channel_id];
            let (book, level) = channel_parts(channel_id).expect("a channel of the feed");
            self.states.insert((channel_id, last), state(engine, book, level));
        }
    }

    fn output(&mut self, output: Output, seat: &Seat) -> Option<ChannelId> {
        match output {
            Output::Listed(book) => {
                Self::want_all(book, seat);
                None
            }
            Output::Answer(_, snapshot) => {
                let snapshot = snapshot.expect("the book of an instrument that was listed");
                self.last.insert(snapshot.channel_id, FeedSequence(snapshot.next_sequence.0 - 1));
                Some(snapshot.channel_id)
            }
            Output::Packet(packet) => {
                let (book, level) = channel_parts(packet.channel_id).expect("a channel of the feed");
                if level == FeedLevel::Trades {
                    let (_, frames) = packet::open(&packet.bytes).expect("a packet");
                    let trade = |message| match message {
                        Ok(MarketDataMessage::Trade(trade)) => Some(trade.trade_id),
                        _ => None,
                    };
                    self.trades.entry(book).or_default().extend(frames.filter_map(trade));
                }
                self.last.insert(packet.channel_id, FeedSequence(packet.next_sequence.0 - 1));
                Some(packet.channel_id)
            }
            Output::Rights => None,
            Output::Lost | Output::Void => panic!("the witness keeps up"),
        }
    }

    /// What the book was behind this message, if commands ended there.
    pub(super) fn state(&self, channel_id: ChannelId, sequence: FeedSequence) -> Option<&[Line]> {
        self.states.get(&(channel_id, sequence)).map(Vec::as_slice)
    }

    /// The last message of a channel.
    pub(super) fn last(&self, channel_id: ChannelId) -> Option<FeedSequence> {
        self.last.get(&channel_id).copied()
    }

    /// The instruments that were ever listed.
    pub(super) fn instruments(&self) -> impl Iterator<Item = InstrumentId> + '_ {
        self.last
            .keys()
            .filter_map(|&channel_id| channel_parts(channel_id))
            .filter_map(|(book, level)| (level == FeedLevel::Trades).then_some(book))
    }

    /// An instrument's trades.
    pub(super) fn trades(&self, book: InstrumentId) -> &[TradeId] {
        self.trades.get(&book).map_or(&[], Vec::as_slice)
    }
}

/// The engine's book as a level of detail shows it.
fn state(engine: &Engine, book: InstrumentId, level: FeedLevel) -> Vec<Line> {
    let Some(listing) = engine.listings().find(|listing| listing.instrument == book) else { return Vec::new() };
    let (tick, lot) = (listing.tick as i64, listing.lot as i64);
    let depth = match level {
        FeedLevel::MarketByOrder => {
            let line = |order: RestingOrder| {
                (order.side, order.order_id.0, order.price.0 as i64 * tick, order.shown.0 as i64 * lot)
            };
            return Side::BOTH.into_iter().flat_map(|side| engine.orders(book, side)).map(line).collect();
        }
        FeedLevel::BestBidOffer => 1,
        FeedLevel::MarketByPrice10 => 10,
        FeedLevel::MarketByPrice50 => 50,
        FeedLevel::MarketByPrice => usize::MAX,
        FeedLevel::Trades | FeedLevel::Reference | FeedLevel::NonRepresentable => 0,
    };
    let line = |side| {
        move |level: LevelSummary| {
            (side, u64::from(level.order_count), level.price.0 as i64 * tick, level.shown as i64 * lot)
        }
    };
    Side::BOTH.into_iter().flat_map(|side| engine.levels(book, side).take(depth).map(line(side))).collect()
}
