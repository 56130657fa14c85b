//! A follower sees each command once, in order, as soon as it is durable and not before, whatever becomes of the venue.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{Folder, NoCore, PAGE, SplitMix64, Writing, cancel, page_of_cancels, random_command, seed, stamped};
use engine::{Command, Sequence, Sequenced, Timestamp};
use journal::{
    Digest, Entry, Fault, Follower, HeadOutcome, JOURNAL_FOLDER, JournalId, Options, Polling, ReadError, Reader, Seal,
    Seek, Storage,
};
use simulation::{Gate, GatedFolder};

fn from_outside(folder: &Folder, seek: Seek) -> Follower {
    let polling = Polling { head_directory: Some(folder.heads()), interval: Duration::from_millis(1) };
    Follower::open(&folder.data(), seek, &polling).unwrap()
}

/// Everything that there is to see without waiting.
fn now(follower: &mut Follower) -> Vec<Entry> {
    std::iter::from_fn(|| follower.try_next().unwrap()).collect()
}

/// The sequences of commands that there are to see without waiting: first and last.
fn seen(follower: &mut Follower) -> Option<(u64, u64)> {
    let sequences: Vec<_> = now(follower)
        .iter()
        .filter_map(|entry| match entry {
            Entry::Command(command) => Some(command.stamp.sequence.0),
            Entry::EventDigest(_) | Entry::Seal(_) => None,
        })
        .collect();
    assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]), "each once and in order: {sequences:?}");
    Some((*sequences.first()?, *sequences.last()?))
}

fn commands(entries: impl IntoIterator<Item = Entry>) -> Vec<Sequenced<Command>> {
    entries
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Command(command) => Some(command),
            Entry::EventDigest(_) | Entry::Seal(_) => None,
        })
        .collect()
}

// In the process that writes.

#[test]
fn in_the_writers_process_it_sees_all_and_ends_with_the_journal() {
    let folder = Folder::new();
    let mut writing = folder.open();
    let all: Vec<_> = (1..=1_500).map(cancel).collect();
    let followers = [1, 700, 1_400].map(|from| (from, writing.journal.follow(Seek::Sequence(Sequence(from))).unwrap()));
    let threads =
        followers.map(|(from, follower)| (from, std::thread::spawn(move || commands(follower.map(Result::unwrap)))));
    for part in all.chunks(37) {
        writing.submit(part).unwrap();
    }
    writing.close(Digest::ZERO);
    for (from, thread) in threads {
        assert_eq!(thread.join().unwrap(), stamped(&all)[usize::try_from(from - 1).unwrap()..], "from {from}");
    }
    assert!(folder.verify().unwrap().segment_count > 5);
}

#[test]
fn one_that_comes_later_sees_what_was_before() {
    let folder = Folder::new();
    let mut writing = folder.open();
    (0..8).for_each(|page| writing.batch(&page_of_cancels(page * 40 + 1)));
    let mut follower = writing.journal.follow(Seek::FIRST).unwrap();
    assert_eq!(seen(&mut follower), Some((1, 320)));
    assert_eq!(seen(&mut follower), None);
    writing.batch(&page_of_cancels(321));
    assert_eq!(seen(&mut follower), Some((321, 360)));
    let mut later = writing.journal.follow(Seek::Time(Timestamp(361))).unwrap();
    assert_eq!(seen(&mut later), None, "the place is still to come");
    writing.batch(&page_of_cancels(361));
    assert_eq!(seen(&mut later), Some((361, 400)));
    writing.close(Digest::ZERO);
    assert!(later.next().is_none());
}

/// The venue was restarted with smaller segments. Who followed it into the first of them, or read on behind the end, looked
/// for the rest of the last batch in a file that is shorter than the place where that batch was.
#[test]
fn a_shorter_segment_is_entered_like_any_other() {
    let folder = Folder::new();
    let large = Options { segment_bytes: 8 * PAGE as u64, ..folder.options() };
    let mut writing = Writing::open(&folder.data(), &large);
    (0..7).for_each(|page| writing.batch(&page_of_cancels(page * 40 + 1)));
    writing.abandon();
    let mut writing = folder.open();
    let mut follower = writing.journal.follow(Seek::FIRST).unwrap();
    assert_eq!(seen(&mut follower), Some((1, 280)));
    writing.batch(&page_of_cancels(281));
    let lengths = [1, 2].map(|segment| fs::metadata(folder.segment(segment)).unwrap().len());
    assert_eq!(lengths, [8 * PAGE as u64, 4 * PAGE as u64]);
    assert_eq!(seen(&mut follower), Some((281, 320)));
    writing.abandon();

    let second = fs::OpenOptions::new().write(true).open(folder.segment(2)).unwrap();
    second.write_all_at(&[0; 3 * PAGE], PAGE as u64).unwrap();
    let mut reader = Reader::open(&folder.data()).unwrap();
    assert_eq!(reader.by_ref().filter(Result::is_ok).count(), 280);
    assert!(reader.next().is_none());
    assert_eq!(reader.position().file, folder.segment(2));
}

#[test]
fn one_that_waits_ends_when_it_is_asked_to() {
    let folder = Folder::new();
    let writing = folder.open();
    for mut follower in [writing.journal.follow(Seek::FIRST).unwrap(), from_outside(&folder, Seek::FIRST)] {
        let stop = follower.stop_handle();
        let waiting = std::thread::spawn(move || follower.next().is_none());
        stop.stop();
        assert!(waiting.join().unwrap());
    }
    writing.abandon();
}

fn gated() -> (Folder, Gate, Writing) {
    let folder = Folder::new();
    let storage = GatedFolder::new(folder.data().join(JOURNAL_FOLDER), u64::MAX);
    fs::create_dir_all(storage.path()).unwrap();
    let gate = storage.gate().clone();
    let writing = Writing::open(&folder.data(), &Options { storage: Some(Arc::new(storage)), ..folder.options() });
    (folder, gate, writing)
}

#[test]
fn what_is_written_and_not_synced_is_shown_to_nobody() {
    let (folder, gate, mut writing) = gated();
    writing.batch(&page_of_cancels(1));
    let mut followers = [writing.journal.follow(Seek::FIRST).unwrap(), from_outside(&folder, Seek::FIRST)];
    followers.iter_mut().for_each(|follower| assert_eq!(seen(follower), Some((1, 40))));

    gate.shut();
    let at = writing.sequencer.last().time;
    writing.sequencer.submit(&mut NoCore, at, &page_of_cancels(41), &mut Vec::new()).unwrap();
    gate.wait_for_waiting();
    assert_eq!(folder.verify().unwrap().last, Sequence(80), "it is written, and a reader finds it whole");
    followers.iter_mut().for_each(|follower| assert_eq!(seen(follower), None));

    gate.open();
    writing.wait();
    followers.iter_mut().for_each(|follower| assert_eq!(seen(follower), Some((41, 80))));
    writing.abandon();
}

#[test]
fn one_whose_writer_fails_sees_what_is_durable_and_ends() {
    let (folder, gate, mut writing) = gated();
    writing.batch(&page_of_cancels(1));
    let (follower, mut outside) = (writing.journal.follow(Seek::FIRST).unwrap(), from_outside(&folder, Seek::FIRST));
    // The next batch is written, and its sync fails.
    gate.fail();
    writing.submit(&page_of_cancels(41)).unwrap_or_default();
    let all = commands(follower.map(Result::unwrap));
    assert_eq!((all.len(), all.last().unwrap().stamp.sequence), (40, Sequence(40)));
    assert!(writing.journal.failure().is_some());
    assert!(folder.verify().unwrap().last > Sequence(40), "a reader finds more");
    assert_eq!(seen(&mut outside), Some((1, 40)));
    writing.abandon();
}

// From another process.

/// A journal of two batches whose process was killed when the second was written, and nobody had been told that it is
/// durable.
fn killed_before_the_mark() -> Folder {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    let marks = fs::read(folder.head().unwrap()).unwrap();
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    let path = folder.head().unwrap();
    let mut head = fs::read(&path).unwrap();
    head[8_192..8_192 + 256].copy_from_slice(&marks[8_192..8_192 + 256]);
    fs::write(path, head).unwrap();
    folder
}

#[test]
fn the_head_says_what_is_durable() {
    let folder = killed_before_the_mark();
    assert_eq!(folder.verify().unwrap().last, Sequence(80));
    let mut follower = from_outside(&folder, Seek::FIRST);
    assert_eq!(seen(&mut follower), Some((1, 40)));
    // The next process makes durable what it finds, and says so.
    let mut writing = folder.open();
    assert_eq!(writing.recovery.head, HeadOutcome::Adopted { command_count: 0 });
    assert_eq!(seen(&mut follower), Some((41, 80)));
    writing.batch(&page_of_cancels(81));
    assert_eq!(seen(&mut follower), Some((81, 120)));
    writing.close(Digest([3; 32]));
    let seal = Entry::Seal(Seal { last: Sequence(120), event_digest: Digest([3; 32]) });
    assert_eq!(now(&mut follower), [seal], "the head is gone: the seal is durable");
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(121));
    assert_eq!(seen(&mut follower), Some((121, 160)));
    writing.abandon();
}

#[test]
fn without_a_head_the_last_batch_is_held_back() {
    let folder = killed_before_the_mark();
    fs::remove_file(folder.head().unwrap()).unwrap();
    let mut follower = from_outside(&folder, Seek::FIRST);
    assert_eq!(seen(&mut follower), Some((1, 40)), "the second batch was begun when the first was durable");
    let mut writing = folder.open();
    assert_eq!(seen(&mut follower), Some((41, 80)));
    // Over the end of a segment: the next segment vouches as well.
    for first in [81, 121, 161] {
        writing.batch(&page_of_cancels(first));
    }
    writing.abandon();
    fs::remove_file(folder.head().unwrap()).unwrap();
    let mut another = from_outside(&folder, Seek::FIRST);
    assert_eq!((seen(&mut follower), seen(&mut another)), (Some((81, 160)), Some((1, 160))));
    let last = folder.segment(2);
    assert!(fs::read(&last).unwrap()[3 * PAGE..].iter().all(|&byte| byte == 0), "the last batch is the second there");
}

#[test]
fn a_torn_tail_that_is_erased_was_never_shown() {
    for torn_at in [2 * PAGE + 40, 2 * PAGE + 1_000] {
        let folder = killed_before_the_mark();
        fs::remove_file(folder.head().unwrap()).unwrap();
        let mut bytes = fs::read(folder.segment(1)).unwrap();
        bytes[torn_at..3 * PAGE].fill(0xEE);
        fs::write(folder.segment(1), bytes).unwrap();
        let mut follower = from_outside(&folder, Seek::FIRST);
        // The tail vouches for the batch before it if its header is whole.
        let before = seen(&mut follower);
        assert_eq!(before, (torn_at > 2 * PAGE + 72).then_some((1, 40)));

        let mut writing = folder.open();
        assert_eq!(writing.recovery.found.as_ref().unwrap().cut.as_ref().unwrap().offset, 8_192);
        assert_eq!(seen(&mut follower), before.is_none().then_some((1, 40)));
        writing.batch(&[cancel(41), cancel(999)]);
        let other: Vec<_> = commands(now(&mut follower)).iter().map(|command| command.value).collect();
        assert_eq!(other, [cancel(41), cancel(999)]);
        writing.abandon();
    }
}

#[test]
fn an_older_copy_than_its_head_is_named() {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&page_of_cancels(1));
    let older = fs::read(folder.segment(1)).unwrap();
    writing.batch(&page_of_cancels(41));
    writing.abandon();
    fs::write(folder.segment(1), older).unwrap();
    let mut follower = from_outside(&folder, Seek::FIRST);
    let read: Vec<_> = (&mut follower).take(40).map(Result::unwrap).collect();
    assert_eq!(read.len(), 40);
    match follower.next() {
        Some(Err(ReadError::Damaged { file, offset, fault })) => {
            assert_eq!((file, offset, fault), (folder.segment(1), 8_192, Fault::Lost { durable: Sequence(80) }));
        }
        other => panic!("{other:?}"),
    }
    assert!(follower.next().is_none(), "nothing behind an error");
}

#[test]
fn damage_is_named_and_nothing_behind_it_is_shown() {
    let folder = Folder::new();
    let mut writing = folder.open();
    (0..5).for_each(|page| writing.batch(&page_of_cancels(page * 40 + 1)));
    writing.abandon();
    for (segment, at, last) in [(1, 2 * PAGE + 300, 40), (1, 3 * PAGE + 300, 80), (2, 300, 120), (2, PAGE + 300, 120)] {
        let whole = fs::read(folder.segment(segment)).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(folder.segment(segment), bytes).unwrap();
        let mut follower = from_outside(&folder, Seek::FIRST);
        let read: Vec<_> = (&mut follower).take_while(Result::is_ok).map(Result::unwrap).collect();
        assert_eq!(commands(read).last().unwrap().stamp.sequence.0, last);
        fs::write(folder.segment(segment), whole).unwrap();
    }
    // A segment of which nothing is left, though its commands were durable.
    fs::write(folder.segment(2), [vec![0xEE; PAGE], vec![0; 3 * PAGE]].concat()).unwrap();
    match from_outside(&folder, Seek::FIRST).find_map(Result::err) {
        Some(ReadError::Damaged { file, offset: 0, fault: Fault::SegmentMagic }) => assert_eq!(file, folder.segment(2)),
        other => panic!("{other:?}"),
    }
}

// A venue that is killed.

const DATA: &str = "JOURNAL_TEST_DATA";
const HEADS: &str = "JOURNAL_TEST_HEADS";
const COMMAND_SEED: u64 = 77;

/// The command that every process gives a sequence.
fn command(sequence: u64) -> Command {
    random_command(&mut SplitMix64(COMMAND_SEED ^ sequence))
}

fn options(heads: PathBuf) -> Options {
    Options {
        segment_bytes: 32_768,
        head_bytes: 65_536,
        head_directory: Some(heads),
        journal_id: Some(JournalId([2; 16])),
        ..Options::new(engine::Capacity::SMALL)
    }
}

/// The child: submits batches of random size and says which were acknowledged, until it is killed.
#[test]
#[ignore = "the process that another test here starts and kills"]
fn child_that_writes_until_it_is_killed() {
    let [data, heads] = [DATA, HEADS].map(|name| PathBuf::from(std::env::var(name).unwrap()));
    let mut writing = Writing::open(&data, &options(heads));
    let mut random = SplitMix64(writing.recovery.last.0);
    let mut out = std::io::stdout();
    writeln!(out).unwrap();
    loop {
        let first = writing.sequencer.last().sequence.0 + 1;
        let batch: Vec<_> = (first..=first + random.below(30)).map(command).collect();
        let last = writing.sequencer.submit(&mut NoCore, Timestamp(first), &batch, &mut Vec::new()).unwrap();
        writing.journal.wait_released(last.sequence).unwrap();
        writeln!(out, "acknowledged {}", last.sequence).unwrap();
    }
}

/// Starts the child, kills it after so many acknowledgements, and gives the last one that it made.
fn run_and_kill(folder: &Folder, lines: u64) -> u64 {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["child_that_writes_until_it_is_killed", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DATA, folder.data())
        .env(HEADS, folder.heads())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = 0;
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(number) = line.strip_prefix("acknowledged ").and_then(|text| text.parse().ok()) else { continue };
        acknowledged = number;
        seen += 1;
        if seen == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "the child was killed");
    acknowledged
}

/// Behind the journal's end, as a write leaves it that was under way when the process was killed.
fn tear_the_tail(folder: &Folder, random: &mut SplitMix64) {
    let segment = folder.verify().unwrap().segment_count;
    let mut bytes = fs::read(folder.segment(segment)).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let end = end.next_multiple_of(PAGE);
    if let Some(page) = bytes.get_mut(end..end + PAGE) {
        page[..usize::try_from(1 + random.below(4_000)).unwrap()].fill_with(|| random.next().to_le_bytes()[0] | 1);
        // In place: the follower has the file mapped.
        let file = fs::OpenOptions::new().write(true).open(folder.segment(segment)).unwrap();
        file.write_all_at(page, end as u64).unwrap();
    }
}

#[test]
fn it_goes_on_over_kills_restarts_torn_tails_and_segments() {
    let seed = seed(12);
    let mut random = SplitMix64(seed);
    let folder = Folder::new();
    Writing::open(&folder.data(), &options(folder.heads())).abandon();
    let follower = from_outside(&folder, Seek::FIRST);
    let stop = follower.stop_handle();
    let (sender, receiver) = mpsc::channel();
    let following = std::thread::spawn(move || {
        follower
            .map(Result::unwrap)
            .filter_map(|entry| match entry {
                Entry::Command(command) => Some(command),
                Entry::EventDigest(_) | Entry::Seal(_) => None,
            })
            .for_each(|command| sender.send(command).unwrap());
    });
    let mut seen = 0;
    for round in 0..8 {
        let acknowledged = run_and_kill(&folder, 1 + random.below(40));
        if round % 2 == 1 {
            tear_the_tail(&folder, &mut random);
        }
        let writing = Writing::open(&folder.data(), &options(folder.heads()));
        let last = writing.recovery.last.0;
        assert!(last >= acknowledged, "SEED={seed} round {round}");
        while seen < last {
            let Sequenced { stamp, value } = receiver.recv().unwrap();
            seen += 1;
            assert_eq!((stamp.sequence.0, value), (seen, command(seen)), "SEED={seed} round {round}");
        }
        match random.below(2) {
            0 => writing.close(Digest::ZERO),
            _ => writing.abandon(),
        }
    }
    stop.stop();
    following.join().unwrap();
    assert_eq!(receiver.iter().count(), 0, "nothing twice");
    assert!(folder.verify().unwrap().segment_count > 3);
}
