//! What is read, row by row. Each is at once what is written and what the description of the port says of it.
//!
//! Amounts, prices and quantities are decimals in whole units, as text; what is absent is null.

use serde::Serialize;
use utoipa::ToSchema;

use super::value::NetworkText;

/// An asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssetRow {
    /// Its number.
    pub(crate) asset: u32,
    /// Its name.
    pub(crate) name: String,
    /// Digits behind the point of its smallest unit.
    pub(crate) decimals: u8,
}

/// An instrument, with everything that is set of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstrumentRow {
    /// Its number.
    pub(crate) instrument: u32,
    /// Its name.
    pub(crate) name: String,
    /// What is bought and sold; null: nothing is held or settled.
    pub(crate) base: Option<String>,
    /// What it is paid with; null: nothing is held or settled.
    pub(crate) quote: Option<String>,
    /// The price step.
    pub(crate) tick: String,
    /// The quantity step.
    pub(crate) lot: String,
    /// Its phase.
    pub(crate) phase: &'static str,
    /// Whether orders hold what they may cost.
    pub(crate) holds: &'static str,
    /// Fee rates by tier.
    pub(crate) fees: Vec<FeesRow>,
    /// Bounds of its orders.
    pub(crate) limits: LimitsRow,
    /// How its prices are protected.
    pub(crate) protection: ProtectionRow,
    /// What happens at which time.
    pub(crate) calendar: Vec<CalendarRow>,
}

/// Fee rates of a tier, in basis points; negative: a rebate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeesRow {
    /// Whose.
    pub(crate) tier: usize,
    /// Of resting orders.
    pub(crate) maker_basis_points: String,
    /// Of incoming orders.
    pub(crate) taker_basis_points: String,
}

/// Bounds of an instrument's orders.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsRow {
    /// The smallest order quantity.
    pub(crate) quantity_min: String,
    /// The largest order quantity.
    pub(crate) quantity_max: String,
    /// The highest price.
    pub(crate) price_max: String,
    /// The smallest notional; null: there is no quote asset.
    pub(crate) notional_min: Option<String>,
    /// The largest notional; null: there is no quote asset.
    pub(crate) notional_max: Option<String>,
}

/// How an instrument's prices are protected, as `instrument/protect` takes it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProtectionRow {
    /// How far from the reference price a limit may be.
    pub(crate) entry_band: String,
    /// How far from the reference price an order may trade.
    pub(crate) collar: String,
    /// How far through the best opposite price a market order may trade.
    pub(crate) market: String,
    /// How far from the reference price an auction may end.
    pub(crate) auction: String,
    /// What a trade outside the collar does.
    pub(crate) collar_action: &'static str,
    /// What moves the reference price.
    pub(crate) reference_source: &'static str,
    /// How long a volatility call lasts.
    pub(crate) call_duration_seconds: String,
    /// At most how much longer.
    pub(crate) call_random_end_seconds: String,
}

/// An entry of a calendar, as `instrument/calendar/set` takes it, with the time when it is due next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalendarRow {
    /// Its number.
    pub(crate) entry: u16,
    /// When it is due next.
    pub(crate) at: String,
    /// To which phase; null: the trading day ends.
    pub(crate) phase: Option<&'static str>,
    /// How long until it is due again; null: never.
    pub(crate) repeat_seconds: Option<String>,
    /// At most how much later; null: not at all.
    pub(crate) random_end_seconds: Option<String>,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountRow {
    /// Its number.
    pub(crate) account: u32,
    /// `Engaged`: it is blocked.
    pub(crate) kill_switch: &'static str,
    /// Which fee rates it pays.
    pub(crate) fee_tier: u8,
    /// Accounts of one group do not trade with one another; 0: the account alone.
    pub(crate) stp_group: u32,
    /// Its mode of self-trade prevention; null: the instrument's.
    pub(crate) self_trade_prevention: Option<&'static str>,
    /// How many orders may be open at once; null: unbounded.
    pub(crate) open_orders_max: Option<u32>,
    /// The largest order quantity, in lots; null: unbounded.
    pub(crate) quantity_max_lots: Option<String>,
    /// The largest notional of an order, in smallest units; null: unbounded.
    pub(crate) notional_max_units: Option<String>,
    /// How far from the reference price an order may be priced; null: unbounded.
    pub(crate) price_deviation: Option<String>,
}

/// What an account has of an asset, held or not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalanceRow {
    /// Whose.
    pub(crate) account: u32,
    /// Of what.
    pub(crate) asset: Option<String>,
    /// How much.
    pub(crate) total: String,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyRow {
    /// Its number.
    pub(crate) key: u32,
    /// How its holder proves to have it.
    pub(crate) kind: &'static str,
    /// `Valid` or `Revoked`.
    pub(crate) state: &'static str,
    /// What it may do.
    pub(crate) roles: Vec<RoleRow>,
    /// Where it may log in from; none: from anywhere.
    pub(crate) networks: Vec<NetworkText>,
    /// Its public half, or its certificate's fingerprint, hexadecimal.
    pub(crate) public_key: String,
}

/// A role of a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleRow {
    /// Which.
    pub(crate) role: &'static str,
    /// For this account; null: for the whole venue.
    pub(crate) account: Option<u32>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionRow {
    /// Its number.
    pub(crate) session: u32,
    /// Whose.
    pub(crate) key: u32,
    /// How it stands.
    pub(crate) state: &'static str,
    /// Why it ended; null: it has not, or not since the venue started.
    pub(crate) ended: Option<&'static str>,
    /// Its login's number.
    pub(crate) login: u64,
}
