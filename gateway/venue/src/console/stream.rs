//! What happens to an account, as it happens: a WebSocket from the key's seat to the page.
//!
//! It is bounded in every direction: so many streams, so much that a page may be behind, so long that a write may take. A
//! page that is cut off connects again and is told everything anew.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Console;
use super::login::{Refused, Visitor, own_origin};
use super::seat::Seat;
use crate::http::listener::Peer;

/// Streams at once.
const STREAMS_MAX: usize = 64;
/// What a page may send: it has nothing to say.
const MESSAGE_BYTES_MAX: usize = 1 << 10;
/// How long a write may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether the session goes on.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two pings; a page that says nothing until the next is gone.
const LOOKS_TO_PING: u32 = 20;

const SLOW: u16 = 1008;
const OVER: u16 = 4001;
/// The page has to begin anew: it shows another account.
const OTHER: u16 = 4002;

pub(super) fn router(console: Console) -> Router {
    Router::new().route("/console/stream", get(enter)).with_state(console)
}

async fn enter(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let entered = own_origin(&headers).and_then(|()| {
        let visitor = console.visitor(&headers)?;
        Ok((visitor, console.seat(visitor)?, Place::take(&console).ok_or(Refused::Full)?))
    });
    let (visitor, seat, place) = match entered {
        Ok(entered) => entered,
        Err(refused) => return refused.into_response(),
    };
    upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX).on_upgrade(move |socket| async move {
        peer.stays();
        let from = peer.address().ip();
        Stream { socket, console, visitor, from, _place: place }.run(&seat).await;
    })
}

/// A place among the streams, given back when it is dropped.
struct Place(Console);

impl Place {
    fn take(console: &Console) -> Option<Self> {
        let more = |count: usize| (count < STREAMS_MAX).then_some(count + 1);
        let taken = count(console).fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Self(Arc::clone(console)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        count(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(console: &Console) -> &AtomicUsize {
    &console.streams
}

struct Stream {
    socket: WebSocket,
    console: Console,
    /// Who has come, and from where.
    visitor: Visitor,
    from: IpAddr,
    _place: Place,
}

/// Why a stream ends.
enum End {
    /// The page has gone, or takes nothing.
    Gone,
    /// The venue ends it.
    Closed(u16, &'static str),
}

impl Stream {
    async fn run(mut self, seat: &Seat) {
        let (now, news) = seat.watch();
        let end = match self.tell_all(now).await {
            Ok(()) => self.follow(news).await,
            Err(end) => end,
        };
        if let End::Closed(code, reason) = end {
            let frame = CloseFrame { code, reason: reason.into() };
            // It may have gone meanwhile.
            let _ = timeout(PATIENCE, self.socket.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn tell_all(&mut self, texts: Vec<Arc<str>>) -> Result<(), End> {
        for text in texts {
            self.send(Message::Text(text.as_ref().into())).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, mut news: broadcast::Receiver<Arc<str>>) -> End {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        loop {
            let told = tokio::select! {
                text = news.recv() => match text {
                    Ok(text) => self.send(Message::Text(text.as_ref().into())).await,
                    Err(RecvError::Lagged(_)) => Err(End::Closed(SLOW, "read too slowly")),
                    Err(RecvError::Closed) => Err(End::Closed(OVER, "the console's session at order entry is over")),
                },
                heard = self.socket.recv() => match heard {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
                    Some(Ok(_)) => {
                        silent = 0;
                        Ok(())
                    }
                },
                _ = looks.tick() => {
                    silent += 1;
                    self.look(silent).await
                }
            };
            if let Err(end) = told {
                return end;
            }
        }
    }

    async fn look(&mut self, silent: u32) -> Result<(), End> {
        let Some(visitor) = self.console.stays(self.visitor.session) else {
            return Err(End::Closed(OVER, "the session is over"));
        };
        if visitor.rights.trades != self.visitor.rights.trades {
            return Err(End::Closed(OTHER, "the key does not trade for this account any more"));
        }
        if !self.console.door.desk().look(|view| view.may_come_from(visitor.key, self.from)) {
            return Err(End::Closed(OVER, "this key may not be used from here any more"));
        }
        if silent > 2 * LOOKS_TO_PING {
            return Err(End::Gone);
        }
        if silent.is_multiple_of(LOOKS_TO_PING) {
            return self.send(Message::Ping(Bytes::new())).await;
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
