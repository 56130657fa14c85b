//! What each phase allows (rule 7): one table.

use crate::instrument::Phase;

/// Which new orders a phase takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Limit, market, stops, at the close, in an opening call also at the open; no post-only, ImmediateOrCancel or FillOrKill.
    Call,
    /// All but at the open.
    All,
    /// Post-only orders.
    PostOnly,
    /// Limit orders.
    LimitOnly,
    /// None.
    None,
}

/// Which amends a phase takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amend {
    /// All.
    All,
    /// To a better price or more quantity.
    Improve,
    /// To less quantity at the same price.
    Reduce,
    /// None.
    None,
}

/// Whether a phase takes cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// Yes.
    Yes,
    /// No; only the kill switch acts.
    No,
}

/// Whether orders trade as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// Yes; stops are elected.
    Yes,
    /// No.
    No,
}

/// A phase's row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseRules {
    /// New orders.
    pub entry: Entry,
    /// Amends.
    pub amend: Amend,
    /// Cancels.
    pub cancel: Cancel,
    /// Matching.
    pub matching: Matching,
}

/// The table.
pub const fn rules(phase: Phase) -> PhaseRules {
    let (entry, amend, cancel, matching) = match phase {
        Phase::PreOpen | Phase::OpeningCall | Phase::VolatilityCall | Phase::ClosingCall => {
            (Entry::Call, Amend::All, Cancel::Yes, Matching::No)
        }
        Phase::NoCancel => (Entry::Call, Amend::Improve, Cancel::No, Matching::No),
        Phase::Continuous => (Entry::All, Amend::All, Cancel::Yes, Matching::Yes),
        Phase::PostOnly => (Entry::PostOnly, Amend::All, Cancel::Yes, Matching::No),
        Phase::LimitOnly => (Entry::LimitOnly, Amend::All, Cancel::Yes, Matching::Yes),
        Phase::CancelOnly | Phase::Halted => (Entry::None, Amend::Reduce, Cancel::Yes, Matching::No),
        Phase::Closed => (Entry::None, Amend::None, Cancel::Yes, Matching::No),
    };
    PhaseRules { entry, amend, cancel, matching }
}
