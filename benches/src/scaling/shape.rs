//! A venue of a size that is asked for, and the places in its books that orders take.

use clap::ValueEnum;
use engine::command::*;
use engine::instrument::*;
use engine::*;

/// Sessions at most; beyond that many accounts, a session's key trades for several.
///
/// A login looks at every other session, so that many more would take too long to open.
pub const SESSIONS_MAX: u32 = 1 << 14;

/// Lots of an order at most; the least is one.
pub const LOTS_MAX: u8 = 100;

/// In the middle of every book, in ticks.
pub const MIDDLE: u32 = 1 << 22;

/// The best bid and the best offer are this far from the middle, in ticks.
pub const HALF_SPREAD: u32 = 32;

/// From a level to its neighbour, in ticks.
pub const TICKS_APART: u32 = 2;

/// Levels at most: the lowest bid is above half of the middle.
pub const LEVELS_MAX: u32 = MIDDLE / 2;

/// The fewest orders an instrument may have, so that its book is never emptied.
pub const ORDERS_MIN: u32 = 50;

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const FIRST_ACCOUNT: u32 = AccountId::FEES.0 + 1;
/// More than all orders of an account can hold at once.
const ENDOWMENT: Amount = Amount(10_u128.pow(20));
/// Wider than all prices.
const WIDE: Distance = Distance::ticks(MIDDLE);

/// How much of a venue there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Matching only: no holds, no sessions, no names, no limits.
    Matching,
    /// Everything: keys, sessions, names of orders and requests, limits, price protection, holds, settlement, fees.
    Venue,
}

impl Mode {
    /// Its name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Matching => "matching",
            Self::Venue => "venue",
        }
    }
}

/// How large a venue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How much of a venue.
    pub mode: Mode,
    /// Resting orders, over all instruments.
    pub orders: u32,
    /// Levels, over all instruments and both sides.
    pub levels: u32,
    /// Instruments.
    pub instruments: u32,
    /// Accounts.
    pub accounts: u32,
}

/// Where an order of whom rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In what.
    pub instrument: InstrumentId,
    /// Whose.
    pub account: AccountId,
    /// In ticks.
    pub price: u32,
    /// Bid or offer.
    pub side: Side,
}

impl Shape {
    /// Sessions: one for each account as far as that goes; none without a whole venue.
    pub fn sessions(&self) -> u32 {
        match self.mode {
            Mode::Matching => 0,
            Mode::Venue => self.accounts.min(SESSIONS_MAX),
        }
    }

    /// Places that are free while all orders rest: where new ones go.
    pub fn vacancies(&self) -> u32 {
        (self.orders / 20).max(4)
    }

    /// What keeps a venue from having this size.
    pub fn fault(&self) -> Option<String> {
        let Self { orders, levels, instruments, accounts, .. } = *self;
        if orders / instruments < ORDERS_MIN {
            return Some(format!("{orders} orders are fewer than {ORDERS_MIN} for each of {instruments} instruments"));
        }
        if levels < 2 * instruments || levels > orders || levels > LEVELS_MAX {
            return Some(format!("{levels} levels do not suit {orders} orders in {instruments} instruments"));
        }
        if accounts == 0 {
            return Some("no accounts".to_owned());
        }
        (!self.capacity().is_sane()).then(|| format!("{self:?} is beyond what an engine may carry"))
    }

    /// All places, vacancies included, in an order that says nothing of their prices.
    pub fn places(&self, random: &mut fastrand::Rng) -> Vec<Place> {
        let levels = self.levels_each();
        let place = |number: u32| {
            let level = number / self.instruments % levels;
            let side = Side::BOTH[level as usize % 2];
            Place {
                instrument: InstrumentId(1 + number % self.instruments),
                account: self.account(random.u32(0..self.accounts)),
                price: price(side, level / 2),
                side,
            }
        };
        let mut places: Vec<Place> = (0..self.orders + self.vacancies()).map(place).collect();
        random.shuffle(&mut places);
        places
    }

    /// The worst price that an order of this side finds anything at.
    pub fn through_everything(&self, side: Side) -> u32 {
        price(side.opposite(), self.levels_each() / 2)
    }

    /// An account by its number, from 0.
    pub fn account(&self, number: u32) -> AccountId {
        AccountId(FIRST_ACCOUNT + number)
    }

    /// The session through which an account acts, which has its key's number; none without a whole venue.
    #[inline]
    pub fn session_of(&self, account: AccountId) -> SessionId {
        match self.sessions() {
            0 => SessionId::NONE,
            sessions => SessionId(1 + (account.0 - FIRST_ACCOUNT) % sessions),
        }
    }

    /// An engine with all instruments listed, accounts open and sessions established, and nothing in its books.
    pub fn open(&self) -> Engine {
        let mut engine = Engine::new(self.capacity());
        let mut refused = Refused(0);
        let set_up = match self.mode {
            Mode::Matching => self.matching_only(),
            Mode::Venue => self.whole_venue(),
        };
        for value in set_up {
            let sequence = engine.last().sequence.next();
            engine.apply(&Sequenced { stamp: stamp(sequence), value }, &mut refused);
        }
        assert_eq!(refused.0, 0, "nothing of {self:?} is refused");
        engine
    }

    fn capacity(&self) -> Capacity {
        let Self { orders, levels, instruments, accounts, .. } = *self;
        let blocks_each = levels / instruments * TICKS_APART / 64 + 32;
        Capacity {
            orders: orders.saturating_add(2 * self.vacancies() + 256),
            accounts: accounts.saturating_add(FIRST_ACCOUNT),
            assets: 2,
            instruments,
            sessions: self.sessions(),
            keys: self.sessions(),
            grants: accounts,
            price_blocks: blocks_each.saturating_mul(instruments),
        }
    }

    fn levels_each(&self) -> u32 {
        self.levels / self.instruments
    }

    fn account_numbers(&self) -> impl Iterator<Item = AccountId> + use<> {
        let shape = *self;
        (0..self.accounts).map(move |number| shape.account(number))
    }

    fn matching_only(&self) -> Box<dyn Iterator<Item = Command>> {
        let listings = (1..=self.instruments).map(|number| listing(number, AssetId::NONE, AssetId::NONE, Holds::Off));
        Box::new(listings.map(from_venue).chain(self.account_numbers().map(open_account).map(from_venue)))
    }

    fn whole_venue(&self) -> Box<dyn Iterator<Item = Command>> {
        let assets = [(BASE, "BASE"), (QUOTE, "QUOTE")].map(|(asset, name)| AddAsset {
            asset,
            name: text(name),
            decimals: 0,
            note: AdminNote::NONE,
        });
        let instruments = (1..=self.instruments).flat_map(instrument);
        let accounts = self.account_numbers().flat_map(account);
        let shape = *self;
        let sessions = (1..=self.sessions()).flat_map(move |number| shape.session(number));
        Box::new(assets.into_iter().map(from_venue).chain(instruments).chain(accounts).chain(sessions))
    }

    /// A key, the accounts that it trades for, and its session, which is open.
    fn session(&self, number: u32) -> impl Iterator<Item = Command> + use<> {
        let (key, note, version) = (KeyId(number), AdminNote::NONE, SessionVersion(1));
        let mut public_key = [0; 32];
        public_key[..4].copy_from_slice(&number.to_le_bytes());
        let (shape, first, step) = (*self, number - 1, self.sessions() as usize);
        let accounts = (first..self.accounts).step_by(step).map(move |number| shape.account(number));
        let header = CommandHeader { author: key, session: SessionId(number), ..CommandHeader::VENUE };
        let establish = Establish {
            version,
            nonce: LoginNonce(1),
            cancel_on_disconnect: CancelOnDisconnect::Cancel,
            cancel_grace: Nanoseconds(1_000_000_000),
            keep_alive: Nanoseconds(1_000_000_000),
        };
        let known = from_venue(AddKey { key, kind: KeyKind::Ed25519, public_key, note });
        let grants = accounts.map(move |account| from_venue(GrantRole { key, role: Role::Trader, account, note }));
        let login = [Negotiate { version }.into(), establish.into()].map(|body| Command { header, body });
        [known].into_iter().chain(grants).chain(login)
    }
}

/// The price of a side's level, the best of which has rank 0.
pub fn price(side: Side, rank: u32) -> u32 {
    let distance = HALF_SPREAD + rank * TICKS_APART;
    match side {
        Side::Buy => MIDDLE - distance,
        Side::Sell => MIDDLE + distance,
    }
}

/// Place and time of a command: time passes with the sequence.
#[inline(always)]
pub fn stamp(sequence: Sequence) -> Stamp {
    Stamp { sequence, time: Timestamp(sequence.0) }
}

fn from_venue(body: impl Into<CommandBody>) -> Command {
    Command::from_venue(body)
}

fn instrument(number: u32) -> [Command; 4] {
    let (instrument, note) = (InstrumentId(number), AdminNote::NONE);
    let limits = InstrumentLimits {
        quantity_min: Quantity(1),
        quantity_max: Quantity(10_000_000),
        price_max: Price(u64::from(MIDDLE) * 2),
        notional_min: Amount(1),
        notional_max: Amount(10_u128.pow(15)),
    };
    let protection = PriceProtection { entry_band: WIDE, collar: WIDE, ..PriceProtection::DEFAULT };
    // Ten and twenty-five basis points.
    let rates = FeeRates { maker: 1_000, taker: 2_500 };
    [
        from_venue(listing(number, BASE, QUOTE, Holds::On)),
        from_venue(SetInstrumentLimits { instrument, limits, note }),
        from_venue(SetPriceProtection { instrument, protection, note }),
        from_venue(SetFees { instrument, tier: 0, rates, note }),
    ]
}

fn account(account: AccountId) -> [Command; 4] {
    let note = AdminNote::NONE;
    let limits = AccountLimits {
        quantity_max: Quantity(10_000_000),
        notional_max: Amount(10_u128.pow(15)),
        open_orders_max: 1 << 24,
        price_deviation: WIDE,
    };
    [
        from_venue(open_account(account)),
        from_venue(Deposit { account, asset: BASE, amount: ENDOWMENT, note }),
        from_venue(Deposit { account, asset: QUOTE, amount: ENDOWMENT, note }),
        from_venue(SetAccountLimits { account, instrument: InstrumentId::NONE, limits, note }),
    ]
}

fn open_account(account: AccountId) -> OpenAccount {
    OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note: AdminNote::NONE }
}

fn listing(number: u32, base: AssetId, quote: AssetId, holds: Holds) -> ListInstrument {
    ListInstrument {
        instrument: InstrumentId(number),
        name: text(&format!("I{number}")),
        base,
        quote,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price(MIDDLE.into()),
        holds,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).expect("short ASCII")
}

/// Counts refusals.
struct Refused(u64);

impl EventSink for Refused {
    fn event(&mut self, _: &EventHeader, event: &Event) {
        if matches!(event, Event::CommandRejected(_) | Event::SessionRejected(_)) {
            self.0 += 1;
        }
    }
}
