//! Tamperings with calls, auctions, bounds and phases.

use engine::command::*;
use engine::event::{OrderCancelled, PriceBound, Requester};
use engine::instrument::{CollarAction, Distance, Holds, PriceProtection};

use super::*;

/// The order that is entered at the opening, in the venue's numbers.
fn cancel(account: AccountId, name: u64) -> CancelOrder {
    CancelOrder {
        account,
        order_id: OrderId::NONE,
        original_client_order_id: ClientOrderId(name),
        client_order_id: ClientOrderId::NONE,
    }
}

fn protection() -> PriceProtection {
    PriceProtection {
        entry_band: Distance::ticks(200),
        collar: Distance::ticks(20),
        market: Distance::ticks(5),
        auction: Distance::parts_per_million(100_000),
        collar_action: CollarAction::VolatilityCall,
        call_duration: Nanoseconds(100),
        ..PriceProtection::DEFAULT
    }
}

/// A day with an opening, a volatility call and a close, as the model tells it.
fn a_day_of_auctions() -> Vec<Told> {
    use Side::{Buy, Sell};
    use TimeInForce::{AtTheClose, AtTheOpening, ImmediateOrCancel};
    let note = AdminNote::NONE;
    let name = |text: &str| Text::new(text).expect("short ASCII");
    let mut commands: Vec<(u64, CommandBody)> = vec![
        (1, AddAsset { asset: BASE, name: name("BASE"), decimals: 0, note }.into()),
        (1, AddAsset { asset: QUOTE, name: name("QUOTE"), decimals: 0, note }.into()),
    ];
    let listing = ListInstrument {
        instrument: X,
        name: name("X"),
        base: BASE,
        quote: QUOTE,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price(1_000),
        holds: Holds::On,
        self_trade_prevention: SelfTradePrevention::CancelIncoming,
        phase: Phase::PreOpen,
        note,
    };
    commands.push((1, listing.into()));
    commands.push((1, SetFees { instrument: X, tier: 0, rates: FeeRates { maker: 300, taker: 1_000 }, note }.into()));
    for account in [ALICE, BOB, CAROL] {
        let stp_group = StpGroup::NONE;
        commands.push((1, OpenAccount { account, stp_group, self_trade_prevention: None, fee_tier: 0, note }.into()));
        for (asset, amount) in [(BASE, 1_000), (QUOTE, 1_000_000)] {
            commands.push((1, Deposit { account, asset, amount: Amount(amount), note }.into()));
        }
    }
    let until = |time_in_force: TimeInForce, order: NewOrder| NewOrder { time_in_force, ..order };
    let market = |order: NewOrder| NewOrder { order_type: OrderType::Market, price: Price::ABSENT, ..order };
    let stop = |at: u64, order: NewOrder| NewOrder {
        order_type: OrderType::Stop,
        price: Price::ABSENT,
        stop_price: Price(at),
        ..order
    };
    let named = |id: u64, order: NewOrder| NewOrder { client_order_id: ClientOrderId(id), ..order };
    let phase = |phase: Phase| CommandBody::from(SetPhase { instrument: X, phase, note });
    let protect = |protection: PriceProtection| SetPriceProtection { instrument: X, protection, note }.into();
    commands.extend::<Vec<(u64, CommandBody)>>(vec![
        (10, protect(protection())),
        // The opening: 1005 × 13, of which Carol's market order takes 3 first, and Bob's iceberg gives 7.
        (11, order(ALICE, Buy, 10, 1_010).into()),
        (11, order(BOB, Sell, 6, 1_000).into()),
        (11, NewOrder { display_quantity: Quantity(2), ..order(BOB, Sell, 10, 1_005) }.into()),
        (11, market(order(CAROL, Buy, 3, 0)).into()),
        (11, until(AtTheOpening, order(CAROL, Buy, 5, 1_004)).into()),
        (12, stop(1_005, order(ALICE, Buy, 1, 0)).into()),
        (12, until(AtTheClose, order(ALICE, Sell, 2, 1_000)).into()),
        (12, until(AtTheClose, order(BOB, Sell, 2, 1_001)).into()),
        (13, phase(Phase::Continuous)),
        // Beyond the entry band; then a market order that its protection stops.
        (14, order(ALICE, Buy, 1, 1_300).into()),
        (15, order(BOB, Sell, 5, 1_008).into()),
        (15, order(BOB, Sell, 5, 1_020).into()),
        (16, until(ImmediateOrCancel, market(order(CAROL, Buy, 10, 0))).into()),
        // A collar, which sends an elected stop back to wait; its call ends by itself.
        (17, order(BOB, Sell, 5, 1_040).into()),
        (17, stop(1_015, order(CAROL, Buy, 1, 0)).into()),
        (18, order(ALICE, Buy, 8, 1_040).into()),
        (118, AdvanceTime {}.into()),
        // The close: two of Bob's market order trade, and everything else for the close ends.
        (120, phase(Phase::ClosingCall)),
        (121, market(order(CAROL, Buy, 1, 0)).into()),
        (121, named(7, until(AtTheClose, order(CAROL, Buy, 1, 1_001))).into()),
        (121, market(order(BOB, Sell, 5, 0)).into()),
        (122, phase(Phase::NoCancel)),
        (122, cancel(CAROL, 7).into()),
        (123, phase(Phase::Closed)),
        // An auction outside its band, twice.
        (124, phase(Phase::ClosingCall)),
        (124, order(CAROL, Buy, 2, 1_200).into()),
        (125, protect(PriceProtection { auction: Distance::ticks(10), ..protection() })),
        (126, phase(Phase::Closed)),
        (226, AdvanceTime {}.into()),
    ]);
    let mut model = Model::new(CAPACITY);
    let mut stream = Vec::new();
    for (sequence, (time, body)) in (1..).zip(commands) {
        let stamp = Stamp { sequence: Sequence(sequence), time: Timestamp(time) };
        let command = Sequenced { stamp, value: Command::from_venue(body) };
        let header = |index| EventHeader {
            id: EventId { sequence: stamp.sequence, index },
            time: stamp.time,
            received_at: Timestamp::NONE,
        };
        let told = (0..).map(header).zip(model.apply(&command)).collect();
        stream.push((command, told));
    }
    stream
}

fn is_auction_trade(event: &Event) -> bool {
    matches!(event, Event::Trade(it) if it.aggressor.is_none())
}

fn auction_trade(stream: &mut [Told], number: usize) -> &mut Trade {
    let at = nth(stream, number, is_auction_trade);
    match event(stream, at) {
        Event::Trade(trade) => trade,
        other => unreachable!("{other:?} is no trade"),
    }
}

fn uncrossed(stream: &mut [Told]) -> &mut engine::event::Uncrossed {
    let at = nth(stream, 1, |event| matches!(event, Event::Uncrossed(_)));
    match event(stream, at) {
        Event::Uncrossed(uncrossed) => uncrossed,
        other => unreachable!("{other:?} is no uncross"),
    }
}

fn is_bound(bound: PriceBound) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::PriceBoundReached(it) if it.bound == bound)
}

fn bound(stream: &mut [Told], bound: PriceBound) -> &mut engine::event::PriceBoundReached {
    let at = nth(stream, 1, is_bound(bound));
    match event(stream, at) {
        Event::PriceBoundReached(it) => it,
        other => unreachable!("{other:?} is no bound"),
    }
}

fn is_indicative(event: &Event) -> bool {
    matches!(event, Event::IndicativeChanged(_))
}

const TAMPERINGS: &[Tampering] = &[
    tampering("an auction ends at another price", "5.4", |stream| uncrossed(stream).price = Price(1_006)),
    tampering("an auction ends with another volume", "5.4", |stream| uncrossed(stream).volume.0 -= 1),
    tampering("an auction says that nothing is left over", "5.4", |stream| {
        uncrossed(stream).surplus_side = None;
        uncrossed(stream).surplus = Quantity::ZERO;
    }),
    tampering("an auction ends another call", "5.6", |stream| uncrossed(stream).phase = Phase::ClosingCall),
    tampering("an auction is not told", "5.6", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::Uncrossed(_)));
        drop_event(stream, at);
    }),
    tampering("a trade of an auction prints at its buyer's limit", "5.6", |stream| {
        auction_trade(stream, 1).price = Price(1_010);
    }),
    tampering("a limit order trades before a market order", "5.6", |stream| {
        let [first, second] = [auction_trade(stream, 1).maker, auction_trade(stream, 2).maker];
        auction_trade(stream, 1).maker = second;
        auction_trade(stream, 2).maker = first;
    }),
    tampering("a trade of an auction is of less than it could be", "5.6", |stream| {
        auction_trade(stream, 1).quantity.0 -= 1;
    }),
    tampering("a trade of an auction has an aggressor", "3.1", |stream| {
        auction_trade(stream, 1).aggressor = Some(Side::Sell);
    }),
    tampering("an auction trades less than it says", "5.6", |stream| {
        let at = nth(stream, 4, is_auction_trade);
        drop_event(stream, at);
    }),
    tampering("an auction's buyer pays as a maker", "8.5", |stream| {
        let trade = auction_trade(stream, 1);
        // 3 × 1005 × 300 ppm, rounded up; a taker pays 4.
        trade.maker.fee = SignedAmount(1);
    }),
    tampering("an iceberg shows no tip behind an auction", "5.8", |stream| {
        let at = nth(stream, 1, restated_for(RestatementReason::DisplayRefreshed));
        drop_event(stream, at);
    }),
    tampering("an order for the opening outlives it", "5.9", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::OpeningRemainder));
        drop_event(stream, at);
    }),
    tampering("an order for the opening ends as a market order does", "5.9", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::OpeningRemainder));
        let Event::OrderCancelled(it) = event(stream, at) else { unreachable!() };
        it.reason = CancelReason::AuctionRemainder;
    }),
    tampering("of what is left for the close the newer order ends first", "5.9", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::ClosingRemainder));
        swap_events(stream, at);
    }),
    tampering("a market order outlives an auction", "5.9", |stream| {
        let at = nth(stream, 1, cancelled_for(CancelReason::AuctionRemainder));
        drop_event(stream, at);
    }),
    tampering("an indicative has another price than its book", "5.5", |stream| {
        let at = nth(stream, 1, is_indicative);
        let Event::IndicativeChanged(it) = event(stream, at) else { unreachable!() };
        it.price.0 += 1;
    }),
    tampering("an indicative is not told", "5.5", |stream| {
        let at = nth(stream, 2, is_indicative);
        drop_event(stream, at);
    }),
    tampering("an indicative is told twice", "5.5", |stream| {
        let (at, event) = nth(stream, 1, is_indicative);
        let again = stream[at].1[event];
        stream[at].1.push(again);
    }),
    tampering("an indicative is told before what changed it", "5.5", |stream| {
        let (at, event) = nth(stream, 1, is_indicative);
        stream[at].1.swap(event - 1, event);
    }),
    tampering("orders join the close in another order than they came in", "5.10", |stream| {
        let at = nth(stream, 1, restated_for(RestatementReason::JoinedCall));
        swap_events(stream, at);
    }),
    tampering("an order that waited for the close does not join it", "5.10", |stream| {
        let at = nth(stream, 2, restated_for(RestatementReason::JoinedCall));
        drop_event(stream, at);
    }),
    tampering("an auction ends outside its band", "5.11", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::PriceProtectionSet(_)));
        let protection = PriceProtection { auction: Distance::ticks(4), ..protection() };
        let Event::PriceProtectionSet(it) = event(stream, at) else { unreachable!() };
        it.command.protection = protection;
        stream[at.0].0.value.body = it.command.into();
    }),
    tampering("an auction's band is another", "5.11", |stream| {
        bound(stream, PriceBound::AuctionBand).limit = Price(1_011);
    }),
    tampering("what was beyond an auction's band is not told", "7.5", |stream| {
        let at = nth(stream, 1, is_bound(PriceBound::AuctionBand));
        drop_event(stream, at);
    }),
    tampering("an entry band is measured from nothing", "6.2", |stream| {
        let it = bound(stream, PriceBound::EntryBand);
        it.reference.0 -= 1;
        it.limit.0 -= 1;
    }),
    tampering("an order is refused for a band that is not told", "6.2", |stream| {
        let at = nth(stream, 1, is_bound(PriceBound::EntryBand));
        drop_event(stream, at);
    }),
    tampering("a collar is another", "6.3", |stream| bound(stream, PriceBound::Collar).limit.0 += 1),
    tampering("a collar is measured from a price of its own command", "6.3", |stream| {
        let it = bound(stream, PriceBound::Collar);
        it.reference = Price(1_020);
        it.limit = Price(1_040);
    }),
    tampering("a trade lies outside the collar", "6.3", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::PriceProtectionSet(_)));
        let protection = PriceProtection { collar: Distance::ticks(2), ..protection() };
        let Event::PriceProtectionSet(it) = event(stream, at) else { unreachable!() };
        it.command.protection = protection;
        stream[at.0].0.value.body = it.command.into();
    }),
    tampering("a collar interrupts without being told", "7.5", |stream| {
        let at = nth(stream, 1, is_bound(PriceBound::Collar));
        drop_event(stream, at);
    }),
    tampering("a market order trades further than it was protected", "6.5", |stream| {
        bound(stream, PriceBound::Market).limit = Price(1_021);
    }),
    tampering("a market order's protection is measured from elsewhere", "6.5", |stream| {
        bound(stream, PriceBound::Market).reference = Price(1_008);
    }),
    tampering("where a market order's protection ended is not told", "6.5", |stream| {
        let at = nth(stream, 1, is_bound(PriceBound::Market));
        drop_event(stream, at);
    }),
    tampering("an order for the opening enters while orders match", "7.1", |stream| {
        let at = nth(stream, 1, |it| matches!(it, Event::OrderAccepted(it) if it.order.price == Price(1_008)));
        let Event::OrderAccepted(it) = event(stream, at) else { unreachable!() };
        it.order.time_in_force = TimeInForce::AtTheOpening;
        let CommandBody::NewOrder(new) = &mut stream[at.0].0.value.body else { unreachable!() };
        new.time_in_force = TimeInForce::AtTheOpening;
    }),
    tampering("a trade stands in a phase that does not match", "7.1", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::PhaseChanged(_)));
        let Event::PhaseChanged(it) = event(stream, at) else { unreachable!() };
        it.to = Phase::PostOnly;
        let CommandBody::SetPhase(set) = &mut stream[at.0].0.value.body else { unreachable!() };
        set.phase = Phase::PostOnly;
        // Nothing is elected there.
        stream[at.0].1.truncate(at.1 + 1);
        let mut gone = OrderId::NONE;
        for (command, events) in &mut stream[at.0 + 1..] {
            if let (CommandBody::NewOrder(new), Some((_, Event::OrderAccepted(it)))) =
                (&mut command.value.body, events.first_mut())
            {
                if new.order_type == OrderType::Limit {
                    new.flags = OrderFlags::POST_ONLY;
                    it.order.flags = OrderFlags::POST_ONLY;
                }
                gone = it.order.order_id;
            }
        }
        assert_ne!(gone, OrderId::NONE);
    }),
    tampering("a phase changes that nobody asked for", "7.5", |stream| {
        let at = nth(stream, 1, |event| matches!(event, Event::PhaseChanged(_)));
        let CommandBody::SetPhase(set) = &mut stream[at.0].0.value.body else { unreachable!() };
        set.phase = Phase::LimitOnly;
    }),
    tampering("an order is cancelled where nobody cancels", "7.6", |stream| {
        let accepted =
            nth(stream, 1, |it| matches!(it, Event::OrderAccepted(it) if it.order.client_order_id == ClientOrderId(7)));
        let Event::OrderAccepted(accepted) = *event(stream, accepted) else { unreachable!() };
        let at = nth(stream, 1, |event| matches!(event, Event::CancelRejected(_)));
        let Event::CancelRejected(refused) = *event(stream, at) else { unreachable!() };
        let order = engine::event::OrderState { leaves: Quantity::ZERO, shown: Quantity::ZERO, ..accepted.order };
        *event(stream, at) = Event::OrderCancelled(OrderCancelled {
            report: refused.report,
            requester: Requester::NOBODY,
            order,
            cancelled: accepted.order.leaves,
            cancelled_funds: Amount::ABSENT,
            request_client_order_id: ClientOrderId::NONE,
            reason: CancelReason::Requested,
        });
    }),
];

#[test]
fn every_tampering_with_an_auction_is_caught_by_its_rule() {
    let day = a_day_of_auctions();
    audit(&day).expect("the day as it was");
    let mut wrong = Vec::new();
    for Tampering { what, rule, tamper } in TAMPERINGS {
        let mut stream = day.clone();
        tamper(&mut stream);
        renumber(&mut stream);
        match audit(&stream) {
            Err(violation) if violation.rule == *rule => {}
            Err(violation) => wrong.push(format!("{what}: not {rule}, but {violation}")),
            Ok(_) => wrong.push(format!("{what}: not caught")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
