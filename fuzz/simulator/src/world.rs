//! One world from one seed: a venue, those who trade, operate, watch and break in, and everything that goes wrong.
//!
//! ```text
//!   trouble ─► traders ─► strangers ─► door ─► core ─► writer ─► spares ─► hashing ─► market data ─► shadow ─► searches
//!                                       └───────────── each in its turn, or not ──────────────────────────────┘
//!   before every turn of the door and at every step: the truth
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use engine::canonical::Code;
use engine::command::{AddKey, Role};
use engine::{
    AccountId, Capacity, Command, CommandBody, CommandHeader, EventSink, KeyId, Nanoseconds, Quantity, SessionId,
    Timestamp,
};
use fuzz::subscribers::Audience;
use gateway::rights::Rights;
use gateway::session::SessionLimits;
use gateway::throttle::Throttles;
use journal::{Entry, EventDigest, JournalId, Query, Reader, Wrote};
use marketdata::Limits;
use simulation::{Failure, Fault, Operation, SimulatedDisk};
use testkit::random::Random;
use testkit::stream::{References, Step};
use testkit::workload::Workload;

use crate::copies::{self, Copy};
use crate::finding::{Checked, Finding, Promise};
use crate::insider::{INSIDER, Insider};
use crate::marks::{Group, Marks};
use crate::network::{Cut, Wires};
use crate::orders;
use crate::plan::{Part, Plan};
use crate::plants::Plant;
use crate::process::{self, Machine, Process, Started};
use crate::strangers::Strangers;
use crate::time::Clocks;
use crate::traders::{About, Sent, Trader, key_of};
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
/// Steps in which everybody has to get on when nothing goes wrong any more.
const SETTLING_STEPS: u64 = 30_000;
/// A step then.
const SETTLING_STEP_NS: u64 = 1_000_000;
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
    let finding = outcome.map_or_else(
        |panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Some(Finding { promise: Promise::NoPanic, what: text })
        },
        |lived| lived.err().map(|finding| *finding),
    );
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
            self.want()?;
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
                self.want()?;
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
        self.audience.step(self.now()).map_err(|it| Finding::new(Promise::BooksAreTrue, it))
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
    fn want(&mut self) -> Checked {
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
        let name = |it: &CommandBody| match it {
            CommandBody::ReplaceOrder(it) => (it.order_id, it.original_client_order_id),
            _ => Default::default(),
        };
        let (order_id, client_order_id) = name(&command.body);
        let instrument = self.truth.instrument_of(account, order_id, client_order_id).unwrap_or_default();
        match orders::request(&command.body, self.truth.engine(), instrument) {
            Some(request) => {
                let index = self.trader_of(account);
                self.traders[index].want(step.name, request);
            }
            None if self.workload_is_opening(&step) || self.plan.has(Part::Operators) => {
                self.operate(step.name, command)
            }
            None => {}
        }
        if self.plan.has(Part::Questions) && self.random.percent(5) {
            let index = self.random.below(self.traders.len() as u64) as usize;
            self.traders[index].ask(account, now);
        }
        Ok(())
    }

    fn workload_is_opening(&self, _: &Step) -> bool {
        !self.has_trouble
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

    // What goes wrong.

    /// Whether a kind of trouble strikes now.
    fn strikes(&mut self, part: Part, weight: u64) -> bool {
        let strikes = self.troubles[part as usize].below(100_000) < self.plan.trouble * weight;
        let strikes = strikes && self.plan.has(part);
        if strikes {
            self.marks.hit(Group::Trouble, part.name());
            self.note(|| format!("trouble: {}", part.name()));
        }
        strikes
    }

    fn trouble(&mut self) -> Checked {
        self.end_some_trouble();
        if self.process.is_some() {
            if self.strikes(Part::Kills, 2) {
                return self.kill();
            }
            if self.strikes(Part::PowerLosses, 2) {
                return self.lose_power();
            }
            if self.strikes(Part::Stops, 1) && !self.stopping {
                self.stopping = true;
                self.process.iter().for_each(Process::ask_to_stop);
            }
            if self.strikes(Part::DiskFaults, 4) {
                self.arm();
            }
        }
        self.trouble_of_disks();
        self.trouble_of_links();
        if self.strikes(Part::Clocks, 3) {
            let random = &mut self.troubles[Part::Clocks as usize];
            let off = random.one_of(&[3_600, -3_600, 2, -2, 30, -30]) * SECOND_NS as i64;
            self.wall_until = self.clocks.right_ns() + random.between(1, 20) * SECOND_NS / 4;
            self.clocks.set_wall(off);
        }
        if self.strikes(Part::Freezes, 3) {
            let length = self.troubles[Part::Freezes as usize].between(1, 3_000) * 1_000_000;
            self.frozen_until = self.now() + length;
        }
        if self.strikes(Part::Deaths, 6) {
            let random = &mut self.troubles[Part::Deaths as usize];
            let index = random.below(self.traders.len() as u64) as usize;
            let how = random.one_of(&[None, Some(Cut::Reset), Some(Cut::HalfOpen)]);
            self.traders[index].die(self.clocks.right_ns(), &self.wires, &mut self.sent, how);
        }
        if self.strikes(Part::Liars, 10) {
            let now = self.now();
            self.strangers.lie(now, &self.wires, &self.sent);
        }
        if self.strikes(Part::Floods, 2) {
            self.strangers.flood(&self.wires);
        }
        if self.plan.has(Part::Operators) && self.random.percent(1) {
            self.process.iter().for_each(|process| process.snapshot.ask());
        }
        Ok(())
    }

    fn end_some_trouble(&mut self) {
        let now = self.now();
        if self.wall_until != 0 && now >= self.wall_until {
            self.wall_until = 0;
            self.clocks.set_wall(0);
        }
        if self.full_until != 0 && now >= self.full_until {
            self.full_until = 0;
            self.machine.segments.disarm();
        }
    }

    fn trouble_of_disks(&mut self) {
        if self.strikes(Part::FullDisk, 2) && self.full_until == 0 {
            let length = self.troubles[Part::FullDisk as usize].between(10, 5_000) * 1_000_000;
            self.full_until = self.now() + length;
            self.machine.segments.arm(Fault::at(1).of(&[Operation::Create]).times(1 << 40));
        }
        if self.strikes(Part::SlowDisk, 4) {
            let length = self.troubles[Part::SlowDisk as usize].between(1, 5_000) * 1_000_000;
            self.slow_until = self.now() + length;
        }
    }

    fn trouble_of_links(&mut self) {
        for (part, how) in [(Part::Cuts, Cut::Reset), (Part::HalfOpen, Cut::HalfOpen)] {
            if self.strikes(part, 8) {
                let index = self.troubles[part as usize].below(self.traders.len() as u64) as usize;
                self.traders[index].wire().into_iter().for_each(|wire| self.wires.cut(wire, how));
            }
        }
        if self.strikes(Part::Delays, 4) {
            let random = &mut self.troubles[Part::Delays as usize];
            let until = self.clocks.right_ns() + random.between(1, 2_000) * 1_000_000;
            let index = random.below(self.traders.len() as u64) as usize;
            let delay = random.one_of(&[0, self.plan.delay_max_ns, 300_000_000]);
            self.traders[index].stall(until);
            self.wires.set_delay_max(delay);
        }
    }

    /// Something of a disk is about to fail.
    fn arm(&mut self) {
        let random = &mut self.troubles[Part::DiskFaults as usize];
        let number = 1 + random.below(40);
        let few = [
            vec![Operation::Sync],
            vec![Operation::Write],
            vec![Operation::Sync, Operation::Settle],
            vec![Operation::Create, Operation::Rename, Operation::Remove, Operation::SyncDirectory],
        ];
        let failure = match random.below(8) {
            0..3 => Failure::Halt,
            3 => Failure::Refused,
            4 => Failure::Halfway,
            5 => Failure::Short(random.below(600) as usize),
            _ => Failure::CalledClean,
        };
        let fault = Fault::at(number).with(failure);
        let fault = match random.below(6) as usize {
            kind if kind < few.len() => fault.of(&few[kind]),
            _ => fault,
        };
        let fault = if random.percent(10) { fault.for_ever() } else { fault };
        let is_of_snapshots = random.percent(25);
        self.note(|| format!("armed: {fault}{}", if is_of_snapshots { ", of snapshots" } else { "" }));
        if is_of_snapshots { self.machine.snapshots.arm(fault) } else { self.machine.segments.arm(fault) }
    }

    // Ends and starts.

    /// What ends a process from inside, if something has.
    fn look_for_the_end(&mut self) -> Checked {
        let Some(process) = &self.process else { return Ok(()) };
        let has_halted = self.machine.segments.is_dead() || self.machine.snapshots.is_dead();
        if has_halted {
            self.marks.hit(Group::Trouble, "the machine halts in an operation");
            return if self.random.percent(50) { self.lose_power() } else { self.kill() };
        }
        if process.failure.is_some() {
            let why = process.writer_failure().unwrap_or_default();
            if !why.contains("was made to") {
                return Err(Finding::new(
                    Promise::StartsAgain,
                    format!("the journal stops, and the disk does not: {why}"),
                ));
            }
            self.marks.hit(Group::Trouble, "the journal stops at a failure of the disk");
            return if self.random.percent(50) { self.lose_power() } else { self.kill() };
        }
        if self.stopping && process.door.is_done() {
            return self.stop();
        }
        Ok(())
    }

    /// The process ends; the machine goes on.
    fn kill(&mut self) -> Checked {
        self.note(|| "the process is killed".to_owned());
        self.gone(Cut::Reset)?;
        self.machine.segments.end_process();
        self.machine.snapshots.end_process();
        self.meanwhile()
    }

    /// The machine's power goes and comes back.
    fn lose_power(&mut self) -> Checked {
        self.note(|| "the power is lost".to_owned());
        let silently = self.random.percent(50);
        self.gone(if silently { Cut::HalfOpen } else { Cut::Reset })?;
        self.machine.segments.lose_power();
        self.machine.snapshots.lose_power();
        if let Some(head) = self.machine.head() {
            if self.random.percent(50) {
                fs::remove_file(head).expect("it is there");
            } else {
                process::age(&head);
            }
        }
        self.tear_history();
        self.meanwhile()
    }

    fn gone(&mut self, how: Cut) -> Checked {
        self.release()?;
        if let Some(process) = self.process.take() {
            self.marks.visited(process.door.visited());
            self.wires.host_gone(how);
            process.die();
        }
        self.stopping = false;
        self.audience.shut();
        self.full_until = 0;
        self.down_until = self.now() + self.random.between(0, 2_000) * 1_000_000;
        Ok(())
    }

    /// An orderly stop, behind the door's.
    fn stop(&mut self) -> Checked {
        self.release()?;
        self.stopping = false;
        let Some(process) = self.process.take() else { return Ok(()) };
        self.marks.visited(process.door.visited());
        let Self { truth, marks, .. } = self;
        let is_sealed =
            process.end(|follower, events| or_the_disk(truth.release(follower, events, marks)).map(drop))?;
        self.note(|| format!("the venue is stopped in order, sealed: {is_sealed}"));
        self.marks.hit(Group::Trouble, if is_sealed { "sealed" } else { "the disk does not let it seal" });
        self.wires.host_gone(Cut::Reset);
        self.audience.shut();
        self.learn()?;
        self.full_until = 0;
        self.machine.segments.end_process();
        self.machine.snapshots.end_process();
        self.down_until = self.now() + self.random.between(0, 500) * 1_000_000;
        self.meanwhile()
    }

    /// While nobody looks, bits rot where there is a second copy.
    fn meanwhile(&mut self) -> Checked {
        if self.strikes(Part::Copies, 300) {
            let Self { machine, older, truth, troubles, marks, .. } = self;
            let random = &mut troubles[Part::Copies as usize];
            copies::examine(machine, older.as_ref(), truth, random, marks)?;
            if random.percent(40) {
                *older = Some(Copy::of(machine));
            }
        }
        if self.strikes(Part::Rot, 300) {
            self.rot();
        }
        Ok(())
    }

    fn rot(&mut self) {
        let random = &mut self.troubles[Part::Rot as usize];
        let names = self.machine.snapshots.names();
        if !names.is_empty() && random.percent(60) {
            let name = &names[random.below(names.len() as u64) as usize];
            let length = self.machine.snapshots.read(name).len() as u64;
            if length > 0 {
                self.machine.snapshots.flip(name, random.below(length) as usize, 1 << random.below(8));
            }
            return;
        }
        let files = history_files(&self.machine);
        if let Some(file) = files.get(random.below(files.len().max(1) as u64) as usize) {
            let mut bytes = fs::read(file).expect("a file in memory");
            if !bytes.is_empty() {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
                fs::write(file, bytes).expect("a file in memory");
            }
        }
    }

    /// What was derived is written through the page cache: a power loss takes some of its end.
    fn tear_history(&mut self) {
        for file in history_files(&self.machine) {
            if self.random.percent(30) {
                let bytes = fs::read(&file).expect("a file in memory");
                let kept = self.random.below(bytes.len() as u64 + 1) as usize;
                fs::write(&file, &bytes[..kept]).expect("a file in memory");
            }
        }
    }

    fn start(&mut self) -> Checked {
        self.tally.starts += 1;
        let limits = SessionLimits { throttles: Throttles::DEFAULT, ..SessionLimits::DEFAULT };
        let Self { machine, clocks, wires, truth, marks, .. } = self;
        let started = Process::start(machine, clocks, wires, limits, truth, marks)?;
        let Some(Started { process, feed }) = started else {
            self.note(|| "the disk does not let the venue start".to_owned());
            self.tally.refused_starts += 1;
            self.machine.segments.end_process();
            self.machine.snapshots.end_process();
            self.down_until = self.now() + self.random.between(1, 100) * 1_000_000;
            return Ok(());
        };
        self.process = Some(process);
        self.note(|| "the venue starts".to_owned());
        self.learn()?;
        let clock = self.clocks.clone();
        let limits = Limits {
            backlog_bytes_max: 30_000,
            backlog_age_max: Duration::from_millis(400),
            group_bytes_max: 4_000,
            ..Limits::default()
        };
        self.audience.open(feed, limits, Arc::new(move || wire::Timestamp(clock.right_ns())));
        Ok(())
    }

    // The end.

    /// Nothing goes wrong any more: everybody gets on.
    fn settle(&mut self) -> Checked {
        self.note(|| "nothing goes wrong any more".to_owned());
        self.has_trouble = false;
        self.clocks.set_wall(0);
        self.machine.segments.disarm();
        self.machine.snapshots.disarm();
        self.wires.set_delay_max(1_000_000);
        (self.frozen_until, self.slow_until, self.down_until) = (0, 0, 0);
        self.traders.iter_mut().for_each(|trader| trader.stall(0));
        self.strangers.leave(&self.wires);
        self.insider.leave(&self.wires);
        self.audience.be_good();
        for _ in 0..SETTLING_STEPS {
            let commands = self.truth.last();
            self.step(SETTLING_STEP_NS)?;
            if self.is_settled() {
                return Ok(());
            }
            if self.truth.last() == commands && self.wires.is_quiet() {
                self.wait_for_somebody();
            }
        }
        let traders: Vec<String> = self.traders.iter().map(Trader::describe).collect();
        let venue = self.process.as_ref().map_or_else(
            || "there is no venue".to_owned(),
            |it| format!("applied {}, durable {}, waiting {}", it.applied(), it.durable(), it.commands.waiting()),
        );
        let audience =
            if self.audience.has_arrived() { "subscribers have arrived" } else { "subscribers have not arrived" };
        let open =
            self.left_open().map_or_else(String::new, |session| format!("{session} is open and nobody speaks; "));
        Err(Finding::new(Promise::GetsOn, format!("{venue}; {audience}; {open}{}", traders.join("; "))))
    }

    fn is_settled(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let time = process.time();
        let is_done = process.commands.waiting() == 0
            && process.durable() == process.applied()
            && self.truth.last() == process.applied()
            && process.reached() >= process.durable()
            && self.truth.engine().next_deadline().0.saturating_add(20 * SETTLING_STEP_NS) >= time
            && !self.stopping;
        // Who is not heard has to be missed first.
        let is_heard = |trader: &Trader| trader.wire().is_none_or(|wire| !self.wires.is_silent(wire));
        is_done
            && self.left_open().is_none()
            && self.traders.iter().all(is_heard)
            && self.traders.iter().all(|trader| trader.has_arrived() || self.is_out(trader))
            && self.audience.has_arrived()
    }

    /// Whether a trader may not come in any more.
    fn is_out(&self, trader: &Trader) -> bool {
        let rights = Rights::of(self.truth.engine());
        let may_come = rights
            .key(trader.key())
            .is_some_and(|key| key.may_come_from(trader.address()) && Role::ALL.iter().any(|&role| key.acts_as(role)));
        // Sessions that nobody has are anybody's who comes first.
        let session = self.truth.engine().sessions().find(|session| session.session == trader.session());
        let is_taken = session.is_some_and(|session| session.key != trader.key());
        trader.gave_up().is_some() && (is_taken || !may_come)
    }

    /// Nobody has anything to do: time goes on to when somebody has.
    fn wait_for_somebody(&mut self) {
        let now = self.now();
        let traders = self.traders.iter().map(|trader| trader.next_deadline(now));
        let door = self.process.as_ref().map_or(u64::MAX, |process| process.door.next_deadline().0);
        let next = traders.chain([door]).min().unwrap_or(u64::MAX);
        if next > now {
            self.clocks.pass((next - now).min(SECOND_NS));
        }
    }

    fn end(&mut self) -> Checked {
        self.release()?;
        self.truth.compare_states()?;
        self.audience.end(self.truth.engine()).map_err(|it| Finding::new(Promise::BooksAreTrue, it))?;
        self.check_history()?;
        self.check_answers()?;
        self.process.iter().for_each(Process::ask_to_stop);
        for _ in 0..10_000 {
            let Some(process) = &mut self.process else { break };
            process.door.turn(self.wires.found());
            if process.door.is_done() {
                break;
            }
            self.step(SETTLING_STEP_NS)?;
        }
        let process = self.process.take().ok_or_else(|| Finding::new(Promise::GetsOn, "there is no venue"))?;
        self.marks.visited(process.door.visited());
        let Self { truth, marks, .. } = self;
        if !process.end(|follower, events| truth.release(follower, events, marks))? {
            return Err(Finding::new(Promise::GetsOn, "the journal is not sealed"));
        }
        self.check_journal()?;
        self.tally.digest = format!("{} {}", journal::state_digest(self.truth.engine()), self.truth.event_digest());
        Ok(())
    }

    /// A session that the core takes for open, and nobody speaks for.
    fn left_open(&self) -> Option<SessionId> {
        let speaks = |session| self.traders.iter().any(|trader| trader.session() == session && trader.has_arrived());
        self.truth.open_sessions().into_iter().find(|&session| !speaks(session))
    }

    /// Traders are told the orders and balances that there are.
    fn check_answers(&mut self) -> Checked {
        let accounts: Vec<AccountId> = self.truth.engine().accounts().map(|it| it.account).collect();
        for index in 0..self.traders.len() {
            for &account in &accounts {
                for about in [About::Orders, About::Balances] {
                    self.check_answer(index, account, about)?;
                }
            }
        }
        Ok(())
    }

    fn check_answer(&mut self, index: usize, account: AccountId, about: About) -> Checked {
        let rights = Rights::of(self.truth.engine());
        let may_read = rights.key(self.traders[index].key()).is_some_and(|key| key.may_read(account));
        if !may_read || !self.traders[index].has_arrived() {
            return Ok(());
        }
        // Questions have a budget.
        self.step(50 * SETTLING_STEP_NS)?;
        let now = self.now();
        self.traders[index].ask_all(account, about, now);
        for _ in 0..500 {
            self.step(SETTLING_STEP_NS)?;
            if let Some(answers) = self.traders[index].answers() {
                let is_of_now = self.truth.answered(account, about, answers)?;
                self.marks.hit(Group::Session, if is_of_now { "an answer is true" } else { "an answer is of before" });
                return Ok(());
            }
        }
        let who = self.traders[index].describe();
        let what = format!("{about:?} of {account} were asked for and not answered; {who}");
        Err(Finding::new(Promise::GetsOn, what))
    }

    /// The history shows every event.
    fn check_history(&self) -> Checked {
        let not_true = |what: String| Finding::new(Promise::HistoryIsTrue, what);
        let process = self.process.as_ref().ok_or_else(|| Finding::new(Promise::GetsOn, "there is no venue"))?;
        let history = process.history().ok_or_else(|| not_true("there is no history".to_owned()))?;
        let mut digest = EventDigest::new();
        for event in history.events(&Query::default()) {
            let (header, event) = event.map_err(|it| not_true(it.to_string()))?;
            digest.event(&header, &event);
        }
        digest.applied(self.truth.last());
        let (own, told) = (self.truth.event_digest(), digest.value());
        if own == told { Ok(()) } else { Err(not_true(format!("its events have digest {told}, and it is {own}"))) }
    }

    /// The journal is whole, sealed, and holds what happened.
    fn check_journal(&mut self) -> Checked {
        let lost = |what: String| Finding::new(Promise::NothingIsLost, what);
        let durable = Arc::new(self.machine.segments.durable_copy());
        let reader = Reader::with_storage(durable).map_err(|it| lost(it.to_string()))?;
        let mut reader = reader.ok_or_else(|| lost("there is no journal".to_owned()))?;
        let (mut commands, mut seal) = (0, None);
        for entry in &mut reader {
            match entry.map_err(|it| lost(it.to_string()))? {
                Entry::Command(_) => commands += 1,
                Entry::EventDigest(_) => {}
                Entry::Seal(found) => seal = Some(found),
            }
        }
        let (last, digest) = (self.truth.last(), self.truth.event_digest());
        if commands != last.0 {
            return Err(lost(format!("{commands} commands are on the device at the end, and {last} were released")));
        }
        match seal {
            Some(seal) if seal.last == last && seal.event_digest == digest => Ok(()),
            other => {
                Err(Finding::new(Promise::EventsAreTrue, format!("the seal is {other:?}, and events have {digest}")))
            }
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

/// The files of the event history, in order.
fn history_files(machine: &Machine) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(machine.data().join(journal::HISTORY_FOLDER)) else { return Vec::new() };
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}
