//! Administrators' commands, valid ones and others.

use engine::canonical::Code;
use engine::command::*;
use engine::instrument::{
    CollarAction, Distance, FeeRates, Holds, InstrumentLimits, Phase, PriceProtection, ReferenceSource,
};
use engine::*;

use super::Workload;
use super::venue::{ACCOUNTS, BTC, ETH, INSTRUMENTS, LATER_INSTRUMENTS, USD, listing, text};
use crate::random::Random;
use crate::stream::trade_of;

const PHASES: [Phase; 6] =
    [Phase::Continuous, Phase::PostOnly, Phase::LimitOnly, Phase::CancelOnly, Phase::Halted, Phase::Closed];
const CALLS: [Phase; 5] =
    [Phase::PreOpen, Phase::OpeningCall, Phase::VolatilityCall, Phase::ClosingCall, Phase::NoCancel];

impl Workload {
    /// Whether this command shall be wrong.
    fn errs(&mut self) -> bool {
        self.random.percent(self.profile.wrong_administration)
    }

    pub(super) fn administration(&mut self) -> CommandBody {
        let profile = self.profile;
        let weights = [
            profile.balance,
            profile.phase,
            profile.calendar,
            profile.setting,
            profile.listing,
            profile.key,
            profile.bust,
            profile.protect,
        ];
        match self.random.weighted(&weights) {
            0 => self.balance(),
            1 => self.phase(),
            2 => self.calendar(),
            3 => self.setting(),
            4 => self.listing(),
            5 => self.key(),
            6 => self.bust(),
            _ => self.protect(),
        }
    }

    fn instrument(&mut self) -> InstrumentId {
        if self.errs() {
            self.random.one_of(&[InstrumentId(7), InstrumentId::NONE])
        } else {
            self.random.one_of(&INSTRUMENTS)
        }
    }

    fn some_account(&mut self) -> AccountId {
        if self.errs() { self.random.one_of(&[AccountId(9), AccountId::NONE]) } else { self.random.one_of(&ACCOUNTS) }
    }

    fn balance(&mut self) -> CommandBody {
        let account = if self.random.percent(12) { AccountId::FEES } else { self.some_account() };
        let asset = if self.errs() { AssetId(7) } else { self.asset() };
        let most = if self.random.percent(80) { 200 } else { 500_000 };
        let mut amount = Amount(u128::from(self.random.between(1, most)));
        if self.errs() {
            amount = self.random.one_of(&[Amount::ZERO, Amount::MAX, Amount(u128::MAX), Amount(Amount::MAX.0 + 1)]);
        }
        let note = self.note();
        match self.random.below(if self.profile.bust > 0 { 4 } else { 2 }) {
            0 => Deposit { account, asset, amount, note }.into(),
            1 => Withdraw { account, asset, amount, note }.into(),
            _ => {
                let direction = self.random.one_of(&[Direction::Credit, Direction::Debit]);
                AdjustBalance { account, asset, direction, amount, note }.into()
            }
        }
    }

    /// Mostly Continuous, or from any phase to any.
    fn some_phase(&mut self) -> Phase {
        if self.random.percent(self.profile.walk) {
            return match self.random.below(10) {
                0..=2 => Phase::Continuous,
                3..=6 => self.random.one_of(&CALLS),
                _ => self.random.one_of(Phase::ALL),
            };
        }
        if self.random.percent(85) { Phase::Continuous } else { self.random.one_of(&PHASES) }
    }

    fn phase(&mut self) -> CommandBody {
        let phase = self.some_phase();
        let phase = if self.errs() { self.random.one_of(Phase::ALL) } else { phase };
        SetPhase { instrument: self.instrument(), phase, note: self.note() }.into()
    }

    fn calendar(&mut self) -> CommandBody {
        let entry = u16::try_from(self.random.between(1, 5)).expect("a small number");
        if self.random.percent(15) {
            return RemoveCalendarEntry { instrument: self.instrument(), entry, note: self.note() }.into();
        }
        let mut at = Timestamp(self.now.0 + self.random.between(1, 300));
        let rollover = self.random.percent(50);
        let action = if rollover { CalendarAction::Rollover } else { CalendarAction::SetPhase };
        let phase = self.some_phase();
        let mut phase = (!rollover).then_some(phase);
        let repeat = if self.random.percent(50) { self.random.between(1, 200) } else { 0 };
        let mut random_end = Nanoseconds(0);
        if self.profile.walk > 0 && self.random.percent(40) {
            random_end = Nanoseconds(self.random.below(if repeat == 0 { 100 } else { repeat }));
        }
        if self.errs() {
            match self.random.below(4) {
                0 => at = Timestamp(self.now.0.saturating_sub(self.random.below(3))),
                1 => phase = if phase.is_some() { None } else { Some(Phase::Halted) },
                2 => random_end = self.random.one_of(&[Nanoseconds(5), Nanoseconds(repeat), Nanoseconds(u64::MAX)]),
                _ => phase = Some(self.random.one_of(Phase::ALL)),
            }
        }
        SetCalendarEntry {
            instrument: self.instrument(),
            entry,
            action,
            phase,
            at,
            repeat: Nanoseconds(repeat),
            random_end,
            note: self.note(),
        }
        .into()
    }

    fn setting(&mut self) -> CommandBody {
        let note = self.note();
        match self.random.below(6) {
            0 => self.fees(note),
            1 => {
                let mut limits = InstrumentLimits::DEFAULT;
                if self.random.percent(60) {
                    limits.quantity_min = Quantity(self.random.between(1, 3));
                    limits.quantity_max = Quantity(self.random.between(8, 400));
                    limits.price_max = Price(self.random.between(103, 400));
                    limits.notional_min = Amount(u128::from(self.random.below(300)));
                    limits.notional_max = Amount(u128::from(self.random.between(20_000, 5_000_000)));
                }
                if self.errs() {
                    match self.random.below(4) {
                        0 => limits.quantity_min = Quantity(0),
                        1 => limits.quantity_max = Quantity::OFF_LOT,
                        2 => limits.price_max = self.random.one_of(&[Price(0), Price::ABSENT]),
                        _ => limits.notional_min = Amount(limits.notional_max.0.saturating_add(1)),
                    }
                }
                SetInstrumentLimits { instrument: self.instrument(), limits, note }.into()
            }
            2 => {
                let distances = [Distance::ticks(0), Distance::ticks(3), Distance::parts_per_million(30_000)];
                let mut protection = PriceProtection::DEFAULT;
                if self.random.percent(60) {
                    protection.market = self.random.one_of(&distances);
                }
                if self.errs() {
                    protection = some_protection(&mut self.random);
                }
                SetPriceProtection { instrument: self.instrument(), protection, note }.into()
            }
            3 => {
                let account = self.some_account();
                let group =
                    if self.profile.prevention && self.random.percent(40) { StpGroup(7) } else { StpGroup::NONE };
                let mode = if self.profile.prevention && self.random.percent(50) {
                    Some(self.random.one_of(SelfTradePrevention::ALL))
                } else {
                    None
                };
                let mut fee_tier = u8::try_from(self.random.below(3)).expect("a tier");
                if self.errs() {
                    fee_tier = 8;
                }
                ModifyAccount { account, stp_group: group, self_trade_prevention: mode, fee_tier, note }.into()
            }
            _ => self.account_limits(note),
        }
    }

    fn protect(&mut self) -> CommandBody {
        let protection = some_protection(&mut self.random);
        SetPriceProtection { instrument: self.instrument(), protection, note: self.note() }.into()
    }

    fn fees(&mut self, note: AdminNote) -> CommandBody {
        let taker = i32::try_from(self.random.below(5)).expect("a small rate") * 900;
        let maker = match self.random.below(3) {
            0 => -taker / 2,
            1 => taker / 2,
            _ => 0,
        };
        let mut rates = FeeRates { maker, taker };
        let mut tier = u8::try_from(self.random.below(3)).expect("a tier");
        if self.errs() {
            match self.random.below(4) {
                0 => rates.taker = -1,
                1 => rates.maker = 100_001,
                2 => rates.maker = -taker - 1,
                _ => tier = 8,
            }
        }
        SetFees { instrument: self.instrument(), tier, rates, note }.into()
    }

    fn account_limits(&mut self, note: AdminNote) -> CommandBody {
        let mut limits = AccountLimits::DEFAULT;
        if self.random.percent(50) {
            limits.quantity_max = Quantity(self.random.between(3, 100));
        }
        if self.random.percent(50) {
            limits.notional_max = Amount(u128::from(self.random.between(500, 100_000)));
        }
        if self.random.percent(50) {
            limits.open_orders_max = u32::try_from(self.random.below(20)).expect("a small number");
        }
        if self.random.percent(50) {
            let distances = [Distance::ticks(2), Distance::parts_per_million(25_000), Distance::ticks(0)];
            limits.price_deviation = self.random.one_of(&distances);
        }
        if self.random.percent(40) {
            limits = AccountLimits::DEFAULT;
        }
        if self.errs() {
            match self.random.below(2) {
                0 => limits.quantity_max = Quantity::OFF_LOT,
                _ => limits.notional_max = Amount(Amount::MAX.0 + 1),
            }
        }
        let own = self.profile.bust > 0 && self.random.percent(40);
        let instrument = if own { self.instrument() } else { InstrumentId::NONE };
        SetAccountLimits { account: self.some_account(), instrument, limits, note }.into()
    }

    fn listing(&mut self) -> CommandBody {
        let note = self.note();
        match self.random.below(6) {
            0 => {
                let asset = AssetId(u32::try_from(self.random.below(10)).expect("a small number"));
                let decimals = if self.errs() { 19 } else { 2 };
                let name = if self.errs() { Text::EMPTY } else { text("NEW") };
                AddAsset { asset, name, decimals, note }.into()
            }
            1 if self.profile.bust > 0 && self.random.percent(30) => {
                // Mostly a later listing: the venue's first ones are what its orders are in.
                let later = self.random.percent(95);
                let instrument = if later { self.random.one_of(&LATER_INSTRUMENTS) } else { self.instrument() };
                DelistInstrument { instrument, note }.into()
            }
            1 | 2 => self.new_listing(note),
            3 => {
                let account = AccountId(u32::try_from(self.random.below(18)).expect("a small number"));
                let fee_tier = if self.errs() { 9 } else { 1 };
                OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier, note }.into()
            }
            4 => {
                let byte = u8::try_from(self.random.below(256)).expect("a byte");
                SetRandomSeed { seed: [byte; 32], note }.into()
            }
            _ => SetBehaviour { version: u32::from(!self.errs()), note }.into(),
        }
    }

    fn new_listing(&mut self, note: AdminNote) -> CommandBody {
        let instrument = InstrumentId(u32::try_from(self.random.below(10)).expect("a small number"));
        let holds = self.random.one_of(&[Holds::On, Holds::Off]);
        let (base, quote) = self.random.one_of(&[(BTC, USD), (ETH, USD), (BTC, ETH), (AssetId::NONE, AssetId::NONE)]);
        let mut new = ListInstrument { note, ..listing(instrument, base, quote, holds) };
        new.tick_decimals = u8::try_from(self.random.below(3)).expect("a small number");
        new.lot_decimals = u8::try_from(self.random.below(3)).expect("a small number");
        if self.profile.walk > 0 {
            new.phase = self.some_phase();
            new.reference = self.random.one_of(&[Price::ABSENT, Price(100)]);
        }
        if self.errs() {
            match self.random.below(8) {
                0 => new.name = Text::EMPTY,
                1 => new.tick = 0,
                2 => new.lot = 0,
                3 => new.quote = new.base,
                4 => new.base = AssetId(7),
                5 => new.tick_decimals = 19,
                6 => new.reference = self.random.one_of(&[Price::ZERO, Price::OFF_TICK, Price(Price::MAX.0 + 1)]),
                _ => new.phase = self.random.one_of(Phase::ALL),
            }
        }
        new.into()
    }

    fn key(&mut self) -> CommandBody {
        let note = self.note();
        let keys = [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 17];
        let key = KeyId(self.random.one_of(&keys));
        let account = if self.random.percent(60) { self.some_account() } else { AccountId::NONE };
        let role = self.random.one_of(Role::ALL);
        match self.random.below(12) {
            0 | 1 => {
                let kind = self.random.one_of(KeyKind::ALL);
                let byte = u8::try_from(self.random.between(1, 8)).expect("a small number");
                AddKey { key, kind, public_key: [byte; 32], note }.into()
            }
            2 => {
                let key = if self.random.percent(97) { self.random.one_of(&[KeyId(5), KeyId(6)]) } else { key };
                RevokeKey { key, note }.into()
            }
            3..=6 => GrantRole { key, role, account, note }.into(),
            7..=9 => RevokeRole { key, role, account, note }.into(),
            _ => {
                let prefix_bits = if self.errs() { 129 } else { 64 };
                AllowAddress { key, address: [1; 16], prefix_bits, note }.into()
            }
        }
    }

    fn bust(&mut self) -> CommandBody {
        let note = self.note();
        let recent = self.trades.len().saturating_sub(12);
        let (mut instrument, mut trade_id) = if self.trades.is_empty() {
            (INSTRUMENTS[0], trade_of(1, 1))
        } else {
            self.random.one_of(&self.trades[recent..])
        };
        if self.errs() {
            match self.random.below(2) {
                0 => instrument = self.random.one_of(&[INSTRUMENTS[0], InstrumentId(7)]),
                _ => trade_id = trade_of(1, 1),
            }
        }
        BustTrade { instrument, trade_id, note }.into()
    }
}

/// A protection in which some of everything binds, around prices of a hundred.
pub(super) fn some_protection(random: &mut Random) -> PriceProtection {
    let distance = |random: &mut Random, nearest: u64, furthest: u64| match random.below(4) {
        0 => Distance::UNLIMITED,
        1 => Distance::parts_per_million(ticks(random, nearest, furthest) * 10_000),
        _ => Distance::ticks(ticks(random, nearest, furthest)),
    };
    let mut protection = PriceProtection::DEFAULT;
    if random.percent(40) {
        protection.entry_band = distance(random, 2, 9);
    }
    if random.percent(60) {
        protection.collar = distance(random, 0, 6);
    }
    if random.percent(40) {
        protection.market = distance(random, 0, 5);
    }
    if random.percent(80) {
        protection.auction = distance(random, 0, 9);
    }
    protection.collar_action = random.one_of(&[CollarAction::CancelRemainder, CollarAction::VolatilityCall]);
    protection.reference_source = random.one_of(&[ReferenceSource::LastTrade, ReferenceSource::LastAuction]);
    if random.percent(70) {
        protection.call_duration = Nanoseconds(random.between(1, 300));
    }
    if random.percent(60) {
        protection.call_random_end = Nanoseconds(random.between(1, 100));
    }
    if random.percent(3) {
        protection.call_random_end = Nanoseconds(u64::MAX);
    }
    if random.percent(2) {
        protection.entry_band = Distance { value: 3, ..Distance::UNLIMITED };
        protection.call_duration = Nanoseconds(u64::MAX);
    }
    protection
}

fn ticks(random: &mut Random, nearest: u64, furthest: u64) -> u32 {
    u32::try_from(random.between(nearest, furthest)).expect("a small number")
}
