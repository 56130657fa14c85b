//! What a run found, with everything that it takes to believe it: as JSON, one object on one line, and back.

use clap::ValueEnum;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use venue::arguments::{DurabilityArgument, IdleArgument};

use super::arguments::{Arguments, Arrivals, Mix, Mode, Security};
use super::engine::ACCOUNTS;
use super::environment::Environment;
use super::recorder::Recorder;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was measured.
    #[serde(with = "by_name")]
    pub mode: Mode,
    /// How sessions reached the venue; nothing where there is no network.
    #[serde(with = "by_name_if_any")]
    pub security: Option<Security>,
    /// Open or closed loop, and what is timed, in words.
    pub load_model: String,
    /// How sending times followed one another; nothing in a closed loop.
    #[serde(with = "by_name_if_any")]
    pub arrivals: Option<Arrivals>,
    /// What was sent.
    #[serde(with = "by_text")]
    pub mix: Mix,
    /// Orders a second that were to be sent; nothing in a closed loop.
    pub rate: Option<u64>,
    /// Orders a second that were done.
    pub achieved_rate: Option<f64>,
    /// Sessions that the orders were spread over.
    pub sessions: u32,
    /// Seconds before what counts.
    pub warm_up_s: f64,
    /// Seconds that count.
    pub seconds: f64,
    /// What acknowledgements promised; nothing where there is no journal.
    #[serde(with = "by_name_if_any")]
    pub durability: Option<DurabilityArgument>,
    /// How idle threads were told to wait.
    #[serde(with = "by_name")]
    pub idle: IdleArgument,
    /// Processors that were named.
    pub cores: Vec<usize>,
    /// Of orders and sending times.
    pub seed: u64,
    /// Which run of several, from 1.
    pub run: u32,
    /// What it was taken on.
    pub environment: Environment,
    /// What was timed, limits included.
    pub series: Vec<Series>,
    /// What was timed beside its limits.
    pub ratios: Vec<Ratio>,
    /// Where an order's time goes.
    pub hops: Vec<Hop>,
    /// Other numbers, by what they are.
    pub notes: Vec<(String, f64)>,
}

/// Many times of one thing, or how many of it a second. A percentile is there if ten samples are behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was timed; of a limit, `limit: ` and which.
    pub name: String,
    /// How many.
    pub count: u64,
    /// The mean, in nanoseconds; this and all others are nothing if only the number was counted.
    pub mean_ns: Option<f64>,
    /// Half took no longer.
    pub p50_ns: Option<u64>,
    /// Nine in ten took no longer.
    pub p90_ns: Option<u64>,
    /// Of a hundred all but one.
    pub p99_ns: Option<u64>,
    /// Of a thousand all but one.
    pub p999_ns: Option<u64>,
    /// Of ten thousand all but one.
    pub p9999_ns: Option<u64>,
    /// The longest.
    pub max_ns: Option<u64>,
    /// How many were done a second.
    pub per_second: Option<f64>,
    /// The same of consecutive equal parts of the measured time.
    pub slices: Vec<Slice>,
    /// What the percentiles come from; not in the JSON.
    #[serde(skip)]
    pub times: Option<Histogram<u64>>,
}

/// A part of the measured time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// How many.
    pub count: u64,
    /// Half took no longer, in nanoseconds; nothing if only the number was counted.
    pub p50_ns: Option<u64>,
    /// Of a hundred all but one, in nanoseconds.
    pub p99_ns: Option<u64>,
    /// How many a second: of timed orders, how many were due.
    pub per_second: f64,
}

/// What something takes of what its limit takes: of times, the fewer the better; of rates, the more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The series.
    pub of: String,
    /// Its limit.
    pub to: String,
    /// Of the medians.
    pub p50: Option<f64>,
    /// Of the 99th percentiles.
    pub p99: Option<f64>,
    /// Of the 99.9th percentiles.
    pub p999: Option<f64>,
    /// Of how many are done a second.
    pub per_second: Option<f64>,
}

/// A part of an order's way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// From where to where.
    pub name: String,
    /// How many.
    pub count: u64,
    /// The mean, in nanoseconds: those of all hops add up to that of the whole way.
    pub mean_ns: f64,
    /// The median, in nanoseconds.
    pub p50_ns: u64,
    /// The 99th percentile, in nanoseconds.
    pub p99_ns: u64,
}

impl Report {
    /// A run of what `arguments` say, without anything timed yet. What it was taken on is added when it has ended.
    pub fn new(arguments: &Arguments, load_model: impl Into<String>) -> Self {
        let has_network = arguments.mode.has_network();
        Self {
            mode: arguments.mode,
            security: has_network.then_some(arguments.security),
            load_model: load_model.into(),
            arrivals: arguments.rate.map(|_| arguments.arrivals),
            mix: arguments.mix,
            rate: arguments.rate,
            achieved_rate: None,
            sessions: if has_network { arguments.sessions } else { ACCOUNTS.into() },
            warm_up_s: arguments.warm_up.as_secs_f64(),
            seconds: arguments.duration.as_secs_f64(),
            durability: (arguments.mode != Mode::Engine).then_some(arguments.durability),
            idle: arguments.idle,
            cores: arguments.cores.clone(),
            seed: arguments.seed(),
            run: arguments.run,
            environment: Environment::default(),
            series: Vec::new(),
            ratios: Vec::new(),
            hops: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The series of this name.
    pub fn series(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name)
    }

    /// Adds the ratio of two series that are there, by their names.
    ///
    /// # Panics
    /// If there is none of such a name.
    pub fn compare(&mut self, of: &str, to: &str) {
        let [of, to] = [of, to].map(|name| self.series(name).expect("a series of that name"));
        let ratio = Ratio::of(of, to);
        self.ratios.push(ratio);
    }

    /// One object on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and numbers")
    }

    /// Out of such a line.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_json(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

impl Series {
    /// Times, and how they were over the measured time.
    pub fn timed(name: impl Into<String>, recorder: &Recorder) -> Self {
        let seconds = recorder.slice_seconds();
        let slice = |times: &Histogram<u64>| Slice {
            count: times.len(),
            p50_ns: percentile(times, 0.5),
            p99_ns: percentile(times, 0.99),
            per_second: times.len() as f64 / seconds,
        };
        let slices = recorder.slices().iter().map(slice).collect();
        Self { per_second: Some(recorder.per_second()), slices, ..Self::of_times(name, recorder.times()) }
    }

    /// Times alone.
    pub fn of_times(name: impl Into<String>, times: Histogram<u64>) -> Self {
        let any = !times.is_empty();
        Self {
            name: name.into(),
            count: times.len(),
            mean_ns: any.then(|| times.mean()),
            p50_ns: any.then(|| times.value_at_quantile(0.5)),
            p90_ns: percentile(&times, 0.9),
            p99_ns: percentile(&times, 0.99),
            p999_ns: percentile(&times, 0.999),
            p9999_ns: percentile(&times, 0.9999),
            max_ns: any.then(|| times.max()),
            per_second: None,
            slices: Vec::new(),
            times: Some(times),
        }
    }

    /// How many were done in each of consecutive parts, which took so many seconds.
    pub fn counted(name: impl Into<String>, parts: &[(u64, f64)]) -> Self {
        let per_second = |count: u64, seconds: f64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let slice = |&(count, seconds): &(u64, f64)| Slice {
            count,
            p50_ns: None,
            p99_ns: None,
            per_second: per_second(count, seconds),
        };
        let count = parts.iter().map(|part| part.0).sum();
        let all = per_second(count, parts.iter().map(|part| part.1).sum());
        Self {
            count,
            per_second: Some(all),
            slices: parts.iter().map(slice).collect(),
            times: None,
            ..Self::of_times(name, Histogram::new(1).expect("one digit"))
        }
    }

    /// Whether it is what something else is compared with.
    pub fn is_limit(&self) -> bool {
        self.name.starts_with("limit: ")
    }
}

/// The percentile, if ten samples are behind it.
fn percentile(times: &Histogram<u64>, quantile: f64) -> Option<u64> {
    (times.len() as f64 * (1.0 - quantile) >= 10.0 - 1e-6).then(|| times.value_at_quantile(quantile))
}

impl Ratio {
    /// Of each percentile that both have; of how many are done a second only if one of both has no times.
    pub fn of(of: &Series, to: &Series) -> Self {
        let quotient = |of: Option<u64>, to: Option<u64>| Some(of? as f64 / to.filter(|&to| to > 0)? as f64);
        let has_times = of.times.is_some() && to.times.is_some();
        let rates = || Some(of.per_second? / to.per_second.filter(|&to| to > 0.0)?);
        Self {
            of: of.name.clone(),
            to: to.name.clone(),
            p50: quotient(of.p50_ns, to.p50_ns),
            p99: quotient(of.p99_ns, to.p99_ns),
            p999: quotient(of.p999_ns, to.p999_ns),
            per_second: if has_times { None } else { rates() },
        }
    }
}

impl Hop {
    /// Of these times.
    pub fn of_times(name: impl Into<String>, times: &Histogram<u64>) -> Self {
        let [p50_ns, p99_ns] = [0.5, 0.99].map(|quantile| times.value_at_quantile(quantile));
        Self { name: name.into(), count: times.len(), mean_ns: times.mean(), p50_ns, p99_ns }
    }
}

/// What the command line names is named the same in JSON.
mod by_name {
    use super::*;
    use serde::de::{Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<T: ValueEnum, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        super::super::arguments::name(value.clone()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: ValueEnum, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::from_str(&String::deserialize(deserializer)?, false).map_err(D::Error::custom)
    }
}

/// The same of what may be missing.
mod by_name_if_any {
    use super::*;
    use serde::de::{Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<T: ValueEnum, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        value.clone().map(super::super::arguments::name).serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: ValueEnum, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        name.map(|name| T::from_str(&name, false)).transpose().map_err(D::Error::custom)
    }
}

/// What has a text and is read from it.
mod by_text {
    use super::*;
    use serde::de::{Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(value: &Mix, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mix, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
