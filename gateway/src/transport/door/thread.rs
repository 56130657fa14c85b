//! The thread of a door at sockets: it sleeps in the network's poll, and takes a turn.

use std::sync::Arc;
use std::time::Duration;

use engine::Nanoseconds;
use mio::Events;
use ring::{Idle, Wake};

use super::{Door, RETRY};
use crate::transport::sockets::{self, Sockets};

/// How long it sleeps at most where the core wakes nobody, or where a disconnect is to be tried again.
const NAP: Duration = Duration::from_nanos(RETRY.0);
/// Where the core wakes nobody: how long behind a command its events are looked for without sleeping.
const ATTENTION: Nanoseconds = Nanoseconds(1_000_000);
/// What is found at once.
const FOUND_MAX: usize = 1_024;

/// What the thread lives from.
pub(crate) struct DoorThread {
    door: Door<Sockets>,
    doorbell: Arc<dyn Wake>,
    found: Events,
}

impl DoorThread {
    /// The thread of a door whose sockets' bell this is.
    pub(crate) fn new(door: Door<Sockets>, doorbell: Arc<dyn Wake>) -> Self {
        Self { door, doorbell, found: Events::with_capacity(FOUND_MAX) }
    }

    /// Serves until it is asked to stop and everybody is gone.
    pub(crate) fn run(mut self) {
        while !self.door.is_done() {
            self.sleep();
            self.door.turn(self.found.iter().filter_map(sockets::found));
        }
    }

    fn sleep(&mut self) {
        let Self { door, doorbell, found } = self;
        let limit = door.sleep_limit();
        let outcome = match door.events.idle() {
            _ if limit.is_zero() || door.answers_soon() => door.network.poll(found, Duration::ZERO),
            Idle::Park if door.ended => door.network.poll(found, limit),
            Idle::Park => match door.events.arm(doorbell) {
                true => {
                    // The core rings the same bell behind an answer.
                    let limit = if door.balances.has_answer() { Duration::ZERO } else { limit };
                    let outcome = door.network.poll(found, limit);
                    door.events.disarm(doorbell);
                    outcome
                }
                false => door.network.poll(found, Duration::ZERO),
            },
            Idle::Poll | Idle::Spin if door.is_attentive() => {
                std::thread::yield_now();
                door.network.poll(found, Duration::ZERO)
            }
            Idle::Poll | Idle::Spin => door.network.poll(found, limit.min(NAP)),
        };
        if outcome.is_err() {
            // Interrupted: there is nothing to be seen.
            found.clear();
        }
    }
}

impl Door<Sockets> {
    /// No time if there is work already.
    fn sleep_limit(&self) -> Duration {
        if self.has_work() {
            return Duration::ZERO;
        }
        if !self.owed.is_empty() {
            return NAP;
        }
        Duration::from_nanos(self.next_timer().0.saturating_sub(self.config.clock.now().0))
    }

    /// The core may be about to answer. A clock that was set back ends this.
    fn is_attentive(&self) -> bool {
        let now = self.config.clock.now();
        self.submitted_at <= now && now < self.submitted_at.after(ATTENTION)
    }

    /// A core that need not wait for the disk answers before it would be worth falling asleep.
    fn answers_soon(&self) -> bool {
        self.submitted_at == self.now
            && !self.ended
            && self.config.durability == wire::Durability::Buffered
            && self.events.look_a_little()
    }
}
