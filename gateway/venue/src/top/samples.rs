//! The text of `/metrics`, read: samples by name and labels, and what follows from a histogram's buckets.
//!
//! ```text
//! # HELP, # TYPE, # EOF                      passed over
//! rialto_rejects_total{reason="Busy"} 3      a name, labels, a value; a timestamp or an exemplar behind it is passed over
//! ```
//!
//! The libraries that read this format bring regular expressions and a calendar along for it.

use std::collections::BTreeMap;

/// A sample's labels, in the order in which they were written.
type Labels = Vec<(String, String)>;

/// Everything that one answer says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Samples {
    by_name: BTreeMap<String, Vec<(Labels, f64)>>,
}

impl Samples {
    /// Reads a text; a line that is no sample says nothing.
    pub(super) fn parse(text: &str) -> Self {
        let mut samples = Self::default();
        for (name, labels, value) in text.lines().filter_map(sample) {
            samples.by_name.entry(name).or_default().push((labels, value));
        }
        samples
    }

    fn of(&self, name: &str) -> &[(Labels, f64)] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum over all labels; nothing if there is no such sample.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        let samples = self.of(name);
        (!samples.is_empty()).then(|| samples.iter().map(|(_, value)| value).sum())
    }

    /// The value with this label, if there is one.
    pub(super) fn labelled(&self, name: &str, label: &str, is: &str) -> Option<f64> {
        self.by_label(name, label).into_iter().find(|(value, _)| value == is).map(|(_, value)| value)
    }

    /// What each value of a label has, the same value once.
    pub(super) fn by_label(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let mut found: BTreeMap<String, f64> = BTreeMap::new();
        for (labels, value) in self.of(name) {
            if let Some(of) = value_of(labels, label) {
                *found.entry(of.to_owned()).or_default() += value;
            }
        }
        found.into_iter().collect()
    }

    /// The buckets of a histogram, or of those of its samples that have a label: upper bounds in order, and how many are
    /// at or below each.
    pub(super) fn buckets(&self, name: &str, with: Option<(&str, &str)>) -> Vec<(f64, f64)> {
        let is_meant = |labels: &Labels| with.is_none_or(|(label, value)| value_of(labels, label) == Some(value));
        let samples = self.of(&format!("{name}_bucket"));
        let bound = |labels: &Labels| value_of(labels, "le").and_then(|bound| bound.parse::<f64>().ok());
        let meant = samples.iter().filter(|(labels, _)| is_meant(labels));
        let mut buckets: Vec<_> = meant.filter_map(|(labels, count)| Some((bound(labels)?, *count))).collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        buckets
    }
}

fn value_of<'a>(labels: &'a Labels, label: &str) -> Option<&'a str> {
    labels.iter().find(|(name, _)| name == label).map(|(_, value)| value.as_str())
}

fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(['{', ' ', '\t'])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name.to_owned(), labels, value))
}

/// Labels up to the closing brace, and what is behind it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, behind) = rest.split_once("=\"")?;
        let (value, behind) = quoted(behind)?;
        labels.push((name.trim().to_owned(), value));
        rest = behind;
    }
}

/// Text up to the closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

/// The value that a part of all samples is at or below, between a bucket's bounds where it falls into one; nothing if
/// there are no samples.
pub(super) fn quantile(buckets: &[(f64, f64)], part: f64) -> Option<f64> {
    let (_, total) = *buckets.last()?;
    if total <= 0.0 {
        return None;
    }
    let wanted = part * total;
    let (mut lower, mut below) = (0.0, 0.0);
    for &(upper, count) in buckets {
        if count >= wanted && count > below {
            // Of those beyond the last bound nothing is known but that.
            let is_open = upper.is_infinite();
            return Some(if is_open { lower } else { lower + (upper - lower) * (wanted - below) / (count - below) });
        }
        (lower, below) = (upper, count);
    }
    Some(lower)
}

/// What came into the buckets since; nothing if it is another histogram, or one that began anew. One that was not there
/// had counted nothing.
pub(super) fn buckets_since(now: &[(f64, f64)], then: &[(f64, f64)]) -> Option<Vec<(f64, f64)>> {
    if then.is_empty() {
        return Some(now.to_vec());
    }
    if now.len() != then.len() {
        return None;
    }
    let difference = |(&(bound, now), &(_, then)): (&(f64, f64), &(f64, f64))| (bound, now - then);
    let since: Vec<_> = now.iter().zip(then).map(difference).collect();
    since.iter().all(|&(_, count)| count >= 0.0).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP rialto_trades Trades since the start.
# TYPE rialto_trades counter
rialto_trades_total 7
rialto_rejects_total{reason="Busy"} 3
rialto_rejects_total{reason="OffTick"} 4 1795888800
rialto_build_info{version="0.1",odd="a\"b\\c,}d"} 1
rialto_wall_clock_ahead_ns -1500
rialto_hop_seconds_bucket{le="0.001",hop="all"} 50
rialto_hop_seconds_bucket{le="0.002",hop="all"} 90
rialto_hop_seconds_bucket{le="+Inf",hop="all"} 100
rialto_hop_seconds_bucket{le="0.001",hop="sent"} 1
what is no sample
rialto_torn{reason="Bu
# EOF
"#;

    #[test]
    fn samples_are_found_by_name_and_label() {
        let samples = Samples::parse(TEXT);
        assert_eq!(samples.sum("rialto_trades_total"), Some(7.0));
        assert_eq!(samples.sum("rialto_rejects_total"), Some(7.0));
        assert_eq!(samples.sum("rialto_wall_clock_ahead_ns"), Some(-1500.0));
        assert_eq!(samples.sum("rialto_torn"), None);
        let by_reason = [("Busy".to_owned(), 3.0), ("OffTick".to_owned(), 4.0)];
        assert_eq!(samples.by_label("rialto_rejects_total", "reason"), by_reason);
        assert_eq!(samples.labelled("rialto_rejects_total", "reason", "OffTick"), Some(4.0));
        assert_eq!(samples.by_label("rialto_build_info", "odd")[0].0, "a\"b\\c,}d");
        assert_eq!(Samples::parse("").sum("rialto_trades_total"), None);
    }

    #[test]
    fn quantiles_lie_where_the_buckets_say() {
        let buckets = Samples::parse(TEXT).buckets("rialto_hop_seconds", Some(("hop", "all")));
        assert_eq!(buckets, [(0.001, 50.0), (0.002, 90.0), (f64::INFINITY, 100.0)]);
        assert_eq!(quantile(&buckets, 0.5), Some(0.001));
        assert_eq!(quantile(&buckets, 0.7), Some(0.0015));
        assert_eq!(quantile(&buckets, 0.99), Some(0.002));
        assert_eq!(quantile(&[(0.001, 0.0)], 0.5), None);
        assert_eq!(quantile(&[], 0.5), None);
        let later = [(0.001, 50.0), (0.002, 95.0), (f64::INFINITY, 105.0)];
        let since = buckets_since(&later, &buckets).unwrap();
        assert_eq!(since, [(0.001, 0.0), (0.002, 5.0), (f64::INFINITY, 5.0)]);
        assert_eq!(quantile(&since, 0.5), Some(0.0015));
        // A venue that began anew counts from zero.
        assert_eq!(buckets_since(&buckets, &later), None);
    }
}
