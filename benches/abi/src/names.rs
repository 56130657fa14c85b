//! The client's names for orders and the venue's, both ways.

use std::collections::HashMap;

use engine::OrderId;

/// Ids below this stand in a table; a client that counts its orders stays below.
const DENSE_IDS: u64 = 1 << 24;

/// Ids that the table has room for from the beginning.
const FIRST_IDS: usize = 1 << 21;

/// Which order a client's id named last, and what the client calls an open order.
///
/// Whether an order is open, the engine knows: an id that named one stays noted when the order has ended.
#[derive(Debug)]
pub(crate) struct Names {
    venue_ids: Vec<OrderId>,
    /// Ids from [`DENSE_IDS`].
    sparse_venue_ids: HashMap<u64, OrderId>,
    /// By the slot of the venue's name.
    client_ids: Vec<u64>,
}

impl Names {
    /// For at most so many open orders.
    pub(crate) fn new(open_orders_max: u32) -> Self {
        Self {
            venue_ids: vec![OrderId::NONE; FIRST_IDS],
            sparse_venue_ids: HashMap::new(),
            client_ids: vec![0; open_orders_max as usize],
        }
    }

    /// The order that the client's id named last; [`OrderId::NONE`] if it never named one.
    pub(crate) fn venue_id(&self, client_id: u64) -> OrderId {
        if client_id < DENSE_IDS {
            return self.venue_ids.get(client_id as usize).copied().unwrap_or(OrderId::NONE);
        }
        self.sparse_venue_ids.get(&client_id).copied().unwrap_or(OrderId::NONE)
    }

    /// The client's name for an open order.
    pub(crate) fn client_id(&self, venue_id: OrderId) -> u64 {
        self.client_ids[venue_id.slot() as usize]
    }

    /// An order was opened.
    pub(crate) fn note(&mut self, client_id: u64, venue_id: OrderId) {
        self.client_ids[venue_id.slot() as usize] = client_id;
        if client_id >= DENSE_IDS {
            self.sparse_venue_ids.insert(client_id, venue_id);
            return;
        }
        let index = client_id as usize;
        if index >= self.venue_ids.len() {
            self.venue_ids.resize((index + 1).next_power_of_two(), OrderId::NONE);
        }
        self.venue_ids[index] = venue_id;
    }
}
