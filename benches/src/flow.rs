//! One adapter for each kind of recording.
//!
//! An adapter reads rows, turns them into commands with the rows' times, and compares what the engine did with what the
//! data says. Expectations come from the data alone: from its own results where it has them, else from an obvious
//! reading of its rows ([`row_book`]).

pub mod bitstamp;
pub mod book_comparison;
pub mod coinbase;
pub mod ibm;
pub mod itch;
pub mod lobster;
pub mod market_by_order;
pub mod order_feed;
pub mod row_book;

use std::path::Path;

use engine::command::{AdminNote, ListInstrument, OpenAccount};
use engine::instrument::{Holds, Phase};
use engine::order::SelfTradePrevention;
use engine::{AccountId, AssetId, Capacity, InstrumentId, Price, StpGroup, Text};

use crate::decimal::Unit;

/// Where a flow is read from, and where its commands are journalled.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The recording: a folder or a file.
    pub path: &'a Path,
    /// The folder of the journal, if one is kept.
    pub journal: Option<&'a Path>,
}

/// Of one day of one venue: every symbol of Nasdaq, and more open orders than any recording here has.
pub const CAPACITY: Capacity = Capacity {
    orders: 1 << 21,
    accounts: 16,
    assets: 4,
    instruments: 1 << 14,
    sessions: 1,
    keys: 1,
    grants: 1,
    price_blocks: 1 << 20,
};

/// An instrument that only matches, its reference price unknown, self-trades allowed: a recording says nothing of who
/// owned an order, so all of them may be one account's.
pub fn matching_only(instrument: InstrumentId, name: Text<16>, tick: Unit, phase: Phase) -> ListInstrument {
    ListInstrument {
        instrument,
        name,
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: tick.mantissa,
        tick_decimals: tick.decimals,
        lot: 1,
        lot_decimals: 0,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase,
        note: AdminNote::NONE,
    }
}

/// An account without anything particular.
pub fn plain_account(account: AccountId) -> OpenAccount {
    OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note: AdminNote::NONE }
}
