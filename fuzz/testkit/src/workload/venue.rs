//! The venue that every stream begins with.

use engine::canonical::Code;
use engine::command::*;
use engine::instrument::{FeeRates, Holds, Phase};
use engine::*;

use super::administration::some_protection;
use super::{Profile, sessions};
use crate::random::Random;

pub(super) const BTC: AssetId = AssetId(1);
pub(super) const USD: AssetId = AssetId(2);
pub(super) const ETH: AssetId = AssetId(3);
/// The traders' accounts.
pub(super) const ACCOUNTS: [AccountId; 5] = [AccountId(2), AccountId(3), AccountId(4), AccountId(5), AccountId(6)];
/// BTC in USD, one unit a lot; ETH in USD, coarser; one without assets; one with assets that only matches.
pub(super) const INSTRUMENTS: [InstrumentId; 4] = [InstrumentId(1), InstrumentId(2), InstrumentId(3), InstrumentId(4)];
/// What may be listed later.
pub(super) const LATER_INSTRUMENTS: [InstrumentId; 4] =
    [InstrumentId(5), InstrumentId(6), InstrumentId(7), InstrumentId(8)];

pub(super) fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).expect("short ASCII")
}

/// A listing like the venue's others.
pub(super) fn listing(instrument: InstrumentId, base: AssetId, quote: AssetId, holds: Holds) -> ListInstrument {
    ListInstrument {
        instrument,
        name: text("PAIR"),
        base,
        quote,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price::ABSENT,
        holds,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

/// How long a day is, in nanoseconds.
const DAY: u64 = 6_000;

/// An instrument's day, again and again: calls and their ends at random, continuous trading, a rollover.
fn day(instrument: InstrumentId, random: &mut Random) -> Vec<SetCalendarEntry> {
    use Phase::*;
    let phases = [
        (0, Some(PreOpen)),
        (500, Some(OpeningCall)),
        (900, Some(NoCancel)),
        (1_100, Some(Continuous)),
        (2_600, Some(VolatilityCall)),
        (2_900, Some(random.one_of(&[Continuous, LimitOnly, PostOnly]))),
        (4_000, Some(random.one_of(&[Continuous, Halted, CancelOnly]))),
        (4_200, Some(ClosingCall)),
        (4_800, Some(NoCancel)),
        (5_000, Some(Closed)),
        (5_300, None),
    ];
    let begins = 1_000_100 + random.below(800);
    let entry = |(number, (after, phase)): (u16, (u64, Option<Phase>)), random_end: u64| SetCalendarEntry {
        instrument,
        entry: number,
        action: if phase.is_some() { CalendarAction::SetPhase } else { CalendarAction::Rollover },
        phase,
        at: Timestamp(begins + after),
        repeat: Nanoseconds(DAY),
        random_end: Nanoseconds(random_end),
        note: AdminNote::NONE,
    };
    let random_ends: Vec<u64> = phases.iter().map(|_| random.one_of(&[0, 1, 80, 300])).collect();
    (11..).zip(phases).zip(random_ends).map(|(phase, random_end)| entry(phase, random_end)).collect()
}

/// The commands that open the venue, first one first.
pub(super) fn opening(profile: &Profile, random: &mut Random) -> Vec<(CommandHeader, CommandBody)> {
    let note = AdminNote::NONE;
    let mut bodies: Vec<CommandBody> = vec![
        AddAsset { asset: BTC, name: text("BTC"), decimals: 2, note }.into(),
        AddAsset { asset: USD, name: text("USD"), decimals: 3, note }.into(),
        AddAsset { asset: ETH, name: text("ETH"), decimals: 0, note }.into(),
    ];
    let modes = if profile.prevention { SelfTradePrevention::ALL } else { &[SelfTradePrevention::Allow] };
    let reference = [Price::ABSENT, Price(100)];
    let listings = [
        ListInstrument { lot_decimals: 2, tick_decimals: 1, ..listing(INSTRUMENTS[0], BTC, USD, Holds::On) },
        ListInstrument { lot: 3, tick: 2, ..listing(INSTRUMENTS[1], ETH, USD, Holds::On) },
        listing(INSTRUMENTS[2], AssetId::NONE, AssetId::NONE, Holds::Off),
        ListInstrument { lot_decimals: 1, ..listing(INSTRUMENTS[3], BTC, USD, Holds::Off) },
    ];
    for listing in listings {
        let self_trade_prevention = random.one_of(modes);
        bodies.push(ListInstrument { self_trade_prevention, reference: random.one_of(&reference), ..listing }.into());
    }
    for account in ACCOUNTS {
        let prevents = profile.prevention && random.percent(50);
        let self_trade_prevention = prevents.then(|| random.one_of(modes));
        let stp_group = if prevents && random.percent(50) { StpGroup(7) } else { StpGroup::NONE };
        let fee_tier = u8::try_from(random.below(3)).expect("a tier");
        bodies.push(OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note }.into());
        for (asset, amount) in [(BTC, 400), (USD, 3_000_000), (ETH, 900)] {
            bodies.push(Deposit { account, asset, amount: Amount(amount), note }.into());
        }
    }
    for instrument in [INSTRUMENTS[0], INSTRUMENTS[1], INSTRUMENTS[3]] {
        let taker = i32::try_from(random.below(4)).expect("a small rate") * 700;
        let maker = if random.percent(50) { -taker / 2 } else { taker / 3 };
        bodies.push(SetFees { instrument, tier: 0, rates: FeeRates { maker, taker }, note }.into());
    }
    if profile.protect > 0 {
        for instrument in INSTRUMENTS {
            let protection = some_protection(random);
            bodies.push(SetPriceProtection { instrument, protection, note }.into());
        }
    }
    if profile.days {
        bodies.push(SetRandomSeed { seed: [7; 32], note }.into());
        for instrument in INSTRUMENTS {
            bodies.extend(day(instrument, random).into_iter().map(CommandBody::from));
        }
    }
    let mut commands: Vec<_> = bodies.into_iter().map(|body| (CommandHeader::VENUE, body)).collect();
    commands.extend(sessions::opening());
    commands
}
