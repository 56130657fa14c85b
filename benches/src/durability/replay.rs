//! Replay of a journal, beside the engine alone on the same commands.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::{Capacity, Command, Engine, Sequenced, Timestamp};
use journal::{BEFORE_FIRST, EventDigest, Journal, Opened, Options, Reader, Sequencer, rebuild};

use super::flow::Flow;
use crate::failure::Failure;

/// Commands that are submitted, or applied, together.
const TOGETHER: usize = 256;

/// What the runs took, in turns.
#[derive(Debug, Default)]
pub struct Replays {
    /// Commands of each run.
    pub commands: u64,
    /// The engine alone, from commands in memory.
    pub engine: Vec<Duration>,
    /// From the journal: read, verified, applied, every event digest compared.
    pub replay: Vec<Duration>,
}

/// Makes a journal of `flow` in `directory`, and times `runs` replays.
pub fn replays(flow: &Flow, directory: &Path, runs: usize) -> Result<Replays, Failure> {
    let directory = &directory.join("replay");
    write(flow, directory)?;
    let commands = Reader::open(directory).map_err(journal::ReplayError::from)?.commands();
    let commands: Vec<Sequenced<Command>> = commands.collect::<Result<_, _>>().map_err(journal::ReplayError::from)?;
    let mut replays = Replays { commands: commands.len() as u64, ..Replays::default() };
    for _ in 0..runs {
        replays.engine.push(engine_alone(&commands, flow.capacity));
        let begun = Instant::now();
        rebuild(Reader::open(directory).map_err(journal::ReplayError::from)?, &mut (), |_| {})?;
        replays.replay.push(begun.elapsed());
    }
    std::fs::remove_dir_all(directory).map_err(|source| Failure::io(directory, source))?;
    Ok(replays)
}

/// A journal as a venue writes it: with the digest of each block of events, and sealed.
fn write(flow: &Flow, directory: &Path) -> Result<(), Failure> {
    let Opened { journal, appender, .. } = Journal::open(directory, &Options::new(flow.capacity))?;
    let (mut engine, mut digest, queue) = (Engine::new(flow.capacity), EventDigest::new(), journal.digests());
    let mut sequencer = Sequencer::new(appender, BEFORE_FIRST);
    for commands in flow.commands.chunks(TOGETHER) {
        let at = Timestamp(sequencer.last().sequence.0 + 1);
        let last = sequencer.submit(&mut engine, at, commands, &mut digest)?;
        digest.applied(last.sequence);
        digest.completed().for_each(|block| queue.push(block));
    }
    Ok(journal.close(sequencer.into_append(), digest.value())?)
}

/// How long the engine takes alone, with commands that are in memory.
pub(crate) fn engine_alone(commands: &[Sequenced<Command>], capacity: Capacity) -> Duration {
    let mut engine = Engine::new(capacity);
    let begun = Instant::now();
    commands.chunks(TOGETHER).for_each(|commands| engine.apply_batch(commands, &mut ()));
    begun.elapsed()
}
