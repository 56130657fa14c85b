//! The engine: one match on the command is the table of contents of the venue.
//!
//! [`Engine::apply`] is total and deterministic: no clock, no thread, no I/O, no float, no hashed iteration order, and
//! no allocation once capacities are warm. Equal command histories give equal states and equal events, byte for byte.

use alloc::vec::Vec;

use crate::accounts::{Account, Balance, InstrumentLimitsTable, Ledger};
use crate::auction::Indicative;
use crate::book::Orders;
use crate::book::arena::{Arena, Details, Extras, Order, Slot};
use crate::book::index::ClientOrderIndex;
use crate::book::level::Chain;
use crate::bust::Tape;
use crate::calendar::Calendar;
use crate::call::CallEnds;
use crate::command::{Command, CommandBody, ListInstrument, Sequenced, Stamp};
use crate::directory::{Directory, KeyState, Right};
use crate::event::{EventSink, NotApplied, OrderState, Report, Requester};
use crate::expiry::Expiries;
use crate::foresight::LOOK_AHEAD;
use crate::identity::{
    AccountId, AssetId, ClientOrderId, InstrumentId, KeyId, OrderId, Sequence, SessionId, SessionSequence,
    SessionVersion, StpGroup, TradeId,
};
use crate::instrument::Phase;
use crate::limits::{BEHAVIOUR, Capacity, carries_behaviour};
use crate::market::{ListingStatus, Market};
use crate::order::{OrderStatus, OrderType, Side, TimeInForce};
use crate::reject::RejectReason;
use crate::risk::{Exposure, held_asset};
use crate::sessions::{Admission, SessionState, Sessions};
use crate::table::Table;
use crate::trigger::Elected;
use crate::turn::{Standing, Turn};
use crate::{Amount, Price, Quantity, Timestamp};

/// The venue's state: instruments, books, accounts, directory and sessions.
#[derive(Debug)]
pub struct Engine {
    pub(crate) capacity: Capacity,
    pub(crate) last: Stamp,
    pub(crate) behaviour: u32,
    pub(crate) random_seed: [u8; 32],
    pub(crate) last_trade: TradeId,
    pub(crate) markets: Table<Market>,
    pub(crate) orders: Orders,
    pub(crate) names: ClientOrderIndex,
    pub(crate) accounts: Table<Account>,
    pub(crate) ledger: Ledger,
    pub(crate) directory: Directory,
    pub(crate) sessions: Sessions,
    pub(crate) instrument_limits: InstrumentLimitsTable,
    pub(crate) expiries: Expiries,
    pub(crate) calendar: Calendar,
    pub(crate) call_ends: CallEnds,
    pub(crate) tape: Tape,
    /// The stops that this command's trades have elected. Empty between commands.
    pub(crate) elected: Vec<Elected>,
    /// The orders that a command which ends many has yet to look at. Kept for its memory; between commands it means
    /// nothing.
    pub(crate) victims: Vec<Slot>,
}

/// A resting order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestingOrder {
    /// The venue's name for it.
    pub order_id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// The trader's name for it.
    pub client_order_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit, in ticks; absent for a Stop.
    pub price: Price,
    /// Trigger; absent unless Stop or StopLimit.
    pub stop_price: Price,
    /// What may still trade, in lots.
    pub leaves: Quantity,
    /// What of it is shown.
    pub shown: Quantity,
    /// What has traded, in lots.
    pub cumulative: Quantity,
}

/// An open order with all that its owner may know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOrder {
    /// Whose.
    pub account: AccountId,
    /// The order as events tell it.
    pub state: OrderState,
    /// What a market buy may spend; absent otherwise.
    pub funds: Amount,
    /// Trigger; absent unless Stop or StopLimit.
    pub stop_price: Price,
    /// What of it is shown; absent: all.
    pub display_quantity: Quantity,
    /// When a GoodTillDate order ends; none otherwise.
    pub expire_at: Timestamp,
}

/// One price of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelSummary {
    /// In ticks.
    pub price: Price,
    /// The sum of what may still trade, in lots.
    pub quantity: u128,
    /// What of it is shown.
    pub shown: u128,
    /// How many orders.
    pub order_count: u32,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// Which.
    pub session: SessionId,
    /// The key that it belongs to.
    pub key: KeyId,
    /// The last login's number.
    pub version: SessionVersion,
    /// Whether it is open.
    pub state: SessionState,
    /// The last of its commands that was applied.
    pub last_applied: SessionSequence,
    /// The last of its reports.
    pub last_report: SessionSequence,
}

impl Engine {
    /// An empty venue: no command applied, nothing but the fee account; under the newest matching rules.
    ///
    /// Memory for `capacity` is reserved here and touched as it is used.
    ///
    /// # Panics
    /// For a capacity beyond [`Capacity::MAX`], or one that together reserves more than a venue can have.
    pub fn new(capacity: Capacity) -> Self {
        Self::with_behaviour(capacity, BEHAVIOUR)
    }

    /// The same under a version of the matching rules: the one that a journal began with.
    ///
    /// # Panics
    /// As [`new`](Self::new), and for a version that this build does not carry.
    pub fn with_behaviour(capacity: Capacity, behaviour: u32) -> Self {
        assert!(capacity.is_sane(), "a capacity within its bounds");
        assert!(carries_behaviour(behaviour), "a behaviour version that this build carries");
        let arena = Arena::new(capacity.orders);
        let mut engine = Self {
            capacity,
            last: Stamp { sequence: Sequence::NONE, time: Timestamp::NONE },
            behaviour,
            random_seed: [0; 32],
            last_trade: TradeId::NONE,
            markets: Table::new(capacity.instruments),
            orders: Orders::new(arena, &capacity),
            names: ClientOrderIndex::new(&capacity),
            accounts: Table::new(capacity.accounts.max(AccountId::FEES.0)),
            ledger: Ledger::new(&capacity),
            directory: Directory::new(&capacity),
            sessions: Sessions::new(capacity.sessions),
            instrument_limits: InstrumentLimitsTable::new(capacity.accounts),
            expiries: Expiries::new(capacity.orders),
            calendar: Calendar::new(),
            call_ends: CallEnds::new(capacity.instruments),
            tape: Tape::new(TradeId::NONE),
            elected: Vec::with_capacity(capacity.orders as usize),
            victims: Vec::with_capacity(capacity.orders as usize),
        };
        engine.add_account(AccountId::FEES, Account::new(StpGroup::NONE, None, 0));
        engine
    }

    /// Applies one command and hands its events to `sink`, in order.
    ///
    /// # Panics
    /// If the command's sequence is not the next, or its time is before the last or [`Timestamp::NEVER`]: the sequencer
    /// sees to it.
    pub fn apply(&mut self, command: &Sequenced<Command>, sink: &mut impl EventSink) {
        self.apply_next(command, sink);
    }

    #[inline(always)]
    fn apply_next(&mut self, command: &Sequenced<Command>, sink: &mut impl EventSink) {
        let Sequenced { stamp, value: Command { header, body } } = command;
        assert!(stamp.sequence == self.last.sequence.next(), "commands are applied in sequence");
        assert!(stamp.time >= self.last.time, "time does not go back");
        assert!(stamp.time < Timestamp::NEVER, "never is later than every command");
        self.last = *stamp;
        let turn = &mut Turn::new(stamp, header, sink);
        if self.admit(turn, body) {
            match body {
                CommandBody::NewOrder(c) => self.new_order(turn, c),
                CommandBody::ReplaceOrder(c) => self.replace_order(turn, c),
                CommandBody::CancelOrder(c) => self.cancel_order(turn, c),
                _ => self.dispatch(turn, body),
            }
            if self.orders.is_stirred() {
                self.tell_indicatives(turn);
            }
        }
        #[cfg(feature = "verify")]
        self.audit().expect("every command leaves the venue consistent");
    }

    /// Applies commands that wait together, each as [`Engine::apply`] does.
    ///
    /// In a large venue this is faster than one by one: the memory that the next few will touch is asked for first, so
    /// that it comes while others are applied.
    ///
    /// # Panics
    /// As [`Engine::apply`] does.
    pub fn apply_batch(&mut self, commands: &[Sequenced<Command>], sink: &mut impl EventSink) {
        for few in commands.chunks(LOOK_AHEAD) {
            self.foresee(few);
            for command in few {
                self.apply_next(command, sink);
            }
        }
    }

    /// Everything but the commands of single orders.
    #[cold]
    fn dispatch<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, body: &CommandBody) {
        match body {
            CommandBody::NewOrder(_) | CommandBody::ReplaceOrder(_) | CommandBody::CancelOrder(_) => {
                unreachable!("these are carried out by apply itself")
            }
            CommandBody::MassCancel(c) => self.mass_cancel(turn, c),
            CommandBody::KillSwitch(c) => self.kill_switch(turn, c),

            CommandBody::Negotiate(c) => self.negotiate(turn, c),
            CommandBody::Establish(c) => self.establish(turn, c),
            CommandBody::Disconnect(c) => self.disconnect(turn, c),

            CommandBody::AdvanceTime(_) => self.advance_time(turn),
            CommandBody::SetRandomSeed(c) => self.administer(turn, body, &c.note, |e, t| e.set_random_seed(t, c)),
            CommandBody::SetBehaviour(c) => self.administer(turn, body, &c.note, |e, t| e.set_behaviour(t, c)),

            CommandBody::AddAsset(c) => self.administer(turn, body, &c.note, |e, t| e.add_asset(t, c)),
            CommandBody::ListInstrument(c) => self.administer(turn, body, &c.note, |e, t| e.list_instrument(t, c)),
            CommandBody::DelistInstrument(c) => self.administer(turn, body, &c.note, |e, t| e.delist_instrument(t, c)),
            CommandBody::SetInstrumentLimits(c) => {
                self.administer(turn, body, &c.note, |e, t| e.set_instrument_limits(t, c));
            }
            CommandBody::SetPriceProtection(c) => {
                self.administer(turn, body, &c.note, |e, t| e.set_price_protection(t, c));
            }
            CommandBody::SetFees(c) => self.administer(turn, body, &c.note, |e, t| e.set_fees(t, c)),
            CommandBody::SetPhase(c) => self.administer(turn, body, &c.note, |e, t| e.set_phase(t, c)),
            CommandBody::SetCalendarEntry(c) => self.administer(turn, body, &c.note, |e, t| e.set_calendar_entry(t, c)),
            CommandBody::RemoveCalendarEntry(c) => {
                self.administer(turn, body, &c.note, |e, t| e.remove_calendar_entry(t, c));
            }

            CommandBody::OpenAccount(c) => self.administer(turn, body, &c.note, |e, t| e.open_account(t, c)),
            CommandBody::ModifyAccount(c) => self.administer(turn, body, &c.note, |e, t| e.modify_account(t, c)),
            CommandBody::SetAccountLimits(c) => self.administer(turn, body, &c.note, |e, t| e.set_account_limits(t, c)),
            CommandBody::Deposit(c) => self.administer(turn, body, &c.note, |e, t| e.deposit(t, c)),
            CommandBody::Withdraw(c) => self.administer(turn, body, &c.note, |e, t| e.withdraw(t, c)),
            CommandBody::AdjustBalance(c) => self.administer(turn, body, &c.note, |e, t| e.adjust_balance(t, c)),
            CommandBody::BustTrade(c) => self.administer(turn, body, &c.note, |e, t| e.bust_trade(t, c)),

            CommandBody::AddKey(c) => self.administer(turn, body, &c.note, |e, t| e.add_key(t, c)),
            CommandBody::RevokeKey(c) => self.administer(turn, body, &c.note, |e, t| e.revoke_key(t, c)),
            CommandBody::GrantRole(c) => self.administer(turn, body, &c.note, |e, t| e.grant_role(t, c)),
            CommandBody::RevokeRole(c) => self.administer(turn, body, &c.note, |e, t| e.revoke_role(t, c)),
            CommandBody::AllowAddress(c) => self.administer(turn, body, &c.note, |e, t| e.allow_address(t, c)),
        }
    }

    /// Judges a command by its place in its session's stream; whether it is to be applied.
    #[inline(always)]
    fn admit<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, body: &CommandBody) -> bool {
        if turn.header.session.is_none() {
            return true;
        }
        if matches!(body, CommandBody::Negotiate(_) | CommandBody::Establish(_) | CommandBody::Disconnect(_)) {
            return true;
        }
        match self.sessions.admit(turn.header) {
            Admission::Next => true,
            Admission::Repeated => false,
            Admission::Gap { from, count } => {
                turn.emit(NotApplied { session: turn.header.session, from, count });
                true
            }
            Admission::NotEstablished => {
                turn.standing = Standing::NotEstablished;
                true
            }
        }
    }

    /// Whether the command's session is in order.
    #[inline(always)]
    pub(crate) fn check_standing<S: EventSink>(&self, turn: &Turn<'_, S>) -> Result<(), RejectReason> {
        match turn.standing {
            Standing::Good => Ok(()),
            Standing::NotEstablished => Err(RejectReason::NotEntitled),
        }
    }

    /// Whether the command's author may do it.
    #[inline(always)]
    pub(crate) fn check_right<S: EventSink>(&self, turn: &Turn<'_, S>, right: Right<'_>) -> Result<(), RejectReason> {
        self.check_standing(turn)?;
        if self.directory.allows(turn.header.author, right) { Ok(()) } else { Err(RejectReason::NotEntitled) }
    }

    /// An instrument that is listed and was not delisted.
    #[inline(always)]
    pub(crate) fn listed(&self, instrument: InstrumentId) -> Result<&Market, RejectReason> {
        let market = self.markets.get(instrument.0).filter(|market| market.status == ListingStatus::Listed);
        market.ok_or(RejectReason::UnknownInstrument)
    }

    /// As [`Engine::listed`].
    pub(crate) fn listed_mut(&mut self, instrument: InstrumentId) -> Result<&mut Market, RejectReason> {
        let market = self.markets.get_mut(instrument.0).filter(|market| market.status == ListingStatus::Listed);
        market.ok_or(RejectReason::UnknownInstrument)
    }

    #[inline(always)]
    pub(crate) fn market(&self, instrument: InstrumentId) -> &Market {
        self.markets.get(instrument.0).expect("an order's instrument is listed")
    }

    #[inline(always)]
    pub(crate) fn market_mut(&mut self, instrument: InstrumentId) -> &mut Market {
        self.markets.get_mut(instrument.0).expect("an order's instrument is listed")
    }

    #[inline(always)]
    pub(crate) fn market_of(&self, slot: Slot) -> &Market {
        self.market(self.orders.arena[slot].instrument)
    }

    /// Numbers the next report for an account and the session of one of its orders.
    #[inline(always)]
    pub(crate) fn report<S: EventSink>(
        &mut self,
        turn: &Turn<'_, S>,
        account: AccountId,
        session: SessionId,
    ) -> Report {
        let exec_id = self.accounts.get_mut(account.0).map(|account| {
            account.last_exec = account.last_exec.next();
            account.last_exec
        });
        let (report_number, client_sequence) = self.number(turn, session);
        Report { account, session, exec_id: exec_id.unwrap_or_default(), report_number, client_sequence }
    }

    /// Numbers the next report for an account and the session that asked.
    #[inline(always)]
    pub(crate) fn answer<S: EventSink>(&mut self, turn: &Turn<'_, S>, account: AccountId) -> Report {
        self.report(turn, account, turn.header.session)
    }

    /// Numbers the refusal of a command that names an account.
    ///
    /// Who is not entitled learns nothing of the account, and its numbers stay without gaps.
    pub(crate) fn refusal<S: EventSink>(
        &mut self,
        turn: &Turn<'_, S>,
        account: AccountId,
        reason: RejectReason,
    ) -> Report {
        if reason != RejectReason::NotEntitled {
            return self.answer(turn, account);
        }
        Report { account, ..self.answer(turn, AccountId::NONE) }
    }

    /// The session that asked, if that is not the one that the report is for.
    #[inline(always)]
    pub(crate) fn requester<S: EventSink>(&mut self, turn: &Turn<'_, S>, report_for: SessionId) -> Requester {
        let session = turn.header.session;
        if session == report_for || session.is_none() {
            return Requester::NOBODY;
        }
        let (report_number, client_sequence) = self.number(turn, session);
        Requester { session, report_number, client_sequence }
    }

    /// The session's next report number, and its command that is being answered. A session that may not act has none.
    #[inline(always)]
    fn number<S: EventSink>(&mut self, turn: &Turn<'_, S>, session: SessionId) -> (SessionSequence, SessionSequence) {
        if session.is_none() && turn.header.session.is_none() {
            return (SessionSequence::NONE, turn.header.client_sequence);
        }
        let asked = session == turn.header.session;
        if asked && turn.standing == Standing::NotEstablished {
            return (SessionSequence::NONE, turn.header.client_sequence);
        }
        let number = self.sessions.get_mut(session).map(|session| {
            session.last_report = session.last_report.next();
            session.last_report
        });
        let answers = if asked { turn.header.client_sequence } else { SessionSequence::NONE };
        (number.unwrap_or_default(), answers)
    }

    #[inline(always)]
    pub(crate) fn order_state(&self, slot: Slot) -> OrderState {
        let arena = &self.orders.arena;
        self.state_of(slot, &arena[slot], arena.details(slot))
    }

    /// As [`Engine::order_state`], of an order that was looked at.
    #[inline(always)]
    pub(crate) fn state_of(&self, slot: Slot, order: &Order, details: &Details) -> OrderState {
        let arena = &self.orders.arena;
        let prevented = arena.extras_of(details).prevented;
        OrderState {
            instrument: order.instrument,
            order_id: order.id,
            client_order_id: details.client_order_id,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            flags: order.flags,
            price: order.price(),
            quantity: if order.is_by_funds() {
                Quantity::ABSENT
            } else {
                order.leaves + details.cumulative + prevented
            },
            leaves: order.leaves,
            cumulative: details.cumulative,
            prevented,
            shown: arena.shown(slot),
        }
    }
}

/// Views of the state. None of them is a command; none changes anything.
impl Engine {
    /// The stamp of the last command applied; all zero before the first.
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// When `AdvanceTime` is due next; [`Timestamp::NEVER`] if nothing waits for time.
    pub fn next_deadline(&self) -> Timestamp {
        let orders = self.sessions.deadline().min(self.expiries.deadline(&self.orders.arena));
        orders.min(self.call_ends.deadline()).min(self.calendar.deadline())
    }

    /// The version of the matching rules in force.
    pub fn behaviour(&self) -> u32 {
        self.behaviour
    }

    /// What the venue carries at most.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// An instrument as it was listed.
    pub fn listing(&self, instrument: InstrumentId) -> Option<&ListInstrument> {
        self.listed(instrument).ok().map(|market| &market.listing)
    }

    /// An instrument's phase.
    pub fn phase(&self, instrument: InstrumentId) -> Option<Phase> {
        self.listed(instrument).ok().map(|market| market.phase)
    }

    /// All listed instruments, by identity.
    pub fn listings(&self) -> impl Iterator<Item = &ListInstrument> {
        let listed = self.markets.iter().filter(|(_, market)| market.status == ListingStatus::Listed);
        listed.map(|(_, market)| &market.listing)
    }

    /// All keys that are not revoked, with their public keys, by identity.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &[u8; 32])> {
        let valid = self.directory.keys.iter().filter(|(_, key)| key.state == KeyState::Valid);
        valid.map(|(id, key)| (KeyId(id), &key.public_key))
    }

    /// All sessions, by identity.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.sessions.table.iter().map(|(id, session)| SessionView {
            session: SessionId(id),
            key: session.key,
            version: session.version,
            state: session.state,
            last_applied: session.last_applied,
            last_report: session.last_report,
        })
    }

    /// One side of a book by priority; nothing for an instrument that is not listed.
    pub fn orders(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = RestingOrder> + '_ {
        let market = self.markets.get(instrument.0);
        market.into_iter().flat_map(move |market| market.book.orders(&self.orders, side)).map(|slot| self.resting(slot))
    }

    /// One side's waiting stops, the first to be elected first; nothing for an instrument that is not listed.
    pub fn stops(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = RestingOrder> + '_ {
        let market = self.markets.get(instrument.0);
        market.into_iter().flat_map(move |market| market.book.stops(&self.orders, side)).map(|slot| self.resting(slot))
    }

    /// One side's market orders in a call, by priority; nothing for an instrument that is not listed.
    pub fn market_orders(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = RestingOrder> + '_ {
        let market = self.markets.get(instrument.0);
        let slots = market.into_iter().flat_map(move |market| market.book.market_orders(&self.orders, side));
        slots.map(|slot| self.resting(slot))
    }

    /// The orders that wait for the closing call, longest first; nothing for an instrument that is not listed.
    pub fn waiting_for_close(&self, instrument: InstrumentId) -> impl Iterator<Item = RestingOrder> + '_ {
        let market = self.markets.get(instrument.0);
        let slots = market.into_iter().flat_map(|market| market.book.waiting(&self.orders));
        slots.map(|slot| self.resting(slot))
    }

    /// How an instrument's pending call would end now; none if no call is pending.
    pub fn indicative(&self, instrument: InstrumentId) -> Option<Indicative> {
        let market = self.listed(instrument).ok()?;
        market.call.map(|_| market.indicative(&self.orders))
    }

    /// What an instrument's prices are measured from; absent before the first.
    pub fn reference(&self, instrument: InstrumentId) -> Option<Price> {
        self.listed(instrument).ok().map(|market| market.reference)
    }

    /// What has become of an account's order, by the venue's name or else by the trader's: an open one with its
    /// status, or one of the account's last 32 that ended with a name.
    pub fn order_status(&self, account: AccountId, id: OrderId, name: ClientOrderId) -> Option<(OrderId, OrderStatus)> {
        if let Some(slot) = self.find_order(account, id, name) {
            return Some((self.orders.arena[slot].id, self.orders.arena.status(slot)));
        }
        if id.is_none() {
            let (id, status) = self.original(account, name);
            return status.map(|status| (id, status));
        }
        self.accounts.get(account.0)?;
        let is_it = |&(_, order, status): &(ClientOrderId, OrderId, OrderStatus)| {
            order == id && status != OrderStatus::Replaced
        };
        self.names.closed(account).find(is_it).map(|(_, id, status)| (id, status))
    }

    /// An account's open orders, oldest first, those that wait as stops included.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = RestingOrder> + '_ {
        let orders = self.accounts.get(account.0).map(|account| account.orders);
        let slots = orders.into_iter().flat_map(|orders| orders.iter(&self.orders.arena, Chain::Account));
        slots.map(|slot| self.resting(slot))
    }

    /// The same with all that their owner may know of them.
    pub fn open_orders_in_full(&self, account: AccountId) -> impl Iterator<Item = OpenOrder> + '_ {
        let orders = self.accounts.get(account.0).map(|account| account.orders);
        let slots = orders.into_iter().flat_map(|orders| orders.iter(&self.orders.arena, Chain::Account));
        slots.map(move |slot| {
            let Extras { funds, stop_price, display, expire_at, .. } = *self.orders.arena.extras(slot);
            OpenOrder {
                account,
                state: self.order_state(slot),
                funds,
                stop_price,
                display_quantity: display,
                expire_at,
            }
        })
    }

    /// One side of a book by level, best first; nothing for an instrument that is not listed.
    pub fn levels(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = LevelSummary> + '_ {
        let market = self.markets.get(instrument.0);
        let levels = market.into_iter().flat_map(move |market| market.book.levels(&self.orders, side));
        levels.map(|(price, quantity, orders)| {
            let shown = orders.clone().map(|slot| u128::from(self.orders.arena.shown(slot).0)).sum();
            LevelSummary { price, quantity, shown, order_count: orders.count() as u32 }
        })
    }

    /// What may still trade at a price of a side, in lots, hidden parts included. Takes no longer for more orders.
    pub fn quantity_at(&self, instrument: InstrumentId, side: Side, price: Price) -> u128 {
        self.markets.get(instrument.0).map_or(0, |market| market.book.quantity_at(&self.orders, side, price))
    }

    /// The best price of a side.
    pub fn best_price(&self, instrument: InstrumentId, side: Side) -> Option<Price> {
        self.markets.get(instrument.0)?.book.best_price(side)
    }

    /// An open order.
    pub fn order(&self, order_id: OrderId) -> Option<RestingOrder> {
        self.orders.arena.find(order_id).map(|slot| self.resting(slot))
    }

    fn resting(&self, slot: Slot) -> RestingOrder {
        let arena = &self.orders.arena;
        let (order, details) = (&arena[slot], arena.details(slot));
        RestingOrder {
            order_id: order.id,
            account: order.account,
            client_order_id: details.client_order_id,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            price: order.price(),
            stop_price: arena.extras(slot).stop_price,
            leaves: order.leaves,
            shown: arena.shown(slot),
            cumulative: details.cumulative,
        }
    }

    /// What an open account has of a known asset.
    pub fn balance(&self, account: AccountId, asset: AssetId) -> Option<Balance> {
        self.accounts.get(account.0)?;
        self.ledger.assets.get(asset.0)?;
        Some(self.ledger.balance(account, asset))
    }

    /// What an open account has, by asset; assets of which it has nothing are left out.
    pub fn balances(&self, account: AccountId) -> impl Iterator<Item = (AssetId, Balance)> + '_ {
        let assets = self.ledger.assets.iter().map(|(asset, _)| AssetId(asset));
        let balances = assets.filter_map(move |asset| Some((asset, self.balance(account, asset)?)));
        balances.filter(|(_, balance)| *balance != Balance::default())
    }

    /// Deposits less withdrawals of a known asset.
    pub fn supply(&self, asset: AssetId) -> Option<Amount> {
        self.ledger.assets.get(asset.0).map(|asset| Amount(asset.supply))
    }

    /// Checks every internal structure against every other, and that balances and holds add up; the first fault found.
    ///
    /// Takes time in proportion to the whole venue.
    pub fn audit(&self) -> Result<(), &'static str> {
        let mut resting = 0;
        for (_, market) in self.markets.iter() {
            resting += market.book.check(&self.orders)?;
        }
        if resting != self.orders.arena.open_count() {
            return Err("an open order stands nowhere");
        }
        let expiring = self.expiries.check(&self.orders.arena).ok_or("an expiry stands where it should not")?;
        let dated = |slot: &Slot| self.orders.arena[*slot].time_in_force == TimeInForce::GoodTillDate;
        let dated: usize =
            self.markets.iter().map(|(_, market)| market.book.all(&self.orders).filter(dated).count()).sum();
        if self.orders.is_stirred() || !self.markets.iter().all(|(_, market)| market.is_told(&self.orders)) {
            return Err("an indicative price was not told, or a call disagrees with its phase");
        }
        if expiring as usize != dated || !self.elected.is_empty() {
            return Err("an order that expires is not noted, or a stop was left elected");
        }
        self.audit_owners()?;
        self.audit_balances()
    }

    fn audit_owners(&self) -> Result<(), &'static str> {
        let mut owned = 0;
        for (id, account) in self.accounts.iter() {
            let count =
                account.orders.check(&self.orders.arena, Chain::Account).ok_or("an account's links disagree")?;
            if count != account.open_orders {
                return Err("an account's open orders are miscounted");
            }
            owned += count;
            self.audit_limited(AccountId(id))?;
        }
        if owned != self.orders.arena.open_count() {
            return Err("an open order has no account");
        }
        for (_, session) in self.sessions.table.iter() {
            session.orders.check(&self.orders.arena, Chain::Session).ok_or("a session's links disagree")?;
        }
        Ok(())
    }

    fn audit_limited(&self, account: AccountId) -> Result<(), &'static str> {
        for limited in self.instrument_limits.of(account) {
            let in_it = |order: &RestingOrder| {
                self.orders.arena.find(order.order_id).map(|slot| self.orders.arena[slot].instrument)
                    == Some(limited.instrument)
            };
            if self.open_orders(account).filter(in_it).count() != limited.open_orders as usize {
                return Err("an account's open orders in an instrument are miscounted");
            }
        }
        Ok(())
    }

    fn audit_balances(&self) -> Result<(), &'static str> {
        for (asset, about) in self.ledger.assets.iter() {
            let asset = AssetId(asset);
            if self.ledger.total(asset) != about.supply {
                return Err("balances do not add up to the asset's supply");
            }
            for (account, _) in self.accounts.iter() {
                if self.needed(AccountId(account), asset) != self.ledger.balance(AccountId(account), asset).held.0 {
                    return Err("a hold is not what open orders need");
                }
            }
        }
        Ok(())
    }

    /// What an account's open orders must hold of an asset.
    fn needed(&self, account: AccountId, asset: AssetId) -> u128 {
        let orders = self.accounts.get(account.0).map(|account| account.orders);
        let slots = orders.into_iter().flat_map(|orders| orders.iter(&self.orders.arena, Chain::Account));
        slots
            .map(|slot| (Exposure::of(&self.orders.arena, slot), self.market_of(slot)))
            .filter(|(exposure, market)| market.settles() && held_asset(market, exposure.side) == asset)
            .map(|(exposure, market)| exposure.hold(market))
            .sum()
    }
}
