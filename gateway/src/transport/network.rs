//! Where a door's connections come from: sockets in a venue, and whatever stands for them elsewhere.
//!
//! ```text
//!   poll ─► Found ─► Door::turn ─► accept, register ─► Stream: read, write ─► release
//! ```
//!
//! What is found is said once. The door then reads on as long as it is given all that it has room for, and writes again
//! what did not fit when it is told that there is room.

use std::io::{self, Read, Write};
use std::net::IpAddr;

/// What a door's connections come from and go over.
pub trait Network {
    /// A connection's bytes, both ways. Neither waits: where there is nothing to read, or no room to write, it is
    /// `WouldBlock`. A read that gives less than fits says that there is no more for now.
    type Stream: Read + Write;

    /// The next who waits to be let in, and from where.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nobody waits; any other if it is to be tried again a little later.
    fn accept(&mut self) -> io::Result<(Self::Stream, IpAddr)>;

    /// From now on what is found of the stream is said under this place, beginning with what there is already.
    ///
    /// # Errors
    ///
    /// If that cannot be; the stream is dropped then, which closes it.
    fn register(&mut self, stream: &mut Self::Stream, place: usize) -> io::Result<()>;

    /// Tells the peer that nothing more is written, and lets go of the stream. Its place may be used again.
    fn release(&mut self, stream: Self::Stream);

    /// Nobody is let in any more.
    fn stop_listening(&mut self);
}

/// What a look at the network found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Somebody waits to be let in.
    Listener,
    /// Something has changed for a connection.
    Connection {
        /// The place that it was registered under.
        place: usize,
        /// There is something to read.
        readable: bool,
        /// There is room to write.
        writable: bool,
        /// The peer says nothing more, or is gone.
        ended: bool,
    },
}
