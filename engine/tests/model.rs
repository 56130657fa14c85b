//! The engine against an obvious price-time book: sorted vectors, read it and believe it.
//!
//! Random commands over several accounts and all prices of a small range; every fill, every resting order and every
//! reject is compared. At random moments the engine is replaced by one restored from its own snapshot.

mod common;

use common::*;
use engine::command::*;
use engine::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resting {
    name: u64,
    account: AccountId,
    side: Side,
    flags: OrderFlags,
    price: u64,
    quantity: u64,
    leaves: u64,
}

/// What the model says happens: fills as (maker, taker, price, quantity), and how the command ends.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    fills: Vec<(u64, u64, u64, u64)>,
    refused: Option<RejectReason>,
}

/// Orders by priority: in each side's vector, the better price first and the earlier order first within a price.
#[derive(Default)]
struct Model {
    bids: Vec<Resting>,
    asks: Vec<Resting>,
}

impl Model {
    fn side(&mut self, side: Side) -> &mut Vec<Resting> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn better(side: Side, one: u64, other: u64) -> bool {
        if side == Side::Buy { one > other } else { one < other }
    }

    fn rest(&mut self, order: Resting) {
        let orders = self.side(order.side);
        let behind = orders.iter().position(|other| Self::better(order.side, order.price, other.price));
        orders.insert(behind.unwrap_or(orders.len()), order);
    }

    /// What of `side`'s opposite an order with this limit reaches.
    fn reachable(&mut self, side: Side, limit: u64) -> u64 {
        let opposite = self.side(side.opposite());
        opposite.iter().filter(|other| !Self::better(side, other.price, limit)).map(|other| other.leaves).sum()
    }

    fn take(&mut self, order: &mut Resting) -> Vec<(u64, u64, u64, u64)> {
        let mut fills = Vec::new();
        let opposite = self.side(order.side.opposite());
        while let Some(best) = opposite.first_mut() {
            if order.leaves == 0 || Self::better(order.side, best.price, order.price) {
                break;
            }
            let quantity = best.leaves.min(order.leaves);
            fills.push((best.name, order.name, best.price, quantity));
            best.leaves -= quantity;
            order.leaves -= quantity;
            if best.leaves == 0 {
                opposite.remove(0);
            }
        }
        fills
    }

    fn enter(&mut self, order: &NewOrder) -> Outcome {
        let refuse = |reason| Outcome { fills: Vec::new(), refused: Some(reason) };
        let limit = match order.order_type {
            OrderType::Limit => order.price.0,
            // Ten per cent through the best price, rounded inward.
            _ => match (self.side(order.side.opposite()).first(), order.side) {
                (Some(best), Side::Buy) => best.price + best.price / 10,
                (Some(best), Side::Sell) => (best.price - best.price / 10).max(1),
                (None, _) => return Outcome { fills: Vec::new(), refused: None },
            },
        };
        let reachable = self.reachable(order.side, limit);
        if order.flags == OrderFlags::POST_ONLY && reachable > 0 {
            return refuse(RejectReason::PostOnlyWouldTake);
        }
        if order.time_in_force == TimeInForce::FillOrKill && reachable < order.quantity.0 {
            return refuse(RejectReason::CannotFill);
        }
        let mut incoming = Resting {
            name: order.client_order_id.0,
            account: order.account,
            side: order.side,
            flags: order.flags,
            price: limit,
            quantity: order.quantity.0,
            leaves: order.quantity.0,
        };
        let fills = self.take(&mut incoming);
        if incoming.leaves > 0 && order.time_in_force == TimeInForce::GoodTillCancel {
            self.rest(incoming);
        }
        Outcome { fills, refused: None }
    }

    fn find(&mut self, account: AccountId, name: u64) -> Option<(Side, usize)> {
        Side::BOTH.into_iter().find_map(|side| {
            let index = self.side(side).iter().position(|order| order.account == account && order.name == name);
            index.map(|index| (side, index))
        })
    }

    fn cancel(&mut self, account: AccountId, name: u64) -> Outcome {
        let found = self.find(account, name);
        if let Some((side, index)) = found {
            self.side(side).remove(index);
        }
        let refused = found.is_none().then_some(RejectReason::UnknownOrder);
        Outcome { fills: Vec::new(), refused }
    }

    fn amend(&mut self, account: AccountId, name: u64, price: u64, quantity: u64) -> Outcome {
        let Some((side, index)) = self.find(account, name) else {
            return Outcome { fills: Vec::new(), refused: Some(RejectReason::UnknownOrder) };
        };
        let mut order = self.side(side)[index];
        let filled = order.quantity - order.leaves;
        let takes = quantity > filled && price != order.price && self.reachable(side, price) > 0;
        if order.flags == OrderFlags::POST_ONLY && takes {
            return Outcome { fills: Vec::new(), refused: Some(RejectReason::PostOnlyWouldTake) };
        }
        let keeps_priority = price == order.price && quantity <= order.quantity;
        (order.price, order.quantity, order.leaves) = (price, quantity, quantity.saturating_sub(filled));
        if keeps_priority && order.leaves > 0 {
            self.side(side)[index] = order;
            return Outcome { fills: Vec::new(), refused: None };
        }
        self.side(side).remove(index);
        let fills = self.take(&mut order);
        if order.leaves > 0 {
            self.rest(order);
        }
        Outcome { fills, refused: None }
    }
}

fn random_command(random: &mut Random, name: u64) -> CommandBody {
    let account = [ALICE, BOB, CAROL][random.below(3) as usize];
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    let (price, quantity) = (90 + random.below(20), 1 + random.below(20));
    let earlier = name - random.below(name.min(60)).min(name - 1);
    let order = NewOrder { instrument: UNSETTLED, ..limit(side, price, quantity).by(account).named(name) };
    match random.below(20) {
        0..8 => order.into(),
        8 => order.lasting(TimeInForce::ImmediateOrCancel).into(),
        9 => order.lasting(TimeInForce::FillOrKill).into(),
        10 => NewOrder { flags: OrderFlags::POST_ONLY, ..order }.into(),
        11 => NewOrder { instrument: UNSETTLED, ..market(side, quantity).by(account).named(name) }.into(),
        12..16 => cancel(account, earlier).into(),
        _ => ReplaceOrder { account, price: Price(price), quantity: Quantity(quantity), ..replace(earlier) }.into(),
    }
}

/// Runs one seed, with holds on or off.
fn run(seed: u64, commands: u64, instrument: InstrumentId) {
    let mut random = Random(seed);
    let (mut venue, mut model) = (Venue::open(), Model::default());
    venue.expect_accepted(SetFees {
        tier: 0,
        ..set_fees(i32::try_from(random.below(1_000)).unwrap() - 500, 600 + i32::try_from(random.below(1_000)).unwrap())
    });
    for name in 1..=commands {
        let mut body = random_command(&mut random, name);
        if let CommandBody::NewOrder(order) = &mut body {
            order.instrument = instrument;
        }
        let expected = match body {
            CommandBody::NewOrder(order) => model.enter(&order),
            CommandBody::CancelOrder(order) => model.cancel(order.account, order.original_client_order_id.0),
            CommandBody::ReplaceOrder(order) => {
                model.amend(order.account, order.original_client_order_id.0, order.price.0, order.quantity.0)
            }
            other => unreachable!("{other:?}"),
        };
        let events = venue.apply(body);
        let actual = Outcome { fills: trades(&events), refused: reasons(&events).first().copied() };
        assert_eq!(actual, expected, "seed {seed}, command {name}: {body:?}");
        for side in Side::BOTH {
            let orders = venue.engine.orders(instrument, side);
            let actual: Vec<_> =
                orders.map(|o| (o.client_order_id.0, o.account, o.price.0, o.leaves.0, o.cumulative.0)).collect();
            let expected: Vec<_> = model
                .side(side)
                .iter()
                .map(|o| (o.name, o.account, o.price, o.leaves, o.quantity - o.leaves))
                .collect();
            assert_eq!(actual, expected, "seed {seed}, command {name}: {body:?}");
        }
        if random.below(50) == 0 {
            let bytes = venue.snapshot();
            venue.engine = Engine::read_snapshot(&bytes).expect("an engine's own snapshot");
            assert_eq!(venue.snapshot(), bytes, "seed {seed}, command {name}");
        }
    }
}

#[test]
fn random_orders_match_as_an_obvious_book_does() {
    for seed in 1..=20 {
        println!("seed {seed}");
        run(seed, 500, UNSETTLED);
        run(seed, 500, BTC_USD);
    }
}

#[test]
fn a_restored_venue_gives_the_same_events_for_ever() {
    for seed in 1..=10 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut venue = Venue::open();
        let warm_up: Vec<_> = (1..=200).map(|name| random_command(&mut random, name)).collect();
        let rest: Vec<_> = (201..=400).map(|name| random_command(&mut random, name)).collect();
        warm_up.iter().for_each(|body| drop(venue.apply(*body)));
        let engine = Engine::read_snapshot(&venue.snapshot()).expect("an engine's own snapshot");
        let mut restored = Venue { engine, time: venue.time };
        for body in rest {
            assert_eq!(venue.apply(body), restored.apply(body), "seed {seed}: {body:?}");
        }
        assert_eq!(venue.snapshot(), restored.snapshot(), "seed {seed}");
        assert_eq!(venue.book_bytes(), restored.book_bytes(), "seed {seed}");
    }
}

#[test]
fn mirrored_sides_give_mirrored_fills() {
    for seed in 1..=10 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let (mut venue, mut mirror) = (Venue::open(), Venue::open());
        for name in 1..=300 {
            let CommandBody::NewOrder(mut order) = random_command(&mut random, name) else { continue };
            if order.order_type != OrderType::Limit {
                continue;
            }
            let fills = trades(&venue.apply(order));
            order.side = order.side.opposite();
            order.price = Price(200 - order.price.0);
            let mirrored = trades(&mirror.apply(order));
            let back: Vec<_> = mirrored.iter().map(|&(m, t, price, quantity)| (m, t, 200 - price, quantity)).collect();
            assert_eq!(fills, back, "seed {seed}, order {name}");
        }
    }
}
