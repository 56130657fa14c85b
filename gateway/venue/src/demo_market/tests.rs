//! The strategies against the engine itself, through the gateway's translations, without threads, sockets or clocks.

use std::collections::BTreeMap;

use engine::command::{CancelOnDisconnect, Establish, Negotiate};
use engine::{
    Capacity, Command, CommandBody, CommandHeader, Engine, Event, InstrumentId, LoginNonce, Nanoseconds, Sequence,
    Sequenced, SessionId, SessionSequence, Stamp, Timestamp,
};
use gateway::egress::{self, Outgoing, Recipient, Sending};
use gateway::ingress;
use gateway::view::View;
use wire::{Durability, Frame, Indicator, OrderType, Price, Quantity, RejectReason, Side, TimeInForce};

use super::*;

const BTC_USD: InstrumentId = InstrumentId(1);
const INSTRUMENTS: [InstrumentId; 3] = [BTC_USD, InstrumentId(2), InstrumentId(3)];
/// One whole BTC in lots.
const BTC: i64 = 100_000_000;

/// A venue in memory.
struct Floor {
    engine: Engine,
    view: View,
    sequence: u64,
    inboxes: BTreeMap<SessionId, Vec<OrderEntryMessage>>,
    refused: Vec<RejectReason>,
    trades: BTreeMap<InstrumentId, u64>,
}

impl Floor {
    /// As it is after the first start.
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path()).unwrap();
        let engine = Engine::new(Capacity::DEFAULT);
        let view = View::of(&engine);
        let mut floor =
            Self { engine, view, sequence: 0, inboxes: BTreeMap::new(), refused: Vec::new(), trades: BTreeMap::new() };
        for body in demo::commands(&folder).unwrap() {
            floor.apply(CommandHeader::VENUE, body);
        }
        for holder in demo::TRADERS {
            let header = CommandHeader { author: holder.key, session: holder.session, ..CommandHeader::VENUE };
            let version = engine::SessionVersion(1);
            let establish = Establish {
                version,
                nonce: LoginNonce(1),
                cancel_on_disconnect: CancelOnDisconnect::Keep,
                cancel_grace: Nanoseconds(0),
                keep_alive: Nanoseconds(1_000_000_000),
            };
            floor.apply(header, Negotiate { version }.into());
            floor.apply(header, establish.into());
        }
        floor
    }

    fn apply(&mut self, header: CommandHeader, body: CommandBody) {
        self.sequence += 1;
        let stamp = Stamp { sequence: Sequence(self.sequence), time: Timestamp(self.sequence) };
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: Command { header, body } }, &mut events);
        for (header, event) in events {
            self.view.apply(&header, &event);
            if let Event::Trade(trade) = &event {
                *self.trades.entry(trade.instrument).or_default() += 1;
            }
            let sending = Sending { durability: Durability::Synced, possible_duplicate: Indicator::No };
            let mut messages: Vec<Outgoing> = Vec::new();
            egress::messages(&header, &event, &self.view, sending, &mut messages);
            for outgoing in messages {
                let Recipient::Session(session) = outgoing.recipient else { continue };
                let frame = Frame::split(&outgoing.frame).unwrap().0;
                let message = OrderEntryMessage::try_from(frame).unwrap();
                if let OrderEntryMessage::ExecutionReport(report) = &message {
                    self.refused.extend(report.reject_reason);
                }
                self.inboxes.entry(session).or_default().push(message);
            }
        }
    }

    fn act(&mut self, holder: KeyHolder, action: Action) {
        let message = match action {
            Action::Enter(message) => OrderEntryMessage::NewOrderSingle(message),
            Action::Amend(message) => OrderEntryMessage::OrderCancelReplaceRequest(message),
            Action::Cancel(message) => OrderEntryMessage::OrderCancelRequest(message),
        };
        let body = ingress::command(&message, holder.key, &self.view).unwrap();
        let header = CommandHeader {
            author: holder.key,
            session: holder.session,
            client_sequence: SessionSequence::NONE,
            received_at: Timestamp::NONE,
        };
        self.apply(header, body);
    }

    /// One turn of a strategy, all requests before any answer.
    fn turn(&mut self, holder: KeyHolder, strategy: &mut impl Strategy) {
        for action in strategy.turn() {
            self.act(holder, action);
        }
        self.tell(holder, strategy);
    }

    fn tell(&mut self, holder: KeyHolder, strategy: &mut impl Strategy) {
        for message in self.inboxes.remove(&holder.session).unwrap_or_default() {
            strategy.hear(&message);
        }
    }

    fn begin(&self, holder: KeyHolder, strategy: &mut impl Strategy) {
        let definitions: Vec<_> = self.view.instruments().map(egress::security_definition).collect();
        strategy.begin(holder.account.into(), &definitions, 1_000);
    }

    fn orders_of(&self, holder: KeyHolder) -> usize {
        let sides = [engine::Side::Buy, engine::Side::Sell];
        let books = INSTRUMENTS.iter().flat_map(|&instrument| sides.map(|side| (instrument, side)));
        books
            .flat_map(|(instrument, side)| self.engine.orders(instrument, side))
            .filter(|order| order.account == holder.account)
            .count()
    }
}

fn market_order(holder: KeyHolder, name: u64, side: Side, quantity: i64) -> Action {
    Action::Enter(NewOrderSingle {
        account: holder.account.into(),
        security_id: BTC_USD.into(),
        client_order_id: Some(wire::ClientOrderId(name)),
        side,
        order_quantity: Some(Quantity(quantity)),
        order_type: OrderType::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    })
}

#[test]
fn they_quote_and_trade_in_every_instrument_within_bounds() {
    for seed in 1..=3 {
        let mut floor = Floor::new();
        let (mut maker, mut taker) = (Maker::new(Rng::with_seed(seed)), Taker::new(Rng::with_seed(seed)));
        floor.begin(demo::MARKET_MAKER, &mut maker);
        floor.begin(demo::TAKER, &mut taker);
        for turn in 0..4_000 {
            floor.turn(demo::MARKET_MAKER, &mut maker);
            if turn % 4 == 3 {
                floor.turn(demo::TAKER, &mut taker);
                floor.tell(demo::MARKET_MAKER, &mut maker);
            }
            assert!(floor.orders_of(demo::MARKET_MAKER) <= 60, "seed {seed}, turn {turn}");
            assert_eq!(floor.orders_of(demo::TAKER), 0, "seed {seed}, turn {turn}");
            // Whole books stand after the first entries, and are filled up behind every order that takes from them.
            if turn >= 8 && turn % 4 == 2 {
                for (instrument, side) in INSTRUMENTS
                    .into_iter()
                    .flat_map(|it| [engine::Side::Buy, engine::Side::Sell].map(|side| (it, side)))
                {
                    let orders = floor.engine.orders(instrument, side).count();
                    assert!(orders >= 5, "seed {seed}, turn {turn}: {orders} orders");
                }
            }
        }
        let unexpected = floor.refused.iter().filter(|reason| reason.to_string() != "PostOnlyWouldTake");
        assert_eq!(unexpected.count(), 0, "seed {seed}: {:?}", floor.refused);
        assert!(INSTRUMENTS.iter().all(|it| floor.trades[it] > 100), "seed {seed}: {:?}", floor.trades);
        assert_eq!(floor.engine.audit(), Ok(()), "seed {seed}");
    }
}

#[test]
fn quotes_stand_around_the_fair_price() {
    let mut floor = Floor::new();
    let mut maker = Maker::new(Rng::with_seed(4));
    floor.begin(demo::MARKET_MAKER, &mut maker);
    for _ in 0..10 {
        floor.turn(demo::MARKET_MAKER, &mut maker);
    }
    // All sixty, but for some that were cancelled to make room.
    assert!((50..=60).contains(&floor.orders_of(demo::MARKET_MAKER)));
    // Ten turns are a walk of 200 parts per million at most: 12.8 USD, 0.64 USD, and two ticks.
    for (instrument, fair, walk) in [(1, 6_400_000, 1_280), (2, 320_000, 64), (3, 5_000, 3)] {
        let best = |side| floor.engine.best_price(InstrumentId(instrument), side).unwrap().0;
        let (bid, offer) = (best(engine::Side::Buy), best(engine::Side::Sell));
        assert!(bid < offer && bid < fair + walk && offer + walk > fair, "{bid} {fair} {offer}");
        assert!(offer - bid < fair / 1_000 + 2, "{bid} {offer}");
    }
}

#[test]
fn the_maker_buys_up_to_its_limit_and_comes_back_from_there() {
    let alice = demo::TRADERS[0];
    let mut floor = Floor::new();
    let mut maker = Maker::new(Rng::with_seed(5));
    floor.begin(demo::MARKET_MAKER, &mut maker);
    let bids = |floor: &Floor| floor.engine.orders(BTC_USD, engine::Side::Buy).count();
    let offers = |floor: &Floor| floor.engine.orders(BTC_USD, engine::Side::Sell).count();
    let mut name = 0;
    let mut sweep = |floor: &mut Floor, maker: &mut Maker, side| {
        for _ in 0..4 {
            floor.turn(demo::MARKET_MAKER, maker);
        }
        name += 1;
        floor.act(alice, market_order(alice, name, side, 20 * BTC));
        floor.tell(demo::MARKET_MAKER, maker);
    };
    for _ in 0..300 {
        sweep(&mut floor, &mut maker, Side::Sell);
    }
    for _ in 0..40 {
        floor.turn(demo::MARKET_MAKER, &mut maker);
    }
    assert_eq!((bids(&floor), offers(&floor)), (0, 10));
    let held = floor.engine.balance(demo::MARKET_MAKER.account, engine::AssetId(1)).unwrap();
    let btc = (held.available.0 + held.held.0) / 10_u128.pow(13);
    // The limit of 200, and what one sweep of ten bids below one BTC each may add.
    assert!((1_200..1_210).contains(&btc), "{btc}");
    sweep(&mut floor, &mut maker, Side::Buy);
    for _ in 0..4 {
        floor.turn(demo::MARKET_MAKER, &mut maker);
    }
    assert_eq!((bids(&floor), offers(&floor)), (10, 10));
}

#[test]
fn a_request_that_the_edge_refuses_is_made_again() {
    let mut floor = Floor::new();
    let mut maker = Maker::new(Rng::with_seed(6));
    floor.begin(demo::MARKET_MAKER, &mut maker);
    let refused = maker.turn();
    for action in &refused {
        let Action::Enter(order) = action else { panic!("{action:?}") };
        let reject = wire::order_entry::BusinessMessageReject {
            answered_sequence: None,
            reference_id: order.client_order_id.map(|name| wire::RequestId(name.0)),
            transact_time: wire::Timestamp(1),
            text: wire::Text48::EMPTY,
            reference_tag: None,
            reference_template: wire::TemplateId(201),
            reject_reason: wire::EdgeReason::Busy.into(),
            ..wire::Block::BLANK
        };
        maker.hear(&OrderEntryMessage::BusinessMessageReject(reject));
    }
    for _ in 0..10 {
        floor.turn(demo::MARKET_MAKER, &mut maker);
    }
    assert_eq!(refused.len(), 12);
    assert!((50..=60).contains(&floor.orders_of(demo::MARKET_MAKER)));
}

#[test]
fn instruments_that_are_not_the_demos_are_left_alone() {
    let foreign = SecurityDefinition { symbol: wire::Symbol16::new("X"), tick: Price(1), ..SecurityDefinition::BLANK };
    let (mut maker, mut taker) = (Maker::new(Rng::with_seed(7)), Taker::new(Rng::with_seed(7)));
    maker.begin(AccountId(4), &[foreign], 1);
    taker.begin(AccountId(5), &[foreign], 1);
    assert!(maker.turn().is_empty() && taker.turn().is_empty());
}
