//! What happens at the order entry's door, on record: counted, and said on standard error a few lines a second at most.
//!
//! The door's thread hands over what happened and does not wait: what there is no room for is counted and left out of what
//! is said.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use gateway::session::FailedLogin;
use gateway::transport::{TurnedAway, Watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;
use wire::{KeyId, RejectReason, TerminationCode};

use crate::metrics::Metrics;

/// Lines of failed logins within a [`PAUSE`].
const LINES: usize = 10;
/// How often they are said.
const PAUSE: Duration = Duration::from_secs(1);

/// What happens at the door.
#[derive(Debug)]
pub(crate) struct DoorWatch {
    metrics: Arc<Metrics>,
    unsaid: ArrayQueue<FailedLogin>,
    left_out: AtomicU64,
}

impl DoorWatch {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, unsaid: ArrayQueue::new(LINES), left_out: AtomicU64::new(0) }
    }

    /// Says what failed, for as long as it runs.
    pub(crate) async fn say(&self) -> Infallible {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (failed, left_out) = self.unsaid();
            for FailedLogin { address, key: KeyId(key), reason } in failed {
                warn!(%address, key, %reason, "order entry: a login failed: from {address} with key {key}: {reason}");
            }
            if left_out > 0 {
                warn!(left_out, "order entry: {left_out} more logins failed");
            }
        }
    }

    /// What has not been said yet, and how many more there were.
    fn unsaid(&self) -> (Vec<FailedLogin>, u64) {
        let failed = std::iter::from_fn(|| self.unsaid.pop()).take(LINES).collect();
        (failed, self.left_out.swap(0, Ordering::Relaxed))
    }
}

impl Watch for DoorWatch {
    fn login_failed(&self, failed: &FailedLogin) {
        self.metrics.count_login_failure(failed.reason.name().unwrap_or("Other"));
        if self.unsaid.push(*failed).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn turned_away(&self, _: IpAddr, why: TurnedAway) {
        self.metrics.count_turned_away(why);
    }

    fn refused(&self, reason: RejectReason) {
        self.metrics.count_edge_refusal(reason.name().unwrap_or("Other"));
    }

    fn ended(&self, code: TerminationCode) {
        self.metrics.count_ended(code);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use wire::EdgeReason;

    use super::*;

    #[test]
    fn every_failure_is_counted_and_the_first_few_are_said() {
        let metrics = Arc::<Metrics>::default();
        let watch = DoorWatch::new(Arc::clone(&metrics));
        let address = Ipv4Addr::new(192, 0, 2, 7).into();
        for key in 1..=25 {
            watch.login_failed(&FailedLogin { address, key: KeyId(key), reason: EdgeReason::SignatureInvalid.into() });
        }
        let (failed, left_out) = watch.unsaid();
        assert_eq!(failed.iter().map(|failed| failed.key.0).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert_eq!((failed[0].address, left_out), (address, 15));
        assert_eq!(watch.unsaid(), (Vec::new(), 0));
        let text = metrics.counted();
        assert!(text.contains("rialto_login_failures_total{reason=\"SignatureInvalid\"} 25\n"), "{text}");
    }
}
