//! Open orders as far as released events tell, by the venue's name and by account.
//!
//! An order's name is a handle, and its slot says where the order stands here as it does in the core: pieces of memory by
//! slot, made as slots are used, so that nothing is ever moved. Slots in use are few and warm, as the core uses the one
//! again that was freed last.
//!
//! Of an account the orders are kept by age, so that whoever goes through them may stop anywhere and go on later,
//! whatever has ended meanwhile.

use std::collections::BTreeMap;

use engine::event::{OrderState, TradeSide};
use engine::{AccountId, EventHeader, InstrumentId, OpenOrder, OrderId, Quantity, Sequence, Stamp, Timestamp};

/// Orders of one piece of memory.
const PIECE: usize = 256;

/// An open order, and what changed it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownOrder {
    /// The order. What of it is shown is left out: trades do not tell.
    pub order: OpenOrder,
    /// The last event that told of it.
    pub changed: Change,
    arrival: Arrival,
}

impl KnownOrder {
    /// Its age among the orders of its account.
    pub(crate) fn arrival(&self) -> Arrival {
        self.arrival
    }
}

/// Where something was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The core's time.
    pub time: Timestamp,
    /// The command.
    pub sequence: Sequence,
    /// The place among that command's events; none: it was before the start, and by this command at the latest.
    pub index: Option<u32>,
}

impl From<&EventHeader> for Change {
    fn from(header: &EventHeader) -> Self {
        Self { time: header.time, sequence: header.id.sequence, index: Some(header.id.index) }
    }
}

impl Change {
    /// At some time up to the start.
    fn before_start(last: Stamp) -> Self {
        Self { time: last.time, sequence: last.sequence, index: None }
    }
}

/// The how manieth order it is that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Arrival(u64);

impl Arrival {
    /// The one behind it.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// All open orders.
#[derive(Debug, Default)]
pub(crate) struct OpenOrders {
    /// By slot.
    pieces: Vec<Box<[Option<KnownOrder>]>>,
    /// By identity: identities run from 1 to the venue's capacity.
    accounts: Vec<OfAccount>,
    next: Arrival,
}

/// The open orders of one account. It stays when they have ended: there are no more of them than accounts.
#[derive(Debug, Default)]
struct OfAccount {
    by_age: BTreeMap<Arrival, OrderId>,
    /// By identity; an instrument stays once it was traded in.
    count_by_instrument: Vec<(InstrumentId, u32)>,
}

impl OfAccount {
    fn count(&self, instrument: InstrumentId) -> u32 {
        self.place(instrument).map_or(0, |place| self.count_by_instrument[place].1)
    }

    fn count_mut(&mut self, instrument: InstrumentId) -> &mut u32 {
        let place = self.place(instrument).unwrap_or_else(|place| {
            self.count_by_instrument.insert(place, (instrument, 0));
            place
        });
        &mut self.count_by_instrument[place].1
    }

    fn place(&self, instrument: InstrumentId) -> Result<usize, usize> {
        self.count_by_instrument.binary_search_by_key(&instrument, |&(known, _)| known)
    }
}

impl OpenOrders {
    /// An order was open when the venue started; an account's are told oldest first.
    pub(crate) fn found_open(&mut self, order: OpenOrder, last: Stamp) {
        self.insert(order, Change::before_start(last));
    }

    /// An order was accepted.
    pub(crate) fn opened(&mut self, order: OpenOrder, header: &EventHeader) {
        self.insert(order, header.into());
    }

    fn insert(&mut self, order: OpenOrder, changed: Change) {
        let arrival = self.next;
        self.next = arrival.next();
        let OrderState { order_id, instrument, .. } = order.state;
        let index = order.account.0 as usize;
        if self.accounts.len() <= index {
            self.accounts.resize_with(index + 1, OfAccount::default);
        }
        let of_account = &mut self.accounts[index];
        of_account.by_age.insert(arrival, order_id);
        *of_account.count_mut(instrument) += 1;
        let (piece, place) = place(order_id);
        while self.pieces.len() <= piece {
            self.pieces.push(vec![None; PIECE].into_boxed_slice());
        }
        let order = OpenOrder { state: unseen(&order.state), ..order };
        self.pieces[piece][place] = Some(KnownOrder { order, changed, arrival });
    }

    /// An order is as `state` says, and otherwise as `change` makes it.
    pub(crate) fn restated(&mut self, state: &OrderState, header: &EventHeader, change: impl FnOnce(&mut OpenOrder)) {
        if let Some(known) = self.get_mut(state.order_id) {
            known.order.state = unseen(state);
            known.changed = header.into();
            change(&mut known.order);
        }
    }

    /// An order has traded.
    pub(crate) fn traded(&mut self, side: &TradeSide, header: &EventHeader) {
        if let Some(known) = self.get_mut(side.order_id) {
            let &TradeSide { order_quantity: quantity, leaves, cumulative, prevented, .. } = side;
            known.order.state = OrderState { quantity, leaves, cumulative, prevented, ..known.order.state };
            known.changed = header.into();
        }
    }

    /// An order has ended.
    pub(crate) fn ended(&mut self, order: OrderId) {
        let (piece, place) = place(order);
        let held = self.pieces.get_mut(piece).map(|piece| &mut piece[place]);
        let Some(known) = held.and_then(|held| held.take_if(|known| known.order.state.order_id == order)) else {
            return;
        };
        let of_account = &mut self.accounts[known.order.account.0 as usize];
        of_account.by_age.remove(&known.arrival);
        *of_account.count_mut(known.order.state.instrument) -= 1;
    }

    /// An open order.
    pub(crate) fn get(&self, order: OrderId) -> Option<&KnownOrder> {
        let (piece, place) = place(order);
        let known = self.pieces.get(piece)?[place].as_ref();
        known.filter(|known| known.order.state.order_id == order)
    }

    fn get_mut(&mut self, order: OrderId) -> Option<&mut KnownOrder> {
        let (piece, place) = place(order);
        let known = self.pieces.get_mut(piece)?[place].as_mut();
        known.filter(|known| known.order.state.order_id == order)
    }

    /// An account's open orders, oldest first.
    pub(crate) fn of(&self, account: AccountId) -> impl Iterator<Item = &KnownOrder> {
        let orders = self.of_account(account).into_iter().flat_map(|of_account| of_account.by_age.values());
        orders.filter_map(|&order| self.get(order))
    }

    /// The oldest of an account's open orders that came at `from` or later.
    pub(crate) fn oldest_since(&self, account: AccountId, from: Arrival) -> Option<&KnownOrder> {
        let (_, &order) = self.of_account(account)?.by_age.range(from..).next()?;
        self.get(order)
    }

    /// How many orders an account has open, in one instrument or in all.
    pub(crate) fn count(&self, account: AccountId, instrument: Option<InstrumentId>) -> u32 {
        let Some(of_account) = self.of_account(account) else { return 0 };
        match instrument {
            Some(instrument) => of_account.count(instrument),
            None => u32::try_from(of_account.by_age.len()).unwrap_or(u32::MAX),
        }
    }

    fn of_account(&self, account: AccountId) -> Option<&OfAccount> {
        self.accounts.get(account.0 as usize)
    }

    /// What the next order's arrival will be.
    pub(crate) fn next_arrival(&self) -> Arrival {
        self.next
    }
}

/// In which piece an order stands, and where there.
fn place(order: OrderId) -> (usize, usize) {
    let slot = order.slot() as usize;
    (slot / PIECE, slot % PIECE)
}

/// Without what is shown of it.
fn unseen(state: &OrderState) -> OrderState {
    OrderState { shown: Quantity::ZERO, ..*state }
}
