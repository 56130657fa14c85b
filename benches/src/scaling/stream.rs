//! A steady mix of operations for a venue of some size: what its clients send once its books are full.
//!
//! One in ten is a limit order that crosses: it would buy or sell to the far end of the book, and is filled at its
//! touch, 1 to 100 lots as all orders. The others are new orders and cancels of random resting orders by the venue's
//! name, as many of each as keep the number of resting orders: about five new ones to four cancels. A new order takes
//! the place of a random one among those that have left, so that levels keep their orders.
//!
//! An engine is driven once, because cancels name orders as it does, and fills are its own.

use engine::*;

use super::places::Places;
use super::request::{Clients, NOTHING, Request};
use super::run::Tally;
use super::shape::{LOTS_MAX, Place, Shape};
use crate::failure::Failure;

/// What fills a venue, the operations after that, and what they come to.
#[derive(Debug)]
pub struct Stream {
    /// The venue.
    pub shape: Shape,
    /// What fills it.
    pub fill: Vec<Request>,
    /// What is timed.
    pub operations: Vec<Request>,
    /// What becomes of both. Each of what fills it is accepted, and no more.
    pub tally: Tally,
    /// How many of each kind are timed.
    pub mix: Mix,
}

/// How many operations there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mix {
    /// New orders that rest.
    pub resting: u32,
    /// Cancels.
    pub cancels: u32,
    /// New orders that cross.
    pub crossing: u32,
}

impl Stream {
    /// The operations of a seed.
    ///
    /// # Errors
    /// If the engine does not do what the mix wants: an operation is refused, or something of a crossing order rests.
    pub fn generate(shape: Shape, operations: u32, seed: u64) -> Result<Self, Failure> {
        let mut writer = Writer::new(shape, seed);
        let fill = (0..shape.orders).map(|_| writer.rest()).collect();
        writer.mix = Mix::default();
        let operations = (0..operations).map(|_| writer.operation()).collect();
        match writer.watch.astray {
            0 => Ok(Self { shape, fill, operations, tally: writer.watch.tally, mix: writer.mix }),
            count => Err(Failure::Missing(format!("{count} operations of {shape:?} did not do what they should"))),
        }
    }

    /// Events of the timed operations.
    pub fn events(&self) -> u64 {
        self.tally.events - self.fill.len() as u64
    }
}

/// Writes a stream while an engine carries it out.
struct Writer {
    shape: Shape,
    engine: Engine,
    clients: Clients,
    random: fastrand::Rng,
    places: Places,
    /// Numbers of places with an order, in no order.
    taken: Vec<u32>,
    /// By place: where it stands among those that are taken.
    position: Vec<u32>,
    /// Numbers of places without an order, in no order.
    free: Vec<u32>,
    watch: Watch,
    mix: Mix,
}

impl Writer {
    fn new(shape: Shape, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let places = Places::new(shape.places(&mut random));
        let count = places.count();
        Self {
            shape,
            engine: shape.open(),
            clients: Clients::new(shape),
            random,
            places,
            taken: Vec::with_capacity(count as usize),
            position: vec![0; count as usize],
            free: (0..count).collect(),
            watch: Watch::default(),
            mix: Mix::default(),
        }
    }

    fn operation(&mut self) -> Request {
        if self.random.u32(0..10) == 0 {
            return self.cross();
        }
        // The fewer places are free, the more cancels: their number stays near what the venue has for it.
        let new = self.random.u32(0..2 * self.shape.vacancies()) < self.free.len() as u32;
        if new { self.rest() } else { self.cancel() }
    }

    fn rest(&mut self) -> Request {
        self.mix.resting += 1;
        let number = self.free.swap_remove(self.random.usize(0..self.free.len()));
        let place = self.places.place(number);
        let request = self.clients.limit(&place, self.random.u8(1..=LOTS_MAX));
        self.apply(&request);
        self.places.enter(number, self.watch.accepted);
        self.position[number as usize] = self.taken.len() as u32;
        self.taken.push(number);
        self.watch.astray += u64::from(self.watch.traded);
        request
    }

    fn cancel(&mut self) -> Request {
        self.mix.cancels += 1;
        let number = self.taken[self.random.usize(0..self.taken.len())];
        let order = self.places.order(number);
        let request = self.clients.cancel(self.places.place(number).account, order);
        self.apply(&request);
        self.vacate(order);
        request
    }

    fn cross(&mut self) -> Request {
        self.mix.crossing += 1;
        let side = Side::BOTH[self.random.usize(0..2)];
        let place = Place {
            instrument: InstrumentId(self.random.u32(1..=self.shape.instruments)),
            account: self.shape.account(self.random.u32(0..self.shape.accounts)),
            price: self.shape.through_everything(side),
            side,
        };
        let request = self.clients.limit(&place, self.random.u8(1..=LOTS_MAX));
        self.apply(&request);
        self.watch.astray += u64::from(!self.watch.traded || !self.watch.left.is_zero());
        for order in std::mem::take(&mut self.watch.filled) {
            self.vacate(order);
        }
        request
    }

    fn vacate(&mut self, order: OrderId) {
        let number = self.places.leave(order);
        let position = self.position[number as usize] as usize;
        self.taken.swap_remove(position);
        if let Some(&moved) = self.taken.get(position) {
            self.position[moved as usize] = position as u32;
        }
        self.free.push(number);
    }

    fn apply(&mut self, request: &Request) {
        self.watch.traded = false;
        let mut command = NOTHING;
        request.write(self.engine.last().sequence.next(), &mut command);
        self.engine.apply(&command, &mut self.watch);
    }
}

/// Notes what a stream is written by.
struct Watch {
    tally: Tally,
    /// The last order that was accepted.
    accepted: OrderId,
    /// Whether the last command traded, and what it left of the incoming order.
    traded: bool,
    left: Quantity,
    /// Resting orders that were filled.
    filled: Vec<OrderId>,
    /// Commands that did not do what they should.
    astray: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            tally: Tally::default(),
            accepted: OrderId::NONE,
            traded: false,
            left: Quantity::ZERO,
            filled: Vec::new(),
            astray: 0,
        }
    }
}

impl EventSink for Watch {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.tally.event(header, event);
        match event {
            Event::OrderAccepted(event) => self.accepted = event.order.order_id,
            Event::OrderCancelled(_) => {}
            Event::Trade(event) => {
                (self.traded, self.left) = (true, event.taker.leaves);
                if event.maker.leaves.is_zero() {
                    self.filled.push(event.maker.order_id);
                }
            }
            _ => self.astray += 1,
        }
    }
}
