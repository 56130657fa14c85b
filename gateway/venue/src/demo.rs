//! What a new venue begins with: three instruments, a few funded accounts, and a key for each and for an administrator.
//!
//! Every line is a journalled command of the venue's own; nothing here is special once it has run.

use ed25519_dalek::SigningKey;
use engine::command::{
    AccountLimits, AddAsset, AddKey, AdminNote, CommandBody, Deposit, GrantRole, KeyKind, ListInstrument, OpenAccount,
    Role, SetAccountLimits, SetFees,
};
use engine::instrument::{FeeRates, Holds, Phase};
use engine::{
    AccountId, Amount, AssetId, IdempotencyKey, InstrumentId, KeyId, Price, SelfTradePrevention, SessionId, StpGroup,
    Text,
};

use crate::data_folder::{DataFolder, DataFolderError, KeyHolder};

struct Asset {
    id: AssetId,
    name: &'static str,
    /// Finer than is shown, so that tick × lot is whole in every instrument.
    decimals: u8,
    /// What each demo account begins with, in whole units.
    endowment: u128,
}

struct Instrument {
    id: InstrumentId,
    name: &'static str,
    base: AssetId,
    quote: AssetId,
    tick_decimals: u8,
    /// In units of the last decimal.
    lot: u64,
    lot_decimals: u8,
}

const BTC: AssetId = AssetId(1);
const ETH: AssetId = AssetId(2);
const USD: AssetId = AssetId(3);

const ASSETS: [Asset; 3] = [
    Asset { id: BTC, name: "BTC", decimals: 13, endowment: 1_000 },
    Asset { id: ETH, name: "ETH", decimals: 8, endowment: 20_000 },
    Asset { id: USD, name: "USD", decimals: 10, endowment: 100_000_000 },
];

const INSTRUMENTS: [Instrument; 3] = [
    Instrument {
        id: InstrumentId(1),
        name: "BTC-USD",
        base: BTC,
        quote: USD,
        tick_decimals: 2,
        lot: 1,
        lot_decimals: 8,
    },
    Instrument {
        id: InstrumentId(2),
        name: "ETH-USD",
        base: ETH,
        quote: USD,
        tick_decimals: 2,
        lot: 1,
        lot_decimals: 8,
    },
    // Hundredths of an ETH, so that there is one in which a quantity can be no whole lots.
    Instrument {
        id: InstrumentId(3),
        name: "ETH-BTC",
        base: ETH,
        quote: BTC,
        tick_decimals: 5,
        lot: 1_000_000,
        lot_decimals: 8,
    },
];

/// Makers pay 5 basis points, takers 10.
const FEES: FeeRates = FeeRates { maker: 500, taker: 1_000 };

/// What one demo account may have open: a hundredth of the venue's orders, and fewer than its blocks of prices even if
/// each order takes one.
const LIMITS: AccountLimits = AccountLimits { open_orders_max: 10_000, ..AccountLimits::DEFAULT };

/// The administrator's key.
pub const ADMINISTRATOR: KeyHolder =
    KeyHolder { name: "administrator", key: KeyId(1), session: SessionId(1), account: AccountId::NONE };

/// The key of the demo market's maker.
pub const MARKET_MAKER: KeyHolder = trader("market-maker", 4);
/// The key of the demo market's taker.
pub const TAKER: KeyHolder = trader("taker", 5);

/// The demo accounts' keys.
pub const TRADERS: [KeyHolder; 4] = [trader("alice", 2), trader("bob", 3), MARKET_MAKER, TAKER];

const fn trader(name: &'static str, number: u32) -> KeyHolder {
    KeyHolder { name, key: KeyId(number), session: SessionId(number), account: AccountId(number) }
}

/// The commands that make a new venue, with the keys of `folder`.
pub fn commands(folder: &DataFolder) -> Result<Vec<CommandBody>, DataFolderError> {
    let mut commands: Vec<CommandBody> = Vec::new();
    commands.extend(ASSETS.iter().map(add_asset));
    commands.extend(INSTRUMENTS.iter().flat_map(list));
    for holder in TRADERS {
        commands.extend(open(&holder));
    }
    for holder in TRADERS.into_iter().chain([ADMINISTRATOR]) {
        commands.extend(admit(&holder, &folder.key(&holder)?));
    }
    Ok(commands)
}

fn note() -> AdminNote {
    AdminNote { idempotency_key: IdempotencyKey::NONE, reason: text("first start") }
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).expect("a short name")
}

fn add_asset(asset: &Asset) -> CommandBody {
    AddAsset { asset: asset.id, name: text(asset.name), decimals: asset.decimals, note: note() }.into()
}

fn list(instrument: &Instrument) -> [CommandBody; 2] {
    let listing = ListInstrument {
        instrument: instrument.id,
        name: text(instrument.name),
        base: instrument.base,
        quote: instrument.quote,
        tick: 1,
        tick_decimals: instrument.tick_decimals,
        lot: instrument.lot,
        lot_decimals: instrument.lot_decimals,
        reference: Price::ABSENT,
        holds: Holds::On,
        self_trade_prevention: SelfTradePrevention::Decrement,
        phase: Phase::Continuous,
        note: note(),
    };
    let fees = SetFees { instrument: instrument.id, tier: 0, rates: FEES, note: note() };
    [listing.into(), fees.into()]
}

fn open(holder: &KeyHolder) -> Vec<CommandBody> {
    let account = holder.account;
    let opening =
        OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note: note() };
    let deposits = ASSETS.iter().map(|asset| {
        let amount = Amount(asset.endowment * 10_u128.pow(asset.decimals.into()));
        Deposit { account, asset: asset.id, amount, note: note() }.into()
    });
    let limits = SetAccountLimits { account, instrument: InstrumentId::NONE, limits: LIMITS, note: note() };
    [opening.into(), limits.into()].into_iter().chain(deposits).collect()
}

fn admit(holder: &KeyHolder, key: &SigningKey) -> [CommandBody; 2] {
    let role = if holder.account.is_none() { Role::Administrator } else { Role::Trader };
    let add =
        AddKey { key: holder.key, kind: KeyKind::Ed25519, public_key: key.verifying_key().to_bytes(), note: note() };
    let grant = GrantRole { key: holder.key, role, account: holder.account, note: note() };
    [add.into(), grant.into()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{Capacity, Command, Engine, Event, Sequence, Sequenced, Side, Stamp, Timestamp};

    #[test]
    fn a_new_venue_accepts_every_command_and_can_trade() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path()).unwrap();
        let mut engine = Engine::new(Capacity::DEFAULT);
        let mut events = Vec::new();
        for (sequence, body) in (1..).zip(commands(&folder).unwrap()) {
            let stamp = Stamp { sequence: Sequence(sequence), time: Timestamp(1) };
            engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        }
        let refused: Vec<_> = events.iter().filter(|(_, event)| matches!(event, Event::CommandRejected(_))).collect();
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(engine.listings().count(), 3);
        assert_eq!(engine.keys().count(), 5);
        assert_eq!(engine.best_price(InstrumentId(1), Side::Buy), None);
        assert_eq!(engine.audit(), Ok(()));
    }
}
