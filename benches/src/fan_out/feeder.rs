//! Gives events to a ring, as the core does.

use std::time::{Duration, Instant};

use client::wire::Timestamp;
use engine::command::NewOrder;
use engine::{
    Amount, Capacity, ClientOrderId, Command, Engine, OnDisconnect, OrderFlags, OrderType, Price, Quantity, Sequence,
    Sequenced, Side, Stamp, TimeInForce,
};
use hdrhistogram::Histogram;
use marketdata::Feed;
use ring::{EventReader, EventRing, Idle, Publisher, Release};

use super::readers::histogram;
use crate::durability::flow::Flow;
use crate::failure::Failure;
use crate::load::link::wall_clock;

/// Commands that open the venue and fill its book.
const FILLED_BY: usize = 2_000;
/// Around which the flow trades.
const MID: u64 = 1 << 17;
/// The first name of an order that stands far away: beyond those of the flow.
const STANDING: u64 = 1 << 60;
/// As a venue has.
const EVENT_SLOTS: usize = 16_384;

/// Enters orders that nothing reaches, on two thousand levels of each side.
fn stand(engine: &mut Engine, count: u32) {
    let account = engine.accounts().last().expect("the flow has accounts").account;
    let instrument = engine.listings().next().expect("the flow has an instrument").instrument;
    for number in 0..u64::from(count) {
        let side = Side::BOTH[(number % 2) as usize];
        let away = 30_000 + number / 2 % 2_000;
        let price = match side {
            Side::Buy => Price(MID - away),
            Side::Sell => Price(MID + away),
        };
        let order = NewOrder {
            account,
            instrument,
            client_order_id: ClientOrderId(STANDING + number),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price,
            quantity: Quantity(1 + number % 9),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: engine::Timestamp::NONE,
        };
        let stamp = Stamp { sequence: engine.last().sequence.next(), time: engine.last().time };
        engine.apply(&Sequenced { stamp, value: Command::from_venue(order) }, &mut ());
    }
}

/// Commands and the engine that they are for.
pub(super) struct Feeder {
    engine: Engine,
    commands: Vec<Command>,
    next: usize,
    publisher: Publisher,
    /// How long it took to hand over each batch.
    pub(super) hand_over: Histogram<u64>,
}

impl Feeder {
    /// With so many commands behind a filled book, in which so many more orders stand far away; the feed of that book,
    /// and the reader of what follows.
    pub(super) fn new(count: usize, standing: u32) -> Result<(Self, Feed, EventReader), Failure> {
        let flow = Flow::generate(FILLED_BY + count)?;
        let capacity = Capacity { orders: flow.capacity.orders + standing, ..flow.capacity };
        let mut engine = Engine::new(capacity);
        let mut commands = flow.commands;
        for (index, value) in commands.drain(..commands.len() - count).enumerate() {
            let stamp = Stamp { sequence: Sequence(index as u64 + 1), time: wall_clock().into() };
            engine.apply(&Sequenced { stamp, value }, &mut ());
        }
        stand(&mut engine, standing);
        let feed = Feed::of(&engine);
        let (publisher, mut readers) = EventRing::open(EVENT_SLOTS, 1, Idle::Park, Release::AsPublished);
        let reader = readers.pop().expect("one was asked for");
        Ok((Self { engine, commands, next: 0, publisher, hand_over: histogram() }, feed, reader))
    }

    /// How many orders rest.
    pub(super) fn resting(&self) -> usize {
        let books = self.engine.listings().map(|listing| listing.instrument);
        books.flat_map(|book| Side::BOTH.map(|side| self.engine.orders(book, side).count())).sum()
    }

    /// The last command.
    pub(super) fn last(&self) -> u64 {
        self.engine.last().sequence.0
    }

    /// How many commands are left.
    pub(super) fn left(&self) -> usize {
        self.commands.len() - self.next
    }

    /// Applies and publishes so many commands, as of `time`.
    pub(super) fn batch(&mut self, count: usize, time: Timestamp) {
        let begun = Instant::now();
        let end = self.commands.len().min(self.next + count);
        for &value in &self.commands[self.next..end] {
            let last = self.engine.last();
            let stamp = Stamp { sequence: last.sequence.next(), time: last.time.max(time.into()) };
            self.engine.apply(&Sequenced { stamp, value }, &mut self.publisher);
        }
        self.next = end;
        self.publisher.complete(self.engine.last().sequence);
        self.hand_over.saturating_record(begun.elapsed().as_nanos() as u64);
    }

    /// One batch of so many commands at each of so many moments a second, until `end` or none are left.
    pub(super) fn paced(&mut self, batch: usize, batches_per_second: f64, time: Duration) {
        let (begun, begun_at) = (Instant::now(), wall_clock());
        for number in 0_u32.. {
            let due = Duration::from_secs_f64(f64::from(number) / batches_per_second);
            if due >= time || self.left() == 0 {
                return;
            }
            let left = due.saturating_sub(begun.elapsed());
            if !left.is_zero() {
                std::thread::sleep(left);
            }
            // Due then: a feeder that is behind does not hide it.
            self.batch(batch, Timestamp(begun_at.0 + due.as_nanos() as u64));
        }
    }
}
