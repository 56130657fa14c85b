//! The reports of a run, as a reader on another thread would find them: 64 bytes each, in a ring.

use engine::EventKind;
use engine::order::Side;

/// Slots; the ring stays in the second-level cache.
const SLOTS: usize = 4_096;

/// What one event tells, in one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Report {
    /// The command that caused it.
    pub sequence: u64,
    /// The order; of a trade, the maker's.
    pub order_id: u64,
    /// Of a trade, the taker's order; else the trader's name for the order.
    pub other: u64,
    /// Of a trade, its number; else the report's in its account.
    pub number: u64,
    /// In ticks.
    pub price: u64,
    /// What traded, was cancelled or was ordered, in lots.
    pub quantity: u64,
    /// What is left of the order, in lots.
    pub leaves: u64,
    /// Whose order.
    pub account: u32,
    /// What happened.
    pub kind: EventKind,
    /// Of the order.
    pub side: Side,
}

const _: () = assert!(size_of::<Report>() == 64, "a report fills a cache line");

/// The last reports.
#[derive(Debug)]
pub struct Ring {
    slots: Box<[Report; SLOTS]>,
    written: usize,
}

impl Ring {
    /// A ring that was written once all around.
    pub fn new() -> Self {
        let nothing = Report {
            sequence: 0,
            order_id: 0,
            other: 0,
            number: 0,
            price: 0,
            quantity: 0,
            leaves: 0,
            account: 0,
            kind: EventKind::NotApplied,
            side: Side::Buy,
        };
        Self { slots: vec![nothing; SLOTS].try_into().expect("as many slots"), written: 0 }
    }

    /// Writes the next report.
    #[inline(always)]
    pub fn push(&mut self, report: Report) {
        self.slots[self.written % SLOTS] = report;
        self.written += 1;
    }

    /// How many reports were written.
    pub fn written(&self) -> u64 {
        std::hint::black_box(&*self.slots);
        self.written as u64
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}
