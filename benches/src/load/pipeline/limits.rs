//! Each part of the pipeline alone, fed as the whole is, in the same place.
//!
//! ```text
//!   ring        producer ─► command ring ─► consumer that discards
//!   writer      core ─► head ─► journal writer, synced
//!   bare sync   producer ─► command ring ─► thread that writes and syncs what it finds
//! ```

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Command, Sequence, Sequenced, Stamp};
use journal::{Append, Appender, Journal, Opened, Options};
use ring::{CommandRing, Watermark};
use venue::affinity;
use venue::config::Threads;
use venue::topology::Topology;

use super::feed::{Feed, Tally, due};
use crate::durability::disk::{BareFile, Method, PAGE};
use crate::failure::Failure;
use crate::load::schedule::nanoseconds;

/// Commands that are taken, or published, together.
const TOGETHER: usize = 256;
/// Bytes that the bare writer writes for a command: about what its record has.
const BARE_COMMAND_BYTES: usize = 136;
/// Commands that the bare writer takes at once.
const BARE_GROUP_MAX: usize = 4_096;
const WAIT: Duration = Duration::from_millis(10);

/// From a producer to a consumer on the core's processor.
pub(super) fn ring(feed: &Feed<'_>, threads: &Threads) -> Result<Tally, Failure> {
    let core = threads.placement.as_ref().map(|placement| placement.core);
    through_ring(feed, TOGETHER, move || core.map_or(Ok(()), affinity::pin), |_| Ok(()))
}

/// From a producer to a thread that writes and syncs.
pub(super) fn bare_sync(feed: &Feed<'_>, directory: &Path) -> Result<Tally, Failure> {
    let group_bytes_max = (BARE_GROUP_MAX * BARE_COMMAND_BYTES).next_multiple_of(PAGE);
    let mut file = BareFile::create(directory, Method::WriteSync, 64 << 20, group_bytes_max)
        .map_err(|source| Failure::io(directory, source))?;
    let write = move |count: usize| file.write((count * BARE_COMMAND_BYTES).next_multiple_of(PAGE)).map(drop);
    through_ring(feed, BARE_GROUP_MAX, || Ok(()), write)
}

/// From a producer to whoever takes groups of at most so many, and does something with each.
fn through_ring(
    feed: &Feed<'_>,
    group_max: usize,
    place: impl FnOnce() -> std::io::Result<()> + Send,
    mut work: impl FnMut(usize) -> std::io::Result<()> + Send,
) -> Result<Tally, Failure> {
    let commands = CommandRing::new(Topology::default().command_slots, feed.idle);
    let (origin, ended) = (Instant::now(), AtomicBool::new(false));
    let taken = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let taken = place().and_then(|()| take(&commands, feed, group_max, origin, &ended, &mut work));
            commands.close();
            taken
        });
        feed.run(origin, |_, command| submit(&commands, command));
        ended.store(true, Ordering::Release);
        commands.wake();
        taking.join().expect("who takes does not panic")
    });
    taken.map_err(|source| Failure::io(Path::new("a limit of the pipeline"), source))
}

fn take(
    commands: &CommandRing,
    feed: &Feed<'_>,
    group_max: usize,
    origin: Instant,
    ended: &AtomicBool,
    work: &mut impl FnMut(usize) -> std::io::Result<()>,
) -> std::io::Result<Tally> {
    let (mut tally, mut group) = (feed.tally(), Vec::with_capacity(group_max));
    loop {
        // Read before the ring: what was submitted before the end is then seen.
        let ending = ended.load(Ordering::Acquire);
        commands.take(&mut group, group_max);
        if group.is_empty() {
            if ending {
                return Ok(tally);
            }
            commands.wait(WAIT, || ended.load(Ordering::Acquire));
            continue;
        }
        work(group.len())?;
        let now = nanoseconds(origin.elapsed());
        group.drain(..).for_each(|command: Command| tally.note(due(command.header.received_at), now));
    }
}

/// Hands a command over, however long that takes; false if nobody takes it any more.
pub(super) fn submit(commands: &CommandRing, command: Command) -> bool {
    while commands.submit(command).is_err() {
        if commands.is_closed() {
            return false;
        }
        // A full ring takes many times as long to be emptied.
        std::thread::sleep(FULL);
    }
    true
}

const FULL: Duration = Duration::from_micros(50);

/// Appended on the core's processor, until they are durable.
pub(super) fn writer(feed: &Feed<'_>, directory: &Path, threads: &Threads) -> Result<Tally, Failure> {
    let folder = directory.join("writer");
    let options = Options { idle: feed.idle, ..Options::new(feed.traffic.capacity) };
    let Opened { journal, appender, .. } = Journal::open(&folder, &options)?;
    let core = threads.placement.as_ref().map(|placement| placement.core);
    let (origin, appended, ended) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
    let (appending, tally) = std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            let outcome =
                core.map_or(Ok(()), affinity::pin).map_err(|error| Failure::Usage(format!("--cores: {error}")));
            let outcome = outcome.and_then(|()| append(feed, appender, origin, &appended));
            ended.store(true, Ordering::Release);
            journal.durable().bell().ring();
            outcome
        });
        let tally = watch(feed, journal.durable(), origin, || {
            ended.load(Ordering::Acquire).then(|| appended.load(Ordering::Acquire))
        });
        (appending.join().expect("who appends does not panic"), tally)
    });
    drop(appending?);
    drop(journal);
    std::fs::remove_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    Ok(tally)
}

fn append(feed: &Feed<'_>, mut appender: Appender, origin: Instant, appended: &AtomicU64) -> Result<Appender, Failure> {
    let together = if feed.is_open() { 1 } else { TOGETHER as u64 };
    let (mut count, mut outcome) = (0, Ok(()));
    feed.run(origin, |_, value| {
        count += 1;
        let stamp = Stamp { sequence: Sequence(count), time: value.header.received_at };
        outcome = appender.append(&Sequenced { stamp, value }).and_then(|()| match count % together {
            0 => appender.publish(),
            _ => Ok(()),
        });
        appended.store(count, Ordering::Release);
        outcome.is_ok()
    });
    outcome?;
    appender.publish()?;
    Ok(appender)
}

/// Notes when each becomes durable; `end` gives how many were appended, once no more will be.
fn watch(feed: &Feed<'_>, durable: &Arc<Watermark>, origin: Instant, end: impl Fn() -> Option<u64>) -> Tally {
    let mut tally = feed.tally();
    let mut schedule = feed.schedule.clone();
    let mut noted = 0;
    loop {
        let given_up = || end().is_some_and(|count| noted >= count);
        let Some(Ok(reached)) = durable.wait_unless(noted + 1, given_up) else { return tally };
        let now = nanoseconds(origin.elapsed());
        for _ in noted..reached {
            let due = schedule.as_mut().and_then(Iterator::next).unwrap_or(now);
            tally.note(due, now);
        }
        noted = reached;
    }
}
