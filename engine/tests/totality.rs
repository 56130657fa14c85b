//! `apply` is total: no command panics, loses value or breaks a structure, whatever stands in its fields.
//!
//! One valid command of every kind is the start; random bytes of its canonical form are replaced by extreme values. What
//! still decodes is applied, and the venue is audited.

mod common;

use std::collections::BTreeSet;

use common::*;
use engine::canonical::{Canonical, Code, Reader};
use engine::command::*;
use engine::instrument::*;
use engine::*;

const KEY: KeyId = KeyId(1);

fn samples() -> Vec<CommandBody> {
    let (note, instrument, key, account) = (AdminNote::NONE, BTC_USD, KEY, ALICE);
    let none = ClientOrderId::NONE;
    let entered_by = SessionId(1);
    let amount = Amount(5);
    let (stp_group, self_trade_prevention, fee_tier) = (StpGroup(1), None, 1);
    vec![
        limit(Side::Buy, 100, 5).named(1).into(),
        replace(1).into(),
        cancel(ALICE, 1).into(),
        MassCancel { account, instrument, side: Some(Side::Buy), entered_by, client_order_id: none, note }.into(),
        KillSwitch { account, switch: Switch::Lifted, note }.into(),
        Negotiate { version: SessionVersion(1) }.into(),
        Establish {
            version: SessionVersion(1),
            nonce: LoginNonce(1),
            cancel_on_disconnect: CancelOnDisconnect::Cancel,
            cancel_grace: Nanoseconds(5),
            keep_alive: Nanoseconds(5),
        }
        .into(),
        Disconnect { version: SessionVersion(1), reason: DisconnectReason::ConnectionLost }.into(),
        AdvanceTime {}.into(),
        SetRandomSeed { seed: [7; 32], note }.into(),
        SetBehaviour { version: 1, note }.into(),
        asset(AssetId(3), "ETH").into(),
        listing(InstrumentId(3), Holds::On).into(),
        DelistInstrument { instrument, note }.into(),
        SetInstrumentLimits { instrument, limits: InstrumentLimits::DEFAULT, note }.into(),
        SetPriceProtection { instrument, protection: PriceProtection::DEFAULT, note }.into(),
        set_fees(-5, 10).into(),
        set_phase(BTC_USD, Phase::Continuous).into(),
        SetCalendarEntry {
            instrument,
            entry: 1,
            action: CalendarAction::Rollover,
            phase: None,
            at: Timestamp(5),
            repeat: Nanoseconds(5),
            random_end: Nanoseconds(5),
            note,
        }
        .into(),
        RemoveCalendarEntry { instrument, entry: 1, note }.into(),
        open_account(AccountId(5)).into(),
        ModifyAccount { account, stp_group, self_trade_prevention, fee_tier, note }.into(),
        SetAccountLimits { account, instrument: InstrumentId::NONE, limits: AccountLimits::DEFAULT, note }.into(),
        deposit(ALICE, USD, 1_000).into(),
        Withdraw { account, asset: USD, amount, note }.into(),
        AdjustBalance { account, asset: USD, direction: Direction::Debit, amount, note }.into(),
        BustTrade { instrument, trade_id: TradeId(1), note }.into(),
        AddKey { key: KeyId(2), kind: KeyKind::Ed25519, public_key: [2; 32], note }.into(),
        RevokeKey { key: KeyId(3), note }.into(),
        GrantRole { key, role: Role::Trader, account, note }.into(),
        RevokeRole { key, role: Role::Trader, account, note }.into(),
        AllowAddress { key, address: [1; 16], prefix_bits: 64, note }.into(),
    ]
}

/// An order of any type, around the same few prices.
fn any_order(random: &mut Random, order: NewOrder) -> NewOrder {
    let near = |random: &mut Random| Price(95 + random.below(10));
    let modes = [None, Some(SelfTradePrevention::CancelBoth), Some(SelfTradePrevention::Decrement)];
    let order = NewOrder {
        price: near(random),
        account: [ALICE, ALICE, BOB][random.below(3) as usize],
        self_trade_prevention: modes[random.below(3) as usize],
        ..order
    };
    match random.below(8) {
        0 => NewOrder { order_type: OrderType::StopLimit, stop_price: near(random), ..order },
        1 => NewOrder { order_type: OrderType::Stop, price: Price::ABSENT, stop_price: near(random), ..order },
        2 => order.showing(1 + random.below(3)),
        3 => order.lasting(TimeInForce::Day),
        4 => order.until(1_000 + random.below(2_000)),
        5 => NewOrder { minimum_quantity: Quantity(2), ..order.lasting(TimeInForce::ImmediateOrCancel) },
        6 => NewOrder {
            order_type: OrderType::Market,
            price: Price::ABSENT,
            quantity: Quantity::ABSENT,
            funds: Amount(random.below(600).into()),
            ..order
        },
        _ => order,
    }
}

/// A sample with some of its bytes replaced, if that is still a command.
fn mutated(random: &mut Random, sample: CommandBody, session: SessionId) -> Option<Command> {
    let by_session = random.below(4) == 0;
    let header =
        if by_session { CommandHeader { author: KEY, session, ..CommandHeader::VENUE } } else { CommandHeader::VENUE };
    let mut bytes = Vec::new();
    Command { header, body: sample }.encode(&mut bytes);
    for _ in 0..random.below(4) {
        let width = [1, 4, 8, 16][random.below(4) as usize];
        let at = random.below(bytes.len() as u64) as usize;
        let value = [0, 1, 2, u128::MAX, u128::MAX - 1, 1 << 127, 1 << 63, 1 << 31, random.next().into()]
            [random.below(9) as usize];
        let end = (at + width).min(bytes.len());
        bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
    }
    Reader::new(&bytes).read().ok()
}

#[test]
fn no_command_panics_whatever_its_fields() {
    let samples = samples();
    assert_eq!(samples.iter().map(|body| body.kind()).collect::<BTreeSet<_>>().len(), CommandKind::ALL.len());
    for seed in 1..=40 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut venue = Venue::open();
        venue.expect_accepted(AddKey { key: KEY, kind: KeyKind::Ed25519, public_key: [1; 32], note: AdminNote::NONE });
        venue.expect_accepted(GrantRole { key: KEY, role: Role::Trader, account: ALICE, note: AdminNote::NONE });
        for number in 1..=1_500 {
            let orders_first = random.below(3) > 0;
            let count = if orders_first { 4 } else { samples.len() as u64 };
            let mut sample = samples[random.below(count) as usize];
            match &mut sample {
                CommandBody::NewOrder(order) => {
                    order.client_order_id = ClientOrderId(number);
                    *order = any_order(&mut random, *order);
                    order.side = Side::BOTH[random.below(2) as usize];
                }
                CommandBody::ReplaceOrder(order) => {
                    order.original_client_order_id = ClientOrderId(1 + random.below(number));
                    order.quantity = Quantity(1 + random.below(9));
                    order.order_type =
                        [None, None, Some(OrderType::Limit), Some(OrderType::Market)][random.below(4) as usize];
                }
                CommandBody::BustTrade(bust) => bust.trade_id = TradeId(1 + random.below(number)),
                CommandBody::SetCalendarEntry(entry) => {
                    (entry.at, entry.random_end) = (Timestamp(venue.time.0 + 1 + random.below(9)), Nanoseconds::NONE);
                }
                CommandBody::AdvanceTime(_) => venue.time = Timestamp(venue.time.0 + random.below(50)),
                CommandBody::CancelOrder(order) => {
                    order.original_client_order_id = ClientOrderId(1 + random.below(number));
                }
                CommandBody::Negotiate(login) => login.version = SessionVersion(number),
                CommandBody::Establish(opening) => opening.nonce = LoginNonce(number),
                _ => {}
            }
            let Some(command) = mutated(&mut random, sample, SessionId(1)) else { continue };
            venue.time = Timestamp(venue.time.0 + random.below(3));
            venue.apply_command(command);
        }
        let bytes = venue.snapshot();
        let restored = Engine::read_snapshot(&bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(restored.last(), venue.engine.last());
    }
}
