//! The feed through calls and auctions: a subscriber's book is the engine's after every command, crossed or not, and
//! what it is told of the auction is what happens.

mod common;

use common::*;
use engine::command::*;
use engine::event::{IndicativeChanged, RestatementReason, Uncrossed};
use engine::instrument::{CollarAction, Distance, Phase, PhaseCause, PriceProtection};
use engine::*;
use marketdata::{Feed, Subscription, Update, channel_of};
use wire::FeedLevel;
use wire::market_data::{AuctionIndicative, AuctionResult};

const LEVEL: FeedLevel = FeedLevel::MarketByPrice;

struct Venue {
    engine: Engine,
    feed: Feed,
    subscription: Subscription,
}

impl Venue {
    fn open() -> Self {
        let mut venue =
            Self { engine: Engine::new(Capacity::SMALL), feed: heard(), subscription: Subscription::default() };
        for book in BOOKS {
            venue.apply(listing(book));
            venue.subscription.snapshot(&venue.feed.snapshot(book, LEVEL, None).unwrap().bytes()).unwrap();
        }
        venue.apply(account());
        while venue.subscription.next_update().is_some() {}
        venue
    }

    /// Applies a command; what happened, and what the subscriber was told.
    fn apply(&mut self, body: impl Into<CommandBody>) -> (Vec<Event>, Vec<Update>) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: Timestamp(1) };
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        events.iter().for_each(|(header, event)| self.feed.event(header, event));
        self.feed.end_of_command();
        for packet in self.feed.packets(wire::Timestamp(7)) {
            if BOOKS.iter().any(|&book| channel_of(book, LEVEL) == Some(packet.channel_id)) {
                self.subscription.packet(packet.bytes).unwrap();
            }
        }
        let updates = core::iter::from_fn(|| self.subscription.next_update()).collect();
        (events.into_iter().map(|(_, event)| event).collect(), updates)
    }

    fn enter(&mut self, phase: Phase) -> (Vec<Event>, Vec<Update>) {
        self.apply(SetPhase { instrument: BOOKS[0], phase, note: AdminNote::NONE })
    }

    fn is_crossed(&self, book: InstrumentId) -> bool {
        let rebuilt = self.subscription.book(book.into()).unwrap();
        let [bid, offer] = [wire::Side::Buy, wire::Side::Sell].map(|side| rebuilt.best(side));
        bid.zip(offer).is_some_and(|(bid, offer)| bid.price >= offer.price)
    }
}

/// A command of a day that goes through all phases in any order.
fn command_with_calls(random: &mut Random, name: u64) -> CommandBody {
    let instrument = BOOKS[random.below(2) as usize];
    let side = Side::BOTH[random.below(2) as usize];
    let limit = order(instrument, side, 90 + random.below(20), 1 + random.below(30), name);
    match random.below(20) {
        0 => {
            let phases = [
                Phase::PreOpen,
                Phase::OpeningCall,
                Phase::VolatilityCall,
                Phase::ClosingCall,
                Phase::NoCancel,
                Phase::Continuous,
                Phase::Continuous,
                Phase::LimitOnly,
                Phase::Halted,
                Phase::Closed,
            ];
            let phase = phases[random.below(phases.len() as u64) as usize];
            SetPhase { instrument, phase, note: AdminNote::NONE }.into()
        }
        1..3 => NewOrder { order_type: OrderType::Market, price: Price::ABSENT, ..limit }.into(),
        3..5 => NewOrder { time_in_force: TimeInForce::AtTheClose, ..limit }.into(),
        5 => {
            let waits = NewOrder { time_in_force: TimeInForce::AtTheClose, ..limit };
            NewOrder { order_type: OrderType::Market, price: Price::ABSENT, ..waits }.into()
        }
        6 => NewOrder { time_in_force: TimeInForce::AtTheOpening, ..limit }.into(),
        7..10 => NewOrder { display_quantity: Quantity(1 + random.below(limit.quantity.0)), ..limit }.into(),
        10..12 => {
            let stop_price = Price(90 + random.below(20));
            NewOrder { order_type: OrderType::StopLimit, stop_price, ..limit }.into()
        }
        12..15 => common::command(random, name),
        _ => limit.into(),
    }
}

#[test]
fn a_subscribers_book_is_the_engines_through_calls_and_auctions() {
    for seed in 1..=10_u64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut venue = Venue::open();
        let (mut crossed, mut auctions, mut joined, mut interrupted) = (0, 0, 0, 0);
        for instrument in BOOKS.into_iter().filter(|_| seed % 2 == 0) {
            // What would trade too far away interrupts trading, and the rest of the order stands in the call.
            let protection = PriceProtection {
                collar: Distance::ticks(3),
                collar_action: CollarAction::VolatilityCall,
                ..PriceProtection::DEFAULT
            };
            venue.apply(SetPriceProtection { instrument, protection, note: AdminNote::NONE });
        }
        for name in 1..=1_500 {
            let (events, updates) = venue.apply(command_with_calls(&mut random, name));
            for book in BOOKS {
                let rebuilt = venue.subscription.book(book.into()).unwrap();
                assert!(is_engines(rebuilt, &venue.engine, book), "seed {seed}, command {name}");
                crossed += u64::from(venue.is_crossed(book));
            }
            for event in &events {
                match event {
                    Event::Uncrossed(Uncrossed { volume, .. }) => auctions += u64::from(!volume.is_zero()),
                    Event::OrderRestated(restated) => {
                        joined += u64::from(restated.reason == RestatementReason::JoinedCall)
                    }
                    Event::PhaseChanged(changed) => interrupted += u64::from(changed.cause == PhaseCause::Collar),
                    _ => {}
                }
            }
            assert_eq!(auction_updates(&updates), auction_events(&events), "seed {seed}, command {name}");
        }
        let counts = (crossed, auctions, joined, interrupted);
        assert!(crossed > 50 && auctions > 5 && joined > 5, "seed {seed}: {counts:?}");
        assert_eq!(interrupted > 5, seed % 2 == 0, "seed {seed}: {counts:?}");
    }
}

/// Price, volume and surplus in ticks and lots, as they were told, and whether it was the end.
type Told = (Option<i64>, i64, i64, bool);

fn auction_updates(updates: &[Update]) -> Vec<Told> {
    let in_steps = |price: Option<wire::Price>, quantity: wire::Quantity, surplus: wire::Quantity, ended| {
        (price.map(|price| price.0 / TICK), quantity.0 / LOT, surplus.0 / LOT, ended)
    };
    let told = |update: &Update| match *update {
        Update::Indicative(AuctionIndicative { price, quantity, surplus, .. }) => {
            Some(in_steps(price, quantity, surplus, false))
        }
        Update::Auction(AuctionResult { price, quantity, surplus, .. }) => {
            Some(in_steps(price, quantity, surplus, true))
        }
        _ => None,
    };
    updates.iter().filter_map(told).collect()
}

fn auction_events(events: &[Event]) -> Vec<Told> {
    let lots = |quantity: Quantity| if quantity.is_absent() { 0 } else { quantity.0 as i64 };
    let in_steps = |price: Price, volume, surplus, ended| {
        ((!price.is_absent()).then_some(price.0 as i64), lots(volume), lots(surplus), ended)
    };
    let told = |event: &Event| match *event {
        Event::IndicativeChanged(IndicativeChanged { price, volume, surplus, .. }) => {
            Some(in_steps(price, volume, surplus, false))
        }
        Event::Uncrossed(Uncrossed { price, volume, surplus, .. }) => Some(in_steps(price, volume, surplus, true)),
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

#[test]
fn an_auction_is_told_before_its_trades_and_its_levels_behind() {
    let mut venue = Venue::open();
    venue.enter(Phase::OpeningCall);
    let instrument = BOOKS[0];
    // An iceberg trades more than it shows.
    venue.apply(NewOrder { display_quantity: Quantity(10), ..order(instrument, Side::Sell, 100, 50, 1) });
    venue.apply(order(instrument, Side::Buy, 102, 35, 2));
    assert!(venue.is_crossed(instrument));
    let (_, updates) = venue.apply(NewOrder {
        order_type: OrderType::Market,
        price: Price::ABSENT,
        ..order(instrument, Side::Buy, 1, 5, 3)
    });
    // At 100 and at 102 forty trade and ten more are offered: the lower one.
    assert_eq!(auction_updates(&updates), [(Some(100), 40, 10, false)]);
    // A market order is in no level.
    assert!(!updates.iter().any(|update| matches!(update, Update::Levels(..))));

    let (_, updates) = venue.enter(Phase::Continuous);
    let kinds: Vec<&str> = updates
        .iter()
        .map(|update| match update {
            Update::Auction(_) => "result",
            Update::Trade(trade) if trade.aggressor.is_none() => "trade of nobody",
            Update::Trade(_) => "trade",
            Update::Status(_) => "phase",
            Update::Levels(..) => "levels",
            Update::BestBidOffer(_) => "best",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["result", "trade of nobody", "trade of nobody", "phase", "levels", "best"]);
    assert_eq!(auction_updates(&updates), [(Some(100), 40, 10, true)]);
    assert!(is_engines(venue.subscription.book(instrument.into()).unwrap(), &venue.engine, instrument));
    // Forty of fifty are gone: the next tip is the ten that are left.
    let offers: Vec<_> = venue.subscription.book(instrument.into()).unwrap().levels(wire::Side::Sell).collect();
    assert!(matches!(offers[..], [level] if level.quantity == wire::Quantity(10 * LOT)));
}

#[test]
fn a_feed_of_a_recovered_engine_knows_the_calls_that_are_pending() {
    let mut venue = Venue::open();
    venue.enter(Phase::OpeningCall);
    venue.apply(order(BOOKS[0], Side::Buy, 102, 30, 1));
    let (_, updates) = venue.apply(order(BOOKS[0], Side::Sell, 100, 20, 2));
    assert_eq!(auction_updates(&updates), [(Some(102), 20, 10, false)]);
    let recovered = heard_of(&venue.engine);
    let mut late = Subscription::default();
    late.snapshot(&recovered.snapshot(BOOKS[0], LEVEL, None).unwrap().bytes()).unwrap();
    let told: Vec<Update> = core::iter::from_fn(|| late.next_update()).collect();
    assert_eq!(auction_updates(&told), [(Some(102), 20, 10, false)]);
}
