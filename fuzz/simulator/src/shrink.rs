//! The smallest world in which the same promise is broken: fewer kinds of trouble, and fewer commands.

use crate::finding::Promise;
use crate::plan::{Part, Plan};
use crate::plants::Plant;
use crate::world::{Lived, live};

/// What is left of a world.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// How the promise is broken there.
    pub lived: Lived,
    /// How many worlds were tried.
    pub tried: u64,
}

/// Leaves out parts, and then commands, as long as the same promise is broken. Nothing if the plan breaks none.
pub fn shrink(plan: &Plan, plant: Option<Plant>) -> Option<Shrunk> {
    let lived = live(plan, plant, true);
    let promise = lived.finding.as_ref()?.promise;
    let mut shrunk = Shrunk { plan: *plan, lived, tried: 1 };
    for &part in Part::ALL {
        shrunk.accept(Plan { without: shrunk.plan.without.with(part), ..shrunk.plan }, plant, promise);
    }
    let mut cut = shrunk.plan.commands / 2;
    while cut > 0 {
        let fewer = Plan { commands: shrunk.plan.commands.saturating_sub(cut), ..shrunk.plan };
        if fewer.commands == 0 || !shrunk.accept(fewer, plant, promise) {
            cut /= 2;
        }
    }
    Some(shrunk)
}

impl Shrunk {
    fn accept(&mut self, plan: Plan, plant: Option<Plant>, promise: Promise) -> bool {
        self.tried += 1;
        let lived = live(&plan, plant, true);
        let is_same = lived.finding.as_ref().is_some_and(|finding| finding.promise == promise);
        if is_same {
            (self.plan, self.lived) = (plan, lived);
        }
        is_same
    }
}
