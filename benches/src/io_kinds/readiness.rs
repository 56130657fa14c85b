//! A loop over what is ready.

use std::io::{self, Read, Write};
use std::net::TcpStream as StdStream;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::exchange::Exchange;
use super::{Messages, REPLY_BYTES, REQUEST_BYTES, WINDOW_MAX, unless_interrupted};

/// No connection has it.
const WOKEN: Token = Token(usize::MAX);
const REPLIES: [u8; WINDOW_MAX * REPLY_BYTES] = [0x5A; WINDOW_MAX * REPLY_BYTES];

struct Connection {
    stream: TcpStream,
    requests: Messages,
    /// Answers that are there and not written.
    owed: usize,
    is_open: bool,
}

impl Connection {
    /// How many requests are there now.
    fn receive(&mut self, buffer: &mut [u8], is_closing: bool) -> io::Result<usize> {
        let mut count = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.is_open = false;
                    return Ok(count);
                }
                Ok(bytes) => {
                    count += self.requests.complete(bytes, REQUEST_BYTES);
                    // A read that is not full has emptied the socket; only an end would not be told again.
                    if bytes < buffer.len() && !is_closing {
                        return Ok(count);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                failed => unless_interrupted(failed.map(drop))?,
            }
        }
    }

    /// A window of answers fits the socket's buffer.
    fn answer(&mut self) -> io::Result<()> {
        let bytes = &REPLIES[..std::mem::take(&mut self.owed) * REPLY_BYTES];
        if self.stream.write(bytes)? == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

/// What the server waits with, and what wakes it.
pub(super) fn open() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WOKEN)?;
    Ok((poll, waker))
}

pub(super) fn serve(mut poll: Poll, streams: Vec<StdStream>, exchange: Option<Exchange>) -> io::Result<()> {
    let mut connections = Vec::with_capacity(streams.len());
    for (index, stream) in streams.into_iter().enumerate() {
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        connections.push(Connection { stream, requests: Messages::default(), owed: 0, is_open: true });
    }
    let (mut events, mut buffer, mut owing) = (Events::with_capacity(1_024), vec![0; 1 << 16], Vec::new());
    let mut open = connections.len();
    while open > 0 {
        let may_sleep = exchange.as_ref().is_none_or(Exchange::may_sleep);
        unless_interrupted(poll.poll(&mut events, (!may_sleep).then_some(Duration::ZERO)))?;
        if let Some(exchange) = &exchange {
            exchange.is_awake();
        }
        for event in events.iter().filter(|event| event.token() != WOKEN) {
            let Token(index) = event.token();
            let connection = &mut connections[index];
            // An end may be told twice.
            if !connection.is_open {
                continue;
            }
            let count = connection.receive(&mut buffer, event.is_read_closed())?;
            open -= usize::from(!connection.is_open);
            match &exchange {
                _ if count == 0 => {}
                Some(exchange) => exchange.hand_over(index, count),
                None => {
                    connection.owed = count;
                    connection.answer()?;
                }
            }
        }
        while let Some(index) = exchange.as_ref().and_then(Exchange::take) {
            if connections[index].owed == 0 {
                owing.push(index);
            }
            connections[index].owed += 1;
        }
        owing.drain(..).try_for_each(|index| connections[index].answer())?;
    }
    Ok(())
}
