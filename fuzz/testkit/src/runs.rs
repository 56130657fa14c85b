//! Streams of a profile and a seed, made while they are compared: what a command names follows from what happened.

use crate::compare::{Difference, Options, Pair, Tally, caught};
use crate::stream::Step;
use crate::workload::{Profile, Workload};

/// A stream and what came of it.
#[derive(Debug, Clone)]
pub struct Run {
    /// The stream, to the difference if there is one.
    pub steps: Vec<Step>,
    /// What was compared until then.
    pub tally: Tally,
    /// The first difference.
    pub difference: Option<Difference>,
}

/// Compares `commands` commands of a profile and a seed, the venue's opening included.
pub fn run(profile: Profile, seed: u64, commands: usize, options: Options) -> Run {
    let mut workload = Workload::new(profile, seed);
    let mut pair = Pair::new(options);
    let mut steps = Vec::with_capacity(commands);
    let mut difference = None;
    while difference.is_none() && steps.len() < commands {
        let step = workload.next_step();
        match caught(steps.len(), || pair.step(&step)) {
            Ok(events) => workload.observe(&step, &events),
            Err(found) => difference = Some(found),
        }
        steps.push(step);
    }
    let difference = difference.or_else(|| caught(steps.len(), || pair.compare_states()).err());
    Run { steps, tally: pair.tally().clone(), difference }
}
