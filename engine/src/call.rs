//! Calls and changes of phase (rules 5.1, 5.10 to 5.12 and 7.5): when orders gather, and how that ends.
//!
//! ```text
//!   PreOpen, OpeningCall ──► opening call ────┐
//!   VolatilityCall ────────► volatility call ─┼─► Continuous, PostOnly, LimitOnly: uncross
//!   ClosingCall ───────────► closing call ────┘   Closed: uncross of a closing call
//!                                                 outside the auction band: it goes on once, then Halted
//! ```

use alloc::vec::Vec;

use crate::auction::Indicative;
use crate::canonical::{ByteSink, Canonical, code_enum, record};
use crate::command::AdminNote;
use crate::engine::Engine;
use crate::event::{EventSink, PhaseChanged, PriceBound};
use crate::instrument::{Phase, PhaseCause};
use crate::phases::{Matching, rules};
use crate::protection::Passed;
use crate::turn::Turn;
use crate::{InstrumentId, KeyId, Nanoseconds, Timestamp};

code_enum! {
    /// What a call is for.
    pub(crate) enum CallKind: u8 {
        /// The opening auction.
        Opening = 1,
        /// An auction after an interruption.
        Volatility = 2,
        /// The closing auction.
        Closing = 3,
    }
}

code_enum! {
    /// Whether a call went on when it was to end.
    pub(crate) enum Prolonged: u8 {
        /// Not yet.
        No = 0,
        /// Once.
        Yes = 1,
    }
}

impl CallKind {
    /// The call that a phase belongs to by itself.
    fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::PreOpen | Phase::OpeningCall => Some(Self::Opening),
            Phase::VolatilityCall => Some(Self::Volatility),
            Phase::ClosingCall => Some(Self::Closing),
            _ => None,
        }
    }

    /// The phase in which such a call goes on.
    fn phase(self) -> Phase {
        match self {
            Self::Opening => Phase::OpeningCall,
            Self::Volatility => Phase::VolatilityCall,
            Self::Closing => Phase::ClosingCall,
        }
    }
}

/// A pending call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) kind: CallKind,
    pub(crate) prolonged: Prolonged,
    /// What was told last.
    pub(crate) told: Indicative,
}

impl Call {
    pub(crate) fn new(kind: CallKind) -> Self {
        Self { kind, prolonged: Prolonged::No, told: Indicative::NONE }
    }

    /// The call that an instrument is listed with.
    pub(crate) fn at_listing(phase: Phase) -> Option<Self> {
        let kind = if phase == Phase::NoCancel { Some(CallKind::Opening) } else { CallKind::of(phase) };
        kind.map(Self::new)
    }
}

record! {
    /// The end of a call that ends by itself. Ordered by what is due first.
    #[derive(PartialOrd, Ord)]
    pub(crate) struct CallEnd {
        pub at: Timestamp,
        pub instrument: InstrumentId,
        /// What the instrument goes on with.
        pub to: Phase,
    }
}

/// The calls that end by themselves, the next first.
#[derive(Debug)]
pub(crate) struct CallEnds {
    ends: Vec<CallEnd>,
}

impl CallEnds {
    pub(crate) fn new(instruments: u32) -> Self {
        Self { ends: Vec::with_capacity(instruments as usize) }
    }

    pub(crate) fn ends(&self) -> &[CallEnd] {
        &self.ends
    }

    /// When the next call ends.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.ends.first().map_or(Timestamp::NEVER, |end| end.at)
    }

    /// Lets an instrument's call end by itself, unless that is never.
    pub(crate) fn set(&mut self, end: CallEnd) {
        self.remove(end.instrument);
        if end.at != Timestamp::NEVER {
            let index = self.ends.partition_point(|before| *before < end);
            self.ends.insert(index, end);
        }
    }

    /// Lets an instrument's call not end by itself.
    pub(crate) fn remove(&mut self, instrument: InstrumentId) {
        self.ends.retain(|end| end.instrument != instrument);
    }
}

/// Who or what changes a phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) to: Phase,
    pub(crate) cause: PhaseCause,
    pub(crate) author: KeyId,
    pub(crate) note: AdminNote,
}

impl Change {
    /// A change that nobody asked for.
    pub(crate) fn by_itself(to: Phase, cause: PhaseCause) -> Self {
        Self { to, cause, author: KeyId::VENUE, note: AdminNote::NONE }
    }
}

/// What is delayed at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delayed {
    /// The calendar entry of this number.
    Entry(u16),
    /// The end of a call.
    CallEnd,
}

impl Engine {
    /// Changes an instrument's phase: what that ends is ended first, what it begins begins behind.
    pub(crate) fn change_phase<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        instrument: InstrumentId,
        change: Change,
    ) {
        self.call_ends.remove(instrument);
        let mut printed = None;
        if self.ends_call(instrument, change.to) {
            let outcome = self.outcome(instrument);
            if let Some(passed) = outcome.and_then(|outcome| self.outside_auction_band(instrument, outcome.price)) {
                return self.prolong(turn, instrument, change, passed);
            }
            self.uncross(turn, instrument, outcome);
            printed = outcome.map(|outcome| outcome.price);
        }
        self.enter_phase(turn, instrument, change);
        if let (Some(price), Matching::Yes) = (printed, rules(change.to).matching) {
            self.elect(instrument, price);
        }
        self.finish_trading(turn, instrument);
    }

    /// Whether a change of phase ends the pending call by its auction.
    fn ends_call(&self, instrument: InstrumentId, to: Phase) -> bool {
        let market = self.market(instrument);
        let Some(call) = &market.call else { return false };
        match to {
            Phase::Continuous | Phase::PostOnly | Phase::LimitOnly => true,
            Phase::Closed => {
                call.kind == CallKind::Closing && matches!(market.phase, Phase::ClosingCall | Phase::NoCancel)
            }
            _ => false,
        }
    }

    /// Takes the new phase, begins or turns the call that belongs to it, and says so.
    fn enter_phase<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId, change: Change) {
        let market = self.markets.get_mut(instrument.0).expect("an instrument that is listed");
        let pending = market.call.map(|call| call.kind);
        let kind = match (change.to, pending) {
            // It goes on with what is pending.
            (Phase::NoCancel, Some(_)) => None,
            (Phase::NoCancel, None) => Some(CallKind::Volatility),
            (phase, _) => CallKind::of(phase),
        };
        if let Some(kind) = kind {
            let told = market.call.map_or(Indicative::NONE, |call| call.told);
            market.call = Some(Call { told, ..Call::new(kind) });
            if pending.is_none() {
                market.book.begin_call(&mut self.orders, instrument);
            }
        }
        self.tell_phase(turn, instrument, change);
        if kind == Some(CallKind::Closing) {
            self.join_close(turn, instrument);
        }
    }

    fn tell_phase<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId, change: Change) {
        let Change { to, cause, author, note } = change;
        let from = core::mem::replace(&mut self.market_mut(instrument).phase, to);
        turn.emit(PhaseChanged { instrument, from, to, cause, author, note });
    }

    /// Lets a call go on that would end outside its band, once; then halts it.
    fn prolong<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        instrument: InstrumentId,
        change: Change,
        passed: Passed,
    ) {
        self.tell_bound(turn, instrument, crate::OrderId::NONE, PriceBound::AuctionBand, passed);
        let market = self.market_mut(instrument);
        let Some(call) = &mut market.call else { return };
        let goes_on = call.prolonged == Prolonged::No && !market.protection.call_duration.is_none();
        call.prolonged = if goes_on { Prolonged::Yes } else { Prolonged::No };
        let to = if goes_on { call.kind.phase() } else { Phase::Halted };
        self.tell_phase(turn, instrument, Change { to, cause: PhaseCause::AuctionBand, ..change });
        if goes_on {
            self.schedule_end(turn, instrument, change.to);
        }
    }

    /// Interrupts an instrument whose next trade would lie outside its collar by a volatility call.
    pub(crate) fn interrupt<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId) {
        let market = self.market(instrument);
        let (interrupted, lasts) = (market.phase, !market.protection.call_duration.is_none());
        self.enter_phase(turn, instrument, Change::by_itself(Phase::VolatilityCall, PhaseCause::Collar));
        if lasts {
            self.schedule_end(turn, instrument, interrupted);
        }
    }

    /// Lets a call end by itself, after its duration and its random end.
    fn schedule_end<S: EventSink>(&mut self, turn: &Turn<'_, S>, instrument: InstrumentId, to: Phase) {
        let protection = self.market(instrument).protection;
        let now = turn.stamp.time;
        let delay = self.delay(Delayed::CallEnd, instrument, now, protection.call_random_end);
        let at = now.0.saturating_add(protection.call_duration.0).saturating_add(delay.0);
        self.call_ends.set(CallEnd { at: Timestamp(at), instrument, to });
    }

    /// Ends the call that ends next.
    pub(crate) fn end_first_call<S: EventSink>(&mut self, turn: &mut Turn<'_, S>) {
        if let Some(&CallEnd { instrument, to, .. }) = self.call_ends.ends().first() {
            self.change_phase(turn, instrument, Change::by_itself(to, PhaseCause::CallEnded));
        }
    }

    /// How much later something happens, at most `most` (rule 5.12): the seed's keyed hash, scaled.
    pub(crate) fn delay(
        &self,
        what: Delayed,
        instrument: InstrumentId,
        time: Timestamp,
        most: Nanoseconds,
    ) -> Nanoseconds {
        if most.is_none() {
            return Nanoseconds::NONE;
        }
        let mut hasher = Hasher(blake3::Hasher::new_keyed(&self.random_seed));
        let (kind, number) = match what {
            Delayed::Entry(number) => (0_u8, number),
            Delayed::CallEnd => (1, 0),
        };
        kind.encode(&mut hasher);
        instrument.encode(&mut hasher);
        number.encode(&mut hasher);
        time.encode(&mut hasher);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.0.finalize().as_bytes()[..8]);
        let scaled = (u128::from(u64::from_le_bytes(first)) * (u128::from(most.0) + 1)) >> 64;
        Nanoseconds(scaled as u64)
    }
}

/// Takes canonical bytes into a hash.
struct Hasher(blake3::Hasher);

impl ByteSink for Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Capacity;

    #[test]
    fn a_delay_is_at_most_what_was_said_and_follows_from_the_seed() {
        let mut engine = Engine::new(Capacity::SMALL);
        let delay =
            |engine: &Engine, time| engine.delay(Delayed::Entry(3), InstrumentId(1), Timestamp(time), Nanoseconds(9)).0;
        let drawn: Vec<u64> = (0..200).map(|time| delay(&engine, time)).collect();
        let all = (0..10).all(|delay| drawn.contains(&delay));
        assert!(all && drawn.iter().all(|&delay| delay <= 9), "{drawn:?}");
        engine.random_seed = [1; 32];
        assert!((0..200).any(|time| delay(&engine, time) != drawn[time as usize]));
        let never = engine.delay(Delayed::CallEnd, InstrumentId(1), Timestamp(1), Nanoseconds::NONE);
        assert_eq!(never, Nanoseconds::NONE);
    }
}
