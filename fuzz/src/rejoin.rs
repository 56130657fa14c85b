//! Mode rejoin: many sessions of the client library trade through a venue that is killed again and again.
//!
//! Nobody helps them: each notices the loss, comes back, sends again what the venue has not applied, and recovers what it
//! missed, as [`client::Trader`] does it. In the end their logs have to agree with the journal, order by order and fill
//! by fill.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use benches::trading::log::{Fault, Log};
use benches::trading::served::Access;
use client::wire::CancelOnDisconnect;
use client::{ConnectError, Policy, Start, Trader, TraderNews};
use engine::CommandBody;
use venue::data_folder::{DataFolder, DataFolderError};

use crate::agreement::{compare, compare_digests, compare_executions};
use crate::door::{Door, Found, Life};
use crate::flow::access;
use crate::journal_view::engine_behind;
use crate::kills::{Killer, Kills, RunError};
use crate::load::{self, Ideas, WINDOW};
use crate::process::{Ended, PATIENCE, Spec};
use crate::random::Random;
use crate::trader::options;
use crate::verdict::Verdict;

/// How many sessions there may be.
const SESSIONS_MAX: u32 = 1_000;
/// Reports between two kills, at most.
const REPORTS_MAX: u64 = 4_000;
/// How often a trader looks whether it is time to stop.
const LOOK: Duration = Duration::from_millis(20);

/// What makes the venue.
pub fn commands(folder: &DataFolder) -> Result<Vec<CommandBody>, DataFolderError> {
    load::commands_for(folder, SESSIONS_MAX)
}

/// What all threads share.
struct Floor {
    door: Door,
    reports: AtomicU64,
    openings: AtomicU64,
    missed: AtomicU64,
    sent_again: AtomicU64,
    /// Nothing new is sent any more.
    closing: AtomicBool,
    /// Traders that have nothing more to send and every answer.
    settled: AtomicUsize,
    logs: Vec<Mutex<Log>>,
}

/// `sessions` trade through the venue of `spec`, which is killed `rounds` times; what they went through, in words.
pub fn run(spec: &Spec, seed: u64, rounds: u64, sessions: u32) -> Result<(Verdict, Kills, String), RunError> {
    let floor = Floor {
        door: Door::new(),
        reports: AtomicU64::new(0),
        openings: AtomicU64::new(0),
        missed: AtomicU64::new(0),
        sent_again: AtomicU64::new(0),
        closing: AtomicBool::new(false),
        settled: AtomicUsize::new(0),
        logs: (0..sessions).map(|_| Mutex::default()).collect(),
    };
    let access = access(&spec.data)?;
    let mut verdict = Verdict::default();
    let (kills, ended) = std::thread::scope(|scope| {
        for (session, log) in (1..).zip(&floor.logs) {
            let ideas = Ideas::new(session, Random::part(seed, 100 + u64::from(session)));
            let mut rejoiner = Rejoiner { session, floor: &floor, log, ideas, life: Life(0), settled: false };
            let access = access.clone();
            scope.spawn(move || rejoiner.run(&access));
        }
        let outcome = kill(spec, &floor, seed, rounds);
        // Whatever happened, nobody waits for the venue any more.
        floor.door.end();
        outcome
    })?;
    floor.judge(spec, &ended, &mut verdict)?;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let what = format!(
        "{sessions} sessions, opened {} times; {} reports missed and recovered, {} commands sent again",
        count(&floor.openings),
        count(&floor.missed),
        count(&floor.sent_again)
    );
    Ok((verdict, kills, what))
}

fn kill(spec: &Spec, floor: &Floor, seed: u64, rounds: u64) -> Result<(Kills, Ended), RunError> {
    let never = AtomicBool::new(false);
    let mut killer = Killer::new(spec, &floor.door, &floor.reports, &never, Random::part(seed, 1));
    let mut all_are_there = || floor.wait_for_all();
    while killer.kills().count() < rounds {
        killer.round(REPORTS_MAX, &mut all_are_there)?;
    }
    // One more life to trade in, and to be answered; then one in which nobody sends anything.
    let process = killer.start()?;
    floor.wait_for_all()?;
    floor.closing.store(true, Ordering::Release);
    floor.wait_for_answers()?;
    process.ask_to_stop()?;
    floor.door.close();
    process.ended()?;
    let process = killer.start()?;
    floor.wait_for_all()?;
    process.ask_to_stop()?;
    Ok((killer.kills(), process.ended()?))
}

impl Floor {
    fn wait_for_all(&self) -> Result<(), RunError> {
        match self.door.wait_for_recovered(self.logs.len(), PATIENCE) {
            true => Ok(()),
            false => Err(RunError::Stuck(format!("not every trader has come back within {PATIENCE:?}"))),
        }
    }

    fn are_all_there(&self) -> bool {
        self.door.wait_for_recovered(self.logs.len(), Duration::ZERO)
    }

    fn wait_for_answers(&self) -> Result<(), RunError> {
        let begun = Instant::now();
        while self.settled.load(Ordering::Acquire) < self.logs.len() {
            std::thread::park_timeout(Duration::from_millis(1));
            if begun.elapsed() > PATIENCE {
                return Err(RunError::Stuck(format!("not every command was answered within {PATIENCE:?}")));
            }
        }
        Ok(())
    }

    /// Compares what all traders know with the journal.
    fn judge(&self, spec: &Spec, ended: &Ended, verdict: &mut Verdict) -> Result<(), RunError> {
        let (engine, replayed) = engine_behind(&spec.data, ended.last)?;
        compare_digests(verdict, ended, &replayed);
        let mut logs: Vec<_> = self.logs.iter().map(lock).collect();
        for (session, log) in (1..).zip(&mut logs) {
            log.take_faults().into_iter().for_each(|fault| verdict.fault(&format!("session {session}"), fault));
        }
        let logs: Vec<&Log> = logs.iter().map(|log| &**log).collect();
        compare(verdict, &engine, &logs);
        load::compare_balances(verdict, &engine, &logs);
        compare_executions(verdict, &logs);
        (verdict.commands, verdict.reports) = (ended.last, self.reports.load(Ordering::Relaxed));
        Ok(())
    }
}

/// Whoever panicked while holding a log has failed the run already.
fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A trader with no idea, who always comes back.
struct Rejoiner<'a> {
    session: u32,
    floor: &'a Floor,
    log: &'a Mutex<Log>,
    ideas: Ideas,
    /// The life of the venue in which it trades, or did.
    life: Life,
    settled: bool,
}

impl Rejoiner<'_> {
    fn run(&mut self, access: &Access) {
        let mut trader = None;
        while let Found::Open(life, address) = self.floor.door.next(self.life) {
            self.life = life;
            let trader = trader.get_or_insert_with(|| {
                let loss =
                    if self.session.is_multiple_of(5) { CancelOnDisconnect::Cancel } else { CancelOnDisconnect::Keep };
                let access = client::Access {
                    addresses: vec![address],
                    trust: access.trust().expect("the folder's certificate is one"),
                    credentials: access.credentials(self.session),
                    options: options(loss),
                };
                // Nothing is too old: every command has to arrive.
                Trader::new(access, Start::Anew, Policy { resend_within: Duration::MAX, ..Policy::DEFAULT })
            });
            trader.access_mut().addresses = vec![address];
            if let Err(error) = self.live(trader) {
                return lock(self.log).found(Fault::Lost(format!("the session: {error}")));
            }
        }
    }

    /// Trades until the venue is gone.
    fn live(&mut self, trader: &mut Trader) -> Result<(), ConnectError> {
        let mut has_caught_up = false;
        loop {
            match trader.receive_within(LOOK)? {
                Some(TraderNews::Disconnected(_)) => has_caught_up = false,
                Some(TraderNews::CaughtUp) => {
                    has_caught_up = true;
                    self.floor.door.recovered(self.life);
                }
                Some(news) => self.take_in(news),
                None => {}
            }
            if !trader.is_open() && !self.floor.door.is_open(self.life) {
                return Ok(());
            }
            // Who trades at full speed leaves the venue no time to find what the others have missed.
            if has_caught_up && self.floor.are_all_there() {
                self.act(trader);
            }
        }
    }

    fn act(&mut self, trader: &mut Trader) {
        let mut log = lock(self.log);
        if !self.floor.closing.load(Ordering::Acquire) {
            if log.unanswered().len() < WINDOW && self.ideas.has_one() {
                let message = self.ideas.message(&log);
                // It may have no connection by now; then nothing was sent.
                if let Ok(number) = message.send_by(trader) {
                    log.sent(number, message);
                }
            }
        } else if log.unanswered().is_empty() && !self.settled {
            self.settled = true;
            self.floor.settled.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn take_in(&mut self, news: TraderNews) {
        let mut log = lock(self.log);
        match news {
            TraderNews::Message(message) => {
                let before = log.last_report();
                log.message(&message);
                // Definitions have no number.
                self.floor.reports.fetch_add(u64::from(log.last_report() != before), Ordering::Relaxed);
            }
            TraderNews::Opened(opening) => {
                self.floor.openings.fetch_add(1, Ordering::Relaxed);
                self.floor.missed.fetch_add(opening.missed.0, Ordering::Relaxed);
                self.floor.sent_again.fetch_add(opening.sent_again.len() as u64, Ordering::Relaxed);
                if opening.forgotten.0 > 0 || opening.login == client::Login::Anew {
                    log.found(Fault::Lost(format!("what the venue knew: {opening:?}")));
                }
            }
            TraderNews::NotApplied(number, _) => {
                log.found(Fault::Lost(format!("command {number}, which was sent")));
            }
            TraderNews::Unknown(number, _) => log.found(Fault::Lost(format!("what became of command {number}"))),
            TraderNews::Lost(reason) => log.found(Fault::Lost(format!("reports that are not kept: {reason}"))),
            TraderNews::CaughtUp | TraderNews::Disconnected(_) => {}
        }
    }
}
