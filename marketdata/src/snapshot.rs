//! Whole books, each with its exact place among the packets of its channel.

use bytes::Bytes;
use engine::{InstrumentId, Quantity, Side};
use wire::market_data::{
    PriceLevel, RestingOrder, SecurityDefinition, SnapshotBegin, SnapshotEnd, SnapshotLevels, SnapshotOrders,
};
use wire::message::Grouped;
use wire::{ChannelId, FeedLevel, FeedSequence, LevelCount, OrderCount, RequestId, SecurityId};

use crate::channel::{BOOK_LEVELS, channel_of, depth_of};
use crate::checksum;
use crate::feed::{Feed, Instrument};
use crate::packet::{append, append_grouped, entries_max};

/// A whole book, and where the channel goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which channel.
    pub channel_id: ChannelId,
    /// The number of the first message that it does not include.
    pub next_sequence: FeedSequence,
    /// SecurityDefinition and SnapshotBegin, each in a frame: the part that names the request.
    pub head: Bytes,
    /// The rest, the same for all: AuctionIndicative if there is an auction price, MarketStatistics on the reference
    /// channel, SnapshotLevels or SnapshotOrders as often as needed, BookChecksum of a book, SnapshotEnd.
    pub body: Bytes,
}

impl Snapshot {
    /// All of its bytes.
    pub fn bytes(&self) -> Bytes {
        [&self.head[..], &self.body[..]].concat().into()
    }

    /// How many.
    pub fn length(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// The part of a snapshot that is the same for all who ask at the same moment.
#[derive(Debug, Clone)]
pub(crate) struct SharedSnapshot {
    definition: SecurityDefinition,
    begin: SnapshotBegin,
    body: Bytes,
}

impl SharedSnapshot {
    /// For who asked so.
    pub(crate) fn answer(&self, request_id: Option<RequestId>) -> Snapshot {
        let begin = SnapshotBegin { request_id, ..self.begin };
        let mut head = Vec::new();
        append(&mut head, &self.definition);
        append(&mut head, &begin);
        let next_sequence = FeedSequence(begin.last_sequence.0 + 1);
        Snapshot { channel_id: begin.channel_id, next_sequence, head: head.into(), body: self.body.clone() }
    }
}

impl Feed {
    /// The whole of a book at a level, which includes every message up to now; `None` if there is no such channel.
    ///
    /// # Panics
    /// Within a command.
    pub fn snapshot(&self, book: InstrumentId, level: FeedLevel, request_id: Option<RequestId>) -> Option<Snapshot> {
        Some(self.shared_snapshot(book, level)?.answer(request_id))
    }

    pub(crate) fn shared_snapshot(&self, book: InstrumentId, level: FeedLevel) -> Option<SharedSnapshot> {
        assert!(self.is_between_commands(), "a snapshot within a command");
        let channel_id = channel_of(book, level)?;
        let instrument = self.instruments.get(&book)?;
        let last_sequence = FeedSequence(instrument.channel(level)?.packer.next_sequence().0 - 1);
        let security_id = book.into();
        let mut body = Vec::new();
        if let Some(indicative) = instrument.indicative.filter(|_| BOOK_LEVELS.contains(&level)) {
            append(&mut body, &indicative);
        }
        if let Some(statistics) = instrument.told.filter(|_| level == FeedLevel::Reference) {
            append(&mut body, &statistics);
        }
        let entry_count = self.append_entries(&mut body, book, instrument, level);
        if let Some(depth) = checksum::depth(level) {
            append(&mut body, &self.checksum(book, instrument.scale, level, depth, last_sequence));
        }
        append(&mut body, &SnapshotEnd { security_id, last_sequence, entry_count });
        let begin = SnapshotBegin {
            security_id,
            channel_id,
            last_sequence,
            transact_time: instrument.time,
            request_id: None,
            entry_count,
            level,
            phase: instrument.definition.phase,
        };
        Some(SharedSnapshot { definition: instrument.definition, begin, body: body.into() })
    }

    fn append_entries(
        &self,
        body: &mut Vec<u8>,
        book: InstrumentId,
        instrument: &Instrument,
        level: FeedLevel,
    ) -> LevelCount {
        let scale = instrument.scale;
        let security_id = SecurityId::from(book);
        if level == FeedLevel::MarketByOrder {
            let entries = Side::BOTH.into_iter().flat_map(|side| {
                self.books().orders(book, side).flat_map(move |(price, orders)| {
                    orders.map(move |order| RestingOrder {
                        order_id: order.order_id.into(),
                        price: scale.price(price),
                        quantity: scale.quantity(order.shown),
                        side: side.into(),
                    })
                })
            });
            return append_parts(body, &SnapshotOrders { security_id }, entries);
        }
        let depth = depth_of(level).unwrap_or(0);
        let entries = Side::BOTH.into_iter().flat_map(|side| {
            self.books().levels(book, side).take(depth).map(move |(price, level)| PriceLevel {
                price: scale.price(price),
                quantity: scale.quantity(Quantity(level.quantity)),
                order_count: OrderCount(level.order_count),
                side: side.into(),
            })
        });
        append_parts(body, &SnapshotLevels { security_id }, entries)
    }
}

/// Appends entries in as many messages as they need; how many entries.
fn append_parts<M: Grouped>(body: &mut Vec<u8>, message: &M, entries: impl Iterator<Item = M::Entry>) -> LevelCount {
    let mut part = Vec::with_capacity(entries_max::<M>());
    let mut count = 0;
    for entry in entries {
        part.push(entry);
        count += 1;
        if part.len() == part.capacity() {
            append_grouped(body, message, &part);
            part.clear();
        }
    }
    if !part.is_empty() {
        append_grouped(body, message, &part);
    }
    LevelCount(count)
}
