//! The thread that reads released events for the operator: it counts them, keeps the view, and finds the event that
//! answers a request.
//!
//! It misses nothing, so the core waits for it; it waits for nobody. Events of order flow change nothing here but the
//! counts of open orders.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use engine::{Command, CommandKind, Engine, Event, EventHeader, IdempotencyKey, KeyId, Timestamp};
use ring::{Admission, CommandRing, EventReader, Polled, SharedAdmission};
use tokio::sync::oneshot;

use super::open_orders::OpenOrders;
use super::signature::TIME_TOLERANCE_NS;
use super::view::{AdminView, note_of};
use crate::affinity;
use crate::metrics::Metrics;

/// The event that answers a request.
pub(crate) type Answer = (EventHeader, Event);

/// Mass cancels that are remembered at once: more within a few seconds are refused.
const MASS_CANCELS_MAX: usize = 1_024;

/// What the operator sees when the venue starts.
#[derive(Debug, Default)]
pub struct Seen {
    view: AdminView,
    open_orders: OpenOrders,
}

impl Seen {
    /// Of an engine that takes no commands yet.
    pub fn of(engine: &Engine) -> Self {
        Self { view: AdminView::of(engine), open_orders: OpenOrders::of(engine) }
    }
}

/// What the operator sees, and who waits for an answer.
#[derive(Debug)]
pub struct Desk {
    commands: Arc<CommandRing>,
    admission: Arc<SharedAdmission>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    view: AdminView,
    open_orders: OpenOrders,
    waiting: BTreeMap<Request, oneshot::Sender<Answer>>,
    /// Mass cancels of the last seconds: the engine remembers every other request, and these change nothing twice only
    /// if they are not repeated. Older ones are refused for their time.
    mass_cancels: VecDeque<(Timestamp, KeyId, IdempotencyKey)>,
    /// Events still come.
    is_open: bool,
}

/// Whose answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    /// The author's, of that name.
    Of(KeyId, IdempotencyKey),
    /// A mass cancel from outside any session, of that name: its events do not say whose it was.
    MassCancel(IdempotencyKey),
}

/// Why a command was not handed to the core; nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSubmitted {
    /// A request of that name is under way, or was a moment ago.
    Repeated,
    /// The core has more to do than it can.
    Busy,
    /// The journal's disk fills: only what reduces risk is let in.
    StorageLow,
    /// The journal's disk is full.
    StorageFull,
    /// The venue takes no commands any more.
    Stopped,
}

impl Desk {
    /// A desk of a venue whose events up to now are in `view`, and whose commands go to `commands` as far as `admission`
    /// lets them in.
    pub fn new(Seen { view, open_orders }: Seen, commands: Arc<CommandRing>, admission: Arc<SharedAdmission>) -> Self {
        let (waiting, mass_cancels) = (BTreeMap::new(), VecDeque::new());
        Self {
            commands,
            admission,
            state: Mutex::new(State { view, open_orders, waiting, mass_cancels, is_open: true }),
        }
    }

    /// Looks something up.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&AdminView) -> T) -> T {
        look(&self.state().view)
    }

    /// Looks at what a change would do.
    pub(crate) fn look_at_orders<T>(&self, look: impl FnOnce(&AdminView, &OpenOrders) -> T) -> T {
        let state = self.state();
        look(&state.view, &state.open_orders)
    }

    /// Hands a command to the core; where its answer will be.
    pub(crate) fn submit(
        &self,
        command: Command,
        note: IdempotencyKey,
    ) -> Result<oneshot::Receiver<Answer>, NotSubmitted> {
        let request = Request::asked(&command, note);
        let mut state = self.state();
        if !state.is_open {
            return Err(NotSubmitted::Stopped);
        }
        if state.waiting.contains_key(&request) {
            return Err(NotSubmitted::Repeated);
        }
        self.admitted(&command)?;
        if let Request::MassCancel(name) = request {
            state.remember_mass_cancel(command.header.received_at, command.header.author, name)?;
        }
        let (answer, answered) = oneshot::channel();
        // Under the lock: the answer cannot come before somebody waits for it.
        if self.commands.submit(command).is_err() {
            state.mass_cancels.pop_back_if(|_| matches!(request, Request::MassCancel(_)));
            return Err(NotSubmitted::Busy);
        }
        state.waiting.insert(request, answer);
        Ok(answered)
    }

    fn admitted(&self, command: &Command) -> Result<(), NotSubmitted> {
        let admission = self.admission.get();
        if admission.admits(&command.body) {
            return Ok(());
        }
        Err(if admission == Admission::Nothing { NotSubmitted::StorageFull } else { NotSubmitted::StorageLow })
    }

    /// Nobody waits for the command's answer any more.
    pub(crate) fn give_up(&self, command: &Command, note: IdempotencyKey) {
        self.state().waiting.remove(&Request::asked(command, note));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, header: &EventHeader, event: &Event) {
        let mut state = self.state();
        state.open_orders.apply(event);
        if !AdminView::concerns(event) {
            return;
        }
        state.view.apply(event);
        if state.waiting.is_empty() {
            return;
        }
        let waiting = Request::answered(event).and_then(|request| state.waiting.remove(&request));
        if let Some(waiting) = waiting {
            // Who asked may have gone.
            let _ = waiting.send((*header, *event));
        }
    }

    fn close(&self) {
        let mut state = self.state();
        state.is_open = false;
        state.waiting.clear();
    }
}

impl State {
    fn remember_mass_cancel(
        &mut self,
        now: Timestamp,
        author: KeyId,
        name: IdempotencyKey,
    ) -> Result<(), NotSubmitted> {
        // A request may be signed so much ahead of the venue's time.
        let forgotten = now.0.saturating_sub(2 * TIME_TOLERANCE_NS);
        while self.mass_cancels.pop_front_if(|(at, ..)| at.0 < forgotten).is_some() {}
        if self.mass_cancels.iter().any(|(_, by, known)| (*by, *known) == (author, name)) {
            return Err(NotSubmitted::Repeated);
        }
        if self.mass_cancels.len() >= MASS_CANCELS_MAX {
            return Err(NotSubmitted::Busy);
        }
        self.mass_cancels.push_back((now, author, name));
        Ok(())
    }
}

impl Request {
    fn asked(command: &Command, note: IdempotencyKey) -> Self {
        match command.body.kind() {
            CommandKind::MassCancel => Self::MassCancel(note),
            _ => Self::Of(command.header.author, note),
        }
    }

    fn answered(event: &Event) -> Option<Self> {
        match event {
            Event::MassCancelled(event) if event.report.session.is_none() => {
                Some(Self::MassCancel(IdempotencyKey(event.client_order_id.0)))
            }
            Event::MassCancelRejected(event) if event.report.session.is_none() => {
                Some(Self::MassCancel(IdempotencyKey(event.client_order_id.0)))
            }
            event => note_of(event).map(|(author, note)| Self::Of(author, note.idempotency_key)),
        }
    }
}

/// Counts what `reader` sees and keeps the desk, until the venue stops.
pub(crate) fn start(desk: Arc<Desk>, metrics: Arc<Metrics>, mut reader: EventReader) -> io::Result<JoinHandle<()>> {
    Builder::new().name("operator".to_owned()).spawn(move || {
        affinity::go_last();
        loop {
            match reader.poll() {
                Polled::Event(header, event) => {
                    metrics.count(&header, &event);
                    desk.event(&header, &event);
                }
                Polled::Empty => reader.wait_at_leisure(Duration::from_secs(1)),
                Polled::Lapped(_) => unreachable!("the core waits for a gating reader"),
                Polled::Closed => return desk.close(),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::command::{AdminNote, MassCancel, OpenAccount};
    use engine::{AccountId, ClientOrderId, CommandBody, CommandHeader, InstrumentId, SessionId, StpGroup};
    use ring::Idle;

    const NOTE: AdminNote = AdminNote::NONE;

    fn command(body: impl Into<CommandBody>, received_at_ns: u64) -> Command {
        let received_at = Timestamp(received_at_ns);
        Command { header: CommandHeader { author: KeyId(1), received_at, ..CommandHeader::VENUE }, body: body.into() }
    }

    fn desk(commands: Arc<CommandRing>) -> Desk {
        Desk::new(Seen::default(), commands, Arc::default())
    }

    fn open() -> Command {
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        command(OpenAccount { account: AccountId(2), stp_group, self_trade_prevention, fee_tier, note: NOTE }, 0)
    }

    fn mass_cancel(received_at_ns: u64) -> Command {
        let (account, instrument, entered_by) = (AccountId::NONE, InstrumentId::NONE, SessionId::NONE);
        let client_order_id = ClientOrderId::NONE;
        let body = MassCancel { account, instrument, side: None, entered_by, client_order_id, note: NOTE };
        command(body, received_at_ns)
    }

    #[test]
    fn a_request_is_busy_repeated_or_too_late_and_then_nothing_has_happened() {
        let ring = Arc::new(CommandRing::new(2, Idle::Park));
        let desk = desk(Arc::clone(&ring));
        let [one, two, three] = [1, 2, 3].map(IdempotencyKey);
        let answer = desk.submit(open(), one).unwrap();
        assert_eq!(desk.submit(open(), one).unwrap_err(), NotSubmitted::Repeated);
        desk.submit(open(), two).unwrap();
        assert_eq!(desk.submit(open(), three).unwrap_err(), NotSubmitted::Busy);
        assert_eq!(ring.waiting(), 2);
        ring.take(&mut Vec::new(), 2);
        // Busy was no use of the name.
        desk.submit(open(), three).unwrap();
        desk.close();
        assert!(answer.blocking_recv().is_err());
        assert_eq!(desk.submit(open(), IdempotencyKey(4)).unwrap_err(), NotSubmitted::Stopped);
    }

    #[test]
    fn what_the_journal_has_no_room_for_is_refused_and_its_name_may_be_used_again() {
        let admission = Arc::new(SharedAdmission::default());
        let ring = Arc::new(CommandRing::new(16, Idle::Park));
        let desk = Desk::new(Seen::default(), Arc::clone(&ring), Arc::clone(&admission));
        let [one, two] = [1, 2].map(IdempotencyKey);
        admission.set(Admission::Nothing);
        assert_eq!(desk.submit(open(), one).unwrap_err(), NotSubmitted::StorageFull);
        assert_eq!(desk.submit(mass_cancel(1), two).unwrap_err(), NotSubmitted::StorageFull);
        admission.set(Admission::CancelsOnly);
        assert_eq!(desk.submit(open(), one).unwrap_err(), NotSubmitted::StorageLow);
        desk.submit(mass_cancel(2), two).unwrap();
        assert_eq!(ring.waiting(), 1);
        admission.set(Admission::Everything);
        desk.submit(open(), one).unwrap();
    }

    #[test]
    fn a_mass_cancel_is_remembered_until_its_time_no_longer_holds() {
        const SECOND: u64 = 1_000_000_000;
        let desk = desk(Arc::new(CommandRing::new(16, Idle::Park)));
        let name = IdempotencyKey(1);
        let ask = |seconds: u64| {
            let asked = desk.submit(mass_cancel(seconds * SECOND), name).map(drop);
            desk.give_up(&mass_cancel(0), name);
            asked
        };
        assert_eq!(ask(100), Ok(()));
        assert_eq!(ask(101), Err(NotSubmitted::Repeated));
        assert_eq!(ask(110), Err(NotSubmitted::Repeated));
        assert_eq!(ask(111), Ok(()));
    }

    #[test]
    fn a_mass_cancel_that_met_a_full_ring_may_be_asked_again() {
        let ring = Arc::new(CommandRing::new(1, Idle::Park));
        let desk = desk(Arc::clone(&ring));
        ring.submit(open()).unwrap();
        assert_eq!(desk.submit(mass_cancel(1), IdempotencyKey(1)).unwrap_err(), NotSubmitted::Busy);
        ring.take(&mut Vec::new(), 1);
        desk.submit(mass_cancel(2), IdempotencyKey(1)).unwrap();
    }
}
