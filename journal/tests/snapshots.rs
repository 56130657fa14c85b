//! A venue that begins with a snapshot goes on as one that replays everything; a snapshot that is not what it was is
//! never believed; and the past can be looked at.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::trading::{Known, Live, commands, snapshotted};
use common::{Folder, SplitMix64, seed};
use engine::{Engine, Event, EventHeader, Sequence, Timestamp};
use journal::{
    AsOf, Digest, FolderLock, HistoryOptions, HistoryWriter, Journal, JournalId, Keep, OpenError, ReadError, Reader,
    Shadow, ShadowError, SignedCheckpoint, SnapshotError, SnapshotPolicy, SnapshotRequest, SnapshotStore, StartError,
    events_between, rebuild, replay, start_locked, state_at, state_digest,
};
use journal::{Block, BlockDigest, start::check_before};
use simulation::{Failure, Fault as DiskFault, SimulatedDisk};

/// Started again, without replaying anything that it need not.
fn started(folder: &Folder) -> (Known, Option<u64>) {
    let live = Live::start(folder, &folder.options(), None);
    (live.known(), live.snapshot.map(|snapshot| snapshot.sequence.0))
}

fn replayed(folder: &Folder) -> Known {
    let summary = replay(&folder.data(), &mut (), |_| {}).unwrap();
    Known { last: summary.last, event_digest: summary.event_digest, state_digest: summary.state_digest }
}

#[test]
fn a_venue_that_begins_with_a_snapshot_goes_on_as_one_that_replays_everything() {
    let seed = seed(3);
    let all = commands(seed, 6_000);
    let folder = Folder::new();
    let mut known = None;
    let mut snapshots = Vec::new();
    for piece in all.chunks(1_500) {
        let mut live = Live::start(&folder, &folder.options(), None);
        assert_eq!(known.unwrap_or_else(|| live.known()), live.known(), "the state of before");
        snapshots.push(live.snapshot.map(|snapshot| snapshot.sequence.0));
        live.snapshot_behind(piece);
        known = Some(live.close());
    }
    // Each piece crosses a block's end; the first one is the snapshot's.
    assert_eq!(snapshots, [None, Some(1_024), Some(2_048), Some(3_072)]);
    assert_eq!(known, Some(replayed(&folder)));
    // The shadow of the last piece came past 4,096 on its way from 3,072 to what was new.
    let (again, from) = started(&folder);
    assert_eq!((Some(again), from), (known, Some(4_096)));
}

#[test]
fn a_snapshot_is_taken_when_it_is_due_and_old_ones_go() {
    let folder = Folder::new();
    let mut live = Live::start(&folder, &folder.options(), Some(1_024));
    let mut removed = Vec::new();
    for piece in commands(7, 12 * 1_024).chunks(1_024) {
        live.submit(piece);
        let taken = live.next_snapshot().unwrap().unwrap().published;
        assert_eq!(
            taken.bytes,
            fs::metadata(folder.snapshots().join(format!("{:020}.snapshot", taken.checkpoint.checkpoint.sequence.0)))
                .unwrap()
                .len()
        );
        removed.extend(taken.removed);
    }
    let known = live.close();
    let store = SnapshotStore::open(&folder.data());
    let kept = store.sequences().unwrap();
    assert_eq!((kept.len(), removed.len()), (8, 4));
    assert!(kept.iter().all(|sequence| !removed.contains(sequence)));
    // What is said of those that are gone stays.
    let checkpoints = store.checkpoints().unwrap();
    let sequences: Vec<_> = checkpoints.iter().map(|signed| signed.checkpoint.sequence.0).collect();
    assert_eq!(sequences, (1..=12).map(|block| block * 1_024).collect::<Vec<_>>());
    assert!(checkpoints.iter().all(SignedCheckpoint::is_signed));
    assert_eq!(known, replayed(&folder));
}

/// What a checkpoint says is so: its digests are a replay's up to there, and its link is in the chain.
#[test]
fn a_checkpoint_says_what_a_replay_finds() {
    let folder = snapshotted();
    for signed in SnapshotStore::open(&folder.data()).checkpoints().unwrap() {
        let said = signed.checkpoint;
        let mut events: Vec<(EventHeader, Event)> = Vec::new();
        let mut reader = Reader::open(&folder.data()).unwrap();
        let mut engine = Engine::new(folder.options().capacity);
        while reader.verified().last < said.sequence || engine.last().sequence < said.sequence {
            if let journal::Entry::Command(command) = reader.next().unwrap().unwrap() {
                engine.apply(&command, &mut events);
            }
        }
        assert_eq!(state_digest(&engine), said.state_digest);
        assert_eq!((engine.last().time, events.len() as u64), (said.time, said.event_count));
        assert_eq!((reader.verified().chain, reader.verified().last), (said.link.hash, said.link.last));
        assert_eq!(reader.verified().segment_count, said.link.segment.0);
    }
}

// What is not as it was.

/// Every byte of the checkpoints, of a snapshot's header and trailer, and of the superblocks as far as they say something;
/// of the state and of zeros some, or all with EVERY_BYTE=1.
#[test]
fn no_byte_that_is_another_is_believed() {
    let seed = seed(5);
    let folder = snapshotted();
    let disk = SimulatedDisk::new(seed);
    for entry in fs::read_dir(folder.snapshots()).unwrap().map(|entry| entry.unwrap().path()) {
        disk.write(entry.file_name().unwrap().to_str().unwrap(), fs::read(&entry).unwrap());
    }
    let store = SnapshotStore::with_storage(Arc::new(disk.clone()));
    let journal = folder.options().journal_id.unwrap();
    let random = &mut SplitMix64(seed);
    let every = |step: usize| if std::env::var_os("EVERY_BYTE").is_some() { 1 } else { step };
    let name = format!("{:020}.snapshot", 2_048);
    assert!(store.checkpoint_of(Sequence(2_048)).is_ok());
    let length = disk.read(&name).len();
    for at in (0..4_096).chain((4_096..length - 4_096).step_by(every(31))).chain(length - 4_096..length) {
        let mask = 1 << random.below(8);
        disk.flip(&name, at, mask);
        assert!(store.checkpoint_of(Sequence(2_048)).is_err(), "byte {at}, bits {mask:#x}");
        disk.flip(&name, at, mask);
    }
    for at in 0..disk.read("checkpoints").len() {
        let mask = 1 << random.below(8);
        disk.flip("checkpoints", at, mask);
        assert!(matches!(store.checkpoints(), Err(SnapshotError::Checkpoint { index, .. }) if index == at / 272));
        disk.flip("checkpoints", at, mask);
    }
    // Of the two superblocks the first is of the snapshot before, the second of the newest. Without snapshots they alone
    // say how far the journal was durable.
    let newest = |disk: &SimulatedDisk| {
        let store = SnapshotStore::with_storage(Arc::new(disk.clone()));
        store.newest(journal, Sequence(1)).unwrap().known.map(|known| known.sequence.0)
    };
    assert_eq!(newest(&disk), Some(2_048));
    for at in (0..300).chain((300..4_092).step_by(every(23))).chain(4_092..4_096) {
        let mask = 1 << random.below(8);
        disk.flip("superblock.2", at, mask);
        assert_eq!(newest(&disk), Some(1_024), "byte {at}, bits {mask:#x}");
        disk.flip("superblock.1", at, mask);
        assert_eq!(newest(&disk), None, "byte {at}, bits {mask:#x}");
        disk.flip("superblock.2", at, mask);
        assert_eq!(newest(&disk), Some(2_048), "byte {at}, bits {mask:#x}");
        disk.flip("superblock.1", at, mask);
    }
}

#[test]
fn of_snapshots_that_are_cut_short_or_longer_none_is_believed() {
    let folder = snapshotted();
    let file = folder.snapshots().join(format!("{:020}.snapshot", 2_048));
    let whole = fs::read(&file).unwrap();
    let store = SnapshotStore::open(&folder.data());
    for length in (0..whole.len()).step_by(509).chain([4_095, 4_096, 8_191, 8_192, whole.len() - 4_096]) {
        fs::write(&file, &whole[..length]).unwrap();
        assert!(store.checkpoint_of(Sequence(2_048)).is_err(), "{length} of {} bytes", whole.len());
    }
    for more in [1, 4_096] {
        fs::write(&file, [&whole[..], &vec![0; more]].concat()).unwrap();
        assert!(store.checkpoint_of(Sequence(2_048)).is_err(), "{more} bytes more");
    }
}

/// A simulated venue's superblock had been cut short as it was made; the next one was written into what was left of it.
#[test]
fn a_superblock_of_another_length_is_made_anew() {
    for length in [0, 1_329, 10_000] {
        let folder = snapshotted();
        let journal = folder.options().journal_id.unwrap();
        let file = folder.snapshots().join("superblock.1");
        let mut bytes = fs::read(&file).unwrap();
        bytes.resize(length, 7);
        fs::write(&file, bytes).unwrap();
        let mut live = Live::start(&folder, &folder.options(), None);
        live.snapshot_behind(&commands(11, 4_200)[2_600..]);
        live.close();
        assert_eq!(fs::metadata(&file).unwrap().len(), 4_096, "it was {length} bytes long");
        // Without snapshots it alone says how far the journal was durable.
        let known = SnapshotStore::open(&folder.data()).newest(journal, Sequence(1)).unwrap().known;
        assert!(known.is_some_and(|known| known.sequence > Sequence(2_048)), "{known:?}, it was {length} bytes long");
    }
}

/// The older one, then the whole journal; and the venue is the same.
#[test]
fn damaged_snapshots_are_passed_over_one_by_one() {
    let folder = snapshotted();
    for (sequence, from) in [(2_048, Some(1_024)), (1_024, None)] {
        let file = folder.snapshots().join(format!("{sequence:020}.snapshot"));
        let mut bytes = fs::read(&file).unwrap();
        bytes[5_000] ^= 1;
        fs::write(&file, bytes).unwrap();
        let live = Live::start(&folder, &folder.options(), None);
        assert_eq!((live.known(), live.snapshot.map(|snapshot| snapshot.sequence.0)), (replayed(&folder), from));
        assert!(live.passed_over[0].line().contains("is not whole"), "{:?}", live.passed_over);
        live.close();
    }
}

/// The journal behind the superblock's command is gone, and with it what was acknowledged: nothing may be written.
#[test]
fn a_journal_that_lacks_what_a_snapshot_holds_is_refused_and_not_changed() {
    let folder = snapshotted();
    let journal = folder.data().join("journal");
    let mut segments: Vec<_> = fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    for segment in &segments[segments.len() / 2..] {
        fs::remove_file(segment).unwrap();
    }
    let contents = || -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let before = contents();
    let refused = |folder: &Folder| match Live::try_start(folder, &folder.options(), None).map(drop) {
        Err(StartError::Open(OpenError::Snapshot { fault, .. })) => fault.to_string(),
        other => panic!("{other:?}"),
    };
    let link = SnapshotStore::open(&folder.data()).checkpoint_of(Sequence(2_048)).unwrap().checkpoint.link;
    let said = format!("up to {}, and the journal ends before it", link.last);
    assert!(refused(&folder).contains(&said), "{}", refused(&folder));
    // Superblocks say it alone.
    for sequence in [1_024, 2_048] {
        fs::remove_file(folder.snapshots().join(format!("{sequence:020}.snapshot"))).unwrap();
    }
    assert!(refused(&folder).contains(&said), "{}", refused(&folder));
    assert_eq!(contents(), before);
}

/// What is before the snapshot's segment is not read at a start. Who reads the whole journal finds it.
#[test]
fn damage_before_the_snapshot_is_found_by_the_check_and_does_not_keep_a_venue_from_starting() {
    let folder = snapshotted();
    let mut bytes = fs::read(folder.segment(2)).unwrap();
    bytes[4_096 + 100] ^= 4;
    fs::write(folder.segment(2), bytes).unwrap();
    let live = Live::start(&folder, &folder.options(), None);
    let link = live.since.unwrap();
    assert!(live.start[0].contains(&format!("read from segment {} on", link.segment.0)), "{:?}", live.start);
    live.close();
    let stop = AtomicBool::new(false);
    match check_before(&folder.data(), &folder.options(), link, &stop, |_| {}) {
        Err(ReadError::Damaged { file, offset, .. }) => {
            assert_eq!((file, offset), (folder.segment(2), 4_096));
        }
        other => panic!("{other:?}"),
    }
    let whole = snapshotted();
    let link = Live::start(&whole, &whole.options(), None).since.unwrap();
    let mut read = 0;
    assert!(check_before(&whole.data(), &whole.options(), link, &stop, |bytes| read += bytes).unwrap());
    assert!(read > 16_384 * (link.segment.0 - 2) / 2, "{read} bytes up to segment {}", link.segment.0);
    stop.store(true, std::sync::atomic::Ordering::Release);
    assert!(!check_before(&whole.data(), &whole.options(), link, &stop, |_| {}).unwrap());
}

/// Copies of a folder share the journal's name. A snapshot of one of them is not another's.
#[test]
fn a_snapshot_of_another_history_is_passed_over() {
    let (one, other) = (Folder::new(), Folder::new());
    for (folder, seed) in [(&one, 21), (&other, 22)] {
        let mut live = Live::start(folder, &folder.options(), None);
        live.snapshot_behind(&commands(seed, 2_000));
        live.close();
    }
    let expected = replayed(&one);
    fs::remove_dir_all(one.snapshots()).unwrap();
    fs::rename(other.snapshots(), one.snapshots()).unwrap();
    let live = Live::start(&one, &one.options(), None);
    assert_eq!((live.known(), live.snapshot, live.since), (expected, None, None));
    assert!(live.passed_over[0].line().contains("of another history"), "{:?}", live.passed_over);
}

/// A snapshot of a state that is not the journal's, with every checksum and signature right: the replay behind it says
/// otherwise.
#[test]
fn a_snapshot_that_leads_elsewhere_is_passed_over() {
    let folder = snapshotted();
    let expected = replayed(&folder);
    let store = SnapshotStore::open(&folder.data());
    let mut said = store.checkpoint_of(Sequence(2_048)).unwrap().checkpoint;
    said.event_digest = Digest([3; 32]);
    let engine = state_at(&folder.data(), AsOf::Sequence(Sequence(2_048)), |_| {}).unwrap().engine;
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let forged = store.write(&engine, said, &key).unwrap();
    store.publish(forged, journal::Keep::default()).unwrap();
    let live = Live::start(&folder, &folder.options(), None);
    assert!(live.passed_over[0].line().contains("does not lead to"), "{:?}", live.passed_over);
    assert_eq!((live.known(), live.snapshot.map(|snapshot| snapshot.sequence.0)), (expected, Some(1_024)));
}

#[test]
fn a_shadow_that_parts_from_the_core_says_so() {
    let folder = Folder::new();
    let mut live = Live::start(&folder, &folder.options(), None);
    let all = commands(9, 3_000);
    live.submit(&all[..1_000]);
    // As a core would say that had not done what the commands say.
    live.journal.digests().push(BlockDigest { block: Block(0), digest: Digest([1; 32]) });
    live.submit(&all[1_000..]);
    let (_, outcome) = live.abandon();
    assert!(matches!(outcome, Err(ShadowError::Differs { block: Block(0), .. })), "{outcome:?}");
}

/// A venue whose history had been removed could not be stopped until its shadow had come to the journal's end.
#[test]
fn a_shadow_that_is_far_behind_ends_where_it_is() {
    let folder = snapshotted();
    ["snapshots", "history"].iter().for_each(|name| fs::remove_dir_all(folder.data().join(name)).unwrap());
    let opened = Journal::open(&folder.data(), &folder.options()).unwrap();
    let source = opened.journal.source();
    let history = HistoryWriter::open(&folder.data(), source.identity().journal, &HistoryOptions::default()).unwrap();
    let policy = SnapshotPolicy {
        store: SnapshotStore::open(&folder.data()),
        every: None,
        keep: Keep::default(),
        key: ed25519_dalek::SigningKey::from_bytes(&[5; 32]),
    };
    let shadow = Shadow::begin(&source, policy, SnapshotRequest::default(), history).unwrap();
    shadow.stop_handle().stop();
    shadow.run(|event| panic!("it went on: {event:?}")).unwrap();
}

/// A journal's disk that was not mounted looked like a new venue, and one was founded in its place.
#[test]
fn a_folder_whose_journal_is_gone_is_not_given_a_new_one() {
    let folder = snapshotted();
    fs::remove_dir_all(folder.data().join("journal")).unwrap();
    let refused = || match Live::try_start(&folder, &folder.options(), None).map(drop) {
        Err(StartError::Open(OpenError::Snapshot { fault, .. })) => fault.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refused().contains("the journal ends before it"), "{}", refused());
    // Superblocks say it alone, and so does a snapshot.
    for sequence in [1_024, 2_048] {
        fs::remove_file(folder.snapshots().join(format!("{sequence:020}.snapshot"))).unwrap();
    }
    assert!(refused().contains("the journal ends before it"));
    assert!(!folder.data().join("journal").exists());
}

/// Of a block whose later commands are damaged, those before can still be seen.
#[test]
fn damage_behind_the_moment_does_not_hide_it() {
    let folder = snapshotted();
    let all = folder.commands();
    let expected = state_at(&folder.data(), AsOf::Sequence(Sequence(2_060)), |_| {}).unwrap();
    // In the middle of the journal's last batches: each has up to 100 commands.
    let at = all.iter().position(|command| command.stamp.sequence == Sequence(2_300)).unwrap();
    let mut reader = Reader::open(&folder.data()).unwrap();
    (0..=at).for_each(|_| while !matches!(reader.next().unwrap().unwrap(), journal::Entry::Command(_)) {});
    let place = reader.position();
    let mut bytes = fs::read(&place.file).unwrap();
    bytes[usize::try_from(place.offset).unwrap() + 100] ^= 1;
    fs::write(&place.file, bytes).unwrap();
    let seen = state_at(&folder.data(), AsOf::Sequence(Sequence(2_060)), |_| {}).unwrap();
    assert_eq!(state_digest(&seen.engine), state_digest(&expected.engine));
    assert!(state_at(&folder.data(), AsOf::Sequence(Sequence(2_400)), |_| {}).is_err());
}

// Disks that fail.

fn venue_on(disk: &SimulatedDisk) -> (Folder, journal::Options) {
    let folder = Folder::new();
    let segments = SimulatedDisk::new(1);
    let options = journal::Options { snapshots: Some(Arc::new(disk.clone())), ..folder.options_on(&segments) };
    (folder, options)
}

/// The N-th operation of the snapshots' disk fails, for every N: the venue runs, what was published before stays, and it
/// starts again.
#[test]
fn whatever_fails_while_a_snapshot_is_taken_the_venue_runs_and_starts() {
    let all = commands(13, 3_200);
    let mut failures = 0;
    for failure in [Failure::Halfway, Failure::Halt] {
        for number in 1.. {
            let disk = SimulatedDisk::new(number);
            let (folder, options) = venue_on(&disk);
            let mut live = Live::start(&folder, &options, None);
            live.snapshot_behind(&all[..1_100]);
            disk.arm(DiskFault::at(number).of(&common::CHANGES_AND_FILES).with(failure));
            live.request.ask();
            live.submit(&all[1_100..2_100]);
            let taken = live.next_snapshot().unwrap();
            let failed = disk.failure_count() > 0;
            assert_eq!(taken.is_err(), failed, "{failure:?} at {number}: {taken:?}");
            failures += u64::from(failed);
            live.submit(&all[2_100..]);
            let known = live.close();
            let left = disk.names().iter().any(|name| name.ends_with(".snapshot.new"));
            assert!(!left || failure == Failure::Halt, "{failure:?} at {number}: what failed takes space");
            disk.end_process();
            let live = Live::start(&folder, &options, None);
            let from = live.snapshot.map(|snapshot| snapshot.sequence.0);
            assert!(from == Some(2_048) || failed && from == Some(1_024), "{failure:?} at {number}: {from:?}");
            assert_eq!(live.known(), known, "{failure:?} at {number}");
            live.close();
            if !failed {
                break;
            }
        }
    }
    assert!(failures > 20, "{failures}");
}

/// Whenever the power goes, a snapshot is there as a whole, or another one is, and the venue starts as it was.
#[test]
fn at_whatever_moment_the_power_goes_a_snapshot_is_whole_or_not_there() {
    let seed = seed(17);
    let random = &mut SplitMix64(seed);
    let all = commands(seed, 2_100);
    for _ in 0..25 {
        let disk = SimulatedDisk::new(random.next());
        let (folder, options) = venue_on(&disk);
        let mut live = Live::start(&folder, &options, None);
        live.snapshot_behind(&all[..1_100]);
        let number = 1 + random.below(20);
        disk.arm(DiskFault::at(number).of(&common::CHANGES_AND_FILES).with(Failure::Halt));
        live.request.ask();
        live.submit(&all[1_100..]);
        let taken = live.next_snapshot().unwrap();
        let known = live.close();
        disk.lose_power();
        let live = Live::start(&folder, &options, None);
        assert_eq!(live.known(), known);
        let from = live.snapshot.map(|snapshot| snapshot.sequence.0);
        match taken {
            Ok(_) => assert_eq!(from, Some(2_048)),
            Err(_) => assert!(from == Some(1_024) || from == Some(2_048), "{from:?}"),
        }
    }
}

// The past.

#[test]
fn the_state_as_of_a_moment_is_what_a_replay_up_to_there_finds() {
    let seed = seed(23);
    let folder = snapshotted();
    let all = folder.commands();
    let moments = [0, 1, 1_023, 1_024, 1_025, 2_047, 2_048, 2_049, 2_600, 9_999];
    let random = &mut SplitMix64(seed);
    for sequence in moments.into_iter().chain((0..10).map(|_| random.below(all.len() as u64))) {
        let mut engine = Engine::new(folder.options().capacity);
        all.iter().take(sequence as usize).for_each(|command| engine.apply(command, &mut ()));
        let at = AsOf::Sequence(Sequence(sequence));
        let past = state_at(&folder.data(), at, |_| {}).unwrap();
        assert_eq!(state_digest(&past.engine), state_digest(&engine), "as of {sequence}");
        let nearest = [2_048, 1_024, 0].into_iter().find(|&before| before <= sequence).unwrap();
        assert_eq!(past.snapshot.map_or(0, |snapshot| snapshot.sequence.0), nearest, "as of {sequence}");
        assert_eq!(past.replayed, sequence.min(all.len() as u64) - nearest);
        // Several commands share a time: all of them are as of then.
        let time = engine.last().time;
        let at_time = all.iter().take_while(|command| command.stamp.time <= time).count();
        let past = state_at(&folder.data(), AsOf::Time(time), |_| {}).unwrap();
        assert_eq!(past.engine.last().sequence.0, at_time as u64, "as of time {time:?}");
    }
    let end = state_at(&folder.data(), AsOf::Time(Timestamp(u64::MAX)), |_| {}).unwrap();
    assert_eq!(
        Known {
            last: end.engine.last().sequence,
            event_digest: end.event_digest.value(),
            state_digest: state_digest(&end.engine)
        },
        replayed(&folder)
    );
}

#[test]
fn events_of_a_part_are_those_of_a_whole_replay() {
    let folder = snapshotted();
    let mut all: Vec<(EventHeader, Event)> = Vec::new();
    rebuild(Reader::open(&folder.data()).unwrap(), &mut all, |_| {}).unwrap();
    for (after, until) in [(0, 9_999), (1_023, 1_024), (1_024, 1_030), (1_500, 2_100), (2_600, 2_601), (9_998, 9_999)] {
        let mut part: Vec<(EventHeader, Event)> = Vec::new();
        events_between(&folder.data(), Sequence(after), Sequence(until), &mut part, |_| {}).unwrap();
        let wanted = |(header, _): &&(EventHeader, Event)| (after + 1..=until).contains(&header.id.sequence.0);
        assert_eq!(part, all.iter().filter(wanted).copied().collect::<Vec<_>>(), "behind {after} up to {until}");
    }
}

/// A folder without a journal has no snapshots to look for.
#[test]
fn a_new_venue_has_no_snapshot() {
    let folder = Folder::new();
    fs::create_dir_all(folder.data()).unwrap();
    let start = start_locked(FolderLock::take(&folder.data()).unwrap(), &folder.options()).unwrap();
    assert_eq!((start.snapshot, start.replayed, start.passed_over.len()), (None, 0, 0));
    assert_eq!(SnapshotStore::open(&folder.data()).sequences().unwrap(), []);
    assert_eq!(SnapshotStore::open(&folder.data()).newest(JournalId([0; 16]), Sequence(9)).unwrap().passed_over, []);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        state_at(empty.path(), AsOf::End, |_| {}).map(drop),
        Err(StartError::Replay(journal::ReplayError::Read(ReadError::NoJournal { .. })))
    ));
}
