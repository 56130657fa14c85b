//! Self-trade prevention (rule 4): what happens when an order would trade with its own group.
//!
//! The incoming order's mode decides, at the moment of the match that would be. What traded before stands.

use crate::accounts::Account;
use crate::book::arena::{Arena, Order, Slot};
use crate::engine::Engine;
use crate::event::{EventSink, MatchPrevented, Requester, RestatementReason};
use crate::limits::TIPS_MAX;
use crate::order::{SelfTradePrevention, Side};
use crate::protection::Band;
use crate::reject::CancelReason;
use crate::risk::{Exposure, held_asset};
use crate::table::Table;
use crate::turn::Turn;
use crate::validate::crosses;
use crate::{AccountId, ClientOrderId, InstrumentId, Price, Quantity, StpGroup};

/// Whether the incoming order is still there after a match was prevented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prevention {
    /// It goes on with what is left.
    GoOn,
    /// It has ended.
    Ended,
}

/// An order that would like to know how much it would trade.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) account: AccountId,
    pub(crate) mode: SelfTradePrevention,
    pub(crate) instrument: InstrumentId,
    pub(crate) side: Side,
    pub(crate) limit: Price,
    pub(crate) quantity: Quantity,
}

impl Table<Account> {
    /// Whether these are one account, or two of one group.
    #[inline(always)]
    pub(crate) fn is_one_owner(&self, one: AccountId, other: AccountId) -> bool {
        one == other || !self.group(one).is_none() && self.group(one) == self.group(other)
    }

    /// The account's group; none if it has none, or does not exist.
    #[inline(always)]
    pub(crate) fn group(&self, account: AccountId) -> StpGroup {
        self.get(account.0).map_or(StpGroup::NONE, |account| account.stp_group)
    }
}

impl Walk {
    /// Whether it goes on to a price: within its limit and the collar.
    fn reaches(&self, collar: &Band, price: Price) -> bool {
        crosses(self.side, self.limit, price) && collar.passed(price).is_none()
    }
}

impl Engine {
    /// What is to happen if these two meet: they trade if they do not belong together, or if the incoming order's mode
    /// lets them.
    #[inline(always)]
    pub(crate) fn prevention(&self, resting: Slot, incoming: Slot) -> SelfTradePrevention {
        match self.orders.arena[incoming].self_trade_prevention {
            SelfTradePrevention::Allow => SelfTradePrevention::Allow,
            mode if self.belong_together(resting, incoming) => mode,
            _ => SelfTradePrevention::Allow,
        }
    }

    /// Whether two orders are of one account or of accounts of one group.
    #[inline(always)]
    pub(crate) fn belong_together(&self, one: Slot, other: Slot) -> bool {
        self.accounts.is_one_owner(self.orders.arena[one].account, self.orders.arena[other].account)
    }

    /// Keeps two orders from trading `quantity` at `price`.
    pub(crate) fn prevent<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        resting: Slot,
        incoming: Slot,
        price: Price,
        quantity: Quantity,
        mode: SelfTradePrevention,
    ) -> Prevention {
        let [rests, comes] = [resting, incoming].map(|slot| self.orders.arena[slot]);
        turn.emit(MatchPrevented {
            instrument: rests.instrument,
            price,
            quantity,
            mode,
            resting: rests.id,
            resting_account: rests.account,
            incoming: comes.id,
            incoming_account: comes.account,
        });
        match mode {
            SelfTradePrevention::Allow => {}
            SelfTradePrevention::CancelIncoming => self.cancel_prevented(turn, incoming),
            SelfTradePrevention::CancelResting => self.cancel_prevented(turn, resting),
            SelfTradePrevention::CancelBoth => {
                self.cancel_prevented(turn, resting);
                self.cancel_prevented(turn, incoming);
            }
            SelfTradePrevention::Decrement => {
                self.decrement(turn, resting, price, quantity);
                self.decrement(turn, incoming, price, quantity);
            }
        }
        if self.orders.arena.find(comes.id).is_some() { Prevention::GoOn } else { Prevention::Ended }
    }

    fn cancel_prevented<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot) {
        self.cancel(turn, slot, CancelReason::SelfTradePrevention, Requester::NOBODY, ClientOrderId::NONE);
    }

    /// Takes prevented quantity away from an order; with nothing left it ends.
    fn decrement<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot, price: Price, quantity: Quantity) {
        let before = Exposure::of(&self.orders.arena, slot);
        self.take_off(slot, quantity);
        let order = self.orders.arena[slot];
        let market = self.markets.get(order.instrument.0).expect("an order's instrument is listed");
        let extras = self.orders.arena.extras_mut(slot);
        extras.prevented += quantity;
        if order.is_by_funds() {
            extras.funds.0 -= market.checked_notional(price, quantity);
        }
        let Order { account, leaves, .. } = order;
        let after = Exposure::of(&self.orders.arena, slot);
        let has_ended = leaves.is_zero() && !order.is_by_funds();
        if market.settles() {
            let asset = held_asset(market, before.side);
            self.ledger
                .change_hold(account, asset, before.hold(market), after.hold(market))
                .expect("less quantity needs less");
        }
        if has_ended {
            return self.cancel_prevented(turn, slot);
        }
        self.restate(turn, slot, RestatementReason::Prevented);
        self.refresh(turn, slot);
    }

    /// Whether an incoming order would trade at least `enough` at once.
    ///
    /// The sum of levels answers where nothing can be prevented, and refuses where even all of it is not enough; else
    /// orders are walked as the match would, no more of them than it would meet.
    pub(crate) fn would_trade(&self, walk: &Walk, enough: Quantity) -> bool {
        let within_reach = self.quantity_within_reach(walk, enough);
        if within_reach < u128::from(enough.0) || !self.may_meet_itself(walk) {
            return within_reach >= u128::from(enough.0);
        }
        let market = self.market(walk.instrument);
        let collar = market.collar();
        let (mut left, mut traded) = (u128::from(walk.quantity.0), 0);
        for (price, _, level) in market.book.levels(&self.orders, walk.side.opposite()) {
            if left == 0 || traded >= u128::from(enough.0) || !walk.reaches(&collar, price) {
                break;
            }
            let met = self.walk_level(walk, level, left);
            traded += met.traded;
            left = met.left;
        }
        traded >= u128::from(enough.0)
    }

    /// What rests within an order's reach, up to what is enough.
    fn quantity_within_reach(&self, walk: &Walk, enough: Quantity) -> u128 {
        let market = self.market(walk.instrument);
        let collar = market.collar();
        let mut sum = 0;
        for (price, open, _) in market.book.levels(&self.orders, walk.side.opposite()) {
            if sum >= u128::from(enough.0) || !walk.reaches(&collar, price) {
                break;
            }
            sum += open;
        }
        sum
    }

    fn may_meet_itself(&self, walk: &Walk) -> bool {
        let account = self.accounts.get(walk.account.0);
        walk.mode != SelfTradePrevention::Allow
            && account.is_some_and(|account| account.open_orders > 0 || !account.stp_group.is_none())
    }

    /// Meets the orders of one level with `left` to trade.
    fn walk_level(&self, walk: &Walk, level: impl Iterator<Item = Slot> + Clone, left: u128) -> Met {
        let is_own = |slot: Slot| self.accounts.is_one_owner(walk.account, self.orders.arena[slot].account);
        let open = |slot: Slot| u128::from(self.orders.arena[slot].leaves.0);
        let others: u128 = level.clone().filter(|&slot| !is_own(slot)).map(open).sum();
        let own: u128 = level.clone().filter(|&slot| is_own(slot)).map(open).sum();
        match walk.mode {
            _ if own == 0 => Met::all(others, left),
            SelfTradePrevention::Allow | SelfTradePrevention::CancelResting => Met::all(others, left),
            SelfTradePrevention::CancelIncoming | SelfTradePrevention::CancelBoth => {
                // First tips only: the own order ends the walk before a second one is met.
                let shown = |slot: Slot| u128::from(self.orders.arena.shown(slot).0);
                let before: u128 = level.take_while(|&slot| !is_own(slot)).map(shown).sum();
                Met { traded: before.min(left), left: 0 }
            }
            SelfTradePrevention::Decrement if left > others + own => Met { traded: others, left: left - others - own },
            SelfTradePrevention::Decrement => Met { traded: self.others_share(level, &is_own, left), left: 0 },
        }
    }

    /// How much of `left` goes to others where a level has at least that: tip by tip, as they come to the front.
    ///
    /// The turn in which `left` runs out is searched for, so that many small tips cost no more than few large ones.
    fn others_share(
        &self,
        level: impl Iterator<Item = Slot> + Clone,
        is_own: &impl Fn(Slot) -> bool,
        left: u128,
    ) -> u128 {
        let met = |slot: Slot, turns: u64| u128::from(met_after(&self.orders.arena, slot, turns).0);
        let all_met = |turns: u64| -> u128 { level.clone().map(|slot| met(slot, turns)).sum() };
        // A display quantity that was amended may leave less than a whole tip shown: one turn more.
        let (mut whole, mut enough) = (0, TIPS_MAX + 1);
        while enough - whole > 1 {
            let turns = whole + (enough - whole) / 2;
            *(if all_met(turns) < left { &mut whole } else { &mut enough }) = turns;
        }
        let mut rest = left - all_met(whole);
        let others = level.clone().filter(|&slot| !is_own(slot));
        let mut traded: u128 = others.map(|slot| met(slot, whole)).sum();
        for slot in level {
            let tip = (met(slot, whole + 1) - met(slot, whole)).min(rest);
            rest -= tip;
            if !is_own(slot) {
                traded += tip;
            }
        }
        traded
    }
}

/// How much of a resting order is met in so many turns at the front of its level: what it shows, then a tip each.
fn met_after(arena: &Arena, slot: Slot, turns: u64) -> Quantity {
    let Some(refreshed) = turns.checked_sub(1) else { return Quantity::ZERO };
    let tips = refreshed.saturating_mul(arena.extras(slot).display.0);
    Quantity(arena.shown(slot).0.saturating_add(tips).min(arena[slot].leaves.0))
}

/// What became of a walk through one level.
#[derive(Debug, Clone, Copy)]
struct Met {
    traded: u128,
    left: u128,
}

impl Met {
    /// As much as there is.
    fn all(open: u128, left: u128) -> Self {
        let traded = open.min(left);
        Self { traded, left: left - traded }
    }
}
