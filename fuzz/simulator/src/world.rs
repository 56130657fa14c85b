//! One world from one seed: a venue, those who trade, operate, watch and break in, and everything that goes wrong.
//!
//! ```text
//!   trouble ─► traders ─► strangers ─► door ─► core ─► writer ─► spares ─► hashing ─► market data ─► shadow ─► searches
//!                                       └───────────── each in its turn, or not ──────────────────────────────┘
//!   before every turn of the door and at every step: the truth
//! ```

mod end;
mod lives;
mod trouble;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::command::AddKey;
use engine::{
    AccountId, Capacity, Command, CommandBody, CommandHeader, KeyId, Nanoseconds, Quantity, SessionId, Timestamp,
};
use fuzz::subscribers::Audience;
use journal::{JournalId, Wrote};
use simulation::SimulatedDisk;
use testkit::random::Random;
use testkit::stream::{References, Step};
use testkit::workload::Workload;

use self::end::SETTLING_STEP_NS;
use crate::copies::Copy;
use crate::finding::{self, Checked, Finding, Promise};
use crate::insider::{INSIDER, Insider};
use crate::marks::{Group, Marks};
use crate::network::Wires;
use crate::orders;
use crate::plan::{Part, Plan};
use crate::plants::Plant;
use crate::process::{Machine, Process};
use crate::strangers::Strangers;
use crate::time::Clocks;
use crate::traders::{Sent, Trader, key_of};
use crate::truth::{Happened, Truth};

/// What an engine of these worlds carries.
pub const CAPACITY: Capacity = Capacity { orders: 1 << 12, ..Capacity::SMALL };

/// The key of operators.
const ADMINISTRATOR: KeyId = KeyId(3);
/// Sessions, and whose keys they are of.
const SESSIONS: [(SessionId, KeyId); 5] = [
    (SessionId(1), KeyId(1)),
    (SessionId(2), KeyId(1)),
    (SessionId(3), KeyId(2)),
    (SessionId(4), ADMINISTRATOR),
    (SessionId(5), KeyId(4)),
];
const SECOND_NS: u64 = 1_000_000_000;

/// What a world came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps.
    pub steps: u64,
    /// Simulated time.
    pub simulated_ns: u64,
    /// Commands that were released.
    pub commands: u64,
    /// Starts of the venue.
    pub starts: u64,
    /// Starts that the disk refused.
    pub refused_starts: u64,
    /// What was reached.
    pub marks: Marks,
    /// What subscribers came to.
    pub subscribers: fuzz::subscribers::Tally,
    /// State and events at the end, as text.
    pub digest: String,
}

/// A world in which a promise was broken, or none.
#[derive(Debug, Clone)]
pub struct Lived {
    /// The sums, up to there.
    pub tally: Tally,
    /// The broken promise.
    pub finding: Option<Finding>,
    /// What happened, if it was to be noted.
    pub log: Vec<String>,
}

/// Lives a plan.
pub fn live(plan: &Plan, plant: Option<Plant>, logs: bool) -> Lived {
    let mut world = World::new(*plan, plant, logs);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.live()));
    let finding = match outcome {
        Ok(lived) => lived.err().map(|finding| *finding),
        Err(panic) => {
            let found = finding::panicked(&*panic);
            if found.is_none() {
                world.marks.hit(Group::Trouble, "given up: a command causes more events than one thread can wait for");
            }
            found
        }
    };
    Lived { tally: world.sum(), finding, log: world.log }
}

struct World {
    plan: Plan,
    plant: Option<Plant>,
    clocks: Clocks,
    wires: Wires,
    machine: Machine,
    process: Option<Process>,
    truth: Truth,
    marks: Marks,
    tally: Tally,
    traders: Vec<Trader>,
    strangers: Strangers,
    insider: Insider,
    sent: Sent,
    /// Disks as they once were.
    older: Option<Copy>,
    audience: Audience,
    workload: Workload,
    names: References,
    /// What was wanted, by name.
    steps: BTreeMap<u32, Step>,
    /// What was handed to the core directly, by the time that it says.
    direct: BTreeMap<Timestamp, u32>,
    last_received: u64,
    /// How far the workload is, by its own time.
    workload_at: Timestamp,
    wanted: u64,
    /// Who decides what happens when: one for each part, and one for turns.
    random: Random,
    troubles: Vec<Random>,
    /// Until when.
    down_until: u64,
    frozen_until: u64,
    slow_until: u64,
    full_until: u64,
    wall_until: u64,
    stopping: bool,
    /// Whether anything goes wrong.
    has_trouble: bool,
    logs: bool,
    log: Vec<String>,
}

impl World {
    fn new(plan: Plan, plant: Option<Plant>, logs: bool) -> Self {
        let mut random = plan.random(1);
        let disk = |seed| SimulatedDisk::with_physical_sector(seed, plan.physical_bytes);
        let (segments, snapshots) = (disk(random.any()), disk(random.any()));
        plant.and_then(Plant::lie).into_iter().for_each(|lie| segments.lie(lie));
        let mut id = [0; 16];
        id.iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        let machine = Machine {
            folder: simulation::lives::temporary_folder(),
            segments,
            snapshots,
            journal: JournalId(id),
            segment_bytes: plan.physical_bytes as u64 * plan.segment_sectors,
            snapshot_every: plan.snapshot_every,
            plant,
            older: Default::default(),
        };
        let traders = SESSIONS
            .iter()
            .map(|&(session, key)| Trader::new(session, key, plan.random(100 + u64::from(session.0))))
            .collect();
        let lie = if plant == Some(Plant::PricesBent) {
            fuzz::subscribers::Fault::OtherPrices
        } else {
            fuzz::subscribers::Fault::None
        };
        let subscribers = if plan.has(Part::Subscribers) { plan.subscribers } else { 0 };
        let troubles = Part::ALL.iter().map(|&part| plan.random(200 + part as u64)).collect();
        Self {
            plan,
            plant,
            clocks: Clocks::default(),
            wires: Wires::new(plan.random(2).any(), plan.delay_max_ns),
            machine,
            process: None,
            truth: Truth::new(CAPACITY),
            marks: Marks::default(),
            tally: Tally::default(),
            traders,
            strangers: Strangers::new(plan.random(3)),
            insider: Insider::new(plan.random(6)),
            sent: Sent::default(),
            older: None,
            audience: Audience::new(subscribers, plan.random(4), lie),
            workload: Workload::new(plan.profile, plan.random(5).any()),
            names: References::default(),
            steps: BTreeMap::new(),
            direct: BTreeMap::new(),
            last_received: 0,
            workload_at: Timestamp(0),
            wanted: 0,
            random,
            troubles,
            down_until: 0,
            frozen_until: 0,
            slow_until: 0,
            full_until: 0,
            wall_until: 0,
            stopping: false,
            has_trouble: false,
            logs,
            log: Vec::new(),
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.logs {
            let at = self.clocks.elapsed_ns();
            let what = what();
            self.log.push(format!("{:>9}.{:06} ms  {what}", at / 1_000_000, at % 1_000_000));
        }
    }

    fn sum(&mut self) -> Tally {
        let mut tally = core::mem::take(&mut self.tally);
        tally.simulated_ns = self.clocks.elapsed_ns();
        tally.commands = self.truth.last().0;
        tally.marks = core::mem::take(&mut self.marks);
        tally.subscribers = self.audience.tally;
        tally
    }

    fn live(&mut self) -> Checked {
        self.found()?;
        self.has_trouble = true;
        while self.wanted < self.plan.commands {
            self.step(self.plan.step_ns)?;
        }
        self.settle()?;
        self.end()
    }

    /// The venue is founded, and nothing goes wrong.
    fn found(&mut self) -> Checked {
        self.start()?;
        while self.workload.is_opening() {
            self.want();
            self.step(SETTLING_STEP_NS)?;
        }
        for _ in 0..1_000 {
            if self.process.as_ref().is_some_and(|it| it.commands.waiting() == 0 && it.durable() == it.applied()) {
                break;
            }
            self.step(SETTLING_STEP_NS)?;
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clocks.right_ns()
    }

    // One step.

    fn step(&mut self, step_ns: u64) -> Checked {
        self.tally.steps += 1;
        self.clocks.pass(step_ns);
        self.wires.arrive(self.now());
        if self.has_trouble {
            self.trouble()?;
            if self.random.percent(self.plan.busy) {
                self.want();
            }
        }
        if self.process.is_none() && self.now() >= self.down_until {
            self.start()?;
        }
        if !self.workload.is_opening() {
            self.let_traders_act()?;
        }
        self.strangers.turn(&self.wires, &mut self.marks);
        if self.has_trouble && self.plan.has(Part::Insiders) {
            self.insider.turn(self.clocks.right_ns(), &self.wires, &mut self.marks);
        }
        if self.now() >= self.frozen_until {
            self.turn_venue()?;
        }
        self.audience.step().map_err(|it| Finding::new(Promise::BooksAreTrue, it))
    }

    fn let_traders_act(&mut self) -> Checked {
        let now = self.now();
        for index in 0..self.traders.len() {
            if self.has_trouble && self.random.percent(30) {
                continue;
            }
            let Self { traders, wires, truth, sent, marks, .. } = self;
            traders[index].turn(now, wires, truth, sent, marks)?;
        }
        Ok(())
    }

    /// Each part of the venue takes its turn, or does not.
    fn turn_venue(&mut self) -> Checked {
        let first = self.random.below(8) as usize;
        for place in 0..8 {
            let part = (first + place) % 8;
            let chance = if self.has_trouble { self.plan.turns[part] } else { 100 };
            if self.random.percent(chance) {
                self.turn_part(part)?;
            }
            if self.process.is_none() {
                return Ok(());
            }
            self.look_for_the_end()?;
        }
        self.release().map(drop)
    }

    fn turn_part(&mut self, part: usize) -> Checked {
        let now = self.now();
        // What goes out has to be known to the truth, which may not be able to read the disk for now.
        if (part == 0 || part == 5) && !self.release()? {
            return Ok(());
        }
        let slow = now < self.slow_until;
        let Self { process: Some(process), wires, machine, marks, audience, truth, plant, random, .. } = self else {
            return Ok(());
        };
        match part {
            0 => process.door.turn(wires.found()),
            1 => drop(process.turn_core()),
            2 if !slow && process.turn_writer() == Wrote::WaitsForSpare => {
                marks.hit(Group::Trouble, "the writer waits for a spare segment");
            }
            3 => drop(process.turn_spares()),
            4 => process.turn_hashing(),
            5 => {
                if *plant == Some(Plant::EventUnnoticed) && random.percent(2) {
                    let _ = process.for_market_data.poll();
                }
                audience.take(&mut process.for_market_data, truth.engine());
            }
            6 => drop(process.turn_shadow(machine, marks)?),
            7 => drop(process.turn_later()),
            _ => {}
        }
        Ok(())
    }

    /// What is durable and published becomes the truth, and those who wanted it learn of it; false: not all of it.
    fn release(&mut self) -> Checked<bool> {
        let Self { process: Some(process), truth, marks, .. } = self else { return Ok(true) };
        let released = truth.release(&mut process.follower, &mut process.events, marks);
        let is_whole = or_the_disk(released)?;
        if !is_whole {
            process.follow_again(truth.last().next());
        }
        self.learn()?;
        Ok(is_whole)
    }

    fn learn(&mut self) -> Checked {
        for Happened { command, events, numbered } in self.truth.take_happened() {
            let mut name = self.direct.get(&command.value.header.received_at).copied();
            if command.value.header.session != SessionId::NONE {
                name = None;
            }
            if let Some(numbered) = numbered.filter(|it| it.session != INSIDER) {
                let Some((wanted, request)) = self.sent.commands.get(&numbered) else {
                    let what = format!("{numbered:?} was journalled, and no trader has sent it: {:?}", command.value);
                    return Err(Finding::new(Promise::NobodyGetsIn, what));
                };
                if !orders::is_of(request, &command.value.body) {
                    let what = format!("{numbered:?} was sent as {request:?} and journalled as {:?}", command.value);
                    return Err(Finding::new(Promise::NobodyGetsIn, what));
                }
                name = Some(*wanted);
            }
            let unnamed = Step { name: 0, at: command.stamp.time, command: command.value };
            let step = name.and_then(|name| self.steps.get(&name)).copied().unwrap_or(unnamed);
            if step.name != 0 {
                self.names.learn(step.name, &events);
            }
            self.workload.observe(&step, &events);
            events.iter().for_each(|event| self.audience.event(event));
            self.note(|| {
                format!("{} {:?}: {} events", command.stamp.sequence, command.value.body.kind(), events.len())
            });
        }
        Ok(())
    }

    // What is wanted.

    /// Somebody wants the next thing.
    fn want(&mut self) {
        let now = self.now();
        let units = self.plan.scale.units(self.clocks.elapsed_ns());
        self.workload.wait(Nanoseconds(units.saturating_sub(self.workload_at.0)));
        let mut step = self.workload.next_step();
        (self.workload_at, self.wanted) = (step.at, self.wanted + 1);
        self.plan.scale.apply(&mut step.command.body);
        bound_icebergs(&mut step.command.body);
        if let CommandBody::AddKey(add) = &mut step.command.body
            && SESSIONS.iter().any(|(_, key)| *key == add.key)
        {
            *add = AddKey { public_key: key_of(add.key).verifying_key().to_bytes(), ..*add };
        }
        self.steps.insert(step.name, step);
        let command = self.names.resolve(&step.command);
        let account = account_of(&command.body);
        let instrument = match &command.body {
            CommandBody::ReplaceOrder(it) => {
                self.truth.instrument_of(account, it.order_id, it.original_client_order_id)
            }
            _ => None,
        };
        match orders::request(&command.body, self.truth.engine(), instrument.unwrap_or_default()) {
            Some(request) => {
                let index = self.trader_of(account);
                self.traders[index].want(step.name, request);
            }
            None if !self.has_trouble || self.plan.has(Part::Operators) => self.operate(step.name, command),
            None => {}
        }
        if self.plan.has(Part::Questions) && self.random.percent(5) {
            let index = self.random.below(self.traders.len() as u64) as usize;
            self.traders[index].ask(account, now);
        }
    }

    fn trader_of(&mut self, account: AccountId) -> usize {
        if self.random.percent(2) {
            return self.random.below(self.traders.len() as u64) as usize;
        }
        match account.0 {
            2 | 3 => self.random.below(2) as usize,
            0 | 1 => 3,
            _ => 2,
        }
    }

    /// What no trader sends: as the operator's door hands it to the core.
    fn operate(&mut self, name: u32, command: Command) {
        let author = match command.header.author {
            KeyId::VENUE if self.has_trouble => ADMINISTRATOR,
            author => author,
        };
        self.last_received = self.clocks.wall_ns().max(self.last_received + 1);
        let received_at = Timestamp(self.last_received);
        let header = CommandHeader { author, received_at, ..CommandHeader::VENUE };
        let command = Command { header, body: command.body };
        let Some(process) = self.process.as_ref().filter(|process| process.admits(&command)) else { return };
        if process.commands.submit(command).is_ok() {
            self.direct.insert(received_at, name);
        }
    }
}

/// An iceberg is shown eight times at most: how many events a command may cause is bounded in one thread.
fn bound_icebergs(body: &mut CommandBody) {
    let at_least = |display: &mut Quantity, quantity: Quantity| {
        if *display != Quantity::ABSENT && *display != Quantity::ZERO && quantity <= Quantity::MAX {
            display.0 = display.0.max(quantity.0 / 8);
        }
    };
    match body {
        CommandBody::NewOrder(order) => at_least(&mut order.display_quantity, order.quantity),
        CommandBody::ReplaceOrder(replace) if replace.quantity <= Quantity::MAX => {
            replace.quantity.0 = replace.quantity.0.min(40);
        }
        // Of an order that keeps its quantity, whatever that is.
        CommandBody::ReplaceOrder(replace) => replace.display_quantity = Quantity::ABSENT,
        _ => {}
    }
}

/// Whether it went well; what the disk does not let be read now is read later.
fn or_the_disk(released: Checked) -> Checked<bool> {
    match released {
        Ok(()) => Ok(true),
        Err(finding) if finding.is_of_a_disk() => Ok(false),
        Err(finding) => Err(finding),
    }
}

fn account_of(body: &CommandBody) -> AccountId {
    match body {
        CommandBody::NewOrder(order) => order.account,
        CommandBody::ReplaceOrder(replace) => replace.account,
        CommandBody::CancelOrder(cancel) => cancel.account,
        CommandBody::MassCancel(cancel) => cancel.account,
        CommandBody::KillSwitch(kill) => kill.account,
        _ => AccountId(2),
    }
}
