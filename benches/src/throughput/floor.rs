//! The least that a book by price and time can do: levels indexed by tick under a bitmap of three stages, queues linked
//! through 16-byte orders, orders indexed by number. No rules; no reports, or one of 64 bytes per outcome.

#![allow(unsafe_code, reason = "a floor checks no bounds: `Stream` keeps them")]

use std::hint::black_box;
use std::iter::repeat_n;
use std::ops::{Index, IndexMut, Range};

use engine::EventKind;

use super::ring::{Report, Ring};
use super::workload::{Action, Operation, Outcome, PRICES, Part, Side, Stream};

/// Hears what a floor's book does.
pub trait Told {
    /// An order was entered.
    fn entered(&mut self, operation: &Operation);
    /// An order was cancelled, or what was left of it.
    fn cancelled(&mut self, operation: &Operation, leaves: u32);
    /// An order was moved.
    fn moved(&mut self, operation: &Operation, leaves: u32);
    /// Two orders traded.
    fn traded(&mut self, trade: Trade, taker: &Operation);
    /// How many reports were written.
    fn reports(&self) -> u64;
}

/// A trade, as the floor tells it.
#[derive(Debug, Clone, Copy)]
pub struct Trade {
    /// The resting order.
    pub maker: u32,
    /// In ticks.
    pub price: u32,
    /// In lots.
    pub quantity: u32,
    /// What is left of the resting order.
    pub leaves: u32,
    /// How many there were before it.
    pub number: u64,
}

/// Nobody is told.
#[derive(Debug, Default)]
pub struct Silent;

impl Told for Silent {
    #[inline(always)]
    fn entered(&mut self, _: &Operation) {}
    #[inline(always)]
    fn cancelled(&mut self, _: &Operation, _: u32) {}
    #[inline(always)]
    fn moved(&mut self, _: &Operation, _: u32) {}
    #[inline(always)]
    fn traded(&mut self, _: Trade, _: &Operation) {}
    fn reports(&self) -> u64 {
        0
    }
}

/// Everything is written into the ring.
impl Told for Ring {
    #[inline(always)]
    fn entered(&mut self, operation: &Operation) {
        self.push(report(EventKind::OrderAccepted, operation, operation.quantity));
    }

    #[inline(always)]
    fn cancelled(&mut self, operation: &Operation, leaves: u32) {
        self.push(report(EventKind::OrderCancelled, operation, leaves));
    }

    #[inline(always)]
    fn moved(&mut self, operation: &Operation, leaves: u32) {
        self.push(report(EventKind::OrderReplaced, operation, leaves));
    }

    #[inline(always)]
    fn traded(&mut self, trade: Trade, taker: &Operation) {
        self.push(Report {
            order_id: trade.maker.into(),
            other: taker.id.into(),
            number: trade.number,
            price: trade.price.into(),
            quantity: trade.quantity.into(),
            ..report(EventKind::Trade, taker, trade.leaves)
        });
    }

    fn reports(&self) -> u64 {
        self.written()
    }
}

#[inline(always)]
fn report(kind: EventKind, operation: &Operation, leaves: u32) -> Report {
    let side = match operation.side {
        Side::Buy => engine::Side::Buy,
        Side::Sell => engine::Side::Sell,
    };
    Report {
        sequence: 0,
        order_id: operation.id.into(),
        other: operation.id.into(),
        number: 0,
        price: operation.price.into(),
        quantity: operation.quantity.into(),
        leaves: leaves.into(),
        account: 0,
        kind,
        side,
    }
}

/// A book without rules.
#[derive(Debug)]
pub struct Floor<T> {
    book: Book,
    told: T,
}

impl<T: Told> Floor<T> {
    /// An empty book for this stream's orders; all of its memory is touched.
    pub fn new(stream: &Stream, told: T) -> Self {
        Self { book: Book::new(stream.highest_id()), told }
    }

    /// Carries out these operations of the stream that [`Floor::new`] was given.
    #[inline(always)]
    pub fn run(&mut self, stream: &Stream, part: Part, operations: Range<usize>) {
        assert_eq!(stream.highest_id(), self.book.highest_id, "the stream that the floor was made for");
        for operation in &stream.part(part)[operations] {
            self.book.apply(operation, &mut self.told);
        }
    }

    /// What traded.
    pub fn outcome(&self) -> Outcome {
        self.book.outcome
    }

    /// How many reports were written.
    pub fn reports(&self) -> u64 {
        self.told.reports()
    }
}

/// Order 0 is none. Without bids the best bid is 0, without offers the best offer is the highest number: no limit
/// reaches them.
#[derive(Debug)]
struct Book {
    highest_id: u32,
    orders: Slab<Order>,
    levels: [Slab<Level>; 2],
    occupied: [Bitmap; 2],
    best: [u32; 2],
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
struct Order {
    price: u32,
    /// None is left of an order that is not in the book.
    quantity: u32,
    previous: u32,
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    first: u32,
    last: u32,
}

impl Book {
    fn new(highest_id: u32) -> Self {
        let level = Level { first: 0, last: 0 };
        Self {
            highest_id,
            orders: Slab::new(Order { price: 0, quantity: 0, previous: 0, next: 0 }, highest_id + 1),
            levels: [0, 1].map(|_| Slab::new(level, PRICES)),
            occupied: [0, 1].map(|_| Bitmap::new()),
            best: [0, u32::MAX],
            outcome: Outcome::default(),
        }
    }

    #[inline(always)]
    fn apply(&mut self, operation: &Operation, told: &mut impl Told) {
        let Operation { id, quantity, action, side, .. } = *operation;
        match action {
            Action::New => {
                told.entered(operation);
                let left = self.take(operation, quantity, told);
                self.rest(operation, left);
            }
            Action::Cancel => {
                let left = self.orders[id].quantity;
                if left != 0 {
                    self.unlink(id, side);
                    self.orders[id].quantity = 0;
                    told.cancelled(operation, left);
                }
            }
            Action::Move => {
                let left = self.orders[id].quantity;
                if left != 0 {
                    self.unlink(id, side);
                    told.moved(operation, left);
                    let left = self.take(operation, left, told);
                    self.rest(operation, left);
                }
            }
            Action::ImmediateOrCancel => {
                told.entered(operation);
                let left = self.take(operation, quantity, told);
                self.orders[id].quantity = 0;
                if left != 0 {
                    told.cancelled(operation, left);
                }
            }
        }
    }

    /// Trades what there is up to the operation's limit; what is left of the quantity.
    #[inline(always)]
    fn take(&mut self, operation: &Operation, mut quantity: u32, told: &mut impl Told) -> u32 {
        let side = operation.side.opposite();
        while quantity != 0 {
            let best = self.best[side as usize];
            let crosses = match side {
                Side::Buy => operation.price <= best,
                Side::Sell => operation.price >= best,
            };
            if !crosses {
                break;
            }
            quantity -= self.trade_at(best, side, quantity, operation, told);
        }
        quantity
    }

    /// Trades with the first order of a level; how much.
    #[inline(always)]
    fn trade_at(&mut self, price: u32, side: Side, most: u32, taker: &Operation, told: &mut impl Told) -> u32 {
        let maker = self.levels[side as usize][price].first;
        let order = &mut self.orders[maker];
        let quantity = most.min(order.quantity);
        order.quantity -= quantity;
        let leaves = order.quantity;
        told.traded(Trade { maker, price, quantity, leaves, number: self.outcome.trades }, taker);
        self.outcome.trade(maker, quantity);
        if leaves == 0 {
            self.unlink(maker, side);
        }
        quantity
    }

    #[inline(always)]
    fn rest(&mut self, operation: &Operation, left: u32) {
        let Operation { id, price, side, .. } = *operation;
        if left == 0 {
            self.orders[id].quantity = 0;
            return;
        }
        let level = &mut self.levels[side as usize][price];
        let previous = level.last;
        level.last = id;
        self.orders[id] = Order { price, quantity: left, previous, next: 0 };
        if previous != 0 {
            self.orders[previous].next = id;
            return;
        }
        level.first = id;
        self.occupied[side as usize].set(price);
        let best = &mut self.best[side as usize];
        *best = match side {
            Side::Buy => price.max(*best),
            Side::Sell => price.min(*best),
        };
    }

    #[inline(always)]
    fn unlink(&mut self, id: u32, side: Side) {
        let Order { price, previous, next, .. } = self.orders[id];
        let level = &mut self.levels[side as usize][price];
        if previous == 0 {
            level.first = next;
        } else {
            self.orders[previous].next = next;
        }
        if next == 0 {
            level.last = previous;
        } else {
            self.orders[next].previous = previous;
        }
        if level.first == 0 {
            self.empty(side, price);
        }
    }

    #[inline(always)]
    fn empty(&mut self, side: Side, price: u32) {
        let occupied = &mut self.occupied[side as usize];
        occupied.clear(price);
        if price == self.best[side as usize] {
            self.best[side as usize] = match side {
                Side::Buy => occupied.below(price),
                Side::Sell => occupied.above(price),
            };
        }
    }
}

/// A bit for each price, one for each word of those that is not zero, and one for each word of those.
#[derive(Debug)]
struct Bitmap {
    prices: Slab<u64>,
    words: Slab<u64>,
    blocks: u64,
}

const _: () = assert!(PRICES == 64 * 64 * 64, "three stages of 64");

impl Bitmap {
    fn new() -> Self {
        Self { prices: Slab::new(0, PRICES / 64), words: Slab::new(0, PRICES / 64 / 64), blocks: 0 }
    }

    #[inline(always)]
    fn set(&mut self, price: u32) {
        self.prices[price >> 6] |= 1 << (price & 63);
        self.words[price >> 12] |= 1 << (price >> 6 & 63);
        self.blocks |= 1 << (price >> 12);
    }

    #[inline(always)]
    fn clear(&mut self, price: u32) {
        let word = &mut self.prices[price >> 6];
        *word &= !(1 << (price & 63));
        if *word == 0 {
            let block = &mut self.words[price >> 12];
            *block &= !(1 << (price >> 6 & 63));
            if *block == 0 {
                self.blocks &= !(1 << (price >> 12));
            }
        }
    }

    /// The lowest price with a bit above one that has none.
    #[inline(always)]
    fn above(&self, price: u32) -> u32 {
        let mut word = price >> 6;
        let near = self.prices[word] & (!1 << (price & 63));
        if near != 0 {
            return word << 6 | near.trailing_zeros();
        }
        let mut block = word >> 6;
        let mut words = self.words[block] & (!1 << (word & 63));
        if words == 0 {
            let blocks = self.blocks & (!1 << block);
            if blocks == 0 {
                return u32::MAX;
            }
            block = blocks.trailing_zeros();
            words = self.words[block];
        }
        word = block << 6 | words.trailing_zeros();
        word << 6 | self.prices[word].trailing_zeros()
    }

    /// The highest price with a bit below one that has none.
    #[inline(always)]
    fn below(&self, price: u32) -> u32 {
        let mut word = price >> 6;
        let near = self.prices[word] & ((1 << (price & 63)) - 1);
        if near != 0 {
            return word << 6 | highest(near);
        }
        let mut block = word >> 6;
        let mut words = self.words[block] & ((1 << (word & 63)) - 1);
        if words == 0 {
            let blocks = self.blocks & ((1 << block) - 1);
            if blocks == 0 {
                return 0;
            }
            block = highest(blocks);
            words = self.words[block];
        }
        word = block << 6 | highest(words);
        word << 6 | highest(self.prices[word])
    }
}

/// The highest bit of a word that is not zero, without looking.
#[inline(always)]
fn highest(word: u64) -> u32 {
    63 ^ word.leading_zeros()
}

/// Values by number, touched when it is made, of which only numbers that exist are asked for: those of prices and orders
/// that a [`Stream`] keeps within bounds, and of orders that are linked.
#[derive(Debug)]
struct Slab<T>(Box<[T]>);

impl<T: Clone> Slab<T> {
    fn new(value: T, count: u32) -> Self {
        // Not a number of zeros that the system could promise instead of giving.
        Self(repeat_n(black_box(value), count as usize).collect())
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, index: u32) -> &T {
        debug_assert!((index as usize) < self.0.len());
        // SAFETY: see the type; what a stream holds and this module links was below the length when it was made.
        unsafe { self.0.get_unchecked(index as usize) }
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline(always)]
    fn index_mut(&mut self, index: u32) -> &mut T {
        debug_assert!((index as usize) < self.0.len());
        // SAFETY: as above.
        unsafe { self.0.get_unchecked_mut(index as usize) }
    }
}
