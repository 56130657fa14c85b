//! Searches for old reports, which workers beside the door do: they may take as long as they do.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Builder;

use crossbeam_queue::SegQueue;
use engine::{Event, EventHeader, Sequence};
use ring::Wake;
use wire::EdgeReason;

use crate::copies::CopyRange;
use crate::history::{ReportHistory, ReportRange};
use crate::transport::desk::ConnectionId;

/// Searches at a time; a history may answer many at once. What is above waits for its turn.
const AT_ONCE: usize = 64;

/// Who does what takes long, beside the door.
pub trait Workers: Send + Sync + 'static {
    /// Has some work done, and a turn of the door taken behind it.
    ///
    /// # Errors
    ///
    /// If nobody can do it now; it is never done then.
    fn start(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}

/// A thread for each.
pub(crate) struct SearchThreads {
    /// Woken behind the work.
    doorbell: Arc<dyn Wake>,
}

impl SearchThreads {
    pub(crate) fn new(doorbell: Arc<dyn Wake>) -> Self {
        Self { doorbell }
    }
}

impl Workers for SearchThreads {
    fn start(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let doorbell = Arc::clone(&self.doorbell);
        let search = move || {
            work();
            doorbell.wake();
        };
        // Nobody waits for it when the venue stops.
        Builder::new().name("report-search".to_owned()).spawn(search).map(drop)
    }
}

/// What a search found, as far as it is kept, or why it found nothing for now.
pub(crate) type Found = Result<Vec<(EventHeader, Event)>, EdgeReason>;

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// A session's reports.
    Reports(ReportRange),
    /// An account's reports, to be copied.
    Copies(CopyRange),
}

/// Whoever asked, for what, and what was found.
pub(crate) struct Answer {
    pub(crate) connection: ConnectionId,
    pub(crate) wanted: Wanted,
    pub(crate) found: Found,
}

struct Search {
    connection: ConnectionId,
    wanted: Wanted,
    released: Sequence,
}

/// The searches of a server. A connection has one of each kind at a time, which bounds them.
pub(crate) struct Searches {
    reports: Arc<dyn ReportHistory>,
    answers: Arc<SegQueue<Answer>>,
    workers: Arc<dyn Workers>,
    running: usize,
    waiting: VecDeque<Search>,
}

impl Searches {
    pub(crate) fn new(reports: Arc<dyn ReportHistory>, workers: Arc<dyn Workers>) -> Self {
        Self { reports, answers: Arc::default(), workers, running: 0, waiting: VecDeque::new() }
    }

    /// Searches for reports of commands up to `released`.
    pub(crate) fn ask(&mut self, connection: ConnectionId, wanted: Wanted, released: Sequence) {
        self.waiting.push_back(Search { connection, wanted, released });
        self.start();
    }

    /// Whether there is an answer.
    pub(crate) fn has_answer(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The next answer, if there is one.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.pop()?;
        self.running -= 1;
        self.start();
        Some(answer)
    }

    fn start(&mut self) {
        while self.running < AT_ONCE
            && let Some(search) = self.waiting.pop_front()
        {
            self.running += 1;
            self.begin(search);
        }
    }

    fn begin(&self, Search { connection, wanted, released }: Search) {
        let (reports, answers) = (Arc::clone(&self.reports), Arc::clone(&self.answers));
        let search = move || {
            // Whoever asked is answered, come what may.
            let search = AssertUnwindSafe(|| match &wanted {
                Wanted::Reports(range) => reports.reports(range, released),
                Wanted::Copies(range) => reports.copies(range, released),
            });
            let found = catch_unwind(search).ok().and_then(Result::ok).ok_or(EdgeReason::Busy);
            answers.push(Answer { connection, wanted, found });
        };
        if self.workers.start(Box::new(search)).is_err() {
            self.answers.push(Answer { connection, wanted, found: Err(EdgeReason::Busy) });
        }
    }
}
