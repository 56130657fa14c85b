//! What an operator would be woken for, in words: the conditions of the monitoring's alerts, over the last minute.

use std::time::Duration;

use super::panels::bytes;
use super::state::{Link, Venue};

/// What does not pass by in this time is no moment any more.
const LASTS: Duration = Duration::from_secs(30);
/// Of fewer samples a percentile says nothing.
const SAMPLES_MIN: f64 = 20.0;

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Trading suffers, or is about to.
    Now,
    /// Somebody has to look at it.
    Soon,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) urgency: Urgency,
    pub(super) text: String,
}

/// Everything that is wrong, the most urgent first.
pub(super) fn alerts(venue: &Venue) -> Vec<Alert> {
    let mut found = Found { venue, alerts: Vec::new() };
    if let Link::Lost(reason) = &venue.link {
        found.now(reason.clone());
        return found.alerts;
    }
    if venue.last().is_none() {
        return Vec::new();
    }
    found.health();
    found.journal();
    found.past();
    found.clock();
    found.load();
    found.doors();
    found.alerts.sort_by_key(|alert| alert.urgency);
    found.alerts
}

struct Found<'a> {
    venue: &'a Venue,
    alerts: Vec<Alert>,
}

impl Found<'_> {
    fn now(&mut self, text: impl Into<String>) {
        self.alerts.push(Alert { urgency: Urgency::Now, text: text.into() });
    }

    fn soon(&mut self, text: impl Into<String>) {
        self.alerts.push(Alert { urgency: Urgency::Soon, text: text.into() });
    }

    fn is(&self, metric: &str, condition: impl Fn(f64) -> bool) -> bool {
        self.venue.value(metric).is_some_and(condition)
    }

    fn grew(&self, metric: &str, by_more_than: f64) -> Option<f64> {
        self.venue.growth(metric).filter(|&growth| growth > by_more_than)
    }

    fn health(&mut self) {
        if let Some(answer) = self.venue.last()
            && !answer.ready
        {
            self.now(answer.health.clone());
        }
    }

    fn journal(&mut self) {
        if self.is("rialto_journal_failed", |failed| failed > 0.0) {
            self.now("a write or sync of the journal has failed: nothing becomes durable any more");
        }
        if self.is("rialto_journal_damaged", |damaged| damaged > 0.0) {
            self.now("damage was found in the journal: rialto journal verify says where");
        }
        let spares_at_most = self.venue.highest("rialto_journal_spares");
        if self.venue.span() >= LASTS && spares_at_most.is_some_and(|most| most < 2.0) {
            self.now("fewer than two journal segments are ready, for a while now: is the disk full?");
        }
        self.disk();
        if self.is("rialto_durability_lag_commands", |lag| lag > 10_000.0) {
            self.now("the disk is behind: more than 10000 commands are not durable yet");
        }
        if let Some(syncs) = self.venue.percentiles_of_late("rialto_journal_sync_seconds", None)
            && syncs.count >= SAMPLES_MIN
            && syncs.p99 > 0.1
        {
            self.soon(format!("the disk is slow: a sync takes {:.0} ms at p99", syncs.p99 * 1e3));
        }
    }

    fn disk(&mut self) {
        let (free, segment) =
            (self.venue.value("rialto_journal_disk_free_bytes"), self.venue.value("rialto_journal_segment_bytes"));
        let Some(free) = free.filter(|&free| free >= 0.0) else { return };
        match segment {
            Some(segment) if free < 10.0 * segment => {
                self.now(format!("the journal's disk has room for {:.0} more segments", (free / segment).floor()));
            }
            Some(_) => {}
            // Of a venue that does not say how long they are: ten of the usual length.
            None if free < f64::from(640 << 20) => {
                self.now(format!("the journal's disk has {} free", bytes(Some(free))))
            }
            None => {}
        }
    }

    fn past(&mut self) {
        if self.is("rialto_archive_failing", |failing| failing > 0.0) {
            self.soon("event history or snapshots cannot be written: standard error says why");
        }
        if let (Some(last), Some(shown)) =
            (self.venue.value("rialto_sequence"), self.venue.value("rialto_history_sequence"))
            && last - shown > 100_000.0
        {
            self.soon(format!("the event history is {:.0} commands behind", last - shown));
        }
    }

    fn clock(&mut self) {
        if self.is("rialto_clock_steps", |steps| steps > 0.0) {
            self.soon("the wall clock was stepped since the start: the venue's time did not follow");
        }
        if let Some(ahead) = self.venue.value("rialto_wall_clock_ahead_ns")
            && ahead.abs() > 1e8
        {
            let side = if ahead > 0.0 { "ahead of" } else { "behind" };
            self.now(format!("the wall clock is {:.3} s {side} the venue's time", ahead.abs() / 1e9));
        }
    }

    fn load(&mut self) {
        let capacity = self.venue.value("rialto_command_ring_capacity");
        if let (Some(waiting), Some(capacity)) = (self.venue.value("rialto_command_ring_waiting"), capacity)
            && waiting > capacity / 2.0
        {
            self.now("more comes in than the core can do: the ring of commands is half full");
        }
        if let Some(count) = self.grew("rialto_command_ring_refused_total", 0.0) {
            self.now(format!("{count:.0} commands were answered Busy in the last minute"));
        }
        if let Some(whole) = self.venue.percentiles_of_late("rialto_hop_seconds", Some(("hop", "all")))
            && whole.count >= SAMPLES_MIN
            && whole.p99 > 0.05
        {
            self.now(format!("slow: {:.0} ms from read to sent at p99", whole.p99 * 1e3));
        }
        if let Some(count) = self.grew("rialto_rejects_total", 600.0) {
            self.soon(format!("{count:.0} commands were refused in the last minute"));
        }
    }

    /// Something that happened so often in the last minute, in words for once and for more.
    fn happened(&mut self, count: Option<f64>, once: &str, more: &str) {
        match count {
            Some(1.0) => self.soon(format!("1 {once} in the last minute")),
            Some(count) if count > 0.0 => self.soon(format!("{count:.0} {more} in the last minute")),
            Some(_) | None => {}
        }
    }

    fn doors(&mut self) {
        if let Some(count) = self.grew("rialto_login_failures_total", 12.0) {
            self.soon(format!("{count:.0} logins failed in the last minute"));
        }
        if let Some(count) = self.grew("rialto_connections_turned_away_total", 6.0) {
            self.soon(format!("{count:.0} connections were turned away in the last minute"));
        }
        let closed = self.venue.growth_of("rialto_market_data_closed", "reason", "TooSlow");
        self.happened(closed, "subscriber was closed as too slow", "subscribers were closed as too slow");
        let ended = self.venue.growth_of("rialto_order_entry_ended_total", "reason", "SlowReader");
        self.happened(ended, "session was ended, which read too slowly", "sessions were ended, which read too slowly");
        let forged = self.venue.growth_of("rialto_admin_requests_total", "status", "401");
        if let Some(count) = forged.filter(|&count| count > 5.0) {
            self.soon(format!("{count:.0} requests at the operator's door were not authenticated in the last minute"));
        }
    }
}
