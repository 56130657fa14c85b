//! Single operations of each kind, in a book of a given number of resting orders that stays as deep as it is.
//!
//! One instrument, 64 accounts, every resting order 100 lots, thirteen a level (six in the smallest book), levels two
//! ticks apart. Up to sixteen commands are handed over behind one another; what they take from the book is put back
//! before the next ones, so that the book stays as deep as it is to within sixteen orders. That every command told what
//! it should is checked.

use engine::command::*;
use engine::event::*;
use engine::*;

use crate::scaling::places::Places;
use crate::scaling::request::Clients;
use crate::scaling::shape::{HALF_SPREAD, MIDDLE, Mode, Place, Shape, price, stamp};

/// The instrument of the book.
pub const INSTRUMENT: InstrumentId = InstrumentId(1);
/// Of every resting order.
const LOTS: u64 = 100;
/// Commands behind one another.
const TOGETHER: u64 = 16;
/// Levels that a sweep takes.
const SWEPT: u32 = 5;
/// Sweeps behind one another: what they take stands inside the spread.
const SWEEPS: u64 = 4;

const _: () = assert!(SWEPT * SWEEPS as u32 <= HALF_SPREAD);

/// A kind of operation.
#[derive(Debug)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// How many are handed over behind one another, at most.
    together: u64,
    /// Lets that many wait, and does first what they need.
    prepare: fn(&mut Book, u64),
    /// What one of them tells.
    tells: Counts,
    /// Puts the book back.
    restore: fn(&mut Book),
}

const ACCEPTED: Counts = Counts { accepted: 1, ..Counts::NONE };
const REPLACED: Counts = Counts { replaced: 1, ..Counts::NONE };
const FILLED: Counts = Counts { trades: 1, ..ACCEPTED };

/// How many of the operations, from the first, are those of ordinary order flow that take no other order from the book.
pub const ORDINARY: usize = 5;

/// All of them.
pub const OPERATIONS: [Operation; 11] = [
    // A limit order rests, at the back of a random level.
    Operation {
        name: "rest_at_a_level",
        together: TOGETHER,
        prepare: Book::rest_at_levels,
        tells: ACCEPTED,
        restore: Book::cancel_accepted,
    },
    // A limit order rests, a tick from a random level, where no other does.
    Operation {
        name: "rest_at_a_new_level",
        together: TOGETHER,
        prepare: Book::rest_at_new_levels,
        tells: ACCEPTED,
        restore: Book::cancel_accepted,
    },
    // A random order is cancelled by the venue's name.
    Operation {
        name: "cancel",
        together: TOGETHER,
        prepare: Book::cancel_some,
        tells: Counts { cancelled: 1, ..Counts::NONE },
        restore: Book::enter_chosen,
    },
    // A random order goes to the back of another level of its side.
    Operation {
        name: "amend_price",
        together: TOGETHER,
        prepare: Book::amend_prices,
        tells: REPLACED,
        restore: Book::amend_back,
    },
    // A random order shrinks and keeps its priority.
    Operation {
        name: "amend_down",
        together: TOGETHER,
        prepare: Book::amend_down,
        tells: REPLACED,
        restore: Book::amend_back,
    },
    // A limit order fills the first order of the other side, and is filled.
    Operation {
        name: "cross_one_order",
        together: TOGETHER,
        prepare: Book::cross,
        tells: FILLED,
        restore: Book::enter_filled,
    },
    // An ImmediateOrCancel fills the only order of each of five levels, and is filled.
    Operation {
        name: "sweep_five_levels",
        together: SWEEPS,
        prepare: Book::sweep,
        tells: Counts { trades: SWEPT as u64, ..ACCEPTED },
        restore: |_| {},
    },
    // A market order fills the first order of the other side, and is filled.
    Operation { name: "market", together: TOGETHER, prepare: Book::market, tells: FILLED, restore: Book::enter_filled },
    // A FillOrKill asks for a lot more than the best level has, and is refused.
    Operation {
        name: "refuse_fill_or_kill",
        together: TOGETHER,
        prepare: Book::fill_or_kill,
        tells: Counts { refused: 1, ..Counts::NONE },
        restore: |_| {},
    },
    // A stop waits at one of two thousand prices.
    Operation {
        name: "wait_as_a_stop",
        together: TOGETHER,
        prepare: Book::stop,
        tells: ACCEPTED,
        restore: Book::cancel_accepted,
    },
    // A limit order fills the tip of an iceberg, which shows the next one.
    Operation {
        name: "refresh_an_iceberg",
        together: TOGETHER,
        prepare: Book::take_tips,
        tells: Counts { restated: 1, ..FILLED },
        restore: Book::cancel_iceberg,
    },
];

/// How many events of each kind were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    accepted: u64,
    replaced: u64,
    cancelled: u64,
    trades: u64,
    restated: u64,
    refused: u64,
}

impl Counts {
    const NONE: Self = Self { accepted: 0, replaced: 0, cancelled: 0, trades: 0, restated: 0, refused: 0 };

    fn times(&self, count: u64) -> Self {
        let Self { accepted, replaced, cancelled, trades, restated, refused } = *self;
        let [accepted, replaced, cancelled, trades, restated, refused] =
            [accepted, replaced, cancelled, trades, restated, refused].map(|each| each * count);
        Self { accepted, replaced, cancelled, trades, restated, refused }
    }
}

/// What was told since it was last cleared.
#[derive(Debug)]
pub struct Told {
    counts: Counts,
    accepted: Vec<OrderId>,
    /// Resting orders that were filled.
    filled: Vec<OrderId>,
}

impl EventSink for Told {
    #[inline]
    fn event(&mut self, _: &EventHeader, event: &Event) {
        match event {
            Event::OrderAccepted(event) => {
                self.counts.accepted += 1;
                self.accepted.push(event.order.order_id);
            }
            Event::OrderReplaced(_) => self.counts.replaced += 1,
            Event::OrderCancelled(_) => self.counts.cancelled += 1,
            Event::Trade(event) => {
                self.counts.trades += 1;
                if event.maker.leaves.is_zero() {
                    self.filled.push(event.maker.order_id);
                }
            }
            Event::OrderRestated(_) => self.counts.restated += 1,
            _ => self.counts.refused += 1,
        }
    }
}

/// An engine whose book is full, and the commands that wait for it.
#[derive(Debug)]
pub struct Book {
    shape: Shape,
    engine: Engine,
    clients: Clients,
    random: fastrand::Rng,
    places: Places,
    told: Told,
    waiting: Vec<Sequenced<Command>>,
    /// Numbers of the places that the waiting commands are about, if they are about some.
    chosen: Vec<u32>,
    /// The iceberg and whose it is, while there is one.
    iceberg: Option<(OrderId, AccountId)>,
}

impl Book {
    /// So many orders rest in it.
    pub fn full(orders: u32, mode: Mode) -> Self {
        // As many levels as a rest at new levels wants, at least.
        let levels = (orders / 13).max(TOGETHER as u32);
        let shape = Shape { mode, orders, levels, instruments: 1, accounts: 64 };
        let mut random = fastrand::Rng::with_seed(1);
        let mut places = shape.places(&mut random);
        places.truncate(orders as usize);
        let mut book = Self {
            shape,
            engine: shape.open(),
            clients: Clients::new(shape),
            random,
            places: Places::new(places),
            told: Told { counts: Counts::NONE, accepted: Vec::new(), filled: Vec::new() },
            waiting: Vec::new(),
            chosen: Vec::new(),
            iceberg: None,
        };
        (0..orders).for_each(|number| book.enter(number));
        book
    }

    /// Carries out so many operations, the commands through `apply`.
    ///
    /// # Panics
    ///
    /// If they did not tell what they should.
    pub fn carry_out(
        &mut self,
        operation: &Operation,
        mut count: u64,
        mut apply: impl FnMut(&mut Engine, &[Sequenced<Command>], &mut Told),
    ) {
        while count > 0 {
            let together = count.min(operation.together);
            (operation.prepare)(self, together);
            self.clear();
            apply(&mut self.engine, &self.waiting, &mut self.told);
            assert_eq!(self.told.counts, operation.tells.times(together), "{}", operation.name);
            self.waiting.clear();
            (operation.restore)(self);
            count -= together;
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn clear(&mut self) {
        self.told.counts = Counts::NONE;
        self.told.accepted.clear();
        self.told.filled.clear();
    }

    /// An account's next command. Commands that wait are before it.
    fn command(&mut self, account: AccountId, body: impl FnOnce(ClientOrderId) -> CommandBody) -> Sequenced<Command> {
        let stamp = stamp(Sequence(self.engine.last().sequence.0 + 1 + self.waiting.len() as u64));
        let (session, number, name) = self.clients.next(account);
        let header = CommandHeader {
            author: KeyId(session.0),
            session,
            client_sequence: SessionSequence(number.into()),
            received_at: stamp.time,
        };
        Sequenced { stamp, value: Command { header, body: body(ClientOrderId(name.into())) } }
    }

    fn wait(&mut self, account: AccountId, body: impl FnOnce(ClientOrderId) -> CommandBody) {
        let command = self.command(account, body);
        self.waiting.push(command);
    }

    fn apply(&mut self, account: AccountId, body: impl FnOnce(ClientOrderId) -> CommandBody) {
        let command = self.command(account, body);
        self.engine.apply(&command, &mut self.told);
    }

    /// The order that is accepted now.
    fn accepted(&mut self, order: NewOrder) -> OrderId {
        self.clear();
        self.apply(order.account, |client_order_id| NewOrder { client_order_id, ..order }.into());
        assert_eq!(self.told.counts, ACCEPTED, "{order:?} rests");
        self.told.accepted[0]
    }

    fn wait_for(&mut self, order: NewOrder) {
        self.wait(order.account, |client_order_id| NewOrder { client_order_id, ..order }.into());
    }

    /// A place gets its order.
    fn enter(&mut self, number: u32) {
        let order = self.accepted(limit(&self.places.place(number), LOTS));
        self.places.enter(number, order);
    }

    fn account(&mut self) -> AccountId {
        self.shape.account(self.random.u32(0..self.shape.accounts))
    }

    /// Chooses so many places, of which no two are `alike`.
    fn choose(&mut self, count: u64, alike: impl Fn(&Place, &Place) -> bool) {
        self.chosen.clear();
        while (self.chosen.len() as u64) < count {
            let number = self.random.u32(0..self.places.count());
            let place = self.places.place(number);
            let is_new = |&chosen: &u32| chosen != number && !alike(&self.places.place(chosen), &place);
            if self.chosen.iter().all(is_new) {
                self.chosen.push(number);
            }
        }
    }

    fn rest_at_levels(&mut self, count: u64) {
        self.choose(count, |_, _| false);
        for place in self.chosen_places() {
            self.wait_for(limit(&place, LOTS));
        }
    }

    fn rest_at_new_levels(&mut self, count: u64) {
        self.choose(count, |one, other| one.price == other.price);
        for place in self.chosen_places() {
            self.wait_for(limit(&Place { price: place.price + 1, ..place }, LOTS));
        }
    }

    fn cancel_accepted(&mut self) {
        for (place, order) in self.chosen_places().into_iter().zip(self.told.accepted.clone()) {
            self.cancel(place.account, order);
        }
    }

    fn cancel(&mut self, account: AccountId, order: OrderId) {
        self.clear();
        self.apply(account, |name| cancel(account, order, name).into());
        assert_eq!(self.told.counts.cancelled, 1, "{order:?} is open");
    }

    fn cancel_some(&mut self, count: u64) {
        self.choose(count, |_, _| false);
        for number in self.chosen.clone() {
            let (account, order) = (self.places.place(number).account, self.places.order(number));
            self.places.leave(order);
            self.wait(account, |name| cancel(account, order, name).into());
        }
    }

    fn enter_chosen(&mut self) {
        for number in self.chosen.clone() {
            self.enter(number);
        }
    }

    fn amend_prices(&mut self, count: u64) {
        self.choose(count, |_, _| false);
        let ranks = self.shape.levels / 2;
        for number in self.chosen.clone() {
            let Place { side, price: before, .. } = self.places.place(number);
            let elsewhere = std::iter::repeat_with(|| price(side, self.random.u32(0..ranks)));
            let price = elsewhere.into_iter().find(|&price| price != before).expect("a side has several levels");
            self.amend_chosen(number, Price(price.into()), Quantity::ABSENT);
        }
    }

    fn amend_down(&mut self, count: u64) {
        self.choose(count, |_, _| false);
        for number in self.chosen.clone() {
            let lots = Quantity(self.random.u64(1..LOTS));
            self.amend_chosen(number, Price::ABSENT, lots);
        }
    }

    fn amend_chosen(&mut self, number: u32, price: Price, quantity: Quantity) {
        let (account, order) = (self.places.place(number).account, self.places.order(number));
        self.wait(account, |name| replace(account, order, name, price, quantity).into());
    }

    /// The chosen orders are again what they were, at the back of their levels.
    fn amend_back(&mut self) {
        for number in self.chosen.clone() {
            let (Place { account, price, .. }, order) = (self.places.place(number), self.places.order(number));
            self.clear();
            self.apply(account, |name| replace(account, order, name, Price(price.into()), Quantity(LOTS)).into());
            assert_eq!(self.told.counts, REPLACED, "{order:?} is as it was");
        }
    }

    fn cross(&mut self, count: u64) {
        for _ in 0..count {
            let order = self.aggressor();
            self.wait_for(order);
        }
    }

    /// An order of the size of a resting one that finds everything on the other side.
    fn aggressor(&mut self) -> NewOrder {
        let (account, side) = (self.account(), Side::BOTH[self.random.usize(0..2)]);
        limit(&Place { instrument: INSTRUMENT, account, price: self.shape.through_everything(side), side }, LOTS)
    }

    fn market(&mut self, count: u64) {
        for _ in 0..count {
            let time_in_force = TimeInForce::ImmediateOrCancel;
            let order = self.aggressor();
            self.wait_for(NewOrder { order_type: OrderType::Market, time_in_force, price: Price::ABSENT, ..order });
        }
    }

    /// What was filled gets a successor in its place, once all have left theirs: a successor may get another's slot.
    fn enter_filled(&mut self) {
        self.chosen.clear();
        for &order in &self.told.filled {
            self.chosen.push(self.places.leave(order));
        }
        self.enter_chosen();
    }

    fn sweep(&mut self, count: u64) {
        let lowest = MIDDLE - HALF_SPREAD / 2;
        for level in 0..count as u32 * SWEPT {
            let offer =
                Place { instrument: INSTRUMENT, account: self.account(), price: lowest + level, side: Side::Sell };
            self.accepted(limit(&offer, LOTS));
        }
        for sweep in 1..=count as u32 {
            let price = lowest + sweep * SWEPT - 1;
            let bid = Place { instrument: INSTRUMENT, account: self.account(), price, side: Side::Buy };
            let order = limit(&bid, LOTS * u64::from(SWEPT));
            self.wait_for(NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..order });
        }
    }

    fn fill_or_kill(&mut self, count: u64) {
        let best = self.engine.levels(INSTRUMENT, Side::Sell).next().expect("the book has offers");
        let price = best.price.0 as u32;
        for _ in 0..count {
            let bid = Place { instrument: INSTRUMENT, account: self.account(), price, side: Side::Buy };
            let order = limit(&bid, best.quantity as u64 + 1);
            self.wait_for(NewOrder { time_in_force: TimeInForce::FillOrKill, ..order });
        }
    }

    fn stop(&mut self, count: u64) {
        self.choose(count, |_, _| false);
        for place in self.chosen_places() {
            let distance = self.random.u32(10_000..11_000);
            let stop_price = match place.side {
                Side::Buy => MIDDLE + distance,
                Side::Sell => MIDDLE - distance,
            };
            self.wait_for(NewOrder {
                order_type: OrderType::Stop,
                price: Price::ABSENT,
                stop_price: Price(stop_price.into()),
                ..limit(&place, LOTS)
            });
        }
    }

    /// An iceberg offers inside the spread, a tip more than is taken.
    fn take_tips(&mut self, count: u64) {
        let offer = Place { instrument: INSTRUMENT, account: self.account(), price: MIDDLE, side: Side::Sell };
        let display_quantity = Quantity(LOTS);
        let iceberg = self.accepted(NewOrder { display_quantity, ..limit(&offer, LOTS * (count + 1)) });
        self.iceberg = Some((iceberg, offer.account));
        for _ in 0..count {
            let bid = Place { account: self.account(), side: Side::Buy, ..offer };
            self.wait_for(limit(&bid, LOTS));
        }
    }

    fn cancel_iceberg(&mut self) {
        let (iceberg, account) = self.iceberg.take().expect("it stands");
        self.cancel(account, iceberg);
    }

    fn chosen_places(&self) -> Vec<Place> {
        self.chosen.iter().map(|&number| self.places.place(number)).collect()
    }
}

fn limit(place: &Place, lots: u64) -> NewOrder {
    NewOrder {
        account: place.account,
        instrument: place.instrument,
        client_order_id: ClientOrderId::NONE,
        side: place.side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price: Price(place.price.into()),
        quantity: Quantity(lots),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

fn cancel(account: AccountId, order_id: OrderId, client_order_id: ClientOrderId) -> CancelOrder {
    CancelOrder { account, order_id, original_client_order_id: ClientOrderId::NONE, client_order_id }
}

fn replace(
    account: AccountId,
    order_id: OrderId,
    name: ClientOrderId,
    price: Price,
    quantity: Quantity,
) -> ReplaceOrder {
    ReplaceOrder {
        account,
        order_id,
        original_client_order_id: ClientOrderId::NONE,
        client_order_id: name,
        order_type: None,
        time_in_force: None,
        price,
        quantity,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}
