//! The ladder against a sorted map, at prices where blocks and nodes begin, end, grow and shrink.

mod common;

use std::collections::BTreeMap;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::Holds;
use engine::*;

/// Bids rest in one instrument and asks in another, so that every price is free.
const BOOKS: [(Side, InstrumentId); 2] = [(Side::Buy, InstrumentId(1)), (Side::Sell, InstrumentId(2))];

struct Ladders {
    engine: Engine,
    /// By side and price, order ids by priority.
    model: [BTreeMap<u64, Vec<OrderId>>; 2],
}

impl Ladders {
    fn new(price_blocks: u32) -> Self {
        let engine = Engine::new(Capacity { orders: 4_096, price_blocks, ..Capacity::SMALL });
        let mut ladders = Self { engine, model: Default::default() };
        for (_, instrument) in BOOKS {
            let (base, quote) = (AssetId::NONE, AssetId::NONE);
            ladders.apply(ListInstrument { base, quote, ..listing(instrument, Holds::Off) });
        }
        ladders.apply(open_account(ALICE));
        ladders
    }

    fn apply(&mut self, body: impl Into<CommandBody>) -> Vec<(EventHeader, Event)> {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: Timestamp(1) };
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        events
    }

    /// Rests an order; none if there is no room for its price.
    fn enter(&mut self, at: usize, price: u64) -> Option<OrderId> {
        let (side, instrument) = BOOKS[at];
        match self.apply(NewOrder { instrument, ..limit(side, price, 1) })[0].1 {
            Event::OrderAccepted(accepted) => {
                self.model[at].entry(price).or_default().push(accepted.order.order_id);
                Some(accepted.order.order_id)
            }
            Event::OrderRejected(rejected) => {
                assert_eq!(rejected.reason, RejectReason::CapacityFull);
                None
            }
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, at: usize, price: u64, order_id: OrderId) {
        let events = self.apply(CancelOrder { order_id, ..cancel(ALICE, 0) });
        assert!(matches!(events[..], [(_, Event::OrderCancelled(_))]), "{events:?}");
        let level = self.model[at].get_mut(&price).expect("a level with the order");
        level.retain(|&id| id != order_id);
        if level.is_empty() {
            self.model[at].remove(&price);
        }
    }

    fn compare(&self, at: usize) {
        let (side, instrument) = BOOKS[at];
        let actual = self.engine.orders(instrument, side).map(|order| (order.price.0, order.order_id));
        let levels = self.model[at].iter().flat_map(|(&price, ids)| ids.iter().map(move |&id| (price, id)));
        match side {
            Side::Sell => assert!(actual.eq(levels)),
            Side::Buy => {
                let best_first = self.model[at].iter().rev();
                assert!(actual.eq(best_first.flat_map(|(&price, ids)| ids.iter().map(move |&id| (price, id)))));
            }
        }
    }
}

/// Prices at and around the places where a key's digits carry.
fn edge(random: &mut Random) -> u64 {
    let carry = 1_u64 << (6 * random.below(8));
    let near = match random.below(4) {
        0 => carry + random.below(130),
        1 => carry.saturating_sub(random.below(130)),
        2 => Price::MAX.0 - random.below(130),
        _ => random.next() >> (18 + random.below(46)),
    };
    near.clamp(1, Price::MAX.0)
}

#[test]
fn a_ladder_keeps_the_order_of_a_sorted_map() {
    for (seed, blocks, target) in [(1, 256, 40), (2, 64, 15), (3, 16, 8), (4, 1_024, 300), (5, 4, 4)] {
        println!("seed {seed}, {blocks} blocks");
        let mut random = Random(seed);
        let mut ladders = Ladders::new(blocks);
        let mut live: Vec<(usize, u64, OrderId)> = Vec::new();
        for step in 0..30_000 {
            // Waves: growth, then down to nothing.
            let target = if step / 3_000 % 3 == 2 { 1 } else { target };
            let at = random.below(2) as usize;
            if live.is_empty() || live.len() < 2 * target && random.below(100) < 60 {
                let again = live.get(random.below(4 * live.len() as u64 + 1) as usize).map(|order| order.1);
                let price = again.unwrap_or_else(|| edge(&mut random));
                live.extend(ladders.enter(at, price).map(|id| (at, price, id)));
            } else {
                let (at, price, id) = live.swap_remove(random.below(live.len() as u64) as usize);
                ladders.leave(at, price, id);
            }
            if step % 50 == 0 {
                (0..2).for_each(|at| ladders.compare(at));
                assert_eq!(ladders.engine.audit(), Ok(()), "seed {seed}, step {step}");
            }
        }
        for (at, price, id) in live {
            ladders.leave(at, price, id);
        }
        // Nothing was lost on the way: as many far prices fit as the capacity says.
        let room = (1..).take_while(|far| ladders.enter(0, far * 24_000_000_000).is_some()).count();
        assert_eq!(room, blocks as usize, "seed {seed}");
    }
}
