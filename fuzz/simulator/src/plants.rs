//! What is wrong with a venue on purpose, to see that it is found.
//!
//! No production code knows of these: each sits at a seam that the venue is put together by, and turns what passes there
//! into what a fault behind the seam would make of it.

use core::borrow::Borrow;
use std::collections::BTreeMap;
use std::panic::panic_any;
use std::sync::Arc;

use engine::command::{AdvanceTime, DisconnectReason};
use engine::{
    Command, CommandBody, Engine, Event, EventHeader, EventSink, OrderId, Sequenced, SessionId, SessionSequence,
    Timestamp,
};
use journal::Apply;
use ring::{CommandRing, Idle};

use crate::finding::TooMuch;
use crate::process::EVENTS_OF_A_COMMAND;

/// Declares the plants with their names.
macro_rules! plants {
    ($($plant:ident $name:literal: $doc:literal,)*) => {
        /// A fault that is planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Plant {
            $(#[doc = $doc] $plant,)*
        }

        impl Plant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$plant,)*];

            /// Its name on a command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$plant => $name,)*
                }
            }

            /// What it is.
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$plant => $doc,)*
                }
            }
        }
    };
}

plants! {
    AcknowledgedBeforeSync "acknowledged-before-sync": "Reports leave as events are published, and not when they are durable.",
    SyncForgotten "sync-forgotten": "A sync says that it is done, and does nothing.",
    NamesForgotten "names-forgotten": "A sync of the folder says that it is done, and does nothing.",
    CacheBelieved "cache-believed": "After a failed sync, a restart believes what the cache shows.",
    OrderIdReused "order-id-reused": "An order gets the number of the one before it.",
    DisconnectDropped "disconnect-dropped": "The loss of a connection does not reach the core.",
    GapOffByOne "gap-off-by-one": "One command too many is said not to be applied.",
    AppliedTwice "applied-twice": "The first command behind a login has its effect twice.",
    FeeRounded "fee-rounded": "A maker's fee is off by one unit, now and then.",
    StaleState "stale-state": "A restart goes on from an older state than the journal's end.",
    EventUnnoticed "event-unnoticed": "Market data misses an event now and then, and does not notice.",
    ExpiryForgotten "expiry-forgotten": "Deadlines are not told to the sequencer.",
    ReportForgotten "report-forgotten": "Old reports are found without their last one.",
    KillIgnored "kill-ignored": "A kill switch does nothing.",
    EndUntold "end-untold": "The end of an order is not told, now and then.",
    PricesBent "prices-bent": "One packet in forty of market data has other prices.",
    SessionsCrossed "sessions-crossed": "A command is taken for another session's, now and then.",
    TradePriceOff "trade-price-off": "A trade is told at another price, now and then.",
    DigestBegunAnew "digest-begun-anew": "The digest of events begins anew at a restart.",
    NumberGivenTwice "number-given-twice": "A report gets the number of the one before it, now and then.",
}

impl Plant {
    /// What the journal's disk does, if it is of that kind.
    pub fn lie(self) -> Option<simulation::Lie> {
        match self {
            Self::SyncForgotten => Some(simulation::Lie::Sync),
            Self::NamesForgotten => Some(simulation::Lie::SyncDirectory),
            Self::CacheBelieved => Some(simulation::Lie::Settle),
            _ => None,
        }
    }
}

/// The engine, or what a planted fault makes of it.
pub struct Planted {
    engine: Engine,
    plant: Option<Plant>,
    count: u64,
    last_order: OrderId,
}

impl Planted {
    /// An engine with a fault, or without.
    pub fn new(engine: Engine, plant: Option<Plant>) -> Self {
        Self { engine, plant, count: 0, last_order: OrderId::NONE }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Borrow<Engine> for Planted {
    fn borrow(&self) -> &Engine {
        &self.engine
    }
}

impl Apply for Planted {
    fn apply(&mut self, command: &Sequenced<Command>, sink: &mut impl EventSink) {
        let Self { engine, plant, count, last_order } = self;
        let sink = &mut Bounded { sink, room: EVENTS_OF_A_COMMAND };
        let Some(plant) = *plant else { return engine.apply(command, sink) };
        let mut command = *command;
        if plant == Plant::KillIgnored && matches!(command.value.body, CommandBody::KillSwitch(_)) {
            command.value.body = AdvanceTime {}.into();
        }
        engine.apply(&command, &mut Bent { sink, plant, count, last_order });
    }

    fn next_deadline(&self) -> Timestamp {
        if self.plant == Some(Plant::ExpiryForgotten) { Timestamp::NEVER } else { self.engine.next_deadline() }
    }
}

/// A ring without room would be waited for by the one thread that could make room: this says so instead.
struct Bounded<'a, S> {
    sink: &'a mut S,
    room: u64,
}

impl<S: EventSink> EventSink for Bounded<'_, S> {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.room = self.room.checked_sub(1).unwrap_or_else(|| panic_any(TooMuch));
        self.sink.event(header, event);
    }
}

/// Events on their way out of a faulty engine.
struct Bent<'a, S> {
    sink: &'a mut S,
    plant: Plant,
    count: &'a mut u64,
    last_order: &'a mut OrderId,
}

impl<S: EventSink> Bent<'_, S> {
    /// True for one in so many.
    fn now_and_then(&mut self, every: u64) -> bool {
        *self.count += 1;
        self.count.is_multiple_of(every)
    }
}

impl<S: EventSink> EventSink for Bent<'_, S> {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        let mut event = *event;
        match (self.plant, &mut event) {
            (Plant::OrderIdReused, Event::OrderAccepted(accepted)) => {
                let own = accepted.order.order_id;
                if self.now_and_then(20) && !self.last_order.is_none() {
                    accepted.order.order_id = *self.last_order;
                }
                *self.last_order = own;
            }
            (Plant::GapOffByOne, Event::NotApplied(gap)) => gap.count += 1,
            (Plant::FeeRounded, Event::Trade(trade)) if self.now_and_then(10) => trade.maker.fee.0 += 1,
            (Plant::TradePriceOff, Event::Trade(trade)) if self.now_and_then(20) => trade.price.0 += 1,
            (Plant::EndUntold, Event::OrderCancelled(_)) if self.now_and_then(20) => return,
            (Plant::NumberGivenTwice, Event::OrderAccepted(accepted))
                if accepted.report.report_number.0 > 1 && self.now_and_then(20) =>
            {
                accepted.report.report_number.0 -= 1;
            }
            _ => {}
        }
        self.sink.event(header, &event);
    }
}

/// Between those who submit and the core, where a plant is there.
pub struct Relay {
    plant: Option<Plant>,
    /// None: those who submit and the core have the same ring.
    inner: Option<Arc<CommandRing>>,
    batch: Vec<Command>,
    count: u64,
    /// Sessions that have just been opened.
    fresh: BTreeMap<SessionId, bool>,
}

impl Relay {
    /// With the ring that the core takes from.
    pub fn new(plant: Option<Plant>, outer: &Arc<CommandRing>) -> (Self, Arc<CommandRing>) {
        let is_there = matches!(plant, Some(Plant::DisconnectDropped | Plant::AppliedTwice | Plant::SessionsCrossed));
        let inner = is_there.then(|| Arc::new(CommandRing::new(1_024, Idle::Park)));
        let for_core = inner.clone().unwrap_or_else(|| Arc::clone(outer));
        (Self { plant, inner, batch: Vec::new(), count: 0, fresh: BTreeMap::new() }, for_core)
    }

    /// Passes on what there is.
    pub fn turn(&mut self, outer: &CommandRing, count_max: usize) {
        let Some(inner) = &self.inner else { return };
        outer.take(&mut self.batch, count_max);
        for mut command in self.batch.drain(..) {
            self.count += 1;
            let header = &mut command.header;
            match (self.plant, &command.body) {
                (Some(Plant::DisconnectDropped), CommandBody::Disconnect(gone))
                    if gone.reason != DisconnectReason::VenueStopped && self.count.is_multiple_of(2) =>
                {
                    continue;
                }
                (Some(Plant::SessionsCrossed), CommandBody::NewOrder(_)) if self.count.is_multiple_of(40) => {
                    header.session = SessionId(if header.session.0 == 1 { 2 } else { 1 });
                }
                (Some(Plant::AppliedTwice), CommandBody::Establish(_)) => {
                    self.fresh.insert(header.session, true);
                }
                (Some(Plant::AppliedTwice), _)
                    if header.client_sequence != SessionSequence::NONE
                        && self.fresh.insert(header.session, false) == Some(true) =>
                {
                    let mut again = command;
                    again.header.client_sequence.0 += 1;
                    let _ = inner.submit(command);
                    let _ = inner.submit(again);
                    continue;
                }
                _ => {}
            }
            let _ = inner.submit(command);
        }
    }
}
