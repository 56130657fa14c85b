//! Rule 7: the table of what each phase allows, and rule 5.1: which call a phase belongs to.

use engine::instrument::Phase;
use engine::*;

use super::Model;
use super::entry::Wish;

/// Which amends a phase takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amends {
    /// All.
    All,
    /// None that takes.
    NoneMayTake,
    /// To the same or a better price, and no less quantity.
    MoreBinding,
    /// To no more quantity, at the same price.
    Fewer,
    /// None.
    None,
}

/// What kind of auction a call ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    Opening,
    Volatility,
    Closing,
}

impl CallKind {
    /// The phase in which a call of this kind goes on (5.11).
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Opening => Phase::OpeningCall,
            Self::Volatility => Phase::VolatilityCall,
            Self::Closing => Phase::ClosingCall,
        }
    }

    /// 5.1: the call that a phase belongs to, if it is always the same.
    pub(super) fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::PreOpen | Phase::OpeningCall => Some(Self::Opening),
            Phase::VolatilityCall => Some(Self::Volatility),
            Phase::ClosingCall => Some(Self::Closing),
            Phase::NoCancel
            | Phase::Continuous
            | Phase::PostOnly
            | Phase::LimitOnly
            | Phase::CancelOnly
            | Phase::Halted
            | Phase::Closed => None,
        }
    }
}

/// Whether orders gather in a phase: new orders stand without matching.
pub(super) fn gathers(phase: Phase) -> bool {
    phase == Phase::NoCancel || CallKind::of(phase).is_some()
}

/// The column *match*, and *stops* with it.
pub(super) fn matches_orders(phase: Phase) -> bool {
    matches!(phase, Phase::Continuous | Phase::LimitOnly)
}

/// The column *cancel*.
pub(super) fn cancels(phase: Phase) -> bool {
    phase != Phase::NoCancel
}

/// The column *amend*.
pub(super) fn amends(phase: Phase) -> Amends {
    match phase {
        Phase::PreOpen | Phase::OpeningCall | Phase::VolatilityCall | Phase::ClosingCall => Amends::All,
        Phase::Continuous | Phase::LimitOnly => Amends::All,
        Phase::PostOnly => Amends::NoneMayTake,
        Phase::NoCancel => Amends::MoreBinding,
        Phase::CancelOnly | Phase::Halted => Amends::Fewer,
        Phase::Closed => Amends::None,
    }
}

impl Model {
    /// The column *new*; the type and time in force go together already.
    pub(super) fn phase_takes(&self, wish: &Wish) -> bool {
        let instrument = &self.instruments[&wish.instrument];
        let at_the_opening = wish.time_in_force == TimeInForce::AtTheOpening;
        match instrument.phase {
            phase if gathers(phase) => {
                let opens = instrument.call.as_ref().is_some_and(|call| call.kind == CallKind::Opening);
                let immediate = matches!(wish.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
                !wish.is_post_only() && !immediate && !wish.is_by_funds() && (opens || !at_the_opening)
            }
            Phase::Continuous => !at_the_opening,
            Phase::PostOnly => wish.is_post_only(),
            Phase::LimitOnly => wish.order_type == OrderType::Limit && !at_the_opening,
            _ => false,
        }
    }
}
