//! What an administrator may ask: each request's fields, which are at once the tool's arguments and the JSON of the door,
//! and the command that it becomes.
//!
//! Whether a change may be made is the engine's business. Only what cannot be said in ticks, lots and smallest units is
//! refused here.

use std::fmt;

use clap::Args;
use engine::command::{self, AccountLimits, AdminNote, CalendarAction, CommandBody, KeyKind, Switch};
use engine::instrument::{Distance, FeeRates, Holds, InstrumentLimits, Phase, PriceProtection};
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, InstrumentId, KeyId, Nanoseconds, Price, Quantity, RejectReason,
    SelfTradePrevention, SessionId, StpGroup, Text, TradeId,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::signature::bytes;
use super::value::{
    CollarActionText, DecimalText, DirectionText, DistanceText, FingerprintText, NameOrNumber, NetworkText, Off,
    PhaseText, PreventionText, ReferenceSourceText, RoleText, SecondsText, SideText, TimeText,
};
use super::view::{AdminView, Instrument};

/// A change and why it is made: the body of every request that changes something.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope<T> {
    /// In the administrator's words, printable ASCII.
    pub reason: String,
    /// What is asked.
    pub change: T,
}

/// A change that an administrator asks for.
pub trait Change: Serialize + DeserializeOwned + ToSchema + Send + Sync + 'static {
    /// Noun and verb: what it is called wherever changes are listed.
    const NAME: &'static str;
    /// Where it is asked for.
    const PATH: &'static str;
    /// What it does.
    const SUMMARY: &'static str;

    /// The command that it becomes.
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid>;
}

/// What a change becomes, once the venue and the note are known.
pub(crate) type Becomes = Box<dyn Fn(&AdminView, AdminNote) -> Result<CommandBody, Invalid> + Send + Sync>;

/// A body that was read: the reason, and what the change becomes.
type Read = Result<(String, Becomes), serde_json::Error>;

/// A change as the door lists it: everything that does not depend on its fields.
#[derive(Clone, Copy)]
pub(crate) struct ListedChange {
    /// Noun and verb.
    pub(crate) name: &'static str,
    /// Where it is asked for.
    pub(crate) path: &'static str,
    /// What it does.
    pub(crate) summary: &'static str,
    /// Reads a body: the reason, and what the change becomes.
    pub(crate) read: fn(&[u8]) -> Read,
    /// The name of its schema, and all schemas that this one needs.
    pub(crate) schemas: fn() -> (String, Schemas),
}

/// Schemas by their names.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

impl fmt::Debug for ListedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ListedChange {
    const fn of<T: Change>() -> Self {
        Self { name: T::NAME, path: T::PATH, summary: T::SUMMARY, read: read::<T>, schemas: schemas::<T> }
    }

    /// The change of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        CHANGES.iter().find(|change| change.name == name)
    }
}

fn read<T: Change>(body: &[u8]) -> Read {
    let Envelope { reason, change }: Envelope<T> = serde_json::from_slice(body)?;
    Ok((reason, Box::new(move |view, note| change.command(view, note))))
}

fn schemas<T: Change>() -> (String, Schemas) {
    let name = T::name().into_owned();
    let mut schemas = vec![(name.clone(), T::schema())];
    T::schemas(&mut schemas);
    (name, schemas)
}

/// Why a request becomes no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// A field says what cannot be said to the venue.
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        text: String,
    },
    /// It names what the venue does not know.
    Unknown(RejectReason),
}

fn invalid(field: &'static str, text: impl Into<String>) -> Invalid {
    Invalid::Field { field, text: text.into() }
}

/// Declares requests: paths and fields.
macro_rules! changes {
    ($(
        $(#[doc = $doc:literal])+
        $path:literal $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Args, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Change for $name {
            const NAME: &'static str = $path;
            const PATH: &'static str = concat!("/admin/v1/", $path);
            const SUMMARY: &'static str = concat!($($doc,)+);

            fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
                $name::command(self, view, note)
            }
        }
    )*

    /// Every change that there is.
    pub(crate) static CHANGES: &[ListedChange] = &[$(ListedChange::of::<$name>()),*];
    };
}

changes! {
    /// Add an asset.
    "asset/add" AddAsset {
        /// Its number, from 1.
        asset: u32,
        /// Its name: `EUR`, at most 16 characters.
        #[arg(long)]
        #[schema(pattern = "^[A-Z][A-Z0-9-]{0,15}$")]
        name: String,
        /// Digits behind the point of its smallest unit, at most 18.
        #[arg(long)]
        #[schema(maximum = 18)]
        decimals: u8,
    }

    /// List an instrument.
    "instrument/list" ListInstrument {
        /// Its number, from 1.
        instrument: u32,
        /// Its name: `BTC-EUR`, at most 16 characters.
        #[arg(long)]
        #[schema(pattern = "^[A-Z][A-Z0-9-]{0,15}$")]
        name: String,
        /// What is bought and sold, by name or number; left out with quote: nothing is held or settled.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<NameOrNumber>,
        /// What it is paid with, by name or number.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quote: Option<NameOrNumber>,
        /// The price step, in whole quote asset: `0.01`.
        #[arg(long)]
        tick: DecimalText,
        /// The quantity step, in whole base asset: `0.0001`.
        #[arg(long)]
        lot: DecimalText,
        /// The first reference price; left out: the first trade's.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<DecimalText>,
        /// The first phase; left out: Continuous.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<PhaseText>,
        /// The mode of self-trade prevention where neither order nor account has one; left out: Allow.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        self_trade_prevention: Option<PreventionText>,
    }

    /// Bound an instrument's orders. A bound that is left out is the engine's own.
    "instrument/limits" SetInstrumentLimits {
        /// Which, by name or number.
        instrument: NameOrNumber,
        /// The smallest order quantity.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quantity_min: Option<DecimalText>,
        /// The largest order quantity.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quantity_max: Option<DecimalText>,
        /// The highest price.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        price_max: Option<DecimalText>,
        /// The smallest notional of an order, in the quote asset.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notional_min: Option<DecimalText>,
        /// The largest notional of an order, in the quote asset.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notional_max: Option<DecimalText>,
    }

    /// Set the fee rates of orders that are accepted from now on.
    "instrument/fees" SetFees {
        /// In this instrument, by name or number.
        instrument: NameOrNumber,
        /// For accounts of this tier.
        #[arg(long, default_value_t = 0)]
        #[serde(default)]
        tier: u8,
        /// For resting orders, in basis points, at most two digits behind the point; negative: a rebate.
        #[arg(long, allow_hyphen_values = true)]
        maker_basis_points: DecimalText,
        /// For incoming orders, in basis points, at most two digits behind the point.
        #[arg(long)]
        taker_basis_points: DecimalText,
    }

    /// Protect an instrument's prices. Distances are `5t` (ticks), `2.5%`, `25000ppm` or `none`; what is left out goes
    /// back to its default.
    "instrument/protect" SetPriceProtection {
        /// Which, by name or number.
        instrument: NameOrNumber,
        /// How far from the reference price a limit may be against its own interest; left out: none.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry_band: Option<DistanceText>,
        /// How far from the reference price an order may trade; left out: none.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        collar: Option<DistanceText>,
        /// How far through the best opposite price a market order may trade; left out: 10%.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        market: Option<DistanceText>,
        /// How far from the reference price an auction may end; left out: none.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auction: Option<DistanceText>,
        /// What a trade outside the collar does: `CancelRemainder`, which is the default, or `VolatilityCall`.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        collar_action: Option<CollarActionText>,
        /// What moves the reference price: `LastTrade`, which is the default, or `LastAuction`.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference_source: Option<ReferenceSourceText>,
        /// How long a volatility call lasts; left out: until the phase is changed.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call_duration_seconds: Option<SecondsText>,
        /// At most how much longer, at random; left out: nothing.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call_random_end_seconds: Option<SecondsText>,
    }

    /// Add or change an entry of an instrument's calendar.
    "instrument/calendar/set" SetCalendarEntry {
        /// Of this instrument, by name or number.
        instrument: NameOrNumber,
        /// The entry's number; an entry that has it is replaced.
        entry: u16,
        /// When, first: `2026-11-25T09:00:00Z`.
        #[arg(long)]
        at: TimeText,
        /// To which phase; left out: the trading day ends.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<PhaseText>,
        /// How long until it is due again; left out: never.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repeat_seconds: Option<SecondsText>,
        /// At most how much later, at random; left out: nothing.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        random_end_seconds: Option<SecondsText>,
    }

    /// Remove an entry of an instrument's calendar.
    "instrument/calendar/remove" RemoveCalendarEntry {
        /// Of this instrument, by name or number.
        instrument: NameOrNumber,
        /// The entry's number.
        entry: u16,
    }

    /// Delist an instrument, for ever: its orders are cancelled.
    "instrument/delist" DelistInstrument {
        /// Which, by name or number.
        instrument: NameOrNumber,
    }

    /// Reverse a trade: amounts and fees go back, the orders stay as they are.
    "trade/bust" BustTrade {
        /// Of this instrument, by name or number.
        instrument: NameOrNumber,
        /// The trade's number.
        trade: u64,
    }

    /// Seed what is drawn at random from now on, such as when a call ends.
    "venue/seed" SetRandomSeed {
        /// 64 hexadecimal digits.
        #[schema(pattern = "^[0-9a-fA-F]{64}$")]
        seed: String,
    }

    /// Change an instrument's phase.
    "instrument/phase" SetPhase {
        /// Which, by name or number.
        instrument: NameOrNumber,
        /// To what: `PreOpen`, `OpeningCall`, `VolatilityCall`, `ClosingCall`, `NoCancel`, `Continuous`, `PostOnly`,
        /// `LimitOnly`, `CancelOnly`, `Halted`, `Closed`.
        phase: PhaseText,
    }

    /// Halt an instrument: orders may only leave or shrink.
    "instrument/halt" Halt {
        /// Which, by name or number.
        instrument: NameOrNumber,
    }

    /// Resume continuous trading in an instrument.
    "instrument/resume" Resume {
        /// Which, by name or number.
        instrument: NameOrNumber,
    }

    /// Open an account.
    "account/open" OpenAccount {
        /// Its number, from 2: 1 is the venue's fee account.
        account: u32,
        /// Accounts of one group do not trade with one another; 0: the account alone.
        #[arg(long, default_value_t = 0)]
        #[serde(default)]
        stp_group: u32,
        /// Its mode of self-trade prevention; left out: the instrument's.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        self_trade_prevention: Option<PreventionText>,
        /// Which fee rates it pays.
        #[arg(long, default_value_t = 0)]
        #[serde(default)]
        fee_tier: u8,
    }

    /// Change an account's self-trade prevention, group and fee tier. What is left out goes back to its default.
    "account/modify" ModifyAccount {
        /// Which.
        account: u32,
        /// Accounts of one group do not trade with one another; 0: the account alone.
        #[arg(long, default_value_t = 0)]
        #[serde(default)]
        stp_group: u32,
        /// Its mode of self-trade prevention; left out: the instrument's.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        self_trade_prevention: Option<PreventionText>,
        /// Which fee rates it pays.
        #[arg(long, default_value_t = 0)]
        #[serde(default)]
        fee_tier: u8,
    }

    /// Bound an account's orders, in every instrument. A bound that is left out is lifted.
    "account/limits" SetAccountLimits {
        /// Which.
        account: u32,
        /// How many orders may be open at once.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_orders_max: Option<u32>,
        /// The largest order quantity, in lots of whichever instrument.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quantity_max_lots: Option<DecimalText>,
        /// The largest notional of an order, in the smallest unit of whichever quote asset.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notional_max_units: Option<DecimalText>,
        /// How far from the reference price an order may be priced, in basis points, at most two digits behind the point.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        price_deviation_basis_points: Option<DecimalText>,
    }

    /// Bring an amount into the venue.
    "account/deposit" Deposit {
        /// Whose.
        account: u32,
        /// Of what, by name or number.
        #[arg(long)]
        asset: NameOrNumber,
        /// How much, in whole units: `1000.50`.
        #[arg(long)]
        amount: DecimalText,
    }

    /// Take an amount out of the venue.
    "account/withdraw" Withdraw {
        /// Whose.
        account: u32,
        /// Of what, by name or number.
        #[arg(long)]
        asset: NameOrNumber,
        /// How much, in whole units: `1000.50`.
        #[arg(long)]
        amount: DecimalText,
    }

    /// Correct a balance.
    "account/adjust" AdjustBalance {
        /// Whose.
        account: u32,
        /// Of what, by name or number.
        #[arg(long)]
        asset: NameOrNumber,
        /// More or less: `credit` or `debit`.
        #[arg(long)]
        direction: DirectionText,
        /// By how much, in whole units: `1000.50`.
        #[arg(long)]
        amount: DecimalText,
    }

    /// Block an account and cancel everything it has.
    "account/kill" Kill {
        /// Whose.
        account: u32,
    }

    /// Lift an account's kill switch.
    "account/unblock" Unblock {
        /// Whose.
        account: u32,
    }

    /// Cancel every order to which all that is given applies.
    "order/mass-cancel" MassCancel {
        /// Of this account.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<u32>,
        /// In this instrument, by name or number.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instrument: Option<NameOrNumber>,
        /// On this side.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        side: Option<SideText>,
        /// Entered through this session.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u32>,
        /// Every order of the venue; instead of all others.
        #[arg(long)]
        #[serde(default)]
        everything: bool,
    }

    /// Make a key known. It may do nothing before it is granted a role.
    "key/add" AddKey {
        /// Its number, from 1.
        number: u32,
        /// Its Ed25519 public key, 64 hexadecimal digits.
        #[arg(long, required_unless_present = "certificate", conflicts_with = "certificate")]
        #[schema(pattern = "^[0-9a-fA-F]{64}$")]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<String>,
        /// Instead: a PEM file with the TLS client certificate that its holder connects with.
        #[arg(long, value_name = "FILE", value_parser = FingerprintText::of_file)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<FingerprintText>,
    }

    /// Forget a key, at once and for ever: its sessions end.
    "key/revoke" RevokeKey {
        /// Which.
        number: u32,
    }

    /// Let a key log in from a network. A key with networks logs in from them alone, one without from anywhere.
    "key/allow" AllowAddress {
        /// Which key.
        number: u32,
        /// From where: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.
        network: NetworkText,
    }

    /// Let a key act.
    "key/grant" GrantRole {
        /// Which key.
        number: u32,
        /// In what capacity: `Trader`, `Administrator` …
        #[arg(long)]
        role: RoleText,
        /// For this account; left out: for the whole venue.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<u32>,
    }

    /// Stop a key from acting.
    "key/revoke-role" RevokeRole {
        /// Which key.
        number: u32,
        /// In what capacity.
        #[arg(long)]
        role: RoleText,
        /// For this account; left out: for the whole venue.
        #[arg(long)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<u32>,
    }
}

impl AddAsset {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (asset, name) = (AssetId(self.asset), text("name", &self.name)?);
        Ok(command::AddAsset { asset, name, decimals: self.decimals, note }.into())
    }
}

impl ListInstrument {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let asset = |name: &Option<NameOrNumber>| name.as_ref().map_or(Ok(AssetId::NONE), |name| asset(view, name));
        let (base, quote) = (asset(&self.base)?, asset(&self.quote)?);
        let (tick, tick_decimals) = step("tick", self.tick)?;
        let (lot, lot_decimals) = step("lot", self.lot)?;
        let reference = self.reference.map(|price| steps("reference", price, tick, tick_decimals)).transpose()?;
        let holds = if base.is_none() && quote.is_none() { Holds::Off } else { Holds::On };
        let listing = command::ListInstrument {
            instrument: InstrumentId(self.instrument),
            name: text("name", &self.name)?,
            base,
            quote,
            tick,
            tick_decimals,
            lot,
            lot_decimals,
            reference: reference.map_or(Price::ABSENT, Price),
            holds,
            self_trade_prevention: self.self_trade_prevention.map_or(SelfTradePrevention::Allow, |mode| mode.0),
            phase: self.phase.map_or(Phase::Continuous, |phase| phase.0),
            note,
        };
        Ok(listing.into())
    }
}

impl SetInstrumentLimits {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let id = instrument(view, &self.instrument)?;
        let listed = view.instrument(id).ok_or(Invalid::Unknown(RejectReason::UnknownInstrument))?;
        let quantity = |field, given: Option<DecimalText>, otherwise| {
            let lots = given.map(|given| lots(field, given, listed)).transpose()?;
            Ok::<_, Invalid>(lots.map_or(otherwise, Quantity))
        };
        let notional = |field, given: Option<DecimalText>, otherwise| {
            let Some(given) = given else { return Ok(otherwise) };
            let decimals =
                view.decimals(listed.listing.quote).ok_or_else(|| invalid(field, "there is no quote asset"))?;
            units(field, given, decimals).map(Amount)
        };
        let listing = &listed.listing;
        let price_max =
            self.price_max.map(|price| steps("price_max", price, listing.tick, listing.tick_decimals)).transpose()?;
        let default = InstrumentLimits::DEFAULT;
        let limits = InstrumentLimits {
            quantity_min: quantity("quantity_min", self.quantity_min, default.quantity_min)?,
            quantity_max: quantity("quantity_max", self.quantity_max, default.quantity_max)?,
            price_max: price_max.map_or(default.price_max, Price),
            notional_min: notional("notional_min", self.notional_min, default.notional_min)?,
            notional_max: notional("notional_max", self.notional_max, default.notional_max)?,
        };
        Ok(command::SetInstrumentLimits { instrument: id, limits, note }.into())
    }
}

impl SetFees {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let rates = FeeRates {
            maker: rate("maker_basis_points", self.maker_basis_points)?,
            taker: rate("taker_basis_points", self.taker_basis_points)?,
        };
        let instrument = instrument(view, &self.instrument)?;
        Ok(command::SetFees { instrument, tier: self.tier, rates, note }.into())
    }
}

impl SetPriceProtection {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let default = PriceProtection::DEFAULT;
        let distance = |given: Option<DistanceText>, default| given.map_or(default, |given| given.0);
        let protection = PriceProtection {
            entry_band: distance(self.entry_band, default.entry_band),
            collar: distance(self.collar, default.collar),
            market: distance(self.market, default.market),
            auction: distance(self.auction, default.auction),
            collar_action: self.collar_action.map_or(default.collar_action, |action| action.0),
            reference_source: self.reference_source.map_or(default.reference_source, |source| source.0),
            call_duration: duration(self.call_duration_seconds),
            call_random_end: duration(self.call_random_end_seconds),
        };
        let instrument = instrument(view, &self.instrument)?;
        Ok(command::SetPriceProtection { instrument, protection, note }.into())
    }
}

impl SetCalendarEntry {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let phase = self.phase.map(|phase| phase.0);
        let entry = command::SetCalendarEntry {
            instrument: instrument(view, &self.instrument)?,
            entry: self.entry,
            action: if phase.is_some() { CalendarAction::SetPhase } else { CalendarAction::Rollover },
            phase,
            at: self.at.0,
            repeat: duration(self.repeat_seconds),
            random_end: duration(self.random_end_seconds),
            note,
        };
        Ok(entry.into())
    }
}

/// None is no time at all.
fn duration(seconds: Option<SecondsText>) -> Nanoseconds {
    seconds.map_or(Nanoseconds::NONE, |seconds| seconds.0)
}

impl RemoveCalendarEntry {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let instrument = instrument(view, &self.instrument)?;
        Ok(command::RemoveCalendarEntry { instrument, entry: self.entry, note }.into())
    }
}

impl DelistInstrument {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        Ok(command::DelistInstrument { instrument: instrument(view, &self.instrument)?, note }.into())
    }
}

impl BustTrade {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let instrument = instrument(view, &self.instrument)?;
        Ok(command::BustTrade { instrument, trade_id: TradeId(self.trade), note }.into())
    }
}

impl SetRandomSeed {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let seed = bytes(&self.seed).ok_or_else(|| invalid("seed", "it is not 64 hexadecimal digits"))?;
        Ok(command::SetRandomSeed { seed, note }.into())
    }
}

impl SetPhase {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        set_phase(view, &self.instrument, self.phase.0, note)
    }
}

impl Halt {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        set_phase(view, &self.instrument, Phase::Halted, note)
    }
}

impl Resume {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        set_phase(view, &self.instrument, Phase::Continuous, note)
    }
}

fn set_phase(view: &AdminView, name: &NameOrNumber, phase: Phase, note: AdminNote) -> Result<CommandBody, Invalid> {
    Ok(command::SetPhase { instrument: instrument(view, name)?, phase, note }.into())
}

impl OpenAccount {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (account, stp_group) = (AccountId(self.account), StpGroup(self.stp_group));
        let self_trade_prevention = self.self_trade_prevention.map(|mode| mode.0);
        Ok(command::OpenAccount { account, stp_group, self_trade_prevention, fee_tier: self.fee_tier, note }.into())
    }
}

impl ModifyAccount {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (account, stp_group) = (AccountId(self.account), StpGroup(self.stp_group));
        let self_trade_prevention = self.self_trade_prevention.map(|mode| mode.0);
        Ok(command::ModifyAccount { account, stp_group, self_trade_prevention, fee_tier: self.fee_tier, note }.into())
    }
}

impl SetAccountLimits {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let lots = self.quantity_max_lots.map(|lots| steps("quantity_max_lots", lots, 1, 0)).transpose()?;
        let notional = self.notional_max_units.map(|amount| units("notional_max_units", amount, 0)).transpose()?;
        let deviation = self.price_deviation_basis_points;
        let deviation = deviation.map(|given| rate("price_deviation_basis_points", given)).transpose()?;
        let deviation = deviation.map(u32::try_from).transpose();
        let deviation = deviation.map_err(|_| invalid("price_deviation_basis_points", "it is negative"))?;
        let limits = AccountLimits {
            quantity_max: lots.map_or(Quantity::ABSENT, Quantity),
            notional_max: notional.map_or(Amount::ABSENT, Amount),
            open_orders_max: self.open_orders_max.unwrap_or(u32::MAX),
            price_deviation: deviation.map_or(Distance::UNLIMITED, Distance::parts_per_million),
        };
        let (account, instrument) = (AccountId(self.account), InstrumentId::NONE);
        Ok(command::SetAccountLimits { account, instrument, limits, note }.into())
    }
}

impl Deposit {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (asset, amount) = transfer(view, &self.asset, self.amount)?;
        Ok(command::Deposit { account: AccountId(self.account), asset, amount, note }.into())
    }
}

impl Withdraw {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (asset, amount) = transfer(view, &self.asset, self.amount)?;
        Ok(command::Withdraw { account: AccountId(self.account), asset, amount, note }.into())
    }
}

impl AdjustBalance {
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (asset, amount) = transfer(view, &self.asset, self.amount)?;
        let (account, direction) = (AccountId(self.account), self.direction.0);
        Ok(command::AdjustBalance { account, asset, direction, amount, note }.into())
    }
}

fn transfer(view: &AdminView, name: &NameOrNumber, amount: DecimalText) -> Result<(AssetId, Amount), Invalid> {
    let asset = asset(view, name)?;
    let decimals = view.decimals(asset).ok_or(Invalid::Unknown(RejectReason::UnknownAsset))?;
    Ok((asset, Amount(units("amount", amount, decimals)?)))
}

impl Kill {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        Ok(command::KillSwitch { account: AccountId(self.account), switch: Switch::Engaged, note }.into())
    }
}

impl Unblock {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        Ok(command::KillSwitch { account: AccountId(self.account), switch: Switch::Lifted, note }.into())
    }
}

impl MassCancel {
    /// Its events carry no author; the request's name, which they do carry, is the idempotency key.
    fn command(&self, view: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let is_bounded =
            self.account.is_some() || self.instrument.is_some() || self.side.is_some() || self.session.is_some();
        if is_bounded == self.everything {
            return Err(invalid("everything", "say which orders, or everything, and not both"));
        }
        let named = self.instrument.as_ref().map(|name| instrument(view, name)).transpose()?;
        let cancel = command::MassCancel {
            account: self.account.map(AccountId).unwrap_or_default(),
            instrument: named.unwrap_or_default(),
            side: self.side.map(|side| side.0),
            entered_by: self.session.map(SessionId).unwrap_or_default(),
            client_order_id: ClientOrderId(note.idempotency_key.0),
            note,
        };
        Ok(cancel.into())
    }
}

impl AddKey {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (kind, public_key) = match (&self.public_key, self.certificate) {
            (Some(text), None) => (KeyKind::Ed25519, public_key(text)?),
            (None, Some(FingerprintText(fingerprint))) => (KeyKind::Certificate, fingerprint),
            (Some(_), Some(_)) => return Err(invalid("certificate", "there is a public key as well: say one of both")),
            (None, None) => return Err(invalid("public_key", "it is missing, and so is a certificate")),
        };
        Ok(command::AddKey { key: KeyId(self.number), kind, public_key, note }.into())
    }
}

fn public_key(text: &str) -> Result<[u8; 32], Invalid> {
    let public_key = bytes(text).ok_or_else(|| invalid("public_key", "it is not 64 hexadecimal digits"))?;
    if ed25519_dalek::VerifyingKey::from_bytes(&public_key).is_err() {
        return Err(invalid("public_key", "it is no Ed25519 public key"));
    }
    Ok(public_key)
}

impl RevokeKey {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        Ok(command::RevokeKey { key: KeyId(self.number), note }.into())
    }
}

impl AllowAddress {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let (address, prefix_bits) = self.network.parts();
        Ok(command::AllowAddress { key: KeyId(self.number), address, prefix_bits, note }.into())
    }
}

impl GrantRole {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let account = self.account.map(AccountId).unwrap_or_default();
        Ok(command::GrantRole { key: KeyId(self.number), role: self.role.0, account, note }.into())
    }
}

impl RevokeRole {
    fn command(&self, _: &AdminView, note: AdminNote) -> Result<CommandBody, Invalid> {
        let account = self.account.map(AccountId).unwrap_or_default();
        Ok(command::RevokeRole { key: KeyId(self.number), role: self.role.0, account, note }.into())
    }
}

/// Text that a command can carry.
pub(crate) fn text<const N: usize>(field: &'static str, text: &str) -> Result<Text<N>, Invalid> {
    Text::new(text).ok_or_else(|| invalid(field, format!("it is not at most {N} characters of printable ASCII")))
}

fn instrument(view: &AdminView, name: &NameOrNumber) -> Result<InstrumentId, Invalid> {
    view.instrument_id(name).ok_or(Invalid::Unknown(RejectReason::UnknownInstrument))
}

fn asset(view: &AdminView, name: &NameOrNumber) -> Result<AssetId, Invalid> {
    view.asset_id(name).ok_or(Invalid::Unknown(RejectReason::UnknownAsset))
}

fn step(field: &'static str, step: DecimalText) -> Result<(u64, u8), Invalid> {
    step.parts().ok_or_else(|| invalid(field, format!("{step} is negative or has too many digits")))
}

/// A decimal in smallest units.
fn units(field: &'static str, value: DecimalText, decimals: u8) -> Result<u128, Invalid> {
    value.in_units(decimals).map_err(|off| {
        let reason = match off {
            Off::Negative => "is negative".to_owned(),
            Off::Fraction => format!("has more than {decimals} digits behind the point"),
            Off::TooLarge => "is too large".to_owned(),
        };
        invalid(field, format!("{value} {reason}"))
    })
}

/// A decimal in steps of `step × 10^−decimals`.
fn steps(field: &'static str, value: DecimalText, step: u64, decimals: u8) -> Result<u64, Invalid> {
    let units = units(field, value, decimals)?;
    if step == 0 || !units.is_multiple_of(step.into()) {
        return Err(invalid(field, format!("{value} is not a whole number of steps")));
    }
    // The two highest values stand for what cannot be said.
    let steps = u64::try_from(units / u128::from(step)).ok().filter(|&steps| steps < Price::OFF_TICK.0);
    steps.ok_or_else(|| invalid(field, format!("{value} is too large")))
}

fn lots(field: &'static str, value: DecimalText, instrument: &Instrument) -> Result<u64, Invalid> {
    steps(field, value, instrument.listing.lot, instrument.listing.lot_decimals)
}

/// Basis points in hundredths.
fn rate(field: &'static str, value: DecimalText) -> Result<i32, Invalid> {
    let sign = if value.0.is_sign_negative() { -1 } else { 1 };
    let hundredths = units(field, DecimalText(value.0.abs()), 2)?;
    let rate = i32::try_from(hundredths).map_err(|_| invalid(field, format!("{value} is too large")))?;
    Ok(sign * rate)
}
