//! Rules 5 and 7: calls, what is told of them, and that an auction is what its book makes it.

use std::collections::BTreeSet;

use engine::command::SetPhase;
use engine::event::{IndicativeChanged, PhaseChanged, Trade, Uncrossed};
use engine::instrument::{Phase, PhaseCause};
use engine::{
    CancelReason, Command, CommandBody, InstrumentId, OrderFlags, OrderId, OrderType, Price, Quantity, Side,
    TimeInForce,
};

use super::book::{Owed, is_within};
use super::orders::{Order, Stand};
use super::settings::matches_orders;
use super::{Auditor, Checked, ensure, found};

/// What kind of auction a call ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    Opening,
    Volatility,
    Closing,
}

/// A pending call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    /// What was told last.
    told: Told,
}

/// Price, volume and surplus as they are told.
type Told = (Price, Quantity, Option<Side>, Quantity);

const NOTHING: Told = (Price::ABSENT, Quantity::ZERO, None, Quantity::ZERO);

/// An auction whose trades are being told.
#[derive(Debug, Clone)]
pub(super) struct Auction {
    instrument: InstrumentId,
    price: Price,
    /// What has still to trade.
    left: u128,
    /// Who traded, and has something left.
    partly: BTreeSet<OrderId>,
}

/// What a call would end in: price, volume, and what buys have over sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) price: Price,
    volume: u128,
    surplus: i128,
}

impl Call {
    pub(super) fn new(kind: CallKind) -> Self {
        Self { kind, told: NOTHING }
    }
}

/// 5.1: the kind of call that a phase belongs to, whatever was before.
pub(super) fn kind_of(phase: Phase) -> Option<CallKind> {
    match phase {
        Phase::PreOpen | Phase::OpeningCall => Some(CallKind::Opening),
        Phase::VolatilityCall => Some(CallKind::Volatility),
        Phase::ClosingCall => Some(CallKind::Closing),
        _ => None,
    }
}

/// 7: which new orders a phase takes.
pub(super) fn takes_new(
    phase: Phase,
    call: Option<CallKind>,
    order_type: OrderType,
    time_in_force: TimeInForce,
    flags: OrderFlags,
) -> bool {
    let is_post_only = flags.contains(OrderFlags::POST_ONLY);
    let at_the_opening = time_in_force == TimeInForce::AtTheOpening;
    match phase {
        Phase::Continuous => !at_the_opening,
        Phase::PostOnly => is_post_only,
        Phase::LimitOnly => order_type == OrderType::Limit && !at_the_opening,
        Phase::CancelOnly | Phase::Halted | Phase::Closed => false,
        Phase::PreOpen | Phase::OpeningCall | Phase::VolatilityCall | Phase::ClosingCall | Phase::NoCancel => {
            let opens = call == Some(CallKind::Opening);
            !is_post_only && time_in_force.rests() && (opens || !at_the_opening)
        }
    }
}

impl Ending {
    const NONE: Self = Self { price: Price::ABSENT, volume: 0, surplus: 0 };

    fn told(&self) -> Told {
        let lots = |lots: u128| Quantity(u64::try_from(lots).unwrap_or(u64::MAX).min(u64::MAX - 2));
        let side = match self.surplus.signum() {
            0 => None,
            1 => Some(Side::Buy),
            _ => Some(Side::Sell),
        };
        (self.price, lots(self.volume), side, lots(self.surplus.unsigned_abs()))
    }
}

impl Auditor {
    /// The kind of call that is pending.
    pub(super) fn call(&self, instrument: InstrumentId) -> Option<CallKind> {
        self.instruments.get(&instrument)?.call.as_ref().map(|call| call.kind)
    }

    fn standing(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = (OrderId, &Order)> {
        let of_side = move |order: &&Order| order.state.instrument == instrument && order.state.side == side;
        let stands = self.orders.iter().filter(|(_, order)| order.stand == Stand::Resting);
        stands.filter(move |(_, order)| of_side(order)).map(|(&id, order)| (id, order))
    }

    /// 5.3: V and X at a price.
    fn at(&self, instrument: InstrumentId, price: Price) -> (u128, i128) {
        let mut sums = [0_u128; 2];
        for (sum, side) in sums.iter_mut().zip(Side::BOTH) {
            let counts = |order: &Order| order.is_market() || is_within(side, price, order.state.price);
            let counted = self.standing(instrument, side).filter(|(_, order)| counts(order));
            *sum = counted.map(|(_, order)| u128::from(order.state.leaves.0)).sum();
        }
        let [demand, supply] = sums;
        let more = i128::try_from(demand.abs_diff(supply)).unwrap_or(i128::MAX);
        (demand.min(supply), if demand < supply { -more } else { more })
    }

    /// 5.4: what a call would end in, if prices are measured from `reference`.
    pub(super) fn would_end(&self, instrument: InstrumentId, reference: Price) -> Ending {
        let both = Side::BOTH.into_iter().flat_map(|side| self.standing(instrument, side));
        let limits: BTreeSet<Price> = both.filter(|(_, it)| !it.is_market()).map(|(_, it)| it.state.price).collect();
        // Best first: more volume, then less surplus.
        let rank = |price: &Price| {
            let (volume, surplus) = self.at(instrument, *price);
            (u128::MAX - volume, surplus.unsigned_abs())
        };
        let best = limits.iter().map(rank).min();
        let left: Vec<(Price, i128)> = limits
            .iter()
            .filter(|price| Some(rank(price)) == best)
            .map(|&price| (price, self.at(instrument, price).1))
            .collect();
        let sign = |wanted: i128| left.iter().filter(move |it| it.1.signum() == wanted).map(|it| it.0);
        let price = match (left.first(), left.last()) {
            (Some(&(lowest, _)), Some(&(highest, _))) => {
                let (bought, sold) = (sign(1).max(), sign(-1).min());
                let (from, to) = match (bought, sold, sign(0).next()) {
                    (Some(price), None, None) | (None, Some(price), None) => (price, price),
                    (Some(from), Some(to), _) => (from, to),
                    _ => (lowest, highest),
                };
                if reference.is_absent() { from } else { reference.clamp(from, to) }
            }
            _ => reference,
        };
        if price.is_absent() {
            return Ending::NONE;
        }
        let (volume, surplus) = self.at(instrument, price);
        if volume == 0 { Ending::NONE } else { Ending { price, volume, surplus } }
    }

    /// 5.5: told at the end of a command, by instrument, only if something changed, and as the book says.
    pub(super) fn indicative_changed(&mut self, event: &IndicativeChanged) -> Checked {
        self.settle_incoming()?;
        let id = event.instrument;
        ensure(self.last_indicative < Some(id), "5.5", || format!("told before: {:?}", self.last_indicative))?;
        self.last_indicative = Some(id);
        let now = self.would_end(id, self.instrument(id)?.reference_behind()).told();
        let told = (event.price, event.volume, event.surplus_side, event.surplus);
        ensure(told == now, "5.5", || format!("the book says {now:?}"))?;
        let instrument = self.instruments.get_mut(&id).expect("looked at above");
        let call = found(instrument.call.as_mut(), "5.5", "no call is pending")?;
        ensure(call.told != now, "5.5", || "nothing changed".to_owned())?;
        call.told = now;
        Ok(())
    }

    /// 5.5: whatever changed was told.
    pub(super) fn indicatives_are_told(&self) -> Checked {
        for (&id, instrument) in &self.instruments {
            let Some(call) = &instrument.call else { continue };
            let now = self.would_end(id, instrument.reference).told();
            ensure(call.told == now, "5.5", || format!("of {id} was told {:?}, and is {now:?}", call.told))?;
        }
        Ok(())
    }

    /// 5.4, 5.6, 5.11: an auction ends a pending call, at the price of its book, within its band.
    pub(super) fn uncrossed(&mut self, event: &Uncrossed) -> Checked {
        self.settle_incoming()?;
        ensure(self.auction.is_none(), "5.6", || "another auction is not done".to_owned())?;
        let id = event.instrument;
        let instrument = self.instrument(id)?.clone();
        ensure(instrument.call.is_some(), "5.6", || "no call is pending".to_owned())?;
        ensure(event.phase == instrument.phase, "5.6", || format!("the phase is {:?}", instrument.phase))?;
        let told = (event.price, event.volume, event.surplus_side, event.surplus);
        let ends = instrument.references().into_iter().map(|reference| (reference, self.would_end(id, reference)));
        let matching: Vec<_> = ends.clone().filter(|(_, end)| end.told() == told).collect();
        ensure(!matching.is_empty(), "5.4", || format!("the book says {:?}", ends.collect::<Vec<_>>()))?;
        let band = instrument.protection.auction;
        let is_inside = |reference: Price, price: Price| {
            price.is_absent()
                || reference.is_absent()
                || (band.below(reference)..=band.above(reference)).contains(&price)
        };
        let inside = matching.iter().any(|&(reference, end)| is_inside(reference, end.price));
        ensure(inside, "5.11", || format!("the band is {band:?} from {:?}", instrument.references()))?;
        let (_, end) = matching[0];
        self.auction = Some(Auction { instrument: id, price: end.price, left: end.volume, partly: BTreeSet::new() });
        if end.volume == 0 {
            self.owe_remainders(id);
        }
        Ok(())
    }

    /// 5.6: market orders by time, then better limits, then time.
    fn first_of(&self, instrument: InstrumentId, side: Side) -> Option<OrderId> {
        let rank = |order: &Order| match (order.is_market(), side) {
            (true, _) => (0, 0, order.place),
            (false, Side::Buy) => (1, u64::MAX - order.state.price.0, order.place),
            (false, Side::Sell) => (1, order.state.price.0, order.place),
        };
        self.standing(instrument, side).min_by_key(|(_, order)| rank(order)).map(|(id, _)| id)
    }

    /// 5.6, 5.7: a trade of the auction that was told last.
    pub(super) fn auction_trade(&mut self, event: &Trade) -> Checked {
        ensure(self.owed.is_empty(), "5.6", || format!("still to be told: {:?}", self.owed))?;
        let auction = self.auction.clone();
        let mut auction = found(auction, "5.6", "there is no auction")?;
        let (buy, sell) = (&event.maker, &event.taker);
        ensure(event.instrument == auction.instrument, "5.6", || format!("the auction is {:?}", auction.instrument))?;
        ensure(event.price == auction.price, "5.6", || format!("the auction price is {:?}", auction.price))?;
        for (side, told) in [(Side::Buy, buy), (Side::Sell, sell)] {
            self.open(told.order_id, told.report.account)?;
            let first = self.first_of(auction.instrument, side);
            ensure(first == Some(told.order_id), "5.6", || format!("the first {side:?} is {first:?}"))?;
            let order = &self.orders[&told.order_id];
            let within = order.is_market() || is_within(side, event.price, order.state.price);
            ensure(within, "5.6", || format!("its limit is {:?}", order.state.price))?;
        }
        let leaves = [buy, sell].map(|side| self.orders[&side.order_id].state.leaves.0);
        let most = u128::from(leaves[0].min(leaves[1])).min(auction.left);
        ensure(u128::from(event.quantity.0) == most && most > 0, "5.6", || format!("it would be of {most}"))?;
        self.same_ownership(event)?;
        for side in [buy, sell] {
            let order = self.orders.get_mut(&side.order_id).expect("looked at above");
            order.take_in_auction(event.quantity);
        }
        self.settle(event)?;
        for side in [buy, sell] {
            self.side_holds(side)?;
        }
        auction.left -= most;
        for id in [buy.order_id, sell.order_id] {
            auction.partly.remove(&id);
            if self.orders[&id].state.leaves.is_zero() {
                self.end(id);
            } else {
                auction.partly.insert(id);
            }
        }
        let (id, is_done) = (auction.instrument, auction.left == 0);
        let instrument = self.instruments.get_mut(&id).expect("looked at above");
        instrument.moves(event.price, true);
        if is_done {
            let partly = &auction.partly;
            ensure(partly.len() <= 1, "5.6", || format!("partly filled are {partly:?}"))?;
            for side in [buy, sell] {
                self.owe_tip(side.order_id);
            }
            self.owe_remainders(id);
            self.better_are_filled(&auction)?;
        }
        self.auction = Some(auction);
        Ok(())
    }

    /// 5.6: every order that is strictly better than the price is filled.
    fn better_are_filled(&self, auction: &Auction) -> Checked {
        for side in Side::BOTH {
            let better = |order: &Order| {
                !order.is_market()
                    && order.state.price != auction.price
                    && is_within(side, auction.price, order.state.price)
            };
            let left = self.standing(auction.instrument, side).find(|(_, order)| better(order));
            ensure(left.is_none(), "5.6", || format!("better, and not filled: {left:?}"))?;
        }
        Ok(())
    }

    /// 5.8: behind the last trade an iceberg's next tip is told.
    fn owe_tip(&mut self, id: OrderId) {
        let owes = self.orders.get(&id).is_some_and(|it| it.state.shown.is_zero() && !it.tip().is_zero());
        if owes {
            self.owed.push_back(Owed::Refreshed(id));
        }
    }

    /// 5.9: which remainders end behind the trades.
    fn owe_remainders(&mut self, instrument: InstrumentId) {
        let mut standing: Vec<(OrderId, Order)> = Side::BOTH
            .into_iter()
            .flat_map(|side| self.standing(instrument, side))
            .map(|(id, order)| (id, order.clone()))
            .collect();
        standing.sort_by_key(|(_, order)| order.age);
        let reason_of = |order: &Order| match (order.state.time_in_force, order.is_market()) {
            (TimeInForce::AtTheOpening, _) => Some(CancelReason::OpeningRemainder),
            (TimeInForce::AtTheClose, _) => Some(CancelReason::ClosingRemainder),
            (_, true) => Some(CancelReason::AuctionRemainder),
            (_, false) => None,
        };
        for reason in [CancelReason::OpeningRemainder, CancelReason::ClosingRemainder, CancelReason::AuctionRemainder] {
            let ends = standing.iter().filter(|(_, order)| reason_of(order) == Some(reason));
            self.owed.extend(ends.map(|&(id, _)| Owed::Ended(id, reason)));
        }
    }

    /// 5.1, 5.6, 7.5: a phase changes for a cause, behind the auction that it ends.
    pub(super) fn phase_changed(&mut self, command: &Command, event: &PhaseChanged) -> Checked {
        let id = event.instrument;
        let before = self.instrument(id)?.clone();
        ensure(before.phase == event.from, "7.1", || format!("the phase was {:?}", before.phase))?;
        let asked = match command.body {
            CommandBody::SetPhase(SetPhase { instrument, phase, .. }) => Some((instrument, phase)),
            _ => None,
        };
        let is_time = matches!(command.body, CommandBody::AdvanceTime(_));
        let caused = match event.cause {
            PhaseCause::Administrator => asked == Some((id, event.to)),
            PhaseCause::Calendar | PhaseCause::CallEnded => is_time,
            PhaseCause::AuctionBand => self.done == Some(Owed::Banded(id)),
            PhaseCause::Collar => matches!(self.done, Some(Owed::Collared(_))),
            PhaseCause::Listing => false,
        };
        ensure(caused, "7.5", || format!("{:?} did not do this", event.cause))?;
        if event.cause != PhaseCause::Collar {
            self.settle_incoming()?;
        }
        let auction = self.auction.take();
        if event.cause == PhaseCause::AuctionBand {
            let call = before.call.as_ref().map(|call| call.kind);
            let goes_on = kind_of(event.to).is_some() && kind_of(event.to) == call && event.to != Phase::PreOpen;
            ensure(goes_on || event.to == Phase::Halted, "5.11", || format!("the call is {call:?}"))?;
        } else {
            let ends = ends_auction(&before.call, event.from, event.to);
            let ended = auction.as_ref().map(|auction| (auction.instrument, auction.left));
            let expected = ends.then_some((id, 0));
            ensure(ended == expected, "5.6", || format!("ended: {auction:?}, to be ended: {ends}"))?;
        }
        let instrument = self.instruments.get_mut(&id).expect("looked at above");
        instrument.phase = event.to;
        if auction.is_some() {
            instrument.call = None;
        }
        instrument.enter_call(event.to, CallKind::Volatility);
        if event.cause == PhaseCause::Collar {
            // 6.4: elected stops go back to wait.
            for (id, _) in std::mem::take(&mut self.elected) {
                if let Some(order) = self.orders.get_mut(&id) {
                    order.stand = Stand::Waiting;
                }
            }
        }
        if self.call(id) == Some(CallKind::Closing) {
            self.owe_joins(id);
        }
        if let Some(auction) = auction.filter(|it| matches_orders(event.to) && !it.price.is_absent()) {
            self.elect(id, auction.price);
        }
        Ok(())
    }

    /// 5.10: who joins a closing call, in the order in which they came to wait.
    fn owe_joins(&mut self, instrument: InstrumentId) {
        let waits = |order: &Order| order.state.instrument == instrument && order.stand == Stand::ForTheClose;
        let mut waiting: Vec<(u64, OrderId)> =
            self.orders.iter().filter(|(_, order)| waits(order)).map(|(&id, order)| (order.place, id)).collect();
        waiting.sort_unstable();
        self.owed.extend(waiting.into_iter().map(|(_, id)| Owed::Joined(id)));
    }
}

/// 5.6: whether a change of phase ends the pending call's auction.
fn ends_auction(call: &Option<Call>, from: Phase, to: Phase) -> bool {
    let Some(call) = call else { return false };
    match to {
        Phase::Continuous | Phase::PostOnly | Phase::LimitOnly => true,
        Phase::Closed => from == Phase::ClosingCall || (from == Phase::NoCancel && call.kind == CallKind::Closing),
        _ => false,
    }
}
