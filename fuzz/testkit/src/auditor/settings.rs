//! What administrators set, as far as the other checks need it: listings, phases, groups, fee rates.

use std::collections::BTreeMap;

use engine::instrument::{FeeRates, Holds, Phase, PriceProtection};
use engine::{AccountId, AssetId, Event, InstrumentId, Price, StpGroup};

use super::calls::{Call, CallKind, kind_of};
use super::{Auditor, Checked, Fault, ensure, found};

/// An account, as events tell of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) group: StpGroup,
    pub(super) fee_tier: u8,
    pub(super) is_blocked: bool,
    /// The last execution number.
    pub(super) executions: u64,
}

/// A listed instrument, as events tell of it.
#[derive(Debug, Clone)]
pub(super) struct Instrument {
    pub(super) base: AssetId,
    pub(super) quote: AssetId,
    pub(super) base_units: u64,
    pub(super) quote_units: u64,
    pub(super) holds: Holds,
    pub(super) phase: Phase,
    pub(super) protection: PriceProtection,
    pub(super) rates: BTreeMap<u8, FeeRates>,
    /// The call that is pending.
    pub(super) call: Option<Call>,
    /// What prices are measured from.
    pub(super) reference: Price,
    /// What this command's trades would move that to, each in its turn.
    pub(super) moved: Vec<Price>,
    /// Whether this command is one in which the reference price moves along.
    pub(super) is_time: bool,
}

impl Instrument {
    /// 8.6: a tier without rates pays tier 0's.
    pub(super) fn rates_of(&self, tier: u8) -> FeeRates {
        let rates = self.rates.get(&tier).or_else(|| self.rates.get(&0));
        rates.copied().unwrap_or(FeeRates::ZERO)
    }
}

/// 7: the phases in which orders match.
pub(super) fn matches_orders(phase: Phase) -> bool {
    matches!(phase, Phase::Continuous | Phase::LimitOnly)
}

impl Instrument {
    /// 5.1: what entering a phase makes of the call; `otherwise` is what NoCancel begins.
    pub(super) fn enter_call(&mut self, to: Phase, otherwise: CallKind) {
        let begins = kind_of(to).or((to == Phase::NoCancel && self.call.is_none()).then_some(otherwise));
        match (&mut self.call, begins) {
            (Some(call), Some(kind)) => call.kind = kind,
            (call @ None, Some(kind)) => *call = Some(Call::new(kind)),
            (_, None) => {}
        }
    }
}

impl Auditor {
    pub(super) fn instrument(&self, id: InstrumentId) -> Result<&Instrument, Fault> {
        found(self.instruments.get(&id), "8.18", "the instrument is not listed")
    }

    /// 4: the same account, or the same group that is not none, at this moment.
    pub(super) fn belong_together(&self, one: AccountId, other: AccountId) -> bool {
        let group = |account| self.accounts.get(&account).map_or(StpGroup::NONE, |account| account.group);
        one == other || (!group(one).is_none() && group(one) == group(other))
    }

    /// 7.6: whether nobody cancels there.
    pub(super) fn keeps_orders(&self, instrument: InstrumentId) -> bool {
        self.instruments.get(&instrument).is_some_and(|it| it.phase == Phase::NoCancel)
    }

    pub(super) fn setting(&mut self, event: &Event) -> Checked {
        match event {
            Event::AccountOpened(event) => {
                let command = event.command;
                let account = Account { group: command.stp_group, fee_tier: command.fee_tier, ..Account::default() };
                let before = self.accounts.insert(command.account, account);
                ensure(before.is_none(), "9.1", || "the account was open before".to_owned())
            }
            Event::AccountModified(event) => {
                if let Some(account) = self.accounts.get_mut(&event.command.account) {
                    account.group = event.command.stp_group;
                    account.fee_tier = event.command.fee_tier;
                }
                Ok(())
            }
            Event::KillSwitchSet(event) => {
                let is_engaged = event.command.switch == engine::command::Switch::Engaged;
                if let Some(account) = self.accounts.get_mut(&event.command.account) {
                    account.is_blocked = is_engaged;
                }
                let account = event.command.account;
                let left = self.orders.values().find(|order| is_engaged && order.account == account);
                ensure(left.is_none(), "8.12", || format!("left open: {left:?}"))?;
                self.ensure_count(event.cancelled_count, "8.12")
            }
            Event::MassCancelled(event) => {
                let named = |order: &&super::Order| {
                    order.account == event.report.account
                        && (event.instrument.is_none() || order.state.instrument == event.instrument)
                        && event.side.is_none_or(|side| order.state.side == side)
                        && (event.entered_by.is_none() || order.session == event.entered_by)
                        && !self.keeps_orders(order.state.instrument)
                };
                let left = self.orders.values().find(named);
                ensure(left.is_none(), "8.13", || format!("left open: {left:?}"))?;
                self.ensure_count(event.cancelled_count, "8.13")
            }
            Event::InstrumentListed(event) => {
                let command = event.command;
                ensure(!self.delisted.contains(&command.instrument), "8.18", || {
                    "the identity was another's".to_owned()
                })?;
                let mut instrument = Instrument {
                    base: command.base,
                    quote: command.quote,
                    base_units: event.base_units,
                    quote_units: event.quote_units,
                    holds: command.holds,
                    phase: command.phase,
                    protection: PriceProtection::DEFAULT,
                    rates: BTreeMap::new(),
                    call: None,
                    reference: command.reference,
                    moved: Vec::new(),
                    is_time: false,
                };
                instrument.enter_call(command.phase, CallKind::Opening);
                let before = self.instruments.insert(command.instrument, instrument);
                ensure(before.is_none(), "9.1", || "the instrument was listed before".to_owned())
            }
            Event::InstrumentDelisted(event) => {
                self.instrument(event.instrument)?;
                let left = self.orders.values().find(|order| order.state.instrument == event.instrument);
                ensure(left.is_none(), "8.18", || format!("left open: {left:?}"))?;
                self.instruments.remove(&event.instrument);
                self.delisted.insert(event.instrument);
                self.ensure_count(event.cancelled_count, "8.18")
            }
            Event::PriceProtectionSet(event) => {
                self.instrument(event.command.instrument)?;
                if let Some(instrument) = self.instruments.get_mut(&event.command.instrument) {
                    instrument.protection = event.command.protection;
                }
                Ok(())
            }
            Event::FeesSet(event) => {
                self.instrument(event.command.instrument)?;
                if let Some(instrument) = self.instruments.get_mut(&event.command.instrument) {
                    instrument.rates.insert(event.command.tier, event.command.rates);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
