//! The traders' side of the open loop: one thread sends what is due on every session, and reads what comes back.
//!
//! ```text
//!   due times ─► send when due, at once if late ─► sockets
//!   sockets   ─► reports ─► the order that each answers first ─► its latency, from when it was due
//! ```
//!
//! Nothing is sent before it is due, and nothing waits for an answer. Where there are processors enough, the thread
//! looks at its sockets and its clock all the time; where there are not, it sleeps between due times in the kernel, until
//! a socket is ready or a timer of nanoseconds expires. How late it was each time is a series of its own.

use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::slice;
use std::time::{Duration, Instant};

use client::session::News;
use client::wire::order_entry::{ExecutionReport, OrderEntryMessage};
use client::wire::{EdgeReason, ExecType, Indicator, JournalSequence, RejectReason, SessionSequence};
use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};
use venue::ticks;

use super::link::{Link, Sent};
use super::orders::session_of;
use super::timer::Timer;
use crate::failure::Failure;
use crate::throughput::workload::Operation;
use crate::times::{histogram, record};

/// Processors from which on the traders' thread may have one for itself.
pub const PROCESSORS_TO_SPIN: usize = 4;
/// Orders that are sent in a row, if so many are late, before sockets are looked at again.
const SENDS_MAX: usize = 64;
/// How long all sockets may be silent while orders wait for their answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often sessions are kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Behind the last answer, what else there is to say of the orders comes without a longer silence.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// A due time so near is waited for awake.
const NEAR_NS: u64 = 2_000;
const TIMER: Token = Token(usize::MAX);

/// How the traders' thread waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It looks again at once.
    Spin,
    /// It sleeps until something is due or ready.
    Sleep,
}

/// What is sent in a turn.
pub struct Turn<'a, T> {
    /// When it begins.
    pub begun: Instant,
    /// When each order is due, in nanoseconds since the turn's begin, ascending.
    pub due: T,
    /// The orders.
    pub operations: &'a [Operation],
    /// Orders without an answer at which nothing more is sent, due or not; more than any: an open loop.
    pub window: usize,
}

/// An order that was answered, with times in nanoseconds since the turn's begin.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The order, and when it was due and sent.
    pub sent: Sent,
    /// Which session sent it, from 0.
    pub session: usize,
    /// When its first report was read.
    pub read_ns: u64,
    /// The time-stamp counter when that was read.
    pub read_ticks: u64,
    /// The command's place in the venue's order; none: it did not get so far.
    pub journal_sequence: Option<JournalSequence>,
}

/// What became of a turn, or of several.
pub struct Tally {
    /// From the due time to the sending.
    pub lateness: Histogram<u64>,
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were answered; in the end all.
    pub answered: u64,
    /// Of those, refused because the venue was busy.
    pub busy: u64,
    /// Of those, refused for another reason: an order that had traded already, most of all.
    pub refused: u64,
    /// Orders that traded as they came.
    pub aggressors: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { lateness: histogram(), sent: 0, answered: 0, busy: 0, refused: 0, aggressors: 0 }
    }
}

/// The traders.
pub struct Traders {
    poll: Poll,
    events: Events,
    timer: Timer,
    waiting: Waiting,
    sessions: Sessions,
}

impl Traders {
    /// Of these sessions.
    pub fn new(mut links: Vec<Link>, waiting: Waiting) -> Result<Self, Failure> {
        let poll = Poll::new().map_err(system)?;
        for (number, link) in links.iter_mut().enumerate() {
            link.register(poll.registry(), Token(number)).map_err(system)?;
        }
        let timer = Timer::new(poll.registry(), TIMER).map_err(system)?;
        let sessions = Sessions { dirty: Vec::with_capacity(links.len()), links };
        Ok(Self { poll, events: Events::with_capacity(1_024), timer, waiting, sessions })
    }

    /// Sends everything of a turn, and reads until all is answered. Each first answer is told.
    pub fn drive(
        &mut self,
        turn: Turn<'_, impl Iterator<Item = u64>>,
        tally: &mut Tally,
        tell: impl FnMut(&Answered),
    ) -> Result<(), Failure> {
        let mut clerk = Clerk { origin: turn.begun, outstanding: 0, tally, tell };
        let mut queue =
            Queue { due: turn.due.peekable(), operations: turn.operations.iter(), window: turn.window.max(1) };
        // What came with the login is there already, and no socket will tell.
        (0..self.sessions.links.len()).try_for_each(|number| self.sessions.read(number, &mut clerk))?;
        let (mut heard_at, mut kept_alive_at) = (clerk.origin, clerk.origin);
        loop {
            let next = self.sessions.send_due(&mut queue, &mut clerk)?;
            if next == Next::Nothing && clerk.outstanding == 0 {
                return self.hear_out(&mut clerk);
            }
            self.wait(next, &clerk.origin)?;
            let now = Instant::now();
            if clerk.outstanding == 0 || self.events.iter().any(|event| event.token() != TIMER) {
                heard_at = now;
            } else if now - heard_at > PATIENCE {
                let left = clerk.outstanding;
                return Err(Failure::Missing(format!("{left} requests have no answer after {PATIENCE:?} of silence")));
            }
            for event in self.events.iter().filter(|event| event.token() != TIMER) {
                if event.is_writable() {
                    self.sessions.links[event.token().0].flush()?;
                }
                self.sessions.read(event.token().0, &mut clerk)?;
                // What fell due meanwhile does not wait for the other sockets.
                self.sessions.send_due(&mut queue, &mut clerk)?;
            }
            if now - kept_alive_at > KEEP_ALIVE {
                kept_alive_at = now;
                self.sessions.links.iter_mut().try_for_each(Link::time)?;
            }
        }
    }

    /// Reads until nothing more comes.
    fn hear_out(&mut self, clerk: &mut Clerk<'_, impl FnMut(&Answered)>) -> Result<(), Failure> {
        loop {
            self.poll_for(LAST_WORDS)?;
            let mut heard = false;
            for event in self.events.iter().filter(|event| event.token() != TIMER) {
                self.sessions.read(event.token().0, clerk)?;
                heard = true;
            }
            if !heard {
                return Ok(());
            }
        }
    }

    fn wait(&mut self, next: Next, origin: &Instant) -> Result<(), Failure> {
        let until_ns = match next {
            Next::At(due_ns) => Some(due_ns.saturating_sub(nanoseconds_since(origin))),
            Next::Nothing | Next::Full => None,
        };
        let timeout = match (self.waiting, until_ns) {
            (Waiting::Spin, _) => Duration::ZERO,
            (Waiting::Sleep, Some(until_ns)) if until_ns < NEAR_NS => Duration::ZERO,
            (Waiting::Sleep, Some(until_ns)) => {
                self.timer.once(Duration::from_nanos(until_ns)).map_err(system)?;
                KEEP_ALIVE
            }
            (Waiting::Sleep, None) => KEEP_ALIVE,
        };
        self.poll_for(timeout)
    }

    fn poll_for(&mut self, timeout: Duration) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(system(error)),
            _ => Ok(()),
        }
    }
}

/// What is still to be sent.
struct Queue<'a, T: Iterator<Item = u64>> {
    due: Peekable<T>,
    operations: slice::Iter<'a, Operation>,
    window: usize,
}

/// What is to be sent next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// An order that is due then, in nanoseconds since the turn's begin; perhaps by now.
    At(u64),
    /// What is due has to wait for answers.
    Full,
    /// All is sent.
    Nothing,
}

/// Who keeps account of a turn.
struct Clerk<'a, F> {
    origin: Instant,
    outstanding: usize,
    tally: &'a mut Tally,
    tell: F,
}

struct Sessions {
    links: Vec<Link>,
    /// Those with something to flush.
    dirty: Vec<usize>,
}

impl Sessions {
    /// Sends what is due by now.
    fn send_due<F: FnMut(&Answered)>(
        &mut self,
        queue: &mut Queue<'_, impl Iterator<Item = u64>>,
        clerk: &mut Clerk<'_, F>,
    ) -> Result<Next, Failure> {
        let mut next = Next::Full;
        for _ in 0..SENDS_MAX {
            next = queue.next(clerk.outstanding);
            let Next::At(due_ns) = next else { break };
            let now_ns = nanoseconds_since(&clerk.origin);
            if due_ns > now_ns {
                break;
            }
            let Some((_, operation)) = queue.due.next().zip(queue.operations.next()) else { break };
            let number = session_of(operation, self.links.len());
            if self.links[number].send(operation, due_ns, now_ns) {
                self.dirty.push(number);
            }
            clerk.outstanding += 1;
            clerk.tally.sent += 1;
            clerk.tally.late(due_ns, now_ns);
        }
        for number in self.dirty.drain(..) {
            self.links[number].flush()?;
        }
        Ok(next)
    }

    /// Reads what a session was told.
    fn read<F: FnMut(&Answered)>(&mut self, number: usize, clerk: &mut Clerk<'_, F>) -> Result<(), Failure> {
        let mut ended = None;
        self.links[number].read(|link, news| match news {
            News::Message(OrderEntryMessage::ExecutionReport(report)) => clerk.executed(number, link, &report),
            News::Message(OrderEntryMessage::OrderCancelReject(reject)) => {
                if clerk.answered(number, link, reject.answered_sequence, reject.journal_sequence) {
                    clerk.tally.refused += 1;
                }
            }
            News::Message(OrderEntryMessage::BusinessMessageReject(reject)) => {
                if clerk.answered(number, link, reject.answered_sequence, None) {
                    match reject.reject_reason == RejectReason::from(EdgeReason::Busy) {
                        true => clerk.tally.busy += 1,
                        false => clerk.tally.refused += 1,
                    }
                }
            }
            News::Message(_) | News::Opened(_) => {}
            // A request that was refused at the edge is answered by its reject.
            News::NotApplied(..) => {}
            News::Lost(_) | News::Refused(_) | News::Ended(_) => ended = Some(news),
        })?;
        match ended {
            None => Ok(()),
            Some(news) => Err(Failure::Missing(format!("session {} was lost: {news:?}", number + 1))),
        }
    }
}

impl<T: Iterator<Item = u64>> Queue<'_, T> {
    fn next(&mut self, outstanding: usize) -> Next {
        match self.due.peek() {
            Some(_) if self.operations.len() == 0 => Next::Nothing,
            Some(_) if outstanding >= self.window => Next::Full,
            Some(&due_ns) => Next::At(due_ns),
            None => Next::Nothing,
        }
    }
}

impl<F: FnMut(&Answered)> Clerk<'_, F> {
    fn executed(&mut self, number: usize, link: &mut Link, report: &ExecutionReport) {
        let is_first = self.answered(number, link, report.answered_sequence, report.journal_sequence);
        if is_first && report.exec_type == ExecType::Rejected {
            self.tally.refused += 1;
        }
        let is_first_fill = report.last_quantity == Some(report.cumulative_quantity);
        if report.exec_type == ExecType::Trade && report.aggressor == Some(Indicator::Yes) && is_first_fill {
            self.tally.aggressors += 1;
        }
    }

    /// Whether this is the request's first answer.
    fn answered(
        &mut self,
        session: usize,
        link: &mut Link,
        number: Option<SessionSequence>,
        journal_sequence: Option<JournalSequence>,
    ) -> bool {
        let Some(sent) = number.and_then(|number| link.answered(number)) else { return false };
        let read_ns = nanoseconds_since(&self.origin);
        let read_ticks = if sent.is_sampled() { ticks::now() } else { 0 };
        self.outstanding -= 1;
        self.tally.answered += 1;
        (self.tell)(&Answered { sent, session, read_ns, read_ticks, journal_sequence });
        true
    }
}

impl Tally {
    fn late(&mut self, due_ns: u64, sent_ns: u64) {
        record(&mut self.lateness, sent_ns - due_ns);
    }
}

fn nanoseconds_since(origin: &Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn system(error: io::Error) -> Failure {
    Failure::io(Path::new("the traders' sockets"), error)
}
