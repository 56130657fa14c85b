//! What is sent without a network: a mix as commands of a whole venue, built as they are sent.

use engine::{Capacity, Command, Sequence};

use super::arguments::Mix;
use super::engine::ACCOUNTS;
use crate::failure::Failure;
use crate::throughput::commands::{Mode, Record, Traders, capacity, set_up};
use crate::throughput::resolve::resolve;
use crate::throughput::workload::Stream;

/// Commands, and the engine that takes them.
#[derive(Debug)]
pub struct Traffic {
    /// Of the engine.
    pub capacity: Capacity,
    /// What sets the venue up and fills the book.
    pub before: Vec<Command>,
    records: Vec<Record>,
    traders: Traders,
}

impl Traffic {
    /// So many operations, or a few less, behind what fills the book.
    pub fn generate(mix: Mix, seed: u64, operations: usize) -> Result<Self, Failure> {
        let stream = Stream::generate(mix, seed, operations);
        let resolved = resolve(&stream, Mode::Venue, ACCOUNTS, Traders::new(ACCOUNTS))?;
        let (mut before, mut traders) = (set_up(Mode::Venue, ACCOUNTS), Traders::new(ACCOUNTS));
        let sequences = (before.len() as u64 + 1..).map(Sequence);
        let filling = resolved.prefill.iter().zip(sequences);
        before.extend(filling.map(|(record, sequence)| record.command(sequence, &mut traders).value));
        Ok(Self { capacity: capacity(&stream, ACCOUNTS), before, records: resolved.timed, traders })
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The operations, one after the other.
    pub fn commands(&self) -> impl Iterator<Item = Command> {
        let mut traders = self.traders.clone();
        let sequences = (self.before.len() as u64 + 1..).map(Sequence);
        self.records.iter().zip(sequences).map(move |(record, sequence)| record.command(sequence, &mut traders).value)
    }
}
