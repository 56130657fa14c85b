//! As much as one publisher gets out, beside as many bytes in as many batches over bare QUIC.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use client::wire::FeedLevel;
use hdrhistogram::Histogram;
use marketdata::PACKET_BYTES_MAX;
use serde::Serialize;

use super::feeder::Feeder;
use super::readers::{Manner, Readers};
use super::venue::Place;
use crate::failure::Failure;
use crate::load::link::wall_clock;
use crate::load::processor_time::Usage;

/// Commands whose packets may be on their way.
const WINDOW_COMMANDS: u64 = 2_048;
/// When nothing comes for so long, everything has come.
const SILENCE: Duration = Duration::from_millis(300);
/// How long a measurement may stand still.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct ThroughputArguments {
    /// Numbers of subscribers.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    subscribers: Vec<u16>,
    /// Commands that the core hands over at a time.
    #[arg(long, value_delimiter = ',', default_value = "16,256", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    batch: Vec<u16>,
    /// What they subscribe to: mbp, mbo or best.
    #[arg(long, default_value = "mbp", value_parser = parse_level)]
    level: FeedLevel,
    /// Messages that are delivered in each measurement, to all together, about.
    #[arg(long, default_value_t = 4_000_000)]
    deliveries: u64,
    /// Measurements of each kind, in turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Batches a second; none: as fast as the subscribers take them.
    #[arg(long)]
    batches_per_second: Option<f64>,
}

pub(super) fn parse_level(text: &str) -> Result<FeedLevel, String> {
    match text {
        "mbp" => Ok(FeedLevel::MarketByPrice),
        "mbo" => Ok(FeedLevel::MarketByOrder),
        "best" => Ok(FeedLevel::BestBidOffer),
        _ => Err("it is mbp, mbo or best".to_owned()),
    }
}

/// What one measurement came to.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    what: &'static str,
    subscribers: u16,
    batch: u16,
    /// Delivered to all together.
    messages: u64,
    bytes: u64,
    seconds: f64,
    messages_per_second: f64,
    /// Of the publisher's threads.
    cpu_ns_per_message: f64,
    /// How old events are when they come.
    age_us_p50: f64,
    age_us_p99: f64,
    age_us_p999: f64,
}

/// Measures, and tells each as it is done.
///
/// # Errors
///
/// If the system does not do what is asked of it.
pub fn throughput(arguments: &ThroughputArguments, mut tell: impl FnMut(&Throughput)) -> Result<(), Failure> {
    let place = Place::new()?;
    for &subscribers in &arguments.subscribers {
        for &batch in &arguments.batch {
            for _ in 0..arguments.rounds {
                let (fed, batch_bytes) = feed(arguments, &place, subscribers, batch)?;
                tell(&fed);
                tell(&bare(arguments, &place, &fed, batch_bytes)?);
            }
        }
    }
    Ok(())
}

/// The publisher's turn; also the bytes that each batch came to.
fn feed(
    arguments: &ThroughputArguments,
    place: &Place,
    subscribers: u16,
    batch: u16,
) -> Result<(Throughput, u64), Failure> {
    let commands = (arguments.deliveries / u64::from(subscribers) / 2).clamp(2_000, 400_000) as usize;
    let (mut feeder, feed, events) = Feeder::new(commands, 0)?;
    let (publisher, source) = place.publish(feed, events, arguments.level)?;
    let readers = Readers::start(&source, subscribers.into(), Manner::Packets)?;
    readers.record();
    let before = Usage::now();
    let begun = Instant::now();
    let batches = commands.div_ceil(batch.into()) as u64;
    match arguments.batches_per_second {
        Some(rate) => feeder.paced(batch.into(), rate, Duration::from_secs(3_600)),
        None => {
            let first = feeder.last();
            while feeder.left() > 0 {
                let ahead = WINDOW_COMMANDS.max(4 * u64::from(batch));
                if feeder.last() > first + ahead {
                    wait_for(&readers, feeder.last() - ahead)?;
                }
                feeder.batch(batch.into(), wall_clock());
            }
        }
    }
    settle(&readers);
    let taken = before_to_now(&before, "market-data");
    let seconds = begun.elapsed().as_secs_f64();
    let (messages, bytes) = (readers.messages(), readers.bytes());
    let ages = readers.stop()?;
    publisher.stop();
    let what = "feed";
    let fed = row(what, (subscribers, batch), (messages, bytes), seconds, taken, &ages);
    Ok((fed, bytes / u64::from(subscribers) / batches))
}

/// Waits until the slowest is so far.
fn wait_for(readers: &Readers, progress: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    while readers.counts.slowest() < progress {
        if begun.elapsed() > PATIENCE {
            let at = readers.counts.slowest();
            return Err(Failure::Missing(format!("a subscriber is at {at} and not at {progress} after {PATIENCE:?}")));
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    Ok(())
}

/// The same bytes in the same batches, with nothing above QUIC.
fn bare(
    arguments: &ThroughputArguments,
    place: &Place,
    fed: &Throughput,
    batch_bytes: u64,
) -> Result<Throughput, Failure> {
    let (publisher, source) = place.publish_bare(arguments.level)?;
    let batches = fed.bytes / u64::from(fed.subscribers) / batch_bytes.max(1);
    let per_batch = (fed.messages / u64::from(fed.subscribers)).div_ceil(batches.max(1));
    // In pieces as long as packets, of which as many fit a group as of a feed's.
    let pieces = batch_bytes.div_ceil(PACKET_BYTES_MAX as u64).max(1);
    let piece = (batch_bytes / pieces).max(8) as usize;
    let messages = per_batch.div_ceil(pieces);
    let readers = Readers::start(&source, fed.subscribers.into(), Manner::Bytes { piece, messages })?;
    if !publisher.wait_for(fed.subscribers.into()) {
        return Err(Failure::Missing("not all subscribers reached the bare publisher".to_owned()));
    }
    readers.record();
    let before = Usage::now();
    let begun = Instant::now();
    for number in 0..batches {
        if let Some(rate) = arguments.batches_per_second {
            let left = Duration::from_secs_f64(number as f64 / rate).saturating_sub(begun.elapsed());
            if !left.is_zero() {
                std::thread::sleep(left);
            }
        } else {
            let ahead = WINDOW_COMMANDS.div_ceil(fed.batch.into()).max(4);
            wait_for(&readers, number.saturating_sub(ahead) * pieces)?;
        }
        for _ in 0..pieces {
            let mut bytes = vec![0; piece];
            bytes[..8].copy_from_slice(&wall_clock().0.to_le_bytes());
            publisher.publish(Bytes::from(bytes));
        }
    }
    settle(&readers);
    let taken = before_to_now(&before, "bare-");
    let seconds = begun.elapsed().as_secs_f64();
    let (messages, bytes) = (readers.messages(), readers.bytes());
    let ages = readers.stop()?;
    publisher.stop();
    Ok(row("bare", (fed.subscribers, fed.batch), (messages, bytes), seconds, taken, &ages))
}

/// Waits until nothing more comes.
pub(super) fn settle(readers: &Readers) {
    let begun = Instant::now();
    let (mut seen, mut since) = (readers.bytes(), Instant::now());
    while (since.elapsed() < SILENCE || seen == 0) && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
        if seen != readers.bytes() {
            (seen, since) = (readers.bytes(), Instant::now());
        }
    }
}

pub(super) fn before_to_now(before: &Usage, threads: &str) -> u64 {
    (Usage::now() - before).of(|name| name.starts_with(threads)).running_ns
}

fn row(
    what: &'static str,
    (subscribers, batch): (u16, u16),
    (messages, bytes): (u64, u64),
    seconds: f64,
    taken_ns: u64,
    ages: &Histogram<u64>,
) -> Throughput {
    // The last of it is the silence that ended the measurement.
    let seconds = seconds - SILENCE.as_secs_f64();
    let age = |quantile| ages.value_at_quantile(quantile) as f64 / 1e3;
    Throughput {
        what,
        subscribers,
        batch,
        messages,
        bytes,
        seconds,
        messages_per_second: messages as f64 / seconds,
        cpu_ns_per_message: taken_ns as f64 / messages.max(1) as f64,
        age_us_p50: age(0.5),
        age_us_p99: age(0.99),
        age_us_p999: age(0.999),
    }
}
