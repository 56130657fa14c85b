//! When the venue is killed: at its start, under load, or while it stops, at moments that follow from the seed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::door::Door;
use crate::process::{PATIENCE, Process, ProcessError, Spec};
use crate::random::Random;

/// How many kills of each kind there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kills {
    /// Before the venue was ready, or just then.
    pub at_start: u64,
    /// Under load.
    pub under_load: u64,
    /// While it stopped in order.
    pub at_stop: u64,
}

impl Kills {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.at_start + self.under_load + self.at_stop
    }

    /// Those of another venue, too.
    pub fn add(&mut self, other: Self) {
        self.at_start += other.at_start;
        self.under_load += other.under_load;
        self.at_stop += other.at_stop;
    }
}

/// What kept a run from its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The venue's process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// What had to come did not.
    #[error("{0}")]
    Stuck(String),
    /// The day, the folder or the journal.
    #[error(transparent)]
    Failure(#[from] benches::failure::Failure),
}

impl From<journal::ReplayError> for RunError {
    fn from(error: journal::ReplayError) -> Self {
        Self::Failure(error.into())
    }
}

/// Starts the venue and kills it.
pub struct Killer<'a> {
    spec: &'a Spec,
    door: &'a Door,
    /// Reports that traders have received.
    reports: &'a AtomicU64,
    /// No more reports will come.
    quiet: &'a AtomicBool,
    random: Random,
    /// How long the last start took.
    start_time: Duration,
    kills: Kills,
}

impl<'a> Killer<'a> {
    /// A killer whose moments follow from `random`.
    pub fn new(spec: &'a Spec, door: &'a Door, reports: &'a AtomicU64, quiet: &'a AtomicBool, random: Random) -> Self {
        let start_time = Duration::from_millis(500);
        Self { spec, door, reports, quiet, random, start_time, kills: Kills::default() }
    }

    /// What was done so far.
    pub fn kills(&self) -> Kills {
        self.kills
    }

    /// One life of the venue, and its end. `met` is called when traders can reach it; under load they get up to
    /// `reports_max` reports.
    pub fn round(&mut self, reports_max: u64, met: &mut dyn FnMut() -> Result<(), RunError>) -> Result<(), RunError> {
        match self.random.below(20) {
            0..4 => self.kill_at_start(),
            4..7 => {
                let process = self.load(reports_max, met)?;
                process.ask_to_stop()?;
                std::thread::sleep(self.random_time(Duration::from_millis(10)));
                self.kills.at_stop += u64::from(self.kill(process)?);
                Ok(())
            }
            _ => {
                let process = self.load(reports_max, met)?;
                self.kills.under_load += u64::from(self.kill(process)?);
                Ok(())
            }
        }
    }

    /// A life of the venue that nobody ends.
    pub fn start(&mut self) -> Result<Process, RunError> {
        let begun = Instant::now();
        let mut process = Process::spawn(self.spec)?;
        let address = process.ready()?;
        self.start_time = begun.elapsed();
        self.door.open(address);
        Ok(process)
    }

    fn kill_at_start(&mut self) -> Result<(), RunError> {
        let limit = self.random_time(self.start_time * 3 / 2);
        let mut process = Process::spawn(self.spec)?;
        if let Some(address) = process.ready_within(limit)? {
            self.door.open(address);
            std::thread::sleep(self.random_time(Duration::from_millis(30)));
        }
        self.kills.at_start += u64::from(self.kill(process)?);
        Ok(())
    }

    fn load(&mut self, reports_max: u64, met: &mut dyn FnMut() -> Result<(), RunError>) -> Result<Process, RunError> {
        let process = self.start()?;
        met()?;
        let until = self.reports.load(Ordering::Relaxed) + self.random.below(reports_max);
        let begun = Instant::now();
        let mut before = (self.reports.load(Ordering::Relaxed), begun);
        while self.reports.load(Ordering::Relaxed) < until && !self.quiet.load(Ordering::Acquire) {
            std::thread::park_timeout(Duration::from_micros(200));
            let reports = self.reports.load(Ordering::Relaxed);
            if reports != before.0 {
                before = (reports, Instant::now());
            } else if before.1.elapsed() > PATIENCE {
                return Err(RunError::Stuck(format!("no trader has received a report for {PATIENCE:?}")));
            }
        }
        std::thread::sleep(self.random_time(Duration::from_millis(3)));
        Ok(process)
    }

    fn kill(&mut self, process: Process) -> Result<bool, RunError> {
        self.door.close();
        Ok(process.kill()?)
    }

    fn random_time(&mut self, bound: Duration) -> Duration {
        Duration::from_micros(self.random.below(u64::try_from(bound.as_micros()).unwrap_or(u64::MAX)))
    }
}
