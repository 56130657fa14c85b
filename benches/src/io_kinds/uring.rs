//! A loop over what is done.
#![allow(unsafe_code, reason = "the kernel is handed addresses; the crate has no safe way to say that they stay valid")]

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use io_uring::squeue::Entry;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use rustix::event::{EventfdFlags, eventfd};

use super::exchange::Exchange;
use super::{Messages, REPLY_BYTES, REQUEST_BYTES, WINDOW_MAX, unless_interrupted};

/// More than a turn submits: a receive and a send of each connection, and one for waking.
const ENTRIES: u32 = 1 << 12;
const RECEIVE_BYTES: usize = 1 << 12;

static REPLIES: [u8; WINDOW_MAX * REPLY_BYTES] = [0x5A; WINDOW_MAX * REPLY_BYTES];

/// What was asked for, and of which connection: what a completion says.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Receive(usize),
    Send(usize),
    Wake,
}

impl Asked {
    fn encode(self) -> u64 {
        match self {
            Self::Receive(index) => (index as u64) << 2,
            Self::Send(index) => (index as u64) << 2 | 1,
            Self::Wake => 2,
        }
    }

    fn decode(data: u64) -> Self {
        let index = (data >> 2) as usize;
        match data & 3 {
            0 => Self::Receive(index),
            1 => Self::Send(index),
            _ => Self::Wake,
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// Given to the kernel for good, so that no request of it can outlive the memory.
    buffer: *mut u8,
    requests: Messages,
    /// Answers that are there and not written.
    owed: usize,
    /// Bytes that a send is under way with.
    sending: usize,
}

/// Why there is none, if there is none.
pub(super) fn obstacle() -> Option<io::Error> {
    ring(8).err()
}

/// What wakes a server.
pub(super) fn event() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC)?)
}

pub(super) fn wake(event: &OwnedFd) {
    rustix::io::write(event, &1_u64.to_ne_bytes()).expect("an event counter takes a count");
}

/// For the thread that makes it alone, which is not interrupted for what is done.
fn ring(entries: u32) -> io::Result<IoUring> {
    IoUring::builder().setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun().build(entries)
}

pub(super) fn serve(streams: Vec<TcpStream>, exchange: Option<Exchange>, event: &OwnedFd) -> io::Result<()> {
    let connection = |stream| Connection {
        stream,
        buffer: Box::leak(vec![0_u8; RECEIVE_BYTES].into_boxed_slice()).as_mut_ptr(),
        requests: Messages::default(),
        owed: 0,
        sending: 0,
    };
    let mut server = Server {
        ring: ring(ENTRIES)?,
        open: streams.len(),
        connections: streams.into_iter().map(connection).collect(),
        exchange,
        event: event.as_raw_fd(),
        count: Box::leak(Box::new(0)),
        owing: Vec::new(),
    };
    (0..server.connections.len()).for_each(|index| server.ask_receive(index));
    if server.exchange.is_some() {
        server.ask_wake();
    }
    server.run()
}

struct Server {
    ring: IoUring,
    connections: Vec<Connection>,
    /// Connections that are.
    open: usize,
    exchange: Option<Exchange>,
    event: RawFd,
    /// Where the event's count is read to; given to the kernel for good.
    count: *mut u64,
    owing: Vec<usize>,
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        let mut done = Vec::new();
        while self.open > 0 {
            let may_sleep = self.exchange.as_ref().is_none_or(Exchange::may_sleep);
            unless_interrupted(self.ring.submit_and_wait(usize::from(may_sleep)).map(drop))?;
            if let Some(exchange) = &self.exchange {
                exchange.is_awake();
            }
            done.extend(self.ring.completion().map(|entry| (Asked::decode(entry.user_data()), entry.result())));
            done.drain(..).try_for_each(|(asked, result)| self.done(asked, result))?;
            while let Some(index) = self.exchange.as_ref().and_then(Exchange::take) {
                self.owe(index, 1);
            }
            while let Some(index) = self.owing.pop() {
                self.ask_send(index);
            }
        }
        Ok(())
    }

    fn done(&mut self, asked: Asked, result: i32) -> io::Result<()> {
        let failure = || io::Error::from_raw_os_error(-result);
        let bytes = match usize::try_from(result) {
            Ok(bytes) => bytes,
            Err(_) if failure().kind() == io::ErrorKind::Interrupted => {
                self.ask_again(asked);
                return Ok(());
            }
            Err(_) => return Err(failure()),
        };
        match asked {
            Asked::Wake => self.ask_wake(),
            Asked::Receive(_) if bytes == 0 => self.open -= 1,
            Asked::Receive(index) => {
                let count = self.connections[index].requests.complete(bytes, REQUEST_BYTES);
                self.ask_receive(index);
                match &self.exchange {
                    Some(exchange) => exchange.hand_over(index, count),
                    None => self.owe(index, count),
                }
            }
            // A window of answers fits the socket's buffer.
            Asked::Send(index) if bytes != self.connections[index].sending => {
                return Err(io::ErrorKind::WriteZero.into());
            }
            Asked::Send(index) => {
                self.connections[index].sending = 0;
                self.owe(index, 0);
            }
        }
        Ok(())
    }

    /// So many more answers are there; they are sent when no send is under way.
    fn owe(&mut self, index: usize, count: usize) {
        self.connections[index].owed += count;
        self.owing.push(index);
    }

    /// What was interrupted has not begun.
    fn ask_again(&mut self, asked: Asked) {
        match asked {
            Asked::Wake => self.ask_wake(),
            Asked::Receive(index) => self.ask_receive(index),
            Asked::Send(index) => {
                let connection = &mut self.connections[index];
                connection.owed += std::mem::take(&mut connection.sending) / REPLY_BYTES;
                self.owe(index, 0);
            }
        }
    }

    fn ask_receive(&mut self, index: usize) {
        let Connection { stream, buffer, .. } = &self.connections[index];
        let receive = opcode::Recv::new(Fd(stream.as_raw_fd()), *buffer, RECEIVE_BYTES as u32).build();
        self.ask(&receive.user_data(Asked::Receive(index).encode()));
    }

    fn ask_send(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if connection.owed == 0 || connection.sending > 0 {
            return;
        }
        connection.sending = std::mem::take(&mut connection.owed) * REPLY_BYTES;
        let (socket, length) = (Fd(connection.stream.as_raw_fd()), connection.sending as u32);
        self.ask(&opcode::Send::new(socket, REPLIES.as_ptr(), length).build().user_data(Asked::Send(index).encode()));
    }

    fn ask_wake(&mut self) {
        let read = opcode::Read::new(Fd(self.event), self.count.cast(), size_of::<u64>() as u32).build();
        self.ask(&read.user_data(Asked::Wake.encode()));
    }

    fn ask(&mut self, entry: &Entry) {
        // SAFETY: every address in an entry is of memory that is never given back: the static answers, or what
        // `serve` leaked. The descriptors are open as long as the connections and the event, which outlive the ring's use.
        unsafe { self.ring.submission().push(entry) }.expect("a turn submits less than there is room for");
    }
}
