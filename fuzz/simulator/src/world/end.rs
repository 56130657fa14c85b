//! The end: nothing goes wrong any more, everybody gets on, and everything is looked at once more.

use std::sync::Arc;

use engine::canonical::Code;
use engine::command::Role;
use engine::{AccountId, EventSink, SessionId};
use gateway::rights::Rights;
use journal::{Entry, EventDigest, Query, Reader};

use super::{SECOND_NS, World};
use crate::finding::{Checked, Finding, Promise};
use crate::marks::Group;
use crate::process::Process;
use crate::traders::{About, Trader};

/// Steps in which nearly everybody gets on.
const SETTLING_STEPS: u64 = 30_000;
/// A step in which nothing goes wrong.
pub(super) const SETTLING_STEP_NS: u64 = 1_000_000;
/// Longer steps, in which whoever has failed often gets on: a client waits up to half a minute behind each of its
/// failures, and a minute where the venue has locked it out.
const LONG_STEPS: u64 = 30_000;
/// Such a step.
const LONG_STEP_NS: u64 = 10_000_000;

impl World {
    /// Nothing goes wrong any more: everybody gets on.
    pub(super) fn settle(&mut self) -> Checked {
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
        let steps = (0..SETTLING_STEPS).map(|_| SETTLING_STEP_NS).chain((0..LONG_STEPS).map(|_| LONG_STEP_NS));
        for step in steps {
            let commands = self.truth.last();
            self.step(step)?;
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

    pub(super) fn end(&mut self) -> Checked {
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
