//! The public books against the engine's own, and against books that know nothing but the changes.

use std::collections::BTreeMap;

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use marketdata::{Books, Level, LevelChange, OrderAction, OrderChange};

const BOOKS: [InstrumentId; 2] = [InstrumentId(1), InstrumentId(2)];
const ACCOUNT: AccountId = AccountId(2);

fn order(instrument: InstrumentId, side: Side, price: u64, quantity: u64, name: u64) -> NewOrder {
    NewOrder {
        account: ACCOUNT,
        instrument,
        client_order_id: ClientOrderId(name),
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price: Price(price),
        quantity: Quantity(quantity),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

struct Venue {
    engine: Engine,
    feed: Books,
}

impl Venue {
    fn open() -> Self {
        let mut venue = Self { engine: Engine::new(Capacity::SMALL), feed: Books::default() };
        let note = AdminNote::NONE;
        for instrument in BOOKS {
            venue.apply(ListInstrument {
                instrument,
                name: Text::new("X").unwrap(),
                base: AssetId::NONE,
                quote: AssetId::NONE,
                tick: 1,
                tick_decimals: 0,
                lot: 1,
                lot_decimals: 0,
                reference: Price::ABSENT,
                holds: Holds::Off,
                self_trade_prevention: SelfTradePrevention::Allow,
                phase: Phase::Continuous,
                note,
            });
        }
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        venue.apply(OpenAccount { account: ACCOUNT, stp_group, self_trade_prevention, fee_tier, note });
        venue
    }

    fn apply(&mut self, body: impl Into<CommandBody>) -> Vec<LevelChange> {
        self.both(body).0
    }

    fn both(&mut self, body: impl Into<CommandBody>) -> (Vec<LevelChange>, Vec<OrderChange>) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: Timestamp(1) };
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        events.iter().for_each(|(_, event)| self.feed.event(event));
        let (mut levels, mut orders) = (Vec::new(), Vec::new());
        self.feed.end_of_command(&mut levels, &mut orders);
        (levels, orders)
    }
}

/// Levels are (quantity, order count).
fn change(side: Side, price: u64, before: (u64, u32), after: (u64, u32)) -> LevelChange {
    let [before, level] = [before, after].map(|(quantity, order_count)| Level { quantity, order_count });
    LevelChange { instrument: BOOKS[0], side, price: Price(price), before, level }
}

#[test]
fn a_command_changes_each_level_once() {
    let mut venue = Venue::open();
    let book = BOOKS[0];
    assert_eq!(venue.apply(order(book, Side::Sell, 100, 5, 1)), [change(Side::Sell, 100, (0, 0), (5, 1))]);
    assert_eq!(venue.apply(order(book, Side::Sell, 100, 2, 2)), [change(Side::Sell, 100, (5, 1), (7, 2))]);
    assert_eq!(venue.apply(order(book, Side::Sell, 101, 1, 3)), [change(Side::Sell, 101, (0, 0), (1, 1))]);
    // Takes 7 at 100 and 1 at 101, and rests 2 at 101: no moment in between is shown.
    assert_eq!(
        venue.apply(order(book, Side::Buy, 101, 10, 4)),
        [
            change(Side::Buy, 101, (0, 0), (2, 1)),
            change(Side::Sell, 100, (7, 2), (0, 0)),
            change(Side::Sell, 101, (1, 1), (0, 0)),
        ]
    );
    let best = venue.feed.best(book);
    assert_eq!(best.bid, Some((Price(101), Level { quantity: 2, order_count: 1 })));
    assert_eq!(best.offer, None);
    // What only takes, or takes and puts back the same, changes nothing of its own.
    let immediate = NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..order(book, Side::Sell, 102, 1, 5) };
    assert_eq!(venue.apply(immediate), []);
}

/// By level, the next to trade first.
type Queues = BTreeMap<(InstrumentId, Side, Price), Vec<(OrderId, Quantity)>>;

/// What a subscriber that sees every order does.
fn follow(queues: &mut Queues, change: &OrderChange) {
    let &OrderChange { instrument, order_id, side, price, shown, action } = change;
    let queue = queues.entry((instrument, side, price)).or_default();
    let place = queue.iter().position(|&(id, _)| id == order_id);
    match (action, place) {
        (OrderAction::New, None) => queue.push((order_id, shown)),
        (OrderAction::Change, Some(place)) => queue[place].1 = shown,
        (OrderAction::Delete, Some(place)) => drop(queue.remove(place)),
        (action, place) => panic!("{action:?} of an order at {place:?}"),
    }
    if queue.is_empty() {
        queues.remove(&(instrument, side, price));
    }
}

#[test]
fn random_changes_rebuild_the_engines_book() {
    for seed in 1..=10_u64 {
        println!("seed {seed}");
        let mut state = seed;
        let mut below = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let mut venue = Venue::open();
        let mut rebuilt: BTreeMap<(InstrumentId, Side, Price), Level> = BTreeMap::new();
        let mut queues_rebuilt: Queues = BTreeMap::new();
        for name in 1..=2_000 {
            let book = BOOKS[below(2) as usize];
            let side = if below(2) == 0 { Side::Buy } else { Side::Sell };
            let new = order(book, side, 90 + below(20), 1 + below(9), name);
            let earlier = ClientOrderId(1 + below(name));
            let (account, order_id, none) = (ACCOUNT, OrderId::NONE, ClientOrderId::NONE);
            let iceberg = NewOrder { display_quantity: Quantity(1 + below(new.quantity.0)), ..new };
            let body: CommandBody = match below(12) {
                0 => NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..new }.into(),
                1 => CancelOrder { account, order_id, original_client_order_id: earlier, client_order_id: none }.into(),
                3 => ReplaceOrder {
                    account,
                    order_id,
                    original_client_order_id: earlier,
                    client_order_id: none,
                    order_type: None,
                    time_in_force: None,
                    price: Price(90 + below(20)),
                    quantity: Quantity(1 + below(9)),
                    stop_price: Price::ABSENT,
                    display_quantity: [Quantity::ABSENT, Quantity(1 + below(3))][below(2) as usize],
                    expire_at: Timestamp::NONE,
                }
                .into(),
                4 => {
                    let stop_price = Price(90 + below(20));
                    NewOrder { order_type: OrderType::StopLimit, stop_price, ..iceberg }.into()
                }
                5 => {
                    let (order_type, price) = (OrderType::Stop, Price::ABSENT);
                    NewOrder { order_type, price, stop_price: Price(90 + below(20)), ..new }.into()
                }
                6 | 7 => iceberg.into(),
                8 => {
                    let modes = [SelfTradePrevention::Decrement, SelfTradePrevention::CancelResting];
                    NewOrder { self_trade_prevention: Some(modes[below(2) as usize]), ..iceberg }.into()
                }
                _ => new.into(),
            };
            let (levels, orders) = venue.both(body);
            orders.iter().for_each(|change| follow(&mut queues_rebuilt, change));
            for LevelChange { instrument, side, price, level, .. } in levels {
                match level.order_count {
                    0 => drop(rebuilt.remove(&(instrument, side, price)).expect("a level that was there")),
                    _ => drop(rebuilt.insert((instrument, side, price), level)),
                }
            }
            let mut actual = BTreeMap::new();
            for (book, side) in BOOKS.into_iter().flat_map(|book| Side::BOTH.map(|side| (book, side))) {
                for level in venue.engine.levels(book, side) {
                    let quantity = u64::try_from(level.shown).unwrap();
                    actual.insert((book, side, level.price), Level { quantity, order_count: level.order_count });
                }
            }
            assert_eq!(rebuilt, actual, "seed {seed}, command {name}");
            let mut actual = Queues::new();
            for (book, side) in BOOKS.into_iter().flat_map(|book| Side::BOTH.map(|side| (book, side))) {
                for RestingOrder { price, order_id, shown, .. } in venue.engine.orders(book, side) {
                    actual.entry((book, side, price)).or_default().push((order_id, shown));
                }
            }
            assert_eq!(queues_rebuilt, actual, "seed {seed}, command {name}");
        }
        let joined = Books::of(&venue.engine, BOOKS);
        for (book, side) in BOOKS.into_iter().flat_map(|book| Side::BOTH.map(|side| (book, side))) {
            assert!(joined.levels(book, side).eq(venue.feed.levels(book, side)), "seed {seed}");
            assert_eq!(queues(&joined, book, side), queues(&venue.feed, book, side), "seed {seed}");
        }
    }
}

fn queues(books: &Books, book: InstrumentId, side: Side) -> Vec<(Price, OrderId, Quantity)> {
    let levels = books.orders(book, side);
    levels.flat_map(|(price, orders)| orders.map(move |order| (price, order.order_id, order.shown))).collect()
}

/// (order, price, shown, action) of each order that a command changed.
fn orders_of(changes: &[OrderChange]) -> Vec<(OrderId, u64, u64, OrderAction)> {
    changes.iter().map(|it| (it.order_id, it.price.0, it.shown.0, it.action)).collect()
}

#[test]
fn a_command_changes_each_order_once_and_who_loses_its_place_leaves_and_comes() {
    use OrderAction::{Change, Delete, New};
    let mut venue = Venue::open();
    let book = BOOKS[0];
    let iceberg =
        |name, quantity| NewOrder { display_quantity: Quantity(2), ..order(book, Side::Sell, 100, quantity, name) };
    let placed = |venue: &mut Venue, order: NewOrder| venue.both(order).1[0].order_id;
    let first = placed(&mut venue, iceberg(1, 5));
    let second = placed(&mut venue, order(book, Side::Sell, 100, 3, 2));
    assert_eq!(
        queues(&venue.feed, book, Side::Sell),
        [(Price(100), first, Quantity(2)), (Price(100), second, Quantity(3))]
    );
    // Takes the tip, which is followed by another at the back, and one of the second. The incoming order is never seen.
    let immediate = |quantity, name| NewOrder {
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..order(book, Side::Buy, 100, quantity, name)
    };
    let (_, changes) = venue.both(immediate(3, 3));
    assert_eq!(orders_of(&changes), [(first, 100, 0, Delete), (second, 100, 2, Change), (first, 100, 2, New)]);
    assert_eq!(
        queues(&venue.feed, book, Side::Sell),
        [(Price(100), second, Quantity(2)), (Price(100), first, Quantity(2))]
    );
    // Two tips in one command: what there was between is not told.
    let (_, changes) = venue.both(immediate(4, 4));
    assert_eq!(orders_of(&changes), [(second, 100, 0, Delete), (first, 100, 0, Delete), (first, 100, 1, New)]);
    // What rests after it traded is new, and what stays the same under another name is nothing.
    let (_, changes) = venue.both(order(book, Side::Buy, 101, 4, 5));
    let resting = changes[1].order_id;
    assert_eq!(orders_of(&changes), [(first, 100, 0, Delete), (resting, 101, 3, New)]);
    let replace = |name, price, quantity| ReplaceOrder {
        account: ACCOUNT,
        order_id: resting,
        original_client_order_id: ClientOrderId::NONE,
        client_order_id: ClientOrderId(name),
        order_type: None,
        time_in_force: None,
        price: Price(price),
        quantity: Quantity(quantity),
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    };
    let behind = placed(&mut venue, order(book, Side::Buy, 101, 7, 6));
    assert_eq!(orders_of(&venue.both(replace(7, 101, 4)).1), []);
    assert_eq!(orders_of(&venue.both(replace(8, 101, 3)).1), [(resting, 101, 2, Change)]);
    assert_eq!(orders_of(&venue.both(replace(9, 101, 8)).1), [(resting, 101, 0, Delete), (resting, 101, 7, New)]);
    let bids: Vec<OrderId> = queues(&venue.feed, book, Side::Buy).iter().map(|&(_, order_id, _)| order_id).collect();
    assert_eq!(bids, [behind, resting]);
    assert_eq!(orders_of(&venue.both(replace(10, 99, 8)).1), [(resting, 101, 0, Delete), (resting, 99, 7, New)]);
}
