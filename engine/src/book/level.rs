//! First-in first-out queues of orders, threaded through the orders themselves.
//!
//! The same queue serves a price level, an account's open orders and a session's open orders; an order stands in one of
//! each.

use super::arena::{Arena, NIL, Slot};

/// Which of an order's links a queue is threaded through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// The price level that the order rests at, by priority.
    Level,
    /// The account's open orders, oldest first.
    Account,
    /// The session's open orders, oldest first.
    Session,
}

/// An order's neighbours in one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Links {
    previous: Slot,
    next: Slot,
}

impl Links {
    pub(crate) const NONE: Self = Self { previous: NIL, next: NIL };

    /// The neighbours; [`NIL`] where there is none.
    #[inline]
    pub(crate) fn both(self) -> [Slot; 2] {
        [self.previous, self.next]
    }
}

/// A queue of orders: both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    first: Slot,
    last: Slot,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self { first: NIL, last: NIL };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first == NIL
    }

    /// The order at the front.
    #[inline]
    pub(crate) fn first(&self) -> Option<Slot> {
        (self.first != NIL).then_some(self.first)
    }

    /// The order at the back, [`NIL`] if there is none.
    #[inline]
    pub(crate) fn back(&self) -> Slot {
        self.last
    }

    /// Puts an order at the back.
    #[inline(always)]
    pub(crate) fn push(&mut self, arena: &mut Arena, chain: Chain, slot: Slot) {
        *arena.links_mut(chain, slot) = self.join(arena, chain, slot);
    }

    /// Makes room for an order at the back; the links that it is to have.
    #[inline(always)]
    pub(crate) fn join(&mut self, arena: &mut Arena, chain: Chain, slot: Slot) -> Links {
        let previous = core::mem::replace(&mut self.last, slot);
        match previous {
            NIL => self.first = slot,
            previous => arena.links_mut(chain, previous).next = slot,
        }
        Links { previous, next: NIL }
    }

    /// Takes an order out, wherever it stands.
    #[inline(always)]
    pub(crate) fn remove(&mut self, arena: &mut Arena, chain: Chain, slot: Slot) {
        self.leave(arena, chain, arena.links(chain, slot));
    }

    /// Closes the gap that an order with these links leaves.
    #[inline(always)]
    pub(crate) fn leave(&mut self, arena: &mut Arena, chain: Chain, Links { previous, next }: Links) {
        match previous {
            NIL => self.first = next,
            previous => arena.links_mut(chain, previous).next = next,
        }
        match next {
            NIL => self.last = previous,
            next => arena.links_mut(chain, next).previous = previous,
        }
    }

    /// The orders from front to back.
    pub(crate) fn iter<'a>(&self, arena: &'a Arena, chain: Chain) -> impl Iterator<Item = Slot> + Clone + use<'a> {
        let mut slot = self.first;
        core::iter::from_fn(move || {
            let current = (slot != NIL).then_some(slot)?;
            slot = arena.links(chain, current).next;
            Some(current)
        })
    }

    /// Checks that links agree in both directions; the number of orders, or `None` if they do not.
    pub(crate) fn check(&self, arena: &Arena, chain: Chain) -> Option<u32> {
        let (mut previous, mut slot, mut count) = (NIL, self.first, 0);
        while slot != NIL {
            if !arena.is_open(slot) || arena.links(chain, slot).previous != previous || count > arena.used() {
                return None;
            }
            (previous, slot, count) = (slot, arena.links(chain, slot).next, count + 1);
        }
        (previous == self.last).then_some(count)
    }
}
