//! What is known of a venue: what it said in the last minute, and what follows from it. Pure: a function of what came.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine::Timestamp;
use serde_json::{Map, Value};

use super::samples::{Samples, buckets_since, quantile};

/// How far back rates, percentiles and alerts look.
const WINDOW: Duration = Duration::from_secs(60);
/// Points of a sparkline that are kept.
const POINTS: usize = 240;

/// Orders that ended unfilled.
pub(super) const CANCELLED: &str = "rialto_orders_cancelled_total";

/// Rows of a list of the operator's door, or why there are none.
pub(super) type Rows = Result<Vec<Map<String, Value>>, String>;

/// What a venue said at one time.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Since this program began.
    pub(super) at: Duration,
    /// This machine's clock.
    pub(super) time: Timestamp,
    pub(super) samples: Samples,
    pub(super) ready: bool,
    /// What `/health/ready` said.
    pub(super) health: String,
    pub(super) instruments: Rows,
    pub(super) sessions: Rows,
}

/// Adds to each session the accounts that its key may act for.
pub(super) fn add_accounts(sessions: &mut [Map<String, Value>], keys: &[Map<String, Value>]) {
    for session in sessions {
        let number = session.get("key").cloned();
        let key = keys.iter().find(|key| number.is_some() && key.get("key") == number.as_ref());
        let roles = key.and_then(|key| key.get("roles")).and_then(Value::as_array).into_iter().flatten();
        let mut accounts: Vec<u64> = roles.filter_map(|role| role.get("account")?.as_u64()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        if !accounts.is_empty() {
            let text = accounts.iter().map(u64::to_string).collect::<Vec<_>>().join("+");
            session.entry("account").or_insert(text.into());
        }
    }
}

/// Whether there is a venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing is known yet.
    Waiting,
    Up,
    /// It does not answer, and why.
    Lost(String),
}

/// What happens each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Commands,
    Trades,
    Rejects,
}

impl Flow {
    pub(super) const ALL: [Self; 3] = [Self::Commands, Self::Trades, Self::Rejects];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Trades => "trades",
            Self::Rejects => "rejects",
        }
    }

    fn metric(self) -> &'static str {
        match self {
            Self::Commands => "rialto_sequence",
            Self::Trades => "rialto_trades_total",
            Self::Rejects => "rialto_rejects_total",
        }
    }
}

/// Percentiles of a histogram, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentiles {
    pub(super) count: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

impl Percentiles {
    /// Those of a histogram's buckets; none if nothing was counted.
    fn of(buckets: &[(f64, f64)]) -> Option<Self> {
        let &(_, count) = buckets.last().filter(|&&(_, count)| count > 0.0)?;
        let quantile = |part| quantile(buckets, part);
        Some(Self { count, p50: quantile(0.5)?, p99: quantile(0.99)?, p999: quantile(0.999)? })
    }
}

/// What is known of a venue.
#[derive(Debug)]
pub(super) struct Venue {
    pub(super) address: String,
    pub(super) link: Link,
    /// The oldest first; none from before the venue's last start.
    answers: VecDeque<Answer>,
    points: [VecDeque<u64>; 3],
    /// Last prices, from market data.
    pub(super) prices: BTreeMap<u64, String>,
    /// How often it went away and came back.
    pub(super) returns: u64,
}

impl Venue {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            link: Link::Waiting,
            answers: VecDeque::new(),
            points: std::array::from_fn(|_| VecDeque::new()),
            prices: BTreeMap::new(),
            returns: 0,
        }
    }

    /// Takes an answer in.
    pub(super) fn answered(&mut self, answer: Answer) {
        if matches!(self.link, Link::Lost(_)) && !self.answers.is_empty() {
            self.returns += 1;
        }
        self.link = Link::Up;
        if self.is_another(&answer) {
            self.answers.clear();
        }
        let oldest_kept = answer.at.saturating_sub(WINDOW);
        while self.answers.front().is_some_and(|oldest| oldest.at < oldest_kept) {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
        for (flow, index) in Flow::ALL.into_iter().zip(0..) {
            let rate = self.rate_now(flow.metric()).unwrap_or(0.0);
            let points = &mut self.points[index];
            // Negative rates are none, and too large ones no matter.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a point of a picture")]
            points.push_back(rate.ceil() as u64);
            if points.len() > POINTS {
                points.pop_front();
            }
        }
    }

    /// A venue that counts less than before has begun anew.
    fn is_another(&self, answer: &Answer) -> bool {
        let events = |answer: &Answer| answer.samples.sum("rialto_events_total").unwrap_or(0.0);
        self.answers.back().is_some_and(|before| events(before) > events(answer))
    }

    pub(super) fn lost(&mut self, reason: &str) {
        self.link = Link::Lost(reason.to_owned());
    }

    /// What it said last; nothing if it never said anything.
    pub(super) fn last(&self) -> Option<&Answer> {
        self.answers.back()
    }

    pub(super) fn points(&self, flow: Flow) -> Vec<u64> {
        self.points[flow as usize].iter().copied().collect()
    }

    /// The last value of a metric, summed over its labels.
    pub(super) fn value(&self, metric: &str) -> Option<f64> {
        self.last()?.samples.sum(metric)
    }

    /// The last values of a metric by a label.
    pub(super) fn values(&self, metric: &str, label: &str) -> Vec<(String, f64)> {
        self.last().map_or_else(Vec::new, |answer| answer.samples.by_label(metric, label))
    }

    /// How much a metric grew in the window; nothing if it is not known. What was not there before began at zero.
    pub(super) fn growth(&self, metric: &str) -> Option<f64> {
        let (first, last) = (self.answers.front()?, self.answers.back()?);
        let then = first.samples.sum(metric).unwrap_or(0.0);
        last.samples.sum(metric).map(|now| (now - then).max(0.0))
    }

    /// The same of one of its samples.
    pub(super) fn growth_of(&self, metric: &str, label: &str, is: &str) -> Option<f64> {
        let (first, last) = (self.answers.front()?, self.answers.back()?);
        let then = first.samples.labelled(metric, label, is).unwrap_or(0.0);
        last.samples.labelled(metric, label, is).map(|now| (now - then).max(0.0))
    }

    /// How much a metric grows each second, of late.
    pub(super) fn rate(&self, flow: Flow) -> Option<f64> {
        self.rate_now(flow.metric())
    }

    /// Between the last two answers.
    pub(super) fn rate_now(&self, metric: &str) -> Option<f64> {
        let last = self.answers.back()?;
        let before = self.answers.len().checked_sub(2).and_then(|index| self.answers.get(index))?;
        let seconds = last.at.checked_sub(before.at)?.as_secs_f64();
        // A family with labels is not there before the first of its kind.
        let is_by_reason = metric == Flow::Rejects.metric() || metric == CANCELLED;
        let now = last.samples.sum(metric).or(is_by_reason.then_some(0.0))?;
        let then = before.samples.sum(metric).unwrap_or(0.0);
        (seconds > 0.0 && now >= then).then(|| (now - then) / seconds)
    }

    /// How long it was asked, up to the window.
    pub(super) fn span(&self) -> Duration {
        let ends = self.answers.front().zip(self.answers.back());
        ends.map_or(Duration::ZERO, |(first, last)| last.at.saturating_sub(first.at))
    }

    /// The highest value in the window.
    pub(super) fn highest(&self, metric: &str) -> Option<f64> {
        self.answers.iter().filter_map(|answer| answer.samples.sum(metric)).reduce(f64::max)
    }

    /// Percentiles of what came in the window, or since the venue's start if nothing did.
    pub(super) fn percentiles(&self, histogram: &str, with: Option<(&str, &str)>) -> Option<Percentiles> {
        let since_start = || Percentiles::of(&self.answers.back()?.samples.buckets(histogram, with));
        self.percentiles_of_late(histogram, with).or_else(since_start)
    }

    /// Percentiles of what came in the window, if anything did.
    pub(super) fn percentiles_of_late(&self, histogram: &str, with: Option<(&str, &str)>) -> Option<Percentiles> {
        let (first, last) = (self.answers.front()?, self.answers.back()?);
        let now = last.samples.buckets(histogram, with);
        Percentiles::of(&buckets_since(&now, &first.samples.buckets(histogram, with))?)
    }
}
