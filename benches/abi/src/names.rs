//! The client's names for orders and the venue's, both ways.

use std::collections::HashMap;

use engine::OrderId;
use foldhash::fast::FixedState;

/// Open orders that there is room for from the beginning. Few: the client's ids come in no order, and a large table would
/// miss the caches on each.
const FIRST_OPEN: usize = 1 << 10;

/// What the client calls the open orders.
#[derive(Debug)]
pub(crate) struct Names {
    venue_ids: HashMap<u64, OrderId, FixedState>,
    /// By the slot of the venue's name.
    client_ids: Vec<u64>,
}

impl Names {
    /// For at most so many open orders.
    pub(crate) fn new(open_orders_max: u32) -> Self {
        Self {
            venue_ids: HashMap::with_capacity_and_hasher(FIRST_OPEN, FixedState::with_seed(0)),
            client_ids: vec![0; open_orders_max as usize],
        }
    }

    /// The open order that the client's id names; [`OrderId::NONE`] if it names none.
    #[inline]
    pub(crate) fn venue_id(&self, client_id: u64) -> OrderId {
        self.venue_ids.get(&client_id).copied().unwrap_or(OrderId::NONE)
    }

    /// The client's name for an open order.
    #[inline]
    pub(crate) fn client_id(&self, venue_id: OrderId) -> u64 {
        self.client_ids[venue_id.slot() as usize]
    }

    /// An order was opened.
    #[inline]
    pub(crate) fn note(&mut self, client_id: u64, venue_id: OrderId) {
        self.client_ids[venue_id.slot() as usize] = client_id;
        self.venue_ids.insert(client_id, venue_id);
    }

    /// An order has ended.
    #[inline]
    pub(crate) fn forget(&mut self, venue_id: OrderId) {
        self.venue_ids.remove(&self.client_ids[venue_id.slot() as usize]);
    }
}
