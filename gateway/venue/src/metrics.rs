//! What the venue counts, as Prometheus text.
//!
//! The core counts nothing for this: a thread of its own reads the events, and may be lapped by them. What it then missed
//! is counted as missed.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use engine::canonical::Code;
use engine::{Event, InstrumentId};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use ring::{EventReader, Polled};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Instrument {
    instrument: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What the venue counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    trades: Counter,
    traded_lots: Family<Instrument, Counter>,
    orders: Counter,
    amends: Counter,
    cancels: Family<Reason, Counter>,
    rejects: Family<Reason, Counter>,
    events: Counter,
    missed: Counter,
    sequence: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("rialto"),
            trades: Counter::default(),
            traded_lots: Family::default(),
            orders: Counter::default(),
            amends: Counter::default(),
            cancels: Family::default(),
            rejects: Family::default(),
            events: Counter::default(),
            missed: Counter::default(),
            sequence: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("trades", "Trades since the start", metrics.trades.clone());
        registry.register("traded_lots", "Lots traded since the start", metrics.traded_lots.clone());
        registry.register("orders_accepted", "Orders accepted since the start", metrics.orders.clone());
        registry.register("orders_replaced", "Amends carried out since the start", metrics.amends.clone());
        registry.register("orders_cancelled", "Orders that ended unfilled, by reason", metrics.cancels.clone());
        registry.register("rejects", "Commands refused, by reason", metrics.rejects.clone());
        registry.register("events", "Events counted since the start", metrics.events.clone());
        registry.register("events_missed", "Events that came faster than they were counted", metrics.missed.clone());
        registry.register("sequence", "The last command whose events were counted", metrics.sequence.clone());
        metrics
    }
}

impl Metrics {
    /// All of them, in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn count(&self, event: &Event) {
        self.events.inc();
        match event {
            Event::OrderAccepted(_) => drop(self.orders.inc()),
            Event::OrderReplaced(_) => drop(self.amends.inc()),
            Event::Trade(trade) => {
                self.trades.inc();
                let InstrumentId(instrument) = trade.instrument;
                self.traded_lots.get_or_create(&Instrument { instrument }).inc_by(trade.quantity.0);
            }
            Event::OrderCancelled(cancelled) => self.count_reason(&self.cancels, cancelled.reason.name()),
            Event::OrderRejected(rejected) => self.count_reason(&self.rejects, rejected.reason.name()),
            Event::CancelRejected(rejected) => self.count_reason(&self.rejects, rejected.reason.name()),
            Event::MassCancelRejected(rejected) => self.count_reason(&self.rejects, rejected.reason.name()),
            Event::SessionRejected(rejected) => self.count_reason(&self.rejects, rejected.reason.name()),
            Event::CommandRejected(rejected) => self.count_reason(&self.rejects, rejected.reason.name()),
            _ => {}
        }
    }

    fn count_reason(&self, family: &Family<Reason, Counter>, reason: &'static str) {
        family.get_or_create(&Reason { reason }).inc();
    }
}

/// Counts what `reader` sees until the venue stops.
pub fn start(metrics: Arc<Metrics>, mut reader: EventReader) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            match reader.poll() {
                Polled::Event(header, event) => {
                    metrics.count(&event);
                    metrics.sequence.set(i64::try_from(header.id.sequence.0).unwrap_or(i64::MAX));
                }
                Polled::Lapped(count) => drop(metrics.missed.inc_by(count)),
                Polled::Empty => reader.wait(Duration::from_secs(1)),
                Polled::Closed => return,
            }
        }
    })
}
