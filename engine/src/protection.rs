//! Price protection (rule 6): the entry band, the collar, and the band of auctions.
//!
//! All are distances from a price, inclusive, and all say what they did with their numbers, in PriceBoundReached.

use crate::book::arena::{Order, Place, Slot};
use crate::engine::Engine;
use crate::event::{EventSink, PriceBound, PriceBoundReached, Requester};
use crate::instrument::{CollarAction, Distance, DistanceUnit};
use crate::market::Market;
use crate::order::{OrderType, Side};
use crate::phases::{Entry, rules};
use crate::reject::CancelReason;
use crate::turn::Turn;
use crate::validate::{Terms, crosses};
use crate::{ClientOrderId, InstrumentId, OrderId, Price};

/// A price that lies beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// What the bound was measured from.
    pub(crate) reference: Price,
    /// The furthest price allowed.
    pub(crate) limit: Price,
    pub(crate) price: Price,
}

/// The prices within a distance of another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Band {
    reference: Price,
    lowest: Price,
    highest: Price,
}

impl Band {
    /// Around a price; without one, all prices.
    fn around(reference: Price, distance: Distance) -> Self {
        let distance = if reference.is_absent() { Distance::UNLIMITED } else { distance };
        Self { reference, lowest: distance.below(reference), highest: distance.above(reference) }
    }

    /// The bound that a price passes, on either side, if it passes one.
    pub(crate) fn passed(&self, price: Price) -> Option<Passed> {
        let &Self { reference, lowest, highest } = self;
        let limit = if price < lowest { lowest } else { highest };
        (!(lowest..=highest).contains(&price)).then_some(Passed { reference, limit, price })
    }
}

impl Market {
    /// Where orders may match.
    pub(crate) fn collar(&self) -> Band {
        Band::around(self.reference, self.protection.collar)
    }

    /// The worst price at which a market order may trade in an auction.
    pub(crate) fn worst_in_auction(&self, side: Side) -> Price {
        let band = Band::around(self.reference, self.protection.auction);
        if side == Side::Buy { band.highest } else { band.lowest }
    }

    /// The bound of the entry band that an order's limit passes. That of a StopLimit that waits counts from its stop
    /// price.
    pub(crate) fn outside_entry_band(&self, terms: &Terms, waits: bool) -> Option<Passed> {
        let from = match terms.order_type {
            OrderType::StopLimit if waits => terms.stop_price,
            OrderType::Limit | OrderType::StopLimit => self.reference,
            OrderType::Market | OrderType::Stop => return None,
        };
        if from.is_absent() {
            return None;
        }
        let (limit, price) = (self.protection.entry_band.furthest(terms.side, from), terms.price);
        (!crosses(terms.side, limit, price)).then_some(Passed { reference: from, limit, price })
    }

    /// Whether a price is within a distance of the reference price, for an order on `side`.
    #[inline]
    pub(crate) fn within(&self, distance: Distance, side: Side, price: Price) -> bool {
        distance.unit == DistanceUnit::Unlimited
            || self.reference.is_absent()
            || distance.allows(side, self.reference, price)
    }

    /// Whether orders gather for an auction as they come.
    pub(crate) fn gathers(&self) -> bool {
        rules(self.phase).entry == Entry::Call
    }
}

impl Engine {
    /// The bound of the auction band that an auction price passes.
    pub(crate) fn outside_auction_band(&self, instrument: InstrumentId, price: Price) -> Option<Passed> {
        let market = self.market(instrument);
        Band::around(market.reference, market.protection.auction).passed(price)
    }

    /// Says what price protection did.
    pub(crate) fn tell_bound<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        instrument: InstrumentId,
        order_id: OrderId,
        bound: PriceBound,
        passed: Passed,
    ) {
        let Passed { reference, limit, price } = passed;
        turn.emit(PriceBoundReached { instrument, order_id, bound, reference, limit, price });
    }

    /// Says which bound of the entry band a refused order passed.
    pub(crate) fn tell_refused_price<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        instrument: InstrumentId,
        terms: &Terms,
        waits: bool,
    ) {
        if let Some(passed) = self.market(instrument).outside_entry_band(terms, waits) {
            self.tell_bound(turn, instrument, OrderId::NONE, PriceBound::EntryBand, passed);
        }
    }

    /// Stops an incoming order whose next match would lie outside the collar.
    pub(crate) fn stop_at_collar<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot, passed: Passed) {
        let Order { id, instrument, order_type, time_in_force, .. } = self.orders.arena[slot];
        self.tell_bound(turn, instrument, id, PriceBound::Collar, passed);
        let mut rests = false;
        if self.market(instrument).protection.collar_action == CollarAction::VolatilityCall {
            self.interrupt(turn, instrument);
            rests = order_type.has_price() && time_in_force.rests();
        }
        let Order { side, limit, .. } = self.orders.arena[slot];
        let has_room = self.market(instrument).book.has_room(&self.orders, Place::Book, side, limit);
        let reason = match rests {
            true if has_room => return self.place(slot, Place::Book),
            true => CancelReason::CapacityFull,
            false => CancelReason::Collar,
        };
        self.cancel(turn, slot, reason, Requester::NOBODY, ClientOrderId::NONE);
    }
}
