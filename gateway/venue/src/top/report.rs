//! The page as one JSON object. What the venue does not say is null.

use serde_json::{Map, Value, json};

use super::alerts::{Urgency, alerts};
use super::state::{Flow, Link, Venue};
use crate::hops;

/// Everything that the panels have.
pub(super) fn object(venue: &Venue) -> Value {
    let alerts: Vec<_> = alerts(venue)
        .into_iter()
        .map(|alert| json!({ "urgent": alert.urgency == Urgency::Now, "text": alert.text }))
        .collect();
    let last = venue.last();
    let rates = Flow::ALL.map(|flow| (flow.name().to_owned(), Value::from(venue.rate(flow))));
    let percentiles = |histogram, with| {
        venue.percentiles(histogram, with).map(
            |of| json!({ "p50_seconds": of.p50, "p99_seconds": of.p99, "p999_seconds": of.p999, "samples": of.count }),
        )
    };
    let hops = hops::labels().map(|hop| (hop.to_owned(), percentiles("rialto_hop_seconds", Some(("hop", hop))).into()));
    let rows = |rows: &super::state::Rows| match rows {
        Ok(rows) => rows.iter().cloned().map(Value::from).collect(),
        Err(_) => Value::Null,
    };
    json!({
        "address": venue.address,
        "reached": venue.link == Link::Up,
        "time": last.map(|answer| answer.time.0),
        "ready": last.map(|answer| answer.ready),
        "health": last.map(|answer| answer.health.as_str()),
        "alerts": alerts,
        "per_second": Map::from_iter(rates),
        "latency": Map::from_iter(hops),
        "sync": percentiles("rialto_journal_sync_seconds", None),
        "sequence": venue.value("rialto_sequence"),
        "journal": numbers(venue, &[
            ("admission", "rialto_journal_admission"),
            ("spares", "rialto_journal_spares"),
            ("room_bytes", "rialto_journal_room_bytes"),
            ("disk_free_bytes", "rialto_journal_disk_free_bytes"),
            ("durability_lag_commands", "rialto_durability_lag_commands"),
            ("checked_bytes", "rialto_journal_checked_bytes"),
            ("damaged", "rialto_journal_damaged"),
        ]),
        "past": numbers(venue, &[
            ("history_sequence", "rialto_history_sequence"),
            ("failing", "rialto_archive_failing"),
            ("snapshots_taken", "rialto_snapshots_taken"),
            ("snapshot_sequence", "rialto_snapshot_sequence"),
            ("snapshot_bytes", "rialto_snapshot_bytes"),
        ]),
        "clock": numbers(venue, &[
            ("ahead_ns", "rialto_wall_clock_ahead_ns"),
            ("steps", "rialto_clock_steps"),
        ]),
        "subscribers": venue.value("rialto_market_data_subscribers"),
        "closed": by_label(venue, "rialto_market_data_closed", "reason"),
        "rejects": by_label(venue, "rialto_rejects_total", "reason"),
        "login_failures": by_label(venue, "rialto_login_failures_total", "reason"),
        "turned_away": by_label(venue, "rialto_connections_turned_away_total", "reason"),
        "admin_requests": by_label(venue, "rialto_admin_requests_total", "status"),
        "sessions": last.map(|answer| rows(&answer.sessions)),
        "instruments": last.map(|answer| rows(&answer.instruments)),
        "last_prices": venue.prices,
    })
}

fn numbers(venue: &Venue, names: &[(&str, &str)]) -> Map<String, Value> {
    names.iter().map(|(name, metric)| ((*name).to_owned(), venue.value(metric).into())).collect()
}

fn by_label(venue: &Venue, metric: &str, label: &str) -> Map<String, Value> {
    venue.values(metric, label).into_iter().map(|(name, value)| (name, value.into())).collect()
}
