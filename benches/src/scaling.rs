//! What an operation costs as a venue grows: against resting orders, levels, instruments and accounts.
//!
//! ```text
//!  Shape ── places, commands ──► Stream (an engine is driven once; its ids and its checksum are noted)
//!                                   │
//!                                   ├──► runs: a new engine is filled, then the same operations are timed
//!                                   └──► one run more with a clock reading around each operation
//! ```
//!
//! The number of orders stays where it is: each new order takes a place that another one has left.

pub mod memory;
pub mod places;
pub mod plot;
pub mod request;
pub mod run;
pub mod shape;
pub mod stream;

use clap::ValueEnum;

use shape::{Mode, Shape};

/// Orders at a level, where levels are not the axis.
const ORDERS_AT_A_LEVEL: u32 = 13;

/// Accounts, where they are not the axis.
const ACCOUNTS: u32 = 64;

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Axis {
    /// Resting orders, thirteen a level.
    Orders,
    /// Levels of one book.
    Levels,
    /// Instruments that the orders are spread over.
    Instruments,
    /// Accounts that the orders are spread over.
    Accounts,
    /// Resting orders again, for the memory that each takes.
    Memory,
}

impl Axis {
    /// Its name on the command line, in results and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Levels => "levels",
            Self::Instruments => "instruments",
            Self::Accounts => "accounts",
            Self::Memory => "memory",
        }
    }

    /// What its values count, in words.
    pub fn counts(self) -> &'static str {
        match self {
            Self::Orders | Self::Memory => "resting orders",
            Self::Levels => "levels",
            Self::Instruments => "instruments",
            Self::Accounts => "accounts",
        }
    }

    /// Its values up to `max`, a power of ten each.
    pub fn values(self, max: u32) -> impl Iterator<Item = u32> {
        let powers = match self {
            Self::Orders => 2..=7,
            Self::Levels | Self::Accounts => 1..=6,
            Self::Instruments => 0..=4,
            Self::Memory => 5..=7,
        };
        powers.map(|power| 10_u32.pow(power)).filter(move |&value| value <= max)
    }

    /// The venue at a value; `orders` rest in it where they are not the axis, or as many as there are levels.
    pub fn shape(self, value: u32, orders: u32, mode: Mode) -> Shape {
        let of = |orders: u32| Shape {
            mode,
            orders,
            levels: (orders / ORDERS_AT_A_LEVEL).max(2),
            instruments: 1,
            accounts: ACCOUNTS,
        };
        match self {
            Self::Orders | Self::Memory => of(value),
            Self::Levels => Shape { levels: value, ..of(orders.max(value)) },
            Self::Instruments => Shape { instruments: value, ..of(orders) },
            Self::Accounts => Shape { accounts: value, ..of(orders) },
        }
    }
}
