//! Random messages, against a book that is a list: the interface's rules once more, as plainly as they can be said.

mod common;

use common::*;

#[derive(Debug, Clone, Copy)]
struct Resting {
    order_id: u64,
    side: u8,
    quantity: u32,
    price_ticks: i64,
}

/// Resting orders, the oldest first.
#[derive(Debug, Default)]
struct ObviousBook {
    orders: Vec<Resting>,
    number: u64,
    reports: Vec<String>,
}

impl ObviousBook {
    fn new_order(&mut self, order: Resting, ioc: bool) {
        self.number += 1;
        self.tell("ack", &order);
        let left = self.trade(order);
        if left.quantity > 0 && ioc {
            self.tell("cancelled", &left);
        } else if left.quantity > 0 {
            self.orders.push(left);
        }
    }

    fn cancel(&mut self, order_id: u64) {
        self.number += 1;
        match self.take_out(order_id) {
            Some(order) => self.tell("cancelled", &order),
            None => self.reports.push(format!("{} no cancel {order_id}", self.number)),
        }
    }

    fn modify(&mut self, order_id: u64, quantity: u32, price_ticks: i64) {
        self.number += 1;
        let Some(order) = self.take_out(order_id) else {
            return self.reports.push(format!("{} no modify {order_id}", self.number));
        };
        let order = Resting { quantity, price_ticks, ..order };
        self.tell("modified", &order);
        let left = self.trade(order);
        if left.quantity > 0 {
            self.orders.push(left);
        }
    }

    fn trade(&mut self, mut incoming: Resting) -> Resting {
        while incoming.quantity > 0
            && let Some(best) = self.best(1 - incoming.side)
            && crosses(&incoming, self.orders[best].price_ticks)
        {
            let resting = &mut self.orders[best];
            let traded = resting.quantity.min(incoming.quantity);
            resting.quantity -= traded;
            incoming.quantity -= traded;
            let (number, maker, price) = (self.number, resting.order_id, resting.price_ticks);
            self.reports.push(format!("{number} trade {traded}@{price} of {maker} by {}", incoming.order_id));
            if resting.quantity == 0 {
                self.orders.remove(best);
            }
        }
        incoming
    }

    /// The oldest order at a side's best price.
    fn best(&self, side: u8) -> Option<usize> {
        let sign = if side == BUY { -1 } else { 1 };
        let of_side = self.orders.iter().enumerate().filter(|(_, order)| order.side == side);
        of_side.min_by_key(|(_, order)| sign * order.price_ticks).map(|(index, _)| index)
    }

    fn best_price(&self, side: u8) -> Option<i64> {
        self.best(side).map(|index| self.orders[index].price_ticks)
    }

    fn depth(&self, side: u8, price_ticks: i64) -> u64 {
        let there = self.orders.iter().filter(|order| order.side == side && order.price_ticks == price_ticks);
        there.map(|order| u64::from(order.quantity)).sum()
    }

    fn take_out(&mut self, order_id: u64) -> Option<Resting> {
        let index = self.orders.iter().position(|order| order.order_id == order_id)?;
        Some(self.orders.remove(index))
    }

    fn tell(&mut self, what: &str, order: &Resting) {
        let Resting { order_id, side, quantity, price_ticks } = order;
        let side = ["buy", "sell"][usize::from(*side)];
        self.reports.push(format!("{} {what} {order_id} {side} {quantity}@{price_ticks}", self.number));
    }
}

fn crosses(incoming: &Resting, price_ticks: i64) -> bool {
    match incoming.side {
        BUY => incoming.price_ticks >= price_ticks,
        _ => incoming.price_ticks <= price_ticks,
    }
}

#[test]
fn the_engine_agrees_with_an_obvious_book() {
    for seed in 1..=20 {
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut book = ObviousBook::default();
        let mut engine = Harness::start();
        for next_id in 1..=3_000_u64 {
            let (side, quantity) = (random.u8(0..=1), random.u32(1..=30));
            let price_ticks = random.i64(-12..=12) + if side == BUY { -6 } else { 6 };
            let earlier = random.u64(next_id.saturating_sub(60)..=next_id);
            let message = match random.u8(0..10) {
                0..=3 => {
                    book.new_order(Resting { order_id: next_id, side, quantity, price_ticks }, false);
                    new_order(next_id, side, quantity, price_ticks)
                }
                4 => {
                    book.new_order(Resting { order_id: next_id, side, quantity, price_ticks }, true);
                    ioc(next_id, side, quantity, price_ticks)
                }
                5..=7 => {
                    let side = book.orders.iter().find(|order| order.order_id == earlier).map_or(side, |o| o.side);
                    book.modify(earlier, quantity, price_ticks);
                    modify(earlier, side, quantity, price_ticks)
                }
                _ => {
                    book.cancel(earlier);
                    cancel(earlier)
                }
            };
            assert_eq!(engine.send(&[message]), std::mem::take(&mut book.reports), "message {next_id}");
            let (bid, ask) = (book.best_price(BUY).unwrap_or(i64::MIN), book.best_price(SELL).unwrap_or(i64::MAX));
            assert_eq!((engine.best_bid(), engine.best_ask()), (bid, ask), "behind message {next_id}");
            assert_eq!(engine.depth(side, price_ticks), book.depth(side, price_ticks), "behind message {next_id}");
        }
    }
}
