//! A subscriber that joins a deep book while events flow: how long until it has the book, proven.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use client::wire::{DeliveryMode, FeedLevel};
use marketdata::{BlockingSubscriber, Credentials, Patience, Trust, Update};
use serde::Serialize;

use super::feeder::Feeder;
use super::throughput::parse_level;
use super::venue::Place;
use crate::failure::Failure;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct JoinArguments {
    /// Orders that stand in the book, beside those of the flow.
    #[arg(long, default_value_t = 100_000)]
    standing: u32,
    /// What is subscribed to: mbp, mbo or best.
    #[arg(long, default_value = "mbo", value_parser = parse_level)]
    level: FeedLevel,
    /// Commands that the core hands over at a time.
    #[arg(long, default_value_t = 16)]
    batch: u16,
    /// Batches a second.
    #[arg(long, default_value_t = 2_000.0)]
    batches_per_second: f64,
    /// How often it joins anew.
    #[arg(long, default_value_t = 10)]
    joins: u32,
}

/// What one joining came to.
#[derive(Debug, Clone, Serialize)]
pub struct Joined {
    /// Orders in the book when the flow began.
    orders: usize,
    commands_per_second: f64,
    /// From the first packet of the handshake until the connection stood.
    connected_ms: f64,
    /// Until the book was there, and its checksum equal.
    proven_ms: f64,
    /// Until the first message behind the snapshot was applied.
    live_ms: f64,
    /// Until a checksum of the stream was equal, too.
    proven_live_ms: f64,
    differing: u64,
    gaps: u64,
}

/// Measures, and tells each as it is done.
///
/// # Errors
///
/// If the system does not do what is asked of it.
pub fn join(arguments: &JoinArguments, mut tell: impl FnMut(&Joined)) -> Result<(), Failure> {
    let place = Place::new()?;
    let rate = arguments.batches_per_second * f64::from(arguments.batch);
    // Enough for a second and a half of each join.
    let commands = (rate * 1.5 * f64::from(arguments.joins)) as usize;
    let (mut feeder, feed, events) = Feeder::new(commands, arguments.standing)?;
    let orders = feeder.resting();
    let (publisher, source) = place.publish(feed, events, arguments.level)?;
    let trust = Trust { server_name: "localhost".to_owned(), roots: place.roots()? };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) && feeder.left() > 0 {
                feeder.paced(arguments.batch.into(), arguments.batches_per_second, Duration::from_millis(100));
            }
        });
        for _ in 0..arguments.joins {
            let joined = join_once(arguments, source.address, &trust);
            match joined {
                Ok(joined) => tell(&Joined { orders, commands_per_second: rate, ..joined }),
                Err(error) => {
                    stop.store(true, Ordering::Release);
                    return Err(error);
                }
            }
        }
        stop.store(true, Ordering::Release);
        feeding.join().expect("the feeder does not panic");
        Ok(())
    })?;
    publisher.stop();
    Ok(())
}

fn join_once(arguments: &JoinArguments, address: std::net::SocketAddr, trust: &Trust) -> Result<Joined, Failure> {
    let begun = Instant::now();
    let passed = || begun.elapsed().as_secs_f64() * 1e3;
    let mut subscriber = BlockingSubscriber::open(address, trust, &Credentials::Anonymous, Patience::default())?;
    let connected_ms = passed();
    subscriber.subscribe(&[], arguments.level, DeliveryMode::Live)?;
    let (mut proven_ms, mut live_ms) = (None, None);
    loop {
        match subscriber.next()? {
            Update::Proven { .. } if proven_ms.is_none() => proven_ms = Some(passed()),
            Update::Proven { .. } => {
                let gaps = subscriber.gaps();
                return Ok(Joined {
                    orders: 0,
                    commands_per_second: 0.0,
                    connected_ms,
                    proven_ms: proven_ms.unwrap_or(f64::NAN),
                    live_ms: live_ms.unwrap_or(f64::NAN),
                    proven_live_ms: passed(),
                    differing: gaps.differing,
                    gaps: gaps.gaps,
                });
            }
            Update::Orders(..) | Update::Levels(..) | Update::Trade(_) if proven_ms.is_some() && live_ms.is_none() => {
                live_ms = Some(passed());
            }
            _ => {}
        }
    }
}
