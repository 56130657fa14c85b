//! A socket, protected or not, with what was read and is not heard yet, and what was said and is not written yet.

use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use engine::{SessionSequence, Timestamp};
use rustls::{ProtocolVersion, ServerConnection};
use wire::frame::SESSION_FRAME_MAX;
use wire::{Flat, FrameDecoder};

use crate::answers::MassStatus;
use crate::egress::FrameBytes;
use crate::lockout::Origin;
use crate::session::{Session, SessionLimits, State};
use crate::transport::Security;
use crate::transport::desk::ConnectionId;
use crate::transport::tls::Fingerprint;

/// Bytes that wait to be written before nothing more is read.
const WRITE_AHEAD_MAX: usize = 64 << 10;
/// What was written is thrown away when it is so much.
const WRITTEN_MAX: usize = 64 << 10;

/// A connection.
pub(crate) struct Connection<S> {
    pub(crate) id: ConnectionId,
    pub(crate) origin: Origin,
    pub(crate) session: Session,
    pub(crate) decoder: FrameDecoder<SESSION_FRAME_MAX>,
    /// None: the socket is closed, and only the core's answer is waited for.
    socket: Option<Socket<S>>,
    /// When a frame began that is not complete; never: there is none.
    pub(crate) frame_begun: Timestamp,
    out: Vec<u8>,
    /// Bytes of `out` that are written, or the cryptography's.
    written: usize,
    /// Bytes of reports since all was written.
    reported: usize,
    /// Bytes of the backlog that are in the door's count.
    counted: usize,
    /// The state in which it is in the door's count.
    pub(crate) counted_in: Option<State>,
    /// There may be something to read.
    pub(crate) readable: bool,
    /// The peer says nothing more; the end is behind what it said.
    pub(crate) peer_is_done: bool,
    /// It is among those that are to be read.
    pub(crate) ready: bool,
    /// It is among those that are to be flushed.
    pub(crate) dirty: bool,
    /// It is among those whose lists go on.
    pub(crate) lists: bool,
    /// The list of orders that is being told.
    pub(crate) list: Option<MassStatus>,
    /// The core has still to say what an account has.
    pub(crate) awaits_balances: bool,
    /// When it is looked at next.
    pub(crate) timer: Timestamp,
    /// Nothing more is said; until when the last words may take, or the core's last answer.
    pub(crate) closing: Option<Timestamp>,
}

struct Socket<S> {
    stream: S,
    tls: Option<Box<ServerConnection>>,
    /// The peer's certificate was looked for behind the handshake.
    is_identified: bool,
    said_goodbye: bool,
}

impl<S> Socket<S> {
    /// The peer's certificate, once, as soon as it has proved to have its key.
    fn identify(&mut self) -> Option<Fingerprint> {
        let tls = self.tls.as_ref().filter(|tls| !self.is_identified && !tls.is_handshaking())?;
        self.is_identified = true;
        tls.peer_certificates()?.first().map(Fingerprint::of)
    }
}

/// What a look at a socket found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The end, or what ends it.
    End,
}

/// A socket that is read, and whether it gave less than there was room for: then it holds nothing more, and the network's
/// poll will say when it does.
struct Reader<'a, S> {
    stream: &'a mut S,
    is_drained: bool,
}

impl<S: Read> Read for Reader<'_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(bytes)?;
        self.is_drained = count < bytes.len();
        Ok(count)
    }
}

impl<S> Connection<S> {
    /// How many bytes more wait than when this was asked before, or less.
    pub(crate) fn backlog_change(&mut self) -> isize {
        let now = self.out.len() - self.written;
        let before = core::mem::replace(&mut self.counted, now);
        now.wrapping_sub(before).cast_signed()
    }
}

impl<S: Read + Write> Connection<S> {
    /// A connection that was made just now, from an address.
    pub(crate) fn new(
        id: ConnectionId,
        stream: S,
        address: IpAddr,
        security: &Security,
        limits: SessionLimits,
        now: Timestamp,
    ) -> Result<Self, rustls::Error> {
        let tls = match security {
            Security::PlainLoopback => None,
            Security::Tls(config) => Some(Box::new(ServerConnection::new(Arc::clone(config))?)),
        };
        Ok(Self {
            id,
            origin: address.into(),
            session: Session::new(limits, address, now),
            decoder: FrameDecoder::new(),
            socket: Some(Socket { stream, tls, is_identified: false, said_goodbye: false }),
            frame_begun: Timestamp::NEVER,
            out: Vec::new(),
            written: 0,
            reported: 0,
            counted: 0,
            counted_in: None,
            readable: false,
            peer_is_done: false,
            ready: false,
            dirty: false,
            lists: false,
            list: None,
            awaits_balances: false,
            timer: Timestamp::NEVER,
            closing: None,
        })
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.session.state() == State::Closing
    }

    /// Whether it may be read: who does not take what it is told is not listened to.
    pub(crate) fn listens(&self) -> bool {
        self.readable && self.socket.is_some() && !self.is_closing() && !self.is_held_back()
    }

    fn is_held_back(&self) -> bool {
        self.backlog() >= WRITE_AHEAD_MAX
    }

    /// All frames were taken out: what is left has begun by now. Whether it began just now.
    pub(crate) fn frames_taken(&mut self, now: Timestamp) -> bool {
        let begins = self.decoder.pending() > 0 && self.frame_begun == Timestamp::NEVER;
        if begins {
            self.frame_begun = now;
        }
        begins
    }

    /// When a frame that has begun has to be complete.
    pub(crate) fn frame_deadline(&self, limits: &SessionLimits) -> Timestamp {
        self.frame_begun.after(limits.frame_time_max)
    }

    /// A frame's time is over; whether the peer is to blame. If it was not listened to, the time begins anew.
    pub(crate) fn lets_frames_wait(&mut self, now: Timestamp) -> bool {
        if self.is_held_back() {
            self.frame_begun = now;
        }
        !self.is_held_back()
    }

    /// Bytes that are said and not written.
    pub(crate) fn backlog(&self) -> usize {
        self.out.len() - self.written
    }

    /// Whether reports wait that fill `bytes_max`. What the peer has asked for does not count.
    pub(crate) fn is_slow(&self, bytes_max: usize) -> bool {
        self.backlog().min(self.reported) > bytes_max
    }

    /// Says a frame.
    pub(crate) fn say(&mut self, frame: &FrameBytes) {
        self.out.extend_from_slice(frame);
    }

    /// Says a report, if the session is open.
    ///
    /// Whether it was.
    pub(crate) fn report<M: Flat>(&mut self, number: Option<SessionSequence>, message: &M, now: Timestamp) -> bool {
        let is_open = self.session.report(number, now);
        if is_open {
            self.reported += M::FRAME_LENGTH;
            self.append(message);
        }
        is_open
    }

    /// Says what the peer has asked for, if the session is open.
    pub(crate) fn answer<M: Flat>(&mut self, message: &M, now: Timestamp) {
        if self.session.report(None, now) {
            self.append(message);
        }
    }

    fn append<M: Flat>(&mut self, message: &M) {
        let at = self.out.len();
        self.out.resize(at + M::FRAME_LENGTH, 0);
        wire::encode(message, &mut self.out[at..]).expect("the buffer is as long as the frame");
    }

    /// Whether the list of orders may go on: whoever takes it slowly is told it slowly.
    pub(crate) fn may_list(&self) -> bool {
        self.list.is_some() && !self.is_closing() && !self.has_to_write()
    }

    /// Reads what is there, as much as fits.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Reading {
        let Some(socket) = &mut self.socket else { return Reading::Nothing };
        let mut reader = Reader { stream: &mut socket.stream, is_drained: false };
        let read = match &mut socket.tls {
            None => reader.read(bytes),
            Some(tls) => read_tls(tls, &mut reader, bytes),
        };
        let is_drained = reader.is_drained;
        if let Some(fingerprint) = socket.identify() {
            self.session.identify(fingerprint);
        }
        let found = match read {
            Ok(0) => Reading::End,
            Ok(count) => Reading::Bytes(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => Reading::Bytes(0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Reading::Nothing,
            Err(_) => Reading::End,
        };
        // What is decrypted and did not fit is still to be read.
        let fits = found != Reading::Bytes(bytes.len());
        let is_empty = is_drained && fits && !self.peer_is_done;
        self.readable = matches!(found, Reading::Bytes(_)) && !is_empty;
        found
    }

    /// Writes what there is, as much as the socket takes; false if it takes nothing more, ever.
    pub(crate) fn flush(&mut self) -> bool {
        let Some(socket) = &mut self.socket else { return true };
        let outcome = match &mut socket.tls {
            None => write_some(&self.out, &mut self.written, |bytes| socket.stream.write(bytes)),
            Some(tls) => write_tls(tls, &mut socket.stream, &self.out, &mut self.written),
        };
        if self.written == self.out.len() {
            self.out.clear();
            self.out.shrink_to(WRITTEN_MAX);
            (self.written, self.reported) = (0, 0);
        } else if self.written >= WRITTEN_MAX {
            self.out.drain(..self.written);
            self.written = 0;
        }
        outcome.is_ok()
    }

    /// Writes the last words, and says goodbye below the frames behind them; true when nothing is left to do.
    pub(crate) fn finish(&mut self) -> bool {
        let intact = self.flush();
        let said_all = self.backlog() == 0;
        let Some(Socket { tls: Some(tls), said_goodbye, .. }) = &mut self.socket else { return !intact || said_all };
        if said_all && !*said_goodbye {
            *said_goodbye = true;
            tls.send_close_notify();
            return !self.flush() || !self.is_unwritten();
        }
        !intact || said_all && !self.is_unwritten()
    }

    /// Whether there is anything for the socket.
    pub(crate) fn has_to_write(&self) -> bool {
        self.backlog() > 0 || self.is_unwritten()
    }

    /// Whether the cryptography holds bytes that the socket did not take.
    fn is_unwritten(&self) -> bool {
        self.socket.as_ref().and_then(|socket| socket.tls.as_ref()).is_some_and(|tls| tls.wants_write())
    }

    /// Lets go of the socket.
    pub(crate) fn close(&mut self) -> Option<S> {
        (self.out, self.written) = (Vec::new(), 0);
        self.socket.take().map(|socket| socket.stream)
    }

    pub(crate) fn has_socket(&self) -> bool {
        self.socket.is_some()
    }
}

/// What the peer says behind a handshake; nothing older than TLS 1.3 is listened to.
fn read_tls<S: Read + Write>(
    tls: &mut ServerConnection,
    socket: &mut Reader<'_, S>,
    bytes: &mut [u8],
) -> io::Result<usize> {
    match tls.reader().read(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        done => return done,
    }
    if tls.read_tls(socket)? == 0 {
        return Ok(0);
    }
    if let Err(error) = tls.process_new_packets() {
        // The peer is told why, if it still listens.
        let _ = tls.write_tls(socket.stream);
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    if tls.protocol_version().is_some_and(|version| version != ProtocolVersion::TLSv1_3) {
        return Err(io::Error::new(ErrorKind::InvalidData, "not TLS 1.3"));
    }
    match tls.reader().read(bytes) {
        // A part of a record, or of the handshake: there may be more in the socket.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::Interrupted.into()),
        done => done,
    }
}

fn write_tls(tls: &mut ServerConnection, stream: &mut impl Write, out: &[u8], written: &mut usize) -> io::Result<()> {
    loop {
        let before = *written;
        *written += tls.writer().write(&out[before..])?;
        while tls.wants_write() {
            match tls.write_tls(stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if *written == out.len() || *written == before {
            return Ok(());
        }
    }
}

fn write_some(out: &[u8], written: &mut usize, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
    while *written < out.len() {
        match write(&out[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
