//! A session and the bytes of its connection, without the socket: what every driver does between its reads and writes.

use wire::frame::SESSION_FRAME_MAX;
use wire::{FrameDecoder, Timestamp};

use crate::connection::Error;
use crate::session::{News, Session};

/// Later than any deadline.
pub(crate) const NEVER: Timestamp = Timestamp(u64::MAX);

/// What a driver is to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is matched where it comes out, and boxes would allocate")]
pub(crate) enum Next {
    /// Write this.
    Write(Vec<u8>),
    /// Hand this out.
    News(News),
    /// Read into [`Link::vacant`], and say [`Link::filled`]; or [`Link::silent`] if nothing comes until then.
    Read(Timestamp),
    /// The time is up.
    Nothing,
}

/// One connection's session.
pub(crate) struct Link {
    pub(crate) session: Session,
    decoder: FrameDecoder<SESSION_FRAME_MAX>,
}

impl Link {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, decoder: FrameDecoder::new() }
    }

    /// What is to be done at `now` by whoever waits for news until `until`.
    pub(crate) fn next(&mut self, now: Timestamp, until: Timestamp) -> Result<Next, Error> {
        loop {
            self.session.heartbeat(now);
            let out = self.session.take_out();
            if !out.is_empty() {
                return Ok(Next::Write(out));
            }
            if let Some(news) = self.session.next_news() {
                return Ok(Next::News(news));
            }
            match self.decoder.next_frame()? {
                Some(frame) => self.session.frame(frame, now)?,
                None if now >= until => return Ok(Next::Nothing),
                None => return Ok(Next::Read(self.session.next_deadline().min(until))),
            }
        }
    }

    /// Room for what is read.
    pub(crate) fn vacant(&mut self) -> &mut [u8] {
        self.decoder.vacant()
    }

    /// So many bytes were read.
    pub(crate) fn filled(&mut self, count: usize) {
        self.decoder.filled(count);
    }

    /// Nothing was read until it was time.
    pub(crate) fn silent(&mut self, now: Timestamp) {
        self.session.time(now);
    }
}
