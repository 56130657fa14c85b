//! The venue whose journal it is: eight instruments against one currency, and traders with money, keys and open sessions.

use engine::command::{
    AccountLimits, AddAsset, AddKey, AdminNote, CancelOnDisconnect, Deposit, Establish, GrantRole, KeyKind,
    ListInstrument, Negotiate, OpenAccount, Role, SetAccountLimits, SetFees, SetInstrumentLimits, SetPriceProtection,
};
use engine::instrument::{Distance, FeeRates, Holds, InstrumentLimits, Phase, PriceProtection};
use engine::{
    AccountId, Amount, AssetId, Capacity, Command, CommandBody, CommandHeader, InstrumentId, KeyId, LoginNonce,
    Nanoseconds, Price, Quantity, SelfTradePrevention, SessionId, SessionVersion, StpGroup, Text,
};

/// How many instruments there are.
pub(super) const INSTRUMENTS: u32 = 8;
/// How many traders there are, each with an account, a key and a session.
pub(super) const TRADERS: u32 = 64;
/// No price is as high.
pub(super) const PRICE_END: u64 = 1 << 18;

const QUOTE: AssetId = AssetId(1);
/// More than the orders of an account can hold at once.
const ENDOWMENT: Amount = Amount(10_u128.pow(21));
const WIDE: Distance = Distance::ticks(PRICE_END as u32);
const NOTE: AdminNote = AdminNote::NONE;

/// For books of so many open orders in all.
pub(super) fn capacity(open_orders: u32) -> Capacity {
    Capacity {
        orders: open_orders,
        accounts: AccountId::FEES.0 + 1 + TRADERS,
        assets: INSTRUMENTS + 1,
        instruments: INSTRUMENTS,
        sessions: TRADERS,
        keys: TRADERS,
        grants: TRADERS,
        price_blocks: INSTRUMENTS * 2 * (PRICE_END as u32 / 64),
    }
}

/// The account of a trader; traders are counted from 0.
pub(super) fn account(trader: u32) -> AccountId {
    AccountId(AccountId::FEES.0 + 1 + trader)
}

/// What a trader's commands say of him.
pub(super) fn header(trader: u32) -> CommandHeader {
    CommandHeader { author: KeyId(trader + 1), session: SessionId(trader + 1), ..CommandHeader::VENUE }
}

/// What makes it.
pub(super) fn set_up() -> Vec<Command> {
    let mut bodies = vec![asset(QUOTE, "CASH")];
    bodies.extend((1..=INSTRUMENTS).flat_map(instrument));
    let mut commands: Vec<Command> = bodies.into_iter().map(Command::from_venue).collect();
    commands.extend((0..TRADERS).flat_map(trader));
    commands
}

fn asset(asset: AssetId, name: &str) -> CommandBody {
    AddAsset { asset, name: text(name), decimals: 0, note: NOTE }.into()
}

fn base(instrument: u32) -> AssetId {
    AssetId(QUOTE.0 + instrument)
}

fn instrument(number: u32) -> Vec<CommandBody> {
    let (instrument, name) = (InstrumentId(number), format!("ASSET-{number}"));
    let listing = ListInstrument {
        instrument,
        name: text(&name),
        base: base(number),
        quote: QUOTE,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price(PRICE_END / 2),
        holds: Holds::On,
        self_trade_prevention: SelfTradePrevention::CancelIncoming,
        phase: Phase::Continuous,
        note: NOTE,
    };
    let limits = InstrumentLimits {
        quantity_min: Quantity(1),
        quantity_max: Quantity(1_000_000),
        price_max: Price(PRICE_END),
        notional_min: Amount(1),
        notional_max: Amount(10_u128.pow(12)),
    };
    let protection = PriceProtection { entry_band: WIDE, collar: WIDE, ..PriceProtection::DEFAULT };
    // A rebate of one basis point, and a fee of twenty-five.
    let rates = FeeRates { maker: -100, taker: 2_500 };
    vec![
        asset(base(number), &name),
        listing.into(),
        SetInstrumentLimits { instrument, limits, note: NOTE }.into(),
        SetPriceProtection { instrument, protection, note: NOTE }.into(),
        SetFees { instrument, tier: 0, rates, note: NOTE }.into(),
    ]
}

fn trader(number: u32) -> Vec<Command> {
    let (account, CommandHeader { author: key, .. }) = (account(number), header(number));
    let open = OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note: NOTE };
    let limits = AccountLimits {
        quantity_max: Quantity(100_000),
        notional_max: Amount(10_u128.pow(11)),
        open_orders_max: 10_000_000,
        price_deviation: WIDE,
    };
    let mut public_key = [0; 32];
    public_key[..4].copy_from_slice(&key.0.to_le_bytes());
    let mut bodies: Vec<CommandBody> = vec![open.into()];
    bodies.extend(
        (QUOTE.0..=base(INSTRUMENTS).0)
            .map(|asset| CommandBody::from(Deposit { account, asset: AssetId(asset), amount: ENDOWMENT, note: NOTE })),
    );
    bodies.extend::<[CommandBody; 3]>([
        SetAccountLimits { account, instrument: InstrumentId::NONE, limits, note: NOTE }.into(),
        AddKey { key, kind: KeyKind::Ed25519, public_key, note: NOTE }.into(),
        GrantRole { key, role: Role::Trader, account, note: NOTE }.into(),
    ]);
    let version = SessionVersion(1);
    let establish = Establish {
        version,
        nonce: LoginNonce(1),
        cancel_on_disconnect: CancelOnDisconnect::Cancel,
        cancel_grace: Nanoseconds(1_000_000_000),
        keep_alive: Nanoseconds(1_000_000_000),
    };
    let logins = [CommandBody::from(Negotiate { version }), establish.into()];
    let logins = logins.map(|body| Command { header: header(number), body });
    bodies.into_iter().map(Command::from_venue).chain(logins).collect()
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).expect("short ASCII")
}
