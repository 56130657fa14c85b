//! Orders by their trader's name.
//!
//! A client order id stays taken while its order is open and for the account's next [`CLOSED_ORDERS_PER_ACCOUNT`]
//! orders that end after it, so that a trader who repeats a message does not trade twice. Open orders are found through a
//! table of slots, hashed with a key that follows from the venue's random seed; it is never iterated, so that no answer
//! depends on its layout. Closed ones lie in a ring of each account.

use alloc::vec;
use alloc::vec::Vec;

use super::arena::{Arena, Slot};
use super::prefetch::prefetch;
use crate::identity::{AccountId, ClientOrderId, OrderId};
use crate::limits::{CLOSED_ORDERS_PER_ACCOUNT, Capacity};
use crate::order::OrderStatus;

const CLOSED: usize = CLOSED_ORDERS_PER_ACCOUNT as usize;

/// What a client order id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// An open order.
    Open(Slot),
    /// An order that ended, or that has another name now.
    Closed(OrderId, OrderStatus),
}

/// The names that an account used last.
#[derive(Debug, Clone, Copy)]
struct Closed {
    names: [ClientOrderId; CLOSED],
    orders: [OrderId; CLOSED],
    statuses: [OrderStatus; CLOSED],
    /// The place of the oldest, which is overwritten next.
    next: u32,
    /// The highest name that it used: one that is higher is free.
    highest: ClientOrderId,
}

impl Closed {
    const NONE: Self = Self {
        names: [ClientOrderId::NONE; CLOSED],
        orders: [OrderId::NONE; CLOSED],
        statuses: [OrderStatus::New; CLOSED],
        next: 0,
        highest: ClientOrderId::NONE,
    };
}

/// Client order ids in use.
#[derive(Debug)]
pub(crate) struct ClientOrderIndex {
    open: OpenNames,
    /// By account, from identity 1.
    closed: Vec<Closed>,
}

impl ClientOrderIndex {
    pub(crate) fn new(capacity: &Capacity) -> Self {
        Self { open: OpenNames::new(capacity.orders), closed: Vec::with_capacity(capacity.accounts as usize) }
    }

    /// Makes room for the account's closed orders.
    pub(crate) fn open_account(&mut self, account: AccountId) {
        let length = self.closed.len().max(account.0 as usize);
        self.closed.resize(length, Closed::NONE);
    }

    /// Hashes with another key from now on.
    pub(crate) fn rekey(&mut self, seed: &[u8; 32], arena: &Arena) {
        self.open.rekey(seed, arena);
    }

    fn of(&self, account: AccountId) -> Option<&Closed> {
        self.closed.get((account.0 as usize).checked_sub(1)?)
    }

    /// Asks for the memory of a name's cell.
    #[inline]
    pub(crate) fn prefetch(&self, account: AccountId, name: ClientOrderId) {
        if !name.is_none() {
            prefetch(self.open.cells.get(self.open.home(self.open.tag(account, name))));
        }
    }

    /// Whether the account has not used the name lately.
    #[inline]
    pub(crate) fn is_free(&self, arena: &Arena, account: AccountId, name: ClientOrderId) -> bool {
        self.of(account).is_none_or(|closed| name > closed.highest) || self.find(arena, account, name).is_none()
    }

    /// What the account's name names.
    pub(crate) fn find(&self, arena: &Arena, account: AccountId, name: ClientOrderId) -> Option<Named> {
        if let Some(slot) = self.open.find(arena, account, name) {
            return Some(Named::Open(slot));
        }
        let closed = self.of(account).filter(|_| !name.is_none())?;
        let place = closed.names.iter().position(|&other| other == name)?;
        Some(Named::Closed(closed.orders[place], closed.statuses[place]))
    }

    /// Names an open order; an order without a name is left alone.
    #[inline]
    pub(crate) fn open(&mut self, account: AccountId, name: ClientOrderId, slot: Slot) {
        if !name.is_none() {
            self.open.insert(account, name, slot);
            let highest = &mut self.closed[account.0 as usize - 1].highest;
            *highest = name.max(*highest);
        }
    }

    /// Remembers the name of an order that ended or has another name now, and forgets the account's oldest.
    #[inline]
    pub(crate) fn close(&mut self, account: AccountId, name: ClientOrderId, order: OrderId, status: OrderStatus) {
        if !name.is_none() {
            self.open.remove(account, name, order.slot());
            self.remember(account, name, order, status);
        }
    }

    /// As [`ClientOrderIndex::close`], for an order whose name was not opened.
    #[inline]
    pub(crate) fn remember(&mut self, account: AccountId, name: ClientOrderId, order: OrderId, status: OrderStatus) {
        if name.is_none() {
            return;
        }
        let closed = &mut self.closed[account.0 as usize - 1];
        let place = closed.next as usize % CLOSED;
        closed.names[place] = name;
        closed.orders[place] = order;
        closed.statuses[place] = status;
        closed.next = (closed.next + 1) % CLOSED_ORDERS_PER_ACCOUNT;
        closed.highest = name.max(closed.highest);
    }

    /// The account's closed names, oldest first.
    pub(crate) fn closed(
        &self,
        account: AccountId,
    ) -> impl Iterator<Item = (ClientOrderId, OrderId, OrderStatus)> + '_ {
        let closed = &self.closed[account.0 as usize - 1];
        let places = (0..CLOSED).map(|age| (closed.next as usize + age) % CLOSED);
        let used = places.filter(|&place| !closed.names[place].is_none());
        used.map(|place| (closed.names[place], closed.orders[place], closed.statuses[place]))
    }
}

/// The slots of open orders by account and name: open addressing with linear probing, at most half full, the gap of an
/// entry that leaves closed at once, so that no operation ever costs more than the run that it stands in.
#[derive(Debug)]
struct OpenNames {
    /// Zero: empty. Else a set bit, 39 bits of the hash, of which the lowest are the home, and 24 bits of the slot.
    cells: Vec<u64>,
    key: [u64; 2],
}

const SLOT_BITS: u32 = OrderId::SLOT_BITS;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const USED: u64 = 1 << 63;
const EMPTY: u64 = 0;

impl OpenNames {
    fn new(capacity: u32) -> Self {
        let cells = (2 * u64::from(capacity)).next_power_of_two().max(2);
        Self { cells: vec![EMPTY; cells as usize], key: key_from(&[0; 32]) }
    }

    /// The bits of a name's cell above its slot.
    #[inline]
    fn tag(&self, account: AccountId, name: ClientOrderId) -> u64 {
        // A folded product, as wyhash and foldhash take it: every bit of both factors reaches the middle.
        let owner = u64::from(account.0).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.key[0];
        let product = u128::from(owner | 1) * u128::from(name.0 ^ self.key[1]);
        let hash = product as u64 ^ (product >> 64) as u64;
        USED | hash << SLOT_BITS & !USED
    }

    #[inline]
    fn home(&self, cell: u64) -> usize {
        (cell >> SLOT_BITS) as usize & (self.cells.len() - 1)
    }

    #[inline]
    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.cells.len() - 1)
    }

    fn find(&self, arena: &Arena, account: AccountId, name: ClientOrderId) -> Option<Slot> {
        let tag = self.tag(account, name);
        let mut place = self.home(tag);
        loop {
            let cell = self.cells[place];
            if cell == EMPTY {
                return None;
            }
            let slot = (cell & SLOT_MASK) as Slot;
            if cell & !SLOT_MASK == tag && arena.details(slot).client_order_id == name && arena[slot].account == account
            {
                return Some(slot);
            }
            place = self.next(place);
        }
    }

    /// Adds a name that is not in the table.
    #[inline]
    fn insert(&mut self, account: AccountId, name: ClientOrderId, slot: Slot) {
        let cell = self.tag(account, name) | u64::from(slot);
        let mut place = self.home(cell);
        while self.cells[place] != EMPTY {
            place = self.next(place);
        }
        self.cells[place] = cell;
    }

    /// Takes out a name that is in the table.
    #[inline]
    fn remove(&mut self, account: AccountId, name: ClientOrderId, slot: Slot) {
        let cell = self.tag(account, name) | u64::from(slot);
        let mut gap = self.home(cell);
        while self.cells[gap] != cell {
            debug_assert!(self.cells[gap] != EMPTY, "an open order's name is in the table");
            gap = self.next(gap);
        }
        let mut place = self.next(gap);
        while self.cells[place] != EMPTY {
            // What stands behind the gap moves into it, unless that is before its home.
            let (from_home, from_gap) = (place.wrapping_sub(self.home(self.cells[place])), place.wrapping_sub(gap));
            if from_home & (self.cells.len() - 1) >= from_gap & (self.cells.len() - 1) {
                self.cells[gap] = self.cells[place];
                gap = place;
            }
            place = self.next(place);
        }
        self.cells[gap] = EMPTY;
    }

    /// Enters all names anew under another key.
    fn rekey(&mut self, seed: &[u8; 32], arena: &Arena) {
        self.key = key_from(seed);
        self.cells.fill(EMPTY);
        for slot in (0..arena.used()).filter(|&slot| arena.is_open(slot)) {
            let name = arena.details(slot).client_order_id;
            if !name.is_none() {
                self.insert(arena[slot].account, name, slot);
            }
        }
    }
}

/// Two words of a seed, told apart from one another when it is zero.
fn key_from(seed: &[u8; 32]) -> [u64; 2] {
    let word = |at: usize| seed[at..at + 8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    [word(0) ^ 0x2545_F491_4F6C_DD1D, word(8) ^ 0xD1B5_4A32_D192_ED03]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::arena::{Details, Order};

    /// A thousand names come and go at random among few; after each step every one is found exactly where a list says.
    #[test]
    fn names_are_found_while_others_come_and_go() {
        let mut arena = Arena::new(64);
        let mut index = ClientOrderIndex::new(&Capacity { orders: 64, ..Capacity::SMALL });
        index.open_account(AccountId(3));
        let mut open: Vec<(AccountId, ClientOrderId, Slot)> = Vec::new();
        let mut random = 7_u64;
        for step in 1..=2_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if open.len() == 64 || !open.is_empty() && random >> 63 == 0 {
                let (account, name, slot) = open.swap_remove((random >> 33) as usize % open.len());
                index.close(account, name, arena[slot].id, OrderStatus::Cancelled);
                arena.remove(slot);
            } else {
                let (account, name) = (AccountId(1 + (random >> 40) as u32 % 3), ClientOrderId(step));
                let (slot, id) = arena.open();
                let details = Details { client_order_id: name, ..Details::BLANK };
                arena.write(slot, Order { id, account, ..Order::BLANK }, details);
                index.open(account, name, slot);
                open.push((account, name, slot));
            }
            if step == 1_000 {
                index.rekey(&[9; 32], &arena);
            }
            for &(account, name, slot) in &open {
                assert_eq!(index.find(&arena, account, name), Some(Named::Open(slot)), "step {step}");
            }
            let used = index.open.cells.iter().filter(|&&cell| cell != EMPTY).count();
            assert_eq!(used, open.len(), "step {step}");
        }
    }

    #[test]
    fn a_closed_name_is_remembered_for_thirty_two_more() {
        let arena = Arena::new(1);
        let mut index = ClientOrderIndex::new(&Capacity::SMALL);
        index.open_account(AccountId(1));
        for name in 1..=33 {
            index.remember(AccountId(1), ClientOrderId(name), OrderId(name), OrderStatus::Filled);
        }
        assert!(index.is_free(&arena, AccountId(1), ClientOrderId(1)));
        assert!(!index.is_free(&arena, AccountId(1), ClientOrderId(2)));
        assert!(index.is_free(&arena, AccountId(1), ClientOrderId(34)));
        let named = Some(Named::Closed(OrderId(2), OrderStatus::Filled));
        assert_eq!(index.find(&arena, AccountId(1), ClientOrderId(2)), named);
        assert_eq!(index.closed(AccountId(1)).next().map(|(name, ..)| name), Some(ClientOrderId(2)));
    }
}
