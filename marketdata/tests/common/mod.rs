//! What the tests share: a market to make orders for, numbers from a seed, and books to compare.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod lossy;

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use marketdata::Feed;
use marketdata::book::{Book, BookLevel, BookOrder};
use wire::OrderCount;

pub(crate) const BOOKS: [InstrumentId; 2] = [InstrumentId(1), InstrumentId(2)];
pub(crate) const ACCOUNT: AccountId = AccountId(2);
/// Steps that are not one, so that ticks are not taken for mantissas.
pub(crate) const TICK: i64 = 25;
pub(crate) const LOT: i64 = 10;

/// Numbers that follow from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub(crate) fn listing(instrument: InstrumentId) -> ListInstrument {
    ListInstrument {
        instrument,
        name: Text::new("X").unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: TICK as u64,
        tick_decimals: 2,
        lot: LOT as u64,
        lot_decimals: 3,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

pub(crate) fn account() -> OpenAccount {
    let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
    OpenAccount { account: ACCOUNT, stp_group, self_trade_prevention, fee_tier, note: AdminNote::NONE }
}

pub(crate) fn order(instrument: InstrumentId, side: Side, price: u64, quantity: u64, name: u64) -> NewOrder {
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

/// Command number `name` of a random day: orders of all kinds, cancels, amends, mass cancels.
pub(crate) fn command(random: &mut Random, name: u64) -> CommandBody {
    let book = BOOKS[random.below(2) as usize];
    let side = Side::BOTH[random.below(2) as usize];
    let new = order(book, side, 60 + random.below(80), 1 + random.below(9), name);
    let earlier = ClientOrderId(1 + random.below(name));
    let (account, order_id, none) = (ACCOUNT, OrderId::NONE, ClientOrderId::NONE);
    match random.below(400) {
        0 => {
            let (entered_by, side) = (SessionId::NONE, None);
            MassCancel {
                account: ACCOUNT,
                instrument: book,
                side,
                entered_by,
                client_order_id: none,
                note: AdminNote::NONE,
            }
            .into()
        }
        1..30 => NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..new }.into(),
        30..50 => {
            let stop_price = Price(60 + random.below(80));
            NewOrder { order_type: OrderType::StopLimit, stop_price, ..new }.into()
        }
        50..80 => NewOrder { display_quantity: Quantity(1 + random.below(new.quantity.0)), ..new }.into(),
        80..90 => NewOrder { self_trade_prevention: Some(SelfTradePrevention::Decrement), ..new }.into(),
        90..130 => CancelOrder { account, order_id, original_client_order_id: earlier, client_order_id: none }.into(),
        130..170 => ReplaceOrder {
            account,
            order_id,
            original_client_order_id: earlier,
            client_order_id: none,
            order_type: None,
            time_in_force: None,
            price: new.price,
            quantity: new.quantity,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
        .into(),
        _ => {
            // Mostly away from the other side, so that there is a book of many levels.
            let price = if side == Side::Buy { new.price.0 - 25 } else { new.price.0 + 25 };
            NewOrder { price: Price(price), ..new }.into()
        }
    }
}

/// The engine's levels of one side as a subscriber should have them.
pub(crate) fn levels(engine: &Engine, instrument: InstrumentId, side: Side) -> Vec<BookLevel> {
    let level = |level: LevelSummary| BookLevel {
        price: wire::Price(level.price.0 as i64 * TICK),
        quantity: wire::Quantity(level.shown as i64 * LOT),
        order_count: OrderCount(level.order_count),
    };
    engine.levels(instrument, side).map(level).collect()
}

/// Whether a book is the engine's.
pub(crate) fn is_engines(book: &Book, engine: &Engine, instrument: InstrumentId) -> bool {
    Side::BOTH.into_iter().all(|side| book.levels(side.into()).eq(levels(engine, instrument, side)))
}

/// Whether a book has the engine's orders, each at its place.
pub(crate) fn has_engines_orders(book: &Book, engine: &Engine, instrument: InstrumentId) -> bool {
    Side::BOTH.into_iter().all(|side| {
        let orders = engine.orders(instrument, side).map(|order| BookOrder {
            order_id: order.order_id.into(),
            price: wire::Price(order.price.0 as i64 * TICK),
            quantity: wire::Quantity(order.shown.0 as i64 * LOT),
        });
        book.orders(side.into()).eq(orders)
    })
}

/// A feed of which every channel is heard.
pub(crate) fn heard() -> Feed {
    let mut feed = Feed::default();
    feed.hear_all();
    feed
}

/// The same of an engine as it is.
pub(crate) fn heard_of(engine: &Engine) -> Feed {
    let mut feed = Feed::of(engine);
    feed.hear_all();
    feed
}
