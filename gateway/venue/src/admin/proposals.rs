//! Changes that wait for a second key.
//!
//! What waits is rebuilt from the access log, where every proposal and every decision is before it counts. There are at most
//! so many at once, and each waits for a day.

use std::collections::{BTreeMap, VecDeque};

use engine::{IdempotencyKey, KeyId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::access_log::{Entry, Line, Step};

/// Proposals that wait at once.
pub(crate) const PROPOSALS_MAX: usize = 256;

/// How long one waits.
pub(crate) const WAITS_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// Decided proposals that are remembered, so that a request that is repeated is told what became of it.
const DECIDED_MAX: usize = 4_096;

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Proposal {
    /// Its number.
    pub(crate) id: u64,
    /// Until when it waits, in nanoseconds since 1970.
    pub(crate) expires_at: u64,
    /// Whose it is.
    pub(crate) by: u32,
    /// The change's noun and verb.
    pub(crate) path: String,
    /// What is asked.
    #[schema(value_type = Object)]
    pub(crate) change: Value,
    /// Why.
    pub(crate) reason: String,
    /// The name that its proposer gave it.
    pub(crate) request: u64,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A second key approved of it.
    Approved,
    /// A second key did not.
    Rejected,
    /// Nobody decided in time.
    Expired,
}

/// Why a proposal is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotWaiting {
    /// None has that number, or it was long ago.
    Unknown,
    /// It has ended so.
    Decided(Decision),
}

/// Why a change cannot be proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotProposed {
    /// Its name was used for another proposal, or for one that is decided.
    Repeated,
    /// Too many wait.
    TooMany,
}

/// What waits, and what was decided of late.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    waiting: BTreeMap<u64, Proposal>,
    /// Other numbers of proposals that are on record more than once, and those that they go by.
    repeats: BTreeMap<u64, u64>,
    decided: VecDeque<(Proposal, Decision)>,
}

impl Proposals {
    /// Takes in what a line of the access log says.
    pub(crate) fn apply(&mut self, Line { number, time, entry, .. }: &Line) {
        let number = *number;
        match (entry.what, entry.proposal) {
            (Step::Proposed, _) => {
                if let Some(proposal) = Proposal::of(number, entry) {
                    self.apply_proposed(proposal, *time);
                }
            }
            (Step::Approved, Some(id)) => self.decide(self.known_by(id), Decision::Approved),
            (Step::Rejected, Some(id)) => self.decide(self.known_by(id), Decision::Rejected),
            (Step::Returned, Some(id)) => self.return_to_waiting(self.known_by(id)),
            _ => {}
        }
    }

    /// What is on record again while it waits is one proposal.
    fn apply_proposed(&mut self, proposal: Proposal, time: u64) {
        let is_same =
            |known: &&Proposal| (known.by, known.request) == (proposal.by, proposal.request) && known.expires_at > time;
        match self.waiting.values().find(is_same) {
            Some(known) => {
                self.repeats.insert(proposal.id, known.id);
            }
            None => self.insert(proposal),
        }
    }

    /// The number that a proposal goes by.
    fn known_by(&self, id: u64) -> u64 {
        self.repeats.get(&id).copied().unwrap_or(id)
    }

    /// Whether one that was proposed under that name is the same, and waits; nothing if the name is new.
    pub(crate) fn repeated(
        &mut self,
        by: KeyId,
        request: IdempotencyKey,
        path: &str,
        change: &Value,
        now: Timestamp,
    ) -> Result<Option<Proposal>, NotProposed> {
        self.expire(now);
        let is_of = |proposal: &&Proposal| (proposal.by, proposal.request) == (by.0, request.0);
        if let Some(known) = self.waiting.values().find(is_of) {
            let is_same = known.path == path && known.change == *change;
            return if is_same { Ok(Some(known.clone())) } else { Err(NotProposed::Repeated) };
        }
        if self.decided.iter().any(|(proposal, _)| is_of(&proposal)) {
            return Err(NotProposed::Repeated);
        }
        if self.waiting.len() >= PROPOSALS_MAX { Err(NotProposed::TooMany) } else { Ok(None) }
    }

    /// One more waits; its number is that of its line in the log.
    pub(crate) fn insert(&mut self, proposal: Proposal) {
        self.waiting.insert(proposal.id, proposal);
    }

    /// What waits behind a number.
    pub(crate) fn list(&mut self, after: u64, now: Timestamp) -> Vec<Proposal> {
        self.expire(now);
        self.waiting.range(after.saturating_add(1)..).map(|(_, proposal)| proposal.clone()).collect()
    }

    /// One that waits.
    pub(crate) fn get(&mut self, id: u64, now: Timestamp) -> Result<Proposal, NotWaiting> {
        self.expire(now);
        let id = self.known_by(id);
        if let Some(proposal) = self.waiting.get(&id) {
            return Ok(proposal.clone());
        }
        let decided = self.decided.iter().find(|(proposal, _)| proposal.id == id);
        Err(decided.map_or(NotWaiting::Unknown, |(_, decision)| NotWaiting::Decided(*decision)))
    }

    /// It waits no more.
    pub(crate) fn decide(&mut self, id: u64, decision: Decision) {
        let Some(proposal) = self.waiting.remove(&id) else { return };
        if self.decided.len() >= DECIDED_MAX {
            self.decided.pop_front();
        }
        self.decided.push_back((proposal, decision));
    }

    /// It waits again: nothing came of the decision.
    pub(crate) fn return_to_waiting(&mut self, id: u64) {
        if let Some(place) = self.decided.iter().rposition(|(proposal, _)| proposal.id == id)
            && let Some((proposal, _)) = self.decided.remove(place)
        {
            self.waiting.insert(id, proposal);
        }
    }

    fn expire(&mut self, now: Timestamp) {
        let over: Vec<_> = self.waiting.values().filter(|it| it.expires_at <= now.0).map(|it| it.id).collect();
        over.into_iter().for_each(|id| self.decide(id, Decision::Expired));
    }
}

impl Proposal {
    /// Since when it waits, in nanoseconds since 1970.
    pub(crate) fn proposed_at(&self) -> u64 {
        self.expires_at.saturating_sub(WAITS_NS)
    }

    fn of(number: u64, entry: &Entry) -> Option<Self> {
        Some(Self {
            id: number,
            expires_at: entry.expires_at?,
            by: entry.key?,
            path: entry.path.clone()?,
            change: entry.change.clone()?,
            reason: entry.reason.clone()?,
            request: entry.request?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn proposal(id: u64) -> Proposal {
        Proposal {
            id,
            expires_at: 1_000,
            by: 1,
            path: "account/withdraw".to_owned(),
            change: json!({ "account": 2 }),
            reason: "a test".to_owned(),
            request: id + 100,
        }
    }

    #[test]
    fn a_proposal_waits_until_it_is_decided_or_its_time_is_over() {
        let mut proposals = Proposals::default();
        (1..=3).for_each(|id| proposals.insert(proposal(id)));
        proposals.decide(1, Decision::Approved);
        let now = Timestamp(999);
        assert_eq!(proposals.get(1, now), Err(NotWaiting::Decided(Decision::Approved)));
        assert_eq!(proposals.get(2, now), Ok(proposal(2)));
        assert_eq!(proposals.get(9, now), Err(NotWaiting::Unknown));
        proposals.return_to_waiting(1);
        assert_eq!(proposals.list(0, now), [proposal(1), proposal(2), proposal(3)]);
        assert_eq!(proposals.list(2, now), [proposal(3)]);
        assert_eq!(proposals.get(3, Timestamp(1_000)), Err(NotWaiting::Decided(Decision::Expired)));
        assert_eq!(proposals.list(0, Timestamp(1_000)), []);
    }

    fn line(number: u64, time: u64, what: Step, proposal: Option<u64>) -> Line {
        let is_proposed = what == Step::Proposed;
        let change = is_proposed.then(|| json!({ "account": 2 }));
        let (path, reason) = (Some("account/withdraw".to_owned()), Some("a test".to_owned()));
        let (key, request, expires_at) = (Some(1), Some(101), is_proposed.then_some(time + 1_000));
        let entry = Entry { key, path, reason, request, proposal, change, expires_at, ..Entry::new(what) };
        let mut text = serde_json::to_value(entry).unwrap();
        for (field, value) in [("number", json!(number)), ("time", json!(time)), ("before", json!(""))] {
            text[field] = value;
        }
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_proposal_that_is_on_record_twice_is_one_by_either_number() {
        for decided in [1, 2] {
            let mut proposals = Proposals::default();
            proposals.apply(&line(1, 1, Step::Proposed, None));
            proposals.apply(&line(2, 2, Step::Proposed, None));
            let now = Timestamp(3);
            let waiting = proposals.list(0, now);
            assert_eq!(waiting.iter().map(|it| it.id).collect::<Vec<_>>(), [1]);
            assert_eq!(proposals.get(2, now).unwrap(), waiting[0]);
            proposals.apply(&line(3, 3, Step::Approved, Some(decided)));
            assert_eq!(proposals.list(0, now), []);
            assert_eq!(proposals.get(2, now), Err(NotWaiting::Decided(Decision::Approved)));
            proposals.apply(&line(4, 4, Step::Returned, Some(decided)));
            assert_eq!(proposals.list(0, now), waiting);
        }
        // One whose time was over when it was proposed again is another.
        let mut proposals = Proposals::default();
        proposals.apply(&line(1, 1, Step::Proposed, None));
        proposals.apply(&line(2, 2_000, Step::Proposed, None));
        assert_eq!(proposals.list(0, Timestamp(2_001)).iter().map(|it| it.id).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_name_is_used_once_and_there_are_only_so_many() {
        let mut proposals = Proposals::default();
        (1..PROPOSALS_MAX as u64).for_each(|id| proposals.insert(proposal(id)));
        let mut ask = |request: u64, change: Value| {
            proposals.repeated(KeyId(1), IdempotencyKey(request), "account/withdraw", &change, Timestamp(1))
        };
        assert_eq!(ask(101, json!({ "account": 2 })), Ok(Some(proposal(1))));
        assert_eq!(ask(101, json!({ "account": 3 })), Err(NotProposed::Repeated));
        assert_eq!(ask(9_999, json!({ "account": 2 })), Ok(None));
        proposals.insert(proposal(PROPOSALS_MAX as u64));
        let mut ask = |request: u64| {
            let change = json!({ "account": 2 });
            proposals.repeated(KeyId(1), IdempotencyKey(request), "account/withdraw", &change, Timestamp(1))
        };
        assert_eq!(ask(9_999), Err(NotProposed::TooMany));
        assert_eq!(ask(101), Ok(Some(proposal(1))));
        proposals.decide(1, Decision::Rejected);
        let change = json!({ "account": 2 });
        let again = proposals.repeated(KeyId(1), IdempotencyKey(101), "account/withdraw", &change, Timestamp(1));
        assert_eq!(again, Err(NotProposed::Repeated));
    }
}
