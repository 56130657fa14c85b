//! Reports again, by replaying the journal: slow and always right.
//!
//! One replay runs at a time, and answers everybody who had asked when it began: after a restart all sessions ask at
//! once. The journal is read from the disk alone. On a venue whose reports survive the process only, the newest may
//! still be in the journal's head; the writer is on its way with them, and they are waited for.
//!
//! ```text
//!   ask ──► waiting ──┐  who has the turn takes all that wait,
//!   ask ──► waiting ──┼─ waits for the disk, replays once ──► an answer each
//!   ask ──► waiting ──┘
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Event, EventHeader, EventSink, Sequence};
use gateway::history::{ReportCollector, ReportHistory, ReportRange};
use journal::{Reader, rebuild};
use ring::Watermark;

type Found = io::Result<Vec<(EventHeader, Event)>>;

/// The reports of a venue that runs.
pub(crate) struct JournalHistory {
    directory: PathBuf,
    /// The last command that is on the disk.
    durable: Arc<Watermark>,
    waiting: Mutex<Vec<Asked>>,
    /// Held by who replays.
    turn: Mutex<()>,
}

struct Asked {
    range: ReportRange,
    released: Sequence,
    answer: Sender<Found>,
}

impl JournalHistory {
    /// The history in the data folder `directory`, whose journal is on disk up to `durable`.
    pub(crate) fn new(directory: PathBuf, durable: Arc<Watermark>) -> Self {
        Self { directory, durable, waiting: Mutex::default(), turn: Mutex::default() }
    }

    fn answer(&self, asked: Vec<Asked>) {
        let mut collectors: Collectors = asked.iter().map(|asked| ReportCollector::new(asked.range)).collect();
        let outcome = self.replay(asked.iter().map(|asked| asked.released).max(), &mut collectors);
        for (asked, collector) in asked.into_iter().zip(collectors.0) {
            let found = match &outcome {
                Ok(()) => Ok(collector.into_found()),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            // Who asked may be gone.
            let _ = asked.answer.send(found);
        }
    }

    fn replay(&self, released: Option<Sequence>, collectors: &mut Collectors) -> io::Result<()> {
        self.durable.wait_for(released.unwrap_or_default().0).map_err(io::Error::other)?;
        let reader = Reader::open(&self.directory).map_err(io::Error::other)?;
        rebuild(reader, collectors, |_| {}).map_err(io::Error::other)?;
        Ok(())
    }
}

impl ReportHistory for JournalHistory {
    fn reports(&self, range: &ReportRange, released: Sequence) -> Found {
        let (answer, found) = channel();
        lock(&self.waiting).push(Asked { range: *range, released, answer });
        let turn = lock(&self.turn);
        let asked = std::mem::take(&mut *lock(&self.waiting));
        // Nobody waits if whoever had the turn before took this request along.
        if !asked.is_empty() {
            self.answer(asked);
        }
        drop(turn);
        found.recv().map_err(io::Error::other)?
    }
}

/// Every request's reports, picked out of one replay.
struct Collectors(Vec<ReportCollector>);

impl FromIterator<ReportCollector> for Collectors {
    fn from_iter<I: IntoIterator<Item = ReportCollector>>(collectors: I) -> Self {
        Self(collectors.into_iter().collect())
    }
}

impl EventSink for Collectors {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.0.iter_mut().for_each(|collector| collector.event(header, event));
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
        AccountId, Capacity, Command, CommandBody, CommandHeader, KeyId, SessionId, SessionSequence, SessionVersion,
        StpGroup,
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
}
