//! Sessions that are open and say nothing: what they cost a venue, and whoever trades beside them.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use serde_json::json;

use super::arguments::CrowdArguments;
use super::link::{Link, wall_clock};
use super::orders::{Names, SESSIONS_MAX};
use super::progress::Progress;
use super::stage::{self, raise_descriptors};
use crate::failure::Failure;

/// How often it is looked whether a session has to be kept alive. They say nothing for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How often it is looked whether standard input has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Opens the sessions, says so, and keeps them open until standard input ends.
pub fn run(arguments: &CrowdArguments, progress: &Progress) -> Result<(), Failure> {
    let CrowdArguments { connect, data, sessions, security } = arguments;
    // The first is left to who trades beside them.
    let last = sessions.checked_add(1).filter(|&last| last <= SESSIONS_MAX);
    let last = last.ok_or_else(|| Failure::Usage(format!("--sessions {sessions}: the venue admits {SESSIONS_MAX}")))?;
    raise_descriptors();
    let (access, protection) = stage::reach(data, *security)?;
    let names = Names::of(wall_clock());
    let open = |number| Link::open(*connect, &protection, access.credentials(number), names);
    let mut links = (2..=last).map(open).collect::<Result<Vec<_>, _>>()?;
    let mut poll = Poll::new().map_err(system)?;
    for (number, link) in links.iter_mut().enumerate() {
        link.register(poll.registry(), Token(number)).map_err(system)?;
    }
    super::say(progress, &json!({ "open": links.len() }).to_string())?;
    let ended = input_ends()?;
    let (mut events, mut kept_alive_at) = (Events::with_capacity(1_024), Instant::now());
    while !ended.load(Ordering::Acquire) {
        match poll.poll(&mut events, Some(LOOK)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(system(error)),
            _ => {}
        }
        for event in &events {
            let link = &mut links[event.token().0];
            link.flush()?;
            // Definitions and heartbeats.
            link.read(|_, _| {})?;
        }
        if kept_alive_at.elapsed() > KEEP_ALIVE {
            kept_alive_at = Instant::now();
            links.iter_mut().try_for_each(Link::time)?;
        }
    }
    Ok(())
}

/// Set when standard input ends, which a thread of its own waits for.
fn input_ends() -> Result<Arc<AtomicBool>, Failure> {
    let ended = Arc::new(AtomicBool::new(false));
    let there = Arc::clone(&ended);
    let wait = move || {
        // What is said there is not listened to.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        there.store(true, Ordering::Release);
    };
    thread::Builder::new().name("standard-input".to_owned()).spawn(wait).map_err(system)?;
    Ok(ended)
}

fn system(error: io::Error) -> Failure {
    Failure::io(Path::new("the sessions' sockets"), error)
}
