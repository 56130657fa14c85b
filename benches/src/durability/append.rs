//! What appending a command costs the core, while the writer rests and while it syncs as fast as it can.
//!
//! Load model: a command every two microseconds, each appended and published alone and timed by the processor's counter.
//! While the writer rests, its first sync is held; the head takes all that comes, and the writer is let go behind it.

use std::path::Path;
use std::sync::Arc;

use engine::{Sequence, Sequenced, Stamp, Timestamp};
use hdrhistogram::Histogram;
use journal::{Append, JOURNAL_FOLDER, Journal, Opened, Options, Storage};
use ring::Idle;
use simulation::GatedFolder;
use venue::affinity::{self, CoreNumber};

use super::flow::Flow;
use crate::failure::Failure;
use crate::throughput::clock::{Clock, begin, end};
use crate::times::{histogram, record};

/// Between two commands.
const INTERVAL_NANOSECONDS: f64 = 2_000.0;
/// Commands of a turn: they fit the head.
const TURN: usize = 50_000;
/// Turns of each kind.
const TURNS: usize = 10;

/// Times of single appends, in nanoseconds, what reading the counter takes taken off.
#[derive(Debug)]
pub struct Appends {
    /// While the writer rests.
    pub resting: Histogram<u64>,
    /// While it writes and syncs without a pause.
    pub syncing: Histogram<u64>,
    /// The counter's own cost that was taken off.
    pub clock: Clock,
}

/// Times both, on the processor `core` if one is named.
pub fn appends(flow: &Flow, directory: &Path, idle: Idle, core: Option<CoreNumber>) -> Result<Appends, Failure> {
    let folder = directory.join("appends");
    let storage = GatedFolder::new(folder.join(JOURNAL_FOLDER), u64::MAX);
    std::fs::create_dir_all(storage.path()).map_err(|source| Failure::io(&folder, source))?;
    let gate = storage.gate().clone();
    let options = Options { storage: Some(Arc::new(storage)), idle, ..Options::new(flow.capacity) };
    let Opened { journal, mut appender, .. } = Journal::open(&folder, &options)?;
    // Behind the writer's start, which would be pinned with it.
    core.map_or(Ok(()), affinity::pin).map_err(|error| Failure::Usage(format!("--core: {error}")))?;
    let clock = Clock::calibrate();
    let mut appends = Appends { resting: histogram(), syncing: histogram(), clock };
    let mut last = Sequence::NONE;
    let mut turn = |times: &mut Histogram<u64>, count: usize| -> Result<(), Failure> {
        let mut due = begin();
        let interval = clock.ticks(INTERVAL_NANOSECONDS);
        for &value in flow.commands.iter().cycle().skip(last.0 as usize % flow.commands.len()).take(count) {
            last = last.next();
            let command = Sequenced { stamp: Stamp { sequence: last, time: Timestamp(last.0) }, value };
            due += interval;
            while end() < due {
                std::hint::spin_loop();
            }
            let begun = begin();
            appender.append(&command)?;
            appender.publish()?;
            record(times, clock.between(end() - begun));
        }
        Ok(())
    };
    for _ in 0..TURNS {
        gate.shut();
        // The writer takes the first, and is held.
        turn(&mut histogram(), 1)?;
        gate.wait_for_waiting();
        turn(&mut appends.resting, TURN)?;
        gate.open();
        turn(&mut appends.syncing, TURN)?;
    }
    journal.wait_released(last)?;
    drop(appender);
    std::fs::remove_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    Ok(appends)
}
