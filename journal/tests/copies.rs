//! A copy is the same history up to its point, or it is not there.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::trading::{Live, snapshotted};
use common::{Folder, PAGE, Writing, cancel, page_of_cancels};
use engine::{Sequence, Timestamp};
use journal::{
    AsOf, Block, BlockDigest, Copied, CopyError, Digest, Entry, Fault, FolderLock, JOURNAL_FOLDER, JournalCopy,
    Options, Polling, ReadError, Reader, SnapshotStore, replay,
};
use simulation::GatedFolder;

/// Where a copy goes, and a folder for its head.
struct Place {
    folder: Folder,
}

impl Place {
    fn new() -> Self {
        Self { folder: Folder::new() }
    }

    fn restore(&self, from: &Folder, until: AsOf) -> Result<Copied, CopyError> {
        JournalCopy::restore(&from.data(), &self.folder.data(), until, &mut |_| {})?.place()
    }

    fn back_up(&self, from: &Folder) -> Result<Copied, CopyError> {
        let polling = Polling { head_directory: Some(from.heads()), ..Polling::default() };
        JournalCopy::backup(&from.data(), &self.folder.data(), &polling, &mut |_| {})?.place()
    }

    fn entries(&self) -> Vec<Entry> {
        entries(&self.folder)
    }
}

fn entries(folder: &Folder) -> Vec<Entry> {
    Reader::open(&folder.data()).unwrap().map(Result::unwrap).collect()
}

/// Every file below a folder, but locks.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

fn segments(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files(&folder.data()).into_iter().map(|(path, bytes)| (name(path), bytes)).collect()
}

/// Batches of 1, 2, 3, … commands over several segments, a digest and two seals: 136 commands.
fn varied() -> Folder {
    let folder = Folder::new();
    let mut next = 1;
    for (from, to) in [(1, 9), (10, 16)] {
        let mut writing = folder.open();
        for count in from..=to {
            let commands: Vec<_> = (next..next + count).map(cancel).collect();
            writing.batch(&commands);
            next += count;
        }
        writing.close(Digest([1; 32]));
    }
    assert_eq!((next, folder.verify().unwrap().segment_count), (137, 6));
    folder
}

#[test]
fn a_whole_copy_has_the_same_bytes_and_goes_on() {
    let (original, place) = (varied(), Place::new());
    let mut steps = Vec::new();
    let copy = JournalCopy::restore(&original.data(), &place.folder.data(), AsOf::End, &mut |step| steps.push(step));
    let copied = copy.unwrap().place().unwrap();
    assert_eq!(segments(&place.folder), segments(&original));
    let verified = original.verify().unwrap();
    let expected = Copied {
        first: Sequence(1),
        last: Sequence(136),
        new_count: 136,
        segment_count: 6,
        bytes: 6 * common::SMALL_SEGMENT,
        chain: verified.chain,
    };
    assert_eq!(copied, expected);
    assert!(steps.is_sorted_by_key(|step| step.bytes) && steps.iter().all(|step| step.total_bytes == copied.bytes));
    assert_eq!(steps.last().unwrap().bytes, copied.bytes);

    let mut writing = place.folder.open();
    assert_eq!(writing.recovery.last, Sequence(136));
    writing.batch(&[cancel(137)]);
    writing.close(Digest::ZERO);
    assert_eq!(place.folder.commands().len(), 137);
    assert_eq!(place.folder.commands()[..136], original.commands());
}

/// The point is before, in, and behind batches, and in each segment.
#[test]
fn a_copy_up_to_any_sequence_holds_what_was_there_then_and_goes_on() {
    let original = varied();
    let (all, whole) = (original.commands(), segments(&original));
    for last in (1..=60).chain((61..=136).step_by(5)) {
        let place = Place::new();
        let copied = place.restore(&original, AsOf::Sequence(Sequence(last))).unwrap();
        assert_eq!((copied.last, copied.new_count), (Sequence(last), last));
        let count = usize::try_from(last).unwrap();
        assert_eq!(place.folder.commands(), all[..count], "up to {last}");
        let verified = place.folder.verify().unwrap();
        assert_eq!((verified.chain, verified.cut), (copied.chain, None));
        // All segments but the last are the original's.
        let made = segments(&place.folder);
        assert_eq!(made[..made.len() - 1], whole[..made.len() - 1]);
        if last % 8 == 5 {
            let mut writing = place.folder.open();
            writing.batch(&[cancel(last + 1), cancel(last + 2)]);
            writing.close(Digest::ZERO);
            let went_on: Vec<_> = place.folder.commands().iter().map(|command| command.value).collect();
            assert_eq!(went_on, (1..=last + 2).map(cancel).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_batch_that_is_cut_keeps_the_digests_before_the_point() {
    let original = Folder::new();
    let mut writing = original.open();
    // Two commands before the block's end are on disk, and its digest waits for the batch that ends it.
    for page in 0..25 {
        writing.batch(&page_of_cancels(page * 40 + 1));
    }
    writing.batch(&(1_001..=1_022).map(cancel).collect::<Vec<_>>());
    let digest = BlockDigest { block: Block(0), digest: Digest([9; 32]) };
    writing.journal.digests().push(digest);
    writing.batch(&(1_023..=1_030).map(cancel).collect::<Vec<_>>());
    writing.close(Digest::ZERO);
    for (last, holds_digest) in [(1_023, false), (1_024, false), (1_029, false), (1_030, true)] {
        let place = Place::new();
        place.restore(&original, AsOf::Sequence(Sequence(last))).unwrap();
        let (made, all) = (place.entries(), entries(&original));
        assert!(all.starts_with(&made), "up to {last}");
        assert_eq!(made.contains(&Entry::EventDigest(digest)), holds_digest, "up to {last}");
    }
}

#[test]
fn a_copy_up_to_a_time_ends_with_the_last_command_that_is_not_later() {
    let original = Folder::new();
    let mut writing = original.open();
    // The time is that of the first command of each batch.
    for first in [1, 4, 9] {
        let commands: Vec<_> = (first..first + if first == 1 { 3 } else { 5 }).map(cancel).collect();
        writing.batch(&commands);
    }
    writing.close(Digest::ZERO);
    for (time, last) in [(1, 3), (3, 3), (4, 8), (8, 8), (9, 13), (u64::MAX, 13)] {
        let place = Place::new();
        assert_eq!(place.restore(&original, AsOf::Time(Timestamp(time))).unwrap().last, Sequence(last), "at {time}");
    }
    let place = Place::new();
    let refused = place.restore(&original, AsOf::Time(Timestamp(0))).unwrap_err();
    assert!(matches!(refused, CopyError::Unreached { .. }), "{refused}");
    assert!(!place.folder.data().exists());
}

#[test]
fn what_is_not_there_is_refused_and_nothing_is_made() {
    let (original, place) = (varied(), Place::new());
    for sequence in [0, 137, u64::MAX] {
        let refused = place.restore(&original, AsOf::Sequence(Sequence(sequence))).unwrap_err();
        assert!(matches!(refused, CopyError::Unreached { .. }), "{refused}");
    }
    for nothing in [place.restore(&Folder::new(), AsOf::End), place.back_up(&Folder::new())] {
        let nothing = nothing.unwrap_err();
        assert!(matches!(nothing, CopyError::Read(ReadError::NoJournal { .. })), "{nothing}");
    }
    assert!(!place.folder.data().exists());
}

#[test]
fn a_folder_with_anything_in_it_is_left_as_it_is() {
    let (original, place) = (varied(), Place::new());
    place.restore(&original, AsOf::Sequence(Sequence(7))).unwrap();
    let before = files(&place.folder.data());
    let refused = place.restore(&original, AsOf::End).unwrap_err();
    assert!(matches!(&refused, CopyError::Occupied { found, .. } if found == "journal"), "{refused}");
    let itself = JournalCopy::restore(&original.data(), &original.data(), AsOf::End, &mut |_| {}).unwrap_err();
    assert!(matches!(itself, CopyError::Occupied { .. }), "{itself}");
    assert_eq!(files(&place.folder.data()), before);

    let other = Place::new();
    fs::create_dir_all(other.folder.data()).unwrap();
    fs::write(other.folder.data().join("notes"), "mine").unwrap();
    let refused = other.restore(&original, AsOf::End).unwrap_err();
    assert!(refused.to_string().contains("it holds notes"), "{refused}");
    assert_eq!(files(&other.folder.data()).len(), 1);
}

#[test]
fn a_damaged_journal_is_copied_up_to_the_damage_and_no_further() {
    let (original, place) = (varied(), Place::new());
    let file = original.segment(4);
    let mut bytes = fs::read(&file).unwrap();
    let first = u64::from_le_bytes(bytes[2 * PAGE + 16..2 * PAGE + 24].try_into().unwrap());
    bytes[2 * PAGE + 100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let refused = place.restore(&original, AsOf::End).unwrap_err();
    match &refused {
        CopyError::Read(ReadError::Damaged { file: found, offset, fault: Fault::RecordChecksum { index: 0 } }) => {
            assert_eq!((found, *offset), (&file, 2 * PAGE as u64));
        }
        _ => panic!("{refused}"),
    }
    assert_eq!(files(&place.folder.data()), BTreeMap::new());
    let copied = place.restore(&original, AsOf::Sequence(Sequence(first - 1))).unwrap();
    assert_eq!((copied.last, place.folder.verify().unwrap().last), (Sequence(first - 1), Sequence(first - 1)));
}

/// A torn tail is nothing that was acknowledged.
#[test]
fn a_torn_tail_is_not_copied() {
    let (original, place) = (Folder::new(), Place::new());
    let mut writing = original.open();
    writing.batch(&page_of_cancels(1));
    writing.abandon();
    let mut bytes = fs::read(original.segment(1)).unwrap();
    bytes[2 * PAGE + 1_000..2 * PAGE + 1_100].fill(7);
    fs::write(original.segment(1), bytes).unwrap();
    place.restore(&original, AsOf::End).unwrap();
    let verified = place.folder.verify().unwrap();
    assert_eq!((verified.last, verified.cut), (Sequence(40), None));
}

#[test]
fn a_copy_that_is_not_placed_leaves_nothing_and_one_that_was_interrupted_is_begun_anew() {
    let (original, place) = (varied(), Place::new());
    let data = place.folder.data();
    let copy = JournalCopy::restore(&original.data(), &data, AsOf::End, &mut |_| {}).unwrap();
    assert!(matches!(Reader::open(&data), Err(ReadError::NoJournal { .. })), "it has no place yet");
    let beside = JournalCopy::restore(&original.data(), &data, AsOf::End, &mut |_| {}).unwrap_err();
    assert!(matches!(beside, CopyError::Locked { .. }), "{beside}");
    drop(copy);
    assert_eq!(files(&data), BTreeMap::new());

    fs::create_dir_all(data.join("copying/journal")).unwrap();
    fs::write(data.join("copying/journal/00000001.seg"), "a part").unwrap();
    place.restore(&original, AsOf::End).unwrap();
    assert_eq!(segments(&place.folder), segments(&original));
}

// Backups.

fn inode(file: &Path) -> u64 {
    fs::metadata(file).unwrap().ino()
}

#[test]
fn a_backup_beside_a_venue_is_continued_with_what_is_new() {
    let (original, place) = (Folder::new(), Place::new());
    let mut writing = original.open();
    let mut next = 1;
    let mut batch = |writing: &mut Writing, count: u64| {
        writing.batch(&(next..next + count).map(cancel).collect::<Vec<_>>());
        next += count;
    };
    for count in 1..=4 {
        batch(&mut writing, count);
    }
    let copied = place.back_up(&original).unwrap();
    assert_eq!((copied.last, copied.new_count, copied.segment_count), (Sequence(10), 10, 2));
    let first_segment = inode(&place.folder.segment(1));

    let again = place.back_up(&original).unwrap();
    assert_eq!((again.last, again.new_count, again.chain), (Sequence(10), 0, copied.chain));
    for count in 5..=9 {
        batch(&mut writing, count);
    }
    let continued = place.back_up(&original).unwrap();
    assert_eq!((continued.first, continued.last, continued.new_count), (Sequence(1), Sequence(45), 35));
    assert_eq!(continued.segment_count, 2, "the last one anew, and one behind it");
    assert_eq!(inode(&place.folder.segment(1)), first_segment, "what was complete is left alone");
    assert_eq!(place.folder.commands(), original.commands());

    writing.close(Digest([3; 32]));
    let sealed = place.back_up(&original).unwrap();
    assert_eq!((sealed.new_count, sealed.chain), (0, original.verify().unwrap().chain));
    assert_eq!(segments(&place.folder), segments(&original));
}

/// What is written and not synced may be gone after a power loss.
#[test]
fn a_backup_holds_only_what_is_durable() {
    let (original, place) = (Folder::new(), Place::new());
    let storage = GatedFolder::new(original.data().join(JOURNAL_FOLDER), 3);
    let gate = storage.gate().clone();
    let mut writing =
        Writing::open(&original.data(), &Options { storage: Some(Arc::new(storage)), ..original.options() });
    writing.batch(&page_of_cancels(1));
    gate.shut();
    writing.submit_together(&page_of_cancels(41)).unwrap();
    gate.wait_for_waiting();
    assert_eq!(original.verify().unwrap().last, Sequence(80), "it is there to be read");
    assert_eq!(place.back_up(&original).unwrap().last, Sequence(40));
    gate.open();
    writing.wait();
    assert_eq!(place.back_up(&original).unwrap().last, Sequence(80));
    writing.close(Digest::ZERO);
}

/// Without a head nobody vouches for the last batch; but the copy holds it, because the head did then.
#[test]
fn a_backup_is_continued_though_the_head_is_gone() {
    let (original, place) = (Folder::new(), Place::new());
    let mut writing = original.open();
    writing.batch(&page_of_cancels(1));
    assert_eq!(place.back_up(&original).unwrap().last, Sequence(40));
    writing.abandon();
    fs::remove_file(original.head().unwrap()).unwrap();
    let again = place.back_up(&original).unwrap();
    assert_eq!((again.last, again.new_count), (Sequence(40), 0));
    let new = Place::new();
    assert_eq!(new.back_up(&original).unwrap().last, Sequence::NONE);
}

#[test]
fn another_history_is_not_continued() {
    let (original, place) = (varied(), Place::new());
    place.restore(&original, AsOf::Sequence(Sequence(50))).unwrap();
    let before = files(&place.folder.data());
    // Its last batch was cut: the original has another one there.
    let refused = place.back_up(&original).unwrap_err();
    assert!(matches!(refused, CopyError::Diverged { last: Sequence(50), .. }), "{refused}");
    // It ends with a whole batch, and a venue went on with it.
    let went_on = Place::new();
    went_on.restore(&original, AsOf::Sequence(Sequence(45))).unwrap();
    let mut writing = went_on.folder.open();
    writing.batch(&[cancel(1_000)]);
    let used = went_on.back_up(&original).unwrap_err();
    assert!(matches!(used, CopyError::Locked { .. }), "{used}");
    writing.close(Digest::ZERO);
    let refused = went_on.back_up(&original).unwrap_err();
    assert!(matches!(refused, CopyError::Diverged { last: Sequence(46), .. }), "{refused}");
    // It holds more than the original.
    let behind = went_on.folder;
    let longer = Place::new();
    longer.back_up(&original).unwrap();
    let refused = longer.back_up(&behind).unwrap_err();
    assert!(matches!(refused, CopyError::Diverged { last: Sequence(136), .. }), "{refused}");
    assert_eq!(files(&place.folder.data()), before);
}

/// Killed between two renames, or before the first one.
#[test]
fn a_backup_that_was_interrupted_while_it_was_placed_is_continued() {
    let original = varied();
    for placed in 0..=6 {
        let place = Place::new();
        place.restore(&original, AsOf::Sequence(Sequence(6))).unwrap();
        for number in 1..=placed {
            fs::copy(original.segment(number), place.folder.segment(number)).unwrap();
        }
        fs::create_dir_all(place.folder.data().join("copying/journal")).unwrap();
        let copied = place.back_up(&original).unwrap();
        assert_eq!((copied.last, copied.segment_count), (Sequence(136), 6.min(7 - placed)), "{placed} were placed");
        assert_eq!(segments(&place.folder), segments(&original));
    }
}

/// Damage in the last segment of a journal without a head looked like its end to who follows; a backup would have been
/// short and said nothing.
#[test]
fn damage_in_the_last_segment_is_no_end() {
    let (original, place) = (Folder::new(), Place::new());
    let mut writing = original.open();
    (1..=2).for_each(|command| writing.batch(&[cancel(command)]));
    writing.close(Digest::ZERO);
    assert_eq!(original.verify().unwrap().segment_count, 1);
    let mut bytes = fs::read(original.segment(1)).unwrap();
    bytes[2 * PAGE + 100] ^= 1;
    fs::write(original.segment(1), bytes).unwrap();
    match place.back_up(&original).unwrap_err() {
        CopyError::Read(ReadError::Damaged { offset, .. }) => assert_eq!(offset, 2 * PAGE as u64),
        other => panic!("{other}"),
    }
    assert_eq!(files(&place.folder.data()), BTreeMap::new());
}

#[test]
fn a_folder_that_a_venue_uses_takes_no_backup() {
    let (original, place) = (varied(), Place::new());
    fs::create_dir_all(place.folder.data()).unwrap();
    let lock = FolderLock::take(&place.folder.data()).unwrap();
    let refused = place.back_up(&original).unwrap_err();
    assert!(matches!(refused, CopyError::Locked { .. }), "{refused}");
    drop(lock);
}

// Snapshots.

/// What a venue knows of itself that is started in the copy, and where its snapshot was.
fn started(place: &Place) -> (Sequence, Digest, Option<u64>) {
    let live = Live::start(&place.folder, &place.folder.options(), None);
    let known = live.known();
    (known.last, known.state_digest, live.snapshot.map(|snapshot| snapshot.sequence.0))
}

/// Behind 1,024 and 2,048 there are snapshots, of 2,600 commands.
#[test]
fn snapshots_that_lead_to_the_end_go_along_and_no_others() {
    let original = snapshotted();
    let store = SnapshotStore::open(&original.data());
    let links: Vec<_> = store.checkpoints().unwrap().iter().map(|signed| signed.checkpoint.link.last.0).collect();
    assert_eq!(store.sequences().unwrap(), [Sequence(1_024), Sequence(2_048)]);
    let cases = [
        (1_000, &[][..]),
        (links[0] - 1, &[]),
        (links[0], &[1_024]),
        (links[1] - 1, &[1_024]),
        (links[1], &[2_048, 1_024]),
        (2_600, &[2_048, 1_024]),
    ];
    for (until, expected) in cases {
        let place = Place::new();
        let data = place.folder.data();
        let until = Sequence(until);
        let copy = JournalCopy::restore(&original.data(), &data, AsOf::Sequence(until), &mut |_| {}).unwrap();
        copy.place().unwrap();
        let copied = copy.copy_snapshots().unwrap();
        drop(copy);
        assert_eq!(copied, expected.iter().map(|&sequence| Sequence(sequence)).collect::<Vec<_>>(), "up to {until}");
        let store = SnapshotStore::open(&data);
        assert_eq!(store.checkpoints().unwrap().len(), expected.len());
        let whole = replay(&data, &mut (), |_| {}).unwrap();
        assert_eq!(started(&place), (until, whole.state_digest, expected.first().copied()), "up to {until}");
    }
}

#[test]
fn a_backup_takes_new_snapshots_and_lets_go_of_old_ones() {
    let (original, place) = (snapshotted(), Place::new());
    let back_up = || {
        let polling = Polling { head_directory: Some(original.heads()), ..Polling::default() };
        let copy = JournalCopy::backup(&original.data(), &place.folder.data(), &polling, &mut |_| {}).unwrap();
        copy.place().unwrap();
        copy.copy_snapshots().unwrap()
    };
    assert_eq!(back_up(), [Sequence(2_048), Sequence(1_024)]);
    let mut live = Live::start(&original, &original.options(), None);
    live.snapshot_behind(&common::trading::commands(12, 700)[10..]);
    live.close();
    assert_eq!(back_up(), [Sequence(3_072), Sequence(2_048)]);
    let store = SnapshotStore::open(&place.folder.data());
    assert_eq!(store.sequences().unwrap(), [Sequence(2_048), Sequence(3_072)]);
    assert_eq!(store.checkpoints().unwrap(), SnapshotStore::open(&original.data()).checkpoints().unwrap());
    let whole = replay(&original.data(), &mut (), |_| {}).unwrap();
    assert_eq!(started(&place), (whole.last, whole.state_digest, Some(3_072)));
}

/// A snapshot from behind the point would stop the venue: it shows that the journal lacks something.
#[test]
fn what_an_interrupted_copy_took_along_does_not_stay() {
    let (original, place) = (snapshotted(), Place::new());
    let data = place.folder.data();
    let copy = JournalCopy::restore(&original.data(), &data, AsOf::End, &mut |_| {}).unwrap();
    copy.copy_snapshots().unwrap();
    // As a kill leaves it: what stands in the folder, and the folder in which the journal is made.
    drop(copy);
    fs::create_dir_all(data.join("copying")).unwrap();
    let copy = JournalCopy::restore(&original.data(), &data, AsOf::Sequence(Sequence(1_500)), &mut |_| {}).unwrap();
    copy.place().unwrap();
    assert_eq!(copy.copy_snapshots().unwrap(), [Sequence(1_024)]);
    drop(copy);
    assert_eq!(started(&place).0, Sequence(1_500));
}

#[test]
fn a_snapshot_that_is_not_whole_is_left_behind() {
    let (original, place) = (snapshotted(), Place::new());
    let file = SnapshotStore::open(&original.data()).file(Sequence(2_048));
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    let data = place.folder.data();
    let copy = JournalCopy::restore(&original.data(), &data, AsOf::End, &mut |_| {}).unwrap();
    copy.place().unwrap();
    assert_eq!(copy.copy_snapshots().unwrap(), [Sequence(1_024)]);
    drop(copy);
    assert_eq!(started(&place).2, Some(1_024));
}

/// A header behind the point is damaged: the journal up to the point is copied all the same.
#[test]
fn a_damaged_segment_behind_the_point_does_not_keep_a_journal_from_being_restored() {
    let (original, place) = (snapshotted(), Place::new());
    let segments = (1..).take_while(|&number| original.segment(number).exists()).count() as u64;
    for number in segments / 2..=segments {
        let mut bytes = fs::read(original.segment(number)).unwrap();
        bytes[20] ^= 1;
        fs::write(original.segment(number), bytes).unwrap();
    }
    let copied = place.restore(&original, AsOf::Sequence(Sequence(300))).unwrap();
    assert_eq!(copied.last, Sequence(300));
    assert_eq!(place.folder.commands().len(), 300);
    let behind = Place::new().restore(&original, AsOf::Sequence(Sequence(2_000)));
    assert!(matches!(behind, Err(CopyError::Read(ReadError::Damaged { .. }))), "{behind:?}");
}
