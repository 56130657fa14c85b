//! The model's auctions and price protection against numbers that were worked by hand: what the engine is compared with
//! has to be right itself.

use engine::command::*;
use engine::event::PriceBound;
use engine::instrument::{CollarAction, Distance, Holds, Phase, PriceProtection};
use engine::*;
use testkit::model::{Model, auction};

const X: InstrumentId = InstrumentId(1);
const NOTE: AdminNote = AdminNote::NONE;

/// A venue that only matches, with one instrument and four accounts.
struct Venue {
    model: Model,
    sequence: u64,
    time: u64,
}

impl Venue {
    fn new(reference: Price, phase: Phase) -> Self {
        let mut venue = Self { model: Model::new(Capacity::SMALL), sequence: 0, time: 1 };
        venue.apply(ListInstrument {
            instrument: X,
            name: Text::new("X").expect("short ASCII"),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 1,
            tick_decimals: 0,
            lot: 1,
            lot_decimals: 0,
            reference,
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            phase,
            note: NOTE,
        });
        for account in 2..=5 {
            let stp_group = StpGroup::NONE;
            let account = AccountId(account);
            venue.apply(OpenAccount { account, stp_group, self_trade_prevention: None, fee_tier: 0, note: NOTE });
        }
        venue
    }

    fn apply(&mut self, body: impl Into<CommandBody>) -> Vec<Event> {
        self.sequence += 1;
        let stamp = Stamp { sequence: Sequence(self.sequence), time: Timestamp(self.time) };
        self.model.apply(&Sequenced { stamp, value: Command::from_venue(body) })
    }

    /// Enters an order, which is accepted; gives its number.
    fn enter(&mut self, new: NewOrder) -> u64 {
        let events = self.apply(new);
        let Some(Event::OrderAccepted(accepted)) = events.first() else { panic!("not accepted: {events:?}") };
        accepted.order.order_id.0
    }

    fn protect(&mut self, protection: PriceProtection) -> Vec<Event> {
        self.apply(SetPriceProtection { instrument: X, protection, note: NOTE })
    }

    fn phase(&mut self, phase: Phase) -> Vec<Event> {
        self.apply(SetPhase { instrument: X, phase, note: NOTE })
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.model.phase(X) == Some(phase)
    }
}

fn limit(account: u32, side: Side, quantity: u64, price: u64) -> NewOrder {
    NewOrder {
        account: AccountId(account),
        instrument: X,
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

fn market(account: u32, side: Side, quantity: u64) -> NewOrder {
    NewOrder { order_type: OrderType::Market, price: Price::ABSENT, ..limit(account, side, quantity, 1) }
}

fn until(time_in_force: TimeInForce, order: NewOrder) -> NewOrder {
    NewOrder { time_in_force, ..order }
}

use Side::{Buy, Sell};

/// A limit and a quantity; limit 0: a market order.
type Orders = &'static [(u64, u64)];

/// Bids, asks, reference, price, volume, surplus; price 0: none.
const PRICES: &[(Orders, Orders, u64, u64, u128, i128)] = &[
    (&[(102, 200), (101, 200), (100, 300)], &[(99, 150), (100, 250), (101, 150)], 100, 101, 400, -150),
    (&[(102, 300), (101, 100), (99, 50)], &[(99, 100), (100, 200), (102, 100)], 100, 101, 300, 100),
    (&[(103, 500)], &[(99, 200), (101, 100)], 100, 103, 300, 200),
    (&[(103, 200), (101, 100)], &[(99, 500)], 102, 99, 300, -200),
    (&[(103, 300)], &[(99, 300)], 98, 99, 300, 0),
    (&[(103, 300)], &[(99, 300)], 101, 101, 300, 0),
    (&[(103, 300)], &[(99, 300)], 105, 103, 300, 0),
    (&[(103, 200), (101, 100)], &[(99, 200), (102, 100)], 100, 101, 200, 100),
    (&[(103, 200), (101, 100)], &[(99, 200), (102, 100)], 102, 102, 200, -100),
    (&[(103, 200), (101, 100)], &[(99, 200), (102, 100)], 99, 101, 200, 100),
    (&[(0, 100), (101, 50)], &[(100, 120), (0, 10)], 100, 101, 130, 20),
    (&[(0, 100)], &[(0, 70)], 100, 100, 70, 30),
    (&[(99, 100)], &[(101, 100)], 100, 0, 0, 0),
    // Without a reference price the lower end, and with market orders alone no price.
    (&[(103, 300)], &[(99, 300)], 0, 99, 300, 0),
    (&[(0, 100)], &[(0, 70)], 0, 0, 0, 0),
    // The reference price lies between two limits: there nothing is left over.
    (&[(0, 10), (99, 100)], &[(0, 10), (101, 100)], 100, 100, 10, 0),
];

fn price(number: u64) -> Price {
    if number == 0 { Price::ABSENT } else { Price(number) }
}

#[test]
fn prices_are_those_worked_by_hand() {
    for &(bids, asks, reference, auction_price, volume, surplus) in PRICES {
        let of_side = |side, orders: Orders| orders.iter().map(move |&(limit, lots)| (side, price(limit), lots));
        let book: Vec<_> = of_side(Buy, bids).chain(of_side(Sell, asks)).collect();
        let outcome = auction(&book, price(reference));
        let found = (outcome.price, outcome.volume, outcome.surplus);
        assert_eq!(found, (price(auction_price), volume, surplus), "{bids:?} {asks:?} at {reference}");
    }
}

/// Who traded with whom, and how much; all at one price, without an aggressor.
fn trades(events: &[Event], at: u64) -> Vec<(u64, u64, u64)> {
    let trades = events.iter().filter_map(|event| match event {
        Event::Trade(trade) => Some(trade),
        _ => None,
    });
    trades
        .map(|trade| {
            assert_eq!((trade.price, trade.aggressor, trade.maker.side), (Price(at), None, Buy));
            (trade.maker.order_id.0, trade.taker.order_id.0, trade.quantity.0)
        })
        .collect()
}

fn uncrossed(events: &[Event]) -> (Phase, u64, u64, Option<Side>, u64) {
    let found = events.iter().find_map(|event| match event {
        Event::Uncrossed(it) => Some((it.phase, it.price.0, it.volume.0, it.surplus_side, it.surplus.0)),
        _ => None,
    });
    found.expect("an uncross")
}

/// The last indicative of a command: price, volume, surplus.
fn indicative(events: &[Event]) -> Option<(Price, u64, Option<Side>, u64)> {
    match events.last() {
        Some(Event::IndicativeChanged(it)) => Some((it.price, it.volume.0, it.surplus_side, it.surplus.0)),
        _ => None,
    }
}

/// Which orders ended, and why.
fn cancels(events: &[Event]) -> Vec<(u64, CancelReason)> {
    let ended = events.iter().filter_map(|event| match event {
        Event::OrderCancelled(it) => Some((it.order.order_id.0, it.reason)),
        _ => None,
    });
    ended.collect()
}

#[test]
fn the_first_row_is_allocated_as_worked_by_hand() {
    let mut venue = Venue::new(Price(100), Phase::OpeningCall);
    // Bids 1, 2, 3 and asks 4, 5, 6.
    for (limit_price, lots) in [(102, 200), (101, 200), (100, 300)] {
        venue.enter(limit(2, Buy, lots, limit_price));
    }
    for (limit_price, lots) in [(99, 150), (100, 250), (101, 150)] {
        venue.enter(limit(3, Sell, lots, limit_price));
    }
    let events = venue.phase(Phase::Continuous);
    assert_eq!(uncrossed(&events), (Phase::OpeningCall, 101, 400, Some(Sell), 150));
    assert_eq!(trades(&events, 101), [(1, 4, 150), (1, 5, 50), (2, 5, 200)]);
    let left = |side| venue.model.book(X, side).iter().map(|it| (it.id.0, it.leaves)).collect::<Vec<_>>();
    assert_eq!((left(Buy), left(Sell)), (vec![(3, 300)], vec![(6, 150)]));
}

#[test]
fn market_orders_go_first_and_end_behind_the_uncross() {
    let mut venue = Venue::new(Price(100), Phase::PreOpen);
    let market_buy = venue.enter(market(2, Buy, 100));
    let buy = venue.enter(limit(2, Buy, 50, 101));
    let sell = venue.enter(limit(3, Sell, 120, 100));
    let market_sell = venue.enter(market(3, Sell, 10));
    let events = venue.phase(Phase::Continuous);
    assert_eq!(uncrossed(&events), (Phase::PreOpen, 101, 130, Some(Buy), 20));
    assert_eq!(trades(&events, 101), [(market_buy, market_sell, 10), (market_buy, sell, 90), (buy, sell, 30)]);
    assert_eq!(cancels(&events), []);
    venue.phase(Phase::VolatilityCall);
    let late = venue.enter(market(2, Buy, 7));
    let at_the_close = venue.enter(until(TimeInForce::AtTheClose, market(3, Sell, 3)));
    // One waits for the close, and nothing else is against the market buy but what rests.
    let events = venue.phase(Phase::PostOnly);
    assert_eq!(uncrossed(&events), (Phase::VolatilityCall, Price::ABSENT.0, 0, None, 0));
    assert_eq!(cancels(&events), [(late, CancelReason::AuctionRemainder)]);
    let events = venue.phase(Phase::ClosingCall);
    assert!(matches!(events[1], Event::OrderRestated(it) if it.order.order_id.0 == at_the_close));
    // The bid of 20 that is left meets it at its limit.
    assert_eq!(indicative(&events), Some((Price(101), 3, Some(Buy), 17)));
    let events = venue.phase(Phase::Closed);
    assert_eq!(trades(&events, 101), [(buy, at_the_close, 3)]);
}

#[test]
fn an_iceberg_takes_part_with_all_it_has_and_shows_its_next_tip_behind_the_trades() {
    let mut venue = Venue::new(Price::ABSENT, Phase::OpeningCall);
    let iceberg = venue.enter(NewOrder { display_quantity: Quantity(10), ..limit(2, Buy, 100, 50) });
    let behind = venue.enter(limit(4, Buy, 5, 50));
    let sell = venue.enter(limit(3, Sell, 30, 50));
    let events = venue.phase(Phase::Continuous);
    assert_eq!(trades(&events, 50), [(iceberg, sell, 30)]);
    let refreshed = matches!(events[2], Event::OrderRestated(it) if it.order.shown == Quantity(10));
    assert!(refreshed, "{events:?}");
    let queue: Vec<u64> = venue.model.book(X, Buy).iter().map(|it| it.id.0).collect();
    assert_eq!(queue, [behind, iceberg]);
}

#[test]
fn remainders_end_by_kind_and_stops_are_elected_behind_the_phase() {
    let mut venue = Venue::new(Price(100), Phase::PreOpen);
    let stop = venue.enter(NewOrder {
        order_type: OrderType::Stop,
        price: Price::ABSENT,
        stop_price: Price(99),
        ..limit(4, Buy, 5, 1)
    });
    let at_open = venue.enter(until(TimeInForce::AtTheOpening, limit(2, Buy, 10, 100)));
    let market_buy = venue.enter(until(TimeInForce::AtTheOpening, market(2, Buy, 1)));
    venue.enter(limit(3, Sell, 4, 100));
    let rest = venue.enter(limit(3, Sell, 9, 103));
    venue.phase(Phase::NoCancel);
    let events = venue.phase(Phase::Continuous);
    assert_eq!(trades(&events[..3], 100), [(market_buy, 4, 1), (at_open, 4, 3)]);
    assert_eq!(cancels(&events), [(at_open, CancelReason::OpeningRemainder)]);
    let kinds: Vec<_> = events.iter().map(Event::kind).collect();
    use EventKind::*;
    assert_eq!(kinds, [Uncrossed, Trade, Trade, OrderCancelled, PhaseChanged, OrderTriggered, Trade]);
    assert!(matches!(events[6], Event::Trade(it) if (it.maker.order_id.0, it.taker.order_id.0) == (rest, stop)));
}

#[test]
fn a_collar_stops_an_order_or_begins_a_call() {
    // Reference 100, collar 5 %: 10 at 110 against 104×4, 105×2, 106×9 trades 4 and 2, then stops with 4 left.
    let collar = Distance::parts_per_million(50_000);
    let bound = |events: &[Event]| {
        events.iter().find_map(|event| match event {
            Event::PriceBoundReached(it) => Some((it.bound, it.reference.0, it.limit.0, it.price.0)),
            _ => None,
        })
    };
    for action in [CollarAction::CancelRemainder, CollarAction::VolatilityCall] {
        let mut venue = Venue::new(Price(100), Phase::Continuous);
        let call_duration = Nanoseconds(10);
        venue.protect(PriceProtection { collar, collar_action: action, call_duration, ..PriceProtection::DEFAULT });
        for (limit_price, lots) in [(104, 4), (105, 2), (106, 9)] {
            venue.enter(limit(3, Sell, lots, limit_price));
        }
        let events = venue.apply(limit(2, Buy, 10, 110));
        assert_eq!(bound(&events), Some((PriceBound::Collar, 100, 105, 106)));
        if action == CollarAction::CancelRemainder {
            assert_eq!(cancels(&events), [(4, CancelReason::Collar)]);
            assert!(venue.is_in(Phase::Continuous));
            continue;
        }
        assert_eq!(cancels(&events), []);
        assert!(venue.is_in(Phase::VolatilityCall));
        // 4 left at 110 against 9 at 106: X < 0 at both, so the lower limit.
        assert_eq!(indicative(&events), Some((Price(106), 4, Some(Sell), 5)));
        assert_eq!(venue.model.next_deadline(), Timestamp(11));
        venue.time = 11;
        let events = venue.apply(AdvanceTime {});
        assert_eq!(trades(&events, 106), [(4, 3, 4)]);
        assert!(venue.is_in(Phase::Continuous));
    }
}

#[test]
fn a_market_order_says_where_its_protection_ended() {
    let mut venue = Venue::new(Price(100), Phase::Continuous);
    venue.protect(PriceProtection { market: Distance::ticks(5), ..PriceProtection::DEFAULT });
    for limit_price in [100, 105, 106] {
        venue.enter(limit(3, Sell, 1, limit_price));
    }
    let events = venue.apply(until(TimeInForce::ImmediateOrCancel, market(2, Buy, 3)));
    let Event::PriceBoundReached(it) = events[3] else { panic!("{events:?}") };
    assert_eq!((it.bound, it.reference.0, it.limit.0, it.price.0), (PriceBound::Market, 100, 105, 106));
    assert_eq!(cancels(&events), [(4, CancelReason::MarketProtection)]);
}

#[test]
fn an_entry_band_refuses_what_is_priced_against_its_own_interest() {
    let mut venue = Venue::new(Price(100), Phase::Continuous);
    venue.protect(PriceProtection { entry_band: Distance::ticks(3), ..PriceProtection::DEFAULT });
    for (side, allowed, refused) in [(Buy, 103, 104), (Sell, 97, 96)] {
        venue.enter(until(TimeInForce::ImmediateOrCancel, limit(2, side, 1, allowed)));
        let events = venue.apply(limit(2, side, 1, refused));
        let Event::PriceBoundReached(it) = events[0] else { panic!("{events:?}") };
        assert_eq!((it.reference.0, it.limit.0, it.price.0), (100, allowed, refused));
        let reason = matches!(events[1], Event::OrderRejected(it) if it.reason == RejectReason::OutsidePriceBand);
        assert!(reason, "{events:?}");
    }
}

#[test]
fn an_auction_outside_its_band_goes_on_once_and_is_halted_then() {
    let mut venue = Venue::new(Price(100), Phase::ClosingCall);
    let call_duration = Nanoseconds(50);
    venue.protect(PriceProtection { auction: Distance::ticks(4), call_duration, ..PriceProtection::DEFAULT });
    venue.enter(limit(2, Buy, 5, 110));
    let sell = venue.enter(limit(3, Sell, 5, 105));
    let events = venue.phase(Phase::Closed);
    let Event::PriceBoundReached(it) = events[0] else { panic!("{events:?}") };
    assert_eq!((it.bound, it.reference.0, it.limit.0, it.price.0), (PriceBound::AuctionBand, 100, 104, 105));
    assert!(venue.is_in(Phase::ClosingCall));
    venue.time = 51;
    let events = venue.apply(AdvanceTime {});
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(venue.is_in(Phase::Halted));
    // Within the band it ends; from Halted into Closed there would be no auction.
    venue.phase(Phase::ClosingCall);
    let cancel = CancelOrder {
        account: AccountId(3),
        order_id: OrderId(sell),
        original_client_order_id: ClientOrderId::NONE,
        client_order_id: ClientOrderId::NONE,
    };
    venue.apply(cancel);
    venue.enter(limit(3, Sell, 5, 104));
    let events = venue.phase(Phase::Closed);
    assert_eq!(trades(&events, 104), [(1, 3, 5)]);
    assert!(venue.is_in(Phase::Closed));
}
