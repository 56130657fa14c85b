//! The journal alone rebuilds the state and every event, bit for bit.

mod common;

use common::trading::{day, setting_up};
use common::{Folder, NoCore, SplitMix64, seed};
use engine::{Capacity, Command, Engine, Event, EventHeader, Sequence, Timestamp};
use journal::{
    BEFORE_FIRST, Block, BlockDigest, Both, Digest, EventDigest, Fault, Journal, Opened, ReadError, Reader,
    ReplayError, Sequencer, book_digest, rebuild, replay, state_digest,
};

/// What a venue that ran to its end knows of itself.
#[derive(Debug, PartialEq)]
struct Ran {
    last: Sequence,
    events: Vec<(EventHeader, Event)>,
    digests: [Digest; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Sealed,
    Abandoned,
}

/// Runs a venue over `commands`, in batches of random size, and journals it.
fn run(folder: &Folder, commands: &[Command], random: &mut SplitMix64, end: End) -> Ran {
    let Opened { journal, appender, recovery } = Journal::open(&folder.data(), &folder.options()).unwrap();
    let mut engine = Engine::new(recovery.identity.capacity);
    let mut sequencer = Sequencer::new(appender, BEFORE_FIRST);
    let (mut events, mut digest, digests) = (Vec::new(), EventDigest::new(), journal.digests());
    let mut rest = commands;
    let mut now = 1_000;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(usize::try_from(1 + random.below(40)).unwrap().min(rest.len()));
        now += random.below(50);
        let mut sink = Both { first: &mut digest, second: &mut events };
        let last = match random.below(8) {
            0 => sequencer.tick(&mut engine, Timestamp(now), &mut sink).unwrap(),
            _ => {
                rest = later;
                sequencer.submit(&mut engine, Timestamp(now), batch, &mut sink).unwrap()
            }
        };
        digest.applied(last.sequence);
        digest.completed().for_each(|block| digests.push(block));
    }
    let ran = Ran {
        last: engine.last().sequence,
        events,
        digests: [digest.value(), state_digest(&engine), book_digest(&engine)],
    };
    match end {
        End::Sealed => journal.close(sequencer.into_append(), digest.value()).unwrap(),
        End::Abandoned => drop(sequencer),
    }
    ran
}

fn replayed(folder: &Folder) -> (Ran, journal::ReplaySummary) {
    let mut events = Vec::new();
    let summary = replay(&folder.data(), &mut events, |_| ()).unwrap();
    let digests = [summary.event_digest, summary.state_digest, summary.book_digest];
    (Ran { last: summary.last, events, digests }, summary)
}

fn commands(random: &mut SplitMix64, count: u64) -> Vec<Command> {
    let mut commands = setting_up();
    commands.extend(day(random, count));
    commands
}

#[test]
fn a_replay_yields_the_same_events_and_digests() {
    for default in [5, 6] {
        let seed = seed(default);
        let mut random = SplitMix64(seed);
        let commands = commands(&mut random, 5_000);
        for end in [End::Sealed, End::Abandoned] {
            let folder = Folder::new();
            let ran = run(&folder, &commands, &mut random, end);
            let (again, summary) = replayed(&folder);
            assert!(ran == again, "SEED={seed} {end:?}: {:?} {:?}", ran.digests, again.digests);
            assert_eq!((summary.first, summary.commands), (Sequence(1), ran.last.0));
            assert_eq!(summary.events, ran.events.len() as u64);
            assert!(ran.last.0 > commands.len() as u64, "time was advanced: the day is not too tame");
            let trades = ran.events.iter().filter(|(_, event)| matches!(event, Event::Trade(_))).count();
            assert!(trades > 100, "SEED={seed}: {trades} trades");
        }
    }
}

#[test]
fn a_venue_goes_on_behind_its_replay_as_if_it_had_never_stopped() {
    let mut random = SplitMix64(seed(7));
    let commands = commands(&mut random, 3_000);
    // One at a time and at equal times, so that both runs stamp the same.
    let submit = |sequencer: &mut Sequencer<_>, engine: &mut Engine, digest: &mut EventDigest, commands: &[Command]| {
        for command in commands {
            let last = sequencer.submit(engine, Timestamp(9), &[*command], digest).unwrap();
            digest.applied(last.sequence);
        }
    };
    let [whole, parts] = [Folder::new(), Folder::new()];
    let all = commands.len();
    for (folder, ends) in [(&whole, [all].as_slice()), (&parts, &[700, 1_024, 1_500, all])] {
        let mut from = 0;
        for &to in ends {
            let Opened { journal: _journal, appender, .. } = Journal::open(&folder.data(), &folder.options()).unwrap();
            let reader = Reader::open(&folder.data()).unwrap();
            let rebuilt = rebuild(reader, &mut Vec::new(), |_| ()).unwrap();
            let (mut engine, mut digest) = (rebuilt.engine, rebuilt.event_digest);
            let mut sequencer = Sequencer::new(appender, engine.last());
            submit(&mut sequencer, &mut engine, &mut digest, &commands[from..to]);
            from = to;
        }
    }
    assert!(replayed(&whole).0 == replayed(&parts).0);
}

#[test]
fn the_event_digest_is_a_chain_over_blocks_of_1024_sequences() {
    let mut random = SplitMix64(seed(8));
    let folder = Folder::new();
    let commands = commands(&mut random, 2_500);
    let ran = run(&folder, &commands, &mut random, End::Sealed);
    // By the definition, over the events as they came out.
    let mut digest = [0; 32];
    for block in 0..ran.last.0.div_ceil(1_024) {
        let mut bytes = digest.to_vec();
        for (header, event) in &ran.events {
            if (header.id.sequence.0 - 1) / 1_024 == block {
                engine::canonical::Canonical::encode(header, &mut bytes);
                engine::canonical::Canonical::encode(event, &mut bytes);
            }
        }
        digest = blake3::hash(&bytes).into();
    }
    assert_eq!(ran.digests[0], Digest(digest));
}

#[test]
fn a_block_whose_events_differ_is_named() {
    let folder = Folder::new();
    let mut writing = folder.open();
    let digests = writing.journal.digests();
    digests.push(BlockDigest { block: Block(0), digest: Digest(*blake3::hash(&[0; 32]).as_bytes()) });
    // The engine refuses every one of these, and each refusal is an event.
    writing.submit(&(1..=1_100).map(common::cancel).collect::<Vec<_>>()).unwrap();
    writing.close(Digest::ZERO);
    match replay(&folder.data(), &mut Vec::new(), |_| ()) {
        Err(ReplayError::Differs { block, recorded, computed, file, .. }) => {
            assert_eq!(block, Block(0));
            assert_eq!(recorded, Digest(*blake3::hash(&[0; 32]).as_bytes()));
            assert_ne!(computed, recorded);
            assert!(file.extension().is_some_and(|extension| extension == "seg"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_seal_whose_digest_differs_is_named() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&common::page_of_cancels(1));
    writing.close(Digest([1; 32]));
    let outcome = replay(&folder.data(), &mut Vec::new(), |_| ());
    assert!(matches!(outcome, Err(ReplayError::Differs { block: Block(0), recorded: Digest([1, ..]), .. })));
}

#[test]
fn a_time_that_goes_back_is_no_continuation() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&common::page_of_cancels(1));
    writing.abandon();
    // A sequencer that forgot the time.
    let Opened { journal: _journal, appender, recovery } = Journal::open(&folder.data(), &folder.options()).unwrap();
    let forgetful = engine::Stamp { sequence: recovery.last, time: Timestamp::NONE };
    let mut sequencer = Sequencer::new(appender, forgetful);
    sequencer.submit(&mut NoCore, Timestamp::NONE, &[common::cancel(41)], &mut Vec::new()).unwrap();
    drop(sequencer);
    match replay(&folder.data(), &mut Vec::new(), |_| ()) {
        Err(ReplayError::Discontinuity { last, found, .. }) => assert_eq!((last, found), (Sequence(40), Sequence(41))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_replay_stops_at_damage_and_before_a_torn_tail() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&common::page_of_cancels(1));
    writing.batch(&common::page_of_cancels(41));
    writing.abandon();
    let mut bytes = std::fs::read(folder.segment(1)).unwrap();
    bytes[2 * common::PAGE + 200] ^= 1;
    std::fs::write(folder.segment(1), &bytes).unwrap();
    let summary = replay(&folder.data(), &mut Vec::new(), |_| ()).unwrap();
    assert_eq!((summary.last, summary.verified.cut.unwrap().offset), (Sequence(40), 8_192));

    bytes[common::PAGE + 200] ^= 1;
    std::fs::write(folder.segment(1), &bytes).unwrap();
    let outcome = replay(&folder.data(), &mut Vec::new(), |_| ());
    assert!(matches!(
        outcome,
        Err(ReplayError::Read(ReadError::Damaged { offset: 4_096, fault: Fault::RecordChecksum { .. }, .. }))
    ));
}

#[test]
fn an_empty_journal_replays_to_a_new_engine() {
    let folder = Folder::new();
    folder.open().close(Digest::ZERO);
    let (ran, summary) = replayed(&folder);
    let mut snapshot = Vec::new();
    Engine::new(Capacity::SMALL).write_snapshot(&mut snapshot);
    let state = Digest(*blake3::hash(&snapshot).as_bytes());
    assert_eq!((ran.last, summary.first, summary.commands), (Sequence(0), Sequence(0), 0));
    assert_eq!((ran.digests[0], ran.digests[1]), (Digest::ZERO, state));
}
