//! What is true of commands and events, whoever made them.
//!
//! The auditor reads a venue's commands and what the venue told of each, and nothing else: no model, no state. From
//! events it rebuilds who is in which queue, what was deposited, traded and charged, and which numbers were given, and
//! objects to the first event that cannot be true. It does not say what a command should have done; it says what no
//! command may do. Each objection names the rule of `docs/MATCHING_RULES.md` that is broken.

mod balances;
mod book;
mod bounds;
mod calls;
mod causes;
mod numbers;
mod orders;
mod settings;
mod stops;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use engine::{
    AccountId, AssetId, Balance, CancelReason, Command, Event, EventHeader, EventId, InstrumentId, OrderId, Price,
    Sequence, Sequenced, SessionId, Stamp, Timestamp, TradeId,
};

use balances::PastTrade;
use book::{Owed, Queues};
use calls::Auction;
use causes::Answers;
use numbers::Session;
use orders::Order;
use settings::{Account, Instrument};

/// A truth that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule's number in the rulebook.
    pub rule: &'static str,
    /// The command.
    pub sequence: Sequence,
    /// The command, in words.
    pub command: String,
    /// The event's place among the command's; none: what is wrong is only known behind the last.
    pub index: Option<u32>,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} at command {}", self.rule, self.sequence)?;
        if let Some(index) = self.index {
            write!(f, ", event {index}")?;
        }
        write!(f, ": {}\n{}", self.detail, self.command)
    }
}

impl std::error::Error for Violation {}

/// A broken rule, before it is known where.
#[derive(Debug)]
struct Fault {
    rule: &'static str,
    detail: String,
}

type Checked = Result<(), Fault>;

fn ensure(holds: bool, rule: &'static str, detail: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Fault { rule, detail: detail() }) }
}

fn found<T>(option: Option<T>, rule: &'static str, detail: &str) -> Result<T, Fault> {
    option.ok_or_else(|| Fault { rule, detail: detail.to_owned() })
}

/// Follows a stream of commands and events from a venue's beginning.
///
/// After an objection it follows no further: what it knows may be wrong from there on.
#[derive(Debug, Clone)]
pub struct Auditor {
    last: Stamp,
    accounts: BTreeMap<AccountId, Account>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    delisted: BTreeSet<InstrumentId>,
    sessions: BTreeMap<SessionId, Session>,
    /// Open orders.
    orders: BTreeMap<OrderId, Order>,
    ended: BTreeSet<OrderId>,
    queues: Queues,
    /// Orders accepted so far: their age.
    accepted: u64,
    /// Places given so far in any queue.
    places: u64,
    /// The order that trades at the moment.
    incoming: Option<OrderId>,
    /// What has to be told next, in this order.
    owed: VecDeque<Owed>,
    /// What this event did of what had to be told next.
    done: Option<Owed>,
    /// The auction whose trades and ends are told at the moment.
    auction: Option<Auction>,
    /// The instrument whose indicative was told last by this command.
    last_indicative: Option<InstrumentId>,
    /// Stops that trades of this command elected and that have not entered, and by which price.
    elected: VecDeque<(OrderId, Price)>,
    last_trade: TradeId,
    trades: BTreeMap<TradeId, PastTrade>,
    totals: BTreeMap<(AccountId, AssetId), i128>,
    /// Deposits and corrections less withdrawals.
    brought_in: BTreeMap<AssetId, i128>,
    /// What a bust has still to give back.
    giving_back: BTreeMap<(AccountId, AssetId), i128>,
    /// What this command answered and ended so far.
    answers: Answers,
}

impl Default for Auditor {
    fn default() -> Self {
        Self::new()
    }
}

impl Auditor {
    /// Before the first command.
    pub fn new() -> Self {
        Self {
            last: Stamp { sequence: Sequence::NONE, time: Timestamp::NONE },
            accounts: BTreeMap::from([(AccountId::FEES, Account::default())]),
            instruments: BTreeMap::new(),
            delisted: BTreeSet::new(),
            sessions: BTreeMap::new(),
            orders: BTreeMap::new(),
            ended: BTreeSet::new(),
            queues: Queues::default(),
            accepted: 0,
            places: 0,
            incoming: None,
            owed: VecDeque::new(),
            done: None,
            auction: None,
            last_indicative: None,
            elected: VecDeque::new(),
            last_trade: TradeId::NONE,
            trades: BTreeMap::new(),
            totals: BTreeMap::new(),
            brought_in: BTreeMap::new(),
            giving_back: BTreeMap::new(),
            answers: Answers::default(),
        }
    }

    /// Takes a command and all that was told of it.
    pub fn command(&mut self, command: &Sequenced<Command>, events: &[(EventHeader, Event)]) -> Result<(), Violation> {
        let violation = |index, fault: Fault| Violation {
            rule: fault.rule,
            sequence: command.stamp.sequence,
            command: format!("{:?}", command.value),
            index,
            detail: fault.detail,
        };
        self.begin(command).map_err(|fault| violation(None, fault))?;
        for (index, (header, event)) in (0..).zip(events) {
            self.header(command, index, header)
                .and_then(|()| self.event(command, event))
                .map_err(|fault| Fault { detail: format!("{}\n{event:?}", fault.detail), ..fault })
                .map_err(|fault| violation(Some(index), fault))?;
        }
        self.finish(command, events).map_err(|fault| violation(None, fault))
    }

    /// The same for events whose headers somebody else has looked at.
    pub fn observe(&mut self, command: &Sequenced<Command>, events: &[Event]) -> Result<(), Violation> {
        let header = |index| EventHeader {
            id: EventId { sequence: command.stamp.sequence, index },
            time: command.stamp.time,
            received_at: command.value.header.received_at,
        };
        let events: Vec<_> = (0..).map(header).zip(events.iter().copied()).collect();
        self.command(command, &events)
    }

    /// Compares the venue's own balances, of every account and asset that it carries, with what events say of them.
    pub fn balances(&self, balances: impl IntoIterator<Item = (AccountId, AssetId, Balance)>) -> Result<(), Violation> {
        self.public_balances(balances).map_err(|fault| Violation {
            rule: fault.rule,
            sequence: self.last.sequence,
            command: "the balances behind it".to_owned(),
            index: None,
            detail: fault.detail,
        })
    }

    fn begin(&mut self, command: &Sequenced<Command>) -> Checked {
        self.next_stamp(command.stamp)?;
        self.answers = Answers::default();
        self.incoming = None;
        self.last_indicative = None;
        self.begin_references(&command.value);
        Ok(())
    }

    fn event(&mut self, command: &Sequenced<Command>, event: &Event) -> Checked {
        self.reports(command, event)?;
        self.cause(&command.value, event)?;
        let is_indicative = matches!(event, Event::IndicativeChanged(_));
        ensure(self.last_indicative.is_none() || is_indicative, "5.5", || "it stands behind an indicative".to_owned())?;
        self.pays(event)?;
        match event {
            Event::OrderAccepted(event) => self.order_accepted(command, event),
            Event::OrderReplaced(event) => self.order_replaced(&command.value, event),
            Event::OrderCancelled(event) => self.order_cancelled(command, event),
            Event::OrderTriggered(event) => self.order_triggered(event),
            Event::OrderRestated(event) => self.order_restated(event),
            Event::MatchPrevented(event) => self.match_prevented(event),
            Event::Trade(event) => self.trade(event),
            Event::PhaseChanged(event) => self.phase_changed(&command.value, event),
            Event::IndicativeChanged(event) => self.indicative_changed(event),
            Event::Uncrossed(event) => self.uncrossed(event),
            Event::PriceBoundReached(event) => self.price_bound_reached(&command.value, event),
            Event::OrderRejected(event) => self.refused(event.reason),
            Event::CancelRejected(event) => self.refused(event.reason),
            Event::TradeBusted(event) => self.trade_busted(event),
            Event::BalanceChanged(event) => self.balance_changed(&command.value, event),
            Event::SessionNegotiated(event) => self.session_negotiated(event),
            Event::SessionEstablished(event) => self.session_established(event),
            Event::SessionDisconnected(event) => self.session_disconnected(event),
            Event::NotApplied(event) => self.not_applied(&command.value, event),
            event => self.setting(event),
        }
    }

    fn finish(&mut self, command: &Sequenced<Command>, events: &[(EventHeader, Event)]) -> Checked {
        self.settle_incoming()?;
        let rule = self.owed.front().map_or("", |owed| owed.rule());
        ensure(self.owed.is_empty(), rule, || format!("never told: {:?}", self.owed))?;
        ensure(self.auction.is_none(), "5.6", || format!("never done: {:?}", self.auction))?;
        ensure(self.elected.is_empty(), "3.8", || format!("elected, and never entered: {:?}", self.elected))?;
        self.nothing_left_to_give_back()?;
        self.nothing_is_overdue(command)?;
        self.answered(&command.value, events)?;
        self.no_book_is_crossed()?;
        self.follow_references();
        self.indicatives_are_told()?;
        self.totals_cover_open_orders()
    }
}

/// Whether an order ends so because of what it met, not because of who asked.
fn is_by_matching(reason: CancelReason) -> bool {
    matches!(
        reason,
        CancelReason::ImmediateRemainder
            | CancelReason::MarketRemainder
            | CancelReason::MarketProtection
            | CancelReason::FundsRemainder
            | CancelReason::SelfTradePrevention
            | CancelReason::Collar
            | CancelReason::CapacityFull
    )
}
