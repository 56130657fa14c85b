//! Replay: from the journal alone, the same state and the same events, and the proof that they are the same.

use std::path::Path;
use std::time::Instant;

use engine::{Command, Engine, Event, EventHeader, EventSink, Sequence, Sequenced};

use crate::digest::{Block, BlockDigest, Digest, EventDigest, book_digest, state_digest};
use crate::error::ReplayError;
use crate::reader::{Reader, Verified};
use crate::record::{Entry, Seal};
use crate::sequencer::{BEFORE_FIRST, Discard, Sequencer};

/// What a replay found.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaySummary {
    /// The first command; none if there is none.
    pub first: Sequence,
    /// The last command; none if there is none.
    pub last: Sequence,
    /// How many commands were applied.
    pub commands: u64,
    /// How many events they caused.
    pub events: u64,
    /// Of all events.
    pub event_digest: Digest,
    /// Of the state behind the last command.
    pub state_digest: Digest,
    /// Of the books and balances behind the last command.
    pub book_digest: Digest,
    /// How long it took, digests included.
    pub seconds: f64,
    /// What the reader found: segments, batches, seal, cut.
    pub verified: Verified,
}

/// A rebuilt engine and what is known of it.
pub struct Replayed {
    /// The engine behind the last command.
    pub engine: Engine,
    /// The digest of its events so far, to go on with.
    pub event_digest: EventDigest,
    /// What the reader found.
    pub verified: Verified,
}

/// How often `progress` is called: after this many commands.
pub const PROGRESS_COMMANDS: u64 = 16_384;

/// Replays the journal of a data folder into a new engine; `sink` gets every event, `progress` the sequence reached.
///
/// Each event digest and seal in the journal is compared with what this build computes.
pub fn replay(
    directory: &Path,
    sink: &mut impl EventSink,
    progress: impl FnMut(Sequence),
) -> Result<ReplaySummary, ReplayError> {
    let start = Instant::now();
    let Replayed { engine, event_digest, verified } = rebuild(Reader::open(directory)?, sink, progress)?;
    Ok(ReplaySummary {
        first: verified.first,
        last: verified.last,
        commands: verified.command_count(),
        events: event_digest.event_count(),
        event_digest: event_digest.value(),
        state_digest: state_digest(&engine),
        book_digest: book_digest(&engine),
        seconds: start.elapsed().as_secs_f64(),
        verified,
    })
}

/// Replays everything that `reader` yields into a new engine, to serve from.
pub fn rebuild(
    mut reader: Reader,
    sink: &mut impl EventSink,
    mut progress: impl FnMut(Sequence),
) -> Result<Replayed, ReplayError> {
    let mut replay = Replay::begin(&reader)?;
    while let Some(entry) = reader.next() {
        replay.entry(&reader, entry?, sink)?;
        let last = replay.sequencer.last().sequence;
        if last.0.is_multiple_of(PROGRESS_COMMANDS) {
            progress(last);
        }
    }
    Ok(Replayed { engine: replay.engine, event_digest: replay.digest, verified: reader.verified().clone() })
}

struct Replay {
    engine: Engine,
    sequencer: Sequencer<Discard>,
    digest: EventDigest,
    /// Of every block so far: a journal may carry a block's digest much later.
    blocks: Vec<Digest>,
}

impl Replay {
    fn begin(reader: &Reader) -> Result<Self, ReplayError> {
        let identity = reader.identity();
        let engine = Engine::new(identity.capacity);
        if engine.behaviour() != identity.behaviour {
            return Err(ReplayError::Behaviour { version: identity.behaviour, ours: engine.behaviour() });
        }
        Ok(Self {
            engine,
            sequencer: Sequencer::new(Discard, BEFORE_FIRST),
            digest: EventDigest::new(),
            blocks: Vec::new(),
        })
    }

    fn entry(&mut self, reader: &Reader, entry: Entry, sink: &mut impl EventSink) -> Result<(), ReplayError> {
        match entry {
            Entry::Command(command) => self.command(reader, &command, sink),
            Entry::EventDigest(recorded) => self.compare(reader, recorded),
            Entry::Seal(seal) => self.compare_seal(reader, &seal),
        }
    }

    fn command(
        &mut self,
        reader: &Reader,
        command: &Sequenced<Command>,
        sink: &mut impl EventSink,
    ) -> Result<(), ReplayError> {
        let mut both = Both { first: &mut self.digest, second: sink };
        self.sequencer.replay(&mut self.engine, command, &mut both).map_err(|discontinuity| {
            let position = reader.position();
            ReplayError::Discontinuity {
                file: position.file,
                offset: position.offset,
                last: discontinuity.last.sequence,
                found: discontinuity.found.sequence,
            }
        })?;
        self.digest.applied(command.stamp.sequence);
        self.blocks.extend(self.digest.completed().map(|block| block.digest));
        Ok(())
    }

    fn compare(&self, reader: &Reader, recorded: BlockDigest) -> Result<(), ReplayError> {
        let index = usize::try_from(recorded.block.0).expect("the reader saw the block end");
        same(reader, recorded, self.blocks[index])
    }

    /// A seal whose digest is zero behind commands says nothing.
    fn compare_seal(&self, reader: &Reader, seal: &Seal) -> Result<(), ReplayError> {
        if seal.event_digest == Digest::ZERO {
            return Ok(());
        }
        let block = if seal.last.is_none() { Block(0) } else { Block::of(seal.last) };
        same(reader, BlockDigest { block, digest: seal.event_digest }, self.digest.value())
    }
}

fn same(reader: &Reader, recorded: BlockDigest, computed: Digest) -> Result<(), ReplayError> {
    if recorded.digest == computed {
        return Ok(());
    }
    let position = reader.position();
    Err(ReplayError::Differs {
        file: position.file,
        offset: position.offset,
        block: recorded.block,
        recorded: recorded.digest,
        computed,
    })
}

/// Hands every event to two sinks.
#[derive(Debug)]
pub struct Both<'a, A, B> {
    /// Gets it first.
    pub first: &'a mut A,
    /// Gets it then.
    pub second: &'a mut B,
}

impl<A: EventSink, B: EventSink> EventSink for Both<'_, A, B> {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.first.event(header, event);
        self.second.event(header, event);
    }
}
