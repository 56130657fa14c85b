//! MarketByPrice against the engine's own levels, and against a book that knows nothing but the changes.

use std::collections::BTreeMap;

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use marketdata::{ByPrice, Level, LevelChange};

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
    feed: ByPrice,
}

impl Venue {
    fn open() -> Self {
        let mut venue = Self { engine: Engine::new(Capacity::SMALL), feed: ByPrice::default() };
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
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: Timestamp(1) };
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        events.iter().for_each(|(_, event)| self.feed.event(event));
        self.feed.changes().collect()
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
            for LevelChange { instrument, side, price, level, .. } in venue.apply(body) {
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
        }
        let joined = ByPrice::of(&venue.engine, BOOKS);
        for (book, side) in BOOKS.into_iter().flat_map(|book| Side::BOTH.map(|side| (book, side))) {
            assert!(joined.levels(book, side).eq(venue.feed.levels(book, side)), "seed {seed}");
        }
    }
}
