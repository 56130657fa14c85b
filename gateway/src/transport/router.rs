//! The thread that reads released events, keeps the view, and hands every session its reports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ring::{EventReader, Polled};
use wire::Indicator;

use crate::egress::{self, Outgoing, Sending};
use crate::transport::Shared;

/// The longest sleep while nothing happens: a stop is noticed at least so soon.
const IDLE_MAX: Duration = Duration::from_millis(20);

/// Reads events until the core is gone or it is told to stop.
pub(crate) fn run(shared: &Shared, mut events: EventReader, stop: &AtomicBool) {
    let sending = Sending { durability: shared.config.durability, possible_duplicate: Indicator::No };
    let mut outgoing: Vec<Outgoing> = Vec::new();
    loop {
        match events.poll() {
            Polled::Event(header, event) => {
                let mut desk = shared.desk();
                desk.take_in(&header, &event);
                egress::messages(&header, &event, &desk.view, sending, &mut |message| outgoing.push(message));
                outgoing.drain(..).for_each(|message| desk.deliver(message));
            }
            Polled::Empty if stop.load(Ordering::Acquire) => return,
            Polled::Empty => events.wait(IDLE_MAX),
            Polled::Lapped(_) => unreachable!("the core waits for a gating reader"),
            Polled::Closed => return,
        }
    }
}
