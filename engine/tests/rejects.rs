//! Rule 9: for every reason that can be reached so far, the smallest command that earns exactly it, and changes nothing.

mod common;

use std::collections::BTreeSet;

use common::*;
use engine::canonical::Code;
use engine::command::*;
use engine::instrument::*;
use engine::*;

/// A case: what is set up, who sends what, and the reason that it earns.
struct Case {
    reason: RejectReason,
    setup: Vec<Command>,
    command: Command,
}

fn case(reason: RejectReason, body: impl Into<CommandBody>) -> Case {
    Case { reason, setup: Vec::new(), command: Command::from_venue(body) }
}

impl Case {
    fn after(mut self, body: impl Into<CommandBody>) -> Self {
        self.setup.push(Command::from_venue(body));
        self
    }

    fn after_from(mut self, header: CommandHeader, body: impl Into<CommandBody>) -> Self {
        self.setup.push(Command { header, body: body.into() });
        self
    }

    fn from(mut self, header: CommandHeader) -> Self {
        self.command.header = header;
        self
    }
}

const KEY: KeyId = KeyId(1);

fn stranger() -> CommandHeader {
    CommandHeader { author: KeyId(9), ..CommandHeader::VENUE }
}

fn in_session(session: u32) -> CommandHeader {
    CommandHeader { author: KEY, session: SessionId(session), ..CommandHeader::VENUE }
}

fn add_key(key: u32) -> AddKey {
    AddKey { key: KeyId(key), kind: KeyKind::Ed25519, public_key: [key as u8; 32], note: AdminNote::NONE }
}

fn negotiate(version: u64) -> Negotiate {
    Negotiate { version: SessionVersion(version) }
}

fn establish(version: u64, nonce: u64) -> Establish {
    Establish {
        version: SessionVersion(version),
        nonce: LoginNonce(nonce),
        cancel_on_disconnect: CancelOnDisconnect::Keep,
        cancel_grace: Nanoseconds(0),
        keep_alive: Nanoseconds(0),
    }
}

fn buy() -> NewOrder {
    limit(Side::Buy, 100, 1)
}

fn limits(limits: InstrumentLimits) -> SetInstrumentLimits {
    SetInstrumentLimits { instrument: BTC_USD, limits, note: AdminNote::NONE }
}

fn account_limits(limits: AccountLimits) -> SetAccountLimits {
    SetAccountLimits { account: ALICE, instrument: InstrumentId::NONE, limits, note: AdminNote::NONE }
}

fn repeated() -> AdminNote {
    AdminNote { idempotency_key: IdempotencyKey(1), reason: Text::EMPTY }
}

fn listed(instrument: u32) -> ListInstrument {
    listing(InstrumentId(instrument), Holds::On)
}

fn rollover(at: u64) -> SetCalendarEntry {
    SetCalendarEntry {
        instrument: BTC_USD,
        entry: 1,
        action: CalendarAction::Rollover,
        phase: None,
        at: Timestamp(at),
        repeat: Nanoseconds::NONE,
        random_end: Nanoseconds::NONE,
        note: AdminNote::NONE,
    }
}

/// Ten ticks.
fn entry_band() -> SetPriceProtection {
    let protection = PriceProtection { entry_band: Distance::ticks(10), ..PriceProtection::DEFAULT };
    SetPriceProtection { instrument: BTC_USD, protection, note: AdminNote::NONE }
}

fn of_orders() -> Vec<Case> {
    use RejectReason::*;
    let bounds = InstrumentLimits::DEFAULT;
    let account = AccountLimits::DEFAULT;
    let halt = |phase| set_phase(BTC_USD, phase);
    let kill = KillSwitch { account: ALICE, switch: Switch::Engaged, note: AdminNote::NONE };
    vec![
        case(NotEntitled, buy()).from(stranger()),
        case(UnknownInstrument, NewOrder { instrument: InstrumentId(7), ..buy() }),
        case(UnknownAccount, buy().by(AccountId(9))),
        case(UnknownAccount, buy().by(AccountId::FEES)),
        case(AccountBlocked, buy()).after(kill),
        case(DuplicateClientOrderId, buy().named(1)).after(buy().named(1)),
        case(DuplicateClientOrderId, buy().named(1)).after(buy().named(1)).after(cancel(ALICE, 1)),
        case(UnknownOrder, cancel(ALICE, 1)),
        case(UnknownOrder, cancel(ALICE, 1)).after(buy().by(BOB).named(1)),
        case(UnknownOrder, replace(1)),
        case(InvalidCombination, ReplaceOrder { time_in_force: Some(TimeInForce::AtTheClose), ..replace(1) })
            .after(buy().named(1)),
        case(InvalidCombination, ReplaceOrder { time_in_force: Some(TimeInForce::Day), ..replace(1) })
            .after(buy().named(1).lasting(TimeInForce::AtTheClose)),
        case(InvalidCombination, buy().lasting(TimeInForce::AtTheClose).showing(1)),
        case(PhaseNotAllowed, buy().lasting(TimeInForce::AtTheOpening)),
        case(OutsidePriceBand, limit(Side::Buy, 111, 1))
            .after(entry_band())
            .after(limit(Side::Sell, 100, 1).by(BOB))
            .after(limit(Side::Buy, 100, 1)),
        case(InvalidCombination, NewOrder { flags: OrderFlags(2), ..buy() }),
        case(
            InvalidCombination,
            NewOrder { flags: OrderFlags::POST_ONLY, ..buy() }.lasting(TimeInForce::ImmediateOrCancel),
        ),
        case(InvalidCombination, NewOrder { self_trade_prevention: Some(SelfTradePrevention::Allow), ..buy() }),
        case(InvalidCombination, ReplaceOrder { time_in_force: Some(TimeInForce::FillOrKill), ..replace(1) })
            .after(buy().named(1)),
        case(InvalidCombination, stop(Side::Buy, 100, 1).lasting(TimeInForce::ImmediateOrCancel)),
        case(InvalidCombination, stop_limit(Side::Buy, 100, 100, 1).lasting(TimeInForce::FillOrKill)),
        case(InvalidCombination, NewOrder { flags: OrderFlags::POST_ONLY, ..stop_limit(Side::Buy, 100, 100, 1) }),
        case(InvalidCombination, market(Side::Buy, 1).until(9_999)),
        case(InvalidCombination, market(Side::Buy, 1).showing(1)),
        case(InvalidCombination, stop(Side::Buy, 100, 1).showing(1)),
        case(InvalidCombination, buy().showing(1).lasting(TimeInForce::ImmediateOrCancel)),
        case(InvalidCombination, NewOrder { minimum_quantity: Quantity(1), ..buy() }),
        case(InvalidCombination, NewOrder { minimum_quantity: Quantity(1), ..by_funds(100) }),
        case(InvalidCombination, by_funds(100).lasting(TimeInForce::FillOrKill)),
        case(InvalidCombination, ReplaceOrder { order_type: Some(OrderType::Stop), ..replace(1) })
            .after(buy().named(1)),
        case(PhaseNotAllowed, buy()).after(halt(Phase::Halted)),
        case(PriceMissing, NewOrder { price: Price::ABSENT, ..buy() }),
        case(PriceSuperfluous, NewOrder { price: Price(1), ..market(Side::Buy, 1) }),
        case(PriceNotPositive, limit(Side::Buy, 0, 1)),
        case(PriceOffTick, NewOrder { price: Price::OFF_TICK, ..buy() }),
        case(PriceOutOfRange, limit(Side::Buy, Price::MAX.0 + 1, 1)),
        case(PriceOutOfRange, buy()).after(limits(InstrumentLimits { price_max: Price(99), ..bounds })),
        case(QuantityNotPositive, limit(Side::Buy, 100, 0)),
        case(QuantityNotPositive, NewOrder { quantity: Quantity::ABSENT, ..buy() }),
        case(QuantityOffLot, NewOrder { quantity: Quantity::OFF_LOT, ..buy() }),
        case(QuantityBelowMinimum, buy()).after(limits(InstrumentLimits { quantity_min: Quantity(2), ..bounds })),
        case(QuantityAboveMaximum, limit(Side::Buy, 1, Quantity::MAX.0 + 1)),
        case(DisplayQuantityInvalid, buy().showing(0)),
        case(DisplayQuantityInvalid, buy().showing(2)),
        case(DisplayQuantityInvalid, NewOrder { display_quantity: Quantity::OFF_LOT, ..buy() }),
        case(DisplayQuantityInvalid, limit(Side::Buy, 1, 10_001).showing(1)),
        case(DisplayQuantityInvalid, ReplaceOrder { display_quantity: Quantity(2), ..replace(1) })
            .after(buy().named(1)),
        case(MinimumQuantityInvalid, NewOrder { minimum_quantity: Quantity(0), ..market(Side::Buy, 1) }),
        case(MinimumQuantityInvalid, NewOrder { minimum_quantity: Quantity(2), ..market(Side::Buy, 1) }),
        case(FundsInvalid, NewOrder { funds: Amount(1), ..buy() }),
        case(FundsInvalid, NewOrder { funds: Amount(1), ..market(Side::Buy, 1) }),
        case(FundsInvalid, by_funds(0)),
        case(FundsInvalid, by_funds(Amount::MAX.0 + 1)),
        case(NotionalBelowMinimum, buy()).after(limits(InstrumentLimits { notional_min: Amount(101), ..bounds })),
        case(NotionalAboveMaximum, buy()).after(limits(InstrumentLimits { notional_max: Amount(99), ..bounds })),
        case(ExpiryInvalid, NewOrder { expire_at: Timestamp(9_999), ..buy() }),
        case(ExpiryInvalid, buy().lasting(TimeInForce::GoodTillDate)),
        case(ExpiryInvalid, buy().until(1_000)),
        case(StopPriceInvalid, NewOrder { stop_price: Price(1), ..buy() }),
        case(StopPriceInvalid, NewOrder { stop_price: Price::ABSENT, ..stop(Side::Buy, 1, 1) }),
        case(StopPriceInvalid, stop(Side::Buy, 0, 1)),
        case(StopPriceInvalid, NewOrder { stop_price: Price::OFF_TICK, ..stop_limit(Side::Buy, 1, 100, 1) }),
        case(StopPriceInvalid, stop(Side::Sell, Price::MAX.0 + 1, 1)),
        case(AccountQuantityLimit, buy()).after(account_limits(AccountLimits { quantity_max: Quantity(0), ..account })),
        case(AccountNotionalLimit, buy()).after(account_limits(AccountLimits { notional_max: Amount(99), ..account })),
        case(AccountOpenOrdersLimit, buy()).after(account_limits(AccountLimits { open_orders_max: 0, ..account })),
        case(AccountPriceDeviation, limit(Side::Buy, 101, 1))
            .after(limit(Side::Sell, 100, 1).by(BOB))
            .after(buy().by(BOB))
            .after(account_limits(AccountLimits { price_deviation: Distance::ticks(0), ..account })),
        case(InsufficientFunds, limit(Side::Buy, 1, 1_000_001)),
        case(PostOnlyWouldTake, NewOrder { flags: OrderFlags::POST_ONLY, ..buy() })
            .after(limit(Side::Sell, 100, 1).by(BOB)),
        case(InsufficientFunds, by_funds(1_000_001)),
        case(InsufficientFunds, stop(Side::Buy, 1_000_000, 1)),
        case(CannotFill, buy().lasting(TimeInForce::FillOrKill)),
        case(CannotFill, NewOrder { minimum_quantity: Quantity(1), ..market(Side::Buy, 1) }),
    ]
}

fn of_administration() -> Vec<Case> {
    use RejectReason::*;
    let instrument = |listing: ListInstrument| ListInstrument { instrument: InstrumentId(3), ..listing };
    let grant = GrantRole { key: KEY, role: Role::Trader, account: ALICE, note: AdminNote::NONE };
    let key = RevokeKey { key: KEY, note: AdminNote::NONE };
    let network = AllowAddress { key: KEY, address: [0; 16], prefix_bits: 129, note: AdminNote::NONE };
    vec![
        case(NotEntitled, deposit(ALICE, USD, 1)).from(stranger()),
        case(NotEntitled, KillSwitch { account: ALICE, switch: Switch::Lifted, note: AdminNote::NONE })
            .from(stranger()),
        case(UnknownAccount, KillSwitch { account: AccountId(9), switch: Switch::Lifted, note: AdminNote::NONE }),
        case(UnknownInstrument, DelistInstrument { instrument: InstrumentId(7), note: AdminNote::NONE }),
        case(UnknownTrade, BustTrade { instrument: BTC_USD, trade_id: TradeId(1), note: AdminNote::NONE }),
        case(UnknownCalendarEntry, RemoveCalendarEntry { instrument: BTC_USD, entry: 1, note: AdminNote::NONE }),
        case(CalendarEntryInvalid, rollover(1_000)),
        case(CalendarEntryInvalid, SetCalendarEntry { phase: Some(Phase::Halted), ..rollover(9_999) }),
        case(
            CalendarEntryInvalid,
            SetCalendarEntry { repeat: Nanoseconds(5), random_end: Nanoseconds(5), ..rollover(9_999) },
        ),
        case(CalendarEntryInvalid, rollover(u64::MAX)),
        case(CalendarEntryInvalid, SetCalendarEntry { random_end: Nanoseconds(5), ..rollover(u64::MAX - 5) }),
        case(DuplicateRequest, Deposit { note: repeated(), ..deposit(ALICE, USD, 1) })
            .after(Deposit { note: repeated(), ..deposit(ALICE, USD, 1) }),
        case(UnknownAsset, deposit(ALICE, AssetId(7), 1)),
        case(UnknownAsset, ListInstrument { base: AssetId(7), ..listed(3) }),
        case(UnknownKey, key),
        case(AlreadyExists, asset(BTC, "BTC")),
        case(AlreadyExists, listed(1)),
        case(AlreadyExists, open_account(AccountId::FEES)),
        case(AlreadyExists, add_key(1)).after(add_key(1)),
        case(IdentityOutOfRange, asset(AssetId(0), "NIL")),
        case(IdentityOutOfRange, listed(9)),
        case(IdentityOutOfRange, open_account(AccountId(17))),
        case(NameMissing, asset(AssetId(3), "")),
        case(DecimalsOutOfRange, AddAsset { decimals: 19, ..asset(AssetId(3), "ETH") }),
        case(TickOrLotInvalid, instrument(ListInstrument { tick: 0, ..listed(3) })),
        case(TickOrLotInvalid, instrument(ListInstrument { base: USD, ..listed(3) })),
        case(UnitNotWhole, instrument(ListInstrument { tick_decimals: 1, ..listed(3) })),
        case(LimitsInvalid, limits(InstrumentLimits { quantity_min: Quantity(0), ..InstrumentLimits::DEFAULT })),
        case(FeeRatesInvalid, set_fees(0, -1)),
        case(AccountSettingInvalid, SetFees { tier: 8, ..set_fees(0, 0) }),
        case(TickOrLotInvalid, ListInstrument { base: AssetId::NONE, ..listed(3) }),
        case(TickOrLotInvalid, ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listed(3) }),
        case(
            DuplicateRequest,
            MassCancel {
                account: ALICE,
                instrument: InstrumentId::NONE,
                side: None,
                entered_by: SessionId::NONE,
                client_order_id: ClientOrderId::NONE,
                note: repeated(),
            },
        )
        .after(Deposit { note: repeated(), ..deposit(ALICE, USD, 1) }),
        case(AmountInvalid, deposit(ALICE, USD, 0)),
        case(UnsupportedBehaviour, SetBehaviour { version: 99, note: AdminNote::NONE }),
        case(AddressInvalid, network).after(add_key(1)),
        case(AccountSettingInvalid, OpenAccount { fee_tier: 8, ..open_account(AccountId(9)) }),
        case(AlreadyExists, AddKey { key: KeyId(2), kind: KeyKind::Certificate, ..add_key(1) }).after(add_key(1)),
        case(
            UnknownInstrument,
            SetAccountLimits {
                account: ALICE,
                instrument: InstrumentId(7),
                limits: AccountLimits::DEFAULT,
                note: AdminNote::NONE,
            },
        ),
        case(AlreadyExists, AddKey { key: KeyId(2), ..add_key(1) }).after(add_key(1)),
        case(RoleNotGranted, RevokeRole { key: KEY, role: Role::Trader, account: ALICE, note: AdminNote::NONE })
            .after(add_key(1)),
        case(RoleNeedsVenue, GrantRole { role: Role::Administrator, ..grant }).after(add_key(1)),
        case(
            AccountSettingInvalid,
            account_limits(AccountLimits { quantity_max: Quantity::OFF_LOT, ..AccountLimits::DEFAULT }),
        ),
        case(NotEntitled, AdvanceTime {}).from(stranger()),
        case(KeyRevoked, key).after(add_key(1)).after(key),
        case(UnknownAccount, GrantRole { account: AccountId(9), ..grant }).after(add_key(1)),
    ]
}

fn of_sessions() -> Vec<Case> {
    use RejectReason::*;
    let other = CommandHeader { author: KeyId(2), ..in_session(1) };
    let disconnect = Disconnect { version: SessionVersion(3), reason: DisconnectReason::Terminated };
    let grant =
        |key| GrantRole { key: KeyId(key), role: Role::ReadOnly, account: AccountId::NONE, note: AdminNote::NONE };
    let known = |case: Case| case.after(add_key(1)).after(add_key(2)).after(grant(1)).after(grant(2));
    let negotiated = |case: Case| known(case).after_from(in_session(1), negotiate(3));
    let open = |case: Case| negotiated(case).after_from(in_session(1), establish(3, 5));
    vec![
        case(UnknownKey, negotiate(1)).from(in_session(1)),
        known(case(IdentityOutOfRange, negotiate(1)).from(in_session(17))),
        known(case(UnknownSession, establish(1, 1)).from(in_session(1))),
        known(case(UnknownSession, disconnect).from(in_session(1))),
        case(NotEntitled, negotiate(1)).from(in_session(1)).after(add_key(1)),
        negotiated(case(SessionKeyMismatch, negotiate(4)).from(other)),
        negotiated(
            case(SessionNotNegotiated, Disconnect { version: SessionVersion(2), ..disconnect }).from(in_session(1)),
        ),
        negotiated(case(SessionKeyMismatch, disconnect).from(other)),
        negotiated(case(SessionVersionNotGreater, negotiate(3)).from(in_session(1))),
        negotiated(case(SessionNotNegotiated, establish(2, 1)).from(in_session(1))),
        negotiated(case(SessionNotEstablished, disconnect).from(in_session(1))),
        open(case(SessionNonceNotGreater, establish(3, 5)).from(in_session(1))),
        open(case(SessionAlreadyEstablished, establish(3, 6)).from(in_session(1))),
    ]
}

/// A command with the same numbering effects as `case`'s, refused for sure: what remains different is a change of state.
fn refused_alike(case: &Case) -> Command {
    let body: CommandBody = match case.command.body {
        CommandBody::NewOrder(order) => NewOrder { instrument: InstrumentId(8), ..order }.into(),
        CommandBody::CancelOrder(order) => cancel(order.account, 999).into(),
        CommandBody::ReplaceOrder(order) => cancel(order.account, 999).into(),
        CommandBody::MassCancel(orders) => cancel(orders.account, 999).into(),
        CommandBody::Negotiate(_) | CommandBody::Establish(_) | CommandBody::Disconnect(_) => negotiate(0).into(),
        _ => AdvanceTime {}.into(),
    };
    Command { body, ..case.command }
}

#[test]
fn each_reason_is_earned_exactly_and_changes_nothing() {
    let mut reached = BTreeSet::new();
    for case in of_orders().into_iter().chain(of_administration()).chain(of_sessions()) {
        let [mut venue, mut other] = [(); 2].map(|()| {
            let mut venue = Venue::open();
            for command in &case.setup {
                assert_eq!(reasons(&venue.apply_command(*command)), [], "{command:?}");
            }
            venue
        });
        let events = venue.apply_command(case.command);
        assert_eq!(reasons(&events), [case.reason], "{:?}", case.command);
        // The entry band says its numbers beside.
        let beside = usize::from(case.reason == RejectReason::OutsidePriceBand);
        assert_eq!(events.len(), 1 + beside, "{events:?}");
        other.apply_command(refused_alike(&case));
        assert!(venue.snapshot() == other.snapshot(), "{} changed something", case.reason);
        reached.insert(case.reason);
    }
    // What no command can reach yet, and what takes a venue of its own.
    let elsewhere = BTreeSet::from([
        // The edge's reason: such commands are not journalled.
        RejectReason::VenueNotAccepting,
        // A full venue, below.
        RejectReason::CapacityFull,
        // Everything that has a name is carried out.
        RejectReason::NotImplemented,
        // Any phase may follow any other.
        RejectReason::PhaseTransition,
    ]);
    let all: BTreeSet<_> = RejectReason::ALL.iter().copied().collect();
    assert_eq!(all.difference(&reached).copied().collect::<BTreeSet<_>>(), elsewhere);
}

#[test]
fn precedence_is_the_order_of_declaration() {
    // Each command deserves its reason and every later one of the list; mending them one by one shows the next.
    let wrong = NewOrder {
        account: AccountId(9),
        instrument: InstrumentId(8),
        client_order_id: ClientOrderId(1),
        order_type: OrderType::StopLimit,
        flags: OrderFlags(2),
        price: Price::ZERO,
        quantity: Quantity::ZERO,
        display_quantity: Quantity::ZERO,
        funds: Amount(1),
        expire_at: Timestamp(1),
        stop_price: Price::ZERO,
        ..buy()
    };
    let mut mended = vec![wrong];
    let mut mend = |change: &dyn Fn(&mut NewOrder)| {
        let mut order = *mended.last().unwrap();
        change(&mut order);
        mended.push(order);
    };
    mend(&|order| order.instrument = BTC_USD);
    mend(&|order| order.account = ALICE);
    mend(&|order| order.client_order_id = ClientOrderId(2));
    mend(&|order| order.flags = OrderFlags::NONE);
    mend(&|order| order.price = Price(100));
    mend(&|order| order.quantity = Quantity(20_000));
    mend(&|order| order.display_quantity = Quantity(20_000));
    mend(&|order| order.funds = Amount::ABSENT);
    mend(&|order| order.expire_at = Timestamp::NONE);
    mend(&|order| (order.stop_price, order.quantity) = (Price(100), Quantity(30_000)));
    mend(&|order| {
        (order.order_type, order.stop_price) = (OrderType::Limit, Price::ABSENT);
        (order.flags, order.quantity) = (OrderFlags::POST_ONLY, Quantity(20_000));
    });
    mend(&|order| (order.quantity, order.display_quantity) = (Quantity(1), Quantity::ABSENT));
    let mut venue = Venue::open();
    venue.expect_accepted(limit(Side::Buy, 90, 1).named(1));
    venue.expect_accepted(limit(Side::Sell, 100, 1).by(BOB).named(2).until(9_999));
    venue.expect_accepted(account_limits(AccountLimits { quantity_max: Quantity(20_000), ..AccountLimits::DEFAULT }));
    let earned: Vec<_> = mended.iter().flat_map(|order| reasons(&venue.apply(*order))).collect();
    assert_eq!(
        earned,
        [
            RejectReason::UnknownInstrument,
            RejectReason::UnknownAccount,
            RejectReason::DuplicateClientOrderId,
            RejectReason::InvalidCombination,
            RejectReason::PriceNotPositive,
            RejectReason::QuantityNotPositive,
            RejectReason::DisplayQuantityInvalid,
            RejectReason::FundsInvalid,
            RejectReason::ExpiryInvalid,
            RejectReason::StopPriceInvalid,
            RejectReason::AccountQuantityLimit,
            RejectReason::InsufficientFunds,
            RejectReason::PostOnlyWouldTake,
        ]
    );
}

#[test]
fn a_full_venue_refuses_and_recovers() {
    let mut venue = Venue::empty(Capacity { orders: 2, ..Capacity::SMALL });
    venue.expect_accepted(ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listing(BTC_USD, Holds::Off) });
    venue.expect_accepted(open_account(ALICE));
    venue.expect_accepted(limit(Side::Buy, 100, 1).named(1));
    venue.expect_accepted(limit(Side::Buy, 101, 1).named(2));
    assert_eq!(reasons(&venue.apply(limit(Side::Buy, 100, 1).named(3))), [RejectReason::CapacityFull]);
    venue.expect_accepted(cancel(ALICE, 1));
    venue.expect_accepted(limit(Side::Buy, 100, 1).named(3));
}

#[test]
fn a_book_without_room_for_another_price_refuses_and_recovers() {
    let mut venue = Venue::empty(Capacity { price_blocks: 8, ..Capacity::SMALL });
    venue.expect_accepted(ListInstrument { base: AssetId::NONE, quote: AssetId::NONE, ..listing(BTC_USD, Holds::Off) });
    venue.expect_accepted(open_account(ALICE));
    let far = |name: u64| limit(Side::Buy, name * 1_000_000_000, 1).named(name);
    let room = (1..).take_while(|&name| reasons(&venue.apply(far(name))).is_empty()).count() as u64;
    assert!((1..=8).contains(&room), "{room} far prices found room");
    let refused = |venue: &mut Venue, order: NewOrder| reasons(&venue.apply(order)) == [RejectReason::CapacityFull];
    assert!(refused(&mut venue, far(room + 1)));
    // The same price takes any number of orders; an order that cannot rest needs no room.
    venue.expect_accepted(NewOrder { client_order_id: ClientOrderId(99), ..far(room) });
    venue.expect_accepted(far(room + 2).lasting(TimeInForce::ImmediateOrCancel));
    venue.expect_accepted(cancel(ALICE, 1));
    venue.expect_accepted(far(room + 1));
}
