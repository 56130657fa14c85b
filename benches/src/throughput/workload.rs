//! The operations of a workload, and what has to come out of them.
//!
//! A mid walks at random; limits lie at exponentially distributed distances from it; feedback holds the number of live
//! orders near its target. A reference book follows, so that cancels and moves always name live orders, and says which
//! trades are right. Everything follows from the seed. Nothing here needs the engine: other books are driven with the
//! same stream.

use std::fmt::{self, Display};
use std::str::FromStr;

/// The mid at the start; prices are from 1 to twice that, less one.
const MID: i64 = 1 << 17;
const LOWEST: i64 = 1;
const HIGHEST: i64 = 2 * MID - 1;

/// Prices are below this.
pub const PRICES: u32 = 2 * MID as u32;

/// Which workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// New limits, cancels and one crossing limit in ten; about 1,000 resting orders.
    S1k,
    /// Four moves in five; about 1,000 resting orders.
    E1k,
    /// As [`Workload::S1k`], with about 1,000,000 resting orders.
    D1m,
}

/// What a workload is made of.
struct Mix {
    seed: u64,
    /// Live orders that feedback aims at, and that are there before the operations begin.
    resting: usize,
    /// Of limits from the mid, in ticks.
    mean_distance: f64,
    /// The largest distance from the mid, and one.
    distance_end: i64,
    /// Shares of all operations.
    crossing: f64,
    moving: f64,
    adding: f64,
    /// How much of them feedback adds to `adding` if there are no live orders left.
    feedback: f64,
    /// How crossing limits are entered.
    crossing_action: Action,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Enters a limit; what does not trade rests.
    New = 0,
    /// Cancels an order.
    Cancel = 1,
    /// Moves an order to a new price, to the back of the queue there; what is left of it stays.
    Move = 2,
    /// Enters a limit; what does not trade is cancelled.
    ImmediateOrCancel = 3,
}

/// The side of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// Bids.
    Buy = 0,
    /// Offers.
    Sell = 1,
}

/// One operation, 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Operation {
    /// The order, numbered from 1 in the order of entry.
    pub id: u32,
    /// The limit, in ticks; of a cancelled order its own.
    pub price: u32,
    /// The order quantity, in lots; for a cancel or a move what is left of the order.
    pub quantity: u32,
    /// What to do.
    pub action: Action,
    /// The order's side.
    pub side: Side,
}

const _: () = assert!(size_of::<Operation>() == 16, "four operations to a cache line");

/// What a run's trades amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// How many.
    pub trades: u64,
    /// Lots.
    pub volume: u64,
    /// A hash over (maker, quantity) of all trades in their order.
    pub digest: u64,
}

/// A part of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What fills the book; nothing of it trades.
    Prefill,
    /// What is timed.
    Timed,
}

/// A workload's operations, and what has to come of them.
#[derive(Debug)]
pub struct Stream {
    prefill: Vec<Operation>,
    timed: Vec<Operation>,
    highest_id: u32,
    most_live: usize,
    outcome: Outcome,
}

impl Workload {
    /// All, by name.
    pub const ALL: [Self; 3] = [Self::S1k, Self::E1k, Self::D1m];

    /// The seed that it is known by.
    pub fn seed(self) -> u64 {
        self.mix().seed
    }

    fn mix(self) -> Mix {
        let simple = Mix {
            seed: 42,
            resting: 1_000,
            mean_distance: 10.0,
            distance_end: 2_000,
            crossing: 0.10,
            moving: 0.0,
            adding: 0.45,
            feedback: 0.225,
            crossing_action: Action::New,
        };
        match self {
            Self::S1k => simple,
            Self::E1k => Mix {
                seed: 44,
                mean_distance: 300.0,
                distance_end: 4_000,
                crossing: 0.03,
                moving: 0.82,
                adding: 0.075,
                feedback: 0.06,
                crossing_action: Action::ImmediateOrCancel,
                ..simple
            },
            Self::D1m => Mix { seed: 43, resting: 1_000_000, mean_distance: 8_000.0, distance_end: 100_000, ..simple },
        }
    }
}

impl Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S1k => "s1k",
            Self::E1k => "e1k",
            Self::D1m => "d1m",
        })
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|workload| workload.to_string() == text);
        named.ok_or_else(|| "not one of s1k, e1k and d1m".to_owned())
    }
}

impl Side {
    /// The other.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

impl Outcome {
    /// Counts a trade.
    #[inline(always)]
    pub fn trade(&mut self, maker: u32, quantity: u32) {
        self.trades += 1;
        self.volume += u64::from(quantity);
        let trade = u64::from(maker) << 32 | u64::from(quantity);
        self.digest = (self.digest ^ trade).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} trades, {} lots, digest {:016x}", self.trades, self.volume, self.digest)
    }
}

impl Stream {
    /// The stream of `seed` with so many operations after the prefill. An operation that would cross finds nothing to
    /// cross now and then and is left out.
    pub fn generate(workload: Workload, seed: u64, operations: usize) -> Self {
        let mix = workload.mix();
        let mut maker = Maker {
            random: Random(seed),
            book: Book::new(),
            mid: MID,
            operations: Vec::with_capacity(mix.resting + operations),
            mix,
        };
        while maker.book.live.len() < maker.mix.resting {
            maker.add();
        }
        let prefill = std::mem::replace(&mut maker.operations, Vec::with_capacity(operations));
        for turn in 0..operations {
            maker.operate(turn);
        }
        let Maker { book, operations: timed, .. } = maker;
        let stream = Self {
            prefill,
            timed,
            highest_id: book.orders.len() as u32 - 1,
            most_live: book.most_live,
            outcome: book.outcome,
        };
        let mut all = stream.prefill.iter().chain(&stream.timed);
        assert!(all.all(|operation| operation.id <= stream.highest_id && operation.price < PRICES));
        stream
    }

    /// The operations of a part.
    pub fn part(&self, part: Part) -> &[Operation] {
        match part {
            Part::Prefill => &self.prefill,
            Part::Timed => &self.timed,
        }
    }

    /// No order has a higher number.
    pub fn highest_id(&self) -> u32 {
        self.highest_id
    }

    /// The most orders that were live at once.
    pub fn most_live(&self) -> usize {
        self.most_live
    }

    /// What has to come of it.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// A stream in the making.
struct Maker {
    mix: Mix,
    random: Random,
    book: Book,
    mid: i64,
    operations: Vec<Operation>,
}

impl Maker {
    fn operate(&mut self, turn: usize) {
        if turn.is_multiple_of(64) {
            let reach = self.mix.distance_end / 4 + 50;
            self.mid = (self.mid + self.random.below(3) as i64 - 1).clamp(MID - reach, MID + reach);
        }
        let resting = self.mix.resting as f64;
        let lack = ((resting - self.book.live.len() as f64) / resting * 4.0).clamp(-1.0, 1.0);
        let Mix { crossing, moving, adding, feedback, .. } = self.mix;
        let kind = self.random.fraction();
        if kind < crossing {
            self.cross();
        } else if kind < crossing + moving {
            self.change_price();
        } else if kind < crossing + moving + (adding + feedback * lack) {
            self.add();
        } else {
            self.cancel();
        }
    }

    /// Enters a limit that does not cross.
    fn add(&mut self) {
        let side = self.side();
        let price = self.place(side);
        let quantity = self.quantity();
        self.enter(side, price, quantity, Action::New);
    }

    /// Enters a limit up to two ticks through the best opposite price, if there is one.
    fn cross(&mut self) {
        let side = self.side();
        let quantity = self.quantity();
        let through = self.random.below(3) as i64;
        let best = self.book.best[side.opposite() as usize];
        if !(LOWEST..=HIGHEST).contains(&best) {
            return;
        }
        let price = match side {
            Side::Buy => (best + through).min(HIGHEST),
            Side::Sell => (best - through).max(LOWEST),
        };
        self.enter(side, price as u32, quantity, self.mix.crossing_action);
    }

    fn enter(&mut self, side: Side, price: u32, quantity: u32, action: Action) {
        let id = self.book.enter(side, price, quantity, action);
        self.operations.push(Operation { id, price, quantity, action, side });
    }

    /// Moves a live order to a price at which it does not cross.
    fn change_price(&mut self) {
        let id = self.any_live();
        let Order { side, price: before, quantity, .. } = self.book.orders[id as usize];
        let mut price = self.place(side);
        if price == before {
            price = if side == Side::Buy { price - 1 } else { price + 1 };
        }
        self.book.change_price(id, price);
        self.operations.push(Operation { id, price, quantity, action: Action::Move, side });
    }

    fn cancel(&mut self) {
        let id = self.any_live();
        let Order { side, price, quantity, .. } = self.book.orders[id as usize];
        self.book.remove(id);
        self.operations.push(Operation { id, price, quantity, action: Action::Cancel, side });
    }

    fn any_live(&mut self) -> u32 {
        self.book.live[self.random.below(self.book.live.len() as u64) as usize]
    }

    fn side(&mut self) -> Side {
        if self.random.next() & 1 == 0 { Side::Buy } else { Side::Sell }
    }

    fn quantity(&mut self) -> u32 {
        1 + self.random.below(100) as u32
    }

    /// A price that does not cross.
    fn place(&mut self, side: Side) -> u32 {
        let distance = (-(1.0 - self.random.fraction()).ln() * self.mix.mean_distance) as i64;
        let distance = distance.min(self.mix.distance_end - 1);
        let [bid, offer] = self.book.best;
        let price = match side {
            Side::Buy => (self.mid - 1 - distance).min(offer - 1).max(LOWEST),
            Side::Sell => (self.mid + 1 + distance).max(bid + 1).min(HIGHEST),
        };
        price as u32
    }
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0, below 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// The reference book, by price and time. Order 0 is none.
struct Book {
    /// By price, bids and offers.
    levels: Vec<[Level; 2]>,
    /// Bid and offer; one tick outside the prices if there is none.
    best: [i64; 2],
    orders: Vec<Order>,
    /// In no order.
    live: Vec<u32>,
    most_live: usize,
    outcome: Outcome,
}

#[derive(Clone, Copy, Default)]
struct Level {
    first: u32,
    last: u32,
}

#[derive(Clone, Copy)]
struct Order {
    price: u32,
    quantity: u32,
    previous: u32,
    next: u32,
    /// Its place among the live.
    live_index: u32,
    side: Side,
}

impl Book {
    fn new() -> Self {
        let none = Order { price: 0, quantity: 0, previous: 0, next: 0, live_index: 0, side: Side::Buy };
        Self {
            levels: vec![[Level::default(); 2]; HIGHEST as usize + 2],
            best: [LOWEST - 1, HIGHEST + 1],
            orders: vec![none],
            live: Vec::new(),
            most_live: 0,
            outcome: Outcome::default(),
        }
    }

    fn enter(&mut self, side: Side, price: u32, quantity: u32, action: Action) -> u32 {
        let id = self.orders.len() as u32;
        let quantity = self.take(side, price, quantity);
        self.orders.push(Order { price, quantity, previous: 0, next: 0, live_index: self.live.len() as u32, side });
        if quantity > 0 && action == Action::New {
            self.live.push(id);
            self.most_live = self.most_live.max(self.live.len());
            self.link(id);
        }
        id
    }

    /// Trades what there is up to `limit`; what is left of the quantity.
    fn take(&mut self, side: Side, limit: u32, mut quantity: u32) -> u32 {
        let opposite = side.opposite() as usize;
        while quantity > 0 {
            let best = self.best[opposite];
            let crosses = match side {
                Side::Buy => i64::from(limit) >= best,
                Side::Sell => i64::from(limit) <= best,
            };
            if !crosses || !(LOWEST..=HIGHEST).contains(&best) {
                break;
            }
            let maker = self.levels[best as usize][opposite].first;
            let order = &mut self.orders[maker as usize];
            let traded = quantity.min(order.quantity);
            order.quantity -= traded;
            quantity -= traded;
            let is_filled = order.quantity == 0;
            self.outcome.trade(maker, traded);
            if is_filled {
                self.remove(maker);
            }
        }
        quantity
    }

    fn remove(&mut self, id: u32) {
        self.unlink(id);
        let index = self.orders[id as usize].live_index;
        self.live.swap_remove(index as usize);
        if let Some(&moved) = self.live.get(index as usize) {
            self.orders[moved as usize].live_index = index;
        }
    }

    fn change_price(&mut self, id: u32, price: u32) {
        self.unlink(id);
        self.orders[id as usize].price = price;
        self.link(id);
    }

    fn link(&mut self, id: u32) {
        let Order { price, side, .. } = self.orders[id as usize];
        let level = &mut self.levels[price as usize][side as usize];
        let last = std::mem::replace(&mut level.last, id);
        match last {
            0 => level.first = id,
            last => self.orders[last as usize].next = id,
        }
        let order = &mut self.orders[id as usize];
        (order.previous, order.next) = (last, 0);
        let best = &mut self.best[side as usize];
        *best = match side {
            Side::Buy => i64::from(price).max(*best),
            Side::Sell => i64::from(price).min(*best),
        };
    }

    fn unlink(&mut self, id: u32) {
        let Order { price, side, previous, next, .. } = self.orders[id as usize];
        let level = &mut self.levels[price as usize][side as usize];
        match previous {
            0 => level.first = next,
            previous => self.orders[previous as usize].next = next,
        }
        match next {
            0 => level.last = previous,
            next => self.orders[next as usize].previous = previous,
        }
        if level.first == 0 && i64::from(price) == self.best[side as usize] {
            self.best[side as usize] = self.next_best(side, i64::from(price));
        }
    }

    /// The next price with orders, behind an emptied best one.
    fn next_best(&self, side: Side, mut price: i64) -> i64 {
        while (LOWEST..=HIGHEST).contains(&price) && self.levels[price as usize][side as usize].first == 0 {
            price += if side == Side::Buy { -1 } else { 1 };
        }
        price
    }
}
