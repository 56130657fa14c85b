//! Capacities: what the venue carries at most, each with its unit and reason.
//!
//! Memory is reserved when the engine is made and touched as it is used, so that nothing is allocated later. A full
//! capacity is a reject reason, never a panic.

use crate::canonical::record;

/// The newest version of the matching rules that this build carries, and the one that a new engine starts with.
pub const BEHAVIOUR: u32 = 1;

/// Whether this build carries a version of the matching rules.
pub const fn carries_behaviour(version: u32) -> bool {
    1 <= version && version <= BEHAVIOUR
}

/// Closed orders that each account remembers, so that a client order id is not used again too soon.
pub const CLOSED_ORDERS_PER_ACCOUNT: u32 = 32;

/// Sessions that one key may have.
pub const SESSIONS_PER_KEY: u32 = 64;

/// Idempotency keys that the venue remembers.
pub const IDEMPOTENCY_KEYS: u32 = 4_096;

/// Fee tiers, from 0.
pub const FEE_TIERS: u8 = 8;

/// An order's quantity is at most this many times what it shows, so that what it meets stays bounded.
pub const TIPS_MAX: u64 = 10_000;

/// Trades that can still be busted.
pub const TRADES_REMEMBERED: u32 = 16_384;

/// Calendar entries of all instruments together.
pub const CALENDAR_ENTRIES: u32 = 4_096;

/// Instruments for which one account may have limits of their own.
pub const INSTRUMENT_LIMITS_PER_ACCOUNT: u32 = 16;

/// The most digits behind the point of an asset's smallest unit.
pub const DECIMALS_MAX: u8 = 18;

/// The highest fee rate, in hundredths of a basis point: ten per cent.
pub const FEE_RATE_MAX: i32 = 100_000;

record! {
    /// What one engine carries at most. Part of the snapshot: a replay needs the same.
    pub struct Capacity {
        /// Open orders in the venue; at most 2^24, the slots of an order id.
        pub orders: u32,
        /// Accounts; identities run from 1 to this.
        pub accounts: u32,
        /// Assets; identities run from 1 to this. Each account carries a balance of each.
        pub assets: u32,
        /// Instruments; identities run from 1 to this.
        pub instruments: u32,
        /// Sessions; identities run from 1 to this.
        pub sessions: u32,
        /// Keys; identities run from 1 to this.
        pub keys: u32,
        /// Roles granted, over all keys.
        pub grants: u32,
        /// Blocks of 64 neighbouring prices in use, over all books: an order that is far from every other takes one.
        pub price_blocks: u32,
    }
}

impl Capacity {
    /// The most of everything.
    pub const MAX: Self = Self {
        orders: 1 << crate::OrderId::SLOT_BITS,
        accounts: 1 << 22,
        assets: 1 << 10,
        instruments: 1 << 16,
        sessions: 1 << 20,
        keys: 1 << 20,
        grants: 1 << 22,
        price_blocks: 1 << 22,
    };

    /// For a venue on one machine: a million open orders, ten thousand accounts.
    pub const DEFAULT: Self = Self {
        orders: 1 << 20,
        accounts: 1 << 14,
        assets: 64,
        instruments: 1 << 10,
        sessions: 1 << 14,
        keys: 1 << 14,
        grants: 1 << 16,
        price_blocks: 1 << 18,
    };

    /// For tests: small enough to be filled.
    pub const SMALL: Self = Self {
        orders: 1 << 10,
        accounts: 16,
        assets: 8,
        instruments: 8,
        sessions: 16,
        keys: 16,
        grants: 32,
        price_blocks: 1 << 8,
    };
}

impl Capacity {
    /// The most that an engine may reserve, in bytes: memory that a venue's machine can have.
    pub const RESERVED_BYTES_MAX: u64 = 64 << 30;

    /// About what an engine of this capacity reserves, in bytes; it is touched only as it is used.
    pub const fn reserved_bytes(&self) -> u64 {
        const ORDER: u64 = 512;
        const ACCOUNT: u64 = 4_096;
        const BALANCE: u64 = 32;
        const PRICE_BLOCK: u64 = 4_096;
        const INSTRUMENT: u64 = 8_192;
        const OTHER: u64 = 512;
        let others = self.sessions as u64 + self.keys as u64 + self.grants as u64;
        self.orders as u64 * ORDER
            + self.accounts as u64 * (ACCOUNT + self.assets as u64 * BALANCE)
            + self.price_blocks as u64 * PRICE_BLOCK
            + self.instruments as u64 * INSTRUMENT
            + others * OTHER
    }

    /// Whether nothing is beyond [`Capacity::MAX`], nor all of it together beyond [`Capacity::RESERVED_BYTES_MAX`].
    pub const fn is_sane(&self) -> bool {
        // The members first: within their bounds the sum does not overflow.
        self.orders <= Self::MAX.orders
            && self.accounts <= Self::MAX.accounts
            && self.assets <= Self::MAX.assets
            && self.instruments <= Self::MAX.instruments
            && self.sessions <= Self::MAX.sessions
            && self.keys <= Self::MAX.keys
            && self.grants <= Self::MAX.grants
            && self.price_blocks <= Self::MAX.price_blocks
            && self.reserved_bytes() <= Self::RESERVED_BYTES_MAX
    }
}

const _: () = assert!(Capacity::DEFAULT.orders <= 1 << crate::OrderId::SLOT_BITS);
