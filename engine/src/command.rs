//! Commands: everything that can change the venue, in the imperative.
//!
//! A command carries who sent it and when; the sequencer gives it its place in the total order and its time. Text in a
//! command is bounded; nothing in it is a reference.

use crate::canonical::{Canonical, Code, code_enum, messages, record};
use crate::identity::{
    AccountId, AssetId, ClientOrderId, IdempotencyKey, InstrumentId, KeyId, LoginNonce, OrderId, Sequence, SessionId,
    SessionSequence, SessionVersion, StpGroup, Text, TradeId,
};
use crate::instrument::{FeeRates, Holds, InstrumentLimits, Phase, PriceProtection};
use crate::order::{OnDisconnect, OrderFlags, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::{Amount, Nanoseconds, Price, Quantity, Timestamp};

record! {
    /// A value with its place in the total order.
    ///
    /// The engine is a function of these alone.
    pub struct Stamp {
        /// Place in the total order, from 1, without gaps.
        pub sequence: Sequence,
        /// The core's time; never less than the command before.
        pub time: Timestamp,
    }
    /// Who sent a command, and through what.
    pub struct CommandHeader {
        /// The key that the author proved; [`KeyId::VENUE`] for the venue itself.
        pub author: KeyId,
        /// The session; [`SessionId::NONE`] for commands from outside any session.
        pub session: SessionId,
        /// Place in the session's stream of commands; zero: not numbered, never dropped as a repetition.
        pub client_sequence: SessionSequence,
        /// When the gateway received it.
        pub received_at: Timestamp,
    }
    /// Why an administrator did something, and under which name.
    pub struct AdminNote {
        /// A request with a key that was used before by the same author is refused.
        pub idempotency_key: IdempotencyKey,
        /// In the administrator's words.
        pub reason: Text<24>,
    }
}

impl CommandHeader {
    /// The venue itself, outside any session, at no particular time.
    pub const VENUE: Self = Self {
        author: KeyId::VENUE,
        session: SessionId::NONE,
        client_sequence: SessionSequence::NONE,
        received_at: Timestamp::NONE,
    };
}

impl AdminNote {
    /// Nothing said.
    pub const NONE: Self = Self { idempotency_key: IdempotencyKey::NONE, reason: Text::EMPTY };
}

/// A command with its place in the total order: what the journal holds and the engine applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced<T> {
    /// Place and time.
    pub stamp: Stamp,
    /// The command.
    pub value: T,
}

impl<T: Canonical> Canonical for Sequenced<T> {
    const LENGTH: usize = Stamp::LENGTH + T::LENGTH;

    #[inline]
    fn encode(&self, out: &mut impl crate::canonical::ByteSink) {
        self.stamp.encode(out);
        self.value.encode(out);
    }

    #[inline]
    fn decode(input: &mut crate::canonical::Reader<'_>) -> Result<Self, crate::canonical::DecodeError> {
        Ok(Self { stamp: input.read()?, value: input.read()? })
    }
}

/// A command: header and body, `Copy`, at most 128 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Who sent it.
    pub header: CommandHeader,
    /// What it asks.
    pub body: CommandBody,
}

const _: () = assert!(size_of::<Command>() <= 128, "a command fits two cache lines");

impl Command {
    /// The venue's own command.
    pub fn from_venue(body: impl Into<CommandBody>) -> Self {
        Self { header: CommandHeader::VENUE, body: body.into() }
    }
}

impl Canonical for Command {
    /// The longest.
    const LENGTH: usize = CommandHeader::LENGTH + CommandBody::LENGTH;

    #[inline]
    fn encode(&self, out: &mut impl crate::canonical::ByteSink) {
        self.header.encode(out);
        self.body.encode(out);
    }

    #[inline]
    fn decode(input: &mut crate::canonical::Reader<'_>) -> Result<Self, crate::canonical::DecodeError> {
        Ok(Self { header: input.read()?, body: input.read()? })
    }
}

messages! {
    /// What a command asks.
    pub enum CommandBody, kinds CommandKind {
        /// Enter an order (FIX `D`).
        NewOrder = 1,
        /// Amend an order (FIX `G`).
        ReplaceOrder = 2,
        /// Cancel an order (FIX `F`).
        CancelOrder = 3,
        /// Cancel many orders (FIX `q`).
        MassCancel = 4,
        /// Block an account and cancel everything it has, or lift that.
        KillSwitch = 5,

        /// Log a session in.
        Negotiate = 20,
        /// Open a negotiated session for messages.
        Establish = 21,
        /// The session is gone; its cancel grace starts.
        Disconnect = 22,

        /// Time has passed: expire what is due.
        AdvanceTime = 40,
        /// Seed the venue's random decisions.
        SetRandomSeed = 41,
        /// Switch to a version of the matching rules.
        SetBehaviour = 42,

        /// Add an asset.
        AddAsset = 60,
        /// List an instrument.
        ListInstrument = 61,
        /// Delist an instrument: its orders are cancelled.
        DelistInstrument = 62,
        /// Bound an instrument's orders.
        SetInstrumentLimits = 63,
        /// Protect an instrument's prices.
        SetPriceProtection = 64,
        /// Set fee rates.
        SetFees = 65,
        /// Change an instrument's phase.
        SetPhase = 66,
        /// Add or change a calendar entry.
        SetCalendarEntry = 67,
        /// Remove a calendar entry.
        RemoveCalendarEntry = 68,

        /// Open an account.
        OpenAccount = 80,
        /// Change an account's self-trade prevention, group and fee tier.
        ModifyAccount = 81,
        /// Bound an account's orders.
        SetAccountLimits = 82,
        /// Bring an amount into the venue.
        Deposit = 83,
        /// Take an amount out of the venue.
        Withdraw = 84,
        /// Correct a balance.
        AdjustBalance = 85,
        /// Reverse a trade.
        BustTrade = 86,

        /// Make a key known.
        AddKey = 100,
        /// Forget a key, at once.
        RevokeKey = 101,
        /// Let a key act.
        GrantRole = 102,
        /// Stop a key from acting.
        RevokeRole = 103,
        /// Let a key log in from a network.
        AllowAddress = 104,
    }
}

code_enum! {
    /// What a key may do.
    pub enum Role: u8 {
        /// Enter, amend and cancel orders of an account.
        Trader = 1,
        /// A trader with a market maker's throttles.
        MarketMaker = 2,
        /// Read an account's reports.
        DropCopy = 3,
        /// Run the venue.
        Administrator = 4,
        /// See what is public, and an account's state; for the whole venue: see everything.
        ReadOnly = 5,
        /// Run the market: phases, calendars, price protection, bounds of orders, trade busts.
        MarketOperator = 6,
        /// Run accounts: open and modify them, bring amounts in and take them out.
        AccountOperator = 7,
        /// Contain risk: bounds of accounts, kill switches, cancels, halts.
        RiskOperator = 8,
        /// Run keys: make them known and forget them, and let them trade and read.
        KeyOperator = 9,
    }
}

impl Role {
    /// Whether it is for the whole venue only: whoever acts in it runs the venue, or a part of that.
    pub const fn runs_the_venue(self) -> bool {
        match self {
            Self::Administrator
            | Self::MarketOperator
            | Self::AccountOperator
            | Self::RiskOperator
            | Self::KeyOperator => true,
            Self::Trader | Self::MarketMaker | Self::DropCopy | Self::ReadOnly => false,
        }
    }

    /// Whether a key that acts in it for the whole venue may give a command that no trader gives for itself. An
    /// administrator may give every one; of others each may give what its part of the venue needs, and none may make
    /// anybody, itself included, an operator.
    ///
    /// A key operator's command about a key that runs the venue is refused besides.
    pub fn may_give(self, command: &CommandBody) -> bool {
        match command {
            CommandBody::SetPhase(command) if command.phase == Phase::Halted && self == Self::RiskOperator => true,
            CommandBody::SetPhase(_)
            | CommandBody::SetCalendarEntry(_)
            | CommandBody::RemoveCalendarEntry(_)
            | CommandBody::SetPriceProtection(_)
            | CommandBody::SetInstrumentLimits(_)
            | CommandBody::BustTrade(_) => self.is(Self::MarketOperator),
            CommandBody::OpenAccount(_)
            | CommandBody::ModifyAccount(_)
            | CommandBody::Deposit(_)
            | CommandBody::Withdraw(_) => self.is(Self::AccountOperator),
            CommandBody::SetAccountLimits(_)
            | CommandBody::CancelOrder(_)
            | CommandBody::MassCancel(_)
            | CommandBody::KillSwitch(_) => self.is(Self::RiskOperator),
            CommandBody::AddKey(_) | CommandBody::RevokeKey(_) | CommandBody::AllowAddress(_) => {
                self.is(Self::KeyOperator)
            }
            CommandBody::GrantRole(GrantRole { role, .. }) | CommandBody::RevokeRole(RevokeRole { role, .. }) => {
                self.is(Self::KeyOperator) && (self == Self::Administrator || !role.runs_the_venue())
            }
            CommandBody::SetRandomSeed(_)
            | CommandBody::SetBehaviour(_)
            | CommandBody::AddAsset(_)
            | CommandBody::ListInstrument(_)
            | CommandBody::DelistInstrument(_)
            | CommandBody::SetFees(_)
            | CommandBody::AdjustBalance(_) => self == Self::Administrator,
            CommandBody::NewOrder(_)
            | CommandBody::ReplaceOrder(_)
            | CommandBody::Negotiate(_)
            | CommandBody::Establish(_)
            | CommandBody::Disconnect(_)
            | CommandBody::AdvanceTime(_) => false,
        }
    }

    fn is(self, role: Self) -> bool {
        self == role || self == Self::Administrator
    }
}

code_enum! {
    /// How a key's holder proves to have it.
    pub enum KeyKind: u8 {
        /// By an Ed25519 signature; 32 bytes are the public key.
        Ed25519 = 1,
        /// By a TLS client certificate; 32 bytes are its SHA-256 fingerprint.
        Certificate = 2,
    }
}

code_enum! {
    /// What becomes of a session's orders when it is lost.
    pub enum CancelOnDisconnect: u8 {
        /// They stay.
        Keep = 0,
        /// They are cancelled when the grace ends.
        Cancel = 1,
    }
}

code_enum! {
    /// Why a session ended.
    pub enum DisconnectReason: u8 {
        /// The trader said so.
        Terminated = 1,
        /// The connection was lost.
        ConnectionLost = 2,
        /// Nothing was heard for too long.
        KeepAliveExpired = 3,
        /// The trader read too slowly.
        SlowReader = 4,
        /// The trader broke the protocol.
        ProtocolViolation = 5,
        /// The trader sent too much.
        Throttled = 6,
        /// The key was revoked.
        KeyRevoked = 7,
        /// The venue shut down or restarted.
        VenueStopped = 8,
        /// An administrator ended it.
        Administrator = 9,
        /// The same session logged in anew.
        Replaced = 10,
    }
}

code_enum! {
    /// A switch's position.
    pub enum Switch: u8 {
        /// Not acting.
        Lifted = 0,
        /// Acting.
        Engaged = 1,
    }
}

code_enum! {
    /// Which way a balance is corrected.
    pub enum Direction: u8 {
        /// More.
        Credit = 1,
        /// Less.
        Debit = 2,
    }
}

code_enum! {
    /// What a calendar entry does.
    pub enum CalendarAction: u8 {
        /// Change to the entry's phase.
        SetPhase = 1,
        /// End the trading day: Day orders expire.
        Rollover = 2,
    }
}

record! {
    /// Enter an order (FIX `D`).
    pub struct NewOrder {
        /// Whose.
        pub account: AccountId,
        /// In what.
        pub instrument: InstrumentId,
        /// The trader's name for it; none: no duplicate is looked for.
        pub client_order_id: ClientOrderId,
        /// Buy or sell.
        pub side: Side,
        /// How it is priced.
        pub order_type: OrderType,
        /// How long it lives.
        pub time_in_force: TimeInForce,
        /// Post-only.
        pub flags: OrderFlags,
        /// Its own self-trade prevention; absent: the account's.
        pub self_trade_prevention: Option<SelfTradePrevention>,
        /// What losing the session means for it.
        pub on_disconnect: OnDisconnect,
        /// Limit, in ticks; absent for Market and Stop.
        pub price: Price,
        /// Order quantity, in lots; absent if funds are given.
        pub quantity: Quantity,
        /// What a market buy may spend, fee included, in the quote asset's smallest unit; absent otherwise.
        pub funds: Amount,
        /// Trigger, in ticks; absent unless Stop or StopLimit.
        pub stop_price: Price,
        /// What of it is shown, in lots; absent: all.
        pub display_quantity: Quantity,
        /// What must trade at once, in lots; absent: nothing.
        pub minimum_quantity: Quantity,
        /// When a GoodTillDate order ends; none otherwise.
        pub expire_at: Timestamp,
    }
    /// Amend an order (FIX `G`). Absent fields stay as they are.
    pub struct ReplaceOrder {
        /// Whose.
        pub account: AccountId,
        /// The order by the venue's name; none: by the trader's.
        pub order_id: OrderId,
        /// The order by the trader's name.
        pub original_client_order_id: ClientOrderId,
        /// The trader's new name for it; none: the old one stays.
        pub client_order_id: ClientOrderId,
        /// Its type; absent: unchanged.
        pub order_type: Option<OrderType>,
        /// Its time in force; absent: unchanged.
        pub time_in_force: Option<TimeInForce>,
        /// Limit, in ticks.
        pub price: Price,
        /// Order quantity, filled part included, in lots.
        pub quantity: Quantity,
        /// Trigger, in ticks.
        pub stop_price: Price,
        /// What of it is shown, in lots.
        pub display_quantity: Quantity,
        /// When a GoodTillDate order ends; none: unchanged.
        pub expire_at: Timestamp,
    }
    /// Cancel an order (FIX `F`).
    pub struct CancelOrder {
        /// Whose.
        pub account: AccountId,
        /// The order by the venue's name; none: by the trader's.
        pub order_id: OrderId,
        /// The order by the trader's name.
        pub original_client_order_id: ClientOrderId,
        /// The trader's name for this request.
        pub client_order_id: ClientOrderId,
    }
    /// Cancel many orders (FIX `q`): those to which every given filter applies, oldest first.
    pub struct MassCancel {
        /// Of this account; none: of every account, for administrators and risk operators.
        pub account: AccountId,
        /// In this instrument; none: in all.
        pub instrument: InstrumentId,
        /// On this side; absent: on both.
        pub side: Option<Side>,
        /// Entered through this session; none: through any.
        pub entered_by: SessionId,
        /// The trader's name for this request.
        pub client_order_id: ClientOrderId,
        /// Why, if an administrator does it.
        pub note: AdminNote,
    }
    /// Block an account and cancel everything it has, or lift that.
    pub struct KillSwitch {
        /// Whose.
        pub account: AccountId,
        /// Only an administrator or a risk operator lifts it.
        pub switch: Switch,
        /// Why.
        pub note: AdminNote,
    }
    /// Log a session in (FIXP Negotiate). The header names the session and the key that was proved.
    pub struct Negotiate {
        /// This login's number; greater than every one before.
        pub version: SessionVersion,
    }
    /// Open a negotiated session for messages (FIXP Establish).
    pub struct Establish {
        /// The login that this belongs to.
        pub version: SessionVersion,
        /// This opening's number; greater than every one before.
        pub nonce: LoginNonce,
        /// What happens to its orders when it is lost.
        pub cancel_on_disconnect: CancelOnDisconnect,
        /// How long after a loss.
        pub cancel_grace: Nanoseconds,
        /// The longest silence of either side.
        pub keep_alive: Nanoseconds,
    }
    /// The session is gone; its cancel grace starts.
    pub struct Disconnect {
        /// The login that was lost; another one is not touched.
        pub version: SessionVersion,
        /// Why.
        pub reason: DisconnectReason,
    }
    /// Time has passed, to the command's stamp: expire what is due.
    pub struct AdvanceTime {}
    /// Seed the venue's random decisions, such as when a call ends.
    pub struct SetRandomSeed {
        /// Any bytes.
        pub seed: [u8; 32],
        /// Why.
        pub note: AdminNote,
    }
    /// Switch to a version of the matching rules.
    pub struct SetBehaviour {
        /// See [`crate::limits::BEHAVIOUR`].
        pub version: u32,
        /// Why.
        pub note: AdminNote,
    }
    /// Add an asset.
    pub struct AddAsset {
        /// Its identity, from 1.
        pub asset: AssetId,
        /// Its name: `USD`.
        pub name: Text<16>,
        /// Digits behind the point of its smallest unit.
        pub decimals: u8,
        /// Why.
        pub note: AdminNote,
    }
    /// List an instrument.
    pub struct ListInstrument {
        /// Its identity, from 1.
        pub instrument: InstrumentId,
        /// Its name: `BTC-USD`.
        pub name: Text<16>,
        /// What is bought and sold; none only with holds off.
        pub base: AssetId,
        /// What it is paid with; none only with holds off.
        pub quote: AssetId,
        /// The price step, in whole quote asset.
        pub tick: u64,
        /// Digits of `tick` behind the point.
        pub tick_decimals: u8,
        /// The quantity step, in whole base asset.
        pub lot: u64,
        /// Digits of `lot` behind the point.
        pub lot_decimals: u8,
        /// The first reference price, in ticks; absent until the first trade.
        pub reference: Price,
        /// Whether trades move balances.
        pub holds: Holds,
        /// The mode where neither order nor account has one.
        pub self_trade_prevention: SelfTradePrevention,
        /// The first phase.
        pub phase: Phase,
        /// Why.
        pub note: AdminNote,
    }
    /// Delist an instrument: its orders are cancelled.
    pub struct DelistInstrument {
        /// Which.
        pub instrument: InstrumentId,
        /// Why.
        pub note: AdminNote,
    }
    /// Bound an instrument's orders.
    pub struct SetInstrumentLimits {
        /// Which.
        pub instrument: InstrumentId,
        /// The bounds.
        pub limits: InstrumentLimits,
        /// Why.
        pub note: AdminNote,
    }
    /// Protect an instrument's prices.
    pub struct SetPriceProtection {
        /// Which.
        pub instrument: InstrumentId,
        /// How.
        pub protection: PriceProtection,
        /// Why.
        pub note: AdminNote,
    }
    /// Set the fee rates of orders that are accepted from now on.
    pub struct SetFees {
        /// In this instrument.
        pub instrument: InstrumentId,
        /// For accounts of this tier; a tier without rates of its own pays tier 0's.
        pub tier: u8,
        /// The rates.
        pub rates: FeeRates,
        /// Why.
        pub note: AdminNote,
    }
    /// Change an instrument's phase.
    pub struct SetPhase {
        /// Which.
        pub instrument: InstrumentId,
        /// To what.
        pub phase: Phase,
        /// Why.
        pub note: AdminNote,
    }
    /// Add or change a calendar entry.
    pub struct SetCalendarEntry {
        /// Of this instrument.
        pub instrument: InstrumentId,
        /// The entry's number in the instrument's calendar.
        pub entry: u16,
        /// What it does.
        pub action: CalendarAction,
        /// To which phase; absent for a rollover.
        pub phase: Option<Phase>,
        /// When, first.
        pub at: Timestamp,
        /// How long until it is due again; zero: never.
        pub repeat: Nanoseconds,
        /// At most how much later, at random.
        pub random_end: Nanoseconds,
        /// Why.
        pub note: AdminNote,
    }
    /// Remove a calendar entry.
    pub struct RemoveCalendarEntry {
        /// Of this instrument.
        pub instrument: InstrumentId,
        /// Which.
        pub entry: u16,
        /// Why.
        pub note: AdminNote,
    }
    /// Open an account.
    pub struct OpenAccount {
        /// Its identity, from 2: 1 is the venue's fee account.
        pub account: AccountId,
        /// Accounts of one group do not trade with one another; none: the account alone.
        pub stp_group: StpGroup,
        /// Its mode; absent: the instrument's.
        pub self_trade_prevention: Option<SelfTradePrevention>,
        /// Which fee rates it pays.
        pub fee_tier: u8,
        /// Why.
        pub note: AdminNote,
    }
    /// Change an account's self-trade prevention, group and fee tier.
    pub struct ModifyAccount {
        /// Which.
        pub account: AccountId,
        /// As in [`OpenAccount`].
        pub stp_group: StpGroup,
        /// As in [`OpenAccount`].
        pub self_trade_prevention: Option<SelfTradePrevention>,
        /// As in [`OpenAccount`].
        pub fee_tier: u8,
        /// Why.
        pub note: AdminNote,
    }
    /// Bounds of one account's orders.
    pub struct AccountLimits {
        /// The largest order quantity, in lots; absent: no bound.
        pub quantity_max: Quantity,
        /// The largest notional of an order, in the quote asset's smallest unit; absent: no bound.
        pub notional_max: Amount,
        /// How many orders may be open at once.
        pub open_orders_max: u32,
        /// How far from the reference price an order may be priced.
        pub price_deviation: crate::instrument::Distance,
    }
    /// Bound an account's orders.
    pub struct SetAccountLimits {
        /// Which.
        pub account: AccountId,
        /// In this instrument; none: in every instrument.
        pub instrument: InstrumentId,
        /// The bounds.
        pub limits: AccountLimits,
        /// Why.
        pub note: AdminNote,
    }
    /// Bring an amount into the venue.
    pub struct Deposit {
        /// Whose.
        pub account: AccountId,
        /// Of what.
        pub asset: AssetId,
        /// How much, in the asset's smallest unit.
        pub amount: Amount,
        /// Why.
        pub note: AdminNote,
    }
    /// Take an amount out of the venue.
    pub struct Withdraw {
        /// Whose.
        pub account: AccountId,
        /// Of what.
        pub asset: AssetId,
        /// How much, in the asset's smallest unit.
        pub amount: Amount,
        /// Why.
        pub note: AdminNote,
    }
    /// Correct a balance.
    pub struct AdjustBalance {
        /// Whose.
        pub account: AccountId,
        /// Of what.
        pub asset: AssetId,
        /// More or less.
        pub direction: Direction,
        /// How much, in the asset's smallest unit.
        pub amount: Amount,
        /// Why.
        pub note: AdminNote,
    }
    /// Reverse a trade.
    pub struct BustTrade {
        /// Of this instrument.
        pub instrument: InstrumentId,
        /// Which.
        pub trade_id: TradeId,
        /// Why.
        pub note: AdminNote,
    }
    /// Make a key known.
    pub struct AddKey {
        /// Its identity, from 1.
        pub key: KeyId,
        /// What `public_key` is.
        pub kind: KeyKind,
        /// The public key, or what stands for it.
        pub public_key: [u8; 32],
        /// Why.
        pub note: AdminNote,
    }
    /// Forget a key, at once.
    pub struct RevokeKey {
        /// Which.
        pub key: KeyId,
        /// Why.
        pub note: AdminNote,
    }
    /// Let a key act.
    pub struct GrantRole {
        /// Which key.
        pub key: KeyId,
        /// In what capacity.
        pub role: Role,
        /// For this account; none: for the whole venue.
        pub account: AccountId,
        /// Why.
        pub note: AdminNote,
    }
    /// Stop a key from acting.
    pub struct RevokeRole {
        /// Which key.
        pub key: KeyId,
        /// In what capacity.
        pub role: Role,
        /// For this account; none: for the whole venue.
        pub account: AccountId,
        /// Why.
        pub note: AdminNote,
    }
    /// Let a key log in from a network. A key without any may log in from anywhere.
    pub struct AllowAddress {
        /// Which key.
        pub key: KeyId,
        /// IPv6, or IPv4 mapped into IPv6.
        pub address: [u8; 16],
        /// Leading bits that must agree.
        pub prefix_bits: u8,
        /// Why.
        pub note: AdminNote,
    }
}

impl AccountLimits {
    /// Nothing but the engine's own bounds.
    pub const DEFAULT: Self = Self {
        quantity_max: Quantity::ABSENT,
        notional_max: Amount::ABSENT,
        open_orders_max: u32::MAX,
        price_deviation: crate::instrument::Distance::UNLIMITED,
    };
}

impl AccountLimits {
    /// Whether every bound is absent or within the engine's own.
    pub fn is_valid(&self) -> bool {
        (self.quantity_max.is_absent() || self.quantity_max <= Quantity::MAX)
            && (self.notional_max.is_absent() || self.notional_max <= Amount::MAX)
    }
}

impl CommandBody {
    /// The command's kind by name.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }
}
