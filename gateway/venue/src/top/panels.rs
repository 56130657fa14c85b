//! What each panel says. A metric that the venue does not have is a dash.

use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use super::alerts::Alert;
use super::screen::{QUIET, STRONG, alert_line};
use super::state::{CANCELLED, Flow, Percentiles, Rows, Venue};
use crate::admin::ROWS_MAX;
use crate::admin::value::TimeText;
use crate::hops;

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    Traffic,
    Latency,
    Journal,
    Sessions,
    MarketData,
    Refusals,
    Instruments,
    Alerts,
}

impl Panel {
    pub(super) const ALL: [Self; 8] = [
        Self::Traffic,
        Self::Latency,
        Self::Journal,
        Self::Sessions,
        Self::MarketData,
        Self::Refusals,
        Self::Instruments,
        Self::Alerts,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Latency => "latency",
            Self::Journal => "journal",
            Self::Sessions => "sessions",
            Self::MarketData => "market data",
            Self::Refusals => "refusals",
            Self::Instruments => "instruments",
            Self::Alerts => "alerts",
        }
    }
}

/// How much a panel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    All,
    /// What matters most, where many panels share few lines.
    Most,
}

/// The lines of a panel that is so many columns wide.
pub(super) fn lines(panel: Panel, venue: &Venue, alerts: &[Alert], detail: Detail, width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width);
    match panel {
        Panel::Traffic => traffic(venue, width),
        Panel::Latency => latency(venue, detail),
        Panel::Journal => journal(venue, width),
        Panel::Sessions => table(venue.last().map(|answer| &answer.sessions), &SESSION_COLUMNS, width, login_time),
        Panel::MarketData => market_data(venue, width),
        Panel::Refusals => refusals(venue, width),
        Panel::Instruments => instruments(venue, width),
        Panel::Alerts if alerts.is_empty() => vec![Line::styled(" nothing that would wake anybody", QUIET)],
        Panel::Alerts => alerts.iter().map(alert_line).collect(),
    }
}

/// What is let in, in words.
pub(super) fn admission(value: f64) -> (&'static str, Style) {
    match value {
        0.0 => ("everything", Style::new()),
        1.0 => ("cancels only", Style::new().fg(Color::Yellow)),
        _ => ("nothing", Style::new().fg(Color::Red)),
    }
}

// Numbers.

const DASH: &str = "–";

/// A whole number with groups of three digits; a dash if there is none.
pub(super) fn count(value: Option<f64>) -> String {
    let Some(value) = value else { return DASH.to_owned() };
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value <= -0.5 { format!("-{grouped}") } else { grouped }
}

/// So many a second.
pub(super) fn rate(value: Option<f64>) -> String {
    match value {
        None => DASH.to_owned(),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => count(Some(value)),
    }
}

/// Seconds, in the unit in which they are easy to read.
pub(super) fn seconds(value: f64) -> String {
    let (value, unit) = match value {
        value if value < 1e-3 => (value * 1e6, "µs"),
        value if value < 1.0 => (value * 1e3, "ms"),
        value => (value, "s"),
    };
    if value < 100.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// Bytes, in the unit in which they are easy to read.
pub(super) fn bytes(value: Option<f64>) -> String {
    let Some(value) = value.filter(|&value| value >= 0.0) else { return DASH.to_owned() };
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    #[expect(clippy::cast_precision_loss, reason = "powers of two")]
    let found = units.into_iter().map(|(size, unit)| (size as f64, unit)).find(|&(size, _)| value >= size);
    match found {
        Some((size, unit)) if value / size < 100.0 => format!("{:.1} {unit}", value / size),
        Some((size, unit)) => format!("{:.0} {unit}", value / size),
        None => format!("{value:.0} B"),
    }
}

/// Names and values in as many pairs on a line as there is room for.
fn pairs(pairs: &[(&str, String)], width: usize) -> Vec<Line<'static>> {
    const NAME: usize = 14;
    const VALUE: usize = 10;
    let per_line = (width / (NAME + VALUE + 2)).max(1);
    let line = |pairs: &[(&str, String)]| {
        let spans = pairs.iter().flat_map(|(name, value)| {
            let style = if value == DASH { QUIET } else { Style::new() };
            [Span::styled(format!(" {name:<NAME$}"), QUIET), Span::styled(format!("{value:>VALUE$} "), style)]
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    pairs.chunks(per_line).map(line).collect()
}

// Panels.

const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The newest points that there is room for, the highest of them a whole cell high.
fn sparkline(points: &[u64], width: usize) -> String {
    let shown = &points[points.len().saturating_sub(width)..];
    let highest = shown.iter().copied().max().unwrap_or(0).max(1);
    let level = |&point: &u64| {
        let eighths = (u128::from(point) * 8).div_ceil(u128::from(highest));
        LEVELS[usize::try_from(eighths).unwrap_or(8).min(8)]
    };
    let line: String = shown.iter().map(level).collect();
    format!("{line:>width$}")
}

fn traffic(venue: &Venue, width: usize) -> Vec<Line<'static>> {
    let flow = |(flow, color): (Flow, Color)| {
        let numbers = format!(" {:<9}{:>9} /s ", flow.name(), rate(venue.rate(flow)));
        let room = width.saturating_sub(numbers.chars().count() + 1);
        let line = sparkline(&venue.points(flow), room);
        Line::from(vec![Span::raw(numbers), Span::styled(line, Style::new().fg(color))])
    };
    let mut lines: Vec<_> = Flow::ALL.into_iter().zip([Color::Cyan, Color::Green, Color::Red]).map(flow).collect();
    let ring = match (venue.value("rialto_command_ring_waiting"), venue.value("rialto_command_ring_capacity")) {
        (Some(waiting), Some(capacity)) if capacity > 0.0 => format!("{:.0} %", waiting / capacity * 100.0),
        _ => DASH.to_owned(),
    };
    lines.extend(pairs(
        &[
            ("sequence", count(venue.value("rialto_sequence"))),
            ("events /s", rate(venue.rate_now("rialto_events_total"))),
            ("orders /s", rate(venue.rate_now("rialto_orders_accepted_total"))),
            ("cancels /s", rate(venue.rate_now(CANCELLED))),
            ("reports /s", rate(venue.rate_now("rialto_order_entry_reports_total"))),
            ("commands wait", ring),
            ("connections", count(venue.value("rialto_order_entry_connections"))),
            ("processors", rate(venue.rate_now("process_cpu_seconds_total"))),
            ("memory", bytes(venue.value("process_resident_memory_bytes"))),
        ],
        width,
    ));
    lines
}

fn latency(venue: &Venue, detail: Detail) -> Vec<Line<'static>> {
    let heading = format!(" {:<10}{:>10}{:>10}{:>10}{:>12}", "", "p50", "p99", "p999", "samples");
    let row = |name: &str, percentiles| match percentiles {
        Some(Percentiles { count: samples, p50, p99, p999 }) => Line::raw(format!(
            " {name:<10}{:>10}{:>10}{:>10}{:>12}",
            seconds(p50),
            seconds(p99),
            seconds(p999),
            count(Some(samples))
        )),
        None => Line::styled(format!(" {name:<10}{DASH:>10}{DASH:>10}{DASH:>10}{DASH:>12}"), QUIET),
    };
    let is_shown = |hop: &&str| detail == Detail::All || matches!(*hop, "all" | "durable");
    let hops = hops::labels()
        .filter(is_shown)
        .map(|hop| row(hop, venue.percentiles("rialto_hop_seconds", Some(("hop", hop)))));
    let sync = row("disk sync", venue.percentiles("rialto_journal_sync_seconds", None));
    std::iter::once(Line::styled(heading, QUIET)).chain(hops).chain([sync]).collect()
}

fn journal(venue: &Venue, width: usize) -> Vec<Line<'static>> {
    let value = |metric| venue.value(metric);
    let behind = match (value("rialto_sequence"), value("rialto_history_sequence")) {
        (Some(last), Some(shown)) => Some((last - shown).max(0.0)),
        _ => None,
    };
    let ahead = value("rialto_wall_clock_ahead_ns").map_or_else(
        || DASH.to_owned(),
        |ahead| format!("{}{}", if ahead < 0.0 { "-" } else { "" }, seconds(ahead.abs() / 1e9)),
    );
    let word = |metric, good: &str, bad: &str| match value(metric) {
        Some(0.0) => good.to_owned(),
        Some(_) => bad.to_owned(),
        None => DASH.to_owned(),
    };
    let taken = value("rialto_snapshots_taken");
    let of_last = |value: Option<f64>| value.filter(|_| taken.is_some_and(|taken| taken > 0.0));
    let snapshot_time = of_last(value("rialto_snapshot_ms")).map_or_else(|| DASH.to_owned(), |ms| seconds(ms / 1e3));
    pairs(
        &[
            ("room", bytes(value("rialto_journal_room_bytes"))),
            ("spare segments", count(value("rialto_journal_spares"))),
            ("disk free", bytes(value("rialto_journal_disk_free_bytes"))),
            ("written /s", bytes(venue.rate_now("rialto_journal_written_bytes_total"))),
            ("not durable", count(value("rialto_durability_lag_commands"))),
            ("checked", bytes(value("rialto_journal_checked_bytes"))),
            ("damage", word("rialto_journal_damaged", "none found", "FOUND")),
            ("history behind", count(behind)),
            ("past is kept", word("rialto_archive_failing", "yes", "NO")),
            ("snapshots", count(taken)),
            ("last behind", count(of_last(value("rialto_snapshot_sequence")))),
            ("snapshot size", bytes(of_last(value("rialto_snapshot_bytes")))),
            ("snapshot time", snapshot_time),
            ("clock ahead", ahead),
            ("clock steps", count(value("rialto_clock_steps"))),
        ],
        width,
    )
}

fn market_data(venue: &Venue, width: usize) -> Vec<Line<'static>> {
    let mut lines = pairs(
        &[
            ("subscribers", count(venue.value("rialto_market_data_subscribers"))),
            ("refused", count(venue.value("rialto_market_data_refused"))),
            ("waiting", bytes(venue.value("rialto_market_data_backlog_bytes"))),
            ("gap notices", count(venue.value("rialto_market_data_gaps_total"))),
        ],
        width,
    );
    lines.extend(by_reason("closed", &venue.values("rialto_market_data_closed", "reason"), width));
    lines.extend(by_reason("logons", &venue.values("rialto_market_data_logon_failures_total", "reason"), width));
    lines
}

fn refusals(venue: &Venue, width: usize) -> Vec<Line<'static>> {
    let families = [
        ("rejects", "rialto_rejects_total", "reason"),
        ("at the edge", "rialto_order_entry_refused_total", "reason"),
        ("logins", "rialto_login_failures_total", "reason"),
        ("turned away", "rialto_connections_turned_away_total", "reason"),
        ("ended", "rialto_order_entry_ended_total", "reason"),
        ("admin", "rialto_admin_requests_total", "status"),
    ];
    let of = |(name, metric, label)| {
        let mut counts = venue.values(metric, label);
        // What an administrator asked for and got is no refusal.
        counts.retain(|(value, _)| label != "status" || value != "200");
        by_reason(name, &counts, width)
    };
    let lines: Vec<_> = families.into_iter().flat_map(of).collect();
    if lines.is_empty() { vec![Line::styled(" nothing was refused since the start", QUIET)] } else { lines }
}

/// What is not zero, the largest first, over as many lines as it takes.
fn by_reason(name: &str, reasons: &[(String, f64)], width: usize) -> Vec<Line<'static>> {
    const NAME: usize = 12;
    let mut reasons: Vec<_> = reasons.iter().filter(|(_, count)| *count > 0.0).collect();
    reasons.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut used = usize::MAX;
    for (reason, number) in reasons {
        let text = format!("{reason} {}  ", count(Some(*number)));
        if used.saturating_add(text.len()) > width {
            let name = if lines.is_empty() { name } else { "" };
            lines.push(Line::from(Span::styled(format!(" {name:<NAME$}"), QUIET)));
            used = NAME + 1;
        }
        used += text.len();
        if let Some(line) = lines.last_mut() {
            line.push_span(Span::raw(text));
        }
    }
    lines
}

/// Columns by the field that they show, as far as the venue's rows have it.
const SESSION_COLUMNS: [(&str, &str); 10] = [
    ("session", "session"),
    ("key", "key"),
    ("account", "account"),
    ("state", "state"),
    ("ended", "ended"),
    ("last_applied", "applied"),
    ("open_orders", "orders"),
    ("connected_from", "from"),
    ("cancel_on_disconnect", "cancels"),
    ("login", "login"),
];

/// A login's number is the time of it, where a client has no reason for another.
fn login_time(row: &Map<String, Value>) -> Vec<(String, Value)> {
    /// 2001-09-09 in nanoseconds.
    const LEAST: u64 = 1_000_000_000_000_000_000;
    let time = row.get("login").and_then(Value::as_u64).filter(|&login| login > LEAST).map(|login| {
        let text = TimeText(engine::Timestamp(login)).to_string();
        text.get(..19).unwrap_or(&text).replace('T', " ")
    });
    time.map(|text| ("login".to_owned(), text.into())).into_iter().collect()
}

const INSTRUMENT_COLUMNS: [(&str, &str); 6] =
    [("instrument", "no"), ("name", "name"), ("phase", "phase"), ("last", "last"), ("tick", "tick"), ("lot", "lot")];

fn instruments(venue: &Venue, width: usize) -> Vec<Line<'static>> {
    let rows = venue.last().map(|answer| &answer.instruments);
    table(rows, &INSTRUMENT_COLUMNS, width, |row| {
        let price = row.get("instrument").and_then(Value::as_u64).and_then(|number| venue.prices.get(&number));
        price.map(|price| ("last".to_owned(), price.clone().into())).into_iter().collect()
    })
}

/// Rows in columns as wide as what is in them, as many columns as there is room for.
fn table(
    rows: Option<&Rows>,
    columns: &[(&str, &str)],
    width: usize,
    more: impl Fn(&Map<String, Value>) -> Vec<(String, Value)>,
) -> Vec<Line<'static>> {
    let rows = match rows {
        Some(Ok(rows)) if rows.is_empty() => return vec![Line::styled(" none", QUIET)],
        Some(Ok(rows)) => rows,
        Some(Err(reason)) => return vec![Line::styled(format!(" {DASH} {reason}"), QUIET)],
        None => return vec![Line::styled(format!(" {DASH}"), QUIET)],
    };
    let rows: Vec<Map<String, Value>> = rows
        .iter()
        .map(|row| {
            let mut row = row.clone();
            row.extend(more(&row));
            row
        })
        .collect();
    let is_there = |(field, _): &&(&str, &str)| rows.iter().any(|row| row.get(*field).is_some_and(|of| !of.is_null()));
    let columns: Vec<_> = columns.iter().filter(is_there).collect();
    let text = |row: &Map<String, Value>, field: &str| match row.get(field) {
        None | Some(Value::Null) => DASH.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let widths: Vec<usize> = columns
        .iter()
        .map(|(field, heading)| {
            let longest = rows.iter().map(|row| text(row, field).chars().count()).max().unwrap_or(0);
            longest.max(heading.len())
        })
        .collect();
    let mut fitting = 0;
    let mut used = 0;
    while fitting < widths.len() && used + widths[fitting] + 2 <= width + 1 {
        used += widths[fitting] + 2;
        fitting += 1;
    }
    let line = |cells: Vec<String>| {
        let cells = cells.iter().zip(&widths).take(fitting.max(1)).map(|(cell, &width)| format!("{cell:<width$}"));
        format!(" {}", cells.collect::<Vec<_>>().join("  "))
    };
    let heading = line(columns.iter().map(|(_, heading)| (*heading).to_owned()).collect());
    let body = rows.iter().map(|row| {
        let text = line(columns.iter().map(|(field, _)| text(row, field)).collect());
        let is_quiet = row.get("state").and_then(Value::as_str) == Some("Disconnected");
        Line::styled(text, if is_quiet { QUIET } else { Style::new() })
    });
    let is_cut = rows.len() >= ROWS_MAX;
    let rest = is_cut.then(|| Line::styled(format!(" … the first {}", rows.len()), QUIET));
    std::iter::once(Line::styled(heading, QUIET.patch(STRONG))).chain(body).chain(rest).collect()
}
