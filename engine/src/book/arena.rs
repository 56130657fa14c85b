//! Orders by handle.
//!
//! An order lives in a slot. Its id is the slot and the slot's generation, so that cancel and amend need no search and
//! an old id never names a new order. What matching touches lies in one cache line a slot, apart from the rest. Free slots are reused last-in first-out, which keeps the slots in use few and
//! warm. A slot whose generations are used up is retired.

use alloc::vec::Vec;

use super::ladder::LevelAt;
use super::level::{Chain, Links};
use super::pieces::Pieces;
use super::prefetch::prefetch;
use crate::identity::{AccountId, ClientOrderId, InstrumentId, OrderId, Sequence, SessionId};
use crate::instrument::FeeRates;
use crate::order::{OnDisconnect, OrderFlags, OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::{Amount, Price, Quantity, Timestamp};

/// Where an order lives.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NIL: Slot = Slot::MAX;

/// Where a slot's order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Place {
    /// The slot has no order.
    Vacant,
    /// Nowhere: it is being entered, amended or ended.
    Nowhere,
    /// In the book, by its limit.
    Book,
    /// Among the stops that no trade has elected, by its stop price.
    Stops,
    /// Among the market orders of a call, by time.
    Market,
    /// Among the orders that wait for the closing call, by time.
    Close,
}

/// What of an open order is needed to keep priority and to match: one cache line.
///
/// What only reports and owners need is in its [`Details`], and what only some orders have in its [`Extras`].
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Order {
    /// Handle; its generation is the slot's, or will be when a vacant slot is used next.
    pub(crate) id: OrderId,
    /// How far it may trade: its limit, or a market order's protection.
    pub(crate) limit: Price,
    /// What may still trade; zero for a funds order.
    pub(crate) leaves: Quantity,
    /// Its neighbours in its level.
    pub(crate) in_level: Links,
    /// Its neighbours among its account's orders.
    pub(crate) in_account: Links,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) instrument: InstrumentId,
    /// The level that it stands in; meaningless unless it stands in a ladder.
    pub(crate) level: LevelAt,
    // What most orders have in common first: it is written at once.
    pub(crate) place: Place,
    pub(crate) order_type: OrderType,
    pub(crate) flags: OrderFlags,
    pub(crate) traits: Traits,
    pub(crate) side: Side,
    pub(crate) time_in_force: TimeInForce,
    /// The mode of its acceptance, for when it is the incoming order.
    pub(crate) self_trade_prevention: SelfTradePrevention,
    pub(crate) on_disconnect: OnDisconnect,
}

const _: () = assert!(size_of::<Order>() == 64, "an order is one cache line");

/// What sets an order apart from one of which everything is shown and which has a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Traits(u8);

impl Traits {
    pub(crate) const NONE: Self = Self(0);
    /// It has funds instead of a quantity.
    pub(crate) const FUNDS: Self = Self(1);
    /// It shows a part at a time.
    pub(crate) const ICEBERG: Self = Self(2);
    /// Nothing of it is shown: it waits, or gathers as a market order.
    pub(crate) const UNSEEN: Self = Self(4);
    /// It is the incoming order, and not yet among its account's and its session's.
    pub(crate) const ENTERING: Self = Self(8);

    pub(crate) const fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    pub(crate) const fn set(&mut self, one: Self, on: bool) {
        self.0 = if on { self.0 | one.0 } else { self.0 & !one.0 };
    }
}

/// What of an open order only reports and owners need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Details {
    pub(crate) client_order_id: ClientOrderId,
    /// What has traded.
    pub(crate) cumulative: Quantity,
    /// The command that entered it; unique among open orders.
    pub(crate) accepted: Sequence,
    /// The rates of its acceptance.
    pub(crate) rates: FeeRates,
    /// Its neighbours among its session's orders.
    pub(crate) in_session: Links,
    /// Its extras, [`NIL`] if it has none.
    pub(crate) extras: u32,
}

/// What only some orders have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extras {
    /// What each tip shows; absent: everything.
    pub(crate) display: Quantity,
    /// What is shown of an order that shows a part at a time.
    pub(crate) shown: Quantity,
    /// What self-trade prevention took away.
    pub(crate) prevented: Quantity,
    /// What a funds order may still spend; absent for others.
    pub(crate) funds: Amount,
    /// Trigger; absent unless Stop or StopLimit.
    pub(crate) stop_price: Price,
    /// When a GoodTillDate order ends; none otherwise.
    pub(crate) expire_at: Timestamp,
    /// Its place among the orders that expire, [`NIL`] if it does not.
    pub(crate) expiry_index: u32,
    /// What it traded as maker, in the quote asset's smallest unit.
    pub(crate) maker_notional: u128,
    /// What it traded as taker.
    pub(crate) taker_notional: u128,
}

impl Extras {
    /// An ordinary order's.
    pub(crate) const NONE: Self = Self {
        display: Quantity::ABSENT,
        shown: Quantity::ZERO,
        prevented: Quantity::ZERO,
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        expire_at: Timestamp::NONE,
        expiry_index: NIL,
        maker_notional: 0,
        taker_notional: 0,
    };
}

impl Order {
    /// Whether it has funds instead of a quantity.
    pub(crate) fn is_by_funds(&self) -> bool {
        self.traits.has(Traits::FUNDS)
    }

    /// Whether a trade has to elect it before it does anything.
    pub(crate) fn waits(&self) -> bool {
        self.place == Place::Stops
    }

    /// The price its owner gave.
    pub(crate) fn price(&self) -> Price {
        if self.order_type.has_price() { self.limit } else { Price::ABSENT }
    }
}

/// All open orders of the venue.
#[derive(Debug)]
pub(crate) struct Arena {
    orders: Vec<Order>,
    details: Vec<Details>,
    extras: Pieces<Extras>,
    free: Vec<Slot>,
    capacity: u32,
    open_count: u32,
}

impl Arena {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            orders: Vec::with_capacity(capacity as usize),
            details: Vec::with_capacity(capacity as usize),
            extras: Pieces::new(capacity),
            free: Vec::with_capacity(capacity as usize),
            capacity,
            open_count: 0,
        }
    }

    /// Whether another order fits.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.orders.len() < self.capacity as usize
    }

    /// Open orders.
    pub(crate) fn open_count(&self) -> u32 {
        self.open_count
    }

    /// Opens a slot; the caller writes the order into it, under this name.
    ///
    /// # Panics
    /// Without room: the caller asks [`Arena::has_room`] first, because a full venue is a reject and not a fault.
    #[inline(always)]
    pub(crate) fn open(&mut self) -> (Slot, OrderId) {
        self.open_count += 1;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.add_slot(),
        };
        (slot, self.orders[slot as usize].id)
    }

    /// Writes an order into the slot that was opened for it.
    #[inline(always)]
    pub(crate) fn write(&mut self, slot: Slot, order: Order, details: Details) {
        self.orders[slot as usize] = order;
        self.details[slot as usize] = details;
    }

    fn add_slot(&mut self) -> Slot {
        assert!(self.orders.len() < self.capacity as usize, "the caller checked for room");
        let slot = self.orders.len() as Slot;
        self.orders.push(Order { id: OrderId::from_parts(slot, 1), place: Place::Vacant, ..Order::BLANK });
        self.details.push(Details::BLANK);
        slot
    }

    /// Frees a slot; its id names nothing from now on.
    #[inline(always)]
    pub(crate) fn remove(&mut self, slot: Slot) {
        let extras = self.details[slot as usize].extras;
        if extras != NIL {
            self.extras.give_back(extras);
        }
        self.close(slot);
    }

    /// As [`Arena::remove`], also for a slot that was opened and not written.
    #[inline(always)]
    pub(crate) fn close(&mut self, slot: Slot) {
        self.open_count -= 1;
        let order = &mut self.orders[slot as usize];
        order.place = Place::Vacant;
        if order.id.generation() < OrderId::GENERATION_MAX {
            order.id = order.id.in_next_generation();
            self.free.push(slot);
        }
    }

    /// The slot of an open order.
    #[inline]
    pub(crate) fn find(&self, id: OrderId) -> Option<Slot> {
        let order = self.orders.get(id.slot() as usize)?;
        (order.id == id && order.place != Place::Vacant).then_some(id.slot())
    }

    /// Whether the slot holds an open order.
    pub(crate) fn is_open(&self, slot: Slot) -> bool {
        self.orders.get(slot as usize).is_some_and(|order| order.place != Place::Vacant)
    }

    /// What reports and owners need of an open order.
    #[inline]
    pub(crate) fn details(&self, slot: Slot) -> &Details {
        &self.details[slot as usize]
    }

    /// As [`Arena::details`].
    #[inline]
    pub(crate) fn details_mut(&mut self, slot: Slot) -> &mut Details {
        &mut self.details[slot as usize]
    }

    /// What only some orders have.
    #[inline]
    pub(crate) fn extras(&self, slot: Slot) -> &Extras {
        self.extras_of(&self.details[slot as usize])
    }

    /// As [`Arena::extras`], for an order that was looked at.
    #[inline(always)]
    pub(crate) fn extras_of(&self, details: &Details) -> &Extras {
        match details.extras {
            NIL => &Extras::NONE,
            at => &self.extras[at],
        }
    }

    /// As [`Arena::extras`]; the order has some from now on.
    #[inline]
    pub(crate) fn extras_mut(&mut self, slot: Slot) -> &mut Extras {
        let details = &mut self.details[slot as usize];
        if details.extras == NIL {
            details.extras = self.extras.take(|| Extras::NONE);
            self.extras[details.extras] = Extras::NONE;
        }
        &mut self.extras[details.extras]
    }

    /// What the next tip shows.
    #[inline]
    pub(crate) fn next_tip(&self, slot: Slot) -> Quantity {
        let order = &self[slot];
        match order.traits.has(Traits::ICEBERG) {
            true => self.extras(slot).display.min(order.leaves),
            false => order.leaves,
        }
    }

    /// What of the leaves is shown.
    #[inline]
    pub(crate) fn shown(&self, slot: Slot) -> Quantity {
        let order = &self[slot];
        match order.traits {
            Traits::NONE => order.leaves,
            traits if traits.has(Traits::UNSEEN) => Quantity::ZERO,
            traits if traits.has(Traits::ICEBERG) => self.extras(slot).shown,
            _ => order.leaves,
        }
    }

    /// Shows the next tip.
    #[inline]
    pub(crate) fn show(&mut self, slot: Slot) {
        self[slot].traits.set(Traits::UNSEEN, false);
        self.show_at_most(slot, Quantity::MAX);
    }

    /// Shows nothing.
    pub(crate) fn hide(&mut self, slot: Slot) {
        self[slot].traits.set(Traits::UNSEEN, true);
    }

    /// Shows so much of the next tip of an order that is seen.
    #[inline]
    pub(crate) fn show_at_most(&mut self, slot: Slot, shown: Quantity) {
        if self[slot].traits.has(Traits::ICEBERG) {
            let tip = self.next_tip(slot);
            self.extras_mut(slot).shown = tip.min(shown);
        }
    }

    /// Lets each tip show so much; absent: everything.
    pub(crate) fn set_display(&mut self, slot: Slot, display: Quantity) {
        if display != self.extras(slot).display {
            self.extras_mut(slot).display = display;
            self[slot].traits.set(Traits::ICEBERG, !display.is_absent());
        }
    }

    /// Order quantity; absent for a funds order.
    #[inline]
    pub(crate) fn quantity(&self, slot: Slot) -> Quantity {
        let order = &self[slot];
        match order.is_by_funds() {
            true => Quantity::ABSENT,
            false => order.leaves + self.gone(slot),
        }
    }

    /// What has traded or was prevented.
    #[inline]
    pub(crate) fn gone(&self, slot: Slot) -> Quantity {
        self.details(slot).cumulative + self.extras(slot).prevented
    }

    /// What became of an order, while it is open or at the moment it ends with nothing left.
    pub(crate) fn status(&self, slot: Slot) -> OrderStatus {
        let order = &self[slot];
        match (order.leaves.is_zero(), self.details(slot).cumulative.is_zero()) {
            (true, _) if !order.is_by_funds() => OrderStatus::Filled,
            (_, true) => OrderStatus::New,
            (_, false) => OrderStatus::PartiallyFilled,
        }
    }

    /// An order's neighbours in a chain.
    #[inline(always)]
    pub(super) fn links(&self, chain: Chain, slot: Slot) -> Links {
        match chain {
            Chain::Level => self.orders[slot as usize].in_level,
            Chain::Account => self.orders[slot as usize].in_account,
            Chain::Session => self.details[slot as usize].in_session,
        }
    }

    /// As [`Arena::links`].
    #[inline(always)]
    pub(super) fn links_mut(&mut self, chain: Chain, slot: Slot) -> &mut Links {
        match chain {
            Chain::Level => &mut self.orders[slot as usize].in_level,
            Chain::Account => &mut self.orders[slot as usize].in_account,
            Chain::Session => &mut self.details[slot as usize].in_session,
        }
    }

    /// Asks for the memory of a slot.
    #[inline]
    pub(crate) fn prefetch(&self, slot: Slot) {
        self.prefetch_order(slot);
        self.prefetch_details(slot);
    }

    #[inline]
    pub(super) fn prefetch_order(&self, slot: Slot) {
        prefetch(self.orders.get(slot as usize));
    }

    #[inline]
    pub(super) fn prefetch_details(&self, slot: Slot) {
        prefetch(self.details.get(slot as usize));
    }

    /// Slots ever used.
    pub(crate) fn used(&self) -> u32 {
        self.orders.len() as u32
    }

    /// The generation that the slot has now, or will have when it is used next.
    pub(crate) fn generation(&self, slot: Slot) -> u64 {
        self.orders[slot as usize].id.generation()
    }

    /// Free slots, the next to be used last.
    pub(crate) fn free(&self) -> &[Slot] {
        &self.free
    }

    /// An arena with these generations, all slots vacant and none free; `None` beyond the capacity.
    pub(crate) fn restore(capacity: u32, generations: &[u64]) -> Option<Self> {
        let mut arena = Self::new(capacity);
        if generations.len() > capacity as usize {
            return None;
        }
        for (slot, &generation) in (0..).zip(generations) {
            let id = OrderId::from_parts(slot, generation);
            arena.orders.push(Order { id, place: Place::Vacant, ..Order::BLANK });
            arena.details.push(Details::BLANK);
        }
        Some(arena)
    }

    /// Opens the slot that `order.id` names; `None` unless it is vacant and of that generation.
    pub(crate) fn restore_order(&mut self, order: Order, details: Details, extras: Extras) -> Option<Slot> {
        let slot = order.id.slot();
        let cell = self.orders.get_mut(slot as usize)?;
        if cell.place != Place::Vacant || cell.id != order.id {
            return None;
        }
        *cell = order;
        self.details[slot as usize] = details;
        if extras != Extras::NONE {
            *self.extras_mut(slot) = extras;
        }
        self.open_count += 1;
        Some(slot)
    }

    /// Makes a vacant slot the next to be used; `None` unless it is vacant.
    pub(crate) fn restore_free(&mut self, slot: Slot) -> Option<()> {
        if slot >= self.used() || self.is_open(slot) || self.free.len() >= self.capacity as usize {
            return None;
        }
        self.free.push(slot);
        Some(())
    }
}

impl core::ops::Index<Slot> for Arena {
    type Output = Order;

    #[inline]
    fn index(&self, slot: Slot) -> &Order {
        let order = &self.orders[slot as usize];
        debug_assert!(order.place != Place::Vacant);
        order
    }
}

impl core::ops::IndexMut<Slot> for Arena {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut Order {
        let order = &mut self.orders[slot as usize];
        debug_assert!(order.place != Place::Vacant);
        order
    }
}

impl Order {
    /// What an order starts from.
    pub(crate) const BLANK: Self = Self {
        id: OrderId::NONE,
        limit: Price::ZERO,
        leaves: Quantity::ZERO,
        in_level: Links::NONE,
        in_account: Links::NONE,
        account: AccountId::NONE,
        session: SessionId::NONE,
        instrument: InstrumentId::NONE,
        level: NIL,
        place: Place::Nowhere,
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: SelfTradePrevention::Allow,
        on_disconnect: OnDisconnect::AsSession,
        traits: Traits::NONE,
    };
}

impl Details {
    /// Whether the order has extras.
    #[inline]
    pub(crate) fn has_extras(&self) -> bool {
        self.extras != NIL
    }

    /// What an order starts from.
    pub(crate) const BLANK: Self = Self {
        client_order_id: ClientOrderId::NONE,
        cumulative: Quantity::ZERO,
        accepted: Sequence::NONE,
        rates: FeeRates::ZERO,
        in_session: Links::NONE,
        extras: NIL,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(arena: &mut Arena) -> Slot {
        let (slot, id) = arena.open();
        arena.write(slot, Order { id, ..Order::BLANK }, Details::BLANK);
        slot
    }

    #[test]
    fn slots_are_reused_last_in_first_out_with_a_new_generation() {
        let mut arena = Arena::new(3);
        let slots = [insert(&mut arena), insert(&mut arena), insert(&mut arena)];
        assert_eq!(slots, [0, 1, 2]);
        assert!(!arena.has_room());
        arena.remove(0);
        arena.remove(2);
        assert_eq!(arena.find(OrderId::from_parts(2, 2)), None, "a name that is not given yet names nothing");
        let slot = insert(&mut arena);
        assert_eq!(arena[slot].id, OrderId::from_parts(2, 2));
        assert_eq!(arena.find(OrderId::from_parts(2, 1)), None);
        assert_eq!(arena.find(OrderId::from_parts(2, 2)), Some(2));
        assert_eq!(arena.find(OrderId::from_parts(0, 1)), None);
    }

    #[test]
    fn an_exhausted_slot_is_retired() {
        let mut arena = Arena::restore(1, &[OrderId::GENERATION_MAX]).unwrap();
        arena.restore_free(0).unwrap();
        let slot = insert(&mut arena);
        arena.remove(slot);
        assert!(!arena.has_room());
    }

    #[test]
    fn extras_are_new_for_each_order() {
        let mut arena = Arena::new(1);
        let slot = insert(&mut arena);
        arena.extras_mut(slot).prevented = Quantity(7);
        arena.remove(slot);
        let slot = insert(&mut arena);
        assert_eq!(*arena.extras(slot), Extras::NONE);
        assert_eq!(arena.extras_mut(slot).prevented, Quantity::ZERO);
    }
}
