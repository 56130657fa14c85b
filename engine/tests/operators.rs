//! Rule 10.5: which operator may give which command, and that none makes anybody an operator.

mod common;

use common::*;
use engine::canonical::Code;
use engine::command::*;
use engine::event::*;
use engine::instrument::{Phase, PriceProtection};
use engine::*;

const NOTE: AdminNote = AdminNote::NONE;
const AUTHOR: KeyId = KeyId(2);
/// Another key that runs the market, and one that trades.
const OPERATOR: KeyId = KeyId(3);
const TRADER: KeyId = KeyId(4);

const MARKET: &[Role] = &[Role::Administrator, Role::MarketOperator];
const ACCOUNTS: &[Role] = &[Role::Administrator, Role::AccountOperator];
const RISK: &[Role] = &[Role::Administrator, Role::RiskOperator];
const KEYS: &[Role] = &[Role::Administrator, Role::KeyOperator];
const ONLY_ADMINISTRATOR: &[Role] = &[Role::Administrator];
const HALT: &[Role] = &[Role::Administrator, Role::MarketOperator, Role::RiskOperator];

fn add_key(key: KeyId) -> AddKey {
    AddKey { key, kind: KeyKind::Ed25519, public_key: [u8::try_from(key.0).unwrap(); 32], note: NOTE }
}

fn grant(key: KeyId, role: Role, account: AccountId) -> GrantRole {
    GrantRole { key, role, account, note: NOTE }
}

fn venue() -> Venue {
    let mut venue = Venue::open();
    for key in [AUTHOR, OPERATOR, TRADER] {
        venue.expect_accepted(add_key(key));
    }
    venue.expect_accepted(grant(OPERATOR, Role::MarketOperator, AccountId::NONE));
    venue.expect_accepted(grant(TRADER, Role::Trader, ALICE));
    venue
}

/// Every command by which a venue is run, and who may give it.
fn table() -> Vec<(CommandBody, &'static [Role])> {
    let entry = SetCalendarEntry {
        instrument: BTC_USD,
        entry: 1,
        action: CalendarAction::SetPhase,
        phase: Some(Phase::PostOnly),
        at: Timestamp(9_000),
        repeat: Nanoseconds(0),
        random_end: Nanoseconds(0),
        note: NOTE,
    };
    let kill = |switch| KillSwitch { account: ALICE, switch, note: NOTE };
    let revoke = |key, role, account| RevokeRole { key, role, account, note: NOTE };
    let limits = engine::instrument::InstrumentLimits::DEFAULT;
    vec![
        (set_phase(BTC_USD, Phase::PostOnly).into(), MARKET),
        (set_phase(BTC_USD, Phase::Halted).into(), HALT),
        (entry.into(), MARKET),
        (SetPriceProtection { instrument: BTC_USD, protection: PriceProtection::DEFAULT, note: NOTE }.into(), MARKET),
        (SetInstrumentLimits { instrument: BTC_USD, limits, note: NOTE }.into(), MARKET),
        (open_account(AccountId(9)).into(), ACCOUNTS),
        (deposit(ALICE, USD, 5).into(), ACCOUNTS),
        (Withdraw { account: ALICE, asset: USD, amount: Amount(5), note: NOTE }.into(), ACCOUNTS),
        (kill(Switch::Engaged).into(), RISK),
        (kill(Switch::Lifted).into(), RISK),
        (add_key(KeyId(5)).into(), KEYS),
        (grant(TRADER, Role::DropCopy, ALICE).into(), KEYS),
        (revoke(TRADER, Role::Trader, ALICE).into(), KEYS),
        (RevokeKey { key: TRADER, note: NOTE }.into(), KEYS),
        (AllowAddress { key: TRADER, address: [1; 16], prefix_bits: 64, note: NOTE }.into(), KEYS),
        (grant(AUTHOR, Role::Administrator, AccountId::NONE).into(), ONLY_ADMINISTRATOR),
        (grant(TRADER, Role::KeyOperator, AccountId::NONE).into(), ONLY_ADMINISTRATOR),
        (revoke(OPERATOR, Role::MarketOperator, AccountId::NONE).into(), ONLY_ADMINISTRATOR),
        (RevokeKey { key: OPERATOR, note: NOTE }.into(), ONLY_ADMINISTRATOR),
        (AllowAddress { key: OPERATOR, address: [1; 16], prefix_bits: 64, note: NOTE }.into(), ONLY_ADMINISTRATOR),
        (asset(AssetId(4), "XAU").into(), ONLY_ADMINISTRATOR),
        (set_fees(1, 2).into(), ONLY_ADMINISTRATOR),
        (
            AdjustBalance { account: ALICE, asset: USD, direction: Direction::Credit, amount: Amount(5), note: NOTE }
                .into(),
            ONLY_ADMINISTRATOR,
        ),
    ]
}

#[test]
fn every_operator_gives_the_commands_of_its_part_and_no_other() {
    for (body, may) in table() {
        for &role in Role::ALL {
            let mut venue = venue();
            venue.expect_accepted(grant(AUTHOR, role, AccountId::NONE));
            let events = venue.apply_from(CommandHeader { author: AUTHOR, ..CommandHeader::VENUE }, body);
            // Traders for the whole venue block accounts as well.
            let trades = matches!(role, Role::Trader | Role::MarketMaker)
                && matches!(body, CommandBody::KillSwitch(KillSwitch { switch: Switch::Engaged, .. }));
            let refused = reasons(&events);
            match may.contains(&role) || trades {
                true => assert_eq!(refused, [], "{role:?}: {body:?}"),
                false => assert_eq!(refused, [RejectReason::NotEntitled], "{role:?}: {body:?}"),
            }
        }
    }
}

#[test]
fn a_risk_operator_cancels_for_the_whole_venue() {
    let everything = MassCancel {
        account: AccountId::NONE,
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note: NOTE,
    };
    for (role, may) in [
        (Role::RiskOperator, true),
        (Role::Administrator, true),
        (Role::MarketOperator, false),
        (Role::AccountOperator, false),
        (Role::KeyOperator, false),
    ] {
        let mut venue = venue();
        venue.expect_accepted(grant(AUTHOR, role, AccountId::NONE));
        venue.apply(limit(Side::Buy, 100, 3));
        let events = venue.apply_from(CommandHeader { author: AUTHOR, ..CommandHeader::VENUE }, everything);
        let cancelled = events.iter().filter(|event| matches!(event, Event::OrderCancelled(_))).count();
        assert_eq!(cancelled, usize::from(may), "{role:?}");
        assert_eq!(reasons(&events).is_empty(), may, "{role:?}");
    }
}

#[test]
fn an_operators_role_is_for_the_whole_venue() {
    for &role in Role::ALL {
        let mut venue = venue();
        let refused = reasons(&venue.apply(grant(AUTHOR, role, ALICE)));
        let expected = match role {
            Role::Trader | Role::MarketMaker | Role::DropCopy | Role::ReadOnly => vec![],
            _ => vec![RejectReason::RoleNeedsVenue],
        };
        assert_eq!(refused, expected, "{role:?}");
    }
}

#[test]
fn an_operators_request_acts_once() {
    let mut venue = venue();
    venue.expect_accepted(grant(AUTHOR, Role::AccountOperator, AccountId::NONE));
    let note = AdminNote { idempotency_key: IdempotencyKey(7), ..NOTE };
    let header = CommandHeader { author: AUTHOR, ..CommandHeader::VENUE };
    let before = venue.balances(ALICE);
    let deposit = Deposit { note, ..deposit(ALICE, USD, 5) };
    assert_eq!(reasons(&venue.apply_from(header, deposit)), []);
    assert_eq!(reasons(&venue.apply_from(header, deposit)), [RejectReason::DuplicateRequest]);
    let after = venue.balances(ALICE);
    assert_eq!(after.iter().sum::<u128>(), before.iter().sum::<u128>() + 5);
}
