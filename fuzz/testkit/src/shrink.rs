//! Delta debugging: the shortest stream that still differs in the same way.

use engine::command::{AdminNote, OpenAccount};
use engine::{ClientOrderId, Command, CommandBody, CommandHeader, OnDisconnect, Quantity, StpGroup, Timestamp};

use crate::compare::{Difference, Options, run_caught};
use crate::stream::Step;

/// A stream of which no command can be left out.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// What is left.
    pub steps: Vec<Step>,
    /// How it differs.
    pub difference: Difference,
    /// How many streams were tried.
    pub runs: usize,
}

/// Takes chunks out of the stream, from halves to single commands, and makes what is left plainer, as long as the
/// difference stays of its kind.
///
/// State is compared after every step, so that a difference shows where it arises; its kind may be another there.
/// `None` if the stream does not differ when it is run again.
pub fn shrink(steps: &[Step], options: Options) -> Option<Shrunk> {
    let options = Options { state_every: 1, ..options };
    let difference = run_caught(steps, options).err()?;
    let mut steps = steps.to_vec();
    steps.truncate(difference.step + 1);
    let mut shrunk = Shrunk { steps, difference, runs: 1 };
    let mut chunk = (shrunk.steps.len() / 2).max(1);
    loop {
        let is_shorter = shrunk.remove_chunks(chunk, options);
        if chunk > 1 {
            chunk /= 2;
        } else if !is_shorter && !shrunk.simplify(options) {
            return Some(shrunk);
        }
    }
}

impl Shrunk {
    /// Tries every chunk of a length, last first; whether any could go.
    fn remove_chunks(&mut self, chunk: usize, options: Options) -> bool {
        let before = self.steps.len();
        let mut end = before;
        while end > 0 {
            let start = end.saturating_sub(chunk);
            self.accept([&self.steps[..start], &self.steps[end..]].concat(), options);
            end = start.min(self.steps.len());
        }
        self.steps.len() < before
    }

    /// Makes single commands plainer where that changes nothing; whether any became so.
    fn simplify(&mut self, options: Options) -> bool {
        let mut is_plainer = false;
        let mut at = 0;
        while at < self.steps.len() {
            for plainer in plainer(&self.steps[at]) {
                let mut steps = self.steps.clone();
                steps[at] = plainer;
                if self.accept(steps, options) {
                    is_plainer = true;
                    break;
                }
            }
            at += 1;
        }
        is_plainer
    }

    /// Goes on with a stream if it differs as this one does.
    fn accept(&mut self, steps: Vec<Step>, options: Options) -> bool {
        self.runs += 1;
        let Err(difference) = run_caught(&steps, options) else { return false };
        let is_same = difference.kind == self.difference.kind;
        if is_same {
            self.steps = steps;
            self.steps.truncate(difference.step + 1);
            self.difference = difference;
        }
        is_same
    }
}

/// The step with less that has to be understood, all at once and in parts.
fn plainer(step: &Step) -> Vec<Step> {
    let mut from_venue = *step;
    from_venue.command.header = CommandHeader::VENUE;
    let mut first = from_venue;
    first.at = Timestamp::NONE;
    let mut plain = *step;
    match &mut plain.command.body {
        CommandBody::OpenAccount(it) => {
            *it = OpenAccount {
                stp_group: StpGroup::NONE,
                self_trade_prevention: None,
                fee_tier: 0,
                note: AdminNote::NONE,
                ..*it
            };
        }
        CommandBody::NewOrder(it) => {
            it.on_disconnect = OnDisconnect::AsSession;
            it.display_quantity = Quantity::ABSENT;
            it.minimum_quantity = Quantity::ABSENT;
        }
        CommandBody::CancelOrder(it) => it.client_order_id = ClientOrderId::NONE,
        CommandBody::MassCancel(it) => {
            it.note = AdminNote::NONE;
            it.client_order_id = ClientOrderId::NONE;
        }
        CommandBody::KillSwitch(it) => it.note = AdminNote::NONE,
        CommandBody::SetPhase(it) => it.note = AdminNote::NONE,
        CommandBody::SetFees(it) => it.note = AdminNote::NONE,
        CommandBody::SetPriceProtection(it) => it.note = AdminNote::NONE,
        CommandBody::SetCalendarEntry(it) => it.note = AdminNote::NONE,
        CommandBody::SetRandomSeed(it) => it.note = AdminNote::NONE,
        _ => {}
    }
    let all = Step { command: Command { body: plain.command.body, ..first.command }, ..first };
    let mut steps = vec![all, plain, first, from_venue];
    steps.retain(|plainer| plainer != step);
    steps
}
