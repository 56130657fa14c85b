//! What traders send: orders of every kind around prices that wander, amends and cancels of orders that are open.
//!
//! Everything follows from the seed and from what the engine has said so far. Feedback holds the number of open orders near
//! its target.

use engine::command::{AdminNote, CancelOrder, MassCancel, NewOrder, ReplaceOrder};
use engine::event::{OrderAccepted, OrderCancelled, OrderState, Trade, TradeSide};
use engine::{
    AccountId, Amount, ClientOrderId, Command, CommandBody, CommandHeader, Event, EventHeader, EventSink, InstrumentId,
    OnDisconnect, OrderFlags, OrderId, OrderType, Price, Quantity, SessionId, SessionSequence, Side, TimeInForce,
    Timestamp,
};

use super::setting::{self, INSTRUMENTS, PRICE_END, TRADERS};
use crate::random::Random;

/// Open orders that are aimed at, in all instruments.
const OPEN_TARGET: usize = 16_000;
/// As many as the engine has room for: a batch may go beyond the target.
pub(super) const OPEN_MAX: u32 = 24_000;
/// Prices wander so far from where they begin, in ticks.
const REACH: u64 = PRICE_END / 4;
/// Orders lie up to a power of two of ticks from the middle, at most this one.
const DISTANCE_BITS_MAX: u64 = 9;
/// Lots of an order, at most.
const QUANTITY_MAX: u64 = 100;
/// How long dated orders live at most, in nanoseconds.
const LIFE_MAX_NS: u64 = 100_000_000;

/// Makes commands.
pub(super) struct Traffic {
    random: Random,
    /// Of each instrument, in ticks.
    middles: [u64; INSTRUMENTS as usize],
    /// The last number of each trader's session.
    sent: [SessionSequence; TRADERS as usize],
    /// The last name that an order or request was given.
    last_name: u64,
}

impl Traffic {
    /// The traffic of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            middles: [PRICE_END / 2; INSTRUMENTS as usize],
            sent: [SessionSequence::NONE; TRADERS as usize],
            last_name: 0,
        }
    }

    /// The next command, as of `at`.
    pub(super) fn next(&mut self, open: &OpenOrders, at: Timestamp) -> Command {
        let (trader, body) = match self.random.below(1_000) {
            0..400 if open.orders.len() < OPEN_TARGET => self.passive(TimeInForce::GoodTillCancel, at),
            400..420 if open.orders.len() < OPEN_TARGET => self.passive(TimeInForce::GoodTillDate, at),
            420..530 => self.aggressive(),
            530..540 => self.stop_limit(),
            540..690 if open.any() => self.amend(open),
            690 if self.random.below(4) == 0 => self.mass_cancel(),
            _ => match open.any() {
                true => self.cancel(open),
                false => self.passive(TimeInForce::GoodTillCancel, at),
            },
        };
        let sent = &mut self.sent[trader as usize];
        *sent = sent.next();
        let header = CommandHeader { client_sequence: *sent, received_at: at, ..setting::header(trader) };
        Command { header, body }
    }

    /// One that is to rest: plain, sometimes only if it rests, sometimes shown in part.
    fn passive(&mut self, time_in_force: TimeInForce, at: Timestamp) -> (u32, CommandBody) {
        let order = self.order();
        let expire_at = match time_in_force {
            TimeInForce::GoodTillDate => Timestamp(at.0 + 1 + self.random.below(LIFE_MAX_NS)),
            _ => Timestamp::NONE,
        };
        let (flags, display_quantity) = match self.random.below(20) {
            0 => (OrderFlags::POST_ONLY, Quantity::ABSENT),
            1 => (OrderFlags::NONE, Quantity(order.quantity.0.div_ceil(4))),
            _ => (OrderFlags::NONE, Quantity::ABSENT),
        };
        self.of_anyone(NewOrder { time_in_force, flags, display_quantity, expire_at, ..order })
    }

    /// One that is to trade.
    fn aggressive(&mut self) -> (u32, CommandBody) {
        let order = self.order();
        let through = self.random.below(8);
        let middle = self.middle(order.instrument);
        let price = Price(if order.side == Side::Buy { middle + through } else { middle - through });
        let order = NewOrder { price, ..order };
        let at_once = TimeInForce::ImmediateOrCancel;
        let order = match self.random.below(20) {
            0..4 => order,
            4..6 => NewOrder { order_type: OrderType::Market, time_in_force: at_once, price: Price::ABSENT, ..order },
            6 => NewOrder { time_in_force: TimeInForce::FillOrKill, ..order },
            7 => NewOrder { time_in_force: at_once, minimum_quantity: Quantity(1), ..order },
            _ => NewOrder { time_in_force: at_once, ..order },
        };
        self.of_anyone(order)
    }

    /// One that waits for the price to come its way.
    fn stop_limit(&mut self) -> (u32, CommandBody) {
        let order = self.order();
        let (middle, away) = (self.middle(order.instrument), 2 + self.random.below(16));
        let (stop, limit) = match order.side {
            Side::Buy => (middle + away, middle + away + 4),
            Side::Sell => (middle - away, middle - away - 4),
        };
        let (stop_price, price) = (Price(stop), Price(limit));
        self.of_anyone(NewOrder { order_type: OrderType::StopLimit, stop_price, price, ..order })
    }

    fn amend(&mut self, open: &OpenOrders) -> (u32, CommandBody) {
        let OpenOrder { order_id, trader, instrument, side } = open.one(&mut self.random);
        let price = self.price(instrument, side);
        let quantity =
            if self.random.below(4) == 0 { Quantity(1 + self.random.below(QUANTITY_MAX)) } else { Quantity::ABSENT };
        let body = ReplaceOrder {
            account: setting::account(trader),
            order_id,
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: self.name(),
            order_type: None,
            time_in_force: None,
            price,
            quantity,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        };
        (trader, body.into())
    }

    fn cancel(&mut self, open: &OpenOrders) -> (u32, CommandBody) {
        let OpenOrder { order_id, trader, .. } = open.one(&mut self.random);
        let body = CancelOrder {
            account: setting::account(trader),
            order_id,
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: self.name(),
        };
        (trader, body.into())
    }

    /// All of a trader's orders in an instrument.
    fn mass_cancel(&mut self) -> (u32, CommandBody) {
        let trader = self.trader();
        let body = MassCancel {
            account: setting::account(trader),
            instrument: self.instrument(),
            side: None,
            entered_by: SessionId::NONE,
            client_order_id: self.name(),
            note: AdminNote::NONE,
        };
        (trader, body.into())
    }

    fn of_anyone(&mut self, order: NewOrder) -> (u32, CommandBody) {
        let trader = self.trader();
        (trader, NewOrder { account: setting::account(trader), ..order }.into())
    }

    /// A limit order of nobody yet, on its side of the middle.
    fn order(&mut self) -> NewOrder {
        let (instrument, side) = (self.instrument(), Side::BOTH[usize::from(self.random.below(2) == 0)]);
        NewOrder {
            account: AccountId::NONE,
            instrument,
            client_order_id: self.name(),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price: self.price(instrument, side),
            quantity: Quantity(1 + self.random.below(QUANTITY_MAX)),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
    }

    fn price(&mut self, instrument: InstrumentId, side: Side) -> Price {
        let bits = 1 + self.random.below(DISTANCE_BITS_MAX);
        let distance = 1 + self.random.below(1 << bits);
        let middle = self.middle(instrument);
        Price(if side == Side::Buy { middle - distance } else { middle + distance })
    }

    fn instrument(&mut self) -> InstrumentId {
        let number = self.random.below(INSTRUMENTS.into()) as u32 + 1;
        if self.random.below(32) == 0 {
            let middle = &mut self.middles[number as usize - 1];
            *middle = (*middle + self.random.below(3) - 1).clamp(PRICE_END / 2 - REACH, PRICE_END / 2 + REACH);
        }
        InstrumentId(number)
    }

    fn middle(&self, instrument: InstrumentId) -> u64 {
        self.middles[instrument.0 as usize - 1]
    }

    fn trader(&mut self) -> u32 {
        self.random.below(TRADERS.into()) as u32
    }

    fn name(&mut self) -> ClientOrderId {
        self.last_name += 1;
        ClientOrderId(self.last_name)
    }
}

/// What has become of the orders: those that are open.
#[derive(Default)]
pub(super) struct OpenOrders {
    /// In no order.
    orders: Vec<OpenOrder>,
    /// Of each of the engine's slots: the place of its order, and one.
    places: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct OpenOrder {
    order_id: OrderId,
    trader: u32,
    instrument: InstrumentId,
    side: Side,
}

impl OpenOrders {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.orders.len()
    }

    fn any(&self) -> bool {
        !self.orders.is_empty()
    }

    fn one(&self, random: &mut Random) -> OpenOrder {
        self.orders[random.below(self.orders.len() as u64) as usize]
    }

    fn opened(&mut self, accepted: &OrderAccepted) {
        let OrderState { order_id, instrument, side, .. } = accepted.order;
        let slot = order_id.slot() as usize;
        if self.places.len() <= slot {
            self.places.resize(slot + 1, 0);
        }
        let trader = accepted.report.account.0 - setting::account(0).0;
        self.orders.push(OpenOrder { order_id, trader, instrument, side });
        self.places[slot] = self.orders.len() as u32;
    }

    fn ended(&mut self, order_id: OrderId) {
        let place = std::mem::take(&mut self.places[order_id.slot() as usize]);
        let index = place as usize - 1;
        self.orders.swap_remove(index);
        if let Some(moved) = self.orders.get(index) {
            self.places[moved.order_id.slot() as usize] = place;
        }
    }

    fn traded(&mut self, side: &TradeSide) {
        if side.leaves == Quantity::ZERO {
            self.ended(side.order_id);
        }
    }
}

impl EventSink for OpenOrders {
    #[inline]
    fn event(&mut self, _: &EventHeader, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => self.opened(accepted),
            Event::OrderCancelled(OrderCancelled { order, .. }) => self.ended(order.order_id),
            Event::Trade(Trade { maker, taker, .. }) => {
                self.traded(maker);
                self.traded(taker);
            }
            _ => {}
        }
    }
}
