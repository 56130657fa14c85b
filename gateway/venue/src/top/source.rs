//! Asking a venue: its metrics and health, and, with an administrator's key, its sessions and instruments; last prices from
//! its market data, where its data folder says how that is reached.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use client::market_data::Update;
use tokio::sync::mpsc;
use tokio::time::sleep;
use wire::{DeliveryMode, Exponent, FeedLevel, SecurityId};

use super::Input;
use super::samples::Samples;
use super::state::{Answer, Rows, add_accounts};
use crate::admin::tool::Caller;
use crate::arguments::{SubscriberArguments, TopArguments, VenueArguments};
use crate::reach::{self, ReachError};
use crate::{decimal, market_data};

/// How soon market data is looked for again.
const RETRY: Duration = Duration::from_secs(1);

/// A venue's HTTP port, as it is found anew each time.
pub(super) struct Source {
    caller: Caller,
    began: Instant,
    turned_away: Mutex<Option<TurnedAway>>,
}

/// The key proved nothing: it is not asked with again before its file is another, for guesses lock out the whole address.
struct TurnedAway {
    why: String,
    key_changed: Option<SystemTime>,
}

impl Source {
    pub(super) fn of(arguments: &TopArguments) -> Self {
        let TopArguments { data, connect, certificate, key, .. } = arguments;
        let caller = Caller::reading(data.clone(), connect.clone(), certificate.clone(), key.clone());
        Self { caller, began: Instant::now(), turned_away: Mutex::default() }
    }

    /// Where the venue is, or why there is none.
    pub(super) fn address(&self) -> Result<String, String> {
        self.caller.place().map(|place| place.origin).map_err(|error| error.to_string())
    }

    /// What the venue says now, or why it says nothing.
    pub(super) fn ask(&self) -> Result<Answer, String> {
        let place = self.caller.place().map_err(|error| error.to_string())?;
        let get = |path| place.get(path).map_err(|error| error.to_string());
        let (_, metrics) = get("/metrics")?;
        let at = self.began.elapsed();
        let (status, health) = get("/health/ready")?;
        let instruments = self.rows("instruments");
        let mut sessions = self.rows("sessions");
        if let (Ok(sessions), Ok(keys)) = (&mut sessions, self.rows("keys")) {
            add_accounts(sessions, &keys);
        }
        Ok(Answer {
            at,
            time: engine::Timestamp(reach::now().0),
            samples: Samples::parse(&metrics),
            ready: status == 200,
            health: health.trim().to_owned(),
            instruments,
            sessions,
        })
    }

    /// Rows of the operator's door; nothing is asked with a key that was turned away.
    fn rows(&self, list: &str) -> Rows {
        let key_changed = fs::metadata(self.caller.key_file()).and_then(|file| file.modified()).ok();
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(TurnedAway { why, .. }) = turned_away.as_ref().filter(|it| it.key_changed == key_changed) {
            return Err(why.clone());
        }
        let rows = self.caller.rows(list);
        let why = rows.as_ref().err().filter(|why| why.is_turned_away).map(|why| why.text.clone());
        *turned_away = why.map(|why| TurnedAway { why, key_changed });
        rows.map_err(|why| why.text)
    }
}

/// Tells of last prices until nobody listens. A venue whose market data is not for everybody has none to tell.
pub(super) async fn prices(arguments: TopArguments, inputs: mpsc::Sender<Input>) {
    let venue = VenueArguments { data: arguments.data, connect: None, certificate: None };
    let who = SubscriberArguments { venue, account: None, key: None };
    while arguments.connect.is_none() && !inputs.is_closed() {
        // It is gone, and looked for again; that it is gone is said by whoever asks it.
        let _ = read_prices(&who, &inputs).await;
        sleep(RETRY).await;
    }
}

async fn read_prices(who: &SubscriberArguments, inputs: &mpsc::Sender<Input>) -> Result<(), ReachError> {
    let lost = |error: client::market_data::SubscribeError| ReachError::Lost(error.to_string());
    let mut subscriber = market_data::connect(who, DeliveryMode::Live).await?;
    subscriber.subscribe(&[], FeedLevel::Reference, DeliveryMode::Live).await.map_err(lost)?;
    let mut exponents: Vec<(SecurityId, Exponent)> = Vec::new();
    loop {
        match subscriber.next().await.map_err(lost)? {
            Update::Definition(definition) => {
                exponents.retain(|(id, _)| *id != definition.security_id);
                exponents.push((definition.security_id, definition.price_exponent));
            }
            Update::Statistics(statistics) => {
                let SecurityId(number) = statistics.security_id;
                let exponent = exponents.iter().find(|(id, _)| *id == statistics.security_id);
                if let (Some(price), Some((_, exponent))) = (statistics.last_price, exponent)
                    && inputs.send(Input::Price(number, decimal::text(price.0, *exponent))).await.is_err()
                {
                    return Ok(());
                }
            }
            // Of the rest the operator's door tells.
            _ => {}
        }
    }
}
