//! One subscriber: one socket, one task.
//!
//! Nothing is read while something is written, so that who does not take the answers cannot ask on. A peer that reads
//! nothing is found by the age of what waits for it, by a write that does not end, and by pings.

use std::rc::Rc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt;
use marketdata::SubscriberId;
use marketdata::quic::CloseReason;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::hall::{Hall, Link, Outgoing, Visitor};

/// How often a peer is asked whether it is there; one that says nothing for two of these is not.
const PING: Duration = Duration::from_secs(20);
/// How long one group of messages, or what a channel begins with, may take to be taken.
const WRITES_WITHIN: Duration = Duration::from_secs(30);
/// How long the last words may take.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// Why a session ends.
enum End {
    /// The peer has gone, or says nothing any more.
    Gone,
    Closed(CloseReason),
}

struct Session {
    hall: Rc<Hall>,
    id: SubscriberId,
    link: Rc<Link>,
    socket: WebSocket,
    is_heard: bool,
}

/// Serves one subscriber to its end.
pub(super) async fn attend(hall: Rc<Hall>, id: SubscriberId, visitor: Visitor) {
    let Visitor { mut socket, address, presence } = visitor;
    let link = match hall.enter(id, address, presence) {
        Ok(link) => link,
        Err(reason) => return say_goodbye(&mut socket, reason).await,
    };
    let mut session = Session { hall, id, link, socket, is_heard: true };
    let end = session.run().await;
    session.hall.leave(id);
    if let End::Closed(reason) = end {
        say_goodbye(&mut session.socket, reason).await;
    }
}

impl Session {
    async fn run(&mut self) -> End {
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(reason) = self.link.end.get() {
                return End::Closed(reason);
            }
            if let Err(end) = self.write_waiting().await {
                return end;
            }
            let link = Rc::clone(&self.link);
            let outcome = tokio::select! {
                message = self.socket.recv() => self.hear(message),
                () = link.bell.notified() => Ok(()),
                _ = pings.tick() => self.ping().await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Writes what waits, a piece at a time; between two, the peer is heard.
    async fn write_waiting(&mut self) -> Result<(), End> {
        while let Some(outgoing) = self.hall.next(self.id) {
            self.write(outgoing).await?;
            let message = tokio::select! {
                biased;
                message = self.socket.recv() => message,
                () = std::future::ready(()) => continue,
            };
            self.hear(message)?;
        }
        Ok(())
    }

    async fn write(&mut self, outgoing: Outgoing) -> Result<(), End> {
        match outgoing {
            Outgoing::Texts(texts) => self.write_texts(texts).await,
            Outgoing::Snapshot(snapshot) => {
                let (channel_id, bytes) = (snapshot.channel_id, snapshot.length());
                if self.hall.goes_on(self.id, channel_id) && !snapshot.body.is_empty() {
                    self.write_texts(vec![snapshot.body]).await?;
                }
                self.hall.written(self.id, channel_id, bytes);
                Ok(())
            }
        }
    }

    async fn write_texts(&mut self, texts: Vec<Bytes>) -> Result<(), End> {
        let link = Rc::clone(&self.link);
        let written = timeout(WRITES_WITHIN, feed(&mut self.socket, texts));
        tokio::select! {
            written = written => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => {
                    self.hall.close(&link, CloseReason::TooSlow);
                    Err(End::Closed(CloseReason::TooSlow))
                }
            },
            reason = ended(&link) => Err(End::Closed(reason)),
        }
    }

    fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.is_heard = true;
        match message {
            Some(Ok(Message::Text(request))) => {
                let asked = self.hall.request(self.id, request.as_str());
                asked.map_err(|reason| {
                    self.hall.close(&self.link, reason);
                    End::Closed(reason)
                })
            }
            Some(Ok(Message::Binary(_))) => {
                self.hall.refuse(self.id, "requests are text");
                Ok(())
            }
            // What is answered is answered by the socket; behind a close nothing follows.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => Ok(()),
            Some(Err(_)) | None => Err(End::Gone),
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if !core::mem::take(&mut self.is_heard) {
            return Err(End::Gone);
        }
        match timeout(WRITES_WITHIN, self.socket.send(Message::Ping(Bytes::new()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

/// The reason, once the subscriber is to be closed.
async fn ended(link: &Link) -> CloseReason {
    loop {
        if let Some(reason) = link.end.get() {
            return reason;
        }
        link.bell.notified().await;
    }
}

async fn feed(socket: &mut WebSocket, texts: Vec<Bytes>) -> Result<(), axum::Error> {
    for text in texts {
        let text = Utf8Bytes::try_from(text).expect("JSON is UTF-8");
        socket.feed(Message::Text(text)).await?;
    }
    socket.flush().await
}

/// Closes, and waits a moment until the peer has taken it.
async fn say_goodbye(socket: &mut WebSocket, reason: CloseReason) {
    let frame = CloseFrame { code: code(reason), reason: Utf8Bytes::from_static(reason.text()) };
    // A peer that has gone does not hear it.
    let _ = timeout(CLOSES_WITHIN, async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    })
    .await;
}

/// RFC 6455, section 7.4, and the codes registered since.
const fn code(reason: CloseReason) -> u16 {
    const GOING_AWAY: u16 = 1001;
    const POLICY: u16 = 1008;
    const INTERNAL: u16 = 1011;
    const TRY_AGAIN_LATER: u16 = 1013;
    match reason {
        CloseReason::Stopped => GOING_AWAY,
        CloseReason::FeedLost => INTERNAL,
        CloseReason::TooManyConnections => TRY_AGAIN_LATER,
        CloseReason::TooSlow | CloseReason::Malformed | CloseReason::NotLetIn | CloseReason::Revoked => POLICY,
    }
}
