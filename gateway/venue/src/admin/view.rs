//! What the operator sees of the venue: everything that administrators set up, and what accounts have.
//!
//! It begins with the engine as a start has rebuilt it, and goes on by events: it is behind the core by what is not
//! released yet. Why a session ended is known of those alone that ended since. What open orders hold of a balance is the engine's rule and is not
//! repeated here: a balance is what the account has, held or not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Bound;

use engine::canonical::Code;
use engine::command::{
    AccountLimits, AddAsset, AdminNote, DisconnectReason, KeyKind, ListInstrument, ModifyAccount, OpenAccount, Role,
    SetCalendarEntry, Switch,
};
use engine::event::{Trade, TradeSide};
use engine::instrument::{DistanceUnit, FeeRates, Holds, InstrumentLimits, Phase, PriceProtection};
use engine::limits::FEE_TIERS;
use engine::settings::{AccountSettings, InstrumentSettings, KeySettings};
use engine::{
    AccountId, Amount, AssetId, CommandBody, Engine, Event, InstrumentId, KeyId, Nanoseconds, Price, Quantity,
    SelfTradePrevention, SessionId, SessionState, SessionVersion, SessionView, Side, StpGroup, Timestamp, TradeId,
};

use super::rows::{
    AccountRow, AssetRow, BalanceRow, CalendarRow, FeesRow, InstrumentRow, KeyRow, LimitsRow, ProtectionRow, RoleRow,
    SessionRow,
};
use super::value::{DistanceText, NameOrNumber, NetworkText, SecondsText, TimeText, decimal, signed_decimal};

/// What the operator sees.
#[derive(Debug)]
pub struct AdminView {
    assets: BTreeMap<AssetId, AddAsset>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    accounts: BTreeMap<AccountId, Account>,
    /// What each account has, held or not, in smallest units.
    balances: BTreeMap<(AccountId, AssetId), i128>,
    keys: BTreeMap<KeyId, Key>,
    sessions: BTreeMap<SessionId, Session>,
    /// The last trades since the start, of all instruments.
    trades: VecDeque<KnownTrade>,
}

/// Trades that are remembered.
const TRADES_MAX: usize = 4_096;

/// A trade, as far as a bust concerns it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownTrade {
    pub(crate) instrument: InstrumentId,
    pub(crate) trade_id: TradeId,
    pub(crate) price: Price,
    pub(crate) quantity: Quantity,
    pub(crate) accounts: [AccountId; 2],
}

/// An instrument, with what turns decimals into ticks, lots and smallest units.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) listing: ListInstrument,
    phase: Phase,
    limits: InstrumentLimits,
    protection: PriceProtection,
    /// As they were set; those that are over among them.
    calendar: BTreeMap<u16, SetCalendarEntry>,
    fees: [Option<FeeRates>; FEE_TIERS as usize],
    quote_units: u64,
    base_units: u64,
}

#[derive(Debug)]
struct Account {
    stp_group: StpGroup,
    self_trade_prevention: Option<SelfTradePrevention>,
    fee_tier: u8,
    kill_switch: Switch,
    limits: AccountLimits,
}

#[derive(Debug)]
struct Key {
    kind: KeyKind,
    public_key: [u8; 32],
    is_revoked: bool,
    roles: Vec<(Role, AccountId)>,
    /// Where it may log in from; none: from anywhere.
    networks: BTreeSet<NetworkText>,
}

/// What a key's signatures are checked with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SigningKey {
    pub(crate) public_key: [u8; 32],
    pub(crate) is_revoked: bool,
}

#[derive(Debug)]
struct Session {
    key: KeyId,
    version: SessionVersion,
    state: SessionState,
    ended: Option<DisconnectReason>,
}

impl Instrument {
    fn of(settings: &InstrumentSettings<'_>, calendar: BTreeMap<u16, SetCalendarEntry>) -> Self {
        let &InstrumentSettings { listing, phase, limits, protection, fees, quote_units, base_units } = settings;
        Self { listing: *listing, phase, limits, protection, calendar, fees: *fees, quote_units, base_units }
    }
}

impl Key {
    fn new(kind: KeyKind, public_key: [u8; 32]) -> Self {
        Self { kind, public_key, is_revoked: false, roles: Vec::new(), networks: BTreeSet::new() }
    }
}

impl Account {
    fn new(stp_group: StpGroup, self_trade_prevention: Option<SelfTradePrevention>, fee_tier: u8) -> Self {
        let (kill_switch, limits) = (Switch::Lifted, AccountLimits::DEFAULT);
        Self { stp_group, self_trade_prevention, fee_tier, kill_switch, limits }
    }
}

impl Default for AdminView {
    /// Of a venue before its first command: it has its fee account.
    fn default() -> Self {
        let fees = (AccountId::FEES, Account::new(StpGroup::NONE, None, 0));
        Self {
            assets: BTreeMap::new(),
            instruments: BTreeMap::new(),
            accounts: BTreeMap::from([fees]),
            balances: BTreeMap::new(),
            keys: BTreeMap::new(),
            sessions: BTreeMap::new(),
            trades: VecDeque::new(),
        }
    }
}

impl AdminView {
    /// The view of an engine that takes no commands yet.
    pub fn of(engine: &Engine) -> Self {
        let assets: BTreeMap<_, _> = engine.assets().map(|asset| (asset.asset, asset)).collect();
        let mut view = Self { assets, ..Self::default() };
        for settings in engine.instruments() {
            let calendar = engine.calendar(settings.listing.instrument).map(|entry| (entry.entry, entry)).collect();
            view.instruments.insert(settings.listing.instrument, Instrument::of(&settings, calendar));
        }
        for settings in engine.accounts() {
            let AccountSettings { account, stp_group, self_trade_prevention, fee_tier, limits, kill_switch } = settings;
            view.accounts.insert(account, Account { stp_group, self_trade_prevention, fee_tier, kill_switch, limits });
            for &asset in view.assets.keys() {
                let balance = engine.balance(account, asset).unwrap_or_default();
                let has = balance.available.0 + balance.held.0;
                if has > 0 {
                    view.balances.insert((account, asset), i128::try_from(has).unwrap_or(i128::MAX));
                }
            }
        }
        let key = |of: KeySettings| Key { is_revoked: of.is_revoked, ..Key::new(of.kind, of.public_key) };
        view.keys = engine.known_keys().map(|settings| (settings.key, key(settings))).collect();
        for (key, role, account) in engine.grants() {
            view.grant(key, role, account);
        }
        for (key, address, prefix_bits) in engine.networks() {
            view.allow(key, NetworkText::new(address, prefix_bits));
        }
        let session = |SessionView { key, version, state, .. }| Session { key, version, state, ended: None };
        view.sessions = engine.sessions().map(|of| (of.session, session(of))).collect();
        view
    }

    fn grant(&mut self, key: KeyId, role: Role, account: AccountId) {
        if let Some(key) = self.keys.get_mut(&key)
            && !key.roles.contains(&(role, account))
        {
            key.roles.push((role, account));
            key.roles.sort_unstable_by_key(|&(role, account)| (account, role));
        }
    }

    fn allow(&mut self, key: KeyId, network: NetworkText) {
        if let Some(key) = self.keys.get_mut(&key) {
            key.networks.insert(network);
        }
    }

    /// Whether an event changes anything here. Most of a venue's load does not.
    pub(crate) fn concerns(event: &Event) -> bool {
        !matches!(
            event,
            Event::OrderAccepted(_)
                | Event::OrderRejected(_)
                | Event::OrderReplaced(_)
                | Event::OrderCancelled(_)
                | Event::CancelRejected(_)
        )
    }

    /// Takes in what an event says. Events that are not listed change nothing that is seen here.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Trade(trade) => self.trade(trade),
            Event::BalanceChanged(changed) => {
                let has = changed.available.0 + changed.held.0;
                self.balances.insert((changed.account, changed.asset), i128::try_from(has).unwrap_or(i128::MAX));
            }
            Event::AssetAdded(added) => {
                self.assets.insert(added.command.asset, added.command);
            }
            Event::InstrumentListed(listed) => {
                let instrument = Instrument {
                    listing: listed.command,
                    phase: listed.command.phase,
                    limits: InstrumentLimits::DEFAULT,
                    protection: PriceProtection::DEFAULT,
                    calendar: BTreeMap::new(),
                    fees: [None; FEE_TIERS as usize],
                    quote_units: listed.quote_units,
                    base_units: listed.base_units,
                };
                self.instruments.insert(listed.command.instrument, instrument);
            }
            Event::InstrumentDelisted(delisted) => {
                self.instruments.remove(&delisted.instrument);
            }
            Event::InstrumentLimitsSet(set) => {
                self.with_instrument(set.command.instrument, |instrument| instrument.limits = set.command.limits);
            }
            Event::PriceProtectionSet(set) => self.with_instrument(set.command.instrument, |instrument| {
                instrument.protection = set.command.protection;
            }),
            Event::CalendarEntrySet(set) => self.with_instrument(set.command.instrument, |instrument| {
                instrument.calendar.insert(set.command.entry, set.command);
            }),
            Event::CalendarEntryRemoved(removed) => self.with_instrument(removed.command.instrument, |instrument| {
                instrument.calendar.remove(&removed.command.entry);
            }),
            Event::FeesSet(set) => self.with_instrument(set.command.instrument, |instrument| {
                if let Some(rates) = instrument.fees.get_mut(usize::from(set.command.tier)) {
                    *rates = Some(set.command.rates);
                }
            }),
            Event::PhaseChanged(changed) => {
                self.with_instrument(changed.instrument, |instrument| instrument.phase = changed.to);
            }
            Event::AccountOpened(opened) => {
                let OpenAccount { account, stp_group, self_trade_prevention, fee_tier, .. } = opened.command;
                self.accounts.insert(account, Account::new(stp_group, self_trade_prevention, fee_tier));
            }
            Event::AccountModified(modified) => {
                let ModifyAccount { account, stp_group, self_trade_prevention, fee_tier, .. } = modified.command;
                self.with_account(account, |account| {
                    let Account { kill_switch, limits, .. } = *account;
                    *account = Account { stp_group, self_trade_prevention, fee_tier, kill_switch, limits };
                });
            }
            Event::AccountLimitsSet(set) if set.command.instrument.is_none() => {
                self.with_account(set.command.account, |account| account.limits = set.command.limits);
            }
            Event::KillSwitchSet(set) => {
                self.with_account(set.command.account, |account| account.kill_switch = set.command.switch);
            }
            Event::KeyAdded(added) => {
                let key = Key::new(added.command.kind, added.command.public_key);
                self.keys.insert(added.command.key, key);
            }
            Event::KeyRevoked(revoked) => {
                if let Some(key) = self.keys.get_mut(&revoked.command.key) {
                    key.is_revoked = true;
                }
            }
            Event::RoleGranted(granted) => {
                self.grant(granted.command.key, granted.command.role, granted.command.account);
            }
            Event::RoleRevoked(revoked) => {
                let role = (revoked.command.role, revoked.command.account);
                if let Some(key) = self.keys.get_mut(&revoked.command.key) {
                    key.roles.retain(|granted| *granted != role);
                }
            }
            Event::AddressAllowed(allowed) => {
                let network = NetworkText::new(allowed.command.address, allowed.command.prefix_bits);
                self.allow(allowed.command.key, network);
            }
            Event::SessionNegotiated(negotiated) => {
                let (key, version) = (negotiated.key, negotiated.version);
                let session = Session { key, version, state: SessionState::Negotiated, ended: None };
                self.sessions.insert(negotiated.session, session);
            }
            Event::SessionEstablished(established) => {
                if let Some(session) = self.sessions.get_mut(&established.session) {
                    (session.state, session.ended) = (SessionState::Established, None);
                }
            }
            Event::SessionDisconnected(gone) => {
                if let Some(session) = self.sessions.get_mut(&gone.session) {
                    (session.state, session.ended) = (SessionState::Disconnected, Some(gone.reason));
                }
            }
            _ => {}
        }
    }

    fn with_instrument(&mut self, instrument: InstrumentId, change: impl FnOnce(&mut Instrument)) {
        if let Some(instrument) = self.instruments.get_mut(&instrument) {
            change(instrument);
        }
    }

    fn with_account(&mut self, account: AccountId, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(&account) {
            change(account);
        }
    }

    fn remember_trade(&mut self, trade: &Trade) {
        if self.trades.len() >= TRADES_MAX {
            self.trades.pop_front();
        }
        let &Trade { instrument, trade_id, price, quantity, maker, taker, .. } = trade;
        let accounts = [maker.report.account, taker.report.account];
        self.trades.push_back(KnownTrade { instrument, trade_id, price, quantity, accounts });
    }

    fn trade(&mut self, trade: &Trade) {
        self.remember_trade(trade);
        let Some(instrument) = self.instruments.get(&trade.instrument) else { return };
        if instrument.listing.holds == Holds::Off {
            return;
        }
        let (base, quote) = (instrument.listing.base, instrument.listing.quote);
        let lots = i128::from(trade.quantity.0);
        let bought = lots * i128::from(instrument.base_units);
        let paid = i128::from(trade.price.0) * lots * i128::from(instrument.quote_units);
        for side in [&trade.maker, &trade.taker] {
            let TradeSide { fee, .. } = *side;
            let (received, spent) = match side.side {
                Side::Buy => (bought, paid + fee.0),
                Side::Sell => (-bought, fee.0 - paid),
            };
            self.add(side.report.account, base, received);
            self.add(side.report.account, quote, -spent);
            self.add(AccountId::FEES, quote, fee.0);
        }
    }

    fn add(&mut self, account: AccountId, asset: AssetId, change: i128) {
        *self.balances.entry((account, asset)).or_default() += change;
    }
}

/// What requests and their answers look up.
impl AdminView {
    /// What a key's signatures are checked with, and whether they count; none if it is not known, or a certificate.
    pub(crate) fn signing_key(&self, key: KeyId) -> Option<SigningKey> {
        let key = self.keys.get(&key).filter(|key| key.kind == KeyKind::Ed25519)?;
        Some(SigningKey { public_key: key.public_key, is_revoked: key.is_revoked })
    }

    /// What a key is for the whole venue; nothing if it is revoked or not known.
    fn roles(&self, key: KeyId) -> impl Iterator<Item = Role> {
        let valid = self.keys.get(&key).filter(|key| !key.is_revoked).into_iter();
        valid.flat_map(|key| &key.roles).filter(|(_, account)| account.is_none()).map(|(role, _)| *role)
    }

    /// Whether a key may come from an address.
    pub(crate) fn may_come_from(&self, key: KeyId, address: IpAddr) -> bool {
        self.keys
            .get(&key)
            .is_some_and(|key| key.networks.is_empty() || key.networks.iter().any(|network| network.contains(address)))
    }

    /// Whether a key may look at everything: it runs the venue or a part of it, or is the auditor's.
    pub(crate) fn may_read(&self, key: KeyId) -> bool {
        self.roles(key).any(|role| role.runs_the_venue() || role == Role::ReadOnly)
    }

    /// Whether a key may give a command, as far as roles alone tell; the engine decides.
    pub(crate) fn may_give(&self, key: KeyId, command: &CommandBody) -> bool {
        self.roles(key).any(|role| role.may_give(command))
    }

    /// Whether the key runs the venue or a part of it.
    pub(crate) fn runs_the_venue(&self, key: KeyId) -> bool {
        self.roles(key).any(Role::runs_the_venue)
    }

    /// Whether a key signs and has any role.
    pub(crate) fn has_role(&self, key: KeyId) -> bool {
        self.public_key(key).is_some() && self.keys.get(&key).is_some_and(|key| !key.roles.is_empty())
    }

    /// The account that a key trades for, the first if there are more; none: it does not trade.
    pub(crate) fn trades_for(&self, key: KeyId) -> Option<AccountId> {
        let key = self.keys.get(&key).filter(|key| !key.is_revoked)?;
        let trades = |(role, account): &&(Role, AccountId)| {
            matches!(role, Role::Trader | Role::MarketMaker) && !account.is_none()
        };
        key.roles.iter().find(trades).map(|(_, account)| *account)
    }

    /// What the signatures of a key that counts are checked with.
    pub(crate) fn public_key(&self, key: KeyId) -> Option<[u8; 32]> {
        self.signing_key(key).filter(|key| !key.is_revoked).map(|key| key.public_key)
    }

    /// The instrument that is called so, or has that number: only a name has to be known.
    pub(crate) fn instrument_id(&self, name: &NameOrNumber) -> Option<InstrumentId> {
        let named = || self.instruments.values().find(|instrument| instrument.listing.name.as_str() == name.0);
        name.number().map(InstrumentId).or_else(|| named().map(|instrument| instrument.listing.instrument))
    }

    /// The asset that is called so, or has that number: only a name has to be known.
    pub(crate) fn asset_id(&self, name: &NameOrNumber) -> Option<AssetId> {
        let named = || self.assets.values().find(|asset| asset.name.as_str() == name.0);
        name.number().map(AssetId).or_else(|| named().map(|asset| asset.asset))
    }

    pub(crate) fn instrument(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(&instrument)
    }

    /// Digits behind the point of an asset's smallest unit.
    pub(crate) fn decimals(&self, asset: AssetId) -> Option<u8> {
        self.assets.get(&asset).map(|asset| asset.decimals)
    }

    /// What is known of an account.
    pub(crate) fn account_row(&self, account: AccountId) -> Option<AccountRow> {
        self.accounts.get(&account).map(|found| account_row(account, found))
    }

    /// What is known of a key.
    pub(crate) fn key_row(&self, key: KeyId) -> Option<KeyRow> {
        self.keys.get(&key).map(|found| key_row(key, found))
    }

    /// What is known of an instrument.
    pub(crate) fn known_instrument(&self, instrument: InstrumentId, now: Timestamp) -> Option<InstrumentRow> {
        self.instruments.get(&instrument).map(|instrument| self.instrument_row(instrument, now))
    }

    /// What an account has of an asset, held or not.
    pub(crate) fn total(&self, account: AccountId, asset: AssetId) -> i128 {
        self.balances.get(&(account, asset)).copied().unwrap_or_default()
    }

    /// A trade, if it was one of the last.
    pub(crate) fn known_trade(&self, instrument: InstrumentId, trade: TradeId) -> Option<&KnownTrade> {
        self.trades.iter().rev().find(|known| (known.instrument, known.trade_id) == (instrument, trade))
    }

    /// How many sessions of a key are open.
    pub(crate) fn open_session_count(&self, key: KeyId) -> usize {
        let is_open = |session: &&Session| session.key == key && session.state == SessionState::Established;
        self.sessions.values().filter(is_open).count()
    }

    pub(crate) fn knows_account(&self, account: AccountId) -> bool {
        self.accounts.contains_key(&account)
    }

    pub(crate) fn asset_name(&self, asset: AssetId) -> Option<String> {
        self.assets.get(&asset).map(|asset| asset.name.as_str().to_owned())
    }
}

/// Rows of one answer: the thread that keeps the view waits while they are written.
pub(crate) const ROWS_MAX: usize = 1_000;

/// The rows of a list behind `after`, in the order of their numbers.
fn rows<K: Ord + Copy, V, R>(map: &BTreeMap<K, V>, after: K, row: impl Fn(K, &V) -> R) -> Vec<R> {
    let behind = map.range((Bound::Excluded(after), Bound::Unbounded));
    behind.take(ROWS_MAX).map(|(key, value)| row(*key, value)).collect()
}

/// What is read: lists in the order of their numbers, `ROWS_MAX` rows behind a number at a time.
impl AdminView {
    pub(crate) fn assets(&self, after: u32) -> Vec<AssetRow> {
        rows(&self.assets, AssetId(after), |id, AddAsset { name, decimals, .. }| AssetRow {
            asset: id.0,
            name: name.as_str().to_owned(),
            decimals: *decimals,
        })
    }

    /// `now` tells which entries of calendars are over.
    pub(crate) fn instruments(&self, after: u32, now: Timestamp) -> Vec<InstrumentRow> {
        rows(&self.instruments, InstrumentId(after), |_, instrument| self.instrument_row(instrument, now))
    }

    fn instrument_row(&self, instrument: &Instrument, now: Timestamp) -> InstrumentRow {
        let Instrument { listing, phase, limits, protection, calendar, fees, .. } = instrument;
        let price =
            |price: engine::Price| decimal(u128::from(price.0) * u128::from(listing.tick), listing.tick_decimals);
        let quantity = |lots: Quantity| decimal(u128::from(lots.0) * u128::from(listing.lot), listing.lot_decimals);
        let notional = |amount: Amount| self.decimals(listing.quote).map(|decimals| decimal(amount.0, decimals));
        let rates = |(tier, rates): (usize, &Option<FeeRates>)| {
            let FeeRates { maker, taker } = (*rates)?;
            let basis_points = |rate: i32| signed_decimal(rate.into(), 2);
            let (maker_basis_points, taker_basis_points) = (basis_points(maker), basis_points(taker));
            Some(FeesRow { tier, maker_basis_points, taker_basis_points })
        };
        InstrumentRow {
            instrument: listing.instrument.0,
            name: listing.name.as_str().to_owned(),
            base: self.asset_name(listing.base),
            quote: self.asset_name(listing.quote),
            tick: decimal(listing.tick.into(), listing.tick_decimals),
            lot: decimal(listing.lot.into(), listing.lot_decimals),
            phase: phase.name(),
            holds: listing.holds.name(),
            fees: fees.iter().enumerate().filter_map(rates).collect(),
            limits: LimitsRow {
                quantity_min: quantity(limits.quantity_min),
                quantity_max: quantity(limits.quantity_max),
                price_max: price(limits.price_max),
                notional_min: notional(limits.notional_min),
                notional_max: notional(limits.notional_max),
            },
            protection: protection_row(protection),
            calendar: calendar.values().filter_map(|entry| entry_row(entry, now)).collect(),
        }
    }

    pub(crate) fn accounts(&self, after: u32) -> Vec<AccountRow> {
        rows(&self.accounts, AccountId(after), account_row)
    }

    /// What an account has.
    pub(crate) fn balances(&self, of: AccountId) -> Vec<BalanceRow> {
        let balance = |(&(account, asset), has): (&(AccountId, AssetId), &i128)| {
            if *has == 0 {
                return None;
            }
            let total = signed_decimal(*has, self.decimals(asset)?);
            Some(BalanceRow { account: account.0, asset: self.asset_name(asset), total })
        };
        self.balances.range((of, AssetId(0))..=(of, AssetId(u32::MAX))).filter_map(balance).collect()
    }

    pub(crate) fn keys(&self, after: u32) -> Vec<KeyRow> {
        rows(&self.keys, KeyId(after), key_row)
    }

    pub(crate) fn sessions(&self, after: u32) -> Vec<SessionRow> {
        rows(&self.sessions, SessionId(after), |id, session| SessionRow {
            session: id.0,
            key: session.key.0,
            state: session.state.name(),
            ended: session.ended.map(Code::name),
            login: session.version.0,
        })
    }
}

fn account_row(id: AccountId, account: &Account) -> AccountRow {
    let AccountLimits { quantity_max, notional_max, open_orders_max, price_deviation } = account.limits;
    AccountRow {
        account: id.0,
        kill_switch: account.kill_switch.name(),
        fee_tier: account.fee_tier,
        stp_group: account.stp_group.0,
        self_trade_prevention: account.self_trade_prevention.map(Code::name),
        open_orders_max: (open_orders_max != u32::MAX).then_some(open_orders_max),
        quantity_max_lots: (!quantity_max.is_absent()).then(|| quantity_max.0.to_string()),
        notional_max_units: (!notional_max.is_absent()).then(|| { notional_max.0 }.to_string()),
        price_deviation: (price_deviation.unit != DistanceUnit::Unlimited)
            .then(|| format!("{} {}", price_deviation.value, price_deviation.unit)),
    }
}

fn key_row(id: KeyId, key: &Key) -> KeyRow {
    let role = |(role, account): &(Role, AccountId)| {
        let account = (!account.is_none()).then_some(account.0);
        RoleRow { role: role.name(), account }
    };
    KeyRow {
        key: id.0,
        kind: key.kind.name(),
        state: if key.is_revoked { "Revoked" } else { "Valid" },
        roles: key.roles.iter().map(role).collect(),
        networks: key.networks.iter().copied().collect(),
        public_key: key.public_key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// As `instrument protect` takes it.
fn protection_row(protection: &PriceProtection) -> ProtectionRow {
    let PriceProtection { collar_action, reference_source, call_duration, call_random_end, .. } = *protection;
    ProtectionRow {
        entry_band: DistanceText(protection.entry_band).to_string(),
        collar: DistanceText(protection.collar).to_string(),
        market: DistanceText(protection.market).to_string(),
        auction: DistanceText(protection.auction).to_string(),
        collar_action: collar_action.name(),
        reference_source: reference_source.name(),
        call_duration_seconds: SecondsText(call_duration).to_string(),
        call_random_end_seconds: SecondsText(call_random_end).to_string(),
    }
}

/// An entry as `instrument calendar set` takes it, with the time when it is due next; nothing if it is over.
fn entry_row(entry: &SetCalendarEntry, now: Timestamp) -> Option<CalendarRow> {
    let SetCalendarEntry { entry: number, phase, repeat, random_end, .. } = *entry;
    let missed = (now.0.saturating_sub(entry.at.0)).checked_div(repeat.0);
    let at = match missed {
        Some(missed) if now >= entry.at => entry.at.0.saturating_add(repeat.0.saturating_mul(missed.saturating_add(1))),
        None if now.0 >= entry.at.0.saturating_add(random_end.0) => return None,
        Some(_) | None => entry.at.0,
    };
    let seconds = |duration: Nanoseconds| (!duration.is_none()).then(|| SecondsText(duration).to_string());
    Some(CalendarRow {
        entry: number,
        at: TimeText(Timestamp(at)).to_string(),
        phase: phase.map(Code::name),
        repeat_seconds: seconds(repeat),
        random_end_seconds: seconds(random_end),
    })
}

/// What an administrator did is answered by the event that says so.
pub(crate) fn note_of(event: &Event) -> Option<(KeyId, AdminNote)> {
    Some(match event {
        Event::CommandRejected(event) => (event.author, event.note),
        Event::RandomSeedSet(event) => (event.author, event.command.note),
        Event::BehaviourSet(event) => (event.author, event.command.note),
        Event::AssetAdded(event) => (event.author, event.command.note),
        Event::InstrumentListed(event) => (event.author, event.command.note),
        Event::InstrumentDelisted(event) => (event.author, event.note),
        Event::InstrumentLimitsSet(event) => (event.author, event.command.note),
        Event::PriceProtectionSet(event) => (event.author, event.command.note),
        Event::FeesSet(event) => (event.author, event.command.note),
        Event::PhaseChanged(event) => (event.author, event.note),
        Event::CalendarEntrySet(event) => (event.author, event.command.note),
        Event::CalendarEntryRemoved(event) => (event.author, event.command.note),
        Event::TradeBusted(event) => (event.author, event.note),
        Event::AccountOpened(event) => (event.author, event.command.note),
        Event::AccountModified(event) => (event.author, event.command.note),
        Event::AccountLimitsSet(event) => (event.author, event.command.note),
        Event::BalanceChanged(event) => (event.author, event.note),
        Event::KillSwitchSet(event) => (event.author, event.command.note),
        Event::KeyAdded(event) => (event.author, event.command.note),
        Event::KeyRevoked(event) => (event.author, event.command.note),
        Event::RoleGranted(event) => (event.author, event.command.note),
        Event::RoleRevoked(event) => (event.author, event.command.note),
        Event::AddressAllowed(event) => (event.author, event.command.note),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::open_orders::OpenOrders;
    use crate::data_folder::DataFolder;
    use crate::demo;
    use engine::command::{CalendarAction, Deposit, NewOrder, Withdraw};
    use engine::{
        Capacity, ClientOrderId, Command, EventHeader, EventSink, OnDisconnect, OrderFlags, OrderType, Sequence,
        Sequenced, Stamp, TimeInForce,
    };

    const ACCOUNTS: u32 = 4;

    /// Applies the venue's own commands and takes their events in.
    struct World {
        engine: Engine,
        view: AdminView,
        open: OpenOrders,
        trades: u64,
    }

    impl EventSink for World {
        fn event(&mut self, header: &EventHeader, event: &Event) {
            self.trades += u64::from(matches!(event, Event::Trade(_)));
            let _ = header;
            self.view.apply(event);
            self.open.apply(event);
        }
    }

    impl World {
        fn apply(&mut self, body: impl Into<CommandBody>) {
            let stamp = Stamp { sequence: Sequence(self.engine.last().sequence.0 + 1), time: Timestamp(1) };
            let mut events: Vec<(EventHeader, Event)> = Vec::new();
            self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
            events.iter().for_each(|(header, event)| self.event(header, event));
        }
    }

    fn random(seed: &mut u64, bound: u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % bound
    }

    fn order(seed: &mut u64) -> NewOrder {
        NewOrder {
            account: AccountId(2 + u32::try_from(random(seed, ACCOUNTS.into())).unwrap()),
            instrument: InstrumentId(1 + u32::try_from(random(seed, 3)).unwrap()),
            client_order_id: ClientOrderId::NONE,
            side: if random(seed, 2) == 0 { Side::Buy } else { Side::Sell },
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price: Price(95 + random(seed, 11)),
            quantity: Quantity(1 + random(seed, 1_000_000)),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
    }

    #[test]
    fn an_entry_is_shown_with_its_next_time_until_it_is_over() {
        let once = SetCalendarEntry {
            instrument: InstrumentId(1),
            entry: 3,
            action: CalendarAction::SetPhase,
            phase: Some(Phase::Continuous),
            at: Timestamp(10_000_000_000),
            repeat: Nanoseconds::NONE,
            random_end: Nanoseconds(5_000_000_000),
            note: AdminNote::NONE,
        };
        let shown = |entry: &SetCalendarEntry, seconds: u64| {
            entry_row(entry, Timestamp(seconds * 1_000_000_000)).map(|row| row.at)
        };
        let at = |text: &str| Some(format!("1970-01-01T00:00:{text}Z"));
        // It may be due up to five seconds later.
        assert_eq!([9, 14, 15].map(|now| shown(&once, now)), [at("10"), at("10"), None]);
        let often = SetCalendarEntry { repeat: Nanoseconds(20_000_000_000), ..once };
        assert_eq!([9, 10, 29, 30].map(|now| shown(&often, now)), [at("10"), at("30"), at("30"), at("50")]);
        let never_over = SetCalendarEntry { at: Timestamp(u64::MAX - 1), ..once };
        assert!(shown(&never_over, 9).is_some());
    }

    #[test]
    fn balances_are_the_engines_and_all_is_the_same_behind_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path()).unwrap();
        let mut world = World {
            engine: Engine::new(Capacity::DEFAULT),
            view: AdminView::default(),
            open: OpenOrders::default(),
            trades: 0,
        };
        demo::commands(&folder).unwrap().into_iter().for_each(|body| world.apply(body));
        let mut seed = 20_261_124;
        println!("seed {seed}");
        for number in 0..2_000 {
            world.apply(order(&mut seed));
            let (account, asset, note) = (AccountId(2), AssetId(1 + number % 3), AdminNote::NONE);
            match number % 50 {
                0 => world.apply(Deposit { account, asset, amount: Amount(12_345), note }),
                1 => world.apply(Withdraw { account, asset, amount: Amount(543), note }),
                _ => {}
            }
        }
        assert!(world.trades > 500, "{} trades", world.trades);
        let restarted = AdminView::of(&world.engine);
        let lists = |view: &AdminView| {
            let balances: Vec<_> = (1..2 + ACCOUNTS).map(|account| view.balances(AccountId(account))).collect();
            let lists = (view.assets(0), view.instruments(0, Timestamp(1)), view.accounts(0), view.keys(0), balances);
            serde_json::to_value(lists).unwrap()
        };
        assert_eq!(lists(&restarted), lists(&world.view), "behind a restart");
        for account in (1..2 + ACCOUNTS).map(AccountId) {
            for asset in (1..=3).map(AssetId) {
                let balance = world.engine.balance(account, asset).unwrap();
                let has = world.view.balances.get(&(account, asset)).copied().unwrap_or_default();
                assert_eq!(u128::try_from(has), Ok(balance.available.0 + balance.held.0), "{account} {asset}");
            }
            let open = world.engine.open_orders(account).count() as u64;
            assert_eq!(world.open.count(Some(account), None), open, "{account}");
            assert_eq!(OpenOrders::of(&world.engine).count(Some(account), None), open, "{account}, behind a restart");
        }
    }
}
