//! Subscribers that read nothing, beside some that do: what the others and the core notice of it.

use std::time::{Duration, Instant};

use clap::Args;
use client::wire::FeedLevel;
use serde::Serialize;

use super::feeder::Feeder;
use super::readers::{Manner, Readers};
use super::throughput::settle;
use super::venue::Place;
use crate::failure::Failure;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct StalledArguments {
    /// Numbers of subscribers that read nothing; each is measured beside none.
    #[arg(long, value_delimiter = ',', default_value = "1,100")]
    stalled: Vec<u16>,
    /// Subscribers that read.
    #[arg(long, default_value_t = 9)]
    healthy: u16,
    /// Commands that the core hands over at a time.
    #[arg(long, default_value_t = 16)]
    batch: u16,
    /// Batches a second.
    #[arg(long, default_value_t = 1_000.0)]
    batches_per_second: f64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Measurements of each kind, in turns.
    #[arg(long, default_value_t = 5)]
    rounds: u8,
}

/// What one measurement came to.
#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    stalled: u16,
    healthy: u16,
    /// Messages to those that read.
    messages: u64,
    /// How old events are when they come to those that read.
    age_us_p50: f64,
    age_us_p99: f64,
    age_us_p999: f64,
    /// How long the core takes to hand over a batch.
    core_us_p50: f64,
    core_us_p99: f64,
    core_us_p999: f64,
    core_us_max: f64,
    /// Of this process, all of it, at most above the beginning.
    memory_mib: f64,
    /// Stalled ones that were closed, by the publisher's reason.
    closed_too_slow: u64,
    /// Stalled ones that saw their connection closed.
    told: u64,
}

/// Measures, and tells each as it is done.
///
/// # Errors
///
/// If the system does not do what is asked of it.
pub fn stalled(arguments: &StalledArguments, mut tell: impl FnMut(&Beside)) -> Result<(), Failure> {
    let place = Place::new()?;
    for &stalled in &arguments.stalled {
        for round in 0..arguments.rounds {
            // In turns that change, so that what drifts hits both.
            let pair = if round % 2 == 0 { [0, stalled] } else { [stalled, 0] };
            for stalled in pair {
                tell(&beside(arguments, &place, stalled)?);
            }
        }
    }
    Ok(())
}

fn beside(arguments: &StalledArguments, place: &Place, stalled: u16) -> Result<Beside, Failure> {
    let commands = (arguments.seconds * arguments.batches_per_second) as usize * usize::from(arguments.batch);
    let (mut feeder, feed, events) = Feeder::new(commands, 0)?;
    let (publisher, source) = place.publish(feed, events, FeedLevel::MarketByPrice)?;
    let healthy = Readers::start(&source, arguments.healthy.into(), Manner::Packets)?;
    let idle = Readers::start(&source, stalled.into(), Manner::Stalled)?;
    let before = resident_kib();
    healthy.record();
    let begun = Instant::now();
    let mut most = before;
    while feeder.left() > 0 && begun.elapsed().as_secs_f64() < 2.0 * arguments.seconds {
        feeder.paced(arguments.batch.into(), arguments.batches_per_second, Duration::from_secs(1));
        most = most.max(resident_kib());
    }
    settle(&healthy);
    let (closed, told) = (
        publisher.crowd().closed_by_reason().find(|(reason, _)| *reason == marketdata::CloseReason::TooSlow),
        idle.counts.closed.load(std::sync::atomic::Ordering::Relaxed),
    );
    let messages = healthy.messages();
    let ages = healthy.stop()?;
    idle.stop()?;
    publisher.stop();
    let age = |quantile| ages.value_at_quantile(quantile) as f64 / 1e3;
    let core = |quantile| feeder.hand_over.value_at_quantile(quantile) as f64 / 1e3;
    Ok(Beside {
        stalled,
        healthy: arguments.healthy,
        messages,
        age_us_p50: age(0.5),
        age_us_p99: age(0.99),
        age_us_p999: age(0.999),
        core_us_p50: core(0.5),
        core_us_p99: core(0.99),
        core_us_p999: core(0.999),
        core_us_max: feeder.hand_over.max() as f64 / 1e3,
        memory_mib: (most.saturating_sub(before)) as f64 / 1024.0,
        closed_too_slow: closed.map_or(0, |(_, count)| count),
        told,
    })
}

/// Memory of this process, as the system tells; zero where it does not.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
