//! Orders by handle.
//!
//! An order lives in a slot. Its id is the slot and the slot's generation, so that cancel and amend need no search and
//! an old id never names a new order. Free slots are reused last-in first-out, which keeps the slots in use few and
//! warm. A slot whose generations are used up is retired.

use alloc::vec::Vec;

use super::level::Links;
use crate::identity::{AccountId, ClientOrderId, InstrumentId, OrderId, Sequence, SessionId};
use crate::instrument::FeeRates;
use crate::order::{OnDisconnect, OrderFlags, OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::{Amount, Price, Quantity, Timestamp};

/// Where an order lives.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NIL: Slot = Slot::MAX;

/// Where an open order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
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

/// An open order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// Handle; its generation is the slot's.
    pub(crate) id: OrderId,
    /// How far it may trade: its limit, or a market order's protection.
    pub(crate) limit: Price,
    /// What may still trade; zero for a funds order.
    pub(crate) leaves: Quantity,
    /// What of the leaves is shown; zero unless it rests at a price.
    pub(crate) shown: Quantity,
    /// The block of its ladder that it stands in; meaningless while it stands nowhere.
    pub(crate) block: u32,
    pub(crate) place: Place,
    pub(crate) instrument: InstrumentId,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) side: Side,
    pub(crate) order_type: OrderType,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) flags: OrderFlags,
    pub(crate) on_disconnect: OnDisconnect,
    /// The mode of its acceptance, for when it is the incoming order.
    pub(crate) self_trade_prevention: SelfTradePrevention,
    pub(crate) client_order_id: ClientOrderId,
    /// Order quantity; absent for a funds order.
    pub(crate) quantity: Quantity,
    /// What has traded.
    pub(crate) cumulative: Quantity,
    /// What self-trade prevention took away.
    pub(crate) prevented: Quantity,
    /// What each tip shows; absent: everything.
    pub(crate) display: Quantity,
    /// What a funds order may still spend; absent for others.
    pub(crate) funds: Amount,
    /// Trigger; absent unless Stop or StopLimit.
    pub(crate) stop_price: Price,
    /// When a GoodTillDate order ends; none otherwise.
    pub(crate) expire_at: Timestamp,
    /// Its place among the orders that expire, [`NIL`] if it does not.
    pub(crate) expiry_index: u32,
    /// The command that entered it; unique among open orders.
    pub(crate) accepted: Sequence,
    /// The rates of its acceptance.
    pub(crate) rates: FeeRates,
    /// What it traded as maker, in the quote asset's smallest unit.
    pub(crate) maker_notional: u128,
    /// What it traded as taker.
    pub(crate) taker_notional: u128,
    /// Its neighbours in the queues that it stands in, by [`super::level::Chain`].
    pub(crate) links: [Links; super::level::CHAIN_COUNT],
}

impl Order {
    /// What became of it, while it is open or at the moment it ends with nothing left.
    pub(crate) fn status(&self) -> OrderStatus {
        match (self.leaves.is_zero(), self.cumulative.is_zero()) {
            (true, _) if !self.is_by_funds() => OrderStatus::Filled,
            (_, true) => OrderStatus::New,
            (_, false) => OrderStatus::PartiallyFilled,
        }
    }

    /// Whether it has funds instead of a quantity.
    pub(crate) fn is_by_funds(&self) -> bool {
        !self.funds.is_absent()
    }

    /// Whether a trade has to elect it before it does anything.
    pub(crate) fn waits(&self) -> bool {
        self.place == Place::Stops
    }

    /// What the next tip shows.
    pub(crate) fn next_tip(&self) -> Quantity {
        self.display.min(self.leaves)
    }

    /// The price its owner gave.
    pub(crate) fn price(&self) -> Price {
        match self.order_type {
            OrderType::Limit | OrderType::StopLimit => self.limit,
            OrderType::Market | OrderType::Stop => Price::ABSENT,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Of the order that is or was here last; from 1.
    generation: u64,
    /// Meaningful while `open`.
    order: Order,
    open: bool,
}

/// All open orders of the venue.
#[derive(Debug)]
pub(crate) struct Arena {
    cells: Vec<Cell>,
    free: Vec<Slot>,
    capacity: u32,
    open_count: u32,
}

impl Arena {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            cells: Vec::with_capacity(capacity as usize),
            free: Vec::with_capacity(capacity as usize),
            capacity,
            open_count: 0,
        }
    }

    /// Whether another order fits.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.cells.len() < self.capacity as usize
    }

    /// Open orders.
    pub(crate) fn open_count(&self) -> u32 {
        self.open_count
    }

    /// Puts `order` into a slot and names it.
    ///
    /// # Panics
    /// Without room: the caller asks [`Arena::has_room`] first, because a full venue is a reject and not a fault.
    pub(crate) fn insert(&mut self, mut order: Order) -> Slot {
        self.open_count += 1;
        if let Some(slot) = self.free.pop() {
            let cell = &mut self.cells[slot as usize];
            order.id = OrderId::from_parts(slot, cell.generation);
            cell.order = order;
            cell.open = true;
            return slot;
        }
        assert!(self.cells.len() < self.capacity as usize, "the caller checked for room");
        let slot = self.cells.len() as Slot;
        order.id = OrderId::from_parts(slot, 1);
        self.cells.push(Cell { generation: 1, order, open: true });
        slot
    }

    /// Frees a slot; its id names nothing from now on.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let cell = &mut self.cells[slot as usize];
        debug_assert!(cell.open);
        cell.open = false;
        self.open_count -= 1;
        if cell.generation < OrderId::GENERATION_MAX {
            cell.generation += 1;
            self.free.push(slot);
        }
    }

    /// The slot of an open order.
    pub(crate) fn find(&self, id: OrderId) -> Option<Slot> {
        let cell = self.cells.get(id.slot() as usize)?;
        (cell.open && cell.generation == id.generation()).then_some(id.slot())
    }

    /// Whether the slot holds an open order.
    pub(crate) fn is_open(&self, slot: Slot) -> bool {
        self.cells.get(slot as usize).is_some_and(|cell| cell.open)
    }

    /// Slots ever used.
    pub(crate) fn used(&self) -> u32 {
        self.cells.len() as u32
    }

    /// The generation that the slot has now, or will have when it is used next.
    pub(crate) fn generation(&self, slot: Slot) -> u64 {
        self.cells[slot as usize].generation
    }

    /// Free slots, the next to be used last.
    pub(crate) fn free(&self) -> &[Slot] {
        &self.free
    }

    /// An arena with these generations, all slots closed and none free; `None` beyond the capacity.
    pub(crate) fn restore(capacity: u32, generations: &[u64]) -> Option<Self> {
        let mut arena = Self::new(capacity);
        if generations.len() > capacity as usize {
            return None;
        }
        for &generation in generations {
            arena.cells.push(Cell { generation, order: VACANT, open: false });
        }
        Some(arena)
    }

    /// Opens the slot that `order.id` names; `None` unless it is closed and of that generation.
    pub(crate) fn restore_order(&mut self, order: Order) -> Option<Slot> {
        let slot = order.id.slot();
        let cell = self.cells.get_mut(slot as usize)?;
        if cell.open || cell.generation != order.id.generation() {
            return None;
        }
        cell.order = order;
        cell.open = true;
        self.open_count += 1;
        Some(slot)
    }

    /// Makes a closed slot the next to be used; `None` unless it is closed.
    pub(crate) fn restore_free(&mut self, slot: Slot) -> Option<()> {
        let cell = self.cells.get(slot as usize)?;
        if cell.open || self.free.len() >= self.capacity as usize {
            return None;
        }
        self.free.push(slot);
        Some(())
    }
}

impl core::ops::Index<Slot> for Arena {
    type Output = Order;

    fn index(&self, slot: Slot) -> &Order {
        let cell = &self.cells[slot as usize];
        debug_assert!(cell.open);
        &cell.order
    }
}

impl core::ops::IndexMut<Slot> for Arena {
    fn index_mut(&mut self, slot: Slot) -> &mut Order {
        let cell = &mut self.cells[slot as usize];
        debug_assert!(cell.open);
        &mut cell.order
    }
}

const VACANT: Order = Order {
    id: OrderId::NONE,
    limit: Price::ZERO,
    leaves: Quantity::ZERO,
    shown: Quantity::ZERO,
    block: NIL,
    place: Place::Nowhere,
    instrument: InstrumentId::NONE,
    account: AccountId::NONE,
    session: SessionId::NONE,
    side: Side::Buy,
    order_type: OrderType::Limit,
    time_in_force: TimeInForce::GoodTillCancel,
    flags: OrderFlags::NONE,
    on_disconnect: OnDisconnect::AsSession,
    self_trade_prevention: SelfTradePrevention::Allow,
    client_order_id: ClientOrderId::NONE,
    quantity: Quantity::ZERO,
    cumulative: Quantity::ZERO,
    prevented: Quantity::ZERO,
    display: Quantity::ABSENT,
    funds: Amount::ABSENT,
    stop_price: Price::ABSENT,
    expire_at: Timestamp::NONE,
    expiry_index: NIL,
    accepted: Sequence::NONE,
    rates: FeeRates::ZERO,
    maker_notional: 0,
    taker_notional: 0,
    links: [Links::NONE; super::level::CHAIN_COUNT],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_last_in_first_out_with_a_new_generation() {
        let mut arena = Arena::new(3);
        let slots = [arena.insert(VACANT), arena.insert(VACANT), arena.insert(VACANT)];
        assert_eq!(slots, [0, 1, 2]);
        assert!(!arena.has_room());
        arena.remove(0);
        arena.remove(2);
        let slot = arena.insert(VACANT);
        assert_eq!(arena[slot].id, OrderId::from_parts(2, 2));
        assert_eq!(arena.find(OrderId::from_parts(2, 1)), None);
        assert_eq!(arena.find(OrderId::from_parts(2, 2)), Some(2));
        assert_eq!(arena.find(OrderId::from_parts(0, 1)), None);
    }

    #[test]
    fn an_exhausted_slot_is_retired() {
        let mut arena = Arena::restore(1, &[OrderId::GENERATION_MAX]).unwrap();
        arena.restore_free(0).unwrap();
        let slot = arena.insert(VACANT);
        arena.remove(slot);
        assert!(!arena.has_room());
    }
}
