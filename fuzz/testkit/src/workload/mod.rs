//! Streams of commands that live in interesting states: few prices, so that things cross; few accounts, so that they
//! meet one another and themselves; and something wrong now and then, at every check.
//!
//! A stream follows from profile and seed. It keeps a light view of what is open, taken from events, so that it can name
//! live orders, dead ones and others' ones.

mod administration;
mod orders;
mod profile;
mod sessions;
mod venue;

use std::collections::BTreeMap;

use engine::instrument::Phase;
use engine::{
    AccountId, ClientOrderId, Command, CommandBody, CommandHeader, Event, InstrumentId, KeyId, Nanoseconds, OrderId,
    OrderType, SessionId, Side, Timestamp, TradeId,
};

pub use profile::{PROFILES, Profile, profile};

use crate::random::Random;
use crate::stream::{Step, trade_of};
use sessions::Conversation;

/// No step is later: there is always time left for what a step may set a date for.
const LATEST: Timestamp = Timestamp(u64::MAX / 2);

/// An order as the stream remembers it.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The step that made it.
    step: u32,
    account: AccountId,
    client_order_id: ClientOrderId,
    side: Side,
    order_type: OrderType,
    quantity: u64,
    price: u64,
    is_open: bool,
}

/// Makes a stream, one step at a time.
#[derive(Debug, Clone)]
pub struct Workload {
    profile: Profile,
    random: Random,
    /// What is left of the first commands, which open the venue; last first.
    opening: Vec<(CommandHeader, CommandBody)>,
    now: Timestamp,
    steps: u32,
    client_order_ids: u64,
    /// By the implementation's order id.
    known: BTreeMap<OrderId, Known>,
    open: Vec<OrderId>,
    ended: Vec<OrderId>,
    trades: Vec<(InstrumentId, TradeId)>,
    phases: BTreeMap<InstrumentId, Phase>,
    conversations: BTreeMap<SessionId, Conversation>,
    idempotency_keys: u64,
}

impl Workload {
    /// The stream of a profile and a seed.
    pub fn new(profile: Profile, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5EED_0F00_D5ED_0001);
        let mut opening = venue::opening(&profile, &mut random);
        opening.reverse();
        Self {
            profile,
            random,
            opening,
            now: Timestamp(1_000_000),
            steps: 0,
            client_order_ids: 0,
            known: BTreeMap::new(),
            open: Vec::new(),
            ended: Vec::new(),
            trades: Vec::new(),
            phases: BTreeMap::new(),
            conversations: sessions::conversations(),
            idempotency_keys: 0,
        }
    }

    /// Whether the next step still opens the venue.
    pub fn is_opening(&self) -> bool {
        !self.opening.is_empty()
    }

    /// Lets what comes next follow bytes and not the seed.
    pub fn follow(&mut self, bytes: &[u8]) {
        self.random.follow(bytes);
    }

    /// Lets time pass.
    pub fn wait(&mut self, duration: Nanoseconds) {
        self.now = self.now.after(duration).min(LATEST);
    }

    /// The next step.
    pub fn next_step(&mut self) -> Step {
        self.steps += 1;
        if self.random.percent(self.profile.time) {
            self.now = Timestamp(self.now.0 + self.random.between(1, 40));
        }
        let (header, body) = self.opening.pop().unwrap_or_else(|| self.next_command());
        Step { name: self.steps, at: self.now, command: Command { header, body } }
    }

    fn next_command(&mut self) -> (CommandHeader, CommandBody) {
        let profile = self.profile;
        let weights = [
            profile.new,
            profile.amend,
            profile.cancel,
            profile.mass_cancel,
            profile.kill,
            profile.session,
            profile.balance
                + profile.phase
                + profile.calendar
                + profile.protect
                + profile.setting
                + profile.listing
                + profile.key
                + profile.bust,
        ];
        match self.random.weighted(&weights) {
            0 => {
                let order = self.new_order();
                (self.header_for(order.account), order.into())
            }
            1 => {
                let amend = self.replace_order();
                (self.header_for(amend.account), amend.into())
            }
            2 => {
                let cancel = self.cancel_order();
                (self.header_for(cancel.account), cancel.into())
            }
            3 => {
                let cancel = self.mass_cancel();
                (self.header_for(cancel.account), cancel.into())
            }
            4 => {
                let kill = self.kill_switch();
                (self.header_for(kill.account), kill.into())
            }
            5 => self.session_command(),
            _ => (self.administrators_header(), self.administration()),
        }
    }

    /// Learns what a step did.
    pub fn observe(&mut self, step: &Step, events: &[Event]) {
        let mut trades = 0;
        for event in events {
            match event {
                Event::OrderAccepted(accepted) => {
                    let order = accepted.order;
                    self.open.push(order.order_id);
                    self.known.insert(
                        order.order_id,
                        Known {
                            step: step.name,
                            account: accepted.report.account,
                            client_order_id: order.client_order_id,
                            side: order.side,
                            order_type: order.order_type,
                            quantity: order.quantity.0,
                            price: order.price.0,
                            is_open: true,
                        },
                    );
                }
                Event::OrderReplaced(replaced) => {
                    if let Some(known) = self.known.get_mut(&replaced.order.order_id) {
                        known.client_order_id = replaced.order.client_order_id;
                        known.quantity = replaced.order.quantity.0;
                        known.price = replaced.order.price.0;
                        known.order_type = replaced.order.order_type;
                    }
                }
                Event::OrderTriggered(triggered) => {
                    if let Some(known) = self.known.get_mut(&triggered.order.order_id) {
                        known.order_type = triggered.order.order_type;
                    }
                }
                Event::OrderCancelled(cancelled) => self.forget(cancelled.order.order_id),
                Event::Trade(trade) => {
                    trades += 1;
                    self.trades.push((trade.instrument, trade_of(step.name, trades)));
                    for side in [trade.maker, trade.taker] {
                        if side.leaves.is_zero() && !side.order_quantity.is_absent() {
                            self.forget(side.order_id);
                        }
                    }
                }
                Event::InstrumentListed(listed) => {
                    self.phases.insert(listed.command.instrument, listed.command.phase);
                }
                Event::PhaseChanged(changed) => {
                    self.phases.insert(changed.instrument, changed.to);
                }
                _ => {}
            }
        }
        sessions::observe(&mut self.conversations, events);
    }

    fn forget(&mut self, id: OrderId) {
        if let Some(known) = self.known.get_mut(&id) {
            known.is_open = false;
            self.open.retain(|open| *open != id);
            self.ended.push(id);
        }
    }

    /// Whether orders gather in an instrument, as far as the stream knows.
    fn gathers(&self, instrument: InstrumentId) -> bool {
        use Phase::*;
        let phase = self.phases.get(&instrument).copied().unwrap_or(Continuous);
        matches!(phase, PreOpen | OpeningCall | VolatilityCall | ClosingCall | NoCancel)
    }

    /// An order to speak of: mostly an open one, sometimes one that ended.
    fn some_order(&mut self) -> Option<Known> {
        let ended = self.random.percent(6) || self.open.is_empty();
        let recent = self.ended.len().saturating_sub(20);
        let pool = if ended { &self.ended[recent..] } else { &self.open[..] };
        if pool.is_empty() {
            return None;
        }
        let id = self.random.one_of(pool);
        self.known.get(&id).copied()
    }
}

/// The header of a key's command outside of any session.
fn by_key(author: KeyId) -> CommandHeader {
    CommandHeader { author, ..CommandHeader::VENUE }
}
