//! A venue as sorted vectors and plain structs: to be read beside the rulebook, and believed.
//!
//! Files follow the rulebook's sections, and functions cite their rules. Nothing is kept that can be computed: what an
//! account holds is a sum over its open orders, a side of the book is those orders sorted. Orders are numbered 1, 2, 3 …
//! where the engine gives handles. Capacities of orders and prices are not modelled.

mod accounts;
pub(crate) mod administration;
mod amend;
mod auction;
mod calendar;
mod cancel;
mod entry;
mod identity;
mod matching;
mod orders;
mod phases;
mod protection;
mod sessions;
mod stops;

use std::collections::{BTreeMap, BTreeSet};

use engine::command::*;
use engine::event::*;
use engine::instrument::{FeeRates, InstrumentLimits, Phase, PriceProtection};
use engine::*;

pub use auction::{Outcome, Told, auction};
pub use orders::{Order, State};

use accounts::Account;
use auction::Call;
use calendar::Entry;
use identity::Keys;
use matching::PastTrade;
use sessions::Session;

/// A rule that the model gets wrong on purpose, to test what compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Everything is as the rulebook says.
    None,
    /// At one price the later order trades first.
    LaterOrderFirst,
    /// Fees are rounded down.
    FeesRoundedDown,
    /// An amend to less quantity loses priority.
    ReducingLosesPriority,
    /// Of equally good auction prices the lowest is taken, whatever the reference price is.
    ReferencePassedOver,
    /// In an auction market orders trade last.
    MarketOrdersLast,
}

impl Flaw {
    /// Every flaw, by the name that it has on a command line.
    pub const NAMED: &[(&str, Self)] = &[
        ("later_order_first", Self::LaterOrderFirst),
        ("fees_rounded_down", Self::FeesRoundedDown),
        ("reducing_loses_priority", Self::ReducingLosesPriority),
        ("reference_passed_over", Self::ReferencePassedOver),
        ("market_orders_last", Self::MarketOrdersLast),
    ];
}

/// An instrument and what was said of it.
#[derive(Debug, Clone)]
struct Instrument {
    listing: ListInstrument,
    /// Smallest units of the quote asset in one tick times one lot; zero without assets.
    quote_units: u128,
    /// Smallest units of the base asset in one lot; zero without assets.
    base_units: u128,
    phase: Phase,
    limits: InstrumentLimits,
    protection: PriceProtection,
    /// Fee rates by tier; tiers without rates pay tier 0's (8.6).
    fees: BTreeMap<u8, FeeRates>,
    /// What prices are measured from (6.1); absent until the first trade if the listing gave none.
    reference: Price,
    /// The last trade's price since the reference price moved; absent if nothing traded.
    traded: Price,
    /// The same of the last auction with a volume.
    auctioned: Price,
    /// The call that is pending (5.1).
    call: Option<Call>,
    /// When that call ends by itself, and in which phase (5.11, 6.4).
    call_end: Option<(Timestamp, Phase)>,
}

/// The command that is being applied, and what it caused so far.
#[derive(Debug, Clone)]
struct Turn {
    header: CommandHeader,
    stamp: Stamp,
    /// Whether reports to the command's session are numbered: it is open, and the author's.
    in_session: bool,
    events: Vec<Event>,
}

/// The venue.
#[derive(Debug, Clone)]
pub struct Model {
    flaw: Flaw,
    capacity: Capacity,
    assets: BTreeMap<AssetId, AddAsset>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    /// Identities that are not used again (8.18).
    delisted: BTreeSet<InstrumentId>,
    accounts: BTreeMap<AccountId, Account>,
    /// Open orders, oldest acceptance first.
    orders: Vec<Order>,
    orders_accepted: u64,
    /// Places in queues given so far; a greater one is further back.
    places: u64,
    trades: u64,
    /// The last trades, for busts (8.17).
    past_trades: Vec<PastTrade>,
    calendar: BTreeMap<(InstrumentId, u16), Entry>,
    /// What random ends follow from (5.12).
    seed: [u8; 32],
    keys: Keys,
    sessions: BTreeMap<SessionId, Session>,
    /// The last idempotency keys of administrators (10.7).
    requests: Vec<(KeyId, IdempotencyKey)>,
    /// Stops that trades of this command elected, in the order in which they enter (3.8).
    elected: Vec<(OrderId, Price)>,
    turn: Turn,
}

impl Model {
    /// An empty venue: nothing but the fee account.
    pub fn new(capacity: Capacity) -> Self {
        Self::with_flaw(capacity, Flaw::None)
    }

    /// The same, wrong in one rule.
    pub fn with_flaw(capacity: Capacity, flaw: Flaw) -> Self {
        Self {
            flaw,
            capacity,
            assets: BTreeMap::new(),
            instruments: BTreeMap::new(),
            delisted: BTreeSet::new(),
            accounts: BTreeMap::from([(AccountId::FEES, Account::new())]),
            orders: Vec::new(),
            orders_accepted: 0,
            places: 0,
            trades: 0,
            past_trades: Vec::new(),
            calendar: BTreeMap::new(),
            seed: [0; 32],
            keys: Keys::default(),
            sessions: BTreeMap::new(),
            requests: Vec::new(),
            elected: Vec::new(),
            turn: Turn {
                header: CommandHeader::VENUE,
                stamp: Stamp { sequence: Sequence::NONE, time: Timestamp::NONE },
                in_session: false,
                events: Vec::new(),
            },
        }
    }

    /// Applies a command; gives what happened.
    pub fn apply(&mut self, command: &Sequenced<Command>) -> Vec<Event> {
        let header = command.value.header;
        let in_session = self.session_is_open(header);
        self.turn = Turn { header, stamp: command.stamp, in_session, events: Vec::new() };
        if !self.admit(&command.value.body) {
            return Vec::new();
        }
        self.carry_out(&command.value.body);
        self.enter_elected();
        self.follow_references();
        self.tell_indicatives();
        std::mem::take(&mut self.turn.events)
    }

    fn carry_out(&mut self, body: &CommandBody) {
        match *body {
            CommandBody::NewOrder(order) => self.new_order(&order),
            CommandBody::ReplaceOrder(amend) => self.replace_order(&amend),
            CommandBody::CancelOrder(cancel) => self.cancel_order(&cancel),
            CommandBody::MassCancel(cancel) => self.mass_cancel(&cancel),
            CommandBody::KillSwitch(kill) => self.kill_switch(&kill),
            CommandBody::Negotiate(negotiate) => self.negotiate(negotiate),
            CommandBody::Establish(establish) => self.establish(establish),
            CommandBody::Disconnect(disconnect) => self.disconnect(disconnect),
            CommandBody::AdvanceTime(_) => self.advance_time(),
            _ => self.administer(body),
        }
    }

    /// When something is due, or [`Timestamp::NEVER`].
    pub fn next_deadline(&self) -> Timestamp {
        let losses = self.sessions.values().map(|session| session.cancel_at);
        let expiries = self.orders.iter().filter(|order| order.time_in_force == TimeInForce::GoodTillDate);
        let calls = self.instruments.values().filter_map(|it| it.call_end.map(|(at, _)| at));
        let entries = self.calendar.values().map(|entry| entry.due);
        losses
            .chain(expiries.map(|order| order.expire_at))
            .chain(calls)
            .chain(entries)
            .min()
            .unwrap_or(Timestamp::NEVER)
    }

    /// One side of a book, by priority; market orders of a call are not in it.
    pub fn book(&self, instrument: InstrumentId, side: Side) -> Vec<Order> {
        let mut queue: Vec<Order> = self
            .orders
            .iter()
            .filter(|order| order.state == State::Resting && order.instrument == instrument && order.side == side)
            .filter(|order| !order.price.is_absent())
            .cloned()
            .collect();
        queue.sort_by_key(|order| self.priority(order));
        queue
    }

    /// One side's market orders of a pending call, by time.
    pub fn market_orders(&self, instrument: InstrumentId, side: Side) -> Vec<Order> {
        let stands = |order: &&Order| order.side == side && order.stands_as_market(instrument);
        let mut queue: Vec<Order> = self.orders.iter().filter(stands).cloned().collect();
        queue.sort_by_key(|order| order.place);
        queue
    }

    /// AtTheClose orders that wait for a closing call, in the order in which they came to wait.
    pub fn waiting_for_close(&self, instrument: InstrumentId) -> Vec<Order> {
        let waits = |order: &&Order| order.instrument == instrument && order.state == State::ForTheClose;
        let mut queue: Vec<Order> = self.orders.iter().filter(waits).cloned().collect();
        queue.sort_by_key(|order| order.place);
        queue
    }

    /// What prices are measured from.
    pub fn reference(&self, instrument: InstrumentId) -> Option<Price> {
        self.instruments.get(&instrument).map(|instrument| instrument.reference)
    }

    /// Open orders, oldest acceptance first.
    pub fn open_orders(&self) -> &[Order] {
        &self.orders
    }

    /// Accounts, the fee account included.
    pub fn account_ids(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.keys().copied()
    }

    /// Assets.
    pub fn asset_ids(&self) -> impl Iterator<Item = AssetId> {
        self.assets.keys().copied()
    }

    /// Instruments.
    pub fn instrument_ids(&self) -> impl Iterator<Item = InstrumentId> {
        self.instruments.keys().copied()
    }

    /// An instrument's phase.
    pub fn phase(&self, instrument: InstrumentId) -> Option<Phase> {
        self.instruments.get(&instrument).map(|instrument| instrument.phase)
    }

    fn now(&self) -> Timestamp {
        self.turn.stamp.time
    }

    fn emit(&mut self, event: impl Into<Event>) {
        self.turn.events.push(event.into());
    }

    /// The next place at the back of a queue.
    fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    /// A report for an account and a session, each with its next number if it exists (10.2, 10.8).
    fn report(&mut self, account: AccountId, session: SessionId) -> Report {
        let exec_id = self.accounts.get_mut(&account).map_or(ExecId::NONE, |account| {
            account.exec_id = account.exec_id.next();
            account.exec_id
        });
        let report_number = self.number_report(session);
        Report { account, session, exec_id, report_number, client_sequence: self.answered_in(session) }
    }

    /// A report to the asking session alone: the account's numbers do not move (9.4).
    fn report_to_asker(&mut self, account: AccountId) -> Report {
        let session = self.turn.header.session;
        let report_number = if self.turn.in_session { self.number_report(session) } else { SessionSequence::NONE };
        Report { account, session, exec_id: ExecId::NONE, report_number, client_sequence: self.answered_in(session) }
    }

    fn number_report(&mut self, session: SessionId) -> SessionSequence {
        self.sessions.get_mut(&session).map_or(SessionSequence::NONE, |session| {
            session.reports = session.reports.next();
            session.reports
        })
    }

    /// The command's number, in its own session.
    fn answered_in(&self, session: SessionId) -> SessionSequence {
        if session == self.turn.header.session { self.turn.header.client_sequence } else { SessionSequence::NONE }
    }

    /// The asking session, where the report goes to another one (10.6).
    fn requester(&mut self, session: SessionId) -> Requester {
        let asking = self.turn.header.session;
        if asking.is_none() || asking == session {
            return Requester::NOBODY;
        }
        let report_number = self.number_report(asking);
        Requester { session: asking, report_number, client_sequence: self.turn.header.client_sequence }
    }
}
