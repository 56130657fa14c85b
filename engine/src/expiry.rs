//! Orders that end by time (rules 1.8 and 1.9).
//!
//! GoodTillDate orders stand in a heap by expiry, then by acceptance; each knows its place in it, so that it leaves
//! without a search. Day orders stand in none: the rollover looks at the orders of its instrument.

use alloc::vec::Vec;

use crate::book::arena::{Arena, NIL, Slot};
use crate::engine::Engine;
use crate::event::{EventSink, Requester};
use crate::identity::Sequence;
use crate::order::TimeInForce;
use crate::reject::CancelReason;
use crate::turn::Turn;
use crate::{ClientOrderId, InstrumentId, Timestamp};

/// Open GoodTillDate orders, the next to expire first.
#[derive(Debug)]
pub(crate) struct Expiries {
    heap: Vec<Slot>,
}

impl Expiries {
    pub(crate) fn new(capacity: u32) -> Self {
        Self { heap: Vec::with_capacity(capacity as usize) }
    }

    /// The order that expires next.
    pub(crate) fn first(&self) -> Option<Slot> {
        self.heap.first().copied()
    }

    /// When the next order expires.
    pub(crate) fn deadline(&self, arena: &Arena) -> Timestamp {
        self.first().map_or(Timestamp::NEVER, |slot| arena.extras(slot).expire_at)
    }

    /// Adds an order that has an expiry and is not here.
    pub(crate) fn insert(&mut self, arena: &mut Arena, slot: Slot) {
        let index = self.heap.len();
        self.heap.push(slot);
        arena.extras_mut(slot).expiry_index = index as u32;
        self.rise(arena, index);
    }

    /// Takes an order out.
    pub(crate) fn remove(&mut self, arena: &mut Arena, slot: Slot) {
        let index = core::mem::replace(&mut arena.extras_mut(slot).expiry_index, NIL) as usize;
        self.heap.swap_remove(index);
        if let Some(&moved) = self.heap.get(index) {
            arena.extras_mut(moved).expiry_index = index as u32;
            self.sink(arena, index);
            self.rise(arena, index);
        }
    }

    fn rise(&mut self, arena: &mut Arena, mut index: usize) {
        while index > 0 {
            let above = (index - 1) / 2;
            if self.key(arena, above) <= self.key(arena, index) {
                break;
            }
            self.swap(arena, above, index);
            index = above;
        }
    }

    fn sink(&mut self, arena: &mut Arena, mut index: usize) {
        loop {
            let below = [2 * index + 1, 2 * index + 2].into_iter().filter(|&below| below < self.heap.len());
            let Some(first) = below.min_by_key(|&below| self.key(arena, below)) else { break };
            if self.key(arena, index) <= self.key(arena, first) {
                break;
            }
            self.swap(arena, index, first);
            index = first;
        }
    }

    fn key(&self, arena: &Arena, index: usize) -> (Timestamp, Sequence) {
        let slot = self.heap[index];
        (arena.extras(slot).expire_at, arena.details(slot).accepted)
    }

    fn swap(&mut self, arena: &mut Arena, one: usize, other: usize) {
        self.heap.swap(one, other);
        for index in [one, other] {
            arena.extras_mut(self.heap[index]).expiry_index = index as u32;
        }
    }

    /// Checks the heap against the orders; how many it has, or `None` if they disagree.
    pub(crate) fn check(&self, arena: &Arena) -> Option<u32> {
        let agrees = |(index, &slot): (usize, &Slot)| {
            arena.is_open(slot)
                && arena.extras(slot).expiry_index as usize == index
                && arena[slot].time_in_force == TimeInForce::GoodTillDate
                && (index == 0 || self.key(arena, (index - 1) / 2) <= self.key(arena, index))
        };
        self.heap.iter().enumerate().all(agrees).then_some(self.heap.len() as u32)
    }
}

impl Engine {
    /// Ends the order that expires next.
    pub(crate) fn expire_first<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        if let Some(slot) = self.expiries.first() {
            self.cancel(turn, slot, CancelReason::Expired, Requester::NOBODY, ClientOrderId::NONE);
        }
    }

    /// Ends an instrument's Day orders, and those that found no auction, oldest first.
    pub(crate) fn roll_over<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId) {
        self.collect_instrument(instrument);
        self.cancel_collected(turn, CancelReason::DayEnded, ClientOrderId::NONE, |engine, slot| {
            let time_in_force = engine.orders.arena[slot].time_in_force;
            time_in_force == TimeInForce::Day || time_in_force.is_for_auction()
        });
    }

    /// Notes an instrument's open orders, oldest first.
    pub(crate) fn collect_instrument(&mut self, instrument: InstrumentId) {
        self.victims.clear();
        let market = self.markets.get(instrument.0).expect("the instrument was checked");
        self.victims.extend(market.book.all(&self.orders));
        let arena = &self.orders.arena;
        self.victims.sort_unstable_by_key(|&slot| arena.details(slot).accepted);
    }
}
