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
use crate::{Price, Quantity};

/// Where an order lives.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NIL: Slot = Slot::MAX;

/// An open order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// Handle; its generation is the slot's.
    pub(crate) id: OrderId,
    /// How far it may trade: its limit, or a market order's protection.
    pub(crate) limit: Price,
    /// What may still trade.
    pub(crate) leaves: Quantity,
    /// The block of its side's ladder that it rests in; meaningless while it does not rest.
    pub(crate) block: u32,
    pub(crate) instrument: InstrumentId,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) side: Side,
    pub(crate) order_type: OrderType,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) flags: OrderFlags,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) self_trade_prevention: Option<SelfTradePrevention>,
    pub(crate) client_order_id: ClientOrderId,
    /// Order quantity.
    pub(crate) quantity: Quantity,
    /// What has traded.
    pub(crate) cumulative: Quantity,
    /// What self-trade prevention took away.
    pub(crate) prevented: Quantity,
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
            (true, _) => OrderStatus::Filled,
            (false, true) => OrderStatus::New,
            (false, false) => OrderStatus::PartiallyFilled,
        }
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
    block: NIL,
    instrument: InstrumentId::NONE,
    account: AccountId::NONE,
    session: SessionId::NONE,
    side: Side::Buy,
    order_type: OrderType::Limit,
    time_in_force: TimeInForce::GoodTillCancel,
    flags: OrderFlags::NONE,
    on_disconnect: OnDisconnect::AsSession,
    self_trade_prevention: None,
    client_order_id: ClientOrderId::NONE,
    quantity: Quantity::ZERO,
    cumulative: Quantity::ZERO,
    prevented: Quantity::ZERO,
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
