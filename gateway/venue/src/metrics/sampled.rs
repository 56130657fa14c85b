//! What is looked at when somebody asks: numbers that the rings, the journal and the doors keep for themselves.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use gateway::transport::DoorCounts;
use journal::{Durability, Space};
use marketdata::Crowd;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;
use ring::{Admission, CommandRing, ReaderGauge, Watermark};

use crate::market_data_door;

/// The parts of a running venue that are looked at.
#[derive(Debug)]
pub struct Sources {
    /// Whether its doors are open.
    pub ready: Arc<AtomicBool>,
    /// What its journal has room for.
    pub space: Space,
    /// Its rings.
    pub rings: Rings,
    /// Order entry.
    pub door: Arc<DoorCounts>,
    /// Connections that order entry takes.
    pub connections_max: usize,
    /// Market data.
    pub crowd: Arc<Crowd>,
}

/// The rings into and out of the core, and how far everybody is.
#[derive(Debug)]
pub struct Rings {
    commands: Arc<CommandRing>,
    readers: Vec<(&'static str, ReaderGauge)>,
    durable: Arc<Watermark>,
    durability: Durability,
    /// The last command of before the start.
    recovered: u64,
}

impl Rings {
    /// Of a venue that has just started: what is durable then was recovered.
    ///
    /// # Panics
    /// Without a reader.
    pub fn new(
        commands: Arc<CommandRing>,
        readers: Vec<(&'static str, ReaderGauge)>,
        durable: Arc<Watermark>,
        durability: Durability,
    ) -> Self {
        assert!(!readers.is_empty(), "the ring is seen through its readers");
        let recovered = durable.get();
        Self { commands, readers, durable, durability, recovered }
    }

    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.gauge("command_ring_waiting", "Commands that wait for the core", self.commands.waiting())?;
        sheet.gauge("command_ring_capacity", "Commands that may wait for the core", self.commands.capacity())?;
        let help = "Commands that were answered Busy because too many waited; one that is tried again counts again";
        sheet.counter("command_ring_refused", help, self.commands.refused())?;
        let help =
            "Events that a reader keeps for which the core waits, up to an eighth of the ring of which it has read";
        let kept = self.readers.iter().map(|(name, gauge)| (*name, gauge.kept()));
        sheet.gauges("event_ring_kept", help, "reader", kept)?;
        let ring = &self.readers[0].1;
        let help = "Events that the ring holds: with so many kept by one reader, the core waits";
        sheet.gauge("event_ring_capacity", help, ring.capacity())?;
        sheet.counter(
            "event_ring_published",
            "Events that the core has published since the start",
            ring.published(),
        )?;
        self.write_sequences(sheet)
    }

    fn write_sequences(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        // In this order: what is durable by then was applied before.
        let durable = self.durable.get();
        let applied = self.readers[0].1.completed().0.max(self.recovered).max(durable);
        let released = match self.durability {
            Durability::Buffered => applied,
            Durability::Synced => durable,
        };
        sheet.gauge("applied_sequence", "The last command that the core has applied", applied)?;
        let help = "The last command whose events may be seen, as the durability promises";
        sheet.gauge("released_sequence", help, released)?;
        sheet.gauge("durable_sequence", "The last command that is on stable storage", durable)?;
        sheet.gauge(
            "durability_lag_commands",
            "Commands that are applied and not on stable storage",
            applied - durable,
        )?;
        let help = "1: a write or sync has failed, and nothing more becomes durable";
        sheet.gauge("journal_failed", help, u64::from(self.durable.is_poisoned()))
    }
}

impl Sources {
    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let takes_all = self.space.admission().get() == Admission::Everything;
        let is_ready = self.ready.load(Ordering::Acquire) && takes_all;
        sheet.gauge(
            "ready",
            "1: the doors are open and everything is taken, as /health/ready says",
            u64::from(is_ready),
        )?;
        self.rings.write(sheet)?;
        let help = "Segments of the journal, with the one that is being written";
        sheet.gauge("journal_segments", help, self.space.segment().0)?;
        let help = "Bytes of a new segment: what has to be free for another one";
        sheet.gauge("journal_segment_bytes", help, self.space.segment_bytes())?;
        self.write_door(sheet)?;
        self.write_crowd(sheet)
    }

    fn write_door(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let by_state = self.door.connections().map(|(state, count)| (state.name(), count));
        let help = "Connections to order entry, by the state of their sessions";
        sheet.gauges("order_entry_connections", help, "session", by_state)?;
        let help = "Connections that order entry takes at once";
        sheet.gauge("order_entry_connections_max", help, self.connections_max)?;
        sheet.counter("order_entry_reports", "Reports that sessions and readers were told", self.door.reports())?;
        let help = "Bytes of order entry that no socket has taken yet";
        sheet.gauge("order_entry_backlog_bytes", help, self.door.backlog_bytes())
    }

    fn write_crowd(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let levels = self.crowd.subscriptions();
        let levels = levels.map(|(level, count)| (market_data_door::level_name(level), count));
        let help = "Channels that subscribers over QUIC take, one for each instrument, by level";
        sheet.gauges("market_data_subscriptions", help, "level", levels)?;
        let help = "Bytes of packets that wait for subscribers";
        sheet.gauge("market_data_backlog_bytes", help, self.crowd.backlog_bytes())?;
        let help =
            "Notices to subscribers that messages were left out, because they read too slowly or packets were lost";
        sheet.counter("market_data_gaps", help, self.crowd.gaps())?;
        let help = "Packets that went into a newer state instead of being sent, for who takes the latest state";
        sheet.counter("market_data_conflated_packets", help, self.crowd.conflated())?;
        let help = "Packets that were sent again because a subscriber asked for them";
        sheet.counter("market_data_repeated_packets", help, self.crowd.repeated())
    }
}

/// What is looked at, once there is something.
#[derive(Debug, Default)]
pub(super) struct Sampled(OnceLock<Sources>);

impl Sampled {
    pub(super) fn watch(&self, sources: Sources) {
        let _ = self.0.set(sources);
    }
}

impl Collector for Sampled {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        self.0.get().map_or(Ok(()), |sources| sources.write(&mut Sheet(encoder)))
    }
}

/// Where numbers are written down.
pub(super) struct Sheet<'a>(pub(super) DescriptorEncoder<'a>);

impl Sheet<'_> {
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values.into_iter().try_for_each(|(of, value)| encoder.encode_family(&[(label, of)])?.encode_gauge(&value))
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        encoder.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)
    }
}
