//! Says when the journal's disk fills, what that means for traders, and what to do.

use std::convert::Infallible;
use std::time::Duration;

use journal::Space;
use ring::Admission;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

/// How often it looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Watches what is let in, and says so whenever it changes.
pub(crate) async fn watch(space: Space) -> Infallible {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = Admission::Everything;
    loop {
        ticks.tick().await;
        let admission = space.admission().get();
        if admission != said {
            said = admission;
            say(admission, &space);
        }
    }
}

fn say(admission: Admission, space: &Space) {
    let line = line(admission, space);
    let folder = space.path().display();
    let (room_bytes, free_bytes) = (space.room_bytes(), space.free_bytes());
    match admission {
        Admission::Everything => info!(?admission, %folder, room_bytes, free_bytes, "{line}"),
        Admission::CancelsOnly | Admission::Nothing => error!(?admission, %folder, room_bytes, free_bytes, "{line}"),
    }
}

fn line(admission: Admission, space: &Space) -> String {
    let (segment, folder) = (space.segment_bytes() >> 20, space.path().display());
    let reason = space.failure().unwrap_or_else(|| "the last attempt has just succeeded".to_owned());
    let what_to_do = format!("free at least {segment} MiB there, and the venue goes on by itself");
    match admission {
        Admission::Everything => "the journal has room again: everything is taken".to_owned(),
        Admission::CancelsOnly => format!(
            "ALARM: no new journal segment can be made in {folder}: {reason}. One is left: only cancels, kill switches and \
             logins are taken; {what_to_do}"
        ),
        Admission::Nothing => format!(
            "ALARM: no new journal segment can be made in {folder}: {reason}. None is left: nothing is taken; {what_to_do}"
        ),
    }
}
