//! Every state in which a journal can be found is made on a real folder, and what is done with it is what the table of
//! decisions says: what is done, what is said, by which type, and that a refusal changes nothing.
//!
//! The table is `journal::State`; `BLESS=1 cargo test -p journal --test decisions` writes it into
//! `docs/JOURNAL_FORMAT.md`.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::trading::{self, Live, snapshotted};
use common::{Folder, NoCore, PAGE, Writing, cancel, crc32c, fail_allocations, page_of_cancels};
use engine::command::{AdminNote, SetBehaviour};
use engine::{Command, Sequence, Stamp, Timestamp};
use journal::{
    Action, AsOf, Checkpoint, Digest, FolderLock, Follower, Journal, JournalId, Keep, OpenError, Options, Polling,
    ReadError, Reader, Seek, Sequencer, SignedCheckpoint, SnapshotStore, StartError, State, replay, start_locked,
    state_at, state_digest,
};
use simulation::SimulatedDisk;

// Journals, and what is done to them.

/// So many batches of 40 commands, three in a segment; not sealed, and without a head, as after a power loss.
fn journal_of(batches: u64) -> Folder {
    let folder = headed(batches);
    fs::remove_file(folder.head().unwrap()).unwrap();
    folder
}

/// The same with its head, as after a kill.
fn headed(batches: u64) -> Folder {
    let folder = Folder::new();
    let mut writing = folder.open();
    (0..batches).for_each(|batch| writing.batch(&page_of_cancels(batch * 40 + 1)));
    writing.abandon();
    folder
}

fn edited(folder: Folder, segment: u64, edit: impl FnOnce(&mut Vec<u8>)) -> Folder {
    let mut bytes = fs::read(folder.segment(segment)).unwrap();
    edit(&mut bytes);
    fs::write(folder.segment(segment), bytes).unwrap();
    folder
}

/// Two batches in one segment, the last of them changed, and then every checksum of it made to match again.
fn with_last_batch(edit: impl FnOnce(&mut [u8])) -> Folder {
    edited(journal_of(2), 1, |bytes| {
        let batch = &mut bytes[2 * PAGE..3 * PAGE];
        edit(batch);
        rechecksum(batch);
    })
}

/// Computes the checksums of a batch's records and header.
fn rechecksum(batch: &mut [u8]) {
    let payload = u32::from_le_bytes(batch[32..36].try_into().unwrap()) as usize;
    let mut at = 72;
    while at < 72 + payload {
        let length = usize::from(u16::from_le_bytes([batch[at], batch[at + 1]])).next_multiple_of(8);
        let Some(record) = batch.get_mut(at..at + 8 + length) else { break };
        let covered = [&record[..4], &record[8..]].concat();
        record[4..8].copy_from_slice(&crc32c(&covered).to_le_bytes());
        at += 8 + length;
    }
    let checksum = crc32c(&batch[..68]);
    batch[68..72].copy_from_slice(&checksum.to_le_bytes());
}

/// Changes a segment's header and makes its checksum match again.
fn with_header(folder: Folder, segment: u64, edit: impl FnOnce(&mut [u8])) -> Folder {
    edited(folder, segment, |bytes| {
        edit(bytes);
        let checksum = crc32c(&bytes[..4_092]);
        bytes[4_092..4_096].copy_from_slice(&checksum.to_le_bytes());
    })
}

fn edit_head(folder: Folder, edit: impl FnOnce(&mut Vec<u8>)) -> Folder {
    let path = folder.head().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
    folder
}

/// Killed when commands 41 to 80 were published, and none of them was on disk.
fn only_in_the_head() -> Folder {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    let marks = fs::read(folder.head().unwrap()).unwrap();
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    let folder = edit_head(folder, |head| head[8_192..8_448].copy_from_slice(&marks[8_192..8_448]));
    edited(folder, 1, |bytes| bytes[2 * PAGE..].fill(0))
}

/// The last of two segments; nothing of what was in it is on disk, and its header is not whole.
fn torn_segment() -> Folder {
    edited(journal_of(4), 2, |bytes| {
        bytes.fill(0);
        bytes[..100].fill(0xEE);
    })
}

/// A journal of the same name, and other commands.
fn other_history() -> Folder {
    let folder = Folder::new();
    let mut writing = folder.open();
    (0..4).for_each(|batch| writing.batch(&page_of_cancels(batch * 40 + 2)));
    writing.abandon();
    folder
}

// How a state is met.

/// What was done, and how that was told.
struct Met {
    states: Vec<State>,
    refused: bool,
    said: String,
    /// The error, as types.
    types: String,
}

impl Met {
    fn refused(state: State, error: &(impl std::error::Error + ?Sized)) -> Self {
        Self { states: vec![state], refused: true, said: error.to_string(), types: format!("{error:?}") }
    }
}

/// Opens for writing; a journal that opens has its commands up to `last`, durable and whole.
fn open(folder: &Folder, options: &Options, last: u64) -> Met {
    match Journal::open(&folder.data(), options) {
        Ok(opened) => {
            let recovery = opened.recovery;
            drop(opened.appender);
            let verified = folder.verify().unwrap();
            assert_eq!((recovery.last.0, verified.last.0, verified.cut), (last, last, None));
            let (states, said) = (State::of_recovery(&recovery), recovery.report().join("\n"));
            Met { states, refused: false, said, types: format!("{recovery:?}") }
        }
        Err(error) => Met::refused(State::of_open_error(&error).unwrap(), &error),
    }
}

fn read(folder: &Folder) -> Met {
    let error = folder.verify().unwrap_err();
    Met::refused(State::from(&error), &error)
}

fn replayed(folder: &Folder) -> Met {
    let error = replay(&folder.data(), &mut (), |_| {}).unwrap_err();
    Met::refused(State::of_replay_error(&error).unwrap(), &error)
}

type Meet = Box<dyn Fn(&Folder) -> Met>;

fn opened(last: u64) -> Meet {
    Box::new(move |folder| open(folder, &folder.options(), last))
}

/// Refused by who opens it, and by who reads it, with the same words about the same place.
fn damaged() -> Meet {
    Box::new(|folder| {
        let (read, opened) = (read(folder), open(folder, &folder.options(), 0));
        assert_eq!((read.states, &read.said), (opened.states.clone(), &opened.said));
        opened
    })
}

/// Several ways to make the state, and how it is met.
fn made(state: State) -> Vec<(Folder, Meet)> {
    match state {
        State::New => vec![(Folder::new(), opened(0))],
        State::Whole | State::HeadAbsent => vec![(journal_of(5), opened(200)), (journal_of(0), opened(0))],
        State::Sealed => {
            let folder = headed(5);
            folder.open().close(Digest::ZERO);
            vec![(folder, opened(200))]
        }
        State::TornTail => vec![
            (edited(journal_of(2), 1, |bytes| bytes[2 * PAGE + 500..3 * PAGE].fill(0xEE)), opened(40)),
            (edited(journal_of(2), 1, |bytes| bytes[2 * PAGE..2 * PAGE + 512].fill(0)), opened(40)),
            (edited(journal_of(2), 1, |bytes| bytes.truncate(3 * PAGE - 900)), opened(40)),
            // An old batch that the file system has brought back.
            (edited(journal_of(2), 1, |bytes| bytes.copy_within(PAGE..2 * PAGE, 2 * PAGE)), opened(40)),
        ],
        State::TornSegment => vec![(torn_segment(), opened(120))],
        State::SpareLeft => {
            let folder = journal_of(5);
            fs::write(folder.data().join("journal/00000003.spare"), vec![0xEE; 5_000]).unwrap();
            vec![(folder, opened(200))]
        }
        State::HeadOtherBoot => vec![(
            edit_head(only_in_the_head(), |head| {
                head[40] ^= 1;
                let checksum = crc32c(&head[..56]);
                head[56..60].copy_from_slice(&checksum.to_le_bytes());
            }),
            opened(40),
        )],
        State::HeadContinues => vec![(only_in_the_head(), opened(80)), (headed(2), opened(80))],
        State::HeadHalfMarked => {
            [8_192, 8_320].map(|mark| (edit_head(only_in_the_head(), |head| head[mark] ^= 1), opened(80))).into()
        }
        State::HeadMark => {
            let tear = |head: &mut Vec<u8>| [8_192, 8_320].iter().for_each(|&mark| head[mark] ^= 1);
            vec![(edit_head(only_in_the_head(), tear), opened(0))]
        }
        State::HeadForeign => vec![
            (edit_head(only_in_the_head(), |head| head[0] ^= 1), opened(0)),
            (edit_head(only_in_the_head(), |head| head[16] ^= 1), opened(0)),
            (edit_head(only_in_the_head(), |head| head.truncate(100)), opened(0)),
        ],
        State::HeadRecords => {
            vec![(edit_head(only_in_the_head(), |head| head[12_288 + 40 * 80 + 8] ^= 1), opened(0))]
        }
        State::HeadUnknown => {
            vec![(edited(headed(2), 1, |bytes| bytes[2 * PAGE..].fill(0)), opened(0))]
        }
        State::HeadDiffers => {
            let folder = only_in_the_head();
            let (path, kept) = (folder.head().unwrap(), fs::read(folder.head().unwrap()).unwrap());
            fs::remove_file(&path).unwrap();
            let mut writing = folder.open();
            writing.batch(&[cancel(999)]);
            writing.close(Digest::ZERO);
            fs::write(path, kept).unwrap();
            vec![(folder, opened(0))]
        }
        State::HeadBehind => {
            let folder = headed(1);
            let (path, kept) = (folder.head().unwrap(), fs::read(folder.head().unwrap()).unwrap());
            let mut writing = folder.open();
            writing.batch(&page_of_cancels(41));
            writing.abandon();
            fs::write(path, kept).unwrap();
            vec![(folder, opened(0))]
        }
        State::SegmentName => {
            let folder = journal_of(5);
            fs::copy(folder.segment(2), folder.data().join("journal/2.seg")).unwrap();
            vec![(folder, damaged())]
        }
        State::SegmentMissing => [1, 2]
            .map(|missing| {
                let folder = journal_of(8);
                fs::remove_file(folder.segment(missing)).unwrap();
                (folder, damaged())
            })
            .into(),
        State::SegmentNumber => {
            let folder = journal_of(5);
            fs::copy(folder.segment(2), folder.segment(3)).unwrap();
            vec![(folder, damaged())]
        }
        State::SegmentForeign => {
            let (folder, other) = (journal_of(5), Folder::new());
            let id = Some(JournalId(*b"another journal!"));
            let mut writing = Writing::open(&other.data(), &Options { journal_id: id, ..other.options() });
            (0..4).for_each(|batch| writing.batch(&page_of_cancels(batch * 40 + 1)));
            writing.abandon();
            fs::copy(other.segment(2), folder.segment(2)).unwrap();
            vec![(folder, damaged())]
        }
        State::SegmentFirst => vec![(edited(journal_of(5), 1, |bytes| bytes[3 * PAGE..].fill(0)), damaged())],
        State::SegmentHeader => vec![
            (edited(journal_of(5), 2, |bytes| bytes[300] ^= 1), damaged()),
            (edited(journal_of(5), 2, |bytes| bytes[0] ^= 1), damaged()),
            (edited(journal_of(8), 2, |bytes| bytes.fill(0)), damaged()),
            (edited(journal_of(0), 1, |bytes| bytes[300] ^= 1), damaged()),
        ],
        State::Bytes => vec![
            (edited(journal_of(2), 1, |bytes| bytes[PAGE] ^= 1), damaged()),
            (edited(journal_of(2), 1, |bytes| bytes[PAGE + 40] ^= 1), damaged()),
            (edited(journal_of(2), 1, |bytes| bytes[2 * PAGE - 1] ^= 1), damaged()),
            (edited(journal_of(2), 1, |bytes| bytes[PAGE + 73] ^= 0x80), damaged()),
            (edited(journal_of(2), 1, |bytes| bytes[PAGE + 100] ^= 1), damaged()),
            (edited(journal_of(5), 1, |bytes| bytes[3 * PAGE + 100] ^= 1), damaged()),
        ],
        State::Hole => vec![(edited(journal_of(2), 1, |bytes| bytes[PAGE..2 * PAGE].fill(0)), damaged())],
        State::CutShort => vec![
            (edited(journal_of(5), 1, |bytes| bytes.truncate(4 * PAGE - 900)), damaged()),
            (edited(journal_of(8), 2, |bytes| bytes.truncate(900)), damaged()),
            (edited(journal_of(8), 2, Vec::clear), damaged()),
        ],
        State::Contradiction => vec![
            // More records than there are.
            (with_last_batch(|batch| batch[28] += 1), damaged()),
            // A field that has to be zero.
            (with_last_batch(|batch| batch[6] = 1), damaged()),
            // The second record's sequence.
            (with_last_batch(|batch| batch[72 + 80 + 8] += 1), damaged()),
            // A digest of another length.
            (with_last_batch(|batch| batch[72 + 2] = 2), damaged()),
            (with_header(journal_of(0), 1, |header| header[10] = 1), damaged()),
        ],
        State::UnknownRecord => vec![
            (with_last_batch(|batch| batch[72 + 2] = 9), damaged()),
            // The command's kind, behind stamp and header.
            (with_last_batch(|batch| batch[72 + 8 + 40] = 0xFF), damaged()),
        ],
        State::Version => vec![
            (with_last_batch(|batch| batch[4] = 2), damaged()),
            (with_header(journal_of(4), 2, |header| header[8] = 2), damaged()),
        ],
        State::Chain => {
            let other = fs::read(other_history().segment(2)).unwrap();
            let batch = |bytes: &mut Vec<u8>| bytes[PAGE..2 * PAGE].copy_from_slice(&other[PAGE..2 * PAGE]);
            let segment = |bytes: &mut Vec<u8>| bytes.clone_from(&other);
            vec![(edited(journal_of(4), 2, batch), damaged()), (edited(journal_of(4), 2, segment), damaged())]
        }
        State::Gap => {
            vec![(edited(journal_of(2), 1, |bytes| bytes.copy_within(2 * PAGE..3 * PAGE, PAGE)), damaged())]
        }
        State::Stale => {
            vec![(edited(journal_of(3), 1, |bytes| bytes.copy_within(PAGE..2 * PAGE, 2 * PAGE)), damaged())]
        }
        State::TermBack => vec![(with_last_batch(|batch| batch[8] = 0), damaged())],
        State::Lost => {
            let follow = |folder: &Folder| {
                let polling = Polling { head_directory: Some(folder.heads()), interval: Duration::from_millis(1) };
                let mut follower = Follower::open(&folder.data(), Seek::FIRST, &polling).unwrap();
                let error = follower.find_map(Result::err).unwrap();
                Met::refused(State::from(&error), &error)
            };
            vec![(edited(headed(2), 1, |bytes| bytes[2 * PAGE..].fill(0)), Box::new(follow))]
        }
        State::Different => {
            let options = journal_of(0).options();
            let capacity = engine::Capacity { accounts: 17, ..options.capacity };
            [
                ("venue number", Options { venue: 2, ..options.clone() }),
                ("shard number", Options { shard: 1, ..options.clone() }),
                ("engine capacity", Options { capacity, ..options.clone() }),
                ("term, a later one", Options { term: 0, ..options }),
            ]
            .map(|(what, options)| {
                let meet: Meet = Box::new(move |folder| {
                    let head_directory = Some(folder.heads());
                    let met = open(folder, &Options { head_directory, ..options.clone() }, 0);
                    assert!(met.said.contains(what), "{}", met.said);
                    met
                });
                (torn_and_published(), meet)
            })
            .into()
        }
        State::Behaviour => {
            let mut ways: Vec<(Folder, Meet)> = [0, 2]
                .map(|version| (with_header(torn_and_published(), 1, |header| header[96] = version), opened(0)))
                .into();
            let folder = Folder::new();
            let mut writing = folder.open();
            writing.batch(&[Command::from_venue(SetBehaviour { version: 2, note: AdminNote::NONE })]);
            writing.abandon();
            ways.push((folder, Box::new(replayed)));
            ways.push((with_header(journal_of(0), 1, |header| header[96] = 2), Box::new(replayed)));
            ways
        }
        State::Differs => {
            let folder = journal_of(1);
            folder.open().close(Digest([1; 32]));
            vec![(folder, Box::new(replayed))]
        }
        // The time of the last batch's first command, behind its sequence.
        State::OutOfOrder => {
            vec![(with_last_batch(|batch| batch[72 + 16..72 + 24].fill(0)), Box::new(replayed))]
        }
        // What is said is the venue's, which has the clock.
        State::ClockBehind => vec![(journal_of(1), Box::new(go_on_with_a_clock_behind))],
        State::NoJournal => {
            let meet = |folder: &Folder| {
                let error = Reader::open(&folder.data()).map(drop).unwrap_err();
                Met::refused(State::from(&error), &error)
            };
            vec![(Folder::new(), Box::new(meet))]
        }
        State::Locked => vec![(headed(1), Box::new(open_twice)), (headed(1), Box::new(open_a_copy))],
        State::Unreadable => {
            let (folder, other) = (journal_of(3), journal_of(1));
            fs::create_dir(folder.segment(2)).unwrap();
            fs::remove_file(other.data().join("lock")).unwrap();
            fs::create_dir(other.data().join("lock")).unwrap();
            vec![(folder, opened(0)), (other, opened(0))]
        }
        State::Unwritable => {
            let meet = |folder: &Folder| open(folder, &Options { segment_bytes: 1 << 60, ..folder.options() }, 0);
            vec![(Folder::new(), Box::new(meet))]
        }
        State::SnapshotNone => vec![(journal_of(1), Box::new(start))],
        State::SnapshotGood => vec![(snapshotted(), Box::new(start))],
        State::SnapshotDamaged => vec![(with_snapshot(|bytes| bytes[5_000] ^= 1), Box::new(start))],
        State::SnapshotMissing => {
            let folder = snapshotted();
            fs::remove_file(newest_snapshot(&folder)).unwrap();
            vec![(folder, Box::new(start))]
        }
        State::SnapshotVersion => {
            let of_a_version = with_snapshot(|bytes| {
                bytes[8] = 2;
                let checksum = crc32c(&bytes[..4_092]);
                bytes[4_092..4_096].copy_from_slice(&checksum.to_le_bytes());
            });
            vec![(of_a_version, Box::new(start)), (of_an_engine_to_come(), Box::new(start))]
        }
        State::SnapshotForeign => {
            let folder = snapshotted();
            fs::remove_dir_all(folder.data().join("journal")).unwrap();
            let options = Options { journal_id: Some(JournalId([9; 16])), ..folder.options() };
            drop(Journal::open(&folder.data(), &options).unwrap().appender);
            vec![(folder, Box::new(start))]
        }
        State::SnapshotOtherHistory => {
            let folder = snapshotted();
            for name in ["journal", "history"] {
                fs::remove_dir_all(folder.data().join(name)).unwrap();
            }
            let mut live = Live::start(&folder, &Options { snapshots: Some(nowhere()), ..folder.options() }, None);
            live.submit(&trading::commands(99, 2_600));
            live.close();
            vec![(folder, Box::new(start))]
        }
        State::SnapshotDiffers => vec![(leading_elsewhere(), Box::new(start))],
        State::SnapshotNewer => {
            let folder = snapshotted();
            (8..=99).for_each(|number| drop(fs::remove_file(folder.segment(number))));
            vec![(folder, Box::new(start))]
        }
        State::SnapshotUnwritable => vec![(Folder::new(), Box::new(take_one_on_a_full_disk))],
    }
}

/// With a tail that would be cut and a head that would be adopted, if the journal opened.
fn torn_and_published() -> Folder {
    edited(only_in_the_head(), 1, |bytes| bytes[2 * PAGE + 100..2 * PAGE + 200].fill(0xEE))
}

fn go_on_with_a_clock_behind(folder: &Folder) -> Met {
    let Writing { journal, sequencer, .. } = folder.open();
    let last = Stamp { sequence: Sequence(40), time: Timestamp(1_000) };
    let mut sequencer = Sequencer::new(sequencer.into_append(), last);
    let stamp = sequencer.submit(&mut NoCore, Timestamp(500), &[cancel(41)], &mut Vec::new()).unwrap();
    assert_eq!(stamp, Stamp { sequence: Sequence(41), time: Timestamp(1_000) });
    drop((sequencer.into_append(), journal));
    let said = [State::ClockBehind.decision().reported, State::ClockBehind.advice()].join("; ");
    Met { states: vec![State::ClockBehind], refused: false, said, types: "behind_at_start".to_owned() }
}

fn open_twice(folder: &Folder) -> Met {
    let writing = folder.open();
    let met = open(folder, &folder.options(), 0);
    writing.abandon();
    met
}

fn open_a_copy(folder: &Folder) -> Met {
    let writing = folder.open();
    let copy = Folder::new();
    fs::create_dir_all(copy.data().join("journal")).unwrap();
    fs::copy(folder.segment(1), copy.segment(1)).unwrap();
    let met = open(&copy, &folder.options(), 0);
    assert!(met.said.contains(".head is locked"), "{}", met.said);
    writing.abandon();
    met
}

// Snapshots.

fn newest_snapshot(folder: &Folder) -> PathBuf {
    folder.snapshots().join(format!("{:020}.snapshot", 2_048))
}

fn with_snapshot(edit: impl FnOnce(&mut Vec<u8>)) -> Folder {
    let folder = snapshotted();
    let mut bytes = fs::read(newest_snapshot(&folder)).unwrap();
    edit(&mut bytes);
    fs::write(newest_snapshot(&folder), bytes).unwrap();
    folder
}

/// A disk of which nothing is left.
fn nowhere() -> Arc<SimulatedDisk> {
    Arc::new(SimulatedDisk::new(1))
}

/// A whole snapshot whose state has another version.
fn of_an_engine_to_come() -> Folder {
    let signed = |folder: &Folder| SnapshotStore::open(&folder.data()).checkpoint_of(Sequence(2_048)).unwrap();
    let folder = snapshotted();
    let whole = signed(&folder);
    with_snapshot(|bytes| {
        let payload = 4_096..4_096 + usize::try_from(u64::from_le_bytes(bytes[40..48].try_into().unwrap())).unwrap();
        bytes[payload.start + 7] = b'3';
        let state_digest = Digest(*blake3::hash(&bytes[payload]).as_bytes());
        let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
        let forged = SignedCheckpoint::sign(Checkpoint { state_digest, ..whole.checkpoint }, &key);
        let trailer = bytes.len() - 4_096;
        bytes[trailer..trailer + 272].copy_from_slice(&forged.to_bytes());
        let checksum = crc32c(&bytes[trailer..trailer + 4_092]);
        bytes[trailer + 4_092..].copy_from_slice(&checksum.to_le_bytes());
    })
}

/// A whole snapshot that says another digest of the events before it than the journal does.
fn leading_elsewhere() -> Folder {
    let folder = snapshotted();
    let store = SnapshotStore::open(&folder.data());
    let said = store.checkpoint_of(Sequence(2_048)).unwrap().checkpoint;
    let engine = state_at(&folder.data(), AsOf::Sequence(Sequence(2_048)), |_| {}).unwrap().engine;
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let forged = store.write(&engine, Checkpoint { event_digest: Digest([3; 32]), ..said }, &key).unwrap();
    store.publish(forged, Keep::default()).unwrap();
    folder
}

/// Opens and rebuilds the state; whatever snapshots there are, it is a whole replay's.
fn start(folder: &Folder) -> Met {
    match start_locked(FolderLock::take(&folder.data()).unwrap(), &folder.options()) {
        Ok(start) => {
            let said = start.report().join("; ");
            let found = if start.snapshot.is_some() { State::SnapshotGood } else { State::SnapshotNone };
            let passed_over: Vec<_> = start.passed_over.iter().map(|passed| passed.fault).collect();
            let states = passed_over.iter().map(State::from).chain([found]).collect();
            let engine = state_digest(&start.engine);
            drop(start.opened.appender);
            if folder.commands().len() > 1_000 {
                assert_eq!(engine, replay(&folder.data(), &mut (), |_| {}).unwrap().state_digest, "{said}");
            }
            Met { states, refused: false, said, types: format!("{passed_over:?} snapshot") }
        }
        Err(StartError::Open(error)) => Met::refused(State::of_open_error(&error).unwrap(), &error),
        Err(error) => panic!("{error}"),
    }
}

fn take_one_on_a_full_disk(folder: &Folder) -> Met {
    let disk = SimulatedDisk::new(3);
    let mut live = Live::start(folder, &Options { snapshots: Some(Arc::new(disk.clone())), ..folder.options() }, None);
    live.submit(&trading::commands(5, 1_000));
    fail_allocations(&disk, u64::MAX);
    live.request.ask();
    live.submit(&trading::commands(6, 100));
    let error = live.next_snapshot().unwrap().unwrap_err();
    live.close();
    let said = error.to_string();
    Met { states: vec![State::SnapshotUnwritable], refused: false, said, types: format!("{error:?} ReadBack") }
}

/// All files below the folder, with what is in them.
fn contents(folder: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(at: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(at).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                collect(&entry, found)
            } else {
                drop(found.insert(entry.clone(), fs::read(entry).unwrap()))
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&folder.data(), &mut found);
    collect(&folder.heads(), &mut found);
    found
}

/// What others are told of on the way to this state: a spare is removed without a word, and half a mark is enough.
fn shown_as(state: State) -> State {
    match state {
        State::SpareLeft => State::Whole,
        State::HeadHalfMarked => State::HeadContinues,
        state => state,
    }
}

#[test]
fn every_state_is_treated_as_the_table_says() {
    for &state in State::ALL {
        let decision = state.decision();
        let mut told = String::new();
        for (way, (folder, meet)) in made(state).into_iter().enumerate() {
            let before = contents(&folder);
            let met = meet(&folder);
            let context = format!("{state:?}, way {way}: {:?}: {}", met.states, met.said);
            assert!(met.states.contains(&shown_as(state)), "{context}");
            assert_eq!(met.refused, decision.action == Action::Refuse, "{context}");
            assert!(met.said.contains(decision.reported) && met.said.contains(decision.advice), "{context}");
            // Who opens has the lock, and its file; and what cannot be written may have been begun.
            if met.refused && !matches!(state, State::Locked | State::Unwritable) {
                let mut after = contents(&folder);
                after.retain(|path, _| before.contains_key(path) || !path.ends_with("lock"));
                assert!(before == after, "{context}: a refusal changed something");
            }
            told += &met.types;
        }
        for name in decision.told_by.split(", ").filter(|name| !name.is_empty()) {
            let variant = name.rsplit("::").next().unwrap();
            assert!(told.contains(variant), "{state:?} is not told by {name}: {told}");
        }
    }
}

#[test]
fn a_cut_leaves_the_whole_journal_and_no_spare() {
    for (folder, meet) in [State::TornTail, State::TornSegment, State::SpareLeft].into_iter().flat_map(made) {
        meet(&folder);
        let names: Vec<_> =
            contents(&folder).into_keys().filter(|path| path.extension() == Some("spare".as_ref())).collect();
        assert_eq!(names, Vec::<PathBuf>::new());
        // Opened again there is nothing left to report.
        let again = open(&folder, &folder.options(), folder.verify().unwrap().last.0);
        assert_eq!(again.states, [State::Whole, State::HeadContinues]);
    }
}

/// A second segment that was set aside used to take the first one's place, and with it what an operator was to look at.
#[test]
fn what_was_set_aside_before_stays() {
    let folder = torn_segment();
    let aside = |name: &str| folder.data().join("journal").join(name);
    folder.open().abandon();
    let first = fs::read(aside("00000002.seg.cut")).unwrap();
    fs::write(folder.segment(2), vec![0xDD; 300]).unwrap();
    fs::remove_file(folder.head().unwrap()).unwrap();
    let writing = folder.open();
    assert_eq!(writing.recovery.set_aside, Some(aside("00000002.seg.cut.2")));
    writing.abandon();
    assert_eq!(fs::read(aside("00000002.seg.cut")).unwrap(), first);
    assert_eq!(fs::read(aside("00000002.seg.cut.2")).unwrap(), [0xDD; 300]);
}

/// A record of a kind that a newer build had written was cut as a torn tail when it was in the last batch, and with it
/// commands that had been acknowledged: the kind was looked at before the checksum.
#[test]
fn the_last_batch_of_a_newer_build_is_not_cut() {
    for (folder, _) in made(State::UnknownRecord) {
        match Journal::open(&folder.data(), &folder.options()).map(drop) {
            Err(OpenError::Read(ReadError::Damaged { offset, .. })) => assert_eq!(offset, 8_192),
            other => panic!("{other:?}"),
        }
    }
}

// The document.

const BEGIN: &str = "<!-- decisions -->\n";
const END: &str = "<!-- end of decisions -->";

#[test]
fn the_published_table_is_this_one() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/JOURNAL_FORMAT.md");
    let published = fs::read_to_string(&path).unwrap();
    let (before, rest) = published.split_once(BEGIN).expect("where the table begins");
    let (table, after) = rest.split_once(END).expect("where the table ends");
    let expected = table_of_decisions();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(table == expected, "docs/JOURNAL_FORMAT.md is not what the code decides: run with BLESS=1");
    }
}

fn table_of_decisions() -> String {
    let mut table = "| what is found | told by | what is done | what is said | what an operator can do |\n".to_owned();
    table += "|---|---|---|---|---|\n";
    for decision in State::ALL.iter().map(|state| state.decision()) {
        let names: Vec<_> = decision.told_by.split(", ").filter(|name| !name.is_empty()).map(code).collect();
        let told_by = names.join(", ");
        let (found, action) = (decision.found, decision.action.words());
        table += &format!("| {found} | {told_by} | {action} | {} | {} |\n", decision.reported, decision.advice);
    }
    table
}

fn code(name: &str) -> String {
    format!("`{name}`")
}
