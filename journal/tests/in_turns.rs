//! A journal in turns: one thread appends, writes, makes spare segments and follows, a step at a time, and nothing waits.

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use common::trading::{commands, snapshotted};
use common::{
    Folder, NoCore, PAGE, SplitMix64, Writing, cancel, commands_on, fail_allocations, fail_at, page_of_cancels, seed,
};
use ed25519_dalek::SigningKey;
use engine::{Command, Engine, Event, EventHeader, Sequence, Sequenced, Timestamp};
use journal::{
    AppendError, Appender, Apply, Digest, Direction, Entry, EventDigest, FolderLock, Followed, HISTORY_FOLDER, Hands,
    HeadOutcome, History, HistoryOptions, HistoryWriter, Journal, Keep, Labour, Made, OpenError, Opened, Options,
    PastSource, Query, Reader, Recovery, Seal, Sequencer, Shadow, ShadowEvent, SnapshotPolicy, SnapshotRequest,
    SnapshotStore, Start, WriteError, Wrote, events_between, start_locked, state_digest,
};
use ring::Admission;
use simulation::SimulatedDisk;

fn setting() -> (SimulatedDisk, Folder, Options) {
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    let options = Options { labour: Labour::Turns, ..folder.options_on(&disk) };
    (disk, folder, options)
}

/// A journal in turns.
struct Turns {
    journal: Journal,
    sequencer: Sequencer<Appender>,
    hands: Hands,
    recovery: Recovery,
}

impl Turns {
    fn open(folder: &Folder, options: &Options) -> Self {
        let Opened { journal, mut appender, recovery } = Journal::open(&folder.data(), options).unwrap();
        let hands = appender.take_hands().unwrap();
        assert!(appender.take_hands().is_none());
        let last = engine::Stamp { sequence: recovery.last, time: Timestamp(recovery.last.0) };
        Self { journal, sequencer: Sequencer::new(appender, last), hands, recovery }
    }

    /// The same with spares ready.
    fn with_spares(folder: &Folder, options: &Options) -> Self {
        let mut turns = Self::open(folder, options);
        turns.make_spares();
        turns
    }

    fn make_spares(&mut self) {
        while self.hands.make_spare() == Made::Spare {}
    }

    fn write_all(&mut self) {
        loop {
            self.make_spares();
            match self.hands.write() {
                Wrote::Group => {}
                Wrote::Nothing => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn submit(&mut self, commands: &[Command]) -> Result<(), AppendError> {
        let at = Timestamp(self.sequencer.last().sequence.0 + 1);
        assert!(self.sequencer.has_room_for(commands.len()));
        self.sequencer.submit(&mut NoCore, at, commands, &mut Vec::new()).map(drop)
    }

    fn durable(&self) -> u64 {
        self.journal.durable().get()
    }

    fn die(self) {
        drop(self.sequencer.into_append());
        self.hands.die();
    }

    fn try_close(mut self, event_digest: Digest) -> Result<(), Arc<WriteError>> {
        self.journal.begin_close(self.sequencer.into_append(), event_digest);
        self.hands.run_to_end();
        assert!(self.hands.has_ended());
        self.journal.failure().map_or(Ok(()), Err)
    }

    fn close(self) {
        self.try_close(Digest([7; 32])).unwrap();
    }
}

fn assert_holds(disk: &SimulatedDisk, count: u64) {
    let commands = commands_on(disk);
    assert_eq!(commands.len() as u64, count);
    assert!((1..).zip(&commands).all(|(number, command)| command.value == cancel(number)));
}

/// Every file's name and bytes.
fn contents(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    disk.names().into_iter().map(|name| (name.clone(), disk.read(&name))).collect()
}

#[test]
fn nothing_is_durable_before_a_step_and_a_step_makes_all_of_it_so() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &options);
    assert_eq!(turns.hands.write(), Wrote::Nothing);
    turns.submit(&page_of_cancels(1)).unwrap();
    turns.submit(&page_of_cancels(41)).unwrap();
    assert_eq!((turns.durable(), commands_on(&disk).len()), (0, 0));
    assert_eq!(turns.hands.write(), Wrote::Group);
    assert_eq!(turns.durable(), 80);
    assert_holds(&disk.durable_copy(), 80);
    assert_eq!(turns.hands.write(), Wrote::Nothing);
}

#[test]
fn a_group_that_needs_a_spare_is_kept_until_there_is_one() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &options);
    for first in [1, 41, 81] {
        turns.submit(&page_of_cancels(first)).unwrap();
        assert_eq!(turns.hands.write(), Wrote::Group);
    }
    assert_eq!(turns.journal.space().room_bytes(), 0);
    fail_allocations(&disk, 1);
    turns.submit(&page_of_cancels(121)).unwrap();
    for _ in 0..3 {
        assert_eq!(turns.hands.write(), Wrote::WaitsForSpare);
    }
    assert_eq!(turns.hands.make_spare(), Made::Failed);
    assert_eq!(turns.journal.space().admission().get(), Admission::Nothing);
    assert_eq!(turns.hands.write(), Wrote::WaitsForSpare, "the venue goes on");
    // What comes meanwhile is another group.
    turns.submit(&page_of_cancels(161)).unwrap();
    assert_eq!([(); 3].map(|()| turns.hands.make_spare()), [Made::Spare, Made::Spare, Made::Nothing]);
    assert_eq!(turns.journal.space().admission().get(), Admission::Everything);
    assert_eq!((turns.hands.write(), turns.durable()), (Wrote::Group, 160));
    assert_eq!((turns.hands.write(), turns.durable()), (Wrote::Group, 200));
    turns.close();
    assert_holds(&disk, 200);
}

#[test]
fn a_venue_that_finishes_waits_for_no_spare_that_cannot_be_made() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &options);
    fail_allocations(&disk, u64::MAX);
    for first in (1..=161).step_by(40) {
        turns.submit(&page_of_cancels(first)).unwrap();
        let _ = turns.hands.write();
    }
    let outcome = turns.try_close(Digest::ZERO);
    assert!(matches!(*outcome.unwrap_err(), WriteError::NoSpare { .. }));

    disk.disarm();
    let turns = Turns::open(&folder, &options);
    assert_eq!(turns.recovery.last, Sequence(200), "the head kept the rest");
    turns.die();
    assert_holds(&disk, 200);
}

#[test]
fn a_failed_sync_ends_the_writer_and_is_named() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::with_spares(&folder, &options);
    turns.submit(&page_of_cancels(1)).unwrap();
    fail_at(&disk, 2);
    assert_eq!(turns.hands.write(), Wrote::Ended);
    assert!(turns.hands.has_ended() && turns.journal.durable().is_poisoned());
    let why = turns.journal.failure().unwrap().to_string();
    assert!(why.contains("syncing") && why.contains("made to fail"), "{why}");
    assert_eq!((turns.hands.write(), turns.hands.make_spare()), (Wrote::Ended, Made::Nothing));
    assert!(matches!(turns.submit(&page_of_cancels(41)), Err(AppendError::Poisoned(_))));
    assert!(!disk.names().iter().any(|name| name.ends_with(".spare")), "as when a thread ends");
    drop(turns);

    let turns = Turns::open(&folder, &options);
    assert!(matches!(turns.recovery.head, HeadOutcome::Adopted { .. }));
    turns.die();
}

#[test]
#[should_panic(expected = "the appender has not ended")]
fn an_end_before_the_appenders_is_a_bug() {
    let (_disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &options);
    turns.hands.run_to_end();
}

/// What a life does next, but for its end.
fn act(turns: &mut Turns, random: &mut SplitMix64) {
    match random.below(4) {
        0 => drop(turns.hands.make_spare()),
        1 => drop(turns.hands.write()),
        _ if turns.sequencer.has_room_for(40) => {
            let first = turns.sequencer.last().sequence.0 + 1;
            let count = random.below(41);
            turns.submit(&(first..first + count).map(cancel).collect::<Vec<_>>()).unwrap();
        }
        _ => {}
    }
}

#[test]
fn whenever_it_dies_the_head_has_what_the_disk_lacks() {
    let random = &mut SplitMix64(seed(3));
    let (disk, folder, options) = setting();
    let (mut published, mut adopted) = (0, 0);
    for _ in 0..60 {
        let mut turns = Turns::open(&folder, &options);
        assert_eq!(turns.recovery.last.0, published);
        if let HeadOutcome::Adopted { command_count } = turns.recovery.head {
            adopted += command_count;
        }
        (0..random.below(40)).for_each(|_| act(&mut turns, random));
        published = turns.sequencer.last().sequence.0;
        disk.take_trace();
        turns.die();
        assert_eq!(disk.take_trace(), Vec::<String>::new(), "a dead process writes nothing");
        assert!(folder.head().is_some());
    }
    Turns::open(&folder, &options).close();
    assert_holds(&disk, published);
    assert!(adopted > 0);
}

#[test]
fn what_is_dropped_in_any_order_lets_the_next_one_in() {
    let (disk, folder, options) = setting();
    for order in 0..3 {
        let Turns { journal, mut sequencer, hands, .. } = Turns::open(&folder, &options);
        let taken = Journal::open(&folder.data(), &options).map(drop);
        assert!(matches!(taken, Err(OpenError::Locked { .. })));
        let at = sequencer.last().sequence.0 + 1;
        sequencer.submit(&mut NoCore, Timestamp(at), &[cancel(at)], &mut Vec::new()).unwrap();
        match order {
            0 => drop((journal, sequencer, hands)),
            1 => drop((hands, sequencer, journal)),
            _ => drop((sequencer, hands, journal)),
        }
    }
    // Nobody has taken them: they go with the appender.
    drop(Journal::open(&folder.data(), &options).unwrap());
    Turns::open(&folder, &options).close();
    assert_holds(&disk, 3);
}

#[test]
fn an_orderly_end_writes_the_rest_and_the_seal_and_leaves_nothing_else() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::with_spares(&folder, &options);
    for first in (1..=281).step_by(40) {
        turns.submit(&page_of_cancels(first)).unwrap();
    }
    turns.close();
    let entries = Reader::with_storage(Arc::new(disk.copy())).unwrap().unwrap();
    let last = entries.map(Result::unwrap).last().unwrap();
    assert_eq!(last, Entry::Seal(Seal { last: Sequence(320), event_digest: Digest([7; 32]) }));
    assert_holds(&disk, 320);
    assert!(disk.names().iter().all(|name| name.ends_with(".seg")), "{:?}", disk.names());
    assert_eq!(folder.head(), None);
    assert_eq!(Turns::open(&folder, &options).recovery.head, HeadOutcome::Absent);
}

#[test]
fn without_a_seal_what_was_published_is_written_to_the_end() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &options);
    turns.submit(&page_of_cancels(1)).unwrap();
    drop(turns.sequencer.into_append());
    assert_eq!([(); 3].map(|()| turns.hands.write()), [Wrote::Group, Wrote::Ended, Wrote::Ended]);
    assert!(turns.journal.failure().is_none() && turns.journal.durable().is_poisoned());
    assert_holds(&disk, 40);
    assert!(folder.head().is_some());
}

#[test]
#[should_panic(expected = "in turns a journal is closed by its hands")]
fn a_close_that_would_write_nothing_is_a_bug() {
    let (_disk, folder, options) = setting();
    let Turns { journal, sequencer, .. } = Turns::open(&folder, &options);
    let _ = journal.close(sequencer.into_append(), Digest::ZERO);
}

#[test]
#[should_panic(expected = "somebody has to write what is left")]
fn hands_that_nobody_took_cannot_write_the_end() {
    let (_disk, folder, options) = setting();
    let Opened { journal, appender, .. } = Journal::open(&folder.data(), &options).unwrap();
    journal.begin_close(appender, Digest::ZERO);
}

// Room.

#[test]
fn there_is_room_until_the_head_is_full_and_again_behind_a_step() {
    let (_disk, folder, options) = setting();
    let options = Options { head_bytes: PAGE as u64, ..options };
    let mut turns = Turns::with_spares(&folder, &options);
    let mut submitted = 0;
    while turns.sequencer.has_room_for(1) {
        submitted += 1;
        turns.submit(&[cancel(submitted)]).unwrap();
    }
    assert!(submitted > 30, "{submitted} of 80 bytes in a head of 4,096");
    assert!(!turns.sequencer.has_room_for(usize::MAX));
    assert_eq!(turns.hands.write(), Wrote::Group);
    assert!(turns.sequencer.has_room_for(1));
    assert!(!turns.sequencer.has_room_for(30), "each may be of the longest kind");
}

#[test]
#[should_panic(expected = "in turns the head is asked for room before anything is appended")]
fn who_does_not_ask_for_room_is_not_kept_waiting() {
    let (_disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &Options { head_bytes: PAGE as u64, ..options });
    let commands: Vec<_> = (1..=100).map(cancel).collect();
    let _ = turns.sequencer.submit(&mut NoCore, Timestamp(1), &commands, &mut Vec::new());
}

#[test]
fn a_writer_that_has_stopped_keeps_nobody_waiting() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &Options { head_bytes: PAGE as u64, ..options });
    turns.submit(&[cancel(1)]).unwrap();
    fail_at(&disk, 1);
    assert_eq!(turns.hands.write(), Wrote::Ended);
    let commands: Vec<_> = (2..=101).map(cancel).collect();
    assert!(matches!(turns.submit(&commands), Err(AppendError::Poisoned(_))));
}

// The same bytes.

fn write_in_turns(seed: u64) -> Vec<(String, Vec<u8>)> {
    let random = &mut SplitMix64(seed);
    let (disk, folder, options) = setting();
    let mut turns = Turns::open(&folder, &options);
    (0..400).for_each(|_| act(&mut turns, random));
    turns.close();
    contents(&disk)
}

#[test]
fn the_same_turns_write_the_same_bytes() {
    let seed = seed(5);
    let written = write_in_turns(seed);
    assert!(written.len() > 5, "{} segments", written.len());
    assert!(written == write_in_turns(seed));
    assert!(written != write_in_turns(seed + 1));
}

#[test]
fn in_turns_the_bytes_are_those_of_the_threads_where_the_groups_are() {
    let (disk, folder, options) = setting();
    let mut turns = Turns::with_spares(&folder, &options);
    let (threads_disk, threads_folder, threads_options) = setting();
    let threads_options = Options { labour: Labour::Threads, ..threads_options };
    let mut threads = Writing::open(&threads_folder.data(), &threads_options);
    for first in (1..=1_161).step_by(40) {
        turns.submit(&page_of_cancels(first)).unwrap();
        turns.make_spares();
        assert_eq!(turns.hands.write(), Wrote::Group);
        threads.batch(&page_of_cancels(first));
    }
    turns.close();
    threads.close(Digest([7; 32]));
    assert!(contents(&disk) == contents(&threads_disk));
}

// The shadow.

/// A venue in turns, with segments and snapshots on one disk.
struct Live {
    turns: Turns,
    engine: Engine,
    event_digest: EventDigest,
    shadow: Shadow,
    history: History,
    /// The snapshot that it began with.
    from: Option<Sequence>,
}

fn venue() -> (SimulatedDisk, Folder, Options) {
    let (disk, folder, options) = setting();
    let options = Options { snapshots: Some(Arc::new(disk.clone())), ..options };
    (disk, folder, options)
}

impl Live {
    fn start(folder: &Folder, options: &Options) -> Self {
        fs::create_dir_all(folder.data()).unwrap();
        let start = start_locked(FolderLock::take(&folder.data()).unwrap(), options).unwrap();
        let Start { opened: Opened { journal, mut appender, recovery }, engine, event_digest, snapshot, .. } = start;
        let policy = SnapshotPolicy {
            store: options.snapshot_store(&folder.data()),
            every: Some(1_024),
            keep: Keep::at_most(8),
            key: SigningKey::from_bytes(&[5; 32]),
        };
        let history_options = HistoryOptions { reserve_bytes: 0, ..HistoryOptions::default() };
        let writer = HistoryWriter::open(&folder.data(), recovery.identity.journal, &history_options).unwrap();
        let history = writer.reader();
        let shadow = Shadow::begin(&journal.source(), policy, SnapshotRequest::default(), writer).unwrap();
        let hands = appender.take_hands().unwrap();
        let turns = Turns { journal, sequencer: Sequencer::new(appender, engine.last()), hands, recovery };
        let from = snapshot.map(|snapshot| snapshot.sequence);
        Self { turns, engine, event_digest, shadow, history, from }
    }

    /// A hundred commands at a time, all of which are written before the next.
    fn submit(&mut self, commands: &[Command]) {
        for commands in commands.chunks(100) {
            let Turns { journal, sequencer, .. } = &mut self.turns;
            assert!(sequencer.has_room_for(commands.len()));
            let at = Timestamp(sequencer.last().sequence.0 + 1);
            let last = sequencer.submit(&mut self.engine, at, commands, &mut self.event_digest).unwrap();
            self.event_digest.applied(last.sequence);
            self.event_digest.completed().for_each(|block| journal.digests().push(block));
            self.turns.write_all();
        }
    }

    /// Turns of the shadow until it has nothing to do; what it told.
    fn follow(&mut self) -> Vec<ShadowEvent> {
        let mut told = Vec::new();
        while self.shadow.turn(|event| told.push(event)).unwrap() == Followed::Applied {}
        told
    }

    fn known(&self) -> (Sequence, Digest, Digest) {
        (self.engine.last().sequence, self.event_digest.value(), state_digest(&self.engine))
    }

    fn close(self) {
        let event_digest = self.event_digest.value();
        self.turns.try_close(event_digest).unwrap();
    }

    fn die(self) {
        self.turns.die();
    }
}

fn snapshots_in(told: &[ShadowEvent]) -> Vec<u64> {
    let taken = told.iter().filter_map(|event| match event {
        ShadowEvent::Snapshot(taken) => Some(taken.published.checkpoint.checkpoint.sequence.0),
        ShadowEvent::SnapshotFailed(error) => panic!("{error}"),
        ShadowEvent::Applied(_) | ShadowEvent::HistoryWaits(_) => None,
    });
    taken.collect()
}

fn events_in(history: &History) -> Vec<(EventHeader, Event)> {
    let all = Query { key: None, from: None, to: None, direction: Direction::Forward };
    history.events(&all).map(Result::unwrap).collect()
}

#[test]
fn a_shadow_in_turns_keeps_the_past_and_a_start_begins_with_its_snapshot() {
    let (disk, folder, options) = venue();
    let mut live = Live::start(&folder, &options);
    assert_eq!(live.shadow.turn(|event| panic!("{event:?}")).unwrap(), Followed::Nothing);
    live.submit(&commands(7, 2_600));
    let mut told = Vec::new();
    assert_eq!(live.shadow.turn(|event| told.push(event)).unwrap(), Followed::Applied);
    assert!(matches!(told[..], [ShadowEvent::Applied(Sequence(256))]), "a turn is bounded: {told:?}");
    told.extend(live.follow());
    assert_eq!(snapshots_in(&told), [1_024, 2_048]);
    let last = live.engine.last().sequence;
    assert!(matches!(told.last(), Some(ShadowEvent::Applied(applied)) if *applied == last));
    assert_eq!(live.history.last(), last);

    // The history and a replay from the nearest snapshot show the same.
    let source = PastSource::with_storage(Arc::new(disk.clone()), SnapshotStore::with_storage(Arc::new(disk.clone())));
    let mut replayed: Vec<(EventHeader, Event)> = Vec::new();
    let past = source.events_between(Sequence(2_050), last, &mut replayed, |_| {}).unwrap();
    assert_eq!(past.snapshot.map(|snapshot| snapshot.sequence), Some(Sequence(2_048)));
    let behind = |(header, _): &(EventHeader, Event)| header.id.sequence > Sequence(2_050);
    let shown: Vec<_> = events_in(&live.history).into_iter().filter(behind).collect();
    assert!(!shown.is_empty());
    assert_eq!(shown, replayed);

    let known = live.known();
    live.die();
    let mut live = Live::start(&folder, &options);
    assert_eq!((live.known(), live.from), (known, Some(Sequence(2_048))));
    live.follow();
    live.close();
    assert_eq!(Live::start(&folder, &options).known(), known);
}

#[test]
fn a_shadow_in_turns_ends_behind_the_journal_or_when_it_is_asked_to() {
    let (_disk, folder, options) = venue();
    let mut live = Live::start(&folder, &options);
    live.submit(&commands(7, 300));
    let Live { turns, mut shadow, event_digest, .. } = live;
    turns.try_close(event_digest.value()).unwrap();
    let mut turned = || shadow.turn(drop).unwrap();
    assert_eq!([(); 4].map(|()| turned()), [Followed::Applied, Followed::Applied, Followed::Ended, Followed::Ended]);

    let mut live = Live::start(&folder, &options);
    live.shadow.stop_handle().stop();
    assert_eq!(live.shadow.turn(drop).unwrap(), Followed::Ended);
    live.close();
}

#[test]
fn a_history_that_cannot_be_written_is_tried_again_by_the_next_turn() {
    let (_disk, folder, options) = venue();
    let mut live = Live::start(&folder, &options);
    live.submit(&commands(7, 1_100));
    let (place, away) = (folder.data().join(HISTORY_FOLDER), folder.data().join("elsewhere"));
    fs::rename(&place, &away).unwrap();
    let mut told = Vec::new();
    let turned: Vec<_> = (0..6).map(|_| live.shadow.turn(|event| told.push(event)).unwrap()).collect();
    assert_eq!(turned.last(), Some(&Followed::HistoryWaits), "{turned:?}");
    assert!(matches!(told.last(), Some(ShadowEvent::HistoryWaits(_))));
    fs::rename(&away, &place).unwrap();
    told.extend(live.follow());
    assert_eq!(snapshots_in(&told), [1_024]);
    let mut all: Vec<(EventHeader, Event)> = Vec::new();
    let source = PastSource::with_storage(options.storage.clone().unwrap(), options.snapshot_store(&folder.data()));
    source.events_between(Sequence::NONE, Sequence(u64::MAX), &mut all, |_| {}).unwrap();
    assert_eq!(events_in(&live.history), all);
    live.close();
}

#[test]
fn the_same_venue_in_turns_writes_the_same_bytes_everywhere() {
    let run = || {
        let (disk, folder, options) = venue();
        let mut live = Live::start(&folder, &options);
        for commands in commands(9, 2_300).chunks(500) {
            live.submit(commands);
            live.follow();
        }
        live.close();
        let files = fs::read_dir(folder.data().join(HISTORY_FOLDER)).unwrap().map(|entry| entry.unwrap().path());
        let mut history: Vec<(PathBuf, Vec<u8>)> =
            files.map(|path| (PathBuf::from(path.file_name().unwrap()), fs::read(path).unwrap())).collect();
        history.sort();
        (contents(&disk), history)
    };
    let first = run();
    assert!(first.0.iter().any(|(name, _)| name.ends_with(".snapshot")) && !first.1.is_empty());
    assert!(first == run());
}

#[test]
fn a_data_folder_and_its_disks_have_the_same_past() {
    let folder = snapshotted();
    let segments = Arc::new(journal::DirectoryStorage::new(folder.data().join(journal::JOURNAL_FOLDER)));
    let source = PastSource::with_storage(segments, SnapshotStore::open(&folder.data()));
    let [mut one, mut other]: [Vec<(EventHeader, Event)>; 2] = Default::default();
    source.events_between(Sequence(2_100), Sequence(2_200), &mut one, |_| {}).unwrap();
    events_between(&folder.data(), Sequence(2_100), Sequence(2_200), &mut other, |_| {}).unwrap();
    assert!(!one.is_empty() && one == other);
}

/// A deadline that is always due: each run has a command more than was submitted.
struct AlwaysDue;

impl Apply for AlwaysDue {
    fn apply(&mut self, _: &Sequenced<Command>, _: &mut impl engine::EventSink) {}

    fn next_deadline(&self) -> Timestamp {
        Timestamp(1)
    }
}

#[test]
fn room_is_also_for_what_the_sequencer_adds() {
    let (_disk, folder, options) = setting();
    let options = Options { head_bytes: PAGE as u64, ..options };
    let mut turns = Turns::with_spares(&folder, &options);
    let random = &mut SplitMix64(seed(11));
    for _ in 0..200 {
        let commands: Vec<_> = (0..random.below(8)).map(|_| common::random_command(random)).collect();
        while !turns.sequencer.has_room_for(commands.len()) {
            turns.make_spares();
            assert_eq!(turns.hands.write(), Wrote::Group);
        }
        let sequencer = &mut turns.sequencer;
        match commands.as_slice() {
            [] => sequencer.tick(&mut AlwaysDue, Timestamp(1), &mut Vec::new()).unwrap(),
            commands => sequencer.submit(&mut AlwaysDue, Timestamp(1), commands, &mut Vec::new()).unwrap(),
        };
    }
    turns.close();
}
