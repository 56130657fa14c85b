//! Delta debugging: the shortest stream that still differs in the same way.

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

/// Takes chunks out of the stream, from halves to single commands, as long as the difference stays of its kind.
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
        } else if !is_shorter {
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
            let rest = [&self.steps[..start], &self.steps[end..]].concat();
            self.runs += 1;
            if let Err(difference) = run_caught(&rest, options)
                && difference.kind == self.difference.kind
            {
                self.steps = rest;
                self.steps.truncate(difference.step + 1);
                self.difference = difference;
            }
            end = start.min(self.steps.len());
        }
        self.steps.len() < before
    }
}
