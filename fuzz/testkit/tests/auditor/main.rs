//! The auditor accepts what the engine tells, and objects to what no venue may tell.

mod auctions;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use engine::command::*;
use engine::event::{BalanceCause, Priority, Report, RestatementReason, SelfMatch, Trade};
use engine::instrument::{FeeRates, Holds, Phase};
use engine::*;
use testkit::auditor::{Auditor, Violation};
use testkit::model::{Flaw, Model};
use testkit::random::Random;
use testkit::stream::References;
use testkit::workload::{PROFILES, Profile, Workload, profile};

/// A command and all that was told of it.
type Told = (Sequenced<Command>, Vec<(EventHeader, Event)>);

/// A balance, and whose of what.
type Place = (AccountId, AssetId, Balance);

const CAPACITY: Capacity = Capacity { orders: 1 << 12, ..Capacity::SMALL };

/// An engine, and what it told so far.
struct Venue {
    engine: Engine,
    stream: Vec<Told>,
}

impl Venue {
    fn new() -> Self {
        Self { engine: Engine::new(CAPACITY), stream: Vec::new() }
    }

    /// Applies a command, behind what is due by then.
    fn apply(&mut self, at: Timestamp, command: Command) -> Vec<Event> {
        let time = self.engine.last().time.max(at);
        let due = self.engine.next_deadline();
        if due <= time && due != Timestamp::NEVER {
            self.apply_one(time, Command::from_venue(AdvanceTime {}));
        }
        self.apply_one(time, command)
    }

    fn apply_one(&mut self, time: Timestamp, command: Command) -> Vec<Event> {
        let stamp = Stamp { sequence: Sequence(self.stream.len() as u64 + 1), time };
        let command = Sequenced { stamp, value: command };
        let mut told = Vec::new();
        self.engine.apply(&command, &mut told);
        let events = told.iter().map(|(_, event)| *event).collect();
        self.stream.push((command, told));
        events
    }

    fn balances(&self) -> Vec<Place> {
        let places =
            (1..=CAPACITY.accounts).flat_map(|account| (1..=CAPACITY.assets).map(move |asset| (account, asset)));
        places
            .filter_map(|(account, asset)| {
                let (account, asset) = (AccountId(account), AssetId(asset));
                self.engine.balance(account, asset).map(|balance| (account, asset, balance))
            })
            .collect()
    }
}

fn audit(stream: &[Told]) -> Result<Auditor, Violation> {
    let mut auditor = Auditor::new();
    for (command, events) in stream {
        auditor.command(command, events)?;
    }
    Ok(auditor)
}

fn run(profile: Profile, seed: u64, steps: usize) -> Venue {
    let mut venue = Venue::new();
    let mut workload = Workload::new(profile, seed);
    let mut names = References::default();
    for _ in 0..steps {
        let step = workload.next_step();
        let events = venue.apply(step.at, names.resolve(&step.command));
        names.learn(step.name, &events);
        workload.observe(&step, &events);
    }
    venue
}

#[test]
fn the_engine_satisfies_the_auditor_in_every_profile() {
    for &profile in PROFILES {
        for seed in 1..=4 {
            let venue = run(profile, seed, 1_500);
            let audited = audit(&venue.stream).and_then(|auditor| auditor.balances(venue.balances()));
            audited.unwrap_or_else(|violation| panic!("profile {} seed {seed}: {violation}", profile.name));
        }
    }
}

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const X: InstrumentId = InstrumentId(1);
/// Trades through session 1.
const ALICE: AccountId = AccountId(2);
const BOB: AccountId = AccountId(3);
const CAROL: AccountId = AccountId(4);

fn order(account: AccountId, side: Side, quantity: u64, price: u64) -> NewOrder {
    NewOrder {
        account,
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

fn amend(account: AccountId, name: u64) -> ReplaceOrder {
    ReplaceOrder {
        account,
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

/// A short day in which everything that is tampered with below happens.
fn a_day() -> Venue {
    let mut venue = Venue::new();
    let note = AdminNote::NONE;
    let name = |text: &str| Text::new(text).expect("short ASCII");
    let mut opening: Vec<CommandBody> = vec![
        AddAsset { asset: BASE, name: name("BASE"), decimals: 0, note }.into(),
        AddAsset { asset: QUOTE, name: Text::new("QUOTE").expect("short ASCII"), decimals: 0, note }.into(),
        ListInstrument {
            instrument: X,
            name: name("X"),
            base: BASE,
            quote: QUOTE,
            tick: 1,
            tick_decimals: 0,
            lot: 1,
            lot_decimals: 0,
            reference: Price::ABSENT,
            holds: Holds::On,
            self_trade_prevention: SelfTradePrevention::Allow,
            phase: Phase::Continuous,
            note,
        }
        .into(),
        SetFees { instrument: X, tier: 0, rates: FeeRates { maker: -100, taker: 1_000 }, note }.into(),
    ];
    for account in [ALICE, BOB, CAROL] {
        let group = StpGroup::NONE;
        opening.push(OpenAccount { account, stp_group: group, self_trade_prevention: None, fee_tier: 0, note }.into());
        opening.push(Deposit { account, asset: BASE, amount: Amount(1_000), note }.into());
        opening.push(Deposit { account, asset: QUOTE, amount: Amount(1_000_000), note }.into());
    }
    opening.push(AddKey { key: KeyId(1), kind: KeyKind::Ed25519, public_key: [7; 32], note }.into());
    opening.push(GrantRole { key: KeyId(1), role: Role::Trader, account: ALICE, note }.into());
    for body in opening {
        venue.apply(Timestamp(1), Command::from_venue(body));
    }
    let header = CommandHeader { author: KeyId(1), session: SessionId(1), ..CommandHeader::VENUE };
    let opens = Establish {
        version: SessionVersion(1),
        nonce: LoginNonce(1),
        cancel_on_disconnect: CancelOnDisconnect::Keep,
        cancel_grace: Nanoseconds(0),
        keep_alive: Nanoseconds(1),
    };
    let session: [CommandBody; 2] = [Negotiate { version: SessionVersion(1) }.into(), opens.into()];
    for body in session {
        venue.apply(Timestamp(2), Command { header, body });
    }
    let named = |id: u64, order: NewOrder| NewOrder { client_order_id: ClientOrderId(id), ..order };
    let stop_limit =
        |stop: u64, order: NewOrder| NewOrder { order_type: OrderType::StopLimit, stop_price: Price(stop), ..order };
    let at_once = |order: NewOrder| NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..order };
    let market = |order: NewOrder| NewOrder { order_type: OrderType::Market, price: Price::ABSENT, ..at_once(order) };
    use Side::{Buy, Sell};
    let day: Vec<(u64, CommandBody)> = vec![
        (10, named(1, order(BOB, Sell, 10, 1_000)).into()),
        (10, named(2, order(CAROL, Sell, 10, 1_000)).into()),
        (11, order(ALICE, Buy, 5, 1_000).into()),
        (12, stop_limit(1_000, order(ALICE, Buy, 2, 1_001)).into()),
        (12, stop_limit(999, order(ALICE, Buy, 1, 1_001)).into()),
        // Fills Bob's rest and some of Carol's; elects both stops, the lower one first.
        (13, market(order(ALICE, Buy, 7, 0)).into()),
        // An iceberg, of which tips are used up.
        (14, NewOrder { display_quantity: Quantity(3), ..order(BOB, Sell, 20, 1_002) }.into()),
        (15, at_once(order(ALICE, Buy, 12, 1_002)).into()),
        (15, at_once(order(ALICE, Buy, 4, 999)).into()),
        // Bob meets himself, and a tip is used up.
        (
            16,
            NewOrder {
                self_trade_prevention: Some(SelfTradePrevention::Decrement),
                ..at_once(order(BOB, Buy, 2, 1_002))
            }
            .into(),
        ),
        (17, named(3, order(CAROL, Sell, 10, 1_005)).into()),
        (17, named(4, order(BOB, Sell, 10, 1_005)).into()),
        (18, ReplaceOrder { quantity: Quantity(8), ..amend(CAROL, 3) }.into()),
        (18, ReplaceOrder { price: Price(1_006), ..amend(BOB, 4) }.into()),
        (
            19,
            CancelOrder {
                account: BOB,
                order_id: OrderId::NONE,
                original_client_order_id: ClientOrderId(4),
                client_order_id: ClientOrderId::NONE,
            }
            .into(),
        ),
        (20, NewOrder { funds: Amount(2_500), quantity: Quantity::ABSENT, ..market(order(ALICE, Buy, 0, 0)) }.into()),
        (
            21,
            NewOrder {
                time_in_force: TimeInForce::GoodTillDate,
                expire_at: Timestamp(23),
                ..order(CAROL, Buy, 3, 900)
            }
            .into(),
        ),
        (21, order(CAROL, Buy, 3, 901).into()),
        (24, BustTrade { instrument: X, trade_id: TradeId(1), note }.into()),
        (25, Withdraw { account: CAROL, asset: QUOTE, amount: Amount(500), note }.into()),
        (26, SetPhase { instrument: X, phase: Phase::CancelOnly, note }.into()),
        (
            27,
            MassCancel {
                account: CAROL,
                instrument: InstrumentId::NONE,
                side: None,
                entered_by: SessionId::NONE,
                client_order_id: ClientOrderId::NONE,
                note,
            }
            .into(),
        ),
    ];
    let mut number = 0;
    for (at, body) in day {
        let through_session = matches!(body, CommandBody::NewOrder(order) if order.account == ALICE);
        number += u64::from(through_session);
        let header = CommandHeader { client_sequence: SessionSequence(number), ..header };
        let command = if through_session { Command { header, body } } else { Command::from_venue(body) };
        venue.apply(Timestamp(at), command);
    }
    venue
}

/// The `nth` event, from 1, that `wanted` tells, as command and event.
fn nth(stream: &[Told], nth: usize, wanted: impl Fn(&Event) -> bool) -> (usize, usize) {
    let all = stream.iter().enumerate().flat_map(|(at, (_, events))| (0..events.len()).map(move |event| (at, event)));
    let mut found = all.filter(|&(at, event)| wanted(&stream[at].1[event].1));
    found.nth(nth - 1).expect("such an event")
}

fn is_trade(event: &Event) -> bool {
    matches!(event, Event::Trade(_))
}

fn event(stream: &mut [Told], (at, event): (usize, usize)) -> &mut Event {
    &mut stream[at].1[event].1
}

fn nth_trade(stream: &mut [Told], number: usize) -> &mut Trade {
    let at = nth(stream, number, is_trade);
    match event(stream, at) {
        Event::Trade(trade) => trade,
        other => unreachable!("{other:?} is no trade"),
    }
}

fn drop_event(stream: &mut [Told], (at, event): (usize, usize)) {
    stream[at].1.remove(event);
}

fn swap_events(stream: &mut [Told], (at, event): (usize, usize)) {
    stream[at].1.swap(event, event + 1);
}

fn reports_of(event: &mut Event) -> Vec<&mut Report> {
    match event {
        Event::OrderAccepted(event) => vec![&mut event.report],
        Event::OrderRejected(event) => vec![&mut event.report],
        Event::OrderReplaced(event) => vec![&mut event.report],
        Event::OrderCancelled(event) => vec![&mut event.report],
        Event::CancelRejected(event) => vec![&mut event.report],
        Event::OrderTriggered(event) => vec![&mut event.report],
        Event::OrderRestated(event) => vec![&mut event.report],
        Event::MassCancelled(event) => vec![&mut event.report],
        Event::MassCancelRejected(event) => vec![&mut event.report],
        Event::CommandRejected(event) => vec![&mut event.report],
        Event::KillSwitchSet(event) => vec![&mut event.report],
        Event::Trade(event) => vec![&mut event.maker.report, &mut event.taker.report],
        Event::TradeBusted(event) => vec![&mut event.buyer.report, &mut event.seller.report],
        _ => Vec::new(),
    }
}

/// Numbers events, executions and reports anew, so that a tampering does not show by a gap alone.
fn renumber(stream: &mut [Told]) {
    let mut executions: BTreeMap<AccountId, u64> = BTreeMap::new();
    let mut reports: BTreeMap<SessionId, u64> = BTreeMap::new();
    let mut next_report = |session, number: &mut SessionSequence| {
        if !number.is_none() {
            let last = reports.entry(session).or_default();
            *last += 1;
            *number = SessionSequence(*last);
        }
    };
    for (_, events) in stream {
        for (index, (header, event)) in (0..).zip(events) {
            header.id.index = index;
            for report in reports_of(event) {
                if !report.exec_id.is_none() {
                    let last = executions.entry(report.account).or_default();
                    *last += 1;
                    report.exec_id = ExecId(*last);
                }
                next_report(report.session, &mut report.report_number);
            }
            match event {
                Event::OrderReplaced(event) => {
                    next_report(event.requester.session, &mut event.requester.report_number);
                }
                Event::OrderCancelled(event) => {
                    next_report(event.requester.session, &mut event.requester.report_number);
                }
                Event::SessionEstablished(event) => event.next_report_number = SessionSequence(1),
                _ => {}
            }
        }
    }
}

/// What is done to a stream, the rule that it breaks, and how.
struct Tampering {
    what: &'static str,
    rule: &'static str,
    tamper: fn(&mut Vec<Told>),
}

const fn tampering(what: &'static str, rule: &'static str, tamper: fn(&mut Vec<Told>)) -> Tampering {
    Tampering { what, rule, tamper }
}

/// Tamperings behind which numbers are given anew.
const TAMPERINGS: &[Tampering] = &[
    tampering("the makers of two trades are swapped", "3.1", |stream| {
        let [first, third] = [nth_trade(stream, 1).maker, nth_trade(stream, 3).maker];
        nth_trade(stream, 1).maker = third;
        nth_trade(stream, 3).maker = first;
    }),
    tampering("the later of two orders at a price trades first", "3.1", |stream| {
        let second = nth(stream, 2, |event| matches!(event, Event::OrderAccepted(_)));
        let Event::OrderAccepted(later) = *event(stream, second) else { unreachable!() };
        let maker = &mut nth_trade(stream, 1).maker;
        maker.order_id = later.order.order_id;
        maker.client_order_id = later.order.client_order_id;
        maker.report.account = later.report.account;
    }),
    tampering("a trade prints off the resting order's price", "3.2", |stream| nth_trade(stream, 1).price = Price(999)),
    tampering("a trade goes through the incoming order's limit", "1.1", |stream| {
        let accepted = nth(stream, 3, |event| matches!(event, Event::OrderAccepted(_)));
        let Event::OrderAccepted(accepted_event) = event(stream, accepted) else { unreachable!() };
        accepted_event.order.price = Price(990);
        let CommandBody::NewOrder(order) = &mut stream[accepted.0].0.value.body else { unreachable!() };
        order.price = Price(990);
        nth_trade(stream, 1).taker.order_price = Price(990);
    }),
    tampering("a trade is of less than it could be", "1.10", |stream| nth_trade(stream, 1).quantity = Quantity(4)),
    tampering("a trade says too much is left", "3.4", |stream| nth_trade(stream, 1).maker.leaves = Quantity(6)),
    tampering("a trade says too little was traded", "3.4", |stream| {
        nth_trade(stream, 3).taker.cumulative = Quantity(1);
    }),
    tampering("a trade is told twice", "3.4", |stream| {
        let (at, event) = nth(stream, 1, is_trade);
        let again = stream[at].1[event];
        stream[at].1.insert(event + 1, again);
    }),
    tampering("a trade's number is used again", "3.4", |stream| nth_trade(stream, 2).trade_id = TradeId(1)),
    tampering("a trade of strangers is flagged as one's with himself", "4.1", |stream| {
        nth_trade(stream, 1).self_match = SelfMatch::Yes;
    }),
    tampering("the incoming side is told wrongly", "3.4", |stream| {
        nth_trade(stream, 1).aggressor = Some(Side::Sell);
    }),
    tampering("a fee is one unit short", "8.5", |stream| nth_trade(stream, 1).taker.fee.0 -= 1),
    tampering("a fee is one unit too much", "8.5", |stream| nth_trade(stream, 3).maker.fee.0 += 1),
    tampering("a trade that would have been is left out, and the book stays crossed", "2.6", |stream| {
        let at = nth(stream, 1, is_trade);
        drop_event(stream, at);
    }),
    tampering("the remainder of an immediate order is never cancelled", "1.3", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::ImmediateRemainder));
        drop_event(stream, at);
    }),
    tampering("the end of an order by funds is never told", "1.2", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::FundsRemainder));
        drop_event(stream, at);
    }),
    tampering("an order by funds keeps more than it did not spend", "1.13", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::FundsRemainder));
        let Event::OrderCancelled(cancelled) = event(stream, at) else { unreachable!() };
        cancelled.cancelled_funds.0 += 1;
    }),
    tampering("a cancel is never told", "9.2", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::Requested));
        drop_event(stream, at);
    }),
    tampering("an order ends twice", "1.7", |stream| {
        let (at, event) = nth(stream, 1, cancelled_for(CancelReason::ImmediateRemainder));
        let again = stream[at].1[event];
        stream[at].1.push(again);
    }),
    tampering("a filled order is cancelled", "1.7", |stream| {
        let id = nth_trade(stream, 1).taker.order_id;
        let at = nth(stream, 1, cancelled_for(CancelReason::ImmediateRemainder));
        let Event::OrderCancelled(cancelled) = event(stream, at) else { unreachable!() };
        cancelled.order.order_id = id;
    }),
    tampering("an order that nobody entered is cancelled", "1.7", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::Requested));
        let Event::OrderCancelled(cancelled) = event(stream, at) else { unreachable!() };
        cancelled.order.order_id = OrderId(1 << 40);
    }),
    tampering("less is cancelled than was left", "4.7", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::ImmediateRemainder));
        let Event::OrderCancelled(cancelled) = event(stream, at) else { unreachable!() };
        cancelled.cancelled.0 -= 1;
    }),
    tampering("an order rests at another quantity than was entered", "1.1", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::OrderAccepted(_)));
        let Event::OrderAccepted(accepted) = event(stream, at) else { unreachable!() };
        accepted.order.quantity = Quantity(11);
        accepted.order.leaves = Quantity(11);
    }),
    tampering("an order is accepted under another's name", "1.7", |stream| {
        let [first, second] = [1, 2].map(|number| nth(stream, number, |it| matches!(it, Event::OrderAccepted(_))));
        let Event::OrderAccepted(before) = *event(stream, first) else { unreachable!() };
        let Event::OrderAccepted(accepted) = event(stream, second) else { unreachable!() };
        accepted.order.order_id = before.order.order_id;
    }),
    tampering("a stop is triggered without a cause", "3.7", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::OrderTriggered(_)));
        let triggered = stream[at.0].1[at.1];
        let Event::OrderTriggered(cause) = triggered.1 else { unreachable!() };
        let accepted =
            nth(stream, 1, |it| matches!(it, Event::OrderAccepted(it) if it.order.order_id == cause.order.order_id));
        let mut early = triggered;
        early.0.id.sequence = stream[accepted.0].0.stamp.sequence;
        early.0.time = stream[accepted.0].0.stamp.time;
        early.0.received_at = stream[accepted.0].0.value.header.received_at;
        if let Event::OrderTriggered(it) = &mut early.1 {
            it.report.client_sequence = SessionSequence::NONE;
        }
        drop_event(stream, at);
        stream[accepted.0].1.push(early);
    }),
    tampering("a stop names a price that elected nothing", "3.7", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::OrderTriggered(_)));
        let Event::OrderTriggered(triggered) = event(stream, at) else { unreachable!() };
        triggered.elected_by = Price(1_001);
    }),
    tampering("stops enter in another order than they were elected in", "3.8", |stream| {
        let [first, second] = [1, 2].map(|number| nth(stream, number, |it| matches!(it, Event::OrderTriggered(_))));
        let (one, other) = (*event(stream, first), *event(stream, second));
        *event(stream, first) = other;
        *event(stream, second) = one;
    }),
    tampering("an elected stop never enters", "3.8", |stream| {
        let at = nth(stream, 2, |event| matches!(event, Event::OrderTriggered(_)));
        stream[at.0].1.truncate(at.1);
    }),
    tampering("an iceberg's next tip is not told", "1.10", |stream| {
        let at = nth(stream, 1, restated_for(RestatementReason::DisplayRefreshed));
        drop_event(stream, at);
    }),
    tampering("an iceberg shows more than its display quantity", "4.7", |stream| {
        let at = nth(stream, 1, restated_for(RestatementReason::DisplayRefreshed));
        let Event::OrderRestated(restated) = event(stream, at) else { unreachable!() };
        restated.order.shown.0 += 1;
    }),
    tampering("prevented quantity is counted as traded", "4.7", |stream| {
        let at = nth(stream, 1, restated_for(RestatementReason::Prevented));
        let Event::OrderRestated(restated) = event(stream, at) else { unreachable!() };
        restated.order.cumulative += restated.order.prevented;
        restated.order.prevented = Quantity::ZERO;
    }),
    tampering("of a prevented match the incoming side is told first", "4.2", |stream| {
        let (at, event) = nth(stream, 1, |event| matches!(event, Event::MatchPrevented(_)));
        stream[at].1[event + 1..].rotate_right(1);
    }),
    tampering("an iceberg's next tip is told before what used the last one up", "1.10", |stream| {
        let (at, event) = nth(stream, 1, |event| matches!(event, Event::MatchPrevented(_)));
        swap_events(stream, (at, event + 1));
    }),
    tampering("two that do not belong together are kept apart", "4.4", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::MatchPrevented(_)));
        stream.truncate(at.0 + 1);
        for (command, events) in stream.iter_mut() {
            if let CommandBody::NewOrder(order) = &mut command.value.body
                && order.account == BOB
                && order.side == Side::Buy
            {
                order.account = CAROL;
                for (_, event) in events {
                    match event {
                        Event::OrderAccepted(event) => event.report.account = CAROL,
                        Event::MatchPrevented(event) => event.incoming_account = CAROL,
                        _ => {}
                    }
                }
            }
        }
    }),
    tampering("an amend that keeps its place says that it lost it", "2.2", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::OrderReplaced(_)));
        let Event::OrderReplaced(replaced) = event(stream, at) else { unreachable!() };
        replaced.priority = Priority::Lost;
    }),
    tampering("an amend that loses its place says that it kept it", "2.3", |stream| {
        let at = nth(stream, 2, |event| matches!(event, Event::OrderReplaced(_)));
        let Event::OrderReplaced(replaced) = event(stream, at) else { unreachable!() };
        replaced.priority = Priority::Kept;
    }),
    tampering("a deposit books another amount", "8.4", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::BalanceChanged(_)));
        let Event::BalanceChanged(changed) = event(stream, at) else { unreachable!() };
        changed.change.0 += 1;
        changed.available.0 += 1;
    }),
    tampering("a withdrawal leaves too much", "8.4", |stream| {
        let caused = |event: &Event| matches!(event, Event::BalanceChanged(it) if it.cause == BalanceCause::Withdrawal);
        let at = nth(stream, 1, caused);
        let Event::BalanceChanged(changed) = event(stream, at) else { unreachable!() };
        changed.available.0 += 500;
    }),
    tampering("open orders hold less than they need", "8.1", |stream| {
        let caused = |event: &Event| matches!(event, Event::BalanceChanged(it) if it.cause == BalanceCause::Withdrawal);
        let at = nth(stream, 1, caused);
        let Event::BalanceChanged(changed) = event(stream, at) else { unreachable!() };
        let held = changed.held.0;
        changed.available.0 += held;
        changed.held.0 = 0;
    }),
    tampering("a bust gives back one balance too few", "8.17", |stream| {
        let caused = |event: &Event| matches!(event, Event::BalanceChanged(it) if it.cause == BalanceCause::TradeBust);
        let at = nth(stream, 2, caused);
        drop_event(stream, at);
    }),
    tampering("a trade is busted for another quantity", "8.17", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::TradeBusted(_)));
        let Event::TradeBusted(busted) = event(stream, at) else { unreachable!() };
        busted.quantity.0 += 1;
    }),
    tampering("an order outlives its expiry", "1.9", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::Expired));
        drop_event(stream, at);
    }),
    tampering("an order expires that has no expiry", "1.9", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::MassCancel));
        let (header, mass_cancelled) = stream[at.0].1[at.1];
        let Event::OrderCancelled(mut early) = mass_cancelled else { unreachable!() };
        early.reason = CancelReason::Expired;
        let advance = nth(stream, 1, cancelled_for(CancelReason::Expired));
        let stamp = stream[advance.0].0.stamp;
        let id = EventId { sequence: stamp.sequence, index: 0 };
        let header = EventHeader { id, time: stamp.time, ..header };
        stream[advance.0].1.push((header, Event::OrderCancelled(early)));
    }),
    tampering("a mass cancel takes the newer order first", "8.13", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::MassCancel));
        swap_events(stream, at);
    }),
    tampering("a mass cancel leaves an order open", "8.13", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::MassCancel));
        drop_event(stream, at);
    }),
    tampering("an order is accepted in a phase that takes none", "7.1", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::InstrumentListed(_)));
        let Event::InstrumentListed(listed) = event(stream, at) else { unreachable!() };
        listed.command.phase = Phase::CancelOnly;
        stream[at.0].0.value.body = listed.command.into();
    }),
    tampering("a phase changes from another than it was", "7.1", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::PhaseChanged(_)));
        let Event::PhaseChanged(changed) = event(stream, at) else { unreachable!() };
        changed.from = Phase::Halted;
    }),
];

/// Tamperings with the numbers themselves.
const WITH_NUMBERS: &[Tampering] = &[
    tampering("an execution number is left out", "10.8", |stream| {
        for (_, events) in &mut stream[30..] {
            for (_, event) in events {
                for report in reports_of(event).into_iter().filter(|report| report.account == BOB) {
                    report.exec_id.0 += 1;
                }
            }
        }
    }),
    tampering("a report number is used twice", "10.2", |stream| {
        let wanted = |event: &Event| matches!(event, Event::OrderAccepted(it) if it.report.report_number.0 > 1);
        let at = nth(stream, 1, wanted);
        reports_of(event(stream, at)).iter_mut().for_each(|report| report.report_number.0 -= 1);
    }),
    tampering("a report answers another command", "10.2", |stream| {
        let wanted = |event: &Event| matches!(event, Event::OrderAccepted(it) if it.report.client_sequence.0 > 1);
        let at = nth(stream, 1, wanted);
        reports_of(event(stream, at)).iter_mut().for_each(|report| report.client_sequence.0 -= 1);
    }),
    tampering("an event's place is left out", "11.1", |stream| {
        let (at, event) = nth(stream, 1, is_trade);
        stream[at].1[event].0.id.index += 1;
    }),
    tampering("an event is dropped", "11.1", |stream| {
        let at = nth(stream, 3, is_trade);
        drop_event(stream, at);
    }),
    tampering("time goes back", "11.1", |stream| {
        let (command, events) = &mut stream[30];
        command.stamp.time = Timestamp(1);
        events.iter_mut().for_each(|(header, _)| header.time = Timestamp(1));
    }),
    tampering("a command is missing", "11.1", |stream| {
        stream.remove(3);
    }),
    tampering("a repetition is applied", "10.1", |stream| {
        let at = nth(stream, 3, |it| matches!(it, Event::OrderAccepted(it) if it.report.account == ALICE)).0;
        let CommandHeader { client_sequence, .. } = &mut stream[at].0.value.header;
        *client_sequence = SessionSequence(1);
        for (_, event) in &mut stream[at].1 {
            for report in reports_of(event).into_iter().filter(|report| !report.client_sequence.is_none()) {
                report.client_sequence = SessionSequence(1);
            }
        }
    }),
];

fn cancelled_for(reason: CancelReason) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::OrderCancelled(cancelled) if cancelled.reason == reason)
}

fn restated_for(reason: RestatementReason) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::OrderRestated(restated) if restated.reason == reason)
}

#[test]
fn every_tampering_is_caught_by_its_rule() {
    let day = a_day();
    audit(&day.stream).and_then(|auditor| auditor.balances(day.balances())).expect("the day as it was");
    let mut wrong = Vec::new();
    for (tamperings, numbers_anew) in [(TAMPERINGS, true), (WITH_NUMBERS, false)] {
        for Tampering { what, rule, tamper } in tamperings {
            let mut stream = day.stream.clone();
            tamper(&mut stream);
            if numbers_anew {
                renumber(&mut stream);
            }
            match audit(&stream) {
                Err(violation) if violation.rule == *rule => {}
                Err(violation) => wrong.push(format!("{what}: not {rule}, but {violation}")),
                Ok(_) => wrong.push(format!("{what}: not caught")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn balances_that_events_do_not_explain_are_caught() {
    let day = a_day();
    let auditor = audit(&day.stream).expect("the day as it was");
    let caught = |tamper: &dyn Fn(&mut Vec<Place>)| {
        let mut balances = day.balances();
        tamper(&mut balances);
        auditor.balances(balances).expect_err("a tampered balance").rule
    };
    assert_eq!(caught(&|balances| balances[0].2.available.0 += 1), "8.4");
    assert_eq!(caught(&|balances| balances.retain(|(account, ..)| *account != CAROL)), "8.4");
    let held = day.balances().iter().position(|(.., balance)| balance.held.0 > 0).expect("somebody holds");
    let release = |balances: &mut Vec<Place>| {
        balances[held].2.available.0 += balances[held].2.held.0;
        balances[held].2.held.0 = 0;
    };
    assert_eq!(caught(&release), "8.1");
}

/// Whether leaving the event out leaves something undone that only it can do.
fn is_missed(event: &Event) -> bool {
    match event {
        Event::OrderCancelled(cancelled) => {
            // A market buy that its account does not cover any more might as well stand on.
            use CancelReason::{DayEnded, Disconnected, InsufficientFunds, KeyRevoked};
            !matches!(cancelled.reason, DayEnded | Disconnected | InsufficientFunds | KeyRevoked)
        }
        event => matches!(
            event,
            Event::OrderAccepted(_)
                | Event::OrderRejected(_)
                | Event::OrderReplaced(_)
                | Event::OrderTriggered(_)
                | Event::OrderRestated(_)
                | Event::CancelRejected(_)
                | Event::MatchPrevented(_)
                | Event::Trade(_)
                | Event::IndicativeChanged(_)
                | Event::Uncrossed(_)
                | Event::PriceBoundReached(_)
        ),
    }
}

#[test]
fn an_event_that_is_left_out_or_told_twice_is_missed_wherever_it_was() {
    for &profile in PROFILES {
        let seed = 1;
        let venue = run(profile, seed, 400);
        let told: Vec<(usize, usize)> = (0..venue.stream.len())
            .flat_map(|at| (0..venue.stream[at].1.len()).map(move |event| (at, event)))
            .filter(|&(at, event)| is_missed(&venue.stream[at].1[event].1))
            .collect();
        let mut random = Random::new(seed);
        for _ in 0..15 {
            let (at, event) = random.one_of(&told);
            let taken = venue.stream[at].1[event];
            let mut without = venue.stream.clone();
            without[at].1.remove(event);
            let mut twice = venue.stream.clone();
            twice[at].1.insert(event, taken);
            for stream in [&mut without, &mut twice] {
                for (index, (header, _)) in (0..).zip(&mut stream[at].1) {
                    header.id.index = index;
                }
                let audited = audit(stream);
                assert!(audited.is_err(), "profile {} seed {seed}: command {at}: {taken:?}", profile.name);
            }
        }
    }
}

/// What the auditor objects to first in a stream of a model with a flaw, and in which seed.
fn first_objection(flaw: Flaw, name: &str, seeds: RangeInclusive<u64>) -> Option<(u64, Violation)> {
    let profile = profile(name).expect("a profile");
    seeds.into_iter().find_map(|seed| {
        let mut model = Model::with_flaw(CAPACITY, flaw);
        let (mut auditor, mut workload) = (Auditor::new(), Workload::new(profile, seed));
        let mut names = References::default();
        for sequence in 1..=600 {
            let step = workload.next_step();
            let stamp = Stamp { sequence: Sequence(sequence), time: step.at };
            let command = Sequenced { stamp, value: names.resolve(&step.command) };
            let events = model.apply(&command);
            if let Err(violation) = auditor.observe(&command, &events) {
                return Some((seed, violation));
            }
            names.learn(step.name, &events);
            workload.observe(&step, &events);
        }
        None
    })
}

#[test]
fn a_venue_with_a_wrong_rule_is_caught_by_that_rule() {
    let caught = [
        (Flaw::LaterOrderFirst, "plain", "3.1"),
        (Flaw::FeesRoundedDown, "plain", "8.5"),
        (Flaw::ReducingLosesPriority, "plain", "2.2"),
        (Flaw::ReferencePassedOver, "auctions", "5.5"),
        (Flaw::MarketOrdersLast, "auctions", "5.6"),
    ];
    for (flaw, name, rule) in caught {
        let (seed, violation) = first_objection(flaw, name, 1..=20).unwrap_or_else(|| panic!("{flaw:?} is not caught"));
        assert_eq!(violation.rule, rule, "{flaw:?} in seed {seed}: {violation}");
    }
    for name in ["plain", "auctions", "protection", "day"] {
        assert_eq!(first_objection(Flaw::None, name, 1..=4), None, "{name}");
    }
}
