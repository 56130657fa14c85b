//! What is journalled is read back: every command, in order, over batches, segments and restarts.

mod common;

use common::{Folder, SplitMix64, Writing, cancel, page_of_cancels, random_command, seed, stamped};
use engine::Sequence;
use journal::{Block, BlockDigest, Digest, Durability, Entry, HeadOutcome, Reader, Seal};

#[test]
fn an_empty_journal_has_no_commands_and_a_seal() {
    let folder = Folder::new();
    folder.open().close(Digest::ZERO);
    let verified = folder.verify().unwrap();
    assert_eq!((verified.first, verified.last, verified.command_count()), (Sequence(0), Sequence(0), 0));
    assert_eq!(verified.seal, Some(Seal { last: Sequence(0), event_digest: Digest::ZERO }));
    assert_eq!(folder.commands(), []);
}

#[test]
fn commands_come_back_over_batches_segments_and_restarts() {
    let seed = seed(1);
    let mut random = SplitMix64(seed);
    let folder = Folder::new();
    let mut expected = Vec::new();
    for run in 0..12 {
        let mut writing = folder.open();
        assert_eq!(writing.recovery.last, Sequence(expected.len() as u64), "SEED={seed} run {run}");
        for _ in 0..random.below(20) {
            let commands: Vec<_> = (0..random.below(60)).map(|_| random_command(&mut random)).collect();
            writing.submit(&commands).unwrap();
            expected.extend(commands);
        }
        match random.below(2) {
            0 => writing.close(Digest([7; 32])),
            _ => writing.abandon(),
        }
    }
    let verified = folder.verify().unwrap();
    assert_eq!(folder.commands(), stamped(&expected), "SEED={seed}");
    assert_eq!(verified.command_count(), expected.len() as u64);
    assert!(verified.segment_count > 3, "more than one segment was written: {}", verified.segment_count);
    assert_eq!(verified.cut, None);
}

#[test]
fn a_batch_larger_than_head_and_segment_is_split() {
    let folder = Folder::new();
    let commands: Vec<_> = (1..=3_000).map(cancel).collect();
    let mut options = folder.options();
    options.head_bytes = 4_096;
    let mut writing = Writing::open(&folder.data(), &options);
    writing.batch(&commands);
    writing.close(Digest::ZERO);
    let read = folder.commands();
    assert_eq!(read.len(), 3_000);
    assert!(read.iter().zip(&commands).all(|(read, written)| read.value == *written));
}

#[test]
fn a_sealed_journal_goes_on_behind_its_seal() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    writing.close(Digest([1; 32]));
    let mut writing = folder.open();
    assert_eq!(writing.recovery.found.as_ref().unwrap().seal.unwrap().event_digest, Digest([1; 32]));
    assert_eq!(writing.recovery.head, HeadOutcome::Absent);
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    let verified = folder.verify().unwrap();
    assert_eq!((verified.last, verified.seal), (Sequence(80), None));
}

#[test]
fn event_digests_stand_behind_the_blocks_that_they_cover() {
    let folder = Folder::new();
    let mut writing = folder.open();
    let digests = writing.journal.digests();
    // Handed over before its block is complete, as a digester on the core's heels may.
    digests.push(BlockDigest { block: Block(0), digest: Digest([0xA0; 32]) });
    digests.push(BlockDigest { block: Block(1), digest: Digest([0xA1; 32]) });
    for first in (1..=2_100).step_by(30) {
        writing.batch(&(first..first + 30).map(cancel).collect::<Vec<_>>());
    }
    digests.push(BlockDigest { block: Block(9), digest: Digest([0xA9; 32]) });
    writing.close(Digest([5; 32]));

    let mut last = 0;
    let mut found = Vec::new();
    for entry in Reader::open(&folder.data()).unwrap() {
        match entry.unwrap() {
            Entry::Command(command) => last = command.stamp.sequence.0,
            Entry::EventDigest(digest) => found.push((last, digest.block.0, digest.digest.0[0])),
            Entry::Seal(seal) => assert_eq!((seal.last.0, seal.event_digest), (2_100, Digest([5; 32]))),
        }
    }
    // The blocks end with 1,024 and 2,048, the batches with multiples of 30. Block 9 never ended and is not written.
    assert_eq!(found, [(1_050, 0, 0xA0), (2_070, 1, 0xA1)]);
}

#[test]
fn a_digest_that_comes_last_is_written_with_the_seal() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.submit(&(1..=1_024).map(cancel).collect::<Vec<_>>()).unwrap();
    writing.wait();
    writing.journal.digests().push(BlockDigest { block: Block(0), digest: Digest([3; 32]) });
    writing.close(Digest([3; 32]));
    let entries: Vec<_> = Reader::open(&folder.data()).unwrap().map(Result::unwrap).collect();
    assert_eq!(entries[1_024], Entry::EventDigest(BlockDigest { block: Block(0), digest: Digest([3; 32]) }));
    assert_eq!(entries[1_025], Entry::Seal(Seal { last: Sequence(1_024), event_digest: Digest([3; 32]) }));
    assert_eq!(entries.len(), 1_026);
}

#[test]
fn buffered_commands_are_written_all_the_same() {
    let folder = Folder::new();
    let mut options = folder.options();
    options.durability = Durability::Buffered;
    let mut writing = Writing::open(&folder.data(), &options);
    writing.batch(&page_of_cancels(1));
    writing.journal.durable().wait_for(40).unwrap();
    assert_eq!(folder.commands().len(), 40);
    writing.close(Digest::ZERO);
}

#[test]
fn readers_need_no_lock_and_see_what_is_durable() {
    let folder = Folder::new();
    let mut writing = folder.open();
    for first in [1, 41, 81, 121, 161] {
        writing.batch(&page_of_cancels(first));
        let verified = folder.verify().unwrap();
        assert_eq!((verified.last.0, &verified.cut), (first + 39, &None));
    }
    writing.close(Digest::ZERO);
}

#[test]
fn every_group_is_told_with_its_commands_bytes_and_times_to_whoever_watches() {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    /// A clock that goes on by one whenever somebody looks.
    fn ticks() -> u64 {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        LOOKS.fetch_add(1, Ordering::Relaxed)
    }

    let folder = Folder::new();
    let mut writing = folder.open();
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    writing.journal.watch_groups(ticks, move |group| telling.lock().unwrap().push(*group));
    let commands: Vec<_> = (1..=50).map(cancel).collect();
    writing.submit(&commands).unwrap();
    writing.close(Digest::ZERO);
    let groups = told.lock().unwrap().clone();
    assert_eq!(groups.iter().map(|group| group.commands).sum::<u64>(), 50);
    assert!(groups.iter().all(|group| group.bytes > 0 && group.synced > group.begun), "{groups:?}");
    // The seal has a group of its own.
    assert_eq!(groups.last().map(|group| group.commands), Some(0));
}
