//! What happened: every command of the journal, applied anew by an engine and by a model, and everything that anybody was
//! told, held against it.
//!
//! ```text
//!   disk ─► Follower ─► command ─┬─► engine, model, auditor ─► events ══ compared ══ what the venue published
//!                                └─► view, egress ─► reports ═════════ compared ══ what traders received
//! ```
//!
//! Nothing is ever taken out of it: what was released has to be there after every crash, and a restart has to come to the
//! same state.

use std::collections::{BTreeMap, BTreeSet};

use engine::{
    AccountId, AssetId, Balance, Capacity, ClientOrderId, Command, CommandBody, Engine, Event, EventHeader, EventSink,
    InstrumentId, OrderId, Sequence, Sequenced, SessionId, SessionSequence, SessionState, Timestamp,
};
use gateway::egress::{self, Outgoing, Recipient, Sending};
use gateway::view::View;
use journal::{Digest, Entry, EventDigest, Follower, state_digest};
use ring::{EventReader, Polled};
use testkit::compare::{Options, Pair, refusal};
use wire::order_entry::{
    AccountBalance, BusinessMessageReject, ExecutionReport, KillSwitchReport, OrderCancelReject, OrderEntryMessage,
    OrderMassActionReport,
};
use wire::{Durability, Flat, Frame, Indicator};

use crate::finding::{Checked, Finding, Promise};
use crate::marks::Marks;
use crate::traders::About;

/// A numbered command or report of a session's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Numbered {
    /// Whose.
    pub session: SessionId,
    /// Of which login.
    pub version: u64,
    /// Its number.
    pub number: u64,
}

/// A command that was released, and what came of it.
#[derive(Debug)]
pub struct Happened {
    /// The command.
    pub command: Sequenced<Command>,
    /// What it caused.
    pub events: Vec<Event>,
    /// Its number, if it came through a session.
    pub numbered: Option<Numbered>,
}

/// See the module.
pub struct Truth {
    pair: Pair,
    view: View,
    digest: EventDigest,
    last: Sequence,
    /// The login of each session.
    versions: BTreeMap<SessionId, u64>,
    told: BTreeMap<Numbered, Vec<u8>>,
    applied: BTreeSet<Numbered>,
    /// Commands of which traders were told that they will not be applied.
    ruled_out: BTreeSet<Numbered>,
    orders: BTreeMap<OrderId, InstrumentId>,
    names: BTreeMap<(AccountId, ClientOrderId), InstrumentId>,
    happened: Vec<Happened>,
}

impl Truth {
    /// Before the first command.
    pub fn new(capacity: Capacity) -> Self {
        let options = Options { capacity, state_every: 0, ..Options::default() };
        let pair = Pair::new(options);
        let view = View::of(pair.engine());
        Self {
            pair,
            view,
            digest: EventDigest::new(),
            last: Sequence::NONE,
            versions: BTreeMap::new(),
            told: BTreeMap::new(),
            applied: BTreeSet::new(),
            ruled_out: BTreeSet::new(),
            orders: BTreeMap::new(),
            names: BTreeMap::new(),
            happened: Vec::new(),
        }
    }

    /// The state behind the last command that was released.
    pub fn engine(&self) -> &Engine {
        self.pair.engine()
    }

    /// The last command that was released.
    pub fn last(&self) -> Sequence {
        self.last
    }

    /// Of all events.
    pub fn event_digest(&self) -> Digest {
        self.digest.value()
    }

    /// What was released since this was asked last.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        core::mem::take(&mut self.happened)
    }

    /// The instrument of an order, by either of its names.
    pub fn instrument_of(&self, account: AccountId, id: OrderId, name: ClientOrderId) -> Option<InstrumentId> {
        self.orders.get(&id).or_else(|| self.names.get(&(account, name))).copied()
    }

    /// The venue was opened anew: what its journal holds behind what was released, and what its engine is.
    pub fn recovered(&mut self, follower: &mut Follower, engine: &Engine, marks: &mut Marks) -> Checked {
        let found = engine.last().sequence;
        if found < self.last {
            let what = format!("{found} commands are there, and {} were released", self.last);
            return Err(Finding::new(Promise::NothingIsLost, what));
        }
        while let Some(command) = next_command(follower)? {
            self.apply(&command, marks)?;
        }
        if self.last != found {
            let what = format!("the engine is behind command {found}, and the journal ends with {}", self.last);
            return Err(Finding::new(Promise::ReplayIsIdentical, what));
        }
        self.compare_states()?;
        let (own, others) = (state_digest(self.engine()), state_digest(engine));
        if own != others {
            let what = format!("behind command {found} the state is {others}, and by replay it is {own}");
            return Err(Finding::new(Promise::ReplayIsIdentical, what));
        }
        Ok(())
    }

    /// Takes what is durable by now, and what was published of it.
    pub fn release(&mut self, follower: &mut Follower, events: &mut EventReader, marks: &mut Marks) -> Checked {
        while let Some(command) = next_command(follower)? {
            let expected = self.apply(&command, marks)?;
            for (header, event) in &expected {
                match events.poll() {
                    Polled::Event(own_header, own_event) if own_header == *header && own_event == *event => {}
                    Polled::Event(_, other) => {
                        let what = format!("{header:?}: published {other:?}, and it is {event:?}");
                        return Err(Finding::new(Promise::EventsAreTrue, what));
                    }
                    Polled::Empty | Polled::Closed | Polled::Lapped(_) => {
                        let what = format!("{header:?} is durable and was not published: {event:?}");
                        return Err(Finding::new(Promise::EventsAreTrue, what));
                    }
                }
            }
        }
        match events.poll() {
            Polled::Event(header, event) => {
                let what = format!("{header:?} was released before it was durable: {event:?}");
                Err(Finding::new(Promise::DurableBeforeTold, what))
            }
            Polled::Empty | Polled::Closed | Polled::Lapped(_) => Ok(()),
        }
    }

    fn apply(
        &mut self,
        command: &Sequenced<Command>,
        marks: &mut Marks,
    ) -> Result<Vec<(EventHeader, Event)>, Box<Finding>> {
        let (due, at) = (self.engine().next_deadline(), command.stamp.time);
        if due <= at && due != Timestamp::NEVER && !matches!(command.value.body, CommandBody::AdvanceTime(_)) {
            let what = format!("something was due at {due:?}, and {} came first, at {at:?}", command.stamp.sequence);
            return Err(Finding::new(Promise::TimeIsKept, what));
        }
        let numbered = self.number_of(command);
        let told = self.pair.command(command).map_err(|it| Finding::new(Promise::Rulebook, it.to_string()))?;
        self.last = command.stamp.sequence;
        for (header, event) in &told {
            self.digest.event(header, event);
            self.view.apply(header, event);
            self.note(event);
            self.reports(header, event)?;
            refusal(event).into_iter().for_each(|reason| marks.rejected(reason));
            marks.event(event);
        }
        self.digest.applied(self.last);
        self.digest.completed().for_each(drop);
        if let Some(numbered) = numbered {
            self.once(numbered, &told)?;
        }
        let events = told.iter().map(|(_, event)| *event).collect();
        self.happened.push(Happened { command: *command, events, numbered });
        Ok(told)
    }

    /// A numbered command has an effect once, and none if somebody was told that it has none.
    fn once(&mut self, numbered: Numbered, told: &[(EventHeader, Event)]) -> Checked {
        let has_effect = told.iter().any(|(_, event)| !matches!(event, Event::NotApplied(_)));
        if !has_effect {
            return Ok(());
        }
        if !self.applied.insert(numbered) {
            return Err(Finding::new(Promise::AppliedOnce, format!("{numbered:?} has an effect for the second time")));
        }
        if self.ruled_out.contains(&numbered) {
            let what = format!("{numbered:?} was applied, and its trader was told that it will not be");
            return Err(Finding::new(Promise::AppliedOnce, what));
        }
        Ok(())
    }

    /// The number under which a command is to have its effect; none: it has no number, or its session is not open.
    fn number_of(&self, command: &Sequenced<Command>) -> Option<Numbered> {
        let header = &command.value.header;
        let is_session_state = matches!(
            command.value.body,
            CommandBody::Negotiate(_) | CommandBody::Establish(_) | CommandBody::Disconnect(_)
        );
        if is_session_state || header.client_sequence == SessionSequence::NONE {
            return None;
        }
        let session = self.engine().sessions().find(|session| session.session == header.session)?;
        let is_open = session.state == SessionState::Established && session.key == header.author;
        let (version, number) = (session.version.0, header.client_sequence.0);
        is_open.then_some(Numbered { session: header.session, version, number })
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::SessionNegotiated(negotiated) => {
                self.versions.insert(negotiated.session, negotiated.version.0);
            }
            Event::OrderAccepted(accepted) => {
                let (order, report) = (&accepted.order, &accepted.report);
                self.orders.insert(order.order_id, order.instrument);
                self.names.insert((report.account, order.client_order_id), order.instrument);
            }
            _ => {}
        }
    }

    /// What sessions are told of an event, under numbers that stay.
    fn reports(&mut self, header: &EventHeader, event: &Event) -> Checked {
        let mut outgoing: Vec<Outgoing> = Vec::new();
        let sending = Sending { durability: Durability::Synced, possible_duplicate: Indicator::No };
        egress::messages(header, event, &self.view, sending, &mut outgoing);
        for Outgoing { recipient, number, frame } in outgoing {
            let (Recipient::Session(session), Some(number)) = (recipient, number) else { continue };
            let version = self.versions.get(&session).copied().unwrap_or_default();
            let message = Frame::split(&frame).ok().and_then(|(frame, _)| OrderEntryMessage::try_from(frame).ok());
            let message = message.expect("the venue's own message");
            let at = Numbered { session, version, number: number.0 };
            if self.told.insert(at, once_sent(&message)).is_some() {
                let what = format!("{at:?} is given to a second report: {message:?}");
                return Err(Finding::new(Promise::ReportsStay, what));
            }
        }
        Ok(())
    }

    /// A trader received a numbered report.
    pub fn received(&self, at: Numbered, message: &OrderEntryMessage) -> Checked {
        match self.told.get(&at) {
            Some(told) if *told == once_sent(message) => Ok(()),
            Some(told) => {
                let told = Frame::split(told).ok().and_then(|(frame, _)| OrderEntryMessage::try_from(frame).ok());
                let what = format!("{at:?}: received {message:?}, and it is {told:?}");
                Err(Finding::new(Promise::ReportsStay, what))
            }
            None => {
                let what = format!("{at:?}: received {message:?}, and nothing of it is released");
                Err(Finding::new(Promise::DurableBeforeTold, what))
            }
        }
    }

    /// A trader was told that a command was not applied and will not be.
    pub fn told_not_applied(&mut self, at: Numbered) -> Checked {
        self.ruled_out.insert(at);
        if self.applied.contains(&at) {
            let what = format!("{at:?} was applied, and its trader is told that it was not");
            return Err(Finding::new(Promise::AppliedOnce, what));
        }
        Ok(())
    }

    /// Engine and model are in the same state, and the engine's books are in order.
    pub fn compare_states(&self) -> Checked {
        self.pair.compare_states().map_err(|it| Finding::new(Promise::Rulebook, it.to_string()))
    }

    /// Answers to a question about everything of an account, if they are of this moment; whether they were.
    pub fn answered(&self, account: AccountId, about: About, answers: &[OrderEntryMessage]) -> Checked<bool> {
        let told: Vec<Told> = answers.iter().filter_map(Told::of).collect();
        if told.len() < answers.len() || told.iter().any(|it| it.as_of != Some(self.last.into())) {
            return Ok(false);
        }
        let engine = self.engine();
        let expected: BTreeSet<(u64, u128, u128)> = match about {
            About::Orders => engine.open_orders(account).map(|it| (it.order_id.0, it.leaves.0.into(), 0)).collect(),
            About::Balances => {
                let of =
                    |(asset, balance): (AssetId, Balance)| (u64::from(asset.0), balance.available.0, balance.held.0);
                engine.balances(account).map(of).collect()
            }
        };
        let lot = |security: u64| {
            let listing = engine.listings().find(|listing| u64::from(listing.instrument.0) == security);
            listing.map_or(1, |listing| u128::from(listing.lot))
        };
        let found: BTreeSet<(u64, u128, u128)> = told
            .iter()
            .filter_map(|it| it.name.map(|name| (name, it.first / it.security.map_or(1, lot), it.second)))
            .collect();
        if found == expected {
            return Ok(true);
        }
        let what = format!("{about:?} of {account} behind {}: told {found:?}, and they are {expected:?}", self.last);
        Err(Finding::new(Promise::AnswersAreTrue, what))
    }

    /// Sessions that the core takes for open.
    pub fn open_sessions(&self) -> Vec<SessionId> {
        self.engine()
            .sessions()
            .filter(|session| session.state == SessionState::Established)
            .map(|session| session.session)
            .collect()
    }
}

/// What one answer tells.
struct Told {
    as_of: Option<wire::JournalSequence>,
    /// Order or asset; none: there is none.
    name: Option<u64>,
    security: Option<u64>,
    /// Leaves, or what is available.
    first: u128,
    /// What is held.
    second: u128,
}

impl Told {
    fn of(message: &OrderEntryMessage) -> Option<Self> {
        match message {
            OrderEntryMessage::ExecutionReport(report) => Some(Self {
                as_of: report.journal_sequence,
                name: report.order_id.map(|id| id.0),
                security: Some(report.security_id.0),
                first: u128::try_from(report.leaves_quantity.0).unwrap_or_default(),
                second: 0,
            }),
            OrderEntryMessage::AccountBalance(balance) => Some(Self {
                as_of: balance.journal_sequence,
                name: balance.asset.map(|asset| asset.0),
                security: None,
                first: wire::amount::join(balance.available_high, balance.available_low).unwrap_or_default(),
                second: wire::amount::join(balance.held_high, balance.held_low).unwrap_or_default(),
            }),
            _ => None,
        }
    }
}

fn next_command(follower: &mut Follower) -> Result<Option<Sequenced<Command>>, Box<Finding>> {
    loop {
        match follower.try_next() {
            Ok(Some(Entry::Command(command))) => return Ok(Some(command)),
            Ok(Some(Entry::EventDigest(_) | Entry::Seal(_))) => {}
            Ok(None) => return Ok(None),
            Err(error) => return Err(Finding::new(Promise::NothingIsLost, error.to_string())),
        }
    }
}

/// A report's bytes as they were sent for the first time.
fn once_sent(message: &OrderEntryMessage) -> Vec<u8> {
    let no = Indicator::No;
    match message {
        OrderEntryMessage::ExecutionReport(it) => encoded(&ExecutionReport { possible_duplicate: no, ..*it }),
        OrderEntryMessage::OrderCancelReject(it) => encoded(&OrderCancelReject { possible_duplicate: no, ..*it }),
        OrderEntryMessage::OrderMassActionReport(it) => {
            encoded(&OrderMassActionReport { possible_duplicate: no, ..*it })
        }
        OrderEntryMessage::AccountBalance(it) => encoded(&AccountBalance { possible_duplicate: no, ..*it }),
        OrderEntryMessage::BusinessMessageReject(it) => {
            encoded(&BusinessMessageReject { possible_duplicate: Some(no), ..*it })
        }
        OrderEntryMessage::KillSwitchReport(it) => encoded(&KillSwitchReport { possible_duplicate: Some(no), ..*it }),
        other => format!("{other:?}").into_bytes(),
    }
}

fn encoded<M: Flat>(message: &M) -> Vec<u8> {
    let mut bytes = vec![0; M::FRAME_LENGTH];
    wire::encode(message, &mut bytes).expect("the buffer is as long as the frame");
    bytes
}
