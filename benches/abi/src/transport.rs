//! A ring of reports between two threads, published several at a time.
//!
//! The ring is `rtrb`'s: cached indices, no lock. What its writer adds is a batch: the reader's thread sees the writer's
//! index move once for [`BATCH`] reports, not once for each.

use std::mem::MaybeUninit;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::interface::{Report, ReportKind};

/// How many reports are published together, unless they are asked for before.
pub const BATCH: usize = 32;

const NO_REPORT: Report = Report::reject(ReportKind::OrderAck, 0, 0);

/// Both ends of a ring with room for at least so many reports, beside the batch that is being gathered.
pub fn report_ring(capacity: usize) -> (ReportWriter, ReportReader) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let mut writer = ReportWriter { ring: producer, batch: [NO_REPORT; BATCH], length: 0 };
    writer.touch();
    (writer, ReportReader { ring: consumer })
}

/// The engine's end of a ring.
#[derive(Debug)]
pub struct ReportWriter {
    ring: Producer<Report>,
    batch: [Report; BATCH],
    length: usize,
}

/// The drainer's end of a ring.
#[derive(Debug)]
pub struct ReportReader {
    ring: Consumer<Report>,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl ReportWriter {
    /// Takes a report, and publishes the batch if that is its last.
    #[inline]
    pub fn push(&mut self, report: &Report) -> Result<(), Full> {
        if self.length == BATCH && self.publish_some() == 0 {
            return Err(Full);
        }
        self.batch[self.length] = *report;
        self.length += 1;
        if self.length == BATCH {
            self.publish_some();
        }
        Ok(())
    }

    /// Publishes everything, and waits for room as long as it takes.
    pub fn publish(&mut self) {
        while self.length > 0 {
            if self.publish_some() == 0 {
                std::hint::spin_loop();
            }
        }
    }

    /// Publishes what there is room for; how many.
    fn publish_some(&mut self) -> usize {
        let (published, waiting) = self.ring.push_partial_slice(&self.batch[..self.length]);
        let (published, waiting) = (published.len(), waiting.len());
        self.batch.copy_within(published..self.length, 0);
        self.length = waiting;
        published
    }

    /// Writes to every slot once, so that memory is there before the first report.
    fn touch(&mut self) {
        if let Ok(mut slots) = self.ring.write_chunk_uninit(self.ring.slots()) {
            let (all, none) = slots.as_mut_slices();
            for slot in all.iter_mut().chain(none) {
                slot.write(NO_REPORT);
            }
        }
    }
}

impl ReportReader {
    /// Takes out as many reports as there are, at most as many as `out` holds: how many.
    #[inline]
    pub fn drain(&mut self, out: &mut [MaybeUninit<Report>]) -> usize {
        self.ring.pop_partial_slice_uninit(out).0.len()
    }
}
