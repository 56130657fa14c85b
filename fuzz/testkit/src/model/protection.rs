//! Rule 6: what prices are measured from, and what happens to a price that is too far away.

use engine::command::SetPriceProtection;
use engine::event::{PhaseChanged, PriceBound, PriceBoundReached, PriceProtectionSet};
use engine::instrument::{CollarAction, Distance, Phase, PhaseCause, ReferenceSource};
use engine::*;

use super::auction::Call;
use super::entry::{Wish, ensure, is_worse};
use super::orders::{Order, State};
use super::phases::CallKind;
use super::{Instrument, Model};

/// A price beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) reference: Price,
    pub(super) limit: Price,
    pub(super) price: Price,
}

/// The breach of a price on either side of the reference price, if there is one.
pub(super) fn outside(distance: Distance, reference: Price, price: Price) -> Option<Breach> {
    if reference.is_absent() {
        return None;
    }
    let (lowest, highest) = (distance.below(reference), distance.above(reference));
    let limit = if price > highest {
        highest
    } else if price < lowest {
        lowest
    } else {
        return None;
    };
    Some(Breach { reference, limit, price })
}

impl Instrument {
    /// 6.1: the reference price follows what was done, if that moves it.
    pub(super) fn follow(&mut self) {
        let (traded, auctioned) = (self.traded, self.auctioned);
        self.traded = Price::ABSENT;
        self.auctioned = Price::ABSENT;
        let source = match self.protection.reference_source {
            ReferenceSource::LastTrade => traded,
            ReferenceSource::LastAuction => auctioned,
        };
        if !source.is_absent() {
            self.reference = source;
        }
    }
}

impl Model {
    /// 6.1: at the end of a command, or of each thing that is due.
    pub(super) fn follow_references(&mut self) {
        self.instruments.values_mut().for_each(Instrument::follow);
    }

    /// 6.2: how a limit lies outside the entry band.
    pub(super) fn entry_breach(&self, wish: &Wish) -> Option<Breach> {
        let instrument = &self.instruments[&wish.instrument];
        // An elected StopLimit is a limit order.
        let reference = match wish.order_type {
            OrderType::Limit => instrument.reference,
            OrderType::StopLimit if wish.works => instrument.reference,
            OrderType::StopLimit => wish.stop_price,
            OrderType::Market | OrderType::Stop => return None,
        };
        if reference.is_absent() || wish.shrinks_within.is_some() {
            return None;
        }
        let limit = instrument.protection.entry_band.furthest(wish.side, reference);
        is_worse(wish.side, wish.price, limit).then_some(Breach { reference, limit, price: wish.price })
    }

    /// 6.3: how a match lies outside the collar.
    pub(super) fn collar_breach(&self, instrument: InstrumentId, price: Price) -> Option<Breach> {
        let instrument = &self.instruments[&instrument];
        outside(instrument.protection.collar, instrument.reference, price)
    }

    pub(super) fn tell_breach(&mut self, instrument: InstrumentId, order_id: OrderId, bound: PriceBound, it: Breach) {
        let Breach { reference, limit, price } = it;
        self.emit(PriceBoundReached { instrument, order_id, bound, reference, limit, price });
    }

    /// 6.3, 6.4: the incoming order stops, and with it, where that is set, continuous trading.
    pub(super) fn stop_at_collar(&mut self, id: OrderId, breach: Breach) {
        let order = self.order(id).clone();
        self.tell_breach(order.instrument, id, PriceBound::Collar, breach);
        let action = self.instruments[&order.instrument].protection.collar_action;
        if action == CollarAction::CancelRemainder {
            self.cancel(id, CancelReason::Collar, ClientOrderId::NONE);
            return;
        }
        self.interrupt(order.instrument);
        if would_rest(&order) {
            self.stand(id);
        } else {
            self.cancel(id, CancelReason::Collar, ClientOrderId::NONE);
        }
        // Elected stops wait at their places as before.
        self.elected.clear();
    }

    /// 6.4: from matching into a volatility call, which may end by itself.
    fn interrupt(&mut self, id: InstrumentId) {
        let ends_at = self.call_end(id);
        let instrument = self.instruments.get_mut(&id).expect("a listed instrument");
        let from = instrument.phase;
        instrument.phase = Phase::VolatilityCall;
        instrument.call = Some(Call::new(CallKind::Volatility));
        instrument.call_end = ends_at.map(|at| (at, from));
        let (to, cause) = (Phase::VolatilityCall, PhaseCause::Collar);
        let (author, note) = (KeyId::VENUE, command::AdminNote::NONE);
        self.emit(PhaseChanged { instrument: id, from, to, cause, author, note });
    }

    /// 6.5: what a market order's protection is counted from: its first best opposite price, or its stop price.
    pub(super) fn tell_market_protection(&mut self, id: OrderId, price: Price) {
        let order = self.order(id);
        let reference = if order.order_type == OrderType::Stop { order.stop_price } else { order.first_best };
        let (instrument, limit) = (order.instrument, order.bound);
        self.tell_breach(instrument, id, PriceBound::Market, Breach { reference, limit, price });
    }

    pub(super) fn set_price_protection(&mut self, command: SetPriceProtection) -> Result<(), RejectReason> {
        let instrument = self.instruments.get_mut(&command.instrument).ok_or(RejectReason::UnknownInstrument)?;
        instrument.protection = command.protection;
        self.emit(PriceProtectionSet { author: self.turn.header.author, command });
        if self.is_in_call(command.instrument) {
            self.hold_anew(command.instrument);
        }
        Ok(())
    }

    /// 5.13: standing market orders hold at the worst price of now, oldest in the queue first, or end.
    fn hold_anew(&mut self, instrument: InstrumentId) {
        let standing = Side::BOTH.into_iter().flat_map(|side| self.market_orders(instrument, side));
        let mut standing: Vec<Order> = standing.collect();
        standing.sort_by_key(|order| order.place);
        for order in standing {
            if self.hold_at_worst(order.id).is_err() {
                self.cancel(order.id, CancelReason::InsufficientFunds, ClientOrderId::NONE);
            }
        }
    }

    /// 5.2: gives a market order the worst price of now, if its account covers that.
    pub(super) fn hold_at_worst(&mut self, id: OrderId) -> Result<(), RejectReason> {
        let mut order = self.order(id).clone();
        order.bound = self.worst_in_call(order.instrument, order.side);
        let need = self.need(&order);
        ensure(self.covers(order.account, &order, need), RejectReason::InsufficientFunds)?;
        self.order_mut(id).bound = order.bound;
        Ok(())
    }

    /// 5.2: the auction band's from the reference price, else the furthest that there is.
    pub(super) fn worst_in_call(&self, instrument: InstrumentId, side: Side) -> Price {
        let instrument = &self.instruments[&instrument];
        let (distance, reference) = match instrument.reference {
            Price::ABSENT => (Distance::UNLIMITED, Price::MAX),
            reference => (instrument.protection.auction, reference),
        };
        distance.furthest(side, reference)
    }
}

/// 6.4: Limit and StopLimit that last.
fn would_rest(order: &Order) -> bool {
    let lasts =
        matches!(order.time_in_force, TimeInForce::GoodTillCancel | TimeInForce::Day | TimeInForce::GoodTillDate);
    order.enters_as() == OrderType::Limit && lasts
}

impl Order {
    /// Whether it is in an instrument's queue of market orders.
    pub(super) fn stands_as_market(&self, instrument: InstrumentId) -> bool {
        self.instrument == instrument && self.state == State::Resting && self.order_type == OrderType::Market
    }
}
