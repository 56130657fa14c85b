//! A connection that never blocks, for both ends: a socket, TLS if it has any, and frames.

use std::io::{self, Read, Write};

use client::rustls::Connection;
use client::wire::{Frame, FrameDecoder, FrameError};
use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Bytes that are read at once.
const READ_BYTES: usize = 8 << 10;

/// One end of a connection.
pub struct Duplex {
    socket: TcpStream,
    tls: Option<Box<Connection>>,
    decoder: Box<FrameDecoder<READ_BYTES>>,
    /// Bytes that the socket did not take yet; with TLS, the TLS has them.
    unwritten: Vec<u8>,
    /// Whether the socket gave all that it had.
    is_drained: bool,
}

/// Whether there may be more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// Something was read: look at the frames, and read again.
    Perhaps,
    /// Not before the socket tells.
    No,
}

impl Duplex {
    /// Over a socket, which does not block.
    pub fn new(socket: TcpStream, mut tls: Option<Box<Connection>>) -> Self {
        if let Some(tls) = &mut tls {
            // What the socket does not take waits there.
            tls.set_buffer_limit(None);
        }
        let decoder = Box::new(FrameDecoder::new());
        Self { socket, tls, decoder, unwritten: Vec::new(), is_drained: false }
    }

    /// Tells when there is something to be read, or room to write again.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket.register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// The socket has told: there is something to be read.
    pub fn is_ready(&mut self) {
        self.is_drained = false;
    }

    /// Reads some of what there is.
    pub fn read(&mut self) -> io::Result<More> {
        let Some(tls) = &mut self.tls else {
            if self.is_drained {
                return Ok(More::No);
            }
            let mut socket = Draining { socket: &mut self.socket, is_drained: &mut self.is_drained };
            return filled(socket.read(self.decoder.vacant()), &mut self.decoder);
        };
        let plain = tls.reader().read(self.decoder.vacant());
        if !is_blocked(&plain) || self.is_drained {
            return filled(plain, &mut self.decoder);
        }
        let mut socket = Draining { socket: &mut self.socket, is_drained: &mut self.is_drained };
        match tls.read_tls(&mut socket) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {
                tls.process_new_packets().map_err(io::Error::other)?;
                write_tls(tls, &mut self.socket)?;
                Ok(More::Perhaps)
            }
            blocked if is_blocked(&blocked) => Ok(More::No),
            Err(error) => Err(error),
        }
    }

    /// The next frame of what was read.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        self.decoder.next_frame()
    }

    /// Writes what waits and `bytes` behind it; what the socket does not take waits.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(bytes)?;
            return write_tls(tls, &mut self.socket);
        }
        if self.unwritten.is_empty() {
            let taken = write_part(&mut self.socket, bytes)?;
            self.unwritten.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        self.unwritten.extend_from_slice(bytes);
        let taken = write_part(&mut self.socket, &self.unwritten)?;
        self.unwritten.drain(..taken);
        Ok(())
    }
}

/// A socket that notices when it has given all, so that it need not be asked once more.
struct Draining<'a> {
    socket: &'a mut TcpStream,
    is_drained: &'a mut bool,
}

impl Read for Draining<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(bytes);
        *self.is_drained = is_blocked(&read) || read.as_ref().is_ok_and(|&count| 0 < count && count < bytes.len());
        read
    }
}

fn is_blocked(read: &io::Result<usize>) -> bool {
    read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn filled(read: io::Result<usize>, decoder: &mut FrameDecoder<READ_BYTES>) -> io::Result<More> {
    match read {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            decoder.filled(count);
            Ok(More::Perhaps)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(More::No),
        Err(error) => Err(error),
    }
}

fn write_tls(tls: &mut Connection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How much the socket took.
fn write_part(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match socket.write(&bytes[taken..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
