//! The interface's messages, as commands to the engine.

use engine::command::{AdminNote, CancelOrder, ListInstrument, NewOrder, OpenAccount, ReplaceOrder};
use engine::instrument::{Holds, Phase};
use engine::order::{OnDisconnect, OrderFlags, OrderType, SelfTradePrevention, TimeInForce};
use engine::{
    AccountId, Amount, AssetId, Capacity, ClientOrderId, Command, CommandBody, Engine, InstrumentId, Price, Quantity,
    Sequenced, Side, Stamp, StpGroup, Text, Timestamp,
};

use crate::interface;
use crate::names::Names;
use crate::reporter::{Amends, Asked, Outbox, Reporter};

const INSTRUMENT: InstrumentId = InstrumentId(1);
/// The first is the venue's.
const ACCOUNT: AccountId = AccountId(AccountId::FEES.0 + 1);

const CAPACITY: Capacity = Capacity {
    orders: 1 << 20,
    accounts: ACCOUNT.0,
    assets: 1,
    instruments: INSTRUMENT.0,
    sessions: 1,
    keys: 1,
    grants: 1,
    price_blocks: 1 << 16,
};

/// The interface's price zero, in the engine's ticks.
const PRICE_ZERO: i64 = Price::MAX.0.cast_signed() / 2;

/// One engine with one instrument, driven by the interface's messages.
#[derive(Debug)]
pub struct Adapter<O> {
    engine: Engine,
    reporter: Reporter<O>,
}

impl<O: Outbox> Adapter<O> {
    /// The highest price that is carried, in ticks; the lowest is one tick above its negative.
    pub const PRICE_MAX: i64 = PRICE_ZERO;

    /// An empty book whose reports go to `outbox`.
    pub fn new(outbox: O) -> Self {
        let asked = Asked { order_id: 0, sequence_number: 0, amends: Amends::Told };
        let reporter = Reporter { names: Names::new(CAPACITY.orders), outbox, asked };
        let mut adapter = Self { engine: Engine::new(CAPACITY), reporter };
        adapter.apply(OpenAccount {
            account: ACCOUNT,
            stp_group: StpGroup::NONE,
            self_trade_prevention: None,
            fee_tier: 0,
            note: AdminNote::NONE,
        });
        adapter.apply(ListInstrument {
            instrument: INSTRUMENT,
            name: Text::new("A").unwrap_or(Text::EMPTY),
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
            note: AdminNote::NONE,
        });
        assert!(adapter.engine.listing(INSTRUMENT).is_some(), "the instrument can be listed");
        adapter
    }

    /// Enters an order, unless one with this id is open.
    #[inline]
    pub fn new_order(&mut self, message: &interface::NewOrder) {
        self.ask(message.order_id, message.sequence_number);
        if !self.reporter.asked_order().is_none() {
            return;
        }
        self.apply(NewOrder {
            account: ACCOUNT,
            instrument: INSTRUMENT,
            client_order_id: ClientOrderId::NONE,
            side: side(message.side),
            order_type: OrderType::Limit,
            time_in_force: match message.ioc {
                0 => TimeInForce::GoodTillCancel,
                _ => TimeInForce::ImmediateOrCancel,
            },
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::Keep,
            price: venue_price(message.price_ticks),
            quantity: Quantity(message.quantity.into()),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        });
    }

    /// Cancels an order.
    #[inline]
    pub fn cancel(&mut self, message: &interface::Cancel) {
        self.ask(message.order_id, message.sequence_number);
        self.apply(CancelOrder {
            account: ACCOUNT,
            order_id: self.reporter.asked_order(),
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: ClientOrderId::NONE,
        });
    }

    /// Amends an order, which goes to the back of its queue.
    ///
    /// The engine counts what has traded, the interface does not. The engine keeps the place of an order whose quantity
    /// shrinks at its price, the interface does not: such an order grows by a lot before it shrinks.
    #[inline]
    pub fn modify(&mut self, message: &interface::Modify) {
        self.ask(message.order_id, message.sequence_number);
        let price = venue_price(message.price_ticks);
        let mut quantity = u64::from(message.quantity);
        if quantity > 0
            && let Some(resting) = self.engine.order(self.reporter.asked_order())
        {
            quantity += resting.cumulative.0;
            let order_quantity = (resting.cumulative + resting.leaves).0;
            if price == resting.price && quantity <= order_quantity {
                self.reporter.asked.amends = Amends::Silent;
                self.replace(price, Quantity(order_quantity + 1));
                self.reporter.asked.amends = Amends::Told;
            }
        }
        self.replace(price, Quantity(quantity));
    }

    /// Makes every report visible to its reader.
    #[inline]
    pub fn publish(&mut self) {
        self.reporter.outbox.publish();
    }

    /// The best price of a side.
    pub fn best_price(&self, side: u8) -> Option<i64> {
        self.engine.best_price(INSTRUMENT, self::side(side)).map(client_price)
    }

    /// What rests at a price; nothing: zero.
    pub fn depth(&self, price_ticks: i64, side: u8) -> u64 {
        self.engine.quantity_at(INSTRUMENT, self::side(side), venue_price(price_ticks)) as u64
    }

    fn replace(&mut self, price: Price, quantity: Quantity) {
        self.apply(ReplaceOrder {
            account: ACCOUNT,
            order_id: self.reporter.asked_order(),
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: ClientOrderId::NONE,
            order_type: None,
            time_in_force: None,
            price,
            quantity,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        });
    }

    fn ask(&mut self, order_id: u64, sequence_number: u64) {
        self.reporter.asked = Asked { order_id, sequence_number, amends: Amends::Told };
    }

    #[inline]
    fn apply(&mut self, body: impl Into<CommandBody>) {
        let last = self.engine.last();
        let stamp = Stamp { sequence: last.sequence.next(), time: last.time };
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut self.reporter);
    }
}

fn side(code: u8) -> Side {
    match code {
        0 => Side::Buy,
        _ => Side::Sell,
    }
}

/// In the engine's ticks; beyond the range, a price that the engine refuses.
fn venue_price(price_ticks: i64) -> Price {
    let ticks = price_ticks.checked_add(PRICE_ZERO).and_then(|ticks| u64::try_from(ticks).ok());
    ticks.map_or(Price::ZERO, Price)
}

/// In the interface's ticks.
pub(crate) fn client_price(price: Price) -> i64 {
    price.0.cast_signed() - PRICE_ZERO
}
