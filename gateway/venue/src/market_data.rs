//! Taking a venue's market data: who sends it, of which instruments, and in which mode.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::market_data::{Patience, SubscribeError, Subscriber, Update};
use tokio::time::timeout;
use wire::{DeliveryMode, FeedLevel, SecurityId};

use crate::arguments::SubscriberArguments;
use crate::order::is_named;
use crate::reach::{self, ReachError};

/// How long a venue may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Definitions of all instruments follow a subscription at once: after so long a silence there are no more.
const DEFINITIONS_SILENCE: Duration = Duration::from_secs(2);

/// Connects to a venue, and logs on where a key is named. Updates say when they were received.
pub(crate) async fn connect(arguments: &SubscriberArguments, mode: DeliveryMode) -> Result<Subscriber, ReachError> {
    let (address, trust, credentials) = reach::market_data(arguments)?;
    let patience = if mode == DeliveryMode::Datagrams { Patience::DATAGRAMS } else { Patience::default() };
    let failed = |source| ReachError::MarketData { address, source };
    let mut subscriber = match timeout(CONNECT_MAX, Subscriber::open(address, &trust, &credentials, patience)).await {
        Ok(connected) => connected.map_err(failed)?,
        Err(_) => return Err(failed(SubscribeError::Endpoint(io::ErrorKind::TimedOut.into()))),
    };
    subscriber.stamp_with(Arc::new(reach::now));
    Ok(subscriber)
}

/// Whether a level is offered in a mode.
pub(crate) fn check_mode(level: FeedLevel, mode: DeliveryMode) -> Result<(), ReachError> {
    let reason = match (mode, level) {
        (DeliveryMode::Conflated, FeedLevel::MarketByOrder) => "mbo: of orders every change counts",
        (DeliveryMode::Conflated, FeedLevel::Trades) => "trades: every trade counts",
        _ => return Ok(()),
    };
    Err(ReachError::Usage(format!("--mode conflated does not go with --level {reason}")))
}

/// The instruments of these names or numbers, each once.
pub(crate) async fn instruments(
    arguments: &SubscriberArguments,
    names: &[String],
) -> Result<Vec<SecurityId>, ReachError> {
    let mut found: Vec<Option<SecurityId>> = names.iter().map(|name| name.parse().ok().map(SecurityId)).collect();
    if found.iter().any(Option::is_none) {
        let mut subscriber = connect(arguments, DeliveryMode::Live).await?;
        let subscribed = subscriber.subscribe(&[], FeedLevel::BestBidOffer, DeliveryMode::Live).await;
        subscribed.map_err(|error| ReachError::Lost(error.to_string()))?;
        look_up(&mut subscriber, names, &mut found).await?;
    }
    let mut instruments = Vec::new();
    for instrument in found.into_iter().flatten() {
        if !instruments.contains(&instrument) {
            instruments.push(instrument);
        }
    }
    Ok(instruments)
}

/// Finds those that are missing, out of all.
async fn look_up(
    subscriber: &mut Subscriber,
    names: &[String],
    found: &mut [Option<SecurityId>],
) -> Result<(), ReachError> {
    let mut known = Vec::new();
    let mut silent_since = Instant::now();
    while let Some(missing) = found.iter().position(Option::is_none) {
        let patience = DEFINITIONS_SILENCE.saturating_sub(silent_since.elapsed());
        match timeout(patience, subscriber.next()).await {
            Ok(Ok(Update::Definition(definition))) => {
                for (name, found) in names.iter().zip(&mut *found) {
                    if found.is_none() && is_named(definition.symbol, definition.security_id, name) {
                        *found = Some(definition.security_id);
                    }
                }
                silent_since = Instant::now();
                known.extend(definition.symbol.as_str().map(str::to_owned));
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(ReachError::Lost(error.to_string())),
            Err(_) => {
                known.sort();
                known.dedup();
                let known = if known.is_empty() { "no instruments".to_owned() } else { known.join(", ") };
                let name = &names[missing];
                return Err(ReachError::Usage(format!("there is no instrument {name}: the venue has {known}")));
            }
        }
    }
    Ok(())
}
