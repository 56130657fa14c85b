//! The venue's figures over time: what its metrics say every few seconds, an hour back.
//!
//! They are taken from the text that everybody reads at `/metrics`, so that the console cannot say anything else. How
//! long hops take is told by histograms; what happened between two looks is their difference, and a percentile of it is
//! within its bucket, by linear interpolation, as Prometheus has it. These are figures to look at, no amounts.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::reach;

/// An hour, five seconds apart.
const SAMPLES_MAX: usize = 720;

/// What is kept of each look, by the name that the page has for it: all series of a metric added up.
const FIGURES: [(&str, &str); 13] = [
    ("trades", "rialto_trades_total"),
    ("orders", "rialto_orders_accepted_total"),
    ("cancels", "rialto_orders_cancelled_total"),
    ("rejects", "rialto_rejects_total"),
    ("events", "rialto_events_total"),
    ("sequence", "rialto_sequence"),
    ("history_sequence", "rialto_history_sequence"),
    ("subscribers", "rialto_market_data_subscribers"),
    ("free", "rialto_journal_disk_free_bytes"),
    ("room", "rialto_journal_room_bytes"),
    ("wall_ahead_ns", "rialto_wall_clock_ahead_ns"),
    ("clock_steps", "rialto_clock_steps"),
    ("snapshot_ms", "rialto_snapshot_ms"),
];

/// What takes time, and what it is called where its series have no hop.
const HISTOGRAMS: [(&str, &str); 2] =
    [("rialto_hop_seconds_bucket", "hop"), ("rialto_journal_sync_seconds_bucket", "sync")];
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)];

/// A metric's series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Vec<(&'a str, &'a str)>,
    pub(super) value: f64,
}

impl<'a> Series<'a> {
    fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| *value)
    }
}

/// The series of a text in the format of Prometheus. What is none is left out.
pub(super) fn parsed(text: &str) -> impl Iterator<Item = Series<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.trim_end_matches('}')),
            None => (series, ""),
        };
        let label = |pair: &'_ str| -> Option<(&str, &str)> {
            let start = labels.as_ptr();
            let offset = pair.as_ptr() as usize - start as usize;
            let (label, value) = labels[offset..offset + pair.len()].split_once('=')?;
            Some((label, value.trim_matches('"')))
        };
        let labels = labels.split(',').filter_map(label).collect();
        Some(Series { name, labels, value: value.parse().ok()? })
    })
}

/// Buckets of one hop: up to where, and how many up to there.
type Buckets = Vec<(f64, f64)>;

/// An hour of figures.
#[derive(Debug, Default)]
pub(super) struct Samples {
    kept: VecDeque<Value>,
    hops: BTreeMap<String, Buckets>,
}

impl Samples {
    /// Keeps what a text of metrics says.
    pub(super) fn take(&mut self, text: &str) {
        let mut figures = [0.0; FIGURES.len()];
        let mut hops: BTreeMap<String, Buckets> = BTreeMap::new();
        for series in parsed(text) {
            if let Some((_, otherwise)) = HISTOGRAMS.iter().find(|(name, _)| *name == series.name)
                && let Some(Ok(bound)) = series.label("le").map(str::parse)
            {
                let hop = series.label("hop").unwrap_or(otherwise).to_owned();
                hops.entry(hop).or_default().push((bound, series.value));
            }
            if let Some(place) = FIGURES.iter().position(|(_, name)| *name == series.name) {
                figures[place] += series.value;
            }
        }
        let latest = hops.iter().map(|(hop, buckets)| (hop.clone(), self.percentiles(hop, buckets)));
        let mut sample = Map::new();
        sample.insert("at_ms".to_owned(), json!(reach::now().0 / 1_000_000));
        FIGURES
            .iter()
            .zip(figures)
            .for_each(|((name, _), value)| drop(sample.insert((*name).to_owned(), json!(value))));
        sample.insert("hops".to_owned(), Value::Object(latest.collect()));
        if self.kept.len() >= SAMPLES_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Value::Object(sample));
        self.hops = hops;
    }

    /// What was kept behind a time, oldest first.
    pub(super) fn behind(&self, at_ms: u64) -> Value {
        self.kept.iter().filter(|sample| sample["at_ms"].as_u64().is_some_and(|at| at > at_ms)).cloned().collect()
    }

    /// Of what came to the buckets since the last look, in nanoseconds; null: nothing came.
    fn percentiles(&self, hop: &str, buckets: &Buckets) -> Value {
        let before = self.hops.get(hop);
        let known = |bound: f64| before.and_then(|before| before.iter().find(|(known, _)| *known == bound));
        let came: Buckets =
            buckets.iter().map(|&(bound, count)| (bound, count - known(bound).map_or(0.0, |it| it.1))).collect();
        let count = came.last().map_or(0.0, |(_, count)| *count);
        if count <= 0.0 {
            return Value::Null;
        }
        let mut told = Map::new();
        told.insert("count".to_owned(), json!(count));
        for (name, share) in PERCENTILES {
            told.insert(name.to_owned(), json!((percentile(&came, share) * 1e9).round()));
        }
        Value::Object(told)
    }
}

/// Where so much of what is in the buckets is below; in the last, which has no end, its beginning.
fn percentile(buckets: &Buckets, share: f64) -> f64 {
    let rank = share * buckets.last().map_or(0.0, |(_, count)| *count);
    let (mut below, mut until) = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank {
            let within = if count > until { (rank - until) / (count - until) } else { 1.0 };
            return if bound.is_finite() { below + (bound - below) * within } else { below };
        }
        (below, until) = (bound, count);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP rialto_trades Trades since the start.\n# TYPE rialto_trades counter\n\
        rialto_trades_total 12\nrialto_rejects_total{reason=\"PriceOffTick\"} 3\n\
        rialto_rejects_total{reason=\"UnknownOrder\"} 4\n\
        rialto_hop_seconds_bucket{le=\"0.001\",hop=\"decoded\"} 50\n\
        rialto_hop_seconds_bucket{le=\"0.002\",hop=\"decoded\"} 90\n\
        rialto_hop_seconds_bucket{le=\"+Inf\",hop=\"decoded\"} 100\n# EOF\n";

    #[test]
    fn the_text_is_read_as_it_is_written() {
        let series: Vec<_> = parsed(TEXT).collect();
        assert_eq!(series.len(), 6);
        assert_eq!(series[0], Series { name: "rialto_trades_total", labels: vec![], value: 12.0 });
        assert_eq!(series[1].labels, [("reason", "PriceOffTick")]);
        assert_eq!(series[3].labels, [("le", "0.001"), ("hop", "decoded")]);
    }

    #[test]
    fn every_figure_is_one_of_the_venues_metrics() {
        let text = crate::metrics::Metrics::default().counted();
        for (_, name) in FIGURES {
            let family = name.trim_end_matches("_total");
            assert!(text.contains(&format!("# TYPE {family} ")), "{name}");
        }
        for (name, _) in HISTOGRAMS {
            let family = name.trim_end_matches("_bucket");
            assert!(text.contains(&format!("# TYPE {family} histogram")), "{name}");
        }
    }

    #[test]
    fn series_of_a_metric_add_up_and_a_hop_tells_of_what_came_since() {
        let mut samples = Samples::default();
        samples.take(TEXT);
        samples.take(&TEXT.replace("} 90\n", "} 94\n").replace("} 100\n", "} 104\n"));
        samples.take(TEXT);
        let told = samples.behind(0);
        assert_eq!((&told[0]["trades"], &told[0]["rejects"]), (&json!(12.0), &json!(7.0)));
        assert_eq!(told[0]["hops"]["decoded"]["p50"], json!(1_000_000.0));
        let since = &told[1]["hops"]["decoded"];
        assert_eq!((&since["count"], &since["p50"]), (&json!(4.0), &json!(1_500_000.0)));
        assert_eq!(samples.behind(u64::MAX), json!([]));
    }

    #[test]
    fn a_percentile_is_within_its_bucket() {
        let buckets = vec![(1.0, 50.0), (2.0, 90.0), (f64::INFINITY, 100.0)];
        for (share, expected) in [(0.25, 0.5), (0.5, 1.0), (0.7, 1.5), (0.9, 2.0), (0.99, 2.0)] {
            assert!((percentile(&buckets, share) - expected).abs() < 1e-9, "{share}");
        }
    }
}
