//! A disk that fills, or that does not answer: less is let in, the core goes on as long as there is room, nothing is lost,
//! and nothing has to be restarted.

mod common;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Folder, PAGE, SMALL_SEGMENT, Writing, cancel, page_of_cancels};
use engine::Sequence;
use journal::{Digest, DirectoryStorage, JOURNAL_FOLDER, Journal, Options, Storage, WriteError};
use ring::Admission::{self, CancelsOnly, Everything, Nothing};
use simulation::GatedFolder;

/// A journal on a disk with room for so many segments.
struct Setting {
    folder: Folder,
    disk: Arc<GatedFolder>,
    options: Options,
}

impl Setting {
    fn new(segment_count: u64) -> Self {
        let folder = Folder::new();
        let disk = Arc::new(GatedFolder::new(folder.data().join(JOURNAL_FOLDER), segment_count));
        let options = Options { storage: Some(disk.clone()), ..folder.options() };
        Self { folder, disk, options }
    }

    fn open(&self) -> Writing {
        Writing::open(&self.folder.data(), &self.options)
    }

    /// The journal holds the first so many cancels, and nothing else.
    fn assert_holds(&self, count: u64) {
        let commands = self.folder.commands();
        assert_eq!(commands.len() as u64, count);
        assert!((1..).zip(&commands).all(|(number, command)| command.value == cancel(number)));
    }

    fn spares(&self) -> usize {
        self.disk.list().unwrap().iter().filter(|name| name.ends_with(".spare")).count()
    }
}

/// How long the helper may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the helper has come so far.
fn wait_until(reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_for(writing: &Writing, admission: Admission, spares: usize) {
    let space = writing.journal.space();
    wait_until(|| (space.admission().get(), space.spare_count()) == (admission, spares));
}

/// Three pages of commands, which is a segment, each durable before the next.
fn fill_a_segment(writing: &mut Writing) {
    for _ in 0..3 {
        let first = writing.sequencer.last().sequence.0 + 1;
        writing.batch(&page_of_cancels(first));
    }
}

#[test]
fn two_segments_are_ready_ahead_and_none_is_left_behind() {
    let setting = Setting::new(u64::MAX);
    let writing = setting.open();
    wait_for(&writing, Everything, 2);
    let space = writing.journal.space().clone();
    assert_eq!(setting.spares(), 2);
    // The first segment is empty behind its header.
    assert_eq!((space.segment_bytes(), space.room_bytes()), (SMALL_SEGMENT, 3 * PAGE as u64 + 2 * SMALL_SEGMENT));
    assert_eq!(space.failure(), None);
    writing.close(Digest::ZERO);
    assert_eq!(setting.disk.list().unwrap(), ["00000001.seg"]);
}

#[test]
fn cancels_go_last_then_nothing_and_room_brings_everything_back() {
    let setting = Setting::new(3);
    let mut writing = setting.open();
    wait_for(&writing, Everything, 2);
    // Nothing has failed yet: all that there is room for is made.
    fill_a_segment(&mut writing);
    wait_for(&writing, Everything, 2);
    assert_eq!(writing.journal.space().failure(), None);

    // The second segment is begun, and a third spare cannot be made.
    fill_a_segment(&mut writing);
    wait_for(&writing, CancelsOnly, 1);
    let reason = writing.journal.space().failure().unwrap();
    assert!(reason.contains("no storage space"), "{reason}");

    // The last spare is begun, and takes what is on its way.
    fill_a_segment(&mut writing);
    wait_for(&writing, Nothing, 0);
    assert_eq!(writing.journal.space().room_bytes(), 0);

    // What comes all the same waits in the head.
    let commands: Vec<_> = (361..=400).map(cancel).collect();
    writing.submit(&commands).unwrap();
    assert_eq!(writing.journal.durable().get(), 360);
    assert!(!writing.journal.durable().is_poisoned());

    // Room for one segment, and it is begun at once; room for more.
    setting.disk.set_room(1);
    writing.wait();
    wait_for(&writing, Nothing, 0);
    setting.disk.set_room(1);
    wait_for(&writing, CancelsOnly, 1);
    setting.disk.set_room(8);
    wait_for(&writing, Everything, 2);
    assert_eq!(writing.journal.space().failure(), None);
    writing.close(Digest::ZERO);
    setting.assert_holds(400);
}

#[test]
fn a_journal_that_is_opened_on_a_full_disk_lets_nothing_in() {
    let setting = Setting::new(1);
    let writing = setting.open();
    wait_for(&writing, Nothing, 0);
    let outcome = writing.journal.close(writing.sequencer.into_append(), Digest::ZERO);
    assert!(outcome.is_ok(), "the seal still has room: {outcome:?}");
    let writing = setting.open();
    wait_for(&writing, Nothing, 0);
    setting.disk.set_room(2);
    wait_for(&writing, Everything, 2);
    writing.close(Digest::ZERO);
}

#[test]
fn a_venue_that_stops_on_a_full_disk_or_starts_on_one_says_so_and_the_head_keeps_the_rest() {
    let setting = Setting::new(1);
    let mut writing = setting.open();
    wait_for(&writing, Nothing, 0);
    let commands: Vec<_> = (1..=200).map(cancel).collect();
    writing.submit(&commands).unwrap();
    let outcome = writing.journal.close(writing.sequencer.into_append(), Digest::ZERO);
    assert!(matches!(*outcome.unwrap_err(), WriteError::NoSpare { .. }));

    for _ in 0..2 {
        let opened = Journal::open(&setting.folder.data(), &setting.options).map(drop);
        let said = opened.unwrap_err().to_string();
        assert!(said.ends_with("no storage space: free space and restart; the head keeps the rest"), "{said}");
    }
    setting.disk.set_room(8);
    let writing = setting.open();
    assert_eq!(writing.recovery.last, Sequence(200));
    writing.close(Digest::ZERO);
    setting.assert_holds(200);
}

#[test]
fn while_a_sync_hangs_the_core_goes_on_until_the_head_is_full_and_then_waits() {
    // A cancel's record: 8 bytes of frame, 42 that every command has, 28 of its own, in whole words.
    const HELD: u64 = 65_536 / 80;
    let setting = Setting::new(u64::MAX);
    let mut writing = setting.open();
    wait_for(&writing, Everything, 2);
    writing.batch(&page_of_cancels(1));
    setting.disk.gate().shut();
    let (durable, space) = (writing.journal.durable().clone(), writing.journal.space().clone());
    let (reached, done) = std::sync::mpsc::channel();
    let core = std::thread::spawn(move || {
        for number in 41..=2_000 {
            writing.submit(&[cancel(number)]).unwrap();
            reached.send(number).unwrap();
        }
        writing
    });
    setting.disk.gate().wait_for_waiting();
    // As much as the head holds, and what the writer has taken from it stays until it is durable.
    assert!(done.iter().take(usize::try_from(HELD).unwrap()).eq(41..41 + HELD));
    assert!(done.recv_timeout(Duration::from_millis(50)).is_err(), "the head has no more room");
    // Meanwhile whoever asks is answered, and what is durable can be read.
    assert_eq!((durable.get(), durable.is_poisoned()), (40, false));
    assert_eq!((space.admission().get(), space.spare_count()), (Everything, 2));
    let read = setting.folder.commands();
    assert!((1..=40).zip(&read).all(|(number, read)| read.value == cancel(number)) && read.len() >= 40);

    setting.disk.gate().open();
    let writing = core.join().unwrap();
    writing.wait();
    writing.close(Digest::ZERO);
    setting.assert_holds(2_000);
}

/// A spare that could not be completed kept the space that it had taken until the next attempt.
#[test]
fn what_could_not_be_completed_is_removed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // It opens, and takes nothing.
    std::os::unix::fs::symlink("/dev/full", folder.path().join("00000002.spare")).unwrap();
    let storage = DirectoryStorage::new(folder.path());
    assert!(storage.create("00000002.spare", SMALL_SEGMENT).is_err());
    assert_eq!(storage.list().unwrap(), Vec::<String>::new());
}

#[test]
fn a_file_that_the_disk_has_no_room_for_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::new(folder.path());
    let free = storage.free_bytes().unwrap();
    let error = storage.create("00000002.spare", free.saturating_mul(2)).map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(storage.list().unwrap(), Vec::<String>::new());
}
