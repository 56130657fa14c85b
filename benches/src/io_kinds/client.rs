//! The client: one thread, all connections, as many requests outstanding as there may be.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream as StdStream;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{Measured, Messages, Options, REPLY_BYTES, REQUEST_BYTES, Spent, WINDOW_MAX, unless_interrupted};
use crate::times::{histogram, record_duration};

const REQUESTS: [u8; WINDOW_MAX * REQUEST_BYTES] = [0xA5; WINDOW_MAX * REQUEST_BYTES];

struct Connection {
    stream: TcpStream,
    answers: Messages,
    /// When each outstanding request was written, the oldest first.
    sent: VecDeque<Instant>,
}

impl Connection {
    /// A window fits the socket's buffer.
    fn send(&mut self, count: usize) -> io::Result<()> {
        let bytes = &REQUESTS[..count * REQUEST_BYTES];
        self.sent.extend(std::iter::repeat_n(Instant::now(), count));
        if self.stream.write(bytes)? == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// How many answers are there now.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => {
                    count += self.answers.complete(bytes, REPLY_BYTES);
                    if bytes < buffer.len() {
                        return Ok(count);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                failed => unless_interrupted(failed.map(drop))?,
            }
        }
    }
}

/// Drives the server for as long as the options say, and closes the connections when all is answered.
pub(super) fn drive(
    options: &Options,
    streams: Vec<StdStream>,
    spent: impl Fn() -> Option<Spent>,
) -> io::Result<Measured> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1_024));
    let mut connections = Vec::with_capacity(streams.len());
    for (index, stream) in streams.into_iter().enumerate() {
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        connections.push(Connection { stream, answers: Messages::default(), sent: VecDeque::new() });
    }
    connections.iter_mut().try_for_each(|connection| connection.send(options.window))?;
    let mut load = Load { poll: &mut poll, events: &mut events, connections, buffer: vec![0; 1 << 16] };
    load.go_on(options.warm_up, |_| {})?;
    let (mut latency, mut answers) = (histogram(), 0);
    let (before, begun) = (spent(), Instant::now());
    load.go_on(options.time, |took| {
        record_duration(&mut latency, took);
        answers += 1;
    })?;
    let (seconds, behind) = (begun.elapsed().as_secs_f64(), spent());
    load.finish()?;
    let server = before.zip(behind).map(|(before, behind)| Spent {
        processor_ns: behind.processor_ns - before.processor_ns,
        sleeps: behind.sleeps - before.sleeps,
    });
    Ok(Measured { answers, seconds, latency, server })
}

struct Load<'a> {
    poll: &'a mut Poll,
    events: &'a mut Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Load<'_> {
    /// Every answer is followed by the next request, for so long.
    fn go_on(&mut self, time: Duration, mut answered: impl FnMut(Duration)) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.turn(|connection, count, now| {
                connection.sent.drain(..count).for_each(|sent| answered(now - sent));
                if count > 0 { connection.send(count) } else { Ok(()) }
            })?;
        }
        Ok(())
    }

    /// Waits for what is outstanding.
    fn finish(&mut self) -> io::Result<()> {
        while self.connections.iter().any(|connection| !connection.sent.is_empty()) {
            self.turn(|connection, count, _| {
                connection.sent.drain(..count);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn turn(&mut self, mut take: impl FnMut(&mut Connection, usize, Instant) -> io::Result<()>) -> io::Result<()> {
        unless_interrupted(self.poll.poll(self.events, Some(Duration::from_millis(10))))?;
        for event in &*self.events {
            let connection = &mut self.connections[event.token().0];
            let count = connection.receive(&mut self.buffer)?;
            take(connection, count, Instant::now())?;
        }
        Ok(())
    }
}
