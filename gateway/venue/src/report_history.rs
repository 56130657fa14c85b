//! Reports again: looked up in the event history, and by replaying the journal where that does not reach.
//!
//! [`HistoryReports`] goes backward over the events of the session's pages, from the last released command to the first
//! report that is asked for. An account's reports are numbered over all sessions and days, and whoever reads copies of
//! them may ask for any: the first is found by bisection over the account's pages.
//!
//! The history follows the journal, and may be behind: a moment always, and longer where the venue is busy. What is asked
//! for is mostly older. What it lacks of that is waited for a little, and then replayed from the nearest snapshot by
//! [`JournalHistory`]: slow and always right. A replay answers also what a history does not show at all: one that keeps
//! less, or whose disk is full.
//!
//! One replay runs at a time, and answers everybody who had asked when it began: after a restart all sessions ask at
//! once. The journal is read from the disk alone. On a venue whose reports survive the process only, the newest may
//! still be in the journal's head; the writer is on its way with them, and they are waited for.
//!
//! ```text
//!                     what is up to there                    what is behind
//!   history ─────────────────────────────── reached ─┬─ ask ──► waiting ──┐  who has the turn takes all that wait,
//!   journal ────── snapshot ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┴─ ask ──► waiting ──┴─ waits for the disk, replays once, answers
//! ```

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::{Event, EventHeader, EventSink, Sequence};
use gateway::copies::{CopyCollector, CopyRange};
use gateway::history::{BackwardCollector, ReportCollector, ReportHistory, ReportRange};
use journal::{Direction, History, HistoryError, Key, PastSource, Query, Seek};
use ring::{Idle, Watermark};

use crate::archive::SharedHistory;

type Reports = Vec<(EventHeader, Event)>;
type Found = io::Result<Reports>;

/// How long a history that is behind is waited for before what it lacks is found by replay.
const PATIENCE: Duration = Duration::from_secs(1);

/// The reports of a venue that keeps an event history.
pub struct HistoryReports {
    history: SharedHistory,
    /// The last command whose events the history has.
    reached: Arc<Watermark>,
    replay: JournalHistory,
    patience: Duration,
    /// Held by who waits for the history: one is woken whenever it comes nearer, and not everybody who has asked.
    waiting: Mutex<()>,
}

impl HistoryReports {
    /// What is in `history` up to `reached`, and the rest by `replay`.
    pub fn new(history: SharedHistory, reached: Arc<Watermark>, replay: JournalHistory) -> Self {
        Self { history, reached, replay, patience: PATIENCE, waiting: Mutex::default() }
    }

    /// Waits so long for a history that is behind, instead of a second. Zero: not at all, for who drives the history with
    /// the thread that asks.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The history as it is, and the last command up to `released` that it reaches; none: there is no history.
    fn now(&self, released: Sequence) -> Option<(History, Sequence)> {
        self.history.get().map(|history| {
            let reached = history.last().min(released);
            (history, reached)
        })
    }

    /// The same after a while in which it comes nearer.
    fn soon(&self, released: Sequence) -> Option<(History, Sequence)> {
        let begun = Instant::now();
        let left = || self.patience.saturating_sub(begun.elapsed());
        let is_there = || self.reached.get() >= released.0 || self.reached.is_poisoned();
        let waiting = lock(&self.waiting);
        // Whoever rings the bell all the time, because the history comes nearer, does not prolong it.
        self.reached.bell().wait_at_most(Idle::Park, left(), || (is_there() || left().is_zero()).then_some(()));
        drop(waiting);
        self.now(released)
    }
}

/// Goes on with the session's events up to `reached`; whether nothing is missing before them.
fn reports_in(history: &History, collector: &mut BackwardCollector, reached: Sequence) -> Result<bool, HistoryError> {
    let key = Some(Key::Session(collector.range().session));
    let to = Some(Seek::Sequence(reached));
    for event in history.events(&Query { key, from: None, to, direction: Direction::Backward }) {
        let (header, event) = event?;
        if collector.event(&header, &event).is_break() {
            return Ok(true);
        }
    }
    Ok(history.first() <= Sequence(1))
}

/// Takes the account's events up to `reached`, as far as they are kept: what is not is not replayed for, because anybody
/// may ask for it at any time.
fn copies_in(
    history: &History,
    range: &CopyRange,
    collector: &mut CopyCollector,
    reached: Sequence,
) -> Result<ControlFlow<()>, HistoryError> {
    let key = Some(Key::Account(range.account));
    let to = Some(Seek::Sequence(reached));
    let query = Query { key, from: None, to, direction: Direction::Forward };
    for event in history.events_near(&query, |event| range.stands(event))? {
        let (header, event) = event?;
        if collector.take(&header, &event).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// What is found first is what the history has: mostly it is all of what is asked for, however far behind it is.
impl ReportHistory for HistoryReports {
    fn reports(&self, range: &ReportRange, released: Sequence) -> Found {
        let found = self.now(released).map(|(history, reached)| {
            // Who asks is in their last login; where the history ends before, it may end in an earlier one.
            let mut collector = match reached == released {
                true => BackwardCollector::in_login(*range),
                false => BackwardCollector::new(*range),
            };
            let is_whole = reports_in(&history, &mut collector, reached)?;
            Ok((is_whole && reached == released || collector.is_whole()).then(|| collector.into_found()))
        });
        match told(found) {
            Some(found) => Ok(found),
            None => self.reports_with_tail(range, released),
        }
    }

    fn copies(&self, range: &CopyRange, released: Sequence) -> Found {
        let found = self.now(released).map(|(history, reached)| {
            let mut collector = CopyCollector::new(*range);
            let ended = copies_in(&history, range, &mut collector, reached)?;
            Ok((reached == released || ended.is_break()).then(|| collector.into_found()))
        });
        match told(found) {
            Some(found) => Ok(found),
            None => self.copies_with_tail(range, released),
        }
    }
}

impl HistoryReports {
    fn reports_with_tail(&self, range: &ReportRange, released: Sequence) -> Found {
        let Some((history, reached)) = self.soon(released) else { return self.replay.reports(range, released) };
        let mut tail = ReportCollector::new(*range);
        if reached < released {
            tail = self.replay.reports_behind(tail, reached, released)?;
        }
        let (mut collector, ended) = tail.into_backward();
        let is_whole = match ended {
            ControlFlow::Break(()) => Ok(true),
            ControlFlow::Continue(()) => reports_in(&history, &mut collector, reached),
        };
        match told(Some(is_whole.map(|is_whole| is_whole.then(|| collector.into_found())))) {
            Some(found) => Ok(found),
            None => self.replay.reports(range, released),
        }
    }

    fn copies_with_tail(&self, range: &CopyRange, released: Sequence) -> Found {
        let Some((history, reached)) = self.soon(released) else { return self.replay.copies(range, released) };
        let mut collector = CopyCollector::new(*range);
        match copies_in(&history, range, &mut collector, reached) {
            Ok(ControlFlow::Continue(())) if reached < released => {
                self.replay.copies_behind(collector, reached, released).map(CopyCollector::into_found)
            }
            Ok(_) => Ok(collector.into_found()),
            Err(error) => {
                forget_index(&error);
                self.replay.copies(range, released)
            }
        }
    }
}

/// What a history told, if there is one that can be read.
fn told<T>(found: Option<Result<Option<T>, HistoryError>>) -> Option<T> {
    found?.unwrap_or_else(|error| {
        forget_index(&error);
        None
    })
}

/// Without its index, a damaged file is read as a whole at the next start, and derived again.
fn forget_index(error: &HistoryError) {
    tracing::warn!(%error, "event history: {error}");
    if let HistoryError::Damaged { file, .. } = error {
        // It may be gone already.
        let _ = std::fs::remove_file(file.with_extension("index"));
    }
}

/// The reports of a venue that runs, by replaying its journal.
pub struct JournalHistory {
    source: PastSource,
    /// The last command that is on the disk.
    durable: Arc<Watermark>,
    late: Late,
    waiting: Mutex<Vec<Asked>>,
    /// Held by who replays.
    turn: Mutex<()>,
}

/// What becomes of who asks for what is not on the disk yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Waits,
    IsRefused,
}

struct Asked {
    picking: Picking,
    released: Sequence,
    answer: Sender<io::Result<Collector>>,
}

impl JournalHistory {
    /// The history in the data folder `directory`, whose journal is on disk up to `durable`.
    pub fn new(directory: PathBuf, durable: Arc<Watermark>) -> Self {
        Self::with_source(PastSource::open(&directory), durable, Late::Waits)
    }

    /// The history in `source`, for who asks with the thread that also writes: nothing is waited for, and to ask for what is
    /// not durable yet is an error.
    pub fn in_turns(source: PastSource, durable: Arc<Watermark>) -> Self {
        Self::with_source(source, durable, Late::IsRefused)
    }

    fn with_source(source: PastSource, durable: Arc<Watermark>, late: Late) -> Self {
        Self { source, durable, late, waiting: Mutex::default(), turn: Mutex::default() }
    }

    fn answer(&self, asked: Vec<Asked>) {
        let released = asked.iter().map(|asked| asked.released).max().unwrap_or_default();
        let (pickings, answers): (Vec<_>, Vec<_>) =
            asked.into_iter().map(|asked| (asked.picking, asked.answer)).unzip();
        let mut pickings = Pickings(pickings);
        let outcome = self.replay(released, &mut pickings);
        for (answer, picking) in answers.into_iter().zip(pickings.0) {
            let found = match &outcome {
                Ok(()) => Ok(picking.collector),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            // Who asked may be gone.
            let _ = answer.send(found);
        }
    }

    fn replay(&self, released: Sequence, pickings: &mut Pickings) -> io::Result<()> {
        self.reach(released)?;
        let after = pickings.0.iter().map(|picking| picking.after).min().unwrap_or_default();
        self.source.events_between(after, released, pickings, |_| {}).map_err(io::Error::other)?;
        Ok(())
    }

    /// Comes behind the moment at which a command is on the disk.
    fn reach(&self, released: Sequence) -> io::Result<()> {
        match self.late {
            Late::IsRefused if self.durable.get() < released.0 => Err(io::ErrorKind::WouldBlock.into()),
            Late::IsRefused => Ok(()),
            Late::Waits => self.durable.wait_for(released.0).map(drop).map_err(io::Error::other),
        }
    }

    fn ask(&self, collector: Collector, after: Sequence, released: Sequence) -> io::Result<Collector> {
        let (answer, found) = channel();
        lock(&self.waiting).push(Asked { picking: Picking { after, collector }, released, answer });
        let turn = lock(&self.turn);
        let asked = std::mem::take(&mut *lock(&self.waiting));
        // Nobody waits if whoever had the turn before took this request along.
        if !asked.is_empty() {
            self.answer(asked);
        }
        drop(turn);
        found.recv().map_err(io::Error::other)?
    }

    /// `collector` behind the events of the commands after `after` up to `released`.
    fn reports_behind(
        &self,
        collector: ReportCollector,
        after: Sequence,
        released: Sequence,
    ) -> io::Result<ReportCollector> {
        match self.ask(Collector::Reports(collector), after, released)? {
            Collector::Reports(collector) => Ok(collector),
            Collector::Copies(_) => unreachable!("a collector comes back as it went"),
        }
    }

    /// The same of copies.
    fn copies_behind(
        &self,
        collector: CopyCollector,
        after: Sequence,
        released: Sequence,
    ) -> io::Result<CopyCollector> {
        match self.ask(Collector::Copies(collector), after, released)? {
            Collector::Copies(collector) => Ok(collector),
            Collector::Reports(_) => unreachable!("a collector comes back as it went"),
        }
    }
}

impl ReportHistory for JournalHistory {
    fn reports(&self, range: &ReportRange, released: Sequence) -> Found {
        let collector = ReportCollector::new(*range);
        self.reports_behind(collector, Sequence::NONE, released).map(ReportCollector::into_found)
    }

    fn copies(&self, range: &CopyRange, released: Sequence) -> Found {
        let collector = CopyCollector::new(*range);
        self.copies_behind(collector, Sequence::NONE, released).map(CopyCollector::into_found)
    }
}

/// What is picked out of a replay for one request.
enum Collector {
    Reports(ReportCollector),
    Copies(CopyCollector),
}

/// One request's part of a replay.
struct Picking {
    after: Sequence,
    collector: Collector,
}

/// Every request's part of one replay.
struct Pickings(Vec<Picking>);

impl EventSink for Pickings {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        for Picking { after, collector } in &mut self.0 {
            match collector {
                _ if header.id.sequence <= *after => {}
                Collector::Reports(collector) => collector.event(header, event),
                Collector::Copies(collector) => collector.event(header, event),
            }
        }
    }
}

/// Nothing that is guarded here can be left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::command::{AddKey, AdminNote, GrantRole, KeyKind, Negotiate, OpenAccount, Role};
    use engine::{
        AccountId, Capacity, Command, CommandBody, CommandHeader, ExecId, KeyId, SessionId, SessionSequence,
        SessionVersion, StpGroup,
    };
    use ring::Idle;

    use crate::topology::{Topology, Venue};

    const SESSION: SessionId = SessionId(1);

    fn range(count: u64) -> ReportRange {
        ReportRange { session: SESSION, version: SessionVersion(1), from: SessionSequence(1), count }
    }

    /// A venue that has stopped, whose one session was told of two unknown orders; its last command.
    fn stopped(directory: &std::path::Path) -> Sequence {
        let topology = Topology { capacity: Capacity::SMALL, segment_bytes: 1 << 20, ..Topology::default() };
        let venue = Venue::start(directory, &topology, |_| {}).unwrap();
        let (key, account, note) = (KeyId(1), AccountId(2), AdminNote::NONE);
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        let ours: [CommandBody; 3] = [
            OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note }.into(),
            AddKey { key, kind: KeyKind::Ed25519, public_key: [0; 32], note }.into(),
            GrantRole { key, role: Role::Trader, account, note }.into(),
        ];
        let theirs: [CommandBody; 4] = [
            Negotiate { version: SessionVersion(1) }.into(),
            engine::command::Establish {
                version: SessionVersion(1),
                nonce: engine::LoginNonce(1),
                cancel_on_disconnect: engine::command::CancelOnDisconnect::Keep,
                cancel_grace: engine::Nanoseconds::NONE,
                keep_alive: engine::Nanoseconds::NONE,
            }
            .into(),
            cancel(account),
            cancel(account),
        ];
        let header = CommandHeader { author: key, session: SESSION, ..CommandHeader::VENUE };
        let commands = ours.map(Command::from_venue).into_iter().chain(theirs.map(|body| Command { header, body }));
        commands.for_each(|command| venue.commands().submit(command).unwrap());
        venue.stop().unwrap().engine.last().sequence
    }

    fn cancel(account: AccountId) -> CommandBody {
        engine::command::CancelOrder {
            account,
            order_id: engine::OrderId(1),
            original_client_order_id: engine::ClientOrderId::NONE,
            client_order_id: engine::ClientOrderId::NONE,
        }
        .into()
    }

    /// On a venue of buffered durability a session asked for reports that were not on the disk yet, and was told that
    /// they are no longer kept.
    #[test]
    fn reports_that_are_not_on_the_disk_yet_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let durable = Arc::new(Watermark::new(last.0 - 1, Idle::Park));
        let history = JournalHistory::new(folder.path().to_owned(), Arc::clone(&durable));
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| history.reports(&range(2), last));
            while lock(&history.waiting).is_empty() && history.turn.try_lock().is_ok() {
                std::thread::yield_now();
            }
            assert!(!asking.is_finished());
            durable.advance(last.0);
            assert_eq!(asking.join().unwrap().unwrap().len(), 2);
        });
    }

    #[test]
    fn reports_that_will_never_be_on_the_disk_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let durable = Arc::new(Watermark::new(last.0, Idle::Park));
        durable.poison();
        let history = JournalHistory::new(folder.path().to_owned(), durable);
        assert!(history.reports(&range(2), last.next()).is_err());
        assert_eq!(history.reports(&range(2), last).unwrap().len(), 2);
    }

    #[test]
    fn in_turns_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let durable = Arc::new(Watermark::new(last.0 - 1, Idle::Park));
        let history = JournalHistory::in_turns(PastSource::open(folder.path()), Arc::clone(&durable));
        assert!(history.reports(&range(2), last).is_err());
        durable.advance(last.0);
        assert_eq!(history.reports(&range(2), last).unwrap().len(), 2);
    }

    #[test]
    fn who_asks_while_another_replay_runs_gets_an_answer_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let durable = Arc::new(Watermark::new(last.0, Idle::Park));
        let history = JournalHistory::new(folder.path().to_owned(), durable);
        std::thread::scope(|scope| {
            let turn = lock(&history.turn);
            let asking = [1, 2, 1, 2].map(|count| {
                scope.spawn({
                    let history = &history;
                    move || history.reports(&range(count), last)
                })
            });
            while lock(&history.waiting).len() < asking.len() {
                std::thread::yield_now();
            }
            drop(turn);
            let counts = asking.map(|asking| asking.join().unwrap().unwrap().len());
            assert_eq!(counts, [1, 2, 1, 2]);
        });
    }

    /// The event history of the venue that has stopped, up to a command, as far as its files hold it, and with what they
    /// do not.
    fn history_up_to(directory: &std::path::Path, last: Sequence) -> journal::HistoryWriter {
        let journal = journal::Reader::open(directory).unwrap().identity().journal;
        let options = journal::HistoryOptions { reserve_bytes: 0, ..journal::HistoryOptions::default() };
        let mut writer = journal::HistoryWriter::open(directory, journal, &options).unwrap();
        let past = journal::events_between(directory, Sequence::NONE, last, &mut writer, |_| {}).unwrap();
        writer.applied(past.engine.last()).unwrap();
        writer
    }

    fn history_of(directory: &std::path::Path) -> journal::HistoryWriter {
        history_up_to(directory, Sequence(u64::MAX))
    }

    fn reports_of(writer: &journal::HistoryWriter, reached: &Arc<Watermark>, replay: JournalHistory) -> HistoryReports {
        HistoryReports::new(SharedHistory::new(writer.reader()), Arc::clone(reached), replay)
    }

    /// A replay that would fail.
    fn no_replay() -> JournalHistory {
        let durable = Arc::new(Watermark::new(0, Idle::Park));
        durable.poison();
        JournalHistory::new(PathBuf::from("nowhere"), durable)
    }

    #[test]
    fn reports_from_the_event_history_are_those_of_a_replay() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let writer = history_of(folder.path());
        let reached = Arc::new(Watermark::new(last.0, Idle::Park));
        let reports = reports_of(&writer, &reached, no_replay());
        let replay = JournalHistory::new(folder.path().to_owned(), Arc::clone(&reached));
        for range in [range(1), range(2), ReportRange { from: SessionSequence(2), ..range(1) }] {
            let found = reports.reports(&range, last).unwrap();
            assert_eq!(found, replay.reports(&range, last).unwrap());
            assert_eq!(found.len() as u64, range.count);
        }
        // Not what was released later than is asked for.
        assert_eq!(reports.reports(&range(2), Sequence(last.0 - 1)).unwrap().len(), 1);
    }

    fn copies(from: u64, count: u64) -> CopyRange {
        CopyRange { account: AccountId(2), from: ExecId(from), count }
    }

    #[test]
    fn copies_from_the_event_history_are_those_of_a_replay() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let writer = history_of(folder.path());
        let reached = Arc::new(Watermark::new(last.0, Idle::Park));
        let reports = reports_of(&writer, &reached, no_replay());
        let replay = JournalHistory::new(folder.path().to_owned(), Arc::clone(&reached));
        for (range, expected) in [(copies(1, 1), 1), (copies(1, 2), 2), (copies(2, 1), 1), (copies(3, 1), 0)] {
            let found = reports.copies(&range, last).unwrap();
            assert_eq!(found, replay.copies(&range, last).unwrap());
            assert_eq!(found.len(), expected);
        }
        // Not what was released later than is asked for, and nobody else's.
        assert_eq!(reports.copies(&copies(1, 2), Sequence(last.0 - 1)).unwrap().len(), 1);
        let others = CopyRange { account: AccountId(3), ..copies(1, 2) };
        assert_eq!(reports.copies(&others, last).unwrap(), []);
        // What the history does not reach is found by a replay.
        let behind = Arc::new(Watermark::new(last.0 - 1, Idle::Park));
        behind.poison();
        let reports = reports_of(&writer, &behind, replay);
        assert_eq!(reports.copies(&copies(1, 2), last).unwrap().len(), 2);
    }

    /// However far the history has come: the rest is found by a replay of what is behind.
    #[test]
    fn what_the_history_has_and_what_is_behind_it_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let durable = Arc::new(Watermark::new(last.0, Idle::Park));
        for reached in 0..=last.0 {
            let writer = history_up_to(folder.path(), Sequence(reached));
            let replay = JournalHistory::new(folder.path().to_owned(), Arc::clone(&durable));
            let at = Arc::new(Watermark::new(reached, Idle::Park));
            let reports = reports_of(&writer, &at, replay).with_patience(Duration::ZERO);
            let numbers =
                |found: Found| -> Vec<u64> { found.unwrap().iter().map(|(header, _)| header.id.sequence.0).collect() };
            let both = [last.0 - 1, last.0];
            assert_eq!(numbers(reports.reports(&range(2), last)), both, "{reached}");
            assert_eq!(numbers(reports.copies(&copies(1, 2), last)), both, "{reached}");
            assert_eq!(numbers(reports.copies(&copies(2, 1), last)), both[1..], "{reached}");
            drop(writer);
            std::fs::remove_dir_all(folder.path().join(journal::HISTORY_FOLDER)).unwrap();
        }
    }

    #[test]
    fn a_history_that_comes_along_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let writer = history_of(folder.path());
        let reached = Arc::new(Watermark::new(0, Idle::Park));
        let reports = reports_of(&writer, &reached, no_replay()).with_patience(Duration::from_secs(3_600));
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| reports.reports(&range(2), last));
            reached.advance(last.0 - 1);
            reached.advance(last.0);
            // An hour otherwise.
            assert_eq!(asking.join().unwrap().unwrap().len(), 2);
        });
    }

    #[test]
    fn what_a_history_that_is_behind_has_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let behind = last.0 - 1;
        let writer = history_up_to(folder.path(), Sequence(behind));
        let reached = Arc::new(Watermark::new(behind, Idle::Park));
        let reports = reports_of(&writer, &reached, no_replay()).with_patience(Duration::from_secs(3_600));
        assert_eq!(reports.reports(&range(1), last).unwrap().len(), 1);
        assert_eq!(reports.copies(&copies(1, 1), last).unwrap().len(), 1);
        reached.poison();
        assert!(reports.reports(&range(2), last).is_err());
        assert!(reports.copies(&copies(1, 2), last).is_err());
    }

    /// Whoever came nearer and nearer, slowly, was waited for without end.
    #[test]
    fn a_history_that_comes_along_too_slowly_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let writer = history_of(folder.path());
        let reached = Arc::new(Watermark::new(last.0 - 1, Idle::Park));
        let durable = Arc::new(Watermark::new(last.0, Idle::Park));
        let replay = JournalHistory::new(folder.path().to_owned(), durable);
        let reports = reports_of(&writer, &reached, replay).with_patience(Duration::from_millis(20));
        std::thread::scope(|scope| {
            let asking = [1, 2, 2].map(|count| {
                let reports = &reports;
                scope.spawn(move || reports.reports(&range(count), last).unwrap().len())
            });
            while !asking.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                reached.bell().ring();
            }
            assert_eq!(asking.map(|asking| asking.join().unwrap()), [1, 2, 2]);
        });
    }

    #[test]
    fn what_the_history_does_not_reach_is_found_by_a_replay() {
        let folder = tempfile::tempdir().unwrap();
        let last = stopped(folder.path());
        let durable = Arc::new(Watermark::new(last.0, Idle::Park));
        let writer = history_of(folder.path());
        // It stands still; it has stopped for good.
        for stop in [false, true] {
            let reached = Arc::new(Watermark::new(last.0 - 1, Idle::Park));
            if stop {
                reached.poison();
            }
            let replay = JournalHistory::new(folder.path().to_owned(), Arc::clone(&durable));
            let reports = reports_of(&writer, &reached, replay).with_patience(Duration::ZERO);
            assert_eq!(reports.reports(&range(2), last).unwrap().len(), 2);
        }
    }
}
