//! Rule 6: the reference price as trades move it, and that what a bound stopped was beyond it.

use engine::event::{PriceBound, PriceBoundReached};
use engine::instrument::{CollarAction, Distance, ReferenceSource};
use engine::{Command, CommandBody, Event, OrderId, OrderType, Price, Side};

use super::book::{Owed, is_within};
use super::settings::Instrument;
use super::{Auditor, Checked, ensure, found};

/// How a price is beyond a bound on either side of a reference price.
fn is_beyond(distance: Distance, reference: Price, limit: Price, price: Price) -> bool {
    (limit == distance.above(reference) && price > limit) || (limit == distance.below(reference) && price < limit)
}

impl Instrument {
    /// A trade or an auction has this price.
    pub(super) fn moves(&mut self, price: Price, in_auction: bool) {
        let source = self.protection.reference_source;
        if source == ReferenceSource::LastTrade || in_auction {
            self.moved.push(price);
        }
    }

    /// 6.1: what a price may be measured from now. Of the things that fall due at one time each moves it, and events
    /// do not tell where one ends.
    pub(super) fn references(&self) -> Vec<Price> {
        let mut references = vec![self.reference];
        if self.is_time {
            references.extend(&self.moved);
        }
        references
    }

    /// 6.1: what prices are measured from behind this command.
    pub(super) fn reference_behind(&self) -> Price {
        self.moved.last().copied().unwrap_or(self.reference)
    }

    /// 6.3: whether a match may have this price.
    pub(super) fn is_inside_collar(&self, price: Price) -> bool {
        let collar = self.protection.collar;
        let is_inside = |it: Price| it.is_absent() || (collar.below(it)..=collar.above(it)).contains(&price);
        self.references().into_iter().any(is_inside)
    }
}

impl Auditor {
    pub(super) fn begin_references(&mut self, command: &Command) {
        for instrument in self.instruments.values_mut() {
            instrument.is_time = matches!(command.body, CommandBody::AdvanceTime(_));
        }
    }

    /// 6.1: the reference price moves behind what moved it.
    pub(super) fn follow_references(&mut self) {
        for instrument in self.instruments.values_mut() {
            instrument.reference = instrument.reference_behind();
            instrument.moved.clear();
        }
    }

    /// What has to be told next is this, or nothing has to; remembers what it was.
    pub(super) fn pays(&mut self, event: &Event) -> Checked {
        self.done = None;
        let Some(&owed) = self.owed.front() else { return Ok(()) };
        let pays = match owed {
            Owed::Refreshed(_) if self.auction.is_some() => {
                let refreshed = matches!(event, Event::OrderRestated(_));
                return ensure(refreshed, "5.8", || format!("to be told first: {owed:?}"));
            }
            // Looked at where they are told.
            Owed::Cancelled(_) | Owed::Reduced(_) | Owed::Refreshed(_) => return Ok(()),
            Owed::Refused => crate::compare::refusal(event) == Some(engine::RejectReason::OutsidePriceBand),
            Owed::Protected(id) => is_end(event, id, &[engine::CancelReason::MarketProtection]),
            Owed::Ended(id, reason) => is_end(event, id, &[reason]),
            Owed::Collared(id) if self.collar_interrupts(id) => {
                matches!(event, Event::PhaseChanged(it) if it.cause == engine::instrument::PhaseCause::Collar)
            }
            Owed::Collared(id) => is_end(event, id, &[engine::CancelReason::Collar]),
            Owed::Banded(id) => matches!(
                event,
                Event::PhaseChanged(it) if it.instrument == id
                    && it.cause == engine::instrument::PhaseCause::AuctionBand
            ),
            Owed::Joined(id) => {
                let joins = matches!(event, Event::OrderRestated(it) if it.order.order_id == id
                    && it.reason == engine::event::RestatementReason::JoinedCall);
                let reasons = [engine::CancelReason::InsufficientFunds, engine::CancelReason::CapacityFull];
                joins || is_end(event, id, &reasons)
            }
        };
        ensure(pays, owed.rule(), || format!("to be told first: {owed:?}"))?;
        self.done = self.owed.pop_front();
        Ok(())
    }

    fn collar_interrupts(&self, id: OrderId) -> bool {
        let instrument = self.orders.get(&id).and_then(|order| self.instruments.get(&order.state.instrument));
        instrument.is_some_and(|it| it.protection.collar_action == CollarAction::VolatilityCall)
    }

    /// 5.11, 6.2, 6.3, 6.5: what a bound stopped was beyond it, and what follows is told next.
    pub(super) fn price_bound_reached(&mut self, command: &Command, event: &PriceBoundReached) -> Checked {
        let owed = match event.bound {
            PriceBound::EntryBand => self.entry_bound(command, event)?,
            PriceBound::Collar => self.collar_bound(event)?,
            PriceBound::Market => self.market_bound(event)?,
            PriceBound::AuctionBand => self.auction_bound(event)?,
        };
        self.owed.push_back(owed);
        Ok(())
    }

    fn entry_bound(&self, command: &Command, event: &PriceBoundReached) -> Result<Owed, super::Fault> {
        let instrument = self.instrument(event.instrument)?;
        let band = instrument.protection.entry_band;
        ensure(event.order_id.is_none(), "6.2", || "there is no order yet".to_owned())?;
        ensure(is_beyond(band, event.reference, event.limit, event.price), "6.2", || format!("the band is {band:?}"))?;
        let (references, asked) = match command.body {
            CommandBody::NewOrder(it) if it.order_type == OrderType::StopLimit => (vec![it.stop_price], Some(it.price)),
            CommandBody::NewOrder(it) => (instrument.references(), Some(it.price)),
            _ => (vec![event.reference], None),
        };
        let holds = references.contains(&event.reference) && asked.is_none_or(|price| price == event.price);
        ensure(holds, "6.2", || format!("measured from {references:?} was {asked:?}"))?;
        Ok(Owed::Refused)
    }

    /// The price of the match that would be next.
    fn next_match(&self, event: &PriceBoundReached, rule: &'static str) -> Result<Side, super::Fault> {
        ensure(self.incoming == Some(event.order_id), rule, || format!("incoming is {:?}", self.incoming))?;
        let side = self.orders[&event.order_id].state.side;
        let next = self.queues.first(event.instrument, side.opposite()).map(|(price, _)| price);
        ensure(next == Some(event.price), rule, || format!("the next order is at {next:?}"))?;
        Ok(side)
    }

    fn collar_bound(&self, event: &PriceBoundReached) -> Result<Owed, super::Fault> {
        let side = self.next_match(event, "6.3")?;
        let instrument = self.instrument(event.instrument)?;
        let (collar, references) = (instrument.protection.collar, instrument.references());
        let beyond = is_beyond(collar, event.reference, event.limit, event.price);
        ensure(beyond && references.contains(&event.reference), "6.3", || {
            format!("the collar is {collar:?} from {references:?}")
        })?;
        let bound = self.orders[&event.order_id].bound;
        ensure(is_within(side, event.price, bound), "6.3", || format!("its own bound is {bound:?}"))?;
        Ok(Owed::Collared(event.order_id))
    }

    fn market_bound(&self, event: &PriceBoundReached) -> Result<Owed, super::Fault> {
        let side = self.next_match(event, "6.5")?;
        let order = &self.orders[&event.order_id];
        let from = if order.state.order_type == OrderType::Stop { order.stop_price } else { order.first_best };
        ensure(order.is_market() && event.reference == from, "6.5", || format!("measured from {from:?}"))?;
        let furthest = self.instrument(event.instrument)?.protection.market.furthest(side, from);
        // What a stop was protected by when it came is not told.
        let is_stop = order.state.order_type == OrderType::Stop;
        let within = is_within(side, event.limit, furthest) || is_stop;
        let beyond = !is_within(side, event.price, event.limit);
        ensure(within && beyond, "6.5", || format!("it trades up to {furthest:?}"))?;
        Ok(Owed::Protected(event.order_id))
    }

    fn auction_bound(&mut self, event: &PriceBoundReached) -> Result<Owed, super::Fault> {
        self.settle_incoming()?;
        let id = event.instrument;
        let instrument = self.instrument(id)?;
        let band = instrument.protection.auction;
        found(instrument.call.as_ref(), "5.11", "no call is pending")?;
        ensure(event.order_id.is_none(), "5.11", || "no order did this".to_owned())?;
        let beyond = is_beyond(band, event.reference, event.limit, event.price);
        let known = instrument.references().contains(&event.reference);
        ensure(beyond && known, "5.11", || format!("the band is {band:?} from {:?}", instrument.references()))?;
        let price = self.would_end(id, event.reference).price;
        ensure(price == event.price, "5.11", || format!("the auction would end at {price:?}"))?;
        Ok(Owed::Banded(id))
    }
}

fn is_end(event: &Event, id: OrderId, reasons: &[engine::CancelReason]) -> bool {
    matches!(event, Event::OrderCancelled(it) if it.order.order_id == id && reasons.contains(&it.reason))
}
