//! Which snapshot a venue begins with: a decision about what was found, without files.
//!
//! The journal alone rebuilds everything, so a snapshot that cannot be used is passed over: an older one does as well, and
//! none does too. One case is no matter of speed. A snapshot is only taken of what is durable; one from behind the
//! journal's end proves that the journal has lost something, and going on would give its sequences to other commands.

use engine::Sequence;

use crate::decision::{Action, State};
use crate::error::SnapshotFault;
use crate::segment::JournalId;

/// A snapshot that was found, and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The journal that it says it belongs to.
    pub journal: JournalId,
    /// The last command that it holds.
    pub sequence: Sequence,
    /// What reading it showed.
    pub verdict: Verdict,
}

/// What reading a snapshot showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it was written.
    Whole,
    /// It is not; nothing that it says can be believed, its sequence included.
    Damaged,
    /// It is whole, and a replay behind it did not lead to the digest that the journal says.
    Differs,
}

/// What to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// With the snapshot at this place among the candidates.
    Snapshot(usize),
    /// With an empty engine and the journal's first command.
    WholeJournal,
}

/// What was decided about snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What to begin with.
    pub choice: Choice,
    /// The candidates that cannot be used, by their place, and why: to be reported.
    pub passed_over: Vec<(usize, SnapshotFault)>,
}

impl Chosen {
    /// The state in which the snapshots were found.
    pub fn state(&self) -> State {
        match self.choice {
            Choice::Snapshot(_) => State::SnapshotGood,
            Choice::WholeJournal => State::SnapshotNone,
        }
    }
}

/// The newest candidate that continues into the journal, which is called `journal` and ends behind `last`.
///
/// # Errors
/// The place of the candidate that shows that the journal has lost something, and what it shows.
pub fn choose(journal: JournalId, last: Sequence, candidates: &[Candidate]) -> Result<Chosen, (usize, SnapshotFault)> {
    let mut usable = Vec::new();
    let mut passed_over = Vec::new();
    for (place, candidate) in candidates.iter().enumerate() {
        match candidate.fault(journal, last) {
            None => usable.push((candidate.sequence, place)),
            Some(fault) => match State::from(&fault).decision().action {
                Action::Refuse => return Err((place, fault)),
                Action::UseOlder | Action::GoOn | Action::CutAndGoOn | Action::AdoptAndGoOn => {
                    passed_over.push((place, fault));
                }
            },
        }
    }
    let choice = usable.iter().max().map_or(Choice::WholeJournal, |&(_, place)| Choice::Snapshot(place));
    Ok(Chosen { choice, passed_over })
}

impl Candidate {
    /// Why it cannot be used.
    fn fault(&self, journal: JournalId, last: Sequence) -> Option<SnapshotFault> {
        if self.verdict == Verdict::Damaged {
            Some(SnapshotFault::Damaged)
        } else if self.journal != journal {
            Some(SnapshotFault::Foreign { journal: self.journal })
        } else if self.sequence > last {
            Some(SnapshotFault::Newer { sequence: self.sequence, last })
        } else if self.verdict == Verdict::Differs {
            Some(SnapshotFault::Differs)
        } else {
            None
        }
    }
}
