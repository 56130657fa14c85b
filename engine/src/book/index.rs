//! Orders by their trader's name.
//!
//! A client order id stays taken while its order is open and for the account's next [`CLOSED_ORDERS_PER_ACCOUNT`]
//! orders that end after it, so that a trader who repeats a message does not trade twice. The table is hashed with a
//! fixed function and never iterated, so that no answer depends on its layout.

use alloc::vec::Vec;

use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::identity::{AccountId, ClientOrderId, OrderId};
use crate::limits::{CLOSED_ORDERS_PER_ACCOUNT, Capacity};
use crate::order::OrderStatus;

/// What a client order id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// An open order.
    Open(OrderId),
    /// An order that ended, or that has another name now.
    Closed(OrderId, OrderStatus),
}

type Ring = [ClientOrderId; CLOSED_ORDERS_PER_ACCOUNT as usize];

/// The names that an account used last, oldest overwritten first.
#[derive(Debug, Clone, Copy)]
struct Closed {
    ring: Ring,
    next: u32,
}

/// Client order ids in use.
#[derive(Debug)]
pub(crate) struct ClientOrderIndex {
    names: HashMap<(AccountId, ClientOrderId), Named, FixedState>,
    /// By account, from identity 1.
    closed: Vec<Closed>,
}

impl ClientOrderIndex {
    pub(crate) fn new(capacity: &Capacity) -> Self {
        let closed = capacity.accounts as usize * CLOSED_ORDERS_PER_ACCOUNT as usize;
        // Twice what it can hold: below half full, the table clears deleted entries in place and never allocates.
        let entries = 2 * (capacity.orders as usize + closed);
        Self {
            names: HashMap::with_capacity_and_hasher(entries, FixedState::with_seed(0)),
            closed: Vec::with_capacity(capacity.accounts as usize),
        }
    }

    /// Makes room for the account's closed orders.
    pub(crate) fn open_account(&mut self, account: AccountId) {
        let length = self.closed.len().max(account.0 as usize);
        self.closed.resize(length, Closed { ring: [ClientOrderId::NONE; _], next: 0 });
    }

    #[inline]
    pub(crate) fn find(&self, account: AccountId, id: ClientOrderId) -> Option<Named> {
        self.names.get(&(account, id)).copied()
    }

    /// Names an open order; an order without a name is left alone.
    #[inline]
    pub(crate) fn open(&mut self, account: AccountId, id: ClientOrderId, order: OrderId) {
        if !id.is_none() {
            self.names.insert((account, id), Named::Open(order));
        }
    }

    /// Remembers the name of an order that ended, and forgets the account's oldest.
    #[inline(always)]
    pub(crate) fn close(&mut self, account: AccountId, id: ClientOrderId, order: OrderId, status: OrderStatus) {
        if !id.is_none() {
            self.remember(account, id, order, status);
        }
    }

    fn remember(&mut self, account: AccountId, id: ClientOrderId, order: OrderId, status: OrderStatus) {
        self.names.insert((account, id), Named::Closed(order, status));
        let closed = &mut self.closed[account.0 as usize - 1];
        let place = (closed.next % CLOSED_ORDERS_PER_ACCOUNT) as usize;
        let oldest = core::mem::replace(&mut closed.ring[place], id);
        closed.next = (closed.next + 1) % CLOSED_ORDERS_PER_ACCOUNT;
        if !oldest.is_none() {
            self.names.remove(&(account, oldest));
        }
    }

    /// The account's closed names, oldest first.
    pub(crate) fn closed(
        &self,
        account: AccountId,
    ) -> impl Iterator<Item = (ClientOrderId, OrderId, OrderStatus)> + '_ {
        let Closed { ring, next } = self.closed[account.0 as usize - 1];
        (0..CLOSED_ORDERS_PER_ACCOUNT).filter_map(move |age| {
            let id = ring[((next + age) % CLOSED_ORDERS_PER_ACCOUNT) as usize];
            match self.find(account, id) {
                Some(Named::Closed(order, status)) if !id.is_none() => Some((id, order, status)),
                _ => None,
            }
        })
    }
}
