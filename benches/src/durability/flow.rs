//! What is journalled: the operations of [`Workload::S1k`] as commands of a whole venue.

use engine::{Capacity, Command, Sequence};

use crate::failure::Failure;
use crate::throughput::commands::{Mode, Traders, capacity, set_up};
use crate::throughput::resolve::resolve;
use crate::throughput::workload::{Stream, Workload};

const ACCOUNTS: u16 = 64;

/// Commands, and the engine that takes them.
#[derive(Debug)]
pub struct Flow {
    /// Of the engine.
    pub capacity: Capacity,
    /// The venue's set-up, what fills the book, and the operations.
    pub commands: Vec<Command>,
}

impl Flow {
    /// So many operations behind the prefill.
    pub fn generate(operations: usize) -> Result<Self, Failure> {
        let stream = Stream::generate(Workload::S1k, Workload::S1k.seed(), operations);
        let resolved = resolve(&stream, Mode::Venue, ACCOUNTS, Traders::new(ACCOUNTS))?;
        let mut commands = set_up(Mode::Venue, ACCOUNTS);
        let mut clients = Traders::new(ACCOUNTS);
        let sequences = (commands.len() as u64 + 1..).map(Sequence);
        let records = resolved.prefill.iter().chain(&resolved.timed);
        commands.extend(records.zip(sequences).map(|(record, sequence)| record.command(sequence, &mut clients).value));
        Ok(Self { capacity: capacity(&stream, ACCOUNTS), commands })
    }
}
