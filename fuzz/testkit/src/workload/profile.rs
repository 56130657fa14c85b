//! Profiles: which commands a stream is made of, and which features its orders use.

/// How often what happens: weights among commands, chances in a hundred for the rest.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name on a command line.
    pub name: &'static str,
    /// New orders.
    pub new: u64,
    /// Amends.
    pub amend: u64,
    /// Cancels.
    pub cancel: u64,
    /// Mass cancels.
    pub mass_cancel: u64,
    /// Kill switches.
    pub kill: u64,
    /// Logins, openings and losses.
    pub session: u64,
    /// Deposits, withdrawals, corrections.
    pub balance: u64,
    /// Phases.
    pub phase: u64,
    /// Calendar entries.
    pub calendar: u64,
    /// Price protections of every kind.
    pub protect: u64,
    /// Fees, limits, protection, accounts' settings.
    pub setting: u64,
    /// Assets, listings, delistings, new accounts.
    pub listing: u64,
    /// Keys and roles.
    pub key: u64,
    /// Busts.
    pub bust: u64,
    /// Of new orders: market orders.
    pub market: u64,
    /// Of new orders: stops.
    pub stop: u64,
    /// Of lasting limit orders: icebergs.
    pub iceberg: u64,
    /// Of immediate orders: with a minimum quantity.
    pub minimum: u64,
    /// Of limit and market orders: for the opening or the close.
    pub in_auction: u64,
    /// Of market buys: by funds.
    pub funds: u64,
    /// Of limit orders: immediate or fill-or-kill.
    pub immediate: u64,
    /// Of lasting limit orders: post-only.
    pub post_only: u64,
    /// Of lasting orders: until the rollover or a date.
    pub expiring: u64,
    /// Of orders: with a mode of self-trade prevention of their own.
    pub own_mode: u64,
    /// Of phases that are set: any, calls among them, and not mostly Continuous.
    pub walk: u64,
    /// Whether instruments have whole days in their calendars from the beginning.
    pub days: bool,
    /// Whether accounts, groups and instruments prevent self-trades.
    pub prevention: bool,
    /// Of commands: through a session.
    pub through_session: u64,
    /// Of orders and amends: one or more fields are wrong.
    pub wrong: u64,
    /// Of administrators' commands: something is wrong.
    pub wrong_administration: u64,
    /// Of steps: time goes on a little.
    pub time: u64,
}

/// What every engine so far carries out: the start of every profile.
const PLAIN: Profile = Profile {
    name: "plain",
    new: 60,
    amend: 15,
    cancel: 12,
    mass_cancel: 1,
    kill: 1,
    session: 0,
    balance: 2,
    phase: 1,
    calendar: 0,
    protect: 0,
    setting: 2,
    listing: 0,
    key: 0,
    bust: 0,
    market: 12,
    stop: 0,
    iceberg: 0,
    minimum: 0,
    in_auction: 0,
    funds: 0,
    immediate: 18,
    post_only: 10,
    expiring: 0,
    own_mode: 0,
    walk: 0,
    days: false,
    prevention: false,
    through_session: 0,
    wrong: 4,
    wrong_administration: 5,
    time: 30,
};

/// All profiles.
pub const PROFILES: &[Profile] = &[
    PLAIN,
    Profile { name: "sessions", session: 12, key: 3, through_session: 85, expiring: 0, ..PLAIN },
    Profile {
        name: "wrong",
        wrong: 60,
        wrong_administration: 50,
        setting: 8,
        balance: 8,
        phase: 2,
        listing: 6,
        key: 4,
        ..PLAIN
    },
    Profile { name: "stops", stop: 35, market: 15, amend: 25, ..PLAIN },
    Profile { name: "icebergs", iceberg: 50, amend: 25, immediate: 10, ..PLAIN },
    Profile { name: "funds", market: 45, funds: 60, minimum: 40, immediate: 25, ..PLAIN },
    Profile {
        name: "prevention",
        prevention: true,
        own_mode: 30,
        iceberg: 15,
        minimum: 25,
        funds: 20,
        market: 20,
        ..PLAIN
    },
    Profile { name: "expiry", expiring: 60, calendar: 8, time: 60, phase: 2, stop: 8, ..PLAIN },
    Profile {
        name: "administration",
        bust: 8,
        balance: 8,
        setting: 10,
        listing: 3,
        calendar: 4,
        phase: 3,
        key: 3,
        kill: 2,
        ..PLAIN
    },
    Profile {
        name: "mixed",
        session: 6,
        key: 2,
        through_session: 50,
        calendar: 2,
        bust: 2,
        listing: 1,
        stop: 15,
        iceberg: 20,
        minimum: 20,
        funds: 25,
        expiring: 20,
        own_mode: 20,
        prevention: true,
        wrong: 8,
        walk: 25,
        in_auction: 5,
        protect: 1,
        ..PLAIN
    },
    Profile {
        name: "auctions",
        phase: 7,
        walk: 90,
        protect: 1,
        market: 22,
        in_auction: 18,
        iceberg: 20,
        stop: 8,
        funds: 5,
        immediate: 5,
        post_only: 5,
        amend: 22,
        expiring: 10,
        calendar: 1,
        wrong: 3,
        ..PLAIN
    },
    Profile {
        name: "protection",
        protect: 6,
        phase: 3,
        walk: 30,
        stop: 20,
        market: 18,
        in_auction: 4,
        iceberg: 12,
        minimum: 20,
        funds: 25,
        own_mode: 15,
        prevention: true,
        time: 45,
        wrong: 3,
        ..PLAIN
    },
    Profile {
        name: "day",
        days: true,
        protect: 1,
        phase: 1,
        walk: 40,
        calendar: 1,
        market: 15,
        in_auction: 15,
        stop: 15,
        iceberg: 15,
        expiring: 25,
        immediate: 8,
        post_only: 4,
        session: 3,
        through_session: 30,
        bust: 1,
        time: 60,
        wrong: 3,
        ..PLAIN
    },
];

/// The profile of a name.
pub fn profile(name: &str) -> Option<Profile> {
    PROFILES.iter().find(|profile| profile.name == name).copied()
}
