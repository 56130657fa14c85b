//! Replay: from the journal alone, the same state and the same events, and the proof that they are the same.

use std::path::Path;
use std::thread::Builder;
use std::time::Instant;

use engine::command::SetBehaviour;
use engine::limits::{BEHAVIOUR, carries_behaviour};
use engine::{Command, CommandBody, Engine, Event, EventHeader, EventSink, Sequence, Sequenced};

use crate::belt::{Emptier, Filler, belt};
use crate::chunk::{BatchPlace, Chunk};
use crate::digest::{Block, BlockDigest, Digest, EncodedEvents, EventDigest, book_digest, state_digest};
use crate::error::{ReadError, ReplayError};
use crate::reader::{Reader, Verified};
use crate::record::Seal;
use crate::sequencer::{Discard, Discontinuity, Sequencer};

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
    /// The event digest at the end of each block.
    pub blocks: Blocks,
}

/// A rebuilt engine and what is known of it.
pub struct Replayed {
    /// The engine behind the last command.
    pub engine: Engine,
    /// The digest of its events so far, to go on with.
    pub event_digest: EventDigest,
    /// What the reader found.
    pub verified: Verified,
    /// The event digest at the end of each block.
    pub blocks: Blocks,
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
    let Replayed { engine, event_digest, verified, blocks } = rebuild(Reader::open(directory)?, sink, progress)?;
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
        blocks,
    })
}

/// Replays everything that `reader`, which is at the journal's beginning, yields into a new engine, to serve from. `sink`
/// gets every event, on this thread.
///
/// Two more threads share the work, so that the engine waits neither for reading nor for hashing:
///
/// ```text
///   replay-reader                  this thread                       replay-digest
///   verify, decode ── chunk ──►    apply, encode events ── page ──►  hash, compare with what is recorded
/// ```
///
/// Of several faults the first in the journal's order is told.
pub fn rebuild(
    reader: Reader,
    sink: &mut impl EventSink,
    progress: impl FnMut(Sequence),
) -> Result<Replayed, ReplayError> {
    let engine = new_engine(&reader)?;
    rebuild_behind(engine, EventDigest::new(), reader, Sequence(u64::MAX), sink, progress)
}

/// The engine that the journal begins with.
pub(crate) fn new_engine(reader: &Reader) -> Result<Engine, ReplayError> {
    let identity = reader.identity();
    if !carries_behaviour(identity.behaviour) {
        return Err(uncarried(identity.behaviour, Sequence(1)));
    }
    Ok(Engine::with_behaviour(identity.capacity, identity.behaviour))
}

/// The same behind a block's end, and up to a command: `engine` and the digest of its events are there, and `reader` yields
/// what follows.
pub(crate) fn rebuild_behind(
    engine: Engine,
    event_digest: EventDigest,
    reader: Reader,
    until: Sequence,
    sink: &mut impl EventSink,
    progress: impl FnMut(Sequence),
) -> Result<Replayed, ReplayError> {
    let sequencer = Sequencer::new(Discard, engine.last());
    let mut replay = Replay { engine, sequencer };
    let folder = reader.folder().to_owned();
    let ((to_apply, chunks), (to_digest, pages)) = (belt(), belt());
    std::thread::scope(|scope| {
        let reading = thread("replay-reader").spawn_scoped(scope, move || read(reader, until, &to_apply))?;
        let digesting = thread("replay-digest").spawn_scoped(scope, move || digest(event_digest, &pages))?;
        let applied = replay.apply(chunks, to_digest, sink, progress);
        let (verified, read) = reading.join().expect("reading does not panic");
        let digested = digesting.join().expect("hashing does not panic");
        let (event_digest, blocks) = digested.map_err(|difference| difference.at(&folder))?;
        applied.map_err(|stop| stop.at(&folder))?;
        read?;
        Ok(Replayed { engine: replay.engine, event_digest, verified, blocks })
    })
}

fn thread(name: &str) -> Builder {
    Builder::new().name(name.to_owned())
}

/// Reads to the end, up to a command, to the first error, or until nobody takes what is read.
fn read(mut reader: Reader, until: Sequence, to_apply: &Filler<Chunk>) -> (Verified, Result<(), ReadError>) {
    loop {
        let mut chunk = to_apply.next();
        let outcome = reader.fill(&mut chunk);
        let ends = chunk.end_at(until);
        // What is wrong behind the last command that is wanted does not matter.
        let outcome = if ends { Ok(()) } else { outcome };
        let more = !chunk.is_empty() && to_apply.put(chunk) && !ends;
        if outcome.is_err() || !more {
            return (reader.verified().clone(), outcome);
        }
    }
}

struct Replay {
    engine: Engine,
    sequencer: Sequencer<Discard>,
}

/// The events of a chunk, and what the journal says of them.
#[derive(Default)]
struct Page {
    events: EncodedEvents,
    last: Sequence,
    digests: Vec<(BlockDigest, BatchPlace)>,
    seal: Option<(Seal, BatchPlace)>,
}

impl Replay {
    /// Applies chunks until there are no more, one does not follow, or the digests differ.
    fn apply(
        &mut self,
        chunks: Emptier<Chunk>,
        to_digest: Filler<Page>,
        sink: &mut impl EventSink,
        mut progress: impl FnMut(Sequence),
    ) -> Result<(), Stop> {
        while let Some(mut chunk) = chunks.take() {
            if let Some(stop) = chunk.commands.iter().find_map(Stop::if_uncarried) {
                return Err(stop);
            }
            let mut page: Page = to_digest.next();
            page.events.clear();
            let mut both = Both { first: &mut page.events, second: sink };
            self.sequencer
                .replay(&mut self.engine, &chunk.commands, &mut both)
                .map_err(|discontinuity| Stop::Discontinuity(discontinuity, chunk.place_of(discontinuity.index)))?;
            page.last = self.sequencer.last().sequence;
            core::mem::swap(&mut page.digests, &mut chunk.digests);
            page.seal = chunk.seal;
            if page.last.0.is_multiple_of(PROGRESS_COMMANDS) {
                progress(page.last);
            }
            chunks.give_back(chunk);
            if !to_digest.put(page) {
                break;
            }
        }
        Ok(())
    }
}

/// Why commands cannot be applied.
enum Stop {
    /// One does not follow.
    Discontinuity(Discontinuity, BatchPlace),
    /// One asks for matching rules that this build does not carry.
    Uncarried { version: u32, from: Sequence },
}

impl Stop {
    /// A version from before the first is refused by every build, and a later one only by those that lack it.
    fn if_uncarried(command: &Sequenced<Command>) -> Option<Self> {
        match command.value.body {
            CommandBody::SetBehaviour(SetBehaviour { version, .. }) if version > BEHAVIOUR => {
                Some(Self::Uncarried { version, from: command.stamp.sequence })
            }
            _ => None,
        }
    }

    fn at(self, folder: &Path) -> ReplayError {
        match self {
            Self::Discontinuity(Discontinuity { last, found, .. }, place) => {
                let (file, offset) = (place.file(folder), place.offset);
                ReplayError::Discontinuity { file, offset, last: last.sequence, found: found.sequence }
            }
            Self::Uncarried { version, from } => uncarried(version, from),
        }
    }
}

fn uncarried(version: u32, from: Sequence) -> ReplayError {
    ReplayError::Behaviour { version, from, newest: BEHAVIOUR }
}

/// A digest in the journal that is not of the events of this replay.
struct Difference {
    recorded: BlockDigest,
    computed: Digest,
    place: BatchPlace,
}

impl Difference {
    fn at(self, folder: &Path) -> ReplayError {
        let Self { recorded: BlockDigest { block, digest: recorded }, computed, place } = self;
        ReplayError::Differs { file: place.file(folder), offset: place.offset, block, recorded, computed }
    }
}

/// Hashes pages until there are no more, or one is not what the journal says.
fn digest(mut digest: EventDigest, pages: &Emptier<Page>) -> Result<(EventDigest, Blocks), Difference> {
    let mut blocks = Blocks::behind(&digest);
    while let Some(page) = pages.take() {
        digest.encoded(&page.events);
        digest.applied(page.last);
        digest.completed().for_each(|block| blocks.add(block));
        for &(recorded, place) in &page.digests {
            if let Some(computed) = blocks.of(recorded.block) {
                same(recorded, computed, place)?;
            }
        }
        // A seal whose digest is zero behind commands says nothing.
        if let Some((Seal { last, event_digest }, place)) = page.seal
            && event_digest != Digest::ZERO
        {
            let block = if last.is_none() { Block(0) } else { Block::of(last) };
            same(BlockDigest { block, digest: event_digest }, digest.value(), place)?;
        }
        pages.give_back(page);
    }
    Ok((digest, blocks))
}

/// The digests of all blocks of a replay: a journal may carry a block's digest much later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    first: Block,
    digests: Vec<Digest>,
}

impl Blocks {
    /// Of the blocks that complete behind what `digest` has taken, and of the one before, if there is one.
    fn behind(digest: &EventDigest) -> Self {
        match digest.last_block() {
            Some(BlockDigest { block, digest }) => Self { first: block, digests: vec![digest] },
            None => Self { first: Block(0), digests: Vec::new() },
        }
    }

    /// The next block has ended.
    fn add(&mut self, ended: BlockDigest) {
        debug_assert_eq!(ended.block.0, self.first.0 + self.digests.len() as u64);
        self.digests.push(ended.digest);
    }

    /// Nothing for a block from before, or that has not ended.
    pub fn of(&self, block: Block) -> Option<Digest> {
        let index = usize::try_from(block.0.checked_sub(self.first.0)?).ok()?;
        self.digests.get(index).copied()
    }
}

fn same(recorded: BlockDigest, computed: Digest, place: BatchPlace) -> Result<(), Difference> {
    if recorded.digest == computed { Ok(()) } else { Err(Difference { recorded, computed, place }) }
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
    #[inline]
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.first.event(header, event);
        self.second.event(header, event);
    }
}
