//! A journal in turns starts no thread. Alone in its file, as tests run on threads.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::sync::Arc;

use common::trading::commands;
use common::{Folder, NoCore};
use ed25519_dalek::SigningKey;
use engine::Timestamp;
use journal::{
    Digest, FolderLock, Followed, HistoryOptions, HistoryWriter, Keep, Labour, Made, Opened, Options, Sequencer,
    Shadow, ShadowEvent, SnapshotPolicy, SnapshotRequest, Start, Wrote, start_locked,
};
use simulation::SimulatedDisk;

fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn no_thread_is_started() {
    let before = thread_count();
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    let snapshots = Some(Arc::new(disk.clone()) as Arc<_>);
    // Long batches, which a thread would hash.
    let options = Options { labour: Labour::Turns, snapshots, head_bytes: 1 << 20, ..folder.options_on(&disk) };
    let options = Options { segment_bytes: 1 << 20, ..options };
    fs::create_dir_all(folder.data()).unwrap();
    let start = start_locked(FolderLock::take(&folder.data()).unwrap(), &options).unwrap();
    let Start { opened: Opened { journal, mut appender, recovery }, engine, .. } = start;
    let mut hands = appender.take_hands().unwrap();
    let key = SigningKey::from_bytes(&[5; 32]);
    let store = options.snapshot_store(&folder.data());
    let policy = SnapshotPolicy { store, every: Some(1_024), keep: Keep::at_most(8), key };
    let history_options = HistoryOptions { reserve_bytes: 0, ..HistoryOptions::default() };
    let history = HistoryWriter::open(&folder.data(), recovery.identity.journal, &history_options).unwrap();
    let mut shadow = Shadow::begin(&journal.source(), policy, SnapshotRequest::default(), history).unwrap();
    let mut sequencer = Sequencer::new(appender, engine.last());

    assert!(sequencer.has_room_for(1_100));
    sequencer.submit(&mut NoCore, Timestamp(1), &commands(7, 1_100), &mut Vec::new()).unwrap();
    assert_eq!((hands.make_spare(), hands.write()), (Made::Spare, Wrote::Group));
    let (mut most, mut snapshots) = (0, 0);
    let mut look = |event| {
        most = most.max(thread_count());
        snapshots += usize::from(matches!(event, ShadowEvent::Snapshot(_)));
    };
    while shadow.turn(&mut look).unwrap() == Followed::Applied {}
    journal.begin_close(sequencer.into_append(), Digest::ZERO);
    hands.run_to_end();
    assert_eq!((journal.failure().map(|why| why.to_string()), snapshots), (None, 1));
    assert_eq!([most, thread_count()], [before; 2]);
}
