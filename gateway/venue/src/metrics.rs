//! What the venue counts, as Prometheus text.
//!
//! The core counts nothing for this: the operator's thread, which reads all events, does. What the others keep for
//! themselves anyway, rings, journal, doors, is looked at (`sampled`) when somebody asks; the journal's writer alone hands in
//! what each of its groups took.

mod process;
mod sampled;

use std::sync::{Arc, OnceLock};

use engine::canonical::Code;
use engine::{CancelReason, Event, EventHeader, InstrumentId, RejectReason, Sequence};
use gateway::transport::TurnedAway;
use journal::{Group, Space};
use marketdata::Crowd;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use wire::{EdgeReason, TerminationCode};

use crate::archive::ArchiveStatus;
use crate::clock::ClockWatch;
use crate::hops::HopTimes;
use crate::market_data_door;
use crate::ticks;
use sampled::Sampled;
pub use sampled::{Rings, Sources};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Instrument {
    instrument: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u16,
}

/// What the journal's groups take.
#[derive(Debug)]
struct GroupTimes {
    sync_seconds: Histogram,
    commands: Histogram,
    bytes: Counter,
}

impl Default for GroupTimes {
    fn default() -> Self {
        Self {
            // From ten microseconds to five seconds, doubling.
            sync_seconds: Histogram::new(exponential_buckets(1e-5, 2.0, 20)),
            commands: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            bytes: Counter::default(),
        }
    }
}

impl GroupTimes {
    fn register(&self, registry: &mut Registry) {
        let help = "Time in which the journal's groups were written and synced, in seconds";
        registry.register("journal_sync_seconds", help, self.sync_seconds.clone());
        let help = "Commands that became durable at once; none in a group of digests";
        registry.register("journal_group_commands", help, self.commands.clone());
        let help = "Bytes that were journalled since the start, frames and padding with them";
        registry.register("journal_written_bytes", help, self.bytes.clone());
    }

    fn record(&self, group: &Group) {
        self.sync_seconds.observe(ticks::between(group.begun, group.synced).as_secs_f64());
        self.commands.observe(group.commands as f64);
        self.bytes.inc_by(group.bytes);
    }
}

fn build() -> Info<[(&'static str, &'static str); 2]> {
    let commit = option_env!("RIALTO_COMMIT").unwrap_or("unknown");
    Info::new([("version", env!("CARGO_PKG_VERSION")), ("commit", commit)])
}

const fn turned_away_name(why: TurnedAway) -> &'static str {
    match why {
        TurnedAway::Full => "Full",
        TurnedAway::FullForAddress => "FullForAddress",
        TurnedAway::Displaced => "Displaced",
    }
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
    admin_requests: Family<Status, Counter>,
    login_failures: Family<Reason, Counter>,
    turned_away: Family<Reason, Counter>,
    market_data_refusals: Family<Reason, Counter>,
    market_data_closed: Family<Reason, Gauge>,
    market_data_refused: Gauge,
    subscribers: Gauge,
    sequence: Gauge,
    admission: Gauge,
    spares: Gauge,
    room: Gauge,
    free: Gauge,
    clock_steps: Gauge,
    wall_ahead_ns: Gauge,
    history_sequence: Gauge,
    snapshots: Gauge,
    snapshot_sequence: Gauge,
    snapshot_bytes: Gauge,
    snapshot_ms: Gauge,
    archive_failing: Gauge,
    checked_bytes: Gauge,
    journal_damaged: Gauge,
    hops: Arc<HopTimes>,
    edge_refusals: Family<Reason, Counter>,
    sessions_ended: Family<Reason, Counter>,
    groups: GroupTimes,
    sampled: Arc<Sampled>,
    /// Nothing until there is a venue.
    crowd: OnceLock<Arc<Crowd>>,
    clock: OnceLock<Arc<ClockWatch>>,
    archive: OnceLock<Arc<ArchiveStatus>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            trades: Counter::default(),
            traded_lots: Family::default(),
            orders: Counter::default(),
            amends: Counter::default(),
            cancels: Family::default(),
            rejects: Family::default(),
            events: Counter::default(),
            admin_requests: Family::default(),
            login_failures: Family::default(),
            turned_away: Family::default(),
            market_data_refusals: Family::default(),
            market_data_closed: Family::default(),
            market_data_refused: Gauge::default(),
            subscribers: Gauge::default(),
            sequence: Gauge::default(),
            admission: Gauge::default(),
            spares: Gauge::default(),
            room: Gauge::default(),
            free: Gauge::default(),
            clock_steps: Gauge::default(),
            wall_ahead_ns: Gauge::default(),
            history_sequence: Gauge::default(),
            snapshots: Gauge::default(),
            snapshot_sequence: Gauge::default(),
            snapshot_bytes: Gauge::default(),
            snapshot_ms: Gauge::default(),
            archive_failing: Gauge::default(),
            checked_bytes: Gauge::default(),
            journal_damaged: Gauge::default(),
            hops: Arc::default(),
            edge_refusals: Family::default(),
            sessions_ended: Family::default(),
            groups: GroupTimes::default(),
            sampled: Arc::default(),
            crowd: OnceLock::new(),
            clock: OnceLock::new(),
            archive: OnceLock::new(),
        };
        let of_archive = metrics.of_archive();
        let registry = metrics.registry.sub_registry_with_prefix("rialto");
        registry.register("trades", "Trades since the start", metrics.trades.clone());
        registry.register("traded_lots", "Lots traded since the start", metrics.traded_lots.clone());
        registry.register("orders_accepted", "Orders accepted since the start", metrics.orders.clone());
        registry.register("orders_replaced", "Amends carried out since the start", metrics.amends.clone());
        registry.register("orders_cancelled", "Orders that ended unfilled, by reason", metrics.cancels.clone());
        registry.register("rejects", "Commands refused, by reason", metrics.rejects.clone());
        registry.register("events", "Events counted since the start", metrics.events.clone());
        registry.register("admin_requests", "Requests of administrators, by status", metrics.admin_requests.clone());
        let help = "Logins at order entry that the edge refused, by reason";
        registry.register("login_failures", help, metrics.login_failures.clone());
        let help = "Connections to order entry that were not kept, by reason";
        registry.register("connections_turned_away", help, metrics.turned_away.clone());
        let help = "Logons at market data that were refused, by reason";
        registry.register("market_data_logon_failures", help, metrics.market_data_refusals.clone());
        let help = "Subscribers that the venue closed, by reason, since the start";
        registry.register("market_data_closed", help, metrics.market_data_closed.clone());
        let help = "Subscribers that were refused as they came, since the start";
        registry.register("market_data_refused", help, metrics.market_data_refused.clone());
        registry.register("market_data_subscribers", "Subscribers that are there", metrics.subscribers.clone());
        registry.register("sequence", "The last command whose events were counted", metrics.sequence.clone());
        let help = "What is let in: 0 everything, 1 cancels only, 2 nothing";
        registry.register("journal_admission", help, metrics.admission.clone());
        registry.register("journal_spares", "Journal segments that are ready", metrics.spares.clone());
        let help = "Bytes that the journal takes without a new segment";
        registry.register("journal_room_bytes", help, metrics.room.clone());
        let help = "Bytes that the journal's file system has free; -1: it does not say";
        registry.register("journal_disk_free_bytes", help, metrics.free.clone());
        registry.register("clock_steps", "Steps of the wall clock that were not followed", metrics.clock_steps.clone());
        let ahead = "How far the wall clock is ahead of the venue's time, in nanoseconds; negative: behind";
        registry.register("wall_clock_ahead_ns", ahead, metrics.wall_ahead_ns.clone());
        for (name, help, gauge) in of_archive {
            registry.register(name, help, gauge);
        }
        metrics.hops.register(registry);
        metrics.groups.register(registry);
        let help = "Messages that order entry refused before they came to the core, by reason";
        registry.register("order_entry_refused", help, metrics.edge_refusals.clone());
        let help = "Connections to order entry that ended, by reason";
        registry.register("order_entry_ended", help, metrics.sessions_ended.clone());
        registry.register("build", "What runs: its version, and the commit that it was built from", build());
        registry.register_collector(Box::new(Arc::clone(&metrics.sampled)));
        metrics.registry.register_collector(Box::new(process::Process));
        metrics.begin_at_zero();
        metrics
    }
}

impl Metrics {
    fn of_archive(&self) -> [(&'static str, &'static str, Gauge); 8] {
        [
            ("history_sequence", "The last command whose events the history shows", self.history_sequence.clone()),
            ("snapshots_taken", "Snapshots taken since the start", self.snapshots.clone()),
            (
                "snapshot_sequence",
                "The command behind which the last was taken since the start",
                self.snapshot_sequence.clone(),
            ),
            ("snapshot_bytes", "How long its file is", self.snapshot_bytes.clone()),
            ("snapshot_ms", "How long it took to write it and to restore from it, in ms", self.snapshot_ms.clone()),
            ("archive_failing", "1: event history or snapshots do not come along", self.archive_failing.clone()),
            ("journal_checked_bytes", "Bytes read of what the start has passed over", self.checked_bytes.clone()),
            ("journal_damaged", "1: damage was found there", self.journal_damaged.clone()),
        ]
    }

    /// What may be counted is there from the beginning: the first of a kind is then an increase like any other.
    fn begin_at_zero(&self) {
        let zero = |family: &Family<Reason, Counter>, reason| drop(family.get_or_create(&Reason { reason }));
        RejectReason::ALL.iter().for_each(|reason| zero(&self.rejects, reason.name()));
        CancelReason::ALL.iter().for_each(|reason| zero(&self.cancels, reason.name()));
        for reason in EdgeReason::ALL {
            zero(&self.edge_refusals, reason.name);
            zero(&self.login_failures, reason.name);
        }
        for code in engine::command::DisconnectReason::ALL {
            zero(&self.sessions_ended, code.name());
        }
        for why in [TurnedAway::Full, TurnedAway::FullForAddress, TurnedAway::Displaced] {
            zero(&self.turned_away, turned_away_name(why));
        }
        for refusal in market_data_door::REFUSALS {
            zero(&self.market_data_refusals, market_data_door::refusal_name(refusal));
        }
        for status in [200, 401, 403, 422, 503] {
            drop(self.admin_requests.get_or_create(&Status { status }));
        }
    }

    fn look_at_archive(&self) {
        let Some(archive) = self.archive.get() else { return };
        let set = |gauge: &Gauge, value| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.history_sequence, archive.reached().get());
        set(&self.snapshots, archive.snapshot_count());
        set(&self.snapshot_sequence, archive.snapshot_sequence());
        set(&self.snapshot_bytes, archive.snapshot_bytes());
        set(&self.snapshot_ms, u64::try_from(archive.snapshot_time().as_millis()).unwrap_or(u64::MAX));
        set(&self.archive_failing, archive.is_failing().into());
        set(&self.checked_bytes, archive.checked_bytes());
        set(&self.journal_damaged, archive.is_damaged().into());
    }

    fn look_at_crowd(&self) {
        let Some(crowd) = self.crowd.get() else { return };
        let gauge = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.subscribers.set(gauge(crowd.count() as u64));
        self.market_data_refused.set(gauge(crowd.refused()));
        for (reason, count) in crowd.closed_by_reason() {
            self.market_data_closed.get_or_create(&Reason { reason: reason.name() }).set(gauge(count));
        }
    }

    /// A logon at market data was refused.
    pub(crate) fn count_market_data_refusal(&self, reason: &'static str) {
        self.market_data_refusals.get_or_create(&Reason { reason }).inc();
    }

    /// From now on tells of the subscribers of a publisher, the first that is given.
    pub(crate) fn watch_crowd(&self, crowd: Arc<Crowd>) {
        let _ = self.crowd.set(crowd);
    }

    /// All of them, in Prometheus' text format; those of the journal as it is now.
    pub fn text(&self, space: &Space) -> String {
        let gauge = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.admission.set(space.admission().get() as i64);
        self.spares.set(gauge(space.spare_count() as u64));
        self.room.set(gauge(space.room_bytes()));
        self.free.set(space.free_bytes().map_or(-1, gauge));
        if let Some(clock) = self.clock.get() {
            self.clock_steps.set(i64::try_from(clock.step_count()).unwrap_or(i64::MAX));
            self.wall_ahead_ns.set(clock.wall_ahead_ns());
        }
        self.look_at_archive();
        self.look_at_crowd();
        self.counted()
    }

    /// All of them as they were set last.
    pub(crate) fn counted(&self) -> String {
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// How long commands take, hop by hop.
    pub fn hops(&self) -> &Arc<HopTimes> {
        &self.hops
    }

    /// From now on tells of the clock of a venue, the first that is given.
    pub(crate) fn watch_clock(&self, clock: Arc<ClockWatch>) {
        let _ = self.clock.set(clock);
    }

    /// From now on tells of what a venue keeps of its past, the first that is given.
    pub(crate) fn watch_archive(&self, archive: Arc<ArchiveStatus>) {
        let _ = self.archive.set(archive);
    }

    /// Counts a request at the operator's door.
    pub(crate) fn count_admin_request(&self, status: u16) {
        self.admin_requests.get_or_create(&Status { status }).inc();
    }

    /// Counts a login that the edge refused.
    pub(crate) fn count_login_failure(&self, reason: &'static str) {
        self.count_reason(&self.login_failures, reason);
    }

    /// Counts a connection that was not kept.
    pub(crate) fn count_turned_away(&self, why: TurnedAway) {
        self.count_reason(&self.turned_away, turned_away_name(why));
    }

    /// Counts a message that order entry refused by itself.
    pub(crate) fn count_edge_refusal(&self, reason: &'static str) {
        self.count_reason(&self.edge_refusals, reason);
    }

    /// Counts a connection to order entry that ended.
    pub(crate) fn count_ended(&self, code: TerminationCode) {
        let reason = engine::command::DisconnectReason::try_from(code).map_or("Other", Code::name);
        self.count_reason(&self.sessions_ended, reason);
    }

    /// Takes what a group of the journal's took. For the journal's writer.
    pub fn count_group(&self, group: &Group) {
        self.groups.record(group);
    }

    /// From now on tells of a venue that runs, the first that is given.
    pub(crate) fn watch(&self, sources: Sources) {
        self.sampled.watch(sources);
    }

    /// The last command whose events were before those that are counted.
    pub(crate) fn begin_behind(&self, Sequence(last): Sequence) {
        self.sequence.set(i64::try_from(last).unwrap_or(i64::MAX));
    }

    /// Counts an event.
    pub(crate) fn count(&self, header: &EventHeader, event: &Event) {
        self.events.inc();
        self.sequence.set(i64::try_from(header.id.sequence.0).unwrap_or(i64::MAX));
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
