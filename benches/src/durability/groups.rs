//! Groups of commands through the journal, beside the bare disk with as many bytes, in turns.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::canonical::Canonical;
use engine::{Command, Sequence, Sequenced, Stamp, Timestamp};
use hdrhistogram::Histogram;
use journal::layout::{BATCH_HEADER_BYTES, RECORD_PREFIX_BYTES};
use journal::{Append, Journal, Opened, Options};

use super::disk::{BareFile, Method, PAGE, device_bytes_written};
use super::flow::Flow;
use crate::failure::Failure;
use crate::times::{histogram, record_duration};

/// Commands of a group.
pub const SIZES: [usize; 4] = [1, 64, 1_024, 16_384];

/// Bytes of the bare disk's file: as of a journal's segment.
const BARE_BYTES: usize = 64 << 20;

/// Groups in a row before the next has its turn.
const TURN: usize = 10;

/// What groups of one size took.
#[derive(Debug)]
pub struct Group {
    /// Commands.
    pub size: usize,
    /// One at a time, from the first append until the last command is durable.
    pub latency: Histogram<u64>,
    /// A group's share of a turn in which the core appends the next one while the one before is synced.
    pub journal: Histogram<u64>,
    /// By method, in the order of [`Method::ALL`]; one at a time, as a disk takes them.
    pub bare: [Histogram<u64>; 3],
    /// Bytes that the device wrote for a command, the file system's own included; nothing if the system does not say.
    pub device_bytes_per_command: Option<f64>,
}

impl Group {
    /// The bare disk's best method, by its median.
    pub fn best(&self) -> &Histogram<u64> {
        self.bare.iter().min_by_key(|times| times.value_at_quantile(0.5)).expect("there are methods")
    }
}

/// Times `rounds` groups of each size, less of the largest.
pub fn groups(flow: &Flow, directory: &Path, rounds: usize) -> Result<Vec<Group>, Failure> {
    let commands: Vec<Sequenced<Command>> = sequenced(&flow.commands);
    let longest = bytes_of(&commands[..SIZES[SIZES.len() - 1]]);
    let io = |source| Failure::io(directory, source);
    let mut bare = Vec::new();
    for method in Method::ALL {
        bare.push(BareFile::create(directory, method, BARE_BYTES, longest).map_err(io)?);
    }
    SIZES
        .into_iter()
        .map(|size| {
            let rounds = (rounds * 64 / size.max(64)).max(20);
            group(&commands[..size], flow, directory, &mut bare, rounds)
        })
        .collect()
}

fn group(
    commands: &[Sequenced<Command>],
    flow: &Flow,
    directory: &Path,
    bare: &mut [BareFile],
    rounds: usize,
) -> Result<Group, Failure> {
    let size = commands.len();
    let bytes = bytes_of(commands);
    let folder = directory.join(format!("groups-of-{size}"));
    let mut groups = Groups { opened: Journal::open(&folder, &Options::new(flow.capacity))?, commands, last: 0 };
    let bare_times = [(); 3].map(|()| histogram());
    let mut group =
        Group { size, latency: histogram(), journal: histogram(), bare: bare_times, device_bytes_per_command: None };
    for _ in 0..rounds.div_ceil(TURN) {
        for _ in 0..TURN {
            let begun = Instant::now();
            groups.append()?;
            groups.wait_for(groups.last)?;
            record_duration(&mut group.latency, begun.elapsed());
        }
        record_duration(&mut group.journal, groups.turn()? / TURN as u32);
        for (file, times) in bare.iter_mut().zip(&mut group.bare) {
            for _ in 0..TURN {
                let took = file.write(bytes).map_err(|source| Failure::io(directory, source))?;
                record_duration(times, took);
            }
        }
    }
    let before = device_bytes_written(directory);
    (0..rounds.div_ceil(TURN)).try_for_each(|_| groups.turn().map(drop))?;
    let written = device_bytes_written(directory).zip(before).map(|(after, before)| after - before);
    let commands = rounds.div_ceil(TURN) * TURN * size;
    group.device_bytes_per_command = written.map(|written| written as f64 / commands as f64);
    drop(groups);
    std::fs::remove_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    Ok(group)
}

/// A journal that is given the same group again and again.
struct Groups<'a> {
    opened: Opened,
    commands: &'a [Sequenced<Command>],
    last: u64,
}

impl Groups<'_> {
    fn append(&mut self) -> Result<(), Failure> {
        for command in self.commands {
            self.last += 1;
            let stamp = Stamp { sequence: Sequence(self.last), ..command.stamp };
            self.opened.appender.append(&Sequenced { stamp, value: command.value })?;
        }
        Ok(self.opened.appender.publish()?)
    }

    fn wait_for(&self, sequence: u64) -> Result<(), Failure> {
        Ok(self.opened.journal.wait_released(Sequence(sequence))?)
    }

    /// How long a turn takes, one group being appended ahead of the one that is synced.
    fn turn(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        for _ in 0..TURN {
            let before = self.last;
            self.append()?;
            self.wait_for(before)?;
        }
        self.wait_for(self.last)?;
        Ok(begun.elapsed())
    }
}

fn sequenced(commands: &[Command]) -> Vec<Sequenced<Command>> {
    let stamp = |sequence| Stamp { sequence: Sequence(sequence), time: Timestamp(sequence) };
    (1..).zip(commands).map(|(sequence, &value)| Sequenced { stamp: stamp(sequence), value }).collect()
}

/// Bytes of a batch of these commands, as docs/JOURNAL_FORMAT.md draws it; more than one batch holds count as one.
fn bytes_of(commands: &[Sequenced<Command>]) -> usize {
    let record = |command: &Sequenced<Command>| {
        let mut value = Vec::new();
        command.encode(&mut value);
        RECORD_PREFIX_BYTES + value.len().next_multiple_of(8)
    };
    (BATCH_HEADER_BYTES + commands.iter().map(record).sum::<usize>()).next_multiple_of(PAGE)
}
