//! Mode flow: one session drives a day through a venue that is killed again and again.
//!
//! Whatever happens to the venue, the day comes out as if nothing had: the same trades, the same book.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use benches::flow::coinbase::requests::{
    Recorded, Request, Step, Traded, accounts, amend, faults, lonely_bid, place, set_up,
};
use benches::flow::coinbase::uninterrupted;
use benches::flow::coinbase::via_gateway::STEPS;
use benches::flow::order_feed::limit_order;
use benches::trading::log::Log;
use benches::trading::message::{Message, cancel};
use benches::trading::served::{Access, admit};
use benches::trading::trades::{Both, trades};
use client::Client;
use client::wire::CancelOnDisconnect;
use engine::command::{CancelOrder, NewOrder};
use engine::order::{OrderFlags, TimeInForce};
use engine::{ClientOrderId, CommandBody, OrderId, Price, Quantity, Side, Timestamp};
use venue::data_folder::{DataFolder, DataFolderError};

use crate::agreement::{compare, compare_digests, compare_executions};
use crate::door::{Door, Life};
use crate::journal_view::engine_behind;
use crate::kills::{Killer, Kills, RunError};
use crate::process::{PATIENCE, Spec};
use crate::random::Random;
use crate::trader::{Gone, Trader, options};
use crate::verdict::Verdict;

/// Requests without an answer.
const WINDOW: usize = 256;
/// The names of marks: no day has so many orders.
const FIRST_MARK: u64 = 1 << 40;

/// A day to be driven.
pub struct Day {
    /// What it is, for people.
    pub what: String,
    /// When it begins.
    pub start: Timestamp,
    /// What goes in.
    pub steps: Vec<Step>,
    /// What must come out, if somebody else has recorded it.
    pub recorded: Option<Recorded>,
}

impl Day {
    /// A recorded one.
    pub fn recorded(folder: &Path) -> Result<Self, RunError> {
        let recorded = Recorded::read(folder)?;
        let what = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { what, start: recorded.start(), steps: recorded.steps().to_vec(), recorded: Some(recorded) })
    }

    /// A made one of so many requests: orders around a price that wanders, a third of them cancelled.
    pub fn generated(seed: u64, count: u64) -> Self {
        let mut random = Random::part(seed, 0);
        let start = Timestamp(1_790_000_000_000_000_000);
        let accounts: Vec<_> = accounts().collect();
        let owner = |name: u64| accounts[usize::try_from(name).unwrap_or(0) % accounts.len()];
        let mut middle = 600_000;
        let (mut name, mut open) = (0, Vec::new());
        let mut next = || {
            middle = middle + random.below(3) - 1;
            if !open.is_empty() && random.below(3) == 0 {
                let index = usize::try_from(random.below(open.len() as u64)).unwrap_or(0);
                return Request::Cancel(cancel_of(owner(open[index]), ClientOrderId(open.swap_remove(index))));
            }
            name += 1;
            let side = Side::BOTH[usize::from(random.below(2) == 0)];
            let aggressive = random.below(4) == 0;
            let distance = random.below(30);
            let away = (side == Side::Buy) != aggressive;
            let price = Price(if away { middle - distance } else { middle + distance });
            let time_in_force =
                if random.below(10) == 0 { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTillCancel };
            open.push(name);
            let order = limit_order(place(side, price, Quantity(random.between(1, 1_000_000))), time_in_force);
            Request::New(NewOrder { account: owner(name), client_order_id: ClientOrderId(name), ..order })
        };
        let steps = (0..count).map(|index| Step { at: Timestamp(start.0 + index), request: next() }).collect();
        Self { what: format!("a made day of {count} requests"), start, steps, recorded: None }
    }
}

/// What makes the venue of the day.
pub fn commands(folder: &DataFolder) -> Result<Vec<CommandBody>, DataFolderError> {
    Ok(set_up().into_iter().chain(admit(folder, accounts())?).collect())
}

/// Drives the day through the venue of `spec`, which is killed `rounds` times.
pub fn run(spec: &Spec, mut day: Day, seed: u64, rounds: u64) -> Result<(Verdict, Kills), RunError> {
    let (expected, direct) = uninterrupted(day.start, &day.steps)?;
    let (door, reports) = (Door::new(), AtomicU64::new(0));
    let (log, quiet, settled) = (Mutex::new(Log::default()), AtomicBool::new(false), AtomicU64::new(0));
    let access = access(&spec.data)?;
    let (kills, ended) = std::thread::scope(|scope| {
        let trader = Trader {
            session: 1,
            options: options(CancelOnDisconnect::Keep),
            access,
            door: &door,
            log: &log,
            reports: &reports,
            life: Life(0),
        };
        let mark_price = lonely_bid(&day.steps);
        let mut driver = Driver {
            trader,
            steps: &day.steps,
            next: 0,
            marks: FIRST_MARK,
            mark_price,
            quiet: &quiet,
            settled: &settled,
        };
        scope.spawn(move || driver.run());
        let outcome = kill(spec, &door, &reports, (&quiet, &settled), (seed, rounds), day.steps.len() as u64);
        // Whatever happened, nobody waits for the venue any more.
        door.end();
        outcome
    })?;
    let mut log = log.into_inner().expect("the trader has not panicked");
    let mut verdict = Verdict::default();
    (verdict.commands, verdict.reports) = (ended.last, reports.into_inner());
    let (engine, replayed) = engine_behind(&spec.data, ended.last)?;
    log.take_faults().into_iter().for_each(|fault| verdict.fault("the trader", fault));
    compare(&mut verdict, &engine, &[&log]);
    compare_executions(&mut verdict, &[&log]);
    compare_digests(&mut verdict, &ended, &replayed);
    verdict.expect("book digest of the uninterrupted run", &direct.book.to_string(), &ended.book_digest);
    faults(&engine).into_iter().for_each(|fault| verdict.differs(fault));
    let found: Vec<Traded> = trades(log.fills().iter()).values().filter_map(Both::traded).collect();
    verdict.expect("trades of the uninterrupted run", &expected, &found);
    if let Some(recorded) = &mut day.recorded {
        let matches = recorded.compare_matches(found);
        let books = recorded.compare_closing(&engine);
        verdict.matches = Some((matches.equal(), matches.expected()));
        for comparison in [matches, books.resting, books.fifo_levels] {
            if !comparison.agrees() {
                verdict.differs(format!("{} of {} as recorded", comparison.equal(), comparison.expected()));
            }
        }
    }
    Ok((verdict, kills))
}

/// The folder's keys and certificate, made before the venue is: a trader has to have them.
pub(crate) fn access(data: &Path) -> Result<Access, RunError> {
    let folder = DataFolder::open(data).map_err(|error| benches::failure::Failure::Served(error.into()))?;
    Ok(Access::of(&folder).map_err(benches::failure::Failure::from)?)
}

fn kill(
    spec: &Spec,
    door: &Door,
    reports: &AtomicU64,
    (quiet, settled): (&AtomicBool, &AtomicU64),
    (seed, rounds): (u64, u64),
    steps: u64,
) -> Result<(Kills, crate::process::Ended), RunError> {
    let mut killer = Killer::new(spec, door, reports, quiet, Random::part(seed, 1));
    while killer.kills().count() < rounds {
        // The day is to last as long as the kills.
        let left = steps.saturating_sub(reports.load(Ordering::Relaxed)).max(WINDOW as u64);
        killer.round(2 * left / (rounds - killer.kills().count()), &mut || Ok(()))?;
    }
    let process = killer.start()?;
    let life = door.life();
    let begun = Instant::now();
    while settled.load(Ordering::Acquire) < life.0 {
        std::thread::park_timeout(Duration::from_millis(1));
        if begun.elapsed() > PATIENCE {
            return Err(RunError::Stuck(format!("the day did not end within {PATIENCE:?}")));
        }
    }
    process.ask_to_stop()?;
    Ok((killer.kills(), process.ended()?))
}

/// The trader with the day.
struct Driver<'a> {
    trader: Trader<'a>,
    steps: &'a [Step],
    /// The next step to be sent.
    next: usize,
    marks: u64,
    mark_price: Price,
    /// Raised when the day is over: nothing more will come of waiting.
    quiet: &'a AtomicBool,
    /// The life of the venue in which the trader knew everything.
    settled: &'a AtomicU64,
}

impl Driver<'_> {
    fn run(&mut self) {
        while let Some(mut client) = self.trader.open() {
            // It comes back, or the door says that it is over.
            let Gone = match self.trade(&mut client) {
                Ok(never) => never,
                Err(gone) => gone,
            };
        }
    }

    fn trade(&mut self, client: &mut Client) -> Result<Gone, Gone> {
        self.trader.recover(client)?;
        self.trader.send_again(client)?;
        while let Some(&step) = self.steps.get(self.next) {
            self.step(client, step)?;
            if self.trader.log().unanswered().len() >= WINDOW {
                self.trader.settle(client, WINDOW / 2)?;
            }
        }
        self.trader.settle(client, 0)?;
        self.mark(client)?;
        self.quiet.store(true, Ordering::Release);
        self.settled.store(self.trader.life.0, Ordering::Release);
        loop {
            self.trader.receive(client)?;
        }
    }

    fn step(&mut self, client: &mut Client, step: Step) -> Result<(), Gone> {
        let message = match step.request {
            Request::New(order) => STEPS.new_order(&order),
            Request::Cancel(request) => cancel(&request),
            Request::LeaveOpen { account, client_order_id, leaves } => {
                self.trader.settle(client, 0)?;
                self.mark(client)?;
                let order = self.trader.log().order((account.into(), client_order_id.into())).copied();
                let filled = order.map_or(0, |order| u64::try_from(order.cumulative).unwrap_or(0));
                STEPS.replace(&amend(account, client_order_id, Quantity(filled) + leaves))
            }
        };
        // It counts as sent from here on: if the venue goes, it is sent again by its number.
        self.next += 1;
        self.trader.send(client, message)
    }

    /// An order far from every other, and its cancel: when both are answered, every report before them has come.
    fn mark(&mut self, client: &mut Client) -> Result<(), Gone> {
        self.marks += 1;
        let (account, name) = (accounts().next().expect("there are accounts"), ClientOrderId(self.marks));
        let order = limit_order(place(Side::Buy, self.mark_price, Quantity(1)), TimeInForce::GoodTillCancel);
        let order = NewOrder { account, client_order_id: name, flags: OrderFlags::POST_ONLY, ..order };
        let ahead: [Message; 2] = [STEPS.new_order(&order), cancel(&cancel_of(account, name))];
        for message in ahead {
            self.trader.send(client, message)?;
        }
        self.trader.settle(client, 0)
    }
}

fn cancel_of(account: engine::AccountId, name: ClientOrderId) -> CancelOrder {
    CancelOrder {
        account,
        order_id: OrderId::NONE,
        original_client_order_id: name,
        client_order_id: ClientOrderId::NONE,
    }
}
