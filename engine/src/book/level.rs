//! First-in first-out queues of orders, threaded through the orders themselves.
//!
//! The same queue serves a price level, an account's open orders and a session's open orders; an order stands in one of
//! each.

use super::arena::{Arena, NIL, Slot};

/// Which of an order's links a queue is threaded through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Chain {
    /// The price level that the order rests at, by priority.
    Level = 0,
    /// The account's open orders, oldest first.
    Account = 1,
    /// The session's open orders, oldest first.
    Session = 2,
}

/// How many queues an order can stand in.
pub(crate) const CHAIN_COUNT: usize = 3;

/// An order's neighbours in one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Links {
    previous: Slot,
    next: Slot,
}

impl Links {
    pub(crate) const NONE: Self = Self { previous: NIL, next: NIL };
}

/// A queue of orders: both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    first: Slot,
    last: Slot,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self { first: NIL, last: NIL };

    pub(crate) fn is_empty(&self) -> bool {
        self.first == NIL
    }

    /// The order at the front.
    pub(crate) fn first(&self) -> Option<Slot> {
        (self.first != NIL).then_some(self.first)
    }

    /// Puts an order at the back.
    pub(crate) fn push(&mut self, arena: &mut Arena, chain: Chain, slot: Slot) {
        arena[slot].links[chain as usize] = Links { previous: self.last, next: NIL };
        match self.last {
            NIL => self.first = slot,
            last => arena[last].links[chain as usize].next = slot,
        }
        self.last = slot;
    }

    /// Takes an order out, wherever it stands.
    pub(crate) fn remove(&mut self, arena: &mut Arena, chain: Chain, slot: Slot) {
        let Links { previous, next } = arena[slot].links[chain as usize];
        match previous {
            NIL => self.first = next,
            previous => arena[previous].links[chain as usize].next = next,
        }
        match next {
            NIL => self.last = previous,
            next => arena[next].links[chain as usize].previous = previous,
        }
    }

    /// The orders from front to back.
    pub(crate) fn iter<'a>(&self, arena: &'a Arena, chain: Chain) -> impl Iterator<Item = Slot> + Clone + use<'a> {
        let mut slot = self.first;
        core::iter::from_fn(move || {
            let current = (slot != NIL).then_some(slot)?;
            slot = arena[current].links[chain as usize].next;
            Some(current)
        })
    }

    /// Checks that links agree in both directions; the number of orders, or `None` if they do not.
    pub(crate) fn check(&self, arena: &Arena, chain: Chain) -> Option<u32> {
        let (mut previous, mut slot, mut count) = (NIL, self.first, 0);
        while slot != NIL {
            if !arena.is_open(slot) || arena[slot].links[chain as usize].previous != previous || count > arena.used() {
                return None;
            }
            (previous, slot, count) = (slot, arena[slot].links[chain as usize].next, count + 1);
        }
        (previous == self.last).then_some(count)
    }
}
