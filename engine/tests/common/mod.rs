//! A small venue for scenarios: commands in, events out.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use engine::command::*;
use engine::event::*;
use engine::instrument::*;
use engine::*;

pub const BTC: AssetId = AssetId(1);
pub const USD: AssetId = AssetId(2);
/// One lot is one unit of BTC; one tick times one lot is one unit of USD. Holds on.
pub const BTC_USD: InstrumentId = InstrumentId(1);
/// The same without holds.
pub const UNSETTLED: InstrumentId = InstrumentId(2);
pub const ALICE: AccountId = AccountId(2);
pub const BOB: AccountId = AccountId(3);
pub const CAROL: AccountId = AccountId(4);
/// What each account has of each asset at the start.
pub const ENDOWMENT: u128 = 1_000_000;

pub struct Venue {
    pub engine: Engine,
    pub time: Timestamp,
}

pub fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).expect("short ASCII")
}

/// A good-till-cancelled limit order of Alice's.
pub fn limit(side: Side, price: u64, quantity: u64) -> NewOrder {
    NewOrder {
        account: ALICE,
        instrument: BTC_USD,
        client_order_id: ClientOrderId::NONE,
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

pub fn market(side: Side, quantity: u64) -> NewOrder {
    NewOrder {
        order_type: OrderType::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        price: Price::ABSENT,
        ..limit(side, 0, quantity)
    }
}

/// A stop order of Alice's that trades at any price within the market protection.
pub fn stop(side: Side, stop_price: u64, quantity: u64) -> NewOrder {
    NewOrder {
        order_type: OrderType::Stop,
        price: Price::ABSENT,
        stop_price: Price(stop_price),
        ..limit(side, 0, quantity)
    }
}

/// A stop-limit order of Alice's.
pub fn stop_limit(side: Side, stop_price: u64, price: u64, quantity: u64) -> NewOrder {
    NewOrder { order_type: OrderType::StopLimit, stop_price: Price(stop_price), ..limit(side, price, quantity) }
}

/// A market buy of Alice's that spends at most so much.
pub fn by_funds(funds: u128) -> NewOrder {
    NewOrder { quantity: Quantity::ABSENT, funds: Amount(funds), ..market(Side::Buy, 0) }
}

pub trait By {
    #[must_use]
    fn by(self, account: AccountId) -> Self;
    #[must_use]
    fn named(self, name: u64) -> Self;
    #[must_use]
    fn lasting(self, time_in_force: TimeInForce) -> Self;
    #[must_use]
    fn showing(self, display: u64) -> Self;
    #[must_use]
    fn until(self, expire_at: u64) -> Self;
    #[must_use]
    fn preventing(self, mode: SelfTradePrevention) -> Self;
}

impl By for NewOrder {
    fn by(self, account: AccountId) -> Self {
        Self { account, ..self }
    }

    fn named(self, name: u64) -> Self {
        Self { client_order_id: ClientOrderId(name), ..self }
    }

    fn lasting(self, time_in_force: TimeInForce) -> Self {
        Self { time_in_force, ..self }
    }

    fn showing(self, display: u64) -> Self {
        Self { display_quantity: Quantity(display), ..self }
    }

    fn until(self, expire_at: u64) -> Self {
        Self { time_in_force: TimeInForce::GoodTillDate, expire_at: Timestamp(expire_at), ..self }
    }

    fn preventing(self, mode: SelfTradePrevention) -> Self {
        Self { self_trade_prevention: Some(mode), ..self }
    }
}

/// An amend of Alice's order with this name; nothing changes.
pub fn replace(name: u64) -> ReplaceOrder {
    ReplaceOrder {
        account: ALICE,
        order_id: OrderId::NONE,
        original_client_order_id: ClientOrderId(name),
        client_order_id: ClientOrderId::NONE,
        order_type: None,
        time_in_force: None,
        price: Price::ABSENT,
        quantity: Quantity::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

/// A cancel of an order of this account with this name.
pub fn cancel(account: AccountId, name: u64) -> CancelOrder {
    CancelOrder {
        account,
        order_id: OrderId::NONE,
        original_client_order_id: ClientOrderId(name),
        client_order_id: ClientOrderId::NONE,
    }
}

pub fn listing(instrument: InstrumentId, holds: Holds) -> ListInstrument {
    ListInstrument {
        instrument,
        name: text("BTC-USD"),
        base: BTC,
        quote: USD,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price::ABSENT,
        holds,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

pub fn open_account(account: AccountId) -> OpenAccount {
    OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note: AdminNote::NONE }
}

pub fn asset(asset: AssetId, name: &str) -> AddAsset {
    AddAsset { asset, name: text(name), decimals: 0, note: AdminNote::NONE }
}

pub fn set_phase(instrument: InstrumentId, phase: Phase) -> SetPhase {
    SetPhase { instrument, phase, note: AdminNote::NONE }
}

pub fn deposit(account: AccountId, asset: AssetId, amount: u128) -> Deposit {
    Deposit { account, asset, amount: Amount(amount), note: AdminNote::NONE }
}

pub fn set_fees(maker: i32, taker: i32) -> SetFees {
    SetFees { instrument: BTC_USD, tier: 0, rates: FeeRates { maker, taker }, note: AdminNote::NONE }
}

impl Venue {
    /// Two assets, two instruments, and Alice, Bob and Carol with a million of each asset.
    pub fn open() -> Self {
        let mut venue = Self::empty(Capacity::SMALL);
        venue.expect_accepted(asset(BTC, "BTC"));
        venue.expect_accepted(asset(USD, "USD"));
        venue.expect_accepted(listing(BTC_USD, Holds::On));
        venue.expect_accepted(listing(UNSETTLED, Holds::Off));
        for account in [ALICE, BOB, CAROL] {
            venue.expect_accepted(open_account(account));
            for asset in [BTC, USD] {
                venue.expect_accepted(deposit(account, asset, ENDOWMENT));
            }
        }
        venue
    }

    pub fn empty(capacity: Capacity) -> Self {
        Self { engine: Engine::new(capacity), time: Timestamp(1_000) }
    }

    /// Applies the venue's own command.
    pub fn apply(&mut self, body: impl Into<CommandBody>) -> Vec<Event> {
        self.apply_from(CommandHeader::VENUE, body)
    }

    pub fn apply_from(&mut self, header: CommandHeader, body: impl Into<CommandBody>) -> Vec<Event> {
        self.apply_command(Command { header, body: body.into() })
    }

    pub fn apply_command(&mut self, value: Command) -> Vec<Event> {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.time };
        let mut events: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value }, &mut events);
        assert_eq!(self.engine.audit(), Ok(()), "after {value:?}");
        for (index, (header, _)) in events.iter().enumerate() {
            let id = EventId { sequence: stamp.sequence, index: u32::try_from(index).unwrap() };
            assert_eq!((header.id, header.time), (id, stamp.time));
        }
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// Applies the venue's own command without a look at anything, for long histories.
    pub fn engine_only(&mut self, body: impl Into<CommandBody>) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.time };
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut ());
    }

    /// Applies a command that must not be refused.
    pub fn expect_accepted(&mut self, body: impl Into<CommandBody>) -> Vec<Event> {
        let events = self.apply(body);
        assert_eq!(reasons(&events), [], "{events:?}");
        events
    }

    /// What an account has: available and held of BTC, available and held of USD.
    pub fn balances(&self, account: AccountId) -> [u128; 4] {
        let balance = |asset| self.engine.balance(account, asset).expect("an open account");
        let (btc, usd) = (balance(BTC), balance(USD));
        [btc.available.0, btc.held.0, usd.available.0, usd.held.0]
    }

    /// A side of the book as (client order id, price, leaves) by priority.
    pub fn side(&self, side: Side) -> Vec<(u64, u64, u64)> {
        let orders = self.engine.orders(BTC_USD, side);
        orders.map(|order| (order.client_order_id.0, order.price.0, order.leaves.0)).collect()
    }

    /// As [`Venue::side`], with what is shown instead.
    pub fn shown(&self, side: Side) -> Vec<(u64, u64, u64)> {
        let orders = self.engine.orders(BTC_USD, side);
        orders.map(|order| (order.client_order_id.0, order.price.0, order.shown.0)).collect()
    }

    /// The stops that wait on a side as (client order id, stop price), the first to be elected first.
    pub fn stops(&self, side: Side) -> Vec<(u64, u64)> {
        let orders = self.engine.stops(BTC_USD, side);
        orders.map(|order| (order.client_order_id.0, order.stop_price.0)).collect()
    }

    /// Lets time pass to `time` and does what is due.
    pub fn advance(&mut self, time: u64) -> Vec<Event> {
        self.time = Timestamp(time);
        self.apply(AdvanceTime {})
    }

    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.engine.write_snapshot(&mut bytes);
        bytes
    }

    pub fn book_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.engine.write_book(&mut bytes);
        bytes
    }
}

/// The reasons of all refusals among the events.
pub fn reasons(events: &[Event]) -> Vec<RejectReason> {
    let reason = |event: &Event| match event {
        Event::OrderRejected(event) => Some(event.reason),
        Event::CancelRejected(event) => Some(event.reason),
        Event::MassCancelRejected(event) => Some(event.reason),
        Event::SessionRejected(event) => Some(event.reason),
        Event::CommandRejected(event) => Some(event.reason),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

/// The trades among the events as (maker's name, taker's name, price, quantity).
pub fn trades(events: &[Event]) -> Vec<(u64, u64, u64, u64)> {
    let trade = |event: &Event| match event {
        Event::Trade(trade) => {
            Some((trade.maker.client_order_id.0, trade.taker.client_order_id.0, trade.price.0, trade.quantity.0))
        }
        _ => None,
    };
    events.iter().filter_map(trade).collect()
}

/// The cancels among the events as (name, cancelled quantity, reason).
pub fn cancels(events: &[Event]) -> Vec<(u64, u64, CancelReason)> {
    let cancel = |event: &Event| match event {
        Event::OrderCancelled(event) => Some((event.order.client_order_id.0, event.cancelled.0, event.reason)),
        _ => None,
    };
    events.iter().filter_map(cancel).collect()
}

/// What happened to orders, in words; orders by their traders' names, a trade's maker first.
pub fn told(events: &[Event]) -> Vec<String> {
    let tell = |event: &Event| match event {
        Event::OrderAccepted(event) => Some(format!("new {}", event.order.client_order_id)),
        Event::OrderReplaced(event) => {
            Some(format!("replaced {} priority {:?}", event.order.client_order_id, event.priority))
        }
        Event::Trade(event) => {
            let (maker, taker) = (event.maker.client_order_id, event.taker.client_order_id);
            Some(format!("trade {maker} {taker} {}@{}", event.quantity.0, event.price.0))
        }
        Event::OrderCancelled(event) => {
            Some(format!("cancel {} of {}: {:?}", event.cancelled.0, event.order.client_order_id, event.reason))
        }
        Event::OrderTriggered(event) => {
            Some(format!("triggered {} by {}", event.order.client_order_id, event.elected_by.0))
        }
        Event::OrderRestated(event) => {
            let OrderState { client_order_id, shown, leaves, .. } = event.order;
            Some(format!("{:?} {client_order_id}: {} of {}", event.reason, shown.0, leaves.0))
        }
        Event::MatchPrevented(event) => {
            Some(format!("prevented {:?} {}@{}", event.mode, event.quantity.0, event.price.0))
        }
        Event::OrderRejected(event) => Some(format!("refused {}: {:?}", event.client_order_id, event.reason)),
        Event::CancelRejected(event) => Some(format!("refused {}: {:?}", event.original_client_order_id, event.reason)),
        _ => None,
    };
    events.iter().filter_map(tell).collect()
}

/// A small generator of reproducible numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
